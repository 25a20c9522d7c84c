//! Past sessions: how each ended, and how reliable they were.

use super::shapes::{Page, moment};
use super::words::{RunEnd, RunTrigger};
use crate::dialogs;
use crate::error::{self, Failure};
use crate::shell;
use crate::view::{Count, Millis};
use jiff::tz::TimeZone;
use lockstep_node::state::{Run, RunResult, Trigger};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tauri::AppHandle;

/// How far back runs are looked at; retention ends them sooner.
const BACK: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// How many of them at most.
const MOST: u32 = 100_000;

/// One past session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[allow(missing_docs)]
pub(crate) struct RunRow {
    /// Its number here.
    pub id: String,
    /// What this node calls the peer.
    pub peer: String,
    /// Who started it.
    pub trigger: RunTrigger,
    pub started_at: Millis,
    pub duration_ms: Millis,
    pub sent: Count,
    pub received: Count,
    pub applied: Count,
    pub conflicts: Count,
    pub held: Count,
    pub id_moves: Count,
    pub rounds: Count,
    pub bytes_sent: Count,
    pub bytes_received: Count,
    /// How it ended.
    pub result: RunEnd,
    /// Why it was not verified.
    pub error: Option<Failure>,
}

impl RunRow {
    pub(crate) fn of(run: Run) -> RunRow {
        let t = run.tally;
        RunRow {
            id: run.id.to_string(),
            peer: run.peer,
            trigger: RunTrigger::named(Trigger::name(run.trigger)),
            started_at: moment(run.started_at),
            duration_ms: Millis(run.duration_ms),
            sent: Count(t.sent),
            received: Count(t.received),
            applied: Count(t.applied),
            conflicts: Count(t.conflicts),
            held: Count(t.held),
            id_moves: Count(t.id_moves),
            rounds: Count(t.rounds),
            bytes_sent: Count(t.bytes_sent),
            bytes_received: Count(t.bytes_received),
            result: RunEnd::named(RunResult::name(run.result)),
            error: run.error.map(error::failure),
        }
    }
}

/// One peer's day. Only verified runs are a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Rate {
    /// What this node calls it.
    pub peer: String,
    /// `2026-03-14`, local to this computer.
    pub day: String,
    /// All runs.
    pub runs: Count,
    /// Those that were verified.
    pub verified: Count,
    /// Those that broke off.
    pub failed: Count,
    /// Rows that went and came.
    pub rows: Count,
    /// The runs' mean duration.
    pub duration_ms: Millis,
}

/// Which runs.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct RunsAsk {
    peer: Option<String>,
    /// `2026-03-14`, local to this computer.
    day: Option<String>,
    result: Option<RunEnd>,
    offset: usize,
    limit: usize,
}

fn day(run: &Run, zone: &TimeZone) -> String {
    run.started_at.to_zoned(zone.clone()).date().to_string()
}

async fn found(app: &AppHandle, back: Duration) -> Result<Vec<Run>, Failure> {
    shell::of(app).home.ask(move |node| Ok(node.state().runs(node.before(back), MOST)?)).await
}

fn wanted(runs: Vec<Run>, ask: &RunsAsk) -> Vec<RunRow> {
    let zone = TimeZone::system();
    let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
    let runs = runs.into_iter().filter(|r| is(&ask.day, &day(r, &zone)));
    let runs = runs.filter(|r| ask.result.is_none_or(|wanted| wanted.word() == r.result.name()));
    runs.filter(|r| is(&ask.peer, &r.peer)).map(RunRow::of).collect()
}

/// Past sessions, the latest first, as `lockstep runs`.
#[tauri::command]
pub(crate) async fn runs(app: AppHandle, ask: RunsAsk) -> Result<Page<RunRow>, Failure> {
    Ok(Page::of(wanted(found(&app, BACK).await?, &ask), ask.offset, ask.limit))
}

/// For how many days.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct RatesAsk {
    days: u32,
}

/// Success per peer and day, the oldest first; days without a run are left out.
#[tauri::command]
pub(crate) async fn rates(app: AppHandle, ask: RatesAsk) -> Result<Vec<Rate>, Failure> {
    let runs = found(&app, Duration::from_secs(u64::from(ask.days.min(366)) * 24 * 60 * 60)).await?;
    Ok(by_day(&runs, &TimeZone::system()))
}

fn by_day(runs: &[Run], zone: &TimeZone) -> Vec<Rate> {
    let mut days: BTreeMap<(String, &str), Vec<&Run>> = BTreeMap::new();
    for run in runs {
        days.entry((day(run, zone), &run.peer)).or_default().push(run);
    }
    let rate = |((day, peer), runs): ((String, &str), Vec<&Run>)| {
        let count = |result| Count(runs.iter().filter(|r| r.result == result).count() as u64);
        let lasted: i64 = runs.iter().map(|r| r.duration_ms).sum();
        Rate {
            peer: peer.to_owned(),
            day,
            verified: count(RunResult::Verified),
            failed: count(RunResult::Failed),
            rows: Count(runs.iter().map(|r| r.tally.sent + r.tally.received).sum()),
            duration_ms: Millis(lasted / i64::try_from(runs.len()).unwrap_or(i64::MAX).max(1)),
            runs: Count(runs.len() as u64),
        }
    };
    days.into_iter().map(rate).collect()
}

/// Which runs, and as what.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportAsk {
    peer: Option<String>,
    /// `2026-03-14`, local to this computer.
    day: Option<String>,
    result: Option<RunEnd>,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Csv,
    Jsonl,
}

/// Asks where to save, and writes the runs there. Gives the file's name, or null if nothing was chosen.
#[tauri::command]
pub(crate) async fn export_runs(app: AppHandle, ask: ExportAsk) -> Result<Option<String>, Failure> {
    let ExportAsk { peer, day, result, format } = ask;
    let runs = wanted(found(&app, BACK).await?, &RunsAsk { peer, day, result, ..RunsAsk::default() });
    let ending = if format == Format::Csv { "csv" } else { "jsonl" };
    let name = format!("lockstep-runs.{ending}");
    let Some(file) = dialogs::save(&app, "Export runs", &name).await else { return Ok(None) };
    let text = if format == Format::Csv { csv(&runs) } else { jsonl(&runs)? };
    std::fs::write(&file, text).map_err(|e| unwritten(&file, &e))?;
    Ok(Some(file.display().to_string()))
}

fn unwritten(file: &Path, error: &std::io::Error) -> Failure {
    Failure {
        code: "file_io".to_owned(),
        message: format!("{} can't be written: {error}.", file.display()),
        hint: Some("Choose another folder.".to_owned()),
    }
}

fn jsonl(runs: &[RunRow]) -> Result<String, Failure> {
    let lines: Result<Vec<String>, _> = runs.iter().map(serde_json::to_string).collect();
    let lines = lines.map_err(|e| Failure { code: "json".to_owned(), message: e.to_string(), hint: None })?;
    Ok(lines.join("\n") + "\n")
}

fn csv(runs: &[RunRow]) -> String {
    let mut text = "id,peer,trigger,started_at_ms,duration_ms,sent,received,applied,conflicts,held,id_moves,rounds,\
                    bytes_sent,bytes_received,result,code,message\n"
        .to_owned();
    // A quote is doubled; what a table program would take for a formula is made text.
    let quoted = |t: &str| {
        let guard = if t.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
        format!("\"{guard}{}\"", t.replace('"', "\"\""))
    };
    for r in runs {
        let counts =
            [r.sent, r.received, r.applied, r.conflicts, r.held, r.id_moves, r.rounds, r.bytes_sent, r.bytes_received];
        let counts: Vec<String> = counts.iter().map(|c| c.0.to_string()).collect();
        let (code, message) = r.error.as_ref().map_or(("", ""), |e| (&e.code, &e.message));
        text.push_str(&format!(
            "{},{},{},{},{},{},{},{},{}\n",
            r.id,
            quoted(&r.peer),
            r.trigger.word(),
            r.started_at.0,
            r.duration_ms.0,
            counts.join(","),
            r.result.word(),
            quoted(code),
            quoted(message)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_node::state::Tally;

    fn run(id: i64, at: &str, result: RunResult) -> Run {
        Run {
            id,
            peer: "=venue".to_owned(),
            trigger: Trigger::Change,
            started_at: at.parse().unwrap(),
            duration_ms: 10 * id,
            tally: Tally { sent: 2, received: 1, ..Tally::default() },
            result,
            error: None,
            tables: Vec::new(),
        }
    }

    #[test]
    fn a_day_is_that_of_this_computer_and_only_verified_is_success() {
        let runs = [
            run(1, "2026-03-14T23:30:00Z", RunResult::Verified),
            run(2, "2026-03-15T01:00:00Z", RunResult::Partial),
            run(3, "2026-03-15T02:00:00Z", RunResult::Failed),
        ];
        let rates = by_day(&runs, &TimeZone::fixed(jiff::tz::offset(1)));
        assert_eq!(rates.len(), 1, "half past midnight, one and three hours later");
        let rate = &rates[0];
        assert_eq!(
            (rate.day.as_str(), rate.runs, rate.verified, rate.failed),
            ("2026-03-15", Count(3), Count(1), Count(1))
        );
        assert_eq!((rate.rows, rate.duration_ms), (Count(9), Millis(20)));
    }

    #[test]
    fn a_name_in_a_table_program_is_no_formula() {
        let rows = [RunRow::of(run(7, "2026-03-14T23:30:00Z", RunResult::Verified))];
        let text = csv(&rows);
        assert!(text.lines().nth(1).unwrap().starts_with("7,\"'=venue\",change,"), "{text}");
        assert_eq!(jsonl(&rows).unwrap().lines().count(), 1);
    }
}

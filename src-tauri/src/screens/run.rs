//! One past session: how its tables ended, what to look at, and what to send to who is asked for help.

use super::held::says;
use super::plan::parted;
use super::runs::RunRow;
use super::shapes::RowName;
use super::words::TableEnd;
use crate::error::Failure;
use crate::shell;
use lockstep_node::Node;
use lockstep_node::state::{Run, RunResult};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::sync::Arc;
use tauri::AppHandle;

/// So many things to look at are named.
const MOST: usize = 200;

/// One run, in detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RunDetails {
    /// As in the list.
    pub run: RunRow,
    /// How each table that is shared with that peer ended.
    pub tables: Vec<TableEnded>,
    /// What went otherwise than it should.
    pub issues: Vec<RunIssue>,
}

/// How a table ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct TableEnded {
    /// Logical name.
    pub database: String,
    /// Its table.
    pub table: String,
    /// How.
    pub state: TableEnd,
}

/// What went otherwise than it should: which row or table, why, and what to do. Never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RunIssue {
    /// Which row; null: a whole table.
    pub row: Option<RowName>,
    /// Why.
    pub reason: String,
    /// What to do.
    pub todo: String,
}

/// Which run.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct RunAsk {
    id: String,
}

/// One past session in detail.
#[tauri::command]
pub(crate) async fn run(app: AppHandle, ask: RunAsk) -> Result<RunDetails, Failure> {
    shell::of(&app).home.ask(move |node| details(&node, &ask.id)).await
}

fn details(node: &Arc<Node>, id: &str) -> lockstep_node::Result<RunDetails> {
    let run = node.state().run(id.parse().unwrap_or(-1))?;
    let peer = node.state().peers()?.into_iter().find(|p| p.name == run.peer);
    let shared = match peer {
        Some(peer) => node.shared_tables(&node.state().shares(peer.node)?)?,
        None => Vec::new(),
    };
    let names = shared.into_iter().map(|t| t.name).chain(run.tables.iter().map(|t| t.name.clone()));
    let mut tables: Vec<TableEnded> = names
        .map(|name| {
            let (database, table) = parted(&name);
            TableEnded { database, table, state: ended(&run, &name) }
        })
        .collect();
    tables.sort_by(|a, b| (&a.database, &a.table).cmp(&(&b.database, &b.table)));
    tables.dedup();
    let mut issues: Vec<RunIssue> = run.tables.iter().map(|t| of_table(&t.name, &t.state)).collect();
    issues.extend(of_rows(node, &run)?);
    issues.truncate(MOST);
    Ok(RunDetails { run: RunRow::of(run), tables, issues })
}

fn ended(run: &Run, name: &str) -> TableEnd {
    match (run.tables.iter().find(|t| t.name == name).map(|t| t.state.as_str()), run.result) {
        (Some("differs"), _) => TableEnd::Differs,
        (Some("moved"), _) => TableEnd::Moving,
        (Some(_), _) | (None, RunResult::Failed) => TableEnd::NotCompared,
        (None, RunResult::Verified) => TableEnd::Equal,
        // One that names no table at all was not compared table by table.
        (None, RunResult::Partial) => {
            if run.tables.is_empty() {
                TableEnd::NotCompared
            } else {
                TableEnd::Equal
            }
        }
    }
}

fn of_table(name: &str, state: &str) -> RunIssue {
    let (reason, todo) = match state {
        "differs" => ("the two sides have the same writes and different rows", "Compare finds the rows"),
        "moved" => ("it was written to all the while", "nothing: it is compared with the next run"),
        "config_differs" => {
            ("the two sides say otherwise how it is synced", "make both alike in Settings, on both servers")
        }
        "missing_here" => ("it is not on this server", "run the application's migration here, or leave it out there"),
        "missing_there" => {
            ("it is not on the other server", "run the application's migration there, or leave it out here")
        }
        _ => ("only a part of it is shared", "nothing: what is shared was exchanged"),
    };
    RunIssue { row: None, reason: format!("{name}: {reason}"), todo: todo.to_owned() }
}

/// The conflicts that were found, and what has been held, since that run began and before it ended.
fn of_rows(node: &Arc<Node>, run: &Run) -> lockstep_node::Result<Vec<RunIssue>> {
    let from = run.started_at.as_millisecond();
    let during = |at: jiff::Timestamp| (from..=from + run.duration_ms).contains(&at.as_millisecond());
    let mut found = Vec::new();
    for c in node.conflicts(true)?.into_iter().filter(|c| during(c.at)) {
        found.push(RunIssue {
            row: Some(RowName::of(&c.database, &c.table, &c.key)),
            reason: c.why,
            todo: match c.state {
                "held" => "decide it under Conflicts",
                "auto" => "look at it under Conflicts; a decision can be turned round",
                _ => "nothing: a person has looked at it",
            }
            .to_owned(),
        });
    }
    for h in node.quarantine()?.into_iter().filter(|h| during(h.at)) {
        let todo = "look at it in the quarantine, under Conflicts".to_owned();
        found.push(RunIssue {
            row: Some(RowName::of(&h.database, &h.table, &h.key)),
            reason: says(h.reason).to_owned(),
            todo,
        });
    }
    Ok(found)
}

/// The run and the node's state as text for whoever is asked for help. No value of a row, no secret.
#[tauri::command]
pub(crate) async fn diagnostics(app: AppHandle, ask: RunAsk) -> Result<String, Failure> {
    shell::of(&app).home.ask(move |node| Ok(told(&details(&node, &ask.id)?, &node.status()?))).await
}

fn told(details: &RunDetails, status: &lockstep_node::status::Status) -> String {
    let r = &details.run;
    let mut text = format!(
        "Lockstep {} on {} {}\n\nRun {} with {}: {}, begun by {}, {} ms, {} rounds\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        r.id,
        r.peer,
        r.result.word(),
        r.trigger.word(),
        r.duration_ms.0,
        r.rounds.0,
    );
    // Writing into a text can't fail.
    let _ = writeln!(
        text,
        "sent {}, received {}, applied {}, conflicts {}, held {}, ids moved {}",
        r.sent.0, r.received.0, r.applied.0, r.conflicts.0, r.held.0, r.id_moves.0
    );
    if let Some(e) = &r.error {
        let _ = writeln!(text, "error {}: {} {}", e.code, e.message, e.hint.as_deref().unwrap_or_default());
    }
    for t in details.tables.iter().filter(|t| t.state != TableEnd::Equal) {
        let _ = writeln!(text, "{}.{}: {}", t.database, t.table, t.state.word());
    }
    for i in &details.issues {
        let table = i.row.as_ref().map(|row| row.table() + ": ").unwrap_or_default();
        let _ = writeln!(text, "{table}{}", i.reason);
    }
    let _ = writeln!(
        text,
        "\nNode {}: conflicts to look at {}, values lost {}, {}",
        status.name,
        status.conflicts_unreviewed,
        status.values_lost,
        if status.agent.is_some() { "an agent runs" } else { "no agent runs" },
    );
    for d in &status.databases {
        let _ = writeln!(
            text,
            "{}: {} rows, {} pending, {} held, capture {}",
            d.name, d.rows, d.pending, d.held, d.capture
        );
    }
    for p in &status.peers {
        let _ = writeln!(
            text,
            "{}: {}, clock {} ms, {} pending, {} to come, {} held there, last {}",
            p.name,
            if p.reachable { "reachable" } else { "not reachable" },
            p.clock_offset_ms.unwrap_or(0),
            p.pending,
            p.coming,
            p.held,
            p.last_result.as_deref().unwrap_or("never"),
        );
    }
    text
}

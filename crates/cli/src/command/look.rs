//! `status`, `runs`, `settings`
use super::pairing;
use crate::Context;
use crate::outcome::{Exit, Failure, Outcome};
use crate::text;
use jiff::Timestamp;
use lockstep_node::Error;
use lockstep_node::state::SETTINGS;
use serde_json::json;
use std::time::Duration;

/// Everything at a glance.
pub fn status(context: &Context) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let status = node.status()?;
    let agent = match &status.agent {
        Some(agent) => format!("agent listening on {}", agent.listening),
        None => "no agent runs".to_owned(),
    };
    let agent = match status.paused_until {
        Some(until) if until == Timestamp::MAX => format!("{agent}; background sync rests until `lockstep resume`"),
        Some(until) => format!("{agent}; background sync rests until {}", text::time(until)),
        None => agent,
    };
    let mut text = format!("{} ({})\n{agent}\n", text::plain(&status.name), &status.node[..16]);
    if let Some(s) = &status.syncing {
        let left = s
            .left_ms
            .map_or_else(String::new, |ms| format!(", {} left", text::span(i64::try_from(ms).unwrap_or(i64::MAX))));
        let peer = text::plain(&s.peer);
        text.push_str(&format!("syncing with {peer}: {} of {} rows{left}\n", s.done, s.total));
    }
    if status.databases.is_empty() {
        text.push_str("\nNo database is attached. Next: lockstep attach NAME=FILE\n");
    } else {
        let rows = status.databases.iter().map(|d| {
            let counts = [d.rows, d.pending, d.held].map(|n| n.to_string());
            let [rows, pending, held] = counts;
            let size = format!("{} of {}", text::size(d.own_bytes), text::size(d.bytes));
            vec![d.name.clone(), rows, pending, held, d.capture.clone(), size, d.file.clone()]
        });
        let head = ["database", "rows", "pending", "held", "capture", "our tables", "file"];
        text.push_str(&format!("\n{}\n", text::table(&head, &["rows", "pending", "held"], rows)));
    }
    for database in &status.databases {
        if let Some(broke) = &database.history {
            let (name, when) = (text::plain(&database.name), text::time(broke.at));
            text.push_str(&format!(
                "\n{name} was found {} ({when}) and rejoins; when you have seen it: lockstep restored {name} --rejoin\n",
                broke.kind
            ));
        }
    }
    if status.peers.is_empty() {
        text.push_str("\nNo node is paired. Next: lockstep invite here, or lockstep pair\n");
    } else {
        text.push_str(&format!("\n{}\n", pairing::listed(&status.peers, &pairing::week(&node)?)));
    }
    let held: u64 = status.databases.iter().map(|d| d.held).sum();
    text.push_str(&format!(
        "\nconflicts to look at: {}   held: {held}   values lost: {}",
        status.conflicts_unreviewed, status.values_lost
    ));
    if let Some(why) = &status.values_lost_because {
        text.push_str(&format!(" ({})", text::plain(why)));
    }
    let waits = held > 0 || status.conflicts_unreviewed > 0;
    Ok(Outcome::new(status, text).ends_if(waits, Exit::Waits))
}

/// Past sessions.
pub fn runs(context: &Context, ago: Duration) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let from = node.before(ago);
    let runs = node.state().runs(from, 10_000).map_err(Error::from)?;
    let rates = node.state().rates(from).map_err(Error::from)?;
    let rows = runs.iter().take(40).map(|r| {
        vec![
            text::time(r.started_at),
            r.peer.clone(),
            r.trigger.name().to_owned(),
            r.result.name().to_owned(),
            r.tally.sent.to_string(),
            r.tally.received.to_string(),
            r.tally.conflicts.to_string(),
            text::span(r.duration_ms),
            r.error.as_ref().map(|e| e.code.clone()).unwrap_or_default(),
        ]
    });
    let head = ["when", "peer", "by", "result", "sent", "received", "conflicts", "took", "why"];
    let mut text = if runs.is_empty() {
        "No session yet.".to_owned()
    } else {
        text::table(&head, &["sent", "received", "conflicts", "took"], rows)
    };
    if runs.len() > 40 {
        text.push_str(&format!("\n… and {} before; --json lists them", runs.len() - 40));
    }
    if !rates.is_empty() {
        let rows = rates.iter().map(|r| {
            let share = format!("{} %", r.verified * 100 / r.runs.max(1));
            vec![r.day.clone(), r.peer.clone(), r.runs.to_string(), r.verified.to_string(), r.failed.to_string(), share]
        });
        let head = ["day", "peer", "runs", "verified", "failed", "success"];
        text.push_str(&format!("\n\n{}", text::table(&head, &head[2..], rows)));
    }
    Ok(Outcome::new(json!({ "runs": runs, "rates": rates }), text))
}

/// Retention.
pub fn cleanup(context: &Context, older_than: Option<Duration>, dry_run: bool) -> Result<Outcome, Failure> {
    let removed = context.node()?.cleanup(older_than, dry_run)?;
    let rows = [
        ("traces of deleted rows", removed.tombstones),
        ("conflicts", removed.conflicts),
        ("replaced values", removed.archived),
        ("past sessions", removed.runs),
    ];
    let rows = rows.map(|(kind, n)| vec![kind.to_owned(), n.to_string()]);
    let text = text::table(&["kind", if dry_run { "would go" } else { "removed" }], &["would go", "removed"], rows);
    Ok(Outcome::new(json!({ "removed": removed, "dry_run": dry_run }), text))
}

/// Settings.
pub fn settings(context: &Context, key: Option<&str>, value: Option<&str>) -> Result<Outcome, Failure> {
    let node = context.node()?;
    if let (Some(key), Some(value)) = (key, value) {
        node.state().change_setting(key, value).map_err(Error::from)?;
    }
    let mut settings = node.state().settings().map_err(Error::from)?;
    if let Some(key) = key {
        node.state().setting(key).map_err(Error::from)?;
        settings.retain(|k, _| k == key);
    }
    let says = |key: &str| SETTINGS.iter().find(|s| s.key == key).map_or("", |s| s.says).to_owned();
    let rows = settings.iter().map(|(k, v)| vec![k.clone(), v.clone(), says(k)]);
    let text = text::table(&["setting", "value", ""], &[], rows);
    Ok(Outcome::new(json!({ "settings": settings }), text))
}

//! `pending`, `conflicts`, `quarantine`
use crate::Context;
use crate::outcome::{Exit, Failure, Outcome};
use crate::text;
use serde_json::{Value, json};

fn key(key: &Value) -> String {
    match key {
        Value::Null => "-".to_owned(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

/// Rows that are not at every peer.
pub fn pending(context: &Context, table: Option<&str>) -> Result<Outcome, Failure> {
    let changes = context.node()?.pending(table)?;
    let rows = changes.iter().take(200).map(|c| {
        vec![
            format!("{}.{}", c.database, c.table),
            key(&c.key),
            c.operation.to_owned(),
            c.columns.join(", "),
            text::time(c.at),
            c.peers.join(", "),
        ]
    });
    let mut text = if changes.is_empty() {
        "Nothing is pending.".to_owned()
    } else {
        text::table(&["table", "key", "what", "columns", "when", "not yet at"], &[], rows)
    };
    if changes.len() > 200 {
        text.push_str(&format!("\n… and {} more; --json lists them", changes.len() - 200));
    }
    Ok(Outcome::new(json!({ "changes": changes }), text))
}

/// Conflicts.
pub fn conflicts(context: &Context, all: bool) -> Result<Outcome, Failure> {
    let conflicts = context.node()?.conflicts(all)?;
    let rows = conflicts.iter().map(|c| {
        let side = |s: &Option<String>| s.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            c.id.chars().take(12).collect(),
            c.kind.to_owned(),
            format!("{}.{}", c.database, c.table),
            key(&c.key),
            c.columns.join(", "),
            side(&c.winner),
            side(&c.loser),
            c.state.to_owned(),
        ]
    });
    let text = if conflicts.is_empty() {
        "No conflicts.".to_owned()
    } else {
        text::table(&["id", "kind", "table", "key", "columns", "winner", "loser", "state"], &[], rows)
    };
    let waits = conflicts.iter().any(|c| c.state != "reviewed");
    Ok(Outcome::new(json!({ "conflicts": conflicts }), text).ends_if(waits, Exit::Waits))
}

/// Both sides of one conflict.
pub fn conflict(context: &Context, id: &str) -> Result<Outcome, Failure> {
    let mut shown = context.node()?.conflict(id)?;
    for side in [&mut shown.base, &mut shown.winner, &mut shown.loser] {
        for (column, value) in side.iter_mut() {
            *value = text::masked(column, value.take(), context.reveal);
        }
    }
    let cell = |side: &std::collections::BTreeMap<String, Value>, column: &str| match side.get(column) {
        Some(value) => key(value),
        None => String::new(),
    };
    let mut columns: Vec<&String> = shown.winner.keys().chain(shown.loser.keys()).collect();
    columns.sort();
    columns.dedup();
    let rows = columns
        .into_iter()
        .map(|c| vec![c.clone(), cell(&shown.base, c), cell(&shown.winner, c), cell(&shown.loser, c)]);
    let entry = &shown.conflict;
    let side = |s: &Option<String>| s.clone().unwrap_or_else(|| "undecided".to_owned());
    let text = format!(
        "{} in {}.{} {}, {}\n\n{}",
        entry.kind,
        entry.database,
        text::plain(&entry.table),
        text::plain(&key(&entry.key)),
        entry.state,
        text::table(
            &[
                "column",
                "before both",
                &format!("winner: {}", side(&entry.winner)),
                &format!("loser: {}", side(&entry.loser))
            ],
            &[],
            rows
        )
    );
    Ok(Outcome::new(shown, text))
}

/// What is held.
pub fn quarantine(context: &Context) -> Result<Outcome, Failure> {
    let held = context.node()?.quarantine()?;
    let rows = held.iter().map(|h| {
        vec![
            h.id.chars().take(12).collect(),
            h.reason.to_owned(),
            format!("{}.{}", h.database, h.table),
            key(&h.key),
            h.columns.join(", "),
        ]
    });
    let text = if held.is_empty() {
        "Nothing is held.".to_owned()
    } else {
        text::table(&["id", "why", "table", "key", "columns"], &[], rows)
    };
    let waits = !held.is_empty();
    Ok(Outcome::new(json!({ "held": held }), text).ends_if(waits, Exit::Waits))
}

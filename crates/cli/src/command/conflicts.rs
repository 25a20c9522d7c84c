//! `conflicts`
use crate::Context;
use crate::command::rows::key;
use crate::outcome::{Exit, Failure, Outcome};
use crate::text;
use lockstep_node::conflicts::{ConflictEntry, Kept, Resolution};
use serde_json::{Value, json};

/// All that nobody has looked at, or all.
pub fn list(context: &Context, all: bool) -> Result<Outcome, Failure> {
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
pub fn show(context: &Context, id: &str) -> Result<Outcome, Failure> {
    let mut shown = context.node()?.conflict(id)?;
    for side in [&mut shown.base, &mut shown.winner, &mut shown.loser, &mut shown.row] {
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
    let rows = columns.into_iter().map(|c| {
        vec![c.clone(), cell(&shown.base, c), cell(&shown.winner, c), cell(&shown.loser, c), cell(&shown.row, c)]
    });
    let entry = &shown.conflict;
    let side = |s: &Option<String>| s.clone().unwrap_or_else(|| "undecided".to_owned());
    let text = format!(
        "{} in {}.{} {}, {}: {}{}\n\n{}",
        entry.kind,
        entry.database,
        text::plain(&entry.table),
        text::plain(&key(&entry.key)),
        entry.state,
        entry.why,
        decided(entry),
        text::table(
            &[
                "column",
                "before both",
                &format!("winner: {}", side(&entry.winner)),
                &format!("loser: {}", side(&entry.loser)),
                "shown here",
            ],
            &[],
            rows
        )
    );
    Ok(Outcome::new(shown, text))
}

fn decided(entry: &ConflictEntry) -> String {
    match &entry.decided {
        None => String::new(),
        Some(d) if d.kept == "seen" => format!("\nlooked at on {}, {}", text::plain(&d.by), text::time(d.at)),
        Some(d) => format!("\ndecided on {}, {}: {}", text::plain(&d.by), text::time(d.at), d.kept),
    }
}

/// Decides one.
pub fn resolve(
    context: &Context,
    id: &str,
    keep: Vec<(Option<String>, Kept)>,
    anyway: bool,
) -> Result<Outcome, Failure> {
    let mut resolution = Resolution { id: id.to_owned(), keep: Kept::Winner, columns: Default::default(), anyway };
    for (column, side) in keep {
        match column {
            Some(column) => {
                resolution.columns.insert(column, side);
            }
            None => resolution.keep = side,
        }
    }
    let resolved = context.node()?.resolve(&[resolution])?;
    let done = resolved.first().ok_or_else(|| Failure::usage("unknown", "there is no such conflict", ""))?;
    let text = match done.written {
        0 => format!("{} is settled; what you chose stood already.", done.id),
        n => format!("{} is settled; {}.", done.id, text::count(n, "write", "writes")),
    };
    Ok(Outcome::new(done, text))
}

/// Says that somebody has looked.
pub fn reviewed(context: &Context, ids: &[String], all: bool) -> Result<Outcome, Failure> {
    let n = context.node()?.reviewed(if all { None } else { Some(ids) })?;
    Ok(Outcome::new(json!({ "reviewed": n }), format!("{} looked at.", text::count(n, "conflict", "conflicts"))))
}

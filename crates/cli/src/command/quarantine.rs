//! `quarantine`, `deletes`
use crate::Context;
use crate::command::rows::key;
use crate::outcome::{Exit, Failure, Outcome};
use crate::text;
use serde_json::json;

/// What is held.
pub fn list(context: &Context) -> Result<Outcome, Failure> {
    let held = context.node()?.quarantine()?;
    let short = |id: &str| id.chars().take(12).collect::<String>();
    let rows = held.iter().map(|h| {
        vec![
            short(&h.id),
            h.reason.to_owned(),
            format!("{}.{}", h.database, h.table),
            key(&h.key),
            h.columns.join(", "),
            h.by.clone().unwrap_or_else(|| "-".to_owned()),
            h.waits_for.as_deref().map(short).unwrap_or_default(),
        ]
    });
    let text = if held.is_empty() {
        "Nothing is held.".to_owned()
    } else {
        text::table(&["id", "why", "table", "key", "columns", "from", "after"], &[], rows)
    };
    let waits = !held.is_empty();
    Ok(Outcome::new(json!({ "held": held }), text).ends_if(waits, Exit::Waits))
}

/// Tries again.
pub fn retry(context: &Context, id: Option<&str>) -> Result<Outcome, Failure> {
    let done = context.node()?.quarantine_retry(id)?;
    let text = format!("{} applied, {} still held.", text::count(done.applied, "row", "rows"), done.held);
    Ok(Outcome::new(done, text).ends_if(done.held > 0, Exit::Waits))
}

/// Lets one through.
pub fn allow(context: &Context, id: &str, anyway: bool) -> Result<Outcome, Failure> {
    let done = context.node()?.quarantine_allow(id, anyway)?;
    let text = format!("{} is let through.", done.id);
    Ok(Outcome::new(done, text))
}

/// Lets through all that was put aside.
pub fn allow_reviewed(context: &Context, peer: Option<&str>) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let rows = node.quarantine_allow_reviewed(peer)?;
    let waits = node.waiting()? > 0;
    let text = format!("{} let through.", text::count(rows, "row", "rows"));
    Ok(Outcome::new(json!({ "rows": rows }), text).ends_if(waits, Exit::Waits))
}

/// What the guard holds.
pub fn deletes(context: &Context) -> Result<Outcome, Failure> {
    let guarded = context.node()?.deletes()?;
    let rows = guarded
        .iter()
        .map(|g| vec![g.id.chars().take(12).collect(), g.table.clone(), g.rows.to_string(), g.of.to_string()]);
    let text = if guarded.is_empty() {
        "No deletes are held.".to_owned()
    } else {
        text::table(&["id", "table", "rows to delete", "rows in all"], &["rows to delete", "rows in all"], rows)
    };
    let waits = !guarded.is_empty();
    Ok(Outcome::new(json!({ "guarded": guarded }), text).ends_if(waits, Exit::Waits))
}

/// Lets them through, or their rows live.
pub fn decide_deletes(context: &Context, id: &str, keep: bool) -> Result<Outcome, Failure> {
    let rows = context.node()?.decide_deletes(id, keep)?;
    let what = if keep { "live again, on every node with the next sync" } else { "are deleted here" };
    let text = format!("{} {what}.", text::count(rows, "row", "rows"));
    Ok(Outcome::new(json!({ "id": id, "rows": rows }), text))
}

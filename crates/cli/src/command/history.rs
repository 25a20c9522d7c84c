//! `history`, `same`, `apart`
use crate::Context;
use crate::command::rows::key;
use crate::outcome::{Exit, Failure, Outcome};
use crate::text;
use serde_json::{Value, json};

/// All versions of the rows that have or had a key.
pub fn show(context: &Context, table: &str, row: &str) -> Result<Outcome, Failure> {
    let mut rows = context.node()?.history(table, row)?;
    for c in rows.iter_mut().flat_map(|r| &mut r.versions).flat_map(|v| &mut v.columns) {
        c.value = text::masked(&c.name, c.value.take(), context.reveal);
    }
    let mut said = Vec::new();
    for r in &rows {
        let state = match (r.lives, &r.key) {
            (true, Value::Null) => "lives, and waits to be shown".to_owned(),
            (true, shown) => format!("lives as {}", key(shown)),
            (false, Value::Null) => "deleted".to_owned(),
            (false, shown) => format!("deleted, and shown as {} since rows refer to it", key(shown)),
        };
        let lines = r.versions.iter().map(|v| {
            let columns: Vec<String> = v
                .columns
                .iter()
                .map(|c| {
                    let end = if c.state == "visible" { String::new() } else { format!(" ({})", c.state) };
                    format!("{}={}{end}", c.name, key(&c.value))
                })
                .collect();
            vec![
                v.id.chars().take(12).collect(),
                text::time(v.at),
                v.by.clone(),
                v.operation.to_owned(),
                v.state.to_owned(),
                columns.join(", "),
            ]
        });
        let table = text::table(&["version", "when", "by", "what", "state", "columns"], &[], lines);
        said.push(format!("{}.{} {}: {state}\n{table}", r.database, text::plain(&r.table), text::plain(row)));
    }
    let text = if rows.is_empty() { "No row has or had that key.".to_owned() } else { said.join("\n\n") };
    let versions: Vec<_> = rows.iter().flat_map(|r| &r.versions).collect();
    Ok(Outcome::new(json!({ "versions": versions, "rows": rows_of(&rows) }), text))
}

fn rows_of(rows: &[lockstep_node::history::RowHistory]) -> Vec<Value> {
    rows.iter().map(|r| json!({ "row": r.row, "key": r.key, "lives": r.lives })).collect()
}

/// Brings one back.
pub fn restore(context: &Context, table: &str, row: &str, version: &str, children: bool) -> Result<Outcome, Failure> {
    let done = context.node()?.restore(table, row, version, children, None)?;
    let waits = done.key.is_null();
    let text = match (done.written, waits) {
        (0, _) => "The row shows that version already.".to_owned(),
        (n, false) => format!("Brought back as {}: {}.", key(&done.key), text::count(n, "write", "writes")),
        (_, true) => "Brought back, but it can't be shown yet; `lockstep quarantine` says why.".to_owned(),
    };
    Ok(Outcome::new(done, text).ends_if(waits, Exit::Waits))
}

/// Two rows are one.
pub fn same(context: &Context, table: &str, one: &str, other: &str) -> Result<Outcome, Failure> {
    let done = context.node()?.same(table, one, other)?;
    let text = match &done.archived {
        Value::Null => "They were one already.".to_owned(),
        gone => format!("{} and {} are one, under {}; what lost is kept.", key(&done.kept), key(gone), key(&done.kept)),
    };
    Ok(Outcome::new(done, text))
}

/// One row is several.
pub fn apart(context: &Context, table: &str, row: &str) -> Result<Outcome, Failure> {
    let done = context.node()?.apart(table, row)?;
    let keys: Vec<String> = done.rows.iter().map(key).collect();
    let mut text = format!("It is {} now: {}.", text::count(done.rows.len() as u64, "row", "rows"), keys.join(", "));
    if done.waiting > 0 {
        text.push_str(&format!(" {} more can't be shown yet; `lockstep quarantine` says why.", done.waiting));
    }
    let waits = done.waiting > 0;
    Ok(Outcome::new(done, text).ends_if(waits, Exit::Waits))
}

//! `pending`
use crate::Context;
use crate::outcome::{Failure, Outcome};
use crate::text;
use serde_json::{Value, json};

/// A key, for people.
pub fn key(key: &Value) -> String {
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

//! `backup`, `digest`
use crate::Context;
use crate::outcome::{Failure, Outcome};
use crate::text;
use serde_json::json;
use std::path::Path;

/// Copies a live database.
pub fn backup(context: &Context, name: &str, file: &Path, clean: bool) -> Result<Outcome, Failure> {
    let copy = context.node()?.backup(name, file, clean)?;
    let text = format!("{}\nsha256 {}", copy.file, copy.sha256);
    Ok(Outcome::new(copy, text))
}

/// Prints digests.
pub fn digest(context: &Context, name: &str, table: Option<&str>) -> Result<Outcome, Failure> {
    let tables = context.node()?.digest(name, table)?;
    let rows = tables.iter().map(|t| vec![t.name.clone(), t.rows.to_string(), t.digest.clone()]);
    let text = text::table(&["table", "rows", "digest"], &["rows"], rows);
    Ok(Outcome::new(json!({ "name": name, "tables": tables }), text))
}

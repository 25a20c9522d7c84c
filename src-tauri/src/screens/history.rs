//! Every version of one row, and bringing one back.

use super::pending::Operation;
use super::shapes::{Cell, Filter, Page, RowName, moment};
use super::words::VersionEnd;
use crate::error::Failure;
use crate::shell;
use crate::view::{Count, Millis};
use lockstep_node::history as node_history;
use serde::{Deserialize, Serialize};
use tauri::AppHandle;

/// One write to a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Version {
    /// Its id.
    pub id: String,
    /// When it was written.
    pub at: Millis,
    /// The server that wrote it.
    pub node: String,
    /// What it did.
    pub operation: Operation,
    /// How it ended.
    pub state: VersionEnd,
    /// Who ended it.
    pub ended_by: Option<String>,
    /// When this node learned of that.
    pub ended_at: Option<Millis>,
    /// What it set, as far as that is kept.
    pub columns: Vec<ColumnValue>,
    /// Bringing it back would change what is shown.
    pub restorable: bool,
}

/// A column and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ColumnValue {
    /// Its name.
    pub column: String,
    /// Its value.
    pub value: Cell,
}

/// A row with its versions, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct HistoryView {
    /// Which row.
    pub row: RowName,
    /// Does it live?
    pub lives: bool,
    /// At most 200.
    pub items: Vec<Version>,
    /// How many there are in all.
    pub total: Count,
}

/// Which row, and which part.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryAsk {
    row: RowName,
    offset: usize,
    limit: usize,
    reveal: bool,
}

/// Every known version of a row, as `lockstep history`.
#[tauri::command]
pub(crate) async fn history(app: AppHandle, ask: HistoryAsk) -> Result<HistoryView, Failure> {
    let HistoryAsk { row, offset, limit, reveal } = ask;
    let (table, key) = (row.table(), row.key.clone().unwrap_or_default());
    let rows = shell::of(&app).home.ask(move |node| node.history(&table, &key)).await?;
    let lives = rows.iter().any(|r| r.lives);
    let versions = rows.into_iter().flat_map(|r| r.versions).map(|v| version(v, reveal)).collect();
    let Page { items, total } = Page::of(versions, offset, limit);
    Ok(HistoryView { row, lives, items, total })
}

fn version(v: node_history::Version, reveal: bool) -> Version {
    let ended = v.columns.iter().find(|c| c.ended_at.is_some());
    Version {
        id: v.id,
        at: moment(v.at),
        node: v.by,
        operation: Operation::named(v.operation),
        state: VersionEnd::named(v.state),
        ended_by: ended.and_then(|c| c.ended_by.clone()),
        ended_at: ended.and_then(|c| c.ended_at).map(moment),
        restorable: v.restorable,
        columns: v
            .columns
            .into_iter()
            .map(|c| ColumnValue { value: Cell::of(&c.name, &c.value, reveal), column: c.name })
            .collect(),
    }
}

/// A row and its version.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoreAsk {
    row: RowName,
    version: String,
    /// The latest version that the person was shown: `row_changed` if there is a later one by now.
    seen: Option<String>,
    /// Whatever was written since.
    anyway: bool,
    /// With the rows that refer to it and were deleted with it.
    children: bool,
}

/// What was brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct BroughtBack {
    /// Its key here; null: it can't be shown yet, and waits in the quarantine.
    pub key: Option<String>,
    /// Rows that refer to it and came back with it.
    pub children: Count,
}

/// Brings a version back as a new write, as `lockstep history --restore`.
#[tauri::command]
pub(crate) async fn restore(app: AppHandle, ask: RestoreAsk) -> Result<BroughtBack, Failure> {
    let shell = shell::of(&app);
    let (table, key) = (ask.row.table(), ask.row.key.clone().unwrap_or_default());
    let seen = ask.seen.filter(|_| !ask.anyway);
    let asked = shell.home.ask(move |node| node.restore(&table, &key, &ask.version, ask.children, seen.as_deref()));
    let done = asked.await?;
    shell.changed(&app);
    let RowName { database, table, .. } = &ask.row;
    Ok(BroughtBack { key: RowName::of(database, table, &done.key).key, children: Count(done.children) })
}

/// A row, and what it is recognised by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct FoundRow {
    /// Which row.
    pub row: RowName,
    /// What its identity columns hold.
    pub identity: Vec<ColumnValue>,
    /// Is it shown?
    pub lives: bool,
}

/// Which rows, and which part.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct FindAsk {
    filter: Filter,
    offset: usize,
    limit: usize,
    reveal: bool,
}

/// Rows of a table by key or identity, those that are gone too.
#[tauri::command]
pub(crate) async fn find_rows(app: AppHandle, ask: FindAsk) -> Result<Page<FoundRow>, Failure> {
    let FindAsk { filter, offset, limit, reveal } = ask;
    let table = filter.table.ok_or_else(|| Failure {
        code: "no_table".to_owned(),
        message: "No table was chosen.".to_owned(),
        hint: Some("Choose one.".to_owned()),
    })?;
    let (name, text) = (table.clone(), filter.text.trim().to_owned());
    let span = (offset, limit.clamp(1, 200));
    let found = shell::of(&app).home.ask(move |node| node.find_rows(&name, &text, span)).await?;
    let (database, table) = table.split_once('.').unwrap_or((&table, ""));
    let row = |r: node_history::FoundRow| FoundRow {
        row: RowName::of(database, table, &r.key),
        lives: r.lives,
        identity: r
            .identity
            .into_iter()
            .map(|(column, value)| ColumnValue { value: Cell::of(&column, &value, reveal), column })
            .collect(),
    };
    Ok(Page { items: found.rows.into_iter().map(row).collect(), total: Count(found.total) })
}

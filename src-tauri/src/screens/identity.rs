//! Which rows are one: a person says that two are, or that one is several.

use super::shapes::RowName;
use crate::error::Failure;
use crate::shell;
use crate::view::Count;
use serde::{Deserialize, Serialize};
use tauri::AppHandle;

/// Two rows of one table.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct SameAsk {
    row: RowName,
    /// The key of the other.
    other: String,
}

/// Two rows that are one now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Joined {
    /// The row as it goes on.
    pub kept: RowName,
    /// The key of the row that went; null: they were one already.
    pub archived: Option<String>,
}

/// Says that two rows are one, as `lockstep same`.
#[tauri::command]
pub(crate) async fn same(app: AppHandle, ask: SameAsk) -> Result<Joined, Failure> {
    let shell = shell::of(&app);
    let (table, key) = (ask.row.table(), ask.row.key.unwrap_or_default());
    let joined = shell.home.ask(move |node| node.same(&table, &key, &ask.other)).await?;
    shell.changed(&app);
    let named = |key| RowName::of(&ask.row.database, &ask.row.table, key);
    Ok(Joined { kept: named(&joined.kept), archived: named(&joined.archived).key })
}

/// Which row.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ApartAsk {
    row: RowName,
}

/// A row that was taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Parted {
    /// Its parts that are shown here.
    pub rows: Vec<RowName>,
    /// How many of them wait in the quarantine.
    pub waiting: Count,
}

/// Takes a row apart that was made one of several, as `lockstep apart`.
#[tauri::command]
pub(crate) async fn apart(app: AppHandle, ask: ApartAsk) -> Result<Parted, Failure> {
    let shell = shell::of(&app);
    let (table, key) = (ask.row.table(), ask.row.key.unwrap_or_default());
    let parted = shell.home.ask(move |node| node.apart(&table, &key)).await?;
    shell.changed(&app);
    let rows = parted.rows.iter().map(|key| RowName::of(&ask.row.database, &ask.row.table, key));
    Ok(Parted { rows: rows.collect(), waiting: Count(parted.waiting) })
}

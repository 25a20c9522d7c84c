//! What peers lack, and what a sync with one of them would do.

use super::shapes::{Filter, Page, RowName, moment};
use crate::error::Failure;
use crate::shell;
use crate::view::Millis;
use serde::{Deserialize, Serialize};
use tauri::AppHandle;

/// A row that some peers lack, as known here without asking them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PendingRow {
    /// Which row.
    pub row: RowName,
    /// What was done to it.
    pub operation: Operation,
    /// The columns that were written.
    pub columns: Vec<String>,
    /// When it was last written.
    pub at: Millis,
    /// The peers that lack it.
    pub peers: Vec<String>,
}

/// What was done to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub(crate) enum Operation {
    Insert,
    Update,
    Delete,
}

impl Operation {
    /// As the node names it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }

    /// As the node names it.
    pub(crate) fn named(name: &str) -> Operation {
        match name {
            "insert" => Operation::Insert,
            "delete" => Operation::Delete,
            _ => Operation::Update,
        }
    }
}

/// Which part of the list.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct PendingAsk {
    peer: Option<String>,
    filter: Filter,
    offset: usize,
    limit: usize,
}

/// Rows that some peer does not have yet, as `lockstep pending`.
#[tauri::command]
pub(crate) async fn pending(app: AppHandle, ask: PendingAsk) -> Result<Page<PendingRow>, Failure> {
    let all = shell::of(&app).home.ask(|node| node.pending(None)).await?;
    let rows = all.into_iter().map(|p| PendingRow {
        row: RowName::of(&p.database, &p.table, &p.key),
        operation: Operation::named(p.operation),
        columns: p.columns,
        at: moment(p.at),
        peers: p.peers,
    });
    let wanted = rows.filter(|r| ask.peer.as_ref().is_none_or(|peer| r.peers.contains(peer)));
    let wanted = wanted.filter(|r| ask.filter.takes(&r.row, &r.columns)).collect();
    Ok(Page::of(wanted, ask.offset, ask.limit))
}

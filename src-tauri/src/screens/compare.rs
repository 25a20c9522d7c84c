//! Comparing with a peer down to the rows, verifying everything, and where every value is.
//!
//! Always true here: the node compares and counts, this file only shows; a row is named as the last comparison named
//! it, and its values come with the one row that a person looks at.

use super::plan::parted;
use super::shapes::{Cell, ColumnDiff, Filter, Page, RowName, StorageClass, moment};
use super::words::{Difference, Unverified};
use crate::error::{self, Failure};
use crate::events::Task;
use crate::shell;
use crate::view::{Count, Millis};
use lockstep_node::Node;
use lockstep_node::compare::{self as node_compare, Half, Shown, TableStanding};
use lockstep_node::proof::{BalanceReport, PeerProof, Proof};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tauri::AppHandle;

/// How every table stands on this side and on a peer's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct CompareView {
    /// What this node calls the peer.
    pub peer: String,
    /// When they were compared.
    pub at: Millis,
    /// Was every table that both share found equal?
    pub equal: bool,
    /// This node's tables.
    pub tables: Vec<ComparedTable>,
}

/// One table on two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ComparedTable {
    /// Logical name.
    pub database: String,
    /// Its table.
    pub table: String,
    /// This side.
    pub here: TableDigest,
    /// The other side; null: it does not share the table.
    pub there: Option<TableDigest>,
    /// How it stands.
    pub state: ComparedState,
    /// One sentence, for all but `equal`.
    pub because: Option<String>,
    /// Rows that live here only.
    pub only_here: Count,
    /// Rows that live there only.
    pub only_there: Count,
    /// Rows that say something else.
    pub different: Count,
}

/// `moving`: writes to it are under way. `mismatch`: the two sides are configured differently. `not_shared`: nothing
/// to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub(crate) enum ComparedState {
    Equal,
    Different,
    Moving,
    Mismatch,
    NotShared,
}

/// A table's rows and digest on one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct TableDigest {
    /// Living rows.
    pub rows: Count,
    /// 32 hex digits.
    pub digest: String,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ComparedRow {
    /// The row's name here; where it is only there, by its key there.
    pub row: RowName,
    /// Its key there, where it has another.
    pub key_there: Option<String>,
    /// The columns that differ; empty: the row is on one side only.
    pub columns: Vec<String>,
}

/// With whom.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct CompareAsk {
    peer: String,
}

/// Every table on both sides, down to the rows; what differs is held. Asks the peer; tells how far it is.
#[tauri::command]
pub(crate) async fn compare(app: AppHandle, ask: CompareAsk) -> Result<CompareView, Failure> {
    let shell = shell::of(&app);
    let node = shell.home.node()?;
    let found = node.compare(&ask.peer, &shell.look(&app, Task::Compare)).await.map_err(told)?;
    shell.changed(&app);
    Ok(CompareView {
        peer: found.peer,
        at: moment(found.at),
        equal: found.equal,
        tables: found.tables.into_iter().map(table).collect(),
    })
}

/// The comparing or verifying that is under way ends; what it found to differ is held.
#[tauri::command]
pub(crate) async fn stop_look(app: AppHandle) -> Result<(), Failure> {
    shell::of(&app).stop_look();
    Ok(())
}

fn told(error: lockstep_node::Error) -> Failure {
    error::failure(error.problem())
}

fn table(t: node_compare::ComparedTable) -> ComparedTable {
    let side = |half: Half| TableDigest { rows: Count(half.rows), digest: half.digest };
    ComparedTable {
        database: t.database,
        table: t.table,
        here: side(t.here),
        there: t.there.map(side),
        state: match t.state {
            TableStanding::Equal => ComparedState::Equal,
            TableStanding::Different => ComparedState::Different,
            TableStanding::Moving => ComparedState::Moving,
            TableStanding::Mismatch => ComparedState::Mismatch,
            TableStanding::NotShared => ComparedState::NotShared,
        },
        because: t.because,
        only_here: Count(t.only_here),
        only_there: Count(t.only_there),
        different: Count(t.different),
    }
}

/// Which rows of the last comparison, and which part of them.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct CompareRowsAsk {
    peer: String,
    database: String,
    table: String,
    difference: Difference,
    filter: Filter,
    offset: usize,
    limit: usize,
}

/// The rows of a table that differ in one way, as the last comparison found them.
#[tauri::command]
pub(crate) async fn compare_rows(app: AppHandle, ask: CompareRowsAsk) -> Result<Page<ComparedRow>, Failure> {
    let shell = shell::of(&app);
    let asked = shell.home.ask(move |node| {
        let (table, span) = ((ask.database.as_str(), ask.table.as_str()), (ask.offset, ask.limit.min(200)));
        let kind = ask.difference.word();
        let (rows, total) = node.compared_rows(&ask.peer, table, kind, &ask.filter.text, span)?;
        let rows = rows.iter().map(|r| compared(table, r)).collect();
        Ok(Page { items: rows, total: Count(total as u64) })
    });
    asked.await
}

fn compared((database, table): (&str, &str), row: &node_compare::ComparedRow) -> ComparedRow {
    let there = RowName::of(database, table, &row.key_there);
    let here = if row.key.is_null() { there.clone() } else { RowName::of(database, table, &row.key) };
    ComparedRow {
        key_there: there.key.filter(|key| here.key.as_ref() != Some(key)),
        row: here,
        columns: row.columns.clone(),
    }
}

/// Which row of the last comparison.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ComparedRowAsk {
    peer: String,
    row: RowName,
    difference: Difference,
    reveal: bool,
}

/// One row that differs, as it is now: `before` is what is here, `after` what is there. Asks the peer.
#[tauri::command]
pub(crate) async fn compared_row(app: AppHandle, ask: ComparedRowAsk) -> Result<Vec<ColumnDiff>, Failure> {
    let ComparedRowAsk { peer, row, difference, reveal } = ask;
    let node = shell::of(&app).home.node()?;
    let table = (row.database.as_str(), row.table.as_str());
    let kind = difference.word();
    let (rows, _) = node.compared_rows(&peer, table, kind, "", (0, usize::MAX)).map_err(told)?;
    // As the page was told it: a key that is text and one that is a number may read the same.
    let known = rows.into_iter().find(|r| compared(table, r).row == row).ok_or_else(|| unlisted(&row))?;
    let key = if known.key.is_null() { known.key_there } else { known.key };
    let columns = node.compared_row(&peer, table, kind, &key).await.map_err(told)?;
    let side = |column: &str, shown: Option<Shown>| shown.map(|s| cell(column, &s, reveal));
    let columns = columns.into_iter().map(|c| ColumnDiff {
        before: side(&c.column, c.here),
        after: side(&c.column, c.there),
        changed: c.changed,
        column: c.column,
    });
    Ok(columns.collect())
}

fn unlisted(row: &RowName) -> Failure {
    Failure {
        code: "comparison_unknown".to_owned(),
        message: format!("The last comparison found no such row of {} to differ.", row.table()),
        hint: Some("Compare again.".to_owned()),
    }
}

fn cell(column: &str, shown: &Shown, reveal: bool) -> Cell {
    match shown {
        Shown::Large { bytes } => {
            Cell { r#type: StorageClass::Blob, text: String::new(), masked: false, bytes: Count(*bytes), cut: true }
        }
        other => Cell::of(column, &other.readable(), reveal),
    }
}

/// Where every value is that was ever written or received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[allow(missing_docs)]
pub(crate) struct Balance {
    pub visible: Count,
    pub superseded: Count,
    pub archived: Count,
    pub deleted: Count,
    pub held: Count,
    /// Was in another account until its time of retention was over.
    pub cleaned: Count,
    /// All that was written or received, counted apart from the accounts.
    pub total: Count,
}

impl Balance {
    fn of(b: &BalanceReport) -> Balance {
        Balance {
            visible: Count(b.visible),
            superseded: Count(b.superseded),
            archived: Count(b.archived),
            deleted: Count(b.deleted),
            held: Count(b.held),
            cleaned: Count(b.cleaned),
            total: Count(b.total),
        }
    }
}

/// A database's accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DatabaseBalance {
    /// Logical name.
    pub database: String,
    /// Its accounts.
    pub balance: Balance,
}

/// The evidence behind "Values lost".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct BalanceView {
    /// When it was counted.
    pub at: Millis,
    /// Each database.
    pub databases: Vec<DatabaseBalance>,
    /// Values that are in no account.
    pub lost: Count,
    /// Why `lost` is not zero.
    pub because: Option<String>,
}

/// The accounts as they are kept, without reading the tables again.
#[tauri::command]
pub(crate) async fn balance(app: AppHandle) -> Result<BalanceView, Failure> {
    let asked = |node: Arc<Node>| Ok((node.balance()?, Millis(node.now().0)));
    let (found, at) = shell::of(&app).home.ask(asked).await?;
    let lost: u64 = found.values().map(BalanceReport::lost).sum();
    let databases = found.iter().map(|(name, b)| DatabaseBalance { database: name.clone(), balance: Balance::of(b) });
    Ok(BalanceView {
        at,
        databases: databases.collect(),
        lost: Count(lost),
        because: (lost > 0).then(|| "the accounts don't add up; verifying counts them anew".to_owned()),
    })
}

/// What reading every row again and asking the peers gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct VerifyView {
    /// When.
    pub at: Millis,
    /// Was every shared table found equal at every peer, and every value where its account says?
    pub equal: bool,
    /// What this node's files say that its accounts don't, or the other way round: sentences. Empty: they agree.
    pub findings: Vec<String>,
    /// Tables that were not found equal at a peer.
    pub differs: Vec<Differs>,
    /// The peers.
    pub peers: Vec<VerifiedPeer>,
    /// All databases' accounts.
    pub balance: Balance,
    /// Values that are in no account.
    pub lost: Count,
    /// Changes that wait for a person here.
    pub held: Count,
}

/// A table that was not found equal at a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Differs {
    /// Logical name.
    pub database: String,
    /// Its table.
    pub table: String,
    /// What this node calls the peer.
    pub peer: String,
    /// How.
    pub state: Unverified,
    /// One sentence; null: the peer could not be asked, and this is by what it said last.
    pub because: Option<String>,
}

/// A peer that everything was held against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct VerifiedPeer {
    /// What this node calls it.
    pub peer: String,
    /// Was every table that both share found equal?
    pub equal: bool,
    /// When it said where it stands; null: never.
    pub as_of: Option<Millis>,
    /// Why it was not asked now.
    pub error: Option<Failure>,
}

/// With whom; null: with every peer.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyAsk {
    peer: Option<String>,
}

/// As `lockstep verify`: reads the rows again, counts the balance anew, compares with that peer or with all. Tells how far
/// it is.
#[tauri::command]
pub(crate) async fn verify(app: AppHandle, ask: VerifyAsk) -> Result<VerifyView, Failure> {
    let shell = shell::of(&app);
    let node = shell.home.node()?;
    let proof = node.verify(ask.peer.as_deref(), &shell.look(&app, Task::Verify)).await.map_err(told)?;
    shell.changed(&app);
    Ok(verified(proof, Millis(node.now().0)))
}

fn verified(proof: Proof, at: Millis) -> VerifyView {
    let mut differs = Vec::new();
    for t in proof.tables {
        let (database, table) = parted(&t.name);
        differs.extend(t.differs.into_iter().map(|d| Differs {
            database: database.clone(),
            table: table.clone(),
            peer: d.peer,
            state: Unverified::named(d.state),
            because: d.because,
        }));
    }
    let peer = |p: PeerProof| VerifiedPeer {
        peer: p.name,
        equal: p.equal,
        as_of: p.as_of.map(moment),
        error: p.error.map(error::failure),
    };
    VerifyView {
        at,
        equal: proof.equal,
        findings: proof.findings,
        differs,
        peers: proof.peers.into_iter().map(peer).collect(),
        lost: Count(proof.balance.lost()),
        balance: Balance::of(&proof.balance),
        held: Count(proof.held),
    }
}

//! What a sync with one peer would do now, row by row, and doing exactly that.

use super::pending::Operation;
use super::shapes::{Cell, ColumnDiff, Filter, Page, RowName, moment};
use super::words::{Direction, HoldReason, MismatchKind};
use crate::error::{self, Failure};
use crate::node::peer_run_view;
use crate::shell;
use crate::view::{Count, Millis, RunView};
use lockstep_node::Node;
use lockstep_node::plan::{PlanColumn, PlanEntry, PlanPage, PlanSpan};
use lockstep_node::preview::{Changes as NodeChanges, TableChanges as NodeTable};
use lockstep_node::quarantine::GUARD;
use lockstep_node::state::Peer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use tauri::AppHandle;

/// What would change in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[allow(missing_docs)]
pub(crate) struct TableChanges {
    pub database: String,
    pub table: String,
    pub inserts: Count,
    pub updates: Count,
    pub deletes: Count,
    pub conflicts: Count,
    pub held: Count,
    pub id_moves: Count,
}

/// What would change on one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[allow(missing_docs)]
pub(crate) struct Changes {
    pub inserts: Count,
    pub updates: Count,
    pub deletes: Count,
    pub conflicts: Count,
    pub held: Count,
    pub id_moves: Count,
    /// So many changes that they were counted, not looked at one by one.
    pub estimated: bool,
    pub tables: Vec<TableChanges>,
}

/// A table that two nodes have differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Mismatch {
    /// Logical name.
    pub database: String,
    /// Its table.
    pub table: String,
    /// In which way.
    pub kind: MismatchKind,
    /// What differs and where, with the names of the servers.
    pub says: String,
    /// This node is the one that lacks it: its application's migration has to run.
    pub here: bool,
}

/// What a sync with one peer would do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PlanView {
    /// What this node calls it.
    pub peer: String,
    /// The plan's hash: what is applied is this or nothing.
    pub plan: String,
    /// When it was made.
    pub at: Millis,
    /// What would change here.
    pub incoming: Changes,
    /// What would change there.
    pub outgoing: Changes,
    /// The plan deletes so much that a person has to see it again.
    pub many_deletes: bool,
    /// Tables that the two sides have differently.
    pub mismatches: Vec<Mismatch>,
}

/// One change of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PlanRow {
    /// Names the change inside its plan.
    pub id: String,
    /// Which row.
    pub row: RowName,
    /// What happens to it.
    pub operation: Operation,
    /// Who wrote it last, by server name; null: not known here.
    pub from: Option<String>,
    /// Who gets it.
    pub to: String,
    /// The columns that change.
    pub columns: Vec<String>,
    /// When it was written; null: not known here.
    pub at: Option<Millis>,
    /// A conflict would be recorded.
    pub conflict: bool,
    /// It would wait, for this reason.
    pub held: Option<HoldReason>,
    /// The local id it gets instead of the one of its birthplace.
    pub moves_to: Option<String>,
}

/// Which changes of a plan are applied; the others are held as under `review`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(Serialize, ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub(crate) enum Choice {
    /// All of them.
    All,
    /// All but these.
    AllBut {
        /// The changes that are put aside.
        ids: Vec<String>,
    },
    /// These only.
    Only {
        /// The changes that are applied.
        ids: Vec<String>,
    },
}

/// With whom.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanAsk {
    peer: String,
}

/// `DB.TABLE`
pub(crate) fn parted(name: &str) -> (String, String) {
    let (database, table) = name.split_once('.').unwrap_or((name, ""));
    (database.to_owned(), table.to_owned())
}

fn table_changes(t: NodeTable) -> TableChanges {
    let (database, table) = parted(&t.name);
    TableChanges {
        database,
        table,
        inserts: Count(t.inserts),
        updates: Count(t.updates),
        deletes: Count(t.deletes),
        conflicts: Count(t.conflicts),
        held: Count(t.held),
        id_moves: Count(t.id_moves),
    }
}

fn changes(c: NodeChanges) -> Changes {
    Changes {
        inserts: Count(c.inserts),
        updates: Count(c.updates),
        deletes: Count(c.deletes),
        conflicts: Count(c.conflicts),
        held: Count(c.held),
        id_moves: Count(c.id_moves),
        estimated: c.estimated,
        tables: c.tables.into_iter().map(table_changes).collect(),
    }
}

/// What two nodes have differently, as the page shows it.
pub(crate) fn mismatch(m: lockstep_node::mismatch::Mismatch) -> Mismatch {
    let (database, table) = parted(&m.table);
    Mismatch { database, table, kind: MismatchKind::named(m.kind), says: m.says, here: m.here }
}

async fn peer_of(app: &AppHandle, name: String) -> Result<(Arc<Node>, Peer), Failure> {
    shell::of(app)
        .home
        .ask(move |node| {
            let peer = node.state().peer(&name)?;
            Ok((node, peer))
        })
        .await
}

fn told(error: lockstep_node::Error) -> Failure {
    error::failure(error.problem())
}

/// What a sync with that peer would do now, as `lockstep preview`. Changes no row.
#[tauri::command]
pub(crate) async fn plan(app: AppHandle, ask: PlanAsk) -> Result<PlanView, Failure> {
    let (node, peer) = peer_of(&app, ask.peer).await?;
    let preview = node.preview(&peer).await.map_err(told)?;
    let mut incoming = changes(preview.incoming);
    let mut many_deletes = false;
    if !incoming.estimated {
        // What the guard would hold is no delete of the plan's counts, and yet what a person is asked about.
        for row in rows(&node, &peer, &preview.plan, PlanSpan::default()).await?.rows {
            if row.held == Some(GUARD) {
                many_deletes = true;
                let of = |t: &&mut TableChanges| t.database == row.database && t.table == row.table;
                match incoming.tables.iter_mut().find(of) {
                    Some(table) => table.deletes = Count(table.deletes.0 + 1),
                    None => incoming.tables.push(table_changes(NodeTable {
                        name: format!("{}.{}", row.database, row.table),
                        deletes: 1,
                        ..NodeTable::default()
                    })),
                }
                incoming.deletes = Count(incoming.deletes.0 + 1);
            }
        }
    }
    Ok(PlanView {
        peer: preview.peer,
        plan: preview.plan,
        at: Millis(node.now().0),
        incoming,
        outgoing: changes(preview.outgoing),
        many_deletes,
        mismatches: preview.mismatches.into_iter().map(mismatch).collect(),
    })
}

async fn rows(node: &Arc<Node>, peer: &Peer, plan: &str, span: PlanSpan) -> Result<PlanPage, Failure> {
    let span = PlanSpan { limit: if span.limit == 0 { usize::MAX } else { span.limit }, ..span };
    node.plan_page(peer, plan, span).await.map_err(told)
}

/// Which rows of a plan.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanRowsAsk {
    peer: String,
    plan: String,
    direction: Direction,
    operation: Option<Operation>,
    filter: Filter,
    offset: usize,
    limit: usize,
}

/// The plan's rows. `plan_moved` when both sides don't stand where they stood.
#[tauri::command]
pub(crate) async fn plan_rows(app: AppHandle, ask: PlanRowsAsk) -> Result<Page<PlanRow>, Failure> {
    let (node, peer) = peer_of(&app, ask.peer).await?;
    let span = PlanSpan {
        direction: Some(ask.direction.word().to_owned()),
        table: ask.filter.table,
        operation: ask.operation.map(|o| o.word().to_owned()),
        text: Some(ask.filter.text.trim().to_owned()).filter(|text| !text.is_empty()),
        offset: ask.offset,
        limit: ask.limit.clamp(1, 200),
    };
    let name = node.name().map_err(told)?;
    let page = rows(&node, &peer, &ask.plan, span).await?;
    let to = if ask.direction == Direction::Incoming { &name } else { &peer.name };
    let row = |r: PlanEntry| PlanRow {
        row: RowName::of(&r.database, &r.table, &r.key),
        operation: Operation::named(r.operation),
        from: r.from,
        to: to.clone(),
        columns: r.columns.into_iter().map(|c| c.name).collect(),
        at: r.at.map(moment),
        conflict: r.conflict,
        held: r.held.map(HoldReason::of),
        moves_to: r.moves_to.map(|id| id.to_string()),
        id: r.id,
    };
    Ok(Page { items: page.rows.into_iter().map(row).collect(), total: Count(page.total) })
}

/// One change of a plan.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanRowAsk {
    peer: String,
    plan: String,
    id: String,
    reveal: bool,
}

/// One change of the plan, column by column. Values are known of what is incoming.
#[tauri::command]
pub(crate) async fn plan_row(app: AppHandle, ask: PlanRowAsk) -> Result<Vec<ColumnDiff>, Failure> {
    let (node, peer) = peer_of(&app, ask.peer).await?;
    let page = rows(&node, &peer, &ask.plan, PlanSpan::default()).await?;
    let row = page.rows.into_iter().find(|r| r.id == ask.id).ok_or_else(|| Failure {
        code: "unknown_change".to_owned(),
        message: "The plan has no such change.".to_owned(),
        hint: Some("Look at the plan again.".to_owned()),
    })?;
    Ok(row.columns.into_iter().map(|c| diff(c, row.operation, row.direction, ask.reveal)).collect())
}

fn diff(c: PlanColumn, operation: &str, direction: &str, reveal: bool) -> ColumnDiff {
    let known = direction == "incoming";
    let cell = |value, there: bool| (known && there).then(|| Cell::of(&c.name, value, reveal));
    ColumnDiff {
        before: cell(&c.before, operation != "insert"),
        after: cell(&c.after, operation != "delete"),
        changed: true,
        column: c.name.clone(),
    }
}

/// A plan, and which changes of it.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyAsk {
    peer: String,
    plan: String,
    choice: Choice,
}

/// Applies exactly that plan or nothing (`plan_moved`), as `lockstep sync --plan`.
#[tauri::command]
pub(crate) async fn apply_plan(app: AppHandle, ask: ApplyAsk) -> Result<RunView, Failure> {
    let shell = shell::of(&app);
    let session = shell.begin()?;
    shell.look_again();
    let done = async {
        let (node, peer) = peer_of(&app, ask.peer).await?;
        let hold = match ask.choice {
            Choice::All => Vec::new(),
            Choice::AllBut { ids } => ids,
            Choice::Only { ids } => {
                let span = PlanSpan { direction: Some("incoming".to_owned()), ..PlanSpan::default() };
                let chosen: BTreeSet<String> = ids.into_iter().collect();
                let all = rows(&node, &peer, &ask.plan, span).await?.rows;
                all.into_iter().map(|r| r.id).filter(|id| !chosen.contains(id)).collect()
            }
        };
        node.sync_plan(&peer, &ask.plan, &hold).await.map_err(told)
    };
    let entry = done.await;
    drop(session);
    shell.changed(&app);
    Ok(RunView { peers: vec![peer_run_view(entry?)] })
}

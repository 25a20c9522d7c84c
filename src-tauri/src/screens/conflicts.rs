//! The conflicts: both sides of each, and what a person decides.

use super::shapes::{Cell, Filter, Page, RowName, moment};
use super::words::ConflictKind;
use crate::error::{self, Failure};
use crate::shell;
use crate::view::{Count, Millis};
use lockstep_node::alike::is_alike;
use lockstep_node::conflicts::{ConflictEntry, Kept, Resolution, ShownConflict};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tauri::AppHandle;

/// One conflict in the list. A is what stands, or under `review` the later write; B is the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ConflictRow {
    /// Its id.
    pub id: String,
    /// `update_update`, …
    pub kind: ConflictKind,
    /// Which row.
    pub row: RowName,
    /// The server that wrote A.
    pub a: String,
    /// The server that wrote B.
    pub b: String,
    /// The columns in conflict; empty: the row itself.
    pub columns: Vec<String>,
    /// Where it stands.
    pub state: ConflictState,
    /// When it was found.
    pub at: Millis,
    /// A decision can be taken back.
    pub undoable: bool,
}

/// `held`: needs a decision. `auto`: decided by rule, nobody has looked. `reviewed`: looked at, or decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub(crate) enum ConflictState {
    Held,
    Auto,
    Reviewed,
}

/// Some of them, and how many each tab has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ConflictPage {
    /// At most 200.
    pub items: Vec<ConflictRow>,
    /// How many there are in all, as filtered.
    pub total: Count,
    /// How many each tab has, unfiltered.
    pub counts: Tabs,
}

/// How many each tab has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[allow(missing_docs)]
pub(crate) struct Tabs {
    pub held: Count,
    pub auto: Count,
    pub reviewed: Count,
}

/// A side of a conflict: who wrote it, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ConflictSide {
    /// The server.
    pub node: String,
    /// When it wrote it.
    pub at: Option<Millis>,
    /// That side deleted the row.
    pub deleted: bool,
}

/// One column of the row in conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ConflictColumn {
    /// Its name.
    pub column: String,
    /// The sides differ here.
    pub differs: bool,
    /// What both had in common.
    pub base: Option<Cell>,
    /// What A wrote.
    pub a: Option<Cell>,
    /// What B wrote.
    pub b: Option<Cell>,
    /// What the row shows now.
    pub now: Option<Cell>,
}

/// A conflict with both its sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ConflictView {
    /// As in the list.
    pub conflict: ConflictRow,
    /// One sentence: why it is one, and what was done.
    pub why: String,
    /// What stands.
    pub a: ConflictSide,
    /// The other.
    pub b: ConflictSide,
    /// All columns of the row, the differing first.
    pub columns: Vec<ConflictColumn>,
    /// The row shows neither side any more: deciding would replace a later write.
    pub changed_since: bool,
    /// Undecided conflicts of the same kind, table and columns, this one included.
    pub alike: Count,
}

/// A side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(Serialize, ts_rs::TS))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub(crate) enum Side {
    A,
    B,
}

impl Side {
    pub(crate) fn kept(self) -> Kept {
        match self {
            Side::A => Kept::Winner,
            Side::B => Kept::Loser,
        }
    }
}

/// A decision: a side for the whole row, or for each differing column.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(Serialize, ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    id: String,
    keep: Keep,
}

/// What is kept of a conflict.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(Serialize, ts_rs::TS))]
#[serde(rename_all = "lowercase", tag = "kind", deny_unknown_fields)]
pub(crate) enum Keep {
    /// One side, whole.
    Side {
        /// Which.
        side: Side,
    },
    /// Column by column.
    Columns {
        /// Those that differ.
        columns: Vec<ColumnChoice>,
    },
}

/// A side for one column.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(Serialize, ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnChoice {
    column: String,
    side: Side,
}

/// What came of decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Decided {
    /// The conflicts that are settled now.
    pub decided: Vec<String>,
    /// How many rows and columns were written.
    pub written: Count,
    /// Those that were not settled.
    pub refused: Vec<Refused>,
}

/// A conflict that was not settled, and why. `row_changed` can be decided again with `anyway`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Refused {
    /// Which.
    pub id: String,
    /// Why.
    pub failure: Failure,
}

/// Which conflicts are asked for.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ConflictsAsk {
    state: ConflictState,
    filter: Filter,
    offset: usize,
    limit: usize,
}

/// Conflicts, the newest first in each database.
#[tauri::command]
pub(crate) async fn conflicts(app: AppHandle, ask: ConflictsAsk) -> Result<ConflictPage, Failure> {
    let all = shell::of(&app).home.ask(|node| node.conflicts(true)).await?;
    let rows: Vec<ConflictRow> = all.into_iter().map(row).collect();
    let count = |state| Count(rows.iter().filter(|r| r.state == state).count() as u64);
    let counts = Tabs {
        held: count(ConflictState::Held),
        auto: count(ConflictState::Auto),
        reviewed: count(ConflictState::Reviewed),
    };
    let wanted = rows.into_iter().filter(|r| r.state == ask.state && ask.filter.takes(&r.row, &r.columns)).collect();
    let Page { items, total } = Page::of(wanted, ask.offset, ask.limit);
    Ok(ConflictPage { items, total, counts })
}

/// Which one.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ConflictAsk {
    id: String,
    reveal: bool,
}

/// One conflict with both its sides.
#[tauri::command]
pub(crate) async fn conflict(app: AppHandle, ask: ConflictAsk) -> Result<ConflictView, Failure> {
    let ConflictAsk { id, reveal } = ask;
    let asked = shell::of(&app).home.ask(move |node| Ok((node.conflict(&id)?, node.conflicts(false)?))).await;
    let (shown, open) = asked?;
    let alike = open.iter().filter(|c| is_alike(c, &shown.conflict)).count().max(1);
    Ok(view(shown, Count(alike as u64), reveal))
}

fn row(c: ConflictEntry) -> ConflictRow {
    ConflictRow {
        row: RowName::of(&c.database, &c.table, &c.key),
        id: c.id,
        kind: ConflictKind::named(c.kind),
        a: c.winner.unwrap_or_else(|| "another server".to_owned()),
        b: c.loser.unwrap_or_else(|| "another server".to_owned()),
        columns: c.columns,
        state: match c.state {
            "held" => ConflictState::Held,
            "auto" => ConflictState::Auto,
            _ => ConflictState::Reviewed,
        },
        at: moment(c.at),
        undoable: c.decided.is_some_and(|d| d.kept != "seen"),
    }
}

fn view(shown: ShownConflict, alike: Count, reveal: bool) -> ConflictView {
    let ShownConflict { conflict: entry, base, winner, loser, row: now } = shown;
    let side = |at: Option<jiff::Timestamp>, node: Option<&String>, deleted| ConflictSide {
        node: node.cloned().unwrap_or_else(|| "another server".to_owned()),
        at: at.map(moment),
        deleted,
    };
    let a = side(entry.winner_at, entry.winner.as_ref(), entry.kind == "delete_update");
    let b = side(entry.loser_at, entry.loser.as_ref(), entry.kind == "update_delete");
    let names: BTreeSet<&String> = [&base, &winner, &loser, &now].into_iter().flat_map(|side| side.keys()).collect();
    let mut columns: Vec<ConflictColumn> = names
        .into_iter()
        .map(|name| {
            let cell = |side: &BTreeMap<String, Value>| side.get(name).map(|value| Cell::of(name, value, reveal));
            let differs = match (winner.get(name), loser.get(name)) {
                (Some(a), Some(b)) => a != b,
                (a, b) => a.is_some() != b.is_some() && entry.columns.contains(name),
            };
            ConflictColumn {
                differs,
                base: cell(&base),
                a: cell(&winner),
                b: cell(&loser),
                now: cell(&now),
                column: name.clone(),
            }
        })
        .collect();
    columns.sort_by_key(|c| !c.differs);
    let neither = |column: &String| {
        now.get(column).is_some_and(|value| winner.get(column) != Some(value) && loser.get(column) != Some(value))
    };
    let changed_since = entry.columns.iter().any(neither);
    ConflictView { why: entry.why.clone(), a, b, columns, changed_since, alike, conflict: row(entry) }
}

/// What was decided.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct DecideAsk {
    decisions: Vec<Decision>,
    anyway: bool,
}

/// Settles these, each as a new write.
#[tauri::command]
pub(crate) async fn decide(app: AppHandle, ask: DecideAsk) -> Result<Decided, Failure> {
    let resolution = |Decision { id, keep }: Decision| match keep {
        Keep::Side { side } => Resolution { id, keep: side.kept(), columns: BTreeMap::new(), anyway: ask.anyway },
        Keep::Columns { columns } => {
            let columns = columns.into_iter().map(|c| (c.column, c.side.kept())).collect();
            Resolution { id, keep: Kept::Winner, columns, anyway: ask.anyway }
        }
    };
    settle(&app, ask.decisions.into_iter().map(resolution).collect()).await
}

/// Each by itself, so that one that is refused does not keep the others.
pub(crate) async fn settle(app: &AppHandle, resolutions: Vec<Resolution>) -> Result<Decided, Failure> {
    let shell = shell::of(app);
    let decided = shell.home.ask(move |node| {
        let mut all = Decided::default();
        for resolution in resolutions {
            match node.resolve(std::slice::from_ref(&resolution)) {
                Ok(done) => {
                    all.written = Count(all.written.0 + done.iter().map(|d| d.written).sum::<u64>());
                    all.decided.push(resolution.id);
                }
                Err(e) => {
                    let failure = error::failure(e.problem());
                    all.refused.push(Refused { id: resolution.id, failure });
                }
            }
        }
        Ok(all)
    });
    let decided = decided.await?;
    shell.changed(app);
    Ok(decided)
}

/// Which one, and whether also where the row has changed since.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct UndoAsk {
    id: String,
    anyway: bool,
}

/// Takes a decision back, as a new write of what stood before it.
#[tauri::command]
pub(crate) async fn undo(app: AppHandle, ask: UndoAsk) -> Result<Decided, Failure> {
    let UndoAsk { id, anyway } = ask;
    settle(&app, vec![Resolution { id, keep: Kept::Winner, columns: BTreeMap::new(), anyway }]).await
}

/// Which ones; null: all that were decided automatically.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewedAsk {
    ids: Option<Vec<String>>,
}

/// Marks as looked at. Gives how many had not been.
#[tauri::command]
pub(crate) async fn mark_reviewed(app: AppHandle, ask: ReviewedAsk) -> Result<Count, Failure> {
    let shell = shell::of(&app);
    let marked = shell.home.ask(move |node| node.reviewed(ask.ids.as_deref())).await?;
    shell.changed(&app);
    Ok(Count(marked))
}

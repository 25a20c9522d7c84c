//! One decision for all conflicts of a kind, shown before it is done.

use super::conflicts::{Decided, Side, settle};
use super::shapes::{Cell, ColumnDiff, RowName};
use crate::error::Failure;
use crate::shell;
use crate::view::Count;
use serde::{Deserialize, Serialize};
use tauri::AppHandle;

/// What keeping a side in all conflicts like one would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AlikeView {
    /// Names this very set: it is decided as shown, or nothing is.
    pub plan: String,
    /// How many there are.
    pub conflicts: Count,
    /// The first 200 of them.
    pub rows: Vec<AlikeRow>,
}

/// One of them: what is shown now, and what would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AlikeRow {
    /// The conflict.
    pub id: String,
    /// Its row.
    pub row: RowName,
    /// Its columns.
    pub columns: Vec<ColumnDiff>,
}

/// Which one, and which side.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct AlikeAsk {
    id: String,
    side: Side,
    reveal: bool,
}

/// What keeping that side in all conflicts like this one would do. Changes nothing.
#[tauri::command]
pub(crate) async fn alike(app: AppHandle, ask: AlikeAsk) -> Result<AlikeView, Failure> {
    let AlikeAsk { id, side, reveal } = ask;
    let all = shell::of(&app).home.ask(move |node| node.alike(&id, side.kept())).await?;
    let rows = all.rows.into_iter().map(|r| AlikeRow {
        row: RowName::of(&r.conflict.database, &r.conflict.table, &r.conflict.key),
        columns: r
            .columns
            .into_iter()
            .map(|(column, now, then)| ColumnDiff {
                before: Some(Cell::of(&column, &now, reveal)),
                after: Some(Cell::of(&column, &then, reveal)),
                changed: now != then,
                column,
            })
            .collect(),
        id: r.conflict.id,
    });
    Ok(AlikeView { plan: all.plan, conflicts: Count(all.conflicts), rows: rows.collect() })
}

/// Which set, and which side.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct DecideAlikeAsk {
    id: String,
    side: Side,
    plan: String,
}

/// Does it, to exactly the set that was shown (`plan_moved`).
#[tauri::command]
pub(crate) async fn decide_alike(app: AppHandle, ask: DecideAlikeAsk) -> Result<Decided, Failure> {
    let DecideAlikeAsk { id, side, plan } = ask;
    let decisions = shell::of(&app).home.ask(move |node| node.decide_alike(&id, side.kept(), &plan)).await?;
    settle(&app, decisions).await
}

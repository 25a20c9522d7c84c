//! What is held, and why: the quarantine, and the delete guard's.

use super::conflicts::Refused;
use super::shapes::{Cell, ColumnDiff, Filter, Page, RowName, moment};
use super::words::HoldReason;
use crate::error::{Failure, failure};
use crate::shell;
use crate::view::{Count, Millis};
use lockstep_node::quarantine::{GUARD, HeldEntry};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tauri::AppHandle;

/// A change that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct HeldRow {
    /// Its id.
    pub id: String,
    /// Why it waits, in a word.
    pub reason: HoldReason,
    /// Which row.
    pub row: RowName,
    /// The columns that wait; empty: the whole row.
    pub columns: Vec<String>,
    /// The server that wrote it.
    pub from: String,
    /// Since when.
    pub at: Millis,
    /// One sentence: what it waits for.
    pub says: String,
    /// How many other held changes wait for this one.
    pub dependents: Count,
    /// A person may let it through as it is.
    pub allowable: bool,
}

/// What trying again did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Retried {
    /// So many are applied now.
    pub applied: Count,
    /// So many wait still.
    pub held: Count,
}

/// Which part of the quarantine.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct QuarantineAsk {
    reason: Option<HoldReason>,
    filter: Filter,
    offset: usize,
    limit: usize,
}

/// What is held.
#[tauri::command]
pub(crate) async fn quarantine(app: AppHandle, ask: QuarantineAsk) -> Result<Page<HeldRow>, Failure> {
    let held = shell::of(&app).home.ask(|node| node.quarantine()).await?;
    let waiting: Vec<Option<String>> = held.iter().map(|h| h.waits_for.clone()).collect();
    let rows = held.into_iter().map(|h| row(h, &waiting));
    let wanted = rows.filter(|h| ask.reason.is_none_or(|r| r == h.reason));
    let wanted = wanted.filter(|h| ask.filter.takes(&h.row, &h.columns)).collect();
    Ok(Page::of(wanted, ask.offset, ask.limit))
}

fn row(held: HeldEntry, waiting: &[Option<String>]) -> HeldRow {
    let dependents = waiting.iter().filter(|w| w.as_ref() == Some(&held.id)).count();
    HeldRow {
        row: RowName::of(&held.database, &held.table, &held.key),
        reason: HoldReason::of(held.reason),
        columns: held.columns,
        from: held.by.unwrap_or_else(|| "another server".to_owned()),
        at: moment(held.at),
        says: says(held.reason).to_owned(),
        dependents: Count(dependents as u64),
        allowable: matches!(held.reason, "clock" | GUARD | "review"),
        id: held.id,
    }
}

/// What a held change waits for, and what a person can do.
pub(crate) fn says(reason: &str) -> &'static str {
    match reason {
        "missing_parent" => "The row that it refers to has not come yet; it is applied by itself once that is here.",
        "table_missing" => "This node has no such table; it is applied by itself after the application's migration.",
        "column_missing" => "This node has no such column; it is applied by itself after the application's migration.",
        "config_differs" => "The two nodes are configured differently for this table; make both alike.",
        "clock" => "It is stamped far in the future; it is applied when that time comes, or when you let it through.",
        "unique" => "Another row here has the same unique key; change one of the two, or decide the conflict.",
        "parent_deleted" => "Rows here still refer to what was deleted elsewhere; decide the conflict.",
        "constraint" => "It would break a rule of the table; decide the conflict.",
        GUARD => "So many deletes came at once that a person has to let them through.",
        "review" | "update_update" => "This table is reviewed: decide which side shall stand.",
        _ => "Decide the conflict that it belongs to.",
    }
}

/// Which one; null: all.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryAsk {
    id: Option<String>,
}

/// Tries one again, or all.
#[tauri::command]
pub(crate) async fn retry_held(app: AppHandle, ask: RetryAsk) -> Result<Retried, Failure> {
    let shell = shell::of(&app);
    let done = shell.home.ask(move |node| node.quarantine_retry(ask.id.as_deref())).await?;
    shell.changed(&app);
    Ok(Retried { applied: Count(done.applied), held: Count(done.held) })
}

/// Which ones, by their whole ids.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowAsk {
    ids: Vec<String>,
}

/// What letting through did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Allowed {
    /// So many passed.
    pub allowed: Count,
    /// So many wait still, of all that is held.
    pub held: Count,
    /// What can't pass, and why.
    pub refused: Vec<Refused>,
}

/// Lets these through. One that can't pass keeps back none of the others.
#[tauri::command]
pub(crate) async fn allow_held(app: AppHandle, ask: AllowAsk) -> Result<Allowed, Failure> {
    let shell = shell::of(&app);
    let asked = shell.home.ask(move |node| Ok((node.quarantine_allow_all(&ask.ids)?, node.quarantine()?.len())));
    let (done, held) = asked.await?;
    shell.changed(&app);
    let mut view = Allowed { allowed: Count(0), held: Count(held as u64), refused: Vec::new() };
    for (id, written) in done {
        match written {
            Ok(_) => view.allowed.0 += 1,
            Err(error) => view.refused.push(Refused { id, failure: failure(error.problem()) }),
        }
    }
    Ok(view)
}

/// A set of deletes that the guard holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Guarded {
    /// Its id.
    pub id: String,
    /// Logical name.
    pub database: String,
    /// Its table.
    pub table: String,
    /// How many rows would go.
    pub rows: Count,
    /// Of so many.
    pub of: Count,
    /// The servers that deleted them.
    pub from: String,
    /// Since when they wait.
    pub at: Millis,
}

/// What the delete guard holds.
#[tauri::command]
pub(crate) async fn guarded(app: AppHandle) -> Result<Vec<Guarded>, Failure> {
    let (sets, held) = shell::of(&app).home.ask(|node| Ok((node.deletes()?, node.quarantine()?))).await?;
    let guarded = sets.into_iter().map(|set| {
        let (database, table) = set.table.split_once('.').unwrap_or((&set.table, ""));
        let rows = || held.iter().filter(|h| h.reason == GUARD && h.database == database && h.table == table);
        let from: BTreeSet<&str> = rows().filter_map(|h| h.by.as_deref()).collect();
        Guarded {
            database: database.to_owned(),
            table: table.to_owned(),
            rows: Count(set.rows),
            of: Count(set.of),
            from: from.into_iter().collect::<Vec<_>>().join(", "),
            at: rows().map(|h| moment(h.at)).min().unwrap_or(Millis(0)),
            id: set.id,
        }
    });
    Ok(guarded.collect())
}

/// Which set, and what is to become of it.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletesAsk {
    id: String,
    /// Their rows live, on every server; otherwise they are deleted here.
    keep: bool,
}

/// Lets exactly the deletes of one set through, or has their rows live, as `lockstep deletes`.
#[tauri::command]
pub(crate) async fn decide_deletes(app: AppHandle, ask: DeletesAsk) -> Result<(), Failure> {
    let shell = shell::of(&app);
    shell.home.ask(move |node| node.decide_deletes(&ask.id, ask.keep)).await?;
    shell.changed(&app);
    Ok(())
}

/// Which one.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldRowAsk {
    id: String,
    reveal: bool,
}

/// What a held change would do, column by column, those first that it changes.
#[tauri::command]
pub(crate) async fn held_row(app: AppHandle, ask: HeldRowAsk) -> Result<Vec<ColumnDiff>, Failure> {
    let HeldRowAsk { id, reveal } = ask;
    let row = shell::of(&app).home.ask(move |node| node.held_row(&id)).await?;
    let goes = row.held.is_empty();
    let names: BTreeSet<&String> = row.shown.keys().chain(row.held.keys()).collect();
    let mut columns: Vec<ColumnDiff> = names
        .into_iter()
        .map(|name| {
            let cell = |value| Cell::of(name, value, reveal);
            let (shown, held) = (row.shown.get(name), row.held.get(name));
            ColumnDiff {
                before: shown.map(cell),
                after: if goes { None } else { held.or(shown).map(cell) },
                changed: goes || held.is_some_and(|h| shown != Some(h)),
                column: name.clone(),
            }
        })
        .collect();
    columns.sort_by_key(|c| !c.changed);
    Ok(columns)
}

/// Which part of a set.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct GuardedRowsAsk {
    id: String,
    offset: usize,
    limit: usize,
}

/// The rows of one set that the delete guard holds.
#[tauri::command]
pub(crate) async fn guarded_rows(app: AppHandle, ask: GuardedRowsAsk) -> Result<Page<RowName>, Failure> {
    let (set, keys) = shell::of(&app).home.ask(move |node| node.guarded_rows(&ask.id)).await?;
    let (database, table) = set.table.split_once('.').unwrap_or((&set.table, ""));
    Ok(Page::of(keys.iter().map(|key| RowName::of(database, table, key)).collect(), ask.offset, ask.limit))
}

//! What is held and why, trying it again, letting it through; and the deletes that the guard holds.
//!
//! Always true here: keys and names of columns, no values. What waits for something to come is tried by itself when it
//! comes; what a person says here is carried out whole or not at all.
use crate::conflicts::{Resolved, readable_columns};
use crate::node::{Node, timestamp};
use crate::rows::{key, named};
use crate::{Error, Result};
use jiff::Timestamp;
use lockstep_engine::decide::Resolved as Resolution;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// So many held things pass in one transaction: the application waits for no longer.
const AT_ONCE: usize = 500;

/// A change that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldEntry {
    /// Its id.
    pub id: String,
    /// Why it waits.
    pub reason: &'static str,
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// The row's key here, if it has one.
    pub key: serde_json::Value,
    /// The columns that wait; empty: the whole row.
    pub columns: Vec<String>,
    /// Who wrote it.
    pub by: Option<String>,
    /// The id of a held row that has to come first, if that is held itself.
    pub waits_for: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

/// What something held would do. Values are as JSON shows them.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldRow {
    /// The row as it is shown here; empty: it is not.
    pub shown: BTreeMap<String, serde_json::Value>,
    /// What waits to be shown; empty: that the row goes.
    pub held: BTreeMap<String, serde_json::Value>,
}

/// Why the guard's deletes wait, in a word.
pub const GUARD: &str = "delete_guard";

/// What came of trying again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Retried {
    /// Rows that wait no more.
    pub applied: u64,
    /// Rows that still wait.
    pub held: u64,
}

/// The deletes of one table that the guard holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuardedDeletes {
    /// Names exactly these deletes.
    pub id: String,
    /// `DB.TABLE`
    pub table: String,
    /// Rows that would go.
    pub rows: u64,
    /// Rows that the table shows.
    pub of: u64,
}

impl Node {
    /// What is held, and why.
    pub fn quarantine(&self) -> Result<Vec<HeldEntry>> {
        let mut found = Vec::new();
        for database in self.state().databases()? {
            self.look(&database)?;
            let names = self.replica_names(&database)?;
            for h in self.with_database(&database, |db| db.held())? {
                found.push(HeldEntry {
                    id: h.id,
                    reason: h.reason.name(),
                    database: database.name.clone(),
                    table: h.table,
                    key: key(h.key.as_deref()),
                    columns: h.columns,
                    by: h.by.map(|r| named(&names, r)),
                    waits_for: h.waits_for,
                    at: timestamp(h.at),
                });
            }
        }
        Ok(found)
    }

    /// What something held would do: the row as it is shown here, and what waits to be shown.
    pub fn held_row(&self, id: &str) -> Result<HeldRow> {
        let (name, id) = self.held_as(id)?;
        let database = self.state().database(&name)?;
        let sides = self.with_database(&database, |db| db.conflict(&id))?.unwrap_or_default();
        Ok(HeldRow { shown: readable_columns(sides.row), held: readable_columns(sides.loser) })
    }

    /// The keys of the rows that a set of deletes would take.
    pub fn guarded_rows(&self, id: &str) -> Result<(GuardedDeletes, Vec<serde_json::Value>)> {
        let set = self.deletes()?.into_iter().find(|set| set.id == id).ok_or_else(|| unknown("set of deletes", id))?;
        let (database, table) = self.table_named(&set.table)?;
        let waits = |h: &HeldEntry| h.reason == GUARD && h.database == database.name && h.table == table;
        Ok((set, self.quarantine()?.into_iter().filter(waits).map(|h| h.key).collect()))
    }

    /// Tries to apply what waits: one thing, by its id or the beginning of it, or all.
    pub fn quarantine_retry(&self, id: Option<&str>) -> Result<Retried> {
        let mut done = Retried::default();
        let one = id.map(|id| self.held_as(id)).transpose()?;
        for database in self.state().databases()? {
            let ids = match &one {
                Some((name, _)) if *name != database.name => continue,
                Some((_, id)) => Some(vec![id.clone()]),
                None => None,
            };
            let retried = self.decide_in(&database.name, |db, now| db.retry(ids.as_deref(), now))?;
            done.applied += retried.applied;
            done.held += retried.held;
        }
        Ok(done)
    }

    /// Lets one held thing through; `anyway` also where other rows go with it.
    pub fn quarantine_allow(&self, id: &str, anyway: bool) -> Result<Resolved> {
        let (database, id) = self.held_as(id)?;
        let done = self.decide_in(&database, |db, now| db.allow(&id, anyway, now))?;
        Ok(Resolved { id: done.id, written: done.written })
    }

    /// Lets these held things through, by their whole ids. Gives of each how much was written, or why it can't pass, which
    /// keeps back none of the others.
    pub fn quarantine_allow_all(&self, ids: &[String]) -> Result<Vec<(String, Result<u64>)>> {
        let held = self.quarantine()?;
        let mut done = Vec::new();
        for database in self.state().databases()? {
            let here = |id: &&String| held.iter().any(|h| h.id == **id && h.database == database.name);
            let wanted: Vec<String> = ids.iter().filter(here).cloned().collect();
            for part in wanted.chunks(AT_ONCE) {
                let passed = self.decide_in(&database.name, |db, now| {
                    let one = |r: Resolution| (r.id, Ok(r.written));
                    if let Ok(all) = db.allow_all(part, false, now) {
                        return Ok(all.into_iter().map(one).collect::<Vec<_>>());
                    }
                    // One of them can't pass: it is told which, and the others do.
                    Ok(part
                        .iter()
                        .map(|id| db.allow(id, false, now).map_or_else(|e| (id.clone(), Err(e)), one))
                        .collect())
                })?;
                let told = |e| Error::engine(&database.name, e);
                done.extend(passed.into_iter().map(|(id, written)| (id, written.map_err(told))));
            }
        }
        let passed: BTreeSet<String> = done.iter().map(|(id, _)| id.clone()).collect();
        let gone = ids.iter().filter(|id| !passed.contains(*id));
        done.extend(gone.map(|id| (id.clone(), Err(unknown("held change", id)))));
        Ok(done)
    }

    /// Lets through everything that was put aside by a person, or of a peer: that which its own node wrote. Gives how many
    /// rows that concerned.
    pub fn quarantine_allow_reviewed(&self, peer: Option<&str>) -> Result<u64> {
        let of = match peer {
            Some(name) => {
                let peer = self.state().peer(name)?.node;
                let replicas = self.state().replicas()?.into_iter().filter(|(_, node)| *node == peer);
                Some(replicas.map(|(replica, _)| replica).collect::<Vec<_>>())
            }
            None => None,
        };
        let mut rows = 0;
        for database in self.state().databases()? {
            rows += self.decide_in(&database.name, |db, now| db.allow_reviewed(of.as_deref(), now))?;
        }
        Ok(rows)
    }

    /// What the delete guard holds.
    pub fn deletes(&self) -> Result<Vec<GuardedDeletes>> {
        let mut found = Vec::new();
        for database in self.state().databases()? {
            for g in self.with_database(&database, |db| db.guarded())? {
                let table = format!("{}.{}", database.name, g.table);
                found.push(GuardedDeletes { id: g.id, table, rows: g.rows, of: g.of });
            }
        }
        Ok(found)
    }

    /// Lets exactly these deletes through on this node, or, with `keep`, lets their rows live on every node. Gives how
    /// many rows that concerned.
    pub fn decide_deletes(&self, id: &str, keep: bool) -> Result<u64> {
        let all = self.deletes()?;
        let mut found = all.iter().filter(|g| g.id.starts_with(id));
        let (Some(one), None) = (found.next(), found.next()) else { return Err(unknown("set of deletes", id)) };
        let (database, _) = self.table_named(&one.table)?;
        self.decide_in(&database.name, |db, now| db.decide_deletes(&one.id, keep, now))
    }

    /// The database and the whole id of something held.
    fn held_as(&self, id: &str) -> Result<(String, String)> {
        let all = self.quarantine()?;
        let mut found = all.into_iter().filter(|h| h.id.starts_with(id));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok((one.database, one.id)),
            _ => Err(unknown("held change", id)),
        }
    }
}

fn unknown(what: &'static str, name: &str) -> Error {
    crate::state::Error::Unknown { what, name: name.to_owned() }.into()
}

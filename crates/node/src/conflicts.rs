//! Conflicts: what clashed, both sides of one, and what a person decides about them.
//!
//! Always true here: values are read only where a person asks to see one conflict; a decision names (conflict, column,
//! side) and brings no value of its own. Not here: what a decision writes (the engine).
use crate::engine::ConflictState;
use crate::node::{Node, timestamp};
use crate::rows::{key, named, readable};
use crate::{Error, Result};
use jiff::Timestamp;
use lockstep_engine::change::ConflictKind;
use lockstep_engine::conflict::Columns;
use lockstep_engine::decide::{Choice, Keep, Side};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConflictEntry {
    /// Its id: one settled by a rule, or held under `review`, has the same on every node.
    pub id: String,
    /// `update_update`, …
    pub kind: &'static str,
    /// One sentence: why it is one, and what was done.
    pub why: String,
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// The row's key here.
    pub key: serde_json::Value,
    /// Who wrote what stands; under `review` the later side. None: not known.
    pub winner: Option<String>,
    /// When that was written.
    pub winner_at: Option<Timestamp>,
    /// Who wrote what does not stand, or waits.
    pub loser: Option<String>,
    /// When that was written.
    pub loser_at: Option<Timestamp>,
    /// The columns in conflict; empty: the row itself.
    pub columns: Vec<String>,
    /// `held`, `auto`, `reviewed`.
    pub state: &'static str,
    /// What a person said last.
    pub decided: Option<Decided>,
    /// When it was found.
    pub at: Timestamp,
}

/// What a person said about a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// The node on which it was said.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// `seen` (nothing was changed), `winner`, `loser`, `mixed`.
    pub kept: &'static str,
}

/// A conflict with both its sides. Values are as JSON shows them; what it can't is described.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownConflict {
    /// As in the list.
    pub conflict: ConflictEntry,
    /// What both sides had in common.
    pub base: BTreeMap<String, serde_json::Value>,
    /// What stands.
    pub winner: BTreeMap<String, serde_json::Value>,
    /// What lost, or waits.
    pub loser: BTreeMap<String, serde_json::Value>,
    /// The whole row as it is shown here now; empty: it is not.
    pub row: BTreeMap<String, serde_json::Value>,
}

/// Which side of a conflict, or of one of its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// What stands; under `review` the later write.
    Winner,
    /// The other.
    Loser,
}

/// What to do about one conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// Its id, or the beginning of it.
    pub id: String,
    /// The side for every column that `columns` does not name.
    pub keep: Kept,
    /// Sides for single columns.
    #[serde(default)]
    pub columns: BTreeMap<String, Kept>,
    /// Also if the row has changed since, or other rows go with it.
    #[serde(default)]
    pub anyway: bool,
}

/// What was done about one conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// Its id.
    pub id: String,
    /// Columns and rows that were written; 0: what was chosen stood already.
    pub written: u64,
}

impl Node {
    /// Conflicts, the newest first in each database; without `all`, those that nobody has looked at.
    pub fn conflicts(&self, all: bool) -> Result<Vec<ConflictEntry>> {
        let mut found = Vec::new();
        for database in self.state().databases()? {
            self.look(&database)?;
            let names = self.replica_names(&database)?;
            let name = |r: Option<_>| r.map(|r| named(&names, r));
            for c in self.with_database(&database, |db| db.conflicts())? {
                if !all && c.state == ConflictState::Reviewed {
                    continue;
                }
                found.push(ConflictEntry {
                    why: why(c.kind, c.state).to_owned(),
                    id: c.id,
                    kind: c.kind.name(),
                    database: database.name.clone(),
                    table: c.table,
                    key: key(c.key.as_deref()),
                    winner: name(c.winner),
                    winner_at: c.winner_at.map(timestamp),
                    loser: name(c.loser),
                    loser_at: c.loser_at.map(timestamp),
                    columns: c.columns,
                    state: match c.state {
                        ConflictState::Held => "held",
                        ConflictState::Auto => "auto",
                        ConflictState::Reviewed => "reviewed",
                    },
                    decided: c.said.map(|s| Decided {
                        by: named(&names, s.by),
                        at: timestamp(s.at),
                        kept: s.kept.name(),
                    }),
                    at: timestamp(c.at),
                });
            }
        }
        Ok(found)
    }

    /// One conflict with both its sides, by its id or the beginning of it.
    pub fn conflict(&self, id: &str) -> Result<ShownConflict> {
        let conflict = one_of(self.conflicts(true)?, id)?;
        let database = self.state().database(&conflict.database)?;
        let sides = self.with_database(&database, |db| db.conflict(&conflict.id))?.unwrap_or_default();
        Ok(ShownConflict {
            conflict,
            base: readable_columns(sides.base),
            winner: readable_columns(sides.winner),
            loser: readable_columns(sides.loser),
            row: readable_columns(sides.row),
        })
    }

    /// Decides conflicts: in each database all of those that were named, or none.
    pub fn resolve(&self, resolutions: &[Resolution]) -> Result<Vec<Resolved>> {
        let known = self.conflicts(true)?;
        let held = self.quarantine()?;
        let mut by_database: BTreeMap<String, Vec<Choice>> = BTreeMap::new();
        for r in resolutions {
            let places = known.iter().map(|c| (&c.id, &c.database));
            let places = places.chain(held.iter().map(|h| (&h.id, &h.database)));
            let mut found: Vec<_> = places.filter(|(id, _)| id.starts_with(&r.id)).collect();
            found.sort();
            found.dedup();
            let [(id, database)] = found[..] else { return Err(unknown_conflict(&r.id)) };
            let keep = if r.columns.is_empty() { Keep::All(side(r.keep)) } else { self.by_column(r, id, &known) };
            let choice = Choice { conflict: id.clone(), keep, anyway: r.anyway };
            by_database.entry(database.clone()).or_default().push(choice);
        }
        let mut done = Vec::new();
        for (database, choices) in by_database {
            let resolved = self.decide_in(&database, |db, now| db.resolve(&choices, now))?;
            done.extend(resolved.into_iter().map(|r| Resolved { id: r.id, written: r.written }));
        }
        Ok(done)
    }

    /// Sides of single columns; those not named take the side that is meant for the rest.
    fn by_column(&self, r: &Resolution, id: &str, known: &[ConflictEntry]) -> Keep {
        let about = known.iter().find(|c| c.id == id).map(|c| c.columns.clone()).unwrap_or_default();
        let rest = about.into_iter().filter(|c| !r.columns.keys().any(|n| n.eq_ignore_ascii_case(c)));
        let mut by: BTreeMap<String, Side> = rest.map(|c| (c, side(r.keep))).collect();
        by.extend(r.columns.iter().map(|(c, k)| (c.clone(), side(*k))));
        Keep::Columns(by)
    }

    /// Says of conflicts that they were looked at: of these, by their ids or the beginnings of them, or of all that a
    /// rule has settled. Gives how many had not been before.
    pub fn reviewed(&self, ids: Option<&[String]>) -> Result<u64> {
        let mut by_database: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if let Some(ids) = ids {
            let known: Vec<ConflictEntry> = self.conflicts(true)?.into_iter().filter(|c| c.state != "held").collect();
            for id in ids {
                let c = one_of(known.clone(), id)?;
                by_database.entry(c.database).or_default().push(c.id);
            }
        } else {
            by_database.extend(self.state().databases()?.into_iter().map(|d| (d.name, Vec::new())));
        }
        let mut n = 0;
        for (database, list) in by_database {
            let list = ids.map(|_| list.as_slice());
            n += self.decide_in(&database, |db, now| db.reviewed(list, now))?;
        }
        Ok(n)
    }

    /// Lets a person's decision be carried out in a database, and tells peers that wait for news.
    pub(crate) fn decide_in<T>(
        &self,
        database: &str,
        work: impl FnOnce(&mut crate::engine::Database, lockstep_engine::id::Millis) -> Result<T, crate::engine::Error>,
    ) -> Result<T> {
        let attached = self.state().database(database)?;
        let now = self.now();
        let (done, summary) = self.with_database(&attached, |db| {
            let done = work(db, now)?;
            Ok((done, db.summary()?))
        })?;
        self.stands(&attached.name, &summary);
        Ok(done)
    }
}

fn side(kept: Kept) -> Side {
    match kept {
        Kept::Winner => Side::Winner,
        Kept::Loser => Side::Loser,
    }
}

pub(crate) fn readable_columns(columns: Columns) -> BTreeMap<String, serde_json::Value> {
    columns.into_iter().map(|(c, v)| (c, readable_named(v))).collect()
}

/// A value, or a reference to a row that is not shown here.
pub(crate) fn readable_named(value: Option<lockstep_engine::value::Value>) -> serde_json::Value {
    value.map_or(serde_json::Value::Null, |v| readable(&v))
}

fn one_of(known: Vec<ConflictEntry>, id: &str) -> Result<ConflictEntry> {
    let mut found = known.into_iter().filter(|c| c.id.starts_with(id));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(unknown_conflict(id)),
    }
}

/// An unknown conflict, or the beginning of several.
fn unknown_conflict(id: &str) -> Error {
    crate::state::Error::Unknown { what: "conflict", name: id.to_owned() }.into()
}

/// Why it is a conflict, and what was done.
fn why(kind: ConflictKind, state: ConflictState) -> &'static str {
    let held = state == ConflictState::Held;
    match kind {
        ConflictKind::UpdateUpdate if held => "both changed it without having seen the other; you decide",
        ConflictKind::UpdateUpdate => "both changed it without having seen the other; the rule of the table chose",
        ConflictKind::UpdateDelete => {
            "one changed the row while the other deleted it; the change was later, so it lives"
        }
        ConflictKind::DeleteUpdate => {
            "one changed the row while the other deleted it; the delete was later, so it is gone"
        }
        ConflictKind::InsertInsert => "both entered the same row with different content; the later content stands",
        ConflictKind::Unique => "two rows have one unique key; each server goes on showing what it had",
        ConflictKind::MissingParent => "the row that it refers to has not come",
        ConflictKind::ParentDeleted => "the row was deleted elsewhere, and rows here still refer to it",
        ConflictKind::Constraint => "the merged row would break a rule of the table",
        ConflictKind::TableMissing => "the table is not here",
        ConflictKind::ColumnMissing => "the column is not here",
        ConflictKind::ConfigDiffers => "the two sides are configured differently",
        ConflictKind::Clock => "it was stamped far in the future",
        ConflictKind::IdCollision => "the id belonged to another row here, so it has another one",
        ConflictKind::DeleteGuard => "it is one of so many deletes that a person has to let them through",
        ConflictKind::Review => "you put it aside",
        ConflictKind::Difference => "both have received the same writes, yet the row is not the same; you decide",
    }
}

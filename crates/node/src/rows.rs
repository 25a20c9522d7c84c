//! Lists of rows: pending, in conflict, held. Keys and names of columns, and values only where a person asks to see
//! one conflict.
use crate::access::Access;
use crate::engine::{ConflictState, Operation, PendingRow};
use crate::node::{Node, timestamp};
use crate::state::{AttachedDatabase, Peer};
use crate::{Error, Result};
use jiff::Timestamp;
use lockstep_engine::id::{ReplicaId, Vectors};
use lockstep_wire::session::leave_out;
use serde::Serialize;
use std::collections::BTreeMap;

/// A row with a write that some peer does not have yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PendingEntry {
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// Its key here.
    pub key: serde_json::Value,
    /// `insert`, `update`, `delete`.
    pub operation: &'static str,
    /// Changed columns.
    pub columns: Vec<String>,
    /// When it was last written.
    pub at: Timestamp,
    /// The peers that don't have it.
    pub peers: Vec<String>,
}

/// A conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConflictEntry {
    /// Its id, the same on every node.
    pub id: String,
    /// `update_update`, …
    pub kind: &'static str,
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// The row's key here.
    pub key: serde_json::Value,
    /// Who wrote what stands.
    pub winner: String,
    /// Who wrote what does not.
    pub loser: String,
    /// The columns in conflict.
    pub columns: Vec<String>,
    /// `held`, `auto`, `reviewed`.
    pub state: &'static str,
    /// When it was found.
    pub at: Timestamp,
}

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
    /// The columns that wait.
    pub columns: Vec<String>,
}

fn key(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.to_owned()))
}

impl Node {
    /// Rows that some peer does not have yet. `table` is `DB.TABLE` or `DB`.
    pub fn pending(&self, table: Option<&str>) -> Result<Vec<PendingEntry>> {
        let (only, table) = match table {
            Some(what) => match what.split_once('.') {
                Some((database, table)) => (Some(database), Some(table)),
                None => (Some(what), None),
            },
            None => (None, None),
        };
        let mut found: BTreeMap<(String, String, String), PendingEntry> = BTreeMap::new();
        for database in self.state().databases()? {
            if only.is_some_and(|name| name != database.name) {
                continue;
            }
            self.look(&database)?;
            for peer in self.state().peers()? {
                let rows = self.pending_at(&database, &peer)?;
                for row in rows.into_iter().filter(|r| table.is_none_or(|t| t == r.table)) {
                    let place = (database.name.clone(), row.table.clone(), row.key.clone());
                    let entry = found.entry(place).or_insert_with(|| entry(&database.name, row));
                    entry.peers.push(peer.name.clone());
                }
            }
        }
        if let Some(name) = only {
            self.state().database(name)?;
        }
        Ok(found.into_values().collect())
    }

    /// The rows of a database that one peer lacks, as far as they are shared with it.
    pub(crate) fn pending_at(&self, database: &AttachedDatabase, peer: &Peer) -> Result<Vec<PendingRow>> {
        let access = Access::new(&self.state().shares(peer.node)?);
        if !access.names(&database.name) {
            return Ok(Vec::new());
        }
        let mut have = self.state().acknowledged(peer.node, &database.name)?;
        self.with_database(database, |db| {
            let own: Vectors = db.summary()?.tables.into_iter().map(|t| (t.name, t.vector)).collect();
            let withheld: Vec<String> = own.keys().filter(|t| !access.of(&database.name, t).sends()).cloned().collect();
            leave_out(&mut have, &own, &withheld);
            let lacks = |(table, vector): (&String, &lockstep_engine::id::Vector)| {
                vector.iter().any(|(r, seq)| have.get(table).and_then(|v| v.get(r)).is_none_or(|h| h < seq))
            };
            // Nothing is read where nothing is missing.
            if own.iter().any(lacks) { db.pending(&have) } else { Ok(Vec::new()) }
        })
    }

    /// Conflicts; without `all`, those that nobody has looked at.
    pub fn conflicts(&self, all: bool) -> Result<Vec<ConflictEntry>> {
        let names = self.replica_names()?;
        let mut found = Vec::new();
        for database in self.state().databases()? {
            self.look(&database)?;
            for c in self.with_database(&database, |db| db.conflicts())? {
                if !all && c.state == ConflictState::Reviewed {
                    continue;
                }
                found.push(ConflictEntry {
                    id: c.id,
                    kind: c.kind.name(),
                    database: database.name.clone(),
                    table: c.table,
                    key: key(&c.key),
                    winner: named(&names, &c.winner),
                    loser: named(&names, &c.loser),
                    columns: c.columns,
                    state: match c.state {
                        ConflictState::Held => "held",
                        ConflictState::Auto => "auto",
                        ConflictState::Reviewed => "reviewed",
                    },
                    at: timestamp(c.at),
                });
            }
        }
        Ok(found)
    }

    /// What is held, and why.
    pub fn quarantine(&self) -> Result<Vec<HeldEntry>> {
        let mut found = Vec::new();
        for database in self.state().databases()? {
            self.look(&database)?;
            for h in self.with_database(&database, |db| db.held())? {
                found.push(HeldEntry {
                    id: h.id,
                    reason: h.reason.name(),
                    database: database.name.clone(),
                    table: h.table,
                    key: key(&h.key),
                    columns: h.columns,
                });
            }
        }
        Ok(found)
    }

    /// Whose replica is whose: this node's own and those that peers have told.
    fn replica_names(&self) -> Result<BTreeMap<String, String>> {
        let me = self.name()?;
        let mut names = BTreeMap::new();
        for (replica, node) in self.state().replicas()? {
            let name = match self.state().peer_by_id(node)? {
                Some(peer) => peer.name,
                None if node == self.id() => me.clone(),
                None => continue,
            };
            names.insert(replica.to_string(), name);
        }
        Ok(names)
    }

    pub(crate) fn remember_replica(&self, replica: ReplicaId, node: crate::NodeId) -> Result<()> {
        Ok(self.state().add_replica(replica, node)?)
    }
}

fn named(names: &BTreeMap<String, String>, replica: &str) -> String {
    names.get(replica).cloned().unwrap_or_else(|| replica.chars().take(8).collect())
}

fn entry(database: &str, row: PendingRow) -> PendingEntry {
    PendingEntry {
        database: database.to_owned(),
        table: row.table,
        key: key(&row.key),
        operation: match row.operation {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Delete => "delete",
        },
        columns: row.columns,
        at: timestamp(row.at),
        peers: Vec::new(),
    }
}

/// An unknown conflict.
pub fn unknown_conflict(id: &str) -> Error {
    crate::state::Error::Unknown { what: "conflict", name: id.to_owned() }.into()
}

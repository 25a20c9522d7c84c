//! Lists of rows that are pending. Keys and names of columns, no values.
use crate::Result;
use crate::engine::{Operation, PendingRow};
use crate::identity::NodeId;
use crate::node::{Node, timestamp};
use crate::state::{AttachedDatabase, Peer};
use jiff::Timestamp;
use lockstep_engine::id::ReplicaId;
use lockstep_engine::value::Value;
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

/// So many rows are named; beyond that they are only counted.
const PENDING: usize = 5_000;

/// What a peer lacks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    /// Writes, at most.
    pub(crate) writes: u64,
    /// The first rows of them.
    pub(crate) rows: Vec<PendingRow>,
}

impl Pending {
    /// Are there more rows than are named?
    pub(crate) fn cut(&self) -> bool {
        self.rows.len() >= PENDING
    }
}

pub(crate) fn key(text: Option<&str>) -> serde_json::Value {
    text.map_or(serde_json::Value::Null, |text| {
        serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.to_owned()))
    })
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
                let rows = self.pending_at(&database, &peer)?.rows;
                for (n, row) in rows.into_iter().filter(|r| table.is_none_or(|t| t == r.table)).enumerate() {
                    // A row without a key here, or one that is gone, stands for itself.
                    let key = row.key.clone().unwrap_or_else(|| format!("{} {n}", peer.name));
                    let place = (database.name.clone(), row.table.clone(), key);
                    let entry = found.entry(place).or_insert_with(|| entry(&database.name, &row));
                    entry.merge(&row, &peer.name);
                }
            }
        }
        if let Some(name) = only {
            self.state().database(name)?;
        }
        Ok(found.into_values().collect())
    }

    /// What of a database one peer lacks, as far as it is shared with it.
    pub(crate) fn pending_at(&self, database: &AttachedDatabase, peer: &Peer) -> Result<Pending> {
        let access = self.state().access(peer.node)?;
        if !access.names(&database.name) {
            return Ok(Pending::default());
        }
        let mut have = self.state().acknowledged(peer.node, &database.name)?;
        let now = self.now();
        self.with_database(database, |db| {
            let own = db.vectors()?;
            let withheld: Vec<String> = own.keys().filter(|t| !access.gives(&database.name, t)).cloned().collect();
            leave_out(&mut have, &own, &withheld);
            let has =
                |table: &str, replica: &ReplicaId| have.get(table).and_then(|v| v.get(replica)).map_or(0, |s| s.0);
            let writes = own
                .iter()
                .flat_map(|(table, vector)| vector.iter().map(move |(r, seq)| seq.0.saturating_sub(has(table, r))))
                .sum();
            // Nothing is read where nothing is missing.
            let rows = if writes == 0 { Vec::new() } else { db.pending(&have, PENDING, now)? };
            Ok(Pending { writes, rows })
        })
    }

    /// How many writes a peer has of a database that this node lacks, by what the peer last said.
    pub(crate) fn coming_from(&self, database: &AttachedDatabase, peer: &Peer) -> Result<u64> {
        let access = self.state().access(peer.node)?;
        let own = self.with_database(database, crate::engine::Database::vectors)?;
        let has = |table: &str, replica: &ReplicaId| own.get(table).and_then(|v| v.get(replica)).map_or(0, |s| s.0);
        let told = self.state().last_told(peer.node, &database.name)?.into_iter().map(|(table, _)| table);
        let tables = told.filter(|t| access.of(&database.name, &t.name).receives());
        let lacks = tables.map(|t| t.vector.iter().map(|(r, s)| s.0.saturating_sub(has(&t.name, r))).sum::<u64>());
        Ok(lacks.sum())
    }

    /// Whose a database's replicas are: this node's own, its peers', by the names that they have here, and those of nodes
    /// that it never met, by the names that they gave themselves.
    pub(crate) fn replica_names(&self, database: &AttachedDatabase) -> Result<BTreeMap<ReplicaId, String>> {
        let hosts = self.with_database(database, |db| db.hosts())?;
        let hosts = hosts.into_iter().map(|(replica, host)| (replica, NodeId(host.node), Some(host.name)));
        let told = self.state().replicas()?.into_iter().map(|(replica, node)| (replica, node, None));
        let mut names = BTreeMap::new();
        for (replica, node, name) in hosts.chain(told) {
            let peer = self.state().peer_by_id(node)?.map(|peer| peer.name);
            let name = if node == self.id() { Some(self.name()?) } else { peer.or(name) };
            names.extend(name.map(|name| (replica, name)));
        }
        Ok(names)
    }

    /// Was it unknown before?
    pub(crate) fn remember_replica(&self, replica: ReplicaId, node: crate::NodeId) -> Result<bool> {
        Ok(self.state().add_replica(replica, node)?)
    }
}

pub(crate) fn named(names: &BTreeMap<ReplicaId, String>, replica: ReplicaId) -> String {
    names.get(&replica).cloned().unwrap_or_else(|| replica.to_string().chars().take(8).collect())
}

fn named_operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Insert => "insert",
        Operation::Update => "update",
        Operation::Delete => "delete",
    }
}

impl PendingEntry {
    /// Adds a further write to the same row. What made or ended the row says more than what changed in it.
    fn merge(&mut self, row: &PendingRow, peer: &str) {
        if self.operation == "update" || row.operation == Operation::Delete {
            self.operation = named_operation(row.operation);
        }
        for column in &row.columns {
            if !self.columns.contains(column) {
                self.columns.push(column.clone());
            }
        }
        self.at = self.at.max(timestamp(row.at));
        if self.peers.last().is_none_or(|last| last != peer) {
            self.peers.push(peer.to_owned());
        }
    }
}

fn entry(database: &str, row: &PendingRow) -> PendingEntry {
    PendingEntry {
        database: database.to_owned(),
        table: row.table.clone(),
        key: key(row.key.as_deref()),
        operation: named_operation(row.operation),
        columns: Vec::new(),
        at: timestamp(row.at),
        peers: Vec::new(),
    }
}

/// A value as JSON shows it. What JSON can't carry is an object that says what it is.
pub(crate) fn readable(value: &Value) -> serde_json::Value {
    use serde_json::json;
    let hex = |bytes: &[u8]| bytes.iter().take(1024).map(|b| format!("{b:02x}")).collect::<String>();
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(i) => json!(i),
        Value::Real(f) => serde_json::Number::from_f64(*f).map_or_else(|| json!({ "real": f.to_string() }), Into::into),
        Value::Text(t) => match std::str::from_utf8(t) {
            Ok(text) => json!(text),
            Err(_) => json!({ "text_hex": hex(t), "bytes": t.len() }),
        },
        Value::Blob(b) => json!({ "blob_hex": hex(b), "bytes": b.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_json_can_t_carry_says_what_it_is() {
        for (value, expected) in [
            (Value::Null, json!(null)),
            (Value::Integer(i64::MIN), json!(i64::MIN)),
            (Value::Real(1.0), json!(1.0)),
            (Value::Real(f64::INFINITY), json!({ "real": "inf" })),
            (Value::text("é"), json!("é")),
            (Value::Text(b"a\xff".as_slice().into()), json!({ "text_hex": "61ff", "bytes": 2 })),
            (Value::Blob([0, 255].as_slice().into()), json!({ "blob_hex": "00ff", "bytes": 2 })),
        ] {
            assert_eq!(readable(&value), expected);
        }
    }
}

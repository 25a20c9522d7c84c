//! Lists for people and scripts: what is pending, held, in conflict; and the ids by which it is named.
use crate::change::{ConflictKind, Existence, Item};
use crate::class::Class;
use crate::conflict::records;
use crate::database::Database;
use crate::error::Error;
use crate::extract::Limit;
use crate::id::{Dot, Millis, Seq, Vector, Vectors};
use crate::key::LocalKey;
use crate::record::{LocalDot, Register};
use crate::report::{Balance, Conflict, ConflictState, Held, Operation, PendingRow, Said};
use crate::store::{ARCHIVED, DELETED, HELD, SUPERSEDED, State, TOTAL, VISIBLE};
use crate::transaction::Txn;
use crate::value::Value;
use std::collections::{BTreeMap, HashSet};

impl Database {
    /// Rows that a peer with these vectors has not got.
    pub fn pending(&mut self, have: &Vectors, most: usize, now: Millis) -> Result<Vec<PendingRow>, Error> {
        let batch = self.extract(have, Limit { items: most, bytes: usize::MAX }, now)?;
        self.read(now, |txn| {
            let mut out = Vec::new();
            for item in &batch.items {
                let Item::Change(c) = item else { continue };
                let head = &batch.tables[c.table];
                let t = txn.s.table_no(None, &head.name);
                let b = txn.local_dot(c.birth);
                out.push(PendingRow {
                    table: head.name.clone(),
                    key: txn.shown_key(t, b)?,
                    operation: match &c.existence {
                        Some(Existence::Lives) if c.dot == c.birth => Operation::Insert,
                        Some(Existence::Deleted { .. }) => Operation::Delete,
                        Some(Existence::Lives) | None => Operation::Update,
                    },
                    columns: c.columns.iter().map(|(k, _)| head.columns[*k].clone()).collect(),
                    at: c.stamp.millis(),
                });
            }
            Ok(out)
        })
    }

    /// What waits, with its reason.
    pub fn held(&mut self) -> Result<Vec<Held>, Error> {
        self.read(Millis(0), |txn| {
            let waiting = txn.waiting()?;
            let whole: BTreeMap<(u32, LocalDot), String> =
                waiting.iter().filter(|w| w.registers.is_empty()).map(|w| ((w.t, w.leader), w.id.clone())).collect();
            let mut out = Vec::new();
            for w in waiting {
                let waits_for = match w.waits_for {
                    Some((t, b)) if txn.s.t(t).database.is_none() => {
                        let leader = txn.class(t, b)?.leader;
                        whole.get(&(t, leader)).cloned()
                    }
                    _ => None,
                };
                out.push(Held {
                    reason: w.reason,
                    table: txn.s.t(w.t).name.clone(),
                    key: txn.shown_key(w.t, w.leader)?,
                    columns: if w.source == crate::waiting::Source::Future {
                        Vec::new()
                    } else {
                        txn.names(w.t, &w.registers)
                    },
                    by: txn.named_dot(w.loser).map(|d| d.replica),
                    waits_for,
                    at: w.at,
                    id: w.id,
                });
            }
            Ok(out)
        })
    }

    /// Conflicts that wait for a person, and those on record; the newest first.
    pub fn conflicts(&mut self) -> Result<Vec<Conflict>, Error> {
        self.read(Millis(0), |txn| {
            let mut out: Vec<Conflict> = Vec::new();
            for w in txn.waiting()?.into_iter().filter(|w| by_a_person(w.reason)) {
                let class = txn.class(w.t, w.leader)?;
                let winner_at = w.winner.map_or(Ok(None), |d| txn.stamp_in_class(&class, d))?;
                let loser_at = txn.stamp_in_class(&class, w.loser)?;
                let (winner, loser) = (w.winner.and_then(|d| txn.named_dot(d)), txn.named_dot(w.loser));
                out.push(Conflict {
                    kind: w.reason,
                    table: txn.s.t(w.t).name.clone(),
                    key: txn.shown_key(w.t, w.leader)?,
                    columns: txn.names(w.t, &w.registers),
                    winner: winner.map(|d| d.replica),
                    winner_at,
                    loser: loser.map(|d| d.replica),
                    loser_at,
                    state: ConflictState::Held,
                    said: None,
                    at: w.at,
                    id: w.id,
                });
            }
            let mut recorded: Vec<Conflict> = Vec::new();
            for r in records(txn)? {
                let column = txn.names(r.table, &[r.register]);
                if let Some(c) = recorded.last_mut().filter(|c| c.id == r.id) {
                    c.columns.extend(column);
                    continue;
                }
                let said = txn.said(&r)?;
                let said = said.map(|d| Said { by: txn.dot(d.dot).replica, at: d.stamp.millis(), kept: d.kept });
                recorded.push(Conflict {
                    kind: r.kind,
                    table: txn.s.t(r.table).name.clone(),
                    key: txn.shown_key(r.table, r.birth)?,
                    columns: column,
                    winner: txn.named_dot(r.winner).map(|d| d.replica),
                    winner_at: Some(r.winner_stamp.millis()),
                    loser: txn.named_dot(r.loser).map(|d| d.replica),
                    loser_at: Some(r.loser_stamp.millis()),
                    state: if said.is_some() { ConflictState::Reviewed } else { ConflictState::Auto },
                    said,
                    at: r.at,
                    id: r.id,
                });
            }
            // What waits again is not on record twice.
            let waits: HashSet<String> = out.iter().map(|w| w.id.clone()).collect();
            out.extend(recorded.into_iter().filter(|r| !waits.contains(&r.id)));
            out.sort_by_key(|c| std::cmp::Reverse(c.at));
            Ok(out)
        })
    }
}

/// Does what is held for that reason wait for a decision, and not for something to come?
fn by_a_person(reason: ConflictKind) -> bool {
    match reason {
        ConflictKind::UpdateUpdate
        | ConflictKind::UpdateDelete
        | ConflictKind::DeleteUpdate
        | ConflictKind::InsertInsert
        | ConflictKind::Unique
        | ConflictKind::ParentDeleted
        | ConflictKind::Constraint
        | ConflictKind::Review
        | ConflictKind::Difference => true,
        ConflictKind::MissingParent
        | ConflictKind::TableMissing
        | ConflictKind::ColumnMissing
        | ConflictKind::ConfigDiffers
        | ConflictKind::Clock
        | ConflictKind::IdCollision
        | ConflictKind::DeleteGuard => false,
    }
}

pub fn vector_of(s: &State, t: u32) -> Vector {
    s.t(t).vector.iter().map(|(r, seq)| (s.replicas[*r as usize], Seq(*seq))).collect()
}

/// The sum over all tables.
pub fn balance_of(s: &State) -> Balance {
    let sum = |account: usize| s.tables.iter().map(|t| t.accounts[account]).sum::<i64>().max(0) as u64;
    Balance {
        visible: sum(VISIBLE),
        superseded: sum(SUPERSEDED),
        archived: sum(ARCHIVED),
        deleted: sum(DELETED),
        held: sum(HELD),
        cleaned: s.cleaned.max(0) as u64,
        total: sum(TOTAL),
    }
}

/// One conflict as people see it is (birth, loser's dot); its id is their hash, the same on every node.
pub fn conflict_id(table: &str, birth: Dot, loser: Dot) -> String {
    short_id(&[
        table.as_bytes(),
        &birth.replica.0,
        &birth.seq.0.to_be_bytes(),
        &loser.replica.0,
        &loser.seq.0.to_be_bytes(),
    ])
}

pub fn short_id(parts: &[&[u8]]) -> String {
    use sha2::{Digest, Sha256};
    let mut h = Sha256::new();
    for p in parts {
        h.update((p.len() as u64).to_be_bytes());
        h.update(p);
    }
    h.finalize()[..8].iter().map(|b| format!("{b:02x}")).collect()
}

impl Txn<'_> {
    /// Names of columns; the row's existence has none.
    fn names(&self, t: u32, registers: &[Register]) -> Vec<String> {
        let column = |r: &Register| match r {
            Register::Column(c) => Some(self.s.t(t).cols[usize::from(c.0)].clone()),
            Register::Existence => None,
        };
        registers.iter().filter_map(column).collect()
    }

    /// When a write was made that stands in a birth of this class.
    fn stamp_in_class(&mut self, class: &Class, d: LocalDot) -> Result<Option<Millis>, Error> {
        let members = self.members(class)?;
        let mut entries = members.iter().flat_map(|&m| &self.births[m].rec.entries);
        Ok(entries.find(|e| e.write.dot == d).map(|e| e.write.stamp.millis()))
    }

    /// The local key of the row that shows a birth, as JSON text.
    pub fn shown_key(&mut self, t: u32, b: LocalDot) -> Result<Option<String>, Error> {
        if self.s.t(t).table.is_none() {
            return Ok(None);
        }
        let class = self.class(t, b)?;
        let Some(&a) = self.anchors(&class)?.first() else { return Ok(None) };
        Ok(self.births[a].key.as_ref().map(json_key))
    }
}

/// A local key for people and scripts: a value, or an array of them.
pub fn json_key(key: &LocalKey) -> String {
    let json = |v: &Value| match v {
        Value::Null => serde_json::Value::Null,
        Value::Integer(i) => (*i).into(),
        Value::Real(f) => serde_json::Number::from_f64(*f).map_or_else(|| f.to_string().into(), Into::into),
        Value::Text(b) => String::from_utf8_lossy(b).into_owned().into(),
        Value::Blob(b) => b.iter().map(|x| format!("{x:02x}")).collect::<String>().into(),
    };
    match key.values() {
        Some(v) if v.len() == 1 => json(&v[0]).to_string(),
        Some(v) => serde_json::Value::Array(v.iter().map(json).collect()).to_string(),
        None => "null".to_owned(),
    }
}

//! Lists for people and scripts: what is pending, held, in conflict; and the ids by which it is named.
use crate::change::{ConflictKind, Existence, Item};
use crate::database::Database;
use crate::error::Error;
use crate::extract::Limit;
use crate::id::{Dot, Millis, Seq, Stamp, Vector, Vectors};
use crate::key::LocalKey;
use crate::record::{LocalDot, Register};
use crate::report::{Balance, Conflict, ConflictState, Held, Operation, PendingRow};
use crate::store::{self, ARCHIVED, DELETED, HELD, SUPERSEDED, State, TOTAL, VISIBLE};
use crate::transaction::Txn;
use crate::value::Value;
use std::collections::BTreeMap;

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
            let rows: Vec<(u32, i64, i64, i64, i64, i64)> = txn
                .c
                .prepare("SELECT t, b, col, d, reason, at FROM _lockstep_held ORDER BY at, t, b, col")?
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?)))?
                .collect::<Result<_, _>>()?;
            let mut by_class: BTreeMap<(u32, LocalDot, i64), Held> = BTreeMap::new();
            for (t, b, col, _, reason, at) in rows {
                let leader = txn.class(t, LocalDot(b))?.leader;
                let reason_kind = kind_of(reason)?;
                let key = txn.shown_key(t, LocalDot(b))?;
                let dot = txn.dot(leader);
                let entry = by_class.entry((t, leader, reason)).or_insert_with(|| Held {
                    id: short_id(&[
                        txn.s.t(t).name.as_bytes(),
                        &dot.replica.0,
                        &dot.seq.0.to_be_bytes(),
                        &[reason as u8],
                    ]),
                    reason: reason_kind,
                    table: txn.s.t(t).name.clone(),
                    key: key.clone(),
                    columns: Vec::new(),
                    at: Millis(at),
                });
                if let (0.., Register::Column(c)) = (col, Register::from_number(col)) {
                    let name = txn.s.t(t).cols[usize::from(c.0)].clone();
                    if !entry.columns.contains(&name) {
                        entry.columns.push(name);
                    }
                }
            }
            let mut out: Vec<Held> = by_class.into_values().collect();
            let futures: Vec<(u32, i64, i64, i64)> = txn
                .c
                .prepare("SELECT DISTINCT t, d, b, stamp FROM _lockstep_future")?
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?
                .collect::<Result<_, _>>()?;
            for (t, d, b, stamp) in futures {
                let dot = txn.dot(LocalDot(d));
                out.push(Held {
                    id: short_id(&[txn.s.t(t).name.as_bytes(), &dot.replica.0, &dot.seq.0.to_be_bytes(), b"clock"]),
                    reason: ConflictKind::Clock,
                    table: txn.s.t(t).name.clone(),
                    key: txn.shown_key(t, LocalDot(b))?,
                    columns: Vec::new(),
                    at: Stamp(stamp).millis(),
                });
            }
            Ok(out)
        })
    }

    /// Conflicts on record.
    pub fn conflicts(&mut self) -> Result<Vec<Conflict>, Error> {
        self.read(Millis(0), |txn| {
            let mut q = txn.c.prepare(
                "SELECT t, b, col, loser, winner, kind, at, reviewed FROM _lockstep_conflict ORDER BY at DESC, t, b, loser, col",
            )?;
            let mut rows = q.query([])?;
            let mut out: Vec<Conflict> = Vec::new();
            while let Some(r) = rows.next()? {
                let (t, b, col, loser): (u32, i64, i64, i64) = (r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?);
                let (winner, kind, at): (i64, i64, i64) = (r.get(4)?, r.get(5)?, r.get(6)?);
                let reviewed: Option<i64> = r.get(7)?;
                let (birth, lost) = (txn.dot(LocalDot(b)), txn.dot(LocalDot(loser)));
                let id = conflict_id(&txn.s.t(t).name, birth, lost);
                let column = match Register::from_number(col) {
                    Register::Existence => None,
                    Register::Column(c) => Some(txn.s.t(t).cols[usize::from(c.0)].clone()),
                };
                if let Some(c) = out.iter_mut().rev().take(64).find(|c| c.id == id) {
                    c.columns.extend(column);
                    continue;
                }
                out.push(Conflict {
                    id,
                    kind: kind_of(kind)?,
                    table: txn.s.t(t).name.clone(),
                    key: txn.shown_key(t, LocalDot(b))?,
                    columns: column.into_iter().collect(),
                    winner: txn.dot(LocalDot(winner)).replica,
                    loser: lost.replica,
                    state: if reviewed.is_some() { ConflictState::Reviewed } else { ConflictState::Auto },
                    at: Millis(at),
                });
            }
            Ok(out)
        })
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
        total: sum(TOTAL),
    }
}

fn kind_of(n: i64) -> Result<ConflictKind, Error> {
    ConflictKind::ALL.into_iter().find(|k| *k as i64 == n).ok_or_else(|| store::damaged("a conflict of no kind"))
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

fn short_id(parts: &[&[u8]]) -> String {
    use sha2::{Digest, Sha256};
    let mut h = Sha256::new();
    for p in parts {
        h.update((p.len() as u64).to_be_bytes());
        h.update(p);
    }
    h.finalize()[..8].iter().map(|b| format!("{b:02x}")).collect()
}

impl Txn<'_> {
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
fn json_key(key: &LocalKey) -> String {
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

//! A write held beside its register for its stamp (merge-rules 5): how it is kept.
use crate::error::Error;
use crate::id::{Millis, Stamp};
use crate::record::{
    Cell, Col, Entry, Existence, Field, LocalDot, Record, Unshown, Write, decode_unshown, encode_unshown,
};
use crate::store::damaged;
use crate::transaction::Txn;
use rusqlite::Connection;

/// A stamp this far ahead of the own clock waits.
const GUARD: Millis = Millis(10 * 60 * 1000);

/// The latest stamp that need not wait now.
pub fn limit(now: Millis) -> Stamp {
    Stamp::at(Millis(now.0 + GUARD.0))
}

impl Txn<'_> {
    /// The parts of a write that is held for its stamp, by birth.
    pub fn futures_of(&self, t: u32, d: LocalDot) -> Result<Vec<Future>, Error> {
        let list: Vec<(i64, Vec<u8>)> = self
            .c
            .prepare_cached("SELECT b, body FROM _lockstep_future WHERE t = ?1 AND d = ?2 ORDER BY n")?
            .query_map([i64::from(t), d.0], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let list: Option<Vec<Future>> = list.iter().map(|(b, body)| Future::decode(t, LocalDot(*b), body)).collect();
        list.ok_or_else(|| damaged("a held write"))
    }
}

/// Has a write that was held for its stamp become due?
pub fn is_due(c: &Connection, now: Millis) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM _lockstep_future WHERE stamp <= ?1)";
    Ok(c.prepare_cached(sql)?.query_row([limit(now).0], |r| r.get(0))?)
}

/// A write held for its stamp.
#[derive(Clone, Debug)]
pub struct Future {
    pub t: u32,
    pub b: LocalDot,
    pub write: Write,
    pub existence: Option<Existence>,
    pub fields: Vec<Field>,
    pub origin: Option<(Option<i64>, bool, Vec<Col>)>,
}

impl Future {
    pub fn encode(&self) -> Vec<u8> {
        let (origin, alone, awaits) = self.origin.clone().unwrap_or_default();
        let values: Vec<Unshown> = self
            .fields
            .iter()
            .filter_map(|f| match &f.cell {
                Cell::Value(v) | Cell::Raw(v) => Some((f.col, self.write.dot, v.clone())),
                Cell::Row(_) | Cell::Unread => None,
            })
            .collect();
        let entry = Entry { write: self.write.clone(), existence: self.existence.clone(), fields: self.fields.clone() };
        let rec =
            Record { origin, alone, awaits, held: self.origin.is_some(), entries: vec![entry], ..Record::default() }
                .encode();
        let mut o = Vec::new();
        crate::record::put(&mut o, rec.len() as u64);
        o.extend_from_slice(&rec);
        o.extend(encode_unshown(&values));
        o
    }

    /// None: not such bytes.
    pub fn decode(t: u32, b: LocalDot, mut bytes: &[u8]) -> Option<Future> {
        let n = usize::try_from(crate::record::get(&mut bytes)?).ok()?;
        let (rec, rest) = bytes.split_at_checked(n)?;
        let mut rec = Record::decode(rec)?;
        let values = decode_unshown(rest)?;
        let mut entry = rec.entries.pop()?;
        for f in &mut entry.fields {
            if let Some((_, _, v)) = values.iter().find(|(c, _, _)| *c == f.col) {
                f.cell = if matches!(f.cell, Cell::Raw(_)) { Cell::Raw(v.clone()) } else { Cell::Value(v.clone()) };
            }
        }
        let origin = rec.held.then_some((rec.origin, rec.alone, rec.awaits));
        Some(Future { t, b, write: entry.write, existence: entry.existence, fields: entry.fields, origin })
    }
}

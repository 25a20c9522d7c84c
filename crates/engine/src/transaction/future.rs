//! A write held beside its register for its stamp (merge-rules 5): how it is kept.
use crate::error::Error;
use crate::id::{Millis, Stamp};
use crate::record::{
    Cell, Col, Entry, Existence, Field, LocalDot, Record, Register, Unshown, Write, decode_unshown, encode_unshown,
};
use crate::rule::{Rule, applies};
use crate::store::{HELD, TOTAL, damaged};
use crate::transaction::{Archived, DotOf, Txn};
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

    /// So many registers lie beside their places now.
    pub fn account_future(&mut self, t: u32, n: i64) {
        let accounts = &mut self.s.t_mut(t).accounts;
        accounts[TOTAL] += n;
        accounts[HELD] += n;
    }

    /// Writes that lie beside registers and were replaced by a write that had seen them: a person has let them through,
    /// or given them up. They are not merged any more.
    pub fn drop_seen_futures(&mut self) -> Result<(), Error> {
        if !self.has_futures()? {
            return Ok(());
        }
        let all: Vec<(u32, i64, i64, i64, Vec<u8>)> = self
            .c
            .prepare_cached("SELECT t, d, n, b, body FROM _lockstep_future ORDER BY t, d, n")?
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?
            .collect::<Result<_, _>>()?;
        for (t, d, n, b, body) in all {
            let (d, b) = (LocalDot(d), LocalDot(b));
            if self.due.contains(&(t, d, n)) {
                continue;
            }
            let Some(i) = self.find(t, b)? else { continue };
            let f = Future::decode(t, b, &body).ok_or_else(|| damaged("a held write"))?;
            let registers: Vec<Register> = f
                .existence
                .iter()
                .map(|_| Register::Existence)
                .chain(f.fields.iter().map(|f| Register::Column(f.col)))
                .collect();
            let mut replaced = Vec::new();
            for r in registers {
                let present: Vec<Write> = self.births[i]
                    .rec
                    .entries
                    .iter()
                    .filter(|e| e.holds(r) || e.is_tombstone())
                    .map(|e| e.write.clone())
                    .collect();
                for w in present {
                    if self.saw(&w, r, d)? {
                        replaced.push((r, w.dot));
                        break;
                    }
                }
            }
            if replaced.len() as i64 == f.registers() && applies(Rule::FutureReplaced) {
                self.due.push((t, d, n));
                self.set_dot(t, d, DotOf::Births(Vec::new()));
                self.account_future(t, -f.registers());
                self.s.t_mut(t).accounts[TOTAL] += f.registers();
                for (register, by) in replaced {
                    let field = f.fields.iter().find(|x| Register::Column(x.col) == register);
                    let (write, cell) = (f.write.clone(), field.map(|x| x.cell.clone()));
                    self.out_of_register(Archived { t, b, register, write, lost: false, by, cell });
                }
            }
        }
        Ok(())
    }
}

/// Has a write that was held for its stamp become due?
pub fn is_due(c: &Connection, now: Millis) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM _lockstep_future WHERE stamp <= ?1)";
    Ok(c.prepare_cached(sql)?.query_row([limit(now).0], |r| r.get(0))?)
}

/// Is any write held for its stamp?
pub fn any(c: &Connection) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM _lockstep_future)";
    Ok(c.prepare_cached(sql)?.query_row([], |r| r.get(0))?)
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
    /// How many registers it writes.
    pub fn registers(&self) -> i64 {
        self.fields.len() as i64 + i64::from(self.existence.is_some())
    }

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
            // A record of which nothing is unshown shows all; of this no row shows anything yet.
            f.shown = false;
            if let Some((_, _, v)) = values.iter().find(|(c, _, _)| *c == f.col) {
                f.cell = if matches!(f.cell, Cell::Raw(_)) { Cell::Raw(v.clone()) } else { Cell::Value(v.clone()) };
            }
        }
        let origin = rec.held.then_some((rec.origin, rec.alone, rec.awaits));
        Some(Future { t, b, write: entry.write, existence: entry.existence, fields: entry.fields, origin })
    }
}

//! One local write: what stood there goes to the archive, and what is held was not seen by it.
use super::Slice;
use crate::error::Error;
use crate::id::Millis;
use crate::record::{Cell, Col, Entry, Field, LocalDot, Register, Write};
use crate::rule::{Rule, applies};
use crate::store::TOTAL;
use crate::transaction::{Archived, Txn};
use crate::value::Value;
use rusqlite::params;

impl Txn<'_> {
    /// One local write to all living births of the row (merge-rules 11).
    pub(super) fn local_write(
        &mut self,
        slice: &mut Slice,
        i: usize,
        cols: &[(Col, Option<Value>)],
        at: Millis,
    ) -> Result<(), Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let members = if self.births[i].rec.linked && applies(Rule::AllBirthsWritten) {
            let class = self.class(t, b)?;
            let members = self.members(&class)?;
            self.living_or_all(&members)
        } else {
            vec![i]
        };
        let (dot, stamp) = self.new_dot(t, at);
        let context = self.s.context_now(self.c, t)?;
        for m in members {
            let mut unseen = if self.births[m].rec.held { self.unseen(m, Register::Existence)? } else { Vec::new() };
            for (col, _) in cols {
                unseen.extend(self.unseen(m, Register::Column(*col))?);
            }
            let write = Write { dot, stamp, rank: slice.rank, context, unseen };
            self.note_written(m);
            for (col, old) in cols {
                self.replace(m, *col, old.as_ref(), &write)?;
            }
            let mut fields: Vec<Field> =
                cols.iter().map(|(col, _)| Field { col: *col, cell: Cell::Unread, shown: true }).collect();
            fields.sort_by_key(|f| f.col);
            self.s.t_mut(t).accounts[TOTAL] += fields.len() as i64;
            let birth = &mut self.births[m];
            birth.rec.entries.retain(|e| !e.is_empty());
            birth.rec.entries.push(Entry { write, existence: None, fields });
            birth.read = false;
            birth.dirty = true;
            slice.written.insert(m);
            if birth.rec.held || birth.rec.linked {
                let mb = birth.b;
                self.touched.insert((t, mb));
            }
        }
        Ok(())
    }

    /// What stood in a column, and was seen, goes to the archive.
    fn replace(&mut self, m: usize, col: Col, old: Option<&Value>, write: &Write) -> Result<(), Error> {
        let (t, b) = (self.births[m].t, self.births[m].b);
        let is_ref = self.s.t(t).refs.contains_key(&col);
        let out: Vec<(Write, Field)> = self.births[m]
            .rec
            .siblings(col)
            .filter(|(w, _)| !write.unseen.contains(&(Register::Column(col), w.dot)))
            .map(|(w, f)| (w.clone(), f.clone()))
            .collect();
        for (w, f) in out {
            self.take_out(m, col, w.dot);
            let cell = match (f.cell, old) {
                (Cell::Unread, Some(v)) if is_ref => Some(self.cell_of(t, col, v.clone())?),
                (Cell::Unread, Some(v)) => Some(Cell::Value(v.clone())),
                (Cell::Unread, None) => None,
                (Cell::Raw(Value::Null), Some(v)) => Some(Cell::Raw(v.clone())),
                (cell, _) => Some(cell),
            };
            let register = Register::Column(col);
            self.out_of_register(Archived { t, b, register, write: w, lost: false, by: write.dot, cell });
        }
        Ok(())
    }

    /// Current values of a register that are held and not shown: a local write has not seen them.
    pub(super) fn unseen(&mut self, m: usize, register: Register) -> Result<Vec<(Register, LocalDot)>, Error> {
        let (t, b) = (self.births[m].t, self.births[m].b);
        let mut out = Vec::new();
        if self.births[m].rec.held && self.is_held(m, register) && applies(Rule::HeldUnseen) {
            self.read_unshown(m)?;
            for e in &self.births[m].rec.entries {
                match register {
                    Register::Existence if e.is_tombstone() => out.push((register, e.write.dot)),
                    Register::Column(c) if e.field(c).is_some_and(|f| !f.shown) => out.push((register, e.write.dot)),
                    Register::Existence | Register::Column(_) => {}
                }
            }
        }
        if self.has_futures()? {
            let mut q = self.c.prepare_cached("SELECT d FROM _lockstep_future WHERE t = ?1 AND b = ?2")?;
            let futures = q.query_map(params![t, b.0], |r| Ok((register, LocalDot(r.get(0)?))))?;
            out.extend(futures.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(out)
    }

    pub fn living_or_all(&self, members: &[usize]) -> Vec<usize> {
        let living: Vec<usize> = members.iter().copied().filter(|&m| self.lives(m)).collect();
        if living.is_empty() { members.to_vec() } else { living }
    }
}

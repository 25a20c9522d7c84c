//! What lies beside its registers for its stamp, as if it were due.
//!
//! Always true here: nothing is changed. A digest is taken over the logical state as if nothing were held (merge-rules),
//! and a write that waits for its time is part of that: the node whose clock ran ahead has merged it, so all others
//! count it as merged, too. Not here: how such writes are kept, and when they are merged (`transaction/future`).
use crate::error::Error;
use crate::merge::{Fate, Verdict};
use crate::record::{Col, Entry, Field, LocalDot, Record, Write};
use crate::transaction::Txn;
use crate::transaction::future::Future;
use std::collections::BTreeMap;

/// The writes beside the registers of a table, by birth; of each birth in the order in which they will be due.
pub type Beside = BTreeMap<LocalDot, Vec<Future>>;

impl Txn<'_> {
    /// All of a table.
    pub fn beside(&mut self, t: u32) -> Result<Beside, Error> {
        let mut by_birth = Beside::new();
        if !self.has_futures()? {
            return Ok(by_birth);
        }
        let mut q = self.c.prepare_cached("SELECT b, body FROM _lockstep_future WHERE t = ?1 ORDER BY stamp, d, n")?;
        let mut rows = q.query([t])?;
        while let Some(r) = rows.next()? {
            let (b, body): (i64, Vec<u8>) = (r.get(0)?, r.get(1)?);
            let f = Future::decode(t, LocalDot(b), &body).ok_or_else(|| crate::store::damaged("a held write"))?;
            by_birth.entry(LocalDot(b)).or_default().push(f);
        }
        Ok(by_birth)
    }

    /// What is known of a birth, with all that lies beside it. Its values must be read.
    pub fn as_if_due(&mut self, t: u32, mut rec: Record, beside: &[Future]) -> Result<Record, Error> {
        for f in beside {
            let mut kept = Entry { write: f.write.clone(), existence: None, fields: Vec::new() };
            if let Some(x) = &f.existence {
                let present: Vec<Write> =
                    rec.entries.iter().filter(|e| e.existence.is_some()).map(|e| e.write.clone()).collect();
                if let Some(seen) = self.judge_existence(&present, &f.write)? {
                    let mut replaced = rec.entries.iter_mut().filter(|e| seen.contains(&e.write.dot));
                    replaced.by_ref().for_each(|e| e.existence = None);
                    kept.existence = Some(x.clone());
                }
            }
            for field in &f.fields {
                if self.replaces(t, &mut rec, &f.write, field)? {
                    kept.fields.push(field.clone());
                }
            }
            rec.entries.retain(|e| !e.is_empty());
            if !kept.is_empty() {
                rec.entries.push(kept);
            }
        }
        Ok(rec)
    }

    /// Takes out of a record what a write of a column replaces. False: the write itself does not stay.
    fn replaces(&mut self, t: u32, rec: &mut Record, write: &Write, field: &Field) -> Result<bool, Error> {
        let present: Vec<(Write, Field)> = rec.siblings(field.col).map(|(w, f)| (w.clone(), f.clone())).collect();
        let (fates, stays) = match self.judge_field(t, &present, write, field)? {
            Verdict::Known | Verdict::Superseded => return Ok(false),
            Verdict::Kept(fates) | Verdict::Yields(_, fates) => (fates, true),
            Verdict::Loses(_, fates) => (fates, false),
        };
        for ((w, _), fate) in present.iter().zip(fates) {
            match fate {
                Fate::Stays | Fate::Yields => {}
                Fate::Superseded | Fate::Loses => {
                    for e in rec.entries.iter_mut().filter(|e| e.write.dot == w.dot) {
                        e.fields.retain(|f| f.col != field.col);
                    }
                }
            }
        }
        Ok(stays)
    }

    /// A birth's part of the digest with what lies beside it, over all columns but these.
    pub fn hash_beside(
        &mut self,
        t: u32,
        b: LocalDot,
        beside: &[Future],
        out: &impl Fn(Col) -> bool,
    ) -> Result<u128, Error> {
        let rec = match self.find(t, b)? {
            Some(i) => self.births[i].rec.clone(),
            None => Record::default(),
        };
        let rec = self.as_if_due(t, rec, beside)?;
        Ok(self.hash_of_record(t, b, &rec, out))
    }

    /// What the digest of a table lacks of what lies beside its registers.
    pub fn digest_beside(&mut self, t: u32, out: &impl Fn(Col) -> bool) -> Result<u128, Error> {
        let mut sum = 0_u128;
        for (b, beside) in self.beside(t)? {
            let now = match self.find(t, b)? {
                Some(i) => {
                    self.read(i)?;
                    self.hash_without(i, out)
                }
                None => 0,
            };
            sum = sum.wrapping_add(self.hash_beside(t, b, &beside, out)?).wrapping_sub(now);
        }
        Ok(sum)
    }
}

//! The delete guard: a run that would delete very many rows of a table holds these deletes until a person lets exactly
//! them through.
//!
//! Always true here: only deletes that came from elsewhere are judged, and only those that take a row away from here;
//! while a run's last batch has not come its deletes wait, since how many there are is not known. Not here: letting them
//! through (`decide`).
use super::{ClassId, Plan, RowPlan};
use crate::aside::Why;
use crate::config::Guard;
use crate::error::Error;
use crate::record::LocalDot;
use crate::transaction::Txn;
use std::collections::{BTreeMap, BTreeSet};

/// The deletes of one row: (birth, tombstone).
type Graves = Vec<(LocalDot, LocalDot)>;

impl Txn<'_> {
    /// Judges the deletes of a plan, and plans again where they have to wait, or need not wait any more.
    pub fn guard(&mut self, plan: RowPlan) -> Result<RowPlan, Error> {
        let mut gone: BTreeMap<u32, Vec<ClassId>> = BTreeMap::new();
        let planned: Vec<ClassId> = plan.plans.keys().copied().collect();
        for (id, p) in &plan.plans {
            if matches!(p, Plan::Gone) && self.is_guarded(id.0) {
                gone.entry(id.0).or_default().push(*id);
            }
        }
        let undecided = if self.s.last { self.all_aside(Why::Undecided)? } else { Vec::new() };
        if gone.is_empty() && undecided.is_empty() {
            return Ok(plan);
        }
        let mut waiting: BTreeMap<u32, BTreeSet<LocalDot>> = BTreeMap::new();
        for (t, b, _) in &undecided {
            let class = self.class(*t, *b)?;
            if !self.class_lives(&class)? && !self.anchors(&class)?.is_empty() {
                waiting.entry(*t).or_default().insert(class.leader);
            }
        }
        let mut again = false;
        let tables: Vec<u32> = gone.keys().chain(waiting.keys()).copied().collect();
        let mut trips: BTreeMap<u32, bool> = BTreeMap::new();
        let mut fresh: BTreeMap<u32, Vec<Graves>> = BTreeMap::new();
        for (t, ids) in gone {
            for (_, l) in ids {
                let class = self.class(t, l)?;
                if self.anchors(&class)?.is_empty() {
                    continue;
                }
                let own = self.s.own;
                let mut graves = Vec::new();
                let mut here = false;
                for m in self.members(&class)? {
                    let birth = &self.births[m];
                    for e in birth.rec.entries.iter().filter(|e| e.is_tombstone()) {
                        here |= e.write.dot.replica() == own;
                        graves.push((birth.b, e.write.dot));
                    }
                }
                if !here && !graves.is_empty() {
                    fresh.entry(t).or_default().push(graves);
                }
            }
        }
        for t in tables {
            let n = fresh.get(&t).map_or(0, |f| f.len() as u64) + waiting.get(&t).map_or(0, |w| w.len() as u64);
            trips.insert(t, self.is_too_much(t, n));
        }
        for (t, list) in fresh {
            let why = match (self.s.last, trips.get(&t)) {
                (false, _) => Why::Undecided,
                (true, Some(true)) => Why::Guard,
                (true, Some(false) | None) => continue,
            };
            for (b, d) in list.into_iter().flatten() {
                self.put_aside(t, b, d, why)?;
                self.touched.insert((t, b));
                again = true;
            }
        }
        for (t, b, d) in undecided {
            again = true;
            self.touched.insert((t, b));
            if trips.get(&t) == Some(&true) {
                self.put_aside(t, b, d, Why::Guard)?;
            } else {
                self.take_up(t, b, Some(d))?;
            }
        }
        if !again {
            return Ok(plan);
        }
        self.touched.extend(planned);
        self.plan_rows()
    }

    /// Is the table so large that deletes of it can be too many?
    fn is_guarded(&self, t: u32) -> bool {
        let rows = self.s.t(t).rows.max(0) as u64;
        self.guard_of(t).is_some_and(|guard| rows > guard.rows && guard.share < 1.0)
    }

    fn is_too_much(&self, t: u32, deletes: u64) -> bool {
        let rows = self.s.t(t).rows.max(0) as f64;
        self.guard_of(t).is_some_and(|guard| deletes > guard.rows && deletes as f64 > guard.share * rows)
    }

    /// None: the table is not here.
    fn guard_of(&self, t: u32) -> Option<Guard> {
        self.s.t(t).table.as_ref().map(|table| table.config.guard.unwrap_or_default())
    }
}

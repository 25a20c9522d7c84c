//! A plan as a list of what it does to rows, for who wants to see it before it is written.
//!
//! Always true here: it says what `write` would do, and does nothing.
use super::{Plan, RowPlan};
use crate::change::ConflictKind;
use crate::decide::Error as Refused;
use crate::error::Error;
use crate::plan::VectorsNow;
use crate::record::{Col, LocalDot, Register};
use crate::report::Operation;
use crate::transaction::{HeldRow, Txn};
use crate::value::Value;
use std::rc::Rc;

/// What a plan does to one class, before it is put into words.
pub struct ClassChange {
    pub t: u32,
    pub leader: LocalDot,
    pub operation: Operation,
    pub before: Option<Rc<[Value]>>,
    pub after: Option<Vec<Value>>,
    /// Places that change.
    pub places: Vec<usize>,
    pub moves_to: Option<i64>,
    pub held: Option<ConflictKind>,
    /// Columns that would wait.
    pub held_in: Vec<Col>,
}

/// The columns that are held, of a list of what is.
fn held_columns(held: &[HeldRow]) -> Vec<Col> {
    let column = |h: &HeldRow| match h.register {
        Some(Register::Column(c)) => Some(c),
        Some(Register::Existence) | None => None,
    };
    held.iter().filter_map(column).collect()
}

impl Txn<'_> {
    /// Rows that would appear, change, go or wait; parents before children.
    pub fn changes_of(&mut self, plan: &RowPlan) -> Result<Vec<ClassChange>, Error> {
        let mut ids: Vec<_> = plan.plans.keys().copied().collect();
        ids.sort_by_key(|(t, l)| (self.s.t(*t).rank, *t, self.id_of(*l)));
        let mut out = Vec::new();
        for (t, leader) in ids {
            let class = self.class(t, leader)?;
            let anchors = self.anchors(&class)?;
            let known = self.held_before(t, leader)?;
            let of = |operation, held: &[HeldRow]| ClassChange {
                t,
                leader,
                operation,
                before: None,
                after: None,
                places: Vec::new(),
                moves_to: None,
                held: held.iter().find(|h| !known.contains(&h.reason)).map(|h| h.reason),
                held_in: held_columns(held),
            };
            match &plan.plans[&(t, leader)] {
                Plan::Show(show) => {
                    let row = show.row();
                    let places: Vec<usize> = match &show.old {
                        Some(old) => (0..row.len()).filter(|&p| row[p] != old[p]).collect(),
                        None => (0..row.len()).collect(),
                    };
                    let operation = match (&show.old, show.dead) {
                        (None, _) => Operation::Insert,
                        (Some(_), true) => Operation::Delete,
                        (Some(_), false) => Operation::Update,
                    };
                    let change = of(operation, &show.held);
                    if places.is_empty() && change.held.is_none() {
                        continue;
                    }
                    let moved = show.moved.then(|| self.s.t(t).table.as_ref()?.surrogate()).flatten();
                    let moves_to = moved.and_then(|p| row[p].as_integer());
                    out.push(ClassChange { before: show.old.clone(), after: Some(row), places, moves_to, ..change });
                }
                Plan::Waits(held) if anchors.is_empty() => {
                    let change = of(Operation::Insert, held);
                    if change.held.is_some() && self.s.t(t).table.is_some() {
                        out.push(change);
                    }
                }
                Plan::Waits(_) | Plan::Gone => {
                    let Some(&a) = anchors.first() else { continue };
                    let Some(before) = self.stored_row(a)? else { continue };
                    let places = (0..before.len()).collect();
                    out.push(ClassChange { before: Some(before), places, ..of(Operation::Delete, &[]) });
                }
                Plan::Fresh(_) => unreachable!("what is looked at is planned whole"),
                Plan::Underway => {}
            }
        }
        Ok(out)
    }

    /// Puts what came for these rows aside, and plans again. Rows are named as [`Txn::row_name`] does.
    pub fn put_rows_aside(&mut self, plan: RowPlan, hold: &[String], before: &VectorsNow) -> Result<RowPlan, Error> {
        if hold.is_empty() {
            return Ok(plan);
        }
        let mut left: Vec<&String> = hold.iter().collect();
        let planned: Vec<_> = plan.plans.keys().copied().collect();
        for &(t, leader) in &planned {
            let name = self.row_name(t, leader);
            if !hold.contains(&name) {
                continue;
            }
            left.retain(|id| **id != name);
            let class = self.class(t, leader)?;
            for m in self.members(&class)? {
                self.put_new_aside(m, before)?;
            }
        }
        if let Some(id) = left.first() {
            return Err(Refused::Unknown { id: (*id).clone() }.into());
        }
        self.touched.extend(planned);
        self.plan_rows()
    }

    /// Counts the rows of which something would wait for a reason for which nothing of it waits now.
    pub fn count_held(&mut self, plan: &RowPlan) -> Result<(), Error> {
        for (&(t, leader), p) in &plan.plans {
            let held: &[HeldRow] = match p {
                Plan::Show(show) => &show.held,
                Plan::Waits(held) => held,
                Plan::Gone | Plan::Fresh(_) | Plan::Underway => &[],
            };
            if self.s.t(t).table.is_some() && !held.is_empty() {
                let known = self.held_before(t, leader)?;
                let new = held.iter().any(|h| !known.contains(&h.reason));
                self.counts.entry(t).or_default().held += u64::from(new);
            }
        }
        Ok(())
    }

    /// Why something of a class waits already.
    fn held_before(&mut self, t: u32, leader: LocalDot) -> Result<Vec<ConflictKind>, Error> {
        if !self.has_held()? {
            return Ok(Vec::new());
        }
        let class = self.class(t, leader)?;
        let mut out = Vec::new();
        for m in &class.members {
            let reasons: Vec<i64> = self
                .c
                .prepare_cached("SELECT DISTINCT reason FROM _lockstep_held WHERE t = ?1 AND b = ?2")?
                .query_map([i64::from(t), m.0], |r| r.get(0))?
                .collect::<Result<_, _>>()?;
            out.extend(ConflictKind::ALL.into_iter().filter(|k| reasons.contains(&(*k as i64))));
        }
        Ok(out)
    }
}

//! The plan as a person looks at it: row by row, before and after; and applying exactly that plan.
//!
//! Always true here: the rows come from the same plan that would be written; a plan is applied where it was made, or
//! not at all: in one transaction that first looks whether anything was written here since. Not here: fetching what the
//! plan is made of (the node).
use crate::aside::Why;
use crate::change::{Batch, ConflictKind};
use crate::database::Database;
use crate::decide::Error as Refused;
use crate::error::Error;
use crate::id::{Millis, ReplicaId, Vectors};
use crate::listing::vector_of;
use crate::record::LocalDot;
use crate::report::{Applied, Operation};
use crate::rows::RowPlan;
use crate::transaction::Txn;
use crate::value::Value;
use std::collections::BTreeMap;

/// One column of a row of a plan. None: the row has no such value on that side.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanColumn {
    /// Name.
    pub name: String,
    /// As it is.
    pub before: Option<Value>,
    /// As it would be.
    pub after: Option<Value>,
}

/// What a plan does to one row.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRow {
    /// Names the row, in this plan and any other.
    pub id: String,
    /// Table.
    pub table: String,
    /// Its key here as JSON text: the one it has, or would get.
    pub key: Option<String>,
    /// What would happen.
    pub operation: Operation,
    /// The replica whose write came last.
    pub from: Option<ReplicaId>,
    /// When that was written.
    pub at: Option<Millis>,
    /// Those that change, with their values.
    pub columns: Vec<PlanColumn>,
    /// A conflict would be recorded.
    pub conflict: bool,
    /// It would get this id instead of the one at its birthplace.
    pub moves_to: Option<i64>,
    /// It would wait, whole or in part.
    pub held: Option<ConflictKind>,
}

impl Database {
    /// What applying these batches would do, row by row; parents before children. Changes nothing.
    pub fn plan(&mut self, batches: &[Batch], now: Millis) -> Result<Vec<PlanRow>, Error> {
        self.harvest(now)?;
        self.with_rows_whole(|db| {
            db.read(now, |txn| {
                txn.follow_siblings()?;
                for batch in batches {
                    txn.receive(batch)?;
                }
                let plan = txn.settle()?;
                let plan = txn.guard(plan)?;
                txn.rows_of_plan(&plan)
            })
        })
    }

    /// Applies batches if nothing was written here since `stood`, whole or not at all. What they write to the rows of
    /// `hold` ([`PlanRow::id`]) is put aside for a person.
    ///
    /// # Errors
    ///
    /// [`Refused::Moved`] with the table in which something was written, [`Refused::Unknown`] for a row that the plan
    /// does not have.
    pub fn apply_plan(
        &mut self,
        batches: &[Batch],
        stood: &Vectors,
        hold: &[String],
        now: Millis,
    ) -> Result<Applied, Error> {
        self.with_rows_whole(|db| {
            db.apply_checked(now, |txn| {
                for t in txn.s.tables.iter().filter(|t| t.database.is_none()) {
                    if stood.get(&t.name).is_some_and(|v| *v != vector_of(&txn.s, t.n)) {
                        return Err(Refused::Moved { table: t.name.clone() }.into());
                    }
                }
                txn.follow_siblings()?;
                let before = txn.vectors_now();
                for batch in batches {
                    txn.receive(batch)?;
                }
                let plan = txn.settle()?;
                txn.put_rows_aside(plan, hold, &before)
            })
        })
    }

    /// Applies a batch, and puts everything that it writes aside for a person. Harvests first.
    pub fn apply_aside(&mut self, batch: &Batch, now: Millis) -> Result<Applied, Error> {
        self.with_rows_whole(|db| {
            db.apply_checked(now, |txn| {
                txn.follow_siblings()?;
                let before = txn.vectors_now();
                txn.receive(batch)?;
                for (t, b) in txn.touched.list() {
                    if let Some(i) = txn.find(t, b)? {
                        txn.put_new_aside(i, &before)?;
                    }
                }
                txn.settle()
            })
        })
    }
}

/// By table and replica: the seq up to which all was received.
pub(crate) type VectorsNow = BTreeMap<u32, BTreeMap<u32, u64>>;

impl Txn<'_> {
    fn vectors_now(&self) -> VectorsNow {
        self.s.tables.iter().map(|t| (t.n, t.vector.clone())).collect()
    }

    /// Puts aside what a birth has got since.
    pub(crate) fn put_new_aside(&mut self, i: usize, before: &VectorsNow) -> Result<(), Error> {
        let (t, b, own) = (self.births[i].t, self.births[i].b, self.s.own);
        let known = before.get(&t);
        let is_new = |d: &LocalDot| {
            d.replica() != own && known.and_then(|v| v.get(&d.replica())).is_none_or(|seq| d.seq() > *seq)
        };
        let dots: Vec<LocalDot> = self.births[i].rec.entries.iter().map(|e| e.write.dot).filter(is_new).collect();
        for d in dots {
            self.put_aside(t, b, d, Why::Review)?;
        }
        Ok(())
    }

    fn rows_of_plan(&mut self, plan: &RowPlan) -> Result<Vec<PlanRow>, Error> {
        let lost: Vec<(u32, LocalDot)> = self.lost.keys().map(|(t, b, _, _)| (*t, *b)).collect();
        let mut out = Vec::new();
        for change in self.changes_of(plan)? {
            let class = self.class(change.t, change.leader)?;
            let table = self.s.t(change.t).table.clone().expect("a planned row has a table");
            let mut latest: Option<crate::record::Write> = None;
            for m in self.members(&class)? {
                for e in &self.births[m].rec.entries {
                    let concerns = match change.operation {
                        Operation::Insert => true,
                        Operation::Delete => e.is_tombstone(),
                        Operation::Update => e.fields.iter().any(|f| {
                            let place = self.s.t(change.t).place[usize::from(f.col.0)];
                            place.is_some_and(|p| change.places.contains(&p)) || change.held_in.contains(&f.col)
                        }),
                    };
                    let later = latest.as_ref().is_none_or(|w| self.order(&e.write, w).is_gt());
                    if concerns && later {
                        latest = Some(e.write.clone());
                    }
                }
            }
            let (before, after) = (change.before.as_deref(), change.after.as_deref());
            let value = |row: Option<&[Value]>, p: usize| row.map(|r| r[p].clone());
            let columns = change
                .places
                .iter()
                .map(|&p| PlanColumn {
                    name: table.columns[p].name.clone(),
                    before: value(before, p),
                    after: value(after, p),
                })
                .collect();
            let key = after.or(before);
            out.push(PlanRow {
                id: self.row_name(change.t, change.leader),
                table: table.name.clone(),
                key: key.map(|row| crate::listing::json_key(&crate::key::LocalKey::of_row(&table, row))),
                operation: change.operation,
                from: latest.as_ref().map(|w| self.dot(w.dot).replica),
                at: latest.as_ref().map(|w| w.stamp.millis()),
                columns,
                conflict: lost.iter().any(|(t, b)| *t == change.t && class.members.contains(b)),
                moves_to: change.moves_to,
                held: change.held,
            });
        }
        Ok(out)
    }

    /// By which all nodes know a row, whatever its key.
    pub fn row_name(&self, t: u32, leader: LocalDot) -> String {
        let name = self.dot(leader);
        let parts = [self.s.t(t).name.as_bytes(), &name.replica.0, &name.seq.0.to_be_bytes(), b"row"];
        crate::listing::short_id(&parts)
    }
}

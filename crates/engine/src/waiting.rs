//! What is held, as people see it: one thing for each write that is not shown and why.
//!
//! Always true here: under `review` a thing is named as the conflict it is, (birth, loser), where the loser is the one
//! that `newest` would not choose, so all nodes name it alike; anything else that waits is named by the write that is
//! not shown here. Nothing is changed. Not here: what a person decides about it (`decide`).
use crate::change::ConflictKind;
use crate::error::Error;
use crate::id::{Dot, Millis, Stamp};
use crate::listing::conflict_id;
use crate::record::{Cell, Col, LocalDot, Register, Write};
use crate::store::damaged;
use crate::transaction::{Clash, Later, Txn};
use std::collections::BTreeMap;

/// One thing that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub id: String,
    pub reason: ConflictKind,
    pub t: u32,
    /// Of its class.
    pub leader: LocalDot,
    /// The birth that holds the loser.
    pub birth: LocalDot,
    /// Under `review` the earlier write, else the one that is not shown.
    pub loser: LocalDot,
    /// Under `review` the later write, else what is shown, if a write of it is known.
    pub winner: Option<LocalDot>,
    /// Ascending. Empty: the whole row.
    pub registers: Vec<Register>,
    /// Of a table and row that has to come first.
    pub waits_for: Option<(u32, LocalDot)>,
    /// Where it is kept.
    pub source: Source,
    pub at: Millis,
}

/// Where a thing that waits is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In its registers, and not shown.
    Registers,
    /// Beside its registers, for its stamp.
    Future,
    /// At a peer: it is no write.
    Difference,
}

/// The birth that holds the loser, the loser, and the winner if a write of it is known.
type Named = (LocalDot, LocalDot, Option<LocalDot>);

/// One register of a thing that waits, with what either side says. None: nothing, or the row's existence.
pub type Side = (Register, Option<Cell>, Option<Cell>);

impl Txn<'_> {
    /// Everything that waits, the oldest first.
    pub fn waiting(&mut self) -> Result<Vec<Waiting>, Error> {
        type Row = (u32, i64, i64, i64, i64, Option<u32>, Option<i64>, i64);
        let rows: Vec<Row> = self
            .c
            .prepare_cached("SELECT t, b, col, d, reason, wt, wb, at FROM _lockstep_held ORDER BY at, t, b, col, d")?
            .query_map([], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?, r.get(7)?))
            })?
            .collect::<Result<_, _>>()?;
        let mut found: BTreeMap<String, Waiting> = BTreeMap::new();
        let mut order: Vec<String> = Vec::new();
        for (t, b, col, d, reason, wt, wb, at) in rows {
            let reason = ConflictKind::ALL
                .into_iter()
                .find(|k| *k as i64 == reason)
                .ok_or_else(|| damaged("a conflict of no kind"))?;
            let leader = self.class(t, LocalDot(b))?.leader;
            let register = (col >= -1).then(|| Register::from_number(col));
            let waits_for = wt.zip(wb.map(LocalDot));
            let registers: Vec<Register> = register.into_iter().collect();
            let things = match (reason, register) {
                (ConflictKind::UpdateUpdate, Some(Register::Column(c))) => {
                    let all = self.values_under_review(t, leader, c)?;
                    all.into_iter().map(|thing| (thing, registers.clone())).collect()
                }
                (ConflictKind::UpdateDelete | ConflictKind::DeleteUpdate, _) => {
                    self.deletes_under_review(t, leader, LocalDot(d), reason)?
                }
                _ => vec![(self.not_shown(t, leader, register, LocalDot(d))?, registers)],
            };
            for ((birth, loser, winner), registers) in things {
                let id = self.conflict_name(t, birth, loser);
                let entry = found.entry(id.clone()).or_insert_with(|| {
                    order.push(id.clone());
                    let registers = Vec::new();
                    let at = Millis(at);
                    Waiting {
                        id,
                        reason,
                        t,
                        leader,
                        birth,
                        loser,
                        winner,
                        registers,
                        waits_for,
                        source: Source::Registers,
                        at,
                    }
                });
                for r in registers {
                    if let Err(place) = entry.registers.binary_search_by_key(&r.number(), |r| r.number()) {
                        entry.registers.insert(place, r);
                    }
                }
            }
        }
        let mut out: Vec<Waiting> = order.into_iter().filter_map(|id| found.remove(&id)).collect();
        out.extend(self.waiting_for_time()?);
        out.extend(self.waiting_differences()?);
        Ok(out)
    }

    /// By which all nodes know a conflict.
    pub fn conflict_name(&self, t: u32, birth: LocalDot, loser: LocalDot) -> String {
        conflict_id(&self.s.t(t).name, self.dot(birth), self.dot(loser))
    }

    /// The values of one column that stand against each other: each but the latest has lost, or will have. What several
    /// writes say is named by the latest of them.
    fn values_under_review(&mut self, t: u32, leader: LocalDot, col: Col) -> Result<Vec<Named>, Error> {
        let all = self.standing(t, leader, col)?;
        let Some((_, top, _)) = all.first().cloned() else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        for (n, (birth, w, cell)) in all.iter().enumerate().skip(1) {
            let mut is_said = false;
            for (_, _, before) in &all[..n] {
                is_said |= self.says_same(t, col, before, cell)?;
            }
            if !is_said {
                out.push((*birth, w.dot, Some(top.dot)));
            }
        }
        Ok(out)
    }

    /// The conflicts of one kind between deletes and edits of which one is this write, as they are on record.
    fn deletes_under_review(
        &mut self,
        t: u32,
        leader: LocalDot,
        d: LocalDot,
        kind: ConflictKind,
    ) -> Result<Vec<(Named, Vec<Register>)>, Error> {
        let class = self.class(t, leader)?;
        let mut members = self.members(&class)?;
        members.sort_by_key(|&m| self.id_of(self.births[m].b));
        // One write that lost is one conflict, in however many births of the row it stands.
        let mut out: Vec<(Named, Vec<Register>)> = Vec::new();
        for m in members {
            let birth = self.births[m].b;
            for Clash { grave, edit, field, later } in self.under_review(m, d)? {
                let column = field.map(|f| Register::Column(f.col));
                let (loser, winner, register) = match (kind, later) {
                    (ConflictKind::DeleteUpdate, Later::Delete) => (edit.dot, grave.dot, column),
                    (ConflictKind::UpdateDelete, Later::Edit) => (grave.dot, edit.dot, Some(Register::Existence)),
                    _ => continue,
                };
                match out.iter_mut().find(|((_, l, _), _)| *l == loser) {
                    Some((_, registers)) => registers.extend(register),
                    None => out.push(((birth, loser, Some(winner)), register.into_iter().collect())),
                }
            }
        }
        Ok(out)
    }

    /// The current writes of a column of a class, the latest first; of one write the smallest birth first.
    pub fn standing(&mut self, t: u32, leader: LocalDot, col: Col) -> Result<Vec<(LocalDot, Write, Cell)>, Error> {
        let class = self.class(t, leader)?;
        let mut all = Vec::new();
        for s in self.sources(&class)? {
            self.read(s)?;
            let birth = self.births[s].b;
            all.extend(self.births[s].rec.siblings(col).map(|(w, f)| (birth, w.clone(), f.cell.clone())));
        }
        all.sort_by(|a, b| self.order(&b.1, &a.1).then_with(|| self.id_of(a.0).cmp(&self.id_of(b.0))));
        Ok(all)
    }

    fn not_shown(&mut self, t: u32, leader: LocalDot, register: Option<Register>, d: LocalDot) -> Result<Named, Error> {
        let class = self.class(t, leader)?;
        let members = self.members(&class)?;
        let shown = match register {
            Some(Register::Column(c)) => members.iter().find_map(|&m| {
                let mut writes = self.births[m].rec.siblings(c);
                writes.find(|(w, f)| f.shown && w.dot != d).map(|(w, _)| w.dot)
            }),
            Some(Register::Existence) | None => None,
        };
        if d.0 == 0 {
            return Ok((leader, leader, shown));
        }
        let holds = |m: &usize| self.births[*m].rec.entries.iter().any(|e| e.write.dot == d);
        let birth = members.iter().copied().find(holds).map_or(leader, |m| self.births[m].b);
        Ok((birth, d, shown))
    }

    fn waiting_for_time(&mut self) -> Result<Vec<Waiting>, Error> {
        let futures: Vec<(u32, i64, i64, i64)> = self
            .c
            .prepare_cached("SELECT t, d, min(b), stamp FROM _lockstep_future GROUP BY t, d ORDER BY stamp, t, d")?
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?
            .collect::<Result<_, _>>()?;
        let mut out = Vec::new();
        for (t, d, b, stamp) in futures {
            let (birth, loser) = (LocalDot(b), LocalDot(d));
            let mut registers: Vec<Register> = Vec::new();
            for f in self.futures_of(t, loser)? {
                registers.extend(f.existence.iter().map(|_| Register::Existence));
                registers.extend(f.fields.iter().map(|f| Register::Column(f.col)));
            }
            registers.sort_by_key(|r| r.number());
            registers.dedup();
            out.push(Waiting {
                id: self.conflict_name(t, birth, loser),
                reason: ConflictKind::Clock,
                t,
                leader: self.class(t, birth)?.leader,
                birth,
                loser,
                winner: None,
                registers,
                waits_for: None,
                source: Source::Future,
                at: Stamp(stamp).millis(),
            });
        }
        Ok(out)
    }

    /// What either side of a thing that waits says, register by register: (register, winner, loser).
    pub fn sides(&mut self, w: &Waiting) -> Result<Vec<Side>, Error> {
        let class = self.class(w.t, w.leader)?;
        let sources = self.sources(&class)?;
        if w.source == Source::Difference {
            let noted = self.difference(w.t, w.birth)?;
            return noted.map_or_else(|| Ok(Vec::new()), |n| self.sides_of_difference(&n));
        }
        if w.source == Source::Future {
            let mut out = Vec::new();
            for f in self.futures_of(w.t, w.loser)?.into_iter().filter(|f| f.b == w.birth) {
                for field in f.fields {
                    let now = self.class_cell(&sources, field.col)?.map(|x| x.2);
                    out.push((Register::Column(field.col), now, Some(field.cell)));
                }
            }
            return Ok(out);
        }
        let anchor = self.anchors(&class)?.first().copied();
        if w.registers.is_empty() {
            let cols = self.columns_of(&sources);
            let mut out = Vec::new();
            for col in cols {
                out.push((Register::Column(col), None, self.class_cell(&sources, col)?.map(|x| x.2)));
            }
            return Ok(out);
        }
        let row = match anchor {
            Some(a) => self.stored_row(a)?,
            None => None,
        };
        let mut out = Vec::new();
        for &register in &w.registers {
            let Register::Column(col) = register else {
                out.push((register, None, None));
                continue;
            };
            let all = self.standing(w.t, w.leader, col)?;
            let said = |d: LocalDot| all.iter().find(|x| x.1.dot == d).map(|x| x.2.clone());
            let loser = said(w.loser);
            let winner = match (w.reason, w.winner) {
                (ConflictKind::UpdateUpdate, Some(d)) => said(d),
                // The delete.
                (ConflictKind::DeleteUpdate, _) => None,
                _ => match (&row, self.s.t(w.t).place.get(usize::from(col.0)).copied().flatten()) {
                    (Some(row), Some(p)) => Some(self.cell_of(w.t, col, row[p].clone())?),
                    _ => None,
                },
            };
            out.push((register, winner, loser));
        }
        Ok(out)
    }

    /// The world's name of a write that lies in a register or beside it.
    pub fn named_dot(&self, d: LocalDot) -> Option<Dot> {
        (d.0 != 0).then(|| self.dot(d))
    }
}

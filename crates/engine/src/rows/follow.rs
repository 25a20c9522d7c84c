//! What has to be planned anew because a row came, went, or moved.
use super::{ClassId, Plan, RowPlan};
use crate::change::ConflictKind;
use crate::class::Class;
use crate::error::Error;
use crate::record::{Cell, LocalDot};
use crate::transaction::Txn;

impl Txn<'_> {
    /// Rows that wait for one of these births.
    pub fn touch_waiting(&mut self, class: &Class) -> Result<(), Error> {
        if !self.has_held()? {
            return Ok(());
        }
        for m in class.members.clone() {
            let found: Vec<(u32, i64)> = self
                .c
                .prepare_cached("SELECT DISTINCT t, b FROM _lockstep_held WHERE wt = ?1 AND wb = ?2")?
                .query_map([i64::from(class.t), m.0], |r| Ok((r.get(0)?, r.get(1)?)))?
                .collect::<Result<_, _>>()?;
            self.touched.extend(found.into_iter().map(|(t, b)| (t, LocalDot(b))));
        }
        Ok(())
    }

    /// Rows of this table that wait because of a unique key.
    pub fn touch_unique_waiting(&mut self, t: u32) -> Result<(), Error> {
        if !self.has_held()? || !self.unique_touched.insert(t) {
            return Ok(());
        }
        let found: Vec<i64> = self
            .c
            .prepare_cached(
                "SELECT DISTINCT b FROM _lockstep_held INDEXED BY _lockstep_held_reason WHERE t = ?1 AND reason = ?2",
            )?
            .query_map([i64::from(t), ConflictKind::Unique as i64], |r| r.get(0))?
            .collect::<Result<_, _>>()?;
        self.touched.extend(found.into_iter().map(|b| (t, LocalDot(b))));
        Ok(())
    }

    /// Everything that waits for a file other than this, or for the last batch.
    pub fn touch_all_waiting(&mut self) -> Result<(), Error> {
        if !self.has_held()? {
            return Ok(());
        }
        // Which of two rows is which is not known before the delta has come to its end.
        let at_the_end = if self.s.last { ConflictKind::InsertInsert } else { ConflictKind::Constraint };
        let found: Vec<(u32, i64)> = self
            .c
            .prepare_cached(
                "SELECT t, b FROM _lockstep_held WHERE wt IN (SELECT n FROM _lockstep_table WHERE database IS NOT NULL)
                 UNION SELECT t, b FROM _lockstep_held INDEXED BY _lockstep_held_reason WHERE reason IN (?1, ?2, ?3, ?4)",
            )?
            .query_map(
                rusqlite::params![
                    ConflictKind::TableMissing as i64,
                    ConflictKind::ColumnMissing as i64,
                    ConflictKind::Constraint as i64,
                    at_the_end as i64
                ],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )?
            .collect::<Result<_, _>>()?;
        self.touched.extend(found.into_iter().map(|(t, b)| (t, LocalDot(b))));
        self.touch_whole_waiting()
    }

    /// Does the row get another value in a column by which others refer to it?
    pub(super) fn is_renamed(&self, plan: &RowPlan, (t, l): ClassId) -> bool {
        let Some(Plan::Show(show)) = plan.plans.get(&(t, l)) else { return false };
        let Some(old) = &show.old else { return false };
        self.s.t(t).named.iter().any(|&p| show.new[p].as_ref().is_some_and(|v| *v != old[p]))
    }

    /// References that were written anew since a transaction began no longer keep what they named.
    pub fn touch_left_parents(&mut self) -> Result<(), Error> {
        let mut targets = Vec::new();
        for birth in self.births.iter().filter(|b| b.dirty && !b.links_before().is_empty()) {
            let now = birth.links_now();
            let left = birth.links_before().iter().filter(|l| !now.contains(l));
            targets.extend(left.filter_map(|(col, b)| self.s.t(birth.t).refs.get(col).map(|(pt, _)| (*pt, *b))));
        }
        self.touch_dead(targets, |_| true)
    }

    /// A row that shows another reference than before no longer keeps what that named.
    pub(super) fn touch_parents_left(
        &mut self,
        plan: &RowPlan,
        (t, l): ClassId,
        members: &[usize],
    ) -> Result<(), Error> {
        let Some(Plan::Show(show)) = plan.plans.get(&(t, l)) else { return Ok(()) };
        let mut targets = Vec::new();
        for (col, (pt, _)) in &self.s.t(t).refs {
            if let Some((_, Cell::Row(b))) = self.shown_write(members, *col)
                && show.cells.get(*col).is_none_or(|(_, now)| *now != Cell::Row(b))
            {
                targets.push((*pt, b));
            }
        }
        self.touch_dead(targets, |id| !plan.extra.contains(&id))
    }

    /// Dead parents that were shown for the sake of these children may go now.
    pub(super) fn touch_dead_parents(&mut self, plan: &RowPlan, members: &[usize]) -> Result<(), Error> {
        let mut targets = Vec::new();
        for &m in members {
            let t = self.births[m].t;
            for e in &self.births[m].rec.entries {
                for f in &e.fields {
                    if let (Cell::Row(b), Some((pt, _))) = (&f.cell, self.s.t(t).refs.get(&f.col)) {
                        targets.push((*pt, *b));
                    }
                }
            }
        }
        self.touch_dead(targets, |id| !plan.extra.contains(&id))
    }

    /// Plans anew those of these rows that are dead and shown.
    fn touch_dead(&mut self, rows: Vec<ClassId>, wanted: impl Fn(ClassId) -> bool) -> Result<(), Error> {
        for (t, b) in rows {
            if self.s.t(t).database.is_some() {
                continue;
            }
            if let Some(i) = self.find(t, b)?
                && !self.lives(i)
            {
                let class = self.class(t, b)?;
                if wanted((t, class.leader)) && !self.anchors(&class)?.is_empty() {
                    self.touched.insert((t, b));
                }
            }
        }
        Ok(())
    }
}

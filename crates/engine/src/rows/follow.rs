//! What has to be planned anew because a row came, went, or moved.
use super::RowPlan;
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
            .prepare_cached("SELECT DISTINCT b FROM _lockstep_held WHERE t = ?1 AND reason = ?2")?
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
        let last = self.s.last;
        let found: Vec<(u32, i64)> = self
            .c
            .prepare_cached(
                "SELECT DISTINCT h.t, h.b FROM _lockstep_held AS h LEFT JOIN _lockstep_table AS p ON p.n = h.wt
                 WHERE p.database IS NOT NULL OR h.reason IN (?1, ?2, ?3) OR (?4 AND h.reason = ?5)",
            )?
            .query_map(
                rusqlite::params![
                    ConflictKind::TableMissing as i64,
                    ConflictKind::ColumnMissing as i64,
                    ConflictKind::Constraint as i64,
                    last,
                    ConflictKind::InsertInsert as i64
                ],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )?
            .collect::<Result<_, _>>()?;
        self.touched.extend(found.into_iter().map(|(t, b)| (t, LocalDot(b))));
        Ok(())
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
        for (pt, b) in targets {
            if self.s.t(pt).database.is_some() {
                continue;
            }
            if let Some(i) = self.find(pt, b)?
                && !self.lives(i)
            {
                let class = self.class(pt, b)?;
                if !plan.extra.contains(&(pt, class.leader)) && !self.anchors(&class)?.is_empty() {
                    self.touched.insert((pt, b));
                }
            }
        }
        Ok(())
    }
}

//! Edits: rows of which only free columns are written.
//!
//! Always true here: such a row keeps its identity, its key and its neighbours, so nothing but these columns is planned
//! and written. A class that is planned whole for any other reason is written by that plan. Not here: which columns are
//! free, and which births are plain (`transaction`).
use super::RowPlan;
use super::write::poisons;
use crate::class::Few;
use crate::error::Error;
use crate::record::{Cell, Col};
use crate::transaction::Txn;
use crate::value::Value;

impl Txn<'_> {
    /// What was merged as an edit and is not planned whole.
    pub(super) fn plan_edits(&mut self, plan: &mut RowPlan) -> Result<(), Error> {
        // A plan may be thrown away and made again: they stay until they are written.
        for i in self.edited.clone() {
            let (t, b) = (self.births[i].t, self.births[i].b);
            let leader = self.class(t, b)?.leader;
            if !plan.plans.contains_key(&(t, leader)) {
                plan.edits.push(i);
            }
        }
        Ok(())
    }

    /// The columns in which the row is to become another, each with its place and value.
    fn edits_of(&self, i: usize) -> Few<(usize, Value)> {
        let birth = &self.births[i];
        let place = &self.s.t(birth.t).place;
        let new = |col: Col| match birth.rec.siblings(col).next() {
            Some((_, f)) => match &f.cell {
                Cell::Value(v) => v.clone(),
                Cell::Row(_) | Cell::Raw(_) | Cell::Unread => unreachable!("a free column holds a value"),
            },
            None => unreachable!("a register that was merged is there"),
        };
        let each = birth.edits.iter().map(|(col, old)| (*col, old, new(*col))).filter(|(_, old, new)| *old != new);
        let mut out: Few<(usize, Value)> = each
            .map(|(col, _, new)| (place[usize::from(col.0)].expect("a free column is in the table"), new))
            .collect();
        out.sort_unstable_by_key(|(p, _)| *p);
        out
    }

    /// Does an edit change the row?
    pub(super) fn edit_changes(&self, i: usize) -> bool {
        !self.edits_of(i).is_empty()
    }

    /// Writes the columns of one edit, and notes that the row shows them.
    pub(super) fn write_edit(&mut self, i: usize) -> Result<(), Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let edits = self.edits_of(i);
        if !edits.is_empty() {
            let table = self.s.t(t).table.clone().expect("shown rows have a table");
            let key = self.births[i].row_key.clone().expect("a plain birth has a row");
            let places: Few<usize> = edits.iter().map(|(p, _)| *p).collect();
            let values: Few<&Value> = edits.iter().map(|(_, v)| v).collect();
            self.update_row(t, &table, &key, &places, &values).map_err(|e| poisons(e, t, b))?;
        }
        let birth = &mut self.births[i];
        birth.row = None;
        for (col, _) in std::mem::take(&mut birth.edits) {
            for e in &mut birth.rec.entries {
                if let Some(at) = e.place(col) {
                    e.fields[at].shown = true;
                }
            }
        }
        Ok(())
    }
}

//! Which rows the references name that the application wrote: now, dangling, or since a row came.
use super::Slice;
use crate::class::Class;
use crate::error::Error;
use crate::key::LocalKey;
use crate::record::{Cell, Col, Dangling, Field, LocalDot};
use crate::sibling::Foreign;
use crate::transaction::{Child, Standing, Txn};
use crate::value::Value;
use rusqlite::params;

impl Txn<'_> {
    /// Values of reference columns become the rows they name.
    pub fn name_rows(&mut self, i: usize) -> Result<(), Error> {
        let t = self.births[i].t;
        if self.s.t(t).refs.is_empty() {
            return Ok(());
        }
        let mut todo = Vec::new();
        for (e, entry) in self.births[i].rec.entries.iter().enumerate() {
            for (f, field) in entry.fields.iter().enumerate() {
                if let Cell::Value(v) = &field.cell
                    && !v.is_null()
                    && self.s.t(t).refs.contains_key(&field.col)
                {
                    todo.push((e, f, field.col, v.clone()));
                }
            }
        }
        for (e, f, col, v) in todo {
            let cell = self.cell_of(t, col, v)?;
            if let Cell::Row(to) = cell {
                let b = self.births[i].b;
                self.link_now(t, b, col, to);
            }
            self.births[i].rec.entries[e].fields[f].cell = cell;
        }
        Ok(())
    }

    /// A reference to a row that went in the same slice was left dangling: it names that row, not nothing.
    pub(super) fn name_buried(&mut self, i: usize, buried: &[(u32, Vec<Value>, LocalDot)]) -> Result<(), Error> {
        if buried.is_empty() {
            return Ok(());
        }
        let (t, b) = (self.births[i].t, self.births[i].b);
        let mut found = Vec::new();
        let entries = self.births[i].rec.entries.iter().enumerate();
        for (e, entry) in entries.filter(|(_, e)| self.s.is_ours(t, e.write.dot)) {
            for (f, field) in entry.fields.iter().enumerate() {
                let (Cell::Raw(v), Some((pt, r))) = (&field.cell, self.reference(t, field.col)) else { continue };
                let Some(p) = self.s.t(pt).table.as_ref().and_then(|p| p.column(&r.target_column)) else { continue };
                if let Some((_, _, to)) = buried.iter().rev().find(|(bt, row, _)| *bt == pt && row[p] == *v) {
                    found.push((e, f, field.col, *to));
                }
            }
        }
        for (e, f, col, to) in found {
            self.link_now(t, b, col, to);
            self.births[i].rec.entries[e].fields[f].cell = Cell::Row(to);
        }
        Ok(())
    }

    /// References of living rows here that go on naming a row that was deleted.
    pub(super) fn dangling(&mut self, class: &Class) -> Result<Vec<Dangling>, Error> {
        let mut out = Vec::new();
        for &b in &class.members {
            for (ct, c, col) in self.children(class.t, b)? {
                let Some(k) = self.find(ct, c)? else { continue };
                if self.births[k].standing != Standing::Shown {
                    continue;
                }
                self.read(k)?;
                for e in &self.births[k].rec.entries {
                    if e.field(col).is_some_and(|f| f.shown && f.cell == Cell::Row(b)) {
                        out.push(Dangling { table: ct, col, dot: e.write.dot });
                    }
                }
            }
        }
        Ok(out)
    }

    /// The application gave a row another key, and left references to it as they were: they name another row now, or
    /// nothing. That is what its users see, so it is written.
    pub(super) fn leave_behind(&mut self, slice: &mut Slice, i: usize) -> Result<(), Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let class = self.class(t, b)?;
        for m in class.members.clone() {
            for (ct, c, col) in self.children(t, m)? {
                let Some(k) = self.find(ct, c)?.filter(|&k| self.births[k].standing == Standing::Shown) else {
                    continue;
                };
                self.read(k)?;
                let names_it = |f: &Field| f.shown && matches!(f.cell, Cell::Row(to) if class.members.contains(&to));
                if !self.births[k].rec.siblings(col).any(|(_, f)| names_it(f)) {
                    continue;
                }
                let child = self.class(ct, c)?;
                let Some(&anchor) = self.anchors(&child)?.first() else { continue };
                let (Some(row), Some(p)) = (self.stored_row(anchor)?, self.s.t(ct).place[usize::from(col.0)]) else {
                    continue;
                };
                let stays = match self.cell_of(ct, col, row[p].clone())? {
                    Cell::Row(to) => class.members.contains(&to),
                    Cell::Value(_) | Cell::Raw(_) | Cell::Unread => false,
                };
                if !stays {
                    self.write_reference(slice, k, col, row[p].clone())?;
                }
            }
        }
        Ok(())
    }

    /// Values of ours that pointed to nothing now point to a new row: reference writes (extended rule 12).
    pub(super) fn adopt(&mut self, slice: &mut Slice, t: u32, key: &LocalKey) -> Result<(), Error> {
        let Some(values) = key.values() else { return Ok(()) };
        let [value] = values.as_slice() else { return Ok(()) };
        let found: Vec<(u32, i64, u16)> = self
            .c
            .prepare_cached("SELECT ct, c, col FROM _lockstep_raw WHERE pt = ?1 AND value = ?2")?
            .query_map(params![t, value], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (ct, c, col) in found {
            self.reference_anew(slice, (ct, LocalDot(c), Col(col)))?;
        }
        if let Value::Integer(id) = value {
            self.adopt_left(slice, t, *id)?;
        }
        Ok(())
    }

    /// The same for references left dangling to the row that had this id before.
    fn adopt_left(&mut self, slice: &mut Slice, t: u32, id: i64) -> Result<(), Error> {
        let Some(b) = self.last_at(t, id)? else { return Ok(()) };
        for m in self.class(t, b)?.members.clone() {
            for (ct, c, col) in self.children(t, m)? {
                let Some(i) = self.find(ct, c)?.filter(|&i| self.births[i].standing == Standing::Shown) else {
                    continue;
                };
                let class = self.class(ct, c)?;
                let Some(&anchor) = self.anchors(&class)?.first() else { continue };
                let (Some(row), Some(p)) = (self.stored_row(anchor)?, self.s.t(ct).place[usize::from(col.0)]) else {
                    continue;
                };
                if row[p] == Value::Integer(id) {
                    self.write_reference(slice, i, col, row[p].clone())?;
                }
            }
        }
        Ok(())
    }

    /// What the row shows in a reference column is written, and named in each of its births.
    fn write_reference(&mut self, slice: &mut Slice, i: usize, col: Col, value: Value) -> Result<(), Error> {
        self.local_write(slice, i, &[(col, Some(value))], self.now)?;
        let class = self.class(self.births[i].t, self.births[i].b)?;
        for m in self.members(&class)? {
            self.read(m)?;
            self.name_rows(m)?;
        }
        Ok(())
    }

    fn reference_anew(&mut self, slice: &mut Slice, (ct, c, col): Child) -> Result<(), Error> {
        let Some(i) = self.find(ct, c)?.filter(|&i| self.births[i].standing == Standing::Shown) else {
            return Ok(());
        };
        let Some(value) = self.names_nothing(i, col)? else { return Ok(()) };
        if matches!(self.cell_of(ct, col, value.clone())?, Cell::Row(_)) {
            self.write_reference(slice, i, col, value)?;
        } else if let Some((pt, _)) = self.reference(ct, col).filter(|(pt, _)| self.s.t(*pt).database.is_some()) {
            self.left_behind.push((pt, value, (ct, c, col)));
        }
        Ok(())
    }

    /// The value of a reference that names nothing: one that never did, or what was left of a row of another file.
    fn names_nothing(&mut self, i: usize, col: Col) -> Result<Option<Value>, Error> {
        self.read(i)?;
        let (t, b) = (self.births[i].t, self.births[i].b);
        let shown = self.births[i].rec.siblings(col).find(|(_, f)| f.shown).map(|(_, f)| f.cell.clone());
        let (to, (pt, r)) = match (shown, self.reference(t, col)) {
            (Some(Cell::Raw(v)), _) => return Ok(Some(v)),
            (Some(Cell::Row(to)), Some(r)) if self.s.t(r.0).database.is_some() => (to, r),
            (Some(Cell::Row(_) | Cell::Value(_) | Cell::Unread) | None, _) => return Ok(None),
        };
        if self.foreign_row(pt, to, &r.target_column)? != Foreign::Dead {
            return Ok(None);
        }
        let class = self.class(t, b)?;
        let Some(&anchor) = self.anchors(&class)?.first() else { return Ok(None) };
        let (row, place) = (self.stored_row(anchor)?, self.s.t(t).place[usize::from(col.0)]);
        // A stand-in is nobody's id.
        Ok(row.zip(place).map(|(row, p)| row[p].clone()).filter(|v| v.as_integer().is_none_or(|id| id >= 0)))
    }

    /// References into other files whose rows have come or gone since (their harvest knows nothing of ours).
    pub fn adopt_foreign(&mut self, of_moved: Vec<Child>) -> Result<(), Error> {
        let mut todo = of_moved;
        let foreign: Vec<u32> = self.s.tables.iter().filter(|t| t.database.is_some()).map(|t| t.n).collect();
        for pt in foreign {
            let mut q = self.c.prepare_cached("SELECT ct, c, col FROM _lockstep_raw WHERE pt = ?1")?;
            let found = q.query_map([pt], |r| Ok((r.get(0)?, LocalDot(r.get(1)?), Col(r.get(2)?))))?;
            todo.extend(found.collect::<Result<Vec<Child>, _>>()?);
        }
        let mut slice = Slice::default();
        for child in todo {
            self.reference_anew(&mut slice, child)?;
        }
        self.finish(&mut slice)
    }
}

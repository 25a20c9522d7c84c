//! References: from local values to the rows they name, and back.
//!
//! Always true here: a reference travels as the smallest living, complete birth of the row it names (merge-rules 13),
//! and is shown as that row's key here; so ids may differ and no child gets a wrong parent.
use crate::catalog::Reference;
use crate::error::Error;
use crate::key::LocalKey;
use crate::record::{Cell, Col, LocalDot};
use crate::sibling::key_by_target;
use crate::transaction::{Child, Txn};
use crate::value::Value;
use rusqlite::params;
use std::rc::Rc;

impl Txn<'_> {
    /// The reference behind a column: (number of the table referred to, the reference).
    pub fn reference(&self, t: u32, col: Col) -> Option<(u32, Rc<Reference>)> {
        let s = self.s.t(t);
        let (pt, at) = *s.refs.get(&col)?;
        s.table.as_ref()?;
        Some((pt, s.references[at].clone()))
    }

    /// What a local value in this column means.
    pub fn cell_of(&mut self, t: u32, col: Col, v: Value) -> Result<Cell, Error> {
        let Some((pt, r)) = self.reference(t, col).filter(|_| !v.is_null()) else { return Ok(Cell::Value(v)) };
        if self.s.t(pt).database.is_some() {
            return Ok(match self.foreign_birth(pt, &r.target_column, &v)? {
                Some(b) => Cell::Row(b),
                None => Cell::Raw(v),
            });
        }
        let Some(parent) = self.s.t(pt).table.clone() else { return Ok(Cell::Raw(v)) };
        if let Some(key) = key_by_target(self.c, "main", &parent, &r.target_column, &v)?
            && let Some(i) = self.by_key(pt, &key)?
        {
            return Ok(Cell::Row(self.named_birth(i)?));
        }
        if let (Some(_), Value::Integer(id)) = (parent.surrogate(), &v) {
            // It points to nothing, and sync shall not give it a meaning.
            self.used(pt, &LocalKey::Id(*id))?;
        }
        Ok(Cell::Raw(v))
    }

    /// The smallest living, complete birth of a row.
    pub fn named_birth(&mut self, i: usize) -> Result<LocalDot, Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        if !self.births[i].rec.linked {
            return Ok(b);
        }
        let class = self.class(t, b)?;
        let sources = self.sources(&class)?;
        Ok(sources.first().map_or(b, |&s| self.births[s].b))
    }

    /// Do two writes of a column say the same: one value, or births of one row?
    pub fn says_same(&mut self, t: u32, col: Col, a: &Cell, b: &Cell) -> Result<bool, Error> {
        match (a, b, self.reference(t, col)) {
            (Cell::Row(x), Cell::Row(y), Some((pt, _))) => Ok(self.leader(pt, *x)? == self.leader(pt, *y)?),
            _ => Ok(a == b),
        }
    }

    /// Remembers a reference that is not stored yet.
    pub fn link_now(&mut self, t: u32, b: LocalDot, col: Col, to: LocalDot) {
        if let Some((pt, _)) = self.s.t(t).refs.get(&col) {
            self.links_now.entry((*pt, to)).or_default().push((t, b, col));
        }
    }

    /// Births with a register that refers to this birth, or did before this transaction.
    pub fn children(&mut self, t: u32, b: LocalDot) -> Result<Vec<Child>, Error> {
        let mut out: Vec<Child> = self
            .c
            .prepare_cached("SELECT ct, c, col FROM _lockstep_link WHERE pt = ?1 AND p = ?2")?
            .query_map(params![t, b.0], |r| Ok((r.get(0)?, LocalDot(r.get(1)?), Col(r.get(2)?))))?
            .collect::<Result<_, _>>()?;
        if let Some(more) = self.links_now.get(&(t, b)) {
            out.extend(more.iter().copied());
        }
        out.sort_unstable();
        out.dedup();
        Ok(out)
    }

    /// All children of all births of the class of `b` are planned anew.
    pub fn touch_children(&mut self, t: u32, b: LocalDot) -> Result<(), Error> {
        let class = self.class(t, b)?;
        for m in class.members.clone() {
            for (ct, c, _) in self.children(t, m)? {
                self.touched.insert((ct, c));
            }
        }
        Ok(())
    }
}

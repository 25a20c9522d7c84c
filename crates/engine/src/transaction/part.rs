//! Reading just the columns of a row that a write touches, and moving its part of the digest by just those.
//!
//! Always true here: a birth is read in part only where every stored register of it is shown by its own row as it is
//! stored, so that any of its columns can be read alone; whatever reads it whole takes its hash anew. Not here: what is
//! read whole (`transaction`).
use super::{Birth, Standing, Txn};
use crate::class::Few;
use crate::digest::Hash;
use crate::error::Error;
use crate::key::LocalKey;
use crate::merge::Keeps;
use crate::record::{Cell, Col, LocalDot};
use crate::value::Value;
use std::rc::Rc;

/// What was read and written of a birth that is not read whole.
#[derive(Debug, Default)]
pub struct Part {
    /// Columns that were written.
    cols: Few<Col>,
    /// What those columns were worth in the stored hash.
    out: u128,
}

impl Birth {
    /// Can any of its columns be read alone?
    pub fn is_plain(&self) -> bool {
        self.plain
            && self.standing == Standing::Shown
            && !(self.rec.linked || self.rec.held)
            && self.key == self.row_key
    }
}

impl Txn<'_> {
    /// By column number: a new value in it says nothing but itself. No key, reference or policy looks at it, so that a
    /// row of which only such columns change keeps its identity, its place and its neighbours.
    pub fn free_columns(&mut self, t: u32) -> Rc<[bool]> {
        if let Some(free) = self.free.get(&t) {
            return free.clone();
        }
        let s = self.s.t(t);
        let mut free = vec![false; s.cols.len()];
        if let Some(table) = &s.table
            && table.uniques.iter().all(|u| u.plain_columns().is_some())
        {
            let of_parent = |&(child, at): &(u32, usize)| self.s.t(child).composites[at].1.clone();
            let by_whole: Vec<_> = s.named_whole.iter().map(of_parent).collect();
            let watched = |p: usize| {
                s.named.contains(&p)
                    || s.composites.iter().any(|(_, key)| key.columns.iter().any(|(from, _)| *from == p))
                    || by_whole.iter().any(|key| key.columns.iter().any(|(_, to)| *to == p))
                    || table.key_places().contains(&p)
                    || table.references.iter().any(|r| r.column == p)
                    || table.identity.iter().any(|k| k.contains(&p))
                    || table.uniques.iter().any(|u| u.plain_columns().is_some_and(|k| k.contains(&p)))
            };
            for (n, place) in s.place.iter().enumerate() {
                let policy = self.policy(t, Col(n as u16)).0;
                free[n] = place.is_some_and(|p| !watched(p)) && policy == Keeps::Newest;
            }
        }
        let free: Rc<[bool]> = free.into();
        self.free.insert(t, free.clone());
        free
    }

    /// Reads columns of a plain birth from its row, as it is in the application's table: the cells that the row shows,
    /// and the row's values. None: the row is not there.
    fn read_part(&mut self, i: usize, cols: &[Col]) -> Result<Option<Few<(Col, Value)>>, Error> {
        let t = self.births[i].t;
        let key = self.births[i].row_key.clone().expect("a plain birth has a row");
        let place = &self.s.t(t).place;
        let places: Few<usize> = cols.iter().map(|c| place[usize::from(c.0)].expect("it is shown")).collect();
        let Some(values) = self.row_places(t, &key, &places)? else { return Ok(None) };
        let read: Few<(Col, Value)> = cols.iter().copied().zip(values).collect();
        for e in &mut self.births[i].rec.entries {
            for (col, v) in &read {
                if let Some(at) = e.place(*col)
                    && e.fields[at].cell == Cell::Unread
                {
                    e.fields[at].cell = Cell::Value(v.clone());
                }
            }
        }
        Ok(Some(read))
    }

    /// Reads the columns that an incoming write touches, before it is merged. Gives what the row shows in those that were
    /// not read before; None: the birth has to be read whole.
    pub fn read_before(&mut self, i: usize, cols: &[Col]) -> Result<Option<Few<(Col, Value)>>, Error> {
        if !self.births[i].is_plain() {
            return Ok(None);
        }
        let known = self.births[i].part.take().unwrap_or_default();
        let new: Few<Col> = cols.iter().copied().filter(|c| !known.cols.contains(c)).collect();
        self.births[i].part = Some(known);
        let Some(read) = self.read_part(i, &new)? else { return Ok(None) };
        let out = self.hash_of_columns(i, &new);
        let part = self.births[i].part.as_mut().expect("set above");
        part.out = part.out.wrapping_add(out);
        part.cols.extend(new);
        Ok(Some(read))
    }

    /// The application wrote to the row: what its stored hash counts can't be told from the row any more, so that the row
    /// is read whole.
    pub fn note_written(&mut self, i: usize) {
        self.births[i].plain = false;
        self.births[i].part = None;
    }

    /// Reads the columns of one write, to send them.
    pub fn read_write(&mut self, i: usize, dot: LocalDot) -> Result<(), Error> {
        if self.births[i].read {
            return Ok(());
        }
        if self.births[i].is_plain()
            && let [_, _, ..] = self.births[i].rec.entries.as_slice()
        {
            let unread = self.births[i].rec.entries.iter().filter(|e| e.write.dot == dot).flat_map(|e| &e.fields);
            let cols: Few<Col> = unread.filter(|f| f.cell == Cell::Unread).map(|f| f.col).collect();
            if self.read_part(i, &cols)?.is_some() {
                return Ok(());
            }
        }
        self.read(i)
    }

    /// What current values of these columns add to the hash.
    fn hash_of_columns(&self, i: usize, cols: &[Col]) -> u128 {
        let birth = &self.births[i];
        let names = &self.s.t(birth.t).cols;
        let start = self.hash.start(birth.b, &self.s.replicas);
        let mut sum = 0u128;
        for col in cols {
            for (_, f) in birth.rec.siblings(*col) {
                let part = Hash::field(start, &names[usize::from(col.0)], &f.cell, &self.s.replicas);
                sum = sum.wrapping_add(part);
            }
        }
        sum
    }

    /// The hash of a birth as it is to be stored.
    pub fn hash_now(&mut self, i: usize) -> Result<u128, Error> {
        if let Some(part) = self.births[i].part.take() {
            let now = self.hash_of_columns(i, &part.cols);
            return Ok(self.births[i].rec.hash.wrapping_sub(part.out).wrapping_add(now));
        }
        self.read(i)?;
        Ok(self.hash_of(i))
    }

    /// Values of the application's row under a key that is no content key, by place.
    fn row_places(&mut self, t: u32, key: &LocalKey, places: &[usize]) -> Result<Option<Few<Value>>, Error> {
        self.with_row(t, key, |r| places.iter().map(|&p| Ok(Value::from(r.get_ref(p)?))).collect())
    }
}

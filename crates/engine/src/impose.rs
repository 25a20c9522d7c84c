//! A restored state that shall win: the rows become what they were in a copy of the file, as writes of this replica.
//!
//! Always true here: what this incarnation has written itself stays, since that is newer than the copy; what is
//! replaced goes to the archive like any other old value; no row goes to which one that stays refers. Tables without a
//! key have no rows that could be told from one another: they stay as they are.
use crate::attach::page;
use crate::catalog::{Table, quote};
use crate::copy::Copy;
use crate::database::{Database, catch_up, settle_after_harvest};
use crate::error::Error;
use crate::harvest::Uncaptured;
use crate::id::Millis;
use crate::key::LocalKey;
use crate::record::{Col, Entry, LocalDot};
use crate::store::damaged;
use crate::transaction::{Standing, Txn, locate};
use crate::value::Value;
use rusqlite::{OptionalExtension, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Rows looked at before the next are fetched.
const SLICE: usize = 2000;

/// What imposing a copy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imposed {
    /// Rows that were brought back.
    pub inserts: u64,
    /// Rows that were changed.
    pub updates: u64,
    /// Rows that were deleted.
    pub deletes: u64,
}

/// What is to be done to one table.
#[derive(Default)]
struct Work {
    /// By the birth that is anchored on the row.
    delete: BTreeMap<LocalDot, (LocalKey, Vec<Value>)>,
    change: Vec<Change>,
    insert: Vec<(LocalKey, Vec<Value>)>,
}

struct Change {
    birth: usize,
    key: LocalKey,
    old: Vec<Value>,
    new: Vec<Value>,
    cols: Vec<(Col, Option<Value>)>,
}

impl Database {
    /// Makes the rows what they are in a copy of this very file, as writes that have seen all that this file has
    /// received. Call it after everything was received that peers had.
    pub fn impose(&mut self, copy: &Path, now: Millis) -> Result<Imposed, Error> {
        self.harvest(now)?;
        let copy = Copy::open(copy, self.name())?;
        self.write(now, |txn| {
            // What the application wrote meanwhile is replaced like the rest: as a write that is known, and kept.
            catch_up(txn)?;
            let mut order: Vec<(usize, u32)> =
                txn.s.tables.iter().filter(|t| t.table.is_some()).map(|t| (t.rank, t.n)).collect();
            order.sort_unstable();
            let mut work = BTreeMap::new();
            for &(_, t) in &order {
                let Some(table) = txn.s.t(t).table.clone() else { continue };
                if let Some(there) = copy.table(&table) {
                    work.insert(t, txn.compare_with(t, &table, &copy, there)?);
                }
            }
            txn.spare_parents(&mut work)?;
            let mut done = Imposed::default();
            for (&t, w) in &mut work {
                let n = txn.write_imposed(t, w)?;
                done.inserts += n.inserts;
                done.updates += n.updates;
                done.deletes += n.deletes;
            }
            // Children go before their parents, and come after them.
            for &(_, t) in order.iter().rev() {
                let (Some(w), Some(table)) = (work.get_mut(&t), txn.s.t(t).table.clone()) else { continue };
                let gone = std::mem::take(&mut w.delete).into_values().map(|(key, row)| (key, Some(row))).collect();
                txn.take_uncaptured(t, &table, Uncaptured { gone, ..Uncaptured::default() })?;
            }
            for &(_, t) in &order {
                let (Some(w), Some(table)) = (work.remove(&t), txn.s.t(t).table.clone()) else { continue };
                let changed = w.change.into_iter().map(|c| (c.birth, c.cols)).collect();
                txn.take_uncaptured(t, &table, Uncaptured { changed, new: w.insert, ..Uncaptured::default() })?;
            }
            settle_after_harvest(txn)?;
            Ok(done)
        })
    }
}

impl Txn<'_> {
    /// Where the rows here and in the copy differ.
    fn compare_with(&mut self, t: u32, table: &Table, copy: &Copy, there: &Table) -> Result<Work, Error> {
        let mut work = Work::default();
        let places: Vec<Option<usize>> = table.columns.iter().map(|c| there.column(&c.name)).collect();
        let as_here = |row: &[Value], old: Option<&[Value]>| -> Vec<Value> {
            let at = |(p, place): (usize, &Option<usize>)| match place {
                Some(k) => row[*k].clone(),
                None => old.map_or(Value::Null, |old| old[p].clone()),
            };
            places.iter().enumerate().map(at).collect()
        };
        let mut cursor: Option<Vec<Value>> = None;
        loop {
            let found = page(self.c, table, cursor.as_deref(), SLICE)?;
            for (old, _) in found.rows {
                let key = LocalKey::of_row(table, &old);
                if key.is_content() {
                    continue;
                }
                let Some(birth) = self.by_key(t, &key)? else { continue };
                match copy.row(there, &key)? {
                    None if self.is_own_birth(birth)? => {}
                    None => drop(work.delete.insert(self.births[birth].b, (key, old))),
                    Some(row) => {
                        let mut new = as_here(&row, Some(&old));
                        let mut cols = Vec::new();
                        for p in 0..new.len() {
                            let Some(col) = self.s.t(t).col_at[p] else { continue };
                            if new[p] == old[p] {
                                continue;
                            }
                            if self.is_own_column(birth, col)? {
                                new[p] = old[p].clone();
                            } else {
                                cols.push((col, Some(old[p].clone())));
                            }
                        }
                        if !cols.is_empty() {
                            work.change.push(Change { birth, key, old, new, cols });
                        }
                    }
                }
            }
            match found.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        cursor = None;
        loop {
            let found = page(&copy.c, there, cursor.as_deref(), SLICE)?;
            for (row, _) in found.rows {
                let key = LocalKey::of_row(there, &row);
                if !key.is_content() && self.row(t, &key)?.is_none() && !self.is_own_grave(t, &key, copy)? {
                    work.insert.push((key, as_here(&row, None)));
                }
            }
            match found.next {
                Some(next) => cursor = Some(next),
                None => return Ok(work),
            }
        }
    }

    fn of_class(&mut self, i: usize) -> Result<crate::class::Few<usize>, Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let class = self.class(t, b)?;
        self.members(&class)
    }

    /// Was the row made in this incarnation?
    fn is_own_birth(&mut self, i: usize) -> Result<bool, Error> {
        let own = self.s.own;
        Ok(self.of_class(i)?.iter().any(|&m| self.births[m].b.replica() == own))
    }

    /// Was the column last written in this incarnation?
    fn is_own_column(&mut self, i: usize, col: Col) -> Result<bool, Error> {
        let own = self.s.own;
        for m in self.of_class(i)? {
            self.read(m)?;
            if self.births[m].rec.siblings(col).any(|(w, f)| f.shown && w.dot.replica() == own) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Was the row that the copy has under this key deleted in this incarnation?
    fn is_own_grave(&mut self, t: u32, key: &LocalKey, copy: &Copy) -> Result<bool, Error> {
        let sql = format!("SELECT b FROM _lockstep_row_{t} WHERE k = ?1");
        let birth: Option<i64> = copy.c.prepare_cached(&sql)?.query_row([key], |r| r.get(0)).optional()?;
        let Some(i) = birth.map(|b| self.find(t, LocalDot(b))).transpose()?.flatten() else { return Ok(false) };
        let own = self.s.own;
        let deleted = |e: &Entry| e.write.dot.replica() == own && e.existence.is_some();
        Ok(self.of_class(i)?.iter().any(|&m| self.births[m].rec.entries.iter().any(deleted)))
    }

    /// A row to which one refers that stays is not deleted.
    fn spare_parents(&mut self, work: &mut BTreeMap<u32, Work>) -> Result<(), Error> {
        loop {
            let mut spared = BTreeSet::new();
            let all: Vec<(u32, LocalDot)> =
                work.iter().flat_map(|(t, w)| w.delete.keys().map(|b| (*t, *b)).collect::<Vec<_>>()).collect();
            for &(t, b) in &all {
                let class = self.class(t, b)?;
                for &m in &class.members {
                    for (ct, c, col) in self.children(t, m)? {
                        let Some(k) = self.find(ct, c)? else { continue };
                        let goes = work.get(&ct).is_some_and(|w| w.delete.contains_key(&c));
                        if self.births[k].standing == Standing::Shown && !goes && self.is_own_column(k, col)? {
                            spared.insert((t, b));
                        }
                    }
                }
            }
            if spared.is_empty() {
                return Ok(());
            }
            for (t, b) in spared {
                work.get_mut(&t).map(|w| w.delete.remove(&b));
            }
        }
    }

    /// Writes the rows. First all that goes, so that unique keys may change places.
    fn write_imposed(&mut self, t: u32, work: &mut Work) -> Result<Imposed, Error> {
        let Some(table) = self.s.t(t).table.clone() else { return Ok(Imposed::default()) };
        let name = quote(&table.name);
        let delete = format!("DELETE FROM main.{name} WHERE {}", locate(&table, 0));
        let list = table.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(", ");
        let marks = (1..=table.columns.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
        let insert = format!("INSERT INTO main.{name} ({list}) VALUES ({marks})");
        let keys = work.delete.values().map(|(k, _)| k).chain(work.change.iter().map(|c| &c.key));
        for key in keys {
            let values = key.values().ok_or_else(|| damaged("a key"))?;
            self.c.prepare_cached(&delete)?.execute(params_from_iter(values))?;
        }
        let refused = |e: &rusqlite::Error| e.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation);
        let mut kept = Vec::new();
        for change in std::mem::take(&mut work.change) {
            let mut q = self.c.prepare_cached(&insert)?;
            match q.execute(params_from_iter(&change.new)) {
                Ok(_) => {
                    self.births[change.birth].row = None;
                    kept.push(change);
                }
                // A row of this incarnation stands in the way: this one stays what it was.
                Err(e) if refused(&e) => drop(q.execute(params_from_iter(&change.old))?),
                Err(e) => return Err(e.into()),
            }
        }
        work.change = kept;
        let mut came = Vec::new();
        for (key, row) in std::mem::take(&mut work.insert) {
            if !self.parents_are_there(&table, &row)? {
                continue;
            }
            match self.c.prepare_cached(&insert)?.execute(params_from_iter(&row)) {
                Ok(_) => came.push((key, row)),
                Err(e) if refused(&e) => {}
                Err(e) => return Err(e.into()),
            }
        }
        work.insert = came;
        let count = |n: usize| n as u64;
        Ok(Imposed {
            inserts: count(work.insert.len()),
            updates: count(work.change.len()),
            deletes: count(work.delete.len()),
        })
    }

    /// Is every row there that this one refers to by a declared foreign key? A row may refer to itself.
    fn parents_are_there(&self, table: &Table, row: &[Value]) -> Result<bool, Error> {
        for r in table.references.iter().filter(|r| r.declared && r.database.is_none()) {
            let v = &row[r.column];
            let itself = r.table == table.name && table.column(&r.target_column).is_some_and(|p| row[p] == *v);
            if v.is_null() || itself {
                continue;
            }
            let (parent, target) = (quote(&r.table), quote(&r.target_column));
            let sql = format!("SELECT EXISTS (SELECT 1 FROM main.{parent} WHERE {target} = ?1)");
            if !self.c.prepare_cached(&sql)?.query_row([v], |r| r.get::<_, bool>(0))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

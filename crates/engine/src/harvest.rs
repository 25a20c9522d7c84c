//! Harvest: what the application wrote, read from the capture logs, becomes versions.
//!
//! Always true here: each log row is a write with its own dot; stamps follow the wall times of the log and never run
//! back; the log is read by key, and values are those that the row has now. Nothing here undoes what the application
//! wrote. Not here: how the log is kept (`capture`).
mod existing;
mod naming;
mod suspects;
mod uncaptured;
mod write;

pub use uncaptured::{Changed, Uncaptured};

use crate::capture::{self, LogRow, Op};
use crate::catalog::Table;
use crate::class::Class;
use crate::config::MergeUnit;
use crate::error::Error;
use crate::id::{Millis, Stamp};
use crate::key::LocalKey;
use crate::record::{Cell, Col, Dangling, Entry, Existence, Field, LocalDot, Register, Write};
use crate::rule::{Rule, applies};
use crate::store::TOTAL;
use crate::transaction::{Archived, Standing, Txn};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Log rows of one table that one transaction takes at most.
pub const SLICE: usize = 2000;

/// What the harvest of one slice keeps in mind.
#[derive(Default)]
struct Slice {
    /// Births written here, whose cells have to be read from their rows.
    written: BTreeSet<usize>,
    /// Births deleted here, for what they left dangling.
    graves: Vec<(usize, LocalDot, Class)>,
    /// Suspects of a REPLACE, by table and key: (birth, old row, time, the key of the insert that followed).
    suspects: BTreeMap<(u32, LocalKey), Suspect>,
    /// New rows, for references that named nothing until now.
    born: Vec<(u32, LocalKey)>,
    /// Rows that went, for references written before: (table, row, birth).
    buried: Vec<(u32, Vec<Value>, LocalDot)>,
    /// Rows that got another value in a column by which others refer to them.
    renamed: BTreeSet<usize>,
    /// The stamp that decides instead of the time of the write.
    rank: Option<Stamp>,
}

struct Suspect {
    row: Vec<Value>,
    at: Millis,
    /// The row whose write came right after: it would have evicted the suspect.
    by: Option<LocalKey>,
}

struct Queue {
    t: u32,
    table: Rc<Table>,
    rows: std::vec::IntoIter<LogRow>,
    next: Option<LogRow>,
    cut: bool,
    rank: usize,
    newest: i64,
}

impl Txn<'_> {
    /// Takes one slice of the logs. True: there is more.
    pub fn harvest_slice(&mut self) -> Result<(u64, bool), Error> {
        let mut queues = Vec::new();
        for i in 0..self.s.tables.len() {
            let Some(table) = self.s.tables[i].table.clone() else { continue };
            let (t, harvested, rank) = (self.s.tables[i].n, self.s.tables[i].harvested, self.s.tables[i].rank);
            let rows = capture::read(self.c, t, &table, harvested, SLICE)?;
            if !rows.is_empty() {
                let cut = rows.len() >= SLICE;
                let mut rows = rows.into_iter();
                let next = rows.next();
                queues.push(Queue { t, table, rows, next, cut, rank, newest: harvested });
            }
        }
        let mut slice = Slice::default();
        let mut writes = 0;
        let mut more = false;
        // In the order of time over all tables; one table's rows in the order of its log.
        while let Some(k) = (0..queues.len())
            .filter(|&k| queues[k].next.is_some())
            .min_by_key(|&k| (queues[k].next.as_ref().map(|r| r.at), queues[k].rank))
        {
            let q = &mut queues[k];
            let row = q.next.take().expect("chosen because it has one");
            q.next = q.rows.next();
            q.newest = row.i;
            let (t, table, ran_out) = (q.t, q.table.clone(), q.next.is_none() && q.cut);
            self.log_row(&mut slice, t, &table, row)?;
            writes += 1;
            if ran_out {
                more = true;
                break;
            }
        }
        for q in &queues {
            self.s.t_mut(q.t).harvested = q.newest;
        }
        self.settle_suspects(&mut slice)?;
        self.finish(&mut slice)?;
        for q in &queues {
            capture::trim(self.c, q.t, q.newest)?;
        }
        Ok((writes, more))
    }

    fn log_row(&mut self, slice: &mut Slice, t: u32, table: &Table, row: LogRow) -> Result<(), Error> {
        // A column that came later had nothing then.
        let all = |old: &[(usize, Option<Value>)]| -> Vec<Value> {
            let mut row = vec![Value::Null; table.columns.len()];
            old.iter().for_each(|(p, v)| row[*p] = v.clone().unwrap_or_default());
            row
        };
        match row.op {
            Op::Insert => {
                let Some(key) = LocalKey::of_values(table, &row.key, || row.new.clone()) else { return Ok(()) };
                self.follow(slice, t, &key);
                self.log_insert(slice, t, table, key, row.new, row.at)
            }
            Op::Update => {
                let Some(old_key) =
                    LocalKey::of_values(table, &row.key, || (!row.old.is_empty()).then(|| all(&row.old)))
                else {
                    return Ok(());
                };
                let key = match (&row.new_key, &row.new) {
                    (Some(k), new) => LocalKey::of_values(table, k, || new.clone()).unwrap_or_else(|| old_key.clone()),
                    (None, Some(new)) if old_key.is_content() => LocalKey::of_row(table, new),
                    (None, _) => old_key.clone(),
                };
                self.follow(slice, t, &key);
                self.log_update(slice, t, table, old_key, key, row)
            }
            Op::Delete => {
                let old = all(&row.old);
                let key = LocalKey::of_row(table, &old);
                slice.suspects.remove(&(t, key.clone()));
                self.log_delete(slice, t, key, old, row.at)
            }
            Op::Suspect => {
                let old = all(&row.old);
                let key = LocalKey::of_row(table, &old);
                slice.suspects.insert((t, key), Suspect { row: old, at: row.at, by: None });
                Ok(())
            }
        }
    }

    fn log_insert(
        &mut self,
        slice: &mut Slice,
        t: u32,
        table: &Table,
        key: LocalKey,
        new: Option<Vec<Value>>,
        at: Millis,
    ) -> Result<(), Error> {
        if let Some(s) = slice.suspects.remove(&(t, key.clone()))
            && s.by.is_some()
        {
            // It was evicted by another row, and now its key is used again.
            self.log_delete(slice, t, key.clone(), s.row, s.at)?;
        }
        if !key.is_content()
            && let Some(i) = self.by_key(t, &key)?
        {
            let cols: Vec<(Col, Option<Value>)> = self.s.t(t).col_at.iter().flatten().map(|c| (*c, None)).collect();
            return self.local_write(slice, i, &cols, at);
        }
        self.used(t, &key)?;
        let (dot, stamp) = self.new_dot(t, at);
        let context = self.s.context_now(self.c, t)?;
        let i = self.push_new(t, dot);
        let cols: Vec<Col> = self.s.t(t).col_at.iter().flatten().copied().collect();
        let mut cols = cols;
        cols.sort_unstable();
        let b = &mut self.births[i];
        b.rec.origin = table.surrogate().and_then(|_| key.id());
        b.rec.alone = !self.s.met;
        b.rec.entries.push(Entry {
            write: Write { dot, stamp, rank: None, context, unseen: Vec::new() },
            existence: Some(Existence::Lives),
            fields: cols.into_iter().map(|col| Field { col, cell: Cell::Unread, shown: true }).collect(),
        });
        b.read = false;
        b.standing = Standing::Shown;
        let n = b.rec.count() as i64;
        self.s.t_mut(t).accounts[TOTAL] += n;
        if let Some(row) = new.filter(|_| key.is_content()) {
            self.rows_now.insert((t, dot), row.into());
        }
        self.set_local_key(i, Some(key.clone()));
        slice.born.push((t, key));
        slice.written.insert(i);
        Ok(())
    }

    fn log_update(
        &mut self,
        slice: &mut Slice,
        t: u32,
        table: &Table,
        old_key: LocalKey,
        key: LocalKey,
        row: LogRow,
    ) -> Result<(), Error> {
        let i = match self.by_key(t, &old_key)? {
            Some(i) => i,
            None => {
                // Not entered yet: it was there before.
                self.log_insert(slice, t, table, old_key.clone(), None, row.at)?;
                match self.by_key(t, &old_key)? {
                    Some(i) => i,
                    None => return Ok(()),
                }
            }
        };
        slice.suspects.remove(&(t, old_key.clone()));
        let whole = row.new.as_ref().filter(|_| row.old.len() == table.columns.len());
        let whole_row = table.config.merge == MergeUnit::Row;
        let mut cols: Vec<(Col, Option<Value>)> = row
            .old
            .iter()
            .filter(|(p, old)| whole.is_none_or(|new| old.as_ref() != Some(&new[*p])))
            .filter_map(|(p, old)| self.s.t(t).col_at[*p].map(|c| (c, old.clone())))
            .collect();
        if whole_row && !cols.is_empty() {
            // Judged as a whole: a write of one column is one of all, and loses or wins as such.
            let rest: Vec<Col> = self.s.t(t).col_at.iter().flatten().copied().collect();
            cols.extend(
                rest.into_iter()
                    .filter(|c| !row.old.iter().any(|(p, _)| self.s.t(t).col_at[*p] == Some(*c)))
                    .map(|c| (c, None))
                    .collect::<Vec<_>>(),
            );
        }
        if let Some(new) = row.new.filter(|_| key.is_content()) {
            self.rows_now.insert((t, self.births[i].b), new.into());
        }
        let named = &self.s.t(t).named;
        if !named.is_empty() && (key != old_key || row.old.iter().any(|(p, _)| named.contains(p))) {
            slice.renamed.insert(i);
        }
        if !cols.is_empty() {
            self.local_write(slice, i, &cols, row.at)?;
        }
        if key != old_key {
            if !key.is_content() && self.by_key(t, &key)?.is_some_and(|other| other != i) {
                // Two rows can't have one key: an UPDATE OR REPLACE evicted the one that had it.
                match slice.suspects.remove(&(t, key.clone())) {
                    Some(s) => self.log_delete(slice, t, key.clone(), s.row, s.at)?,
                    None => self.log_vanished(slice, t, &key, row.at)?,
                }
            }
            if let Some(id) = old_key.id() {
                let b = self.births[i].b;
                self.left(t, id, b)?;
            }
            self.used(t, &key)?;
            self.set_local_key(i, Some(key.clone()));
            self.births[i].dirty = true;
            slice.born.push((t, key));
        }
        Ok(())
    }

    fn log_delete(
        &mut self,
        slice: &mut Slice,
        t: u32,
        key: LocalKey,
        old: Vec<Value>,
        at: Millis,
    ) -> Result<(), Error> {
        let i = match self.by_key(t, &key)? {
            Some(i) => i,
            None => {
                let table = self.s.t(t).table.clone().expect("logged tables are here");
                self.log_insert(slice, t, &table, key.clone(), Some(old.clone()), at)?;
                match self.by_key(t, &key)? {
                    Some(i) => i,
                    None => return Ok(()),
                }
            }
        };
        let b = self.births[i].b;
        let class = self.class(t, b)?;
        let members = self.members(&class)?;
        for &m in &members {
            let body = if self.births[m].rec.unshown { self.body_of(m)? } else { Vec::new() };
            self.births[m].dirty = true;
            self.fill(m, &body, Some(&old));
            self.name_rows(m)?;
            self.name_buried(m, &slice.buried)?;
        }
        let (dot, stamp) = self.new_dot(t, at);
        let context = self.s.context_now(self.c, t)?;
        for &m in &self.living_or_all(&members) {
            let mut unseen = self.unseen(m, Register::Existence)?;
            // It did not see what waits for its time, either.
            if self.births[m].rec.held || self.has_futures()? {
                for col in self.births[m].rec.columns() {
                    unseen.extend(self.unseen(m, Register::Column(col))?);
                }
            }
            let write = Write { dot, stamp, rank: None, context, unseen };
            let mut inherited: Vec<Dangling> = Vec::new();
            let out: Vec<Write> = self.births[m]
                .rec
                .entries
                .iter()
                .filter(|e| e.existence.is_some() && !write.unseen.contains(&(Register::Existence, e.write.dot)))
                .map(|e| e.write.clone())
                .collect();
            for e in &mut self.births[m].rec.entries {
                if out.iter().any(|w| w.dot == e.write.dot)
                    && let Some(Existence::Deleted(list)) = e.existence.take()
                {
                    inherited.extend(list);
                }
            }
            self.births[m].rec.entries.retain(|e| !e.is_empty());
            let mb = self.births[m].b;
            for w in out {
                let register = Register::Existence;
                self.out_of_register(Archived { t, b: mb, register, write: w, lost: false, by: dot, cell: None });
            }
            inherited.sort_unstable();
            inherited.dedup();
            self.births[m].rec.entries.push(Entry {
                write,
                existence: Some(Existence::Deleted(inherited)),
                fields: Vec::new(),
            });
            self.s.t_mut(t).accounts[TOTAL] += 1;
            slice.graves.push((m, dot, class.clone()));
        }
        for &m in &members {
            for e in &mut self.births[m].rec.entries {
                e.fields.iter_mut().for_each(|f| f.shown = false);
            }
            self.births[m].standing = if self.lives(m) { Standing::Waiting } else { Standing::Dead };
            self.births[m].dirty = true;
            slice.written.remove(&m);
        }
        self.births[i].rec.was = key.id();
        if let Some(id) = key.id() {
            self.left(t, id, b)?;
        }
        self.rows_now.remove(&(t, b));
        self.set_local_key(i, None);
        self.touched.insert((t, b));
        slice.buried.push((t, old, b));
        Ok(())
    }

    fn set_local_key(&mut self, i: usize, key: Option<LocalKey>) {
        self.births[i].row_key = key.clone();
        self.set_key(i, key);
    }

    /// Reads what was written, names the rows that references point to, and what deletes left dangling.
    fn finish(&mut self, slice: &mut Slice) -> Result<(), Error> {
        for &i in &slice.written {
            self.read(i)?;
        }
        for &i in &slice.written {
            self.name_rows(i)?;
            self.name_buried(i, &slice.buried)?;
            self.births[i].standing = Standing::Shown;
        }
        let graves = std::mem::take(&mut slice.graves);
        let buried: Vec<u32> = graves.iter().map(|(_, _, class)| class.t).collect();
        for (i, dot, class) in graves {
            let mut dangling = self.dangling(&class)?;
            if let Some((t, row, _)) =
                slice.buried.iter().rev().find(|(t, _, b)| *t == class.t && class.members.contains(b))
            {
                let left = self.left_whole(*t, row)?.into_iter();
                dangling.extend(left.map(|(table, col, dot)| Dangling { table, col, dot }));
            }
            for e in &mut self.births[i].rec.entries {
                if e.write.dot == dot
                    && let Some(Existence::Deleted(list)) = &mut e.existence
                {
                    list.extend(dangling.iter().copied().filter(|_| applies(Rule::DanglingListed)));
                    list.sort_unstable();
                    list.dedup();
                }
            }
            self.judge_own(i)?;
        }
        for i in slice.written.clone() {
            self.judge_own(i)?;
        }
        for i in std::mem::take(&mut slice.renamed) {
            self.leave_behind(slice, i)?;
        }
        for (t, key) in std::mem::take(&mut slice.born) {
            self.adopt(slice, t, &key)?;
        }
        let tables: BTreeSet<u32> = slice.written.iter().map(|&i| self.births[i].t).chain(buried).collect();
        for t in tables {
            self.touch_unique_waiting(t)?;
        }
        for i in slice.written.clone() {
            self.index_identity(i)?;
        }
        Ok(())
    }
}

//! Harvest: what the application wrote, read from the capture logs, becomes versions.
//!
//! Always true here: each log row is a write with its own dot; stamps follow the wall times of the log and never run
//! back; the log is read by key, and values are those that the row has now. Nothing here undoes what the application
//! wrote. Not here: how the log is kept (`capture`).
use crate::attach::modified_at;
use crate::capture::{self, LogRow, Op};
use crate::catalog::Table;
use crate::class::Class;
use crate::config::MergeUnit;
use crate::error::Error;
use crate::id::{Millis, Stamp};
use crate::key::LocalKey;
use crate::record::{Cell, Col, Dangling, Entry, Existence, Field, LocalDot, Record, Register, Write};
use crate::sibling::key_by_target;
use crate::store::{SUPERSEDED, TOTAL};
use crate::transaction::{Archived, Standing, Txn};
use crate::value::Value;
use rusqlite::{OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// Log rows of one table that one transaction takes at most.
pub const SLICE: usize = 2000;

/// What the harvest of one slice keeps in mind.
#[derive(Default)]
struct Slice {
    /// Births written here, whose cells have to be read from their rows.
    written: BTreeSet<usize>,
    /// Births deleted here, for what they left dangling.
    graves: Vec<(usize, LocalDot, Rc<Class>)>,
    /// Suspects of a REPLACE, by table and key: (birth, old row, time, the key of the insert that followed).
    suspects: BTreeMap<(u32, LocalKey), Suspect>,
    /// New rows, for references that named nothing until now.
    born: Vec<(u32, LocalKey)>,
    /// Rows that went, for references written before: (table, row, birth).
    buried: Vec<(u32, Vec<Value>, LocalDot)>,
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

/// What an audit found that no log tells of.
#[derive(Default)]
pub struct Uncaptured {
    pub new: Vec<(LocalKey, Vec<Value>)>,
    pub changed: Vec<(usize, Vec<Col>)>,
    pub gone: Vec<LocalKey>,
    /// Rows without a key, counted by content.
    counted: BTreeMap<LocalKey, (usize, Vec<Value>)>,
}

impl Uncaptured {
    /// One more row with this content.
    pub fn count(&mut self, key: LocalKey, row: Vec<Value>) {
        self.counted.entry(key).or_insert((0, row)).0 += 1;
    }

    /// No row has this content any more.
    pub fn count_none(&mut self, key: LocalKey, row: Vec<Value>) {
        self.counted.entry(key).or_insert((0, row));
    }
}

impl Txn<'_> {
    /// Columns in which a row is not what its record says. A column without a register counts where it holds more than
    /// its default.
    pub fn changed_columns(&mut self, i: usize, table: &Table, row: &[Value]) -> Result<Vec<Col>, Error> {
        let t = self.births[i].t;
        self.read(i)?;
        let all: Vec<(usize, Col)> =
            self.s.t(t).col_at.iter().enumerate().filter_map(|(p, c)| c.map(|c| (p, c))).collect();
        if self.hash_of(i) != self.births[i].rec.hash {
            return Ok(all.into_iter().map(|(_, c)| c).collect());
        }
        let mut out = Vec::new();
        for (p, col) in all {
            if !self.births[i].rec.has(Register::Column(col))
                && !row[p].is_null()
                && row[p] != self.default_of(table, p)?
            {
                out.push(col);
            }
        }
        Ok(out)
    }

    /// What a row gets that says nothing of the column.
    fn default_of(&self, table: &Table, p: usize) -> Result<Value, Error> {
        let sql =
            format!("SELECT dflt_value FROM pragma_table_info({}) WHERE name = ?1", crate::catalog::quote(&table.name));
        let text: Option<String> =
            self.c.prepare_cached(&sql)?.query_row([&table.columns[p].name], |r| r.get(0)).optional()?.flatten();
        let Some(text) = text else { return Ok(Value::Null) };
        // As the table would store it: with the affinity of the column.
        let sql = format!("SELECT CAST(({text}) AS {})", cast_type(&table.columns[p].declared_type));
        Ok(self.c.query_row(&sql, [], |r| Ok(Value::from(r.get_ref(0)?)))?)
    }

    /// Turns what was not captured into writes.
    pub fn take_uncaptured(&mut self, t: u32, table: &Table, found: Uncaptured) -> Result<(), Error> {
        let mut slice = Slice::default();
        let now = self.now;
        for (key, row) in found.new {
            self.log_insert(&mut slice, t, table, key, Some(row), now)?;
        }
        for (i, cols) in found.changed {
            let cols: Vec<(Col, Option<Value>)> = cols.into_iter().map(|c| (c, None)).collect();
            self.local_write(&mut slice, i, &cols, now)?;
        }
        for (key, (rows, row)) in found.counted {
            let known = self.all_by_key(t, &key)?.len();
            for _ in known..rows {
                self.log_insert(&mut slice, t, table, key.clone(), Some(row.clone()), now)?;
            }
            for _ in rows..known {
                self.log_delete(&mut slice, t, key.clone(), row.clone(), now)?;
            }
        }
        for key in found.gone {
            self.log_vanished(&mut slice, t, &key, now)?;
        }
        self.finish(&mut slice)
    }

    /// A row went without a word: what it held is not known, so its registers are left to those who know.
    fn log_vanished(&mut self, slice: &mut Slice, t: u32, key: &LocalKey, at: Millis) -> Result<(), Error> {
        let Some(i) = self.by_key(t, key)? else { return Ok(()) };
        let b = self.births[i].b;
        let class = self.class(t, b)?;
        for m in self.members(&class)? {
            let body = if self.births[m].rec.unshown { self.body_of(m)? } else { Vec::new() };
            self.fill(m, &body, None);
            let mut n = 0;
            for e in &mut self.births[m].rec.entries {
                let before = e.fields.len();
                e.fields.retain(|f| body.iter().any(|(c, d, _)| *c == f.col && *d == e.write.dot));
                n += (before - e.fields.len()) as i64;
            }
            self.births[m].dirty = true;
            self.s.t_mut(t).accounts[SUPERSEDED] += n;
        }
        let columns = self.s.t(t).table.as_ref().map_or(0, |x| x.columns.len());
        self.log_delete(slice, t, key.clone(), vec![Value::Null; columns], at)
    }

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
        let all = |old: &[(usize, Option<Value>)]| -> Option<Vec<Value>> {
            (old.len() == table.columns.len()).then(|| old.iter().map(|(_, v)| v.clone().unwrap_or_default()).collect())
        };
        match row.op {
            Op::Insert => {
                let Some(key) = LocalKey::of_values(table, &row.key, || row.new.clone()) else { return Ok(()) };
                self.follow(slice, t, &key);
                self.log_insert(slice, t, table, key, row.new, row.at)
            }
            Op::Update => {
                let Some(old_key) = LocalKey::of_values(table, &row.key, || all(&row.old)) else { return Ok(()) };
                let key = match (&row.new_key, &row.new) {
                    (Some(k), new) => LocalKey::of_values(table, k, || new.clone()).unwrap_or_else(|| old_key.clone()),
                    (None, Some(new)) if old_key.is_content() => LocalKey::of_row(table, new),
                    (None, _) => old_key.clone(),
                };
                self.follow(slice, t, &key);
                self.log_update(slice, t, table, old_key, key, row)
            }
            Op::Delete => {
                let Some(old) = all(&row.old) else { return Ok(()) };
                let key = LocalKey::of_row(table, &old);
                slice.suspects.remove(&(t, key.clone()));
                self.log_delete(slice, t, key, old, row.at)
            }
            Op::Suspect => {
                let Some(old) = all(&row.old) else { return Ok(()) };
                let key = LocalKey::of_row(table, &old);
                slice.suspects.insert((t, key), Suspect { row: old, at: row.at, by: None });
                Ok(())
            }
        }
    }

    /// A write came after suspects were named: it is the one that may have evicted them.
    fn follow(&mut self, slice: &mut Slice, t: u32, key: &LocalKey) {
        for ((st, sk), s) in &mut slice.suspects {
            if *st == t && s.by.is_none() && sk != key {
                s.by = Some(key.clone());
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
            self.rows_now.insert((t, dot), row);
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
            self.rows_now.insert((t, self.births[i].b), new);
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
            if self.births[m].rec.held {
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

    /// One local write to all living births of the row (merge-rules 11).
    fn local_write(
        &mut self,
        slice: &mut Slice,
        i: usize,
        cols: &[(Col, Option<Value>)],
        at: Millis,
    ) -> Result<(), Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let members = if self.births[i].rec.linked {
            let class = self.class(t, b)?;
            let members = self.members(&class)?;
            self.living_or_all(&members)
        } else {
            vec![i]
        };
        let (dot, stamp) = self.new_dot(t, at);
        let context = self.s.context_now(self.c, t)?;
        for m in members {
            let mut unseen = if self.births[m].rec.held { self.unseen(m, Register::Existence)? } else { Vec::new() };
            for (col, _) in cols {
                unseen.extend(self.unseen(m, Register::Column(*col))?);
            }
            let write = Write { dot, stamp, rank: None, context, unseen };
            for (col, old) in cols {
                self.replace(m, *col, old.as_ref(), &write)?;
            }
            let mut fields: Vec<Field> =
                cols.iter().map(|(col, _)| Field { col: *col, cell: Cell::Unread, shown: true }).collect();
            fields.sort_by_key(|f| f.col);
            self.s.t_mut(t).accounts[TOTAL] += fields.len() as i64;
            let birth = &mut self.births[m];
            birth.rec.entries.retain(|e| !e.is_empty());
            birth.rec.entries.push(Entry { write, existence: None, fields });
            birth.read = false;
            birth.dirty = true;
            slice.written.insert(m);
            if birth.rec.held || birth.rec.linked {
                let mb = birth.b;
                self.touched.insert((t, mb));
            }
        }
        Ok(())
    }

    /// What stood in a column, and was seen, goes to the archive.
    fn replace(&mut self, m: usize, col: Col, old: Option<&Value>, write: &Write) -> Result<(), Error> {
        let (t, b) = (self.births[m].t, self.births[m].b);
        let is_ref = self.s.t(t).refs.contains_key(&col);
        let out: Vec<(Write, Field)> = self.births[m]
            .rec
            .siblings(col)
            .filter(|(w, _)| !write.unseen.contains(&(Register::Column(col), w.dot)))
            .map(|(w, f)| (w.clone(), f.clone()))
            .collect();
        for (w, f) in out {
            self.take_out(m, col, w.dot);
            let cell = match (f.cell, old) {
                (Cell::Unread, Some(v)) if is_ref => Some(self.cell_of(t, col, v.clone())?),
                (Cell::Unread, Some(v)) => Some(Cell::Value(v.clone())),
                (Cell::Unread, None) => None,
                (Cell::Raw(Value::Null), Some(v)) => Some(Cell::Raw(v.clone())),
                (cell, _) => Some(cell),
            };
            let register = Register::Column(col);
            self.out_of_register(Archived { t, b, register, write: w, lost: false, by: write.dot, cell });
        }
        Ok(())
    }

    /// Current values of a register that are held and not shown: a local write has not seen them.
    fn unseen(&mut self, m: usize, register: Register) -> Result<Vec<(Register, LocalDot)>, Error> {
        let (t, b) = (self.births[m].t, self.births[m].b);
        let mut out = Vec::new();
        if self.births[m].rec.held && self.is_held(m, register) {
            self.read_unshown(m)?;
            for e in &self.births[m].rec.entries {
                match register {
                    Register::Existence if e.is_tombstone() => out.push((register, e.write.dot)),
                    Register::Column(c) if e.field(c).is_some_and(|f| !f.shown) => out.push((register, e.write.dot)),
                    Register::Existence | Register::Column(_) => {}
                }
            }
        }
        if self.has_futures()? {
            let mut q = self.c.prepare_cached("SELECT d FROM _lockstep_future WHERE t = ?1 AND b = ?2")?;
            let futures = q.query_map(params![t, b.0], |r| Ok((register, LocalDot(r.get(0)?))))?;
            out.extend(futures.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(out)
    }

    fn living_or_all(&self, members: &[usize]) -> Vec<usize> {
        let living: Vec<usize> = members.iter().copied().filter(|&m| self.lives(m)).collect();
        if living.is_empty() { members.to_vec() } else { living }
    }

    /// A suspect that is gone was evicted. If it alone had the identity key of the row that evicted it, it is that row
    /// under a new local id (merge-rules 17); else it was deleted.
    fn settle_suspects(&mut self, slice: &mut Slice) -> Result<(), Error> {
        let suspects = std::mem::take(&mut slice.suspects);
        let mut evicted_by: HashMap<(u32, LocalKey), usize> = HashMap::new();
        for ((t, _), s) in &suspects {
            if let Some(by) = &s.by {
                *evicted_by.entry((*t, by.clone())).or_default() += 1;
            }
        }
        for ((t, key), s) in suspects {
            if self.row_is_there(t, &key, &s.row)? || self.by_key(t, &key)?.is_none() {
                continue;
            }
            if let Some(by) = s.by
                && evicted_by[&(t, by.clone())] == 1
                && self.same_identity(t, &s.row, &by)?
                && let Some(new) = self.by_key(t, &by)?
                && slice.written.contains(&new)
                && self.births[new].rec.entries.len() == 1
            {
                self.renumber(slice, t, &key, (new, by), &s.row, s.at)?;
                continue;
            }
            self.log_delete(slice, t, key, s.row, s.at)?;
        }
        Ok(())
    }

    fn row_is_there(&mut self, t: u32, key: &LocalKey, row: &[Value]) -> Result<bool, Error> {
        if key.is_content() {
            let table = self.s.t(t).table.clone().expect("logged tables are here");
            return crate::rows::content_is_there(self.c, &table, row);
        }
        Ok(self.row(t, key)?.is_some())
    }

    fn same_identity(&mut self, t: u32, old: &[Value], by: &LocalKey) -> Result<bool, Error> {
        let table = self.s.t(t).table.clone().expect("logged tables are here");
        let Some(new) = self.row(t, by)? else { return Ok(false) };
        Ok(table.identity.iter().any(|places| {
            places
                .iter()
                .all(|&p| !old[p].is_null() && crate::identity::equal(&old[p], &new[p], &table.columns[p].collation))
        }))
    }

    /// The new row is the old entity: all its columns written, under another local id.
    fn renumber(
        &mut self,
        slice: &mut Slice,
        t: u32,
        key: &LocalKey,
        (new, by): (usize, LocalKey),
        row: &[Value],
        at: Millis,
    ) -> Result<(), Error> {
        let Some(old) = self.by_key(t, key)? else { return Ok(()) };
        let (id, b) = (key.id(), self.births[old].b);
        // The birth just made for the new row was never seen by anyone: it becomes a write of the old one.
        let made = std::mem::take(&mut self.births[new].rec);
        let n = made.count() as i64;
        self.s.t_mut(t).accounts[TOTAL] -= n;
        self.births[new].dirty = false;
        self.births[new].key = None;
        self.births[new].row_key = None;
        slice.written.remove(&new);
        let cols: Vec<(Col, Option<Value>)> =
            self.s.t(t).col_at.iter().zip(row).filter_map(|(c, v)| c.map(|c| (c, Some(v.clone())))).collect();
        self.local_write(slice, old, &cols, at)?;
        if let Some(id) = id {
            self.left(t, id, b)?;
        }
        self.set_local_key(old, Some(by));
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
            let dangling = self.dangling(&class)?;
            for e in &mut self.births[i].rec.entries {
                if e.write.dot == dot
                    && let Some(Existence::Deleted(list)) = &mut e.existence
                {
                    list.extend(dangling.iter().copied());
                    list.sort_unstable();
                    list.dedup();
                }
            }
            self.judge_own(i)?;
        }
        for i in slice.written.clone() {
            self.judge_own(i)?;
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
    fn name_buried(&mut self, i: usize, buried: &[(u32, Vec<Value>, LocalDot)]) -> Result<(), Error> {
        if buried.is_empty() {
            return Ok(());
        }
        let (t, b, own) = (self.births[i].t, self.births[i].b, self.s.own);
        let mut found = Vec::new();
        for (e, entry) in self.births[i].rec.entries.iter().enumerate().filter(|(_, e)| e.write.dot.replica() == own) {
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
    fn dangling(&mut self, class: &Class) -> Result<Vec<Dangling>, Error> {
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

    /// Values of ours that pointed to nothing now point to a new row: reference writes (extended rule 12).
    fn adopt(&mut self, slice: &mut Slice, t: u32, key: &LocalKey) -> Result<(), Error> {
        let Some(values) = key.values() else { return Ok(()) };
        let [value] = values.as_slice() else { return Ok(()) };
        let found: Vec<(u32, i64, u16)> = self
            .c
            .prepare_cached("SELECT ct, c, col FROM _lockstep_raw WHERE pt = ?1 AND value = ?2")?
            .query_map(params![t, value], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (ct, c, col) in found {
            self.reference_anew(slice, ct, LocalDot(c), Col(col))?;
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
                    self.local_write(slice, i, &[(col, Some(row[p].clone()))], self.now)?;
                    self.read(i)?;
                    self.name_rows(i)?;
                }
            }
        }
        Ok(())
    }

    fn reference_anew(&mut self, slice: &mut Slice, ct: u32, c: LocalDot, col: Col) -> Result<(), Error> {
        let Some(i) = self.find(ct, c)? else { return Ok(()) };
        if self.births[i].standing != Standing::Shown {
            return Ok(());
        }
        self.read(i)?;
        let raw = self.births[i].rec.siblings(col).find_map(|(_, f)| match &f.cell {
            Cell::Raw(v) if f.shown => Some(v.clone()),
            Cell::Value(_) | Cell::Row(_) | Cell::Raw(_) | Cell::Unread => None,
        });
        let Some(raw) = raw else { return Ok(()) };
        if !matches!(self.cell_of(ct, col, raw.clone())?, Cell::Row(_)) {
            return Ok(());
        }
        self.local_write(slice, i, &[(col, Some(raw))], self.now)?;
        self.read(i)?;
        self.name_rows(i)
    }

    /// References into other files whose rows have come since (their harvest knows nothing of ours).
    pub fn adopt_foreign(&mut self) -> Result<(), Error> {
        let foreign: Vec<u32> = self.s.tables.iter().filter(|t| t.database.is_some()).map(|t| t.n).collect();
        let mut slice = Slice::default();
        for pt in foreign {
            let found: Vec<(u32, i64, u16)> = self
                .c
                .prepare_cached("SELECT ct, c, col FROM _lockstep_raw WHERE pt = ?1")?
                .query_map([pt], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                .collect::<Result<_, _>>()?;
            for (ct, c, col) in found {
                self.reference_anew(&mut slice, ct, LocalDot(c), Col(col))?;
            }
        }
        self.finish(&mut slice)
    }

    // ---- rows that were there before

    /// Enters one existing row as an entity, and before its references are named the rows that they name: they may come
    /// later in the same table, or in one of a cycle.
    pub fn enter_row(&mut self, t: u32, table: &Table, row: Vec<Value>, modified: Option<Stamp>) -> Result<(), Error> {
        let rank = self.s.t(t).rank;
        let mut todo: Vec<usize> = self.enter_birth(t, table, row, modified)?.into_iter().collect();
        while let Some(i) = todo.pop() {
            let t = self.births[i].t;
            let named: Vec<(Col, Value)> = self.births[i]
                .rec
                .entries
                .iter()
                .flat_map(|e| &e.fields)
                .filter(|f| self.s.t(t).refs.get(&f.col).is_some_and(|(pt, _)| self.s.t(*pt).rank >= rank))
                .filter_map(|f| if let Cell::Value(v) = &f.cell { Some((f.col, v.clone())) } else { None })
                .collect();
            for (col, v) in named {
                todo.extend(self.enter_named(t, col, &v)?);
            }
            self.name_rows(i)?;
            self.index_identity(i)?;
        }
        Ok(())
    }

    /// The row that a reference names, if it is there and not entered yet.
    fn enter_named(&mut self, t: u32, col: Col, v: &Value) -> Result<Option<usize>, Error> {
        let Some((pt, r)) = self.reference(t, col).filter(|_| !v.is_null()) else { return Ok(None) };
        let Some(parent) = self.s.t(pt).table.clone().filter(|_| self.s.t(pt).database.is_none()) else {
            return Ok(None);
        };
        let Some(key) = key_by_target(self.c, "main", &parent, &r.target_column, v)? else { return Ok(None) };
        let Some(row) = self.row(pt, &key)? else { return Ok(None) };
        let modified = modified_at(self.c, &parent, &key)?;
        self.enter_birth(pt, &parent, row, modified)
    }

    /// The birth of an existing row, its references not named yet. None: it was entered before.
    fn enter_birth(
        &mut self,
        t: u32,
        table: &Table,
        row: Vec<Value>,
        modified: Option<Stamp>,
    ) -> Result<Option<usize>, Error> {
        let key = LocalKey::of_row(table, &row);
        if !key.is_content() && self.by_key(t, &key)?.is_some() {
            return Ok(None);
        }
        let (dot, stamp) = self.new_dot(t, self.now);
        let context = self.s.context_now(self.c, t)?;
        let mut fields: Vec<Field> = Vec::with_capacity(row.len());
        for (p, v) in row.iter().enumerate() {
            if let Some(col) = self.s.t(t).col_at[p] {
                fields.push(Field { col, cell: Cell::Value(v.clone()), shown: true });
            }
        }
        fields.sort_by_key(|f| f.col);
        let rank = Some(modified.unwrap_or_default().min(stamp));
        let i = self.push_new(t, dot);
        let alone = !self.s.met;
        let birth = &mut self.births[i];
        birth.rec = Record {
            origin: table.surrogate().and_then(|_| key.id()),
            alone,
            entries: vec![Entry {
                write: Write { dot, stamp, rank, context, unseen: Vec::new() },
                existence: Some(Existence::Lives),
                fields,
            }],
            ..Record::default()
        };
        birth.standing = Standing::Shown;
        let n = birth.rec.count() as i64;
        self.s.t_mut(t).accounts[TOTAL] += n;
        if key.is_content() {
            self.rows_now.insert((t, dot), row);
        }
        self.set_local_key(i, Some(key));
        Ok(Some(i))
    }
}

/// The type name of a CAST with the affinity of a declared type.
fn cast_type(declared: &str) -> &'static str {
    let d = declared.to_ascii_uppercase();
    if d.contains("INT") {
        "INTEGER"
    } else if ["CHAR", "CLOB", "TEXT"].iter().any(|x| d.contains(x)) {
        "TEXT"
    } else if d.is_empty() || d.contains("BLOB") {
        "BLOB"
    } else if ["REAL", "FLOA", "DOUB"].iter().any(|x| d.contains(x)) {
        "REAL"
    } else {
        "NUMERIC"
    }
}

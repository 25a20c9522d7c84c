//! The audit: capture compared with what it should be, rows with what the metadata says; what differs is put right.
//!
//! Always true here: what a migration did while nothing was captured becomes writes of this replica, like any other;
//! the application's rows are never changed by it. It runs when the schema has moved, and on demand.
use crate::attach::{add_table, capture_table, page};
use crate::catalog::{self, Table};
use crate::copy::Copy;
use crate::database::{Database, catch_up, remember_schema, settle_after_harvest};
use crate::error::Error;
use crate::harvest::Changed;
use crate::id::Millis;
use crate::key::LocalKey;
use crate::record::{LocalDot, Record};
use crate::store::{State, damaged, set_meta};
use crate::transaction::Txn;
use crate::value::Value;
use crate::{capture, capture::Error as CaptureError};
use rusqlite::params;
use std::path::Path;
use std::rc::Rc;

const SLICE: usize = 2000;

/// Why the audit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The schema has moved.
    Schema,
    /// Capture was lifted for a migration: that it is missing is nothing to report, and every row is compared.
    Migration,
    /// A person wants to know: every row is compared.
    Asked,
}

impl Database {
    /// Puts capture right, and enters as writes what was not captured. Gives what was found, in sentences.
    pub fn audit(&mut self, now: Millis) -> Result<Vec<String>, Error> {
        self.audit_for(Cause::Schema, None, now)
    }

    /// The same, and compares every row of every table with what is known of it.
    pub fn examine(&mut self, now: Millis) -> Result<Vec<String>, Error> {
        self.audit_for(Cause::Asked, None, now)
    }

    /// Takes capture out of the file for a migration. Our tables stay; until [`Database::end_migration`] nothing is
    /// captured, and the file is not to be worked on.
    pub fn begin_migration(&mut self, now: Millis) -> Result<(), Error> {
        self.audit(now)?;
        self.write_unchecked(now, |txn| {
            let (mut findings, mut suspicious) = (Vec::new(), Vec::new());
            drain(txn, &mut findings, &mut suspicious)?;
            for t in &mut txn.s.tables {
                if t.database.is_none() {
                    capture::remove(txn.c, t.n)?;
                    t.harvested = 0;
                    t.changed = true;
                }
            }
            set_meta(txn.c, "lifted", now.0)?;
            txn.c.execute("UPDATE _lockstep_table SET entered = 2 WHERE entered = 1", [])?;
            txn.s.store(txn.c)
        })
    }

    /// Does a migration run, or was one interrupted?
    pub fn is_migrating(&self) -> Result<bool, Error> {
        Ok(self.c.query_row("SELECT EXISTS (SELECT 1 FROM _lockstep_meta WHERE k = 'lifted')", [], |r| r.get(0))?)
    }

    /// Puts capture back after a migration, and enters what it did. Gives what was found, in sentences. What dropped
    /// columns held is taken from a copy that was made before.
    pub fn end_migration(&mut self, copy: Option<&Path>, now: Millis) -> Result<Vec<String>, Error> {
        let before = copy.map(|path| Copy::open(path, self.name())).transpose()?;
        self.audit_for(Cause::Migration, before.as_ref(), now)
    }

    fn audit_for(&mut self, cause: Cause, before: Option<&Copy>, now: Millis) -> Result<Vec<String>, Error> {
        self.catalog = Rc::new(catalog::read(&self.c, self.name(), &self.config()?)?);
        self.fill_in_guard();
        let catalog = self.catalog.clone();
        let mut findings = self.write_unchecked(now, |txn| {
            let mut findings = Vec::new();
            let mut suspicious = Vec::new();
            let lifted: bool =
                txn.c.query_row("SELECT EXISTS (SELECT 1 FROM _lockstep_meta WHERE k = 'lifted')", [], |r| r.get(0))?;
            if !lifted {
                drain(txn, &mut findings, &mut suspicious)?;
            }
            let mut gone = Vec::new();
            for t in txn.s.tables.iter().filter(|t| t.synced && t.table.is_none() && t.database.is_none()) {
                if !txn.is_in_schema(&t.name)? {
                    findings.push(format!("the table `{}` is gone", t.name));
                    // A table made under another name, and renamed to one that is there, took them along.
                    capture::remove(txn.c, t.n)?;
                    gone.push(t.n);
                }
            }
            for &n in &gone {
                txn.s.t_mut(n).harvested = 0;
            }
            txn.s.store(txn.c)?;
            if cause == Cause::Asked {
                for n in gone {
                    txn.give_up(n)?;
                    txn.store()?;
                    txn.c.execute("UPDATE _lockstep_table SET synced = 0 WHERE n = ?1", [n])?;
                    txn.s = State::load(txn.c, &catalog)?;
                }
            }
            for table in &catalog.tables {
                match txn.s.find_table(None, &table.name) {
                    None => {
                        findings.push(format!("the table `{}` is new", table.name));
                        add_table(txn.c, txn.s.tables.len() as u32 + 1, table)?;
                        txn.s = State::load(txn.c, &catalog)?;
                    }
                    Some(n) if !txn.s.t(n).synced => {
                        findings.push(format!("the table `{}` has come", table.name));
                        capture_table(txn.c, n, table)?;
                        txn.c.execute("UPDATE _lockstep_table SET synced = 1 WHERE n = ?1", [n])?;
                        suspicious.push(n);
                    }
                    Some(n) => {
                        let found = capture::check(txn.c, n, table)?;
                        if !found.is_empty() {
                            capture::install(txn.c, n, table)?;
                            if cause != Cause::Migration {
                                findings.extend(found);
                            }
                            suspicious.push(n);
                        } else if cause == Cause::Asked {
                            suspicious.push(n);
                        }
                    }
                }
            }
            for n in suspicious {
                txn.c.execute("UPDATE _lockstep_table SET entered = 2 WHERE n = ?1 AND entered = 1", [n])?;
            }
            txn.c.execute("DELETE FROM _lockstep_meta WHERE k = 'lifted'", [])?;
            remember_schema(txn.c)?;
            Ok(findings)
        })?;
        self.enter_rows(now, &mut |_, _| {})?;
        for n in self.to_compare()? {
            let wrote = self.diff(n, before, now)?;
            self.write_unchecked(now, |txn| {
                txn.c.execute("UPDATE _lockstep_table SET entered = 1 WHERE n = ?1", [n])?;
                Ok(())
            })?;
            if wrote > 0 {
                let name = State::load(&self.c, &self.catalog)?.t(n).name.clone();
                let times = if wrote == 1 { "1 write was".to_owned() } else { format!("{wrote} writes were") };
                findings.push(format!("in the table `{name}` {times} not captured; they are known now"));
            }
        }
        self.write_unchecked(now, |txn| {
            txn.touch_all_waiting()?;
            settle_after_harvest(txn)
        })?;
        Ok(findings)
    }

    /// Tables whose rows have to be compared with what is known of them, also if that was interrupted before.
    fn to_compare(&self) -> Result<Vec<u32>, Error> {
        let s = State::load(&self.c, &self.catalog)?;
        let mut q = self.c.prepare("SELECT n FROM _lockstep_table WHERE entered = 2 ORDER BY n")?;
        let all = q.query_map([], |r| r.get::<_, u32>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(all.into_iter().filter(|n| s.t(*n).table.is_some()).collect())
    }

    /// How many writes of this replica a table knows.
    fn own_writes(&self, n: u32) -> Result<u64, Error> {
        let s = State::load(&self.c, &self.catalog)?;
        Ok(s.t(n).vector.get(&s.own).copied().unwrap_or(0))
    }

    /// Rows of one table that differ from their metadata become writes.
    /// Gives how many.
    fn diff(&mut self, n: u32, before: Option<&Copy>, now: Millis) -> Result<u64, Error> {
        let Some(table) = self.read(now, |txn| Ok(txn.s.t(n).table.clone()))? else { return Ok(0) };
        let known = self.own_writes(n)?;
        let mut cursor: Option<Vec<Value>> = None;
        loop {
            let next = self.write_unchecked(now, |txn| {
                // What the logs tell of is not for the diff to find.
                catch_up(txn)?;
                let page = page(txn.c, &table, cursor.as_deref(), SLICE)?;
                let rows = page.rows.into_iter().map(|(row, _)| row).collect();
                txn.diff_rows(n, &table, rows, before)?;
                settle_after_harvest(txn)?;
                Ok(page.next)
            })?;
            match next {
                Some(k) => cursor = Some(k),
                None => break,
            }
        }
        let mut after = i64::MIN;
        loop {
            let last = self.write_unchecked(now, |txn| {
                catch_up(txn)?;
                let last = txn.diff_births(n, after)?;
                settle_after_harvest(txn)?;
                Ok(last)
            })?;
            match last {
                Some(b) => after = b,
                None => break,
            }
        }
        Ok(self.own_writes(n)? - known)
    }
}

/// Reads the logs to their end, before the triggers that fill them are replaced.
fn drain(txn: &mut Txn<'_>, findings: &mut Vec<String>, suspicious: &mut Vec<u32>) -> Result<(), Error> {
    loop {
        match txn.harvest_slice() {
            Ok((0, false)) => return Ok(()),
            Ok(_) => settle_after_harvest(txn)?,
            Err(Error::Capture(CaptureError::KeyMoved { table } | CaptureError::Strange { table, .. })) => {
                // The log speaks of rows by a key that is no more: the rows themselves are compared.
                let Some(n) = txn.s.find_table(None, &table) else {
                    return Err(damaged(format!("the log of `{table}`")));
                };
                findings.push(format!("the log of `{table}` could not be read"));
                capture::remove(txn.c, n)?;
                if let Some(t) = txn.s.t(n).table.clone() {
                    capture::install(txn.c, n, &t)?;
                }
                txn.s.t_mut(n).harvested = 0;
                suspicious.push(n);
            }
            Err(e) => return Err(e),
        }
    }
}

impl Txn<'_> {
    fn is_in_schema(&self, table: &str) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM main.sqlite_master WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE)";
        Ok(self.c.query_row(sql, [table], |r| r.get(0))?)
    }

    /// Rows without metadata are new; rows that are not what their records say were written.
    fn diff_rows(&mut self, t: u32, table: &Table, rows: Vec<Vec<Value>>, before: Option<&Copy>) -> Result<(), Error> {
        let mut found = crate::harvest::Uncaptured::default();
        for row in rows {
            let key = LocalKey::of_row(table, &row);
            if key.is_content() {
                found.count(key, row);
                continue;
            }
            match self.by_key(t, &key)? {
                None => found.new.push((key, row)),
                Some(i) => {
                    let Changed { written, filled } = self.changed_columns(i, table, &row, before)?;
                    for (cols, list) in [(written, &mut found.changed), (filled, &mut found.filled)] {
                        if !cols.is_empty() {
                            list.push((i, cols.into_iter().map(|c| (c, None)).collect()));
                        }
                    }
                }
            }
        }
        self.take_uncaptured(t, table, found)
    }

    /// Births whose row is gone were deleted. Gives where to go on.
    fn diff_births(&mut self, t: u32, after: i64) -> Result<Option<i64>, Error> {
        let births: Vec<(i64, LocalKey, Vec<u8>)> = self
            .c
            .prepare_cached(&format!(
                "SELECT b, k, rec FROM _lockstep_row_{t} WHERE b > ?1 AND k IS NOT NULL ORDER BY b LIMIT ?2"
            ))?
            .query_map(params![after, SLICE as i64], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
            .collect::<Result<_, _>>()?;
        let Some(table) = self.s.t(t).table.clone() else { return Ok(None) };
        let last = births.last().map(|b| b.0);
        let mut found = crate::harvest::Uncaptured::default();
        for (b, key, rec) in births {
            if self.find_loaded(t, LocalDot(b)).is_none() {
                let rec = Record::decode(&rec).ok_or_else(|| damaged("a record"))?;
                self.enter(t, LocalDot(b), rec, Some(key.clone()))?;
            }
            match (key.is_content(), self.find(t, LocalDot(b))?) {
                (true, Some(i)) => {
                    let row = self.stored_row(i)?.unwrap_or_default();
                    if !crate::rows::content_is_there(self.c, &table, &row)? {
                        found.count_none(key, row.to_vec());
                    }
                }
                (true, None) => {}
                (false, _) if self.row(t, &key)?.is_some() => {}
                (false, _) => found.gone.push((key, None)),
            }
        }
        self.take_uncaptured(t, &table, found)?;
        Ok(last)
    }
}

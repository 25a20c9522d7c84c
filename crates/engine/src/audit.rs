//! The audit: capture compared with what it should be, rows with what the metadata says; what differs is put right.
//!
//! Always true here: what a migration did while nothing was captured becomes writes of this replica, like any other;
//! the application's rows are never changed by it. It runs when the schema has moved, and on demand.
use crate::attach::{add_table, capture_table, page};
use crate::catalog::{self, Table};
use crate::database::{Database, remember_schema, settle_after_harvest};
use crate::error::Error;
use crate::id::Millis;
use crate::key::LocalKey;
use crate::record::{LocalDot, Record};
use crate::store::damaged;
use crate::transaction::Txn;
use crate::value::Value;
use crate::{capture, capture::Error as CaptureError};
use rusqlite::params;
use std::rc::Rc;

const SLICE: usize = 2000;

impl Database {
    /// Puts capture right, and enters as writes what was not captured. Gives what was found, in sentences.
    pub fn audit(&mut self, now: Millis) -> Result<Vec<String>, Error> {
        self.catalog = Rc::new(catalog::read(&self.c, self.name(), &self.config()?)?);
        let catalog = self.catalog.clone();
        let (findings, suspicious) = self.write_unchecked(now, |txn| {
            let mut findings = Vec::new();
            let mut suspicious = Vec::new();
            drain(txn, &mut findings, &mut suspicious)?;
            for table in &catalog.tables {
                match txn.s.find_table(None, &table.name) {
                    None => {
                        findings.push(format!("the table `{}` is new", table.name));
                        add_table(txn.c, txn.s.tables.len() as u32 + 1, table)?;
                        txn.s = crate::store::State::load(txn.c, &catalog)?;
                    }
                    Some(n) if !txn.s.t(n).synced => {
                        findings.push(format!("the table `{}` has come", table.name));
                        capture_table(txn.c, n, table)?;
                        txn.c.execute("UPDATE _lockstep_table SET synced = 1 WHERE n = ?1", [n])?;
                    }
                    Some(n) => {
                        let found = capture::check(txn.c, n, table)?;
                        if !found.is_empty() {
                            capture::install(txn.c, n, table)?;
                            findings.extend(found);
                            suspicious.push(n);
                        }
                    }
                }
            }
            remember_schema(txn.c)?;
            Ok((findings, suspicious))
        })?;
        self.enter_rows(now, &mut |_, _| {})?;
        for n in suspicious {
            self.diff(n, now)?;
        }
        self.write_unchecked(now, |txn| {
            txn.touch_all_waiting()?;
            settle_after_harvest(txn)
        })?;
        Ok(findings)
    }

    /// Rows of one table that differ from their metadata become writes.
    fn diff(&mut self, n: u32, now: Millis) -> Result<(), Error> {
        let Some(table) = self.read(now, |txn| Ok(txn.s.t(n).table.clone()))? else { return Ok(()) };
        let mut cursor: Option<Vec<Value>> = None;
        loop {
            let next = self.write_unchecked(now, |txn| {
                let page = page(txn.c, &table, cursor.as_deref(), SLICE)?;
                let rows = page.rows.into_iter().map(|(row, _)| row).collect();
                txn.diff_rows(n, &table, rows)?;
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
                let last = txn.diff_births(n, after)?;
                settle_after_harvest(txn)?;
                Ok(last)
            })?;
            match last {
                Some(b) => after = b,
                None => return Ok(()),
            }
        }
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
    /// Rows without metadata are new; rows that are not what their records say were written.
    fn diff_rows(&mut self, t: u32, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), Error> {
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
                    let cols = self.changed_columns(i, table, &row)?;
                    if !cols.is_empty() {
                        found.changed.push((i, cols.into_iter().map(|c| (c, None)).collect()));
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
                        found.count_none(key, row);
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

//! Bringing back what a row once was, as a new write.
use super::{Error, Settled};
use crate::class::Class;
use crate::conflict::records;
use crate::database::Database;
use crate::error::Error as EngineError;
use crate::id::{Millis, Stamp};
use crate::record::{Cell, Col, Existence, LocalDot, Register, decode_cell};
use crate::store::damaged;
use crate::transaction::Txn;
use std::collections::{BTreeMap, BTreeSet};

/// A child that was deleted this long before its parent, or later, went with it.
const TOGETHER: i64 = 60_000;

/// What was brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Columns and rows that were written; 0: the row shows that version.
    pub written: u64,
    /// Rows that refer to it and came back with it.
    pub children: u64,
    /// Its key here as JSON text. None: it waits, and `held` says why.
    pub key: Option<String>,
}

impl Database {
    /// Writes again what one version of a row wrote; a deleted row lives again with all it had. With `children` those
    /// rows come back too that refer to it and were deleted with it. `seen` is the latest version that the person was
    /// shown; None: whatever was written since.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if no row that has or had the key knows the version, [`Error::NoValues`] if it was a delete,
    /// [`Error::Written`] if there is a later version than the one that was seen.
    pub fn restore(
        &mut self,
        table: &str,
        key: &str,
        version: &str,
        children: bool,
        seen: Option<&str>,
        now: Millis,
    ) -> Result<Restored, EngineError> {
        let (mut done, t, birth) = self.by_person(now, |txn| {
            let t = txn.s.find_table(None, table).filter(|t| txn.s.t(*t).table.is_some());
            let t = t.ok_or_else(|| Error::NoRow { table: table.to_owned(), key: key.to_owned() })?;
            let mut found = None;
            for leader in txn.rows_of_key(t, key)? {
                let class = txn.class(t, leader)?;
                if let Some(d) = txn.version_of(t, &class, version)? {
                    found = Some((class, d));
                    break;
                }
            }
            let (class, d) = found.ok_or_else(|| Error::Unknown { id: version.to_owned() })?;
            if let Some(seen) = seen
                && txn.history_of(t, class.leader)?.versions.first().is_some_and(|latest| latest.id != seen)
            {
                return Err(Error::Written { table: table.to_owned() }.into());
            }
            let done = txn.restore(&class, d, children)?;
            Ok(((done, t, class.leader), Vec::<Settled>::new()))
        })?;
        done.key = self.read(now, |txn| txn.shown_key(t, birth))?;
        Ok(done)
    }
}

impl Txn<'_> {
    /// The write of a class that a version names.
    fn version_of(&mut self, t: u32, class: &Class, version: &str) -> Result<Option<LocalDot>, EngineError> {
        let mut dots: BTreeSet<LocalDot> = BTreeSet::new();
        for &b in &class.members {
            let Some(i) = self.find(t, b)? else { continue };
            dots.extend(self.births[i].rec.entries.iter().map(|e| e.write.dot));
            let archived: Vec<i64> = self
                .c
                .prepare_cached("SELECT DISTINCT d FROM _lockstep_archive WHERE t = ?1 AND b = ?2")?
                .query_map([i64::from(t), b.0], |r| r.get(0))?
                .collect::<Result<_, _>>()?;
            dots.extend(archived.into_iter().map(LocalDot));
        }
        for r in records(self)?.iter().filter(|r| r.table == t && class.members.contains(&r.birth)) {
            dots.extend([r.loser, r.winner]);
        }
        let mut found = dots.into_iter().filter(|d| self.version_name(t, *d).starts_with(version));
        Ok(match (found.next(), found.next()) {
            (Some(d), None) => Some(d),
            _ => None,
        })
    }

    /// The values of a write, as far as they are kept.
    fn values_of(&mut self, class: &Class, d: LocalDot) -> Result<BTreeMap<Col, Cell>, EngineError> {
        let t = class.t;
        let mut out: BTreeMap<Col, Cell> = BTreeMap::new();
        for r in records(self)?.iter().filter(|r| r.table == t && class.members.contains(&r.birth)) {
            let Register::Column(col) = r.register else { continue };
            let cell = if r.loser == d {
                r.loser_cell()?
            } else if r.winner == d {
                r.winner_cell()?
            } else {
                None
            };
            out.extend(cell.map(|c| (col, c)));
        }
        for &b in &class.members {
            let archived: Vec<(i64, Vec<u8>)> = self
                .c
                .prepare_cached(
                    "SELECT col, value FROM _lockstep_archive
                     WHERE t = ?1 AND b = ?2 AND d = ?3 AND col >= 0 AND value IS NOT NULL",
                )?
                .query_map([i64::from(t), b.0, d.0], |r| Ok((r.get(0)?, r.get(1)?)))?
                .collect::<Result<_, _>>()?;
            for (col, value) in archived {
                let Register::Column(col) = Register::from_number(col) else { continue };
                out.insert(col, decode_cell(&mut value.as_slice()).ok_or_else(|| damaged("an archived value"))?);
            }
            if let Some(i) = self.find(t, b)? {
                self.read(i)?;
                let entries = self.births[i].rec.entries.iter().filter(|e| e.write.dot == d);
                out.extend(entries.flat_map(|e| e.fields.iter().map(|f| (f.col, f.cell.clone()))));
            }
        }
        out.retain(|_, c| *c != Cell::Unread);
        Ok(out)
    }

    fn restore(&mut self, class: &Class, d: LocalDot, children: bool) -> Result<Restored, EngineError> {
        let t = class.t;
        let values = self.values_of(class, d)?;
        let is_birth = class.members.contains(&d);
        if values.is_empty() && !is_birth {
            return Err(Error::NoValues.into());
        }
        let lives = self.class_lives(class)?;
        let buried = self.buried_at(class)?;
        let sources = self.sources(class)?;
        let mut columns = Vec::new();
        for (col, cell) in values {
            let all = self.standing(t, class.leader, col)?;
            let settled = all.len() == 1 || all.iter().all(|(_, _, c)| *c == all[0].2);
            if !(settled && self.class_cell(&sources, col)?.is_some_and(|x| x.2 == cell)) {
                columns.push((col, cell));
            }
        }
        let mut done = Restored { written: columns.len() as u64 + u64::from(!lives), children: 0, key: None };
        if done.written > 0 {
            self.write_by_person(class, (!lives).then_some(Existence::Lives), columns)?;
        }
        if children && let Some(at) = buried {
            let mut seen = BTreeSet::from([(t, class.leader)]);
            self.restore_children(class, at, &mut seen)?;
            done.children = seen.len() as u64 - 1;
            done.written += done.children;
        }
        Ok(done)
    }

    /// When a dead row was deleted.
    fn buried_at(&mut self, class: &Class) -> Result<Option<Stamp>, EngineError> {
        if self.class_lives(class)? {
            return Ok(None);
        }
        let members = self.members(class)?;
        let graves = members.iter().flat_map(|&m| self.births[m].rec.entries.iter().filter(|e| e.is_tombstone()));
        Ok(graves.map(|e| e.write.stamp).max())
    }

    /// Rows that refer to this one and were deleted with it live again, and theirs.
    fn restore_children(
        &mut self,
        class: &Class,
        at: Stamp,
        seen: &mut BTreeSet<(u32, LocalDot)>,
    ) -> Result<(), EngineError> {
        for m in class.members.clone() {
            for (ct, c, col) in self.children(class.t, m)? {
                if self.s.t(ct).table.is_none() {
                    continue;
                }
                let child = self.class(ct, c)?;
                let sources = self.sources(&child)?;
                let Some((_, _, Cell::Row(to))) = self.class_cell(&sources, col)? else { continue };
                if self.leader(class.t, to)? != class.leader {
                    continue;
                }
                let together = self.buried_at(&child)?.filter(|b| b.millis().0 >= at.millis().0 - TOGETHER);
                if together.is_none() || !seen.insert((ct, child.leader)) {
                    continue;
                }
                self.restore_children(&child, at, seen)?;
                self.write_by_person(&child, Some(Existence::Lives), Vec::new())?;
            }
        }
        Ok(())
    }
}

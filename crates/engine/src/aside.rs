//! Writes that are put aside on this node until a person lets them through: by the delete guard, by a person, or under
//! `review`, where a delete and an edit did not see each other.
//!
//! Always true here: a mark names (birth, write), concerns this node alone, and changes nothing of what is known: what
//! is marked is current in its register, travels on, and counts in the digest; only the row does not show it. A mark
//! goes when its write is no longer current, or stands against nothing any more. Not here: how a row is shown without it
//! (`rows`).
use crate::change::ConflictKind;
use crate::class::Class;
use crate::error::Error;
use crate::record::LocalDot;
use crate::store::damaged;
use crate::transaction::Txn;
use rusqlite::params;
use std::collections::BTreeMap;

/// Why a write is put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A person said so.
    Review = 1,
    /// It is one of so many deletes.
    Guard = 2,
    /// It is a delete of a run whose last batch has not come: how many there are is not known.
    Undecided = 3,
    /// Under `review`: it is an edit beside a delete that is earlier, or that delete.
    UpdateDelete = 4,
    /// Under `review`: it is a delete beside an edit that is earlier.
    DeleteUpdate = 5,
}

impl Why {
    /// As people see it.
    pub fn reason(self) -> ConflictKind {
        match self {
            Why::Review => ConflictKind::Review,
            Why::Guard | Why::Undecided => ConflictKind::DeleteGuard,
            Why::UpdateDelete => ConflictKind::UpdateDelete,
            Why::DeleteUpdate => ConflictKind::DeleteUpdate,
        }
    }

    fn of(n: i64) -> Result<Why, Error> {
        [Why::Review, Why::Guard, Why::Undecided, Why::UpdateDelete, Why::DeleteUpdate]
            .into_iter()
            .find(|w| *w as i64 == n)
            .ok_or_else(|| damaged("a mark of no kind"))
    }
}

/// The marks of one transaction.
#[derive(Debug, Default)]
pub struct Aside {
    any: Option<bool>,
    /// By birth: the marks as they are to be, once they were read.
    marks: BTreeMap<(u32, LocalDot), BTreeMap<LocalDot, Why>>,
    changed: Vec<(u32, LocalDot)>,
}

impl Aside {
    /// Forgets what is stored.
    pub fn forget(&mut self) {
        *self = Aside::default();
    }
}

impl Txn<'_> {
    fn has_asides(&mut self) -> Result<bool, Error> {
        if self.aside.any.is_none() {
            let n: i64 = self.c.query_row("SELECT EXISTS (SELECT 1 FROM _lockstep_aside)", [], |r| r.get(0))?;
            self.aside.any = Some(n != 0);
        }
        Ok(self.aside.any == Some(true))
    }

    /// The marks of a birth.
    pub fn asides(&mut self, t: u32, b: LocalDot) -> Result<BTreeMap<LocalDot, Why>, Error> {
        if let Some(marks) = self.aside.marks.get(&(t, b)) {
            return Ok(marks.clone());
        }
        if !self.has_asides()? {
            return Ok(BTreeMap::new());
        }
        let rows: Vec<(i64, i64)> = self
            .c
            .prepare_cached("SELECT d, why FROM _lockstep_aside WHERE t = ?1 AND b = ?2")?
            .query_map(params![t, b.0], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let marks: BTreeMap<LocalDot, Why> =
            rows.into_iter().map(|(d, w)| Ok((LocalDot(d), Why::of(w)?))).collect::<Result<_, Error>>()?;
        self.aside.marks.insert((t, b), marks.clone());
        Ok(marks)
    }

    /// Puts a write of a birth aside, or says anew why.
    pub fn put_aside(&mut self, t: u32, b: LocalDot, d: LocalDot, why: Why) -> Result<(), Error> {
        let mut marks = self.asides(t, b)?;
        marks.insert(d, why);
        self.set_asides(t, b, marks);
        Ok(())
    }

    /// Lets through what is put aside of a birth: all, or one write.
    pub fn take_up(&mut self, t: u32, b: LocalDot, d: Option<LocalDot>) -> Result<(), Error> {
        let mut marks = self.asides(t, b)?;
        let before = marks.len();
        marks.retain(|x, _| d.is_some_and(|d| *x != d));
        if marks.len() < before {
            self.set_asides(t, b, marks);
            self.touched.insert((t, b));
        }
        Ok(())
    }

    fn set_asides(&mut self, t: u32, b: LocalDot, marks: BTreeMap<LocalDot, Why>) {
        self.aside.any = Some(true);
        self.aside.marks.insert((t, b), marks);
        self.aside.changed.push((t, b));
    }

    /// The marks of a class whose writes are still current in it, and still stand against something where that is why.
    pub fn class_asides(&mut self, class: &Class) -> Result<BTreeMap<LocalDot, Why>, Error> {
        let mut out = BTreeMap::new();
        if self.aside.marks.is_empty() && !self.has_asides()? {
            return Ok(out);
        }
        for m in class.members.clone() {
            let mut marks = self.asides(class.t, m)?;
            if marks.is_empty() {
                continue;
            }
            let Some(i) = self.find(class.t, m)? else { continue };
            let before = marks.len();
            marks.retain(|d, _| self.births[i].rec.entries.iter().any(|e| e.write.dot == *d));
            for (d, why) in marks.clone() {
                if matches!(why, Why::UpdateDelete | Why::DeleteUpdate) && self.under_review(i, d)?.is_empty() {
                    marks.remove(&d);
                }
            }
            out.extend(marks.iter().map(|(d, w)| (*d, *w)));
            if marks.len() < before {
                self.set_asides(class.t, m, marks);
            }
        }
        Ok(out)
    }

    /// Is a dead class shown since its delete is put aside? One delete that is not is enough for it to go.
    pub fn stays_for_aside(&mut self, class: &Class) -> Result<bool, Error> {
        let marks = self.class_asides(class)?;
        if marks.is_empty() {
            return Ok(false);
        }
        let mut stays = false;
        for m in self.members(class)? {
            let mut graves = self.births[m].rec.entries.iter().filter(|e| e.is_tombstone()).peekable();
            stays |= graves.peek().is_some() && graves.all(|e| marks.contains_key(&e.write.dot));
        }
        Ok(stays)
    }

    /// All marks of one kind: (table, birth, write).
    pub fn all_aside(&mut self, why: Why) -> Result<Vec<(u32, LocalDot, LocalDot)>, Error> {
        if self.aside.marks.is_empty() && !self.has_asides()? {
            return Ok(Vec::new());
        }
        let stored: Vec<(u32, i64)> = self
            .c
            .prepare_cached("SELECT DISTINCT t, b FROM _lockstep_aside WHERE why = ?1")?
            .query_map([why as i64], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut births: Vec<(u32, LocalDot)> = stored.into_iter().map(|(t, b)| (t, LocalDot(b))).collect();
        births.extend(self.aside.marks.keys().copied());
        births.sort_unstable();
        births.dedup();
        let mut out = Vec::new();
        for (t, b) in births {
            out.extend(self.asides(t, b)?.into_iter().filter(|(_, w)| *w == why).map(|(d, _)| (t, b, d)));
        }
        Ok(out)
    }

    /// Writes the marks back.
    pub fn store_asides(&mut self) -> Result<(), Error> {
        let mut changed = std::mem::take(&mut self.aside.changed);
        changed.sort_unstable();
        changed.dedup();
        for (t, b) in changed {
            self.c.prepare_cached("DELETE FROM _lockstep_aside WHERE t = ?1 AND b = ?2")?.execute(params![t, b.0])?;
            for (d, why) in self.aside.marks.get(&(t, b)).cloned().unwrap_or_default() {
                self.c
                    .prepare_cached("INSERT INTO _lockstep_aside (t, b, d, why) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![t, b.0, d.0, why as i64])?;
            }
        }
        Ok(())
    }
}

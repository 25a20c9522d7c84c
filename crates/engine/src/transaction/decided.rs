//! What people said about conflicts: one word a conflict, the latest counts.
//!
//! Always true here: a word is a write with a dot of its own and travels; it moves no value. Not here: what a decision
//! writes (`decide`).
use super::{DotOf, Txn};
use crate::change::Kept;
use crate::conflict::Record;
use crate::error::Error;
use crate::id::Stamp;
use crate::record::LocalDot;
use crate::store::damaged;
use rusqlite::{OptionalExtension, params};

/// (table, birth, loser's dot): one conflict, as people see it.
pub type DecidedKey = (u32, LocalDot, LocalDot);

/// What was said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The word's own dot, which says whose it is.
    pub dot: LocalDot,
    pub stamp: Stamp,
    pub kept: Kept,
}

impl Txn<'_> {
    /// What was said last about a conflict.
    pub fn decided(&self, key: DecidedKey) -> Result<Option<Decided>, Error> {
        if let Some(d) = self.decided.get(&key) {
            return Ok(Some(*d));
        }
        let (t, b, loser) = key;
        let found: Option<(i64, i64, u8)> = self
            .c
            .prepare_cached("SELECT d, stamp, kept FROM _lockstep_decision WHERE t = ?1 AND b = ?2 AND loser = ?3")?
            .query_row(params![t, b.0, loser.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .optional()?;
        found
            .map(|(d, stamp, kept)| {
                let kept = Kept::ALL.into_iter().find(|k| *k as u8 == kept).ok_or_else(|| damaged("a decision"))?;
                Ok(Decided { dot: LocalDot(d), stamp: Stamp(stamp), kept })
            })
            .transpose()
    }

    /// What was said last about a conflict that is on record, in whichever birth of its row.
    pub fn said(&self, r: &Record) -> Result<Option<Decided>, Error> {
        let mut last: Option<Decided> = None;
        for &b in r.births.iter() {
            let Some(said) = self.decided((r.table, b, r.loser))? else { continue };
            if last.is_none_or(|l| (l.stamp, self.id_of(l.dot)) < (said.stamp, self.id_of(said.dot))) {
                last = Some(said);
            }
        }
        Ok(last)
    }

    /// A person says something about a conflict, here and now: of each birth of its row in which it is on record.
    pub fn decide(&mut self, (t, b, loser): DecidedKey, kept: Kept) -> Result<(), Error> {
        let class = self.class(t, b)?;
        for &m in &class.members {
            if m == b || self.has_lost(t, m, loser)? {
                let (dot, stamp) = self.new_dot(t, self.now);
                self.merge_decision((t, m, loser), Decided { dot, stamp, kept })?;
            }
        }
        Ok(())
    }

    /// A word that was said here or arrived: the latest counts.
    pub fn merge_decision(&mut self, key: DecidedKey, said: Decided) -> Result<(), Error> {
        let (t, b, loser) = key;
        if let Some(old) = self.decided(key)? {
            if (old.stamp, self.id_of(old.dot)) >= (said.stamp, self.id_of(said.dot)) {
                return Ok(());
            }
            self.set_dot(t, old.dot, DotOf::Births(Vec::new()));
        }
        self.set_dot(t, said.dot, DotOf::Decision(b, loser));
        self.decided.insert(key, said);
        Ok(())
    }

    pub(super) fn store_decided(&mut self) -> Result<(), Error> {
        for ((t, b, loser), d) in std::mem::take(&mut self.decided) {
            self.c
                .prepare_cached(
                    "INSERT OR REPLACE INTO _lockstep_decision (t, b, loser, d, stamp, kept)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![t, b.0, loser.0, d.dot.0, d.stamp.0, d.kept as u8])?;
        }
        Ok(())
    }
}

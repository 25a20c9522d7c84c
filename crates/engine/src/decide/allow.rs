//! What waits is tried again, or let through; and the deletes that the guard holds.
use super::{Choice, Error, Keep, Resolved, Settled, Side};
use crate::aside::Why;
use crate::change::ConflictKind;
use crate::database::Database;
use crate::error::Error as EngineError;
use crate::id::{Millis, ReplicaId};
use crate::listing::short_id;
use crate::record::{Existence, LocalDot};
use crate::transaction::Txn;
use std::collections::{BTreeMap, BTreeSet};

/// What came of trying again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// Rows that wait no more.
    pub applied: u64,
    /// Rows that still wait.
    pub held: u64,
}

/// The deletes of one table that the guard holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// Names exactly these deletes.
    pub id: String,
    /// Table.
    pub table: String,
    /// Rows that would go.
    pub rows: u64,
    /// Rows that the table shows.
    pub of: u64,
}

/// Deletes of one table: (birth, tombstone).
type Graves = Vec<(LocalDot, LocalDot)>;

impl Database {
    /// Tries to apply what waits: these things, by their ids, or all. What waits for something to come is tried by
    /// itself when it comes; this is for who does not want to wait.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] for an id of nothing that waits.
    pub fn retry(&mut self, ids: Option<&[String]>, now: Millis) -> Result<Retried, EngineError> {
        let before = self.count_held()?;
        self.by_person(now, |txn| {
            let waiting = txn.waiting()?;
            let wanted: BTreeSet<&String> = ids.iter().flat_map(|ids| ids.iter()).collect();
            if let Some(unknown) = wanted.iter().find(|id| !waiting.iter().any(|w| w.id == ***id)) {
                return Err(Error::Unknown { id: (*unknown).clone() }.into());
            }
            for w in waiting.iter().filter(|w| ids.is_none() || wanted.contains(&w.id)) {
                txn.touched.insert((w.t, w.leader));
            }
            Ok(((), Vec::<Settled>::new()))
        })?;
        let held = self.count_held()?;
        Ok(Retried { applied: before.saturating_sub(held), held })
    }

    /// Lets something through that waits: a write from a clock far ahead gets today's stamp, what was put aside is
    /// applied, anything else if it can be.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`], or [`Error::StillHeld`] where it can't be applied.
    pub fn allow(&mut self, id: &str, anyway: bool, now: Millis) -> Result<Resolved, EngineError> {
        let mut done = self.allow_all(&[id.to_owned()], anyway, now)?;
        done.pop().ok_or_else(|| Error::Unknown { id: id.to_owned() }.into())
    }

    /// The same of several things: all of them, or nothing.
    ///
    /// # Errors
    ///
    /// As of one, for the first that can't pass.
    pub fn allow_all(&mut self, ids: &[String], anyway: bool, now: Millis) -> Result<Vec<Resolved>, EngineError> {
        let choices = self.read(now, |txn| {
            let waiting = txn.waiting()?;
            ids.iter()
                .map(|id| {
                    let found = waiting.iter().find(|w| w.id == *id);
                    let waits = found.ok_or_else(|| EngineError::from(Error::Unknown { id: id.clone() }))?;
                    let class = txn.class(waits.t, waits.leader)?;
                    let shown = !txn.anchors(&class)?.is_empty();
                    let side = match (waits.reason, shown) {
                        // Of a row that is gone the edit waits, and of one that is shown the delete.
                        (ConflictKind::UpdateDelete, false) | (ConflictKind::DeleteUpdate, true) => Side::Winner,
                        _ => Side::Loser,
                    };
                    Ok(Choice { conflict: id.clone(), keep: Keep::All(side), anyway })
                })
                .collect::<Result<Vec<_>, EngineError>>()
        })?;
        self.resolve(&choices, now)
    }

    /// Lets through everything that a person has put aside, or that came from these replicas while everything of theirs
    /// was put aside. Gives how many rows that concerned.
    pub fn allow_reviewed(&mut self, of: Option<&[ReplicaId]>, now: Millis) -> Result<u64, EngineError> {
        self.by_person(now, |txn| {
            let mut rows = BTreeSet::new();
            for (t, b, d) in txn.all_aside(Why::Review)? {
                let by = txn.dot(d).replica;
                if of.is_none_or(|of| of.contains(&by)) {
                    txn.take_up(t, b, Some(d))?;
                    rows.insert((t, b));
                }
            }
            Ok((rows.len() as u64, Vec::<Settled>::new()))
        })
    }

    /// What the delete guard holds, by table.
    pub fn guarded(&mut self) -> Result<Vec<Guarded>, EngineError> {
        self.read(Millis(0), |txn| {
            let mut out = Vec::new();
            for (t, graves) in txn.guarded()? {
                // A row that was made one of several is one row.
                let mut rows = BTreeSet::new();
                for (b, _) in &graves {
                    rows.insert(txn.class(t, *b)?.leader);
                }
                out.push(Guarded {
                    id: txn.guard_name(t, &graves),
                    table: txn.s.t(t).name.clone(),
                    rows: rows.len() as u64,
                    of: txn.s.t(t).rows.max(0) as u64,
                });
            }
            Ok(out)
        })
    }

    /// Lets exactly these deletes through, or, with `keep`, lets their rows live, which is a write that travels. Gives
    /// how many rows that concerned.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if the guard holds other deletes by now.
    pub fn decide_deletes(&mut self, id: &str, keep: bool, now: Millis) -> Result<u64, EngineError> {
        self.by_person(now, |txn| {
            let all = txn.guarded()?;
            let found = all.into_iter().find(|(t, graves)| txn.guard_name(*t, graves) == id);
            let (t, graves) = found.ok_or_else(|| Error::Unknown { id: id.to_owned() })?;
            let mut done = BTreeSet::new();
            for (b, d) in graves {
                let class = txn.class(t, b)?;
                txn.take_up(t, b, Some(d))?;
                if done.insert(class.leader) && keep {
                    txn.write_by_person(&class, Some(Existence::Lives), Vec::new())?;
                }
            }
            Ok((done.len() as u64, Vec::<Settled>::new()))
        })
    }
}

impl Txn<'_> {
    fn guarded(&mut self) -> Result<BTreeMap<u32, Graves>, EngineError> {
        let mut out: BTreeMap<u32, Graves> = BTreeMap::new();
        for (t, b, d) in self.all_aside(Why::Guard)? {
            let class = self.class(t, b)?;
            if !self.class_lives(&class)? && !self.anchors(&class)?.is_empty() {
                out.entry(t).or_default().push((b, d));
            }
        }
        Ok(out)
    }

    fn guard_name(&self, t: u32, graves: &Graves) -> String {
        let mut dots: Vec<Vec<u8>> = graves
            .iter()
            .flat_map(|(b, d)| [self.dot(*b), self.dot(*d)])
            .map(|d| [d.replica.0.as_slice(), &d.seq.0.to_be_bytes()].concat())
            .collect();
        dots.insert(0, self.s.t(t).name.as_bytes().to_vec());
        let parts: Vec<&[u8]> = dots.iter().map(Vec::as_slice).collect();
        short_id(&parts)
    }
}

//! First contact of two filled replicas: what both began with, row by row, and which side is right where nobody knows.
//!
//! Always true here: nothing is decided; rows are counted as the merge would join them. Not here: how they are matched
//! (`identity`), and what a decision writes (`decide`).
use crate::conflict::records;
use crate::database::Database;
use crate::error::Error;
use crate::id::{Millis, ReplicaId, Stamp};
use crate::record::LocalDot;
use crate::report::Contact;
use crate::transaction::Txn;
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet};

/// How the rows that two files began with belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Began {
    /// Nobody said: rows with the same id and the same content are one.
    #[default]
    AsFound,
    /// The files began as copies of one: rows with the same id are one.
    Copies,
    /// They began separately: an id says nothing.
    Separate,
}

impl Began {
    pub(crate) fn from_number(n: i64) -> Began {
        match n {
            1 => Began::Copies,
            2 => Began::Separate,
            _ => Began::AsFound,
        }
    }
}

/// A conflict of which nobody knows which side is right: neither row has a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undatable {
    /// The conflict.
    pub id: String,
    /// Whose value stands.
    pub winner: ReplicaId,
}

impl Database {
    /// Notes how this file and that of a replica began. To be said before anything of it is applied.
    pub fn began(&mut self, replica: ReplicaId, began: Began, now: Millis) -> Result<(), Error> {
        self.write(now, |txn| {
            let n = txn.s.replica_no(replica);
            txn.s.store(txn.c)?;
            txn.c.execute("UPDATE _lockstep_replica SET copies = ?2 WHERE n = ?1", params![n, began as i64])?;
            if began == Began::Copies && !txn.s.is_copy {
                txn.note_origins()?;
            }
            Ok(())
        })
    }

    /// Conflicts between rows that were there before their nodes met, and of which none has a time.
    pub fn undatable(&mut self) -> Result<Vec<Undatable>, Error> {
        self.read(Millis(0), |txn| {
            let mut found: Vec<Undatable> = Vec::new();
            for r in records(txn)? {
                if found.last().is_some_and(|f| f.id == r.id) || txn.said(&r)?.is_some() {
                    continue;
                }
                let class = txn.class(r.table, r.birth)?;
                let members = txn.members(&class)?;
                // The winner is the later one: if it has no time, neither has the loser.
                let dateless = members.iter().any(|&m| {
                    let entries = &txn.births[m].rec.entries;
                    entries.iter().any(|e| e.write.dot == r.winner && e.write.rank == Some(Stamp(0)))
                });
                if dateless {
                    found.push(Undatable { id: r.id, winner: txn.dot(r.winner).replica });
                }
            }
            Ok(found)
        })
    }
}

impl Txn<'_> {
    /// Counts what both sides began with, after a preview has merged everything that the other has.
    pub(crate) fn count_contact(&mut self) -> Result<Vec<Contact>, Error> {
        let mut by_table: BTreeMap<u32, Contact> = BTreeMap::new();
        let mut seen: BTreeSet<(u32, LocalDot)> = BTreeSet::new();
        let lost: BTreeSet<(u32, LocalDot)> = self.lost.keys().map(|(t, b, _, _)| (*t, *b)).collect();
        for t in self.s.tables.iter().filter(|t| t.table.is_some()) {
            let here = t.rows.max(0) as u64;
            by_table.insert(t.n, Contact { name: t.name.clone(), only_here: here, ..Contact::default() });
        }
        for i in 0..self.births.len() {
            let (t, b) = (self.births[i].t, self.births[i].b);
            if self.births[i].was_known() || !self.lives(i) {
                continue;
            }
            let class = self.class(t, b)?;
            let Some(contact) = by_table.get_mut(&t) else { continue };
            if !seen.insert((t, class.leader)) {
                continue;
            }
            let members = self.members(&class)?;
            let known: Vec<usize> = members.iter().copied().filter(|&m| self.births[m].was_known()).collect();
            if known.is_empty() {
                contact.only_there += 1;
                continue;
            }
            contact.only_here = contact.only_here.saturating_sub(1);
            if members.iter().any(|&m| lost.contains(&(t, self.births[m].b))) {
                contact.differing += 1;
                let dateless = |m: &usize| {
                    self.births[*m].rec.entries.iter().any(|e| e.existence.is_some() && e.write.rank == Some(Stamp(0)))
                };
                contact.undatable += u64::from(members.iter().all(dateless));
            } else {
                contact.same += 1;
            }
        }
        let moved: Vec<(u32, u64)> = self.counts.iter().map(|(t, n)| (*t, n.id_moves)).collect();
        for (t, n) in moved {
            if let Some(contact) = by_table.get_mut(&t) {
                contact.id_taken = n;
            }
        }
        Ok(by_table.into_values().collect())
    }
}

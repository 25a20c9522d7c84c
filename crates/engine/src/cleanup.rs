//! Retention: what has been kept long enough goes, as far as nobody needs it any more.
//!
//! Always true here: a deleted row's trace goes only if every peer is known to have the delete, nothing refers to the
//! row, and nothing of it waits or is unread; a conflict goes only after a person has looked at it; digests don't move,
//! and the balance says what went. Work is done in short slices, each a transaction of its own.
//! Not here: which peers there are, and for how long what is kept.
use crate::database::Database;
use crate::error::Error;
use crate::id::{Millis, Vectors};
use crate::key::LocalKey;
use crate::record::{Existence, LocalDot, Record};
use crate::report::Cleaned;
use crate::store::{self, ARCHIVED, EDGES_AT, damaged};
use crate::transaction::Txn;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;

/// Rows looked at in one transaction.
const SLICE: i64 = 500;

/// What may go.
#[derive(Clone, Debug, Default)]
pub struct Cleanup {
    /// Traces of rows deleted before; None: none.
    pub tombstones: Option<Millis>,
    /// Conflicts that were recorded before, and looked at.
    pub conflicts: Option<Millis>,
    /// Values that were replaced before.
    pub archive: Option<Millis>,
    /// What each peer is known to have. What one of them lacks, stays.
    pub peers: Vec<Vectors>,
    /// Tables to whose rows other databases refer: their traces stay.
    pub referred: Vec<String>,
}

impl Cleanup {
    /// Do all peers have this?
    fn is_everywhere(&self, txn: &Txn<'_>, t: u32, dot: LocalDot) -> bool {
        let (table, dot) = (&txn.s.t(t).name, txn.dot(dot));
        let has =
            |vectors: &Vectors| vectors.get(table).and_then(|v| v.get(&dot.replica)).is_some_and(|s| *s >= dot.seq);
        self.peers.iter().all(has)
    }
}

impl Database {
    /// Removes what may go, or counts it. Harvests first.
    pub fn clean(&mut self, what: &Cleanup, dry_run: bool, now: Millis) -> Result<Cleaned, Error> {
        self.harvest(now)?;
        let mut done = Cleaned::default();
        if let Some(before) = what.archive {
            let find = |txn: &mut Txn<'_>, after: &ArchiveKey| archived(txn, before, after);
            let first = (0, i64::MIN, i64::MIN, i64::MIN);
            done.archived = self.slices(dry_run, now, first, find, remove_archived)?;
        }
        if let Some(before) = what.conflicts {
            let find = |txn: &mut Txn<'_>, after: &ArchiveKey| conflicts(txn, what, before, after);
            let first = (0, i64::MIN, i64::MIN, i64::MIN);
            done.conflicts = self.slices(dry_run, now, first, find, remove_conflicts)?;
        }
        if let Some(before) = what.tombstones {
            let find = |txn: &mut Txn<'_>, after: &(u32, i64)| dead(txn, what, before, *after);
            done.tombstones = self.slices(dry_run, now, (1, i64::MIN), find, remove_dead)?;
        }
        Ok(done)
    }

    /// Bytes of the file that are Lockstep's own tables. Reads all of them.
    pub fn own_bytes(&self) -> Result<u64, Error> {
        let sum = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE aggregate = TRUE AND name IN
                   (SELECT name FROM sqlite_master WHERE tbl_name LIKE '\\_lockstep\\_%' ESCAPE '\\')";
        Ok(self.c.query_row(sum, [], |r| r.get(0))?)
    }

    /// Finds and removes slice by slice, each in a transaction. `find` gives what may go and where to go on.
    fn slices<P: Clone, T>(
        &mut self,
        dry_run: bool,
        now: Millis,
        first: P,
        find: impl Fn(&mut Txn<'_>, &P) -> Result<Found<T, P>, Error>,
        remove: impl Fn(&mut Txn<'_>, &[T]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut at = Some(first);
        let mut gone = 0;
        while let Some(from) = at {
            let (mut found, next) = self.read(now, |txn| find(txn, &from))?;
            if !found.is_empty() && !dry_run {
                // Looked at again under the write lock: something may have come in between.
                found = self.write(now, |txn| {
                    let (found, _) = find(txn, &from)?;
                    remove(txn, &found)?;
                    Ok(found)
                })?;
            }
            gone += found.len() as u64;
            at = next;
        }
        Ok(gone)
    }
}

/// (table, birth, then two that complete the key of its table)
type ArchiveKey = (u32, i64, i64, i64);

/// A value that may go: its key, and whether it lost a conflict.
type ArchivedValue = (ArchiveKey, bool);

/// A conflict that may go: its key, and the dot of its record.
type ConflictRow = (ArchiveKey, LocalDot);

/// What a slice found, and where to go on.
type Found<T, P> = (Vec<T>, Option<P>);

fn archived(txn: &mut Txn<'_>, before: Millis, after: &ArchiveKey) -> Result<Found<ArchivedValue, ArchiveKey>, Error> {
    // One that lost is kept as long as its conflict is unread.
    let rows: Vec<(ArchiveKey, bool, bool)> = txn
        .c
        .prepare_cached(
            "SELECT t, b, d, col, why <> 0, at < ?5 AND NOT (why <> 0 AND EXISTS (
               SELECT 1 FROM _lockstep_conflict AS c WHERE c.t = a.t AND c.b = a.b AND c.col = a.col AND c.loser = a.d
                 AND NOT EXISTS (SELECT 1 FROM _lockstep_decision AS s WHERE s.t = c.t AND s.b = c.b AND s.loser = c.loser)))
             FROM _lockstep_archive AS a WHERE (t, b, d, col) > (?1, ?2, ?3, ?4) ORDER BY t, b, d, col LIMIT ?6",
        )?
        .query_map(params![after.0, after.1, after.2, after.3, before.0, SLICE], |r| {
            Ok(((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?), r.get(4)?, r.get(5)?))
        })?
        .collect::<Result<_, _>>()?;
    let next = rows.last().map(|(key, _, _)| *key);
    Ok((rows.into_iter().filter(|r| r.2).map(|(key, lost, _)| (key, lost)).collect(), next))
}

fn remove_archived(txn: &mut Txn<'_>, found: &[ArchivedValue]) -> Result<(), Error> {
    let mut lost: BTreeMap<u32, i64> = BTreeMap::new();
    for ((t, b, d, col), is_lost) in found {
        txn.c
            .prepare_cached("DELETE FROM _lockstep_archive WHERE t = ?1 AND b = ?2 AND d = ?3 AND col = ?4")?
            .execute(params![t, b, d, col])?;
        *lost.entry(*t).or_default() += i64::from(*is_lost);
    }
    for (t, n) in lost.iter().filter(|(_, n)| **n > 0) {
        txn.s.t_mut(*t).accounts[ARCHIVED] -= n;
    }
    account(txn, lost.values().sum())?;
    txn.store()
}

fn conflicts(
    txn: &mut Txn<'_>,
    what: &Cleanup,
    before: Millis,
    after: &ArchiveKey,
) -> Result<Found<ConflictRow, ArchiveKey>, Error> {
    let rows: Vec<(ArchiveKey, LocalDot, Option<LocalDot>)> = txn
        .c
        .prepare_cached(
            "SELECT c.t, c.b, c.col, c.loser, c.d, s.d FROM _lockstep_conflict AS c
             LEFT JOIN _lockstep_decision AS s ON s.t = c.t AND s.b = c.b AND s.loser = c.loser AND c.at < ?5
             WHERE (c.t, c.b, c.col, c.loser) > (?1, ?2, ?3, ?4) ORDER BY c.t, c.b, c.col, c.loser LIMIT ?6",
        )?
        .query_map(params![after.0, after.1, after.2, after.3, before.0, SLICE], |r| {
            let said: Option<i64> = r.get(5)?;
            Ok(((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?), LocalDot(r.get(4)?), said.map(LocalDot)))
        })?
        .collect::<Result<_, _>>()?;
    let next = rows.last().map(|(key, _, _)| *key);
    let goes = |(key, d, said): (ArchiveKey, LocalDot, Option<LocalDot>)| {
        let everywhere = |dot| what.is_everywhere(txn, key.0, dot);
        (said.is_some_and(everywhere) && everywhere(d)).then_some((key, d))
    };
    Ok((rows.into_iter().filter_map(goes).collect(), next))
}

fn remove_conflicts(txn: &mut Txn<'_>, found: &[ConflictRow]) -> Result<(), Error> {
    for ((t, b, col, loser), d) in found {
        txn.c
            .prepare_cached("DELETE FROM _lockstep_conflict WHERE t = ?1 AND b = ?2 AND col = ?3 AND loser = ?4")?
            .execute(params![t, b, col, loser])?;
        txn.c.prepare_cached(&format!("DELETE FROM _lockstep_dot_{t} WHERE d = ?1"))?.execute([d.0])?;
        // What was said of it goes with the last of its columns.
        let said: Option<i64> = txn
            .c
            .prepare_cached(
                "DELETE FROM _lockstep_decision WHERE t = ?1 AND b = ?2 AND loser = ?3 AND NOT EXISTS
                   (SELECT 1 FROM _lockstep_conflict WHERE t = ?1 AND b = ?2 AND loser = ?3) RETURNING d",
            )?
            .query_row(params![t, b, loser], |r| r.get(0))
            .optional()?;
        if let Some(d) = said {
            txn.c.prepare_cached(&format!("DELETE FROM _lockstep_dot_{t} WHERE d = ?1"))?.execute([d])?;
        }
    }
    Ok(())
}

/// A birth by its table.
type DeadBirth = (u32, LocalDot);

/// Births of one slice of one table that may go.
fn dead(
    txn: &mut Txn<'_>,
    what: &Cleanup,
    before: Millis,
    (t, after): (u32, i64),
) -> Result<Found<DeadBirth, (u32, i64)>, Error> {
    let Some(table) = txn.s.tables.get(t as usize - 1) else { return Ok((Vec::new(), None)) };
    let next_table = Some((t + 1, i64::MIN));
    if table.database.is_some() || what.referred.contains(&table.name) {
        return Ok((Vec::new(), next_table));
    }
    let births: Vec<(i64, Option<LocalKey>, Vec<u8>)> = txn
        .c
        .prepare_cached(&format!("SELECT b, k, rec FROM _lockstep_row_{t} WHERE b > ?1 ORDER BY b LIMIT ?2"))?
        .query_map(params![after, SLICE], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let next = births.last().map_or(next_table, |b| Some((t, b.0)));
    let mut found = Vec::new();
    for (b, key, bytes) in births {
        let rec = Record::decode(&bytes).ok_or_else(|| damaged("a record"))?;
        let b = LocalDot(b);
        // A row that was made one with others keeps its edges, which are part of the digest.
        if key.is_none() && !rec.linked && !rec.held && is_old(&rec, before) && !txn.rec_lives(&rec) {
            let everywhere = rec.entries.iter().all(|e| what.is_everywhere(txn, t, e.write.dot));
            if everywhere && is_unread_nowhere(txn, t, b)? {
                found.push((t, b));
            }
        }
    }
    Ok((found, next))
}

fn is_old(rec: &Record, before: Millis) -> bool {
    let buried = rec.entries.iter().any(|e| matches!(e.existence, Some(Existence::Deleted(_))));
    buried && rec.entries.iter().all(|e| e.write.stamp.millis() < before)
}

/// Does nothing refer to it, and is nothing of it kept for a reason of its own?
fn is_unread_nowhere(txn: &Txn<'_>, t: u32, b: LocalDot) -> Result<bool, Error> {
    let [from, to] = EDGES_AT;
    Ok(txn
        .c
        .prepare_cached(&format!(
            "SELECT NOT EXISTS (SELECT 1 FROM _lockstep_link WHERE pt = ?1 AND p = ?2)
               AND NOT EXISTS (SELECT 1 FROM _lockstep_conflict WHERE t = ?1 AND b = ?2)
               AND NOT EXISTS (SELECT 1 FROM _lockstep_decision WHERE t = ?1 AND b = ?2)
               AND NOT EXISTS (SELECT 1 FROM _lockstep_archive WHERE t = ?1 AND b = ?2 AND why <> 0)
               AND NOT EXISTS (SELECT 1 {from}) AND NOT EXISTS (SELECT 1 {to})
               AND NOT EXISTS (SELECT 1 FROM _lockstep_held WHERE t = ?1 AND b = ?2)
               AND NOT EXISTS (SELECT 1 FROM _lockstep_future WHERE t = ?1 AND b = ?2)",
        ))?
        .query_row(params![t, b.0], |r| r.get(0))?)
}

fn remove_dead(txn: &mut Txn<'_>, found: &[(u32, LocalDot)]) -> Result<(), Error> {
    let mut values = 0;
    for (t, b) in found {
        let Some(i) = txn.find(*t, *b)? else { continue };
        txn.read(i)?;
        // Stored as a birth of which nothing is known: its dots, links and accounts go as they always do.
        values += txn.births[i].rec.count();
        if let Some(origin) = txn.births[i].rec.copied_origin() {
            txn.c
                .prepare_cached("DELETE FROM _lockstep_origin WHERE t = ?1 AND o = ?2 AND b = ?3")?
                .execute(params![t, origin, b.0])?;
        }
        txn.births[i].rec.entries.clear();
        txn.births[i].dirty = true;
    }
    account(txn, i64::try_from(values).map_err(|_| damaged("the balance"))?)?;
    txn.store()?;
    for (t, b) in found {
        for table in ["row", "unshown", "ident"] {
            txn.c.prepare_cached(&format!("DELETE FROM _lockstep_{table}_{t} WHERE b = ?1"))?.execute([b.0])?;
        }
        for sql in [
            "DELETE FROM _lockstep_archive WHERE t = ?1 AND b = ?2",
            "DELETE FROM _lockstep_was WHERE t = ?1 AND b = ?2",
            "DELETE FROM _lockstep_class WHERE t = ?1 AND b = ?2",
        ] {
            txn.c.prepare_cached(sql)?.execute(params![t, b.0])?;
        }
    }
    Ok(())
}

/// Values that were in an account and are cleaned now.
fn account(txn: &mut Txn<'_>, values: i64) -> Result<(), Error> {
    if values > 0 {
        txn.s.cleaned += values;
        store::set_meta(txn.c, "cleaned", txn.s.cleaned)?;
    }
    Ok(())
}

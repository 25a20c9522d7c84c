//! The history of a file: a chain of marks, and new incarnations where it breaks.
//!
//! Always true here: every transaction that moves a version vector adds a mark that nobody can foretell, so a file
//! that lacks a mark it once had is an older state of itself, and two files with different marks under one number have
//! parted. A new incarnation leaves every dot what it is that others may know; only what is written from then on bears the
//! new replica's name, and what this file alone has written since it parted from another one (`parting`). Not here: who
//! remembers which mark, and what to do about a break (the node).
mod known;
pub(crate) mod parting;

use crate::database::{Database, catch_up, settle_after_harvest};
use crate::error::Error;
use crate::guest;
use crate::id::{Millis, ReplicaId, Seq, Vectors};
use crate::record::{get, put};
use crate::store::{self, State, damaged};
use crate::transaction::Txn;
use crate::upgrade;
use parting::Parting;
use rusqlite::{Connection, OptionalExtension, params};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::path::Path;

/// Marks that a file keeps. Who remembers an older one can't tell any more whether the file has gone back.
const KEPT: u64 = 4096;

/// One mark of a file's history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Its place: 1, 2, 3, … in one file, over all its incarnations.
    pub seq: u64,
    /// 128 random bits.
    pub mark: [u8; 16],
}

/// How a file's history stands to a mark that somebody remembers of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// The file has gone on from there.
    Continues,
    /// The file does not come from there: it is older, or has gone another way.
    Broken,
}

/// Writes the first mark of a file.
pub(crate) fn first(c: &Connection, mark: [u8; 16]) -> Result<(), Error> {
    c.execute("INSERT INTO _lockstep_mark (n, mark) VALUES (1, ?1)", [mark.as_slice()])?;
    Ok(())
}

/// The latest mark.
pub(crate) fn latest(c: &Connection) -> Result<Mark, Error> {
    let (seq, mark): (u64, Vec<u8>) = c
        .prepare_cached("SELECT n, mark FROM _lockstep_mark ORDER BY n DESC LIMIT 1")?
        .query_row([], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?
        .ok_or_else(|| damaged("no mark"))?;
    Ok(Mark { seq, mark: mark.try_into().map_err(|_| damaged("a mark"))? })
}

/// How far a file has written as the replica that it is: its number, and by table the highest seq.
pub(crate) type Written = (u32, BTreeMap<u32, u64>);

/// Adds the next mark: of the one before, the moment, what is there now and what chance gave. With it goes what was
/// written here since `before`, so that it can be told later which writes came after a mark.
pub(crate) fn next(
    c: &Connection,
    s: &State,
    (was, before): &Written,
    chance: [u8; 16],
    now: Millis,
) -> Result<(), Error> {
    let mut hash = SipHasher13::new_with_key(&s.mark.mark);
    hash.write(&chance);
    hash.write_i64(now.0);
    hash.write_i64(s.clock.0);
    for t in &s.tables {
        hash.write_u128(t.digest);
    }
    let (own, wrote) = s.written();
    let mut since = Vec::new();
    put(&mut since, u64::from(own));
    for (t, seq) in wrote {
        let first = if own == *was { before.get(&t).copied().unwrap_or(0) + 1 } else { 1 };
        if first <= seq {
            put(&mut since, u64::from(t));
            put(&mut since, first);
        }
    }
    let (seq, mark) = (s.mark.seq + 1, hash.finish128().as_bytes());
    c.prepare_cached("INSERT INTO _lockstep_mark (n, mark, own) VALUES (?1, ?2, ?3)")?.execute(params![
        seq,
        mark.as_slice(),
        since
    ])?;
    c.prepare_cached("DELETE FROM _lockstep_mark WHERE n <= ?1")?.execute([seq.saturating_sub(KEPT)])?;
    Ok(())
}

/// Who an attached file says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Logical name.
    pub name: String,
    /// The replica that it is.
    pub replica: ReplicaId,
    /// The node of that replica, once its attaching has come to its end.
    pub node: Option<String>,
}

/// Who a file says it is; None: it is not attached.
pub fn known(path: &Path) -> Result<Option<Known>, Error> {
    let c = guest::open(path)?;
    if !store::is_attached(&c)? {
        return Ok(None);
    }
    upgrade::check(&c, path)?;
    let (replica, node) = own(&c)?;
    Ok(Some(Known { name: store::name(&c)?, replica, node }))
}

fn own(c: &Connection) -> Result<(ReplicaId, Option<String>), Error> {
    let (id, node): (Vec<u8>, _) = c.query_row(
        "SELECT id, node FROM _lockstep_replica WHERE n = (SELECT v FROM _lockstep_meta WHERE k = 'own')",
        [],
        |r| Ok((r.get(0)?, r.get(1)?)),
    )?;
    Ok((ReplicaId(id.try_into().map_err(|_| damaged("a replica id"))?), node))
}

impl Database {
    /// The same, with random bits for the marks that it will write.
    #[must_use]
    pub fn with_chance(mut self, chance: [u8; 16]) -> Database {
        self.chance = chance;
        self
    }

    /// The latest mark of the file.
    pub fn mark(&self) -> Result<Mark, Error> {
        latest(&self.c)
    }

    /// The replica that the file is now.
    pub fn replica(&self) -> Result<ReplicaId, Error> {
        Ok(own(&self.c)?.0)
    }

    /// Has the file gone on from a mark that was once its latest? A mark older than those it keeps is believed.
    pub fn continues(&self, from: Mark) -> Result<Continuity, Error> {
        let known: Option<Vec<u8>> = self
            .c
            .prepare_cached("SELECT mark FROM _lockstep_mark WHERE n = ?1")?
            .query_row([from.seq], |r| r.get(0))
            .optional()?;
        let oldest: u64 = self.c.query_row("SELECT coalesce(min(n), 0) FROM _lockstep_mark", [], |r| r.get(0))?;
        Ok(match known {
            Some(mark) if mark == from.mark => Continuity::Continues,
            None if from.seq < oldest => Continuity::Continues,
            Some(_) | None => Continuity::Broken,
        })
    }

    /// Does a peer with these vectors know writes of this replica that the file itself has not? Then it has gone back.
    pub fn is_behind_itself(&self, theirs: &Vectors) -> Result<bool, Error> {
        let s = State::load(&self.c, &self.catalog)?;
        let own = s.replicas[s.own as usize];
        Ok(s.tables.iter().filter(|t| t.database.is_none()).any(|t| {
            let known = theirs.get(&t.name).and_then(|v| v.get(&own)).map_or(0, |seq| seq.0);
            known > t.vector.get(&s.own).copied().unwrap_or(0)
        }))
    }

    /// Begins a new incarnation: from now on this file writes as `new`. What it wrote as `old` stays what it is. Does
    /// nothing, and says false, where the file is not `old` any more.
    pub fn begin_incarnation(&mut self, old: ReplicaId, new: ReplicaId, now: Millis) -> Result<bool, Error> {
        // Before anything else is written, the audit and the logs included.
        self.write_unchecked(now, |txn| txn.begin_incarnation(old, new, None))
    }

    /// The same for a file of which another one may have gone on under the name `old`, too: what this one alone has written
    /// since they parted is written by `new`. `known`: by table, the highest of its own writes that others have as it has
    /// them, or that the other file has. What was written before the oldest mark that the file keeps is taken for known.
    pub fn begin_apart(
        &mut self,
        old: ReplicaId,
        new: ReplicaId,
        known: &BTreeMap<String, Seq>,
        now: Millis,
    ) -> Result<bool, Error> {
        self.write_unchecked(now, |txn| txn.begin_incarnation(old, new, Some(known)))
    }
}

impl Txn<'_> {
    fn begin_incarnation(
        &mut self,
        old: ReplicaId,
        new: ReplicaId,
        known: Option<&BTreeMap<String, Seq>>,
    ) -> Result<bool, Error> {
        let before = self.s.own;
        if self.s.replicas[before as usize] != old {
            return Ok(false);
        }
        let after = match known {
            Some(known) => self.parted_after(known)?,
            None => BTreeMap::new(),
        };
        for t in self.s.tables.iter().filter(|t| t.database.is_none()) {
            if let Some(seq) = t.vector.get(&before) {
                self.c.execute(
                    "INSERT OR REPLACE INTO _lockstep_past (t, r, seq) VALUES (?1, ?2, ?3)",
                    params![t.n, before, after.get(&t.n).unwrap_or(seq)],
                )?;
            }
        }
        // Other files have followed moves that this one knows nothing of: its next ones are numbered beyond those, and
        // all that refers to it is looked at again.
        self.c.execute(
            "INSERT INTO _lockstep_moved (n, t, b) SELECT coalesce(max(n), 0) + 1000000000, 0, 0 FROM _lockstep_moved",
            [],
        )?;
        self.s.become_replica(new);
        self.s.store(self.c)?;
        if !after.is_empty() {
            self.tick(self.now);
            let parting = Parting { old: before, new: self.s.own, after };
            self.part_own(&parting)?;
        }
        Ok(true)
    }

    fn part_own(&mut self, parting: &Parting) -> Result<(), Error> {
        for &t in parting.after.keys() {
            self.c.execute(
                "UPDATE _lockstep_past SET heir = ?3 WHERE t = ?1 AND r = ?2",
                params![t, parting.old, parting.new],
            )?;
        }
        let moved = self.part(parting)?;
        self.s.store(self.c)?;
        self.s.all_stored();
        // What the rows show has to be known before they are read.
        catch_up(self)?;
        self.take_anew(&moved)?;
        settle_after_harvest(self)
    }

    /// By table, the last of this file's own writes that others may know; those after it are its alone. Tables of which
    /// others may know every write are not in it.
    fn parted_after(&mut self, known: &BTreeMap<String, Seq>) -> Result<BTreeMap<u32, u64>, Error> {
        let (own, wrote) = self.s.written();
        let mut shared: BTreeMap<u32, u64> = BTreeMap::new();
        for (name, seq) in known {
            if let Some(t) = self.s.find_table(None, name) {
                shared.insert(t, seq.0);
            }
        }
        // What others had seen when they wrote.
        let contexts: Vec<(u32, u32)> = self
            .c
            .prepare("SELECT n, t FROM _lockstep_context")?
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (n, t) in contexts {
            let seen = self.s.seen(self.c, n)?;
            if let Some((_, seq)) = seen.iter().find(|(r, _)| *r == own) {
                let most = shared.entry(t).or_default();
                *most = (*most).max(*seq);
            }
        }
        let marks = own_marks(self.c, own)?;
        let holds = |list: &[(u32, u64)]| list.iter().any(|(t, first)| shared.get(t).is_some_and(|s| s >= first));
        // The mark at which they parted may stand for writes of before and after it: the copy may have been made of a file
        // whose logs were not read.
        let fork = marks.iter().rposition(|list| holds(list)).unwrap_or(0);
        let mut after = wrote.clone();
        for (t, first) in marks[fork..].iter().flatten() {
            let last = after.entry(*t).or_default();
            *last = (*last).min(first - 1);
        }
        for (t, seq) in &mut after {
            *seq = (*seq).max(shared.get(t).copied().unwrap_or(0));
        }
        after.retain(|t, seq| wrote.get(t).is_some_and(|last| *seq < *last));
        Ok(after)
    }
}

/// What was written at each mark that is kept of this incarnation, the oldest first: by table, the first seq.
fn own_marks(c: &Connection, own: u32) -> Result<Vec<Vec<(u32, u64)>>, Error> {
    let mut q = c.prepare("SELECT own FROM _lockstep_mark ORDER BY n DESC")?;
    let mut rows = q.query([])?;
    let mut marks = Vec::new();
    while let Some(r) = rows.next()? {
        let Some(bytes) = r.get::<_, Option<Vec<u8>>>(0)? else { break };
        let mut i = bytes.as_slice();
        if get(&mut i) != Some(u64::from(own)) {
            break;
        }
        let mut list = Vec::new();
        while !i.is_empty() {
            let (t, first) = get(&mut i).zip(get(&mut i)).ok_or_else(|| damaged("a mark"))?;
            list.push((u32::try_from(t).map_err(|_| damaged("a mark"))?, first));
        }
        marks.push(list);
    }
    marks.reverse();
    Ok(marks)
}

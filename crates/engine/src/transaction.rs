//! One transaction's view of a file: births loaded, changed in memory, and written back at its end.
//!
//! Always true here: nothing is written before [`Txn::store`], so that a plan can be made and thrown away. A birth's
//! cells are read before they are changed, and its hash and accounts are taken anew when it is stored. Not here: what
//! is written to the application's tables (`rows`), and what is one row (`class`).
mod decided;
mod dots;
pub(crate) mod future;
mod part;
mod prepared;
mod registers;
mod storing;
mod touched;

pub use decided::{Decided, DecidedKey};
pub use dots::{DotOf, decode_dot, encode_dot};
pub use future::Future;
pub use registers::{Clash, Later};
pub use touched::Touched;

use crate::catalog::{Affinity, Table, quote};
use crate::change::ConflictKind;
use crate::class::{Class, Edge, Few};
use crate::digest::Hash;
use crate::error::Error;
use crate::id::{Millis, ReplicaId, Stamp};
use crate::key::LocalKey;
use crate::map::Map;
use crate::reading::Reading;
use crate::record::{Cell, Col, Existence, LocalDot, Record, Register, Unshown, Write, decode_unshown, order};
use crate::sibling::Siblings;
use crate::store::{State, TableState, damaged};
use crate::value::Value;
use part::Part;
use prepared::Prepared;
pub use prepared::Use;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Body items of a row without a key hold the row as it is in the application's table, by place.
const LOCAL_ROW: u16 = 0x8000;
/// Body items that hold the author's value behind a stand-in.
const RAW: u16 = 0x4000;

/// How a class stands on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has a row.
    Shown,
    /// It lives and has no row: something is held.
    Waiting,
    /// It is deleted.
    Dead,
}

/// What was stored when the birth was loaded.
#[derive(Debug, Default)]
struct Before {
    in_db: bool,
    /// A row showed it.
    shown: bool,
    key: Option<LocalKey>,
    /// Its first write stood in it. It does not where that waits for its stamp, and something else is known of the birth.
    first: bool,
    /// The others.
    dots: Vec<LocalDot>,
    links: Vec<(Col, LocalDot)>,
    raws: bool,
    origin: Option<i64>,
    class: Option<(LocalDot, Option<LocalDot>)>,
}

impl Before {
    /// Was this write stored in the birth?
    fn holds(&self, birth: LocalDot, dot: LocalDot) -> bool {
        if dot == birth { self.first } else { self.dots.contains(&dot) }
    }
}

/// One birth, in memory.
#[derive(Debug)]
pub struct Birth {
    pub t: u32,
    pub b: LocalDot,
    pub rec: Record,
    /// Its class's row on this node, if that is anchored on this birth: as it is to be.
    pub key: Option<LocalKey>,
    /// The same, as the application's table has it now.
    pub row_key: Option<LocalKey>,
    /// The cells are read.
    pub read: bool,
    pub dirty: bool,
    /// Its row shows all that is stored of it, and was not read whole.
    plain: bool,
    /// What was read and written of it, if that is not all.
    part: Option<Part>,
    /// Free columns that were merged into it, and what its row shows there: the rest of its row stays as it is.
    pub edits: Few<(Col, Value)>,
    pub standing: Standing,
    /// Registers of its class that are held here, so that some of their values are not shown.
    pub held: Vec<Register>,
    /// The application's row under `row_key`, once it was read, until we write it.
    pub row: Option<(LocalKey, Rc<[Value]>)>,
    before: Before,
}

impl Birth {
    /// It was stored before this transaction.
    pub fn was_known(&self) -> bool {
        self.before.in_db
    }

    /// The leader of its class, as it was when the birth was loaded.
    pub fn leader_before(&self) -> LocalDot {
        self.before.class.map_or(self.b, |(leader, _)| leader)
    }

    /// The birth whose key the row has in which this one stands, as far as it is stored.
    pub fn stands_in(&self) -> Option<LocalDot> {
        if self.key.is_some() { Some(self.b) } else { self.before.class.and_then(|(_, anchor)| anchor) }
    }

    pub fn complete(&self) -> bool {
        self.rec.complete()
    }

    /// The rows that its references name.
    pub fn links_now(&self) -> Vec<(Col, LocalDot)> {
        links(&self.rec)
    }

    /// The rows that they named when the birth was loaded.
    pub fn links_before(&self) -> &[(Col, LocalDot)] {
        &self.before.links
    }
}

/// A value that went out of a register.
#[derive(Debug)]
pub struct Archived {
    pub t: u32,
    pub b: LocalDot,
    pub register: Register,
    pub write: Write,
    /// It lost a conflict; else it was replaced.
    pub lost: bool,
    pub by: LocalDot,
    pub cell: Option<Cell>,
}

/// A conflict record, new or arrived.
#[derive(Clone, Debug)]
pub struct Lost {
    pub dot: LocalDot,
    pub stamp: Stamp,
    pub loser_stamp: Stamp,
    pub value: Option<Cell>,
    pub winner: LocalDot,
    pub winner_stamp: Stamp,
    pub winner_value: Option<Cell>,
    pub kind: ConflictKind,
}

/// (table, birth, register number, loser's dot)
pub type LostKey = (u32, LocalDot, i64, LocalDot);

/// A register that refers to a row: (table, birth, column).
pub type Child = (u32, LocalDot, Col);

/// One held thing of a class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldRow {
    /// None: the whole row.
    pub register: Option<Register>,
    pub dot: Option<LocalDot>,
    pub reason: ConflictKind,
    /// What it waits for.
    pub waits: Option<(u32, LocalDot)>,
}

/// Counted for the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub conflicts: u64,
    /// Counted in a preview only.
    pub held: u64,
    pub id_moves: u64,
    /// Aliases and records that this node made.
    pub writes: u64,
}

/// A transaction under way.
pub struct Txn<'c> {
    pub c: &'c Connection,
    pub s: State,
    pub siblings: &'c Siblings,
    pub now: Millis,
    pub births: Vec<Birth>,
    index: Map<(u32, LocalDot), usize>,
    /// By (table, replica): the newest birth that is stored.
    newest: Map<(u32, u32), i64>,
    pub q: Prepared<'c>,
    pub edges: Map<(u32, LocalDot), Vec<Edge>>,
    /// Of births that have edges.
    pub classes: Map<(u32, LocalDot), Class>,
    /// Classes to plan anew, by any of their births.
    pub touched: Touched,
    /// Births of which only free columns were merged.
    pub edited: Vec<usize>,
    /// No row is read in part.
    pub rows_whole: bool,
    /// Where whole tables that are read are counted.
    pub reading: Option<&'c Reading>,
    free: Map<u32, Rc<[bool]>>,
    pub archive: Vec<Archived>,
    pub lost: BTreeMap<LostKey, Lost>,
    /// The writes that lost in this transaction.
    losers: BTreeSet<(u32, LocalDot)>,
    pub decided: BTreeMap<DecidedKey, Decided>,
    pub aside: crate::aside::Aside,
    pub new_edges: Vec<(u32, Edge)>,
    pub futures: Vec<Future>,
    pub due: Vec<(u32, LocalDot, i64)>,
    pub held: BTreeMap<(u32, LocalDot), Vec<HeldRow>>,
    dots: BTreeMap<(u32, LocalDot), DotOf>,
    /// Births whose key was set in this transaction.
    keyed: Map<(u32, LocalKey), Few<usize>>,
    /// The application's rows that have no key, as this transaction leaves them, by anchor.
    pub rows_now: Map<(u32, LocalDot), Rc<[Value]>>,
    pub ids: crate::ids::Ids,
    pub links_now: Map<(u32, LocalDot), Vec<Child>>,
    pub identity_now: BTreeMap<(u32, LocalDot), Option<i64>>,
    /// Values left of rows of other files: (table, value, where).
    pub left_behind: Vec<(u32, Value, Child)>,
    pub foreign_tables: Map<u32, Option<Rc<crate::sibling::ForeignTable>>>,
    /// Classes that could not be written as planned: they wait.
    pub poisoned: BTreeSet<(u32, LocalDot)>,
    /// By table and origin: stored births that were there before capture.
    pub origins: Map<u32, Map<i64, Vec<LocalDot>>>,
    pub planned_ids: Map<(u32, LocalDot), (i64, bool)>,
    pub unique_touched: BTreeSet<u32>,
    any_held: Option<bool>,
    any_future: Option<bool>,
    /// How far the other files' moves were followed.
    pub followed: Vec<(String, i64, i64)>,
    pub moved: BTreeSet<(u32, LocalDot)>,
    pub counts: BTreeMap<u32, Counts>,
    pub hash: Hash,
}

impl<'c> Txn<'c> {
    pub fn new(c: &'c Connection, s: State, siblings: &'c Siblings, now: Millis) -> Txn<'c> {
        let hash = Hash::new(s.digest_key);
        Txn {
            c,
            s,
            siblings,
            now,
            births: Vec::new(),
            index: Map::default(),
            newest: Map::default(),
            q: Prepared::new(c),
            edges: Map::default(),
            classes: Map::default(),
            touched: Touched::default(),
            edited: Vec::new(),
            rows_whole: false,
            reading: None,
            free: Map::default(),
            archive: Vec::new(),
            lost: BTreeMap::new(),
            losers: BTreeSet::new(),
            decided: BTreeMap::new(),
            aside: crate::aside::Aside::default(),
            new_edges: Vec::new(),
            futures: Vec::new(),
            due: Vec::new(),
            held: BTreeMap::new(),
            dots: BTreeMap::new(),
            keyed: Map::default(),
            rows_now: Map::default(),
            ids: crate::ids::Ids::default(),
            links_now: Map::default(),
            identity_now: BTreeMap::new(),
            left_behind: Vec::new(),
            foreign_tables: Map::default(),
            poisoned: BTreeSet::new(),
            origins: Map::default(),
            planned_ids: Map::default(),
            unique_touched: BTreeSet::new(),
            any_held: None,
            any_future: None,
            followed: Vec::new(),
            moved: BTreeSet::new(),
            counts: BTreeMap::new(),
            hash,
        }
    }

    // ---- clocks and dots

    /// The stamp of a write made here at `at`.
    pub fn tick(&mut self, at: Millis) -> Stamp {
        self.s.clock = self.s.clock.next(at);
        self.s.touch_meta();
        self.s.clock
    }

    pub fn new_dot(&mut self, t: u32, at: Millis) -> (LocalDot, Stamp) {
        let own = self.s.own;
        let seq = self.s.t(t).vector.get(&own).copied().unwrap_or(0) + 1;
        self.s.t_mut(t).vector.insert(own, seq);
        self.s.moved = true;
        (LocalDot::new(own, seq), self.tick(at))
    }

    pub fn id_of(&self, d: LocalDot) -> (ReplicaId, u64) {
        (self.s.replicas[d.replica() as usize], d.seq())
    }

    pub fn order(&self, a: &Write, b: &Write) -> Ordering {
        order(a, b, &self.s.replicas)
    }

    /// Had the author of `w` seen `dot` in this register?
    pub fn saw(&mut self, w: &Write, register: Register, dot: LocalDot) -> Result<bool, Error> {
        if !w.unseen.is_empty() && w.unseen.contains(&(register, dot)) {
            return Ok(false);
        }
        if dot.replica() == w.dot.replica() {
            return Ok(dot.seq() < w.dot.seq());
        }
        let seen = self.s.seen(self.c, w.context)?;
        Ok(seen.binary_search_by_key(&dot.replica(), |(r, _)| *r).is_ok_and(|i| seen[i].1 >= dot.seq()))
    }

    // ---- births

    pub fn find(&mut self, t: u32, b: LocalDot) -> Result<Option<usize>, Error> {
        if let Some(&i) = self.index.get(&(t, b)) {
            return Ok(Some(i));
        }
        if self.s.t(t).new {
            return Ok(None);
        }
        if b.0 > self.newest_birth(t, b.replica())? {
            return Ok(None);
        }
        let q = self.q.get(Use::FindBirth, t, || format!("SELECT k, rec FROM _lockstep_row_{t} WHERE b = ?1"))?;
        let row: Option<(Option<LocalKey>, Vec<u8>)> = q.query_row([b.0], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
        let Some((key, rec)) = row else { return Ok(None) };
        let rec = Record::decode(&rec).ok_or_else(|| damaged(format!("record {} of table {t}", b.0)))?;
        Ok(Some(self.enter(t, b, rec, key)?))
    }

    /// The newest stored birth of a replica: what is newer need not be looked for.
    fn newest_birth(&mut self, t: u32, replica: u32) -> Result<i64, Error> {
        if let Some(b) = self.newest.get(&(t, replica)) {
            return Ok(*b);
        }
        let sql = format!("SELECT coalesce(max(b), 0) FROM _lockstep_row_{t} WHERE b BETWEEN ?1 AND ?2");
        let b = self
            .c
            .prepare_cached(&sql)?
            .query_row([LocalDot::first(replica).0, LocalDot::last(replica).0], |r| r.get(0))?;
        self.newest.insert((t, replica), b);
        Ok(b)
    }

    /// The birth, if it is in memory.
    pub fn find_loaded(&self, t: u32, b: LocalDot) -> Option<usize> {
        self.index.get(&(t, b)).copied()
    }

    /// Takes a stored record into memory.
    pub fn enter(&mut self, t: u32, b: LocalDot, mut rec: Record, key: Option<LocalKey>) -> Result<usize, Error> {
        let class = if rec.linked {
            self.c
                .prepare_cached("SELECT leader, anchor FROM _lockstep_class WHERE t = ?1 AND b = ?2")?
                .query_row(params![t, b.0], |r| Ok((LocalDot(r.get(0)?), r.get::<_, Option<i64>>(1)?.map(LocalDot))))
                .optional()?
        } else {
            None
        };
        let shown = key.is_some() || class.is_some_and(|(_, anchor)| anchor.is_some());
        let lives = self.rec_lives(&rec);
        let held = if rec.held { self.stored_held(t, b)? } else { Vec::new() };
        // A dead birth of a row that is shown: either the row is shown though dead, and its delete held, or other
        // births of it live.
        let kept = held.contains(&Register::Existence);
        let before = Before {
            in_db: true,
            shown,
            key: key.clone(),
            first: rec.entries.iter().any(|e| e.write.dot == b),
            dots: rec.entries.iter().map(|e| e.write.dot).filter(|d| *d != b).collect(),
            links: links(&rec),
            raws: rec.entries.iter().any(|e| e.fields.iter().any(|f| matches!(f.cell, Cell::Raw(_)))),
            origin: rec.copied_origin(),
            class,
        };
        let standing = match (shown, lives) {
            (true, true) => Standing::Shown,
            (true, false) if kept => Standing::Shown,
            (false, true) => Standing::Waiting,
            (true | false, false) => Standing::Dead,
        };
        let mut plain = !self.rows_whole
            && !rec.unshown
            && class.is_none()
            && key.as_ref().is_some_and(|k| !k.is_content())
            && !before.raws;
        if plain {
            // Nothing of it lies elsewhere: the row shows all that it has a column for.
            let place = &self.s.t(t).place;
            for e in &mut rec.entries {
                plain &= !e.is_tombstone();
                for f in &mut e.fields {
                    f.shown = place[usize::from(f.col.0)].is_some();
                    plain &= f.shown;
                }
            }
        }
        let i = self.births.len();
        self.births.push(Birth {
            t,
            b,
            rec,
            row_key: key.clone(),
            key,
            read: false,
            dirty: false,
            plain,
            part: None,
            edits: Few::new(),
            standing,
            held,
            row: None,
            before,
        });
        self.index.insert((t, b), i);
        if class.is_some() {
            self.read_unshown(i)?;
        }
        Ok(i)
    }

    fn stored_held(&self, t: u32, b: LocalDot) -> Result<Vec<Register>, Error> {
        let mut q = self.c.prepare_cached(
            "SELECT DISTINCT col FROM _lockstep_held WHERE t = ?1 AND b = ?2 AND col IS NOT NULL AND col >= -1",
        )?;
        let held = q.query_map(params![t, b.0], |r| Ok(Register::from_number(r.get(0)?)))?;
        Ok(held.collect::<Result<_, _>>()?)
    }

    /// The birth, or an empty one not yet stored.
    pub fn find_or_new(&mut self, t: u32, b: LocalDot) -> Result<usize, Error> {
        if let Some(i) = self.find(t, b)? {
            return Ok(i);
        }
        Ok(self.push_new(t, b))
    }

    /// A birth that is known to be new.
    pub fn push_new(&mut self, t: u32, b: LocalDot) -> usize {
        let i = self.births.len();
        self.births.push(Birth {
            t,
            b,
            rec: Record::default(),
            key: None,
            row_key: None,
            read: true,
            dirty: true,
            plain: false,
            part: None,
            edits: Few::new(),
            standing: Standing::Waiting,
            held: Vec::new(),
            row: None,
            before: Before::default(),
        });
        self.index.insert((t, b), i);
        i
    }

    /// Births of this transaction with a row under this key, and those stored.
    pub fn by_key(&mut self, t: u32, key: &LocalKey) -> Result<Option<usize>, Error> {
        Ok(self.all_by_key(t, key)?.first().copied())
    }

    pub fn all_by_key(&mut self, t: u32, key: &LocalKey) -> Result<Vec<usize>, Error> {
        // An id that was never used here has no birth.
        let unused = match key.id() {
            Some(id) => id > 0 && !self.was_used(t, id)?,
            None => false,
        };
        let stored: Vec<(i64, Vec<u8>)> = if unused || self.s.t(t).new {
            Vec::new()
        } else {
            // The first term serves the partial index; after it SQLite need not look at the value to choose the index,
            // which would make it prepare the statement anew for every other value.
            let q = self.q.get(Use::FindKey, t, || {
                format!("SELECT b, rec FROM _lockstep_row_{t} WHERE k IS NOT NULL AND k = ?1 ORDER BY b")
            })?;
            q.query_map([key], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?
        };
        let mut found = Vec::new();
        for (b, rec) in stored {
            let b = LocalDot(b);
            match self.find_loaded(t, b) {
                Some(i) if self.births[i].key.as_ref() == Some(key) => found.push(i),
                Some(_) => {}
                None => {
                    let rec = Record::decode(&rec).ok_or_else(|| damaged(format!("record {} of table {t}", b.0)))?;
                    found.push(self.enter(t, b, rec, Some(key.clone()))?);
                }
            }
        }
        if let Some(more) = self.keyed.get(&(t, key.clone())) {
            for &i in more {
                if self.births[i].key.as_ref() == Some(key) && !found.contains(&i) {
                    found.push(i);
                }
            }
        }
        Ok(found)
    }

    /// Gives a birth its row's key here, or takes it away.
    pub fn set_key(&mut self, i: usize, key: Option<LocalKey>) {
        if self.births[i].key == key {
            return;
        }
        if let Some(k) = &key {
            self.keyed.entry((self.births[i].t, k.clone())).or_default().push(i);
        }
        self.births[i].key = key;
        self.births[i].dirty = true;
        // To what is new here as all its births are, nothing refers yet.
        if self.births[i].was_known() || self.births[i].rec.linked {
            let at = (self.births[i].t, self.births[i].b);
            self.moved.insert(at);
        }
    }

    /// Gives memory back: what was changed is stored, what was read can be read again.
    pub fn forget(&mut self) {
        self.births.clear();
        self.index.clear();
        self.newest.clear();
        self.classes.clear();
        self.edges.clear();
        self.keyed.clear();
        self.touched.clear();
        self.edited.clear();
        self.free.clear();
        self.links_now.clear();
        self.rows_now.clear();
        self.origins.clear();
        self.planned_ids.clear();
        self.unique_touched.clear();
        self.counts.clear();
        self.any_held = None;
        self.any_future = None;
        self.aside.forget();
    }

    // ---- liveness (merge-rules 8)

    pub fn rec_lives(&self, rec: &Record) -> bool {
        let mut existence: Option<(&Write, bool)> = None;
        for e in &rec.entries {
            if let Some(x) = &e.existence
                && existence.is_none_or(|(w, _)| self.order(&e.write, w) == Ordering::Greater)
            {
                existence = Some((&e.write, *x == Existence::Lives));
            }
        }
        match existence {
            None => false,
            Some((_, true)) => true,
            Some((grave, false)) => {
                rec.entries.iter().any(|e| !e.fields.is_empty() && self.order(&e.write, grave) == Ordering::Greater)
            }
        }
    }

    pub fn lives(&self, i: usize) -> bool {
        self.rec_lives(&self.births[i].rec)
    }

    // ---- values

    /// The application's row under a key that is no content key.
    pub fn row(&mut self, t: u32, key: &LocalKey) -> Result<Option<Rc<[Value]>>, Error> {
        let n = self.s.t(t).col_at.len();
        self.with_row(t, key, |r| (0..n).map(|i| Ok(Value::from(r.get_ref(i)?))).collect())
    }

    /// The same, looked at where SQLite has it.
    fn with_row<T>(
        &mut self,
        t: u32,
        key: &LocalKey,
        f: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        let TableState { table, .. } = self.s.t(t);
        // A table that is gone, perhaps for as long as a migration takes, shows nothing.
        let Some(table) = table.as_ref() else { return Ok(None) };
        let q = self.q.get(Use::Row, t, || select_row(table))?;
        if let Some(id) = key.id() {
            return Ok(q.query_row([id], f).optional()?);
        }
        let Some(values) = key.values() else { return Ok(None) };
        Ok(q.query_row(params_from_iter(values), f).optional()?)
    }

    /// Did a row of a table that is gone hold its values?
    pub fn is_lost(&self, i: usize) -> bool {
        let birth = &self.births[i];
        birth.before.shown && self.s.t(birth.t).table.is_none()
    }

    /// Gives up what a table that is gone for good held here: its rows are known to have been, and no more.
    pub fn give_up(&mut self, t: u32) -> Result<(), Error> {
        let births: Vec<(i64, Vec<u8>)> = self
            .c
            .prepare(&format!("SELECT b, rec FROM _lockstep_row_{t} WHERE k IS NOT NULL"))?
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (b, _) in births {
            let Some(i) = self.find(t, LocalDot(b))? else { continue };
            let class = self.class(t, LocalDot(b))?;
            for m in self.members(&class)? {
                let body = if self.births[m].rec.unshown { self.body_of(m)? } else { Vec::new() };
                self.fill(m, &body, None);
                let mut n = 0;
                for e in &mut self.births[m].rec.entries {
                    let before = e.fields.len();
                    e.fields.retain(|f| body.iter().any(|(c, d, _)| *c == f.col && *d == e.write.dot));
                    n += (before - e.fields.len()) as i64;
                }
                self.births[m].rec.entries.retain(|e| !e.is_empty());
                self.births[m].before.shown = false;
                self.births[m].standing = Standing::Waiting;
                self.births[m].dirty = true;
                self.s.t_mut(t).accounts[crate::store::SUPERSEDED] += n;
            }
            self.births[i].row_key = None;
            self.set_key(i, None);
        }
        Ok(())
    }

    fn body(&self, t: u32, b: LocalDot) -> Result<Vec<Unshown>, Error> {
        let sql = format!("SELECT body FROM _lockstep_unshown_{t} WHERE b = ?1");
        let bytes: Option<Vec<u8>> = self.c.prepare_cached(&sql)?.query_row([b.0], |r| r.get(0)).optional()?;
        decode_unshown(&bytes.unwrap_or_default())
            .ok_or_else(|| damaged(format!("unshown values of {} in table {t}", b.0)))
    }

    /// The application's row of a birth that is an anchor, as it was when the transaction began.
    pub fn stored_row(&mut self, i: usize) -> Result<Option<Rc<[Value]>>, Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let Some(key) = self.births[i].row_key.clone() else { return Ok(None) };
        if !key.is_content() {
            if let Some((k, row)) = &self.births[i].row
                && *k == key
            {
                return Ok(Some(row.clone()));
            }
            let row = self.row(t, &key)?;
            self.births[i].row = row.clone().map(|row| (key, row));
            return Ok(row);
        }
        if let Some(row) = self.rows_now.get(&(t, b)) {
            return Ok(Some(row.clone()));
        }
        let mut row: Vec<Value> =
            self.body(t, b)?.into_iter().filter(|(c, _, _)| c.0 & LOCAL_ROW != 0).map(|(_, _, v)| v).collect();
        // A column that came later had nothing then.
        row.resize(self.s.t(t).col_at.len().max(row.len()), Value::Null);
        Ok(Some(row.into()))
    }

    /// Fills the cells of a birth from its row and its unshown body.
    pub fn read(&mut self, i: usize) -> Result<(), Error> {
        if self.births[i].read {
            return Ok(());
        }
        let (t, b) = (self.births[i].t, self.births[i].b);
        let body = if self.births[i].rec.unshown { self.body(t, b)? } else { Vec::new() };
        let anchor = match (&self.births[i].row_key, self.births[i].before.class) {
            (Some(_), _) => Some(i),
            (None, Some((_, Some(a)))) if a != b => self.find(t, a)?,
            (None, _) => None,
        };
        let row = match anchor {
            Some(a) => self.stored_row(a)?,
            None => None,
        };
        self.fill(i, &body, row.as_deref());
        Ok(())
    }

    /// Fills just the cells that the row does not show, and says which those are: the row itself may be newer than what
    /// is known of it.
    pub fn read_unshown(&mut self, i: usize) -> Result<(), Error> {
        if self.births[i].read {
            return Ok(());
        }
        let body = if self.births[i].rec.unshown { self.body(self.births[i].t, self.births[i].b)? } else { Vec::new() };
        let birth = &mut self.births[i];
        let has_row = birth.standing == Standing::Shown;
        for e in &mut birth.rec.entries {
            let stored = birth.before.holds(birth.b, e.write.dot);
            for f in &mut e.fields {
                if !stored && f.cell != Cell::Unread {
                    continue;
                }
                let kept = body.iter().find(|(c, d, _)| *c == f.col && *d == e.write.dot).map(|(_, _, v)| v.clone());
                f.shown = has_row && kept.is_none();
                match (&mut f.cell, kept) {
                    (cell @ Cell::Unread, Some(v)) => *cell = Cell::Value(v),
                    (Cell::Raw(raw), Some(v)) => *raw = v,
                    (Cell::Unread | Cell::Raw(_), None) | (Cell::Value(_) | Cell::Row(_), _) => {}
                }
            }
        }
        Ok(())
    }

    /// The same, with the row at hand.
    pub fn fill(&mut self, i: usize, body: &[Unshown], row: Option<&[Value]>) {
        let birth = &mut self.births[i];
        let places = &self.s.tables[birth.t as usize - 1].place;
        for e in &mut birth.rec.entries {
            let stored = birth.before.holds(birth.b, e.write.dot);
            for f in &mut e.fields {
                if !stored && f.cell != Cell::Unread {
                    // It was merged since, and is not shown yet.
                    continue;
                }
                let kept =
                    |c: u16| body.iter().find(|(bc, d, _)| bc.0 == c && *d == e.write.dot).map(|(_, _, v)| v.clone());
                let shown = row.and_then(|r| places.get(usize::from(f.col.0)).copied().flatten().map(|p| r[p].clone()));
                let value = match kept(f.col.0) {
                    Some(v) => {
                        f.shown = false;
                        v
                    }
                    None => {
                        f.shown = shown.is_some();
                        kept(f.col.0 | RAW).or(shown).unwrap_or_default()
                    }
                };
                match &mut f.cell {
                    Cell::Unread => f.cell = Cell::Value(value),
                    Cell::Raw(v) => *v = value,
                    Cell::Value(_) | Cell::Row(_) => {}
                }
            }
        }
        birth.read = true;
        birth.plain = false;
        birth.part = None;
    }
}

fn links(rec: &Record) -> Vec<(Col, LocalDot)> {
    rec.entries
        .iter()
        .flat_map(|e| e.fields.iter())
        .filter_map(|f| if let Cell::Row(b) = f.cell { Some((f.col, b)) } else { None })
        .collect()
}

fn select_row(table: &Table) -> String {
    let list = table.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(", ");
    format!("SELECT {list} FROM main.{} WHERE {}", quote(&table.name), locate(table, 0))
}

/// Finds a row by the values of its key, bit for bit: a key that only compares as equal (`bob` and `BOB`, `1` and `1.0`)
/// is another. Parameters count on from `by`.
pub fn locate(table: &Table, by: usize) -> String {
    let each: Vec<String> = table
        .key_places()
        .iter()
        .enumerate()
        .map(|(i, &p)| {
            let (column, n) = (&table.columns[p], by + i + 1);
            let name = quote(&column.name);
            let mut found = format!("{name} = ?{n}");
            if !column.collation.eq_ignore_ascii_case("BINARY") {
                found += &format!(" AND +{name} = ?{n} COLLATE BINARY");
            }
            if column.affinity() == Affinity::Blob {
                found += &format!(" AND typeof({name}) = typeof(?{n})");
            }
            found
        })
        .collect();
    each.join(" AND ")
}

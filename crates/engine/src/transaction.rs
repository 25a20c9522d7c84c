//! One transaction's view of a file: births loaded, changed in memory, and written back at its end.
//!
//! Always true here: nothing is written before [`Txn::store`], so that a plan can be made and thrown away. A birth's
//! cells are read before they are changed, and its hash and accounts are taken anew when it is stored. Not here: what
//! is written to the application's tables (`rows`), and what is one row (`class`).
use crate::catalog::{Key, Table, quote};
use crate::change::{AliasKind, ConflictKind};
use crate::class::{Class, Edge};
use crate::config::Policy;
use crate::digest::Hash;
use crate::error::Error;
use crate::id::{Millis, ReplicaId, Stamp};
use crate::key::LocalKey;
use crate::merge::{Fate, Keeps, Present, Verdict, judge};
use crate::record::{
    Cell, Col, Entry, Existence, Field, LocalDot, Record, Register, Unshown, Write, decode_unshown, encode_cell,
    encode_unshown, order,
};
use crate::sibling::Siblings;
use crate::store::{ARCHIVED, DELETED, HELD, SUPERSEDED, State, TOTAL, VISIBLE, damaged};
use crate::value::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    key: Option<LocalKey>,
    dots: Vec<LocalDot>,
    links: Vec<(Col, LocalDot)>,
    raws: bool,
    class: Option<(LocalDot, Option<LocalDot>)>,
    lives: bool,
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
    pub standing: Standing,
    /// Registers of its class that are held here, so that some of their values are not shown.
    pub held: Vec<Register>,
    before: Before,
}

impl Birth {
    pub fn complete(&self) -> bool {
        self.rec.complete()
    }
}

/// A value that went out of a register.
#[derive(Debug)]
pub struct Archived {
    t: u32,
    b: LocalDot,
    register: Register,
    write: Write,
    lost: bool,
    by: LocalDot,
    cell: Option<Cell>,
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

/// A write held for its stamp.
#[derive(Clone, Debug)]
pub struct Future {
    pub t: u32,
    pub b: LocalDot,
    pub write: Write,
    pub existence: Option<Existence>,
    pub fields: Vec<Field>,
    pub origin: Option<(Option<i64>, bool, Vec<Col>)>,
}

impl Future {
    fn encode(&self) -> Vec<u8> {
        let (origin, alone, awaits) = self.origin.clone().unwrap_or_default();
        let values: Vec<Unshown> = self
            .fields
            .iter()
            .filter_map(|f| match &f.cell {
                Cell::Value(v) | Cell::Raw(v) => Some((f.col, self.write.dot, v.clone())),
                Cell::Row(_) | Cell::Unread => None,
            })
            .collect();
        let entry = Entry { write: self.write.clone(), existence: self.existence.clone(), fields: self.fields.clone() };
        let rec =
            Record { origin, alone, awaits, held: self.origin.is_some(), entries: vec![entry], ..Record::default() }
                .encode();
        let mut o = Vec::new();
        crate::record::put(&mut o, rec.len() as u64);
        o.extend_from_slice(&rec);
        o.extend(encode_unshown(&values));
        o
    }

    /// None: not such bytes.
    pub fn decode(t: u32, b: LocalDot, mut bytes: &[u8]) -> Option<Future> {
        let n = usize::try_from(crate::record::get(&mut bytes)?).ok()?;
        let (rec, rest) = bytes.split_at_checked(n)?;
        let mut rec = Record::decode(rec)?;
        let values = decode_unshown(rest)?;
        let mut entry = rec.entries.pop()?;
        for f in &mut entry.fields {
            if let Some((_, _, v)) = values.iter().find(|(c, _, _)| *c == f.col) {
                f.cell = if matches!(f.cell, Cell::Raw(_)) { Cell::Raw(v.clone()) } else { Cell::Value(v.clone()) };
            }
        }
        let origin = rec.held.then_some((rec.origin, rec.alone, rec.awaits));
        Some(Future { t, b, write: entry.write, existence: entry.existence, fields: entry.fields, origin })
    }
}

/// What a dot that is no insert stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DotOf {
    /// Registers in these births.
    Births(Vec<LocalDot>),
    /// A conflict record.
    Conflict(LocalDot, i64, LocalDot),
    /// An alias.
    Alias(LocalDot, LocalDot, AliasKind),
    /// A write held for its stamp.
    Future,
}

/// Counted for the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub conflicts: u64,
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
    index: HashMap<(u32, LocalDot), usize>,
    pub edges: HashMap<(u32, LocalDot), Vec<Edge>>,
    pub classes: HashMap<(u32, LocalDot), Rc<Class>>,
    /// Classes to plan anew, by any of their births.
    pub touched: BTreeSet<(u32, LocalDot)>,
    pub archive: Vec<Archived>,
    pub lost: BTreeMap<LostKey, Lost>,
    pub new_edges: Vec<(u32, Edge)>,
    pub futures: Vec<Future>,
    pub due: Vec<(u32, LocalDot, i64)>,
    pub held: BTreeMap<(u32, LocalDot), Vec<HeldRow>>,
    dots: BTreeMap<(u32, LocalDot), DotOf>,
    /// Births whose key was set in this transaction.
    keyed: HashMap<(u32, LocalKey), Vec<usize>>,
    /// The application's rows that have no key, as this transaction leaves them, by anchor.
    pub rows_now: HashMap<(u32, LocalDot), Vec<Value>>,
    pub ids: crate::ids::Ids,
    pub links_now: HashMap<(u32, LocalDot), Vec<(u32, LocalDot, Col)>>,
    pub identity_now: BTreeMap<(u32, LocalDot), Option<i64>>,
    pub foreign_tables: HashMap<u32, Option<Rc<crate::sibling::ForeignTable>>>,
    /// Classes that could not be written as planned: they wait.
    pub poisoned: BTreeSet<(u32, LocalDot)>,
    pub planned_ids: HashMap<(u32, LocalDot), (i64, bool)>,
    pub unique_touched: BTreeSet<u32>,
    any_held: Option<bool>,
    any_future: Option<bool>,
    pub moved: BTreeSet<(u32, LocalDot)>,
    pub counts: BTreeMap<u32, Counts>,
    pub hash: Hash,
    pub guard: Millis,
    sql: HashMap<u32, Rc<Sql>>,
}

/// The statements of one application table.
#[derive(Debug)]
pub struct Sql {
    pub select: String,
}

/// A stamp this far ahead of the own clock waits.
pub const GUARD: Millis = Millis(10 * 60 * 1000);

impl<'c> Txn<'c> {
    pub fn new(c: &'c Connection, s: State, siblings: &'c Siblings, now: Millis) -> Txn<'c> {
        let hash = Hash::new(s.digest_key);
        Txn {
            c,
            s,
            siblings,
            now,
            births: Vec::new(),
            index: HashMap::new(),
            edges: HashMap::new(),
            classes: HashMap::new(),
            touched: BTreeSet::new(),
            archive: Vec::new(),
            lost: BTreeMap::new(),
            new_edges: Vec::new(),
            futures: Vec::new(),
            due: Vec::new(),
            held: BTreeMap::new(),
            dots: BTreeMap::new(),
            keyed: HashMap::new(),
            rows_now: HashMap::new(),
            ids: crate::ids::Ids::default(),
            links_now: HashMap::new(),
            identity_now: BTreeMap::new(),
            foreign_tables: HashMap::new(),
            poisoned: BTreeSet::new(),
            planned_ids: HashMap::new(),
            unique_touched: BTreeSet::new(),
            any_held: None,
            any_future: None,
            moved: BTreeSet::new(),
            counts: BTreeMap::new(),
            hash,
            guard: GUARD,
            sql: HashMap::new(),
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
        let sql = format!("SELECT k, rec FROM _lockstep_row_{t} WHERE b = ?1");
        let row: Option<(Option<LocalKey>, Vec<u8>)> =
            self.c.prepare_cached(&sql)?.query_row([b.0], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
        let Some((key, rec)) = row else { return Ok(None) };
        let rec = Record::decode(&rec).ok_or_else(|| damaged(format!("record {} of table {t}", b.0)))?;
        Ok(Some(self.enter(t, b, rec, key)?))
    }

    /// The birth, if it is in memory.
    pub fn find_loaded(&self, t: u32, b: LocalDot) -> Option<usize> {
        self.index.get(&(t, b)).copied()
    }

    /// Takes a stored record into memory.
    pub fn enter(&mut self, t: u32, b: LocalDot, rec: Record, key: Option<LocalKey>) -> Result<usize, Error> {
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
        let before = Before {
            in_db: true,
            key: key.clone(),
            dots: rec.entries.iter().map(|e| e.write.dot).filter(|d| *d != b).collect(),
            links: links(&rec),
            raws: rec.entries.iter().any(|e| e.fields.iter().any(|f| matches!(f.cell, Cell::Raw(_)))),
            class,
            lives,
        };
        let standing = match (shown, lives) {
            (true, _) => Standing::Shown,
            (false, true) => Standing::Waiting,
            (false, false) => Standing::Dead,
        };
        let held = if rec.held { self.stored_held(t, b)? } else { Vec::new() };
        let i = self.births.len();
        self.births.push(Birth {
            t,
            b,
            rec,
            row_key: key.clone(),
            key,
            read: false,
            dirty: false,
            standing,
            held,
            before,
        });
        self.index.insert((t, b), i);
        if class.is_some() {
            self.read(i)?;
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
            standing: Standing::Waiting,
            held: Vec::new(),
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
        let sql = format!("SELECT b FROM _lockstep_row_{t} WHERE k = ?1 ORDER BY b");
        let stored: Vec<i64> = if self.s.t(t).new {
            Vec::new()
        } else {
            self.c.prepare_cached(&sql)?.query_map([key], |r| r.get(0))?.collect::<Result<_, _>>()?
        };
        let mut found = Vec::new();
        for b in stored {
            if let Some(i) = self.find(t, LocalDot(b))?
                && self.births[i].key.as_ref() == Some(key)
            {
                found.push(i);
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
        let at = (self.births[i].t, self.births[i].b);
        self.moved.insert(at);
    }

    /// Gives the memory of births back that were only read.
    pub fn forget(&mut self) {
        self.births.clear();
        self.index.clear();
        self.classes.clear();
        self.edges.clear();
        self.keyed.clear();
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

    pub fn sql(&mut self, t: u32) -> Rc<Sql> {
        if let Some(s) = self.sql.get(&t) {
            return s.clone();
        }
        let table = self.s.t(t).table.clone().expect("only tables that are here are read");
        let s = Rc::new(Sql::of(&table));
        self.sql.insert(t, s.clone());
        s
    }

    /// The application's row under a key that is no content key.
    pub fn row(&mut self, t: u32, key: &LocalKey) -> Result<Option<Vec<Value>>, Error> {
        let Some(values) = key.values() else { return Ok(None) };
        let sql = self.sql(t);
        let n = self.s.t(t).col_at.len();
        let mut q = self.c.prepare_cached(&sql.select)?;
        let row = q.query_row(params_from_iter(values), |r| (0..n).map(|i| Ok(Value::from(r.get_ref(i)?))).collect());
        Ok(row.optional()?)
    }

    fn body(&self, t: u32, b: LocalDot) -> Result<Vec<Unshown>, Error> {
        let sql = format!("SELECT body FROM _lockstep_unshown_{t} WHERE b = ?1");
        let bytes: Option<Vec<u8>> = self.c.prepare_cached(&sql)?.query_row([b.0], |r| r.get(0)).optional()?;
        decode_unshown(&bytes.unwrap_or_default())
            .ok_or_else(|| damaged(format!("unshown values of {} in table {t}", b.0)))
    }

    /// The application's row of a birth that is an anchor, as it was when the transaction began.
    pub fn stored_row(&mut self, i: usize) -> Result<Option<Vec<Value>>, Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let Some(key) = self.births[i].row_key.clone() else { return Ok(None) };
        if !key.is_content() {
            return self.row(t, &key);
        }
        if let Some(row) = self.rows_now.get(&(t, b)) {
            return Ok(Some(row.clone()));
        }
        let row: Vec<Value> =
            self.body(t, b)?.into_iter().filter(|(c, _, _)| c.0 & LOCAL_ROW != 0).map(|(_, _, v)| v).collect();
        Ok(Some(row))
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

    /// The same, with the row at hand.
    pub fn fill(&mut self, i: usize, body: &[Unshown], row: Option<&[Value]>) {
        let birth = &mut self.births[i];
        let places = &self.s.tables[birth.t as usize - 1].place;
        for e in &mut birth.rec.entries {
            for f in &mut e.fields {
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
    }

    // ---- merging registers (merge-rules 7, 8)

    pub fn policy(&self, t: u32, col: Col) -> (Keeps, Option<&str>) {
        let Some(table) = &self.s.t(t).table else { return (Keeps::Newest, None) };
        let name = &self.s.t(t).cols[usize::from(col.0)];
        let p = table
            .config
            .columns
            .iter()
            .find(|(c, _)| c.eq_ignore_ascii_case(name))
            .map_or(&table.config.policy, |(_, p)| p);
        match p {
            Policy::Newest => (Keeps::Newest, None),
            Policy::Review => (Keeps::All, None),
            Policy::Prefer(node) => (Keeps::Preferred, Some(node)),
        }
    }

    fn preferred(&self, node: Option<&str>, w: &Write) -> bool {
        node.is_some() && self.s.nodes[w.dot.replica() as usize].as_deref() == node
    }

    fn account(&mut self, t: u32, account: usize, by: i64) {
        self.s.t_mut(t).accounts[account] += by;
    }

    /// Merges one write into one birth. Values must be read, unless the birth is new.
    pub fn merge(
        &mut self,
        i: usize,
        write: &Write,
        existence: Option<Existence>,
        fields: Vec<Field>,
    ) -> Result<(), Error> {
        let t = self.births[i].t;
        let b = self.births[i].b;
        let n = fields.len() as i64 + i64::from(existence.is_some());
        self.account(t, TOTAL, n);
        self.births[i].dirty = true;
        self.touched.insert((t, b));
        for f in &fields {
            if let Cell::Row(to) = f.cell {
                self.link_now(t, b, f.col, to);
            }
        }
        if self.births[i].rec.entries.is_empty() {
            self.births[i].rec.entries.push(Entry { write: write.clone(), existence, fields });
            return Ok(());
        }
        self.read(i)?;
        let mut kept = Entry { write: write.clone(), existence: None, fields: Vec::new() };
        if let Some(x) = existence {
            if self.merge_existence(i, write)? {
                kept.existence = Some(x);
            }
        }
        for f in fields {
            if self.merge_field(i, write, &f)? {
                kept.fields.push(f);
            }
        }
        let tombstone = kept.is_tombstone();
        let fields = !kept.fields.is_empty();
        if !kept.is_empty() {
            let entries = &mut self.births[i].rec.entries;
            match entries.iter_mut().find(|e| e.write.dot == write.dot) {
                Some(e) => {
                    e.existence = e.existence.take().or(kept.existence);
                    e.fields.extend(kept.fields);
                    e.fields.sort_by_key(|f| f.col);
                }
                None => entries.push(kept),
            }
        }
        self.births[i].rec.entries.retain(|e| !e.is_empty());
        if tombstone || fields {
            self.edit_against_delete(i, write)?;
        }
        Ok(())
    }

    fn merge_existence(&mut self, i: usize, write: &Write) -> Result<bool, Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let present: Vec<Write> =
            self.births[i].rec.entries.iter().filter(|e| e.existence.is_some()).map(|e| e.write.clone()).collect();
        let mut seen = Vec::new();
        for p in &present {
            if p.dot == write.dot || self.saw(p, Register::Existence, write.dot)? {
                self.account(t, SUPERSEDED, 1);
                return Ok(false);
            }
            if self.saw(write, Register::Existence, p.dot)? {
                seen.push(p.dot);
            }
        }
        for e in &mut self.births[i].rec.entries {
            if e.existence.is_some() && seen.contains(&e.write.dot) {
                e.existence = None;
            }
        }
        for w in present.into_iter().filter(|p| seen.contains(&p.dot)) {
            self.out_of_register(t, b, Register::Existence, w, None, false, write.dot);
        }
        Ok(true)
    }

    fn merge_field(&mut self, i: usize, write: &Write, f: &Field) -> Result<bool, Error> {
        let (t, b, register) = (self.births[i].t, self.births[i].b, Register::Column(f.col));
        let present: Vec<(Write, Field)> =
            self.births[i].rec.siblings(f.col).map(|(w, f)| (w.clone(), f.clone())).collect();
        if present.is_empty() {
            return Ok(true);
        }
        let (keeps, node) = self.policy(t, f.col);
        let node = node.map(str::to_owned);
        let mut facts = Vec::new();
        for (w, g) in &present {
            facts.push((
                self.saw(w, register, write.dot)?,
                self.saw(write, register, w.dot)?,
                g.cell == f.cell,
                self.preferred(node.as_deref(), w),
            ));
        }
        let view: Vec<Present<'_>> = present
            .iter()
            .zip(&facts)
            .map(|((write, _), &(saw_incoming, seen, equal, preferred))| Present {
                write,
                saw_incoming,
                seen,
                equal,
                preferred,
            })
            .collect();
        let mine = self.preferred(node.as_deref(), write);
        let verdict = judge(write.dot, write, mine, &view, keeps, |a, b| self.order(a, b));
        let (fates, winner) = match verdict {
            Verdict::Known => {
                self.account(t, TOTAL, -1);
                return Ok(false);
            }
            Verdict::Superseded => {
                self.account(t, SUPERSEDED, 1);
                return Ok(false);
            }
            Verdict::Kept(fates) => (fates, None),
            Verdict::Loses(w, fates) => (fates, Some(w)),
        };
        for ((w, g), fate) in present.iter().zip(&fates) {
            match fate {
                Fate::Stays => {}
                Fate::Superseded => {
                    self.take_out(i, f.col, w.dot);
                    self.out_of_register(t, b, register, w.clone(), Some(g.cell.clone()), false, write.dot);
                }
                Fate::Loses => {
                    self.take_out(i, f.col, w.dot);
                    self.record_loss(
                        t,
                        b,
                        register,
                        (w, Some(&g.cell)),
                        (write, Some(&f.cell)),
                        ConflictKind::UpdateUpdate,
                    )?;
                    self.out_of_register(t, b, register, w.clone(), Some(g.cell.clone()), true, write.dot);
                }
            }
        }
        if let Some(k) = winner {
            let (w, g) = &present[k];
            self.record_loss(t, b, register, (write, Some(&f.cell)), (w, Some(&g.cell)), ConflictKind::UpdateUpdate)?;
            self.out_of_register(t, b, register, write.clone(), Some(f.cell.clone()), true, w.dot);
            return Ok(false);
        }
        Ok(true)
    }

    pub fn take_out(&mut self, i: usize, col: Col, dot: LocalDot) {
        for e in &mut self.births[i].rec.entries {
            if e.write.dot == dot {
                e.fields.retain(|f| f.col != col);
            }
        }
    }

    /// A value leaves its register: to the archive (or it was never here, and only counts).
    pub fn out_of_register(
        &mut self,
        t: u32,
        b: LocalDot,
        register: Register,
        write: Write,
        cell: Option<Cell>,
        lost: bool,
        by: LocalDot,
    ) {
        self.account(t, if lost { ARCHIVED } else { SUPERSEDED }, 1);
        self.archive.push(Archived { t, b, register, write, lost, by, cell });
    }

    /// A tombstone and a column write that have not seen each other are a conflict; the earlier is the loser.
    fn edit_against_delete(&mut self, i: usize, write: &Write) -> Result<(), Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let (mut graves, mut edits) = (Vec::new(), Vec::new());
        for e in &self.births[i].rec.entries {
            let concerns = e.write.dot == write.dot;
            if e.is_tombstone() {
                graves.push((e.write.clone(), concerns));
            }
            for f in &e.fields {
                edits.push((e.write.clone(), f.clone(), concerns));
            }
        }
        for (g, g_new) in &graves {
            for (e, f, e_new) in &edits {
                let column = Register::Column(f.col);
                if !(*g_new || *e_new) || self.saw(g, column, e.dot)? || self.saw(e, Register::Existence, g.dot)? {
                    continue;
                }
                if self.order(e, g) == Ordering::Less {
                    self.record_loss(t, b, column, (e, Some(&f.cell)), (g, None), ConflictKind::DeleteUpdate)?;
                } else {
                    self.record_loss(
                        t,
                        b,
                        Register::Existence,
                        (g, None),
                        (e, Some(&f.cell)),
                        ConflictKind::UpdateDelete,
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Records a loser, unless it is on record. The record is a write of its own and travels.
    pub fn record_loss(
        &mut self,
        t: u32,
        b: LocalDot,
        register: Register,
        (loser, value): (&Write, Option<&Cell>),
        (winner, winner_value): (&Write, Option<&Cell>),
        kind: ConflictKind,
    ) -> Result<(), Error> {
        let key: LostKey = (t, b, register.number(), loser.dot);
        if self.known_loss(key)?.is_some() {
            return Ok(());
        }
        let (dot, stamp) = self.new_dot(t, self.now);
        let (loser_stamp, winner_stamp) = (loser.stamp, winner.stamp);
        let lost = Lost {
            dot,
            stamp,
            loser_stamp,
            value: value.cloned(),
            winner: winner.dot,
            winner_stamp,
            winner_value: winner_value.cloned(),
            kind,
        };
        self.lost.insert(key, lost);
        self.dots.insert((t, dot), DotOf::Conflict(b, register.number(), loser.dot));
        let n = self.counts.entry(t).or_default();
        n.conflicts += 1;
        n.writes += 1;
        Ok(())
    }

    /// The dot of a record of this loser.
    pub fn known_loss(&mut self, (t, b, r, loser): LostKey) -> Result<Option<LocalDot>, Error> {
        if let Some(l) = self.lost.get(&(t, b, r, loser)) {
            return Ok(Some(l.dot));
        }
        let d = self
            .c
            .prepare_cached("SELECT d FROM _lockstep_conflict WHERE t = ?1 AND b = ?2 AND col = ?3 AND loser = ?4")?
            .query_row(params![t, b.0, r, loser.0], |r| r.get(0))
            .optional()?;
        Ok(d.map(LocalDot))
    }

    /// A record that arrived: the same loser folds, the smallest dot stays.
    pub fn merge_loss(&mut self, key: LostKey, lost: Lost) -> Result<(), Error> {
        let (t, b, r, loser) = key;
        if let Some(old) = self.known_loss(key)? {
            if self.id_of(old) <= self.id_of(lost.dot) {
                return Ok(());
            }
            self.dots.insert((t, old), DotOf::Births(Vec::new()));
        }
        self.dots.insert((t, lost.dot), DotOf::Conflict(b, r, loser));
        self.lost.insert(key, lost);
        Ok(())
    }

    /// A dot of this transaction that stands for an alias or a future write.
    pub fn set_dot(&mut self, t: u32, d: LocalDot, of: DotOf) {
        self.dots.insert((t, d), of);
    }

    // ---- writing back

    /// Its part of the digest.
    pub fn hash_of(&self, i: usize) -> u128 {
        let birth = &self.births[i];
        if !self.lives(i) {
            return 0;
        }
        let cols = &self.s.t(birth.t).cols;
        let mut sum = self.hash.lives(birth.b, &self.s.replicas);
        for e in &birth.rec.entries {
            for f in &e.fields {
                sum =
                    sum.wrapping_add(self.hash.field(birth.b, &cols[usize::from(f.col.0)], &f.cell, &self.s.replicas));
            }
        }
        sum
    }

    /// (visible, lost inside its class, deleted, held)
    pub fn accounts_of(&self, i: usize) -> [u32; 4] {
        let birth = &self.births[i];
        let mut a = [0u32; 4];
        for e in &birth.rec.entries {
            for f in &e.fields {
                let held = birth.held.contains(&Register::Column(f.col));
                a[match birth.standing {
                    Standing::Dead => 2,
                    Standing::Waiting => 3,
                    Standing::Shown if f.shown => 0,
                    Standing::Shown if held => 3,
                    Standing::Shown => 1,
                }] += 1;
            }
            match (&e.existence, birth.standing) {
                (None, _) => {}
                (Some(Existence::Deleted(_)), Standing::Shown) => a[3] += 1,
                (Some(Existence::Deleted(_)), _) | (Some(Existence::Lives), Standing::Dead) => a[2] += 1,
                (Some(Existence::Lives), Standing::Shown) => a[0] += 1,
                (Some(Existence::Lives), Standing::Waiting) => a[3] += 1,
            }
        }
        a
    }

    /// Writes everything back. The caller has planned the rows and written them.
    pub fn store(&mut self) -> Result<(), Error> {
        let dirty: Vec<usize> = (0..self.births.len()).filter(|&i| self.births[i].dirty).collect();
        // Tables, columns and replicas first: what follows names their numbers.
        self.s.store(self.c)?;
        for i in dirty {
            self.store_birth(i)?;
        }
        self.store_edges()?;
        self.store_lost()?;
        self.store_archive()?;
        self.store_held()?;
        self.store_futures()?;
        for ((t, d), of) in std::mem::take(&mut self.dots) {
            store_dot(self.c, t, d, &of)?;
        }
        self.store_identity()?;
        self.store_ids()?;
        for (t, b) in std::mem::take(&mut self.moved) {
            // Rows of other files that refer to it have to follow; what is new here, nothing refers to yet.
            let known = self.index.get(&(t, b)).is_some_and(|&i| self.births[i].before.key.is_some());
            if !known {
                continue;
            }
            self.c.prepare_cached("INSERT INTO _lockstep_moved (t, b) VALUES (?1, ?2)")?.execute(params![t, b.0])?;
        }
        self.s.store(self.c)
    }

    fn store_birth(&mut self, i: usize) -> Result<(), Error> {
        self.read(i)?;
        let lives = self.lives(i);
        let (hash, accounts) = (self.hash_of(i), self.accounts_of(i));
        let (t, b) = (self.births[i].t, self.births[i].b);
        let class = if self.births[i].rec.linked { Some(self.class(t, b)?) } else { None };
        let anchor = match &class {
            Some(c) => self.anchors(&c.clone())?.first().map(|&a| self.births[a].b),
            None => None,
        };
        {
            let birth = &self.births[i];
            let s = self.s.t_mut(t);
            s.digest = s.digest.wrapping_sub(birth.rec.hash).wrapping_add(hash);
            s.rows += i64::from(lives) - i64::from(birth.before.in_db && birth.before.lives);
            for (k, account) in [VISIBLE, ARCHIVED, DELETED, HELD].into_iter().enumerate() {
                s.accounts[account] += i64::from(accounts[k]) - i64::from(birth.rec.accounts[k]);
            }
        }
        let row = match (&self.births[i].key, self.births[i].dirty) {
            (Some(k), true) if k.is_content() => self.rows_now.get(&(t, b)).cloned(),
            _ => None,
        };
        let body = unshown_body(&self.births[i], self.s.own, row.as_deref());
        let birth = &mut self.births[i];
        birth.rec.hash = hash;
        birth.rec.accounts = accounts;
        let had_body = birth.rec.unshown;
        birth.rec.unshown = !body.is_empty();
        let bytes = birth.rec.encode();
        let c = self.c;
        if birth.before.in_db {
            if birth.before.key == birth.key {
                let sql = format!("UPDATE _lockstep_row_{t} SET rec = ?2 WHERE b = ?1");
                c.prepare_cached(&sql)?.execute(params![b.0, bytes])?;
            } else {
                let sql = format!("UPDATE _lockstep_row_{t} SET k = ?2, rec = ?3 WHERE b = ?1");
                c.prepare_cached(&sql)?.execute(params![b.0, birth.key, bytes])?;
            }
        } else {
            let sql = format!("INSERT INTO _lockstep_row_{t} (b, k, rec) VALUES (?1, ?2, ?3)");
            c.prepare_cached(&sql)?.execute(params![b.0, birth.key, bytes])?;
        }
        if !body.is_empty() {
            let sql = format!("INSERT OR REPLACE INTO _lockstep_unshown_{t} (b, body) VALUES (?1, ?2)");
            c.prepare_cached(&sql)?.execute(params![b.0, encode_unshown(&body)])?;
        } else if had_body {
            let sql = format!("DELETE FROM _lockstep_unshown_{t} WHERE b = ?1");
            c.prepare_cached(&sql)?.execute([b.0])?;
        }
        if let Some(class) = class {
            let now = (class.leader, anchor);
            if birth.before.class != Some(now) {
                c.prepare_cached(
                    "INSERT OR REPLACE INTO _lockstep_class (t, b, leader, anchor) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![t, b.0, now.0.0, now.1.map(|a| a.0)])?;
            }
        }
        self.store_dots_of(i);
        self.store_links_of(i)
    }

    /// Which dots went out of the record, and which came in.
    fn store_dots_of(&mut self, i: usize) {
        let birth = &self.births[i];
        let (t, b) = (birth.t, birth.b);
        let now: Vec<LocalDot> = birth.rec.entries.iter().map(|e| e.write.dot).filter(|d| *d != b).collect();
        let gone: Vec<LocalDot> = birth.before.dots.iter().copied().filter(|d| !now.contains(d)).collect();
        let come: Vec<LocalDot> = now.into_iter().filter(|d| !birth.before.dots.contains(d)).collect();
        for d in gone {
            if let Some(list) = self.dot_births(t, d) {
                list.retain(|x| *x != b);
            }
        }
        for d in come {
            if let Some(list) = self.dot_births(t, d) {
                list.push(b);
                list.sort_unstable();
                list.dedup();
            }
        }
    }

    fn dot_births(&mut self, t: u32, d: LocalDot) -> Option<&mut Vec<LocalDot>> {
        let c = self.c;
        let of = self.dots.entry((t, d)).or_insert_with(|| {
            // A dot of this transaction is not stored yet; an old one may stand for several births.
            load_dot(c, t, d).ok().flatten().unwrap_or(DotOf::Births(Vec::new()))
        });
        match of {
            DotOf::Births(list) => Some(list),
            DotOf::Conflict(..) | DotOf::Alias(..) | DotOf::Future => None,
        }
    }

    fn store_links_of(&mut self, i: usize) -> Result<(), Error> {
        let birth = &self.births[i];
        let (t, b) = (birth.t, birth.b);
        let now = links(&birth.rec);
        let target = |col: Col| self.s.t(t).refs.get(&col).map(|(n, _)| *n);
        for (col, to) in birth.before.links.iter().filter(|l| !now.contains(l)) {
            if let Some(pt) = target(*col) {
                self.c
                    .prepare_cached(
                        "DELETE FROM _lockstep_link WHERE pt = ?1 AND p = ?2 AND ct = ?3 AND c = ?4 AND col = ?5",
                    )?
                    .execute(params![pt, to.0, t, b.0, col.0])?;
            }
        }
        for (col, to) in now.iter().filter(|l| !birth.before.links.contains(l)) {
            if let Some(pt) = target(*col) {
                self.c
                    .prepare_cached(
                        "INSERT OR IGNORE INTO _lockstep_link (pt, p, ct, c, col) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![pt, to.0, t, b.0, col.0])?;
            }
        }
        let raws: Vec<(Col, Value)> = birth
            .rec
            .entries
            .iter()
            .filter(|e| e.write.dot.replica() == self.s.own)
            .flat_map(|e| e.fields.iter())
            .filter_map(|f| if let Cell::Raw(v) = &f.cell { Some((f.col, v.clone())) } else { None })
            .collect();
        if birth.before.raws {
            self.c.prepare_cached("DELETE FROM _lockstep_raw WHERE ct = ?1 AND c = ?2")?.execute(params![t, b.0])?;
        }
        for (col, v) in raws {
            if let Some(pt) = target(col) {
                self.c
                    .prepare_cached(
                        "INSERT OR IGNORE INTO _lockstep_raw (pt, value, ct, c, col) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![pt, v, t, b.0, col.0])?;
            }
        }
        Ok(())
    }

    fn store_edges(&mut self) -> Result<(), Error> {
        for (t, e) in std::mem::take(&mut self.new_edges) {
            self.c
                .prepare_cached(
                    "INSERT OR REPLACE INTO _lockstep_alias (t, a, b, kind, d, stamp) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![t, e.a.0, e.b.0, e.kind as u8, e.dot.0, e.stamp.0])?;
        }
        Ok(())
    }

    fn store_lost(&mut self) -> Result<(), Error> {
        for ((t, b, r, loser), l) in std::mem::take(&mut self.lost) {
            let cell = |c: &Option<Cell>| {
                c.as_ref().map(|c| {
                    let mut o = Vec::new();
                    encode_cell(c, &mut o);
                    o
                })
            };
            self.c
                .prepare_cached(
                    "INSERT OR REPLACE INTO _lockstep_conflict
                     (t, b, col, loser, d, stamp, loser_stamp, value, winner, winner_stamp, winner_value, kind, at, reviewed)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
                       (SELECT reviewed FROM _lockstep_conflict WHERE t = ?1 AND b = ?2 AND col = ?3 AND loser = ?4))",
                )?
                .execute(params![
                    t,
                    b.0,
                    r,
                    loser.0,
                    l.dot.0,
                    l.stamp.0,
                    l.loser_stamp.0,
                    cell(&l.value),
                    l.winner.0,
                    l.winner_stamp.0,
                    cell(&l.winner_value),
                    l.kind as u8,
                    self.now.0
                ])?;
        }
        Ok(())
    }

    fn store_archive(&mut self) -> Result<(), Error> {
        for a in std::mem::take(&mut self.archive) {
            let history = self.s.t(a.t).table.as_ref().is_none_or(|t| t.config.history);
            let Some(cell) = a.cell.filter(|c| *c != Cell::Unread && (history || a.lost)) else { continue };
            let mut o = Vec::new();
            encode_cell(&cell, &mut o);
            self.c
                .prepare_cached(
                    "INSERT OR REPLACE INTO _lockstep_archive (t, b, d, col, stamp, why, by, at, value)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute(params![
                    a.t,
                    a.b.0,
                    a.write.dot.0,
                    a.register.number(),
                    a.write.stamp.0,
                    a.lost,
                    a.by.0,
                    self.now.0,
                    o
                ])?;
        }
        Ok(())
    }

    /// Does anything wait in this file?
    pub fn has_held(&mut self) -> Result<bool, Error> {
        if self.any_held.is_none() {
            let n: i64 = self.c.query_row("SELECT EXISTS (SELECT 1 FROM _lockstep_held)", [], |r| r.get(0))?;
            self.any_held = Some(n != 0);
        }
        Ok(self.any_held == Some(true))
    }

    /// Is a write held for its stamp?
    pub fn has_futures(&mut self) -> Result<bool, Error> {
        if self.any_future.is_none() {
            let n: i64 = self.c.query_row("SELECT EXISTS (SELECT 1 FROM _lockstep_future)", [], |r| r.get(0))?;
            self.any_future = Some(n != 0);
        }
        Ok(self.any_future == Some(true))
    }

    pub fn body_of(&self, i: usize) -> Result<Vec<Unshown>, Error> {
        self.body(self.births[i].t, self.births[i].b)
    }

    fn store_futures(&mut self) -> Result<(), Error> {
        for (t, d, n) in std::mem::take(&mut self.due) {
            self.c
                .prepare_cached("DELETE FROM _lockstep_future WHERE t = ?1 AND d = ?2 AND n = ?3")?
                .execute(params![t, d.0, n])?;
        }
        for (n, f) in std::mem::take(&mut self.futures).into_iter().enumerate() {
            self.c
                .prepare_cached(
                    "INSERT OR REPLACE INTO _lockstep_future (t, d, n, stamp, b, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![f.t, f.write.dot.0, n, f.write.stamp.0, f.b.0, f.encode()])?;
        }
        Ok(())
    }

    fn store_held(&mut self) -> Result<(), Error> {
        for ((t, b), list) in std::mem::take(&mut self.held) {
            self.c.prepare_cached("DELETE FROM _lockstep_held WHERE t = ?1 AND b = ?2")?.execute(params![t, b.0])?;
            for h in list {
                self.c
                    .prepare_cached(
                        "INSERT OR IGNORE INTO _lockstep_held (t, b, col, d, reason, wt, wb, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    )?
                    .execute(params![
                        t,
                        b.0,
                        h.register.map_or(-2, Register::number),
                        h.dot.map_or(0, |d| d.0),
                        h.reason as u8,
                        h.waits.map(|w| w.0),
                        h.waits.map(|w| w.1.0),
                        self.now.0
                    ])?;
            }
        }
        Ok(())
    }
}

fn links(rec: &Record) -> Vec<(Col, LocalDot)> {
    rec.entries
        .iter()
        .flat_map(|e| e.fields.iter())
        .filter_map(|f| if let Cell::Row(b) = f.cell { Some((f.col, b)) } else { None })
        .collect()
}

/// Every value of a birth that its row doesn't show, or doesn't show as it is.
fn unshown_body(birth: &Birth, own: u32, row: Option<&[Value]>) -> Vec<Unshown> {
    let mut body = Vec::new();
    for e in &birth.rec.entries {
        for f in &e.fields {
            let (value, raw) = match &f.cell {
                Cell::Value(v) => (v, false),
                Cell::Raw(v) => (v, e.write.dot.replica() != own),
                Cell::Row(_) | Cell::Unread => (&Value::Null, false),
            };
            if !f.shown {
                body.push((f.col, e.write.dot, value.clone()));
            } else if raw {
                body.push((Col(f.col.0 | RAW), e.write.dot, value.clone()));
            }
        }
    }
    for (p, v) in row.unwrap_or_default().iter().enumerate() {
        body.push((Col(LOCAL_ROW | p as u16), LocalDot(0), v.clone()));
    }
    body
}

/// What a stored dot stands for.
pub fn load_dot(c: &Connection, t: u32, d: LocalDot) -> Result<Option<DotOf>, Error> {
    let sql = format!("SELECT what FROM _lockstep_dot_{t} WHERE d = ?1");
    let what: Option<Value> =
        c.prepare_cached(&sql)?.query_row([d.0], |r| Ok(Value::from(r.get_ref(0)?))).optional()?;
    what.map(|w| decode_dot(&w).ok_or_else(|| damaged("a dot"))).transpose()
}

pub fn decode_dot(what: &Value) -> Option<DotOf> {
    let b = match what {
        Value::Integer(b) => return Some(DotOf::Births(vec![LocalDot(*b)])),
        Value::Blob(b) => b,
        _ => return None,
    };
    let (&tag, mut i) = b.split_first()?;
    let mut next = || store_get(&mut i);
    Some(match tag {
        0 => {
            let mut list = Vec::new();
            while let Some(b) = next() {
                list.push(LocalDot(b));
            }
            DotOf::Births(list)
        }
        1 => DotOf::Conflict(LocalDot(next()?), next()?, LocalDot(next()?)),
        2 => DotOf::Alias(LocalDot(next()?), LocalDot(next()?), crate::class::kind(next()?)?),
        3 => DotOf::Future,
        _ => return None,
    })
}

fn store_get(i: &mut &[u8]) -> Option<i64> {
    crate::record::get_signed(i)
}

fn store_dot(c: &Connection, t: u32, d: LocalDot, of: &DotOf) -> Result<(), Error> {
    let tagged = |tag: u8, numbers: &[i64]| {
        let mut o = vec![tag];
        numbers.iter().for_each(|n| crate::record::put_signed(&mut o, *n));
        Value::Blob(o.into())
    };
    let what = match of {
        DotOf::Births(list) => match list.as_slice() {
            [] => {
                c.prepare_cached(&format!("DELETE FROM _lockstep_dot_{t} WHERE d = ?1"))?.execute([d.0])?;
                return Ok(());
            }
            [one] => Value::Integer(one.0),
            many => tagged(0, &many.iter().map(|b| b.0).collect::<Vec<_>>()),
        },
        DotOf::Conflict(b, r, l) => tagged(1, &[b.0, *r, l.0]),
        DotOf::Alias(a, b, k) => tagged(2, &[a.0, b.0, *k as i64]),
        DotOf::Future => tagged(3, &[]),
    };
    c.prepare_cached(&format!("INSERT OR REPLACE INTO _lockstep_dot_{t} (d, what) VALUES (?1, ?2)"))?
        .execute(params![d.0, what])?;
    Ok(())
}

impl Sql {
    fn of(table: &Table) -> Sql {
        let list = table.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(", ");
        Sql { select: format!("SELECT {list} FROM main.{} WHERE {}", quote(&table.name), locate(table, 0)) }
    }
}

/// Finds a row by the values of its key; parameters count on from `by`.
pub fn locate(table: &Table, by: usize) -> String {
    let places = match &table.key {
        Key::Id { column, .. } => std::slice::from_ref(column),
        Key::Columns(places) => places.as_slice(),
        Key::Content => &[],
    };
    let each: Vec<String> = places
        .iter()
        .enumerate()
        .map(|(i, &p)| format!("{} = ?{}", quote(&table.columns[p].name), by + i + 1))
        .collect();
    each.join(" AND ")
}

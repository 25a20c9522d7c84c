//! Our tables in the application's file: what they are, and the part of their content that every transaction needs.
//!
//! Always true here: every object parses in SQLite 3.8.2 (an older one could no longer open the file), and bears a
//! name that begins with `_lockstep_`. Numbers given out here (replicas, tables, columns, contexts) never change their
//! meaning. [`State`] is read anew in every transaction, since another process may have written in between.
use crate::catalog::{Catalog, Composite, Reference, Table};
use crate::contact::Began;
use crate::error::Error;
use crate::id::{Host, ReplicaId, Stamp};
use crate::lineage::{self, Mark, Written};
use crate::record::{Col, LocalDot, get, put};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// The six accounts of the balance, in this order: visible, superseded, archived, deleted, held, and the total that
/// was written or received.
pub type Accounts = [i64; 6];
pub const VISIBLE: usize = 0;
pub const SUPERSEDED: usize = 1;
pub const ARCHIVED: usize = 2;
pub const DELETED: usize = 3;
pub const HELD: usize = 4;
pub const TOTAL: usize = 5;

const SCHEMA: &str = "
CREATE TABLE _lockstep_meta (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE _lockstep_replica (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, node TEXT, copies INTEGER, host BLOB);
CREATE TABLE _lockstep_mark (n INTEGER PRIMARY KEY, mark BLOB NOT NULL, own BLOB);
CREATE TABLE _lockstep_past (t INTEGER, r INTEGER, seq INTEGER NOT NULL, heir INTEGER, PRIMARY KEY (t, r)) WITHOUT ROWID;
CREATE TABLE _lockstep_table (n INTEGER PRIMARY KEY, database TEXT, name TEXT NOT NULL, synced INTEGER NOT NULL,
  config TEXT, entered INTEGER, harvested INTEGER NOT NULL, digest BLOB NOT NULL, rows INTEGER NOT NULL,
  a0 INTEGER NOT NULL, a1 INTEGER NOT NULL, a2 INTEGER NOT NULL, a3 INTEGER NOT NULL, a4 INTEGER NOT NULL, a5 INTEGER NOT NULL);
CREATE TABLE _lockstep_column (t INTEGER, n INTEGER, name TEXT NOT NULL, PRIMARY KEY (t, n)) WITHOUT ROWID;
CREATE TABLE _lockstep_vector (t INTEGER, r INTEGER, seq INTEGER NOT NULL, PRIMARY KEY (t, r)) WITHOUT ROWID;
CREATE TABLE _lockstep_context (n INTEGER PRIMARY KEY, t INTEGER NOT NULL, seen BLOB NOT NULL);
CREATE UNIQUE INDEX _lockstep_context_seen ON _lockstep_context (t, seen);
CREATE TABLE _lockstep_link (pt INTEGER, p INTEGER, ct INTEGER, c INTEGER, col INTEGER, PRIMARY KEY (pt, p, ct, c, col)) WITHOUT ROWID;
CREATE TABLE _lockstep_alias (t INTEGER, a INTEGER, b INTEGER, kind INTEGER, d INTEGER NOT NULL, stamp INTEGER NOT NULL,
  PRIMARY KEY (t, a, b, kind)) WITHOUT ROWID;
CREATE INDEX _lockstep_alias_b ON _lockstep_alias (t, b);
CREATE TABLE _lockstep_class (t INTEGER, b INTEGER, leader INTEGER NOT NULL, anchor INTEGER, PRIMARY KEY (t, b)) WITHOUT ROWID;
CREATE TABLE _lockstep_conflict (t INTEGER, b INTEGER, col INTEGER, loser INTEGER, d INTEGER NOT NULL, stamp INTEGER NOT NULL,
  loser_stamp INTEGER NOT NULL, value BLOB, winner INTEGER NOT NULL, winner_stamp INTEGER NOT NULL, winner_value BLOB,
  kind INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (t, b, col, loser)) WITHOUT ROWID;
CREATE TABLE _lockstep_aside (t INTEGER, b INTEGER, d INTEGER, why INTEGER NOT NULL, PRIMARY KEY (t, b, d)) WITHOUT ROWID;
CREATE TABLE _lockstep_decision (t INTEGER, b INTEGER, loser INTEGER, d INTEGER NOT NULL, stamp INTEGER NOT NULL,
  kept INTEGER NOT NULL, PRIMARY KEY (t, b, loser)) WITHOUT ROWID;
CREATE TABLE _lockstep_archive (n INTEGER PRIMARY KEY, t INTEGER, b INTEGER, d INTEGER, col INTEGER, stamp INTEGER NOT NULL,
  why INTEGER NOT NULL, by INTEGER NOT NULL, at INTEGER NOT NULL, value BLOB);
CREATE INDEX _lockstep_archive_b ON _lockstep_archive (t, b);
CREATE TABLE _lockstep_held (t INTEGER, b INTEGER, col INTEGER, d INTEGER, reason INTEGER, wt INTEGER, wb INTEGER, at INTEGER NOT NULL,
  PRIMARY KEY (t, b, col, d, reason)) WITHOUT ROWID;
CREATE INDEX _lockstep_held_wait ON _lockstep_held (wt, wb) WHERE wt IS NOT NULL;
CREATE INDEX _lockstep_held_reason ON _lockstep_held (reason, t);
CREATE TABLE _lockstep_difference (t INTEGER, b INTEGER, col INTEGER, r INTEGER NOT NULL, d INTEGER NOT NULL,
  at INTEGER NOT NULL, lives INTEGER NOT NULL, there BLOB, PRIMARY KEY (t, b, col)) WITHOUT ROWID;
CREATE TABLE _lockstep_future (t INTEGER, d INTEGER, n INTEGER, stamp INTEGER NOT NULL, b INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (t, d, n)) WITHOUT ROWID;
CREATE TABLE _lockstep_was (t INTEGER, id INTEGER, b INTEGER NOT NULL, PRIMARY KEY (t, id)) WITHOUT ROWID;
CREATE TABLE _lockstep_used (t INTEGER, lo INTEGER, hi INTEGER NOT NULL, PRIMARY KEY (t, lo)) WITHOUT ROWID;
CREATE TABLE _lockstep_raw (pt INTEGER, value, ct INTEGER, c INTEGER, col INTEGER, PRIMARY KEY (pt, value, ct, c, col));
CREATE TABLE _lockstep_stand_in (pt INTEGER, id INTEGER, r INTEGER NOT NULL, value, PRIMARY KEY (pt, id)) WITHOUT ROWID;
CREATE TABLE _lockstep_origin (t INTEGER, o INTEGER, b INTEGER, PRIMARY KEY (t, o, b)) WITHOUT ROWID;
CREATE TABLE _lockstep_moved (n INTEGER PRIMARY KEY, t INTEGER NOT NULL, b INTEGER NOT NULL);
CREATE TABLE _lockstep_followed (database TEXT PRIMARY KEY, n INTEGER NOT NULL, clock INTEGER NOT NULL) WITHOUT ROWID;
";

/// Edges at a birth: its `a`, and its `b`. The index is named, or SQLite takes the primary key by its first column, which is
/// a walk through all edges of the table.
pub const EDGES_AT: [&str; 2] = [
    "FROM _lockstep_alias WHERE t = ?1 AND a = ?2",
    "FROM _lockstep_alias INDEXED BY _lockstep_alias_b WHERE t = ?1 AND b = ?2",
];

/// Creates our tables. In a transaction of the caller.
pub fn create(c: &Connection) -> Result<(), Error> {
    c.execute_batch(SCHEMA)?;
    Ok(())
}

/// Creates what belongs to one synced table: rows, dots, unshown bodies, identity hashes.
pub fn create_table(c: &Connection, n: u32) -> Result<(), Error> {
    c.execute_batch(&format!(
        "CREATE TABLE _lockstep_row_{n} (b INTEGER PRIMARY KEY, k, rec BLOB NOT NULL);
         CREATE INDEX _lockstep_row_{n}_k ON _lockstep_row_{n} (k) WHERE k IS NOT NULL;
         CREATE TABLE _lockstep_dot_{n} (d INTEGER PRIMARY KEY, what);
         CREATE TABLE _lockstep_unshown_{n} (b INTEGER PRIMARY KEY, body BLOB NOT NULL);
         CREATE TABLE _lockstep_ident_{n} (b INTEGER PRIMARY KEY, h INTEGER NOT NULL);
         CREATE INDEX _lockstep_ident_{n}_h ON _lockstep_ident_{n} (h);"
    ))?;
    Ok(())
}

/// Is the file attached?
pub fn is_attached(c: &Connection) -> Result<bool, Error> {
    Ok(c.query_row("SELECT count(*) FROM sqlite_master WHERE name = '_lockstep_meta'", [], |r| r.get::<_, i64>(0))? > 0)
}

/// What is kept of one table of this database, or of a table of another database that this one refers to.
#[derive(Debug)]
pub struct TableState {
    pub n: u32,
    /// Of another database: its logical name. Then only the number counts.
    pub database: Option<String>,
    pub name: String,
    /// Captured here. False: only a peer has it, or it is excluded here.
    pub synced: bool,
    /// The application's table, if it is here and synced.
    pub table: Option<Rc<Table>>,
    /// Names by column number.
    pub cols: Vec<String>,
    /// Column number to place in the application's table.
    pub place: Vec<Option<usize>>,
    /// Place in the application's table to column number; None for a surrogate id, which is no register.
    pub col_at: Vec<Option<Col>>,
    /// References by column number: (number of the table referred to, place in `Table::references`).
    pub refs: BTreeMap<Col, (u32, usize)>,
    /// `Table::references`, to be handed around.
    pub references: Vec<Rc<Reference>>,
    /// Places of the columns by which tables of this file refer to it.
    pub named: Vec<usize>,
    /// `Table::composites`, with the number of the table that each names rows of.
    pub composites: Vec<(u32, Rc<Composite>)>,
    /// Tables that name rows of this one by such a key: (number, place in their `composites`).
    pub named_whole: Vec<(u32, usize)>,
    pub vector: BTreeMap<u32, u64>,
    /// The vector as it stood when the last transaction was stored.
    stored: BTreeMap<u32, u64>,
    pub digest: u128,
    /// Shown here.
    pub rows: i64,
    pub accounts: Accounts,
    pub harvested: i64,
    /// Parents before children.
    pub rank: usize,
    pub changed: bool,
    pub new: bool,
    /// The interned context that a local write would have now.
    pub context: Option<u32>,
}

/// A version vector by replica number, ascending, without the author's own entry.
pub type Seen = Rc<[(u32, u64)]>;

/// The numbers and small facts of one file.
#[derive(Debug)]
pub struct State {
    pub name: String,
    /// By number; 0 is nobody.
    pub replicas: Vec<ReplicaId>,
    /// Where each lives, as far as it is known.
    pub hosts: Vec<Option<Host>>,
    /// How this file and that replica's began.
    pub began: Vec<Began>,
    /// The file was told that it began as a copy: `_lockstep_origin` has every row that copies may have in common.
    pub is_copy: bool,
    pub own: u32,
    pub clock: Stamp,
    /// The latest mark of the file's history.
    pub mark: Mark,
    /// A vector has moved in this transaction.
    pub moved: bool,
    /// What this file wrote before a break in its history, by (table, replica): dots up to that seq are shown as at home.
    pub past: BTreeMap<(u32, u32), u64>,
    pub digest_key: [u8; 16],
    /// Has it ever applied something?
    pub met: bool,
    /// The last delta came to its end, so identities may be matched.
    pub last: bool,
    /// By (table, replica): what has to come before a table has all that belongs to what it got. A delta that broke off
    /// may lack a value that was replaced by a write which is still to come; nothing is said of such a table's digest.
    pub until: BTreeMap<(u32, u32), u64>,
    /// Values that retention took out of their account.
    pub cleaned: i64,
    /// By number − 1.
    pub tables: Vec<TableState>,
    contexts: HashMap<u32, Seen>,
    by_seen: HashMap<(u32, Seen), u32>,
    next_context: u32,
    new_contexts: Vec<u32>,
    context_table: HashMap<u32, u32>,
    stored_replicas: usize,
    stored_cols: Vec<usize>,
    meta_changed: bool,
}

fn meta<T: rusqlite::types::FromSql>(c: &Connection, k: &str) -> Result<Option<T>, Error> {
    Ok(c.prepare_cached("SELECT v FROM _lockstep_meta WHERE k = ?1")?.query_row([k], |r| r.get(0)).optional()?)
}

pub fn set_meta(c: &Connection, k: &str, v: impl rusqlite::types::ToSql) -> Result<(), Error> {
    c.prepare_cached("INSERT OR REPLACE INTO _lockstep_meta (k, v) VALUES (?1, ?2)")?.execute(params![k, v])?;
    Ok(())
}

/// The format of an attached file.
pub fn format(c: &Connection) -> Result<i64, Error> {
    Ok(meta(c, "format")?.unwrap_or(0))
}

/// The logical name of an attached file.
pub fn name(c: &Connection) -> Result<String, Error> {
    meta(c, "name")?.ok_or_else(|| damaged("no name"))
}

pub fn damaged(what: impl Into<String>) -> Error {
    Error::Damaged { what: what.into() }
}

fn bytes16(b: Option<Vec<u8>>, what: &str) -> Result<[u8; 16], Error> {
    b.and_then(|b| b.try_into().ok()).ok_or_else(|| damaged(format!("bad {what}")))
}

impl State {
    /// Reads everything that a transaction starts from.
    pub fn load(c: &Connection, catalog: &Catalog) -> Result<State, Error> {
        let mut s = State {
            name: name(c)?,
            replicas: vec![ReplicaId([0; 16])],
            hosts: vec![None],
            began: vec![Began::AsFound],
            is_copy: false,
            own: meta::<u32>(c, "own")?.ok_or_else(|| damaged("no own replica"))?,
            clock: Stamp(meta(c, "clock")?.unwrap_or(0)),
            mark: lineage::latest(c)?,
            moved: false,
            past: BTreeMap::new(),
            digest_key: bytes16(meta(c, "digest_key")?, "digest key")?,
            met: meta::<i64>(c, "met")?.unwrap_or(0) != 0,
            last: meta::<i64>(c, "last")?.unwrap_or(1) != 0,
            until: decode_until(&meta::<Vec<u8>>(c, "until")?.unwrap_or_default())?,
            cleaned: meta(c, "cleaned")?.unwrap_or(0),
            tables: Vec::new(),
            contexts: HashMap::new(),
            by_seen: HashMap::new(),
            next_context: c.query_row("SELECT coalesce(max(n), 0) + 1 FROM _lockstep_context", [], |r| r.get(0))?,
            new_contexts: Vec::new(),
            context_table: HashMap::new(),
            stored_replicas: 0,
            stored_cols: Vec::new(),
            meta_changed: false,
        };
        let mut q =
            c.prepare_cached("SELECT n, id, node, coalesce(copies, 0), host FROM _lockstep_replica ORDER BY n")?;
        let mut rows = q.query([])?;
        while let Some(r) = rows.next()? {
            if r.get::<_, usize>(0)? != s.replicas.len() {
                return Err(damaged("replica numbers have a gap"));
            }
            s.replicas.push(ReplicaId(bytes16(Some(r.get(1)?), "replica id")?));
            let (name, node): (Option<String>, Option<[u8; 32]>) = (r.get(2)?, r.get(4)?);
            s.hosts.push(name.zip(node).map(|(name, node)| Host { node, name }));
            s.began.push(Began::from_number(r.get(3)?));
        }
        s.is_copy = s.began.contains(&Began::Copies);
        s.stored_replicas = s.replicas.len();
        let mut q = c.prepare_cached("SELECT t, r, seq FROM _lockstep_past")?;
        let mut rows = q.query([])?;
        while let Some(r) = rows.next()? {
            s.past.insert((r.get(0)?, r.get(1)?), r.get(2)?);
        }
        s.load_tables(c, catalog)?;
        Ok(s)
    }

    fn load_tables(&mut self, c: &Connection, catalog: &Catalog) -> Result<(), Error> {
        let mut q = c.prepare_cached(
            "SELECT n, database, name, synced, harvested, digest, rows, a0, a1, a2, a3, a4, a5 FROM _lockstep_table ORDER BY n",
        )?;
        let mut rows = q.query([])?;
        while let Some(r) = rows.next()? {
            if r.get::<_, usize>(0)? != self.tables.len() + 1 {
                return Err(damaged("table numbers have a gap"));
            }
            let database: Option<String> = r.get(1)?;
            let name: String = r.get(2)?;
            let synced = r.get::<_, i64>(3)? != 0;
            let table = match (&database, synced) {
                (None, true) => catalog.tables.iter().find(|t| t.name == name).cloned().map(Rc::new),
                _ => None,
            };
            let mut accounts = [0; 6];
            for (i, a) in accounts.iter_mut().enumerate() {
                *a = r.get(7 + i)?;
            }
            self.tables.push(TableState {
                n: r.get(0)?,
                database,
                name,
                synced,
                table,
                cols: Vec::new(),
                place: Vec::new(),
                col_at: Vec::new(),
                refs: BTreeMap::new(),
                references: Vec::new(),
                named: Vec::new(),
                composites: Vec::new(),
                named_whole: Vec::new(),
                vector: BTreeMap::new(),
                stored: BTreeMap::new(),
                digest: u128::from_le_bytes(bytes16(Some(r.get(5)?), "digest")?),
                rows: r.get(6)?,
                accounts,
                harvested: r.get(4)?,
                rank: 0,
                changed: false,
                new: false,
                context: None,
            });
        }
        let mut q = c.prepare_cached("SELECT t, n, name FROM _lockstep_column ORDER BY t, n")?;
        let mut rows = q.query([])?;
        while let Some(r) = rows.next()? {
            let t = self.tables.get_mut(r.get::<_, usize>(0)? - 1).ok_or_else(|| damaged("column of no table"))?;
            if r.get::<_, usize>(1)? != t.cols.len() {
                return Err(damaged("column numbers have a gap"));
            }
            t.cols.push(r.get(2)?);
        }
        let mut q = c.prepare_cached("SELECT t, r, seq FROM _lockstep_vector")?;
        let mut rows = q.query([])?;
        while let Some(r) = rows.next()? {
            let t = self.tables.get_mut(r.get::<_, usize>(0)? - 1).ok_or_else(|| damaged("vector of no table"))?;
            t.vector.insert(r.get(1)?, r.get(2)?);
        }
        self.stored_cols = self.tables.iter().map(|t| t.cols.len()).collect();
        self.all_stored();
        for i in 0..self.tables.len() {
            self.bind_columns(i);
        }
        for i in 0..self.tables.len() {
            self.bind_references(i);
        }
        self.rank_tables();
        Ok(())
    }

    /// Column numbers to places and back, after the application's table or the numbers changed.
    fn bind_columns(&mut self, i: usize) {
        let Some(table) = self.tables[i].table.clone() else {
            self.tables[i].place = vec![None; self.tables[i].cols.len()];
            return;
        };
        for (k, c) in table.columns.iter().enumerate() {
            if table.surrogate() != Some(k) {
                self.col(i, &c.name);
            }
        }
        let t = &mut self.tables[i];
        t.place = t.cols.iter().map(|name| table.column(name)).collect();
        t.col_at = vec![None; table.columns.len()];
        for (n, p) in t.place.iter().enumerate() {
            if let Some(p) = p
                && table.surrogate() != Some(*p)
            {
                t.col_at[*p] = Some(Col(n as u16));
            }
        }
    }

    fn bind_references(&mut self, i: usize) {
        let Some(table) = self.tables[i].table.clone() else { return };
        self.tables[i].references = table.references.iter().cloned().map(Rc::new).collect();
        for (at, r) in table.references.iter().enumerate() {
            let Some(col) = self.tables[i].col_at[r.column] else { continue };
            let n = self.table_no(r.database.as_deref(), &r.table);
            self.tables[i].refs.insert(col, (n, at));
            let to = &mut self.tables[n as usize - 1];
            if let Some(p) =
                to.table.as_ref().and_then(|t| t.column(&r.target_column)).filter(|p| !to.named.contains(p))
            {
                to.named.push(p);
            }
        }
        for composite in &table.composites {
            let parent = self.table_no(None, &composite.parent);
            let child = &mut self.tables[i];
            let (n, at) = (child.n, child.composites.len());
            child.composites.push((parent, Rc::new(composite.clone())));
            self.tables[parent as usize - 1].named_whole.push((n, at));
        }
    }

    /// Parents before children; what lies in a cycle comes in the order of numbers.
    fn rank_tables(&mut self) {
        let n = self.tables.len();
        let mut left: Vec<usize> = (0..n).collect();
        let mut done = vec![false; n];
        let mut rank = 0;
        while !left.is_empty() {
            let free = |i: usize| {
                let t = &self.tables[i];
                let mut parents = t.refs.values().map(|r| r.0).chain(t.composites.iter().map(|c| c.0));
                parents.all(|p| p as usize == i + 1 || done[p as usize - 1])
            };
            let at = left.iter().position(|&i| free(i)).unwrap_or(0);
            let i = left.remove(at);
            done[i] = true;
            self.tables[i].rank = rank;
            rank += 1;
        }
    }

    /// Are a column's values this node's own: a surrogate id, or a reference that shows one?
    pub fn is_local(&self, t: u32, column: &str) -> bool {
        let (mut t, mut name) = (t, column);
        // A chain of references is as long as there are tables, or it is a cycle.
        for _ in 0..self.tables.len() {
            let Some(table) = &self.t(t).table else { return true };
            let Some(p) = table.column(name) else { return false };
            if table.surrogate() == Some(p) {
                return true;
            }
            let Some((to, at)) = self.t(t).col_at[p].and_then(|c| self.t(t).refs.get(&c)) else { return false };
            (t, name) = (*to, &table.references[*at].target_column);
        }
        false
    }

    pub fn t(&self, n: u32) -> &TableState {
        &self.tables[n as usize - 1]
    }

    pub fn t_mut(&mut self, n: u32) -> &mut TableState {
        let t = &mut self.tables[n as usize - 1];
        t.changed = true;
        t
    }

    /// The number of a table; a new one for a name never met.
    pub fn table_no(&mut self, database: Option<&str>, name: &str) -> u32 {
        if let Some(t) = self.find_table(database, name) {
            return t;
        }
        let n = self.tables.len() as u32 + 1;
        self.tables.push(TableState {
            n,
            database: database.map(str::to_owned),
            name: name.to_owned(),
            synced: false,
            table: None,
            cols: Vec::new(),
            place: Vec::new(),
            col_at: Vec::new(),
            refs: BTreeMap::new(),
            references: Vec::new(),
            named: Vec::new(),
            composites: Vec::new(),
            named_whole: Vec::new(),
            vector: BTreeMap::new(),
            stored: BTreeMap::new(),
            digest: 0,
            rows: 0,
            accounts: [0; 6],
            harvested: 0,
            rank: n as usize,
            changed: true,
            new: true,
            context: None,
        });
        self.stored_cols.push(0);
        n
    }

    pub fn find_table(&self, database: Option<&str>, name: &str) -> Option<u32> {
        self.tables.iter().find(|t| t.database.as_deref() == database && t.name == name).map(|t| t.n)
    }

    /// The number of a column; a new one for a name never met. `i` is the table's number − 1.
    pub fn col(&mut self, i: usize, name: &str) -> Col {
        let t = &mut self.tables[i];
        if let Some(n) = t.cols.iter().position(|c| c.eq_ignore_ascii_case(name)) {
            return Col(n as u16);
        }
        t.cols.push(name.to_owned());
        t.place.push(None);
        Col((t.cols.len() - 1) as u16)
    }

    pub fn replica_no(&mut self, id: ReplicaId) -> u32 {
        if let Some(n) = self.replicas.iter().position(|r| *r == id) {
            return n as u32;
        }
        self.replicas.push(id);
        self.hosts.push(None);
        self.began.push(Began::AsFound);
        (self.replicas.len() - 1) as u32
    }

    /// Notes where a replica lives. Who was told otherwise before stays with that.
    pub fn place(&mut self, c: &Connection, replica: ReplicaId, host: &Host) -> Result<(), Error> {
        let n = self.replica_no(replica) as usize;
        if self.hosts[n].is_some() {
            return Ok(());
        }
        self.hosts[n] = Some(host.clone());
        if n < self.stored_replicas {
            c.prepare_cached("UPDATE _lockstep_replica SET node = ?2, host = ?3 WHERE n = ?1")?
                .execute(params![n, host.name, host.node])?;
        }
        Ok(())
    }

    /// The version vector of an interned context.
    pub fn seen(&mut self, c: &Connection, context: u32) -> Result<Seen, Error> {
        if let Some(s) = self.contexts.get(&context) {
            return Ok(s.clone());
        }
        let bytes: Vec<u8> =
            c.prepare_cached("SELECT seen FROM _lockstep_context WHERE n = ?1")?.query_row([context], |r| r.get(0))?;
        let mut i = bytes.as_slice();
        let mut seen = Vec::new();
        while !i.is_empty() {
            let pair = get(&mut i).zip(get(&mut i)).ok_or_else(|| damaged("bad context"))?;
            seen.push((pair.0 as u32, pair.1));
        }
        let s: Seen = seen.into();
        self.contexts.insert(context, s.clone());
        Ok(s)
    }

    /// The number of a context of a table.
    pub fn intern(&mut self, c: &Connection, t: u32, seen: Seen) -> Result<u32, Error> {
        if let Some(n) = self.by_seen.get(&(t, seen.clone())) {
            return Ok(*n);
        }
        let found: Option<u32> = c
            .prepare_cached("SELECT n FROM _lockstep_context WHERE t = ?1 AND seen = ?2")?
            .query_row(params![t, encode_seen(&seen)], |r| r.get(0))
            .optional()?;
        let n = found.unwrap_or_else(|| {
            self.next_context += 1;
            self.new_contexts.push(self.next_context - 1);
            self.next_context - 1
        });
        self.contexts.insert(n, seen.clone());
        self.context_table.insert(n, t);
        self.by_seen.insert((t, seen), n);
        Ok(n)
    }

    /// The context of a write made here now.
    pub fn context_now(&mut self, c: &Connection, t: u32) -> Result<u32, Error> {
        if let Some(n) = self.t(t).context {
            return Ok(n);
        }
        let own = self.own;
        let seen: Seen = self.t(t).vector.iter().filter(|(r, _)| **r != own).map(|(r, s)| (*r, *s)).collect();
        let n = self.intern(c, t, seen)?;
        self.t_mut(t).context = Some(n);
        Ok(n)
    }

    /// Raises a vector; a lower seq changes nothing.
    pub fn advance(&mut self, t_no: u32, replica: u32, seq: u64) {
        let own = self.own;
        let s = self.t_mut(t_no).vector.entry(replica).or_insert(0);
        if *s < seq {
            *s = seq;
            self.moved = true;
            let t = self.t_mut(t_no);
            if replica != own {
                t.context = None;
            }
        }
    }

    /// Is more to come before a table has all that belongs to what it got?
    pub fn is_under_way(&self, t: u32) -> bool {
        self.until.range((t, 0)..=(t, u32::MAX)).next().is_some()
    }

    /// Forgets what was waited for and has come.
    pub fn drop_reached(&mut self) {
        let tables = &self.tables;
        let reached = |t: u32, r: u32| tables[t as usize - 1].vector.get(&r).copied().unwrap_or(0);
        self.until.retain(|&(t, r), seq| reached(t, r) < *seq);
    }

    /// Was this written in this very file, in whichever incarnation, so that the application's own row shows it?
    pub fn is_ours(&self, t: u32, d: LocalDot) -> bool {
        d.replica() == self.own || self.past.get(&(t, d.replica())).is_some_and(|seq| d.seq() <= *seq)
    }

    /// How far this file has written as the replica that it is: its number, and by table the highest seq.
    pub fn written(&self) -> Written {
        let own = self.tables.iter().filter_map(|t| t.vector.get(&self.own).map(|seq| (t.n, *seq)));
        (self.own, own.collect())
    }

    /// From now on this file writes as another replica.
    pub fn become_replica(&mut self, new: ReplicaId) {
        self.own = self.replica_no(new);
        self.moved = true;
        self.touch_meta();
        for t in &mut self.tables {
            t.context = None;
        }
    }

    /// What a replica wrote to a table after a seq is another's from now on, under the same seqs.
    pub fn hand_over(&mut self, t: u32, (old, after): (u32, u64), new: u32) {
        let vector = &mut self.t_mut(t).vector;
        let Some(last) = vector.insert(old, after) else { return };
        vector.insert(new, last);
    }

    pub fn touch_meta(&mut self) {
        self.meta_changed = true;
    }

    /// Pushes the clock past a stamp that was received.
    pub fn push_clock(&mut self, stamp: Stamp) {
        if stamp > self.clock {
            self.clock = stamp;
            self.meta_changed = true;
        }
    }

    /// What the vectors name is in the file.
    pub fn all_stored(&mut self) {
        for t in &mut self.tables {
            if t.stored != t.vector {
                t.stored.clone_from(&t.vector);
            }
        }
    }

    /// Was this dot here before the transaction? A newer one can't be in any of our tables.
    pub fn is_stored(&self, t: u32, d: LocalDot) -> bool {
        self.t(t).stored.get(&d.replica()).is_some_and(|seq| d.seq() <= *seq)
    }

    /// Writes back what changed. In the transaction that read it.
    pub fn store(&mut self, c: &Connection) -> Result<(), Error> {
        for n in self.stored_replicas..self.replicas.len() {
            let host = self.hosts[n].as_ref();
            c.prepare_cached("INSERT INTO _lockstep_replica (n, id, node, host) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![n, self.replicas[n].0.as_slice(), host.map(|h| &h.name), host.map(|h| h.node)])?;
        }
        self.stored_replicas = self.replicas.len();
        for n in std::mem::take(&mut self.new_contexts) {
            c.prepare_cached("INSERT INTO _lockstep_context (n, t, seen) VALUES (?1, ?2, ?3)")?.execute(params![
                n,
                self.context_table[&n],
                encode_seen(&self.contexts[&n])
            ])?;
        }
        for i in 0..self.tables.len() {
            let t = &mut self.tables[i];
            for n in self.stored_cols[i]..t.cols.len() {
                c.prepare_cached("INSERT INTO _lockstep_column (t, n, name) VALUES (?1, ?2, ?3)")?
                    .execute(params![t.n, n, t.cols[n]])?;
            }
            self.stored_cols[i] = t.cols.len();
            if !t.changed {
                continue;
            }
            if t.new {
                c.prepare_cached(
                    "INSERT INTO _lockstep_table (n, database, name, synced, harvested, digest, rows, a0, a1, a2, a3, a4, a5)
                     VALUES (?1, ?2, ?3, ?4, 0, zeroblob(16), 0, 0, 0, 0, 0, 0, 0)",
                )?
                .execute(params![t.n, t.database, t.name, t.synced])?;
                if t.database.is_none() {
                    create_table(c, t.n)?;
                }
                t.new = false;
            }
            c.prepare_cached(
                "UPDATE _lockstep_table SET harvested = ?2, digest = ?3, rows = ?4,
                 a0 = ?5, a1 = ?6, a2 = ?7, a3 = ?8, a4 = ?9, a5 = ?10 WHERE n = ?1",
            )?
            .execute(params![
                t.n,
                t.harvested,
                t.digest.to_le_bytes().as_slice(),
                t.rows,
                t.accounts[0],
                t.accounts[1],
                t.accounts[2],
                t.accounts[3],
                t.accounts[4],
                t.accounts[5]
            ])?;
            for (r, seq) in &t.vector {
                c.prepare_cached("INSERT OR REPLACE INTO _lockstep_vector (t, r, seq) VALUES (?1, ?2, ?3)")?
                    .execute(params![t.n, r, seq])?;
            }
            t.changed = false;
        }
        if std::mem::take(&mut self.meta_changed) {
            set_meta(c, "clock", self.clock.0)?;
            set_meta(c, "digest_key", self.digest_key.as_slice())?;
            set_meta(c, "met", self.met)?;
            set_meta(c, "last", self.last)?;
            set_meta(c, "own", self.own)?;
            set_meta(c, "until", encode_until(&self.until))?;
        }
        Ok(())
    }
}

fn encode_until(until: &BTreeMap<(u32, u32), u64>) -> Vec<u8> {
    let mut o = Vec::new();
    for ((t, r), seq) in until {
        put(&mut o, u64::from(*t));
        put(&mut o, u64::from(*r));
        put(&mut o, *seq);
    }
    o
}

fn decode_until(mut bytes: &[u8]) -> Result<BTreeMap<(u32, u32), u64>, Error> {
    let mut until = BTreeMap::new();
    while !bytes.is_empty() {
        let mut next = || get(&mut bytes).ok_or_else(|| damaged("what is still to come"));
        let (t, r, seq) = (next()?, next()?, next()?);
        until.insert((t as u32, r as u32), seq);
    }
    Ok(until)
}

fn encode_seen(seen: &[(u32, u64)]) -> Vec<u8> {
    let mut o = Vec::new();
    for (r, s) in seen {
        put(&mut o, u64::from(*r));
        put(&mut o, *s);
    }
    o
}

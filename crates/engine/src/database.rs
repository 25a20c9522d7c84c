//! One attached file, as the node works with it: open, work, drop.
//!
//! Always true here: at rest no connection is open; every call is a transaction of its own, or several short ones;
//! only the main file is written. Not here: when to call what (the node), and what travels (`wire`).
use crate::catalog::{Catalog, LeftOut, Table, quote};
use crate::change::{Batch, ConflictKind};
use crate::config::DatabaseConfig;
use crate::error::Error;
use crate::extract::Limit;
use crate::id::{Dot, Millis, ReplicaId, Seq, Stamp, Vector, Vectors};
use crate::key::LocalKey;
use crate::record::{LocalDot, Register};
use crate::rows::Poisoned;
pub use crate::sibling::Sibling;
use crate::sibling::Siblings;
use crate::store::{self, ARCHIVED, DELETED, HELD, SUPERSEDED, State, TOTAL, VISIBLE};
use crate::transaction::{Counts, Txn};
use crate::value::Value;
use crate::{capture, catalog, guest};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Fills a buffer with random bytes.
pub type Entropy<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Existing rows entered in one transaction.
const ENTER_SLICE: usize = 2000;

/// How to attach.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// Switch the file to write-ahead logging.
    pub wal: bool,
}

/// What attaching found and did.
#[derive(Clone, Debug)]
pub struct AttachReport {
    /// Logical name.
    pub name: String,
    /// What is synced.
    pub tables: Vec<AttachedTable>,
    /// What is not, with the reason.
    pub left_out: Vec<LeftOut>,
    /// Sentences about what a person may want to mend.
    pub warnings: Vec<String>,
}

/// One synced table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedTable {
    /// Name.
    pub name: String,
    /// Rows that live.
    pub rows: u64,
    /// Captured here.
    pub synced: bool,
    /// The surrogate id, if it has one.
    pub surrogate: Option<String>,
    /// Identity keys, by column names.
    pub identity: Vec<Vec<String>>,
    /// `column -> table` or `column -> database.table`.
    pub references: Vec<String>,
    /// Logical names of the other databases it refers to.
    pub refers_to: Vec<String>,
}

/// What a harvest found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harvest {
    /// Writes of the application.
    pub writes: u64,
}

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows inserted.
    pub inserts: u64,
    /// Rows updated.
    pub updates: u64,
    /// Rows deleted.
    pub deletes: u64,
    /// Conflicts first recorded here.
    pub conflicts: u64,
    /// Rows that got another id than at their birthplace.
    pub id_moves: u64,
    /// Classes held now, in all.
    pub held: u64,
    /// Aliases and records made here, which travel.
    pub writes: u64,
}

/// What applying would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// By table, those with something to do.
    pub tables: Vec<PlanTable>,
}

/// The same for one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanTable {
    /// Name.
    pub name: String,
    /// Rows that would appear.
    pub inserts: u64,
    /// Rows that would change.
    pub updates: u64,
    /// Rows that would go.
    pub deletes: u64,
    /// Conflicts that would be recorded.
    pub conflicts: u64,
    /// Rows that would get another id.
    pub id_moves: u64,
}

/// What a replica says of itself.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Logical name.
    pub name: String,
    /// This file, in this incarnation.
    pub replica: ReplicaId,
    /// Its clock.
    pub clock: Stamp,
    /// The mark of its last harvest.
    pub mark: [u8; 16],
    /// The key of its digests.
    pub digest_key: [u8; 16],
    /// Its tables, also those that only peers have.
    pub tables: Vec<TableSummary>,
    /// Classes held.
    pub held: u64,
    /// Conflicts that nobody has looked at.
    pub conflicts_unreviewed: u64,
    /// What is wrong with capture; empty: nothing.
    pub capture: Vec<String>,
}

/// The same of one table.
#[derive(Clone, Debug)]
pub struct TableSummary {
    /// Name.
    pub name: String,
    /// Here, and captured.
    pub synced: bool,
    /// Columns and rules.
    pub fingerprint: [u8; 32],
    /// Rules alone: identity, references, policies, merge.
    pub rules: [u8; 32],
    /// Column names.
    pub columns: Vec<String>,
    /// What has been received.
    pub vector: Vector,
    /// Rows that live.
    pub rows: u64,
    /// Over the logical state.
    pub digest: u128,
}

/// Where every register that was written or received is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// In a row.
    pub visible: u64,
    /// Replaced by a write that had seen it, or that holds the same value.
    pub superseded: u64,
    /// Lost a conflict, kept whole.
    pub archived: u64,
    /// Of a deleted row.
    pub deleted: u64,
    /// Waits, with a reason.
    pub held: u64,
    /// All that was written or received.
    pub total: u64,
}

impl Balance {
    /// Values that are in no account. Always 0.
    pub fn lost(&self) -> i64 {
        self.total as i64 - (self.visible + self.superseded + self.archived + self.deleted + self.held) as i64
    }
}

/// Something that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Stable on this node.
    pub id: String,
    /// Why.
    pub reason: ConflictKind,
    /// Table.
    pub table: String,
    /// The local key as JSON text; None: it has no row here.
    pub key: Option<String>,
    /// The columns that wait; empty: the whole row.
    pub columns: Vec<String>,
    /// Since.
    pub at: Millis,
}

/// How far a conflict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictState {
    /// Settled by rule, not looked at.
    Auto,
    /// A person has looked at it.
    Reviewed,
}

/// One conflict, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The same on every node.
    pub id: String,
    /// What kind.
    pub kind: ConflictKind,
    /// Table.
    pub table: String,
    /// The local key as JSON text, if the row is shown here.
    pub key: Option<String>,
    /// Columns that lost; empty: the row's existence.
    pub columns: Vec<String>,
    /// The replica whose write won.
    pub winner: ReplicaId,
    /// The replica whose write lost.
    pub loser: ReplicaId,
    /// Looked at?
    pub state: ConflictState,
    /// When it was recorded here.
    pub at: Millis,
}

/// What was not yet sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRow {
    /// Table.
    pub table: String,
    /// The local key as JSON text, if it has a row here.
    pub key: Option<String>,
    /// What happened to it.
    pub operation: Operation,
    /// Columns written.
    pub columns: Vec<String>,
    /// When.
    pub at: Millis,
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Insert,
    /// Columns were written.
    Update,
    /// It is gone.
    Delete,
}

/// What `verify` found in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedTable {
    /// Name.
    pub name: String,
    /// Rows in the application's table.
    pub rows: u64,
    /// The digest as kept.
    pub digest: u128,
    /// The digest from the rows as they are.
    pub recounted: u128,
    /// Rows without metadata, metadata without rows, rows that differ from it; sentences without values.
    pub findings: Vec<String>,
}

/// What `verify` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// By table.
    pub tables: Vec<VerifiedTable>,
    /// The running accounts.
    pub balance: Balance,
    /// Counted anew from what is stored.
    pub recounted: Balance,
}

impl Verification {
    /// Everything agrees.
    pub fn well(&self) -> bool {
        self.balance == self.recounted
            && self.balance.lost() == 0
            && self.tables.iter().all(|t| t.findings.is_empty() && t.digest == t.recounted)
    }
}

/// An attached file, open.
pub struct Database {
    path: PathBuf,
    c: Connection,
    catalog: Catalog,
    siblings: Siblings,
    name: String,
}

/// The configuration that a file was attached with.
pub fn stored_config(c: &Connection) -> Result<DatabaseConfig, Error> {
    let text: Option<String> =
        c.query_row("SELECT v FROM _lockstep_meta WHERE k = 'config'", [], |r| r.get(0)).optional()?;
    match text {
        Some(t) => serde_json::from_str(&t).map_err(|e| store::damaged(format!("the configuration: {e}"))),
        None => Ok(DatabaseConfig::default()),
    }
}

/// Begins a transaction that holds the write lock of the main file alone.
fn begin(c: &Connection) -> Result<(), Error> {
    c.execute_batch("BEGIN")?;
    if let Err(e) = c.execute("UPDATE _lockstep_meta SET v = v WHERE k = 'format'", []) {
        c.execute_batch("ROLLBACK")?;
        return Err(e.into());
    }
    Ok(())
}

/// Installs capture in a file and enters its rows. Safe to repeat after an interruption.
#[allow(clippy::too_many_arguments)]
pub fn attach(
    path: &Path,
    name: &str,
    config: &DatabaseConfig,
    siblings: &[Sibling],
    options: &AttachOptions,
    now: Millis,
    entropy: Entropy<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<AttachReport, Error> {
    let c = guest::open(path)?;
    if options.wal {
        c.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    }
    let found = catalog::read(&c, name, config)?;
    let warnings = found.warnings.iter().map(|w| format!("{}: {}", w.table, w.text)).collect();
    let left_out = found.left_out.clone();
    if store::is_attached(&c)? {
        check_format(&c, path)?;
        let is = store::name(&c)?;
        if is != name {
            return Err(Error::OtherName { path: path.to_owned(), found: is, wanted: name.to_owned() });
        }
    } else {
        install(&c, name, config, &found, entropy)?;
    }
    drop(c);
    let mut db = Database::open(path, siblings)?;
    db.enter_rows(now, progress)?;
    db.harvest(now)?;
    Ok(AttachReport { name: name.to_owned(), tables: db.tables()?, left_out, warnings })
}

fn check_format(c: &Connection, path: &Path) -> Result<(), Error> {
    let format = store::format(c)?;
    if format > store::FORMAT {
        return Err(Error::NewerFormat { path: path.to_owned(), found: format, known: store::FORMAT });
    }
    Ok(())
}

fn install(
    c: &Connection,
    name: &str,
    config: &DatabaseConfig,
    found: &Catalog,
    entropy: Entropy<'_>,
) -> Result<(), Error> {
    let tx = c.unchecked_transaction()?;
    store::create(&tx)?;
    let mut random = || {
        let mut b = [0u8; 16];
        entropy(&mut b);
        b
    };
    let (own, mark, key) = (random(), random(), random());
    let config = serde_json::to_string(config).map_err(|e| store::damaged(e.to_string()))?;
    store::set_meta(&tx, "format", store::FORMAT)?;
    store::set_meta(&tx, "name", name)?;
    store::set_meta(&tx, "config", config)?;
    store::set_meta(&tx, "own", 1)?;
    store::set_meta(&tx, "clock", 0)?;
    store::set_meta(&tx, "mark", mark.as_slice())?;
    store::set_meta(&tx, "digest_key", key.as_slice())?;
    tx.execute("INSERT INTO _lockstep_replica (n, id) VALUES (1, ?1)", [own.as_slice()])?;
    for (i, t) in found.tables.iter().enumerate() {
        add_table(&tx, i as u32 + 1, t)?;
    }
    tx.commit()?;
    Ok(())
}

fn add_table(c: &Connection, n: u32, t: &Table) -> Result<(), Error> {
    c.execute(
        "INSERT INTO _lockstep_table (n, name, synced, harvested, digest, rows, a0, a1, a2, a3, a4, a5)
         VALUES (?1, ?2, 1, 0, zeroblob(16), 0, 0, 0, 0, 0, 0, 0)",
        params![n, t.name],
    )?;
    store::create_table(c, n)?;
    capture::install(c, n, t)?;
    let mut highest = crate::ids::highest_id(c, t)?;
    let has: i64 =
        c.query_row("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'", [], |r| r.get(0))?;
    if has > 0 && t.surrogate().is_some() {
        let seq: Option<i64> =
            c.query_row("SELECT seq FROM sqlite_sequence WHERE name = ?1", [&t.name], |r| r.get(0)).optional()?;
        highest = highest.max(seq.unwrap_or(0));
    }
    if highest > 0 {
        c.execute("INSERT INTO _lockstep_used (t, lo, hi) VALUES (?1, 1, ?2)", params![n, highest])?;
    }
    Ok(())
}

/// Removes every trace of Lockstep from a file; schema and rows stay as they are.
pub fn detach(path: &Path) -> Result<(), Error> {
    let c = guest::open(path)?;
    if !store::is_attached(&c)? {
        return Err(Error::NotAttached { path: path.to_owned() });
    }
    let tx = c.unchecked_transaction()?;
    capture::remove_all(&tx)?;
    tx.commit()?;
    Ok(())
}

impl Database {
    /// Opens an attached file as a guest. Drop it as soon as the work is done.
    pub fn open(path: &Path, siblings: &[Sibling]) -> Result<Database, Error> {
        let c = guest::open(path)?;
        c.set_prepared_statement_cache_capacity(600);
        if !store::is_attached(&c)? {
            return Err(Error::NotAttached { path: path.to_owned() });
        }
        check_format(&c, path)?;
        let name = store::name(&c)?;
        let config = stored_config(&c)?;
        let catalog = catalog::read(&c, &name, &config)?;
        let mut wanted: Vec<String> =
            catalog.tables.iter().flat_map(|t| t.references.iter().filter_map(|r| r.database.clone())).collect();
        wanted.sort();
        wanted.dedup();
        let siblings = Siblings::attach(&c, siblings, &name, &wanted)?;
        Ok(Database { path: path.to_owned(), c, catalog, siblings, name })
    }

    /// Logical name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration it was attached with.
    pub fn config(&self) -> Result<DatabaseConfig, Error> {
        stored_config(&self.c)
    }

    /// Its synced tables.
    pub fn tables(&self) -> Result<Vec<AttachedTable>, Error> {
        let s = State::load(&self.c, &self.catalog)?;
        let mut out = Vec::new();
        for t in s.tables.iter().filter(|t| t.database.is_none()) {
            let Some(table) = &t.table else { continue };
            let names = |places: &[usize]| places.iter().map(|&p| table.columns[p].name.clone()).collect();
            let mut refers_to: Vec<String> = table.references.iter().filter_map(|r| r.database.clone()).collect();
            refers_to.sort();
            refers_to.dedup();
            out.push(AttachedTable {
                name: t.name.clone(),
                rows: t.rows.max(0) as u64,
                synced: t.synced,
                surrogate: table.surrogate().map(|p| table.columns[p].name.clone()),
                identity: table.identity.iter().map(|k| names(k)).collect(),
                references: table
                    .references
                    .iter()
                    .map(|r| {
                        let database = r.database.as_ref().map(|d| format!("{d}.")).unwrap_or_default();
                        format!("{} -> {database}{}", table.columns[r.column].name, r.table)
                    })
                    .collect(),
                refers_to,
            });
        }
        Ok(out)
    }

    fn txn(&self, now: Millis) -> Result<Txn<'_>, Error> {
        Ok(Txn::new(&self.c, State::load(&self.c, &self.catalog)?, &self.siblings, now))
    }

    /// Runs in one write transaction; rolled back on error.
    fn write<T>(&self, now: Millis, f: impl FnOnce(&mut Txn<'_>) -> Result<T, Error>) -> Result<T, Error> {
        begin(&self.c)?;
        let done = self.txn(now).and_then(|mut txn| f(&mut txn));
        match done {
            Ok(x) => match self.c.execute_batch("COMMIT") {
                Ok(()) => Ok(x),
                Err(e) => {
                    self.rollback();
                    Err(e.into())
                }
            },
            Err(e) => {
                self.rollback();
                Err(e)
            }
        }
    }

    fn rollback(&self) {
        if !self.c.is_autocommit() && self.c.execute_batch("ROLLBACK").is_err() {
            // SQLite rolls back by itself when the connection closes.
        }
    }

    /// Reads in one snapshot.
    fn read<T>(&self, now: Millis, f: impl FnOnce(&mut Txn<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.c.execute_batch("BEGIN")?;
        let done = self.txn(now).and_then(|mut txn| f(&mut txn));
        self.c.execute_batch("ROLLBACK")?;
        done
    }

    fn enter_rows(&mut self, now: Millis, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
        let mut total = 0;
        for t in &self.catalog.tables {
            let sql = format!("SELECT count(*) FROM main.{}", quote(&t.name));
            total += self.c.query_row(&sql, [], |r| r.get::<_, u64>(0))?;
        }
        let mut done = 0;
        let order: Vec<(u32, Table)> = {
            let s = State::load(&self.c, &self.catalog)?;
            let mut list: Vec<_> =
                s.tables.iter().filter_map(|t| t.table.as_ref().map(|x| (t.rank, t.n, (**x).clone()))).collect();
            list.sort_by_key(|(rank, _, _)| *rank);
            list.into_iter().map(|(_, n, t)| (n, t)).collect()
        };
        for (n, table) in order {
            let entered: Option<i64> =
                self.c.query_row("SELECT entered FROM _lockstep_table WHERE n = ?1", [n], |r| r.get(0))?;
            if entered.is_some() {
                continue;
            }
            let mut cursor: Option<Vec<Value>> = None;
            loop {
                let (rows, next) = self.write(now, |txn| {
                    let page = page(txn.c, &table, cursor.as_deref(), ENTER_SLICE)?;
                    let count = page.rows.len() as u64;
                    for (row, modified) in page.rows {
                        txn.enter_row(n, &table, row, modified)?;
                    }
                    if page.next.is_none() {
                        txn.c.execute("UPDATE _lockstep_table SET entered = 1 WHERE n = ?1", [n])?;
                    }
                    txn.store()?;
                    Ok((count, page.next))
                })?;
                done += rows;
                progress(done, total.max(done));
                match next {
                    Some(k) => cursor = Some(k),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Turns what the application wrote into versions. In short slices.
    pub fn harvest(&mut self, now: Millis) -> Result<Harvest, Error> {
        let mut out = Harvest::default();
        loop {
            if !self.has_news()? {
                return Ok(out);
            }
            let (writes, more) = self.write(now, |txn| {
                let (writes, more) = txn.harvest_slice()?;
                settle_after_harvest(txn)?;
                Ok((writes, more))
            })?;
            out.writes += writes;
            if !more && writes == 0 {
                return Ok(out);
            }
        }
    }

    /// Is there anything in the logs, or in a file this one refers to, that was not looked at?
    fn has_news(&self) -> Result<bool, Error> {
        let s = State::load(&self.c, &self.catalog)?;
        for t in s.tables.iter().filter(|t| t.table.is_some()) {
            if capture::newest(&self.c, t.n)?.is_some_and(|i| i > t.harvested) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The next batch of what a peer with these vectors lacks. Harvests first.
    pub fn extract(&mut self, have: &Vectors, limit: Limit, now: Millis) -> Result<Batch, Error> {
        for _ in 0..8 {
            self.harvest(now)?;
            let batch = self.read(now, |txn| {
                for i in 0..txn.s.tables.len() {
                    let (n, harvested) = (txn.s.tables[i].n, txn.s.tables[i].harvested);
                    if txn.s.tables[i].table.is_some() && capture::newest(txn.c, n)?.is_some_and(|x| x > harvested) {
                        return Ok(None);
                    }
                }
                txn.extract(have, limit).map(Some)
            })?;
            if let Some(b) = batch {
                return Ok(b);
            }
        }
        // A writer that never rests: harvest and extract under the write lock.
        self.write(now, |txn| {
            loop {
                let (writes, more) = txn.harvest_slice()?;
                settle_after_harvest(txn)?;
                if writes == 0 && !more {
                    break;
                }
            }
            txn.extract(have, limit)
        })
    }

    /// Applies a batch, whole or not at all. Harvests first.
    pub fn apply(&mut self, batch: &Batch, now: Millis) -> Result<Applied, Error> {
        self.harvest(now)?;
        let mut poisoned = BTreeSet::new();
        loop {
            let done = self.write(now, |txn| {
                loop {
                    let (writes, more) = txn.harvest_slice()?;
                    if writes == 0 && !more {
                        break;
                    }
                    settle_after_harvest(txn)?;
                    *txn = Txn::new(txn.c, State::load(txn.c, &self.catalog)?, txn.siblings, now);
                }
                txn.poisoned.clone_from(&poisoned);
                txn.follow_siblings()?;
                txn.receive(batch)?;
                let plan = txn.settle()?;
                if let Err(p) = txn.write_rows(plan)? {
                    return Err(Error::Poisoned { table: p.0, birth: p.1.0 });
                }
                let sum = total(&txn.counts);
                txn.store()?;
                Ok(sum)
            });
            match done {
                Err(Error::Poisoned { table, birth }) => {
                    let Poisoned(t, b) = Poisoned(table, LocalDot(birth));
                    if !poisoned.insert((t, b)) {
                        return Err(store::damaged(format!("a row of table {t} can't be written nor held")));
                    }
                }
                Err(e) => return Err(e),
                Ok(n) => {
                    return Ok(Applied {
                        inserts: n.inserts,
                        updates: n.updates,
                        deletes: n.deletes,
                        conflicts: n.conflicts,
                        id_moves: n.id_moves,
                        held: self.count_held()?,
                        writes: n.writes,
                    });
                }
            }
        }
    }

    /// What applying these batches would do. Changes nothing.
    pub fn preview(&mut self, batches: &[Batch], now: Millis) -> Result<Plan, Error> {
        self.harvest(now)?;
        // In a transaction that is rolled back: the same code as applying, the same answer. It holds the write lock
        // for as long as applying would.
        begin(&self.c)?;
        let run = || -> Result<BTreeMap<u32, Counts>, Error> {
            let mut sum: BTreeMap<u32, Counts> = BTreeMap::new();
            for batch in batches {
                let mut txn = self.txn(now)?;
                txn.follow_siblings()?;
                txn.receive(batch)?;
                let plan = txn.settle()?;
                // A row that can't be written is held when it is applied; here it counts as planned.
                if txn.write_rows(plan)?.is_err() {
                    break;
                }
                for (t, n) in std::mem::take(&mut txn.counts) {
                    let s = sum.entry(t).or_default();
                    s.inserts += n.inserts;
                    s.updates += n.updates;
                    s.deletes += n.deletes;
                    s.conflicts += n.conflicts;
                    s.id_moves += n.id_moves;
                }
                txn.store()?;
            }
            Ok(sum)
        };
        let done = run();
        let names =
            State::load(&self.c, &self.catalog).map(|s| s.tables.into_iter().map(|t| t.name).collect::<Vec<_>>());
        self.rollback();
        let (done, names) = (done?, names?);
        let tables = done
            .into_iter()
            .map(|(t, n)| PlanTable {
                name: names[t as usize - 1].clone(),
                inserts: n.inserts,
                updates: n.updates,
                deletes: n.deletes,
                conflicts: n.conflicts,
                id_moves: n.id_moves,
            })
            .filter(|t| t.inserts + t.updates + t.deletes + t.conflicts > 0)
            .collect();
        Ok(Plan { tables })
    }

    fn count_held(&self) -> Result<u64, Error> {
        Ok(self.c.query_row(
            "SELECT (SELECT count(*) FROM (SELECT DISTINCT t, b FROM _lockstep_held)) + (SELECT count(*) FROM _lockstep_future)",
            [],
            |r| r.get(0),
        )?)
    }

    /// What this replica says of itself. Harvests nothing.
    pub fn summary(&mut self) -> Result<Summary, Error> {
        let s = State::load(&self.c, &self.catalog)?;
        let mut tables = Vec::new();
        let mut capture_findings = Vec::new();
        for t in s.tables.iter().filter(|t| t.database.is_none()) {
            let (mut fingerprint, mut rules) = ([0; 32], [0; 32]);
            let mut columns = t.cols.clone();
            if let Some(table) = &t.table {
                capture_findings.extend(capture::check(&self.c, t.n, table)?);
                fingerprint = catalog::fingerprint(table);
                rules = catalog::rules(table);
                columns = table.columns.iter().map(|c| c.name.clone()).collect();
            } else if t.synced {
                capture_findings.push(format!("the table `{}` is gone", t.name));
            }
            tables.push(TableSummary {
                name: t.name.clone(),
                synced: t.table.is_some(),
                fingerprint,
                rules,
                columns,
                vector: vector_of(&s, t.n),
                rows: t.rows.max(0) as u64,
                digest: t.digest,
            });
        }
        let conflicts_unreviewed = self.c.query_row(
            "SELECT count(*) FROM (SELECT DISTINCT t, b, loser FROM _lockstep_conflict WHERE reviewed IS NULL)",
            [],
            |r| r.get(0),
        )?;
        Ok(Summary {
            name: s.name.clone(),
            replica: s.replicas[s.own as usize],
            clock: s.clock,
            mark: s.mark,
            digest_key: s.digest_key,
            tables,
            held: self.count_held()?,
            conflicts_unreviewed,
            capture: capture_findings,
        })
    }

    /// What was received, by table.
    pub fn vectors(&mut self) -> Result<Vectors, Error> {
        let s = State::load(&self.c, &self.catalog)?;
        Ok(s.tables.iter().filter(|t| t.database.is_none()).map(|t| (t.name.clone(), vector_of(&s, t.n))).collect())
    }

    /// Rows that a peer with these vectors has not got.
    pub fn pending(&mut self, have: &Vectors, most: usize, now: Millis) -> Result<Vec<PendingRow>, Error> {
        let batch = self.extract(have, Limit { items: most, bytes: usize::MAX }, now)?;
        self.read(now, |txn| {
            let mut out = Vec::new();
            for item in &batch.items {
                let crate::change::Item::Change(c) = item else { continue };
                let head = &batch.tables[c.table];
                let t = txn.s.table_no(None, &head.name);
                let b = txn.local_dot(c.birth);
                out.push(PendingRow {
                    table: head.name.clone(),
                    key: txn.shown_key(t, b)?,
                    operation: match &c.existence {
                        Some(crate::change::Existence::Lives) if c.dot == c.birth => Operation::Insert,
                        Some(crate::change::Existence::Deleted { .. }) => Operation::Delete,
                        Some(crate::change::Existence::Lives) | None => Operation::Update,
                    },
                    columns: c.columns.iter().map(|(k, _)| head.columns[*k].clone()).collect(),
                    at: c.stamp.millis(),
                });
            }
            Ok(out)
        })
    }

    /// What waits, with its reason.
    pub fn held(&mut self) -> Result<Vec<Held>, Error> {
        self.read(Millis(0), |txn| {
            let rows: Vec<(u32, i64, i64, i64, i64, i64)> = txn
                .c
                .prepare("SELECT t, b, col, d, reason, at FROM _lockstep_held ORDER BY at, t, b, col")?
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?)))?
                .collect::<Result<_, _>>()?;
            let mut by_class: BTreeMap<(u32, LocalDot, i64), Held> = BTreeMap::new();
            for (t, b, col, _, reason, at) in rows {
                let leader = txn.class(t, LocalDot(b))?.leader;
                let reason_kind = kind_of(reason)?;
                let key = txn.shown_key(t, LocalDot(b))?;
                let dot = txn.dot(leader);
                let entry = by_class.entry((t, leader, reason)).or_insert_with(|| Held {
                    id: short_id(&[
                        txn.s.t(t).name.as_bytes(),
                        &dot.replica.0,
                        &dot.seq.0.to_be_bytes(),
                        &[reason as u8],
                    ]),
                    reason: reason_kind,
                    table: txn.s.t(t).name.clone(),
                    key: key.clone(),
                    columns: Vec::new(),
                    at: Millis(at),
                });
                if let (0.., Register::Column(c)) = (col, Register::from_number(col)) {
                    let name = txn.s.t(t).cols[usize::from(c.0)].clone();
                    if !entry.columns.contains(&name) {
                        entry.columns.push(name);
                    }
                }
            }
            let mut out: Vec<Held> = by_class.into_values().collect();
            let futures: Vec<(u32, i64, i64, i64)> = txn
                .c
                .prepare("SELECT DISTINCT t, d, b, stamp FROM _lockstep_future")?
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?
                .collect::<Result<_, _>>()?;
            for (t, d, b, stamp) in futures {
                let dot = txn.dot(LocalDot(d));
                out.push(Held {
                    id: short_id(&[txn.s.t(t).name.as_bytes(), &dot.replica.0, &dot.seq.0.to_be_bytes(), b"clock"]),
                    reason: ConflictKind::Clock,
                    table: txn.s.t(t).name.clone(),
                    key: txn.shown_key(t, LocalDot(b))?,
                    columns: Vec::new(),
                    at: Stamp(stamp).millis(),
                });
            }
            Ok(out)
        })
    }

    /// Conflicts on record.
    pub fn conflicts(&mut self) -> Result<Vec<Conflict>, Error> {
        self.read(Millis(0), |txn| {
            let rows: Vec<(u32, i64, i64, i64, i64, i64, i64, Option<i64>)> = txn
                .c
                .prepare(
                    "SELECT t, b, col, loser, winner, kind, at, reviewed FROM _lockstep_conflict ORDER BY at DESC, t, b, loser, col",
                )?
                .query_map([], |r| {
                    Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?, r.get(7)?))
                })?
                .collect::<Result<_, _>>()?;
            let mut out: Vec<Conflict> = Vec::new();
            for (t, b, col, loser, winner, kind, at, reviewed) in rows {
                let (birth, lost) = (txn.dot(LocalDot(b)), txn.dot(LocalDot(loser)));
                let id = conflict_id(&txn.s.t(t).name, birth, lost);
                let column = match Register::from_number(col) {
                    Register::Existence => None,
                    Register::Column(c) => Some(txn.s.t(t).cols[usize::from(c.0)].clone()),
                };
                if let Some(c) = out.iter_mut().rev().take(64).find(|c| c.id == id) {
                    c.columns.extend(column);
                    continue;
                }
                out.push(Conflict {
                    id,
                    kind: kind_of(kind)?,
                    table: txn.s.t(t).name.clone(),
                    key: txn.shown_key(t, LocalDot(b))?,
                    columns: column.into_iter().collect(),
                    winner: txn.dot(LocalDot(winner)).replica,
                    loser: lost.replica,
                    state: if reviewed.is_some() { ConflictState::Reviewed } else { ConflictState::Auto },
                    at: Millis(at),
                });
            }
            Ok(out)
        })
    }

    /// The running accounts.
    pub fn balance(&mut self) -> Result<Balance, Error> {
        let s = State::load(&self.c, &self.catalog)?;
        Ok(balance_of(&s))
    }

    /// The smaller digest key of two replicas counts. True: it was the other one, and all digests were taken anew.
    pub fn adopt_digest_key(&mut self, key: [u8; 16], now: Millis) -> Result<bool, Error> {
        if State::load(&self.c, &self.catalog)?.digest_key <= key {
            return Ok(false);
        }
        self.write(now, |txn| {
            txn.s.digest_key = key;
            txn.s.touch_meta();
            txn.rehash(key)
        })?;
        Ok(true)
    }

    /// Notes which node a replica lives on, for `prefer:<node>` and for people.
    pub fn name_replica(&mut self, replica: ReplicaId, node: &str, now: Millis) -> Result<(), Error> {
        let known = State::load(&self.c, &self.catalog)?;
        if known.replicas.iter().zip(&known.nodes).any(|(r, n)| *r == replica && n.as_deref() == Some(node)) {
            return Ok(());
        }
        self.write(now, |txn| {
            let n = txn.s.replica_no(replica);
            txn.s.nodes[n as usize] = Some(node.to_owned());
            txn.s.store(txn.c)?;
            txn.c.execute("UPDATE _lockstep_replica SET node = ?2 WHERE n = ?1", params![n, node])?;
            Ok(())
        })
    }

    /// These files began as copies: rows with the same id that were there before are one (`--copies`).
    pub fn began_as_copy_of(&mut self, replica: ReplicaId, now: Millis) -> Result<(), Error> {
        self.write(now, |txn| {
            let n = txn.s.replica_no(replica);
            txn.s.store(txn.c)?;
            txn.c.execute("UPDATE _lockstep_replica SET copies = 1 WHERE n = ?1", [n])?;
            Ok(())
        })
    }

    /// Reads every row again and holds it against the metadata.
    pub fn verify(&mut self, now: Millis) -> Result<Verification, Error> {
        self.harvest(now)?;
        self.read(now, crate::proof::verify)
    }

    /// The names of the nodes that replicas live on, as far as they are known.
    pub fn replica_names(&mut self) -> Result<Vec<(ReplicaId, Option<String>)>, Error> {
        let s = State::load(&self.c, &self.catalog)?;
        Ok(s.replicas.into_iter().zip(s.nodes).skip(1).collect())
    }
}

fn settle_after_harvest(txn: &mut Txn<'_>) -> Result<(), Error> {
    txn.adopt_foreign()?;
    if !txn.touched.is_empty() || txn.has_held()? {
        let plan = txn.settle()?;
        if let Err(p) = txn.write_rows(plan)? {
            return Err(store::damaged(format!("a row of table {} can't be written", p.0)));
        }
    }
    txn.store()
}

fn total(counts: &BTreeMap<u32, Counts>) -> Counts {
    counts.values().fold(Counts::default(), |a, b| Counts {
        inserts: a.inserts + b.inserts,
        updates: a.updates + b.updates,
        deletes: a.deletes + b.deletes,
        conflicts: a.conflicts + b.conflicts,
        id_moves: a.id_moves + b.id_moves,
        writes: a.writes + b.writes,
    })
}

fn vector_of(s: &State, t: u32) -> Vector {
    s.t(t).vector.iter().map(|(r, seq)| (s.replicas[*r as usize], Seq(*seq))).collect()
}

/// The sum over all tables.
pub fn balance_of(s: &State) -> Balance {
    let sum = |account: usize| s.tables.iter().map(|t| t.accounts[account]).sum::<i64>().max(0) as u64;
    Balance {
        visible: sum(VISIBLE),
        superseded: sum(SUPERSEDED),
        archived: sum(ARCHIVED),
        deleted: sum(DELETED),
        held: sum(HELD),
        total: sum(TOTAL),
    }
}

fn kind_of(n: i64) -> Result<ConflictKind, Error> {
    ConflictKind::ALL.into_iter().find(|k| *k as i64 == n).ok_or_else(|| store::damaged("a conflict of no kind"))
}

/// One conflict as people see it is (birth, loser's dot); its id is their hash, the same on every node.
pub fn conflict_id(table: &str, birth: Dot, loser: Dot) -> String {
    short_id(&[
        table.as_bytes(),
        &birth.replica.0,
        &birth.seq.0.to_be_bytes(),
        &loser.replica.0,
        &loser.seq.0.to_be_bytes(),
    ])
}

fn short_id(parts: &[&[u8]]) -> String {
    use sha2::{Digest, Sha256};
    let mut h = Sha256::new();
    for p in parts {
        h.update((p.len() as u64).to_be_bytes());
        h.update(p);
    }
    h.finalize()[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// A page of existing rows, with the time they were last changed where a column says so.
struct Page {
    rows: Vec<(Vec<Value>, Option<Stamp>)>,
    next: Option<Vec<Value>>,
}

fn page(c: &Connection, table: &Table, after: Option<&[Value]>, most: usize) -> Result<Page, Error> {
    let list = table.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(", ");
    let modified = match table.config.modified.as_deref().or_else(|| table.column("updated_at").map(|_| "updated_at")) {
        Some(m) => {
            let m = quote(m);
            format!(
                "CASE typeof({m}) WHEN 'text' THEN CAST((julianday({m}) - 2440587.5) * 86400000.0 AS INTEGER)
                 WHEN 'integer' THEN CASE WHEN {m} > 100000000000 THEN {m} ELSE {m} * 1000 END END"
            )
        }
        None => "NULL".to_owned(),
    };
    let by: Vec<String> = if table.without_rowid {
        match &table.key {
            catalog::Key::Id { column, .. } => vec![quote(&table.columns[*column].name)],
            catalog::Key::Columns(places) => places.iter().map(|&p| quote(&table.columns[p].name)).collect(),
            catalog::Key::Content => Vec::new(),
        }
    } else {
        vec![
            ["rowid", "_rowid_", "oid"]
                .into_iter()
                .find(|n| table.column(n).is_none() || matches!(table.key, catalog::Key::Id { .. }))
                .unwrap_or("rowid")
                .to_owned(),
        ]
    };
    let by = match (&table.key, table.without_rowid) {
        (catalog::Key::Id { column, .. }, false) => vec![quote(&table.columns[*column].name)],
        _ => by,
    };
    // Equal rows of a table without a key can't be told apart on a second visit: all of them at once.
    let most = if table.key == catalog::Key::Content { i64::MAX } else { most as i64 };
    let from = match after {
        Some(_) => {
            let marks: Vec<String> = (1..=by.len()).map(|i| format!("?{i}")).collect();
            format!("WHERE ({}) > ({})", by.join(", "), marks.join(", "))
        }
        None => String::new(),
    };
    let sql = format!(
        "SELECT {list}, {modified}, {} FROM main.{} {from} ORDER BY {} LIMIT {most}",
        by.join(", "),
        quote(&table.name),
        by.join(", ")
    );
    let n = table.columns.len();
    let mut q = c.prepare_cached(&sql)?;
    let mut rows = q.query(params_from_iter(after.unwrap_or_default()))?;
    let mut out = Page { rows: Vec::new(), next: None };
    while let Some(r) = rows.next()? {
        let row: Vec<Value> = (0..n).map(|i| Ok(Value::from(r.get_ref(i)?))).collect::<rusqlite::Result<_>>()?;
        let at = r.get::<_, Option<i64>>(n)?.map(|ms| Stamp::at(Millis(ms)));
        out.rows.push((row, at));
        if out.rows.len() as i64 == most {
            out.next =
                Some((0..by.len()).map(|i| Ok(Value::from(r.get_ref(n + 1 + i)?))).collect::<rusqlite::Result<_>>()?);
        }
    }
    Ok(out)
}

impl Txn<'_> {
    /// The local key of the row that shows a birth, as JSON text.
    pub fn shown_key(&mut self, t: u32, b: LocalDot) -> Result<Option<String>, Error> {
        if self.s.t(t).table.is_none() {
            return Ok(None);
        }
        let class = self.class(t, b)?;
        let Some(&a) = self.anchors(&class)?.first() else { return Ok(None) };
        Ok(self.births[a].key.as_ref().map(json_key))
    }
}

/// A local key for people and scripts: a value, or an array of them.
fn json_key(key: &LocalKey) -> String {
    let json = |v: &Value| match v {
        Value::Null => serde_json::Value::Null,
        Value::Integer(i) => (*i).into(),
        Value::Real(f) => serde_json::Number::from_f64(*f).map_or_else(|| f.to_string().into(), Into::into),
        Value::Text(b) => String::from_utf8_lossy(b).into_owned().into(),
        Value::Blob(b) => b.iter().map(|x| format!("{x:02x}")).collect::<String>().into(),
    };
    match key.values() {
        Some(v) if v.len() == 1 => json(&v[0]).to_string(),
        Some(v) => serde_json::Value::Array(v.iter().map(json).collect()).to_string(),
        None => "null".to_owned(),
    }
}

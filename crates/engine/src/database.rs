//! One attached file, as the node works with it: open, work, drop.
//!
//! Always true here: at rest no connection is open; every call is a transaction of its own, or several short ones;
//! only the main file is written. Not here: when to call what (the node), and what travels (`wire`).
pub use crate::attach::{AttachOptions, attach, detach, hold_against};
use crate::catalog::Catalog;
use crate::change::Batch;
use crate::config::{DatabaseConfig, Guard};
use crate::contact::Began;
use crate::error::Error;
use crate::extract::Limit;
use crate::feeders;
use crate::id::{Host, Millis, ReplicaId, Vectors};
use crate::lineage;
use crate::listing::{balance_of, vector_of};
use crate::reading::Reading;
use crate::record::LocalDot;
pub use crate::report::*;
pub use crate::sibling::Sibling;
use crate::sibling::{Parted, Siblings};
use crate::stop::{self, Point};
use crate::store::{self, State};
use crate::transaction::future;
use crate::transaction::{Counts, Txn};
use crate::{capture, catalog, guest, upgrade};
use rusqlite::{Connection, OptionalExtension};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// Fills a buffer with random bytes.
pub type Entropy<'a> = &'a mut dyn FnMut(&mut [u8]);

/// An attached file, open.
pub struct Database {
    path: PathBuf,
    pub(crate) c: Connection,
    pub(crate) catalog: Rc<Catalog>,
    siblings: Siblings,
    name: String,
    /// Goes into the marks of its history.
    pub(crate) chance: [u8; 16],
    /// Triggers of the application that should run on what is applied, and can't.
    unfit: Vec<String>,
    rows_whole: bool,
    reading: Arc<Reading>,
    /// For tables of which the configuration does not say it.
    pub(crate) guard: Guard,
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

/// What has to be done before anything can be written.
enum First {
    /// The application has changed its schema.
    Audit,
    /// Rows of another file have got other names.
    Follow(Vec<Parted>),
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

pub(crate) fn schema_version(c: &Connection) -> Result<i64, Error> {
    Ok(c.query_row("PRAGMA main.schema_version", [], |r| r.get(0))?)
}

/// Notes the schema that capture fits.
pub(crate) fn remember_schema(c: &Connection) -> Result<(), Error> {
    store::set_meta(c, "schema", schema_version(c)?)
}

fn schema_moved(c: &Connection) -> Result<bool, Error> {
    let known: Option<i64> =
        c.query_row("SELECT v FROM _lockstep_meta WHERE k = 'schema'", [], |r| r.get(0)).optional()?;
    Ok(known != Some(schema_version(c)?) || is_unfinished(c)?)
}

/// Was an audit interrupted before all rows were entered and compared?
fn is_unfinished(c: &Connection) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM _lockstep_table AS t JOIN main.sqlite_master AS m ON m.type = 'table' AND m.name = t.name
       WHERE t.database IS NULL AND t.synced AND coalesce(t.entered, 2) = 2)";
    Ok(c.prepare_cached(sql)?.query_row([], |r| r.get(0))?)
}

impl Database {
    /// Opens an attached file as a guest. Drop it as soon as the work is done.
    pub fn open(path: &Path, siblings: &[Sibling]) -> Result<Database, Error> {
        let mut c = guest::open(path)?;
        c.set_prepared_statement_cache_capacity(600);
        if !store::is_attached(&c)? {
            return Err(Error::NotAttached { path: path.to_owned() });
        }
        upgrade::take_over(&mut c, path)?;
        let name = store::name(&c)?;
        let config = stored_config(&c)?;
        let catalog = Rc::new(catalog::read(&c, &name, &config)?);
        let mut wanted: Vec<String> =
            catalog.tables.iter().flat_map(|t| t.references.iter().filter_map(|r| r.database.clone())).collect();
        wanted.sort();
        wanted.dedup();
        let unfit = feeders::install(&c, &catalog)?;
        let siblings = Siblings::attach(&c, siblings, &name, &wanted)?;
        let (path, guard) = (path.to_owned(), Guard::default());
        Ok(Database {
            path,
            c,
            catalog,
            siblings,
            name,
            chance: [0; 16],
            unfit,
            rows_whole: false,
            reading: Arc::default(),
            guard,
        })
    }

    /// Calls `f` at every step of SQLite's machine, to count work; true: break off there, as a crash does. None: no more.
    pub fn on_step(&mut self, f: Option<impl FnMut() -> bool + Send + 'static>) -> Result<(), Error> {
        Ok(self.c.progress_handler(1, f)?)
    }

    /// Does something with every row read and planned whole: to be looked at, or for what a person says of single rows.
    pub(crate) fn with_rows_whole<T>(&mut self, f: impl FnOnce(&mut Database) -> T) -> T {
        let before = std::mem::replace(&mut self.rows_whole, true);
        let out = f(self);
        self.rows_whole = before;
        out
    }

    /// True: every row is read, planned and hashed whole, whatever was written of it. What comes out is the same; it
    /// takes longer. For tests, which let replicas of both kinds meet.
    pub fn take_rows_whole(&mut self, whole: bool) {
        self.rows_whole = whole;
    }

    /// Whole tables that are read from here on are counted there, and can be ended from there.
    pub fn counts_in(&mut self, reading: Arc<Reading>) {
        self.reading = reading;
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
                columns: table.columns.iter().map(|c| c.name.clone()).collect(),
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
        let mut txn = Txn::new(&self.c, State::load(&self.c, &self.catalog)?, &self.siblings, now);
        txn.rows_whole = self.rows_whole;
        txn.reading = Some(&self.reading);
        Ok(txn)
    }

    /// Runs in one write transaction; rolled back on error. Where the application has changed its schema since we last
    /// looked, capture is put right first.
    pub(crate) fn write<T>(&mut self, now: Millis, f: impl Fn(&mut Txn<'_>) -> Result<T, Error>) -> Result<T, Error> {
        for _ in 0..4 {
            let done = self.write_unchecked(now, |txn| {
                if schema_moved(txn.c)? {
                    return Ok(Err(First::Audit));
                }
                match txn.siblings.parted(txn.c)? {
                    parted if parted.is_empty() => f(txn).map(Ok),
                    parted => Ok(Err(First::Follow(parted))),
                }
            })?;
            match done {
                Ok(x) => return Ok(x),
                Err(First::Audit) => self.audit(now).map(drop)?,
                Err(First::Follow(parted)) => self.write_unchecked(now, |txn| txn.follow_parted(&parted))?,
            }
        }
        Err(Error::SchemaMoves { path: self.path.clone() })
    }

    /// The same, for the audit itself. A row that can't be written as planned is held, and the rest goes on.
    pub(crate) fn write_unchecked<T>(
        &self,
        now: Millis,
        f: impl Fn(&mut Txn<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut poisoned = BTreeSet::new();
        loop {
            begin(&self.c)?;
            match self.finish(now, &poisoned, &f) {
                Err(Error::Poisoned { table, birth }) if poisoned.insert((table, LocalDot(birth))) => {}
                Err(Error::Poisoned { table, .. }) => {
                    return Err(store::damaged(format!("a row of table {table} can be neither written nor held")));
                }
                done => return done,
            }
        }
    }

    fn finish<T>(
        &self,
        now: Millis,
        poisoned: &BTreeSet<(u32, LocalDot)>,
        f: impl Fn(&mut Txn<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = schema_version(&self.c).and_then(|before| {
            let mut txn = self.txn(now)?;
            txn.poisoned.clone_from(poisoned);
            let written = txn.s.written();
            let out = f(&mut txn)?;
            if txn.s.moved {
                lineage::next(&self.c, &txn.s, &written, self.chance, now)?;
            }
            if schema_version(&self.c)? != before {
                remember_schema(&self.c)?;
            }
            self.c.execute_batch("COMMIT")?;
            Ok(out)
        });
        if done.is_err() {
            self.rollback();
        }
        done
    }

    fn rollback(&self) {
        if !self.c.is_autocommit() && self.c.execute_batch("ROLLBACK").is_err() {
            // SQLite rolls back by itself when the connection closes.
        }
    }

    /// Reads in one snapshot.
    pub(crate) fn read<T>(&self, now: Millis, f: impl FnOnce(&mut Txn<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.c.execute_batch("BEGIN")?;
        let done = self.txn(now).and_then(|mut txn| f(&mut txn));
        self.c.execute_batch("ROLLBACK")?;
        done
    }

    /// Turns what the application wrote into versions. In short slices.
    pub fn harvest(&mut self, now: Millis) -> Result<Harvest, Error> {
        let mut out = Harvest::default();
        loop {
            if !self.has_news(now)? {
                return Ok(out);
            }
            let (writes, more) = self.write(now, |txn| {
                stop::at(Point::HarvestBegun);
                let (writes, more) = txn.harvest_slice()?;
                stop::at(Point::HarvestNumbered);
                settle_after_harvest(txn)?;
                stop::at(Point::HarvestStored);
                Ok((writes, more))
            })?;
            stop::at(Point::HarvestCommitted);
            out.writes += writes;
            if !more && writes == 0 {
                return Ok(out);
            }
        }
    }

    /// Is there anything in the logs, or in a file this one refers to, that was not looked at?
    fn has_news(&self, now: Millis) -> Result<bool, Error> {
        if schema_moved(&self.c)? || future::is_due(&self.c, now)? || !self.siblings.parted(&self.c)?.is_empty() {
            return Ok(true);
        }
        let s = State::load(&self.c, &self.catalog)?;
        for t in s.tables.iter().filter(|t| t.table.is_some()) {
            if capture::newest(&self.c, t.n)?.is_some_and(|i| i > t.harvested) {
                return Ok(true);
            }
        }
        Ok(!self.siblings.news(&self.c)?.is_empty())
    }

    /// The next batch of what a peer with these vectors lacks. Harvests first.
    pub fn extract(&mut self, have: &Vectors, limit: Limit, now: Millis) -> Result<Batch, Error> {
        for _ in 0..8 {
            self.harvest(now)?;
            let batch =
                self.read(now, |txn| if txn.is_harvested()? { txn.extract(have, limit).map(Some) } else { Ok(None) })?;
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
        self.apply_checked(now, |txn| {
            txn.follow_siblings()?;
            txn.receive(batch)?;
            txn.settle()
        })
    }

    /// Receives something and plans it; then the deletes are judged, and the plan is written.
    pub(crate) fn apply_checked(
        &mut self,
        now: Millis,
        receive: impl Fn(&mut Txn<'_>) -> Result<crate::rows::RowPlan, Error>,
    ) -> Result<Applied, Error> {
        self.harvest(now)?;
        let n = self.write(now, |txn| {
            stop::at(Point::ApplyBegun);
            catch_up(txn)?;
            stop::at(Point::ApplyCaughtUp);
            let plan = receive(txn)?;
            let plan = txn.guard(plan)?;
            stop::at(Point::ApplyPlanned);
            txn.write_rows(plan)?;
            stop::at(Point::ApplyWritten);
            let sum = total(&txn.counts);
            txn.store()?;
            stop::at(Point::ApplyStored);
            Ok(sum)
        })?;
        stop::at(Point::ApplyCommitted);
        Ok(Applied {
            inserts: n.inserts,
            updates: n.updates,
            deletes: n.deletes,
            conflicts: n.conflicts,
            id_moves: n.id_moves,
            held: self.count_held()?,
            writes: n.writes,
        })
    }

    /// What applying these batches would do, if the file and that of a replica began so. Changes nothing.
    pub fn preview(
        &mut self,
        batches: &[Batch],
        began: Option<(ReplicaId, Began)>,
        now: Millis,
    ) -> Result<Plan, Error> {
        self.harvest(now)?;
        // In a snapshot, without the write lock: a transaction writes nothing before it is stored.
        let (done, contact, names) = self.read(now, |txn| {
            txn.follow_siblings()?;
            if let Some((replica, began)) = began {
                let n = txn.s.replica_no(replica);
                txn.s.began[n as usize] = began;
            }
            for batch in batches {
                txn.receive(batch)?;
            }
            let plan = txn.settle()?;
            let plan = txn.guard(plan)?;
            txn.count_plan(&plan)?;
            txn.count_held(&plan)?;
            let names: Vec<String> = txn.s.tables.iter().map(|t| t.name.clone()).collect();
            let contact = txn.count_contact()?;
            Ok((std::mem::take(&mut txn.counts), contact, names))
        })?;
        let tables = done
            .into_iter()
            .map(|(t, n)| PlanTable {
                name: names[t as usize - 1].clone(),
                inserts: n.inserts,
                updates: n.updates,
                deletes: n.deletes,
                conflicts: n.conflicts,
                held: n.held,
                id_moves: n.id_moves,
            })
            .filter(|t| t.inserts + t.updates + t.deletes + t.conflicts + t.held > 0)
            .collect();
        Ok(Plan { tables, contact })
    }

    pub(crate) fn count_held(&self) -> Result<u64, Error> {
        Ok(self.c.query_row(
            "SELECT (SELECT count(*) FROM (SELECT DISTINCT h.t, coalesce(c.leader, h.b) FROM _lockstep_held AS h
               LEFT JOIN _lockstep_class AS c ON c.t = h.t AND c.b = h.b))
             + (SELECT count(*) FROM (SELECT DISTINCT t, d FROM _lockstep_future))
             + (SELECT count(*) FROM (SELECT DISTINCT t, b FROM _lockstep_difference))",
            [],
            |r| r.get(0),
        )?)
    }

    /// How many of [`Database::conflicts`] nobody has looked at.
    fn count_unreviewed(&mut self) -> Result<u64, Error> {
        let waits = "SELECT EXISTS (SELECT 1 FROM _lockstep_held) OR EXISTS (SELECT 1 FROM _lockstep_difference)";
        if self.c.query_row(waits, [], |r| r.get(0))? {
            // What waits may be on record, too: it is counted once.
            return Ok(self.conflicts()?.iter().filter(|c| c.state != ConflictState::Reviewed).count() as u64);
        }
        Ok(self.c.query_row(
            "SELECT count(*) FROM (SELECT 1 FROM _lockstep_conflict AS c
               LEFT JOIN _lockstep_class AS k ON k.t = c.t AND k.b = c.b
               LEFT JOIN _lockstep_decision AS d ON d.t = c.t AND d.b = c.b AND d.loser = c.loser
             GROUP BY c.t, coalesce(k.leader, c.b), c.loser HAVING count(d.d) = 0)",
            [],
            |r| r.get(0),
        )?)
    }

    /// What this replica says of itself. Harvests nothing.
    pub fn summary(&mut self) -> Result<Summary, Error> {
        let s = self.state_as_if_due()?;
        let mut tables = Vec::new();
        let mut capture_findings = self.unfit.clone();
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
                under_way: s.is_under_way(t.n),
            });
        }
        let conflicts_unreviewed = self.count_unreviewed()?;
        Ok(Summary {
            name: s.name.clone(),
            replica: s.replicas[s.own as usize],
            hosted: s.hosts[s.own as usize].is_some(),
            clock: s.clock,
            mark: s.mark,
            digest_key: s.digest_key,
            tables,
            held: self.count_held()?,
            conflicts_unreviewed,
            capture: capture_findings,
        })
    }

    /// The state of the file, its digests with what lies beside registers for its stamp.
    fn state_as_if_due(&self) -> Result<State, Error> {
        let mut s = State::load(&self.c, &self.catalog)?;
        if future::any(&self.c)? {
            s = self.read(Millis(0), |txn| {
                let mut s = State::load(txn.c, &self.catalog)?;
                for t in s.tables.iter_mut().filter(|t| t.database.is_none()) {
                    t.digest = t.digest.wrapping_add(txn.digest_beside(t.n, &|_| false)?);
                }
                Ok(s)
            })?;
        }
        Ok(s)
    }

    /// What deltas that broke off have left to come to that table, or to any, is waited for no more: who had it may not
    /// send it any more, or is gone for good. Where another has it, too, its next batch says so.
    pub fn expect_no_more(&mut self, table: Option<&str>, now: Millis) -> Result<(), Error> {
        let s = State::load(&self.c, &self.catalog)?;
        let only = table.map(|name| s.find_table(None, name));
        let is_it = |t: u32| only.is_none_or(|only| only == Some(t));
        if !s.until.keys().any(|&(t, _)| is_it(t)) {
            return Ok(());
        }
        self.write(now, |txn| {
            txn.s.until.retain(|&(t, _), _| !is_it(t));
            txn.s.touch_meta();
            txn.s.store(txn.c)
        })
    }

    /// What was received, by table.
    pub fn vectors(&mut self) -> Result<Vectors, Error> {
        let s = State::load(&self.c, &self.catalog)?;
        Ok(s.tables.iter().filter(|t| t.database.is_none()).map(|t| (t.name.clone(), vector_of(&s, t.n))).collect())
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
            // A stored hash counts what is known of a row, and a row may already show what only the logs know.
            catch_up(txn)?;
            txn.s.digest_key = key;
            txn.s.touch_meta();
            txn.rehash(key)
        })?;
        Ok(true)
    }

    /// Notes which node this file lives on, if it has not been said before.
    pub fn live_on(&mut self, host: &Host, now: Millis) -> Result<(), Error> {
        let s = State::load(&self.c, &self.catalog)?;
        if s.hosts[s.own as usize].is_some() {
            return Ok(());
        }
        self.write(now, |txn| {
            let own = txn.s.replicas[txn.s.own as usize];
            txn.s.place(txn.c, own, host)?;
            txn.s.store(txn.c)
        })
    }

    /// Reads every row again and holds it against the metadata.
    pub fn verify(&mut self, now: Millis) -> Result<Verification, Error> {
        self.harvest(now)?;
        self.read(now, crate::proof::verify)
    }

    /// Takes the digest of a table anew. For a table whose rows were found to be the same as a peer's although the digest
    /// that is kept is not: something was written to a row that had been changed behind the capture.
    pub fn recount_digest(&mut self, table: &str, now: Millis) -> Result<(), Error> {
        self.write(now, |txn| {
            catch_up(txn)?;
            if let Some(t) = txn.s.find_table(None, table) {
                txn.rehash_table(t)?;
            }
            txn.s.store(txn.c)
        })
    }

    /// Where replicas live, as far as it is known.
    pub fn hosts(&self) -> Result<BTreeMap<ReplicaId, Host>, Error> {
        let s = State::load(&self.c, &self.catalog)?;
        Ok(s.replicas.into_iter().zip(s.hosts).filter_map(|(r, h)| Some((r, h?))).collect())
    }
}

impl Txn<'_> {
    /// Is every write of the application in this snapshot known?
    pub(crate) fn is_harvested(&self) -> Result<bool, Error> {
        for t in self.s.tables.iter().filter(|t| t.table.is_some()) {
            if capture::newest(self.c, t.n)?.is_some_and(|newest| newest > t.harvested) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Takes in what was written since: nothing is merged with a row whose latest write is not known.
pub(crate) fn catch_up(txn: &mut Txn<'_>) -> Result<(), Error> {
    loop {
        let (writes, more) = txn.harvest_slice()?;
        if writes == 0 && !more {
            return Ok(());
        }
        settle_after_harvest(txn)?;
    }
}

pub(crate) fn settle_after_harvest(txn: &mut Txn<'_>) -> Result<(), Error> {
    let followed = txn.follow_siblings()?;
    txn.merge_due()?;
    txn.touch_left_parents()?;
    if !txn.touched.is_empty() || !txn.edited.is_empty() || followed && txn.has_held()? {
        let plan = txn.settle()?;
        txn.write_rows(plan)?;
    }
    txn.store()
}

fn total(counts: &BTreeMap<u32, Counts>) -> Counts {
    counts.values().fold(Counts::default(), |a, b| Counts {
        inserts: a.inserts + b.inserts,
        updates: a.updates + b.updates,
        deletes: a.deletes + b.deletes,
        conflicts: a.conflicts + b.conflicts,
        held: a.held + b.held,
        id_moves: a.id_moves + b.id_moves,
        writes: a.writes + b.writes,
    })
}

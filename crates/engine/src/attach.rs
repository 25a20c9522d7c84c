//! Attaching and detaching a file: capture goes in, existing rows become entities; or everything of ours goes out.
//!
//! Always true here: the schema objects of the application are never written; the locks are short; an interrupted
//! attach goes on where it was when it is repeated.
use crate::catalog::{Catalog, Table, quote};
use crate::change::Batch;
use crate::config::DatabaseConfig;
use crate::database::{Database, Entropy, remember_schema, stored_config};
use crate::error::Error;
use crate::feeders;
use crate::id::{Millis, Stamp};
use crate::key::LocalKey;
use crate::lineage;
use crate::report::AttachReport;
use crate::sibling::Sibling;
use crate::store::{self, State};
use crate::suggest::{self, Subject, Suggestion, There, suggest};
use crate::value::Value;
use crate::{capture, catalog, guest, upgrade};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::collections::BTreeMap;
use std::path::Path;

/// Existing rows entered in one transaction.
const ENTER_SLICE: usize = 2000;

/// How to attach.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// Switch the file to write-ahead logging.
    pub wal: bool,
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
    if !store::is_attached(&c)? {
        guest::check_sound(&c, path)?;
    }
    if options.wal {
        c.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    }
    let found = catalog::read(&c, name, config)?;
    let mut warnings: Vec<String> = found.warnings.iter().map(|w| format!("{}: {}", w.table, w.text)).collect();
    warnings.extend(feeders::described(&c, &found)?);
    for t in &found.tables {
        warnings.extend(capture::unseen(&c, t)?.into_iter().map(|text| format!("{}: {text}", t.name)));
    }
    let left_out = found.left_out.clone();
    if store::is_attached(&c)? {
        upgrade::check(&c, path)?;
        let is = store::name(&c)?;
        if is != name {
            return Err(Error::OtherName { path: path.to_owned(), found: is, wanted: name.to_owned() });
        }
    } else {
        install(&c, name, config, &found, entropy)?;
    }
    let suggestions = suggestions(&c, name, &found, siblings)?;
    drop(c);
    let mut db = Database::open(path, siblings)?;
    db.enter_rows(now, progress)?;
    db.harvest(now)?;
    Ok(AttachReport { name: name.to_owned(), tables: db.tables()?, left_out, warnings, suggestions })
}

/// What a superadmin may want to say in the configuration, from the schema and the data of this file and its siblings.
fn suggestions(c: &Connection, name: &str, found: &Catalog, siblings: &[Sibling]) -> Result<Vec<Suggestion>, Error> {
    let others = beside(name, siblings)?;
    let others: Vec<Subject<'_>> = others.iter().map(Beside::subject).collect();
    Ok(suggest(Subject { name, conn: c, catalog: found }, &others)?)
}

/// A database beside an attached one.
struct Beside {
    name: String,
    conn: Connection,
    catalog: Catalog,
}

impl Beside {
    fn subject(&self) -> Subject<'_> {
        Subject { name: &self.name, conn: &self.conn, catalog: &self.catalog }
    }
}

fn beside(name: &str, siblings: &[Sibling]) -> Result<Vec<Beside>, Error> {
    let others = siblings.iter().filter(|s| s.name != name);
    others
        .map(|s| {
            let conn = guest::open(&s.path)?;
            let config = if store::is_attached(&conn)? { stored_config(&conn)? } else { DatabaseConfig::default() };
            let catalog = catalog::read(&conn, &s.name, &config)?;
            Ok(Beside { name: s.name.clone(), conn, catalog })
        })
        .collect()
}

/// Holds what would be suggested for an attached file against all that another side has, by database.
///
/// # Errors
/// If a file can't be read.
pub fn hold_against(
    path: &Path,
    siblings: &[Sibling],
    theirs: &BTreeMap<String, Vec<Batch>>,
) -> Result<Vec<(Suggestion, There)>, Error> {
    let conn = guest::open(path)?;
    upgrade::check(&conn, path)?;
    let name = store::name(&conn)?;
    let catalog = catalog::read(&conn, &name, &stored_config(&conn)?)?;
    let others = beside(&name, siblings)?;
    let others: Vec<Subject<'_>> = others.iter().map(Beside::subject).collect();
    Ok(suggest::hold_against(Subject { name: &name, conn: &conn, catalog: &catalog }, &others, theirs)?)
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
    store::set_meta(&tx, "format", upgrade::FORMAT)?;
    store::set_meta(&tx, "name", name)?;
    store::set_meta(&tx, "config", config)?;
    store::set_meta(&tx, "own", 1)?;
    store::set_meta(&tx, "clock", 0)?;
    lineage::first(&tx, mark)?;
    store::set_meta(&tx, "digest_key", key.as_slice())?;
    tx.execute("INSERT INTO _lockstep_replica (n, id) VALUES (1, ?1)", [own.as_slice()])?;
    for (i, t) in found.tables.iter().enumerate() {
        add_table(&tx, i as u32 + 1, t)?;
    }
    remember_schema(&tx)?;
    tx.commit()?;
    Ok(())
}

pub fn add_table(c: &Connection, n: u32, t: &Table) -> Result<(), Error> {
    c.execute(
        "INSERT INTO _lockstep_table (n, name, synced, harvested, digest, rows, a0, a1, a2, a3, a4, a5)
         VALUES (?1, ?2, 1, 0, zeroblob(16), 0, 0, 0, 0, 0, 0, 0)",
        params![n, t.name],
    )?;
    store::create_table(c, n)?;
    capture_table(c, n, t)
}

/// Installs capture for a table that has a number, and marks the ids that it ever had.
pub fn capture_table(c: &Connection, n: u32, t: &Table) -> Result<(), Error> {
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
        c.execute("DELETE FROM _lockstep_used WHERE t = ?1 AND lo BETWEEN 1 AND ?2 AND hi <= ?2", params![n, highest])?;
        c.execute(
            "INSERT OR REPLACE INTO _lockstep_used (t, lo, hi)
             VALUES (?1, 1, max(?2, coalesce((SELECT hi FROM _lockstep_used WHERE t = ?1 AND lo = 1), 0)))",
            params![n, highest],
        )?;
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
    /// Enters the rows of tables that were not entered yet.
    pub(crate) fn enter_rows(&mut self, now: Millis, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
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
                let (rows, next) = self.write_unchecked(now, |txn| {
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
}

/// A page of existing rows, with the time they were last changed where a column says so.
pub struct Page {
    pub rows: Vec<(Vec<Value>, Option<Stamp>)>,
    pub next: Option<Vec<Value>>,
}

/// When a row was last changed, in ms, as far as a column says so.
fn modified_sql(table: &Table) -> String {
    match table.config.modified.as_deref().or_else(|| table.column("updated_at").map(|_| "updated_at")) {
        Some(m) => {
            let m = quote(m);
            format!(
                "CASE typeof({m}) WHEN 'text' THEN CAST((julianday({m}) - 2440587.5) * 86400000.0 AS INTEGER)
                 WHEN 'integer' THEN CASE WHEN {m} > 100000000000 THEN {m} ELSE {m} * 1000 END END"
            )
        }
        None => "NULL".to_owned(),
    }
}

/// When the row under this key was last changed, if a column says so.
pub fn modified_at(c: &Connection, table: &Table, key: &LocalKey) -> Result<Option<Stamp>, Error> {
    let Some(values) = key.values() else { return Ok(None) };
    let locate = crate::transaction::locate(table, 0);
    let sql = format!("SELECT {} FROM main.{} WHERE {locate}", modified_sql(table), quote(&table.name));
    let ms: Option<i64> =
        c.prepare_cached(&sql)?.query_row(params_from_iter(values), |r| r.get(0)).optional()?.flatten();
    Ok(ms.map(|ms| Stamp::at(Millis(ms))))
}

pub fn page(c: &Connection, table: &Table, after: Option<&[Value]>, most: usize) -> Result<Page, Error> {
    let list = table.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(", ");
    let modified = modified_sql(table);
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
    // Two statements over the same rows: a table may have as many columns as a statement may give.
    let rest = format!("FROM main.{} {from} ORDER BY {} LIMIT {most}", quote(&table.name), by.join(", "));
    let mut rows = c.prepare_cached(&format!("SELECT {list} {rest}"))?;
    let mut facts = c.prepare_cached(&format!("SELECT {modified}, {} {rest}", by.join(", ")))?;
    let after = after.unwrap_or_default();
    let (mut rows, mut facts) = (rows.query(params_from_iter(after))?, facts.query(params_from_iter(after))?);
    let mut out = Page { rows: Vec::new(), next: None };
    while let (Some(row), Some(fact)) = (rows.next()?, facts.next()?) {
        let values = |r: &rusqlite::Row<'_>, from: usize, n: usize| -> rusqlite::Result<Vec<Value>> {
            (from..from + n).map(|i| Ok(Value::from(r.get_ref(i)?))).collect()
        };
        let at = fact.get::<_, Option<i64>>(0)?.map(|ms| Stamp::at(Millis(ms)));
        out.rows.push((values(row, 0, table.columns.len())?, at));
        if out.rows.len() as i64 == most {
            out.next = Some(values(fact, 1, by.len())?);
        }
    }
    Ok(out)
}

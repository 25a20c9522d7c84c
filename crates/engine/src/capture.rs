//! Capture: what the application writes to a synced table is noted in a log beside it, by triggers.
//!
//! Always true here: for each write the log holds what [`LogRow`] says, in rows that SQLite 3.8 can write; what our own
//! connection writes is not logged (its triggers are switched off, see [`crate::guest`]); the log never loses its
//! newest row, so its numbers never start anew. Each log carries the names of the columns that it was made for, so it
//! can be read after the table has changed. Not here: what log rows mean for versions (the harvest).
//!
//! The caller numbers the synced tables of a file: table `n` has the log `_lockstep_log_<n>` and the triggers
//! `_lockstep_<n>_…`. All functions run inside the caller's transaction, if there is one.
mod layout;
mod log;
mod triggers;

use crate::catalog::{Table, quote};
use layout::Layout;
pub use log::{LogRow, Op, newest, read, trim};
use rusqlite::{Connection, OptionalExtension};

/// Bytes of a trigger. SQLite reads no statement of more than a million, the application's schema included.
const LONGEST: usize = 950_000;

/// Why capture could not be installed or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log was made for other columns and still holds rows.
    #[error(
        "the log of table `{table}` was made for other columns and holds rows that were not read: read and trim it first"
    )]
    Unread {
        /// Table.
        table: String,
    },
    /// The table has been given another key since its log was made.
    #[error("the log of table `{table}` was made for another key: reinstall capture and compare the rows")]
    KeyMoved {
        /// Table.
        table: String,
    },
    /// A log row that no trigger of ours writes.
    #[error(
        "row {i} of the log of table `{table}` is none that a trigger of Lockstep writes: reinstall capture and compare the rows"
    )]
    Strange {
        /// Table.
        table: String,
        /// Its number.
        i: i64,
    },
    /// Its triggers would be longer than SQLite lets a statement be.
    #[error(
        "table `{table}` has so many columns with so long names that its triggers would not fit into SQLite's limit for a \
         statement: exclude it"
    )]
    TooLong {
        /// Table.
        table: String,
    },
    /// SQLite refused.
    #[error("capture: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// Installs the log and the triggers of table number `n`, or brings them up to date with the table.
///
/// A log that was made for other columns is replaced, and goes on counting where it was.
///
/// # Errors
/// [`Error::Unread`] if such a log holds more than its newest row; [`Error::TooLong`] for a monster of a table.
pub fn install(conn: &Connection, n: u32, table: &Table) -> Result<(), Error> {
    let layout = Layout::new(n, table);
    let triggers = triggers::all(conn, &layout)?;
    if triggers.iter().any(|t| t.sql.len() > LONGEST) {
        return Err(Error::TooLong { table: table.name.clone() });
    }
    let log = layout.log_table();
    match sql_of(conn, "table", &layout.log)? {
        Some(sql) if sql == log => {}
        Some(_) => {
            let (rows, newest): (i64, Option<i64>) =
                conn.query_row(&format!("SELECT count(*), max(i) FROM {}", quote(&layout.log)), [], |r| {
                    Ok((r.get(0)?, r.get(1)?))
                })?;
            if rows > 1 {
                return Err(Error::Unread { table: table.name.clone() });
            }
            conn.execute_batch(&format!("DROP TABLE {}; {log}", quote(&layout.log)))?;
            if let Some(i) = newest {
                conn.execute(&format!("INSERT INTO {}(i, op) VALUES (?1, 0)", quote(&layout.log)), [i])?;
            }
        }
        None => conn.execute_batch(&log)?,
    }
    drop_triggers(conn, n)?;
    for trigger in triggers {
        conn.execute_batch(&trigger.sql)?;
    }
    Ok(())
}

/// Unique keys of which an eviction by REPLACE is not seen at once, but only when rows and metadata are compared; a
/// sentence each.
///
/// # Errors
/// SQLite's.
pub fn unseen(conn: &Connection, table: &Table) -> Result<Vec<String>, Error> {
    let layout = Layout::new(0, table);
    let unseen = triggers::unseen(conn, &layout)?;
    Ok(unseen
        .iter()
        .filter_map(|u| u.index.as_deref())
        .map(|index| {
            format!(
                "SQLite can't look a row up by the index `{index}`: rows that an INSERT OR REPLACE evicts by it are only \
                 noticed by an audit"
            )
        })
        .collect())
}

/// Removes the log and the triggers of table number `n`, if they are there.
///
/// # Errors
/// SQLite's.
pub fn remove(conn: &Connection, n: u32) -> Result<(), Error> {
    drop_triggers(conn, n)?;
    conn.execute_batch(&format!("DROP TABLE IF EXISTS {}", quote(&layout::log_name(n))))?;
    Ok(())
}

/// Removes everything of ours from the file: every trigger, view, index and table whose name begins with `_lockstep_`.
/// Gives their number.
///
/// # Errors
/// SQLite's.
pub fn remove_all(conn: &Connection) -> rusqlite::Result<usize> {
    let mut removed = 0;
    for kind in ["trigger", "view", "index", "table"] {
        let mut names = conn.prepare(
            "SELECT name FROM main.sqlite_master WHERE type = ?1 AND name LIKE '\\_lockstep\\_%' ESCAPE '\\' AND sql IS NOT NULL",
        )?;
        let names = names.query_map([kind], |r| r.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
        for name in names {
            conn.execute_batch(&format!("DROP {kind} main.{}", quote(&name)))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// What is missing, differs from what should be there, or should not be there; a sentence each. Empty: all is well.
///
/// # Errors
/// SQLite's.
pub fn check(conn: &Connection, n: u32, table: &Table) -> Result<Vec<String>, Error> {
    let layout = Layout::new(n, table);
    let mut findings = Vec::new();
    match sql_of(conn, "table", &layout.log)? {
        Some(sql) if sql == layout.log_table() => {}
        Some(_) => findings.push(format!("the log of `{}` was made for other columns", table.name)),
        None => findings.push(format!("the log of `{}` is missing", table.name)),
    }
    let wanted = triggers::all(conn, &layout)?;
    for trigger in &wanted {
        match sql_of(conn, "trigger", &trigger.name)? {
            Some(sql) if sql == trigger.sql => {}
            Some(_) => {
                findings.push(format!("the trigger `{}` of `{}` is not what it should be", trigger.name, table.name));
            }
            None => findings.push(format!("the trigger `{}` of `{}` is missing", trigger.name, table.name)),
        }
    }
    for name in trigger_names(conn, n)? {
        if !wanted.iter().any(|t| t.name == name) {
            findings.push(format!("the trigger `{name}` of `{}` should not be there", table.name));
        }
    }
    Ok(findings)
}

fn sql_of(conn: &Connection, kind: &str, name: &str) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached("SELECT sql FROM main.sqlite_master WHERE type = ?1 AND name = ?2")?
        .query_row([kind, name], |r| r.get(0))
        .optional()
}

fn trigger_names(conn: &Connection, n: u32) -> rusqlite::Result<Vec<String>> {
    let prefix = layout::trigger_prefix(n);
    conn.prepare_cached(
        "SELECT name FROM main.sqlite_master WHERE type = 'trigger' AND substr(name, 1, length(?1)) = ?1",
    )?
    .query_map([prefix], |r| r.get(0))?
    .collect()
}

fn drop_triggers(conn: &Connection, n: u32) -> rusqlite::Result<()> {
    for name in trigger_names(conn, n)? {
        conn.execute_batch(&format!("DROP TRIGGER main.{}", quote(&name)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Opening the application's file as a guest: SQLite alone touches it, politely, and nothing of ours fires.
//!
//! Always true of a connection from [`open`]: it waits for locks with growing pauses, never checkpoints while others
//! are there, trusts nothing in the schema, fires no trigger and follows no foreign key. Close it as soon as the work is
//! done: an open connection keeps the `-wal` file alive after the application has stopped, and whoever then copies the
//! database file alone copies old rows. Not here: file modes, which the caller sets.
use crate::capture;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a lock of the application is waited for, in all.
const PATIENCE: Duration = Duration::from_secs(15);

/// Pages per step of a backup while the source is in rollback mode, where each step locks writers out.
const STEP: i32 = 500;

/// Why a file could not be opened or copied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing there.
    #[error("there is no file `{}`: check the path; Lockstep never makes a database by itself", path.display())]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// A folder, a socket, …
    #[error("`{}` is not a file", path.display())]
    NotAFile {
        /// As given.
        path: PathBuf,
    },
    /// Not SQLite's format.
    #[error("`{}` is not a SQLite database, or it is encrypted: give the file that the application opens, unencrypted", path.display())]
    NotADatabase {
        /// As given.
        path: PathBuf,
    },
    /// SQLite says that the file is damaged.
    #[error("`{}` is damaged ({source}): run `PRAGMA integrity_check` and restore it from a backup", path.display())]
    Corrupt {
        /// As given.
        path: PathBuf,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// It can be read but not written.
    #[error("`{}` can't be written: let the user that runs Lockstep write the file and its folder", path.display())]
    ReadOnly {
        /// As given.
        path: PathBuf,
    },
    /// Locked for longer than we wait.
    #[error("`{}` stayed locked for {} s: some program holds a transaction open; try again when it is done", path.display(), PATIENCE.as_secs())]
    Busy {
        /// As given.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("`{}` can't be opened: {source}", path.display())]
    Io {
        /// As given.
        path: PathBuf,
        /// Its words.
        source: std::io::Error,
    },
    /// Anything else that SQLite refuses.
    #[error("`{}`: {source}", path.display())]
    Sqlite {
        /// As given.
        path: PathBuf,
        /// SQLite's words.
        source: rusqlite::Error,
    },
}

/// Opens an existing file to read and write.
///
/// # Errors
/// Each names the file and says what to do.
pub fn open(path: &Path) -> Result<Connection, Error> {
    let file = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { path: path.to_owned() },
        _ => Error::Io { path: path.to_owned(), source },
    })?;
    if !file.is_file() {
        return Err(Error::NotAFile { path: path.to_owned() });
    }
    let named = |source| named(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags).map_err(named)?;
    conn.busy_handler(Some(wait())).map_err(named)?;
    settle(&conn).map_err(named)?;
    if conn.is_readonly("main").map_err(named)? {
        return Err(Error::ReadOnly { path: path.to_owned() });
    }
    Ok(conn)
}

/// What makes a connection a guest. The first statement that reads the file shows whether it is a database.
fn settle(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    conn.execute_batch(
        "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;",
    )?;
    conn.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
}

/// Pauses of 1 ms and more, up to 50 ms each, until the patience is used up.
fn wait() -> impl FnMut(i32) -> bool + Send + 'static {
    let mut waited = Duration::ZERO;
    move |tries| {
        if tries == 0 {
            waited = Duration::ZERO;
        }
        let pause = Duration::from_millis(1 << tries.clamp(0, 6)).min(Duration::from_millis(50));
        waited += pause;
        if waited > PATIENCE {
            return false;
        }
        std::thread::sleep(pause);
        true
    }
}

fn named(path: &Path, source: rusqlite::Error) -> Error {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Error::NotADatabase { path },
        Some(ErrorCode::DatabaseCorrupt) => Error::Corrupt { path, source },
        Some(ErrorCode::ReadOnly) => Error::ReadOnly { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy { path },
        Some(_) | None => Error::Sqlite { path, source },
    }
}

/// Writes a consistent copy of a live database to `to`; `clean`: without anything of ours. What `to` held is replaced.
///
/// # Errors
/// Each names the file and says what to do.
pub fn backup(from: &Path, to: &Path, clean: bool) -> Result<(), Error> {
    let source = open(from)?;
    let mut target = Connection::open(to).map_err(|e| named(to, e))?;
    copy(&source, &mut target).map_err(|e| named(from, e))?;
    drop(source);
    if clean {
        strip(&mut target).map_err(|e| named(to, e))?;
    }
    target.close().map_err(|(_, e)| named(to, e))
}

fn copy(source: &Connection, target: &mut Connection) -> rusqlite::Result<()> {
    // In WAL mode one snapshot serves the whole copy and locks nobody out. Otherwise small steps let writers in
    // between; if they write so much that the copy never ends, the rest is done in one go.
    let mode: String = source.query_row("PRAGMA journal_mode", [], |r| r.get(0))?;
    let backup = Backup::new(source, target)?;
    let (mut in_steps, mut copied) = (mode != "wal", 0_i64);
    loop {
        match backup.step(if in_steps { STEP } else { -1 })? {
            StepResult::Done => return Ok(()),
            StepResult::More => {
                copied += i64::from(STEP);
                in_steps = copied < 4 * i64::from(backup.progress().pagecount);
                std::thread::sleep(Duration::from_millis(2));
            }
            // The busy handler has had its patience already.
            _ => {
                return Err(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                    None,
                ));
            }
        }
    }
}

/// Takes everything of ours out of a copy, and the room that it took.
fn strip(copy: &mut Connection) -> rusqlite::Result<()> {
    settle(copy)?;
    let transaction = copy.transaction()?;
    capture::remove_all(&transaction)?;
    transaction.commit()?;
    copy.execute_batch("VACUUM")
}

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

/// Is the file sound? Before anything is put into one: what is damaged would only be damaged more.
///
/// Where a read of ours keeps writers from committing, it is looked at table by table.
///
/// # Errors
/// [`Error::Corrupt`] if it is not.
pub fn check_sound(conn: &Connection, path: &Path) -> Result<(), Error> {
    let named = |source| named(path, source);
    let mode: String = conn.query_row("PRAGMA main.journal_mode", [], |r| r.get(0)).map_err(named)?;
    let checks: Vec<String> = if mode == "wal" {
        vec!["PRAGMA main.quick_check(1)".to_owned()]
    } else {
        let mut q =
            conn.prepare("SELECT name FROM main.sqlite_master WHERE type = 'table' AND rootpage > 0").map_err(named)?;
        let names = q
            .query_map([], |r| r.get::<_, String>(0))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(named)?;
        names.iter().map(|n| format!("PRAGMA main.quick_check({})", crate::catalog::quote(n))).collect()
    };
    for check in checks {
        let said: String = conn.query_row(&check, [], |r| r.get(0)).map_err(named)?;
        if said != "ok" {
            let fault = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            let source = rusqlite::Error::SqliteFailure(fault, Some("it fails PRAGMA quick_check".to_owned()));
            return Err(Error::Corrupt { path: path.to_owned(), source });
        }
    }
    Ok(())
}

/// What makes a connection a guest. The first statement that reads the file shows whether it is a database.
fn settle(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    // A statement is prepared once, not anew for every other value that is bound to it.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.execute_batch(
        "PRAGMA mmap_size = 0; PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY; PRAGMA synchronous = EXTRA; PRAGMA wal_autocheckpoint = 0;",
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
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Error::ReadOnly { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy { path },
        Some(_) | None => Error::Sqlite { path, source },
    }
}

/// Is the file in write-ahead logging, in which readers and writers don't wait for each other?
pub fn is_wal(path: &Path) -> Result<bool, Error> {
    let c = open(path)?;
    let mode: rusqlite::Result<String> = c.query_row("PRAGMA main.journal_mode", [], |r| r.get(0));
    let sqlite = |source| Error::Sqlite { path: path.to_owned(), source };
    Ok(mode.map_err(sqlite)?.eq_ignore_ascii_case("wal"))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &Path) -> String {
        open(path).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_opened_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let error = message(&path("no such.db"));
        assert!(error.contains("no such.db") && error.contains("check the path"), "{error}");
        assert!(!path("no such.db").exists());
        assert!(message(folder.path()).contains("is not a file"));
        std::fs::write(path("secret.db"), [7; 5000]).unwrap();
        assert!(message(&path("secret.db")).contains("encrypted"));
        let app = Connection::open(path("app.db")).unwrap();
        app.execute_batch("CREATE TABLE t(a)").unwrap();
        drop(app);
        let mut bytes = std::fs::read(path("app.db")).unwrap();
        bytes[100..140].fill(0xee);
        std::fs::write(path("broken.db"), bytes).unwrap();
        assert!(message(&path("broken.db")).contains("is damaged"));
    }

    #[test]
    fn a_guest_trusts_nothing_and_fires_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        drop(Connection::open(&path).map(|c| c.execute_batch("CREATE TABLE t(a)")).unwrap());
        let guest = open(&path).unwrap();
        let pragma = |name: &str| guest.query_row(&format!("PRAGMA {name}"), [], |r| r.get::<_, i64>(0)).unwrap();
        for (name, value) in [
            ("foreign_keys", 0),
            ("trusted_schema", 0),
            ("wal_autocheckpoint", 0),
            ("temp_store", 2),
            ("synchronous", 3),
            ("query_only", 0),
        ] {
            assert_eq!(pragma(name), value, "{name}");
        }
        assert!(guest.query_row("PRAGMA mmap_size", [], |r| r.get::<_, i64>(0)).is_ok_and(|size| size == 0));
        for (config, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
        ] {
            assert_eq!(guest.db_config(config).unwrap(), on, "{config:?}");
        }
    }

    #[test]
    fn a_lock_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let app = Connection::open(&path).unwrap();
        app.execute_batch("CREATE TABLE t(a); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)").unwrap();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            app.execute_batch("COMMIT").unwrap();
        });
        let guest = open(&path).unwrap();
        guest.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        other.join().unwrap();
        assert_eq!(guest.query_row("SELECT count(*) FROM t", [], |r| r.get::<_, i64>(0)).unwrap(), 2);
    }

    /// A live database in either journal mode, captured and written to while it is copied.
    #[test]
    fn a_backup_is_consistent_and_clean_if_asked() {
        for mode in ["wal", "delete"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("app.db");
            let app = Connection::open(&path).unwrap();
            app.busy_timeout(Duration::from_secs(20)).unwrap();
            app.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |_| Ok(())).unwrap();
            app.execute_batch(
                "CREATE TABLE a(id INTEGER PRIMARY KEY, x); CREATE TABLE b(id INTEGER PRIMARY KEY, x);
                 INSERT INTO a(x) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                   SELECT randomblob(400) FROM n;
                 INSERT INTO b SELECT * FROM a;",
            )
            .unwrap();
            let tables = crate::catalog::read(&app, "db", &crate::config::DatabaseConfig::default()).unwrap().tables;
            for (n, table) in tables.iter().enumerate() {
                capture::install(&app, n as u32, table).unwrap();
            }
            let writer = std::thread::spawn(move || {
                for _ in 0..100 {
                    app.execute_batch("BEGIN IMMEDIATE; DELETE FROM a WHERE id = (SELECT min(id) FROM a); DELETE FROM b WHERE id = (SELECT min(id) FROM b); COMMIT").unwrap();
                }
                app
            });
            for clean in [false, true] {
                let to = folder.path().join(format!("copy {clean}.db"));
                std::fs::write(&to, []).unwrap();
                backup(&path, &to, clean).unwrap();
                let copy = Connection::open(&to).unwrap();
                let number = |sql: &str| copy.query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap();
                assert_eq!(number("SELECT (SELECT group_concat(id) FROM a) = (SELECT group_concat(id) FROM b)"), 1);
                assert_eq!(number("SELECT count(*) FROM sqlite_master WHERE name LIKE '%lockstep%'") == 0, clean);
                assert_eq!(copy.query_row("PRAGMA integrity_check", [], |r| r.get::<_, String>(0)).unwrap(), "ok");
                if clean {
                    assert_eq!(number("PRAGMA freelist_count"), 0);
                }
                drop(copy);
                assert!(!folder.path().join(format!("copy {clean}.db-wal")).exists(), "one file, complete");
            }
            writer.join().unwrap();
        }
    }
}

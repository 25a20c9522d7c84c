//! The state database of a node, `node.db`: peers, databases, invites, runs, settings.
//!
//! Always true here: several processes of one home may use it at once (WAL, a busy timeout, every change in one
//! transaction). A file that a newer Lockstep wrote is left alone. No row's value is ever written here.
//! Not here: what belongs to a database's history, which lies in that database's own file.
mod databases;
mod invites;
mod lineages;
mod peers;
mod restrictions;
mod runs;
mod settings;

pub use databases::AttachedDatabase;
pub use invites::OpenInvite;
pub use lineages::{Break, BreakKind, Remembered};
pub use peers::{Contact, Peer};
pub use runs::{Rate, Run, RunResult, TableEntry, Tally, Trigger};
pub use settings::{AgentPlace, Kind, SETTINGS, Setting, read_duration};

use crate::home::Home;
use crate::platform;
use rusqlite::{Connection, TransactionBehavior};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Says in the file's header that it is a node's state.
const APPLICATION_ID: i32 = 0x4c4b_4e44;

/// The steps from each format to the next; the format is how many have been taken.
const MIGRATIONS: [&str; 5] = [
    include_str!("state/format1.sql"),
    include_str!("state/format2.sql"),
    include_str!("state/format3.sql"),
    include_str!("state/format4.sql"),
    include_str!("state/format5.sql"),
];

/// The state of one node.
#[derive(Debug)]
pub struct State(Mutex<Connection>);

/// Why the state can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused.
    #[error("the node's state database can't be used: {source}")]
    Sqlite {
        /// Why.
        #[from]
        source: rusqlite::Error,
    },
    /// The file could not be created.
    #[error("{} can't be created: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It was written by a newer Lockstep.
    #[error("{} has format {found}; this Lockstep knows formats up to {known}", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// It is another program's database.
    #[error("{} is not the state of a Lockstep node", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It holds something that was never written there.
    #[error("the node's state database is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// The name is taken.
    #[error("there is a {what} named `{name}` already")]
    NameTaken {
        /// `peer` or `database`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The name is unknown.
    #[error("there is no {what} named `{name}`")]
    Unknown {
        /// `peer`, `database`, `conflict`, `setting`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A setting can't have that value.
    #[error("`{key}` can't be `{value}`: {why}")]
    BadSetting {
        /// The setting.
        key: String,
        /// The value that was given.
        value: String,
        /// What it may be.
        why: String,
    },
}

impl Error {
    /// Stable, for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Sqlite { .. } => "state_sqlite",
            Error::Io { .. } => "state_io",
            Error::NewerFormat { .. } => "newer_format",
            Error::Foreign { .. } => "state_foreign",
            Error::Damaged { .. } => "state_damaged",
            Error::NameTaken { .. } => "name_taken",
            Error::Unknown { what: "peer", .. } => "unknown_peer",
            Error::Unknown { what: "database", .. } => "unknown_database",
            Error::Unknown { what: "conflict", .. } => "unknown_conflict",
            Error::Unknown { .. } => "unknown_setting",
            Error::BadSetting { .. } => "bad_setting",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::NewerFormat { .. } => Some("use the Lockstep that wrote it, or a newer one"),
            Error::Foreign { .. } => Some("name the node's folder with --home"),
            Error::Damaged { .. } => Some("keep the file; make a new node in another folder and pair it anew"),
            Error::NameTaken { what: "peer", .. } => Some("choose another name with --as"),
            Error::Unknown { what: "peer", .. } => Some("`lockstep peers` lists them"),
            Error::Unknown { what: "database", .. } => Some("`lockstep tables` lists them"),
            Error::Unknown { what: "conflict", .. } => Some("`lockstep conflicts --all` lists them"),
            Error::Unknown { .. } => Some("`lockstep settings` lists them"),
            Error::BadSetting { .. } => Some("`lockstep settings` says what each is for"),
            Error::Sqlite { .. } | Error::Io { .. } | Error::NameTaken { .. } => None,
        }
    }
}

type Result<T> = std::result::Result<T, Error>;

impl State {
    /// Opens the state of a home, creating or upgrading it.
    pub fn open(home: &Home) -> Result<State> {
        let path = home.state();
        // SQLite gives the -wal and -shm files the mode of the database. One that is there is not opened past SQLite:
        // closing it would take this process's locks off the file.
        match platform::private_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Error::Io { path, source });
            }
            Ok(_) | Err(_) => {}
        }
        let mut db = Connection::open(&path)?;
        db.busy_timeout(Duration::from_secs(10))?;
        let id: i32 = db.query_row("PRAGMA application_id", [], |r| r.get(0))?;
        let objects: i64 = db.query_row("SELECT count(*) FROM sqlite_master", [], |r| r.get(0))?;
        if id != APPLICATION_ID && (id != 0 || objects != 0) {
            return Err(Error::Foreign { path });
        }
        let known = i64::try_from(MIGRATIONS.len()).expect("few");
        let found: i64 = db.query_row("PRAGMA user_version", [], |r| r.get(0))?;
        if found > known {
            return Err(Error::NewerFormat { path, found, known });
        }
        db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        db.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")?;
        if found < known {
            migrate(&mut db)?;
        }
        Ok(State(Mutex::new(db)))
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere left no transaction open: dropping one rolls it back.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Several changes at once or none.
    fn change<T>(&self, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut db = self.db();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = f(&tx)?;
        tx.commit()?;
        Ok(done)
    }
}

fn migrate(db: &mut Connection) -> Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let from: usize = tx.query_row("PRAGMA user_version", [], |r| r.get(0))?;
    for step in MIGRATIONS.iter().skip(from) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len()).expect("few"))?;
    Ok(tx.commit()?)
}

fn bytes<const N: usize>(what: &str, found: Vec<u8>) -> Result<[u8; N]> {
    found.try_into().map_err(|_| Error::Damaged { what: format!("{what} has the wrong length") })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn fresh() -> (tempfile::TempDir, Home, State) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.create().unwrap();
        let state = State::open(&home).unwrap();
        (dir, home, state)
    }

    #[test]
    fn a_newer_format_and_a_foreign_file_are_left_alone() {
        let (_dir, home, state) = fresh();
        state.db().pragma_update(None, "user_version", 99).unwrap();
        drop(state);
        assert!(matches!(State::open(&home), Err(Error::NewerFormat { found: 99, .. })));
        std::fs::remove_file(home.state()).unwrap();
        Connection::open(home.state()).unwrap().execute_batch("CREATE TABLE user(id)").unwrap();
        assert!(matches!(State::open(&home), Err(Error::Foreign { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn the_state_and_its_wal_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, home, state) = fresh();
        state.set_setting("name", "a").unwrap();
        let mut seen = 0;
        for entry in std::fs::read_dir(home.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                seen += 1;
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
            }
        }
        assert!(seen >= 2, "the database and its wal");
    }

    #[test]
    fn two_processes_may_write_at_once() {
        let (_dir, home, state) = fresh();
        let other = State::open(&home).unwrap();
        std::thread::scope(|s| {
            for (state, who) in [(&state, "a"), (&other, "b")] {
                s.spawn(move || (0..50).for_each(|i| state.set_setting(&format!("name.{who}{i}"), who).unwrap()));
            }
        });
        assert_eq!(state.raw_settings().unwrap().len(), 100);
    }
}

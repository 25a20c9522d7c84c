//! Care for the capture of a file: looking it over, and running the application's migrations without it in the way.
//!
//! Always true here: while a migration runs nobody of this node works on its file; when the process that runs it is
//! gone, however it ended, the next look puts capture back, and what was written meanwhile is found by comparing rows.
use crate::engine::Database;
use crate::home::{Lock, Work};
use crate::node::Node;
use crate::state::AttachedDatabase;
use crate::{Error, Result, lineage};
use serde::Serialize;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// What `doctor` found in one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CareReport {
    /// Logical name.
    pub name: String,
    /// What was not as it should be, in sentences without values.
    pub findings: Vec<String>,
    /// Was it put right? True also where nothing was found.
    pub repaired: bool,
}

/// How a migration went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MigrationReport {
    /// Logical name.
    pub name: String,
    /// The exit status of the command; 128 and the number of the signal that ended it.
    pub exit: i32,
    /// What the migration did to the schema, and to rows while nothing was captured.
    pub findings: Vec<String>,
    /// The copy that was made before.
    pub backup: String,
}

/// How long another process of this home is waited for.
const TURN: Duration = Duration::from_secs(120);

impl Node {
    /// Looks a database over, or all of them: triggers, logs, and every row against what is known of it. Puts right what
    /// is wrong.
    pub async fn doctor(&self, name: Option<&str>) -> Result<Vec<CareReport>> {
        let databases = match name {
            Some(name) => vec![self.state().database(name)?],
            None => self.state().databases()?,
        };
        let _turn = self.home().lock(Work::Sync, TURN).await?;
        let mut reports = Vec::new();
        for database in databases {
            let now = self.now();
            let (findings, left) = self.with_database(&database, |db| {
                let mut findings = db.examine(now)?;
                let verified = db.verify(now)?;
                let left: Vec<String> = verified
                    .tables
                    .iter()
                    .flat_map(|t| t.findings.iter().map(move |f| format!("{}: {f}", t.name)))
                    .chain(db.summary()?.capture)
                    .collect();
                findings.extend(left.iter().cloned());
                Ok((findings, left))
            })?;
            reports.push(CareReport { name: database.name, findings, repaired: left.is_empty() });
        }
        Ok(reports)
    }

    /// Runs the application's migration with capture lifted. Where it runs and where its words go, the command says.
    pub async fn migrate(&self, name: &str, command: &mut Command) -> Result<MigrationReport> {
        let database = self.state().database(name)?;
        let _turn = self.home().lock(Work::Sync, TURN).await?;
        let _migrating = self.home().lock(Work::Migration, TURN).await?;
        let now = self.now();
        self.with_turn(&database, || {
            let mut db = self.open_alone(&database)?;
            self.follow_lineage(&database, &mut db)?;
            db.begin_migration(now).map_err(|e| Error::engine(name, e))?;
            self.remember_lineage(&database, &db)
        })?;
        // With capture lifted the copy holds what is known, and nothing more.
        let backup = match self.set_aside(&database, "before-migration") {
            Ok(backup) => backup,
            Err(e) => {
                self.end_migration(&database, None)?;
                return Err(e);
            }
        };
        let program = command.get_program().to_string_lossy().into_owned();
        let ended = command.status().map_err(|source| Error::Command { program, source });
        // Whatever came of it.
        let findings = self.end_migration(&database, Some(&backup))?;
        Ok(MigrationReport {
            name: name.to_owned(),
            exit: exit_status(ended?),
            findings,
            backup: backup.display().to_string(),
        })
    }

    fn end_migration(&self, database: &AttachedDatabase, copy: Option<&Path>) -> Result<Vec<String>> {
        let now = self.now();
        self.with_turn(database, || {
            let mut db = self.open_alone(database)?;
            let findings = db.end_migration(copy, now).map_err(|e| Error::engine(&database.name, e))?;
            self.remember_lineage(database, &db)?;
            Ok(findings)
        })
    }

    fn open_alone(&self, database: &AttachedDatabase) -> Result<Database> {
        lineage::open(database, &self.siblings(&database.name)?)
    }

    /// Before any work on a file: is a migration under way? If its process is gone, capture is put back.
    pub(crate) fn wait_for_migration(&self, database: &AttachedDatabase, db: &mut Database) -> Result<()> {
        let failed = |e| Error::engine(&database.name, e);
        if !db.is_migrating().map_err(failed)? {
            return Ok(());
        }
        let _gone: Lock = self
            .home()
            .try_lock(Work::Migration)?
            .ok_or_else(|| Error::Migrating { database: database.name.clone() })?;
        let copy = self.newest_aside(database, "before-migration")?;
        let findings = db.end_migration(copy.as_deref(), self.now()).map_err(failed)?;
        tracing::warn!(database = %database.name, ?findings, "a migration was interrupted; capture was put back");
        Ok(())
    }
}

#[cfg(unix)]
fn exit_status(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1)
}

#[cfg(not(unix))]
fn exit_status(status: ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}

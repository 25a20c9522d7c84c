//! Attaching and detaching databases, saying what of them is synced, and copying them.
//!
//! Always true here: before anything is installed in a file there is a backup of it, unless the person declined. What
//! fails leaves the file and this node's state as they were, and can be tried again.
use crate::engine::{self, AttachOptions, AttachedTable};
use crate::home::Work;
use crate::node::{Node, timestamp};
use crate::shelf::ordered;
use crate::state::AttachedDatabase;
use crate::{Error, Result, configure, platform};
use lockstep_engine::config::{DatabaseConfig, TableConfig};
use lockstep_engine::suggest::Suggestion;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What to attach, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attach {
    /// Logical name and file.
    pub databases: Vec<(String, PathBuf)>,
    /// `lockstep.toml`; none: the one beside the first database, if there is one.
    pub config: Option<PathBuf>,
    /// Set the files to WAL mode.
    pub wal: bool,
    /// Write a backup of each first.
    pub backup: bool,
    /// What a person accepted of that which [`Node::inspect`] suggests: database, and the suggestion.
    pub accepted: Vec<(String, Suggestion)>,
    /// What a person says of single tables, in place of what the configuration says: database, table.
    pub said: Vec<(String, String, TableConfig)>,
    /// Tables that a person leaves out, beside what the configuration leaves out: database, table.
    pub left_out: Vec<(String, String)>,
}

/// What was attached, as `attach` and `tables` print it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatabaseReport {
    /// Logical name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Is it in write-ahead logging?
    pub wal: bool,
    /// What was said of its tables.
    #[serde(skip)]
    pub config: DatabaseConfig,
    /// The backup that was written first.
    pub backup: Option<String>,
    /// Its tables.
    pub tables: Vec<TableReport>,
    /// Tables that are not synced, and why.
    pub left_out: Vec<LeftOut>,
    /// What a person should look at.
    pub warnings: Vec<String>,
    /// What the configuration might say, with the evidence. Printed as sentences.
    #[serde(serialize_with = "as_sentences")]
    pub suggestions: Vec<Suggestion>,
}

fn as_sentences<S: Serializer>(suggestions: &[Suggestion], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(suggestions.iter().map(ToString::to_string))
}

/// A table that is not synced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
    /// The configuration says so: it could be synced otherwise.
    pub excluded: bool,
    /// Of one that the configuration leaves out, the columns that can be written.
    pub columns: Vec<String>,
}

impl LeftOut {
    fn of(l: lockstep_engine::catalog::LeftOut) -> LeftOut {
        LeftOut { name: l.name, reason: l.reason, excluded: l.excluded, columns: l.columns }
    }
}

/// A table and how it is synced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Is it synced?
    pub synced: bool,
    /// Its columns that can be written.
    pub columns: Vec<String>,
    /// The column whose numbers mean something on one node only.
    pub surrogate: Option<String>,
    /// The columns by which people know a row: one list for each key.
    pub identity: Vec<Vec<String>>,
    /// `column -> database.table`
    pub references: Vec<String>,
    /// What to look at; for a table that isn't synced, why.
    pub warnings: Vec<String>,
}

impl TableReport {
    /// With the warnings that concern it, which the engine writes as `table: text`.
    fn of(t: AttachedTable, warnings: &[String]) -> TableReport {
        let AttachedTable { name, rows, synced, columns, surrogate, identity, references, .. } = t;
        let prefix = format!("{name}: ");
        let warnings = warnings.iter().filter_map(|w| w.strip_prefix(&prefix)).map(str::to_owned).collect();
        TableReport { name, rows, synced, columns, surrogate, identity, references, warnings }
    }
}

/// A copy of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// Where it is.
    pub file: String,
    /// Of the whole file, hex.
    pub sha256: String,
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{} can't be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It isn't what it should be.
    #[error("{}: {source}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A name that can't be one.
    #[error("`{name}` can't be the name of a database")]
    Name {
        /// The name.
        name: String,
    },
    /// A copy would overwrite something.
    #[error("{} is there already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

impl ConfigError {
    /// Stable, for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            ConfigError::Io { .. } => "file_io",
            ConfigError::Toml { .. } => "config",
            ConfigError::Name { .. } => "bad_name",
            ConfigError::Exists { .. } => "file_exists",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            ConfigError::Io { .. } => {
                Some("see whether the file is there, and whether this user may read and write it")
            }
            ConfigError::Toml { .. } => Some("see the example in `lockstep attach --help`"),
            ConfigError::Name { .. } => Some("use letters, digits, - and _; the same name on all nodes"),
            ConfigError::Exists { .. } => Some("name another file; nothing is ever overwritten"),
        }
    }
}

/// `lockstep.toml`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConfigFile {
    databases: BTreeMap<String, DatabaseConfig>,
}

fn read_config(attach: &Attach) -> Result<ConfigFile, ConfigError> {
    let beside = || {
        let (_, first) = attach.databases.first()?;
        Some(first.parent()?.join("lockstep.toml")).filter(|p| p.exists())
    };
    let Some(path) = attach.config.clone().or_else(beside) else { return Ok(ConfigFile::default()) };
    let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Io { path: path.clone(), source })?;
    toml::from_str(&text).map_err(|source| ConfigError::Toml { path, source: Box::new(source) })
}

fn good_database_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Called with (database, rows entered, rows in all) while existing rows are entered.
pub type AttachProgress<'a> = &'a mut dyn FnMut(&str, u64, u64);

impl Node {
    /// Attaches databases: a backup, capture, and every existing row entered. Can be repeated.
    pub async fn attach(&self, attach: &Attach, progress: AttachProgress<'_>) -> Result<Vec<DatabaseReport>> {
        let _turn = self.home().lock(Work::Sync, std::time::Duration::from_secs(60)).await?;
        self.attach_now(attach, progress)
    }

    /// The databases that are meant, with what the configuration says of each.
    ///
    /// Where `lockstep.toml` is silent about a database that is attached, what was said of it stands.
    pub(crate) fn wanted(&self, attach: &Attach) -> Result<Vec<AttachedDatabase>> {
        let known = self.state().databases()?;
        let mut config = read_config(attach)?;
        let mut wanted = Vec::new();
        for (name, file) in &attach.databases {
            if !good_database_name(name) {
                return Err(ConfigError::Name { name: name.clone() }.into());
            }
            let io = |source| ConfigError::Io { path: file.clone(), source };
            let file = std::fs::canonicalize(file).map_err(io)?;
            let said = config.databases.remove(name);
            let stands = || known.iter().find(|d| d.name == *name).map(|d| d.config.clone());
            let mut config = said.or_else(stands).unwrap_or_default();
            for (_, suggestion) in attach.accepted.iter().filter(|(database, _)| database == name) {
                suggestion.accept(&mut config);
            }
            for (_, table, said) in attach.said.iter().filter(|(database, ..)| database == name) {
                config.tables.insert(table.clone(), said.clone());
            }
            let here = attach.left_out.iter().filter(|(database, _)| database == name);
            for (_, table) in here {
                if !config.exclude.contains(table) {
                    config.exclude.push(table.clone());
                }
            }
            wanted.push(AttachedDatabase { name: name.clone(), file, config });
        }
        Ok(wanted)
    }

    fn attach_now(&self, attach: &Attach, progress: AttachProgress<'_>) -> Result<Vec<DatabaseReport>> {
        let wanted = self.wanted(attach)?;
        let before = self.state().databases()?;
        for database in &wanted {
            self.state().add_database(database, self.now())?;
        }
        let is_new = |name: &str| !before.iter().any(|d| d.name == name);
        let mut reports = Vec::new();
        for database in ordered(wanted.clone()) {
            match self.attach_one(&database, attach, progress) {
                Ok(report) => reports.push(report),
                Err(e) => {
                    let done = |name: &str| reports.iter().any(|r: &DatabaseReport| r.name == name);
                    for left in wanted.iter().filter(|d| is_new(&d.name) && !done(&d.name)) {
                        self.state().remove_database(&left.name)?;
                    }
                    return Err(e);
                }
            }
        }
        reports.sort_by_key(|r| wanted.iter().position(|d| d.name == r.name));
        Ok(reports)
    }

    fn attach_one(
        &self,
        database: &AttachedDatabase,
        attach: &Attach,
        progress: AttachProgress<'_>,
    ) -> Result<DatabaseReport> {
        let backup = if attach.backup {
            let at = timestamp(self.now()).strftime("%Y%m%dT%H%M%SZ").to_string();
            Some(self.copy(database, &self.free_backup(&database.name, &at), false)?)
        } else {
            None
        };
        self.meet_file(database)?;
        let siblings = self.siblings(&database.name)?;
        let mut report = self.attach_file(database, &siblings, attach.wal, progress)?;
        let (host, now) = (self.host()?, self.now());
        let summary = self.with_database(database, |db| {
            configure::take_up(db, &database.config, now)?;
            let summary = db.summary()?;
            db.live_on(&host, now)?;
            Ok(summary)
        })?;
        self.stands(&database.name, &summary);
        report.backup = backup.map(|b| b.display().to_string());
        Ok(report)
    }

    /// Installs capture in a file and enters its rows; nothing else.
    pub(crate) fn attach_file(
        &self,
        database: &AttachedDatabase,
        siblings: &[engine::Sibling],
        wal: bool,
        progress: AttachProgress<'_>,
    ) -> Result<DatabaseReport> {
        let report = engine::attach(
            &database.file,
            &database.name,
            &database.config,
            siblings,
            &AttachOptions { wal },
            self.now(),
            &mut |bytes| getrandom::fill(bytes).expect("the operating system has random numbers"),
            &mut |done, all| progress(&database.name, done, all),
        )
        .map_err(|e| Error::engine(&database.name, e))?;
        Ok(DatabaseReport {
            name: database.name.clone(),
            file: database.file.display().to_string(),
            wal: self.is_wal(database)?,
            config: database.config.clone(),
            backup: None,
            tables: report.tables.into_iter().map(|t| TableReport::of(t, &report.warnings)).collect(),
            left_out: report.left_out.into_iter().map(LeftOut::of).collect(),
            warnings: report.warnings,
            suggestions: report.suggestions,
        })
    }

    pub(crate) fn is_wal(&self, database: &AttachedDatabase) -> Result<bool> {
        engine::is_wal(&database.file).map_err(|e| Error::engine(&database.name, e))
    }

    pub(crate) fn free_backup(&self, name: &str, at: &str) -> PathBuf {
        let candidates = (1..).map(|n| match n {
            1 => format!("{name}-{at}.db"),
            n => format!("{name}-{at}-{n}.db"),
        });
        let mut paths = candidates.map(|file| self.home().backups().join(file));
        paths.find(|p| !p.exists()).expect("some number is free")
    }

    /// Takes everything of Lockstep out of a file. Its schema and rows stay as they are.
    pub async fn detach(&self, name: &str) -> Result<()> {
        let database = self.state().database(name)?;
        let _turn = self.home().lock(Work::Sync, std::time::Duration::from_secs(60)).await?;
        engine::detach(&database.file).map_err(|e| Error::engine(name, e))?;
        Ok(self.state().remove_database(name)?)
    }

    /// What is synced, and how.
    pub fn tables(&self, name: Option<&str>) -> Result<Vec<DatabaseReport>> {
        let databases = match name {
            Some(name) => vec![self.state().database(name)?],
            None => self.state().databases()?,
        };
        databases
            .into_iter()
            .map(|database| {
                let found =
                    self.with_database(&database, |db| Ok((db.tables()?, db.left_out().to_vec(), db.config()?)))?;
                let (tables, left_out, config) = found;
                Ok(DatabaseReport {
                    wal: self.is_wal(&database)?,
                    config,
                    name: database.name,
                    file: database.file.display().to_string(),
                    backup: None,
                    tables: tables.into_iter().map(|t| TableReport::of(t, &[])).collect(),
                    left_out: left_out.into_iter().map(LeftOut::of).collect(),
                    warnings: Vec::new(),
                    suggestions: Vec::new(),
                })
            })
            .collect()
    }

    /// A consistent copy of a live database.
    pub fn backup(&self, name: &str, to: &Path, clean: bool) -> Result<BackupReport> {
        let database = self.state().database(name)?;
        let to = self.copy(&database, to, clean)?;
        let io = |source| ConfigError::Io { path: to.clone(), source };
        let mut file = std::fs::File::open(&to).map_err(io)?;
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer).map_err(io)? {
                0 => break,
                n => hash.update(&buffer[..n]),
            }
        }
        let sha256 = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        Ok(BackupReport { file: to.display().to_string(), sha256 })
    }

    pub(crate) fn copy(&self, database: &AttachedDatabase, to: &Path, clean: bool) -> Result<PathBuf> {
        platform::private_file(to).map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => ConfigError::Exists { path: to.to_owned() },
            _ => ConfigError::Io { path: to.to_owned(), source },
        })?;
        match engine::backup(&database.file, to, clean) {
            Ok(()) => Ok(to.to_owned()),
            Err(source) => {
                // It was made a moment ago, and is no copy of anything.
                std::fs::remove_file(to).map_err(|source| ConfigError::Io { path: to.to_owned(), source })?;
                Err(Error::engine(&database.name, source))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_engine::config::Policy;

    #[test]
    fn the_configuration_lies_beside_the_first_database_or_where_it_is_said_to() {
        let dir = tempfile::tempdir().unwrap();
        let mut attach = Attach { databases: vec![("users".into(), dir.path().join("users.db"))], ..Attach::default() };
        assert!(read_config(&attach).unwrap().databases.is_empty());
        std::fs::write(dir.path().join("lockstep.toml"), "[databases.users.tables.user]\npolicy = \"review\"").unwrap();
        assert_eq!(read_config(&attach).unwrap().databases["users"].tables["user"].policy, Policy::Review);
        attach.config = Some(dir.path().join("gone.toml"));
        assert!(matches!(read_config(&attach), Err(ConfigError::Io { .. })));
        std::fs::write(dir.path().join("gone.toml"), "[databases.users]\nexlude = []").unwrap();
        assert!(matches!(read_config(&attach), Err(ConfigError::Toml { .. })), "a misspelt word is not ignored");
    }

    #[test]
    fn a_database_s_name_fits_into_commands_and_file_names() {
        assert!(good_database_name("users-2_b"));
        assert!(["", "a.b", "a/b", "a=b", "é", "a b"].iter().all(|n| !good_database_name(n)));
    }
}

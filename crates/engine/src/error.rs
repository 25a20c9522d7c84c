//! What can go wrong in the engine, with a stable code, a sentence for the person and a hint.
use std::path::PathBuf;

/// Nothing was changed, nothing is lost: every error rolls its transaction back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// SQLite refused.
    #[error("SQLite: {source}")]
    Sqlite {
        /// What it said.
        #[from]
        source: rusqlite::Error,
    },
    /// The file could not be opened as a guest.
    #[error(transparent)]
    Guest(#[from] crate::guest::Error),
    /// The schema or the configuration is not what it should be.
    #[error(transparent)]
    Catalog(#[from] crate::catalog::Error),
    /// The capture log could not be read.
    #[error(transparent)]
    Capture(#[from] crate::capture::Error),
    /// The data could not be looked at for suggestions.
    #[error(transparent)]
    Suggest(#[from] crate::suggest::Error),
    /// No capture in this file.
    #[error("{} is not attached", path.display())]
    NotAttached {
        /// The file.
        path: PathBuf,
    },
    /// The file belongs to a newer Lockstep.
    #[error("{} was written by a newer Lockstep (format {found}, this one knows {known})", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The file is attached under another name.
    #[error("{} is attached as `{found}`, not as `{wanted}`", path.display())]
    OtherName {
        /// The file.
        path: PathBuf,
        /// Its name.
        found: String,
        /// The name asked for.
        wanted: String,
    },
    /// A table whose rows were known is not there, and something is to be done with them.
    #[error("the table `{table}` is gone, and with it what its rows held")]
    TableGone {
        /// The table.
        table: String,
    },
    /// Nobody waits for what was read any more.
    #[error("the reading was ended")]
    Ended,
    /// The application changes its schema again and again.
    #[error("the schema of {} changes faster than capture can follow", path.display())]
    SchemaMoves {
        /// The file.
        path: PathBuf,
    },
    /// The batch begins where this replica has not come to.
    #[error("the batch begins after writes to `{table}` that have not come yet")]
    StartNotReached {
        /// The table.
        table: String,
    },
    /// The batch is for another database.
    #[error("the batch is for database `{found}`, this is `{wanted}`")]
    OtherDatabase {
        /// In the batch.
        found: String,
        /// Here.
        wanted: String,
    },
    /// The batch contradicts itself or what is known.
    #[error("the batch does not make sense: {what}")]
    BadBatch {
        /// A sentence.
        what: String,
    },
    /// A row can't be written as planned; it is tried again with the row held.
    #[error("a row can't be written as planned")]
    Poisoned {
        /// Number of the table.
        table: u32,
        /// Its birth.
        birth: i64,
    },
    /// A person's decision can't be carried out.
    #[error(transparent)]
    Decision(#[from] crate::decide::Error),
    /// A table can't be synced like that.
    #[error(transparent)]
    Configure(#[from] crate::configure::Error),
    /// Our own tables are damaged.
    #[error("the tables of Lockstep in this file are damaged: {what}")]
    Damaged {
        /// A sentence.
        what: String,
    },
}

impl Error {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Sqlite { source } => match source.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => "busy",
                Some(rusqlite::ErrorCode::DiskFull) => "disk_full",
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => "corrupt",
                _ => "sqlite",
            },
            Error::Guest(e) => match e {
                crate::guest::Error::Missing { .. } => "missing_file",
                crate::guest::Error::NotAFile { .. } | crate::guest::Error::NotADatabase { .. } => "not_a_database",
                crate::guest::Error::Corrupt { .. } => "corrupt",
                crate::guest::Error::ReadOnly { .. } => "read_only",
                crate::guest::Error::Busy { .. } => "busy",
                crate::guest::Error::Io { .. } => "io",
                crate::guest::Error::Sqlite { .. } => "sqlite",
            },
            Error::Catalog(_) => "schema",
            Error::Capture(_) => "capture",
            Error::Suggest(_) => "sqlite",
            Error::NotAttached { .. } => "not_attached",
            Error::NewerFormat { .. } => "newer_format",
            Error::OtherName { .. } => "other_name",
            Error::SchemaMoves { .. } => "schema",
            Error::TableGone { .. } => "table_gone",
            Error::Ended => "stopped",
            Error::StartNotReached { .. } => "start_not_reached",
            Error::OtherDatabase { .. } => "other_database",
            Error::BadBatch { .. } => "bad_batch",
            Error::Poisoned { .. } => "constraint",
            Error::Decision(e) => e.code(),
            Error::Configure(e) => e.code(),
            Error::Damaged { .. } => "damaged",
        }
    }

    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::Sqlite { .. } => match self.code() {
                "busy" => "the application holds the write lock; try again in a moment",
                "disk_full" => "free some space, then sync again",
                "corrupt" => "set the file aside, restore a backup, then say `lockstep restored`",
                _ => "see whether the application can open and write the file",
            },
            Error::Guest(_) => "mend the file or the path, then try again; nothing was changed",
            Error::Suggest(_) => "see whether the application can read its tables",
            Error::Catalog(_) => "mend the configuration or leave the table out with `exclude`",
            Error::Capture(_) | Error::Damaged { .. } => "run `lockstep doctor`",
            Error::NotAttached { .. } => "run `lockstep attach NAME=FILE` first",
            Error::NewerFormat { .. } => "install the newer Lockstep on this node",
            Error::TableGone { .. } => {
                "if a migration is under way, let it finish; if the table was dropped for good, say `lockstep doctor`"
            }
            Error::SchemaMoves { .. } => "let the migration finish, then sync again",
            Error::Decision(e) => e.hint(),
            Error::Configure(e) => e.hint(),
            Error::OtherName { .. } => "use the name it has, or detach it first",
            Error::Ended => "begin it again when you want to know",
            Error::Poisoned { .. } | Error::StartNotReached { .. } => {
                "nothing to do: the next round sends what is missing"
            }
            Error::OtherDatabase { .. } | Error::BadBatch { .. } => {
                "both nodes should run the same version of Lockstep"
            }
        }
    }
}

//! The engine's calls, as the node uses them. Stands in until the engine's facade is there.
use lockstep_engine::change::{Batch, ConflictKind};
use lockstep_engine::config::DatabaseConfig;
use lockstep_engine::id::{Millis, ReplicaId, Stamp, Vector, Vectors};
use std::path::{Path, PathBuf};

#[allow(missing_docs)]
mod facade {
    use super::*;

    pub type Entropy<'a> = &'a mut dyn FnMut(&mut [u8]);

    pub struct Sibling {
        pub name: String,
        pub path: PathBuf,
    }

    pub struct AttachOptions {
        pub wal: bool,
    }

    #[derive(Clone, Debug)]
    pub struct AttachedTable {
        pub name: String,
        pub rows: u64,
        pub synced: bool,
        pub identity: Vec<Vec<String>>,
        pub references: Vec<String>,
        pub warnings: Vec<String>,
    }

    #[derive(Clone, Debug)]
    pub struct AttachReport {
        pub name: String,
        pub tables: Vec<AttachedTable>,
        pub suggestions: Vec<String>,
    }

    pub struct Harvest {
        pub writes: u64,
    }

    #[derive(Clone, Copy)]
    pub struct Limit {
        pub items: usize,
        pub bytes: usize,
    }

    #[derive(Clone, Debug)]
    pub struct Summary {
        pub name: String,
        pub replica: ReplicaId,
        pub clock: Stamp,
        pub mark: [u8; 16],
        pub digest_key: [u8; 16],
        pub tables: Vec<TableSummary>,
        pub held: u64,
        pub conflicts_unreviewed: u64,
        pub capture: Vec<String>,
    }

    #[derive(Clone, Debug)]
    pub struct TableSummary {
        pub name: String,
        pub fingerprint: [u8; 32],
        pub columns: Vec<String>,
        pub vector: Vector,
        pub rows: u64,
        pub digest: u128,
    }

    #[derive(Clone, Debug, Default)]
    pub struct Applied {
        pub inserts: u64,
        pub updates: u64,
        pub deletes: u64,
        pub conflicts: u64,
        pub id_moves: u64,
        pub held: u64,
        pub writes: u64,
    }

    #[derive(Clone, Debug, Default)]
    pub struct Plan {
        pub tables: Vec<PlanTable>,
    }

    #[derive(Clone, Debug, Default)]
    pub struct PlanTable {
        pub name: String,
        pub inserts: u64,
        pub updates: u64,
        pub deletes: u64,
        pub conflicts: u64,
        pub id_moves: u64,
    }

    #[derive(Clone, Debug, Default)]
    pub struct Balance {
        pub visible: u64,
        pub superseded: u64,
        pub archived: u64,
        pub deleted: u64,
        pub held: u64,
        pub total: u64,
    }

    #[derive(Clone, Debug, Default)]
    pub struct Verification {
        pub balance: Balance,
        pub findings: Vec<String>,
    }

    #[derive(Clone, Debug)]
    pub struct Held {
        pub id: String,
        pub reason: ConflictKind,
        pub table: String,
        pub key: String,
        pub columns: Vec<String>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ConflictState {
        Held,
        Auto,
        Reviewed,
    }

    #[derive(Clone, Debug)]
    pub struct Conflict {
        pub id: String,
        pub kind: ConflictKind,
        pub table: String,
        pub key: String,
        pub columns: Vec<String>,
        pub winner: String,
        pub loser: String,
        pub state: ConflictState,
        pub at: Millis,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Operation {
        Insert,
        Update,
        Delete,
    }

    #[derive(Clone, Debug)]
    pub struct PendingRow {
        pub table: String,
        pub key: String,
        pub operation: Operation,
        pub columns: Vec<String>,
        pub at: Millis,
    }

    #[derive(Debug, thiserror::Error)]
    pub enum Error {
        #[error("`{table}` has not received what this batch starts from")]
        StartNotReached { table: String },
        #[error("{} is not attached", path.display())]
        NotAttached { path: PathBuf },
    }

    impl Error {
        pub fn code(&self) -> &'static str {
            match self {
                Error::StartNotReached { .. } => "start_not_reached",
                Error::NotAttached { .. } => "not_attached",
            }
        }

        pub fn hint(&self) -> Option<String> {
            None
        }
    }

    pub struct Database(std::convert::Infallible);

    #[allow(clippy::too_many_arguments)]
    pub fn attach(
        path: &Path,
        _name: &str,
        _config: &DatabaseConfig,
        _siblings: &[Sibling],
        _options: &AttachOptions,
        _now: Millis,
        _entropy: Entropy<'_>,
        _progress: &mut dyn FnMut(u64, u64),
    ) -> Result<AttachReport, Error> {
        Err(Error::NotAttached { path: path.to_owned() })
    }

    pub fn detach(path: &Path) -> Result<(), Error> {
        Err(Error::NotAttached { path: path.to_owned() })
    }

    impl Database {
        pub fn open(path: &Path, _siblings: &[Sibling]) -> Result<Database, Error> {
            Err(Error::NotAttached { path: path.to_owned() })
        }
        pub fn name(&self) -> &str {
            match self.0 {}
        }
        pub fn tables(&self) -> Vec<AttachedTable> {
            match self.0 {}
        }
        pub fn harvest(&mut self, _now: Millis) -> Result<Harvest, Error> {
            match self.0 {}
        }
        pub fn summary(&mut self) -> Result<Summary, Error> {
            match self.0 {}
        }
        pub fn extract(&mut self, _have: &Vectors, _limit: Limit) -> Result<Batch, Error> {
            match self.0 {}
        }
        pub fn apply(&mut self, _batch: &Batch, _now: Millis) -> Result<Applied, Error> {
            match self.0 {}
        }
        pub fn preview(&mut self, _batches: &[Batch], _now: Millis) -> Result<Plan, Error> {
            match self.0 {}
        }
        pub fn pending(&mut self, _have: &Vectors) -> Result<Vec<PendingRow>, Error> {
            match self.0 {}
        }
        pub fn held(&mut self) -> Result<Vec<Held>, Error> {
            match self.0 {}
        }
        pub fn conflicts(&mut self) -> Result<Vec<Conflict>, Error> {
            match self.0 {}
        }
        pub fn balance(&mut self) -> Result<Balance, Error> {
            match self.0 {}
        }
        pub fn verify(&mut self) -> Result<Verification, Error> {
            match self.0 {}
        }
        pub fn adopt_digest_key(&mut self, _key: [u8; 16]) -> Result<bool, Error> {
            match self.0 {}
        }
    }

    pub fn backup(_from: &Path, to: &Path, _clean: bool) -> Result<(), Error> {
        Err(Error::NotAttached { path: to.to_owned() })
    }
}
pub use facade::*;

//! The engine's calls, as this crate uses them. All of them block.
pub use lockstep_engine::change::ConflictKind;
pub use lockstep_engine::config::{DatabaseConfig, Guard, MergeUnit, Policy, TableConfig};
pub use lockstep_engine::database::{
    AttachOptions, AttachReport, AttachedTable, Balance, Conflict, ConflictState, Contact, Held, Operation, PendingRow,
    Plan, PlanTable, Sibling, Summary, TableSummary, Verification, attach, detach, hold_against,
};
pub use lockstep_engine::suggest::Suggestion;
pub use lockstep_engine::{Database, Error, Limit};
use std::path::Path;

/// Is a file in write-ahead logging?
pub fn is_wal(path: &Path) -> Result<bool, Error> {
    Ok(lockstep_engine::guest::is_wal(path)?)
}

/// Writes a consistent copy of a live database.
pub fn backup(from: &Path, to: &Path, clean: bool) -> Result<(), Error> {
    Ok(lockstep_engine::guest::backup(from, to, clean)?)
}

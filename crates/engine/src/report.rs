//! What the engine tells the node, and through it the person: values, no behaviour beyond sums.
//!
//! Not here: row values. What is named is named by table, column, local key and replica.
use crate::catalog::LeftOut;
use crate::change::{ConflictKind, Kept};
use crate::id::{Millis, ReplicaId, Stamp, Vector};
use crate::lineage::Mark;

/// What attaching found and did.
#[derive(Clone, Debug)]
pub struct AttachReport {
    /// Logical name.
    pub name: String,
    /// What is synced.
    pub tables: Vec<AttachedTable>,
    /// What is not, with the reason.
    pub left_out: Vec<LeftOut>,
    /// Sentences about what a person may want to mend.
    pub warnings: Vec<String>,
    /// Sentences about what the configuration might say, with the evidence.
    pub suggestions: Vec<crate::suggest::Suggestion>,
}

/// One synced table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedTable {
    /// Name.
    pub name: String,
    /// Rows shown here.
    pub rows: u64,
    /// Captured here.
    pub synced: bool,
    /// Its columns that can be written.
    pub columns: Vec<String>,
    /// The surrogate id, if it has one.
    pub surrogate: Option<String>,
    /// Identity keys, by column names.
    pub identity: Vec<Vec<String>>,
    /// `column -> table` or `column -> database.table`.
    pub references: Vec<String>,
    /// Logical names of the other databases it refers to.
    pub refers_to: Vec<String>,
}

/// What a harvest found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harvest {
    /// Writes of the application.
    pub writes: u64,
}

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rows inserted.
    pub inserts: u64,
    /// Rows updated.
    pub updates: u64,
    /// Rows deleted.
    pub deletes: u64,
    /// Conflicts first recorded here.
    pub conflicts: u64,
    /// Rows that got another id than at their birthplace.
    pub id_moves: u64,
    /// Classes held now, in all.
    pub held: u64,
    /// Aliases and records made here, which travel.
    pub writes: u64,
}

/// What applying would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// By table, those with something to do.
    pub tables: Vec<PlanTable>,
    /// What both sides have of each synced table. Means something before they have met only.
    pub contact: Vec<Contact>,
}

/// What two replicas began with in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// Name.
    pub name: String,
    /// Rows that both have alike.
    pub same: u64,
    /// Rows that both have and that differ.
    pub differing: u64,
    /// Rows that only this side has.
    pub only_here: u64,
    /// Rows that only the other side has.
    pub only_there: u64,
    /// Of those, the ones whose id means, or may have meant, another row here.
    pub id_taken: u64,
    /// Of the differing ones, those of which neither has a time.
    pub undatable: u64,
}

/// The same for one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanTable {
    /// Name.
    pub name: String,
    /// Rows that would appear.
    pub inserts: u64,
    /// Rows that would change.
    pub updates: u64,
    /// Rows that would go.
    pub deletes: u64,
    /// Conflicts that would be recorded.
    pub conflicts: u64,
    /// Rows of which something would wait that doesn't now.
    pub held: u64,
    /// Rows that would get another id.
    pub id_moves: u64,
}

/// What a replica says of itself.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Logical name.
    pub name: String,
    /// This file, in this incarnation.
    pub replica: ReplicaId,
    /// Has it been told which node it lives on?
    pub hosted: bool,
    /// Its clock.
    pub clock: Stamp,
    /// The mark of its last harvest.
    pub mark: Mark,
    /// The key of its digests.
    pub digest_key: [u8; 16],
    /// Its tables, also those that only peers have.
    pub tables: Vec<TableSummary>,
    /// Classes held.
    pub held: u64,
    /// Conflicts that nobody has looked at.
    pub conflicts_unreviewed: u64,
    /// What is wrong with capture; empty: nothing.
    pub capture: Vec<String>,
}

/// The same of one table.
#[derive(Clone, Debug)]
pub struct TableSummary {
    /// Name.
    pub name: String,
    /// Here, and captured.
    pub synced: bool,
    /// Columns and rules.
    pub fingerprint: [u8; 32],
    /// Rules alone: identity, references, policies, merge.
    pub rules: [u8; 32],
    /// Column names.
    pub columns: Vec<String>,
    /// What has been received.
    pub vector: Vector,
    /// Rows shown here.
    pub rows: u64,
    /// Over the logical state.
    pub digest: u128,
    /// A delta broke off: what belongs to what came of it is still to come, and till then the digest says nothing.
    pub under_way: bool,
}

/// Where every register that was written or received is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// In a row.
    pub visible: u64,
    /// Replaced by a write that had seen it, or that holds the same value.
    pub superseded: u64,
    /// Lost a conflict, kept whole.
    pub archived: u64,
    /// Of a deleted row.
    pub deleted: u64,
    /// Waits, with a reason.
    pub held: u64,
    /// Was in another account until its time of retention was over.
    pub cleaned: u64,
    /// All that was written or received.
    pub total: u64,
}

impl Balance {
    /// Values that are in no account. Always 0.
    pub fn lost(&self) -> i64 {
        let accounted = self.visible + self.superseded + self.archived + self.deleted + self.held + self.cleaned;
        self.total as i64 - accounted as i64
    }
}

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Traces of deleted rows.
    pub tombstones: u64,
    /// Conflicts.
    pub conflicts: u64,
    /// Values that had been replaced, or had lost a conflict.
    pub archived: u64,
}

/// Something that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Stable on this node.
    pub id: String,
    /// Why.
    pub reason: ConflictKind,
    /// Table.
    pub table: String,
    /// The local key as JSON text; None: it has no row here.
    pub key: Option<String>,
    /// The columns that wait; empty: the whole row.
    pub columns: Vec<String>,
    /// The replica that wrote it.
    pub by: Option<ReplicaId>,
    /// The id of a held row that has to come first, if that is known and held itself.
    pub waits_for: Option<String>,
    /// Since.
    pub at: Millis,
}

/// How far a conflict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictState {
    /// It waits for a person.
    Held,
    /// Settled by rule, not looked at.
    Auto,
    /// A person has looked at it.
    Reviewed,
}

/// One conflict, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The same on every node.
    pub id: String,
    /// What kind.
    pub kind: ConflictKind,
    /// Table.
    pub table: String,
    /// The local key as JSON text, if the row is shown here.
    pub key: Option<String>,
    /// Columns that lost; empty: the row's existence.
    pub columns: Vec<String>,
    /// The replica whose write won; of what is held under `review` the later one, else what is shown, if that is known.
    pub winner: Option<ReplicaId>,
    /// When that was written.
    pub winner_at: Option<Millis>,
    /// The replica whose write lost, or waits.
    pub loser: Option<ReplicaId>,
    /// When that was written.
    pub loser_at: Option<Millis>,
    /// How far it is.
    pub state: ConflictState,
    /// What a person said last.
    pub said: Option<Said>,
    /// When it was recorded here.
    pub at: Millis,
}

/// What a person said about a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The replica on which it was said.
    pub by: ReplicaId,
    /// When.
    pub at: Millis,
    /// What was kept.
    pub kept: Kept,
}

/// What was not yet sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRow {
    /// Table.
    pub table: String,
    /// The local key as JSON text, if it has a row here.
    pub key: Option<String>,
    /// What happened to it.
    pub operation: Operation,
    /// Columns written.
    pub columns: Vec<String>,
    /// When.
    pub at: Millis,
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Insert,
    /// Columns were written.
    Update,
    /// It is gone.
    Delete,
}

/// What `verify` found in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedTable {
    /// Name.
    pub name: String,
    /// Rows in the application's table.
    pub rows: u64,
    /// The digest as kept.
    pub digest: u128,
    /// The digest from the rows as they are.
    pub recounted: u128,
    /// Rows without metadata, metadata without rows, rows that differ from it; sentences without values.
    pub findings: Vec<String>,
}

/// What `verify` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// By table.
    pub tables: Vec<VerifiedTable>,
    /// The running accounts.
    pub balance: Balance,
    /// Counted anew from what is stored.
    pub recounted: Balance,
}

impl Verification {
    /// Everything agrees.
    pub fn well(&self) -> bool {
        self.balance == self.recounted
            && self.balance.lost() == 0
            && self.tables.iter().all(|t| t.findings.is_empty() && t.digest == t.recounted)
    }
}

//! What travels between replicas, as domain values. The wire crate gives them their JSON.
//!
//! A write has one dot and may touch several registers: columns and the existence of one or (after an alias) several
//! births. A [`Change`] is the surviving part of one write in one birth. All items of one (table, dot) stand together
//! and travel in one batch (merge-rules: never cut inside a dot).
use crate::id::{Dot, Host, ReplicaId, Seq, Stamp, Vectors};
use crate::value::Value;
use std::collections::BTreeMap;

/// Part of a delta of one database: the items whose dots lie between the vectors `start` and `end`, in the order of
/// their stamps over all replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Logical name.
    pub database: String,
    /// Tables that items name by their place in this list.
    pub tables: Vec<TableHead>,
    /// Contexts that items name by their place in this list; for one table each.
    pub contexts: Vec<Context>,
    /// What the receiver must have for each table (a lower bound), or it refuses.
    pub start: Vectors,
    /// What it has afterwards.
    pub end: Vectors,
    /// The sender's clock.
    pub clock: Stamp,
    /// Does the delta end here?
    pub last: bool,
    /// What has to come before the receiver has all that belongs to what it got: the end of a delta that does not end
    /// here, and what the sender itself still waits for. Until then a value may be missing that was replaced by a write
    /// which is still to come. Only what `end` does not reach.
    pub until: Vectors,
    /// Where the replicas live whose writes it may hold, as far as the sender knows.
    pub hosts: BTreeMap<ReplicaId, Host>,
    /// In order.
    pub items: Vec<Item>,
}

/// The names behind the numbers of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableHead {
    /// Table name.
    pub name: String,
    /// Columns that changes name by their place in this list.
    pub columns: Vec<String>,
}

/// What the author of a write had received of the table. Its own entry is left out: a replica has seen all of its own
/// earlier writes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Context {
    /// By replica, ascending.
    pub seen: Vec<(ReplicaId, Seq)>,
}

/// One thing with a dot.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Registers of one birth.
    Change(Change),
    /// Two births are one row, or are not.
    Alias(Alias),
    /// A value that lost.
    Conflict(ConflictRecord),
    /// What a person said about a conflict.
    Decision(Decision),
}

impl Item {
    /// The place of its table in [`Batch::tables`].
    pub fn table(&self) -> usize {
        match self {
            Item::Change(c) => c.table,
            Item::Alias(a) => a.table,
            Item::Conflict(r) => r.table,
            Item::Decision(d) => d.table,
        }
    }

    /// Its dot.
    pub fn dot(&self) -> Dot {
        match self {
            Item::Change(c) => c.dot,
            Item::Alias(a) => a.dot,
            Item::Conflict(r) => r.dot,
            Item::Decision(d) => d.dot,
        }
    }

    /// Its stamp.
    pub fn stamp(&self) -> Stamp {
        match self {
            Item::Change(c) => c.stamp,
            Item::Alias(a) => a.stamp,
            Item::Conflict(r) => r.stamp,
            Item::Decision(d) => d.stamp,
        }
    }
}

/// The surviving registers of one write in one birth.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Place in [`Batch::tables`].
    pub table: usize,
    /// The row: the dot of its insert.
    pub birth: Dot,
    /// The write.
    pub dot: Dot,
    /// When, in the order of travel.
    pub stamp: Stamp,
    /// For a row older than Lockstep: the stamp that decides conflicts (its `modified` time, or the lowest). None: `stamp`.
    pub rank: Option<Stamp>,
    /// Place in [`Batch::contexts`]; what the author had seen.
    pub context: usize,
    /// Dots inside the context that the author had *not* seen in this birth, since they were held:
    /// (register, dot); register None is existence, else a place in [`TableHead::columns`].
    pub unseen: Vec<(Option<usize>, Dot)>,
    /// The existence register, if this write holds it.
    pub existence: Option<Existence>,
    /// (place in [`TableHead::columns`], value), ascending.
    pub columns: Vec<(usize, Cell)>,
    /// Only where `dot == birth`.
    pub origin: Option<Origin>,
}

/// What is said once about a row, with its insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its surrogate id at its birthplace, if it has one.
    pub id: Option<i64>,
    /// It was there before its file ever met another replica.
    pub alone: bool,
    /// Places in [`TableHead::columns`] whose register was written anew since, and comes later in the delta.
    pub awaits: Vec<usize>,
}

/// The existence register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existence {
    /// Inserted, or kept by a person.
    Lives,
    /// Deleted, while these reference writes went on naming it.
    Deleted {
        /// References left dangling.
        dangling: Vec<ReferenceWrite>,
    },
}

/// A write to a reference column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReferenceWrite {
    /// Table name, in the same database.
    pub table: String,
    /// Column name.
    pub column: String,
    /// The write.
    pub dot: Dot,
}

/// The value of a column on its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A plain value.
    Value(Value),
    /// The row that a reference column names, by its birth.
    Row(Dot),
    /// A value in a reference column that named no row at its author.
    Raw(Value),
}

/// Why two births are (not) one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AliasKind {
    /// A person said that they are one.
    Hand,
    /// A person said that they are two.
    Apart,
    /// Association rows whose references fell together.
    Fall,
    /// The same identity key.
    Key,
}

/// A fact about two births of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Place in [`Batch::tables`].
    pub table: usize,
    /// Its own dot.
    pub dot: Dot,
    /// When.
    pub stamp: Stamp,
    /// Why.
    pub kind: AliasKind,
    /// The two births, the smaller first.
    pub births: [Dot; 2],
}

/// A value that lost a conflict, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictRecord {
    /// Place in [`Batch::tables`].
    pub table: usize,
    /// Its own dot.
    pub dot: Dot,
    /// When it was recorded.
    pub stamp: Stamp,
    /// The row.
    pub birth: Dot,
    /// The register: None is existence, else a place in [`TableHead::columns`].
    pub register: Option<usize>,
    /// The write that lost.
    pub loser: Dot,
    /// Its stamp.
    pub loser_stamp: Stamp,
    /// Its value; None for existence (a delete that lost).
    pub value: Option<Cell>,
    /// The write that won.
    pub winner: Dot,
    /// The winner's stamp.
    pub winner_stamp: Stamp,
    /// The winner's value; None for existence.
    pub winner_value: Option<Cell>,
    /// What kind of conflict it was, as the recording node saw it.
    pub kind: ConflictKind,
}

/// A person has looked at a conflict, or decided it. What a decision wrote travels as writes like any other; this says
/// whose word it was. Of two decisions about one conflict the later counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Place in [`Batch::tables`].
    pub table: usize,
    /// Its own dot.
    pub dot: Dot,
    /// When.
    pub stamp: Stamp,
    /// The conflict: the row, and the write that lost.
    pub birth: Dot,
    /// See `birth`.
    pub loser: Dot,
    /// What was decided.
    pub kept: Kept,
}

/// What a person chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kept {
    /// Nothing: it was looked at, and stays as it is.
    Seen,
    /// The side that is called the winner.
    Winner,
    /// The side that is called the loser.
    Loser,
    /// Some columns of the one, some of the other.
    Mixed,
}

impl Kept {
    /// All.
    pub const ALL: [Kept; 4] = [Kept::Seen, Kept::Winner, Kept::Loser, Kept::Mixed];

    /// `seen`, `winner`, `loser`, `mixed`.
    pub fn name(self) -> &'static str {
        match self {
            Kept::Seen => "seen",
            Kept::Winner => "winner",
            Kept::Loser => "loser",
            Kept::Mixed => "mixed",
        }
    }

    /// The choice of that name.
    pub fn from_name(name: &str) -> Option<Kept> {
        Kept::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// Conflict kinds, named as in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKind {
    /// Two values of one column.
    UpdateUpdate,
    /// An update won over a delete.
    UpdateDelete,
    /// A delete won over an update.
    DeleteUpdate,
    /// Two inserts with one identity key.
    InsertInsert,
    /// Two rows, one unique key.
    Unique,
    /// The row that a reference names has not come yet.
    MissingParent,
    /// A row was deleted to which a living row refers.
    ParentDeleted,
    /// The merged row would break a CHECK or NOT NULL.
    Constraint,
    /// The peer has a table that is not here.
    TableMissing,
    /// The peer has a column that is not here.
    ColumnMissing,
    /// The two sides are configured differently.
    ConfigDiffers,
    /// A stamp too far in the future.
    Clock,
    /// Both rows live, one under another local id. For information.
    IdCollision,
    /// One of so many deletes that a person has to let them through.
    DeleteGuard,
    /// A person has put it aside.
    Review,
    /// Both sides know the same writes, and the row is not the same.
    Difference,
}

impl ConflictKind {
    /// All, in the order of the documentation.
    pub const ALL: [ConflictKind; 16] = [
        ConflictKind::UpdateUpdate,
        ConflictKind::UpdateDelete,
        ConflictKind::DeleteUpdate,
        ConflictKind::InsertInsert,
        ConflictKind::Unique,
        ConflictKind::MissingParent,
        ConflictKind::ParentDeleted,
        ConflictKind::Constraint,
        ConflictKind::TableMissing,
        ConflictKind::ColumnMissing,
        ConflictKind::ConfigDiffers,
        ConflictKind::Clock,
        ConflictKind::IdCollision,
        ConflictKind::DeleteGuard,
        ConflictKind::Review,
        ConflictKind::Difference,
    ];

    /// `update_update`, …
    pub fn name(self) -> &'static str {
        match self {
            ConflictKind::UpdateUpdate => "update_update",
            ConflictKind::UpdateDelete => "update_delete",
            ConflictKind::DeleteUpdate => "delete_update",
            ConflictKind::InsertInsert => "insert_insert",
            ConflictKind::Unique => "unique",
            ConflictKind::MissingParent => "missing_parent",
            ConflictKind::ParentDeleted => "parent_deleted",
            ConflictKind::Constraint => "constraint",
            ConflictKind::TableMissing => "table_missing",
            ConflictKind::ColumnMissing => "column_missing",
            ConflictKind::ConfigDiffers => "config_differs",
            ConflictKind::Clock => "clock",
            ConflictKind::IdCollision => "id_collision",
            ConflictKind::DeleteGuard => "delete_guard",
            ConflictKind::Review => "review",
            ConflictKind::Difference => "difference",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<ConflictKind> {
        ConflictKind::ALL.into_iter().find(|k| k.name() == name)
    }
}

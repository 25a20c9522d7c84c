//! What came of a session.
use crate::message::{Counts, Refusal};
use crate::session::{Bytes, Identity};
use lockstep_engine::id::Millis;

/// What came of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Who answered, if anybody did.
    pub peer: Option<Identity>,
    /// In a word.
    pub outcome: Outcome,
    /// In the order of the session; those that only one side shares last.
    pub databases: Vec<DatabaseReport>,
    /// How far the peer's clock is ahead of this one's, as measured at the first hello.
    pub clock_offset_ms: Option<i64>,
    /// On the wire.
    pub bytes: Bytes,
    /// Requests sent.
    pub requests: u64,
    /// When it began.
    pub started: Millis,
    /// When it ended.
    pub ended: Millis,
}

/// A session in a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every table of every shared database was compared, and the digests are equal.
    Verified,
    /// No difference was found, but not everything could be compared; the tables say why.
    Partial,
    /// Both have received the same writes, and their digests differ.
    Differs,
    /// It could not be brought to an end.
    Failed(Refusal),
}

/// What came of one database.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseReport {
    /// Logical name.
    pub name: String,
    /// Rounds in which it had news.
    pub rounds: u32,
    /// Items that the peer has taken.
    pub sent: u64,
    /// Items that were applied here.
    pub received: u64,
    /// What that did here.
    pub applied: Counts,
    /// What the items sent did there.
    pub applied_there: Counts,
    /// Held here, when this was last looked at.
    pub held: u64,
    /// Held there.
    pub held_there: u64,
    /// What is wrong with capture there; empty: it is well.
    pub capture_there: Vec<String>,
    /// By name.
    pub tables: Vec<TableReport>,
    /// How the exchange went.
    pub state: DatabaseState,
}

/// How the exchange of one database went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseState {
    /// As far as the tables say.
    Exchanged,
    /// It was given up; what was applied until then stands.
    GivenUp(Refusal),
    /// This node did not have it now.
    MissingHere,
    /// The peer does not share it, or does not have it.
    MissingThere,
    /// Both nodes have one replica: a machine was cloned. Nothing was exchanged.
    Cloned,
}

impl DatabaseReport {
    pub(crate) fn new(name: &str) -> DatabaseReport {
        DatabaseReport {
            name: name.into(),
            rounds: 0,
            sent: 0,
            received: 0,
            applied: Counts::default(),
            applied_there: Counts::default(),
            held: 0,
            held_there: 0,
            capture_there: Vec::new(),
            tables: Vec::new(),
            state: DatabaseState::Exchanged,
        }
    }

    /// Were all of its tables compared, and are they equal?
    pub fn verified(&self) -> bool {
        self.state == DatabaseState::Exchanged && self.tables.iter().all(|t| t.outcome == TableOutcome::Equal)
    }
}

/// What came of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReport {
    /// Table name.
    pub name: String,
    /// Living rows here.
    pub rows: u64,
    /// Living rows there.
    pub rows_there: u64,
    /// How it ended.
    pub outcome: TableOutcome,
}

/// How a table stands at the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableOutcome {
    /// The same writes, the same digest.
    Equal,
    /// The same writes, another digest.
    Differs,
    /// It was written to all the while, so that the two never stood at the same writes.
    Moved,
    /// It goes one way only, and the side that receives it has writes of its own, or the peer exchanges it not at all:
    /// so the two can't be compared.
    OneWay,
    /// Identity, references or policies differ, so that nothing of it was exchanged.
    ConfigDiffers,
    /// This node neither has it nor holds anything for it.
    MissingHere,
    /// The peer neither has it nor holds anything for it.
    MissingThere,
}

/// How far a session has come. What is to come is an estimate: writes that were overtaken don't travel.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Progress {
    /// The database that is being exchanged.
    pub database: Option<String>,
    /// Writes received so far, of all databases.
    pub received: u64,
    /// Writes to receive, at most.
    pub to_receive: u64,
    /// Writes sent so far.
    pub sent: u64,
    /// Writes to send, at most.
    pub to_send: u64,
}

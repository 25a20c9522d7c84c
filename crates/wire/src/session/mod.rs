//! The exchange between two nodes as a machine without I/O: events and the time go in, effects come out.
//!
//! One node begins a session and drives it ([`Session`]); the other only answers ([`answer()`]) and keeps nothing between
//! two answers. A shell carries out the effects, by [`perform`] and whatever carries requests, and returns what came of
//! them as events.
//!
//! The way of a session: both introduce themselves; per database, in the given order, pull until the peer has nothing
//! more, push until this node has nothing more; look where both stand; again, until neither has news or eight rounds
//! are over; compare the digest of every table whose version vectors are equal.
//!
//! Always true here: at most one request and one local effect are under way. A message that is lost, doubled or cut
//! costs time and nothing else, since both sides then say anew where they stand. `Verified` is said only of what was
//! compared.
mod answer;
mod body;
mod machine;
mod report;
mod shared;

pub use answer::{Store, answer, perform};
pub use machine::Session;
pub use report::{DatabaseReport, DatabaseState, Outcome, Progress, Report, TableOutcome, TableReport};

use crate::hex::Hex;
pub use crate::message::Way;
use crate::message::{Counts, DatabaseHello, Digests, DigestsReply, Hello, Pull, PullLimit, PushAck, Refusal};
use lockstep_engine::change::Batch;
use lockstep_engine::id::Vectors;
use std::collections::BTreeMap;

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// SHA-256 of its public key.
    pub node: Hex<32>,
    /// What it calls itself.
    pub name: String,
}

/// How a session is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The databases that are shared with the peer; those that others refer to first.
    pub databases: Vec<String>,
    /// What does not go both ways.
    pub ways: Ways,
    /// After so many rounds with news it ends as partial.
    pub rounds: u32,
    /// How often in a row something may go wrong on the way before the session fails.
    pub tries: u32,
    /// How much a batch holds.
    pub limit: PullLimit,
    /// The same for the first sync of an empty database, whose application does not wait for a lock.
    pub bulk: PullLimit,
}

impl Options {
    /// The usual ones.
    pub fn new(databases: Vec<String>) -> Options {
        let bulk = PullLimit { items: 2_500, bytes: 2 << 20 };
        Options { databases, ways: Ways::default(), rounds: 8, tries: 3, limit: PullLimit::default(), bulk }
    }
}

/// The tables that are not exchanged both ways, as this node has it. What the peer says comes on top.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ways(BTreeMap<String, BTreeMap<Option<String>, Way>>);

impl Ways {
    /// Says it for a table, or for all of a database of which nothing else is said.
    pub fn set(&mut self, database: &str, table: Option<&str>, way: Way) {
        self.0.entry(database.into()).or_default().insert(table.map(Into::into), way);
    }

    /// The way of a table.
    pub fn of(&self, database: &str, table: &str) -> Way {
        let Some(tables) = self.0.get(database) else {
            return Way::Both;
        };
        let own = tables.iter().find(|(name, _)| name.as_deref() == Some(table)).map(|(_, way)| *way);
        own.or_else(|| tables.get(&None).copied()).unwrap_or_default()
    }
}

/// What one node asks of another.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Who are you, and what do you have?
    Hello(Hello),
    /// Send what this node lacks.
    Pull(Pull),
    /// Take this.
    Push(Box<Batch>),
    /// Say the digests.
    Digests(Digests),
}

/// What the other answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To hello.
    Hello(Hello),
    /// To pull.
    Batch(Box<Batch>),
    /// To push.
    PushAck(PushAck),
    /// To digests.
    Digests(DigestsReply),
    /// To anything: it was not done.
    Refused(Refusal),
}

/// What the shell has to do. All of a list may run at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Say what this node has of the shared databases, in one snapshot for each. Ends as [`Event::Summaries`].
    Summarize {
        /// Read the capture logs first, of those that are referred to first.
        harvest: bool,
    },
    /// Take over the peer's digest key. Ends as [`Event::KeyAdopted`].
    AdoptKey {
        /// Logical name.
        database: String,
        /// The key.
        key: Hex<16>,
    },
    /// Read a batch of what the peer lacks. Ends as [`Event::Extracted`].
    Extract {
        /// Logical name.
        database: String,
        /// What the peer has.
        have: Vectors,
        /// Tables of which nothing may be in it. [`leave_out`] helps.
        except: Vec<String>,
        /// How much.
        limit: PullLimit,
    },
    /// Apply a batch in one transaction. Ends as [`Event::Applied`].
    Apply(Box<Batch>),
    /// Send a request. Ends as [`Event::Replied`] or [`Event::Failed`].
    Send(Request),
    /// The session is over.
    Done(Box<Report>),
}

/// What came of an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Of [`Effect::Summarize`].
    Summaries(Result<Vec<DatabaseHello>, Refusal>),
    /// Of [`Effect::AdoptKey`].
    KeyAdopted(Result<(), Refusal>),
    /// Of [`Effect::Extract`].
    Extracted(Result<Box<Batch>, Refusal>),
    /// Of [`Effect::Apply`].
    Applied(Result<Counts, Refusal>),
    /// Of [`Effect::Send`]: the peer has answered.
    Replied {
        /// What.
        reply: Reply,
        /// Both ways.
        bytes: Bytes,
    },
    /// Of [`Effect::Send`]: no answer came, or none that can be read. The peer may have done what was asked.
    Failed {
        /// What happened.
        refusal: Refusal,
        /// May it go well another time? False: the peer sends what this node will never take.
        again: bool,
        /// Both ways.
        bytes: Bytes,
    },
}

/// Bytes as they travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Bytes {
    /// From here.
    pub sent: u64,
    /// To here.
    pub received: u64,
}

/// Helps a [`Store`] to extract nothing of some tables: pretends that the receiver has all of them that this node has.
pub fn leave_out(have: &mut Vectors, own: &Vectors, except: &[String]) {
    for table in except {
        if let Some(vector) = own.get(table) {
            let seen = have.entry(table.clone()).or_default();
            shared::join(seen, vector);
        }
    }
}

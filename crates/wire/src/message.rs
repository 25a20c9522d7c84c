//! The messages of a session but the batch, each one JSON object: `{"v":1,"type":"…",…}`.
//!
//! Always true here: a message that is read has been checked against the limits, and has no field that is not known.
use crate::error::{self, Error};
use crate::hex::Hex;
use crate::limits::Limits;
use crate::vector;
use lockstep_engine::id::{Millis, ReplicaId, Stamp, Vector, Vectors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A message that is one JSON object.
pub trait Message: Sized {
    /// Its `type`.
    const KIND: &'static str;

    /// Its JSON, compact.
    fn to_json(&self) -> Vec<u8>;

    /// Reads it, or refuses it.
    fn from_json(json: &[u8], limits: &Limits) -> Result<Self, Error>;
}

/// What every message says of itself.
pub(crate) trait Tagged {
    /// Version and type.
    fn tag(&self) -> (u64, &str);
}

#[derive(Deserialize)]
struct Peek {
    v: u64,
    r#type: String,
}

/// The type of a message of this version.
pub(crate) fn kind_of(json: &[u8], limits: &Limits) -> Result<String, Error> {
    bound("the message", json.len(), limits.message)?;
    let Peek { v, r#type } = serde_json::from_slice(json).map_err(|e| error::message(&e))?;
    if v == crate::VERSION { Ok(r#type) } else { Err(Error::Version { found: v }) }
}

/// Reads JSON of a kind. Version and type are named before any other fault.
pub(crate) fn read<T: DeserializeOwned + Tagged>(json: &[u8], kind: &'static str) -> Result<T, Error> {
    match serde_json::from_slice::<T>(json) {
        Ok(read) => {
            check_tag(read.tag(), kind)?;
            Ok(read)
        }
        Err(fault) => {
            if let Ok(Peek { v, r#type }) = serde_json::from_slice(json) {
                check_tag((v, &r#type), kind)?;
            }
            Err(error::message(&fault))
        }
    }
}

fn check_tag((version, found): (u64, &str), kind: &'static str) -> Result<(), Error> {
    if version != crate::VERSION {
        return Err(Error::Version { found: version });
    }
    if found != kind {
        let found = found.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(Error::Type { expected: kind, found });
    }
    Ok(())
}

/// Declares a message: the struct that people use, without version and type, and how it is read and written.
macro_rules! message {
    (
        $(#[doc = $about:literal])*
        $kind:literal $name:ident {
            $( $(#[doc = $doc:literal])* $(#[serde $serde:tt])? $field:ident : $type:ty, )*
        }
        check($this:ident, $limits:ident) $check:block
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
        }

        const _: () = {
            #[derive(serde::Serialize, serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Wired {
                v: u64,
                r#type: String,
                $( $(#[serde $serde])? $field: $type, )*
            }

            impl $crate::message::Tagged for Wired {
                fn tag(&self) -> (u64, &str) {
                    (self.v, &self.r#type)
                }
            }

            impl $crate::message::Message for $name {
                const KIND: &'static str = $kind;

                fn to_json(&self) -> Vec<u8> {
                    let wired = Wired {
                        v: $crate::VERSION,
                        r#type: $kind.into(),
                        $( $field: self.$field.clone(), )*
                    };
                    serde_json::to_vec(&wired).expect("a message is plain JSON")
                }

                fn from_json(json: &[u8], $limits: &$crate::Limits) -> Result<$name, $crate::Error> {
                    $crate::message::bound("the message", json.len(), $limits.message)?;
                    let wired: Wired = $crate::message::read(json, $kind)?;
                    let $this = $name { $( $field: wired.$field, )* };
                    $check
                    Ok($this)
                }
            }
        };
    };
}
pub(crate) use message;

message! {
    /// How a node introduces itself, and what of its databases it shares with this peer. Question and answer are alike.
    "hello" Hello {
        /// Who: SHA-256 of its public key.
        node: Hex<32>,
        /// What it calls itself.
        name: String,
        /// Its clock.
        now_ms: Millis,
        /// What it is said for. The answer repeats it.
        word: Word,
        /// Those shared with this peer; those that others refer to first.
        databases: Vec<DatabaseHello>,
    }
    check(hello, limits) {
        bound("a name", hello.name.len(), limits.name)?;
        bound("the list of databases", hello.databases.len(), limits.tables)?;
        hello.databases.iter().try_for_each(|d| d.check(limits))?;
        no_twins(hello.databases.iter().map(|d| d.name.as_str()), "a database is named twice")?;
    }
}

/// What a [`Hello`] is said for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// To begin a session. The other side reads its capture logs first.
    First,
    /// To go on with one. The logs stay as they are, or two busy applications would keep it going.
    Further,
    /// To end one: where the sender stands now.
    Last,
    /// To see where the other side stands, without a session. It reads its capture logs first.
    Look,
}

impl Word {
    /// Are the capture logs read for it?
    pub fn harvests(self) -> bool {
        matches!(self, Word::First | Word::Look)
    }
}

/// One database in a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseHello {
    /// Logical name.
    pub name: String,
    /// The file's present incarnation.
    pub replica: ReplicaId,
    /// The latest mark of the file's history.
    pub mark: Hex<16>,
    /// Which mark that is: 1, 2, 3, … Two marks under one number: a cloned machine. 0: not said.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mark_seq: u64,
    /// The latest mark that it has heard of the receiver's own file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<HeardMark>,
    /// Its hybrid clock.
    pub clock: Stamp,
    /// The key of its digests; both sides take the smaller one.
    pub digest_key: Hex<16>,
    /// How much it holds.
    pub held: u64,
    /// Conflicts that nobody has looked at.
    pub conflicts_unreviewed: u64,
    /// What is wrong with its capture; empty: it is well.
    pub capture: Vec<String>,
    /// The tables that are shared.
    pub tables: Vec<TableHello>,
    /// Names of tables of this database that the sender exchanges with others perhaps, but not with the receiver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<String>,
}

/// A mark of a file's history, as another node remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeardMark {
    /// The incarnation that said it.
    pub replica: ReplicaId,
    /// Which mark.
    pub mark_seq: u64,
    /// The mark.
    pub mark: Hex<16>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl DatabaseHello {
    fn check(&self, limits: &Limits) -> Result<(), Error> {
        bound("a name", self.name.len(), limits.name)?;
        bound("the list of faults", self.capture.len(), limits.tables)?;
        self.capture.iter().try_for_each(|s| bound("a sentence", s.len(), limits.sentence))?;
        let marks = [self.mark_seq, self.heard.map_or(0, |h| h.mark_seq)];
        if marks.iter().any(|n| *n > i64::MAX as u64) {
            return Err(Error::Field { reason: "the number of a mark is below 2^63" });
        }
        if self.clock.0 < 0 {
            return Err(Error::Field { reason: "a stamp is not negative" });
        }
        bound("the list of tables", self.tables.len().saturating_add(self.closed.len()), limits.tables)?;
        self.closed.iter().try_for_each(|name| bound("a name", name.len(), limits.name))?;
        for table in &self.tables {
            bound("a name", table.name.len(), limits.name)?;
            bound("the list of columns", table.columns.len(), limits.columns)?;
            bound("the list of columns", table.withheld.len().max(table.without.len()), limits.columns)?;
            let mut columns = table.columns.iter().chain(&table.withheld).chain(&table.without);
            columns.try_for_each(|c| bound("a name", c.len(), limits.name))?;
            bound("a version vector", table.vector.len(), limits.replicas)?;
        }
        let names = self.tables.iter().map(|t| &t.name).chain(&self.closed);
        no_twins(names.map(String::as_str), "a table is named twice")
    }

    /// The version vectors of its tables.
    pub fn vectors(&self) -> Vectors {
        self.tables.iter().map(|t| (t.name.clone(), t.vector.clone())).collect()
    }
}

/// One table in a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableHello {
    /// Table name.
    pub name: String,
    /// Its columns, as far as they are shared.
    pub columns: Vec<String>,
    /// Over identity keys, references, policies and `merge`, but *not* over the list of columns: where only that
    /// differs the table is still exchanged, where this differs it is not. [`TableHello::NO_RULES`] of a table that
    /// the node does not have itself and for which it holds what others have sent: that goes with any rules.
    pub fingerprint: Hex<32>,
    /// What it has received.
    #[serde(with = "vector::one")]
    pub vector: Vector,
    /// Living rows.
    pub rows: u64,
    /// The digest of its logical state at `vector`, over all columns but those in `without`.
    pub digest: Hex<16>,
    /// A delta to it broke off: till the rest has come the digest says nothing.
    #[serde(default, skip_serializing_if = "is_not")]
    pub under_way: bool,
    /// Which way the sender lets it go.
    #[serde(default, skip_serializing_if = "Way::is_both")]
    pub way: Way,
    /// Columns that the sender lets go neither way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
    /// Columns that don't pass between the two, as far as the sender knows: those that it withholds, and those that it
    /// last heard to be withheld from it. Ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

/// In which direction a table is exchanged, as seen by the node that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Both.
    #[default]
    Both,
    /// From here to the peer.
    Send,
    /// From the peer to here.
    Receive,
    /// Not at all.
    None,
}

impl Way {
    /// Of what goes out and comes in.
    pub fn new(sends: bool, receives: bool) -> Way {
        match (sends, receives) {
            (true, true) => Way::Both,
            (true, false) => Way::Send,
            (false, true) => Way::Receive,
            (false, false) => Way::None,
        }
    }

    /// Does it go from here to the peer?
    pub fn sends(self) -> bool {
        matches!(self, Way::Both | Way::Send)
    }

    /// Does it come from the peer to here?
    pub fn receives(self) -> bool {
        matches!(self, Way::Both | Way::Receive)
    }

    /// What is left of it by what the other side says.
    #[must_use]
    pub fn met_by(self, theirs: Way) -> Way {
        Way::new(self.sends() && theirs.receives(), self.receives() && theirs.sends())
    }

    /// What both allow.
    #[must_use]
    pub fn and(self, other: Way) -> Way {
        Way::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    fn is_both(&self) -> bool {
        *self == Way::Both
    }
}

impl TableHello {
    /// The fingerprint of a table that the node does not have itself.
    pub const NO_RULES: Hex<32> = Hex([0; 32]);
}

/// What a table has received, and the digest of its logical state at that very moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableState {
    /// Table name.
    pub name: String,
    /// What it has received.
    #[serde(with = "vector::one")]
    pub vector: Vector,
    /// Living rows.
    pub rows: u64,
    /// The digest of its logical state.
    pub digest: Hex<16>,
    /// As in [`TableHello`].
    #[serde(default, skip_serializing_if = "is_not")]
    pub under_way: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_not(said: &bool) -> bool {
    !said
}

fn check_states(states: &[TableState], limits: &Limits) -> Result<(), Error> {
    bound("the list of tables", states.len(), limits.tables)?;
    for table in states {
        bound("a name", table.name.len(), limits.name)?;
        bound("a version vector", table.vector.len(), limits.replicas)?;
    }
    no_twins(states.iter().map(|t| t.name.as_str()), "a table is named twice")
}

message! {
    /// Asks for a batch of what the peer has and this node lacks.
    "pull" Pull {
        /// Logical name.
        database: String,
        /// What this node has.
        #[serde(with = "crate::vector::all")]
        have: Vectors,
        /// Tables that are not wanted now, since the two sides are configured differently.
        except: Vec<String>,
        /// How much the answer may hold; at least one write comes in any case.
        limit: PullLimit,
    }
    check(pull, limits) {
        bound("a name", pull.database.len(), limits.name)?;
        check_vectors(&pull.have, limits)?;
        bound("the list of tables", pull.except.len(), limits.tables)?;
        pull.except.iter().try_for_each(|t| bound("a name", t.len(), limits.name))?;
    }
}

/// How much a batch may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullLimit {
    /// Items.
    pub items: u64,
    /// Bytes of their values, roughly.
    pub bytes: u64,
}

impl Default for PullLimit {
    /// So little that the application never waits long for the lock while it is applied.
    fn default() -> PullLimit {
        PullLimit { items: 1_500, bytes: 1 << 20 }
    }
}

message! {
    /// Says that a batch is committed at the peer, and where it stands now.
    "push_ack" PushAck {
        /// Logical name.
        database: String,
        /// What applying the batch did.
        applied: Counts,
        /// All shared tables of the database as they are now, its own new writes included.
        tables: Vec<TableState>,
    }
    check(ack, limits) {
        bound("a name", ack.database.len(), limits.name)?;
        check_states(&ack.tables, limits)?;
    }
}

/// What applying a batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Rows that are new in the application's tables.
    pub inserts: u64,
    /// Rows that were changed.
    pub updates: u64,
    /// Rows that were deleted.
    pub deletes: u64,
    /// Conflicts that were recorded.
    pub conflicts: u64,
    /// Rows that got another id than at their birthplace.
    pub id_moves: u64,
    /// How much is held now, in all.
    pub held: u64,
    /// Writes of its own that the receiver made: aliases and records.
    pub writes: u64,
}

impl Counts {
    /// Adds what a further batch did.
    pub fn add(&mut self, more: Counts) {
        self.inserts += more.inserts;
        self.updates += more.updates;
        self.deletes += more.deletes;
        self.conflicts += more.conflicts;
        self.id_moves += more.id_moves;
        self.held = more.held;
        self.writes += more.writes;
    }
}

message! {
    /// Asks for the digests of tables.
    "digests" Digests {
        /// Logical name.
        database: String,
        /// Which; empty: all that are shared.
        tables: Vec<String>,
    }
    check(ask, limits) {
        bound("a name", ask.database.len(), limits.name)?;
        bound("the list of tables", ask.tables.len(), limits.tables)?;
        ask.tables.iter().try_for_each(|t| bound("a name", t.len(), limits.name))?;
    }
}

message! {
    /// The digests of tables.
    "digests_reply" DigestsReply {
        /// Logical name.
        database: String,
        /// Those asked for, as far as they are there.
        tables: Vec<TableState>,
    }
    check(reply, limits) {
        bound("a name", reply.database.len(), limits.name)?;
        check_states(&reply.tables, limits)?;
    }
}

message! {
    /// Says that something was not done, and why.
    "error" Refusal {
        /// A stable name.
        code: String,
        /// A sentence.
        message: String,
        /// What a person can do about it.
        hint: String,
    }
    check(refusal, limits) {
        bound("a name", refusal.code.len(), limits.name)?;
        bound("a sentence", refusal.message.len(), limits.sentence)?;
        bound("a sentence", refusal.hint.len(), limits.sentence)?;
    }
}

impl Refusal {
    /// The receiver does not have what the batch starts from. The sender looks where the receiver stands, and goes on
    /// from there.
    pub const START_NOT_REACHED: &str = "start_not_reached";

    /// Does it say that the receiver lacks what the batch starts from?
    pub fn is_start_not_reached(&self) -> bool {
        self.code == Refusal::START_NOT_REACHED
    }

    /// Of an error of this crate.
    pub fn of(error: &Error) -> Refusal {
        Refusal { code: error.code().into(), message: error.to_string(), hint: error.hint().into() }
    }
}

pub(crate) fn bound(what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit { Err(Error::TooLarge { what, limit: limit as u64 }) } else { Ok(()) }
}

pub(crate) fn no_twins<'a>(names: impl Iterator<Item = &'a str>, reason: &'static str) -> Result<(), Error> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    if names.windows(2).any(|w| w[0] == w[1]) { Err(Error::Field { reason }) } else { Ok(()) }
}

fn check_vectors(vectors: &Vectors, limits: &Limits) -> Result<(), Error> {
    bound("the list of version vectors", vectors.len(), limits.tables)?;
    for (name, vector) in vectors {
        bound("a name", name.len(), limits.name)?;
        bound("a version vector", vector.len(), limits.replicas)?;
    }
    Ok(())
}

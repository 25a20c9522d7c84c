//! What a superadmin sees at a glance, as values: the shape of `lockstep status --json` and of the console's overview.
//!
//! Always true here: nothing in these types is a row's value. Moments are UTC, written as RFC 3339 text.
use jiff::Timestamp;
use lockstep_wire::message::Way;
use serde::{Deserialize, Serialize};

/// Everything about one node at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// This node's id: the SHA-256 of its public key, 64 hex digits.
    pub node: String,
    /// What it calls itself.
    pub name: String,
    /// The agent or console that runs on this home now, if one does.
    pub agent: Option<AgentStatus>,
    /// The session that runs now, if it takes longer than a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncing: Option<Syncing>,
    /// Background sync rests until then.
    pub paused_until: Option<Timestamp>,
    /// The attached databases, by name.
    pub databases: Vec<DatabaseStatus>,
    /// The paired nodes, by name.
    pub peers: Vec<PeerStatus>,
    /// Conflicts that were settled by rule and that nobody has looked at, and those that wait for a decision.
    pub conflicts_unreviewed: u64,
    /// The balance's remainder: values that are in none of its accounts. Always 0, or `values_lost_because` says why.
    pub values_lost: u64,
    /// Why `values_lost` isn't 0, or why it could not be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values_lost_because: Option<String>,
}

/// A session under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Syncing {
    /// With whom.
    pub peer: String,
    /// The database that is being exchanged.
    pub database: Option<String>,
    /// Writes that were exchanged so far, both ways.
    pub done: u64,
    /// Writes to exchange, at most.
    pub total: u64,
    /// Since when.
    pub since: Timestamp,
    /// How long it will take, going on like that.
    pub left_ms: Option<u64>,
}

/// The process that serves peers and syncs in the background.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// `https://ADDR`.
    pub listening: String,
    /// Since when.
    pub since: Timestamp,
}

/// One attached database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatabaseStatus {
    /// Logical name.
    pub name: String,
    /// The application's file.
    pub file: String,
    /// Living rows in synced tables.
    pub rows: u64,
    /// Rows with a write that some peer does not have yet.
    pub pending: u64,
    /// Changes that wait for a person, a parent or a column.
    pub held: u64,
    /// `ok`, or what is wrong with the capture.
    pub capture: String,
    /// Size of the file in bytes, without its log.
    pub bytes: u64,
    /// How much of it are Lockstep's own tables, as measured within the last day, at the last clean-up or after many writes.
    pub own_bytes: u64,
    /// The file was restored or copied, and nobody has said yet what that is to mean: peers bring back what it lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryBreak>,
}

/// A break in the history of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryBreak {
    /// `restored` or `copied`.
    pub kind: String,
    /// When it was noticed.
    pub at: Timestamp,
    /// The file as it was then, set aside.
    pub copy: Option<String>,
}

/// One paired node, as this node last saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// What this node calls it.
    pub name: String,
    /// Its id.
    pub node: String,
    /// Where it can be reached; none: it comes by itself.
    pub address: Option<String>,
    /// It answered, or came by itself, when it was last expected to.
    pub reachable: bool,
    /// Failed runs in a row.
    pub failures: u32,
    /// Its clock minus ours.
    pub clock_offset_ms: Option<i64>,
    /// When the digests of both sides last agreed.
    pub last_verified_at: Option<Timestamp>,
    /// When the last session with it ended, whatever the result.
    pub last_run_at: Option<Timestamp>,
    /// How the last session ended: `verified`, `partial` or `failed`.
    pub last_result: Option<String>,
    /// Why the last session was not verified: a code and a sentence.
    pub error: Option<Problem>,
    /// For how long the oldest write that it lacks has been waiting.
    pub lag_ms: Option<i64>,
    /// Rows with a write that it does not have yet.
    pub pending: u64,
    /// Writes that it had and this node lacked, when it last said where it stands.
    #[serde(default)]
    pub coming: u64,
    /// Changes that it holds.
    pub held: u64,
    /// `ok`, what is wrong with its capture, or `unknown` before the first session.
    pub capture: String,
    /// What is shared with it.
    pub shares: Vec<Share>,
}

/// Something that went wrong, as it is shown and written into run records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable, for scripts.
    pub code: String,
    /// One sentence for a person. Never a row's value.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One line of what is shared with a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// `DB`, or `DB.TABLE`.
    pub what: String,
    /// Which way.
    pub direction: Direction,
    /// Columns of the table that go neither way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl Share {
    /// All of it, both ways.
    pub fn whole(what: impl Into<String>) -> Share {
        Share { what: what.into(), direction: Direction::Both, without: Vec::new() }
    }
}

/// Which way a table goes between this node and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From here to the peer.
    Send,
    /// From the peer to here.
    Receive,
    /// Both ways.
    Both,
    /// Not at all.
    None,
}

impl Direction {
    /// May anything pass?
    pub fn passes(self) -> bool {
        self.sends() || self.receives()
    }

    /// May we send?
    pub fn sends(self) -> bool {
        match self {
            Direction::Send | Direction::Both => true,
            Direction::Receive | Direction::None => false,
        }
    }

    /// May it write here?
    pub fn receives(self) -> bool {
        match self {
            Direction::Receive | Direction::Both => true,
            Direction::Send | Direction::None => false,
        }
    }

    /// The same in the words of the protocol.
    pub fn way(self) -> Way {
        Way::new(self.sends(), self.receives())
    }

    /// `send`, `receive`, `both`, `none`.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Send => "send",
            Direction::Receive => "receive",
            Direction::Both => "both",
            Direction::None => "none",
        }
    }

    /// The direction of that name.
    pub fn from_name(name: &str) -> Option<Direction> {
        [Direction::Send, Direction::Receive, Direction::Both, Direction::None].into_iter().find(|d| d.name() == name)
    }
}

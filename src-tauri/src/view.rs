//! What crosses to the page, and nothing else does.
//!
//! Always true here: an integer crosses as text, since JavaScript loses digits past 2^53; a moment is UTC
//! milliseconds since 1970; a name is what people gave, not an id. `ui/src/host/types.ts` is written from
//! these types (`make types`), and a test fails when it is not up to date. Not here: where the answers come
//! from (`node`), what they amount to (`overview`).

use crate::error::Failure;
use crate::overview::State;
use crate::screens::plan::Mismatch;
use serde::{Serialize, Serializer};

/// How many of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Count(#[cfg_attr(test, ts(as = "String"))] pub u64);

/// A moment, or a length of time: milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Millis(#[cfg_attr(test, ts(as = "String"))] pub i64);

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Count>>(counts: I) -> Count {
        Count(counts.map(|c| c.0).sum())
    }
}

/// This node at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct StatusView {
    /// What this node calls itself.
    pub node: String,
    /// When this was read.
    pub at: Millis,
    /// What it amounts to; the tray shows the same.
    pub state: State,
    /// The process that syncs in the background, if one runs.
    pub agent: Option<AgentView>,
    /// Background sync rests until then.
    pub paused_until: Option<Millis>,
    /// The files of this node.
    pub databases: Vec<DatabaseView>,
    /// The nodes it is paired with.
    pub peers: Vec<PeerView>,
    /// Conflicts that nobody has looked at yet.
    pub conflicts_unreviewed: Count,
    /// Values that are in no account. Zero, or something is badly wrong.
    pub values_lost: Count,
    /// Why `values_lost` is not zero, or why it could not be counted.
    pub values_lost_because: Option<String>,
}

/// The process that serves peers and syncs in the background.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AgentView {
    /// The address that peers reach it at.
    pub listening: String,
    /// Since when it runs.
    pub since: Millis,
}

/// How the capture of an application's writes is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(crate) enum Capture {
    /// Every write is seen.
    Ok,
    /// The peer has not said yet.
    Unknown,
    /// Writes may go unseen.
    Problem {
        /// What is wrong.
        what: String,
    },
}

/// One database of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DatabaseView {
    /// The name that paired nodes share.
    pub name: String,
    /// Where it lies on this computer.
    pub file: String,
    /// Living rows of synced tables.
    pub rows: Count,
    /// Rows with a write that some peer lacks.
    pub pending: Count,
    /// Changes received but not applied.
    pub held: Count,
    /// How its capture is.
    pub capture: Capture,
    /// The file was restored or copied, and nobody has said yet what that is to mean.
    pub history: Option<BreakView>,
}

/// A break in the history of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct BreakView {
    /// What happened to it.
    pub kind: BreakKind,
    /// When that was noticed.
    pub at: Millis,
    /// The file as it was found, set aside.
    pub copy: Option<String>,
}

/// What breaks a file's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub(crate) enum BreakKind {
    /// It is an older copy of itself.
    Restored,
    /// It is another server's.
    Copied,
}

impl BreakKind {
    /// Of the node's word.
    pub(crate) fn named(word: &str) -> BreakKind {
        if word == "copied" { BreakKind::Copied } else { BreakKind::Restored }
    }
}

/// One paired node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PeerView {
    /// What this node calls it.
    pub name: String,
    /// Where it can be reached; nowhere: it comes by itself.
    pub address: Option<String>,
    /// Whether it answered the last time.
    pub reachable: bool,
    /// Its clock less ours.
    pub clock_offset_ms: Option<Millis>,
    /// When both sides' digests were last found equal.
    pub last_verified_at: Option<Millis>,
    /// For how long the oldest write that it lacks has been waiting.
    pub lag_ms: Option<Millis>,
    /// Rows with a write that it lacks.
    pub pending: Count,
    /// Writes that it had and this node lacked, when it last said where it stands.
    pub coming: Count,
    /// Changes that wait there for a person.
    pub held: Count,
    /// How its capture is, as it said itself.
    pub capture: Capture,
    /// When the last session with it ended, whatever the result.
    pub last_run_at: Option<Millis>,
    /// Why the last session was not verified.
    pub error: Option<Failure>,
    /// Tables that it has differently, as of the last session.
    pub unlike: Vec<Mismatch>,
}

/// What "Sync now" did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RunView {
    /// One entry for each peer.
    pub peers: Vec<PeerRunView>,
}

/// The session with one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PeerRunView {
    /// What this node calls it.
    pub name: String,
    /// Changes that went there.
    pub sent: Count,
    /// Changes that came from there.
    pub received: Count,
    /// Rows that were written here.
    pub applied: Count,
    /// Conflicts found on the way.
    pub conflicts: Count,
    /// Changes that are held now, on either side.
    pub held: Count,
    /// Rows that got another id than at their birthplace, on either side.
    pub id_moves: Count,
    /// Whether both sides' digests are equal.
    pub verified: bool,
    /// How long it took.
    pub duration_ms: Millis,
    /// Why it did not come to its end.
    pub error: Option<Failure>,
}

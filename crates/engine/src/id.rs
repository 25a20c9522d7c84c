//! The names by which writes, rows and moments are known.
//!
//! Always true here: a [`ReplicaId`] is never reused, a [`Dot`] names one write for ever, a [`Stamp`] only ever
//! breaks ties. Not here: numbers that are only good inside one file (`record::LocalDot`).
//!
//! The types don't convert by accident:
//!
//! ```compile_fail
//! use lockstep_engine::id::{Millis, Seq};
//! let at: Millis = Seq(7);
//! ```
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// One replica: a file of a database on one node, in one incarnation. 128 random bits, written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub [u8; 16]);

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The node that a replica lives on. Said once, when its file is attached, and travels with its writes: all nodes have to
/// tell alike whose a write is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The node: two of them are never the same.
    pub node: [u8; 32],
    /// What it called itself then. Two nodes may have one name.
    pub name: String,
}

/// A text that is not 32 hex digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a replica id is 32 hex digits")]
pub struct BadReplicaId;

impl FromStr for ReplicaId {
    type Err = BadReplicaId;
    fn from_str(s: &str) -> Result<Self, BadReplicaId> {
        let mut id = [0; 16];
        if s.len() != 32 || !s.is_ascii() {
            return Err(BadReplicaId);
        }
        for (i, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&s[2 * i..2 * i + 2], 16).map_err(|_| BadReplicaId)?;
        }
        Ok(ReplicaId(id))
    }
}

impl Serialize for ReplicaId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReplicaId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The number of a write to a table by one replica: 1, 2, 3, … without gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// One write to a table, for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Dot {
    /// Who wrote.
    pub replica: ReplicaId,
    /// Which of its writes to the table.
    pub seq: Seq,
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.replica, self.seq.0)
    }
}

/// Milliseconds since 1970 (UTC).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

/// A hybrid logical clock stamp: 47 bits of physical milliseconds, then a counter of 16 bits.
///
/// Stamps of one replica only grow. The lowest stamp, zero, says "nobody knows when".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(pub i64);

impl Stamp {
    /// The first stamp of a millisecond. Times before 1970 or past the year 6000 are clamped.
    pub fn at(ms: Millis) -> Stamp {
        Stamp(ms.0.clamp(0, (1 << 47) - 1) << 16)
    }

    /// The physical part.
    pub fn millis(self) -> Millis {
        Millis(self.0 >> 16)
    }

    /// The stamp of the next write, when the clock stands at `now` and this is the latest stamp seen.
    #[must_use]
    pub fn next(self, now: Millis) -> Stamp {
        Stamp((self.0 + 1).max(Stamp::at(now).0))
    }
}

/// For each replica the highest seq received, all below included.
pub type Vector = BTreeMap<ReplicaId, Seq>;

/// A version vector per table name.
pub type Vectors = BTreeMap<String, Vector>;

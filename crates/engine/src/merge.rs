//! Merging one incoming write into one register: merge-rules 7 and 8 as a table.
//!
//! Always true here: the verdict depends on the writes alone, not on the order in which they come. Not here: what is
//! done about it (`transaction`), and which births are one row (`class`).
use crate::record::{LocalDot, Write};
use std::cmp::Ordering;

/// What a register keeps of concurrent writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// The latest.
    Newest,
    /// That of one node, else the latest: (replicas of that node are preferred).
    Preferred,
    /// All, for a person to decide.
    All,
}

/// What happens to one present write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays beside the incoming one.
    Stays,
    /// The incoming one had seen it, or holds the same value and is later.
    Superseded,
    /// It loses to the incoming one.
    Loses,
}

/// What happens to the incoming write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is here already.
    Known,
    /// A present write had seen it, or holds the same value and is later.
    Superseded,
    /// It is kept; the fate of each present write.
    Kept(Vec<Fate>),
    /// It loses to the present write at that place; the fate of each.
    Loses(usize, Vec<Fate>),
}

/// A present write as the rule sees it.
#[derive(Clone, Copy, Debug)]
pub struct Present<'a> {
    pub write: &'a Write,
    /// It had seen the incoming one.
    pub saw_incoming: bool,
    /// The incoming one had seen it.
    pub seen: bool,
    /// It holds the same value.
    pub equal: bool,
    /// Its node is preferred.
    pub preferred: bool,
}

/// Existing x incoming. `order` compares two writes by (stamp, replica, seq).
pub fn judge(
    dot: LocalDot,
    incoming: &Write,
    incoming_preferred: bool,
    present: &[Present<'_>],
    keeps: Keeps,
    order: impl Fn(&Write, &Write) -> Ordering,
) -> Verdict {
    if present.iter().any(|p| p.write.dot == dot) {
        return Verdict::Known;
    }
    if present.iter().any(|p| p.saw_incoming) {
        return Verdict::Superseded;
    }
    let beats = |p: &Present<'_>| {
        let later = order(incoming, p.write) == Ordering::Greater;
        match keeps {
            Keeps::Preferred if p.preferred != incoming_preferred => incoming_preferred,
            Keeps::Newest | Keeps::Preferred | Keeps::All => later,
        }
    };
    let mut winner = None;
    let mut equal = None;
    let fates = present
        .iter()
        .enumerate()
        .map(|(i, p)| match (p.seen, keeps, p.equal, beats(p)) {
            (true, _, _, _) => Fate::Superseded,
            (false, Keeps::All, _, _) => Fate::Stays,
            (false, Keeps::Newest | Keeps::Preferred, true, true) => Fate::Superseded,
            (false, Keeps::Newest | Keeps::Preferred, false, true) => Fate::Loses,
            (false, Keeps::Newest | Keeps::Preferred, true, false) => {
                equal = Some(i);
                Fate::Stays
            }
            (false, Keeps::Newest | Keeps::Preferred, false, false) => {
                winner = Some(i);
                Fate::Stays
            }
        })
        .collect();
    match (winner, equal) {
        (Some(i), _) => Verdict::Loses(i, fates),
        (None, Some(_)) => Verdict::Superseded,
        (None, None) => Verdict::Kept(fates),
    }
}

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
    /// All, and shows that of one node, else the latest. The others are on record, and stay: who is preferred has no
    /// order with who saw whom, so a write that loses to the preferred one may win once somebody has replaced that.
    Preferred,
    /// All, for a person to decide.
    All,
}

/// What happens to one present write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays beside the incoming one.
    Stays,
    /// It stays, and loses to the incoming one.
    Yields,
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
    /// It is kept, and loses to the present write at that place; the fate of each.
    Yields(usize, Vec<Fate>),
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
    match keeps {
        Keeps::Newest => newest(incoming, present, order),
        Keeps::Preferred => preferred((incoming, incoming_preferred), present, order),
        Keeps::All => {
            Verdict::Kept(present.iter().map(|p| if p.seen { Fate::Superseded } else { Fate::Stays }).collect())
        }
    }
}

fn newest(incoming: &Write, present: &[Present<'_>], order: impl Fn(&Write, &Write) -> Ordering) -> Verdict {
    let mut winner = None;
    let mut equal = None;
    let fates = present
        .iter()
        .enumerate()
        .map(|(i, p)| match (p.seen, p.equal, order(incoming, p.write) == Ordering::Greater) {
            (true, _, _) | (false, true, true) => Fate::Superseded,
            (false, false, true) => Fate::Loses,
            (false, true, false) => {
                equal = Some(i);
                Fate::Stays
            }
            (false, false, false) => {
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

fn preferred(
    (incoming, is_preferred): (&Write, bool),
    present: &[Present<'_>],
    order: impl Fn(&Write, &Write) -> Ordering,
) -> Verdict {
    let best = present
        .iter()
        .enumerate()
        .filter(|(_, p)| !p.seen)
        .max_by(|(_, a), (_, b)| a.preferred.cmp(&b.preferred).then_with(|| order(a.write, b.write)));
    let wins = |p: &Present<'_>| is_preferred.cmp(&p.preferred).then_with(|| order(incoming, p.write)).is_gt();
    let won = best.is_none_or(|(_, p)| wins(p));
    let fates = present
        .iter()
        .map(|p| match (p.seen, p.equal) {
            (true, _) => Fate::Superseded,
            (false, false) if won => Fate::Yields,
            (false, _) => Fate::Stays,
        })
        .collect();
    match best {
        Some((i, p)) if !won && !p.equal => Verdict::Yields(i, fates),
        Some(_) | None => Verdict::Kept(fates),
    }
}

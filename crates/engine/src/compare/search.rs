//! The search for rows that differ: what to ask next, from what was answered so far.
//!
//! Always true here: a range is cut only where the two sums differ, so what is asked grows with what differs, and with
//! the depth of four; of the peer's answers no more is kept than the births that differ. No I/O.
use super::Part;
use super::range::{FAN_OUT, Range, RangeSum, Sums};
use crate::id::Dot;
use std::collections::BTreeMap;

/// Births looked for in one table at most. Beyond that the two sides have hardly anything in common.
pub const MOST: usize = 10_000;
/// Ranges in one question.
const AT_A_TIME: usize = 32;
/// So few births on both sides together are told one by one.
const FEW: u64 = 24;

/// What to ask the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The sums over the parts of these ranges.
    Sums(Vec<Range>),
    /// The births of these ranges, which the caller reads here too.
    Parts(Vec<Range>),
    /// Nothing more.
    Done,
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    mine: Sums,
    open: Vec<Range>,
    few: Vec<Range>,
    found: Vec<Dot>,
}

impl Search {
    /// From the whole table down.
    pub fn new(mine: Sums) -> Search {
        Search { mine, open: vec![Range::ALL], few: Vec::new(), found: Vec::new() }
    }

    /// The sum over the whole table here.
    pub fn total(&self) -> RangeSum {
        self.mine.of(Range::ALL)
    }

    /// What to ask next.
    pub fn ask(&mut self) -> Ask {
        if self.is_cut() {
            return Ask::Done;
        }
        // What is known best comes first, so that little is kept waiting.
        if self.few.len() >= AT_A_TIME || self.open.is_empty() && !self.few.is_empty() {
            let from = self.few.len().saturating_sub(AT_A_TIME);
            return Ask::Parts(self.few.split_off(from));
        }
        if self.open.is_empty() {
            return Ask::Done;
        }
        let from = self.open.len().saturating_sub(AT_A_TIME);
        Ask::Sums(self.open.split_off(from))
    }

    /// What the peer said of a range.
    pub fn told_sums(&mut self, range: Range, theirs: &[RangeSum; FAN_OUT]) {
        let Some(mine) = self.mine.parts_of(range) else { return };
        for (digit, (a, b)) in mine.iter().zip(theirs).enumerate() {
            let Some(part) = range.part(digit).filter(|_| a != b) else { continue };
            if part.is_finest() || a.births.saturating_add(b.births) <= FEW {
                self.few.push(part);
            } else {
                self.open.push(part);
            }
        }
    }

    /// The births of some ranges, here and there.
    pub fn told_parts(&mut self, mine: &[Part], theirs: &[Part]) {
        let here: BTreeMap<Dot, u128> = mine.iter().map(|p| (p.birth, p.hash)).collect();
        let there: BTreeMap<Dot, u128> = theirs.iter().map(|p| (p.birth, p.hash)).collect();
        let gone = here.keys().filter(|birth| !there.contains_key(birth));
        self.found.extend(gone);
        self.found.extend(there.iter().filter(|(birth, hash)| here.get(birth) != Some(hash)).map(|(birth, _)| *birth));
    }

    /// Did it stop before its end?
    pub fn is_cut(&self) -> bool {
        self.found.len() >= MOST
    }

    /// The births that differ.
    pub fn into_found(mut self) -> Vec<Dot> {
        self.found.sort_unstable();
        self.found.dedup();
        self.found.truncate(MOST);
        self.found
    }
}

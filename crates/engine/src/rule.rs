//! The rules by which rows are merged, as tests see them: counted wherever one decides something, and left out one at a
//! time, to show that a net that catches nothing has no holes.
//!
//! Always true here: without the feature `stops`, which no shipped build has, every rule applies, and asking costs
//! nothing. With it, each thread counts for itself, and leaves out what it was told to. Not here: what a rule says
//! (docs/merge.md has the numbers, and the place that asks has the rule).

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal),+ $(,)?) => {
        /// A rule that decides something. The number is that of `docs/merge.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rule { $($(#[$doc])* $rule),+ }

        impl Rule {
            /// All of them.
            pub const ALL: &[Rule] = &[$(Rule::$rule),+];

            /// In words.
            pub fn name(self) -> &'static str {
                match self { $(Rule::$rule => $name),+ }
            }
        }
    };
}

rules! {
    /// 3: who loses is recorded.
    LoserRecorded = "a loser is recorded",
    /// 3: records travel.
    RecordForwarded = "a conflict record travels",
    /// 4: stamps push the clock.
    ClockPushed = "a stamp that comes pushes the clock",
    /// 5: a stamp far ahead waits.
    FutureWaits = "a stamp far ahead waits",
    /// 5: until it is due.
    DueMerged = "what waited for its time is merged",
    /// 5: unless somebody wrote over it meanwhile.
    FutureReplaced = "what waits for its time is replaced by who had seen it",
    /// 6: a local write has not seen what is held.
    HeldUnseen = "a local write has not seen what is held",
    /// 7: a present write had seen the incoming one.
    SeenByPresent = "a write that a present one had seen is superseded",
    /// 7: the incoming write had seen a present one.
    SawPresent = "a write supersedes what it had seen",
    /// 7: equal values are no conflict.
    EqualValues = "equal values are no conflict",
    /// 7: the later write wins.
    LaterWins = "the later of two writes wins",
    /// 7: or that of the preferred node.
    PreferredWins = "a preferred node's write wins",
    /// 7: or a person decides.
    ReviewKeeps = "under review both stay",
    /// 8: a tombstone that comes is taken.
    TombstoneTaken = "a delete that comes is taken",
    /// 8: a delete and an edit that did not see each other.
    EditAgainstDelete = "a delete and an edit that did not see each other are a conflict",
    /// 9: one application's rows are not made one.
    TwinsStayTwo = "two rows of one application stay two",
    /// 9: aliases travel.
    AliasForwarded = "an alias travels",
    /// 11: a local write goes to all living births.
    AllBirthsWritten = "a local write goes to all living births of its row",
    /// 12: a delete lists what its application left dangling.
    DanglingListed = "a delete says what it left dangling",
    /// 12: a deleted parent is shown as long as it is referred to.
    ParentKept = "a deleted row is shown as long as one refers to it",
    /// 14: one identity key.
    KeyJoins = "rows of one identity key become one",
    /// 14: the same id and content, or files that began as copies.
    SameIdJoins = "rows that were there before under one id become one",
    /// 15: before the last batch a row whose key matches another waits.
    IdentityAwaited = "a row waits for the batch that may say that it is another",
    /// 16: associations whose references fall together, as long as they do.
    FallLasts = "associations stay one only while their references coincide",
    /// 17: an eviction that is an edit.
    ReplaceRenumbers = "a row that replaces another with its key is that row",
    /// 28: evicted rows are deletes.
    SuspectsDeleted = "a row that a REPLACE evicted was deleted",
    /// 20: in a clash of unique keys one falls back.
    UniqueFallsBack = "of rows that clash one falls back",
    /// 21: an id that was used is not given again.
    UsedIdsKept = "an id that was used is not given to another row",
    /// 21: a row that comes back takes the id that it had.
    IdComesBack = "a row that comes back takes the id that it had",
    /// 22: a reference to what is gone.
    StandIn = "a reference to what is gone shows a stand-in",
    /// The short way of an edit.
    EditShortWay = "an edit takes the short way",
    /// The short way of a new row.
    FreshShortWay = "a new row takes the short way",
    /// 24: vectors lead to where the batch does.
    VectorExact = "vectors advance to what came",
    /// 24: a batch that starts too late is refused.
    StartChecked = "a batch that starts too late is refused",
    /// 26: files that refer to another are planned again.
    SiblingsFollowed = "a file follows what moved in a file it refers to",
    /// 31: an alias counts in the digest.
    AliasCounted = "an alias counts in the digest",
}

/// A rule is about to decide something. False: a test leaves it out.
#[cfg(not(feature = "stops"))]
#[inline(always)]
pub fn applies(_: Rule) -> bool {
    true
}

#[cfg(feature = "stops")]
mod counted {
    use super::Rule;
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    thread_local! {
        static LEFT_OUT: Cell<Option<Rule>> = const { Cell::new(None) };
        static COUNTS: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
    }

    /// A rule is about to decide something. False: a test leaves it out.
    pub fn applies(rule: Rule) -> bool {
        COUNTS.with_borrow_mut(|counts| *counts.entry(rule.name()).or_default() += 1);
        LEFT_OUT.get() != Some(rule)
    }

    /// This thread does without a rule from now on, or with all of them again.
    pub fn leave_out(rule: Option<Rule>) {
        LEFT_OUT.set(rule);
    }

    /// How often each rule was asked on this thread, by name, since this was called last.
    pub fn take_counts() -> BTreeMap<&'static str, u64> {
        COUNTS.take()
    }
}

#[cfg(feature = "stops")]
pub use counted::{applies, leave_out, take_counts};

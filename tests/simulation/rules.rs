//! Does the net hold? A rule of the merge is left out, and a day without it has to fail. Small worlds do the same
//! (`crates/engine/tests/small_worlds/rules.rs`), with what two replicas and one row are enough for.
use super::network::Seen;
use super::run;
use lockstep_engine::rule::{self, Rule};

/// By rule: a day that does not end well without it. It is the first to be tried.
const NOTICED: &[(Rule, u64)] = &[
    (Rule::LoserRecorded, 2),
    (Rule::RecordForwarded, 3),
    (Rule::SawPresent, 1),
    (Rule::TombstoneTaken, 1),
    (Rule::FutureWaits, 1),
    (Rule::DueMerged, 1),
    (Rule::AliasForwarded, 2),
    (Rule::AllBirthsWritten, 3),
    (Rule::IdentityAwaited, 16),
    (Rule::UsedIdsKept, 1),
    (Rule::StartChecked, 3),
    (Rule::StandIn, 6),
];

/// What an ordinary run need not come to: a write of a time to come that somebody let through, or that was merged after
/// one that had seen it; associations that part again; an eviction that is no edit; rows of another file that become one.
const RARE: &[Rule] = &[
    Rule::FutureReplaced,
    Rule::SeenByPresent,
    Rule::FallLasts,
    Rule::SuspectsDeleted,
    Rule::SiblingsFollowed,
    Rule::StartChecked,
];

/// So many days are tried.
const TRIES: u64 = 12;

/// A day, with how often each rule was asked in it.
pub fn counted<E>(mut day: Result<Result<Seen, String>, E>) -> Result<Result<Seen, String>, E> {
    let counts = rule::take_counts();
    if let Ok(Ok(seen)) = &mut day {
        counts.iter().for_each(|(name, n)| seen.add_times(name, *n));
    }
    day
}

/// Rules that decided nothing.
pub fn missed(seen: &Seen) -> Vec<&'static str> {
    let all = Rule::ALL.iter().filter(|rule| !RARE.contains(rule));
    all.map(|rule| rule.name()).filter(|name| seen.count(name) == 0).collect()
}

#[test]
fn a_rule_that_is_left_out_is_noticed() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (rule, day) in NOTICED {
        rule::leave_out(Some(*rule));
        let noticed = std::iter::once(*day).chain(1..=TRIES).find(|seed| run(*seed).is_err());
        rule::leave_out(None);
        match noticed {
            Some(seed) if seed == *day => {}
            Some(seed) => println!("`{}` is now noticed by day {seed}, not {day}", rule.name()),
            None => missed.push(rule.name()),
        }
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "{TRIES} days end well without these rules: {missed:?}");
}

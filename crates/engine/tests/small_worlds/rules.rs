//! Does the net hold? Worlds that don't end well when a rule of the merge is left out.
use crate::live;
use lockstep_engine::rule::{self, Rule};

/// By rule: what is done, as `LOCKSTEP_WORLD` has it.
const NOTICED: &[(Rule, &str)] = &[
    (Rule::LoserRecorded, "ae be"),
    (Rule::RecordForwarded, "ae be"),
    (Rule::LaterWins, "ae be"),
    (Rule::TombstoneTaken, "ad be"),
    (Rule::AliasForwarded, "be ad ai"),
    (Rule::AllBirthsWritten, "ad bd ai bi ap ae"),
    (Rule::UniqueFallsBack, "ad ai be"),
    (Rule::UsedIdsKept, "ad ai be"),
];

#[test]
fn a_rule_that_is_left_out_is_noticed() {
    for (rule, path) in NOTICED {
        live(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        rule::leave_out(Some(*rule));
        let without = live(path);
        rule::leave_out(None);
        assert!(without.is_err(), "{path} ends well without this rule: {}", rule.name());
    }
}

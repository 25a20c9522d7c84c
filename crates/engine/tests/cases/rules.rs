//! Does the net hold? Cases that don't end well when a rule of the merge is left out, and those written for that alone.
use super::replicas::*;
use super::{CONFIG, Case, REVIEW, SCHEMA, clocks, copies, files, prefer};
use lockstep_engine::change::ConflictKind;
use lockstep_engine::rule::Rule;

#[test]
fn a_rule_that_is_left_out_is_noticed() {
    notice(&[
        (Rule::ClockPushed, super::a_clock_that_is_ahead_makes_no_second_winner),
        (Rule::FutureReplaced, clocks::what_was_let_through_before_its_time_waits_nowhere),
        (Rule::HeldUnseen, super::what_is_held_is_worked_out_from_the_registers),
        (Rule::SeenByPresent, clocks::what_is_due_in_part_after_somebody_let_the_rest_through),
        (Rule::EqualValues, two_that_write_the_same_have_no_conflict),
        (Rule::PreferredWins, prefer::the_preferred_write_stands_whatever_came_before_it),
        (Rule::ReviewKeeps, super::what_is_held_is_worked_out_from_the_registers),
        (Rule::EditAgainstDelete, a_delete_and_an_edit_that_did_not_see_each_other_are_on_record),
        (Rule::DanglingListed, super::a_parent_that_two_deleted_does_not_come_back_for_a_child_left_dangling),
        (Rule::ParentKept, who_meets_a_deleted_parent_with_its_child_shows_both),
        (Rule::KeyJoins, super::association_rows_are_one_where_their_references_are),
        (Rule::SameIdJoins, copies::of_files_that_began_as_copies_only_what_was_there_is_one),
        (Rule::ReplaceRenumbers, a_replaced_row_is_the_same_row_though_its_key_is_changed_elsewhere),
        (Rule::VectorExact, two_that_write_the_same_have_no_conflict),
        (Rule::SiblingsFollowed, files::a_reference_to_a_row_that_became_one_with_another_follows),
        (Rule::AliasCounted, nodes_of_which_one_knows_that_two_rows_are_one_do_not_agree),
    ]);
}

fn two_that_write_the_same_have_no_conflict() {
    let s = Case::new(2, SCHEMA, CONFIG);
    s.writes(0, "INSERT INTO n VALUES (1, 'k', 'v')");
    s.everybody();
    s.writes(0, "UPDATE n SET v = 'one'");
    s.writes(1, "UPDATE n SET v = 'one'");
    s.everybody();
    s.show("SELECT v FROM n", &["one"]);
    s.show("SELECT count(*) FROM _lockstep_conflict", &["0"]);
}

fn a_delete_and_an_edit_that_did_not_see_each_other_are_on_record() {
    let s = Case::new(2, SCHEMA, CONFIG);
    s.writes(0, "INSERT INTO n VALUES (1, 'k', 'v'), (2, 'l', 'v')");
    s.everybody();
    s.writes(0, "UPDATE n SET v = 'edited' WHERE id = 1");
    s.writes(1, "DELETE FROM n");
    s.writes(0, "UPDATE n SET v = 'edited' WHERE id = 2");
    s.everybody();
    s.show("SELECT k, v FROM n", &["l edited"]);
    for r in &s.nodes {
        let kinds: Vec<ConflictKind> = r.open().conflicts().unwrap().into_iter().map(|c| c.kind).collect();
        assert_eq!(kinds.len(), 2, "{}: {kinds:?}", r.name);
        for kind in [ConflictKind::DeleteUpdate, ConflictKind::UpdateDelete] {
            assert!(kinds.contains(&kind), "{}: {kinds:?}", r.name);
        }
    }
}

fn who_meets_a_deleted_parent_with_its_child_shows_both() {
    let s = Case::new(3, SCHEMA, REVIEW);
    s.writes(0, "INSERT INTO p VALUES (1, 'k', 'x', 'y')");
    s.pull(1, 0);
    s.writes(1, "INSERT INTO c VALUES (1, 1, 'z')");
    s.writes(0, "DELETE FROM p");
    s.pull(1, 0);
    s.pull(2, 1);
    s.everybody();
    s.show("SELECT k, z FROM c JOIN p ON c.p = p.id", &["k z"]);
}

fn a_replaced_row_is_the_same_row_though_its_key_is_changed_elsewhere() {
    let s = Case::new(2, SCHEMA, CONFIG);
    s.writes(0, "INSERT INTO n VALUES (1, 'k', 'v')");
    s.everybody();
    s.writes(0, "INSERT OR REPLACE INTO n (k, v) VALUES ('k', 'replaced')");
    s.writes(1, "UPDATE n SET k = 'other'");
    s.everybody();
    s.show("SELECT k, v FROM n", &["other replaced"]);
    assert_eq!(s.nodes[1].rows("SELECT id FROM n"), ["1"]);
}

fn nodes_of_which_one_knows_that_two_rows_are_one_do_not_agree() {
    let s = Case::new(2, SCHEMA, CONFIG);
    s.writes(0, "INSERT INTO p VALUES (1, 'one', 'x', 'y'), (2, 'two', 'x', 'y')");
    s.everybody();
    s.nodes[0].open().same("p", "1", "2", s.now()).unwrap();
    let digests = s.nodes.iter().map(|r| r.open().digest_without("p", &Default::default()).unwrap());
    let digests: Vec<_> = digests.collect();
    assert_ne!(digests[0], digests[1]);
    s.everybody();
}

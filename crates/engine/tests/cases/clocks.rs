//! Clocks that are more than ten minutes apart.
use super::replicas::*;
use super::{REVIEW, SCHEMA, START};
use lockstep_engine::change::ConflictKind;
use std::collections::BTreeSet;

const FAR: i64 = 40 * 60 * 1000;

/// Two nodes that know four rows.
fn two() -> (tempfile::TempDir, Replica, Replica) {
    NOW.with(|n| n.set(START));
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|n| Replica::new(dir.path(), n, SCHEMA).attach(REVIEW));
    a.sql_at(START, "INSERT INTO p VALUES (1, 'one', 'x', 'y'), (2, 'two', 'x', 'y'), (3, 'three', 'x', 'y')");
    a.sql_at(START, "INSERT INTO n VALUES (1, 'k', 'v')");
    settle(&[&a, &b]);
    (dir, a, b)
}

/// Whole tables, and all ranges of them, agree, with all columns and without one.
fn agree(a: &Replica, b: &Replica) {
    settle(&[a, b]);
    for without in [BTreeSet::new(), BTreeSet::from(["x".to_owned()])] {
        for table in ["p", "n"] {
            let sums = |r: &Replica| r.open().range_sums(table, &without, now()).unwrap();
            assert_eq!(sums(a), sums(b), "{table}");
            let digest = |r: &Replica| r.open().digest_without(table, &without).unwrap();
            assert_eq!(digest(a), digest(b), "{table}");
            if without.is_empty() {
                let kept = a.open().summary().unwrap().tables.into_iter().find(|t| t.name == table);
                assert_eq!(kept.unwrap().digest, digest(a), "{table}");
            }
        }
    }
}

#[test]
fn nodes_that_know_the_same_agree_while_something_waits_for_its_time() {
    let (_d, a, b) = two();
    // The clock of A runs ahead.
    a.sql_at(
        START + FAR,
        "UPDATE p SET x = 'far', y = 'far' WHERE id = 1; DELETE FROM p WHERE id = 2; UPDATE p SET k = 'THREE' WHERE id = 3;
         INSERT INTO p VALUES (9, 'nine', 'far', 'far'); UPDATE n SET v = 'far'",
    );
    agree(&a, &b);
    let clock = b.open().held().unwrap().into_iter().filter(|h| h.reason == ConflictKind::Clock).count();
    assert!(clock > 0);
    assert_eq!(b.rows("SELECT id, x FROM p ORDER BY id"), ["1 x", "2 x", "3 x"]);
    // What B writes in between did not see it.
    b.sql_at(START + 60_000, "UPDATE p SET x = 'near', y = 'near'; DELETE FROM n");
    agree(&a, &b);
    // It becomes due.
    NOW.with(|n| n.set(START + FAR));
    b.harvest();
    agree(&a, &b);
    assert!(b.open().held().unwrap().iter().all(|h| h.reason != ConflictKind::Clock));
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT k, x FROM p ORDER BY k"), ["THREE near", "nine far", "one far"], "{}", r.name);
        assert_eq!(r.rows("SELECT v FROM n"), ["far"], "{}", r.name);
    }
}

#[test]
fn a_difference_beside_what_waits_for_its_time_is_still_found() {
    let (_d, a, b) = two();
    a.sql_at(START + FAR, "UPDATE p SET x = 'far' WHERE id = 1");
    agree(&a, &b);
    // A row of B is not what its record says, and no log knows.
    let triggers = b.rows("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name GLOB '_lockstep*'");
    let dropped: String = triggers.iter().map(|t| format!("DROP TRIGGER {t};")).collect();
    b.app.execute_batch(&format!("{dropped} UPDATE p SET x = 'behind its back' WHERE id = 3")).unwrap();
    let sums = |r: &Replica| r.open().range_sums("p", &BTreeSet::new(), now()).unwrap();
    assert_ne!(sums(&a).read, sums(&b).read);
}

#[test]
fn a_delete_does_not_take_along_an_edit_that_waits_for_its_time() {
    NOW.with(|n| n.set(START));
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|n| Replica::new(dir.path(), n, SCHEMA).attach(""));
    a.sql_at(START, "INSERT INTO n VALUES (1, 'k', 'v')");
    settle(&[&a, &b]);
    // The clock of A runs ahead.
    a.sql_at(START + FAR, "UPDATE n SET v = 'far'");
    pull(&b, &a);
    b.sql_at(START + 60_000, "DELETE FROM n");
    pull(&a, &b);
    NOW.with(|n| n.set(START + FAR));
    b.harvest();
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT v FROM n"), ["far"], "{}", r.name);
    }
}

#[test]
fn a_write_that_waited_for_its_time_is_shown_once_it_is_due_though_nothing_else_comes() {
    const START: i64 = 2_000_000_000_000;
    const FAR: i64 = 40 * 60 * 1000;
    NOW.with(|n| n.set(START));
    let dir = tempfile::tempdir().unwrap();
    // One of them takes rows whole, the other the short way.
    let [a, b] = ["a", "b"].map(|n| Replica::new(dir.path(), n, SCHEMA).attach(""));
    a.sql_at(START, "INSERT INTO n VALUES (1, 'k', 'v'), (2, 'l', 'v')");
    settle(&[&a, &b]);
    a.sql_at(START + FAR, "UPDATE n SET v = 'far' WHERE id = 1");
    b.sql_at(START + FAR, "UPDATE n SET v = 'far' WHERE id = 2");
    pull(&b, &a);
    pull(&a, &b);
    NOW.with(|n| n.set(START + FAR));
    for r in [&a, &b] {
        r.harvest();
        assert_eq!(r.rows("SELECT v FROM n"), ["far", "far"], "{}", r.name);
    }
    settle(&[&a, &b]);
}

/// A, whose clock runs ahead, wrote two columns, and C, whose clock runs ahead as well, one of them after it. B holds both.
fn three() -> (tempfile::TempDir, [Replica; 3]) {
    NOW.with(|n| n.set(START));
    let dir = tempfile::tempdir().unwrap();
    let nodes = ["a", "b", "c"].map(|n| Replica::new(dir.path(), n, SCHEMA).attach(""));
    let [a, b, c] = &nodes;
    a.sql_at(START, "INSERT INTO p VALUES (1, 'one', 'x', 'y')");
    settle(&[a, b, c]);
    a.sql_at(START + FAR, "UPDATE p SET x = 'far', y = 'far'");
    pull(b, a);
    NOW.with(|n| n.set(START + FAR));
    pull(c, a);
    c.sql_at(START + FAR + 1000, "UPDATE p SET x = 'of c'");
    NOW.with(|n| n.set(START + 60_000));
    pull(b, c);
    assert_eq!(b.rows("SELECT x, y FROM p"), ["x y"]);
    (dir, nodes)
}

/// B lets through what waits of this node.
fn let_through(b: &Replica, of: &Replica) {
    let (held, of) = (b.open().held().unwrap(), of.open().replica().unwrap());
    let waits = held.iter().find(|h| h.by == Some(of)).unwrap_or_else(|| panic!("{held:?}"));
    b.open().allow(&waits.id, false, now()).unwrap();
    b.sound();
}

#[test]
pub fn what_was_let_through_before_its_time_waits_nowhere() {
    let (_d, a, b) = two();
    a.sql_at(START + FAR, "UPDATE n SET v = 'far'");
    pull(&b, &a);
    let_through(&b, &a);
    assert_eq!(b.rows("SELECT v FROM n"), ["far"]);
    assert!(b.open().held().unwrap().is_empty());
    assert_eq!(b.rows("SELECT count(*) FROM _lockstep_future"), ["0"]);
    settle(&[&a, &b]);
}

#[test]
pub fn what_is_due_in_part_after_somebody_let_the_rest_through() {
    let (_d, [a, b, c]) = three();
    let_through(&b, &c);
    assert_eq!(b.rows("SELECT x, y FROM p"), ["of c y"]);
    NOW.with(|n| n.set(START + FAR + 5000));
    b.harvest();
    assert_eq!(b.rows("SELECT x, y FROM p"), ["of c far"]);
    settle(&[&a, &b, &c]);
    for r in [&a, &b, &c] {
        assert_eq!(r.rows("SELECT x, y FROM p"), ["of c far"], "{}", r.name);
    }
}

#[test]
fn what_was_waited_for_is_kept_where_another_row_has_its_unique_value_by_then() {
    let (_d, a, b) = two();
    b.sql_at(START, "INSERT INTO n VALUES (11, 'K1', 'b'), (12, 'k2', 'b')");
    b.harvest();
    // The clock of A runs ahead; its row is that of B by the unique key, once it is due.
    a.sql_at(START + FAR, "INSERT INTO n VALUES (11, 'K1', 'a')");
    NOW.with(|n| n.set(START + FAR));
    pull(&a, &b);
    NOW.with(|n| n.set(START));
    pull(&b, &a);
    b.sql("UPDATE n SET k = 'tmp' WHERE id = 12; UPDATE n SET k = 'k2' WHERE id = 11; UPDATE n SET k = 'K1' WHERE id = 12");
    b.harvest();
    NOW.with(|n| n.set(START + 2 * FAR));
    b.harvest();
    let verified = b.open().verify(now()).unwrap();
    assert!(verified.well(), "{verified:#?}");
    agree(&a, &b);
}

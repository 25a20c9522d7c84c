//! Files that began as copies of one.
use super::SCHEMA;
use super::replicas::*;
use lockstep_engine::contact::Began;
use lockstep_engine::decide::{Choice, Keep, Side};

/// Two files that had the same rows, and what was written to each after that.
fn copies(after_a: &str, after_b: &str) -> (tempfile::TempDir, Replica, Replica) {
    let dir = tempfile::tempdir().unwrap();
    let made = |name: &str, after: &str| {
        let r = Replica::new(dir.path(), name, SCHEMA);
        r.sql("INSERT INTO p VALUES (1, NULL, 'there', 'y'); INSERT INTO n VALUES (1, 'k', 'there')");
        let r = r.attach("");
        r.sql(after);
        r
    };
    let (a, b) = (made("a", after_a), made("b", after_b));
    for (here, there) in [(&a, &b), (&b, &a)] {
        let replica = there.open().summary().unwrap().replica;
        here.open().began(replica, Began::Copies, now()).unwrap();
    }
    (dir, a, b)
}

#[test]
pub fn of_files_that_began_as_copies_only_what_was_there_is_one() {
    let (_d, a, b) = copies(
        "UPDATE p SET y = 'edited'; INSERT INTO p VALUES (2, NULL, 'of a', '')",
        "INSERT INTO p VALUES (2, NULL, 'of b', '')",
    );
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT x FROM p ORDER BY x"), ["of a", "of b", "there"], "{}", r.name);
        assert_eq!(r.rows("SELECT id, y FROM p WHERE x = 'there'"), ["1 edited"], "{}", r.name);
    }
}

#[test]
fn a_copy_that_deleted_a_row_knows_it_again_however_the_delta_is_cut() {
    let after = ("DELETE FROM p WHERE id = 1", "INSERT INTO p VALUES (2, NULL, 'of b', ''), (3, NULL, 'too', '')");
    for items in [1, 1000] {
        let (_d, a, b) = copies(after.0, after.1);
        pull_by(&a, &b, items);
        // Nobody deleted the row at b: it lives, and is the one that a had.
        assert_eq!(a.rows("SELECT x FROM p ORDER BY x"), ["of b", "there", "too"], "{items}");
        assert_eq!(a.rows("SELECT id FROM p WHERE x = 'there'"), ["1"], "{items}");
        settle(&[&a, &b]);
    }
}

#[test]
fn a_row_of_copies_stays_itself_when_its_key_becomes_that_of_a_new_row() {
    let (_d, a, b) = copies("UPDATE n SET k = 'taken'", "INSERT INTO n VALUES (2, 'taken', 'of b')");
    settle(&[&a, &b]);
    // Who is called so, a person has to say: each goes on showing what its application sees.
    assert_eq!(a.rows("SELECT k, v FROM n ORDER BY v"), ["taken there"]);
    assert_eq!(b.rows("SELECT k, v FROM n ORDER BY v"), ["taken of b", "k there"]);
    b.sql("UPDATE n SET k = 'free' WHERE id = 2");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT k, v FROM n ORDER BY v"), ["free of b", "taken there"], "{}", r.name);
    }
}

#[test]
fn a_row_of_copies_that_was_deleted_is_known_again_though_another_copy_edited_it() {
    let (_d, a, b) = copies("DELETE FROM p", "UPDATE p SET x = 'edited'");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT id, x FROM p"), ["1 edited"], "{}", r.name);
        assert_eq!(r.rows("SELECT count(DISTINCT leader) FROM _lockstep_class"), ["1"], "{}", r.name);
    }
}

/// Three copies of a file in which a reference named nothing.
fn dangling() -> (tempfile::TempDir, [Replica; 3]) {
    let dir = tempfile::tempdir().unwrap();
    let all = ["a", "b", "c"].map(|name| {
        let r = Replica::new(dir.path(), name, SCHEMA);
        r.sql("PRAGMA foreign_keys = OFF; INSERT INTO c VALUES (1, 77, 'z'); PRAGMA foreign_keys = ON");
        r.attach("")
    });
    for here in &all {
        for there in all.iter().filter(|there| there.name != here.name) {
            let replica = there.open().summary().unwrap().replica;
            here.open().began(replica, Began::Copies, now()).unwrap();
        }
    }
    settle(&all.each_ref());
    (dir, all)
}

#[test]
fn a_reference_that_named_nothing_when_the_file_was_copied_is_left_as_it_is() {
    let (_d, all) = dangling();
    for r in &all {
        assert_eq!(r.rows("SELECT id, p FROM c"), ["1 77"], "{}", r.name);
    }
}

#[test]
fn a_reference_whose_row_comes_names_it_in_every_birth_of_its_own_row() {
    let (_d, all) = dangling();
    all[1].sql("INSERT INTO p VALUES (77, 'here', 'x', 'y')");
    settle(&all.each_ref());
    for r in &all {
        assert_eq!(r.rows("SELECT p.k FROM c JOIN p ON p.id = c.p"), ["here"], "{}", r.name);
    }
}

#[test]
fn a_row_of_copies_stays_one_though_one_of_them_changed_its_natural_key_before_they_met() {
    const NATURAL: &str =
        "CREATE TABLE t (code TEXT NOT NULL, part INTEGER NOT NULL, v TEXT, PRIMARY KEY (code, part))";
    for items in [1, 1000] {
        let dir = tempfile::tempdir().unwrap();
        let all = ["a", "b", "c", "d"].map(|name| {
            let r = Replica::new(dir.path(), name, NATURAL);
            r.sql("INSERT INTO t VALUES ('k1', 0, 'one'), ('k2', 0, 'two'), ('k3', 0, 'three')");
            r.attach("")
        });
        for here in &all {
            for there in all.iter().filter(|there| there.name != here.name) {
                let replica = there.open().summary().unwrap().replica;
                here.open().began(replica, Began::Copies, now()).unwrap();
            }
        }
        all[3].sql("UPDATE t SET code = 'K1', part = 2 WHERE code = 'k1'; DELETE FROM t WHERE code = 'k3'");
        for (to, from) in [(1, 0), (2, 1), (3, 2)] {
            pull_by(&all[to], &all[from], items);
        }
        assert_eq!(all[3].rows("SELECT v FROM t WHERE v <> 'three' ORDER BY v"), ["one", "two"], "{items}");
        settle(&all.each_ref());
        for r in &all {
            let rows = r.rows("SELECT * FROM t WHERE v <> 'three' ORDER BY code");
            assert_eq!(rows, ["K1 2 one", "k2 0 two"], "{} {items}", r.name);
        }
    }
}

const REVIEWED: &str = "[tables.c]\npolicy = 'review'\n[tables.n]\npolicy = 'review'\n";

/// Copies of one file, of which one had another value before any was captured.
fn reviewed(names: &[&str], other: &str) -> (tempfile::TempDir, Vec<Replica>) {
    let dir = tempfile::tempdir().unwrap();
    let all: Vec<Replica> = names
        .iter()
        .map(|name| {
            let r = Replica::new(dir.path(), name, SCHEMA);
            r.sql("INSERT INTO p VALUES (1, 'k', 'x', 'y'); INSERT INTO c VALUES (1, 1, 'z'), (2, 1, 'z');");
            r.sql("INSERT INTO n VALUES (1, 'k', 'of the copies')");
            if *name == other {
                r.sql("UPDATE n SET v = 'of the other'");
            }
            r.attach(REVIEWED)
        })
        .collect();
    for here in &all {
        for there in all.iter().filter(|there| there.name != here.name) {
            let replica = there.open().summary().unwrap().replica;
            here.open().began(replica, Began::Copies, now()).unwrap();
        }
    }
    (dir, all)
}

#[test]
fn references_of_copies_to_one_row_are_no_conflict_for_a_person() {
    let (_d, all) = reviewed(&["a", "b", "c"], "");
    settle(&[&all[0], &all[1]]);
    settle(&[&all[0], &all[1], &all[2]]);
    for r in &all {
        assert_eq!(r.open().held().unwrap(), [], "{}", r.name);
        assert_eq!(r.open().conflicts().unwrap(), [], "{}", r.name);
    }
    // So a delete has seen all there is.
    all[2].sql("DELETE FROM c WHERE id = 2");
    settle(&all.iter().collect::<Vec<_>>());
    for r in &all {
        assert_eq!(r.open().held().unwrap(), [], "{}", r.name);
        assert_eq!(r.rows("SELECT id FROM c"), ["1"], "{}", r.name);
    }
}

#[test]
fn what_several_copies_say_is_one_side_of_one_conflict() {
    for side in [Side::Winner, Side::Loser] {
        let (_d, all) = reviewed(&["a", "b", "c", "d"], "d");
        let all: Vec<&Replica> = all.iter().collect();
        settle(&all);
        let mut ids = std::collections::BTreeSet::new();
        for r in &all {
            let held = r.open().held().unwrap();
            assert_eq!(held.len(), 1, "{}: {held:?}", r.name);
            ids.insert(held[0].id.clone());
        }
        assert_eq!(ids.len(), 1, "one id on all");
        let id = ids.pop_first().unwrap();
        let choice = Choice { conflict: id, keep: Keep::All(side), anyway: false };
        all[1].open().resolve(&[choice], now()).unwrap();
        settle(&all);
        for r in &all {
            assert_eq!(r.open().held().unwrap(), [], "{}", r.name);
            assert_eq!(r.open().summary().unwrap().conflicts_unreviewed, 0, "{}", r.name);
            assert_eq!(r.rows("SELECT v FROM n"), all[0].rows("SELECT v FROM n"), "{}", r.name);
        }
    }
}

#[test]
fn a_row_of_copies_that_got_another_id_is_known_again_though_a_new_row_has_its_old_one() {
    for items in [1, 1000] {
        let (_d, a, b) = copies("UPDATE p SET id = 4 WHERE id = 1; INSERT INTO p VALUES (1, NULL, 'new', 'y')", "");
        pull_by(&a, &b, items);
        assert_eq!(a.rows("SELECT id, x FROM p ORDER BY id"), ["1 new", "4 there"], "{items}");
        pull_by(&b, &a, items);
        settle(&[&a, &b]);
        assert_eq!(b.rows("SELECT x FROM p ORDER BY x"), ["new", "there"], "{items}");
    }
}

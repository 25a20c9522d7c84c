//! The delete guard: very many deletes of one run wait for a person, whole.
mod replicas;
use lockstep_engine::Error;
use lockstep_engine::change::ConflictKind;
use lockstep_engine::decide::{Error as Refused, Guarded};
use replicas::*;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE score (id INTEGER PRIMARY KEY, team_id INTEGER NOT NULL REFERENCES team (id) ON DELETE CASCADE, tag TEXT);
";
/// More than five rows, and more than a fifth.
const CONFIG: &str =
    "[tables.team]\nguard = { rows = 5, share = 0.2 }\n[tables.score]\nguard = { rows = 5, share = 0.2 }\n";

fn nodes<const N: usize>(rows: i64) -> (tempfile::TempDir, [Replica; N]) {
    let dir = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c"];
    let nodes: [Replica; N] = std::array::from_fn(|i| Replica::new(dir.path(), names[i], SCHEMA).attach(CONFIG));
    nodes[0].sql(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO team SELECT i, 't' || i FROM n"
    ));
    settle(&nodes.iter().collect::<Vec<_>>());
    (dir, nodes)
}

fn teams(r: &Replica) -> usize {
    r.rows("SELECT id FROM team").len()
}

fn guarded(r: &Replica) -> Vec<Guarded> {
    r.open().guarded().unwrap()
}

#[test]
fn few_deletes_pass_and_so_do_many_of_a_very_large_table() {
    let (_d, [a, b]) = nodes::<2>(40);
    // Five of forty: not more than five rows.
    a.sql("DELETE FROM team WHERE id <= 5");
    settle(&[&a, &b]);
    assert_eq!((teams(&b), guarded(&b).len()), (35, 0));
    // Seven of 35: not more than a fifth.
    a.sql("DELETE FROM team WHERE id <= 12");
    settle(&[&a, &b]);
    assert_eq!((teams(&b), guarded(&b).len()), (28, 0));
    // Seven of 28: a fourth.
    a.sql("DELETE FROM team WHERE id <= 19");
    settle(&[&a, &b]);
    assert_eq!((teams(&a), teams(&b)), (21, 28));
    assert_eq!((guarded(&b)[0].rows, guarded(&b)[0].of, guarded(&b)[0].table.as_str()), (7, 28, "team"));
    assert_eq!(guarded(&a), []);
    let held = b.open().held().unwrap();
    assert!(held.len() == 7 && held.iter().all(|h| h.reason == ConflictKind::DeleteGuard));
}

#[test]
fn exactly_what_was_shown_is_let_through() {
    let (_d, [a, b, c]) = nodes::<3>(20);
    a.sql("DELETE FROM team WHERE id <= 10");
    settle(&[&a, &b, &c]);
    let before = guarded(&b).remove(0);
    // One more goes in a later run: it is not one of so many, and goes.
    a.sql("DELETE FROM team WHERE id = 11");
    settle(&[&a, &b, &c]);
    assert_eq!((teams(&b), guarded(&b)), (19, vec![Guarded { of: 19, ..before.clone() }]));
    // Another mass: it joins what waits, and the old name is good for nothing any more.
    a.sql("DELETE FROM team WHERE id <= 18");
    settle(&[&a, &b, &c]);
    let after = guarded(&b).remove(0);
    assert_eq!((after.rows, after.id != before.id), (17, true));
    assert!(matches!(b.open().decide_deletes(&before.id, false, now()), Err(Error::Decision(Refused::Unknown { .. }))));
    assert_eq!(b.open().decide_deletes(&after.id, false, now()).unwrap(), 17);
    b.sound();
    assert_eq!((teams(&b), guarded(&b)), (2, vec![]));
    // That was said for this node alone.
    assert_eq!((teams(&c), guarded(&c).len()), (19, 1));
    settle(&[&a, &b, &c]);
}

#[test]
fn a_run_is_judged_as_a_whole_however_it_is_cut() {
    for items in [1, 3, 1000] {
        let (_d, [a, b]) = nodes::<2>(20);
        a.sql("DELETE FROM team WHERE id <= 8");
        pull_by(&b, &a, items);
        b.sound();
        assert_eq!((teams(&b), guarded(&b).len()), (20, 1), "in batches of {items}");
        let (_d, [a, b]) = nodes::<2>(20);
        a.sql("DELETE FROM team WHERE id <= 4");
        pull_by(&b, &a, items);
        b.sound();
        assert_eq!((teams(&b), guarded(&b).len(), b.open().held().unwrap().len()), (16, 0, 0), "{items}");
    }
}

#[test]
fn held_deletes_are_like_anything_held() {
    let (_d, [a, b]) = nodes::<2>(20);
    a.sql("DELETE FROM team WHERE id <= 10");
    // `settle` compares digests and accounts.
    settle(&[&a, &b]);
    // A local write has not seen the delete: the row is written later, so it lives, everywhere.
    b.sql("UPDATE team SET name = 'written here' WHERE id = 3");
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT name FROM team WHERE name = 'written here'").len(), 1);
    assert_eq!(guarded(&b)[0].rows, 9);
    // A row deleted here as well is gone.
    b.sql("DELETE FROM team WHERE id = 4");
    settle(&[&a, &b]);
    assert_eq!((teams(&b), guarded(&b)[0].rows), (19, 8));
    // Children may still be added to a row that is shown; its delete then waits for them as well.
    b.sql("INSERT INTO score VALUES (1, 5, 'child')");
    settle(&[&a, &b]);
    let id = guarded(&b)[0].id.clone();
    b.open().decide_deletes(&id, false, now()).unwrap();
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT t.id FROM team t JOIN score s ON s.team_id = t.id"), ["5"]);
    assert_eq!(b.open().held().unwrap()[0].reason, ConflictKind::ParentDeleted);
}

#[test]
fn rows_whose_deletes_a_person_refuses_live_again_everywhere() {
    let (_d, [a, b]) = nodes::<2>(20);
    a.sql("DELETE FROM team WHERE id <= 10");
    settle(&[&a, &b]);
    let id = guarded(&b)[0].id.clone();
    assert_eq!(b.open().decide_deletes(&id, true, now()).unwrap(), 10);
    settle(&[&a, &b]);
    assert_eq!((teams(&a), teams(&b), b.open().held().unwrap().len()), (20, 20, 0));
    assert_eq!(a.rows("SELECT name FROM team WHERE id = 7"), ["t7"]);
}

#[test]
fn children_that_go_with_their_parents_are_guarded_with_them() {
    let (_d, [a, b]) = nodes::<2>(20);
    a.sql("INSERT INTO score SELECT id, id, 's' || id FROM team");
    settle(&[&a, &b]);
    a.sql("DELETE FROM team WHERE id <= 10");
    settle(&[&a, &b]);
    assert_eq!((teams(&b), b.rows("SELECT id FROM score").len()), (20, 20));
    let all = guarded(&b);
    assert_eq!(all.iter().map(|g| (g.table.as_str(), g.rows)).collect::<Vec<_>>(), [("score", 10), ("team", 10)]);
    // In either order: a parent stays as long as its children do.
    for g in all.iter().rev() {
        b.open().decide_deletes(&g.id, false, now()).unwrap();
        b.sound();
    }
    settle(&[&a, &b]);
    assert_eq!((teams(&b), b.rows("SELECT id FROM score").len()), (10, 10));
}

/// A row that two servers entered each for itself has a delete for either of its births, and is one row.
#[test]
fn a_row_that_was_made_one_of_two_counts_once() {
    let config = CONFIG.replace("[tables.team]\n", "[tables.team]\nidentity = ['name']\n");
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| Replica::new(dir.path(), name, SCHEMA).attach(&config));
    for r in [&a, &b] {
        r.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
             INSERT INTO team SELECT i, 't' || i FROM n",
        );
    }
    settle(&[&a, &b]);
    a.sql("DELETE FROM team WHERE id <= 6");
    settle(&[&a, &b]);
    let waits = guarded(&b).remove(0);
    assert_eq!((waits.rows, waits.of), (6, 10));
    assert_eq!(b.open().decide_deletes(&waits.id, false, now()).unwrap(), 6);
}

//! The application's schema changes under capture.
mod replicas;
use replicas::*;

const SCHEMA: &str = "
CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, tag TEXT, name TEXT, old TEXT);
CREATE TABLE part (id INTEGER NOT NULL PRIMARY KEY, item_id INTEGER REFERENCES item (id), tag TEXT);
";
const ROWS: &str =
    "INSERT INTO item VALUES (1, 'one', 'n1', 'o1'), (2, 'two', NULL, 'o2'); INSERT INTO part VALUES (1, 1, 'p')";

fn two() -> (tempfile::TempDir, Replica, Replica) {
    let dir = tempfile::tempdir().unwrap();
    let a = Replica::new(dir.path(), "a", SCHEMA).attach("");
    let b = Replica::new(dir.path(), "b", SCHEMA).attach("");
    a.sql(ROWS);
    settle(&[&a, &b]);
    (dir, a, b)
}

#[test]
fn what_a_dropped_column_held_is_kept() {
    let (dir, a, b) = two();
    a.open().begin_migration(now()).unwrap();
    let copy = dir.path().join("before.db");
    lockstep_engine::guest::backup(&a.path, &copy, false).unwrap();
    assert!(a.open().is_migrating().unwrap());
    a.sql("ALTER TABLE item DROP COLUMN old; UPDATE item SET name = 'x' WHERE id = 1");
    let found = a.open().end_migration(Some(&copy), now()).unwrap();
    assert_eq!(found, ["in the table `item` 1 write was not captured; they are known now"]);
    a.sound();
    same_digests(&[&a]);
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT tag, name, old FROM item"), ["one x o1", "two - o2"]);
    b.sql("UPDATE item SET old = 'later' WHERE id = 2");
    settle(&[&a, &b]);
    a.sql("ALTER TABLE item ADD COLUMN old TEXT");
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT tag, name, old FROM item"), ["one x o1", "two - later"]);
}

/// A row that two servers entered each for itself, whose columns show what the one or the other has written last.
fn merged() -> (tempfile::TempDir, Replica, Replica) {
    let dir = tempfile::tempdir().unwrap();
    let config = "[tables.item]\nidentity = ['tag']\n";
    let [a, b] = ["a", "b"].map(|name| Replica::new(dir.path(), name, SCHEMA).attach(config));
    a.sql("INSERT INTO item VALUES (1, 'one', 'na', 'oa'), (2, 'two', 'na', 'oa')");
    b.sql("INSERT INTO item VALUES (1, 'one', 'nb', 'ob'), (2, 'two', 'nb', 'ob')");
    settle(&[&a, &b]);
    a.sql("UPDATE item SET old = 'later' WHERE id = 2");
    settle(&[&a, &b]);
    (dir, a, b)
}

#[test]
fn what_a_dropped_column_held_is_kept_in_all_that_a_row_was_made_of() {
    for dropped in [0, 1] {
        let (dir, a, b) = merged();
        let (here, there) = if dropped == 0 { (&a, &b) } else { (&b, &a) };
        here.open().begin_migration(now()).unwrap();
        let copy = dir.path().join("before.db");
        lockstep_engine::guest::backup(&here.path, &copy, false).unwrap();
        here.sql("ALTER TABLE item DROP COLUMN old");
        assert_eq!(here.open().end_migration(Some(&copy), now()).unwrap(), [""; 0]);
        here.sound();
        settle(&[&a, &b]);
        assert_eq!(there.rows("SELECT tag, name, old FROM item"), ["one nb ob", "two nb later"]);
        there.sql("UPDATE item SET old = 'last' WHERE id = 1");
        here.sql("ALTER TABLE item ADD COLUMN old TEXT");
        settle(&[&a, &b]);
        assert_eq!(here.rows("SELECT tag, name, old FROM item"), ["one nb last", "two nb later"]);
    }
}

#[test]
fn what_a_migration_wrote_to_a_row_is_found_whoever_had_written_it_before() {
    let (_d, a, b) = merged();
    for (r, v) in [(&a, "by a"), (&b, "by b")] {
        r.sql("PRAGMA foreign_keys = OFF; CREATE TABLE _alembic_tmp_item (id INTEGER NOT NULL PRIMARY KEY, tag TEXT, name TEXT, old TEXT)");
        r.sql("INSERT INTO _alembic_tmp_item SELECT * FROM item; DROP TABLE item; ALTER TABLE _alembic_tmp_item RENAME TO item");
        r.sql(&format!("UPDATE item SET name = '{v}' WHERE id = 1"));
        settle(&[&a, &b]);
        for r in [&a, &b] {
            assert_eq!(r.rows("SELECT tag, name FROM item"), [format!("one {v}"), "two nb".into()], "{}", r.name);
        }
    }
}

#[test]
fn a_renamed_column_is_known_again_by_its_values() {
    let (_dir, a, b) = two();
    a.sql("ALTER TABLE item RENAME COLUMN name TO label");
    a.harvest();
    a.sound();
    a.sql("UPDATE item SET label = 'edited' WHERE id = 1");
    a.sound();
    settle(&[&a, &b]);
    b.sql("ALTER TABLE item RENAME COLUMN name TO label");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT tag, label, old FROM item"), ["one edited o1", "two - o2"], "{}", r.name);
    }
}

/// A table is gone for a moment, as when a migration drops it to make it anew: what is known of its rows stays.
#[test]
fn while_a_table_is_gone_nothing_of_it_is_written() {
    let (_dir, a, b) = two();
    b.sql("UPDATE item SET name = 'of b' WHERE id = 1");
    a.sql("PRAGMA foreign_keys = OFF; CREATE TABLE _alembic_tmp_item AS SELECT * FROM item; DROP TABLE item");
    a.harvest();
    let batch = b.open().extract(&a.open().vectors().unwrap(), Default::default(), now()).unwrap();
    let refused = a.open().apply(&batch, now()).unwrap_err();
    assert_eq!(refused.code(), "table_gone", "{refused}");
    a.sql("UPDATE part SET tag = 'p!'; UPDATE _alembic_tmp_item SET name = 'of a' WHERE id = 2");
    a.harvest();
    a.sql("CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, tag TEXT, name TEXT, old TEXT); INSERT INTO item SELECT * FROM _alembic_tmp_item; DROP TABLE _alembic_tmp_item");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT tag, name, old FROM item"), ["one of b o1", "two of a o2"], "{}", r.name);
        assert_eq!(r.rows("SELECT p.tag, i.tag FROM part p JOIN item i ON i.id = p.item_id"), ["p! one"]);
    }
}

#[test]
fn a_table_that_was_dropped_for_good_is_let_go_when_a_person_says_so() {
    let (_dir, a, b) = two();
    a.sql("DROP TABLE part");
    a.harvest();
    b.sql("UPDATE part SET tag = 'of b'");
    let batch = b.open().extract(&a.open().vectors().unwrap(), Default::default(), now()).unwrap();
    assert_eq!(a.open().apply(&batch, now()).unwrap_err().code(), "table_gone");
    let found = a.open().examine(now()).unwrap();
    assert_eq!(found, ["the table `part` is gone"]);
    assert_eq!(a.open().examine(now()).unwrap(), [""; 0]);
    for _ in 0..3 {
        pull(&a, &b);
        pull(&b, &a);
    }
    assert_eq!(b.rows("SELECT tag FROM part"), ["of b"], "with those who have it, it stays");
    a.sound();
    b.sound();
}

/// The agent looks in between any two statements of a migration that commits each of them.
#[test]
fn a_rebuild_may_be_looked_at_at_every_step() {
    let (_dir, a, b) = two();
    a.sql("PRAGMA foreign_keys = OFF");
    for step in [
        "CREATE TABLE _alembic_tmp_item (id INTEGER NOT NULL, tag TEXT, name TEXT, old TEXT, PRIMARY KEY (id))",
        "INSERT INTO _alembic_tmp_item SELECT id, tag, name, old FROM item",
        "DROP TABLE item",
        "ALTER TABLE _alembic_tmp_item RENAME TO item",
    ] {
        a.sql(step);
        a.harvest();
        a.open().summary().unwrap();
    }
    a.sound();
    a.sql("PRAGMA foreign_keys = ON; INSERT INTO part VALUES (2, 2, 'q')");
    a.harvest();
    a.sql("DELETE FROM part WHERE id = 2; DELETE FROM item WHERE id = 2");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT tag FROM item"), ["one"], "{}", r.name);
        assert_eq!(r.rows("SELECT p.tag, i.tag FROM part p JOIN item i ON i.id = p.item_id"), ["p one"], "{}", r.name);
    }
}

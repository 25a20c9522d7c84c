//! The application's schema changes under capture: rebuilt tables, new, renamed and dropped columns, with and without
//! `lockstep migrate`: loss case 26.

use serde_json::{Value, json};

use crate::server::{Schema, Server, all_read, sync, two};

const SHOP: Schema<'static> = Schema {
    databases: &[(
        "shop",
        "CREATE TABLE item (id INTEGER NOT NULL, tag TEXT, name TEXT, old TEXT, PRIMARY KEY (id));
         CREATE TABLE part (id INTEGER NOT NULL, tag TEXT, item_id INTEGER REFERENCES item (id), PRIMARY KEY (id));",
    )],
    config: "",
};
const ROWS: &str = "INSERT INTO item (tag, name, old) VALUES ('one', 'n1', 'o1'), ('two', 'n2', 'o2');
    INSERT INTO part (tag, item_id) SELECT 'p-' || tag, id FROM item;";
const ITEMS: &str = "SELECT tag, name FROM item";
const PARTS: &str = "SELECT p.tag, i.tag FROM part p LEFT JOIN item i ON i.id = p.item_id";

/// As Alembic's batch mode does it: copy, drop, rename. The triggers go without a word.
fn rebuild(columns: &str, from: &str) -> String {
    format!(
        "PRAGMA foreign_keys=OFF;
         CREATE TABLE _alembic_tmp_item ({columns}, PRIMARY KEY (id));
         INSERT INTO _alembic_tmp_item SELECT {from} FROM item;
         DROP TABLE item;
         ALTER TABLE _alembic_tmp_item RENAME TO item;
         PRAGMA foreign_keys=ON;"
    )
}

fn same(columns: &str) -> String {
    rebuild(columns, "id, tag, name, old")
}

const SAME: &str = "id INTEGER NOT NULL, tag TEXT, name TEXT NOT NULL, old TEXT";

fn capture(server: &Server) -> Value {
    server.well(&["status"])["databases"][0]["capture"].clone()
}

#[test]
fn case_26_a_table_that_a_migration_rebuilds_is_noticed_and_what_was_written_meanwhile_is_found() {
    let (a, b) = two(SHOP);
    a.sql("shop", ROWS);
    sync(&b, &a);
    a.sql("shop", &same(SAME));
    // Nothing captures these: an edit, a new row, a row that is gone, under a new key.
    a.sql(
        "shop",
        "UPDATE item SET name = 'edited' WHERE tag = 'one'; INSERT INTO item (tag, name) VALUES ('three', 'n3')",
    );
    b.sql("shop", "UPDATE item SET old = 'of b' WHERE tag = 'two'");
    sync(&b, &a);
    all_read(&[&a, &b], "shop", ITEMS, &["one | edited", "two | n2", "three | n3"]);
    all_read(&[&a, &b], "shop", "SELECT old FROM item", &["o1", "of b", "null"]);
    all_read(&[&a, &b], "shop", PARTS, &["p-one | one", "p-two | two"]);
    assert_eq!(capture(&a), json!("ok"));
    // The same while the agent looks in at every step.
    for step in same(SAME).split_inclusive(';') {
        a.sql("shop", step);
        a.well(&["status"]);
    }
    a.sql("shop", "DELETE FROM part WHERE tag = 'p-two'; DELETE FROM item WHERE tag = 'two'");
    sync(&b, &a);
    all_read(&[&a, &b], "shop", ITEMS, &["one | edited", "three | n3"]);
    all_read(&[&a, &b], "shop", PARTS, &["p-one | one"]);
    assert_eq!(capture(&a), json!("ok"));
    let doctor = a.well(&["doctor", "shop"]);
    assert_eq!(
        doctor,
        json!({"findings": [], "repaired": true, "databases": [{"name": "shop", "findings": [], "repaired": true}]})
    );
}

#[test]
fn the_doctor_finds_what_no_trigger_saw() {
    let (a, b) = two(SHOP);
    a.sql("shop", ROWS);
    sync(&b, &a);
    let trigger =
        a.lines("shop", "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'item'").remove(0);
    a.sql("shop", &format!("DROP TRIGGER \"{trigger}\""));
    let found = a.well(&["doctor"]);
    assert_eq!(found["repaired"], json!(true), "{found}");
    assert!(found["findings"][0]["finding"].as_str().is_some_and(|f| f.contains(&trigger)), "{found}");
    a.sql("shop", "UPDATE item SET name = 'seen'");
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT DISTINCT name FROM item", &["seen"]);
}

/// A new column with a value in every row, on one server first: an edit there is not undone when the other follows.
#[test]
fn columns_that_are_added_and_filled_on_each_side_lose_no_edit() {
    let (a, b) = two(SHOP);
    a.sql("shop", ROWS);
    sync(&b, &a);
    let grow = "ALTER TABLE item ADD COLUMN colour TEXT; UPDATE item SET colour = 'grey'";
    let rebuilt =
        rebuild("id INTEGER NOT NULL, tag TEXT, name TEXT, old TEXT, colour TEXT", "id, tag, name, old, 'grey'");
    a.sql("shop", grow);
    sync(&b, &a);
    a.sql("shop", "UPDATE item SET colour = 'red' WHERE tag = 'one'");
    sync(&b, &a);
    assert!(b.held() > 0, "held for the column that is not there yet");
    b.sql("shop", &rebuilt);
    sync(&b, &a);
    assert_eq!(b.held(), 0);
    all_read(&[&a, &b], "shop", "SELECT tag, colour FROM item", &["one | red", "two | grey"]);
    assert_eq!(a.well(&["conflicts", "--all"])["conflicts"], json!([]));
}

#[test]
fn a_renamed_column_keeps_its_values_and_a_later_edit() {
    let (a, b) = two(SHOP);
    a.sql("shop", ROWS);
    sync(&b, &a);
    a.sql("shop", "ALTER TABLE item RENAME COLUMN name TO label");
    a.well(&["status"]);
    a.sql("shop", "UPDATE item SET label = 'edited' WHERE tag = 'one'");
    sync(&b, &a);
    b.sql("shop", "ALTER TABLE item RENAME COLUMN name TO label");
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT tag, label FROM item", &["one | edited", "two | n2"]);
    b.sql("shop", "UPDATE item SET label = 'again' WHERE tag = 'two'");
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT tag, label FROM item", &["one | edited", "two | again"]);
}

/// A trigger that names the column would make it fail; the command takes the triggers out of the way.
#[test]
fn migrate_lets_a_column_be_dropped_and_its_values_stay_with_the_peers() {
    let (a, b) = two(SHOP);
    a.sql("shop", ROWS);
    sync(&b, &a);
    b.sql("shop", "UPDATE item SET name = 'meanwhile' WHERE tag = 'two'");
    let script = a.script(
        "migration.py",
        "import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute('ALTER TABLE item DROP COLUMN old')
c.execute(\"UPDATE item SET name = 'migrated' WHERE tag = 'one'\")
print('done')
",
    );
    let file = a.file("shop");
    let run = |exit: &str| {
        let script = script.to_str().expect("a path in UTF-8");
        let file = file.to_str().expect("a path in UTF-8");
        a.lockstep(&["migrate", "shop", "--", "sh", "-c", &format!("python3 {script} {file}; exit {exit}")])
    };
    let done = run("0");
    assert_eq!((done.status, done.json["exit"].clone()), (0, json!(0)), "{done:?}");
    assert!(!done.json["findings"].as_array().expect("findings").is_empty(), "the uncaptured edit: {done:?}");
    assert_eq!(capture(&a), json!("ok"));
    sync(&b, &a);
    all_read(&[&a, &b], "shop", ITEMS, &["one | migrated", "two | meanwhile"]);
    all_read(&[&b], "shop", "SELECT old FROM item", &["o1", "o2"]);
    // An edit of the column at the peer waits here.
    b.sql("shop", "UPDATE item SET old = 'o1!' WHERE tag = 'one'");
    sync(&b, &a);
    // The column comes back: so do its values.
    a.sql("shop", "ALTER TABLE item ADD COLUMN old TEXT");
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT tag, old FROM item", &["one | o1!", "two | o2"]);

    // A migration that fails: its status is passed on, and everything is captured again.
    let failed = run("7");
    assert_eq!((failed.status, failed.json["exit"].clone()), (7, json!(7)), "{failed:?}");
    a.sql("shop", "UPDATE item SET name = 'captured'");
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT DISTINCT name FROM item", &["captured"]);
    let missing = a.lockstep(&["migrate", "shop", "--", "/no/such/program"]);
    assert_eq!((missing.status, missing.json["error"]["code"].clone()), (1, json!("command")), "{missing:?}");
    assert_eq!(capture(&a), json!("ok"));
}

#[test]
fn a_migration_that_is_killed_is_taken_up_by_the_next_look() {
    let (a, b) = two(SHOP);
    a.sql("shop", ROWS);
    sync(&b, &a);
    let flag = a.file("running");
    let flag_text = flag.to_str().expect("a path in UTF-8").to_owned();
    let wait = format!("touch {flag_text}; while [ -e {flag_text} ]; do sleep 0.05; done");
    let mut migrating = a.start(&["migrate", "shop", "--", "sh", "-c", &wait]);
    crate::server::until("the migration runs", || flag.exists());
    // While it runs nobody of this node works on the file, and the peer is told to come again.
    let refused = a.lockstep(&["pending"]);
    assert_eq!(refused.json["error"]["code"], json!("migrating"), "{refused:?}");
    let run = b.sync_with_any(&a);
    assert_ne!(run.status, 0, "{run:?}");
    a.sql("shop", "UPDATE item SET name = 'uncaptured' WHERE tag = 'one'");
    migrating.kill().expect("it was started here");
    migrating.wait().expect("it was started here");
    std::fs::remove_file(&flag).expect("the command it ran may end");
    a.sql("shop", "UPDATE item SET name = 'neither' WHERE tag = 'two'");
    sync(&b, &a);
    all_read(&[&a, &b], "shop", ITEMS, &["one | uncaptured", "two | neither"]);
    assert_eq!(capture(&a), json!("ok"));
}

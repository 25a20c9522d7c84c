//! The application's own triggers: those that feed what is not synced run on what is applied, the others don't.
mod replicas;
use replicas::*;

const SCHEMA: &str = "
CREATE TABLE item (id INTEGER NOT NULL PRIMARY KEY, code TEXT UNIQUE, name TEXT);
CREATE TABLE total (id INTEGER NOT NULL PRIMARY KEY, k TEXT NOT NULL UNIQUE, n INTEGER);
CREATE TABLE audit_log (at INTEGER PRIMARY KEY, what TEXT);
CREATE VIRTUAL TABLE item_fts USING fts5(name, content = 'item', content_rowid = 'id');
CREATE TRIGGER item_ai AFTER INSERT ON item BEGIN INSERT INTO item_fts(rowid, name) VALUES (new.id, new.name); END;
CREATE TRIGGER item_ad AFTER DELETE ON item BEGIN
  INSERT INTO item_fts(item_fts, rowid, name) VALUES ('delete', old.id, old.name); END;
CREATE TRIGGER item_au AFTER UPDATE ON item BEGIN
  INSERT INTO item_fts(item_fts, rowid, name) VALUES ('delete', old.id, old.name);
  INSERT INTO item_fts(rowid, name) VALUES (new.id, new.name); END;
CREATE TRIGGER item_log AFTER UPDATE OF name ON item BEGIN
  INSERT INTO audit_log(what) VALUES (old.name || ' -> ' || new.name); END;
CREATE TRIGGER item_count AFTER INSERT ON item BEGIN UPDATE total SET n = n + 1 WHERE k = 'items'; END;
CREATE TRIGGER item_check BEFORE INSERT ON item BEGIN SELECT raise(ABORT, 'no name') WHERE new.name IS NULL; END;
";
const CONFIG: &str = "exclude = ['audit_log']\n[tables.total]\nidentity = ['k']";

fn found(r: &Replica, word: &str) -> Vec<String> {
    r.rows(&format!(
        "SELECT i.code FROM item_fts f JOIN item i ON i.id = f.rowid WHERE item_fts MATCH '{word}' ORDER BY 1"
    ))
}

#[test]
fn a_search_index_and_a_log_follow_what_is_applied_and_a_counter_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|n| {
        let r = Replica::new(dir.path(), n, SCHEMA);
        r.sql("INSERT INTO total VALUES (1, 'items', 0)");
        r.attach(CONFIG)
    });
    settle(&[&a, &b]);
    a.sql("INSERT INTO item VALUES (1, 'x', 'red fox'), (2, 'y', 'blue fox')");
    settle(&[&a, &b]);
    assert_eq!(found(&b, "fox"), ["x", "y"]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT n FROM total"), ["2"], "{}: what the trigger did arrived by itself", r.name);
    }
    a.sql("UPDATE item SET name = 'green owl' WHERE id = 1");
    settle(&[&a, &b]);
    // Two keys change places, for which rows are taken out and put back; a row goes.
    a.sql("UPDATE item SET code = 'z' WHERE id = 1; UPDATE item SET code = 'x' WHERE id = 2; UPDATE item SET code = 'y' WHERE id = 1");
    settle(&[&a, &b]);
    assert_eq!((found(&b, "fox"), found(&b, "owl")), (vec!["x".to_owned()], vec!["y".to_owned()]));
    assert_eq!(b.rows("SELECT what FROM audit_log"), ["red fox -> green owl"]);
    a.sql("DELETE FROM item WHERE code = 'x'");
    settle(&[&a, &b]);
    assert_eq!(found(&b, "fox"), [""; 0]);
    b.sql("INSERT INTO item_fts(item_fts) VALUES ('integrity-check')");
    b.sql("INSERT INTO item VALUES (5, 'w', 'own words')");
    settle(&[&a, &b]);
    assert_eq!((found(&a, "own"), found(&b, "own")), (vec!["w".to_owned()], vec!["w".to_owned()]));
    assert_eq!(a.rows("SELECT n FROM total"), b.rows("SELECT n FROM total"));
    for r in [&a, &b] {
        assert_eq!(r.open().summary().unwrap().capture, [""; 0]);
    }
}

#[test]
fn attach_says_which_triggers_run_on_what_is_received() {
    let dir = tempfile::tempdir().unwrap();
    let r = Replica::new(dir.path(), "a", SCHEMA);
    r.sql("CREATE TRIGGER both AFTER DELETE ON item BEGIN DELETE FROM total WHERE n < 0; INSERT INTO audit_log(what) VALUES ('gone'); END");
    let report = lockstep_engine::database::attach(
        &r.path,
        "main",
        &config(CONFIG),
        &[],
        &Default::default(),
        now(),
        &mut |b| b.fill(7),
        &mut |_, _| {},
    )
    .unwrap();
    let said = |name: &str| {
        let of = |w: &&String| w.contains(&format!("the trigger `{name}`"));
        report.warnings.iter().find(of).cloned().unwrap_or_default()
    };
    for name in ["item_ai", "item_ad", "item_au", "item_log"] {
        assert!(said(name).contains("it runs on what is received, too"), "{name}: {}", said(name));
    }
    assert!(said("item_count").contains("writes `total`, synced: it doesn't run"), "{}", said("item_count"));
    assert!(said("both").contains("cut it in two"), "{}", said("both"));
    assert_eq!(said("item_check"), "", "it writes nothing");
}

/// It calls a function that only the application has: it can't run here, and that is said; rows are applied.
#[test]
fn a_trigger_that_cannot_run_here_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|n| {
        let r = Replica::new(dir.path(), n, SCHEMA);
        let f = |_: &rusqlite::functions::Context<'_>| Ok(1);
        r.app.create_scalar_function("of_the_application", 0, rusqlite::functions::FunctionFlags::SQLITE_UTF8, f).unwrap();
        r.sql("CREATE TRIGGER strange AFTER INSERT ON item BEGIN INSERT INTO audit_log(what) VALUES (of_the_application()); END");
        r.attach(CONFIG)
    });
    a.sql("INSERT INTO item VALUES (1, 'x', 'red fox')");
    settle(&[&a, &b]);
    assert_eq!(found(&b, "fox"), ["x"], "the others run");
    let capture = b.open().summary().unwrap().capture;
    assert_eq!(capture.len(), 1, "{capture:?}");
    assert!(capture[0].contains("`strange`") && capture[0].contains("of_the_application"), "{capture:?}");
}

//! Saying anew how a table is synced while it is attached; and finding rows.
mod replicas;

use lockstep_engine::Error;
use lockstep_engine::config::{Guard, MergeUnit, Policy, TableConfig};
use lockstep_engine::configure::Error as Refused;
use lockstep_engine::database::ConflictState;
use lockstep_engine::value::Value;
use replicas::{Replica, now, sync};

const SCHEMA: &str = "CREATE TABLE team (id INTEGER PRIMARY KEY, number INTEGER UNIQUE, name TEXT, coach TEXT);
    INSERT INTO team (number, name) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
      SELECT i, 'team ' || i FROM n;";

fn two(dir: &std::path::Path) -> (Replica, Replica) {
    let a = Replica::new(dir, "a", SCHEMA).attach("");
    let b = Replica::new(
        dir,
        "b",
        "CREATE TABLE team (id INTEGER PRIMARY KEY, number INTEGER UNIQUE, name TEXT, coach TEXT);",
    )
    .attach("");
    sync(&a, &b);
    (a, b)
}

fn by(config: TableConfig, replicas: &[&Replica]) {
    for r in replicas {
        r.open().configure("TEAM", config.clone(), now()).unwrap();
    }
}

#[test]
fn a_policy_that_is_said_later_holds_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = two(dir.path());
    let mut config = TableConfig { policy: Policy::Review, merge: MergeUnit::Row, ..TableConfig::default() };
    config.columns.insert("coach".into(), Policy::Newest);
    by(config.clone(), &[&a, &b]);
    assert_eq!(b.open().config().unwrap().tables["team"], config);
    a.sql("UPDATE team SET name = 'a' WHERE number = 1");
    b.sql("UPDATE team SET name = 'b' WHERE number = 1");
    sync(&a, &b);
    let held = b.open().conflicts().unwrap();
    assert_eq!(held.iter().map(|c| c.state).collect::<Vec<_>>(), [ConflictState::Held]);
    assert_eq!(b.rows("SELECT name FROM team WHERE number = 1"), ["b"]);
}

#[test]
fn what_says_which_row_is_which_stands() {
    let dir = tempfile::tempdir().unwrap();
    let (a, _) = two(dir.path());
    let before = a.open().config().unwrap();
    let say = |config: TableConfig| a.open().configure("team", config, now()).unwrap_err();
    let identity = TableConfig { identity: Some(vec!["name".into()]), ..TableConfig::default() };
    assert!(matches!(say(identity), Error::Configure(Refused::Settled { what: "identity", .. })));
    let mut reference = TableConfig::default();
    reference.references.insert("coach".into(), "main.team".into());
    assert!(matches!(say(reference), Error::Configure(Refused::Settled { what: "references", .. })));
    let share = TableConfig { guard: Some(Guard { rows: 1, share: 2.0 }), ..TableConfig::default() };
    assert!(matches!(say(share), Error::Configure(Refused::BadShare { .. })));
    let modified = TableConfig { modified: Some("nothing".into()), ..TableConfig::default() };
    assert!(matches!(say(modified), Error::Catalog(_)));
    let unknown = a.open().configure("nothing", TableConfig::default(), now()).unwrap_err();
    assert!(matches!(unknown, Error::Configure(Refused::NoTable { .. })));
    assert_eq!(a.open().config().unwrap(), before);
}

#[test]
fn a_table_that_declines_history_later_keeps_what_was_captured_until_then() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = two(dir.path());
    a.sql("UPDATE team SET name = 'first' WHERE number = 1");
    by(TableConfig { history: false, ..TableConfig::default() }, &[&a]);
    a.sql("UPDATE team SET name = 'second' WHERE number = 1");
    assert_eq!(a.open().examine(now()).unwrap(), [""; 0]);
    let versions = a.open().history("team", "1", now()).unwrap().unwrap().remove(0).versions;
    let names: Vec<Option<Value>> =
        versions.iter().filter_map(|v| v.columns.iter().find(|c| c.name == "name").map(|c| c.value.clone())).collect();
    assert_eq!(names, [Some(Value::text("second")), Some(Value::text("team 1"))], "what was first is not kept");
    sync(&a, &b);
    assert_eq!(b.rows("SELECT name FROM team WHERE number = 1"), ["second"]);
}

#[test]
fn the_guard_of_the_node_is_for_tables_that_have_none_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = two(dir.path());
    let guarded = |rows| {
        let mut db = b.open();
        db.guard_by(Guard { rows, share: 0.1 });
        let have = db.vectors().unwrap();
        drop(db);
        let batch = a.open().extract(&have, lockstep_engine::Limit::default(), now()).unwrap();
        let mut db = b.open();
        db.guard_by(Guard { rows, share: 0.1 });
        db.apply(&batch, now()).unwrap();
        db.guarded().unwrap().len()
    };
    a.sql("DELETE FROM team WHERE number <= 5");
    assert_eq!(guarded(5), 0);
    a.sql("DELETE FROM team WHERE number <= 10");
    assert_eq!(guarded(4), 1);
    by(TableConfig { guard: Some(Guard { rows: 100, share: 0.5 }), ..TableConfig::default() }, &[&b]);
    a.sql("DELETE FROM team WHERE number <= 15");
    assert_eq!(guarded(4), 1, "the same five as before");
    assert_eq!(b.rows("SELECT count(*) FROM team"), ["30"]);
}

#[test]
fn a_row_is_found_by_its_key_or_identity_also_when_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (a, _) = two(dir.path());
    a.sql("UPDATE team SET id = 1000 WHERE number = 7; DELETE FROM team WHERE number IN (17, 27)");
    let find = |text: &str, span| a.open().find_rows("team", text, span, now()).unwrap().unwrap();
    let all = find("", (0, 200));
    assert_eq!((all.total, all.rows.len()), (40, 40));
    assert_eq!(all.rows.iter().filter(|r| !r.lives).count(), 2);
    let sevens = find("7", (0, 200));
    let shown: Vec<(Option<&str>, bool)> = sevens.rows.iter().map(|r| (r.key.as_deref(), r.lives)).collect();
    assert_eq!(shown, [(Some("37"), true), (Some("1000"), true), (Some("27"), false), (Some("17"), false)]);
    assert_eq!(sevens.rows[2].identity, [("number".to_owned(), Some(Value::Integer(27)))]);
    for (offset, keys) in [(1, ["1000", "27"]), (2, ["27", "17"])] {
        let part = find("7", (offset, 2));
        let found: Vec<&str> = part.rows.iter().filter_map(|r| r.key.as_deref()).collect();
        assert_eq!((part.total, &found[..]), (4, &keys[..]));
    }
    assert_eq!(find("team 7", (0, 200)).total, 0, "other values are not looked at");
    assert_eq!(a.open().find_rows("nothing", "", (0, 1), now()).unwrap(), None);
}

#[test]
fn a_version_is_not_brought_back_over_a_write_that_was_not_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (a, _) = two(dir.path());
    a.sql("UPDATE team SET name = 'first' WHERE number = 1");
    let versions = a.open().history("team", "1", now()).unwrap().unwrap().remove(0).versions;
    let (seen, old) = (versions[0].id.clone(), versions[1].id.clone());
    a.sql("UPDATE team SET name = 'second' WHERE number = 1");
    let refused = a.open().restore("team", "1", &old, false, Some(&seen), now()).unwrap_err();
    assert_eq!(refused.code(), "changed");
    assert_eq!(a.rows("SELECT name FROM team WHERE number = 1"), ["second"]);
    a.open().restore("team", "1", &old, false, None, now()).unwrap();
    assert_eq!(a.rows("SELECT name FROM team WHERE number = 1"), ["team 1"]);
}

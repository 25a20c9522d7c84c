//! Every version of a row, and bringing one back.
mod replicas;
use lockstep_engine::Error;
use lockstep_engine::database::Operation;
use lockstep_engine::decide::{Error as Refused, Restored};
use lockstep_engine::history::{RowHistory, Version, VersionState};
use lockstep_engine::value::Value;
use replicas::*;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT, note TEXT);
CREATE TABLE score (id INTEGER PRIMARY KEY, team_id INTEGER NOT NULL REFERENCES team (id) ON DELETE CASCADE, tag TEXT);
CREATE TABLE mark (id INTEGER PRIMARY KEY, score_id INTEGER REFERENCES score (id) ON DELETE CASCADE, tag TEXT);
CREATE TABLE word (lang TEXT, nr INTEGER, text TEXT, PRIMARY KEY (lang, nr)) WITHOUT ROWID;
";

fn two() -> (tempfile::TempDir, Replica, Replica) {
    let dir = tempfile::tempdir().unwrap();
    let a = Replica::new(dir.path(), "a", SCHEMA).attach("");
    let b = Replica::new(dir.path(), "b", SCHEMA).attach("");
    (dir, a, b)
}

fn histories(r: &Replica, table: &str, key: &str) -> Vec<RowHistory> {
    r.open().history(table, key, now()).unwrap().unwrap()
}

fn history(r: &Replica, table: &str, key: &str) -> Vec<Version> {
    let mut all = histories(r, table, key);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0).versions
}

fn value(v: &Version, column: &str) -> Option<(String, VersionState)> {
    let c = v.columns.iter().find(|c| c.name == column)?;
    let text = match c.value.as_ref()? {
        Value::Text(t) => String::from_utf8_lossy(t).into_owned(),
        other => format!("{other:?}"),
    };
    Some((text, c.state))
}

/// The version that wrote this text into the column.
fn that_said(r: &Replica, table: &str, key: &str, column: &str, text: &str) -> String {
    let all: Vec<Version> = histories(r, table, key).into_iter().flat_map(|h| h.versions).collect();
    let found = all.iter().find(|v| value(v, column).is_some_and(|(t, _)| t == text));
    found.unwrap_or_else(|| panic!("{text}: {all:#?}")).id.clone()
}

fn restore(r: &Replica, table: &str, key: &str, version: &str, children: bool) -> Restored {
    r.open().restore(table, key, version, children, None, now()).unwrap()
}

#[test]
fn every_version_is_listed_with_its_end() {
    let (_d, a, b) = two();
    a.sql("INSERT INTO team VALUES (1, 'n0', 'o0')").harvest();
    a.sql("UPDATE team SET name = 'n1'").harvest();
    settle(&[&a, &b]);
    a.sql("UPDATE team SET name = 'from a'").harvest();
    b.sql("UPDATE team SET name = 'from b'").harvest();
    settle(&[&a, &b]);
    let versions = history(&a, "team", "1");
    let said: Vec<_> = versions.iter().map(|v| (v.operation, value(v, "name").unwrap())).collect();
    let (update, insert) = (Operation::Update, Operation::Insert);
    let is = |text: &str, state| (text.to_owned(), state);
    assert_eq!(
        said,
        [
            (update, is("from b", VersionState::Visible)),
            (update, is("from a", VersionState::Lost)),
            (update, is("n1", VersionState::Superseded)),
            (insert, is("n0", VersionState::Superseded)),
        ]
    );
    assert_eq!(value(&versions[3], "note"), Some(is("o0", VersionState::Visible)));
    assert_eq!(versions[3].state, VersionState::Visible, "one of its columns is still shown");
    let (replica_a, replica_b) = (a.open().summary().unwrap().replica, b.open().summary().unwrap().replica);
    assert_eq!([versions[0].by, versions[1].by], [replica_b, replica_a]);
    let lost = &versions[1].columns[0];
    assert_eq!(lost.ended_by, Some(replica_b));
    assert!(lost.ended_at.is_some());
    // The other one names them alike, as far as it ever got them.
    let there: Vec<String> = history(&b, "team", "1").into_iter().map(|v| v.id).collect();
    assert!(there.contains(&versions[0].id) && there.contains(&versions[1].id));
    a.sql("DELETE FROM team").harvest();
    settle(&[&a, &b]);
    for r in [&a, &b] {
        let h = histories(r, "team", "1").remove(0);
        assert!(!h.lives && h.key.is_none());
        assert_eq!((h.versions[0].operation, h.versions[0].state), (Operation::Delete, VersionState::Visible));
        assert_eq!(value(&h.versions[1], "name"), Some(is("from b", VersionState::Deleted)));
    }
    assert_eq!(histories(&a, "team", "9"), []);
    assert_eq!(a.open().history("nothing", "1", now()).unwrap(), None);
}

#[test]
fn what_was_overwritten_or_lost_comes_back_as_a_write() {
    let (_d, a, b) = two();
    a.sql("INSERT INTO team VALUES (1, 'n0', 'o0')").harvest();
    settle(&[&a, &b]);
    a.sql("UPDATE team SET name = 'n1'").harvest();
    a.sql("UPDATE team SET name = 'from a'").harvest();
    b.sql("UPDATE team SET name = 'from b'").harvest();
    settle(&[&a, &b]);
    for text in ["n0", "n1", "from a", "from b"] {
        let version = that_said(&a, "team", "1", "name", text);
        let done = restore(&a, "team", "1", &version, false);
        assert_eq!((done.written, done.key.as_deref()), (1, Some("1")), "{text}");
        assert_eq!(restore(&a, "team", "1", &version, false).written, 0, "it stands");
        settle(&[&a, &b]);
        for r in [&a, &b] {
            assert_eq!(r.rows("SELECT name, note FROM team"), [format!("{text} o0")], "{}", r.name);
        }
    }
}

#[test]
fn a_loser_that_only_its_record_knows_comes_back_too() {
    let (_d, a, b) = two();
    a.sql("INSERT INTO team VALUES (1, 'n0', 'o0')").harvest();
    settle(&[&a, &b]);
    a.sql("UPDATE team SET name = 'from a'").harvest();
    b.sql("UPDATE team SET name = 'from b'").harvest();
    pull(&b, &a);
    // A gets the record with the winner; its own write was replaced before it ever heard of B's.
    let version = that_said(&b, "team", "1", "name", "from a");
    restore(&b, "team", "1", &version, false);
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT name FROM team"), ["from a"]);
}

#[test]
fn a_deleted_row_comes_back_under_its_id_or_a_new_one() {
    let (_d, a, b) = two();
    a.sql("INSERT INTO team VALUES (1, 'n0', 'o0')").harvest();
    a.sql("UPDATE team SET name = 'n1'").harvest();
    settle(&[&a, &b]);
    a.sql("DELETE FROM team").harvest();
    settle(&[&a, &b]);
    let grave = histories(&a, "team", "1")[0].versions[0].id.clone();
    assert!(matches!(
        a.open().restore("team", "1", &grave, false, None, now()),
        Err(Error::Decision(Refused::NoValues))
    ));
    let version = that_said(&a, "team", "1", "name", "n1");
    assert_eq!(restore(&a, "team", "1", &version, false).key.as_deref(), Some("1"));
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT * FROM team"), ["1 n1 o0"]);
    // Its id has been used again since.
    a.sql("DELETE FROM team; INSERT INTO team VALUES (1, 'other', 'o')").harvest();
    settle(&[&a, &b]);
    let rows = histories(&a, "team", "1");
    assert_eq!(rows.iter().map(|h| h.key.as_deref()).collect::<Vec<_>>(), [Some("1"), None]);
    let version = that_said(&a, "team", "1", "name", "n0");
    let done = restore(&a, "team", "1", &version, false);
    assert_eq!(done.key.as_deref(), Some("2"));
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT id, name, note FROM team ORDER BY id"), ["1 other o", "2 n0 o0"]);
    assert_eq!(b.rows("SELECT name, note FROM team ORDER BY name"), ["n0 o0", "other o"]);
}

#[test]
fn children_that_went_with_a_row_come_back_with_it_where_that_is_asked_for() {
    for children in [false, true] {
        let (_d, a, b) = two();
        a.sql(
            "INSERT INTO team VALUES (1, 'n', 'o'), (2, 'x', 'y');
               INSERT INTO score VALUES (1, 1, 'first'), (2, 1, 'second'), (3, 2, 'not its own');
               INSERT INTO mark VALUES (1, 1, 'grandchild')",
        )
        .harvest();
        settle(&[&a, &b]);
        a.sql("DELETE FROM team WHERE id = 1").harvest();
        settle(&[&a, &b]);
        assert_eq!(b.rows("SELECT tag FROM score"), ["not its own"]);
        let version = that_said(&b, "team", "1", "name", "n");
        let done = restore(&b, "team", "1", &version, children);
        assert_eq!((done.written, done.children), if children { (4, 3) } else { (1, 0) });
        settle(&[&a, &b]);
        for r in [&a, &b] {
            let scores = r.rows("SELECT s.tag, t.name FROM score s JOIN team t ON t.id = s.team_id ORDER BY s.tag");
            let marks = r.rows("SELECT s.tag FROM mark m JOIN score s ON s.id = m.score_id");
            if children {
                assert_eq!(scores, ["first n", "not its own x", "second n"], "{}", r.name);
                assert_eq!(marks, ["first"]);
            } else {
                assert_eq!(scores, ["not its own x"]);
                assert_eq!(marks, [""; 0]);
            }
        }
    }
}

#[test]
fn a_row_is_found_by_a_composite_key_also_when_it_is_gone() {
    let (_d, a, b) = two();
    a.sql("INSERT INTO word VALUES ('en', 7, 'one'), ('7', 7, 'two')").harvest();
    a.sql("UPDATE word SET text = 'uno' WHERE lang = 'en'").harvest();
    settle(&[&a, &b]);
    let key = r#"["en",7]"#;
    let texts = |r: &Replica| -> Vec<String> {
        history(r, "word", key).iter().filter_map(|v| value(v, "text")).map(|(text, _)| text).collect()
    };
    assert_eq!(texts(&b), ["uno"], "what was replaced before it travelled never came");
    assert_eq!(texts(&a), ["uno", "one"]);
    assert_eq!(history(&a, "word", "[7,7]").len(), 1, "a number names a text where the column holds texts");
    a.sql("DELETE FROM word WHERE lang = 'en'").harvest();
    let version = that_said(&a, "word", key, "text", "one");
    restore(&a, "word", key, &version, false);
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT text FROM word WHERE lang = 'en'"), ["one"]);
}

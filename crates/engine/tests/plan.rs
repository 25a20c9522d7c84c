//! The plan row by row, applying exactly that, and putting rows of it aside.
mod replicas;
use lockstep_engine::change::{Batch, ConflictKind};
use lockstep_engine::database::Operation;
use lockstep_engine::decide::Error as Refused;
use lockstep_engine::id::Vectors;
use lockstep_engine::plan::PlanRow;
use lockstep_engine::value::Value;
use lockstep_engine::{Error, Limit};
use replicas::*;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER PRIMARY KEY, number INTEGER, name TEXT);
CREATE TABLE score (id INTEGER PRIMARY KEY, team_id INTEGER NOT NULL REFERENCES team (id), tag TEXT);
";
const CONFIG: &str = "[tables.team]\nidentity = ['number']\n";

fn two() -> (tempfile::TempDir, Replica, Replica) {
    two_by(CONFIG)
}

fn two_by(config: &str) -> (tempfile::TempDir, Replica, Replica) {
    let dir = tempfile::tempdir().unwrap();
    let a = Replica::new(dir.path(), "a", SCHEMA).attach(config);
    let b = Replica::new(dir.path(), "b", SCHEMA).attach(config);
    (dir, a, b)
}

/// What A has and B lacks, and where B stands.
fn delta(b: &Replica, a: &Replica) -> (Vec<Batch>, Vectors) {
    b.harvest();
    let have = b.open().vectors().unwrap();
    let batch = a.open().extract(&have, Limit { items: 1000, bytes: 1 << 20 }, now()).unwrap();
    assert!(batch.last);
    (vec![batch], have)
}

fn plan(b: &Replica, batches: &[Batch]) -> Vec<PlanRow> {
    b.open().plan(batches, now()).unwrap()
}

/// Rows that B changes, A deletes, and so on.
fn prepared() -> (tempfile::TempDir, Replica, Replica) {
    let (d, a, b) = two();
    a.sql("INSERT INTO team VALUES (1, 10, 'ten'), (2, 20, 'twenty'), (3, 30, 'thirty')");
    settle(&[&a, &b]);
    a.sql("UPDATE team SET name = 'a' WHERE id = 1").harvest();
    b.sql("UPDATE team SET name = 'b' WHERE id = 1; INSERT INTO team VALUES (4, 50, 'taken')").harvest();
    a.sql(
        "DELETE FROM team WHERE id = 2; INSERT INTO team VALUES (4, 40, 'new'); INSERT INTO score VALUES (1, 4, 's')",
    );
    a.sql("UPDATE team SET number = 31 WHERE id = 3").harvest();
    (d, a, b)
}

#[test]
fn a_plan_says_row_by_row_what_applying_it_does() {
    let (_d, a, b) = prepared();
    let (batches, stood) = delta(&b, &a);
    let rows = plan(&b, &batches);
    let said: Vec<_> = rows.iter().map(|r| (r.table.as_str(), r.operation, r.key.as_deref().unwrap_or("-"))).collect();
    for expected in [
        ("team", Operation::Delete, "2"),
        ("team", Operation::Update, "3"),
        ("team", Operation::Insert, "5"),
        ("score", Operation::Insert, "1"),
    ] {
        assert!(said.contains(&expected), "{expected:?} of {said:?}");
    }
    assert_eq!(rows.len(), 4, "what B wrote later stands: {said:?}");
    let update = rows.iter().find(|r| r.operation == Operation::Update).unwrap();
    let column = &update.columns[0];
    assert_eq!(update.columns.len(), 1);
    assert_eq!((&column.before, &column.after), (&Some(Value::Integer(30)), &Some(Value::Integer(31))));
    assert_eq!(update.from, Some(a.open().summary().unwrap().replica));
    assert_eq!(rows.iter().find(|r| r.table == "team" && r.operation == Operation::Insert).unwrap().moves_to, Some(5));
    // Looking changed nothing, and exactly that is applied.
    assert_eq!(b.open().vectors().unwrap(), stood);
    let done = b.open().apply_plan(&batches, &stood, &[], now()).unwrap();
    assert_eq!((done.inserts, done.updates, done.deletes), (2, 1, 1));
    b.sound();
    settle(&[&a, &b]);
}

#[test]
fn a_plan_is_refused_where_anything_was_written_since() {
    let (_d, a, b) = prepared();
    let (batches, stood) = delta(&b, &a);
    let before = b.rows("SELECT * FROM team ORDER BY id");
    b.sql("INSERT INTO score VALUES (9, 1, 'meanwhile')");
    match b.open().apply_plan(&batches, &stood, &[], now()) {
        Err(Error::Decision(Refused::Moved { table })) => assert_eq!(table, "score"),
        other => panic!("{other:?}"),
    }
    assert_eq!(b.rows("SELECT * FROM team ORDER BY id"), before);
    b.sound();
}

#[test]
fn rows_of_a_plan_are_put_aside_and_taken_up_later() {
    let (_d, a, b) = prepared();
    let (batches, stood) = delta(&b, &a);
    let rows = plan(&b, &batches);
    let unknown = vec!["beef".to_owned()];
    assert!(matches!(
        b.open().apply_plan(&batches, &stood, &unknown, now()),
        Err(Error::Decision(Refused::Unknown { .. }))
    ));
    let hold: Vec<String> = rows.iter().filter(|r| r.table == "team").map(|r| r.id.clone()).collect();
    b.open().apply_plan(&batches, &stood, &hold, now()).unwrap();
    b.sound();
    assert_eq!(
        b.rows("SELECT id, number, name FROM team ORDER BY id"),
        ["1 10 b", "2 20 twenty", "3 30 thirty", "4 50 taken"]
    );
    assert_eq!(b.rows("SELECT tag FROM score"), [""; 0], "the child of a row that is put aside waits with it");
    // Both know the same; it is only not shown.
    settle(&[&a, &b]);
    // A local write has not seen what is put aside.
    b.sql("UPDATE team SET number = 33 WHERE id = 3");
    settle(&[&a, &b]);
    let reviewed: Vec<String> =
        b.open().held().unwrap().into_iter().filter(|h| h.reason == ConflictKind::Review).map(|h| h.id).collect();
    for id in reviewed {
        b.open().allow(&id, true, now()).unwrap();
        b.sound();
    }
    settle(&[&a, &b]);
    assert_eq!(b.open().held().unwrap(), []);
    let rows = "SELECT number, name FROM team ORDER BY number";
    assert_eq!(b.rows(rows), ["10 b", "33 thirty", "40 new", "50 taken"]);
    assert_eq!(a.rows(rows), b.rows(rows));
    assert_eq!(b.rows("SELECT tag FROM score"), ["s"]);
}

#[test]
fn everything_of_a_peer_can_be_put_aside_until_a_person_has_looked() {
    let (_d, a, b) = prepared();
    let before = b.rows("SELECT * FROM team ORDER BY id");
    let (batches, _) = delta(&b, &a);
    b.open().apply_aside(&batches[0], now()).unwrap();
    b.sound();
    assert_eq!(b.rows("SELECT * FROM team ORDER BY id"), before);
    pull(&a, &b);
    same_digests(&[&a, &b]);
    while let Some(h) = b.open().held().unwrap().into_iter().find(|h| h.reason == ConflictKind::Review) {
        b.open().allow(&h.id, true, now()).unwrap();
        b.sound();
    }
    settle(&[&a, &b]);
    let rows = "SELECT number, name FROM team ORDER BY number";
    assert_eq!(a.rows(rows), b.rows(rows));
    assert_eq!(b.rows("SELECT tag FROM score"), ["s"]);
}

#[test]
fn a_preview_says_how_many_rows_would_wait() {
    let (_d, a, b) = two_by("[tables.team]\nidentity = ['number']\npolicy = 'review'\n");
    a.sql("INSERT INTO team VALUES (1, 10, 'ten'), (2, 20, 'twenty'), (3, 30, 'thirty')");
    settle(&[&a, &b]);
    let held = |batches: &[Batch]| {
        let plan = b.open().preview(batches, None, now()).unwrap();
        let tables = plan.tables.iter().map(|t| (t.name.clone(), [t.inserts, t.updates, t.deletes, t.held]));
        tables.collect::<Vec<_>>()
    };
    // Two that both changed, and one that only A did.
    a.sql("UPDATE team SET name = 'a'").harvest();
    b.sql("UPDATE team SET name = 'b' WHERE id < 3").harvest();
    let (batches, _) = delta(&b, &a);
    assert_eq!(held(&batches), [("team".to_owned(), [0, 1, 0, 2])]);
    // What waits already is no news.
    settle(&[&a, &b]);
    a.sql("UPDATE team SET number = number + 1 WHERE id = 3").harvest();
    let (batches, _) = delta(&b, &a);
    assert_eq!(held(&batches), [("team".to_owned(), [0, 1, 0, 0])]);
}

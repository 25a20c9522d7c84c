//! Work is proportional to the batch, not to the table: ten changes cost as much in a large table as in a small one.
//!
//! What is counted are the steps of SQLite's machine: a statement that walks a table takes some for each of its rows,
//! one that finds a row by an index takes the same few in any table. They are the same in every run.
mod replicas;
use lockstep_engine::{Database, Limit};
use replicas::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER NOT NULL PRIMARY KEY, number INTEGER NOT NULL, name TEXT, code TEXT UNIQUE);
CREATE TABLE score (id INTEGER NOT NULL PRIMARY KEY, team_id INTEGER NOT NULL REFERENCES team (id), tag TEXT, v);
CREATE TABLE team_event (team_id INTEGER NOT NULL REFERENCES team (id), event INTEGER NOT NULL, PRIMARY KEY (team_id, event));
";
const CONFIG: &str = "[tables.team]\nidentity = ['number']\n";

/// Ten changes of every kind in the midst of the rows.
const TEN: &str = "
UPDATE score SET v = 'x' WHERE id BETWEEN 300 AND 302;
UPDATE team SET name = 'other' WHERE id = 5;
UPDATE team SET code = 'new' WHERE id = 6;
DELETE FROM score WHERE id IN (400, 401);
INSERT INTO team VALUES (NULL, 1000001, 'late', 'late');
INSERT INTO score (team_id, tag, v) VALUES (7, 'late', 1);
INSERT INTO team_event VALUES (8, 77);
";

type Part = fn(&Steps) -> u64;

#[derive(Clone, Copy, Debug)]
struct Steps {
    harvest: u64,
    extract: u64,
    apply: u64,
    nothing: u64,
}

fn counted<T>(db: &mut Database, work: impl FnOnce(&mut Database) -> T) -> (u64, T) {
    let steps = Arc::new(AtomicU64::new(0));
    let more = steps.clone();
    db.on_step(Some(move || {
        more.fetch_add(1, Ordering::Relaxed);
        false
    }))
    .unwrap();
    let done = work(db);
    db.on_step(None::<fn() -> bool>).unwrap();
    (steps.load(Ordering::Relaxed), done)
}

fn ten_changes_among(rows: usize) -> Steps {
    let dir = tempfile::tempdir().unwrap();
    let a = Replica::new(dir.path(), "a", SCHEMA);
    a.sql(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})
         INSERT INTO team SELECT i, 7 * i, 'team ' || i, 'code ' || i FROM n;
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO score SELECT i, 1 + i % 100, 'tag ' || i, i FROM n;",
        rows / 10
    ));
    let (a, b) = (a.attach(CONFIG), Replica::new(dir.path(), "b", SCHEMA).attach(CONFIG));
    pull_by(&b, &a, 4_000);

    a.sql(TEN);
    let (mut from, mut to) = (a.open(), b.open());
    let (harvest, found) = counted(&mut from, |d| d.harvest(now()).unwrap());
    assert_eq!(found.writes, 10);
    let have = to.vectors().unwrap();
    let (extract, batch) = counted(&mut from, |d| d.extract(&have, Limit::default(), now()).unwrap());
    assert!((10..20).contains(&batch.items.len()), "{}", batch.items.len());
    let (apply, done) = counted(&mut to, |d| d.apply(&batch, now()).unwrap());
    assert_eq!((done.inserts, done.updates, done.deletes), (3, 5, 2));
    let have = to.vectors().unwrap();
    let (nothing, _) = counted(&mut from, |d| {
        d.harvest(now()).unwrap();
        d.summary().unwrap();
        assert!(d.extract(&have, Limit::default(), now()).unwrap().items.is_empty());
    });
    Steps { harvest, extract, apply, nothing }
}

#[test]
fn ten_changes_cost_the_same_in_a_hundred_times_as_many_rows() {
    let (few, many) = (ten_changes_among(1_000), ten_changes_among(100_000));
    println!("1,000 rows: {few:?}; 100,000 rows: {many:?}");
    let parts: [(&str, Part); 4] = [
        ("harvest", |s| s.harvest),
        ("extract", |s| s.extract),
        ("apply", |s| s.apply),
        ("a sync of nothing", |s| s.nothing),
    ];
    for (name, steps) in parts {
        assert!(steps(&few) > 0, "{name} was not counted");
        assert!(
            steps(&many) < 2 * steps(&few),
            "{name}: {} steps, and {} in the large table",
            steps(&few),
            steps(&many)
        );
    }
}

/// A row that a copy of this file has had from the beginning is known again by its natural key as it was then.
#[test]
fn rows_of_a_copy_are_known_again_without_a_walk_through_the_table() {
    const NATURAL: &str = "CREATE TABLE part (code TEXT NOT NULL PRIMARY KEY, v)";
    let ten_rows_among = |rows: usize| {
        let dir = tempfile::tempdir().unwrap();
        let made = |name: &str, without: &str| {
            let r = Replica::new(dir.path(), name, NATURAL);
            r.sql(&format!(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO part SELECT 'code ' || i, i FROM n {without}"
            ));
            r.attach("")
        };
        let (a, b) = (made("a", ""), made("b", "WHERE i <= 10"));
        for (here, there) in [(&a, &b), (&b, &a)] {
            let replica = there.open().replica().unwrap();
            here.open().began(replica, lockstep_engine::contact::Began::Copies, now()).unwrap();
        }
        b.sql("UPDATE part SET code = 'changed ' || v");
        let have = a.open().vectors().unwrap();
        let batch = b.open().extract(&have, Limit::default(), now()).unwrap();
        let mut to = a.open();
        let (steps, done) = counted(&mut to, |d| d.apply(&batch, now()).unwrap());
        assert_eq!((done.inserts, done.updates), (0, 10), "each is known again");
        steps
    };
    let (few, many) = (ten_rows_among(1_000), ten_rows_among(100_000));
    println!("1,000 rows: {few}; 100,000 rows: {many}");
    assert!(few > 0 && many < 2 * few, "{few} steps, and {many} in the large table");
}

/// Rows that both sides imported, under ids of their own: becoming one costs each row the same, and so does what follows.
#[test]
fn rows_that_two_servers_imported_cost_the_same_in_a_table_of_many() {
    let each_of = |rows: u64| {
        let dir = tempfile::tempdir().unwrap();
        let made = |name: &str, first: u64| {
            let r = Replica::new(dir.path(), name, SCHEMA);
            r.sql(&format!(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO team SELECT {first} + i, i, 'team', NULL FROM n"
            ));
            r.attach(CONFIG)
        };
        let (a, b) = (made("a", 0), made("b", 7));
        let by = Limit { items: 1_000, bytes: 1 << 20 };
        let all = |from: &Replica, to: &Replica| {
            let (mut from, mut to) = (from.open(), to.open());
            let (harvest, _) = counted(&mut from, |d| d.harvest(now()).unwrap());
            let mut steps = harvest;
            loop {
                let have = to.vectors().unwrap();
                let (extract, batch) = counted(&mut from, |d| d.extract(&have, by, now()).unwrap());
                let (apply, _) = counted(&mut to, |d| d.apply(&batch, now()).unwrap());
                steps += extract + apply;
                if batch.last {
                    return steps;
                }
            }
        };
        let meeting = all(&a, &b) + all(&b, &a);
        a.sql("UPDATE team SET name = 'of a' WHERE number <= 10");
        let changes = all(&a, &b);
        assert_eq!(b.rows("SELECT count(*), sum(name = 'of a') FROM team"), [format!("{rows} 10")]);
        (meeting / rows, changes)
    };
    let (few, many) = (each_of(1_000), each_of(20_000));
    println!("steps a row of a meeting, and for ten changes: {few:?} of 1,000, {many:?} of 20,000");
    assert!(many.0 < 2 * few.0 && many.1 < 2 * few.1, "{few:?} of 1,000, {many:?} of 20,000");
}

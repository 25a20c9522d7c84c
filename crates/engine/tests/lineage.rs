//! Breaks in the history of a file: restored from a backup, copied to another node, written on since.
mod replicas;
use lockstep_engine::Database;
use lockstep_engine::compare::{Apart, Range, RowState, Seen, Side, judge};
use lockstep_engine::id::ReplicaId;
use lockstep_engine::lineage::Continuity;
use replicas::*;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER NOT NULL PRIMARY KEY, number INTEGER NOT NULL UNIQUE, name TEXT);
CREATE TABLE score (id INTEGER NOT NULL PRIMARY KEY, team_id INTEGER REFERENCES team (id), tag TEXT, v);
";
const TEAMS: &str = "SELECT number, name FROM team ORDER BY number";
const SCORES: &str =
    "SELECT s.tag, coalesce(t.name, '?'), s.v FROM score s LEFT JOIN team t ON t.id = s.team_id ORDER BY s.tag";

fn several(names: &[&str]) -> (tempfile::TempDir, Vec<Replica>) {
    let dir = tempfile::tempdir().unwrap();
    let all = names.iter().map(|n| Replica::new(dir.path(), n, SCHEMA).attach("")).collect();
    (dir, all)
}

/// A copy of the file, as a superadmin makes it while the application does not run.
fn copied(r: &Replica, name: &str) -> PathBuf {
    r.app.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let to = r.path.with_file_name(name);
    std::fs::copy(&r.path, &to).unwrap();
    to
}

/// Puts a copy in the file's place.
fn put_back(r: &mut Replica, copy: &std::path::Path) {
    r.app = Connection::open_in_memory().unwrap();
    std::fs::copy(copy, &r.path).unwrap();
    r.app = Connection::open(&r.path).unwrap();
}

fn anew(r: &Replica, n: u8) {
    let mut db = r.open();
    let old = db.replica().unwrap();
    assert!(db.begin_incarnation(old, ReplicaId([n; 16]), now()).unwrap());
    assert!(!db.begin_incarnation(old, ReplicaId([n + 1; 16]), now()).unwrap(), "one break, one new incarnation");
    assert_eq!(db.replica().unwrap(), ReplicaId([n; 16]));
    db.live_on(&r.host(), now()).unwrap();
}

#[test]
fn each_harvest_leaves_a_mark_and_an_idle_one_none() {
    let (_d, all) = several(&["a"]);
    let a = &all[0];
    let mark = |db: &Database| db.mark().unwrap();
    let first = mark(&a.open());
    a.sql("INSERT INTO team VALUES (1, 10, 'ten')");
    a.harvest();
    let second = mark(&a.open());
    assert_eq!(second.seq, first.seq + 1);
    assert_ne!(second.mark, first.mark);
    a.harvest();
    assert_eq!(mark(&a.open()), second, "nothing was written");
    let db = a.open();
    for known in [first, second] {
        assert_eq!(db.continues(known).unwrap(), Continuity::Continues);
    }
    for strange in [[1; 16], first.mark] {
        let strange = lockstep_engine::lineage::Mark { seq: second.seq, mark: strange };
        assert_eq!(db.continues(strange).unwrap(), Continuity::Broken);
    }
    let ahead = lockstep_engine::lineage::Mark { seq: second.seq + 1, mark: [1; 16] };
    assert_eq!(db.continues(ahead).unwrap(), Continuity::Broken);
}

#[test]
fn two_files_that_part_have_different_marks_even_where_the_same_is_written() {
    let (_d, mut all) = several(&["a"]);
    let a = &mut all[0];
    let copy = copied(a, "copy.db");
    let mut marks = Vec::new();
    for chance in [[1; 16], [2; 16]] {
        a.sql("INSERT INTO team VALUES (1, 10, 'ten')");
        a.open().with_chance(chance).harvest(now()).unwrap();
        marks.push(a.open().mark().unwrap());
        put_back(a, &copy);
    }
    assert_eq!(marks[0].seq, marks[1].seq);
    assert_ne!(marks[0].mark, marks[1].mark);
}

/// Restored, and written on since, before anybody looked: rows under ids that had been used, edits of rows that peers
/// know in a later state, deletes.
#[test]
fn a_restored_file_gets_back_what_it_lacks_and_keeps_what_was_written_since() {
    for peers in [&["b"][..], &["b", "c"][..]] {
        let (_d, mut all) = several(&[&["a"][..], peers].concat());
        all[0].sql("INSERT INTO team VALUES (1, 10, 'ten'), (2, 20, 'twenty'); INSERT INTO score VALUES (1, 1, 's1', 1); PRAGMA foreign_keys = OFF; INSERT INTO score VALUES (2, 99, 'loose', 2)");
        settle(&all.iter().collect::<Vec<_>>());
        let copy = copied(&all[0], "backup.db");
        let known = all[0].open().mark().unwrap();
        // After the backup: seen by all peers, and by none.
        all[0].sql("INSERT INTO team VALUES (3, 30, 'thirty'); INSERT INTO score VALUES (3, 3, 's3', 3); UPDATE team SET name = 'TEN' WHERE id = 1; DELETE FROM score WHERE id = 1");
        settle(&all.iter().collect::<Vec<_>>());
        let later = all[0].open().mark().unwrap();
        all[0].sql("INSERT INTO team VALUES (9, 90, 'never sent')");
        all[0].harvest();

        put_back(&mut all[0], &copy);
        all[0].sql("INSERT INTO team VALUES (3, 31, 'new three'); INSERT INTO score VALUES (3, 3, 'n3', 9); UPDATE team SET name = 'twenty!' WHERE id = 2");
        let db = all[0].open();
        assert_eq!(db.continues(known).unwrap(), Continuity::Continues);
        assert_eq!(db.continues(later).unwrap(), Continuity::Broken);
        assert!(db.is_behind_itself(&all[1].open().vectors().unwrap()).unwrap());
        drop(db);
        anew(&all[0], 0xa2);
        all[0].sound();
        settle(&all.iter().collect::<Vec<_>>());
        for r in &all {
            assert_eq!(r.rows(TEAMS), ["10 TEN", "20 twenty!", "30 thirty", "31 new three"], "{}", r.name);
            assert_eq!(r.rows(SCORES), ["loose ? 2", "n3 new three 9", "s3 thirty 3"], "{}", r.name);
        }
        assert_eq!(all[0].rows("SELECT name FROM team WHERE id = 3"), ["new three"], "the id keeps its meaning here");
        assert_eq!(all[0].rows("SELECT team_id FROM score WHERE tag = 'loose'"), ["99"], "as the application left it");
        assert!(!all[0].open().is_behind_itself(&all[1].open().vectors().unwrap()).unwrap());
    }
}

/// A file of one node that becomes the file of another.
#[test]
fn a_copied_file_goes_its_own_way() {
    let (d, mut all) = several(&["a", "b"]);
    all[0].sql(
        "PRAGMA foreign_keys = OFF; INSERT INTO team VALUES (1, 10, 'ten'); INSERT INTO score VALUES (1, 77, 's1', 1)",
    );
    settle(&[&all[0], &all[1]]);
    let copy = copied(&all[0], "c-main.db");
    let c = Replica {
        name: "c".into(),
        database: "main".into(),
        app: Connection::open(&copy).unwrap(),
        path: copy,
        siblings: Vec::new(),
    };
    all[0].sql("INSERT INTO team VALUES (2, 20, 'of a'); INSERT INTO score VALUES (2, 2, 'a2', 1)");
    c.sql("INSERT INTO team VALUES (2, 21, 'of c'); INSERT INTO score VALUES (2, 2, 'c2', 1)");
    anew(&c, 0xcc);
    all.push(c);
    settle(&all.iter().collect::<Vec<_>>());
    for r in &all {
        assert_eq!(r.rows(TEAMS), ["10 ten", "20 of a", "21 of c"], "{}", r.name);
        assert_eq!(r.rows(SCORES), ["a2 of a 1", "c2 of c 1", "s1 ? 1"], "{}", r.name);
    }
    assert_eq!(all[2].rows("SELECT name FROM team WHERE id = 2"), ["of c"]);
    drop(d);
}

/// The restored state wins: what peers had is taken in first, and then replaced by new writes that have seen it.
#[test]
fn a_restored_state_can_win() {
    let (_d, mut all) = several(&["a", "b"]);
    all[0].sql("INSERT INTO team VALUES (1, 10, 'ten'), (2, 20, 'twenty'), (3, 30, 'thirty'), (4, 40, 'forty'); INSERT INTO score VALUES (1, 1, 's1', 1), (2, 2, 's2', 2), (5, 1, 's5', 5)");
    settle(&[&all[0], &all[1]]);
    let copy = copied(&all[0], "backup.db");
    // Since then: edits that swap unique keys, deletes of a parent with its child, new rows.
    all[1].sql("UPDATE team SET number = 99 WHERE number = 10; UPDATE team SET number = 10, name = 'was twenty' WHERE number = 20; UPDATE team SET number = 20 WHERE number = 99");
    all[1].sql("DELETE FROM score WHERE tag = 's1'; INSERT INTO team VALUES (8, 80, 'eighty'), (9, 90, 'ninety'); INSERT INTO score VALUES (9, 9, 's9', 9); DELETE FROM team WHERE number = 30");
    settle(&[&all[0], &all[1]]);
    put_back(&mut all[0], &copy);
    let aside = copied(&all[0], "aside.db");
    anew(&all[0], 0xa2);
    // The application goes on before anybody says what the restored state is to mean.
    all[0].sql("UPDATE team SET name = 'FORTY' WHERE id = 4; INSERT INTO team VALUES (7, 70, 'seventy'); DELETE FROM score WHERE tag = 's5'");
    settle(&[&all[0], &all[1]]);
    all[0].sql("INSERT INTO score SELECT 20, id, 's20', 20 FROM team WHERE number = 80");
    let done = all[0].open().impose(&aside, now()).unwrap();
    all[0].sound();
    assert_eq!(
        (done.inserts, done.updates, done.deletes),
        (2, 2, 2),
        "ninety with its score; eighty is referred to now"
    );
    assert_eq!(all[0].open().impose(&aside, now()).unwrap(), Default::default(), "twice is once");
    settle(&[&all[0], &all[1]]);
    for r in &all {
        assert_eq!(
            r.rows(TEAMS),
            ["10 ten", "20 twenty", "30 thirty", "40 FORTY", "70 seventy", "80 eighty"],
            "{}",
            r.name
        );
        assert_eq!(r.rows(SCORES), ["s1 ten 1", "s2 twenty 2", "s20 eighty 20"], "{}", r.name);
        assert_eq!(r.rows("PRAGMA foreign_key_check"), [""; 0], "{}", r.name);
    }
}

#[test]
fn rows_from_before_and_after_a_break_are_two_as_their_application_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let schema = "CREATE TABLE person (id INTEGER PRIMARY KEY, k TEXT, v TEXT); CREATE TABLE log (what TEXT);";
    let config = "[tables.person]\nidentity = ['k']\n";
    let [a, b, c] = ["a", "b", "c"].map(|n| Replica::new(dir.path(), n, schema).attach(config));
    a.sql("INSERT INTO person VALUES (1, 'k', 'before'); INSERT INTO log VALUES ('same')");
    settle(&[&a, &b]);
    anew(&a, 9);
    a.sql("INSERT INTO person VALUES (2, 'k', 'after'); INSERT INTO log VALUES ('same')");
    settle(&[&a, &b, &c]);
    for r in [&a, &b, &c] {
        assert_eq!(r.rows("SELECT v FROM person ORDER BY v"), ["after", "before"], "{}", r.name);
        assert_eq!(r.rows("SELECT what FROM log"), ["same", "same"], "{}", r.name);
    }
    // A row of another application is one of them, and not both.
    c.sql("UPDATE person SET v = 'edited' WHERE v = 'before'");
    settle(&[&a, &b, &c]);
    assert_eq!(a.rows("SELECT v FROM person ORDER BY v"), ["after", "edited"]);
}

fn side(seen: &Seen<Vec<RowState>>) -> Side<'_> {
    Side { row: seen.read.first(), vector: &seen.vector }
}

/// Writes of two machines that went by one name till one of them began anew can't be told apart by their dots. Each side
/// goes on showing its own, and comparing finds the rows.
#[test]
fn what_both_sides_of_a_clone_wrote_under_one_name_is_kept_and_found() {
    let (_d, mut all) = several(&["a", "b"]);
    all[0].sql("INSERT INTO team VALUES (1, 10, 'ten'), (2, 20, 'twenty')");
    all[0].harvest();
    let copy = copied(&all[0], "clone.db");
    put_back(&mut all[1], &copy);
    let [a, b] = &all[..] else { unreachable!() };
    a.sql("UPDATE team SET name = 'of a' WHERE id = 1");
    b.sql("UPDATE team SET name = 'of b' WHERE id = 1");
    a.harvest();
    b.harvest();
    anew(b, 0xb2);
    b.sql("UPDATE team SET name = 'twenty!' WHERE id = 2");
    while pull(a, b) | pull(b, a) {}
    assert_eq!(a.open().vectors().unwrap(), b.open().vectors().unwrap());
    assert_eq!(a.rows(TEAMS), ["10 of a", "20 twenty!"]);
    assert_eq!(b.rows(TEAMS), ["10 of b", "20 twenty!"]);
    let none = BTreeSet::new();
    let births = |r: &Replica| -> BTreeMap<_, _> {
        let parts = r.open().range_parts("team", &none, &[Range::ALL], now()).unwrap();
        parts.read.iter().map(|p| (p.birth, p.hash)).collect()
    };
    let (mine, theirs) = (births(a), births(b));
    let differing: Vec<_> = mine.iter().filter(|(birth, hash)| theirs.get(birth) != Some(*hash)).collect();
    assert_eq!((mine.len(), differing.len()), (2, 1), "one row, and only that");
    let state = |r: &Replica| r.open().row_states("team", &none, &[*differing[0].0], now()).unwrap();
    let (x, y) = (state(a), state(b));
    let found = judge(*differing[0].0, side(&x), side(&y));
    let Apart::Differs { columns, .. } = found else { panic!("{found:?}") };
    assert_eq!(columns, ["name"]);
}

#[cfg(feature = "stops")]
#[test]
fn a_rule_that_is_left_out_is_noticed() {
    use lockstep_engine::rule::Rule;
    notice(&[(Rule::TwinsStayTwo, rows_from_before_and_after_a_break_are_two_as_their_application_has_them)]);
}

//! The counterexamples that brought the rules of the merge about, and what random schedules found since: each is
//! written once by hand, with clocks of its own.
mod clocks;
mod composite;
mod copies;
mod cut;
mod files;
mod prefer;
#[path = "../replicas/mod.rs"]
mod replicas;
#[cfg(feature = "stops")]
mod rules;
use lockstep_engine::change::ConflictKind;
use lockstep_engine::id::Millis;
use lockstep_engine::{Error, Limit};
use replicas::*;
use std::cell::Cell;

const SCHEMA: &str = "
CREATE TABLE p (id INTEGER PRIMARY KEY, k TEXT, x TEXT, y TEXT);
CREATE TABLE n (id INTEGER PRIMARY KEY, k TEXT NOT NULL UNIQUE, v TEXT);
CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id), z TEXT);
CREATE TABLE a (p INTEGER NOT NULL REFERENCES p (id), n INTEGER NOT NULL REFERENCES n (id), w TEXT, PRIMARY KEY (p, n));
";
const CONFIG: &str = "[tables.p]\nidentity = ['k']\n";
const REVIEW: &str = "[tables.p]\nidentity = ['k']\ncolumns = { y = 'review' }\n";
const START: i64 = 2_000_000_000_000;

/// Replicas whose clocks the case sets.
struct Case {
    _dir: tempfile::TempDir,
    nodes: Vec<Replica>,
    now: Cell<i64>,
}

impl Case {
    fn new(count: usize, schema: &str, config: &str) -> Case {
        let dir = tempfile::tempdir().unwrap();
        let nodes = ["a", "b", "c", "d"][..count].iter().map(|n| Replica::new(dir.path(), n, schema).attach(config));
        let nodes = nodes.collect();
        Case { _dir: dir, nodes, now: Cell::new(START) }
    }

    fn now(&self) -> Millis {
        self.now.set(self.now.get() + 1000);
        Millis(self.now.get())
    }

    /// The application of a node writes at this second, whatever the time.
    fn at(&self, node: usize, second: i64, sql: &str) {
        self.nodes[node].sql_at(START + second * 1000, sql);
    }

    fn writes(&self, node: usize, sql: &str) {
        let now = self.now().0;
        self.at(node, (now - START) / 1000, sql);
    }

    /// Whole deltas.
    fn pull(&self, to: usize, from: usize) {
        self.pull_some(to, from, 1000, usize::MAX);
    }

    /// The first `count` batches of `items`.
    fn pull_some(&self, to: usize, from: usize, items: usize, count: usize) {
        for _ in 0..count {
            let have = self.nodes[to].open().vectors().unwrap();
            let limit = Limit { items, bytes: 1 << 20 };
            let batch = self.nodes[from].open().extract(&have, limit, self.now()).unwrap();
            self.nodes[to].open().apply(&batch, self.now()).unwrap();
            self.nodes[to].sound();
            if batch.last {
                return;
            }
        }
    }

    /// All with all, until they know the same.
    fn everybody(&self) {
        for _ in 0..8 {
            for to in 0..self.nodes.len() {
                for from in (0..self.nodes.len()).filter(|from| *from != to) {
                    self.pull(to, from);
                }
            }
            let vectors: Vec<_> = self.nodes.iter().map(|r| r.open().vectors().unwrap()).collect();
            if vectors.iter().all(|v| *v == vectors[0]) {
                let all: Vec<&Replica> = self.nodes.iter().collect();
                return same_digests(&all);
            }
        }
        panic!("no rest");
    }

    /// All nodes show these rows.
    fn show(&self, sql: &str, rows: &[&str]) {
        for r in &self.nodes {
            assert_eq!(r.rows(sql), rows, "{}: {sql}", r.name);
        }
    }
}

#[test]
fn an_alias_from_stale_keys_kills_no_row_that_nobody_deleted() {
    let s = Case::new(3, SCHEMA, CONFIG);
    s.writes(0, "INSERT INTO p VALUES (1, 'k1', 'ax', 'ay')");
    s.writes(1, "INSERT INTO p VALUES (1, 'k1', 'bx', 'by')");
    s.pull(2, 1);
    s.writes(1, "UPDATE p SET k = 'k2'");
    s.pull(1, 0);
    assert_eq!(s.nodes[1].rows("SELECT k FROM p ORDER BY k"), ["k1", "k2"]);
    s.writes(1, "DELETE FROM p WHERE k = 'k2'");
    // C still has B's row under k1: an alias with A's.
    s.pull(2, 0);
    s.everybody();
    s.show("SELECT k, x, y FROM p", &["k1 ax ay"]);
}

#[test]
fn two_living_rows_of_one_application_stay_two() {
    let s = Case::new(3, SCHEMA, CONFIG);
    s.writes(0, "INSERT INTO n VALUES (1, 'n1', 'r1')");
    s.pull(2, 0);
    s.writes(0, "UPDATE n SET k = 'n2' WHERE id = 1");
    s.writes(0, "INSERT INTO n VALUES (2, 'n1', 'r2')");
    s.writes(1, "INSERT INTO n VALUES (1, 'n1', 'r3')");
    // C: r3 is r1. B: r3 is r2.
    s.pull(2, 1);
    s.pull(1, 0);
    s.everybody();
    // r3 is r1, and r3's key is the later: it clashes with r2's, and a person has to say. A goes on showing both.
    assert_eq!(s.nodes[0].rows("SELECT id, k, v FROM n ORDER BY id"), ["1 n2 r3", "2 n1 r2"]);
    for r in &s.nodes {
        let held = r.open().held().unwrap();
        assert!(held.iter().all(|h| h.reason == ConflictKind::Unique) && held.len() == 1, "{}: {held:?}", r.name);
    }
    s.writes(0, "UPDATE n SET k = 'n3' WHERE id = 1");
    s.everybody();
    s.show("SELECT k, v FROM n ORDER BY k", &["n1 r2", "n3 r3"]);
}

#[test]
fn a_clock_that_is_ahead_makes_no_second_winner() {
    let s = Case::new(4, SCHEMA, CONFIG);
    s.at(0, 1, "INSERT INTO p VALUES (1, NULL, 'x0', 'y')");
    s.everybody();
    s.at(0, 300, "UPDATE p SET x = 'fast'");
    s.at(2, 250, "UPDATE p SET x = 'mid'");
    s.pull(3, 2);
    s.pull(1, 0);
    s.at(1, 5, "UPDATE p SET x = 'saw fast'");
    s.pull(2, 0);
    s.pull(3, 1);
    s.everybody();
    s.show("SELECT x FROM p", &["saw fast"]);
}

#[test]
fn what_is_held_is_worked_out_from_the_registers() {
    let s = Case::new(2, SCHEMA, REVIEW);
    s.writes(0, "INSERT INTO p VALUES (1, 'k1', 'x', 'a')");
    s.writes(1, "INSERT INTO p VALUES (1, 'k1', 'x', 'b')");
    s.pull(1, 0);
    assert_eq!(s.nodes[1].open().held().unwrap().len(), 1);
    s.writes(1, "UPDATE p SET y = 'b2'");
    s.writes(1, "UPDATE p SET y = 'b3'");
    s.everybody();
    // Neither write of B had seen A's: it is still held.
    assert_eq!(s.nodes[0].rows("SELECT y FROM p"), ["a"]);
    assert_eq!(s.nodes[1].rows("SELECT y FROM p"), ["b3"]);
    for r in &s.nodes {
        let held = r.open().held().unwrap();
        assert_eq!(held.len(), 1, "{}", r.name);
        assert_eq!((held[0].reason, held[0].columns.clone()), (ConflictKind::UpdateUpdate, vec!["y".to_owned()]));
    }
}

#[test]
fn every_prefix_of_a_delta_is_a_causal_cut() {
    let s = Case::new(3, SCHEMA, REVIEW);
    s.writes(0, "INSERT INTO p VALUES (1, NULL, 'x', 'y0')");
    s.everybody();
    s.writes(1, "INSERT INTO p VALUES (2, NULL, 'f', 'f')");
    s.writes(1, "UPDATE p SET y = 'L' WHERE id = 1");
    s.pull(0, 1);
    s.writes(0, "UPDATE p SET y = 'W1' WHERE id = 1");
    // One item, then the line drops.
    s.pull_some(2, 0, 1, 1);
    s.writes(2, "UPDATE p SET y = 'W2' WHERE id = 1");
    s.everybody();
    // W2 had seen neither L nor W1, and W1 had seen L: two values stand against each other, L is none of them.
    for r in &s.nodes {
        let y = r.rows("SELECT y FROM p WHERE id = 1");
        assert!(y == ["W1"] || y == ["W2"], "{}: {y:?}", r.name);
        assert_eq!(r.open().held().unwrap().len(), 1, "{}", r.name);
    }
}

#[test]
fn a_batch_whose_start_is_not_reached_is_refused() {
    let s = Case::new(2, SCHEMA, CONFIG);
    s.writes(0, "INSERT INTO p VALUES (1, 'k1', 'x', 'y')");
    s.writes(0, "INSERT INTO p VALUES (2, 'k2', 'x', 'y')");
    let one = Limit { items: 1, bytes: 1 << 20 };
    let first = s.nodes[0].open().extract(&Default::default(), one, s.now()).unwrap();
    let second = s.nodes[0].open().extract(&first.end, one, s.now()).unwrap();
    assert!(matches!(s.nodes[1].open().apply(&second, s.now()), Err(Error::StartNotReached { .. })));
    for batch in [&first, &second, &first, &second] {
        s.nodes[1].open().apply(batch, s.now()).unwrap();
    }
    assert_eq!(s.nodes[1].rows("SELECT k FROM p ORDER BY k"), ["k1", "k2"]);
    s.everybody();
}

#[test]
fn a_parent_that_two_deleted_does_not_come_back_for_a_child_left_dangling() {
    let s = Case::new(2, SCHEMA, CONFIG);
    s.writes(0, "INSERT INTO p VALUES (1, NULL, 'x', 'y')");
    s.everybody();
    s.writes(0, "INSERT INTO c VALUES (1, 1, 'child')");
    s.writes(0, "PRAGMA foreign_keys = OFF; DELETE FROM p; PRAGMA foreign_keys = ON");
    s.writes(1, "DELETE FROM p");
    s.everybody();
    s.show("SELECT count(*) FROM p", &["0"]);
    s.show("SELECT z FROM c", &["child"]);
}

#[test]
fn a_dead_row_that_is_shown_needs_its_own_parent() {
    let tree = "CREATE TABLE s (id INTEGER PRIMARY KEY, up INTEGER REFERENCES s (id) ON DELETE CASCADE);
        CREATE TABLE c (id INTEGER PRIMARY KEY, s INTEGER REFERENCES s (id), z TEXT);";
    let s = Case::new(2, tree, "");
    s.writes(0, "INSERT INTO s VALUES (1, NULL), (2, 1)");
    s.everybody();
    s.writes(1, "INSERT INTO c VALUES (1, 2, 'child')");
    s.writes(0, "DELETE FROM s WHERE id = 1");
    s.everybody();
    s.show("SELECT id, up FROM s ORDER BY id", &["1 -", "2 1"]);
    s.show("SELECT s, z FROM c", &["2 child"]);
    assert_eq!(s.nodes[0].open().held().unwrap().len(), 2);
    // The child goes: so do both.
    s.writes(1, "DELETE FROM c");
    s.everybody();
    s.show("SELECT count(*) FROM s", &["0"]);
}

#[test]
fn a_child_that_was_edited_after_its_delete_keeps_its_parent() {
    let schema = SCHEMA.replace("REFERENCES p (id), z", "REFERENCES p (id) ON DELETE CASCADE, z");
    let s = Case::new(2, &schema, CONFIG);
    s.writes(0, "INSERT INTO p VALUES (1, NULL, 'x', 'y'); INSERT INTO c VALUES (1, 1, 'z')");
    s.everybody();
    s.writes(1, "DELETE FROM p");
    s.writes(0, "UPDATE c SET z = 'later'");
    s.everybody();
    s.show("SELECT p, z FROM c", &["1 later"]);
    s.show("SELECT x FROM p", &["x"]);
}

#[test]
fn association_rows_are_one_where_their_references_are() {
    let s = Case::new(2, SCHEMA, CONFIG);
    for (i, x) in ["x0", "x1"].iter().enumerate() {
        s.writes(i, &format!("INSERT INTO p VALUES (1, 'k1', '{x}', 'y'); INSERT INTO n VALUES (1, 'n1', 'v')"));
        s.writes(i, &format!("INSERT INTO a VALUES (1, 1, 'w{i}')"));
    }
    s.everybody();
    s.show("SELECT p.x, n.k, a.w FROM a JOIN p ON p.id = a.p JOIN n ON n.id = a.n", &["x1 n1 w1"]);
    s.show("SELECT count(*) FROM a", &["1"]);
}

// ---- found by random schedules

#[test]
fn a_delete_of_one_birth_leaves_the_others_and_the_sum_right() {
    let s = Case::new(2, SCHEMA, CONFIG);
    s.writes(0, "INSERT INTO p VALUES (4, 'k3', 'a', 'a')");
    s.writes(1, "INSERT INTO p VALUES (5, 'k3', 'b', 'b')");
    s.pull(1, 0);
    // A does not know yet that its row is B's too.
    s.writes(0, "DELETE FROM p");
    s.everybody();
    s.show("SELECT k, x FROM p", &["k3 b"]);
}

#[test]
fn rows_that_name_later_rows_are_entered_with_what_they_name() {
    let tree = "CREATE TABLE s (id INTEGER PRIMARY KEY, up INTEGER REFERENCES s (id), tag TEXT);
        CREATE TABLE x (id INTEGER PRIMARY KEY, y INTEGER REFERENCES y (id), tag TEXT);
        CREATE TABLE y (id INTEGER PRIMARY KEY, x INTEGER REFERENCES x (id), tag TEXT);";
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Replica::new(dir.path(), "a", tree), Replica::new(dir.path(), "b", tree));
    a.sql(
        "PRAGMA foreign_keys = OFF;
         INSERT INTO s VALUES (1, 2, 'one'), (2, 3, 'two'), (3, NULL, 'three'), (4, 4, 'self');
         INSERT INTO x VALUES (1, 7, 'x'), (2, NULL, 'x2'); INSERT INTO y VALUES (7, 1, 'y'), (8, 2, 'y2');",
    );
    b.sql("INSERT INTO s VALUES (1, NULL, 'other'); INSERT INTO y VALUES (7, NULL, 'other')");
    let (a, b) = (a.attach(""), b.attach(""));
    settle(&[&a, &b]);
    for r in [&a, &b] {
        let up = "SELECT s.tag, u.tag FROM s JOIN s AS u ON u.id = s.up ORDER BY 1";
        assert_eq!(r.rows(up), ["one two", "self self", "two three"], "{}", r.name);
        assert_eq!(r.rows("SELECT x.tag, y.tag FROM x JOIN y ON y.id = x.y"), ["x y"], "{}", r.name);
        assert_eq!(
            r.rows("SELECT y.tag, x.tag FROM y JOIN x ON x.id = y.x ORDER BY 1"),
            ["y x", "y2 x2"],
            "{}",
            r.name
        );
    }
}

#[test]
fn a_merged_row_keeps_its_values_when_it_is_deleted_or_changed() {
    let dir = tempfile::tempdir().unwrap();
    let schema = "CREATE TABLE n (id INTEGER PRIMARY KEY, k TEXT UNIQUE, v);";
    let config = "[tables.n]\ncolumns = { v = 'review' }\n";
    let (a, b) = (Replica::new(dir.path(), "a", schema), Replica::new(dir.path(), "b", schema));
    a.sql("INSERT INTO n VALUES (1, 'k1', '<mine>'), (2, 'k2', '<old>')");
    b.sql("INSERT INTO n VALUES (5, 'k1', '<theirs>'), (6, 'k2', '<other>')");
    let (a, b) = (a.attach(config), b.attach(config));
    pull(&a, &b);
    a.sql("DELETE FROM n WHERE id = 1; UPDATE n SET v = '<new>' WHERE id = 2");
    a.harvest();
    let kept = "SELECT CAST(body AS TEXT) FROM _lockstep_unshown_1 UNION ALL SELECT CAST(value AS TEXT) FROM _lockstep_archive";
    let kept = a.rows(kept).concat();
    for text in ["<mine>", "<theirs>", "<old>", "<other>"] {
        assert!(kept.contains(text), "{text} is nowhere");
    }
    settle(&[&a, &b]);
}

#[test]
fn a_child_left_dangling_before_anyone_looked_waits_for_nothing() {
    let s = Case::new(2, SCHEMA, CONFIG);
    s.writes(
        1,
        "PRAGMA foreign_keys = OFF; INSERT INTO p VALUES (4, NULL, 'x', 'y'); INSERT INTO c VALUES (1, 4, 'child');
         DELETE FROM p; PRAGMA foreign_keys = ON",
    );
    s.pull_some(0, 1, 1, usize::MAX);
    s.everybody();
    s.show("SELECT z FROM c", &["child"]);
    s.show("SELECT count(*) FROM p", &["0"]);
    assert!(s.nodes.iter().all(|r| r.open().held().unwrap().is_empty()));
}

#[test]
fn a_row_whose_newer_half_is_held_for_its_stamp_waits_on_every_node() {
    let s = Case::new(3, SCHEMA, CONFIG);
    s.at(0, 1, "INSERT INTO p VALUES (1, 'k', 'old', 'y')");
    // The clock of A is an hour ahead.
    s.at(0, 3600, "UPDATE p SET x = 'new'");
    s.pull(1, 0);
    s.pull(2, 1);
    for r in &s.nodes[1..] {
        assert_eq!(r.rows("SELECT * FROM p"), [""; 0], "{}", r.name);
        assert!(r.open().held().unwrap().iter().any(|h| h.reason == ConflictKind::Clock), "{}", r.name);
    }
    // An hour later it is due, though nothing new has come.
    for r in &s.nodes[1..] {
        r.open().harvest(Millis(START + 3_700_000)).unwrap();
        assert_eq!(r.rows("SELECT * FROM p"), ["1 k new y"], "{}", r.name);
        r.sound();
    }
}

#[test]
fn a_row_under_the_id_of_one_that_went_takes_over_what_was_left_dangling() {
    let s = Case::new(2, SCHEMA, CONFIG);
    s.writes(1, "INSERT INTO p VALUES (1, NULL, 'old', 'y'); INSERT INTO c VALUES (1, 1, 'child')");
    s.everybody();
    s.writes(0, "PRAGMA foreign_keys = OFF; DELETE FROM p; PRAGMA foreign_keys = ON");
    // In the eyes of that application the child now belongs to the new row.
    s.writes(0, "INSERT INTO p VALUES (1, NULL, 'new', 'y')");
    s.everybody();
    s.show("SELECT c.z, p.x FROM c JOIN p ON p.id = c.p", &["child new"]);
    s.show("SELECT count(*) FROM p", &["1"]);
}

const PROFILES: &str = "
CREATE TABLE p (id INTEGER PRIMARY KEY, x TEXT);
CREATE TABLE f (up INTEGER NOT NULL PRIMARY KEY REFERENCES p (id) ON UPDATE CASCADE, v TEXT);
CREATE TABLE c (id INTEGER PRIMARY KEY, up INTEGER REFERENCES f (up), z TEXT);
";

#[test]
fn a_deleted_parent_goes_when_its_last_child_names_another_row() {
    let s = Case::new(2, SCHEMA, "");
    s.writes(0, "INSERT INTO p VALUES (1, NULL, 'old', ''), (2, NULL, 'new', '')");
    s.pull(1, 0);
    s.writes(1, "INSERT INTO c VALUES (1, 1, 'z')");
    s.writes(0, "DELETE FROM p WHERE id = 1");
    s.everybody();
    s.show("SELECT x FROM p ORDER BY id", &["old", "new"]);
    s.writes(1, "UPDATE c SET p = 2");
    assert_eq!(s.nodes[1].rows("SELECT x FROM p"), ["new"]);
    s.everybody();
    s.show("SELECT x FROM p", &["new"]);
    s.show("SELECT z FROM c JOIN p ON p.id = c.p", &["z"]);
}

#[test]
fn a_reference_to_a_key_that_is_a_reference_follows_it() {
    let s = Case::new(2, PROFILES, "");
    s.writes(0, "INSERT INTO p VALUES (1, 'mine')");
    s.writes(1, "INSERT INTO p VALUES (1, 'a'), (2, 'b'); INSERT INTO f VALUES (1, 'f')");
    s.everybody();
    s.writes(1, "INSERT INTO c VALUES (1, 1, 'z')");
    s.everybody();
    s.writes(1, "PRAGMA foreign_keys = OFF; UPDATE f SET up = 2; UPDATE c SET up = 2");
    s.everybody();
    s.show("SELECT x, v, z FROM c JOIN f ON f.up = c.up JOIN p ON p.id = f.up", &["b f z"]);
    // The row that the key names goes, and the key with it: its own reference dangles, and so does no other.
    s.writes(1, "DELETE FROM p WHERE x = 'b'");
    s.everybody();
    s.show("SELECT v, z FROM c JOIN f ON f.up = c.up LEFT JOIN p ON p.id = f.up WHERE p.id IS NULL", &["f z"]);
}

#[test]
fn what_an_application_leaves_behind_when_it_changes_a_key_dangles_everywhere() {
    let s = Case::new(2, PROFILES, "");
    s.writes(0, "INSERT INTO p VALUES (7, 'mine'); INSERT INTO f VALUES (7, 'mine')");
    s.writes(
        1,
        "INSERT INTO p VALUES (7, 'a'), (8, 'b'); INSERT INTO f VALUES (7, 'f'); INSERT INTO c VALUES (1, 7, 'z')",
    );
    s.everybody();
    s.writes(1, "PRAGMA foreign_keys = OFF; UPDATE f SET up = 8 WHERE up = 7");
    s.everybody();
    // Not the row that has the number 7 on the other node.
    s.show("SELECT count(*) FROM c JOIN f ON f.up = c.up", &["0"]);
    s.show("SELECT x FROM f JOIN p ON p.id = f.up WHERE v = 'f'", &["b"]);
    s.writes(1, "INSERT INTO f VALUES (7, 'again')");
    s.everybody();
    s.show("SELECT v, x FROM c JOIN f ON f.up = c.up JOIN p ON p.id = f.up", &["again a"]);
}

#[test]
fn a_row_that_comes_back_takes_no_id_that_another_had_since_and_left() {
    let s = Case::new(2, SCHEMA, "");
    s.writes(1, "INSERT INTO p VALUES (2, NULL, 'old', '')");
    s.everybody();
    s.writes(0, "INSERT INTO c VALUES (1, 2, 'z')");
    s.writes(1, "DELETE FROM p WHERE id = 2");
    s.writes(1, "INSERT INTO p VALUES (2, NULL, 'new', '')");
    s.writes(1, "UPDATE p SET id = 8 WHERE id = 2");
    // The child brings its parent back.
    s.everybody();
    s.show("SELECT x FROM p ORDER BY x", &["new", "old"]);
    assert_eq!(s.nodes[1].rows("SELECT x FROM p WHERE id = 2"), [""; 0]);
}

#[test]
fn rows_whose_key_is_a_reference_are_one_as_soon_as_what_they_name_is() {
    let s = Case::new(3, PROFILES, "[tables.p]\nidentity = ['x']\n");
    s.writes(0, "INSERT INTO p VALUES (6, 'k1'); INSERT INTO f VALUES (6, 'one')");
    s.pull(2, 0);
    s.writes(1, "INSERT INTO p VALUES (9, 'k2')");
    s.pull(0, 1);
    s.writes(0, "INSERT INTO f VALUES (9, 'two')");
    // C finds the two to be one. A has both, each with a row that has its id for a key.
    s.writes(2, "UPDATE p SET x = 'k2'");
    s.pull(2, 1);
    s.writes(2, "INSERT INTO p VALUES (20, 'later')");
    // Each batch by itself leaves everything sound.
    s.pull_some(0, 2, 1, usize::MAX);
    s.everybody();
    s.show("SELECT x, v FROM p LEFT JOIN f ON f.up = p.id ORDER BY x", &["k2 two", "later -"]);
}

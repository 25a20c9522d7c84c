//! One node is preferred: its write stands against any that did not see it, in whatever order they come.
use super::Case;
use super::replicas::*;
use lockstep_engine::id::Host;

const SCHEMA: &str = "CREATE TABLE n (id INTEGER PRIMARY KEY, k TEXT NOT NULL UNIQUE, v TEXT)";

/// Four nodes that know one row, of which A is preferred.
fn four() -> Case {
    let s = Case::new(4, SCHEMA, "[tables.n]\npolicy = 'prefer:a'\n");
    s.writes(0, "INSERT INTO n VALUES (1, 'k', 'v')");
    s.everybody();
    s
}

#[test]
fn a_write_that_lost_to_the_preferred_one_stands_again_where_somebody_replaced_that() {
    let s = four();
    s.writes(0, "UPDATE n SET v = 'of a'");
    s.pull(1, 0);
    // B saw what A wrote; C saw neither, and is later.
    s.writes(1, "UPDATE n SET v = 'of b'");
    s.writes(2, "UPDATE n SET v = 'of c'");
    // D hears of A and C, and only then of B; C hears of B alone.
    s.pull(3, 0);
    s.pull(3, 2);
    assert_eq!(s.nodes[3].rows("SELECT v FROM n"), ["of a"]);
    s.pull(3, 1);
    s.pull(2, 1);
    s.everybody();
    s.show("SELECT v FROM n", &["of c"]);
    // Each knows what lost, once.
    for r in &s.nodes {
        let lost = "SELECT count(DISTINCT loser), count(*) FROM _lockstep_conflict";
        assert_eq!(r.rows(lost), ["2 2"], "{}", r.name);
        assert!(r.open().held().unwrap().is_empty());
    }
    // What is written after that has seen it all.
    s.writes(3, "UPDATE n SET v = 'of d'");
    s.everybody();
    s.show("SELECT v FROM n", &["of d"]);
}

#[test]
pub fn the_preferred_write_stands_whatever_came_before_it() {
    let s = four();
    s.writes(0, "UPDATE n SET v = 'of a'");
    s.writes(1, "UPDATE n SET v = 'of b'");
    s.writes(2, "UPDATE n SET v = 'of c'");
    s.pull(3, 1);
    s.pull(3, 2);
    assert_eq!(s.nodes[3].rows("SELECT v FROM n"), ["of c"]);
    s.pull(2, 0);
    s.everybody();
    s.show("SELECT v FROM n", &["of a"]);
    // An edit of another node that saw it stands, and what lost stays lost.
    s.writes(1, "UPDATE n SET v = 'of b again'");
    s.everybody();
    s.show("SELECT v FROM n", &["of b again"]);
}

#[test]
fn whose_a_write_is_travels_with_it() {
    // A chain: C and D never meet A.
    let s = four();
    s.writes(0, "UPDATE n SET v = 'of a'");
    s.writes(3, "UPDATE n SET v = 'of d'");
    s.pull(1, 0);
    s.pull(2, 1);
    s.pull(3, 2);
    s.pull(2, 3);
    s.pull(1, 2);
    for r in &s.nodes[1..] {
        assert_eq!(r.rows("SELECT v FROM n"), ["of a"], "{}", r.name);
    }
    let hosts = s.nodes[3].open().hosts().unwrap();
    assert_eq!(hosts.get(&s.nodes[0].open().replica().unwrap()), Some(&s.nodes[0].host()));
}

#[test]
fn nodes_of_one_name_are_two_nodes() {
    let dir = tempfile::tempdir().unwrap();
    let schema = "CREATE TABLE p (id INTEGER PRIMARY KEY, k TEXT NOT NULL UNIQUE)";
    let [a, b] = ["a", "b"].map(|name| {
        let r = Replica::new(dir.path(), name, schema);
        let host = Host { name: "pi".into(), ..r.host() };
        r.attach_on(&host, "[tables.p]\nidentity = ['k']\n")
    });
    a.sql("INSERT INTO p VALUES (1, 'x')");
    b.sql("INSERT INTO p VALUES (2, 'x')");
    settle(&[&a, &b]);
    // Each has the row once, as one row.
    assert_eq!((a.rows("SELECT * FROM p"), b.rows("SELECT * FROM p")), (vec!["1 x".into()], vec!["2 x".into()]));
}

//! One node is preferred: its write stands against any that did not see it, in whatever order they come.
use super::Case;
use super::replicas::*;

const SCHEMA: &str = "CREATE TABLE n (id INTEGER PRIMARY KEY, k TEXT NOT NULL UNIQUE, v TEXT)";

/// Four nodes that know one row, of which A is preferred and every node knows who is who.
fn four() -> Case {
    let s = Case::new(4, SCHEMA, "[tables.n]\npolicy = 'prefer:a'\n");
    for r in &s.nodes {
        for other in &s.nodes {
            let replica = other.open().summary().unwrap().replica;
            r.open().name_replica(replica, &other.name, now()).unwrap();
        }
    }
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
fn the_preferred_write_stands_whatever_came_before_it() {
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

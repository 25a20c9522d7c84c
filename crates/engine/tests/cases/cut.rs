//! Deltas that break off between two batches.
use super::{Case, SCHEMA};
use lockstep_engine::compare::{Apart, Range, Side, judge};
use lockstep_engine::id::{Seq, Vector};
use std::collections::BTreeSet;

/// Is the rest of a delta to table `p` still to come?
fn under_way(s: &Case, node: usize) -> bool {
    let tables = s.nodes[node].open().summary().unwrap().tables;
    tables.iter().any(|t| t.name == "p" && t.under_way)
}

/// Equal vectors, and what was written there is not all at one of them.
fn cut() -> Case {
    let s = Case::new(4, SCHEMA, "");
    s.writes(0, "INSERT INTO p VALUES (1, 'k', 'x', 'y'), (2, 'l', 'x', 'y')");
    s.nodes[0].harvest();
    s.pull(1, 0);
    // The value of the first insert is replaced before C hears of it, and C hears no more than of the inserts.
    s.writes(0, "UPDATE p SET x = 'later' WHERE id = 1");
    s.nodes[0].harvest();
    s.pull_some(2, 0, 1, 2);
    let vector = |node: usize| s.nodes[node].open().vectors().unwrap()["p"].clone();
    assert_eq!(vector(1), vector(2));
    s
}

#[test]
fn nothing_is_claimed_of_a_table_to_which_a_delta_broke_off() {
    let s = cut();
    assert!(under_way(&s, 2) && !under_way(&s, 1));
    // Nor is any row called different.
    let none = BTreeSet::new();
    let states = |node: usize| {
        let (r, mut births) = (&s.nodes[node], Vec::new());
        births.extend(r.open().range_parts("p", &none, &[Range::ALL], s.now()).unwrap().read.iter().map(|p| p.birth));
        r.open().row_states("p", &none, &births, s.now()).unwrap()
    };
    let (whole, part) = (states(1), states(2));
    let mut differing = 0;
    for here in &whole.read {
        let there = part.read.iter().find(|x| x.birth == here.birth);
        differing += u32::from(Some(here) != there);
        let (a, b) = (Side { row: Some(here), vector: &whole.vector }, Side { row: there, vector: &part.vector });
        assert!(there == Some(here) || matches!(judge(here.birth, a, b), Apart::UnderWay));
    }
    assert_eq!(differing, 1);
    // Who gets it from there waits for the same.
    s.pull(3, 2);
    assert!(under_way(&s, 3));
    s.everybody();
    assert!((0..4).all(|node| !under_way(&s, node)));
    s.show("SELECT x FROM p ORDER BY id", &["later", "x"]);
}

#[test]
fn the_rest_of_a_delta_may_come_from_anyone() {
    let s = cut();
    s.pull(1, 0);
    s.pull(2, 1);
    assert!(!under_way(&s, 2));
    s.everybody();
}

#[test]
fn of_a_node_that_is_gone_for_good_nothing_is_waited_for() {
    let s = cut();
    s.nodes[2].open().expect_no_more(None, s.now()).unwrap();
    assert!(!under_way(&s, 2));
    // What B has and C has not is a difference now, which is found.
    let digest = |node: usize| s.nodes[node].open().digest_without("p", &BTreeSet::new()).unwrap();
    assert_ne!(digest(1), digest(2));
}

#[test]
fn what_a_delta_leads_to_is_said_until_it_has_come() {
    let s = cut();
    let have = s.nodes[2].open().vectors().unwrap();
    let limit = lockstep_engine::Limit { items: 1, bytes: 1 << 20 };
    let first = s.nodes[0].open().extract(&Default::default(), limit, s.now()).unwrap();
    let seqs = |v: &Vector| v.values().copied().collect::<Vec<Seq>>();
    assert_eq!((first.last, seqs(&first.until["p"])), (false, vec![Seq(3)]));
    let rest = s.nodes[0].open().extract(&have, limit, s.now()).unwrap();
    assert!(rest.last && rest.until.is_empty());
    let passed_on = s.nodes[2].open().extract(&have, limit, s.now()).unwrap();
    assert_eq!((passed_on.last, seqs(&passed_on.until["p"])), (true, vec![Seq(3)]));
}

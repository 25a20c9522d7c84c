//! A person says that rows are one, or several; and everybody comes to see it so.
mod replicas;
use lockstep_engine::Error;
use lockstep_engine::change::ConflictKind;
use lockstep_engine::decide::Error as Refused;
use replicas::*;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER PRIMARY KEY, number INTEGER, name TEXT);
CREATE TABLE event (id INTEGER PRIMARY KEY, code TEXT UNIQUE);
CREATE TABLE score (id INTEGER PRIMARY KEY, team_id INTEGER NOT NULL REFERENCES team (id), tag TEXT);
CREATE TABLE team_event (team_id INTEGER NOT NULL REFERENCES team (id), event_id INTEGER NOT NULL REFERENCES event (id),
  note TEXT, PRIMARY KEY (team_id, event_id));
";
const CONFIG: &str = "[tables.team]\nidentity = ['number']\n";

fn nodes<const N: usize>(config: &str) -> (tempfile::TempDir, [Replica; N]) {
    let dir = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c"];
    let nodes = std::array::from_fn(|i| Replica::new(dir.path(), names[i], SCHEMA).attach(config));
    (dir, nodes)
}

const SCORES: &str = "SELECT s.tag, t.name FROM score s JOIN team t ON t.id = s.team_id ORDER BY s.tag";

fn same(r: &Replica, one: &str, other: &str) -> (String, Option<String>) {
    let done = r.open().same("team", one, other, now()).unwrap();
    r.sound();
    (done.kept, done.archived)
}

fn apart(r: &Replica, key: &str) -> (Vec<String>, u64) {
    let done = r.open().apart("team", key, now()).unwrap();
    r.sound();
    done
}

#[test]
fn two_rows_become_one_and_their_children_follow_everywhere() {
    let (_d, [a, b, c]) = nodes::<3>("");
    a.sql(
        "INSERT INTO team VALUES (1, 10, 'ten'), (2, 11, 'typed wrong');
           INSERT INTO score VALUES (1, 1, 'of ten'), (2, 2, 'of the other')",
    );
    settle(&[&a, &b, &c]);
    assert_eq!(same(&b, "2", "1"), ("1".to_owned(), Some("2".to_owned())));
    assert_eq!(same(&b, "1", "1"), ("1".to_owned(), None));
    settle(&[&a, &b, &c]);
    for r in [&a, &b, &c] {
        assert_eq!(r.rows("SELECT id FROM team"), ["1"], "{}", r.name);
        assert_eq!(r.rows("SELECT count(DISTINCT team_id), count(*) FROM score"), ["1 2"], "{}", r.name);
        assert_eq!(r.rows("SELECT number, name FROM team"), a.rows("SELECT number, name FROM team"));
    }
    // What lost is kept.
    assert!(!a.open().conflicts().unwrap().is_empty());
    assert!(matches!(b.open().same("team", "1", "7", now()), Err(Error::Decision(Refused::NoRow { .. }))));
}

#[test]
fn a_row_that_a_rule_made_one_is_taken_apart_with_the_right_children_and_joined_again() {
    let (_d, [a, b, c]) = nodes::<3>(CONFIG);
    a.sql("INSERT INTO team VALUES (1, 10, 'of a'); INSERT INTO score VALUES (1, 1, 'sa')").harvest();
    b.sql("INSERT INTO team VALUES (7, 10, 'of b'); INSERT INTO score VALUES (1, 7, 'sb')").harvest();
    settle(&[&a, &b, &c]);
    assert_eq!(a.rows("SELECT count(*) FROM team"), ["1"]);
    let (keys, waiting) = apart(&c, &c.rows("SELECT id FROM team")[0].clone());
    assert_eq!((keys.len(), waiting), (2, 0));
    settle(&[&a, &b, &c]);
    for r in [&a, &b, &c] {
        assert_eq!(r.rows(SCORES), ["sa of a", "sb of b"], "{}", r.name);
    }
    assert_eq!(a.rows("SELECT id FROM team WHERE name = 'of a'"), ["1"], "ids at home stay");
    assert_eq!(b.rows("SELECT id FROM team WHERE name = 'of b'"), ["7"]);
    // No rule joins them again, however often they meet; a person may.
    a.sql("UPDATE team SET name = name || '!'");
    settle(&[&a, &b, &c]);
    assert_eq!(b.rows("SELECT count(*) FROM team"), ["2"]);
    let ids = b.rows("SELECT id FROM team ORDER BY id");
    same(&b, &ids[0], &ids[1]);
    settle(&[&a, &b, &c]);
    for r in [&a, &b, &c] {
        assert_eq!(r.rows("SELECT count(*) FROM team"), ["1"], "{}", r.name);
        assert_eq!(r.rows("SELECT count(DISTINCT team_id), count(*) FROM score"), ["1 2"]);
    }
    assert!(matches!(b.open().apart("event", "1", now()), Err(Error::Decision(Refused::NoRow { .. }))));
    a.sql("INSERT INTO team VALUES (50, 50, 'alone')");
    assert!(matches!(a.open().apart("team", "50", now()), Err(Error::Decision(Refused::NotJoined { births: 1 }))));
}

#[test]
fn associations_that_fell_together_come_apart_with_what_they_join() {
    let (_d, [a, b]) = nodes::<2>(CONFIG);
    for (r, name) in [(&a, "a"), (&b, "b")] {
        r.sql(&format!(
            "INSERT INTO team VALUES (1, 10, 'of {name}'); INSERT INTO event VALUES (1, 'casj');
             INSERT INTO team_event VALUES (1, 1, 'note of {name}')"
        ))
        .harvest();
    }
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT count(*) FROM team_event"), ["1"]);
    apart(&a, "1");
    settle(&[&a, &b]);
    let rows = "SELECT t.name, e.code, x.note FROM team_event x JOIN team t ON t.id = x.team_id
                JOIN event e ON e.id = x.event_id ORDER BY 1";
    for r in [&a, &b] {
        assert_eq!(r.rows(rows), ["of a casj note of a", "of b casj note of b"], "{}", r.name);
        assert_eq!(r.open().held().unwrap(), [], "{}", r.name);
    }
}

#[test]
fn rows_taken_apart_that_share_a_unique_key_wait_for_another_key() {
    let (_d, [a, b]) = nodes::<2>("");
    a.sql("INSERT INTO event VALUES (1, 'casj')").harvest();
    b.sql("INSERT INTO event VALUES (5, 'casj')").harvest();
    settle(&[&a, &b]);
    let (keys, waiting) = a.open().apart("event", "1", now()).unwrap();
    assert_eq!((keys.len(), waiting), (1, 1));
    settle(&[&a, &b]);
    assert_eq!(a.open().held().unwrap()[0].reason, ConflictKind::Unique);
    a.sql("UPDATE event SET code = 'nyc'");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT code FROM event ORDER BY 1"), ["casj", "nyc"], "{}", r.name);
        assert_eq!(r.open().held().unwrap(), [], "{}", r.name);
    }
}

#[test]
fn of_two_words_about_one_pair_the_later_counts_everywhere() {
    let (_d, [a, b, c]) = nodes::<3>("");
    a.sql("INSERT INTO team VALUES (1, 10, 'x'), (2, 11, 'y'); INSERT INTO score VALUES (1, 2, 'child')");
    settle(&[&a, &b, &c]);
    same(&a, "1", "2");
    settle(&[&a, &c]);
    apart(&c, "1");
    // B hears of both at once, in another order.
    settle(&[&a, &b, &c]);
    for r in [&a, &b, &c] {
        assert_eq!(r.rows("SELECT count(*) FROM team"), ["2"], "{}", r.name);
        assert_eq!(r.rows(SCORES), a.rows(SCORES), "{}", r.name);
    }
}

/// Random words and writes on three replicas, exchanged in random order, end in the same state everywhere.
#[test]
fn words_and_writes_in_any_order_end_alike() {
    for seed in 1..=8u64 {
        let (_d, nodes) = nodes::<3>(CONFIG);
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut pick = |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n
        };
        for (i, r) in nodes.iter().enumerate() {
            r.sql(&format!(
                "INSERT INTO team VALUES (1, 10, 'r{i}'), (2, 2{i}, 's{i}'); INSERT INTO event VALUES (1, 'e');
                 INSERT INTO score VALUES (1, 1, 'c{i}'), (2, 2, 'd{i}'); INSERT INTO team_event VALUES (1, 1, 'n{i}')"
            ))
            .harvest();
        }
        for step in 0..14 {
            let r = &nodes[pick(3) as usize];
            let ids = r.rows("SELECT id FROM team WHERE id > 0 ORDER BY id");
            let (one, other) = (pick(ids.len() as u64) as usize, pick(ids.len() as u64) as usize);
            match pick(6) {
                0 => {
                    r.open().same("team", &ids[one], &ids[other], now()).unwrap();
                }
                1 => match r.open().apart("team", &ids[one], now()) {
                    Ok(_) | Err(Error::Decision(Refused::NotJoined { .. })) => {}
                    Err(e) => panic!("seed {seed}: {e}"),
                },
                2 => {
                    r.sql(&format!("UPDATE team SET name = 'w{step}' WHERE id = {}", ids[one])).harvest();
                }
                3 => {
                    r.sql(&format!("UPDATE score SET team_id = {} WHERE id = 1", ids[one])).harvest();
                }
                _ => {
                    let from = &nodes[pick(3) as usize];
                    if from.name != r.name {
                        pull(r, from);
                    }
                }
            }
            r.sound();
        }
        settle(&[&nodes[0], &nodes[1], &nodes[2]]);
        for r in &nodes {
            assert_eq!(r.rows("PRAGMA foreign_key_check"), [""; 0], "seed {seed}, {}", r.name);
            let waits = nodes.iter().any(|r| !r.open().held().unwrap().is_empty());
            if !waits {
                assert_eq!(r.rows(SCORES), nodes[0].rows(SCORES), "seed {seed}, {}", r.name);
            }
        }
    }
}

#[cfg(feature = "stops")]
#[test]
fn a_rule_that_is_left_out_is_noticed() {
    use lockstep_engine::rule::Rule;
    notice(&[(Rule::FallLasts, associations_that_fell_together_come_apart_with_what_they_join)]);
}

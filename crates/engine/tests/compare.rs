//! Two replicas compared down to the rows; what differs although both know the same writes is held until a person
//! decides, and the decision makes them the same.
mod replicas;
use lockstep_engine::change::ConflictKind;
use lockstep_engine::compare::Side as Half;
use lockstep_engine::compare::{Apart, Ask, Differing, Kind, RowState, Search, Seen, judge};
use lockstep_engine::database::ConflictState;
use lockstep_engine::decide::{Choice, Keep, Side};
use lockstep_engine::id::Dot;
use replicas::*;
use std::collections::BTreeSet;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER PRIMARY KEY, number INTEGER, name TEXT, note TEXT);
CREATE TABLE score (id INTEGER PRIMARY KEY, team_id INTEGER REFERENCES team (id), points INTEGER);
CREATE TABLE pair (a TEXT, b TEXT, note TEXT, PRIMARY KEY (a, b));
";

/// What a comparison came to.
#[derive(Debug, Default)]
struct Found {
    rows: Vec<Differing>,
    under_way: usize,
    /// Ranges and births that the peer was asked for.
    asked: usize,
    /// Questions.
    rounds: usize,
}

impl Found {
    fn kinds(&self) -> Vec<(Kind, Vec<String>)> {
        let mut all: Vec<_> = self.rows.iter().map(|d| (d.kind, d.columns.clone())).collect();
        all.sort();
        all
    }
}

fn nodes<const N: usize>() -> (tempfile::TempDir, [Replica; N]) {
    let dir = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c"];
    let nodes = std::array::from_fn(|i| Replica::new(dir.path(), names[i], SCHEMA).attach(""));
    (dir, nodes)
}

fn state_of(seen: &Seen<Vec<RowState>>, birth: Dot) -> Option<&RowState> {
    seen.read.iter().find(|r| r.birth == birth)
}

fn compare_without(a: &Replica, b: &Replica, table: &str, without: &[&str]) -> Found {
    let out: BTreeSet<String> = without.iter().map(|c| (*c).to_owned()).collect();
    let mut search = Search::new(a.open().range_sums(table, &out, now()).unwrap().read);
    let there = b.open().range_sums(table, &out, now()).unwrap().read;
    let mut found = Found::default();
    loop {
        found.rounds += 1;
        match search.ask() {
            Ask::Sums(ranges) => {
                found.asked += 16 * ranges.len();
                for range in ranges {
                    search.told_sums(range, &there.parts_of(range).unwrap());
                }
            }
            Ask::Parts(ranges) => {
                let mine = a.open().range_parts(table, &out, &ranges, now()).unwrap().read;
                let theirs = b.open().range_parts(table, &out, &ranges, now()).unwrap().read;
                found.asked += theirs.len();
                search.told_parts(&mine, &theirs);
            }
            Ask::Done => break,
        }
    }
    let births = search.into_found();
    let here = a.open().row_states(table, &out, &births, now()).unwrap();
    let there = b.open().row_states(table, &out, &births, now()).unwrap();
    for birth in births {
        let (x, y) = (state_of(&here, birth), state_of(&there, birth));
        let (mine, theirs) = (Half { row: x, vector: &here.vector }, Half { row: y, vector: &there.vector });
        match judge(birth, mine, theirs) {
            Apart::Not => {}
            Apart::UnderWay => found.under_way += 1,
            Apart::Differs { kind, columns } => found.rows.push(Differing {
                birth,
                kind,
                columns,
                dots: x.map(|r| r.dots.clone()).unwrap_or_default(),
                there: y.cloned(),
            }),
        }
    }
    found
}

fn compare(a: &Replica, b: &Replica, table: &str) -> Found {
    compare_without(a, b, table, &[])
}

/// Compares and holds what differs.
fn hold(a: &Replica, b: &Replica, table: &str) -> u64 {
    let found = compare(a, b, table);
    let there = b.open().summary().unwrap().replica;
    a.open().hold_differences(table, there, &found.rows, true, now()).unwrap()
}

/// Writes a row without a trace, as if capture had been off.
fn behind(r: &Replica, table: &str, sql: &str) {
    let like = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1";
    let triggers: Vec<(String, String)> = {
        let mut q = r.app.prepare(like).unwrap();
        let all = q.query_map([table], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
        all.collect::<Result<_, _>>().unwrap()
    };
    assert!(!triggers.is_empty());
    r.app.execute_batch("BEGIN; PRAGMA defer_foreign_keys = ON").unwrap();
    for (name, _) in &triggers {
        r.app.execute_batch(&format!("DROP TRIGGER \"{name}\"")).unwrap();
    }
    r.app.execute_batch(sql).unwrap();
    for (_, sql) in &triggers {
        r.app.execute_batch(sql).unwrap();
    }
    r.app.execute_batch("COMMIT").unwrap();
}

fn choose(r: &Replica, id: &str, keep: Keep) {
    let choice = Choice { conflict: id.to_owned(), keep, anyway: false };
    r.open().resolve(&[choice], now()).unwrap_or_else(|e| panic!("{}: {e}", r.name));
}

/// The only conflict that waits on a replica.
fn held(r: &Replica) -> String {
    let mut all = r.open().conflicts().unwrap();
    all.retain(|c| c.state == ConflictState::Held);
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!(all[0].kind, ConflictKind::Difference);
    assert_eq!(r.open().summary().unwrap().held, 1);
    assert_eq!(r.open().held().unwrap()[0].id, all[0].id);
    all.remove(0).id
}

fn same(all: &[&Replica]) {
    settle(all);
    for r in all {
        assert_eq!(r.open().held().unwrap(), [], "{}", r.name);
        for table in ["team", "score", "pair"] {
            let found = compare(r, all[0], table);
            assert_eq!((found.rows.len(), found.under_way), (0, 0), "{} {table}", r.name);
        }
    }
}

fn teams(a: &Replica, b: &Replica, n: usize) {
    let rows = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
         INSERT INTO team SELECT i, i, 'n' || i, 'o' || i FROM n"
    );
    a.sql(&rows);
    a.sql("INSERT INTO score VALUES (1, 1, 10), (2, 2, 20); INSERT INTO pair VALUES ('x', 'y', 'z')");
    settle(&[a, b]);
}

#[test]
fn a_row_that_was_changed_behind_the_capture_is_found_from_either_side_and_decided() {
    for (keep_here, at_broken) in [(true, true), (false, true), (true, false), (false, false)] {
        let (_d, [a, b, c]) = nodes::<3>();
        teams(&a, &b, 40);
        settle(&[&a, &b, &c]);
        behind(&b, "team", "UPDATE team SET name = 'odd' WHERE id = 7");
        let (x, y) = if at_broken { (&b, &a) } else { (&a, &b) };
        let found = compare(x, y, "team");
        assert_eq!(found.kinds(), [(Kind::Different, vec!["name".to_owned()])]);
        assert_eq!(found.under_way, 0);
        assert_eq!(hold(x, y, "team"), 1);
        assert_eq!(hold(x, y, "team"), 1, "it is held once");
        let id = held(x);
        let sides = x.open().conflict(&id).unwrap().unwrap();
        let (mine, theirs) = if at_broken { ("odd", "n7") } else { ("n7", "odd") };
        let value = |s: &str| vec![("name".to_owned(), Some(lockstep_engine::value::Value::text(s)))];
        assert_eq!((sides.winner, sides.loser), (value(mine), value(theirs)));
        choose(x, &id, Keep::All(if keep_here { Side::Winner } else { Side::Loser }));
        same(&[&a, &b, &c]);
        let expected = if keep_here { mine } else { theirs };
        for r in [&a, &b, &c] {
            assert_eq!(r.rows("SELECT name, note FROM team WHERE id = 7"), [format!("{expected} o7")]);
        }
        // What was given up is on record, and can be turned round.
        let given_up = b.open().conflicts().unwrap();
        assert_eq!(given_up.len(), 1, "{given_up:#?}");
        assert_eq!(given_up[0].state, ConflictState::Reviewed);
        choose(&b, &given_up[0].id, Keep::All(Side::Loser));
        same(&[&a, &b, &c]);
        let other = if keep_here { theirs } else { mine };
        assert_eq!(c.rows("SELECT name FROM team WHERE id = 7"), [other]);
    }
}

#[test]
fn a_row_that_went_behind_the_capture_comes_back_or_goes_everywhere() {
    for (keep_here, at_broken) in [(true, true), (false, true), (true, false), (false, false)] {
        let (_d, [a, b]) = nodes::<2>();
        teams(&a, &b, 40);
        behind(&b, "team", "DELETE FROM team WHERE id = 9");
        let (x, y) = if at_broken { (&b, &a) } else { (&a, &b) };
        let kind = if at_broken { Kind::OnlyThere } else { Kind::OnlyHere };
        assert_eq!(compare(x, y, "team").kinds(), [(kind, vec![])]);
        assert_eq!(hold(x, y, "team"), 1);
        choose(x, &held(x), Keep::All(if keep_here { Side::Winner } else { Side::Loser }));
        same(&[&a, &b]);
        let lives = keep_here != at_broken;
        let expected: &[&str] = if lives { &["9 9 n9 o9"] } else { &[] };
        for r in [&a, &b] {
            assert_eq!(r.rows("SELECT * FROM team WHERE id = 9"), expected, "{keep_here} {at_broken} {}", r.name);
        }
    }
}

#[test]
fn a_reference_and_a_row_with_a_composite_key_are_compared_like_any_value() {
    for side in [Side::Winner, Side::Loser] {
        let (_d, [a, b]) = nodes::<2>();
        teams(&a, &b, 10);
        behind(&b, "score", "UPDATE score SET team_id = 5 WHERE id = 2");
        behind(&b, "pair", "UPDATE pair SET note = x'00ff'");
        assert_eq!(compare(&a, &b, "score").kinds(), [(Kind::Different, vec!["team_id".to_owned()])]);
        assert_eq!(compare(&a, &b, "pair").kinds(), [(Kind::Different, vec!["note".to_owned()])]);
        hold(&b, &a, "score");
        hold(&b, &a, "pair");
        let ids: Vec<String> = b.open().held().unwrap().into_iter().map(|h| h.id).collect();
        assert_eq!(ids.len(), 2);
        let choices: Vec<Choice> =
            ids.into_iter().map(|conflict| Choice { conflict, keep: Keep::All(side), anyway: false }).collect();
        b.open().resolve(&choices, now()).unwrap();
        same(&[&a, &b]);
        let expected = if side == Side::Winner { ["2 5 20", "x y x[00, ff]"] } else { ["2 2 20", "x y z"] };
        for r in [&a, &b] {
            assert_eq!(r.rows("SELECT * FROM score WHERE id = 2"), [expected[0]]);
            assert_eq!(r.rows("SELECT * FROM pair"), [expected[1]]);
        }
    }
}

#[test]
fn what_is_written_anew_differs_no_more() {
    let (_d, [a, b]) = nodes::<2>();
    teams(&a, &b, 10);
    behind(&b, "team", "UPDATE team SET name = 'odd', note = 'odder' WHERE id = 3");
    assert_eq!(hold(&a, &b, "team"), 1);
    a.sql("UPDATE team SET name = 'new' WHERE id = 3").harvest();
    assert_eq!(a.open().held().unwrap()[0].columns, ["note"]);
    sync(&a, &b);
    assert_eq!(b.rows("SELECT name, note FROM team WHERE id = 3"), ["new odder"]);
    a.sql("UPDATE team SET note = 'too' WHERE id = 3").harvest();
    assert_eq!(a.open().held().unwrap(), []);
    sync(&a, &b);
    assert_eq!(b.rows("SELECT name, note FROM team WHERE id = 3"), ["new too"]);
    assert_eq!(compare(&a, &b, "team").rows, []);
}

/// The digest that is kept of a row is moved by what a write changes: it stays wrong by what nobody saw.
#[test]
fn a_digest_that_went_wrong_with_a_row_is_counted_anew_when_the_rows_are_the_same() {
    let (_d, [a, _, c]) = nodes::<3>();
    teams(&a, &c, 10);
    behind(&c, "team", "UPDATE team SET name = 'odd' WHERE id = 3");
    a.sql("UPDATE team SET name = 'new' WHERE id = 3").harvest();
    sync(&a, &c);
    assert_eq!(compare(&a, &c, "team").rows, []);
    let digest =
        |r: &Replica| r.open().summary().unwrap().tables.into_iter().find(|t| t.name == "team").unwrap().digest;
    assert_ne!(digest(&a), digest(&c));
    for r in [&a, &c] {
        r.open().recount_digest("team", now()).unwrap();
    }
    assert_eq!(digest(&a), digest(&c));
    same(&[&a, &c]);
}

#[test]
fn a_write_under_way_is_no_difference() {
    let (_d, [a, b]) = nodes::<2>();
    teams(&a, &b, 100);
    a.sql("UPDATE team SET name = 'a' WHERE id = 1; INSERT INTO team VALUES (200, 200, 'x', 'y')").harvest();
    b.sql("UPDATE team SET name = 'b' WHERE id = 1; DELETE FROM team WHERE id = 50").harvest();
    behind(&b, "team", "UPDATE team SET note = 'odd' WHERE id = 2");
    let found = compare(&a, &b, "team");
    assert_eq!(found.kinds(), [(Kind::Different, vec!["note".to_owned()])]);
    assert_eq!(found.under_way, 3);
    assert_eq!(compare(&b, &a, "team").under_way, 3);
    // A row that was written after it was looked at is not held.
    let rows = found.rows;
    a.sql("UPDATE team SET note = 'later' WHERE id = 2").harvest();
    let there = b.open().summary().unwrap().replica;
    assert_eq!(a.open().hold_differences("team", there, &rows, true, now()).unwrap(), 0);
    sync(&a, &b);
    assert_eq!((compare(&a, &b, "team").rows.len(), compare(&a, &b, "team").under_way), (0, 0));
}

#[test]
fn a_column_that_does_not_pass_is_not_looked_at() {
    let (_d, [a, b]) = nodes::<2>();
    teams(&a, &b, 10);
    behind(&b, "team", "UPDATE team SET note = 'secret' WHERE id = 2");
    assert_eq!(compare(&a, &b, "team").rows.len(), 1);
    assert_eq!(compare_without(&a, &b, "team", &["note"]).rows, []);
    let out = BTreeSet::from(["note".to_owned()]);
    let birth = compare(&a, &b, "team").rows[0].birth;
    let told = b.open().row_states("team", &out, &[birth], now()).unwrap();
    assert!(told.read[0].columns.iter().all(|c| c.name != "note"));
}

#[test]
fn what_is_asked_grows_with_what_differs_and_not_with_the_table() {
    let mut asked = Vec::new();
    for n in [500, 4000] {
        let (_d, [a, b]) = nodes::<2>();
        teams(&a, &b, n);
        behind(&b, "team", "UPDATE team SET name = 'odd' WHERE id IN (3, 77, 401)");
        let found = compare(&a, &b, "team");
        assert_eq!(found.rows.len(), 3);
        assert!(found.rounds <= 8, "{}", found.rounds);
        asked.push(found.asked);
    }
    assert!(asked[1] <= asked[0] + 3 * 16 + 3 * 24, "{asked:?}");
    assert!(asked[1] < 250, "{asked:?}");
}

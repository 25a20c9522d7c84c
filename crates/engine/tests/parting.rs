//! Two machines that wrote by one name: a copy of a machine, with home and file, that went on for itself before anybody
//! noticed. What it alone has written gets a name of its own.
mod replicas;
use lockstep_engine::Limit;
use lockstep_engine::change::Batch;
use lockstep_engine::database::Sibling;
use lockstep_engine::id::{ReplicaId, Seq};
use replicas::*;
use rusqlite::Connection;
use std::collections::BTreeMap;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER NOT NULL PRIMARY KEY, number INTEGER NOT NULL UNIQUE, name TEXT, town TEXT);
CREATE TABLE score (id INTEGER NOT NULL PRIMARY KEY, team_id INTEGER REFERENCES team (id), tag TEXT, v);
CREATE TABLE likes (a INTEGER NOT NULL REFERENCES team (id), b INTEGER NOT NULL REFERENCES team (id), v, PRIMARY KEY (a, b));
";
const TEAMS: &str = "SELECT number, name, coalesce(town, '-') FROM team ORDER BY number, name";
const SCORES: &str =
    "SELECT s.tag, coalesce(t.number, '?'), s.v FROM score s LEFT JOIN team t ON t.id = s.team_id ORDER BY s.tag, s.v";
const LIKES: &str =
    "SELECT x.number, y.number, l.v FROM likes l JOIN team x ON x.id = l.a JOIN team y ON y.id = l.b ORDER BY 1, 2";

/// A copy of a machine.
fn cloned(r: &Replica, name: &str) -> Replica {
    r.app.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let path = r.path.with_file_name(format!("{name}-{}.db", r.database));
    std::fs::copy(&r.path, &path).unwrap();
    let app = Connection::open(&path).unwrap();
    app.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    Replica { name: name.into(), database: r.database.clone(), path, siblings: Vec::new(), app }
}

/// What a peer knows of the writes that this file takes for its own.
fn known(here: &Replica, there: &Replica) -> BTreeMap<String, Seq> {
    let own = here.open().replica().unwrap();
    let mut have = here.open().vectors().unwrap();
    have.values_mut().for_each(|v| v.retain(|r, _| *r != own));
    let mut batches: Vec<Batch> = Vec::new();
    while batches.last().is_none_or(|b| !b.last) {
        let batch = there.open().extract(&have, Limit { items: 3, bytes: 1 << 20 }, now()).unwrap();
        for (table, end) in &batch.end {
            have.entry(table.clone()).or_default().extend(end.iter().map(|(r, s)| (*r, *s)));
        }
        batches.push(batch);
    }
    here.open().known_there(&batches, now()).unwrap()
}

/// A person says what it is, after these peers were asked.
fn apart(here: &Replica, asked: &[&Replica], new: u8) {
    here.harvest();
    let mut all: BTreeMap<String, Seq> = BTreeMap::new();
    for peer in asked {
        for (table, seq) in known(here, peer) {
            let most = all.entry(table).or_default();
            *most = (*most).max(seq);
        }
    }
    let old = here.open().replica().unwrap();
    assert!(here.open().begin_apart(old, ReplicaId([new; 16]), &all, now()).unwrap());
    here.open().live_on(&here.host(), now()).unwrap();
    assert_eq!(here.open().replica().unwrap(), ReplicaId([new; 16]));
    here.sound();
}

fn all_of(r: &Replica) -> Vec<String> {
    [r.rows(TEAMS), r.rows(SCORES), r.rows(LIKES)].concat()
}

struct Case {
    what: &'static str,
    /// Written on the machine that was there first, and on its copy.
    first: &'static str,
    copy: &'static str,
    /// What everybody shows of it in the end, beside what nobody touched.
    teams: &'static [&'static str],
    scores: &'static [&'static str],
}

const CASES: [Case; 9] = [
    Case {
        what: "rows with the same ids",
        first: "INSERT INTO team VALUES (8, 80, 'of a', 1); INSERT INTO score VALUES (8, 8, 'a8', 1)",
        copy: "INSERT INTO team VALUES (8, 81, 'of x', 1); INSERT INTO score VALUES (8, 8, 'x8', 1)",
        teams: &["10 ten -", "20 twenty -", "30 thirty -", "80 of a 1", "81 of x 1"],
        scores: &["a8 80 1", "late 20 2", "s1 10 1", "x8 81 1"],
    },
    Case {
        what: "other columns of a row",
        first: "UPDATE team SET name = 'TEN' WHERE id = 1",
        copy: "UPDATE team SET town = 'T' WHERE id = 1",
        teams: &["10 TEN T", "20 twenty -", "30 thirty -"],
        scores: &["late 20 2", "s1 10 1"],
    },
    Case {
        what: "one column of a row",
        first: "UPDATE team SET name = 'of a' WHERE id = 1",
        copy: "UPDATE team SET name = 'of x' WHERE id = 1",
        teams: &["10 of x -", "20 twenty -", "30 thirty -"],
        scores: &["late 20 2", "s1 10 1"],
    },
    Case {
        what: "a row that the one edits and the other deletes",
        first: "UPDATE score SET v = 5 WHERE tag = 's1'",
        copy: "DELETE FROM score WHERE tag = 's1'",
        teams: &["10 ten -", "20 twenty -", "30 thirty -"],
        scores: &["late 20 2"],
    },
    Case {
        what: "a row that both delete, and another in its place",
        first: "DELETE FROM score WHERE tag = 's1'; INSERT INTO score VALUES (1, 2, 'a1', 1)",
        copy: "DELETE FROM score WHERE tag = 's1'; INSERT INTO score VALUES (1, 3, 'x1', 1)",
        teams: &["10 ten -", "20 twenty -", "30 thirty -"],
        scores: &["a1 20 1", "late 20 2", "x1 30 1"],
    },
    Case {
        what: "a parent with children, which the other gives one",
        first: "DELETE FROM likes; DELETE FROM score WHERE team_id = 1; DELETE FROM team WHERE id = 1",
        copy: "INSERT INTO score VALUES (7, 1, 'x7', 7)",
        teams: &["10 ten -", "20 twenty -", "30 thirty -"],
        scores: &["late 20 2", "x7 10 7"],
    },
    Case {
        what: "rows that came and went, and edits of edits",
        first: "INSERT INTO team VALUES (8, 80, 'a', 1); UPDATE team SET name = 'aa' WHERE id = 8; DELETE FROM team WHERE id = 8; UPDATE score SET v = 8; UPDATE score SET v = 9",
        copy: "INSERT INTO team VALUES (8, 81, 'x', 1); UPDATE team SET name = 'xx' WHERE id = 8; INSERT INTO team VALUES (9, 90, 'y', 1); DELETE FROM team WHERE id = 9",
        teams: &["10 ten -", "20 twenty -", "30 thirty -", "81 xx 1"],
        scores: &["late 20 9", "s1 10 9"],
    },
    Case {
        what: "references that move",
        first: "INSERT INTO team VALUES (8, 80, 'a', 1); UPDATE score SET team_id = 8 WHERE tag = 's1'",
        copy: "INSERT INTO team VALUES (8, 81, 'x', 1); UPDATE score SET team_id = 8; UPDATE score SET team_id = 3 WHERE tag = 's1'",
        teams: &["10 ten -", "20 twenty -", "30 thirty -", "80 a 1", "81 x 1"],
        scores: &["late 81 2", "s1 30 1"],
    },
    Case {
        what: "only the copy",
        first: "",
        copy: "INSERT INTO team VALUES (8, 81, 'x', 1); INSERT INTO score VALUES (9, 8, 'x9', 9); INSERT INTO likes VALUES (8, 1, 1); UPDATE score SET v = 0 WHERE tag = 'late'",
        teams: &["10 ten -", "20 twenty -", "30 thirty -", "81 x 1"],
        scores: &["late 20 0", "s1 10 1", "x9 81 9"],
    },
];

/// The machine, its copy, and two peers of which one knows nothing at first. What was written before the copy was made was
/// sent, or harvested and not sent, or not even harvested.
fn world() -> (tempfile::TempDir, Vec<Replica>) {
    let dir = tempfile::tempdir().unwrap();
    let mut all: Vec<Replica> = ["a", "b", "c"].map(|n| Replica::new(dir.path(), n, SCHEMA).attach("")).into();
    all[0].sql("INSERT INTO team VALUES (1, 10, 'ten', NULL), (2, 20, 'twenty', NULL)");
    all[0].sql("INSERT INTO score VALUES (1, 1, 's1', 1); INSERT INTO likes VALUES (1, 2, 0)");
    sync(&all[0], &all[1]);
    all[0].sql("INSERT INTO team VALUES (3, 30, 'thirty', NULL)");
    all[0].harvest();
    all[0].sql("INSERT INTO score VALUES (2, 2, 'late', 2)");
    let x = cloned(&all[0], "x");
    all.push(x);
    (dir, all)
}

#[test]
fn what_a_copy_wrote_alone_joins_what_the_first_machine_wrote() {
    for case in &CASES {
        // Harvested in one go, or each write for itself.
        for pieces in [false, true] {
            let (_d, all) = world();
            let [a, b, c, x] = &all[..] else { unreachable!() };
            let write = |r: &Replica, sql: &str| {
                let parts: Vec<&str> = if pieces { sql.split_inclusive(';').collect() } else { vec![sql] };
                for sql in parts {
                    r.sql(sql);
                    r.harvest();
                }
            };
            write(a, case.first);
            write(x, case.copy);
            sync(a, b);
            apart(x, &[b], 0xee);
            settle(&[b, x]);
            settle(&[a, b, c, x]);
            for r in &all {
                assert_eq!(r.rows(TEAMS), case.teams, "{}, {} {pieces}", case.what, r.name);
                assert_eq!(r.rows(SCORES), case.scores, "{}, {} {pieces}", case.what, r.name);
                assert_eq!(r.rows("PRAGMA foreign_key_check"), [""; 0], "{}, {}", case.what, r.name);
                let balance = r.open().balance().unwrap();
                assert_eq!(balance.lost(), 0, "{}: {balance:?}", case.what);
            }
            if !pieces {
                continue;
            }
            // They go on as any two.
            a.sql("INSERT INTO team VALUES (50, 500, 'later a', 1)");
            x.sql("INSERT INTO team VALUES (50, 501, 'later x', 1); UPDATE team SET town = 'end' WHERE number = 10");
            settle(&[a, b, c, x]);
            assert_eq!(all_of(a), all_of(x), "{}", case.what);
            assert_eq!(a.rows("SELECT name FROM team WHERE id = 50"), ["later a"]);
            assert_eq!(x.rows("SELECT name FROM team WHERE id = 50"), ["later x"]);
        }
    }
}

#[test]
fn a_conflict_between_both_is_recorded_as_between_any_two() {
    let (_d, all) = world();
    let [a, b, _, x] = &all[..] else { unreachable!() };
    a.sql("UPDATE team SET name = 'of a' WHERE id = 1");
    x.sql("UPDATE team SET name = 'of x' WHERE id = 1");
    sync(a, b);
    apart(x, &[b], 0xee);
    settle(&[a, b, x]);
    for r in [a, b, x] {
        let conflicts = r.open().conflicts().unwrap();
        assert_eq!(conflicts.len(), 1, "{}: {conflicts:#?}", r.name);
        assert_eq!(conflicts[0].loser, Some(a.open().replica().unwrap()), "{}", r.name);
    }
}

/// Nothing is renamed that somebody knows: neither what was sent before the copy was made, nor what the copy itself has sent.
#[test]
fn what_others_know_keeps_its_name() {
    let (_d, all) = world();
    let [_, b, c, x] = &all[..] else { unreachable!() };
    let names = |r: &Replica| r.rows("SELECT b FROM _lockstep_row_1 ORDER BY b");
    x.harvest();
    let before = names(x);
    // The first machine is gone, and the copy has sent all it wrote.
    sync(x, b);
    sync(b, c);
    apart(x, &[b], 0xee);
    assert_eq!(names(x), before);
    // What it writes from now on, and what only a peer's writes prove to be known there.
    x.sql("INSERT INTO team VALUES (4, 40, 'forty', NULL)");
    sync(x, b);
    b.sql("UPDATE team SET town = 'seen' WHERE number = 40");
    sync(b, x);
    let before = names(x);
    apart(x, &[], 0xef);
    assert_eq!(names(x), before, "nobody could be asked, and somebody has written to the latest row");
    settle(&[b, c, x]);
}

/// The other way round: the copy was faster, so the first machine is the one that a person deals with.
#[test]
fn either_of_the_two_may_get_another_name() {
    let (_d, all) = world();
    let [a, b, c, x] = &all[..] else { unreachable!() };
    a.sql("INSERT INTO team VALUES (8, 80, 'of a', NULL); UPDATE score SET v = 'a' WHERE tag = 's1'");
    x.sql("INSERT INTO team VALUES (8, 81, 'of x', NULL); UPDATE score SET v = 'x' WHERE tag = 'late'");
    sync(x, b);
    sync(b, c);
    apart(a, &[b, c], 0xee);
    settle(&[a, b, c, x]);
    for r in &all {
        let teams = ["10 ten -", "20 twenty -", "30 thirty -", "80 of a -", "81 of x -"];
        assert_eq!(r.rows(TEAMS), teams, "{}", r.name);
        assert_eq!(r.rows(SCORES), ["late 20 x", "s1 10 a"], "{}", r.name);
    }
}

/// Conflicts, decisions, aliases, and rows taken apart that the copy has made alone.
#[test]
fn what_a_copy_found_and_decided_alone_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[tables.team]\nidentity = ['name']\n[tables.score]\npolicy = 'review'\n";
    let [a, b, c] = ["a", "b", "c"].map(|n| Replica::new(dir.path(), n, SCHEMA).attach(config));
    a.sql("INSERT INTO team VALUES (1, 10, 'ten', NULL); INSERT INTO score VALUES (1, 1, 's1', 1), (2, 1, 's2', 1)");
    settle(&[&a, &b, &c]);
    // What the copy will meet: a row that it knows, edits that clash.
    c.sql("INSERT INTO team VALUES (5, 50, 'fifty', 'c'); UPDATE team SET town = 'c' WHERE id = 1; UPDATE score SET v = 'c' WHERE id = 1");
    let x = cloned(&a, "x");
    a.sql("INSERT INTO team VALUES (4, 40, 'forty', 'a')");
    x.sql("INSERT INTO team VALUES (4, 50, 'fifty', 'x'); UPDATE team SET town = 'x' WHERE id = 1; UPDATE score SET v = 'x'; DELETE FROM score WHERE id = 2");
    sync(&a, &b);
    // It takes from c, which has not met the first machine since, and gives nothing.
    pull(&x, &c);
    let conflicts = x.open().conflicts().unwrap().len();
    assert!(conflicts >= 2, "{conflicts}");
    x.open().reviewed(None, now()).unwrap();
    apart(&x, &[&b, &c], 0xee);
    assert_eq!(x.open().conflicts().unwrap().len(), conflicts);
    settle(&[&a, &b, &c, &x]);
    for r in [&a, &b, &c, &x] {
        let teams = r.rows("SELECT name FROM team ORDER BY name");
        assert_eq!(teams, ["fifty", "forty", "ten"], "{}", r.name);
        assert_eq!(r.rows("SELECT tag FROM score"), ["s1"], "{}", r.name);
    }
}

/// A file that refers to rows of another one, of which the names have changed.
#[test]
fn references_from_another_file_follow() {
    let dir = tempfile::tempdir().unwrap();
    let made = |n: &str| {
        let users = Replica::named(dir.path(), n, "users", "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT)");
        let users = users.attach("");
        let mut main =
            Replica::new(dir.path(), n, "CREATE TABLE entry (id INTEGER PRIMARY KEY, user_id INTEGER, tag TEXT)");
        main.siblings = vec![Sibling { name: "users".into(), path: users.path.clone() }];
        (users, main.attach("[tables.entry]\nreferences = { user_id = 'users.user' }\n"))
    };
    let ((au, am), (bu, bm)) = (made("a"), made("b"));
    au.sql("INSERT INTO user VALUES (1, 'one')");
    am.sql("INSERT INTO entry VALUES (1, 1, 'e1')");
    settle(&[&au, &bu]);
    settle(&[&am, &bm]);
    let (xu, mut xm) = (cloned(&au, "x"), cloned(&am, "x"));
    xm.siblings = vec![Sibling { name: "users".into(), path: xu.path.clone() }];
    for (users, main, who) in [(&au, &am, "a"), (&xu, &xm, "x")] {
        users.sql(&format!("INSERT INTO user VALUES (2, 'two of {who}')"));
        main.sql(&format!("INSERT INTO entry VALUES (2, 2, 'e2 of {who}'); UPDATE entry SET user_id = 2 WHERE id = 1"));
        users.harvest();
        main.harvest();
    }
    settle(&[&au, &bu]);
    settle(&[&am, &bm]);
    apart(&xu, &[&bu], 0xe1);
    apart(&xm, &[&bm], 0xe2);
    settle(&[&xu, &bu, &au]);
    settle(&[&xm, &bm, &am]);
    let named = |users: &Replica, main: &Replica| {
        main.app.execute("ATTACH ?1 AS users", [users.path.to_string_lossy()]).unwrap();
        main.rows("SELECT tag, name FROM entry AS e JOIN users.user AS u ON u.id = e.user_id ORDER BY tag")
    };
    for (users, main) in [(&au, &am), (&bu, &bm), (&xu, &xm)] {
        let rows = ["e1 two of x", "e2 of a two of a", "e2 of x two of x"];
        assert_eq!(named(users, main), rows, "{}", main.name);
    }
    assert_eq!(xm.rows("SELECT user_id FROM entry WHERE id = 2"), ["2"], "ids stay");
}

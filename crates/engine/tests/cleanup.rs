//! What retention removes, what it leaves, and that nothing is the worse for it.
mod replicas;
use lockstep_engine::cleanup::Cleanup;
use lockstep_engine::database::Cleaned;
use lockstep_engine::id::{Millis, Vectors};
use replicas::*;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER NOT NULL PRIMARY KEY, number INTEGER NOT NULL UNIQUE, name TEXT);
CREATE TABLE score (id INTEGER NOT NULL PRIMARY KEY, team_id INTEGER REFERENCES team (id), v);";
/// Deletes of many rows at once are what is cleaned up here.
const CONFIG: &str = "[tables.team]\nguard = { rows = 5000, share = 0.2 }\n";
const DAY: i64 = 86_400_000;

fn two() -> (tempfile::TempDir, Replica, Replica) {
    // The application's writes bear the wall time of this computer.
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    NOW.set(i64::try_from(since_1970.as_millis()).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Replica::new(dir.path(), "a", SCHEMA), Replica::new(dir.path(), "b", SCHEMA));
    (dir, a.attach(CONFIG), b.attach(CONFIG))
}

fn later(days: i64) {
    NOW.with(|n| n.set(n.get() + days * DAY));
}

/// Everything that is older than 90 days, with peers that have so much.
fn old(peers: Vec<Vectors>) -> Cleanup {
    let before = Some(Millis(now().0 - 90 * DAY));
    Cleanup { tombstones: before, conflicts: before, archive: before, peers, referred: Vec::new() }
}

fn clean(r: &Replica, what: &Cleanup) -> Cleaned {
    let would = r.open().clean(what, true, now()).unwrap();
    let done = r.open().clean(what, false, now()).unwrap();
    assert_eq!(would, done, "what a dry run says is what goes");
    assert_eq!(r.open().clean(what, false, now()).unwrap(), Cleaned::default(), "nothing is left to do");
    r.sound();
    done
}

fn has(r: &Replica) -> Vectors {
    r.open().vectors().unwrap()
}

#[test]
fn traces_go_when_they_are_old_and_everywhere_and_digests_stay_equal() {
    let (dir, a, b) = two();
    a.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1300)
         INSERT INTO team SELECT i, i, 'team ' || i FROM n",
    );
    settle(&[&a, &b]);
    let before_the_delete = has(&b);
    a.sql("UPDATE team SET name = 'changed' WHERE id = 1300; DELETE FROM team WHERE id <= 1200");
    settle(&[&a, &b]);
    assert_eq!(clean(&a, &old(vec![has(&b)])), Cleaned::default(), "not old enough");
    later(100);
    let done = clean(&a, &old(vec![before_the_delete]));
    assert_eq!((done.tombstones, done.archived), (0, 1), "a peer may still need the deletes");
    assert_eq!(clean(&a, &old(vec![has(&b)])).tombstones, 1200);
    assert_eq!(a.open().balance().unwrap().cleaned, 1200 * 3);
    same_digests(&[&a, &b]);

    // Both go on: the ids stay used, and a new row is a new row.
    a.sql("INSERT INTO team (number, name) VALUES (5, 'again five')");
    b.sql("UPDATE team SET name = 'by b' WHERE number = 1250");
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT name FROM team WHERE number = 5"), ["again five"]);
    assert_eq!(b.rows("SELECT count(*) FROM team"), ["101"]);

    // One that comes anew gets what lives.
    let c = Replica::new(dir.path(), "c", SCHEMA).attach("");
    settle(&[&a, &c]);
    settle(&[&a, &b, &c]);
    assert_eq!(c.rows("SELECT count(*) FROM team"), ["101"]);
}

#[test]
fn a_trace_stays_while_something_refers_to_it() {
    let (_d, a, b) = two();
    a.sql("PRAGMA foreign_keys = OFF; INSERT INTO team VALUES (1, 1, 'x'), (2, 2, 'y'); INSERT INTO score VALUES (1, 1, 5)");
    settle(&[&a, &b]);
    a.sql("DELETE FROM team");
    settle(&[&a, &b]);
    later(100);
    assert_eq!(clean(&a, &old(vec![has(&b)])).tombstones, 1, "one is referred to");
    settle(&[&a, &b]);
    let named = Cleanup { referred: vec!["team".into()], ..old(Vec::new()) };
    assert_eq!(clean(&b, &named).tombstones, 0, "another database may refer to both");
}

#[test]
fn a_conflict_goes_only_after_somebody_has_looked_at_it() {
    let (_d, a, b) = two();
    a.sql("INSERT INTO team VALUES (1, 1, 'x')");
    settle(&[&a, &b]);
    a.sql("UPDATE team SET name = 'from a'");
    b.sql("UPDATE team SET name = 'from b'");
    settle(&[&a, &b]);
    later(100);
    let done = clean(&a, &old(vec![has(&b)]));
    assert_eq!((done.conflicts, a.open().conflicts().unwrap().len()), (0, 1));
    let lost = |r: &Replica| r.rows("SELECT count(*) FROM _lockstep_archive WHERE why <> 0");
    let kept = [&a, &b].into_iter().filter(|r| lost(r) == ["1"]).count();
    assert!(kept > 0, "the loser is kept with its conflict");
    assert_eq!(a.open().reviewed(None, now()).unwrap(), 1);
    assert_eq!(clean(&a, &old(vec![has(&b)])).conflicts, 0, "that was not said everywhere");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(clean(r, &old(vec![has(&a), has(&b)])).conflicts, 1);
        assert_eq!(lost(r), ["0"]);
    }
    settle(&[&a, &b]);
}

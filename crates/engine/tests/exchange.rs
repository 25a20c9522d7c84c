//! Two and three replicas exchange what their applications wrote.
mod replicas;
use replicas::*;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER NOT NULL PRIMARY KEY, number INTEGER NOT NULL, tenant INTEGER, name TEXT);
CREATE TABLE score (id INTEGER NOT NULL PRIMARY KEY, team_id INTEGER NOT NULL REFERENCES team (id), tag TEXT, v);
CREATE TABLE setting (id INTEGER NOT NULL PRIMARY KEY, k TEXT NOT NULL UNIQUE, v TEXT);
CREATE TABLE team_event (team_id INTEGER NOT NULL REFERENCES team (id), event INTEGER NOT NULL, PRIMARY KEY (team_id, event));
";
const CONFIG: &str = "[tables.team]\nidentity = ['number', 'tenant']\n";

fn two() -> (tempfile::TempDir, Replica, Replica) {
    let dir = tempfile::tempdir().unwrap();
    let a = Replica::new(dir.path(), "a", SCHEMA);
    let b = Replica::new(dir.path(), "b", SCHEMA);
    (dir, a, b)
}

const SCORES: &str = "SELECT s.tag, t.name, s.v FROM score s JOIN team t ON t.id = s.team_id ORDER BY s.tag";

#[test]
fn rows_with_clashing_ids_both_live_and_children_follow() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten'); INSERT INTO score VALUES (1, 1, 'a1', 5);");
    b.sql("INSERT INTO team VALUES (1, 20, 1, 'twenty'); INSERT INTO score VALUES (1, 1, 'b1', 6);");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows(SCORES), ["a1 ten 5", "b1 twenty 6"], "{}", r.name);
    }
    assert_eq!(a.rows("SELECT id, name FROM team ORDER BY id"), ["1 ten", "2 twenty"]);
    assert_eq!(b.rows("SELECT id, name FROM team ORDER BY id"), ["1 twenty", "2 ten"]);
}

#[test]
fn rows_that_began_separately_are_one_by_their_identity_key() {
    let (_d, a, b) = two();
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten'), (2, 20, 1, 'twenty'); INSERT INTO score VALUES (1, 2, 'a1', 1);");
    b.sql("INSERT INTO team VALUES (1, 20, 1, 'twenty!'), (2, 10, 1, 'ten'), (3, 20, 2, 'other'); INSERT INTO score VALUES (1, 1, 'b1', 1);");
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT id, number, tenant FROM team ORDER BY id"), ["1 10 1", "2 20 1", "3 20 2"]);
    assert_eq!(b.rows("SELECT id, number, tenant FROM team ORDER BY id"), ["1 20 1", "2 10 1", "3 20 2"]);
    assert_eq!(a.rows(SCORES), b.rows(SCORES));
    assert_eq!(a.rows(SCORES).len(), 2);
    assert_eq!(a.rows("SELECT count(*) FROM _lockstep_conflict"), ["1"]);
}

#[test]
fn columns_are_judged_one_by_one_and_the_loser_is_kept() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten')");
    settle(&[&a, &b]);
    a.sql("UPDATE team SET name = 'A'");
    b.sql("UPDATE team SET number = 11");
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT * FROM team"), ["1 11 1 A"]);
    a.sql("UPDATE team SET name = 'from a'");
    a.harvest();
    b.sql("UPDATE team SET name = 'from b'");
    b.harvest();
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT name FROM team"), b.rows("SELECT name FROM team"));
    for r in [&a, &b] {
        assert_eq!(r.open().conflicts().unwrap().len(), 1, "{}", r.name);
    }
}

#[test]
fn a_delete_travels_and_a_later_edit_brings_the_row_back() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten'), (2, 20, 1, 'twenty')");
    settle(&[&a, &b]);
    a.sql("DELETE FROM team WHERE id = 1");
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT id FROM team"), ["2"]);
    a.sql("DELETE FROM team WHERE id = 2");
    a.harvest();
    replicas::NOW.with(|n| n.set(n.get() + 10_000_000_000));
    b.sql("UPDATE team SET name = 'later' WHERE id = 2");
    // The log's times are the machine's; both writes are harvested in this order.
    b.harvest();
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT * FROM team"), b.rows("SELECT * FROM team"));
    assert_eq!(a.rows("SELECT * FROM team"), ["2 20 1 later"]);
    assert_eq!(a.open().conflicts().unwrap().len(), 1);
}

#[test]
fn an_id_that_is_used_again_is_another_row() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'old')");
    settle(&[&a, &b]);
    a.sql("DELETE FROM team WHERE id = 1; INSERT INTO team VALUES (1, 30, 1, 'new')");
    b.sql("INSERT INTO score VALUES (7, 1, 'child of old', 1)");
    settle(&[&a, &b]);
    assert_eq!(a.rows(SCORES), b.rows(SCORES));
    assert_eq!(a.rows(SCORES), ["child of old old 1"]);
    assert_eq!(a.rows("SELECT name FROM team ORDER BY name"), ["new", "old"]);
    assert_eq!(a.rows("SELECT name FROM team WHERE id = 1"), ["new"]);
    assert_eq!(b.rows("SELECT name FROM team WHERE id = 1"), ["old"]);
    // The child goes: so does its parent.
    b.sql("DELETE FROM score WHERE tag = 'child of old'");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT name FROM team"), ["new"], "{}", r.name);
    }
}

#[test]
fn replace_by_another_key_keeps_the_entity_or_deletes_it() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("INSERT INTO setting VALUES (1, 'x', 'one'), (2, 'y', 'two')");
    settle(&[&a, &b]);
    a.sql("INSERT OR REPLACE INTO setting (k, v) VALUES ('x', 'uno')");
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT id, k, v FROM setting ORDER BY id"), ["2 y two", "3 x uno"]);
    assert_eq!(b.rows("SELECT id, k, v FROM setting ORDER BY id"), ["1 x uno", "2 y two"]);
    a.sql("UPDATE OR REPLACE setting SET k = 'x' WHERE id = 2");
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT k, v FROM setting"), ["x two"]);
    assert_eq!(b.rows("SELECT k, v FROM setting"), ["x two"]);
}

#[test]
fn unique_values_that_swap_are_applied_in_two_phases() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("INSERT INTO setting VALUES (1, 'x', 'one'), (2, 'y', 'two')");
    settle(&[&a, &b]);
    a.sql("BEGIN; UPDATE setting SET k = 'tmp' WHERE id = 1; UPDATE setting SET k = 'x' WHERE id = 2; UPDATE setting SET k = 'y' WHERE id = 1; COMMIT");
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT id, k, v FROM setting ORDER BY id"), ["1 y one", "2 x two"]);
}

#[test]
fn a_unique_clash_between_rows_that_both_lived_is_held() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("INSERT INTO setting VALUES (1, 'x', 'one'), (2, 'y', 'two')");
    settle(&[&a, &b]);
    a.sql("UPDATE setting SET k = 'z' WHERE id = 1");
    b.sql("UPDATE setting SET k = 'z' WHERE id = 2");
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT id, k FROM setting ORDER BY id"), ["1 z", "2 y"]);
    assert_eq!(b.rows("SELECT id, k FROM setting ORDER BY id"), ["1 x", "2 z"]);
    assert_eq!(a.open().held().unwrap().len(), 1);
    a.sql("UPDATE setting SET k = 'free' WHERE id = 1");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT id, k FROM setting ORDER BY id"), ["1 free", "2 z"], "{}", r.name);
        assert!(r.open().held().unwrap().is_empty());
    }
}

#[test]
fn association_rows_follow_their_parents() {
    let (_d, a, b) = two();
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten'), (2, 20, 1, 'twenty'); INSERT INTO team_event VALUES (1, 5), (2, 5);");
    b.sql("INSERT INTO team VALUES (1, 20, 1, 'twenty'), (2, 10, 1, 'ten'); INSERT INTO team_event VALUES (1, 5), (1, 6);");
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    settle(&[&a, &b]);
    let all = "SELECT t.name, e.event FROM team_event e JOIN team t ON t.id = e.team_id ORDER BY 1, 2";
    for r in [&a, &b] {
        assert_eq!(r.rows(all), ["ten 5", "twenty 5", "twenty 6"], "{}", r.name);
    }
    a.sql("DELETE FROM team_event WHERE team_id = 2 AND event = 5");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows(all), ["ten 5", "twenty 6"], "{}", r.name);
    }
}

#[test]
fn three_in_a_chain_forward() {
    let (dir, a, b) = two();
    let c = Replica::new(dir.path(), "c", SCHEMA).attach(CONFIG);
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten'); INSERT INTO score VALUES (1, 1, 'a', 1)");
    c.sql("INSERT INTO team VALUES (1, 10, 1, 'TEN'); INSERT INTO score VALUES (1, 1, 'c', 1)");
    sync(&a, &b);
    sync(&b, &c);
    sync(&a, &b);
    sync(&b, &c);
    settle(&[&a, &b, &c]);
    for r in [&a, &b, &c] {
        assert_eq!(r.rows("SELECT tag FROM score ORDER BY 1"), ["a", "c"], "{}", r.name);
        assert_eq!(r.rows("SELECT count(*) FROM team"), ["1"]);
    }
}

#[test]
fn any_cut_gives_the_same() {
    for items in [1, 2, 3] {
        let (_d, a, b) = two();
        a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten'), (2, 20, 1, 'twenty'); INSERT INTO score VALUES (1, 2, 'a1', 1), (2, 1, 'a2', 2);");
        b.sql("INSERT INTO team VALUES (1, 20, 1, 'twenty'), (2, 10, 1, 'ten'); INSERT INTO score VALUES (1, 1, 'b1', 1);");
        let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
        a.sql("UPDATE score SET v = 9 WHERE id = 2; DELETE FROM score WHERE id = 1;");
        pull_by(&b, &a, items);
        pull_by(&a, &b, items);
        settle(&[&a, &b]);
        for r in [&a, &b] {
            assert_eq!(r.rows(SCORES), ["a2 ten 9", "b1 twenty 1"], "{} in cuts of {items}", r.name);
            assert_eq!(r.rows("SELECT count(*) FROM team"), ["2"]);
        }
    }
}

#[test]
fn values_come_out_bit_for_bit() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql(
        "INSERT INTO team VALUES (1, 1, 1, 't');
         INSERT INTO score VALUES (1, 1, CAST(x'61006200ff' AS TEXT), 9223372036854775807), (2, 1, '', -0.0), (3, 1, 'b', x'00ff'),
         (4, 1, 'c', 9e999), (5, 1, 'd', 5e-324), (6, 1, 'e', ''), (7, 1, 'f', 1.0), (8, 1, 'g', 1), (9, 1, 'h', NULL), (10, 1, 'i', x'');",
    );
    settle(&[&a, &b]);
    let all = "SELECT id, hex(CAST(tag AS BLOB)), typeof(tag), typeof(v), quote(v), length(v) FROM score ORDER BY id";
    assert_eq!(a.rows(all), b.rows(all));
    assert_eq!(a.rows(all).len(), 10);
    a.sql("UPDATE score SET v = 1.0 WHERE id = 8; UPDATE score SET v = 1 WHERE id = 7");
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT id, v FROM score WHERE id IN (7, 8)"), ["7 1", "8 1.0"]);
}

#[test]
fn a_child_waits_for_its_parent() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("PRAGMA foreign_keys = OFF; INSERT INTO score VALUES (1, 1, 'early', 1)");
    settle(&[&a, &b]);
    // It points to nothing at home: at the peer it points to nobody.
    assert_eq!(b.rows("SELECT tag FROM score s WHERE NOT EXISTS (SELECT 1 FROM team WHERE id = s.team_id)"), ["early"]);
    b.sql("INSERT INTO team VALUES (1, 77, 1, 'not the parent')");
    settle(&[&a, &b]);
    assert_eq!(b.rows(SCORES), [""; 0]);
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'parent')");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows(SCORES), ["early parent 1"], "{}", r.name);
    }
}

#[test]
fn rows_without_a_key_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let schema =
        "CREATE TABLE log (what TEXT, n); CREATE TABLE role (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE has_role (who TEXT, role_id INTEGER REFERENCES role (id));";
    let a = Replica::new(dir.path(), "a", schema);
    let b = Replica::new(dir.path(), "b", schema);
    a.sql("INSERT INTO log VALUES ('x', 1), ('x', 1), ('y', NULL); INSERT INTO role VALUES (1, 'admin'), (2, 'scout'); INSERT INTO has_role VALUES ('me', 1)");
    b.sql("INSERT INTO log VALUES ('x', 1), ('z', 3); INSERT INTO role VALUES (1, 'scout'), (2, 'admin'); INSERT INTO has_role VALUES ('me', 2), ('you', 1)");
    let (a, b) = (a.attach(""), b.attach(""));
    settle(&[&a, &b]);
    let roles = "SELECT who, name FROM has_role JOIN role ON role.id = role_id ORDER BY 1, 2";
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT what, n FROM log ORDER BY 1, 2"), ["x 1", "x 1", "y -", "z 3"], "{}", r.name);
        assert_eq!(r.rows(roles), ["me admin", "you scout"], "{}", r.name);
    }
    a.sql("UPDATE log SET n = 2 WHERE rowid = (SELECT min(rowid) FROM log WHERE what = 'x'); DELETE FROM log WHERE what = 'z'; VACUUM");
    b.sql("INSERT INTO log VALUES ('w', 0)");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT what, n FROM log ORDER BY 1, 2"), ["w 0", "x 1", "x 2", "y -"], "{}", r.name);
    }
}

#[test]
fn references_into_another_file_follow() {
    let dir = tempfile::tempdir().unwrap();
    let users = "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, hash TEXT);";
    let data = "CREATE TABLE entry (id INTEGER PRIMARY KEY, scout_id INTEGER, tag TEXT);";
    let conf = "[tables.entry]\nreferences = { scout_id = 'users.user' }\n";
    let make = |n: &str, setup: &str, entries: &str| {
        let u = Replica::named(dir.path(), n, "users", users);
        u.sql(setup);
        let u = u.attach("");
        let mut d = Replica::named(dir.path(), n, "data", data);
        d.sql(entries);
        d.siblings.push(lockstep_engine::database::Sibling { name: "users".into(), path: u.path.clone() });
        (u, d.attach(conf))
    };
    let (ua, da) = make(
        "a",
        "INSERT INTO user VALUES (1, 'admin', 'h'), (2, 'ann', 'a')",
        "INSERT INTO entry VALUES (1, 2, 'by ann')",
    );
    let (ub, db) = make(
        "b",
        "INSERT INTO user VALUES (1, 'bob', 'b'), (2, 'admin', 'h')",
        "INSERT INTO entry VALUES (1, 1, 'by bob'), (2, 2, 'by admin')",
    );
    let all = |u: &Replica, d: &Replica| {
        d.app.execute_batch(&format!("ATTACH '{}' AS u", u.path.display())).unwrap();
        let r = d.rows("SELECT tag, name FROM entry JOIN u.user AS u ON u.id = scout_id ORDER BY 1");
        d.app.execute_batch("DETACH u").unwrap();
        r
    };
    sync(&ua, &ub);
    sync(&da, &db);
    settle(&[&da, &db]);
    for (u, d) in [(&ua, &da), (&ub, &db)] {
        assert_eq!(all(u, d), ["by admin admin", "by ann ann", "by bob bob"], "{}", d.name);
    }
    // The user comes after the entry.
    ua.sql("INSERT INTO user VALUES (9, 'carl', 'c')");
    ua.harvest();
    da.sql("INSERT INTO entry VALUES (9, 9, 'by carl')");
    sync(&da, &db);
    assert_eq!(all(&ub, &db).len(), 3);
    assert_eq!(db.open().held().unwrap().len(), 1);
    sync(&ua, &ub);
    settle(&[&da, &db]);
    assert_eq!(all(&ub, &db), ["by admin admin", "by ann ann", "by bob bob", "by carl carl"]);
    assert!(db.open().held().unwrap().is_empty());
    // The user goes, and another takes the id: the application that left the entry there now shows it as that one's.
    ua.sql("DELETE FROM user WHERE id = 9");
    ua.harvest();
    da.harvest();
    ua.sql("INSERT INTO user VALUES (9, 'dora', 'd')");
    for _ in 0..2 {
        sync(&ua, &ub);
        settle(&[&da, &db]);
    }
    for (u, d) in [(&ua, &da), (&ub, &db)] {
        assert_eq!(all(u, d), ["by admin admin", "by ann ann", "by bob bob", "by carl dora"], "{}", d.name);
    }
}

#[test]
fn a_column_that_is_not_here_waits_for_the_migration() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten')");
    settle(&[&a, &b]);
    b.sql("ALTER TABLE team ADD COLUMN colour TEXT DEFAULT 'none'");
    b.sql("UPDATE team SET colour = 'red' WHERE id = 1; INSERT INTO team VALUES (2, 20, 1, 'twenty', 'blue')");
    sync(&a, &b);
    assert_eq!(a.rows("SELECT id, name FROM team ORDER BY id"), ["1 ten", "2 twenty"]);
    assert!(!a.open().held().unwrap().is_empty());
    a.sql("UPDATE team SET name = 'TEN' WHERE id = 1; ALTER TABLE team ADD COLUMN colour TEXT DEFAULT 'none'");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(
            r.rows("SELECT id, name, colour FROM team ORDER BY id"),
            ["1 TEN red", "2 twenty blue"],
            "{}",
            r.name
        );
        assert!(r.open().held().unwrap().is_empty());
    }
    a.sql("UPDATE team SET colour = 'green' WHERE id = 2");
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT colour FROM team WHERE id = 2"), ["green"]);
}

#[test]
fn a_table_that_is_not_here_waits_for_the_migration() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    let new = "CREATE TABLE note (id INTEGER PRIMARY KEY, team_id INTEGER REFERENCES team (id), text TEXT)";
    a.sql(new);
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten'); INSERT INTO note VALUES (1, 1, 'first')");
    sync(&a, &b);
    assert_eq!(b.open().held().unwrap().len(), 1);
    b.sql("INSERT INTO team VALUES (5, 50, 1, 'fifty')");
    b.sql(new);
    b.sql("INSERT INTO note VALUES (1, 5, 'mine')");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(
            r.rows("SELECT text, name FROM note JOIN team ON team.id = team_id ORDER BY 1"),
            ["first ten", "mine fifty"],
            "{}",
            r.name
        );
    }
}

#[test]
fn a_rebuilt_table_is_noticed_and_its_rows_compared() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("INSERT INTO setting VALUES (1, 'x', 'one'), (2, 'y', 'two'), (3, 'z', 'three')");
    settle(&[&a, &b]);
    a.sql(
        "BEGIN; CREATE TABLE tmp (id INTEGER NOT NULL PRIMARY KEY, k TEXT NOT NULL UNIQUE, v TEXT);
         INSERT INTO tmp SELECT * FROM setting; DROP TABLE setting; ALTER TABLE tmp RENAME TO setting; COMMIT;
         UPDATE setting SET v = 'uncaptured' WHERE id = 1; DELETE FROM setting WHERE id = 2; INSERT INTO setting VALUES (9, 'n', 'new');",
    );
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT k, v FROM setting ORDER BY k"), ["n new", "x uncaptured", "z three"]);
    a.sql("UPDATE setting SET v = 'captured' WHERE id = 1");
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT v FROM setting WHERE k = 'x'"), ["captured"]);
}

#[test]
fn a_preview_says_what_applying_does_and_changes_nothing() {
    let (_d, a, b) = two();
    let (a, b) = (a.attach(CONFIG), b.attach(CONFIG));
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten'), (2, 20, 1, 'twenty')");
    settle(&[&a, &b]);
    a.sql("INSERT INTO team VALUES (3, 30, 1, 'thirty'); UPDATE team SET name = 'TEN' WHERE id = 1; DELETE FROM team WHERE id = 2");
    b.sql("INSERT INTO team VALUES (3, 33, 1, 'mine'); UPDATE team SET name = 'Ten' WHERE id = 1");
    b.harvest();
    let mut batches = Vec::new();
    let mut have = b.open().vectors().unwrap();
    loop {
        let x = a.open().extract(&have, lockstep_engine::Limit { items: 1, bytes: 1 << 20 }, now()).unwrap();
        for (t, v) in &x.end {
            have.entry(t.clone()).or_default().extend(v.clone());
        }
        let last = x.last;
        batches.push(x);
        if last {
            break;
        }
    }
    assert!(batches.len() > 2);
    let before = b.rows("SELECT * FROM team");
    let plan = b.open().preview(&batches, None, now()).unwrap();
    assert_eq!(b.rows("SELECT * FROM team"), before);
    let team = &plan.tables[0];
    assert_eq!((team.inserts, team.deletes, team.conflicts, team.id_moves), (1, 1, 1, 1));
    let mut applied = 0;
    for x in &batches {
        let n = b.open().apply(x, now()).unwrap();
        applied += n.inserts + n.updates + n.deletes;
    }
    assert_eq!(team.inserts + team.updates + team.deletes, applied);
}

#[test]
fn a_table_can_be_judged_by_rows() {
    let (_d, a, b) = two();
    let conf = "[tables.team]\nidentity = ['number', 'tenant']\nmerge = 'row'\n";
    let (a, b) = (a.attach(conf), b.attach(conf));
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten')");
    settle(&[&a, &b]);
    a.sql("UPDATE team SET name = 'A'");
    a.harvest();
    b.sql("UPDATE team SET number = 11");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT * FROM team"), ["1 11 1 ten"], "{}", r.name);
        assert_eq!(r.open().conflicts().unwrap().len(), 1);
    }
}

#[test]
fn a_row_that_would_break_a_check_is_held_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let schema = "CREATE TABLE span (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, CHECK (a <= b));
        CREATE TABLE part (id INTEGER PRIMARY KEY, span_id INTEGER REFERENCES span (id), tag TEXT);";
    let a = Replica::new(dir.path(), "a", schema).attach("");
    let b = Replica::new(dir.path(), "b", schema).attach("");
    a.sql("INSERT INTO span VALUES (1, 0, 9)");
    settle(&[&a, &b]);
    a.sql("UPDATE span SET a = 5; INSERT INTO part VALUES (1, 1, 'a')");
    b.sql("UPDATE span SET b = 3; INSERT INTO part VALUES (1, 1, 'b')");
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT a, b FROM span"), ["5 9"]);
    assert_eq!(b.rows("SELECT a, b FROM span"), ["0 3"]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT tag FROM part ORDER BY 1"), ["a", "b"]);
        let held = r.open().held().unwrap();
        assert_eq!(held.len(), 1, "{held:?}");
        assert_eq!(held[0].reason.name(), "constraint");
    }
    a.sql("UPDATE span SET a = 1");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT a, b FROM span"), ["1 3"], "{}", r.name);
        assert!(r.open().held().unwrap().is_empty());
    }
}

#[test]
fn a_child_that_moved_to_a_parent_and_went_with_it_names_that_parent() {
    let dir = tempfile::tempdir().unwrap();
    let schema = "CREATE TABLE c1 (id INTEGER PRIMARY KEY, tag TEXT);
        CREATE TABLE c2 (id INTEGER PRIMARY KEY, up INTEGER NOT NULL REFERENCES c1 (id) ON DELETE CASCADE, up_tag TEXT);";
    let a = Replica::new(dir.path(), "a", schema).attach("");
    let b = Replica::new(dir.path(), "b", schema).attach("");
    b.sql("INSERT INTO c1 VALUES (1, 'T1'); INSERT INTO c2 VALUES (1, 1, 'T1')");
    a.sql("INSERT INTO c1 VALUES (1, 'T5'); INSERT INTO c2 VALUES (1, 1, 'T5')");
    settle(&[&a, &b]);
    a.sql("UPDATE c2 SET up = 2, up_tag = 'T1' WHERE id = 1; DELETE FROM c1 WHERE id = 2");
    // Whatever has come so far, every child is at the parent that its copy names.
    loop {
        let have = b.open().vectors().unwrap();
        let batch = a.open().extract(&have, lockstep_engine::Limit { items: 1, bytes: 1 << 20 }, now()).unwrap();
        b.open().apply(&batch, now()).unwrap();
        let strays = "SELECT c2.id FROM c2 LEFT JOIN c1 ON c1.id = up WHERE c1.tag IS NOT up_tag";
        assert_eq!(b.rows(strays), [""; 0]);
        if batch.last {
            break;
        }
    }
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT tag FROM c1"), ["T5"]);
}

#[test]
fn attach_suggests_what_the_configuration_might_say() {
    let dir = tempfile::tempdir().unwrap();
    let a = Replica::new(dir.path(), "a", SCHEMA);
    a.sql("INSERT INTO team VALUES (1, 10, 1, 'ten'), (2, 20, 1, 'twenty'); INSERT INTO setting VALUES (1, 'x', 'y')");
    let report = lockstep_engine::database::attach(
        &a.path,
        "main",
        &config(""),
        &[],
        &lockstep_engine::database::AttachOptions::default(),
        now(),
        &mut |b| b.fill(7),
        &mut |_, _| {},
    )
    .unwrap();
    let all = report.suggestions.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(all.contains("setting: rows with the same `k`"), "{all}");
    assert!(all.contains("team: `id` is given out by each server"), "{all}");
}

/// More rows are inserted, and then edited, than one slice of the harvest takes: the first slices see the edits already.
#[test]
fn rows_that_are_edited_before_they_are_harvested_are_hashed_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let s = "CREATE TABLE entry (id INTEGER NOT NULL PRIMARY KEY, tag TEXT NOT NULL, at TEXT, n INTEGER)";
    let a = Replica::new(dir.path(), "a", s).attach("");
    a.sql("WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 5000) INSERT INTO entry (tag, at, n) SELECT 'a' || i, 'first', i FROM i");
    a.sql("UPDATE entry SET at = 'second ' || id; UPDATE entry SET at = 'third ' || id WHERE id % 3 = 0");
    a.harvest();
    a.sound();
    a.sql("UPDATE entry SET at = 'fourth' WHERE id % 5 = 0");
    a.harvest();
    a.sound();
}

/// Another digest key is taken up between a write of the application and the next look at the logs: hashes count what is
/// known, so the logs are read first.
#[test]
fn a_digest_key_is_taken_up_with_all_that_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let s = "CREATE TABLE entry (id INTEGER NOT NULL PRIMARY KEY, tag TEXT NOT NULL, n INTEGER)";
    let a = Replica::new(dir.path(), "a", s).attach("");
    a.sql("INSERT INTO entry (tag, n) VALUES ('a1', 0), ('a2', 0), ('a3', 0)");
    a.harvest();
    a.sql("UPDATE entry SET n = 1 WHERE id = 1; DELETE FROM entry WHERE id = 2; INSERT INTO entry (tag, n) VALUES ('a4', 0)");
    let mut db = a.open();
    assert!(db.adopt_digest_key([0; 16], now()).unwrap(), "no key is smaller");
    assert_eq!(db.harvest(now()).unwrap().writes, 0, "nothing was left in the logs");
    drop(db);
    a.sound();
}

#[cfg(feature = "stops")]
#[test]
fn a_rule_that_is_left_out_is_noticed() {
    use lockstep_engine::rule::Rule;
    notice(&[
        (Rule::SuspectsDeleted, replace_by_another_key_keeps_the_entity_or_deletes_it),
        (Rule::IdComesBack, a_delete_travels_and_a_later_edit_brings_the_row_back),
    ]);
}

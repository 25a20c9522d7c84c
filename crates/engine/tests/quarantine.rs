//! What is held: why, what depends on it, that it goes by itself when what it waits for comes, and that it stands in
//! nobody's way.
mod replicas;
use lockstep_engine::change::ConflictKind;
use lockstep_engine::database::{Held, Sibling};
use lockstep_engine::decide::{Choice, Error as Refused, Keep, Side};
use lockstep_engine::id::Millis;
use lockstep_engine::{Error, Limit};
use replicas::*;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT, note TEXT, CHECK (name <> note));
CREATE TABLE score (id INTEGER PRIMARY KEY, team_id INTEGER NOT NULL REFERENCES team (id), tag TEXT);
CREATE TABLE setting (id INTEGER PRIMARY KEY, k TEXT UNIQUE, v TEXT);
";

fn nodes<const N: usize>(config: &str) -> (tempfile::TempDir, [Replica; N]) {
    let dir = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c"];
    let nodes = std::array::from_fn(|i| Replica::new(dir.path(), names[i], SCHEMA).attach(config));
    (dir, nodes)
}

fn held(r: &Replica) -> Vec<Held> {
    r.open().held().unwrap()
}

fn reasons(r: &Replica) -> Vec<ConflictKind> {
    held(r).into_iter().map(|h| h.reason).collect()
}

fn allow(r: &Replica, id: &str) -> Result<u64, Error> {
    Ok(r.open().allow(id, false, now())?.written)
}

/// Two databases on each of two nodes: scores refer to users of the other file.
struct Pair {
    _dir: tempfile::TempDir,
    users: [Replica; 2],
    scores: [Replica; 2],
}

fn across() -> Pair {
    let dir = tempfile::tempdir().unwrap();
    let users = ["a", "b"].map(|n| {
        Replica::named(dir.path(), n, "users", "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT)").attach("")
    });
    let scores = [0, 1].map(|i| {
        let sql = "CREATE TABLE score (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, tag TEXT)";
        let mut r = Replica::named(dir.path(), ["a", "b"][i], "scouting", sql);
        r.siblings = vec![Sibling { name: "users".into(), path: users[i].path.clone() }];
        r.attach("[tables.score]\nreferences = { user_id = 'users.user' }\n")
    });
    Pair { _dir: dir, users, scores }
}

#[test]
fn a_row_waits_for_its_parent_and_comes_with_it_and_nothing_else_waits() {
    let p = across();
    p.users[0].sql("INSERT INTO user VALUES (1, 'mira')").harvest();
    p.scores[0].sql("INSERT INTO score VALUES (1, 1, 'waits')").harvest();
    pull(&p.scores[1], &p.scores[0]);
    p.scores[1].sound();
    assert_eq!(reasons(&p.scores[1]), [ConflictKind::MissingParent]);
    // What has nothing to do with it goes on.
    p.users[1].sql("INSERT INTO user VALUES (9, 'tom')").harvest();
    p.scores[1].sql("INSERT INTO score VALUES (9, 9, 'free')").harvest();
    pull(&p.users[0], &p.users[1]);
    pull(&p.scores[0], &p.scores[1]);
    assert_eq!(p.scores[0].rows("SELECT tag FROM score ORDER BY tag"), ["free", "waits"]);
    // Trying again helps nothing before the parent is there.
    let done = p.scores[1].open().retry(None, now()).unwrap();
    assert_eq!((done.applied, done.held), (0, 1));
    let id = held(&p.scores[1])[0].id.clone();
    assert!(matches!(allow(&p.scores[1], &id), Err(Error::Decision(Refused::StillHeld { .. }))));
    assert!(matches!(
        p.scores[1].open().retry(Some(&["beef".to_owned()]), now()),
        Err(Error::Decision(Refused::Unknown { .. }))
    ));
    pull(&p.users[1], &p.users[0]);
    let done = p.scores[1].open().retry(Some(&[id]), now()).unwrap();
    assert_eq!(done.held, 0);
    assert_eq!(p.scores[1].rows("SELECT tag, user_id IN (SELECT id FROM score) FROM score ORDER BY tag").len(), 2);
    p.scores[1].sound();
}

#[test]
fn a_row_that_waits_for_its_parent_comes_by_itself() {
    let p = across();
    p.users[0].sql("INSERT INTO user VALUES (1, 'mira')").harvest();
    p.scores[0].sql("INSERT INTO score VALUES (1, 1, 'waits')").harvest();
    pull(&p.scores[1], &p.scores[0]);
    pull(&p.users[1], &p.users[0]);
    p.scores[1].harvest();
    assert_eq!(held(&p.scores[1]), []);
    assert_eq!(p.scores[1].rows("SELECT tag FROM score"), ["waits"]);
}

#[test]
fn a_row_that_waits_for_its_parent_can_be_given_up() {
    let p = across();
    p.users[0].sql("INSERT INTO user VALUES (1, 'mira')").harvest();
    p.scores[0].sql("INSERT INTO score VALUES (1, 1, 'given up')").harvest();
    pull(&p.scores[1], &p.scores[0]);
    let id = held(&p.scores[1])[0].id.clone();
    let choice = Choice { conflict: id, keep: Keep::All(Side::Winner), anyway: false };
    p.scores[1].open().resolve(&[choice], now()).unwrap();
    assert_eq!(held(&p.scores[1]), []);
    settle(&[&p.scores[0], &p.scores[1]]);
    assert_eq!(p.scores[0].rows("SELECT tag FROM score"), [""; 0]);
}

#[test]
fn what_depends_on_a_held_row_waits_with_it_and_names_it() {
    let (_d, [a, b]) = nodes::<2>("");
    // The check is stricter at B: its file was changed by hand.
    b.sql(
        "PRAGMA foreign_keys = OFF; DROP TABLE team;
           CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT, note TEXT, CHECK (name <> 'refused'))",
    );
    a.sql(
        "INSERT INTO team VALUES (1, 'refused', 'x'), (2, 'fine', 'x');
           INSERT INTO score VALUES (1, 1, 'waits too'), (2, 2, 'free')",
    )
    .harvest();
    b.harvest();
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT tag FROM score"), ["free"]);
    let all = held(&b);
    let parent = all.iter().find(|h| h.reason == ConflictKind::Constraint).expect("the row that is refused");
    let child = all.iter().find(|h| h.reason == ConflictKind::MissingParent).expect("its child");
    assert_eq!((all.len(), child.waits_for.as_ref()), (2, Some(&parent.id)), "{all:?}");
    assert_eq!(parent.waits_for, None);
    // It is mended where it was written, and both come.
    a.sql("UPDATE team SET name = 'mended' WHERE id = 1");
    settle(&[&a, &b]);
    assert_eq!(held(&b), []);
    assert_eq!(b.rows("SELECT s.tag, t.name FROM score s JOIN team t ON t.id = s.team_id ORDER BY 1").len(), 2);
}

#[test]
fn a_row_that_a_check_refuses_comes_when_the_check_is_met() {
    let (_d, [a, b]) = nodes::<2>("");
    a.sql("INSERT INTO team VALUES (1, 'p', 'q')");
    settle(&[&a, &b]);
    a.sql("UPDATE team SET name = 'same'").harvest();
    b.sql("UPDATE team SET note = 'same'").harvest();
    settle(&[&a, &b]);
    assert_eq!((reasons(&a), reasons(&b)), (vec![ConflictKind::Constraint], vec![ConflictKind::Constraint]));
    a.sql("UPDATE team SET name = 'other'");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!((r.rows("SELECT name, note FROM team"), held(r).len()), (vec!["other same".to_owned()], 0));
    }
}

#[test]
fn a_unique_clash_goes_when_one_of_the_rows_takes_another_key() {
    let (_d, [a, b]) = nodes::<2>("[tables.setting]\nidentity = ['v']\n");
    a.sql("INSERT INTO setting VALUES (1, 'x', 'one')").harvest();
    b.sql("INSERT INTO setting VALUES (1, 'x', 'two')").harvest();
    settle(&[&a, &b]);
    assert_eq!((reasons(&a), reasons(&b)), (vec![ConflictKind::Unique], vec![ConflictKind::Unique]));
    b.sql("UPDATE setting SET k = 'y'");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(
            (r.rows("SELECT k, v FROM setting ORDER BY k"), held(r).len()),
            (vec!["x one".into(), "y two".into()], 0)
        );
    }
}

#[test]
fn a_delete_that_waits_for_a_child_goes_with_it() {
    let (_d, [a, b]) = nodes::<2>("");
    a.sql("INSERT INTO team VALUES (1, 'n', 'o')");
    settle(&[&a, &b]);
    a.sql("DELETE FROM team").harvest();
    b.sql("INSERT INTO score VALUES (1, 1, 'child')").harvest();
    settle(&[&a, &b]);
    assert_eq!((reasons(&a), reasons(&b)), (vec![ConflictKind::ParentDeleted], vec![ConflictKind::ParentDeleted]));
    b.sql("DELETE FROM score");
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!((r.rows("SELECT name FROM team").len(), held(r).len()), (0, 0));
    }
}

#[test]
fn a_table_and_a_column_that_are_not_here_are_held_passed_on_and_come_after_the_migration() {
    let (_d, [a, b, c]) = nodes::<3>("");
    b.sql("DROP TABLE setting").harvest();
    a.sql(
        "ALTER TABLE team ADD COLUMN motto TEXT; INSERT INTO team VALUES (1, 'n', 'o', 'm');
           INSERT INTO setting VALUES (1, 'k', 'v')",
    );
    c.sql("ALTER TABLE team ADD COLUMN motto TEXT");
    a.harvest();
    pull(&b, &a);
    let mut found = reasons(&b);
    found.sort();
    assert_eq!(found, [ConflictKind::TableMissing, ConflictKind::ColumnMissing]);
    for h in held(&b) {
        let choice = Choice { conflict: h.id, keep: Keep::All(Side::Winner), anyway: true };
        assert!(matches!(b.open().resolve(&[choice], now()), Err(Error::Decision(Refused::NotDecidable { .. }))));
    }
    // A third one, which lacks nothing, is not kept waiting.
    pull(&c, &b);
    assert_eq!(c.rows("SELECT motto, k FROM team, setting"), ["m k"]);
    assert_eq!(held(&c), []);
    b.sql(
        "ALTER TABLE team ADD COLUMN motto TEXT; CREATE TABLE setting (id INTEGER PRIMARY KEY, k TEXT UNIQUE, v TEXT)",
    );
    settle(&[&a, &b, &c]);
    assert_eq!(b.rows("SELECT motto, k FROM team, setting"), ["m k"]);
    assert_eq!(held(&b), []);
}

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The application writes by a clock that is so far ahead.
fn ahead(r: &Replica, by: i64, sql: &str) {
    let at = Millis(now().0 + by);
    r.harvest();
    r.sql(sql);
    let day = at.0 as f64 / 86_400_000.0 + 2_440_587.5;
    for log in r.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB '_lockstep_log_*'") {
        r.app.execute(&format!("UPDATE {log} SET at = ?1"), [day]).unwrap();
    }
    r.open().harvest(at).unwrap();
}

/// A writes from a clock that is ten days ahead; B holds that.
fn from_the_future(b: &Replica, a: &Replica) {
    a.sql("INSERT INTO team VALUES (1, 'n0', 'o0')");
    settle(&[a, b]);
    ahead(a, 10 * DAY, "UPDATE team SET name = 'ahead'; INSERT INTO team VALUES (2, 'new', 'o')");
    ahead(a, 10 * DAY, "UPDATE team SET note = 'ahead too' WHERE id = 2");
    let have = b.open().vectors().unwrap();
    let batch = a.open().extract(&have, Limit::default(), now()).unwrap();
    b.open().apply(&batch, now()).unwrap();
    b.sound();
    assert!(!held(b).is_empty() && reasons(b).iter().all(|r| *r == ConflictKind::Clock), "{:?}", held(b));
}

#[test]
fn a_write_from_the_future_waits_until_it_is_due() {
    let (_d, [a, b]) = nodes::<2>("");
    from_the_future(&b, &a);
    assert_eq!(b.rows("SELECT name FROM team"), ["n0"]);
    let later = Millis(now().0 + 11 * DAY);
    b.open().harvest(later).unwrap();
    assert_eq!(held(&b), []);
    assert_eq!(b.rows("SELECT name, note FROM team ORDER BY id"), ["ahead o0", "new ahead too"]);
    b.sound();
}

#[test]
fn a_write_from_the_future_is_let_through_with_today_s_stamp_everywhere() {
    let (_d, [a, b, c]) = nodes::<3>("");
    from_the_future(&b, &a);
    pull(&c, &b);
    assert!(!held(&c).is_empty(), "held ones are passed on");
    while let Some(h) = held(&b).first() {
        allow(&b, &h.id).unwrap();
        b.sound();
    }
    assert_eq!(b.rows("SELECT name, note FROM team ORDER BY id"), ["ahead o0", "new ahead too"]);
    // It wrote today: what is written after wins over it.
    b.sql("UPDATE team SET name = 'after' WHERE id = 1");
    b.harvest();
    pull(&c, &b);
    c.sound();
    assert_eq!(held(&c), [], "a third one has heard that it was let through");
    assert_eq!(c.rows("SELECT name, note FROM team ORDER BY id"), ["after o0", "new ahead too"]);
}

#[test]
fn a_write_from_the_future_can_be_given_up() {
    let (_d, [a, b]) = nodes::<2>("");
    from_the_future(&b, &a);
    while let Some(h) = held(&b).into_iter().next() {
        let choice = Choice { conflict: h.id, keep: Keep::All(Side::Winner), anyway: false };
        b.open().resolve(&[choice], now()).unwrap();
        b.sound();
    }
    assert_eq!(held(&b), []);
    assert_eq!(b.rows("SELECT name FROM team"), ["n0"]);
    let later = Millis(now().0 + 11 * DAY);
    b.open().harvest(later).unwrap();
    assert_eq!(b.rows("SELECT name FROM team"), ["n0"], "it does not come back when it is due");
    b.sound();
}

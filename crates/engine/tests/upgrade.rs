//! Files that earlier versions attached are taken over with all that is in them; those of newer ones are left alone.
//!
//! The fixtures were written by those versions and are never edited: a server that met another one, with rows that are
//! one, conflicts settled and waiting, a deleted row, and two writes that were not harvested.
mod replicas;
use lockstep_engine::database::ConflictState;
use lockstep_engine::decide::{Choice, Keep, Side};
use lockstep_engine::{Database, Error};
use replicas::*;
use rusqlite::Connection;
use std::path::Path;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER NOT NULL PRIMARY KEY, number INTEGER NOT NULL, name TEXT, weight REAL, badge BLOB);
CREATE TABLE note (id INTEGER NOT NULL PRIMARY KEY, team_id INTEGER NOT NULL REFERENCES team (id), text TEXT);
";
const CONFIG: &str = "[tables.team]\nidentity = ['number']\n[tables.note]\npolicy = 'review'\n";

/// Each shape that files of format 1 had, and that of format 3.
const EARLIER: [(&str, &str); 5] = [
    ("the first", include_str!("fixtures/format-1.sql")),
    ("with decisions", include_str!("fixtures/format-1-decisions.sql")),
    ("with marks", include_str!("fixtures/format-1-marks.sql")),
    ("with what is set aside", include_str!("fixtures/format-1-aside.sql")),
    ("of format 3", include_str!("fixtures/format-3.sql")),
];

fn file(dir: &Path, name: &str, sql: &str) -> Replica {
    let path = dir.join(format!("{name}.db"));
    let app = Connection::open(&path).unwrap();
    app.execute_batch("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = OFF").unwrap();
    app.execute_batch(sql).unwrap();
    Replica { name: name.into(), database: "main".into(), path, siblings: Vec::new(), app }
}

/// Our tables and indexes, with their columns.
fn shape(r: &Replica) -> Vec<String> {
    r.rows(
        "SELECT m.type, m.name, group_concat(i.name || i.type || i.pk || i.\"notnull\") FROM sqlite_master AS m
         LEFT JOIN pragma_table_info(m.name) AS i WHERE m.name LIKE '\\_lockstep\\_%' ESCAPE '\\'
         GROUP BY 1, 2 ORDER BY 1, 2",
    )
}

const TEAMS: &str = "SELECT number, name, weight, hex(badge) FROM team ORDER BY number";
const NOTES: &str = "SELECT n.id, t.number, n.text FROM note AS n JOIN team AS t ON t.id = n.team_id ORDER BY n.id";

#[test]
fn a_file_of_every_earlier_shape_is_taken_over_with_all_that_is_in_it() {
    for (which, sql) in EARLIER {
        let dir = tempfile::tempdir().unwrap();
        let old = file(dir.path(), "old", sql);
        let before = (old.rows(TEAMS), old.rows(NOTES));
        let replica = old.open().replica().unwrap();
        assert_eq!(old.rows("SELECT v FROM _lockstep_meta WHERE k = 'format'"), ["4"], "{which}");
        // What it has become is what a new one is.
        let fresh = Replica::new(dir.path(), "fresh", SCHEMA).attach(CONFIG);
        assert_eq!(shape(&old), shape(&fresh), "{which}");
        // Twice is once.
        let mark = old.open().mark().unwrap();
        assert_eq!((old.open().mark().unwrap(), old.open().replica().unwrap()), (mark, replica), "{which}");

        assert_eq!(old.open().audit(now()).unwrap(), Vec::<String>::new(), "{which}");
        old.harvest();
        assert_eq!((old.rows(TEAMS), old.rows(NOTES)), before, "{which}: the application's rows are its own");
        old.sound();
        let balance = old.open().balance().unwrap();
        assert_eq!(balance.lost(), 0, "{which}: {balance:?}");
        assert!(balance.archived > 0 && balance.deleted > 0 && balance.held > 0, "{which}: {balance:?}");

        // What waited then can be decided now.
        let conflicts = old.open().conflicts().unwrap();
        assert_eq!(conflicts.len(), 3, "{which}: {conflicts:#?}");
        let waits = conflicts.iter().find(|c| c.state == ConflictState::Held).unwrap();
        let choice = Choice { conflict: waits.id.clone(), keep: Keep::All(Side::Loser), anyway: false };
        old.open().resolve(&[choice], now()).unwrap();
        assert_eq!(old.open().held().unwrap(), [], "{which}");

        // And it goes on with others, a new one among them.
        settle(&[&old, &fresh]);
        assert_eq!(fresh.rows(TEAMS), old.rows(TEAMS), "{which}");
        assert_eq!(fresh.rows("SELECT text FROM note ORDER BY text"), old.rows("SELECT text FROM note ORDER BY text"));
        assert!(fresh.rows(NOTES).iter().any(|note| note.ends_with("not harvested yet")), "{which}");
        assert_eq!(fresh.open().conflicts().unwrap().len(), 3, "{which}");
        lockstep_engine::database::detach(&old.path).unwrap();
        assert_eq!(shape(&old), Vec::<String>::new(), "{which}");
    }
}

#[test]
fn an_upgrade_that_fails_leaves_the_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let old = file(dir.path(), "old", EARLIER[0].1);
    old.sql("CREATE TABLE _lockstep_archive_1 (in_the_way)");
    let before = shape(&old);
    assert!(Database::open(&old.path, &[]).is_err());
    assert_eq!(shape(&old), before);
    assert_eq!(old.rows("SELECT v FROM _lockstep_meta WHERE k = 'format'"), ["1"]);
    old.sql("DROP TABLE _lockstep_archive_1");
    old.sound();
}

#[test]
fn a_file_of_a_newer_format_is_refused_also_where_another_one_refers_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let users = Replica::named(dir.path(), "a", "users", "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT)");
    let users = users.attach("");
    let mut main = Replica::new(dir.path(), "a", "CREATE TABLE entry (id INTEGER PRIMARY KEY, user_id INTEGER)");
    main.siblings = vec![lockstep_engine::database::Sibling { name: "users".into(), path: users.path.clone() }];
    let main = main.attach("[tables.entry]\nreferences = { user_id = 'users.user' }\n");
    users.sql("UPDATE _lockstep_meta SET v = 5 WHERE k = 'format'");
    for (path, siblings) in [(&users.path, &users.siblings), (&main.path, &main.siblings)] {
        match Database::open(path, siblings) {
            Err(Error::NewerFormat { path, found: 5, known: 4 }) => assert_eq!(path, users.path),
            other => panic!("{:?}", other.map(drop)),
        }
    }
    assert!(matches!(lockstep_engine::lineage::known(&users.path), Err(Error::NewerFormat { .. })));
}

#[test]
fn a_copy_of_an_earlier_format_knows_its_rows_by_what_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let r = Replica::new(dir.path(), "a", "CREATE TABLE part (code TEXT PRIMARY KEY, v)");
    r.sql("INSERT INTO part VALUES ('one', 1), ('two', 2)");
    let r = r.attach("");
    let other = lockstep_engine::id::ReplicaId([9; 16]);
    r.open().began(other, lockstep_engine::contact::Began::Copies, now()).unwrap();
    let known = || r.rows("SELECT t, o, b FROM _lockstep_origin ORDER BY b");
    let before = known();
    assert_eq!(before.len(), 2);
    r.sql(
        "DROP TABLE _lockstep_origin; DROP INDEX _lockstep_held_reason; ALTER TABLE _lockstep_replica DROP COLUMN host;
         ALTER TABLE _lockstep_mark DROP COLUMN own; ALTER TABLE _lockstep_past DROP COLUMN heir;
         UPDATE _lockstep_meta SET v = 3 WHERE k = 'format'",
    );
    r.sound();
    assert_eq!(known(), before);
}

//! Syncing a table that was left out when its file was attached.
mod replicas;

use lockstep_engine::Error;
use lockstep_engine::config::{DatabaseConfig, Policy, TableConfig};
use lockstep_engine::configure::Error as Refused;
use replicas::{Replica, now, same_digests, settle, sync};

const SCHEMA: &str = "CREATE TABLE team (id INTEGER PRIMARY KEY, number INTEGER UNIQUE, name TEXT);
    CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT UNIQUE, team INTEGER REFERENCES team(id));
    CREATE TABLE note_tag (note INTEGER REFERENCES note(id), tag TEXT, PRIMARY KEY (note, tag));
    CREATE TABLE sync_log (id INTEGER PRIMARY KEY, at TEXT);";

const LEFT_OUT: &str = "exclude = ['note*', 'sync_*']";

fn two(dir: &std::path::Path) -> (Replica, Replica) {
    let rows = |name: &str| {
        format!(
            "{SCHEMA}
             INSERT INTO team (number, name) VALUES (1, 'one'), (2, 'two');
             INSERT INTO note (text, team) VALUES ('both', 1), ('of {name}', 2);
             INSERT INTO note_tag VALUES (1, '{name}');"
        )
    };
    let [a, b] = ["a", "b"].map(|name| Replica::new(dir, name, &rows(name)).attach(LEFT_OUT));
    sync(&a, &b);
    (a, b)
}

fn include(r: &Replica, exclude: &[&str], tables: &[(&str, TableConfig)]) -> Result<DatabaseConfig, Error> {
    let mut db = r.open();
    let mut wanted = db.config()?;
    wanted.exclude = exclude.iter().map(|&pattern| pattern.to_owned()).collect();
    wanted.tables.extend(tables.iter().map(|(name, config)| ((*name).to_owned(), config.clone())));
    db.include(&wanted, now())
}

#[test]
fn a_table_that_was_left_out_is_synced_from_then_on_with_the_rows_that_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = two(dir.path());
    let reviewed = TableConfig { policy: Policy::Review, ..TableConfig::default() };
    for r in [&a, &b] {
        assert_eq!(r.open().left_out().iter().filter(|out| out.excluded).count(), 3);
        let said = include(r, &["sync_*"], &[("note", reviewed.clone())]).unwrap();
        assert_eq!((said.exclude.as_slice(), &said.tables["note"]), (&["sync_*".to_owned()][..], &reviewed));
        assert_eq!(r.open().config().unwrap(), said, "it is remembered");
        r.sound();
    }
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(
            r.rows("SELECT text, (SELECT number FROM team WHERE team.id = team) FROM note ORDER BY text"),
            ["both 1", "of a 2", "of b 2"]
        );
        let tags = "SELECT tag || ' ' || (SELECT text FROM note WHERE note.id = note) FROM note_tag ORDER BY tag";
        assert_eq!(r.rows(tags), ["a both", "b both"], "a tag of one note stays with it");
        r.sound();
    }
    same_digests(&[&a, &b]);
    a.sql("UPDATE note SET text = 'changed' WHERE text = 'of b'; INSERT INTO sync_log (at) VALUES ('now')");
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT count(*) FROM note WHERE text = 'changed'"), ["1"]);
    assert_eq!(b.rows("SELECT count(*) FROM sync_log"), ["0"]);
}

#[test]
fn one_side_may_begin_before_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = two(dir.path());
    include(&a, &["sync_*"], &[]).unwrap();
    settle(&[&a, &b]);
    assert!(!b.open().held().unwrap().is_empty(), "what came is kept until the table is synced here, too");
    a.sql("INSERT INTO note (text) VALUES ('meanwhile')");
    b.sql("INSERT INTO note (text) VALUES ('not captured yet')");
    settle(&[&a, &b]);
    include(&b, &["sync_*"], &[]).unwrap();
    b.sound();
    settle(&[&a, &b]);
    let texts = ["both", "meanwhile", "not captured yet", "of a", "of b"];
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT text FROM note ORDER BY text"), texts);
        assert_eq!(r.open().held().unwrap(), []);
        r.sound();
    }
    same_digests(&[&a, &b]);
}

#[test]
fn what_is_synced_stays_so_and_keeps_its_references() {
    let dir = tempfile::tempdir().unwrap();
    let (a, _) = two(dir.path());
    let before = a.open().config().unwrap();
    let out = include(&a, &["sync_*", "team"], &[]).unwrap_err();
    assert!(matches!(out, Error::Configure(Refused::Settled { what: "exclude", .. })), "{out}");
    assert_eq!(a.open().config().unwrap(), before);

    // Tags are synced, and name notes by numbers that mean nothing elsewhere.
    let c = Replica::new(dir.path(), "c", SCHEMA).attach("exclude = ['note', 'sync_*']");
    let refused = include(&c, &["sync_*"], &[]).unwrap_err();
    assert!(matches!(refused, Error::Configure(Refused::Settled { what: "references", .. })), "{refused}");
    assert_eq!(c.open().tables().unwrap().len(), 2, "note is left out still");
    c.sound();
}

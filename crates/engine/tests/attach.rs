//! What `attach` takes, and what it says.
mod replicas;
use lockstep_engine::database::{AttachOptions, attach};
use replicas::*;

#[test]
fn a_table_of_as_many_columns_as_sqlite_allows_is_entered_and_travels() {
    let dir = tempfile::tempdir().unwrap();
    let columns: Vec<String> = (1..2000).map(|i| format!("c{i}")).collect();
    let schema = format!("CREATE TABLE wide (id INTEGER PRIMARY KEY, {});", columns.join(", "));
    let a = Replica::new(dir.path(), "a", &schema);
    a.sql("INSERT INTO wide (id, c1, c1999) VALUES (1, 'first', 'last')");
    let (a, b) = (a.attach(""), Replica::new(dir.path(), "b", &schema).attach(""));
    settle(&[&a, &b]);
    assert_eq!(b.rows("SELECT id, c1, c1000, c1999 FROM wide"), ["1 first - last"]);
    b.sql("UPDATE wide SET c1999 = 'new' WHERE id = 1");
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT c1, c1999 FROM wide"), ["first new"]);
}

#[test]
fn attach_names_an_index_by_which_an_eviction_is_not_seen_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b);
                  CREATE UNIQUE INDEX odd ON t (a || b) WHERE lower(a) = a; CREATE UNIQUE INDEX plain ON t (a);";
    let a = Replica::new(dir.path(), "a", schema);
    let mut entropy = |b: &mut [u8]| b.fill(7);
    let report =
        attach(&a.path, "main", &config(""), &[], &AttachOptions::default(), now(), &mut entropy, &mut |_, _| {});
    let warnings = report.unwrap().warnings;
    assert!(warnings.iter().any(|w| w.starts_with("t: ") && w.contains("`odd`")), "{warnings:?}");
    assert!(!warnings.iter().any(|w| w.contains("`plain`")), "{warnings:?}");
}

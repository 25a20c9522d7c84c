//! However the application writes, it is captured: loss case 30.

use crate::server::{Schema, all_read, sync, two_begun};

const LEDGER: Schema<'static> = Schema {
    databases: &[(
        "ledger",
        "CREATE TABLE item (id INTEGER NOT NULL, tag TEXT, n INTEGER, PRIMARY KEY (id));
         CREATE TABLE tag (id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (id), UNIQUE (name));
         CREATE TABLE item_tag (item_id INTEGER NOT NULL REFERENCES item (id), tag_id INTEGER NOT NULL REFERENCES tag (id),
             PRIMARY KEY (item_id, tag_id));
         CREATE TABLE loose (item_id INTEGER REFERENCES item (id), tag_id INTEGER REFERENCES tag (id));
         CREATE TABLE log (tag TEXT, n INTEGER);
         CREATE TABLE total (id INTEGER NOT NULL, tag TEXT, n INTEGER, PRIMARY KEY (id));
         INSERT INTO total (tag, n) VALUES ('inserted', 0);
         CREATE TRIGGER count_items AFTER INSERT ON item BEGIN
             UPDATE total SET n = n + 1 WHERE tag = 'inserted';
         END;",
    )],
    config: "[databases.ledger.tables.total]\nidentity = [\"tag\"]\n",
};

/// All content, by what rows say and not by their ids.
const CONTENT: &[&str] = &[
    "SELECT tag, n FROM item",
    "SELECT name FROM tag",
    "SELECT i.tag, t.name FROM item_tag x LEFT JOIN item i ON i.id = x.item_id LEFT JOIN tag t ON t.id = x.tag_id",
    "SELECT i.tag, t.name FROM loose x LEFT JOIN item i ON i.id = x.item_id LEFT JOIN tag t ON t.id = x.tag_id",
    "SELECT tag, n FROM log",
    "SELECT tag, n FROM total",
];

#[test]
fn case_30_however_the_application_writes() {
    // (what, statements, from another process)
    let cases = [
        (
            "many rows in one INSERT",
            "INSERT INTO item (tag, n) VALUES ('i1', 1), ('i2', 2), ('i3', 3), ('i4', 4)",
            false,
        ),
        (
            "INSERT … SELECT",
            "INSERT INTO item (tag, n) SELECT tag || 'x', n + 10 FROM item; INSERT INTO tag (name) SELECT 't' || n FROM item",
            false,
        ),
        ("association rows", "INSERT INTO item_tag SELECT i.id, t.id FROM item i, tag t WHERE i.n <= 3", false),
        (
            "association rows without a key, doubled",
            "INSERT INTO loose SELECT * FROM item_tag; INSERT INTO loose SELECT * FROM item_tag",
            false,
        ),
        (
            "one of two equal rows",
            "DELETE FROM loose WHERE rowid IN (SELECT min(rowid) FROM loose GROUP BY item_id, tag_id LIMIT 5)",
            false,
        ),
        ("an UPDATE of every row", "UPDATE item SET n = n * 2", false),
        ("a DELETE of many", "DELETE FROM item_tag WHERE item_id IN (SELECT id FROM item WHERE n < 5)", false),
        (
            "a change of both keys of an association",
            "UPDATE item_tag SET item_id = (SELECT id FROM item WHERE tag = 'i4') WHERE item_id = (SELECT id FROM item WHERE tag = 'i3')",
            false,
        ),
        (
            "another process",
            "INSERT INTO item (tag, n) VALUES ('p1', 1); INSERT INTO log VALUES ('p', 1), ('p', 1), (NULL, NULL)",
            true,
        ),
        (
            "another process deletes",
            "DELETE FROM log WHERE tag IS NULL; UPDATE log SET n = 2 WHERE rowid = (SELECT min(rowid) FROM log)",
            true,
        ),
        (
            "an upsert",
            "INSERT INTO tag (id, name) SELECT id, 'upserted' FROM tag WHERE name = 't2' ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            false,
        ),
        (
            "a primary key that changes",
            "INSERT INTO item (id, tag, n) VALUES (500, 'moved', 0); UPDATE item SET id = 600 WHERE id = 500",
            false,
        ),
        ("a transaction that is rolled back", "BEGIN; DELETE FROM loose; UPDATE item SET n = 0; ROLLBACK", false),
        (
            "a savepoint that is rolled back",
            "BEGIN; INSERT INTO log VALUES ('kept', 1); SAVEPOINT s; DELETE FROM log; ROLLBACK TO s; COMMIT",
            false,
        ),
        ("a VACUUM, which gives rows without a key new rowids", "VACUUM", true),
        (
            "after the VACUUM",
            "DELETE FROM log WHERE rowid = (SELECT min(rowid) FROM log); INSERT INTO log VALUES ('after', 3)",
            false,
        ),
        ("a table emptied", "DELETE FROM loose", false),
    ];
    let (a, b) = two_begun(LEDGER, |_, b| {
        b.sql(
            "ledger",
            "INSERT INTO item (tag, n) VALUES ('b1', 100), ('b2', 200); INSERT INTO tag (name) VALUES ('tb')",
        );
        b.sql("ledger", "INSERT INTO item_tag SELECT i.id, t.id FROM item i, tag t; INSERT INTO log VALUES ('b', 1)");
    });
    for (what, script, elsewhere) in cases {
        if elsewhere {
            a.other_process("ledger", script);
        } else {
            a.sql("ledger", script);
        }
        sync(&b, &a);
        for sql in CONTENT {
            assert_eq!(a.lines("ledger", sql), b.lines("ledger", sql), "{what}: {sql}");
        }
    }
    all_read(&[&a, &b], "ledger", "SELECT count(*) FROM loose", &["0"]);
    assert_eq!(a.number("ledger", "SELECT count(*) FROM log WHERE tag = 'kept'"), 1);
}

#[test]
fn case_30_many_rows_by_executemany_on_both_sides() {
    let (a, b) = two_begun(LEDGER, |_, _| ());
    for (server, letter) in [(&a, "a"), (&b, "b")] {
        let rows: serde_json::Value = (0..300).map(|n| serde_json::json!([format!("{letter}{n}"), n])).collect();
        server.many("ledger", "INSERT INTO item (tag, n) VALUES (?, ?)", rows.clone());
        server.many("ledger", "INSERT INTO log VALUES (?, ?)", rows);
    }
    sync(&b, &a);
    all_read(&[&a, &b], "ledger", "SELECT count(*), count(DISTINCT tag) FROM item", &["600 | 600"]);
    all_read(&[&a, &b], "ledger", "SELECT count(*), count(DISTINCT tag) FROM log", &["600 | 600"]);
}

//! Writes of an application, and what the log says of them.
use super::*;
use crate::catalog;
use crate::config::DatabaseConfig;
use crate::value::Value;

/// A file with this schema, captured; the application's connection is a plain one.
struct World {
    app: Connection,
    table: Table,
}

impl World {
    fn new(schema: &str) -> World {
        World::with(schema, &DatabaseConfig::default())
    }

    fn with(schema: &str, config: &DatabaseConfig) -> World {
        let app = Connection::open_in_memory().unwrap();
        app.execute_batch(schema).unwrap();
        let catalog = catalog::read(&app, "db", config).unwrap();
        assert_eq!(catalog.tables.len(), 1, "{catalog:?}");
        let table = catalog.tables[0].clone();
        install(&app, 1, &table).unwrap();
        assert_eq!(check(&app, 1, &table).unwrap(), Vec::<String>::new());
        World { app, table }
    }

    /// What the log says of these statements.
    fn log(&self, sql: &str) -> Vec<LogRow> {
        let before = newest(&self.app, 1).unwrap().unwrap_or(0);
        self.app.execute_batch(sql).unwrap_or_else(|e| panic!("{e}: {sql}"));
        read(&self.app, 1, &self.table, before, usize::MAX).unwrap()
    }
}

fn brief(row: &LogRow) -> String {
    let value = |v: &Value| match v {
        Value::Null => "null".to_owned(),
        Value::Integer(i) => i.to_string(),
        Value::Real(f) => format!("{f:?}"),
        Value::Text(t) => format!("'{}'", String::from_utf8_lossy(t)),
        Value::Blob(b) => format!("x{b:02x?}"),
    };
    let list = |v: &[Value]| v.iter().map(value).collect::<Vec<_>>().join(",");
    let mut out = format!("{:?} ({})", row.op, list(&row.key));
    if let Some(k) = &row.new_key {
        out += &format!(" -> ({})", list(k));
    }
    for (place, old) in &row.old {
        out += &format!(" {place}={}", old.as_ref().map_or("?".to_owned(), value));
    }
    if let Some(new) = &row.new {
        out += &format!(" new ({})", list(new));
    }
    out
}

fn expect(world: &World, sql: &str, log: &[&str]) {
    assert_eq!(world.log(sql).iter().map(brief).collect::<Vec<_>>(), log, "{sql}");
}

/// What the log says must be exactly this; as [`brief`] writes it.
fn check_log(schema: &str, steps: &[(&str, &[&str])]) {
    let w = World::new(schema);
    for (sql, log) in steps {
        expect(&w, sql, log);
    }
}

#[test]
fn inserts_updates_and_deletes_are_logged() {
    check_log(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b)",
        &[
            ("INSERT INTO t VALUES (1, 'x', 2), (2, 'y', NULL)", &["Insert (1)", "Insert (2)"]),
            ("UPDATE t SET b = 3 WHERE id = 1", &["Update (1) 2=2"]),
            ("UPDATE t SET b = 4 WHERE id = 2", &["Update (2) 2=null"]),
            ("UPDATE t SET b = NULL WHERE id = 2", &["Update (2) 2=4"]),
            ("UPDATE t SET a = a, b = b", &[]),
            ("UPDATE t SET id = 7, a = 'z' WHERE id = 1", &["Update (1) -> (7) 0=1 1='x'"]),
            ("UPDATE t SET rowid = 8 WHERE id = 7", &["Update (7) -> (8) 0=7"]),
            ("DELETE FROM t", &["Delete (2) 0=2 1='y' 2=null", "Delete (8) 0=8 1='z' 2=3"]),
            ("DELETE FROM t", &[]),
        ],
    );
}

#[test]
fn bulk_writes_are_logged_row_by_row() {
    let w = World::new("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)";
    assert_eq!(w.log(&format!("INSERT INTO t {many} SELECT i, i FROM n")).len(), 500);
    assert_eq!(w.log("UPDATE t SET a = a + 1 WHERE id % 2").len(), 250);
    assert_eq!(w.log("DELETE FROM t").len(), 500);
}

#[test]
fn changed_means_another_value_bit_for_bit() {
    for (declared, before, after, logged) in [
        ("TEXT COLLATE NOCASE", "'bob'", "'BOB'", Some("'bob'")),
        ("TEXT COLLATE RTRIM", "'bob'", "'bob  '", Some("'bob'")),
        ("NUMERIC COLLATE NOCASE", "'bob'", "'BOB'", Some("'bob'")),
        ("COLLATE NOCASE", "'bob'", "'BOB'", Some("'bob'")),
        ("", "1", "1.0", Some("1")),
        ("BLOB", "1.0", "1", Some("1.0")),
        ("TEXT", "1", "1.0", Some("'1'")),
        ("", "'1'", "1", Some("'1'")),
        ("", "'a'", "x'61'", Some("'a'")),
        ("TEXT", "'a'", "x'61'", Some("'a'")),
        ("TEXT", "x'61'", "'a'", Some("x[61]")),
        ("INTEGER", "1", "1.0", None),
        ("INTEGER", "1", "'1'", None),
        ("NUMERIC", "1.0", "1", None),
        ("DATETIME", "'2024-01-01'", "'2024-01-01 '", Some("'2024-01-01'")),
        ("REAL", "1", "1.0", None),
        ("REAL", "1", "'1e0'", None),
        ("REAL", "1", "2", Some("1.0")),
        ("INTEGER", "-9223372036854775808", "-9223372036854775808.0", Some("-9223372036854775808")),
        ("NUMERIC", "9223372036854775807", "9223372036854775808.0", Some("9223372036854775807")),
        ("", "9007199254740993", "9007199254740992.0", Some("9007199254740993")),
        ("", "NULL", "''", Some("null")),
        ("", "''", "NULL", Some("''")),
        ("", "x''", "''", Some("x[]")),
        ("", "NULL", "NULL", None),
        ("", "9e999", "-9e999", Some("inf")),
        ("", "'a' || char(0) || 'b'", "'a' || char(0) || 'c'", Some("'a\0b'")),
    ] {
        for history in [true, false] {
            let mut config = DatabaseConfig::default();
            config.tables.entry("t".to_owned()).or_default().history = history;
            let w = World::with(&format!("CREATE TABLE t(id INTEGER PRIMARY KEY, a {declared})"), &config);
            w.log(&format!("INSERT INTO t VALUES (1, {before})"));
            let old = if history { logged } else { logged.map(|_| "?") };
            let wanted: Vec<_> = old.into_iter().map(|old| format!("Update (1) 1={old}")).collect();
            let got: Vec<_> = w.log(&format!("UPDATE t SET a = {after}")).iter().map(brief).collect();
            assert_eq!(got, wanted, "{declared}: {before} -> {after}, history = {history}");
        }
    }
    let strict = World::new("CREATE TABLE t(id INTEGER PRIMARY KEY, a ANY) STRICT");
    strict.log("INSERT INTO t VALUES (1, 1)");
    expect(&strict, "UPDATE t SET a = 1.0", &["Update (1) 1=1"]);
}

/// Every storage class and the values that copies usually spoil.
fn delicate() -> Vec<Value> {
    let text = |b: &[u8]| Value::Text(b.into());
    vec![
        Value::Null,
        Value::Integer(0),
        Value::Integer(1),
        Value::Integer(i64::MAX),
        Value::Integer(i64::MIN),
        Value::Integer((1 << 53) + 1),
        Value::Real(1.0),
        Value::Real(0.1),
        Value::Real(5e-324),
        Value::Real(f64::MAX),
        Value::Real(f64::INFINITY),
        Value::Real(f64::NEG_INFINITY),
        Value::Real(1e18),
        text(b""),
        text(b"1"),
        text(b"1.0"),
        text(b"a\0b"),
        text(b"\0"),
        text(b"\xff\xfe\x80"),
        text("größe \u{1f600}".as_bytes()),
        text(&[b'x'; 100_000]),
        Value::Blob([].into()),
        Value::Blob([0, 255, 0].into()),
        Value::Blob(vec![7; 100_000].into()),
    ]
}

#[test]
fn values_come_out_of_the_log_bit_for_bit() {
    for declared in ["", "TEXT", "INTEGER", "NUMERIC", "REAL", "BLOB", "VARCHAR(20) COLLATE NOCASE"] {
        let w = World::new(&format!("CREATE TABLE t(id INTEGER PRIMARY KEY, a {declared}, b)"));
        for (i, value) in delicate().iter().enumerate() {
            w.app.execute("INSERT INTO t VALUES (?1, ?2, 0)", (i as i64, value)).unwrap();
        }
        let stored: Vec<Value> = {
            let mut all = w.app.prepare("SELECT a FROM t ORDER BY id").unwrap();
            all.query_map([], |r| Ok(Value::from(r.get_ref(0)?))).unwrap().map(Result::unwrap).collect()
        };
        if declared.is_empty() {
            assert_eq!(stored, delicate());
        }
        let updated = w.log("UPDATE t SET a = 'something else'");
        for (row, value) in updated.iter().zip(&stored) {
            assert_eq!(row.old, [(1, Some(value.clone()))], "{declared}");
        }
        w.app.execute_batch("DELETE FROM t").unwrap();
        for (i, value) in delicate().iter().enumerate() {
            w.app.execute("INSERT INTO t VALUES (?1, ?2, 0)", (i as i64, value)).unwrap();
        }
        for (row, value) in w.log("DELETE FROM t").iter().zip(&stored) {
            assert_eq!(row.old[1], (1, Some(value.clone())), "{declared}");
        }

        let w = World::new(&format!("CREATE TABLE t(a {declared})"));
        for value in delicate() {
            w.app.execute("INSERT INTO t VALUES (?1)", [value]).unwrap();
        }
        let inserted = read(&w.app, 1, &w.table, 0, usize::MAX).unwrap();
        for (row, value) in inserted.iter().zip(&stored) {
            assert_eq!(row.new.as_deref(), Some([value.clone()].as_slice()), "{declared}");
        }
    }
}

#[test]
fn text_keys_keep_their_bytes() {
    let w = World::new("CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, a)");
    let key = Value::Text(b"a\0\xff".as_slice().into());
    w.app.execute("INSERT INTO t VALUES (?1, 1)", [&key]).unwrap();
    w.app.execute("UPDATE t SET a = 2", []).unwrap();
    w.app.execute("DELETE FROM t", []).unwrap();
    let log = read(&w.app, 1, &w.table, 0, usize::MAX).unwrap();
    assert_eq!(log.iter().map(|r| r.op).collect::<Vec<_>>(), [Op::Insert, Op::Update, Op::Delete]);
    assert!(log.iter().all(|r| r.key == [key.clone()]));
}

#[test]
fn without_history_updates_say_only_what_changed_but_deletes_keep_the_row() {
    let mut config = DatabaseConfig::default();
    config.tables.entry("t".to_owned()).or_default().history = false;
    let w = World::with("CREATE TABLE t(a INTEGER NOT NULL, b TEXT NOT NULL, c, PRIMARY KEY(a, b))", &config);
    expect(&w, "INSERT INTO t VALUES (1, 'x', 5)", &["Insert (1,'x')"]);
    expect(&w, "UPDATE t SET c = 6", &["Update (1,'x') 2=?"]);
    expect(&w, "UPDATE t SET c = NULL", &["Update (1,'x') 2=?"]);
    expect(&w, "UPDATE t SET b = 'y', c = 7", &["Update (1,'x') -> (1,'y') 1='x' 2=?"]);
    expect(&w, "UPDATE t SET a = a", &[]);
    expect(&w, "DELETE FROM t", &["Delete (1,'y') 0=1 1='y' 2=7"]);
}

#[test]
fn a_log_is_read_as_it_was_written_whatever_the_configuration_says_now() {
    let w = World::new("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    w.app.execute_batch("INSERT INTO t VALUES (1, 2); UPDATE t SET a = 3").unwrap();
    let mut table = w.table.clone();
    table.config.history = false;
    assert_eq!(brief(&read(&w.app, 1, &table, 1, 9).unwrap()[0]), "Update (1) 1=2");
    assert!(!check(&w.app, 1, &table).unwrap().is_empty());
    install(&w.app, 1, &table).unwrap();
    w.app.execute_batch("UPDATE t SET a = 4").unwrap();
    assert_eq!(brief(&read(&w.app, 1, &w.table, 2, 9).unwrap()[0]), "Update (1) 1=?");
}

#[test]
fn keys_of_several_columns_and_tables_without_rowid() {
    for (rowid, not_null) in [("", " NOT NULL"), (" WITHOUT ROWID", "")] {
        check_log(
            &format!("CREATE TABLE t(x, a TEXT{not_null}, b INTEGER{not_null}, PRIMARY KEY(b, a)){rowid}"),
            &[
                ("INSERT INTO t VALUES (0, 'x', 1), (0, 'y', 1)", &["Insert (1,'x')", "Insert (1,'y')"]),
                ("UPDATE t SET x = 1 WHERE a = 'x'", &["Update (1,'x') 0=0"]),
                ("UPDATE t SET b = 2 WHERE a = 'y'", &["Update (1,'y') -> (2,'y') 2=1"]),
                ("DELETE FROM t", &["Delete (1,'x') 0=1 1='x' 2=1", "Delete (2,'y') 0=0 1='y' 2=2"]),
            ],
        );
    }
}

#[test]
fn rows_without_a_key_are_logged_whole() {
    check_log(
        "CREATE TABLE t(a, b TEXT)",
        &[
            ("INSERT INTO t VALUES (1, 'x'), (1, 'x')", &["Insert () new (1,'x')", "Insert () new (1,'x')"]),
            ("VACUUM", &[]),
            ("UPDATE t SET b = 'y' WHERE rowid = 1", &["Update () 0=1 1='x' new (1,'y')"]),
            ("UPDATE t SET a = a", &[]),
            ("DELETE FROM t WHERE b = 'y'", &["Delete () 0=1 1='y'"]),
        ],
    );
}

#[test]
fn rows_with_null_in_their_key_are_logged_whole() {
    check_log(
        "CREATE TABLE t(k TEXT PRIMARY KEY, j INT, a)",
        &[
            ("INSERT INTO t VALUES ('x', 1, 2), (NULL, 3, 4)", &["Insert ('x')", "Insert (null) new (null,3,4)"]),
            ("UPDATE t SET a = 5 WHERE k IS NULL", &["Update (null) 0=null 1=3 2=4 new (null,3,5)"]),
            ("UPDATE t SET k = 'y' WHERE k IS NULL", &["Update (null) -> ('y') 0=null 1=3 2=5 new ('y',3,5)"]),
            ("UPDATE t SET k = NULL, j = 9 WHERE k = 'x'", &["Update ('x') -> (null) 0='x' 1=1 2=2 new (null,9,2)"]),
            ("UPDATE t SET a = a", &[]),
            ("DELETE FROM t", &["Delete (null) 0=null 1=9 2=2", "Delete ('y') 0='y' 1=3 2=5"]),
        ],
    );
}

#[test]
fn replace_logs_the_rows_that_it_evicts_as_suspects() {
    check_log(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, mail TEXT UNIQUE, x)",
        &[
            ("INSERT INTO t VALUES (1, 'a', 'a@', 0), (2, 'b', 'b@', 0)", &["Insert (1)", "Insert (2)"]),
            (
                "INSERT OR REPLACE INTO t VALUES (3, 'a', 'b@', 1)",
                &["Suspect (1) 0=1 1='a' 2='a@' 3=0", "Suspect (2) 0=2 1='b' 2='b@' 3=0", "Insert (3)"],
            ),
            ("REPLACE INTO t VALUES (3, 'c', NULL, 2)", &["Insert (3)"]),
            ("INSERT INTO t VALUES (4, NULL, NULL, 2)", &["Insert (4)"]),
            ("INSERT OR IGNORE INTO t VALUES (5, 'c', NULL, 2)", &["Suspect (3) 0=3 1='c' 2=null 3=2"]),
            (
                "INSERT INTO t(name, x) VALUES ('c', 7) ON CONFLICT(name) DO UPDATE SET x = excluded.x",
                &["Suspect (3) 0=3 1='c' 2=null 3=2", "Update (3) 3=2"],
            ),
            (
                "UPDATE OR REPLACE t SET name = 'c' WHERE id = 4",
                &["Suspect (3) 0=3 1='c' 2=null 3=7", "Update (4) 1=null"],
            ),
            ("UPDATE t SET name = 'c' WHERE id = 4", &[]),
            ("INSERT INTO t VALUES (9, 'z', NULL, 0)", &["Insert (9)"]),
            (
                "UPDATE OR REPLACE t SET id = 9 WHERE id = 4",
                &["Suspect (9) 0=9 1='z' 2=null 3=0", "Update (4) -> (9) 0=4"],
            ),
            ("INSERT INTO t VALUES (4, 'y', NULL, 0)", &["Insert (4)"]),
            (
                "UPDATE OR REPLACE t SET _rowid_ = 9 WHERE id = 4",
                &["Suspect (9) 0=9 1='c' 2=null 3=2", "Update (4) -> (9) 0=4"],
            ),
            ("UPDATE t SET id = id + 1, name = name, x = 4", &["Update (9) -> (10) 0=9 3=0"]),
        ],
    );
}

#[test]
fn a_replaced_primary_key_is_suspect_only_where_it_may_be_written_otherwise() {
    check_log(
        "CREATE TABLE t(k TEXT NOT NULL COLLATE NOCASE PRIMARY KEY, a)",
        &[
            ("INSERT INTO t VALUES ('bob', 1)", &["Insert ('bob')"]),
            ("REPLACE INTO t VALUES ('BOB', 2)", &["Suspect ('bob') 0='bob' 1=1", "Insert ('BOB')"]),
            ("UPDATE t SET k = 'Bob'", &["Update ('BOB') -> ('Bob') 0='BOB'"]),
        ],
    );
    check_log(
        "CREATE TABLE t(k NOT NULL PRIMARY KEY)",
        &[
            ("INSERT INTO t VALUES (1)", &["Insert (1)"]),
            ("REPLACE INTO t VALUES (1.0)", &["Suspect (1) 0=1", "Insert (1.0)"]),
        ],
    );
    check_log(
        "CREATE TABLE t(a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY(a, b)) WITHOUT ROWID",
        &[
            ("INSERT INTO t VALUES (1, 1), (1, 2)", &["Insert (1,1)", "Insert (1,2)"]),
            ("REPLACE INTO t VALUES (1, 1)", &["Insert (1,1)"]),
            ("UPDATE OR REPLACE t SET b = 2 WHERE b = 1", &["Suspect (1,2) 0=1 1=2", "Update (1,1) -> (1,2) 1=1"]),
        ],
    );
}

#[test]
fn suspects_are_found_by_each_index_own_rules() {
    let start = "INSERT INTO t(id, a, b) VALUES (1, 'bob', 1)";
    for (index, replace, suspect) in [
        ("t(a COLLATE NOCASE)", "(2, 'BOB', 2)", true),
        ("t(a COLLATE RTRIM DESC)", "(2, 'bob  ', 2)", true),
        ("t(lower(a))", "(2, 'BOB', 2)", true),
        ("t(lower(a))", "(2, 'alice', 2)", false),
        ("t(a || b)", "(2, 'bob', 1)", true),
        ("t(a || b)", "(2, 'bob', 2)", false),
        ("t(a, b + 1)", "(2, 'bob', '1')", true),
        // Affinity: as a value of the column, '1' is 1.
        ("t((b = '1'))", "(2, 'x', 1.0)", true),
        ("t((a = 4))", "(2, 'x', 1)", true),
        ("t(a) WHERE b > 0", "(2, 'bob', 2)", true),
        ("t(a) WHERE b > 0", "(2, 'bob', 0)", false),
        ("t(a) WHERE b > 1", "(2, 'bob', 2)", false),
        ("t(a) WHERE t.b = '1' -- ours", "(2, 'bob', '1')", true),
        ("t(substr(\"a\", 1, 2)) WHERE a IS NOT NULL", "(2, 'box', 0)", true),
        ("t(g)", "(2, 'BOB', 0)", true),
        ("t(g || 'x') WHERE g <> ''", "(2, 'BOB', 0)", true),
    ] {
        let schema = format!(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b INT, g TEXT GENERATED ALWAYS AS (upper(a)) VIRTUAL);
             CREATE UNIQUE INDEX u ON {index}\n;"
        );
        let w = World::new(&schema);
        w.log(start);
        let log = w.log(&format!("INSERT OR REPLACE INTO t(id, a, b) VALUES {replace}"));
        let ops: Vec<_> = log.iter().map(|r| r.op).collect();
        assert_eq!(ops, if suspect { vec![Op::Suspect, Op::Insert] } else { vec![Op::Insert] }, "{index} {replace}");
        let gone: i64 = w.app.query_row("SELECT count(*) FROM t WHERE id = 1", [], |r| r.get(0)).unwrap();
        assert_eq!(gone == 0, suspect, "SQLite itself: {index} {replace}");

        let w = World::new(&schema);
        w.log(start);
        w.log("INSERT INTO t(id, a, b) VALUES (2, NULL, NULL)");
        let (a, b) = replace.trim_matches(['(', ')']).split_once(", ").unwrap().1.split_once(", ").unwrap();
        let log = w.log(&format!("UPDATE OR REPLACE t SET a = {a}, b = {b} WHERE id = 2"));
        let gone: i64 = w.app.query_row("SELECT count(*) FROM t WHERE id = 1", [], |r| r.get(0)).unwrap();
        let found = log.iter().any(|r| r.op == Op::Suspect && r.key == [Value::Integer(1)]);
        assert_eq!(found, gone == 0, "update: {index} {replace}");
        assert!(log.iter().all(|r| r.op != Op::Suspect || r.key != [Value::Integer(2)]), "itself: {index}");
    }
}

#[test]
fn probes_use_the_index_of_the_key() {
    for index in ["t(a)", "t(a COLLATE NOCASE, b)", "t(lower(a))", "t(a) WHERE b > 0", "t(a || b) WHERE a IS NOT NULL"]
    {
        let w =
            World::new(&format!("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b); CREATE UNIQUE INDEX u ON {index}"));
        w.app
            .execute_batch("INSERT INTO t(a, b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) SELECT i, i FROM n")
            .unwrap();
        for sql in
            ["INSERT OR REPLACE INTO t(a, b) VALUES ('5', 5)", "UPDATE OR REPLACE t SET a = '7', b = 7 WHERE id = 1"]
        {
            let mut statement = w.app.prepare(sql).unwrap();
            statement.execute([]).unwrap();
            let steps = statement.get_status(rusqlite::StatementStatus::FullscanStep);
            assert!(steps < 20, "{index}: {steps} rows scanned by {sql}");
        }
        let suspects = read(&w.app, 1, &w.table, 0, usize::MAX).unwrap().iter().filter(|r| r.op == Op::Suspect).count();
        assert_eq!(suspects, 2, "{index}");
    }
}

#[test]
fn a_key_that_sqlite_can_only_find_by_reading_the_table_is_not_probed_but_named() {
    let w = World::new(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b); CREATE UNIQUE INDEX u ON t(a || b) WHERE lower(a) = a",
    );
    assert_eq!(unseen(&w.app, &w.table).unwrap().len(), 1);
    assert!(unseen(&w.app, &w.table).unwrap()[0].contains("`u`"));
    expect(&w, "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)", &["Insert (1)", "Insert (2)"]);
    expect(&w, "REPLACE INTO t VALUES (3, 'a', 1)", &["Insert (3)"]);
    let w = World::new(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE, b); CREATE UNIQUE INDEX u ON t(lower(a)) WHERE b > 0",
    );
    assert!(unseen(&w.app, &w.table).unwrap().is_empty());
}

#[test]
fn tables_without_a_key_may_have_suspects_too() {
    check_log(
        "CREATE TABLE t(a UNIQUE, b)",
        &[
            ("INSERT INTO t VALUES (1, 2), (3, 4)", &["Insert () new (1,2)", "Insert () new (3,4)"]),
            ("REPLACE INTO t VALUES (1, 5)", &["Suspect () 0=1 1=2", "Insert () new (1,5)"]),
            ("UPDATE OR REPLACE t SET a = 3 WHERE a = 1", &["Suspect () 0=3 1=4", "Update () 0=1 1=5 new (3,5)"]),
            ("UPDATE t SET a = a, b = 6", &["Update () 0=3 1=5 new (3,6)"]),
        ],
    );
    check_log(
        "CREATE TABLE t(rowid UNIQUE, oid, _rowid_)",
        &[
            ("INSERT INTO t VALUES (1, 2, 3)", &["Insert () new (1,2,3)"]),
            ("UPDATE t SET rowid = 2", &["Update () 0=1 1=2 2=3 new (2,2,3)"]),
        ],
    );
}

#[test]
fn foreign_key_actions_and_the_applications_own_triggers_are_logged() {
    let app = Connection::open_in_memory().unwrap();
    app.execute_batch(
        "PRAGMA foreign_keys = ON;
         CREATE TABLE parent(id INTEGER PRIMARY KEY);
         CREATE TABLE child(id INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, n INT DEFAULT 0);
         CREATE TRIGGER own AFTER INSERT ON child BEGIN UPDATE child SET n = n + 1 WHERE id = NEW.id; END;",
    )
    .unwrap();
    let catalog = catalog::read(&app, "db", &DatabaseConfig::default()).unwrap();
    for (n, table) in catalog.tables.iter().enumerate() {
        install(&app, n as u32, table).unwrap();
    }
    app.execute_batch("INSERT INTO parent VALUES (1); INSERT INTO child(id, p) VALUES (5, 1)").unwrap();
    app.execute_batch("UPDATE parent SET id = 2; DELETE FROM parent").unwrap();
    let log: Vec<_> = read(&app, 0, &catalog.tables[0], 0, 9).unwrap().iter().map(brief).collect();
    // The order inside one statement is SQLite's, not that of the writes.
    for wanted in ["Insert (5)", "Update (5) 2=0", "Update (5) 1=1", "Delete (5) 0=5 1=2 2=1"] {
        assert!(log.contains(&wanted.to_owned()), "{wanted}: {log:?}");
    }
    assert_eq!(log.len(), 4);
}

#[test]
fn what_is_rolled_back_was_never_logged() {
    let w = World::new("CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE)");
    expect(&w, "BEGIN; INSERT INTO t VALUES (1, 1); ROLLBACK", &[]);
    w.log("INSERT INTO t VALUES (1, 1)");
    let before = newest(&w.app, 1).unwrap();
    w.app.execute_batch("INSERT INTO t VALUES (2, 1)").unwrap_err();
    assert_eq!(newest(&w.app, 1).unwrap(), before);
}

#[test]
fn the_application_sees_nothing_of_the_log() {
    let w = World::new("CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE)");
    for i in 0..5 {
        w.app.execute("INSERT INTO t VALUES (NULL, ?1)", [i]).unwrap();
        assert_eq!((w.app.last_insert_rowid(), w.app.changes()), (i + 1, 1));
        w.app.execute("UPDATE t SET a = a + 10 WHERE id = ?1", [i + 1]).unwrap();
        assert_eq!(w.app.changes(), 1);
    }
    let back: i64 = w.app.query_row("INSERT INTO t(a) VALUES (99) RETURNING id", [], |r| r.get(0)).unwrap();
    assert_eq!(back, 6);
}

#[test]
fn odd_names_are_quoted() {
    for name in
        ["two words", "it's \"quoted\"", "select", "größe", "new", "old", "t.t", "[x]", "`y`", "a--b", "/*", "%s"]
    {
        let t = quote(name);
        let w = World::new(&format!(
            "CREATE TABLE {t}(\"order\" INTEGER PRIMARY KEY, {t} TEXT, \"op\" TEXT, \"k0\" INT, UNIQUE({t}));
             CREATE UNIQUE INDEX {} ON {t}(lower(\"op\"), \"k0\") WHERE {t} IS NOT NULL",
            quote(&format!("on {name}"))
        ));
        expect(&w, &format!("INSERT INTO {t} VALUES (1, 'a', 'b', 2)"), &["Insert (1)"]);
        let suspects = w.log(&format!("INSERT OR REPLACE INTO {t} VALUES (2, 'a', 'c', 2), (3, 'd', 'C', 2)"));
        assert_eq!(suspects.iter().filter(|r| r.op == Op::Suspect).count(), 2, "{name}");
        expect(&w, &format!("UPDATE {t} SET {t} = 'e'"), &["Update (3) 1='d'"]);
        expect(&w, &format!("DELETE FROM {t}"), &["Delete (3) 0=3 1='e' 2='C' 3=2"]);
        remove(&w.app, 1).unwrap();
    }
}

#[test]
fn many_columns_are_logged_in_parts_and_read_as_one() {
    for columns in [62, 63, 70, 399, 400, 401, 801, 1999] {
        let names: Vec<_> = (1..=columns).map(|i| format!("column_{i}")).collect();
        let schema = format!("CREATE TABLE t(id INTEGER PRIMARY KEY, {}, UNIQUE(column_1))", names.join(", "));
        let w = World::new(&schema);
        let values: Vec<_> = (1..=columns).map(|i| if i == 50 { "NULL".to_owned() } else { i.to_string() }).collect();
        let values = values.join(", ");
        expect(&w, &format!("INSERT INTO t VALUES (1, {values})"), &["Insert (1)"]);
        for place in [1, columns / 2, columns] {
            expect(&w, &format!("UPDATE t SET column_{place} = -{place}"), &[&format!("Update (1) {place}={place}")]);
            expect(&w, &format!("UPDATE t SET column_{place} = {place}"), &[&format!("Update (1) {place}=-{place}")]);
        }
        expect(
            &w,
            &format!("UPDATE t SET id = 2, column_50 = 0, column_{columns} = 0"),
            &[&format!("Update (1) -> (2) 0=1 50=null {columns}={columns}")],
        );
        let all: Vec<_> = names.iter().map(|n| format!("{n} = -1")).collect();
        let log = w.log(&format!("UPDATE t SET {}", all.join(", ")));
        assert_eq!((log.len(), log[0].old.len()), (1, columns));
        let log = w.log(&format!("INSERT INTO t VALUES (7, {values}); INSERT OR REPLACE INTO t VALUES (8, {values})"));
        assert_eq!(log.iter().map(|r| r.op).collect::<Vec<_>>(), [Op::Insert, Op::Suspect, Op::Insert]);
        assert_eq!(
            (log[1].old.len(), &log[1].old[columns]),
            (columns + 1, &(columns, Some(Value::Integer(columns as i64))))
        );
        let log = w.log("DELETE FROM t");
        assert_eq!(log.iter().map(|r| r.old.len()).collect::<Vec<_>>(), [columns + 1; 2]);

        // An event is never cut, whatever the limit.
        let every = read(&w.app, 1, &w.table, 0, usize::MAX).unwrap();
        let mut one_by_one = Vec::new();
        while let [row] =
            read(&w.app, 1, &w.table, one_by_one.last().map_or(0, |r: &LogRow| r.i), 1).unwrap().as_slice()
        {
            one_by_one.push(row.clone());
        }
        assert_eq!(one_by_one, every);
    }
}

#[test]
fn two_thousand_columns_without_a_key_and_without_history() {
    let names: Vec<_> = (0..2000).map(|i| format!("c{i}")).collect();
    let w = World::new(&format!("CREATE TABLE t({})", names.join(", ")));
    let log =
        w.log("INSERT INTO t(c0, c1999) VALUES (1, 2); UPDATE t SET c1999 = 3; UPDATE t SET c0 = c0; DELETE FROM t");
    let ends = |v: &[Value]| (v.len(), v[0].clone(), v[1999].clone());
    assert_eq!(log.len(), 3);
    assert_eq!(ends(log[1].new.as_deref().unwrap()), (2000, Value::Integer(1), Value::Integer(3)));
    assert_eq!(log[1].old[1999], (1999, Some(Value::Integer(2))));

    let mut config = DatabaseConfig::default();
    config.tables.entry("t".to_owned()).or_default().history = false;
    let w =
        World::with(&format!("CREATE TABLE t({}, PRIMARY KEY(c0, c1999)) WITHOUT ROWID", names.join(", ")), &config);
    w.log("INSERT INTO t(c0, c1999) VALUES (1, 2)");
    expect(&w, "UPDATE t SET c1999 = 3, c1000 = 1", &["Update (1,2) -> (1,3) 1000=? 1999=2"]);
}

#[test]
fn a_trigger_that_sqlite_could_not_read_is_not_installed() {
    let app = Connection::open_in_memory().unwrap();
    let names: Vec<_> = (0..2000).map(|i| format!("c{i}_{}", "x".repeat(100))).collect();
    app.execute_batch(&format!("CREATE TABLE t(id INTEGER PRIMARY KEY, {})", names[1..].join(", "))).unwrap();
    let before = dump(&app);
    let table = catalog::read(&app, "db", &DatabaseConfig::default()).unwrap().tables.remove(0);
    assert!(install(&app, 1, &table).unwrap_err().to_string().contains("exclude it"));
    assert_eq!(dump(&app), before);
}

#[test]
fn the_time_is_the_wall_time() {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let w = World::new("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    let before = now();
    let log = w.log("INSERT INTO t VALUES (1, 1); UPDATE t SET a = 2; DELETE FROM t");
    for row in log {
        assert!((before..=now()).contains(&row.at.0), "{before} {:?}", row.at);
    }
}

#[test]
fn trimming_never_takes_the_newest_row() {
    let w = World::new("CREATE TABLE t(id INTEGER PRIMARY KEY)");
    assert_eq!(newest(&w.app, 1).unwrap(), None);
    w.log("INSERT INTO t VALUES (1), (2), (3)");
    assert_eq!(trim(&w.app, 1, 2).unwrap(), 2);
    assert_eq!(trim(&w.app, 1, 99).unwrap(), 0);
    assert_eq!(newest(&w.app, 1).unwrap(), Some(3));
    let log = w.log("DELETE FROM t WHERE id = 1");
    assert_eq!(log[0].i, 4);
}

#[test]
fn a_guest_is_not_captured_and_its_writes_fire_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let app = Connection::open(&path).unwrap();
    app.execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY)").unwrap();
    let guest = crate::guest::open(&path).unwrap();
    let table = catalog::read(&guest, "db", &DatabaseConfig::default()).unwrap().tables.remove(0);
    install(&guest, 1, &table).unwrap();
    guest.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    app.execute_batch("INSERT INTO t VALUES (2)").unwrap();
    let log = read(&guest, 1, &table, 0, 9).unwrap();
    assert_eq!(log.iter().map(brief).collect::<Vec<_>>(), ["Insert (2)"]);
}

/// Schema and rows of every table, as text.
fn dump(conn: &Connection) -> Vec<String> {
    let mut out = Vec::new();
    let mut schema = conn.prepare("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid").unwrap();
    let mut rows = schema.query([]).unwrap();
    let mut tables = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let fields: Vec<Option<String>> = (0..4).map(|i| row.get(i).unwrap()).collect();
        if fields[0].as_deref() == Some("table") {
            tables.push(fields[1].clone().unwrap());
        }
        out.push(format!("{fields:?}"));
    }
    for table in tables {
        let mut statement = conn.prepare(&format!("SELECT * FROM {}", quote(&table))).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<_> = (0..columns).map(|i| Value::from(row.get_ref(i).unwrap())).collect();
            out.push(format!("{table} {values:?}"));
        }
    }
    out
}

#[test]
fn removing_leaves_the_file_as_it_was() {
    let app = Connection::open_in_memory().unwrap();
    app.execute_batch(
        "CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT UNIQUE);
         CREATE TABLE \"_lock step\"(a, b);
         CREATE TABLE lockstep_(a PRIMARY KEY) WITHOUT ROWID;
         CREATE INDEX ix ON a(x);
         CREATE TRIGGER own AFTER INSERT ON a BEGIN INSERT INTO \"_lock step\" VALUES (NEW.id, NEW.x); END;
         CREATE VIEW v AS SELECT * FROM a;
         INSERT INTO a(x) VALUES ('one'), ('two'); INSERT INTO lockstep_ VALUES (1); ANALYZE;",
    )
    .unwrap();
    let before = dump(&app);
    let catalog = catalog::read(&app, "db", &DatabaseConfig::default()).unwrap();
    let install_all = || {
        for (n, table) in catalog.tables.iter().enumerate() {
            install(&app, n as u32, table).unwrap();
        }
    };
    install_all();
    app.execute_batch("UPDATE a SET x = x; ANALYZE").unwrap();
    assert_ne!(dump(&app), before);
    for n in 0..catalog.tables.len() {
        remove(&app, n as u32).unwrap();
    }
    assert_eq!(dump(&app), before);
    remove(&app, 0).unwrap();
    install_all();
    app.execute_batch("CREATE TABLE _lockstep_other(a UNIQUE); CREATE INDEX _lockstep_i ON a(x)").unwrap();
    assert!(remove_all(&app).unwrap() > 3 * catalog.tables.len());
    assert_eq!(dump(&app), before);
}

#[test]
fn check_names_what_is_missing_or_altered() {
    let w = World::new("CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE)");
    let findings = |sql: &str| {
        w.app.execute_batch(sql).unwrap();
        let found = check(&w.app, 1, &w.table).unwrap();
        install(&w.app, 1, &w.table).unwrap();
        assert!(check(&w.app, 1, &w.table).unwrap().is_empty());
        found.join("; ")
    };
    assert!(findings("DROP TRIGGER _lockstep_1_update").contains("`_lockstep_1_update` of `t` is missing"));
    assert!(
        findings("CREATE TRIGGER _lockstep_1_more AFTER DELETE ON t BEGIN SELECT 1; END")
            .contains("should not be there")
    );
    assert!(
        findings(
            "DROP TRIGGER _lockstep_1_delete; CREATE TRIGGER _lockstep_1_delete AFTER DELETE ON t BEGIN SELECT 1; END"
        )
        .contains("not what it should be")
    );
    assert!(findings("DROP TABLE _lockstep_log_1").contains("the log of `t` is missing"));
    // As migrations rebuild a table.
    let rebuilt = findings(
        "CREATE TABLE x(id INTEGER PRIMARY KEY, a UNIQUE); INSERT INTO x SELECT * FROM t; DROP TABLE t; ALTER TABLE x RENAME TO t",
    );
    assert_eq!(rebuilt.matches("is missing").count(), 6, "{rebuilt}");
    assert!(World::new("CREATE TABLE t(a)").app.execute_batch("DROP TABLE t").is_ok());
}

#[test]
fn a_log_outlives_changes_of_its_table() {
    let w = World::new("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)");
    w.log("INSERT INTO t VALUES (1, 2, 3)");
    w.app.execute_batch("ALTER TABLE t ADD COLUMN c; UPDATE t SET c = 5; UPDATE t SET b = 6, c = 7").unwrap();
    let read_schema = || catalog::read(&w.app, "db", &DatabaseConfig::default()).unwrap().tables.remove(0);
    let wider = read_schema();
    assert!(!check(&w.app, 1, &wider).unwrap().is_empty());
    let log: Vec<_> = read(&w.app, 1, &wider, 0, 9).unwrap().iter().map(brief).collect();
    assert_eq!(log, ["Insert (1)", "Update (1) 2=3"]);
    assert!(matches!(install(&w.app, 1, &wider), Err(Error::Unread { .. })));
    trim(&w.app, 1, 99).unwrap();
    install(&w.app, 1, &wider).unwrap();
    assert_eq!(check(&w.app, 1, &wider).unwrap(), Vec::<String>::new());
    w.app.execute_batch("UPDATE t SET c = 8").unwrap();
    let log = read(&w.app, 1, &wider, 0, 9).unwrap();
    assert_eq!((log.len(), log[0].i, brief(&log[0])), (1, 3, "Update (1) 3=7".to_owned()), "goes on counting");

    // A column that is gone is left out; another key can't be understood.
    w.app
        .execute_batch("CREATE TABLE x(id INTEGER PRIMARY KEY, a, c); INSERT INTO x SELECT id, a, c FROM t; DROP TABLE t; ALTER TABLE x RENAME TO t")
        .unwrap();
    let narrower = read_schema();
    assert_eq!(brief(&read(&w.app, 1, &narrower, 0, 9).unwrap()[0]), "Update (1) 2=7");
    w.app.execute_batch("DROP TABLE t; CREATE TABLE t(a TEXT NOT NULL PRIMARY KEY)").unwrap();
    assert!(matches!(read(&w.app, 1, &read_schema(), 0, 9), Err(Error::KeyMoved { .. })));
}

#[test]
fn a_strange_row_is_refused() {
    let w = World::new("CREATE TABLE t(id INTEGER PRIMARY KEY)");
    w.app.execute_batch("INSERT INTO _lockstep_log_1(op) VALUES (15)").unwrap();
    assert!(matches!(read(&w.app, 1, &w.table, 0, 9), Err(Error::Strange { i: 1, .. })));
    assert!(read(&w.app, 1, &w.table, 1, 9).unwrap().is_empty());
}

#[test]
fn recursive_triggers_and_declared_replace_are_seen_as_well() {
    check_log(
        "PRAGMA recursive_triggers = ON; CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE ON CONFLICT REPLACE)",
        &[
            ("INSERT INTO t VALUES (1, 1)", &["Insert (1)"]),
            ("INSERT INTO t VALUES (2, 1)", &["Suspect (1) 0=1 1=1", "Delete (1) 0=1 1=1", "Insert (2)"]),
        ],
    );
    check_log(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE ON CONFLICT REPLACE)",
        &[
            ("INSERT INTO t VALUES (1, 1)", &["Insert (1)"]),
            ("INSERT INTO t VALUES (2, 1)", &["Suspect (1) 0=1 1=1", "Insert (2)"]),
        ],
    );
}

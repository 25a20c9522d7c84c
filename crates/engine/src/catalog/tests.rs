//! Schemas, and what the catalogue says of them.
use super::*;
use crate::config::{DatabaseConfig, MergeUnit, Policy};
use rusqlite::Connection;

fn conn(schema: &str) -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    conn.execute_batch(schema).unwrap();
    conn
}

fn config(toml: &str) -> DatabaseConfig {
    toml::from_str(toml).unwrap()
}

fn catalog(schema: &str, settings: &str) -> Catalog {
    read(&conn(schema), "db", &config(settings)).unwrap()
}

/// The table `t` of a schema.
fn table(schema: &str, settings: &str) -> Table {
    catalog(schema, settings).table("t").expect("the schema has a table t").clone()
}

fn identity(schema: &str, settings: &str) -> Vec<Vec<String>> {
    let t = table(schema, settings);
    t.identity.iter().map(|places| places.iter().map(|&p| t.columns[p].name.clone()).collect()).collect()
}

#[test]
fn the_key_is_the_integer_primary_key_or_the_primary_key_or_the_content() {
    for (columns, key) in [
        ("id INTEGER PRIMARY KEY, a", Key::Id { column: 0, surrogate: true }),
        ("id INTEGER NOT NULL, a, PRIMARY KEY (id)", Key::Id { column: 0, surrogate: true }),
        ("a, \"the id\" integer primary key autoincrement", Key::Id { column: 1, surrogate: true }),
        ("id INT PRIMARY KEY, a", Key::Columns(vec![0])),
        ("id INTEGER PRIMARY KEY DESC, a", Key::Columns(vec![0])),
        ("id BIGINT PRIMARY KEY", Key::Columns(vec![0])),
        ("a, b, c, PRIMARY KEY (c, a)", Key::Columns(vec![2, 0])),
        ("a, b", Key::Content),
        ("a UNIQUE, b", Key::Content),
        ("id INTEGER PRIMARY KEY REFERENCES t2(id)", Key::Id { column: 0, surrogate: false }),
    ] {
        let t = table(&format!("CREATE TABLE t2(id INTEGER PRIMARY KEY); CREATE TABLE t({columns})"), "");
        assert_eq!(t.key, key, "{columns}");
    }
    let t = table("CREATE TABLE t(id INTEGER PRIMARY KEY, a) WITHOUT ROWID", "");
    assert_eq!((t.key, t.without_rowid, t.columns[0].not_null), (Key::Columns(vec![0]), true, true));
}

#[test]
fn columns_are_read_as_they_are_and_generated_ones_apart() {
    let t = table(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a VARCHAR(20) COLLATE NOCASE NOT NULL DEFAULT 'x', g AS (a || 'y') VIRTUAL,
         b DEFAULT NULL, s INT GENERATED ALWAYS AS (b + 1) STORED, c REAL DEFAULT (1 + 1))",
        "",
    );
    let columns: Vec<_> = t
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.declared_type.as_str(), c.collation.as_str(), c.not_null, c.has_default))
        .collect();
    assert_eq!(
        columns,
        [
            ("id", "INTEGER", "BINARY", false, false),
            ("a", "VARCHAR(20)", "NOCASE", true, true),
            ("b", "", "BINARY", false, false),
            ("c", "REAL", "BINARY", false, true),
        ]
    );
    assert_eq!(t.generated, ["g", "s"]);
    assert!(t.checked);
}

#[test]
fn checked_tables_are_those_whose_merged_rows_may_be_refused() {
    for (sql, checked) in [
        ("CREATE TABLE t(id INTEGER NOT NULL, a, PRIMARY KEY(id))", false),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY, a NOT NULL)", true),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY, a check (a > 0))", true),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY, \"check\" TEXT DEFAULT 'CHECK' /* CHECK */)", false),
        ("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT) STRICT", true),
        ("CREATE TABLE t(a NOT NULL, b NOT NULL, PRIMARY KEY (a, b))", false),
    ] {
        assert_eq!(table(sql, "").checked, checked, "{sql}");
    }
}

#[test]
fn unique_keys_come_with_their_terms_collations_and_conditions() {
    let t = table(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE UNIQUE, b, g AS (b + 1), UNIQUE (b, a));
         CREATE UNIQUE INDEX \"on x\" ON t(lower(a) DESC, b COLLATE RTRIM) WHERE b > 'it''s' /* here */;
         CREATE UNIQUE INDEX y ON t(g);
         CREATE INDEX z ON t(b);",
        "",
    );
    let brief: Vec<_> = t
        .uniques
        .iter()
        .map(|u| {
            let terms: Vec<_> = u.terms.iter().map(|t| (t.column, t.sql.as_str(), t.collation.as_str())).collect();
            (u.index.as_deref().unwrap(), terms, u.condition.as_deref(), u.primary)
        })
        .collect();
    assert_eq!(
        brief,
        [
            ("sqlite_autoindex_t_1", vec![(Some(1), "\"a\"", "NOCASE")], None, false),
            ("sqlite_autoindex_t_2", vec![(Some(2), "\"b\"", "BINARY"), (Some(1), "\"a\"", "NOCASE")], None, false),
            ("on x", vec![(None, "lower(a)", "BINARY"), (Some(2), "\"b\"", "RTRIM")], Some("b > 'it''s'"), false),
            ("y", vec![(None, "\"g\"", "BINARY")], None, false),
        ]
    );
    assert_eq!(
        t.uniques.iter().map(Unique::plain_columns).collect::<Vec<_>>(),
        [Some(vec![1]), Some(vec![2, 1]), None, None]
    );
    let pair = table("CREATE TABLE t(a, b, PRIMARY KEY (b, a)) WITHOUT ROWID", "");
    assert!(pair.uniques[0].primary);
    assert_eq!(pair.uniques[0].plain_columns(), Some(vec![1, 0]));
}

#[test]
fn identity_is_configured_or_unique_or_a_natural_primary_key() {
    let user = "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, mail TEXT UNIQUE, x)";
    assert_eq!(identity(user, ""), [["name"], ["mail"]]);
    assert_eq!(identity(user, "tables.t.identity = ['X', 'mail']"), [["x", "mail"]]);
    assert_eq!(identity(user, "tables.T.identity = []"), Vec::<Vec<String>>::new());
    assert_eq!(identity("CREATE TABLE t(id INTEGER PRIMARY KEY, x)", ""), Vec::<Vec<String>>::new());
    assert_eq!(identity("CREATE TABLE t(a, b, PRIMARY KEY (b, a))", ""), [["b", "a"]]);
    assert_eq!(identity("CREATE TABLE t(a PRIMARY KEY, b UNIQUE)", ""), [["b"]]);
    assert_eq!(identity("CREATE TABLE t(a, b)", ""), Vec::<Vec<String>>::new());
    assert_eq!(identity("CREATE TABLE t(id INTEGER PRIMARY KEY, x, UNIQUE (id, x))", ""), Vec::<Vec<String>>::new());
    let other = "CREATE TABLE o(id INTEGER PRIMARY KEY); CREATE TABLE t(id INTEGER PRIMARY KEY REFERENCES o, x)";
    assert_eq!(identity(other, ""), [["id"]]);
    let partial = "CREATE TABLE t(id INTEGER PRIMARY KEY, x, y); CREATE UNIQUE INDEX i ON t(x) WHERE y; CREATE UNIQUE INDEX j ON t(lower(y))";
    assert_eq!(identity(partial, ""), Vec::<Vec<String>>::new());
}

#[test]
fn references_are_declared_or_configured() {
    let schema = "CREATE TABLE Role(id INTEGER PRIMARY KEY, name TEXT UNIQUE);
        CREATE TABLE pair(a, b, PRIMARY KEY (a, b));
        CREATE TABLE t(id INTEGER PRIMARY KEY, r REFERENCES role, n REFERENCES ROLE(NAME), me REFERENCES t(id), x, y, z,
          FOREIGN KEY (x, y) REFERENCES pair(a, b), FOREIGN KEY (z) REFERENCES nowhere(id))";
    let settings = "tables.t.references = { x = 'users.user', y = 'db.role', r = 'role', n = 'users.user' }";
    let c = catalog(schema, settings);
    let t = c.table("T").unwrap();
    let mut brief: Vec<_> = t
        .references
        .iter()
        .map(|r| {
            let column = t.columns[r.column].name.as_str();
            (column, r.database.as_deref(), r.table.as_str(), r.target_column.as_str(), r.declared)
        })
        .collect();
    brief.sort_unstable();
    assert_eq!(
        brief,
        [
            ("me", None, "t", "id", true),
            ("n", None, "Role", "name", true),
            ("r", None, "Role", "id", true),
            ("x", Some("users"), "user", "", false),
            ("y", None, "Role", "id", false),
        ]
    );
    let warnings: Vec<_> = c.warnings.iter().map(|w| w.text.as_str()).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let whole: Vec<_> = t.composites.iter().map(|k| (k.parent.as_str(), k.columns.len())).collect();
    assert_eq!(whole, [("pair", 2)]);
    assert!(warnings.iter().any(|w| w.contains("`nowhere`")));
    assert!(warnings.iter().any(|w| w.contains("`users.user` is left aside")));
}

#[test]
fn columns_of_a_composite_key_refer_to_what_those_of_the_parent_stand_for() {
    let schema = "CREATE TABLE snack(id INTEGER PRIMARY KEY, e, d, k, FOREIGN KEY (e, d, k) REFERENCES break);
        CREATE TABLE break(event, day, n, PRIMARY KEY (event, day, n), FOREIGN KEY (event, day) REFERENCES shift);
        CREATE TABLE shift(event REFERENCES event(id), day, PRIMARY KEY (event, day));
        CREATE TABLE event(id INTEGER PRIMARY KEY);
        CREATE TABLE entry(id INTEGER PRIMARY KEY, event REFERENCES event, UNIQUE (event, id));
        CREATE TABLE score(id INTEGER PRIMARY KEY, ev, en, own REFERENCES snack,
          FOREIGN KEY (ev, en) REFERENCES entry(event, id), FOREIGN KEY (own, en) REFERENCES entry(id, event))";
    let c = catalog(schema, "");
    let brief = |table: &str| {
        let t = c.table(table).unwrap();
        let one =
            |r: &Reference| format!("{} {}.{} {}", t.columns[r.column].name, r.table, r.target_column, r.declared);
        let mut all: Vec<String> = t.references.iter().map(one).collect();
        all.sort();
        all
    };
    assert_eq!(brief("snack"), ["e event.id true"]);
    assert_eq!(brief("break"), ["event event.id true"]);
    assert_eq!(brief("score"), ["en entry.id true", "ev event.id true", "own snack.id true"]);
    let mut whole: Vec<(&str, &Composite)> = Vec::new();
    for t in &c.tables {
        whole.extend(t.composites.iter().map(|key| (t.name.as_str(), key)));
    }
    whole.sort_unstable_by_key(|(table, _)| *table);
    let key = |parent: &str, columns: &[(usize, usize)]| Composite { parent: parent.into(), columns: columns.into() };
    let (shift, rest) = (key("shift", &[(0, 0), (1, 1)]), key("break", &[(1, 0), (2, 1), (3, 2)]));
    let expected = [("break", &shift), ("snack", &rest)];
    assert_eq!(whole, expected);
    assert!(c.warnings.is_empty(), "{:?}", c.warnings);
}

#[test]
fn what_the_configuration_names_must_be_there() {
    let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE u(id INTEGER PRIMARY KEY)";
    for (settings, message) in [
        ("tables.nope.history = false", "names a table `nope`"),
        ("tables.t.identity = ['nope']", "`db.t` names a column `nope` under `identity`"),
        ("tables.t.columns = { nope = 'review' }", "a column `nope` under `columns`"),
        ("tables.t.modified = 'nope'", "a column `nope` under `modified`"),
        ("tables.t.references = { nope = 'u' }", "a column `nope` under `references`"),
        ("tables.t.references = { a = 'db.nope' }", "lets `a` refer to `db.nope`"),
        ("tables.t.references = { a = 'nope' }", "lets `a` refer to `nope`"),
    ] {
        let error = read(&conn(schema), "db", &config(settings)).unwrap_err().to_string();
        assert!(error.contains(message), "{settings}: {error}");
    }
}

#[test]
fn what_cannot_be_synced_is_left_out_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let db = Connection::open(&path).unwrap();
    let nothing_else = rusqlite::functions::FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("twice", 1, nothing_else, |c| c.get::<i64>(0)).unwrap();
    // A collation of the application, as if it were known here while the tables are made.
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT * FROM t; CREATE VIRTUAL TABLE f USING fts5(x);
         CREATE TABLE c(id INTEGER PRIMARY KEY, x TEXT COLLATE NOCASE);
         CREATE TABLE ci(x, y); CREATE INDEX cii ON ci(x COLLATE NOCASE);
         CREATE TABLE k(x CHECK (twice(x) > 0)); CREATE TABLE sync_log(x); CREATE TABLE _lockstep_x(x);
         CREATE TABLE \"Two Words\"(x);
         CREATE VIRTUAL TABLE geo USING rtree(id, x0, x1); CREATE TABLE map_node(x);
         PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'NOCASE', 'german');
         INSERT INTO sqlite_master VALUES ('table', 'map', 'map', 0, 'CREATE VIRTUAL TABLE map USING maplib(x)');",
    )
    .unwrap();
    drop(db);
    let fresh = crate::guest::open(&path).unwrap();
    let c = read(&fresh, "db", &config("exclude = ['SYNC_*']\ntables.sync_log.history = false")).unwrap();
    assert_eq!(c.tables.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["Two Words", "t"]);
    let reason = |name: &str| c.left_out.iter().find(|l| l.name == name).unwrap().reason.as_str();
    for (name, words) in [
        ("v", "a view"),
        ("f", "a virtual table"),
        ("f_data", "the inside of a virtual table"),
        ("f_content", "the inside of a virtual table"),
        ("map_node", "the inside of the virtual table `map`"),
        ("geo_node", "the inside of a virtual table"),
        ("c", "collation `german`"),
        ("ci", "german"),
        ("k", "twice"),
        ("sync_log", "excluded by the configuration (`SYNC_*`)"),
    ] {
        assert!(reason(name).contains(words), "{name}: {}", reason(name));
    }
    assert!(!c.left_out.iter().any(|l| l.name.starts_with("_lockstep")));
    assert!(c.warnings.iter().any(|w| w.table == "sync_log"), "{:?}", c.warnings);
}

#[test]
fn odd_names_are_read() {
    for name in ["two words", "it's \"quoted\"", "select", "größe", "t.t", "[x]", "a--b", "%s", "_lockstepx"] {
        let q = quote(name);
        let c = catalog(
            &format!("CREATE TABLE {q}({q} INTEGER PRIMARY KEY, \"p {name}\" REFERENCES {q}, UNIQUE (\"p {name}\"))")
                .replace("\"p it's \"quoted\"\"", "\"p it's \"\"quoted\"\"\""),
            "",
        );
        let t = c.table(name).unwrap_or_else(|| panic!("{name}: {c:?}"));
        assert_eq!((t.columns[0].name.as_str(), t.references[0].target_column.as_str()), (name, name));
        assert_eq!(t.uniques[0].plain_columns(), Some(vec![1]));
    }
}

#[test]
fn the_fingerprint_is_of_what_both_sides_must_say_alike() {
    let schema = "CREATE TABLE o(id INTEGER PRIMARY KEY);
        CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b, r REFERENCES o); CREATE UNIQUE INDEX i ON t(a)";
    let start = table(schema, "");
    for (what, schema, settings) in [
        (
            "order, case, types, defaults",
            "CREATE TABLE O(ID INTEGER PRIMARY KEY); CREATE TABLE T(B INT DEFAULT 7, R REFERENCES o, A VARCHAR UNIQUE, ID INTEGER PRIMARY KEY)",
            "",
        ),
        (
            "history, modified, guard",
            schema,
            "tables.t = { history = false, modified = 'b', guard = { rows = 1, share = 0.1 } }",
        ),
        ("what says what is so anyway", schema, "tables.t = { identity = ['a'], columns = { b = 'newest' } }"),
        (
            "a configured reference instead of a declared one",
            "CREATE TABLE o(id INTEGER PRIMARY KEY); CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE, b, r)",
            "tables.t.references = { r = 'o' }",
        ),
    ] {
        assert_eq!(fingerprint(&table(schema, settings)), fingerprint(&start), "{what}");
    }
    for (what, schema, settings) in [
        ("a column more", schema.replace("a TEXT", "a TEXT, c"), ""),
        ("another unique key", schema.replace("t(a)", "t(a, b)"), ""),
        ("identity", schema.to_owned(), "tables.t.identity = ['b']"),
        ("a reference", schema.to_owned(), "tables.t.references = { b = 'o' }"),
        ("policy", schema.to_owned(), "tables.t.policy = 'review'"),
        ("policy of a column", schema.to_owned(), "tables.t.columns = { b = 'prefer:pit' }"),
        ("merge", schema.to_owned(), "tables.t.merge = 'row'"),
        ("another key", schema.replace("id INTEGER PRIMARY KEY, a", "id INT PRIMARY KEY, a"), ""),
    ] {
        let other = table(&schema, settings);
        assert_ne!(fingerprint(&other), fingerprint(&start), "{what}");
        let keeps_rules = matches!(what, "a column more");
        assert_eq!(rules(&other) == rules(&start), keeps_rules, "{what}");
    }
    let mut other = start.clone();
    other.config.policy = Policy::Review;
    other.config.merge = MergeUnit::Row;
    assert_ne!(rules(&other), rules(&start));
}

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

#[test]
fn inserts_updates_and_deletes_are_logged() {
    let w = World::new("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b)");
    expect(&w, "INSERT INTO t VALUES (1, 'x', 2), (2, 'y', NULL)", &["Insert (1)", "Insert (2)"]);
    expect(&w, "UPDATE t SET b = 3 WHERE id = 1", &["Update (1) 2=2"]);
    expect(&w, "UPDATE t SET b = 4 WHERE id = 2", &["Update (2) 2=null"]);
    expect(&w, "UPDATE t SET a = a, b = b", &[]);
    expect(&w, "UPDATE t SET id = 7, a = 'z' WHERE id = 1", &["Update (1) -> (7) 0=1 1='x'"]);
    expect(&w, "DELETE FROM t", &["Delete (2) 0=2 1='y' 2=4", "Delete (7) 0=7 1='z' 2=3"]);
}

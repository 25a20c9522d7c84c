//! Replicas in a temporary folder, an application that writes them, and an exchange without a network.
#![allow(dead_code)]
use lockstep_engine::change::Batch;
use lockstep_engine::config::DatabaseConfig;
use lockstep_engine::database::{AttachOptions, Sibling, attach};
use lockstep_engine::id::{Host, Millis};
use lockstep_engine::value::Value;
use lockstep_engine::{Database, Error, Limit};
use rusqlite::Connection;
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// One database file on one node.
pub struct Replica {
    pub name: String,
    pub database: String,
    pub path: PathBuf,
    pub siblings: Vec<Sibling>,
    /// The application's own connection.
    pub app: Connection,
}

thread_local! {
    /// Virtual time.
    pub static NOW: Cell<i64> = const { Cell::new(1_900_000_000_000) };
    /// The next database that is opened breaks off after so many steps of SQLite's machine.
    pub static BREAK: Cell<Option<u64>> = const { Cell::new(None) };
}

pub fn now() -> Millis {
    NOW.with(|n| {
        n.set(n.get() + 1);
        Millis(n.get())
    })
}

pub fn config(toml: &str) -> DatabaseConfig {
    toml::from_str(toml).expect("the test's configuration")
}

impl Replica {
    pub fn new(dir: &Path, name: &str, schema: &str) -> Replica {
        Replica::named(dir, name, "main", schema)
    }

    pub fn named(dir: &Path, name: &str, database: &str, schema: &str) -> Replica {
        let path = dir.join(format!("{name}-{database}.db"));
        let app = Connection::open(&path).unwrap();
        app.execute_batch("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON;").unwrap();
        app.execute_batch(schema).unwrap();
        Replica { name: name.into(), database: database.into(), path, siblings: Vec::new(), app }
    }

    pub fn attach(self, toml: &str) -> Replica {
        let host = self.host();
        self.attach_on(&host, toml)
    }

    pub fn attach_on(self, host: &Host, toml: &str) -> Replica {
        let seed = self
            .name
            .bytes()
            .chain(self.database.bytes())
            .fold(7u64, |a, b| a.wrapping_mul(31).wrapping_add(u64::from(b)));
        let mut state = seed | 1;
        let mut entropy = |b: &mut [u8]| {
            for x in b {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *x = state as u8;
            }
        };
        attach(
            &self.path,
            &self.database,
            &config(toml),
            &self.siblings,
            &AttachOptions::default(),
            now(),
            &mut entropy,
            &mut |_, _| {},
        )
        .unwrap();
        self.open().live_on(host, now()).unwrap();
        self
    }

    /// The node that it lives on, unless a test says otherwise: what it is called, without a number.
    pub fn host(&self) -> Host {
        let name = self.name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        let mut node = [0; 32];
        node.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        Host { node, name }
    }

    /// Every second replica takes rows whole: those that don't have to agree with it.
    pub fn open(&self) -> Database {
        let mut db = Database::open(&self.path, &self.siblings).unwrap();
        db.take_rows_whole(self.name.starts_with('b'));
        if let Some(mut left) = BREAK.take() {
            let step = move || {
                left = left.saturating_sub(1);
                left == 0
            };
            db.on_step(Some(step)).unwrap();
        }
        db
    }

    pub fn sql(&self, sql: &str) -> &Replica {
        now();
        self.app.execute_batch(sql).unwrap_or_else(|e| panic!("{}: {sql}: {e}", self.name));
        self
    }

    /// The application writes at this time, in milliseconds, whatever the clock says; harvested at once.
    pub fn sql_at(&self, at: i64, sql: &str) {
        let logs = self.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB '_lockstep_log_*'");
        let newest = |log: &String| self.rows(&format!("SELECT coalesce(max(i), 0) FROM {log}"))[0].clone();
        let before: Vec<(String, String)> = logs.iter().map(|log| (log.clone(), newest(log))).collect();
        self.sql(sql);
        let day = at as f64 / 86_400_000.0 + 2_440_587.5;
        for (log, newest) in before {
            self.app.execute(&format!("UPDATE {log} SET at = ?1 WHERE i > {newest}"), [day]).unwrap();
        }
        self.open().harvest(Millis(at)).unwrap();
    }

    /// Rows as text, one a line.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let mut q = self.app.prepare(sql).unwrap();
        let n = q.column_count();
        let rows = q
            .query_map([], |r| {
                let cells: Vec<String> = (0..n)
                    .map(|i| {
                        Ok(match Value::from(r.get_ref(i)?) {
                            Value::Null => "-".into(),
                            Value::Integer(i) => i.to_string(),
                            Value::Real(f) => format!("{f:?}"),
                            Value::Text(b) => String::from_utf8_lossy(&b).into_owned(),
                            Value::Blob(b) => format!("x{b:02x?}"),
                        })
                    })
                    .collect::<rusqlite::Result<_>>()?;
                Ok(cells.join(" "))
            })
            .unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    pub fn harvest(&self) {
        self.open().harvest(now()).unwrap();
    }

    /// Everything is where it should be.
    pub fn sound(&self) {
        let v = self.open().verify(now()).unwrap();
        assert!(v.well(), "{}: {v:#?}", self.name);
        let ok: String = self.app.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
        assert_eq!(ok, "ok");
    }
}

/// `to` gets what `from` has, in batches of at most `items`. True: something came.
pub fn pull_by(to: &Replica, from: &Replica, items: usize) -> bool {
    let mut any = false;
    loop {
        let have = to.open().vectors().unwrap();
        let batch: Batch = from.open().extract(&have, Limit { items, bytes: 1 << 20 }, now()).unwrap();
        any |= !batch.items.is_empty() || !batch.end.is_empty();
        match to.open().apply(&batch, now()) {
            Ok(_) => {}
            Err(Error::StartNotReached { .. }) => continue,
            Err(e) => panic!("{} <- {}: {e}", to.name, from.name),
        }
        if batch.last {
            return any;
        }
    }
}

pub fn pull(to: &Replica, from: &Replica) -> bool {
    pull_by(to, from, 1000)
}

/// Both ways until neither has news.
pub fn sync(a: &Replica, b: &Replica) {
    for _ in 0..8 {
        let x = pull(a, b);
        let y = pull(b, a);
        if !x && !y {
            return;
        }
    }
    panic!("{} and {} don't come to rest", a.name, b.name);
}

/// All with all, until none has news; then all digests are the same.
pub fn settle(all: &[&Replica]) {
    for _ in 0..8 {
        let mut any = false;
        for a in all {
            for b in all {
                if a.name != b.name {
                    any |= pull(a, b);
                }
            }
        }
        if !any {
            same_digests(all);
            for r in all {
                r.sound();
            }
            return;
        }
    }
    panic!("no rest");
}

pub fn same_digests(all: &[&Replica]) {
    let key = all.iter().map(|r| r.open().summary().unwrap().digest_key).min().unwrap();
    // Not the rows: how many are shown may differ while something is held.
    let digests: Vec<Vec<(String, u128)>> = all
        .iter()
        .map(|r| {
            let mut db = r.open();
            db.adopt_digest_key(key, now()).unwrap();
            let mut list: Vec<_> = db
                .summary()
                .unwrap()
                .tables
                .into_iter()
                .filter(|t| !t.vector.is_empty())
                .map(|t| (t.name, t.digest))
                .collect();
            list.sort();
            list
        })
        .collect();
    for (d, r) in digests.iter().zip(all) {
        assert_eq!(d, &digests[0], "digests of {} and {}", all[0].name, r.name);
    }
}

/// Does the net hold? Each of these cases ends well, and does not when its rule of the merge is left out.
#[cfg(feature = "stops")]
pub fn notice(cases: &[(lockstep_engine::rule::Rule, fn())]) {
    use lockstep_engine::rule::leave_out;
    cases.iter().for_each(|(_, case)| case());
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (rule, case) in cases {
        leave_out(Some(*rule));
        if std::panic::catch_unwind(case).is_ok() {
            missed.push(rule.name());
        }
        leave_out(None);
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "the cases end well without these rules: {missed:?}");
}

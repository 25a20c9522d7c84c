//! Nodes with their files, and what can be done to them.
use super::oracle::{Oracle, Row, Snapshot, by_tag, text};
use super::schedule::{Op, Schedule, Statement};
use super::schema::{DATABASES, Role, Schema, Table, quote};
use crate::replicas::Replica;
use lockstep_engine::change::Batch;
use lockstep_engine::contact::Began;
use lockstep_engine::database::{Applied, Held, Sibling};
use lockstep_engine::id::Millis;
use lockstep_engine::{Database, Error, Limit};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};

#[path = "breaks.rs"]
pub mod breaks;
#[path = "ending.rs"]
mod ending;
#[path = "stage.rs"]
mod stage;

/// Of the nodes.
pub const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

const START: i64 = 1_900_000_000_000;

/// So much ahead of its own clock, in milliseconds, a node takes a stamp for wrong.
const GUARD: i64 = 10 * 60 * 1000;

pub struct Node {
    pub dbs: Vec<Replica>,
    pub skew: i64,
    /// By table and id: the tag of the last row that had it.
    ids: BTreeMap<(usize, i64), String>,
    /// Rows that its application wrote since the last harvest.
    touched: BTreeSet<(usize, String)>,
    /// Nothing was written since the last harvest.
    at_rest: bool,
    /// By database and log: the newest row that has its time.
    stamped: BTreeMap<(usize, String), i64>,
    /// It has the later version of the application.
    late: bool,
}

pub struct World {
    pub schema: Schema,
    pub nodes: Vec<Node>,
    pub oracle: Oracle,
    pub step: i64,
    sent: Vec<(usize, usize, Batch)>,
    fresh: u32,
    pub trace: bool,
    /// The next statement may leave references pointing to nothing.
    careless: bool,
    /// How far ahead any clock ever was, in milliseconds.
    farthest: i64,
    _dir: tempfile::TempDir,
}

type Checked = Result<(), String>;

fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
}

impl World {
    pub fn new(schema: Schema, s: &Schedule, seed: u64, trace: bool) -> Result<World, String> {
        let dir = folder();
        let mut nodes = Vec::new();
        for (n, called) in NAMES.iter().enumerate().take(s.nodes) {
            let mut dbs = Vec::new();
            for (db, name) in DATABASES.iter().enumerate().take(schema.databases()) {
                let r = Replica::named(dir.path(), &format!("{}{}", called, seed % 7), name, &schema.sql(db));
                let off = if s.loose[n] { "OFF" } else { "ON" };
                r.app
                    .execute_batch(&format!("PRAGMA foreign_keys = {off}; PRAGMA synchronous = OFF;"))
                    .expect("pragmas");
                dbs.push(r);
            }
            nodes.push(Node {
                dbs,
                skew: s.skews[n],
                ids: BTreeMap::new(),
                touched: BTreeSet::new(),
                at_rest: false,
                stamped: BTreeMap::new(),
                late: false,
            });
        }
        let mut w = World {
            schema,
            nodes,
            oracle: Oracle::default(),
            step: 0,
            sent: Vec::new(),
            fresh: 0,
            trace,
            careless: false,
            farthest: s.skews.iter().copied().max().unwrap_or(0).max(0),
            _dir: dir,
        };
        for n in 0..s.nodes {
            for st in &s.before[n] {
                w.statement(n, *st);
            }
            if s.copies && n == 0 {
                w.oracle.copied(s.nodes);
                (1..s.nodes).for_each(|n| w.copy_from_first(n));
            }
        }
        if s.copies {
            w.link_copies();
        }
        w.oracle.began();
        crate::replicas::NOW.with(|t| t.set(START));
        for n in 0..s.nodes {
            let node = std::mem::take(&mut w.nodes[n].dbs);
            let mut done: Vec<Replica> = Vec::new();
            // What is referred to goes first.
            for mut r in node.into_iter().rev() {
                r.siblings.extend(done.iter().map(|d| Sibling { name: d.database.clone(), path: d.path.clone() }));
                let db = DATABASES.iter().position(|d| *d == r.database).expect("one of them");
                done.push(r.attach(&w.schema.config(db)));
            }
            done.reverse();
            w.nodes[n].dbs = done;
            // Which ids rows had before that went before, nobody can know.
            w.nodes[n].ids.clear();
            w.note_ids(n);
        }
        if s.copies {
            w.began_as_copies();
        }
        Ok(w)
    }

    /// Every node knows that the files of all began as copies.
    fn began_as_copies(&mut self) {
        for db in 0..self.schema.databases() {
            let ids: Vec<_> = self.nodes.iter().map(|n| n.dbs[db].open().summary().expect("summary").replica).collect();
            for n in &self.nodes {
                let mut open = n.dbs[db].open();
                for id in &ids {
                    open.began(*id, Began::Copies, Millis(START)).expect("a copy");
                }
            }
        }
    }

    /// The files of a node begin with the rows of the first one's.
    fn copy_from_first(&mut self, n: usize) {
        for db in 0..self.schema.databases() {
            let app = &self.nodes[n].dbs[db].app;
            let from = self.nodes[0].dbs[db].path.to_string_lossy().into_owned();
            app.execute("ATTACH ?1 AS first", [from]).expect("the first node's file");
            let on: i64 = app.query_row("PRAGMA foreign_keys", [], |r| r.get(0)).expect("a pragma");
            app.execute_batch("PRAGMA foreign_keys = OFF").expect("a pragma");
            for t in self.schema.tables.iter().filter(|t| t.db == db && !t.late) {
                let name = quote(&t.name);
                app.execute_batch(&format!("INSERT INTO main.{name} SELECT * FROM first.{name}")).expect("a copy");
            }
            app.execute_batch(&format!("PRAGMA foreign_keys = {on}; DETACH first")).expect("a pragma");
        }
    }

    /// Rows that have one id in files that began as copies are one.
    fn link_copies(&mut self) {
        let snaps: Vec<Snapshot> = (0..self.nodes.len()).map(|n| self.snapshot(n)).collect();
        for (t, table) in self.schema.tables.iter().enumerate() {
            let (Some(id), Some(tag)) = (table.id(), table.tag()) else { continue };
            let mut first: BTreeMap<String, &str> = BTreeMap::new();
            for row in snaps.iter().flat_map(|s| &s[t]) {
                if let Some(x) = text(&row.values[tag]) {
                    let one = *first.entry(format!("{:?}", row.values[id])).or_insert(x);
                    self.oracle.link(one, x);
                }
            }
        }
    }

    fn has(&self, n: usize, late: bool) -> bool {
        !late || self.nodes[n].late
    }

    pub fn now(&self, n: usize) -> Millis {
        Millis(START + self.step * 1000 + self.nodes[n].skew)
    }

    /// A clock is off by this many milliseconds from now on.
    #[allow(dead_code, reason = "only the simulation sets clocks")]
    pub fn set_clock(&mut self, n: usize, skew: i64) {
        self.farthest = self.farthest.max(skew);
        self.nodes[n].skew = skew;
    }

    pub fn snapshot(&self, n: usize) -> Snapshot {
        let late = self.nodes[n].late;
        self.schema.tables.iter().map(|t| rows_of(&self.nodes[n].dbs[t.db].app, t, late)).collect()
    }

    fn number(&mut self) -> u32 {
        self.fresh += 1;
        self.fresh
    }

    // ---- the application

    /// One statement of an application, if the rows allow it. The oracle learns what it did.
    fn statement(&mut self, n: usize, Statement([code, a, b, c, d]): Statement) {
        let t = a as usize % self.schema.tables.len();
        let table = self.schema.tables[t].clone();
        if !self.has(n, table.late) {
            return;
        }
        let before = self.snapshot(n);
        let code = if before[t].len() < 2 { code % 9 } else { code };
        match code % 24 {
            0..=6 => self.insert(n, t, &before, [b, c, d], ["INSERT", "INSERT OR IGNORE"][usize::from(d % 9 == 0)]),
            7 => self.insert(n, t, &before, [b, c, d], "INSERT OR REPLACE"),
            8 => self.insert(n, t, &before, [b, c, d], "UPSERT"),
            9..=13 => self.update(n, t, &before, [b, c, d], "UPDATE"),
            14 => self.update(n, t, &before, [b, c, d], "UPDATE OR REPLACE"),
            15 | 16 => self.update_reference(n, t, &before, b, c, d),
            17..=19 => {
                let sql = format!("DELETE FROM {}", quote(&table.name));
                self.on_row((n, t), &before, b, &sql, Vec::new(), false);
            }
            20 => self.swap(n, t, &before, b, c),
            21 => self.renumber(n, t, &before, b, c),
            22 => {
                // Many rows at once.
                if let Some(p) = table.columns.iter().position(|x| x.role == Role::Number) {
                    let sql = format!(
                        "UPDATE {} SET {2} = {2} + 1 WHERE {2} < {1}",
                        quote(&table.name),
                        b % 4,
                        quote(&table.columns[p].name)
                    );
                    self.run(n, table.db, &sql, &[], false);
                } else if let Some(p) = table.place(&Role::Value).filter(|&p| self.has(n, table.columns[p].late)) {
                    let v = format!("<m{}>", self.number());
                    let name = quote(&table.columns[p].name);
                    let all: Vec<Row> = before[t].clone();
                    for (i, _) in all.iter().enumerate() {
                        let sql = format!("UPDATE {} SET {name} = ?1", quote(&table.name));
                        self.on_row((n, t), &before, i as u32, &sql, vec![Value::Text(format!("{v}{i}>"))], false);
                    }
                }
            }
            _ => {
                if c % 3 == 0 {
                    self.run(n, table.db, "VACUUM", &[], false);
                } else if let Some(p) = table.columns.iter().position(|x| x.role == Role::Key) {
                    let sql =
                        format!("DELETE FROM {} WHERE {} = ?1", quote(&table.name), quote(&table.columns[p].name));
                    self.run(n, table.db, &sql, &[key(b)], false);
                }
            }
        }
    }

    /// Runs one statement of the application; what constraints forbid does not happen.
    fn run(&mut self, n: usize, db: usize, sql: &str, values: &[Value], replace: bool) -> bool {
        let before = self.snapshot(n);
        // A row that gets another key while references name it by the old one: what that means is not settled.
        let careful = replace || sql.starts_with("UPDATE") && !self.careless;
        if careful {
            self.nodes[n].dbs[db].app.execute_batch("SAVEPOINT careful").expect("a savepoint");
        }
        let done = self.nodes[n].dbs[db].app.execute(sql, params_from_iter(values));
        if careful {
            let dangles = done.is_ok() && dangling(&self.schema, &self.snapshot(n)) > dangling(&self.schema, &before);
            let end = if dangles { "ROLLBACK TO careful; RELEASE careful" } else { "RELEASE careful" };
            self.nodes[n].dbs[db].app.execute_batch(end).expect("its end");
            if dangles {
                return false;
            }
        }
        if self.trace {
            eprintln!(
                "    {}.{}: {sql} {values:?} -> {done:?}",
                self.nodes[n].dbs[db].name, self.nodes[n].dbs[db].database
            );
        }
        match done {
            Ok(0) => return false,
            Ok(_) => self.nodes[n].at_rest = false,
            Err(rusqlite::Error::SqliteFailure(e, _)) if e.code == rusqlite::ErrorCode::ConstraintViolation => {
                return false;
            }
            Err(e) => panic!("{sql}: {e}"),
        }
        let after = self.snapshot(n);
        self.oracle.now = self.now(n).0;
        self.oracle.learn(&self.schema, n, &before, &after, replace);
        for (t, table) in self.schema.tables.iter().enumerate() {
            let old = by_tag(table, &before[t]);
            for (tag, row) in by_tag(table, &after[t]) {
                if old.get(tag) != Some(&row) {
                    self.nodes[n].touched.insert((t, tag.to_owned()));
                }
            }
        }
        self.note_ids(n);
        true
    }

    fn note_ids(&mut self, n: usize) {
        let snap = self.snapshot(n);
        for (t, table) in self.schema.tables.iter().enumerate() {
            if let (Some(id), Some(tag)) = (table.id(), table.tag()) {
                for r in &snap[t] {
                    if let (Value::Integer(i), Some(tag)) = (&r.values[id], text(&r.values[tag])) {
                        self.nodes[n].ids.insert((t, *i), tag.to_owned());
                    }
                }
            }
        }
    }

    fn on_row(
        &mut self,
        (n, t): (usize, usize),
        before: &Snapshot,
        at: u32,
        sql: &str,
        mut values: Vec<Value>,
        replace: bool,
    ) -> bool {
        let table = self.schema.tables[t].clone();
        let rows = &before[t];
        if rows.is_empty() {
            return false;
        }
        let row = &rows[at as usize % rows.len()];
        let mut locate = Vec::new();
        match row.rowid {
            Some(id) => {
                values.push(Value::Integer(id));
                locate.push(format!("rowid = ?{}", values.len()));
            }
            None => {
                for &k in &table.key {
                    values.push(row.values[k].clone());
                    locate.push(format!("{} = ?{}", quote(&table.columns[k].name), values.len()));
                }
            }
        }
        self.run(n, table.db, &format!("{sql} WHERE {}", locate.join(" AND ")), &values, replace)
    }

    fn value(&mut self, d: u32) -> Value {
        match d % 17 {
            0 => Value::Null,
            1 => Value::Integer(i64::from(d)),
            2 => Value::Real(f64::from(d) / 3.0),
            3 => Value::Blob(vec![0, 255, d as u8]),
            4 => Value::Integer(i64::MAX - i64::from(d)),
            5 => Value::Text(format!("{d}\0x")),
            6 => Value::Real(f64::from(d % 4)),
            7 => Value::Integer(i64::from(d % 4)),
            8 => Value::Real(f64::INFINITY),
            _ => Value::Text(format!("<v{}>", self.number())),
        }
    }

    /// A row for a reference: its value there, and a copy of its tag.
    fn named(&mut self, n: usize, before: &Snapshot, to: usize, target: usize, by: u32) -> Option<(Value, Value)> {
        let rows = &before[to];
        let tag = self.schema.tables[to].tag()?;
        if rows.is_empty() {
            return None;
        }
        let row = &rows[by as usize % rows.len()];
        let _ = n;
        let copy = format!("{}#{}", text(&row.values[tag])?, self.number());
        Some((row.values[target].clone(), Value::Text(copy)))
    }

    fn insert(&mut self, n: usize, t: usize, before: &Snapshot, [b, c, d]: [u32; 3], verb: &str) {
        let table = self.schema.tables[t].clone();
        for p in table.refs() {
            if let Role::Ref { to, not_null: true, .. } = table.columns[p].role
                && before[to].is_empty()
                && to != t
            {
                return self.insert(n, to, before, [b, c, d], "INSERT");
            }
        }
        let (mut names, mut values) = (Vec::new(), Vec::new());
        let mut copies: BTreeMap<usize, Value> = BTreeMap::new();
        for (p, col) in table.columns.iter().enumerate() {
            if !self.has(n, col.late) {
                continue;
            }
            let salt = d.wrapping_mul(31).wrapping_add(p as u32 * 7);
            let v = match &col.role {
                Role::Id => {
                    let explicit = verb != "INSERT" || c % 6 == 0;
                    if !explicit || d % 3 == 0 {
                        continue;
                    }
                    Value::Integer(1 + i64::from(b % 6))
                }
                Role::Tag => Value::Text(format!("T{}", self.number())),
                Role::Value => self.value(salt),
                Role::Key if c % 11 == 0 => Value::Null,
                Role::Key => key(c.wrapping_add(p as u32)),
                Role::Number => Value::Integer(i64::from(salt % 3)),
                Role::Ref { to, target, not_null, .. } => {
                    let found = if !not_null && salt % 4 == 0 {
                        None
                    } else {
                        self.named(n, before, *to, *target, b.wrapping_add(p as u32))
                    };
                    let (v, copy) = found.unwrap_or_else(|| (Value::Null, Value::Text(format!("none#{}", d))));
                    copies.insert(p, copy);
                    v
                }
                Role::CopyOf(of) => copies[of].clone(),
            };
            names.push(quote(&col.name));
            values.push(v);
        }
        let marks: Vec<String> = (1..=values.len()).map(|i| format!("?{i}")).collect();
        let (verb, tail) = if verb == "UPSERT" {
            let Some(p) = table.place(&Role::Value).filter(|&p| self.has(n, table.columns[p].late)) else { return };
            let name = quote(&table.columns[p].name);
            ("INSERT", format!(" ON CONFLICT DO UPDATE SET {name} = excluded.{name}"))
        } else {
            (verb, String::new())
        };
        let sql =
            format!("{verb} INTO {} ({}) VALUES ({}){tail}", quote(&table.name), names.join(", "), marks.join(", "));
        self.run(n, table.db, &sql, &values, verb.contains("REPLACE"));
    }

    fn update(&mut self, n: usize, t: usize, before: &Snapshot, [b, c, d]: [u32; 3], verb: &str) {
        let table = self.schema.tables[t].clone();
        let places: Vec<usize> = (0..table.columns.len())
            .filter(|&p| matches!(table.columns[p].role, Role::Value | Role::Key | Role::Number))
            .filter(|&p| self.has(n, table.columns[p].late))
            .collect();
        if places.is_empty() {
            return;
        }
        let mut set = Vec::new();
        let mut values = Vec::new();
        let first = places[c as usize % places.len()];
        let mut chosen = vec![first];
        if d % 5 == 0 {
            chosen = places;
        }
        for p in chosen {
            let v = match table.columns[p].role {
                Role::Key if d % 7 == 0 => Value::Null,
                Role::Key => key(d),
                Role::Number => Value::Integer(i64::from(d % 3)),
                _ => self.value(d.wrapping_add(p as u32)),
            };
            values.push(v);
            set.push(format!("{} = ?{}", quote(&table.columns[p].name), values.len()));
        }
        let sql = format!("{verb} {} SET {}", quote(&table.name), set.join(", "));
        self.on_row((n, t), before, b, &sql, values, verb.contains("REPLACE"));
    }

    fn update_reference(&mut self, n: usize, t: usize, before: &Snapshot, b: u32, c: u32, d: u32) {
        let table = self.schema.tables[t].clone();
        let refs = table.refs();
        if refs.is_empty() || before[t].is_empty() {
            return;
        }
        let p = refs[c as usize % refs.len()];
        let Role::Ref { to, target, not_null, .. } = table.columns[p].role else { return };
        let (v, copy) = if d.is_multiple_of(7) && !not_null {
            (Value::Null, Value::Text(format!("none#{}", self.number())))
        } else if d % 13 == 1 && self.schema.tables[to].id() == Some(target) {
            // An id that perhaps is not there.
            (Value::Integer(1 + i64::from(d % 9)), Value::Text(format!("none#{}", self.number())))
        } else {
            match self.named(n, before, to, target, d) {
                Some(x) => x,
                None => return,
            }
        };
        let row = &before[t][b as usize % before[t].len()];
        if row.values[p] == v {
            return;
        }
        let mut set = vec![format!("{} = ?1", quote(&table.columns[p].name))];
        let mut values = vec![v];
        if let Some(k) = table.copy_of(p) {
            set.push(format!("{} = ?2", quote(&table.columns[k].name)));
            values.push(copy);
        }
        let sql = format!("UPDATE {} SET {}", quote(&table.name), set.join(", "));
        self.careless = true;
        self.on_row((n, t), before, b, &sql, values, false);
        self.careless = false;
    }

    /// Two unique values change places.
    fn swap(&mut self, n: usize, t: usize, before: &Snapshot, b: u32, c: u32) {
        let table = self.schema.tables[t].clone();
        let (Some(&p), true) = (table.unique.first(), before[t].len() > 1) else { return };
        let len = before[t].len();
        let (i, k) = (b as usize % len, (b as usize + 1 + c as usize % (len - 1)) % len);
        let (x, y) = (before[t][i].values[p].clone(), before[t][k].values[p].clone());
        let hole = match x {
            Value::Integer(_) => Value::Integer(1000 + i64::from(self.number())),
            _ => Value::Text(format!("tmp{}", self.number())),
        };
        let sql = format!("UPDATE {} SET {} = ?1", quote(&table.name), quote(&table.columns[p].name));
        if !self.on_row((n, t), before, i as u32, &sql, vec![hole], false) {
            return;
        }
        // The key of the first row may have changed with it: found again by its tag.
        let Some(tag) = table.tag() else { return };
        self.on_row((n, t), before, k as u32, &sql, vec![x], false);
        let now = self.snapshot(n);
        if let Some(at) = now[t].iter().position(|r| r.values[tag] == before[t][i].values[tag]) {
            self.on_row((n, t), &now, at as u32, &sql, vec![y], false);
        }
    }

    /// A row gets another id.
    fn renumber(&mut self, n: usize, t: usize, before: &Snapshot, b: u32, c: u32) {
        let table = self.schema.tables[t].clone();
        let Some(id) = table.id() else { return };
        let to = if c.is_multiple_of(2) { 20 + i64::from(self.number()) } else { 1 + i64::from(c % 8) };
        let sql = format!("UPDATE {} SET {} = ?1", quote(&table.name), quote(&table.columns[id].name));
        self.on_row((n, t), before, b, &sql, vec![Value::Integer(to)], false);
    }

    /// Gives the new log rows the time of that node's clock.
    fn stamp_logs(&mut self, n: usize, at: Millis) {
        let day = at.0 as f64 / 86_400_000.0 + 2_440_587.5;
        let Node { dbs, stamped, .. } = &mut self.nodes[n];
        for (db, replica) in dbs.iter().enumerate() {
            let app = &replica.app;
            let logs: Vec<String> = app
                .prepare_cached("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB '_lockstep_log_*'")
                .and_then(|mut q| q.query_map([], |r| r.get(0))?.collect())
                .expect("logs");
            for log in logs {
                let done = stamped.get(&(db, log.clone())).copied().unwrap_or(0);
                app.execute(&format!("UPDATE {log} SET at = ?1 WHERE i > ?2"), (day, done)).expect("times");
                let newest: Option<i64> =
                    app.query_row(&format!("SELECT max(i) FROM {log}"), [], |r| r.get(0)).expect("newest");
                stamped.insert((db, log), newest.unwrap_or(0));
            }
        }
    }

    pub fn application(&mut self, n: usize, statements: &[Statement]) {
        for (k, s) in statements.iter().enumerate() {
            self.statement(n, *s);
            let at = Millis(self.now(n).0 + k as i64);
            self.stamp_logs(n, at);
        }
    }

    // ---- what Lockstep does

    pub fn step(&mut self, op: &Op) -> Checked {
        self.step += 1;
        if self.trace && *op != Op::Nothing {
            eprintln!("{} {op:?}", self.step);
        }
        match op {
            Op::App { node, statements, harvest } => {
                self.application(*node, statements);
                if *harvest { self.harvest(*node) } else { Ok(()) }
            }
            Op::Pull { to, from, db, items, lost, stop, write } => {
                let dbs = self.schema.databases();
                let which = match (*db, dbs) {
                    (0, _) => 0..1,
                    (1, 3) if self.step % 2 == 0 => 2..3,
                    (1, 2 | 3) => 1..2,
                    _ => 0..dbs,
                };
                for db in which.rev() {
                    self.pull(*to, *from, db, *items, (*lost, *stop, *write))?;
                }
                Ok(())
            }
            Op::Again(k) => {
                if self.sent.is_empty() {
                    return Ok(());
                }
                let (to, db, batch) = self.sent[k % self.sent.len()].clone();
                self.deliver(to, db, &batch).map(|_| ())
            }
            Op::Harvest(n) => self.harvest(*n),
            Op::Squeeze { node, up } => {
                self.squeeze(*node, *up);
                Ok(())
            }
            Op::Edit(n) => {
                self.edit_latest(*n);
                Ok(())
            }
            Op::Drop(n) => {
                let sql = format!("DELETE FROM {}", quote(&self.schema.tables[0].name));
                self.write_latest((*n, 0), &|_| true, &sql, Vec::new());
                Ok(())
            }
            Op::Child(n) => {
                self.child_of_latest(*n);
                Ok(())
            }
            Op::Migrate(n) => {
                self.migrate(*n);
                Ok(())
            }
            Op::Nothing => Ok(()),
        }
    }

    /// The later version of the application comes, and changes its files.
    fn migrate(&mut self, n: usize) {
        if !std::mem::replace(&mut self.nodes[n].late, true) {
            for db in 0..self.schema.databases() {
                self.nodes[n].dbs[db].app.execute_batch(&self.schema.steps(db)).expect("a migration");
            }
            self.nodes[n].at_rest = false;
        }
    }

    /// Lockstep looks at the files of a node, whether anything was written or not.
    #[allow(dead_code, reason = "only the simulation lets time pass")]
    pub fn look(&mut self, n: usize) -> Checked {
        self.nodes[n].at_rest = false;
        self.harvest(n)
    }

    /// A harvest undoes nothing that the application wrote.
    pub fn harvest(&mut self, n: usize) -> Checked {
        let before = self.snapshot(n);
        if self.nodes[n].at_rest {
            return Ok(());
        }
        self.nodes[n].at_rest = true;
        // A row of which something is held may change: what waited may be due, or free by what was written (merge-rules
        // 5, 19 and 20). So may one that got the key of a row that waits: from now on they are one. No other row of its
        // table may.
        let waits: Vec<(usize, Option<String>)> = self.held(n).into_iter().map(|(t, h)| (t, h.key)).collect();
        let mut held: BTreeSet<(usize, String)> = BTreeSet::new();
        for (t, table) in self.schema.tables.iter().enumerate() {
            for (tag, row) in by_tag(table, &before[t]) {
                let is_held = |key: &String| table.id().is_none_or(|p| *key == plain_id(&row.values[p]));
                if waits.iter().any(|(of, key)| *of == t && key.as_ref().is_some_and(is_held)) {
                    held.insert((t, tag.to_owned()));
                }
            }
        }
        let classes = self.oracle.classes();
        for db in (0..self.nodes[n].dbs.len()).rev() {
            self.nodes[n].dbs[db].open().harvest(self.now(n)).map_err(|e| format!("harvest: {e}"))?;
        }
        if self.nodes[n].late {
            self.oracle.watches(n);
        }
        let after = self.snapshot(n);
        for (t, tag) in std::mem::take(&mut self.nodes[n].touched) {
            let table = &self.schema.tables[t];
            let (old, new) = (by_tag(table, &before[t]), by_tag(table, &after[t]));
            let came = |o: &&str| !old.contains_key(o) && classes.same(o, &tag);
            let joined = waits.contains(&(t, None)) && new.keys().any(came);
            if let Some(row) = old.get(tag.as_str()).filter(|_| !joined && !held.contains(&(t, tag.clone())))
                && new.get(tag.as_str()) != Some(row)
            {
                return Err(format!(
                    "the harvest changed {} {tag}: {row:?} to {:?}",
                    table.name,
                    new.get(tag.as_str())
                ));
            }
        }
        self.after_sync(n, &before)
    }

    pub fn pull(
        &mut self,
        to: usize,
        from: usize,
        db: usize,
        items: usize,
        (lost, stop, write): (Option<usize>, Option<usize>, Option<Statement>),
    ) -> Checked {
        self.harvest(from)?;
        self.harvest(to)?;
        let mut have = self.nodes[to].dbs[db].open().vectors().map_err(|e| e.to_string())?;
        if have == self.nodes[from].dbs[db].open().vectors().map_err(|e| e.to_string())? {
            return Ok(());
        }
        for k in 0.. {
            if stop.is_some_and(|s| k >= s) {
                return Ok(());
            }
            let limit = Limit { items, bytes: 1 << 20 };
            let batch = self.nodes[from].dbs[db]
                .open()
                .extract(&have, limit, self.now(from))
                .map_err(|e| format!("extract: {e}"))?;
            let last = batch.last;
            if lost == Some(k) && !last {
                // The next one is made as if this had arrived: it has to be refused.
                for (table, v) in &batch.end {
                    for (r, s) in v {
                        have.entry(table.clone()).or_default().insert(*r, *s);
                    }
                }
                continue;
            }
            self.sent.push((to, db, batch.clone()));
            let taken = self.deliver(to, db, &batch)?;
            if last || !taken {
                return Ok(());
            }
            have = self.nodes[to].dbs[db].open().vectors().map_err(|e| e.to_string())?;
            if let Some(s) = write {
                self.application(to, &[s]);
            }
            if k > 400 {
                return Err("a delta without end".into());
            }
        }
        Ok(())
    }

    fn deliver(&mut self, to: usize, db: usize, batch: &Batch) -> Result<bool, String> {
        Ok(self.take(to, db, batch)?.is_some())
    }

    /// A node applies a batch. None: it starts from what the node does not have.
    pub fn take(&mut self, to: usize, db: usize, batch: &Batch) -> Result<Option<Applied>, String> {
        let before = self.snapshot(to);
        let now = self.now(to);
        self.nodes[to].touched.clear();
        let taken = match self.nodes[to].dbs[db].open().apply(batch, now) {
            Ok(applied) => Some(applied),
            Err(Error::StartNotReached { .. }) => None,
            Err(e) => return Err(format!("apply: {e}")),
        };
        // The files that refer to this one are planned again.
        for lower in (0..db).rev() {
            self.nodes[to].dbs[lower].open().harvest(now).map_err(|e| format!("harvest: {e}"))?;
        }
        self.after_sync(to, &before)?;
        Ok(taken)
    }

    pub fn held(&self, n: usize) -> Vec<(usize, Held)> {
        let dbs = self.nodes[n].dbs.iter().enumerate();
        dbs.flat_map(|(db, r)| self.held_in(db, &mut r.open())).collect()
    }

    fn held_in(&self, db: usize, open: &mut Database) -> Vec<(usize, Held)> {
        let table = |h: &Held| self.schema.tables.iter().position(|t| t.db == db && t.name == h.table);
        open.held().expect("held").into_iter().filter_map(|h| Some((table(&h)?, h))).collect()
    }

    /// Everything that must hold after Lockstep has written.
    fn after_sync(&mut self, n: usize, before: &Snapshot) -> Checked {
        let name = self.nodes[n].dbs[0].name.clone();
        self.check_node(n, before).map_err(|e| format!("step {}, {name}: {e}", self.step))?;
        self.note_ids(n);
        Ok(())
    }

    /// What comes with a stamp far ahead of a node's clock, it does not show before its time.
    fn nothing_before_its_time(&self, n: usize, before: &Snapshot, after: &Snapshot) -> Checked {
        let texts = |s: &Snapshot| -> BTreeSet<String> {
            s.iter().flatten().flat_map(|r| r.values.iter().filter_map(text)).map(str::to_owned).collect()
        };
        let early = |x: &String| {
            let written = self.oracle.texts.get(x).filter(|x| x.node != n && !x.copied);
            written.is_some_and(|x| x.at > self.now(n).0 + GUARD)
        };
        match texts(after).difference(&texts(before)).find(|x| early(x)) {
            Some(x) => Err(format!("{x} is shown before its time")),
            None => Ok(()),
        }
    }

    fn check_node(&mut self, n: usize, before: &Snapshot) -> Checked {
        let after = self.snapshot(n);
        let mut held = Vec::new();
        let classes = self.oracle.classes();
        for (db, r) in self.nodes[n].dbs.iter().enumerate() {
            let ok: String = r.app.query_row("PRAGMA integrity_check", [], |r| r.get(0)).map_err(|e| e.to_string())?;
            if ok != "ok" {
                return Err(format!("integrity_check: {ok}"));
            }
            let mut open = r.open();
            held.extend(self.held_in(db, &mut open));
            let v = open.verify(self.now(n)).map_err(|e| format!("verify: {e}"))?;
            if !v.well() {
                let tables: Vec<_> =
                    v.tables.iter().filter(|t| !t.findings.is_empty() || t.digest != t.recounted).collect();
                return Err(format!("verify of {db}: {:?} / {:?}; {tables:?}", v.balance, v.recounted));
            }
        }
        self.oracle.check(&self.schema, &after, self.nodes[n].late, &|t| held.iter().any(|h| h.0 == t))?;
        self.nothing_before_its_time(n, before, &after)?;
        for (t, table) in self.schema.tables.iter().enumerate() {
            let (Some(id), Some(tag)) = (table.id(), table.tag()) else { continue };
            let mut home = BTreeMap::new();
            for row in &after[t] {
                let (Value::Integer(i), Some(tag)) = (&row.values[id], text(&row.values[tag])) else { continue };
                home.insert(tag.to_owned(), *i);
                if let Some(was) = self.nodes[n].ids.get(&(t, *i))
                    && !classes.same(was, tag)
                {
                    return Err(format!("{} {i} was {was} and is {tag} now", table.name));
                }
            }
            for (tag, row) in by_tag(table, &before[t]) {
                let Value::Integer(was) = row.values[id] else { continue };
                let alone = self.oracle.facts.keys().filter(|o| classes.same(o, tag)).count() == 1;
                match home.get(tag) {
                    Some(is) if *is != was && alone => {
                        return Err(format!("{} {tag} had the id {was} and has {is} now", table.name));
                    }
                    Some(_) => {}
                    None => {
                        let other = by_tag(table, &after[t]).keys().any(|o| classes.same(o, tag));
                        let deleted = self.oracle.facts.iter().any(|(o, f)| f.deleted && classes.same(o, tag));
                        if !other && !deleted {
                            return Err(format!("{} {tag} is gone, and nobody deleted it", table.name));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// An id as the key of a row is told.
fn plain_id(v: &Value) -> String {
    if let Value::Integer(id) = v { id.to_string() } else { String::new() }
}

/// References that name nothing.
fn dangling(schema: &Schema, snap: &Snapshot) -> usize {
    let mut n = 0;
    for (t, table) in schema.tables.iter().enumerate() {
        for p in table.refs() {
            let Role::Ref { to, target, .. } = table.columns[p].role else { continue };
            n += snap[t]
                .iter()
                .filter(|r| r.values[p] != Value::Null)
                .filter(|r| super::oracle::resolve(schema, snap, to, target, &r.values[p]).is_none())
                .count();
        }
    }
    n
}

fn key(n: u32) -> Value {
    Value::Text(["k1", "k2", "K1", "k3"][n as usize % 4].into())
}

fn rows_of(c: &Connection, t: &Table, late: bool) -> Vec<Row> {
    if t.late && !late {
        return Vec::new();
    }
    let column = |c: &super::schema::Column| if c.late && !late { "NULL".into() } else { quote(&c.name) };
    let list: Vec<String> = t.columns.iter().map(column).collect();
    let rowid = if t.without_rowid { "NULL" } else { "rowid" };
    let sql = format!("SELECT {rowid}, {} FROM {} ORDER BY 1, 2, 3", list.join(", "), quote(&t.name));
    let mut q = c.prepare_cached(&sql).expect("the application's table");
    let n = t.columns.len();
    q.query_map([], |r| {
        let values = (0..n).map(|i| r.get(i + 1)).collect::<Result<_, _>>()?;
        Ok(Row { rowid: r.get(0)?, values })
    })
    .and_then(|rows| rows.collect())
    .expect("its rows")
}

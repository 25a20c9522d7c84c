//! Nodes with their files, and what can be done to them.
use super::oracle::{Oracle, Row, Snapshot, by_tag, text};
use super::schedule::{Op, Schedule, Statement};
use super::schema::{Role, Schema, Table, quote};
use crate::replicas::Replica;
use lockstep_engine::change::{Batch, ConflictKind};
use lockstep_engine::database::{Held, Sibling};
use lockstep_engine::id::Millis;
use lockstep_engine::{Database, Error, Limit};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};

const START: i64 = 1_900_000_000_000;

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
        let names = ["main", "other"];
        let mut nodes = Vec::new();
        for n in 0..s.nodes {
            let mut dbs = Vec::new();
            for (db, name) in names.iter().enumerate().take(schema.databases()) {
                let r =
                    Replica::named(dir.path(), &format!("{}{}", ["a", "b", "c"][n], seed % 7), name, &schema.sql(db));
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
            _dir: dir,
        };
        for n in 0..s.nodes {
            for st in &s.before[n] {
                w.statement(n, *st);
            }
        }
        w.oracle.began();
        crate::replicas::NOW.with(|t| t.set(START));
        for n in 0..s.nodes {
            let node = std::mem::take(&mut w.nodes[n].dbs);
            let mut done: Vec<Replica> = Vec::new();
            // What is referred to goes first.
            for mut r in node.into_iter().rev() {
                r.siblings.extend(done.iter().map(|d| Sibling { name: d.database.clone(), path: d.path.clone() }));
                let db = usize::from(r.database == "other");
                done.push(r.attach(&w.schema.config(db)));
            }
            done.reverse();
            w.nodes[n].dbs = done;
            // Which ids rows had before that went before, nobody can know.
            w.nodes[n].ids.clear();
            w.note_ids(n);
        }
        Ok(w)
    }

    fn now(&self, n: usize) -> Millis {
        Millis(START + self.step * 1000 + self.nodes[n].skew)
    }

    pub fn snapshot(&self, n: usize) -> Snapshot {
        self.schema.tables.iter().map(|t| rows_of(&self.nodes[n].dbs[t.db].app, t)).collect()
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
                } else if let Some(p) = table.place(&Role::Value) {
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
            let Some(p) = table.place(&Role::Value) else { return };
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

    fn application(&mut self, n: usize, statements: &[Statement]) {
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
                if *db >= dbs {
                    for db in (0..dbs).rev() {
                        self.pull(*to, *from, db, *items, (*lost, *stop, *write))?;
                    }
                    return Ok(());
                }
                self.pull(*to, *from, *db, *items, (*lost, *stop, *write))
            }
            Op::Again(k) => {
                if self.sent.is_empty() {
                    return Ok(());
                }
                let (to, db, batch) = self.sent[k % self.sent.len()].clone();
                self.deliver(to, db, &batch).map(|_| ())
            }
            Op::Harvest(n) => self.harvest(*n),
            Op::Nothing => Ok(()),
        }
    }

    /// A harvest undoes nothing that the application wrote.
    fn harvest(&mut self, n: usize) -> Checked {
        let before = self.snapshot(n);
        if self.nodes[n].at_rest {
            return Ok(());
        }
        self.nodes[n].at_rest = true;
        for db in (0..self.nodes[n].dbs.len()).rev() {
            self.nodes[n].dbs[db].open().harvest(self.now(n)).map_err(|e| format!("harvest: {e}"))?;
        }
        let after = self.snapshot(n);
        for (t, tag) in std::mem::take(&mut self.nodes[n].touched) {
            let table = &self.schema.tables[t];
            let (old, new) = (by_tag(table, &before[t]), by_tag(table, &after[t]));
            if let Some(row) = old.get(tag.as_str())
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
        let before = self.snapshot(to);
        let now = self.now(to);
        self.nodes[to].touched.clear();
        let taken = match self.nodes[to].dbs[db].open().apply(batch, now) {
            Ok(_) => true,
            Err(Error::StartNotReached { .. }) => false,
            Err(e) => return Err(format!("apply: {e}")),
        };
        if db > 0 {
            // The file that refers to this one is planned again.
            self.nodes[to].dbs[0].open().harvest(now).map_err(|e| format!("harvest: {e}"))?;
        }
        self.after_sync(to, &before)?;
        Ok(taken)
    }

    fn held(&self, n: usize) -> Vec<(usize, Held)> {
        let dbs = self.nodes[n].dbs.iter().enumerate();
        dbs.flat_map(|(db, r)| self.held_in(db, &mut r.open())).collect()
    }

    fn held_in(&self, db: usize, open: &mut Database) -> Vec<(usize, Held)> {
        let table = |h: &Held| self.schema.tables.iter().position(|t| t.db == db && t.name == h.table);
        open.held().expect("held").into_iter().map(|h| (table(&h).expect("its table"), h)).collect()
    }

    /// Everything that must hold after Lockstep has written.
    fn after_sync(&mut self, n: usize, before: &Snapshot) -> Checked {
        let name = self.nodes[n].dbs[0].name.clone();
        self.check_node(n, before).map_err(|e| format!("step {}, {name}: {e}", self.step))?;
        self.note_ids(n);
        Ok(())
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
        self.oracle.check(&self.schema, &after, &|t| held.iter().any(|h| h.0 == t))?;
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

    // ---- the end

    fn rest(&mut self, limit: usize, r: &mut super::prng::Prng) -> Checked {
        let n = self.nodes.len();
        for _ in 0..limit {
            self.step += 1;
            for a in 0..n {
                for b in 0..n {
                    for db in (0..self.schema.databases()).rev() {
                        if a != b {
                            let items = [1, 2, 5, 1000, 1000, 1000][r.below(6)];
                            self.pull(a, b, db, items, (None, None, None))?;
                        }
                    }
                }
            }
            let vectors: Vec<Vec<_>> = (0..n)
                .map(|k| self.nodes[k].dbs.iter().map(|d| d.open().vectors().expect("vectors")).collect())
                .collect();
            if vectors.iter().all(|v| *v == vectors[0]) {
                return Ok(());
            }
        }
        Err("the nodes don't come to rest".into())
    }

    fn digests(&self, n: usize) -> Vec<(String, u128)> {
        let mut out = Vec::new();
        for db in 0..self.nodes[n].dbs.len() {
            let key = self.nodes.iter().map(|x| x.dbs[db].open().summary().expect("summary").digest_key).min();
            let mut d = self.nodes[n].dbs[db].open();
            d.adopt_digest_key(key.expect("there are nodes"), self.now(n)).expect("digests");
            out.extend(d.summary().expect("summary").tables.into_iter().map(|t| (t.name, t.digest)));
        }
        out
    }

    pub fn finish(&mut self, r: &mut super::prng::Prng) -> Checked {
        // Clocks are put right, and every stamp is due.
        self.step += 3 * 3600;
        for n in &mut self.nodes {
            n.skew = 0;
            n.at_rest = false;
        }
        let limit = 5 + 2 * self.nodes.len();
        self.rest(limit, r)?;
        self.agree()?;
        // A person ends what clashes, one thing at a time.
        for round in 0..12 {
            let mut settled = true;
            for n in 0..self.nodes.len() {
                let clashes: BTreeSet<usize> =
                    self.held(n).iter().filter(|(_, h)| h.reason == ConflictKind::Unique).map(|(t, _)| *t).collect();
                if let Some(&t) = clashes.iter().next() {
                    settled = false;
                    self.end_clash(n, t);
                    self.rest(limit, r)?;
                }
            }
            if settled {
                break;
            }
            if round == 11 {
                return Err(format!(
                    "held for ever: {:?}",
                    (0..self.nodes.len()).map(|n| self.held(n)).collect::<Vec<_>>()
                ));
            }
        }
        self.agree()?;
        self.same_rows()?;
        self.nothing_lost()
    }

    /// All rows of a table get other unique values.
    fn end_clash(&mut self, n: usize, t: usize) {
        self.step += 1;
        let table = self.schema.tables[t].clone();
        if self.trace {
            eprintln!("{} a person at {n} ends a clash in {}", self.step, table.name);
        }
        let now = self.snapshot(n);
        for i in 0..now[t].len() {
            for &p in &table.unique {
                let k = self.number();
                let v = if table.columns[p].role == Role::Number {
                    Value::Integer(5000 + i64::from(k))
                } else {
                    Value::Text(format!("free{k}"))
                };
                let sql = format!("UPDATE {} SET {} = ?1", quote(&table.name), quote(&table.columns[p].name));
                self.on_row((n, t), &now, i as u32, &sql, vec![v], false);
            }
        }
        let at = self.now(n);
        self.stamp_logs(n, at);
    }

    fn agree(&mut self) -> Checked {
        let d: Vec<_> = (0..self.nodes.len()).map(|n| self.digests(n)).collect();
        for x in &d[1..] {
            if *x != d[0] {
                return Err(format!("digests differ: {:?} / {x:?}", d[0]));
            }
        }
        Ok(())
    }

    /// All nodes show the same, references by what they name.
    fn same_rows(&self) -> Checked {
        let held: Vec<_> = (0..self.nodes.len()).map(|n| self.held(n)).collect();
        let review = held
            .iter()
            .flatten()
            .any(|(_, h)| h.reason == ConflictKind::UpdateUpdate || h.reason == ConflictKind::InsertInsert);
        for (n, list) in held.iter().enumerate() {
            for (t, h) in list {
                match h.reason {
                    ConflictKind::UpdateUpdate | ConflictKind::ParentDeleted => {}
                    _ => return Err(format!("node {n} holds {} for no reason: {h:?}", self.schema.tables[*t].name)),
                }
            }
        }
        let all: Vec<Vec<String>> = (0..self.nodes.len()).map(|n| self.logical(n, review)).collect();
        for x in &all[1..] {
            if *x != all[0] {
                let only =
                    |a: &[String], b: &[String]| a.iter().filter(|r| !b.contains(r)).cloned().collect::<Vec<_>>();
                return Err(format!("rows differ: {:#?} / {:#?}", only(&all[0], x), only(x, &all[0])));
            }
        }
        Ok(())
    }

    fn logical(&self, n: usize, review: bool) -> Vec<String> {
        let snap = self.snapshot(n);
        let mut out = Vec::new();
        for (t, table) in self.schema.tables.iter().enumerate() {
            for row in &snap[t] {
                let mut line = table.name.clone();
                for (p, c) in table.columns.iter().enumerate() {
                    let v = &row.values[p];
                    line += &match &c.role {
                        Role::Id => continue,
                        _ if review && table.review.contains(&p) => continue,
                        Role::Ref { to, target, .. } if *v != Value::Null => {
                            super::oracle::resolve(&self.schema, &snap, *to, *target, v)
                                .map_or(" ?".into(), |x| format!(" ->{x}"))
                        }
                        _ => format!(" {v:?}"),
                    };
                }
                out.push(line);
            }
        }
        out.sort();
        out
    }

    /// Every row that nobody deleted is there; every text is shown, or was replaced by someone who saw it, or is on
    /// record; and its home keeps it in any case.
    fn nothing_lost(&self) -> Checked {
        let classes = self.oracle.classes();
        let deleted: BTreeSet<String> =
            self.oracle.facts.iter().filter(|(_, f)| f.deleted).map(|(t, _)| classes.of(t)).collect();
        for n in 0..self.nodes.len() {
            let snap = self.snapshot(n);
            let mut shown: BTreeSet<String> = BTreeSet::new();
            let mut referred: BTreeSet<String> = BTreeSet::new();
            let mut texts: BTreeSet<&str> = BTreeSet::new();
            for (t, table) in self.schema.tables.iter().enumerate() {
                for row in &snap[t] {
                    texts.extend(row.values.iter().filter_map(text));
                    if let Some(tag) = table.tag() {
                        shown.extend(text(&row.values[tag]).map(|x| classes.of(x)));
                    }
                    for p in table.refs() {
                        let Role::Ref { to, target, .. } = table.columns[p].role else { continue };
                        referred.extend(super::oracle::resolve(&self.schema, &snap, to, target, &row.values[p]));
                    }
                }
            }
            for (tag, f) in &self.oracle.facts {
                let root = classes.of(tag);
                if !deleted.contains(&root) && !shown.contains(&root) {
                    return Err(format!("node {n}: {tag} is not there, and nobody deleted it"));
                }
                let table = &self.schema.tables[f.table];
                let tag_shown =
                    table.tag().is_some_and(|p| snap[f.table].iter().any(|r| text(&r.values[p]) == Some(tag.as_str())));
                let alone = self.oracle.facts.keys().filter(|o| classes.same(o, tag)).count() == 1;
                if f.deleted && f.writers.len() == 1 && alone && tag_shown && !referred.contains(tag) {
                    return Err(format!("node {n}: {tag} is there, though it was deleted where it was written"));
                }
            }
            let kept: Vec<Kept> = self.nodes[n].dbs.iter().map(|d| Kept::read(&d.app)).collect();
            for (x, f) in &self.oracle.texts {
                if texts.contains(x.as_str()) {
                    continue;
                }
                let kept = &kept[self.schema.tables[f.table].db];
                let review = self.schema.tables[f.table].review.contains(&f.column);
                let fine = f.replaced
                    || deleted.contains(&classes.of(&f.tag))
                    || kept.on_record(x)
                    || review && kept.anywhere(x);
                if !fine {
                    return Err(format!("node {n}: {x} of {} is neither shown nor replaced nor on record", f.tag));
                }
                if f.node == n && !f.exempt && !kept.anywhere(x) {
                    return Err(format!("node {n}: {x} of {} was written here and is nowhere", f.tag));
                }
            }
            for k in &kept {
                for (lost, won) in &k.pairs {
                    let (Some(l), Some(mut w)) = (self.within(lost), self.within(won)) else { continue };
                    while let Some(over) = self.oracle.texts.get(&w).and_then(|x| x.over.clone()) {
                        if over == l {
                            return Err(format!(
                                "node {n}: {l} is on record as a loser, though {won:?} had replaced it"
                            ));
                        }
                        w = over;
                    }
                }
            }
        }
        Ok(())
    }

    fn within(&self, blob: &[u8]) -> Option<String> {
        let s = String::from_utf8_lossy(blob);
        let (from, to) = (s.find('<')?, s.find('>')?);
        self.oracle.texts.contains_key(s.get(from..=to)?).then(|| s[from..=to].to_owned())
    }
}

/// What lies in the tables of Lockstep, as bytes.
struct Kept {
    record: Vec<u8>,
    all: Vec<u8>,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

fn contains(hay: &[u8], needle: &str) -> bool {
    hay.windows(needle.len()).any(|w| w == needle.as_bytes())
}

impl Kept {
    fn read(c: &Connection) -> Kept {
        let column = |table: &str, col: &str| -> Vec<u8> {
            let mut q = c.prepare(&format!("SELECT {col} FROM {table}")).expect("a table of ours");
            let rows = q.query_map([], |r| r.get::<_, Option<Vec<u8>>>(0)).expect("its rows");
            rows.flat_map(|r| r.expect("a blob").unwrap_or_default()).collect()
        };
        let record = column("_lockstep_conflict", "value");
        let mut all = record.clone();
        all.extend(column("_lockstep_conflict", "winner_value"));
        all.extend(column("_lockstep_archive", "value"));
        all.extend(column("_lockstep_future", "body"));
        let bodies: Vec<String> = c
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB '_lockstep_unshown_*'")
            .and_then(|mut q| q.query_map([], |r| r.get(0))?.collect())
            .expect("bodies");
        for b in bodies {
            all.extend(column(&b, "body"));
        }
        let pairs = c
            .prepare("SELECT value, winner_value FROM _lockstep_conflict WHERE value IS NOT NULL AND winner_value IS NOT NULL")
            .and_then(|mut q| q.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect())
            .expect("records");
        Kept { record, all, pairs }
    }

    fn on_record(&self, text: &str) -> bool {
        contains(&self.record, text)
    }

    fn anywhere(&self, text: &str) -> bool {
        contains(&self.all, text)
    }
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

fn rows_of(c: &Connection, t: &Table) -> Vec<Row> {
    let list: Vec<String> = t.columns.iter().map(|c| quote(&c.name)).collect();
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

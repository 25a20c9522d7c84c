//! Every version of one row that this file still knows: who wrote it, when, and how it ended.
//!
//! Always true here: nothing is changed; a version is one write, with the columns of it that are known. It comes from
//! the registers, the archive, the conflicts on record and what is held. Not here: bringing one back (`decide::restore`).
use crate::catalog::{Affinity, Table};
use crate::conflict::records;
use crate::database::Database;
use crate::error::Error;
use crate::id::{Millis, ReplicaId, Stamp};
use crate::key::LocalKey;
use crate::listing::short_id;
use crate::record::{Cell, Col, Existence, LocalDot, Record, Register, decode_cell};
use crate::report::Operation;
use crate::store::damaged;
use crate::transaction::{Standing, Txn};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What became of a write, or of one of its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionState {
    /// A later write had seen it, or says the same.
    Superseded,
    /// It went with its row.
    Deleted,
    /// It lost a conflict.
    Lost,
    /// It waits.
    Held,
    /// The row shows it.
    Visible,
}

impl VersionState {
    /// `superseded`, `deleted`, `lost`, `held`, `visible`.
    pub fn name(self) -> &'static str {
        match self {
            VersionState::Superseded => "superseded",
            VersionState::Deleted => "deleted",
            VersionState::Lost => "lost",
            VersionState::Held => "held",
            VersionState::Visible => "visible",
        }
    }
}

/// One column of a version.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionColumn {
    /// Name.
    pub name: String,
    /// None: a reference to a row that is not shown here.
    pub value: Option<Value>,
    /// What became of it.
    pub state: VersionState,
    /// Whose write ended it.
    pub ended_by: Option<ReplicaId>,
    /// When this file learned of that.
    pub ended_at: Option<Millis>,
}

/// One write to a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// The same on every node that knows it.
    pub id: String,
    /// The replica that wrote it.
    pub by: ReplicaId,
    /// When.
    pub at: Millis,
    /// What it did.
    pub operation: Operation,
    /// The best that became of its columns.
    pub state: VersionState,
    /// What it wrote, as far as that is kept.
    pub columns: Vec<VersionColumn>,
}

/// One row with all its versions.
#[derive(Clone, Debug, PartialEq)]
pub struct RowHistory {
    /// Names the row itself, whatever key it has.
    pub row: String,
    /// Its key here as JSON text. None: it has no row now.
    pub key: Option<String>,
    /// Does it live?
    pub lives: bool,
    /// The newest first.
    pub versions: Vec<Version>,
}

impl Database {
    /// The rows that have this key here, or had it when they were last shown; the one that has it first. The key is
    /// JSON: a value, or an array of them; what is no JSON is a text. None: there is no such table here.
    pub fn history(&mut self, table: &str, key: &str, now: Millis) -> Result<Option<Vec<RowHistory>>, Error> {
        self.harvest(now)?;
        self.read(now, |txn| {
            let Some(t) = txn.s.find_table(None, table).filter(|t| txn.s.t(*t).table.is_some()) else {
                return Ok(None);
            };
            let mut out = Vec::new();
            for leader in txn.rows_of_key(t, key)? {
                out.push(txn.history_of(t, leader)?);
            }
            Ok(Some(out))
        })
    }
}

/// What is gathered of one write.
struct Gathered {
    stamp: Stamp,
    existence: Option<bool>,
    birth: bool,
    columns: BTreeMap<Col, (Cell, VersionState, Option<LocalDot>, Option<Millis>)>,
    state: VersionState,
}

impl Txn<'_> {
    /// Classes whose row has this key here, or had it when it was last shown.
    pub fn rows_of_key(&mut self, t: u32, key: &str) -> Result<Vec<LocalDot>, Error> {
        let Some(table) = self.s.t(t).table.clone() else { return Ok(Vec::new()) };
        let keys = keys_of_text(&table, key);
        let mut found: Vec<LocalDot> = Vec::new();
        for key in &keys {
            for i in self.all_by_key(t, key)? {
                let b = self.births[i].b;
                let leader = self.class(t, b)?.leader;
                if !found.contains(&leader) {
                    found.push(leader);
                }
            }
        }
        let gone: Vec<(i64, Vec<u8>)> = self
            .c
            .prepare_cached(&format!("SELECT b, rec FROM _lockstep_row_{t} WHERE k IS NULL ORDER BY b DESC"))?
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (b, rec) in gone {
            let b = LocalDot(b);
            let i = match self.find_loaded(t, b) {
                Some(i) => i,
                None => {
                    let rec = Record::decode(&rec).ok_or_else(|| damaged("a record"))?;
                    if table.surrogate().is_some() && !rec.was.is_some_and(|w| keys.contains(&LocalKey::Id(w))) {
                        continue;
                    }
                    self.enter(t, b, rec, None)?
                }
            };
            let had = match table.surrogate() {
                Some(_) => self.births[i].rec.was.is_some_and(|w| keys.contains(&LocalKey::Id(w))),
                None => self.last_key(i, &table)?.is_some_and(|k| keys.contains(&k)),
            };
            let class = self.class(t, b)?;
            if had && self.anchors(&class)?.is_empty() && !found.contains(&class.leader) {
                found.push(class.leader);
            }
        }
        Ok(found)
    }

    /// The key that a row without a surrogate id had, from its registers.
    pub(crate) fn last_key(&mut self, i: usize, table: &Table) -> Result<Option<LocalKey>, Error> {
        let t = self.births[i].t;
        let mut values = Vec::new();
        for &p in table.key_places() {
            let Some(col) = self.s.t(t).col_at[p] else { return Ok(None) };
            let cell = self.class_cell(&[i], col)?.map(|x| x.2);
            match self.told(t, col, cell)? {
                Some(Some(v)) => values.push(v),
                Some(None) | None => return Ok(None),
            }
        }
        Ok(LocalKey::of_values(table, &values, || None))
    }

    pub(crate) fn history_of(&mut self, t: u32, leader: LocalDot) -> Result<RowHistory, Error> {
        let class = self.class(t, leader)?;
        let lives = self.class_lives(&class)?;
        let mut all: BTreeMap<LocalDot, Gathered> = BTreeMap::new();
        self.gather_registers(t, &class.members, &mut all)?;
        self.gather_archive(t, &class.members, &mut all)?;
        self.gather_conflicts(t, &class.members, &mut all)?;
        self.gather_futures(t, &class.members, &mut all)?;
        let mut versions = Vec::new();
        for (dot, g) in all {
            let mut columns = Vec::new();
            for (col, (cell, state, by, at)) in g.columns {
                let value = self.told(t, col, Some(cell))?.flatten();
                columns.push(VersionColumn {
                    name: self.s.t(t).cols[usize::from(col.0)].clone(),
                    value,
                    state,
                    ended_by: by.map(|d| self.dot(d).replica),
                    ended_at: at,
                });
            }
            let operation = match g.existence {
                Some(false) => Operation::Delete,
                Some(true) if g.birth => Operation::Insert,
                _ if g.birth => Operation::Insert,
                Some(true) | None => Operation::Update,
            };
            let name = self.dot(dot);
            versions.push((
                (g.stamp, name.replica, name.seq),
                Version {
                    id: self.version_name(t, dot),
                    by: name.replica,
                    at: g.stamp.millis(),
                    operation,
                    state: columns.iter().map(|c| c.state).max().unwrap_or(g.state).max(g.state),
                    columns,
                },
            ));
        }
        versions.sort_by_key(|v| std::cmp::Reverse(v.0));
        Ok(RowHistory {
            row: self.row_name(t, leader),
            key: self.shown_key(t, leader)?,
            lives,
            versions: versions.into_iter().map(|(_, v)| v).collect(),
        })
    }

    /// By which all nodes know a version.
    pub fn version_name(&self, t: u32, d: LocalDot) -> String {
        let dot = self.dot(d);
        short_id(&[self.s.t(t).name.as_bytes(), &dot.replica.0, &dot.seq.0.to_be_bytes(), b"version"])
    }

    fn gather_registers(
        &mut self,
        t: u32,
        members: &[LocalDot],
        all: &mut BTreeMap<LocalDot, Gathered>,
    ) -> Result<(), Error> {
        for &b in members {
            let Some(i) = self.find(t, b)? else { continue };
            self.read(i)?;
            let lives = self.lives(i);
            let birth = &self.births[i];
            for e in &birth.rec.entries {
                let g = entry(all, e.write.dot, e.write.stamp);
                g.birth |= e.write.dot == b;
                if let Some(x) = &e.existence {
                    g.existence = Some(*x == Existence::Lives);
                    let held = birth.held.contains(&Register::Existence) || lives && birth.standing != Standing::Shown;
                    g.state = g.state.max(match (x, lives) {
                        (Existence::Deleted(_), _) if held => VersionState::Held,
                        (Existence::Lives, true) if held => VersionState::Held,
                        (Existence::Lives, true) | (Existence::Deleted(_), false) => VersionState::Visible,
                        (Existence::Lives, false) => VersionState::Deleted,
                        (Existence::Deleted(_), true) => VersionState::Lost,
                    });
                }
                for f in &e.fields {
                    let held = birth.standing != Standing::Shown || birth.held.contains(&Register::Column(f.col));
                    let state = match (f.shown, lives, held) {
                        (true, _, _) => VersionState::Visible,
                        (false, false, _) => VersionState::Deleted,
                        (false, true, true) => VersionState::Held,
                        (false, true, false) => VersionState::Lost,
                    };
                    put(g, f.col, f.cell.clone(), state, None, None);
                }
            }
        }
        Ok(())
    }

    fn gather_archive(
        &mut self,
        t: u32,
        members: &[LocalDot],
        all: &mut BTreeMap<LocalDot, Gathered>,
    ) -> Result<(), Error> {
        type Row = (i64, i64, i64, bool, i64, i64, Vec<u8>);
        for &b in members {
            let rows: Vec<Row> = self
                .c
                .prepare_cached(
                    "SELECT d, col, stamp, why, by, at, value FROM _lockstep_archive WHERE t = ?1 AND b = ?2
                     AND value IS NOT NULL ORDER BY d, col",
                )?
                .query_map([i64::from(t), b.0], |r| {
                    Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?))
                })?
                .collect::<Result<_, _>>()?;
            for (d, col, stamp, lost, by, at, value) in rows {
                let Register::Column(col) = Register::from_number(col) else { continue };
                let cell = decode_cell(&mut value.as_slice()).ok_or_else(|| damaged("an archived value"))?;
                let g = entry(all, LocalDot(d), Stamp(stamp));
                g.birth |= LocalDot(d) == b;
                let state = if lost { VersionState::Lost } else { VersionState::Superseded };
                put(g, col, cell, state, Some(LocalDot(by)), Some(Millis(at)));
            }
        }
        Ok(())
    }

    fn gather_conflicts(
        &mut self,
        t: u32,
        members: &[LocalDot],
        all: &mut BTreeMap<LocalDot, Gathered>,
    ) -> Result<(), Error> {
        let of: BTreeSet<LocalDot> = members.iter().copied().collect();
        for r in records(self)?.into_iter().filter(|r| r.table == t && of.contains(&r.birth)) {
            let (loser, winner) = (r.loser_cell()?, r.winner_cell()?);
            match r.register {
                Register::Column(col) => {
                    if let Some(cell) = loser {
                        let g = entry(all, r.loser, r.loser_stamp);
                        g.birth |= r.births.contains(&r.loser);
                        put(g, col, cell, VersionState::Lost, Some(r.winner), Some(r.at));
                    }
                    if let Some(cell) = winner {
                        let g = entry(all, r.winner, r.winner_stamp);
                        put(g, col, cell, VersionState::Superseded, None, None);
                    }
                }
                Register::Existence => {
                    let g = entry(all, r.loser, r.loser_stamp);
                    g.existence.get_or_insert(r.loser_lives());
                    g.state = g.state.max(VersionState::Lost);
                }
            }
        }
        Ok(())
    }

    fn gather_futures(
        &mut self,
        t: u32,
        members: &[LocalDot],
        all: &mut BTreeMap<LocalDot, Gathered>,
    ) -> Result<(), Error> {
        for w in self
            .waiting()?
            .into_iter()
            .filter(|w| w.source == crate::waiting::Source::Future && w.t == t && members.contains(&w.birth))
        {
            for f in self.futures_of(t, w.loser)?.into_iter().filter(|f| members.contains(&f.b)) {
                let g = entry(all, w.loser, f.write.stamp);
                g.birth |= w.loser == f.b;
                g.existence = f.existence.as_ref().map(|x| *x == Existence::Lives);
                g.state = VersionState::Held;
                for field in f.fields {
                    put(g, field.col, field.cell, VersionState::Held, None, None);
                }
            }
        }
        Ok(())
    }
}

fn entry(all: &mut BTreeMap<LocalDot, Gathered>, d: LocalDot, stamp: Stamp) -> &mut Gathered {
    all.entry(d).or_insert_with(|| Gathered {
        stamp,
        existence: None,
        birth: false,
        columns: BTreeMap::new(),
        state: VersionState::Superseded,
    })
}

/// The best that is known of one column of a write: of several births of a row it may have fared differently.
fn put(g: &mut Gathered, col: Col, cell: Cell, state: VersionState, by: Option<LocalDot>, at: Option<Millis>) {
    match g.columns.get(&col) {
        Some((_, old, _, _)) if *old >= state => {}
        _ => {
            g.columns.insert(col, (cell, state, by, at));
        }
    }
}

/// The keys that a text may mean: numbers and texts are told apart by JSON, and by the column where it says so.
fn keys_of_text(table: &Table, text: &str) -> Vec<LocalKey> {
    let json: serde_json::Value =
        serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.to_owned()));
    let parts = match json {
        serde_json::Value::Array(parts) => parts,
        one => vec![one],
    };
    let places = table.key_places();
    if parts.len() != places.len() {
        return Vec::new();
    }
    let values: Option<Vec<Value>> = parts.iter().map(value_of).collect();
    let Some(values) = values else { return Vec::new() };
    let texts: Vec<Value> = values
        .iter()
        .zip(places)
        .zip(&parts)
        .map(|((v, &p), json)| match (v, table.columns[p].affinity()) {
            (Value::Integer(_) | Value::Real(_), Affinity::Text) => Value::text(&json.to_string()),
            _ => v.clone(),
        })
        .collect();
    let mut keys: Vec<LocalKey> =
        [values, texts].iter().filter_map(|v| LocalKey::of_values(table, v, || None)).collect();
    keys.dedup();
    keys
}

fn value_of(json: &serde_json::Value) -> Option<Value> {
    match json {
        serde_json::Value::Number(n) => n.as_i64().map(Value::Integer).or_else(|| n.as_f64().map(Value::Real)),
        serde_json::Value::String(s) => Some(Value::text(s)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    }
}

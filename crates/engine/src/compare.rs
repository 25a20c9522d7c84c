//! Two replicas of a table compared down to the rows.
//!
//! Always true here: rows are read as they are now, and not taken for what their records say; nothing is changed; a row
//! of which a write is known on one side only is under way, and is never called different; columns that don't pass
//! between the two sides count in nothing. Not here: how the two sides talk (`wire`), and what becomes of what differs
//! (`difference`).
mod range;
mod row;
mod search;

pub use range::{FAN_OUT, Range, RangeSum, Sums};
pub use row::{Apart, Cell, ColumnState, Differing, Kind, RowState, Side, judge};
pub use search::{Ask, MOST, Search};

use crate::class;
use crate::database::{Database, catch_up};
use crate::digest::Hash;
use crate::error::Error;
use crate::id::{Dot, Millis, Vector};
use crate::key::LocalKey;
use crate::listing::vector_of;
use crate::record::{Cell as Held, Col, LocalDot, Record};
use crate::store::{EDGES_AT, damaged};
use crate::transaction::Txn;
use crate::transaction::future::Future;
use crate::value::Value;
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet};

/// A birth's part of the digest of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The row, by the dot of its insert.
    pub birth: Dot,
    /// As the row is now; 0: it does not live.
    pub hash: u128,
}

/// What a table has received, and something read in the same snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<T> {
    /// What the table has received.
    pub vector: Vector,
    /// What was read.
    pub read: T,
}

impl Database {
    /// Reads a whole table and sums it up by ranges. What is written meanwhile may make a range differ that does not; the
    /// births of the range tell.
    pub fn range_sums(&mut self, table: &str, without: &BTreeSet<String>, now: Millis) -> Result<Seen<Sums>, Error> {
        self.harvest(now)?;
        self.with_rows_whole(|db| {
            db.read(now, |txn| {
                seen(txn, table, &|txn, t| {
                    let is_out = txn.left_out(t, without);
                    let mut beside = txn.beside(t)?;
                    let mut sums = Sums::default();
                    let mut add = |txn: &Txn<'_>, b, hash| {
                        if hash != 0 {
                            sums.add(txn.position(b), hash);
                        }
                    };
                    txn.each_birth(t, |txn, i| {
                        let b = txn.births[i].b;
                        let hash = txn.part_now(i, &beside.remove(&b).unwrap_or_default(), &is_out)?;
                        add(txn, b, hash);
                        Ok(())
                    })?;
                    // Rows of which nothing has become due.
                    for (b, waits) in beside {
                        let hash = txn.hash_beside(t, b, &waits, &out_of(&is_out))?;
                        add(txn, b, hash);
                    }
                    txn.each_edge(t, |txn, birth, hash| sums.add_edge(txn.position(birth), hash))?;
                    Ok(sums)
                })
            })
        })
    }

    /// The births of some ranges whose rows live, each with its part of the digest; ascending within a range.
    pub fn range_parts(
        &mut self,
        table: &str,
        without: &BTreeSet<String>,
        ranges: &[Range],
        now: Millis,
    ) -> Result<Seen<Vec<Part>>, Error> {
        self.harvested(now, |txn| {
            seen(txn, table, &|txn, t| {
                let is_out = txn.left_out(t, without);
                let mut found: BTreeMap<(usize, Dot), u128> = BTreeMap::new();
                let range_of = |txn: &Txn<'_>, b| {
                    let position = txn.position(b);
                    ranges.iter().position(|r| r.holds(position))
                };
                let beside = txn.beside(t)?;
                let births: BTreeSet<LocalDot> = txn.births_of(t)?.into_iter().chain(beside.keys().copied()).collect();
                for b in births {
                    let Some(n) = range_of(txn, b) else { continue };
                    let waits = beside.get(&b).map_or(&[][..], Vec::as_slice);
                    let hash = match txn.find(t, b)? {
                        Some(i) => txn.part_now(i, waits, &is_out)?,
                        None => txn.hash_beside(t, b, waits, &out_of(&is_out))?,
                    };
                    if hash != 0 {
                        found.insert((n, txn.dot(b)), hash);
                    }
                }
                txn.each_edge(t, |txn, birth, hash| {
                    if let Some(n) = range_of(txn, birth) {
                        let part = found.entry((n, txn.dot(birth))).or_default();
                        *part = part.wrapping_add(hash);
                    }
                })?;
                Ok(found.into_iter().map(|((_, birth), hash)| Part { birth, hash }).collect())
            })
        })
    }

    /// What some rows say, those that are known here.
    pub fn row_states(
        &mut self,
        table: &str,
        without: &BTreeSet<String>,
        births: &[Dot],
        now: Millis,
    ) -> Result<Seen<Vec<RowState>>, Error> {
        self.harvested(now, |txn| {
            seen(txn, table, &|txn, t| {
                let is_out = txn.left_out(t, without);
                let beside = txn.beside(t)?;
                let mut out = Vec::new();
                for dot in births {
                    let Some(b) = txn.known_dot(*dot) else { continue };
                    let waits = beside.get(&b).map_or(&[][..], Vec::as_slice);
                    if !waits.is_empty() || txn.find(t, b)?.is_some() {
                        out.push(txn.row_state((t, b), *dot, waits, &is_out)?);
                    }
                }
                Ok(out)
            })
        })
    }

    /// What a reference to a birth shows in a column of a table here. None: the row is not shown here.
    pub fn local_reference(&mut self, table: &str, column: &str, birth: Dot) -> Result<Option<Value>, Error> {
        self.read(Millis(0), |txn| {
            let Some(t) = txn.s.find_table(None, table) else { return Ok(None) };
            let place = txn.s.t(t).cols.iter().position(|c| c == column);
            match (place, txn.known_dot(birth)) {
                (Some(n), Some(birth)) => txn.local_value(t, Col(n as u16), birth),
                (Some(_) | None, None) | (None, Some(_)) => Ok(None),
            }
        })
    }

    /// Reads in a snapshot of which every write is known.
    fn harvested<T>(&mut self, now: Millis, f: impl Fn(&mut Txn<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.with_rows_whole(|db| {
            for _ in 0..8 {
                db.harvest(now)?;
                let read = db.read(now, |txn| if txn.is_harvested()? { f(txn).map(Some) } else { Ok(None) })?;
                if let Some(read) = read {
                    return Ok(read);
                }
            }
            // A writer that never rests.
            db.write(now, |txn| {
                catch_up(txn)?;
                f(txn)
            })
        })
    }
}

fn out_of(is_out: &[bool]) -> impl Fn(Col) -> bool {
    |col| is_out[usize::from(col.0)]
}

fn seen<T: Default>(
    txn: &mut Txn<'_>,
    table: &str,
    f: &dyn Fn(&mut Txn<'_>, u32) -> Result<T, Error>,
) -> Result<Seen<T>, Error> {
    let Some(t) = txn.s.find_table(None, table) else {
        return Ok(Seen { vector: Vector::new(), read: T::default() });
    };
    // Of a table that a delta is under way to, nothing is claimed: whatever differs is under way.
    let vector = if txn.s.is_under_way(t) { Vector::new() } else { vector_of(&txn.s, t) };
    Ok(Seen { vector, read: f(txn, t)? })
}

impl Txn<'_> {
    fn left_out(&self, t: u32, without: &BTreeSet<String>) -> Vec<bool> {
        self.s.t(t).cols.iter().map(|c| without.contains(c)).collect()
    }

    /// The dot, if its replica is known here.
    pub(crate) fn known_dot(&self, d: Dot) -> Option<LocalDot> {
        let replica = self.s.replicas.iter().skip(1).position(|r| *r == d.replica)? + 1;
        LocalDot::checked(u32::try_from(replica).ok()?, d.seq.0)
    }

    /// Where a birth stands among all, the same on every node that has the key.
    fn position(&self, b: LocalDot) -> u16 {
        Hash::lives(&self.hash.start(b, &self.s.replicas)) as u16
    }

    fn births_of(&self, t: u32) -> Result<Vec<LocalDot>, Error> {
        let mut q = self.c.prepare_cached(&format!("SELECT b FROM _lockstep_row_{t} ORDER BY b"))?;
        let births = q.query_map([], |r| Ok(LocalDot(r.get(0)?)))?;
        Ok(births.collect::<Result<_, _>>()?)
    }

    /// Every alias edge, under the birth that comes first on every node.
    fn each_edge(&self, t: u32, mut f: impl FnMut(&Txn<'_>, LocalDot, u128)) -> Result<(), Error> {
        let mut q = self.c.prepare_cached("SELECT a, b, kind FROM _lockstep_alias WHERE t = ?1")?;
        let mut rows = q.query([t])?;
        while let Some(r) = rows.next()? {
            let (a, b) = self.pair(LocalDot(r.get(0)?), LocalDot(r.get(1)?));
            f(self, a, self.hash.edge(a, b, r.get(2)?, &self.s.replicas));
        }
        Ok(())
    }

    /// A birth's part of the digest, of the row as it is now; 0: it does not live, or its row is gone.
    fn part_now(&mut self, i: usize, beside: &[Future], is_out: &[bool]) -> Result<u128, Error> {
        if !self.reread(i)? {
            return Ok(0);
        }
        if beside.is_empty() {
            return Ok(self.hash_without(i, &out_of(is_out)));
        }
        let (t, b) = (self.births[i].t, self.births[i].b);
        self.hash_beside(t, b, beside, &out_of(is_out))
    }

    /// Reads a birth with its row as it is now, references too. False: its row is gone, and no log says so.
    pub(crate) fn reread(&mut self, i: usize) -> Result<bool, Error> {
        self.read(i)?;
        let (t, b) = (self.births[i].t, self.births[i].b);
        let class = self.class(t, b)?;
        let Some(&anchor) = self.anchors(&class)?.first() else { return Ok(true) };
        let is_content = self.births[anchor].row_key.as_ref().is_none_or(LocalKey::is_content);
        let Some(row) = self.stored_row(anchor)? else { return Ok(is_content) };
        if self.births[i].rec.held {
            // What it shows is not what it says.
            return Ok(true);
        }
        let named: Vec<(usize, usize, Col, LocalDot)> = self.births[i]
            .rec
            .entries
            .iter()
            .enumerate()
            .flat_map(|(e, entry)| entry.fields.iter().enumerate().map(move |(f, field)| (e, f, field)))
            .filter_map(|(e, f, field)| match field.cell {
                Held::Row(to) if field.shown => Some((e, f, field.col, to)),
                Held::Row(_) | Held::Value(_) | Held::Raw(_) | Held::Unread => None,
            })
            .collect();
        for (e, f, col, to) in named {
            let Some(p) = self.s.t(t).place[usize::from(col.0)] else { continue };
            if self.local_value(t, col, to)?.is_some_and(|shown| shown != row[p]) {
                self.births[i].rec.entries[e].fields[f].cell = self.cell_of(t, col, row[p].clone())?;
            }
        }
        Ok(true)
    }

    fn row_state(
        &mut self,
        (t, b): (u32, LocalDot),
        birth: Dot,
        beside: &[Future],
        is_out: &[bool],
    ) -> Result<RowState, Error> {
        let (is_there, rec) = match self.find(t, b)? {
            Some(i) => (self.reread(i)?, self.births[i].rec.clone()),
            None => (true, Record::default()),
        };
        let key = self.shown_key(t, b)?;
        let rec = self.as_if_due(t, rec, beside)?;
        let lives = is_there && self.rec_lives(&rec);
        let mut dots: BTreeSet<Dot> = rec.entries.iter().map(|e| self.dot(e.write.dot)).collect();
        let mut columns: BTreeMap<String, ColumnState> = BTreeMap::new();
        for e in &rec.entries {
            for f in e.fields.iter().filter(|f| lives && !is_out[usize::from(f.col.0)]) {
                let name = self.s.t(t).cols[usize::from(f.col.0)].clone();
                let cell = match &f.cell {
                    Held::Value(v) => Cell::Value(v.clone()),
                    Held::Raw(v) => Cell::Raw(v.clone()),
                    Held::Row(b) => Cell::Row(self.dot(*b)),
                    Held::Unread => continue,
                };
                let column = columns.entry(name.clone()).or_insert(ColumnState { name, cells: Vec::new() });
                // What is shown comes first.
                let at = if f.shown { 0 } else { column.cells.len() };
                column.cells.insert(at, cell);
            }
        }
        let mut aliases = BTreeSet::new();
        let [from, to] = EDGES_AT;
        let mut q = self.c.prepare_cached(&format!("SELECT a, b, kind, d {from} UNION SELECT a, b, kind, d {to}"))?;
        let mut edges = q.query(params![t, b.0])?;
        while let Some(r) = edges.next()? {
            let (one, other) = self.pair(LocalDot(r.get(0)?), LocalDot(r.get(1)?));
            if one == b {
                let kind = class::kind(r.get(2)?).ok_or_else(|| damaged("an alias of no kind"))?;
                aliases.insert((self.dot(other), kind));
            }
            dots.insert(self.dot(LocalDot(r.get(3)?)));
        }
        Ok(RowState {
            birth,
            key,
            lives,
            dots: dots.into_iter().collect(),
            columns: columns.into_values().collect(),
            aliases: aliases.into_iter().collect(),
        })
    }
}

//! Extraction: what a peer lacks, in the order of stamps over all replicas (merge-rules 22, 23).
//!
//! Always true here: a batch is never cut inside a dot; every prefix is a causal cut; what is extracted is read in the
//! snapshot that the harvest left. Work is proportional to the batch, not to the table.
use crate::change::{
    Alias, Batch, Cell as WireCell, Change, ConflictKind, ConflictRecord, Context, Decision,
    Existence as WireExistence, Item, Origin, ReferenceWrite, TableHead,
};
use crate::error::Error;
use crate::id::{Dot, Seq, Stamp, Vectors};
use crate::record::{Cell, Existence, LocalDot, Record, Register, decode_cell};
use crate::rule::{Rule, applies};
use crate::store::damaged;
use crate::transaction::{DotOf, Future, Txn, decode_dot};
use crate::value::Value;
use rusqlite::{OptionalExtension, params};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// How large a batch may become. A dot that is larger travels alone.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Items.
    pub items: usize,
    /// Bytes of values, roughly.
    pub bytes: usize,
}

impl Default for Limit {
    fn default() -> Self {
        Limit { items: 1500, bytes: 1 << 20 }
    }
}

const CHUNK: i64 = 512;

/// One unit on its way: a dot with its stamp.
enum Unit {
    /// In these births of memory.
    Births(Vec<usize>),
    Alias(Alias),
    Conflict(Box<ConflictRecord>),
    Decision(Decision),
    Futures(Vec<Future>),
}

/// The dots of one replica in one table that the peer lacks.
struct Stream {
    t: u32,
    replica: u32,
    /// All up to here were looked at.
    at: u64,
    until: u64,
    next: VecDeque<(LocalDot, Stamp, Unit)>,
}

/// The batch under way.
struct Builder {
    tables: Vec<TableHead>,
    table_at: HashMap<u32, usize>,
    contexts: Vec<Context>,
    context_at: HashMap<(u32, u32), usize>,
    items: Vec<Item>,
    bytes: usize,
}

impl Txn<'_> {
    /// The next batch of what a peer with these vectors lacks.
    pub fn extract(&mut self, have: &Vectors, limit: Limit) -> Result<Batch, Error> {
        let mut streams = Vec::new();
        let (mut start, mut end) = (Vectors::new(), Vectors::new());
        for i in 0..self.s.tables.len() {
            if self.s.tables[i].database.is_some() {
                continue;
            }
            let t = &self.s.tables[i];
            let theirs = have.get(&t.name);
            for (&r, &until) in &t.vector {
                let id = self.s.replicas[r as usize];
                let at = theirs.and_then(|v| v.get(&id)).map_or(0, |s| s.0);
                if at > 0 {
                    start.entry(t.name.clone()).or_default().insert(id, Seq(at.min(until)));
                }
                if at < until {
                    streams.push(Stream { t: t.n, replica: r, at, until, next: VecDeque::new() });
                }
            }
        }
        let mut build = Builder {
            tables: Vec::new(),
            table_at: HashMap::new(),
            contexts: Vec::new(),
            context_at: HashMap::new(),
            items: Vec::new(),
            bytes: 0,
        };
        for s in &mut streams {
            self.refill(s)?;
        }
        while let Some(k) = (0..streams.len())
            .filter(|&k| !streams[k].next.is_empty())
            .min_by_key(|&k| (streams[k].next[0].1, streams[k].t, self.id_of(streams[k].next[0].0)))
        {
            if build.items.len() >= limit.items || build.bytes >= limit.bytes {
                break;
            }
            let t = streams[k].t;
            let (dot, _, unit) = streams[k].next.pop_front().expect("chosen because it has one");
            if streams[k].next.is_empty() {
                self.refill(&mut streams[k])?;
            }
            self.put_unit(&mut build, t, dot, unit)?;
        }
        let mut last = true;
        let mut until = self.until();
        for s in &streams {
            let reached = match s.next.front() {
                Some((dot, _, _)) => {
                    last = false;
                    dot.seq() - 1
                }
                None => s.until,
            };
            let name = self.s.t(s.t).name.clone();
            if reached < s.until {
                let most =
                    until.entry(name.clone()).or_default().entry(self.s.replicas[s.replica as usize]).or_default();
                *most = (*most).max(Seq(s.until));
            }
            end.entry(name).or_default().insert(self.s.replicas[s.replica as usize], Seq(reached));
        }
        let own =
            |s: &Stream| self.s.hosts[s.replica as usize].clone().map(|h| (self.s.replicas[s.replica as usize], h));
        Ok(Batch {
            hosts: streams.iter().filter_map(own).collect(),
            database: self.s.name.clone(),
            tables: build.tables,
            contexts: build.contexts,
            start,
            end,
            clock: self.s.clock,
            last,
            until,
            items: build.items,
        })
    }

    /// What this file still waits for.
    fn until(&self) -> Vectors {
        let mut all = Vectors::new();
        for (&(t, r), &seq) in &self.s.until {
            all.entry(self.s.t(t).name.clone()).or_default().insert(self.s.replicas[r as usize], Seq(seq));
        }
        all
    }

    /// Reads on in a stream until it has a unit, or is at its end.
    fn refill(&mut self, s: &mut Stream) -> Result<(), Error> {
        while s.next.is_empty() && s.at < s.until {
            let (lo, hi) = (LocalDot::new(s.replica, s.at + 1).0, LocalDot::new(s.replica, s.until).0);
            let births: Vec<(i64, Option<crate::key::LocalKey>, Vec<u8>)> = self
                .c
                .prepare_cached(&format!(
                    "SELECT b, k, rec FROM _lockstep_row_{} WHERE b BETWEEN ?1 AND ?2 ORDER BY b LIMIT ?3",
                    s.t
                ))?
                .query_map(params![lo, hi, CHUNK], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                .collect::<Result<_, _>>()?;
            let dots: Vec<(i64, Value)> = self
                .c
                .prepare_cached(&format!(
                    "SELECT d, what FROM _lockstep_dot_{} WHERE d BETWEEN ?1 AND ?2 ORDER BY d LIMIT ?3",
                    s.t
                ))?
                .query_map(params![lo, hi, CHUNK], |r| Ok((r.get(0)?, Value::from(r.get_ref(1)?))))?
                .collect::<Result<_, _>>()?;
            // A full chunk speaks only for dots up to its last.
            let mut upto = hi;
            if births.len() as i64 == CHUNK {
                upto = upto.min(births[births.len() - 1].0);
            }
            if dots.len() as i64 == CHUNK {
                upto = upto.min(dots[dots.len() - 1].0);
            }
            let mut found: BTreeMap<i64, (Stamp, Unit)> = BTreeMap::new();
            for (b, key, rec) in births.into_iter().filter(|(b, _, _)| *b <= upto) {
                let dot = LocalDot(b);
                let i = match self.find_loaded(s.t, dot) {
                    Some(i) => i,
                    None => {
                        let rec = Record::decode(&rec).ok_or_else(|| damaged("a record"))?;
                        if !rec.entries.iter().any(|e| e.write.dot == dot) {
                            continue;
                        }
                        self.enter(s.t, dot, rec, key)?
                    }
                };
                if let Some(e) = self.births[i].rec.entries.iter().find(|e| e.write.dot == dot) {
                    found.insert(b, (e.write.stamp, Unit::Births(vec![i])));
                }
            }
            for (d, what) in dots.into_iter().filter(|(d, _)| *d <= upto) {
                let of = decode_dot(&what).ok_or_else(|| damaged("a dot"))?;
                if let Some(unit) = self.unit_of(s.t, LocalDot(d), of)? {
                    found.insert(d, unit);
                }
            }
            s.next.extend(found.into_iter().map(|(d, (stamp, u))| (LocalDot(d), stamp, u)));
            s.at = LocalDot(upto).seq();
        }
        Ok(())
    }

    fn unit_of(&mut self, t: u32, d: LocalDot, of: DotOf) -> Result<Option<(Stamp, Unit)>, Error> {
        Ok(match of {
            DotOf::Births(list) => {
                let mut stamp = Stamp::default();
                let mut births = Vec::new();
                for b in list {
                    let Some(i) = self.find(t, b)? else { continue };
                    if let Some(e) = self.births[i].rec.entries.iter().find(|e| e.write.dot == d) {
                        stamp = e.write.stamp;
                        births.push(i);
                    }
                }
                (!births.is_empty()).then_some((stamp, Unit::Births(births)))
            }
            DotOf::Alias(a, b, kind) => {
                let stamp: Option<i64> = self
                    .c
                    .prepare_cached(
                        "SELECT stamp FROM _lockstep_alias WHERE t = ?1 AND a = ?2 AND b = ?3 AND kind = ?4",
                    )?
                    .query_row(params![t, a.0, b.0, kind as u8], |r| r.get(0))
                    .optional()?;
                stamp.map(|s| {
                    let births = [self.dot(a), self.dot(b)];
                    (Stamp(s), Unit::Alias(Alias { table: 0, dot: self.dot(d), stamp: Stamp(s), kind, births }))
                })
            }
            DotOf::Conflict(b, register, loser) => self.conflict_unit(t, d, b, register, loser)?,
            DotOf::Decision(b, loser) => self.decided((t, b, loser))?.map(|said| {
                let (dot, birth, loser) = (self.dot(d), self.dot(b), self.dot(loser));
                let (stamp, kept) = (said.stamp, said.kept);
                (stamp, Unit::Decision(Decision { table: 0, dot, stamp, birth, loser, kept }))
            }),
            DotOf::Future => {
                let list = self.futures_of(t, d)?;
                list.first().map(|f| f.write.stamp).map(|stamp| (stamp, Unit::Futures(list)))
            }
        })
    }

    fn conflict_unit(
        &mut self,
        t: u32,
        d: LocalDot,
        b: LocalDot,
        register: i64,
        loser: LocalDot,
    ) -> Result<Option<(Stamp, Unit)>, Error> {
        let row = self
            .c
            .prepare_cached(
                "SELECT stamp, loser_stamp, value, winner, winner_stamp, winner_value, kind FROM _lockstep_conflict
                 WHERE t = ?1 AND b = ?2 AND col = ?3 AND loser = ?4",
            )?
            .query_row(params![t, b.0, register, loser.0], |r| {
                Ok((
                    r.get::<_, i64>(0)?,
                    r.get::<_, i64>(1)?,
                    r.get::<_, Option<Vec<u8>>>(2)?,
                    r.get::<_, i64>(3)?,
                    r.get::<_, i64>(4)?,
                    r.get::<_, Option<Vec<u8>>>(5)?,
                    r.get::<_, i64>(6)?,
                ))
            })
            .optional()?;
        let Some((stamp, loser_stamp, value, winner, winner_stamp, winner_value, kind)) = row else { return Ok(None) };
        let cell = |txn: &Self, b: Option<Vec<u8>>| -> Result<Option<WireCell>, Error> {
            b.map(|b| {
                decode_cell(&mut b.as_slice())
                    .and_then(|c| txn.wire_cell(&c))
                    .ok_or_else(|| damaged("an archived value"))
            })
            .transpose()
        };
        let record = ConflictRecord {
            table: 0,
            dot: self.dot(d),
            stamp: Stamp(stamp),
            birth: self.dot(b),
            register: match Register::from_number(register) {
                Register::Existence => None,
                Register::Column(c) => Some(usize::from(c.0)),
            },
            loser: self.dot(loser),
            loser_stamp: Stamp(loser_stamp),
            value: cell(self, value)?,
            winner: self.dot(LocalDot(winner)),
            winner_stamp: Stamp(winner_stamp),
            winner_value: cell(self, winner_value)?,
            kind: ConflictKind::ALL
                .into_iter()
                .find(|k| *k as i64 == kind)
                .ok_or_else(|| damaged("a conflict of no kind"))?,
        };
        Ok(Some((Stamp(stamp), Unit::Conflict(Box::new(record)))))
    }

    /// A dot of this file as the world knows it.
    pub fn dot(&self, d: LocalDot) -> Dot {
        Dot { replica: self.s.replicas[d.replica() as usize], seq: Seq(d.seq()) }
    }

    fn wire_cell(&self, c: &Cell) -> Option<WireCell> {
        Some(match c {
            Cell::Value(v) => WireCell::Value(v.clone()),
            Cell::Row(b) => WireCell::Row(self.dot(*b)),
            Cell::Raw(v) => WireCell::Raw(v.clone()),
            Cell::Unread => return None,
        })
    }

    fn put_unit(&mut self, build: &mut Builder, t: u32, dot: LocalDot, unit: Unit) -> Result<(), Error> {
        let at = match build.table_at.get(&t) {
            Some(at) => *at,
            None => {
                let s = self.s.t(t);
                build.tables.push(TableHead { name: s.name.clone(), columns: s.cols.clone() });
                build.table_at.insert(t, build.tables.len() - 1);
                build.tables.len() - 1
            }
        };
        match unit {
            Unit::Births(births) => {
                for i in births {
                    if self.is_lost(i) {
                        return Err(Error::TableGone { table: self.s.t(t).name.clone() });
                    }
                    self.read_write(i, dot)?;
                    let b = self.births[i].b;
                    let rec = &mut self.births[i].rec;
                    let Some(e) = rec.entries.iter_mut().find(|e| e.write.dot == dot) else { continue };
                    // The batch takes the cells; that there are such columns has to stay known.
                    let e = e.take();
                    let origin = (rec.origin, rec.alone);
                    let origin = (b == dot).then(|| {
                        let mut awaits = rec.columns();
                        // Those that are still to come here, come later there too.
                        awaits.extend(&rec.awaits);
                        awaits.retain(|c| e.field(*c).is_none());
                        awaits.sort_unstable();
                        awaits.dedup();
                        (origin.0, origin.1, awaits)
                    });
                    let f = Future { t, b, write: e.write, existence: e.existence, fields: e.fields, origin };
                    self.put_change(build, at, f)?;
                }
            }
            Unit::Futures(list) => {
                for f in list {
                    self.put_change(build, at, f)?;
                }
            }
            Unit::Alias(mut a) => {
                a.table = at;
                build.bytes += 60;
                if applies(Rule::AliasForwarded) {
                    build.items.push(Item::Alias(a));
                }
            }
            Unit::Decision(mut d) => {
                d.table = at;
                build.bytes += 60;
                build.items.push(Item::Decision(d));
            }
            Unit::Conflict(mut r) => {
                r.table = at;
                for v in [&r.value, &r.winner_value].into_iter().flatten() {
                    build.bytes += weight(v);
                }
                build.bytes += 80;
                if applies(Rule::RecordForwarded) {
                    build.items.push(Item::Conflict(*r));
                }
            }
        }
        Ok(())
    }

    fn put_change(&mut self, build: &mut Builder, at: usize, f: Future) -> Result<(), Error> {
        let context = match build.context_at.get(&(f.t, f.write.context)) {
            Some(k) => *k,
            None => {
                let seen = self.s.seen(self.c, f.write.context)?;
                let mut seen: Vec<_> = seen.iter().map(|(r, s)| (self.s.replicas[*r as usize], Seq(*s))).collect();
                seen.sort_unstable();
                build.contexts.push(Context { seen });
                build.context_at.insert((f.t, f.write.context), build.contexts.len() - 1);
                build.contexts.len() - 1
            }
        };
        let mut columns = Vec::with_capacity(f.fields.len());
        for field in &f.fields {
            let cell = self.wire_cell(&field.cell).ok_or_else(|| damaged("a value that was not read"))?;
            build.bytes += weight(&cell);
            columns.push((usize::from(field.col.0), cell));
        }
        build.bytes += 40;
        let unseen = f
            .write
            .unseen
            .iter()
            .map(|(r, d)| {
                let r = match r {
                    Register::Existence => None,
                    Register::Column(c) => Some(usize::from(c.0)),
                };
                (r, self.dot(*d))
            })
            .collect();
        let existence = f.existence.as_ref().map(|x| match x {
            Existence::Lives => WireExistence::Lives,
            Existence::Deleted(list) => WireExistence::Deleted {
                dangling: list
                    .iter()
                    .map(|d| ReferenceWrite {
                        table: self.s.t(d.table).name.clone(),
                        column: self.s.t(d.table).cols[usize::from(d.col.0)].clone(),
                        dot: self.dot(d.dot),
                    })
                    .collect(),
            },
        });
        build.items.push(Item::Change(Change {
            table: at,
            birth: self.dot(f.b),
            dot: self.dot(f.write.dot),
            stamp: f.write.stamp,
            rank: f.write.rank,
            context,
            unseen,
            existence,
            columns,
            origin: f.origin.map(|(id, alone, awaits)| Origin {
                id,
                alone,
                awaits: awaits.iter().map(|c| usize::from(c.0)).collect(),
            }),
        }));
        Ok(())
    }
}

fn weight(c: &WireCell) -> usize {
    match c {
        WireCell::Value(v) | WireCell::Raw(v) => v.weight() + 1,
        WireCell::Row(_) => 12,
    }
}

//! Applying a batch: merge-rules 24, in one transaction.
//!
//! Always true here: a batch is applied whole or not at all; vectors advance in the transaction of the rows that they
//! speak of; what was received before is skipped, so twice is once. Not here: the order of batches (`wire`'s session).
use crate::change::{AliasKind, Batch, Cell as WireCell, Change, Existence as WireExistence, Item};
use crate::class::Edge;
use crate::error::Error;
use crate::id::{Dot, Stamp};
use crate::record::{Cell, Col, Dangling, Existence, Field, LocalDot, Register, Write};
use crate::rule::{Rule, applies};
use crate::store::Seen;
use crate::transaction::{Decided, DotOf, Future, Lost, Txn, future};
use std::collections::BTreeMap;

/// A batch's numbers in this file's numbers.
struct Names {
    tables: Vec<u32>,
    cols: Vec<Vec<Col>>,
    /// By (table, context): the interned number here.
    contexts: BTreeMap<(u32, usize), u32>,
}

impl Txn<'_> {
    pub fn local_dot(&mut self, d: Dot) -> LocalDot {
        let r = self.s.replica_no(d.replica);
        LocalDot::new(r, d.seq.0)
    }

    /// Checks the batch, advances the vectors and merges its items.
    pub fn receive(&mut self, batch: &Batch) -> Result<(), Error> {
        if batch.database != self.s.name {
            return Err(Error::OtherDatabase { found: batch.database.clone(), wanted: self.s.name.clone() });
        }
        self.check_start(batch)?;
        let mut names = self.name_all(batch)?;
        // What was received before this batch: (table, replica) to seq.
        let mut known: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for t in &self.s.tables {
            known.extend(t.vector.iter().map(|(r, s)| ((t.n, *r), *s)));
        }
        let limit = future::limit(self.now);
        if batch.clock <= limit && applies(Rule::ClockPushed) {
            self.s.push_clock(batch.clock);
        }
        for (name, vector) in &batch.end {
            let t = self.s.table_no(None, name);
            for (replica, seq) in vector {
                let r = self.s.replica_no(*replica);
                if r != self.s.own {
                    self.s.advance(t, r, seq.0 + u64::from(!applies(Rule::VectorExact)));
                }
            }
        }
        for (name, vector) in &batch.until {
            let t = self.s.table_no(None, name);
            for (replica, seq) in vector {
                let r = self.s.replica_no(*replica);
                let most = self.s.until.entry((t, r)).or_default();
                *most = seq.0.max(*most);
            }
        }
        for (replica, host) in &batch.hosts {
            self.s.place(self.c, *replica, host)?;
        }
        self.s.drop_reached();
        self.s.last = batch.last;
        self.s.met = true;
        self.s.touch_meta();
        for item in &batch.items {
            let t = *names.tables.get(item.table()).ok_or_else(|| bad("an item of no table"))?;
            let dot = self.local_dot(item.dot());
            if known.get(&(t, dot.replica())).is_some_and(|s| *s >= dot.seq()) {
                continue;
            }
            if (!matches!(item, Item::Change(_)) || item.stamp() <= limit) && applies(Rule::ClockPushed) {
                self.s.push_clock(item.stamp().min(limit));
            }
            match item {
                Item::Change(c) => self.receive_change(batch, &mut names, t, dot, c, limit)?,
                Item::Alias(a) => {
                    let (x, y) = (self.local_dot(a.births[0]), self.local_dot(a.births[1]));
                    let (x, y) = self.pair(x, y);
                    self.add_edge(t, Edge { a: x, b: y, kind: a.kind, dot, stamp: a.stamp })?;
                    if matches!(a.kind, AliasKind::Apart) {
                        self.touch_children(t, x)?;
                        self.touch_children(t, y)?;
                    }
                }
                Item::Conflict(r) => {
                    let b = self.local_dot(r.birth);
                    let register = match r.register {
                        None => Register::Existence,
                        Some(k) => Register::Column(column(&names, r.table, k)?),
                    };
                    let (loser, winner) = (self.local_dot(r.loser), self.local_dot(r.winner));
                    let value = r.value.as_ref().map(|v| self.cell_from(v));
                    let winner_value = r.winner_value.as_ref().map(|v| self.cell_from(v));
                    let lost = Lost {
                        dot,
                        stamp: r.stamp,
                        loser_stamp: r.loser_stamp,
                        value,
                        winner,
                        winner_stamp: r.winner_stamp,
                        winner_value,
                        kind: r.kind,
                    };
                    self.merge_loss((t, b, register.number(), loser), lost)?;
                }
                Item::Decision(d) => {
                    let (b, loser) = (self.local_dot(d.birth), self.local_dot(d.loser));
                    self.merge_decision((t, b, loser), Decided { dot, stamp: d.stamp, kept: d.kept })?;
                }
            }
        }
        self.merge_due()
    }

    fn check_start(&mut self, batch: &Batch) -> Result<(), Error> {
        for (name, vector) in &batch.start {
            let t = self.s.find_table(None, name);
            for (replica, seq) in vector {
                let have = t
                    .and_then(|t| {
                        let r = self.s.replicas.iter().position(|x| x == replica)? as u32;
                        self.s.t(t).vector.get(&r).copied()
                    })
                    .unwrap_or(0);
                if have < seq.0 && applies(Rule::StartChecked) {
                    return Err(Error::StartNotReached { table: name.clone() });
                }
            }
        }
        Ok(())
    }

    fn name_all(&mut self, batch: &Batch) -> Result<Names, Error> {
        let mut names = Names { tables: Vec::new(), cols: Vec::new(), contexts: BTreeMap::new() };
        for head in &batch.tables {
            let t = self.s.table_no(None, &head.name);
            names.tables.push(t);
            names.cols.push(head.columns.iter().map(|c| self.s.col(t as usize - 1, c)).collect());
        }
        Ok(names)
    }

    fn context(&mut self, batch: &Batch, names: &mut Names, t: u32, k: usize) -> Result<u32, Error> {
        if let Some(n) = names.contexts.get(&(t, k)) {
            return Ok(*n);
        }
        let context = batch.contexts.get(k).ok_or_else(|| bad("a context that is not in the batch"))?;
        let mut seen: Vec<(u32, u64)> = context.seen.iter().map(|(r, s)| (self.s.replica_no(*r), s.0)).collect();
        seen.sort_unstable();
        let seen: Seen = seen.into();
        let n = self.s.intern(self.c, t, seen)?;
        names.contexts.insert((t, k), n);
        Ok(n)
    }

    fn cell_from(&mut self, c: &WireCell) -> Cell {
        match c {
            WireCell::Value(v) => Cell::Value(v.clone()),
            WireCell::Row(d) => Cell::Row(self.local_dot(*d)),
            WireCell::Raw(v) => Cell::Raw(v.clone()),
        }
    }

    fn receive_change(
        &mut self,
        batch: &Batch,
        names: &mut Names,
        t: u32,
        dot: LocalDot,
        c: &Change,
        limit: Stamp,
    ) -> Result<(), Error> {
        let b = self.local_dot(c.birth);
        let context = self.context(batch, names, t, c.context)?;
        let mut unseen = Vec::with_capacity(c.unseen.len());
        for (register, d) in &c.unseen {
            let register = match register {
                None => Register::Existence,
                Some(k) => Register::Column(column(names, c.table, *k)?),
            };
            unseen.push((register, self.local_dot(*d)));
        }
        let write = Write { dot, stamp: c.stamp, rank: c.rank, context, unseen };
        let existence = match &c.existence {
            None => None,
            Some(WireExistence::Lives) => Some(Existence::Lives),
            Some(WireExistence::Deleted { dangling }) => {
                let mut list = Vec::with_capacity(dangling.len());
                for d in dangling {
                    let table = self.s.table_no(None, &d.table);
                    let col = self.s.col(table as usize - 1, &d.column);
                    list.push(Dangling { table, col, dot: self.local_dot(d.dot) });
                }
                list.sort_unstable();
                Some(Existence::Deleted(list))
            }
        };
        let mut fields = Vec::with_capacity(c.columns.len());
        for (k, v) in &c.columns {
            let col = column(names, c.table, *k)?;
            let cell = self.cell_from(v);
            let cell = match cell {
                // A reference here, and plain at its author: it names nothing.
                Cell::Value(v) if !v.is_null() && self.s.t(t).refs.contains_key(&col) => Cell::Raw(v),
                cell => cell,
            };
            fields.push(Field { col, cell, shown: false });
        }
        fields.sort_by_key(|f| f.col);
        let origin = match &c.origin {
            Some(o) => {
                let awaits = o.awaits.iter().map(|k| column(names, c.table, *k)).collect::<Result<Vec<Col>, _>>()?;
                Some((o.id, o.alone, awaits))
            }
            None => None,
        };
        if c.stamp > limit && applies(Rule::FutureWaits) {
            self.set_dot(t, dot, DotOf::Future);
            let n = fields.len() as i64 + i64::from(existence.is_some());
            self.account_future(t, n);
            self.futures.push(Future { t, b, write, existence, fields, origin });
            return Ok(());
        }
        self.merge_change(Future { t, b, write, existence, fields, origin })
    }

    fn merge_change(&mut self, f: Future) -> Result<(), Error> {
        let i = self.find_or_new(f.t, f.b)?;
        if let Some((id, alone, awaits)) = f.origin {
            let rec = &mut self.births[i].rec;
            rec.origin = id;
            rec.alone = alone;
            rec.awaits = awaits;
        }
        self.merge(i, &f.write, f.existence, f.fields)
    }

    /// Writes whose stamp has become due.
    pub fn merge_due(&mut self) -> Result<(), Error> {
        let limit = future::limit(self.now);
        if !self.has_futures()? {
            return Ok(());
        }
        let due: Vec<(u32, i64, i64, i64, Vec<u8>)> = self
            .c
            .prepare_cached("SELECT t, d, n, b, body FROM _lockstep_future WHERE stamp <= ?1 ORDER BY stamp, d, n")?
            .query_map([limit.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?
            .collect::<Result<_, _>>()?;
        for (t, d, n, b, body) in due {
            if !applies(Rule::DueMerged) {
                continue;
            }
            let f = Future::decode(t, LocalDot(b), &body).ok_or_else(|| crate::store::damaged("a held write"))?;
            self.s.push_clock(f.write.stamp);
            self.set_dot(t, LocalDot(d), DotOf::Births(Vec::new()));
            self.due.push((t, LocalDot(d), n));
            self.account_future(t, -f.registers());
            self.merge_change(f)?;
        }
        Ok(())
    }

    /// After any merge: identities, losers inside classes, and the plan of the rows.
    pub fn settle(&mut self) -> Result<crate::rows::RowPlan, Error> {
        self.drop_seen_futures()?;
        self.touch_all_waiting()?;
        self.touch_left_parents()?;
        if self.s.last || !self.new_edges.is_empty() {
            self.match_identities()?;
        } else {
            self.touch_clusters()?;
        }
        self.class_losers()?;
        self.plan_rows()
    }
}

fn column(names: &Names, table: usize, k: usize) -> Result<Col, Error> {
    names.cols.get(table).and_then(|c| c.get(k)).copied().ok_or_else(|| bad("a column that is not in the batch"))
}

fn bad(what: &str) -> Error {
    Error::BadBatch { what: what.to_owned() }
}

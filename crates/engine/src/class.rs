//! Which births are one row: merge-rules 9, 16 and 17.
//!
//! Always true here: edges only grow; a class is worked out from the edges of its cluster and the births in it, so
//! every node that has the same writes has the same classes. Not here: when an edge is made (`identity`).
use crate::change::AliasKind;
use crate::error::Error;
use crate::id::{Host, Stamp};
use crate::record::{Cell, Col, LocalDot, Register};
use crate::rule::{Rule, applies};
use crate::store::EDGES_AT;
use crate::transaction::{DotOf, Txn};
use rusqlite::params;
use smallvec::{SmallVec, smallvec};
use std::collections::{BTreeMap, BTreeSet};

/// A list that hardly ever has more than one element: nearly every row was inserted once.
pub type Few<T> = SmallVec<[T; 2]>;

/// A fact about two births. `a` is the smaller by (replica id, seq).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    pub a: LocalDot,
    pub b: LocalDot,
    pub kind: AliasKind,
    pub dot: LocalDot,
    pub stamp: Stamp,
}

/// Births that are one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    pub t: u32,
    /// The smallest by (replica id, seq).
    pub leader: LocalDot,
    /// Ascending in the same order.
    pub members: Few<LocalDot>,
}

/// The kind behind a stored number.
pub fn kind(n: i64) -> Option<AliasKind> {
    [AliasKind::Hand, AliasKind::Apart, AliasKind::Fall, AliasKind::Key].into_iter().find(|k| *k as i64 == n)
}

fn across(apart: &[(LocalDot, LocalDot)], xs: &[LocalDot], ys: &[LocalDot]) -> bool {
    apart.iter().any(|(a, b)| xs.contains(a) && ys.contains(b) || xs.contains(b) && ys.contains(a))
}

impl Txn<'_> {
    /// The edges at a birth.
    pub fn edges_at(&mut self, t: u32, b: LocalDot) -> Result<&mut Vec<Edge>, Error> {
        if !self.edges.contains_key(&(t, b)) {
            let mut list = Vec::new();
            let [from, to] = EDGES_AT;
            let mut q = self.c.prepare_cached(&format!(
                "SELECT a, b, kind, d, stamp {from} UNION ALL SELECT a, b, kind, d, stamp {to}"
            ))?;
            let mut rows = q.query(params![t, b.0])?;
            while let Some(r) = rows.next()? {
                list.push(Edge {
                    a: LocalDot(r.get(0)?),
                    b: LocalDot(r.get(1)?),
                    kind: kind(r.get(2)?).ok_or_else(|| crate::store::damaged("an alias of no kind"))?,
                    dot: LocalDot(r.get(3)?),
                    stamp: Stamp(r.get(4)?),
                });
            }
            self.edges.insert((t, b), list);
        }
        Ok(self.edges.get_mut(&(t, b)).expect("inserted above"))
    }

    /// What else is planned anew with what is touched: the rest of its cluster, since a death or an edge there may move
    /// any of it to another class; and if so, what refers to any of it.
    pub fn touch_clusters(&mut self) -> Result<(), Error> {
        self.classes.clear();
        let mut todo = self.touched.list();
        let mut done = BTreeSet::new();
        while let Some((t, b)) = todo.pop() {
            let Some(i) = self.find(t, b)? else { continue };
            if !self.births[i].rec.linked || done.contains(&(t, b)) {
                continue;
            }
            let cluster = self.cluster(t, b)?.0;
            let mut moved = false;
            for &m in &cluster {
                done.insert((t, m));
                self.touched.insert((t, m));
                if let Some(k) = self.find(t, m)? {
                    moved |= self.class(t, m)?.leader != self.births[k].leader_before();
                }
            }
            for m in cluster.into_iter().filter(|_| moved) {
                for (ct, c, _) in self.children(t, m)? {
                    self.touched.insert((ct, c));
                    todo.push((ct, c));
                }
            }
        }
        Ok(())
    }

    /// Puts the smaller birth first, as all nodes do.
    pub fn pair(&self, a: LocalDot, b: LocalDot) -> (LocalDot, LocalDot) {
        if self.id_of(a) <= self.id_of(b) { (a, b) } else { (b, a) }
    }

    /// Adds an edge, or folds it into the same one: of `key` and `fall` the smallest dot stays, of a person's decisions
    /// the latest. False: nothing new.
    pub fn add_edge(&mut self, t: u32, e: Edge) -> Result<bool, Error> {
        let old = self.edges_at(t, e.a)?.iter().find(|o| o.a == e.a && o.b == e.b && o.kind == e.kind).copied();
        if let Some(old) = old {
            let by_hand = matches!(e.kind, AliasKind::Hand | AliasKind::Apart);
            let newer = if by_hand {
                (e.stamp, self.id_of(e.dot)) > (old.stamp, self.id_of(old.dot))
            } else {
                self.id_of(e.dot) < self.id_of(old.dot)
            };
            if !newer {
                return Ok(false);
            }
            self.set_dot(t, old.dot, DotOf::Births(Vec::new()));
        }
        for end in [e.a, e.b] {
            let list = self.edges_at(t, end)?;
            list.retain(|o| !(o.a == e.a && o.b == e.b && o.kind == e.kind));
            list.push(e);
        }
        self.set_dot(t, e.dot, DotOf::Alias(e.a, e.b, e.kind));
        self.new_edges.push((t, e));
        if old.is_none() {
            let part = self.hash.edge(e.a, e.b, e.kind as u8, &self.s.replicas);
            if applies(Rule::AliasCounted) {
                let s = self.s.t_mut(t);
                s.digest = s.digest.wrapping_add(part);
            }
        }
        for end in [e.a, e.b] {
            let i = self.find_or_new(t, end)?;
            self.read(i)?;
            self.births[i].rec.linked = true;
            self.births[i].dirty = true;
            self.touched.insert((t, end));
        }
        // What waits for either of them may find its row now.
        for end in [e.a, e.b] {
            self.touch_waiting(&Class { t, leader: end, members: smallvec![end] })?;
        }
        self.classes.clear();
        Ok(true)
    }

    /// Makes an edge here: a write with a dot of its own.
    pub fn make_edge(&mut self, t: u32, a: LocalDot, b: LocalDot, kind: AliasKind) -> Result<bool, Error> {
        let (a, b) = self.pair(a, b);
        if matches!(kind, AliasKind::Key | AliasKind::Fall)
            && self.edges_at(t, a)?.iter().any(|o| o.a == a && o.b == b && o.kind == kind)
        {
            return Ok(false);
        }
        let (dot, stamp) = self.new_dot(t, self.now);
        self.counts.entry(t).or_default().writes += 1;
        self.add_edge(t, Edge { a, b, kind, dot, stamp })
    }

    fn cluster(&mut self, t: u32, b: LocalDot) -> Result<(Vec<LocalDot>, Vec<Edge>), Error> {
        let mut births = BTreeSet::from([b]);
        let mut todo = vec![b];
        let mut edges: Vec<Edge> = Vec::new();
        while let Some(x) = todo.pop() {
            for e in self.edges_at(t, x)?.clone() {
                if !edges.iter().any(|o| o.a == e.a && o.b == e.b && o.kind == e.kind) {
                    edges.push(e);
                }
                for end in [e.a, e.b] {
                    if births.insert(end) {
                        todo.push(end);
                    }
                }
            }
        }
        Ok((births.into_iter().collect(), edges))
    }

    /// The class of a birth.
    pub fn class(&mut self, t: u32, b: LocalDot) -> Result<Class, Error> {
        if let Some(c) = self.classes.get(&(t, b)) {
            return Ok(c.clone());
        }
        let linked = match self.find(t, b)? {
            Some(i) => self.births[i].rec.linked,
            None => false,
        };
        if !linked {
            return Ok(Class { t, leader: b, members: smallvec![b] });
        }
        for members in self.cluster_classes(t, b)? {
            let mut members = members;
            members.sort_by_key(|m| self.id_of(*m));
            let c = Class { t, leader: members[0], members: members.into() };
            for m in &c.members {
                self.classes.insert((t, *m), c.clone());
            }
        }
        Ok(self.classes[&(t, b)].clone())
    }

    fn cluster_classes(&mut self, t: u32, b: LocalDot) -> Result<Vec<Vec<LocalDot>>, Error> {
        let (births, edges) = self.cluster(t, b)?;
        let mut groups: Vec<Vec<LocalDot>> = births.iter().map(|b| vec![*b]).collect();
        let group =
            |groups: &[Vec<LocalDot>], b: LocalDot| groups.iter().position(|g| g.contains(&b)).expect("in the cluster");
        let join = |groups: &mut Vec<Vec<LocalDot>>, x: usize, y: usize| {
            let (x, y) = (x.min(y), x.max(y));
            let more = groups.remove(y);
            groups[x].extend(more);
        };
        // A person's decisions, the latest first: per pair the later counts.
        let mut decisions: BTreeMap<(LocalDot, LocalDot), Edge> = BTreeMap::new();
        for e in edges.iter().filter(|e| matches!(e.kind, AliasKind::Hand | AliasKind::Apart)) {
            let later =
                decisions.get(&(e.a, e.b)).is_none_or(|o| (o.stamp, self.id_of(o.dot)) < (e.stamp, self.id_of(e.dot)));
            if later {
                decisions.insert((e.a, e.b), *e);
            }
        }
        let mut decisions: Vec<Edge> = decisions.into_values().collect();
        decisions.sort_by_key(|e| std::cmp::Reverse((e.stamp, self.id_of(e.dot))));
        let mut apart = Vec::new();
        for e in decisions {
            let (x, y) = (group(&groups, e.a), group(&groups, e.b));
            if x == y {
                continue;
            }
            if e.kind == AliasKind::Apart {
                apart.push((e.a, e.b));
            } else if !across(&apart, &groups[x], &groups[y]) {
                join(&mut groups, x, y);
            }
        }
        let mut by_rule: Vec<Edge> =
            edges.into_iter().filter(|e| matches!(e.kind, AliasKind::Fall | AliasKind::Key)).collect();
        by_rule.sort_by_key(|e| (e.kind, self.id_of(e.a), self.id_of(e.b)));
        for e in by_rule {
            let (x, y) = (group(&groups, e.a), group(&groups, e.b));
            if x == y || across(&apart, &groups[x], &groups[y]) {
                continue;
            }
            let blocked = match e.kind {
                AliasKind::Fall => self.fell_apart(t, e.a, e.b)?,
                AliasKind::Key => self.twins(t, &groups[x], &groups[y])?,
                AliasKind::Hand | AliasKind::Apart => unreachable!("filtered above"),
            };
            if !blocked {
                join(&mut groups, x, y);
            }
        }
        Ok(groups)
    }

    /// A `fall` edge holds only while the references coincide.
    fn fell_apart(&mut self, t: u32, a: LocalDot, b: LocalDot) -> Result<bool, Error> {
        let (Some(i), Some(k)) = (self.find(t, a)?, self.find(t, b)?) else { return Ok(false) };
        if !self.births[i].complete() || !self.births[k].complete() {
            return Ok(false);
        }
        let refs: Vec<(Col, u32)> = self.s.t(t).refs.iter().map(|(c, (n, _))| (*c, *n)).collect();
        for (col, pt) in refs {
            if self.named(i, col, pt)? != self.named(k, col, pt)? && applies(Rule::FallLasts) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The leader of the row that the best write of a reference names; None: NULL, raw, or no such register.
    fn named(&mut self, i: usize, col: Col, pt: u32) -> Result<Option<LocalDot>, Error> {
        let t = self.births[i].t;
        let best = self.births[i].rec.siblings(col).max_by(|a, b| self.better((t, col), a.0, b.0));
        match best.map(|(_, f)| f.cell.clone()) {
            Some(Cell::Row(b)) => Ok(Some(self.leader(pt, b)?)),
            Some(Cell::Value(_) | Cell::Raw(_) | Cell::Unread) | None => Ok(None),
        }
    }

    /// The leader of the class of a birth, in this file or another.
    pub fn leader(&mut self, t: u32, b: LocalDot) -> Result<LocalDot, Error> {
        if self.s.t(t).database.is_some() {
            return self.foreign_leader(t, b);
        }
        Ok(self.class(t, b)?.leader)
    }

    /// Do both groups have a living birth of one replica? Then that application has them as two rows.
    pub fn twins(&mut self, t: u32, xs: &[LocalDot], ys: &[LocalDot]) -> Result<bool, Error> {
        self.share_a_home(t, xs, ys, |_, replica| replica)
    }

    /// The same, where replicas of one node count as one: after a break in its history an application has its rows of
    /// before and those of after as two, too. Who lives where is known here, and perhaps not elsewhere: so this is asked
    /// before an alias is made, and not when classes are worked out.
    pub fn housemates(&mut self, t: u32, xs: &[LocalDot], ys: &[LocalDot]) -> Result<bool, Error> {
        self.share_a_home(t, xs, ys, |txn, replica| {
            let node = |host: &Option<Host>| host.as_ref().map(|h| h.node);
            let hosts = &txn.s.hosts;
            let mine = hosts.get(replica as usize).and_then(node);
            let first = mine.and_then(|mine| hosts.iter().position(|host| node(host) == Some(mine)));
            first.map_or(replica, |first| first as u32)
        })
    }

    fn share_a_home(
        &mut self,
        t: u32,
        xs: &[LocalDot],
        ys: &[LocalDot],
        home: impl Fn(&Txn<'_>, u32) -> u32,
    ) -> Result<bool, Error> {
        let mut homes = BTreeSet::new();
        for x in xs {
            if let Some(i) = self.find(t, *x)?
                && self.lives(i)
            {
                homes.insert(home(self, x.replica()));
            }
        }
        for y in ys {
            if homes.contains(&home(self, y.replica()))
                && let Some(i) = self.find(t, *y)?
                && self.lives(i)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub fn members(&mut self, class: &Class) -> Result<Few<usize>, Error> {
        let mut out = Few::new();
        for m in &class.members {
            if let Some(i) = self.find(class.t, *m)? {
                out.push(i);
            }
        }
        Ok(out)
    }

    pub fn class_lives(&mut self, class: &Class) -> Result<bool, Error> {
        Ok(self.members(class)?.into_iter().any(|i| self.lives(i)))
    }

    /// The births whose registers make up the row: living and complete, else complete (merge-rules 10).
    pub fn sources(&mut self, class: &Class) -> Result<Few<usize>, Error> {
        let all: Few<usize> = self.members(class)?.into_iter().filter(|&i| self.births[i].complete()).collect();
        let living: Few<usize> = all.iter().copied().filter(|&i| self.lives(i)).collect();
        Ok(if living.is_empty() { all } else { living })
    }

    /// Members that have a row here, the one that stays first: the smallest local key.
    pub fn anchors(&mut self, class: &Class) -> Result<Few<usize>, Error> {
        let mut out: Few<usize> = self.members(class)?.into_iter().filter(|&i| self.births[i].key.is_some()).collect();
        if out.len() > 1 {
            out.sort_by(|&a, &b| self.births[a].key.cmp(&self.births[b].key));
        }
        Ok(out)
    }

    /// Is something of this register of the class held here?
    pub fn is_held(&self, i: usize, r: Register) -> bool {
        self.births[i].held.contains(&r)
    }
}

//! What one file alone has written under a name that is another file's, too, gets a name of its own.
//!
//! Always true here: a write keeps its seq, its stamp, its place and its value, and only the replica that wrote it is
//! another; since nobody else knows of it, nothing else changes anywhere. It has seen what its author had written before.
//! Each dot is moved by the same number, so that most of our tables are changed in place. Not here: which writes those are
//! (`lineage`).
use crate::class::{Edge, kind};
use crate::error::Error;
use crate::record::{Cell, Existence, LocalDot, Record, decode_cell, decode_unshown, encode_cell, encode_unshown};
use crate::store::{Seen, damaged};
use crate::transaction::{DotOf, Txn, decode_dot, encode_dot};
use crate::value::Value;
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet};

/// Dots of our tables, beside the birth's own tables: (table, where a table's number stands, the dot of it).
const DOTS: [(&str, &str, &str); 19] = [
    ("_lockstep_link", "pt", "p"),
    ("_lockstep_link", "ct", "c"),
    ("_lockstep_raw", "ct", "c"),
    ("_lockstep_origin", "t", "b"),
    ("_lockstep_class", "t", "b"),
    ("_lockstep_class", "t", "leader"),
    ("_lockstep_class", "t", "anchor"),
    ("_lockstep_conflict", "t", "b"),
    ("_lockstep_conflict", "t", "loser"),
    ("_lockstep_conflict", "t", "winner"),
    ("_lockstep_conflict", "t", "d"),
    ("_lockstep_decision", "t", "b"),
    ("_lockstep_decision", "t", "loser"),
    ("_lockstep_decision", "t", "d"),
    ("_lockstep_aside", "t", "b"),
    ("_lockstep_aside", "t", "d"),
    ("_lockstep_held", "t", "b"),
    ("_lockstep_held", "t", "d"),
    ("_lockstep_held", "wt", "wb"),
];

/// The same, of those that grow long and have no index for it.
const ARCHIVED: [&str; 3] = ["b", "d", "by"];

/// Writes that go over from one replica to another.
#[derive(Debug)]
pub(crate) struct Parting {
    /// Whose name they bore.
    pub old: u32,
    /// Whose they are.
    pub new: u32,
    /// By table: those after this seq.
    pub after: BTreeMap<u32, u64>,
}

impl Parting {
    fn moves(&self, t: u32, d: LocalDot) -> bool {
        d.replica() == self.old && self.after.get(&t).is_some_and(|after| d.seq() > *after)
    }

    fn at(&self, t: u32, d: LocalDot) -> LocalDot {
        if self.moves(t, d) { LocalDot::new(self.new, d.seq()) } else { d }
    }

    /// Those of a table: above the first, not above the last. And how far they move.
    fn range(&self, after: u64) -> (i64, i64, i64) {
        let first = LocalDot::first(self.old);
        let by = LocalDot::first(self.new).0 - first.0;
        (first.0 + after as i64, LocalDot::last(self.old).0, by)
    }
}

impl Txn<'_> {
    /// Hands writes over. For tables of another file only what refers to their rows. To be done before anything is read.
    /// Gives the births whose digest it may have moved, by their names now.
    pub(crate) fn part(&mut self, parting: &Parting) -> Result<BTreeSet<(u32, LocalDot)>, Error> {
        self.rows_whole = true;
        let births = self.births_of_parting(parting)?;
        for &(t, b) in &births {
            self.part_birth(parting, t, b)?;
        }
        for (&t, &after) in &parting.after {
            let (lo, hi, by) = parting.range(after);
            if self.s.t(t).database.is_none() {
                self.part_edges(parting, t)?;
                self.part_dots(parting, t)?;
                for (table, dot) in [("row", "b"), ("dot", "d"), ("unshown", "b"), ("ident", "b")] {
                    self.c.execute(
                        &format!(
                            "UPDATE _lockstep_{table}_{t} SET {dot} = {dot} + ?3 WHERE {dot} > ?1 AND {dot} <= ?2"
                        ),
                        [lo, hi, by],
                    )?;
                }
                for dot in ARCHIVED {
                    self.c.execute(
                        &format!(
                            "UPDATE _lockstep_archive SET {dot} = {dot} + ?3 WHERE t = ?4 AND {dot} > ?1 AND {dot} <= ?2"
                        ),
                        params![lo, hi, by, t],
                    )?;
                }
                self.c.execute(
                    "UPDATE _lockstep_was SET b = b + ?3 WHERE t = ?4 AND b > ?1 AND b <= ?2",
                    params![lo, hi, by, t],
                )?;
                // Found between what bore one name; compared anew, it is no difference any more.
                self.c.execute(
                    "DELETE FROM _lockstep_difference WHERE t = ?3 AND (b > ?1 AND b <= ?2 OR d > ?1 AND d <= ?2)",
                    params![lo, hi, t],
                )?;
                self.s.hand_over(t, (parting.old, after), parting.new);
                if after == 0 {
                    self.c.execute("DELETE FROM _lockstep_vector WHERE t = ?1 AND r = ?2", params![t, parting.old])?;
                }
            }
            for (table, at, dot) in DOTS {
                self.c.execute(
                    &format!("UPDATE {table} SET {dot} = {dot} + ?3 WHERE {at} = ?4 AND {dot} > ?1 AND {dot} <= ?2"),
                    params![lo, hi, by, t],
                )?;
            }
        }
        self.part_cells(parting)?;
        Ok(births.into_iter().map(|(t, b)| (t, parting.at(t, b))).collect())
    }

    /// Reads births anew that were handed over, and plans their rows: what a class is led by may be another.
    pub(crate) fn take_anew(&mut self, births: &BTreeSet<(u32, LocalDot)>) -> Result<(), Error> {
        for &(t, b) in births {
            let Some(i) = self.find(t, b)? else { continue };
            if self.is_lost(i) {
                continue;
            }
            let class = self.class(t, b)?;
            for m in self.members(&class)? {
                self.read(m)?;
                self.births[m].dirty = true;
            }
            self.touched.insert((t, b));
        }
        Ok(())
    }

    /// Births that such a write made, or wrote to, or that refer to one of them.
    fn births_of_parting(&self, parting: &Parting) -> Result<BTreeSet<(u32, LocalDot)>, Error> {
        let mut births = BTreeSet::new();
        for (&t, &after) in &parting.after {
            let (lo, hi, _) = parting.range(after);
            if self.s.t(t).database.is_none() {
                let mut q = self.c.prepare(&format!("SELECT b FROM _lockstep_row_{t} WHERE b > ?1 AND b <= ?2"))?;
                let mut rows = q.query([lo, hi])?;
                while let Some(r) = rows.next()? {
                    births.insert((t, LocalDot(r.get(0)?)));
                }
                let mut q = self.c.prepare(&format!("SELECT what FROM _lockstep_dot_{t} WHERE d > ?1 AND d <= ?2"))?;
                let mut rows = q.query([lo, hi])?;
                while let Some(r) = rows.next()? {
                    match decode_dot(&Value::from(r.get_ref(0)?)).ok_or_else(|| damaged("a dot"))? {
                        DotOf::Births(list) => births.extend(list.into_iter().map(|b| (t, b))),
                        DotOf::Conflict(..) | DotOf::Alias(..) | DotOf::Decision(..) | DotOf::Future => {}
                    }
                }
            }
            let mut q = self.c.prepare("SELECT ct, c FROM _lockstep_link WHERE pt = ?1 AND p > ?2 AND p <= ?3")?;
            let mut rows = q.query(params![t, lo, hi])?;
            while let Some(r) = rows.next()? {
                births.insert((r.get(0)?, LocalDot(r.get(1)?)));
            }
        }
        Ok(births)
    }

    fn part_birth(&mut self, parting: &Parting, t: u32, b: LocalDot) -> Result<(), Error> {
        let bytes: Vec<u8> = self
            .c
            .prepare_cached(&format!("SELECT rec FROM _lockstep_row_{t} WHERE b = ?1"))?
            .query_row([b.0], |r| r.get(0))?;
        let mut rec = Record::decode(&bytes).ok_or_else(|| damaged("a record"))?;
        for e in &mut rec.entries {
            if parting.moves(t, e.write.dot) {
                e.write.context = self.context_after(parting, t, e.write.context)?;
            }
            e.write.dot = parting.at(t, e.write.dot);
            e.write.unseen.iter_mut().for_each(|(_, d)| *d = parting.at(t, *d));
            if let Some(Existence::Deleted(list)) = &mut e.existence {
                list.iter_mut().for_each(|d| d.dot = parting.at(d.table, d.dot));
                list.sort_unstable();
            }
            for f in &mut e.fields {
                if let (Cell::Row(to), Some((pt, _))) = (&mut f.cell, self.s.t(t).refs.get(&f.col)) {
                    *to = parting.at(*pt, *to);
                }
            }
        }
        self.c
            .prepare_cached(&format!("UPDATE _lockstep_row_{t} SET rec = ?2 WHERE b = ?1"))?
            .execute(params![b.0, rec.encode()])?;
        if rec.unshown {
            let body: Vec<u8> = self
                .c
                .prepare_cached(&format!("SELECT body FROM _lockstep_unshown_{t} WHERE b = ?1"))?
                .query_row([b.0], |r| r.get(0))?;
            let mut body = decode_unshown(&body).ok_or_else(|| damaged("what is not shown"))?;
            body.iter_mut().for_each(|(_, d, _)| *d = parting.at(t, *d));
            self.c
                .prepare_cached(&format!("UPDATE _lockstep_unshown_{t} SET body = ?2 WHERE b = ?1"))?
                .execute(params![b.0, encode_unshown(&body)])?;
        }
        Ok(())
    }

    /// A write has seen what its own author wrote before it. Now that author is another.
    fn context_after(&mut self, parting: &Parting, t: u32, context: u32) -> Result<u32, Error> {
        let after = parting.after.get(&t).copied().unwrap_or(0);
        if after == 0 {
            return Ok(context);
        }
        let seen = self.s.seen(self.c, context)?;
        let mut seen: Vec<(u32, u64)> = seen.iter().copied().filter(|(r, _)| *r != parting.old).collect();
        seen.push((parting.old, after));
        seen.sort_unstable();
        let seen: Seen = seen.into();
        self.s.intern(self.c, t, seen)
    }

    /// Aliases stand under their births in the order of their names, and count in the digest by them.
    fn part_edges(&mut self, parting: &Parting, t: u32) -> Result<(), Error> {
        let edges: Vec<(i64, i64, i64, i64, i64)> = self
            .c
            .prepare("SELECT a, b, kind, d, stamp FROM _lockstep_alias WHERE t = ?1")?
            .query_map([t], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?
            .collect::<Result<_, _>>()?;
        for (a, b, k, d, stamp) in edges {
            let old = (LocalDot(a), LocalDot(b), LocalDot(d));
            let (x, y) = self.pair(parting.at(t, old.0), parting.at(t, old.1));
            let kind = kind(k).ok_or_else(|| damaged("an alias of no kind"))?;
            let new = Edge { a: x, b: y, kind, dot: parting.at(t, old.2), stamp: crate::id::Stamp(stamp) };
            if (new.a, new.b, new.dot) == old {
                continue;
            }
            self.c.execute(
                "UPDATE _lockstep_alias SET a = ?5, b = ?6, d = ?7 WHERE t = ?1 AND a = ?2 AND b = ?3 AND kind = ?4",
                params![t, a, b, k, new.a.0, new.b.0, new.dot.0],
            )?;
            let was = self.hash.edge(old.0, old.1, kind as u8, &self.s.replicas);
            let is = self.hash.edge(new.a, new.b, kind as u8, &self.s.replicas);
            let s = self.s.t_mut(t);
            s.digest = s.digest.wrapping_sub(was).wrapping_add(is);
        }
        Ok(())
    }

    /// What such a dot stands for.
    fn part_dots(&mut self, parting: &Parting, t: u32) -> Result<(), Error> {
        let (lo, hi, _) = parting.range(parting.after[&t]);
        let dots: Vec<(i64, Value)> = self
            .c
            .prepare(&format!("SELECT d, what FROM _lockstep_dot_{t} WHERE d > ?1 AND d <= ?2"))?
            .query_map([lo, hi], |r| Ok((r.get(0)?, Value::from(r.get_ref(1)?))))?
            .collect::<Result<_, _>>()?;
        for (d, what) in dots {
            let now = match decode_dot(&what).ok_or_else(|| damaged("a dot"))? {
                DotOf::Births(list) => DotOf::Births(list.into_iter().map(|b| parting.at(t, b)).collect()),
                DotOf::Conflict(b, r, loser) => DotOf::Conflict(parting.at(t, b), r, parting.at(t, loser)),
                DotOf::Alias(a, b, kind) => {
                    let (a, b) = self.pair(parting.at(t, a), parting.at(t, b));
                    DotOf::Alias(a, b, kind)
                }
                DotOf::Decision(b, loser) => DotOf::Decision(parting.at(t, b), parting.at(t, loser)),
                DotOf::Future => DotOf::Future,
            };
            self.c
                .prepare_cached(&format!("UPDATE _lockstep_dot_{t} SET what = ?2 WHERE d = ?1"))?
                .execute(params![d, encode_dot(&now)])?;
        }
        Ok(())
    }

    /// References among the values that are kept of conflicts and in the archive.
    fn part_cells(&mut self, parting: &Parting) -> Result<(), Error> {
        let places: Vec<(u32, u16, u32)> = self
            .s
            .tables
            .iter()
            .flat_map(|t| t.refs.iter().map(|(col, (pt, _))| (t.n, col.0, *pt)))
            .filter(|(_, _, pt)| parting.after.contains_key(pt))
            .collect();
        for (t, col, pt) in places {
            for (table, key, value) in [
                ("_lockstep_conflict", "t = ?1 AND col = ?2 AND b = ?3 AND loser = ?4", "value"),
                ("_lockstep_conflict", "t = ?1 AND col = ?2 AND b = ?3 AND loser = ?4", "winner_value"),
                ("_lockstep_archive", "t = ?1 AND col = ?2 AND n = ?3 AND n = ?4", "value"),
            ] {
                let keys = if table == "_lockstep_archive" { "n, n" } else { "b, loser" };
                let found: Vec<(i64, i64, Vec<u8>)> = self
                    .c
                    .prepare(&format!(
                        "SELECT {keys}, {value} FROM {table} WHERE t = ?1 AND col = ?2 AND {value} NOT NULL"
                    ))?
                    .query_map(params![t, col], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                    .collect::<Result<_, _>>()?;
                for (a, b, bytes) in found {
                    let cell = decode_cell(&mut bytes.as_slice()).ok_or_else(|| damaged("an archived value"))?;
                    let Cell::Row(to) = cell else { continue };
                    if !parting.moves(pt, to) {
                        continue;
                    }
                    let mut now = Vec::new();
                    encode_cell(&Cell::Row(parting.at(pt, to)), &mut now);
                    self.c
                        .prepare_cached(&format!("UPDATE {table} SET {value} = ?5 WHERE {key}"))?
                        .execute(params![t, col, a, b, now])?;
                }
            }
        }
        Ok(())
    }
}

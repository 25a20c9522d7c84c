//! Local ids: which were ever used here, whose they were, and stand-ins for what points to nothing.
//!
//! Always true here: sync never gives out an id that this file ever had (merge-rules 21), so an id that the application
//! has shown keeps its meaning; a stand-in is an id that no application gives out.
use crate::catalog::{Table, quote};
use crate::error::Error;
use crate::key::LocalKey;
use crate::map::Map;
use crate::record::LocalDot;
use crate::rule::{Rule, applies};
use crate::transaction::Txn;
use crate::value::Value;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;

/// An id from elsewhere above this gets a new one, or the application could soon insert nothing more.
const LARGEST_FOREIGN: i64 = 1 << 53;

/// The ids that one table of this file ever had, as ranges.
#[derive(Debug, Default)]
pub struct Used {
    ranges: BTreeMap<i64, i64>,
    /// To be stored: range start to its end, or gone.
    changed: BTreeMap<i64, Option<i64>>,
}

impl Used {
    pub fn contains(&self, id: i64) -> bool {
        self.ranges.range(..=id).next_back().is_some_and(|(_, hi)| *hi >= id)
    }

    pub fn highest(&self) -> i64 {
        self.ranges.values().next_back().copied().unwrap_or(0)
    }

    pub fn insert(&mut self, id: i64) {
        self.insert_range(id, id);
    }

    pub fn insert_range(&mut self, mut lo: i64, mut hi: i64) {
        let next = self.ranges.range(lo..).next().map(|(l, _)| *l);
        if let Some((&l, h)) = self.ranges.range_mut(..=lo).next_back() {
            if *h >= hi {
                return;
            }
            // Mostly a range just grows at its end.
            if *h >= lo.saturating_sub(1) && next.is_none_or(|next| next > hi.saturating_add(1)) {
                *h = hi;
                self.changed.insert(l, Some(hi));
                return;
            }
        }
        let touching: Vec<(i64, i64)> = self
            .ranges
            .range(..=hi.saturating_add(1))
            .rev()
            .take_while(|(_, h)| **h >= lo.saturating_sub(1))
            .map(|(l, h)| (*l, *h))
            .collect();
        for (l, h) in touching {
            lo = lo.min(l);
            hi = hi.max(h);
            self.ranges.remove(&l);
            self.changed.insert(l, None);
        }
        self.ranges.insert(lo, hi);
        self.changed.insert(lo, Some(hi));
    }
}

/// Ids of one transaction.
#[derive(Debug, Default)]
pub struct Ids {
    used: Map<u32, Used>,
    was: BTreeMap<(u32, i64), LocalDot>,
    stand_ins: BTreeMap<(u32, i64), (u32, Value)>,
}

impl Txn<'_> {
    fn used_of(&mut self, t: u32) -> Result<&mut Used, Error> {
        if !self.ids.used.contains_key(&t) {
            let mut u = Used::default();
            let mut q = self.c.prepare_cached("SELECT lo, hi FROM _lockstep_used WHERE t = ?1")?;
            let mut rows = q.query([t])?;
            while let Some(r) = rows.next()? {
                u.ranges.insert(r.get(0)?, r.get(1)?);
            }
            self.ids.used.insert(t, u);
        }
        Ok(self.ids.used.get_mut(&t).expect("inserted above"))
    }

    /// The file has, or had, a row with this key.
    pub fn used(&mut self, t: u32, key: &LocalKey) -> Result<(), Error> {
        if let Some(id) = key.id() {
            self.used_of(t)?.insert(id);
        }
        Ok(())
    }

    /// A row with this id is gone.
    pub fn left(&mut self, t: u32, id: i64, b: LocalDot) -> Result<(), Error> {
        self.used_of(t)?.insert(id);
        self.ids.was.insert((t, id), b);
        Ok(())
    }

    /// Did the file ever have a row with this id? Ids from 1 on are noted without a gap.
    pub fn was_used(&mut self, t: u32, id: i64) -> Result<bool, Error> {
        Ok(self.used_of(t)?.contains(id))
    }

    pub fn last_at(&mut self, t: u32, id: i64) -> Result<Option<LocalDot>, Error> {
        if let Some(b) = self.ids.was.get(&(t, id)) {
            return Ok(Some(*b));
        }
        let b = self
            .c
            .prepare_cached("SELECT b FROM _lockstep_was WHERE t = ?1 AND id = ?2")?
            .query_row(params![t, id], |r| r.get(0))
            .optional()?;
        Ok(b.map(LocalDot))
    }

    /// The id for a row that appears here: the one it had here, unless another row has had it since; its birthplace's,
    /// if that was never used here; else a new one. True: it is another than at its birthplace.
    pub fn give_id(
        &mut self,
        t: u32,
        b: LocalDot,
        was: Option<i64>,
        origin: Option<i64>,
    ) -> Result<(i64, bool), Error> {
        if let Some(id) = was
            && self.last_at(t, id)? == Some(b)
            && self.by_key(t, &LocalKey::Id(id))?.is_none()
            && !self.named_by_nothing(t, id)?
            && applies(Rule::IdComesBack)
        {
            return Ok((id, origin.is_some_and(|o| o != id)));
        }
        let used = self.used_of(t)?;
        if let Some(id) = origin
            && id <= LARGEST_FOREIGN
            && !(used.contains(id) && applies(Rule::UsedIdsKept))
            && id != 0
        {
            used.insert(id);
            return Ok((id, false));
        }
        let highest = self.highest_row(t)?;
        let used = self.used_of(t)?;
        let id = used.highest().max(highest).max(0) + 1;
        used.insert(id);
        Ok((id, origin.is_some()))
    }

    /// Does a value here name this id, that never named a row? Sync shall not give it a meaning.
    fn named_by_nothing(&self, t: u32, id: i64) -> Result<bool, Error> {
        Ok(self
            .c
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM _lockstep_raw WHERE pt = ?1 AND value = ?2)")?
            .query_row(params![t, id], |r| r.get(0))?)
    }

    fn highest_row(&mut self, t: u32) -> Result<i64, Error> {
        // The log is harvested, so every id of the table is marked as used; the table is asked all the same, since a
        // missed one would evict a row.
        let Some(table) = self.s.t(t).table.clone() else { return Ok(0) };
        highest_id(self.c, &table)
    }

    /// What to show for a value that names no row here: an id that no application gives out.
    pub fn stand_in(&mut self, pt: u32, author: u32, value: &Value) -> Result<Value, Error> {
        if !applies(Rule::StandIn) {
            return Ok(value.clone());
        }
        let known: Option<i64> = self
            .c
            .prepare_cached("SELECT id FROM _lockstep_stand_in WHERE pt = ?1 AND r = ?2 AND value IS ?3 AND typeof(value) = typeof(?3)")?
            .query_row(params![pt, author, value], |r| r.get(0))
            .optional()?;
        let known = known.or_else(|| {
            self.ids
                .stand_ins
                .iter()
                .find(|((p, _), (r, v))| *p == pt && *r == author && v == value)
                .map(|((_, id), _)| *id)
        });
        if let Some(id) = known {
            return Ok(Value::Integer(id));
        }
        let stored: i64 = self
            .c
            .prepare_cached("SELECT coalesce(min(id), 0) FROM _lockstep_stand_in WHERE pt = ?1")?
            .query_row([pt], |r| r.get(0))?;
        let mine = self.ids.stand_ins.range((pt, i64::MIN)..=(pt, 0)).next().map_or(0, |((_, id), _)| *id);
        let mut id = stored.min(mine) - 1;
        while self.s.t(pt).database.is_none() && self.by_key(pt, &LocalKey::Id(id))?.is_some() {
            id -= 1;
        }
        self.ids.stand_ins.insert((pt, id), (author, value.clone()));
        Ok(Value::Integer(id))
    }

    pub fn store_ids(&mut self) -> Result<(), Error> {
        for (t, u) in &mut self.ids.used {
            for (lo, hi) in std::mem::take(&mut u.changed) {
                match hi {
                    Some(hi) => self
                        .c
                        .prepare_cached("INSERT OR REPLACE INTO _lockstep_used (t, lo, hi) VALUES (?1, ?2, ?3)")?
                        .execute(params![t, lo, hi])?,
                    None => self
                        .c
                        .prepare_cached("DELETE FROM _lockstep_used WHERE t = ?1 AND lo = ?2")?
                        .execute(params![t, lo])?,
                };
            }
        }
        for ((t, id), b) in std::mem::take(&mut self.ids.was) {
            self.c
                .prepare_cached("INSERT OR REPLACE INTO _lockstep_was (t, id, b) VALUES (?1, ?2, ?3)")?
                .execute(params![t, id, b.0])?;
        }
        for ((pt, id), (r, v)) in std::mem::take(&mut self.ids.stand_ins) {
            self.c
                .prepare_cached("INSERT OR REPLACE INTO _lockstep_stand_in (pt, id, r, value) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![pt, id, r, v])?;
        }
        Ok(())
    }
}

/// The highest id in a table with surrogate ids, also that `sqlite_sequence` remembers.
pub fn highest_id(c: &Connection, table: &Table) -> Result<i64, Error> {
    let Some(p) = table.surrogate() else { return Ok(0) };
    let sql = format!("SELECT coalesce(max({}), 0) FROM main.{}", quote(&table.columns[p].name), quote(&table.name));
    Ok(c.prepare_cached(&sql)?.query_row([], |r| r.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_together() {
        let mut u = Used::default();
        for id in [5, 7, 6, 1, 2, 9] {
            u.insert(id);
        }
        assert_eq!(u.ranges, BTreeMap::from([(1, 2), (5, 7), (9, 9)]));
        u.insert_range(1, 8);
        assert_eq!(u.ranges, BTreeMap::from([(1, 9)]));
        assert!(u.contains(3) && !u.contains(10) && u.highest() == 9);
        u.insert_range(2, 3);
        assert_eq!(u.ranges, BTreeMap::from([(1, 9)]));
    }
}

//! Rows that a REPLACE may have evicted without a word: what became of them.
use super::Slice;
use crate::error::Error;
use crate::id::Millis;
use crate::key::LocalKey;
use crate::record::Col;
use crate::rule::{Rule, applies};
use crate::store::TOTAL;
use crate::transaction::Txn;
use crate::value::Value;
use std::collections::HashMap;

impl Txn<'_> {
    /// A write came after suspects were named: it is the one that may have evicted them.
    pub(super) fn follow(&mut self, slice: &mut Slice, t: u32, key: &LocalKey) {
        for ((st, sk), s) in &mut slice.suspects {
            if *st == t && s.by.is_none() && sk != key {
                s.by = Some(key.clone());
            }
        }
    }

    /// A suspect that is gone was evicted. If it alone had the identity key of the row that evicted it, it is that row
    /// under a new local id (merge-rules 17); else it was deleted.
    pub(super) fn settle_suspects(&mut self, slice: &mut Slice) -> Result<(), Error> {
        let suspects = std::mem::take(&mut slice.suspects);
        let mut evicted_by: HashMap<(u32, LocalKey), usize> = HashMap::new();
        for ((t, _), s) in &suspects {
            if let Some(by) = &s.by {
                *evicted_by.entry((*t, by.clone())).or_default() += 1;
            }
        }
        for ((t, key), s) in suspects {
            if self.row_is_there(t, &key, &s.row)? || self.by_key(t, &key)?.is_none() {
                continue;
            }
            if let Some(by) = s.by
                && evicted_by[&(t, by.clone())] == 1
                && self.same_identity(t, &s.row, &by)?
                && let Some(new) = self.by_key(t, &by)?
                && slice.written.contains(&new)
                && self.births[new].rec.entries.len() == 1
                && applies(Rule::ReplaceRenumbers)
            {
                self.renumber(slice, t, &key, (new, by), &s.row, s.at)?;
                continue;
            }
            if applies(Rule::SuspectsDeleted) {
                self.log_delete(slice, t, key, s.row, s.at)?;
            }
        }
        Ok(())
    }

    fn row_is_there(&mut self, t: u32, key: &LocalKey, row: &[Value]) -> Result<bool, Error> {
        if key.is_content() {
            let table = self.s.t(t).table.clone().expect("logged tables are here");
            return crate::rows::content_is_there(self.c, &table, row);
        }
        Ok(self.row(t, key)?.is_some())
    }

    fn same_identity(&mut self, t: u32, old: &[Value], by: &LocalKey) -> Result<bool, Error> {
        let table = self.s.t(t).table.clone().expect("logged tables are here");
        let Some(new) = self.row(t, by)? else { return Ok(false) };
        Ok(table.identity.iter().any(|places| {
            places
                .iter()
                .all(|&p| !old[p].is_null() && crate::identity::equal(&old[p], &new[p], &table.columns[p].collation))
        }))
    }

    /// The new row is the old entity: all its columns written, under another local id.
    fn renumber(
        &mut self,
        slice: &mut Slice,
        t: u32,
        key: &LocalKey,
        (new, by): (usize, LocalKey),
        row: &[Value],
        at: Millis,
    ) -> Result<(), Error> {
        let Some(old) = self.by_key(t, key)? else { return Ok(()) };
        let (id, b) = (key.id(), self.births[old].b);
        // The birth just made for the new row was never seen by anyone: it becomes a write of the old one.
        let made = std::mem::take(&mut self.births[new].rec);
        let n = made.count() as i64;
        self.s.t_mut(t).accounts[TOTAL] -= n;
        self.births[new].dirty = false;
        self.births[new].key = None;
        self.births[new].row_key = None;
        slice.written.remove(&new);
        let cols: Vec<(Col, Option<Value>)> =
            self.s.t(t).col_at.iter().zip(row).filter_map(|(c, v)| c.map(|c| (c, Some(v.clone())))).collect();
        self.local_write(slice, old, &cols, at)?;
        if let Some(id) = id {
            self.left(t, id, b)?;
        }
        self.set_local_key(old, Some(by));
        slice.renamed.insert(old);
        Ok(())
    }
}

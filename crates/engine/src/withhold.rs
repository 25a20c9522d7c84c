//! Columns that don't pass between two nodes: a batch without them, and the digest of a table without them.
//!
//! Always true here: the digest without a column does not depend on any value of that column, nor on whether it was
//! ever written; so a node that never gets the column has the same one. It is taken by reading the whole table, and
//! remembered nowhere: who asks for it often remembers it for as long as the table's vector stands still.
//! Not here: which columns these are.
use crate::catalog::{Key, Table};
use crate::change::{Batch, Item};
use crate::database::Database;
use crate::digest::Hash;
use crate::error::Error;
use crate::id::Millis;
use crate::record::{Col, Existence, LocalDot, Record};
use crate::transaction::Txn;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Takes columns of tables out of a batch: their values, and what else is said of them. What is left of a write may be
/// nothing; then it does not travel.
pub fn leave_out_columns(batch: &mut Batch, withheld: impl Fn(&str, &str) -> bool) {
    let is_out: Vec<Vec<bool>> =
        batch.tables.iter().map(|t| t.columns.iter().map(|c| withheld(&t.name, c)).collect()).collect();
    if !is_out.iter().flatten().any(|out| *out) {
        return;
    }
    batch.items.retain_mut(|item| {
        let is_out = &is_out[item.table()];
        match item {
            Item::Change(c) => {
                c.columns.retain(|(k, _)| !is_out[*k]);
                c.unseen.retain(|(k, _)| k.is_none_or(|k| !is_out[k]));
                if let Some(origin) = &mut c.origin {
                    origin.awaits.retain(|k| !is_out[*k]);
                }
                c.existence.is_some() || !c.columns.is_empty() || c.origin.is_some()
            }
            Item::Alias(_) | Item::Decision(_) => true,
            Item::Conflict(r) => r.register.is_none_or(|k| !is_out[k]),
        }
    });
}

/// The first table and column of a batch that it writes and must not.
pub fn column_in(batch: &Batch, withheld: impl Fn(&str, &str) -> bool) -> Option<(&str, &str)> {
    let named = |t: usize, k: usize| {
        let table = batch.tables.get(t)?;
        let column = table.columns.get(k)?;
        withheld(&table.name, column).then_some((table.name.as_str(), column.as_str()))
    };
    batch.items.iter().find_map(|item| match item {
        Item::Change(c) => c.columns.iter().find_map(|(k, _)| named(c.table, *k)),
        Item::Alias(_) | Item::Decision(_) => None,
        Item::Conflict(r) => r.register.and_then(|k| named(r.table, k)),
    })
}

/// Why a column can't be withheld, or what follows if it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withholding {
    /// There is no such table or column.
    Unknown,
    /// Rows are known by it, so that it has to travel.
    Identifies,
    /// Rows from elsewhere can't be inserted without it.
    Required,
    /// Rows from elsewhere have its default.
    Optional,
}

fn withholding(table: &Table, column: &str) -> Withholding {
    let Some(place) = table.column(column) else { return Withholding::Unknown };
    let in_key = match &table.key {
        Key::Id { column, .. } => *column == place,
        Key::Columns(places) => places.contains(&place),
        Key::Content => true,
    };
    let column = &table.columns[place];
    if in_key || table.identity.iter().flatten().any(|p| *p == place) {
        Withholding::Identifies
    } else if column.not_null && !column.has_default {
        Withholding::Required
    } else {
        Withholding::Optional
    }
}

impl Database {
    /// What it means to withhold a column.
    pub fn withholding(&self, table: &str, column: &str) -> Withholding {
        let found = self.catalog.tables.iter().find(|t| t.name == table);
        found.map_or(Withholding::Unknown, |t| withholding(t, column))
    }

    /// The digest of a table over all columns but these. Harvests nothing.
    pub fn digest_without(&mut self, table: &str, columns: &BTreeSet<String>) -> Result<u128, Error> {
        self.read(Millis(0), |txn| txn.digest_without(table, columns))
    }
}

impl Txn<'_> {
    fn digest_without(&mut self, table: &str, columns: &BTreeSet<String>) -> Result<u128, Error> {
        let Some(t) = self.s.find_table(None, table) else { return Ok(0) };
        let is_out: Vec<bool> = self.s.t(t).cols.iter().map(|c| columns.contains(c)).collect();
        let out = |col: Col| is_out[usize::from(col.0)];
        let mut digest = 0_u128;
        self.each_birth(t, |txn, i| {
            txn.read(i)?;
            digest = digest.wrapping_add(txn.hash_without(i, &out));
            Ok(())
        })?;
        Ok(digest.wrapping_add(self.hash_of_edges(t)?).wrapping_add(self.digest_beside(t, &out)?))
    }

    /// A birth's part of the digest as a node has it that never got these columns.
    pub(crate) fn hash_without(&self, i: usize, out: &impl Fn(Col) -> bool) -> u128 {
        let birth = &self.births[i];
        self.hash_of_record(birth.t, birth.b, &birth.rec, out)
    }

    /// The same of any record, its values read.
    pub(crate) fn hash_of_record(&self, t: u32, b: LocalDot, rec: &Record, out: &impl Fn(Col) -> bool) -> u128 {
        let mut existence = None;
        for e in &rec.entries {
            if let Some(x) = &e.existence
                && existence.is_none_or(|(w, _)| self.order(&e.write, w) == Ordering::Greater)
            {
                existence = Some((&e.write, *x == Existence::Lives));
            }
        }
        let lives = match existence {
            None => false,
            Some((_, true)) => true,
            Some((grave, false)) => rec
                .entries
                .iter()
                .any(|e| e.fields.iter().any(|f| !out(f.col)) && self.order(&e.write, grave) == Ordering::Greater),
        };
        if !lives {
            return 0;
        }
        let cols = &self.s.t(t).cols;
        let start = self.hash.start(b, &self.s.replicas);
        let fields = rec.entries.iter().flat_map(|e| &e.fields).filter(|f| !out(f.col));
        fields.fold(Hash::lives(&start), |sum, f| {
            sum.wrapping_add(Hash::field(start, &cols[usize::from(f.col.0)], &f.cell, &self.s.replicas))
        })
    }
}

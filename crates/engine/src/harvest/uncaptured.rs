//! What an audit found that no log tells of becomes writes, like any other.
use super::Slice;
use crate::catalog::Table;
use crate::error::Error;
use crate::id::Millis;
use crate::key::LocalKey;
use crate::record::{Col, Register};
use crate::store::SUPERSEDED;
use crate::transaction::Txn;
use crate::value::Value;
use rusqlite::OptionalExtension;
use std::collections::BTreeMap;

/// Columns that were written, with what they held before as far as that is known.
pub type Written = Vec<(Col, Option<Value>)>;

/// What was done to the rows of one table that no log tells of.
#[derive(Default)]
pub struct Uncaptured {
    pub new: Vec<(LocalKey, Vec<Value>)>,
    /// Births whose rows were written.
    pub changed: Vec<(usize, Written)>,
    /// With the row as it was, as far as that is known.
    pub gone: Vec<(LocalKey, Option<Vec<Value>>)>,
    /// Rows without a key, counted by content.
    pub counted: BTreeMap<LocalKey, (usize, Vec<Value>)>,
}

impl Uncaptured {
    /// One more row with this content.
    pub fn count(&mut self, key: LocalKey, row: Vec<Value>) {
        self.counted.entry(key).or_insert((0, row)).0 += 1;
    }

    /// No row has this content any more.
    pub fn count_none(&mut self, key: LocalKey, row: Vec<Value>) {
        self.counted.entry(key).or_insert((0, row));
    }
}

impl Txn<'_> {
    /// Columns in which a row is not what its record says. A column without a register counts where it holds more than
    /// its default.
    pub fn changed_columns(&mut self, i: usize, table: &Table, row: &[Value]) -> Result<Vec<Col>, Error> {
        let t = self.births[i].t;
        self.read(i)?;
        let all: Vec<(usize, Col)> =
            self.s.t(t).col_at.iter().enumerate().filter_map(|(p, c)| c.map(|c| (p, c))).collect();
        if self.hash_of(i) != self.births[i].rec.hash {
            return Ok(all.into_iter().map(|(_, c)| c).collect());
        }
        let mut out = Vec::new();
        for (p, col) in all {
            if !self.births[i].rec.has(Register::Column(col))
                && !row[p].is_null()
                && row[p] != self.default_of(table, p)?
            {
                out.push(col);
            }
        }
        Ok(out)
    }

    /// What a row gets that says nothing of the column.
    fn default_of(&self, table: &Table, p: usize) -> Result<Value, Error> {
        let sql =
            format!("SELECT dflt_value FROM pragma_table_info({}) WHERE name = ?1", crate::catalog::quote(&table.name));
        let text: Option<String> =
            self.c.prepare_cached(&sql)?.query_row([&table.columns[p].name], |r| r.get(0)).optional()?.flatten();
        let Some(text) = text else { return Ok(Value::Null) };
        // As the table would store it: with the affinity of the column.
        let sql = format!("SELECT CAST(({text}) AS {})", cast_type(&table.columns[p].declared_type));
        Ok(self.c.query_row(&sql, [], |r| Ok(Value::from(r.get_ref(0)?)))?)
    }

    /// Turns what was not captured into writes.
    pub fn take_uncaptured(&mut self, t: u32, table: &Table, found: Uncaptured) -> Result<(), Error> {
        let mut slice = Slice::default();
        let now = self.now;
        for (key, row) in found.new {
            self.log_insert(&mut slice, t, table, key, Some(row), now)?;
        }
        for (i, cols) in found.changed {
            self.local_write(&mut slice, i, &cols, now)?;
        }
        for (key, (rows, row)) in found.counted {
            let known = self.all_by_key(t, &key)?.len();
            for _ in known..rows {
                self.log_insert(&mut slice, t, table, key.clone(), Some(row.clone()), now)?;
            }
            for _ in rows..known {
                self.log_delete(&mut slice, t, key.clone(), row.clone(), now)?;
            }
        }
        for (key, row) in found.gone {
            match row {
                Some(row) => self.log_delete(&mut slice, t, key, row, now)?,
                None => self.log_vanished(&mut slice, t, &key, now)?,
            }
        }
        self.finish(&mut slice)
    }

    /// A row went without a word: what it held is not known, so its registers are left to those who know.
    pub(super) fn log_vanished(&mut self, slice: &mut Slice, t: u32, key: &LocalKey, at: Millis) -> Result<(), Error> {
        let Some(i) = self.by_key(t, key)? else { return Ok(()) };
        let b = self.births[i].b;
        let class = self.class(t, b)?;
        for m in self.members(&class)? {
            let body = if self.births[m].rec.unshown { self.body_of(m)? } else { Vec::new() };
            self.fill(m, &body, None);
            let mut n = 0;
            for e in &mut self.births[m].rec.entries {
                let before = e.fields.len();
                e.fields.retain(|f| body.iter().any(|(c, d, _)| *c == f.col && *d == e.write.dot));
                n += (before - e.fields.len()) as i64;
            }
            self.births[m].dirty = true;
            self.s.t_mut(t).accounts[SUPERSEDED] += n;
        }
        let columns = self.s.t(t).table.as_ref().map_or(0, |x| x.columns.len());
        self.log_delete(slice, t, key.clone(), vec![Value::Null; columns], at)
    }
}

/// The type name of a CAST with the affinity of a declared type.
fn cast_type(declared: &str) -> &'static str {
    let d = declared.to_ascii_uppercase();
    if d.contains("INT") {
        "INTEGER"
    } else if ["CHAR", "CLOB", "TEXT"].iter().any(|x| d.contains(x)) {
        "TEXT"
    } else if d.is_empty() || d.contains("BLOB") {
        "BLOB"
    } else if ["REAL", "FLOA", "DOUB"].iter().any(|x| d.contains(x)) {
        "REAL"
    } else {
        "NUMERIC"
    }
}

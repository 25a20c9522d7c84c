//! What an audit found that no log tells of becomes writes, like any other.
use super::Slice;
use crate::catalog::Table;
use crate::copy::Copy;
use crate::error::Error;
use crate::id::{Millis, Stamp};
use crate::key::LocalKey;
use crate::record::{Cell, Col, Field, Register};
use crate::store::SUPERSEDED;
use crate::transaction::Txn;
use crate::value::Value;
use rusqlite::OptionalExtension;
use std::collections::BTreeMap;

/// Columns of one row in which it is not what is known of it.
#[derive(Debug, Default)]
pub struct Changed {
    /// Written by the application.
    pub written: Vec<Col>,
    /// New, and filled by a migration.
    pub filled: Vec<Col>,
}

/// Columns that were written, with what they held before as far as that is known.
pub type Written = Vec<(Col, Option<Value>)>;

/// What was done to the rows of one table that no log tells of.
#[derive(Default)]
pub struct Uncaptured {
    pub new: Vec<(LocalKey, Vec<Value>)>,
    /// Births whose rows were written.
    pub changed: Vec<(usize, Written)>,
    /// Births in whose rows a migration has filled new columns. Each node's own migration does that: it never wins over
    /// what somebody has written.
    pub filled: Vec<(usize, Written)>,
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
    /// Columns in which a row is not what its record says, and columns without a register that hold more than their
    /// default: those are new, and a migration has filled them.
    pub fn changed_columns(
        &mut self,
        i: usize,
        table: &Table,
        row: &[Value],
        before: Option<&Copy>,
    ) -> Result<Changed, Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let all: Vec<(usize, Col)> =
            self.s.t(t).col_at.iter().enumerate().filter_map(|(p, c)| c.map(|c| (p, c))).collect();
        let class = self.class(t, b)?;
        let members = self.members(&class)?;
        let (mut differs, mut found) = (false, true);
        // The row shows what any birth of it says.
        for &m in &members {
            self.read(m)?;
            // What columns held that are no more is looked for: that alone may be what differs.
            let dropped = self.dropped_fields(m)?;
            found &= self.find_dropped(m, table, &dropped, row, before)?;
            differs |= self.hash_of(m) != self.births[m].rec.hash;
        }
        let mut out = Changed::default();
        for (p, col) in all {
            if members.iter().any(|&m| self.births[m].rec.has(Register::Column(col))) {
                match (differs, found) {
                    (true, true) => out.written.push(col),
                    (true, false) => out.filled.push(col),
                    (false, _) => {}
                }
            } else if !row[p].is_null() && row[p] != self.default_of(table, p)? {
                out.filled.push(col);
            }
        }
        Ok(out)
    }

    /// Fields of a birth whose column is no more and whose value is nowhere: (entry, field).
    fn dropped_fields(&mut self, i: usize) -> Result<Vec<(usize, usize)>, Error> {
        let body = if self.births[i].rec.unshown { self.body_of(i)? } else { Vec::new() };
        let birth = &self.births[i];
        let place = &self.s.t(birth.t).place;
        let mut out = Vec::new();
        for (k, e) in birth.rec.entries.iter().enumerate() {
            let kept = |col| body.iter().any(|(c, d, _)| *c == col && *d == e.write.dot);
            let gone = |f: &Field| place[usize::from(f.col.0)].is_none() && !kept(f.col);
            out.extend(e.fields.iter().enumerate().filter(|(_, f)| gone(f)).map(|(n, _)| (k, n)));
        }
        Ok(out)
    }

    /// Gives the fields of columns that are no more their values: from a copy that was made before, or, since a column
    /// may have been renamed, from another one, if the hash says that it is that. True: there is nothing unknown.
    fn find_dropped(
        &mut self,
        i: usize,
        table: &Table,
        dropped: &[(usize, usize)],
        row: &[Value],
        before: Option<&Copy>,
    ) -> Result<bool, Error> {
        let t = self.births[i].t;
        let mut unknown = Vec::new();
        for &(e, f) in dropped {
            let field = &self.births[i].rec.entries[e].fields[f];
            let name = self.s.t(t).cols[usize::from(field.col.0)].clone();
            match before.map(|b| b.value(table, &LocalKey::of_row(table, row), &name)).transpose()?.flatten() {
                Some(value) => self.keep_field(i, (e, f), value),
                None => unknown.push((e, f)),
            }
        }
        let [at] = unknown[..] else { return Ok(unknown.is_empty()) };
        for value in std::iter::once(Value::Null).chain(row.iter().cloned()) {
            let was = self.births[i].rec.entries[at.0].fields[at.1].clone();
            self.keep_field(i, at, value);
            if self.hash_of(i) == self.births[i].rec.hash {
                return Ok(true);
            }
            self.births[i].rec.entries[at.0].fields[at.1] = was;
        }
        Ok(false)
    }

    /// A value that no row shows any more. A reference names a row as before.
    fn keep_field(&mut self, i: usize, (entry, field): (usize, usize), value: Value) {
        let birth = &mut self.births[i];
        let field = &mut birth.rec.entries[entry].fields[field];
        if let Cell::Value(v) | Cell::Raw(v) = &mut field.cell {
            *v = value;
        }
        field.shown = false;
        birth.dirty = true;
        let at = (birth.t, birth.b);
        self.touched.insert(at);
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
        slice.rank = Some(Stamp::default());
        for (i, cols) in found.filled {
            self.local_write(&mut slice, i, &cols, now)?;
        }
        slice.rank = None;
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

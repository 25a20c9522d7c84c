//! Rows that were there before: each is entered as an entity of this replica, the rows it names before it.
use crate::attach::modified_at;
use crate::catalog::Table;
use crate::error::Error;
use crate::id::Stamp;
use crate::identity::origin_of;
use crate::key::LocalKey;
use crate::record::{Cell, Col, Entry, Existence, Field, Record, Write};
use crate::sibling::key_by_target;
use crate::store::TOTAL;
use crate::transaction::{Standing, Txn};
use crate::value::Value;

impl Txn<'_> {
    /// Enters one existing row as an entity, and before its references are named the rows that they name: they may come
    /// later in the same table, or in one of a cycle.
    pub fn enter_row(&mut self, t: u32, table: &Table, row: Vec<Value>, modified: Option<Stamp>) -> Result<(), Error> {
        let rank = self.s.t(t).rank;
        let mut todo: Vec<usize> = self.enter_birth(t, table, row, modified)?.into_iter().collect();
        while let Some(i) = todo.pop() {
            let t = self.births[i].t;
            let named: Vec<(Col, Value)> = self.births[i]
                .rec
                .entries
                .iter()
                .flat_map(|e| &e.fields)
                .filter(|f| self.s.t(t).refs.get(&f.col).is_some_and(|(pt, _)| self.s.t(*pt).rank >= rank))
                .filter_map(|f| if let Cell::Value(v) = &f.cell { Some((f.col, v.clone())) } else { None })
                .collect();
            for (col, v) in named {
                todo.extend(self.enter_named(t, col, &v)?);
            }
            self.name_rows(i)?;
            self.index_identity(i)?;
        }
        Ok(())
    }

    /// The row that a reference names, if it is there and not entered yet.
    fn enter_named(&mut self, t: u32, col: Col, v: &Value) -> Result<Option<usize>, Error> {
        let Some((pt, r)) = self.reference(t, col).filter(|_| !v.is_null()) else { return Ok(None) };
        let Some(parent) = self.s.t(pt).table.clone().filter(|_| self.s.t(pt).database.is_none()) else {
            return Ok(None);
        };
        let Some(key) = key_by_target(self.c, "main", &parent, &r.target_column, v)? else { return Ok(None) };
        let Some(row) = self.row(pt, &key)? else { return Ok(None) };
        let modified = modified_at(self.c, &parent, &key)?;
        self.enter_birth(pt, &parent, row.to_vec(), modified)
    }

    /// The birth of an existing row, its references not named yet. None: it was entered before.
    fn enter_birth(
        &mut self,
        t: u32,
        table: &Table,
        row: Vec<Value>,
        modified: Option<Stamp>,
    ) -> Result<Option<usize>, Error> {
        let key = LocalKey::of_row(table, &row);
        let origin = origin_of(table, &key, &row);
        if !key.is_content() && self.by_key(t, &key)?.is_some() {
            return Ok(None);
        }
        let (dot, stamp) = self.new_dot(t, self.now);
        let context = self.s.context_now(self.c, t)?;
        let mut fields: Vec<Field> = Vec::with_capacity(row.len());
        for (p, v) in row.iter().enumerate() {
            if let Some(col) = self.s.t(t).col_at[p] {
                fields.push(Field { col, cell: Cell::Value(v.clone()), shown: true });
            }
        }
        fields.sort_by_key(|f| f.col);
        let rank = Some(modified.unwrap_or_default().min(stamp));
        let i = self.push_new(t, dot);
        let alone = !self.s.met;
        let birth = &mut self.births[i];
        birth.rec = Record {
            origin,
            alone,
            entries: vec![Entry {
                write: Write { dot, stamp, rank, context, unseen: Vec::new() },
                existence: Some(Existence::Lives),
                fields,
            }],
            ..Record::default()
        };
        birth.standing = Standing::Shown;
        let n = birth.rec.count() as i64;
        self.s.t_mut(t).accounts[TOTAL] += n;
        if key.is_content() {
            self.rows_now.insert((t, dot), row.into());
        }
        self.set_local_key(i, Some(key));
        Ok(Some(i))
    }
}

//! Fresh rows: births that came in one piece, that nothing knew before, and that show just what they say.
//!
//! Always true here: such a birth is a class of its own with one write, so each column shows the cell of that write; a
//! row of which that is not so is planned whole. Not here: what makes a row wait (`rows`).
use super::write::poisons;
use super::{ClassId, Plan, RowPlan, Target};
use crate::catalog::{Key, Table, quote};
use crate::class::{Class, Few};
use crate::error::Error;
use crate::key::LocalKey;
use crate::record::{Cell, Existence};
use crate::rule::{Rule, applies};
use crate::store::TableState;
use crate::transaction::{Birth, Standing, Txn, Use};
use crate::value::Value;
use std::collections::HashSet;

/// A row that is inserted as its birth has it.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    birth: usize,
    /// Its surrogate id here, if the table has one.
    id: Option<Value>,
    /// That is another than at its birthplace.
    pub moved: bool,
    /// Places whose value here is not what the cell says: references.
    here: Vec<(usize, Value)>,
}

impl Txn<'_> {
    /// Plans a class as a fresh row. None: it is none, and has to be planned whole.
    pub(super) fn plan_fresh(
        &mut self,
        plan: &mut RowPlan,
        class: &Class,
        doubles: &HashSet<ClassId>,
    ) -> Result<Option<Fresh>, Error> {
        let (t, b) = (class.t, class.leader);
        let Some(i) = self.find_loaded(t, b).filter(|&i| self.is_fresh(i)) else { return Ok(None) };
        let Some(table) = self.s.t(t).table.clone() else { return Ok(None) };
        let surrogate = table.surrogate();
        let own_uniques = table.uniques.iter().any(|u| !(u.primary && surrogate.is_some()));
        let whole = !table.composites.is_empty();
        if table.key == Key::Content || own_uniques || whole || self.poisoned.contains(&(t, b)) {
            return Ok(None);
        }
        if !self.s.last && (doubles.contains(&(t, b)) || self.waits_for_identity(t, class, &[i])?) {
            return Ok(None);
        }
        let (id, moved) = match (surrogate, self.planned_ids.get(&(t, b))) {
            (None, _) => (None, false),
            (Some(_), Some(&(id, moved))) => (Some(Value::Integer(id)), moved),
            (Some(_), None) => {
                let origin = self.births[i].rec.origin;
                let (id, moved) = self.give_id(t, b, None, origin)?;
                self.planned_ids.insert((t, b), (id, moved));
                (Some(Value::Integer(id)), moved)
            }
        };
        if !applies(Rule::FreshShortWay) {
            return Ok(None);
        }
        let mut fresh = Fresh { birth: i, id, moved, here: Vec::new() };
        let dot = self.births[i].rec.entries[0].write.dot;
        for f in 0..self.births[i].rec.entries[0].fields.len() {
            let field = &self.births[i].rec.entries[0].fields[f];
            let Some(p) = self.s.t(t).place[usize::from(field.col.0)] else { return Ok(None) };
            let (col, is_null) = (field.col, matches!(&field.cell, Cell::Value(v) if v.is_null()));
            let here = match &field.cell {
                Cell::Value(_) => None,
                Cell::Raw(v) => {
                    let v = v.clone();
                    Some(self.show_raw(t, col, dot, &v)?)
                }
                Cell::Row(to) => {
                    let to = *to;
                    match self.target(plan, class, &[i], t, col, dot, to, doubles)? {
                        Target::Here(v) => Some(v),
                        Target::Missing | Target::Dangling => return Ok(None),
                    }
                }
                Cell::Unread => unreachable!("what came is at hand"),
            };
            let needed = table.columns[p].not_null || table.key_places().contains(&p);
            if needed && (is_null || here.as_ref().is_some_and(Value::is_null)) {
                return Ok(None);
            }
            fresh.here.extend(here.map(|v| (p, v)));
        }
        Ok(Some(fresh))
    }

    /// One write has all of it: it was not here before this transaction, nothing is held, and it says every column.
    fn is_fresh(&self, i: usize) -> bool {
        let birth = &self.births[i];
        let [entry] = birth.rec.entries.as_slice() else { return false };
        !(birth.was_known() || birth.rec.linked || birth.rec.held || self.rows_whole)
            && birth.key.is_none()
            && birth.rec.was.is_none()
            && birth.rec.awaits.is_empty()
            && entry.existence == Some(Existence::Lives)
            && entry.fields.len() == self.s.t(birth.t).col_at.iter().flatten().count()
    }

    /// The value of a column of a fresh row.
    pub(super) fn fresh_value(&self, t: u32, fresh: &Fresh, p: usize) -> Value {
        fresh.value(self.s.t(t), &self.births, p).clone()
    }

    /// Inserts the row, and notes that it shows its birth.
    pub(super) fn write_fresh(&mut self, (t, b): ClassId, fresh: &Fresh) -> Result<(), Error> {
        let table = self.s.t(t).table.clone().expect("shown rows have a table");
        self.insert_fresh(t, &table, fresh).map_err(|e| poisons(e, t, b))?;
        let values: Few<Value> = table.key_places().iter().map(|&p| self.fresh_value(t, fresh, p)).collect();
        let row = || (0..table.columns.len()).map(|p| self.fresh_value(t, fresh, p)).collect();
        let key =
            LocalKey::of_values(&table, &values, || Some(row())).unwrap_or_else(|| LocalKey::of_row(&table, &row()));
        self.used(t, &key)?;
        let i = fresh.birth;
        self.births[i].row_key = Some(key.clone());
        self.set_key(i, Some(key));
        if table.config.identity.is_some() {
            let row: Vec<Value> = (0..table.columns.len()).map(|p| self.fresh_value(t, fresh, p)).collect();
            self.index_row(t, b, &table, Some(&row));
        }
        let birth = &mut self.births[i];
        birth.standing = Standing::Shown;
        birth.rec.entries[0].fields.iter_mut().for_each(|f| f.shown = true);
        Ok(())
    }

    fn insert_fresh(&mut self, t: u32, table: &Table, fresh: &Fresh) -> Result<(), Error> {
        let n = table.columns.len();
        let q = self.q.get(Use::InsertWhole, t, || {
            let names: Vec<String> = table.columns.iter().map(|c| quote(&c.name)).collect();
            let marks: Vec<String> = (1..=n).map(|i| format!("?{i}")).collect();
            format!(
                "INSERT OR ABORT INTO main.{} ({}) VALUES ({})",
                quote(&table.name),
                names.join(", "),
                marks.join(", ")
            )
        })?;
        for p in 0..n {
            q.raw_bind_parameter(p + 1, fresh.value(self.s.t(t), &self.births, p))?;
        }
        q.raw_execute()?;
        Ok(())
    }
}

impl Fresh {
    /// What the row shows at a place.
    fn value<'a>(&'a self, s: &TableState, births: &'a [Birth], p: usize) -> &'a Value {
        if let Some((_, v)) = self.here.iter().find(|(at, _)| *at == p) {
            return v;
        }
        match (s.col_at[p], &self.id) {
            (Some(col), _) => match births[self.birth].rec.entries[0].field(col).map(|f| &f.cell) {
                Some(Cell::Value(v)) => v,
                Some(Cell::Row(_) | Cell::Raw(_) | Cell::Unread) | None => &Value::Null,
            },
            (None, Some(id)) => id,
            (None, None) => &Value::Null,
        }
    }
}

impl RowPlan {
    /// Is the class planned to have a row?
    pub(super) fn shows(&self, id: ClassId) -> bool {
        matches!(self.plans.get(&id), Some(Plan::Show(_) | Plan::Fresh(_)))
    }
}

//! Foreign keys of several columns of which none names the row itself: all of them together do.
//!
//! Always true here: such a key has no register of its own and nothing of it travels; whether a row refers to another one
//! by it is seen from what both say in its columns, so every node that has the same writes sees the same. The parent of a
//! row that is to be shown is there, or the row waits; a deleted one is kept like any other (merge-rules 12 and 19), and
//! what its deleter had left dangling dangles. Not here: what each column stands for by itself (`catalog::composite`).
use super::{ClassId, Plan, RowPlan, Show};
use crate::catalog::{Composite, Table, quote};
use crate::change::ConflictKind;
use crate::class::Class;
use crate::error::Error;
use crate::key::LocalKey;
use crate::record::{Cell, Col, LocalDot, Register};
use crate::rule::{Rule, applies};
use crate::transaction::{HeldRow, Txn};
use crate::value::Value;
use rusqlite::{Connection, params_from_iter};
use std::collections::HashSet;
use std::rc::Rc;

/// (table that refers, which of its keys, the values).
pub(super) type Named = (u32, usize, Vec<u8>);

/// Where such a key leads.
enum Parent {
    /// To a row that is shown.
    Shown,
    /// To one whose deleter had left it so.
    Left,
    Missing,
}

fn bytes(values: &[Value]) -> Vec<u8> {
    let mut o = Vec::new();
    values.iter().for_each(|v| v.encode(&mut o));
    o
}

/// Keys of the rows that have these values, as their table compares them.
fn rows_with(c: &Connection, table: &Table, places: &[usize], values: &[Value]) -> Result<Vec<LocalKey>, Error> {
    let list = table.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(", ");
    let each: Vec<String> =
        places.iter().enumerate().map(|(i, &p)| format!("{} = ?{}", quote(&table.columns[p].name), i + 1)).collect();
    let sql = format!("SELECT {list} FROM main.{} WHERE {}", quote(&table.name), each.join(" AND "));
    let n = table.columns.len();
    let mut q = c.prepare_cached(&sql)?;
    let rows = q.query_map(params_from_iter(values), |r| {
        let row: Vec<Value> = (0..n).map(|i| Ok(Value::from(r.get_ref(i)?))).collect::<rusqlite::Result<_>>()?;
        Ok(LocalKey::of_row(table, &row))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Txn<'_> {
    /// The rows of this table that have these values, as classes.
    fn classes_with(&mut self, t: u32, places: &[usize], values: &[Value]) -> Result<Vec<Class>, Error> {
        let Some(table) = self.s.t(t).table.clone() else { return Ok(Vec::new()) };
        let mut found: Vec<Class> = Vec::new();
        if values.iter().any(Value::is_null) {
            return Ok(found);
        }
        for key in rows_with(self.c, &table, places, values)? {
            for i in self.all_by_key(t, &key)? {
                let class = self.class(t, self.births[i].b)?;
                if !found.contains(&class) {
                    found.push(class);
                }
            }
        }
        Ok(found)
    }

    /// The writes by which a row refers to another one with such a key. None: it does not.
    fn refers_whole(
        &mut self,
        child: &Class,
        key: &Composite,
        parent: &Class,
    ) -> Result<Option<Vec<(Col, LocalDot)>>, Error> {
        let (mine, theirs) = (self.sources(child)?, self.sources(parent)?);
        let mut writes = Vec::with_capacity(key.columns.len());
        for &(from, to) in &key.columns {
            let (Some(from), Some(to)) = (self.s.t(child.t).col_at[from], self.s.t(parent.t).col_at[to]) else {
                return Ok(None);
            };
            let Some((_, dot, mine)) = self.class_cell(&mine, from)? else { return Ok(None) };
            let Some((_, _, theirs)) = self.class_cell(&theirs, to)? else { return Ok(None) };
            let same = match (&mine, &theirs) {
                (Cell::Value(Value::Null), _) => false,
                (Cell::Row(a), Cell::Row(b)) => {
                    let pt = self.s.t(child.t).refs.get(&from).map_or(parent.t, |(n, _)| *n);
                    self.leader(pt, *a)? == self.leader(pt, *b)?
                }
                (a, b) => a == b,
            };
            if !same {
                return Ok(None);
            }
            writes.push((from, dot));
        }
        Ok(Some(writes))
    }

    /// Does a row keep a dead one shown by what it says in these columns? Not if a tombstone lists all of that.
    fn keeps_whole(&mut self, parent: &Class, child: u32, writes: &[(Col, LocalDot)]) -> Result<bool, Error> {
        for &(col, dot) in writes {
            if self.keeps(parent, child, col, dot)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Is a dead row needed by one that refers to it with such a key?
    pub(super) fn needed_whole(&mut self, class: &Class, path: &mut HashSet<ClassId>) -> Result<bool, Error> {
        if self.s.t(class.t).named_whole.is_empty() {
            return Ok(false);
        }
        let Some(&anchor) = self.anchors(class)?.first() else { return Ok(false) };
        let Some(row) = self.stored_row(anchor)? else { return Ok(false) };
        for (ct, key) in self.keys_to(class.t) {
            let (from, values) =
                key.columns.iter().map(|&(from, to)| (from, row[to].clone())).unzip::<_, _, Vec<_>, Vec<_>>();
            for child in self.classes_with(ct, &from, &values)? {
                if (child.t, child.leader) == (class.t, class.leader) {
                    continue;
                }
                let Some(writes) = self.refers_whole(&child, &key, class)? else { continue };
                let shown = self.class_lives(&child)? || self.needed(&child, path)?;
                let kept = shown || self.stays_for_aside(&child)?;
                if kept && self.keeps_whole(class, ct, &writes)? && applies(Rule::ParentKept) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What a tombstone lists of rows that its application left dangling, by such keys. The row is that which went.
    pub(crate) fn left_whole(&mut self, t: u32, row: &[Value]) -> Result<Vec<(u32, Col, LocalDot)>, Error> {
        let mut out = Vec::new();
        for (ct, key) in self.keys_to(t) {
            let (from, values) =
                key.columns.iter().map(|&(from, to)| (from, row[to].clone())).unzip::<_, _, Vec<_>, Vec<_>>();
            for child in self.classes_with(ct, &from, &values)? {
                let sources = self.sources(&child)?;
                for &p in &from {
                    let Some(col) = self.s.t(ct).col_at[p] else { continue };
                    let dot = self.class_cell(&sources, col)?.map(|(_, dot, _)| dot);
                    out.extend(dot.map(|dot| (ct, col, dot)));
                }
            }
        }
        Ok(out)
    }

    /// The keys by which other rows name those of a table as a whole, with the number of their table.
    fn keys_to(&self, t: u32) -> Vec<(u32, Rc<Composite>)> {
        self.s.t(t).named_whole.iter().map(|&(ct, at)| (ct, self.s.t(ct).composites[at].1.clone())).collect()
    }

    /// Notes a row that is to be shown, so that what refers to it finds it.
    pub(super) fn note_named(&self, plan: &mut RowPlan, (t, l): ClassId) {
        for &(ct, at) in &self.s.t(t).named_whole {
            let key = &self.s.t(ct).composites[at].1;
            if let Some(values) = self.planned_values(plan, (t, l), key) {
                plan.by_whole.insert((ct, at, bytes(&values)), (t, l));
            }
        }
    }

    /// What a planned row is to say in the columns that such a key names. None: it is not to be shown.
    fn planned_values(&self, plan: &RowPlan, (t, l): ClassId, key: &Composite) -> Option<Vec<Value>> {
        let value = |p: usize| match plan.plans.get(&(t, l))? {
            Plan::Show(s) => s.new[p].clone().or_else(|| s.old.as_ref().map(|old| old[p].clone())),
            Plan::Fresh(f) => Some(self.fresh_value(t, f, p)),
            Plan::Underway | Plan::Waits(_) | Plan::Gone => None,
        };
        key.columns.iter().map(|&(_, to)| value(to)).collect()
    }

    /// Sees to it that what a row names by such keys is there. Some: the row has to wait for that.
    pub(super) fn fill_composites(
        &mut self,
        plan: &mut RowPlan,
        show: &mut Show,
        members: &[usize],
        doubles: &HashSet<ClassId>,
    ) -> Result<Option<HeldRow>, Error> {
        let t = show.class.t;
        for at in 0..self.s.t(t).composites.len() {
            let (pt, key) = self.s.t(t).composites[at].clone();
            let says = |row: &[Option<Value>]| {
                key.columns.iter().map(|&(from, _)| row[from].clone()).collect::<Option<Vec<Value>>>()
            };
            let Some(values) = says(&show.new).filter(|v| !v.iter().any(Value::is_null)) else { continue };
            let is_old = |old: &Rc<[Value]>| key.columns.iter().zip(&values).all(|(&(from, _), v)| old[from] == *v);
            if show.old.as_ref().is_some_and(is_old) {
                continue;
            }
            match self.parent_whole(plan, &show.class, (at, pt, &key), &values, doubles)? {
                Parent::Shown | Parent::Left => {}
                Parent::Missing => {
                    let reason = ConflictKind::MissingParent;
                    let Some(old) = show.old.clone() else {
                        return Ok(Some(HeldRow { register: None, dot: None, reason, waits: None }));
                    };
                    let places: Vec<usize> = key.columns.iter().map(|&(from, _)| from).collect();
                    self.keep_shown(plan, show, members, &old, &places, reason)?;
                }
            }
        }
        Ok(None)
    }

    /// A row goes on showing what it shows in these columns.
    fn keep_shown(
        &mut self,
        plan: &mut RowPlan,
        show: &mut Show,
        members: &[usize],
        old: &[Value],
        places: &[usize],
        reason: ConflictKind,
    ) -> Result<(), Error> {
        let t = show.class.t;
        for &p in places {
            let Some(col) = self.s.t(t).col_at[p].filter(|_| show.new[p].as_ref() != Some(&old[p])) else { continue };
            let dot = show.cells.get(col).map(|(dot, _)| *dot);
            show.held.push(HeldRow { register: Some(Register::Column(col)), dot, reason, waits: None });
            show.new[p] = Some(old[p].clone());
            self.keep_named(plan, t, col, &old[p])?;
            match self.shown_write(members, col) {
                Some(shown) => show.cells.insert(col, shown),
                None => show.cells.remove(col),
            }
        }
        Ok(())
    }

    /// A row by whose values others are to go on naming it keeps them (merge-rules 19).
    pub(super) fn keep_whole_key(
        &mut self,
        plan: &mut RowPlan,
        show: &mut Show,
        members: &[usize],
    ) -> Result<(), Error> {
        let Some(old) = show.old.clone() else { return Ok(()) };
        for (ct, key) in self.keys_to(show.class.t) {
            let changes = |&(_, to): &(usize, usize)| show.new[to].as_ref().is_some_and(|v| *v != old[to]);
            if !key.columns.iter().any(changes) {
                continue;
            }
            let (from, to): (Vec<usize>, Vec<usize>) = key.columns.iter().copied().unzip();
            let values: Vec<Value> = to.iter().map(|&p| old[p].clone()).collect();
            for child in self.classes_with(ct, &from, &values)? {
                if self.class_lives(&child)? && self.says_what_it_shows(&child, &from)? {
                    self.keep_shown(plan, show, members, &old, &to, ConflictKind::Constraint)?;
                }
            }
        }
        Ok(())
    }

    fn says_what_it_shows(&mut self, class: &Class, places: &[usize]) -> Result<bool, Error> {
        let (sources, members) = (self.sources(class)?, self.members(class)?);
        for &p in places {
            let Some(col) = self.s.t(class.t).col_at[p] else { continue };
            let said = self.class_cell(&sources, col)?.map(|(_, _, cell)| cell);
            if said != self.shown_write(&members, col).map(|(_, cell)| cell) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn parent_whole(
        &mut self,
        plan: &mut RowPlan,
        child: &Class,
        (at, pt, key): (usize, u32, &Composite),
        values: &[Value],
        doubles: &HashSet<ClassId>,
    ) -> Result<Parent, Error> {
        if self.s.t(pt).table.is_none() {
            // It is not synced here: nothing will come.
            return Ok(Parent::Left);
        }
        let to: Vec<usize> = key.columns.iter().map(|&(_, to)| to).collect();
        let mut candidates = self.classes_with(pt, &to, values)?;
        if let Some(&(_, l)) = plan.by_whole.get(&(child.t, at, bytes(values))) {
            candidates.push(self.class(pt, l)?);
        }
        let mut gone = Vec::new();
        for class in candidates {
            let id = (pt, class.leader);
            if id == (child.t, child.leader) {
                return Ok(Parent::Shown);
            }
            if plan.queue.remove(&(self.s.t(pt).rank, pt, class.leader)) {
                self.plan_class(plan, pt, class.leader, doubles)?;
            }
            match plan.plans.get(&id) {
                None | Some(Plan::Underway) => return Ok(Parent::Shown),
                Some(Plan::Show(_) | Plan::Fresh(_)) => {
                    if self.planned_values(plan, id, key).is_some_and(|planned| planned == values) {
                        return Ok(Parent::Shown);
                    }
                }
                Some(Plan::Gone) => gone.push(class),
                Some(Plan::Waits(_)) => {}
            }
        }
        if gone.is_empty() {
            gone = self.dead_classes(pt)?;
        }
        for class in gone {
            let Some(writes) = self.refers_whole(child, key, &class)? else { continue };
            if !self.keeps_whole(&class, child.t, &writes)? {
                return Ok(Parent::Left);
            }
            // The row keeps it shown (merge-rules 12).
            if plan.extra.insert((pt, class.leader)) {
                self.plan_class(plan, pt, class.leader, doubles)?;
            }
            if self.planned_values(plan, (pt, class.leader), key).is_some_and(|planned| planned == values) {
                return Ok(Parent::Shown);
            }
        }
        Ok(Parent::Missing)
    }

    /// Rows of this table that are deleted and not shown. Only asked for where a row misses its parent.
    fn dead_classes(&mut self, t: u32) -> Result<Vec<Class>, Error> {
        let mut births: Vec<LocalDot> = self
            .c
            .prepare_cached(&format!("SELECT b FROM _lockstep_row_{t} WHERE k IS NULL"))?
            .query_map([], |r| Ok(LocalDot(r.get(0)?)))?
            .collect::<Result<_, _>>()?;
        births.extend(self.births.iter().filter(|b| b.t == t && !b.was_known()).map(|b| b.b));
        let mut dead: Vec<Class> = Vec::new();
        for b in births {
            let class = self.class(t, b)?;
            if !dead.contains(&class) && !self.class_lives(&class)? {
                dead.push(class);
            }
        }
        Ok(dead)
    }

    /// Rows that miss a parent by such a key, and dead ones that may be kept by one: nothing else says when that is over.
    pub(super) fn touch_whole_waiting(&mut self) -> Result<(), Error> {
        for i in 0..self.s.tables.len() {
            let t = &self.s.tables[i];
            let (n, waits, keeps) = (t.n, !t.composites.is_empty(), !t.named_whole.is_empty());
            for (_, reason) in [(waits, ConflictKind::MissingParent), (keeps, ConflictKind::ParentDeleted)]
                .into_iter()
                .filter(|(is, _)| *is)
            {
                let found: Vec<i64> = self
                    .c
                    .prepare_cached(
                        "SELECT DISTINCT b FROM _lockstep_held INDEXED BY _lockstep_held_reason
                         WHERE t = ?1 AND reason = ?2 AND wt IS NULL",
                    )?
                    .query_map([i64::from(n), reason as i64], |r| r.get(0))?
                    .collect::<Result<_, _>>()?;
                self.touched.extend(found.into_iter().map(|b| (n, LocalDot(b))));
            }
        }
        Ok(())
    }
}

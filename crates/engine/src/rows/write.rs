//! Writing the plan: the application's rows, and what is known of them.
use super::fresh::Fresh;
use super::sql::one_by_content;
use super::{ClassId, Plan, RowPlan, Show};
use crate::catalog::{Table, quote};
use crate::change::ConflictKind;
use crate::error::Error;
use crate::key::LocalKey;
use crate::record::{Cell, Col, LocalDot, Register, Write};
use crate::transaction::{HeldRow, Standing, Txn, Use};
use crate::value::Value;
use rusqlite::params_from_iter;
use std::collections::BTreeSet;

/// A row to be written.
enum Row {
    Show(Box<Show>),
    Fresh(Fresh),
}

impl Txn<'_> {
    /// Values that lose inside a class of several births are conflicts too.
    pub fn class_losers(&mut self) -> Result<(), Error> {
        let mut done = BTreeSet::new();
        for (t, b) in self.touched.list() {
            let class = self.class(t, b)?;
            if class.members.len() < 2 || !done.insert((t, class.leader)) {
                continue;
            }
            let sources = self.sources(&class)?;
            let members = self.members(&class)?;
            let cols: BTreeSet<Col> = members.iter().flat_map(|&m| self.births[m].rec.columns()).collect();
            for col in cols {
                if self.policy(t, col).0 == crate::merge::Keeps::All {
                    continue;
                }
                let Some((s, dot, top)) = self.class_cell(&sources, col)? else { continue };
                let Some(winner) =
                    self.births[s].rec.entries.iter().find(|e| e.write.dot == dot).map(|e| e.write.clone())
                else {
                    continue;
                };
                for &m in &members {
                    self.read(m)?;
                    let losers: Vec<(Write, Cell)> = self.births[m]
                        .rec
                        .siblings(col)
                        .filter(|(_, f)| f.cell != top)
                        .map(|(w, f)| (w.clone(), f.cell.clone()))
                        .collect();
                    let mb = self.births[m].b;
                    for (w, cell) in losers {
                        if self.says_same(t, col, &cell, &top)? {
                            continue;
                        }
                        self.record_loss(
                            t,
                            mb,
                            Register::Column(col),
                            (&w, Some(&cell)),
                            (&winner, Some(&top)),
                            ConflictKind::InsertInsert,
                        )?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts what the plan does, for people.
    pub fn count_plan(&mut self, plan: &RowPlan) -> Result<(), Error> {
        for (&(t, l), p) in &plan.plans {
            if let Plan::Fresh(f) = p {
                let n = self.counts.entry(t).or_default();
                n.inserts += 1;
                n.id_moves += u64::from(f.moved);
                continue;
            }
            let class = self.class(t, l)?;
            let rows = self.anchors(&class)?.len() as u64;
            let n = self.counts.entry(t).or_default();
            match p {
                Plan::Show(show) if show.old.is_none() => {
                    n.inserts += 1;
                    n.id_moves += u64::from(show.moved);
                }
                Plan::Show(show) => {
                    n.updates += u64::from(show.changes());
                    n.deletes += rows - 1;
                }
                Plan::Waits(_) | Plan::Gone => n.deletes += rows,
                Plan::Underway | Plan::Fresh(_) => {}
            }
        }
        for &i in &plan.edits {
            let changes = u64::from(self.edit_changes(i));
            self.counts.entry(self.births[i].t).or_default().updates += changes;
        }
        Ok(())
    }

    /// Writes the planned rows and what is known of them.
    pub fn write_rows(&mut self, plan: RowPlan) -> Result<(), Error> {
        self.count_plan(&plan)?;
        let mut writes: Vec<(ClassId, Row)> = Vec::new();
        let mut rest: Vec<(ClassId, Vec<HeldRow>)> = Vec::new();
        let mut ids: Vec<ClassId> = plan.plans.keys().copied().collect();
        ids.sort_by_key(|(t, l)| (self.s.t(*t).rank, *t, *l));
        let mut plans = plan.plans;
        for id in ids {
            match plans.remove(&id) {
                Some(Plan::Show(s)) => writes.push((id, Row::Show(s))),
                Some(Plan::Fresh(f)) => writes.push((id, Row::Fresh(f))),
                Some(Plan::Waits(held)) => rest.push((id, held)),
                Some(Plan::Gone) => rest.push((id, Vec::new())),
                Some(Plan::Underway) | None => {}
            }
        }
        // Children first.
        for ((t, l), held) in rest.into_iter().rev() {
            self.take_away(t, l, held)?;
        }
        // Rows that trade unique values: out with all of them, then in again.
        for (_, row) in &writes {
            let Row::Show(show) = row else { continue };
            let anchors = self.anchors(&show.class)?;
            for &a in anchors.iter().skip(1) {
                self.remove_row(a)?;
                self.note_left(a)?;
                self.set_key(a, None);
            }
            if plan.swaps.contains(&(show.class.t, show.class.leader)) && show.old.is_some() && show.changes() {
                self.remove_row(show.anchor)?;
            }
        }
        for (id, row) in writes {
            let show = match row {
                Row::Show(show) => show,
                Row::Fresh(fresh) => {
                    self.write_fresh(id, &fresh)?;
                    continue;
                }
            };
            let out = plan.swaps.contains(&(show.class.t, show.class.leader)) && show.old.is_some() && show.changes();
            self.write_row(&show, out).map_err(|e| poisons(e, show.class.t, show.class.leader))?;
            self.settle_shown(*show)?;
        }
        for i in plan.edits {
            self.write_edit(i)?;
        }
        Ok(())
    }

    fn note_left(&mut self, i: usize) -> Result<(), Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        if let Some(id) = self.births[i].row_key.as_ref().and_then(LocalKey::id) {
            self.births[i].rec.was = Some(id);
            self.left(t, id, b)?;
        }
        Ok(())
    }

    /// The class has no row any more (or none yet).
    fn take_away(&mut self, t: u32, l: LocalDot, held: Vec<HeldRow>) -> Result<(), Error> {
        let class = self.class(t, l)?;
        for a in self.anchors(&class)? {
            self.remove_row(a)?;
            self.note_left(a)?;
            let b = self.births[a].b;
            self.set_key(a, None);
            if self.s.t(t).table.is_some() {
                self.identity_now.insert((t, b), None);
            }
        }
        for m in self.members(&class)? {
            let lives = self.lives(m);
            let birth = &mut self.births[m];
            birth.standing = if lives { Standing::Waiting } else { Standing::Dead };
            for e in &mut birth.rec.entries {
                e.fields.iter_mut().for_each(|f| f.shown = false);
            }
            birth.dirty = true;
            let mb = birth.b;
            let list: Vec<HeldRow> =
                held.iter().filter(|h| h.register.is_some() || mb == class.leader).cloned().collect();
            self.hold(m, list);
        }
        Ok(())
    }

    fn hold(&mut self, m: usize, list: Vec<HeldRow>) {
        let had = self.births[m].rec.held;
        let birth = &mut self.births[m];
        birth.rec.held = !list.is_empty();
        birth.held = list.iter().filter_map(|h| h.register).collect();
        let id = (birth.t, birth.b);
        if had || !list.is_empty() {
            self.held.insert(id, list);
        }
    }

    fn remove_row(&mut self, a: usize) -> Result<(), Error> {
        let t = self.births[a].t;
        self.births[a].row = None;
        let (Some(key), Some(table)) = (self.births[a].row_key.clone(), self.s.t(t).table.clone()) else {
            return Ok(());
        };
        if key.is_content() {
            let row = self.stored_row(a)?.unwrap_or_default();
            let sql = format!("DELETE FROM main.{} WHERE {}", quote(&table.name), one_by_content(&table, 0));
            self.c.prepare_cached(&sql)?.execute(params_from_iter(row.iter()))?;
        } else {
            let sql =
                format!("DELETE FROM main.{} WHERE {}", quote(&table.name), crate::transaction::locate(&table, 0));
            self.c.prepare_cached(&sql)?.execute(params_from_iter(key.values().unwrap_or_default()))?;
        }
        Ok(())
    }

    fn write_row(&mut self, show: &Show, out: bool) -> Result<(), Error> {
        let t = show.class.t;
        let table = self.s.t(t).table.clone().expect("shown rows have a table");
        let places: Vec<usize> = match &show.old {
            Some(old) if !out => {
                (0..old.len()).filter(|&p| show.new[p].as_ref().is_some_and(|v| *v != old[p])).collect()
            }
            Some(_) => (0..table.columns.len()).collect(),
            None => (0..table.columns.len()).filter(|&p| show.new[p].is_some()).collect(),
        };
        if show.old.is_some() && places.is_empty() {
            return Ok(());
        }
        let row = show.row();
        if show.old.is_some() && !out {
            let key = self.births[show.anchor].row_key.clone().expect("it has a row");
            let values: Vec<&Value> = places.iter().map(|&p| &row[p]).collect();
            if key.is_content() {
                let locate = one_by_content(&table, places.len());
                let sql =
                    format!("UPDATE OR ABORT main.{} SET {} WHERE {locate}", quote(&table.name), set(&table, &places));
                let old = show.old.as_deref().unwrap_or_default();
                self.c.prepare_cached(&sql)?.execute(params_from_iter(values.into_iter().chain(old)))?;
            } else {
                self.update_row(t, &table, &key, &places, &values)?;
            }
        } else {
            let shape = self.q.shape(&places);
            let q = self.q.get(Use::InsertRow(shape), t, || {
                let names: Vec<String> = places.iter().map(|&p| quote(&table.columns[p].name)).collect();
                let marks: Vec<String> = (1..=places.len()).map(|i| format!("?{i}")).collect();
                match places.is_empty() {
                    true => format!("INSERT OR ABORT INTO main.{} DEFAULT VALUES", quote(&table.name)),
                    false => format!(
                        "INSERT OR ABORT INTO main.{} ({}) VALUES ({})",
                        quote(&table.name),
                        names.join(", "),
                        marks.join(", ")
                    ),
                }
            })?;
            q.execute(params_from_iter(places.iter().map(|&p| &row[p])))?;
        }
        Ok(())
    }

    /// Writes columns of the row under a key that is no content key.
    pub(super) fn update_row(
        &mut self,
        t: u32,
        table: &Table,
        key: &LocalKey,
        places: &[usize],
        values: &[&Value],
    ) -> Result<(), Error> {
        let shape = self.q.shape(places);
        let q = self.q.get(Use::UpdateRow(shape), t, || {
            let locate = crate::transaction::locate(table, places.len());
            format!("UPDATE OR ABORT main.{} SET {} WHERE {locate}", quote(&table.name), set(table, places))
        })?;
        let key = key.values().unwrap_or_default();
        q.execute(params_from_iter(values.iter().copied().chain(&key)))?;
        Ok(())
    }

    /// Notes what the row shows now.
    fn settle_shown(&mut self, show: Show) -> Result<(), Error> {
        let t = show.class.t;
        let table = self.s.t(t).table.clone().expect("shown rows have a table");
        let mut row = show.row();
        if show.old.is_none() && show.new.iter().any(Option::is_none) {
            // The application's defaults filled the rest.
            let key = LocalKey::of_row(&table, &row);
            row = self.row(t, &key)?.map_or(row, |row| row.to_vec());
        }
        let key = LocalKey::of_row(&table, &row);
        self.used(t, &key)?;
        if key.is_content() {
            self.rows_now.insert((t, self.births[show.anchor].b), row.as_slice().into());
        }
        self.births[show.anchor].row_key = Some(key.clone());
        self.set_key(show.anchor, Some(key));
        self.births[show.anchor].rec.was = None;
        self.births[show.anchor].row = None;
        let b = self.births[show.anchor].b;
        self.index_row(t, b, &table, Some(&row));
        for m in self.members(&show.class)? {
            let lives = self.lives(m);
            let birth = &mut self.births[m];
            for e in &mut birth.rec.entries {
                let dot = e.write.dot;
                for f in &mut e.fields {
                    // A dead birth of a living row keeps its values for itself: writes to the row are none to it.
                    f.shown = (lives || show.dead)
                        && show
                            .cells
                            .get(f.col)
                            .is_some_and(|(d, c)| *d == dot || *c == f.cell && !matches!(c, Cell::Unread));
                }
            }
            birth.standing = if lives || show.dead { Standing::Shown } else { Standing::Dead };
            birth.dirty = true;
            let mb = birth.b;
            let list = show.held.iter().filter(|h| h.register.is_some() || mb == show.class.leader).cloned().collect();
            self.hold(m, list);
        }
        Ok(())
    }
}

/// `a = ?1, b = ?2, …`
fn set(table: &Table, places: &[usize]) -> String {
    let each = places.iter().enumerate().map(|(i, &p)| format!("{} = ?{}", quote(&table.columns[p].name), i + 1));
    each.collect::<Vec<_>>().join(", ")
}

/// A row that a constraint refuses is held, and the rest goes on.
pub(super) fn poisons(e: Error, t: u32, leader: LocalDot) -> Error {
    match &e {
        Error::Sqlite { source } if is_constraint(source) => Error::Poisoned { table: t, birth: leader.0 },
        _ => e,
    }
}

fn is_constraint(e: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{ConstraintViolation, TypeMismatch};
    matches!(e.sqlite_error_code(), Some(ConstraintViolation | TypeMismatch))
}

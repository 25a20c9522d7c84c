//! Unique keys, to a fixpoint: merge-rules 20.
use super::{Plan, RowPlan};
use crate::catalog::{Table, Unique, quote};
use crate::change::ConflictKind;
use crate::error::Error;
use crate::key::LocalKey;
use crate::record::{LocalDot, Register};
use crate::rule::{Rule, applies};
use crate::transaction::{HeldRow, Txn};
use crate::value::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};

impl Txn<'_> {
    pub fn settle_unique(&mut self, plan: &mut RowPlan, t: u32) -> Result<(), Error> {
        let Some(table) = self.s.t(t).table.clone() else { return Ok(()) };
        let uniques: Vec<&Unique> =
            table.uniques.iter().filter(|u| !(u.primary && table.surrogate().is_some())).collect();
        if uniques.is_empty() {
            return Ok(());
        }
        loop {
            let mut losers: BTreeSet<(LocalDot, usize)> = BTreeSet::new();
            let mut shows: Vec<LocalDot> = plan
                .plans
                .iter()
                .filter(|((pt, _), p)| *pt == t && matches!(p, Plan::Show(_)))
                .map(|((_, l), _)| *l)
                .collect();
            shows.sort_unstable();
            for (u, unique) in uniques.iter().enumerate() {
                let mut groups: BTreeMap<Vec<u8>, Vec<LocalDot>> = BTreeMap::new();
                for &l in &shows {
                    let Some(Plan::Show(show)) = plan.plans.get(&(t, l)) else { continue };
                    let Some(terms) = unique_terms(self.c, &table, unique, &show.row())? else { continue };
                    let same_as_shown = match &show.old {
                        Some(old) => unique_terms(self.c, &table, unique, old)?.is_some_and(|o| o.key == terms.key),
                        None => false,
                    };
                    if !same_as_shown {
                        for key in rows_with_terms(self.c, &table, unique, &terms.values)? {
                            for i in self.all_by_key(t, &key)? {
                                let b = self.births[i].b;
                                let other = self.class(t, b)?.leader;
                                if other == l {
                                    continue;
                                }
                                match plan.plans.get(&(t, other)) {
                                    // Planned too: its planned key is in a group of its own.
                                    Some(Plan::Show(_)) => {
                                        plan.swaps.insert((t, other));
                                        plan.swaps.insert((t, l));
                                    }
                                    // Fresh ones are there only in tables without unique keys.
                                    Some(Plan::Gone | Plan::Waits(_) | Plan::Fresh(_)) => {}
                                    Some(Plan::Underway) | None => {
                                        losers.insert((l, u));
                                    }
                                }
                            }
                        }
                    }
                    groups.entry(terms.key).or_default().push(l);
                }
                for mut group in groups.into_values().filter(|g| g.len() > 1) {
                    let mut ranked = Vec::new();
                    for l in group.drain(..) {
                        let Some(Plan::Show(show)) = plan.plans.get(&(t, l)) else { continue };
                        let now = match &show.old {
                            Some(old) => {
                                let a = unique_terms(self.c, &table, unique, old)?;
                                let b = unique_terms(self.c, &table, unique, &show.row())?;
                                a.zip(b).is_some_and(|(a, b)| a.key == b.key)
                            }
                            None => false,
                        };
                        let latest = unique
                            .terms
                            .iter()
                            .filter_map(|x| x.column.and_then(|p| self.s.t(t).col_at[p]))
                            .filter_map(|c| show.cells.get(c).map(|(d, _)| *d))
                            .map(|d| self.stamp_of(t, l, d))
                            .max();
                        ranked.push((!show.stuck, !now, latest, self.id_of(l), l));
                    }
                    ranked.sort();
                    losers.extend(ranked.iter().skip(1).map(|r| (r.4, u)));
                }
            }
            if losers.is_empty() || !applies(Rule::UniqueFallsBack) {
                return Ok(());
            }
            for (l, u) in losers {
                self.fall_back(plan, t, l, &table, uniques[u])?;
            }
        }
    }

    fn stamp_of(&self, t: u32, l: LocalDot, dot: LocalDot) -> (crate::id::Stamp, LocalDot) {
        let stamp = self
            .births
            .iter()
            .filter(|b| b.t == t && b.b == l)
            .flat_map(|b| &b.rec.entries)
            .find(|e| e.write.dot == dot)
            .map_or_else(Default::default, |e| e.write.decides());
        (stamp, dot)
    }

    fn fall_back(
        &mut self,
        plan: &mut RowPlan,
        t: u32,
        l: LocalDot,
        table: &Table,
        unique: &Unique,
    ) -> Result<(), Error> {
        let Some(Plan::Show(show)) = plan.plans.get(&(t, l)) else { return Ok(()) };
        let mut show = show.clone();
        let whole = HeldRow { register: None, dot: None, reason: ConflictKind::Unique, waits: None };
        let class = show.class.clone();
        let members = self.members(&class)?;
        let Some(old) = show.old.clone().filter(|_| !show.stuck) else {
            // Not inserted; or it shows its old key already, and another one has that: then it can't stay as it is.
            plan.plans.insert((t, l), Plan::Waits(vec![whole]));
            self.touch_children(t, l)?;
            self.touch_dead_parents(plan, &members)?;
            return Ok(());
        };
        let mut places: Vec<usize> = unique.terms.iter().filter_map(|x| x.column).collect();
        if unique.terms.iter().any(|x| x.column.is_none()) || unique.condition.is_some() {
            places = (0..table.columns.len()).filter(|p| self.s.t(t).col_at[*p].is_some()).collect();
        }
        for p in places {
            let Some(col) = self.s.t(t).col_at[p] else { continue };
            if let Some((dot, _)) = show.cells.get(col).cloned()
                && show.new[p].as_ref() != Some(&old[p])
            {
                show.held.push(HeldRow {
                    register: Some(Register::Column(col)),
                    dot: Some(dot),
                    reason: ConflictKind::Unique,
                    waits: None,
                });
                show.new[p] = Some(old[p].clone());
                self.keep_named(plan, t, col, &old[p])?;
                match self.shown_write(&members, col) {
                    Some(w) => show.cells.insert(col, w),
                    None => show.cells.remove(col),
                };
            }
        }
        show.stuck = true;
        plan.plans.insert((t, l), Plan::Show(show));
        Ok(())
    }
}

/// A row's terms under a unique key.
struct Terms {
    values: Vec<Value>,
    /// Equal for rows that clash.
    key: Vec<u8>,
}

/// None: the key does not apply to this row (NULL, or its condition).
fn unique_terms(c: &Connection, table: &Table, unique: &Unique, row: &[Value]) -> Result<Option<Terms>, Error> {
    let plain = unique.plain_columns();
    let values: Vec<Value> = match &plain {
        Some(places) => places.iter().map(|&p| row[p].clone()).collect(),
        None => {
            let from: Vec<String> =
                table.columns.iter().enumerate().map(|(i, c)| format!("?{} AS {}", i + 1, quote(&c.name))).collect();
            let terms: Vec<&str> = unique.terms.iter().map(|t| t.sql.as_str()).collect();
            let condition = unique.condition.as_deref().unwrap_or("1");
            let sql = format!("SELECT {} FROM (SELECT {}) WHERE {condition}", terms.join(", "), from.join(", "));
            let n = terms.len();
            let found: Option<Vec<Value>> = c
                .prepare_cached(&sql)?
                .query_row(params_from_iter(row), |r| (0..n).map(|i| Ok(Value::from(r.get_ref(i)?))).collect())
                .optional()?;
            match found {
                Some(v) => v,
                None => return Ok(None),
            }
        }
    };
    if values.iter().any(Value::is_null) {
        return Ok(None);
    }
    let mut key = Vec::new();
    for (v, t) in values.iter().zip(&unique.terms) {
        crate::identity::normal(v, &t.collation, &mut key);
    }
    Ok(Some(Terms { values, key }))
}

/// Keys of the rows in the table that have these terms.
fn rows_with_terms(c: &Connection, table: &Table, unique: &Unique, values: &[Value]) -> Result<Vec<LocalKey>, Error> {
    let list = table.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(", ");
    let mut conditions: Vec<String> = unique
        .terms
        .iter()
        .enumerate()
        .map(|(i, t)| format!("{} = ?{} COLLATE {}", t.sql, i + 1, quote(&t.collation)))
        .collect();
    conditions.extend(unique.condition.iter().map(|w| format!("({w})")));
    let sql = format!("SELECT {list} FROM main.{} WHERE {}", quote(&table.name), conditions.join(" AND "));
    let n = table.columns.len();
    let mut q = c.prepare_cached(&sql)?;
    let rows = q.query_map(params_from_iter(values), |r| {
        let row: Vec<Value> = (0..n).map(|i| Ok(Value::from(r.get_ref(i)?))).collect::<rusqlite::Result<_>>()?;
        Ok(LocalKey::of_row(table, &row))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

//! The writes of a person.
//!
//! Always true here: the context of such a write is everything that has come, and it leaves nothing out.
use super::Error;
use crate::class::Class;
use crate::config::MergeUnit;
use crate::error::Error as EngineError;
use crate::record::{Cell, Col, Dangling, Existence, Field, LocalDot, Write};
use crate::transaction::Txn;
use crate::value::Value;
use std::collections::BTreeSet;

/// What a delete does to rows that refer to the one that goes.
#[derive(Debug, Default)]
pub struct Others {
    rows: u64,
    cleared: u64,
    done: BTreeSet<(u32, LocalDot)>,
}

impl Txn<'_> {
    /// A write to a class that has seen everything.
    pub fn write_by_person(
        &mut self,
        class: &Class,
        existence: Option<Existence>,
        mut columns: Vec<(Col, Cell)>,
    ) -> Result<Write, EngineError> {
        let t = class.t;
        let members = self.members(class)?;
        let targets = self.living_or_all(&members);
        let whole = self.s.t(t).table.as_ref().is_some_and(|x| x.config.merge == MergeUnit::Row);
        if whole && !columns.is_empty() {
            let sources = self.sources(class)?;
            for col in self.columns_of(&sources) {
                if columns.iter().all(|(c, _)| *c != col)
                    && let Some((_, _, cell)) = self.class_cell(&sources, col)?
                {
                    columns.push((col, cell));
                }
            }
        }
        columns.sort_by_key(|(c, _)| *c);
        let (dot, stamp) = self.new_dot(t, self.now);
        let context = self.s.context_now(self.c, t)?;
        let write = Write { dot, stamp, rank: None, context, unseen: Vec::new() };
        let fields: Vec<Field> = columns.into_iter().map(|(col, cell)| Field { col, cell, shown: false }).collect();
        for m in targets {
            self.read(m)?;
            let existence = match &existence {
                // What earlier deletes left dangling goes on doing so.
                Some(Existence::Deleted(_)) => Some(Existence::Deleted(self.left_dangling(m))),
                other => other.clone(),
            };
            self.merge(m, &write, existence, fields.clone())?;
        }
        Ok(write)
    }

    fn left_dangling(&self, m: usize) -> Vec<Dangling> {
        let graves = self.births[m].rec.entries.iter().filter_map(|e| match &e.existence {
            Some(Existence::Deleted(list)) => Some(list),
            Some(Existence::Lives) | None => None,
        });
        graves.flatten().copied().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Deletes a row, and with it what refers to it by a foreign key: a reference that may be NULL becomes that, any
    /// other row goes too. Refused unless `anyway`, if there are such rows. Gives how many writes it took.
    pub fn delete_by_person(&mut self, class: &Class, anyway: bool) -> Result<(Write, u64), EngineError> {
        let mut others = Others::default();
        let write = self.delete_with_children(class, &mut others)?;
        if !anyway && others.rows + others.cleared > 0 {
            return Err(Error::Others { rows: others.rows, cleared: others.cleared }.into());
        }
        Ok((write, 1 + others.rows + others.cleared))
    }

    fn delete_with_children(&mut self, class: &Class, others: &mut Others) -> Result<Write, EngineError> {
        others.done.insert((class.t, class.leader));
        for m in class.members.clone() {
            for (ct, c, col) in self.children(class.t, m)? {
                let Some((_, reference)) = self.reference(ct, col).filter(|(_, r)| r.declared) else { continue };
                let child = self.class(ct, c)?;
                if others.done.contains(&(ct, child.leader)) || self.anchors(&child)?.is_empty() {
                    continue;
                }
                let sources = self.sources(&child)?;
                let Some((_, dot, Cell::Row(to))) = self.class_cell(&sources, col)? else { continue };
                if self.class(class.t, to)?.leader != class.leader || !self.keeps(class, ct, col, dot)? {
                    continue;
                }
                let table = self.s.t(ct).table.clone().expect("it has rows here");
                let place = reference.column;
                if self.class_lives(&child)? && !table.columns[place].not_null && !table.key_places().contains(&place) {
                    self.write_by_person(&child, None, vec![(col, Cell::Value(Value::Null))])?;
                    others.cleared += 1;
                } else {
                    self.delete_with_children(&child, others)?;
                    others.rows += 1;
                }
            }
        }
        self.write_by_person(class, Some(Existence::Deleted(Vec::new())), Vec::new())
    }
}

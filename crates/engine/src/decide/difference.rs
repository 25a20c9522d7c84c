//! A person decides which side of a row that differs holds.
//!
//! Always true here: what the row says here is a write first, if it was none, so that it is known everywhere and kept;
//! the decision is a write after it, of the whole row's existence and the columns in question, so that every node reads
//! its own row anew.
use super::{Choice, Error, Side};
use crate::change::{ConflictKind, Kept};
use crate::class::Class;
use crate::database::settle_after_harvest;
use crate::difference::Noted;
use crate::error::Error as EngineError;
use crate::harvest::Uncaptured;
use crate::record::{Cell, Col, Existence, LocalDot, Register, Write};
use crate::transaction::Txn;
use crate::waiting::Waiting;
use std::collections::BTreeSet;

impl Txn<'_> {
    /// Gives how many registers and rows were written.
    pub(super) fn decide_difference(&mut self, w: &Waiting, choice: &Choice) -> Result<u64, EngineError> {
        let unknown = || Error::Unknown { id: choice.conflict.clone() };
        let noted = self.difference(w.t, w.birth)?.ok_or_else(unknown)?;
        if self.s.t(w.t).table.is_none() {
            return Err(Error::NotDecidable { reason: ConflictKind::Difference }.into());
        }
        self.take_as_written(&noted)?;
        let class = self.class(w.t, w.birth)?;
        let written = if noted.is_whole() {
            self.decide_existence(&noted, &class, choice)?
        } else {
            self.decide_columns(&noted, &class, choice)?
        };
        self.drop_difference(w.t, w.birth)?;
        Ok(written)
    }

    /// What the row says here, and no record does, becomes a write of this replica.
    fn take_as_written(&mut self, noted: &Noted) -> Result<(), EngineError> {
        settle_after_harvest(self)?;
        let (t, b) = (noted.t, noted.b);
        let Some(i) = self.find(t, b)? else { return Ok(()) };
        let Some(table) = self.s.t(t).table.clone() else { return Ok(()) };
        let is_there = self.reread(i)?;
        let (now, recorded) = (self.hash_of(i), self.births[i].rec.hash);
        let class = self.class(t, b)?;
        let anchor = self.anchors(&class)?.first().map(|&a| self.births[a].b);
        // What was read is not what is known.
        self.forget();
        let Some(anchor) = anchor.map(|a| self.find(t, a)).transpose()?.flatten() else { return Ok(()) };
        let mut found = Uncaptured::default();
        if !is_there {
            found.gone.extend(self.births[anchor].row_key.clone().map(|key| (key, None)));
        } else if now != recorded {
            let old = |there: Option<&Cell>| match there {
                Some(Cell::Value(v)) => Some(v.clone()),
                Some(Cell::Row(_) | Cell::Raw(_) | Cell::Unread) | None => None,
            };
            let shown = |col: Col| self.s.t(t).place[usize::from(col.0)].is_some();
            let columns = noted.columns().filter(|(col, _)| shown(*col)).map(|(col, there)| (col, old(there)));
            found.changed.push((anchor, columns.collect()));
        }
        self.take_uncaptured(t, &table, found)?;
        settle_after_harvest(self)
    }

    fn decide_existence(&mut self, noted: &Noted, class: &Class, choice: &Choice) -> Result<u64, EngineError> {
        let lives = match choice.keep.whole()? {
            Side::Winner => !noted.lives_there,
            Side::Loser => noted.lives_there,
        };
        if !lives {
            if self.class_lives(class)? {
                return Ok(self.delete_by_person(class, choice.anyway)?.1);
            }
            self.find_or_new(noted.t, noted.b)?;
            self.write_by_person(class, Some(Existence::Deleted(Vec::new())), Vec::new())?;
            return Ok(1);
        }
        let mut columns = Vec::new();
        if noted.lives_there {
            for (col, there) in noted.columns() {
                let name = || self.s.t(noted.t).cols[usize::from(col.0)].clone();
                columns.push((col, there.cloned().ok_or_else(|| Error::NotTold { column: name() })?));
            }
            self.find_or_new(noted.t, noted.b)?;
        } else {
            let sources = self.sources(class)?;
            for col in self.columns_of(&sources) {
                columns.extend(self.class_cell(&sources, col)?.map(|x| (col, x.2)));
            }
        }
        let written = columns.len() as u64 + 1;
        self.write_by_person(class, Some(Existence::Lives), columns)?;
        Ok(written)
    }

    fn decide_columns(&mut self, noted: &Noted, class: &Class, choice: &Choice) -> Result<u64, EngineError> {
        let about: Vec<Register> = noted.columns().map(|(col, _)| Register::Column(col)).collect();
        self.check_columns(noted.t, &choice.keep, &about)?;
        let sources = self.sources(class)?;
        let mut columns = Vec::new();
        let mut given_up: Vec<(Col, LocalDot, Write, Cell)> = Vec::new();
        for (col, there) in noted.columns() {
            let name = self.s.t(noted.t).cols[usize::from(col.0)].clone();
            let here = self.class_cell(&sources, col)?.map(|x| x.2);
            let (kept, other) = match choice.keep.of(&name) {
                Side::Winner => (here, there.cloned()),
                Side::Loser => (there.cloned(), here),
            };
            let Some(kept) = kept else { return Err(Error::NotTold { column: name }.into()) };
            let latest = self.standing(noted.t, class.leader, col)?.into_iter().next();
            if let (Some((birth, write, _)), Some(other)) = (latest, other.filter(|o| *o != kept)) {
                given_up.push((col, birth, write, other));
            }
            columns.push((col, kept));
        }
        let written = columns.len() as u64;
        let write = self.write_by_person(class, Some(Existence::Lives), columns.clone())?;
        let mut settled = BTreeSet::new();
        for (col, birth, loser, value) in given_up {
            let kept = columns.iter().find(|(c, _)| *c == col).map(|(_, cell)| cell);
            let (lost, won) = ((&loser, Some(&value)), (&write, kept));
            self.record_loss(noted.t, birth, Register::Column(col), lost, won, ConflictKind::UpdateUpdate)?;
            settled.insert((noted.t, birth, loser.dot));
        }
        for key in settled {
            self.decide(key, Kept::Winner)?;
        }
        Ok(written)
    }
}

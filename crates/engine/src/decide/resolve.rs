//! Deciding conflicts: those that wait, and those that a rule has settled.
use super::{Choice, Error, Keep, Resolved, Settled, Side};
use crate::change::{ConflictKind, Kept};
use crate::class::Class;
use crate::conflict::{Record, records};
use crate::error::Error as EngineError;
use crate::id::Stamp;
use crate::record::{Cell, Col, Existence, LocalDot, Register, Write};
use crate::transaction::{DecidedKey, Txn};
use crate::waiting::{Source, Waiting};
use std::collections::{BTreeMap, HashMap};

impl Keep {
    pub(super) fn of(&self, column: &str) -> Side {
        match self {
            Keep::All(side) => *side,
            Keep::Columns(by) => {
                by.iter().find(|(c, _)| c.eq_ignore_ascii_case(column)).map_or(Side::Winner, |(_, side)| *side)
            }
        }
    }

    fn kept(&self, sides: impl Iterator<Item = Side>) -> Kept {
        let sides: Vec<Side> = sides.collect();
        match self {
            Keep::All(Side::Winner) => Kept::Winner,
            Keep::All(Side::Loser) => Kept::Loser,
            Keep::Columns(_) if sides.iter().all(|s| *s == Side::Winner) => Kept::Winner,
            Keep::Columns(_) if sides.iter().all(|s| *s == Side::Loser) => Kept::Loser,
            Keep::Columns(_) => Kept::Mixed,
        }
    }

    /// One side for what can't be taken apart.
    pub(super) fn whole(&self) -> Result<Side, Error> {
        match self {
            Keep::All(side) => Ok(*side),
            Keep::Columns(by) => match by.keys().next() {
                Some(column) => Err(Error::NoColumn { column: column.clone() }),
                None => Ok(Side::Winner),
            },
        }
    }
}

impl Txn<'_> {
    /// All decisions of one call.
    pub fn resolve_all(&mut self, choices: &[Choice]) -> Result<(Vec<Resolved>, Vec<Settled>), EngineError> {
        let mut recorded: HashMap<String, Vec<Record>> = HashMap::new();
        for r in records(self)? {
            recorded.entry(r.id.clone()).or_default().push(r);
        }
        let mut waiting: HashMap<String, Waiting> = HashMap::new();
        for w in self.waiting()? {
            waiting.entry(w.id.clone()).or_insert(w);
        }
        let (mut out, mut settled) = (Vec::new(), Vec::new());
        // What a row says that differs is a write first, and stands on its own.
        let mut ahead = HashMap::new();
        for choice in choices {
            if let Some(w) = waiting.get(&choice.conflict).filter(|w| w.source == Source::Difference) {
                ahead.insert(&choice.conflict, self.decide_difference(w, choice)?);
            }
        }
        for choice in choices {
            if let Some(&written) = ahead.get(&choice.conflict) {
                out.push(Resolved { id: choice.conflict.clone(), written });
                continue;
            }
            let written = match (waiting.get(&choice.conflict), recorded.get(&choice.conflict)) {
                (Some(w), _) => self.decide_waiting(w, choice, &mut settled)?,
                (None, Some(list)) => self.decide_recorded(list, choice)?,
                (None, None) => return Err(Error::Unknown { id: choice.conflict.clone() }.into()),
            };
            out.push(Resolved { id: choice.conflict.clone(), written });
        }
        Ok((out, settled))
    }

    fn column_name(&self, t: u32, col: Col) -> String {
        self.s.t(t).cols[usize::from(col.0)].clone()
    }

    pub(super) fn check_columns(&self, t: u32, keep: &Keep, about: &[Register]) -> Result<(), Error> {
        let Keep::Columns(by) = keep else { return Ok(()) };
        let names: Vec<&str> = about
            .iter()
            .filter_map(|r| match r {
                Register::Column(c) => Some(self.s.t(t).cols[usize::from(c.0)].as_str()),
                Register::Existence => None,
            })
            .collect();
        match by.keys().find(|c| !names.iter().any(|n| n.eq_ignore_ascii_case(c))) {
            Some(column) => Err(Error::NoColumn { column: column.clone() }),
            None => Ok(()),
        }
    }

    // ---- what waits

    fn decide_waiting(&mut self, w: &Waiting, choice: &Choice, settled: &mut Vec<Settled>) -> Result<u64, EngineError> {
        let class = self.class(w.t, w.leader)?;
        let registers = w.registers.clone();
        let after = Settled { t: w.t, leader: w.leader, reason: w.reason, registers };
        let key = (w.t, w.birth, w.loser);
        let lost = self.write_of(key)?;
        let written = match w.reason {
            ConflictKind::UpdateUpdate => {
                settled.push(after);
                return self.decide_reviewed(w, &class, choice);
            }
            // Decided ahead of the others.
            ConflictKind::Difference
            | ConflictKind::TableMissing
            | ConflictKind::ColumnMissing
            | ConflictKind::ConfigDiffers
            | ConflictKind::IdCollision => return Err(Error::NotDecidable { reason: w.reason }.into()),
            ConflictKind::UpdateDelete | ConflictKind::DeleteUpdate => {
                settled.push(Settled { registers: vec![Register::Existence], ..after });
                let update_wins = w.reason == ConflictKind::UpdateDelete;
                if (choice.keep.whole()? == Side::Winner) == update_wins {
                    self.write_by_person(&class, Some(Existence::Lives), Vec::new())?;
                    1
                } else {
                    self.delete_by_person(&class, choice.anyway)?.1
                }
            }
            ConflictKind::ParentDeleted => {
                settled.push(after);
                let (write, n) = match choice.keep.whole()? {
                    Side::Winner => (self.write_by_person(&class, Some(Existence::Lives), Vec::new())?, 1),
                    Side::Loser => self.delete_by_person(&class, choice.anyway)?,
                };
                self.note((w.t, w.birth), Register::Existence, (&lost, None), (&write, None), w.reason)?;
                n
            }
            ConflictKind::Clock
            | ConflictKind::Unique
            | ConflictKind::MissingParent
            | ConflictKind::Constraint
            | ConflictKind::InsertInsert
            | ConflictKind::DeleteGuard
            | ConflictKind::Review => {
                settled.push(after);
                return self.decide_not_shown(w, &class, choice);
            }
        };
        self.decide(key, choice.keep.kept(std::iter::empty()))?;
        Ok(written)
    }

    /// Values of which one is shown and others wait.
    fn decide_reviewed(&mut self, w: &Waiting, class: &Class, choice: &Choice) -> Result<u64, EngineError> {
        self.check_columns(w.t, &choice.keep, &w.registers)?;
        let mut columns = Vec::new();
        let mut sides = Vec::new();
        // Other writes that said the same as this one are decided with it.
        let mut alike = BTreeMap::from([(w.loser, w.birth)]);
        for (register, winner, loser) in self.sides(w)? {
            let Register::Column(col) = register else { continue };
            let name = self.column_name(w.t, col);
            let side = choice.keep.of(&name);
            sides.push(side);
            let all = self.standing(w.t, w.leader, col)?;
            let cell = match side {
                Side::Winner => winner,
                Side::Loser => loser.clone(),
            };
            // None: another decision of the same call has settled it.
            let Some(cell) = cell else { continue };
            let (top, rest) = all.split_first().expect("a column in conflict has values");
            for (birth, write, other) in rest {
                if self.says_same(w.t, col, other, &top.2)? {
                    continue;
                }
                let (lost, won) = ((write, Some(other)), (&top.1, Some(&top.2)));
                self.record_loss(w.t, *birth, Register::Column(col), lost, won, w.reason)?;
                if let Some(loser) = &loser
                    && self.says_same(w.t, col, other, loser)?
                {
                    alike.entry(write.dot).or_insert(*birth);
                }
            }
            columns.push((col, cell));
        }
        let n = columns.len() as u64;
        if n > 0 {
            self.write_by_person(class, None, columns)?;
        }
        let kept = choice.keep.kept(sides.into_iter());
        for (loser, birth) in alike {
            self.decide((w.t, birth, loser), kept)?;
        }
        Ok(n)
    }

    /// Something that is not shown: it is given up for what is, or let through.
    fn decide_not_shown(&mut self, w: &Waiting, class: &Class, choice: &Choice) -> Result<u64, EngineError> {
        let key = (w.t, w.birth, w.loser);
        let gone = self.write_of(key)?;
        if w.registers.is_empty() && w.source != Source::Future {
            // The whole row.
            let side = choice.keep.whole()?;
            let written = match side {
                Side::Winner => {
                    let (write, n) = self.delete_by_person(class, choice.anyway)?;
                    self.note((w.t, w.birth), Register::Existence, (&gone, None), (&write, None), w.reason)?;
                    n
                }
                Side::Loser => {
                    self.let_through(w)?;
                    0
                }
            };
            self.decide(key, choice.keep.kept(std::iter::empty()))?;
            return Ok(written);
        }
        self.check_columns(w.t, &choice.keep, &w.registers)?;
        if choice.keep == Keep::All(Side::Loser) {
            let n = self.let_through(w)?;
            self.decide(key, Kept::Loser)?;
            return Ok(n);
        }
        let mut columns = Vec::new();
        let mut lost = Vec::new();
        let mut sides = Vec::new();
        for (register, winner, loser) in self.sides(w)? {
            let Register::Column(col) = register else { continue };
            let name = self.column_name(w.t, col);
            let side = choice.keep.of(&name);
            sides.push(side);
            let cell = match side {
                Side::Winner => winner,
                Side::Loser => loser.clone(),
            };
            // A row that is not there yet has nothing to go back to: it is given up whole.
            if let Some(cell) = cell {
                columns.push((col, cell.clone()));
                lost.push((col, loser, cell));
            }
        }
        let existence = match (w.registers.contains(&Register::Existence), self.anchors(class)?.is_empty()) {
            (false, _) => None,
            (true, false) => Some(Existence::Lives),
            (true, true) => Some(Existence::Deleted(Vec::new())),
        };
        let n = columns.len() as u64 + u64::from(existence.is_some());
        let whole = existence.is_some();
        let write = if self.members(class)?.is_empty() {
            self.write_birth(w, existence, columns)?
        } else {
            self.write_by_person(class, existence, columns)?
        };
        for (col, loser, cell) in lost {
            let (at, register) = ((w.t, w.birth), Register::Column(col));
            self.note(at, register, (&gone, loser), (&write, Some(cell)), w.reason)?;
        }
        if whole {
            self.note((w.t, w.birth), Register::Existence, (&gone, None), (&write, None), w.reason)?;
        }
        self.decide(key, choice.keep.kept(sides.into_iter()))?;
        Ok(n)
    }

    /// What waits is applied if it can be. Gives how many registers that wrote.
    fn let_through(&mut self, w: &Waiting) -> Result<u64, EngineError> {
        if w.source == Source::Future {
            return self.let_future_through(w);
        }
        for m in self.class(w.t, w.leader)?.members.clone() {
            self.take_up(w.t, m, None)?;
        }
        self.touched.insert((w.t, w.leader));
        Ok(0)
    }

    /// A write from a clock far ahead is written again with today's stamp.
    pub fn let_future_through(&mut self, w: &Waiting) -> Result<u64, EngineError> {
        let mut n = 0;
        let (dot, stamp) = self.new_dot(w.t, self.now);
        let context = self.s.context_now(self.c, w.t)?;
        let write = Write { dot, stamp, rank: None, context, unseen: Vec::new() };
        for f in self.futures_of(w.t, w.loser)? {
            let i = self.find_or_new(f.t, f.b)?;
            self.read(i)?;
            if let Some((id, alone, awaits)) = f.origin {
                let rec = &mut self.births[i].rec;
                (rec.origin, rec.alone, rec.awaits) = (id, alone, awaits);
            }
            n += f.fields.len() as u64 + u64::from(f.existence.is_some());
            self.merge(i, &write, f.existence, f.fields)?;
        }
        Ok(n)
    }

    /// A write to a birth of which nothing but what waits is known.
    fn write_birth(
        &mut self,
        w: &Waiting,
        existence: Option<Existence>,
        columns: Vec<(Col, Cell)>,
    ) -> Result<Write, EngineError> {
        self.find_or_new(w.t, w.birth)?;
        let class = self.class(w.t, w.birth)?;
        self.write_by_person(&class, existence, columns)
    }

    // ---- what a rule has settled

    fn decide_recorded(&mut self, list: &[Record], choice: &Choice) -> Result<u64, EngineError> {
        let first = &list[0];
        let t = first.table;
        let about: Vec<Register> = list.iter().map(|r| r.register).collect();
        self.check_columns(t, &choice.keep, &about)?;
        let class = self.class(t, first.birth)?;
        let sources = self.sources(&class)?;
        let lives = self.class_lives(&class)?;
        let mut columns: BTreeMap<Col, Cell> = BTreeMap::new();
        let mut to_live = None;
        let mut sides = Vec::new();
        for r in list {
            let Register::Column(col) = r.register else {
                let side = choice.keep.whole()?;
                sides.push(side);
                to_live = Some(r.loser_lives() == (side == Side::Loser));
                continue;
            };
            let name = self.column_name(t, col);
            let side = choice.keep.of(&name);
            sides.push(side);
            let (winner, loser) = (r.winner_cell()?, r.loser_cell()?);
            if r.kind == ConflictKind::DeleteUpdate {
                // A delete won over this value.
                to_live = Some(to_live == Some(true) || side == Side::Loser);
                if side == Side::Winner {
                    continue;
                }
            }
            let cell = match side {
                Side::Winner => winner.clone(),
                Side::Loser => loser.clone(),
            };
            let cell = cell.ok_or_else(|| Error::NotKept { column: name.clone() })?;
            let now = self.class_cell(&sources, col)?.map(|x| x.2);
            if now.as_ref() == Some(&cell) {
                continue;
            }
            let known = now.is_none() || now == winner || now == loser;
            if !known && lives && !choice.anyway {
                return Err(Error::Changed { table: self.s.t(t).name.clone(), column: name }.into());
            }
            columns.insert(col, cell);
        }
        // It may wait on another node, where only a write settles it.
        let mut open = false;
        for &b in first.births.iter() {
            let Some(i) = self.find(t, b)? else { continue };
            open |= !self.under_review(i, first.loser)?.is_empty();
        }
        let mut n = columns.len() as u64;
        match to_live {
            Some(false) if lives || open => n += self.delete_by_person(&class, choice.anyway)?.1,
            Some(true) if !lives || open => {
                self.write_by_person(&class, Some(Existence::Lives), columns.into_iter().collect())?;
                n += 1;
            }
            Some(_) | None if !columns.is_empty() => {
                self.write_by_person(&class, None, columns.into_iter().collect())?;
            }
            Some(_) | None => {}
        }
        self.decide((t, first.birth, first.loser), choice.keep.kept(sides.into_iter()))?;
        Ok(n)
    }

    // ---- the record of it

    /// The write that is about to be given up.
    fn write_of(&mut self, (t, b, d): DecidedKey) -> Result<Write, EngineError> {
        if let Some(f) = self.futures_of(t, d)?.into_iter().next() {
            return Ok(f.write);
        }
        let found = self
            .find(t, b)?
            .and_then(|i| self.births[i].rec.entries.iter().find(|e| e.write.dot == d).map(|e| e.write.clone()));
        let none = Write { dot: d, stamp: Stamp::default(), rank: None, context: 0, unseen: Vec::new() };
        Ok(found.unwrap_or(none))
    }

    /// Puts what was given up on record, as what lost against the decision's write.
    fn note(
        &mut self,
        (t, b): (u32, LocalDot),
        register: Register,
        (lost, value): (&Write, Option<Cell>),
        (winner, winner_value): (&Write, Option<Cell>),
        kind: ConflictKind,
    ) -> Result<(), EngineError> {
        self.record_loss(t, b, register, (lost, value.as_ref()), (winner, winner_value.as_ref()), kind)
    }
}

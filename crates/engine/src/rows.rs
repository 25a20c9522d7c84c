//! From classes to the rows of the application: what each class shows here, and how that is written.
//!
//! Always true here: the plan is made whole before anything is written; parents come before children and ids before
//! references (merge-rules 13, 18); whatever a shown row refers to stays shown (19); a unique clash leaves every row
//! what its application sees (20). Not here: which writes are current (`transaction`), what is one row (`class`).
mod changes;
mod composite;
mod edit;
mod follow;
mod fresh;
mod guard;
mod sql;
mod unique;
mod write;

pub use sql::{content_is_there, keys_with};

use crate::aside::Why;
use crate::catalog::Table;
use crate::change::ConflictKind;
use crate::class::Class;
use crate::error::Error;
use crate::key::LocalKey;
use crate::map::Map;
use crate::record::{Cell, Col, Entry, Existence, LocalDot, Register};
use crate::rule::{Rule, applies};
use crate::sibling::Foreign;
use crate::transaction::{HeldRow, Standing, Txn};
use crate::value::Value;
use fresh::Fresh;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

type ClassId = (u32, LocalDot);

/// The write shown per column, and the cell; ascending by column.
#[derive(Clone, Debug, Default)]
pub struct Cells(Vec<(Col, (LocalDot, Cell))>);

impl Cells {
    fn place(&self, col: Col) -> Result<usize, usize> {
        match self.0.last() {
            Some((last, _)) if *last < col => Err(self.0.len()),
            _ => self.0.binary_search_by_key(&col, |c| c.0),
        }
    }

    pub fn get(&self, col: Col) -> Option<&(LocalDot, Cell)> {
        self.place(col).ok().map(|at| &self.0[at].1)
    }

    pub fn insert(&mut self, col: Col, shown: (LocalDot, Cell)) {
        match self.place(col) {
            Ok(at) => self.0[at].1 = shown,
            Err(at) => self.0.insert(at, (col, shown)),
        }
    }

    pub fn remove(&mut self, col: Col) {
        if let Ok(at) = self.place(col) {
            self.0.remove(at);
        }
    }
}

/// What a class is to show.
#[derive(Clone, Debug)]
pub struct Show {
    pub class: Class,
    pub anchor: usize,
    /// The row as it is in the application's table.
    pub old: Option<Rc<[Value]>>,
    /// The row as it is to be; None: the column has no register, and is left to its default.
    pub new: Vec<Option<Value>>,
    /// The write shown per column, and the cell.
    pub cells: Cells,
    pub held: Vec<HeldRow>,
    /// It already fell back to the unique values that it shows.
    pub stuck: bool,
    pub dead: bool,
    pub moved: bool,
}

#[derive(Clone, Debug)]
enum Plan {
    /// Being planned: whoever refers to it may count on it.
    Underway,
    Show(Box<Show>),
    /// A row that is inserted as its birth has it.
    Fresh(Fresh),
    /// It lives, and can't be shown yet.
    Waits(Vec<HeldRow>),
    Gone,
}

/// The plan of one transaction.
#[derive(Debug, Default)]
pub struct RowPlan {
    plans: Map<ClassId, Plan>,
    queue: BTreeSet<(usize, u32, LocalDot)>,
    /// Shown though dead, since a shown row has to go on referring to it.
    extra: HashSet<ClassId>,
    /// Rows that take part in a swap of unique values.
    swaps: BTreeSet<ClassId>,
    rounds: Map<ClassId, u32>,
    /// Births of which only free columns change.
    edits: Vec<usize>,
    /// Rows that are to be shown, by the values that foreign keys of several columns name them by.
    by_whole: HashMap<composite::Named, ClassId>,
}

/// Where a reference leads here.
enum Target {
    Here(Value),
    Missing,
    Dangling,
}

impl Txn<'_> {
    /// Plans every touched class, and what follows from that.
    pub fn plan_rows(&mut self) -> Result<RowPlan, Error> {
        let mut plan = RowPlan::default();
        let doubles = if self.s.last { HashSet::new() } else { self.doubles()? };
        let mut seen = BTreeSet::new();
        loop {
            for (t, b) in self.touched.take() {
                let leader = self.class(t, b)?.leader;
                plan.queue.insert((self.s.t(t).rank, t, leader));
            }
            while let Some((_, t, l)) = plan.queue.pop_first() {
                seen.insert(t);
                self.plan_class(&mut plan, t, l, &doubles)?;
            }
            let tables: Vec<u32> = std::mem::take(&mut seen).into_iter().collect();
            for t in tables {
                self.settle_unique(&mut plan, t)?;
            }
            if plan.queue.is_empty() && self.touched.is_empty() {
                self.plan_edits(&mut plan)?;
                return Ok(plan);
            }
        }
    }

    /// Classes without a row whose identity key another class without a row has too.
    fn doubles(&mut self) -> Result<HashSet<ClassId>, Error> {
        let mut by_key: HashMap<(u32, usize, Vec<u8>), Vec<ClassId>> = HashMap::new();
        for (t, b) in self.touched.list() {
            let Some(table) = self.s.t(t).table.clone() else { continue };
            let class = self.class(t, b)?;
            if !self.class_lives(&class)? || !self.anchors(&class)?.is_empty() {
                continue;
            }
            let sources = self.sources(&class)?;
            for (k, places) in table.identity.iter().enumerate() {
                if let Some(key) = self.class_key(t, &table, &sources, places)? {
                    let list = by_key.entry((t, k, key)).or_default();
                    if !list.contains(&(t, class.leader)) {
                        list.push((t, class.leader));
                    }
                }
            }
        }
        Ok(by_key.into_values().filter(|l| l.len() > 1).flatten().collect())
    }

    fn plan_class(&mut self, plan: &mut RowPlan, t: u32, l: LocalDot, doubles: &HashSet<ClassId>) -> Result<(), Error> {
        let id = (t, l);
        let n = plan.rounds.entry(id).or_default();
        *n += 1;
        if *n > 40 {
            return Err(crate::store::damaged("the plan does not settle"));
        }
        let class = self.class(t, l)?;
        let members = self.members(&class)?;
        for &m in &members {
            self.read(m)?;
            self.births[m].dirty = true;
        }
        if members.is_empty() {
            plan.plans.insert(id, Plan::Gone);
            return Ok(());
        }
        let was_shown = plan.shows(id);
        let before = plan.plans.insert(id, Plan::Underway);
        let next = match self.plan_fresh(plan, &class, doubles)? {
            Some(fresh) => Plan::Fresh(fresh),
            None => self.plan_of(plan, &class, &members, doubles)?,
        };
        let shown = matches!(next, Plan::Show(_) | Plan::Fresh(_));
        let anchors = self.anchors(&class)?;
        let had_row = !anchors.is_empty();
        // What follows from it, follows once.
        let new = before.is_none() || was_shown != shown;
        let gone = new && !shown && (had_row || was_shown);
        // What waited for it can be shown now, or is known to wait in vain.
        let came = new && !had_row && !matches!(next, Plan::Waits(_));
        plan.plans.insert(id, next);
        if shown {
            self.note_named(plan, id);
        }
        // What refers to a row that comes back may have shown that it was gone.
        let back = came && shown && members.iter().any(|&m| self.births[m].was_known());
        let renamed = before.is_none() && had_row && self.is_renamed(plan, id);
        if gone || back || renamed || before.is_none() && anchors.len() > 1 {
            self.touch_children(t, l)?;
        }
        if came {
            self.touch_waiting(&class)?;
        }
        if new && !shown {
            self.touch_dead_parents(plan, &members)?;
        }
        if shown && had_row {
            self.touch_parents_left(plan, id, &members)?;
        }
        if gone || shown && had_row {
            self.touch_unique_waiting(t)?;
        }
        Ok(())
    }

    fn plan_of(
        &mut self,
        plan: &mut RowPlan,
        class: &Class,
        members: &[usize],
        doubles: &HashSet<ClassId>,
    ) -> Result<Plan, Error> {
        let (t, l) = (class.t, class.leader);
        let lives = self.class_lives(class)?;
        let Some(table) = self.s.t(t).table.clone() else {
            let held = HeldRow { register: None, dot: None, reason: ConflictKind::TableMissing, waits: None };
            return Ok(if lives { Plan::Waits(vec![held]) } else { Plan::Gone });
        };
        let sources = self.sources(class)?;
        let anchors = self.anchors(class)?;
        let asides = self.class_asides(class)?;
        let needed = !lives
            && (plan.extra.contains(&(t, l))
                || self.needed(class, &mut HashSet::new())?
                || !anchors.is_empty() && self.stays_for_aside(class)?);
        if !(lives || needed) || sources.is_empty() {
            return Ok(if lives { Plan::Waits(Vec::new()) } else { Plan::Gone });
        }
        if anchors.is_empty()
            && let Some(why) = members.iter().find_map(|&m| asides.get(&self.births[m].b))
        {
            // A new row that a person has put aside.
            let reason = why.reason();
            return Ok(Plan::Waits(vec![HeldRow { register: None, dot: None, reason, waits: None }]));
        }
        if anchors.is_empty()
            && let Some(held) = self.revived_by_aside(members, &asides)
        {
            return Ok(Plan::Waits(held));
        }
        let wait = |reason, waits| Plan::Waits(vec![HeldRow { register: None, dot: None, reason, waits }]);
        if self.poisoned.contains(&(t, l)) {
            if anchors.is_empty() {
                return Ok(wait(ConflictKind::Constraint, None));
            }
            return self.keep_as_is(class, &table, anchors[0], members, !lives, ConflictKind::Constraint);
        }
        if !self.s.last
            && anchors.is_empty()
            && (doubles.contains(&(t, l)) || self.waits_for_identity(t, class, &sources)?)
            && !self.is_referred_to(class)?
            && applies(Rule::IdentityAwaited)
        {
            return Ok(wait(ConflictKind::InsertInsert, None));
        }
        let anchor = anchors.first().copied().unwrap_or(sources[0]);
        let old = if anchors.is_empty() { None } else { self.stored_row(anchor)? };
        let mut show = Show {
            class: class.clone(),
            anchor,
            old,
            new: vec![None; table.columns.len()],
            cells: Cells::default(),
            held: Vec::new(),
            stuck: false,
            dead: !lives,
            moved: false,
        };
        if let Some(p) = table.surrogate() {
            let id = match anchors.first().and_then(|&a| self.births[a].key.as_ref()).and_then(LocalKey::id) {
                Some(id) => id,
                None => {
                    let origin = self.births[sources[0]].rec.origin;
                    let was = members.iter().find_map(|&m| self.births[m].rec.was.map(|w| (m, w)));
                    let (b, was) = was.map_or((self.births[anchor].b, None), |(m, w)| (self.births[m].b, Some(w)));
                    let (id, moved) = match self.planned_id(plan, class) {
                        Some(x) => x,
                        None => self.give_id(t, b, was, origin)?,
                    };
                    show.moved = moved;
                    self.planned_ids.insert((t, l), (id, moved));
                    id
                }
            };
            show.new[p] = Some(Value::Integer(id));
        }
        if let Some(waits) = self.fill_columns(plan, &mut show, &sources, members, doubles, &asides)? {
            return Ok(Plan::Waits(vec![waits]));
        }
        if let Some(waits) = self.fill_composites(plan, &mut show, members, doubles)? {
            return Ok(Plan::Waits(vec![waits]));
        }
        self.keep_whole_key(plan, &mut show, members)?;
        for (p, c) in table.columns.iter().enumerate() {
            let is_null = show.new[p].as_ref().is_some_and(Value::is_null)
                || show.new[p].is_none() && show.old.is_none() && !c.has_default;
            if c.not_null && is_null && table.surrogate() != Some(p) {
                let reason = if show.new[p].is_none() { ConflictKind::ColumnMissing } else { ConflictKind::Constraint };
                if anchors.is_empty() {
                    return Ok(wait(reason, None));
                }
                return self.keep_as_is(class, &table, anchor, members, !lives, reason);
            }
        }
        for col in self.columns_of(&sources) {
            if self.s.t(t).place.get(usize::from(col.0)).copied().flatten().is_none() {
                show.held.push(HeldRow {
                    register: Some(Register::Column(col)),
                    dot: None,
                    reason: ConflictKind::ColumnMissing,
                    waits: None,
                });
            }
        }
        show.held.extend(self.held_deletes(members, !lives, &asides));
        Ok(Plan::Show(Box::new(show)))
    }

    /// The edits that a deleted row would live by, if it would by nothing but edits that are put aside.
    fn revived_by_aside(&self, members: &[usize], asides: &BTreeMap<LocalDot, Why>) -> Option<Vec<HeldRow>> {
        let is_aside = |e: &Entry| asides.get(&e.write.dot) == Some(&Why::UpdateDelete) && !e.is_tombstone();
        let mut held = Vec::new();
        for &m in members.iter().filter(|&&m| self.lives(m)) {
            let rec = &self.births[m].rec;
            let mut without = rec.clone();
            without.entries.retain(|e| !is_aside(e));
            if self.rec_lives(&without) {
                return None;
            }
            let (register, reason) = (Some(Register::Existence), ConflictKind::UpdateDelete);
            held.extend(rec.entries.iter().filter(|e| is_aside(e)).map(|e| HeldRow {
                register,
                dot: Some(e.write.dot),
                reason,
                waits: None,
            }));
        }
        (!held.is_empty()).then_some(held)
    }

    /// The deletes of a row that is shown all the same. Of one that lives, those that a person has to decide: in a birth
    /// that does not live, a delete changes nothing.
    fn held_deletes(&self, members: &[usize], dead: bool, asides: &BTreeMap<LocalDot, Why>) -> Vec<HeldRow> {
        let is_asked = |e: &Entry| matches!(asides.get(&e.write.dot), Some(Why::UpdateDelete | Why::DeleteUpdate));
        members
            .iter()
            .filter(|&&m| dead || self.lives(m))
            .flat_map(|&m| &self.births[m].rec.entries)
            .filter(|e| e.is_tombstone() && (dead || is_asked(e)))
            .map(|e| HeldRow {
                register: Some(Register::Existence),
                dot: Some(e.write.dot),
                reason: asides.get(&e.write.dot).map_or(ConflictKind::ParentDeleted, |why| why.reason()),
                waits: None,
            })
            .collect()
    }

    fn planned_id(&self, _plan: &RowPlan, class: &Class) -> Option<(i64, bool)> {
        self.planned_ids.get(&(class.t, class.leader)).copied()
    }

    /// The cell of each column, references resolved. Some: the row has to wait for that.
    fn fill_columns(
        &mut self,
        plan: &mut RowPlan,
        show: &mut Show,
        sources: &[usize],
        members: &[usize],
        doubles: &HashSet<ClassId>,
        asides: &BTreeMap<LocalDot, Why>,
    ) -> Result<Option<HeldRow>, Error> {
        let t = show.class.t;
        for col in self.columns_of(sources) {
            let Some(p) = self.s.t(t).place[usize::from(col.0)] else { continue };
            let Some((_, dot, cell)) = self.class_cell(sources, col)? else { continue };
            if self.policy(t, col).0 == crate::merge::Keeps::All {
                for d in self.other_writes(t, sources, col, &cell)? {
                    let held = HeldRow {
                        register: Some(Register::Column(col)),
                        dot: Some(d),
                        reason: ConflictKind::UpdateUpdate,
                        waits: None,
                    };
                    if !show.held.contains(&held) {
                        show.held.push(held);
                    }
                }
            }
            if let (Some(why), Some(old)) = (asides.get(&dot), &show.old) {
                // Put aside: the row goes on showing what it shows.
                let (reason, value) = (why.reason(), old[p].clone());
                show.held.push(HeldRow { register: Some(Register::Column(col)), dot: Some(dot), reason, waits: None });
                self.keep_named(plan, t, col, &value)?;
                let (d, c) = self.shown_write(members, col).unwrap_or((LocalDot(0), Cell::Unread));
                show.new[p] = Some(value);
                show.cells.insert(col, (d, c));
                continue;
            }
            let (value, dot, cell) = match &cell {
                Cell::Value(v) => (v.clone(), dot, cell),
                Cell::Raw(v) => {
                    // Where one of the births that are one row was written here, it is at home here.
                    let own = sources.iter().flat_map(|&s| self.births[s].rec.siblings(col));
                    let own =
                        own.filter(|(w, f)| self.s.is_ours(t, w.dot) && f.cell == cell).map(|(w, _)| w.dot).next();
                    let v = self.show_raw(t, col, own.unwrap_or(dot), v)?;
                    (v, dot, cell)
                }
                Cell::Row(b) => {
                    let b = *b;
                    match self.target(plan, &show.class, members, t, col, dot, b, doubles)? {
                        Target::Here(v) => (v, dot, cell),
                        Target::Dangling => {
                            (self.show_dangling(t, col, b, members, dot, show.old.as_ref().map(|o| &o[p]))?, dot, cell)
                        }
                        Target::Missing => {
                            let pt = self.s.t(t).refs.get(&col).map_or(t, |(n, _)| *n);
                            let waits = Some((pt, b));
                            let Some(old) = &show.old else {
                                return Ok(Some(HeldRow {
                                    register: None,
                                    dot: None,
                                    reason: ConflictKind::MissingParent,
                                    waits,
                                }));
                            };
                            show.held.push(HeldRow {
                                register: Some(Register::Column(col)),
                                dot: Some(dot),
                                reason: ConflictKind::MissingParent,
                                waits,
                            });
                            let value = old[p].clone();
                            self.keep_named(plan, t, col, &value)?;
                            let (d, c) = self.shown_write(members, col).unwrap_or((LocalDot(0), Cell::Unread));
                            (value, d, c)
                        }
                    }
                }
                Cell::Unread => unreachable!("class_cell reads"),
            };
            show.new[p] = Some(value);
            show.cells.insert(col, (dot, cell));
        }
        Ok(None)
    }

    /// All columns that have a register in one of these births, ascending.
    pub fn columns_of(&self, sources: &[usize]) -> Vec<Col> {
        match sources {
            [one] => self.births[*one].rec.columns(),
            many => {
                let all: BTreeSet<Col> = many.iter().flat_map(|&s| self.births[s].rec.columns()).collect();
                all.into_iter().collect()
            }
        }
    }

    /// The writes of a column that say something else.
    fn other_writes(&mut self, t: u32, sources: &[usize], col: Col, cell: &Cell) -> Result<Vec<LocalDot>, Error> {
        let all = sources.iter().flat_map(|&s| self.births[s].rec.siblings(col));
        let all: Vec<(LocalDot, Cell)> = all.map(|(w, f)| (w.dot, f.cell.clone())).collect();
        let mut others = Vec::new();
        for (dot, other) in all {
            if !self.says_same(t, col, &other, cell)? {
                others.push(dot);
            }
        }
        Ok(others)
    }

    /// The write that the row shows in a column now.
    fn shown_write(&self, members: &[usize], col: Col) -> Option<(LocalDot, Cell)> {
        // A birth that stood in another row was shown by that one.
        let rows = members.iter().map(|&m| &self.births[m]).filter(|birth| birth.key.is_some());
        let row = rows.min_by(|a, b| a.key.cmp(&b.key)).map(|birth| birth.b);
        members
            .iter()
            .filter(|&&m| self.births[m].stands_in() == row)
            .flat_map(|&m| self.births[m].rec.siblings(col))
            .find(|(_, f)| f.shown)
            .map(|(w, f)| (w.dot, f.cell.clone()))
    }

    /// A row goes on showing this value: the row that it names here has to stay.
    fn keep_named(&mut self, plan: &mut RowPlan, t: u32, col: Col, value: &Value) -> Result<(), Error> {
        let Some((pt, _)) = self.reference(t, col).filter(|(pt, _)| self.s.t(*pt).database.is_none()) else {
            return Ok(());
        };
        let Cell::Row(b) = self.cell_of(t, col, value.clone())? else { return Ok(()) };
        let class = self.class(pt, b)?;
        if !self.class_lives(&class)? && plan.extra.insert((pt, class.leader)) {
            plan.queue.insert((self.s.t(pt).rank, pt, class.leader));
        }
        Ok(())
    }

    /// An existing row goes on showing what it shows.
    fn keep_as_is(
        &mut self,
        class: &Class,
        table: &Table,
        anchor: usize,
        members: &[usize],
        dead: bool,
        reason: ConflictKind,
    ) -> Result<Plan, Error> {
        let t = class.t;
        let old = self.stored_row(anchor)?;
        let mut cells = Cells::default();
        let asides = self.class_asides(class)?;
        let mut held = self.held_deletes(members, dead, &asides);
        for (p, _) in table.columns.iter().enumerate() {
            let Some(col) = self.s.t(t).col_at[p] else { continue };
            if let Some(w) = self.shown_write(members, col) {
                cells.insert(col, w);
            }
            let dots: Vec<LocalDot> = members
                .iter()
                .flat_map(|&m| self.births[m].rec.siblings(col))
                .filter(|(_, f)| !f.shown)
                .map(|(w, _)| w.dot)
                .collect();
            for d in dots {
                held.push(HeldRow { register: Some(Register::Column(col)), dot: Some(d), reason, waits: None });
            }
        }
        let new = old.iter().flat_map(|row| row.iter()).cloned().map(Some).collect();
        Ok(Plan::Show(Box::new(Show {
            class: class.clone(),
            anchor,
            old,
            new,
            cells,
            held,
            stuck: true,
            dead,
            moved: false,
        })))
    }

    /// A value that named nothing at its author: elsewhere a number that only its author's rows give a meaning to would
    /// name some other row by accident.
    fn show_raw(&mut self, t: u32, col: Col, dot: LocalDot, v: &Value) -> Result<Value, Error> {
        if self.s.is_ours(t, dot) || !matches!(v, Value::Integer(i) if *i > 0) {
            return Ok(v.clone());
        }
        match self.reference(t, col) {
            Some((pt, r)) if self.s.is_local(pt, &r.target_column) => self.stand_in(pt, dot.replica(), v),
            Some(_) | None => Ok(v.clone()),
        }
    }

    /// What a reference to a row that is gone shows: at home what the application left there, else a stand-in.
    fn show_dangling(
        &mut self,
        t: u32,
        col: Col,
        b: LocalDot,
        members: &[usize],
        dot: LocalDot,
        old: Option<&Value>,
    ) -> Result<Value, Error> {
        let Some((pt, r)) = self.reference(t, col) else { return Ok(Value::Null) };
        let left_there = self.shown_write(members, col).is_some_and(|(d, _)| d == dot);
        if let Some(old) = old.filter(|_| left_there)
            && matches!(self.cell_of(t, col, old.clone())?, Cell::Raw(_))
        {
            return Ok(old.clone());
        }
        if let Some(table) = self.s.t(pt).table.clone()
            && table.surrogate().is_none()
            && let Some(i) = self.find(pt, b)?
        {
            // A natural key says what it said.
            self.read(i)?;
            let target = table.column(&r.target_column).and_then(|p| self.s.t(pt).col_at[p]);
            if let Some((_, _, Cell::Value(v))) = target.map(|c| self.class_cell(&[i], c)).transpose()?.flatten() {
                return Ok(v);
            }
        }
        self.stand_in(pt, b.replica(), &Value::Integer(b.seq() as i64))
    }

    #[allow(clippy::too_many_arguments)]
    fn target(
        &mut self,
        plan: &mut RowPlan,
        child: &Class,
        members: &[usize],
        t: u32,
        col: Col,
        dot: LocalDot,
        b: LocalDot,
        doubles: &HashSet<ClassId>,
    ) -> Result<Target, Error> {
        let Some((pt, r)) = self.reference(t, col) else { return Ok(Target::Dangling) };
        if self.s.t(pt).database.is_some() {
            return Ok(match self.foreign_row(pt, b, &r.target_column)? {
                Foreign::Here(v) => Target::Here(v),
                Foreign::Waiting | Foreign::Unknown => Target::Missing,
                Foreign::Dead | Foreign::Nowhere => Target::Dangling,
            });
        }
        if self.s.t(pt).table.is_none() {
            // The table is not synced here: nothing will come.
            return Ok(Target::Dangling);
        }
        if self.find(pt, b)?.is_none() {
            return Ok(Target::Missing);
        }
        let class = self.class(pt, b)?;
        let id = (pt, class.leader);
        let queued = plan.queue.remove(&(self.s.t(pt).rank, pt, class.leader));
        let unplanned = !plan.plans.contains_key(&id) && self.anchors(&class)?.is_empty();
        if (queued || unplanned) && !matches!(plan.plans.get(&id), Some(Plan::Underway)) {
            self.plan_class(plan, pt, class.leader, doubles)?;
        }
        let lives = self.class_lives(&class)?;
        match plan.plans.get(&id) {
            Some(Plan::Underway) if pt == child.t && class.leader == child.leader => {
                // It refers to itself.
                Ok(self.own_value(members, pt, &r.target_column, child)?)
            }
            Some(Plan::Underway | Plan::Show(_) | Plan::Fresh(_)) => {
                Ok(match self.value_of(plan, &class, &r.target_column)? {
                    Some(v) => Target::Here(v),
                    None => Target::Missing,
                })
            }
            Some(Plan::Waits(_)) => Ok(Target::Missing),
            Some(Plan::Gone) if r.declared && self.keeps(&class, t, col, dot)? && !lives => {
                // The reference keeps it shown (merge-rules 12); it was planned before this child was known.
                if plan.extra.insert(id) {
                    self.plan_class(plan, pt, class.leader, doubles)?;
                }
                Ok(match self.value_of(plan, &class, &r.target_column)? {
                    Some(v) => Target::Here(v),
                    None => Target::Missing,
                })
            }
            Some(Plan::Gone) => Ok(Target::Dangling),
            None => Ok(match self.value_of(plan, &class, &r.target_column)? {
                Some(v) => Target::Here(v),
                None => Target::Missing,
            }),
        }
    }

    fn own_value(&mut self, members: &[usize], pt: u32, target: &str, class: &Class) -> Result<Target, Error> {
        let table = self.s.t(pt).table.clone().expect("it is being planned");
        let Some(p) = table.column(target) else { return Ok(Target::Missing) };
        if table.surrogate() == Some(p) {
            if let Some((id, _)) = self.planned_ids.get(&(class.t, class.leader)) {
                return Ok(Target::Here(Value::Integer(*id)));
            }
            let id = members.iter().find_map(|&m| self.births[m].key.as_ref().and_then(LocalKey::id));
            return Ok(id.map_or(Target::Missing, |id| Target::Here(Value::Integer(id))));
        }
        let Some(col) = self.s.t(pt).col_at[p] else { return Ok(Target::Missing) };
        Ok(match self.class_cell(members, col)? {
            Some((_, _, Cell::Value(v))) => Target::Here(v),
            _ => Target::Missing,
        })
    }

    /// The value that a reference to this class has here.
    fn value_of(&mut self, plan: &RowPlan, class: &Class, target: &str) -> Result<Option<Value>, Error> {
        let t = class.t;
        let Some(table) = self.s.t(t).table.clone() else { return Ok(None) };
        let Some(p) = table.column(target) else { return Ok(None) };
        match plan.plans.get(&(t, class.leader)) {
            Some(Plan::Show(s)) => return Ok(s.new[p].clone().or_else(|| s.old.as_ref().map(|o| o[p].clone()))),
            Some(Plan::Fresh(f)) => return Ok(Some(self.fresh_value(t, f, p))),
            Some(Plan::Underway) => {
                let members = self.members(class)?;
                return Ok(match self.own_value(&members, t, target, class)? {
                    Target::Here(v) => Some(v),
                    Target::Missing | Target::Dangling => None,
                });
            }
            Some(Plan::Waits(_) | Plan::Gone) => return Ok(None),
            None => {}
        }
        let Some(&a) = self.anchors(class)?.first() else { return Ok(None) };
        if table.surrogate() == Some(p) {
            return Ok(self.births[a].key.as_ref().and_then(LocalKey::id).map(Value::Integer));
        }
        Ok(self.stored_row(a)?.map(|row| row[p].clone()))
    }

    /// The local value of a reference to a row that is shown now.
    pub fn local_value(&mut self, t: u32, col: Col, b: LocalDot) -> Result<Option<Value>, Error> {
        let Some((pt, r)) = self.reference(t, col) else { return Ok(None) };
        if self.s.t(pt).database.is_some() {
            return Ok(match self.foreign_row(pt, b, &r.target_column)? {
                Foreign::Here(v) => Some(v),
                Foreign::Waiting | Foreign::Unknown | Foreign::Dead | Foreign::Nowhere => None,
            });
        }
        let class = self.class(pt, b)?;
        self.value_of(&RowPlan::default(), &class, &r.target_column)
    }

    /// Does this reference keep its dead target shown? Not if a tombstone of it lists the write.
    pub fn keeps(&mut self, target: &Class, t: u32, col: Col, dot: LocalDot) -> Result<bool, Error> {
        for m in self.members(target)? {
            for e in &self.births[m].rec.entries {
                if let Some(Existence::Deleted(list)) = &e.existence
                    && list.iter().any(|d| d.table == t && d.col == col && d.dot == dot)
                {
                    return Ok(false);
                }
            }
        }
        Ok(applies(Rule::ParentKept))
    }

    /// Merge-rules 12: a dead row is shown as long as a shown row refers to it by a declared foreign key that no
    /// tombstone of its class lists. The least fixpoint: dead rows in a cycle don't keep each other.
    fn needed(&mut self, class: &Class, path: &mut HashSet<ClassId>) -> Result<bool, Error> {
        if !path.insert((class.t, class.leader)) {
            return Ok(false);
        }
        for m in class.members.clone() {
            for (ct, c, col) in self.children(class.t, m)? {
                let Some((_, r)) = self.reference(ct, col) else { continue };
                if !r.declared {
                    continue;
                }
                let child = self.class(ct, c)?;
                if child.t == class.t && child.leader == class.leader {
                    continue;
                }
                let sources = self.sources(&child)?;
                let Some((_, dot, Cell::Row(to))) = self.class_cell(&sources, col)? else { continue };
                if self.class(class.t, to)?.leader != class.leader || !self.keeps(class, ct, col, dot)? {
                    continue;
                }
                let shown = self.class_lives(&child)? || self.needed(&child, path)?;
                let kept = shown || !self.anchors(&child)?.is_empty() && self.stays_for_aside(&child)?;
                if kept {
                    return Ok(true);
                }
            }
        }
        self.needed_whole(class, path)
    }

    fn is_referred_to(&mut self, class: &Class) -> Result<bool, Error> {
        for m in class.members.clone() {
            for (ct, c, _) in self.children(class.t, m)? {
                if let Some(i) = self.find(ct, c)?
                    && self.births[i].standing == Standing::Shown
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Show {
    /// The row as it is to be, with what it keeps where nothing is said.
    fn row(&self) -> Vec<Value> {
        self.new
            .iter()
            .enumerate()
            .map(|(p, v)| v.clone().or_else(|| self.old.as_ref().map(|o| o[p].clone())).unwrap_or_default())
            .collect()
    }

    fn changes(&self) -> bool {
        self.old
            .as_ref()
            .is_none_or(|old| self.new.iter().zip(old.iter()).any(|(n, o)| n.as_ref().is_some_and(|n| n != o)))
    }
}

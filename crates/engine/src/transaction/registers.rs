//! Merging writes into registers, and recording what loses: merge-rules 3, 7 and 8.
use super::{Archived, DotOf, Lost, LostKey, Txn};
use crate::aside::Why;
use crate::change::ConflictKind;
use crate::class::Few;
use crate::config::Policy;
use crate::error::Error;
use crate::merge::{Fate, Keeps, Present, Verdict, judge};
use crate::record::{Cell, Col, Entry, Existence, Field, LocalDot, Register, Write};
use crate::rule::{Rule, applies};
use crate::store::{ARCHIVED, SUPERSEDED, TOTAL};
use rusqlite::{OptionalExtension, params};
use std::cmp::Ordering;

/// A delete and an edit of one birth that have not seen each other.
#[derive(Clone, Debug)]
pub struct Clash {
    pub grave: Write,
    pub edit: Write,
    /// What was edited. None: a person said that the row lives.
    pub field: Option<Field>,
    pub later: Later,
}

/// Which of the two is the later, and so the winner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    Edit,
    Delete,
}

impl Txn<'_> {
    pub fn policy(&self, t: u32, col: Col) -> (Keeps, Option<&str>) {
        let Some(table) = &self.s.t(t).table else { return (Keeps::Newest, None) };
        let name = &self.s.t(t).cols[usize::from(col.0)];
        let p = table
            .config
            .columns
            .iter()
            .find(|(c, _)| c.eq_ignore_ascii_case(name))
            .map_or(&table.config.policy, |(_, p)| p);
        match p {
            Policy::Newest => (Keeps::Newest, None),
            Policy::Review => (Keeps::All, None),
            Policy::Prefer(node) => (Keeps::Preferred, Some(node)),
        }
    }

    fn preferred(&self, node: Option<&str>, w: &Write) -> bool {
        let named = || self.s.hosts[w.dot.replica() as usize].as_ref().map(|h| h.name.as_str());
        node.is_some() && named() == node && applies(Rule::PreferredWins)
    }

    /// Of two writes of a column the one that is shown: that of the preferred node, else the later.
    pub fn better(&self, (t, col): (u32, Col), a: &Write, b: &Write) -> Ordering {
        let (_, node) = self.policy(t, col);
        self.preferred(node, a).cmp(&self.preferred(node, b)).then_with(|| self.order(a, b))
    }

    fn account(&mut self, t: u32, account: usize, by: i64) {
        self.s.t_mut(t).accounts[account] += by;
    }

    /// Merges one write into one birth. Values must be read, unless the birth is new.
    pub fn merge(
        &mut self,
        i: usize,
        write: &Write,
        existence: Option<Existence>,
        fields: Vec<Field>,
    ) -> Result<(), Error> {
        let t = self.births[i].t;
        let b = self.births[i].b;
        let n = fields.len() as i64 + i64::from(existence.is_some());
        self.account(t, TOTAL, n);
        self.births[i].dirty = true;
        for f in &fields {
            if let Cell::Row(to) = f.cell {
                self.link_now(t, b, f.col, to);
            }
        }
        if self.births[i].rec.entries.is_empty() {
            self.touched.insert((t, b));
            self.births[i].rec.entries.push(Entry { write: write.clone(), existence, fields });
            return Ok(());
        }
        if !(existence.is_none() && self.is_edit(i, &fields)?) {
            self.read(i)?;
            self.touched.insert((t, b));
        }
        let mut kept = Entry { write: write.clone(), existence: None, fields: Vec::new() };
        if let Some(x) = existence
            && self.merge_existence(i, write)?
        {
            kept.existence = Some(x).filter(|x| !matches!(x, Existence::Deleted(_)) || applies(Rule::TombstoneTaken));
        }
        for f in fields {
            if self.merge_field(i, write, &f)? {
                kept.fields.push(f);
            }
        }
        let existence = kept.existence.is_some();
        let fields = !kept.fields.is_empty();
        if !kept.is_empty() {
            let entries = &mut self.births[i].rec.entries;
            match entries.iter_mut().find(|e| e.write.dot == write.dot) {
                Some(e) => {
                    e.existence = e.existence.take().or(kept.existence);
                    e.fields.extend(kept.fields);
                    e.fields.sort_by_key(|f| f.col);
                }
                None => entries.push(kept),
            }
        }
        self.births[i].rec.entries.retain(|e| !e.is_empty());
        if existence || fields {
            self.edit_against_delete(i, write)?;
        }
        Ok(())
    }

    /// Does it touch nothing but free columns of a plain birth? Then those are read, and noted to be written.
    fn is_edit(&mut self, i: usize, fields: &[Field]) -> Result<bool, Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        if self.poisoned.contains(&(t, b)) || !self.births[i].is_plain() || !self.asides(t, b)?.is_empty() {
            return Ok(false);
        }
        let (free, s) = (self.free_columns(t), self.s.t(t));
        let Some(table) = &s.table else { return Ok(false) };
        let is_free = |f: &Field| {
            let may_be_null = || s.place[usize::from(f.col.0)].is_some_and(|p| !table.columns[p].not_null);
            free.get(usize::from(f.col.0)) == Some(&true)
                && matches!(&f.cell, Cell::Value(v) if !v.is_null() || may_be_null())
                && self.births[i].rec.siblings(f.col).count() == 1
        };
        if fields.is_empty() || !fields.iter().all(is_free) {
            return Ok(false);
        }
        let cols: Few<Col> = fields.iter().map(|f| f.col).collect();
        let Some(read) = self.read_before(i, &cols)? else { return Ok(false) };
        if !applies(Rule::EditShortWay) {
            return Ok(false);
        }
        if self.births[i].edits.is_empty() {
            self.edited.push(i);
        }
        self.births[i].edits.extend(read);
        Ok(true)
    }

    fn merge_existence(&mut self, i: usize, write: &Write) -> Result<bool, Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        let present: Vec<Write> =
            self.births[i].rec.entries.iter().filter(|e| e.existence.is_some()).map(|e| e.write.clone()).collect();
        let Some(seen) = self.judge_existence(&present, write)? else {
            self.account(t, SUPERSEDED, 1);
            return Ok(false);
        };
        for e in &mut self.births[i].rec.entries {
            if e.existence.is_some() && seen.contains(&e.write.dot) {
                e.existence = None;
            }
        }
        for w in present.into_iter().filter(|p| seen.contains(&p.dot)) {
            self.out_of_register(Archived {
                t,
                b,
                register: Register::Existence,
                write: w,
                lost: false,
                by: write.dot,
                cell: None,
            });
        }
        Ok(true)
    }

    /// Which of the writes of an existence register a write had seen. None: one of them had seen it, or is it.
    pub fn judge_existence(&mut self, present: &[Write], write: &Write) -> Result<Option<Vec<LocalDot>>, Error> {
        let mut seen = Vec::new();
        for p in present {
            if p.dot == write.dot || self.saw(p, Register::Existence, write.dot)? {
                return Ok(None);
            }
            if self.saw(write, Register::Existence, p.dot)? {
                seen.push(p.dot);
            }
        }
        Ok(Some(seen))
    }

    /// What becomes of the present writes of a column and of an incoming one.
    pub fn judge_field(
        &mut self,
        t: u32,
        present: &[(Write, Field)],
        write: &Write,
        f: &Field,
    ) -> Result<Verdict, Error> {
        let register = Register::Column(f.col);
        let (keeps, node) = self.policy(t, f.col);
        let node = node.map(str::to_owned);
        let mut facts = Vec::new();
        for (w, g) in present {
            facts.push((
                self.saw(w, register, write.dot)? && applies(Rule::SeenByPresent),
                self.saw(write, register, w.dot)? && applies(Rule::SawPresent),
                g.cell == f.cell && applies(Rule::EqualValues),
                self.preferred(node.as_deref(), w),
            ));
        }
        let view: Vec<Present<'_>> = present
            .iter()
            .zip(&facts)
            .map(|((write, _), &(saw_incoming, seen, equal, preferred))| Present {
                write,
                saw_incoming,
                seen,
                equal,
                preferred,
            })
            .collect();
        let mine = self.preferred(node.as_deref(), write);
        let keeps = if keeps == Keeps::All && !applies(Rule::ReviewKeeps) { Keeps::Newest } else { keeps };
        let order = |a: &Write, b: &Write| {
            let order = self.order(a, b);
            if applies(Rule::LaterWins) { order } else { order.reverse() }
        };
        Ok(judge(write.dot, write, mine, &view, keeps, order))
    }

    fn merge_field(&mut self, i: usize, write: &Write, f: &Field) -> Result<bool, Error> {
        let (t, b, register) = (self.births[i].t, self.births[i].b, Register::Column(f.col));
        let present: Vec<(Write, Field)> =
            self.births[i].rec.siblings(f.col).map(|(w, f)| (w.clone(), f.clone())).collect();
        if present.is_empty() {
            return Ok(true);
        }
        let (fates, winner, stays) = match self.judge_field(t, &present, write, f)? {
            Verdict::Known => {
                self.account(t, TOTAL, -1);
                return Ok(false);
            }
            Verdict::Superseded => {
                self.account(t, SUPERSEDED, 1);
                return Ok(false);
            }
            Verdict::Kept(fates) => (fates, None, true),
            Verdict::Yields(w, fates) => (fates, Some(w), true),
            Verdict::Loses(w, fates) => (fates, Some(w), false),
        };
        let kind = ConflictKind::UpdateUpdate;
        for ((w, g), fate) in present.iter().zip(&fates) {
            match fate {
                Fate::Stays => {}
                Fate::Superseded => {
                    self.take_out(i, f.col, w.dot);
                    let cell = Some(g.cell.clone());
                    self.out_of_register(Archived {
                        t,
                        b,
                        register,
                        write: w.clone(),
                        lost: false,
                        by: write.dot,
                        cell,
                    });
                }
                Fate::Yields => self.record_loss(t, b, register, (w, Some(&g.cell)), (write, Some(&f.cell)), kind)?,
                Fate::Loses => {
                    self.take_out(i, f.col, w.dot);
                    self.record_loss(t, b, register, (w, Some(&g.cell)), (write, Some(&f.cell)), kind)?;
                    let cell = Some(g.cell.clone());
                    self.out_of_register(Archived {
                        t,
                        b,
                        register,
                        write: w.clone(),
                        lost: true,
                        by: write.dot,
                        cell,
                    });
                }
            }
        }
        if let Some(k) = winner {
            let (w, g) = &present[k];
            self.record_loss(t, b, register, (write, Some(&f.cell)), (w, Some(&g.cell)), kind)?;
            if !stays {
                let cell = Some(f.cell.clone());
                self.out_of_register(Archived { t, b, register, write: write.clone(), lost: true, by: w.dot, cell });
            }
        }
        Ok(stays)
    }

    pub fn take_out(&mut self, i: usize, col: Col, dot: LocalDot) {
        for e in &mut self.births[i].rec.entries {
            if e.write.dot == dot {
                e.fields.retain(|f| f.col != col);
            }
        }
    }

    /// A value leaves its register: to the archive (or it was never here, and only counts).
    pub fn out_of_register(&mut self, gone: Archived) {
        self.account(gone.t, if gone.lost { ARCHIVED } else { SUPERSEDED }, 1);
        self.archive.push(gone);
    }

    /// A write of this application stands beside what was held when it was made: the rule that settles it elsewhere
    /// settles it here.
    pub fn judge_own(&mut self, i: usize) -> Result<(), Error> {
        let own: Vec<Write> = self.births[i]
            .rec
            .entries
            .iter()
            .filter(|e| !e.write.unseen.is_empty() && e.write.dot.replica() == self.s.own)
            .map(|e| e.write.clone())
            .collect();
        for write in own {
            for col in self.births[i].rec.columns() {
                let Some(f) = self.births[i].rec.siblings(col).find(|(w, _)| w.dot == write.dot).map(|x| x.1.clone())
                else {
                    continue;
                };
                self.take_out(i, col, write.dot);
                if self.merge_field(i, &write, &f)? {
                    self.put_in(i, &write, f);
                }
            }
            self.births[i].rec.entries.retain(|e| !e.is_empty());
            self.edit_against_delete(i, &write)?;
            let at = (self.births[i].t, self.births[i].b);
            self.touched.insert(at);
        }
        Ok(())
    }

    fn put_in(&mut self, i: usize, write: &Write, f: Field) {
        let entries = &mut self.births[i].rec.entries;
        match entries.iter_mut().find(|e| e.write.dot == write.dot) {
            Some(e) => {
                e.fields.push(f);
                e.fields.sort_by_key(|f| f.col);
            }
            None => entries.push(Entry { write: write.clone(), existence: None, fields: vec![f] }),
        }
    }

    /// A tombstone and a column write that have not seen each other are a conflict; the earlier is the loser. So are a
    /// tombstone and a person's word that the row lives. Under `review` what came waits.
    fn edit_against_delete(&mut self, i: usize, write: &Write) -> Result<(), Error> {
        let (t, b) = (self.births[i].t, self.births[i].b);
        for Clash { grave, edit, field, later } in self.clashes(i, write.dot)? {
            if !applies(Rule::EditAgainstDelete) {
                continue;
            }
            let cell = field.as_ref().map(|f| &f.cell);
            let why = match later {
                Later::Delete => {
                    let register = field.as_ref().map_or(Register::Existence, |f| Register::Column(f.col));
                    self.record_loss(t, b, register, (&edit, cell), (&grave, None), ConflictKind::DeleteUpdate)?;
                    Why::DeleteUpdate
                }
                Later::Edit => {
                    let kind = ConflictKind::UpdateDelete;
                    self.record_loss(t, b, Register::Existence, (&grave, None), (&edit, cell), kind)?;
                    Why::UpdateDelete
                }
            };
            // An edit that came to a row that is gone, and is older than the delete, changes nothing that is shown.
            let waits = match (write.dot.replica() == self.s.own, later) {
                (false, _) if grave.dot == write.dot => Some(write.dot),
                (false, Later::Edit) => Some(write.dot),
                // This application went on editing a row whose delete waits.
                (true, Later::Edit) => self.asides(t, b)?.contains_key(&grave.dot).then_some(grave.dot),
                (_, Later::Delete) => None,
            };
            if let Some(d) = waits.filter(|_| field.is_some_and(|f| self.is_reviewed(t, f.col)))
                // What is put aside for another reason stays so until a person says otherwise.
                && matches!(self.asides(t, b)?.get(&d), None | Some(Why::DeleteUpdate))
            {
                self.put_aside(t, b, d, why)?;
            }
        }
        Ok(())
    }

    /// The deletes and edits of a birth that have not seen each other, of which one is this write.
    fn clashes(&mut self, i: usize, d: LocalDot) -> Result<Vec<Clash>, Error> {
        let b = self.births[i].b;
        if !self.births[i].rec.entries.iter().any(Entry::is_tombstone) {
            return Ok(Vec::new());
        }
        let (mut graves, mut edits) = (Vec::new(), Vec::new());
        for e in &self.births[i].rec.entries {
            match &e.existence {
                Some(Existence::Deleted(_)) => graves.push(e.write.clone()),
                Some(Existence::Lives) if e.write.dot != b => edits.push((e.write.clone(), None)),
                Some(Existence::Lives) | None => {}
            }
            edits.extend(e.fields.iter().map(|f| (e.write.clone(), Some(f.clone()))));
        }
        let mut out = Vec::new();
        for grave in &graves {
            for (edit, field) in &edits {
                let register = field.as_ref().map_or(Register::Existence, |f| Register::Column(f.col));
                if grave.dot != d && edit.dot != d
                    || self.saw(grave, register, edit.dot)?
                    || self.saw(edit, Register::Existence, grave.dot)?
                {
                    continue;
                }
                let later = if self.order(edit, grave) == Ordering::Less { Later::Delete } else { Later::Edit };
                out.push(Clash { grave: grave.clone(), edit: edit.clone(), field: field.clone(), later });
            }
        }
        Ok(out)
    }

    /// Those of them of which a person has to decide.
    pub fn under_review(&mut self, i: usize, d: LocalDot) -> Result<Vec<Clash>, Error> {
        let t = self.births[i].t;
        let all = self.clashes(i, d)?;
        Ok(all.into_iter().filter(|c| c.field.as_ref().is_some_and(|f| self.is_reviewed(t, f.col))).collect())
    }

    fn is_reviewed(&self, t: u32, col: Col) -> bool {
        self.policy(t, col).0 == Keeps::All
    }

    /// Records a loser, unless it is on record. The record is a write of its own and travels.
    pub fn record_loss(
        &mut self,
        t: u32,
        b: LocalDot,
        register: Register,
        (loser, value): (&Write, Option<&Cell>),
        (winner, winner_value): (&Write, Option<&Cell>),
        kind: ConflictKind,
    ) -> Result<(), Error> {
        let key: LostKey = (t, b, register.number(), loser.dot);
        if self.known_loss(key)?.is_some() || !applies(Rule::LoserRecorded) {
            return Ok(());
        }
        let (dot, stamp) = self.new_dot(t, self.now);
        let (loser_stamp, winner_stamp) = (loser.stamp, winner.stamp);
        let lost = Lost {
            dot,
            stamp,
            loser_stamp,
            value: value.cloned(),
            winner: winner.dot,
            winner_stamp,
            winner_value: winner_value.cloned(),
            kind,
        };
        self.lost.insert(key, lost);
        self.dots.insert((t, dot), DotOf::Conflict(b, register.number(), loser.dot));
        // One write that lost is one conflict, in however many columns, and births of its row.
        let first = self.losers.insert((t, loser.dot));
        let n = self.counts.entry(t).or_default();
        n.conflicts += u64::from(first);
        n.writes += 1;
        Ok(())
    }

    /// The dot of a record of this loser.
    pub fn known_loss(&mut self, (t, b, r, loser): LostKey) -> Result<Option<LocalDot>, Error> {
        if let Some(l) = self.lost.get(&(t, b, r, loser)) {
            return Ok(Some(l.dot));
        }
        let d = self
            .c
            .prepare_cached("SELECT d FROM _lockstep_conflict WHERE t = ?1 AND b = ?2 AND col = ?3 AND loser = ?4")?
            .query_row(params![t, b.0, r, loser.0], |r| r.get(0))
            .optional()?;
        Ok(d.map(LocalDot))
    }

    /// Is it on record of any register of a birth that this write lost?
    pub fn has_lost(&self, t: u32, b: LocalDot, loser: LocalDot) -> Result<bool, Error> {
        let mut new = self.lost.range((t, b, i64::MIN, LocalDot(i64::MIN))..=(t, b, i64::MAX, LocalDot(i64::MAX)));
        Ok(new.any(|((_, _, _, l), _)| *l == loser)
            || self
                .c
                .prepare_cached("SELECT 1 FROM _lockstep_conflict WHERE t = ?1 AND b = ?2 AND loser = ?3")?
                .exists(params![t, b.0, loser.0])?)
    }

    /// A record that arrived: the same loser folds, the smallest dot stays.
    pub fn merge_loss(&mut self, key: LostKey, lost: Lost) -> Result<(), Error> {
        let (t, b, r, loser) = key;
        if let Some(old) = self.known_loss(key)? {
            if self.id_of(old) <= self.id_of(lost.dot) {
                return Ok(());
            }
            self.dots.insert((t, old), DotOf::Births(Vec::new()));
        }
        self.dots.insert((t, lost.dot), DotOf::Conflict(b, r, loser));
        self.lost.insert(key, lost);
        Ok(())
    }

    /// A dot of this transaction that stands for an alias or a future write.
    pub fn set_dot(&mut self, t: u32, d: LocalDot, of: DotOf) {
        self.dots.insert((t, d), of);
    }
}

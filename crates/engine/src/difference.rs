//! Rows that differ from a peer's though both know the same writes: what the peer says of them is kept until a person
//! decides.
//!
//! Always true here: such a row is a fault, of a file or of a program, and no rule may settle it; what is kept concerns
//! this node alone, moves no account and changes no row; it goes when a later write to the same registers has come, a
//! person's or any other, since that one says the same everywhere. Not here: how the rows are found (`compare`), and the
//! decision (`decide`).
use crate::change::ConflictKind;
use crate::compare::{Cell as Told, Differing, Kind};
use crate::database::{Database, catch_up};
use crate::error::Error;
use crate::id::{Dot, Millis, ReplicaId};
use crate::listing::short_id;
use crate::record::{Cell, Col, LocalDot, Register, decode_cell, encode_cell};
use crate::store::{EDGES_AT, damaged};
use crate::transaction::Txn;
use crate::waiting::{Source, Waiting};
use rusqlite::{OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};

/// What is kept of one of them.
#[derive(Clone, Debug)]
pub struct Noted {
    pub t: u32,
    pub b: LocalDot,
    /// The peer's file.
    pub replica: u32,
    pub at: Millis,
    /// With what the peer says; None: nothing, or it was too large to be told.
    pub registers: BTreeMap<i64, Option<Cell>>,
    /// Is it there? Means something only if the row's existence is what differs.
    pub lives_there: bool,
}

impl Noted {
    /// Is the row there on one side only?
    pub fn is_whole(&self) -> bool {
        self.registers.contains_key(&Register::Existence.number())
    }

    /// The columns, with what the peer says.
    pub fn columns(&self) -> impl Iterator<Item = (Col, Option<&Cell>)> {
        self.registers.iter().filter_map(|(n, cell)| match Register::from_number(*n) {
            Register::Column(col) => Some((col, cell.as_ref())),
            Register::Existence => None,
        })
    }
}

impl Database {
    /// Holds rows of a table that were found to differ from those of a peer's file, in place of what was held of it
    /// before; `all`: these are all that differ. Rows that were written since are left out, and so are those of which
    /// only what they were found to be one row with differs. Gives how many of the table are held now.
    pub fn hold_differences(
        &mut self,
        table: &str,
        there: ReplicaId,
        found: &[Differing],
        all: bool,
        now: Millis,
    ) -> Result<u64, Error> {
        let before: u64 = self.c.query_row("SELECT count(*) FROM _lockstep_difference", [], |r| r.get(0))?;
        if found.is_empty() && before == 0 {
            return Ok(0);
        }
        self.write(now, |txn| {
            catch_up(txn)?;
            let Some(t) = txn.s.find_table(None, table) else { return Ok(0) };
            let replica = txn.s.replica_no(there);
            txn.s.store(txn.c)?;
            let held = txn.differences_of(t, replica)?;
            let mut kept = BTreeSet::new();
            let mut classes = BTreeSet::new();
            for d in found {
                let Some(b) = txn.known_dot(d.birth) else { continue };
                let leader = txn.class(t, b)?.leader;
                if txn.dots_of(t, b)? != d.dots || !classes.insert(leader) {
                    continue;
                }
                if txn.note_difference(t, b, replica, d, held.get(&b).copied().unwrap_or(now))? {
                    kept.insert(b);
                }
            }
            for b in held.keys().filter(|b| all && !kept.contains(b)) {
                txn.drop_difference(t, *b)?;
            }
            Ok(txn.differences_of(t, replica)?.len() as u64)
        })
    }
}

impl Txn<'_> {
    /// (birth, since when) of what is held of a table against one file.
    fn differences_of(&self, t: u32, replica: u32) -> Result<BTreeMap<LocalDot, Millis>, Error> {
        let mut q = self.c.prepare_cached("SELECT b, at FROM _lockstep_difference WHERE t = ?1 AND r = ?2")?;
        let all = q.query_map([t, replica], |r| Ok((LocalDot(r.get(0)?), Millis(r.get(1)?))))?;
        Ok(all.collect::<Result<_, _>>()?)
    }

    /// The writes that a birth consists of, as `compare` names them.
    fn dots_of(&mut self, t: u32, b: LocalDot) -> Result<Vec<Dot>, Error> {
        let Some(i) = self.find(t, b)? else { return Ok(Vec::new()) };
        let mut dots: BTreeSet<Dot> = self.births[i].rec.entries.iter().map(|e| self.dot(e.write.dot)).collect();
        let [from, to] = EDGES_AT;
        let mut q = self.c.prepare_cached(&format!("SELECT d {from} UNION SELECT d {to}"))?;
        let edges = q.query_map(params![t, b.0], |r| Ok(LocalDot(r.get(0)?)))?;
        for d in edges {
            dots.insert(self.dot(d?));
        }
        Ok(dots.into_iter().collect())
    }

    fn note_difference(&mut self, t: u32, b: LocalDot, r: u32, d: &Differing, at: Millis) -> Result<bool, Error> {
        self.drop_difference(t, b)?;
        let told = d.there.as_ref().map(|row| row.columns.as_slice()).unwrap_or_default();
        let mut registers: Vec<(Register, Option<&Told>)> = Vec::new();
        if d.kind != Kind::Different {
            registers.push((Register::Existence, None));
        }
        for column in told {
            let differs = match d.kind {
                Kind::Different => d.columns.contains(&column.name),
                Kind::OnlyHere => false,
                Kind::OnlyThere => true,
            };
            let place = self.s.t(t).cols.iter().position(|c| *c == column.name);
            if let Some(n) = place.filter(|_| differs) {
                registers.push((Register::Column(Col(n as u16)), column.cells.first()));
            }
        }
        for (register, cell) in &registers {
            let there = match cell {
                Some(Told::Value(v)) => Some(Cell::Value(v.clone())),
                Some(Told::Raw(v)) => Some(Cell::Raw(v.clone())),
                Some(Told::Row(birth)) => self.known_dot(*birth).map(Cell::Row),
                Some(Told::Large { .. }) | None => None,
            };
            let there = there.map(|cell| {
                let mut bytes = Vec::new();
                encode_cell(&cell, &mut bytes);
                bytes
            });
            let written = self.latest(t, b, *register)?;
            self.c
                .prepare_cached(
                    "INSERT INTO _lockstep_difference (t, b, col, r, d, at, lives, there)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    t,
                    b.0,
                    register.number(),
                    r,
                    written.map_or(0, |d| d.0),
                    at.0,
                    d.kind == Kind::OnlyThere,
                    there
                ])?;
        }
        Ok(!registers.is_empty())
    }

    /// The latest current write of a register, of existence over the whole row.
    fn latest(&mut self, t: u32, b: LocalDot, register: Register) -> Result<Option<LocalDot>, Error> {
        let Some(i) = self.find(t, b)? else { return Ok(None) };
        let entries =
            self.births[i].rec.entries.iter().filter(|e| register == Register::Existence || e.holds(register));
        Ok(entries.map(|e| &e.write).max_by(|x, y| self.order(x, y)).map(|w| w.dot))
    }

    pub(crate) fn drop_difference(&self, t: u32, b: LocalDot) -> Result<(), Error> {
        self.c.prepare_cached("DELETE FROM _lockstep_difference WHERE t = ?1 AND b = ?2")?.execute(params![t, b.0])?;
        Ok(())
    }

    /// What differs and was written anew differs no more. Called for every birth that is stored.
    pub fn settle_difference(&mut self, t: u32, b: LocalDot) -> Result<(), Error> {
        let rows: Vec<(i64, i64)> = self
            .c
            .prepare_cached("SELECT col, d FROM _lockstep_difference WHERE t = ?1 AND b = ?2")?
            .query_map(params![t, b.0], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (col, d) in rows {
            if self.latest(t, b, Register::from_number(col))?.map_or(0, |d| d.0) != d {
                self.c
                    .prepare_cached("DELETE FROM _lockstep_difference WHERE t = ?1 AND b = ?2 AND col = ?3")?
                    .execute(params![t, b.0, col])?;
            }
        }
        Ok(())
    }

    /// Does anything differ from a peer?
    pub fn has_differences(&self) -> Result<bool, Error> {
        let found = self
            .c
            .prepare_cached("SELECT 1 FROM _lockstep_difference LIMIT 1")?
            .query_row([], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }

    /// Everything that is held for that reason, the oldest first.
    pub fn differences(&self) -> Result<Vec<Noted>, Error> {
        let mut q = self
            .c
            .prepare_cached("SELECT t, b, col, r, at, lives, there FROM _lockstep_difference ORDER BY at, t, b, col")?;
        let mut rows = q.query([])?;
        let mut out: Vec<Noted> = Vec::new();
        while let Some(r) = rows.next()? {
            let (t, b) = (r.get(0)?, LocalDot(r.get(1)?));
            let there: Option<Vec<u8>> = r.get(6)?;
            let there = there.map(|bytes| decode_cell(&mut bytes.as_slice()).ok_or_else(|| damaged("a difference")));
            if out.last().is_none_or(|n| (n.t, n.b) != (t, b)) {
                let (replica, at, lives_there) = (r.get(3)?, Millis(r.get(4)?), r.get(5)?);
                out.push(Noted { t, b, replica, at, registers: BTreeMap::new(), lives_there });
            }
            if let Some(noted) = out.last_mut() {
                noted.registers.insert(r.get(2)?, there.transpose()?);
            }
        }
        Ok(out)
    }

    /// The same, as what waits for a person.
    pub fn waiting_differences(&mut self) -> Result<Vec<Waiting>, Error> {
        let mut out = Vec::new();
        for n in self.differences()? {
            let (birth, there) = (self.dot(n.b), self.s.replicas[n.replica as usize]);
            let id = short_id(&[
                b"difference",
                self.s.t(n.t).name.as_bytes(),
                &birth.replica.0,
                &birth.seq.0.to_be_bytes(),
                &there.0,
            ]);
            out.push(Waiting {
                id,
                reason: ConflictKind::Difference,
                t: n.t,
                leader: self.class(n.t, n.b)?.leader,
                birth: n.b,
                // No write of its own: just whose file it is.
                loser: LocalDot::first(n.replica),
                winner: Some(LocalDot::first(self.s.own)),
                registers: if n.is_whole() {
                    Vec::new()
                } else {
                    n.registers.keys().map(|r| Register::from_number(*r)).collect()
                },
                waits_for: None,
                source: Source::Difference,
                at: n.at,
            });
        }
        Ok(out)
    }

    /// What is kept of one of them.
    pub fn difference(&self, t: u32, b: LocalDot) -> Result<Option<Noted>, Error> {
        Ok(self.differences()?.into_iter().find(|n| (n.t, n.b) == (t, b)))
    }

    /// What either side says of a row that differs, column by column: (register, here, there).
    pub fn sides_of_difference(&mut self, n: &Noted) -> Result<Vec<crate::waiting::Side>, Error> {
        let class = self.class(n.t, n.b)?;
        let mut is_there = false;
        for m in self.members(&class)? {
            is_there |= self.reread(m)? && self.lives(m);
        }
        let sources = if is_there { self.sources(&class)? } else { Default::default() };
        let mut cols: Vec<Col> = n.columns().map(|(col, _)| col).collect();
        if n.is_whole() && !n.lives_there {
            cols = self.columns_of(&sources);
        }
        let mut out = Vec::new();
        for col in cols {
            let here = self.class_cell(&sources, col)?.map(|x| x.2);
            let register = Register::Column(col);
            out.push((register, here, n.registers.get(&register.number()).cloned().flatten()));
        }
        Ok(out)
    }
}

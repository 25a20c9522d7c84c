//! One conflict with both its sides, for a person who wants to look at it.
//!
//! Always true here: nothing is changed, and what is not known is left out rather than guessed.
use crate::change::ConflictKind;
use crate::database::Database;
use crate::error::Error;
use crate::id::{Millis, ReplicaId, Stamp};
use crate::record::{Cell, Col, LocalDot, Register, decode_cell};
use crate::store::damaged;
use crate::transaction::Txn;
use crate::value::Value;
use crate::waiting::Waiting;
use rusqlite::OptionalExtension;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Column and value, in the order of the table. A reference is given as the local id of the row that it names; None:
/// that row is not shown here.
pub type Columns = Vec<(String, Option<Value>)>;

/// Both sides of a conflict, as far as they are kept: the columns that it is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sides {
    /// What stood before both.
    pub base: Columns,
    /// What stands, or stood when the conflict was settled.
    pub winner: Columns,
    /// What lost, or waits.
    pub loser: Columns,
    /// The whole row as it is shown here; empty: it is not.
    pub row: Columns,
}

impl Database {
    /// The sides of a conflict of [`Database::conflicts`], or of something held. None: there is none of that id.
    pub fn conflict(&mut self, id: &str) -> Result<Option<Sides>, Error> {
        self.read(Millis(0), |txn| {
            if let Some(w) = txn.waiting()?.into_iter().find(|w| w.id == id) {
                let mut sides = Sides::default();
                for (register, winner, loser) in txn.sides(&w)? {
                    let Register::Column(col) = register else { continue };
                    let name = txn.s.t(w.t).cols[usize::from(col.0)].clone();
                    let since = txn.since(&w, col)?;
                    let base = txn.before(w.t, w.birth, col, since)?;
                    for (side, cell) in
                        [(&mut sides.base, base), (&mut sides.winner, winner), (&mut sides.loser, loser)]
                    {
                        if let Some(value) = txn.told(w.t, col, cell)? {
                            side.push((name.clone(), value));
                        }
                    }
                }
                sides.row = txn.row_shown(w.t, w.leader)?;
                return Ok(Some(sides));
            }
            let mut found: Option<Sides> = None;
            for r in records(txn)?.into_iter().filter(|r| r.id == id) {
                if found.is_none() {
                    let row = txn.row_shown(r.table, r.birth)?;
                    found = Some(Sides { row, ..Sides::default() });
                }
                let sides = found.get_or_insert_default();
                let Register::Column(col) = r.register else { continue };
                let name = txn.s.t(r.table).cols[usize::from(col.0)].clone();
                let base = txn.before(r.table, r.birth, col, r.since())?;
                let (winner, loser) = (r.winner_cell()?, r.loser_cell()?);
                for (side, cell) in [(&mut sides.base, base), (&mut sides.winner, winner), (&mut sides.loser, loser)] {
                    if let Some(value) = txn.told(r.table, col, cell)? {
                        side.push((name.clone(), value));
                    }
                }
            }
            Ok(found)
        })
    }
}

/// One register of a conflict on record.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub id: String,
    pub table: u32,
    /// The births of the row in which it is on record, the first of all nodes first.
    pub births: Rc<[LocalDot]>,
    /// The one of them that has what follows.
    pub birth: LocalDot,
    pub register: Register,
    pub loser: LocalDot,
    pub loser_stamp: Stamp,
    pub winner: LocalDot,
    pub winner_stamp: Stamp,
    pub kind: ConflictKind,
    /// When it was recorded here.
    pub at: Millis,
    value: Option<Vec<u8>>,
    winner_value: Option<Vec<u8>>,
}

impl Record {
    /// The earlier of the two stamps.
    fn since(&self) -> Stamp {
        self.loser_stamp.min(self.winner_stamp)
    }

    /// What lost. None: it was not kept, or it is the row's existence.
    pub fn loser_cell(&self) -> Result<Option<Cell>, Error> {
        cell(self.value.as_deref())
    }

    /// What won.
    pub fn winner_cell(&self) -> Result<Option<Cell>, Error> {
        cell(self.winner_value.as_deref())
    }

    /// Of a conflict about the row's existence: does it live where the loser is kept?
    pub fn loser_lives(&self) -> bool {
        match self.kind {
            ConflictKind::UpdateDelete | ConflictKind::ParentDeleted | ConflictKind::DeleteGuard => false,
            // A row that was put aside, or a delete of one.
            ConflictKind::Review | ConflictKind::Clock => self.births.contains(&self.loser),
            ConflictKind::UpdateUpdate
            | ConflictKind::DeleteUpdate
            | ConflictKind::InsertInsert
            | ConflictKind::Unique
            | ConflictKind::MissingParent
            | ConflictKind::Constraint
            | ConflictKind::TableMissing
            | ConflictKind::ColumnMissing
            | ConflictKind::ConfigDiffers
            | ConflictKind::IdCollision
            | ConflictKind::Difference => true,
        }
    }
}

fn cell(bytes: Option<&[u8]>) -> Result<Option<Cell>, Error> {
    let decoded = bytes.map(|mut b| decode_cell(&mut b).ok_or_else(|| damaged("an archived value")));
    Ok(decoded.transpose()?.filter(|c| *c != Cell::Unread))
}

/// All conflicts on record, register by register; those of one conflict follow each other. A row of several births has
/// each loser once: that against the latest winner.
pub(crate) fn records(txn: &Txn<'_>) -> Result<Vec<Record>, Error> {
    let mut q = txn.c.prepare_cached(
        "SELECT c.t, c.b, c.col, c.loser, c.loser_stamp, c.winner, c.winner_stamp, c.kind, c.at, c.value, c.winner_value,
           coalesce(k.leader, c.b) AS row
         FROM _lockstep_conflict AS c LEFT JOIN _lockstep_class AS k ON k.t = c.t AND k.b = c.b
         ORDER BY c.t, row, c.loser, c.col, c.winner_stamp DESC, c.b",
    )?;
    let mut rows = q.query([])?;
    let mut out: Vec<Record> = Vec::new();
    // Where the conflict begins that is being read, of which row it is, and its births.
    let (mut first, mut row, mut births) = (0, None, BTreeSet::new());
    while let Some(r) = rows.next()? {
        let (table, birth, loser): (u32, _, _) = (r.get(0)?, LocalDot(r.get(1)?), LocalDot(r.get(3)?));
        let of: i64 = r.get(11)?;
        if row != Some((table, of, loser)) {
            name(txn, &mut out[first..], &births);
            (first, row, births) = (out.len(), Some((table, of, loser)), BTreeSet::new());
        }
        births.insert((txn.id_of(birth), birth));
        let register = Register::from_number(r.get(2)?);
        if out[first..].last().is_some_and(|before| before.register == register) {
            continue;
        }
        let kind: i64 = r.get(7)?;
        out.push(Record {
            id: String::new(),
            table,
            births: [].into(),
            birth,
            register,
            loser,
            loser_stamp: Stamp(r.get(4)?),
            winner: LocalDot(r.get(5)?),
            winner_stamp: Stamp(r.get(6)?),
            kind: ConflictKind::ALL
                .into_iter()
                .find(|k| *k as i64 == kind)
                .ok_or_else(|| damaged("a conflict of no kind"))?,
            at: Millis(r.get(8)?),
            value: r.get(9)?,
            winner_value: r.get(10)?,
        });
    }
    name(txn, &mut out[first..], &births);
    Ok(out)
}

/// Gives the records of one conflict its id and its births.
fn name(txn: &Txn<'_>, conflict: &mut [Record], births: &BTreeSet<((ReplicaId, u64), LocalDot)>) {
    let births: Rc<[LocalDot]> = births.iter().map(|(_, birth)| *birth).collect();
    for r in conflict {
        r.id = txn.conflict_name(r.table, births[0], r.loser);
        r.births = births.clone();
    }
}

impl Txn<'_> {
    /// The last value that was replaced before either side wrote.
    fn before(&self, t: u32, b: LocalDot, col: Col, since: Stamp) -> Result<Option<Cell>, Error> {
        let found: Option<Option<Vec<u8>>> = self
            .c
            .prepare_cached(
                "SELECT value FROM _lockstep_archive WHERE t = ?1 AND b = ?2 AND col = ?3 AND why = 0 AND stamp < ?4
                 ORDER BY stamp DESC LIMIT 1",
            )?
            .query_row((t, b.0, Register::Column(col).number(), since.0), |r| r.get(0))
            .optional()?;
        cell(found.flatten().as_deref())
    }

    /// The earliest stamp among the values that stand.
    fn since(&mut self, w: &Waiting, col: Col) -> Result<Stamp, Error> {
        let all = self.standing(w.t, w.leader, col)?;
        Ok(all.iter().map(|(_, w, _)| w.stamp).min().unwrap_or(Stamp(i64::MAX)))
    }

    /// A value for a person. None: there is none; Some(None): a reference to a row that is not shown here.
    pub(crate) fn told(&mut self, t: u32, col: Col, cell: Option<Cell>) -> Result<Option<Option<Value>>, Error> {
        Ok(match cell {
            Some(Cell::Value(v) | Cell::Raw(v)) => Some(Some(v)),
            Some(Cell::Row(birth)) => Some(self.local_value(t, col, birth)?),
            Some(Cell::Unread) | None => None,
        })
    }

    /// The row of a class as the application has it.
    pub(crate) fn row_shown(&mut self, t: u32, b: LocalDot) -> Result<Columns, Error> {
        let Some(table) = self.s.t(t).table.clone() else { return Ok(Vec::new()) };
        let class = self.class(t, b)?;
        let Some(&a) = self.anchors(&class)?.first() else { return Ok(Vec::new()) };
        let Some(row) = self.stored_row(a)? else { return Ok(Vec::new()) };
        Ok(table.columns.iter().map(|c| c.name.clone()).zip(row.iter().cloned().map(Some)).collect())
    }
}

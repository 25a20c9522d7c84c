//! One conflict with both its sides, for a person who wants to look at it.
//!
//! Always true here: nothing is changed, and what is not known is left out rather than guessed.
use crate::database::Database;
use crate::error::Error;
use crate::id::Millis;
use crate::listing::conflict_id;
use crate::record::{Cell, Col, LocalDot, Register, decode_cell};
use crate::store::damaged;
use crate::transaction::Txn;
use crate::value::Value;
use rusqlite::OptionalExtension;

/// Column and value, in the order of the table. A reference is given as the local id of the row that it names; None:
/// that row is not shown here.
pub type Columns = Vec<(String, Option<Value>)>;

/// Both sides of a conflict, as far as they are kept: the columns that it lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sides {
    /// What stood before both.
    pub base: Columns,
    /// What stands, or stood when the conflict was settled.
    pub winner: Columns,
    /// What lost.
    pub loser: Columns,
}

impl Database {
    /// The sides of a conflict of [`Database::conflicts`]. None: there is no conflict of that id.
    pub fn conflict(&mut self, id: &str) -> Result<Option<Sides>, Error> {
        self.read(Millis(0), |txn| {
            let mut found: Option<Sides> = None;
            for record in records(txn)? {
                let (birth, loser) = (txn.dot(record.birth), txn.dot(record.loser));
                if conflict_id(&txn.s.t(record.table).name, birth, loser) != id {
                    continue;
                }
                let sides = found.get_or_insert_default();
                let Register::Column(col) = record.register else { continue };
                let name = txn.s.t(record.table).cols[usize::from(col.0)].clone();
                let shown = |txn: &mut Txn<'_>, cell: Option<Vec<u8>>| shown(txn, record.table, col, cell);
                let base = before(txn, &record, col)?;
                if let Some(value) = shown(txn, base)? {
                    sides.base.push((name.clone(), value));
                }
                if let Some(value) = shown(txn, record.winner_value)? {
                    sides.winner.push((name.clone(), value));
                }
                if let Some(value) = shown(txn, record.value)? {
                    sides.loser.push((name, value));
                }
            }
            Ok(found)
        })
    }
}

struct Record {
    table: u32,
    birth: LocalDot,
    register: Register,
    loser: LocalDot,
    /// The earlier of the two stamps.
    since: i64,
    value: Option<Vec<u8>>,
    winner_value: Option<Vec<u8>>,
}

fn records(txn: &Txn<'_>) -> Result<Vec<Record>, Error> {
    let mut q = txn.c.prepare(
        "SELECT t, b, col, loser, min(loser_stamp, winner_stamp), value, winner_value FROM _lockstep_conflict
         ORDER BY t, b, loser, col",
    )?;
    let rows = q.query_map([], |r| {
        Ok(Record {
            table: r.get(0)?,
            birth: LocalDot(r.get(1)?),
            register: Register::from_number(r.get(2)?),
            loser: LocalDot(r.get(3)?),
            since: r.get(4)?,
            value: r.get(5)?,
            winner_value: r.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The last value that was replaced before either side wrote.
fn before(txn: &Txn<'_>, record: &Record, col: Col) -> Result<Option<Vec<u8>>, Error> {
    let found: Option<Option<Vec<u8>>> = txn
        .c
        .query_row(
            "SELECT value FROM _lockstep_archive WHERE t = ?1 AND b = ?2 AND col = ?3 AND why = 0 AND stamp < ?4
             ORDER BY stamp DESC LIMIT 1",
            (record.table, record.birth.0, Register::Column(col).number(), record.since),
            |r| r.get(0),
        )
        .optional()?;
    Ok(found.flatten())
}

/// None: nothing was kept.
fn shown(txn: &mut Txn<'_>, t: u32, col: Col, cell: Option<Vec<u8>>) -> Result<Option<Option<Value>>, Error> {
    let Some(bytes) = cell else { return Ok(None) };
    Ok(match decode_cell(&mut bytes.as_slice()).ok_or_else(|| damaged("an archived value"))? {
        Cell::Value(v) | Cell::Raw(v) => Some(Some(v)),
        Cell::Row(birth) => {
            let Some(&(parent, _)) = txn.s.t(t).refs.get(&col) else { return Ok(Some(None)) };
            let key = txn.shown_key(parent, birth)?;
            Some(key.and_then(|k| k.parse().ok()).map(Value::Integer))
        }
        Cell::Unread => None,
    })
}

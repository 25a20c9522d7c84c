//! Reading the log: rows of one event put together, in the order in which they were written.
//!
//! Always true here: an event is given whole or not at all; names that the table no longer has are left out.
use super::layout::{BITS, Kind, Layout, PER_PART, columns_of_log, log_name};
use super::{Error, sql_of};
use crate::catalog::{Key, Table, quote};
use crate::id::Millis;
use crate::value::Value;
use rusqlite::{Connection, Row};

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// It is new.
    Insert,
    /// It changed.
    Update,
    /// It went.
    Delete,
    /// A write was about to take one of its unique keys. If it is gone, that write evicted it; else nothing happened.
    Suspect,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Its number in the log (the last one, if it took several rows there). Numbers grow and are never used again.
    pub i: i64,
    /// What happened.
    pub op: Op,
    /// The wall time of the application's computer.
    pub at: Millis,
    /// The key before the event; of an insert the new one. Holds NULL where the row's key does. Empty for tables without a key.
    pub key: Vec<Value>,
    /// Update: the key after it, if that is another.
    pub new_key: Option<Vec<Value>>,
    /// Place and old value. Update: of the columns that changed (None: the value was not kept). Delete, suspect, and
    /// updates of rows without a key or with NULL in it: of every column. In the order of places.
    pub old: Vec<(usize, Option<Value>)>,
    /// Insert and update of rows without a key or with NULL in it: the whole new row, by place.
    pub new: Option<Vec<Value>>,
}

/// The number of the log's newest row. None: there never was one.
///
/// # Errors
/// SQLite's.
pub fn newest(conn: &Connection, n: u32) -> Result<Option<i64>, Error> {
    let sql = format!("SELECT max(i) FROM main.{}", quote(&log_name(n)));
    Ok(conn.prepare_cached(&sql)?.query_row([], |r| r.get(0))?)
}

/// Deletes the log's rows up to number `upto`, but never its newest row. Gives how many went.
///
/// # Errors
/// SQLite's.
pub fn trim(conn: &Connection, n: u32, upto: i64) -> Result<usize, Error> {
    let log = quote(&log_name(n));
    let sql = format!("DELETE FROM main.{log} WHERE i <= ?1 AND i < (SELECT max(i) FROM main.{log})");
    Ok(conn.prepare_cached(&sql)?.execute([upto])?)
}

/// Reads up to `limit` events that come after number `after`.
///
/// # Errors
/// [`Error::KeyMoved`] and [`Error::Strange`] if the log can't be understood; else SQLite's.
pub fn read(conn: &Connection, n: u32, table: &Table, after: i64, limit: usize) -> Result<Vec<LogRow>, Error> {
    let reader = Reader::new(conn, n, table)?;
    let sql = format!("SELECT * FROM main.{} WHERE i > ?1 ORDER BY i", quote(&log_name(n)));
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query([after])?;
    let mut events: Vec<LogRow> = Vec::new();
    while let Some(row) = rows.next()? {
        let strange = |i| Error::Strange { table: table.name.clone(), i };
        let (i, op): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (kind, part) = Kind::of(op).filter(|(_, p)| *p < reader.parts.len()).ok_or_else(|| strange(i))?;
        match (kind, part) {
            (Kind::Nothing, _) => {}
            (Kind::Insert | Kind::Delete | Kind::Suspect | Kind::InsertWhole, 0)
            | (Kind::Update | Kind::UpdateNames | Kind::UpdateOld, 0) => {
                if events.len() == limit {
                    break;
                }
                let event = reader.begin(row, kind)?;
                events.push(event);
            }
            (kind, part) => {
                let event = events.last_mut().ok_or_else(|| strange(i))?;
                reader.go_on(row, kind, part, event)?;
            }
        }
    }
    events.iter_mut().for_each(|e| e.old.sort_by_key(|(place, _)| *place));
    Ok(events)
}

struct Reader<'t> {
    table: &'t Table,
    /// Places of the key columns, in the order of the log.
    key: Vec<usize>,
    /// For each part, for each value column, its place in the table as it is now.
    parts: Vec<Vec<Option<usize>>>,
    /// Where masks and values begin in a log row.
    masks: usize,
    values: usize,
}

impl<'t> Reader<'t> {
    fn new(conn: &Connection, n: u32, table: &'t Table) -> Result<Self, Error> {
        let moved = || Error::KeyMoved { table: table.name.clone() };
        let sql = sql_of(conn, "table", &log_name(n))?.ok_or_else(moved)?;
        let (key, parts) = columns_of_log(&sql).ok_or_else(moved)?;
        let now = match &table.key {
            Key::Id { column, .. } => vec![*column],
            Key::Columns(places) => places.clone(),
            Key::Content => Vec::new(),
        };
        let key: Vec<usize> = key.iter().map(|name| table.column(name)).collect::<Option<_>>().ok_or_else(moved)?;
        if key != now {
            return Err(moved());
        }
        let masks = 3 + key.len();
        let values = masks + Layout::masks(parts[0].len());
        let parts = parts.iter().map(|part| part.iter().map(|name| table.column(name)).collect()).collect();
        Ok(Reader { table, key, parts, masks, values })
    }

    fn begin(&self, row: &Row<'_>, kind: Kind) -> Result<LogRow, Error> {
        let whole = || Some(vec![Value::Null; self.table.columns.len()]);
        let (op, new) = match kind {
            Kind::Insert => (Op::Insert, None),
            Kind::InsertWhole => (Op::Insert, whole()),
            Kind::Update | Kind::UpdateNames => (Op::Update, None),
            Kind::UpdateOld | Kind::UpdateNew => (Op::Update, whole()),
            Kind::Suspect => (Op::Suspect, None),
            Kind::Delete | Kind::Nothing => (Op::Delete, None),
        };
        let at: Option<f64> = row.get(2)?;
        let mut event = LogRow {
            i: row.get(0)?,
            op,
            at: millis(at.unwrap_or_default()),
            key: self.key(row)?,
            new_key: None,
            old: Vec::new(),
            new,
        };
        self.go_on(row, kind, 0, &mut event)?;
        Ok(event)
    }

    fn go_on(&self, row: &Row<'_>, kind: Kind, part: usize, event: &mut LogRow) -> Result<(), Error> {
        event.i = row.get(0)?;
        match kind {
            Kind::Nothing | Kind::Insert => {}
            Kind::Update | Kind::UpdateNames => self.changes(row, kind, part, event)?,
            Kind::Delete | Kind::Suspect | Kind::UpdateOld => {
                for (place, value) in self.whole(row, part)? {
                    event.old.push((place, Some(value)));
                }
            }
            Kind::InsertWhole | Kind::UpdateNew => {
                if kind == Kind::UpdateNew && part == 0 {
                    event.new_key = Some(self.key(row)?).filter(|k| *k != event.key);
                }
                let values = self.whole(row, part)?;
                let new = event.new.get_or_insert_with(Vec::new);
                for (place, value) in values {
                    new[place] = value;
                }
            }
        }
        Ok(())
    }

    /// Every column of a part, those of the key from where the key is.
    fn whole(&self, row: &Row<'_>, part: usize) -> Result<Vec<(usize, Value)>, Error> {
        let places = self.parts[part].iter().enumerate().filter_map(|(v, place)| Some((v, (*place)?)));
        places
            .map(|(v, place)| {
                let at = self.key.iter().position(|k| *k == place).map_or(self.values + v, |k| 3 + k);
                Ok((place, Value::from(row.get_ref(at)?)))
            })
            .collect()
    }

    fn changes(&self, row: &Row<'_>, kind: Kind, part: usize, event: &mut LogRow) -> Result<(), Error> {
        for (v, place) in self.parts[part].iter().enumerate() {
            let mask: Option<i64> = row.get(self.masks + v / BITS)?;
            let marked = mask.unwrap_or_default() & (1 << (v % BITS)) != 0;
            let value = Value::from(row.get_ref(self.values + v)?);
            let Some(place) = place.filter(|_| marked || !value.is_null()) else { continue };
            match self.key.iter().position(|k| *k == place) {
                Some(k) => {
                    event.old.push((place, Some(event.key[k].clone())));
                    event.new_key.get_or_insert_with(|| event.key.clone())[k] = value;
                }
                None => event.old.push((place, (kind == Kind::Update).then_some(value))),
            }
        }
        Ok(())
    }

    fn key(&self, row: &Row<'_>) -> Result<Vec<Value>, Error> {
        (0..self.key.len()).map(|k| Ok(Value::from(row.get_ref(3 + k)?))).collect()
    }
}

/// A Julian day as milliseconds since 1970.
fn millis(julian: f64) -> Millis {
    Millis(((julian - 2_440_587.5) * 86_400_000.0).round() as i64)
}

const _: () = assert!(PER_PART as usize >= Kind::ALL.len());

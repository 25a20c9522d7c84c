//! Finding a row of a table by its key or by what people know it by.
//!
//! Always true here: nothing is changed; what is looked for is compared here and leaves no trace. Rows that are shown
//! come first, in the order of their keys; then those that were deleted and are still known.
use crate::catalog::{Table, quote};
use crate::database::Database;
use crate::error::Error;
use crate::id::Millis;
use crate::key::LocalKey;
use crate::listing::json_key;
use crate::record::{LocalDot, Record};
use crate::store::damaged;
use crate::transaction::Txn;
use crate::value::Value;
use rusqlite::{params, params_from_iter};

/// A row, and what it is recognised by.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRow {
    /// Its key here as JSON text, or the last it had. None: it never had one.
    pub key: Option<String>,
    /// Is it shown here?
    pub lives: bool,
    /// The columns of its identity key. None: a reference to a row that is not shown here.
    pub identity: Vec<(String, Option<Value>)>,
}

/// A part of what was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// How many there are in all.
    pub total: u64,
    /// These of them.
    pub rows: Vec<FoundRow>,
}

impl Database {
    /// Rows of a table whose key or identity has this text in it, in any case; an empty text finds all. None: there is
    /// no such table here.
    pub fn find_rows(
        &mut self,
        table: &str,
        text: &str,
        (offset, limit): (usize, usize),
        now: Millis,
    ) -> Result<Option<Found>, Error> {
        self.harvest(now)?;
        self.read(now, |txn| {
            let Some(t) = txn.s.find_table(None, table) else { return Ok(None) };
            let Some(table) = txn.s.t(t).table.clone() else { return Ok(None) };
            let mut found = shown(txn, &table, text, offset, limit)?;
            let gone = txn.gone(t, &table, text)?;
            let passed = offset.saturating_sub(usize::try_from(found.total).unwrap_or(usize::MAX));
            found.total += gone.len() as u64;
            let room = limit - found.rows.len();
            found.rows.extend(gone.into_iter().skip(passed).take(room));
            Ok(Some(found))
        })
    }
}

/// The places of the columns that say which row it is.
fn telling(table: &Table) -> Vec<usize> {
    let mut places = table.key_places().to_vec();
    places.extend(table.identity.iter().flatten().filter(|p| !table.key_places().contains(p)));
    if places.is_empty() {
        places.extend(0..table.columns.len());
    }
    places
}

fn recognised(table: &Table, values: impl Fn(usize) -> Option<Value>) -> Vec<(String, Option<Value>)> {
    let places = table.identity.first().into_iter().flatten();
    places.map(|&p| (table.columns[p].name.clone(), values(p))).collect()
}

fn shown(txn: &Txn<'_>, table: &Table, text: &str, offset: usize, limit: usize) -> Result<Found, Error> {
    let columns = |places: &[usize], term: &dyn Fn(&str) -> String, between: &str| {
        places.iter().map(|&p| term(&quote(&table.columns[p].name))).collect::<Vec<_>>().join(between)
    };
    let telling = telling(table);
    let fits = columns(&telling, &|c| format!("instr(lower(CAST({c} AS TEXT)), lower(?1)) > 0"), " OR ");
    let place = format!("FROM main.{} WHERE ?1 = '' OR {fits}", quote(&table.name));
    let total = txn.c.prepare_cached(&format!("SELECT count(*) {place}"))?.query_row([text], |r| r.get(0))?;
    let all: Vec<usize> = (0..table.columns.len()).collect();
    let (list, order) = (columns(&all, &str::to_owned, ", "), columns(&telling, &str::to_owned, ", "));
    let mut query = txn.c.prepare_cached(&format!("SELECT {list} {place} ORDER BY {order} LIMIT ?2 OFFSET ?3"))?;
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let rows = query.query_map(params![text, number(limit), number(offset)], |r| {
        all.iter().map(|&p| Ok(Value::from(r.get_ref(p)?))).collect::<rusqlite::Result<Vec<Value>>>()
    })?;
    let mut found = Found { total, rows: Vec::new() };
    for row in rows {
        let row = row?;
        let key = LocalKey::of_row(table, &row);
        found.rows.push(FoundRow {
            key: (!key.is_content()).then(|| json_key(&key)),
            lives: true,
            identity: recognised(table, |p| Some(row[p].clone())),
        });
    }
    Ok(found)
}

impl Txn<'_> {
    /// Rows that are not shown any more, the latest entered first.
    fn gone(&mut self, t: u32, table: &Table, text: &str) -> Result<Vec<FoundRow>, Error> {
        let stored: Vec<(i64, Vec<u8>)> = self
            .c
            .prepare_cached(&format!("SELECT b, rec FROM _lockstep_row_{t} WHERE k IS NULL ORDER BY b DESC"))?
            .query_map(params_from_iter::<[i64; 0]>([]), |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let wanted = text.to_lowercase();
        let mut found = Vec::new();
        for (b, rec) in stored {
            let b = LocalDot(b);
            let i = match self.find_loaded(t, b) {
                Some(i) => i,
                None => {
                    let rec = Record::decode(&rec).ok_or_else(|| damaged("a record"))?;
                    self.enter(t, b, rec, None)?
                }
            };
            let class = self.class(t, b)?;
            if class.leader != b || self.class_lives(&class)? || !self.anchors(&class)?.is_empty() {
                continue;
            }
            let sources = self.sources(&class)?;
            let mut values: Vec<(usize, Option<Value>)> = Vec::new();
            for place in telling(table) {
                let Some(col) = self.s.t(t).col_at[place] else { continue };
                let cell = self.class_cell(&sources, col)?.map(|x| x.2);
                values.push((place, self.told(t, col, cell)?.flatten()));
            }
            let key = match table.surrogate() {
                Some(_) => self.births[i].rec.was.map(LocalKey::Id),
                None => self.last_key(i, table)?,
            };
            let key = key.filter(|k| !k.is_content()).map(|k| json_key(&k));
            let has = |text: &str| text.to_lowercase().contains(&wanted);
            let fits = key.as_deref().is_some_and(has)
                || values.iter().any(|(_, v)| v.as_ref().is_some_and(|v| has(&plain(v))));
            if wanted.is_empty() || fits {
                let value = |p: usize| values.iter().find(|(place, _)| *place == p).and_then(|(_, v)| v.clone());
                found.push(FoundRow { key, lives: false, identity: recognised(table, value) });
            }
        }
        Ok(found)
    }
}

/// As SQLite would cast it to text, near enough to look for it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(i) => i.to_string(),
        Value::Real(f) => f.to_string(),
        Value::Text(bytes) | Value::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

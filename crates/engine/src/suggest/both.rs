//! What the rows of both sides say about a suggestion, before two filled databases meet.
//!
//! Always true here: only rows are counted; no value leaves. Their rows are those of the deltas that are there to be
//! looked at, ours those of the files; at most [`SAMPLE`] of a table are looked at. Rows are told apart as the merge would
//! tell them apart if a person confirmed the suggestion: by the values of the columns, and where one is a reference by
//! the identity key of the row that it names, which may have another id on each side.
use super::{SAMPLE, Subject, Suggestion, identity, references};
use crate::catalog::{Table, quote};
use crate::change::{Batch, Cell, Existence, Item};
use crate::id::Dot;
use crate::value::Value;
use std::collections::{BTreeMap, HashMap};

/// What the other side's rows say about a suggestion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum There {
    /// About [`Suggestion::Identity`].
    Identity {
        /// Rows here and there that would be one.
        matching: u64,
        /// Rows here that no row there is like.
        only_here: u64,
        /// Rows there that no row here is like.
        only_there: u64,
        /// Rows there that are like another row there: with any, the columns don't tell rows apart.
        doubled: u64,
    },
    /// About [`Suggestion::Reference`].
    Reference {
        /// Rows there whose value is an id there.
        matching: u64,
        /// Rows there whose value is none.
        missing: u64,
    },
}

/// How deep a key is followed through the keys of the rows that it names.
const DEPTH: u8 = 8;

/// Logical name of a database, and a table in it.
type Name<'a> = (&'a str, &'a str);

/// One side's rows of one table: cells by their place in the table here.
#[derive(Default)]
struct Rows {
    cells: Vec<HashMap<usize, Cell>>,
    /// By what a reference on its way says.
    births: HashMap<Dot, usize>,
    /// By key, as [`encode`] writes it.
    keys: HashMap<Vec<u8>, usize>,
}

/// The rows of one side, and how they are told apart.
struct Side<'a> {
    rows: HashMap<Name<'a>, Rows>,
    known: &'a Known<'a>,
}

/// The tables here, each with the columns that tell its rows apart, if any are declared or suggested.
struct Known<'a>(HashMap<Name<'a>, (&'a Table, Option<Vec<usize>>)>);

/// Those suggestions for a database that the rows there can be held against, with what these say.
pub(super) fn of(
    subject: Subject<'_>,
    others: &[Subject<'_>],
    theirs: &BTreeMap<String, Vec<Batch>>,
) -> rusqlite::Result<Vec<(Suggestion, There)>> {
    let all: Vec<Subject<'_>> = std::iter::once(subject).chain(others.iter().copied()).collect();
    let mut known = HashMap::new();
    for s in &all {
        for table in &s.catalog.tables {
            known.insert((s.name, table.name.as_str()), (table, telling(*s, table)?));
        }
    }
    let known = Known(known);
    let there = Side::theirs(&known, theirs);
    let mut here = Side { rows: HashMap::new(), known: &known };
    for s in &all {
        for table in &s.catalog.tables {
            here.rows.insert((s.name, table.name.as_str()), ours(*s, table)?);
        }
    }
    let mut out = Vec::new();
    for table in &subject.catalog.tables {
        let name = (subject.name, table.name.as_str());
        if super::names::local(&table.name).is_some() || !there.rows.contains_key(&name) {
            continue;
        }
        let mut found = identity::of(subject, table)?;
        found.extend(references::of(subject, others, table)?);
        for suggestion in found {
            let says = match &suggestion {
                Suggestion::Identity { declared: false, .. } => Some(compared(&here, &there, name)),
                Suggestion::Reference { column, database, target, .. } => {
                    there.named(name, table.column(column), (database, target))
                }
                _ => None,
            };
            out.extend(says.map(|says| (suggestion, says)));
        }
    }
    Ok(out)
}

fn telling(subject: Subject<'_>, table: &Table) -> rusqlite::Result<Option<Vec<usize>>> {
    let found = identity::of(subject, table)?.into_iter().find_map(|s| match s {
        Suggestion::Identity { columns, .. } => columns.iter().map(|c| table.column(c)).collect(),
        _ => None,
    });
    Ok(found)
}

/// The rows of a table in its file.
fn ours(subject: Subject<'_>, table: &Table) -> rusqlite::Result<Rows> {
    let columns: Vec<_> = table.columns.iter().map(|c| quote(&c.name)).collect();
    let sql = format!("SELECT {} FROM main.{} LIMIT {SAMPLE}", columns.join(", "), quote(&table.name));
    let mut rows = Rows::default();
    let mut statement = subject.conn.prepare(&sql)?;
    let mut found = statement.query([])?;
    while let Some(r) = found.next()? {
        let mut cells = HashMap::new();
        for place in 0..table.columns.len() {
            cells.insert(place, Cell::Value(Value::from(r.get_ref(place)?)));
        }
        rows.add(table, cells);
    }
    Ok(rows)
}

impl Rows {
    fn add(&mut self, table: &Table, cells: HashMap<usize, Cell>) -> usize {
        let at = self.cells.len();
        if let Some(Cell::Value(value)) = references::key(table).and_then(|key| cells.get(&key)) {
            self.keys.insert(encode(value, false), at);
        }
        self.cells.push(cells);
        at
    }
}

impl<'a> Side<'a> {
    /// The living rows that deltas make where nothing of them is known.
    fn theirs(known: &'a Known<'a>, deltas: &'a BTreeMap<String, Vec<Batch>>) -> Side<'a> {
        let mut side = Side { rows: HashMap::new(), known };
        for (database, batches) in deltas {
            let mut births: HashMap<(&str, Dot), Option<HashMap<usize, Cell>>> = HashMap::new();
            for batch in batches {
                for head in &batch.tables {
                    if let Some((&name, _)) = known.0.get_key_value(&(database.as_str(), head.name.as_str())) {
                        side.rows.entry(name).or_default();
                    }
                }
                for item in &batch.items {
                    let Item::Change(change) = item else { continue };
                    let Some(head) = batch.tables.get(change.table) else { continue };
                    let Some((table, _)) = known.0.get(&(database.as_str(), head.name.as_str())) else { continue };
                    let row = births.entry((table.name.as_str(), change.birth)).or_insert_with(|| Some(HashMap::new()));
                    if matches!(change.existence, Some(Existence::Deleted { .. })) {
                        *row = None;
                    }
                    let Some(row) = row else { continue };
                    let id = change.origin.as_ref().and_then(|origin| origin.id);
                    if let Some((place, id)) = table.surrogate().zip(id) {
                        row.insert(place, Cell::Value(Value::Integer(id)));
                    }
                    for (place, cell) in &change.columns {
                        let here = head.columns.get(*place).and_then(|name| table.column(name));
                        row.extend(here.map(|here| (here, cell.clone())));
                    }
                }
            }
            for ((name, birth), cells) in births {
                let Some((&name, (table, _))) = known.0.get_key_value(&(database.as_str(), name)) else { continue };
                let rows = side.rows.entry(name).or_default();
                if let Some(cells) = cells.filter(|_| rows.cells.len() < SAMPLE) {
                    let at = rows.add(table, cells);
                    rows.births.insert(birth, at);
                }
            }
        }
        side
    }

    /// What tells a row apart; None where that is not known, or NULL.
    fn key(&self, name: Name<'_>, row: usize, depth: u8) -> Option<Vec<u8>> {
        let (table, places) = self.known.0.get(&name)?;
        let mut key = Vec::new();
        for &place in places.as_ref().filter(|_| depth < DEPTH)? {
            let cell = self.rows.get(&name)?.cells.get(row)?.get(&place)?;
            let part = match (table.reference(place), cell) {
                (Some(r), cell) => {
                    let target = (r.database.as_deref().unwrap_or(name.0), r.table.as_str());
                    let rows = self.rows.get(&target)?;
                    let parent = match cell {
                        Cell::Row(birth) => rows.births.get(birth)?,
                        Cell::Value(value) | Cell::Raw(value) => rows.keys.get(&encode(value, false))?,
                    };
                    self.key(target, *parent, depth + 1)?
                }
                (None, Cell::Value(value)) if !value.is_null() => {
                    encode(value, table.columns[place].collation.eq_ignore_ascii_case("NOCASE"))
                }
                (None, Cell::Value(_) | Cell::Raw(_) | Cell::Row(_)) => return None,
            };
            key.extend((part.len() as u64).to_le_bytes());
            key.extend(part);
        }
        Some(key)
    }

    /// How many rows have each key, and how many have none.
    fn counted(&self, name: Name<'_>) -> (HashMap<Vec<u8>, u64>, u64) {
        let (mut keys, mut without) = (HashMap::new(), 0);
        for row in 0..self.rows.get(&name).map_or(0, |rows| rows.cells.len()) {
            match self.key(name, row, 0) {
                Some(key) => *keys.entry(key).or_insert(0) += 1,
                None => without += 1,
            }
        }
        (keys, without)
    }

    /// Of the rows of a table, those whose value in a column is a key of the target, and those whose value is none.
    fn named(&self, name: Name<'_>, column: Option<usize>, target: Name<'_>) -> Option<There> {
        let (rows, target) = (self.rows.get(&name)?, self.rows.get(&target)?);
        let (mut matching, mut missing) = (0, 0);
        for cells in &rows.cells {
            let Some(Cell::Value(value) | Cell::Raw(value)) = column.and_then(|c| cells.get(&c)) else { continue };
            if value.is_null() {
                continue;
            }
            let found = target.keys.contains_key(&encode(value, false));
            *if found { &mut matching } else { &mut missing } += 1;
        }
        Some(There::Reference { matching, missing })
    }
}

fn compared(here: &Side<'_>, there: &Side<'_>, name: Name<'_>) -> There {
    let ((ours, ours_without), (theirs, theirs_without)) = (here.counted(name), there.counted(name));
    let matching = theirs.keys().filter(|key| ours.contains_key(*key)).count() as u64;
    let all = |keys: &HashMap<Vec<u8>, u64>, without: u64| keys.values().sum::<u64>() + without;
    let doubled = theirs.values().filter(|n| **n > 1).sum();
    There::Identity {
        matching,
        only_here: all(&ours, ours_without) - matching,
        only_there: theirs.iter().filter(|(key, _)| !ours.contains_key(*key)).map(|(_, n)| n).sum::<u64>()
            + theirs_without,
        doubled,
    }
}

/// A value as bytes, so that values which SQL finds equal are: numbers by their value, text without case if so declared.
fn encode(value: &Value, nocase: bool) -> Vec<u8> {
    let tagged = |tag: u8, bytes: &[u8]| std::iter::once(tag).chain(bytes.iter().copied()).collect();
    match value {
        Value::Null => vec![0],
        Value::Integer(i) => tagged(1, &i.to_le_bytes()),
        Value::Real(f) if f.fract() == 0.0 && f.abs() < 9e15 => tagged(1, &(*f as i64).to_le_bytes()),
        Value::Real(f) => tagged(2, &f.to_bits().to_le_bytes()),
        Value::Text(t) if nocase => tagged(3, &t.to_ascii_lowercase()),
        Value::Text(t) => tagged(3, t),
        Value::Blob(b) => tagged(4, b),
    }
}

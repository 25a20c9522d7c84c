//! How a log is laid out: its name, its columns, and how the columns of a wide table are cut into parts.
//!
//! A log row is `i, op, at, k…, m…, v…`: its number, what happened (and to which part of the row), the wall time as a
//! Julian day, the key, bits that say which columns changed, and a value for each column of the part. All but `i` are
//! untyped, so values keep their storage class. A table of more columns than [`PART`] writes several rows for one
//! event, next to each other. The columns that the log was made for are named in its own CREATE TABLE, as constraint
//! names, which mean nothing to SQLite: `v0 CONSTRAINT "id"`.
use crate::catalog::{Key, Table, quote, sql::tokens};

/// Columns per part. Together with key and masks this stays far below SQLite's limit of 2,000 columns.
pub(super) const PART: usize = 400;

/// Bits per mask, so that a mask is never negative.
pub(super) const BITS: usize = 62;

/// `op` of a log row is its kind plus this times the part.
pub(super) const PER_PART: i64 = 16;

/// What one row of the log holds. The numbers lie in files: never change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: keeps the number of a log that was made anew.
    Nothing,
    /// `k`: the key of a new row.
    Insert,
    /// `k`: the old key; `v`: old values of what changed, but the new ones for columns of the key; NULL: not changed, but
    /// for the columns whose bit is set in `m`: these were NULL.
    Update,
    /// `k` and `v`: the row that went.
    Delete,
    /// `k` and `v`: a row that may be evicted.
    Suspect,
    /// `k` and `v`: a new row.
    InsertWhole,
    /// `k` and `v`: a row before its update; a row of kind [`Kind::UpdateNew`] follows.
    UpdateOld,
    /// `k` and `v`: that row after its update.
    UpdateNew,
    /// `k`: the old key; `m`: what changed; `v`: new values of columns of the key that changed, nothing else.
    UpdateNames,
}

impl Kind {
    pub(super) const ALL: [Kind; 9] = [
        Kind::Nothing,
        Kind::Insert,
        Kind::Update,
        Kind::Delete,
        Kind::Suspect,
        Kind::InsertWhole,
        Kind::UpdateOld,
        Kind::UpdateNew,
        Kind::UpdateNames,
    ];

    /// The value of `op` for a part.
    pub(super) fn op(self, part: usize) -> i64 {
        let kind = Kind::ALL.iter().position(|k| *k == self).expect("every kind is listed");
        kind as i64 + PER_PART * part as i64
    }

    /// Kind and part of a value of `op`.
    pub(super) fn of(op: i64) -> Option<(Kind, usize)> {
        let part = usize::try_from(op / PER_PART).ok()?;
        Some((*Kind::ALL.get(usize::try_from(op % PER_PART).ok()?)?, part))
    }
}

/// The log of one table as it should be.
pub(super) struct Layout<'t> {
    pub(super) n: u32,
    pub(super) table: &'t Table,
    pub(super) log: String,
    /// Places of the key columns.
    pub(super) key: Vec<usize>,
    /// For each part the places of its columns.
    pub(super) parts: Vec<Vec<usize>>,
}

impl<'t> Layout<'t> {
    pub(super) fn new(n: u32, table: &'t Table) -> Self {
        let key = match &table.key {
            Key::Id { column, .. } => vec![*column],
            Key::Columns(places) => places.clone(),
            Key::Content => Vec::new(),
        };
        let all: Vec<usize> = (0..table.columns.len()).collect();
        Layout { n, table, log: log_name(n), key, parts: all.chunks(PART).map(<[usize]>::to_vec).collect() }
    }

    /// Masks that a part of this many columns needs.
    pub(super) fn masks(columns: usize) -> usize {
        columns.div_ceil(BITS)
    }

    /// CREATE TABLE, exactly as SQLite stores it.
    pub(super) fn log_table(&self) -> String {
        let name = |place: &usize| format!(" CONSTRAINT {}", quote(&self.table.columns[*place].name));
        let mut columns = vec!["i INTEGER PRIMARY KEY".to_owned(), "op".to_owned(), "at".to_owned()];
        columns.extend(self.key.iter().enumerate().map(|(k, place)| format!("k{k}{}", name(place))));
        columns.extend((0..Self::masks(self.parts[0].len())).map(|m| format!("m{m}")));
        columns.extend((0..self.parts[0].len()).map(|v| {
            let names: String = self.parts.iter().filter_map(|part| part.get(v)).map(name).collect();
            format!("v{v}{names}")
        }));
        format!("CREATE TABLE {}({})", quote(&self.log), columns.join(", "))
    }
}

pub(super) fn log_name(n: u32) -> String {
    format!("_lockstep_log_{n}")
}

pub(super) fn trigger_prefix(n: u32) -> String {
    format!("_lockstep_{n}_")
}

/// The columns that a log was made for, from its CREATE TABLE: names of the key, and for each part the names of its
/// columns. None: this is no log of ours.
pub(super) fn columns_of_log(sql: &str) -> Option<(Vec<String>, Vec<Vec<String>>)> {
    let all = tokens(sql);
    let (mut key, mut parts): (Vec<String>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
    let mut column = None;
    let mut part = 0;
    let mut rest = all.iter().skip(3);
    while let Some(token) = rest.next() {
        if token.is("CONSTRAINT") {
            let name = rest.next()?.name()?;
            if column == Some('k') {
                key.push(name);
            } else {
                if parts.len() == part {
                    parts.push(Vec::new());
                }
                parts[part].push(name);
                part += 1;
            }
        } else if let Some(first) = token.name().and_then(|n| n.chars().next()) {
            column = Some(first);
            part = 0;
        }
    }
    (!parts.is_empty()).then_some((key, parts))
}

//! Every version of one row, and bringing one back.
//!
//! Always true here: values are read for the person who asked for this row, and are written nowhere else. Which columns
//! look secret is for the face to mask.
use crate::conflicts::readable_named;
use crate::node::{Node, timestamp};
use crate::rows::{key, named};
use crate::{Error, Result};
use jiff::Timestamp;
use lockstep_engine::database::Operation;
use lockstep_engine::history::VersionState;
use serde::Serialize;

/// A row that has this key here, or had it when it was last shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowHistory {
    /// Names the row itself, whatever key it has.
    pub row: String,
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// Its key here now; null: it has no row.
    pub key: serde_json::Value,
    /// Does it live?
    pub lives: bool,
    /// The newest first.
    pub versions: Vec<Version>,
}

/// One write to a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Version {
    /// Its id, the same on every node that knows it.
    pub id: String,
    /// Of [`RowHistory::row`].
    pub row: String,
    /// When it was written.
    pub at: Timestamp,
    /// The node that wrote it.
    pub by: String,
    /// `insert`, `update`, `delete`.
    pub operation: &'static str,
    /// The best that became of its columns: `visible`, `held`, `lost`, `deleted`, `superseded`.
    pub state: &'static str,
    /// Does it hold values that the row does not show?
    pub restorable: bool,
    /// What it wrote, as far as that is kept.
    pub columns: Vec<VersionColumn>,
}

/// One column of a version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionColumn {
    /// Name.
    pub name: String,
    /// As JSON shows it; what it can't is described.
    pub value: serde_json::Value,
    /// `visible`, `held`, `lost`, `deleted`, `superseded`.
    pub state: &'static str,
    /// The node whose write ended it.
    pub ended_by: Option<String>,
    /// When this node learned of that.
    pub ended_at: Option<Timestamp>,
}

/// What was brought back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Restored {
    /// The version.
    pub id: String,
    /// Columns and rows that were written; 0: the row shows that version.
    pub written: u64,
    /// Rows that refer to it and came back with it.
    pub children: u64,
    /// The row's key here; null: it waits, and `quarantine` says why.
    pub key: serde_json::Value,
}

/// Two rows that are one now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Joined {
    /// The key under which the row goes on here.
    pub kept: serde_json::Value,
    /// The key of the row that went; null: they were one already.
    pub archived: serde_json::Value,
}

/// A row that was taken apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parted {
    /// The keys of its parts that are shown here.
    pub rows: Vec<serde_json::Value>,
    /// How many of them wait; `quarantine` says why.
    pub waiting: u64,
}

/// A row, and what people recognise it by.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRow {
    /// Its key here, or the last it had; null: it has none.
    pub key: serde_json::Value,
    /// Is it shown here?
    pub lives: bool,
    /// Columns of its identity key, with their values as JSON shows them.
    pub identity: Vec<(String, serde_json::Value)>,
}

/// A part of the rows that were found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRows {
    /// How many there are in all.
    pub total: u64,
    /// These of them.
    pub rows: Vec<FoundRow>,
}

impl Node {
    /// The rows of `DB.TABLE` that have this key here, or had it when they were last shown; the one that has it comes
    /// first. A composite key is a JSON array.
    pub fn history(&self, table: &str, text: &str) -> Result<Vec<RowHistory>> {
        let (database, table) = self.table_named(table)?;
        let names = self.replica_names(&database)?;
        let now = self.now();
        let found = self.with_database(&database, |db| db.history(&table, text, now))?;
        let found = found.ok_or_else(|| unknown("table", &format!("{}.{table}", database.name)))?;
        let column = |c: lockstep_engine::history::VersionColumn| VersionColumn {
            value: readable_named(c.value),
            name: c.name,
            state: c.state.name(),
            ended_by: c.ended_by.map(|r| named(&names, r)),
            ended_at: c.ended_at.map(timestamp),
        };
        let row = |h: lockstep_engine::history::RowHistory| {
            let version = |v: lockstep_engine::history::Version| Version {
                id: v.id,
                row: h.row.clone(),
                at: timestamp(v.at),
                by: named(&names, v.by),
                operation: match v.operation {
                    Operation::Insert => "insert",
                    Operation::Update => "update",
                    Operation::Delete => "delete",
                },
                state: v.state.name(),
                restorable: v.columns.iter().any(|c| c.state != VersionState::Visible),
                columns: v.columns.into_iter().map(column).collect(),
            };
            RowHistory {
                database: database.name.clone(),
                table: table.clone(),
                key: key(h.key.as_deref()),
                lives: h.lives,
                versions: h.versions.into_iter().map(version).collect(),
                row: h.row,
            }
        };
        Ok(found.into_iter().map(row).collect())
    }

    /// Rows of `DB.TABLE` whose key or identity has this text in it, those that are gone too: so many from there on.
    pub fn find_rows(&self, table: &str, text: &str, span: (usize, usize)) -> Result<FoundRows> {
        let (database, table) = self.table_named(table)?;
        let now = self.now();
        let found = self.with_database(&database, |db| db.find_rows(&table, text, span, now))?;
        let found = found.ok_or_else(|| unknown("table", &format!("{}.{table}", database.name)))?;
        let row = |r: lockstep_engine::find::FoundRow| FoundRow {
            key: key(r.key.as_deref()),
            lives: r.lives,
            identity: r.identity.into_iter().map(|(column, value)| (column, readable_named(value))).collect(),
        };
        Ok(FoundRows { total: found.total, rows: found.rows.into_iter().map(row).collect() })
    }

    /// Writes again what a version wrote, with the rows that refer to it and went with it where `children` says so.
    /// `seen` is the latest version that the person was shown; None: whatever was written since.
    pub fn restore(
        &self,
        table: &str,
        text: &str,
        version: &str,
        children: bool,
        seen: Option<&str>,
    ) -> Result<Restored> {
        let (database, table) = self.table_named(table)?;
        let done = self.decide_in(&database.name, |db, now| db.restore(&table, text, version, children, seen, now))?;
        Ok(Restored {
            id: version.to_owned(),
            written: done.written,
            children: done.children,
            key: key(done.key.as_deref()),
        })
    }

    /// Says that two rows of `DB.TABLE` are one, by their keys here.
    pub fn same(&self, table: &str, one: &str, other: &str) -> Result<Joined> {
        let (database, table) = self.table_named(table)?;
        let done = self.decide_in(&database.name, |db, now| db.same(&table, one, other, now))?;
        Ok(Joined { kept: key(Some(&done.kept)), archived: key(done.archived.as_deref()) })
    }

    /// Takes a row of `DB.TABLE` apart that was made one.
    pub fn apart(&self, table: &str, text: &str) -> Result<Parted> {
        let (database, table) = self.table_named(table)?;
        let (keys, waiting) = self.decide_in(&database.name, |db, now| db.apart(&table, text, now))?;
        Ok(Parted { rows: keys.iter().map(|k| key(Some(k))).collect(), waiting })
    }

    /// `DB.TABLE`
    pub(crate) fn table_named(&self, what: &str) -> Result<(crate::state::AttachedDatabase, String)> {
        let (database, table) = what.split_once('.').ok_or_else(|| unknown("table", what))?;
        Ok((self.state().database(database)?, table.to_owned()))
    }
}

fn unknown(what: &'static str, name: &str) -> Error {
    crate::state::Error::Unknown { what, name: name.to_owned() }.into()
}

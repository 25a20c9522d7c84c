//! A copy of this very file in an earlier state, to hold it against.
//!
//! Always true here: it is only read.
use crate::catalog::{self, Catalog, Table, quote};
use crate::database::stored_config;
use crate::error::Error;
use crate::guest;
use crate::key::LocalKey;
use crate::sibling::key_places;
use crate::transaction::locate;
use crate::value::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use std::path::Path;

/// The copy, and what its schema says.
pub struct Copy {
    pub c: Connection,
    catalog: Catalog,
}

impl Copy {
    pub fn open(path: &Path, name: &str) -> Result<Copy, Error> {
        let c = guest::open(path)?;
        let catalog = catalog::read(&c, name, &stored_config(&c)?)?;
        Ok(Copy { c, catalog })
    }

    /// The table there, if its rows are told apart in the same way.
    pub fn table(&self, here: &Table) -> Option<&Table> {
        let same = |there: &&Table| {
            let name = |t: &Table, p: usize| t.columns[p].name.clone();
            let key = |t: &Table| key_places(t).map(|all| all.into_iter().map(|p| name(t, p)).collect::<Vec<_>>());
            there.name == here.name && key(here).is_some() && key(there) == key(here)
        };
        self.catalog.tables.iter().find(same)
    }

    /// What a column held in the row under a key, if it was there.
    pub fn value(&self, here: &Table, key: &LocalKey, column: &str) -> Result<Option<Value>, Error> {
        let Some(there) = self.table(here) else { return Ok(None) };
        let Some(p) = there.column(column) else { return Ok(None) };
        Ok(self.row(there, key)?.map(|row| row[p].clone()))
    }

    /// The row under a key, in the order of the columns there.
    pub fn row(&self, table: &Table, key: &LocalKey) -> Result<Option<Vec<Value>>, Error> {
        let list = table.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT {list} FROM main.{} WHERE {}", quote(&table.name), locate(table, 0));
        let values = key.values().unwrap_or_default();
        let n = table.columns.len();
        let mut q = self.c.prepare_cached(&sql)?;
        let row = q.query_row(params_from_iter(values), |r| (0..n).map(|i| Ok(Value::from(r.get_ref(i)?))).collect());
        Ok(row.optional()?)
    }
}

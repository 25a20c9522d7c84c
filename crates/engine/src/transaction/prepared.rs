//! The statements that a transaction runs once per row, each looked up once.
//!
//! Always true here: one statement for each (use, table); it goes back to the connection's cache with the transaction.
//! Not here: statements that run now and then, which the connection's cache serves well enough.
use crate::map::Map;
use rusqlite::{CachedStatement, Connection, Result};
use std::collections::hash_map::Entry;

/// What a statement on the tables of table number `t` is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// A birth's key and record.
    FindBirth,
    /// The births of a key.
    FindKey,
    InsertBirth,
    UpdateRecord,
    UpdateBirth,
    FindDot,
    StoreDot,
    DropDot,
    Archive,
    StoreIdentity,
    /// The application's row by its key.
    Row,
    /// Writes a row of the application's table, all of its columns.
    InsertWhole,
    /// Writes the application's row; the number is that of a shape of columns.
    InsertRow(u32),
    UpdateRow(u32),
}

/// The statements taken so far.
pub struct Prepared<'c> {
    c: &'c Connection,
    taken: Map<(Use, u32), CachedStatement<'c>>,
    shapes: Map<Vec<usize>, u32>,
}

impl<'c> Prepared<'c> {
    pub fn new(c: &'c Connection) -> Prepared<'c> {
        Prepared { c, taken: Map::default(), shapes: Map::default() }
    }

    /// The statement for this use and table; `sql` says it the first time.
    pub fn get(&mut self, of: Use, t: u32, sql: impl FnOnce() -> String) -> Result<&mut CachedStatement<'c>> {
        Ok(match self.taken.entry((of, t)) {
            Entry::Occupied(e) => e.into_mut(),
            Entry::Vacant(e) => e.insert(self.c.prepare_cached(&sql())?),
        })
    }

    /// The number of a list of columns.
    pub fn shape(&mut self, places: &[usize]) -> u32 {
        if let Some(n) = self.shapes.get(places) {
            return *n;
        }
        let n = self.shapes.len() as u32;
        self.shapes.insert(places.to_vec(), n);
        n
    }
}

//! Foreign keys of several columns: each of their columns refers to what the parent's column stands for.
//!
//! Always true here: a column that names a parent's id is a reference to that parent; one that names a column which is a
//! reference itself refers to the same row; any other is a value that is the same on every server, and stays one. So a
//! child follows its parent whichever ids the two have here. A column that has a reference of its own keeps it. Where no
//! column names the parent itself, all of them together do (`rows::composite`).
use super::{Composite, Key, Reference, Table};
use rusqlite::Connection;

/// One of them.
#[derive(Debug)]
pub struct Declared {
    /// The place of the table in the catalogue.
    pub child: usize,
    /// As the schema spells it.
    pub parent: String,
    /// (its column, that of the parent), the latter empty if the parent's primary key is meant.
    pub columns: Vec<(String, String)>,
}

/// All that the tables declare.
pub fn read(conn: &Connection, tables: &[Table]) -> rusqlite::Result<Vec<Declared>> {
    let sql = "SELECT id, \"table\", \"from\", coalesce(\"to\", '') FROM pragma_foreign_key_list(?1, 'main')
               ORDER BY id DESC, seq";
    let mut statement = conn.prepare_cached(sql)?;
    let mut all = Vec::new();
    for (child, table) in tables.iter().enumerate() {
        let mut keys: Vec<(i64, Declared)> = Vec::new();
        let mut rows = statement.query([&table.name])?;
        while let Some(r) = rows.next()? {
            let (id, column): (i64, (String, String)) = (r.get(0)?, (r.get(2)?, r.get(3)?));
            match keys.last_mut().filter(|(last, _)| *last == id) {
                Some((_, key)) => key.columns.push(column),
                None => keys.push((id, Declared { child, parent: r.get(1)?, columns: vec![column] })),
            }
        }
        all.extend(keys.into_iter().map(|(_, key)| key).filter(|key| key.columns.len() > 1));
    }
    Ok(all)
}

/// Gives the columns of these keys their references; a reference may follow from one that follows from another.
pub fn refer(tables: &mut [Table], keys: &[Declared]) {
    loop {
        let mut found: Vec<(usize, Reference)> = Vec::new();
        for key in keys {
            let Some(parent) = tables.iter().find(|t| t.name.eq_ignore_ascii_case(&key.parent)) else { continue };
            for (n, (from, to)) in key.columns.iter().enumerate() {
                let to = if to.is_empty() { parent.key_places().get(n).copied() } else { parent.column(to) };
                let (Some(column), Some(to)) = (tables[key.child].column(from), to) else { continue };
                if tables[key.child].reference(column).is_some() {
                    continue;
                }
                if let Some(reference) = stands_for(parent, to) {
                    found.push((key.child, Reference { column, ..reference }));
                }
            }
        }
        if found.is_empty() {
            return;
        }
        for (child, reference) in found {
            if tables[child].reference(reference.column).is_none() {
                tables[child].references.push(reference);
            }
        }
    }
}

/// What a column that holds the same value refers to. None: a plain value.
fn stands_for(parent: &Table, column: usize) -> Option<Reference> {
    if matches!(parent.key, Key::Id { column: id, .. } if id == column) {
        let (table, target_column) = (parent.name.clone(), parent.columns[column].name.clone());
        return Some(Reference { column, database: None, table, target_column, declared: true });
    }
    parent.reference(column).cloned()
}

impl Declared {
    /// Where none of its columns names the very row of the parent: what all of them together name.
    pub fn whole(&self, tables: &[Table]) -> Option<Composite> {
        let child = &tables[self.child];
        let parent = tables.iter().find(|t| t.name.eq_ignore_ascii_case(&self.parent))?;
        let named = |(from, _): &(String, String)| child.column(from).and_then(|c| child.reference(c));
        let is_parent = |r: &Reference| r.database.is_none() && r.table.eq_ignore_ascii_case(&self.parent);
        if self.columns.iter().filter_map(named).any(is_parent) {
            return None;
        }
        let place = |(n, (from, to)): (usize, &(String, String))| {
            let to = if to.is_empty() { parent.key_places().get(n).copied() } else { parent.column(to) };
            Some((child.column(from)?, to?))
        };
        let columns = self.columns.iter().enumerate().map(place).collect::<Option<_>>()?;
        Some(Composite { parent: parent.name.clone(), columns })
    }
}

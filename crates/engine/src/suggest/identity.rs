//! Which columns tell that a row here and a row elsewhere are the same.
//!
//! A natural key is seldom one column: a match is numbered within its event and kind, and everything belongs to one of
//! several tenants. So the column that tells rows apart is taken together with those that bound it, even where the data
//! here would do without, and is suggested if no two rows are alike in all of them.
use super::{SAMPLE, Subject, Suggestion, names};
use crate::catalog::{Table, quote};

/// Tables that must share a column for it to be taken for the tenant.
const TENANT_TABLES: usize = 3;

pub(super) fn of(subject: Subject<'_>, table: &Table) -> rusqlite::Result<Vec<Suggestion>> {
    let rows = rows(subject, table)?;
    let named = |places: &[usize]| places.iter().map(|&p| table.columns[p].name.clone()).collect();
    let found = |columns, declared| Suggestion::Identity { table: table.name.clone(), columns, declared, rows };
    if !table.identity.is_empty() {
        return Ok(table.identity.iter().map(|places| found(named(places), true)).collect());
    }
    if table.surrogate().is_none() || table.config.identity.is_some() {
        return Ok(Vec::new());
    }
    let bounds = bounds(subject, table);
    let mut telling: Vec<_> = (0..table.columns.len())
        .filter(|place| !bounds.contains(place) && table.reference(*place).is_none())
        .filter_map(|place| Some((names::telling(&table.columns[place].name, &table.name)?, place)))
        .collect();
    telling.sort_unstable();
    for (_, place) in telling {
        let mut columns = vec![place];
        columns.extend(&bounds);
        columns.sort_unstable();
        if rows > 0 && tells_apart(subject, table, &columns)? {
            return Ok(vec![found(named(&columns), false)]);
        }
    }
    Ok(vec![Suggestion::NoIdentity { table: table.name.clone() }])
}

/// The parents that every row has, its kind, and the tenant.
fn bounds(subject: Subject<'_>, table: &Table) -> Vec<usize> {
    let tenant = |name: &str| {
        let name_fits = ["tenant", "team", "organisation", "organization", "company", "site", "customer"]
            .iter()
            .any(|word| name.to_ascii_lowercase().contains(word));
        let shared = subject.catalog.tables.iter().filter(|t| t.column(name).is_some_and(|p| t.reference(p).is_none()));
        name_fits && shared.count() >= TENANT_TABLES
    };
    let bounds = |place: &usize| {
        let column = &table.columns[*place];
        let parent = column.not_null && table.reference(*place).is_some();
        parent || (column.not_null && names::kind(&column.name)) || tenant(&column.name)
    };
    // A number that the table is named for is what it tells rows by, wherever else it occurs.
    let own = |place: &usize| names::telling(&table.columns[*place].name, &table.name).is_some_and(|rank| rank < 3);
    (0..table.columns.len()).filter(bounds).filter(|place| !own(place)).collect()
}

fn rows(subject: Subject<'_>, table: &Table) -> rusqlite::Result<u64> {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM main.{} LIMIT {SAMPLE})", quote(&table.name));
    subject.conn.query_row(&sql, [], |r| r.get(0))
}

fn tells_apart(subject: Subject<'_>, table: &Table, places: &[usize]) -> rusqlite::Result<bool> {
    let columns: Vec<_> = places.iter().map(|&p| quote(&table.columns[p].name)).collect();
    let columns = columns.join(", ");
    let sql = format!(
        "SELECT NOT EXISTS (SELECT 1 FROM (SELECT {columns} FROM main.{} LIMIT {SAMPLE}) GROUP BY {columns} HAVING count(*) > 1)",
        quote(&table.name)
    );
    subject.conn.query_row(&sql, [], |r| r.get(0))
}

//! Finding rows of the application's tables by content and by key values.
use crate::catalog::{Key, Table, quote};
use crate::error::Error;
use crate::key::LocalKey;
use crate::value::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

/// Every column is exactly this; parameters count on from `by`.
fn content_condition(table: &Table, by: usize) -> String {
    let each: Vec<String> = table
        .columns
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let (name, i) = (quote(&c.name), by + i + 1);
            format!("{name} IS ?{i} COLLATE BINARY AND typeof({name}) = typeof(?{i})")
        })
        .collect();
    each.join(" AND ")
}

pub fn one_by_content(table: &Table, by: usize) -> String {
    let free = ["rowid", "_rowid_", "oid"]
        .into_iter()
        .find(|n| table.column(n).is_none() && !table.generated.iter().any(|g| g.eq_ignore_ascii_case(n)))
        .unwrap_or("rowid");
    format!("{free} = (SELECT {free} FROM main.{} WHERE {} LIMIT 1)", quote(&table.name), content_condition(table, by))
}

/// Is there a row with exactly this content?
pub fn content_is_there(c: &Connection, table: &Table, row: &[Value]) -> Result<bool, Error> {
    let sql = format!("SELECT 1 FROM main.{} WHERE {} LIMIT 1", quote(&table.name), content_condition(table, 0));
    Ok(c.prepare_cached(&sql)?.query_row(params_from_iter(row), |_| Ok(())).optional()?.is_some())
}

/// Keys of the rows whose columns have these values, as the table compares them. NULL finds NULL only in a table without a key.
pub fn keys_with(c: &Connection, table: &Table, places: &[usize], values: &[Value]) -> Result<Vec<LocalKey>, Error> {
    let list = table.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(", ");
    let condition = if table.key == Key::Content {
        content_condition(table, 0)
    } else {
        let each: Vec<String> = places
            .iter()
            .enumerate()
            .map(|(i, &p)| format!("{} = ?{}", quote(&table.columns[p].name), i + 1))
            .collect();
        each.join(" AND ")
    };
    let sql = format!("SELECT {list} FROM main.{} WHERE {condition}", quote(&table.name));
    let n = table.columns.len();
    let mut q = c.prepare_cached(&sql)?;
    let rows = q.query_map(params_from_iter(values), |r| {
        let row: Vec<Value> = (0..n).map(|i| Ok(Value::from(r.get_ref(i)?))).collect::<rusqlite::Result<_>>()?;
        Ok(LocalKey::of_row(table, &row))
    })?;
    let mut keys: Vec<LocalKey> = rows.collect::<Result<_, _>>()?;
    keys.dedup();
    Ok(keys)
}

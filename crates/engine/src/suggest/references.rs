//! Which columns name rows of other tables, though no constraint says so.
//!
//! A name alone proves little and small integers fit any table, so both must agree: the name of the column must fit the
//! table, and most of its values must be there. Where the table is empty, only the plainest of names counts.
use super::{SAMPLE, Subject, Suggestion, names};
use crate::catalog::{Key, Table, quote};
use crate::value::Value;

pub(super) fn of(subject: Subject<'_>, others: &[Subject<'_>], table: &Table) -> rusqlite::Result<Vec<Suggestion>> {
    let mut out = Vec::new();
    for (place, column) in table.columns.iter().enumerate() {
        if table.reference(place).is_some() || table.surrogate() == Some(place) {
            continue;
        }
        let mut best = None;
        for other in std::iter::once(subject).chain(others.iter().copied()) {
            let here = other.name == subject.name;
            for target in &other.catalog.tables {
                let itself = here && target.name == table.name;
                let Some(fit) = fit(&column.name, itself, target) else { continue };
                let (matching, missing) = evidence(subject, table, place, other, target)?;
                let plain = fit == names::Fit::Name && matching + missing == 0;
                if !plain && matching <= missing {
                    continue;
                }
                let rank = (fit, matching, here);
                let suggestion = Suggestion::Reference {
                    table: table.name.clone(),
                    column: column.name.clone(),
                    database: other.name.to_owned(),
                    target: target.name.clone(),
                    matching,
                    missing,
                };
                if best.as_ref().is_none_or(|(old, _)| *old < rank) {
                    best = Some((rank, suggestion));
                }
            }
        }
        out.extend(best.map(|(_, suggestion)| suggestion));
    }
    Ok(out)
}

/// A table can be referred to if one column is its key. To itself it refers by `parent_id` only.
fn fit(column: &str, itself: bool, target: &Table) -> Option<names::Fit> {
    key(target)?;
    if itself {
        return column.eq_ignore_ascii_case("parent_id").then_some(names::Fit::Name);
    }
    names::fit(column, &target.name).filter(|_| names::local(&target.name).is_none())
}

/// The column that names a row of the target, if it is one.
pub(super) fn key(target: &Table) -> Option<usize> {
    match &target.key {
        Key::Id { column, .. } => Some(*column),
        Key::Columns(places) => match places.as_slice() {
            [single] => Some(*single),
            [] | [_, ..] => None,
        },
        Key::Content => None,
    }
}

/// Rows whose value is a key of the target, and rows whose value is none; NULL does not count.
fn evidence(
    subject: Subject<'_>,
    table: &Table,
    place: usize,
    other: Subject<'_>,
    target: &Table,
) -> rusqlite::Result<(u64, u64)> {
    let Some(key) = key(target) else { return Ok((0, 0)) };
    let column = quote(&table.columns[place].name);
    let values = format!(
        "SELECT {column}, count(*) FROM (SELECT {column} FROM main.{} WHERE {column} IS NOT NULL LIMIT {SAMPLE}) GROUP BY 1",
        quote(&table.name)
    );
    let there = format!("SELECT 1 FROM main.{} WHERE {} = ?1", quote(&target.name), quote(&target.columns[key].name));
    let mut values = subject.conn.prepare(&values)?;
    let mut there = other.conn.prepare(&there)?;
    let (mut matching, mut missing) = (0, 0);
    let mut rows = values.query([])?;
    while let Some(row) = rows.next()? {
        let count: u64 = row.get(1)?;
        if there.exists([Value::from(row.get_ref(0)?)])? { matching += count } else { missing += count }
    }
    Ok((matching, missing))
}

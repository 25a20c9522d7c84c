//! What must hold of an item for it to be writable and readable: asserted before it is written and after it was read.
use lockstep_engine::change::{Batch, Cell, Change, ConflictRecord, Existence, Item, TableHead};
use lockstep_engine::id::{Dot, Stamp};

/// Numbers fit SQLite's integers: that is where they are kept.
pub(super) const MOST: u64 = i64::MAX as u64;

/// A sentence about what is wrong with the item at this place of the batch, or nothing.
pub(super) fn check_item(item: &Item, tables: &[TableHead], contexts: usize) -> Result<(), &'static str> {
    let table = tables.get(item.table()).ok_or("it names a table that the header does not")?;
    check_dot(item.dot())?;
    check_stamp(item.stamp())?;
    match item {
        Item::Change(c) => check_change(c, table, contexts),
        Item::Alias(a) => {
            a.births.iter().try_for_each(|b| check_dot(*b))?;
            if a.births[0] >= a.births[1] {
                return Err("the two births of an alias must differ, the smaller first");
            }
            Ok(())
        }
        Item::Conflict(r) => check_conflict(r, table),
        Item::Decision(d) => [d.birth, d.loser].into_iter().try_for_each(check_dot),
    }
}

fn check_change(c: &Change, table: &TableHead, contexts: usize) -> Result<(), &'static str> {
    check_dot(c.birth)?;
    c.rank.map_or(Ok(()), check_stamp)?;
    if c.context >= contexts {
        return Err("it names a context that the header does not");
    }
    for (register, dot) in &c.unseen {
        check_register(*register, table)?;
        check_dot(*dot)?;
    }
    if let Some(Existence::Deleted { dangling }) = &c.existence {
        dangling.iter().try_for_each(|r| check_dot(r.dot))?;
    }
    if !c.columns.is_sorted_by(|a, b| a.0 < b.0) {
        return Err("its columns don't ascend");
    }
    if c.columns.last().is_some_and(|(n, _)| *n >= table.columns.len()) {
        return Err("it names a column that the header does not");
    }
    c.columns.iter().try_for_each(|(_, cell)| check_cell(cell))?;
    if let Some(origin) = &c.origin {
        if c.birth != c.dot {
            return Err("only an insert has an origin");
        }
        if !origin.awaits.is_sorted_by(|a, b| a < b) {
            return Err("the columns that it awaits don't ascend");
        }
        if origin.awaits.last().is_some_and(|n| *n >= table.columns.len()) {
            return Err("it awaits a column that the header does not name");
        }
    }
    Ok(())
}

fn check_conflict(r: &ConflictRecord, table: &TableHead) -> Result<(), &'static str> {
    [r.birth, r.loser, r.winner].into_iter().try_for_each(check_dot)?;
    [r.loser_stamp, r.winner_stamp].into_iter().try_for_each(check_stamp)?;
    check_register(r.register, table)?;
    [&r.value, &r.winner_value].into_iter().flatten().try_for_each(check_cell)
}

fn check_register(register: Option<usize>, table: &TableHead) -> Result<(), &'static str> {
    match register {
        Some(n) if n >= table.columns.len() => Err("it names a column that the header does not"),
        _ => Ok(()),
    }
}

fn check_dot(dot: Dot) -> Result<(), &'static str> {
    if (1..=MOST).contains(&dot.seq.0) { Ok(()) } else { Err("the number of a write is from 1 to 2^63 - 1") }
}

fn check_stamp(stamp: Stamp) -> Result<(), &'static str> {
    if stamp.0 >= 0 { Ok(()) } else { Err("a stamp is not negative") }
}

fn check_cell(cell: &Cell) -> Result<(), &'static str> {
    match cell {
        Cell::Value(v) | Cell::Raw(v) => match v {
            lockstep_engine::value::Value::Real(f) if f.is_nan() => Err("SQLite has no NaN"),
            _ => Ok(()),
        },
        Cell::Row(dot) => check_dot(*dot),
    }
}

/// The same for what stands in the header.
pub(super) fn check_head(batch: &Batch) -> Result<(), &'static str> {
    if batch.clock.0 < 0 {
        return Err("a stamp is not negative");
    }
    let mut names: Vec<&str> = batch.tables.iter().map(|t| t.name.as_str()).collect();
    if has_twins(&mut names) {
        return Err("a table is named twice");
    }
    for table in &batch.tables {
        let mut names: Vec<&str> = table.columns.iter().map(String::as_str).collect();
        if has_twins(&mut names) {
            return Err("a column is named twice");
        }
    }
    if batch.hosts.values().any(|h| h.name.is_empty() || h.name.chars().any(char::is_control)) {
        return Err("a node's name is a line of text");
    }
    for context in &batch.contexts {
        if !context.seen.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("the replicas of a context don't ascend");
        }
        if context.seen.iter().any(|(_, seq)| seq.0 > MOST) {
            return Err("the number of a write is from 1 to 2^63 - 1");
        }
    }
    let vectors = batch.start.values().chain(batch.end.values()).chain(batch.until.values());
    if vectors.flat_map(|v| v.values()).any(|seq| seq.0 > MOST) {
        return Err("the number of a write is from 1 to 2^63 - 1");
    }
    Ok(())
}

fn has_twins(names: &mut [&str]) -> bool {
    names.sort_unstable();
    names.windows(2).any(|w| w[0] == w[1])
}

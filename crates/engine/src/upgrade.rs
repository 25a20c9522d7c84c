//! Files that an earlier version attached: our tables in them become what this version works with.
//!
//! Always true here: a file is taken over in one transaction or not at all, and nothing of the application's changes.
//! A file that a newer version wrote is refused and not touched. A step, once released, is never edited. Not here: the
//! triggers, which the audit compares with what they should be as soon as the schema has moved.
use crate::error::Error;
use crate::record::Record;
use crate::store::{self, damaged};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// From a format to the next.
type Step = fn(&Connection) -> Result<(), Error>;

/// The first leads from format 1 to 2.
const STEPS: [Step; 3] = [to_format_2, to_format_3, to_format_4];

/// The format that this version writes. The first is 1.
pub const FORMAT: i64 = STEPS.len() as i64 + 1;

/// Refuses a file that a newer version wrote.
pub fn check(c: &Connection, path: &Path) -> Result<(), Error> {
    found(c, path).map(drop)
}

/// Takes over a file that an earlier version wrote.
pub fn take_over(c: &mut Connection, path: &Path) -> Result<(), Error> {
    if found(c, path)? == FORMAT {
        return Ok(());
    }
    let tx = c.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let from = usize::try_from(found(&tx, path)? - 1).expect("formats begin with 1");
    for step in STEPS.iter().skip(from) {
        step(&tx)?;
    }
    store::set_meta(&tx, "format", FORMAT)?;
    Ok(tx.commit()?)
}

fn found(c: &Connection, path: &Path) -> Result<i64, Error> {
    match store::format(c)? {
        newer if newer > FORMAT => Err(Error::NewerFormat { path: path.to_owned(), found: newer, known: FORMAT }),
        known if known >= 1 => Ok(known),
        other => Err(damaged(format!("{other} is no format"))),
    }
}

/// What a person decides, the marks of the history, what is set aside; and an archive that keeps several losers of one
/// write. While these were made files said 1 all along, so each may be there already.
fn to_format_2(c: &Connection) -> Result<(), Error> {
    c.execute_batch(
        "CREATE TABLE IF NOT EXISTS _lockstep_decision (t INTEGER, b INTEGER, loser INTEGER, d INTEGER NOT NULL,
           stamp INTEGER NOT NULL, kept INTEGER NOT NULL, PRIMARY KEY (t, b, loser)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS _lockstep_aside (t INTEGER, b INTEGER, d INTEGER, why INTEGER NOT NULL,
           PRIMARY KEY (t, b, d)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS _lockstep_past (t INTEGER, r INTEGER, seq INTEGER NOT NULL, PRIMARY KEY (t, r))
           WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS _lockstep_mark (n INTEGER PRIMARY KEY, mark BLOB NOT NULL);
         INSERT INTO _lockstep_mark (n, mark)
           SELECT 1, v FROM _lockstep_meta WHERE k = 'mark' AND NOT EXISTS (SELECT 1 FROM _lockstep_mark);
         DELETE FROM _lockstep_meta WHERE k = 'mark';",
    )?;
    if has_column(c, "_lockstep_conflict", "reviewed")? {
        make_anew(
            c,
            "_lockstep_conflict",
            "t, b, col, loser, d, stamp, loser_stamp, value, winner, winner_stamp, winner_value, kind, at",
            "CREATE TABLE _lockstep_conflict (t INTEGER, b INTEGER, col INTEGER, loser INTEGER, d INTEGER NOT NULL,
               stamp INTEGER NOT NULL, loser_stamp INTEGER NOT NULL, value BLOB, winner INTEGER NOT NULL,
               winner_stamp INTEGER NOT NULL, winner_value BLOB, kind INTEGER NOT NULL, at INTEGER NOT NULL,
               PRIMARY KEY (t, b, col, loser)) WITHOUT ROWID;",
        )?;
    }
    if !has_column(c, "_lockstep_archive", "n")? {
        make_anew(
            c,
            "_lockstep_archive",
            "t, b, d, col, stamp, why, by, at, value",
            "CREATE TABLE _lockstep_archive (n INTEGER PRIMARY KEY, t INTEGER, b INTEGER, d INTEGER, col INTEGER,
               stamp INTEGER NOT NULL, why INTEGER NOT NULL, by INTEGER NOT NULL, at INTEGER NOT NULL, value BLOB);
             CREATE INDEX _lockstep_archive_b ON _lockstep_archive (t, b);",
        )?;
    }
    Ok(())
}

/// What differs from a peer's rows though both know the same writes.
fn to_format_3(c: &Connection) -> Result<(), Error> {
    c.execute_batch(
        "CREATE TABLE _lockstep_difference (t INTEGER, b INTEGER, col INTEGER, r INTEGER NOT NULL, d INTEGER NOT NULL,
           at INTEGER NOT NULL, lives INTEGER NOT NULL, there BLOB, PRIMARY KEY (t, b, col)) WITHOUT ROWID;",
    )?;
    Ok(())
}

/// Which node a replica lives on, beside what it is called: it is told again by the next writes that come from it. What was
/// written at each mark, who goes on with what a replica wrote alone, and an index of what copies have in common.
fn to_format_4(c: &Connection) -> Result<(), Error> {
    c.execute_batch(
        "ALTER TABLE _lockstep_replica ADD COLUMN host BLOB;
         ALTER TABLE _lockstep_mark ADD COLUMN own BLOB;
         ALTER TABLE _lockstep_past ADD COLUMN heir INTEGER;
         CREATE INDEX _lockstep_held_reason ON _lockstep_held (reason, t);
         CREATE TABLE _lockstep_origin (t INTEGER, o INTEGER, b INTEGER, PRIMARY KEY (t, o, b)) WITHOUT ROWID;",
    )?;
    let is_copy: bool =
        c.query_row("SELECT EXISTS (SELECT 1 FROM _lockstep_replica WHERE copies = 1)", [], |r| r.get(0))?;
    if is_copy { note_origins(c) } else { Ok(()) }
}

/// Where a file is one of copies, the rows that they may have in common can be found by what they are known again by.
fn note_origins(c: &Connection) -> Result<(), Error> {
    let tables: Vec<u32> = c
        .prepare("SELECT n FROM _lockstep_table WHERE database IS NULL")?
        .query_map([], |r| r.get(0))?
        .collect::<Result<_, _>>()?;
    for t in tables {
        let mut q = c.prepare(&format!("SELECT b, rec FROM _lockstep_row_{t}"))?;
        let mut rows = q.query([])?;
        while let Some(r) = rows.next()? {
            let rec = Record::decode(&r.get::<_, Vec<u8>>(1)?).ok_or_else(|| damaged("a record"))?;
            if let Some(origin) = rec.copied_origin() {
                c.prepare_cached("INSERT INTO _lockstep_origin (t, o, b) VALUES (?1, ?2, ?3)")?.execute((
                    t,
                    origin,
                    r.get::<_, i64>(0)?,
                ))?;
            }
        }
    }
    Ok(())
}

fn has_column(c: &Connection, table: &str, column: &str) -> Result<bool, Error> {
    let mut columns = c.prepare(&format!("PRAGMA main.table_info({table})"))?;
    let names = columns.query_map([], |r| r.get::<_, String>(1))?.collect::<Result<Vec<_>, _>>()?;
    Ok(names.iter().any(|name| name == column))
}

/// Gives one of our tables another shape, with these columns of its rows. They are copied there and back: renaming a
/// table fails where a view of the application is broken.
fn make_anew(c: &Connection, table: &str, columns: &str, create: &str) -> Result<(), Error> {
    c.execute_batch(&format!(
        "CREATE TABLE {table}_1 AS SELECT {columns} FROM {table};
         DROP TABLE {table};
         {create}
         INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_1;
         DROP TABLE {table}_1;"
    ))?;
    Ok(())
}

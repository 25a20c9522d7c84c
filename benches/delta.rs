//! A delta: single columns of some rows of a table that both sides have.
//!
//! Floors: the same rows copied whole into an empty table through ATTACH (what the goal speaks of), and the same
//! columns of the same rows through `UPDATE … FROM`, which has to find each row as we do. Both commit with
//! `synchronous = FULL`.
use crate::exchange::{self, Exchange};
use crate::first_sync::{BULK, SMALL, stages};
use crate::measure::{Goal, Report, Took, Unit, median_of, ratio, time};
use crate::sample::{self, Kind, Random};
use crate::{Options, copy};
use rusqlite::Connection;
use std::path::Path;

/// Rows that change.
const CHANGES: usize = 10_000;

/// Runs the figure.
pub fn run(o: &Options, report: &mut Report) {
    let dir = o.folder();
    let path = |name: &str| dir.path().join(name);
    let kind = Kind::Plain;
    let (source, target) = (path("source.db"), path("target.db"));
    let app = sample::empty(&source, true).expect("a new file");
    sample::fill(&app, kind, o.rows, 300, 7).expect("rows");
    drop(app);
    copy(&source, &path("plain-target.db"));
    sample::attached(&source, true, 11).expect("attach");
    drop(sample::empty(&target, false).expect("a new file"));
    sample::attached(&target, true, 12).expect("attach");
    exchange::in_turn(&source, &target, BULK);
    println!("\nDelta: {CHANGES} updates of one column, of {} rows", o.rows);

    let (mut whole, mut columns, mut subject) = (Vec::new(), Vec::new(), Vec::new());
    let mut sum = Exchange::default();
    for round in 0..o.rounds {
        // The application writes, each row by itself.
        let ids = update(&source, o.rows, round as u64);
        let plain = path("plain-source.db");
        snapshot(&source, &plain, kind, &ids);
        whole.push(crate::first_sync::insert_select(&plain, &path("floor.db"), kind));
        columns.push(update_from(&plain, &path("plain-target.db"), kind));
        let once = exchange::in_turn(&source, &target, SMALL);
        assert_eq!(once.items, ids.len() as u64);
        subject.push(once.total());
        sum += once;
    }
    exchange::agree(&source, &target);
    let per_second = |t: Took| CHANGES as f64 / t.wall.as_secs_f64();
    report.add("copy of the same rows, rows", per_second(median_of(&whole)), Unit::PerSecond, None);
    report.add("UPDATE FROM of the same columns, rows", per_second(median_of(&columns)), Unit::PerSecond, None);
    report.add("delta, changes", per_second(median_of(&subject)), Unit::PerSecond, None);
    // 55,000 where the copy makes 57,000.
    let goal = Some(Goal::AtLeast(55.0 / 57.0));
    report.add("share of the copy, CPU", ratio(&whole, &subject, |t| t.cpu), Unit::Ratio, goal);
    report.add("share of the copy, wall", ratio(&whole, &subject, |t| t.wall), Unit::Ratio, goal);
    report.add("share of UPDATE FROM, CPU", ratio(&columns, &subject, |t| t.cpu), Unit::Ratio, None);
    report.add("share of UPDATE FROM, wall", ratio(&columns, &subject, |t| t.wall), Unit::Ratio, None);
    stages(report, "delta", &sum);
    let bytes = sum.packed as f64 / sum.items as f64;
    report.add("bytes on the wire per change", bytes, Unit::Bytes, Some(Goal::AtMost(90.0)));
    report.add("bytes of JSON per change", sum.unpacked as f64 / sum.items as f64, Unit::Bytes, None);
}

/// Updates one column of rows spread over the table: a number, a short text or a time in turn. Gives their ids.
fn update(path: &Path, rows: usize, round: u64) -> Vec<i64> {
    let app = sample::application(path).expect("the file");
    let mut r = Random::new(99 + round);
    let step = (rows / CHANGES).max(1) as u64;
    let ids: Vec<i64> = (0..CHANGES as u64).map(|i| (1 + i * step + r.below(step)) as i64).collect();
    let tx = app.unchecked_transaction().expect("a transaction");
    {
        let mut number = tx.prepare("UPDATE note SET owner = ?2 WHERE id = ?1").expect("a statement");
        let mut name = tx.prepare("UPDATE note SET author = ?2 WHERE id = ?1").expect("a statement");
        let mut time = tx.prepare("UPDATE note SET timestamp = ?2 WHERE id = ?1").expect("a statement");
        for (i, id) in ids.iter().enumerate() {
            let n = match i % 3 {
                0 => number.execute((id, 1_000 * (round as i64 + 1) + r.below(1000) as i64)),
                1 => name.execute((id, format!("name {:x}", r.below(1 << 20) | round << 20))),
                _ => time.execute((id, sample::timestamp(&mut r))),
            };
            assert_eq!(n.expect("an update"), 1);
        }
    }
    tx.commit().expect("a commit");
    ids
}

/// The changed rows alone, in a file without anything of ours, for the floors.
fn snapshot(source: &Path, plain: &Path, kind: Kind, ids: &[i64]) {
    crate::remove(plain);
    let c = sample::empty(plain, true).expect("a new file");
    c.execute("ATTACH ?1 AS source", [source.to_str()]).expect("attach");
    let tx = c.unchecked_transaction().expect("a transaction");
    let table = kind.table();
    for id in ids {
        let sql = format!("INSERT INTO main.{table} SELECT * FROM source.{table} WHERE id = ?1");
        tx.prepare_cached(&sql).and_then(|mut q| q.execute([id])).expect("a row");
    }
    tx.commit().expect("a commit");
}

fn update_from(source: &Path, target: &Path, kind: Kind) -> Took {
    let (took, ()) = time(|| {
        let c = Connection::open(target).expect("the file");
        c.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF").expect("a pragma");
        c.execute("ATTACH ?1 AS source", [source.to_str()]).expect("attach");
        let table = kind.table();
        let n = c
            .execute(
                &format!(
                    "UPDATE main.{table} AS t SET owner = s.owner, author = s.author, timestamp = s.timestamp
                     FROM source.{table} AS s WHERE s.id = t.id"
                ),
                [],
            )
            .expect("an update");
        assert_eq!(n, CHANGES);
    });
    took
}

//! A first sync: everything that one file has comes into an empty one.
//!
//! The floor is what SQLite does with the same rows: `INSERT … SELECT` through ATTACH into an empty table of the same
//! schema, `synchronous = FULL`, one transaction. It keeps no versions, so it can't be reached; the goal is a share of it.
use crate::exchange::{self, Exchange};
use crate::measure::{Goal, Report, Took, Unit, median_of, ratio, time};
use crate::sample::{self, Kind};
use crate::{Options, copy};
use lockstep_engine::Limit;
use std::path::Path;

/// As the session asks for at first contact.
pub const BULK: Limit = Limit { items: 2_500, bytes: 2 << 20 };
/// As the session asks for otherwise.
pub const SMALL: Limit = Limit { items: 1_500, bytes: 1 << 20 };

/// Runs the figure.
pub fn run(o: &Options, report: &mut Report) {
    for kind in [Kind::Plain, Kind::Children] {
        one(o, report, kind);
    }
}

fn one(o: &Options, report: &mut Report, kind: Kind) {
    let dir = o.folder();
    let rows = o.rows;
    let source = dir.path().join("source.db");
    let app = sample::empty(&source, true).expect("a new file");
    sample::fill(&app, kind, rows, 300, 7).expect("rows");
    let bytes = content(&app, kind);
    drop(app);
    let plain = dir.path().join("plain.db");
    std::fs::copy(&source, &plain).expect("a copy");
    let name = match kind {
        Kind::Plain => "no references",
        Kind::Children => "two references a row",
    };
    println!("\nFirst sync: {rows} rows of {:.0} bytes, {name}", bytes as f64 / rows as f64);

    let (attach, ()) = time(|| sample::attached(&source, true, 11).expect("attach"));
    let blank = dir.path().join("blank.db");
    drop(sample::empty(&blank, false).expect("a new file"));
    sample::attached(&blank, true, 12).expect("attach");

    let limit = Limit { items: o.batch, ..BULK };
    let (mut floor, mut subject, mut both, mut sum) = (Vec::new(), Vec::new(), Vec::new(), Exchange::default());
    for round in 0..o.rounds {
        let target = dir.path().join("target.db");
        floor.push(insert_select(&plain, &dir.path().join("floor.db"), kind));
        copy(&blank, &target);
        let once = exchange::in_turn(&source, &target, limit);
        subject.push(once.total());
        sum += once;
        if round == 0 {
            exchange::agree(&source, &target);
        }
        copy(&blank, &target);
        both.push(exchange::pipelined(&source, &target, limit));
    }
    let per_second = |t: Took| rows as f64 / t.wall.as_secs_f64();
    report.add(format!("{name}: copy, rows"), per_second(median_of(&floor)), Unit::PerSecond, None);
    report.add(format!("{name}: first sync, rows"), per_second(median_of(&subject)), Unit::PerSecond, None);
    report.add(format!("{name}: the same on two threads, rows"), per_second(median_of(&both)), Unit::PerSecond, None);
    let goal = Some(Goal::AtLeast(0.35));
    report.add(format!("{name}: share of the copy, CPU"), ratio(&floor, &subject, |t| t.cpu), Unit::Ratio, goal);
    report.add(format!("{name}: share of the copy, wall"), ratio(&floor, &subject, |t| t.wall), Unit::Ratio, goal);
    let on_two = ratio(&floor, &both, |t| t.wall);
    report.add(format!("{name}: share of the copy, wall, two threads"), on_two, Unit::Ratio, goal);
    stages(report, name, &sum);
    report.add(format!("{name}: bytes on the wire per row"), sum.packed as f64 / sum.items as f64, Unit::Bytes, None);
    report.add(format!("{name}: entering existing rows at attach"), per_second(attach), Unit::PerSecond, None);
    let grown = sample::size(&source) as f64 / sample::size(&plain) as f64;
    report.add(format!("{name}: size of an attached file over the plain one"), grown, Unit::Ratio, None);
}

/// Where the CPU goes, over all rounds.
pub fn stages(report: &mut Report, name: &str, e: &Exchange) {
    let parts = [
        ("harvest", e.harvest),
        ("extract", e.extract),
        ("encode", e.encode),
        ("decode", e.decode),
        ("apply", e.apply),
    ];
    for (part, took) in parts {
        let each = took.cpu.as_secs_f64() * 1e6 / e.items as f64;
        report.add(format!("{name}: CPU of {part}, per item"), each, Unit::Micros, None);
    }
}

/// Bytes of the values of all rows.
fn content(c: &rusqlite::Connection, kind: Kind) -> u64 {
    let names = [
        "id",
        "place_id",
        "team_id",
        "owner",
        "author",
        "author_id",
        "station",
        "timestamp",
        "side",
        "local_id",
        "data",
    ];
    let each = names.map(|n| format!("length({n})")).join(" + ");
    c.query_row(&format!("SELECT sum({each}) FROM {}", kind.table()), [], |r| r.get(0)).expect("rows")
}

/// The floor.
pub fn insert_select(source: &Path, target: &Path, kind: Kind) -> Took {
    crate::remove(target);
    drop(sample::empty(target, true).expect("a new file"));
    let (took, ()) = time(|| {
        let c = rusqlite::Connection::open(target).expect("it was just made");
        c.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF").expect("a pragma");
        c.execute("ATTACH ?1 AS source", [source.to_str()]).expect("attach");
        let table = kind.table();
        c.execute_batch(&format!("INSERT INTO main.{table} SELECT * FROM source.{table}")).expect("a copy");
    });
    took
}

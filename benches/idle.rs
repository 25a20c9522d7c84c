//! A sync with nothing to do: open, harvest nothing, summary, extract nothing, close. It must not grow with the table.
use crate::Options;
use crate::measure::{Goal, Report, Took, Unit, median_of, ratio, time};
use crate::sample::{self, Kind, now};
use lockstep_engine::{Database, Limit};
use std::path::Path;

/// Syncs in one measurement: one alone is shorter than what the kernel's clock tells apart.
const TIMES: u32 = 20;

/// Runs the figure.
pub fn run(o: &Options, report: &mut Report) {
    println!("\nIdle sync: nothing new on either side");
    let dir = o.folder();
    let sizes: Vec<usize> = [10_000, 100_000, 1_000_000].into_iter().filter(|n| *n <= o.most).collect();
    let files: Vec<_> = sizes
        .iter()
        .map(|rows| {
            let path = dir.path().join(format!("{rows}.db"));
            let app = sample::empty(&path, true).expect("a new file");
            sample::fill(&app, Kind::Plain, *rows, 40, 7).expect("rows");
            drop(app);
            sample::attached(&path, true, 11).expect("attach");
            path
        })
        .collect();
    let rounds = o.rounds.max(9);
    let mut took: Vec<Vec<Took>> = vec![Vec::new(); files.len()];
    for round in 0..=rounds {
        for (k, path) in files.iter().enumerate() {
            let t = idle(path);
            if round > 0 {
                took[k].push(t);
            }
        }
    }
    for (k, rows) in sizes.iter().enumerate() {
        let ms = median_of(&took[k]);
        report.add(format!("{rows} rows: CPU"), ms.cpu.as_secs_f64() * 1e3 / f64::from(TIMES), Unit::Millis, None);
        report.add(format!("{rows} rows: wall"), ms.wall.as_secs_f64() * 1e3 / f64::from(TIMES), Unit::Millis, None);
    }
    if let (Some(last), Some(rows)) = (took.last().filter(|_| took.len() > 1), sizes.last()) {
        let name = format!("{rows} rows over {}: CPU", sizes[0]);
        report.add(name, ratio(last, &took[0], |t| t.cpu), Unit::Ratio, Some(Goal::AtMost(1.25)));
    }
}

fn idle(path: &Path) -> Took {
    let (took, ()) = time(|| (0..TIMES).for_each(|_| once(path)));
    took
}

fn once(path: &Path) {
    let mut db = Database::open(path, &[]).expect("it is attached");
    assert_eq!(db.harvest(now()).expect("harvest").writes, 0);
    let summary = db.summary().expect("summary");
    let have = summary.tables.into_iter().map(|t| (t.name, t.vector)).collect();
    let batch = db.extract(&have, Limit::default(), now()).expect("extract");
    assert!(batch.items.is_empty() && batch.last);
}

//! Waiting: how long the application's own writes take while a first sync comes in.
//!
//! A writer inserts a row every few milliseconds, each in a transaction of its own, as an application does. The floor is
//! the same writer on a file that nobody syncs.
use crate::exchange;
use crate::first_sync::BULK;
use crate::measure::{Report, Unit};
use crate::sample::{self, Kind, Random};
use crate::{Options, copy};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two writes.
const PAUSE: Duration = Duration::from_millis(3);

/// Runs the figure.
pub fn run(o: &Options, report: &mut Report) {
    let dir = o.folder();
    let path = |name: &str| dir.path().join(name);
    let (source, blank, target) = (path("source.db"), path("blank.db"), path("target.db"));
    let app = sample::empty(&source, true).expect("a new file");
    sample::fill(&app, Kind::Plain, o.rows, 300, 7).expect("rows");
    drop(app);
    sample::attached(&source, true, 11).expect("attach");
    drop(sample::empty(&blank, true).expect("a new file"));
    sample::attached(&blank, true, 12).expect("attach");
    println!("\nWaiting: writes of the application during a first sync of {} rows", o.rows);
    copy(&blank, &target);
    let alone = waits(&target, || std::thread::sleep(Duration::from_secs(2)));
    copy(&blank, &target);
    let beside = waits(&target, || {
        exchange::pipelined(&source, &target, BULK);
    });
    for (name, waits) in [("alone", &alone), ("beside a first sync", &beside)] {
        report.add(format!("{name}: writes"), waits.len() as f64, Unit::Ratio, None);
        report.add(format!("{name}: half of them took at most"), at(waits, 0.5), Unit::Millis, None);
        report.add(format!("{name}: 99 of 100 took at most"), at(waits, 0.99), Unit::Millis, None);
    }
    report.add("beside a first sync: the longest", at(&beside, 1.0), Unit::Millis, None);
}

/// The wait below which this share of all lies, in milliseconds.
fn at(waits: &[Duration], share: f64) -> f64 {
    let last = waits.len().saturating_sub(1);
    let place = (last as f64 * share).round() as usize;
    waits.get(place).map_or(0.0, |w| w.as_secs_f64() * 1e3)
}

/// What each write took while `work` went on, ascending.
fn waits(file: &Path, work: impl FnOnce()) -> Vec<Duration> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let app = sample::application(file).expect("the file");
            app.busy_timeout(Duration::from_secs(30)).expect("a pragma");
            let mut r = Random::new(5);
            let mut insert = app.prepare(&sample::insert(Kind::Children)).expect("a statement");
            let mut waits = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let row = sample::row(&mut r, 300);
                let began = Instant::now();
                insert.execute(sample::values(&row).as_slice()).expect("a row");
                waits.push(began.elapsed());
                std::thread::sleep(PAUSE);
            }
            waits
        });
        work();
        done.store(true, Ordering::Relaxed);
        let mut waits = writer.join().expect("the writer");
        waits.sort_unstable();
        waits
    })
}

//! Capture: what the triggers cost the application.
//!
//! Three files of the same rows: not attached, attached with old values kept, attached with `history = false`. On each
//! runs the same work, in turns: single-row statements by id, prepared once, 20 to a transaction, WAL and
//! `synchronous = NORMAL`. This is the harshest view: an application in Python spends far more around each statement.
use crate::Options;
use crate::measure::{Goal, Report, Took, Unit, ratio, time};
use crate::sample::{self, Kind, Random};
use rusqlite::Connection;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Insert,
    UpdateOne,
    UpdateAll,
    Delete,
    /// Four inserts, five updates of one column, one delete.
    Mixed,
}

const ROWS: usize = 20_000;
const STATEMENTS: usize = 4_000;
const PER_TRANSACTION: usize = 20;

/// Runs the figure.
pub fn run(o: &Options, report: &mut Report) {
    println!("\nCapture: the application's own cost with over without, {STATEMENTS} statements, 11 columns");
    let works = [
        (Work::Mixed, "mixed (4 inserts, 5 updates, 1 delete)", true),
        (Work::Insert, "inserts", false),
        (Work::UpdateOne, "updates of one column", false),
        (Work::UpdateAll, "updates of ten columns", false),
        (Work::Delete, "deletes", false),
    ];
    for (work, name, goal) in works {
        let dir = o.folder();
        let files: Vec<Connection> = [None, Some(true), Some(false)]
            .into_iter()
            .enumerate()
            .map(|(i, history)| {
                let path = dir.path().join(format!("{i}.db"));
                let app = sample::empty(&path, true).expect("a new file");
                sample::fill(&app, Kind::Plain, ROWS * 2, 300, 7).expect("rows");
                if let Some(history) = history {
                    sample::attached(&path, history, 11).expect("attach");
                }
                app
            })
            .collect();
        let mut took: [Vec<Took>; 3] = Default::default();
        let rounds = o.rounds.max(3);
        for round in 0..=rounds {
            for (k, app) in files.iter().enumerate() {
                let t = write(app, work, round);
                // The first round warms up.
                if round > 0 {
                    took[k].push(t);
                }
            }
        }
        let [without, with, no_history] = took;
        let aim = |n| goal.then_some(Goal::AtMost(n));
        report.add(format!("{name}: CPU"), ratio(&with, &without, |t| t.cpu), Unit::Ratio, aim(1.5));
        report.add(
            format!("{name}: CPU, history = false"),
            ratio(&no_history, &without, |t| t.cpu),
            Unit::Ratio,
            aim(1.3),
        );
        if goal {
            report.add(format!("{name}: wall"), ratio(&with, &without, |t| t.wall), Unit::Ratio, None);
            report.add(
                format!("{name}: wall, history = false"),
                ratio(&no_history, &without, |t| t.wall),
                Unit::Ratio,
                None,
            );
        }
    }
}

fn write(app: &Connection, work: Work, round: usize) -> Took {
    // Texts are made beforehand, so that only SQLite is measured.
    let mut r = Random::new(1_000 + round as u64);
    let rows: Vec<sample::Row> = (0..STATEMENTS).map(|_| sample::row(&mut r, 250)).collect();
    let (took, ()) = time(|| {
        let mut insert = app.prepare_cached(&sample::insert(Kind::Plain)).expect("a statement");
        let mut one = app.prepare_cached("UPDATE note SET author = ?1 WHERE id = ?2").expect("a statement");
        let mut all = app
            .prepare_cached(
                "UPDATE note SET place_id = ?1, team_id = ?2, owner = ?3, author = ?4, author_id = ?5, station = ?6,
                 timestamp = ?7, side = ?8, local_id = ?9, data = ?10 WHERE id = ?11",
            )
            .expect("a statement");
        let mut delete = app.prepare_cached("DELETE FROM note WHERE id = ?1").expect("a statement");
        for (n, chunk) in rows.chunks(PER_TRANSACTION).enumerate() {
            app.execute_batch("BEGIN").expect("begin");
            for (k, x) in chunk.iter().enumerate() {
                let i = n * PER_TRANSACTION + k;
                // Spread over the lower half of the table; deletes take each row of the upper half once.
                let id = (1 + (i * 7919) % ROWS) as i64;
                let fresh = (ROWS + 1 + (round * STATEMENTS + i) % ROWS) as i64;
                let now = match (work, i % 10) {
                    (Work::Insert, _) | (Work::Mixed, 0..=3) => Work::Insert,
                    (Work::Delete, _) | (Work::Mixed, 9) => Work::Delete,
                    (Work::UpdateAll, _) => Work::UpdateAll,
                    (Work::UpdateOne | Work::Mixed, _) => Work::UpdateOne,
                };
                let done = match now {
                    Work::Insert => insert.execute(sample::values(x).as_slice()),
                    Work::UpdateOne => one.execute((&x.author, id)),
                    Work::UpdateAll => {
                        let mut values = sample::values(x).to_vec();
                        values.push(&id);
                        all.execute(values.as_slice())
                    }
                    Work::Delete | Work::Mixed => delete.execute([fresh]),
                };
                done.expect("a statement");
            }
            app.execute_batch("COMMIT").expect("commit");
        }
    });
    took
}

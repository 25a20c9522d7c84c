//! Memory: the most that either side of a first sync ever holds.
//!
//! Each side runs in a process of its own (this program again), which says at its end what the kernel counted; the
//! batches lie in files between them.
use crate::measure::{Goal, Report, Unit, peak_memory};
use crate::sample::{self, Kind, now};
use crate::{Options, first_sync};
use lockstep_engine::{Database, Limit};
use lockstep_wire::{Limits, decode_batch, encode_batch};
use std::path::Path;

/// Runs the figure.
pub fn run(o: &Options, report: &mut Report) {
    if peak_memory().is_none() {
        println!("\nMemory: this system does not tell");
        return;
    }
    println!("\nMemory: the peak of a first sync of {} rows", o.rows);
    for (name, limit) in [("ordinary batches", first_sync::SMALL), ("bulk batches", first_sync::BULK)] {
        let dir = o.folder();
        let path = |name: &str| dir.path().join(name);
        let app = sample::empty(&path("source.db"), true).expect("a new file");
        sample::fill(&app, Kind::Plain, o.rows, 300, 7).expect("rows");
        drop(app);
        drop(sample::empty(&path("target.db"), false).expect("a new file"));
        sample::attached(&path("target.db"), true, 12).expect("attach");
        let words = [limit.items.to_string(), limit.bytes.to_string()];
        let mut most = 0.0_f64;
        for side in ["attach", "send", "receive"] {
            let peak = child(side, dir.path(), &words);
            most = most.max(peak);
            if side != "attach" || limit.items == first_sync::SMALL.items {
                report.add(format!("{name}: {side}"), peak, Unit::Mebibytes, None);
            }
        }
        report.add(format!("{name}: the most"), most, Unit::Mebibytes, Some(Goal::AtMost(40.0)));
    }
}

fn child(side: &str, folder: &Path, limit: &[String]) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let out = std::process::Command::new(program)
        .arg("--side")
        .arg(side)
        .arg(folder)
        .args(limit)
        .output()
        .expect("it runs again");
    assert!(out.status.success(), "{side}: {}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8_lossy(&out.stdout);
    text.trim().parse::<f64>().expect("a number") / f64::from(1 << 20)
}

/// What the process of one side does: `--side NAME FOLDER ITEMS BYTES`.
pub fn side(words: &[String]) {
    let [name, folder, items, bytes] = words else { panic!("--side NAME FOLDER ITEMS BYTES") };
    let folder = Path::new(folder);
    let limit = Limit { items: items.parse().expect("a number"), bytes: bytes.parse().expect("a number") };
    let batch_file = |n: usize| folder.join(format!("batch-{n}"));
    match name.as_str() {
        "attach" => sample::attached(&folder.join("source.db"), true, 11).expect("attach"),
        "send" => {
            let mut db = Database::open(&folder.join("source.db"), &[]).expect("it is attached");
            let mut have = lockstep_engine::id::Vectors::new();
            for n in 0.. {
                let batch = db.extract(&have, limit, now()).expect("extract");
                let encoded = encode_batch(&batch, &Limits::default()).expect("encode");
                std::fs::write(batch_file(n), &encoded.bytes).expect("room");
                have = batch.end;
                if batch.last {
                    break;
                }
            }
        }
        "receive" => {
            let mut db = Database::open(&folder.join("target.db"), &[]).expect("it is attached");
            for n in 0.. {
                let Ok(bytes) = std::fs::read(batch_file(n)) else { break };
                let batch = decode_batch(&bytes, &Limits::default()).expect("decode");
                db.apply(&batch, now()).expect("apply");
            }
        }
        other => panic!("no side is called {other}"),
    }
    println!("{}", peak_memory().expect("asked before"));
}

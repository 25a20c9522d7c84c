//! Random schedules on random schemas: two and three replicas, an application at each, exchanges that are cut, lost and
//! repeated. After every step an oracle that shares no code with the engine says whether what must hold, holds.
//!
//! A run is a function of its seed. A seed that failed once stays in [`SEEDS`]. `LOCKSTEP_SEEDS=5000` runs so many,
//! `LOCKSTEP_SEED=7` runs that one and tells each step.
mod oracle;
mod prng;
#[path = "../replicas/mod.rs"]
mod replicas;
mod schedule;
mod schema;
mod wide;
mod world;

use prng::Prng;
use schedule::{Op, Schedule};
use schema::Schema;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use world::World;

/// Seeds that failed once; they always run first.
const SEEDS: &[u64] = &[
    2, 6, 8, 11, 12, 18, 20, 26, 28, 36, 44, 46, 57, 72, 98, 99, 110, 114, 118, 128, 139, 149, 150, 197, 210, 272, 275,
];

/// Schedules of an ordinary run, and the time that they may take.
const MANY: u64 = 45;
const TIME: Duration = Duration::from_secs(25);

fn plan(seed: u64) -> (Schema, Schedule) {
    let mut r = Prng::new(seed);
    let mut wide = Prng::new(!seed);
    let schema = Schema::random(&mut r).widen(&mut wide).spread(&mut Prng::new(seed ^ 0x5EED));
    let nodes = [2, 2, 2, 3, 3][r.below(5)];
    (schema, Schedule::of(nodes, &mut r).widen(&mut wide))
}

fn run(seed: u64, schema: &Schema, schedule: &Schedule, trace: bool) -> Result<(), String> {
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut w = World::new(schema.clone(), schedule, seed, trace)?;
        for op in &schedule.ops {
            w.step(op)?;
        }
        w.finish(&mut Prng::new(seed))
    }));
    done.unwrap_or_else(|p| {
        let text = p.downcast_ref::<String>().cloned().or_else(|| p.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// What a failure says, without when, where and which: a smaller schedule has to fail in the same way.
fn kind(e: &str) -> String {
    let what = e.strip_prefix("step ").and_then(|rest| rest.split_once(": ")).map_or(e, |(_, what)| what);
    what.split_whitespace().filter(|w| w.bytes().all(|b| b.is_ascii_lowercase() || b == b',')).take(4).collect()
}

/// Drops what is not needed to fail.
fn shrink(seed: u64, schema: &Schema, mut s: Schedule, error: &str) -> Schedule {
    let began = Instant::now();
    let fails = |s: &Schedule| run(seed, schema, s, false).is_err_and(|e| kind(&e) == kind(error));
    // Large pieces first.
    let mut size = s.ops.len() / 2;
    while size > 1 {
        for from in (0..s.ops.len()).step_by(size) {
            let mut x = s.clone();
            x.ops[from..(from + size).min(s.ops.len())].fill(Op::Nothing);
            if x.ops != s.ops && fails(&x) {
                s = x;
            }
        }
        size /= 2;
    }
    let mut again = true;
    while again && began.elapsed() < Duration::from_secs(60) {
        again = false;
        let mut smaller: Vec<Schedule> = Vec::new();
        for i in (0..s.ops.len()).rev() {
            if s.ops[i] != Op::Nothing {
                let mut x = s.clone();
                x.ops[i] = Op::Nothing;
                smaller.push(x);
            }
            match &s.ops[i] {
                Op::App { statements, .. } if statements.len() > 1 => {
                    for k in 0..statements.len() {
                        let mut x = s.clone();
                        if let Op::App { statements, .. } = &mut x.ops[i] {
                            statements.remove(k);
                        }
                        smaller.push(x);
                    }
                }
                Op::Pull { .. } => {
                    let mut x = s.clone();
                    if let Op::Pull { items, lost, stop, write, .. } = &mut x.ops[i] {
                        (*items, *lost, *stop, *write) = (1000, None, None, None);
                    }
                    if x.ops[i] != s.ops[i] {
                        smaller.push(x);
                    }
                }
                _ => {}
            }
        }
        if s.copies {
            smaller.push(Schedule { copies: false, ..s.clone() });
        }
        for n in 0..s.nodes {
            for k in 0..s.before[n].len() {
                let mut x = s.clone();
                x.before[n].remove(k);
                smaller.push(x);
            }
            if s.skews[n] != 0 {
                let mut x = s.clone();
                x.skews[n] = 0;
                smaller.push(x);
            }
            if s.loose[n] {
                let mut x = s.clone();
                x.loose[n] = false;
                smaller.push(x);
            }
        }
        if let Some(x) = smaller.into_iter().find(|x| began.elapsed() < Duration::from_secs(60) && fails(x)) {
            s = x;
            again = true;
        }
    }
    s
}

fn check(seed: u64) -> Result<(), String> {
    let (schema, schedule) = plan(seed);
    run(seed, &schema, &schedule, false)
}

fn explain(seed: u64) -> String {
    let (schema, schedule) = plan(seed);
    let Err(error) = run(seed, &schema, &schedule, false) else { return "it passes when repeated".into() };
    let small = shrink(seed, &schema, schedule, &error);
    eprintln!("{}\n{}\n{}", schema.sql(0), schema.steps(0), schema.config(0));
    for db in 1..schema.databases() {
        eprintln!("{}\n{}", schema.sql(db), schema.config(db));
    }
    eprintln!("skews {:?}, foreign keys off {:?}, copies {}", small.skews, small.loose, small.copies);
    run(seed, &schema, &small, true).expect_err("it failed when it was shrunk")
}

fn quiet() {
    if std::env::var_os("LOCKSTEP_SEED").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
}

fn many(part: u64, parts: u64) {
    if let Some(seed) = std::env::var("LOCKSTEP_SEED").ok().and_then(|s| s.parse::<u64>().ok()) {
        if part == 0 {
            let (schema, schedule) = plan(seed);
            if run(seed, &schema, &schedule, std::env::var_os("LOCKSTEP_TRACE").is_some()).is_err() {
                panic!("seed {seed}: {}", explain(seed));
            }
        }
        return;
    }
    quiet();
    let asked = std::env::var("LOCKSTEP_SEEDS").ok().and_then(|s| s.parse::<u64>().ok());
    let first = std::env::var("LOCKSTEP_FIRST").ok().and_then(|s| s.parse::<u64>().ok()).unwrap_or(1);
    let began = Instant::now();
    let kept: Vec<u64> = SEEDS.iter().copied().filter(|s| s % parts == part).collect();
    let fresh = (first..first + asked.unwrap_or(MANY)).filter(|s| s % parts == part);
    let (mut ran, mut failures) = (0u64, Vec::new());
    for (k, seed) in kept.iter().copied().chain(fresh).enumerate() {
        if k >= kept.len() && asked.is_none() && began.elapsed() > TIME {
            break;
        }
        ran += 1;
        if let Err(e) = check(seed) {
            eprintln!("seed {seed} fails: {}", e.chars().take(300).collect::<String>());
            failures.push(seed);
        }
    }
    println!("{ran} schedules, {} failures, {:.1} s", failures.len(), began.elapsed().as_secs_f32());
    assert!(
        failures.is_empty(),
        "{} of {ran} fail: {failures:?}; {}",
        failures.len(),
        if asked.is_none() { explain(failures[0]) } else { String::new() }
    );
}

#[test]
fn random_schedules_keep_what_must_hold_1() {
    many(0, 2);
}

#[test]
fn random_schedules_keep_what_must_hold_2() {
    many(1, 2);
}

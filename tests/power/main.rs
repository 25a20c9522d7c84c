//! A power cut at any moment: what was not synced is gone, and nothing that a peer was told is missing.
//!
//! One run is recorded call by call (`disk.c`); then the disk is made as a cut after each call could have left it
//! (`disk.rs`), and the file is opened from it. Cuts and what is lost follow from a seed: `LOCKSTEP_SEED`,
//! `LOCKSTEP_CUTS`.
#![cfg(target_os = "linux")]
mod disk;
#[path = "../../crates/engine/tests/properties/prng.rs"]
mod prng;
#[path = "../../crates/engine/tests/replicas/mod.rs"]
mod replicas;
mod scene;

use disk::{Contents, Disk, Fate, Op};
use lockstep_engine::Database;
use lockstep_engine::id::Vectors;
use prng::Prng;
use rusqlite::Connection;
use scene::{BEGUN, PROMISES, Scene, missing};
use std::path::Path;
use std::process::Command;

/// Cuts of one run whose losses are drawn; beside these, one right after each promise that loses all that it may.
const CUTS: usize = 150;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays it; in the folder that is recorded, if one is.
fn play(mode: &'static str) {
    let elsewhere = tempfile::tempdir().expect("a folder");
    match std::env::var_os("DISK_FOLDER") {
        Some(folder) => Scene::begin(Path::new(&folder), elsewhere.path(), mode).play(),
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            Scene::begin(folder.path(), elsewhere.path(), mode).play();
        }
    }
}

#[test]
fn a_scene_in_wal_mode() {
    play("wal");
}

#[test]
fn a_scene_with_a_rollback_journal() {
    play("delete");
}

/// Plays a scene in a process of its own, and what that did to its folder.
fn record(scene: &str) -> Vec<Op> {
    let dir = tempfile::tempdir().expect("a folder");
    let (library, trace, folder) = (dir.path().join("disk.so"), dir.path().join("trace"), dir.path().join("disk"));
    std::fs::create_dir(&folder).expect("a folder");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library);
    cc.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/power/disk.c")).arg("-ldl");
    let done = cc.output().expect("a C compiler");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut play = Command::new(std::env::current_exe().expect("the test knows itself"));
    play.args(["--exact", scene, "--test-threads=1"]);
    play.env("LD_PRELOAD", &library).env("DISK_FOLDER", &folder).env("DISK_TRACE", &trace);
    let done = play.output().expect("it plays");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    disk::read(&std::fs::read(&trace).expect("a record"))
}

/// A cut after call `k`, of which `why` says how it was chosen.
struct Cut {
    k: usize,
    why: String,
    /// What was promised by then.
    promise: String,
    found: Contents,
}

/// Every cut of a record, one after another.
fn cuts(ops: &[Op], seed: u64, look: &mut dyn FnMut(Cut)) {
    let mut r = Prng::new(seed);
    let drawn = number("LOCKSTEP_CUTS").map_or(CUTS, |n| n as usize);
    let (mut disk, mut promise, mut promises) = (Disk::default(), None::<String>, None);
    let begun = ops.iter().position(|op| matches!(op, Op::Write { bytes, .. } if bytes.starts_with(BEGUN.as_bytes())));
    let begun = begun.expect("a scene begins");
    let mut chosen: Vec<usize> = (0..drawn).map(|_| begun + r.below(ops.len() - begun)).collect();
    chosen.sort_unstable();
    for (k, op) in ops.iter().enumerate() {
        disk.take(op);
        match op {
            Op::Create { inode, name } if name == PROMISES => promises = Some(*inode),
            Op::Write { inode, bytes, .. } if Some(*inode) == promises => {
                let said = std::str::from_utf8(bytes).expect("a text").trim();
                if said == BEGUN {
                    disk.settle();
                }
                promise = Some(if said == BEGUN { String::new() } else { said.to_owned() });
                let found = disk.cut(|_| 0, || Fate::Lost);
                look(Cut { k, why: "all lost".into(), promise: promise.clone().expect("set"), found });
            }
            _ => {}
        }
        let Some(promise) = &promise else { continue };
        for n in 0..chosen.iter().filter(|c| **c == k).count() {
            let percent = [0, 30, 70, 100][r.below(4)];
            let names = r.below(1000);
            let found = disk.cut(
                |pending| names % (pending + 1),
                || match r.chance(percent) {
                    true if r.chance(20) => Fate::Torn(r.below(3)),
                    true => Fate::Kept,
                    false => Fate::Lost,
                },
            );
            look(Cut { k, why: format!("draw {n}, {percent} % kept"), promise: promise.clone(), found });
        }
    }
}

/// What has to hold of a file that is opened after a cut.
fn check(cut: &Cut) -> Result<(), String> {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, bytes) in cut.found.iter().filter(|(name, _)| *name != PROMISES) {
        std::fs::write(dir.path().join(name), bytes).expect("it is written");
    }
    let path = dir.path().join("home-main.db");
    let app = Connection::open(&path).expect("it opens");
    let list = |sql: &str| -> Result<Vec<String>, String> {
        let mut q = app.prepare(sql).map_err(|e| e.to_string())?;
        q.query_map([], |r| r.get(0)).and_then(Iterator::collect).map_err(|e| e.to_string())
    };
    if list("PRAGMA integrity_check")? != ["ok"] {
        return Err("integrity_check".into());
    }
    let strays = list(
        "SELECT tag FROM scout WHERE team_id NOT IN (SELECT id FROM team) OR team_name NOT IN (SELECT name FROM team)
         UNION ALL SELECT name FROM team WHERE name LIKE 'h%' AND name NOT IN (SELECT tag FROM scout)
           AND name NOT IN (SELECT 'h' || (value - 2) FROM json_each('[4, 9]'))",
    )?;
    if !strays.is_empty() {
        return Err(format!("half a transaction: {strays:?}"));
    }
    let mut db = Database::open(&path, &[]).map_err(|e| e.to_string())?;
    let has: Vectors = db.vectors().map_err(|e| e.to_string())?;
    if let Some(what) = missing(&cut.promise, &has) {
        return Err(what);
    }
    let v = db.verify(replicas::now()).map_err(|e| e.to_string())?;
    if v.well() { Ok(()) } else { Err(format!("verify: {v:?}")) }
}

/// How many of them lost something by the cut.
fn survives(scene: &str) {
    let ops = record(scene);
    let seed = number("LOCKSTEP_SEED").unwrap_or(1);
    let (mut n, mut failures) = (0, Vec::new());
    cuts(&ops, seed, &mut |cut| {
        n += 1;
        if let Err(e) = check(&cut) {
            failures.push(format!("after call {} of {} ({}): {e}", cut.k, ops.len(), cut.why));
        }
    });
    println!("{scene}: {} calls, {n} cuts, {} failures", ops.len(), failures.len());
    assert!(n > CUTS / 2, "{n} cuts");
    failures.truncate(5);
    assert!(failures.is_empty(), "seed {seed}:\n{}", failures.join("\n"));
}

#[test]
fn a_power_cut_in_wal_mode_loses_nothing_that_was_promised() {
    survives("a_scene_in_wal_mode");
}

#[test]
fn a_power_cut_with_a_rollback_journal_loses_nothing_that_was_promised() {
    survives("a_scene_with_a_rollback_journal");
}

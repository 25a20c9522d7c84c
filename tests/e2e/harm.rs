//! Full disks, and an application that must notice none of it.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::server::{Schema, Server, all_agree, binary, bounded, pair, sync, two};

const LOG: Schema<'static> = Schema {
    databases: &[(
        "log",
        "CREATE TABLE entry (id INTEGER NOT NULL, tag TEXT NOT NULL, at TEXT, n INTEGER, PRIMARY KEY (id));",
    )],
    config: "",
};
const ROWS: &str = "SELECT tag, at, n FROM entry";

/// Nothing of ours may grow a file: what does not fit is refused whole, and taken when there is room again.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_nothing_is_half_done() {
    let (a, b) = two(LOG);
    a.sql("log", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) INSERT INTO entry (tag, at, n) SELECT 'r' || i, hex(randomblob(100)), i FROM n");
    let before = b.lines("log", ROWS);
    for room in [20_000, 150_000, 400_000] {
        let mut command = Command::new("prlimit");
        command.arg(format!("--fsize={room}")).args(["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
        command.arg(binary()).arg("--home").arg(b.home()).args(["--json", "sync", a.name]);
        let (status, stdout, stderr) = bounded(command, "");
        assert_eq!(status, 1, "{room}: {stdout} {stderr}");
        let said: Value = serde_json::from_str(&stdout).expect("one document");
        let error = if said["error"].is_null() { &said["peers"][0]["error"] } else { &said["error"] };
        assert!(error["code"].is_string() && error["message"].is_string(), "{room}: {said}");
        assert_eq!(b.lines("log", "PRAGMA integrity_check"), ["ok"]);
        // Whole batches or nothing.
        let rows = b.lines("log", ROWS).len();
        assert!(rows == before.len() || rows % 500 == 0, "{room}: {rows} rows");
    }
    sync(&b, &a);
    assert_eq!(all_agree(&[&a, &b], "log", ROWS).len(), 4_000);
}

/// The Python that has SQLAlchemy: the first on the PATH, or the one that the system's own package is for.
fn python() -> &'static str {
    let has_it = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", "import sqlalchemy"]).stderr(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_it);
    found.expect("SQLAlchemy: `make setup` installs it")
}

/// Of each writer.
const TRANSACTIONS: usize = 25;

fn writers(file: &Path, mode: &str, name: &str) -> Value {
    let mut python = Command::new(python());
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/writers.py")).arg(file).args([
        mode,
        &TRANSACTIONS.to_string(),
        name,
    ]);
    let (status, stdout, stderr) = bounded(python, "");
    assert_eq!(status, 0, "{stderr}");
    serde_json::from_str(&stdout).expect("one document")
}

/// As most such applications are written: threads, SQLAlchemy's ORM, and a busy time-out of five seconds.
#[test]
fn eight_writers_fail_and_wait_no_more_than_without_us() {
    for mode in ["WAL", "DELETE"] {
        let journal = || vec![("APP_JOURNAL".to_owned(), mode.to_owned())];
        // As many processes at once as with us.
        let alone = ["alone", "lonely"].map(|name| Server::new_in(name, LOG, journal()));
        let without = std::thread::scope(|s| {
            let all = alone.each_ref().map(|server| {
                let (file, name) = (server.file("log"), server.name);
                s.spawn(move || writers(&file, mode, name))
            });
            all.map(|w| w.join().expect("the writers end"))
        });
        let (a, b) = (Server::new_in("alpha", LOG, journal()), Server::new_in("beta", LOG, journal()));
        a.attach();
        b.attach();
        pair(&b, &a);
        let over = AtomicBool::new(false);
        let with = std::thread::scope(|s| {
            let (over, home) = (&over, b.home());
            s.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let mut command = Command::new(binary());
                    command.arg("--home").arg(&home).args(["--json", "sync", "alpha"]);
                    bounded(command, "");
                }
            });
            let with = [&a, &b].map(|server| {
                let (file, name) = (server.file("log"), server.name);
                s.spawn(move || writers(&file, mode, name))
            });
            let with = with.map(|w| w.join().expect("the writers end"));
            over.store(true, Ordering::SeqCst);
            with
        });
        println!(
            "{mode}: longest wait {} and {} ms without, {} and {} ms with constant syncs",
            without[0]["longest_ms"], without[1]["longest_ms"], with[0]["longest_ms"], with[1]["longest_ms"]
        );
        let failed = |those: &[Value; 2]| those.iter().filter_map(|w| w["failed"].as_array()).map(Vec::len).sum();
        let (failed_with, failed_without): (usize, usize) = (failed(&with), failed(&without));
        assert!(failed_with <= failed_without, "{mode}: {with:?}, without us: {without:?}");
        for w in &with {
            assert_eq!(w["wrong"], json!([]), "{mode}: {w}");
        }
        let done: usize = with.iter().filter_map(|w| w["done"].as_u64()).sum::<u64>() as usize;
        assert_eq!(done + failed_with, 2 * 8 * TRANSACTIONS, "{mode}: {with:?}");
        sync(&b, &a);
        assert_eq!(all_agree(&[&a, &b], "log", "SELECT tag, at FROM entry").len(), 2 * done);
        // A copy of the file alone, made while the application does not run, is complete.
        let expected = a.lines("log", ROWS);
        let copy = a.copied("log", "copy.db");
        b.put_back("log", &copy);
        assert_eq!(b.lines("log", ROWS), expected);
    }
}

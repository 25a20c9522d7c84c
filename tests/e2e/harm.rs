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

fn writers(file: &Path, mode: &str, name: &str) -> Value {
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/writers.py")).arg(file).args([mode, "40", name]);
    let (status, stdout, stderr) = bounded(python, "");
    assert_eq!(status, 0, "{stderr}");
    serde_json::from_str(&stdout).expect("one document")
}

/// Python's own threads, not an ORM's: the same SQLite calls are made below one.
#[test]
fn eight_writers_fail_and_wait_no_more_than_without_us() {
    for mode in ["WAL", "DELETE"] {
        let journal = || vec![("APP_JOURNAL".to_owned(), mode.to_owned())];
        let alone = Server::new_in("alone", LOG, journal());
        let without = writers(&alone.file("log"), mode, alone.name);
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
            "{mode}: longest wait {} ms without, {} and {} ms with constant syncs",
            without["longest_ms"], with[0]["longest_ms"], with[1]["longest_ms"]
        );
        for w in &with {
            assert_eq!(w["wrong"], json!([]), "{mode}: {w}");
            let failed = |v: &Value| v["failed"].as_array().map_or(0, Vec::len);
            assert!(failed(w) <= failed(&without), "{mode}: {w}, without us: {without}");
            assert_eq!(w["done"], json!(320), "{mode}: {w}");
        }
        sync(&b, &a);
        assert_eq!(all_agree(&[&a, &b], "log", "SELECT tag, at FROM entry").len(), 2 * 2 * 320);
        // A copy of the file alone, made while the application does not run, is complete.
        let expected = a.lines("log", ROWS);
        let copy = a.copied("log", "copy.db");
        b.put_back("log", &copy);
        assert_eq!(b.lines("log", ROWS), expected);
    }
}

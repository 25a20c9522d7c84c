//! What goes wrong on the way, and what must not: loss cases 6, 7, 12, 16, 21, 22, 23.

use std::process::Command;

use serde_json::{Value, json};

use crate::line::{ALL, Line};
use crate::server::{Schema, Server, all_agree, all_read, bounded, pair, sound, sync, two};

const LOG: Schema<'static> = Schema {
    databases: &[(
        "log",
        "CREATE TABLE entry (id INTEGER NOT NULL, tag TEXT NOT NULL, at TEXT, n INTEGER, PRIMARY KEY (id));",
    )],
    config: "",
};
const TAGS: &str = "SELECT tag FROM entry";
const INSERT: &str = "INSERT INTO entry (tag, at, n) VALUES (?1, ?2, ?3)";

/// Rows with times as applications write them: as text, in several ways, out of order.
fn rows(letter: &str, count: u32) -> Value {
    let at = |n: u32| match n % 4 {
        0 => json!(format!("2025-1-{} 9:05", n % 28 + 1)),
        1 => json!(format!("{:02}/12/2024", n % 28 + 1)),
        2 => json!(format!("2025-03-{:02}T10:00:00+02:00", n % 28 + 1)),
        _ => Value::Null,
    };
    (0..count).map(|n| json!([format!("{letter}{n}"), at(n), n])).collect()
}

#[test]
fn case_06_any_number_of_rows_arrives_whatever_their_dates_say() {
    let (a, b) = two(LOG);
    a.many("log", INSERT, rows("a", 12_000));
    b.many("log", INSERT, rows("b", 3_000));
    sync(&b, &a);
    assert_eq!(all_agree(&[&a, &b], "log", "SELECT tag, at, n FROM entry").len(), 15_000);
    // The newest by insertion has the oldest date.
    a.sql("log", "INSERT INTO entry (tag, at) VALUES ('last', '1999-01-01')");
    sync(&b, &a);
    all_read(&[&a, &b], "log", "SELECT tag FROM entry WHERE at = '1999-01-01'", &["last"]);
}

#[test]
fn case_07_what_is_cut_on_the_way_stays_pending_and_the_run_is_failed() {
    let line = Line::new();
    let (a, b) = (Server::new("alpha", LOG), Server::new("beta", LOG));
    a.advertise(&line.address);
    a.attach();
    b.attach();
    a.serve();
    line.leads_to(a.listening());
    assert!(pair(&b, &a).verified());
    b.many("log", INSERT, rows("b", 4_000));
    a.many("log", INSERT, rows("a", 4_000));
    // So much that it does not fit through what passes.
    for server in [&a, &b] {
        server.sql("log", "UPDATE entry SET at = hex(randomblob(300))");
    }
    let mut arrived = 0;
    for bytes in [0, 1, 3_000, 20_000, 60_000] {
        line.passes(bytes);
        let run = b.sync_with_any(&a);
        assert_eq!(run.status, 1, "after {bytes} bytes: {run:?}");
        assert!(run.entry["error"]["message"].is_string(), "{run:?}");
        let runs = b.well(&["runs"]);
        assert_eq!(runs["runs"][0]["result"], "failed", "{}", runs["runs"][0]);
        let here = b.number("log", "SELECT count(*) FROM entry WHERE tag LIKE 'a%'");
        assert!(here >= arrived, "what was committed stays");
        arrived = here;
        let pending = b.well(&["status"])["databases"][0]["pending"].as_u64().expect("a count");
        let there = a.number("log", "SELECT count(*) FROM entry WHERE tag LIKE 'b%'");
        assert!(pending >= 4_000 - u64::try_from(there).expect("a count"), "{pending} pending, {there} arrived");
    }
    line.passes(ALL);
    sync(&b, &a);
    assert_eq!(all_agree(&[&a, &b], "log", TAGS).len(), 8_000);
}

#[test]
fn case_12_a_stranger_gets_no_answer_and_a_name_is_never_taken_for_sql() {
    let (a, b) = two(LOG);
    a.sql("log", "INSERT INTO entry (tag) VALUES ('secret')");
    sync(&b, &a);
    let address = a.listening();
    let hello = r#"{"v":1,"type":"pull","database":"log","have":{},"except":[],"limit":{"items":9,"bytes":9}}"#;
    for path in ["hello", "pull", "push", "digests", "part", "preview", "leave", "wait", "join", "../node.db", ""] {
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--max-time", "20", "-w", " status %{http_code}", "-d", hello]);
        curl.arg(format!("https://{address}/v1/{path}"));
        let (_, said, _) = bounded(curl, "");
        assert_eq!(said.trim(), "status 000", "{path}: a stranger is not even heard");
    }
    // A table whose name is SQL, made by the application of one side.
    let evil = "CREATE TABLE \"entry\"\"; DROP TABLE entry; --\" (id INTEGER PRIMARY KEY, tag TEXT);
        INSERT INTO \"entry\"\"; DROP TABLE entry; --\" (tag) VALUES ('x')";
    a.sql("log", evil);
    sync(&b, &a);
    all_read(&[&a, &b], "log", TAGS, &["secret"]);
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_lockstep%' ESCAPE '\\'";
    assert_eq!(b.lines("log", names), ["entry"], "names that a peer says make nothing");
    b.sql("log", evil);
    sync(&b, &a);
    all_read(&[&a, &b], "log", "SELECT DISTINCT tag FROM \"entry\"\"; DROP TABLE entry; --\"", &["x"]);
}

/// Five minutes slow, and eight fast: which rows are sent is not a question of time.
#[cfg(target_os = "linux")]
#[test]
fn case_16_clocks_decide_nothing_about_what_is_sent() {
    for off in [-300, 480] {
        let (a, b) = (Server::new("alpha", LOG), Server::with_clock("beta", LOG, off));
        a.attach();
        b.attach();
        assert!(pair(&b, &a).verified());
        for round in 0..3 {
            a.sql("log", &format!("INSERT INTO entry (tag) VALUES ('a{round}')"));
            b.sql("log", &format!("INSERT INTO entry (tag) VALUES ('b{round}')"));
            // The one that edits has seen the row as the other wrote it: it wins, whatever the clocks say.
            if round > 0 {
                let last = round - 1;
                a.sql("log", &format!("UPDATE entry SET n = 10 WHERE tag = 'b{last}'"));
                b.sql("log", &format!("UPDATE entry SET n = 20 WHERE tag = 'a{last}'"));
            }
            sync(&b, &a);
        }
        let expected = ["a0 | 20", "a1 | 20", "a2 | null", "b0 | 10", "b1 | 10", "b2 | null"];
        all_read(&[&a, &b], "log", "SELECT tag, n FROM entry", &expected);
        let offset = b.well(&["peers"])["peers"][0]["clock_offset_ms"].as_i64().expect("measured");
        assert!((offset + off * 1000).abs() < 60_000, "{offset} ms are shown for {off} s");
    }
}

#[test]
fn case_21_edits_during_a_sync_are_neither_lost_nor_overwritten_by_their_echo() {
    let (a, b) = two(LOG);
    a.many("log", INSERT, rows("a", 2_000));
    sync(&b, &a);
    for round in 0..6 {
        a.many("log", INSERT, rows(&format!("r{round}-"), 2_000));
        a.sql("log", &format!("UPDATE entry SET at = 'at {round}' WHERE tag LIKE 'a%'"));
        std::thread::scope(|s| {
            // Another process of the application on each side, while the session runs.
            for server in [a.file("log"), b.file("log")] {
                s.spawn(move || {
                    let app = crate::foreign::App::start();
                    for n in 0..40 {
                        let sql = format!("UPDATE entry SET n = {} WHERE tag = 'a{n}'", round * 100 + n);
                        app.run(&server, &sql).expect("the application never fails");
                    }
                });
            }
            b.sync_with_any(&a);
        });
    }
    sync(&b, &a);
    let edited = all_agree(&[&a, &b], "log", "SELECT tag, n FROM entry WHERE tag LIKE 'a_' OR tag LIKE 'a__'");
    for line in
        edited.iter().filter(|l| l[1..].split(' ').next().is_some_and(|n| n.parse::<i64>().is_ok_and(|n| n < 40)))
    {
        let (tag, n) = line.split_once(" | ").expect("two columns");
        assert_eq!(n.parse::<i64>().expect("a number"), 500 + tag[1..].parse::<i64>().expect("a number"), "{line}");
    }
    assert_eq!(all_agree(&[&a, &b], "log", TAGS).len(), 14_000);
}

#[test]
fn case_22_one_change_that_can_not_be_written_waits_alone() {
    let strict = Schema {
        databases: &[(
            "log",
            "CREATE TABLE entry (id INTEGER NOT NULL, tag TEXT NOT NULL, at TEXT, n INTEGER CHECK (n < 100), PRIMARY KEY (id));",
        )],
        config: "",
    };
    let (a, b) = (Server::new("alpha", LOG), Server::new("beta", strict));
    a.attach();
    b.attach();
    pair(&b, &a);
    a.sql("log", "INSERT INTO entry (tag, n) VALUES ('before', 1), ('poison', 500), ('after', 2)");
    let run = b.sync_with(&a);
    assert_eq!(run.status, 3, "something waits: {run:?}");
    a.sql("log", "INSERT INTO entry (tag, n) VALUES ('later', 3)");
    b.sync_with(&a);
    all_read(&[&b], "log", TAGS, &["before", "after", "later"]);
    let held = b.well(&["quarantine"]);
    assert_eq!(
        (held["held"].as_array().map(Vec::len), held["held"][0]["reason"].clone()),
        (Some(1), json!("constraint"))
    );
    sound(&[&a, &b]);
    // Mended at its author, it comes by itself.
    a.sql("log", "UPDATE entry SET n = 50 WHERE tag = 'poison'");
    sync(&b, &a);
    all_read(&[&a, &b], "log", "SELECT tag, n FROM entry WHERE n > 3", &["poison | 50"]);
    assert_eq!(b.held(), 0);
}

#[test]
fn case_23_a_peer_that_is_switched_off_is_a_failed_run_and_is_tried_again() {
    let (a, b) = two(LOG);
    b.sql("log", "INSERT INTO entry (tag) VALUES ('b')");
    a.stop();
    let run = b.sync_with_any(&a);
    assert_eq!((run.status, run.entry["result"].clone()), (1, json!("failed")), "{run:?}");
    assert_eq!(run.entry["error"]["code"], "unreachable");
    for field in ["sent", "received", "applied"] {
        assert_eq!(run.count(field), 0, "{run:?}");
    }
    let peers = b.well(&["peers"]);
    assert_eq!(peers["peers"][0]["reachable"], json!(false), "{peers}");
    assert_eq!(b.well(&["status"])["databases"][0]["pending"], json!(1));
    all_read(&[&a], "log", TAGS, &[]);
    a.serve();
    sync(&b, &a);
    all_read(&[&a, &b], "log", TAGS, &["b"]);
    assert_eq!(b.well(&["status"])["databases"][0]["pending"], json!(0));
}

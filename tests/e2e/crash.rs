//! Agents that are killed, at random and at every named point, while the applications of both servers write.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use serde_json::json;

use crate::foreign::App;
use crate::server::{Schema, Server, all_agree, sound, sync, two};

const LOG: Schema<'static> = Schema {
    databases: &[(
        "log",
        "CREATE TABLE entry (id INTEGER NOT NULL, tag TEXT NOT NULL, at TEXT, n INTEGER, PRIMARY KEY (id));",
    )],
    config: "",
};
const ROWS: &str = "SELECT tag, at, n FROM entry";

/// How often an agent is killed: 50 times, or as often as `LOCKSTEP_KILLS` says.
fn kills() -> u32 {
    std::env::var("LOCKSTEP_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(50)
}

/// Small, and the same for every run of one seed.
struct Chance(Cell<u64>);

impl Chance {
    fn below(&self, most: u64) -> u64 {
        let next = self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0.set(next);
        (next >> 33) % most
    }
}

/// Both applications write while `harm` is done; then both sides come to agree on every row.
fn while_both_write(a: &Server, b: &Server, harm: impl FnOnce()) {
    let over = AtomicBool::new(false);
    let written = std::thread::scope(|s| {
        let writers: Vec<_> = [(a, "a"), (b, "b")]
            .map(|(server, letter)| {
                let (file, over) = (server.file("log"), &over);
                s.spawn(move || {
                    let app = App::start();
                    let mut n = 0u32;
                    // Two rows in one transaction, and an edit of both columns of the rows of an earlier one.
                    while !over.load(Ordering::SeqCst) {
                        let rows = json!([[format!("{letter}{n}"), "x", n], [format!("{letter}{n}"), "y", n]]);
                        app.many(&file, "INSERT INTO entry (tag, at, n) VALUES (?1, ?2, ?3)", rows)
                            .expect("it never fails");
                        let edit =
                            format!("UPDATE entry SET at = at || {n}, n = n + 1 WHERE tag = '{letter}{}'", n / 2);
                        app.run(&file, &edit).expect("it never fails");
                        n += 1;
                        std::thread::sleep(std::time::Duration::from_millis(4));
                    }
                    n
                })
            })
            .into_iter()
            .collect();
        // Also when it fails: the writers end, or the scope would wait for them for ever.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(harm));
        over.store(true, Ordering::SeqCst);
        let written: Vec<u32> = writers.into_iter().map(|w| w.join().expect("a writer")).collect();
        done.unwrap_or_else(|failure| std::panic::resume_unwind(failure));
        written
    });
    sync(b, a);
    sync(b, a);
    let rows = all_agree(&[a, b], "log", ROWS);
    assert_eq!(rows.len(), 2 * written.iter().sum::<u32>() as usize, "every row that was committed, once");
    sound(&[a, b]);
    assert_eq!(promised(b), vectors(a), "at the end each knows all that the other has");
    println!("{written:?} transactions");
}

/// What must hold on a server whose agent was killed, before anything of ours touches its file again.
fn survived(server: &Server, peer: &Server, when: &str) {
    let name = server.name;
    assert_eq!(server.lines("log", "PRAGMA integrity_check"), ["ok"], "{name} after {when}");
    let halves = format!("SELECT tag FROM entry WHERE tag LIKE '{}%' GROUP BY tag HAVING count(*) <> 2", &name[..1]);
    assert_eq!(server.lines("log", &halves), [""; 0], "{name} after {when}: transactions are whole at home");
    let torn = "SELECT tag, at, n FROM
        (SELECT *, CAST(substr(tag, 2) AS INTEGER) AS born FROM entry)
        WHERE substr(at, 2) IS NOT CASE n - born WHEN 0 THEN '' WHEN 1 THEN (2 * born) || ''
          WHEN 2 THEN (2 * born) || (2 * born + 1) END";
    assert_eq!(server.lines("log", torn), [""; 0], "{name} after {when}: each write to a row is whole");
    let has = vectors(server);
    for (replica, seq) in promised(peer) {
        let stored = has.get(&replica).copied().unwrap_or(0);
        assert!(stored >= seq, "{name} after {when}: {} was told of {seq} and {stored} is there", peer.name);
    }
}

/// How far the file of a server has received the writes of each replica.
fn vectors(server: &Server) -> BTreeMap<String, i64> {
    let file = Connection::open(server.file("log")).expect("it opens");
    let mut q = file
        .prepare("SELECT lower(hex(r.id)), v.seq FROM _lockstep_vector AS v JOIN _lockstep_replica AS r ON r.n = v.r")
        .expect("tables of ours");
    let rows = q.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

/// What this server was told that its peer has: by acknowledgements, and by what it sent.
fn promised(server: &Server) -> BTreeMap<String, i64> {
    let state = Connection::open(server.home().join("node.db")).expect("the state of its node");
    let mut q = state
        .prepare(
            "SELECT lower(hex(replica)), seq FROM acknowledged WHERE name = 'log'
             UNION ALL SELECT replace(e.key, '-', ''), e.value FROM told, json_each(told.vector) AS e WHERE name = 'log'",
        )
        .expect("its tables");
    let rows = q.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?))).expect("rows");
    let mut most = BTreeMap::new();
    for row in rows {
        let (replica, seq) = row.expect("a row");
        let known = most.entry(replica).or_insert(seq);
        *known = (*known).max(seq);
    }
    most
}

#[test]
fn agents_that_are_killed_at_any_moment_lose_nothing() {
    let (a, b) = two(LOG);
    b.serve();
    let seed = std::env::var("LOCKSTEP_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(7);
    println!("seed {seed}, {} kills", kills());
    let chance = Chance(Cell::new(seed));
    while_both_write(&a, &b, || {
        for _ in 0..kills() {
            std::thread::sleep(std::time::Duration::from_millis(chance.below(250)));
            let (server, peer) = if chance.below(2) == 0 { (&a, &b) } else { (&b, &a) };
            server.stop();
            survived(server, peer, "a kill");
            server.serve();
        }
    });
}

/// The agent comes to the point, whichever side leads there, and is killed in it: with the transaction that it holds.
#[cfg(feature = "stops")]
#[test]
fn agents_that_are_killed_at_every_named_point_lose_nothing() {
    use lockstep_engine::stop::Point;
    use std::ffi::OsStr;
    let (a, b) = two(LOG);
    b.serve();
    while_both_write(&a, &b, || {
        for (k, point) in Point::ALL.iter().enumerate() {
            let (server, peer) = if k % 2 == 0 { (&a, &b) } else { (&b, &a) };
            let name = point.name();
            let stopped = server.folder().join(format!("stopped at {name}"));
            server.stop();
            server.serve_in(&[("LOCKSTEP_STOP", OsStr::new(name)), ("LOCKSTEP_STOPPED", stopped.as_os_str())]);
            crate::server::until(&format!("{} comes to {name}", server.name), || stopped.exists());
            server.stop();
            survived(server, peer, name);
            server.serve();
        }
    });
}

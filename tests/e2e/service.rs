//! The agent as a service: what its unit says, and how it ends.

use std::process::Command;

use serde_json::json;

use crate::server::{SCOUTING, Server, binary, bounded, pair, sound};

/// The unit as it is shipped.
const UNIT: &str = include_str!("../../packaging/lockstep.service");

#[test]
fn the_unit_is_one_that_systemd_takes() {
    for line in ["NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=lockstep", "KillSignal=SIGTERM"] {
        assert!(UNIT.lines().any(|l| l == line), "{line}");
    }
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("lockstep.service");
    let program = binary().canonicalize().expect("the command is built");
    let unit = UNIT.replace("/usr/bin/lockstep", program.to_str().expect("a path in UTF-8"));
    std::fs::write(&file, unit).expect("the unit is written");
    if !std::path::Path::new("/usr/bin/systemd-analyze").exists() {
        return;
    }
    let mut verify = Command::new("/usr/bin/systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(&file);
    let (status, _, said) = bounded(verify, "");
    assert_eq!((status, said.as_str()), (0, ""));
}

#[cfg(unix)]
#[test]
fn an_agent_that_is_asked_to_end_finishes_what_is_under_way() {
    let (a, b) = (Server::new("alpha", SCOUTING), Server::new("beta", SCOUTING));
    a.attach();
    b.attach();
    assert!(pair(&b, &a).verified());
    for round in 0..3 {
        let rows: Vec<_> = (0..4_000).map(|n| json!([format!("r{round}-{n}")])).collect();
        b.many("scouting", "INSERT INTO event(code, name, year) VALUES(?1, 'all', 2026)", json!(rows));
        // While beta pushes thousands of rows, alpha's agent is asked to end.
        let mut sync = Command::new(binary());
        sync.arg("--home").arg(b.home()).args(["--json", "sync", a.name]);
        let syncing = std::thread::spawn(move || bounded(sync, ""));
        std::thread::sleep(std::time::Duration::from_millis(150 + 200 * round));
        let ended = a.end_agent();
        syncing.join().expect("the sync ends, well or not");
        assert_eq!(ended, Some(0), "it ended by itself");
        assert_eq!(a.lines("scouting", "PRAGMA integrity_check"), ["ok"]);
        let status = a.well(&["status"]);
        assert_eq!((&status["values_lost"], &status["agent"]), (&json!(0), &json!(null)));
        a.serve();
        assert!(b.sync_with(&a).verified(), "and goes on where it was");
    }
    sound(&[&b, &a]);
    assert_eq!(a.number("scouting", "SELECT count(*) FROM event"), 12_000);
}

/// The last to leave a file in WAL mode clears its log away: another program must see that the agent is there.
#[cfg(unix)]
#[test]
fn a_program_that_looks_into_the_nodes_own_file_takes_nothing_from_under_the_agent() {
    use std::os::unix::fs::MetadataExt;
    const LOOK: &str = "import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
print(c.execute('SELECT count(*) FROM sqlite_master').fetchone()[0] > 0)
c.close()";
    let a = Server::new("alpha", SCOUTING);
    a.attach();
    a.serve();
    let file = a.home().join("node.db");
    let log = || std::fs::metadata(file.with_extension("db-wal")).map(|m| m.ino()).ok();
    let before = log();
    let mut look = Command::new("python3");
    look.args(["-c", LOOK]).arg(&file);
    assert_eq!(bounded(look, "").1.trim(), "True");
    assert!(before.is_some() && log() == before, "{before:?}, then {:?}", log());
}

#[test]
fn a_large_transfer_that_is_cut_goes_on_where_it_was() {
    const ROWS: u64 = 60_000;
    let (a, b) = (Server::new("alpha", SCOUTING), Server::new("beta", SCOUTING));
    let rows: Vec<_> = (0..ROWS).map(|n| json!([format!("e{n}")])).collect();
    a.many("scouting", "INSERT INTO event(code, name, year) VALUES(?1, 'all', 2026)", json!(rows));
    a.attach();
    b.attach();
    a.serve();
    let invite = a.well(&["invite", "--share", "scouting"]);
    // The first sync is ended in the middle, as a power cut does.
    let mut pairing = Command::new(binary());
    pairing.arg("--home").arg(b.home()).args(["--json", "pair", "-", "--as", "alpha", "--yes"]);
    let mut pairing = pairing
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the command starts");
    let line = invite["invite"].as_str().expect("an invite").as_bytes().to_owned();
    std::io::Write::write_all(&mut pairing.stdin.take().expect("was asked for"), &line).expect("it reads the invite");
    let count = || b.number("scouting", "SELECT count(*) FROM event") as u64;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    // Meanwhile whoever looks sees how far it is, and how long it will take.
    let syncing = loop {
        assert!(std::time::Instant::now() < until, "nothing comes");
        let status = b.well(&["status"]);
        if status["syncing"]["done"].as_u64() > Some(0) {
            break status["syncing"].clone();
        }
    };
    assert!(syncing["total"].as_u64() >= syncing["done"].as_u64(), "{syncing}");
    assert!(syncing["left_ms"].is_u64() && syncing["peer"] == json!("alpha"), "{syncing}");
    pairing.kill().expect("it was started here");
    pairing.wait().expect("it was started here");
    let there = count();
    assert!(there > 0 && there < ROWS, "it was cut in the middle: {there} rows");
    assert_eq!(b.lines("scouting", "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(b.well(&["status"])["syncing"], json!(null), "nobody syncs any more");
    let run = b.sync_with(&a);
    assert!(run.verified(), "{run:?}");
    assert_eq!(count(), ROWS);
    assert!(run.count("received") <= ROWS - there, "what was there is not sent again: {run:?}");
    sound(&[&b, &a]);
}

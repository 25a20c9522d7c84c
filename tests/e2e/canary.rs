//! A canary: a password hash that may be in databases and their backups, and nowhere else.
//!
//! What holds: no log at its longest, no output of any command, no error, no run record and no file in a node's folder
//! or among the temporary files says it, though it is written, changed, clashed about, held, verified and listed.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::scouting::{roles, user};
use crate::server::{SCOUTING, Server, binary, bounded, pair};

const CANARIES: [&str; 4] = ["canary-7f3a91", "canary-b20c44", "canary-e5d813", "canary-09ff62"];

/// Every file below a folder that holds one of them, but databases of the application and their logs.
fn found_in(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the test") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found_in(&path, found);
            continue;
        }
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let is_data = ["users.db", "scouting.db"].iter().any(|db| name.starts_with(db));
        // A file may be gone by now.
        let bytes = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        if !is_data && CANARIES.iter().any(|c| text.contains(c)) {
            found.push(path.display().to_string());
        }
    }
}

fn clean(what: &str, said: &str) {
    for canary in CANARIES {
        assert!(!said.contains(canary), "{what} says {canary}:\n{said}");
    }
}

/// Runs a command with and without `--json`, at the longest log.
fn run(server: &Server, args: &[&str]) {
    for json in [true, false] {
        let mut command = Command::new(binary());
        command.arg("--home").arg(server.home()).args(json.then_some("--json")).args(args);
        command.env("LOCKSTEP_LOG", "trace").env("TMPDIR", server.temporary());
        let (status, stdout, stderr) = bounded(command, "");
        assert!(matches!(status, 0..=4), "{args:?} ended with {status}:\n{stderr}");
        clean(&format!("{args:?} (json: {json})"), &format!("{stdout}{stderr}"));
    }
}

#[test]
fn a_password_hash_is_in_the_databases_and_nowhere_else() {
    let [first, second, third, fourth] = CANARIES;
    let (a, b) = (Server::new("alpha", SCOUTING), Server::new("beta", SCOUTING));
    for (server, hash) in [(&a, first), (&b, second)] {
        server.log.set("trace");
        server.sql("users", &(user("ann", hash) + &roles(&["scout"])));
        server.attach();
    }
    // The two know one user by her name, with two hashes: a conflict. Then another, and a delete against an edit.
    pair(&b, &a);
    a.sql("users", &format!("UPDATE user SET password_hash = '{third}' WHERE username = 'ann'"));
    b.sql("users", &format!("UPDATE user SET password_hash = '{fourth}' WHERE username = 'ann'"));
    b.sync_with(&a);
    a.sql("users", "DELETE FROM user WHERE username = 'ann'");
    b.sql("users", &format!("UPDATE user SET password_hash = '{first}' WHERE username = 'ann'"));
    b.sync_with(&a);
    // Writes that can't travel at once: the peer is away.
    a.sql("users", &user("bob", second));
    b.sql("users", &user("bob", third));
    a.stop();
    b.lockstep(&["sync"]);
    a.serve();
    b.sync_with(&a);

    let known = b.well(&["conflicts", "--all"]);
    let known = known["conflicts"].as_array().expect("conflicts");
    assert!(!known.is_empty(), "the test is about conflicts as well");
    let ids: Vec<String> = known.iter().map(|c| c["id"].as_str().expect("an id").to_owned()).collect();
    for server in [&a, &b] {
        for id in &ids {
            run(server, &["conflicts", "show", id]);
        }
        for args in [
            &["status"][..],
            &["tables"],
            &["peers"],
            &["pending"],
            &["conflicts", "--all"],
            &["quarantine"],
            &["runs"],
            &["settings"],
            &["digest", "users"],
            &["verify"],
            &["preview"],
            &["sync"],
            &["cleanup", "--dry-run"],
            &["cleanup", "--older-than", "1s"],
            &["invite"],
            // What fails says no more.
            &["attach", "users=/nowhere/users.db"],
            &["conflicts", "show", "ffff"],
            &["peers", "retire", "nobody"],
            &["backup", "users", server.file("users").to_str().expect("a path in UTF-8")],
        ] {
            run(server, args);
        }
    }
    // The peer's key is refused, the file is locked, the file is damaged: errors as they come.
    b.sql(
        "users",
        "CREATE TABLE later (id INTEGER PRIMARY KEY, password_hash TEXT NOT NULL CHECK (length(password_hash) > 3))",
    );
    b.sql("users", &format!("INSERT INTO later (password_hash) VALUES ('{second}')"));
    run(&b, &["sync"]);
    run(&b, &["status"]);
    let diagnosed = b.lockstep(&["sync"]);
    clean("the last sync", &diagnosed.json.to_string());
    assert_ne!(diagnosed.json["peers"], json!([]));

    for server in [&a, &b] {
        server.stop();
        let mut found = Vec::new();
        found_in(server.folder(), &mut found);
        assert!(found.is_empty(), "{}: {found:?}", server.name);
        // That the search would find it: it is in the database.
        let bytes = std::fs::read(server.file("users")).expect("the database");
        let log = std::fs::read(server.file("users").with_extension("db-wal")).unwrap_or_default();
        let all = [bytes, log].concat();
        assert!(CANARIES.iter().any(|c| String::from_utf8_lossy(&all).contains(c)), "{}", server.name);
    }
}

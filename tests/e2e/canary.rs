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

/// In a column that does not look secret: a person who asks for rows sees it, and nothing else says it.
const PLAIN: &str = "canary-plain-51d0c8";

/// Every file below a folder that holds one of them, but databases of the application and their logs.
fn found_in(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the test") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found_in(&path, found);
            continue;
        }
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let kept = path.parent().is_some_and(|folder| folder.ends_with("backups"));
        let is_data = kept || ["users.db", "scouting.db"].iter().any(|db| name.starts_with(db));
        // A file may be gone by now.
        let bytes = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        if !is_data && CANARIES.iter().chain([&PLAIN]).any(|c| text.contains(c)) {
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
///
/// Gives how the first time ended.
fn run(server: &Server, args: &[&str]) -> i32 {
    let mut ended = None;
    for json in [true, false] {
        let mut command = Command::new(binary());
        command.arg("--home").arg(server.home()).args(json.then_some("--json")).args(args);
        command.env("LOCKSTEP_LOG", "trace").env("TMPDIR", server.temporary());
        let (status, stdout, stderr) = bounded(command, "");
        assert!(matches!(status, 0..=4), "{args:?} ended with {status}:\n{stderr}");
        clean(&format!("{args:?} (json: {json})"), &format!("{stdout}{stderr}"));
        assert!(!stderr.contains(PLAIN), "{args:?} says on standard error what it may show on standard output alone");
        ended.get_or_insert(status);
    }
    ended.expect("it ran")
}

/// The same of a command that has to go well.
fn goes_well(server: &Server, args: &[&str]) {
    let status = run(server, args);
    assert!(matches!(status, 0 | 3), "{args:?} ended with {status}");
}

/// No file but databases and backups holds one; and the search would find them.
fn nowhere_else(servers: &[&Server]) {
    for server in servers {
        server.stop();
        let mut found = Vec::new();
        found_in(server.folder(), &mut found);
        assert!(found.is_empty(), "{}: {found:?}", server.name);
        let bytes = std::fs::read(server.file("users")).expect("the database");
        let log = std::fs::read(server.file("users").with_extension("db-wal")).unwrap_or_default();
        let all = [bytes, log].concat();
        assert!(CANARIES.iter().any(|c| String::from_utf8_lossy(&all).contains(c)), "{}", server.name);
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

    nowhere_else(&[&a, &b]);
}

/// A user whose address is the plain canary, and whose hash says whose it is.
fn plain_user(name: &str, hash: &str) -> String {
    format!(
        "INSERT INTO user (username, email, password_hash, is_active) VALUES ('{name}', '{name}@{PLAIN}', '{hash}', 1);"
    )
}

fn id_of(server: &Server, name: &str) -> String {
    server.number("users", &format!("SELECT id FROM user WHERE username = '{name}'")).to_string()
}

/// The ids in a list that a command prints.
fn ids(server: &Server, args: &[&str], list: &str, id: &str) -> Vec<String> {
    let said = server.well(args);
    let rows = said[list].as_array().unwrap_or_else(|| panic!("no {list} in {said}")).clone();
    rows.iter().map(|row| row[id].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn history_decisions_and_the_care_of_a_file_say_no_hash() {
    let [first, second, third, fourth] = CANARIES;
    let (a, b) = (Server::new("alpha", SCOUTING), Server::new("beta", SCOUTING));
    a.log.set("trace");
    for server in [&a, &b] {
        server.sql("users", &(plain_user("ann", first) + &plain_user("ben", second)));
        server.attach();
    }
    pair(&b, &a);
    // A clash that waits for a person, a lasting history, and a plan with rows.
    for (server, ann, ben) in [(&a, second, third), (&b, third, fourth)] {
        server.sql("users", &format!("UPDATE user SET password_hash = '{ann}' WHERE username = 'ann'"));
        server.sql("users", &format!("UPDATE user SET password_hash = '{ben}' WHERE username = 'ben'"));
    }
    goes_well(&b, &["preview", "--rows"]);
    goes_well(&b, &["preview"]);
    b.sync_with(&a);
    let clashes = ids(&b, &["conflicts"], "conflicts", "id");
    assert_eq!(clashes.len(), 2, "ann's and ben's");
    let ann = id_of(&b, "ann");
    assert_eq!(run(&b, &["conflicts", "resolve", &clashes[0], "--keep", "nonsense=winner"]), 1);
    for args in [
        &["history", "users.user", &ann][..],
        &["quarantine"],
        &["quarantine", "retry"],
        &["conflicts", "resolve", &clashes[0], "--keep", "loser"],
        &["conflicts", "reviewed", "--all"],
    ] {
        goes_well(&b, args);
    }
    for held in ids(&b, &["quarantine"], "held", "id") {
        goes_well(&b, &["quarantine", "allow", &held]);
    }
    b.sync_with(&a);
    let versions = ids(&b, &["history", "users.user", &ann], "versions", "id");
    goes_well(&b, &["history", "users.user", &ann, "--restore", &versions[versions.len() - 1]]);
    assert_eq!(run(&b, &["history", "users.user", &ann, "--restore", "ffff"]), 1);

    // Rows that are one, and are not.
    b.sql("users", &(plain_user("cat", third) + &plain_user("kat", fourth)));
    let (cat, kat) = (id_of(&b, "cat"), id_of(&b, "kat"));
    goes_well(&b, &["same", "users.user", &cat, &kat]);
    goes_well(&b, &["apart", "users.user", &cat]);
    assert_eq!(run(&b, &["same", "users.user", "no-key", &kat]), 1);

    // So many deletes that they wait; a peer whose changes all wait.
    let crowd: String = (0..150).map(|n| user(&format!("u{n}"), first)).collect();
    a.sql("users", &crowd);
    b.sync_with(&a);
    a.sql("users", "DELETE FROM user WHERE username LIKE 'u%'");
    b.sync_with(&a);
    goes_well(&b, &["deletes"]);
    let guarded = ids(&b, &["deletes"], "guarded", "id");
    assert_eq!(guarded.len(), 1, "all of them together");
    goes_well(&b, &["deletes", "allow", &guarded[0]]);
    goes_well(&b, &["peers", "review", "alpha", "on"]);
    a.sql("users", &format!("UPDATE user SET password_hash = '{second}' WHERE username = 'ben'"));
    b.sync_with(&a);
    goes_well(&b, &["quarantine"]);
    goes_well(&b, &["quarantine", "allow", "--reviewed"]);
    goes_well(&b, &["peers", "review", "alpha", "off"]);

    // The file itself: looked over, migrated well and badly, restored.
    let copy = b.file("users").with_file_name("users.db.before");
    goes_well(&b, &["doctor", "users"]);
    b.well(&["backup", "users", copy.to_str().expect("a path in UTF-8")]);
    goes_well(&b, &["migrate", "users", "--", "true"]);
    assert_eq!(run(&b, &["migrate", "users", "--", "false"]), 1);
    b.sql("users", &format!("UPDATE user SET password_hash = '{fourth}' WHERE username = 'ben'"));
    b.lockstep(&["status"]);
    b.put_back("users", &copy);
    for args in
        [&["status"][..], &["restored", "users", "--rejoin"], &["sync"], &["verify"], &["pause", "30m"], &["resume"]]
    {
        goes_well(&b, args);
    }
    goes_well(&a, &["status"]);
    nowhere_else(&[&a, &b]);
}

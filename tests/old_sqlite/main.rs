//! An application whose SQLite is of 2014 goes on working with an attached file.
//!
//! SQLite 3.8.7.1 is compiled from the sources that npm's `sqlite3@3.0.5` carries, once, into Cargo's own folder for
//! tests. Needs `npm` (with the network, the first time), `tar` and `cc`; without one of them the test fails and says
//! which. Always true here: what the old shell does to an attached file is what it does to one that never was.

use lockstep_engine::capture::{self, Op};
use lockstep_engine::catalog;
use lockstep_engine::config::DatabaseConfig;
use lockstep_engine::database::{AttachOptions, attach, detach};
use lockstep_engine::id::Millis;
use lockstep_engine::{Database, guest};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const VERSION: &str = "3.8.7.1";

/// Runs a program that has to be there and to succeed.
fn run(program: &str, arguments: &[&str], folder: &Path) -> Output {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|e| panic!("this test needs `{program}` to get and compile SQLite {VERSION}, but: {e}"));
    assert!(
        output.status.success(),
        "`{program} {}` failed, which this test needs to get and compile SQLite {VERSION}:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// The old shell, compiled if it is not there yet.
fn old_shell() -> PathBuf {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sqlite-{VERSION}"));
    if !kept.exists() {
        let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("Cargo's folder for tests can be written");
        run("npm", &["pack", "--silent", "sqlite3@3.0.5"], work.path());
        run("tar", &["xzf", "sqlite3-3.0.5.tgz"], work.path());
        run("tar", &["xzf", "package/deps/sqlite-autoconf-3080701.tar.gz"], work.path());
        let sources = work.path().join("sqlite-autoconf-3080701");
        let options = ["-O1", "-w", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION"];
        run("cc", &[&options[..], &["-o", "old", "shell.c", "sqlite3.c", "-lm"]].concat(), &sources);
        std::fs::rename(sources.join("old"), &kept).expect("on the same disk");
    }
    let version = run(&kept.to_string_lossy(), &["--version"], Path::new("."));
    assert!(version.stdout.starts_with(VERSION.as_bytes()), "{}", String::from_utf8_lossy(&version.stdout));
    kept
}

/// Lets the old shell run a script on a file. Gives what it printed.
fn old(shell: &Path, file: &Path, script: &str) -> String {
    let mut child = Command::new(shell)
        .args(["-batch", "-bail"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was just asked for its version");
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("the shell reads its script");
    let output = child.wait_with_output().expect("the shell ends with its script");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "SQLite {VERSION} refused: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every kind of table that 3.8 knows, and so every kind of trigger.
fn schema() -> String {
    let wide: Vec<_> = (1..1900).map(|i| format!("c{i}")).collect();
    format!(
        "CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, mail TEXT UNIQUE, age INT, note);
         CREATE TABLE child(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES person(id) ON DELETE CASCADE, x REAL);
         CREATE TABLE pair(a INTEGER NOT NULL, b INTEGER NOT NULL, x, PRIMARY KEY (a, b)) WITHOUT ROWID;
         CREATE TABLE code(k TEXT PRIMARY KEY COLLATE NOCASE, v);
         CREATE TABLE heap(a, b TEXT);
         CREATE TABLE soft(id INTEGER PRIMARY KEY, name TEXT, gone INT NOT NULL DEFAULT 0);
         CREATE UNIQUE INDEX soft_name ON soft(name) WHERE gone = 0;
         CREATE TABLE hot(id INTEGER PRIMARY KEY, a, b);
         CREATE TABLE \"odd \"\"größe\"\"\"(\"order\" INTEGER PRIMARY KEY, \"a b\" UNIQUE, [select]);
         CREATE TABLE wide(id INTEGER PRIMARY KEY, {}, UNIQUE (c1));
         INSERT INTO person VALUES (1, 'bob', 'b@', 30, NULL), (2, 'amy', 'a@', 40, x'00ff');
         INSERT INTO child VALUES (1, 1, 1.0), (2, 2, 2.5); INSERT INTO wide(id, c1, c1899) VALUES (1, 1, 1);",
        wide.join(", ")
    )
}

/// What the application does.
const WRITES: &str = "
    PRAGMA foreign_keys = ON;
    INSERT INTO person(name, mail) VALUES ('cy', 'c@');
    UPDATE person SET name = 'BOB' WHERE id = 1;
    UPDATE person SET age = age, note = note;
    INSERT OR REPLACE INTO person(name, mail, age) VALUES ('Cy', 'new@', 7);
    UPDATE OR REPLACE person SET mail = 'a@' WHERE name = 'Cy';
    BEGIN; UPDATE person SET id = 77 WHERE name = 'Cy'; UPDATE child SET x = 3; DELETE FROM child WHERE id = 2; COMMIT;
    DELETE FROM person WHERE id = 1;
    INSERT INTO pair VALUES (1, 1, 'x'), (1, 2, 'y'); UPDATE OR REPLACE pair SET b = 2 WHERE b = 1; DELETE FROM pair;
    INSERT INTO pair VALUES (5, 5, 'z'); REPLACE INTO pair VALUES (5, 5, 'zz');
    INSERT INTO code VALUES ('x', 1), (NULL, 2); REPLACE INTO code VALUES ('X', 3);
    UPDATE code SET v = 4; UPDATE code SET k = 'y' WHERE k IS NULL;
    INSERT INTO heap VALUES (1, 'x'), (1, 'x'); UPDATE heap SET b = 'y' WHERE rowid = 1; DELETE FROM heap WHERE b = 'x';
    INSERT INTO soft(name) VALUES ('a'); UPDATE soft SET gone = 1; INSERT INTO soft(name) VALUES ('a');
    INSERT OR REPLACE INTO soft(name) VALUES ('a');
    INSERT INTO hot VALUES (1, 2, 3); UPDATE hot SET a = NULL; UPDATE hot SET id = 2; DELETE FROM hot WHERE id = 99;
    INSERT INTO \"odd \"\"größe\"\"\" VALUES (1, 'a', 'b'); REPLACE INTO \"odd \"\"größe\"\"\" VALUES (2, 'a', 'c');
    UPDATE \"odd \"\"größe\"\"\" SET [select] = 'd';
    UPDATE wide SET c1899 = 2, c3 = 3; INSERT INTO wide(c1, c700) VALUES (2, 2); DELETE FROM wide WHERE c1 = 1;
    REPLACE INTO wide(c1, c800) VALUES (2, 3);
    ANALYZE; VACUUM; REINDEX;
    PRAGMA integrity_check; PRAGMA foreign_key_check;";

const DUMP: &str = "
    SELECT * FROM person; SELECT * FROM child; SELECT * FROM pair; SELECT * FROM code; SELECT * FROM heap;
    SELECT * FROM soft; SELECT * FROM hot; SELECT * FROM \"odd \"\"größe\"\"\"; SELECT * FROM wide;";

fn attached(file: &Path) -> DatabaseConfig {
    let mut config = DatabaseConfig::default();
    config.tables.entry("hot".to_owned()).or_default().history = false;
    let mut random = 0_u8;
    let mut entropy = |bytes: &mut [u8]| {
        random += 1;
        bytes.fill(random);
    };
    let options = AttachOptions::default();
    attach(file, "old", &config, &[], &options, Millis(0), &mut entropy, &mut |_, _| {}).expect("attach");
    config
}

#[test]
fn an_application_with_an_old_sqlite_writes_an_attached_file() {
    let shell = old_shell();
    let folder = tempfile::tempdir().expect("a folder for the files");
    let (file, plain) = (folder.path().join("app.db"), folder.path().join("plain.db"));
    for path in [&file, &plain] {
        assert_eq!(old(&shell, path, &schema()), "");
    }
    let config = attached(&file);
    assert_eq!(old(&shell, &file, WRITES), old(&shell, &plain, WRITES), "what the application is told");
    assert_eq!(old(&shell, &file, DUMP), old(&shell, &plain, DUMP), "what the application wrote");

    let conn = guest::open(&file).expect("a database");
    let catalog = catalog::read(&conn, "old", &config).expect("its schema");
    assert_eq!(catalog.tables.len(), 9);
    let mut seen = BTreeSet::new();
    for table in &catalog.tables {
        let number = "SELECT n FROM _lockstep_table WHERE name = ?1";
        let n: u32 = conn.query_row(number, [&table.name], |r| r.get(0)).expect("it is attached");
        assert_eq!(capture::check(&conn, n, table).expect("it can be read"), Vec::<String>::new());
        let log = capture::read(&conn, n, table, 0, usize::MAX).expect("the log can be read");
        seen.extend(log.iter().map(|row| format!("{} {:?}", table.name, row.op)));
    }
    let wanted = |table: &str, ops: &[Op]| {
        for op in ops {
            assert!(seen.contains(&format!("{table} {op:?}")), "{table} {op:?} is missing: {seen:?}");
        }
    };
    let every = [Op::Insert, Op::Update, Op::Delete, Op::Suspect];
    wanted("person", &every);
    wanted("child", &every[1..3]);
    wanted("pair", &every);
    wanted("code", &[Op::Insert, Op::Update, Op::Suspect]);
    wanted("heap", &every[..3]);
    wanted("soft", &[Op::Insert, Op::Update, Op::Suspect]);
    wanted("hot", &every[..2]);
    wanted("odd \"größe\"", &[Op::Insert, Op::Update, Op::Suspect]);
    wanted("wide", &every);
    drop(conn);

    let mut database = Database::open(&file, &[]).expect("it is attached");
    database.harvest(Millis(0)).expect("harvest");
    let verified = database.verify(Millis(0)).expect("verify");
    assert!(verified.well(), "{verified:?}");
    drop(database);

    // Once more after a harvest, and without us.
    let more = "UPDATE person SET age = 1; INSERT INTO heap VALUES (9, 9); PRAGMA integrity_check;";
    assert_eq!(old(&shell, &file, more), old(&shell, &plain, more));
    detach(&file).expect("detach");
    assert_eq!(old(&shell, &file, ".schema"), old(&shell, &plain, ".schema"));
    assert_eq!(old(&shell, &file, DUMP), old(&shell, &plain, DUMP));
}

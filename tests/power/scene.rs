//! What happens on the machine whose power is cut: an application that writes, and the engine, which exchanges with a
//! peer elsewhere and says each time what the peer may now rely on.
use crate::replicas::{Replica, now};
use lockstep_engine::id::Vectors;
use lockstep_engine::{Error, Limit};
use rusqlite::Connection;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

const SCHEMA: &str = "CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER);
    CREATE TABLE scout (id INTEGER PRIMARY KEY, team_id INTEGER REFERENCES team(id), tag TEXT, team_name TEXT);";

/// Where the promises lie, in the folder itself, so that they are recorded in their place.
pub const PROMISES: &str = "promises";
/// The first of them: Lockstep is attached, and all is at rest.
pub const BEGUN: &str = "begun";

/// The machine's own replica, and the peer's.
pub struct Scene {
    pub here: Replica,
    pub there: Replica,
    mode: &'static str,
    promises: std::fs::File,
}

/// As applications do it. With a rollback journal `NORMAL` is known to risk the file itself, whoever else writes it.
fn application(app: &Connection, mode: &str) {
    let synchronous = if mode == "wal" { "NORMAL" } else { "FULL" };
    app.execute_batch(&format!("PRAGMA foreign_keys = ON; PRAGMA synchronous = {synchronous}")).expect("pragmas");
}

impl Scene {
    /// Makes both files; the machine's in `folder`.
    pub fn begin(folder: &Path, elsewhere: &Path, mode: &'static str) -> Scene {
        let here = Replica::new(folder, "home", SCHEMA);
        here.rows(&format!("PRAGMA journal_mode = {mode}"));
        application(&here.app, mode);
        let here = here.attach("");
        let there = Replica::new(elsewhere, "peer", SCHEMA).attach("");
        there.app.execute_batch("PRAGMA synchronous = OFF").expect("a pragma");
        let promises = OpenOptions::new().create(true).append(true).open(folder.join(PROMISES));
        let mut scene = Scene { here, there, mode, promises: promises.expect("a file") };
        scene.promise(BEGUN);
        scene
    }

    fn promise(&mut self, what: &str) {
        self.promises.write_all(format!("{what}\n").as_bytes()).expect("it is written");
    }

    /// The application writes a team with its scout in one transaction, and edits an earlier one.
    fn write(&self, n: usize) {
        let letter = &self.here.name[..1];
        for (replica, letter) in [(&self.here, letter), (&self.there, "p")] {
            let edit = n / 2;
            replica.sql(&format!(
                "BEGIN; INSERT INTO team (name, n) VALUES ('{letter}{n}', 0);
                 INSERT INTO scout (team_id, tag, team_name) VALUES (last_insert_rowid(), '{letter}{n}', '{letter}{n}');
                 COMMIT; UPDATE team SET n = n + 1 WHERE name IN ('h{edit}', 'p{edit}');"
            ));
            if n % 5 == 4 {
                replica.sql(&format!("DELETE FROM scout WHERE tag = '{letter}{}'", n - 2));
            }
        }
    }

    /// What the peer has is brought here, batch by batch. Whoever asks for the next one says that it has the last.
    fn pull(&mut self) {
        loop {
            let have = self.here.open().vectors().expect("vectors");
            self.promise(&text(&have));
            let limit = Limit { items: 3, bytes: 1 << 20 };
            let batch = self.there.open().extract(&have, limit, now()).expect("a batch");
            self.here.open().apply(&batch, now()).expect("it is applied");
            let has = self.here.open().vectors().expect("vectors");
            self.promise(&text(&has));
            if batch.last {
                return;
            }
        }
    }

    /// What is here goes to the peer. What was sent once is this machine's word.
    fn push(&mut self) {
        loop {
            let have = self.there.open().vectors().expect("vectors");
            let limit = Limit { items: 3, bytes: 1 << 20 };
            let batch = self.here.open().extract(&have, limit, now()).expect("a batch");
            self.promise(&text(&batch.end));
            match self.there.open().apply(&batch, now()) {
                Ok(_) if batch.last => return,
                Ok(_) | Err(Error::StartNotReached { .. }) => {}
                Err(e) => panic!("{e}"),
            }
        }
    }

    /// All of it.
    pub fn play(mut self) {
        for n in 0..10 {
            self.write(n);
            match n % 4 {
                0 => self.push(),
                1 => self.pull(),
                2 => {
                    self.pull();
                    self.push();
                }
                _ => {
                    // The application stops; whoever is last here tidies up after it.
                    self.here.app = Connection::open_in_memory().expect("a place to wait");
                    self.pull();
                    self.here.app = Connection::open(&self.here.path).expect("it starts again");
                    application(&self.here.app, self.mode);
                    self.push();
                }
            }
            if n == 6 {
                self.here.rows("PRAGMA wal_checkpoint(TRUNCATE)");
            }
        }
    }
}

/// A line that names how far each table has each replica.
fn text(vectors: &Vectors) -> String {
    let mut words = Vec::new();
    for (table, vector) in vectors {
        words.extend(vector.iter().map(|(replica, seq)| format!("{table}.{replica}={}", seq.0)));
    }
    words.join(" ")
}

/// What such a line promises, and a file does not have.
pub fn missing(promise: &str, has: &Vectors) -> Option<String> {
    let has = text(has);
    let has: std::collections::BTreeMap<&str, u64> = has.split_whitespace().map(split).collect();
    promise
        .split_whitespace()
        .map(split)
        .find(|(what, seq)| has.get(what).is_none_or(|h| h < seq))
        .map(|(what, seq)| format!("{what} was promised up to {seq}, and {:?} is there", has.get(what)))
}

fn split(word: &str) -> (&str, u64) {
    let (what, seq) = word.split_once('=').expect("a number");
    (what, seq.parse().expect("a number"))
}

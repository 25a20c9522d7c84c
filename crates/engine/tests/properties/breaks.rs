//! What breaks in on a node: it goes down inside a transaction, or gets its files back from a backup, or those of another.
use super::super::oracle::Snapshot;
use super::super::schedule::Statement;
use super::{Checked, World};
use crate::replicas::BREAK;
use lockstep_engine::change::Batch;
use lockstep_engine::database::Applied;
use lockstep_engine::id::ReplicaId;
use lockstep_engine::lineage::Continuity;
use rusqlite::Connection;

/// All files of a node, as they were.
pub struct Backup {
    of: usize,
    files: Vec<Vec<u8>>,
    late: bool,
}

/// How the taking of a batch ended.
#[allow(dead_code, reason = "only the simulation breaks in")]
pub enum Taken {
    /// As it should; None: refused.
    Done(Option<Applied>),
    /// The node went down inside.
    Down,
}

#[allow(dead_code, reason = "only the simulation breaks in")]
impl World {
    /// A node takes a batch, and goes down at that step of SQLite's machine, if the work is as long as that.
    pub fn take_until(&mut self, n: usize, db: usize, batch: &Batch, step: u64) -> Result<Taken, String> {
        let before = self.snapshot(n);
        BREAK.set(Some(step));
        let done = self.take(n, db, batch);
        BREAK.set(None);
        match done {
            Err(e) if e.contains("interrupted") => {
                if self.trace {
                    eprintln!("{} {n} goes down taking a batch of database {db}", self.step);
                }
                self.recovered(n, &before).map(|()| Taken::Down)
            }
            done => done.map(Taken::Done),
        }
    }

    /// What must hold of a node that went down and is up again.
    fn recovered(&mut self, n: usize, before: &Snapshot) -> Checked {
        self.nodes[n].at_rest = false;
        self.after_sync(n, before)
    }

    /// A copy of all files of a node, with everything in it that its application wrote.
    pub fn backup(&mut self, n: usize) -> Result<Backup, String> {
        self.harvest(n)?;
        let files = self.nodes[n].dbs.iter().map(|r| {
            r.app.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("nobody else is there");
            std::fs::read(&r.path).expect("the file")
        });
        Ok(Backup { of: n, files: files.collect(), late: self.nodes[n].late })
    }

    /// Does this node know everything that the other knows?
    pub fn knows_all_of(&self, n: usize, other: usize) -> bool {
        self.nodes[n].dbs.iter().zip(&self.nodes[other].dbs).all(|(mine, theirs)| {
            let (mine, theirs) = (mine.open().vectors().expect("vectors"), theirs.open().vectors().expect("vectors"));
            theirs.iter().all(|(table, vector)| {
                vector.iter().all(|(r, seq)| mine.get(table).and_then(|v| v.get(r)).is_some_and(|s| s >= seq))
            })
        })
    }

    /// A node's files become those of a backup, its own or another node's, its application goes on with them, and then its
    /// marks say that this is not the history that it remembers: it begins a new incarnation. What it alone has of what it
    /// wrote is gone with its files, so a peer has to know it all.
    pub fn restore(&mut self, n: usize, backup: &Backup, on: &[Statement]) -> Checked {
        if self.trace {
            eprintln!("{} {n} gets back the files of {}", self.step, backup.of);
        }
        let mut remembered = Vec::new();
        for (r, bytes) in self.nodes[n].dbs.iter_mut().zip(&backup.files) {
            let open = r.open();
            remembered.push((open.replica().map_err(|e| e.to_string())?, open.mark().map_err(|e| e.to_string())?));
            drop(open);
            let keys: i64 = r.app.query_row("PRAGMA foreign_keys", [], |r| r.get(0)).expect("a pragma");
            r.app = Connection::open_in_memory().expect("a place to wait");
            std::fs::write(&r.path, bytes).expect("the file is put back");
            r.app = Connection::open(&r.path).expect("it opens");
            r.app.execute_batch(&format!("PRAGMA foreign_keys = {keys}; PRAGMA synchronous = OFF")).expect("pragmas");
        }
        let node = &mut self.nodes[n];
        (node.late, node.at_rest) = (backup.late, false);
        node.ids.clear();
        node.touched.clear();
        node.stamped.retain(|_, _| false);
        self.oracle.texts.values_mut().filter(|x| x.node == n).for_each(|x| x.exempt = true);
        self.note_ids(n);
        self.application(n, on);
        let now = self.now(n);
        for (db, (was, mark)) in remembered.into_iter().enumerate() {
            let r = &self.nodes[n].dbs[db];
            let mut open = r.open();
            let old = open.replica().map_err(|e| e.to_string())?;
            let stayed = old == was && open.mark().map_err(|e| e.to_string())? == mark;
            if old == was && !stayed && open.continues(mark).map_err(|e| e.to_string())? == Continuity::Continues {
                return Err(format!("{n} got back an older file, and nobody can tell by its marks"));
            }
            let mut id = [0xb0; 16];
            (id[0], id[1]) = (n as u8, db as u8);
            id[8..].copy_from_slice(&self.step.to_be_bytes());
            open.begin_incarnation(old, ReplicaId(id), now).map_err(|e| format!("a new incarnation: {e}"))?;
            open.live_on(&r.host(), now).map_err(|e| format!("where it lives: {e}"))?;
        }
        Ok(())
    }
}

//! How far a session has come, for those who look from another process.
//!
//! Always true here: it is written once a second at most, and only by a session that takes longer than that; what a
//! process left behind that was ended is not believed, since it no longer holds its lock.
use crate::Result;
use crate::home::Work;
use crate::node::{Node, timestamp};
use crate::status::Syncing;
use lockstep_engine::id::Millis;
use lockstep_wire::session::Progress;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often it is written.
const EVERY: Duration = Duration::from_secs(1);
/// Where.
const NOTE: &str = "underway";

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Note {
    peer: String,
    database: Option<String>,
    done: u64,
    total: u64,
    since: i64,
}

/// A session under way.
pub(crate) struct Underway {
    node: Arc<Node>,
    peer: String,
    since: Millis,
    last: Mutex<Instant>,
    written: AtomicBool,
}

impl Underway {
    pub(crate) fn new(node: Arc<Node>, peer: &str, since: Millis) -> Underway {
        Underway {
            node,
            peer: peer.to_owned(),
            since,
            last: Mutex::new(Instant::now()),
            written: AtomicBool::new(false),
        }
    }

    /// It has come so far.
    pub(crate) fn at(&self, progress: &Progress) {
        {
            let mut last = self.last.lock().unwrap_or_else(|e| e.into_inner());
            if last.elapsed() < EVERY {
                return;
            }
            *last = Instant::now();
        }
        self.written.store(true, Ordering::Relaxed);
        let note = Note {
            peer: self.peer.clone(),
            database: progress.database.clone(),
            done: progress.received + progress.sent,
            total: progress.to_receive + progress.to_send,
            since: self.since.0,
        };
        let node = self.node.clone();
        tokio::task::spawn_blocking(move || {
            let text = serde_json::to_string(&note).expect("plain data");
            if let Err(e) = node.state().set_setting(NOTE, &text) {
                tracing::debug!(error = %e, "how far a session has come could not be written");
            }
        });
    }

    /// It is over.
    pub(crate) fn over(self) -> Result<()> {
        if self.written.load(Ordering::Relaxed) {
            self.node.state().forget_note(NOTE)?;
        }
        Ok(())
    }
}

impl Node {
    /// The session that some process of this home runs now, if it has been running for a while.
    pub fn syncing(&self) -> Result<Option<Syncing>> {
        if self.home().try_lock(Work::Sync)?.is_some() {
            return Ok(None);
        }
        let Some(note) = self.state().note(NOTE)? else { return Ok(None) };
        let Ok(Note { peer, database, done, total, since }) = serde_json::from_str(&note) else { return Ok(None) };
        let took = self.now().0.saturating_sub(since).max(0).unsigned_abs();
        let left = |done: u64| took.saturating_mul(total.saturating_sub(done)) / done;
        let left_ms = (done > 0).then(|| left(done));
        Ok(Some(Syncing { peer, database, done, total, since: timestamp(Millis(since)), left_ms }))
    }
}

//! How far comparing and verifying are, told while they run, and their end where nobody waits for them any more.
//!
//! Always true here: what was found of a table is held before the next table begins, so that a comparison that is ended
//! leaves nothing half. Not here: how far a session is (`session`).
use crate::{Error, Result};
use lockstep_engine::Reading;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is told.
const EVERY: Duration = Duration::from_millis(200);

/// How far it is with one table, or with all of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSoFar {
    /// `DB`, or `DB.TABLE`; empty: nothing is read yet.
    pub what: String,
    /// With whose rows they are compared; None: with what is known of them here.
    pub peer: Option<String>,
    /// Rows that were read here.
    pub rows: u64,
    /// Of so many.
    pub of: u64,
}

/// Told every now and then. Says whether it shall go on.
pub type ReadWatcher<'a> = &'a (dyn Fn(&ReadSoFar) -> ControlFlow<()> + Send + Sync);

/// For a reading that nobody watches.
pub fn unwatched(_: &ReadSoFar) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// What is read now.
#[derive(Default)]
pub(crate) struct Look {
    reading: Arc<Reading>,
    /// And how much had been read before.
    now: Mutex<(ReadSoFar, u64)>,
}

impl Look {
    /// Reads that next.
    pub(crate) fn begin(&self, what: &str, peer: Option<&str>, of: u64) {
        let now = ReadSoFar { what: what.to_owned(), peer: peer.map(str::to_owned), rows: 0, of };
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (now, self.reading.rows());
    }

    /// Where it is counted.
    pub(crate) fn reading(&self) -> Arc<Reading> {
        self.reading.clone()
    }

    fn so_far(&self) -> ReadSoFar {
        let (mut now, before) = self.now.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Deleted rows are read, too, and not counted among those that there are.
        now.rows = self.reading.rows().saturating_sub(before).min(now.of);
        now
    }

    /// Does the work and tells how far it is, until it is done or nobody wants it any more.
    pub(crate) async fn watched<T>(
        &self,
        watcher: ReadWatcher<'_>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut ticks = tokio::time::interval(EVERY);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    // It is done: there is nothing left to break off.
                    let _ = watcher(&self.so_far());
                    return done;
                }
                _ = ticks.tick() => if watcher(&self.so_far()).is_break() {
                    self.reading.end();
                    return Err(Error::Stopped);
                },
            }
        }
    }
}

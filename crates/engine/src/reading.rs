//! How far a reading of whole tables is, for who waits for it; and its end, where nobody does any more.
//!
//! Always true here: what is ended leaves nothing half: a reading changes nothing, and what writes is rolled back.
use crate::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared between who reads and who waits. Rows are counted a slice at a time.
#[derive(Debug, Default)]
pub struct Reading {
    rows: AtomicU64,
    ended: AtomicBool,
}

impl Reading {
    /// Rows that have been read, those that were deleted too.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Nobody waits any more: the reading ends with its slice.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// So many more were read.
    pub(crate) fn read(&self, rows: usize) -> Result<(), Error> {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        if self.ended.load(Ordering::Relaxed) { Err(Error::Ended) } else { Ok(()) }
    }
}

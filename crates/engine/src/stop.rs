//! Named points of harvest, apply and acknowledgement, at which a test stops this process to kill it there.
//!
//! Always true here: without the feature `stops`, which no shipped build has, a point is nothing. With it, the process
//! that finds a point's name in `LOCKSTEP_STOP` writes that name into the file that `LOCKSTEP_STOPPED` names, and the
//! thread that came there waits for its end, with whatever transaction it holds.

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal),+ $(,)?) => {
        /// Where a process can be stopped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point { $($(#[$doc])* $point),+ }

        impl Point {
            /// All of them, in the order in which a change comes by.
            pub const ALL: &[Point] = &[$(Point::$point),+];

            /// As it is written in `LOCKSTEP_STOP`.
            pub fn name(self) -> &'static str {
                match self { $(Point::$point => $name),+ }
            }
        }
    };
}

points! {
    /// The write lock is held, nothing is read.
    HarvestBegun = "harvest.begun",
    /// The logs are read and trimmed, the versions lie in memory.
    HarvestNumbered = "harvest.numbered",
    /// The versions are written, not committed.
    HarvestStored = "harvest.stored",
    /// A slice is committed.
    HarvestCommitted = "harvest.committed",
    /// The write lock is held, the batch is not looked at.
    ApplyBegun = "apply.begun",
    /// What the application wrote meanwhile is taken in.
    ApplyCaughtUp = "apply.caught_up",
    /// The batch is merged in memory, and the rows are planned.
    ApplyPlanned = "apply.planned",
    /// The application's rows are written.
    ApplyWritten = "apply.written",
    /// Versions and vectors are written, not committed.
    ApplyStored = "apply.stored",
    /// The batch is committed, and nobody knows.
    ApplyCommitted = "apply.committed",
    /// What the sender of a batch has is remembered; the acknowledgement is not sent.
    Unacknowledged = "acknowledge.unsent",
    /// An acknowledgement came and is not remembered.
    Acknowledged = "acknowledge.came",
    /// It is remembered.
    AcknowledgementKept = "acknowledge.kept",
}

/// This process has come to a point.
#[cfg(not(feature = "stops"))]
#[inline(always)]
pub fn at(_: Point) {}

/// This process has come to a point.
#[cfg(feature = "stops")]
pub fn at(point: Point) {
    let named = std::env::var("LOCKSTEP_STOP").is_ok_and(|name| name == point.name());
    if let Some(path) = std::env::var_os("LOCKSTEP_STOPPED").filter(|_| named) {
        std::fs::write(path, point.name()).expect("the test reads it");
        loop {
            std::thread::park();
        }
    }
}

//! What a status amounts to: one word for the window, the tray and the colour of both.
//!
//! Always true here: the first state that holds wins, worst first, and nothing is called fine while
//! anything waits. Not here: the sentence that goes with it (the page writes that).

use crate::view::{Capture, Count, Millis, StatusView};
use serde::Serialize;

/// After this long without a verified run, "fine" would claim more than is known.
const STALE_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

/// The states, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Nothing is attached, or nobody is paired.
    Setup,
    /// Capture is not well, or a value is in no account.
    Error,
    /// Something waits for a person.
    Conflict,
    /// A peer can't be reached.
    Offline,
    /// A person asked background sync to rest.
    Paused,
    /// A session runs.
    Syncing,
    /// Changes are on their way.
    Pending,
    /// It is too long since both sides were found equal.
    Stale,
    /// Both sides were found equal, and nothing waits.
    Fine,
}

/// The facts that a state is read from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts {
    databases: usize,
    peers: usize,
    capture_problems: usize,
    unreachable: usize,
    conflicts: Count,
    held: Count,
    /// Files that were restored or copied, of which nobody has said what that is to mean.
    breaks: usize,
    pending: Count,
    /// A value is in no account, or the accounts could not be drawn up.
    balance_open: bool,
    paused: bool,
    syncing: bool,
    /// Since the peer that was verified longest ago; `None` when one never was.
    since_verified: Option<i64>,
}

impl Facts {
    /// Reads them from a status; `status.state` itself is not looked at. Whether a session runs no status says.
    pub(crate) fn of(status: &StatusView, syncing: bool) -> Facts {
        let databases = &status.databases;
        let peers = &status.peers;
        let captures = databases.iter().map(|d| &d.capture).chain(peers.iter().map(|p| &p.capture));
        let verified: Option<Vec<Millis>> = peers.iter().map(|p| p.last_verified_at).collect();
        let oldest = verified.and_then(|all| all.into_iter().min());
        Facts {
            databases: databases.len(),
            peers: peers.len(),
            capture_problems: captures.filter(|c| matches!(c, Capture::Problem { .. })).count(),
            unreachable: peers.iter().filter(|p| !p.reachable).count(),
            conflicts: status.conflicts_unreviewed,
            held: databases.iter().map(|d| d.held).chain(peers.iter().map(|p| p.held)).sum(),
            breaks: databases.iter().filter(|d| d.history.is_some()).count(),
            pending: databases.iter().map(|d| d.pending).chain(peers.iter().map(|p| p.pending)).sum(),
            balance_open: status.values_lost > Count(0) || status.values_lost_because.is_some(),
            paused: status.paused_until.is_some_and(|until| until > status.at),
            syncing,
            since_verified: oldest.map(|at| (status.at.0 - at.0).max(0)),
        }
    }

    /// The first state that holds.
    pub(crate) fn state(self) -> State {
        let none = Count(0);
        if self.databases == 0 || self.peers == 0 {
            State::Setup
        } else if self.capture_problems > 0 || self.balance_open {
            State::Error
        } else if self.conflicts > none || self.held > none || self.breaks > 0 {
            State::Conflict
        } else if self.unreachable > 0 {
            State::Offline
        } else if self.paused {
            State::Paused
        } else if self.syncing {
            State::Syncing
        } else if self.pending > none {
            State::Pending
        } else if self.since_verified.is_none_or(|ago| ago > STALE_AFTER_MS) {
            State::Stale
        } else {
            State::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calm() -> Facts {
        Facts { databases: 2, peers: 1, since_verified: Some(60_000), ..Facts::default() }
    }

    #[test]
    fn the_first_state_that_holds_wins() {
        let one = Count(1);
        let cases = [
            (calm(), State::Fine),
            (Facts { since_verified: None, ..calm() }, State::Stale),
            (Facts { since_verified: Some(STALE_AFTER_MS), ..calm() }, State::Fine),
            (Facts { since_verified: Some(STALE_AFTER_MS + 1), ..calm() }, State::Stale),
            (Facts { pending: one, since_verified: None, ..calm() }, State::Pending),
            (Facts { syncing: true, pending: one, ..calm() }, State::Syncing),
            (Facts { paused: true, syncing: true, ..calm() }, State::Paused),
            (Facts { paused: true, pending: one, ..calm() }, State::Paused),
            (Facts { unreachable: 1, paused: true, ..calm() }, State::Offline),
            (Facts { unreachable: 1, pending: one, ..calm() }, State::Offline),
            (Facts { held: one, unreachable: 1, ..calm() }, State::Conflict),
            (Facts { conflicts: one, unreachable: 1, ..calm() }, State::Conflict),
            (Facts { breaks: 1, pending: one, ..calm() }, State::Conflict),
            (Facts { capture_problems: 1, conflicts: one, ..calm() }, State::Error),
            (Facts { balance_open: true, conflicts: one, ..calm() }, State::Error),
            (Facts { peers: 0, capture_problems: 1, ..calm() }, State::Setup),
            (Facts { databases: 0, ..calm() }, State::Setup),
        ];
        for (facts, expected) in cases {
            assert_eq!(facts.state(), expected, "{facts:?}");
        }
    }
}

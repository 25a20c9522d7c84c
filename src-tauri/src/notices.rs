//! Notifications: what a person should hear of while nobody looks at the window.
//!
//! Always true here: one of each kind for a run at most; names of servers and counts, never a value of a row.

use crate::events::Event;
use crate::view::{Count, PeerRunView};
use crate::window;
use std::collections::BTreeSet;
use tauri::AppHandle;
use tauri_plugin_notification::NotificationExt;

/// So many failures in a row are worth a word; one is not.
const ALARM: u32 = 3;

/// What was told of already.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The last run that was looked at. None: what is there at the first look is known.
    pub last: Option<i64>,
    /// What was held here after it.
    held: Count,
    /// The peers with which the sync keeps failing.
    alarmed: BTreeSet<String>,
}

/// A run that ended since the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its number here; they only grow.
    pub id: i64,
    /// What came of it.
    pub run: PeerRunView,
    /// So many in a row have failed with that peer by now.
    pub failures: u32,
}

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Notice {
    title: String,
    body: String,
}

/// Looks at what ended, and tells of what nobody saw.
pub(crate) fn tell(app: &AppHandle, known: &mut Known, ended: &[Ended]) {
    let first = known.last.is_none();
    for notice in notices(known, ended) {
        if window::is_looked_at(app) || first {
            continue;
        }
        if let Err(error) = app.notification().builder().title(notice.title).body(notice.body).show() {
            tracing::warn!(%error, "a notification could not be shown");
        }
    }
    if !first {
        for run in ended {
            Event::Ran { run: run.run.clone() }.tell(app);
        }
    }
}

fn notices(known: &mut Known, ended: &[Ended]) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut notice = |title: String, body: &str| notices.push(Notice { title, body: body.to_owned() });
    for Ended { id, run, failures } in ended {
        known.last = known.last.max(Some(*id));
        let peer = &run.name;
        match (run.conflicts.0, run.verified) {
            (0, _) => {}
            (1, _) => notice(format!("A conflict with {peer}"), "Both sides are kept. It waits in the console."),
            (n, _) => notice(format!("{n} conflicts with {peer}"), "Both sides are kept. They wait in the console."),
        }
        if run.held > known.held {
            let more = run.held.0 - known.held.0;
            let title = if more == 1 { "A change is held".to_owned() } else { format!("{more} changes are held") };
            notice(title, "They are kept, not applied. The console says what each waits for.");
        }
        known.held = run.held;
        if run.verified {
            if known.alarmed.remove(peer) {
                notice(format!("{peer} is in step again"), "Both sides were compared and are equal.");
            }
        } else if *failures >= ALARM && known.alarmed.insert(peer.clone()) {
            notice(format!("Sync with {peer} keeps failing"), "It is tried again by itself. The console says why.");
        }
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Millis;

    fn ended(id: i64, conflicts: u64, held: u64, verified: bool, failures: u32) -> Ended {
        let none = Count(0);
        let run = PeerRunView {
            name: "venue".to_owned(),
            sent: none,
            received: none,
            applied: none,
            conflicts: Count(conflicts),
            held: Count(held),
            id_moves: none,
            verified,
            duration_ms: Millis(1),
            error: None,
        };
        Ended { id, run, failures }
    }

    fn titles(known: &mut Known, runs: &[Ended]) -> Vec<String> {
        notices(known, runs).into_iter().map(|n| n.title).collect()
    }

    #[test]
    fn a_run_is_told_of_once_and_by_counts() {
        let mut known = Known::default();
        assert_eq!(titles(&mut known, &[ended(1, 0, 0, true, 0)]), Vec::<String>::new());
        let clash = [ended(2, 3, 2, true, 0)];
        assert_eq!(titles(&mut known, &clash), ["3 conflicts with venue", "2 changes are held"]);
        assert_eq!(known.last, Some(2));
        let same = [ended(3, 0, 2, true, 0)];
        assert_eq!(titles(&mut known, &same), Vec::<String>::new(), "what is held still is no news");
    }

    #[test]
    fn the_third_failure_is_the_alarm_and_its_end_is_told() {
        let mut known = Known::default();
        for (id, failures, expected) in
            [(1, 1, vec![]), (2, 2, vec![]), (3, 3, vec!["Sync with venue keeps failing"]), (4, 4, vec![])]
        {
            assert_eq!(titles(&mut known, &[ended(id, 0, 0, false, failures)]), expected, "failure {failures}");
        }
        assert_eq!(titles(&mut known, &[ended(5, 0, 0, true, 0)]), ["venue is in step again"]);
    }
}

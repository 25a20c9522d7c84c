//! The tray: the node's state in one picture and one line, and what is wanted most often.
//!
//! Always true here: picture, line and menu come from one value, so that they can't disagree; only "fine" is
//! green. Not here: where that value comes from (`watch`), how the desktop shows it (`tray::shown`).

mod shown;

use crate::events::Screen;
use crate::overview::State;
use crate::view::{Count, Millis, StatusView};
use lockstep_node::pause::Pause;
pub(crate) use shown::{Tray, end, has_host};
use std::time::Duration;

/// All that the tray shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Face {
    /// The first state that holds.
    pub state: State,
    /// What this node calls itself; without a node, nothing.
    pub node: Option<String>,
    /// The state in a line.
    pub line: String,
    /// A session that can be stopped runs in this process.
    pub stoppable: bool,
    /// What waits for a person.
    pub conflicts: Count,
    /// Rows that some peer lacks.
    pub pending: Count,
    /// Background sync rests.
    pub paused: bool,
    /// The console comes up with the desktop.
    pub at_login: bool,
}

/// What a menu entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A session with every peer.
    SyncNow,
    /// The session ends after the batch it is in.
    Stop,
    /// Opens the conflicts.
    Conflicts,
    /// Opens what is pending.
    Pending,
    /// Background sync rests.
    Pause(Pause),
    /// Background sync goes on.
    Resume,
    /// Opens the window.
    Open,
    /// The console comes up with the desktop from now on, or no longer.
    AtLogin(bool),
    /// Ends the console.
    Quit,
}

const HALF_AN_HOUR: Pause = Pause::For(Duration::from_secs(30 * 60));
const HOUR: Pause = Pause::For(Duration::from_secs(60 * 60));

impl Act {
    /// Each, with the name that the desktop's menu gives back.
    const ALL: [(Act, &str); 13] = [
        (Act::SyncNow, "sync-now"),
        (Act::Stop, "stop"),
        (Act::Conflicts, "conflicts"),
        (Act::Pending, "pending"),
        (Act::Pause(HALF_AN_HOUR), "pause-30m"),
        (Act::Pause(HOUR), "pause-1h"),
        (Act::Pause(Pause::Tomorrow), "pause-tomorrow"),
        (Act::Pause(Pause::UntilResumed), "pause-resumed"),
        (Act::Resume, "resume"),
        (Act::Open, "open"),
        (Act::AtLogin(true), "at-login"),
        (Act::AtLogin(false), "not-at-login"),
        (Act::Quit, "quit"),
    ];

    fn name(self) -> &'static str {
        Act::ALL.iter().find(|(act, _)| *act == self).map_or("", |(_, name)| name)
    }

    /// The act of a menu entry.
    pub(crate) fn named(name: &str) -> Option<Act> {
        Act::ALL.iter().find(|(_, n)| *n == name).map(|(act, _)| *act)
    }
}

/// One line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Says something, does nothing.
    Says(String),
    /// A line between groups.
    Between,
    /// Does something.
    Does(Act, String),
    /// Opens further entries.
    Holds(String, Vec<Entry>),
}

impl Face {
    /// Reads it from a status.
    pub(crate) fn of(status: &StatusView, stoppable: bool, at_login: bool) -> Face {
        let held = status.databases.iter().map(|d| d.held).sum::<Count>();
        let conflicts = Count(status.conflicts_unreviewed.0.max(held.0));
        let pending = pending(status);
        Face {
            state: status.state,
            node: Some(status.node.clone()),
            line: line(status, conflicts, pending),
            stoppable,
            conflicts,
            pending,
            paused: status.paused_until.is_some_and(|until| until > status.at),
            at_login,
        }
    }

    /// There is no node yet, or it can't be asked.
    pub(crate) fn without(state: State, line: String, at_login: bool) -> Face {
        let none = Count(0);
        Face { state, node: None, line, stoppable: false, conflicts: none, pending: none, paused: false, at_login }
    }

    /// The line above the tooltip's.
    pub(crate) fn title(&self) -> String {
        self.node.as_ref().map_or_else(|| "Lockstep".to_owned(), |node| format!("Lockstep on {node}"))
    }

    /// The screen that fits.
    pub(crate) fn screen(&self) -> Screen {
        match self.state {
            State::Setup => Screen::Setup,
            State::Conflict => Screen::Conflicts,
            State::Pending => Screen::Pending,
            State::Stale => Screen::Compare,
            State::Error | State::Offline | State::Paused | State::Syncing | State::Fine => Screen::Overview,
        }
    }

    /// The menu.
    pub(crate) fn menu(&self) -> Vec<Entry> {
        let does = |act, text: &str| Entry::Does(act, text.to_owned());
        let mut menu = vec![Entry::Says(self.line.clone()), Entry::Between];
        if self.state != State::Setup {
            menu.push(match self.stoppable {
                true => does(Act::Stop, "Stop after this batch"),
                false => does(Act::SyncNow, "Sync now"),
            });
            menu.push(Entry::Does(Act::Conflicts, format!("Review conflicts ({})", self.conflicts.0)));
            menu.push(Entry::Does(Act::Pending, format!("Pending ({})", self.pending.0)));
            menu.push(match self.paused {
                true => does(Act::Resume, "Resume"),
                false => Entry::Holds(
                    "Pause for".to_owned(),
                    vec![
                        does(Act::Pause(HALF_AN_HOUR), "30 minutes"),
                        does(Act::Pause(HOUR), "1 hour"),
                        does(Act::Pause(Pause::Tomorrow), "Until tomorrow"),
                        does(Act::Pause(Pause::UntilResumed), "Until resumed"),
                    ],
                ),
            });
            menu.push(Entry::Between);
        }
        menu.push(does(Act::Open, "Open Lockstep"));
        // Words, not a tick: the desktop moves a tick with the click, before anything is done.
        menu.push(match self.at_login {
            true => does(Act::AtLogin(false), "Do not start at login"),
            false => does(Act::AtLogin(true), "Start at login"),
        });
        menu.push(does(Act::Quit, "Quit"));
        menu
    }
}

/// A row that several peers lack is counted once for this node.
fn pending(status: &StatusView) -> Count {
    let here = status.databases.iter().map(|d| d.pending).sum::<Count>();
    if here > Count(0) { here } else { status.peers.iter().map(|p| p.pending).sum() }
}

fn line(status: &StatusView, conflicts: Count, pending: Count) -> String {
    match status.state {
        State::Setup if status.databases.is_empty() => "Set-up needed: no database is attached".to_owned(),
        State::Setup => "Set-up needed: no other node is paired".to_owned(),
        State::Error if status.values_lost > Count(0) || status.values_lost_because.is_some() => {
            "Error: the balance does not add up".to_owned()
        }
        State::Error => "Error: writes may go unseen".to_owned(),
        State::Conflict => match conflicts.0 {
            0 => "Changes wait for a person at another node".to_owned(),
            1 => "1 waits for you".to_owned(),
            n => format!("{n} wait for you"),
        },
        State::Offline => {
            let away: Vec<&str> = status.peers.iter().filter(|p| !p.reachable).map(|p| p.name.as_str()).collect();
            format!("{} can't be reached", away.join(", "))
        }
        State::Paused => match status.paused_until.and_then(|until| clock(status.at, until)) {
            Some(until) => format!("Paused until {until}"),
            None => "Paused until resumed".to_owned(),
        },
        State::Syncing => "Syncing".to_owned(),
        State::Pending => match pending.0 {
            1 => "1 row is on its way".to_owned(),
            n => format!("{n} rows are on their way"),
        },
        State::Stale => match verified(status) {
            Some(at) => format!("Not compared since {at}"),
            None => "Not compared yet".to_owned(),
        },
        State::Fine => match verified(status) {
            Some(at) => format!("In step, compared {at}"),
            None => "In step".to_owned(),
        },
    }
}

/// When the peer that was verified longest ago was verified.
fn verified(status: &StatusView) -> Option<String> {
    let all: Option<Vec<Millis>> = status.peers.iter().map(|p| p.last_verified_at).collect();
    all.and_then(|all| all.into_iter().min()).and_then(|at| clock(status.at, at))
}

/// A moment as the clock on the wall shows it, with the day where that is not today. `None`: beyond any clock.
fn clock(now: Millis, at: Millis) -> Option<String> {
    let here = jiff::tz::TimeZone::system();
    let local = |at: Millis| Some(jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(here.clone()));
    let (now, at) = (local(now)?, local(at)?);
    if at.year() > now.year() + 50 {
        return None;
    }
    let form = if at.date() == now.date() { "%H:%M" } else { "%b %-d, %H:%M" };
    Some(at.strftime(form).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(state: State) -> Face {
        Face {
            state,
            node: Some("pit-laptop".to_owned()),
            line: "a line".to_owned(),
            stoppable: false,
            conflicts: Count(3),
            pending: Count(12),
            paused: false,
            at_login: true,
        }
    }

    #[test]
    fn every_act_comes_back_by_its_name() {
        for (act, name) in Act::ALL {
            assert_eq!((Act::named(name), act.name()), (Some(act), name));
        }
        assert_eq!(Act::named("anything"), None);
    }

    #[test]
    fn the_menu_offers_what_can_be_done_now() {
        let acts = |face: &Face| -> Vec<Act> {
            let act = |e: &Entry| match e {
                Entry::Does(act, _) => Some(*act),
                Entry::Says(_) | Entry::Between | Entry::Holds(..) => None,
            };
            face.menu().iter().filter_map(act).collect()
        };
        let calm = [Act::SyncNow, Act::Conflicts, Act::Pending, Act::Open, Act::AtLogin(false), Act::Quit];
        assert_eq!(acts(&face(State::Fine)), calm);
        let stoppable = Face { stoppable: true, ..face(State::Syncing) };
        assert_eq!(acts(&stoppable)[0], Act::Stop);
        let paused = Face { paused: true, ..face(State::Paused) };
        assert!(acts(&paused).contains(&Act::Resume));
        assert_eq!(acts(&face(State::Setup)), [Act::Open, Act::AtLogin(false), Act::Quit]);
        assert!(face(State::Fine).menu().contains(&Entry::Does(Act::Conflicts, "Review conflicts (3)".to_owned())));
    }

    #[test]
    fn each_state_opens_the_screen_where_it_can_be_mended() {
        for (state, screen) in [
            (State::Setup, Screen::Setup),
            (State::Error, Screen::Overview),
            (State::Conflict, Screen::Conflicts),
            (State::Offline, Screen::Overview),
            (State::Paused, Screen::Overview),
            (State::Syncing, Screen::Overview),
            (State::Pending, Screen::Pending),
            (State::Stale, Screen::Compare),
            (State::Fine, Screen::Overview),
        ] {
            assert_eq!(face(state).screen(), screen, "{state:?}");
        }
    }
}

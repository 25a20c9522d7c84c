//! What the page is told without having asked. It listens to one event, and to nothing else.

use crate::view::{Count, Millis, PeerRunView};
use serde::Serialize;
use tauri::{AppHandle, Emitter};

/// The one event's name.
const NAME: &str = "lockstep";

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind")]
#[cfg_attr(test, ts(rename = "HostEvent"))]
pub(crate) enum Event {
    /// Something changed in the node: what is shown is read again.
    Changed,
    /// Something that takes a while has come so far.
    Progress {
        /// How far.
        progress: Progress,
    },
    /// A session ended, whoever started it.
    Ran {
        /// What came of it.
        run: PeerRunView,
    },
    /// The desktop turned light or dark.
    Theme {
        /// Is it dark now?
        dark: bool,
    },
    /// The tray, a notification or a second start asks for a screen.
    Open {
        /// Which.
        screen: Screen,
    },
}

/// The screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
#[expect(dead_code, reason = "the tray asks for some of them only; the page's type is written from this one")]
pub(crate) enum Screen {
    Overview,
    Pending,
    Conflicts,
    Runs,
    Compare,
    History,
    Settings,
    Setup,
}

/// How far something has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Progress {
    /// What is done.
    pub task: Task,
    /// What is worked on now: a table, a server.
    pub what: String,
    /// Rows or writes so far.
    pub done: Count,
    /// Of so many; not known yet: null.
    pub total: Option<Count>,
    /// For so much longer, as far as can be told.
    pub left_ms: Option<Millis>,
}

/// What takes a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    /// Files become databases.
    Attach,
    /// Two nodes become a pair.
    Pair,
    /// A session.
    Sync,
    /// Both sides are compared.
    Verify,
    /// Both sides are compared down to the rows.
    Compare,
}

impl Event {
    /// Tells the page. A page that is not there yet reads everything when it comes.
    pub(crate) fn tell(self, app: &AppHandle) {
        if let Err(error) = app.emit(NAME, self) {
            tracing::warn!(%error, "the page could not be told");
        }
    }
}

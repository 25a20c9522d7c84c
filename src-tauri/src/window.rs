//! The one window: shown, hidden, brought back.
//!
//! Always true here: a window that is hidden can be brought back, by the tray or by a second start; nothing
//! takes the focus unless a person asked for the window. Not here: what the window shows.

use crate::events::{Event, Screen};
use crate::tray;
use tauri::{AppHandle, Manager, WebviewWindow};
use tauri_plugin_window_state::StateFlags;

/// The label of the window in `tauri.conf.json`.
const MAIN: &str = "main";
/// What a start at login says, so that no window comes up.
pub(crate) const HIDDEN: &str = "--hidden";

/// What of the window is the same after the next start. Whether it was visible is not: that is asked anew.
pub(crate) fn remembered() -> StateFlags {
    StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED
}

fn main_window(app: &AppHandle) -> Option<WebviewWindow> {
    app.get_webview_window(MAIN)
}

/// Whether a person looks at the window now.
pub(crate) fn is_looked_at(app: &AppHandle) -> bool {
    main_window(app).is_some_and(|w| w.is_visible().unwrap_or(false) && w.is_focused().unwrap_or(false))
}

/// The first sight of it. At login it stays away, where a tray can bring it back.
pub(crate) async fn begin(app: AppHandle, hidden: bool) {
    match (hidden, tray::has_host().await) {
        (true, true) => {}
        (true, false) => with(&app, |w| w.show().and_then(|()| w.minimize())),
        (false, _) => with(&app, WebviewWindow::show),
    }
}

/// A person asked for it.
pub(crate) fn bring_back(app: &AppHandle) {
    with(app, |w| w.show().and_then(|()| w.unminimize()).and_then(|()| w.set_focus()));
}

/// A person asked for one of its screens.
pub(crate) fn open(app: &AppHandle, screen: Screen) {
    bring_back(app);
    Event::Open { screen }.tell(app);
}

/// A person closed it: it goes where it can be found again, and the sync goes on.
pub(crate) async fn put_away(app: AppHandle) {
    let put = if tray::has_host().await { WebviewWindow::hide } else { WebviewWindow::minimize };
    with(&app, put);
}

fn with(app: &AppHandle, act: impl FnOnce(&WebviewWindow) -> tauri::Result<()>) {
    let done = main_window(app).map_or(Ok(()), |window| act(&window));
    if let Err(error) = done {
        tracing::warn!(%error, "the window did not do as it was told");
    }
}

//! Whether the console comes up with the desktop. Only when a person asked for it.

use crate::error::Failure;
use tauri::AppHandle;
use tauri_plugin_autostart::ManagerExt;

/// Does it?
pub(crate) fn is_on(app: &AppHandle) -> bool {
    app.autolaunch().is_enabled().unwrap_or_else(|error| {
        tracing::warn!(%error, "whether the console starts at login can't be told");
        false
    })
}

/// From the next login on.
pub(crate) fn turn(app: &AppHandle, on: bool) -> Result<(), Failure> {
    let manager = app.autolaunch();
    let done = match (on, is_on(app)) {
        (true, _) => manager.enable(),
        (false, true) => manager.disable(),
        (false, false) => Ok(()),
    };
    done.map_err(|error| Failure {
        code: "start_at_login".to_owned(),
        message: format!("The desktop did not take it: {error}."),
        hint: None,
    })
}

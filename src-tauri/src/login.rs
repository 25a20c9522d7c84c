//! Whether the console comes up with the desktop. Only when a person asked for it.
//!
//! Always true here: nobody looks while it is being changed, so that what is told has been done.

use crate::error::Failure;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tauri::AppHandle;
use tauri_plugin_autostart::ManagerExt;

/// The desktop's entry is made in steps, and is there before it is written.
static CHANGING: Mutex<()> = Mutex::new(());

fn undisturbed() -> MutexGuard<'static, ()> {
    CHANGING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does it?
pub(crate) fn is_on(app: &AppHandle) -> bool {
    let _undisturbed = undisturbed();
    found_on(app)
}

fn found_on(app: &AppHandle) -> bool {
    app.autolaunch().is_enabled().unwrap_or_else(|error| {
        tracing::warn!(%error, "whether the console starts at login can't be told");
        false
    })
}

/// From the next login on.
pub(crate) fn turn(app: &AppHandle, on: bool) -> Result<(), Failure> {
    let _undisturbed = undisturbed();
    let manager = app.autolaunch();
    let done = match (on, found_on(app)) {
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

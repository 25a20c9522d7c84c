//! What the page may call. Each is thin: arguments in, one call of the node, answer out.
//!
//! A command that is added here has to be named in `build.rs` and allowed in `capabilities/main.json`.

use crate::error::Failure;
use crate::node::HomeNode;
use crate::view::{RunView, StatusView};
use tauri::State;

/// Everything at a glance, as `lockstep status`.
#[tauri::command]
pub(crate) async fn status(home: State<'_, HomeNode>) -> Result<StatusView, Failure> {
    home.status().await
}

/// One session with every peer until neither side has news, as `lockstep sync`.
#[tauri::command]
pub(crate) async fn sync_now(home: State<'_, HomeNode>) -> Result<RunView, Failure> {
    home.sync_now().await
}

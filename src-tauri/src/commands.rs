//! What the page may call. Each is thin: arguments in, one call of the node, answer out.
//!
//! A command that is added here has to be named in `build.rs` and allowed in `capabilities/main.json`.

use crate::error::Failure;
use crate::shell::{self, Shell};
use crate::view::{RunView, StatusView};
use crate::{login, watch};
use lockstep_node::pause::Pause;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tauri::{AppHandle, State};

/// Everything at a glance, as `lockstep status`.
#[tauri::command]
pub(crate) async fn status(shell: State<'_, Arc<Shell>>) -> Result<StatusView, Failure> {
    shell.home.status().await
}

/// With whom.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncAsk {
    /// With that peer; null: with every peer.
    peer: Option<String>,
}

/// One session with that peer or with every peer until neither side has news, as `lockstep sync`.
#[tauri::command]
pub(crate) async fn sync_now(app: AppHandle, ask: SyncAsk) -> Result<RunView, Failure> {
    shell::of(&app).sync(&app, ask.peer).await
}

/// The session that a person started here ends after the batch it is in; what is committed stays.
#[tauri::command]
pub(crate) async fn stop_sync(shell: State<'_, Arc<Shell>>) -> Result<(), Failure> {
    shell.stop_session();
    Ok(())
}

/// For how long.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseAsk {
    r#for: PauseFor,
}

/// As `lockstep pause`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, ts_rs::TS))]
pub(crate) enum PauseFor {
    /// 30 minutes.
    #[serde(rename = "30m")]
    HalfAnHour,
    /// An hour.
    #[serde(rename = "1h")]
    Hour,
    /// Until midnight here.
    #[serde(rename = "tomorrow")]
    Tomorrow,
    /// Until a person says otherwise.
    #[serde(rename = "resumed")]
    Resumed,
}

/// Background sync rests, as `lockstep pause`.
#[tauri::command]
pub(crate) async fn pause(app: AppHandle, ask: PauseAsk) -> Result<(), Failure> {
    let pause = match ask.r#for {
        PauseFor::HalfAnHour => Pause::For(Duration::from_secs(30 * 60)),
        PauseFor::Hour => Pause::For(Duration::from_secs(60 * 60)),
        PauseFor::Tomorrow => Pause::Tomorrow,
        PauseFor::Resumed => Pause::UntilResumed,
    };
    let shell = shell::of(&app);
    shell.home.pause(Some(pause)).await?;
    shell.changed(&app);
    Ok(())
}

/// Background sync goes on, as `lockstep resume`.
#[tauri::command]
pub(crate) async fn resume(app: AppHandle) -> Result<(), Failure> {
    let shell = shell::of(&app);
    shell.home.pause(None).await?;
    shell.changed(&app);
    Ok(())
}

/// What this computer's node shall be called.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct InitAsk {
    name: String,
}

/// Makes this computer's node, as `lockstep init`.
#[tauri::command]
pub(crate) async fn init(app: AppHandle, ask: InitAsk) -> Result<(), Failure> {
    let shell = shell::of(&app);
    shell.home.init(ask.name).await?;
    shell.node_was_made();
    shell.changed(&app);
    Ok(())
}

/// Ends the console, as the tray's Quit does: what is under way is finished, and nothing new begins.
#[tauri::command]
pub(crate) async fn quit(app: AppHandle) -> Result<(), Failure> {
    shell::quit(app).await;
    Ok(())
}

/// Whether the console comes up with the desktop.
#[tauri::command]
pub(crate) async fn starts_at_login(app: AppHandle) -> Result<bool, Failure> {
    Ok(login::is_on(&app))
}

/// From the next login on.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginAsk {
    on: bool,
}

/// Says whether the console comes up with the desktop.
#[tauri::command]
pub(crate) async fn set_start_at_login(app: AppHandle, ask: LoginAsk) -> Result<(), Failure> {
    login::turn(&app, ask.on)?;
    shell::of(&app).changed(&app);
    Ok(())
}

/// Whether the desktop is dark; null: it doesn't say.
#[tauri::command]
pub(crate) async fn desktop_is_dark(app: AppHandle) -> Result<Option<bool>, Failure> {
    Ok(watch::darkness(&app))
}

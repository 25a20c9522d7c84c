//! The desktop console: a window on this computer's node.
//!
//! It is a face of `lockstep-node`, as the command is: it asks the node and shows the answer. What always
//! holds here: the page gets no more than the commands named in `build.rs`; a command is arguments in, one
//! call of the node, answer out; nothing that a row contains is logged. Deliberately not here: any rule of
//! the sync, any SQL, any secret.

mod background;
mod commands;
mod dialogs;
mod error;
mod events;
mod login;
mod node;
mod notices;
mod overview;
mod screens;
mod shell;
mod tray;
#[cfg(test)]
mod types;
mod view;
mod watch;
mod window;

use node::HomeNode;
use std::time::Duration;
use tauri::{App, AppHandle, Manager, RunEvent, WindowEvent};
use tauri_plugin_log::log::LevelFilter;
use tauri_plugin_log::{RotationStrategy, Target, TargetKind};

/// How long a transaction that is under way may take when the console ends.
const LAST: Duration = Duration::from_secs(20);
/// From here on the log begins anew; one older file is kept.
const LOG_BYTES: u128 = 4 << 20;

/// Opens the window and runs until a person quits. Gives the exit status.
///
/// # Panics
///
/// When no window can be opened at all (no display, no WebKit): there is nobody to show an error to.
pub fn run() -> i32 {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    tauri::async_runtime::set(runtime.handle().clone());
    let hidden = std::env::args().any(|argument| argument == window::HIDDEN);
    let app = tauri::Builder::default()
        // The first: a second start ends here and does nothing else.
        .plugin(only_one())
        .plugin(log())
        .plugin(tauri_plugin_window_state::Builder::new().with_state_flags(window::remembered()).build())
        .plugin(tauri_plugin_notification::init())
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_autostart::Builder::new().arg(window::HIDDEN).build())
        .on_menu_event(|app, event| {
            if let Some(act) = tray::Act::named(event.id().as_ref()) {
                shell::act(app, act);
            }
        })
        .on_window_event(|window, event| match event {
            WindowEvent::CloseRequested { api, .. } => {
                api.prevent_close();
                tauri::async_runtime::spawn(window::put_away(window.app_handle().clone()));
            }
            WindowEvent::ThemeChanged(theme) => {
                let app = window.app_handle();
                events::Event::Theme { dark: *theme == tauri::Theme::Dark }.tell(app);
                shell::of(app).look_again();
            }
            WindowEvent::Focused(true) => shell::of(window.app_handle()).look_again(),
            _ => {}
        })
        .invoke_handler(tauri::generate_handler![
            commands::status,
            commands::sync_now,
            commands::stop_sync,
            commands::pause,
            commands::resume,
            commands::starts_at_login,
            commands::set_start_at_login,
            commands::desktop_is_dark,
            commands::init,
            commands::quit,
            screens::pending::pending,
            screens::conflicts::conflicts,
            screens::conflicts::conflict,
            screens::conflicts::decide,
            screens::conflicts::undo,
            screens::conflicts::mark_reviewed,
            screens::held::quarantine,
            screens::held::retry_held,
            screens::held::allow_held,
            screens::held::guarded,
            screens::held::decide_deletes,
            screens::runs::runs,
            screens::runs::rates,
            screens::runs::export_runs,
            screens::history::history,
            screens::history::restore,
            screens::setup::choose_files,
            screens::setup::inspect,
            screens::setup::attach,
            screens::setup::detach,
            screens::pairing::invite,
            screens::pairing::read_invite,
            screens::pairing::preview_pair,
            screens::pairing::pair,
            screens::settings::peers,
            screens::settings::set_share,
            screens::settings::retire_peer,
            screens::settings::settings,
            screens::settings::set_setting,
            screens::plan::plan,
            screens::plan::plan_rows,
            screens::plan::plan_row,
            screens::plan::apply_plan,
            screens::alike::alike,
            screens::alike::decide_alike,
            screens::held::guarded_rows,
            screens::held::held_row,
            screens::run::run,
            screens::run::diagnostics,
            screens::history::find_rows,
            screens::tables::tables,
            screens::tables::configure,
            screens::tables::include,
            screens::identity::same,
            screens::identity::apart,
            screens::care::doctor,
            screens::care::backup,
            screens::care::choose_folder,
            screens::care::migrate,
            screens::care::restored,
            screens::address::address,
            screens::address::set_address,
            screens::settings::set_peer_review,
            screens::settings::cleanup,
            screens::compare::compare,
            screens::compare::compare_rows,
            screens::compare::compared_row,
            screens::compare::verify,
            screens::compare::balance,
            screens::compare::stop_look
        ])
        .setup(move |app| {
            begin(app, hidden);
            Ok(())
        })
        .build(tauri::generate_context!())
        .expect("a window can be opened");
    let code = app.run_return(|_, event| {
        if let RunEvent::Exit = event {
            tray::end();
        }
    });
    // Waits for what has begun to write.
    runtime.shutdown_timeout(LAST);
    code
}

/// A second start shows the window of the first, for each home its own.
fn only_one() -> tauri::plugin::TauriPlugin<tauri::Wry> {
    let brought_back = |app: &AppHandle, _: Vec<String>, _: String| window::bring_back(app);
    let plugin = tauri_plugin_single_instance::Builder::new().callback(brought_back);
    plugin.dbus_id(format!("lockstep.console{}", HomeNode::of_this_user().short_name())).build()
}

/// What the node and the console log, on standard output and in the folder for logs.
fn log() -> tauri::plugin::TauriPlugin<tauri::Wry> {
    tauri_plugin_log::Builder::new()
        .clear_targets()
        .targets([Target::new(TargetKind::Stdout), Target::new(TargetKind::LogDir { file_name: None })])
        .level(LevelFilter::Warn)
        .level_for("lockstep_node", LevelFilter::Info)
        .level_for("lockstep_console", LevelFilter::Info)
        .max_file_size(LOG_BYTES)
        .rotation_strategy(RotationStrategy::KeepOne)
        .build()
}

fn begin(app: &mut App, hidden: bool) {
    let app = app.handle();
    app.manage(shell::Shell::new(HomeNode::of_this_user(), tray::Tray::of(app)));
    tauri::async_runtime::spawn(window::begin(app.clone(), hidden));
    tauri::async_runtime::spawn(background::serve(app.clone()));
    tauri::async_runtime::spawn(watch::watch(app.clone()));
    let ended = app.clone();
    tauri::async_runtime::spawn(async move {
        match lockstep_node::platform::asked_to_end().await {
            Ok(()) => shell::quit(ended).await,
            Err(error) => tracing::warn!(%error, "signals can't be heard"),
        }
    });
}

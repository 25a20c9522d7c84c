//! The desktop's own dialogs. What is chosen or agreed to there comes from a person, and not from the page.

use std::path::PathBuf;
use tauri::AppHandle;
use tauri_plugin_dialog::{DialogExt, FileDialogBuilder, MessageDialogButtons};
use tokio::sync::oneshot;

fn asking(app: &AppHandle, title: &str) -> FileDialogBuilder<tauri::Wry> {
    app.dialog().file().set_title(title)
}

/// SQLite files that are there; empty if nothing was chosen.
pub(crate) async fn databases(app: &AppHandle, title: &str) -> Vec<PathBuf> {
    let (chosen, choice) = oneshot::channel();
    let asked = asking(app, title).add_filter("SQLite databases", &["db", "sqlite", "sqlite3", "db3"]);
    // Nobody waits any more when the console ends.
    asked.add_filter("All files", &["*"]).pick_files(move |files| drop(chosen.send(files)));
    let files = choice.await.ok().flatten().unwrap_or_default();
    files.into_iter().filter_map(|file| file.into_path().ok()).collect()
}

/// A file that is to be written; null: cancelled.
pub(crate) async fn save(app: &AppHandle, title: &str, name: &str) -> Option<PathBuf> {
    let (chosen, choice) = oneshot::channel();
    asking(app, title).set_file_name(name).save_file(move |file| drop(chosen.send(file)));
    choice.await.ok().flatten().and_then(|file| file.into_path().ok())
}

/// A folder; null: cancelled.
pub(crate) async fn folder(app: &AppHandle, title: &str) -> Option<PathBuf> {
    let (chosen, choice) = oneshot::channel();
    asking(app, title).pick_folder(move |folder| drop(chosen.send(folder)));
    choice.await.ok().flatten().and_then(|folder| folder.into_path().ok())
}

/// Does a person agree? `yes` is what the button says that agrees.
pub(crate) async fn agrees(app: &AppHandle, title: &str, says: &str, yes: &str) -> bool {
    let (said, answer) = oneshot::channel();
    let buttons = MessageDialogButtons::OkCancelCustom(yes.to_owned(), "Cancel".to_owned());
    let asked = app.dialog().message(says).title(title).buttons(buttons);
    asked.show(move |yes| _ = said.send(yes));
    answer.await.unwrap_or(false)
}

//! Looks at the node and tells what it sees: the tray, the page, and where nobody looks, a notification.
//!
//! Always true here: where nothing happens the node is left alone but for one look in half a minute. Whatever
//! happens, in whichever process, is written into the home, and that is noticed at once.

use crate::events::Event;
use crate::login;
use crate::notices::{self, Known};
use crate::overview::State;
use crate::shell::{self, Shell};
use crate::tray::Face;
use crate::view::StatusView;
use lockstep_node::server::stopped;
use lockstep_node::watch::Folders;
use std::time::Duration;
use tauri::{AppHandle, Manager, Theme};
use tokio::sync::mpsc;

/// Should no watch tell.
const LOOK: Duration = Duration::from_secs(30);
/// What happens at once is looked at once.
const GATHER: Duration = Duration::from_millis(200);

/// Looks until the console ends.
pub(crate) async fn watch(app: AppHandle) {
    let shell = shell::of(&app);
    let mut stop = shell.stop();
    let mut seen = None;
    let mut known = Known::default();
    let (touched, mut touches) = mpsc::unbounded_channel();
    let mut home = Folders::new(touched);
    loop {
        home.follow(shell.home.folder().into_iter());
        while touches.try_recv().is_ok() {}
        look(&app, &shell, &mut seen).await;
        match shell.home.runs_after(known.last).await {
            Ok(runs) => notices::tell(&app, &mut known, &runs),
            Err(failure) if failure.code == "no_node" => {}
            Err(failure) => tracing::warn!(code = %failure.code, message = %failure.message, "the runs can't be read"),
        }
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = shell.news() => {}
            Some(_) = touches.recv() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn look(app: &AppHandle, shell: &Shell, seen: &mut Option<StatusView>) {
    let at_login = login::is_on(app);
    let face = match shell.home.status().await {
        Ok(status) => {
            let face = Face::of(&status, shell.runs(), at_login);
            // The moment of the look is no news.
            let news = seen.as_ref().is_none_or(|s| StatusView { at: status.at, ..s.clone() } != status);
            *seen = Some(status);
            if news {
                Event::Changed.tell(app);
            }
            face
        }
        Err(failure) if failure.code == "no_node" => {
            Face::without(State::Setup, "Set-up needed: this computer has no node".to_owned(), at_login)
        }
        Err(failure) => Face::without(State::Error, format!("Error: {}", failure.message), at_login),
    };
    shell.show(face, darkness(app).unwrap_or(false)).await;
}

/// Whether the desktop is dark, where it says so.
pub(crate) fn darkness(app: &AppHandle) -> Option<bool> {
    let window = app.webview_windows().into_values().next()?;
    window.theme().ok().map(|theme| theme == Theme::Dark)
}

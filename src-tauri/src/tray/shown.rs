//! The tray as the desktop shows it.
//!
//! Always true here: it is made as soon as the desktop has a place for it, and not before, so that nobody hides a
//! window behind a tray that isn't there. Everything that touches it runs on the window's thread.

use super::{Entry, Face};
use crate::overview::State;
use crate::shell;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tauri::{AppHandle, image::Image, include_image};
use tray_icon::menu::{IsMenuItem, Menu, MenuItem, PredefinedMenuItem, Submenu};
use tray_icon::{Icon, MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent};

thread_local! {
    /// Lives on the window's thread, since menus can't leave it.
    static SHOWN: RefCell<Option<Shown>> = const { RefCell::new(None) };
}

struct Shown {
    icon: TrayIcon,
    face: Face,
    dark: bool,
}

/// Shows faces in the tray.
pub(crate) struct Tray {
    app: AppHandle,
    /// The desktop has taken it.
    taken: Arc<AtomicBool>,
}

impl Tray {
    /// Of this application.
    pub(crate) fn of(app: &AppHandle) -> Tray {
        let heard = app.clone();
        TrayIconEvent::set_event_handler(Some(move |event| {
            if let TrayIconEvent::Click { button: MouseButton::Left, button_state: MouseButtonState::Up, .. } = event {
                shell::tray_clicked(&heard);
            }
        }));
        Tray { app: app.clone(), taken: Arc::default() }
    }

    /// Shows this face from now on.
    pub(crate) async fn show(&self, face: Face, dark: bool) {
        if !self.taken.load(Ordering::Relaxed) && !has_host().await {
            return;
        }
        let taken = self.taken.clone();
        let shown = self.app.run_on_main_thread(move || {
            SHOWN.with_borrow_mut(|shown| match show(shown.take(), face, dark) {
                Ok(now) => *shown = Some(now),
                Err(error) => tracing::warn!(%error, "the tray could not be shown"),
            });
            taken.store(SHOWN.with_borrow(Option::is_some), Ordering::Relaxed);
        });
        if let Err(error) = shown {
            tracing::warn!(%error, "the window's thread is gone");
        }
    }
}

/// Takes it away, on the window's thread.
pub(crate) fn end() {
    SHOWN.with_borrow_mut(Option::take);
}

type Trouble = Box<dyn std::error::Error>;

fn show(shown: Option<Shown>, face: Face, dark: bool) -> Result<Shown, Trouble> {
    let Some(mut shown) = shown else { return begin(face, dark) };
    if (shown.face.state, shown.dark) != (face.state, dark) {
        shown.icon.set_icon(Some(icon(face.state, dark)?))?;
    }
    if shown.face != face {
        // The title comes first: a tooltip is read with it.
        shown.icon.set_title(Some(face.title()));
        shown.icon.set_tooltip(Some(tooltip(&face)))?;
        shown.icon.set_menu(Some(Box::new(menu(&face.menu())?)));
    }
    (shown.face, shown.dark) = (face, dark);
    Ok(shown)
}

fn begin(face: Face, dark: bool) -> Result<Shown, Trouble> {
    let icon = TrayIconBuilder::new()
        .with_id("lockstep")
        .with_title(face.title())
        .with_tooltip(tooltip(&face))
        .with_icon(icon(face.state, dark)?)
        .with_menu(Box::new(menu(&face.menu())?))
        .with_menu_on_left_click(false)
        .build()?;
    Ok(Shown { icon, face, dark })
}

/// Where the desktop shows a title apart, the line alone; elsewhere both in one.
fn tooltip(face: &Face) -> String {
    if cfg!(target_os = "linux") { face.line.clone() } else { format!("{}\n{}", face.title(), face.line) }
}

fn menu(entries: &[Entry]) -> Result<Menu, Trouble> {
    let menu = Menu::new();
    for entry in entries {
        menu.append(&*item(entry)?)?;
    }
    Ok(menu)
}

fn item(entry: &Entry) -> Result<Box<dyn IsMenuItem>, Trouble> {
    // An ampersand would make the next letter a shortcut.
    let plain = |text: &str| text.replace('&', "&&");
    Ok(match entry {
        Entry::Says(text) => Box::new(MenuItem::new(plain(text), false, None)),
        Entry::Between => Box::new(PredefinedMenuItem::separator()),
        Entry::Does(act, text) => Box::new(MenuItem::with_id(act.name(), plain(text), true, None)),
        Entry::Holds(text, entries) => {
            let submenu = Submenu::new(plain(text), true);
            for entry in entries {
                submenu.append(&*item(entry)?)?;
            }
            Box::new(submenu)
        }
    })
}

fn icon(state: State, dark: bool) -> Result<Icon, Trouble> {
    let picture = picture(state, dark);
    Ok(Icon::from_rgba(picture.rgba().to_vec(), picture.width(), picture.height())?)
}

/// The pictures are drawn from `icons/tray/*.svg`, for light and for dark desktops.
fn picture(state: State, dark: bool) -> Image<'static> {
    match (state, dark) {
        (State::Setup, false) => include_image!("icons/tray/light/setup.png"),
        (State::Setup, true) => include_image!("icons/tray/dark/setup.png"),
        (State::Error, false) => include_image!("icons/tray/light/error.png"),
        (State::Error, true) => include_image!("icons/tray/dark/error.png"),
        (State::Conflict, false) => include_image!("icons/tray/light/conflict.png"),
        (State::Conflict, true) => include_image!("icons/tray/dark/conflict.png"),
        (State::Offline, false) => include_image!("icons/tray/light/offline.png"),
        (State::Offline, true) => include_image!("icons/tray/dark/offline.png"),
        (State::Paused, false) => include_image!("icons/tray/light/paused.png"),
        (State::Paused, true) => include_image!("icons/tray/dark/paused.png"),
        (State::Syncing, false) => include_image!("icons/tray/light/syncing.png"),
        (State::Syncing, true) => include_image!("icons/tray/dark/syncing.png"),
        (State::Pending, false) => include_image!("icons/tray/light/pending.png"),
        (State::Pending, true) => include_image!("icons/tray/dark/pending.png"),
        (State::Stale, false) => include_image!("icons/tray/light/stale.png"),
        (State::Stale, true) => include_image!("icons/tray/dark/stale.png"),
        (State::Fine, false) => include_image!("icons/tray/light/fine.png"),
        (State::Fine, true) => include_image!("icons/tray/dark/fine.png"),
    }
}

/// Whether this desktop shows tray icons at all.
#[cfg(target_os = "linux")]
pub(crate) async fn has_host() -> bool {
    use std::time::Duration;
    let asked = tokio::time::timeout(Duration::from_secs(2), host_registered()).await;
    matches!(asked, Ok(Ok(true)))
}

#[cfg(target_os = "linux")]
async fn host_registered() -> zbus::Result<bool> {
    let bus = zbus::Connection::session().await?;
    let name = "org.kde.StatusNotifierWatcher";
    let watcher = zbus::proxy::Builder::<zbus::Proxy<'_>>::new(&bus)
        .destination(name)?
        .path("/StatusNotifierWatcher")?
        .interface(name)?
        // One property is asked for once.
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?;
    watcher.get_property("IsStatusNotifierHostRegistered").await
}

/// Whether this desktop shows tray icons at all. Windows and macOS always do.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn has_host() -> bool {
    true
}

//! A desktop of a test's own: a display, a session bus, a place for tray icons, and somebody who reads
//! notifications.
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};
use zbus::{Connection, Proxy, interface};

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program that prints on its first line where it is.
fn begin(program: &str, arguments: &[&str]) -> (Ends, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.trim().is_empty(), "{program} did not begin");
    (Ends(child), line.trim().to_owned())
}

/// Everything that a program with a window needs.
pub struct Desktop {
    pub dir: TempDir,
    display: String,
    bus_address: String,
    pub bus: Connection,
    items: Arc<Mutex<Vec<String>>>,
    notices: Arc<Mutex<Vec<String>>>,
    _processes: [Ends; 2],
}

impl Desktop {
    /// One that shows tray icons.
    pub async fn new() -> Desktop {
        let (bus, bus_address) = begin("dbus-daemon", &["--session", "--nofork", "--print-address"]);
        let (screen, display) = begin("Xvfb", &["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"]);
        let items = Arc::default();
        let notices = Arc::default();
        let connection = zbus::connection::Builder::address(bus_address.as_str())
            .unwrap()
            .serve_at("/StatusNotifierWatcher", Watcher(Arc::clone(&items)))
            .unwrap()
            .serve_at("/org/freedesktop/Notifications", Notifications(Arc::clone(&notices)))
            .unwrap()
            .name("org.kde.StatusNotifierWatcher")
            .unwrap()
            .name("org.freedesktop.Notifications")
            .unwrap()
            .build()
            .await
            .unwrap();
        Desktop {
            dir: tempfile::tempdir().unwrap(),
            display: format!(":{display}"),
            bus_address,
            bus: connection,
            items,
            notices,
            _processes: [bus, screen],
        }
    }

    /// The console of that home, on this desktop.
    pub fn console(&self, home: &Path, arguments: &[&str]) -> Console {
        let at = |name: &str| self.dir.path().join(name);
        let child = Command::new(env!("CARGO_BIN_EXE_lockstep-console"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", at("user"))
            .env("XDG_CONFIG_HOME", at("user/.config"))
            .env("XDG_DATA_HOME", at("user/.local/share"))
            .env("XDG_CACHE_HOME", at("user/.cache"))
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("TZ", "UTC")
            .env("DISPLAY", &self.display)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus_address)
            .env("LOCKSTEP_HOME", home)
            .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("NO_AT_BRIDGE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Console(Ends(child))
    }

    /// The tray icon that a program has put there.
    pub async fn tray(&self) -> Option<Tray> {
        let service = self.items.lock().unwrap().last().cloned()?;
        let item = self.proxy(&service, "/StatusNotifierItem", "org.kde.StatusNotifierItem").await?;
        let path: OwnedObjectPath = item.get_property("Menu").await.ok()?;
        let menu = self.proxy(&service, path.as_str(), "com.canonical.dbusmenu").await?;
        Some(Tray { item, menu })
    }

    /// Its properties are asked for each time: tray icons tell of changes by signals of their own.
    async fn proxy(&self, service: &str, path: &str, interface: &str) -> Option<Proxy<'static>> {
        let builder = zbus::proxy::Builder::<Proxy<'static>>::new(&self.bus).destination(service.to_owned()).ok()?;
        let builder = builder.path(path.to_owned()).ok()?.interface(interface.to_owned()).ok()?;
        builder.cache_properties(zbus::proxy::CacheProperties::No).build().await.ok()
    }

    /// The titles of all notifications so far.
    pub fn notices(&self) -> Vec<String> {
        self.notices.lock().unwrap().clone()
    }

    /// Whether the console's window is to be seen.
    pub fn shows_window(&self) -> bool {
        let info = Command::new("xwininfo")
            .args(["-name", "Lockstep", "-stats"])
            .env("DISPLAY", &self.display)
            .output()
            .expect("xwininfo (package x11-utils) is there");
        String::from_utf8_lossy(&info.stdout).contains("Map State: IsViewable")
    }
}

/// A console that runs.
pub struct Console(Ends);

impl Console {
    /// Has it ended, and well?
    pub fn ended(&mut self) -> Option<bool> {
        self.0.0.try_wait().unwrap().map(|status| status.success())
    }
}

/// Where desktops keep their tray icons.
struct Watcher(Arc<Mutex<Vec<String>>>);

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    async fn register_status_notifier_item(
        &self,
        service: String,
        #[zbus(header)] header: zbus::message::Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) {
        let service = match (service.starts_with('/'), header.sender()) {
            (true, Some(sender)) => sender.to_string(),
            _ => service,
        };
        self.0.lock().unwrap().push(service.clone());
        Watcher::status_notifier_item_registered(&emitter, &service).await.unwrap();
    }

    fn register_status_notifier_host(&self, _service: String) {}

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }

    #[zbus(signal)]
    async fn status_notifier_item_registered(emitter: &SignalEmitter<'_>, service: &str) -> zbus::Result<()>;
}

/// Somebody who reads notifications.
struct Notifications(Arc<Mutex<Vec<String>>>);

#[interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    #[allow(clippy::too_many_arguments)]
    fn notify(
        &self,
        _app: String,
        _replaces: u32,
        _icon: String,
        summary: String,
        body: String,
        _actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _timeout: i32,
    ) -> u32 {
        let mut all = self.0.lock().unwrap();
        all.push(format!("{summary}\n{body}"));
        u32::try_from(all.len()).unwrap()
    }

    fn get_capabilities(&self) -> Vec<String> {
        vec!["body".to_owned()]
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        let text = |t: &str| t.to_owned();
        (text("test"), text("lockstep"), text("1"), text("1.2"))
    }

    fn close_notification(&self, _id: u32) {}
}

/// A tray icon, as the desktop sees it.
pub struct Tray {
    item: Proxy<'static>,
    menu: Proxy<'static>,
}

/// A menu item's id, properties, and the items inside it.
type Layout = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);

impl Tray {
    /// Its title and the line below it.
    pub async fn tooltip(&self) -> Option<(String, String)> {
        type ToolTip = (String, Vec<(i32, i32, Vec<u8>)>, String, String);
        let (_, _, title, line): ToolTip = self.item.get_property("ToolTip").await.ok()?;
        Some((title, line))
    }

    /// The picture: width, height, ARGB.
    pub async fn picture(&self) -> Option<(i32, i32, Vec<u8>)> {
        let mut pictures: Vec<(i32, i32, Vec<u8>)> = self.item.get_property("IconPixmap").await.ok()?;
        pictures.pop()
    }

    /// A left click.
    pub async fn click(&self) {
        self.item.call_method("Activate", &(1, 1)).await.unwrap();
    }

    /// The menu's entries with their ids, those of menus in it behind a slash.
    pub async fn entries(&self) -> Vec<(i32, String)> {
        let nothing: Vec<&str> = Vec::new();
        let answer = self.menu.call_method("GetLayout", &(0, -1, nothing)).await.unwrap();
        let (_, root): (u32, Layout) = answer.body().deserialize().unwrap();
        let mut found = Vec::new();
        gather(&root, "", &mut found);
        found
    }

    /// Chooses the entry of that text. Nobody waits for an answer: a program that quits may give none.
    pub async fn choose(&self, text: &str) {
        let entries = self.entries().await;
        let (id, _) = entries.iter().find(|(_, t)| t == text).unwrap_or_else(|| panic!("{text} is not in {entries:?}"));
        self.menu.call_noreply("Event", &(*id, "clicked", Value::from(0), 0_u32)).await.unwrap();
    }
}

fn gather(item: &Layout, above: &str, found: &mut Vec<(i32, String)>) {
    for child in &item.2 {
        let child: Layout = Value::from(child.clone()).downcast::<Layout>().unwrap();
        let text = |name: &str| child.1.get(name).and_then(|v| v.downcast_ref::<&str>().ok()).unwrap_or_default();
        if text("type") != "separator" {
            found.push((child.0, format!("{above}{}", text("label"))));
        }
        gather(&child, &format!("{above}{}/", text("label")), found);
    }
}

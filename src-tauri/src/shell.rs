//! What the console is doing: the one place that the window, the tray and the page's commands share.
//!
//! Always true here: one session that a person started runs at a time; when the console ends, what a
//! transaction has begun is finished. Not here: how the node is asked (`node`), what the tray shows (`tray`).

use crate::error::Failure;
use crate::events::{Event, Progress, Screen, Task};
use crate::node::HomeNode;
use crate::tray::{Act, Face, Tray};
use crate::view::{Count, RunView};
use crate::{login, window};
use lockstep_node::pause::Pause;
use lockstep_node::reading::ReadSoFar;
use lockstep_node::server::Stop;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tauri::{AppHandle, Manager};
use tokio::sync::{Notify, watch};

/// How long the end waits for what is under way.
const LAST: Duration = Duration::from_secs(20);

/// What runs, and what was last shown.
pub(crate) struct Shell {
    /// The node.
    pub home: HomeNode,
    tray: Tray,
    face: Mutex<Option<Face>>,
    /// A session that a person started runs.
    running: AtomicBool,
    /// And is to end after its batch.
    stopping: AtomicBool,
    /// Counts the looks at both sides that a person asked for: the last goes on, those before it end.
    looks: AtomicU64,
    /// Told once, when the console ends.
    ending: watch::Sender<bool>,
    /// Told when the node is to be looked at again.
    news: Notify,
    /// Told when a node was made.
    made: Notify,
    /// This console is the agent.
    agent: AtomicBool,
    /// Told when the agent here is to end and begin anew.
    anew: Notify,
}

/// The shell of this application.
pub(crate) fn of(app: &AppHandle) -> Arc<Shell> {
    app.state::<Arc<Shell>>().inner().clone()
}

/// A session that a person started; one at a time.
pub(crate) struct Session(Arc<Shell>);

impl Drop for Session {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}

impl Session {
    /// Tells the page how far the session is, and the session whether to go on.
    pub(crate) fn watcher(
        &self,
        app: &AppHandle,
        task: Task,
        peer: &str,
    ) -> impl Fn(&lockstep_node::session::Progress) -> ControlFlow<()> + Send + Sync + use<> {
        let (shell, app, peer) = (self.0.clone(), app.clone(), peer.to_owned());
        move |progress| {
            let what = progress.database.as_ref().map_or_else(|| peer.clone(), |d| format!("{peer}: {d}"));
            let total = progress.to_receive + progress.to_send;
            let done = Count(progress.received + progress.sent);
            let progress = Progress { task, what, done, total: (total > 0).then_some(Count(total)), left_ms: None };
            Event::Progress { progress }.tell(&app);
            match shell.stopping.load(Ordering::Acquire) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }
}

impl Shell {
    /// Over that node.
    pub(crate) fn new(home: HomeNode, tray: Tray) -> Arc<Shell> {
        let (ending, _) = watch::channel(false);
        Arc::new(Shell {
            home,
            tray,
            face: Mutex::default(),
            running: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            looks: AtomicU64::new(0),
            ending,
            news: Notify::new(),
            made: Notify::new(),
            agent: AtomicBool::new(false),
            anew: Notify::new(),
        })
    }

    /// Told when the console ends.
    pub(crate) fn stop(&self) -> Stop {
        self.ending.subscribe()
    }

    /// Begins what only one thing at a time may do.
    pub(crate) fn begin(self: &Arc<Shell>) -> Result<Session, Failure> {
        if self.running.swap(true, Ordering::AcqRel) {
            return Err(Failure {
                code: "sync_runs".to_owned(),
                message: "A sync runs already.".to_owned(),
                hint: Some("Wait for its end, or stop it after its batch.".to_owned()),
            });
        }
        self.stopping.store(false, Ordering::Release);
        Ok(Session(self.clone()))
    }

    /// Does a session run that a person started here?
    pub(crate) fn runs(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// Lets that session end after its batch.
    pub(crate) fn stop_session(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Begins a look at both sides, in place of one that is still under way: tells the page how far it is, and the look
    /// whether to go on.
    pub(crate) fn look(
        self: &Arc<Shell>,
        app: &AppHandle,
        task: Task,
    ) -> impl Fn(&ReadSoFar) -> ControlFlow<()> + Send + Sync + use<> {
        let (shell, app) = (self.clone(), app.clone());
        let this = self.looks.fetch_add(1, Ordering::AcqRel) + 1;
        move |read| {
            if shell.looks.load(Ordering::Acquire) != this {
                return ControlFlow::Break(());
            }
            if !read.what.is_empty() {
                let what = read.peer.as_ref().map_or_else(|| read.what.clone(), |p| format!("{p}: {}", read.what));
                let (done, total) = (Count(read.rows), Some(Count(read.of)));
                Event::Progress { progress: Progress { task, what, done, total, left_ms: None } }.tell(&app);
            }
            ControlFlow::Continue(())
        }
    }

    /// Nobody waits for the look any more: it ends with the rows that it is at.
    pub(crate) fn stop_look(&self) {
        self.looks.fetch_add(1, Ordering::AcqRel);
    }

    /// One session with that peer, or with every peer that can be called.
    pub(crate) async fn sync(self: &Arc<Shell>, app: &AppHandle, peer: Option<String>) -> Result<RunView, Failure> {
        let session = self.begin()?;
        self.look_again();
        let ended = self.home.sync(peer, |name| session.watcher(app, Task::Sync, name)).await;
        drop(session);
        self.changed(app);
        ended
    }

    /// Something in the node is not what it was.
    pub(crate) fn changed(&self, app: &AppHandle) {
        Event::Changed.tell(app);
        self.look_again();
    }

    /// Looks at the node soon.
    pub(crate) fn look_again(&self) {
        self.news.notify_one();
    }

    /// Until then.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// A node was made where there was none.
    pub(crate) fn node_was_made(&self) {
        self.made.notify_one();
    }

    /// Until then.
    pub(crate) async fn made(&self) {
        self.made.notified().await;
    }

    /// This console is the agent, or no longer.
    pub(crate) fn set_agent(&self, is: bool) {
        self.agent.store(is, Ordering::Release);
    }

    /// Is it?
    pub(crate) fn is_agent(&self) -> bool {
        self.agent.load(Ordering::Acquire)
    }

    /// Where this console is the agent, that begins anew.
    pub(crate) fn begin_agent_anew(&self) {
        if self.is_agent() {
            self.anew.notify_one();
        }
    }

    /// Until then.
    pub(crate) async fn anew(&self) {
        self.anew.notified().await;
    }

    /// Shows this face, and remembers it for the click.
    pub(crate) async fn show(&self, face: Face, dark: bool) {
        *self.face.lock().unwrap_or_else(PoisonError::into_inner) = Some(face.clone());
        self.tray.show(face, dark).await;
    }
}

/// The screen that fits what the tray shows.
pub(crate) fn tray_clicked(app: &AppHandle) {
    let shell = of(app);
    let screen = shell.face.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Face::screen);
    window::open(app, screen.unwrap_or(Screen::Overview));
}

/// Does what a menu entry says.
pub(crate) fn act(app: &AppHandle, act: Act) {
    let shell = of(app);
    match act {
        Act::Conflicts => window::open(app, Screen::Conflicts),
        Act::Pending => window::open(app, Screen::Pending),
        Act::Open => window::bring_back(app),
        Act::Stop => shell.stop_session(),
        Act::Quit => drop(tauri::async_runtime::spawn(quit(app.clone()))),
        Act::SyncNow => in_background(app, "sync", |app| async move { shell.sync(&app, None).await.map(drop) }),
        Act::Pause(pause) => pause_background(app, Some(pause)),
        Act::Resume => pause_background(app, None),
        Act::AtLogin(on) => in_background(app, "start at login", move |app| async move {
            login::turn(&app, on)?;
            shell.changed(&app);
            Ok(())
        }),
    }
}

fn pause_background(app: &AppHandle, pause: Option<Pause>) {
    let shell = of(app);
    in_background(app, "pause", move |app| async move {
        shell.home.pause(pause).await?;
        shell.changed(&app);
        Ok(())
    });
}

/// What a menu entry began has nobody to return a failure to: the tray shows the state, the log says why.
fn in_background<F>(app: &AppHandle, what: &'static str, work: impl FnOnce(AppHandle) -> F)
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let done = work(app.clone());
    tauri::async_runtime::spawn(async move {
        if let Err(failure) = done.await {
            tracing::warn!(what, code = %failure.code, message = %failure.message, "the tray's entry did not work");
        }
    });
}

/// Ends the console: nothing new begins, and what is under way is finished.
pub(crate) async fn quit(app: AppHandle) {
    let shell = of(&app);
    shell.stop_session();
    shell.stop_look();
    shell.ending.send_replace(true);
    // Everybody who was told has let go of the channel when it is done.
    if tokio::time::timeout(LAST, shell.ending.closed()).await.is_err() {
        tracing::warn!("something was still under way");
    }
    app.exit(0);
}

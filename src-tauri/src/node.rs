//! The console's hold on the node: the only file of the console that knows `lockstep-node`.

use crate::error::{Failure, broken_off, failure};
use crate::notices::Ended;
use crate::overview::{Facts, State};
use crate::screens::plan::mismatch;
use crate::view::{
    AgentView, BreakKind, BreakView, Capture, Count, DatabaseView, Millis, PeerRunView, PeerView, RunView, StatusView,
};
use lockstep_node::home::Work;
use lockstep_node::pause::Pause;
use lockstep_node::session::{Progress, SyncEntry};
use lockstep_node::state::{Run, RunResult, Trigger};
use lockstep_node::status::{AgentStatus, DatabaseStatus, PeerStatus, Status};
use lockstep_node::{Home, Node, platform};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// A run that is older is no news.
const LATELY: Duration = Duration::from_secs(24 * 60 * 60);

/// The node whose home this user has on this computer.
pub(crate) struct HomeNode {
    home: Option<Home>,
    open: Mutex<Option<(Files, Arc<Node>)>>,
}

/// Which files an open node stands on: its key and its state.
type Files = [Option<SystemTime>; 2];

impl HomeNode {
    /// `LOCKSTEP_HOME`, or the platform's data folder.
    pub(crate) fn of_this_user() -> HomeNode {
        HomeNode { home: platform::default_home().map(Home::at), open: Mutex::default() }
    }

    /// Its folder, if there is one yet.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.home.as_ref().map(Home::path).filter(|path| path.is_dir())
    }

    /// Tells homes apart where a short name is wanted: nothing for the usual one.
    pub(crate) fn short_name(&self) -> String {
        if std::env::var_os("LOCKSTEP_HOME").is_none() {
            return String::new();
        }
        let mut hasher = DefaultHasher::new();
        self.home.as_ref().map(Home::path).hash(&mut hasher);
        format!(".h{:x}", hasher.finish())
    }

    /// Makes the node.
    pub(crate) async fn init(&self, name: String) -> Result<(), Failure> {
        let home = self.home.clone().ok_or_else(no_home)?;
        let made = tauri::async_runtime::spawn_blocking(move || Node::init(home, Some(&name)).map(drop)).await;
        made.map_err(broken_off)?.map_err(|error| failure(error.problem()))
    }

    /// Lets background sync rest; None: lets it go on.
    pub(crate) async fn pause(&self, pause: Option<Pause>) -> Result<(), Failure> {
        self.ask(move |node| match pause {
            Some(pause) => node.pause(pause).map(drop),
            None => node.resume(),
        })
        .await
    }

    /// Everything at a glance.
    pub(crate) async fn status(&self) -> Result<StatusView, Failure> {
        self.ask(|node| {
            let syncing = node.home().try_lock(Work::Sync)?.is_none();
            let status = node.status()?;
            let mut view = status_view(status, Millis(node.now().0), syncing);
            for known in node.state().peers()? {
                let unlike = node.unlike(known.node)?;
                if let Some(peer) = view.peers.iter_mut().find(|peer| peer.name == known.name) {
                    peer.unlike = unlike.into_iter().map(mismatch).collect();
                }
            }
            Ok(view)
        })
        .await
    }

    /// A session with that peer, or with every peer that can be called, one after the other. A peer that fails is an
    /// entry with its reason, and the others go on. Those that come by themselves are called only where there
    /// are no others, so that a person is told why nothing happened.
    pub(crate) async fn sync<W>(&self, peer: Option<String>, watcher: impl Fn(&str) -> W) -> Result<RunView, Failure>
    where
        W: Fn(&Progress) -> ControlFlow<()> + Send + Sync,
    {
        let (node, peers) = self
            .ask(|node| {
                let peers = match peer {
                    Some(name) => vec![node.state().peer(&name)?],
                    None => {
                        let all = node.state().peers()?.into_iter();
                        let (called, coming): (Vec<_>, Vec<_>) = all.partition(|peer| peer.address.is_some());
                        if called.is_empty() { coming } else { called }
                    }
                };
                Ok((node, peers))
            })
            .await?;
        let mut entries = Vec::with_capacity(peers.len());
        for peer in &peers {
            let entry = node.sync(peer, Trigger::Person, &watcher(&peer.name)).await;
            let entry = entry.map_err(|error| failure(error.problem()))?;
            let stopped = entry.error.as_ref().is_some_and(|e| e.code == "stopped");
            entries.push(peer_run_view(entry));
            if stopped {
                break;
            }
        }
        Ok(RunView { peers: entries })
    }

    /// The node, where no agent of its home runs.
    pub(crate) async fn without_agent(&self) -> Result<Option<Arc<Node>>, Failure> {
        self.ask(|node| Ok(node.agent()?.is_none().then_some(node))).await
    }

    /// The runs that ended after that one, the oldest first. After none: the last one, so that there is one to count
    /// from.
    pub(crate) async fn runs_after(&self, last: Option<i64>) -> Result<Vec<Ended>, Failure> {
        self.ask(move |node| {
            let lately = node.before(LATELY);
            let mut runs = node.state().runs(lately, if last.is_some() { 100 } else { 1 })?;
            runs.retain(|run| last.is_none_or(|last| run.id > last));
            runs.reverse();
            let peers = node.state().peers()?;
            let failures = |name: &str| peers.iter().find(|p| p.name == name).map_or(0, |p| p.failures);
            Ok(runs
                .into_iter()
                .map(|run| Ended { id: run.id, failures: failures(&run.peer), run: run_view(run) })
                .collect())
        })
        .await
    }

    /// Asks the node away from the window's thread.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Arc<Node>) -> lockstep_node::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let node = self.node()?;
        let asked = tauri::async_runtime::spawn_blocking(move || question(node)).await;
        asked.map_err(broken_off)?.map_err(|error| failure(error.problem()))
    }

    /// Has the node do something long that waits, away from the window's threads.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(Arc<Node>) -> lockstep_node::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let node = self.node()?;
        let done = tauri::async_runtime::spawn_blocking(move || tauri::async_runtime::block_on(work(node))).await;
        done.map_err(broken_off)?.map_err(|error| failure(error.problem()))
    }

    /// The node. It is opened anew when its files are others: a node may have been made, or its files restored, while
    /// the window was open.
    pub(crate) fn node(&self) -> Result<Arc<Node>, Failure> {
        let home = self.home.clone().ok_or_else(no_home)?;
        let files = [home.identity(), home.state()].map(|f| std::fs::metadata(f).and_then(|m| m.created()).ok());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, node)) = open.as_ref().filter(|(opened, _)| *opened == files) {
            return Ok(node.clone());
        }
        let node = Arc::new(Node::open(home).map_err(|error| failure(error.problem()))?);
        *open = Some((files, node.clone()));
        Ok(node)
    }
}

fn no_home() -> Failure {
    Failure {
        code: "no_home".to_owned(),
        message: "There is no place for a node's folder on this computer.".to_owned(),
        hint: Some("Set LOCKSTEP_HOME to the folder that it shall have.".to_owned()),
    }
}

fn status_view(status: Status, at: Millis, syncing: bool) -> StatusView {
    let mut view = StatusView {
        node: status.name,
        at,
        // Read from the rest, below.
        state: State::Setup,
        agent: status.agent.map(agent_view),
        paused_until: status.paused_until.map(moment),
        databases: status.databases.into_iter().map(database_view).collect(),
        peers: status.peers.into_iter().map(peer_view).collect(),
        conflicts_unreviewed: Count(status.conflicts_unreviewed),
        values_lost: Count(status.values_lost),
        values_lost_because: status.values_lost_because,
    };
    view.state = Facts::of(&view, syncing).state();
    view
}

fn agent_view(agent: AgentStatus) -> AgentView {
    AgentView { listening: agent.listening, since: moment(agent.since) }
}

fn database_view(database: DatabaseStatus) -> DatabaseView {
    DatabaseView {
        name: database.name,
        file: database.file,
        rows: Count(database.rows),
        pending: Count(database.pending),
        held: Count(database.held),
        capture: capture(database.capture),
        history: database.history.map(|broke| BreakView {
            kind: BreakKind::named(&broke.kind),
            at: moment(broke.at),
            copy: broke.copy,
        }),
    }
}

fn peer_view(peer: PeerStatus) -> PeerView {
    PeerView {
        name: peer.name,
        address: peer.address,
        reachable: peer.reachable,
        clock_offset_ms: peer.clock_offset_ms.map(Millis),
        last_verified_at: peer.last_verified_at.map(moment),
        lag_ms: peer.lag_ms.map(Millis),
        pending: Count(peer.pending),
        coming: Count(peer.coming),
        held: Count(peer.held),
        capture: capture(peer.capture),
        last_run_at: peer.last_run_at.map(moment),
        error: peer.error.map(failure),
        // Asked for beside the status.
        unlike: Vec::new(),
    }
}

/// What came of a session.
pub(crate) fn peer_run_view(run: SyncEntry) -> PeerRunView {
    PeerRunView {
        name: run.name,
        sent: Count(run.sent),
        received: Count(run.received),
        applied: Count(run.applied),
        conflicts: Count(run.conflicts),
        held: Count(run.held.saturating_add(run.held_there)),
        id_moves: Count(run.id_moves),
        verified: run.verified,
        duration_ms: Millis(run.duration_ms),
        error: run.error.map(failure),
    }
}

/// A run as the record of it says.
fn run_view(run: Run) -> PeerRunView {
    PeerRunView {
        name: run.peer,
        sent: Count(run.tally.sent),
        received: Count(run.tally.received),
        applied: Count(run.tally.applied),
        conflicts: Count(run.tally.conflicts),
        held: Count(run.tally.held),
        id_moves: Count(run.tally.id_moves),
        verified: run.result == RunResult::Verified,
        duration_ms: Millis(run.duration_ms),
        error: run.error.map(failure),
    }
}

fn capture(said: String) -> Capture {
    match said.as_str() {
        "ok" => Capture::Ok,
        "unknown" => Capture::Unknown,
        _ => Capture::Problem { what: said },
    }
}

fn moment(at: jiff::Timestamp) -> Millis {
    Millis(at.as_millisecond())
}

//! The console's hold on the node: the only file of the console that knows `lockstep-node`.

use crate::error::Failure;
use crate::overview::{Facts, State};
use crate::view::{AgentView, Capture, Count, DatabaseView, Millis, PeerRunView, PeerView, RunView, StatusView};
use lockstep_node::session::SyncEntry;
use lockstep_node::state::Trigger;
use lockstep_node::status::{AgentStatus, DatabaseStatus, PeerStatus, Problem, Status};
use lockstep_node::{Home, Node, platform};
use std::sync::Arc;

/// The node whose home this user has on this computer.
pub(crate) struct HomeNode {
    home: Option<Home>,
}

impl HomeNode {
    /// `LOCKSTEP_HOME`, or the platform's data folder.
    pub(crate) fn of_this_user() -> HomeNode {
        HomeNode { home: platform::default_home().map(Home::at) }
    }

    /// Everything at a glance.
    pub(crate) async fn status(&self) -> Result<StatusView, Failure> {
        self.ask(|node| {
            let status = node.status()?;
            Ok(status_view(status, Millis(node.now().0)))
        })
        .await
    }

    /// A session with every peer that can be called, one after the other. A peer that fails is an entry with its
    /// reason, and the others go on. Those that come by themselves are called only where there are no others, so
    /// that a person is told why nothing happened.
    pub(crate) async fn sync_now(&self) -> Result<RunView, Failure> {
        let (node, peers) = self
            .ask(|node| {
                let (called, coming): (Vec<_>, Vec<_>) =
                    node.state().peers()?.into_iter().partition(|peer| peer.address.is_some());
                Ok((node, if called.is_empty() { coming } else { called }))
            })
            .await?;
        let mut entries = Vec::with_capacity(peers.len());
        for peer in &peers {
            let entry = node.sync(peer, Trigger::Person, &|_| {}).await;
            entries.push(peer_run_view(entry.map_err(|error| failure(error.problem()))?));
        }
        Ok(RunView { peers: entries })
    }

    /// Asks the node away from the window's thread. It is opened anew each time: a node may have been made,
    /// or its files restored, while the window was open.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Arc<Node>) -> lockstep_node::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let home = self.home.clone().ok_or_else(no_home)?;
        let asked = tauri::async_runtime::spawn_blocking(move || question(Arc::new(Node::open(home)?))).await;
        asked.map_err(broken_off)?.map_err(|error| failure(error.problem()))
    }
}

fn no_home() -> Failure {
    Failure {
        code: "no_home".to_owned(),
        message: "There is no place for a node's folder on this computer.".to_owned(),
        hint: Some("Set LOCKSTEP_HOME to the folder that it shall have.".to_owned()),
    }
}

fn broken_off(error: tauri::Error) -> Failure {
    Failure { code: "console_broken_off".to_owned(), message: format!("The node broke off: {error}."), hint: None }
}

fn failure(problem: Problem) -> Failure {
    Failure { code: problem.code, message: problem.message, hint: problem.hint }
}

fn status_view(status: Status, at: Millis) -> StatusView {
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
    view.state = Facts::of(&view).state();
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
        held: Count(peer.held),
        capture: capture(peer.capture),
        last_run_at: peer.last_run_at.map(moment),
        error: peer.error.map(failure),
    }
}

fn peer_run_view(run: SyncEntry) -> PeerRunView {
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

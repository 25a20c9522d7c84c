//! The agent: serves peers, notices local commits, and syncs in the background until it is told to end.
//!
//! Always true here: one agent runs per home. What fails is tried again, later and later; nothing waits on anything
//! but its own peer.
use crate::home::{Lock, Work};
use crate::node::{DEFAULT_ADDRESS, Node};
use crate::pair::{PairError, good_address};
use crate::routes::blocking;
use crate::server::{self, Bounds, Stop, stopped};
use crate::state::AgentPlace;
use crate::watch::{self, Folders};
use crate::{Error, NodeId, Result, cleanup, courier, metrics};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// How long another process may hold the agent's lock: `status` takes it for a moment to see whether an agent runs.
const STARTING: Duration = Duration::from_secs(3);
/// How often it is seen whether there are new peers, should no watch tell.
const ROLL_CALL: Duration = Duration::from_secs(30);
/// How long what another process does in the home is gathered.
const GATHER: Duration = Duration::from_millis(100);

/// What an agent is told at its start. What it is not told it remembers from last time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentOptions {
    /// `host:port` to listen on; port 0: any.
    pub listen: Option<String>,
    /// `host:port` to tell to peers; `none`: peers can't call this node, so it asks them for news.
    pub advertise: Option<String>,
}

impl Node {
    /// Where the agent of this home is, or was: where it listens, and where others look for it. None: it never ran.
    pub fn place(&self) -> Result<Option<AgentPlace>> {
        Ok(self.state().agent()?)
    }

    /// Says where the agent listens from its next start on, and where others are to look for this node: nothing said, where
    /// it listens; [`NOWHERE`], nobody can call it.
    pub fn move_to(&self, listen: &str, advertise: Option<&str>) -> Result<()> {
        let bad = |address: &str| Err(PairError::BadAddress { address: address.to_owned() }.into());
        if !good_address(listen) {
            return bad(listen);
        }
        match advertise {
            Some(told) if told != NOWHERE && !good_address(told) => return bad(told),
            Some(told) => self.state().set_setting(ADVERTISE, told)?,
            None => self.state().forget_note(ADVERTISE)?,
        }
        let found = || listen.parse().map_or_else(|_| listen.to_owned(), |local| reachable_at(local).to_string());
        let advertised = advertise.map_or_else(found, str::to_owned);
        self.state().set_agent(&AgentPlace { listening: listen.to_owned(), advertised, since: self.now() })?;
        Ok(())
    }
}

/// An agent that listens, and does nothing yet.
#[derive(Debug)]
pub struct Agent {
    node: Arc<Node>,
    listener: TcpListener,
    place: AgentPlace,
    metrics: Option<TcpListener>,
    _lock: Lock,
}

const ADVERTISE: &str = "agent.advertise";
/// What is advertised by a node that can't be called.
pub const NOWHERE: &str = "none";

impl Agent {
    /// Takes the agent's place in its home and begins to listen.
    pub async fn bind(node: Arc<Node>, options: &AgentOptions) -> Result<Agent> {
        Agent::bind_monitored(node, options, None).await
    }

    /// The same, and lets monitoring ask at an address of this computer alone; port 0: any. If either address can't be
    /// listened on, what is remembered stays.
    pub async fn bind_monitored(node: Arc<Node>, options: &AgentOptions, monitored: Option<&str>) -> Result<Agent> {
        let lock = match node.home().lock(Work::Agent, STARTING).await {
            Err(crate::home::Error::Busy { .. }) => return Err(Error::AgentRuns),
            lock => lock?,
        };
        let before = node.state().agent()?;
        let address = options.listen.clone().or(before.map(|a| a.listening));
        let address = address.unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        let listen = |source| Error::Listen { address: address.clone(), source };
        let listener = TcpListener::bind(&address).await.map_err(listen)?;
        let local = listener.local_addr().map_err(listen)?;
        let metrics = match monitored {
            Some(address) => Some(metrics::bind(address).await?),
            None => None,
        };
        if let Some(told) = &options.advertise {
            if told != NOWHERE && !good_address(told) {
                return Err(PairError::BadAddress { address: told.clone() }.into());
            }
            node.state().set_setting(ADVERTISE, told)?;
        }
        let advertised = match node.state().note(ADVERTISE)? {
            Some(told) => told,
            None => reachable_at(local).to_string(),
        };
        let place = AgentPlace { listening: local.to_string(), advertised, since: node.now() };
        node.state().set_agent(&place)?;
        Ok(Agent { node, listener, place, metrics, _lock: lock })
    }

    /// Where it listens, as `host:port`.
    pub fn listening(&self) -> &str {
        &self.place.listening
    }

    /// Where monitoring is answered, if it is.
    pub fn monitored_at(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }

    /// Serves and syncs until it is asked to stop, and lets what is under way finish.
    pub async fn run(self, stop: Stop) -> Result<()> {
        tracing::info!(listening = %self.place.listening, advertised = %self.place.advertised, "the agent runs");
        let background = self.node.state().is_on("schedule.background")?;
        let peers = server::serve(self.node.clone(), self.listener, Bounds::default(), stop.clone());
        let monitoring = async {
            match self.metrics {
                Some(listener) => metrics::serve(self.node.clone(), listener, stop.clone()).await,
                None => Ok(()),
            }
        };
        let serving = async { tokio::try_join!(peers, monitoring).map(drop) };
        if background {
            tokio::try_join!(
                serving,
                watch::watch(self.node.clone(), stop.clone()),
                couriers(self.node.clone(), stop.clone()),
                cleanup::daily(self.node.clone(), stop.clone())
            )?;
        } else {
            serving.await?;
        }
        tracing::info!("the agent ended");
        Ok(())
    }
}

/// The address under which others find this computer, as far as it knows itself. No packet is sent for that.
fn reachable_at(local: SocketAddr) -> SocketAddr {
    if !local.ip().is_unspecified() {
        return local;
    }
    let outward = |bind: &str, to: &str| -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind(bind)?;
        socket.connect(to)?;
        Ok(socket.local_addr()?.ip())
    };
    let found = outward("0.0.0.0:0", "192.0.2.1:9").or_else(|_| outward("[::]:0", "[2001:db8::1]:9"));
    SocketAddr::new(found.unwrap_or(IpAddr::from([127, 0, 0, 1])), local.port())
}

/// Keeps a courier for each peer.
async fn couriers(node: Arc<Node>, mut stop: Stop) -> Result<()> {
    let (touched, mut touches) = mpsc::unbounded_channel();
    let mut home = Folders::new(touched);
    home.follow(std::iter::once(node.home().path()));
    let mut at_work: HashMap<NodeId, AbortHandle> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut paired = Vec::new();
    loop {
        let asked = node.clone();
        let roll_call = move || {
            for name in asked.state().take_back_unconfirmed(asked.now())? {
                tracing::info!(%name, "a pairing that nobody confirmed was taken back");
            }
            Ok(asked.state().peers()?)
        };
        match blocking(roll_call).await {
            Ok(peers) => {
                // Requests that are held for a peer that was retired end.
                let now: Vec<NodeId> = peers.iter().map(|p| p.node).collect();
                if std::mem::replace(&mut paired, now.clone()) != now {
                    node.ring();
                }
                at_work.retain(|id, task| {
                    let stays = peers.iter().any(|p| p.node == *id && p.address.is_some()) && !task.is_finished();
                    if !stays {
                        task.abort();
                    }
                    stays
                });
                // The others come by themselves.
                for peer in peers.into_iter().filter(|p| p.address.is_some()) {
                    let task = || tasks.spawn(courier::courier(node.clone(), peer.node, stop.clone()));
                    at_work.entry(peer.node).or_insert_with(task);
                }
            }
            Err(e) => tracing::error!(error = %e, "the peers could not be read"),
        }
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            () = stopped(&mut stop) => break,
            () = tokio::time::sleep(ROLL_CALL) => {}
            // Another process has written into the home: a command may have paired or retired a node.
            Some(_) = touches.recv() => tokio::time::sleep(GATHER).await,
        }
        while touches.try_recv().is_ok() {}
    }
    // Each sees the same signal, and none begins anything new after it.
    tasks.shutdown().await;
    Ok(())
}

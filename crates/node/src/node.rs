//! One node: its home, key and state, and what can be asked of it.
use crate::engine::{Balance, Database, Sibling};
use crate::home::{Home, Work};
use crate::identity::{Identity, NodeId};
use crate::state::{AgentPlace, AttachedDatabase, Peer, State};
use crate::status::{AgentStatus, DatabaseStatus, PeerStatus, Status};
use crate::{Error, Result};
use crate::{pair, platform};
use jiff::Timestamp;
use lockstep_engine::id::Millis;
use std::sync::Arc;

/// Where a node gets the time from.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// The computer's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| Millis(Timestamp::now().as_millisecond()))
}

/// A node of this computer. Cheap to share (`Arc<Node>`); its calls block, except those that say `async`.
pub struct Node {
    home: Home,
    identity: Identity,
    state: State,
    clock: Clock,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("id", &self.identity.id()).field("home", &self.home).finish_non_exhaustive()
    }
}

impl Node {
    /// Makes a node: key, certificate, state database.
    pub fn init(home: Home, name: Option<&str>) -> Result<Node> {
        home.create()?;
        let identity = Identity::make()?;
        let state = State::open(&home)?;
        let host = platform::host_name();
        let name = name.unwrap_or(&host);
        if !pair::good_name(name) {
            return Err(pair::PairError::BadName.into());
        }
        state.change_setting("name", name)?;
        // The key comes last: a home without one is no node, and `init` can be run again.
        identity.save(&home)?;
        Ok(Node { home, identity, state, clock: system_clock() })
    }

    /// Opens the node of a home.
    pub fn open(home: Home) -> Result<Node> {
        home.check()?;
        let identity = Identity::load(&home)?;
        let state = State::open(&home)?;
        Ok(Node { home, identity, state, clock: system_clock() })
    }

    /// The same node by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Node {
        Node { clock, ..self }
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        self.identity.id()
    }

    /// What it calls itself.
    pub fn name(&self) -> Result<String> {
        Ok(self.state.setting("name")?)
    }

    /// Its folder.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Its key and certificate.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its state database.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The time.
    pub fn now(&self) -> Millis {
        (self.clock)()
    }

    /// Everything at a glance. Harvests first, so that what is pending is known.
    pub fn status(&self) -> Result<Status> {
        let mut databases = Vec::new();
        let mut conflicts_unreviewed = 0;
        let mut lost = (0, None);
        for attached in self.state.databases()? {
            match self.look_at(&attached) {
                Ok((status, unreviewed, balance)) => {
                    databases.push(status);
                    conflicts_unreviewed += unreviewed;
                    lost.0 += balance.total.abs_diff(
                        balance.visible + balance.superseded + balance.archived + balance.deleted + balance.held,
                    );
                }
                Err(e) => {
                    lost.1 = Some(format!("{} could not be counted: {e}", attached.name));
                    databases.push(DatabaseStatus {
                        name: attached.name,
                        file: attached.file.display().to_string(),
                        rows: 0,
                        pending: 0,
                        held: 0,
                        capture: e.to_string(),
                    });
                }
            }
        }
        let agent = match self.home.try_lock(Work::Agent)? {
            Some(_) => None,
            None => self
                .state
                .agent()?
                .map(|a| AgentStatus { listening: format!("https://{}", a.listening), since: timestamp(a.since) }),
        };
        if lost.0 > 0 && lost.1.is_none() {
            lost.1 = Some("the accounts of the balance don't add up; `lockstep verify` counts them anew".to_owned());
        }
        Ok(Status {
            node: self.id().to_string(),
            name: self.name()?,
            agent,
            paused_until: None,
            databases,
            peers: self.peers()?,
            conflicts_unreviewed,
            values_lost: lost.0,
            values_lost_because: lost.1,
        })
    }

    fn look_at(&self, attached: &AttachedDatabase) -> Result<(DatabaseStatus, u64, Balance)> {
        let mut db = self.open_database(attached)?;
        let engine = |source| Error::Engine { database: attached.name.clone(), source };
        db.harvest(self.now()).map_err(engine)?;
        let summary = db.summary().map_err(engine)?;
        let balance = db.balance().map_err(engine)?;
        let status = DatabaseStatus {
            name: attached.name.clone(),
            file: attached.file.display().to_string(),
            rows: summary.tables.iter().map(|t| t.rows).sum(),
            pending: 0,
            held: summary.held,
            capture: if summary.capture.is_empty() { "ok".to_owned() } else { summary.capture.join("; ") },
        };
        Ok((status, summary.conflicts_unreviewed, balance))
    }

    /// Opens a database for a piece of work; drop it as soon as that is done.
    pub fn open_database(&self, attached: &AttachedDatabase) -> Result<Database> {
        Database::open(&attached.file, &self.siblings(&attached.name)?)
            .map_err(|source| Error::Engine { database: attached.name.clone(), source })
    }

    pub(crate) fn siblings(&self, name: &str) -> Result<Vec<Sibling>> {
        let others = self.state.databases()?.into_iter().filter(|d| d.name != name);
        Ok(others.map(|d| Sibling { name: d.name, path: d.file }).collect())
    }

    /// Where the agent of this home is, if one runs.
    pub fn agent(&self) -> Result<Option<AgentPlace>> {
        match self.home.try_lock(Work::Agent)? {
            Some(_free) => Ok(None),
            None => Ok(self.state.agent()?),
        }
    }

    /// Where an invited node is to look for this one: where the agent is, or was, or will be.
    pub(crate) fn invited_to(&self) -> Result<String> {
        Ok(self.state.agent()?.map_or_else(|| DEFAULT_ADDRESS.to_owned(), |a| a.advertised))
    }

    /// The address to tell to a peer: that of the running agent, unless it leads from the peer to the peer itself.
    pub(crate) fn told_address(&self, peer: &str) -> Result<Option<String>> {
        let mine = self.agent()?.map(|a| a.advertised);
        Ok(mine.filter(|mine| !is_loopback(mine) || is_loopback(peer)))
    }

    /// The paired nodes, as they were last seen.
    pub fn peers(&self) -> Result<Vec<PeerStatus>> {
        self.state.peers()?.into_iter().map(|p| self.peer_status(p)).collect()
    }

    fn peer_status(&self, peer: Peer) -> Result<PeerStatus> {
        let last = self.state.last_run(peer.node)?;
        Ok(PeerStatus {
            name: peer.name,
            node: peer.node.to_string(),
            address: peer.address,
            reachable: peer.reachable,
            clock_offset_ms: peer.clock_offset,
            last_verified_at: peer.verified_at.map(timestamp),
            last_run_at: last
                .as_ref()
                .map(|r| timestamp(Millis(r.started_at.as_millisecond().saturating_add(r.duration_ms)))),
            last_result: last.as_ref().map(|r| r.result.name().to_owned()),
            error: last.and_then(|r| r.error),
            lag_ms: None,
            pending: 0,
            held: peer.held,
            capture: peer.capture,
            shares: self.state.shares(peer.node)?,
        })
    }
}

/// Where an agent listens that was told nothing.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:7467";

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A moment as it is shown. Beyond year 9999 nothing is.
pub(crate) fn timestamp(at: Millis) -> Timestamp {
    Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::MAX)
}

//! One node: its home, key and state, and what can be asked of it.
use crate::access::Columns;
use crate::agent::NOWHERE;
use crate::cleanup::writes;
use crate::engine::{self, Balance, Database, Sibling, Summary, TableSummary};
use crate::heads::Heads;
use crate::home::{Home, Work};
use crate::identity::{Identity, NodeId};
use crate::lineage;
use crate::state::{AgentPlace, AttachedDatabase, Contact, Peer, State};
use crate::status::{AgentStatus, DatabaseStatus, HistoryBreak, PeerStatus, Status};
use crate::{Error, Result};
use crate::{pair, platform};
use jiff::Timestamp;
use lockstep_engine::id::{Host, Millis, Vector};
use lockstep_wire::message::{DatabaseHello, Hello, Word};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// So long nothing is heard of a peer that leads a session, at most: it works on one batch, or waits for its application.
const SILENT: Duration = Duration::from_secs(5);

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
    heads: watch::Sender<Heads>,
    /// One thread of this process at a time works on a database.
    turns: Mutex<HashMap<String, Arc<Mutex<()>>>>,
    /// What was last looked at of each peer, for who wants to see it row by row and to apply it.
    pub(crate) plans: Mutex<HashMap<NodeId, Arc<crate::plan::Looked>>>,
    /// When each peer last asked something of this process that belongs to a session.
    calls: Mutex<HashMap<NodeId, Instant>>,
    /// The peers that lead a session with this process, as far as they have said.
    visitors: Mutex<HashSet<NodeId>>,
    /// What comparing with each peer gave last.
    comparisons: Mutex<HashMap<NodeId, Arc<crate::compare::Comparison>>>,
    /// Digests of tables without the columns that don't pass, as long as the tables stand where they stood.
    parts: Mutex<PartDigests>,
}

/// By database, table and the columns that are left out: at that key and vector, the digest.
type PartDigests = HashMap<(String, String, Columns), ([u8; 16], Vector, u128)>;

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("id", &self.identity.id()).field("home", &self.home).finish_non_exhaustive()
    }
}

impl Node {
    /// Makes a node: key, certificate, state database.
    pub fn init(home: Home, name: Option<&str>) -> Result<Node> {
        let host = platform::host_name();
        let name = name.unwrap_or(&host);
        if !pair::good_name(name) {
            return Err(pair::PairError::BadName.into());
        }
        home.create()?;
        let identity = Identity::make()?;
        let state = State::open(&home)?;
        state.change_setting("name", name)?;
        // The key comes last: a home without one is no node, and `init` can be run again.
        identity.save(&home)?;
        Ok(Node::of(home, identity, state))
    }

    /// Opens the node of a home.
    pub fn open(home: Home) -> Result<Node> {
        home.check()?;
        let identity = Identity::load(&home)?;
        let state = State::open(&home)?;
        Ok(Node::of(home, identity, state))
    }

    fn of(home: Home, identity: Identity, state: State) -> Node {
        let (heads, _) = watch::channel(Heads::default());
        Node {
            home,
            identity,
            state,
            clock: system_clock(),
            heads,
            turns: Mutex::default(),
            plans: Mutex::default(),
            calls: Mutex::default(),
            visitors: Mutex::default(),
            comparisons: Mutex::default(),
            parts: Mutex::default(),
        }
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

    /// The moment that long ago.
    pub fn before(&self, ago: Duration) -> Millis {
        Millis(self.now().0.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How much waits for a person: held changes, and conflicts that nobody has looked at.
    pub fn waiting(&self) -> Result<u64> {
        let databases = self.state.databases()?;
        databases.iter().try_fold(0, |sum, database| {
            let summary = self.with_database(database, Database::summary)?;
            Ok(sum + summary.held + summary.conflicts_unreviewed)
        })
    }

    /// Everything at a glance. Harvests first, so that what is pending is known.
    pub fn status(&self) -> Result<Status> {
        let mut databases = Vec::new();
        let mut conflicts_unreviewed = 0;
        let mut lost = (0, None);
        let mut peers = self.peers()?;
        for attached in self.state.databases()? {
            match self.look_at(&attached).and_then(|found| Ok((found, self.count_pending(&attached, &mut peers)?))) {
                Ok(((mut status, unreviewed, balance), pending)) => {
                    status.pending = pending;
                    databases.push(status);
                    conflicts_unreviewed += unreviewed;
                    lost.0 += balance.total.abs_diff(
                        balance.visible
                            + balance.superseded
                            + balance.archived
                            + balance.deleted
                            + balance.held
                            + balance.cleaned,
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
                        bytes: 0,
                        own_bytes: 0,
                        history: None,
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
            syncing: self.syncing()?,
            paused_until: self.paused_until()?,
            databases,
            peers,
            conflicts_unreviewed,
            values_lost: lost.0,
            values_lost_because: lost.1,
        })
    }

    /// Counts the rows of a database that some peer lacks, and adds to what each of them lacks.
    fn count_pending(&self, attached: &AttachedDatabase, peers: &mut [PeerStatus]) -> Result<u64> {
        let mut rows = HashSet::new();
        let mut more = 0;
        for (peer, status) in self.state.peers()?.iter().zip(peers) {
            let pending = self.pending_at(attached, peer)?;
            let oldest = pending.rows.iter().map(|r| self.now().0.saturating_sub(r.at.0).max(0)).max();
            status.lag_ms = status.lag_ms.max(oldest);
            status.coming += self.coming_from(attached, peer)?;
            if pending.cut() {
                more = more.max(pending.writes);
                status.pending += pending.writes;
                continue;
            }
            let mut lacks = HashSet::new();
            for (n, row) in pending.rows.into_iter().enumerate() {
                // A row that has no key here stands for itself.
                lacks.insert((row.table, row.key.unwrap_or_else(|| format!("{} {n}", status.name))));
            }
            status.pending += lacks.len() as u64;
            rows.extend(lacks);
        }
        Ok(more.max(rows.len() as u64))
    }

    fn look_at(&self, attached: &AttachedDatabase) -> Result<(DatabaseStatus, u64, Balance)> {
        let now = self.now();
        let (summary, balance) = self.with_database(attached, |db| {
            db.harvest(now)?;
            Ok((db.summary()?, db.balance()?))
        })?;
        self.stands(&attached.name, &summary);
        let writes = writes(summary.tables.iter().map(|t| &t.vector));
        let status = DatabaseStatus {
            name: attached.name.clone(),
            file: attached.file.display().to_string(),
            rows: summary.tables.iter().map(|t| t.rows).sum(),
            pending: 0, // counted by status(), over all peers
            held: summary.held,
            capture: if summary.capture.is_empty() { "ok".to_owned() } else { summary.capture.join("; ") },
            bytes: std::fs::metadata(&attached.file).map_or(0, |m| m.len()),
            own_bytes: self.own_bytes(attached, writes)?,
            history: self.state.lineage(&attached.name)?.broke.map(|b| HistoryBreak {
                kind: b.kind.name().to_owned(),
                at: timestamp(b.at),
                copy: b.copy.map(|c| c.display().to_string()),
            }),
        };
        Ok((status, summary.conflicts_unreviewed, balance))
    }

    /// Works on a database, alone among the threads of this process, and remembers where it stands afterwards. A file
    /// whose history broke has begun a new incarnation before the work begins.
    pub(crate) fn with_database<T>(
        &self,
        attached: &AttachedDatabase,
        work: impl FnOnce(&mut Database) -> Result<T, engine::Error>,
    ) -> Result<T> {
        self.with_open(attached, |db| {
            self.wait_for_migration(attached, db)?;
            self.follow_lineage(attached, db)?;
            work(db).map_err(|e| Error::engine(&attached.name, e))
        })
    }

    /// The same without a look at its history before.
    pub(crate) fn with_open<T>(
        &self,
        attached: &AttachedDatabase,
        work: impl FnOnce(&mut Database) -> Result<T>,
    ) -> Result<T> {
        self.with_turn(attached, || {
            tracing::trace!(database = %attached.name, "a file is opened");
            let mut db = lineage::open(attached, &self.siblings(&attached.name)?)?;
            db.guard_by(self.guard()?);
            let done = work(&mut db)?;
            self.remember_lineage(attached, &db)?;
            Ok(done)
        })
    }

    /// Does something alone among the threads of this process that work on a database.
    pub(crate) fn with_turn<T>(&self, attached: &AttachedDatabase, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(|e| e.into_inner());
            turns.entry(attached.name.clone()).or_default().clone()
        };
        let _turn = turn.lock().unwrap_or_else(|e| e.into_inner());
        work()
    }

    /// What comparing with each peer gave last.
    pub(crate) fn comparisons(&self) -> std::sync::MutexGuard<'_, HashMap<NodeId, Arc<crate::compare::Comparison>>> {
        self.comparisons.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The digest of a table over the columns that pass, which takes a look at every row unless the table stands where
    /// it stood the last time.
    pub(crate) fn digest_without(
        &self,
        attached: &AttachedDatabase,
        table: &TableSummary,
        columns: &Columns,
        key: [u8; 16],
    ) -> Result<u128> {
        let place = (attached.name.clone(), table.name.clone(), columns.clone());
        let lock = || self.parts.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((k, vector, digest)) = lock().get(&place)
            && (*k, vector) == (key, &table.vector)
        {
            return Ok(*digest);
        }
        let (digest, stands) = self.with_database(attached, |db| {
            let digest = db.digest_without(&table.name, columns)?;
            let after = db.vectors()?.remove(&table.name).unwrap_or_default();
            Ok((digest, after == table.vector))
        })?;
        if stands {
            lock().insert(place, (key, table.vector.clone(), digest));
        }
        Ok(digest)
    }

    /// Harvests a database and remembers where it stands. Gives how many writes were found.
    pub(crate) fn look(&self, attached: &AttachedDatabase) -> Result<u64> {
        let now = self.now();
        let (writes, summary) = self.with_database(attached, |db| Ok((db.harvest(now)?.writes, db.summary()?)))?;
        self.stands(&attached.name, &summary);
        Ok(writes)
    }

    /// Told whenever a database has moved.
    pub(crate) fn heads(&self) -> watch::Receiver<Heads> {
        self.heads.subscribe()
    }

    /// Tells those who wait where a database stands.
    pub(crate) fn stands(&self, database: &str, summary: &Summary) {
        let vectors = summary.tables.iter().map(|t| (t.name.clone(), t.vector.clone())).collect();
        self.heads.send_if_modified(|heads| heads.set(database, vectors));
    }

    /// Remembers what a peer's hello says.
    pub(crate) fn greeted(&self, peer: NodeId, hello: &Hello, clock_offset: Option<i64>) -> Result<()> {
        let now = self.now();
        match hello.word {
            Word::First | Word::Further | Word::Last => self.state.confirmed(peer)?,
            Word::Look => {}
        }
        // What it says of databases that are not shared with it is not asked for, and not believed.
        let access = self.state.access(peer)?;
        let shared = || hello.databases.iter().filter(|d| access.names(&d.name));
        shared().try_for_each(|d| self.check_lineages(peer, d))?;
        let faults: Vec<String> =
            shared().flat_map(|d| d.capture.iter().map(move |fault| format!("{}: {fault}", d.name))).collect();
        let faults: String = faults.join("; ").chars().filter(|c| !c.is_control()).take(500).collect();
        let capture = if faults.is_empty() { "ok".to_owned() } else { faults };
        let held = shared().map(|d| d.held).fold(0, u64::saturating_add).min(i64::MAX.unsigned_abs());
        let clock_offset = clock_offset.or_else(|| hello.now_ms.0.checked_sub(now.0));
        let databases: Vec<&DatabaseHello> = shared().collect();
        self.state.greeted(peer, &Contact { clock_offset, held, capture }, &databases, now)?;
        shared().try_for_each(|d| self.meet_replica(d, peer))
    }

    /// Remembers whose a replica is, and in the file what a person may have said of how the two files began.
    fn meet_replica(&self, database: &DatabaseHello, peer: NodeId) -> Result<()> {
        if !self.remember_replica(database.replica, peer)? {
            return Ok(());
        }
        let Some(attached) = self.state.databases()?.into_iter().find(|d| d.name == database.name) else {
            return Ok(());
        };
        match self.origin(peer)? {
            Some(origin) => self.with_database(&attached, |db| db.began(database.replica, origin.began(), self.now())),
            None => Ok(()),
        }
    }

    /// What a file is told of the node that it lives on.
    pub(crate) fn host(&self) -> Result<Host> {
        Ok(Host { node: self.id().0, name: self.name()? })
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
        let place = self.state.agent()?;
        let told = |a: AgentPlace| if a.advertised == NOWHERE { a.listening } else { a.advertised };
        Ok(place.map_or_else(|| DEFAULT_ADDRESS.to_owned(), told))
    }

    /// A peer gets through to this node.
    pub(crate) fn called(&self, peer: NodeId) {
        self.calls.lock().unwrap_or_else(|e| e.into_inner()).insert(peer, Instant::now());
    }

    /// When it last did.
    pub(crate) fn last_call(&self, peer: NodeId) -> Option<Instant> {
        self.calls.lock().unwrap_or_else(|e| e.into_inner()).get(&peer).copied()
    }

    /// Has those who wait for news look again.
    pub(crate) fn ring(&self) {
        self.heads.send_modify(|_| {});
    }

    /// A peer begins to lead a session with this process, or ends it.
    pub(crate) fn visited_by(&self, peer: NodeId, begins: bool) {
        let mut visitors = self.visitors.lock().unwrap_or_else(|e| e.into_inner());
        if begins {
            visitors.insert(peer)
        } else {
            visitors.remove(&peer)
        };
    }

    /// Does the peer lead a session with this process now? One of which nothing was heard for a while has broken off.
    pub(crate) fn is_visited_by(&self, peer: NodeId) -> bool {
        let began = self.visitors.lock().unwrap_or_else(|e| e.into_inner()).contains(&peer);
        began && self.last_call(peer).is_some_and(|at| at.elapsed() < SILENT)
    }

    /// The address to tell to a peer: that of the running agent, unless it leads from the peer to the peer itself.
    pub(crate) fn told_address(&self, peer: &str) -> Result<Option<String>> {
        let mine = self.agent()?.map(|a| a.advertised);
        Ok(mine.filter(|mine| mine != NOWHERE && (!is_loopback(mine) || is_loopback(peer))))
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
            failures: peer.failures,
            clock_offset_ms: peer.clock_offset,
            last_verified_at: peer.verified_at.map(timestamp),
            last_run_at: last
                .as_ref()
                .map(|r| timestamp(Millis(r.started_at.as_millisecond().saturating_add(r.duration_ms)))),
            last_result: last.as_ref().map(|r| r.result.name().to_owned()),
            error: last.and_then(|r| r.error),
            lag_ms: None,
            pending: 0,
            coming: 0,
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

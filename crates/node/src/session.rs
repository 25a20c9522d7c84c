//! A session with a peer, led by this node: the machine of the wire crate, with HTTPS and files around it.
//!
//! Always true here: what a peer is known to have is remembered after it said so, never before. One session of a home
//! runs at a time, in whichever process. Every session leaves a record, also one that never began.
use crate::call::{self, Link};
use crate::home::Work;
use crate::node::Node;
use crate::routes::{self, blocking};
use crate::shelf::Shelf;
use crate::state::{Peer, RunResult, TableEntry, Tally, Trigger};
use crate::status::{Problem, Share};
use crate::underway::Underway;
use crate::visit::{Said, Visit};
use crate::{Error, Result};
use lockstep_engine::change::Batch;
use lockstep_engine::id::Millis;
use lockstep_engine::stop::{self, Point};
use lockstep_wire::message::{DatabaseHello, Hello, Message, Pull, PushAck, Refusal, Word};
use lockstep_wire::parts::{Cut, PartRequest, is_part, read_part};
use lockstep_wire::session::{
    Bytes, Effect, Event, Identity, Options, Outcome, Reply, Report, Request, Session, TableOutcome, Way, Ways, perform,
};
use lockstep_wire::{Hex, Limits, decode_batch, encode_batch, parts};
use serde::Serialize;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

pub use lockstep_wire::session::Progress;

/// How long another session of this home is waited for.
pub(crate) const TURN: Duration = Duration::from_secs(120);
/// How long one request may take: the peer may wait for a lock of its application, and apply a large batch.
const REQUEST: Duration = Duration::from_secs(120);

/// What came of a session, as `sync` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SyncEntry {
    /// What this node calls the peer.
    pub name: String,
    /// Its id.
    pub node: String,
    /// Changes that it took.
    pub sent: u64,
    /// Changes that were taken here.
    pub received: u64,
    /// Rows that were written here.
    pub applied: u64,
    /// Conflicts that were recorded, on either side.
    pub conflicts: u64,
    /// Changes held here now.
    pub held: u64,
    /// Changes held there now.
    pub held_there: u64,
    /// Rows that got another id than at their birthplace, on either side.
    pub id_moves: u64,
    /// Rounds until neither side had news.
    pub rounds: u64,
    /// Do the digests of both sides agree?
    pub verified: bool,
    /// `verified`, `partial`, `failed`.
    pub result: RunResult,
    /// How long it took.
    pub duration_ms: i64,
    /// Bytes of bodies.
    pub bytes_sent: u64,
    /// Bytes of bodies.
    pub bytes_received: u64,
    /// Tables whose digests were not found equal, and why.
    pub tables: Vec<TableEntry>,
    /// Why it was not verified.
    pub error: Option<Problem>,
}

impl SyncEntry {
    /// Of a session in which nothing has happened yet.
    pub(crate) fn begun(peer: &Peer) -> SyncEntry {
        SyncEntry {
            name: peer.name.clone(),
            node: peer.node.to_string(),
            sent: 0,
            received: 0,
            applied: 0,
            conflicts: 0,
            held: 0,
            held_there: 0,
            id_moves: 0,
            rounds: 0,
            verified: false,
            result: RunResult::Failed,
            duration_ms: 0,
            bytes_sent: 0,
            bytes_received: 0,
            tables: Vec::new(),
            error: None,
        }
    }

    /// With what a further session did that belongs to it.
    pub(crate) fn follow(&mut self, more: SyncEntry) {
        self.sent += more.sent;
        self.received += more.received;
        self.applied += more.applied;
        self.conflicts += more.conflicts;
        self.id_moves += more.id_moves;
        self.rounds += more.rounds;
        self.duration_ms += more.duration_ms;
        self.bytes_sent += more.bytes_sent;
        self.bytes_received += more.bytes_received;
        (self.held, self.held_there) = (more.held, more.held_there);
        (self.verified, self.result) = (more.verified, more.result);
        (self.tables, self.error) = (more.tables, more.error);
    }
}

/// Told about a session while it runs. Says whether it shall go on: when not, it ends after the batch it is in.
pub type Watcher<'a> = &'a (dyn Fn(&Progress) -> ControlFlow<()> + Send + Sync);

/// For a session that nobody watches.
pub fn unwatched(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

impl Node {
    /// Runs one session with a peer. An error means that it could not even be recorded; all else is in the entry.
    pub async fn sync(self: &Arc<Node>, peer: &Peer, trigger: Trigger, watcher: Watcher<'_>) -> Result<SyncEntry> {
        let _turn = self.home().lock(Work::Sync, TURN).await?;
        let started = self.now();
        let mut link = None;
        let reached = Mutex::new(Progress::default());
        let underway = Underway::new(self.clone(), &peer.name, started);
        let watched = |progress: &Progress| {
            underway.at(progress);
            reached.lock().unwrap_or_else(|e| e.into_inner()).clone_from(progress);
            watcher(progress)
        };
        let ended = self.lead(peer, &mut link, &watched).await;
        let stopped = matches!(ended, Err(Error::Stopped));
        let bytes = link.as_ref().map_or((0, 0), Link::bytes);
        let mut entry = entry(peer, ended.map_err(|e| e.problem()), bytes, (started, self.now()));
        if stopped {
            // What was exchanged until then stands, and nothing failed.
            let reached = reached.into_inner().unwrap_or_else(|e| e.into_inner());
            (entry.result, entry.sent, entry.received) = (RunResult::Partial, reached.sent, reached.received);
        }
        let (node, id, record) = (self.clone(), peer.node, entry.clone());
        blocking(move || underway.over().and_then(|()| node.record(id, trigger, started, &record))).await?;
        tracing::info!(
            peer = %entry.name, trigger = trigger.name(), result = entry.result.name(), sent = entry.sent,
            received = entry.received, conflicts = entry.conflicts, held = entry.held, ms = entry.duration_ms,
            code = entry.error.as_ref().map(|e| e.code.as_str()), "a session ended"
        );
        Ok(entry)
    }

    pub(crate) fn record(
        &self,
        peer: crate::NodeId,
        trigger: Trigger,
        started: Millis,
        entry: &SyncEntry,
    ) -> Result<()> {
        let tally = Tally {
            rounds: entry.rounds,
            sent: entry.sent,
            received: entry.received,
            applied: entry.applied,
            conflicts: entry.conflicts,
            held: entry.held,
            id_moves: entry.id_moves,
            bytes_sent: entry.bytes_sent,
            bytes_received: entry.bytes_received,
        };
        if entry.error.as_ref().is_some_and(|e| matches!(e.code.as_str(), "unreachable" | "timed_out" | "no_address")) {
            self.state().missed(peer)?;
        }
        // A peer that is away for a night is one fault and not a hundred: from the third on, vain attempts to reach it
        // again are only counted.
        let before = self.state().last_run(peer)?.and_then(|r| r.error).map(|e| e.code);
        let same = entry.error.is_some() && entry.error.as_ref().map(|e| &e.code) == before.as_ref();
        let failures = self.state().peer_by_id(peer)?.map_or(0, |p| p.failures);
        if trigger == Trigger::Retry && same && failures >= crate::courier::ALARM {
            return Ok(self.state().failed_again(peer)?);
        }
        let span = (started, Millis(started.0.saturating_add(entry.duration_ms)));
        self.state().add_run(peer, trigger, span, &tally, (entry.result, &entry.tables), entry.error.as_ref())?;
        Ok(())
    }

    /// Records what came of a session that a peer led.
    pub(crate) fn visited(&self, peer: crate::NodeId, visit: &Visit, equal: Option<bool>, now: Millis) -> Result<()> {
        let (result, problem) = Visit::result(equal);
        let span = (visit.started, if equal.is_some() { now } else { visit.last });
        self.state().add_run(peer, Trigger::Peer, span, &visit.tally, (result, &[]), problem.as_ref())?;
        Ok(())
    }

    /// Records that a peer sent what it may not write. Nothing of it was taken.
    pub(crate) fn refused(&self, peer: crate::NodeId, said: &Refusal) -> Result<()> {
        let now = self.now();
        let problem = Problem { code: said.code.clone(), message: said.message.clone(), hint: Some(said.hint.clone()) };
        let tally = Tally::default();
        self.state().add_run(peer, Trigger::Peer, (now, now), &tally, (RunResult::Failed, &[]), Some(&problem))?;
        Ok(())
    }

    async fn lead(self: &Arc<Node>, peer: &Peer, kept: &mut Option<Link>, watcher: Watcher<'_>) -> Result<Report> {
        let address = peer.address.as_ref().ok_or_else(|| Error::NoAddress { peer: peer.name.clone() })?;
        let link = kept.insert(Link::new(self.identity(), peer.node, address)?.telling(self.told_address(address)?));
        let (node, id) = (self.clone(), peer.node);
        let (names, ways) = blocking(move || {
            let ways = ways(&node.state().shares(id)?);
            Ok((Shelf::of(node, id)?.names(), ways))
        })
        .await?;
        if names.is_empty() {
            return Err(crate::pair::PairError::NothingShared.into());
        }
        let me = Identity { node: Hex(self.id().0), name: self.name()? };
        let mut leader = Leader {
            node: self.clone(),
            peer: peer.clone(),
            link,
            limits: Limits::default(),
            mine: Vec::new(),
            told: Vec::new(),
            failure: None,
        };
        let report = leader.run(Session::new(me.clone(), Options { ways, ..Options::new(names) }), watcher).await?;
        let moved = report.databases.iter().any(|d| d.sent + d.received > 0);
        leader.farewell(me, moved).await;
        Ok(report)
    }
}

/// Which way tables go that this node does not have. What no line of the shares names goes no way.
fn ways(shares: &[Share]) -> Ways {
    let mut ways = Ways::default();
    for share in shares {
        match share.what.split_once('.') {
            Some((database, table)) => {
                ways.set(database, Some(table), share.direction.way());
                if !shares.iter().any(|s| s.what == database) {
                    ways.set(database, None, Way::None);
                }
            }
            None => ways.set(&share.what, None, share.direction.way()),
        }
    }
    ways
}

/// What surrounds the machine.
struct Leader<'a> {
    node: Arc<Node>,
    peer: Peer,
    link: &'a Link,
    limits: Limits,
    /// This node's latest summaries.
    mine: Vec<DatabaseHello>,
    /// Those that the peer knows of.
    told: Vec<DatabaseHello>,
    /// What went wrong here, in full.
    failure: Option<Error>,
}

impl Leader<'_> {
    async fn run(&mut self, mut session: Session, watcher: Watcher<'_>) -> Result<Report> {
        let mut local: JoinSet<(Event, Option<Error>)> = JoinSet::new();
        let mut effects = session.start(self.node.now());
        let link = self.link;
        let limits = self.limits;
        let mut sending: Option<std::pin::Pin<Box<dyn Future<Output = Event> + Send + '_>>> = None;
        loop {
            for effect in effects.drain(..) {
                match effect {
                    Effect::Done(report) => {
                        return match self.failure.take() {
                            // What happened here is known better here than what a peer would be told of it.
                            Some(e) if matches!(report.outcome, Outcome::Failed(_)) => Err(e),
                            _ => Ok(*report),
                        };
                    }
                    Effect::Send(request) => {
                        self.still_paired().await?;
                        if let Request::Hello(hello) = &request {
                            self.told = hello.databases.clone();
                        }
                        sending = Some(Box::pin(send(link, limits, request)));
                    }
                    effect => {
                        let (node, peer) = (self.node.clone(), self.peer.node);
                        local.spawn_blocking(move || on_shelf(node, peer, effect));
                    }
                }
            }
            let event = tokio::select! {
                Some(done) = local.join_next(), if !local.is_empty() => match done {
                    Ok((event, failure)) => {
                        self.failure = failure.or(self.failure.take());
                        event
                    }
                    Err(e) => match e.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(_) => return Err(Error::Ending),
                    },
                },
                event = async { sending.as_mut().expect("checked").await }, if sending.is_some() => {
                    sending = None;
                    event
                }
                else => return Err(Error::Ending),
            };
            self.notice(&event).await?;
            effects = session.handle(event, self.node.now());
            if watcher(&session.progress()).is_break() {
                // What has begun here is finished; nothing new begins.
                while local.join_next().await.is_some() {}
                return Err(Error::Stopped);
            }
        }
    }

    /// Fails once the peer was retired, by whichever process: nothing more goes to it.
    async fn still_paired(&self) -> Result<()> {
        let (node, peer, name) = (self.node.clone(), self.peer.node, self.peer.name.clone());
        blocking(move || {
            if node.state().is_peer(peer)? {
                return Ok(());
            }
            Err(crate::state::Error::Unknown { what: "peer", name }.into())
        })
        .await
    }

    /// Remembers what an answer says about the peer.
    async fn notice(&mut self, event: &Event) -> Result<()> {
        let (node, peer) = (self.node.clone(), self.peer.node);
        match event {
            Event::Summaries(Ok(mine)) => {
                self.mine.clone_from(mine);
                Ok(())
            }
            Event::Replied { reply: Reply::Hello(hello), .. } => {
                let (hello, mine) = (hello.clone(), self.mine.clone());
                let offset = hello.now_ms.0.saturating_sub(node.now().0);
                blocking(move || {
                    node.greeted(peer, &hello, Some(offset))?;
                    if !mine.is_empty() {
                        node.notice_unlike(peer, &mine, &hello.databases)?;
                    }
                    node.hear(peer, &Said::of(&hello))
                })
                .await
            }
            Event::Replied { reply: Reply::PushAck(ack), .. } => {
                let ack = ack.clone();
                blocking(move || {
                    stop::at(Point::Acknowledged);
                    let now = node.now();
                    node.state().told(peer, &ack.database, &ack.tables, now)?;
                    stop::at(Point::AcknowledgementKept);
                    Ok(())
                })
                .await
            }
            Event::Replied { reply: Reply::Digests(said), .. } => {
                let said = said.clone();
                blocking(move || {
                    let now = node.now();
                    Ok(node.state().told(peer, &said.database, &said.tables, now)?)
                })
                .await
            }
            _ => Ok(()),
        }
    }

    /// Tells the peer where this node stands now, so that it knows what is pending and that the session is over.
    /// Nothing depends on it.
    async fn farewell(&mut self, me: Identity, moved: bool) {
        if !moved && self.mine == self.told {
            return;
        }
        let databases = std::mem::take(&mut self.mine);
        let now_ms = self.node.now();
        let hello = Hello { node: me.node, name: me.name, now_ms, word: Word::Last, databases };
        let event = send(self.link, self.limits, Request::Hello(hello)).await;
        if let Err(e) = self.notice(&event).await {
            tracing::warn!(error = %e, "what a peer said at last could not be remembered");
        }
    }
}

fn on_shelf(node: Arc<Node>, peer: crate::NodeId, effect: Effect) -> (Event, Option<Error>) {
    match Shelf::of(node, peer) {
        Ok(mut shelf) => {
            let event = perform(&mut shelf, effect).expect("only local effects come here");
            (event, shelf.take_failure())
        }
        Err(e) => {
            let refused = crate::shelf::told(&e);
            let event = match effect {
                Effect::Summarize { .. } => Event::Summaries(Err(refused)),
                Effect::AdoptKey { .. } => Event::KeyAdopted(Err(refused)),
                Effect::Extract { .. } => Event::Extracted(Err(refused)),
                Effect::Apply(_) | Effect::Send(_) | Effect::Done(_) => Event::Applied(Err(refused)),
            };
            (event, Some(e))
        }
    }
}

/// One request of a session and its answer.
async fn send(link: &Link, limits: Limits, request: Request) -> Event {
    let before = link.bytes();
    let answer = exchange(link, limits, request).await;
    let after = link.bytes();
    let bytes = Bytes { sent: after.0 - before.0, received: after.1 - before.1 };
    match answer {
        Ok(reply) => Event::Replied { reply, bytes },
        Err(Trouble::Wire(e)) => Event::Failed { refusal: Refusal::of(&e), again: e.is_transient(), bytes },
        // The peer's own no is an answer of the protocol.
        Err(Trouble::Call(call::Error::Refused { status, problem })) if status < 500 => {
            let Problem { code, message, hint } = problem;
            let refusal = Refusal { code, message, hint: hint.unwrap_or_default() };
            Event::Replied { reply: Reply::Refused(refusal), bytes }
        }
        Err(Trouble::Call(e)) => {
            let refusal = crate::shelf::refusal(e.code(), &e.to_string(), e.hint().as_deref().unwrap_or(""));
            Event::Failed { refusal, again: e.is_transient(), bytes }
        }
    }
}

enum Trouble {
    Wire(lockstep_wire::Error),
    Call(call::Error),
}

impl From<lockstep_wire::Error> for Trouble {
    fn from(e: lockstep_wire::Error) -> Trouble {
        Trouble::Wire(e)
    }
}

impl From<call::Error> for Trouble {
    fn from(e: call::Error) -> Trouble {
        Trouble::Call(e)
    }
}

async fn exchange(link: &Link, limits: Limits, request: Request) -> Result<Reply, Trouble> {
    let most = limits.message + 1024;
    match request {
        Request::Hello(hello) => {
            let answer = link.post(routes::HELLO, hello.to_json(), most, REQUEST).await?;
            Ok(Reply::Hello(Hello::from_json(&answer, &limits)?))
        }
        Request::Digests(ask) => {
            let answer = link.post(routes::DIGESTS, ask.to_json(), most, REQUEST).await?;
            Ok(Reply::Digests(Message::from_json(&answer, &limits)?))
        }
        Request::Pull(pull) => {
            let mut body = link.post(routes::PULL, pull.to_json(), most, REQUEST).await?;
            if is_part(&body) {
                body = rest(link, limits, body).await?;
            }
            let batch = off_thread(move || decode_batch(&body, &limits)).await?;
            Ok(Reply::Batch(Box::new(batch)))
        }
        Request::Push(batch) => {
            let body = off_thread(move || encode_batch(&batch, &limits)).await?.bytes;
            let cut = Cut::new(&body, &limits);
            if cut.of() == 1 {
                let answer = link.post(routes::PUSH, body, most, REQUEST).await?;
                return Ok(Reply::PushAck(Message::from_json(&answer, &limits)?));
            }
            let mut index = 0;
            loop {
                let part = cut.part(index).ok_or(lockstep_wire::Error::Part { reason: "there are not so many" })?;
                let answer = link.post(routes::PUSH, part, most, REQUEST).await?;
                match parts::PartAck::from_json(&answer, &limits) {
                    Ok(ack) => index = ack.next,
                    Err(_) => return Ok(Reply::PushAck(Message::from_json(&answer, &limits)?)),
                }
            }
        }
    }
}

/// Asks for one batch.
pub(crate) async fn fetch_batch(link: &Link, limits: Limits, pull: &Pull) -> Result<Batch> {
    match exchange(link, limits, Request::Pull(pull.clone())).await {
        Ok(Reply::Batch(batch)) => Ok(*batch),
        Ok(_) => Err(lockstep_wire::Error::Field { reason: "it answers something else" }.into()),
        Err(Trouble::Wire(e)) => Err(e.into()),
        Err(Trouble::Call(e)) => Err(e.into()),
    }
}

/// Brings one batch.
pub(crate) async fn push_batch(link: &Link, limits: Limits, batch: Batch) -> Result<PushAck> {
    match exchange(link, limits, Request::Push(Box::new(batch))).await {
        Ok(Reply::PushAck(ack)) => Ok(ack),
        Ok(_) => Err(lockstep_wire::Error::Field { reason: "it answers something else" }.into()),
        Err(Trouble::Wire(e)) => Err(e.into()),
        Err(Trouble::Call(e)) => Err(e.into()),
    }
}

/// Fetches the other parts of a body of which the first has come.
async fn rest(link: &Link, limits: Limits, first: Vec<u8>) -> Result<Vec<u8>, Trouble> {
    let mut parts = parts::Parts::new();
    let mut part = first;
    loop {
        let (head, bytes) = read_part(&part, &limits)?;
        match parts.add(&head, bytes, &limits)? {
            parts::Progress::Whole(body) => return Ok(body),
            parts::Progress::Next(index) => {
                let ask = PartRequest { whole: head.whole, index };
                part = link.post(routes::PART, ask.to_json(), limits.message + 1024, REQUEST).await?;
            }
        }
    }
}

/// Packing and unpacking take a while.
async fn off_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(f).await {
        Ok(done) => done,
        Err(e) => std::panic::resume_unwind(e.try_into_panic().unwrap_or_else(|e| Box::new(e.to_string()))),
    }
}

fn problem(refusal: Refusal) -> Problem {
    let hint = Some(refusal.hint).filter(|h| !h.is_empty());
    Problem { code: refusal.code, message: refusal.message, hint }
}

fn entry(
    peer: &Peer,
    ended: Result<Report, Problem>,
    (bytes_sent, bytes_received): (u64, u64),
    (started, now): (Millis, Millis),
) -> SyncEntry {
    let duration_ms = (now.0 - started.0).max(0);
    let mut entry = SyncEntry { duration_ms, bytes_sent, bytes_received, ..SyncEntry::begun(peer) };
    let report = match ended {
        Ok(report) => report,
        Err(problem) => {
            entry.error = Some(problem);
            return entry;
        }
    };
    for database in &report.databases {
        entry.sent += database.sent;
        entry.received += database.received;
        entry.applied += database.applied.inserts + database.applied.updates + database.applied.deletes;
        // Both sides count a conflict that both find; one that only one finds travels to the other.
        entry.conflicts += database.applied.conflicts.max(database.applied_there.conflicts);
        entry.id_moves += database.applied.id_moves + database.applied_there.id_moves;
        entry.held += database.held;
        entry.held_there += database.held_there;
        entry.rounds = entry.rounds.max(u64::from(database.rounds));
        for table in &database.tables {
            let state = match table.outcome {
                TableOutcome::Equal => continue,
                TableOutcome::Differs => "differs",
                TableOutcome::Moved => "moved",
                TableOutcome::OneWay => "one_way",
                TableOutcome::ConfigDiffers => "config_differs",
                TableOutcome::MissingHere => "missing_here",
                TableOutcome::MissingThere => "missing_there",
            };
            entry
                .tables
                .push(TableEntry { name: format!("{}.{}", database.name, table.name), state: state.to_owned() });
        }
    }
    (entry.result, entry.error) = match report.outcome {
        Outcome::Verified => (RunResult::Verified, None),
        Outcome::Failed(refusal) => (RunResult::Failed, Some(problem(refusal))),
        Outcome::Differs => (RunResult::Partial, Some(unverified("differs", &entry.tables))),
        Outcome::Partial => (RunResult::Partial, Some(unverified("not_compared", &entry.tables))),
    };
    entry.verified = entry.result == RunResult::Verified;
    entry
}

/// Why a session that went through was not verified.
fn unverified(code: &str, tables: &[TableEntry]) -> Problem {
    let of = |state: &str| {
        let names: Vec<&str> = tables.iter().filter(|t| t.state == state).map(|t| t.name.as_str()).collect();
        names.join(", ")
    };
    let said = |state: &str, text: &str| {
        let names = of(state);
        if names.is_empty() { None } else { Some(format!("{text}: {names}")) }
    };
    let message = [
        said("differs", "the two sides have the same writes and different rows"),
        said("moved", "written to all the while"),
        said("one_way", "shared one way or on one side alone, and written to on the other"),
        said("config_differs", "configured differently on the two sides"),
        said("missing_here", "not there on this side"),
        said("missing_there", "not there on the other side"),
    ];
    let found: Vec<String> = message.into_iter().flatten().collect();
    let (message, hint) = match code {
        "differs" => (found.join("; "), "`lockstep verify` finds the rows"),
        _ if found.is_empty() => (
            "no table is shared that both sides have, so nothing was compared".to_owned(),
            "`lockstep peers` on both nodes says what is shared",
        ),
        _ => (found.join("; "), "what was exchanged is safe; the tables named are compared when they can be"),
    };
    Problem { code: code.to_owned(), message, hint: Some(hint.to_owned()) }
}

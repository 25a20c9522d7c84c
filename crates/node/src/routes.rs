//! What can be asked of a node over the network, and by whom.
//!
//! Always true here: what is not named here is answered with an empty 404. An error tells a peer its code and a
//! sentence, and nothing about this computer: no file, no path, no row.
mod compare;

use crate::identity::NodeId;
use crate::message::{self, Message as _};
use crate::node::Node;
use crate::pair::good_address;
use crate::server::{Caller, Gate, Standing, Stop, stopped};
use crate::shelf::{NOT_ALLOWED, Shelf, refusal};
use crate::visit::{self, Said, Visit};
use crate::{Error, Result};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use futures_util::StreamExt;
use lockstep_engine::stop::{self, Point};
use lockstep_wire::message::{Digests, Hello, Message as _, Pull, Refusal as WireRefusal, Word};
use lockstep_wire::parts::{self, Cut, PartAck, PartRequest, Parts, is_part, read_part};
use lockstep_wire::session::{Identity, Reply, Request, answer};
use lockstep_wire::{Hex, Limits, decode_batch, encode_batch};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// The only path that is open to a node that is not paired.
pub const JOIN: &str = "/v1/join";
/// Who are you, and what do you have?
pub const HELLO: &str = "/v1/hello";
/// Send what I lack.
pub const PULL: &str = "/v1/pull";
/// Take this.
pub const PUSH: &str = "/v1/push";
/// Say the digests.
pub const DIGESTS: &str = "/v1/digests";
/// Sum up ranges of a table.
pub const RANGES: &str = "/v1/ranges";
/// Name the births of ranges.
pub const BIRTHS: &str = "/v1/births";
/// Say what rows say.
pub const ROWS: &str = "/v1/rows";
/// Send a further part of a large answer.
pub const PART: &str = "/v1/part";
/// What would this do?
pub const PREVIEW: &str = "/v1/preview";
/// I take back that I joined.
pub const LEAVE: &str = "/v1/leave";
/// Tell me when there is news.
pub const WAIT: &str = "/v1/wait";

/// The header in which a caller says where it can be called itself.
pub const ADDRESS: &str = "lockstep-address";

/// Small messages.
const SMALL: usize = 64 << 10;
/// How long nothing may come while a body is on its way.
const STALL: Duration = Duration::from_secs(15);

#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) node: Arc<Node>,
    gate: Arc<Gate>,
    pub(crate) stop: Stop,
    desk: Arc<Desk>,
}

/// What is kept of the callers between two requests.
#[derive(Default)]
struct Desk {
    peers: Mutex<HashMap<NodeId, Arc<Seat>>>,
    /// Of those that are not paired.
    strangers: Lines,
}

/// What is kept of one caller.
struct Seat {
    /// Requests at a time.
    requests: Arc<Semaphore>,
    /// Requests held at a time.
    waits: Arc<Semaphore>,
    /// A large answer, for as long as its parts are asked for.
    answer: Mutex<Option<(Instant, Arc<Vec<u8>>)>>,
    /// A large batch, as far as it has come.
    batch: Mutex<Option<(Instant, Parts)>>,
    /// The session that it leads.
    visit: Mutex<Option<Visit>>,
    /// The table that it compares.
    sums: Mutex<Option<compare::Summed>>,
    /// On its refused requests.
    lines: Lines,
}

/// Lines of the log in this minute, so that nobody fills it.
#[derive(Default)]
struct Lines(Mutex<Option<(Instant, u32)>>);

/// Of one caller in a minute.
const LINES: u32 = 20;

impl Lines {
    /// May one more be written about that node?
    fn another(&self, node: NodeId) -> bool {
        let mut lines = lock(&self.0);
        lines.take_if(|(since, _)| since.elapsed() >= Duration::from_secs(60));
        let (_, written) = lines.get_or_insert_with(|| (Instant::now(), 0));
        *written = written.saturating_add(1);
        if *written == LINES {
            tracing::warn!(%node, "so many requests are refused that the next ones of this minute are not logged");
        }
        *written < LINES
    }

    /// Says who was refused what. `response` may be none of a refusal.
    fn note(&self, response: &Response, node: NodeId, from: SocketAddr, path: &str) {
        let Some(Refused { code, error }) = response.extensions().get::<Refused>() else { return };
        if !self.another(node) {
            return;
        }
        if response.status().is_server_error() {
            tracing::error!(%node, %from, path, code, error, "a peer's request failed");
        } else {
            tracing::warn!(%node, %from, path, code, error, "a request was refused");
        }
    }
}

/// Goes with the answer as far as the log: what the caller is not told of his refusal.
#[derive(Clone)]
struct Refused {
    code: String,
    error: String,
}

impl Desk {
    fn seat(&self, peer: NodeId) -> Arc<Seat> {
        let mut peers = lock(&self.peers);
        let seat = || Seat {
            requests: Arc::new(Semaphore::new(REQUESTS)),
            waits: Arc::new(Semaphore::new(WAITS)),
            answer: Mutex::default(),
            batch: Mutex::default(),
            visit: Mutex::default(),
            sums: Mutex::default(),
            lines: Lines::default(),
        };
        peers.entry(peer).or_insert_with(|| Arc::new(seat())).clone()
    }

    /// Lets go of what nobody has asked for in a while.
    fn sweep(&self) {
        for seat in lock(&self.peers).values() {
            lock(&seat.answer).take_if(|(at, _)| at.elapsed() > KEPT);
            lock(&seat.batch).take_if(|(at, _)| at.elapsed() > KEPT);
            lock(&seat.sums).take_if(|summed| summed.at.elapsed() > KEPT);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A peer needs one at a time; a second session may begin before the first one's connection is known to be lost.
const REQUESTS: usize = 4;
/// Likewise.
const WAITS: usize = 2;
/// How long parts of something large are kept.
const KEPT: Duration = Duration::from_secs(120);
/// How long a request is held at most. Shorter than what routers on the way forget a silent connection after.
const HELD: Duration = Duration::from_secs(50);

pub(crate) fn routes(node: Arc<Node>, gate: Arc<Gate>, stop: Stop) -> Router {
    let served = Served { node, gate, stop, desk: Arc::default() };
    Router::new()
        .route(JOIN, post(join))
        .route(HELLO, post(hello))
        .route(PULL, post(pull))
        .route(PUSH, post(push))
        .route(DIGESTS, post(digests))
        .route(RANGES, post(compare::ranges))
        .route(BIRTHS, post(compare::births))
        .route(ROWS, post(compare::rows))
        .route(PART, post(part))
        .route(PREVIEW, post(preview))
        .route(LEAVE, post(leave))
        .route(WAIT, post(wait))
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
        .layer(from_fn_with_state(served.clone(), authorize))
        .with_state(served)
}

async fn nothing() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// Asked anew for each request: a peer may have been retired since the handshake, an invite may have been used.
async fn authorize(
    State(served): State<Served>,
    Extension(Caller(id)): Extension<Caller>,
    Extension(from): Extension<SocketAddr>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    match served.gate.look(id) {
        Standing::Peer => {
            served.desk.sweep();
            let seat = served.desk.seat(id);
            let waits = path == WAIT;
            if !waits {
                served.node.called(id);
            }
            let places = if waits { &seat.waits } else { &seat.requests };
            let response = match places.clone().try_acquire_owned() {
                Ok(_place) => {
                    let response = next.run(request).await;
                    if !waits {
                        served.node.called(id);
                    }
                    response
                }
                Err(_) => Refusal::Busy.into_response(),
            };
            seat.lines.note(&response, id, from, &path);
            response
        }
        Standing::Invited if path == JOIN => {
            let mut response = next.run(request).await;
            response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            served.desk.strangers.note(&response, id, from, &path);
            response
        }
        Standing::Invited | Standing::Nobody => {
            if served.desk.strangers.another(id) {
                tracing::warn!(node = %id, %from, path, "a request of a node that may not ask");
            }
            (StatusCode::NOT_FOUND, [(header::CONNECTION, "close")]).into_response()
        }
    }
}

/// What a caller did wrong, or what went wrong here.
pub(crate) enum Refusal {
    /// The body is larger than it may be.
    TooLarge,
    /// The body came too slowly, or not whole.
    Slow,
    /// There are too many requests of this caller at once.
    Busy,
    /// The message is not one.
    Malformed(message::Error),
    /// A message of a session is not one.
    Wire(lockstep_wire::Error),
    /// It was refused in the words of the protocol.
    Said(WireRefusal),
    /// It was understood and refused, or failed.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(e: Error) -> Refusal {
        Refusal::Failed(e)
    }
}

impl From<message::Error> for Refusal {
    fn from(e: message::Error) -> Refusal {
        Refusal::Malformed(e)
    }
}

impl From<lockstep_wire::Error> for Refusal {
    fn from(e: lockstep_wire::Error) -> Refusal {
        Refusal::Wire(e)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, said, error) = match self {
            Refusal::TooLarge => (413, refusal("message_too_large", "the message is too large", ""), None),
            Refusal::Slow => (408, refusal("message_slow", "the message came too slowly", ""), None),
            Refusal::Busy => (429, refusal("too_many_requests", "there are too many requests at once", ""), None),
            Refusal::Malformed(e) => (400, refusal(e.code(), &e.to_string(), ""), None),
            Refusal::Wire(e) => (400, WireRefusal::of(&e), Some((e.code().to_owned(), e.to_string()))),
            Refusal::Said(said) => (if said.code == WireRefusal::START_NOT_REACHED { 409 } else { 403 }, said, None),
            Refusal::Failed(e) => {
                let (status, told) = e.told_to_peers();
                let said = refusal(&told.code, &told.message, told.hint.as_deref().unwrap_or(""));
                (status, said, Some((e.code().to_owned(), e.to_string())))
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (code, error) = error.unwrap_or_else(|| (said.code.clone(), said.message.clone()));
        let refused = Refused { code, error };
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], said.to_json()).into_response();
        response.extensions_mut().insert(refused);
        response
    }
}

/// Reads a whole body, within bounds of size and time.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut stream = body.into_data_stream();
    let mut whole = Vec::new();
    // Time for a slow line, none for a caller who sends a byte now and then.
    let in_all = Duration::from_secs(30) + Duration::from_millis(limit as u64 / 64);
    let reading = async {
        loop {
            match tokio::time::timeout(STALL, stream.next()).await {
                Ok(None) => return Ok(Bytes::from(std::mem::take(&mut whole))),
                Ok(Some(Ok(chunk))) if whole.len() + chunk.len() > limit => return Err(Refusal::TooLarge),
                Ok(Some(Ok(chunk))) => whole.extend_from_slice(&chunk),
                Ok(Some(Err(_))) | Err(_) => return Err(Refusal::Slow),
            }
        }
    };
    tokio::time::timeout(in_all, reading).await.unwrap_or(Err(Refusal::Slow))
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(f).await {
        Ok(done) => done,
        Err(e) => match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Ending),
        },
    }
}

fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

type Answer = Result<Response, Refusal>;

async fn join(State(served): State<Served>, Extension(Caller(id)): Extension<Caller>, body: Body) -> Answer {
    let body = read(body, SMALL).await?;
    let request = message::Join::from_bytes(&body)?;
    let node = served.node.clone();
    let answer = blocking(move || node.answer_join(id, &request)).await?;
    Ok(json(answer.to_bytes()))
}

/// Answers one request of a session, from the caller's shares.
async fn answered(served: &Served, caller: NodeId, request: Request) -> Result<Reply, Refusal> {
    let node = served.node.clone();
    let me = Identity { node: Hex(node.id().0), name: node.name()? };
    let (reply, failure) = blocking(move || {
        let mut shelf = Shelf::of(node.clone(), caller)?;
        let reply = answer(&mut shelf, &me, request, node.now());
        Ok((reply, shelf.take_failure()))
    })
    .await?;
    match (reply, failure) {
        (Reply::Refused(said), Some(e)) if said.code != WireRefusal::START_NOT_REACHED => Err(Refusal::Failed(e)),
        (Reply::Refused(said), _) => Err(Refusal::Said(said)),
        (reply, _) => Ok(reply),
    }
}

async fn hello(
    State(served): State<Served>,
    Extension(Caller(id)): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let limits = Limits::default();
    let hello = Hello::from_json(&read(body, limits.message).await?, &limits)?;
    if hello.node.0 != id.0 {
        return Err(Refusal::Said(refusal("wrong_name", "that is not the node that this connection belongs to", "")));
    }
    let address = headers.get(ADDRESS).and_then(|a| a.to_str().ok()).filter(|a| good_address(a)).map(str::to_owned);
    if hello.word == Word::First {
        served.node.visited_by(id, true);
    }
    let (node, heard) = (served.node.clone(), hello.clone());
    blocking(move || {
        if let Some(address) = address {
            node.state().set_address(id, &address)?;
        }
        node.greeted(id, &heard, None)
    })
    .await?;
    match answered(&served, id, Request::Hello(hello.clone())).await? {
        Reply::Hello(mine) => {
            // Where nothing has to move, the first word is the only one.
            let equal = visit::equal(&mine.databases, &hello.databases);
            let (seat, now, last) = (served.desk.seat(id), served.node.now(), hello.word == Word::Last);
            let over = match hello.word {
                // It says that the session before was broken off.
                Word::First => lock(&seat.visit).replace(Visit::new(Said::of(&hello), now)),
                Word::Last => lock(&seat.visit).take(),
                Word::Further => {
                    if let Some(visit) = lock(&seat.visit).as_mut() {
                        visit.goes_on(Said::of(&hello), now);
                    }
                    None
                }
                Word::Look => None,
            };
            let (node, own) = (served.node.clone(), mine.databases.clone());
            blocking(move || {
                if hello.word != Word::Look {
                    node.notice_unlike(id, &own, &hello.databases)?;
                }
                if last {
                    node.hear(id, &Said::of(&hello))?;
                }
                if let Some(visit) = over.filter(Visit::moved) {
                    node.visited(id, &visit, last.then_some(equal), now)?;
                }
                if equal {
                    node.state().set_verified(id, now)?;
                }
                if last || equal {
                    node.visited_by(id, false);
                }
                Ok(())
            })
            .await?;
            Ok(json(mine.to_json()))
        }
        _ => Err(out_of_turn()),
    }
}

/// The caller goes on after its hello: it has found true what this node remembers of its files.
async fn goes_on(served: &Served, caller: NodeId) -> Result<(), Refusal> {
    let said = lock(&served.desk.seat(caller).visit).as_mut().map(|v| std::mem::take(&mut v.said)).unwrap_or_default();
    if said.is_empty() {
        return Ok(());
    }
    let node = served.node.clone();
    Ok(blocking(move || node.hear(caller, &said)).await?)
}

async fn pull(State(served): State<Served>, Extension(Caller(id)): Extension<Caller>, body: Body) -> Answer {
    let limits = Limits::default();
    let ask = Pull::from_json(&read(body, limits.message).await?, &limits)?;
    goes_on(&served, id).await?;
    let Reply::Batch(batch) = answered(&served, id, Request::Pull(ask)).await? else { return Err(out_of_turn()) };
    let (batch, packed) = spawn(move || encode_batch(&batch, &limits).map(|e| (batch, e.bytes))).await??;
    if let Some(visit) = lock(&served.desk.seat(id).visit).as_mut() {
        visit.gave(&batch, packed.len(), served.node.now());
    }
    let cut = Cut::new(&packed, &limits);
    if cut.of() == 1 {
        return Ok(binary(packed));
    }
    let first = cut.part(0).unwrap_or_default();
    *lock(&served.desk.seat(id).answer) = Some((Instant::now(), Arc::new(packed)));
    Ok(binary(first))
}

async fn part(State(served): State<Served>, Extension(Caller(id)): Extension<Caller>, body: Body) -> Answer {
    let limits = Limits::default();
    let ask = PartRequest::from_json(&read(body, SMALL).await?, &limits)?;
    let seat = served.desk.seat(id);
    let kept = lock(&seat.answer).as_mut().map(|(at, body)| {
        *at = Instant::now();
        body.clone()
    });
    let part = spawn(move || {
        let body = kept?;
        let cut = Cut::new(&body, &limits);
        if cut.whole() == ask.whole { cut.part(ask.index) } else { None }
    })
    .await?;
    part.map(binary).ok_or_else(|| Refusal::Said(refusal("part_gone", "that part is not kept any more", "")))
}

async fn push(State(served): State<Served>, Extension(Caller(id)): Extension<Caller>, body: Body) -> Answer {
    let limits = Limits::default();
    let mut body = read(body, limits.message + 1024).await?.to_vec();
    if is_part(&body) {
        let (head, bytes) = read_part(&body, &limits)?;
        let seat = served.desk.seat(id);
        let progress = {
            let mut batch = lock(&seat.batch);
            let (at, parts) = batch.get_or_insert_with(|| (Instant::now(), Parts::new()));
            *at = Instant::now();
            parts.add(&head, bytes, &limits)?
        };
        match progress {
            parts::Progress::Next(next) => return Ok(json(PartAck { whole: head.whole, next }.to_json())),
            parts::Progress::Whole(whole) => {
                lock(&seat.batch).take();
                body = whole;
            }
        }
    }
    let bytes = body.len();
    let batch = spawn(move || decode_batch(&body, &limits)).await??;
    goes_on(&served, id).await?;
    let items = batch.items.len();
    let (node, database, end) = (served.node.clone(), batch.database.clone(), batch.end.clone());
    let ack = match answered(&served, id, Request::Push(Box::new(batch))).await {
        Ok(Reply::PushAck(ack)) => ack,
        Ok(_) => return Err(out_of_turn()),
        Err(Refusal::Said(said)) if said.code == NOT_ALLOWED => {
            let (node, said) = (served.node.clone(), said);
            let told = said.clone();
            blocking(move || node.refused(id, &told)).await?;
            return Err(Refusal::Said(said));
        }
        Err(refusal) => return Err(refusal),
    };
    // One that applies what it has looked at before says no first word.
    let now = served.node.now();
    let begun = || Visit::new(Vec::new(), now);
    lock(&served.desk.seat(id).visit).get_or_insert_with(begun).took(items, bytes, &ack, now);
    // It has at least what it has sent.
    blocking(move || {
        node.state().acknowledge(id, &database, &end)?;
        stop::at(Point::Unacknowledged);
        Ok(())
    })
    .await?;
    Ok(json(ack.to_json()))
}

async fn digests(State(served): State<Served>, Extension(Caller(id)): Extension<Caller>, body: Body) -> Answer {
    let limits = Limits::default();
    let ask = Digests::from_json(&read(body, limits.message).await?, &limits)?;
    match answered(&served, id, Request::Digests(ask)).await? {
        Reply::Digests(reply) => Ok(json(reply.to_json())),
        _ => Err(out_of_turn()),
    }
}

/// What a batch would do here. Nothing is changed.
async fn preview(State(served): State<Served>, Extension(Caller(id)): Extension<Caller>, body: Body) -> Answer {
    let limits = Limits::default();
    let body = read(body, limits.message).await?.to_vec();
    let batch = spawn(move || decode_batch(&body, &limits)).await??;
    let node = served.node.clone();
    let tables = blocking(move || {
        let access = node.state().access(id)?;
        let database = node.state().database(&batch.database)?;
        if !access.names(&database.name) {
            return Err(crate::pair::PairError::NothingShared.into());
        }
        Ok(crate::preview::lines(node.preview_batches(&database, &[batch], None)?))
    })
    .await?;
    Ok(json(message::Previewed { tables }.to_bytes()))
}

/// A node takes back that it joined.
async fn leave(State(served): State<Served>, Extension(Caller(id)): Extension<Caller>, body: Body) -> Answer {
    let leave = message::Leave::from_bytes(&read(body, SMALL).await?)?;
    let node = served.node.clone();
    blocking(move || {
        let now = node.now();
        let done = if leave.looked { node.state().take_back(id, now) } else { node.state().retire_peer(id, now) };
        Ok(done?)
    })
    .await?;
    tracing::info!(node = %id, "a peer took back its pairing");
    Ok(json(leave.to_bytes()))
}

/// Held until there is something that the caller lacks, or for a while.
async fn wait(State(served): State<Served>, Extension(Caller(id)): Extension<Caller>, body: Body) -> Answer {
    let limits = Limits::default();
    let ask = message::Wait::from_bytes(&read(body, limits.message).await?)?;
    let access = served.node.state().access(id).map_err(Error::from)?;
    let mut stop = served.stop.clone();
    tracing::trace!(node = %id, "a request is held");
    let news = async {
        let mut heads = served.node.heads();
        loop {
            let news = heads.borrow_and_update().lacking(&ask.has, &access);
            // A peer may be retired while its request is held.
            if served.gate.look(id) != Standing::Peer {
                return None;
            }
            if news {
                return Some(true);
            }
            if heads.changed().await.is_err() {
                return Some(false);
            }
        }
    };
    let news = tokio::select! {
        news = tokio::time::timeout(HELD, news) => news.unwrap_or(Some(false)),
        () = stopped(&mut stop) => Some(false),
    };
    match news {
        Some(news) => Ok(json(message::News { news }.to_bytes())),
        None => Ok((StatusCode::NOT_FOUND, [(header::CONNECTION, "close")]).into_response()),
    }
}

fn binary(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response()
}

fn out_of_turn() -> Refusal {
    Refusal::Said(refusal("out_of_turn", "that was not to be asked", ""))
}

/// What takes a while and can't fail in the node's way.
async fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    blocking(move || Ok(f())).await
}

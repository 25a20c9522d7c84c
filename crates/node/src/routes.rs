//! What can be asked of a node over the network, and by whom.
//!
//! Always true here: what is not named here is answered with an empty 404. An error tells a peer its code and a
//! sentence, and nothing about this computer: no file, no path, no row.
use crate::message::{self, Message};
use crate::node::Node;
use crate::server::{Caller, Gate, Standing, Stop};
use crate::status::Problem;
use crate::{Error, Result};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

/// The only path that is open to a node that is not paired.
pub const JOIN: &str = "/v1/join";

/// Small messages.
const SMALL: usize = 64 << 10;
/// How long nothing may come while a body is on its way.
const STALL: Duration = Duration::from_secs(15);

#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) node: Arc<Node>,
    gate: Arc<Gate>,
    #[allow(dead_code)]
    pub(crate) stop: Stop,
}

pub(crate) fn routes(node: Arc<Node>, gate: Arc<Gate>, stop: Stop) -> Router {
    let served = Served { node, gate, stop };
    Router::new()
        .route(JOIN, post(join))
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
    request: Request,
    next: Next,
) -> Response {
    let closed = || (StatusCode::NOT_FOUND, [(header::CONNECTION, "close")]).into_response();
    match served.gate.look(id) {
        Standing::Peer => next.run(request).await,
        Standing::Invited if request.uri().path() == JOIN => {
            let mut response = next.run(request).await;
            response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            response
        }
        Standing::Invited | Standing::Nobody => {
            tracing::warn!(node = %id, path = %request.uri().path(), "a request of a node that may not ask");
            closed()
        }
    }
}

/// What a caller did wrong, or what went wrong here.
pub(crate) enum Refusal {
    /// The body is larger than it may be.
    TooLarge,
    /// The body came too slowly, or not whole.
    Slow,
    /// The message is not one.
    Malformed(message::Error),
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = |code: &str, message: &str| Problem { code: code.into(), message: message.into(), hint: None };
        let (status, problem) = match self {
            Refusal::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, problem("message_too_large", "the message is too large"))
            }
            Refusal::Slow => (StatusCode::REQUEST_TIMEOUT, problem("message_slow", "the message came too slowly")),
            Refusal::Malformed(e) => (StatusCode::BAD_REQUEST, problem(e.code(), &e.to_string())),
            Refusal::Failed(e) => {
                let (status, told) = e.told_to_peers();
                if status >= 500 {
                    tracing::error!(code = e.code(), error = %e, "a peer's request failed");
                } else {
                    tracing::warn!(code = e.code(), error = %e, "a peer's request was refused");
                }
                (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), told)
            }
        };
        (status, axum::Json(serde_json::json!({ "v": 1, "error": problem }))).into_response()
    }
}

/// Reads a whole body, within bounds of size and time.
pub(crate) async fn read(body: Body, limit: usize) -> std::result::Result<Bytes, Refusal> {
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

fn json(message: &impl Message) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], message.to_bytes()).into_response()
}

async fn join(
    State(served): State<Served>,
    Extension(Caller(id)): Extension<Caller>,
    body: Body,
) -> std::result::Result<Response, Refusal> {
    let body = read(body, SMALL).await?;
    let request = message::Join::from_bytes(&body)?;
    let node = served.node.clone();
    let answer = blocking(move || node.answer_join(id, &request)).await?;
    Ok(json(&answer))
}

//! Calls to a peer: one encrypted connection to one key.
//!
//! Always true here: nothing is sent before the other side has proved that it holds the key it is expected to hold;
//! an answer is never read beyond its bound. No proxy, redirect or setting of the environment has a say.
use crate::identity::{Identity, NodeId};
use crate::status::Problem;
use crate::tls;
use lockstep_wire::Limits;
use lockstep_wire::message::{Message, Refusal};
use reqwest::{Client, RequestBuilder, Response, header};
use std::error::Error as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long nothing may come while an answer is on its way.
const STALL: Duration = Duration::from_secs(30);
/// Bytes a second below which a line is too slow to go on.
const SLOWEST: u64 = 16 << 10;
/// The largest error message that is read.
const PROBLEM: usize = 16 << 10;
/// So often a request that was never sent is made again.
const CANCELED: u32 = 5;

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers there.
    #[error("{address} can't be reached: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the operating system said.
        why: String,
    },
    /// The address leads to another node.
    #[error("another node, or something between, answers at {address}: its key is not the one expected")]
    WrongKey {
        /// Where.
        address: String,
    },
    /// It is the right node, but it doesn't know this one (any more).
    #[error("the node at {address} doesn't know this one")]
    NotKnown {
        /// Where.
        address: String,
    },
    /// It took too long.
    #[error("{address} did not answer in time")]
    TimedOut {
        /// Where.
        address: String,
    },
    /// The connection broke.
    #[error("the connection to {address} broke: {why}")]
    Broken {
        /// Where.
        address: String,
        /// How.
        why: String,
    },
    /// The peer said no.
    #[error("the peer answered: {}", problem.message)]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said.
        problem: Problem,
    },
    /// The answer is larger than it may be.
    #[error("the answer of {address} is larger than {limit} bytes")]
    TooLarge {
        /// Where.
        address: String,
        /// The bound.
        limit: usize,
    },
    /// No client could be made.
    #[error("no connection can be set up: {why}")]
    Setup {
        /// Why not.
        why: String,
    },
}

impl Error {
    /// Stable, for scripts. What the peer said keeps its own code.
    pub fn code(&self) -> &str {
        match self {
            Error::Unreachable { .. } => "unreachable",
            Error::WrongKey { .. } => "wrong_key",
            Error::NotKnown { .. } => "not_known",
            Error::TimedOut { .. } => "timed_out",
            Error::Broken { .. } => "connection_broken",
            Error::Refused { problem, .. } => &problem.code,
            Error::TooLarge { .. } => "answer_too_large",
            Error::Setup { .. } => "tls_setup",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::Unreachable { .. } => "see whether its agent runs and whether a firewall lets this port through",
            Error::WrongKey { .. } => "if that node was made anew, pair it again; if not, someone stands in between",
            Error::NotKnown { .. } => "pair the two again: `lockstep invite` there, `lockstep pair` here",
            Error::TimedOut { .. } | Error::Broken { .. } => {
                "nothing was lost; an agent tries again by itself, or say `lockstep sync`"
            }
            Error::Refused { problem, .. } => return problem.hint.clone(),
            Error::TooLarge { .. } => "use the same version of Lockstep on both nodes",
            Error::Setup { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// May the same call succeed later, without anybody doing anything?
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::TimedOut { .. } | Error::Broken { .. } => true,
            Error::Refused { status, .. } => *status >= 500 || *status == 429,
            Error::WrongKey { .. } | Error::NotKnown { .. } | Error::TooLarge { .. } | Error::Setup { .. } => false,
        }
    }
}

/// A way to one peer.
#[derive(Debug)]
pub struct Link {
    client: Client,
    address: String,
    /// Where this node can be called, for the peer to remember.
    told: Option<String>,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Link {
    /// To the node `peer`, which is expected at `address` (`host:port`). Connects with the first call.
    pub fn new(identity: &Identity, peer: NodeId, address: &str) -> Result<Link, Error> {
        let setup = |e: &dyn std::error::Error| Error::Setup { why: e.to_string() };
        let config = tls::client_config(identity, peer).map_err(|e| setup(&e))?;
        let client = Client::builder()
            .tls_backend_preconfigured(config)
            .https_only(true)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(2)
            .tcp_nodelay(true)
            .build()
            .map_err(|e| setup(&e))?;
        Ok(Link {
            client,
            address: address.to_owned(),
            told: None,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        })
    }

    /// Tells the peer with each call where this node can be called.
    #[must_use]
    pub fn telling(self, address: Option<String>) -> Link {
        Link { told: address, ..self }
    }

    /// Where it leads.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Bytes of bodies (sent, received) so far.
    pub fn bytes(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    /// One request and its whole answer of at most `limit` bytes. The peer may think for as long as `within`; a slow
    /// line gets more.
    pub async fn post(&self, path: &str, body: Vec<u8>, limit: usize, within: Duration) -> Result<Vec<u8>, Error> {
        self.sent.fetch_add(body.len() as u64, Ordering::Relaxed);
        let slow_line = Duration::from_secs((body.len() + limit) as u64 / SLOWEST);
        let mut request = self.client.post(format!("https://{}{path}", self.address)).body(body);
        if let Some(told) = &self.told {
            request = request.header(crate::routes::ADDRESS, told);
        }
        let call = async {
            let response = self.ask(request).await?;
            let status = response.status().as_u16();
            if response.status().is_success() {
                return self.read(response, limit).await;
            }
            // One who may ask nothing, or no more, is turned away without a word.
            if status == 404 && response.headers().get(header::CONNECTION).is_some_and(|c| c == "close") {
                return Err(Error::NotKnown { address: self.address.clone() });
            }
            let body = self.read(response, PROBLEM).await?;
            Err(Error::Refused { status, problem: said(status, &body) })
        };
        match tokio::time::timeout(within + slow_line, call).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::TimedOut { address: self.address.clone() }),
        }
    }

    /// A peer that refuses the connection may end it before the request is on its way, and then its reason is not
    /// known. Nothing was sent, so it is asked anew.
    async fn ask(&self, mut request: RequestBuilder) -> Result<Response, Error> {
        for _ in 0..CANCELED {
            let Some(same) = request.try_clone() else { break };
            match request.send().await {
                Err(e) if is_canceled(&e) => request = same,
                answer => return answer.map_err(|e| self.failure(&e)),
            }
        }
        request.send().await.map_err(|e| self.failure(&e))
    }

    async fn read(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        loop {
            let chunk = match tokio::time::timeout(STALL, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(e)) => return Err(self.failure(&e)),
                Err(_) => return Err(Error::TimedOut { address: self.address.clone() }),
            };
            self.received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if body.len() + chunk.len() > limit {
                return Err(Error::TooLarge { address: self.address.clone(), limit });
            }
            body.extend_from_slice(&chunk);
        }
    }

    fn failure(&self, e: &reqwest::Error) -> Error {
        let address = self.address.clone();
        match tls_error(e) {
            Some(rustls::Error::InvalidCertificate(_)) => return Error::WrongKey { address },
            Some(rustls::Error::AlertReceived(
                rustls::AlertDescription::AccessDenied
                | rustls::AlertDescription::CertificateUnknown
                | rustls::AlertDescription::BadCertificate,
            )) => return Error::NotKnown { address },
            _ => {}
        }
        if e.is_timeout() {
            return Error::TimedOut { address };
        }
        let why = deepest(e);
        if e.is_connect() { Error::Unreachable { address, why } } else { Error::Broken { address, why } }
    }
}

fn said(status: u16, body: &[u8]) -> Problem {
    match Refusal::from_json(body, &Limits::default()) {
        Ok(said) => Problem {
            code: plain(&said.code, 64),
            message: plain(&said.message, 400),
            hint: Some(plain(&said.hint, 400)).filter(|h| !h.is_empty()),
        },
        Err(_) => Problem {
            code: format!("http_{status}"),
            message: format!("status {status}, without a reason"),
            hint: None,
        },
    }
}

/// A peer's sentence goes to terminals and logs: no control characters, no novels.
fn plain(text: &str, at_most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(at_most).collect()
}

/// An I/O error names its cause, but hides it from `source()`.
fn cause<'a>(e: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    match e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => e.source(),
    }
}

fn causes<'a>(e: &'a (dyn std::error::Error + 'static)) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(e), |&e| cause(e))
}

fn tls_error(e: &reqwest::Error) -> Option<&rustls::Error> {
    causes(e).find_map(|cause| cause.downcast_ref())
}

/// Was the request never sent?
fn is_canceled(e: &reqwest::Error) -> bool {
    causes(e).any(|cause| cause.downcast_ref().is_some_and(hyper::Error::is_canceled))
}

/// The operating system's own words, without the layers around them.
fn deepest(e: &reqwest::Error) -> String {
    let last = causes(e).last().map_or_else(|| e.to_string(), ToString::to_string);
    let said = if e.source().is_none() { e.to_string() } else { last };
    // A library's link says nothing to who reads this.
    said.split(": https://").next().unwrap_or_default().to_owned()
}

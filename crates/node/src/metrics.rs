//! How this node is, for monitoring on this computer: `/health` and Prometheus' text format.
//!
//! Always true here: it is served on loopback only, says counts, names and times, and never a row's value; whoever asks
//! often is given the same answer for a while, so that monitoring does not keep the databases busy.
use crate::Result;
use crate::node::Node;
use crate::routes::blocking;
use crate::server::{Stop, stopped};
use crate::state::Rate;
use crate::status::Status;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

/// How long an answer is good.
const GOOD: Duration = Duration::from_secs(10);
/// How far back runs are counted.
const RUNS: Duration = Duration::from_secs(86_400);

/// Why it can't be served there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Others could reach it.
    #[error("{address} is not an address of this computer alone")]
    NotLoopback {
        /// What was given.
        address: String,
    },
}

impl Error {
    /// Stable, for scripts.
    pub fn code(&self) -> &'static str {
        "metrics_not_loopback"
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        "for example --metrics 127.0.0.1:9467"
    }
}

/// Listens on an address of this computer alone.
pub(crate) async fn bind(address: &str) -> Result<TcpListener> {
    let parsed: Option<SocketAddr> = address.parse().ok().filter(|a: &SocketAddr| a.ip().is_loopback());
    let Some(parsed) = parsed else { return Err(Error::NotLoopback { address: address.to_owned() }.into()) };
    let listening = TcpListener::bind(parsed).await;
    listening.map_err(|source| crate::Error::Listen { address: address.to_owned(), source })
}

struct Served {
    node: Arc<Node>,
    known: Mutex<Option<(Instant, Arc<Known>)>>,
}

/// What is said until it is asked anew.
struct Known {
    text: String,
    faults: Vec<String>,
}

/// Answers until it is told to stop.
pub(crate) async fn serve(node: Arc<Node>, listener: TcpListener, mut stop: Stop) -> Result<()> {
    let served = Arc::new(Served { node, known: Mutex::default() });
    let routes = Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(served);
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async move { stopped(&mut stop).await });
    if let Err(e) = serving.await {
        tracing::error!(error = %e, "metrics are not served any more");
    }
    Ok(())
}

async fn known(served: &Served) -> Result<Arc<Known>> {
    let mut known = served.known.lock().await;
    if let Some((at, known)) = &*known
        && at.elapsed() < GOOD
    {
        return Ok(known.clone());
    }
    let node = served.node.clone();
    let found = blocking(move || {
        let status = node.status()?;
        let rates = node.state().rates(node.before(RUNS))?;
        let faults = faults(&status, node.state().alarm_after()?);
        Ok(Known { text: text(&status, &rates), faults })
    })
    .await?;
    let found = Arc::new(found);
    *known = Some((Instant::now(), found.clone()));
    Ok(found)
}

/// What makes this node unwell.
fn faults(status: &Status, alarm_after: Option<u32>) -> Vec<String> {
    let mut faults = Vec::new();
    for d in status.databases.iter().filter(|d| d.capture != "ok") {
        faults.push(format!("capture of {}: {}", d.name, d.capture));
    }
    if status.values_lost > 0 {
        faults.push("the balance does not add up".to_owned());
    } else if status.values_lost_because.is_some() {
        faults.push("the balance of a database can't be counted".to_owned());
    }
    for p in &status.peers {
        if alarm_after.is_some_and(|n| p.failures >= n) {
            faults.push(format!("{} failed {} times in a row", p.name, p.failures));
        }
    }
    faults
}

async fn health(State(served): State<Arc<Served>>) -> Response {
    let (status, said) = match known(&served).await {
        Ok(known) if known.faults.is_empty() => (StatusCode::OK, serde_json::json!({ "status": "ok" })),
        Ok(known) => {
            (StatusCode::SERVICE_UNAVAILABLE, serde_json::json!({ "status": "unwell", "faults": known.faults }))
        }
        Err(e) => {
            tracing::error!(code = e.code(), error = %e, "the state could not be read for monitoring");
            (StatusCode::INTERNAL_SERVER_ERROR, serde_json::json!({ "status": "unknown", "code": e.code() }))
        }
    };
    (status, axum::Json(said)).into_response()
}

async fn metrics(State(served): State<Arc<Served>>) -> Response {
    match known(&served).await {
        Ok(known) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], known.text.clone()).into_response(),
        Err(e) => {
            tracing::error!(code = e.code(), error = %e, "the state could not be read for monitoring");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// One sample: its labels and value.
type Sample<'a> = (Vec<(&'a str, &'a str)>, f64);

/// Writes one family: <https://prometheus.io/docs/instrumenting/exposition_formats/>
fn family(out: &mut String, name: &str, kind: &str, help: &str, samples: Vec<Sample<'_>>) {
    if samples.is_empty() {
        return;
    }
    let _infallible = writeln!(out, "# HELP lockstep_{name} {help}\n# TYPE lockstep_{name} {kind}");
    for (labels, value) in samples {
        let quoted = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect::<Vec<_>>().join(",");
        let labels = if quoted.is_empty() { quoted } else { format!("{{{quoted}}}") };
        let _infallible = writeln!(out, "lockstep_{name}{labels} {value}");
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1_000.0
}

fn text(status: &Status, rates: &[Rate]) -> String {
    let mut out = String::new();
    let one = |value: f64| vec![(Vec::new(), value)];
    family(&mut out, "up", "gauge", "The agent runs.", one(1.0));
    family(&mut out, "values_lost", "gauge", "Values in no account of the balance.", one(status.values_lost as f64));
    let unread = status.conflicts_unreviewed as f64;
    family(&mut out, "conflicts_unreviewed", "gauge", "Conflicts that nobody has looked at.", one(unread));
    type OfDatabase = fn(&crate::status::DatabaseStatus) -> f64;
    let of_databases: [(&str, &str, OfDatabase); 6] = [
        ("database_rows", "Living rows of synced tables.", |d| d.rows as f64),
        ("database_pending_rows", "Rows that some peer lacks.", |d| d.pending as f64),
        ("database_held", "Changes that wait.", |d| d.held as f64),
        ("database_bytes", "Size of the file.", |d| d.bytes as f64),
        ("database_own_bytes", "How much of the file is Lockstep's.", |d| d.own_bytes as f64),
        ("database_capture_ok", "1: capture is well.", |d| f64::from(u8::from(d.capture == "ok"))),
    ];
    for (name, help, value) in of_databases {
        let samples = status.databases.iter().map(|d| (vec![("database", d.name.as_str())], value(d)));
        family(&mut out, name, "gauge", help, samples.collect());
    }
    type OfPeer = fn(&crate::status::PeerStatus) -> Option<f64>;
    let of_peers: [(&str, &str, OfPeer); 7] = [
        ("peer_reachable", "1: the last attempt at contact succeeded.", |p| Some(f64::from(u8::from(p.reachable)))),
        ("peer_failures", "Failed runs in a row.", |p| Some(f64::from(p.failures))),
        ("peer_pending_rows", "Rows that it lacks.", |p| Some(p.pending as f64)),
        ("peer_held", "Changes that wait there.", |p| Some(p.held as f64)),
        ("peer_lag_seconds", "Age of the oldest write that it lacks.", |p| {
            Some(p.lag_ms.unwrap_or(0) as f64 / 1_000.0)
        }),
        ("peer_clock_offset_seconds", "Its clock minus this one.", |p| p.clock_offset_ms.map(|ms| ms as f64 / 1_000.0)),
        ("peer_last_verified_timestamp_seconds", "When the digests last agreed.", |p| p.last_verified_at.map(seconds)),
    ];
    for (name, help, value) in of_peers {
        let peers = status.peers.iter().filter_map(|p| Some((vec![("peer", p.name.as_str())], value(p)?)));
        family(&mut out, name, "gauge", help, peers.collect());
    }
    let mut runs: std::collections::BTreeMap<(&str, &str), u64> = std::collections::BTreeMap::new();
    for r in rates {
        for (result, n) in [("verified", r.verified), ("failed", r.failed), ("partial", r.runs - r.verified - r.failed)]
        {
            *runs.entry((&r.peer, result)).or_default() += n;
        }
    }
    let runs = runs.into_iter().map(|((peer, result), n)| (vec![("peer", peer), ("result", result)], n as f64));
    family(&mut out, "runs_last_day", "gauge", "Sessions of the last 24 hours.", runs.collect());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_prometheus_reads_it() {
        let mut out = String::new();
        let samples = vec![(vec![("peer", "a\"b\\c")], 1.5), (Vec::new(), 0.0)];
        family(&mut out, "x", "gauge", "What it is.", samples);
        let expected = "# HELP lockstep_x What it is.\n# TYPE lockstep_x gauge\n\
                        lockstep_x{peer=\"a\\\"b\\\\c\"} 1.5\nlockstep_x 0\n";
        assert_eq!(out, expected);
        family(&mut out, "y", "gauge", "Nothing.", Vec::new());
        assert_eq!(out, expected, "a family without samples is left out");
    }

    #[tokio::test]
    async fn only_this_computer_can_ask() {
        for address in ["0.0.0.0:0", "192.0.2.1:80", "[::]:0", "example.org:80", "x"] {
            assert_eq!(bind(address).await.unwrap_err().code(), "metrics_not_loopback", "{address}");
        }
        bind("127.0.0.1:0").await.unwrap();
    }
}

//! A peer that is away: attempts further and further apart, one alarm, and one sync when it is back.
mod sites;

use lockstep_engine::id::Millis;
use lockstep_node::agent::{Agent, AgentOptions};
use lockstep_node::state::RunResult;
use lockstep_node::{Home, Node};
use sites::{Site, pair};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Only a test that hangs is ended by it.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < until, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_failure_is_the_alarm_and_a_peer_that_is_back_gets_one_sync() {
    let log = Log::default();
    let writer = log.clone();
    let filter = tracing_subscriber::EnvFilter::new("lockstep_node=info");
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(move || writer.clone()).init();
    let alarms = || String::from_utf8_lossy(&log.0.lock().unwrap()).matches("it keeps failing").count();

    let schema = "PRAGMA journal_mode = WAL; CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);";
    let (host, pit) = (Site::new("host", schema).await, Site::new("pit", schema).await);
    pair(&pit, &host, &[]).await;
    pit.well("host").await;
    // From now on nobody answers at the address that pit knows.
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    pit.node.state().set_address(host.node.id(), &nowhere).unwrap();
    let options = AgentOptions { listen: Some("127.0.0.1:0".to_owned()), advertise: Some("none".to_owned()) };
    let node = Arc::new(Node::open(Home::at(pit.dir.path().join("home"))).unwrap());
    let agent = Agent::bind(node, &options).await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(agent.run(stopping));
    let failures = || pit.node.state().peer("host").unwrap().failures;
    for n in 0..30 {
        pit.app(&format!("INSERT INTO note(text) VALUES('while it was away {n}')"));
    }
    eventually("the first two", || failures() >= 2).await;
    assert_eq!(alarms(), 0, "a transient failure is no alarm");
    eventually("four in all", || failures() >= 4).await;
    assert_eq!(alarms(), 1, "the third is, once");
    // Thirty commits made no attempt more: the pauses are kept.
    let runs = || pit.node.state().runs(Millis(0), 1_000).unwrap();
    let failed = runs().iter().filter(|r| r.result == RunResult::Failed).count();
    assert!((3..=5).contains(&failed), "{failed}");

    let before = runs().len();
    pit.node.state().set_address(host.node.id(), &host.address).unwrap();
    eventually("it has all", || host.texts("SELECT text FROM note").len() == 30).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = runs().len() - before;
    assert!((1..=2).contains(&after), "{after} runs for what one could do");
    assert_eq!((failures(), runs()[0].result), (0, RunResult::Verified));
    stop.send_replace(true);
    tokio::time::timeout(PATIENCE, running).await.expect("it ends").unwrap().unwrap();
}

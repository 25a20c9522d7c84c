//! What two agents do that have nothing to do: a look at each file now and then, and one held request.
//!
//! `LOCKSTEP_IDLE` says for how many seconds that is counted, usually 10; `make soak` counts a minute.
mod sites;

use lockstep_node::agent::{Agent, AgentOptions};
use lockstep_node::{Home, Node};
use sites::{Site, pair};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

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

#[tokio::test(flavor = "multi_thread")]
async fn at_rest_a_file_is_opened_for_the_look_alone_and_one_request_is_held() {
    let log = Log::default();
    let writer = log.clone();
    let filter = tracing_subscriber::EnvFilter::new("lockstep_node=trace");
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(move || writer.clone()).init();
    let schema = "PRAGMA journal_mode = WAL; CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);";
    let (host, pit) = (Site::new("host", schema).await, Site::new("pit", schema).await);
    pair(&pit, &host, &[]).await;
    pit.well("host").await;
    // The host answers already; pit can't be called, so it holds a request.
    let options = AgentOptions { listen: Some("127.0.0.1:0".to_owned()), advertise: Some("none".to_owned()) };
    let node = Arc::new(Node::open(Home::at(pit.dir.path().join("home"))).unwrap());
    let agent = Agent::bind(node, &options).await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(agent.run(stopping));
    tokio::time::sleep(Duration::from_secs(5)).await;
    log.0.lock().unwrap().clear();
    let seconds = std::env::var("LOCKSTEP_IDLE").ok().and_then(|s| s.parse().ok()).unwrap_or(10);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let said = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    let count = |what: &str| said.lines().filter(|l| l.contains(what)).count();
    let (opened, held, sessions) = (count("a file is opened"), count("a request is held"), count("a session ended"));
    println!("in {seconds} s: {opened} times a file opened, {held} requests held anew, {sessions} sessions");
    // One look in 30 s at the one file of pit's agent, which may be followed by one that finds nothing new.
    let looks = usize::try_from(seconds / 30 + 1).unwrap();
    assert!(opened <= 2 * looks, "{said}");
    assert!(held <= usize::try_from(seconds / 50 + 1).unwrap(), "a request is held for 50 s: {said}");
    assert_eq!(sessions, 0, "{said}");
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("it ends").unwrap().unwrap();
}

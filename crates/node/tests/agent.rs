//! Agents that sync by themselves: what the application writes on one side is on the other soon after.
use lockstep_engine::id::Millis;
use lockstep_node::agent::{Agent, AgentOptions};
use lockstep_node::attachment::Attach;
use lockstep_node::pair::Wanted;
use lockstep_node::pause::Pause;
use lockstep_node::session::unwatched;
use lockstep_node::state::{RunResult, Trigger};
use lockstep_node::{Home, Node};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Only a test that hangs is ended by it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Site {
    dir: tempfile::TempDir,
    name: &'static str,
    running: Option<(watch::Sender<bool>, JoinHandle<lockstep_node::Result<()>>)>,
}

impl Site {
    async fn new(name: &'static str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let site = Site { dir, name, running: None };
        site.app(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE note(id INTEGER PRIMARY KEY, tag TEXT NOT NULL UNIQUE, text TEXT);",
        );
        let node = Node::init(Home::at(site.dir.path().join("home")), Some(name)).unwrap();
        let attach = Attach { databases: vec![("notes".into(), site.file())], ..Attach::default() };
        node.attach(&attach, &mut |_, _, _| {}).await.unwrap();
        site
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("notes.db")
    }

    /// As the application would: its own connection, opened and closed.
    fn app(&self, sql: &str) {
        let db = Connection::open(self.file()).unwrap();
        db.busy_timeout(Duration::from_secs(20)).unwrap();
        db.execute_batch(sql).unwrap();
    }

    fn has(&self, tag: &str) -> bool {
        let db = Connection::open(self.file()).unwrap();
        db.busy_timeout(Duration::from_secs(20)).unwrap();
        db.query_row("SELECT count(*) FROM note WHERE tag = ?1", [tag], |r| r.get::<_, i64>(0)).unwrap() == 1
    }

    /// A face of the node of its own, as a command beside the agent has it.
    fn node(&self) -> Arc<Node> {
        Arc::new(Node::open(Home::at(self.dir.path().join("home"))).unwrap())
    }

    async fn start(&mut self, advertise: Option<&str>) {
        // The port of last time, so that peers find it again.
        let remembered = self.node().state().agent().unwrap().map(|a| a.listening);
        let listen = remembered.unwrap_or_else(|| "127.0.0.1:0".to_owned());
        let options = AgentOptions { listen: Some(listen), advertise: advertise.map(str::to_owned) };
        let agent = Agent::bind(self.node(), &options).await.unwrap();
        let (stop, stopping) = watch::channel(false);
        self.running = Some((stop, tokio::spawn(agent.run(stopping))));
    }

    async fn stop(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.send_replace(true);
        tokio::time::timeout(PATIENCE, task).await.expect("it ends").unwrap().unwrap();
    }
}

async fn pair(joiner: &Site, host: &Site) {
    let invite = host.node().invite(PATIENCE, &[], &[]).unwrap().invite;
    let node = joiner.node();
    let joining = node.join(&invite, &Wanted { name: Some(host.name.to_owned()), ..Wanted::default() }).await.unwrap();
    let peer = node.confirm(&joining).unwrap();
    let entry = node.sync(&peer, Trigger::Pair, &unwatched).await.unwrap();
    assert_eq!(entry.result, RunResult::Verified, "{entry:?}");
}

async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < until, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_on_one_side_is_soon_on_the_other() {
    let (mut hq, mut pit) = (Site::new("hq").await, Site::new("pit").await);
    hq.app("INSERT INTO note(tag) VALUES('from the beginning')");
    hq.start(None).await;
    pit.start(None).await;
    pair(&pit, &hq).await;
    assert!(pit.has("from the beginning"));
    hq.app("INSERT INTO note(tag) VALUES('from hq')");
    pit.app("INSERT INTO note(tag) VALUES('from pit')");
    eventually("each has the other's", || pit.has("from hq") && hq.has("from pit")).await;
    hq.stop().await;
    pit.stop().await;
}

/// From commit to visible at the other, each way round: one that is called, and one that asks for news.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_soon_visible_and_the_time_that_took_is_printed() {
    for advertise in [None, Some("none")] {
        let (mut hq, mut pit) = (Site::new("hq").await, Site::new("pit").await);
        hq.start(None).await;
        pit.start(advertise).await;
        pair(&pit, &hq).await;
        let mut took = Vec::new();
        for n in 0..7 {
            // At rest: nothing is under way.
            tokio::time::sleep(Duration::from_millis(600)).await;
            let (from, to) = if n % 2 == 0 { (&hq, &pit) } else { (&pit, &hq) };
            from.app(&format!("INSERT INTO note(tag) VALUES('n{n}')"));
            let committed = Instant::now();
            eventually("it is visible", || to.has(&format!("n{n}"))).await;
            took.push(committed.elapsed());
        }
        took.sort();
        println!("commit to visible: median {:?}, longest {:?}; {advertise:?}", took[3], took[6]);
        hq.stop().await;
        pit.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_can_t_be_called_is_told_of_news() {
    let (mut hq, mut laptop) = (Site::new("hq").await, Site::new("laptop").await);
    hq.start(None).await;
    laptop.start(Some("none")).await;
    pair(&laptop, &hq).await;
    assert_eq!(hq.node().peers().unwrap()[0].address, None);
    for round in ["one", "two", "three"] {
        hq.app(&format!("INSERT INTO note(tag) VALUES('hq {round}')"));
        eventually(round, || laptop.has(&format!("hq {round}"))).await;
    }
    let runs = laptop.node().state().runs(lockstep_engine::id::Millis(0), 100).unwrap();
    assert!(runs.iter().any(|r| r.trigger == Trigger::News), "{runs:?}");
    hq.stop().await;
    laptop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_paused_only_a_person_syncs() {
    let (mut hq, mut laptop) = (Site::new("hq").await, Site::new("laptop").await);
    hq.start(None).await;
    laptop.start(Some("none")).await;
    pair(&laptop, &hq).await;
    // A session that has begun is not broken off by a pause.
    let first = |r: &lockstep_node::state::Run| r.trigger == Trigger::Start;
    let begun = || laptop.node().state().runs(lockstep_engine::id::Millis(0), 9).unwrap().iter().any(first);
    eventually("the first session by itself is over", begun).await;

    laptop.node().pause(Pause::UntilResumed).unwrap();
    hq.app("INSERT INTO note(tag) VALUES('by hand')");
    laptop.app("INSERT INTO note(tag) VALUES('captured')");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!laptop.has("by hand") && !hq.has("captured"), "nothing travels by itself");
    let node = laptop.node();
    assert!(node.status().unwrap().paused_until.is_some());
    let peer = node.state().peer("hq").unwrap();
    let entry = node.sync(&peer, Trigger::Person, &unwatched).await.unwrap();
    assert_eq!((entry.result, entry.sent, entry.received), (RunResult::Verified, 1, 1), "{entry:?}");

    hq.app("INSERT INTO note(tag) VALUES('by itself')");
    node.resume().unwrap();
    assert_eq!(node.paused_until().unwrap(), None);
    eventually("it goes on", || laptop.has("by itself")).await;
    hq.stop().await;
    laptop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_was_away_gets_what_it_missed() {
    let (mut hq, mut pit) = (Site::new("hq").await, Site::new("pit").await);
    hq.start(None).await;
    pit.start(None).await;
    pair(&pit, &hq).await;
    hq.stop().await;
    pit.app("INSERT INTO note(tag) VALUES('while hq was away')");
    eventually("the failure is recorded", || {
        let peers = pit.node().peers().unwrap();
        peers[0].last_result.as_deref() == Some("failed") && !peers[0].reachable
    })
    .await;
    hq.app("INSERT INTO note(tag) VALUES('while it was away')");
    hq.start(None).await;
    eventually("both have all", || hq.has("while hq was away") && pit.has("while it was away")).await;
    hq.stop().await;
    pit.stop().await;
}

/// What sessions moved that a site led itself, in rows: those that it sent and those that it took.
fn moved(site: &Site) -> u64 {
    let runs = site.node().state().runs(Millis(0), 100).unwrap();
    runs.iter().filter(|r| r.trigger != Trigger::Peer).map(|r| r.tally.sent + r.tally.received).sum()
}

/// The one that joins leads the first sync, and the agent of the other learns in the middle of it where to call it.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_first_sync_between_two_agents_no_row_travels_twice() {
    let (mut hq, mut pit) = (Site::new("hq").await, Site::new("pit").await);
    hq.app(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 9000)
         INSERT INTO note(tag, text) SELECT 'n' || n, 'from the beginning' FROM n",
    );
    hq.start(None).await;
    pit.start(None).await;
    pair(&pit, &hq).await;
    eventually("the agent of the one that was joined has called the other", || {
        hq.node().state().runs(Millis(0), 100).unwrap().iter().any(|r| r.trigger != Trigger::Peer)
    })
    .await;
    assert_eq!(moved(&hq) + moved(&pit), 9000);
    hq.stop().await;
    pit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_passes_on_what_its_ends_write() {
    let (mut a, mut b, mut c) = (Site::new("a").await, Site::new("b").await, Site::new("c").await);
    for site in [&mut a, &mut b, &mut c] {
        site.start(None).await;
    }
    pair(&a, &b).await;
    pair(&c, &b).await;
    a.app("INSERT INTO note(tag) VALUES('from a')");
    c.app("INSERT INTO note(tag) VALUES('from c')");
    eventually("the ends have each other's", || a.has("from c") && c.has("from a")).await;
    for site in [&mut a, &mut b, &mut c] {
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_agent_runs_per_home_and_commands_run_beside_it() {
    let mut hq = Site::new("hq").await;
    hq.start(None).await;
    let second = Agent::bind(hq.node(), &AgentOptions::default()).await.unwrap_err();
    assert_eq!(second.code(), "agent_runs");
    let status = hq.node().status().unwrap();
    assert!(status.agent.is_some_and(|a| a.listening.starts_with("https://127.0.0.1:")));
    assert_eq!((status.databases[0].capture.as_str(), status.values_lost), ("ok", 0));
    hq.stop().await;
    assert_eq!(hq.node().status().unwrap().agent, None);
    assert!(leftovers(&hq.file()).is_empty(), "no connection of ours is open at rest");
}

/// The files that SQLite keeps beside a database while somebody has it open.
fn leftovers(file: &Path) -> Vec<PathBuf> {
    let beside = |end: &str| PathBuf::from(format!("{}{end}", file.display()));
    [beside("-wal"), beside("-shm")].into_iter().filter(|p| p.exists()).collect()
}

/// What a plain HTTP request to this computer gets: status line and body.
fn asked(at: std::net::SocketAddr, path: &str) -> (String, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_is_told_what_makes_a_node_unwell() {
    let hq = Site::new("hq").await;
    let options = AgentOptions { listen: Some("127.0.0.1:0".to_owned()), advertise: None };
    let agent = Agent::bind_monitored(hq.node(), &options, Some("127.0.0.1:0")).await.unwrap();
    let at = agent.monitored_at().unwrap();
    std::fs::rename(hq.file(), hq.file().with_extension("away")).unwrap();
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(agent.run(stopping));
    let (status, body) = tokio::task::spawn_blocking(move || asked(at, "/health")).await.unwrap();
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    let said: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(said["status"], "unwell");
    assert!(said["faults"][0].as_str().unwrap().starts_with("capture of notes: "), "{body}");
    stop.send_replace(true);
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_is_told_how_the_node_is_and_no_row() {
    let hq = Site::new("hq").await;
    hq.app("INSERT INTO note(tag, text) VALUES('canary-tag', 'canary-text')");
    let options = AgentOptions { listen: Some("127.0.0.1:0".to_owned()), advertise: None };
    let agent = Agent::bind_monitored(hq.node(), &options, Some("127.0.0.1:0")).await.unwrap();
    let at = agent.monitored_at().unwrap();
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(agent.run(stopping));
    let ask = |path: &'static str| tokio::task::spawn_blocking(move || asked(at, path));
    let (status, body) = ask("/health").await.unwrap();
    assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", r#"{"status":"ok"}"#));
    let (status, body) = ask("/metrics").await.unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK");
    for line in ["lockstep_up 1", "lockstep_database_rows{database=\"notes\"} 1", "lockstep_values_lost 0"] {
        assert!(body.lines().any(|l| l == line), "{line} in\n{body}");
    }
    for line in body.lines().filter(|l| !l.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("lockstep_") && value.parse::<f64>().is_ok(), "{line}");
    }
    assert!(!body.contains("canary"));
    assert_eq!(ask("/v1/hello").await.unwrap().0, "HTTP/1.1 404 Not Found", "nothing else is there");
    stop.send_replace(true);
    tokio::time::timeout(PATIENCE, running).await.expect("it ends").unwrap().unwrap();
}

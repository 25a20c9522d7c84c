//! Writes that their receiver can't take: an agent tries them and then leaves them be, and all else goes on at once.
mod sites;

use lockstep_engine::config::{Policy, TableConfig};
use lockstep_engine::id::Millis;
use lockstep_node::agent::{Agent, AgentOptions};
use lockstep_node::status::Direction;
use lockstep_node::{Home, Node};
use sites::{SOON, Site, pair};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const SCHEMA: &str = "PRAGMA journal_mode = WAL; CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
    CREATE TABLE other(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);";

/// The host writes to `note`, which pit does not take after `barred`. Pit's agent asks for news.
async fn check(barred: impl FnOnce(&Site, &Site)) -> (Site, Site) {
    let (host, pit) = (Site::new("host", SCHEMA).await, Site::new("pit", SCHEMA).await);
    pair(&pit, &host, &[]).await;
    pit.well("host").await;
    barred(&host, &pit);
    host.app("INSERT INTO note(text) VALUES('not for pit')");
    host.node.status().unwrap();
    let runs = || pit.node.state().runs(Millis(0), 1_000).unwrap().len();
    let before = runs();
    let options = AgentOptions { listen: Some("127.0.0.1:0".to_owned()), advertise: Some("none".to_owned()) };
    let node = Arc::new(Node::open(Home::at(pit.dir.path().join("home"))).unwrap());
    let agent = Agent::bind(node, &options).await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(agent.run(stopping));
    tokio::time::sleep(Duration::from_secs(6)).await;
    let sessions = runs() - before;
    assert!(sessions <= 3, "{sessions} sessions for what none can bring");
    // What it can take comes all the same, and soon.
    host.app("INSERT INTO other(text) VALUES('for pit')");
    host.node.status().unwrap();
    let until = Instant::now() + SOON;
    while pit.texts("SELECT text FROM other").is_empty() {
        assert!(Instant::now() < until, "the other table's news has not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(pit.texts("SELECT text FROM note").is_empty());
    stop.send_replace(true);
    tokio::time::timeout(SOON, running).await.expect("it ends").unwrap().unwrap();
    (host, pit)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_pit_only_sends_is_no_news_and_not_pending() {
    let (host, pit) = check(|_, pit| {
        pit.node.share("host", "d.note", Direction::Send, &[]).unwrap();
    })
    .await;
    // The agent's last session may have ended before the host heard that `other` is there.
    pit.sync("host").await;
    assert!(host.node.pending(None).unwrap().is_empty());
    let status = host.node.status().unwrap();
    assert_eq!((status.peers[0].pending, status.peers[0].lag_ms), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_pit_does_not_share_is_tried_once() {
    check(|_, pit| {
        pit.node.share("host", "d.note", Direction::None, &[]).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_the_two_sync_by_different_rules_is_tried_once() {
    check(|_, pit| {
        let config = TableConfig { policy: Policy::Review, ..TableConfig::default() };
        pit.node.configure("d.note", &config).unwrap();
    })
    .await;
}

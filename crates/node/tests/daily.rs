//! Two nodes that have nothing to tell each other are compared once a day all the same.
mod sites;

use lockstep_engine::id::Millis;
use lockstep_node::agent::{Agent, AgentOptions};
use lockstep_node::state::{Run, RunResult, Trigger};
use lockstep_node::system_clock;
use lockstep_node::{Home, Node};
use sites::{SOON, Site, pair};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

const HOUR: i64 = 3_600_000;

async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !so() {
        assert!(Instant::now() < until, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_without_changes_ends_with_one_comparison_and_no_alarm() {
    let schema = "PRAGMA journal_mode = WAL; CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);";
    let (host, pit) = (Site::new("host", schema).await, Site::new("pit", schema).await);
    host.app("INSERT INTO note(text) VALUES('from the beginning')");
    pair(&pit, &host, &[]).await;
    pit.well("host").await;

    // The same node by a clock that the test sets: hours ahead of the computer's.
    let ahead = Arc::new(AtomicI64::new(0));
    let (hours, system) = (ahead.clone(), system_clock());
    let clock = Arc::new(move || Millis(system().0 + hours.load(Ordering::SeqCst)));
    let node = Node::open(Home::at(pit.dir.path().join("home"))).unwrap().with_clock(clock);
    let options = AgentOptions { listen: Some("127.0.0.1:0".to_owned()), advertise: Some("none".to_owned()) };
    let agent = Agent::bind(Arc::new(node), &options).await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(agent.run(stopping));

    let runs = || -> Vec<Run> {
        let runs = pit.node.state().runs(Millis(0), 100).unwrap();
        runs.into_iter().filter(|r| r.trigger != Trigger::Person).collect()
    };
    let daily = || runs().into_iter().filter(|r| r.trigger == Trigger::Daily).collect::<Vec<_>>();
    eventually("it syncs at its start", || runs().iter().any(|r| r.trigger == Trigger::Start)).await;

    ahead.store(20 * HOUR, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(daily(), [], "the day is not over");

    for day in 1..=3 {
        let before = host.peer("pit").verified_at.unwrap();
        ahead.store(24 * HOUR * day, Ordering::SeqCst);
        let so_late = system_clock()().0 + 24 * HOUR * day - HOUR;
        let compared = || pit.peer("host").verified_at.unwrap().0 >= so_late;
        let until = Instant::now() + SOON;
        while !compared() {
            assert!(Instant::now() < until, "day {day}: {:#?}", runs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        eventually("the other side knows", || host.peer("pit").verified_at.unwrap() > before).await;
        assert_eq!(pit.peer("host").failures, 0);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let found = daily();
    // On the first of the days another session may still have done it: what followed from the start.
    assert!((2..=3).contains(&found.len()), "once a day: {found:?}");
    assert!(found.iter().all(|r| r.result == RunResult::Verified && r.tally.sent + r.tally.received == 0));
    assert!(runs().iter().all(|r| r.result == RunResult::Verified), "{:?}", runs());
    stop.send_replace(true);
    tokio::time::timeout(SOON, running).await.expect("it ends").unwrap().unwrap();
}

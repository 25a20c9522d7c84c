//! Homes that earlier versions wrote are taken over; those of newer ones are left alone.
mod sites;

use lockstep_engine::id::Millis;
use lockstep_node::state::State;
use lockstep_node::status::{Direction, Share};
use lockstep_node::{Home, Node};
use rusqlite::Connection;
use sites::Site;
use std::time::Duration;

/// The first format, with something in every table. Never edited.
const FORMAT_1: &str = include_str!("fixtures/home-format-1.sql");

fn home_of_format_1() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path().join("home"));
    Node::init(home.clone(), Some("old")).unwrap();
    for file in ["node.db", "node.db-wal", "node.db-shm"] {
        let _may_be_missing = std::fs::remove_file(home.path().join(file));
    }
    drop(lockstep_node::platform::private_file(&home.state()).unwrap());
    Connection::open(home.state()).unwrap().execute_batch(FORMAT_1).unwrap();
    (dir, home)
}

#[test]
fn the_first_format_is_taken_over_with_all_that_is_in_it() {
    let (_dir, home) = home_of_format_1();
    let node = Node::open(home.clone()).unwrap();
    let state = node.state();
    assert_eq!(node.name().unwrap(), "school-server");
    let pit = state.peer("pit").unwrap();
    assert_eq!(
        (pit.address.as_deref(), pit.failures, pit.verified_at),
        (Some("pit:7467"), 2, Some(Millis(1_700_000_050_000)))
    );
    assert_eq!(
        state.shares(pit.node).unwrap(),
        [
            Share::whole("scouting"),
            Share { what: "users.user".into(), direction: Direction::Receive, without: Vec::new() }
        ]
    );
    assert_eq!(state.databases().unwrap()[0].config.exclude, ["sync_*"]);
    assert_eq!(state.acknowledged(pit.node, "scouting").unwrap()["team"].len(), 1);
    assert_eq!(state.last_told(pit.node, "scouting").unwrap().len(), 1);
    let runs = state.runs(Millis(0), 10).unwrap();
    assert_eq!((runs.len(), runs[0].error.as_ref().unwrap().code.as_str()), (2, "unreachable"));
    assert_eq!(state.duration("schedule.interval").unwrap(), Duration::from_secs(60));
    assert_eq!(state.duration("schedule.gather").unwrap(), Duration::from_millis(500));
    assert!(!state.is_on("schedule.background").unwrap());
    assert_eq!(state.duration("retention.archive").unwrap(), Duration::from_secs(30 * 86_400));
    // What it has become is what a new one is.
    let schema = |path: &std::path::Path| -> Vec<String> {
        let db = Connection::open(path).unwrap();
        let mut st = db.prepare("SELECT name || group_concat(column) FROM (SELECT m.name, i.name AS column FROM sqlite_master AS m, pragma_table_info(m.name) AS i WHERE m.type = 'table' ORDER BY 1, 2) GROUP BY name").unwrap();
        let rows = st.query_map([], |r| r.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let fresh = tempfile::tempdir().unwrap();
    let fresh = Home::at(fresh.path().join("home"));
    fresh.create().unwrap();
    State::open(&fresh).unwrap();
    assert_eq!(schema(&home.state()), schema(&fresh.state()));
    // And again: nothing is done twice.
    drop(node);
    assert_eq!(Node::open(home).unwrap().state().runs(Millis(0), 10).unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_newer_format_is_refused_with_a_hint_and_not_touched() {
    let site = Site::new("host", "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT)").await;
    site.app("UPDATE _lockstep_meta SET v = 99 WHERE k = 'format'; INSERT INTO note(text) VALUES('x')");
    let before = site.texts("SELECT group_concat(k || quote(v)) FROM _lockstep_meta");
    let refused = site.node.tables(None).unwrap_err();
    assert_eq!(refused.code(), "newer_format");
    assert!(refused.hint().unwrap().contains("newer Lockstep"), "{refused:?}");
    assert_eq!(site.node.status().unwrap().databases[0].rows, 0, "status says what is wrong, and goes on");
    assert_eq!(site.texts("SELECT group_concat(k || quote(v)) FROM _lockstep_meta"), before);
}

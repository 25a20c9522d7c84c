//! Two nodes compared down to the rows, over their network.
mod sites;

use lockstep_engine::value::Value;
use lockstep_node::call::Error as CallError;
use lockstep_node::compare::{Comparison, Shown, TableStanding};
use lockstep_node::reading::{ReadSoFar, unwatched};
use lockstep_wire::compare::{RangeName, Ranges, Rows};
use lockstep_wire::message::Message;
use rusqlite::config::DbConfig;
use serde_json::json;
use sites::{SOON, Site, pair};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const SCHEMA: &str = "
    CREATE TABLE team(id INTEGER PRIMARY KEY, number INTEGER, name TEXT, secret TEXT, badge BLOB);
    CREATE TABLE score(id INTEGER PRIMARY KEY, team_id INTEGER REFERENCES team(id), points INTEGER);";

fn teams(n: usize) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
         INSERT INTO team SELECT i, i, 'name of ' || i, 'secret of ' || i, NULL FROM n"
    )
}

async fn both(n: usize, without: &[String]) -> (Site, Site) {
    let (a, b) = (Site::new("alpha", SCHEMA).await, Site::new("beta", SCHEMA).await);
    pair(&b, &a, without).await;
    a.app(&teams(n));
    b.well("alpha").await;
    (a, b)
}

/// Writes as if capture had been off.
fn behind(site: &Site, sql: &str) {
    let db = site.open();
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
    db.execute_batch(sql).unwrap();
}

/// Whatever happens, the writers end.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn table<'a>(compared: &'a Comparison, name: &str) -> &'a lockstep_node::compare::ComparedTable {
    compared.tables.iter().find(|t| t.table == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_differ_are_named_from_either_side_and_shown_one_by_one() {
    let (a, b) = both(300, &[]).await;
    let compared = b.node.compare("alpha", &unwatched).await.unwrap();
    assert!(compared.equal, "{compared:?}");
    behind(&b, "UPDATE team SET name = 'odd' WHERE id = 7; DELETE FROM team WHERE id = 8");
    for (site, peer, kind) in [(&a, "beta", "only_here"), (&b, "alpha", "only_there")] {
        let compared = site.node.compare(peer, &unwatched).await.unwrap();
        let team = table(&compared, "team");
        assert!(!compared.equal && table(&compared, "score").state == TableStanding::Equal);
        assert_eq!((team.state, team.different, team.only_here + team.only_there), (TableStanding::Different, 1, 1));
        let (rows, n) = site.node.compared_rows(peer, ("d", "team"), "different", "", (0, 10)).unwrap();
        assert_eq!(
            (n, &rows[0].key, &rows[0].key_there, &rows[0].columns),
            (1, &json!(7), &json!(7), &vec!["name".to_owned()])
        );
        let (rows, n) = site.node.compared_rows(peer, ("d", "team"), kind, "8", (0, 10)).unwrap();
        assert_eq!((n, rows.len()), (1, 1));
        assert_eq!(site.node.compared_rows(peer, ("d", "team"), kind, "9", (0, 10)).unwrap().1, 0);
        let columns = site.node.compared_row(peer, ("d", "team"), "different", &json!(7)).await.unwrap();
        assert_eq!((columns[0].column.as_str(), columns[0].changed), ("name", true));
        assert!(columns[1..].iter().all(|c| !c.changed && c.here == c.there));
        let mut said = [columns[0].here.clone().unwrap(), columns[0].there.clone().unwrap()];
        said.sort_by_key(|s| format!("{s:?}").len());
        assert_eq!(said, [Shown::Value(Value::text("odd")), Shown::Value(Value::text("name of 7"))]);
        let columns = site.node.compared_row(peer, ("d", "team"), kind, &json!(8)).await.unwrap();
        assert!(columns.iter().all(|c| c.here.is_none() != c.there.is_none()));
        // Held, once, for a person; and the proof says so.
        assert_eq!(site.node.quarantine().unwrap().len(), 2);
        let proof = site.node.verify(Some(peer), &unwatched).await.unwrap();
        let team = proof.tables.iter().find(|t| t.name == "d.team").unwrap();
        assert_eq!(
            (proof.equal, proof.held, team.differs[0].state, team.differs[0].differing.len()),
            (false, 2, "differs", 2)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_grows_with_the_rows_that_differ() {
    let (_a, b) = both(6_000, &[]).await;
    let same = b.node.compare("alpha", &unwatched).await.unwrap();
    behind(&b, "UPDATE team SET name = 'odd' WHERE id IN (5, 700, 5999)");
    let three = b.node.compare("alpha", &unwatched).await.unwrap();
    assert_eq!(table(&three, "team").different, 3);
    let bytes = |c: &Comparison| c.bytes_sent + c.bytes_received;
    assert!(bytes(&three) - bytes(&same) < 30_000, "{} {}", bytes(&same), bytes(&three));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_it_is_is_told_and_it_ends_when_nobody_waits() {
    let (_a, b) = both(3_000, &[]).await;
    let told = Mutex::new(Vec::new());
    let watcher = |read: &ReadSoFar| {
        told.lock().unwrap().push(read.clone());
        ControlFlow::Continue(())
    };
    b.node.compare("alpha", &watcher).await.unwrap();
    b.node.verify(Some("alpha"), &watcher).await.unwrap();
    let told = told.into_inner().unwrap();
    assert!(told.iter().all(|t| t.rows <= t.of));
    let last = told.last().unwrap();
    assert_eq!((last.peer.as_deref(), last.rows), (Some("alpha"), last.of));

    let enough = |_: &ReadSoFar| ControlFlow::Break(());
    assert_eq!(b.node.compare("alpha", &enough).await.unwrap_err().problem().code, "stopped");
    assert_eq!(b.node.verify(None, &enough).await.unwrap_err().problem().code, "stopped");
    assert!(b.node.verify(None, &unwatched).await.unwrap().equal, "and can be begun again");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_writes_on_both_sides_nothing_is_called_different_but_what_is() {
    let (a, b) = both(400, &[]).await;
    behind(&b, "UPDATE team SET name = 'odd' WHERE id = 400");
    let ended = Arc::new(AtomicBool::new(false));
    let end = Ends(ended.clone());
    let write = |site: &Site, from: u32| {
        let (db, ended) = (site.open(), ended.clone());
        tokio::task::spawn_blocking(move || {
            let mut n = from;
            while !ended.load(Ordering::Relaxed) {
                let id = 1 + n % 399;
                db.execute_batch(&format!(
                    "UPDATE team SET number = number + 1 WHERE id = {id}; INSERT INTO team(name) VALUES('new');
                     DELETE FROM team WHERE id = (SELECT max(id) FROM team) AND id > 400"
                ))
                .unwrap();
                n += 7;
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        })
    };
    let writers = [write(&a, 0), write(&b, 3)];
    for _ in 0..3 {
        let compared = b.node.compare("alpha", &unwatched).await.unwrap();
        let team = table(&compared, "team");
        let rows: Vec<String> = team.rows.iter().map(|r| r.key.to_string()).collect();
        assert_eq!(rows, ["400"], "{team:?}");
    }
    drop(end);
    for writer in writers {
        writer.await.unwrap();
    }
    // Both at rest: what is under way is told from what differs, and arrives.
    for _ in 0..2 {
        b.sync("alpha").await;
    }
    let team = b.node.compare("alpha", &unwatched).await.unwrap();
    assert_eq!((table(&team, "team").different, table(&team, "team").under_way), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_pass_is_not_asked_for_and_not_told() {
    let (a, b) = both(50, &["d.team.secret".to_owned()]).await;
    behind(&b, "UPDATE team SET name = 'odd' WHERE id = 7");
    let compared = b.node.compare("alpha", &unwatched).await.unwrap();
    assert_eq!(table(&compared, "team").rows[0].columns, ["name"]);
    let columns = b.node.compared_row("alpha", ("d", "team"), "different", &json!(7)).await.unwrap();
    assert!(columns.iter().all(|c| c.column != "secret"), "{columns:?}");
    behind(&a, "UPDATE team SET secret = 'other'");
    let compared = a.node.compare("beta", &unwatched).await.unwrap();
    assert_eq!(table(&compared, "team").different, 1, "what does not pass is not looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_a_peer_does_not_give_is_compared_by_its_digest_alone() {
    let (a, b) = both(20, &[]).await;
    a.node.share("beta", "d.score", lockstep_node::status::Direction::Receive, &[]).unwrap();
    a.node.share("beta", "d.team", lockstep_node::status::Direction::None, &[]).unwrap();
    for name in ["team", "score"] {
        let ask = Ranges { database: "d".into(), table: name.into(), ranges: vec![RangeName("".parse().unwrap())] };
        match b.link("alpha").post("/v1/ranges", ask.to_json(), 1 << 20, SOON).await {
            Err(CallError::Refused { status: 403, problem }) => assert_eq!(problem.code, "not_allowed"),
            other => panic!("{other:?}"),
        }
        let ask = Rows { database: "d".into(), table: name.into(), births: Vec::new() };
        assert!(matches!(
            b.link("alpha").post("/v1/rows", ask.to_json(), 1 << 20, SOON).await,
            Err(CallError::Refused { status: 403, .. })
        ));
    }
    let compared = b.node.compare("alpha", &unwatched).await.unwrap();
    assert_eq!(table(&compared, "team").state, TableStanding::NotShared);
    assert!(table(&compared, "score").rows.is_empty());
}

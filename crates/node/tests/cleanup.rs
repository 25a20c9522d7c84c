//! Retention between two nodes: what one still needs stays at the other.
mod sites;

use lockstep_engine::id::Millis;
use lockstep_node::cleanup::Removed;
use lockstep_node::reading::unwatched;
use lockstep_node::{Home, Node, system_clock};
use sites::{Site, pair};
use std::sync::Arc;
use std::time::Duration;

const DAYS: i64 = 86_400_000;

/// The same node, so many days later.
fn later(site: &Site, days: i64) -> Node {
    let clock = system_clock();
    let home = Home::at(site.dir.path().join("home"));
    Node::open(home).unwrap().with_clock(Arc::new(move || Millis(clock().0 + days * DAYS)))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_lacks_stays_and_the_rest_goes_in_its_time() {
    let schema = "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);";
    let (host, joiner) = (Site::new("host", schema).await, Site::new("joiner", schema).await);
    pair(&joiner, &host, &[]).await;
    host.app(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
         INSERT INTO note(text) SELECT 'note ' || i FROM n",
    );
    joiner.well("host").await;
    host.app("DELETE FROM note WHERE id <= 5");
    let all = |dry_run| later(&host, 100).cleanup(None, dry_run).unwrap();
    assert_eq!(all(false).tombstones, 0, "the joiner has not got the deletes");
    joiner.well("host").await;
    assert_eq!(later(&host, 80).cleanup(None, true).unwrap().tombstones, 0, "not in its time");
    let would = all(true);
    assert_eq!((would.tombstones, all(false)), (5, would));
    assert_eq!(all(false), Removed::default());
    assert_eq!(later(&joiner, 1).cleanup(Some(Duration::from_secs(3_600)), true).unwrap().tombstones, 5);

    // Cleaned and uncleaned agree, and the balance says what went.
    joiner.well("host").await;
    let proof = joiner.node.verify(None, &unwatched).await.unwrap();
    assert!(proof.equal && proof.balance.cleaned == 0, "{proof:?}");
    let proof = host.node.verify(Some("joiner"), &unwatched).await.unwrap();
    assert_eq!((proof.equal, proof.balance.cleaned, proof.balance.lost()), (true, 10, 0), "{proof:?}");
    let status = host.node.status().unwrap();
    let d = &status.databases[0];
    assert_eq!(status.values_lost, 0);
    assert!(d.own_bytes > 0 && d.own_bytes < d.bytes, "{d:?}");
    // It is measured anew when many writes came, and not each time.
    let before = d.own_bytes;
    host.app(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO note(text) SELECT 'more ' || i FROM n",
    );
    let after = host.node.status().unwrap().databases[0].own_bytes;
    assert!(after > before, "{after} {before}");
    // Of the joiner's past only its last word is left after a year.
    later(&joiner, 400).cleanup(None, false).unwrap();
    assert_eq!(joiner.node.state().runs(Millis(0), 100).unwrap().len(), 1);
}

//! What a person says of tables and conflicts, and what two nodes see of each other's tables.
mod sites;

use lockstep_node::attachment::Attach;
use lockstep_node::conflicts::Kept;
use lockstep_node::engine::{Guard, Policy, TableConfig};
use lockstep_node::plan::PlanSpan;
use sites::{Site, pair};

const SCHEMA: &str = "CREATE TABLE team (number INTEGER PRIMARY KEY, name TEXT) WITHOUT ROWID";

async fn two() -> (Site, Site) {
    let (hq, pit) = (Site::new("hq", SCHEMA).await, Site::new("pit", SCHEMA).await);
    hq.app("INSERT INTO team WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) SELECT i, 'team ' || i FROM n");
    pair(&pit, &hq, &[]).await;
    pit.well("hq").await;
    (hq, pit)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_one_side_says_is_seen_as_a_mismatch_until_both_say_it() {
    let (hq, pit) = two().await;
    let review = TableConfig { policy: Policy::Review, ..TableConfig::default() };
    pit.node.configure("d.team", &review).unwrap();
    let peer = pit.peer("hq");
    let seen = pit.node.preview(&peer).await.unwrap().mismatches;
    assert_eq!((seen.len(), seen[0].table.as_str(), seen[0].kind), (1, "d.team", "config_differs"));
    assert!(seen[0].says.contains("hq"), "{seen:?}");
    hq.node.configure("d.team", &review).unwrap();
    assert_eq!(pit.node.preview(&peer).await.unwrap().mismatches, []);
    hq.app("CREATE TABLE more (id INTEGER PRIMARY KEY); ALTER TABLE team ADD COLUMN coach TEXT");
    hq.node.status().unwrap();
    let seen = pit.node.preview(&peer).await.unwrap().mismatches;
    let kinds: Vec<(&str, &str)> = seen.iter().map(|m| (m.table.as_str(), m.kind)).collect();
    assert_eq!(kinds, [("d.team", "column_missing"), ("d.more", "table_missing")]);
    // Attaching again is no change of mind.
    let attach = Attach { databases: vec![("d".into(), pit.dir.path().join("d.db"))], ..Attach::default() };
    pit.node.attach(&attach, &mut |_, _, _| {}).await.unwrap();
    assert_eq!(pit.node.configuration("d.team").unwrap(), review);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_decision_settles_all_that_are_alike_and_exactly_those_that_were_shown() {
    let (hq, pit) = two().await;
    let say = |who: &Site, up_to: u32| {
        who.app(&format!("UPDATE team SET name = '{}' WHERE number <= {up_to}", who.node.name().unwrap()))
    };
    say(&hq, 3);
    say(&pit, 3);
    pit.well("hq").await;
    let conflicts = pit.node.conflicts(false).unwrap();
    assert_eq!(conflicts.len(), 3);
    let loser = conflicts[0].loser.clone().unwrap();
    let shown = pit.node.alike(&conflicts[0].id, Kept::Loser).unwrap();
    assert_eq!((shown.conflicts, shown.rows.len()), (3, 3));
    let (column, now, then) = &shown.rows[0].columns[0];
    assert_eq!((column.as_str(), then.as_str().unwrap()), ("name", loser.as_str()));
    assert_ne!(now, then);
    pit.app("UPDATE team SET name = 'later' WHERE number = 2");
    let moved = pit.node.decide_alike(&conflicts[0].id, Kept::Loser, &shown.plan).unwrap_err();
    assert_eq!(moved.code(), "plan_moved");
    let shown = pit.node.alike(&conflicts[0].id, Kept::Loser).unwrap();
    let decisions = pit.node.decide_alike(&conflicts[0].id, Kept::Loser, &shown.plan).unwrap();
    let refused: Vec<bool> = decisions.iter().map(|d| pit.node.resolve(std::slice::from_ref(d)).is_err()).collect();
    assert_eq!(refused.iter().filter(|r| **r).count(), 1, "the row that was written since");
    let names = pit.texts("SELECT name FROM team WHERE number <= 3 ORDER BY name = 'later', number");
    assert_eq!(names, [loser.as_str(), loser.as_str(), "later"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_said_it_has_is_to_come_and_the_guard_of_the_settings_holds_what_is_too_much() {
    let (hq, pit) = two().await;
    hq.app("DELETE FROM team WHERE number <= 8");
    let peer = pit.peer("hq");
    assert_eq!(pit.node.status().unwrap().peers[0].coming, 0);
    pit.node.state().change_setting("guard.rows", "5").unwrap();
    let plan = pit.node.preview(&peer).await.unwrap();
    assert_eq!(pit.node.status().unwrap().peers[0].coming, 8);
    let span = |text: &str, operation: &str| PlanSpan {
        text: Some(text.into()),
        operation: Some(operation.into()),
        limit: 100,
        ..PlanSpan::default()
    };
    let deletes = pit.node.plan_page(&peer, &plan.plan, span("", "delete")).await.unwrap();
    assert_eq!((deletes.total, deletes.rows[0].held), (8, Some("delete_guard")));
    let sevens = pit.node.plan_page(&peer, &plan.plan, span("7", "delete")).await.unwrap();
    assert_eq!((sevens.total, sevens.rows[0].key.to_string().as_str()), (1, "7"));
    assert_eq!(pit.node.plan_page(&peer, &plan.plan, span("", "insert")).await.unwrap().total, 0);
    pit.well("hq").await;
    let set = pit.node.deletes().unwrap().remove(0);
    let (shown, keys) = pit.node.guarded_rows(&set.id).unwrap();
    assert_eq!((&shown, keys.len(), pit.texts("SELECT count(*) || '' FROM team")), (&set, 8, vec!["30".to_owned()]));
    assert!(pit.node.guarded_rows("other").is_err());
    let held = pit.node.quarantine().unwrap().remove(0);
    let row = pit.node.held_row(&held.id).unwrap();
    assert_eq!((row.shown["name"].as_str().is_some(), row.held.len()), (true, 0));
    assert_eq!(pit.node.status().unwrap().peers[0].coming, 0);
    let own = TableConfig { guard: Some(Guard { rows: 1000, share: 0.2 }), ..TableConfig::default() };
    pit.node.configure("d.team", &own).unwrap();
    assert_eq!(pit.node.configuration("d.team").unwrap(), own);
}

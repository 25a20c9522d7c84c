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
async fn after_a_session_both_sides_know_which_tables_are_not_alike_and_whose_turn_it_is() {
    let (hq, pit) = two().await;
    let unlike = |site: &Site, peer: &str| -> Vec<(String, &'static str, bool)> {
        let told = site.node.unlike(site.peer(peer).node).unwrap().into_iter();
        told.map(|m| (m.table, m.kind, m.here)).collect()
    };
    assert_eq!((unlike(&hq, "pit"), unlike(&pit, "hq")), (Vec::new(), Vec::new()));
    hq.app("ALTER TABLE team ADD COLUMN coach TEXT");
    pit.sync("hq").await;
    let missing = |here| vec![("d.team".to_owned(), "column_missing", here)];
    assert_eq!((unlike(&hq, "pit"), unlike(&pit, "hq")), (missing(false), missing(true)));
    pit.app("ALTER TABLE team ADD COLUMN coach TEXT");
    pit.well("hq").await;
    assert_eq!((unlike(&hq, "pit"), unlike(&pit, "hq")), (Vec::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_left_out_is_synced_when_a_person_says_so() {
    let (hq, pit) = (Site::new("hq", SCHEMA).await, Site::new("pit", SCHEMA).await);
    for site in [&hq, &pit] {
        site.node.detach("d").await.unwrap();
        site.app("CREATE TABLE log_a (number INTEGER PRIMARY KEY) WITHOUT ROWID; CREATE TABLE log_b (id INTEGER PRIMARY KEY)");
        let left_out = vec![("d".to_owned(), "log_*".to_owned())];
        let databases = vec![("d".into(), site.dir.path().join("d.db"))];
        let attach = Attach { databases, left_out, ..Attach::default() };
        site.node.attach(&attach, &mut |_, _, _| {}).await.unwrap();
    }
    hq.app("INSERT INTO log_a VALUES (1), (2)");
    pair(&pit, &hq, &[]).await;
    pit.well("hq").await;
    let out = |site: &Site| -> Vec<(String, bool, usize)> {
        let report = site.node.tables(None).unwrap().remove(0);
        report.left_out.into_iter().map(|l| (l.name, l.excluded, l.columns.len())).collect()
    };
    assert_eq!(out(&hq), [("log_a".into(), true, 1), ("log_b".into(), true, 1)]);

    let review = TableConfig { policy: Policy::Review, ..TableConfig::default() };
    for site in [&hq, &pit] {
        site.node.include("d.log_a", &review).unwrap();
        assert_eq!(out(site), [("log_b".into(), true, 1)], "the other stays left out");
        assert_eq!(site.node.configuration("d.log_a").unwrap(), review);
    }
    pit.well("hq").await;
    assert_eq!(pit.texts("SELECT CAST(number AS TEXT) FROM log_a"), ["1", "2"]);
    let again = hq.node.include("d.log_a", &review).unwrap_err();
    assert!(again.to_string().contains("left out"), "{again}");

    // The configuration beside the file says the same when it is attached again; what is synced it can't leave out.
    let say = |toml: &str| std::fs::write(hq.dir.path().join("lockstep.toml"), toml).unwrap();
    let attach = || Attach { databases: vec![("d".into(), hq.dir.path().join("d.db"))], ..Attach::default() };
    say("[databases.d]\nexclude = ['team']\ntables.log_a.policy = 'review'");
    let refused = hq.node.attach(&attach(), &mut |_, _, _| {}).await.unwrap_err();
    assert_eq!(refused.code(), "settled", "{refused}");
    assert_eq!(out(&hq), [("log_b".into(), true, 1)]);
    say("[databases.d]\ntables.log_a.policy = 'review'");
    hq.node.attach(&attach(), &mut |_, _, _| {}).await.unwrap();
    assert_eq!(out(&hq), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn held_changes_pass_together_and_one_that_can_t_keeps_back_none() {
    let (hq, pit) = two().await;
    pit.node.set_review(&pit.peer("hq"), true).unwrap();
    hq.app("UPDATE team SET name = 'new' WHERE number <= 5");
    pit.sync("hq").await;
    let mut ids: Vec<String> = pit.node.quarantine().unwrap().into_iter().map(|h| h.id).collect();
    assert_eq!(ids.len(), 5);
    ids.insert(2, "nothing".to_owned());
    let done = pit.node.quarantine_allow_all(&ids).unwrap();
    let refused: Vec<&str> = done.iter().filter(|(_, written)| written.is_err()).map(|(id, _)| id.as_str()).collect();
    assert_eq!((done.len(), refused), (6, vec!["nothing"]));
    assert_eq!(pit.texts("SELECT count(*) || '' FROM team WHERE name = 'new'"), ["5"]);
    assert_eq!(pit.node.quarantine().unwrap(), []);
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

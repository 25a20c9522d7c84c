//! First contact of two filled databases: what is shown before anything is exchanged, and what the person chooses.
mod sites;

use lockstep_engine::id::Millis;
use lockstep_node::contact::{ContactLine, Origin, Prefer};
use lockstep_node::pair::Wanted;
use lockstep_node::state::RunResult;
use sites::{SOON, Site};
use std::ops::ControlFlow;

const SCHEMA: &str = "CREATE TABLE team(id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT);";
const TEAMS: &str = "SELECT name || coalesce(' ' || note, '') FROM team ORDER BY name, note";

/// Two whose files share one row wholly and one by its id only.
async fn two() -> (Site, Site) {
    let host = "INSERT INTO team VALUES (1, 'one', 'a'), (2, 'two', 'of host'), (9, 'three', NULL);";
    let joiner = "INSERT INTO team VALUES (1, 'one', 'a'), (2, 'two', 'of joiner'), (4, 'four', NULL);";
    (Site::new("host", &(SCHEMA.to_owned() + host)).await, Site::new("joiner", &(SCHEMA.to_owned() + joiner)).await)
}

async fn contact(host: &Site, joiner: &Site, origin: Option<Origin>, prefer: Option<Prefer>) -> ContactLine {
    let invite = host.node.invite(SOON, &[], &[]).unwrap().invite;
    let wanted = Wanted { origin, ..Wanted::default() };
    let joining = joiner.node.join(&invite, &wanted).await.unwrap();
    let before = [host.texts(TEAMS), joiner.texts(TEAMS)];
    let preview = joiner.node.preview_with(&joining.peer, &joining.shares, joining.origin).await.unwrap();
    assert_eq!([host.texts(TEAMS), joiner.texts(TEAMS)], before, "a preview changes no row");
    let peer = joiner.node.confirm(&joining).unwrap();
    let run = joiner.node.first_sync(&peer, prefer, &|_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!(run.result, RunResult::Verified, "{run:?}");
    let runs = host.node.state().runs(Millis(0), 100).unwrap();
    assert!(runs.iter().all(|r| r.result == RunResult::Verified), "to look is no session: {runs:?}");
    assert_eq!(host.texts(TEAMS), joiner.texts(TEAMS));
    assert_eq!(joiner.texts(TEAMS).len() as u64, preview.incoming.inserts + before[1].len() as u64);
    let line = preview.contact.into_iter().next().unwrap();
    assert_eq!(line.name, "d.team");
    line
}

fn counts(c: &ContactLine) -> [u64; 6] {
    [c.same, c.differing, c.undatable, c.only_here, c.only_there, c.id_taken]
}

#[tokio::test(flavor = "multi_thread")]
async fn as_found_only_what_is_the_same_wholly_is_one() {
    let (host, joiner) = two().await;
    assert_eq!(counts(&contact(&host, &joiner, None, None).await), [1, 0, 0, 2, 2, 1]);
    assert_eq!(host.texts(TEAMS), ["four", "one a", "three", "two of host", "two of joiner"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_began_separately_have_no_row_in_common() {
    let (host, joiner) = two().await;
    let line = contact(&host, &joiner, Some(Origin::Separate), None).await;
    assert_eq!(counts(&line), [0, 0, 0, 3, 3, 2]);
    assert_eq!(host.texts(TEAMS).len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_copies_are_one_by_their_id_and_a_person_chooses_between_values_without_a_time() {
    for (prefer, expected) in [(Prefer::Here, "two of joiner"), (Prefer::There, "two of host")] {
        let (host, joiner) = two().await;
        let line = contact(&host, &joiner, Some(Origin::Copies), Some(prefer)).await;
        assert_eq!(counts(&line), [1, 1, 1, 1, 1, 0]);
        assert_eq!(host.texts(TEAMS), ["four", "one a", "three", expected], "{prefer:?}");
        assert!(host.node.conflicts(false).unwrap().is_empty(), "a person has decided it, on both nodes");
        assert_eq!(host.node.conflicts(true).unwrap().len(), 1, "and the other value is kept");
    }
    let (host, joiner) = two().await;
    contact(&host, &joiner, Some(Origin::Copies), Some(Prefer::Review)).await;
    assert_eq!(joiner.node.conflicts(false).unwrap().len(), 1, "row by row");
}

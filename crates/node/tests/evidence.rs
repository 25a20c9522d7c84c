//! Before two filled databases meet, what is not configured is held against the rows of both.
mod sites;

use lockstep_node::contact::{Evidence, Fits, SuggestionLine};
use lockstep_node::pair::Wanted;
use sites::{SOON, Site};

const SCHEMA: &str = "
CREATE TABLE user(id INTEGER PRIMARY KEY, username TEXT NOT NULL COLLATE NOCASE);
CREATE TABLE team(id INTEGER PRIMARY KEY, number INTEGER NOT NULL, name TEXT);
CREATE TABLE entry(id INTEGER PRIMARY KEY, team_id INTEGER NOT NULL REFERENCES team(id), code TEXT NOT NULL, user_id INTEGER);";
/// Team 20 is the second here and the first there; two users of one name; an entry of a user that is gone.
const HOST: &str = "
INSERT INTO user VALUES (1, 'Anna'), (2, 'ben'), (3, 'anna');
INSERT INTO team VALUES (1, 10, 'ten'), (2, 20, 'twenty'), (3, 30, NULL);
INSERT INTO entry VALUES (1, 2, 'x', 1), (2, 1, 'x', 99);";
const JOINER: &str = "
INSERT INTO user VALUES (1, 'anna'), (2, 'carl');
INSERT INTO team VALUES (1, 20, 'Twenty'), (2, 40, 'forty');
INSERT INTO entry VALUES (1, 1, 'x', 2), (2, 2, 'y', NULL);";

fn identity(name: &str, say: &str, [matching, only_here, only_there, doubled_there]: [u64; 4]) -> SuggestionLine {
    let evidence = Evidence::Identity { matching, only_here, only_there, doubled_there };
    SuggestionLine { name: name.to_owned(), say: say.to_owned(), evidence }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_suggestion_says_how_many_rows_of_both_speak_for_it_and_against_it() {
    let (host, joiner) = (
        Site::new("host", &(SCHEMA.to_owned() + HOST)).await,
        Site::new("joiner", &(SCHEMA.to_owned() + JOINER)).await,
    );
    let invite = host.node.invite(SOON, &[], &[]).unwrap().invite;
    let joining = joiner.node.join(&invite, &Wanted::default()).await.unwrap();
    let preview = joiner.node.preview_with(&joining.peer, &joining.shares, joining.origin).await.unwrap();
    let fits = |matching, missing| Fits { matching, missing };
    let mut found = preview.suggestions;
    found.sort_by(|a, b| (&a.name, &a.say).cmp(&(&b.name, &b.say)));
    let expected = [
        identity("d.entry", r#"identity = ["team_id", "code"]"#, [1, 1, 1, 0]),
        SuggestionLine {
            name: "d.entry".to_owned(),
            say: r#"references = { user_id = "d.user" }"#.to_owned(),
            evidence: Evidence::Reference { here: fits(1, 0), there: fits(1, 1) },
        },
        identity("d.team", r#"identity = ["number"]"#, [1, 1, 2, 0]),
        identity("d.user", r#"identity = ["username"]"#, [1, 1, 1, 2]),
    ];
    assert_eq!(found, expected);
    let json = serde_json::to_string(&found).unwrap();
    assert!(
        json.contains(r#""kind":"identity","matching":1,"only_here":1,"only_there":1,"doubled_there":2"#),
        "{json}"
    );
    assert!(!json.to_lowercase().contains("anna"), "counts, and no value");

    // Once they have met there is nothing left to be suggested.
    joiner.node.confirm(&joining).unwrap();
    joiner.well("host").await;
    assert_eq!(joiner.node.preview(&joiner.peer("host")).await.unwrap().suggestions, []);
}

//! Rows that were changed past the capture: found among many, told, and decided.

use crate::server::{Schema, Server, two};
use serde_json::{Value, json};

const SCHEMA: Schema<'static> = Schema {
    databases: &[(
        "scouting",
        "CREATE TABLE team (id INTEGER PRIMARY KEY, team_number INTEGER, name TEXT, password_hash TEXT);
         CREATE TABLE note (id INTEGER PRIMARY KEY, team_id INTEGER REFERENCES team (id), text TEXT);",
    )],
    config: "",
};

/// As a tool would that drops triggers, writes, and puts them back.
fn behind(server: &Server, table: &str, sql: &str) {
    let triggers =
        format!("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table}' ORDER BY name");
    let text = |v: &Value| v.as_str().expect("a text").to_owned();
    let all: Vec<(String, String)> =
        server.rows("scouting", &triggers).iter().map(|row| (text(&row[0]), text(&row[1]))).collect();
    assert!(!all.is_empty());
    let drop: String = all.iter().map(|(name, _)| format!("DROP TRIGGER \"{name}\";")).collect();
    let create: String = all.iter().map(|(_, sql)| format!("{sql};")).collect();
    server.sql("scouting", &format!("BEGIN; {drop} {sql}; {create} COMMIT;"));
}

fn table<'a>(proof: &'a Value, name: &str) -> &'a Value {
    let tables = proof["tables"].as_array().expect("tables");
    tables.iter().find(|t| t["name"] == name).unwrap_or_else(|| panic!("no {name} in {proof}"))
}

#[test]
fn three_rows_of_many_that_were_changed_past_the_capture_are_found_told_and_decided() {
    let (alpha, beta) = two(SCHEMA);
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
                INSERT INTO team SELECT i, i, 'team ' || i, 'canary ' || i FROM n;
                INSERT INTO note VALUES (1, 1, 'one')";
    alpha.sql("scouting", rows);
    // So that it can be asked, too.
    beta.serve();
    assert!(beta.sync_with(&alpha).verified());
    let equal = beta.well(&["verify", "alpha"]);
    assert_eq!((&equal["equal"], &table(&equal, "scouting.team")["equal"]), (&json!(true), &json!(true)));
    let bytes = |proof: &Value| {
        let peer = &proof["peers"][0];
        peer["bytes_sent"].as_u64().expect("a count") + peer["bytes_received"].as_u64().expect("a count")
    };

    behind(&beta, "team", "UPDATE team SET name = 'odd' WHERE id IN (77, 25000); DELETE FROM team WHERE id = 49999");
    // The digests that are kept know nothing of it.
    let found = beta.lockstep(&["verify", "alpha"]);
    assert_eq!(found.status, 4, "{}", found.json);
    let team = table(&found.json, "scouting.team");
    let told = &team["differs"][0];
    assert_eq!((&told["state"], &told["different"], &told["only_there"]), (&json!("differs"), &json!(2), &json!(1)));
    let mut rows: Vec<String> = told["differing"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|r| format!("{} {} {} {}", r["kind"], r["key"], r["key_there"], r["columns"]))
        .collect();
    rows.sort();
    assert_eq!(
        rows,
        [r#""different" 25000 25000 ["name"]"#, r#""different" 77 77 ["name"]"#, r#""only_there" null 49999 []"#]
    );
    assert!(!found.json.to_string().contains("canary") && !found.json.to_string().contains("odd"), "no values");
    assert_eq!(table(&found.json, "scouting.note")["equal"], json!(true));
    assert!(bytes(&found.json) < bytes(&equal) + 30_000, "{} {}", bytes(&equal), bytes(&found.json));
    // The other side finds the same.
    let there = alpha.lockstep(&["verify", "beta"]);
    assert_eq!((there.status, &table(&there.json, "scouting.team")["differs"][0]["only_here"]), (4, &json!(1)));

    // Held here, and decided here: one keeps what is here, the others what is there.
    let held = beta.well(&["conflicts"])["conflicts"].as_array().expect("a list").clone();
    assert_eq!(held.len(), 3, "{held:?}");
    for conflict in &held {
        assert_eq!((&conflict["kind"], &conflict["state"]), (&json!("difference"), &json!("held")));
        let side = if conflict["key"] == json!(77) { "winner" } else { "loser" };
        let id = conflict["id"].as_str().expect("an id");
        let shown = beta.well(&["conflicts", "show", id]);
        if conflict["key"] == json!(77) {
            assert_eq!((&shown["winner"]["name"], &shown["loser"]["name"]), (&json!("odd"), &json!("team 77")));
        }
        beta.well(&["conflicts", "resolve", id, "--keep", side]);
    }
    assert!(beta.sync_with(&alpha).verified());
    for (server, peer) in [(&alpha, "beta"), (&beta, "alpha")] {
        let proof = server.well(&["verify", peer]);
        assert_eq!((&proof["equal"], &proof["held"]), (&json!(true), &json!(0)), "{proof}");
        let names = "SELECT id, name FROM team WHERE id IN (77, 25000, 49999)";
        assert_eq!(server.lines("scouting", names), ["25000 | team 25000", "49999 | team 49999", "77 | odd"]);
        assert_eq!(server.held(), 0);
    }
}

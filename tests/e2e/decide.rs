//! What a superadmin decides on one server holds on all.

use crate::server::{Schema, Server, all_read, sync, two};
use serde_json::{Value, json};

/// One table where the later write wins, and one where a person decides.
const NOTES: Schema<'static> = Schema {
    databases: &[(
        "notes",
        "CREATE TABLE note (id INTEGER NOT NULL, tag TEXT, title TEXT, body TEXT, PRIMARY KEY (id));
         CREATE TABLE careful (id INTEGER NOT NULL, tag TEXT, title TEXT, password_hash TEXT, PRIMARY KEY (id));",
    )],
    config: "[databases.notes.tables.careful]\npolicy = \"review\"\n",
};

/// A later wall time than that of any write before.
fn later() {
    std::thread::sleep(std::time::Duration::from_millis(30));
}

/// The conflicts of a server.
fn conflicts(server: &Server, args: &[&str]) -> Vec<Value> {
    let list = server.well(&[&["conflicts"], args].concat());
    list["conflicts"].as_array().expect("conflicts").clone()
}

#[test]
fn a_decision_travels_and_settles_the_matter_everywhere() {
    let (a, b) = two(NOTES);
    a.sql("notes", "INSERT INTO careful (tag, title, password_hash) VALUES ('r', 't0', 'h0')");
    sync(&b, &a);
    a.sql("notes", "UPDATE careful SET title = 'host', password_hash = 'secret of host'");
    later();
    b.sql("notes", "UPDATE careful SET title = 'joiner', password_hash = 'secret of joiner'");
    assert_eq!(sync(&b, &a).status, 3, "something waits for a person");
    let here = conflicts(&a, &[]);
    assert_eq!((here.len(), &here[0]["state"], &here[0]["kind"]), (1, &json!("held"), &json!("update_update")));
    let id = here[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(conflicts(&b, &[])[0]["id"], json!(id), "one id on both servers");
    assert_eq!((&here[0]["winner"], &here[0]["loser"]), (&json!("beta"), &json!("alpha")));
    let shown = a.well(&["conflicts", "show", &id]);
    assert_eq!((&shown["winner"]["title"], &shown["loser"]["title"]), (&json!("joiner"), &json!("host")));
    assert!(!shown.to_string().contains("secret of"), "what looks secret is masked: {shown}");
    // Column by column, on the joiner; the values never leave the databases.
    let done = b.well(&["conflicts", "resolve", &id, "--keep", "title=loser", "password_hash=winner"]);
    assert_eq!(done, json!({ "id": id, "written": 2 }));
    assert_eq!(sync(&b, &a).status, 0, "nothing waits any more");
    all_read(&[&a, &b], "notes", "SELECT title, password_hash FROM careful", &["host | secret of joiner"]);
    for server in [&a, &b] {
        assert_eq!(conflicts(server, &[]), Vec::<Value>::new(), "{}", server.name);
        let all = conflicts(server, &["--all"]);
        assert_eq!((&all[0]["id"], &all[0]["state"]), (&json!(id), &json!("reviewed")));
        assert_eq!((&all[0]["decided"]["by"], &all[0]["decided"]["kept"]), (&json!("beta"), &json!("mixed")));
    }
}

#[test]
fn what_a_rule_chose_is_looked_at_or_turned_round_unless_the_row_has_changed() {
    let (a, b) = two(NOTES);
    a.sql("notes", "INSERT INTO note (tag, title, body) VALUES ('r', 't0', 'b0'), ('s', 't0', 'b0')");
    sync(&b, &a);
    a.sql("notes", "UPDATE note SET title = 'host ' || tag");
    later();
    b.sql("notes", "UPDATE note SET title = 'joiner ' || tag");
    sync(&b, &a);
    all_read(&[&a, &b], "notes", "SELECT title FROM note", &["joiner r", "joiner s"]);
    let list = conflicts(&a, &[]);
    assert_eq!(list.len(), 2);
    let at =
        |key: i64| list.iter().find(|c| c["key"] == json!(key)).expect("of that row")["id"].as_str().expect("an id");
    let (r, s) = (at(1), at(2));
    // The row is written on: only who knows that may overwrite it.
    a.sql("notes", "UPDATE note SET title = 'newer' WHERE tag = 's'");
    let refused = a.lockstep(&["conflicts", "resolve", s, "--keep", "loser"]);
    assert_eq!((refused.status, &refused.json["error"]["code"]), (1, &json!("changed")), "{refused:?}");
    all_read(&[&a], "notes", "SELECT title FROM note WHERE tag = 's'", &["newer"]);
    a.well(&["conflicts", "resolve", s, "--keep", "loser", "--anyway"]);
    a.well(&["conflicts", "resolve", r, "--keep", "loser"]);
    sync(&b, &a);
    all_read(&[&a, &b], "notes", "SELECT title FROM note", &["host r", "host s"]);
    // Undone, on the other server.
    b.well(&["conflicts", "resolve", r, "--keep", "winner"]);
    sync(&b, &a);
    all_read(&[&a, &b], "notes", "SELECT title FROM note", &["joiner r", "host s"]);
    // Looking at what a rule chose is enough for it to be settled, everywhere.
    a.sql("notes", "UPDATE note SET body = 'host'");
    later();
    b.sql("notes", "UPDATE note SET body = 'joiner'");
    sync(&b, &a);
    assert_eq!(b.well(&["conflicts", "reviewed", "--all"]), json!({ "reviewed": 2 }));
    assert_eq!(sync(&b, &a).status, 0);
    assert_eq!(conflicts(&a, &[]), Vec::<Value>::new());
}

#[test]
fn a_version_is_brought_back_everywhere_also_of_a_row_that_was_deleted() {
    let (a, b) = two(NOTES);
    a.sql("notes", "INSERT INTO careful (tag, title, password_hash) VALUES ('r', 't0', 'canary 1')");
    sync(&b, &a);
    a.sql("notes", "UPDATE careful SET title = 't1'");
    sync(&b, &a);
    b.sql("notes", "DELETE FROM careful; INSERT INTO careful (tag, title) VALUES ('s', 'uses the id again')");
    sync(&b, &a);
    let shown = b.well(&["history", "notes.careful", "1"]);
    assert!(!shown.to_string().contains("canary"), "what looks secret is masked: {shown}");
    let rows = shown["rows"].as_array().expect("rows");
    assert_eq!(rows.iter().map(|r| r["lives"].clone()).collect::<Vec<_>>(), [json!(true), json!(false)]);
    let versions = shown["versions"].as_array().expect("versions");
    let said = |v: &Value, title: &str| {
        v["columns"].as_array().expect("columns").iter().any(|c| c["name"] == "title" && c["value"] == title)
    };
    let first = versions.iter().find(|v| said(v, "t0")).expect("the first version");
    assert_eq!((&first["by"], &first["operation"]), (&json!("alpha"), &json!("insert")));
    let id = first["id"].as_str().expect("an id");
    let done = b.well(&["history", "notes.careful", "1", "--restore", id]);
    assert_eq!(done["key"], json!(2), "its id belongs to another row now: {done}");
    sync(&b, &a);
    let expected = ["r | t0 | canary 1", "s | uses the id again | null"];
    all_read(&[&a, &b], "notes", "SELECT tag, title, password_hash FROM careful", &expected);
    let none = b.lockstep(&["history", "notes.careful", "1", "--restore", "ffff"]);
    assert_eq!((none.status, &none.json["error"]["code"]), (1, &json!("unknown")), "{none:?}");
}

/// Rows that refer to each other, with a guard that small numbers trip and a check that can't be met at once.
const GUARDED: Schema<'static> = Schema {
    databases: &[(
        "notes",
        "CREATE TABLE note (id INTEGER NOT NULL, tag TEXT, body TEXT, PRIMARY KEY (id), CHECK (tag <> body));
         CREATE TABLE mark (id INTEGER NOT NULL, note_id INTEGER NOT NULL REFERENCES note (id), PRIMARY KEY (id));",
    )],
    config: "[databases.notes.tables.note]\nguard = { rows = 5, share = 0.2 }\n",
};

#[test]
fn so_many_deletes_wait_until_exactly_these_are_let_through() {
    let (a, b) = two(GUARDED);
    let rows: Vec<Value> = (1..=20).map(|i| json!([format!("t{i}")])).collect();
    a.many("notes", "INSERT INTO note (tag, body) VALUES (?, 'b')", json!(rows));
    sync(&b, &a);
    a.sql("notes", "DELETE FROM note WHERE id <= 10");
    assert_eq!(sync(&b, &a).status, 3, "something waits for a person");
    assert_eq!(
        (a.number("notes", "SELECT count(*) FROM note"), b.number("notes", "SELECT count(*) FROM note")),
        (10, 20)
    );
    let held = b.lockstep(&["deletes"]);
    let guarded = &held.json["guarded"][0];
    assert_eq!((held.status, &guarded["table"], &guarded["rows"]), (3, &json!("notes.note"), &json!(10)), "{held:?}");
    let none = b.lockstep(&["deletes", "allow", "ffff"]);
    assert_eq!(none.status, 1, "{none:?}");
    let id = guarded["id"].as_str().expect("an id");
    assert_eq!(b.well(&["deletes", "allow", id])["rows"], json!(10));
    assert_eq!(sync(&b, &a).status, 0);
    all_read(&[&a, &b], "notes", "SELECT count(*) FROM note", &["10"]);
    // And the other way: the rows are wanted after all.
    a.sql("notes", "DELETE FROM note WHERE id <= 18");
    sync(&b, &a);
    let held = b.well(&["deletes"]);
    b.well(&["deletes", "keep", held["guarded"][0]["id"].as_str().expect("an id")]);
    assert_eq!(sync(&b, &a).status, 0);
    all_read(&[&a, &b], "notes", "SELECT count(*) FROM note", &["10"]);
}

#[test]
fn what_is_held_is_listed_with_its_reason_and_goes_by_itself_or_by_a_word() {
    let (a, b) = two(GUARDED);
    a.sql("notes", "INSERT INTO note (tag, body) VALUES ('r', 'x')");
    sync(&b, &a);
    a.sql("notes", "UPDATE note SET tag = 'same'");
    b.sql("notes", "UPDATE note SET body = 'same'");
    assert_eq!(sync(&b, &a).status, 3);
    let list = b.lockstep(&["quarantine"]);
    let held = &list.json["held"][0];
    assert_eq!((list.status, &held["reason"], &held["by"]), (3, &json!("constraint"), &json!("alpha")), "{list:?}");
    assert_eq!(b.well(&["quarantine", "retry"]), json!({ "applied": 0, "held": 1 }));
    let id = held["id"].as_str().expect("an id");
    let refused = b.lockstep(&["quarantine", "allow", id]);
    assert_eq!((refused.status, &refused.json["error"]["code"]), (1, &json!("still_held")), "{refused:?}");
    // Somebody mends it on the other server.
    a.sql("notes", "UPDATE note SET tag = 'mended'");
    assert_eq!(sync(&b, &a).status, 0);
    all_read(&[&a, &b], "notes", "SELECT tag, body FROM note", &["mended | same"]);
    assert_eq!(b.well(&["quarantine"])["held"], json!([]));
}

#[test]
fn a_plan_is_applied_as_it_was_shown_or_refused_with_what_moved() {
    let (a, b) = two(NOTES);
    a.sql(
        "notes",
        "INSERT INTO note (tag, title, body) VALUES ('r', 't0', 'b0'), ('s', 't0', 'b0'), ('d', 't0', 'b0')",
    );
    sync(&b, &a);
    a.sql("notes", "UPDATE note SET title = 't1' WHERE tag = 'r'; DELETE FROM note WHERE tag = 'd'");
    a.sql("notes", "INSERT INTO note (tag, title, body) VALUES ('new', 't', 'b')");
    b.sql("notes", "UPDATE note SET body = 'b1' WHERE tag = 's'");
    let shown = b.well(&["preview", "alpha", "--rows"]);
    let rows = shown["rows"].as_array().expect("rows");
    let row = |direction: &str, operation: &str| {
        let wanted = |r: &&Value| r["direction"] == direction && r["operation"] == operation;
        rows.iter().find(wanted).unwrap_or_else(|| panic!("{direction} {operation}: {shown}"))
    };
    assert_eq!(rows.len(), 4, "{shown}");
    let update = row("incoming", "update");
    assert_eq!((&update["key"], &update["from"]), (&json!(1), &json!("alpha")));
    assert_eq!(update["columns"], json!([{ "name": "title", "before": "t0", "after": "t1" }]));
    assert_eq!((&row("incoming", "delete")["key"], &row("outgoing", "update")["key"]), (&json!(3), &json!(2)));
    let plan = shown["plan"].as_str().expect("a plan");
    // Something is written meanwhile: nothing of the plan is applied.
    a.sql("notes", "INSERT INTO careful (tag) VALUES ('meanwhile')");
    let refused = b.lockstep(&["sync", "alpha", "--plan", plan]);
    assert_eq!((refused.status, &refused.json["error"]["code"]), (1, &json!("plan_moved")), "{refused:?}");
    assert!(refused.json.to_string().contains("notes.careful"), "it says what moved: {refused:?}");
    assert!(!refused.json.to_string().contains("notes.note"), "and not what did not: {refused:?}");
    all_read(&[&b], "notes", "SELECT title FROM note WHERE tag <> 's'", &["t0", "t0"]);
    // The new plan, without the delete.
    let shown = b.well(&["preview", "alpha", "--rows"]);
    let rows = shown["rows"].as_array().expect("rows");
    let gone = rows.iter().find(|r| r["operation"] == "delete").expect("the delete")["id"].as_str().expect("an id");
    let plan = shown["plan"].as_str().expect("a plan");
    let done = b.lockstep(&["sync", "alpha", "--plan", plan, "--hold", gone]);
    assert_eq!((done.status, &done.json["peers"][0]["verified"]), (3, &json!(true)), "{done:?}");
    all_read(
        &[&b],
        "notes",
        "SELECT tag, title, body FROM note",
        &["r | t1 | b0", "s | t0 | b1", "d | t0 | b0", "new | t | b"],
    );
    all_read(&[&a], "notes", "SELECT tag, title, body FROM note", &["r | t1 | b0", "s | t0 | b1", "new | t | b"]);
    let held = b.well(&["quarantine"]);
    assert_eq!((&held["held"][0]["reason"], &held["held"][0]["key"]), (&json!("review"), &json!(3)), "{held}");
    b.well(&["quarantine", "allow", held["held"][0]["id"].as_str().expect("an id")]);
    assert_eq!(sync(&b, &a).status, 0);
    all_read(&[&a, &b], "notes", "SELECT tag FROM note", &["r", "s", "new"]);
}

#[test]
fn everything_of_a_peer_under_review_waits_for_a_person() {
    let (a, b) = two(NOTES);
    a.sql("notes", "INSERT INTO note (tag, title, body) VALUES ('r', 't0', 'b0')");
    sync(&b, &a);
    b.well(&["peers", "review", "alpha", "on"]);
    a.sql("notes", "UPDATE note SET title = 't1'; INSERT INTO note (tag, title, body) VALUES ('new', 't', 'b')");
    b.sql("notes", "UPDATE note SET body = 'b1'");
    assert_eq!(sync(&b, &a).status, 3, "both know the same, and something waits");
    all_read(&[&b], "notes", "SELECT tag, title, body FROM note", &["r | t0 | b1"]);
    all_read(&[&a], "notes", "SELECT tag, title, body FROM note", &["r | t1 | b1", "new | t | b"]);
    assert_eq!(b.well(&["quarantine", "allow", "--reviewed", "--from", "alpha"])["rows"], json!(2));
    b.well(&["peers", "review", "alpha", "off"]);
    a.sql("notes", "UPDATE note SET body = 'b2'");
    assert_eq!(sync(&b, &a).status, 0);
    all_read(&[&a, &b], "notes", "SELECT tag, title, body FROM note", &["r | t1 | b2", "new | t | b2"]);
}

#[test]
fn rows_are_joined_and_taken_apart_by_a_person_everywhere() {
    let (a, b) = two(GUARDED);
    a.sql(
        "notes",
        "INSERT INTO note (tag, body) VALUES ('one', 'b'), ('two', 'b'); INSERT INTO mark (note_id) VALUES (1), (2)",
    );
    sync(&b, &a);
    assert_eq!(b.well(&["same", "notes.note", "1", "2"]), json!({ "kept": 1, "archived": 2 }));
    sync(&b, &a);
    all_read(&[&a, &b], "notes", "SELECT count(*) FROM note", &["1"]);
    all_read(&[&a, &b], "notes", "SELECT note_id FROM mark", &["1", "1"]);
    let parted = a.well(&["apart", "notes.note", "1"]);
    assert_eq!((parted["rows"].as_array().map(Vec::len), &parted["waiting"]), (Some(2), &json!(0)), "{parted}");
    sync(&b, &a);
    let rows = "SELECT count(DISTINCT n.id), count(*) FROM mark m JOIN note n ON n.id = m.note_id";
    all_read(&[&a, &b], "notes", rows, &["2 | 2"]);
    let alone = a.lockstep(&["apart", "notes.note", "1"]);
    assert_eq!((alone.status, &alone.json["error"]["code"]), (1, &json!("not_joined")), "{alone:?}");
}

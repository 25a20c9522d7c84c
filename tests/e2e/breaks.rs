//! The history of a file breaks: restored from a backup, copied to another node, a whole machine copied: loss case 24.

use serde_json::json;

use crate::server::{Schema, Server, all_read, pair, sound, sync, two};

const SHOP: Schema<'static> = Schema {
    databases: &[(
        "shop",
        "CREATE TABLE item (id INTEGER NOT NULL, tag TEXT, name TEXT, PRIMARY KEY (id));
         CREATE TABLE part (id INTEGER NOT NULL, tag TEXT, item_id INTEGER REFERENCES item (id), item_tag TEXT, PRIMARY KEY (id));",
    )],
    config: "",
};
const ITEMS: &str = "SELECT tag, name FROM item";
const PARTS: &str = "SELECT p.tag, p.item_tag, i.tag FROM part p LEFT JOIN item i ON i.id = p.item_id";

fn item(tag: &str) -> String {
    format!(
        "INSERT INTO item (tag, name) VALUES ('{tag}', 'first');
         INSERT INTO part (tag, item_id, item_tag) SELECT 'p-{tag}', id, tag FROM item WHERE tag = '{tag}';"
    )
}

fn history(server: &Server) -> serde_json::Value {
    server.well(&["status"])["databases"][0]["history"].clone()
}

/// Work on `a`, a backup, and more work that the peers see: what restoring `a` would lose.
fn worked(a: &Server, peers: &[&Server]) -> std::path::PathBuf {
    a.sql("shop", &(item("one") + &item("two")));
    peers.iter().for_each(|p| drop(sync(p, a)));
    let backup = a.copied("shop", "backup.db");
    a.sql("shop", &(item("three") + "UPDATE item SET name = 'second' WHERE tag = 'one';"));
    peers.iter().for_each(|p| drop(sync(p, a)));
    a.sql("shop", &item("unsent"));
    backup
}

#[test]
fn case_24_a_restored_database_gets_back_what_its_peers_have_and_nobody_loses() {
    let (a, b) = two(SHOP);
    let backup = worked(&a, &[&b]);
    a.put_back("shop", &backup);
    // The application goes on, under ids that were used before, while the agent still runs.
    a.sql("shop", &(item("four") + "UPDATE item SET name = 'since' WHERE tag = 'two';"));
    b.sql("shop", &item("five"));
    sync(&b, &a);
    sync(&b, &a);
    let items = ["one | second", "two | since", "three | first", "four | first", "five | first"];
    all_read(&[&a, &b], "shop", ITEMS, &items);
    let parts: Vec<String> = ["one", "two", "three", "four", "five"].map(|t| format!("p-{t} | {t} | {t}")).to_vec();
    all_read(&[&a, &b], "shop", PARTS, &parts.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(a.lines("shop", "SELECT tag FROM item WHERE id = 3"), ["four"], "the id keeps its meaning here");

    let noticed = history(&a);
    assert_eq!(noticed["kind"], "restored", "{noticed}");
    let aside = noticed["copy"].as_str().expect("set aside as it was found");
    assert!(std::path::Path::new(aside).exists());
    assert_eq!(history(&b), json!(null));
    let done = a.well(&["restored", "shop", "--rejoin"]);
    assert_eq!(done["meaning"], "rejoin");
    assert_eq!(history(&a), json!(null), "a person has seen it");
    b.sql("shop", "UPDATE item SET name = 'at last'");
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT DISTINCT name FROM item", &["at last"]);
}

#[test]
fn case_24_with_three_servers_and_a_backup_that_not_all_had_seen() {
    let (a, b) = two(SHOP);
    let c = Server::new("gamma", SHOP);
    c.attach();
    pair(&c, &a);
    a.sql("shop", &item("one"));
    sync(&b, &a);
    let backup = a.copied("shop", "backup.db");
    a.sql("shop", &item("two"));
    sync(&c, &a);
    // Only gamma has seen two, and beta has yet to hear of it. Restored twice, once while nobody works.
    a.stop();
    a.put_back("shop", &backup);
    a.well(&["status"]);
    a.sql("shop", &item("three"));
    a.well(&["status"]);
    a.put_back("shop", &backup);
    a.sql("shop", &item("four"));
    pair(&b, &a);
    pair(&c, &a);
    for _ in 0..2 {
        sync(&c, &a);
        sync(&b, &a);
    }
    all_read(&[&a, &b, &c], "shop", ITEMS, &["one | first", "two | first", "four | first"]);
    sound(&[&a, &b]);
    sound(&[&c, &a]);
}

#[test]
fn a_restored_state_wins_where_a_person_says_so() {
    let (a, b) = two(SHOP);
    let backup = worked(&a, &[&b]);
    b.sql("shop", "DELETE FROM part WHERE tag = 'p-two'; DELETE FROM item WHERE tag = 'two'");
    sync(&b, &a);
    a.put_back("shop", &backup);
    a.sql("shop", &item("since"));
    sync(&b, &a);
    all_read(&[&a, &b], "shop", ITEMS, &["one | second", "three | first", "unsent | first", "since | first"]);
    // Beta's agent, which can be called, so that the restored server can bring it together.
    b.serve();
    sync(&b, &a);
    let done = a.well(&["restored", "shop", "--authoritative"]);
    assert_eq!(done["imposed"], json!({"inserts": 2, "updates": 1, "deletes": 4}), "{done}");
    assert_eq!(done["run"][0]["verified"], json!(true), "{done}");
    all_read(&[&a, &b], "shop", ITEMS, &["one | first", "two | first", "since | first"]);
    let parts = ["p-one | one | one", "p-two | two | two", "p-since | since | since"];
    all_read(&[&a, &b], "shop", PARTS, &parts);
    sync(&b, &a);
}

#[test]
fn a_file_of_another_node_is_a_replica_of_its_own() {
    let (a, b) = two(SHOP);
    a.sql("shop", &item("one"));
    sync(&b, &a);
    // A third server begins with beta's file.
    let copy = b.copied("shop", "copy.db");
    let c = Server::new("gamma", SHOP);
    c.put_back("shop", &copy);
    c.attach();
    assert_eq!(history(&c)["kind"], "copied");
    c.sql("shop", &item("of-c"));
    b.sql("shop", &item("of-b"));
    let run = pair(&c, &a);
    assert!(run.verified(), "{run:?}");
    sync(&b, &a);
    sync(&c, &a);
    all_read(&[&a, &b, &c], "shop", ITEMS, &["one | first", "of-b | first", "of-c | first"]);
    // The home of the third is lost: the same file, another node.
    std::fs::rename(c.home(), c.home().with_file_name("lost")).expect("the home can be moved");
    c.sql("shop", &item("homeless"));
    c.attach();
    let run = pair(&c, &a);
    assert!(run.verified(), "{run:?}");
    sync(&b, &a);
    let items = ["one | first", "of-b | first", "of-c | first", "homeless | first"];
    all_read(&[&a, &b, &c], "shop", ITEMS, &items);
}

/// Home and file went back together, so that nothing on this machine tells: its peers do.
#[test]
fn a_machine_that_was_restored_as_a_whole_is_fenced_until_a_person_says_so() {
    let (a, b) = two(SHOP);
    b.sql("shop", &item("one"));
    sync(&b, &a);
    let snapshot = b.snapshot("snapshot");
    b.sql("shop", &item("two"));
    sync(&b, &a);
    let after = b.snapshot("after");
    b.return_to(&snapshot);
    let refused = b.lockstep(&["sync", "alpha"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert_eq!(refused.json["peers"][0]["error"]["code"], "replica_cloned", "{refused:?}");
    let hint = refused.json["peers"][0]["error"]["hint"].as_str().expect("what to do");
    assert!(hint.contains("lockstep restored shop --rejoin"), "{hint}");
    all_read(&[&a], "shop", "SELECT tag FROM item", &["one", "two"]);
    b.well(&["restored", "shop", "--rejoin"]);
    b.sql("shop", &item("three"));
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT tag FROM item", &["one", "two", "three"]);

    // The machine of which it is a copy still runs. Nothing that the one writes is taken for what the other wrote.
    let copy = b.snapshot("copy");
    b.return_to(&after);
    b.sql("shop", &item("four"));
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT tag FROM item", &["one", "two", "three", "four"]);
    b.return_to(&copy);
    b.sql("shop", &item("five"));
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT tag FROM item", &["one", "two", "three", "four", "five"]);
}

/// Two machines that write as one replica: neither is believed.
#[test]
fn a_machine_that_was_copied_and_has_written_changes_nothing_at_a_peer() {
    let (a, b) = two(SHOP);
    b.sql("shop", &item("one"));
    sync(&b, &a);
    let snapshot = b.snapshot("snapshot");
    b.sql("shop", &item("two"));
    sync(&b, &a);
    b.return_to(&snapshot);
    for tag in ["elsewhere", "again", "and again"] {
        b.sql("shop", &item(tag));
        let refused = b.lockstep(&["sync", "alpha"]);
        assert_eq!(refused.json["peers"][0]["error"]["code"], "replica_cloned", "{refused:?}");
    }
    all_read(&[&a], "shop", "SELECT tag FROM item", &["one", "two"]);
}

/// What both have written by one name is told apart once a person says so, and nothing of it is lost or there twice.
#[test]
fn a_machine_that_was_copied_and_has_written_joins_with_all_it_wrote() {
    let (a, b) = two(SHOP);
    b.sql("shop", &(item("one") + &item("two") + &item("three")));
    sync(&b, &a);
    // Written before the copy was made, and sent by the first machine alone.
    b.sql("shop", &item("before"));
    b.lockstep(&["status"]);
    let snapshot = b.snapshot("snapshot");
    b.sql("shop", &(item("of-first") + "UPDATE item SET name = 'by first' WHERE tag = 'one'; DELETE FROM part WHERE tag = 'p-two'; DELETE FROM item WHERE tag = 'two';"));
    sync(&b, &a);
    let first = b.snapshot("first");

    b.return_to(&snapshot);
    b.sql(
        "shop",
        &(item("of-copy")
            + "UPDATE item SET name = 'by copy' WHERE tag = 'three'; UPDATE item SET name = 'both' WHERE tag = 'one';"),
    );
    let refused = b.lockstep(&["sync", "alpha"]);
    assert_eq!(refused.json["peers"][0]["error"]["code"], "replica_cloned", "{refused:?}");
    b.sql("shop", "UPDATE part SET item_id = (SELECT id FROM item WHERE tag = 'of-copy') WHERE tag = 'p-three'");
    let done = b.well(&["restored", "shop", "--rejoin"]);
    assert_eq!(done["run"][0]["verified"], json!(true), "{done}");
    let copy = b.snapshot("copy");
    // The first machine goes on, and so does the copy.
    b.return_to(&first);
    b.sql("shop", &item("first-again"));
    sync(&b, &a);
    b.return_to(&copy);
    b.sql("shop", &item("copy-again"));
    sync(&b, &a);
    let items = [
        "one | both",
        "three | by copy",
        "before | first",
        "of-first | first",
        "of-copy | first",
        "first-again | first",
        "copy-again | first",
    ];
    all_read(&[&a, &b], "shop", ITEMS, &items);
    let parts = [
        "p-one | one | one",
        "p-three | three | of-copy",
        "p-before | before | before",
        "p-of-first | of-first | of-first",
        "p-of-copy | of-copy | of-copy",
        "p-first-again | first-again | first-again",
        "p-copy-again | copy-again | copy-again",
    ];
    all_read(&[&a, &b], "shop", PARTS, &parts);
    assert_eq!(b.well(&["conflicts"])["conflicts"].as_array().map(Vec::len), Some(1), "the row that both edited");
}

/// Only a peer can say what is known elsewhere.
#[test]
fn a_copied_machine_changes_nothing_while_nobody_can_be_asked() {
    let (a, b) = two(SHOP);
    b.sql("shop", &item("one"));
    sync(&b, &a);
    a.stop();
    let replica = || b.lines("shop", "SELECT hex(id) FROM _lockstep_replica ORDER BY n");
    let before = replica();
    let refused = b.lockstep(&["restored", "shop", "--rejoin"]);
    assert_eq!((refused.status, refused.json["error"]["code"].as_str()), (1, Some("not_reached")), "{refused:?}");
    assert_eq!(replica(), before);
    a.serve();
    b.well(&["restored", "shop", "--rejoin"]);
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT tag FROM item", &["one"]);
}

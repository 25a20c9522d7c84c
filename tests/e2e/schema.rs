//! The two sides are not made alike, or not everything is shared: loss cases 5, 9, 10, 13.

use serde_json::{Value, json};

use crate::scouting::{event, team};
use crate::server::{SCOUTING, Schema, Server, all_read, pair, sound, sync, two_begun};

const OLDER: &str = "CREATE TABLE item (id INTEGER NOT NULL, tag TEXT, PRIMARY KEY (id));";
const NEWER: &str = "CREATE TABLE item (id INTEGER NOT NULL, tag TEXT, colour TEXT, PRIMARY KEY (id));";
const EXTRA: &str = "CREATE TABLE extra (id INTEGER NOT NULL, tag TEXT, item_id INTEGER REFERENCES item (id),
    item_tag TEXT, PRIMARY KEY (id));";

/// Two servers, of which the second is behind by a migration.
fn differing(of_the_first: &str, of_the_second: &str) -> (Server, Server) {
    let a = Server::new("alpha", Schema { databases: &[("shop", of_the_first)], config: "" });
    let b = Server::new("beta", Schema { databases: &[("shop", of_the_second)], config: "" });
    (a, b)
}

#[test]
fn case_05_a_column_that_one_side_lacks_keeps_its_values_and_waits_for_the_other() {
    let (a, b) = differing(NEWER, OLDER);
    a.sql("shop", "INSERT INTO item (tag, colour) VALUES ('a1', 'red'), ('a2', 'blue')");
    b.sql("shop", "INSERT INTO item (tag) VALUES ('b1')");
    a.attach();
    b.attach();
    pair(&b, &a);
    // The older side writes a row that it got without its colour.
    b.sql("shop", "UPDATE item SET tag = 'a1 edited' WHERE tag = 'a1'");
    a.sql("shop", "UPDATE item SET colour = 'green' WHERE tag = 'a2'");
    sync(&b, &a);
    all_read(&[&a], "shop", "SELECT tag, colour FROM item", &["a1 edited | red", "a2 | green", "b1 | null"]);
    all_read(&[&b], "shop", "SELECT tag FROM item", &["a1 edited", "a2", "b1"]);

    // Its migration has run: what was held for it applies.
    b.sql("shop", "ALTER TABLE item ADD COLUMN colour TEXT");
    sync(&b, &a);
    let expected = ["a1 edited | red", "a2 | green", "b1 | null"];
    all_read(&[&a, &b], "shop", "SELECT tag, colour FROM item", &expected);
    b.sql("shop", "UPDATE item SET colour = 'white' WHERE tag = 'b1'");
    sync(&b, &a);
    all_read(&[&a, &b], "shop", "SELECT colour FROM item WHERE tag = 'b1'", &["white"]);
}

#[test]
fn case_10_rows_of_a_table_that_the_peer_lacks_are_held_and_applied_when_it_is_there() {
    let (a, b) = differing(&format!("{OLDER}{EXTRA}"), OLDER);
    b.sql("shop", "INSERT INTO item (tag) VALUES ('b1'), ('b2')");
    a.sql("shop", "INSERT INTO item (tag) VALUES ('a1')");
    a.sql(
        "shop",
        "INSERT INTO extra (tag, item_id, item_tag) SELECT 'x' || n.v, i.id, i.tag
                   FROM item i, (SELECT 1 v UNION SELECT 2) n",
    );
    a.attach();
    b.attach();
    let run = pair(&b, &a);
    assert_eq!(run.status, 3, "something waits: {run:?}");
    assert!(b.held() >= 2, "the rows are held, not counted as applied");
    all_read(&[&a, &b], "shop", "SELECT tag FROM item", &["a1", "b1", "b2"]);

    b.sql("shop", EXTRA);
    sync(&b, &a);
    let joined = "SELECT x.tag, x.item_tag, i.tag FROM extra x LEFT JOIN item i ON i.id = x.item_id";
    all_read(&[&a, &b], "shop", joined, &["x1 | a1 | a1", "x2 | a1 | a1"]);
    assert_eq!(b.held(), 0);
}

/// Every kind of table that an application may have.
const KINDS: &str = "
    CREATE TABLE \"plain\" (id INTEGER NOT NULL, tag TEXT, PRIMARY KEY (id));
    CREATE TABLE texts (code TEXT PRIMARY KEY, tag TEXT);
    CREATE TABLE pairs (a INTEGER NOT NULL, b INTEGER NOT NULL, tag TEXT, PRIMARY KEY (a, b));
    CREATE TABLE compact (code TEXT NOT NULL, n INTEGER NOT NULL, tag TEXT, PRIMARY KEY (code, n)) WITHOUT ROWID;
    CREATE TABLE bare (tag TEXT, n INTEGER);
    CREATE TABLE uniq (id INTEGER NOT NULL, code TEXT NOT NULL, tag TEXT, PRIMARY KEY (id), UNIQUE (code));
    CREATE TABLE \"odd \"\" name; select\" (\"id\" INTEGER NOT NULL, \"a b\" TEXT, \"größe\" TEXT, PRIMARY KEY (\"id\"));
    CREATE TABLE computed (id INTEGER NOT NULL, n INTEGER, tag TEXT, twice AS (n * 2), PRIMARY KEY (id));";

fn fill_kinds(server: &Server, letter: &str, base: u32) {
    let (one, two) = (base + 1, base + 2);
    server.sql(
        "kinds",
        &format!(
            "INSERT INTO \"plain\" (tag) VALUES ('{letter}1'), ('{letter}2');
         INSERT INTO texts VALUES ('{letter}k1', '{letter}1'), ('{letter}k2', '{letter}2');
         INSERT INTO pairs VALUES ({one}, 1, '{letter}1'), ({two}, 1, '{letter}2');
         INSERT INTO compact VALUES ('{letter}k', 1, '{letter}1'), ('{letter}k', 2, '{letter}2');
         INSERT INTO bare VALUES ('{letter}', 1), ('{letter}', 1), (NULL, {base});
         INSERT INTO uniq (code, tag) VALUES ('{letter}u1', '{letter}1'), ('{letter}u2', '{letter}2');
         INSERT INTO \"odd \"\" name; select\" (\"a b\", \"größe\") VALUES ('{letter}1', 'ß'), ('{letter}2', 'é');
         INSERT INTO computed (n, tag) VALUES ({one}, '{letter}1'), ({two}, '{letter}2');"
        ),
    );
}

#[test]
fn case_09_every_table_is_compared_and_nothing_else_is_counted() {
    let schema = Schema { databases: &[("kinds", KINDS)], config: "" };
    let (a, b) = two_begun(schema, |a, b| {
        fill_kinds(a, "a", 10);
        fill_kinds(b, "b", 20);
    });
    fill_kinds(&a, "c", 30);
    a.sql(
        "kinds",
        "UPDATE texts SET tag = 'edited' WHERE code = 'bk1'; DELETE FROM bare WHERE rowid = (
        SELECT min(rowid) FROM bare WHERE tag = 'a'); UPDATE compact SET n = 9 WHERE code = 'bk' AND n = 2",
    );
    sync(&b, &a);

    let verified = b.well(&["verify", "alpha"]);
    let tables = verified["tables"].as_array().expect("tables");
    let names =
        a.lines("kinds", "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'");
    assert_eq!(names.len(), 8);
    assert_eq!(tables.len(), 8, "{verified}");
    for name in names {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let rows = a.number("kinds", &format!("SELECT count(*) FROM {quoted}"));
        assert_eq!(rows, b.number("kinds", &format!("SELECT count(*) FROM {quoted}")), "{name}");
        let listed =
            tables.iter().find(|t| t["name"].as_str().is_some_and(|n| n == name || n == format!("kinds.{name}")));
        let listed = listed.unwrap_or_else(|| panic!("{name} was not compared: {verified}"));
        assert_eq!((&listed["equal"], &listed["rows"]), (&json!(true), &json!(rows)), "{name}");
    }
    // By content, ids aside where the application gave them out.
    for sql in [
        "SELECT tag FROM \"plain\"",
        "SELECT * FROM texts",
        "SELECT * FROM pairs",
        "SELECT * FROM compact",
        "SELECT * FROM bare",
        "SELECT code, tag FROM uniq",
        "SELECT \"a b\", \"größe\" FROM \"odd \"\" name; select\"",
        "SELECT n, tag, twice FROM computed",
    ] {
        assert_eq!(a.lines("kinds", sql), b.lines("kinds", sql), "{sql}");
    }
    assert_eq!(a.number("kinds", "SELECT count(*) FROM bare WHERE tag = 'a'"), 1);

    let balance = &verified["balance"];
    let sum: u64 = ["visible", "superseded", "archived", "deleted", "held"]
        .iter()
        .map(|account| balance[account].as_u64().unwrap_or_else(|| panic!("no {account}: {balance}")))
        .sum();
    assert_eq!(balance["total"], json!(sum), "every value is in one account: {balance}");
}

#[test]
fn case_13_what_belongs_to_one_server_stays_there() {
    let own = |server: &str| {
        format!(
            "INSERT INTO sync_config (key, value) VALUES ('server_id', '{server}');
             INSERT INTO sync_servers (name, host) VALUES ('{server}', '{server}.example.org');
             INSERT INTO sync_logs (server_id, sync_type, direction, status)
               SELECT id, '{server}', 'pull', 'done' FROM sync_servers;
             INSERT INTO login_attempts (ip_address, attempt_time, success, user_agent)
               VALUES ('192.0.2.1', '2025-01-01 00:00:00.000000', 1, '{server}');
             INSERT INTO database_changes (table_name, record_id, operation, timestamp, created_by_server)
               VALUES ('team', '1', 'insert', '2025-01-01 00:00:00.000000', '{server}');
             INSERT INTO file_checksums (file_path, checksum, file_size, last_modified)
               VALUES ('{server}', 'c', 1, '2025-01-01 00:00:00.000000');"
        )
    };
    let (a, b) = two_begun(SCOUTING, |a, b| {
        a.sql("scouting", &(own("server-a") + &event("casj", 1)));
        b.sql("scouting", &(own("server-b") + &team(101, 1)));
    });
    a.sql("scouting", "UPDATE sync_config SET value = 'server-a changed'");
    sync(&b, &a);
    for (server, name, config) in [(&a, "server-a", "server-a changed"), (&b, "server-b", "server-b")] {
        for (column, table) in [
            ("name", "sync_servers"),
            ("sync_type", "sync_logs"),
            ("user_agent", "login_attempts"),
            ("created_by_server", "database_changes"),
            ("file_path", "file_checksums"),
        ] {
            all_read(&[server], "scouting", &format!("SELECT {column} FROM {table}"), &[name]);
        }
        all_read(&[server], "scouting", "SELECT value FROM sync_config", &[config]);
    }
    // What was to be shared was, and our own tables are nobody's to share.
    all_read(&[&a, &b], "scouting", "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM team)", &["2"]);
    let verified = b.well(&["verify", "alpha"]);
    let compared: Vec<&str> =
        verified["tables"].as_array().expect("tables").iter().filter_map(|t| t["name"].as_str()).collect();
    let own = ["sync_config", "sync_servers", "sync_logs", "login_attempts", "database_changes", "file_checksums"];
    for name in compared {
        assert!(!name.contains("_lockstep") && !own.iter().any(|table| name.ends_with(table)), "{name} was compared");
    }
    let node = |server: &Server| -> Value { server.well(&["peers"])["peers"][0]["node"].clone() };
    assert_ne!(node(&a), node(&b), "each names the other, so they are two");
    sound(&[&a, &b]);
}

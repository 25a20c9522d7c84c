//! The same row or another row: loss cases 1, 4, 14, 15, 25, 28, 29.

use serde_json::json;

use crate::scouting::{POWERS, entry, event, game, grant, known_ids, placed, remark, roles, team, user};
use crate::server::{SCOUTING, Server, all_agree, all_read, sync, two, two_begun};

/// One side's own event with a match, a team and twenty entries.
fn own_event(code: &str, number: u32) -> String {
    let mut script = event(code, 1) + &team(number, 1) + &game(code, 1, 1) + &game(code, 2, 1);
    for n in 0..20 {
        script += &entry(&format!("{code}{n}"), code, n % 2 + 1, number, 1);
    }
    script
}

#[test]
fn case_01_rows_that_began_separately_under_the_same_ids_are_all_on_both() {
    let (a, b) = two_begun(SCOUTING, |a, b| {
        a.sql("scouting", &own_event("casj", 101));
        b.sql("scouting", &own_event("cafr", 108));
    });
    placed(&[&a, &b], 40);
    assert!(known_ids(&a, "casj%")[0] != known_ids(&b, "casj%")[0], "the ids had to clash for this test");
}

#[test]
fn case_01_rows_inserted_between_two_syncs_under_the_same_ids_are_all_on_both() {
    let (a, b) = two(SCOUTING);
    a.sql("scouting", &own_event("casj", 101));
    b.sql("scouting", &own_event("cafr", 108));
    let (at_a, at_b) = (known_ids(&a, "casj%"), known_ids(&b, "cafr%"));

    let run = sync(&b, &a);

    placed(&[&a, &b], 40);
    assert!(run.count("id_moves") >= 40, "{run:?}");
    // What an application has shown to its users keeps its meaning there.
    assert_eq!((known_ids(&a, "casj%"), known_ids(&b, "cafr%")), (at_a, at_b));

    // And again, on top of ids that the sync itself gave out.
    a.sql("scouting", &entry("late-a", "cafr", 1, 101, 1));
    b.sql("scouting", &entry("late-b", "casj", 2, 108, 1));
    sync(&b, &a);
    placed(&[&a, &b], 42);
}

#[test]
fn case_04_the_same_name_is_one_user_and_the_same_id_is_not() {
    let (a, b) = two_begun(SCOUTING, |a, b| {
        // Id 3 is a scout here and a superadmin there; mira has an account on both.
        a.sql("users", &(roles(&["admin", "scout", "superadmin"]) + &user("admin", "h") + &user("mira", "h")));
        a.sql("users", &(user("anna", "h-anna") + &grant("admin", "admin") + &grant("mira", "scout")));
        a.sql("users", &grant("anna", "scout"));
        b.sql("users", &(roles(&["superadmin", "scout", "admin"]) + &user("admin", "h") + &user("root", "h-root")));
        b.sql("users", &(user("tom", "h-tom") + &user("mira", "h") + &grant("admin", "admin")));
        b.sql("users", &(grant("root", "superadmin") + &grant("tom", "scout") + &grant("mira", "scout")));
        for (server, code, scout) in [(a, "casj", "anna"), (b, "cafr", "tom")] {
            let id = server.number("users", &format!("SELECT id FROM user WHERE username = '{scout}'"));
            server
                .sql("scouting", &(event(code, 1) + &team(101, 1) + &game(code, 1, 1) + &entry("s", code, 1, 101, 1)));
            server.sql("scouting", &format!("UPDATE scouting_data SET scout_id = {id}, scout_name = '{scout}'"));
        }
    });
    let both = [&a, &b];
    all_read(
        &both,
        "users",
        "SELECT username, password_hash FROM user",
        &["admin | h", "anna | h-anna", "mira | h", "root | h-root", "tom | h-tom"],
    );
    all_read(
        &both,
        "users",
        POWERS,
        &["admin | admin", "anna | scout", "mira | scout", "root | superadmin", "tom | scout"],
    );
    for server in both {
        for scout in ["anna", "tom"] {
            let person = server.number("users", &format!("SELECT id FROM user WHERE username = '{scout}'"));
            let named =
                server.number("scouting", &format!("SELECT scout_id FROM scouting_data WHERE scout_name = '{scout}'"));
            assert_eq!(named, person, "{}: the entry of {scout}", server.name);
        }
    }
    // An account that both make at the same time, each with a row of its own for it.
    a.sql("users", &(user("new", "h") + &grant("new", "scout")));
    b.sql("users", &(user("other", "h") + &user("new", "h") + &grant("new", "admin")));
    sync(&b, &a);
    all_read(&both, "users", "SELECT username FROM user", &["admin", "anna", "mira", "new", "other", "root", "tom"]);
    all_read(&both, "users", &format!("{POWERS} WHERE u.username = 'new'"), &["new | admin", "new | scout"]);
}

#[test]
fn case_14_roles_match_by_name_and_one_superadmin_stays_one() {
    let (a, b) = two_begun(SCOUTING, |a, b| {
        a.sql("users", &roles(&["admin", "analytics", "scout", "superadmin"]));
        b.sql("users", &roles(&["superadmin", "scout", "admin", "analytics"]));
        for (server, letter) in [(a, 'a'), (b, 'b')] {
            for n in 0..10 {
                let name = format!("{letter}{n}");
                server.sql("users", &(user(&name, "h") + &grant(&name, "scout")));
            }
        }
        a.sql("users", &(user("root", "h") + &grant("root", "superadmin")));
    });
    let both = [&a, &b];
    all_read(&both, "users", "SELECT name FROM role", &["admin", "analytics", "scout", "superadmin"]);
    all_read(&both, "users", &format!("{POWERS} WHERE r.name = 'superadmin'"), &["root | superadmin"]);
    let scouts = format!("SELECT count(*) FROM ({POWERS} WHERE r.name = 'scout')");
    all_read(&both, "users", &scouts, &["20"]);

    // A role that is taken away and another that is given, on the side where the account was not made.
    b.sql("users", "DELETE FROM user_roles WHERE user_id = (SELECT id FROM user WHERE username = 'a3')");
    b.sql("users", &grant("a3", "analytics"));
    sync(&b, &a);
    all_read(&both, "users", &format!("{POWERS} WHERE u.username = 'a3'"), &["a3 | analytics"]);
}

#[test]
fn case_15_a_row_that_clashes_by_another_unique_key_is_held_and_nothing_is_evicted() {
    let (a, b) = two_begun(SCOUTING, |a, b| {
        // One incoming row: it has the name of one and the address of another.
        let insert = |rows: &str| format!("INSERT INTO user (username, email, updated_at) VALUES {rows}");
        a.sql("users", &insert("('mira', 'mira@x', '2025-01-01 00:00:00'), ('tom', 'tom@x', '2025-01-01 00:00:00')"));
        b.sql("users", &insert("('mira', 'tom@x', '2025-02-01 00:00:00'), ('pia', 'pia@x', '2025-02-01 00:00:00')"));
    });
    for (server, name) in [(&a, "mira"), (&a, "tom"), (&a, "pia"), (&b, "mira"), (&b, "pia")] {
        let found = server.number("users", &format!("SELECT count(*) FROM user WHERE username = '{name}'"));
        assert_eq!(found, 1, "{}: {name}", server.name);
    }
    assert!(a.held() + b.held() > 0, "what can't be shown waits for a person");

    // A later write takes the clash away: what was held settles by itself.
    a.sql("users", "UPDATE user SET email = 'mira@y' WHERE username = 'mira'");
    a.sql("users", "UPDATE user SET email = 'tom@y' WHERE username = 'tom'");
    sync(&b, &a);
    sync(&b, &a);
    let settled = all_agree(&[&a, &b], "users", "SELECT username, email FROM user WHERE username <> 'mira'");
    assert_eq!(settled, ["pia | pia@x", "tom | tom@y"]);
    all_read(&[&a, &b], "users", "SELECT username FROM user", &["mira", "pia", "tom"]);
}

#[test]
fn case_15_unique_values_that_swap_between_rows_arrive_as_they_are() {
    let (a, b) = two(SCOUTING);
    a.sql("users", "INSERT INTO user (username, email) VALUES ('u1', '1@x'), ('u2', '2@x'), ('u3', '3@x')");
    sync(&b, &a);
    a.sql(
        "users",
        "BEGIN; UPDATE user SET email = NULL WHERE username = 'u1'; UPDATE user SET email = '1@x' WHERE username = 'u2';
         UPDATE user SET email = '2@x' WHERE username = 'u3'; UPDATE user SET email = '3@x' WHERE username = 'u1'; COMMIT",
    );
    sync(&b, &a);
    all_read(&[&a, &b], "users", "SELECT username, email FROM user", &["u1 | 3@x", "u2 | 1@x", "u3 | 2@x"]);
}

#[test]
fn case_25_what_replace_evicts_is_gone_at_the_peer_too() {
    struct Case {
        what: &'static str,
        write: &'static str,
        expected: &'static [&'static str],
    }
    let cases = [
        Case {
            what: "evicted by a unique key that is not the identity key",
            write: "INSERT OR REPLACE INTO user (username, email) VALUES ('new', 'one@x')",
            expected: &["new | one@x", "three | three@x", "two | two@x"],
        },
        Case {
            what: "evicted by the identity key: the same row under a new id",
            write: "REPLACE INTO user (username, email) VALUES ('two', 'again@x')",
            expected: &["new | one@x", "three | three@x", "two | again@x"],
        },
        Case {
            what: "replaced by id",
            write: "REPLACE INTO user (id, username, email) SELECT id, username, 'third@x' FROM user WHERE username = 'three'",
            expected: &["new | one@x", "three | third@x", "two | again@x"],
        },
        Case {
            what: "an UPDATE that evicts",
            write: "UPDATE OR REPLACE user SET email = 'one@x' WHERE username = 'two'",
            expected: &["three | third@x", "two | one@x"],
        },
        Case {
            what: "two rows evicted by one",
            write: "INSERT OR REPLACE INTO user (username, email) VALUES ('two', 'third@x')",
            expected: &["two | third@x"],
        },
    ];
    let (a, b) = two(SCOUTING);
    // Ids that differ from the start, and a row that stays what it is.
    b.sql("users", &roles(&["scout"]));
    b.sql("users", "INSERT INTO user (username, email) VALUES ('zero', 'zero@x'); DELETE FROM user");
    a.sql(
        "users",
        "INSERT INTO user (username, email) VALUES ('one', 'one@x'), ('two', 'two@x'), ('three', 'three@x')",
    );
    sync(&b, &a);
    for case in cases {
        let before = b.rows("users", "SELECT id FROM user WHERE username = 'two'");
        a.sql("users", case.write);
        sync(&b, &a);
        for server in [&a, &b] {
            let read = server.lines("users", "SELECT username, email FROM user");
            assert_eq!(read, case.expected, "{}: {}", server.name, case.what);
        }
        if case.what.contains("identity key: the same row") {
            let after = b.rows("users", "SELECT id FROM user WHERE username = 'two'");
            assert_eq!(before, after, "one entity: its id at the peer stays");
        }
    }
}

#[test]
fn case_28_an_id_that_is_used_again_is_another_row() {
    let (a, b) = two(SCOUTING);
    let both = [&a, &b];
    a.sql("scouting", &(event("casj", 1) + &team(101, 1) + &remark("old", 101, "casj", 1)));
    sync(&b, &a);

    let newest = "SELECT max(id) FROM team_list_entry";
    let id = a.number("scouting", newest);
    a.sql("scouting", "DELETE FROM team_list_entry");
    a.sql("scouting", &remark("new", 101, "casj", 1));
    assert_eq!(a.number("scouting", newest), id, "SQLite had to give the id again for this test");
    sync(&b, &a);
    all_read(&both, "scouting", "SELECT reason, type FROM team_list_entry", &["new | avoid"]);

    // The same while the peer edits the old row: the edit is about the old one.
    a.sql("scouting", "DELETE FROM team_list_entry");
    a.sql("scouting", &remark("newer", 101, "casj", 1));
    b.sql("scouting", "UPDATE team_list_entry SET type = 'edited' WHERE reason = 'new'");
    let run = sync(&b, &a);
    assert!(run.count("conflicts") >= 1, "an edit against a delete: {run:?}");
    let rows = all_agree(&both, "scouting", "SELECT reason, type FROM team_list_entry");
    assert!(rows.contains(&"newer | avoid".to_owned()), "{rows:?}");
    assert!(!rows.contains(&"newer | edited".to_owned()), "{rows:?}");
}

#[test]
fn case_28_a_child_of_the_old_row_does_not_become_a_child_of_the_new_one() {
    let (a, b) = two(SCOUTING);
    let both = [&a, &b];
    a.sql("scouting", &(event("casj", 1) + &team(101, 1) + &game("casj", 1, 1)));
    sync(&b, &a);
    // The match is deleted and its id used again, while the peer makes an entry for it.
    a.sql("scouting", "DELETE FROM match");
    a.sql("scouting", &game("casj", 2, 1));
    b.sql("scouting", &entry("for-the-old", "casj", 1, 101, 1));
    sync(&b, &a);
    placed(&both, 1);
    // The delete waits for the child, which its author had not seen.
    all_read(&both, "scouting", "SELECT red_alliance FROM match", &["casj-1-1", "casj-2-1"]);
    b.sql("scouting", "DELETE FROM scouting_data");
    sync(&b, &a);
    all_read(&both, "scouting", "SELECT red_alliance FROM match", &["casj-2-1"]);
}

/// The public source, in the order in which one server imported it.
fn imported(server: &Server, backwards: bool) {
    let mut teams: Vec<(u32, u32)> = (0..12).flat_map(|n| [(101 + n, 1), (101 + n, 2)]).collect();
    let mut events = vec![("casj", 1), ("cafr", 1), ("casj", 2)];
    if backwards {
        teams.reverse();
        events.reverse();
    }
    for (number, tenant) in teams {
        server.sql("scouting", &team(number, tenant));
    }
    for (code, tenant) in &events {
        server.sql("scouting", &event(code, *tenant));
    }
    for number in 1..=10 {
        for (code, tenant) in &events {
            server.sql("scouting", &game(code, if backwards { 11 - number } else { number }, *tenant));
        }
    }
}

#[test]
fn case_29_what_both_imported_is_one_row_and_tenants_stay_apart() {
    let (a, b) = two_begun(SCOUTING, |a, b| {
        imported(a, false);
        imported(b, true);
        for (server, letter) in [(a, "a"), (b, "b")] {
            for (code, tenant) in [("casj", 1), ("cafr", 1), ("casj", 2)] {
                for number in 1..=4 {
                    server.sql("scouting", &entry(&format!("{letter}{number}"), code, number, 100 + number, tenant));
                }
            }
            server.sql(
                "scouting",
                "INSERT INTO team_event (team_id, event_id)
                 SELECT t.id, e.id FROM team t, event e WHERE t.scouting_team_number = e.scouting_team_number",
            );
        }
    });
    let both = [&a, &b];
    for (table, count) in [("event", "3"), ("team", "24"), ("match", "30"), ("team_event", "36")] {
        all_read(&both, "scouting", &format!("SELECT count(*) FROM {table}"), &[count]);
    }
    placed(&both, 24);
    let mixed = "SELECT count(*) FROM team_event x JOIN team t ON t.id = x.team_id JOIN event e ON e.id = x.event_id
                 WHERE t.scouting_team_number <> e.scouting_team_number";
    all_read(&both, "scouting", mixed, &["0"]);

    // Imported by both while they are paired: one row again, and entries of both at it.
    for (server, letter) in [(&a, "a"), (&b, "b")] {
        server.sql("scouting", &game("casj", 11, 1));
        server.sql("scouting", &entry(&format!("{letter}-eleven"), "casj", 11, 101, 1));
    }
    sync(&b, &a);
    all_read(&both, "scouting", "SELECT count(*) FROM match", &["31"]);
    placed(&both, 26);

    // The key changes on one side: still the same row on the other.
    let moved = b.number("scouting", "SELECT id FROM team WHERE team_number = 105 AND scouting_team_number = 2");
    a.many(
        "scouting",
        "UPDATE team SET team_number = ? WHERE team_number = ? AND scouting_team_number = ?",
        json!([[9105, 105, 2]]),
    );
    sync(&b, &a);
    let now = b.number("scouting", "SELECT id FROM team WHERE team_number = 9105");
    assert_eq!(now, moved);
}

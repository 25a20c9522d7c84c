//! Children find their parents: loss cases 20, 27.

use crate::scouting::{entry, event, game, placed, team, user};
use crate::server::{SCOUTING, Schema, Server, all_read, sync, two_begun};

/// References against the order of names, to the own table, and in a circle.
const TREE: Schema<'static> = Schema {
    databases: &[(
        "tree",
        "CREATE TABLE zone (id INTEGER NOT NULL, tag TEXT, PRIMARY KEY (id));
         CREATE TABLE area (id INTEGER NOT NULL, tag TEXT, zone_id INTEGER NOT NULL REFERENCES zone (id), zone_tag TEXT,
             PRIMARY KEY (id));
         CREATE TABLE person (id INTEGER NOT NULL, tag TEXT, boss_id INTEGER REFERENCES person (id), boss_tag TEXT,
             PRIMARY KEY (id));
         CREATE TABLE crew (id INTEGER NOT NULL, tag TEXT, lead_id INTEGER REFERENCES member (id), lead_tag TEXT,
             PRIMARY KEY (id));
         CREATE TABLE member (id INTEGER NOT NULL, tag TEXT, crew_id INTEGER NOT NULL REFERENCES crew (id), crew_tag TEXT,
             PRIMARY KEY (id));
         CREATE TABLE land (code TEXT NOT NULL PRIMARY KEY, tag TEXT);
         CREATE TABLE town (id INTEGER NOT NULL, tag TEXT, land_code TEXT REFERENCES land (code), land_tag TEXT,
             PRIMARY KEY (id));",
    )],
    config: "",
};

/// Child, its copy of the parent's tag, the tag of the parent that it is attached to.
const FAMILIES: &[&str] = &[
    "SELECT c.tag, c.zone_tag, p.tag FROM area c LEFT JOIN zone p ON p.id = c.zone_id",
    "SELECT c.tag, c.boss_tag, p.tag FROM person c LEFT JOIN person p ON p.id = c.boss_id",
    "SELECT c.tag, c.lead_tag, p.tag FROM crew c LEFT JOIN member p ON p.id = c.lead_id",
    "SELECT c.tag, c.crew_tag, p.tag FROM member c LEFT JOIN crew p ON p.id = c.crew_id",
    "SELECT c.tag, c.land_tag, p.tag FROM town c LEFT JOIN land p ON p.code = c.land_code",
];

/// Every child on every server is where its copy of the parent's tag says.
fn families(servers: &[&Server]) -> usize {
    let mut children = 0;
    for sql in FAMILIES {
        let first = servers[0].lines("tree", sql);
        for server in servers {
            let lines = server.lines("tree", sql);
            assert_eq!(lines, first, "{}: {sql}", server.name);
            for line in &lines {
                let parts: Vec<&str> = line.split(" | ").collect();
                assert_eq!(parts[1], parts[2], "{}: misplaced: {line}", server.name);
            }
        }
        children += first.len();
    }
    children
}

#[test]
fn case_20_children_arrive_with_their_parents_whatever_the_order() {
    struct Case {
        what: &'static str,
        write: &'static str,
        children: usize,
    }
    let cases = [
        Case {
            what: "a parent whose table comes later in the alphabet",
            write: "INSERT INTO zone (tag) VALUES ('Z1'), ('Z2');
                    INSERT INTO area (tag, zone_id, zone_tag) SELECT 'A-' || tag, id, tag FROM zone WHERE tag IN ('Z1', 'Z2')",
            children: 2,
        },
        Case {
            what: "the child was written first, with foreign keys off",
            write: "PRAGMA foreign_keys = OFF; BEGIN;
                    INSERT INTO area (tag, zone_id, zone_tag) VALUES ('A-early', 777, 'Z-late');
                    INSERT INTO zone (id, tag) VALUES (777, 'Z-late'); COMMIT; PRAGMA foreign_keys = ON",
            children: 1,
        },
        Case {
            what: "a tree in one table, leaves with smaller ids than the root",
            write: "PRAGMA foreign_keys = OFF; BEGIN;
                    INSERT INTO person (id, tag, boss_id, boss_tag) 
                      VALUES (1201, 'leaf', 1205, 'middle'), (1205, 'middle', 1209, 'root'),
                      (1209, 'root', NULL, NULL), (1210, 'self', 1210, 'self'); COMMIT; PRAGMA foreign_keys = ON",
            children: 4,
        },
        Case {
            what: "a circle of two tables",
            write: "INSERT INTO crew (tag) VALUES ('C1');
                    INSERT INTO member (tag, crew_id, crew_tag) SELECT 'M1', id, tag FROM crew WHERE tag = 'C1';
                    UPDATE crew SET lead_id = (SELECT id FROM member WHERE tag = 'M1'), lead_tag = 'M1' WHERE tag = 'C1'",
            children: 2,
        },
        Case {
            what: "a text key",
            write: "INSERT INTO land VALUES ('de', 'L-de'), ('at', 'L-at');
                    INSERT INTO town (tag, land_code, land_tag) VALUES ('T1', 'de', 'L-de'), ('T2', 'at', 'L-at')",
            children: 2,
        },
        Case {
            what: "a child that moves to a parent made in the same breath",
            write: "INSERT INTO zone (tag) VALUES ('Z3');
                    UPDATE area SET zone_id = (SELECT id FROM zone WHERE tag = 'Z3'), zone_tag = 'Z3' WHERE zone_tag = 'Z1'",
            children: 0,
        },
    ];
    let (a, b) = two_begun(TREE, |_, b| {
        b.sql("tree", "INSERT INTO zone (tag) VALUES ('B1'), ('B2'), ('B3'); INSERT INTO crew (tag) VALUES ('BC')");
        b.sql("tree", "INSERT INTO person (tag) VALUES ('BP1'), ('BP2')");
        b.sql("tree", "INSERT INTO area (tag, zone_id, zone_tag) SELECT 'BA-' || tag, id, tag FROM zone");
        b.sql("tree", "INSERT INTO member (tag, crew_id, crew_tag) SELECT 'BM', id, tag FROM crew");
    });
    let mut children = families(&[&a, &b]);
    for (n, case) in cases.iter().enumerate() {
        a.sql("tree", case.write);
        // The joiner gives the same ids to rows of its own.
        let (one, two) = (1001 + n * 100, 1005 + n * 100);
        b.sql("tree", &format!(
            "INSERT INTO zone (tag) VALUES ('rival {n}'), ('other rival {n}'); INSERT INTO crew (tag) VALUES ('rival {n}');
             INSERT INTO person (id, tag) VALUES ({one}, 'rival {n}'), ({two}, 'other rival {n}')"
        ));
        sync(&b, &a);
        children += case.children + 3;
        assert_eq!(families(&[&a, &b]), children, "{}", case.what);
    }
    // All of it back: children and parents deleted together.
    a.sql(
        "tree",
        "UPDATE crew SET lead_id = NULL, lead_tag = NULL; DELETE FROM member; DELETE FROM crew;
                   DELETE FROM area; DELETE FROM zone",
    );
    sync(&b, &a);
    for table in ["member", "crew", "area", "zone"] {
        all_read(&[&a, &b], "tree", &format!("SELECT count(*) FROM {table}"), &["0"]);
    }
}

#[test]
fn case_20_what_the_application_itself_left_dangling_is_left_alone() {
    let (a, b) = two_begun(TREE, |a, _| {
        a.sql(
            "tree",
            "PRAGMA foreign_keys = OFF; INSERT INTO area (tag, zone_id, zone_tag) VALUES ('orphan', 4711, 'lost');
                       PRAGMA foreign_keys = ON; INSERT INTO zone (tag) VALUES ('Z1');
                       INSERT INTO area (tag, zone_id, zone_tag) SELECT 'child', id, tag FROM zone",
        );
    });
    let rows = "SELECT a.tag, z.tag FROM area a LEFT JOIN zone z ON z.id = a.zone_id";
    all_read(&[&a, &b], "tree", rows, &["child | Z1", "orphan | null"]);
    assert_eq!(a.number("tree", "SELECT zone_id FROM area WHERE tag = 'orphan'"), 4711);
}

#[test]
fn case_27_references_that_no_constraint_declares_follow_into_another_file() {
    // The same people under other ids, and one more on each side.
    let (a, b) = two_begun(SCOUTING, |a, b| {
        a.sql("users", &(user("mira", "h") + &user("tom", "h") + &user("anna", "h")));
        b.sql("users", &(user("pia", "h") + &user("tom", "h") + &user("mira", "h")));
        work(a, "casj", "a", &["mira", "tom", "anna"]);
        work(b, "cafr", "b", &["pia", "tom", "mira"]);
    });
    check_people(&a, &b, 6);
    // A new person and their first entries travel in one sync, through two files.
    a.sql("users", &user("new-a", "h"));
    b.sql("users", &user("new-b", "h"));
    work(&a, "mndu", "c", &["new-a", "pia"]);
    work(&b, "mosl", "d", &["new-b", "anna"]);
    sync(&b, &a);
    check_people(&a, &b, 10);
}

/// An entry, a share and a lock for each person, who is named in it.
fn work(server: &Server, code: &str, letter: &str, people: &[&str]) {
    server.sql("scouting", &(event(code, 1) + &game(code, 1, 1)));
    if server.number("scouting", "SELECT count(*) FROM team WHERE team_number = 101") == 0 {
        server.sql("scouting", &team(101, 1));
    }
    for (n, person) in people.iter().enumerate() {
        let id = server.number("users", &format!("SELECT id FROM user WHERE username = '{person}'"));
        let tag = format!("{letter}{n}");
        server.sql("scouting", &entry(&tag, code, 1, 101, 1));
        server.sql(
            "scouting",
            &format!(
                "UPDATE scouting_data SET scout_id = {id}, scout_name = '{person}' WHERE data_json LIKE '{tag} < %';
             INSERT INTO strategy_share (match_id, token, created_by)
               SELECT id, '{tag} {person}', {id} FROM match WHERE red_alliance = '{code}-1-1';
             INSERT INTO scouting_team_settings (scouting_team_number, account_creation_locked, locked_by_user_id)
               SELECT coalesce(max(scouting_team_number), 0) + {}, 1, {id} FROM scouting_team_settings",
                if letter < "c" {
                    u32::from(letter.as_bytes()[0]) * 10
                } else {
                    u32::from(letter.as_bytes()[0]) * 1000
                },
            ),
        );
    }
}

/// On both servers every entry and share names the person that it is attached to.
fn check_people(a: &Server, b: &Server, entries: usize) {
    placed(&[a, b], entries);
    for server in [a, b] {
        let names: std::collections::HashMap<String, String> = server
            .rows("users", "SELECT id, username FROM user")
            .into_iter()
            .map(|row| (row[0].to_string(), row[1].as_str().unwrap_or_default().to_owned()))
            .collect();
        for sql in [
            "SELECT scout_id, scout_name FROM scouting_data",
            "SELECT created_by, substr(token, instr(token, ' ') + 1) FROM strategy_share",
        ] {
            let rows = server.rows("scouting", sql);
            assert_eq!(rows.len(), entries, "{}: {sql}", server.name);
            for row in rows {
                let found = names.get(&row[0].to_string());
                assert_eq!(found.map(String::as_str), row[1].as_str(), "{}: {sql}", server.name);
            }
        }
    }
    // Settings have no room for a name: the number of locks that each person holds is the same.
    let locks = |server: &Server| {
        let mut found: Vec<String> = server
            .rows("scouting", "SELECT scouting_team_number, locked_by_user_id FROM scouting_team_settings")
            .iter()
            .map(|row| {
                let id = row[1].to_string();
                format!("{} {:?}", row[0], server.lines("users", &format!("SELECT username FROM user WHERE id = {id}")))
            })
            .collect();
        found.sort();
        found
    };
    assert_eq!(locks(a), locks(b));
}

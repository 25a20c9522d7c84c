//! Both sides wrote, or one did with what it had long ago: loss cases 2, 3, 8.

use crate::scouting::{event, remark, team, user};
use crate::server::{SCOUTING, Schema, Server, all_agree, all_read, sync, two, two_begun};

/// One table where the later write wins, and one where a person decides.
const NOTES: Schema<'static> = Schema {
    databases: &[(
        "notes",
        "CREATE TABLE note (id INTEGER NOT NULL, tag TEXT, title TEXT, body TEXT, PRIMARY KEY (id));
         CREATE TABLE careful (id INTEGER NOT NULL, tag TEXT, title TEXT, body TEXT, PRIMARY KEY (id));",
    )],
    config: "[databases.notes.tables.careful]\npolicy = \"review\"\n",
};

/// Two servers that have the row `r` in both tables.
fn with_a_row() -> (Server, Server) {
    let (a, b) = two(NOTES);
    for table in ["note", "careful"] {
        a.sql("notes", &format!("INSERT INTO {table} (tag, title, body) VALUES ('r', 't0', 'b0')"));
    }
    sync(&b, &a);
    (a, b)
}

/// A later wall time than that of any write before.
fn later() {
    std::thread::sleep(std::time::Duration::from_millis(30));
}

#[test]
fn case_02_a_stale_copy_does_not_undo_a_newer_edit() {
    let (a, b) = two(SCOUTING);
    let both = [&a, &b];
    a.sql("users", &(user("mira", "default") + &user("tom", "default")));
    sync(&b, &a);
    // A password is changed and an account is disabled here; there somebody only logs in.
    a.sql("users", "UPDATE user SET password_hash = 'changed' WHERE username = 'mira'");
    a.sql("users", "UPDATE user SET is_active = 0 WHERE username = 'tom'");
    later();
    b.sql("users", "UPDATE user SET last_login = '2026-01-01 00:00:00.000000'");
    sync(&b, &a);
    let sql = "SELECT username, password_hash, is_active, last_login IS NOT NULL FROM user";
    all_read(&both, "users", sql, &["mira | changed | 1 | 1", "tom | default | 0 | 1"]);
    // And it stays so, however often they meet.
    sync(&b, &a);
    all_read(&both, "users", sql, &["mira | changed | 1 | 1", "tom | default | 0 | 1"]);
}

#[test]
fn case_02_of_two_default_accounts_the_newer_stands_and_no_password_is_chosen_by_a_clock() {
    let (a, b) = two_begun(SCOUTING, |a, b| {
        let sql = |hash: &str, picture: &str, at: &str| {
            format!(
                "INSERT INTO user (username, password_hash, profile_picture, updated_at)
                 VALUES ('admin', '{hash}', '{picture}', '{at}')"
            )
        };
        a.sql("users", &sql("chosen", "portrait.png", "2025-05-01 00:00:00.000000"));
        b.sql("users", &sql("default", "default.png", "2025-04-01 00:00:00.000000"));
    });
    all_read(&[&a, &b], "users", "SELECT username, profile_picture FROM user", &["admin | portrait.png"]);
    // The password is under review: each server goes on with its own, and says that something waits.
    all_read(&[&a], "users", "SELECT password_hash FROM user", &["chosen"]);
    all_read(&[&b], "users", "SELECT password_hash FROM user", &["default"]);
    assert!(a.held() > 0 && b.held() > 0);
}

#[test]
fn case_03_a_deleted_row_is_gone_everywhere_and_stays_gone() {
    let (a, b) = two(SCOUTING);
    let both = [&a, &b];
    a.sql("scouting", &(event("casj", 1) + &team(101, 1)));
    for tag in ["r1", "r2", "r3", "r4"] {
        a.sql("scouting", &remark(tag, 101, "casj", 1));
    }
    sync(&b, &a);
    a.sql("scouting", "DELETE FROM team_list_entry WHERE reason = 'r1'");
    b.sql("scouting", "DELETE FROM team_list_entry WHERE reason IN ('r2', 'r3')");
    sync(&b, &a);
    all_read(&both, "scouting", "SELECT reason FROM team_list_entry", &["r4"]);
    sync(&b, &a);
    all_read(&both, "scouting", "SELECT reason FROM team_list_entry", &["r4"]);
}

#[test]
fn case_03_a_delete_against_an_edit_is_a_conflict_and_ends_the_same_on_both() {
    let delete = "DELETE FROM note WHERE tag = 'r'";
    let edit = "UPDATE note SET title = 't1' WHERE tag = 'r'";
    // first at the host, then at the joiner, what both read in the end
    let cases = [(delete, edit, &["r | t1 | b0"][..]), (edit, delete, &[]), (delete, delete, &[])];
    for (at_host, at_joiner, expected) in cases {
        let (a, b) = with_a_row();
        a.sql("notes", at_host);
        later();
        b.sql("notes", at_joiner);
        let run = sync(&b, &a);
        all_read(&[&a, &b], "notes", "SELECT tag, title, body FROM note", expected);
        let conflicts = u64::from(at_host != at_joiner);
        assert_eq!(run.count("conflicts"), conflicts, "{at_host} / {at_joiner}: {run:?}");
    }
}

#[test]
fn case_08_both_edit_one_row() {
    struct Case {
        what: &'static str,
        at_host: &'static str,
        at_joiner: &'static str,
        expected: &'static str,
        conflicts: u64,
    }
    let cases = [
        Case {
            what: "the same column: the later write stands on both",
            at_host: "title = 'host'",
            at_joiner: "title = 'joiner'",
            expected: "joiner | b0",
            conflicts: 1,
        },
        Case {
            what: "different columns: both stand",
            at_host: "title = 'host'",
            at_joiner: "body = 'joiner'",
            expected: "host | joiner",
            conflicts: 0,
        },
        Case {
            what: "the same value: nothing to decide",
            at_host: "title = 'equal'",
            at_joiner: "title = 'equal'",
            expected: "equal | b0",
            conflicts: 0,
        },
        Case {
            what: "one of them twice: only what it left counts",
            at_host: "title = 'first'; UPDATE note SET title = 'second', body = 'second'",
            at_joiner: "body = 'joiner'",
            expected: "second | joiner",
            conflicts: 1,
        },
    ];
    for case in cases {
        let (a, b) = with_a_row();
        a.sql("notes", &format!("UPDATE note SET {}", case.at_host));
        later();
        b.sql("notes", &format!("UPDATE note SET {}", case.at_joiner));
        let run = sync(&b, &a);
        for server in [&a, &b] {
            let read = server.lines("notes", "SELECT title, body FROM note");
            assert_eq!(read, [case.expected], "{}: {}", server.name, case.what);
        }
        assert_eq!(run.count("conflicts"), case.conflicts, "{}: {run:?}", case.what);
        let unseen = a.well(&["status"])["conflicts_unreviewed"].as_u64();
        assert_eq!(unseen, Some(case.conflicts), "{}: the loser is on record at the host", case.what);
        // Nothing moves when nothing was written.
        let again = sync(&b, &a);
        assert_eq!((again.count("conflicts"), again.count("applied")), (0, 0), "{}: {again:?}", case.what);
    }
}

#[test]
fn case_08_the_loser_is_kept_whole() {
    let (a, b) = with_a_row();
    a.sql("notes", "UPDATE note SET title = 'the loser', body = 'lost too'");
    later();
    b.sql("notes", "UPDATE note SET title = 'the winner', body = 'won too'");
    sync(&b, &a);
    for server in [&a, &b] {
        let list = server.well(&["conflicts"]);
        let conflicts = list["conflicts"].as_array().expect("conflicts");
        assert_eq!(conflicts.len(), 1, "{}: {list}", server.name);
        let (id, kind) = (conflicts[0]["id"].as_str().expect("id"), &conflicts[0]["kind"]);
        assert_eq!(kind, "update_update", "{}: {list}", server.name);
        let shown = server.well(&["conflicts", "show", id]);
        for (side, title, body) in
            [("loser", "the loser", "lost too"), ("winner", "the winner", "won too"), ("base", "t0", "b0")]
        {
            assert_eq!((&shown[side]["title"], &shown[side]["body"]), (&title.into(), &body.into()), "{side}: {shown}");
        }
    }
}

#[test]
fn case_08_under_review_each_server_shows_its_own_until_a_person_decides() {
    let (a, b) = with_a_row();
    a.sql("notes", "UPDATE careful SET title = 'host'");
    later();
    b.sql("notes", "UPDATE careful SET title = 'joiner', body = 'b1'");
    let run = sync(&b, &a);
    assert_eq!(run.status, 3, "something waits for a person: {run:?}");
    // What clashes with nothing applies.
    all_read(&[&a], "notes", "SELECT title, body FROM careful", &["host | b1"]);
    all_read(&[&b], "notes", "SELECT title, body FROM careful", &["joiner | b1"]);
    assert!(a.held() > 0 && b.held() > 0);
    // A local write did not see what is held, so it settles nothing and loses nothing.
    b.sql("notes", "UPDATE careful SET body = 'b2'");
    sync(&b, &a);
    all_read(&[&a], "notes", "SELECT title, body FROM careful", &["host | b2"]);
    let note = all_agree(&[&a, &b], "notes", "SELECT title, body FROM note");
    assert_eq!(note, ["t0 | b0"]);
}

//! References into another file.
use super::replicas::*;
use lockstep_engine::database::Sibling;

const USERS: &str = "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, hash TEXT);";
const DATA: &str = "CREATE TABLE entry (id INTEGER PRIMARY KEY, scout_id INTEGER, tag TEXT);";
const CONFIG: &str = "[tables.entry]\nreferences = { scout_id = 'users.user' }\n";

/// The two files of a node: users, and what refers to them.
fn node(dir: &tempfile::TempDir, name: &str) -> (Replica, Replica) {
    let users = Replica::named(dir.path(), name, "users", USERS).attach("");
    let mut data = Replica::named(dir.path(), name, "data", DATA);
    data.siblings.push(Sibling { name: "users".into(), path: users.path.clone() });
    (users, data.attach(CONFIG))
}

#[test]
pub fn a_reference_to_a_row_that_became_one_with_another_follows() {
    let dir = tempfile::tempdir().unwrap();
    let [(ua, da), (ub, db), (uc, _dc)] = ["a", "b", "c"].map(|n| node(&dir, n));
    ua.sql("INSERT INTO user VALUES (2, 'ann', 'of a')");
    ua.harvest();
    da.sql("INSERT INTO entry VALUES (1, 2, 'by ann')");
    sync(&ua, &ub);
    sync(&da, &db);
    uc.sql("INSERT INTO user VALUES (7, 'ann', 'of c')");
    ua.sql("DELETE FROM user WHERE id = 2");
    // A shows the row of C as another: its own is gone. B finds the two to be one.
    pull(&ua, &uc);
    da.harvest();
    assert_eq!(da.rows("SELECT scout_id FROM entry"), ["2"]);
    pull(&ub, &uc);
    pull(&ua, &ub);
    da.harvest();
    assert_eq!(da.rows("SELECT scout_id FROM entry"), ["7"]);
    settle(&[&ua, &ub]);
    settle(&[&da, &db]);
}

#[test]
fn a_reference_names_the_same_birth_everywhere_though_a_later_edit_outvoted_a_delete() {
    let at = 2_000_000_000_000;
    NOW.with(|n| n.set(at));
    for deletes_first in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let [(ua, da), (ub, db)] = ["a", "b"].map(|n| node(&dir, n));
        ua.sql_at(at, "INSERT INTO user VALUES (1, 'ann', 'of a')");
        ub.sql_at(at, "INSERT INTO user VALUES (1, 'ann', 'of b')");
        sync(&ua, &ub);
        let (deletes, edits) = if deletes_first { (&ua, &ub) } else { (&ub, &ua) };
        deletes.sql_at(at + 1000, "DELETE FROM user");
        edits.sql_at(at + 2000, "UPDATE user SET hash = 'edited'");
        settle(&[&ua, &ub]);
        for (u, d) in [(&ua, &da), (&ub, &db)] {
            let id = &u.rows("SELECT id FROM user WHERE hash = 'edited'")[0];
            d.sql(&format!("INSERT INTO entry (scout_id, tag) VALUES ({id}, 'by ann')"));
        }
        settle(&[&da, &db]);
        assert_eq!(da.rows("SELECT count(*), count(DISTINCT p) FROM _lockstep_link"), ["2 1"], "{deletes_first}");
    }
}

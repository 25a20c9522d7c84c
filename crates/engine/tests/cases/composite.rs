//! Foreign keys of several columns.
use super::Case;
use super::replicas::*;
use lockstep_engine::Limit;
use lockstep_engine::change::ConflictKind;

const SCHEMA: &str = "
CREATE TABLE event (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE entry (id INTEGER PRIMARY KEY, event INTEGER NOT NULL REFERENCES event (id), number INTEGER,
  UNIQUE (event, number), UNIQUE (event, id));
CREATE TABLE score (id INTEGER PRIMARY KEY, event INTEGER, entry INTEGER, v TEXT,
  FOREIGN KEY (event, entry) REFERENCES entry (event, id));
CREATE TABLE shift (event INTEGER NOT NULL REFERENCES event (id), day TEXT NOT NULL, hours INTEGER, PRIMARY KEY (event, day));
CREATE TABLE duty (id INTEGER PRIMARY KEY, event INTEGER, day TEXT, who TEXT,
  FOREIGN KEY (event, day) REFERENCES shift ON UPDATE CASCADE);
CREATE TABLE break (event INTEGER NOT NULL, day TEXT NOT NULL, n INTEGER NOT NULL, what TEXT, PRIMARY KEY (event, day, n),
  FOREIGN KEY (event, day) REFERENCES shift (event, day) ON UPDATE CASCADE);
CREATE TABLE snack (id INTEGER PRIMARY KEY, e INTEGER, d TEXT, k INTEGER, what TEXT,
  FOREIGN KEY (e, d, k) REFERENCES break (event, day, n) ON UPDATE CASCADE);
";
const SCORES: &str = "SELECT e.name, x.number, s.v FROM score s JOIN entry x ON (x.event, x.id) = (s.event, s.entry)
  JOIN event e ON e.id = x.event ORDER BY s.v";
const DUTIES: &str =
    "SELECT e.name, h.day, h.hours, d.who FROM duty d JOIN shift h ON (h.event, h.day) = (d.event, d.day)
  JOIN event e ON e.id = h.event ORDER BY d.who";
const SNACKS: &str = "SELECT e.name, b.day, b.what, s.what FROM snack s
  JOIN break b ON (b.event, b.day, b.n) = (s.e, s.d, s.k) JOIN event e ON e.id = b.event ORDER BY s.what";

/// Two applications that used the same ids for different rows.
fn two() -> Case {
    let s = Case::new(3, SCHEMA, "");
    for (node, name) in [(0, "north"), (1, "south")] {
        s.writes(
            node,
            &format!(
                "INSERT INTO event VALUES (1, '{name}'); INSERT INTO entry VALUES (1, 1, 7);
                 INSERT INTO score VALUES (1, 1, 1, '{name} scores'), (2, 1, NULL, 'none');
                 INSERT INTO shift VALUES (1, 'monday', 8); INSERT INTO duty VALUES (1, 1, 'monday', '{name} serves');
                 INSERT INTO break VALUES (1, 'monday', 1, '{name} rests');
                 INSERT INTO snack VALUES (1, 1, 'monday', 1, '{name} eats');"
            ),
        );
    }
    s.everybody();
    s
}

fn all_is_well(s: &Case) {
    s.everybody();
    s.show("SELECT * FROM pragma_foreign_key_check", &[]);
    for r in &s.nodes {
        r.sound();
    }
}

#[test]
fn children_follow_their_parents_whichever_ids_these_have() {
    let s = two();
    s.show(SCORES, &["north 7 north scores", "south 7 south scores"]);
    s.show(DUTIES, &["north monday 8 north serves", "south monday 8 south serves"]);
    s.show(SNACKS, &["north monday north rests north eats", "south monday south rests south eats"]);
    all_is_well(&s);
}

#[test]
fn children_follow_where_two_parents_turn_out_to_be_one_and_where_a_key_is_changed() {
    let s = two();
    // C knows an event of the same name under another id, and so do its children.
    s.writes(2, "INSERT INTO event VALUES (9, 'west'); INSERT INTO shift VALUES (9, 'friday', 2)");
    s.writes(
        0,
        "INSERT INTO event VALUES (20, 'west'); INSERT INTO shift VALUES (20, 'friday', 3);
      INSERT INTO duty VALUES (20, 20, 'friday', 'ann'); INSERT INTO break VALUES (20, 'friday', 4, 'tea');
      INSERT INTO snack VALUES (20, 20, 'friday', 4, 'cake')",
    );
    s.everybody();
    s.show("SELECT count(*) FROM event", &["3"]);
    s.show(
        "SELECT e.name, h.day FROM shift h JOIN event e ON e.id = h.event ORDER BY 1",
        &["north monday", "south monday", "west friday"],
    );
    s.writes(2, "UPDATE shift SET day = 'sunday' WHERE day = 'friday'");
    s.everybody();
    for node in 0..3 {
        let rows = s.nodes[node].rows(&format!("SELECT * FROM ({DUTIES}) WHERE who = 'ann'"));
        assert_eq!(rows.len(), 1, "{node}");
        assert!(rows[0].starts_with("west sunday"), "{rows:?}");
    }
    s.show("SELECT b.day, b.what, s.d, s.what FROM break b JOIN snack s ON (b.event, b.day, b.n) = (s.e, s.d, s.k) WHERE s.what = 'cake'", &["sunday tea sunday cake"]);
    all_is_well(&s);
}

#[test]
fn a_parent_that_was_deleted_stays_for_a_child_of_which_nobody_knew() {
    let s = two();
    s.writes(1, "DELETE FROM score WHERE v = 'north scores'; DELETE FROM entry WHERE event = (SELECT id FROM event WHERE name = 'north')");
    s.writes(0, "INSERT INTO score VALUES (5, 1, 1, 'north scores late')");
    all_is_well(&s);
    s.show(SCORES, &["north 7 north scores late", "south 7 south scores"]);
    // It goes with the last of them.
    s.writes(2, "DELETE FROM score WHERE v = 'north scores late'");
    all_is_well(&s);
    s.show("SELECT count(*) FROM entry", &["1"]);
}

/// A key of which no column is the id of a row names it as a whole.
const NORTH: &str = "(SELECT id FROM event WHERE name = 'north')";

fn north_goes(s: &Case, node: usize) {
    s.writes(
        node,
        &format!(
            "DELETE FROM snack WHERE e = {NORTH}; DELETE FROM break WHERE event = {NORTH};
             DELETE FROM duty WHERE event = {NORTH}; DELETE FROM shift WHERE event = {NORTH}"
        ),
    );
}

#[test]
fn a_parent_of_a_natural_key_stays_for_a_child_of_which_its_deleter_did_not_know() {
    for delete_first in [true, false] {
        let s = two();
        north_goes(&s, 1);
        s.writes(0, "INSERT INTO duty VALUES (5, 1, 'monday', 'late')");
        if delete_first {
            // The third has the delete before it hears of the child.
            pull(&s.nodes[2], &s.nodes[1]);
            s.nodes[2].sound();
        } else {
            pull(&s.nodes[2], &s.nodes[0]);
        }
        all_is_well(&s);
        s.show(DUTIES, &["north monday 8 late", "south monday 8 south serves"]);
        for r in &s.nodes {
            let held = r.open().held().unwrap();
            assert_eq!(held.len(), 1, "{}: {held:?}", r.name);
            assert_eq!(held[0].reason, ConflictKind::ParentDeleted, "{}", r.name);
        }
        // It goes with the last of them.
        s.writes(2, "DELETE FROM duty WHERE who = 'late'");
        all_is_well(&s);
        s.show("SELECT count(*) FROM shift", &["1"]);
        for r in &s.nodes {
            assert_eq!(r.open().held().unwrap(), [], "{}", r.name);
        }
    }
}

#[test]
fn a_child_of_a_natural_key_moves_away_and_lets_its_parent_go() {
    let s = two();
    s.writes(2, &format!("INSERT INTO shift VALUES ({NORTH}, 'tuesday', 3)"));
    s.everybody();
    s.writes(
        1,
        &format!(
            "DELETE FROM snack WHERE e = {NORTH}; DELETE FROM break WHERE event = {NORTH};
        DELETE FROM duty WHERE event = {NORTH}; DELETE FROM shift WHERE event = {NORTH} AND day = 'monday'"
        ),
    );
    s.writes(0, "INSERT INTO duty VALUES (5, 1, 'monday', 'late')");
    all_is_well(&s);
    s.show(DUTIES, &["north monday 8 late", "south monday 8 south serves"]);
    s.writes(0, "UPDATE duty SET day = 'tuesday' WHERE who = 'late'");
    all_is_well(&s);
    s.show(DUTIES, &["north tuesday 3 late", "south monday 8 south serves"]);
    s.show("SELECT day FROM shift ORDER BY day", &["monday", "tuesday"]);
}

#[test]
fn children_that_an_application_left_dangling_dangle_everywhere() {
    let s = two();
    s.writes(
        1,
        &format!("PRAGMA foreign_keys = OFF; DELETE FROM shift WHERE event = {NORTH}; PRAGMA foreign_keys = ON"),
    );
    s.everybody();
    s.show("SELECT count(*) FROM shift", &["1"]);
    s.show("SELECT day, who FROM duty ORDER BY who", &["monday north serves", "monday south serves"]);
    // Whoever puts the parent back has them again.
    s.writes(2, &format!("INSERT INTO shift VALUES ({NORTH}, 'monday', 4)"));
    all_is_well(&s);
    s.show(DUTIES, &["north monday 4 north serves", "south monday 8 south serves"]);
}

/// An application that does not look at foreign keys names a row that nobody has: that does not come to the others.
#[test]
fn a_child_of_no_parent_waits_elsewhere_till_there_is_one() {
    let s = two();
    s.writes(
        0,
        "PRAGMA foreign_keys = OFF; INSERT INTO duty VALUES (5, 1, 'sunday', 'loose'); PRAGMA foreign_keys = ON",
    );
    s.everybody();
    for r in &s.nodes[1..] {
        assert_eq!(r.rows("SELECT * FROM pragma_foreign_key_check"), [""; 0], "{}", r.name);
        let held = r.open().held().unwrap();
        assert_eq!(held.len(), 1, "{}", r.name);
        assert_eq!(held[0].reason, ConflictKind::MissingParent, "{}", r.name);
    }
    s.writes(1, &format!("INSERT INTO shift VALUES ({NORTH}, 'sunday', 1)"));
    all_is_well(&s);
    s.show(DUTIES, &["north sunday 1 loose", "north monday 8 north serves", "south monday 8 south serves"]);
}

/// Every delta comes in pieces of one write, and the foreign keys hold after each.
fn in_pieces(s: &Case, to: usize, from: usize) {
    let (to, from) = (&s.nodes[to], &s.nodes[from]);
    loop {
        let have = to.open().vectors().unwrap();
        let batch = from.open().extract(&have, Limit { items: 1, bytes: 1 << 20 }, now()).unwrap();
        to.open().apply(&batch, now()).unwrap();
        assert_eq!(to.rows("SELECT * FROM pragma_foreign_key_check"), [""; 0], "{}", to.name);
        if batch.last {
            return;
        }
    }
}

#[test]
fn a_parent_of_which_the_key_changes_waits_for_its_children() {
    let s = two();
    s.writes(1, &format!("UPDATE shift SET day = 'friday' WHERE event = {NORTH}"));
    in_pieces(&s, 2, 1);
    s.everybody();
    s.show(DUTIES, &["north friday 8 north serves", "south monday 8 south serves"]);
    s.show(SNACKS, &["north friday north rests north eats", "south monday south rests south eats"]);
    // One that a server has just made names it as it was.
    s.writes(1, &format!("UPDATE shift SET day = 'sunday' WHERE event = {NORTH}"));
    s.writes(0, "INSERT INTO duty VALUES (5, 1, 'friday', 'late')");
    in_pieces(&s, 0, 1);
    in_pieces(&s, 2, 0);
    in_pieces(&s, 1, 0);
    all_is_well(&s);
    assert_eq!(s.nodes[0].rows("SELECT day FROM duty WHERE who = 'late'"), ["friday"]);
    s.writes(0, "DELETE FROM duty WHERE who = 'late'");
    all_is_well(&s);
    s.show(DUTIES, &["north sunday 8 north serves", "south monday 8 south serves"]);
    for r in &s.nodes {
        assert_eq!(r.open().held().unwrap(), [], "{}", r.name);
    }
}

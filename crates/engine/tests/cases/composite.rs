//! Foreign keys of several columns.
use super::Case;

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

/// A key without an id of its own is no row that a reference could name: its children are kept as they are.
#[test]
fn children_of_a_natural_key_that_was_deleted_meanwhile_are_kept() {
    let s = two();
    let north = "(SELECT id FROM event WHERE name = 'north')";
    s.writes(
        1,
        &format!(
            "DELETE FROM snack WHERE e = {north}; DELETE FROM break WHERE event = {north};
         DELETE FROM duty WHERE event = {north}; DELETE FROM shift WHERE event = {north}"
        ),
    );
    s.writes(0, "INSERT INTO duty VALUES (5, 1, 'monday', 'late')");
    s.everybody();
    s.show(
        "SELECT e.name, d.day, d.who FROM duty d JOIN event e ON e.id = d.event ORDER BY d.who",
        &["north monday late", "south monday south serves"],
    );
    // Whoever puts the parent back has them again.
    s.writes(2, &format!("INSERT INTO shift VALUES ({north}, 'monday', 4)"));
    all_is_well(&s);
    s.show(DUTIES, &["north monday 4 late", "south monday 8 south serves"]);
}

//! What a person decides, here and on every other replica.
mod replicas;
use lockstep_engine::change::{ConflictKind, Kept};
use lockstep_engine::database::{Conflict, ConflictState};
use lockstep_engine::decide::{Choice, Error as Refused, Keep, Side};
use lockstep_engine::{Error, decide};
use replicas::*;

const SCHEMA: &str = "
CREATE TABLE team (id INTEGER PRIMARY KEY, number INTEGER, name TEXT, note TEXT, CHECK (name <> note));
CREATE TABLE score (id INTEGER PRIMARY KEY, team_id INTEGER NOT NULL REFERENCES team (id), tag TEXT);
CREATE TABLE pick (id INTEGER PRIMARY KEY, team_id INTEGER REFERENCES team (id), tag TEXT);
CREATE TABLE setting (id INTEGER PRIMARY KEY, k TEXT UNIQUE, v TEXT);
";
const PLAIN: &str = "[tables.team]\nidentity = ['number']\n";
const REVIEW: &str = "[tables.team]\nidentity = ['number']\npolicy = 'review'\n";

fn nodes<const N: usize>(config: &str) -> (tempfile::TempDir, [Replica; N]) {
    let dir = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c"];
    let nodes = std::array::from_fn(|i| Replica::new(dir.path(), names[i], SCHEMA).attach(config));
    (dir, nodes)
}

fn choose(r: &Replica, id: &str, keep: Keep) -> Result<u64, Error> {
    let choice = Choice { conflict: id.to_owned(), keep, anyway: false };
    Ok(r.open().resolve(&[choice], now())?[0].written)
}

fn keep(r: &Replica, id: &str, side: Side) -> u64 {
    choose(r, id, Keep::All(side)).unwrap_or_else(|e| panic!("{}: {e}", r.name))
}

fn refused(r: &Replica, id: &str, side: Side) -> decide::Error {
    match choose(r, id, Keep::All(side)) {
        Err(Error::Decision(e)) => e,
        other => panic!("{}: {other:?}", r.name),
    }
}

/// The only conflict of a replica.
fn only(r: &Replica) -> Conflict {
    let mut all = r.open().conflicts().unwrap();
    assert_eq!(all.len(), 1, "{}: {all:#?}", r.name);
    all.remove(0)
}

fn settled(all: &[&Replica]) {
    settle(all);
    for r in all {
        assert_eq!(r.open().held().unwrap(), [], "{}", r.name);
    }
}

/// A row that both replicas have, and both change.
fn clash(a: &Replica, b: &Replica) {
    a.sql("INSERT INTO team VALUES (1, 10, 'n0', 'o0')");
    settle(&[a, b]);
    a.sql("UPDATE team SET name = 'na', note = 'oa'").harvest();
    b.sql("UPDATE team SET name = 'nb', note = 'ob'").harvest();
    settle(&[a, b]);
}

#[test]
fn a_conflict_under_review_is_named_alike_everywhere_and_decided_once() {
    for side in [Side::Winner, Side::Loser] {
        let (_d, [a, b, c]) = nodes::<3>(REVIEW);
        clash(&a, &b);
        settle(&[&a, &b, &c]);
        let (x, y, z) = (only(&a), only(&b), only(&c));
        assert_eq!((&x.id, &x.winner, &x.loser), (&y.id, &y.winner, &y.loser));
        assert_eq!((&x.id, &x.winner), (&z.id, &z.winner));
        assert_eq!((x.kind, x.state), (ConflictKind::UpdateUpdate, ConflictState::Held));
        assert_eq!(x.columns, ["name", "note"]);
        let sides = a.open().conflict(&x.id).unwrap().unwrap();
        assert_eq!((sides.base.len(), sides.winner.len(), sides.loser.len(), sides.row.len()), (2, 2, 2, 4));
        assert_eq!(keep(&c, &x.id, side), 2);
        c.sound();
        settled(&[&a, &b, &c]);
        let expected = if side == Side::Winner { "nb ob" } else { "na oa" };
        for r in [&a, &b, &c] {
            assert_eq!(r.rows("SELECT name, note FROM team"), [expected], "{}", r.name);
            let after = only(r);
            assert_eq!((after.id, after.state), (x.id.clone(), ConflictState::Reviewed), "{}", r.name);
            let said = after.said.unwrap();
            assert_eq!(said.by, c.open().summary().unwrap().replica);
            assert_eq!(said.kept, if side == Side::Winner { Kept::Winner } else { Kept::Loser });
        }
    }
}

/// One row that `a` edits and `b` deletes, neither having seen the other.
fn edit_and_delete(a: &Replica, b: &Replica, delete_is_later: bool) {
    a.sql("INSERT INTO team VALUES (1, 10, 'n0', 'o0')");
    settle(&[a, b]);
    let edit = || a.sql("UPDATE team SET name = 'na'").harvest();
    let delete = || b.sql("DELETE FROM team").harvest();
    if delete_is_later {
        edit();
        delete();
    } else {
        delete();
        edit();
    }
}

#[test]
fn a_delete_and_an_edit_wait_under_review_and_each_application_sees_what_it_did() {
    let name = "SELECT name FROM team";
    for delete_is_later in [true, false] {
        for decides in 0..2 {
            for side in [Side::Winner, Side::Loser] {
                let (_d, [a, b, c]) = nodes::<3>(REVIEW);
                edit_and_delete(&a, &b, delete_is_later);
                settle(&[&a, &b, &c]);
                let what = format!("delete later: {delete_is_later}, node {decides} keeps the {side:?}");
                assert_eq!((a.rows(name), b.rows(name)), (vec!["na".to_owned()], vec![]), "{what}");
                let kind = if delete_is_later { ConflictKind::DeleteUpdate } else { ConflictKind::UpdateDelete };
                let (x, y, z) = (only(&a), only(&b), only(&c));
                assert_eq!((&x.id, x.kind, x.state), (&y.id, kind, ConflictState::Held), "{what}");
                assert_eq!((&x.winner, &x.loser), (&y.winner, &y.loser), "{what}");
                assert_eq!((&z.id, z.kind), (&x.id, kind), "{what}");
                assert_eq!(x.columns, if delete_is_later { vec!["name"] } else { vec![] }, "{what}");
                // An edit that is older than the delete changes nothing where the row is gone: nothing waits there.
                let state = if delete_is_later { ConflictState::Auto } else { ConflictState::Held };
                assert_eq!(y.state, state, "{what}");
                let decider = [&a, &b][decides];
                keep(decider, &x.id, side);
                decider.sound();
                settled(&[&a, &b, &c]);
                let lives = (side == Side::Winner) != delete_is_later;
                for r in [&a, &b, &c] {
                    let expected = if lives { vec!["na".to_owned()] } else { vec![] };
                    assert_eq!(r.rows(name), expected, "{what}: {}", r.name);
                    let after = only(r);
                    assert_eq!((after.id, after.state), (x.id.clone(), ConflictState::Reviewed), "{what}: {}", r.name);
                    r.sound();
                }
            }
        }
    }
}

#[test]
fn what_waits_of_a_delete_and_an_edit_is_what_the_application_does_not_show() {
    for delete_is_later in [true, false] {
        for letting in 0..2 {
            let (_d, [a, b]) = nodes::<2>(REVIEW);
            edit_and_delete(&a, &b, delete_is_later);
            settle(&[&a, &b]);
            let at = [&a, &b][letting];
            let Some(waits) = at.open().held().unwrap().pop() else {
                assert!(delete_is_later && letting == 1);
                continue;
            };
            at.open().allow(&waits.id, false, now()).unwrap();
            settled(&[&a, &b]);
            let expected: &[&str] = if letting == 0 { &[] } else { &["na"] };
            for r in [&a, &b] {
                assert_eq!(r.rows("SELECT name FROM team"), expected, "{}: {delete_is_later} {letting}", r.name);
            }
        }
    }
}

#[test]
fn a_row_whose_delete_waits_can_be_edited_and_deleted_by_its_application() {
    let (_d, [a, b]) = nodes::<2>(REVIEW);
    edit_and_delete(&a, &b, true);
    settle(&[&a, &b]);
    a.sql("UPDATE team SET note = 'oa'").harvest();
    settle(&[&a, &b]);
    assert_eq!(a.rows("SELECT name, note FROM team"), ["na oa"]);
    assert_eq!(b.rows("SELECT name FROM team"), Vec::<String>::new());
    for r in [&a, &b] {
        assert_ne!(r.open().held().unwrap(), [], "{}", r.name);
        r.sound();
    }
    a.sql("DELETE FROM team").harvest();
    settled(&[&a, &b]);
    assert_eq!(a.rows("SELECT name FROM team"), Vec::<String>::new());
}

#[test]
fn sides_are_chosen_column_by_column() {
    let (_d, [a, b]) = nodes::<2>(REVIEW);
    clash(&a, &b);
    let id = only(&a).id;
    let mixed = |c: &str| Keep::Columns([(c.to_owned(), Side::Loser)].into());
    assert!(matches!(choose(&a, &id, mixed("number")), Err(Error::Decision(Refused::NoColumn { .. }))));
    assert_eq!(choose(&a, &id, mixed("NOTE")).unwrap(), 2);
    settled(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT name, note FROM team"), ["nb oa"]);
        assert_eq!(only(r).said.unwrap().kept, Kept::Mixed);
    }
}

#[test]
fn what_a_rule_has_settled_can_be_turned_round_and_back() {
    let (_d, [a, b]) = nodes::<2>(PLAIN);
    clash(&a, &b);
    let id = only(&a).id;
    assert_eq!(only(&b).id, id);
    assert_eq!(b.rows("SELECT name, note FROM team"), ["nb ob"]);
    assert_eq!(keep(&a, &id, Side::Winner), 0, "it stands already");
    assert_eq!(keep(&a, &id, Side::Loser), 2);
    settled(&[&a, &b]);
    assert_eq!(b.rows("SELECT name, note FROM team"), ["na oa"]);
    assert_eq!(keep(&b, &id, Side::Winner), 2);
    settled(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT name, note FROM team"), ["nb ob"]);
        assert_eq!(only(r).said.unwrap().kept, Kept::Winner);
        assert_eq!(r.open().summary().unwrap().conflicts_unreviewed, 0);
    }
}

#[test]
fn a_row_that_has_changed_since_is_only_overwritten_knowingly() {
    let (_d, [a, b]) = nodes::<2>(PLAIN);
    clash(&a, &b);
    let id = only(&a).id;
    b.sql("UPDATE team SET name = 'newer'");
    settle(&[&a, &b]);
    match refused(&a, &id, Side::Loser) {
        Refused::Changed { column, .. } => assert_eq!(column, "name"),
        other => panic!("{other:?}"),
    }
    assert_eq!(a.rows("SELECT name, note FROM team"), ["newer ob"], "nothing was changed");
    let choice = Choice { conflict: id, keep: Keep::All(Side::Loser), anyway: true };
    a.open().resolve(&[choice], now()).unwrap();
    settled(&[&a, &b]);
    assert_eq!(b.rows("SELECT name, note FROM team"), ["na oa"]);
}

#[test]
fn many_are_decided_in_one_call_or_none() {
    let (_d, [a, b]) = nodes::<2>(REVIEW);
    a.sql("INSERT INTO team VALUES (1, 1, 'x', 'y'), (2, 2, 'x', 'y'), (3, 3, 'x', 'y')");
    settle(&[&a, &b]);
    a.sql("UPDATE team SET name = 'a' || id").harvest();
    b.sql("UPDATE team SET name = 'b' || id").harvest();
    settle(&[&a, &b]);
    let ids: Vec<String> = a.open().conflicts().unwrap().into_iter().map(|c| c.id).collect();
    assert_eq!(ids.len(), 3);
    let mut choices: Vec<Choice> =
        ids.iter().map(|id| Choice { conflict: id.clone(), keep: Keep::All(Side::Loser), anyway: false }).collect();
    choices.push(Choice { conflict: "nothing".into(), keep: Keep::All(Side::Loser), anyway: false });
    assert!(matches!(a.open().resolve(&choices, now()), Err(Error::Decision(Refused::Unknown { .. }))));
    assert_eq!(a.open().held().unwrap().len(), 3);
    choices.pop();
    a.open().resolve(&choices, now()).unwrap();
    settled(&[&a, &b]);
    assert_eq!(b.rows("SELECT name FROM team ORDER BY id"), ["a1", "a2", "a3"]);
}

#[test]
fn a_local_write_has_not_seen_what_is_held_and_a_decision_has() {
    let (_d, [a, b]) = nodes::<2>(REVIEW);
    clash(&a, &b);
    a.sql("UPDATE team SET name = 'again'");
    settle(&[&a, &b]);
    let conflict = a.open().conflicts().unwrap().into_iter().find(|c| c.columns.contains(&"name".into())).unwrap();
    assert_eq!(conflict.state, ConflictState::Held);
    for c in a.open().conflicts().unwrap().into_iter().filter(|c| c.state == ConflictState::Held) {
        keep(&a, &c.id, Side::Winner);
    }
    settled(&[&a, &b]);
    assert_eq!(a.rows("SELECT name, note FROM team"), b.rows("SELECT name, note FROM team"));
}

#[test]
fn a_delete_and_an_edit_that_did_not_see_each_other_are_decided_either_way() {
    for (edit_is_later, side) in
        [(false, Side::Winner), (false, Side::Loser), (true, Side::Winner), (true, Side::Loser)]
    {
        let (_d, [a, b]) = nodes::<2>(PLAIN);
        a.sql("INSERT INTO team VALUES (1, 10, 'n0', 'o0')");
        settle(&[&a, &b]);
        let delete = || a.sql("DELETE FROM team").harvest();
        let edit = || b.sql("UPDATE team SET name = 'edited'").harvest();
        if edit_is_later {
            delete();
            edit();
        } else {
            edit();
            delete();
        }
        settle(&[&a, &b]);
        let conflict = only(&a);
        let kind = if edit_is_later { ConflictKind::UpdateDelete } else { ConflictKind::DeleteUpdate };
        assert_eq!(conflict.kind, kind);
        keep(&b, &conflict.id, side);
        settled(&[&a, &b]);
        let lives = edit_is_later == (side == Side::Winner);
        let expected: &[&str] = if lives { &["10 edited o0"] } else { &[] };
        for r in [&a, &b] {
            assert_eq!(r.rows("SELECT number, name, note FROM team"), expected, "{} {side:?} {kind:?}", r.name);
        }
        // And back.
        let other = if side == Side::Winner { Side::Loser } else { Side::Winner };
        keep(&a, &conflict.id, other);
        settled(&[&a, &b]);
        let expected: &[&str] = if lives { &[] } else { &["10 edited o0"] };
        assert_eq!(b.rows("SELECT number, name, note FROM team"), expected, "back: {side:?} {kind:?}");
    }
}

/// A deletes a team to which a row of B refers.
fn parent_deleted(a: &Replica, b: &Replica, child: &str) -> Conflict {
    a.sql("INSERT INTO team VALUES (1, 10, 'n', 'o')");
    settle(&[a, b]);
    a.sql("DELETE FROM team").harvest();
    b.sql(child).harvest();
    settle(&[a, b]);
    let held: Vec<Conflict> =
        a.open().conflicts().unwrap().into_iter().filter(|c| c.state == ConflictState::Held).collect();
    assert_eq!((held.len(), held[0].kind), (1, ConflictKind::ParentDeleted), "{held:?}");
    held.into_iter().next().unwrap()
}

#[test]
fn a_deleted_parent_is_kept_or_goes_with_its_children() {
    let child = "INSERT INTO score VALUES (1, 1, 'child')";
    {
        let (_d, [a, b]) = nodes::<2>(PLAIN);
        let conflict = parent_deleted(&a, &b, child);
        keep(&a, &conflict.id, Side::Winner);
        settled(&[&a, &b]);
        // It lives again: without the child it stays.
        b.sql("DELETE FROM score");
        settled(&[&a, &b]);
        assert_eq!(a.rows("SELECT number FROM team"), ["10"]);
    }
    let (_d, [a, b]) = nodes::<2>(PLAIN);
    let conflict = parent_deleted(&a, &b, child);
    match refused(&b, &conflict.id, Side::Loser) {
        Refused::Others { rows, cleared } => assert_eq!((rows, cleared), (1, 0)),
        other => panic!("{other:?}"),
    }
    let choice = Choice { conflict: conflict.id, keep: Keep::All(Side::Loser), anyway: true };
    b.open().resolve(&[choice], now()).unwrap();
    settled(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT 't' FROM team UNION ALL SELECT 's' FROM score"), [""; 0]);
    }
}

#[test]
fn a_reference_that_may_be_empty_is_emptied_when_its_row_goes() {
    let (_d, [a, b]) = nodes::<2>(PLAIN);
    let conflict = parent_deleted(&a, &b, "INSERT INTO pick VALUES (1, 1, 'child')");
    let choice = Choice { conflict: conflict.id, keep: Keep::All(Side::Loser), anyway: true };
    a.open().resolve(&[choice], now()).unwrap();
    settled(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT team_id, tag FROM pick"), ["- child"], "{}", r.name);
        assert_eq!(r.rows("SELECT number FROM team"), [""; 0]);
    }
}

#[test]
fn a_unique_clash_is_decided_for_what_is_shown_and_can_t_be_forced() {
    let (_d, [a, b]) = nodes::<2>(PLAIN);
    a.sql("INSERT INTO setting VALUES (1, 'x', '1'), (2, 'y', '2')");
    settle(&[&a, &b]);
    a.sql("UPDATE setting SET k = 'z' WHERE id = 1").harvest();
    b.sql("UPDATE setting SET k = 'z' WHERE id = 2").harvest();
    settle(&[&a, &b]);
    let conflict = only(&a);
    assert_eq!((conflict.kind, conflict.columns.clone()), (ConflictKind::Unique, vec!["k".to_owned()]));
    match refused(&a, &conflict.id, Side::Loser) {
        Refused::StillHeld { reason, .. } => assert_eq!(reason, ConflictKind::Unique),
        other => panic!("{other:?}"),
    }
    assert_eq!(keep(&a, &conflict.id, Side::Winner), 1);
    settled(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT id, k FROM setting ORDER BY id"), ["1 z", "2 y"], "{}", r.name);
    }
    // What lost is kept, under the id that it had while it waited.
    let kept = a.open().conflicts().unwrap().into_iter().find(|c| c.id == conflict.id).unwrap();
    assert_eq!(kept.state, ConflictState::Reviewed);
    let sides = b.open().conflict(&conflict.id).unwrap().unwrap();
    assert_eq!(sides.loser, [("k".to_owned(), Some(lockstep_engine::value::Value::text("z")))]);
}

#[test]
fn a_new_row_that_clashes_is_given_up_and_can_be_brought_back() {
    let (_d, [a, b]) = nodes::<2>("[tables.setting]\nidentity = ['v']\n");
    a.sql("INSERT INTO setting VALUES (1, 'x', 'one')").harvest();
    b.sql("INSERT INTO setting VALUES (5, 'x', 'two')").harvest();
    settle(&[&a, &b]);
    let conflict = only(&a);
    assert_eq!((conflict.kind, conflict.columns.len()), (ConflictKind::Unique, 0));
    assert!(matches!(refused(&a, &conflict.id, Side::Loser), Refused::StillHeld { .. }));
    keep(&a, &conflict.id, Side::Winner);
    settled(&[&a, &b]);
    assert_eq!(b.rows("SELECT v FROM setting"), ["one"]);
    a.sql("UPDATE setting SET k = 'other'");
    settle(&[&a, &b]);
    assert_eq!(keep(&b, &conflict.id, Side::Loser), 1);
    settled(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT k, v FROM setting ORDER BY v"), ["other one", "x two"], "{}", r.name);
    }
}

#[test]
fn a_row_that_a_check_refuses_is_decided_column_by_column() {
    let (_d, [a, b]) = nodes::<2>(PLAIN);
    a.sql("INSERT INTO team VALUES (1, 10, 'p', 'q')");
    settle(&[&a, &b]);
    a.sql("UPDATE team SET name = 'same'").harvest();
    b.sql("UPDATE team SET note = 'same'").harvest();
    settle(&[&a, &b]);
    let waits = only(&a);
    assert_eq!(waits.kind, ConflictKind::Constraint);
    assert!(matches!(refused(&a, &waits.id, Side::Loser), Refused::StillHeld { .. }));
    keep(&a, &waits.id, Side::Winner);
    settled(&[&a, &b]);
    assert_eq!(a.rows("SELECT name, note FROM team"), b.rows("SELECT name, note FROM team"));
    assert_eq!(a.rows("SELECT name, note FROM team"), ["same q"]);
}

#[test]
fn two_inserts_of_one_row_are_decided_like_two_updates() {
    let (_d, [a, b]) = nodes::<2>(PLAIN);
    a.sql("INSERT INTO team VALUES (1, 10, 'na', 'o')").harvest();
    b.sql("INSERT INTO team VALUES (4, 10, 'nb', 'o')").harvest();
    settle(&[&a, &b]);
    let conflict = only(&a);
    assert_eq!(conflict.kind, ConflictKind::InsertInsert);
    keep(&a, &conflict.id, Side::Loser);
    settled(&[&a, &b]);
    assert_eq!(a.rows("SELECT name FROM team"), b.rows("SELECT name FROM team"));
    assert_eq!(a.rows("SELECT name FROM team"), ["na"]);
}

#[test]
fn a_word_that_a_row_lives_and_a_delete_elsewhere_are_a_conflict() {
    let (_d, [a, b, c]) = nodes::<3>(PLAIN);
    let conflict = parent_deleted(&a, &b, "INSERT INTO score VALUES (1, 1, 'child')");
    settle(&[&a, &b, &c]);
    keep(&a, &conflict.id, Side::Winner);
    // C has not heard of it, and deletes the parent with its child.
    c.sql("DELETE FROM score; DELETE FROM team").harvest();
    settle(&[&a, &b, &c]);
    for r in [&a, &b, &c] {
        assert_eq!(r.rows("SELECT number FROM team"), ["10"], "{}", r.name);
        let kinds: Vec<ConflictKind> = r.open().conflicts().unwrap().into_iter().map(|c| c.kind).collect();
        // The word was the later.
        assert!(kinds.contains(&ConflictKind::UpdateDelete), "{}: {kinds:?}", r.name);
    }
}

#[test]
fn looking_is_said_once_and_travels() {
    let (_d, [a, b]) = nodes::<2>(PLAIN);
    clash(&a, &b);
    assert_eq!(a.open().summary().unwrap().conflicts_unreviewed, 1);
    assert!(matches!(
        a.open().reviewed(Some(&["0123".to_owned()]), now()),
        Err(Error::Decision(Refused::Unknown { .. }))
    ));
    assert_eq!(a.open().reviewed(None, now()).unwrap(), 1);
    assert_eq!(a.open().reviewed(Some(&[only(&a).id]), now()).unwrap(), 0);
    settle(&[&a, &b]);
    assert_eq!(b.open().summary().unwrap().conflicts_unreviewed, 0);
    assert_eq!(only(&b).said.unwrap().kept, Kept::Seen);
    assert_eq!(b.rows("SELECT name FROM team"), ["nb"], "looking changes nothing");
}

/// A row that all replicas made, each under an id of its own.
fn clash_of_imported(all: &[&Replica]) {
    for (n, r) in all.iter().enumerate() {
        r.sql(&format!("INSERT INTO team VALUES ({}, 10, 'n0', 'o0')", n + 1));
    }
    settle(all);
    let [a, b, ..] = all else { unreachable!("two at least") };
    a.sql("UPDATE team SET name = 'na', note = 'oa'").harvest();
    b.sql("UPDATE team SET name = 'nb', note = 'ob'").harvest();
    settle(all);
}

#[test]
fn a_conflict_about_a_row_that_each_server_imported_is_one_conflict_and_decided_once() {
    let (_d, [a, b, c]) = nodes::<3>(PLAIN);
    let all = [&a, &b, &c];
    clash_of_imported(&all);
    let mut ids: Vec<String> = Vec::new();
    for r in all {
        let known = only(r);
        assert_eq!((known.kind, known.state), (ConflictKind::UpdateUpdate, ConflictState::Auto), "{}", r.name);
        assert_eq!(known.columns, ["name", "note"]);
        assert_eq!(r.open().summary().unwrap().conflicts_unreviewed, 1, "{}", r.name);
        let sides = r.open().conflict(&known.id).unwrap().unwrap();
        assert_eq!((sides.winner.len(), sides.loser.len()), (2, 2), "{}: {sides:?}", r.name);
        ids.push(known.id);
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(keep(&c, &ids[0], Side::Loser), 2);
    settled(&all);
    for r in all {
        let known = only(r);
        assert_eq!((known.state, known.said.map(|s| s.kept)), (ConflictState::Reviewed, Some(Kept::Loser)));
        assert_eq!(r.open().summary().unwrap().conflicts_unreviewed, 0, "{}", r.name);
        assert_eq!(r.rows("SELECT name, note FROM team"), ["na oa"], "{}", r.name);
    }
}

#[test]
fn so_is_one_that_waits() {
    let (_d, [a, b, c]) = nodes::<3>(REVIEW);
    let all = [&a, &b, &c];
    clash_of_imported(&all);
    let waits = only(&a);
    assert_eq!((waits.state, waits.columns), (ConflictState::Held, vec!["name".to_owned(), "note".to_owned()]));
    assert_eq!(a.open().summary().unwrap().conflicts_unreviewed, 1, "it waits to be looked at");
    assert_eq!(keep(&b, &waits.id, Side::Loser), 2);
    settled(&all);
    for r in all {
        assert_eq!((only(r).id, only(r).state), (waits.id.clone(), ConflictState::Reviewed), "{}", r.name);
        assert_eq!(r.open().summary().unwrap().conflicts_unreviewed, 0, "{}", r.name);
    }
}

#[test]
fn so_is_a_delete_against_edits() {
    let (_d, [a, b]) = nodes::<2>(REVIEW);
    for (n, r) in [&a, &b].into_iter().enumerate() {
        r.sql(&format!("INSERT INTO team VALUES ({}, 10, 'n0', 'o0')", n + 1));
    }
    settle(&[&a, &b]);
    a.sql("UPDATE team SET name = 'na', note = 'oa'").harvest();
    b.sql("DELETE FROM team").harvest();
    settle(&[&a, &b]);
    // Where the row was edited the delete waits; where it was deleted the edit has lost.
    for (r, state) in [(&a, ConflictState::Held), (&b, ConflictState::Auto)] {
        assert_eq!((only(r).state, only(r).kind), (state, ConflictKind::DeleteUpdate), "{}", r.name);
    }
    let id = only(&a).id;
    assert_eq!(only(&b).id, id);
    keep(&b, &id, Side::Loser);
    settled(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!((only(r).id, only(r).state), (id.clone(), ConflictState::Reviewed), "{}", r.name);
        assert_eq!(r.rows("SELECT name, note FROM team"), ["na oa"], "{}", r.name);
    }
}

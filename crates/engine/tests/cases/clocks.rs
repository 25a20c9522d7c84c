//! Clocks that are more than ten minutes apart.
use super::SCHEMA;
use super::replicas::*;

#[test]
fn a_delete_does_not_take_along_an_edit_that_waits_for_its_time() {
    const START: i64 = 2_000_000_000_000;
    const FAR: i64 = 40 * 60 * 1000;
    NOW.with(|n| n.set(START));
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|n| Replica::new(dir.path(), n, SCHEMA).attach(""));
    a.sql_at(START, "INSERT INTO n VALUES (1, 'k', 'v')");
    settle(&[&a, &b]);
    // The clock of A runs ahead.
    a.sql_at(START + FAR, "UPDATE n SET v = 'far'");
    pull(&b, &a);
    b.sql_at(START + 60_000, "DELETE FROM n");
    pull(&a, &b);
    NOW.with(|n| n.set(START + FAR));
    b.harvest();
    settle(&[&a, &b]);
    for r in [&a, &b] {
        assert_eq!(r.rows("SELECT v FROM n"), ["far"], "{}", r.name);
    }
}

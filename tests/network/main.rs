//! Two agents on a network of their own: it is cut, one way and both, it is slow, and a host changes its address.
//!
//! Not part of `make test`, since it needs network namespaces: `make network` runs it, and where there are none it fails
//! and says what is needed.
#![cfg(target_os = "linux")]
mod node;
mod wire;

use node::{two, until};
use serde_json::json;
use wire::wire;

#[test]
fn a_network_that_is_cut_one_way_or_both_keeps_nothing_for_good() {
    let (a, b) = two(wire());
    a.writes("before, at alpha");
    b.writes("before, at beta");
    until("both have both", || a.has(&["before, at beta"]) && b.has(&["before, at alpha"]));

    a.host.set_card(false);
    a.writes("cut, at alpha");
    b.writes("cut, at beta");
    until("alpha sees it", || a.peer()["reachable"] == json!(false));
    until("beta sees it", || b.peer()["reachable"] == json!(false));
    assert!(!a.has(&["cut, at beta"]) && !b.has(&["cut, at alpha"]));
    a.host.set_card(true);
    until("what was written meanwhile comes", || a.has(&["cut, at beta"]) && b.has(&["cut, at alpha"]));

    // What alpha says arrives, and no answer comes back.
    b.host.loses_what_it_sends(&a.host, true);
    a.writes("deaf, at alpha");
    until("alpha sees it", || a.peer()["reachable"] == json!(false));
    b.host.loses_what_it_sends(&a.host, false);
    b.writes("deaf, at beta");
    until("it comes after all", || a.has(&["deaf, at beta"]) && b.has(&["deaf, at alpha"]));
    until("all is verified", || a.peer()["last_result"] == json!("verified"));
    assert_eq!((a.count(), b.count()), (6, 6));
}

#[test]
fn a_host_that_changed_its_address_and_can_t_be_called_any_more_hears_of_news_all_the_same() {
    let (a, mut b) = two(wire());
    assert_eq!(a.peer()["address"], json!("10.77.0.2:7467"), "alpha can call it, and does not hold a request for that");
    b.host.moves("10.77.0.3");
    // The agent does not know: it still tells the address of before.
    b.writes("moved, at beta");
    until("it gets through", || a.has(&["moved, at beta"]));
    for text in ["first", "second"] {
        a.writes(text);
        until("beta hears of it", || b.has(&[text]));
    }
}

#[test]
fn over_a_slow_line_a_transfer_comes_to_its_end_while_both_write() {
    let (a, b) = two(wire());
    a.host.slows_down(256);
    b.host.slows_down(256);
    // Text that does not pack well: some 400 KB on the line.
    a.app(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
         INSERT INTO note (text) SELECT i || ' ' || hex(randomblob(100)) FROM n",
    );
    for n in 0..5 {
        b.writes(&format!("meanwhile {n}"));
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    until("both have all", || a.count() == 4005 && b.count() == 4005);
    until("it is verified", || b.peer()["last_result"] == json!("verified"));
}

//! Three servers of which two never meet: loss case 17.

use crate::scouting::{entry, event, game, placed, remark, team, user};
use crate::server::{SCOUTING, Server, all_read, pair, sound};

#[test]
fn case_17_what_one_end_of_a_chain_writes_arrives_at_the_other() {
    // alpha - beta - gamma: only beta knows both.
    let (a, b, c) = (Server::new("alpha", SCOUTING), Server::new("beta", SCOUTING), Server::new("gamma", SCOUTING));
    for (server, code) in [(&a, "casj"), (&b, "cafr"), (&c, "mndu")] {
        server.sql(
            "scouting",
            &(event("all", 1) + &event(code, 1) + &team(101, 1) + &game("all", 1, 1) + &game(code, 1, 1)),
        );
        server.sql("scouting", &(entry(server.name, code, 1, 101, 1) + &entry(server.name, "all", 1, 101, 1)));
        server.sql("users", &(user("admin", "h") + &user(server.name, "h")));
        server.attach();
    }
    assert!(pair(&b, &a).verified());
    assert!(pair(&b, &c).verified());
    let everyone = [&a, &b, &c];
    let round = || {
        // What one brings is passed on to the other, until there is no news.
        let quiet = (0..6).any(|_| {
            let news = |peer: &Server| {
                let run = b.sync_with(peer);
                assert!(run.verified(), "beta with {}: {run:?}", peer.name);
                run.count("sent") + run.count("received")
            };
            news(&a) + news(&c) == 0
        });
        assert!(quiet, "the three never stand still");
        sound(&[&b, &a]);
        sound(&[&b, &c]);
    };
    round();
    placed(&everyone, 6);
    all_read(&everyone, "scouting", "SELECT code FROM event", &["all", "cafr", "casj", "mndu"]);
    all_read(&everyone, "users", "SELECT username FROM user", &["admin", "alpha", "beta", "gamma"]);

    // An insert, an edit of a row from the other end, and a delete.
    a.sql(
        "scouting",
        &(entry("from-a", "mndu", 1, 101, 1) + &remark("r1", 101, "mndu", 1) + &remark("r2", 101, "all", 1)),
    );
    round();
    c.sql("scouting", "UPDATE team_list_entry SET type = 'edited' WHERE reason = 'r1'");
    c.sql("scouting", "DELETE FROM team_list_entry WHERE reason = 'r2'");
    c.sql("scouting", &entry("from-c", "casj", 1, 101, 1));
    round();
    placed(&everyone, 8);
    all_read(&everyone, "scouting", "SELECT reason, type FROM team_list_entry", &["r1 | edited"]);

    // The two ends edit one row, unseen by each other: one winner on all three.
    a.sql("scouting", "UPDATE event SET location = 'at a' WHERE code = 'all'");
    std::thread::sleep(std::time::Duration::from_millis(30));
    c.sql("scouting", "UPDATE event SET location = 'at c' WHERE code = 'all'");
    round();
    all_read(&everyone, "scouting", "SELECT location FROM event WHERE code = 'all'", &["at c"]);

    // Each says whose the two writes are, also gamma, which never met alpha.
    for server in everyone {
        let known = server.well(&["conflicts", "--all", "--json"]);
        let conflicts = known["conflicts"].as_array().unwrap().iter();
        let mut sides: Vec<_> = conflicts.map(|c| (c["winner"].as_str(), c["loser"].as_str())).collect();
        sides.retain(|sides| sides.1 == Some("alpha"));
        assert_eq!(sides, [(Some("gamma"), Some("alpha"))], "{}: {known}", server.name);
    }
}

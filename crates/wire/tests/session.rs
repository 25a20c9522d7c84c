//! Two nodes in memory, driven through the session: what is exchanged, what is claimed, and what a bad network does.
mod support;

use lockstep_engine::change::*;
use lockstep_engine::id::{Millis, Stamp, Vectors};
use lockstep_engine::value::Value;
use lockstep_wire::message::{Counts, DatabaseHello, Pull, PullLimit, Refusal};
use lockstep_wire::session::*;
use lockstep_wire::{Hex, Limits};
use std::collections::VecDeque;
use support::fake::*;
use support::{Numbers, dot, replica};

/// What the network does to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// The request never arrives.
    LoseRequest,
    /// It is done, and nobody hears of it.
    LoseReply,
    /// It arrives twice.
    Double,
    /// Half of the reply arrives.
    Cut,
    /// A byte of a batch is another. (The other messages rely on TLS for that; what they say is believed for one
    /// session only.)
    Corrupt,
}

struct World<'a> {
    a: &'a mut Fake,
    b: &'a mut Fake,
    trouble: Box<dyn FnMut(usize) -> Trouble + 'a>,
    sent: usize,
    limits: Limits,
}

impl World<'_> {
    /// Runs a session of `a` with `b` to its end. Every message goes through its bytes.
    fn run(&mut self, options: Options) -> Report {
        let mut session = Session::new(self.a.me.clone(), options);
        let mut now = Millis(1_000);
        let mut effects: VecDeque<Effect> = session.start(now).into();
        for _ in 0..100_000 {
            let effect = effects.pop_front().expect("there is something to do until the session is over");
            now.0 += 1;
            let event = match perform(self.a, effect) {
                Ok(event) => event,
                Err(Effect::Send(request)) => self.carry(&request, now),
                Err(Effect::Done(report)) => {
                    assert!(effects.is_empty(), "nothing is under way when it ends: {effects:?}");
                    return *report;
                }
                Err(other) => panic!("{other:?}"),
            };
            effects.extend(session.handle(event, now));
            let progress = session.progress();
            assert!(progress.received <= progress.to_receive && progress.sent <= progress.to_send);
        }
        panic!("the session does not end");
    }

    fn carry(&mut self, request: &Request, now: Millis) -> Event {
        let trouble = (self.trouble)(self.sent);
        self.sent += 1;
        let body = request.encode(&self.limits).unwrap();
        let mut bytes = Bytes { sent: body.len() as u64, received: 0 };
        let failed = |bytes| Event::Failed { refusal: refusal("reset"), again: true, bytes };
        if trouble == Trouble::LoseRequest {
            return failed(bytes);
        }
        let arrived = Request::decode(&body, &self.limits).unwrap();
        assert_eq!(&arrived, request);
        let peer = self.b.me.clone();
        let mut reply = answer(self.b, &peer, arrived.clone(), Millis(now.0 + 500));
        if trouble == Trouble::Double {
            reply = answer(self.b, &peer, arrived, Millis(now.0 + 500));
        }
        let mut body = reply.encode(&self.limits).unwrap();
        match trouble {
            Trouble::LoseReply => return failed(bytes),
            Trouble::Cut => body.truncate(body.len() / 2),
            Trouble::Corrupt if body[0] != b'{' => {
                let n = body.len() * 2 / 3;
                body[n] ^= 0x20;
            }
            Trouble::None | Trouble::LoseRequest | Trouble::Double | Trouble::Corrupt => {}
        }
        bytes.received = body.len() as u64;
        match Reply::decode(&body, &self.limits) {
            Ok(reply) => Event::Replied { reply, bytes },
            Err(e) => Event::Failed { refusal: Refusal::of(&e), again: e.is_transient(), bytes },
        }
    }
}

fn options() -> Options {
    let mut options = Options::new(vec!["users".into(), "scouting".into()]);
    options.limit.items = 3;
    options.bulk.items = 5;
    options
}

fn pair() -> (Fake, Fake) {
    let node = |n: u8| {
        let users = FakeDatabase::new("users", n, &["user"]);
        Fake::new(n, vec![users, FakeDatabase::new("scouting", n + 10, &["event", "match"])])
    };
    (node(1), node(2))
}

fn write(node: &mut Fake, database: &str, table: &str, n: i64) {
    (0..n).for_each(|i| node.database(database).unwrap().write(table, i));
}

fn run(a: &mut Fake, b: &mut Fake, trouble: impl FnMut(usize) -> Trouble) -> Report {
    World { a, b, trouble: Box::new(trouble), sent: 0, limits: Limits::default() }.run(options())
}

fn well(a: &mut Fake, b: &mut Fake) -> Report {
    run(a, b, |_| Trouble::None)
}

fn assert_same(a: &Fake, b: &Fake) {
    for (x, y) in a.databases.iter().zip(&b.databases) {
        x.check();
        y.check();
        assert_eq!(x.writes, y.writes);
        let filled = |v: &Vectors| -> Vectors { v.clone().into_iter().filter(|(_, v)| !v.is_empty()).collect() };
        assert_eq!(filled(&x.vectors), filled(&y.vectors));
    }
}

#[test]
fn both_ways_in_many_batches_and_verified() {
    let (mut a, mut b) = pair();
    write(&mut a, "users", "user", 20);
    write(&mut a, "scouting", "match", 7);
    write(&mut b, "scouting", "match", 11);
    write(&mut b, "scouting", "event", 1);
    let report = well(&mut a, &mut b);
    assert_eq!(report.outcome, Outcome::Verified);
    assert_eq!(report.peer, Some(b.me.clone()));
    assert_eq!(report.clock_offset_ms, Some(501));
    let numbers: Vec<_> = report.databases.iter().map(|d| (d.sent, d.received, d.rounds)).collect();
    assert_eq!(numbers, [(20, 0, 1), (7, 12, 1)]);
    assert_eq!(report.databases[1].applied.inserts, 12);
    assert_eq!(report.databases[1].applied_there.inserts, 7);
    assert_eq!(report.databases[1].tables[1].rows, 18);
    assert_same(&a, &b);
}

#[test]
fn without_news_it_is_one_request_and_one_look_at_each_file() {
    let (mut a, mut b) = pair();
    write(&mut a, "users", "user", 4);
    well(&mut a, &mut b);
    (a.summaries, b.summaries) = (0, 0);
    let report = well(&mut a, &mut b);
    assert_eq!(report.outcome, Outcome::Verified);
    assert_eq!((report.requests, a.summaries, b.summaries), (1, 1, 1));
    assert_eq!(report.databases[0].rounds, 0);
}

#[test]
fn one_change_is_two_requests() {
    let (mut a, mut b) = pair();
    write(&mut a, "users", "user", 4);
    well(&mut a, &mut b);
    write(&mut a, "users", "user", 1);
    let report = well(&mut a, &mut b);
    assert_eq!((report.outcome, report.requests), (Outcome::Verified, 2));
    write(&mut b, "users", "user", 1);
    let report = well(&mut a, &mut b);
    assert_eq!((report.outcome, report.requests), (Outcome::Verified, 2));
}

#[test]
fn what_either_side_writes_upon_the_news_is_exchanged_too() {
    for (mine, theirs) in [(true, false), (false, true), (true, true)] {
        let (mut a, mut b) = pair();
        write(&mut a, "users", "user", 4);
        write(&mut b, "users", "user", 4);
        let follow_up = Some(("user".to_owned(), 99));
        a.databases[0].follow_up = follow_up.clone().filter(|_| mine);
        b.databases[0].follow_up = follow_up.filter(|_| theirs);
        let report = well(&mut a, &mut b);
        assert_eq!(report.outcome, Outcome::Verified);
        assert_eq!(a.databases[0].writes.len(), 8 + usize::from(mine) + usize::from(theirs));
        assert_same(&a, &b);
    }
}

#[test]
fn writers_that_never_rest_end_partial_and_the_moved_tables_are_named() {
    let (mut a, mut b) = pair();
    write(&mut a, "users", "user", 4);
    write(&mut a, "scouting", "event", 4);
    write(&mut b, "scouting", "event", 4);
    a.busy = 1;
    b.busy = 1;
    let report = well(&mut a, &mut b);
    assert_eq!(report.outcome, Outcome::Partial);
    let event = &report.databases[1].tables[0];
    assert_eq!((event.name.as_str(), event.outcome), ("event", TableOutcome::Moved));
    assert_eq!(report.databases[1].tables[1].outcome, TableOutcome::Equal);
    (a.busy, b.busy) = (0, 0);
    assert_eq!(well(&mut a, &mut b).outcome, Outcome::Verified);
    assert_same(&a, &b);
}

#[test]
fn the_peers_writes_during_the_session_do_not_come_back_to_it() {
    let (mut a, mut b) = pair();
    write(&mut b, "users", "user", 1);
    b.busy = 1;
    let report = well(&mut a, &mut b);
    assert_eq!(report.outcome, Outcome::Verified);
    assert_eq!((report.databases[0].received, report.databases[0].sent), (2, 0));
}

#[test]
fn a_table_that_is_configured_differently_stays_out_in_both_directions() {
    let (mut a, mut b) = pair();
    for node in [&mut a, &mut b] {
        write(node, "scouting", "event", 9);
        write(node, "scouting", "match", 9);
    }
    a.databases[1].tables[0].1 = 1;
    let report = well(&mut a, &mut b);
    assert_eq!(report.outcome, Outcome::Partial);
    let tables: Vec<_> = report.databases[1].tables.iter().map(|t| t.outcome).collect();
    assert_eq!(tables, [TableOutcome::ConfigDiffers, TableOutcome::Equal]);
    assert_eq!(a.databases[1].vectors["event"].len(), 1);
    assert_eq!(b.databases[1].vectors["event"].len(), 1);
    a.databases[1].tables[0].1 = 9;
    assert_eq!(well(&mut a, &mut b).outcome, Outcome::Verified);
    assert_same(&a, &b);
}

#[test]
fn a_table_that_one_side_lacks_travels_all_the_same() {
    let (mut a, mut b) = pair();
    b.databases[1].tables.remove(0);
    write(&mut a, "scouting", "event", 9);
    let report = well(&mut a, &mut b);
    assert_eq!(b.databases[1].vectors["event"].len(), 1);
    assert_eq!(report.outcome, Outcome::Verified, "the fake says where it stands with what it holds");
    let (mut a, mut b) = pair();
    b.databases[1].tables.remove(0);
    let report = well(&mut a, &mut b);
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(report.databases[1].tables[0].outcome, TableOutcome::MissingThere);
}

#[test]
fn a_table_that_goes_one_way_does() {
    let (mut a, mut b) = pair();
    for node in [&mut a, &mut b] {
        write(node, "scouting", "event", 4);
        write(node, "scouting", "match", 4);
    }
    let mut options = options();
    options.ways.set("scouting", None, Way::Receive);
    options.ways.set("scouting", Some("event"), Way::Send);
    let run = |a: &mut Fake, b: &mut Fake| {
        let trouble = Box::new(|_| Trouble::None);
        World { a, b, trouble, sent: 0, limits: Limits::default() }.run(options.clone())
    };
    let report = run(&mut a, &mut b);
    assert_eq!(report.outcome, Outcome::Partial);
    assert!(report.databases[1].tables.iter().all(|t| t.outcome == TableOutcome::OneWay));
    assert_eq!((report.databases[1].sent, report.databases[1].received), (4, 4));
    assert_eq!(b.databases[1].vectors["event"].len(), 2);
    assert_eq!(a.databases[1].vectors["event"].len(), 1);
    assert_eq!(a.databases[1].vectors["match"].len(), 2);
    assert_eq!(run(&mut a, &mut b).requests, 1);

    // Where the receiver writes nothing the two can be compared.
    let (mut a, mut b) = pair();
    write(&mut a, "scouting", "event", 4);
    write(&mut b, "scouting", "match", 4);
    assert_eq!(run(&mut a, &mut b).outcome, Outcome::Verified);
}

#[test]
fn digest_keys_are_settled_on_the_way() {
    for (mine, theirs) in [(3, 7), (7, 3), (5, 5)] {
        let (mut a, mut b) = pair();
        a.databases.iter_mut().for_each(|d| d.key = mine);
        b.databases.iter_mut().for_each(|d| d.key = theirs);
        write(&mut a, "users", "user", 4);
        assert_eq!(well(&mut a, &mut b).outcome, Outcome::Verified);
        assert!(a.databases.iter().chain(&b.databases).all(|d| d.key == mine.min(theirs)));
    }
}

#[test]
fn a_difference_under_equal_vectors_is_told() {
    let (mut a, mut b) = pair();
    write(&mut a, "users", "user", 4);
    well(&mut a, &mut b);
    b.databases[0].writes.first_entry().unwrap().get_mut().1 = 77;
    let report = well(&mut a, &mut b);
    assert_eq!(report.outcome, Outcome::Differs);
    assert_eq!(report.databases[0].tables[0].outcome, TableOutcome::Differs);
}

#[test]
fn nothing_is_said_of_tables_to_which_a_delta_broke_off() {
    for side in 0..2 {
        let (mut a, mut b) = pair();
        write(&mut a, "users", "user", 4);
        well(&mut a, &mut b);
        b.databases[0].writes.first_entry().unwrap().get_mut().1 = 77;
        [&mut a, &mut b][side].databases[0].under_way = true;
        let report = well(&mut a, &mut b);
        assert_eq!(report.outcome, Outcome::Partial);
        assert_eq!(report.databases[0].tables[0].outcome, TableOutcome::Moved);
    }
}

#[test]
fn a_cloned_machine_is_fenced_and_the_rest_goes_on() {
    let (mut a, mut b) = pair();
    b.databases[0].replica = a.databases[0].replica;
    write(&mut a, "users", "user", 4);
    write(&mut a, "scouting", "match", 4);
    let report = well(&mut a, &mut b);
    assert!(matches!(&report.outcome, Outcome::Failed(r) if r.code == "replica_cloned"));
    assert_eq!(report.databases[1].state, DatabaseState::Cloned);
    assert!(report.databases[0].verified());
    assert!(b.databases[0].writes.is_empty());
}

#[test]
fn a_database_that_only_one_side_has_is_named_and_the_rest_goes_on() {
    let (mut a, mut b) = pair();
    write(&mut a, "scouting", "match", 4);
    let users = b.databases.remove(0);
    let report = well(&mut a, &mut b);
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(report.databases[1].state, DatabaseState::MissingThere);
    assert!(report.databases[0].verified());
    b.databases.insert(0, users);
    a.databases.remove(0);
    assert_eq!(well(&mut a, &mut b).databases[1].state, DatabaseState::MissingHere);
}

#[test]
fn a_file_restored_in_the_middle_is_pulled_from_where_it_stands() {
    let (mut a, mut b) = pair();
    write(&mut a, "users", "user", 10);
    write(&mut b, "users", "user", 10);
    well(&mut a, &mut b);
    write(&mut b, "users", "user", 10);
    a.fault = Some(Fault::RestoreBeforeApply);
    assert_eq!(well(&mut a, &mut b).outcome, Outcome::Verified);
    assert_same(&a, &b);
    write(&mut a, "users", "user", 10);
    b.fault = Some(Fault::RestoreBeforeApply);
    assert_eq!(well(&mut a, &mut b).outcome, Outcome::Verified);
    assert_same(&a, &b);
}

#[test]
fn a_fault_of_either_side_ends_as_failed_and_the_next_session_heals() {
    for fault in [Fault::ApplyFails, Fault::ExtractFails] {
        for mine in [true, false] {
            let (mut a, mut b) = pair();
            write(&mut a, "users", "user", 4);
            write(&mut b, "users", "user", 4);
            if mine {
                a.fault = Some(fault)
            } else {
                b.fault = Some(fault)
            }
            let report = well(&mut a, &mut b);
            assert!(matches!(&report.outcome, Outcome::Failed(r) if r.code == "disk"), "{report:?}");
            assert!(matches!(&report.databases[0].state, DatabaseState::GivenUp(r) if r.code == "disk"));
            (a.fault, b.fault) = (None, None);
            assert_eq!(well(&mut a, &mut b).outcome, Outcome::Verified);
            assert_same(&a, &b);
        }
    }
}

#[test]
fn one_trouble_at_any_message_is_overcome_or_told_and_healed() {
    use Trouble::*;
    for trouble in [LoseRequest, LoseReply, Double, Cut, Corrupt] {
        let mut requests = u64::MAX;
        let mut at = 0;
        while at < requests {
            let (mut a, mut b) = pair();
            write(&mut a, "users", "user", 10);
            write(&mut b, "scouting", "match", 10);
            b.busy = 1;
            let report = run(&mut a, &mut b, |n| if n as u64 == at { trouble } else { None });
            requests = if at == 0 { 20 } else { report.requests };
            // The first word gets no second try: the next session has it.
            if at > 0 || trouble == Double {
                assert_eq!(report.outcome, Outcome::Verified, "{trouble:?} at {at}");
                assert_same(&a, &b);
            }
            b.busy = 0;
            assert_eq!(well(&mut a, &mut b).outcome, Outcome::Verified);
            assert_same(&a, &b);
            at += 1;
        }
        assert!(requests > 8 && requests < 20, "{requests}");
    }
}

#[test]
fn a_bad_network_loses_nothing() {
    use Trouble::*;
    let (mut verified, mut failed) = (0, 0);
    for seed in 1..150 {
        let mut numbers = Numbers(seed * 0x9E37_79B9);
        let (mut a, mut b) = pair();
        for _ in 0..4 {
            for node in [&mut a, &mut b] {
                write(node, "users", "user", numbers.below(9) as i64);
                write(node, "scouting", "match", numbers.below(9) as i64);
                node.busy = numbers.below(2) as i64;
            }
            let rate = numbers.below(5);
            let report = run(&mut a, &mut b, |_| {
                let all = [None, LoseRequest, LoseReply, Double, Cut, Corrupt];
                if numbers.below(10) < rate { all[numbers.below(6) as usize] } else { None }
            });
            match report.outcome {
                Outcome::Verified => verified += 1,
                Outcome::Failed(_) => failed += 1,
                Outcome::Partial => {}
                Outcome::Differs => panic!("{report:?}"),
            }
            a.databases.iter().chain(&b.databases).for_each(FakeDatabase::check);
        }
        (a.busy, b.busy) = (0, 0);
        let report = well(&mut a, &mut b);
        assert_eq!(report.outcome, Outcome::Verified, "{seed} {report:#?}");
        assert_same(&a, &b);
    }
    assert!(verified > 50 && failed > 50, "{verified} {failed}");
}

/// Blobs of these sizes, each a write of its own.
struct Blobs(Vec<usize>);

impl Store for Blobs {
    fn summarize(&mut self, _harvest: bool) -> Result<Vec<DatabaseHello>, Refusal> {
        Ok(Vec::new())
    }

    fn adopt_key(&mut self, _database: &str, _key: Hex<16>) -> Result<(), Refusal> {
        Ok(())
    }

    fn extract(&mut self, _: &str, have: &Vectors, _: &[String], limit: PullLimit) -> Result<Batch, Refusal> {
        let at = have.get("blobs").and_then(|v| v.get(&replica(1))).map_or(0, |s| s.0 as usize);
        let mut batch = support::empty("blobs", &["blob"]);
        for (n, size) in self.0.iter().enumerate().skip(at).take(limit.items as usize) {
            let write = dot(1, n as u64 + 1);
            batch.items.push(Item::Change(Change {
                table: 0,
                birth: write,
                dot: write,
                stamp: Stamp(n as i64),
                rank: None,
                context: 0,
                unseen: Vec::new(),
                existence: Some(Existence::Lives),
                columns: vec![(
                    0,
                    Cell::Value(Value::Text(vec![if *size == 9_000_000 { 1 } else { b'x' }; *size].into())),
                )],
                origin: None,
            }));
            batch.end = [("blobs".to_owned(), [(replica(1), write.seq)].into())].into();
        }
        batch.last = at + batch.items.len() == self.0.len();
        Ok(batch)
    }

    fn apply(&mut self, _batch: &Batch) -> Result<Counts, Refusal> {
        Ok(Counts::default())
    }
}

#[test]
fn a_large_value_does_not_hold_up_those_around_it() {
    let sizes = vec![10, 20, 30_000_000, 10, 9_000_000, 9_000_000, 5, 20_000_000, 20_000_000];
    let mut store = Blobs(sizes.clone());
    let me = Identity { node: Hex([1; 32]), name: "me".into() };
    let (mut have, mut counts, limits) = (Vectors::new(), Vec::new(), Limits::default());
    loop {
        let limit = PullLimit::default();
        let pull = Pull { database: "scouting".into(), have: have.clone(), except: Vec::new(), limit };
        let reply = answer(&mut store, &me, Request::Pull(pull), Millis(1));
        let body = reply.encode(&limits).unwrap();
        let Reply::Batch(batch) = Reply::decode(&body, &limits).unwrap() else { panic!("a batch") };
        counts.push(batch.items.len());
        have = batch.end.clone();
        if batch.last {
            break;
        }
    }
    assert_eq!(counts, [2, 1, 2, 2, 1, 1]);
}

#[test]
fn an_unexpected_event_changes_nothing() {
    let (mut a, _) = pair();
    let mut session = Session::new(a.me.clone(), options());
    let effect = session.start(Millis(1)).remove(0);
    let extra = Event::Applied(Ok(Counts::default()));
    assert!(session.handle(extra, Millis(2)).is_empty());
    let event = perform(&mut a, effect).unwrap();
    assert!(matches!(session.handle(event.clone(), Millis(3))[..], [Effect::Send(Request::Hello(_))]));
    assert!(session.handle(event, Millis(4)).is_empty());
}

//! What passes between nodes that share a part only, and what does not.
mod sites;

use lockstep_engine::change::{Cell, Item};
use lockstep_engine::id::Millis;
use lockstep_engine::value::Value;
use lockstep_node::call;
use lockstep_node::pair::Wanted;
use lockstep_node::reading::unwatched;
use lockstep_node::state::{RunResult, Trigger};
use lockstep_node::status::Direction;
use lockstep_wire::message::{Hello, Message as _, Pull, PullLimit, TableHello, Word};
use lockstep_wire::{Limits, decode_batch, encode_batch};
use sites::{SOON, Site, pair};

const USERS: &str = "
    CREATE TABLE user(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, password_hash TEXT, city TEXT);
    CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);";
const HASHES: &str = "SELECT name || ':' || coalesce(password_hash, '-') FROM user ORDER BY name";
const CITIES: &str = "SELECT name || ':' || coalesce(city, '-') FROM user ORDER BY name";

fn insert(name: &str) -> String {
    format!("INSERT INTO user(name, password_hash, city) VALUES('{name}', 'hash of {name}', 'Rome')")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withheld_column_does_not_pass_and_still_reaches_the_others() {
    // alpha keeps hashes from beta; gamma gets everything from alpha, and is paired with beta as well.
    let (a, b, g) = (Site::new("alpha", USERS).await, Site::new("beta", USERS).await, Site::new("gamma", USERS).await);
    pair(&b, &a, &["d.user.password_hash".into()]).await;
    pair(&b, &g, &[]).await;
    pair(&a, &g, &[]).await;
    a.app(&insert("ann"));
    b.well("alpha").await;
    assert_eq!((b.texts(HASHES), b.texts(CITIES)), (vec!["ann:-".to_owned()], vec!["ann:Rome".to_owned()]));

    // What beta got without hashes it hands to nobody as the whole.
    b.app("INSERT INTO note(text) VALUES('of beta')");
    b.sync("gamma").await;
    assert_eq!((g.texts(HASHES), g.texts("SELECT text FROM note")), (vec![], vec!["of beta".to_owned()]));
    a.well("gamma").await;
    assert_eq!(g.texts(HASHES), ["ann:hash of ann"]);

    // Each writes, and each column goes where it may.
    a.app("UPDATE user SET password_hash = 'new', city = 'Oslo' WHERE name = 'ann'");
    b.app("INSERT INTO user(name, password_hash, city) VALUES('bea', 'her own', 'Bern')");
    g.app(&insert("gus"));
    for _ in 0..2 {
        b.well("alpha").await;
        a.well("gamma").await;
        b.sync("gamma").await;
    }
    assert_eq!(a.texts(HASHES), ["ann:new", "bea:-", "gus:hash of gus"]);
    assert_eq!(b.texts(HASHES), ["ann:-", "bea:her own", "gus:-"]);
    assert_eq!(g.texts(HASHES), ["ann:new", "bea:-", "gus:hash of gus"]);
    for site in [&a, &b, &g] {
        assert_eq!(site.texts(CITIES), ["ann:Oslo", "bea:Bern", "gus:Rome"]);
        let proof = site.node.verify(None, &unwatched).await.unwrap();
        assert!(proof.findings.is_empty() && proof.balance.lost() == 0, "{proof:?}");
    }
    let proof = b.node.verify(Some("alpha"), &unwatched).await.unwrap();
    assert!(proof.equal, "{proof:?}");
    let runs = b.node.state().runs(Millis(0), 100).unwrap();
    assert!(runs.iter().all(|r| r.result != RunResult::Failed), "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_in_what_is_shared_is_found_though_a_column_is_withheld() {
    let (a, b) = (Site::new("alpha", USERS).await, Site::new("beta", USERS).await);
    pair(&b, &a, &["d.user.password_hash".into()]).await;
    a.app(&insert("ann"));
    b.well("alpha").await;
    assert!(b.node.verify(Some("alpha"), &unwatched).await.unwrap().equal);
    // Behind the back of both: no trigger sees it.
    let db = b.open();
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
    db.execute_batch("UPDATE user SET city = 'nowhere'").unwrap();
    drop(db);
    assert!(!b.node.verify(Some("alpha"), &unwatched).await.unwrap().equal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_goes_one_way_goes_no_further() {
    let (a, b, g) = (Site::new("alpha", USERS).await, Site::new("beta", USERS).await, Site::new("gamma", USERS).await);
    pair(&b, &a, &[]).await;
    pair(&b, &g, &[]).await;
    // One side says it; the other is told.
    a.node.share("beta", "d.user", Direction::Send, &[]).unwrap();
    a.app(&insert("ann"));
    b.well("alpha").await;
    b.app(&insert("bea"));
    let entry = b.sync("alpha").await;
    assert_eq!((entry.result, entry.tables[0].state.as_str()), (RunResult::Partial, "one_way"), "{entry:?}");
    b.sync("gamma").await;
    assert_eq!((a.texts(HASHES).len(), b.texts(HASHES).len(), g.texts(HASHES).len()), (1, 2, 0));
    g.app(&insert("gus"));
    b.sync("gamma").await;
    b.sync("alpha").await;
    assert_eq!((a.texts(HASHES).len(), b.texts(HASHES).len()), (1, 3));
}

/// What a peer says of its tables.
async fn told(who: &Site, peer: &str) -> Vec<TableHello> {
    let hello = Hello {
        node: lockstep_wire::Hex(who.node.id().0),
        name: "a node".into(),
        now_ms: Millis(0),
        word: Word::Look,
        databases: Vec::new(),
    };
    let said = who.link(peer).post("/v1/hello", hello.to_json(), 8 << 20, SOON).await.unwrap();
    Hello::from_json(&said, &Limits::default()).unwrap().databases.remove(0).tables
}

/// All that `from` has, as `to` would push it.
async fn whole_batch(from: &Site, to: &str) -> lockstep_engine::change::Batch {
    let limits = Limits::default();
    let limit = PullLimit::default();
    let pull = Pull { database: "d".into(), have: Default::default(), except: Vec::new(), limit };
    let answer = from.link(to).post("/v1/pull", pull.to_json(), 8 << 20, SOON).await.unwrap();
    decode_batch(&answer, &limits).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_writes_what_its_sender_may_not_is_refused_whole_and_recorded() {
    let (host, evil) = (Site::new("host", USERS).await, Site::new("evil", USERS).await);
    pair(&evil, &host, &["d.user.password_hash".into()]).await;
    host.node.share("evil", "d.note", Direction::Send, &[]).unwrap();
    evil.app("INSERT INTO user(name, city) VALUES('mallory', 'x')");
    host.app("INSERT INTO note(text) VALUES('mine')");
    evil.well("host").await;
    let limits = Limits::default();
    // What it got from the host, made its own: another dot, another value.
    let mut batch = whole_batch(&evil, "host").await;
    let after = |batch: &mut lockstep_engine::change::Batch| {
        for item in &mut batch.items {
            if let Item::Change(c) = item {
                c.dot.seq.0 += 1_000;
                c.birth.seq.0 += 1_000;
            }
        }
        for vector in batch.end.values_mut() {
            vector.values_mut().for_each(|seq| seq.0 += 1_000);
        }
        batch.start.clear();
    };
    after(&mut batch);
    let mut with_hash = batch.clone();
    let user = with_hash.tables.iter().position(|t| t.name == "user").unwrap();
    let hash = with_hash.tables[user].columns.iter().position(|c| c == "password_hash").unwrap();
    with_hash.items.retain(|i| i.table() == user);
    with_hash.end.retain(|t, _| t == "user");
    for item in &mut with_hash.items {
        if let Item::Change(c) = item {
            c.columns.push((hash, Cell::Value(Value::Text(b"stolen".as_slice().into()))));
            c.columns.sort_by_key(|(k, _)| *k);
        }
    }
    for (batch, named) in [(batch, "d.note"), (with_hash, "d.user.password_hash")] {
        let body = encode_batch(&batch, &limits).unwrap().bytes;
        let refused = evil.link("host").post("/v1/push", body, 1 << 20, SOON).await.unwrap_err();
        let call::Error::Refused { status: 403, problem } = refused else { panic!("{refused:?}") };
        assert_eq!(problem.code, "not_allowed");
        assert!(problem.message.contains(named), "{problem:?}");
        let run = host.node.state().last_run(evil.node.id()).unwrap().unwrap();
        assert_eq!((run.result, run.trigger, run.peer.as_str()), (RunResult::Failed, Trigger::Peer, "evil"));
        assert_eq!(run.error.unwrap().code, "not_allowed");
    }
    assert_eq!(host.texts("SELECT text FROM note"), ["mine"]);
    assert_eq!(host.texts(HASHES), ["mallory:-"], "nothing of either came in");
    // What the host does not send can't be had by asking for it.
    let asked =
        Pull { database: "d".into(), have: Default::default(), except: Vec::new(), limit: PullLimit::default() };
    host.app(&insert("victim"));
    let answer = evil.link("host").post("/v1/pull", asked.to_json(), 8 << 20, SOON).await.unwrap();
    let batch = decode_batch(&answer, &limits).unwrap();
    assert!(!format!("{batch:?}").contains(&format!("{:?}", Value::Text(b"hash of victim".as_slice().into()))));
    let tables = told(&evil, "host").await;
    let user = tables.iter().find(|t| t.name == "user").unwrap();
    assert!(!user.columns.contains(&"password_hash".to_owned()) && user.withheld == ["password_hash"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_began_to_send_is_waited_for_until_it_may_not_send_it_any_more() {
    let (host, joiner) = (Site::new("host", USERS).await, Site::new("joiner", USERS).await);
    pair(&joiner, &host, &[]).await;
    joiner.app("INSERT INTO note(text) VALUES('one')");
    joiner.well("host").await;
    let under_way = async || {
        let tables = told(&joiner, "host").await.into_iter();
        tables.filter(|t| t.under_way).map(|t| t.name).collect::<Vec<_>>()
    };
    // A delta that says there is more, and breaks off.
    let mut batch = whole_batch(&joiner, "host").await;
    batch.until = batch.end.iter().filter(|(t, _)| *t == "note").map(|(t, v)| (t.clone(), v.clone())).collect();
    batch.until.values_mut().flat_map(|v| v.values_mut()).for_each(|seq| seq.0 += 10);
    let body = encode_batch(&batch, &Limits::default()).unwrap().bytes;
    joiner.link("host").post("/v1/push", body, 1 << 20, SOON).await.unwrap();
    assert_eq!(under_way().await, ["note"]);
    host.node.share("joiner", "d.user", Direction::Receive, &[]).unwrap();
    assert_eq!(under_way().await, ["note"], "it may still come");
    host.node.share("joiner", "d.note", Direction::Send, &[]).unwrap();
    assert!(under_way().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn pairing_shows_what_is_shared_and_points_out_what_looks_sensitive() {
    let (host, joiner) = (Site::new("host", USERS).await, Site::new("joiner", USERS).await);
    let invitation = host.node.invite(SOON, &[], &["d.user.password_hash".into()]).unwrap();
    let here = host.node.shared_tables(&invitation.share).unwrap();
    let user = here.iter().find(|t| t.name == "d.user").unwrap();
    assert_eq!((user.without.len(), user.sensitive.len()), (1, 0), "{here:?}");
    let joining = joiner.node.join(&invitation.invite, &Wanted::default()).await.unwrap();
    let there = joiner.node.sharing(&joining).unwrap();
    let user = there.iter().find(|t| t.name == "d.user").unwrap();
    assert_eq!(user.sensitive, ["password_hash"], "the joiner has not been told yet, and is warned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_makes_no_sense_is_refused() {
    let (host, joiner) = (Site::new("host", USERS).await, Site::new("joiner", USERS).await);
    pair(&joiner, &host, &[]).await;
    let code = |site: &Site, peer: &str, what: &str, without: &[&str]| {
        let without: Vec<String> = without.iter().map(|c| (*c).to_owned()).collect();
        site.node.share(peer, what, Direction::Both, &without).map(drop).map_err(|e| e.code().to_owned())
    };
    let refused = |code: &str| Err(code.to_owned());
    assert_eq!(code(&host, "joiner", "d.user", &["name"]), refused("column_identifies"));
    assert_eq!(code(&host, "joiner", "d.user", &["id"]), refused("column_identifies"));
    assert_eq!(code(&host, "joiner", "d.user", &["nothing"]), refused("unknown_column"));
    assert_eq!(code(&host, "joiner", "d", &["city"]), refused("bad_column"));
    assert_eq!(code(&host, "joiner", "other", &[]), refused("unknown_database"));
    assert_eq!(code(&host, "joiner", "d.user", &["city"]), Ok(()));
    assert_eq!(code(&host, "joiner", "d.user", &[]), refused("column_withheld"), "what was kept back stays back");
    joiner.well("host").await;
    assert_eq!(code(&joiner, "host", "d.user", &["password_hash"]), refused("withheld_there"));
    let (_, warnings) = host.node.share("joiner", "d.note", Direction::Both, &[]).unwrap();
    assert!(warnings.is_empty());
}

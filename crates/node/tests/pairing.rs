//! Pairing over real connections: who gets in, who does not, and what a caller can make a node spend.
use lockstep_engine::config::DatabaseConfig;
use lockstep_engine::id::Millis;
use lockstep_node::attachment::Attach;
use lockstep_node::call::{self, Link};
use lockstep_node::identity::Identity;
use lockstep_node::invite::{Invite, Secret};
use lockstep_node::pair::Wanted;
use lockstep_node::server::{self, Bounds};
use lockstep_node::state::{AgentPlace, AttachedDatabase, Peer};
use lockstep_node::{Error, Home, Node, system_clock};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const SOON: Duration = Duration::from_secs(20);

/// A node in a folder of its own, whose clock can be put forward.
struct World {
    _dir: tempfile::TempDir,
    node: Arc<Node>,
    ahead: Arc<AtomicI64>,
}

fn world(name: &str) -> World {
    let dir = tempfile::tempdir().unwrap();
    let ahead = Arc::new(AtomicI64::new(0));
    let (clock, by) = (system_clock(), ahead.clone());
    let node = Node::init(Home::at(dir.path().join("home")), Some(name))
        .unwrap()
        .with_clock(Arc::new(move || Millis(clock().0 + by.load(Ordering::Relaxed))));
    for database in ["users", "scouting"] {
        let file = dir.path().join(database);
        let config = DatabaseConfig::default();
        node.state().add_database(&AttachedDatabase { name: database.into(), file, config }, node.now()).unwrap();
    }
    World { _dir: dir, node: Arc::new(node), ahead }
}

/// A node that serves until it is dropped.
struct Serving {
    world: World,
    address: String,
    _stop: watch::Sender<bool>,
}

async fn serving(name: &str, bounds: Bounds) -> Serving {
    let world = world(name);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let place = AgentPlace { listening: address.clone(), advertised: address.clone(), since: world.node.now() };
    world.node.state().set_agent(&place).unwrap();
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(server::serve(world.node.clone(), listener, bounds, stopping));
    Serving { world, address, _stop: stop }
}

/// Joins and confirms.
async fn join(who: &World, invite: &Invite, name: Option<&str>, share: &[String]) -> Result<Peer, Error> {
    let joining = who
        .node
        .join(invite, &Wanted { name: name.map(str::to_owned), share: share.to_vec(), ..Wanted::default() })
        .await?;
    who.node.confirm(&joining)
}

fn invited(to: &Serving) -> Invite {
    to.world.node.invite(Duration::from_secs(600), &[], &[]).unwrap().invite
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().code().to_owned()
}

#[tokio::test]
async fn an_invited_node_joins_and_both_know_each_other() {
    let (hq, pit) = (serving("hq", Bounds::default()).await, world("pit"));
    let peer = join(&pit, &invited(&hq), None, &[]).await.unwrap();
    assert_eq!((peer.name.as_str(), peer.node), ("hq", hq.world.node.id()));
    let there = hq.world.node.peers().unwrap();
    assert_eq!((there[0].name.as_str(), there[0].node.as_str()), ("pit", pit.node.id().to_string().as_str()));
    let shared: Vec<_> = pit.node.peers().unwrap()[0].shares.iter().map(|s| s.what.clone()).collect();
    assert_eq!(shared, ["scouting", "users"]);
    assert_eq!(there[0].shares, pit.node.peers().unwrap()[0].shares);
    assert_eq!(there[0].address, None, "no agent runs on the joining node");
}

#[tokio::test]
async fn an_invite_is_good_for_one_node_only_and_that_may_ask_again() {
    let (hq, pit, other) = (serving("hq", Bounds::default()).await, world("pit"), world("other"));
    let invite = invited(&hq);
    join(&pit, &invite, None, &[]).await.unwrap();
    join(&pit, &invite, Some("headquarters"), &[]).await.unwrap();
    assert_eq!(pit.node.peers().unwrap()[0].name, "headquarters");
    assert_eq!(code(join(&other, &invite, None, &[]).await), "not_invited");
    // Another invite that happens to be open lets the stranger as far as the proof, and no further.
    let _open = invited(&hq);
    assert_eq!(code(join(&other, &invite, None, &[]).await), "not_invited");
    assert_eq!(hq.world.node.peers().unwrap().len(), 1);
}

#[tokio::test]
async fn an_expired_invite_and_a_guessed_secret_are_worth_nothing() {
    let (hq, pit) = (serving("hq", Bounds::default()).await, world("pit"));
    let invite = invited(&hq);
    let guess = Invite { secret: Secret([0; 16]), ..invite.clone() };
    assert_eq!(code(join(&pit, &guess, None, &[]).await), "not_invited");
    hq.world.ahead.store(600_001, Ordering::Relaxed);
    assert_eq!(code(join(&pit, &invite, None, &[]).await), "not_invited");
    assert!(hq.world.node.peers().unwrap().is_empty());
    assert!(pit.node.peers().unwrap().is_empty());
}

#[tokio::test]
async fn a_node_with_another_key_is_not_joined() {
    let (hq, pit) = (serving("hq", Bounds::default()).await, world("pit"));
    let invite = Invite { node: Identity::make().unwrap().id(), ..invited(&hq) };
    assert_eq!(code(join(&pit, &invite, None, &[]).await), "wrong_key");
    assert!(pit.node.peers().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_shared_is_narrowed_and_never_widened() {
    let (hq, pit) = (serving("hq", Bounds::default()).await, world("pit"));
    let file = |name: &str| (name.to_owned(), hq.world._dir.path().join(name));
    let databases = vec![file("scouting"), file("users")];
    for (_, file) in &databases {
        rusqlite::Connection::open(file).unwrap().execute_batch("CREATE TABLE role(id INTEGER PRIMARY KEY)").unwrap();
    }
    let attach = Attach { databases, ..Attach::default() };
    hq.world.node.attach(&attach, &mut |_, _, _| {}).await.unwrap();
    assert_eq!(code(hq.world.node.invite(SOON, &["users.rule".into()], &[])), "unknown_table");
    let invite = hq.world.node.invite(SOON, &["users.role".into()], &[]).unwrap().invite;
    assert_eq!(code(join(&pit, &invite, None, &["scoutin".into()]).await), "unknown_database");
    assert_eq!(code(join(&pit, &invite, None, &["scouting".into()]).await), "nothing_shared");
    join(&pit, &invite, None, &["users".into()]).await.unwrap();
    let shared: Vec<_> = hq.world.node.peers().unwrap()[0].shares.iter().map(|s| s.what.clone()).collect();
    assert_eq!(shared, ["users.role"]);
}

async fn ask(link: &Link, path: &str, body: &[u8]) -> Result<Vec<u8>, call::Error> {
    link.post(path, body.to_vec(), 1 << 20, SOON).await
}

#[tokio::test]
async fn a_stranger_gets_no_answer_and_an_invited_one_only_to_its_question() {
    let (hq, stranger) = (serving("hq", Bounds::default()).await, world("stranger"));
    let link = || Link::new(stranger.node.identity(), hq.world.node.id(), &hq.address).unwrap();
    for path in ["/v1/join", "/v1/hello", "/"] {
        let refused = ask(&link(), path, b"{}").await.unwrap_err();
        assert!(matches!(refused, call::Error::NotKnown { .. }), "{path}: {refused:?}");
    }
    invited(&hq);
    for path in ["/v1/hello", "/", "/v1/join/x"] {
        let refused = ask(&link(), path, b"{}").await.unwrap_err();
        assert!(matches!(refused, call::Error::NotKnown { .. }), "{path}: {refused:?}");
    }
    let refused = ask(&link(), "/v1/join", b"{}").await.unwrap_err();
    assert!(matches!(refused, call::Error::Refused { status: 400, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_retired_peer_is_cut_off_in_the_middle_of_a_connection() {
    let (hq, pit) = (serving("hq", Bounds::default()).await, world("pit"));
    join(&pit, &invited(&hq), None, &[]).await.unwrap();
    let link = Link::new(pit.node.identity(), hq.world.node.id(), &hq.address).unwrap();
    let before = ask(&link, "/v1/join", b"{}").await.unwrap_err();
    assert!(matches!(before, call::Error::Refused { status: 400, .. }), "{before:?}");
    hq.world.node.retire("pit").unwrap();
    let after = ask(&link, "/v1/join", b"{}").await.unwrap_err();
    assert!(matches!(after, call::Error::NotKnown { .. }), "the open connection: {after:?}");
    let fresh = ask(&link, "/v1/join", b"{}").await.unwrap_err();
    assert!(matches!(fresh, call::Error::NotKnown { .. }), "a new connection: {fresh:?}");
}

#[tokio::test]
async fn a_body_beyond_its_bound_is_refused() {
    let (hq, pit) = (serving("hq", Bounds::default()).await, world("pit"));
    join(&pit, &invited(&hq), None, &[]).await.unwrap();
    let link = Link::new(pit.node.identity(), hq.world.node.id(), &hq.address).unwrap();
    let refused = ask(&link, "/v1/join", &vec![b' '; 4 << 20]).await.unwrap_err();
    // The server answers and closes without reading on; whichever of the two comes first, nothing is accepted.
    match refused {
        call::Error::Refused { status: 413, .. } | call::Error::Broken { .. } => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_does_not_shake_hands_is_dropped_and_does_not_keep_others_out() {
    let bounds =
        Bounds { handshakes: 4, handshakes_per_address: 4, handshake: Duration::from_secs(3), ..Bounds::default() };
    let (hq, pit) = (serving("hq", bounds).await, world("pit"));
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(TcpStream::connect(&hq.address).await.unwrap());
    }
    for mut connection in idle {
        connection.write_all(b"GET / HTTP/1.1\r\n\r\n").await.ok();
        let mut said = Vec::new();
        let read = tokio::time::timeout(SOON, connection.read_to_end(&mut said)).await.expect("it is closed");
        assert!(read.is_err() || !said.starts_with(b"HTTP"), "nothing is said without a handshake");
    }
    join(&pit, &invited(&hq), None, &[]).await.unwrap();
}

#[tokio::test]
async fn a_pairing_that_is_declined_leaves_nothing_on_either_side() {
    let (hq, pit) = (serving("hq", Bounds::default()).await, world("pit"));
    let invite = invited(&hq);
    let joining = pit.node.join(&invite, &Wanted::default()).await.unwrap();
    assert!(pit.node.peers().unwrap().is_empty(), "nothing is remembered before it is confirmed");
    pit.node.decline(&joining).await.unwrap();
    assert!(hq.world.node.peers().unwrap().is_empty());
    assert_eq!(code(join(&pit, &invite, None, &[]).await), "not_invited");
}

#[tokio::test]
async fn who_only_looked_is_listed_nowhere_and_can_still_pair() {
    let (hq, pit) = (serving("hq", Bounds::default()).await, world("pit"));
    let invite = invited(&hq);
    for _ in 0..2 {
        let joining = pit.node.join(&invite, &Wanted::default()).await.unwrap();
        pit.node.only_looked(&joining).await.unwrap();
        assert!(hq.world.node.peers().unwrap().is_empty() && pit.node.peers().unwrap().is_empty());
    }
    join(&pit, &invite, None, &[]).await.unwrap();
    assert_eq!(hq.world.node.peers().unwrap()[0].name, "pit");
    assert_eq!(code(join(&world("other"), &invite, None, &[]).await), "not_invited");
}

#[tokio::test]
async fn an_unreachable_node_is_named_with_its_address() {
    let (hq, pit) = (world("hq"), world("pit"));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let invite = Invite { address: closed.clone(), node: hq.node.id(), secret: Secret([1; 16]) };
    let error = join(&pit, &invite, None, &[]).await.unwrap_err();
    assert_eq!(error.code(), "unreachable");
    assert!(error.to_string().contains(&closed) && error.hint().is_some());
}

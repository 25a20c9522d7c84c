//! Sessions over real connections with real files: what is large, what is not allowed, what is malformed, and two at
//! once.
use lockstep_engine::id::Millis;
use lockstep_node::attachment::Attach;
use lockstep_node::call::{self, Link};
use lockstep_node::pair::Wanted;
use lockstep_node::server::{self, Bounds};
use lockstep_node::session::{SyncEntry, unwatched};
use lockstep_node::state::{AgentPlace, Peer, RunResult, Trigger};
use lockstep_node::status::Direction;
use lockstep_node::{Home, Node};
use lockstep_wire::message::{Hello, Message as _, Pull, PullLimit, Word};
use lockstep_wire::session::Progress;
use lockstep_wire::{Hex, Limits, decode_batch};
use rusqlite::Connection;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

const SOON: Duration = Duration::from_secs(60);

struct Site {
    dir: tempfile::TempDir,
    node: Arc<Node>,
    /// Serves until it is dropped.
    _stop: watch::Sender<bool>,
}

async fn site(name: &str) -> Site {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("notes.db");
    let db = Connection::open(&file).unwrap();
    db.execute_batch(
        "CREATE TABLE note(id INTEGER PRIMARY KEY, tag TEXT NOT NULL UNIQUE, body BLOB);
         CREATE TABLE secret(id INTEGER PRIMARY KEY, tag TEXT NOT NULL UNIQUE);",
    )
    .unwrap();
    let node = Arc::new(Node::init(Home::at(dir.path().join("home")), Some(name)).unwrap());
    let attach = Attach { databases: vec![("notes".into(), file)], ..Attach::default() };
    node.attach(&attach, &mut |_, _, _| {}).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let place = AgentPlace { listening: address.clone(), advertised: address, since: node.now() };
    node.state().set_agent(&place).unwrap();
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(server::serve(node.clone(), listener, Bounds::default(), stopping));
    Site { dir, node, _stop: stop }
}

impl Site {
    fn app(&self, sql: &str) {
        let db = self.open();
        db.execute_batch(sql).unwrap();
    }

    fn open(&self) -> Connection {
        let db = Connection::open(self.dir.path().join("notes.db")).unwrap();
        db.busy_timeout(Duration::from_secs(20)).unwrap();
        db
    }

    fn tags(&self, table: &str) -> Vec<String> {
        let db = self.open();
        let mut statement = db.prepare(&format!("SELECT tag FROM {table} ORDER BY tag")).unwrap();
        let tags = statement.query_map([], |r| r.get(0)).unwrap();
        tags.map(Result::unwrap).collect()
    }

    fn peer(&self) -> Peer {
        self.node.state().peers().unwrap().remove(0)
    }

    async fn sync(&self) -> SyncEntry {
        self.node.sync(&self.peer(), Trigger::Person, &unwatched).await.unwrap()
    }

    fn link(&self) -> Link {
        let peer = self.peer();
        Link::new(self.node.identity(), peer.node, peer.address.as_ref().unwrap()).unwrap()
    }
}

/// Both can be called by the other.
async fn two() -> (Site, Site) {
    let (host, joiner) = (site("host").await, site("joiner").await);
    let invite = host.node.invite(SOON, &[], &[]).unwrap().invite;
    let joining = joiner.node.join(&invite, &Wanted::default()).await.unwrap();
    joiner.node.confirm(&joining).unwrap();
    let address = joiner.node.state().agent().unwrap().unwrap().advertised;
    host.node.state().set_address(joiner.node.id(), &address).unwrap();
    assert_eq!(joiner.sync().await.result, RunResult::Verified);
    (host, joiner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_larger_than_a_message_goes_in_parts_both_ways() {
    let (host, joiner) = two().await;
    for (site, tag, seed) in [(&host, "from host", 1_u64), (&joiner, "from joiner", 2)] {
        // Nothing that could be packed.
        let mut state = seed;
        let body: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .take(20 << 20)
        .collect();
        site.open().execute("INSERT INTO note(tag, body) VALUES(?1, ?2)", (tag, body)).unwrap();
    }
    let entry = joiner.sync().await;
    assert_eq!(entry.result, RunResult::Verified, "{entry:?}");
    for tag in ["from host", "from joiner"] {
        let read = |site: &Site| -> Vec<u8> {
            site.open().query_row("SELECT body FROM note WHERE tag = ?1", [tag], |r| r.get(0)).unwrap()
        };
        assert!(read(&host) == read(&joiner), "{tag}: bit for bit");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_rows_than_a_batch_holds_arrive_all() {
    let (host, joiner) = two().await;
    host.app(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
         INSERT INTO note(tag) SELECT 'h' || i FROM n",
    );
    joiner.app("INSERT INTO note(tag) VALUES('j')");
    let entry = joiner.sync().await;
    assert_eq!((entry.result, entry.sent), (RunResult::Verified, 1), "{entry:?}");
    assert_eq!((host.tags("note").len(), joiner.tags("note").len()), (9001, 9001));
    let idle = joiner.sync().await;
    assert_eq!((idle.result, idle.sent, idle.received), (RunResult::Verified, 0, 0), "{idle:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_which_nothing_moves_verifies_both_sides() {
    let (host, joiner) = two().await;
    for (leads, other) in [(&host, &joiner), (&joiner, &host)] {
        let long_ago = lockstep_engine::id::Millis(1);
        for site in [leads, other] {
            site.node.state().set_verified(site.peer().node, long_ago).unwrap();
        }
        assert_eq!(leads.sync().await.result, RunResult::Verified);
        for site in [leads, other] {
            assert!(site.peer().verified_at > Some(long_ago), "{}", site.node.name().unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_several_rounds_is_one_run_for_the_one_that_is_called() {
    let (host, joiner) = two().await;
    host.app("INSERT INTO note(tag) VALUES('one'), ('two')");
    let (limits, link) = (Limits::default(), joiner.link());
    for word in [Word::First, Word::Further, Word::Look, Word::Last] {
        let node = Hex(joiner.node.id().0);
        let hello = Hello { node, name: "joiner".into(), now_ms: Millis(0), word, databases: Vec::new() };
        let said = link.post("/v1/hello", hello.to_json(), 1 << 20, SOON).await.unwrap();
        assert_eq!(Hello::from_json(&said, &limits).unwrap().word, word);
        if word != Word::Last {
            let (database, limit) = ("notes".to_owned(), PullLimit::default());
            let pull = Pull { database, have: Default::default(), except: Vec::new(), limit };
            let batch = link.post("/v1/pull", pull.to_json(), 1 << 20, SOON).await.unwrap();
            assert_eq!(decode_batch(&batch, &limits).unwrap().items.len(), 2);
        }
    }
    let runs = host.node.state().runs(Millis(0), 100).unwrap();
    let told: Vec<_> = runs.iter().map(|r| (r.trigger, r.tally.rounds, r.tally.sent)).collect();
    assert_eq!(told, [(Trigger::Peer, 2, 6)], "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_stopped_keeps_its_batch_and_the_next_goes_on_from_there() {
    let (host, joiner) = two().await;
    host.app(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
         INSERT INTO note(tag) SELECT 'h' || i FROM n",
    );
    let after_the_first = |progress: &Progress| match progress.received {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    };
    let stopped = joiner.node.sync(&joiner.peer(), Trigger::Person, &after_the_first).await.unwrap();
    assert_eq!(stopped.error.as_ref().map(|e| e.code.as_str()), Some("stopped"), "{stopped:?}");
    assert_eq!(stopped.result, RunResult::Partial, "nothing failed");
    let there = joiner.tags("note").len();
    assert!(0 < there && there < 9000, "{there} rows: a whole batch, and not all");
    assert_eq!(joiner.peer().failures, 0);

    let entry = joiner.sync().await;
    assert_eq!((entry.result, entry.received), (RunResult::Verified, 9000 - there as u64), "{entry:?}");
}

/// Another process retires the peer while this one leads a session with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_retired_in_the_middle_of_a_session_gets_nothing_more() {
    let (host, joiner) = two().await;
    let rows = 9_000;
    joiner.app(&format!(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows})
         INSERT INTO note(tag) SELECT n FROM n"
    ));
    let home = joiner.dir.path().join("home");
    let retire = move |progress: &Progress| {
        if progress.sent > 0 {
            let other = Node::open(Home::at(home.clone())).unwrap();
            // It is not there any more the second time.
            let _retired = other.retire("host");
        }
        ControlFlow::Continue(())
    };
    let entry = joiner.node.sync(&joiner.peer(), Trigger::Person, &retire).await.unwrap();
    assert_eq!((entry.result, entry.error.unwrap().code.as_str()), (RunResult::Failed, "unknown_peer"));
    let got = host.tags("note").len();
    assert!(got > 0 && got < rows, "{got}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_both_sides_at_once_end_the_same() {
    let (host, joiner) = two().await;
    for round in 0..5 {
        host.app(&format!("INSERT INTO note(tag) VALUES('h{round}'), ('hh{round}')"));
        joiner.app(&format!("INSERT INTO note(tag) VALUES('j{round}'), ('jj{round}')"));
        let (a, b) = tokio::join!(host.sync(), joiner.sync());
        assert_ne!(a.result, RunResult::Failed, "{a:?}");
        assert_ne!(b.result, RunResult::Failed, "{b:?}");
    }
    assert_eq!(joiner.sync().await.result, RunResult::Verified);
    assert_eq!(host.tags("note"), joiner.tags("note"));
    assert_eq!(host.tags("note").len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_shared_is_neither_sent_nor_taken() {
    let (host, joiner) = two().await;
    host.node.share("joiner", "notes.secret", Direction::None, &[]).unwrap();
    host.app("INSERT INTO secret(tag) VALUES('of host'); INSERT INTO note(tag) VALUES('n')");
    joiner.app("INSERT INTO secret(tag) VALUES('of joiner'); INSERT INTO note(tag) VALUES('m')");
    let entry = joiner.sync().await;
    let problem = entry.error.as_ref().map(|e| e.code.as_str());
    assert_eq!(
        (entry.result, problem),
        (RunResult::Partial, Some("not_compared")),
        "the joiner still shares it: {entry:?}"
    );
    let said: Vec<_> = entry.tables.iter().map(|t| (t.name.as_str(), t.state.as_str())).collect();
    assert_eq!(said, [("notes.secret", "one_way")]);
    assert_eq!((host.tags("secret"), joiner.tags("secret")), (vec!["of host".into()], vec!["of joiner".into()]));
    assert_eq!((joiner.tags("note").len(), host.tags("note").len()), (2, 2), "the rest goes on, both ways");

    // Once both say the same, there is nothing left to complain about.
    joiner.node.share("host", "notes.secret", Direction::None, &[]).unwrap();
    assert_eq!(joiner.sync().await.result, RunResult::Verified);

    // One way only.
    for (site, direction) in [(&host, Direction::Send), (&joiner, Direction::Receive)] {
        let name = site.peer().name;
        site.node.share(&name, "notes.secret", direction, &[]).unwrap();
    }
    joiner.sync().await;
    assert_eq!((host.tags("secret"), joiner.tags("secret").len()), (vec!["of host".to_owned()], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_oversize_messages_change_nothing_and_the_server_lives_on() {
    let (host, joiner) = two().await;
    joiner.app("INSERT INTO note(tag) VALUES('kept')");
    let link = joiner.link();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bomb = lockstep_bomb();
    let bodies: [&[u8]; 7] =
        [b"", b"{}", b"\xff\xfe", b"{\"v\":9,\"type\":\"hello\"}", deep.as_bytes(), &bomb, &[b' '; 9 << 20]];
    for path in ["hello", "pull", "push", "digests", "part", "preview", "wait", "leave"] {
        for body in bodies {
            match link.post(&format!("/v1/{path}"), body.to_vec(), 1 << 20, SOON).await {
                Err(call::Error::Refused { status: 400..=499, .. } | call::Error::Broken { .. }) => {}
                other => panic!("{path}, {} bytes: {other:?}", body.len()),
            }
        }
    }
    assert_eq!(host.tags("note"), Vec::<String>::new());
    assert_eq!(joiner.sync().await.result, RunResult::Verified);
    assert_eq!(host.tags("note"), ["kept"]);
}

/// A gigabyte of zeros in a few kilobytes of zstd.
fn lockstep_bomb() -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = zstd::Encoder::new(&mut packed, 19).unwrap();
    let zeros = vec![b'0'; 1 << 20];
    for _ in 0..1024 {
        std::io::Write::write_all(&mut encoder, &zeros).unwrap();
    }
    encoder.finish().unwrap();
    packed
}

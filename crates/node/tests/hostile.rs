//! Those who want in, or want to do harm: nothing leaks, nothing changes, memory stays bounded, and the log says who
//! tried what.
mod sites;

use lockstep_node::call::{self, Link};
use lockstep_node::identity::Identity;
use lockstep_node::{Error, tls};
use rustls::pki_types::ServerName;
use sites::{SOON, Site, pair};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

const SCHEMA: &str = "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);";

/// What every node of this file logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let writer = log.clone();
    let filter = tracing_subscriber::EnvFilter::new("lockstep_node=trace");
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(move || writer.clone()).init();
    log
});

/// Does a line of the log say all of this?
async fn logged(words: &[&str]) {
    for _ in 0..500 {
        let log = String::from_utf8_lossy(&LOG.0.lock().unwrap()).into_owned();
        if log.lines().any(|line| words.iter().all(|w| line.contains(w))) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no line of the log says {words:?}");
}

async fn host() -> Site {
    LazyLock::force(&LOG);
    Site::new("host", &(SCHEMA.to_owned() + "INSERT INTO note(text) VALUES('secret of host')")).await
}

/// A host and a node that is paired with it.
async fn two() -> (Site, Site) {
    let (host, joiner) = (host().await, Site::new("joiner", SCHEMA).await);
    pair(&joiner, &host, &[]).await;
    joiner.well("host").await;
    (host, joiner)
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").trim().parse().unwrap_or(0)
}

/// What a connection gives back until it is closed.
async fn rest(mut stream: impl AsyncReadExt + Unpin) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is as good an end as any.
    let _reset = tokio::time::timeout(SOON, stream.read_to_end(&mut said)).await.expect("it is closed");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_s_handshake_fails_and_is_logged_with_his_key() {
    let host = host().await;
    let stranger = Identity::make().unwrap();
    let link = Link::new(&stranger, host.node.id(), &host.address).unwrap();
    for path in ["/v1/hello", "/v1/join", "/v1/wait", "/health", "/metrics"] {
        let refused = link.post(path, b"{}".to_vec(), 1024, SOON).await.unwrap_err();
        assert!(matches!(refused, call::Error::NotKnown { .. }), "{refused:?}");
    }
    logged(&["WARN", "a stranger was turned away", &stranger.id().to_string()]).await;
    assert!(host.node.state().peers().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_those_who_want_an_older_protocol() {
    let host = host().await;
    // A ClientHello of TLS 1.2: no `supported_versions`.
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend([0, 6, 0xc0, 0x2b, 0xc0, 0x2f, 0, 0x9c]);
    hello.extend([1, 0]);
    let extensions: &[u8] = &[0, 10, 0, 4, 0, 2, 0, 29, 0, 13, 0, 4, 0, 2, 8, 7];
    hello.extend((extensions.len() as u16).to_be_bytes());
    hello.extend(extensions);
    let mut record = vec![22, 3, 1];
    record.extend((hello.len() as u16 + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend((hello.len() as u16).to_be_bytes());
    record.extend(hello);
    for body in [record, b"GET /v1/hello HTTP/1.1\r\n\r\n".to_vec(), vec![0x80, 0x2e, 1, 0, 2], vec![255; 70_000]] {
        let mut stream = TcpStream::connect(&host.address).await.unwrap();
        let _it_may_be_closed_already = stream.write_all(&body).await;
        let said = rest(stream).await;
        assert!(said.is_empty() || said[0] == 21, "an alert and nothing else: {said:?}");
    }
    logged(&["a handshake failed"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_over_tls_is_not_spoken_even_with_a_node_that_is_paired() {
    let (host, joiner) = two().await;
    let mut config = tls::client_config(joiner.node.identity(), host.node.id()).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"smtp".to_vec()];
    let stream = TcpStream::connect(&host.address).await.unwrap();
    let name = ServerName::try_from("lockstep").unwrap();
    let refused = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    joiner.well("host").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_in_the_middle_with_a_key_of_his_own_learns_nothing() {
    let (host, joiner) = two().await;
    let mallory = Site::new("mallory", SCHEMA).await;
    // The joiner's calls lead to mallory; his own calls say that they are the joiner's.
    joiner.node.state().set_address(host.node.id(), &mallory.address).unwrap();
    joiner.app("INSERT INTO note(text) VALUES('for host alone')");
    let entry = joiner.sync("host").await;
    assert_eq!(entry.error.unwrap().code, "wrong_key");
    assert_eq!((entry.bytes_received, entry.sent), (0, 0));
    let link = Link::new(mallory.node.identity(), host.node.id(), &host.address).unwrap();
    let refused = link.post("/v1/hello", b"{}".to_vec(), 1024, SOON).await.unwrap_err();
    assert!(matches!(refused, call::Error::NotKnown { .. }), "{refused:?}");
    assert!(mallory.texts("SELECT text FROM note").is_empty());
    joiner.node.state().set_address(host.node.id(), &host.address).unwrap();
    joiner.well("host").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_says_it_is_another_is_refused() {
    let (host, joiner) = two().await;
    let lie = format!(
        r#"{{"v":1,"type":"hello","node":"{}","name":"x","now_ms":0,"word":"first","databases":[]}}"#,
        host.node.id()
    );
    let refused = joiner.link("host").post("/v1/hello", lie.into_bytes(), 1 << 20, SOON).await.unwrap_err();
    let call::Error::Refused { status: 403, problem } = refused else { panic!("{refused:?}") };
    assert_eq!(problem.code, "wrong_name");
}

/// A connection with a key that the host knows, and no HTTP yet.
async fn connected(who: &Site, host: &Site) -> tokio_rustls::client::TlsStream<TcpStream> {
    let config = tls::client_config(who.node.identity(), host.node.id()).unwrap();
    let stream = TcpStream::connect(&host.address).await.unwrap();
    let name = ServerName::try_from("lockstep").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_slowly_is_cut_off_and_keeps_nobody_waiting() {
    let (host, joiner) = two().await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut stream = connected(&joiner, &host).await;
        stream.write_all(b"POST /v1/push HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\nabc").await.unwrap();
        slow.push(stream);
    }
    // The others are served meanwhile.
    host.app("INSERT INTO note(text) VALUES('meanwhile')");
    joiner.well("host").await;
    for stream in slow {
        let said = rest(stream).await;
        assert!(String::from_utf8_lossy(&said).contains("message_slow"), "{}", String::from_utf8_lossy(&said));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_cost_little_and_keep_no_peer_out() {
    let (host, joiner) = two().await;
    let before = memory();
    for wave in 0..50 {
        let mut open = Vec::new();
        for n in 0..200 {
            let Ok(mut stream) = TcpStream::connect(&host.address).await else { continue };
            // Some say nothing, some say nonsense.
            if n % 2 == 0 {
                let _it_may_be_closed_already = stream.write_all(b"\x16\x03\x01\x40\x00").await;
            }
            open.push(stream);
        }
        if wave % 10 == 0 {
            drop(open);
            host.app(&format!("INSERT INTO note(text) VALUES('wave {wave}')"));
            joiner.well("host").await;
        }
    }
    let grown = memory().saturating_sub(before);
    assert!(grown < 100_000, "{grown} kB more");
    joiner.well("host").await;
    assert_eq!(joiner.texts("SELECT count(*) || '' FROM note"), ["6"]);
}

/// Silent connections from many addresses, held open; all the while a node that has come before gets through.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_is_held_open_keeps_no_peer_out_that_comes_from_where_it_came_before() {
    let (host, joiner) = two().await;
    joiner.well("host").await;
    let to: SocketAddr = host.address.parse().unwrap();
    let mut open = Vec::new();
    for n in 2..12 {
        for _ in 0..20 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 0, 0, n], 0))).unwrap();
            open.push(socket.connect(to).await.unwrap());
        }
    }
    for n in 0..3 {
        host.app(&format!("INSERT INTO note(text) VALUES('{n}')"));
        joiner.well("host").await;
    }
    assert_eq!(joiner.texts("SELECT text FROM note WHERE text < '3' ORDER BY text"), ["0", "1", "2"]);
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_unpacks_to_much_takes_no_memory() {
    let (_host, joiner) = two().await;
    let mut packed = Vec::new();
    let mut encoder = zstd::Encoder::new(&mut packed, 3).unwrap();
    let zeros = vec![b'0'; 1 << 20];
    for _ in 0..2048 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap();
    // A window of 128 MiB, as a frame may ask for.
    let mut greedy = Vec::new();
    let mut encoder = zstd::Encoder::new(&mut greedy, 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&zeros).unwrap();
    encoder.finish().unwrap();
    let before = memory();
    for body in [&packed, &greedy] {
        for path in ["/v1/push", "/v1/preview"] {
            let refused = joiner.link("host").post(path, body.clone(), 1 << 20, SOON).await.unwrap_err();
            assert!(matches!(refused, call::Error::Refused { status: 400..=499, .. }), "{path}: {refused:?}");
        }
    }
    let grown = memory().saturating_sub(before);
    assert!(grown < 200_000, "{grown} kB more");
    logged(&["WARN", "a request was refused", &joiner.node.id().to_string(), "from=127.0.0.1:", "/v1/push"]).await;
    joiner.well("host").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_who_was_refused_what_and_nobody_fills_it() {
    let (host, joiner) = two().await;
    let (link, who) = (joiner.link("host"), joiner.node.id().to_string());
    for (path, body, code) in [
        ("/v1/hello", vec![b' '; 9 << 20], "message_too_large"),
        ("/v1/wait", b"{}".to_vec(), "message"),
        ("/v1/hello", b"{}".to_vec(), "message"),
    ] {
        // A connection of its own for each: the first one ends in the middle of its body.
        joiner.link("host").post(path, body, 1 << 20, SOON).await.unwrap_err();
        logged(&["WARN", "a request was refused", &format!("node={who}"), "from=127.0.0.1:", path, code]).await;
    }
    for _ in 0..100 {
        link.post("/v1/wait", b"{}".to_vec(), 1 << 20, SOON).await.unwrap_err();
    }
    logged(&["WARN", "not logged", &who]).await;
    let log = String::from_utf8_lossy(&LOG.0.lock().unwrap()).into_owned();
    let lines = log.lines().filter(|l| l.contains("a request was refused") && l.contains(&who)).count();
    assert!(lines < 100, "{lines} lines");
    // One who guesses an invite, while one is open.
    let stranger = Site::new("stranger", SCHEMA).await;
    let mut guessed = host.node.invite(SOON, &[], &[]).unwrap().invite;
    guessed.secret.0[0] ^= 1;
    stranger.node.join(&guessed, &lockstep_node::pair::Wanted::default()).await.unwrap_err();
    logged(&["WARN", "a request was refused", &stranger.node.id().to_string(), "127.0.0.1:", "not_invited"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_node_is_cut_off_and_so_is_the_request_it_has_open() {
    let (host, joiner) = two().await;
    let link = joiner.link("host");
    let has = host.node.state().acknowledged(joiner.node.id(), "d").unwrap();
    let vectors = serde_json::to_string(&std::collections::BTreeMap::from([("d", has)])).unwrap();
    let wait = format!(r#"{{"v":1,"type":"wait","has":{vectors}}}"#);
    let held = tokio::spawn(async move { link.post("/v1/wait", wait.into_bytes(), 4096, SOON).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    host.node.retire("joiner").unwrap();
    let ended = tokio::time::timeout(SOON, held).await.expect("it ends").unwrap().unwrap_err();
    assert!(matches!(ended, call::Error::NotKnown { .. }), "{ended:?}");
    host.app("INSERT INTO note(text) VALUES('after it was retired')");
    let entry = joiner.sync("host").await;
    assert_eq!(entry.error.unwrap().code, "not_known");
    assert!(!joiner.texts("SELECT text FROM note").contains(&"after it was retired".to_owned()));
    logged(&["retired", &joiner.node.id().to_string()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_that_was_used_is_worth_nothing_to_another() {
    let (host, joiner) = (host().await, Site::new("joiner", SCHEMA).await);
    let invite = host.node.invite(SOON, &[], &[]).unwrap().invite;
    let wanted = lockstep_node::pair::Wanted::default();
    joiner.node.join(&invite, &wanted).await.unwrap();
    let thief = Site::new("thief", SCHEMA).await;
    let refused = thief.node.join(&invite, &wanted).await.unwrap_err();
    assert!(matches!(refused, Error::Pair(_)), "{refused:?}");
    // Not even while another one is open.
    let _open = host.node.invite(SOON, &[], &[]).unwrap();
    assert_eq!(thief.node.join(&invite, &wanted).await.unwrap_err().code(), "not_invited");
    assert_eq!(host.node.peers().unwrap().len(), 1);
    let log = String::from_utf8_lossy(&LOG.0.lock().unwrap()).into_owned();
    let secret: String = invite.secret.0.iter().map(|b| format!("{b:02x}")).collect();
    assert!(!log.contains(&secret) && !log.contains(&invite.to_string()), "the secret is in no log");
    assert!(!log.contains("secret of host"), "and no row either");
}

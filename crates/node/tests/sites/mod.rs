//! Nodes that serve on loopback, each with one database of its own.
#![allow(dead_code)] // Each test file uses a part of it.
use lockstep_node::attachment::Attach;
use lockstep_node::call::Link;
use lockstep_node::pair::Wanted;
use lockstep_node::server::{self, Bounds};
use lockstep_node::session::{SyncEntry, unwatched};
use lockstep_node::state::{AgentPlace, Peer, RunResult, Trigger};
use lockstep_node::{Home, Node};
use rusqlite::Connection;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Only a test that hangs is ended by it.
pub const SOON: Duration = Duration::from_secs(60);

/// A server: an application's database, and a node beside it.
pub struct Site {
    pub dir: tempfile::TempDir,
    pub node: Arc<Node>,
    pub address: String,
    /// Serves until it is dropped.
    stop: watch::Sender<bool>,
}

impl Site {
    /// One whose application made these tables in a database named `d`.
    pub async fn new(name: &str, schema: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("d.db");
        Connection::open(&file).unwrap().execute_batch(schema).unwrap();
        let node = Arc::new(Node::init(Home::at(dir.path().join("home")), Some(name)).unwrap());
        let attach = Attach { databases: vec![("d".into(), file)], ..Attach::default() };
        node.attach(&attach, &mut |_, _, _| {}).await.unwrap();
        Site::serve(dir, node).await
    }

    async fn serve(dir: tempfile::TempDir, node: Arc<Node>) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let place = AgentPlace { listening: address.clone(), advertised: address.clone(), since: node.now() };
        node.state().set_agent(&place).unwrap();
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(server::serve(node.clone(), listener, Bounds::default(), stopping));
        Site { dir, node, address, stop }
    }

    pub fn open(&self) -> Connection {
        let db = Connection::open(self.dir.path().join("d.db")).unwrap();
        db.busy_timeout(Duration::from_secs(20)).unwrap();
        db
    }

    /// As the application would.
    pub fn app(&self, sql: &str) {
        self.open().execute_batch(sql).unwrap();
    }

    /// One text per row, in order; NULL is a dash.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let db = self.open();
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement.query_map([], |r| r.get::<_, Option<String>>(0)).unwrap();
        rows.map(|text| text.unwrap().unwrap_or_else(|| "-".to_owned())).collect()
    }

    pub fn peer(&self, name: &str) -> Peer {
        self.node.state().peer(name).unwrap()
    }

    pub async fn sync(&self, peer: &str) -> SyncEntry {
        self.node.sync(&self.peer(peer), Trigger::Person, &unwatched).await.unwrap()
    }

    /// One that has to end verified.
    pub async fn well(&self, peer: &str) {
        let entry = self.sync(peer).await;
        assert_eq!(entry.result, RunResult::Verified, "{entry:?}");
    }

    /// What this node says to a peer by its own key, whatever it is.
    pub fn link(&self, peer: &str) -> Link {
        let peer = self.peer(peer);
        Link::new(self.node.identity(), peer.node, peer.address.as_ref().unwrap()).unwrap()
    }
}

/// Pairs two, without the first sync. `without`: columns that the host withholds.
pub async fn pair(joiner: &Site, host: &Site, without: &[String]) {
    let invite = host.node.invite(SOON, &[], without).unwrap().invite;
    let joining = joiner.node.join(&invite, &Wanted::default()).await.unwrap();
    joiner.node.confirm(&joining).unwrap();
    host.node.state().set_address(joiner.node.id(), &joiner.address).unwrap();
}

//! A server beside the console: a node in this process, and an application's database that a test writes.
use lockstep_node::agent::{Agent, AgentOptions};
use lockstep_node::attachment::Attach;
use lockstep_node::pair::Wanted;
use lockstep_node::session::{SyncEntry, unwatched};
use lockstep_node::state::Trigger;
use lockstep_node::{Home, Node};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(60);

/// A home and a database, in a folder of their own.
pub struct Site {
    name: &'static str,
    folder: PathBuf,
    agent: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Site {
    /// The database alone.
    pub fn new(name: &'static str, dir: &Path) -> Site {
        let folder = dir.join(name);
        std::fs::create_dir(&folder).unwrap();
        let site = Site { name, folder, agent: None };
        site.app("CREATE TABLE team (id INTEGER PRIMARY KEY, number INTEGER UNIQUE, name TEXT)");
        site
    }

    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join("scouting.db")
    }

    fn open(&self) -> Connection {
        let db = Connection::open(self.file()).unwrap();
        db.busy_timeout(SOON).unwrap();
        db
    }

    /// As the application would.
    pub fn app(&self, sql: &str) {
        self.open().execute_batch(sql).unwrap();
    }

    /// The name of a team.
    pub fn team(&self, number: i64) -> Option<String> {
        self.open().query_row("SELECT name FROM team WHERE number = ?1", [number], |r| r.get(0)).ok()
    }

    /// Makes the node.
    pub fn init(&self) {
        Node::init(Home::at(self.home()), Some(self.name)).unwrap();
    }

    pub fn node(&self) -> Arc<Node> {
        Arc::new(Node::open(Home::at(self.home())).unwrap())
    }

    /// Attaches the database.
    pub async fn attach(&self) {
        let attach = Attach { databases: vec![("scouting".to_owned(), self.file())], ..Attach::default() };
        self.node().attach(&attach, &mut |_, _, _| {}).await.unwrap();
    }

    /// Serves and syncs by itself, at an address that others can call.
    pub async fn start(&mut self) {
        let listen = self.node().state().agent().unwrap().map_or("127.0.0.1:0".to_owned(), |a| a.listening);
        let options = AgentOptions { listen: Some(listen), advertise: None };
        let agent = Agent::bind(self.node(), &options).await.unwrap();
        let (stop, stopping) = watch::channel(false);
        self.agent = Some((stop, tokio::spawn(async move { agent.run(stopping).await.unwrap() })));
    }

    pub async fn stop(&mut self) {
        let (stop, task) = self.agent.take().expect("it runs");
        stop.send_replace(true);
        tokio::time::timeout(SOON, task).await.expect("it ends").unwrap();
    }

    /// Joins another, without the first sync.
    pub async fn join(&self, host: &Site) {
        let invite = host.node().invite(SOON, &[], &[]).unwrap().invite;
        let node = self.node();
        let wanted = Wanted { name: Some(host.name.to_owned()), ..Wanted::default() };
        let joining = node.join(&invite, &wanted).await.unwrap();
        node.confirm(&joining).unwrap();
    }

    /// Two days pass since the last comparison.
    pub fn ages(&self) {
        let state = Connection::open(self.home().join("node.db")).unwrap();
        state.busy_timeout(SOON).unwrap();
        state.execute_batch("UPDATE peer SET verified_at = verified_at - 172800000").unwrap();
    }

    /// One session with the only peer.
    pub async fn sync(&self) -> SyncEntry {
        let node = self.node();
        let peer = node.state().peers().unwrap().remove(0);
        node.sync(&peer, Trigger::Person, &unwatched).await.unwrap()
    }
}

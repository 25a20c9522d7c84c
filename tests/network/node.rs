//! A node on a host, by its command: an application's file, an agent, and what its status says.
use crate::wire::Host;
use rusqlite::Connection;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Only a test that hangs is ended by it.
const PATIENCE: Duration = Duration::from_secs(150);

pub struct Node {
    pub host: Host,
    name: &'static str,
    folder: tempfile::TempDir,
    agent: Option<Child>,
}

fn binary() -> String {
    std::env::var("LOCKSTEP_BIN").expect("LOCKSTEP_BIN names the built command: `make network`")
}

impl Node {
    /// Attached, with an agent that tells others the host's address.
    pub fn new(name: &'static str, host: Host) -> Node {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let mut node = Node { host, name, folder, agent: None };
        node.app("PRAGMA journal_mode = WAL; CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)");
        node.run(&["init", "--name", name], "");
        let attach = format!("d={}", node.file());
        node.run(&["attach", &attach, "--no-backup"], "");
        let log = std::fs::File::create(node.folder.path().join("agent.log")).expect("a log");
        let listen = format!("{}:7467", node.host.address);
        let mut agent = node.host.command(&binary());
        agent.args(["--home", &node.home(), "agent", "--listen", &listen]).env("LOCKSTEP_LOG", "debug");
        let mut agent = agent.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("it starts");
        let mut said = String::new();
        BufReader::new(agent.stdout.take().expect("asked for")).read_line(&mut said).expect("it says where it listens");
        node.agent = Some(agent);
        assert!(said.contains(&listen), "{name}: {said}");
        node
    }

    fn file(&self) -> String {
        self.folder.path().join("d.db").display().to_string()
    }

    fn home(&self) -> String {
        self.folder.path().join("home").display().to_string()
    }

    /// As the application would.
    pub fn app(&self, sql: &str) {
        let db = Connection::open(self.file()).expect("the file opens");
        db.busy_timeout(Duration::from_secs(20)).expect("a setting");
        db.execute_batch(sql).unwrap_or_else(|e| panic!("{}: {sql}: {e}", self.name));
    }

    pub fn writes(&self, text: &str) {
        self.app(&format!("INSERT INTO note (text) VALUES ('{text}')"));
    }

    /// Does the application read all of these?
    pub fn has(&self, texts: &[&str]) -> bool {
        let db = Connection::open(self.file()).expect("the file opens");
        db.busy_timeout(Duration::from_secs(20)).expect("a setting");
        let one = |text: &&str| db.query_row("SELECT 1 FROM note WHERE text = ?1", [text], |_| Ok(())).is_ok();
        texts.iter().all(one)
    }

    pub fn count(&self) -> i64 {
        let db = Connection::open(self.file()).expect("the file opens");
        db.query_row("SELECT count(*) FROM note", [], |r| r.get(0)).expect("a count")
    }

    /// Runs a command on the host; it has to go well.
    pub fn run(&self, args: &[&str], input: &str) -> Value {
        let mut command = self.host.command(&binary());
        command.args(["--home", &self.home(), "--json"]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("asked for").write_all(input.as_bytes()).expect("it reads");
        let done = child.wait_with_output().expect("it ends");
        let (said, error) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(matches!(done.status.code(), Some(0 | 3)), "{}: {args:?}: {said}{error}", self.name);
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{}: {args:?}: {e}: {said}", self.name))
    }

    /// The only peer, as status has it.
    pub fn peer(&self) -> Value {
        self.run(&["status"], "")["peers"][0].clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            let _gone = agent.kill();
            let _gone = agent.wait();
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default();
            let from = log.len().saturating_sub(6_000);
            eprintln!("{}:\n{}", self.name, log.get(from..).unwrap_or_default());
        }
    }
}

/// Two that are paired, each with an agent that the other can call.
pub fn two((a, b): (Host, Host)) -> (Node, Node) {
    let (a, b) = (Node::new("alpha", a), Node::new("beta", b));
    let invite = a.run(&["invite"], "");
    let invite = invite["invite"].as_str().expect("an invite").to_owned();
    let paired = b.run(&["pair", "-", "--as", "alpha", "--yes"], &format!("{invite}\n"));
    assert_eq!(paired["run"]["verified"], Value::Bool(true), "{paired}");
    (a, b)
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "{what}: in vain");
        std::thread::sleep(Duration::from_millis(50));
    }
}

//! Servers under test: an application with its databases, and a node of Lockstep beside it.
//!
//! What always holds: loopback only; every wait is bounded; a process that was started here is ended
//! here, by its handle. Only the host of a pairing runs an agent, so that nothing is synced except
//! when a test says so: the host can't reach a peer that does not listen.

use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::foreign::{App, lines};

/// How long one command may take. Only a test that hangs is ended by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the databases of a server are made of.
#[derive(Clone, Copy)]
pub struct Schema<'a> {
    /// Name of each database and the script that makes its tables.
    pub databases: &'a [(&'a str, &'a str)],
    /// `lockstep.toml`.
    pub config: &'a str,
}

/// The scouting application's, as the example has them.
pub const SCOUTING: Schema<'static> = Schema {
    databases: &[
        ("scouting", include_str!("../../examples/scouting/scouting.sql")),
        ("users", include_str!("../../examples/scouting/users.sql")),
    ],
    config: include_str!("../../examples/scouting/lockstep.toml"),
};

/// One server.
pub struct Server {
    pub name: &'static str,
    folder: TempDir,
    databases: Vec<String>,
    app: App,
    agent: RefCell<Option<Child>>,
    listened: Cell<bool>,
    /// What the agent logs.
    pub log: Cell<&'static str>,
    advertised: RefCell<Option<String>>,
    /// Of all that runs on it.
    environment: Vec<(String, String)>,
}

/// How a command ended: its exit status and the document it printed.
#[derive(Debug)]
pub struct Outcome {
    pub status: i32,
    pub json: Value,
}

/// What a run with one peer did, as `sync` and `pair` report it.
#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub entry: Value,
}

impl Run {
    pub fn count(&self, field: &str) -> u64 {
        self.entry[field].as_u64().unwrap_or_else(|| panic!("no count {field} in {}", self.entry))
    }

    pub fn verified(&self) -> bool {
        self.entry["verified"] == json!(true)
    }
}

impl Server {
    /// A server whose application has made its tables. Lockstep is not attached yet.
    pub fn new(name: &'static str, schema: Schema<'_>) -> Server {
        Server::new_in(name, schema, Vec::new())
    }

    /// The same with a clock that is off by so many seconds, for the application and for Lockstep.
    #[cfg(target_os = "linux")]
    pub fn with_clock(name: &'static str, schema: Schema<'_>, seconds: i64) -> Server {
        let library = clock().to_str().expect("a path in UTF-8").to_owned();
        let environment = vec![("LD_PRELOAD".to_owned(), library), ("CLOCK_OFF".to_owned(), seconds.to_string())];
        Server::new_in(name, schema, environment)
    }

    /// In this environment.
    pub fn new_in(name: &'static str, schema: Schema<'_>, environment: Vec<(String, String)>) -> Server {
        let folder = tempfile::Builder::new().prefix("lockstep-e2e-").tempdir().expect("a folder for the test");
        std::fs::write(folder.path().join("lockstep.toml"), schema.config).expect("the configuration is written");
        let databases = schema.databases.iter().map(|(database, _)| (*database).to_owned()).collect();
        let server = Server {
            name,
            folder,
            databases,
            app: App::start_in(&environment),
            environment,
            agent: RefCell::new(None),
            listened: Cell::new(false),
            log: Cell::new("info"),
            advertised: RefCell::default(),
        };
        for (database, script) in schema.databases {
            server.sql(database, script);
        }
        server
    }

    pub fn file(&self, database: &str) -> PathBuf {
        self.folder.path().join(format!("{database}.db"))
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Several statements of the application. Each must succeed.
    pub fn sql(&self, database: &str, script: &str) {
        let done = self.app.script(&self.file(database), script);
        done.unwrap_or_else(|error| panic!("{}: {error}\n{script}", self.name));
    }

    /// One statement for many rows, in one transaction.
    pub fn many(&self, database: &str, sql: &str, rows: Value) {
        let done = self.app.many(&self.file(database), sql, rows);
        done.unwrap_or_else(|error| panic!("{}: {error}\n{sql}", self.name));
    }

    /// What the application reads.
    pub fn rows(&self, database: &str, sql: &str) -> Vec<Vec<Value>> {
        let done = self.app.run(&self.file(database), sql);
        done.unwrap_or_else(|error| panic!("{}: {error}\n{sql}", self.name))
    }

    /// The rows as lines of text, sorted: columns joined by ` | `. Ids are left to the caller not to select.
    pub fn lines(&self, database: &str, sql: &str) -> Vec<String> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut lines: Vec<String> =
            self.rows(database, sql).iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" | ")).collect();
        lines.sort();
        lines
    }

    /// One number.
    pub fn number(&self, database: &str, sql: &str) -> i64 {
        let rows = self.rows(database, sql);
        rows.first().and_then(|row| row.first()).and_then(Value::as_i64).unwrap_or_else(|| panic!("no number: {sql}"))
    }

    /// A second process of the application, with its own connections.
    pub fn other_process(&self, database: &str, script: &str) {
        let app = App::start();
        app.script(&self.file(database), script).unwrap_or_else(|error| panic!("{}: {error}\n{script}", self.name));
    }

    /// Runs one command with `--json`, whatever its exit status.
    pub fn lockstep(&self, args: &[&str]) -> Outcome {
        self.lockstep_given(args, "")
    }

    fn lockstep_given(&self, args: &[&str], input: &str) -> Outcome {
        let mut command = Command::new(binary());
        command.arg("--home").arg(self.home()).arg("--json").args(args).envs(self.environment.iter().cloned());
        let (status, stdout, stderr) = bounded(command, input);
        let json = serde_json::from_str(&stdout).unwrap_or_else(|error| {
            panic!("{}: lockstep {args:?} ended with {status}; no JSON ({error}):\n{stdout}\n{stderr}", self.name)
        });
        Outcome { status, json }
    }

    /// Runs one command that has to succeed: exit status 0, or 3 where something waits for a person.
    pub fn well(&self, args: &[&str]) -> Value {
        let outcome = self.lockstep(args);
        assert!(matches!(outcome.status, 0 | 3), "{}: lockstep {args:?} ended with {outcome:?}", self.name);
        outcome.json
    }

    /// Makes the node and attaches every database.
    pub fn attach(&self) -> Value {
        self.well(&["init", "--name", self.name]);
        let files: Vec<String> =
            self.databases.iter().map(|d| format!("{d}={}", self.file(d).to_str().expect("a path in UTF-8"))).collect();
        let config = self.folder.path().join("lockstep.toml");
        let mut args = vec!["attach"];
        args.extend(files.iter().map(String::as_str));
        args.extend(["--no-backup", "--config", config.to_str().expect("a path in UTF-8")]);
        self.well(&args)
    }

    /// The server's folder: databases, node, logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where temporary files of its agent lie.
    pub fn temporary(&self) -> PathBuf {
        let folder = self.folder.path().join("tmp");
        std::fs::create_dir_all(&folder).expect("a folder for temporary files");
        folder
    }

    /// What the agent tells others from its next start on.
    pub fn advertise(&self, address: &str) {
        *self.advertised.borrow_mut() = Some(address.to_owned());
    }

    /// Where the agent listens, as `host:port`.
    pub fn listening(&self) -> String {
        let status = self.well(&["status"]);
        let url = status["agent"]["listening"].as_str().expect("the agent runs");
        url.strip_prefix("https://").expect("an address").to_owned()
    }

    /// Uses an invite of another server, and runs the first sync.
    pub fn pair_with(&self, host: &Server, invite: &str) -> Run {
        let outcome = self.lockstep_given(&["pair", "-", "--as", host.name, "--yes"], &format!("{invite}\n"));
        assert!(matches!(outcome.status, 0 | 3), "{} pairs with {}: {outcome:?}", self.name, host.name);
        Run { status: outcome.status, entry: outcome.json["run"].clone() }
    }

    /// Starts the agent, unless it runs.
    pub fn serve(&self) {
        self.serve_in(&[]);
    }

    /// The same, in this environment.
    pub fn serve_in(&self, environment: &[(&str, &OsStr)]) {
        if self.agent.borrow().is_some() {
            return;
        }
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("agent.log"));
        let log = log.expect("a log for the agent");
        // Once it has listened, it listens there again, so that peers find it.
        let first_time = !self.listened.replace(true);
        let mut agent = Command::new(binary())
            .arg("--home")
            .arg(self.home())
            .arg("agent")
            .args(first_time.then_some("--listen=127.0.0.1:0"))
            .args(self.advertised.borrow().iter().map(|address| format!("--advertise={address}")))
            .env("TMPDIR", self.temporary())
            .env("LOCKSTEP_LOG", self.log.get())
            .envs(self.environment.iter().cloned())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the agent starts");
        let said = lines(agent.stdout.take().expect("was asked for"));
        // Kept from here on, so that it is ended even if it says nothing.
        *self.agent.borrow_mut() = Some(agent);
        let first = said.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let log = std::fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default();
            panic!("{}: the agent does not listen:\n{log}", self.name)
        });
        assert!(first.starts_with("listening on https://127.0.0.1:"), "{}: the agent said {first}", self.name);
        // Whatever else it says is read, so that it never waits for a reader.
        std::thread::spawn(move || said.iter().for_each(drop));
    }

    /// Asks the agent to end, as a service manager does, and gives its exit status.
    #[cfg(unix)]
    pub fn end_agent(&self) -> Option<i32> {
        let mut agent = self.agent.borrow_mut().take().expect("it runs");
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &agent.id().to_string()]);
        assert_eq!(bounded(kill, "").0, 0, "it was started here and has not ended yet");
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = agent.try_wait().expect("it was started here") {
                return status.code();
            }
            if Instant::now() > until {
                let _ = agent.kill();
                let _ = agent.wait();
                panic!("{}: the agent does not end", self.name);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Writes a file beside the databases.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a script can be written");
        path
    }

    /// Starts a command that goes on; the test ends it.
    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = Command::new(binary());
        command.arg("--home").arg(self.home()).arg("--json").args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    /// Ends the agent, if it runs.
    pub fn stop(&self) {
        if let Some(mut agent) = self.agent.borrow_mut().take() {
            agent.kill().expect("it was started here");
            agent.wait().expect("it was started here");
        }
    }

    /// A copy of a database's file, as a superadmin makes it: the application has stopped, and the file alone is taken.
    pub fn copied(&self, database: &str, name: &str) -> PathBuf {
        self.app.close(&self.file(database)).expect("the application stops");
        let to = self.folder.path().join(name);
        std::fs::copy(self.file(database), &to).expect("the file can be copied");
        to
    }

    /// Puts a copy in the place of a database's file. The application starts again with the next statement.
    pub fn put_back(&self, database: &str, copy: &Path) {
        let file = self.file(database);
        self.app.close(&file).expect("the application stops");
        for end in ["-wal", "-shm"] {
            let beside = PathBuf::from(format!("{}{end}", file.display()));
            assert!(!beside.exists(), "at rest the database is one file: {}", beside.display());
        }
        std::fs::copy(copy, file).expect("the file can be copied");
    }

    /// The whole machine as it is now: files and home.
    pub fn snapshot(&self, name: &str) -> PathBuf {
        let to = self.folder.path().join(name);
        for database in &self.databases {
            self.app.close(&self.file(database)).expect("the application stops");
        }
        copy_folder(&self.home(), &to.join("home"));
        for database in &self.databases {
            std::fs::copy(self.file(database), to.join(format!("{database}.db"))).expect("the file can be copied");
        }
        to
    }

    /// Makes this machine what it was at a snapshot.
    pub fn return_to(&self, snapshot: &Path) {
        assert!(self.agent.borrow().is_none(), "nothing may run");
        std::fs::remove_dir_all(self.home()).expect("the home can be removed");
        copy_folder(&snapshot.join("home"), &self.home());
        for database in &self.databases {
            self.put_back(database, &snapshot.join(format!("{database}.db")));
        }
    }

    /// Syncs with one peer, once.
    pub fn sync_with(&self, peer: &Server) -> Run {
        let outcome = self.lockstep(&["sync", peer.name]);
        assert!(matches!(outcome.status, 0 | 3 | 4), "{}: sync ended with {outcome:?}", self.name);
        let peers = outcome.json["peers"].as_array().expect("peers");
        assert_eq!(peers.len(), 1, "one peer was named: {peers:?}");
        Run { status: outcome.status, entry: peers[0].clone() }
    }

    /// The same, however it ends.
    pub fn sync_with_any(&self, peer: &Server) -> Run {
        let outcome = self.lockstep(&["sync", peer.name]);
        Run { status: outcome.status, entry: outcome.json["peers"][0].clone() }
    }

    /// How many changes are held here.
    pub fn held(&self) -> u64 {
        let status = self.well(&["status"]);
        status["databases"].as_array().expect("databases").iter().map(|d| d["held"].as_u64().expect("held")).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.borrow_mut().take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

/// Pairs two servers: `joiner` uses an invite of `host`, which runs an agent from then on. Each calls
/// the other by its name. Runs the first sync.
pub fn pair(joiner: &Server, host: &Server) -> Run {
    host.serve();
    let invite = host.well(&["invite"]);
    let invite = invite["invite"].as_str().expect("an invite");
    joiner.pair_with(host, invite)
}

/// Two servers of one schema that are attached, paired and empty: `(host, joiner)`.
pub fn two(schema: Schema<'_>) -> (Server, Server) {
    two_begun(schema, |_, _| ())
}

/// Two servers that began separately: `write` fills them before Lockstep comes.
pub fn two_begun(schema: Schema<'_>, write: impl FnOnce(&Server, &Server)) -> (Server, Server) {
    let (a, b) = (Server::new("alpha", schema), Server::new("beta", schema));
    write(&a, &b);
    a.attach();
    b.attach();
    let run = pair(&b, &a);
    assert!(run.verified(), "the first sync is verified: {run:?}");
    (a, b)
}

/// One sync, which has to end verified, and everything that must hold after it on both sides.
pub fn sync(joiner: &Server, host: &Server) -> Run {
    let run = joiner.sync_with(host);
    assert!(run.verified() && run.status != 4, "{} with {}: {run:?}", joiner.name, host.name);
    sound(&[joiner, host]);
    run
}

/// What must hold on every server at any time: sound files, no foreign key violated, nothing lost,
/// digests that agree with the peers'.
pub fn sound(servers: &[&Server]) {
    for server in servers {
        for database in &server.databases {
            assert_eq!(server.lines(database, "PRAGMA integrity_check"), ["ok"], "{} {database}", server.name);
            let broken = server.lines(database, "PRAGMA foreign_key_check");
            assert!(broken.is_empty(), "{} {database}: foreign keys: {broken:?}", server.name);
        }
        let status = server.well(&["status"]);
        assert_eq!(status["values_lost"], json!(0), "{}: {status}", server.name);
    }
    let verified = servers[0].lockstep(&["verify", servers[1].name]);
    assert!(matches!(verified.status, 0 | 3), "{}: {verified:?}", servers[0].name);
    assert_eq!(verified.json["equal"], json!(true), "{}: {}", servers[0].name, verified.json);
}

/// Every server reads these rows.
pub fn all_read(servers: &[&Server], database: &str, sql: &str, expected: &[&str]) {
    let mut expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
    expected.sort();
    for server in servers {
        assert_eq!(server.lines(database, sql), expected, "{}: {sql}", server.name);
    }
}

/// Every server reads the same rows, and these are returned.
pub fn all_agree(servers: &[&Server], database: &str, sql: &str) -> Vec<String> {
    let first = servers[0].lines(database, sql);
    for server in &servers[1..] {
        assert_eq!(server.lines(database, sql), first, "{} and {}: {sql}", server.name, servers[0].name);
    }
    first
}

/// The `lockstep` command: built once for all tests, or named by `LOCKSTEP_BIN`.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(named) = std::env::var_os("LOCKSTEP_BIN") {
            return PathBuf::from(named);
        }
        // This test lies in <target>/<profile>/deps.
        let test = std::env::current_exe().expect("the test knows itself");
        let profile = test.parent().and_then(Path::parent).expect("<target>/<profile>/deps").to_path_buf();
        let target = profile.parent().expect("<target>/<profile>");
        let name = profile.file_name().and_then(|n| n.to_str()).expect("a profile");
        let done = Command::new(env!("CARGO"))
            .args(["build", "-p", "lockstep-cli", "--profile", if name == "debug" { "dev" } else { name }])
            .arg("--target-dir")
            .arg(target)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .status()
            .expect("cargo runs");
        assert!(done.success(), "lockstep-cli builds");
        profile.join(format!("lockstep{}", std::env::consts::EXE_SUFFIX))
    })
}

/// Waits until something is so.
pub fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "{what}: in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The library by which a process sees a clock that is off.
#[cfg(target_os = "linux")]
fn clock() -> &'static Path {
    static LIBRARY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder for the library");
        let library = folder.path().join("clock.so");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(&library);
        cc.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/clock.c")).arg("-ldl");
        let (status, _, said) = bounded(cc, "");
        assert_eq!(status, 0, "{said}");
        (folder, library)
    });
    library
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("it can be read") {
        let entry = entry.expect("it can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("it has one").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("it can be copied");
        }
    }
}

/// Runs a command to its end, within `PATIENCE`: exit status, standard output, standard error.
pub fn bounded(mut command: Command, input: &str) -> (i32, String, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A command that ends without reading its input is judged by its status, not here.
    let _ = child.stdin.take().expect("was asked for").write_all(input.as_bytes());
    let stdout = collect(child.stdout.take().expect("was asked for"));
    let stderr = collect(child.stderr.take().expect("was asked for"));
    let until = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            break status;
        }
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} does not end:\n{}", stderr.join().unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    (status.code().unwrap_or(-1), stdout.join().expect("read"), stderr.join().expect("read"))
}

fn collect(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

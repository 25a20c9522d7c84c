//! The command as scripts see it: one JSON document, an exit status, and nothing that should not be shown.
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Only a test that hangs is ended by it.
const PATIENCE: Duration = Duration::from_secs(120);
/// Stands for a password hash; must be nowhere but in the databases.
const CANARY: &str = "pbkdf2$canary$5c1e0f";

struct Site {
    dir: tempfile::TempDir,
    agent: Option<Child>,
}

struct Ended {
    status: i32,
    out: String,
    err: String,
}

impl Ended {
    fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "one document: {}{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

impl Site {
    fn empty() -> Site {
        Site { dir: tempfile::tempdir().unwrap(), agent: None }
    }

    fn attached(name: &str) -> Site {
        let site = Site::empty();
        site.app(
            "CREATE TABLE user(id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, password_hash TEXT, team INTEGER);
             INSERT INTO user(username, password_hash) VALUES('admin', 'x');",
        );
        site.well(&["init", "--name", name]);
        site.well(&["attach", &format!("users={}", site.file().display())]);
        site
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("users.db")
    }

    fn app(&self, sql: &str) {
        let db = Connection::open(self.file()).unwrap();
        db.busy_timeout(Duration::from_secs(20)).unwrap();
        db.execute_batch(sql).unwrap();
    }

    fn schema_and_rows(&self) -> Vec<String> {
        let db = Connection::open(self.file()).unwrap();
        let mut all = Vec::new();
        for sql in ["SELECT coalesce(sql, name) FROM sqlite_master ORDER BY name", "SELECT id || username FROM user"] {
            let mut statement = db.prepare(sql).unwrap();
            let rows = statement.query_map([], |r| r.get::<_, String>(0)).unwrap();
            all.extend(rows.map(Result::unwrap));
        }
        all
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.arg("--home").arg(self.home()).args(args).env_remove("LOCKSTEP_HOME").env_remove("LOCKSTEP_LOG");
        command
    }

    /// What is printed goes to files, so that no pipe can fill up.
    fn run(&self, args: &[&str], input: &str) -> Ended {
        let [given, out, err] = ["given", "out", "err"]
            .map(|end| tempfile::Builder::new().prefix(end).tempfile_in(self.dir.path()).unwrap().into_temp_path());
        std::fs::write(&given, input).unwrap();
        let create = |path: &Path| std::fs::File::create(path).unwrap();
        let mut child = self
            .command(args)
            .stdin(std::fs::File::open(&given).unwrap())
            .stdout(create(&out))
            .stderr(create(&err))
            .spawn()
            .unwrap();
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.code().unwrap_or(-1);
            }
            if Instant::now() > until {
                child.kill().unwrap();
                panic!("{args:?} does not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let read = |path: &Path| String::from_utf8(std::fs::read(path).unwrap()).unwrap();
        Ended { status, out: read(&out), err: read(&err) }
    }

    fn json(&self, args: &[&str]) -> (i32, Value) {
        let ended = self.run(&[&["--json"], args].concat(), "");
        (ended.status, ended.json())
    }

    fn well(&self, args: &[&str]) -> Value {
        let (status, json) = self.json(args);
        assert!(matches!(status, 0 | 3), "{args:?}: {status} {json}");
        json
    }

    fn serve(&mut self) -> String {
        let log = std::fs::File::create(self.dir.path().join("agent.log")).unwrap();
        let args = ["--json", "agent", "--listen", "127.0.0.1:0"];
        let mut agent =
            self.command(&args).env("LOCKSTEP_LOG", "debug").stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(agent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.agent = Some(agent);
        let said: Value = serde_json::from_str(&line).unwrap();
        said["listening"].as_str().unwrap().to_owned()
    }

    /// Ends the agent as a service manager would. Gives its exit status.
    #[cfg(unix)]
    fn end(&mut self) -> i32 {
        let mut agent = self.agent.take().unwrap();
        let done = Command::new("kill").args(["-TERM", &agent.id().to_string()]).status().unwrap();
        assert!(done.success());
        agent.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
    }
}

/// Pairs two sites, without a sync of the host's own: the joiner has no agent.
fn paired() -> (Site, Site) {
    let (mut host, joiner) = (Site::attached("hq"), Site::attached("pit"));
    host.serve();
    let invite = host.well(&["invite"])["invite"].as_str().unwrap().to_owned();
    let ended = joiner.run(&["--json", "pair", "-", "--yes"], &format!("{invite}\n"));
    assert!(matches!(ended.status, 0 | 3), "{}{}", ended.out, ended.err);
    let json = ended.json();
    assert_eq!((json["peer"].as_str(), json["run"]["verified"].as_bool()), (Some("hq"), Some(true)), "{json}");
    (host, joiner)
}

#[test]
fn wrong_usage_is_status_2_and_json_where_it_was_asked_for() {
    let site = Site::empty();
    for args in [&["attach"][..], &["sync", "a", "b"], &["nonsense"], &["attach", "no-file"], &["pair", "lockstep:abc"]]
    {
        let (status, json) = site.json(args);
        assert_eq!(status, 2, "{args:?}: {json}");
        assert_eq!(json["error"]["code"], "usage", "{json}");
        assert_eq!(site.run(args, "").status, 2);
    }
    let help = site.run(&["--help"], "");
    assert_eq!(help.status, 0);
    assert!(help.out.contains("lockstep pair"));
}

#[test]
fn a_failure_is_status_1_with_a_code_a_sentence_and_a_hint() {
    let site = Site::empty();
    let (status, json) = site.json(&["status"]);
    assert_eq!((status, &json["error"]["code"]), (1, &json!("no_node")));
    assert!(json["error"]["hint"].as_str().is_some_and(|h| h.contains("lockstep init")));
    site.well(&["init", "--name", "a"]);
    let (status, json) = site.json(&["init"]);
    assert_eq!((status, &json["error"]["code"]), (1, &json!("node_exists")));
    let (status, json) = site.json(&["attach", &format!("users={}", site.file().display())]);
    assert_eq!(status, 1, "{json}");
    let (status, json) = site.json(&["sync", "nobody"]);
    assert_eq!((status, &json["error"]["code"]), (1, &json!("unknown_peer")));
    let ended = site.run(&["tables", "nothing"], "");
    assert_eq!((ended.status, ended.out.as_str()), (1, ""));
    assert!(ended.err.contains("there is no database named `nothing`"), "{}", ended.err);
}

#[test]
fn a_database_is_attached_looked_at_copied_and_detached_without_a_trace() {
    let site = Site::empty();
    site.app("CREATE TABLE user(id INTEGER PRIMARY KEY, username TEXT UNIQUE); INSERT INTO user VALUES(7, 'a')");
    let before = site.schema_and_rows();
    site.well(&["init", "--name", "a"]);
    let attach = ["attach", &format!("users={}", site.file().display())];
    let attached = site.well(&attach);
    let database = &attached["databases"][0];
    assert_eq!((&database["name"], &database["tables"][0]["name"]), (&json!("users"), &json!("user")));
    assert_eq!(database["tables"][0]["rows"], 1);
    assert_eq!(database["tables"][0]["identity"], json!([["username"]]));
    assert!(Path::new(database["backup"].as_str().unwrap()).exists());
    site.well(&attach);
    let digest = site.well(&["digest", "users", "--table", "user"]);
    assert_eq!(digest["tables"][0]["digest"].as_str().map(str::len), Some(32));
    let copy = site.dir.path().join("copy.db");
    let backup = site.well(&["backup", "users", copy.to_str().unwrap(), "--clean"]);
    assert_eq!(backup["sha256"].as_str().map(str::len), Some(64));
    let (status, json) = site.json(&["backup", "users", copy.to_str().unwrap()]);
    assert_eq!((status, &json["error"]["code"]), (1, &json!("file_exists")));
    assert_eq!(site.well(&["detach", "users"]), json!({ "name": "users", "removed": true }));
    assert_eq!(site.schema_and_rows(), before);
    let copied = Site { dir: tempfile::tempdir().unwrap(), agent: None };
    std::fs::copy(&copy, copied.file()).unwrap();
    assert_eq!(copied.schema_and_rows(), before, "a clean copy has nothing of Lockstep in it");
}

#[test]
fn the_exit_status_says_whether_somebody_is_waited_for_and_whether_the_sides_agree() {
    let (host, joiner) = paired();
    assert_eq!(joiner.json(&["sync"]).0, 0);
    assert_eq!(joiner.json(&["verify"]).0, 0);
    let (status, proof) = host.json(&["verify"]);
    assert_eq!((status, &proof["equal"]), (0, &json!(true)), "what the joiner last told stands: {proof}");

    joiner.app("INSERT INTO user(username) VALUES('scout')");
    let pending = joiner.well(&["pending"]);
    assert_eq!(pending["changes"][0]["operation"], "insert", "{pending}");
    assert_eq!(pending["changes"][0]["peers"], json!(["hq"]));
    let preview = joiner.well(&["preview"]);
    assert_eq!((&preview["outgoing"]["inserts"], &preview["incoming"]["inserts"]), (&json!(1), &json!(0)), "{preview}");
    assert_eq!(joiner.json(&["verify"]).0, 4, "one side has more than the other");
    let synced = joiner.well(&["sync", "hq"]);
    assert_eq!((&synced["peers"][0]["sent"], &synced["peers"][0]["verified"]), (&json!(1), &json!(true)), "{synced}");
    assert_eq!(joiner.well(&["pending"])["changes"], json!([]));
    let there = host.well(&["runs"]);
    assert_eq!((&there["runs"][0]["trigger"], &there["runs"][0]["received"]), (&json!("peer"), &json!(1)), "{there}");
    assert_eq!(there["runs"][0]["result"], "verified", "{there}");

    host.app("UPDATE user SET team = 1 WHERE username = 'admin'");
    joiner.app("UPDATE user SET team = 2 WHERE username = 'admin'");
    assert_eq!(joiner.json(&["sync"]).0, 3, "a conflict nobody has looked at");
    let conflicts = joiner.well(&["conflicts"]);
    let conflict = &conflicts["conflicts"][0];
    assert_eq!((&conflict["kind"], &conflict["columns"]), (&json!("update_update"), &json!(["team"])), "{conflicts}");
    let runs = joiner.well(&["runs"]);
    assert_eq!(runs["runs"][0]["result"], "verified", "{runs}");
    assert_eq!(runs["rates"][0]["peer"], "hq");
}

#[test]
fn a_peer_that_does_not_answer_is_a_failed_run_with_its_reason() {
    let (mut host, joiner) = paired();
    host.agent.take().map(|mut a| a.kill().and_then(|()| a.wait())).unwrap().unwrap();
    let (status, json) = joiner.json(&["sync"]);
    assert_eq!(status, 1);
    assert_eq!(json["peers"][0]["error"]["code"], "unreachable", "{json}");
    assert_eq!((&json["peers"][0]["verified"], &json["peers"][0]["result"]), (&json!(false), &json!("failed")));
    let status = joiner.well(&["status"]);
    assert_eq!(status["peers"][0]["reachable"], false, "{status}");
    assert_eq!(joiner.well(&["runs"])["runs"][0]["error"]["code"], "unreachable");
}

#[test]
fn a_declined_or_broken_invite_pairs_nothing() {
    let (mut host, joiner) = (Site::attached("hq"), Site::attached("pit"));
    host.serve();
    let invite = host.well(&["invite", "--expires", "1m"])["invite"].as_str().unwrap().to_owned();
    let broken = joiner.run(&["--json", "pair", "-", "--yes"], &invite[..invite.len() - 9]);
    assert_eq!((broken.status, &broken.json()["error"]["code"]), (1, &json!("invite_malformed")));
    let unasked = joiner.run(&["--json", "pair", "-"], &invite);
    assert_eq!((unasked.status, &unasked.json()["error"]["code"]), (2, &json!("needs_yes")));
    assert_eq!(joiner.well(&["peers"])["peers"], json!([]));
    assert_eq!(host.well(&["peers"])["peers"], json!([]));
}

#[test]
fn an_invite_on_the_command_line_is_not_said_again() {
    let site = Site::empty();
    for args in
        [&["pair", "lockstep:c2VjcmV0"][..], &["pair", "-", "lockstep:c2VjcmV0"], &["pari", "lockstep:c2VjcmV0"]]
    {
        for json in [&[][..], &["--json"]] {
            let ended = site.run(&[json, args].concat(), "");
            let said = format!("{}{}", ended.out, ended.err);
            assert_eq!(ended.status, 2, "{args:?}: {said}");
            assert!(!said.contains("c2VjcmV0") && said.contains("replace this one"), "{args:?}: {said}");
        }
    }
}

#[test]
fn what_is_mistyped_is_wrong_usage_that_says_what_may_be_said() {
    let site = Site::empty();
    let bad_name = site.json(&["init", "--name", "a/b"]);
    assert_eq!((bad_name.0, &bad_name.1["error"]["code"]), (1, &json!("bad_name")));
    assert!(!site.home().exists(), "nothing is left of it");
    site.well(&["init", "--name", "hq"]);
    for (args, says) in [
        (["--listen", "nonsense"], "say host:port"),
        (["--listen", ""], "say host:port"),
        (["--listen", ":99999"], "say host:port"),
        (["--metrics", "nonsense"], "say host:port of this computer alone"),
        (["--metrics", "0.0.0.0:9467"], "say host:port of this computer alone"),
    ] {
        let (status, json) = site.json(&[&["agent"], &args[..]].concat());
        assert_eq!(status, 2, "{args:?}: {json}");
        assert!(json["error"]["message"].as_str().is_some_and(|m| m.contains(says)), "{args:?}: {json}");
    }
    for (args, says) in [(["notify.failures", "5"], "first, third, never"), (["guard.rows", "-3"], "whole number")] {
        let (status, json) = site.json(&[&["settings"], &args[..]].concat());
        assert_eq!((status, &json["error"]["code"]), (1, &json!("bad_setting")), "{json}");
        assert!(json["error"]["message"].as_str().is_some_and(|m| m.contains(says)), "{args:?}: {json}");
    }
    let (status, json) = site.json(&["sync"]);
    assert_eq!((status, &json["error"]["code"]), (1, &json!("no_peers")));
    site.well(&["pause"]);
    assert!(site.run(&["status"], "").out.contains("rests until `lockstep resume`"));
}

#[test]
fn a_start_that_fails_changes_nothing_of_what_is_remembered() {
    let mut site = Site::attached("hq");
    site.serve();
    let before = site.well(&["invite"]);
    site.agent.take().map(|mut a| a.kill().and_then(|()| a.wait())).unwrap().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = taken.local_addr().unwrap().to_string();
    let (status, json) = site.json(&["agent", "--listen", "127.0.0.1:0", "--advertise", "x:1", "--metrics", &metrics]);
    assert_eq!((status, &json["error"]["code"]), (1, &json!("listen")), "{json}");
    // Up to the secret an invite is the same as long as it names the same address.
    let begins = |json: &Value| json["invite"].as_str().unwrap()[..60].to_owned();
    assert_eq!(begins(&site.well(&["invite"])), begins(&before));
}

#[test]
fn at_a_glance_it_is_seen_how_reliable_a_peer_is_and_why_not() {
    let (mut host, joiner) = paired();
    let shown = joiner.run(&["peers"], "").out;
    for word in ["verified", "100 %", "lag", "users", "both"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    host.agent.take().map(|mut a| a.kill().and_then(|()| a.wait())).unwrap().unwrap();
    joiner.json(&["sync"]);
    for args in [["peers"], ["status"]] {
        let shown = joiner.run(&args, "").out;
        for word in ["failed", "50 %", "can't be reached", "whether its agent runs"] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
    }
}

#[test]
fn a_share_that_names_nothing_is_refused_and_of_nothing_nothing_is_claimed() {
    let (mut host, joiner) = (Site::attached("hq"), Site::attached("pit"));
    host.serve();
    let refused = |(status, json): (i32, Value)| {
        assert_eq!((status, &json["error"]["code"]), (1, &json!("unknown_table")), "{json}");
        assert!(json["error"]["message"].as_str().is_some_and(|m| m.contains("`users.nix`")), "{json}");
    };
    refused(host.json(&["invite", "--share", "users.nix"]));
    let invite = host.well(&["invite"])["invite"].as_str().unwrap().to_owned();
    let mistyped = joiner.run(&["--json", "pair", "-", "--yes", "--share", "users.nix"], &invite);
    refused((mistyped.status, mistyped.json()));
    assert_eq!(host.well(&["peers"])["peers"], json!([]), "nobody was asked");
    let paired = joiner.run(&["--json", "pair", "-", "--yes", "--share", "users.user"], &invite);
    assert_eq!(paired.status, 0, "{}{}", paired.out, paired.err);
    refused(host.json(&["peers", "share", "pit", "users.nix", "both"]));
    assert_eq!(host.well(&["peers"])["peers"][0]["shares"].as_array().map(Vec::len), Some(1));

    // A file without a table: there is nothing to compare.
    for (site, peer) in [(&joiner, "hq"), (&host, "pit")] {
        let file = site.dir.path().join("empty.db");
        Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 1").unwrap();
        site.well(&["attach", &format!("empty={}", file.display())]);
        site.well(&["peers", "share", peer, "empty", "both"]);
        site.well(&["peers", "share", peer, "users.user", "none"]);
    }
    let (status, synced) = joiner.json(&["sync"]);
    let entry = &synced["peers"][0];
    assert_eq!((status, &entry["verified"], &entry["result"]), (4, &json!(false), &json!("partial")), "{synced}");
    assert!(entry["error"]["message"].as_str().is_some_and(|m| m.contains("nothing was compared")), "{synced}");
    assert_eq!(joiner.json(&["verify"]).0, 4);
}

#[cfg(unix)]
#[test]
fn no_row_s_value_leaves_the_databases_and_the_agent_ends_when_it_is_asked_to() {
    use std::os::unix::fs::PermissionsExt;
    let (mut host, joiner) = paired();
    host.app(&format!("UPDATE user SET password_hash = '{CANARY}1' WHERE username = 'admin'"));
    joiner.app(&format!("UPDATE user SET password_hash = '{CANARY}2' WHERE username = 'admin'"));
    joiner.well(&["sync"]);
    let id = joiner.well(&["conflicts"])["conflicts"][0]["id"].as_str().unwrap().to_owned();
    let mut said = String::new();
    for args in [&["conflicts"][..], &["conflicts", "show", &id], &["runs"], &["status"], &["verify"], &["sync"]] {
        for json in [&[][..], &["--json"]] {
            let ended = joiner.run(&[json, args].concat(), "");
            said.push_str(&ended.out);
            said.push_str(&ended.err);
        }
    }
    assert!(!said.contains(CANARY), "masked unless it is asked for");
    let revealed = joiner.well(&["--reveal", "conflicts", "show", &id]);
    assert!(revealed["winner"]["password_hash"].as_str().is_some_and(|v| v.starts_with(CANARY)), "{revealed}");
    assert_eq!(host.end(), 0);
    for site in [&host, &joiner] {
        for file in files(site.dir.path()) {
            let bytes = std::fs::read(&file).unwrap();
            let found = bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes());
            let is_database = file.file_name().is_some_and(|n| n.to_string_lossy().starts_with("users.db"));
            assert!(!found || is_database, "{}", file.display());
            if file.starts_with(site.home()) {
                let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", file.display());
            }
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|p| if p.is_dir() { files(&p) } else { vec![p] }).collect()
}

#[test]
fn a_table_is_configured_while_it_is_attached_and_stays_so_when_it_is_attached_again() {
    let site = Site::attached("hq");
    let said =
        site.well(&["configure", "users.user", "--policy", "review", "--column", "team=newest", "--guard", "5:0.5"]);
    assert_eq!(
        (&said["config"]["policy"], &said["config"]["columns"]),
        (&json!("review"), &json!({ "team": "newest" }))
    );
    assert_eq!(said["config"]["guard"], json!({ "rows": 5, "share": 0.5 }));
    site.well(&["attach", &format!("users={}", site.file().display()), "--no-backup"]);
    let said = site.well(&["configure", "users.user", "--column", "team=table", "--guard", "node", "--merge", "row"]);
    assert_eq!((&said["config"]["policy"], &said["config"]["columns"]), (&json!("review"), &json!({})));
    assert_eq!((&said["config"]["guard"], &said["config"]["merge"]), (&json!(null), &json!("row")));
    for (wrong, code) in [
        (["users.user", "--column", "nothing=review"], "schema"),
        (["users.user", "--column", "team"], "bad_policy"),
        (["users.user", "--guard", "5"], "bad_guard"),
        (["users.user", "--guard", "5:2"], "bad_setting"),
        (["users.nothing", "--merge", "row"], "unknown_table"),
    ] {
        let (_, said) = site.json(&[&["configure"], &wrong[..]].concat());
        assert_eq!(said["error"]["code"], code, "{wrong:?}");
    }
    assert_eq!(site.well(&["settings", "guard.rows", "7"])["settings"]["guard.rows"], "7");
}

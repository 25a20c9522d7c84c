//! The application: a Python process that writes through its own SQLite library.
//!
//! What always holds: statements run one after another on connections that stay open, as those of a
//! real application do. The process ends with the value that holds it.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// How long one statement may take. Only a test that hangs is ended by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// One process of the application.
pub struct App {
    process: Child,
    pipe: RefCell<ChildStdin>,
    answers: Receiver<String>,
}

/// Rows, or what SQLite said.
type Answer = Result<Vec<Vec<Value>>, String>;

impl App {
    pub fn start() -> App {
        App::start_in(&[])
    }

    /// In this environment.
    pub fn start_in(environment: &[(String, String)]) -> App {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/app.py");
        let mut process = Command::new("python3")
            .arg(script)
            .envs(environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed: the tests write through its SQLite");
        let pipe = RefCell::new(process.stdin.take().expect("was asked for"));
        let answers = lines(process.stdout.take().expect("was asked for"));
        App { process, pipe, answers }
    }

    fn ask(&self, request: &Value) -> Answer {
        writeln!(self.pipe.borrow_mut(), "{request}").expect("the application runs");
        let line = self.answers.recv_timeout(PATIENCE).expect("the application answers");
        let reply: Value = serde_json::from_str(&line).expect("the application answers in JSON");
        if let Some(error) = reply["error"].as_str() {
            return Err(error.to_owned());
        }
        Ok(serde_json::from_value(reply["rows"].clone()).expect("rows"))
    }

    /// One statement.
    pub fn run(&self, file: &Path, sql: &str) -> Answer {
        self.ask(&json!({ "file": file, "sql": sql }))
    }

    /// One statement for each of many rows, in one transaction.
    pub fn many(&self, file: &Path, sql: &str, rows: Value) -> Answer {
        self.ask(&json!({ "file": file, "sql": sql, "many": rows }))
    }

    /// Several statements.
    pub fn script(&self, file: &Path, sql: &str) -> Answer {
        self.ask(&json!({ "file": file, "script": sql }))
    }

    /// Closes its connection to a file, as when it stops.
    pub fn close(&self, file: &Path) -> Answer {
        self.ask(&json!({ "file": file, "close": true }))
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The lines of a pipe, as they come, so that waiting for one can be bounded.
pub fn lines(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

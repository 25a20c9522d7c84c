//! What a person at a terminal is asked, and what comes of no answer.
#![cfg(unix)]

use std::process::{Command, Stdio};

use serde_json::json;

use crate::server::{Schema, Server, binary};

const SHOP: Schema<'static> = Schema {
    databases: &[("shop", "CREATE TABLE item (id INTEGER NOT NULL, tag TEXT, PRIMARY KEY (id));")],
    config: "",
};

/// Runs a command on a terminal of its own. For each pair of arguments it waits until it reads the one, and types the
/// other. Ends with the command's exit status; prints all that it said.
const TERMINAL: &str = r#"
import os, pty, signal, sys
signal.alarm(100)
command, talk = sys.argv[1].split("\n"), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
said = b""
def read():
    global said
    try:
        more = os.read(terminal, 65536)
    except OSError:
        more = b""
    said += more
    return more
for wait, answer in zip(talk[::2], talk[1::2]):
    while wait.encode() not in said and read():
        pass
    said = said.partition(wait.encode())[2]
    os.write(terminal, answer.encode())
while read():
    pass
os.write(1, said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

#[test]
fn ctrl_c_at_the_question_declines_and_neither_side_keeps_a_pairing() {
    let (host, joiner) = (Server::new("alpha", SHOP), Server::new("beta", SHOP));
    for server in [&host, &joiner] {
        server.attach();
    }
    host.serve();
    for (answer, code) in [("\u{3}", "interrupted"), ("n\n", "declined")] {
        let invite = host.well(&["invite"])["invite"].as_str().expect("an invite").to_owned();
        let home = joiner.home();
        let command = [binary().to_str().expect("UTF-8"), "--home", home.to_str().expect("UTF-8"), "pair"];
        let mut terminal = Command::new("python3");
        terminal.args(["-c", TERMINAL, &command.join("\n"), "Invite: ", &format!("{invite}\n")]);
        let done = terminal.args(["Pair and sync? [y/N] ", answer]).stdin(Stdio::null()).output().expect("python runs");
        let said = String::from_utf8_lossy(&done.stdout);
        assert_eq!(done.status.code(), Some(1), "{code}: {said}{}", String::from_utf8_lossy(&done.stderr));
        assert!(said.contains("nothing was paired and nothing was exchanged"), "{code}: {said}");
        for server in [&host, &joiner] {
            assert_eq!(server.well(&["peers"])["peers"], json!([]), "{code}: {}", server.name);
        }
    }
}

//! The `lockstep` command: the agent, and every administration task.
//!
//! Always true here: with `--json` exactly one JSON document is printed, whatever happens; the exit status says what
//! came of it. Not here: anything that another face of the node would have to do again.
mod arguments;
mod command;
mod outcome;
mod progress;
mod text;

use arguments::{Arguments, Command};
use clap::Parser;
use clap::error::ErrorKind;
use lockstep_node::{Error, Home, Node, platform};
use outcome::{Exit, Failure, Outcome};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => return wrong_usage(&e),
    };
    let json = arguments.json;
    log(&arguments);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return outcome::fail(&Failure::usage("no_runtime", e.to_string(), ""), json),
    };
    match runtime.block_on(run(arguments)) {
        Ok(outcome) => outcome.print(json),
        Err(failure) => outcome::fail(&failure, json),
    }
}

/// Help and version go to standard output and are no failure; all else is wrong usage, and JSON where it was asked for.
fn wrong_usage(e: &clap::Error) -> ExitCode {
    let asked = matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !asked && std::env::args_os().any(|a| a.to_string_lossy().trim_start().starts_with("lockstep:")) {
        return outcome::fail(&spoiled_invite(), std::env::args_os().any(|a| a == "--json"));
    }
    if asked || !std::env::args_os().any(|a| a == "--json") {
        // If even that can't be printed, the exit status is all that can be said.
        let _ = e.print();
        return if asked { ExitCode::SUCCESS } else { Exit::Usage.into() };
    }
    let text = e.render().to_string();
    let message = text.lines().next().unwrap_or("wrong usage").trim_start_matches("error: ").to_owned();
    outcome::fail(&Failure::usage("usage", message, "see `lockstep help`"), true)
}

/// An invite on the command line stands in the shell's history and in the list of processes. It is not said again.
fn spoiled_invite() -> Failure {
    Failure::usage(
        "usage",
        "an invite is a secret and is never given on the command line, where others can read it",
        "replace this one: make a new invite on the other node, then say `lockstep pair`, which asks for it",
    )
}

/// Logs go to standard error: little for a command, more for the agent, all of it by `LOCKSTEP_LOG`.
fn log(arguments: &Arguments) {
    use tracing_subscriber::EnvFilter;
    let usual = match arguments.command {
        Command::Agent { .. } => "info",
        _ => "error",
    };
    let filter = EnvFilter::try_from_env("LOCKSTEP_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if arguments.json && matches!(arguments.command, Command::Agent { .. }) {
        builder.json().init();
    } else {
        builder.with_ansi(text::coloured(&std::io::stderr())).init();
    }
}

/// What every command is given.
struct Context {
    home: Home,
    json: bool,
    reveal: bool,
}

impl Context {
    fn node(&self) -> Result<Arc<Node>, Error> {
        Ok(Arc::new(Node::open(self.home.clone())?))
    }
}

async fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let home = arguments.home.or_else(platform::default_home).ok_or_else(|| {
        Failure::usage("no_home", "this computer names no folder for data", "name one with --home or LOCKSTEP_HOME")
    })?;
    let context = Context { home: Home::at(home), json: arguments.json, reveal: arguments.reveal };
    command::run(&context, arguments.command).await
}

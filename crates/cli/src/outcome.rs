//! How a command ends: one JSON document or a text for people, and an exit status.
use lockstep_node::Error;
use lockstep_node::status::Problem;
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

/// The exit status. Of several, the highest applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// Done, but something waits for a person.
    Waits = 3,
    /// The sides do not agree.
    Differs = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    json: Value,
    text: String,
    exit: Exit,
    /// Of another program, passed on as it is.
    status: Option<u8>,
}

impl Outcome {
    /// A document for scripts and a text for people.
    pub fn new(json: impl Serialize, text: impl Into<String>) -> Outcome {
        let json = serde_json::to_value(json).unwrap_or_else(|e| json!({ "error": { "message": e.to_string() } }));
        Outcome { json, text: text.into(), exit: Exit::Done, status: None }
    }

    /// Nothing to print; it was printed already.
    pub fn silent() -> Outcome {
        Outcome { json: Value::Null, text: String::new(), exit: Exit::Done, status: None }
    }

    /// With this exit status, unless it has a higher one.
    #[must_use]
    pub fn ends(mut self, exit: Exit) -> Outcome {
        self.exit = self.exit.max(exit);
        self
    }

    /// With this exit status if that is so.
    #[must_use]
    pub fn ends_if(self, so: bool, exit: Exit) -> Outcome {
        if so { self.ends(exit) } else { self }
    }

    /// With the exit status of another program; what does not fit is 1.
    #[must_use]
    pub fn with_status(self, status: i32) -> Outcome {
        Outcome { status: Some(u8::try_from(status).unwrap_or(1)), ..self }
    }

    /// Prints it.
    pub fn print(self, json: bool) -> ExitCode {
        let printed = if self.json.is_null() {
            Ok(())
        } else if json {
            writeln!(std::io::stdout(), "{}", self.json)
        } else if self.text.is_empty() {
            Ok(())
        } else {
            writeln!(std::io::stdout(), "{}", self.text.trim_end_matches('\n'))
        };
        // A reader that has gone away (`| head`) is no failure.
        match printed {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Exit::Failed.into(),
            _ => self.status.map_or_else(|| self.exit.into(), ExitCode::from),
        }
    }
}

/// Why a command did not do all that it was asked to.
#[derive(Debug)]
pub struct Failure {
    problem: Problem,
    exit: Exit,
}

impl Failure {
    /// The person said something that can't be done.
    pub fn usage(code: &str, message: impl Into<String>, hint: &str) -> Failure {
        Failure { exit: Exit::Usage, ..Failure::failed(code, message, hint) }
    }

    /// It was said well, and did not come to pass.
    pub fn failed(code: &str, message: impl Into<String>, hint: &str) -> Failure {
        let hint = Some(hint.to_owned()).filter(|h| !h.is_empty());
        Failure { problem: Problem { code: code.to_owned(), message: message.into(), hint }, exit: Exit::Failed }
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure { problem: e.problem(), exit: Exit::Failed }
    }
}

/// Prints a failure.
pub fn fail(failure: &Failure, json: bool) -> ExitCode {
    let Problem { code, message, hint } = &failure.problem;
    // If that can't be printed either, the exit status is all that can be said.
    let _ = if json {
        let error = json!({ "error": { "code": code, "message": message, "hint": hint } });
        writeln!(std::io::stdout(), "{error}")
    } else {
        let hint = hint.as_ref().map(|h| format!("\n  {h}")).unwrap_or_default();
        writeln!(std::io::stderr(), "lockstep: {message}{hint}")
    };
    failure.exit.into()
}

//! What the page is told when something did not work: a stable code, a sentence, a hint.

use serde::Serialize;

/// A failure as a person and the page can use it. Never holds a value of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Failure {
    /// Stable; the page decides by it what to show.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// What to do about it, if anything is known.
    pub hint: Option<String>,
}

/// As the node says it. That a row has changed is told from that a set of things has.
pub(crate) fn failure(problem: lockstep_node::status::Problem) -> Failure {
    let code = if problem.code == "changed" { "row_changed".to_owned() } else { problem.code };
    Failure { code, message: problem.message, hint: problem.hint }
}

/// What was asked of the node came to no end.
pub(crate) fn broken_off(error: tauri::Error) -> Failure {
    Failure { code: "console_broken_off".to_owned(), message: format!("The node broke off: {error}."), hint: None }
}

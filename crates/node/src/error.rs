//! Everything that can go wrong at the node's edge, with a stable code, a sentence and a hint.
use crate::status::Problem;
use crate::{engine, home, identity, state};

/// An error of the node, whichever part it comes from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node's folder.
    #[error(transparent)]
    Home(#[from] home::Error),
    /// The node's key.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The node's state database.
    #[error(transparent)]
    State(#[from] state::Error),
    /// A database, by its name.
    #[error("{database}: {source}")]
    Engine {
        /// Logical name.
        database: String,
        /// What the engine said.
        source: engine::Error,
    },
}

impl Error {
    /// Stable, for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Home(e) => e.code(),
            Error::Identity(e) => e.code(),
            Error::State(e) => e.code(),
            Error::Engine { source, .. } => source.code(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Home(e) => e.hint().map(str::to_owned),
            Error::Identity(_) => None,
            Error::State(e) => e.hint().map(str::to_owned),
            Error::Engine { source, .. } => source.hint(),
        }
    }

    /// As it is shown and recorded.
    pub fn problem(&self) -> Problem {
        Problem { code: self.code().to_owned(), message: self.to_string(), hint: self.hint() }
    }
}

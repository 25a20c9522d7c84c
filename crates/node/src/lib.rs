//! The living node of Lockstep: its key, its peers, the sessions with them, and the record of it all.
//!
//! It knows the terminal no more than the desktop: `lockstep` and the console are two faces of [`Node`], and what one
//! of them can do the other can. It reads the application's rows only through the engine, and never writes their
//! values into a log, an error or its own state.
mod access;
pub mod agent;
pub mod alike;
pub mod attachment;
pub mod call;
pub mod care;
pub mod cleanup;
pub mod compare;
pub mod configure;
pub mod conflicts;
pub mod contact;
mod courier;
pub mod engine;
mod error;
mod heads;
pub mod history;
pub mod home;
pub mod identity;
mod inspect;
pub mod invite;
pub mod lineage;
pub mod message;
pub mod metrics;
pub mod mismatch;
mod node;
pub mod pace;
pub mod pair;
pub mod pause;
pub mod plan;
pub mod platform;
pub mod preview;
pub mod proof;
pub mod quarantine;
pub mod reading;
mod routes;
pub mod rows;
pub mod server;
pub mod session;
pub mod share;
mod shelf;
pub mod state;
pub mod status;
pub mod tls;
mod underway;
mod visit;
pub mod watch;

pub use error::Error;
pub use home::Home;
pub use identity::NodeId;
pub use node::{Clock, Node, system_clock};

/// What the node's calls give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

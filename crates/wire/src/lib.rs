//! The messages of Lockstep: their JSON, hashes and limits, and the exchange as a machine without I/O.
//!
//! Always true here: every message says its version, has a bound on everything in it, refuses fields that it does not
//! know, and has golden examples under test (`golden/v1`). Nothing here opens a file or a socket, looks at a clock or
//! draws a random number. Not here: HTTP, TLS and who may do what (the node), and what a change means (the engine).
//!
//! [`session`] is the exchange; [`batch`] is how changes travel; the messages beside them are in [`message`];
//! those of pairing and waiting belong to the node. `docs/protocol.md` describes all of it with examples.
pub mod batch;
pub mod compare;
pub mod error;
pub mod hash;
pub mod hex;
pub mod limits;
pub mod message;
pub mod parts;
pub mod session;
mod vector;

pub use batch::{Encoded, decode_batch, encode_batch};
pub use error::Error;
pub use hash::change_hash;
pub use hex::Hex;
pub use limits::Limits;

/// The version that every message names.
pub const VERSION: u64 = 1;

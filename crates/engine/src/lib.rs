//! The engine of Lockstep: capture, versions, identity, merge, apply and digest of one SQLite file.
//!
//! It knows one file at a time (and reads those it refers to), and does no I/O but SQLite. Time and randomness are
//! passed in. See `docs/architecture.md`.
pub mod capture;
pub mod catalog;
pub mod change;
pub mod config;
pub mod guest;
pub mod id;
pub mod value;

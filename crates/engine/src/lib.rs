//! The engine of Lockstep: capture, versions, identity, merge, apply and digest of one SQLite file.
//!
//! It knows one file at a time (and reads those it refers to), and does no I/O but SQLite. Time and randomness are
//! passed in. See `docs/architecture.md`.
mod apply;
mod aside;
mod attach;
mod audit;
mod beside;
pub mod capture;
pub mod catalog;
pub mod change;
mod class;
pub mod cleanup;
pub mod compare;
pub mod config;
pub mod configure;
pub mod conflict;
pub mod contact;
mod copy;
pub mod database;
pub mod decide;
mod difference;
mod digest;
mod error;
mod extract;
mod feeders;
pub mod find;
pub mod guest;
mod harvest;
pub mod history;
pub mod id;
mod identity;
mod ids;
mod impose;
mod key;
pub mod lineage;
mod listing;
mod map;
mod merge;
pub mod plan;
mod proof;
mod record;
mod reference;
mod report;
mod rows;
mod sibling;
pub mod stop;
mod store;
pub mod suggest;
mod transaction;
mod upgrade;
pub mod value;
mod waiting;
pub mod withhold;

pub use database::Database;
pub use error::Error;
pub use extract::Limit;

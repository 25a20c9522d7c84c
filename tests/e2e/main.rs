//! End to end: real nodes, the built `lockstep` command, and an application that writes through another
//! SQLite library than ours, as a Flask application does. One test for each way in which a sync of
//! this kind was seen to lose data; its number is that of `docs/loss-cases.md`.
//!
//! Rows carry a text that no other row has, and children a copy of their parents', so that a lost,
//! doubled or misplaced row is seen by reading the files. No test looks at how long something took.

mod breaks;
mod canary;
mod capture;
mod chain;
mod compare;
mod crash;
mod decide;
mod example;
mod foreign;
mod harm;
mod identity;
mod line;
mod merge;
mod migrations;
mod prompt;
mod proxy;
mod references;
mod refused;
mod schema;
mod scouting;
mod server;
mod service;
mod transfer;
mod values;

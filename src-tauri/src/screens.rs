//! What the screens ask of the node, one file for each: the shapes that cross, and the commands.
//!
//! Always true here: a command is arguments in, one call of the node, answer out. A list comes in pages of at most
//! 200, filtered here; a decision names what it is about, never a value.

pub(crate) mod address;
pub(crate) mod alike;
pub(crate) mod care;
pub(crate) mod compare;
pub(crate) mod conflicts;
pub(crate) mod held;
pub(crate) mod history;
pub(crate) mod identity;
pub(crate) mod pairing;
pub(crate) mod pending;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod settings;
pub(crate) mod setup;
pub(crate) mod shapes;
pub(crate) mod tables;
pub(crate) mod words;

//! The two messages by which an invited node becomes a peer.
//!
//! What the proofs are made of (the secret of the invite and both certificates) is the node's affair; here they are
//! 32 bytes.
use crate::hex::Hex;
use crate::message::{bound, message, no_twins};
use crate::{Error, Limits};
use serde::{Deserialize, Serialize};

message! {
    /// The invited node asks to be a peer.
    "join" Join {
        /// Who: SHA-256 of its public key.
        node: Hex<32>,
        /// What it calls itself.
        name: String,
        /// That it has the secret of the invite.
        proof: Hex<32>,
        /// What it wants of that which the invite shares, as `database` or `database.table`; null: all.
        share: Option<Vec<String>>,
        /// What it has itself under these names.
        databases: Vec<SharedDatabase>,
    }
    check(join, limits) {
        bound("a name", join.name.len(), limits.name)?;
        check_share(join.share.as_deref().unwrap_or_default(), limits)?;
        check_databases(&join.databases, limits)?;
    }
}

message! {
    /// The inviting node agrees.
    "welcome" Welcome {
        /// Who: SHA-256 of its public key.
        node: Hex<32>,
        /// What it calls itself.
        name: String,
        /// That it has the secret of the invite, too.
        proof: Hex<32>,
        /// What the two share from now on, as `database` or `database.table`.
        share: Vec<String>,
        /// What it has under these names.
        databases: Vec<SharedDatabase>,
    }
    check(welcome, limits) {
        bound("a name", welcome.name.len(), limits.name)?;
        check_share(&welcome.share, limits)?;
        check_databases(&welcome.databases, limits)?;
    }
}

/// A database that a node has, or offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedDatabase {
    /// Logical name.
    pub name: String,
    /// Its synced tables.
    pub tables: Vec<String>,
}

fn check_share(share: &[String], limits: &Limits) -> Result<(), Error> {
    bound("what is shared", share.len(), limits.tables)?;
    share.iter().try_for_each(|s| bound("a name", s.len(), 2 * limits.name + 1))
}

fn check_databases(databases: &[SharedDatabase], limits: &Limits) -> Result<(), Error> {
    bound("the list of databases", databases.len(), limits.tables)?;
    for database in databases {
        bound("a name", database.name.len(), limits.name)?;
        bound("the list of tables", database.tables.len(), limits.tables)?;
        database.tables.iter().try_for_each(|t| bound("a name", t.len(), limits.name))?;
    }
    no_twins(databases.iter().map(|d| d.name.as_str()), "a database is named twice")
}

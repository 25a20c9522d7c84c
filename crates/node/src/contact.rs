//! First contact: how the files of two nodes began, what both have, and which side is right where nobody knows.
//!
//! Always true here: what the person chose is a decision like any other; its loser stays in the archive, and it can be
//! taken back.
use crate::conflicts::{Kept, Resolution};
use crate::engine::hold_against;
use crate::node::Node;
use crate::session::{SyncEntry, Watcher};
use crate::state::{AttachedDatabase, Peer, RunResult, Trigger};
use crate::{Error, NodeId, Result};
use lockstep_engine::change::Batch;
use lockstep_engine::contact::Began;
use lockstep_engine::id::ReplicaId;
use lockstep_engine::suggest::{Suggestion, There};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// How the files of two nodes began, if a person says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// As copies of one: rows with the same id are one.
    Copies,
    /// Separately: an id says nothing.
    Separate,
}

impl Origin {
    pub(crate) fn began(self) -> Began {
        match self {
            Origin::Copies => Began::Copies,
            Origin::Separate => Began::Separate,
        }
    }

    /// `copies`, `separate`
    pub fn name(self) -> &'static str {
        match self {
            Origin::Copies => "copies",
            Origin::Separate => "separate",
        }
    }

    fn named(name: &str) -> Option<Origin> {
        [Origin::Copies, Origin::Separate].into_iter().find(|o| o.name() == name)
    }
}

/// Which side stands where two rows differ that were there before and of which neither has a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefer {
    /// This node's.
    Here,
    /// The other's.
    There,
    /// A person decides, row by row; until then the rule's choice stands.
    Review,
}

/// What both nodes have of one table, before they exchange anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContactLine {
    /// `DB.TABLE`
    pub name: String,
    /// Rows that both have alike.
    pub same: u64,
    /// Rows that both have and that differ.
    pub differing: u64,
    /// Rows that only this node has.
    pub only_here: u64,
    /// Rows that only the other node has.
    pub only_there: u64,
    /// Of those, the ones whose id means, or may have meant, another row here: they get another id on this node.
    pub id_taken: u64,
    /// Of the differing ones, those of which neither has a time, so that nobody knows which is right.
    pub undatable: u64,
}

/// What rows of both nodes say about something that is not configured, and that a person may want to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuggestionLine {
    /// `DB.TABLE`
    pub name: String,
    /// What to say of the table in `lockstep.toml`.
    pub say: String,
    /// The counts.
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// Rows that speak for a suggestion, and rows that speak against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Evidence {
    /// Columns that would tell which rows are one.
    Identity {
        /// Rows here and there that would be one.
        matching: u64,
        /// Rows here that no row there is like.
        only_here: u64,
        /// Rows there that no row here is like.
        only_there: u64,
        /// Rows there that are like another row there: with any, the columns don't tell rows apart.
        doubled_there: u64,
    },
    /// A column that would name rows of another table.
    Reference {
        /// What the rows of this node say.
        here: Fits,
        /// What those of the other say.
        there: Fits,
    },
}

/// Rows of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fits {
    /// Their value is an id there.
    pub matching: u64,
    /// Their value is none.
    pub missing: u64,
}

impl SuggestionLine {
    fn of(database: &str, suggestion: &Suggestion, there: There) -> Option<SuggestionLine> {
        let say = suggestion.line()?;
        let (table, evidence) = match (suggestion, there) {
            (Suggestion::Identity { table, .. }, There::Identity { matching, only_here, only_there, doubled }) => {
                (table, Evidence::Identity { matching, only_here, only_there, doubled_there: doubled })
            }
            (Suggestion::Reference { table, matching, missing, .. }, There::Reference { matching: m, missing: n }) => {
                let here = Fits { matching: *matching, missing: *missing };
                (table, Evidence::Reference { here, there: Fits { matching: m, missing: n } })
            }
            _ => return None,
        };
        Some(SuggestionLine { name: format!("{database}.{table}"), say, evidence })
    }
}

fn place(peer: NodeId) -> String {
    format!("origin.{peer}")
}

impl Node {
    /// Remembers how the files of a node and of this one began.
    pub(crate) fn set_origin(&self, peer: NodeId, origin: Option<Origin>) -> Result<()> {
        match origin {
            Some(origin) => self.state().set_setting(&place(peer), origin.name())?,
            None => self.state().forget_note(&place(peer))?,
        }
        Ok(())
    }

    pub(crate) fn origin(&self, peer: NodeId) -> Result<Option<Origin>> {
        Ok(self.state().note(&place(peer))?.and_then(|name| Origin::named(&name)))
    }

    /// Holds what would be suggested for a database against all that a peer has.
    pub(crate) fn suggestions(
        &self,
        attached: &AttachedDatabase,
        theirs: &BTreeMap<String, Vec<Batch>>,
    ) -> Result<Vec<SuggestionLine>> {
        let siblings = self.siblings(&attached.name)?;
        let held = || hold_against(&attached.file, &siblings, theirs).map_err(|e| Error::engine(&attached.name, e));
        let found = self.with_turn(attached, held)?;
        Ok(found.into_iter().filter_map(|(s, there)| SuggestionLine::of(&attached.name, &s, there)).collect())
    }

    /// The first sync with a peer, and another one that brings over what the person prefers.
    pub async fn first_sync(
        self: &Arc<Node>,
        peer: &Peer,
        prefer: Option<Prefer>,
        watcher: Watcher<'_>,
    ) -> Result<SyncEntry> {
        let mut entry = self.sync(peer, Trigger::Pair, watcher).await?;
        let keep_mine = match prefer {
            Some(Prefer::Here) => true,
            Some(Prefer::There) => false,
            Some(Prefer::Review) | None => return Ok(entry),
        };
        if entry.result == RunResult::Failed {
            return Ok(entry);
        }
        let (node, id) = (self.clone(), peer.node);
        let decided = crate::routes::blocking(move || node.prefer(id, keep_mine)).await?;
        if decided > 0 {
            let more = self.sync(peer, Trigger::Pair, watcher).await?;
            entry.follow(more);
        }
        Ok(entry)
    }

    /// Decides what nobody knows for one side. Gives how many conflicts that were.
    fn prefer(&self, peer: NodeId, keep_mine: bool) -> Result<u64> {
        let replicas = self.state().replicas()?;
        let of = |node: NodeId| -> HashSet<ReplicaId> {
            replicas.iter().filter(|(_, n)| *n == node).map(|(r, _)| *r).collect()
        };
        let (mine, theirs) = (of(self.id()), of(peer));
        let mut resolutions = Vec::new();
        for database in self.state().databases()? {
            for found in self.with_database(&database, |db| db.undatable())? {
                let keep = match (mine.contains(&found.winner), theirs.contains(&found.winner)) {
                    (true, _) => keep_mine,
                    (_, true) => !keep_mine,
                    // Of a third node: that was decided elsewhere.
                    (false, false) => continue,
                };
                let keep = if keep { Kept::Winner } else { Kept::Loser };
                resolutions.push(Resolution { id: found.id, keep, columns: BTreeMap::new(), anyway: true });
            }
        }
        self.resolve(&resolutions)?;
        Ok(resolutions.len() as u64)
    }
}

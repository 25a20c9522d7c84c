//! One decision for all conflicts of a kind: what it would do to each, and doing it to exactly that set.
//!
//! Always true here: conflicts are alike that are of one kind, in one table, and about the same columns; what is done is
//! what was shown, named by its hash, or nothing. Not here: what one decision writes (the engine).
use crate::conflicts::{ConflictEntry, Kept, Resolution, ShownConflict};
use crate::node::Node;
use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What a decision would do to one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct AlikeRow {
    /// The conflict.
    pub conflict: ConflictEntry,
    /// Its columns, with what is shown now and what would be.
    pub columns: Vec<(String, serde_json::Value, serde_json::Value)>,
}

/// All conflicts that are like one, and what keeping a side of each would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Alike {
    /// Stands for exactly these.
    pub plan: String,
    /// How many there are.
    pub conflicts: u64,
    /// The first of them.
    pub rows: Vec<AlikeRow>,
}

/// So many are shown.
const SHOWN: usize = 200;

/// Are the two of a kind?
pub fn is_alike(one: &ConflictEntry, other: &ConflictEntry) -> bool {
    let kind = |c: &ConflictEntry| (c.kind, c.state, c.database.clone(), c.table.clone(), c.columns.clone());
    kind(one) == kind(other)
}

impl Node {
    /// What keeping that side would do, in a conflict that nobody has decided and all that are like it. Changes nothing.
    pub fn alike(&self, id: &str, side: Kept) -> Result<Alike> {
        let all = self.all_alike(id)?;
        let mut hash = Sha256::new();
        let mut rows = Vec::new();
        for (n, conflict) in all.iter().enumerate() {
            let shown = self.conflict(&conflict.id)?;
            let columns = columns(&shown, side);
            hash.update(conflict.id.as_bytes());
            hash.update(serde_json::to_vec(&columns).expect("names and values are JSON"));
            if n < SHOWN {
                rows.push(AlikeRow { conflict: shown.conflict, columns });
            }
        }
        hash.update(format!("{side:?}"));
        let plan = hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect();
        Ok(Alike { plan, conflicts: all.len() as u64, rows })
    }

    /// What to decide to do it to exactly that set.
    pub fn decide_alike(&self, id: &str, side: Kept, plan: &str) -> Result<Vec<Resolution>> {
        if self.alike(id, side)?.plan != plan {
            return Err(Error::Said {
                code: "plan_moved".to_owned(),
                message: "these conflicts, or their rows, are not what they were".to_owned(),
                hint: "nothing was decided; look at them again".to_owned(),
            });
        }
        let decision = |c: ConflictEntry| Resolution { id: c.id, keep: side, columns: BTreeMap::new(), anyway: false };
        Ok(self.all_alike(id)?.into_iter().map(decision).collect())
    }

    fn all_alike(&self, id: &str) -> Result<Vec<ConflictEntry>> {
        let one = self.conflict(id)?.conflict;
        let mut all: Vec<ConflictEntry> = self.conflicts(false)?.into_iter().filter(|c| is_alike(c, &one)).collect();
        if all.is_empty() {
            all.push(one);
        }
        Ok(all)
    }
}

fn columns(shown: &ShownConflict, side: Kept) -> Vec<(String, serde_json::Value, serde_json::Value)> {
    let kept = match side {
        Kept::Winner => &shown.winner,
        Kept::Loser => &shown.loser,
    };
    let now = |name: &String| shown.row.get(name).cloned().unwrap_or_default();
    kept.iter().map(|(name, value)| (name.clone(), now(name), value.clone())).collect()
}

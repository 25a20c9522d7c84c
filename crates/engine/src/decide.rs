//! What a person decides becomes writes that travel like any other.
//!
//! Always true here: a decision names a conflict, a column and a side, and its values come from what this file keeps,
//! never from outside; its write has seen everything that has come, held or not, so it settles the matter on every node
//! (merge-rules 6); it applies whole or not at all, and is refused where what was asked for would still wait. Not here:
//! what waits (`waiting`), and how a row is written (`rows`).
mod allow;
mod difference;
mod effect;
mod resolve;
mod restore;
mod same;

pub use allow::{Guarded, Retried};
pub use restore::Restored;
pub use same::Joined;

use crate::change::{ConflictKind, Kept};
use crate::database::{Database, catch_up};
use crate::error::Error as EngineError;
use crate::id::Millis;
use crate::record::{LocalDot, Register};
use crate::transaction::Txn;
use std::collections::BTreeMap;

/// One of the two sides of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What stands; under `review` the later write.
    Winner,
    /// The other.
    Loser,
}

/// What a person wants to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// One side, whole.
    All(Side),
    /// Column by column; a column that is not named keeps the winner's.
    Columns(BTreeMap<String, Side>),
}

/// A decision about one conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The conflict's id, in full.
    pub conflict: String,
    /// What to keep.
    pub keep: Keep,
    /// Also if the row has changed since, or other rows go with it.
    pub anyway: bool,
}

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The conflict's id.
    pub id: String,
    /// Columns and rows that were written; 0: what was chosen stood already.
    pub written: u64,
}

/// Why a decision was not carried out. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no conflict, or no version, of that id.
    #[error("there is no conflict and no version `{id}`")]
    Unknown {
        /// As it was asked for.
        id: String,
    },
    /// The row says something that neither side said.
    #[error("`{column}` of the row in `{table}` has changed since the conflict")]
    Changed {
        /// Table.
        table: String,
        /// Column.
        column: String,
    },
    /// The row was written since it was shown.
    #[error("the row in `{table}` has been written since it was shown")]
    Written {
        /// Table.
        table: String,
    },
    /// Other rows refer to the one that is to go.
    #[error("{rows} rows that refer to it would go with it, and {cleared} would lose their reference")]
    Others {
        /// Rows that would be deleted.
        rows: u64,
        /// Rows whose reference would be NULL.
        cleared: u64,
    },
    /// It would wait for the same reason as before.
    #[error("the row in `{table}` can't be shown that way yet ({})", .reason.name())]
    StillHeld {
        /// Table.
        table: String,
        /// Why.
        reason: ConflictKind,
    },
    /// No person can decide that.
    #[error("a change that waits for `{}` can't be decided", .reason.name())]
    NotDecidable {
        /// What it waits for.
        reason: ConflictKind,
    },
    /// That value was not kept.
    #[error("the value of `{column}` on that side was not kept")]
    NotKept {
        /// Column.
        column: String,
    },
    /// The peer has not told that value.
    #[error("the value of `{column}` on the other server is too large to be compared by")]
    NotTold {
        /// Column.
        column: String,
    },
    /// No row has or had that key.
    #[error("`{table}` has and had no row with the key {key}")]
    NoRow {
        /// Table.
        table: String,
        /// As it was asked for.
        key: String,
    },
    /// The version was a delete, or nothing of it was kept.
    #[error("that version holds no values")]
    NoValues,
    /// The row was never more than one, or of very many.
    #[error("the row is made of {births} births: there is nothing to take apart, or too much")]
    NotJoined {
        /// Of how many births.
        births: u64,
    },
    /// Something was written since the plan was made.
    #[error("`{table}` has been written to since the plan was made")]
    Moved {
        /// Table.
        table: String,
    },
    /// The conflict is not about that column.
    #[error("the conflict is not about a column `{column}`")]
    NoColumn {
        /// Column.
        column: String,
    },
}

impl Error {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Unknown { .. } => "unknown",
            Error::Changed { .. } | Error::Written { .. } => "changed",
            Error::Others { .. } => "others",
            Error::StillHeld { .. } => "still_held",
            Error::NotDecidable { .. } => "not_decidable",
            Error::NotKept { .. } => "not_kept",
            Error::NotTold { .. } => "not_told",
            Error::NoRow { .. } => "no_row",
            Error::NoValues => "no_values",
            Error::NotJoined { .. } => "not_joined",
            Error::Moved { .. } => "plan_moved",
            Error::NoColumn { .. } => "no_column",
        }
    }

    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::Unknown { .. } => {
                "`lockstep conflicts --all`, or `lockstep history`, lists what there is; it may have been settled meanwhile"
            }
            Error::Changed { .. } => {
                "look at it with `lockstep conflicts show`, then say --anyway if you still want to"
            }
            Error::Written { .. } => "look at the row again; whatever was written since can be brought back too",
            Error::Others { .. } => "look at them first, then say --anyway if you want that",
            Error::StillHeld { reason, .. } => match reason {
                ConflictKind::Unique => {
                    "another row has that key: change that one in the application, or join the two with `lockstep same`"
                }
                ConflictKind::Constraint => {
                    "the table refuses the row: choose column by column, or mend it where it was written"
                }
                ConflictKind::MissingParent => "it waits for the row that it refers to; keep the winner to give it up",
                _ => "`lockstep quarantine` says what it waits for",
            },
            Error::NotDecidable { .. } => "it is tried again by itself when what it waits for has come",
            Error::NotKept { .. } => "the table keeps no history of updates; write the value in the application",
            Error::NotTold { .. } => "keep what is here, or decide on the other server: there it is what is here",
            Error::NoRow { .. } => "say the key as it is on this server; a composite key is a JSON array",
            Error::NoValues => "choose a version that wrote something; a deleted row lives again with what it had",
            Error::NotJoined { .. } => "`lockstep history` shows who wrote the row",
            Error::Moved { .. } => "nothing was applied; look at the new plan with `lockstep preview`",
            Error::NoColumn { .. } => "`lockstep conflicts show` names its columns",
        }
    }
}

/// What must not wait any more when everything is planned.
pub(crate) struct Settled {
    t: u32,
    leader: LocalDot,
    reason: ConflictKind,
    registers: Vec<Register>,
}

impl Database {
    /// Carries out decisions, all or none of them.
    ///
    /// # Errors
    ///
    /// [`Error`] in [`crate::Error::Decision`], where one of them can't be carried out.
    pub fn resolve(&mut self, choices: &[Choice], now: Millis) -> Result<Vec<Resolved>, EngineError> {
        self.by_person(now, |txn| txn.resolve_all(choices))
    }

    /// Says of conflicts that they were looked at: of these, or of all that are settled by rule. Gives how many had not
    /// been before.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] for an id that no settled conflict has.
    pub fn reviewed(&mut self, ids: Option<&[String]>, now: Millis) -> Result<u64, EngineError> {
        self.by_person(now, |txn| {
            let mut known = BTreeMap::new();
            for r in crate::conflict::records(txn)? {
                known.entry(r.id.clone()).or_insert(r);
            }
            let wanted = match ids {
                None => known.values().collect(),
                Some(ids) => ids
                    .iter()
                    .map(|id| known.get(id).ok_or_else(|| Error::Unknown { id: id.clone() }.into()))
                    .collect::<Result<Vec<_>, EngineError>>()?,
            };
            let mut n = 0;
            for r in wanted {
                if txn.said(r)?.is_none() {
                    txn.decide((r.table, r.birth, r.loser), Kept::Seen)?;
                    n += 1;
                }
            }
            Ok((n, Vec::new()))
        })
    }

    /// One transaction of a person: what the application wrote is known first, and what follows from the decision is
    /// planned and written with it.
    pub(crate) fn by_person<T>(
        &mut self,
        now: Millis,
        f: impl Fn(&mut Txn<'_>) -> Result<(T, Vec<Settled>), EngineError>,
    ) -> Result<T, EngineError> {
        self.harvest(now)?;
        let decided = |txn: &mut Txn<'_>| {
            catch_up(txn)?;
            txn.follow_siblings()?;
            let (out, settled) = f(txn)?;
            let plan = txn.settle()?;
            txn.write_rows(plan)?;
            for s in settled {
                txn.check_settled(&s)?;
            }
            txn.store()?;
            Ok(out)
        };
        self.with_rows_whole(|db| db.write(now, decided))
    }
}

impl Txn<'_> {
    fn check_settled(&mut self, s: &Settled) -> Result<(), EngineError> {
        let class = self.class(s.t, s.leader)?;
        for m in class.members.clone() {
            let Some(list) = self.held.get(&(s.t, m)) else { continue };
            let waits = list.iter().any(|h| {
                h.reason == s.reason
                    && match h.register {
                        None => s.registers.is_empty(),
                        Some(r) => s.registers.contains(&r),
                    }
            });
            if waits {
                return Err(Error::StillHeld { table: self.s.t(s.t).name.clone(), reason: s.reason }.into());
            }
        }
        Ok(())
    }
}

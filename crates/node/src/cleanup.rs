//! Retention: what was kept long enough is removed, by hand or by the agent once a day.
//!
//! Always true here: what a paired node may still need stays, whatever its age. What goes is said, and stands in the
//! balance as cleaned. Not here: which rows those are (`lockstep_engine::cleanup`).
use crate::Result;
use crate::node::Node;
use crate::routes::blocking;
use crate::server::{Stop, stopped};
use crate::shelf::ordered;
use crate::state::AttachedDatabase;
use lockstep_engine::cleanup::Cleanup;
use lockstep_engine::id::{Millis, Vector, Vectors};
use lockstep_wire::session::leave_out;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// What `cleanup` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Traces of deleted rows.
    pub tombstones: u64,
    /// Conflicts that somebody had looked at.
    pub conflicts: u64,
    /// Values that had been replaced, or had lost a conflict.
    pub archived: u64,
    /// Records of past sessions.
    pub runs: u64,
}

/// How often the agent cleans.
const EVERY: Duration = Duration::from_secs(86_400);
/// How often it sees whether it is time: a computer that slept has not counted the hours.
const LOOK: Duration = Duration::from_secs(600);
/// When that was last done.
const LAST: &str = "cleanup.last";

impl Node {
    /// Removes what is older than its time of retention, or counts it. `older_than` is for all kinds alike.
    pub fn cleanup(&self, older_than: Option<Duration>, dry_run: bool) -> Result<Removed> {
        let before = |key: &str| -> Result<Millis> {
            Ok(self.before(match older_than {
                Some(age) => age,
                None => self.state().duration(key)?,
            }))
        };
        let mut removed = Removed::default();
        for database in ordered(self.state().databases()?) {
            let what = Cleanup {
                tombstones: Some(before("retention.tombstones")?),
                conflicts: Some(before("retention.conflicts")?),
                archive: Some(before("retention.archive")?),
                peers: Vec::new(),
                referred: self.referred(&database)?,
            };
            let acknowledged = self.acknowledged(&database)?;
            let now = self.now();
            let done = self.with_database(&database, |db| {
                let own = db.vectors()?;
                let peers = acknowledged.into_iter().map(|(mut has, withheld)| {
                    leave_out(&mut has, &own, &withheld(&own));
                    has
                });
                db.clean(&Cleanup { peers: peers.collect(), ..what }, dry_run, now)
            })?;
            removed.tombstones += done.tombstones;
            removed.conflicts += done.conflicts;
            removed.archived += done.archived;
            if !dry_run {
                self.measure(&database)?;
            }
        }
        removed.runs = self.state().clean_runs(before("retention.runs")?, dry_run)?;
        if !dry_run {
            self.state().set_setting(LAST, &self.now().0.to_string())?;
            tracing::info!(
                tombstones = removed.tombstones,
                conflicts = removed.conflicts,
                archived = removed.archived,
                runs = removed.runs,
                "cleaned up"
            );
        }
        Ok(removed)
    }

    /// Tables of this database to whose rows other databases of this node refer.
    fn referred(&self, database: &AttachedDatabase) -> Result<Vec<String>> {
        let prefix = format!("{}.", database.name);
        let others = self.state().databases()?.into_iter().filter(|d| d.name != database.name);
        let references = others.flat_map(|d| d.config.tables.into_values()).flat_map(|t| t.references.into_values());
        Ok(references.filter_map(|r| r.strip_prefix(&prefix).map(str::to_owned)).collect())
    }

    /// What each peer with which this database is shared is known to have, and the tables that it does not get.
    #[allow(clippy::type_complexity)]
    fn acknowledged(
        &self,
        database: &AttachedDatabase,
    ) -> Result<Vec<(Vectors, impl Fn(&Vectors) -> Vec<String> + use<>)>> {
        let mut found = Vec::new();
        for peer in self.state().peers()? {
            let access = self.state().access(peer.node)?;
            if access.names(&database.name) {
                let name = database.name.clone();
                let has = self.state().acknowledged(peer.node, &name)?;
                let withheld = move |own: &Vectors| -> Vec<String> {
                    own.keys().filter(|t| !access.of(&name, t).sends()).cloned().collect()
                };
                found.push((has, withheld));
            }
        }
        Ok(found)
    }

    /// How much of a file is Lockstep's, in bytes. Measured once a day, since that reads all of it, and when many writes
    /// came since: an eighth more than there were, and a thousand.
    pub(crate) fn own_bytes(&self, database: &AttachedDatabase, writes: u64) -> Result<u64> {
        let known = self.state().note(&size_of(&database.name))?;
        let measured = known.as_deref().and_then(|text| {
            let (bytes, at) = text.split_once(' ')?;
            Some((bytes.parse().ok()?, at.parse::<u64>().ok()?))
        });
        match measured {
            Some((bytes, at)) if writes <= at + at / 8 + 1_000 => Ok(bytes),
            Some(_) | None => self.measure(database),
        }
    }

    fn measure(&self, database: &AttachedDatabase) -> Result<u64> {
        let (bytes, vectors) = self.with_database(database, |db| Ok((db.own_bytes()?, db.vectors()?)))?;
        let measured = format!("{bytes} {}", writes(vectors.values()));
        self.state().set_setting(&size_of(&database.name), &measured)?;
        Ok(bytes)
    }

    fn is_time(&self) -> Result<bool> {
        let last = self.state().note(LAST)?.and_then(|at| at.parse().ok()).map(Millis);
        let due = |at: Millis| at.0.abs_diff(self.now().0) >= EVERY.as_millis().try_into().unwrap_or(u64::MAX);
        Ok(last.is_none_or(due))
    }
}

/// How many writes these vectors stand for.
pub(crate) fn writes<'a>(vectors: impl Iterator<Item = &'a Vector>) -> u64 {
    vectors.flat_map(|v| v.values()).fold(0, |sum, seq| sum.saturating_add(seq.0))
}

/// Where the size of Lockstep's part of a file is remembered.
fn size_of(database: &str) -> String {
    format!("size.{database}")
}

/// Cleans once a day, until it is told to stop.
pub(crate) async fn daily(node: Arc<Node>, mut stop: Stop) -> Result<()> {
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
        let asked = node.clone();
        let done = blocking(move || if asked.is_time()? { asked.cleanup(None, false).map(drop) } else { Ok(()) });
        if let Err(e) = done.await {
            tracing::error!(code = e.code(), error = %e, "the daily clean-up failed");
        }
    }
}

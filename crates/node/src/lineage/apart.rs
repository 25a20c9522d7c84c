//! A machine that was restored or copied as a whole, home and file: what it alone has written since then is found out by
//! asking its peers which of its writes they have as it has them.
//!
//! Always true here: nothing is sent but the question; a file keeps every name of a write if there is nobody to ask.
use crate::call::Link;
use crate::engine::Database;
use crate::lineage::random;
use crate::node::Node;
use crate::preview::raise;
use crate::session::fetch_batch;
use crate::shelf::ordered;
use crate::state::{AttachedDatabase, Peer};
use crate::{Error, Result};
use lockstep_engine::id::{ReplicaId, Seq, Vectors};
use lockstep_wire::Limits;
use lockstep_wire::message::{Pull, PullLimit};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// By table, the highest of this file's own writes that somebody else knows.
type Known = BTreeMap<String, Seq>;

/// How many of the latest writes to a table are asked for first, and how many times as many then.
const LATEST: u64 = 1000;
const MORE: u64 = 30;

const LIMIT: PullLimit = PullLimit { items: 10_000, bytes: 8 << 20 };

impl Node {
    /// Nobody noticed anything here, so the whole machine went back, or is a copy: begins new incarnations of the file and
    /// of those that it refers to. Gives the copy of the file that was set aside.
    pub(super) async fn begin_anew(self: &Arc<Node>, database: &AttachedDatabase) -> Result<Option<PathBuf>> {
        for other in self.referred_to(database)? {
            // One whose break was noticed has begun anew before anything was written to it.
            if self.state().lineage(&other.name)?.broke.is_none() {
                self.begin_apart(&other).await?;
            }
        }
        self.begin_apart(database).await.map(Some)
    }

    async fn begin_apart(self: &Arc<Node>, database: &AttachedDatabase) -> Result<PathBuf> {
        let known = self.known_elsewhere(database).await?;
        let copy = self.set_aside(database, "restored")?;
        self.with_open(database, |db| {
            let failed = |e| Error::engine(&database.name, e);
            let (old, new) = (db.replica().map_err(failed)?, ReplicaId(random()?));
            self.remember_replica(new, self.id())?;
            let now = self.now();
            match &known {
                // First the file: what it alone has written gets its name in the same transaction.
                Some(known) => db.begin_apart(old, new, known, now).map(drop).map_err(failed)?,
                None => db.begin_incarnation(old, new, now).map(drop).map_err(failed)?,
            }
            self.state().begin_incarnation(&database.name, new, None)?;
            self.become_replica(database, db, old, new)
        })?;
        tracing::warn!(database = %database.name, asked = known.is_some(), "a person says that the file begins a new incarnation");
        Ok(copy)
    }

    /// Databases to whose rows those of this one refer, directly or not; what is referred to comes first.
    fn referred_to(&self, database: &AttachedDatabase) -> Result<Vec<AttachedDatabase>> {
        let all = ordered(self.state().databases()?);
        let mut wanted = BTreeSet::from([database.name.clone()]);
        loop {
            let from = all.iter().filter(|d| wanted.contains(&d.name));
            let references = from.flat_map(|d| d.config.tables.values()).flat_map(|t| t.references.values());
            let named: BTreeSet<String> =
                references.filter_map(|r| r.split_once('.')).map(|(name, _)| name.to_owned()).collect();
            let before = wanted.len();
            wanted.extend(named.into_iter().filter(|name| all.iter().any(|d| d.name == *name)));
            if wanted.len() == before {
                break;
            }
        }
        Ok(all.into_iter().filter(|d| d.name != database.name && wanted.contains(&d.name)).collect())
    }

    /// None: there is nobody who could be asked, or nobody has anything of this file.
    async fn known_elsewhere(self: &Arc<Node>, database: &AttachedDatabase) -> Result<Option<Known>> {
        let mut known: Option<Known> = None;
        let (mut asked, mut failed) = (false, None);
        for peer in self.state().peers()? {
            if peer.address.is_none() || !self.shares_database(&peer, &database.name)? {
                continue;
            }
            match self.known_to(&peer, database).await {
                Ok(there) => {
                    asked = true;
                    let Some(there) = there else { continue };
                    let known = known.get_or_insert_default();
                    for (table, seq) in there {
                        let most = known.entry(table).or_default();
                        *most = (*most).max(seq);
                    }
                }
                Err(e) => {
                    tracing::warn!(peer = %peer.name, code = e.code(), "a peer could not be asked what it knows");
                    failed = Some(peer.name);
                }
            }
        }
        match failed {
            Some(peer) if !asked => Err(Error::NotAsked { peer, database: database.name.clone() }),
            Some(_) | None => Ok(known),
        }
    }

    /// Asks a peer for the latest writes of this file that it has, and for more where it has other ones. None: it has none.
    async fn known_to(self: &Arc<Node>, peer: &Peer, database: &AttachedDatabase) -> Result<Option<Known>> {
        let address = peer.address.as_ref().ok_or_else(|| Error::NoAddress { peer: peer.name.clone() })?;
        let link = Link::new(self.identity(), peer.node, address)?.telling(self.told_address(address)?);
        let (limits, now) = (Limits::default(), self.now());
        let (own, all) = self.with_database(database, |db| {
            db.harvest(now)?;
            Ok((db.replica()?, db.vectors()?))
        })?;
        let mut known = Known::new();
        let (mut has_any, mut back) = (false, LATEST);
        loop {
            let mut have: Vectors = all.clone();
            let mut open = false;
            for (table, vector) in &mut have {
                let Some(seq) = vector.get_mut(&own).filter(|_| !known.contains_key(table)) else { continue };
                *seq = Seq(seq.0.saturating_sub(back));
                open |= seq.0 > 0;
            }
            for vector in have.values_mut() {
                vector.retain(|_, seq| seq.0 > 0);
            }
            let mut last = false;
            while !last {
                let pull =
                    Pull { database: database.name.clone(), have: have.clone(), except: Vec::new(), limit: LIMIT };
                let batch = fetch_batch(&link, limits, &pull).await?;
                last = batch.last || batch.items.is_empty();
                raise(&mut have, &batch.end);
                has_any |= batch.items.iter().any(|item| item.dot().replica == own);
                let there = self.with_database(database, |db: &mut Database| db.known_there(&[batch], now))?;
                for (table, seq) in there {
                    let most = known.entry(table).or_default();
                    *most = (*most).max(seq);
                }
            }
            if !open {
                return Ok(has_any.then_some(known));
            }
            back = back.saturating_mul(MORE);
        }
    }
}

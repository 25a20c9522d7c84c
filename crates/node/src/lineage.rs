//! Breaks in the history of files: restored from a backup, copied from another node, a whole machine copied.
//!
//! Always true here: a file is held against what this node remembers of it whenever it is opened, before anything is
//! written; a file whose history broke gets a new replica id and is set aside as it was found; what a file is
//! remembered by was committed in it before. A peer that remembers another history than a file has is not synced with.
mod apart;

use crate::engine::{self, Database};
use crate::home::Work;
use crate::identity::NodeId;
use crate::node::Node;
use crate::session::SyncEntry;
use crate::state::{AttachedDatabase, Break, BreakKind, Peer, Remembered, RunResult, Trigger};
use crate::visit::Said;
use crate::{Error, Result};
use lockstep_engine::id::{ReplicaId, Vectors};
use lockstep_engine::lineage::{self, Continuity, Mark};
use lockstep_wire::message::{DatabaseHello, HeardMark};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a person says a restored file is to mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Peers bring back what it lacks.
    Rejoin,
    /// The restored state wins: peers take it over, as new writes.
    Authoritative,
}

/// What `restored` did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RestoredReport {
    /// Logical name.
    pub name: String,
    /// `rejoin` or `authoritative`.
    pub meaning: &'static str,
    /// The replica that the file is now, 32 hex digits.
    pub replica: String,
    /// The file as it was found, set aside.
    pub copy: Option<String>,
    /// Rows that were brought back, changed and deleted so that the restored state wins.
    pub imposed: Option<Imposed>,
    /// The last session with each peer.
    pub run: Vec<SyncEntry>,
}

/// What it took to make the restored state win.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imposed {
    /// Rows brought back.
    pub inserts: u64,
    /// Rows changed.
    pub updates: u64,
    /// Rows deleted.
    pub deletes: u64,
}

/// How long another process of this home is waited for.
const TURN: Duration = Duration::from_secs(120);

/// 16 random bytes.
pub(crate) fn random() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|source| Error::Random { source })?;
    Ok(bytes)
}

impl Node {
    /// Holds a file against what is remembered of it. Where its history broke, it begins a new incarnation.
    pub(crate) fn follow_lineage(&self, attached: &AttachedDatabase, db: &mut Database) -> Result<()> {
        let failed = |e| Error::engine(&attached.name, e);
        let Remembered { replica, mark, .. } = self.state().lineage(&attached.name)?;
        let Some(remembered) = replica else { return Ok(()) };
        let own = db.replica().map_err(failed)?;
        let kind = match (own == remembered, mark) {
            (true, None) => return Ok(()),
            (true, Some(mark)) => match db.continues(mark).map_err(failed)? {
                Continuity::Continues => return Ok(()),
                Continuity::Broken => BreakKind::Restored,
            },
            // It was about to begin this one.
            (false, None) => return self.become_replica(attached, db, own, remembered),
            (false, Some(_)) if self.is_mine(own)? => BreakKind::Restored,
            (false, Some(_)) => BreakKind::Copied,
        };
        self.break_lineage(attached, db, kind)
    }

    /// Remembers where a file stands.
    pub(crate) fn remember_lineage(&self, attached: &AttachedDatabase, db: &Database) -> Result<()> {
        let failed = |e| Error::engine(&attached.name, e);
        let (replica, mark) = (db.replica().map_err(failed)?, db.mark().map_err(failed)?);
        let known = self.state().lineage(&attached.name)?;
        if known.replica != Some(replica) {
            self.remember_replica(replica, self.id())?;
        }
        if (known.replica, known.mark) != (Some(replica), Some(mark)) {
            self.state().remember(&attached.name, replica, mark)?;
        }
        Ok(())
    }

    fn is_mine(&self, replica: ReplicaId) -> Result<bool> {
        Ok(self.state().replicas()?.contains(&(replica, self.id())))
    }

    /// Sets the file aside as it is and begins a new incarnation.
    fn break_lineage(&self, attached: &AttachedDatabase, db: &mut Database, kind: BreakKind) -> Result<()> {
        let own = db.replica().map_err(|e| Error::engine(&attached.name, e))?;
        let copy = match kind {
            BreakKind::Copied => None,
            BreakKind::Restored => Some(self.set_aside(attached, "restored")?),
        };
        let new = ReplicaId(random()?);
        let broke = Break { kind, at: self.now(), copy };
        self.remember_replica(new, self.id())?;
        self.state().begin_incarnation(&attached.name, new, Some(&broke))?;
        self.become_replica(attached, db, own, new)?;
        tracing::warn!(
            database = %attached.name, kind = kind.name(),
            "the file has another history than this node remembers; it begins a new incarnation"
        );
        Ok(())
    }

    fn become_replica(
        &self,
        attached: &AttachedDatabase,
        db: &mut Database,
        old: ReplicaId,
        new: ReplicaId,
    ) -> Result<()> {
        let (host, now) = (self.host()?, self.now());
        let begun = db.begin_incarnation(old, new, now).and_then(|_| db.live_on(&host, now));
        begun.map_err(|e| Error::engine(&attached.name, e))
    }

    /// Before a file is attached: one that is another node's, or has taken the place of the one that is remembered.
    pub(crate) fn meet_file(&self, attached: &AttachedDatabase) -> Result<()> {
        let failed = |e| Error::engine(&attached.name, e);
        let known = lineage::known(&attached.file).map_err(failed)?;
        let remembered = self.state().lineage(&attached.name)?.replica;
        match (known, remembered) {
            (None, Some(_)) => Ok(self.state().forget_lineage(&attached.name)?),
            // A file whose attaching never came to its end bears no node's name.
            (Some(known), None) if known.name == attached.name && known.node.is_some() => {
                let new = ReplicaId(random()?);
                let broke = Break { kind: BreakKind::Copied, at: self.now(), copy: None };
                self.remember_replica(new, self.id())?;
                self.state().begin_incarnation(&attached.name, new, Some(&broke))?;
                self.with_database(attached, |_| Ok(()))
            }
            (Some(known), Some(_)) if known.name == attached.name => self.with_database(attached, |_| Ok(())),
            (Some(_), _) | (None, None) => Ok(()),
        }
    }

    /// What this node remembers of the history of a peer's file.
    pub(crate) fn heard_of(&self, peer: NodeId, database: &str) -> Result<Option<HeardMark>> {
        let heard = self.state().heard(peer, database)?;
        Ok(heard.map(|(replica, m)| HeardMark { replica, mark_seq: m.seq, mark: lockstep_wire::Hex(m.mark) }))
    }

    /// Holds what a peer says of a database against what is remembered: of its file here, and of ours there.
    pub(crate) fn check_lineages(&self, peer: NodeId, theirs: &DatabaseHello) -> Result<()> {
        let mark = Mark { seq: theirs.mark_seq, mark: theirs.mark.0 };
        let cloned = |whose: Whose| {
            let peer = self.state().peer_by_id(peer).ok().flatten().map_or_else(|| theirs.name.clone(), |p| p.name);
            Err(Error::Cloned { database: theirs.name.clone(), peer, whose })
        };
        if let Some((replica, heard)) = self.state().heard(peer, &theirs.name)?
            && replica == theirs.replica
            && mark.seq > 0
            && (mark.seq < heard.seq || mark.seq == heard.seq && mark.mark != heard.mark)
        {
            return cloned(Whose::Theirs);
        }
        let Some(attached) = self.state().databases()?.into_iter().find(|d| d.name == theirs.name) else {
            return Ok(());
        };
        let vectors: Vectors = theirs.vectors();
        let (same, broken) = self.with_database(&attached, |db| {
            let own = db.replica()?;
            let heard = theirs.heard.filter(|h| h.replica == own);
            let broken = match heard {
                Some(h) => db.continues(Mark { seq: h.mark_seq, mark: h.mark.0 })? == Continuity::Broken,
                None => false,
            };
            Ok((own == theirs.replica, broken || db.is_behind_itself(&vectors)?))
        })?;
        if broken || same {
            return cloned(Whose::Ours);
        }
        Ok(())
    }

    /// Remembers what a peer said of its files' histories. Once it has found true what was remembered of them before.
    pub(crate) fn hear(&self, peer: NodeId, said: &[Said]) -> Result<()> {
        let access = self.state().access(peer)?;
        let shared = said.iter().filter(|s| access.names(&s.database));
        shared.into_iter().try_for_each(|s| Ok(self.state().hear(peer, &s.database, s.replica, s.mark)?))
    }

    /// Says what a restored file is to mean, and brings it together with the peers.
    pub async fn restored(self: &Arc<Node>, name: &str, meaning: Meaning) -> Result<RestoredReport> {
        let database = self.state().database(name)?;
        let copy = {
            let _turn = self.home().lock(Work::Sync, TURN).await?;
            // Opening it notices a break.
            self.with_database(&database, |_| Ok(()))?;
            match self.state().lineage(name)?.broke {
                Some(broke) => broke.copy,
                // Nobody noticed: the whole machine was restored, or is a copy.
                None => self.begin_anew(&database).await?,
            }
        };
        let mut run = self.sync_sharing(name).await?;
        let mut imposed = None;
        if meaning == Meaning::Authoritative {
            if let Some(failed) = run.iter().find(|e| e.result == RunResult::Failed) {
                return Err(Error::NotReached { peer: failed.name.clone(), database: name.to_owned() });
            }
            let copy = copy.clone().ok_or_else(|| Error::NoRestoredState { database: name.to_owned() })?;
            let _turn = self.home().lock(Work::Sync, TURN).await?;
            let now = self.now();
            let done = self.with_database(&database, |db| db.impose(&copy, now))?;
            imposed = Some(Imposed { inserts: done.inserts, updates: done.updates, deletes: done.deletes });
        }
        self.state().settle_break(name)?;
        if imposed.is_some() {
            run = self.sync_sharing(name).await?;
        }
        let replica = self.with_database(&database, |db| db.replica())?;
        Ok(RestoredReport {
            name: name.to_owned(),
            meaning: match meaning {
                Meaning::Rejoin => "rejoin",
                Meaning::Authoritative => "authoritative",
            },
            replica: replica.to_string(),
            copy: copy.map(|c| c.display().to_string()),
            imposed,
            run,
        })
    }

    /// A session with each peer that shares the database and can be called.
    async fn sync_sharing(self: &Arc<Node>, database: &str) -> Result<Vec<SyncEntry>> {
        let mut entries = Vec::new();
        for peer in self.state().peers()?.iter().filter(|p| p.address.is_some()) {
            if self.shares_database(peer, database)? {
                entries.push(self.sync(peer, Trigger::Person, &|_| ControlFlow::Continue(())).await?);
            }
        }
        Ok(entries)
    }

    fn shares_database(&self, peer: &Peer, database: &str) -> Result<bool> {
        Ok(self.state().access(peer.node)?.names(database))
    }

    /// The latest copy that was set aside for that reason.
    pub(crate) fn newest_aside(&self, database: &AttachedDatabase, why: &str) -> Result<Option<PathBuf>> {
        let folder = self.home().backups();
        let prefix = format!("{}-{why}-", database.name);
        let io = |source| crate::home::Error::Io { path: folder.clone(), source };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                found.push(entry.path());
            }
        }
        Ok(found.into_iter().max())
    }

    pub(crate) fn set_aside(&self, database: &AttachedDatabase, why: &str) -> Result<PathBuf> {
        let at = crate::node::timestamp(self.now()).strftime("%Y%m%dT%H%M%SZ").to_string();
        let to = self.free_backup(&format!("{}-{why}", database.name), &at);
        self.copy(database, &to, false)
    }
}

/// Whose file has another history than the other side remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This node's.
    Ours,
    /// The peer's.
    Theirs,
}

impl Whose {
    /// As it is said.
    pub(crate) fn at(self, peer: &str) -> String {
        match self {
            Whose::Ours => "on this machine".to_owned(),
            Whose::Theirs => format!("at `{peer}`"),
        }
    }
}

/// Opens a file as this node does, before anything is known of its history.
pub(crate) fn open(attached: &AttachedDatabase, siblings: &[engine::Sibling]) -> Result<Database> {
    let db = Database::open(&attached.file, siblings).map_err(|e| Error::engine(&attached.name, e))?;
    Ok(db.with_chance(random()?))
}

//! The databases that this node shares with one peer, as a session handles them.
//!
//! Always true here: a peer sees and writes what its shares name, and nothing else; what it may not write is refused
//! whole. A file is open only while something is done with it. What is told to the peer about a failure names no file.
use crate::access::Access;
use crate::engine::{self, Database, Limit, Summary};
use crate::identity::NodeId;
use crate::node::Node;
use crate::state::AttachedDatabase;
use crate::status::Direction;
use crate::{Error, Result};
use lockstep_engine::change::Batch;
use lockstep_engine::id::Vectors;
use lockstep_wire::message::{Counts, DatabaseHello, PullLimit, Refusal, TableHello};
use lockstep_wire::session::{Store, leave_out};
use lockstep_wire::{Hex, Limits};
use std::sync::Arc;

/// See the module.
pub struct Shelf {
    node: Arc<Node>,
    peer: NodeId,
    databases: Vec<AttachedDatabase>,
    access: Access,
    /// Is the access that of the pairing, to be read anew for each call? A peer may be retired in the middle of a session.
    follows: bool,
    /// What failed here last, in full; a peer is told less.
    failed: Option<Error>,
}

impl Shelf {
    /// Of what is shared with that peer.
    pub fn of(node: Arc<Node>, peer: NodeId) -> Result<Shelf> {
        let access = node.state().access(peer)?;
        Ok(Shelf { follows: true, ..Shelf::with_access(node, peer, access)? })
    }

    /// Of what may pass between this node and that peer.
    pub(crate) fn with_access(node: Arc<Node>, peer: NodeId, access: Access) -> Result<Shelf> {
        let databases = ordered(node.state().databases()?).into_iter().filter(|d| access.names(&d.name)).collect();
        Ok(Shelf { node, peer, databases, access, follows: false, failed: None })
    }

    /// Their names; those that others refer to first.
    pub fn names(&self) -> Vec<String> {
        self.databases.iter().map(|d| d.name.clone()).collect()
    }

    /// What went wrong here, if a call was refused for that.
    pub fn take_failure(&mut self) -> Option<Error> {
        self.failed.take()
    }

    fn database(&mut self, name: &str) -> Result<AttachedDatabase, Refusal> {
        self.follow()?;
        let shared = self.databases.iter().find(|d| d.name == name && self.access.names(name));
        shared.cloned().ok_or_else(|| {
            refusal(
                "database_unknown",
                "this node does not share that database with you",
                "look what is shared with `lockstep peers` on both nodes",
            )
        })
    }

    /// What is shared may have been changed meanwhile, by another process perhaps.
    fn follow(&mut self) -> Result<(), Refusal> {
        if self.follows {
            let state = self.node.state();
            let read = || if state.is_peer(self.peer)? { state.access(self.peer) } else { Ok(Access::default()) };
            self.access = read().map_err(|e| keep(&mut self.failed, e.into()))?;
        }
        Ok(())
    }

    /// Runs engine work on one database, alone among the threads of this process.
    fn with<T>(
        &mut self,
        database: &AttachedDatabase,
        work: impl FnOnce(&mut Database) -> Result<T, engine::Error>,
    ) -> Result<T, Refusal> {
        self.node.with_database(database, work).map_err(|e| keep(&mut self.failed, e))
    }

    fn hello(&mut self, database: &AttachedDatabase, summary: Summary) -> Result<DatabaseHello, Refusal> {
        let heard = self.node.heard_of(self.peer, &summary.name).map_err(|e| keep(&mut self.failed, e))?;
        let shared = |name: &str| self.access.of(&summary.name, name) != Direction::None;
        // Where the peer shares more than this node does, the rest goes on.
        let closed = summary.tables.iter().filter(|t| t.synced && !shared(&t.name)).map(|t| t.name.clone()).collect();
        let mut tables = Vec::new();
        for t in summary.tables.iter().filter(|t| shared(&t.name)) {
            let without = self.access.without(&summary.name, &t.name);
            let digest = if without.is_empty() {
                t.digest
            } else {
                let done = self.node.digest_without(database, t, &without, summary.digest_key);
                done.map_err(|e| keep(&mut self.failed, e))?
            };
            tables.push(TableHello {
                name: t.name.clone(),
                columns: t.columns.iter().filter(|c| !without.contains(*c)).cloned().collect(),
                // A table that only peers have is exchanged by anybody's rules.
                fingerprint: if t.synced { Hex(t.rules) } else { TableHello::NO_RULES },
                vector: t.vector.clone(),
                rows: t.rows,
                digest: Hex(digest.to_be_bytes()),
                under_way: t.under_way,
                way: self.access.of(&summary.name, &t.name).way(),
                withheld: self.access.withheld(&summary.name, &t.name).into_iter().collect(),
                without: without.into_iter().collect(),
            });
        }
        Ok(DatabaseHello {
            tables,
            closed,
            name: summary.name,
            replica: summary.replica,
            mark: Hex(summary.mark.mark),
            mark_seq: summary.mark.seq,
            heard,
            clock: summary.clock,
            digest_key: Hex(summary.digest_key),
            held: summary.held,
            conflicts_unreviewed: summary.conflicts_unreviewed,
            capture: summary.capture,
        })
    }

    /// Refuses a batch that writes what the peer may not write, and says so in the log.
    fn check(&self, batch: &Batch) -> Result<(), Refusal> {
        let Some(what) = self.access.forbidden(batch) else { return Ok(()) };
        let peer = self.node.state().peer_by_id(self.peer).ok().flatten().map(|p| p.name);
        tracing::warn!(
            peer = peer.as_deref().unwrap_or("?"), node = %self.peer, database = %batch.database, what,
            "a batch with what its sender may not write was refused whole"
        );
        let mut refusal = refusal(
            NOT_ALLOWED,
            &format!("this node takes no changes of {}.{what} from you", batch.database),
            "look what is shared with `lockstep peers` on both nodes",
        );
        refusal.message.truncate(refusal.message.floor_char_boundary(Limits::default().sentence));
        Err(refusal)
    }
}

/// The code of a batch that writes what its sender may not write.
pub(crate) const NOT_ALLOWED: &str = "not_allowed";

impl Store for Shelf {
    fn summarize(&mut self, harvest: bool) -> Result<Vec<DatabaseHello>, Refusal> {
        self.follow()?;
        let (host, now) = (self.node.host().map_err(|e| keep(&mut self.failed, e))?, self.node.now());
        let mut hellos = Vec::new();
        for database in self.databases.clone().into_iter().filter(|d| self.access.names(&d.name)).collect::<Vec<_>>() {
            let summary = self.with(&database, |db| {
                if harvest {
                    db.harvest(now)?;
                }
                let summary = db.summary()?;
                // Attached by an earlier version, or not to the end.
                if !summary.hosted {
                    db.live_on(&host, now)?;
                }
                Ok(summary)
            })?;
            self.node.stands(&database.name, &summary);
            hellos.push(self.hello(&database, summary)?);
        }
        Ok(hellos)
    }

    fn adopt_key(&mut self, database: &str, key: Hex<16>) -> Result<(), Refusal> {
        let database = self.database(database)?;
        let now = self.node.now();
        self.with(&database, |db| db.adopt_digest_key(key.0, now)).map(drop)
    }

    fn extract(
        &mut self,
        database: &str,
        have: &Vectors,
        except: &[String],
        limit: PullLimit,
    ) -> Result<Batch, Refusal> {
        let database = self.database(database)?;
        let (access, now) = (self.access.clone(), self.node.now());
        let mut have = have.clone();
        let size = |n: u64, most: usize| usize::try_from(n).unwrap_or(most).clamp(1, most);
        let limit = Limit { items: size(limit.items, 50_000), bytes: size(limit.bytes, 32 << 20) };
        self.with(&database, |db| {
            let own = db.vectors()?;
            let sends = |table: &str| access.of(&database.name, table).sends();
            let withheld: Vec<String> = own.keys().filter(|t| !sends(t) || except.contains(t)).cloned().collect();
            leave_out(&mut have, &own, &withheld);
            let mut batch = db.extract(&have, limit, now)?;
            // Of what is withheld not even the vectors are told.
            batch.start.retain(|t, _| !withheld.contains(t));
            batch.end.retain(|t, _| !withheld.contains(t));
            batch.until.retain(|t, _| !withheld.contains(t));
            access.leave_out(&mut batch);
            Ok(batch)
        })
    }

    fn apply(&mut self, batch: &Batch) -> Result<Counts, Refusal> {
        let database = self.database(&batch.database)?;
        self.check(batch)?;
        let now = self.node.now();
        let review = self.node.under_review(self.peer).map_err(|e| keep(&mut self.failed, e))?;
        let applied =
            self.with(&database, |db| if review { db.apply_aside(batch, now) } else { db.apply(batch, now) })?;
        Ok(Counts {
            inserts: applied.inserts,
            updates: applied.updates,
            deletes: applied.deletes,
            conflicts: applied.conflicts,
            id_moves: applied.id_moves,
            held: applied.held,
            writes: applied.writes,
        })
    }
}

/// Keeps what failed, and gives what a peer is told of it.
fn keep(failed: &mut Option<Error>, e: Error) -> Refusal {
    let refusal = told(&e);
    *failed = Some(e);
    refusal
}

pub(crate) fn refusal(code: &str, message: &str, hint: &str) -> Refusal {
    Refusal { code: code.into(), message: message.into(), hint: hint.into() }
}

/// An error of this node as a peer may read it.
pub(crate) fn told(e: &Error) -> Refusal {
    match e {
        Error::Engine { source, .. } if matches!(**source, engine::Error::StartNotReached { .. }) => refusal(
            Refusal::START_NOT_REACHED,
            "the batch starts from what this node does not have",
            "nothing is lost; the two compare anew",
        ),
        _ => {
            let (_, problem) = e.told_to_peers();
            refusal(&problem.code, &problem.message, problem.hint.as_deref().unwrap_or(""))
        }
    }
}

/// Databases that are referred to come before those that refer to them; otherwise by name. A circle is cut at the
/// name that comes first.
pub(crate) fn ordered(mut databases: Vec<AttachedDatabase>) -> Vec<AttachedDatabase> {
    let refers = |from: &AttachedDatabase, to: &AttachedDatabase| {
        let prefix = format!("{}.", to.name);
        let tables = from.config.tables.values();
        from.name != to.name && tables.flat_map(|t| t.references.values()).any(|r| r.starts_with(&prefix))
    };
    databases.sort_by(|a, b| a.name.cmp(&b.name));
    let mut done: Vec<AttachedDatabase> = Vec::new();
    while !databases.is_empty() {
        let free = databases.iter().position(|d| !databases.iter().any(|other| refers(d, other))).unwrap_or(0);
        done.push(databases.remove(free));
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_engine::config::{DatabaseConfig, TableConfig};

    fn database(name: &str, refers_to: &[&str]) -> AttachedDatabase {
        let references = refers_to.iter().enumerate().map(|(i, r)| (format!("c{i}"), (*r).to_owned())).collect();
        let table = TableConfig { references, ..TableConfig::default() };
        let config = DatabaseConfig { tables: [("t".to_owned(), table)].into(), ..DatabaseConfig::default() };
        AttachedDatabase { name: name.into(), file: name.into(), config }
    }

    #[test]
    fn what_is_referred_to_comes_first() {
        let check = |databases: Vec<AttachedDatabase>, expected: &[&str]| {
            let names: Vec<_> = ordered(databases).into_iter().map(|d| d.name).collect();
            assert_eq!(names, expected);
        };
        check(vec![database("scouting", &["users.user", "team"]), database("users", &[])], &["users", "scouting"]);
        check(vec![database("b", &["c.x"]), database("a", &["b.x"]), database("c", &[])], &["c", "b", "a"]);
        check(vec![database("b", &["a.x"]), database("a", &["b.x"])], &["a", "b"]);
        check(vec![database("b", &["b.x"]), database("a", &["gone.x"])], &["a", "b"]);
    }
}

//! Comparing with a peer: every table, down to the rows.
//!
//! Always true here: rows are called different only where both sides have received the same writes of them; what
//! differs is held for a person, never put right; of a table that a peer does not let this node have, nothing finer
//! than its digest is asked. The rows that differ are kept for who wants to page through them, without values. Not here:
//! how a table is searched (`compare::search`) and how a peer's questions are answered (`routes::compare`).
mod row;
mod search;

pub use row::{ComparedColumn, Shown};

use crate::access::Columns;
use crate::call::{self, Link};
use crate::engine;
use crate::node::{Node, timestamp};
use crate::reading::{Look, ReadWatcher};
use crate::routes::blocking;
use crate::rows::key;
use crate::state::{AttachedDatabase, Peer};
use crate::{Error, NodeId, Result};
use jiff::Timestamp;
use lockstep_engine::compare::Kind;
use lockstep_engine::id::{Dot, ReplicaId};
use lockstep_wire::Hex;
use lockstep_wire::message::{DatabaseHello, Hello, TableHello};
use serde::Serialize;
use std::sync::Arc;

/// What comparing with a peer gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What this node calls the peer.
    pub peer: String,
    /// When.
    pub at: Timestamp,
    /// Was every table that both share found equal?
    pub equal: bool,
    /// This node's tables.
    pub tables: Vec<ComparedTable>,
    /// Bytes of questions.
    pub bytes_sent: u64,
    /// Bytes of answers.
    pub bytes_received: u64,
}

/// How a table stands on two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableStanding {
    /// The same writes, the same rows.
    Equal,
    /// The same writes, other rows.
    Different,
    /// Writes are under way: compare again after a sync.
    Moving,
    /// The two sides are configured differently.
    Mismatch,
    /// It does not pass between the two.
    NotShared,
}

/// Rows and digest of one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Half {
    /// Living rows.
    pub rows: u64,
    /// 32 hex digits.
    pub digest: String,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedTable {
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// This side.
    pub here: Half,
    /// The other side, if it shares the table.
    pub there: Option<Half>,
    /// How it stands.
    pub state: TableStanding,
    /// Why, for all but `equal`: a sentence.
    pub because: Option<String>,
    /// Rows that live here only.
    pub only_here: u64,
    /// Rows that live there only.
    pub only_there: u64,
    /// Rows that say something else.
    pub different: u64,
    /// Rows of which a write is on its way.
    pub under_way: u64,
    /// There are more rows than were looked for.
    pub cut: bool,
    /// The rows that differ.
    pub rows: Vec<ComparedRow>,
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedRow {
    #[serde(skip)]
    birth: Dot,
    #[serde(skip)]
    how: Kind,
    /// Its key here; null: it is not here.
    pub key: serde_json::Value,
    /// Its key there; null: it is not there.
    pub key_there: serde_json::Value,
    /// `only_here`, `only_there`, `different`.
    pub kind: &'static str,
    /// The columns that differ; none: the row is on one side only, or the two sides differ in what it is one row with.
    pub columns: Vec<String>,
}

/// A table that both share, ready to be searched.
struct Place {
    database: AttachedDatabase,
    /// The peer's file.
    replica: ReplicaId,
    without: Columns,
    /// The digest that is kept here.
    digest: u128,
    found: ComparedTable,
    ways: Ways,
}

/// What is to be done with a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ways {
    /// Nothing more.
    Known,
    /// The digests are all that may be compared.
    Digests,
    /// It is searched.
    Rows,
}

impl Node {
    /// Compares every table with a peer's, reads the rows on both sides anew, and holds what differs for a person.
    ///
    /// # Errors
    ///
    /// `stopped`: the watcher wanted no more; what was found till then is held.
    pub async fn compare(self: &Arc<Node>, peer: &str, watcher: ReadWatcher<'_>) -> Result<Comparison> {
        let look = Look::default();
        look.watched(watcher, self.compare_in(peer, &look)).await
    }

    pub(crate) async fn compare_in(self: &Arc<Node>, peer: &str, look: &Look) -> Result<Comparison> {
        let peer = self.state().peer(peer)?;
        let (link, said) = self.ask_standing(&peer).await?;
        let mut places = {
            let (node, id, name) = (self.clone(), peer.node, peer.name.clone());
            blocking(move || node.places(id, &name, &said)).await?
        };
        for place in &mut places {
            match place.ways {
                Ways::Known => {}
                Ways::Digests => by_digest(place, &format!("{} does not let this server have its rows", peer.name)),
                Ways::Rows => {
                    let name = format!("{}.{}", place.found.database, place.found.table);
                    look.begin(&name, Some(&peer.name), place.found.here.rows);
                    self.compare_table(&link, &peer, place, look).await?;
                }
            }
        }
        let (bytes_sent, bytes_received) = link.bytes();
        let tables: Vec<ComparedTable> = places.into_iter().map(|p| p.found).collect();
        let shared = || tables.iter().filter(|t| t.state != TableStanding::NotShared);
        let comparison = Comparison {
            peer: peer.name,
            at: timestamp(self.now()),
            equal: shared().next().is_some() && shared().all(|t| t.state == TableStanding::Equal),
            tables,
            bytes_sent,
            bytes_received,
        };
        self.comparisons().insert(peer.node, Arc::new(comparison.clone()));
        Ok(comparison)
    }

    /// What was found last.
    pub(crate) fn last_comparison(&self, peer: NodeId) -> Option<Arc<Comparison>> {
        self.comparisons().get(&peer).cloned()
    }

    /// The rows of a table that differ in one way and whose keys contain a text, from one on, and how many there are:
    /// as they were found by the last [`Node::compare`].
    ///
    /// # Errors
    ///
    /// `comparison_unknown`: the two have not been compared since this program was started.
    pub fn compared_rows(
        &self,
        peer: &str,
        (database, table): (&str, &str),
        kind: &str,
        text: &str,
        (from, most): (usize, usize),
    ) -> Result<(Vec<ComparedRow>, usize)> {
        let peer = self.state().peer(peer)?;
        let last = self.last_comparison(peer.node).ok_or_else(|| unknown(&peer.name))?;
        let text = text.trim().to_lowercase();
        let fits = |r: &&ComparedRow| {
            r.kind == kind && (text.is_empty() || format!("{} {}", r.key, r.key_there).to_lowercase().contains(&text))
        };
        let tables = last.tables.iter().filter(|t| t.database == database && t.table == table);
        let rows: Vec<&ComparedRow> = tables.flat_map(|t| &t.rows).filter(fits).collect();
        Ok((rows.iter().skip(from).take(most).map(|r| (*r).clone()).collect(), rows.len()))
    }

    /// The tables of this node, and what the peer says of them.
    fn places(&self, peer: NodeId, name: &str, said: &Hello) -> Result<Vec<Place>> {
        let access = self.state().access(peer)?;
        let now = self.now();
        let mut places = Vec::new();
        for database in self.state().databases()? {
            let theirs = said.databases.iter().find(|d| d.name == database.name);
            let summary = self.with_database(&database, |db| {
                db.harvest(now)?;
                db.summary()
            })?;
            self.stands(&database.name, &summary);
            for table in &summary.tables {
                let without = access.without(&database.name, &table.name);
                let digest = match without.is_empty() {
                    true => table.digest,
                    false => self.digest_without(&database, table, &without, summary.digest_key)?,
                };
                let there = theirs.and_then(|d| d.tables.iter().find(|t| t.name == table.name).map(|t| (d, t)));
                let there = there.filter(|_| access.of(&database.name, &table.name).passes());
                let mut place = Place {
                    replica: theirs.map_or(summary.replica, |d| d.replica),
                    found: found(&database.name, table, digest, there.map(|(_, t)| t)),
                    database: database.clone(),
                    without,
                    digest,
                    ways: Ways::Known,
                };
                match there {
                    None => place.settle(TableStanding::NotShared, &format!("it is not shared with {name}")),
                    Some((d, t)) => place.way_of(table, (d, t), summary.digest_key, name),
                }
                places.push(place);
            }
        }
        Ok(places)
    }

    /// Works on a database where it may block.
    pub(crate) async fn on_table<T: Send + 'static>(
        self: &Arc<Node>,
        database: &AttachedDatabase,
        work: impl FnOnce(&mut engine::Database) -> Result<T, engine::Error> + Send + 'static,
    ) -> Result<T> {
        let (node, database) = (self.clone(), database.clone());
        blocking(move || node.with_database(&database, work)).await
    }
}

fn unknown(peer: &str) -> Error {
    Error::Said {
        code: "comparison_unknown".into(),
        message: format!("there is no comparison with {peer} to look at"),
        hint: "compare again".into(),
    }
}

fn found(database: &str, table: &engine::TableSummary, digest: u128, there: Option<&TableHello>) -> ComparedTable {
    ComparedTable {
        database: database.to_owned(),
        table: table.name.clone(),
        here: Half { rows: table.rows, digest: Hex::from(digest).to_string() },
        there: there.map(|t| Half { rows: t.rows, digest: t.digest.to_string() }),
        state: TableStanding::Moving,
        because: None,
        only_here: 0,
        only_there: 0,
        different: 0,
        under_way: 0,
        cut: false,
        rows: Vec::new(),
    }
}

impl Place {
    fn settle(&mut self, state: TableStanding, because: &str) {
        self.found.state = state;
        self.found.because = Some(because.to_owned());
    }

    /// How far a table may be compared.
    fn way_of(
        &mut self,
        mine: &engine::TableSummary,
        (d, t): (&DatabaseHello, &TableHello),
        key: [u8; 16],
        peer: &str,
    ) {
        let rules = Hex(mine.rules);
        let by_any = !mine.synced || t.fingerprint == TableHello::NO_RULES;
        if d.digest_key.0 != key {
            self.settle(TableStanding::Moving, &format!("there was no sync with {peer} yet"));
        } else if !by_any && t.fingerprint != rules {
            self.settle(TableStanding::Mismatch, &format!("{peer} is configured differently for it"));
        } else if !self.without.iter().eq(t.without.iter()) {
            self.settle(TableStanding::Mismatch, "the two sides don't leave out the same columns yet: sync first");
        } else if t.way.sends() {
            self.ways = Ways::Rows;
        } else {
            self.ways = Ways::Digests;
            let same = mine.vector == t.vector && !mine.under_way && !t.under_way;
            self.found.state = match (same, self.digest == u128::from(t.digest)) {
                (true, true) => TableStanding::Equal,
                (true, false) => TableStanding::Different,
                (false, _) => TableStanding::Moving,
            };
        }
    }
}

/// All that can be said of a table whose rows can't be asked for.
fn by_digest(place: &mut Place, why: &str) {
    match place.found.state {
        TableStanding::Different => {
            place.settle(TableStanding::Different, &format!("the digests differ; {why}: compare over there"));
        }
        TableStanding::Moving => place.settle(TableStanding::Moving, MOVES),
        TableStanding::Equal | TableStanding::Mismatch | TableStanding::NotShared => {}
    }
}

const MOVES: &str = "writes to it are under way: sync, then compare again";

/// Does a failure say that the peer knows of no such question?
fn is_too_old(e: &Error) -> bool {
    matches!(e, Error::Call(call::Error::Refused { status: 404, .. }))
}

fn too_old(peer: &Peer) -> Error {
    Error::Said {
        code: "peer_too_old".into(),
        message: format!("{} runs a version of Lockstep that can't be compared with down to the rows", peer.name),
        hint: "update Lockstep there; until then, `lockstep sync` says whether the digests agree".into(),
    }
}

impl ComparedRow {
    fn new(birth: Dot, how: Kind, keys: (Option<&str>, Option<&str>), columns: Vec<String>) -> ComparedRow {
        let (here, there) = match how {
            Kind::OnlyHere => (keys.0, None),
            Kind::OnlyThere => (None, keys.1),
            Kind::Different => keys,
        };
        ComparedRow { birth, how, key: key(here), key_there: key(there), kind: how.name(), columns }
    }
}

impl Node {
    async fn compare_table(self: &Arc<Node>, link: &Link, peer: &Peer, place: &mut Place, look: &Look) -> Result<()> {
        match self.search(link, place, look).await {
            Err(e) if is_too_old(&e) => Err(too_old(peer)),
            done => done,
        }
    }
}

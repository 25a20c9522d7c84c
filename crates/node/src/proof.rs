//! Proof: digests of this node's tables, held against those of its peers, and the balance.
//!
//! Always true here: two tables count as equal only if both sides stood at the same writes and said the same digest.
use crate::Result;
use crate::access::Access;
use crate::call::Link;
use crate::compare::{ComparedRow, Comparison, TableStanding};
use crate::engine::{self, Balance, TableSummary, Verification};
use crate::node::{Node, timestamp};
use crate::reading::{Look, ReadWatcher};
use crate::routes::{self, blocking};
use crate::shelf::Shelf;
use crate::state::Peer;
use crate::status::Problem;
use jiff::Timestamp;
use lockstep_wire::message::{Hello, Message, TableState, Word};
use lockstep_wire::session::Store;
use lockstep_wire::{Hex, Limits};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What `verify` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proof {
    /// Was every shared table found equal at every peer, and every value of this node found where its account says?
    pub equal: bool,
    /// This node's tables.
    pub tables: Vec<TableProof>,
    /// The peers that they were compared with.
    pub peers: Vec<PeerProof>,
    /// Where every value is.
    pub balance: BalanceReport,
    /// What the files say that the accounts don't, or the other way round. Empty: they agree.
    pub findings: Vec<String>,
    /// Changes that wait for a person here.
    pub held: u64,
    /// Conflicts that nobody has looked at.
    pub conflicts_unreviewed: u64,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableProof {
    /// `DB.TABLE`
    pub name: String,
    /// Living rows.
    pub rows: u64,
    /// 32 hex digits.
    pub digest: String,
    /// Is it equal at every peer that has it?
    pub equal: bool,
    /// The peers at which it is not, and why.
    pub differs: Vec<Difference>,
}

/// A table that was not found equal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// What this node calls the peer.
    pub peer: String,
    /// `differs`: the same writes, other rows. `behind`: the two don't stand at the same writes. `config_differs`: the two
    /// sides are configured differently.
    pub state: &'static str,
    /// Why, in a sentence, if the peer was asked.
    pub because: Option<String>,
    /// Rows there.
    pub rows: u64,
    /// Rows that live here only.
    pub only_here: u64,
    /// Rows that live there only.
    pub only_there: u64,
    /// Rows that say something else.
    pub different: u64,
    /// There are more than were looked for.
    pub cut: bool,
    /// Which rows.
    pub differing: Vec<ComparedRow>,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeerProof {
    /// What this node calls it.
    pub name: String,
    /// Was every table that both share found equal?
    pub equal: bool,
    /// When it said where it stands: just now if it could be reached, else when it was last in contact.
    pub as_of: Option<Timestamp>,
    /// Changes that it holds.
    pub held: u64,
    /// Bytes of what it was asked.
    pub bytes_sent: u64,
    /// Bytes of its answers.
    pub bytes_received: u64,
    /// Why it was not asked now.
    pub error: Option<Problem>,
}

/// Where every value is. `total` is counted for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct BalanceReport {
    pub visible: u64,
    pub superseded: u64,
    pub archived: u64,
    pub deleted: u64,
    pub held: u64,
    pub cleaned: u64,
    pub total: u64,
}

impl BalanceReport {
    fn add(&mut self, b: &Balance) {
        self.visible += b.visible;
        self.superseded += b.superseded;
        self.archived += b.archived;
        self.deleted += b.deleted;
        self.held += b.held;
        self.cleaned += b.cleaned;
        self.total += b.total;
    }

    /// Values that are in no account.
    pub fn lost(&self) -> u64 {
        let sum = self.visible + self.superseded + self.archived + self.deleted + self.held + self.cleaned;
        self.total.abs_diff(sum)
    }
}

/// What `digest` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableDigest {
    /// Table name.
    pub name: String,
    /// Living rows.
    pub rows: u64,
    /// 32 hex digits.
    pub digest: String,
}

/// What does not agree, in sentences without values.
fn findings(database: &str, verification: &Verification) -> Vec<String> {
    let mut found = Vec::new();
    for table in &verification.tables {
        found.extend(table.findings.iter().map(|f| format!("{database}.{}: {f}", table.name)));
        if table.digest != table.recounted {
            found.push(format!("{database}.{}: the digest that is kept is not that of the rows", table.name));
        }
    }
    if verification.balance != verification.recounted {
        found.push(format!("{database}: the running accounts are not what is counted anew"));
    }
    found
}

/// A table as both sides know it.
type Standing = BTreeMap<(String, String), TableState>;

impl Node {
    /// The digests of a database.
    pub fn digest(&self, name: &str, table: Option<&str>) -> Result<Vec<TableDigest>> {
        let database = self.state().database(name)?;
        self.look(&database)?;
        let summary = self.with_database(&database, engine::Database::summary)?;
        let tables = summary.tables.into_iter().filter(|t| table.is_none_or(|name| name == t.name));
        Ok(tables
            .map(|t| TableDigest { name: t.name, rows: t.rows, digest: Hex(t.digest.to_be_bytes()).to_string() })
            .collect())
    }

    /// The accounts of every database as they are kept, without reading the rows again.
    pub fn balance(&self) -> Result<BTreeMap<String, BalanceReport>> {
        let mut balances = BTreeMap::new();
        let now = self.now();
        for database in self.state().databases()? {
            let balance = self.with_database(&database, |db| {
                db.harvest(now)?;
                db.balance()
            })?;
            balances.entry(database.name).or_insert_with(BalanceReport::default).add(&balance);
        }
        Ok(balances)
    }

    /// Compares with a peer, or with all, reads the application's rows again, and counts the balance anew.
    ///
    /// # Errors
    ///
    /// `stopped`: the watcher wanted no more; rows that were found to differ till then are held.
    pub async fn verify(self: &Arc<Node>, peer: Option<&str>, watcher: ReadWatcher<'_>) -> Result<Proof> {
        let look = Arc::new(Look::default());
        look.watched(watcher, self.verify_in(peer, &look)).await
    }

    async fn verify_in(self: &Arc<Node>, peer: Option<&str>, look: &Arc<Look>) -> Result<Proof> {
        let peers = match peer {
            Some(name) => vec![self.state().peer(name)?],
            None => self.state().peers()?,
        };
        let (node, shared) = (self.clone(), look.clone());
        let (mine, mut proof) = blocking(move || node.verify_here(&shared)).await?;
        for peer in &peers {
            let compared = self.compare_in(&peer.name, look).await;
            let (node, named) = (self.clone(), peer.clone());
            let mut entry = match compared {
                Ok(compared) => {
                    let mut entry = blocking(move || node.told_standing(&named, None)).await?.1;
                    (entry.bytes_sent, entry.bytes_received) = (compared.bytes_sent, compared.bytes_received);
                    entry.equal = compared.equal;
                    take_over(&mut proof, compared);
                    entry
                }
                Err(e) => {
                    let why = e.problem();
                    let (theirs, mut entry) = blocking(move || node.told_standing(&named, Some(why))).await?;
                    let access = self.state().access(peer.node)?;
                    let mine = self.standing_towards(&mine, &access)?;
                    entry.equal = compare(&mut proof, &mine, &theirs, &access, &peer.name);
                    entry
                }
            };
            entry.name.clone_from(&peer.name);
            proof.equal &= entry.equal;
            proof.peers.push(entry);
        }
        // What was found to differ is held now.
        let (held, node) = (proof.peers.iter().any(|p| !p.equal), self.clone());
        if held {
            proof.held = blocking(move || node.count_held()).await?;
        }
        Ok(proof)
    }

    /// The same, where columns don't pass over those that do.
    fn standing_towards(&self, mine: &Standing, access: &Access) -> Result<Standing> {
        let mut mine = mine.clone();
        for database in self.state().databases()? {
            let parts = |t: &TableSummary| !access.without(&database.name, &t.name).is_empty();
            let summary = self.with_database(&database, engine::Database::summary)?;
            for table in summary.tables.iter().filter(|t| parts(t)) {
                let without = access.without(&database.name, &table.name);
                let digest = self.digest_without(&database, table, &without, summary.digest_key)?;
                if let Some(state) = mine.get_mut(&(database.name.clone(), table.name.clone())) {
                    state.digest = Hex(digest.to_be_bytes());
                    state.vector.clone_from(&table.vector);
                }
            }
        }
        Ok(mine)
    }

    /// What waits for a person in all databases.
    fn count_held(&self) -> Result<u64> {
        let databases = self.state().databases()?;
        let held = databases.iter().map(|d| self.with_database(d, engine::Database::summary).map(|s| s.held));
        held.sum()
    }

    fn verify_here(&self, look: &Look) -> Result<(Standing, Proof)> {
        let mut proof = Proof {
            equal: true,
            tables: Vec::new(),
            peers: Vec::new(),
            balance: BalanceReport::default(),
            findings: Vec::new(),
            held: 0,
            conflicts_unreviewed: 0,
        };
        let mut standing = Standing::new();
        let now = self.now();
        for database in self.state().databases()? {
            let (summary, verification) = self.with_database(&database, |db| {
                db.harvest(now)?;
                look.begin(&database.name, None, db.summary()?.tables.iter().map(|t| t.rows).sum());
                db.counts_in(look.reading());
                let verification = db.verify(now)?;
                Ok((db.summary()?, verification))
            })?;
            self.stands(&database.name, &summary);
            proof.balance.add(&verification.balance);
            proof.findings.extend(findings(&database.name, &verification));
            proof.held += summary.held;
            proof.conflicts_unreviewed += summary.conflicts_unreviewed;
            for table in summary.tables {
                let digest = Hex(table.digest.to_be_bytes());
                proof.tables.push(TableProof {
                    name: format!("{}.{}", database.name, table.name),
                    rows: table.rows,
                    digest: digest.to_string(),
                    equal: true,
                    differs: Vec::new(),
                });
                let state = TableState {
                    name: table.name.clone(),
                    vector: table.vector,
                    rows: table.rows,
                    digest,
                    under_way: table.under_way,
                };
                standing.insert((database.name.clone(), table.name), state);
            }
        }
        proof.equal = proof.findings.is_empty() && proof.balance.lost() == 0;
        Ok((standing, proof))
    }

    /// Asks a peer where it stands now.
    pub(crate) async fn ask_standing(self: &Arc<Node>, peer: &Peer) -> Result<(Link, Hello)> {
        let address = peer.address.as_ref().ok_or_else(|| crate::Error::NoAddress { peer: peer.name.clone() })?;
        let link = Link::new(self.identity(), peer.node, address)?.telling(self.told_address(address)?);
        let (node, id) = (self.clone(), peer.node);
        let databases = blocking(move || {
            let mut shelf = Shelf::of(node, id)?;
            let summaries = shelf.summarize(false);
            match (summaries, shelf.take_failure()) {
                (Ok(summaries), _) => Ok(summaries),
                (Err(_), Some(e)) => Err(e),
                (Err(_), None) => Err(crate::pair::PairError::NothingShared.into()),
            }
        })
        .await?;
        let now_ms = self.now();
        let hello = Hello { node: Hex(self.id().0), name: self.name()?, now_ms, word: Word::Look, databases };
        let limits = Limits::default();
        let answer = link.post(routes::HELLO, hello.to_json(), limits.message + 1024, Duration::from_secs(60)).await?;
        let said = Hello::from_json(&answer, &limits)?;
        let node = self.clone();
        let offset = said.now_ms.0.saturating_sub(now_ms.0.midpoint(self.now().0));
        let heard = said.clone();
        blocking(move || node.greeted(id, &heard, Some(offset))).await?;
        Ok((link, said))
    }

    /// Where a peer stands, as it last said.
    fn told_standing(&self, peer: &Peer, asked: Option<Problem>) -> Result<(Standing, PeerProof)> {
        let mut standing = Standing::new();
        let mut as_of = None;
        for database in self.state().databases()? {
            for (state, at) in self.state().last_told(peer.node, &database.name)? {
                as_of = as_of.max(Some(at));
                standing.insert((database.name.clone(), state.name.clone()), state);
            }
        }
        let held = self.state().peer_by_id(peer.node)?.map_or(peer.held, |p| p.held);
        let name = peer.name.clone();
        // That a peer comes by itself is no fault, if it has come.
        let error = asked.filter(|e| e.code != "no_address" || as_of.is_none());
        let (bytes_sent, bytes_received) = (0, 0);
        let as_of = as_of.map(timestamp);
        Ok((standing, PeerProof { name, equal: false, as_of, held, bytes_sent, bytes_received, error }))
    }
}

/// What comparing with a peer gave.
fn take_over(proof: &mut Proof, compared: Comparison) {
    for table in compared.tables {
        let state = match table.state {
            TableStanding::Equal => {
                let said = table.because.map(|said| format!("{}.{}: {said}", table.database, table.table));
                proof.findings.extend(said);
                continue;
            }
            TableStanding::NotShared => continue,
            TableStanding::Different => "differs",
            TableStanding::Moving => "behind",
            TableStanding::Mismatch => "config_differs",
        };
        let name = format!("{}.{}", table.database, table.table);
        let Some(entry) = proof.tables.iter_mut().find(|t| t.name == name) else { continue };
        entry.equal = false;
        entry.differs.push(Difference {
            peer: compared.peer.clone(),
            state,
            because: table.because,
            rows: table.there.map_or(0, |t| t.rows),
            only_here: table.only_here,
            only_there: table.only_there,
            different: table.different,
            cut: table.cut,
            differing: table.rows,
        });
    }
}

/// The same, by what an absent peer said last.
fn compare(proof: &mut Proof, mine: &Standing, theirs: &Standing, access: &Access, peer: &str) -> bool {
    let (mut all, mut compared) = (true, false);
    for ((database, table), mine) in mine {
        if !access.of(database, table).passes() {
            continue;
        }
        // What the peer has never named, it does not have or does not share.
        let Some(theirs) = theirs.get(&(database.clone(), table.clone())) else { continue };
        compared = true;
        let same = mine.vector == theirs.vector && !mine.under_way && !theirs.under_way;
        let state = match (same, mine.digest == theirs.digest) {
            (true, true) => continue,
            (true, false) => "differs",
            (false, _) => "behind",
        };
        all = false;
        let name = format!("{database}.{table}");
        if let Some(entry) = proof.tables.iter_mut().find(|t| t.name == name) {
            entry.equal = false;
            entry.differs.push(Difference {
                peer: peer.to_owned(),
                state,
                because: None,
                rows: theirs.rows,
                only_here: 0,
                only_there: 0,
                different: 0,
                cut: false,
                differing: Vec::new(),
            });
        }
    }
    all && compared
}

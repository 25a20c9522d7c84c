//! The plan of a session, row by row, and applying exactly that plan; and peers that are under review as a whole.
//!
//! Always true here: what is applied is what was shown, named by its hash, or nothing; a plan that has moved is refused
//! and says which tables moved. What is kept of a plan is kept in memory; on disk only where both sides stood.
//! Not here: how the plan is found (`preview`), and how rows are put aside (the engine).
use crate::conflicts::readable_named;
use crate::home::Work;
use crate::identity::NodeId;
use crate::node::{Node, timestamp};
use crate::preview::{Look, raise};
use crate::routes::{self, blocking};
use crate::rows::{key, named};
use crate::session::{SyncEntry, TURN, push_batch};
use crate::state::{Peer, RunResult, TableEntry, Trigger};
use crate::{Error, Result, visit};
use jiff::Timestamp;
use lockstep_engine::change::Batch;
use lockstep_engine::database::Operation;
use lockstep_engine::id::Vectors;
use lockstep_wire::Hex;
use lockstep_wire::message::{DatabaseHello, Hello, Message as _, Word};
use lockstep_wire::session::Store as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const REQUEST: Duration = Duration::from_secs(120);

/// What a plan was made of.
#[derive(Debug, Default)]
pub struct Looked {
    pub(crate) plan: String,
    pub(crate) databases: Vec<LookedDatabase>,
    rows: OnceLock<Vec<PlanEntry>>,
}

/// The same of one database.
#[derive(Debug)]
pub(crate) struct LookedDatabase {
    pub(crate) name: String,
    mine: DatabaseHello,
    theirs: DatabaseHello,
    /// None: too much to be fetched.
    pub(crate) incoming: Option<Vec<Batch>>,
    /// None: too much to be looked at.
    pub(crate) outgoing: Option<Vec<Batch>>,
    /// Tables that don't go from here.
    pub(crate) except: Vec<String>,
}

impl LookedDatabase {
    pub(crate) fn new(mine: &DatabaseHello, theirs: &DatabaseHello) -> LookedDatabase {
        let (mine, theirs) = (mine.clone(), theirs.clone());
        let (incoming, outgoing, except) = (Some(Vec::new()), Some(Vec::new()), Vec::new());
        LookedDatabase { name: mine.name.clone(), mine, theirs, incoming, outgoing, except }
    }
}

/// What a plan does to one row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanEntry {
    /// Names the row in this plan; `sync --plan … --hold` takes it.
    pub id: String,
    /// `incoming` or `outgoing`.
    pub direction: &'static str,
    /// Database.
    pub database: String,
    /// Table.
    pub table: String,
    /// Its key on this node: the one it has, or would get.
    pub key: serde_json::Value,
    /// `insert`, `update`, `delete`.
    pub operation: &'static str,
    /// The node whose write came last.
    pub from: Option<String>,
    /// When that was written.
    pub at: Option<Timestamp>,
    /// Those that change. Values only of what is incoming.
    pub columns: Vec<PlanColumn>,
    /// A conflict would be recorded.
    pub conflict: bool,
    /// It would get this id instead of the one at its birthplace.
    pub moves_to: Option<i64>,
    /// It would wait, for this reason.
    pub held: Option<&'static str>,
}

impl PlanEntry {
    fn has(&self, text: &str) -> bool {
        let has = |name: &str| name.to_lowercase().contains(text);
        has(&format!("{}.{}", self.database, self.table))
            || has(&self.key.to_string())
            || self.columns.iter().any(|c| has(&c.name))
    }
}

/// One column of such a row. Values are as JSON shows them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanColumn {
    /// Name.
    pub name: String,
    /// As it is; null also where there is none.
    pub before: serde_json::Value,
    /// As it would be.
    pub after: serde_json::Value,
}

/// A part of a plan's rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanPage {
    /// The plan's hash.
    pub plan: String,
    /// How many rows there are in all, as filtered.
    pub total: u64,
    /// These of them; parents before children.
    pub rows: Vec<PlanEntry>,
}

/// Which part of a plan's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanSpan {
    /// `incoming` or `outgoing`; None: both.
    pub direction: Option<String>,
    /// `DB` or `DB.TABLE`; None: all.
    pub table: Option<String>,
    /// `insert`, `update`, `delete`; None: all.
    pub operation: Option<String>,
    /// In the name of the table, the key or the name of a column, in any case; None: anything.
    pub text: Option<String>,
    /// Rows to pass over.
    pub offset: usize,
    /// Rows at most.
    pub limit: usize,
}

/// Where both sides stood when a plan was made: by table, a hash of it.
#[derive(Default, Serialize, Deserialize)]
struct Standing {
    plan: String,
    tables: BTreeMap<String, String>,
}

fn place(peer: NodeId) -> String {
    format!("plan.{peer}")
}

fn moved(tables: &[String]) -> Error {
    let what = if tables.is_empty() { "both sides".to_owned() } else { tables.join(", ") };
    Error::Said {
        code: "plan_moved".to_owned(),
        message: format!("the plan is not what it was: {what} moved since"),
        hint: "nothing was applied; look at the new plan with `lockstep preview`".to_owned(),
    }
}

fn too_large() -> Error {
    Error::Said {
        code: "plan_too_large".to_owned(),
        message: "there is so much to exchange that the plan is only counted".to_owned(),
        hint: "`lockstep sync` exchanges it; what is left after that can be looked at".to_owned(),
    }
}

impl Looked {
    fn standing(&self) -> Standing {
        let mut tables = BTreeMap::new();
        for d in &self.databases {
            for t in &d.mine.tables {
                let mut hash = Sha256::new();
                let there = d.theirs.tables.iter().find(|o| o.name == t.name);
                for side in [Some(t), there] {
                    hash.update([u8::from(side.is_some())]);
                    for (replica, seq) in side.iter().flat_map(|s| &s.vector) {
                        hash.update(replica.0);
                        hash.update(seq.0.to_be_bytes());
                    }
                }
                let hash: [u8; 32] = hash.finalize().into();
                tables.insert(format!("{}.{}", d.name, t.name), Hex(hash).to_string());
            }
        }
        Standing { plan: self.plan.clone(), tables }
    }
}

impl Node {
    /// Keeps what a plan was made of.
    pub(crate) fn remember_plan(&self, peer: NodeId, looked: Looked) -> Result<()> {
        let standing = serde_json::to_string(&looked.standing()).unwrap_or_default();
        self.state().set_setting(&place(peer), &standing)?;
        self.plans.lock().unwrap_or_else(|e| e.into_inner()).insert(peer, Arc::new(looked));
        Ok(())
    }

    /// Rows of the plan of that hash, as it was made by `preview`, in this process or another.
    pub async fn plan_page(self: &Arc<Node>, peer: &Peer, plan: &str, span: PlanSpan) -> Result<PlanPage> {
        let cached = self.plans.lock().unwrap_or_else(|e| e.into_inner()).get(&peer.node).cloned();
        let looked = match cached.filter(|l| l.plan.starts_with(plan)) {
            Some(looked) => looked,
            None => {
                let looked = Arc::new(self.look_again(&mut self.look_of(peer)?, peer, plan).await?);
                self.plans.lock().unwrap_or_else(|e| e.into_inner()).insert(peer.node, looked.clone());
                looked
            }
        };
        let node = self.clone();
        blocking(move || {
            let rows = node.rows_of(&looked)?;
            let wanted = |r: &&PlanEntry| {
                span.direction.as_ref().is_none_or(|d| d == r.direction)
                    && span
                        .table
                        .as_ref()
                        .is_none_or(|t| *t == r.database || *t == format!("{}.{}", r.database, r.table))
                    && span.operation.as_ref().is_none_or(|o| o == r.operation)
                    && span.text.as_ref().is_none_or(|text| r.has(&text.to_lowercase()))
            };
            let all: Vec<&PlanEntry> = rows.iter().filter(wanted).collect();
            let total = all.len() as u64;
            let rows = all.into_iter().skip(span.offset).take(span.limit).cloned().collect();
            Ok(PlanPage { plan: looked.plan.clone(), total, rows })
        })
        .await
    }

    /// Makes the plan anew; refused if it is another by now.
    async fn look_again(self: &Arc<Node>, look: &mut Look, peer: &Peer, plan: &str) -> Result<Looked> {
        let origin = self.origin(peer.node)?;
        let (_, looked) = self.look_at_peer(look, peer, origin).await?;
        if !plan.is_empty() && looked.plan.starts_with(plan) {
            return Ok(looked);
        }
        let now = looked.standing();
        let then: Standing = self
            .state()
            .note(&place(peer.node))?
            .and_then(|text| serde_json::from_str(&text).ok())
            .filter(|s: &Standing| !plan.is_empty() && s.plan.starts_with(plan))
            .unwrap_or_default();
        let tables: Vec<String> = now
            .tables
            .iter()
            .filter(|(name, hash)| !then.tables.is_empty() && then.tables.get(*name) != Some(hash))
            .map(|(name, _)| name.clone())
            .collect();
        Err(moved(&tables))
    }

    fn rows_of<'l>(&self, looked: &'l Looked) -> Result<&'l Vec<PlanEntry>> {
        if let Some(rows) = looked.rows.get() {
            return Ok(rows);
        }
        let now = self.now();
        let mut all = Vec::new();
        for d in &looked.databases {
            let attached = self.state().database(&d.name)?;
            let mut names = self.replica_names(&attached)?;
            let batches = d.incoming.as_ref().ok_or_else(too_large)?;
            for (replica, host) in batches.iter().flat_map(|batch| &batch.hosts) {
                names.entry(*replica).or_insert_with(|| host.name.clone());
            }
            for r in self.with_database(&attached, |db| db.plan(batches, now))? {
                let column = |c: lockstep_engine::plan::PlanColumn| PlanColumn {
                    name: c.name,
                    before: readable_named(c.before),
                    after: readable_named(c.after),
                };
                all.push(PlanEntry {
                    id: r.id,
                    direction: "incoming",
                    database: d.name.clone(),
                    table: r.table,
                    key: key(r.key.as_deref()),
                    operation: operation(r.operation),
                    from: r.from.map(|x| named(&names, x)),
                    at: r.at.map(timestamp),
                    columns: r.columns.into_iter().map(column).collect(),
                    conflict: r.conflict,
                    moves_to: r.moves_to,
                    held: r.held.map(lockstep_engine::change::ConflictKind::name),
                });
            }
            let have = d.theirs.vectors();
            let closed = &d.except;
            let pending = self.with_database(&attached, |db| db.pending(&have, 20_000, now))?;
            for (n, r) in pending.into_iter().filter(|r| !closed.contains(&r.table)).enumerate() {
                let column = |name| PlanColumn { name, before: ().into(), after: ().into() };
                all.push(PlanEntry {
                    id: format!("out-{n}"),
                    direction: "outgoing",
                    database: d.name.clone(),
                    key: key(r.key.as_deref()),
                    table: r.table,
                    operation: operation(r.operation),
                    from: None,
                    at: Some(timestamp(r.at)),
                    columns: r.columns.into_iter().map(column).collect(),
                    conflict: false,
                    moves_to: None,
                    held: None,
                });
            }
        }
        Ok(looked.rows.get_or_init(|| all))
    }

    /// Applies exactly the plan of that hash, or refuses and says what moved. Rows of it that `hold` names are put aside
    /// for a person. Then brings to the peer what was planned to go there.
    pub async fn sync_plan(self: &Arc<Node>, peer: &Peer, plan: &str, hold: &[String]) -> Result<SyncEntry> {
        let _turn = self.home().lock(Work::Sync, TURN).await?;
        let started = self.now();
        let mut look = self.look_of(peer)?;
        let looked = Arc::new(self.look_again(&mut look, peer, plan).await?);
        for d in &looked.databases {
            let (Some(batches), Some(_)) = (&d.incoming, &d.outgoing) else { return Err(too_large()) };
            let mut reached = d.mine.vectors();
            batches.iter().for_each(|b| raise(&mut reached, &b.end));
            let theirs = d.theirs.vectors();
            let further = |(table, v): (&String, &lockstep_engine::id::Vector)| {
                v.iter().any(|(r, seq)| {
                    let known = |all: &Vectors| all.get(table).and_then(|v| v.get(r)).is_some_and(|s| seq <= s);
                    !known(&theirs) && !known(&d.mine.vectors())
                })
            };
            if let Some((table, _)) = reached.iter().find(|(t, v)| further((t, v))) {
                return Err(moved(&[format!("{}.{table}", d.name)]));
            }
        }
        let mut entry = SyncEntry::begun(peer);
        let (node, applying, hold) = (self.clone(), looked.clone(), hold.to_vec());
        let applied = blocking(move || node.apply_looked(&applying, &hold)).await?;
        for done in applied {
            entry.applied += done.inserts + done.updates + done.deletes;
            entry.conflicts += done.conflicts;
            entry.id_moves += done.id_moves;
            entry.held += done.held;
        }
        for d in &looked.databases {
            entry.received += d.incoming.iter().flatten().map(|b| b.items.len() as u64).sum::<u64>();
            let mut have = d.theirs.vectors();
            for batch in d.outgoing.iter().flatten().filter(|b| !b.items.is_empty()) {
                entry.held_there = self.bring(&look, peer, batch.clone(), &mut have, &mut entry).await?;
            }
            // What applying made here: aliases and records.
            d.incoming.iter().flatten().for_each(|b| raise(&mut have, &b.end));
            for batch in look.extract_for(&d.name, have.clone(), &d.except).await? {
                if !batch.items.is_empty() {
                    entry.held_there = self.bring(&look, peer, batch, &mut have, &mut entry).await?;
                }
            }
        }
        self.compare_after(&mut look, peer, &mut entry).await?;
        let (sent, received) = look.link.bytes();
        (entry.bytes_sent, entry.bytes_received) = (sent, received);
        entry.duration_ms = (self.now().0 - started.0).max(0);
        let (node, id, record) = (self.clone(), peer.node, entry.clone());
        blocking(move || node.record(id, Trigger::Person, started, &record)).await?;
        Ok(entry)
    }

    fn apply_looked(&self, looked: &Looked, hold: &[String]) -> Result<Vec<lockstep_engine::database::Applied>> {
        let known: Vec<&PlanEntry> = self.rows_of(looked)?.iter().filter(|r| r.direction == "incoming").collect();
        let mut by_database: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for id in hold {
            let mut found = known.iter().filter(|r| r.id.starts_with(id.as_str()));
            let (Some(one), None) = (found.next(), found.next()) else {
                return Err(crate::state::Error::Unknown { what: "change of the plan", name: id.clone() }.into());
            };
            by_database.entry(&one.database).or_default().push(one.id.clone());
        }
        let mut done = Vec::new();
        for d in &looked.databases {
            let batches: Vec<Batch> = d.incoming.iter().flatten().filter(|b| !b.end.is_empty()).cloned().collect();
            let stood = d.mine.vectors();
            let hold = by_database.get(d.name.as_str()).cloned().unwrap_or_default();
            done.push(self.decide_in(&d.name, |db, now| db.apply_plan(&batches, &stood, &hold, now))?);
        }
        Ok(done)
    }

    async fn bring(
        self: &Arc<Node>,
        look: &Look,
        peer: &Peer,
        batch: Batch,
        have: &mut Vectors,
        entry: &mut SyncEntry,
    ) -> Result<u64> {
        let (items, end) = (batch.items.len() as u64, batch.end.clone());
        let ack = push_batch(&look.link, look.limits, batch).await?;
        raise(have, &end);
        entry.sent += items;
        entry.id_moves += ack.applied.id_moves;
        let held = ack.applied.held;
        let (node, id) = (self.clone(), peer.node);
        blocking(move || Ok(node.state().told(id, &ack.database, &ack.tables, node.now())?)).await?;
        Ok(held)
    }

    /// Holds where this node stands against where the peer stands.
    async fn compare_after(self: &Arc<Node>, look: &mut Look, peer: &Peer, entry: &mut SyncEntry) -> Result<()> {
        let mine = look.on_shelf(|shelf| shelf.summarize(false)).await?;
        let hello = Hello {
            node: Hex(self.id().0),
            name: self.name()?,
            now_ms: self.now(),
            word: Word::Last,
            databases: mine.clone(),
        };
        let most = look.limits.message + 1024;
        let answer = look.link.post(routes::HELLO, hello.to_json(), most, REQUEST).await?;
        let said = Hello::from_json(&answer, &look.limits)?;
        entry.rounds = 1;
        entry.verified = visit::equal(&mine, &said.databases);
        entry.result = if entry.verified { RunResult::Verified } else { RunResult::Partial };
        for d in &mine {
            let there = said.databases.iter().find(|o| o.name == d.name);
            for t in &d.tables {
                let other = there.and_then(|o| o.tables.iter().find(|o| o.name == t.name));
                if other.is_some_and(|o| o.vector == t.vector && o.digest != t.digest) {
                    entry
                        .tables
                        .push(TableEntry { name: format!("{}.{}", d.name, t.name), state: "differs".to_owned() });
                } else if other.is_some_and(|o| o.vector != t.vector) {
                    entry.tables.push(TableEntry { name: format!("{}.{}", d.name, t.name), state: "moved".to_owned() });
                }
            }
        }
        let (node, id) = (self.clone(), peer.node);
        blocking(move || node.greeted(id, &said, None)).await
    }

    /// Is everything of that peer put aside until a person lets it through?
    pub fn under_review(&self, peer: NodeId) -> Result<bool> {
        Ok(self.state().note(&format!("review.{peer}"))?.is_some())
    }

    /// Says whether everything that a peer sends from now on is put aside until a person lets it through.
    pub fn set_review(&self, peer: &Peer, review: bool) -> Result<()> {
        let place = format!("review.{}", peer.node);
        if review {
            self.state().set_setting(&place, "1")?
        } else {
            self.state().forget_note(&place)?
        }
        Ok(())
    }
}

fn operation(o: Operation) -> &'static str {
    match o {
        Operation::Insert => "insert",
        Operation::Update => "update",
        Operation::Delete => "delete",
    }
}

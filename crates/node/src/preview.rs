//! What a session with a peer would do now, both ways. Changes no row on either side.
//!
//! Always true here: what would happen here is found by the same code that applies; what would happen there is found
//! there in the same way. Where there is too much of it for one message, or to fetch it only to be looked at, it is
//! counted, and the preview says so.
use crate::NodeId;
use crate::access::{Access, Lines};
use crate::call::Link;
use crate::contact::{ContactLine, Origin, SuggestionLine};
use crate::engine::Plan;
use crate::message::{Message as _, PlanLine, Previewed};
use crate::mismatch::{self, Mismatch};
use crate::node::Node;
use crate::plan::{Looked, LookedDatabase};
use crate::routes::{self, blocking};
use crate::session::fetch_batch;
use crate::shelf::Shelf;
use crate::state::{AttachedDatabase, Peer};
use crate::status::Share;
use crate::{Error, Result};
use lockstep_engine::change::{Batch, Existence, Item};
use lockstep_engine::contact::Began;
use lockstep_engine::id::{ReplicaId, Vectors};
use lockstep_wire::message::{DatabaseHello, Hello, Message as _, Pull, PullLimit, TableHello, Way, Word};
use lockstep_wire::session::Store;
use lockstep_wire::{Hex, Limits, encode_batch};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// The usual case is one batch, whose plan can be asked for.
const LIMIT: PullLimit = PullLimit { items: 10_000, bytes: 8 << 20 };
/// More writes than this are not fetched only to be looked at: they are counted by what both sides say they have.
const FETCHED: u64 = 20_000;
const REQUEST: Duration = Duration::from_secs(120);

/// What `preview` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// What this node calls the peer.
    pub peer: String,
    /// What would change here.
    pub incoming: Changes,
    /// What would change there.
    pub outgoing: Changes,
    /// Tables that the two have differently.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mismatches: Vec<Mismatch>,
    /// What both have, table by table, where they have not met before. Empty where that is too much to fetch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contact: Vec<ContactLine>,
    /// What is not configured and what the rows of both say about it, where they have not met before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<SuggestionLine>,
    /// Stands for exactly this.
    pub plan: String,
}

/// What would change on one side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Rows that would appear.
    pub inserts: u64,
    /// Rows that would change.
    pub updates: u64,
    /// Rows that would go.
    pub deletes: u64,
    /// Conflicts that would be recorded.
    pub conflicts: u64,
    /// Rows of which something would wait: for a person, a parent, a column.
    pub held: u64,
    /// Rows that would get another id than at their birthplace.
    pub id_moves: u64,
    /// Is it counted from what would be sent, without asking the other side?
    pub estimated: bool,
    /// The same by table, where there is anything.
    pub tables: Vec<TableChanges>,
}

/// What would change in a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct TableChanges {
    /// `DB.TABLE`
    pub name: String,
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub conflicts: u64,
    pub held: u64,
    pub id_moves: u64,
}

impl Changes {
    /// Would nothing happen?
    pub fn is_empty(&self) -> bool {
        self.inserts + self.updates + self.deletes + self.conflicts + self.held == 0
    }

    fn add(&mut self, database: &str, lines: Vec<PlanLine>) {
        for line in lines {
            self.inserts += line.inserts;
            self.updates += line.updates;
            self.deletes += line.deletes;
            self.conflicts += line.conflicts;
            self.held += line.held;
            self.id_moves += line.id_moves;
            self.tables.push(TableChanges {
                name: format!("{database}.{}", line.name),
                inserts: line.inserts,
                updates: line.updates,
                deletes: line.deletes,
                conflicts: line.conflicts,
                held: line.held,
                id_moves: line.id_moves,
            });
        }
    }
}

pub(crate) fn lines(plan: Plan) -> Vec<PlanLine> {
    let line = |t: crate::engine::PlanTable| PlanLine {
        name: t.name,
        inserts: t.inserts,
        updates: t.updates,
        deletes: t.deletes,
        conflicts: t.conflicts,
        held: t.held,
        id_moves: t.id_moves,
    };
    plan.tables.into_iter().map(line).collect()
}

/// Has neither anything of the other yet?
fn have_not_met(mine: &DatabaseHello, theirs: &DatabaseHello) -> bool {
    let knows = |d: &DatabaseHello, replica: &ReplicaId| d.tables.iter().any(|t| t.vector.contains_key(replica));
    !knows(mine, &theirs.replica) && !knows(theirs, &mine.replica)
}

fn contact_lines(database: &str, access: &Access, plan: &Plan) -> Vec<ContactLine> {
    let passes = |c: &&crate::engine::Contact| access.of(database, &c.name).passes();
    let line = |c: &crate::engine::Contact| ContactLine {
        name: format!("{database}.{}", c.name),
        same: c.same,
        differing: c.differing,
        only_here: c.only_here,
        only_there: c.only_there,
        id_taken: c.id_taken,
        undatable: c.undatable,
    };
    plan.contact.iter().filter(passes).map(line).collect()
}

/// What one side lacks of the other, counted by the writes it lacks, if that is much. A table of which it has nothing
/// gets the other's rows.
fn too_much(has: &DatabaseHello, other: &DatabaseHello, except: &[String]) -> Option<Vec<PlanLine>> {
    let mut all = 0_u64;
    let mut lines = Vec::new();
    for table in other.tables.iter().filter(|t| !except.contains(&t.name)) {
        let here = has.tables.iter().find(|t| t.name == table.name);
        let seq = |replica: &ReplicaId| here.and_then(|t| t.vector.get(replica)).map_or(0, |s| s.0);
        let writes = table.vector.iter().map(|(r, s)| s.0.saturating_sub(seq(r))).fold(0, u64::saturating_add);
        all = all.saturating_add(writes);
        let empty = here.is_none_or(|t| t.vector.is_empty());
        let (inserts, updates) = if empty { (table.rows, 0) } else { (0, writes) };
        if writes > 0 {
            lines.push(PlanLine { name: table.name.clone(), inserts, updates, ..PlanLine::default() });
        }
    }
    (all > FETCHED).then_some(lines)
}

/// What batches would do at a side that has none of it: rows by what happens to them in all.
fn counted(batches: &[Batch]) -> Vec<PlanLine> {
    let mut tables: BTreeMap<&str, (HashSet<_>, HashSet<_>, HashSet<_>)> = BTreeMap::new();
    for batch in batches {
        for item in &batch.items {
            let Item::Change(change) = item else { continue };
            let Some(head) = batch.tables.get(change.table) else { continue };
            let (inserts, updates, deletes) = tables.entry(&head.name).or_default();
            match &change.existence {
                Some(Existence::Deleted { .. }) => deletes.insert(change.birth),
                Some(Existence::Lives) if change.dot == change.birth => inserts.insert(change.birth),
                Some(Existence::Lives) | None => updates.insert(change.birth),
            };
        }
    }
    let line = |(name, (inserts, updates, deletes)): (&str, (HashSet<_>, HashSet<_>, HashSet<_>))| PlanLine {
        name: name.to_owned(),
        inserts: inserts.difference(&deletes).count() as u64,
        updates: updates.iter().filter(|&b| !inserts.contains(b) && !deletes.contains(b)).count() as u64,
        deletes: deletes.difference(&inserts).count() as u64,
        conflicts: 0,
        held: 0,
        id_moves: 0,
    };
    tables.into_iter().map(line).filter(|l| l.inserts + l.updates + l.deletes > 0).collect()
}

impl Node {
    /// What a session with this peer would do now.
    pub async fn preview(self: &Arc<Node>, peer: &Peer) -> Result<Preview> {
        let (shares, origin) = (self.state().shares(peer.node)?, self.origin(peer.node)?);
        self.preview_with(peer, &shares, origin).await
    }

    /// The same for a peer that is not remembered yet.
    pub async fn preview_with(
        self: &Arc<Node>,
        peer: &Peer,
        shares: &[Share],
        origin: Option<Origin>,
    ) -> Result<Preview> {
        let address = peer.address.as_ref().ok_or_else(|| Error::NoAddress { peer: peer.name.clone() })?;
        let link = Link::new(self.identity(), peer.node, address)?;
        let between = Lines::new(shares, self.state().restrictions(peer.node)?);
        let access = self.state().access_with(peer.node, between)?;
        let mut look =
            Look { node: self.clone(), peer: peer.node, access, link, limits: Limits::default(), hash: Sha256::new() };
        let (preview, looked) = self.look_at_peer(&mut look, peer, origin).await?;
        self.remember_plan(peer.node, looked)?;
        Ok(preview)
    }

    /// The same, and what it was made of.
    pub(crate) async fn look_at_peer(
        self: &Arc<Node>,
        look: &mut Look,
        peer: &Peer,
        origin: Option<Origin>,
    ) -> Result<(Preview, Looked)> {
        let (mine, theirs) = look.greet().await?;
        let mut looked = Looked::default();
        let (mut incoming, mut outgoing) = (Changes::default(), Changes::default());
        let (mut contact, mut meeting, mut mismatches) = (Vec::new(), Vec::new(), Vec::new());
        for mine in &mine {
            let Some(theirs) = theirs.iter().find(|d| d.name == mine.name) else { continue };
            mismatches.extend(mismatch::between(mine, theirs, &look.access, &peer.name));
            let rules = |d: &DatabaseHello| -> BTreeMap<String, Hex<32>> {
                d.tables.iter().map(|t| (t.name.clone(), t.fingerprint)).collect()
            };
            let their_rules = rules(theirs);
            let differ = |(name, rule): &(String, Hex<32>)| {
                let none = TableHello::NO_RULES;
                their_rules.get(name).is_some_and(|r| r != rule && *r != none && *rule != none)
            };
            let except: Vec<String> = rules(mine).into_iter().filter(differ).map(|(name, _)| name).collect();
            let not_received = look.excepted(&except, mine, theirs, Way::receives);
            let except = look.excepted(&except, mine, theirs, Way::sends);
            let mut part = LookedDatabase::new(mine, theirs);
            if let Some(lines) = too_much(mine, theirs, &not_received) {
                incoming.add(&mine.name, lines);
                incoming.estimated = true;
                part.incoming = None;
            } else {
                let batches = look.pull(mine, &not_received).await?;
                part.incoming = Some(batches.clone());
                let began = origin.map(|o| (theirs.replica, o.began()));
                let plan = look.plan_here(&mine.name, batches, began).await?;
                if have_not_met(mine, theirs) {
                    contact.extend(contact_lines(&mine.name, &look.access, &plan));
                    meeting.push(mine.name.clone());
                }
                incoming.add(&mine.name, lines(plan));
            }
            let (lines, estimated) = match too_much(theirs, mine, &except) {
                Some(lines) => {
                    part.outgoing = None;
                    (lines, true)
                }
                None => {
                    let batches = look.extract(mine, theirs, &except).await?;
                    part.outgoing = Some(batches.clone());
                    look.plan_there(batches).await?
                }
            };
            outgoing.add(&mine.name, lines);
            outgoing.estimated |= estimated;
            look.stand(mine);
            look.stand(theirs);
            part.except = except;
            looked.databases.push(part);
        }
        let suggestions = look.suggestions(meeting, &looked).await?;
        let plan = Hex::<32>(std::mem::take(&mut look.hash).finalize().into()).to_string();
        looked.plan.clone_from(&plan);
        let peer = peer.name.clone();
        Ok((Preview { peer, incoming, outgoing, mismatches, contact, suggestions, plan }, looked))
    }

    /// What to look at a paired node with.
    pub(crate) fn look_of(self: &Arc<Node>, peer: &Peer) -> Result<Look> {
        let address = peer.address.as_ref().ok_or_else(|| Error::NoAddress { peer: peer.name.clone() })?;
        let link = Link::new(self.identity(), peer.node, address)?.telling(self.told_address(address)?);
        let access = self.state().access(peer.node)?;
        let (node, limits) = (self.clone(), Limits::default());
        Ok(Look { node, peer: peer.node, access, link, limits, hash: Sha256::new() })
    }

    /// What a batch of a peer would do here.
    pub(crate) fn preview_batches(
        &self,
        database: &AttachedDatabase,
        batches: &[Batch],
        began: Option<(ReplicaId, Began)>,
    ) -> Result<Plan> {
        let now = self.now();
        self.with_database(database, |db| db.preview(batches, began, now))
    }
}

pub(crate) struct Look {
    node: Arc<Node>,
    peer: NodeId,
    access: Access,
    pub(crate) link: Link,
    pub(crate) limits: Limits,
    hash: Sha256,
}

impl Look {
    fn most(&self) -> usize {
        self.limits.message + 1024
    }

    pub(crate) async fn on_shelf<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Shelf) -> Result<T, lockstep_wire::message::Refusal> + Send + 'static,
    ) -> Result<T> {
        let (node, peer, access) = (self.node.clone(), self.peer, self.access.clone());
        blocking(move || {
            let mut shelf = Shelf::with_access(node, peer, access)?;
            match (work(&mut shelf), shelf.take_failure()) {
                (Ok(done), _) => Ok(done),
                (Err(_), Some(e)) => Err(e),
                (Err(said), None) => Err(Error::Said { code: said.code, message: said.message, hint: said.hint }),
            }
        })
        .await
    }

    /// Tables that are not exchanged, or not this way.
    fn excepted(
        &self,
        except: &[String],
        mine: &DatabaseHello,
        theirs: &DatabaseHello,
        passes: fn(Way) -> bool,
    ) -> Vec<String> {
        let way = |name: &str| {
            let said = if theirs.closed.iter().any(|t| t == name) { Way::None } else { Way::Both };
            let there = theirs.tables.iter().find(|t| t.name == name).map_or(said, |t| t.way);
            self.access.of(&mine.name, name).way().met_by(there)
        };
        let names: BTreeSet<&String> = mine.tables.iter().chain(&theirs.tables).map(|t| &t.name).collect();
        let closed = names.into_iter().filter(|name| except.contains(name) || !passes(way(name)));
        closed.cloned().collect()
    }

    pub(crate) async fn greet(&mut self) -> Result<(Vec<DatabaseHello>, Vec<DatabaseHello>)> {
        let mine = self.on_shelf(|shelf| shelf.summarize(true)).await?;
        let hello = Hello {
            node: Hex(self.node.id().0),
            name: self.node.name()?,
            now_ms: self.node.now(),
            word: Word::Look,
            databases: mine.clone(),
        };
        let answer = self.link.post(routes::HELLO, hello.to_json(), self.most(), REQUEST).await?;
        let said = Hello::from_json(&answer, &self.limits)?;
        let (node, peer, told) = (self.node.clone(), self.peer, said.clone());
        // Of one that is not paired nothing is remembered.
        blocking(move || if node.state().is_peer(peer)? { node.greeted(peer, &told, None) } else { Ok(()) }).await?;
        Ok((mine, said.databases))
    }

    /// All that the peer has and this node lacks.
    async fn pull(&mut self, mine: &DatabaseHello, except: &[String]) -> Result<Vec<Batch>> {
        let mut have = mine.vectors();
        let mut batches: Vec<Batch> = Vec::new();
        loop {
            let pull = Pull { database: mine.name.clone(), have: have.clone(), except: except.to_vec(), limit: LIMIT };
            let batch = fetch_batch(&self.link, self.limits, &pull).await?;
            let ends = batch.last || batch.items.is_empty();
            raise(&mut have, &batch.end);
            batches.push(batch);
            if ends {
                return Ok(batches);
            }
        }
    }

    async fn plan_here(&self, database: &str, batches: Vec<Batch>, began: Option<(ReplicaId, Began)>) -> Result<Plan> {
        let (node, database) = (self.node.clone(), self.node.state().database(database)?);
        blocking(move || node.preview_batches(&database, &batches, began)).await
    }

    /// What the rows of both say about what is not configured, for databases that meet for the first time.
    async fn suggestions(&self, meeting: Vec<String>, looked: &Looked) -> Result<Vec<SuggestionLine>> {
        let fetched = looked.databases.iter().filter_map(|d| Some((d.name.clone(), d.incoming.clone()?)));
        let (node, theirs): (_, BTreeMap<_, _>) = (self.node.clone(), fetched.collect());
        blocking(move || {
            let mut lines = Vec::new();
            for name in meeting {
                lines.extend(node.suggestions(&node.state().database(&name)?, &theirs)?);
            }
            Ok(lines)
        })
        .await
    }

    /// All that this node has and the peer lacks.
    pub(crate) async fn extract(
        &mut self,
        mine: &DatabaseHello,
        theirs: &DatabaseHello,
        except: &[String],
    ) -> Result<Vec<Batch>> {
        self.extract_for(&mine.name, theirs.vectors(), except).await
    }

    /// The same for who has this.
    pub(crate) async fn extract_for(
        &mut self,
        database: &str,
        mut have: Vectors,
        except: &[String],
    ) -> Result<Vec<Batch>> {
        let mut batches = Vec::new();
        loop {
            let (name, except, from) = (database.to_owned(), except.to_vec(), have.clone());
            let batch = self.on_shelf(move |shelf| shelf.extract(&name, &from, &except, LIMIT)).await?;
            let ends = batch.last || batch.items.is_empty();
            raise(&mut have, &batch.end);
            batches.push(batch);
            if ends {
                return Ok(batches);
            }
        }
    }

    /// The plan, and whether it is only counted.
    async fn plan_there(&self, batches: Vec<Batch>) -> Result<(Vec<PlanLine>, bool)> {
        if batches.iter().all(|b| b.items.is_empty()) {
            return Ok((Vec::new(), false));
        }
        let body = match &batches[..] {
            [batch] => {
                encode_batch(batch, &self.limits).ok().map(|e| e.bytes).filter(|b| b.len() <= self.limits.message)
            }
            _ => None,
        };
        let Some(body) = body else { return Ok((counted(&batches), true)) };
        let answer = self.link.post(routes::PREVIEW, body, self.most(), REQUEST).await?;
        Ok((Previewed::from_bytes(&answer)?.tables, false))
    }

    /// The plan stands for where both sides stood.
    fn stand(&mut self, side: &DatabaseHello) {
        self.hash.update(side.name.as_bytes());
        for table in &side.tables {
            self.hash.update(table.name.as_bytes());
            self.hash.update(table.fingerprint.0);
            for (replica, seq) in &table.vector {
                self.hash.update(replica.0);
                self.hash.update(seq.0.to_be_bytes());
            }
        }
    }
}

pub(crate) fn raise(have: &mut Vectors, end: &Vectors) {
    for (table, vector) in end {
        let have = have.entry(table.clone()).or_default();
        for (replica, seq) in vector {
            let mine = have.entry(*replica).or_default();
            *mine = (*mine).max(*seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_engine::id::{Seq, Stamp};
    use lockstep_wire::message::TableHello;

    fn side(tables: &[(&str, u64, u64)]) -> DatabaseHello {
        let table = |(name, seq, rows): &(&str, u64, u64)| TableHello {
            name: (*name).to_owned(),
            columns: Vec::new(),
            fingerprint: Hex([1; 32]),
            vector: (*seq > 0).then_some((ReplicaId([1; 16]), Seq(*seq))).into_iter().collect(),
            rows: *rows,
            digest: Hex([0; 16]),
            under_way: false,
            way: Way::Both,
            withheld: Vec::new(),
            without: Vec::new(),
        };
        DatabaseHello {
            closed: Vec::new(),
            name: "d".into(),
            replica: ReplicaId([2; 16]),
            mark: Hex([0; 16]),
            mark_seq: 0,
            heard: None,
            clock: Stamp(0),
            digest_key: Hex([0; 16]),
            held: 0,
            conflicts_unreviewed: 0,
            capture: Vec::new(),
            tables: tables.iter().map(table).collect(),
        }
    }

    #[test]
    fn much_is_counted_and_little_is_fetched() {
        let other = side(&[("new", 30_000, 25_000), ("known", 40_000, 9), ("same", 7, 7)]);
        let has = side(&[("new", 0, 0), ("known", 39_000, 9), ("same", 7, 7)]);
        let line =
            |name: &str, inserts, updates| PlanLine { name: name.into(), inserts, updates, ..Default::default() };
        assert_eq!(too_much(&has, &other, &[]), Some(vec![line("new", 25_000, 0), line("known", 0, 1_000)]));
        assert_eq!(too_much(&has, &other, &["new".into()]), None);
        assert_eq!(too_much(&other, &has, &[]), None);
    }
}

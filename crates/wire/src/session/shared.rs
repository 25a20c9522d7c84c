//! What a session knows of one shared database: where both sides stand.
use crate::hex::Hex;
use crate::message::{Counts, DatabaseHello, TableHello, TableState};
use crate::session::report::{DatabaseReport, DatabaseState, TableOutcome, TableReport};
use crate::session::{Way, Ways};
use lockstep_engine::id::{ReplicaId, Vector, Vectors};
use std::collections::{BTreeMap, BTreeSet};

/// One side's view of a table.
#[derive(Clone, Debug, Default)]
struct Table {
    vector: Vector,
    rows: u64,
    /// At exactly this vector; None: the vector is known to have moved since.
    digest: Option<Hex<16>>,
    /// A delta to it broke off, and the rest is still to come.
    under_way: bool,
    /// None: it is not a table of its own, it only holds what others have sent.
    fingerprint: Option<Hex<32>>,
    /// Which way this side lets it go.
    way: Way,
    /// The columns over which the digest is not taken.
    without: Vec<String>,
}

/// One side of a database.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    tables: BTreeMap<String, Table>,
    /// Tables that it does not exchange with the other side.
    closed: BTreeSet<String>,
    pub(super) key: Option<Hex<16>>,
    pub(super) replica: Option<ReplicaId>,
}

impl Side {
    fn of(hello: &DatabaseHello) -> Side {
        let table = |t: &TableHello| Table {
            vector: t.vector.clone(),
            rows: t.rows,
            digest: Some(t.digest),
            under_way: t.under_way,
            fingerprint: Some(t.fingerprint).filter(|f| *f != TableHello::NO_RULES),
            way: t.way,
            without: t.without.clone(),
        };
        Side {
            tables: hello.tables.iter().map(|t| (t.name.clone(), table(t))).collect(),
            closed: hello.closed.iter().cloned().collect(),
            key: Some(hello.digest_key),
            replica: Some(hello.replica),
        }
    }

    /// Takes over newer states of tables.
    fn renew(&mut self, states: &[TableState]) {
        for state in states {
            let table = self.tables.entry(state.name.clone()).or_default();
            table.vector = state.vector.clone();
            table.rows = state.rows;
            table.digest = Some(state.digest);
            table.under_way = state.under_way;
        }
    }

    /// It has at least what it has sent, which is what the receiver could not have had before.
    fn reached(&mut self, before: &Vectors, after: &Vectors) {
        for (name, vector) in after {
            for (replica, seq) in vector {
                let known = before.get(name).and_then(|v| v.get(replica)).is_some_and(|s| s >= seq);
                if known {
                    continue;
                }
                let table = self.tables.entry(name.clone()).or_default();
                if table.vector.get(replica).is_none_or(|mine| mine < seq) {
                    table.vector.insert(*replica, *seq);
                    table.digest = None;
                }
            }
        }
    }

    fn vectors(&self) -> Vectors {
        self.tables.iter().map(|(name, t)| (name.clone(), t.vector.clone())).collect()
    }

    fn is_empty(&self) -> bool {
        self.tables.values().all(|t| t.rows == 0 && t.vector.is_empty())
    }
}

/// A database that both share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) ours: Side,
    pub(super) theirs: Side,
    ways: Ways,
    /// Tables that are configured differently.
    except: BTreeSet<String>,
    /// What comparing gave, when the vectors were last equal.
    compared: BTreeMap<String, bool>,
    pub(super) report: DatabaseReport,
}

impl Shared {
    pub(super) fn new(name: &str, ways: &Ways) -> Shared {
        Shared {
            name: name.into(),
            ways: ways.clone(),
            ours: Side::default(),
            theirs: Side::default(),
            except: BTreeSet::new(),
            compared: BTreeMap::new(),
            report: DatabaseReport::new(name),
        }
    }

    pub(super) fn set_ours(&mut self, hello: &DatabaseHello) {
        self.ours = Side::of(hello);
        self.report.held = hello.held;
        self.settle();
    }

    pub(super) fn set_theirs(&mut self, hello: &DatabaseHello) {
        self.theirs = Side::of(hello);
        self.report.held_there = hello.held;
        self.report.capture_there.clone_from(&hello.capture);
        self.settle();
    }

    pub(super) fn renew_theirs(&mut self, states: &[TableState]) {
        self.theirs.renew(states);
        self.compare();
    }

    /// Does the peer say that it has all of this? A table of which it says nothing is left to the next hello.
    pub(super) fn acknowledges(&self, end: &Vectors) -> bool {
        end.iter().all(|(name, vector)| self.theirs.tables.get(name).is_none_or(|t| covers(&t.vector, vector)))
    }

    /// The peer's batch has led from the one to the other.
    pub(super) fn has_sent(&mut self, before: &Vectors, after: &Vectors) {
        self.theirs.reached(before, after);
    }

    pub(super) fn applied_here(&mut self, items: u64, counts: Counts) {
        self.report.received += items;
        self.report.applied.add(counts);
        self.report.held = counts.held;
    }

    pub(super) fn applied_there(&mut self, items: u64, counts: Counts) {
        self.report.sent += items;
        self.report.applied_there.add(counts);
        self.report.held_there = counts.held;
    }

    /// Works out anew which tables can't be exchanged, and compares the others.
    fn settle(&mut self) {
        self.except.clear();
        for (name, ours) in &self.ours.tables {
            let theirs = self.theirs.tables.get(name).and_then(|t| t.fingerprint);
            if let (Some(a), Some(b)) = (ours.fingerprint, theirs)
                && a != b
            {
                self.except.insert(name.clone());
            }
        }
        self.compare();
    }

    fn compare(&mut self) {
        if self.ours.key != self.theirs.key {
            return;
        }
        let equal = |(name, ours, theirs): (&String, &Table, &Table)| {
            let (a, b) = (ours.digest?, theirs.digest?);
            let whole = !ours.under_way && !theirs.under_way;
            let comparable = whole && ours.without == theirs.without && same(&ours.vector, &theirs.vector);
            comparable.then(|| (name.clone(), a == b))
        };
        let results: Vec<(String, bool)> = self.both().filter_map(equal).collect();
        self.compared.extend(results);
    }

    /// The tables that both have and that may be exchanged.
    fn both(&self) -> impl Iterator<Item = (&String, &Table, &Table)> {
        let tables = self.ours.tables.iter().filter(|(name, _)| !self.except.contains(*name));
        tables.filter_map(|(name, ours)| Some((name, ours, self.theirs.tables.get(name)?)))
    }

    /// Which way a table goes, by what both sides say.
    fn way(&self, name: &str) -> Way {
        let said = if self.theirs.closed.contains(name) { Way::None } else { Way::Both };
        self.own_way(name).met_by(self.theirs.tables.get(name).map_or(said, |t| t.way))
    }

    fn own_way(&self, name: &str) -> Way {
        let said = self.ours.tables.get(name).map_or(Way::Both, |t| t.way);
        self.ways.of(&self.name, name).and(said)
    }

    /// Did this side take its digests before it knew what the peer withholds, or no longer withholds?
    pub(super) fn is_outdated(&self) -> bool {
        self.both().any(|(_, ours, theirs)| ours.without != theirs.without)
    }

    /// Writes that the peer has and this node lacks, at most.
    pub(super) fn to_receive(&self) -> u64 {
        self.lacking(&self.ours, &self.theirs, Way::receives)
    }

    /// Writes that this node has and the peer lacks, at most.
    pub(super) fn to_send(&self) -> u64 {
        self.lacking(&self.theirs, &self.ours, Way::sends)
    }

    fn lacking(&self, have: &Side, other: &Side, passes: fn(Way) -> bool) -> u64 {
        let none = Vector::new();
        let goes = |name: &String| !self.except.contains(name) && passes(self.way(name));
        let tables = other.tables.iter().filter(|(name, _)| goes(name));
        let lacks = tables.map(|(name, table)| {
            let have = have.tables.get(name).map_or(&none, |t| &t.vector);
            let missing = |(r, seq): (&ReplicaId, &lockstep_engine::id::Seq)| {
                seq.0.saturating_sub(have.get(r).map_or(0, |s| s.0))
            };
            table.vector.iter().map(missing).fold(0, u64::saturating_add)
        });
        lacks.fold(0, u64::saturating_add)
    }

    /// Was it not given up?
    pub(super) fn is_going(&self) -> bool {
        self.report.state == DatabaseState::Exchanged
    }

    /// Is there anything to exchange, as far as is known?
    pub(super) fn has_news(&self) -> bool {
        self.is_going() && (self.to_receive() > 0 || self.to_send() > 0)
    }

    /// Is any of these tables configured differently?
    pub(super) fn is_excepted<'a>(&self, mut names: impl Iterator<Item = &'a String>) -> bool {
        !self.except.is_empty() && names.any(|name| self.except.contains(name))
    }

    /// What a batch that is to be received must not have.
    pub(super) fn not_received(&self) -> Vec<String> {
        self.excepted(Way::receives)
    }

    /// What a batch that is to be sent must not have.
    pub(super) fn not_sent(&self) -> Vec<String> {
        self.excepted(Way::sends)
    }

    fn excepted(&self, passes: fn(Way) -> bool) -> Vec<String> {
        let tables = self.ours.tables.keys().chain(self.theirs.tables.keys());
        let mut except = self.except.clone();
        except.extend(tables.filter(|name| !passes(self.way(name))).cloned());
        except.into_iter().collect()
    }

    pub(super) fn have_here(&self) -> Vectors {
        self.ours.vectors()
    }

    pub(super) fn have_there(&self) -> Vectors {
        self.theirs.vectors()
    }

    pub(super) fn is_empty_here(&self) -> bool {
        self.ours.is_empty()
    }

    pub(super) fn is_empty_there(&self) -> bool {
        self.theirs.is_empty()
    }

    /// Tables that stand at the same writes, and of which the peer's digest is not known.
    pub(super) fn digests_wanted(&self) -> Vec<String> {
        let unknown = |(name, ours, theirs): (&String, &Table, &Table)| {
            (self.way(name) != Way::None && same(&ours.vector, &theirs.vector) && theirs.digest.is_none())
                .then(|| name.clone())
        };
        self.both().filter_map(unknown).collect()
    }

    /// The report, with what is known of each table.
    pub(super) fn into_report(self) -> DatabaseReport {
        let mut report = self.report.clone();
        let names: BTreeSet<&String> = self.ours.tables.keys().chain(self.theirs.tables.keys()).collect();
        // What this node does not share is no part of it.
        for name in names.into_iter().filter(|name| self.own_way(name) != Way::None) {
            let (ours, theirs) = (self.ours.tables.get(name), self.theirs.tables.get(name));
            let outcome = match (ours, theirs, self.compared.get(name)) {
                _ if self.except.contains(name) => TableOutcome::ConfigDiffers,
                (None, _, _) => TableOutcome::MissingHere,
                (_, None, _) if self.theirs.closed.contains(name) => TableOutcome::OneWay,
                (_, None, _) => TableOutcome::MissingThere,
                (Some(a), Some(b), _) if !same(&a.vector, &b.vector) => match self.way(name) {
                    Way::Send if covers(&b.vector, &a.vector) => TableOutcome::OneWay,
                    Way::Receive if covers(&a.vector, &b.vector) => TableOutcome::OneWay,
                    Way::None => TableOutcome::OneWay,
                    Way::Both | Way::Send | Way::Receive => TableOutcome::Moved,
                },
                (Some(_), Some(_), None) => TableOutcome::Moved,
                (Some(_), Some(_), Some(true)) => TableOutcome::Equal,
                (Some(_), Some(_), Some(false)) => TableOutcome::Differs,
            };
            let rows = |t: Option<&Table>| t.map_or(0, |t| t.rows);
            report.tables.push(TableReport { name: name.clone(), rows: rows(ours), rows_there: rows(theirs), outcome });
        }
        report
    }
}

/// Does one vector have all that the other has?
pub(super) fn covers(have: &Vector, other: &Vector) -> bool {
    other.iter().all(|(r, seq)| seq.0 == 0 || have.get(r).is_some_and(|s| s >= seq))
}

fn same(a: &Vector, b: &Vector) -> bool {
    covers(a, b) && covers(b, a)
}

/// Does the one have all that the other has, in every table?
pub(super) fn all_cover(have: &Vectors, other: &Vectors) -> bool {
    let none = Vector::new();
    other.iter().all(|(name, vector)| covers(have.get(name).unwrap_or(&none), vector))
}

/// Raises a vector to the other.
pub(super) fn join(vector: &mut Vector, other: &Vector) {
    for (replica, seq) in other {
        let mine = vector.entry(*replica).or_default();
        *mine = (*mine).max(*seq);
    }
}

/// Raises the vectors of all tables to the others.
pub(super) fn all_join(vectors: &mut Vectors, other: &Vectors) {
    for (name, vector) in other {
        join(vectors.entry(name.clone()).or_default(), vector);
    }
}

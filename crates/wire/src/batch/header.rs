//! The first line of a batch.
use super::form::check_head;
use crate::error::Error;
use crate::hex::Hex;
use crate::limits::Limits;
use crate::message::{Tagged, read};
use lockstep_engine::change::{Batch, Context, TableHead};
use lockstep_engine::id::{Host, ReplicaId, Seq, Stamp, Vector, Vectors};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// The replicas of a batch by number, in the order in which they are first named.
#[derive(Default)]
pub(super) struct Replicas {
    numbers: HashMap<ReplicaId, u32>,
    pub(super) names: Vec<ReplicaId>,
}

impl Replicas {
    pub(super) fn number(&mut self, replica: ReplicaId) -> u32 {
        *self.numbers.entry(replica).or_insert_with(|| {
            self.names.push(replica);
            u32::try_from(self.names.len() - 1).expect("fewer replicas than items")
        })
    }
}

/// What the sum covers of the header's line: all up to the field that says the sum, which is the last one.
pub(super) fn summed(line: &[u8]) -> &[u8] {
    let tail = br#","sha256":""}"#.len() + 64;
    &line[..line.len().saturating_sub(tail)]
}

/// `[replica, seq]`, the replica by number.
type Numbered = (u32, u64);

/// The header in the order of its fields on the wire.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    v: u64,
    r#type: String,
    database: String,
    tables: Vec<Table>,
    pub(super) replicas: Vec<ReplicaId>,
    contexts: Vec<Vec<Numbered>>,
    #[serde(deserialize_with = "crate::vector::once")]
    start: BTreeMap<String, Vec<Numbered>>,
    #[serde(deserialize_with = "crate::vector::once")]
    end: BTreeMap<String, Vec<Numbered>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "crate::vector::once")]
    until: BTreeMap<String, Vec<Numbered>>,
    /// By number: the node of a replica, and its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<(u32, Hex<32>, String)>,
    clock: i64,
    last: bool,
    pub(super) count: u64,
    pub(super) sha256: Hex<32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    columns: Vec<String>,
}

impl Tagged for Header {
    fn tag(&self) -> (u64, &str) {
        (self.v, &self.r#type)
    }
}

impl Header {
    /// Of a batch whose items have been written; the sum is still missing.
    pub(super) fn of(batch: &Batch, replicas: &mut Replicas) -> Header {
        let contexts = batch.contexts.iter();
        let contexts = contexts.map(|c| c.seen.iter().map(|(r, s)| (replicas.number(*r), s.0)).collect()).collect();
        let start = numbered(replicas, &batch.start);
        let end = numbered(replicas, &batch.end);
        let until = numbered(replicas, &batch.until);
        let hosts = batch.hosts.iter().map(|(r, h)| (replicas.number(*r), Hex(h.node), h.name.clone())).collect();
        Header {
            v: crate::VERSION,
            r#type: "batch".into(),
            database: batch.database.clone(),
            tables: batch.tables.iter().map(|t| Table { name: t.name.clone(), columns: t.columns.clone() }).collect(),
            replicas: replicas.names.clone(),
            contexts,
            start,
            end,
            until,
            hosts,
            clock: batch.clock.0,
            last: batch.last,
            count: batch.items.len() as u64,
            sha256: Hex([0; 32]),
        }
    }

    /// The line, without its newline.
    pub(super) fn line(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a header is plain JSON")
    }

    /// Reads the line, and checks it against the limits.
    pub(super) fn read(line: &[u8], limits: &Limits) -> Result<Header, Error> {
        let header: Header = read(line, "batch")?;
        bound("the list of tables", header.tables.len(), limits.tables)?;
        bound("the list of replicas", header.replicas.len(), limits.replicas)?;
        bound("the list of nodes", header.hosts.len(), limits.replicas)?;
        bound("the list of contexts", header.contexts.len(), limits.contexts)?;
        bound(
            "the list of version vectors",
            header.start.len().max(header.end.len()).max(header.until.len()),
            limits.tables,
        )?;
        let names = [&header.database].into_iter().chain(header.tables.iter().map(|t| &t.name));
        let names = names.chain(header.tables.iter().flat_map(|t| &t.columns));
        let names = names.chain(header.hosts.iter().map(|(_, _, name)| name));
        let names = names.chain(header.start.keys()).chain(header.end.keys()).chain(header.until.keys());
        for name in names {
            bound("a name", name.len(), limits.name)?;
        }
        for table in &header.tables {
            bound("the list of columns", table.columns.len(), limits.columns)?;
        }
        if header.count > limits.items {
            return Err(Error::TooLarge { what: "the number of items", limit: limits.items });
        }
        Ok(header)
    }

    /// The batch without its items, and the replicas behind the numbers.
    pub(super) fn into_batch(self) -> Result<(Batch, Vec<ReplicaId>), Error> {
        let replicas = self.replicas;
        let field = |reason| Error::Field { reason };
        let mut sorted = replicas.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|w| w[0] == w[1]) {
            return Err(field("a replica is named twice"));
        }
        let named = |(r, s): Numbered| match replicas.get(r as usize) {
            Some(replica) => Ok((*replica, Seq(s))),
            None => Err(field("a replica has a number that the header does not name")),
        };
        let vector = |numbered: Vec<Numbered>| -> Result<Vector, Error> {
            let n = numbered.len();
            let vector = numbered.into_iter().map(named).collect::<Result<Vector, Error>>()?;
            if vector.len() == n { Ok(vector) } else { Err(field("a replica stands twice in a vector")) }
        };
        let vectors = |all: BTreeMap<String, Vec<Numbered>>| -> Result<Vectors, Error> {
            all.into_iter().map(|(name, v)| Ok((name, vector(v)?))).collect()
        };
        let mut hosts = BTreeMap::new();
        for (r, node, name) in self.hosts {
            let (replica, _) = named((r, 0))?;
            if hosts.insert(replica, Host { node: node.0, name }).is_some() {
                return Err(field("a replica lives on two nodes"));
            }
        }
        let contexts = self.contexts.into_iter();
        let contexts = contexts.map(|c| Ok(Context { seen: c.into_iter().map(named).collect::<Result<_, Error>>()? }));
        let batch = Batch {
            database: self.database,
            tables: self.tables.into_iter().map(|t| TableHead { name: t.name, columns: t.columns }).collect(),
            contexts: contexts.collect::<Result<_, Error>>()?,
            start: vectors(self.start)?,
            end: vectors(self.end)?,
            until: vectors(self.until)?,
            hosts,
            clock: Stamp(self.clock),
            last: self.last,
            items: Vec::new(),
        };
        check_head(&batch).map_err(field)?;
        Ok((batch, replicas))
    }
}

fn numbered(replicas: &mut Replicas, vectors: &Vectors) -> BTreeMap<String, Vec<Numbered>> {
    let mut all = BTreeMap::new();
    for (table, vector) in vectors {
        all.insert(table.clone(), vector.iter().map(|(r, s)| (replicas.number(*r), s.0)).collect());
    }
    all
}

fn bound(what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit { Err(Error::TooLarge { what, limit: limit as u64 }) } else { Ok(()) }
}

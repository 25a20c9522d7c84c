//! A node in memory: it keeps what it has received as it came, so that what travels can be seen, and nothing of what
//! it means. It refuses what a real one refuses.
use super::{dot, empty, replica};
use lockstep_engine::change::*;
use lockstep_engine::id::*;
use lockstep_engine::value::Value;
use lockstep_wire::Hex;
use lockstep_wire::message::*;
use lockstep_wire::session::*;
use std::collections::BTreeMap;

/// By table and dot: stamp and value.
type Writes = BTreeMap<(String, Dot), (Stamp, i64)>;

#[derive(Clone)]
pub struct FakeDatabase {
    pub name: String,
    pub replica: u8,
    pub key: u8,
    pub tables: Vec<(String, u8)>,
    pub writes: Writes,
    pub vectors: Vectors,
    pub clock: Stamp,
    /// Written by the application, and not harvested yet.
    pub unharvested: Vec<(String, i64)>,
    /// The end of a delta makes it write this once: as an alias would be.
    pub follow_up: Option<(String, i64)>,
    /// Deltas to its tables broke off.
    pub under_way: bool,
}

/// What goes wrong at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    RestoreBeforeApply,
    ApplyFails,
    ExtractFails,
}

pub struct Fake {
    pub me: Identity,
    pub databases: Vec<FakeDatabase>,
    /// Whenever something is extracted or applied the application writes so many.
    pub busy: i64,
    pub fault: Option<Fault>,
    pub summaries: usize,
}

impl FakeDatabase {
    pub fn new(name: &str, replica: u8, tables: &[&str]) -> FakeDatabase {
        FakeDatabase {
            name: name.into(),
            replica,
            key: 7,
            tables: tables.iter().map(|t| ((*t).into(), 9)).collect(),
            writes: Writes::new(),
            vectors: Vectors::new(),
            clock: Stamp(0),
            unharvested: Vec::new(),
            follow_up: None,
            under_way: false,
        }
    }

    pub fn write(&mut self, table: &str, value: i64) {
        self.unharvested.push((table.into(), value));
    }

    pub fn harvest(&mut self) {
        for (table, value) in std::mem::take(&mut self.unharvested) {
            let seq = self.vectors.entry(table.clone()).or_default().entry(replica(self.replica)).or_default();
            seq.0 += 1;
            self.clock = self.clock.next(Millis(0));
            self.writes.insert((table, dot(self.replica, seq.0)), (self.clock, value));
        }
    }

    /// A sum, as the real one, under the key.
    fn digest(&self, table: &str) -> Hex<16> {
        let of_table = self.writes.iter().filter(|((t, _), _)| t == table);
        let one = |((_, dot), (_, value)): (&(String, Dot), &(Stamp, i64))| {
            (u128::from(dot.seq.0) << 64 | u128::from(dot.replica.0[0])).wrapping_mul(value.cast_unsigned().into())
        };
        of_table.map(one).fold(self.key.into(), |a: u128, b| a.wrapping_mul(3).wrapping_add(b)).into()
    }

    fn hello(&self) -> DatabaseHello {
        let names = self.tables.iter().map(|t| t.0.clone()).chain(self.vectors.keys().cloned());
        let names: std::collections::BTreeSet<String> = names.collect();
        let fingerprint = |name: &str| self.tables.iter().find(|t| t.0 == name).map_or(0, |t| t.1);
        let table = |name: String| TableHello {
            columns: vec!["value".into()],
            fingerprint: Hex([fingerprint(&name); 32]),
            vector: self.vectors.get(&name).cloned().unwrap_or_default(),
            rows: self.writes.keys().filter(|(t, _)| *t == name).count() as u64,
            digest: self.digest(&name),
            under_way: self.under_way,
            way: Way::Both,
            withheld: Vec::new(),
            without: Vec::new(),
            name,
        };
        DatabaseHello {
            closed: Vec::new(),
            name: self.name.clone(),
            replica: replica(self.replica),
            mark: Hex([0; 16]),
            mark_seq: 0,
            heard: None,
            clock: self.clock,
            digest_key: Hex([self.key; 16]),
            held: 0,
            conflicts_unreviewed: 0,
            capture: Vec::new(),
            tables: names.into_iter().map(table).collect(),
        }
    }

    fn extract(&mut self, have: &Vectors, limit: PullLimit) -> Batch {
        self.harvest();
        let has = |t: &str, d: &Dot| have.get(t).and_then(|v| v.get(&d.replica)).is_some_and(|s| *s >= d.seq);
        let mut missing: Vec<_> = self.writes.iter().filter(|((t, d), _)| !has(t, d)).collect();
        missing.sort_by_key(|((_, d), (stamp, _))| (*stamp, *d));
        let mut batch = empty("", &[]);
        batch.database = self.name.clone();
        batch.tables =
            self.vectors.keys().map(|t| TableHead { name: t.clone(), columns: vec!["value".into()] }).collect();
        batch.start = have.clone();
        batch.end = have.clone();
        batch.clock = self.clock;
        batch.last = missing.len() as u64 <= limit.items;
        missing.truncate(limit.items as usize);
        for ((name, dot), (stamp, value)) in missing {
            let end = batch.end.entry(name.clone()).or_default().entry(dot.replica).or_default();
            *end = (*end).max(dot.seq);
            batch.items.push(Item::Change(Change {
                table: batch.tables.iter().position(|t| t.name == *name).unwrap(),
                birth: *dot,
                dot: *dot,
                stamp: *stamp,
                rank: None,
                context: 0,
                unseen: Vec::new(),
                existence: Some(Existence::Lives),
                columns: vec![(0, Cell::Value(Value::Integer(*value)))],
                origin: None,
            }));
        }
        batch
    }

    fn apply(&mut self, batch: &Batch) -> Result<Counts, Refusal> {
        self.harvest();
        for (table, vector) in &batch.start {
            for (r, seq) in vector {
                let have = self.vectors.get(table).and_then(|v| v.get(r)).copied().unwrap_or_default();
                if have < *seq {
                    return Err(refusal(Refusal::START_NOT_REACHED));
                }
            }
        }
        let mut counts = Counts::default();
        for item in &batch.items {
            let Item::Change(c) = item else { panic!("the fake sends changes only") };
            let (_, Cell::Value(Value::Integer(value))) = &c.columns[0] else { panic!("an integer") };
            let old = self.writes.insert((batch.tables[c.table].name.clone(), c.dot), (c.stamp, *value));
            assert!(old.is_none_or(|old| old == (c.stamp, *value)), "a dot names one write for ever");
            counts.inserts += u64::from(old.is_none());
            self.clock = self.clock.max(c.stamp);
        }
        for (table, vector) in &batch.end {
            let mine = self.vectors.entry(table.clone()).or_default();
            for (r, seq) in vector {
                let s = mine.entry(*r).or_default();
                *s = (*s).max(*seq);
            }
        }
        self.clock = self.clock.max(batch.clock);
        self.check();
        if batch.last
            && let Some((table, value)) = self.follow_up.take()
        {
            self.write(&table, value);
            self.harvest();
            counts.writes += 1;
        }
        Ok(counts)
    }

    /// What the vectors say is there.
    pub fn check(&self) {
        for (table, vector) in &self.vectors {
            for (r, seq) in vector {
                for n in 1..=seq.0 {
                    let d = Dot { replica: *r, seq: Seq(n) };
                    assert!(self.writes.contains_key(&(table.clone(), d)), "{}: {table} lacks {d}", self.replica);
                }
            }
        }
    }
}

pub fn refusal(code: &str) -> Refusal {
    Refusal { code: code.into(), message: "for a test".into(), hint: String::new() }
}

impl Fake {
    pub fn new(n: u8, databases: Vec<FakeDatabase>) -> Fake {
        let me = Identity { node: Hex([n; 32]), name: format!("node {n}") };
        Fake { me, databases, busy: 0, fault: None, summaries: 0 }
    }

    /// The application does what it does while something is read or applied.
    fn work(&mut self, database: &str) -> Result<(), Refusal> {
        let busy = self.busy;
        let mine = self.database(database)?;
        for n in 0..busy {
            let table = mine.tables[n as usize % mine.tables.len()].0.clone();
            mine.write(&table, n);
        }
        mine.harvest();
        Ok(())
    }

    pub fn database(&mut self, name: &str) -> Result<&mut FakeDatabase, Refusal> {
        self.databases.iter_mut().find(|d| d.name == name).ok_or_else(|| refusal("database_unknown"))
    }
}

impl Store for Fake {
    fn summarize(&mut self, harvest: bool) -> Result<Vec<DatabaseHello>, Refusal> {
        self.summaries += 1;
        if harvest {
            self.databases.iter_mut().for_each(FakeDatabase::harvest);
        }
        Ok(self.databases.iter().map(FakeDatabase::hello).collect())
    }

    fn adopt_key(&mut self, database: &str, key: Hex<16>) -> Result<(), Refusal> {
        let mine = self.database(database)?;
        mine.key = mine.key.min(key.0[0]);
        Ok(())
    }

    fn extract(
        &mut self,
        database: &str,
        have: &Vectors,
        except: &[String],
        limit: PullLimit,
    ) -> Result<Batch, Refusal> {
        if self.fault == Some(Fault::ExtractFails) {
            return Err(refusal("disk"));
        }
        self.work(database)?;
        let mine = self.database(database)?;
        let mut have = have.clone();
        leave_out(&mut have, &mine.vectors, except);
        Ok(mine.extract(&have, limit))
    }

    fn apply(&mut self, batch: &Batch) -> Result<Counts, Refusal> {
        match self.fault {
            Some(Fault::RestoreBeforeApply) => {
                self.fault = None;
                let mine = self.database(&batch.database)?;
                let (name, key) = (mine.name.clone(), mine.key);
                let tables = mine.tables.clone();
                *mine = FakeDatabase::new(&name, mine.replica + 100, &[]);
                mine.tables = tables;
                mine.key = key;
            }
            Some(Fault::ApplyFails) => return Err(refusal("disk")),
            Some(Fault::ExtractFails) | None => {}
        }
        self.work(&batch.database)?;
        self.database(&batch.database)?.apply(batch)
    }
}

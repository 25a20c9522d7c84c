//! Sessions over a network that loses, doubles, reorders, cuts and corrupts, between nodes that crash.
//!
//! The machine of the wire crate leads, its answer answers, and every message goes through its bytes. A node goes down
//! before, after and inside a transaction.
use super::prng::Prng;
use super::schedule::Statement;
use super::schema::DATABASES;
use super::world::breaks::Taken;
use super::world::{NAMES, World};
use lockstep_engine::Limit;
use lockstep_engine::change::{Batch, ConflictKind};
use lockstep_engine::id::Vectors;
use lockstep_wire::message::{Counts, DatabaseHello, PullLimit, Refusal, TableHello, Way};
use lockstep_wire::session::{
    Bytes, Effect, Event, Identity, Options, Outcome, Reply, Report, Request, Session, Store, answer, leave_out,
    perform,
};
use lockstep_wire::{Hex, Limits};
use std::collections::{BTreeMap, BTreeSet};

/// What came up, how often.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<String, u64>);

impl Seen {
    pub fn note(&mut self, what: &str) {
        *self.0.entry(what.to_owned()).or_default() += 1;
    }

    #[cfg(feature = "stops")]
    pub fn add_times(&mut self, what: &str, times: u64) {
        *self.0.entry(what.to_owned()).or_default() += times;
    }

    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    pub fn add(&mut self, more: &Seen) {
        more.0.iter().for_each(|(what, n)| *self.0.entry(what.clone()).or_default() += n);
    }

    /// What is held now.
    pub fn look(&mut self, world: &World) {
        for n in 0..world.nodes.len() {
            for (_, h) in world.held(n) {
                self.note(&format!("held {}", h.reason.name()));
            }
        }
    }

    /// Which conflicts are on record at the end.
    pub fn records(&mut self, world: &World) {
        for db in world.nodes.iter().flat_map(|n| &n.dbs) {
            let mut q = db.app.prepare("SELECT kind FROM _lockstep_conflict").expect("a table of ours");
            let kinds = q.query_map([], |r| r.get::<_, u8>(0)).expect("its rows");
            for kind in kinds.map(|k| k.expect("a number")) {
                if let Some(kind) = ConflictKind::ALL.into_iter().find(|k| *k as u8 == kind) {
                    self.note(&format!("record {}", kind.name()));
                }
            }
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(what, n)| writeln!(f, "{n:8} {what}"))
    }
}

/// The ways between the nodes.
pub struct Network {
    pub seen: Seen,
    /// Nothing gets from the one to the other.
    cut: BTreeSet<(usize, usize)>,
    /// Nothing goes wrong any more.
    calm: bool,
    /// Batches that were sent, for one that comes late: (to, database, batch).
    sent: Vec<(usize, usize, Batch)>,
    trace: bool,
    nodes: usize,
}

/// The files of one node, as a session handles them.
struct Files<'w> {
    world: &'w mut World,
    n: usize,
    /// What must hold, and did not.
    broken: Option<String>,
    /// It goes down at that step of taking the next batch.
    step: Option<u64>,
    down: bool,
    sent: &'w mut Vec<(usize, usize, Batch)>,
}

fn refusal(code: &str) -> Refusal {
    Refusal { code: code.into(), message: "in the simulation".into(), hint: String::new() }
}

fn identity(n: usize) -> Identity {
    Identity { node: Hex([n as u8 + 1; 32]), name: NAMES[n].into() }
}

fn place(database: &str) -> Result<usize, Refusal> {
    DATABASES.iter().position(|d| *d == database).ok_or_else(|| refusal("database_unknown"))
}

impl Files<'_> {
    fn hold<T>(&mut self, done: Result<T, String>) -> Result<T, Refusal> {
        done.map_err(|e| {
            self.broken = Some(e);
            refusal("broken")
        })
    }

    fn hello(&mut self, db: usize) -> Result<DatabaseHello, String> {
        let s = self.world.nodes[self.n].dbs[db].open().summary().map_err(|e| e.to_string())?;
        let tables = s.tables.into_iter().map(|t| TableHello {
            name: t.name,
            columns: t.columns,
            fingerprint: if t.synced { Hex(t.rules) } else { TableHello::NO_RULES },
            vector: t.vector,
            rows: t.rows,
            digest: Hex(t.digest.to_be_bytes()),
            under_way: t.under_way,
            way: Way::default(),
            withheld: Vec::new(),
            without: Vec::new(),
        });
        Ok(DatabaseHello {
            closed: Vec::new(),
            tables: tables.collect(),
            name: s.name,
            replica: s.replica,
            mark: Hex(s.mark.mark),
            mark_seq: s.mark.seq,
            heard: None,
            clock: s.clock,
            digest_key: Hex(s.digest_key),
            held: s.held,
            conflicts_unreviewed: s.conflicts_unreviewed,
            capture: s.capture,
        })
    }
}

impl Store for Files<'_> {
    fn summarize(&mut self, harvest: bool) -> Result<Vec<DatabaseHello>, Refusal> {
        if harvest {
            let done = self.world.harvest(self.n);
            self.hold(done)?;
        }
        let hellos = (0..self.world.schema.databases()).rev().map(|db| self.hello(db)).collect();
        self.hold(hellos)
    }

    fn adopt_key(&mut self, database: &str, key: Hex<16>) -> Result<(), Refusal> {
        let now = self.world.now(self.n);
        let done = self.world.nodes[self.n].dbs[place(database)?].open().adopt_digest_key(key.0, now);
        self.hold(done.map(drop).map_err(|e| format!("adopt: {e}")))
    }

    fn extract(
        &mut self,
        database: &str,
        have: &Vectors,
        except: &[String],
        limit: PullLimit,
    ) -> Result<Batch, Refusal> {
        let now = self.world.now(self.n);
        let mut db = self.world.nodes[self.n].dbs[place(database)?].open();
        let mut have = have.clone();
        let limit = Limit { items: limit.items as usize, bytes: limit.bytes as usize };
        let done = db.vectors().and_then(|own| {
            leave_out(&mut have, &own, except);
            let mut batch = db.extract(&have, limit, now)?;
            batch.start.retain(|t, _| !except.contains(t));
            batch.end.retain(|t, _| !except.contains(t));
            batch.until.retain(|t, _| !except.contains(t));
            Ok(batch)
        });
        self.hold(done.map_err(|e| format!("extract: {e}")))
    }

    fn apply(&mut self, batch: &Batch) -> Result<Counts, Refusal> {
        let db = place(&batch.database)?;
        self.sent.push((self.n, db, batch.clone()));
        let step = self.step.take().unwrap_or(u64::MAX);
        let done = self.world.take_until(self.n, db, batch, step);
        let done = match self.hold(done)? {
            Taken::Done(done) => done,
            Taken::Down => {
                self.down = true;
                return Err(refusal("crashed"));
            }
        };
        let Some(a) = done else { return Err(refusal(Refusal::START_NOT_REACHED)) };
        Ok(Counts {
            inserts: a.inserts,
            updates: a.updates,
            deletes: a.deletes,
            conflicts: a.conflicts,
            id_moves: a.id_moves,
            held: a.held,
            writes: a.writes,
        })
    }
}

impl Network {
    pub fn new(nodes: usize, trace: bool) -> Network {
        Network { seen: Seen::default(), cut: BTreeSet::new(), calm: false, sent: Vec::new(), trace, nodes }
    }

    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    pub fn mend(&mut self) {
        self.cut.clear();
    }

    /// Does something while nothing goes wrong.
    pub fn quietly<T>(&mut self, f: impl FnOnce(&mut Network) -> T) -> T {
        let (calm, cut) = (std::mem::replace(&mut self.calm, true), std::mem::take(&mut self.cut));
        let done = f(self);
        (self.calm, self.cut) = (calm, cut);
        done
    }

    pub fn calm(&mut self) {
        self.calm = true;
    }

    /// A batch of earlier comes once more, late; or it comes to another node than it was meant for.
    pub fn again(&mut self, world: &mut World, k: usize, r: &mut Prng) -> Result<(), String> {
        if let Some((to, db, batch)) = self.sent.get(k % self.sent.len().max(1)).cloned() {
            let astray = r.chance(40);
            let n = if astray { (to + 1) % self.nodes } else { to };
            self.seen.note(if astray { "batch astray" } else { "batch again" });
            world.step += 1;
            if world.take(n, db, &batch)?.is_none() {
                self.seen.note("batch refused");
            }
        }
        Ok(())
    }

    /// `leader` leads a session with `peer`, and the application of either writes meanwhile.
    pub fn session(
        &mut self,
        world: &mut World,
        (leader, peer): (usize, usize),
        write: Option<Statement>,
        r: &mut Prng,
    ) -> Result<Report, String> {
        let names = (0..world.schema.databases()).rev().map(|db| DATABASES[db].to_owned()).collect();
        let mut options = Options::new(names);
        options.limit.items = [1, 2, 5, 1000, 1000][r.below(5)];
        // Small batches are many, and news may come with each.
        options.rounds = 40;
        let mut session = Session::new(identity(leader), options);
        let mut todo = session.start(world.now(leader));
        if self.trace {
            eprintln!("{} {} leads a session with {}", world.step, NAMES[leader], NAMES[peer]);
        }
        for _ in 0..5000 {
            let Some(effect) = todo.pop() else { return Err("a session that waits for nothing".into()) };
            if !self.calm && r.chance(1) {
                // The leader goes down, and its session with it.
                self.seen.note("crash before");
                return Ok(ended(leader, world));
            }
            let event = match effect {
                Effect::Done(report) => {
                    self.seen.note(match report.outcome {
                        Outcome::Verified => "session verified",
                        Outcome::Partial => "session partial",
                        Outcome::Differs => return Err(format!("the session says that they differ: {report:?}")),
                        Outcome::Failed(_) => "session failed",
                    });
                    return Ok(*report);
                }
                Effect::Send(request) => self.carry(world, (leader, peer), &request, r)?,
                local => {
                    let mut files = self.files(world, leader, r);
                    let event = perform(&mut files, local).map_err(|e| format!("not local: {e:?}"))?;
                    let (broken, down) = (files.broken, files.down);
                    match broken {
                        Some(e) => return Err(e),
                        None if down => {
                            self.seen.note("crash inside, leading");
                            return Ok(ended(leader, world));
                        }
                        None => event,
                    }
                }
            };
            if let Some(statement) = write.filter(|_| !self.calm && r.chance(20)) {
                self.seen.note("written meanwhile");
                world.application([leader, peer][r.below(2)], &[statement]);
            }
            todo.extend(session.handle(event, world.now(leader)));
        }
        Err("a session without end".into())
    }

    /// One request to the peer and its answer, as far as they come through.
    fn carry(
        &mut self,
        world: &mut World,
        (leader, peer): (usize, usize),
        request: &Request,
        r: &mut Prng,
    ) -> Result<Event, String> {
        let limits = Limits::default();
        let mut bytes = Bytes::default();
        let lost = |bytes| Event::Failed { refusal: refusal("timed_out"), again: true, bytes };
        let body = request.encode(&limits).map_err(|e| format!("encode: {e}"))?;
        bytes.sent = body.len() as u64;
        if self.cut.contains(&(leader, peer)) {
            self.seen.note("partition");
            return Ok(lost(bytes));
        }
        if self.happens("request lost", 3, r) {
            return Ok(lost(bytes));
        }
        let Some(body) = self.damage(body, matches!(request, Request::Push(_)), r) else {
            return Ok(lost(bytes));
        };
        let asked = match Request::decode(&body, &limits) {
            Ok(asked) if asked == *request => asked,
            Ok(_) => return Err("a request that was damaged on the way was taken".into()),
            Err(_) => return Ok(lost(bytes)),
        };
        let Some(mut reply) = self.ask(world, peer, leader, asked.clone(), r)? else { return Ok(lost(bytes)) };
        if self.happens("request doubled", 3, r) {
            let Some(again) = self.ask(world, peer, leader, asked, r)? else { return Ok(lost(bytes)) };
            reply = again;
        }
        if self.happens("crash after", 1, r) || self.cut.contains(&(peer, leader)) || self.happens("reply lost", 3, r) {
            return Ok(lost(bytes));
        }
        let body = reply.encode(&limits).map_err(|e| format!("encode: {e}"))?;
        bytes.received = body.len() as u64;
        if matches!(reply, Reply::Refused(_)) {
            return Ok(Event::Replied { reply, bytes });
        }
        let Some(body) = self.damage(body, matches!(reply, Reply::Batch(_)), r) else {
            return Ok(lost(bytes));
        };
        match Reply::decode(&body, &limits) {
            Ok(came) if came == reply => Ok(Event::Replied { reply: came, bytes }),
            Ok(_) => Err("an answer that was damaged on the way was taken".into()),
            Err(_) => Ok(lost(bytes)),
        }
    }

    /// The files of a node, which goes down in the next transaction if so it happens.
    fn files<'w>(&'w mut self, world: &'w mut World, n: usize, r: &mut Prng) -> Files<'w> {
        let step = (!self.calm && r.chance(4)).then(|| 1 << r.below(15)).map(|most| 1 + r.below(most) as u64);
        Files { world, n, broken: None, step, down: false, sent: &mut self.sent }
    }

    /// None: the peer went down.
    fn ask(
        &mut self,
        world: &mut World,
        n: usize,
        from: usize,
        request: Request,
        r: &mut Prng,
    ) -> Result<Option<Reply>, String> {
        debug_assert!(n < self.nodes && n != from, "a peer");
        let now = world.now(n);
        let mut files = self.files(world, n, r);
        let reply = answer(&mut files, &identity(n), request, now);
        let (broken, down) = (files.broken, files.down);
        if down {
            self.seen.note("crash inside, answering");
        }
        broken.map_or(Ok(Some(reply).filter(|_| !down)), Err)
    }

    fn happens(&mut self, what: &str, percent: usize, r: &mut Prng) -> bool {
        let happens = !self.calm && r.chance(percent);
        if happens {
            self.seen.note(what);
        }
        happens
    }

    /// The body as it comes. Batches may be corrupted: they carry a hash of their own. None: too little came.
    fn damage(&mut self, mut body: Vec<u8>, hashed: bool, r: &mut Prng) -> Option<Vec<u8>> {
        if self.happens("body cut", 2, r) {
            body.truncate(r.below(body.len().max(1)));
            return hashed.then_some(body);
        }
        if hashed && self.happens("body corrupted", 3, r) {
            let at = r.below(body.len().max(1));
            body[at] ^= 1 << r.below(8);
        }
        Some(body)
    }
}

/// What is left of a session whose leader went down.
fn ended(leader: usize, world: &World) -> Report {
    let now = world.now(leader);
    Report {
        peer: None,
        outcome: Outcome::Failed(refusal("crashed")),
        databases: Vec::new(),
        clock_offset_ms: None,
        bytes: Bytes::default(),
        requests: 0,
        started: now,
        ended: now,
    }
}

//! Nodes that keep each other up to date by themselves, as agents do: for each peer a courier that brings what the peer
//! lacks, asks it for news, compares both sides once a day, and pauses longer and longer while nobody answers.
//!
//! The rules of when are the agent's own (`lockstep_node::pace`); the rounds are those of its courier, second by second
//! in virtual time. A session takes no time here.
use super::network::Network;
use super::prng::Prng;
use super::world::World;
use lockstep_engine::id::{Millis, Vectors};
use lockstep_node::pace::{self, Pauses};
use lockstep_wire::session::Outcome;
use std::time::Duration;

/// A peer that brings its news itself has so many seconds for it.
const GRACE: i64 = 1;

/// What a node has, database by database.
type Heads = Vec<Vectors>;

/// One session that was tried.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// In seconds from the beginning.
    pub at: i64,
    pub leader: usize,
    pub peer: usize,
    pub failed: bool,
    pub verified: bool,
}

/// One node's background sync with one peer.
struct Courier {
    node: usize,
    peer: usize,
    pauses: Pauses,
    doing: Doing,
}

enum Doing {
    /// Until so much time awake has passed, or the computer has slept.
    Pause { wall: Millis, since: i64, lasts: Duration },
    /// For something to do.
    Wait(Wait),
}

struct Wait {
    /// What the node had when the last session began, and when that was.
    before: Heads,
    last: Millis,
    /// The next time, in seconds awake, that the peer is asked for news; a request is held open from then on.
    ask: i64,
    pauses: Pauses,
    /// In seconds from the beginning: since when the peer is known to have news.
    news: Option<i64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Trigger {
    Change,
    News,
    Daily,
    Retry,
}

pub struct Couriers {
    couriers: Vec<Courier>,
    /// By node: for how many seconds it has been awake.
    awake: Vec<i64>,
    heads: Vec<Heads>,
    /// By node and peer: what the node knows the peer to have, and when both sides were last found equal.
    known: Vec<Vec<Heads>>,
    verified: Vec<Vec<Option<Millis>>>,
    pub attempts: Vec<Attempt>,
    seeds: Prng,
}

impl Couriers {
    /// Everybody is everybody's peer, and has yet to begin.
    pub fn new(world: &World, seed: u64) -> Couriers {
        let (nodes, mut seeds) = (world.nodes.len(), Prng::new(seed));
        let pairs = (0..nodes).flat_map(|n| (0..nodes).filter(move |p| *p != n).map(move |p| (n, p)));
        let couriers = pairs.map(|(node, peer)| Courier {
            node,
            peer,
            pauses: pace::pauses_of(seeds.next()),
            doing: Doing::Pause { wall: world.now(node), since: 0, lasts: Duration::ZERO },
        });
        Couriers {
            couriers: couriers.collect(),
            awake: vec![0; nodes],
            heads: (0..nodes).map(|n| heads(world, n)).collect(),
            known: vec![vec![Heads::new(); nodes]; nodes],
            verified: vec![vec![None; nodes]; nodes],
            attempts: Vec::new(),
            seeds,
        }
    }

    /// Something was written at that node, and its agent has seen it.
    pub fn moved(&mut self, world: &World, n: usize) {
        self.heads[n] = heads(world, n);
    }

    /// Does every node have what every other has?
    pub fn all_alike(&self) -> bool {
        self.heads.iter().all(|h| *h == self.heads[0])
    }

    /// One second passes. `reach`: do the two reach each other? A node that does not reach itself sleeps.
    pub fn second(
        &mut self,
        (world, network): (&mut World, &mut Network),
        reach: &dyn Fn(usize, usize) -> bool,
        r: &mut Prng,
    ) -> Result<(), String> {
        for n in 0..self.awake.len() {
            self.awake[n] += i64::from(reach(n, n));
        }
        for c in 0..self.couriers.len() {
            let (n, p) = (self.couriers[c].node, self.couriers[c].peer);
            if reach(n, n)
                && let Some(trigger) = self.wants(c, world, reach(n, p))
            {
                self.attempt(c, trigger, world, network, reach(n, p), r)?;
            }
        }
        Ok(())
    }

    /// Is it time for a session?
    fn wants(&mut self, c: usize, world: &World, reached: bool) -> Option<Trigger> {
        let Courier { node: n, peer: p, doing, .. } = &mut self.couriers[c];
        let (now, awake) = (world.now(*n), self.awake[*n]);
        let wait = match doing {
            Doing::Pause { wall, since, lasts } => {
                let passed = Duration::from_secs((awake - *since).unsigned_abs());
                let over = passed >= *lasts || pace::has_slept(now.0 - wall.0, passed);
                return over.then_some(Trigger::Retry);
            }
            Doing::Wait(wait) => wait,
        };
        if self.heads[*n] != wait.before && lacks(&self.known[*n][*p], &self.heads[*n]) {
            return Some(Trigger::Change);
        }
        if pace::is_over(wait.last, now) {
            match self.verified[*n][*p] {
                Some(at) if !pace::is_over(at, now) => wait.last = at,
                _ => return Some(Trigger::Daily),
            }
        }
        if awake < wait.ask {
            return None;
        }
        if !reached {
            wait.ask = awake + seconds(wait.pauses.next());
            wait.news = None;
        } else if lacks(&self.heads[*n], &self.heads[*p]) {
            let since = *wait.news.get_or_insert(world.step);
            return (world.step - since > GRACE).then_some(Trigger::News);
        } else {
            wait.news = None;
        }
        None
    }

    fn attempt(
        &mut self,
        c: usize,
        trigger: Trigger,
        world: &mut World,
        network: &mut Network,
        reached: bool,
        r: &mut Prng,
    ) -> Result<(), String> {
        let (n, p) = (self.couriers[c].node, self.couriers[c].peer);
        let (before, began) = (self.heads[n].clone(), world.now(n));
        network.mend();
        if !reached {
            network.cut(n, p);
        }
        let report = network.session(world, (n, p), None, r)?;
        let failed = matches!(report.outcome, Outcome::Failed(_));
        let verified = report.outcome == Outcome::Verified;
        self.attempts.push(Attempt { at: world.step, leader: n, peer: p, failed, verified });
        for at in [n, p] {
            self.moved(world, at);
        }
        if !failed {
            self.known[n][p] = self.heads[p].clone();
            self.known[p][n] = self.heads[n].clone();
        }
        if verified {
            (self.verified[n][p], self.verified[p][n]) = (Some(world.now(n)), Some(world.now(p)));
        }
        // News of which nothing can be taken would come again at once.
        let idle = trigger == Trigger::News && report.databases.iter().all(|d| d.received == 0);
        let (seed, courier) = (self.seeds.next(), &mut self.couriers[c]);
        courier.doing = if failed || idle {
            let lasts = courier.pauses.next().expect("pauses have no end");
            Doing::Pause { wall: began, since: self.awake[n], lasts }
        } else {
            courier.pauses = pace::pauses_of(seed);
            let pauses = pace::pauses_of(!seed);
            Doing::Wait(Wait { before, last: began, ask: self.awake[n], pauses, news: None })
        };
        Ok(())
    }
}

fn heads(world: &World, n: usize) -> Heads {
    world.nodes[n].dbs.iter().map(|d| d.open().vectors().expect("vectors")).collect()
}

/// Is there anything in `heads` that `known` does not have?
fn lacks(known: &Heads, heads: &Heads) -> bool {
    heads.iter().enumerate().any(|(db, tables)| {
        let has = |table, replica| known.get(db)?.get(table)?.get(replica).copied();
        tables.iter().any(|(table, vector)| vector.iter().any(|(r, seq)| has(table, r).is_none_or(|s| s < *seq)))
    })
}

/// Rounded up.
fn seconds(pause: Option<Duration>) -> i64 {
    let pause = pause.expect("pauses have no end");
    i64::try_from(pause.as_secs()).unwrap_or(i64::MAX - 1) + 1
}

//! One bad day: what the applications, the people and the weather do, in the order of a seed.
use super::network::{Network, Seen};
use super::prng::Prng;
use super::schedule::{Op, Schedule};
use super::schema::Schema;
use super::world::World;
use lockstep_wire::session::Outcome;

const SECOND: i64 = 1000;
const YEAR: i64 = 365 * 24 * 3600 * SECOND;

/// A world and its weather.
pub struct Day {
    world: World,
    network: Network,
    ops: Vec<Op>,
    r: Prng,
}

impl Day {
    /// The schema, the nodes and what happens, as the seed has them.
    pub fn new(seed: u64, trace: bool) -> Result<Day, String> {
        let mut r = Prng::new(seed);
        let mut wide = Prng::new(!seed);
        let schema = Schema::random(&mut r).widen(&mut wide);
        let nodes = [2, 2, 3, 3, 4, 5][wide.below(6)];
        let schedule = Schedule::of(nodes, &mut r).widen(&mut wide);
        if trace {
            for db in 0..schema.databases() {
                eprintln!("{}\n{}\n{}", schema.sql(db), schema.steps(db), schema.config(db));
            }
            eprintln!("{nodes} nodes, skews {:?}, foreign keys off {:?}", schedule.skews, schedule.loose);
        }
        let world = World::new(schema, &schedule, seed, trace)?;
        Ok(Day { network: Network::new(nodes, trace), world, ops: schedule.ops, r: wide })
    }

    /// Lives it to its end. What was seen on the way.
    pub fn live(mut self) -> Result<Seen, String> {
        for op in std::mem::take(&mut self.ops) {
            if self.r.chance(12) {
                self.weather();
            }
            match op {
                Op::Pull { to, from, write, .. } => {
                    self.world.step += 1;
                    self.network.session(&mut self.world, (to, from), write, &mut self.r)?;
                }
                Op::Again(k) => self.network.again(&mut self.world, k)?,
                op => self.world.step(&op)?,
            }
            self.network.seen.look(&self.world);
        }
        self.evening()
    }

    /// A clock jumps, or a way is cut or mended.
    fn weather(&mut self) {
        let nodes = self.world.nodes.len();
        let n = self.r.below(nodes);
        match self.r.below(3) {
            0 => {
                let skews = [0, SECOND, -SECOND, 3600 * SECOND, -86_400 * SECOND, YEAR, 10 * YEAR, -10 * YEAR];
                let skew = skews[self.r.below(skews.len())];
                let seen = &mut self.network.seen;
                seen.note(if skew < self.world.nodes[n].skew { "clock back" } else { "clock ahead" });
                if skew == 10 * YEAR {
                    seen.note("clock ten years ahead");
                }
                self.world.set_clock(n, skew);
            }
            1 => self.network.cut(n, (n + 1 + self.r.below(nodes - 1)) % nodes),
            _ => self.network.mend(),
        }
    }

    /// Everything is healed: sessions between all have to be verified within a bounded number of rounds, and then the
    /// oracle has the last word.
    fn evening(mut self) -> Result<Seen, String> {
        self.network.mend();
        self.network.calm();
        self.world.heal();
        let nodes = self.world.nodes.len();
        let mut verified = false;
        for _ in 0..5 + 2 * nodes {
            verified = true;
            self.world.step += 1;
            for to in 0..nodes {
                for from in (0..nodes).filter(|from| *from != to) {
                    let report = self.network.session(&mut self.world, (to, from), None, &mut self.r)?;
                    let moved = report.databases.iter().any(|d| d.sent + d.received > 0);
                    verified &= report.outcome == Outcome::Verified && !moved;
                }
            }
            if verified {
                break;
            }
        }
        if !verified {
            return Err("all is healed, and the sessions don't come to rest".into());
        }
        self.network.seen.look(&self.world);
        self.world.finish(&mut self.r)?;
        self.network.seen.records(&self.world);
        Ok(self.network.seen)
    }
}

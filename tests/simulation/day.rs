//! One bad day: what the applications, the people and the weather do, in the order of a seed.
//!
//! Always true here: what happens in a step follows from the seed and the step's number alone, so that a day can be lived
//! without some of its steps.
use super::network::{Network, Seen};
use super::prng::Prng;
use super::schedule::{Op, Schedule, Statement};
use super::schema::{Schema, Table};
use super::world::World;
use super::world::breaks::Backup;
use lockstep_wire::session::Outcome;

const SECOND: i64 = 1000;
const YEAR: i64 = 365 * 24 * 3600 * SECOND;

/// What a day would be like.
pub struct Plan {
    seed: u64,
    schema: Schema,
    schedule: Schedule,
}

/// One step, with its number.
pub type Step = (usize, Op);

/// A world and its weather.
struct Day {
    seed: u64,
    world: World,
    network: Network,
    r: Prng,
    /// Of each node, if it has one. Of files that began as copies none is made: what was written to which, a copy of
    /// a copy can't tell.
    backups: Option<Vec<Option<Backup>>>,
}

impl Plan {
    /// The schema, the nodes and what happens, as the seed has them.
    pub fn of(seed: u64) -> Plan {
        let mut r = Prng::new(seed);
        let mut wide = Prng::new(!seed);
        let mut schema = Schema::random(&mut r).widen(&mut wide);
        let nodes = [2, 2, 3, 3, 4, 5][wide.below(6)];
        let mut schedule = Schedule::of(nodes, &mut r).widen(&mut wide);
        stage(seed, &mut schema, &mut schedule);
        Plan { seed, schema, schedule }
    }

    pub fn nodes(&self) -> usize {
        self.schedule.nodes
    }

    pub fn steps(&self) -> Vec<Step> {
        self.schedule.ops.iter().cloned().enumerate().collect()
    }

    /// Lives the day with these of its steps and so many of its nodes, to its end. What was seen on the way.
    pub fn live(&self, steps: &[Step], nodes: usize, trace: bool) -> Result<Seen, String> {
        if trace {
            for db in 0..self.schema.databases() {
                eprintln!("{}\n{}\n{}", self.schema.sql(db), self.schema.steps(db), self.schema.config(db));
            }
            eprintln!("{nodes} nodes, skews {:?}, foreign keys off {:?}", self.schedule.skews, self.schedule.loose);
        }
        let schedule = Schedule { nodes, ..self.schedule.clone() };
        let day = Day {
            seed: self.seed,
            world: World::new(self.schema.clone(), &schedule, self.seed, trace)?,
            network: Network::new(nodes, trace),
            r: Prng::new(self.seed),
            backups: (!schedule.copies).then(|| (0..nodes).map(|_| None).collect()),
        };
        day.live(steps)
    }
}

/// What chance would rarely bring about is put on the stage: a table that comes with a later version and is written to
/// before all nodes have that version, edits that are fine alone and break a CHECK together, a delete that is older than
/// an edit which did not see it, or later, or of a row that gets a child; a write that saw a later clock than its own.
fn stage(seed: u64, schema: &mut Schema, schedule: &mut Schedule) {
    let mut r = Prng::new(seed ^ 0x57A6_E000);
    let table = |schema: &Schema, is: &dyn Fn(&Table) -> bool| schema.tables.iter().position(is);
    let mut at = schedule.ops.len() / 2;
    let mut insert = |ops: &mut Vec<Op>, op: Op| {
        ops.insert(at, op);
        at += 1;
    };
    let ops = &mut schedule.ops;
    let by = |node, statement| Op::App { node, statements: vec![Statement(statement)], harvest: true };
    let whole = |to, from| Op::Pull { to, from, db: 2, items: 1000, lost: None, stop: None, write: None };
    match seed % 4 {
        0 => {
            let late = table(schema, &|t| t.late).unwrap_or_else(|| schema.add_late(&mut r)) as u32;
            // The last node gets it last.
            let migrates = |op: &Op| matches!(op, Op::Migrate(n) if *n == 1);
            let last = ops.iter().position(migrates).map(|at| ops.remove(at));
            insert(ops, Op::Migrate(0));
            insert(ops, by(0, [0, late, 1, 1, 1]));
            insert(ops, whole(1, 0));
            ops.extend(last);
        }
        1 => {
            let bounded = table(schema, &Table::is_bounded).unwrap_or_else(|| schema.add_bounded(&mut r)) as u32;
            insert(ops, by(0, [0, bounded, 1, 1, 1]));
            insert(ops, whole(1, 0));
            insert(ops, Op::Squeeze { node: 0, up: true });
            insert(ops, Op::Squeeze { node: 1, up: false });
            insert(ops, whole(1, 0));
        }
        2 => {
            for (salt, here, there) in
                [(1, Op::Drop(0), Op::Edit(1)), (2, Op::Edit(0), Op::Drop(1)), (3, Op::Child(0), Op::Drop(1))]
            {
                insert(ops, by(0, [0, 0, 1, salt, salt]));
                insert(ops, whole(1, 0));
                insert(ops, here);
                insert(ops, there);
                insert(ops, whole(0, 1));
            }
        }
        _ if schedule.nodes == 2 => {}
        _ => {
            schedule.skews[1] = -300 * SECOND;
            schedule.skews[2] = -150 * SECOND;
            insert(ops, by(0, [0, 0, 1, 1, 1]));
            insert(ops, whole(1, 0));
            insert(ops, whole(2, 0));
            insert(ops, Op::Edit(2));
            insert(ops, Op::Edit(0));
            insert(ops, whole(1, 0));
            insert(ops, Op::Edit(1));
            insert(ops, whole(2, 0));
            insert(ops, whole(1, 2));
        }
    }
}

impl Day {
    fn live(mut self, steps: &[Step]) -> Result<Seen, String> {
        for (k, op) in steps {
            self.r = Prng::new(self.seed ^ (*k as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            if self.r.chance(12) {
                self.weather();
            }
            if self.r.chance(6) {
                self.break_history()?;
            }
            if self.r.chance(6) {
                let k = self.r.below(50);
                self.network.again(&mut self.world, k, &mut self.r)?;
            }
            match op {
                Op::Pull { to, from, write, .. } => {
                    self.world.step += 1;
                    self.network.session(&mut self.world, (*to, *from), *write, &mut self.r)?;
                }
                Op::Again(k) => self.network.again(&mut self.world, *k, &mut self.r)?,
                op => self.world.step(op)?,
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

    /// A node makes a backup, or gets back the one it has, or a copy of another node's files as they are now. Its
    /// application goes on with them before anybody notices, and so does that of the other node.
    fn break_history(&mut self) -> Result<(), String> {
        let nodes = self.world.nodes.len();
        let n = self.r.below(nodes);
        let Some(backups) = &mut self.backups else { return Ok(()) };
        let own = backups[n].take();
        let of = self.r.chance(40).then(|| (n + 1 + self.r.below(nodes - 1)) % nodes);
        if own.is_none() && of.is_none() {
            backups[n] = Some(self.world.backup(n)?);
            return Ok(());
        }
        // Once a peer knows everything that would be lost.
        let peer = (n + 1 + self.r.below(nodes - 1)) % nodes;
        self.world.step += 1;
        self.network.quietly(|network| network.session(&mut self.world, (n, peer), None, &mut self.r))?;
        if !self.world.knows_all_of(peer, n) {
            return Ok(());
        }
        self.network.seen.note(if of.is_some() { "copied from another node" } else { "restored from a backup" });
        let files = match (of, own) {
            (Some(other), _) => Some(self.world.backup(other)?),
            (None, own) => own,
        };
        let mut writes = || (0..self.r.below(4)).map(|_| Statement::random(&mut self.r)).collect::<Vec<_>>();
        let (here, there) = (writes(), writes());
        if let Some(other) = of {
            self.world.application(other, &there);
        }
        files.map_or(Ok(()), |files| self.world.restore(n, &files, &here))
    }

    /// Everything is healed: sessions between all have to be verified within a bounded number of rounds, and then the
    /// oracle has the last word.
    fn evening(mut self) -> Result<Seen, String> {
        self.r = Prng::new(!self.seed);
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

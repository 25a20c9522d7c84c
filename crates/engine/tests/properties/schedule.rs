//! What happens in a run: plain numbers, so that a run can be repeated and made smaller.
use super::prng::Prng;

/// A statement of an application, to be read against the rows as they then are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statement(pub [u32; 5]);

#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code, reason = "some are for the simulation's stage alone")]
pub enum Op {
    /// An application writes, in one transaction or several.
    App {
        node: usize,
        statements: Vec<Statement>,
        harvest: bool,
    },
    /// `to` gets what `from` has, in batches of `items`; batch number `lost` gets lost; it ends after `stop` batches;
    /// the application of `to` writes after each.
    Pull {
        to: usize,
        from: usize,
        db: usize,
        items: usize,
        lost: Option<usize>,
        stop: Option<usize>,
        write: Option<Statement>,
    },
    /// A batch of earlier comes once more.
    Again(usize),
    /// The harvest alone.
    Harvest(usize),
    /// Of two numbers of which one may not be above the other, the lower goes up to the higher or that down to it.
    Squeeze {
        node: usize,
        up: bool,
    },
    /// Another value in the row of the first table that was made last.
    Edit(usize),
    /// That row is deleted.
    Drop(usize),
    /// A row that refers to it.
    Child(usize),
    /// The later version of the application comes to a node.
    Migrate(usize),
    Nothing,
}

impl Op {
    /// Who takes part.
    #[allow(dead_code, reason = "only the simulation leaves nodes out")]
    pub fn nodes(&self) -> Vec<usize> {
        match self {
            Op::App { node, .. }
            | Op::Squeeze { node, .. }
            | Op::Edit(node)
            | Op::Drop(node)
            | Op::Child(node)
            | Op::Harvest(node)
            | Op::Migrate(node) => vec![*node],
            Op::Pull { to, from, .. } => vec![*to, *from],
            Op::Again(_) | Op::Nothing => Vec::new(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Schedule {
    pub nodes: usize,
    /// Milliseconds by which each clock is off.
    pub skews: Vec<i64>,
    /// Foreign keys off at that application.
    pub loose: Vec<bool>,
    /// Rows written before Lockstep came.
    pub before: Vec<Vec<Statement>>,
    /// The files of the other nodes began as copies of the first one's.
    pub copies: bool,
    pub ops: Vec<Op>,
}

impl Statement {
    pub fn random(r: &mut Prng) -> Statement {
        Statement(std::array::from_fn(|_| (r.next() % 10_000) as u32))
    }
}

impl Schedule {
    /// With so many nodes.
    pub fn of(nodes: usize, r: &mut Prng) -> Schedule {
        let far = r.chance(15);
        let skews = (0..nodes)
            .map(|_| match r.below(6) {
                0..=2 => 0,
                3 => -40,
                4 => 2500,
                _ if far => 40 * 60 * 1000,
                _ => 3,
            })
            .collect();
        let loose = (0..nodes).map(|_| r.chance(20)).collect();
        let before = (0..nodes)
            .map(
                |_| if r.chance(40) { (0..2 + r.below(8)).map(|_| Statement::random(r)).collect() } else { Vec::new() },
            )
            .collect();
        let n = [5, 8, 12, 12, 20, 30][r.below(6)];
        let first = (0..nodes).map(|node| Op::App {
            node,
            statements: (0..3 + r.below(6)).map(|_| Statement::random(r)).collect(),
            harvest: false,
        });
        let mut ops: Vec<Op> = first.collect();
        if r.chance(60) {
            // They know the same before they go their ways.
            for _ in 0..2 {
                for to in 0..nodes {
                    let from = (to + 1) % nodes;
                    ops.push(Op::Pull { to, from, db: 2, items: 1000, lost: None, stop: None, write: None });
                }
            }
        }
        let more = (0..n).map(|_| match r.below(100) {
            0..=56 => Op::App {
                node: r.below(nodes),
                statements: (0..=r.below(4)).map(|_| Statement::random(r)).collect(),
                harvest: r.chance(30),
            },
            57..=92 => {
                let to = r.below(nodes);
                Op::Pull {
                    to,
                    from: (to + 1 + r.below(nodes - 1)) % nodes,
                    db: r.below(3),
                    items: [1, 2, 3, 1000, 1000][r.below(5)],
                    lost: r.chance(15).then(|| r.below(2)),
                    stop: r.chance(25).then(|| 1 + r.below(3)),
                    write: r.chance(20).then(|| Statement::random(r)),
                }
            }
            93..=96 => Op::Again(r.below(50)),
            _ => Op::Harvest(r.below(nodes)),
        });
        ops.extend(more);
        Schedule { nodes, skews, loose, before, copies: false, ops }
    }

    /// Out of numbers of its own, so that what a seed gave before stays.
    pub fn widen(mut self, r: &mut Prng) -> Schedule {
        self.copies = !self.before[0].is_empty() && r.chance(35);
        for node in 0..self.nodes {
            let at = r.below(self.ops.len() + 1);
            self.ops.insert(at, Op::Migrate(node));
        }
        self
    }
}

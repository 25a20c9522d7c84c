//! Small worlds, completely: two replicas, one row and its child, and every order in which each does up to three things,
//! of which receiving what the other has is one.
//!
//! The tree of all orders is walked, and each place in it is a world that is brought to rest and judged. It is reduced by
//! what changes nothing: the first to do something is always the first replica; of two neighbours that have nothing to do
//! with each other one order is walked; and what does nothing leads nowhere. An ordinary run walks all worlds of two
//! operations each and a part of those of three; `LOCKSTEP_WORLDS=1` walks every one, 2 one branch in two, and so on.
#[path = "../replicas/mod.rs"]
mod replicas;
#[cfg(feature = "stops")]
mod rules;
mod world;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use world::{Act, World};

/// So many failures are enough to look at.
const ENOUGH: usize = 10;

/// Of the worlds beyond two operations each an ordinary run walks one in so many branches, at each further operation.
const PART: u64 = 12;

#[derive(Default)]
struct Walk {
    part: u64,
    worlds: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Walk {
    /// The world that `path` leads to from `before`, and every one beyond it.
    fn walk(&self, before: &World, path: &mut Vec<(usize, Act)>, mut done: [usize; 2]) {
        let &(node, act) = path.last().expect("somebody does something");
        if !self.is_walked(path, done) || self.failures().len() >= ENOUGH {
            return;
        }
        let Some(world) = before.copy().act(node, act) else { return };
        self.worlds.fetch_add(1, Ordering::Relaxed);
        if let Err(e) = world.copy().judge() {
            self.failures().push(format!("{}: {e}", text(path)));
        }
        done[node] += 1;
        for next in (0..2).filter(|n| done[*n] < 3) {
            let again = |a: &Act| node > next && a.is_independent_of(act);
            for act in Act::ALL.into_iter().filter(|a| !again(a)) {
                path.push((next, act));
                self.walk(&world, path, done);
                path.pop();
            }
        }
    }

    fn failures(&self) -> MutexGuard<'_, Vec<String>> {
        self.failures.lock().expect("no walk panics")
    }

    fn is_walked(&self, path: &[(usize, Act)], done: [usize; 2]) -> bool {
        let node = path.last().expect("it was just pushed").0;
        if done[node] < 2 && done[1 - node] <= 2 {
            return true;
        }
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        hasher.finish().is_multiple_of(self.part)
    }
}

/// As it can be read, and given to `LOCKSTEP_WORLD`.
fn text(path: &[(usize, Act)]) -> String {
    path.iter().map(|(node, act)| format!("{}{}", ["a", "b"][*node], act.letter())).collect::<Vec<_>>().join(" ")
}

/// The one world to which these operations lead, judged.
fn live(path: &str) -> Result<(), String> {
    let mut world = World::begin();
    for word in path.split_whitespace() {
        let act = Act::ALL.into_iter().find(|a| word[1..].starts_with(a.letter())).expect("a letter");
        let n = usize::from(word.starts_with('b'));
        world = world.act(n, act).ok_or_else(|| format!("{word} does nothing"))?;
    }
    world.judge()
}

#[test]
fn every_order_of_few_operations_ends_well() {
    if let Ok(path) = std::env::var("LOCKSTEP_WORLD") {
        live(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        return;
    }
    let begun = World::begin();
    let part = std::env::var("LOCKSTEP_WORLDS").ok().and_then(|n| n.parse().ok()).unwrap_or(PART);
    let walk = Walk { part, ..Walk::default() };
    // Branches of the first operation are walked beside each other.
    let (first, branches) = (AtomicUsize::new(0), [begun.copy(), begun]);
    std::thread::scope(|s| {
        for begun in branches {
            let (walk, first) = (&walk, &first);
            s.spawn(move || {
                while let Some(&act) = Act::ALL.get(first.fetch_add(1, Ordering::Relaxed)) {
                    walk.walk(&begun, &mut vec![(0, act)], [0, 0]);
                }
            });
        }
    });
    let failures = walk.failures();
    println!("{} worlds, {} failures", walk.worlds.load(Ordering::Relaxed), failures.len());
    assert!(failures.is_empty(), "each by itself with LOCKSTEP_WORLD:\n{}", failures.join("\n"));
}

//! A session that a peer leads, as the side that is asked sees it, for the record of runs.
//!
//! Always true here: what is counted was committed or handed out. The peer's own record is the better one; this one
//! says on this node what came of it. A session in which nothing moved leaves no record.
use crate::state::{RunResult, Tally};
use crate::status::Problem;
use lockstep_engine::change::Batch;
use lockstep_engine::id::{Millis, ReplicaId};
use lockstep_engine::lineage::Mark;
use lockstep_wire::message::{Counts, DatabaseHello, Hello, PushAck};

/// What a peer has moved since it introduced itself.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) started: Millis,
    pub(crate) last: Millis,
    pub(crate) tally: Tally,
    /// What it said of its files' histories, until it has gone on from there: it has looked then whether what this node
    /// remembers of them is true.
    pub(crate) said: Vec<Said>,
}

/// What a peer said of the history of one of its files.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) database: String,
    pub(crate) replica: ReplicaId,
    pub(crate) mark: Mark,
}

impl Said {
    /// What a hello says; nothing of those that name no mark.
    pub(crate) fn of(hello: &Hello) -> Vec<Said> {
        let told = hello.databases.iter().filter(|d| d.mark_seq > 0);
        let said = |d: &DatabaseHello| Said {
            database: d.name.clone(),
            replica: d.replica,
            mark: Mark { seq: d.mark_seq, mark: d.mark.0 },
        };
        told.map(said).collect()
    }
}

impl Visit {
    pub(crate) fn new(said: Vec<Said>, now: Millis) -> Visit {
        Visit { started: now, last: now, tally: Tally { rounds: 1, ..Tally::default() }, said }
    }

    /// The peer says anew where it stands, and goes on.
    pub(crate) fn goes_on(&mut self, said: Vec<Said>, now: Millis) {
        (self.said, self.last) = (said, now);
        self.tally.rounds += 1;
    }

    pub(crate) fn gave(&mut self, batch: &Batch, bytes: usize, now: Millis) {
        self.last = now;
        self.tally.sent += batch.items.len() as u64;
        self.tally.bytes_sent += bytes as u64;
    }

    pub(crate) fn took(&mut self, items: usize, bytes: usize, ack: &PushAck, now: Millis) {
        let Counts { inserts, updates, deletes, conflicts, id_moves, held, writes: _ } = ack.applied;
        self.last = now;
        self.tally.received += items as u64;
        self.tally.bytes_received += bytes as u64;
        self.tally.applied += inserts + updates + deletes;
        self.tally.conflicts += conflicts;
        self.tally.id_moves += id_moves;
        self.tally.held = held;
    }

    pub(crate) fn moved(&self) -> bool {
        self.tally.sent + self.tally.received > 0
    }

    /// How it ended: compared at the peer's last word, or broken off without one.
    pub(crate) fn result(equal: Option<bool>) -> (RunResult, Option<Problem>) {
        let problem = |code: &str, message: &str| {
            Some(Problem { code: code.to_owned(), message: message.to_owned(), hint: None })
        };
        match equal {
            Some(true) => (RunResult::Verified, None),
            Some(false) => {
                (RunResult::Partial, problem("not_compared", "the two sides did not stand at the same writes"))
            }
            None => (RunResult::Failed, problem("broken_off", "the peer broke the session off")),
        }
    }
}

/// Is every table of every database at the same writes on both sides, with the same digest?
pub(crate) fn equal(mine: &[DatabaseHello], theirs: &[DatabaseHello]) -> bool {
    let same = |mine: &DatabaseHello| {
        let theirs = theirs.iter().find(|d| d.name == mine.name && d.digest_key == mine.digest_key);
        theirs.is_some_and(|theirs| {
            mine.tables.iter().all(|t| {
                let there = theirs.tables.iter().find(|o| o.name == t.name);
                there.is_some_and(|o| o.vector == t.vector && o.digest == t.digest && o.without == t.without)
            })
        })
    };
    let compared = mine.iter().any(|d| !d.tables.is_empty());
    compared && mine.len() == theirs.len() && mine.iter().all(same)
}

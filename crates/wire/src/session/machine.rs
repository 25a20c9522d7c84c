//! The side that drives a session.
use crate::message::{DatabaseHello, Digests, Hello, Pull, PullLimit, Refusal, Word};
use crate::session::report::{DatabaseReport, DatabaseState, Outcome, Progress, Report, TableOutcome};
use crate::session::shared::{Shared, all_cover, all_join};
use crate::session::{Bytes, Effect, Event, Identity, Options, Reply, Request};
use lockstep_engine::change::Batch;
use lockstep_engine::id::{Millis, Vectors};

/// A session as seen by the node that began it.
#[derive(Debug)]
pub struct Session {
    me: Identity,
    options: Options,
    state: State,
    shared: Vec<Shared>,
    /// Databases that only one side shares, and clones.
    apart: Vec<DatabaseReport>,
    peer: Option<Identity>,
    round: u32,
    tries: u32,
    troubles: u32,
    /// Was anything stored in this round?
    stored: bool,
    /// Was anything exchanged since this node last said what it has?
    touched: bool,
    asked: Millis,
    started: Millis,
    offset: Option<i64>,
    bytes: Bytes,
    requests: u64,
    to_receive: u64,
    to_send: u64,
}

/// What it waits for.
#[derive(Debug)]
enum State {
    /// For nothing: not begun, or over.
    Rest,
    /// For this node's summaries.
    Own(Then),
    /// For the peer's hello.
    Greeting,
    /// For this node to have adopted the peer's digest keys; these databases are still to come.
    Keys(Vec<usize>),
    /// For batches of a database, either to come or to be applied.
    Pulling(Lane),
    /// For batches of a database, either to be read here or to be taken there.
    Pushing(Lane),
    /// For digests of a database.
    Digesting(usize),
}

/// What follows on this node's summaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Introduce itself.
    Greet,
    /// Exchange; the peer's hello is there.
    Exchange,
    /// See whether there is news.
    Close,
}

/// A delta on its way: the next batch is fetched (from the peer, or from the file) while the one before is stored (in
/// the file, or at the peer).
#[derive(Debug)]
struct Lane {
    database: usize,
    /// What the receiver will have when all that was fetched is stored.
    have: Vectors,
    limit: PullLimit,
    fetching: bool,
    /// The batch that is being stored: how many items, and where it leads.
    storing: Option<(u64, Vectors)>,
    /// Fetched, and waits until the one before is stored.
    ready: Option<Box<Batch>>,
    /// The last batch was fetched.
    ended: bool,
    /// Any batch was stored.
    any: bool,
    /// Something went wrong: what to do once nothing is under way.
    after: Option<After>,
    /// The receiver made writes of its own.
    wrote: bool,
}

#[derive(Debug)]
enum After {
    /// Say anew where both stand, and go on.
    Again(Refusal),
    /// Give this database up.
    GiveUp(Refusal),
}

impl Session {
    /// A session that has not begun.
    pub fn new(me: Identity, options: Options) -> Session {
        let shared = options.databases.iter().map(|name| Shared::new(name, &options.ways)).collect();
        Session {
            me,
            options,
            state: State::Rest,
            shared,
            apart: Vec::new(),
            peer: None,
            round: 1,
            tries: 0,
            troubles: 0,
            stored: false,
            touched: false,
            asked: Millis(0),
            started: Millis(0),
            offset: None,
            bytes: Bytes::default(),
            requests: 0,
            to_receive: 0,
            to_send: 0,
        }
    }

    /// Begins.
    pub fn start(&mut self, now: Millis) -> Vec<Effect> {
        self.started = now;
        self.summarize(Then::Greet, true)
    }

    /// What follows on what happened. An event that nothing waits for changes nothing.
    pub fn handle(&mut self, event: Event, now: Millis) -> Vec<Effect> {
        if let Event::Replied { bytes, .. } | Event::Failed { bytes, .. } = &event {
            self.bytes.sent += bytes.sent;
            self.bytes.received += bytes.received;
        }
        match (std::mem::replace(&mut self.state, State::Rest), event) {
            (State::Own(then), Event::Summaries(Ok(mine))) => self.summarized(then, mine, now),
            (State::Own(_), Event::Summaries(Err(refusal))) => self.fail(refusal, now),
            (State::Greeting, Event::Replied { reply, .. }) => self.greeted(reply, now),
            (State::Greeting, Event::Failed { refusal, .. }) => self.fail(refusal, now),
            (State::Keys(left), Event::KeyAdopted(Ok(()))) => self.adopt(left, now),
            (State::Keys(_), Event::KeyAdopted(Err(refusal))) => self.fail(refusal, now),
            (State::Pulling(lane), event) => self.pulling(lane, event, now),
            (State::Pushing(lane), event) => self.pushing(lane, event, now),
            (State::Digesting(database), event) => self.digesting(database, event, now),
            (state, _) => {
                self.state = state;
                Vec::new()
            }
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        let database = match &self.state {
            State::Pulling(lane) | State::Pushing(lane) => Some(self.shared[lane.database].name.clone()),
            State::Digesting(n) => Some(self.shared[*n].name.clone()),
            State::Rest | State::Own(_) | State::Greeting | State::Keys(_) => None,
        };
        let sum = |f: fn(&DatabaseReport) -> u64| self.shared.iter().map(|s| f(&s.report)).sum();
        let (received, sent): (u64, u64) = (sum(|r| r.received), sum(|r| r.sent));
        Progress {
            database,
            received,
            to_receive: self.to_receive.max(received),
            sent,
            to_send: self.to_send.max(sent),
        }
    }

    fn summarize(&mut self, then: Then, harvest: bool) -> Vec<Effect> {
        self.state = State::Own(then);
        vec![Effect::Summarize { harvest }]
    }

    fn send(&mut self, request: Request) -> Effect {
        self.requests += 1;
        Effect::Send(request)
    }

    fn summarized(&mut self, then: Then, mine: Vec<DatabaseHello>, now: Millis) -> Vec<Effect> {
        self.touched = false;
        for shared in &mut self.shared {
            if let Some(hello) = mine.iter().find(|d| d.name == shared.name) {
                shared.set_ours(hello);
            }
        }
        match then {
            Then::Greet => {
                self.asked = now;
                self.state = State::Greeting;
                let Identity { node, name } = self.me.clone();
                let word = if self.peer.is_none() { Word::First } else { Word::Further };
                vec![self.send(Request::Hello(Hello { node, name, now_ms: now, word, databases: mine }))]
            }
            Then::Exchange => self.begin_round(now),
            Then::Close => self.close_round(now),
        }
    }

    fn greeted(&mut self, reply: Reply, now: Millis) -> Vec<Effect> {
        let hello = match reply {
            Reply::Hello(hello) => hello,
            Reply::Refused(refusal) => return self.fail(refusal, now),
            Reply::Batch(_) | Reply::PushAck(_) | Reply::Digests(_) => return self.fail(out_of_turn(), now),
        };
        if self.peer.is_none() {
            let middle = i128::midpoint(i128::from(self.asked.0), i128::from(now.0));
            self.offset = i64::try_from(i128::from(hello.now_ms.0) - middle).ok();
            self.peer = Some(Identity { node: hello.node, name: hello.name.clone() });
            self.meet(&hello);
        }
        for shared in &mut self.shared {
            if let Some(theirs) = hello.databases.iter().find(|d| d.name == shared.name) {
                shared.set_theirs(theirs);
            }
        }
        self.to_receive = self.shared.iter().map(|s| s.report.received.saturating_add(s.to_receive())).sum();
        self.to_send = self.shared.iter().map(|s| s.report.sent.saturating_add(s.to_send())).sum();
        // Digests over the columns that both share are taken anew once both know which those are.
        self.touched |= self.shared.iter().any(Shared::is_outdated);
        let smaller = |s: &Shared| s.theirs.key < s.ours.key;
        self.adopt((0..self.shared.len()).filter(|n| smaller(&self.shared[*n])).collect(), now)
    }

    /// Sets aside what can't be exchanged.
    fn meet(&mut self, hello: &Hello) {
        for shared in std::mem::take(&mut self.shared) {
            let theirs = hello.databases.iter().find(|d| d.name == shared.name);
            let state = match (shared.ours.replica, theirs) {
                (None, _) => DatabaseState::MissingHere,
                (Some(_), None) => DatabaseState::MissingThere,
                (Some(ours), Some(theirs)) if ours == theirs.replica => DatabaseState::Cloned,
                (Some(_), Some(_)) => DatabaseState::Exchanged,
            };
            if state == DatabaseState::Exchanged {
                self.shared.push(shared);
            } else {
                self.apart.push(DatabaseReport { state, ..DatabaseReport::new(&shared.name) });
            }
        }
    }

    /// Takes over the keys of these databases, one after the other. That changes digests.
    fn adopt(&mut self, mut left: Vec<usize>, now: Millis) -> Vec<Effect> {
        let Some(n) = left.pop() else {
            return if self.touched { self.summarize(Then::Exchange, false) } else { self.begin_round(now) };
        };
        self.touched = true;
        let shared = &self.shared[n];
        let effect = Effect::AdoptKey { database: shared.name.clone(), key: shared.theirs.key.expect("it said hello") };
        self.state = State::Keys(left);
        vec![effect]
    }

    fn begin_round(&mut self, now: Millis) -> Vec<Effect> {
        for shared in &mut self.shared {
            if shared.has_news() {
                shared.report.rounds = self.round;
            }
        }
        self.exchange(0, now)
    }

    /// Goes on with this database or the next one that has news.
    fn exchange(&mut self, from: usize, now: Millis) -> Vec<Effect> {
        for n in from..self.shared.len() {
            let shared = &self.shared[n];
            if !shared.has_news() {
                continue;
            }
            return if shared.to_receive() > 0 { self.pull(n) } else { self.push(n) };
        }
        if self.touched { self.summarize(Then::Close, false) } else { self.close_round(now) }
    }

    fn pull(&mut self, database: usize) -> Vec<Effect> {
        let shared = &self.shared[database];
        let limit = if shared.is_empty_here() { self.options.bulk } else { self.options.limit };
        let mut lane = Lane::new(database, shared.have_here(), limit);
        let effects = self.fetch_pull(&mut lane);
        self.state = State::Pulling(lane);
        effects
    }

    fn fetch_pull(&mut self, lane: &mut Lane) -> Vec<Effect> {
        lane.fetching = true;
        let shared = &self.shared[lane.database];
        let pull = Pull {
            database: shared.name.clone(),
            have: lane.have.clone(),
            except: shared.not_received(),
            limit: lane.limit,
        };
        vec![self.send(Request::Pull(pull))]
    }

    fn pulling(&mut self, mut lane: Lane, event: Event, now: Millis) -> Vec<Effect> {
        match event {
            Event::Replied { reply: Reply::Batch(batch), .. } if lane.fetching => {
                lane.fetching = false;
                let before = lane.have.clone();
                self.fetched(&mut lane, batch);
                self.shared[lane.database].has_sent(&before, &lane.have);
            }
            Event::Replied { reply, .. } if lane.fetching => {
                lane.fetching = false;
                lane.refused(reply);
            }
            Event::Failed { refusal, again, .. } if lane.fetching => {
                lane.fetching = false;
                lane.failed(refusal, again);
            }
            Event::Applied(Ok(counts)) if lane.storing.is_some() => {
                let (items, _) = lane.storing.take().expect("just seen");
                self.tries = 0;
                self.stored = true;
                lane.wrote |= counts.writes > 0;
                self.shared[lane.database].applied_here(items, counts);
            }
            Event::Applied(Err(refusal)) if lane.storing.is_some() => {
                lane.storing = None;
                // What follows on a batch that was not stored can't be stored either.
                lane.ready = None;
                let again = refusal.is_start_not_reached();
                lane.failed(refusal, again);
            }
            _ => {}
        }
        let mut effects = Vec::new();
        if lane.storing.is_none()
            && let Some(batch) = lane.store_next()
        {
            self.touched = true;
            effects.push(Effect::Apply(batch));
        }
        if lane.may_fetch() {
            effects.append(&mut self.fetch_pull(&mut lane));
        }
        if !lane.is_at_rest() {
            self.state = State::Pulling(lane);
            return effects;
        }
        match lane.after.take() {
            Some(after) => self.recover(lane.database, after, now),
            None if lane.wrote || self.shared[lane.database].to_send() > 0 => self.push(lane.database),
            None => self.exchange(lane.database + 1, now),
        }
    }

    fn push(&mut self, database: usize) -> Vec<Effect> {
        let shared = &self.shared[database];
        let limit = if shared.is_empty_there() { self.options.bulk } else { self.options.limit };
        let mut lane = Lane::new(database, shared.have_there(), limit);
        let effects = self.fetch_push(&mut lane);
        self.state = State::Pushing(lane);
        effects
    }

    fn fetch_push(&mut self, lane: &mut Lane) -> Vec<Effect> {
        lane.fetching = true;
        let shared = &self.shared[lane.database];
        vec![Effect::Extract {
            database: shared.name.clone(),
            have: lane.have.clone(),
            except: shared.not_sent(),
            limit: lane.limit,
        }]
    }

    fn pushing(&mut self, mut lane: Lane, event: Event, now: Millis) -> Vec<Effect> {
        match event {
            Event::Extracted(Ok(batch)) if lane.fetching => {
                lane.fetching = false;
                self.fetched(&mut lane, batch);
            }
            Event::Extracted(Err(refusal)) if lane.fetching => {
                lane.fetching = false;
                lane.failed(refusal, false);
            }
            Event::Replied { reply: Reply::PushAck(ack), .. }
                if lane.storing.is_some() && ack.database == self.shared[lane.database].name =>
            {
                let (items, end) = lane.storing.take().expect("just seen");
                let shared = &mut self.shared[lane.database];
                shared.renew_theirs(&ack.tables);
                if shared.acknowledges(&end) {
                    self.tries = 0;
                    self.stored = true;
                    shared.applied_there(items, ack.applied);
                } else {
                    lane.ready = None;
                    lane.failed(out_of_turn(), true);
                }
            }
            Event::Replied { reply, .. } if lane.storing.is_some() => {
                lane.storing = None;
                lane.ready = None;
                lane.refused(reply);
            }
            Event::Failed { refusal, again, .. } if lane.storing.is_some() => {
                lane.storing = None;
                lane.ready = None;
                lane.failed(refusal, again);
            }
            _ => {}
        }
        let mut effects = Vec::new();
        if lane.storing.is_none()
            && let Some(batch) = lane.store_next()
        {
            self.touched = true;
            effects.push(self.send(Request::Push(batch)));
        }
        if lane.may_fetch() {
            effects.append(&mut self.fetch_push(&mut lane));
        }
        if !lane.is_at_rest() {
            self.state = State::Pushing(lane);
            return effects;
        }
        match lane.after.take() {
            Some(after) => self.recover(lane.database, after, now),
            None => self.exchange(lane.database + 1, now),
        }
    }

    /// A batch was fetched: it waits to be stored, unless it says nothing.
    fn fetched(&self, lane: &mut Lane, batch: Box<Batch>) {
        if lane.after.is_some() {
            return;
        }
        let shared = &self.shared[lane.database];
        let names = batch.end.keys().chain(batch.items.iter().map(|item| &batch.tables[item.table()].name));
        if batch.database != shared.name || shared.is_excepted(names) {
            lane.failed(out_of_turn(), true);
            return;
        }
        let nothing_new = all_cover(&lane.have, &batch.end);
        lane.ended = batch.last;
        if nothing_new && !batch.last {
            let text = "a batch was to be followed by another and led nowhere";
            lane.failed(refusal("no_progress", text), false);
            return;
        }
        // The end of a delta has to be told to one that has stored its beginning: only then are identities matched.
        if nothing_new && batch.items.is_empty() && !lane.any {
            return;
        }
        all_join(&mut lane.have, &batch.end);
        lane.ready = Some(batch);
    }

    /// Something went wrong on the way, and nothing is under way now.
    fn recover(&mut self, database: usize, after: After, now: Millis) -> Vec<Effect> {
        match after {
            After::GiveUp(refusal) => {
                self.shared[database].report.state = DatabaseState::GivenUp(refusal);
                self.exchange(database + 1, now)
            }
            After::Again(refusal) => {
                self.tries += 1;
                self.troubles += 1;
                if self.tries > self.options.tries || self.troubles > 100 * self.options.tries {
                    self.fail(refusal, now)
                } else {
                    self.summarize(Then::Greet, false)
                }
            }
        }
    }

    fn close_round(&mut self, now: Millis) -> Vec<Effect> {
        for n in 0..self.shared.len() {
            if self.shared[n].is_going() && !self.shared[n].digests_wanted().is_empty() {
                return self.ask_digests(n);
            }
        }
        // A round that has led nowhere would not do so a second time.
        let over = !self.stored || self.round >= self.options.rounds;
        if over || !self.shared.iter().any(Shared::has_news) {
            return self.finish(now);
        }
        self.round += 1;
        self.stored = false;
        self.begin_round(now)
    }

    fn ask_digests(&mut self, n: usize) -> Vec<Effect> {
        self.state = State::Digesting(n);
        let (database, tables) = (self.shared[n].name.clone(), self.shared[n].digests_wanted());
        vec![self.send(Request::Digests(Digests { database, tables }))]
    }

    fn digesting(&mut self, n: usize, event: Event, now: Millis) -> Vec<Effect> {
        match event {
            Event::Replied { reply: Reply::Digests(reply), .. } if reply.database == self.shared[n].name => {
                self.shared[n].renew_theirs(&reply.tables);
                if self.shared[n].digests_wanted().is_empty() {
                    return self.close_round(now);
                }
                let text = "the peer does not say the digests of its tables";
                self.recover_digests(n, After::GiveUp(refusal("no_digest", text)), now)
            }
            Event::Replied { reply: Reply::Refused(refusal), .. } => {
                self.recover_digests(n, After::GiveUp(refusal), now)
            }
            Event::Replied { .. } => self.recover_digests(n, After::Again(out_of_turn()), now),
            Event::Failed { refusal, again, .. } => {
                let after = if again { After::Again(refusal) } else { After::GiveUp(refusal) };
                self.recover_digests(n, after, now)
            }
            Event::Summaries(_) | Event::KeyAdopted(_) | Event::Extracted(_) | Event::Applied(_) => {
                self.state = State::Digesting(n);
                Vec::new()
            }
        }
    }

    fn recover_digests(&mut self, n: usize, after: After, now: Millis) -> Vec<Effect> {
        match after {
            After::GiveUp(refusal) => {
                self.shared[n].report.state = DatabaseState::GivenUp(refusal);
                self.close_round(now)
            }
            After::Again(_) => self.recover(n, after, now),
        }
    }

    fn fail(&mut self, refusal: Refusal, now: Millis) -> Vec<Effect> {
        self.end(Some(refusal), now)
    }

    fn finish(&mut self, now: Millis) -> Vec<Effect> {
        self.end(None, now)
    }

    fn end(&mut self, failed: Option<Refusal>, now: Millis) -> Vec<Effect> {
        self.state = State::Rest;
        let shared = std::mem::take(&mut self.shared);
        let mut databases: Vec<DatabaseReport> = shared.into_iter().map(Shared::into_report).collect();
        databases.append(&mut self.apart);
        let differs = |d: &DatabaseReport| d.tables.iter().any(|t| t.outcome == TableOutcome::Differs);
        let compared = |d: &DatabaseReport| !d.tables.is_empty();
        let given_up = |d: &DatabaseReport| match &d.state {
            DatabaseState::GivenUp(refusal) => Some(refusal.clone()),
            DatabaseState::Cloned => Some(cloned()),
            DatabaseState::Exchanged | DatabaseState::MissingHere | DatabaseState::MissingThere => None,
        };
        let outcome = match failed.or_else(|| databases.iter().find_map(given_up)) {
            Some(refusal) => Outcome::Failed(refusal),
            None if databases.iter().any(differs) => Outcome::Differs,
            // Of nothing nothing is claimed.
            None if databases.iter().all(DatabaseReport::verified) && databases.iter().any(compared) => {
                Outcome::Verified
            }
            None => Outcome::Partial,
        };
        vec![Effect::Done(Box::new(Report {
            peer: self.peer.clone(),
            outcome,
            databases,
            clock_offset_ms: self.offset,
            bytes: self.bytes,
            requests: self.requests,
            started: self.started,
            ended: now,
        }))]
    }
}

impl Lane {
    fn new(database: usize, have: Vectors, limit: PullLimit) -> Lane {
        Lane {
            database,
            have,
            limit,
            fetching: false,
            storing: None,
            ready: None,
            ended: false,
            any: false,
            after: None,
            wrote: false,
        }
    }

    /// Takes the batch that waits, if there is one.
    fn store_next(&mut self) -> Option<Box<Batch>> {
        let batch = self.ready.take()?;
        self.any = true;
        self.storing = Some((batch.items.len() as u64, batch.end.clone()));
        Some(batch)
    }

    fn may_fetch(&self) -> bool {
        !self.fetching && !self.ended && self.ready.is_none() && self.after.is_none()
    }

    fn is_at_rest(&self) -> bool {
        !self.fetching && self.storing.is_none() && self.ready.is_none() && (self.ended || self.after.is_some())
    }

    fn refused(&mut self, reply: Reply) {
        match reply {
            Reply::Refused(refusal) => {
                let again = refusal.is_start_not_reached();
                self.failed(refusal, again);
            }
            Reply::Hello(_) | Reply::Batch(_) | Reply::PushAck(_) | Reply::Digests(_) => {
                self.failed(out_of_turn(), true);
            }
        }
    }

    /// The first thing that went wrong counts.
    fn failed(&mut self, refusal: Refusal, again: bool) {
        let after = if again { After::Again(refusal) } else { After::GiveUp(refusal) };
        self.after.get_or_insert(after);
    }
}

fn refusal(code: &str, message: &str) -> Refusal {
    let hint = "See `lockstep status` on both nodes.";
    Refusal { code: code.into(), message: message.into(), hint: hint.into() }
}

fn cloned() -> Refusal {
    Refusal {
        code: "replica_cloned".into(),
        message: "both nodes hold one replica of a database: one of the machines is a copy of the other".into(),
        hint: "Run `lockstep restored NAME --rejoin` on the copy, so that it begins a new incarnation.".into(),
    }
}

fn out_of_turn() -> Refusal {
    refusal("out_of_turn", "the peer answered something else than what it was asked")
}

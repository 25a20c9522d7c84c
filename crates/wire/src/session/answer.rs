//! What both sides do with the files behind a session: the answers of the one that is asked, and the local effects of
//! the one that drives.
use crate::hex::Hex;
use crate::message::{Counts, DatabaseHello, DigestsReply, Hello, PullLimit, PushAck, Refusal, TableState};
use crate::session::{Effect, Event, Identity, Reply, Request};
use lockstep_engine::change::{Batch, Cell, Item};
use lockstep_engine::id::{Millis, Vectors};

/// The databases that a node shares with one peer. What the peer may not see or write is left out or refused here.
pub trait Store {
    /// What it has, each database in one snapshot; reads the capture logs first if asked to.
    fn summarize(&mut self, harvest: bool) -> Result<Vec<DatabaseHello>, Refusal>;

    /// Takes over a digest key, if it is smaller than its own.
    fn adopt_key(&mut self, database: &str, key: Hex<16>) -> Result<(), Refusal>;

    /// Reads the next batch of what is not in `have`. Nothing of the tables in `except` has to be in it, or it may lead
    /// nowhere; what is, is taken out again.
    fn extract(
        &mut self,
        database: &str,
        have: &Vectors,
        except: &[String],
        limit: PullLimit,
    ) -> Result<Batch, Refusal>;

    /// Applies a batch in one transaction, and has it on the disk when it returns.
    fn apply(&mut self, batch: &Batch) -> Result<Counts, Refusal>;

    /// Where the tables of a database stand.
    fn states(&mut self, database: &str) -> Result<Vec<TableState>, Refusal> {
        let Some(found) = self.summarize(false)?.into_iter().find(|d| d.name == database) else {
            return Err(unknown_database());
        };
        let state = |t: crate::message::TableHello| TableState {
            name: t.name,
            vector: t.vector,
            rows: t.rows,
            digest: t.digest,
            under_way: t.under_way,
        };
        Ok(found.tables.into_iter().map(state).collect())
    }
}

fn unknown_database() -> Refusal {
    Refusal {
        code: "database_unknown".into(),
        message: "this node does not share that database with you".into(),
        hint: "Look what is shared with `lockstep peers` on both nodes.".into(),
    }
}

/// Answers a request. Nothing is kept between two answers, so that asking twice does no harm.
pub fn answer(store: &mut dyn Store, me: &Identity, request: Request, now: Millis) -> Reply {
    let reply = match request {
        Request::Hello(hello) => answer_hello(store, me, &hello, now),
        Request::Pull(pull) => {
            let batch = extract(store, &pull.database, &pull.have, &pull.except, pull.limit);
            batch.map(|batch| Reply::Batch(Box::new(batch)))
        }
        Request::Push(batch) => answer_push(store, &batch),
        Request::Digests(ask) => store.states(&ask.database).map(|mut tables| {
            tables.retain(|t| ask.tables.is_empty() || ask.tables.contains(&t.name));
            Reply::Digests(DigestsReply { database: ask.database, tables })
        }),
    };
    reply.unwrap_or_else(Reply::Refused)
}

/// Bytes of values that a batch of several writes may have. Even if JSON takes six bytes for each of them, it is then no
/// larger than any receiver takes ([`crate::Limits::batch`]).
const SEVERAL: usize = 10 << 20;

/// Before which item a batch has to be cut, so that large values travel alone.
fn cut(batch: &Batch) -> Option<u64> {
    let first = batch.items.first()?;
    let is_first = |item: &Item| item.dot() == first.dot() && item.table() == first.table();
    let mut bytes = 0;
    for (n, item) in batch.items.iter().enumerate() {
        bytes += item_bytes(item);
        if bytes > SEVERAL && !is_first(item) {
            return Some(n as u64);
        }
    }
    None
}

fn item_bytes(item: &Item) -> usize {
    let of = |cell: &Cell| match cell {
        Cell::Value(v) | Cell::Raw(v) => v.weight(),
        Cell::Row(_) => 0,
    };
    match item {
        Item::Change(c) => c.columns.iter().map(|(_, cell)| of(cell)).sum(),
        Item::Alias(_) | Item::Decision(_) => 0,
        Item::Conflict(r) => r.value.iter().chain(&r.winner_value).map(of).sum(),
    }
}

/// Extracts what fits, and makes sure that the batch speaks of no table that it must not: not even in its vectors, or the receiver
/// would take itself to have what it never got.
fn extract(
    store: &mut dyn Store,
    database: &str,
    have: &Vectors,
    except: &[String],
    mut limit: PullLimit,
) -> Result<Batch, Refusal> {
    let mut batch = store.extract(database, have, except, limit)?;
    while let Some(items) = cut(&batch).filter(|n| *n < limit.items) {
        limit.items = items;
        batch = store.extract(database, have, except, limit)?;
    }
    if !except.is_empty() {
        let is_out: Vec<bool> = batch.tables.iter().map(|t| except.contains(&t.name)).collect();
        batch.items.retain(|item| !is_out[item.table()]);
        batch.start.retain(|name, _| !except.contains(name));
        batch.end.retain(|name, _| !except.contains(name));
        batch.until.retain(|name, _| !except.contains(name));
    }
    Ok(batch)
}

fn answer_hello(store: &mut dyn Store, me: &Identity, hello: &Hello, now: Millis) -> Result<Reply, Refusal> {
    let mut databases = store.summarize(hello.word.harvests())?;
    let mut adopted = false;
    for mine in &databases {
        let theirs = hello.databases.iter().find(|d| d.name == mine.name);
        if let Some(theirs) = theirs.filter(|theirs| theirs.digest_key < mine.digest_key) {
            store.adopt_key(&mine.name, theirs.digest_key)?;
            adopted = true;
        }
    }
    if adopted {
        databases = store.summarize(false)?;
    }
    let Identity { node, name } = me.clone();
    Ok(Reply::Hello(Hello { node, name, now_ms: now, word: hello.word, databases }))
}

fn answer_push(store: &mut dyn Store, batch: &Batch) -> Result<Reply, Refusal> {
    let applied = store.apply(batch)?;
    let tables = store.states(&batch.database)?;
    Ok(Reply::PushAck(PushAck { database: batch.database.clone(), applied, tables }))
}

/// Carries out an effect that concerns this node's files. Gives back what has to be carried elsewhere: a request to
/// send, or the report.
pub fn perform(store: &mut dyn Store, effect: Effect) -> Result<Event, Effect> {
    match effect {
        Effect::Summarize { harvest } => Ok(Event::Summaries(store.summarize(harvest))),
        Effect::AdoptKey { database, key } => Ok(Event::KeyAdopted(store.adopt_key(&database, key))),
        Effect::Extract { database, have, except, limit } => {
            Ok(Event::Extracted(extract(store, &database, &have, &except, limit).map(Box::new)))
        }
        Effect::Apply(batch) => Ok(Event::Applied(store.apply(&batch))),
        Effect::Send(_) | Effect::Done(_) => Err(effect),
    }
}

//! A peer's questions about ranges and rows of a table.
//!
//! Always true here: who may not have a table's rows is told nothing of them, not even a hash; columns that don't pass
//! count in nothing. Of one caller the sums of one table are kept between two questions.
use super::{Answer, Refusal, Served, blocking, json, lock, read};
use crate::access::Columns;
use crate::node::Node;
use crate::server::Caller;
use crate::shelf::{NOT_ALLOWED, refusal};
use crate::state::AttachedDatabase;
use crate::{NodeId, Result};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use lockstep_engine::compare::{Range, Seen, Sums};
use lockstep_engine::id::Dot;
use lockstep_wire::Limits;
use lockstep_wire::compare::{
    BirthPart, Births, BirthsReply, RangeParts, Ranges, RangesReply, RowTold, Rows, RowsReply,
};
use lockstep_wire::message::Message;
use std::sync::Arc;
use std::time::Instant;

/// The sums of a table, for as long as somebody asks for them.
pub(super) struct Summed {
    pub(super) at: Instant,
    place: (String, String, Columns),
    sums: Arc<Seen<Sums>>,
}

/// Bytes of one answer about rows, roughly.
const ENOUGH: usize = 4 << 20;
/// How long a value may be that is told whole, and how long if the row would be too large then.
const LENGTHS: [usize; 3] = [64 << 10, 1 << 10, 64];

/// What the caller may ask about a table.
fn place(node: &Node, caller: NodeId, database: &str, table: &str) -> Result<(AttachedDatabase, Columns), Refusal> {
    let access = node.state().access(caller).map_err(crate::Error::from)?;
    if !access.of(database, table).sends() {
        return Err(Refusal::Said(refusal(
            NOT_ALLOWED,
            "this node does not let you have that table",
            "look what is shared with `lockstep peers` on both nodes",
        )));
    }
    let attached = node.state().database(database).map_err(crate::Error::from)?;
    Ok((attached, access.without(database, table)))
}

async fn placed(served: &Served, caller: NodeId, of: (&str, &str)) -> Result<(AttachedDatabase, Columns), Refusal> {
    let (node, database, table) = (served.node.clone(), of.0.to_owned(), of.1.to_owned());
    blocking(move || Ok(place(&node, caller, &database, &table))).await?
}

pub(super) async fn ranges(
    State(served): State<Served>,
    Extension(Caller(id)): Extension<Caller>,
    body: Body,
) -> Answer {
    let limits = Limits::default();
    let ask = Ranges::from_json(&read(body, super::SMALL).await?, &limits)?;
    let (database, without) = placed(&served, id, (&ask.database, &ask.table)).await?;
    let place = (ask.database.clone(), ask.table.clone(), without.clone());
    let seat = served.desk.seat(id);
    // Who asks for the whole table begins anew.
    let begins = ask.ranges.iter().any(|r| r.0 == Range::ALL);
    let kept = lock(&seat.sums).as_mut().filter(|kept| !begins && kept.place == place).map(|kept| {
        kept.at = Instant::now();
        kept.sums.clone()
    });
    let sums = match kept {
        Some(sums) => sums,
        None => {
            let (table, now) = (ask.table.clone(), served.node.now());
            let out = without.clone();
            let sums = served.node.on_table(&database, move |db| db.range_sums(&table, &out, now)).await?;
            let sums = Arc::new(sums);
            *lock(&seat.sums) = Some(Summed { at: Instant::now(), place, sums: sums.clone() });
            sums
        }
    };
    let of = |r: Range| sums.read.parts_of(r).map(|parts| RangeParts::new(r, &parts));
    let reply = RangesReply {
        ranges: ask.ranges.iter().filter_map(|r| of(r.0)).collect(),
        database: ask.database,
        table: ask.table,
        without: without.into_iter().collect(),
        vector: sums.vector.clone(),
    };
    Ok(json(reply.to_json()))
}

pub(super) async fn births(
    State(served): State<Served>,
    Extension(Caller(id)): Extension<Caller>,
    body: Body,
) -> Answer {
    let limits = Limits::default();
    let ask = Births::from_json(&read(body, super::SMALL).await?, &limits)?;
    let (database, without) = placed(&served, id, (&ask.database, &ask.table)).await?;
    let ranges: Vec<Range> = ask.ranges.iter().map(|r| r.0).collect();
    let (table, out, now) = (ask.table.clone(), without.clone(), served.node.now());
    let found = served.node.on_table(&database, move |db| db.range_parts(&table, &out, &ranges, now)).await?;
    if found.read.len() > limits.births {
        return Err(Refusal::Said(refusal(
            "too_many_births",
            "there are too many rows in these ranges",
            "ask for fewer ranges at a time",
        )));
    }
    let reply = BirthsReply {
        database: ask.database,
        table: ask.table,
        without: without.into_iter().collect(),
        vector: found.vector,
        births: found.read.into_iter().map(BirthPart::from).collect(),
    };
    Ok(json(reply.to_json()))
}

pub(super) async fn rows(State(served): State<Served>, Extension(Caller(id)): Extension<Caller>, body: Body) -> Answer {
    let limits = Limits::default();
    let ask = Rows::from_json(&read(body, super::SMALL).await?, &limits)?;
    let (database, without) = placed(&served, id, (&ask.database, &ask.table)).await?;
    let births: Vec<Dot> = ask.births.iter().map(|b| Dot::from(*b)).collect();
    let (table, out, wanted, now) = (ask.table.clone(), without.clone(), births.clone(), served.node.now());
    let found = served.node.on_table(&database, move |db| db.row_states(&table, &out, &wanted, now)).await?;
    let (mut looked, mut bytes, mut rows) = (0, 0, Vec::new());
    for birth in births {
        if let Some(row) = found.read.iter().find(|r| r.birth == birth) {
            let mut told =
                LENGTHS.iter().map(|most| RowTold::new(row.clone(), *most)).map(|told| (told.weight(), told));
            let fits = told.by_ref().find(|(weight, _)| *weight <= ENOUGH);
            let (weight, told) = fits.unwrap_or_else(|| {
                let told = RowTold::new(row.clone(), 0);
                (told.weight(), told)
            });
            if bytes + weight > ENOUGH && !rows.is_empty() {
                break;
            }
            bytes += weight;
            rows.push(told);
        }
        looked += 1;
    }
    let reply = RowsReply {
        database: ask.database,
        table: ask.table,
        without: without.into_iter().collect(),
        vector: found.vector,
        looked,
        rows,
    };
    Ok(json(reply.to_json()))
}

//! The search of one table: questions to the peer, until the rows that differ are known.
//!
//! Always true here: what is asked grows with what differs; an answer that is counted over other columns, or leaves out
//! what was asked, ends the search with an error.
use super::{ComparedRow, MOVES, Place, TableStanding};
use crate::call::Link;
use crate::engine;
use crate::node::Node;
use crate::reading::Look;
use crate::routes;
use crate::{Error, Result};
use lockstep_engine::compare::{Apart, Ask, Differing, Kind, Range, RangeSum, RowState, Search, Seen, Side, judge};
use lockstep_engine::id::{Dot, Vector};
use lockstep_wire::Limits;
use lockstep_wire::compare::{Births, BirthsReply, DotName, RangeName, Ranges, RangesReply, RowTold, Rows, RowsReply};
use lockstep_wire::message::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Reading a whole table takes the peer a while.
const WHOLE: Duration = Duration::from_secs(600);
/// Anything else.
const SOON: Duration = Duration::from_secs(60);
/// Rows of one question.
const ROWS: usize = 32;
/// Rows of a table that are held at most. When they are decided, the next are found.
const HELD: usize = 1_000;

/// Where the questions about one table go.
struct Peer<'a> {
    link: &'a Link,
    database: &'a str,
    table: &'a str,
    without: &'a BTreeSet<String>,
}

fn out_of_turn() -> Error {
    Error::Said {
        code: "comparison_broken".into(),
        message: "the answer is not to what was asked".into(),
        hint: "compare again; if it stays so, sync first, or update Lockstep on both sides".into(),
    }
}

impl Peer<'_> {
    async fn ask<Q: Message, A: Message>(&self, path: &str, question: Q, within: Duration) -> Result<A> {
        let limits = Limits::default();
        let answer = self.link.post(path, question.to_json(), limits.message, within).await?;
        Ok(A::from_json(&answer, &limits)?)
    }

    fn check(&self, database: &str, table: &str, without: &[String]) -> Result<()> {
        let fits = database == self.database && table == self.table && without.iter().eq(self.without.iter());
        if fits { Ok(()) } else { Err(out_of_turn()) }
    }

    async fn sums(&self, ranges: &[Range]) -> Result<(Vector, Vec<(Range, [RangeSum; 16])>)> {
        let question = Ranges {
            database: self.database.to_owned(),
            table: self.table.to_owned(),
            ranges: ranges.iter().copied().map(RangeName).collect(),
        };
        let within = if ranges.contains(&Range::ALL) { WHOLE } else { SOON };
        let reply: RangesReply = self.ask(routes::RANGES, question, within).await?;
        self.check(&reply.database, &reply.table, &reply.without)?;
        let told: Vec<(Range, [RangeSum; 16])> = reply.ranges.iter().map(|r| (r.range.0, r.parts())).collect();
        if told.iter().map(|(r, _)| r).eq(ranges) { Ok((reply.vector, told)) } else { Err(out_of_turn()) }
    }

    async fn births(&self, ranges: &[Range]) -> Result<BirthsReply> {
        let question = Births {
            database: self.database.to_owned(),
            table: self.table.to_owned(),
            ranges: ranges.iter().copied().map(RangeName).collect(),
        };
        let reply: BirthsReply = self.ask(routes::BIRTHS, question, SOON).await?;
        self.check(&reply.database, &reply.table, &reply.without)?;
        Ok(reply)
    }

    /// What some rows say there.
    async fn rows(&self, births: &[Dot]) -> Result<(Vector, BTreeMap<Dot, RowState>)> {
        let mut rows = BTreeMap::new();
        let mut vector: Option<Vector> = None;
        let mut looked = 0;
        while looked < births.len() {
            let question = Rows {
                database: self.database.to_owned(),
                table: self.table.to_owned(),
                births: births[looked..].iter().copied().map(DotName::from).collect(),
            };
            let reply: RowsReply = self.ask(routes::ROWS, question, SOON).await?;
            self.check(&reply.database, &reply.table, &reply.without)?;
            let n = usize::try_from(reply.looked).unwrap_or(0).min(births.len() - looked);
            if n == 0 {
                return Err(out_of_turn());
            }
            looked += n;
            rows.extend(reply.rows.into_iter().map(RowTold::row).map(|row| (row.birth, row)));
            // What the first answer knew, all of them know.
            vector.get_or_insert(reply.vector);
        }
        Ok((vector.unwrap_or_default(), rows))
    }
}

impl Node {
    /// What rows of a table say here and there.
    pub(super) async fn both_sides(
        self: &Arc<Node>,
        link: &Link,
        place: (&crate::state::AttachedDatabase, &str, &BTreeSet<String>),
        births: Vec<Dot>,
    ) -> Result<(Seen<Vec<RowState>>, Seen<Vec<RowState>>)> {
        let (database, table, without) = place;
        let peer = Peer { link, database: &database.name, table, without };
        let (vector, rows) = peer.rows(&births).await?;
        let there = Seen { vector, read: rows.into_values().collect() };
        let (table, without, now) = (table.to_owned(), without.clone(), self.now());
        let here = self.on_table(database, move |db| db.row_states(&table, &without, &births, now)).await?;
        Ok((here, there))
    }

    /// Finds the rows of a table that differ, and holds them.
    pub(super) async fn search(self: &Arc<Node>, link: &Link, place: &mut Place, look: &Look) -> Result<()> {
        let (table, without) = (place.found.table.clone(), place.without.clone());
        let name = place.database.name.clone();
        let peer = Peer { link, database: &name, table: &table, without: &without };
        let now = self.now();
        let mine = {
            let (table, without, reading) = (table.clone(), without.clone(), look.reading());
            let sums = move |db: &mut engine::Database| {
                db.counts_in(reading);
                db.range_sums(&table, &without, now)
            };
            self.on_table(&place.database, sums).await?
        };
        let mut search = Search::new(mine.read);
        let total = search.total();
        let mut equal = false;
        loop {
            match search.ask() {
                Ask::Sums(ranges) => {
                    let (vector, told) = peer.sums(&ranges).await?;
                    for (range, theirs) in told {
                        if range == Range::ALL {
                            let sum = theirs.iter().fold(0_u128, |sum, part| sum.wrapping_add(part.hash));
                            equal = sum == total.hash && vector == mine.vector;
                        }
                        search.told_sums(range, &theirs);
                    }
                }
                Ask::Parts(ranges) => {
                    let theirs = peer.births(&ranges).await?;
                    let theirs: Vec<_> = theirs.births.into_iter().map(Into::into).collect();
                    let (table, without, now) = (table.clone(), without.clone(), self.now());
                    let here = self
                        .on_table(&place.database, move |db| db.range_parts(&table, &without, &ranges, now))
                        .await?;
                    search.told_parts(&here.read, &theirs);
                }
                Ask::Done => break,
            }
        }
        place.found.cut = search.is_cut();
        let differing = self.judge_all(link, place, search.into_found()).await?;
        self.conclude(place, equal, total.hash, differing).await
    }

    async fn judge_all(self: &Arc<Node>, link: &Link, place: &mut Place, births: Vec<Dot>) -> Result<Vec<Differing>> {
        let mut differing = Vec::new();
        for births in births.chunks(ROWS) {
            let at = (&place.database, place.found.table.as_str(), &place.without);
            let (here, there) = self.both_sides(link, at, births.to_vec()).await?;
            for &birth in births {
                let of = |seen: &Seen<Vec<RowState>>| seen.read.iter().find(|r| r.birth == birth).cloned();
                let (x, y) = (of(&here), of(&there));
                let mine = Side { row: x.as_ref(), vector: &here.vector };
                let theirs = Side { row: y.as_ref(), vector: &there.vector };
                let (kind, columns) = match judge(birth, mine, theirs) {
                    Apart::Not => continue,
                    Apart::UnderWay => {
                        place.found.under_way += 1;
                        continue;
                    }
                    Apart::Differs { kind, columns } => (kind, columns),
                };
                match kind {
                    Kind::OnlyHere => place.found.only_here += 1,
                    Kind::OnlyThere => place.found.only_there += 1,
                    Kind::Different => place.found.different += 1,
                }
                let key = |row: &Option<RowState>| row.as_ref().and_then(|r| r.key.clone());
                let keys = (key(&x), key(&y));
                let row = ComparedRow::new(birth, kind, (keys.0.as_deref(), keys.1.as_deref()), columns.clone());
                place.found.rows.push(row);
                // Values are kept of no more rows than are held.
                if differing.len() < HELD {
                    let dots = x.map(|r| r.dots).unwrap_or_default();
                    differing.push(Differing { birth, kind, columns, dots, there: y });
                }
            }
        }
        Ok(differing)
    }

    /// What follows from what was found.
    async fn conclude(
        self: &Arc<Node>,
        place: &mut Place,
        equal: bool,
        total: u128,
        differing: Vec<Differing>,
    ) -> Result<()> {
        let rows = place.found.rows.len();
        let all = !place.found.cut && rows == differing.len();
        let (table, replica, now) = (place.found.table.clone(), place.replica, self.now());
        // A digest went wrong with a row that was changed past the capture, and the row was written since.
        let recount = equal && total != place.digest && place.without.is_empty();
        self.on_table(&place.database, move |db| {
            if recount {
                db.recount_digest(&table, now)?;
            }
            db.hold_differences(&table, replica, &differing, all, now)
        })
        .await?;
        let there = place.found.there.as_ref().map(|t| t.digest.clone());
        let fresh = lockstep_wire::Hex::from(total).to_string();
        if rows > 0 {
            let more = if place.found.cut { "at least " } else { "" };
            let (differ, they) = if rows == 1 { ("row differs", "it is") } else { ("rows differ", "they are") };
            let because = format!(
                "{more}{rows} {differ} though both servers have the same writes; {they} held for you to decide"
            );
            place.settle(TableStanding::Different, &because);
        } else if equal {
            place.found.state = TableStanding::Equal;
            place.found.here.digest.clone_from(&fresh);
            if there.as_ref().is_some_and(|digest| *digest != fresh) {
                place.found.because =
                    Some("the rows are equal; the digest that the other side keeps is not that of its rows: `lockstep verify` there counts it anew".into());
            }
            if let Some(there) = &mut place.found.there {
                there.digest = fresh;
            }
        } else {
            place.settle(TableStanding::Moving, MOVES);
        }
        Ok(())
    }
}

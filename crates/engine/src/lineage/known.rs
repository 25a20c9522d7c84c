//! Which of a file's own writes another file has as this one has them.
//!
//! Always true here: a write is known there only if its name, its time, its row and every value that both still have of it
//! are the same; two files that went by one name are told apart by that. Nothing is written. Not here: how a peer is asked.
use crate::change::{Batch, Cell, Item};
use crate::database::Database;
use crate::error::Error;
use crate::extract::Limit;
use crate::id::{Dot, Millis, ReplicaId, Seq, Stamp, Vectors};
use std::collections::{BTreeMap, HashMap};

/// A table, the number of a write to it, and the row that it wrote to, if it is one.
type Name = (String, Seq, Option<Dot>);

/// What is held against what the other side says of the same write.
#[derive(Debug)]
struct Facts {
    stamp: Stamp,
    /// Of a write to a row, by column.
    cells: BTreeMap<String, Cell>,
}

impl Facts {
    fn agree(&self, other: &Facts) -> bool {
        let same = |(column, cell): (&String, &Cell)| other.cells.get(column).is_none_or(|there| there == cell);
        self.stamp == other.stamp && self.cells.iter().all(same)
    }
}

fn facts(batch: &Batch, own: ReplicaId) -> impl Iterator<Item = (Name, Facts)> {
    batch.items.iter().filter(move |item| item.dot().replica == own).filter_map(|item| {
        let head = batch.tables.get(item.table())?;
        let (birth, cells) = match item {
            Item::Change(c) => {
                let cells =
                    c.columns.iter().filter_map(|(k, cell)| Some((head.columns.get(*k)?.clone(), cell.clone())));
                (Some(c.birth), cells.collect())
            }
            Item::Alias(_) | Item::Conflict(_) | Item::Decision(_) => (None, BTreeMap::new()),
        };
        Some(((head.name.clone(), item.dot().seq, birth), Facts { stamp: item.stamp(), cells }))
    })
}

impl Database {
    /// By table, the highest of this file's own writes that are in these batches of a peer as they are here.
    pub fn known_there(&mut self, theirs: &[Batch], now: Millis) -> Result<BTreeMap<String, Seq>, Error> {
        let own = self.replica()?;
        let said: HashMap<Name, Facts> = theirs.iter().flat_map(|batch| facts(batch, own)).collect();
        let mut have: Vectors = self.vectors()?;
        let mut upto: BTreeMap<&str, Seq> = BTreeMap::new();
        for (table, seq, _) in said.keys() {
            let most = upto.entry(table).or_default();
            *most = (*most).max(*seq);
            if let Some(mine) = have.get_mut(table).and_then(|v| v.get_mut(&own)) {
                *mine = Seq(mine.0.min(seq.0.saturating_sub(1)));
            }
        }
        let mut known: BTreeMap<String, Seq> = BTreeMap::new();
        loop {
            let batch = self.extract(&have, Limit::default(), now)?;
            for (name, mine) in facts(&batch, own) {
                if said.get(&name).is_some_and(|theirs| theirs.agree(&mine)) {
                    let most = known.entry(name.0).or_default();
                    *most = (*most).max(name.1);
                }
            }
            let reached = |(table, seq): (&&str, &Seq)| {
                let end = batch.end.get(*table).or(have.get(*table)).and_then(|v| v.get(&own));
                end.is_none_or(|end| end >= seq)
            };
            if batch.last || upto.iter().all(reached) {
                return Ok(known);
            }
            for (table, vector) in &batch.end {
                let have = have.entry(table.clone()).or_default();
                have.extend(vector.iter().map(|(r, seq)| (*r, *seq)));
            }
        }
    }
}

//! One row that differs, column by column.
use super::{Comparison, unknown};
use crate::Result;
use crate::node::Node;
use crate::routes::blocking;
use crate::rows::readable;
use lockstep_engine::compare::{Cell, Kind, RowState};
use lockstep_engine::value::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A value of one side, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It; of a reference the key, on this node, of the row that it names.
    Value(Value),
    /// A reference to a row that is not shown here.
    Elsewhere,
    /// So large that it is known by its hash only.
    Large {
        /// Bytes.
        bytes: u64,
    },
}

impl Shown {
    /// As JSON shows it. A reference to a row that is not shown is null; of a large value only its size is told.
    pub fn readable(&self) -> serde_json::Value {
        match self {
            Shown::Value(value) => readable(value),
            Shown::Elsewhere => serde_json::Value::Null,
            Shown::Large { bytes } => serde_json::json!({ "bytes": bytes }),
        }
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedColumn {
    /// Name.
    pub column: String,
    /// None: the row is not here.
    pub here: Option<Shown>,
    /// None: the row is not there.
    pub there: Option<Shown>,
    /// Does it differ?
    pub changed: bool,
}

impl Node {
    /// What either side says now of a row that the last [`Node::compare`] found to differ, the columns that differ first.
    /// The key is the one here or, of a row that is only there, the one there. Asks the peer.
    pub async fn compared_row(
        self: &Arc<Node>,
        peer: &str,
        (database, table): (&str, &str),
        kind: &str,
        key: &serde_json::Value,
    ) -> Result<Vec<ComparedColumn>> {
        let peer = self.state().peer(peer)?;
        let last = self.last_comparison(peer.node).ok_or_else(|| unknown(&peer.name))?;
        let (birth, how) = named(&last, (database, table), kind, key).ok_or_else(|| unknown(&peer.name))?;
        let (link, _said) = self.ask_standing(&peer).await?;
        let attached = self.state().database(database)?;
        let without = self.state().access(peer.node)?.without(database, table);
        let (here, there) = self.both_sides(&link, (&attached, table, &without), vec![birth]).await?;
        let first = |rows: Vec<RowState>| rows.into_iter().next().filter(|r| r.lives);
        let (here, there) = (first(here.read), first(there.read));
        let (here, there) = match how {
            Kind::OnlyHere => (here, None),
            Kind::OnlyThere => (None, there),
            Kind::Different => (here, there),
        };
        let columns = side_by_side(here.as_ref(), there.as_ref());
        let (node, table) = (self.clone(), table.to_owned());
        blocking(move || {
            node.with_database(&attached, |db| {
                let mut out = Vec::new();
                for (column, here, there) in columns {
                    let changed = match (&here, &there) {
                        (Some(a), Some(b)) => !a.is(b),
                        _ => true,
                    };
                    let mut shown = |cell: Option<Cell>| -> Result<Option<Shown>, crate::engine::Error> {
                        Ok(match cell {
                            None => None,
                            Some(Cell::Large { bytes, .. }) => Some(Shown::Large { bytes }),
                            Some(Cell::Value(v) | Cell::Raw(v)) => Some(Shown::Value(v)),
                            Some(Cell::Row(birth)) => {
                                let local = db.local_reference(&table, &column, birth)?;
                                Some(local.map_or(Shown::Elsewhere, Shown::Value))
                            }
                        })
                    };
                    let (here, there) = (shown(here)?, shown(there)?);
                    out.push(ComparedColumn { column, here, there, changed });
                }
                out.sort_by_key(|c| !c.changed);
                Ok(out)
            })
        })
        .await
    }
}

fn named(
    last: &Comparison,
    (database, table): (&str, &str),
    kind: &str,
    key: &serde_json::Value,
) -> Option<(lockstep_engine::id::Dot, Kind)> {
    let tables = last.tables.iter().filter(|t| t.database == database && t.table == table);
    let own = |r: &&super::ComparedRow| {
        let name = if r.how == Kind::OnlyThere { &r.key_there } else { &r.key };
        r.kind == kind && name == key
    };
    tables.flat_map(|t| &t.rows).find(own).map(|r| (r.birth, r.how))
}

type Columns = Vec<(String, Option<Cell>, Option<Cell>)>;

fn side_by_side(here: Option<&RowState>, there: Option<&RowState>) -> Columns {
    let names: BTreeSet<&String> = here.into_iter().chain(there).flat_map(|r| &r.columns).map(|c| &c.name).collect();
    let of = |row: Option<&RowState>, name: &str| {
        let column = row?.columns.iter().find(|c| c.name == name)?;
        column.cells.first().cloned()
    };
    names.into_iter().map(|name| (name.clone(), of(here, name), of(there, name))).collect()
}

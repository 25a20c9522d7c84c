//! Where the tables of two nodes are not alike: one lacks a table or a column, or the two have said otherwise how a
//! table is synced.
use crate::access::Access;
use lockstep_wire::message::{DatabaseHello, TableHello};
use serde::Serialize;

/// A table that two nodes have differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// `DB.TABLE`
    pub table: String,
    /// `table_missing`, `column_missing`, `config_differs`.
    pub kind: &'static str,
    /// What differs and where, in a sentence without values.
    pub says: String,
}

/// What differs in one database between this node and the one of that name.
pub(crate) fn between(mine: &DatabaseHello, theirs: &DatabaseHello, access: &Access, peer: &str) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let mut add = |table: &str, kind, says: String| {
        found.push(Mismatch { table: format!("{}.{table}", mine.name), kind, says });
    };
    let named = |side: &'_ DatabaseHello, name: &str| side.tables.iter().find(|t| t.name == name).cloned();
    let is_there = |t: &TableHello| t.fingerprint != TableHello::NO_RULES;
    let passes = |name: &str| access.of(&mine.name, name).passes();
    for here in mine.tables.iter().filter(|t| is_there(t) && passes(&t.name)) {
        let name = &here.name;
        let Some(there) = named(theirs, name).filter(is_there) else {
            add(
                name,
                "table_missing",
                format!("{peer} has no such table, or does not sync it; its rows are held there"),
            );
            continue;
        };
        if here.fingerprint != there.fingerprint {
            add(
                name,
                "config_differs",
                format!("{peer} and this server say otherwise how it is synced; it waits until both say the same"),
            );
        }
        let lacks = |side: &TableHello, other: &TableHello| -> Vec<String> {
            let passes =
                |c: &&String| !side.without.contains(c) && !other.without.contains(c) && !other.withheld.contains(c);
            other.columns.iter().filter(passes).filter(|c| !side.columns.contains(c)).cloned().collect()
        };
        for (who, columns) in [("this server", lacks(here, &there)), (peer, lacks(&there, here))] {
            if !columns.is_empty() {
                let columns = columns.join(", ");
                add(
                    name,
                    "column_missing",
                    format!("{who} has no column {columns}; what it holds is kept until it has"),
                );
            }
        }
    }
    let alone = theirs.tables.iter().filter(|t| is_there(t) && passes(&t.name));
    for there in alone.filter(|t| named(mine, &t.name).filter(is_there).is_none()) {
        let says = format!("this server has no such table, or does not sync it; what {peer} has of it is held here");
        add(&there.name, "table_missing", says);
    }
    found
}

//! Where the tables of two nodes are not alike: one lacks a table or a column, or the two have said otherwise how a
//! table is synced.
use crate::Result;
use crate::access::Access;
use crate::identity::NodeId;
use crate::node::Node;
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
    /// This node is the one that lacks it.
    pub here: bool,
}

const KINDS: [&str; 3] = ["table_missing", "column_missing", "config_differs"];

impl Node {
    /// Remembers which tables a peer has differently, as both sides have just said.
    pub(crate) fn notice_unlike(&self, peer: NodeId, mine: &[DatabaseHello], theirs: &[DatabaseHello]) -> Result<()> {
        let (access, Some(known)) = (self.state().access(peer)?, self.state().peer_by_id(peer)?) else {
            return Ok(());
        };
        let mut found = Vec::new();
        for mine in mine {
            let Some(theirs) = theirs.iter().find(|d| d.name == mine.name) else { continue };
            found.extend(between(mine, theirs, &access, &known.name));
        }
        let told: Vec<_> = found.iter().map(|m| (&m.table, m.kind, &m.says, m.here)).collect();
        let told = serde_json::to_string(&told).map_err(|e| damaged(&e))?;
        let key = note(peer);
        match self.state().note(&key)? {
            Some(before) if before == told => Ok(()),
            None if found.is_empty() => Ok(()),
            _ if found.is_empty() => Ok(self.state().forget_note(&key)?),
            _ => Ok(self.state().set_setting(&key, &told)?),
        }
    }

    /// The tables that a peer has differently, as of the last session with it.
    pub fn unlike(&self, peer: NodeId) -> Result<Vec<Mismatch>> {
        let Some(told) = self.state().note(&note(peer))? else { return Ok(Vec::new()) };
        let told: Vec<(String, String, String, bool)> = serde_json::from_str(&told).map_err(|e| damaged(&e))?;
        let one = |(table, kind, says, here): (String, String, String, bool)| {
            let kind = KINDS.into_iter().find(|k| *k == kind)?;
            Some(Mismatch { table, kind, says, here })
        };
        Ok(told.into_iter().filter_map(one).collect())
    }
}

/// Under which name it is noted.
pub(crate) fn note(peer: NodeId) -> String {
    format!("unlike.{peer}")
}

fn damaged(error: &serde_json::Error) -> crate::state::Error {
    crate::state::Error::Damaged { what: format!("what is known of unlike tables: {error}") }
}

/// What differs in one database between this node and the one of that name.
pub(crate) fn between(mine: &DatabaseHello, theirs: &DatabaseHello, access: &Access, peer: &str) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let mut add = |table: &str, kind, here, says: String| {
        found.push(Mismatch { table: format!("{}.{table}", mine.name), kind, says, here });
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
                false,
                format!("{peer} has no such table, or does not sync it; its rows are held there"),
            );
            continue;
        };
        if here.fingerprint != there.fingerprint {
            add(
                name,
                "config_differs",
                false,
                format!("{peer} and this server say otherwise how it is synced; it waits until both say the same"),
            );
        }
        let lacks = |side: &TableHello, other: &TableHello| -> Vec<String> {
            let passes =
                |c: &&String| !side.without.contains(c) && !other.without.contains(c) && !other.withheld.contains(c);
            other.columns.iter().filter(passes).filter(|c| !side.columns.contains(c)).cloned().collect()
        };
        for (is_here, columns) in [(true, lacks(here, &there)), (false, lacks(&there, here))] {
            if !columns.is_empty() {
                let (who, columns) = (if is_here { "this server" } else { peer }, columns.join(", "));
                add(
                    name,
                    "column_missing",
                    is_here,
                    format!("{who} has no column {columns}; what it holds is kept until it has"),
                );
            }
        }
    }
    let alone = theirs.tables.iter().filter(|t| is_there(t) && passes(&t.name));
    for there in alone.filter(|t| named(mine, &t.name).filter(is_there).is_none()) {
        let says = format!("this server has no such table, or does not sync it; what {peer} has of it is held here");
        add(&there.name, "table_missing", true, says);
    }
    found
}

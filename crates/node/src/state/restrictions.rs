//! What a peer lets go one way only, or without some columns, and what is therefore a part here.
use super::{Error, Result, State};
use crate::access::{Access, Columns, Lines, Missing, Restriction};
use crate::identity::NodeId;
use lockstep_wire::message::{DatabaseHello, Way};
use rusqlite::Connection;

fn way_name(way: Way) -> &'static str {
    match way {
        Way::Both => "both",
        Way::Send => "send",
        Way::Receive => "receive",
        Way::None => "none",
    }
}

fn named_way(name: &str) -> Result<Way> {
    [Way::Both, Way::Send, Way::Receive, Way::None]
        .into_iter()
        .find(|w| way_name(*w) == name)
        .ok_or_else(|| Error::Damaged { what: format!("`{name}` is no way") })
}

impl State {
    /// What may pass between this node and a peer, by all that is remembered.
    pub fn access(&self, peer: NodeId) -> Result<Access> {
        let lines = self.lines(peer)?;
        let others = self.peers()?.into_iter().filter(|p| p.node != peer);
        let others = others.map(|p| self.lines(p.node)).collect::<Result<_>>()?;
        Ok(Access::towards(peer, lines, others, self.missing()?))
    }

    /// The same for a node that is not paired yet, by what would be shared with it.
    pub fn access_with(&self, peer: NodeId, lines: Lines) -> Result<Access> {
        let others = self.peers()?.into_iter().filter(|p| p.node != peer);
        let others = others.map(|p| self.lines(p.node)).collect::<Result<_>>()?;
        Ok(Access::towards(peer, lines, others, self.missing()?))
    }

    fn lines(&self, peer: NodeId) -> Result<Lines> {
        Ok(Lines::new(&self.shares(peer)?, self.restrictions(peer)?))
    }

    /// What a peer restricts, as it last said.
    pub fn restrictions(&self, peer: NodeId) -> Result<Vec<Restriction>> {
        let db = self.db();
        let mut st =
            db.prepare_cached("SELECT name, \"table\", way, withheld FROM restriction WHERE node = ?1 ORDER BY 1, 2")?;
        let rows = st
            .query_map([&peer.0[..]], |r| Ok((r.get(0)?, r.get(1)?, r.get::<_, String>(2)?, r.get::<_, String>(3)?)))?;
        rows.map(|row| {
            let (database, table, way, withheld) = row?;
            let withheld: Columns = serde_json::from_str(&withheld)
                .map_err(|e| Error::Damaged { what: format!("a list of columns: {e}") })?;
            Ok(Restriction { database, table, way: named_way(&way)?, withheld })
        })
        .collect()
    }

    fn missing(&self) -> Result<Vec<Missing>> {
        let db = self.db();
        let mut st = db.prepare_cached("SELECT node, name, \"table\", \"column\" FROM missing")?;
        let rows = st.query_map([], |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get(1)?, r.get(2)?, r.get::<_, String>(3)?)))?;
        rows.map(|row| {
            let (node, database, table, column) = row?;
            Ok(Missing { node: NodeId(super::bytes("a node's id", node)?), database, table, column })
        })
        .collect()
    }
}

/// Remembers what a hello restricts of a database that is shared with its sender. `received` says whether a table may
/// come from there.
pub(super) fn put_restrictions(
    db: &Connection,
    node: NodeId,
    hello: &DatabaseHello,
    received: &dyn Fn(&str) -> bool,
) -> Result<()> {
    let json = |columns: &[String]| {
        let columns: Columns = columns.iter().cloned().collect();
        serde_json::to_string(&columns).expect("plain data")
    };
    db.prepare_cached("DELETE FROM restriction WHERE node = ?1 AND name = ?2")?.execute((&node.0[..], &hello.name))?;
    for table in &hello.closed {
        db.prepare_cached(
            "INSERT INTO restriction(node, name, \"table\", way, withheld) VALUES(?1, ?2, ?3, ?4, '[]')",
        )?
        .execute((&node.0[..], &hello.name, table, way_name(Way::None)))?;
    }
    for table in hello.tables.iter().filter(|t| t.way != Way::Both || !t.withheld.is_empty()) {
        let withheld = json(&table.withheld);
        db.prepare_cached("INSERT INTO restriction(node, name, \"table\", way, withheld) VALUES(?1, ?2, ?3, ?4, ?5)")?
            .execute((&node.0[..], &hello.name, &table.name, way_name(table.way), withheld))?;
        if !table.way.sends() || !received(&table.name) {
            continue;
        }
        for column in &table.withheld {
            db.prepare_cached(
                "INSERT OR IGNORE INTO missing(node, name, \"table\", \"column\") VALUES(?1, ?2, ?3, ?4)",
            )?
            .execute((&node.0[..], &hello.name, &table.name, column))?;
        }
    }
    Ok(())
}

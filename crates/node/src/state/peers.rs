//! Paired nodes: who they are, what is shared with them, what they are known to have.
use super::restrictions::put_restrictions;
use super::{Error, Result, State};
use crate::identity::NodeId;
use crate::status::{Direction, Share};
use lockstep_engine::id::{Millis, ReplicaId, Seq, Vector, Vectors};
use lockstep_wire::Hex;
use lockstep_wire::message::{DatabaseHello, TableHello, TableState};
use rusqlite::{Connection, OptionalExtension, Row};

/// A paired node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its id, by which its key is pinned.
    pub node: NodeId,
    /// What this node calls it.
    pub name: String,
    /// `host:port`, if it can be reached.
    pub address: Option<String>,
    /// When it was paired.
    pub paired_at: Millis,
    /// When it was last in contact.
    pub met_at: Option<Millis>,
    /// Was the last attempt at contact a success?
    pub reachable: bool,
    /// Failed runs since the last good one.
    pub failures: u32,
    /// Its clock minus ours, in milliseconds.
    pub clock_offset: Option<i64>,
    /// How much it held.
    pub held: u64,
    /// How its capture was.
    pub capture: String,
    /// When the digests last agreed.
    pub verified_at: Option<Millis>,
}

impl Peer {
    /// One of which nothing is known yet.
    pub(crate) fn new(node: NodeId, name: &str, address: &str, paired_at: Millis) -> Peer {
        Peer {
            node,
            name: name.to_owned(),
            address: Some(address.to_owned()),
            paired_at,
            met_at: None,
            reachable: false,
            failures: 0,
            clock_offset: None,
            held: 0,
            capture: "unknown".to_owned(),
            verified_at: None,
        }
    }
}

/// What a greeting told about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its clock minus ours; none if it was not measured.
    pub clock_offset: Option<i64>,
    /// How much it holds.
    pub held: u64,
    /// How its capture is.
    pub capture: String,
}

const COLUMNS: &str = "node, name, address, paired_at, met_at, reachable, failures, clock_offset, held, capture, \
                       verified_at";

fn read(r: &Row<'_>) -> rusqlite::Result<(Vec<u8>, Peer)> {
    let peer = Peer {
        node: NodeId([0; 32]),
        name: r.get(1)?,
        address: r.get(2)?,
        paired_at: Millis(r.get(3)?),
        met_at: r.get::<_, Option<i64>>(4)?.map(Millis),
        reachable: r.get(5)?,
        failures: r.get(6)?,
        clock_offset: r.get(7)?,
        held: r.get(8)?,
        capture: r.get(9)?,
        verified_at: r.get::<_, Option<i64>>(10)?.map(Millis),
    };
    Ok((r.get(0)?, peer))
}

impl State {
    /// Those that are not retired, by name.
    pub fn peers(&self) -> Result<Vec<Peer>> {
        let db = self.db();
        let mut st =
            db.prepare_cached(&format!("SELECT {COLUMNS} FROM peer WHERE retired_at IS NULL ORDER BY name"))?;
        let rows = st.query_map([], read)?;
        rows.map(|row| {
            let (node, peer) = row?;
            Ok(Peer { node: NodeId(super::bytes("a node's id", node)?), ..peer })
        })
        .collect()
    }

    /// The one of that name, or whose id begins with it.
    pub fn peer(&self, name: &str) -> Result<Peer> {
        let peers = self.peers()?;
        if let Some(exact) = peers.iter().find(|p| p.name == name) {
            return Ok(exact.clone());
        }
        let by_id: Vec<_> = peers.iter().filter(|p| name.len() >= 8 && p.node.to_string().starts_with(name)).collect();
        match by_id[..] {
            [one] => Ok(one.clone()),
            _ => Err(Error::Unknown { what: "peer", name: name.to_owned() }),
        }
    }

    /// The one with that id, unless it is retired.
    pub fn peer_by_id(&self, node: NodeId) -> Result<Option<Peer>> {
        let db = self.db();
        let mut st =
            db.prepare_cached(&format!("SELECT {COLUMNS} FROM peer WHERE node = ?1 AND retired_at IS NULL"))?;
        Ok(st.query_row([&node.0[..]], read).optional()?.map(|(_, peer)| Peer { node, ..peer }))
    }

    /// Is that node paired, and not retired?
    pub fn is_peer(&self, node: NodeId) -> Result<bool> {
        let db = self.db();
        let mut st = db.prepare_cached("SELECT 1 FROM peer WHERE node = ?1 AND retired_at IS NULL")?;
        Ok(st.exists([&node.0[..]])?)
    }

    /// Pairs a node, or pairs it anew: what was known of it stays, name, address and shares are those given now.
    /// A name that is taken gets a number, unless `exact` forbids it. Gives the name.
    pub fn add_peer(
        &self,
        node: NodeId,
        (name, exact): (&str, bool),
        address: Option<&str>,
        shares: &[Share],
        now: Millis,
    ) -> Result<String> {
        self.change(|db| put_peer(db, node, (name, exact), address, shares, now))
    }

    /// Cuts a node off.
    pub fn retire_peer(&self, node: NodeId, now: Millis) -> Result<()> {
        self.change(|db| {
            db.execute("UPDATE peer SET retired_at = ?2 WHERE node = ?1", (&node.0[..], now.0))?;
            db.execute("DELETE FROM acknowledged WHERE node = ?1", [&node.0[..]])?;
            db.execute("DELETE FROM told WHERE node = ?1", [&node.0[..]])?;
            db.execute("DELETE FROM restriction WHERE node = ?1", [&node.0[..]])?;
            db.execute("DELETE FROM heard WHERE node = ?1", [&node.0[..]])?;
            // The invite that it came with does not let it in again.
            db.execute("DELETE FROM invite WHERE used_by = ?1 AND used_at IS NOT NULL", [&node.0[..]])?;
            Ok(())
        })
    }

    /// What is shared with a node; `DB` stands for the tables that no other line names.
    pub fn shares(&self, node: NodeId) -> Result<Vec<Share>> {
        let db = self.db();
        let mut st = db.prepare_cached(
            "SELECT name, \"table\", direction, without FROM share WHERE node = ?1 ORDER BY name, \"table\"",
        )?;
        let rows = st.query_map([&node.0[..]], |r| {
            Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?, r.get::<_, String>(2)?, r.get::<_, String>(3)?))
        })?;
        rows.map(|row| {
            let (name, table, direction, without) = row?;
            let without = serde_json::from_str(&without)
                .map_err(|e| Error::Damaged { what: format!("a list of columns: {e}") })?;
            let direction = Direction::from_name(&direction)
                .ok_or_else(|| Error::Damaged { what: format!("`{direction}` is no direction") })?;
            Ok(Share { what: if table.is_empty() { name } else { format!("{name}.{table}") }, direction, without })
        })
        .collect()
    }

    /// Changes one line of what is shared.
    pub fn set_share(&self, node: NodeId, share: &Share) -> Result<()> {
        self.change(|db| put_share(db, node, share))
    }

    /// All that is shared with a peer was found equal.
    pub fn set_verified(&self, node: NodeId, now: Millis) -> Result<()> {
        self.db().execute("UPDATE peer SET verified_at = ?2 WHERE node = ?1", (&node.0[..], now.0))?;
        Ok(())
    }

    /// A peer did not answer.
    pub fn missed(&self, node: NodeId) -> Result<()> {
        self.db().execute("UPDATE peer SET reachable = 0 WHERE node = ?1", [&node.0[..]])?;
        Ok(())
    }

    /// A peer moved.
    pub fn set_address(&self, node: NodeId, address: &str) -> Result<()> {
        self.db()
            .execute("UPDATE peer SET address = ?2 WHERE node = ?1 AND address IS NOT ?2", (&node.0[..], address))?;
        Ok(())
    }

    /// What a peer is known to have of a database.
    pub fn acknowledged(&self, node: NodeId, database: &str) -> Result<Vectors> {
        let db = self.db();
        let mut st =
            db.prepare_cached("SELECT \"table\", replica, seq FROM acknowledged WHERE node = ?1 AND name = ?2")?;
        let rows = st.query_map((&node.0[..], database), |r| {
            Ok((r.get::<_, String>(0)?, r.get::<_, Vec<u8>>(1)?, r.get::<_, u64>(2)?))
        })?;
        let mut vectors = Vectors::new();
        for row in rows {
            let (table, replica, seq) = row?;
            let replica = ReplicaId(super::bytes("a replica id", replica)?);
            vectors.entry(table).or_default().insert(replica, Seq(seq));
        }
        Ok(vectors)
    }

    /// Remembers where the tables of a peer stand, as it said.
    pub fn told(&self, node: NodeId, database: &str, states: &[TableState], now: Millis) -> Result<()> {
        self.change(|db| put_told(db, node, database, states, now))
    }

    /// Remembers all that a hello says of these databases.
    pub(crate) fn greeted(
        &self,
        node: NodeId,
        contact: &Contact,
        databases: &[&DatabaseHello],
        now: Millis,
    ) -> Result<()> {
        let access = self.access(node)?;
        self.change(|db| {
            db.execute(
                "UPDATE peer SET met_at = ?2, reachable = 1, clock_offset = coalesce(?3, clock_offset), held = ?4,
                   capture = ?5 WHERE node = ?1",
                (&node.0[..], now.0, contact.clock_offset, contact.held, &contact.capture),
            )?;
            databases.iter().try_for_each(|database| {
                put_told(db, node, &database.name, &states(database), now)?;
                for table in &database.closed {
                    db.prepare_cached("DELETE FROM told WHERE node = ?1 AND name = ?2 AND \"table\" = ?3")?
                        .execute((&node.0[..], &database.name, table))?;
                }
                let received = |table: &str| access.of(&database.name, table).receives();
                put_restrictions(db, node, database, &received)
            })
        })
    }

    /// Where the tables of a peer stood when it last said so, and when that was.
    pub fn last_told(&self, node: NodeId, database: &str) -> Result<Vec<(TableState, Millis)>> {
        let db = self.db();
        let mut st = db.prepare_cached(
            "SELECT \"table\", vector, digest, rows, told_at FROM told WHERE node = ?1 AND name = ?2",
        )?;
        let rows = st.query_map((&node.0[..], database), |r| {
            Ok((r.get(0)?, r.get::<_, String>(1)?, r.get::<_, Vec<u8>>(2)?, r.get(3)?, Millis(r.get(4)?)))
        })?;
        rows.map(|row| {
            let (name, vector, digest, rows, at) = row?;
            let vector =
                serde_json::from_str(&vector).map_err(|e| Error::Damaged { what: format!("a vector: {e}") })?;
            let digest = Hex(super::bytes("a digest", digest)?);
            Ok((TableState { name, vector, rows, digest, under_way: false }, at))
        })
        .collect()
    }

    /// Remembers whose a replica is. The first that says so is believed. Was it unknown before?
    pub fn add_replica(&self, replica: ReplicaId, node: NodeId) -> Result<bool> {
        let db = self.db();
        let mut st = db.prepare_cached("INSERT OR IGNORE INTO replica(replica, node) VALUES(?1, ?2)")?;
        Ok(st.execute((&replica.0[..], &node.0[..]))? > 0)
    }

    /// Whose replicas are whose.
    pub fn replicas(&self) -> Result<Vec<(ReplicaId, NodeId)>> {
        let db = self.db();
        let mut st = db.prepare_cached("SELECT replica, node FROM replica")?;
        let rows = st.query_map([], |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, Vec<u8>>(1)?)))?;
        rows.map(|row| {
            let (replica, node) = row?;
            Ok((ReplicaId(super::bytes("a replica id", replica)?), NodeId(super::bytes("a node's id", node)?)))
        })
        .collect()
    }

    /// Remembers what a peer said it has. Said after its commit, so it never shrinks.
    pub fn acknowledge(&self, node: NodeId, database: &str, has: &Vectors) -> Result<()> {
        self.change(|db| put_acknowledged(db, node, database, has.iter()))
    }
}

fn states(hello: &DatabaseHello) -> Vec<TableState> {
    let state = |t: &TableHello| TableState {
        name: t.name.clone(),
        vector: t.vector.clone(),
        rows: t.rows.min(i64::MAX.unsigned_abs()),
        digest: t.digest,
        under_way: t.under_way,
    };
    hello.tables.iter().map(state).collect()
}

fn put_told(db: &Connection, node: NodeId, database: &str, states: &[TableState], now: Millis) -> Result<()> {
    put_acknowledged(db, node, database, states.iter().map(|t| (&t.name, &t.vector)))?;
    let mut st = db.prepare_cached(
        "INSERT OR REPLACE INTO told(node, name, \"table\", vector, digest, rows, told_at)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    // A digest that says nothing is not kept.
    for state in states.iter().filter(|t| !t.under_way) {
        let vector = serde_json::to_string(&state.vector).expect("plain data");
        let digest = &state.digest.0[..];
        st.execute((&node.0[..], database, &state.name, &vector, digest, state.rows, now.0))?;
    }
    Ok(())
}

fn put_acknowledged<'a>(
    db: &Connection,
    node: NodeId,
    database: &str,
    has: impl Iterator<Item = (&'a String, &'a Vector)>,
) -> Result<()> {
    let mut st = db.prepare_cached(
        "INSERT INTO acknowledged(node, name, \"table\", replica, seq) VALUES(?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq",
    )?;
    for (table, vector) in has {
        for (replica, seq) in vector {
            let seq = i64::try_from(seq.0).map_err(|_| Error::Damaged { what: "a seq beyond 2^63".into() })?;
            st.execute((&node.0[..], database, table, &replica.0[..], seq))?;
        }
    }
    Ok(())
}

pub(super) fn put_peer(
    db: &Connection,
    node: NodeId,
    (name, exact): (&str, bool),
    address: Option<&str>,
    shares: &[Share],
    now: Millis,
) -> Result<String> {
    let name = free_name(db, node, name, exact)?;
    db.execute(
        "INSERT INTO peer(node, name, address, paired_at) VALUES(?1, ?2, ?3, ?4)
         ON CONFLICT(node) DO UPDATE SET name = excluded.name, address = coalesce(excluded.address, address),
           paired_at = excluded.paired_at, retired_at = NULL, failures = 0",
        (&node.0[..], &name, address, now.0),
    )?;
    db.execute("DELETE FROM share WHERE node = ?1", [&node.0[..]])?;
    shares.iter().try_for_each(|s| put_share(db, node, s))?;
    Ok(name)
}

fn put_share(db: &Connection, node: NodeId, share: &Share) -> Result<()> {
    let (name, table) = share.what.split_once('.').unwrap_or((&share.what, ""));
    db.execute(
        "INSERT OR REPLACE INTO share(node, name, \"table\", direction, without) VALUES(?1, ?2, ?3, ?4, ?5)",
        (&node.0[..], name, table, share.direction.name(), serde_json::to_string(&share.without).expect("plain data")),
    )?;
    Ok(())
}

fn free_name(db: &Connection, node: NodeId, wanted: &str, exact: bool) -> Result<String> {
    let taken = |name: &str| {
        db.query_row(
            "SELECT 1 FROM peer WHERE name = ?1 AND node <> ?2 AND retired_at IS NULL
             UNION ALL SELECT 1 FROM setting WHERE key = 'name' AND value = ?1",
            (name, &node.0[..]),
            |_| Ok(()),
        )
        .optional()
    };
    if taken(wanted)?.is_none() {
        return Ok(wanted.to_owned());
    }
    if exact {
        return Err(Error::NameTaken { what: "peer", name: wanted.to_owned() });
    }
    for n in 2.. {
        let name = format!("{wanted}-{n}");
        if taken(&name)?.is_none() {
            return Ok(name);
        }
    }
    unreachable!("some number is free")
}

#[cfg(test)]
mod tests {
    use super::super::tests::fresh;
    use super::*;

    #[test]
    fn names_stay_apart_and_a_retired_node_is_gone() {
        let (_dir, _home, state) = fresh();
        let (a, b) = (NodeId([1; 32]), NodeId([2; 32]));
        let all = [Share::whole("users")];
        assert_eq!(state.add_peer(a, ("pit", false), Some("h:1"), &all, Millis(1)).unwrap(), "pit");
        assert_eq!(state.add_peer(b, ("pit", false), None, &[], Millis(1)).unwrap(), "pit-2");
        // Nor does a peer get the name of this node.
        state.set_setting("name", "hq").unwrap();
        let c = NodeId([3; 32]);
        assert_eq!(state.add_peer(c, ("hq", false), None, &[], Millis(1)).unwrap(), "hq-2");
        assert!(matches!(state.add_peer(b, ("pit", true), None, &[], Millis(1)), Err(Error::NameTaken { .. })));
        assert_eq!(state.peer("pit").unwrap().node, a);
        assert_eq!(state.peer("02020202").unwrap().node, b);
        assert_eq!(state.shares(a).unwrap(), all);
        assert!(state.is_peer(a).unwrap());
        state.retire_peer(a, Millis(2)).unwrap();
        assert!(!state.is_peer(a).unwrap());
        assert!(matches!(state.peer("pit"), Err(Error::Unknown { .. })));
        assert_eq!(state.add_peer(a, ("pit", true), None, &all, Millis(3)).unwrap(), "pit");
    }

    #[test]
    fn what_a_peer_has_never_shrinks() {
        let (_dir, _home, state) = fresh();
        let a = NodeId([1; 32]);
        state.add_peer(a, ("a", false), None, &[], Millis(1)).unwrap();
        let has = |seq| Vectors::from([("t".into(), [(ReplicaId([9; 16]), Seq(seq))].into())]);
        state.acknowledge(a, "users", &has(5)).unwrap();
        state.acknowledge(a, "users", &has(3)).unwrap();
        assert_eq!(state.acknowledged(a, "users").unwrap(), has(5));
        assert_eq!(state.acknowledged(a, "other").unwrap(), Vectors::new());
    }
}

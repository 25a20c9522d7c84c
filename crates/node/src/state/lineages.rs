//! The histories of files: of this node's, and of its peers' as far as they have said.
//!
//! Always true here: a new incarnation is written down before its file begins it, so that one that was interrupted is
//! taken up again and not taken for another break.
use super::{Error, Result, State, bytes};
use crate::identity::NodeId;
use lockstep_engine::id::{Millis, ReplicaId};
use lockstep_engine::lineage::Mark;
use rusqlite::{Connection, OptionalExtension, Row};
use std::path::PathBuf;

/// How a history broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakKind {
    /// The file is an older state of itself.
    Restored,
    /// The file comes from another node, or the whole machine is a copy.
    Copied,
}

impl BreakKind {
    /// `restored` or `copied`
    pub fn name(self) -> &'static str {
        match self {
            BreakKind::Restored => "restored",
            BreakKind::Copied => "copied",
        }
    }
}

/// A break that nobody has said the meaning of yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// What happened to the file.
    pub kind: BreakKind,
    /// When that was noticed.
    pub at: Millis,
    /// The file as it was then, set aside.
    pub copy: Option<PathBuf>,
}

/// What this node remembers of the history of one of its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The incarnation that the file is, or is about to begin. None: it was never looked at.
    pub replica: Option<ReplicaId>,
    /// Its latest mark. None: the incarnation has just begun, or is about to.
    pub mark: Option<Mark>,
    /// The last break, if a person has not dealt with it.
    pub broke: Option<Break>,
}

fn mark(seq: Option<u64>, mark: Option<Vec<u8>>) -> Result<Option<Mark>> {
    match (seq, mark) {
        (Some(seq), Some(mark)) => Ok(Some(Mark { seq, mark: bytes("a mark", mark)? })),
        (None, _) | (_, None) => Ok(None),
    }
}

type Columns = (Option<Vec<u8>>, Option<u64>, Option<Vec<u8>>, Option<String>, Option<i64>, Option<String>);

fn columns(r: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?))
}

impl State {
    /// What is remembered of a database's file.
    pub fn lineage(&self, name: &str) -> Result<Remembered> {
        let db = self.db();
        let mut st = db.prepare_cached(
            "SELECT replica, mark_seq, mark, broke, broke_at, broke_copy FROM attached WHERE name = ?1",
        )?;
        let Some((replica, seq, value, broke, at, copy)) = st.query_row([name], columns).optional()? else {
            return Ok(Remembered::default());
        };
        let kind = match broke.as_deref() {
            None => None,
            Some("restored") => Some(BreakKind::Restored),
            Some("copied") => Some(BreakKind::Copied),
            Some(other) => return Err(Error::Damaged { what: format!("`{other}` is no break of a history") }),
        };
        Ok(Remembered {
            replica: replica.map(|r| bytes("a replica id", r).map(ReplicaId)).transpose()?,
            mark: mark(seq, value)?,
            broke: kind.map(|kind| Break { kind, at: Millis(at.unwrap_or(0)), copy: copy.map(PathBuf::from) }),
        })
    }

    /// Remembers where a file stands, after it has committed.
    pub fn remember(&self, name: &str, replica: ReplicaId, mark: Mark) -> Result<()> {
        self.db().execute(
            "UPDATE attached SET replica = ?2, mark_seq = ?3, mark = ?4 WHERE name = ?1",
            (name, &replica.0[..], mark.seq, &mark.mark[..]),
        )?;
        Ok(())
    }

    /// Says that a file is about to begin a new incarnation, and why. No reason: a person has dealt with it already.
    pub fn begin_incarnation(&self, name: &str, new: ReplicaId, why: Option<&Break>) -> Result<()> {
        let copy = why.and_then(|b| b.copy.as_ref()).map(|c| c.display().to_string());
        let (kind, at) = (why.map(|b| b.kind.name()), why.map(|b| b.at.0));
        self.db().execute(
            "UPDATE attached SET replica = ?2, mark_seq = NULL, mark = NULL, broke = ?3, broke_at = ?4, broke_copy = ?5
             WHERE name = ?1",
            (name, &new.0[..], kind, at, copy),
        )?;
        Ok(())
    }

    /// Forgets the history of a file that is not the one that was remembered.
    pub fn forget_lineage(&self, name: &str) -> Result<()> {
        self.db().execute(
            "UPDATE attached SET replica = NULL, mark_seq = NULL, mark = NULL, broke = NULL, broke_at = NULL,
               broke_copy = NULL WHERE name = ?1",
            [name],
        )?;
        Ok(())
    }

    /// A person has dealt with a break.
    pub fn settle_break(&self, name: &str) -> Result<()> {
        self.db()
            .execute("UPDATE attached SET broke = NULL, broke_at = NULL, broke_copy = NULL WHERE name = ?1", [name])?;
        Ok(())
    }

    /// What a peer last said of the history of its file.
    pub fn heard(&self, node: NodeId, name: &str) -> Result<Option<(ReplicaId, Mark)>> {
        let db = self.db();
        let mut st = db.prepare_cached("SELECT replica, mark_seq, mark FROM heard WHERE node = ?1 AND name = ?2")?;
        let row = st
            .query_row((&node.0[..], name), |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get(1)?, r.get::<_, Vec<u8>>(2)?)))
            .optional()?;
        let Some((replica, seq, value)) = row else { return Ok(None) };
        let mark = Mark { seq, mark: bytes("a mark", value)? };
        Ok(Some((ReplicaId(bytes("a replica id", replica)?), mark)))
    }

    /// Remembers it. What an earlier incarnation was known to have, a new one need not have.
    pub fn hear(&self, node: NodeId, name: &str, replica: ReplicaId, mark: Mark) -> Result<()> {
        self.change(|db| {
            let anew = |db: &Connection| {
                db.query_row(
                    "SELECT EXISTS (SELECT 1 FROM heard WHERE node = ?1 AND name = ?2 AND replica <> ?3)",
                    (&node.0[..], name, &replica.0[..]),
                    |r| r.get::<_, bool>(0),
                )
            };
            if anew(db)? {
                db.execute("DELETE FROM acknowledged WHERE node = ?1 AND name = ?2", (&node.0[..], name))?;
            }
            db.execute(
                "INSERT OR REPLACE INTO heard(node, name, replica, mark_seq, mark) VALUES(?1, ?2, ?3, ?4, ?5)",
                (&node.0[..], name, &replica.0[..], mark.seq, &mark.mark[..]),
            )?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::AttachedDatabase;
    use super::super::tests::fresh;
    use super::*;
    use lockstep_engine::id::{Seq, Vectors};

    const FIRST: ReplicaId = ReplicaId([1; 16]);
    const SECOND: ReplicaId = ReplicaId([2; 16]);

    fn at(seq: u64) -> Mark {
        Mark { seq, mark: [9; 16] }
    }

    #[test]
    fn a_new_incarnation_is_remembered_before_it_has_a_mark() {
        let (_dir, _home, state) = fresh();
        let database = AttachedDatabase { name: "users".into(), file: "/a".into(), config: Default::default() };
        state.add_database(&database, Millis(1)).unwrap();
        assert_eq!(state.lineage("users").unwrap(), Remembered::default());
        state.remember("users", FIRST, at(3)).unwrap();
        assert_eq!(state.lineage("users").unwrap().mark, Some(at(3)));
        let broke = Break { kind: BreakKind::Restored, at: Millis(7), copy: Some("/copy".into()) };
        state.begin_incarnation("users", SECOND, Some(&broke)).unwrap();
        let expected = Remembered { replica: Some(SECOND), mark: None, broke: Some(broke.clone()) };
        assert_eq!(state.lineage("users").unwrap(), expected);
        state.remember("users", SECOND, at(4)).unwrap();
        assert_eq!(state.lineage("users").unwrap().broke, Some(broke), "until a person has dealt with it");
        state.settle_break("users").unwrap();
        assert_eq!(state.lineage("users").unwrap().broke, None);
    }

    #[test]
    fn what_a_new_incarnation_of_a_peer_has_is_not_known() {
        let (_dir, _home, state) = fresh();
        let a = NodeId([1; 32]);
        state.add_peer(a, ("a", false), None, &[], Millis(1)).unwrap();
        let has = Vectors::from([("t".into(), [(FIRST, Seq(5))].into())]);
        state.hear(a, "users", FIRST, at(1)).unwrap();
        state.acknowledge(a, "users", &has).unwrap();
        state.hear(a, "users", FIRST, at(2)).unwrap();
        assert_eq!(state.acknowledged(a, "users").unwrap(), has);
        state.hear(a, "users", SECOND, at(3)).unwrap();
        assert_eq!(state.acknowledged(a, "users").unwrap(), Vectors::new());
        assert_eq!(state.heard(a, "users").unwrap(), Some((SECOND, at(3))));
        assert_eq!(state.heard(a, "other").unwrap(), None);
    }
}

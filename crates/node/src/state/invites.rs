//! Open invites. Each is good for one node and for a few minutes.
use super::{Result, State};
use crate::identity::NodeId;
use crate::status::Share;
use lockstep_engine::id::Millis;

/// How long after the end of its invite a node that joined may take to confirm: a person looks at the preview meanwhile.
const CONFIRM: i64 = 3_600_000;

/// Where it is remembered until when a node that joined has to confirm.
fn joining(node: impl std::fmt::Display) -> String {
    format!("joining.{node}")
}

/// An invite that can be used.
#[derive(Clone)]
pub struct OpenInvite {
    /// Its number here.
    pub id: i64,
    /// What the invited node has to know.
    pub secret: [u8; 16],
    /// What will be shared with it; empty: all that is attached.
    pub share: Vec<Share>,
}

impl State {
    /// Remembers an invite.
    pub fn add_invite(&self, secret: [u8; 16], share: &[Share], now: Millis, expires: Millis) -> Result<()> {
        let share = serde_json::to_string(share).expect("plain data");
        self.change(|db| {
            // Nothing is left of an old secret.
            db.execute("DELETE FROM invite WHERE expires_at < ?1", [now.0])?;
            db.execute(
                "INSERT INTO invite(secret, made_at, expires_at, share) VALUES(?1, ?2, ?3, ?4)",
                (&secret[..], now.0, expires.0, &share),
            )?;
            Ok(())
        })
    }

    /// Does any invite wait for that node? One with which a node has looked waits for that node alone.
    pub fn invites_open(&self, node: NodeId, now: Millis) -> Result<bool> {
        let db = self.db();
        let mut st = db.prepare_cached(
            "SELECT 1 FROM invite WHERE used_at IS NULL AND (used_by IS NULL OR used_by = ?2) AND expires_at > ?1",
        )?;
        Ok(st.exists((now.0, &node.0[..]))?)
    }

    /// Those that a node may still use: open ones, and the one that it has used itself, should it ask again.
    pub fn invites_for(&self, node: NodeId, now: Millis) -> Result<Vec<OpenInvite>> {
        let db = self.db();
        let mut st = db.prepare_cached(
            "SELECT id, secret, share FROM invite WHERE (used_by IS NULL OR used_by = ?2) AND expires_at > ?1",
        )?;
        let rows = st.query_map((now.0, &node.0[..]), |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?, r.get::<_, String>(2)?))
        })?;
        rows.map(|row| {
            let (id, secret, share) = row?;
            let share = serde_json::from_str(&share)
                .map_err(|e| super::Error::Damaged { what: format!("an invite's shares: {e}") })?;
            Ok(OpenInvite { id, secret: super::bytes("an invite's secret", secret)?, share })
        })
        .collect()
    }

    /// Uses an invite up and pairs the node, both or neither. Gives the name that the node got; None: another was
    /// faster, or the invite has expired.
    pub fn accept(
        &self,
        invite: i64,
        node: NodeId,
        name: &str,
        shares: &[Share],
        now: Millis,
    ) -> Result<Option<String>> {
        self.change(|db| {
            let used = db.execute(
                "UPDATE invite SET used_at = ?3, used_by = ?2
                 WHERE id = ?1 AND (used_by IS NULL OR used_by = ?2) AND expires_at > ?3",
                (invite, &node.0[..], now.0),
            )?;
            if used == 0 {
                return Ok(None);
            }
            // One that was paired before stays so.
            let paired =
                db.query_row("SELECT count(*) FROM peer WHERE node = ?1 AND retired_at IS NULL", [&node.0[..]], |r| {
                    r.get::<_, bool>(0)
                })?;
            if !paired {
                db.execute(
                    "INSERT OR REPLACE INTO setting(key, value) SELECT ?2, expires_at + ?3 FROM invite WHERE id = ?1",
                    (invite, joining(node), CONFIRM),
                )?;
            }
            super::peers::put_peer(db, node, (name, false), None, shares, now).map(Some)
        })
    }

    /// A node that joined begins to sync, so its person has agreed.
    pub(crate) fn confirmed(&self, node: NodeId) -> Result<()> {
        match self.note(&joining(node))? {
            Some(_) => self.forget_note(&joining(node)),
            None => Ok(()),
        }
    }

    /// Takes back the pairings that nobody confirmed in time: the question was never answered there. Gives the nodes.
    pub fn take_back_unconfirmed(&self, now: Millis) -> Result<Vec<String>> {
        let waiting = self.peers()?;
        let mut gone = Vec::new();
        for peer in waiting {
            let until = self.note(&joining(peer.node))?.and_then(|at| at.parse::<i64>().ok());
            if until.is_some_and(|until| until < now.0) {
                self.retire_peer(peer.node, now)?;
                self.forget_note(&joining(peer.node))?;
                gone.push(peer.name);
            }
        }
        Ok(gone)
    }

    /// A node only looked: it is no peer, and may use its invite still. Nobody else may.
    pub fn take_back(&self, node: NodeId, now: Millis) -> Result<()> {
        self.db().execute("UPDATE invite SET used_at = NULL WHERE used_by = ?1", [&node.0[..]])?;
        self.retire_peer(node, now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fresh;
    use super::*;

    #[test]
    fn an_invite_is_good_once_and_for_its_time() {
        let (_dir, _home, state) = fresh();
        state.add_invite([7; 16], &[], Millis(0), Millis(100)).unwrap();
        let (one, two) = (NodeId([1; 32]), NodeId([2; 32]));
        let open = |node, at| state.invites_open(node, Millis(at)).unwrap();
        assert!(open(one, 99) && open(two, 99) && !open(one, 100));
        let id = state.invites_for(one, Millis(50)).unwrap()[0].id;
        let accept = |node, at| state.accept(id, node, "pit", &[], Millis(at)).unwrap();
        assert_eq!(accept(one, 100), None, "too late");
        assert_eq!(accept(one, 50), Some("pit".to_owned()));
        assert_eq!(accept(two, 51), None, "used by another");
        assert!(!state.is_peer(two).unwrap());
        assert_eq!(accept(one, 52), Some("pit".to_owned()), "asked again");
        assert_eq!(state.invites_for(two, Millis(52)).unwrap().len(), 0);
        assert!(!open(one, 52) && !open(two, 52));
        assert!(state.take_back_unconfirmed(Millis(100 + CONFIRM)).unwrap().is_empty(), "there is time left");
        // Who only looked may come back, and nobody in its place.
        state.take_back(one, Millis(53)).unwrap();
        assert!(!state.is_peer(one).unwrap() && open(one, 54) && !open(two, 54));
        assert_eq!((accept(two, 54), accept(one, 54)), (None, Some("pit".to_owned())));
        // Who was retired may not.
        state.retire_peer(one, Millis(55)).unwrap();
        assert!(state.invites_for(one, Millis(55)).unwrap().is_empty());
        assert_eq!(accept(one, 55), None);
    }

    #[test]
    fn a_pairing_that_nobody_confirms_is_taken_back_when_its_time_is_over() {
        let (_dir, _home, state) = fresh();
        let (one, two) = (NodeId([1; 32]), NodeId([2; 32]));
        for (i, node) in [one, two].into_iter().enumerate() {
            state.add_invite([i as u8; 16], &[], Millis(0), Millis(100)).unwrap();
            let id = state.invites_for(node, Millis(50)).unwrap().pop().unwrap().id;
            assert!(state.accept(id, node, "pit", &[], Millis(50)).unwrap().is_some());
        }
        state.confirmed(two).unwrap();
        assert_eq!(state.take_back_unconfirmed(Millis(101 + CONFIRM)).unwrap(), ["pit"]);
        assert!(!state.is_peer(one).unwrap() && state.is_peer(two).unwrap());
        // One that was paired before stays so, whatever comes of another invite.
        state.add_invite([9; 16], &[], Millis(0), Millis(100)).unwrap();
        let id = state.invites_for(two, Millis(50)).unwrap().iter().map(|i| i.id).max().unwrap();
        state.accept(id, two, "pit", &[], Millis(60)).unwrap();
        assert!(state.take_back_unconfirmed(Millis(i64::MAX)).unwrap().is_empty());
    }
}

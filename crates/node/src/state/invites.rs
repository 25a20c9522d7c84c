//! Open invites. Each is good for one node and for a few minutes.
use super::{Result, State};
use crate::identity::NodeId;
use crate::status::Share;
use lockstep_engine::id::Millis;

/// An invite that has not been used and has not expired.
#[derive(Clone)]
pub struct OpenInvite {
    /// Its number here.
    pub id: i64,
    /// What the invited node has to know.
    pub secret: [u8; 16],
    /// What will be shared with it; empty: all that is attached.
    pub share: Vec<Share>,
}

/// What became of an attempt to use an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteUse {
    /// It is used now, by this node.
    Taken,
    /// Another was faster, or it has expired.
    Gone,
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

    /// Does any invite wait for a node?
    pub fn invites_open(&self, now: Millis) -> Result<bool> {
        let db = self.db();
        let mut st = db.prepare_cached("SELECT 1 FROM invite WHERE used_at IS NULL AND expires_at > ?1")?;
        Ok(st.exists([now.0])?)
    }

    /// Those that do.
    pub fn open_invites(&self, now: Millis) -> Result<Vec<OpenInvite>> {
        let db = self.db();
        let mut st =
            db.prepare_cached("SELECT id, secret, share FROM invite WHERE used_at IS NULL AND expires_at > ?1")?;
        let rows =
            st.query_map([now.0], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?, r.get::<_, String>(2)?)))?;
        rows.map(|row| {
            let (id, secret, share) = row?;
            let share = serde_json::from_str(&share)
                .map_err(|e| super::Error::Damaged { what: format!("an invite's shares: {e}") })?;
            Ok(OpenInvite { id, secret: super::bytes("an invite's secret", secret)?, share })
        })
        .collect()
    }

    /// Uses an invite up, if it still can be.
    pub fn use_invite(&self, id: i64, by: NodeId, now: Millis) -> Result<InviteUse> {
        let used = self.db().execute(
            "UPDATE invite SET used_at = ?3, used_by = ?2 WHERE id = ?1 AND used_at IS NULL AND expires_at > ?3",
            (id, &by.0[..], now.0),
        )?;
        Ok(if used == 1 { InviteUse::Taken } else { InviteUse::Gone })
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
        assert!(state.invites_open(Millis(99)).unwrap());
        assert!(!state.invites_open(Millis(100)).unwrap());
        let id = state.open_invites(Millis(50)).unwrap()[0].id;
        assert_eq!(state.use_invite(id, NodeId([1; 32]), Millis(100)).unwrap(), InviteUse::Gone);
        assert_eq!(state.use_invite(id, NodeId([1; 32]), Millis(50)).unwrap(), InviteUse::Taken);
        assert_eq!(state.use_invite(id, NodeId([2; 32]), Millis(51)).unwrap(), InviteUse::Gone);
        assert!(!state.invites_open(Millis(51)).unwrap());
    }
}

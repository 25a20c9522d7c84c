//! Pairing and its end: invites, joining, retiring.
use crate::call::Link;
use crate::contact::Origin;
use crate::identity::NodeId;
use crate::invite::{Invite, Secret, Side};
use crate::message::{Join, Joined, Message};
use crate::node::{Node, timestamp};
use crate::state::{AttachedDatabase, Peer};
use crate::status::Share;
use crate::{Error, Result};
use jiff::Timestamp;
use lockstep_engine::id::Millis;
use std::time::Duration;

/// The most bytes of an answer to `join`.
const ANSWER: usize = 64 << 10;
/// For one request of a pairing.
const REQUEST: Duration = Duration::from_secs(20);
/// The longest name of a node or a database.
const NAME: usize = 100;

/// An invite and how long it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// To be carried to the other node.
    pub invite: Invite,
    /// Until when.
    pub expires_at: Timestamp,
    /// What is shared with the node that uses it.
    pub share: Vec<Share>,
}

/// A node that was joined, before that is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    /// The node.
    pub peer: Peer,
    /// Was its name chosen by a person?
    exact: bool,
    /// What would be shared.
    pub shares: Vec<Share>,
    /// How the files of the two began, if somebody said.
    pub origin: Option<Origin>,
}

/// What a person says of a pairing, besides the invite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What to call the other node; none: what it calls itself.
    pub name: Option<String>,
    /// Share this only: `DB` or `DB.TABLE`. Empty: all that the invite shares.
    pub share: Vec<String>,
    /// Columns that never leave: `DB.TABLE.COLUMN`.
    pub without: Vec<String>,
    /// How the files of the two began.
    pub origin: Option<Origin>,
}

/// Why two nodes were not paired.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The secret is wrong, used up or too old.
    #[error("this invite is not good (any more)")]
    NotInvited,
    /// The other side could not prove that it made the invite.
    #[error("the node at {address} did not prove that it made this invite")]
    NotProved {
        /// Where.
        address: String,
    },
    /// A node was invited by itself.
    #[error("this invite was made by this very node")]
    Myself,
    /// The two want to share nothing in common.
    #[error("nothing would be shared")]
    NothingShared,
    /// A name that would spoil a terminal or a table.
    #[error("a name has 1 to {NAME} characters, none of them a control character or a slash")]
    BadName,
    /// An address that is none.
    #[error("`{address}` is not an address of the form host:port")]
    BadAddress {
        /// What was given.
        address: String,
    },
}

impl PairError {
    /// Stable, for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            PairError::NotInvited => "not_invited",
            PairError::NotProved { .. } => "not_proved",
            PairError::Myself => "invited_by_itself",
            PairError::NothingShared => "nothing_shared",
            PairError::BadName => "bad_name",
            PairError::BadAddress { .. } => "bad_address",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            PairError::NotInvited => Some("make a new one with `lockstep invite`; each is good once, for ten minutes"),
            PairError::NotProved { .. } => {
                Some("someone may stand in between; make a new invite and look at the address")
            }
            PairError::Myself => Some("run `lockstep pair` on the other node"),
            PairError::NothingShared => {
                Some("attach the databases on the node that invites, or name others with --share")
            }
            PairError::BadName => Some("choose a plain one, for example hq"),
            PairError::BadAddress { .. } => Some("for example hq.example:7467"),
        }
    }
}

/// Is this fit to be shown and stored as a name?
pub(crate) fn good_name(name: &str) -> bool {
    let n = name.chars().count();
    (1..=NAME).contains(&n) && name.trim() == name && !name.chars().any(|c| c.is_control() || c == '/' || c == '\\')
}

/// Is this `host:port`?
pub(crate) fn good_address(address: &str) -> bool {
    address.len() <= 255
        && address
            .parse::<axum::http::uri::Authority>()
            .is_ok_and(|a| a.port_u16().is_some_and(|p| p != 0) && !a.host().is_empty() && !address.contains('@'))
}

/// What both want: each line of one that the other covers.
fn narrowed(offered: &[Share], wanted: &[Share]) -> Vec<Share> {
    let database = |s: &Share| s.what.split('.').next().unwrap_or(&s.what).to_owned();
    let covers = |wide: &Share, narrow: &Share| wide.what == narrow.what || wide.what == database(narrow);
    let mut both: Vec<Share> = offered.iter().filter(|o| wanted.iter().any(|w| covers(w, o))).cloned().collect();
    let more: Vec<_> = wanted
        .iter()
        .filter(|w| offered.iter().any(|o| covers(o, w)) && !both.iter().any(|b| b.what == w.what))
        .map(|w| Share::whole(w.what.clone()))
        .collect();
    both.extend(more);
    both
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    // A text that is no hex proves nothing, which is what an empty proof does.
    text.parse::<NodeId>().map(|NodeId(b)| b.to_vec()).unwrap_or_default()
}

impl Node {
    /// Makes an invite. With nothing named, all that is attached is shared.
    /// Columns in `without`, named `DB.TABLE.COLUMN`, never leave.
    pub fn invite(&self, lasts: Duration, share: &[String], without: &[String]) -> Result<Invitation> {
        let attached = self.state().databases()?;
        let mut share: Vec<Share> = if share.is_empty() {
            attached.iter().map(|d| Share::whole(d.name.clone())).collect()
        } else {
            share.iter().try_for_each(|what| self.check_named(what))?;
            share.iter().map(|what| Share::whole(what.clone())).collect()
        };
        if share.is_empty() {
            return Err(PairError::NothingShared.into());
        }
        self.withhold(&mut share, without)?;
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|source| Error::Random { source })?;
        let now = self.now();
        let expires = Millis(now.0.saturating_add(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX)));
        self.state().add_invite(secret, &share, now, expires)?;
        let invite = Invite { address: self.invited_to()?, node: self.id(), secret: Secret(secret) };
        Ok(Invitation { invite, expires_at: timestamp(expires), share })
    }

    /// Joins the node that made the invite. It knows this node then; here nothing is remembered, and nothing is
    /// exchanged, before [`Node::confirm`]. Can be repeated: a pairing that was interrupted goes on.
    pub async fn join(&self, invite: &Invite, wanted: &Wanted) -> Result<Joining> {
        let Wanted { name, share, without, origin } = wanted;
        let name = name.as_deref();
        if invite.node == self.id() {
            return Err(PairError::Myself.into());
        }
        if name.is_some_and(|n| !good_name(n)) {
            return Err(PairError::BadName.into());
        }
        if !good_address(&invite.address) {
            return Err(PairError::BadAddress { address: invite.address.clone() }.into());
        }
        share.iter().try_for_each(|what| self.check_named(what))?;
        let link = Link::new(self.identity(), invite.node, &invite.address)?;
        self.withhold(&mut share.iter().map(Share::whole).collect(), without)?;
        let lines = share.iter().map(Share::whole).collect();
        let request = Join {
            proof: hex(&invite.secret.proof(Side::Joining, invite.node, self.id())),
            name: self.name()?,
            share: lines,
            origin: *origin,
        };
        let answer = match link.post(crate::routes::JOIN, request.to_bytes(), ANSWER, REQUEST).await {
            Ok(answer) => Joined::from_bytes(&answer)?,
            // The right node answered, and no invite of its is open.
            Err(crate::call::Error::NotKnown { .. }) => return Err(PairError::NotInvited.into()),
            Err(e) => return Err(e.into()),
        };
        if !invite.secret.proves(&unhex(&answer.proof), Side::Inviting, invite.node, self.id()) {
            return Err(PairError::NotProved { address: invite.address.clone() }.into());
        }
        if answer.share.is_empty() {
            return Err(PairError::NothingShared.into());
        }
        let suggested = if good_name(&answer.name) { answer.name } else { "peer".to_owned() };
        let peer = Peer::new(invite.node, name.unwrap_or(&suggested), &invite.address, self.now());
        let mut shares = answer.share;
        // What the other keeps back it says itself; these lines are what this node lets pass.
        shares.iter_mut().for_each(|s| s.without.clear());
        self.withhold(&mut shares, without)?;
        Ok(Joining { peer, exact: name.is_some(), shares, origin: *origin })
    }

    /// Remembers a peer that was joined. From here on the two sync.
    pub fn confirm(&self, joining: &Joining) -> Result<Peer> {
        let Joining { peer, exact, shares, origin } = joining;
        self.set_origin(peer.node, *origin)?;
        let address = peer.address.as_deref();
        let name = self.state().add_peer(peer.node, (&peer.name, *exact), address, shares, self.now())?;
        Ok(self.state().peer(&name)?)
    }

    /// Takes a pairing back that was not confirmed. Its invite is used up.
    pub async fn decline(&self, joining: &Joining) -> Result<()> {
        self.leave(joining, false).await
    }

    /// Takes a pairing back that was only made to look what it would mean. Its invite is as good as before.
    pub async fn only_looked(&self, joining: &Joining) -> Result<()> {
        self.leave(joining, true).await
    }

    async fn leave(&self, joining: &Joining, looked: bool) -> Result<()> {
        if let (Some(address), false) = (&joining.peer.address, self.state().is_peer(joining.peer.node)?) {
            let link = Link::new(self.identity(), joining.peer.node, address)?;
            link.post(crate::routes::LEAVE, crate::message::Leave { looked }.to_bytes(), ANSWER, REQUEST).await?;
        }
        Ok(())
    }

    /// The inviting side of [`Node::join`].
    pub(crate) fn answer_join(&self, caller: NodeId, request: &Join) -> Result<Joined> {
        if !good_name(&request.name) {
            return Err(PairError::BadName.into());
        }
        let proof = unhex(&request.proof);
        let now = self.now();
        let mut invites = self.state().invites_for(caller, now)?.into_iter();
        let proved = |secret: [u8; 16]| Secret(secret).proves(&proof, Side::Joining, self.id(), caller);
        let invite = invites.find(|i| proved(i.secret)).ok_or(PairError::NotInvited)?;
        let mut share =
            if request.share.is_empty() { invite.share.clone() } else { narrowed(&invite.share, &request.share) };
        if share.is_empty() {
            return Err(PairError::NothingShared.into());
        }
        let accepted = self.state().accept(invite.id, caller, &request.name, &share, now)?;
        let name = accepted.ok_or(PairError::NotInvited)?;
        self.set_origin(caller, request.origin)?;
        tracing::info!(node = %caller, %name, "paired");
        let proof = Secret(invite.secret).proof(Side::Inviting, self.id(), caller);
        share.iter_mut().for_each(|s| s.without.clear());
        Ok(Joined { proof: hex(&proof), name: self.name()?, share })
    }

    /// Ends a pairing. The node is cut off with its next request, and forgotten as a holder of anything; what it began to
    /// send and did not finish is waited for no more.
    pub fn retire(&self, name: &str) -> Result<Peer> {
        let peer = self.state().peer(name)?;
        self.state().retire_peer(peer.node, self.now())?;
        self.state().forget_note(&crate::mismatch::note(peer.node))?;
        self.state().databases()?.iter().for_each(|database| self.expect_no_more(database, None));
        self.ring();
        tracing::info!(node = %peer.node, name = %peer.name, "retired");
        Ok(peer)
    }

    /// What a node began to send, of that table or of all, and may not send any more is waited for no more.
    pub(crate) fn expect_no_more(&self, database: &AttachedDatabase, table: Option<&str>) {
        // A file that can't be opened now keeps no node paired, and no rights.
        if let Err(e) = self.with_database(database, |db| db.expect_no_more(table, self.now())) {
            tracing::warn!(database = %database.name, error = %e, "what a node left unfinished is still waited for");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_only_narrows_what_was_offered() {
        let list = |names: &[&str]| -> Vec<Share> { names.iter().map(|n| Share::whole((*n).to_owned())).collect() };
        let check = |offered: &[&str], wanted: &[&str], expected: &[&str]| {
            assert_eq!(narrowed(&list(offered), &list(wanted)), list(expected), "{offered:?} {wanted:?}");
        };
        check(&["users", "scouting"], &["users"], &["users"]);
        check(&["users"], &["users.role"], &["users.role"]);
        check(&["users.role"], &["users"], &["users.role"]);
        check(&["users.role"], &["users.user"], &[]);
        check(&["users"], &["secrets"], &[]);
    }

    #[test]
    fn names_and_addresses_are_looked_at() {
        assert!(good_name("Pit laptop 2") && good_name("é"));
        assert!(["", " a", "a/b", "a\u{1b}[2J", "a\nb"].iter().all(|n| !good_name(n)));
        assert!(["h:1", "[::1]:7467", "10.0.0.1:80"].iter().all(|a| good_address(a)));
        assert!(["h", "h:0", ":1", "h:1/x", "u@h:1", "h:99999"].iter().all(|a| !good_address(a)));
    }
}

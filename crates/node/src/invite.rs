//! The invite: what one node tells another, outside the network, so that the two can find and trust each other.
//!
//! Always true here: the secret leaves neither side. Each proves that it has it by an HMAC over both nodes' ids, so a
//! proof is good for these two keys only, and nobody who carries messages between them can put a third key in.
use crate::identity::NodeId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::fmt;

/// 128 random bits, good for one pairing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// An invite, as it is carried from one administrator to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// `host:port` of the node that invites.
    pub address: String,
    /// Its id, by which its key is known.
    pub node: NodeId,
    /// What proves that the invited node was invited.
    pub secret: Secret,
}

/// Why a text is no invite.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// It is another text, or a part is missing.
    #[error("this is not a whole invite")]
    Malformed,
    /// A newer Lockstep made it.
    #[error("this invite is of version {version}, which this Lockstep doesn't know")]
    Version {
        /// Its version.
        version: u64,
    },
}

impl Error {
    /// Stable, for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Malformed => "invite_malformed",
            Error::Version { .. } => "invite_version",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::Malformed => "copy the whole line that `lockstep invite` printed on the other node",
            Error::Version { .. } => "use the same version of Lockstep on both nodes",
        }
    }
}

const PREFIX: &str = "lockstep:";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    v: u64,
    address: String,
    pin: String,
    secret: String,
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Text {
            v: 1,
            address: self.address.clone(),
            pin: URL_SAFE_NO_PAD.encode(self.node.0),
            secret: URL_SAFE_NO_PAD.encode(self.secret.0),
        };
        let json = serde_json::to_vec(&text).map_err(|_| fmt::Error)?;
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }
}

impl std::str::FromStr for Invite {
    type Err = Error;
    fn from_str(s: &str) -> Result<Invite, Error> {
        let s: String = s.chars().filter(|c| !c.is_whitespace()).collect();
        let s = s.strip_prefix(PREFIX).ok_or(Error::Malformed)?;
        let json = URL_SAFE_NO_PAD.decode(s).map_err(|_| Error::Malformed)?;
        let version = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).ok()?.get("v")?.as_u64();
        match version(&json) {
            Some(1) => {}
            Some(version) => return Err(Error::Version { version }),
            None => return Err(Error::Malformed),
        }
        let text: Text = serde_json::from_slice(&json).map_err(|_| Error::Malformed)?;
        let bytes = |s: &str| URL_SAFE_NO_PAD.decode(s).map_err(|_| Error::Malformed);
        Ok(Invite {
            address: text.address,
            node: NodeId(bytes(&text.pin)?.try_into().map_err(|_| Error::Malformed)?),
            secret: Secret(bytes(&text.secret)?.try_into().map_err(|_| Error::Malformed)?),
        })
    }
}

/// Which side gives a proof. A proof of one side is none for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The node that was invited.
    Joining,
    /// The node that invites.
    Inviting,
}

impl Secret {
    fn bound(side: Side, inviting: NodeId, joining: NodeId) -> Vec<u8> {
        let tag: &[u8] = match side {
            Side::Joining => b"lockstep pairing 1, joining\0",
            Side::Inviting => b"lockstep pairing 1, inviting\0",
        };
        [tag, &inviting.0, &joining.0].concat()
    }

    /// The proof that a side knows the secret and means these two keys.
    pub fn proof(&self, side: Side, inviting: NodeId, joining: NodeId) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, &Secret::bound(side, inviting, joining));
        tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    /// Is this that side's proof? Takes the same time whatever it is.
    pub fn proves(&self, proof: &[u8], side: Side, inviting: NodeId, joining: NodeId) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        hmac::verify(&key, &Secret::bound(side, inviting, joining), proof).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Invite {
        Invite { address: "pit.example:7467".into(), node: NodeId([3; 32]), secret: Secret([4; 16]) }
    }

    #[test]
    fn an_invite_survives_the_line_breaks_of_a_mail() {
        let text = example().to_string();
        assert!(text.bytes().all(|b| b.is_ascii_graphic()));
        assert_eq!(text.parse(), Ok(example()));
        let (a, b) = text.split_at(40);
        assert_eq!(format!(" {a}\r\n  {b}\n").parse(), Ok(example()));
        assert_eq!(text[..text.len() - 5].parse::<Invite>(), Err(Error::Malformed));
        assert_eq!("hello".parse::<Invite>(), Err(Error::Malformed));
        let newer = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(r#"{"v":2,"x":1}"#));
        assert_eq!(newer.parse::<Invite>(), Err(Error::Version { version: 2 }));
        assert!(!format!("{:?}", example()).contains("04"), "the secret is not shown in logs");
    }

    #[test]
    fn a_proof_is_good_for_its_side_its_keys_and_its_secret_only() {
        let (a, b, c) = (NodeId([1; 32]), NodeId([2; 32]), NodeId([3; 32]));
        let secret = Secret([7; 16]);
        let proof = secret.proof(Side::Joining, a, b);
        assert!(secret.proves(&proof, Side::Joining, a, b));
        for (secret, side, inviting, joining) in [
            (&secret, Side::Inviting, a, b),
            (&secret, Side::Joining, b, a),
            (&secret, Side::Joining, a, c),
            (&secret, Side::Joining, c, b),
            (&Secret([8; 16]), Side::Joining, a, b),
        ] {
            assert!(!secret.proves(&proof, side, inviting, joining));
        }
        assert!(!secret.proves(&proof[..31], Side::Joining, a, b));
        assert!(!secret.proves(&[], Side::Joining, a, b));
    }
}

//! The messages of pairing and waiting. Those of a session are in the wire crate.
//!
//! Always true here: a message names its version and its type, and one with anything unknown in it is refused.
use crate::contact::Origin;
use crate::status::Share;
use lockstep_engine::id::Vectors;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of these messages.
pub const VERSION: u64 = 1;

/// Why bytes are not the message that was expected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another version.
    #[error("the message is of version {found}, and this node speaks version {VERSION}")]
    Version {
        /// The version it names.
        found: u64,
    },
    /// It has another form.
    #[error("the message is not a whole `{expected}`")]
    Malformed {
        /// What was expected.
        expected: &'static str,
    },
}

impl Error {
    /// Stable, for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Version { .. } => "message_version",
            Error::Malformed { .. } => "message_malformed",
        }
    }
}

/// What travels as one JSON document.
pub trait Message: Serialize + DeserializeOwned {
    /// Its type, as it stands in the document.
    const TYPE: &'static str;

    /// As it travels.
    fn to_bytes(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Whole<'a, T> {
            v: u64,
            r#type: &'a str,
            #[serde(flatten)]
            message: &'a T,
        }
        serde_json::to_vec(&Whole { v: VERSION, r#type: Self::TYPE, message: self }).expect("plain data")
    }

    /// Reads what travelled.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = || Error::Malformed { expected: Self::TYPE };
        let mut whole: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(|_| malformed())?;
        match whole.remove("v").as_ref().and_then(serde_json::Value::as_u64) {
            Some(VERSION) => {}
            Some(found) => return Err(Error::Version { found }),
            None => return Err(malformed()),
        }
        match whole.remove("type") {
            Some(serde_json::Value::String(t)) if t == Self::TYPE => {}
            _ => return Err(malformed()),
        }
        serde_json::from_value(whole.into()).map_err(|_| malformed())
    }
}

/// A node asks to be paired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// HMAC of the secret over both ids, 64 hex digits.
    pub proof: String,
    /// What it calls itself.
    pub name: String,
    /// What it wants to share; empty: all it was invited to.
    pub share: Vec<Share>,
    /// How its files and those of the other began, if somebody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Message for Join {
    const TYPE: &'static str = "join";
}

/// It was paired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    /// The other side's proof.
    pub proof: String,
    /// What the other side calls itself.
    pub name: String,
    /// What is shared.
    pub share: Vec<Share>,
}

impl Message for Joined {
    const TYPE: &'static str = "joined";
}

/// A node that can't be reached asks to be told of news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// What it has, by database.
    pub has: BTreeMap<String, Vectors>,
}

impl Message for Wait {
    const TYPE: &'static str = "wait";
}

/// There is news, or there was none for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct News {
    /// Is there any?
    pub news: bool,
}

impl Message for News {
    const TYPE: &'static str = "news";
}

/// What a batch would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previewed {
    /// Tables in which anything would happen.
    pub tables: Vec<PlanLine>,
}

/// What would happen in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanLine {
    /// Its name.
    pub name: String,
    /// Rows that would appear.
    pub inserts: u64,
    /// Rows that would change.
    pub updates: u64,
    /// Rows that would go.
    pub deletes: u64,
    /// Conflicts that would be recorded.
    pub conflicts: u64,
    /// Rows of which something would wait.
    pub held: u64,
    /// Rows that would get another id.
    pub id_moves: u64,
}

impl Message for Previewed {
    const TYPE: &'static str = "previewed";
}

/// A node takes back that it joined. It may have joined only to look: then its invite was not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// It only looked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub looked: bool,
}

impl Message for Leave {
    const TYPE: &'static str = "leave";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<M: Message + PartialEq + std::fmt::Debug>(message: &M, golden: &str) {
        assert_eq!(String::from_utf8(message.to_bytes()).unwrap(), golden);
        assert_eq!(&M::from_bytes(golden.as_bytes()).unwrap(), message);
        let unknown = golden.replacen("\"v\":1,", "\"v\":1,\"x\":0,", 1);
        assert!(matches!(M::from_bytes(unknown.as_bytes()), Err(Error::Malformed { .. })));
        let newer = golden.replacen("\"v\":1,", "\"v\":2,", 1);
        assert!(matches!(M::from_bytes(newer.as_bytes()), Err(Error::Version { found: 2 })));
    }

    /// These texts are the protocol: they are never edited.
    #[test]
    fn golden_messages_of_version_1() {
        let share = vec![Share::whole("users")];
        check(
            &Join { proof: "ab".into(), name: "pit".into(), share: share.clone(), origin: None },
            r#"{"v":1,"type":"join","proof":"ab","name":"pit","share":[{"what":"users","direction":"both"}]}"#,
        );
        check(
            &Join { proof: "ab".into(), name: "pit".into(), share: Vec::new(), origin: Some(Origin::Copies) },
            r#"{"v":1,"type":"join","proof":"ab","name":"pit","share":[],"origin":"copies"}"#,
        );
        check(
            &Joined { proof: "cd".into(), name: "hq".into(), share },
            r#"{"v":1,"type":"joined","proof":"cd","name":"hq","share":[{"what":"users","direction":"both"}]}"#,
        );
        let vector = [(lockstep_engine::id::ReplicaId([1; 16]), lockstep_engine::id::Seq(5))].into();
        check(
            &Wait { has: [("users".to_owned(), [("user".to_owned(), vector)].into())].into() },
            r#"{"v":1,"type":"wait","has":{"users":{"user":{"01010101010101010101010101010101":5}}}}"#,
        );
        let line =
            PlanLine { name: "user".into(), inserts: 1, updates: 2, deletes: 3, conflicts: 4, held: 6, id_moves: 5 };
        check(
            &Previewed { tables: vec![line] },
            r#"{"v":1,"type":"previewed","tables":[{"name":"user","inserts":1,"updates":2,"deletes":3,"conflicts":4,"held":6,"id_moves":5}]}"#,
        );
        check(&Leave { looked: false }, r#"{"v":1,"type":"leave"}"#);
        check(&Leave { looked: true }, r#"{"v":1,"type":"leave","looked":true}"#);
        check(&News { news: true }, r#"{"v":1,"type":"news","news":true}"#);
    }
}

//! Where the databases of this node stand, as far as this process has seen, for those who wait for news.
//!
//! Always true here: it may lag behind the files, and says nothing that was not so.
use crate::access::Access;
use lockstep_engine::id::{Seq, Vector, Vectors};
use std::collections::BTreeMap;

/// Version vectors by database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heads(BTreeMap<String, Vectors>);

impl Heads {
    /// Takes over where a database stands. Has it moved?
    pub fn set(&mut self, database: &str, vectors: Vectors) -> bool {
        match self.0.get(database) {
            Some(before) if *before == vectors => false,
            _ => {
                self.0.insert(database.to_owned(), vectors);
                true
            }
        }
    }

    /// All that is known.
    pub fn all(&self) -> BTreeMap<String, Vectors> {
        self.0.clone()
    }

    /// Is there anything that may be sent, and that is not in `has`?
    pub fn lacking(&self, has: &BTreeMap<String, Vectors>, access: &Access) -> bool {
        let none = Vectors::new();
        self.0.iter().any(|(database, vectors)| {
            let has = has.get(database).unwrap_or(&none);
            let lacks = |(table, vector): (&String, &Vector)| {
                access.of(database, table).sends() && !covers(has.get(table), vector)
            };
            vectors.iter().any(lacks)
        })
    }
}

fn covers(has: Option<&Vector>, vector: &Vector) -> bool {
    vector.iter().all(|(replica, seq)| *seq == Seq(0) || has.and_then(|h| h.get(replica)).is_some_and(|h| h >= seq))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Share;
    use lockstep_engine::id::ReplicaId;

    #[test]
    fn news_is_what_the_other_lacks_and_may_have() {
        let vectors = |seq| Vectors::from([("t".to_owned(), Vector::from([(ReplicaId([1; 16]), Seq(seq))]))]);
        let access = |what: &str| Access::new(&[Share::whole(what)]);
        let mut heads = Heads::default();
        assert!(heads.set("users", vectors(3)));
        assert!(!heads.set("users", vectors(3)));
        let has = |seq| BTreeMap::from([("users".to_owned(), vectors(seq))]);
        assert!(heads.lacking(&BTreeMap::new(), &access("users")));
        assert!(heads.lacking(&has(2), &access("users.t")));
        assert!(!heads.lacking(&has(3), &access("users")));
        assert!(!heads.lacking(&has(2), &access("users.other")));
        assert!(!heads.lacking(&has(2), &access("scouting")));
    }
}

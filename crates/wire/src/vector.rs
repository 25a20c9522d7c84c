//! Maps in JSON that must not say a thing twice, and version vectors among them.
use lockstep_engine::id::{ReplicaId, Seq, Vector, Vectors};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Reads an object in which no name may stand twice.
pub(crate) fn once<'de, D, K, T>(d: D) -> Result<BTreeMap<K, T>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    T: Deserialize<'de>,
{
    struct Once<K, T>(PhantomData<(K, T)>);
    impl<'de, K: Deserialize<'de> + Ord, T: Deserialize<'de>> Visitor<'de> for Once<K, T> {
        type Value = BTreeMap<K, T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((name, value)) = object.next_entry()? {
                if map.insert(name, value).is_some() {
                    return Err(A::Error::custom("a name stands twice in an object"));
                }
            }
            Ok(map)
        }
    }
    d.deserialize_map(Once(PhantomData))
}

/// One table's vector: `{"<32 hex digits>":7}`.
pub(crate) mod one {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(vector: &Vector, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(vector)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vector, D::Error> {
        let vector: BTreeMap<ReplicaId, Seq> = once(d)?;
        if vector.values().any(|s| s.0 > i64::MAX as u64) {
            return Err(D::Error::custom("the number of a write is from 1 to 2^63 - 1"));
        }
        Ok(vector)
    }
}

/// The vectors of all tables.
pub(crate) mod all {
    use super::*;

    #[derive(Deserialize)]
    #[serde(transparent)]
    struct One(#[serde(with = "one")] Vector);

    pub(crate) fn serialize<S: Serializer>(vectors: &Vectors, s: S) -> Result<S::Ok, S::Error> {
        vectors.serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vectors, D::Error> {
        Ok(once::<D, String, One>(d)?.into_iter().map(|(name, v)| (name, v.0)).collect())
    }
}

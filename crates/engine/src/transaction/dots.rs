//! What a dot stands for that is no insert: the index by which a delta is found.
use super::prepared::{Prepared, Use};
use crate::change::AliasKind;
use crate::error::Error;
use crate::record::{LocalDot, get_signed};
use crate::store::damaged;
use crate::value::Value;
use rusqlite::OptionalExtension;

/// What a dot that is no insert stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DotOf {
    /// Registers in these births.
    Births(Vec<LocalDot>),
    /// A conflict record.
    Conflict(LocalDot, i64, LocalDot),
    /// An alias.
    Alias(LocalDot, LocalDot, AliasKind),
    /// A write held for its stamp.
    Future,
    /// What a person said about a conflict: (birth, loser).
    Decision(LocalDot, LocalDot),
}

/// What a stored dot stands for.
pub fn load_dot(q: &mut Prepared<'_>, t: u32, d: LocalDot) -> Result<Option<DotOf>, Error> {
    let q = q.get(Use::FindDot, t, || format!("SELECT what FROM _lockstep_dot_{t} WHERE d = ?1"))?;
    let what: Option<Value> = q.query_row([d.0], |r| Ok(Value::from(r.get_ref(0)?))).optional()?;
    what.map(|w| decode_dot(&w).ok_or_else(|| damaged("a dot"))).transpose()
}

pub fn decode_dot(what: &Value) -> Option<DotOf> {
    let b = match what {
        Value::Integer(b) => return Some(DotOf::Births(vec![LocalDot(*b)])),
        Value::Blob(b) => b,
        _ => return None,
    };
    let (&tag, mut i) = b.split_first()?;
    let mut next = || get_signed(&mut i);
    Some(match tag {
        0 => {
            let mut list = Vec::new();
            while let Some(b) = next() {
                list.push(LocalDot(b));
            }
            DotOf::Births(list)
        }
        1 => DotOf::Conflict(LocalDot(next()?), next()?, LocalDot(next()?)),
        2 => DotOf::Alias(LocalDot(next()?), LocalDot(next()?), crate::class::kind(next()?)?),
        3 => DotOf::Future,
        4 => DotOf::Decision(LocalDot(next()?), LocalDot(next()?)),
        _ => return None,
    })
}

/// As it is stored. None: it stands for nothing any more.
pub fn encode_dot(of: &DotOf) -> Option<Value> {
    let tagged = |tag: u8, numbers: &[i64]| {
        let mut o = vec![tag];
        numbers.iter().for_each(|n| crate::record::put_signed(&mut o, *n));
        Some(Value::Blob(o.into()))
    };
    match of {
        DotOf::Births(list) => match list.as_slice() {
            [] => None,
            [one] => Some(Value::Integer(one.0)),
            many => tagged(0, &many.iter().map(|b| b.0).collect::<Vec<_>>()),
        },
        DotOf::Conflict(b, r, l) => tagged(1, &[b.0, *r, l.0]),
        DotOf::Alias(a, b, k) => tagged(2, &[a.0, b.0, *k as i64]),
        DotOf::Future => tagged(3, &[]),
        DotOf::Decision(b, l) => tagged(4, &[b.0, l.0]),
    }
}

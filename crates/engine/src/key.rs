//! The key by which a row is found in the application's table on this node.
//!
//! Always true here: the key of a living row says which row, bit for bit; what it means elsewhere is not known here.
use crate::catalog::{Key, Table};
use crate::value::Value;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use sha2::{Digest, Sha256};

/// A local key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LocalKey {
    /// The value of the single INTEGER PRIMARY KEY.
    Id(i64),
    /// 0 and the key's values; or 1 and a hash of the whole row, where no key tells rows apart.
    Bytes(Box<[u8]>),
}

impl LocalKey {
    /// The key of a row, given all its values in the order of the table.
    pub fn of_row(table: &Table, row: &[Value]) -> LocalKey {
        match &table.key {
            Key::Id { column, .. } => match row[*column] {
                Value::Integer(i) => LocalKey::Id(i),
                _ => LocalKey::content(row),
            },
            Key::Columns(places) => {
                let values: Vec<&Value> = places.iter().map(|&p| &row[p]).collect();
                if values.iter().any(|v| v.is_null()) { LocalKey::content(row) } else { LocalKey::encoded(values) }
            }
            Key::Content => LocalKey::content(row),
        }
    }

    /// From the values of the key alone (as the capture log has them), or from the whole row where that is the key.
    pub fn of_values(table: &Table, key: &[Value], row: impl FnOnce() -> Option<Vec<Value>>) -> Option<LocalKey> {
        match &table.key {
            Key::Id { .. } => key.first().and_then(Value::as_integer).map(LocalKey::Id),
            Key::Columns(_) if !key.is_empty() && key.iter().all(|v| !v.is_null()) => Some(LocalKey::encoded(key)),
            Key::Columns(_) | Key::Content => row().map(|r| LocalKey::content(&r)),
        }
    }

    fn encoded<'a>(values: impl IntoIterator<Item = &'a Value>) -> LocalKey {
        let mut b = vec![0];
        values.into_iter().for_each(|v| v.encode(&mut b));
        LocalKey::Bytes(b.into())
    }

    fn content(row: &[Value]) -> LocalKey {
        let mut b = Vec::new();
        row.iter().for_each(|v| v.encode(&mut b));
        let hash = Sha256::digest(&b);
        LocalKey::Bytes([&[1], &hash[..16]].concat().into())
    }

    /// Several rows may have this key (equal rows of a table without a key).
    pub fn is_content(&self) -> bool {
        matches!(self, LocalKey::Bytes(b) if b.first() == Some(&1))
    }

    pub fn id(&self) -> Option<i64> {
        match self {
            LocalKey::Id(i) => Some(*i),
            LocalKey::Bytes(_) => None,
        }
    }

    /// The values of a key that has values.
    pub fn values(&self) -> Option<Vec<Value>> {
        match self {
            LocalKey::Id(i) => Some(vec![Value::Integer(*i)]),
            LocalKey::Bytes(b) if b.first() == Some(&0) => {
                let mut i = &b[1..];
                let mut out = Vec::new();
                while !i.is_empty() {
                    out.push(Value::decode(&mut i)?);
                }
                Some(out)
            }
            LocalKey::Bytes(_) => None,
        }
    }
}

impl ToSql for LocalKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            LocalKey::Id(i) => ValueRef::Integer(*i),
            LocalKey::Bytes(b) => ValueRef::Blob(b),
        }))
    }
}

impl FromSql for LocalKey {
    fn column_result(v: ValueRef<'_>) -> FromSqlResult<LocalKey> {
        match v {
            ValueRef::Integer(i) => Ok(LocalKey::Id(i)),
            _ => Ok(LocalKey::Bytes(v.as_blob()?.into())),
        }
    }
}

//! A value as SQLite stores it, bit for bit.
//!
//! Always true here: what goes in comes out with the same storage class and the same bits; text may hold NUL and
//! invalid UTF-8. Equality is identity of bits, so `1` and `1.0` differ, and so do `0.0` and `-0.0`. Text and blobs are
//! shared, not copied: a value stands in many places while a row is merged.
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use std::sync::Arc;

/// One value of one column.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// NULL.
    #[default]
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A float; SQLite never stores NaN.
    Real(f64),
    /// Text in the bytes that SQLite gave (UTF-8 where the application kept to it).
    Text(Arc<[u8]>),
    /// A blob.
    Blob(Arc<[u8]>),
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Integer(a), Value::Integer(b)) => a == b,
            (Value::Real(a), Value::Real(b)) => a.to_bits() == b.to_bits(),
            (Value::Text(a), Value::Text(b)) | (Value::Blob(a), Value::Blob(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Value {
    /// Text.
    pub fn text(s: &str) -> Value {
        Value::Text(s.as_bytes().into())
    }

    /// Is it NULL?
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(i) => Some(*i),
            _ => None,
        }
    }

    /// The bytes it takes as a message or in memory, roughly.
    pub fn weight(&self) -> usize {
        match self {
            Value::Null => 4,
            Value::Integer(_) | Value::Real(_) => 10,
            Value::Text(b) | Value::Blob(b) => b.len() + 2,
        }
    }

    /// Appends the value in a form that says its storage class and length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(0),
            Value::Integer(i) => {
                out.push(1);
                out.extend_from_slice(&i.to_be_bytes());
            }
            Value::Real(f) => {
                out.push(2);
                out.extend_from_slice(&f.to_bits().to_be_bytes());
            }
            Value::Text(b) => bytes(3, b, out),
            Value::Blob(b) => bytes(4, b, out),
        }
    }

    /// Reads what [`Value::encode`] wrote, and moves `input` behind it. None: these are not such bytes.
    pub fn decode(input: &mut &[u8]) -> Option<Value> {
        let (&tag, rest) = input.split_first()?;
        *input = rest;
        Some(match tag {
            0 => Value::Null,
            1 => Value::Integer(i64::from_be_bytes(take(input, 8)?.try_into().ok()?)),
            2 => Value::Real(f64::from_bits(u64::from_be_bytes(take(input, 8)?.try_into().ok()?))),
            3 | 4 => {
                let n = u32::from_be_bytes(take(input, 4)?.try_into().ok()?) as usize;
                let b = take(input, n)?.into();
                if tag == 3 { Value::Text(b) } else { Value::Blob(b) }
            }
            _ => return None,
        })
    }
}

fn bytes(tag: u8, b: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(b.len()).expect("SQLite bounds a value to 2^31 bytes").to_be_bytes());
    out.extend_from_slice(b);
}

fn take<'a>(input: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, rest) = input.split_at_checked(n)?;
    *input = rest;
    Some(head)
}

impl From<ValueRef<'_>> for Value {
    fn from(v: ValueRef<'_>) -> Value {
        match v {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(i) => Value::Integer(i),
            ValueRef::Real(f) => Value::Real(f),
            ValueRef::Text(t) => Value::Text(t.into()),
            ValueRef::Blob(b) => Value::Blob(b.into()),
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(i) => ValueRef::Integer(*i),
            Value::Real(f) => ValueRef::Real(*f),
            Value::Text(t) => ValueRef::Text(t),
            Value::Blob(b) => ValueRef::Blob(b),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_from_its_bytes_and_from_sqlite() {
        let all = [
            Value::Null,
            Value::Integer(i64::MIN),
            Value::Real(-0.0),
            Value::Real(f64::INFINITY),
            Value::Real(5e-324),
            Value::Text(b"a\0\xff\xfe".as_slice().into()),
            Value::text(""),
            Value::Blob([0, 255].as_slice().into()),
        ];
        let db = rusqlite::Connection::open_in_memory().unwrap();
        for v in &all {
            let mut b = Vec::new();
            v.encode(&mut b);
            assert_eq!(Value::decode(&mut b.as_slice()).as_ref(), Some(v));
            let back: Value = db.query_row("SELECT ?1", [v], |r| Ok(Value::from(r.get_ref(0)?))).unwrap();
            assert_eq!(&back, v);
        }
        assert_ne!(Value::Integer(1), Value::Real(1.0));
        assert_ne!(Value::Real(0.0), Value::Real(-0.0));
    }
}

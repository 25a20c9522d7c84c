//! The digest of a table: a sum of keyed 128-bit hashes over the logical state.
//!
//! Always true here: it depends on births, registers and values alone, never on local ids, the order of columns, or
//! what is shown; so two replicas that know the same writes have the same digest. A sum, not an XOR: a value that is
//! there twice counts twice.
use crate::id::ReplicaId;
use crate::record::{Cell, LocalDot};
use crate::value::Value;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Hashes under the key of one database.
#[derive(Clone, Copy, Debug)]
pub struct Hash {
    key: [u8; 16],
}

impl Hash {
    pub fn new(key: [u8; 16]) -> Hash {
        Hash { key }
    }

    /// What all hashes of one birth begin with.
    pub fn start(&self, birth: LocalDot, ids: &[ReplicaId]) -> SipHasher13 {
        let mut h = SipHasher13::new_with_key(&self.key);
        dot(&mut h, birth, ids);
        h
    }

    /// One current value of one column of the birth that `h` started with.
    pub fn field(mut h: SipHasher13, column: &str, cell: &Cell, ids: &[ReplicaId]) -> u128 {
        text(&mut h, column.as_bytes());
        match cell {
            Cell::Value(v) => {
                h.write_u8(0);
                value(&mut h, v);
            }
            Cell::Row(b) => {
                h.write_u8(1);
                dot(&mut h, *b, ids);
            }
            Cell::Raw(v) => {
                h.write_u8(2);
                value(&mut h, v);
            }
            Cell::Unread => unreachable!("values are read before they are hashed"),
        }
        h.finish128().as_u128()
    }

    /// A living birth, the one that `h` started with.
    pub fn lives(h: &SipHasher13) -> u128 {
        h.finish128().as_u128()
    }

    /// An alias edge.
    pub fn edge(&self, a: LocalDot, b: LocalDot, kind: u8, ids: &[ReplicaId]) -> u128 {
        // From either end: the file of the peer may have met the replicas in another order.
        let (x, y) =
            if (ids[a.replica() as usize], a.seq()) <= (ids[b.replica() as usize], b.seq()) { (a, b) } else { (b, a) };
        let mut h = self.start(x, ids);
        dot(&mut h, y, ids);
        h.write_u8(kind);
        h.finish128().as_u128()
    }
}

fn dot(h: &mut SipHasher13, d: LocalDot, ids: &[ReplicaId]) {
    h.write(&ids[d.replica() as usize].0);
    h.write_u64(d.seq());
}

fn text(h: &mut SipHasher13, b: &[u8]) {
    h.write_u64(b.len() as u64);
    h.write(b);
}

fn value(h: &mut SipHasher13, v: &Value) {
    match v {
        Value::Null => h.write_u8(0),
        Value::Integer(i) => {
            h.write_u8(1);
            h.write_i64(*i);
        }
        Value::Real(f) => {
            h.write_u8(2);
            h.write_u64(f.to_bits());
        }
        Value::Text(b) => {
            h.write_u8(3);
            text(h, b);
        }
        Value::Blob(b) => {
            h.write_u8(4);
            text(h, b);
        }
    }
}

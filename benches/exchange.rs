//! The way of a delta without a network: extract, encode, decode, apply.
use crate::measure::{Took, time};
use crate::sample::now;
use lockstep_engine::{Database, Limit};
use lockstep_wire::{Limits, decode_batch, encode_batch};
use std::path::Path;
use std::sync::mpsc::sync_channel;

/// What one exchange took, and what travelled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exchange {
    /// What the application wrote becomes versions.
    pub harvest: Took,
    pub extract: Took,
    pub encode: Took,
    pub decode: Took,
    pub apply: Took,
    /// Bytes as they travel.
    pub packed: u64,
    /// Bytes of JSON.
    pub unpacked: u64,
    pub items: u64,
    pub batches: u64,
}

impl Exchange {
    /// All of it.
    pub fn total(&self) -> Took {
        self.harvest + self.extract + self.encode + self.decode + self.apply
    }
}

impl std::ops::AddAssign for Exchange {
    fn add_assign(&mut self, o: Exchange) {
        self.harvest += o.harvest;
        self.extract += o.extract;
        self.encode += o.encode;
        self.decode += o.decode;
        self.apply += o.apply;
        self.packed += o.packed;
        self.unpacked += o.unpacked;
        self.items += o.items;
        self.batches += o.batches;
    }
}

/// Everything that `from` has and `to` lacks, one step after the other in this thread.
pub fn in_turn(from: &Path, to: &Path, limit: Limit) -> Exchange {
    let mut out = Exchange::default();
    let limits = Limits::default();
    let (open, mut sender) = time(|| Database::open(from, &[]).expect("it is attached"));
    let (opened, mut receiver) = time(|| Database::open(to, &[]).expect("it is attached"));
    let (harvest, _) = time(|| sender.harvest(now()).expect("harvest"));
    out.harvest = harvest;
    out.extract += open;
    out.apply += opened;
    loop {
        let (asked, have) = time(|| receiver.vectors().expect("vectors"));
        let (extract, batch) = time(|| sender.extract(&have, limit, now()).expect("extract"));
        let (encode, encoded) = time(|| encode_batch(&batch, &limits).expect("encode"));
        let last = batch.last;
        drop(batch);
        let (decode, batch) = time(|| decode_batch(&encoded.bytes, &limits).expect("decode"));
        let (apply, _) = time(|| receiver.apply(&batch, now()).expect("apply"));
        out.extract += extract;
        out.encode += encode;
        out.decode += decode;
        out.apply += asked + apply;
        out.packed += encoded.bytes.len() as u64;
        out.unpacked += encoded.unpacked;
        out.items += encoded.count;
        out.batches += 1;
        if last {
            break;
        }
    }
    // The last to close a file takes the log into it: that belongs to the work.
    out.extract += time(|| drop(sender)).0;
    out.apply += time(|| drop(receiver)).0;
    out
}

/// The same on two threads, as two computers do it: the sender goes on while the receiver applies. Gives the time on
/// the wall.
pub fn pipelined(from: &Path, to: &Path, limit: Limit) -> Took {
    let (took, ()) = time(|| {
        let (send, receive) = sync_channel::<Vec<u8>>(1);
        let mut have = Database::open(to, &[]).and_then(|mut d| d.vectors()).expect("vectors");
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut sender = Database::open(from, &[]).expect("it is attached");
                loop {
                    let batch = sender.extract(&have, limit, now()).expect("extract");
                    let encoded = encode_batch(&batch, &Limits::default()).expect("encode");
                    for (table, vector) in batch.end {
                        let mine = have.entry(table).or_default();
                        vector.into_iter().for_each(|(r, s)| {
                            mine.insert(r, s);
                        });
                    }
                    send.send(encoded.bytes).expect("the receiver reads to the end");
                    if batch.last {
                        return;
                    }
                }
            });
            scope.spawn(move || {
                let mut receiver = Database::open(to, &[]).expect("it is attached");
                for bytes in receive {
                    let batch = decode_batch(&bytes, &Limits::default()).expect("decode");
                    receiver.apply(&batch, now()).expect("apply");
                }
            });
        });
    });
    took
}

/// Both sides say the same of every table.
pub fn agree(a: &Path, b: &Path) {
    let mut sides = [a, b].map(|p| Database::open(p, &[]).expect("it is attached"));
    let keys = sides.each_mut().map(|d| d.summary().expect("summary").digest_key);
    let key = keys[0].min(keys[1]);
    let [x, y] = sides.each_mut().map(|d| {
        d.adopt_digest_key(key, now()).expect("digest key");
        let tables = d.summary().expect("summary").tables;
        tables.into_iter().map(|t| (t.name, t.rows, t.digest)).collect::<Vec<_>>()
    });
    assert_eq!(x, y, "the two sides differ");
}

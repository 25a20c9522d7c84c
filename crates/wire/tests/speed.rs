//! What a change costs on the wire, and how fast batches are written and read.
mod support;

use lockstep_engine::change::{Batch, Item};
use lockstep_wire::{Limits, change_hash, decode_batch, encode_batch};
use std::time::Instant;
use support::{rows, updates};

#[test]
fn an_update_of_one_column_takes_few_bytes() {
    let batch = updates(10_000);
    let encoded = encode_batch(&batch, &Limits::default()).unwrap();
    let each = encoded.bytes.len() as f64 / 10_000.0;
    println!("{each:.1} bytes per change, {:.1} before packing", encoded.unpacked as f64 / 10_000.0);
    assert!(each < 30.0, "{each} bytes per change");
    // What a session takes by default is not much dearer.
    let limits = Limits::default();
    let cut = |items: &[Item]| Batch { items: items.to_vec(), ..batch.clone() };
    let small: usize = batch.items.chunks(4_000).map(|c| encode_batch(&cut(c), &limits).unwrap().bytes.len()).sum();
    assert!(small as f64 / 10_000.0 < 30.0, "{small}");
}

/// `cargo test --release -p lockstep-wire --test speed -- --ignored --nocapture`
#[test]
#[ignore = "means something in release only"]
fn a_first_sync_is_not_held_up_by_its_messages() {
    let batch = rows(100_000);
    let limits = Limits { batch: 1 << 30, items: 1 << 20, ..Limits::default() };
    for _ in 0..3 {
        let begin = Instant::now();
        let encoded = encode_batch(&batch, &limits).unwrap();
        let wrote = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let back = decode_batch(&encoded.bytes, &limits).unwrap();
        let read = begin.elapsed().as_secs_f64();
        assert_eq!(back.items.len(), 100_000);
        let begin = Instant::now();
        let sum = (0..10_000).map(|n| change_hash(&batch, n)[0] as u64).sum::<u64>();
        let hashed = begin.elapsed().as_secs_f64() * 10.0;
        let mb = encoded.unpacked as f64 / 1e6;
        println!(
            "{mb:.1} MB of JSON, {:.1} MB packed; written at {:.0} MB/s ({wrote:.3} s), read at {:.0} MB/s ({read:.3} s); all hashes {hashed:.3} s ({sum})",
            encoded.bytes.len() as f64 / 1e6,
            mb / wrote,
            mb / read,
        );
    }
    let batch = updates(10_000);
    for _ in 0..3 {
        let begin = Instant::now();
        let encoded = encode_batch(&batch, &limits).unwrap();
        let wrote = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        decode_batch(&encoded.bytes, &limits).unwrap();
        let read = begin.elapsed().as_secs_f64();
        println!("10,000 updates: written in {:.1} ms, read in {:.1} ms", wrote * 1e3, read * 1e3);
    }
}

//! What a change costs on the wire. How fast batches are written and read is a figure of `benches/`.
mod support;

use lockstep_engine::change::{Batch, Item};
use lockstep_wire::{Limits, encode_batch};
use support::updates;

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
    let small: usize = batch.items.chunks(1_500).map(|c| encode_batch(&cut(c), &limits).unwrap().bytes.len()).sum();
    assert!(small as f64 / 10_000.0 < 30.0, "{small}");
}

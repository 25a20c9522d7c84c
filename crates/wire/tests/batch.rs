//! What goes in comes out, bit for bit, and what is not such a batch is refused.
mod support;

use lockstep_engine::change::*;
use lockstep_engine::value::Value;
use lockstep_wire::{Limits, decode_batch, encode_batch};
use proptest::prelude::*;
use support::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn any_batch_comes_back(batch in any_batch()) {
        let limits = Limits::default();
        let encoded = encode_batch(&batch, &limits).unwrap();
        prop_assert_eq!(encoded.count, batch.items.len() as u64);
        let back = decode_batch(&encoded.bytes, &limits).unwrap();
        prop_assert_eq!(&back, &batch);
        prop_assert_eq!(encode_batch(&back, &limits).unwrap(), encoded);
    }
}

fn one(cells: Vec<Cell>) -> Batch {
    let names: Vec<String> = (0..cells.len()).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut batch = empty("t", &names);
    batch.items.push(Item::Change(Change {
        table: 0,
        birth: dot(1, 1),
        dot: dot(1, 2),
        stamp: lockstep_engine::id::Stamp(5),
        rank: None,
        context: 0,
        unseen: Vec::new(),
        existence: None,
        columns: cells.into_iter().enumerate().collect(),
        origin: None,
    }));
    batch
}

#[test]
fn long_values_travel_in_lines_of_their_own() {
    let blob = |n: usize| Value::Blob((0..n).map(|i| ((i * i) >> 3) as u8).collect());
    let text = "größe \\\" \u{1} ".repeat(100_000);
    let check = |cells: Vec<Cell>| {
        let (batch, limits) = (one(cells), Limits { line: 8 << 20, ..Limits::default() });
        let encoded = encode_batch(&batch, &limits).unwrap();
        assert_eq!(decode_batch(&encoded.bytes, &limits).unwrap(), batch);
    };
    for n in [0, 255, 256, 257, 65_533, 65_534, 65_535, 65_536, 65_537, 196_607, 196_608, 196_609, 3_000_000] {
        check(vec![Cell::Value(blob(n))]);
        check(vec![Cell::Value(Value::Text("x".repeat(n).into_bytes().into()))]);
    }
    let with_nul = Value::Text([text.as_bytes(), b"\0"].concat().into());
    check(vec![
        Cell::Value(Value::text(&text)),
        Cell::Value(Value::Null),
        Cell::Raw(blob(70_000)),
        Cell::Row(dot(1, 3)),
        Cell::Value(with_nul),
    ]);
    check((0..2_000).map(|n| Cell::Value(blob(n))).collect());
    check((0..2_000).map(|n| Cell::Value(Value::text(&"\u{1}".repeat(n)))).collect());
}

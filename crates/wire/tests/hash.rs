//! The hash of a change: the same at both ends, another for every other change.
mod support;

use lockstep_engine::change::*;
use lockstep_wire::{Limits, change_hash, decode_batch, encode_batch};
use proptest::prelude::*;
use support::*;

/// The same batch with its tables, columns and contexts under other numbers.
fn renumbered(batch: &Batch) -> Batch {
    let mut other = batch.clone();
    other.tables.reverse();
    other.contexts.insert(0, Context { seen: vec![(replica(9), lockstep_engine::id::Seq(1))] });
    for table in &mut other.tables {
        table.columns.reverse();
    }
    for item in &mut other.items {
        let table = item.table();
        let last = batch.tables[table].columns.len() - 1;
        let table = batch.tables.len() - 1 - table;
        match item {
            Item::Change(c) => {
                c.table = table;
                c.context += 1;
                c.unseen.iter_mut().for_each(|(r, _)| *r = r.map(|n| last - n));
                c.columns.iter_mut().for_each(|(n, _)| *n = last - *n);
                c.columns.reverse();
                if let Some(origin) = &mut c.origin {
                    origin.awaits.iter_mut().for_each(|n| *n = last - *n);
                    origin.awaits.reverse();
                }
            }
            Item::Alias(a) => a.table = table,
            Item::Decision(d) => d.table = table,
            Item::Conflict(r) => {
                r.table = table;
                r.register = r.register.map(|n| last - n);
            }
        }
    }
    other
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn both_ends_compute_the_same_whatever_the_numbers(batch in any_batch()) {
        let other = renumbered(&batch);
        let encoded = encode_batch(&other, &Limits::default()).unwrap();
        let arrived = decode_batch(&encoded.bytes, &Limits::default()).unwrap();
        for n in 0..batch.items.len() {
            prop_assert_eq!(change_hash(&batch, n), change_hash(&arrived, n));
        }
    }

    #[test]
    fn different_changes_have_different_hashes(a in any_batch(), b in any_batch()) {
        for (n, x) in a.items.iter().enumerate() {
            for (m, y) in b.items.iter().enumerate() {
                prop_assert_eq!(change_hash(&a, n) == change_hash(&b, m), x == y);
            }
        }
    }
}

/// Every single field counts.
#[test]
fn another_value_of_any_field_is_another_hash() {
    let batch = golden::batch();
    let seen = std::cell::RefCell::new(std::collections::HashSet::new());
    let check = |batch: &Batch| {
        for n in 0..batch.items.len() {
            seen.borrow_mut().insert(change_hash(batch, n));
        }
    };
    check(&batch);
    let before = seen.borrow().len();
    assert_eq!(before, batch.items.len());
    let mut other = batch.clone();
    other.database.push('x');
    check(&other);
    assert_eq!(seen.borrow().len(), 2 * before);
    let one = |edit: &dyn Fn(&mut Change)| {
        let mut other = batch.clone();
        let n = seen.borrow().len();
        let Item::Change(c) = &mut other.items[2] else { panic!("a change") };
        edit(c);
        check(&other);
        assert_eq!(seen.borrow().len(), n + 1);
    };
    one(&|c| c.birth.seq.0 += 1);
    one(&|c| c.dot.seq.0 += 1);
    one(&|c| c.stamp.0 += 1);
    one(&|c| c.rank = Some(c.stamp));
    one(&|c| c.context = 0);
    one(&|c| c.unseen.truncate(1));
    one(&|c| c.unseen[0].0 = Some(0));
    one(&|c| c.existence = Some(Existence::Lives));
    one(&|c| c.existence = Some(Existence::Deleted { dangling: Vec::new() }));
    one(&|c| c.columns.truncate(1));
    one(&|c| c.columns[0].0 = 0);
    one(&|c| c.columns[1].1 = Cell::Value(lockstep_engine::value::Value::Integer(99)));
}

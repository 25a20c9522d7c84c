//! The golden messages of version 1. They are what other nodes send: a file is never edited. If one of these tests
//! fails, the protocol has changed, and a new version is what it takes.
//!
//! `LOCKSTEP_BLESS=1` writes files that are missing, and no others.
mod support;

use lockstep_engine::change::Batch;
use lockstep_wire::message::*;
use lockstep_wire::parts::{PartAck, PartHead, PartRequest};
use lockstep_wire::{Limits, change_hash, decode_batch, encode_batch};
use std::fmt::Debug;
use std::io::Read;
use support::golden;

fn bless(file: &str, bytes: &[u8]) {
    let path = golden::path(file);
    if std::env::var_os("LOCKSTEP_BLESS").is_some() && !path.exists() {
        std::fs::write(path, [bytes, b"\n"].concat()).unwrap();
    }
}

fn check<M: Message + PartialEq + Debug>(file: &str, message: &M) {
    assert!(golden::MESSAGES.contains(&file));
    bless(file, &message.to_json());
    let golden = golden::read(file);
    assert_eq!(&M::from_json(&golden, &Limits::default()).unwrap(), message, "{file}");
    assert_eq!(String::from_utf8(message.to_json()).unwrap(), String::from_utf8(golden).unwrap(), "{file}");
}

#[test]
fn every_message_is_read_and_written_as_it_stands() {
    check("hello.json", &golden::hello());
    check("hello_part.json", &golden::hello_part());
    check("hello_marks.json", &golden::hello_marks());
    check("pull.json", &golden::pull());
    check("push_ack.json", &golden::push_ack());
    check("digests.json", &golden::digests());
    check("digests_reply.json", &golden::digests_reply());
    check("error.json", &golden::refusal());
    check::<PartHead>("part.json", &golden::part());
    check::<PartRequest>("part_request.json", &golden::part_request());
    check::<PartAck>("part_ack.json", &golden::part_ack());
    check("ranges.json", &golden::ranges());
    check("ranges_reply.json", &golden::ranges_reply());
    check("births.json", &golden::births());
    check("births_reply.json", &golden::births_reply());
    check("rows.json", &golden::rows());
    check("rows_reply.json", &golden::rows_reply());
}

fn lines_of(packed: &[u8]) -> String {
    let mut lines = String::new();
    zstd::Decoder::new(packed).unwrap().read_to_string(&mut lines).unwrap();
    lines
}

#[test]
fn a_batch_with_everything_in_it_is_read_and_written_as_it_stands() {
    let (batch, limits) = (golden::batch(), Limits::default());
    let encoded = encode_batch(&batch, &limits).unwrap();
    let lines = lines_of(&encoded.bytes);
    assert_eq!(lines.len() as u64, encoded.unpacked);
    bless("batch.jsonl", lines.trim_end().as_bytes());
    let golden = golden::read("batch.jsonl");
    assert_eq!(lines.trim_end(), String::from_utf8(golden).unwrap());
    // Packed in another way than ours it is the same batch.
    let packed = zstd::encode_all(lines.as_bytes(), 9).unwrap();
    assert_eq!(decode_batch(&packed, &limits).unwrap(), batch);
}

#[test]
fn a_batch_of_decisions_is_read_and_written_as_it_stands() {
    stands("decisions.jsonl", &golden::decisions());
}

#[test]
fn a_batch_that_names_the_nodes_of_its_replicas_is_read_and_written_as_it_stands() {
    stands("hosts.jsonl", &golden::hosts());
}

fn stands(file: &str, batch: &Batch) {
    let limits = Limits::default();
    let lines = lines_of(&encode_batch(batch, &limits).unwrap().bytes);
    bless(file, lines.trim_end().as_bytes());
    assert_eq!(lines.trim_end(), String::from_utf8(golden::read(file)).unwrap());
    let packed = zstd::encode_all(lines.as_bytes(), 9).unwrap();
    assert_eq!(&decode_batch(&packed, &limits).unwrap(), batch);
}

/// One that is kept as it was packed, since its lines are long.
#[test]
fn a_batch_with_long_values_is_read_and_written_as_it_stands() {
    let (batch, limits) = (golden::long_batch(), Limits::default());
    let encoded = encode_batch(&batch, &limits).unwrap();
    bless("batch_long.zst", &encoded.bytes);
    let golden = golden::read("batch_long.zst");
    assert_eq!(decode_batch(&golden, &limits).unwrap(), batch);
    assert_eq!(lines_of(&encoded.bytes), lines_of(&golden));
}

/// The hash by which both ends name a change.
#[test]
fn the_hashes_of_changes_stand() {
    let batch = golden::batch();
    let hashes: Vec<String> =
        (0..batch.items.len()).map(|n| lockstep_wire::Hex(change_hash(&batch, n)).to_string()).collect();
    bless("hashes.txt", hashes.join("\n").as_bytes());
    assert_eq!(hashes.join("\n"), String::from_utf8(golden::read("hashes.txt")).unwrap());
}

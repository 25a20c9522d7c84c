//! Whatever arrives: no decoder panics, and what it does take is in order.
mod support;

use lockstep_wire::compare::*;
use lockstep_wire::message::*;
use lockstep_wire::parts::{PartAck, PartHead, PartRequest, Parts, read_part};
use lockstep_wire::session::{Reply, Request};
use lockstep_wire::{Limits, change_hash, decode_batch, encode_batch};
use proptest::prelude::*;
use std::io::Read;
use support::golden;

/// One thing done to bytes.
#[derive(Clone, Debug)]
enum Harm {
    Set(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    /// A token that means something somewhere.
    Insert(usize, &'static str),
}

const TOKENS: [&str; 22] = [
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\n",
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "-0",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "[0,1]",
    "{\"blob\":0}",
    "[\"text\",0,\"x\"]\n",
    "\u{fffd}",
    "\"count\":9999999999999",
];

fn any_harm() -> impl Strategy<Value = Vec<Harm>> {
    let harm = prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(n, b)| Harm::Set(n, b)),
        any::<usize>().prop_map(Harm::Cut),
        (any::<usize>(), 1..40usize).prop_map(|(n, m)| Harm::Remove(n, m)),
        (any::<usize>(), 1..200usize).prop_map(|(n, m)| Harm::Repeat(n, m)),
        (any::<usize>(), prop::sample::select(TOKENS.to_vec())).prop_map(|(n, t)| Harm::Insert(n, t)),
    ];
    prop::collection::vec(harm, 1..5)
}

fn harmed(bytes: &[u8], all: &[Harm]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for harm in all {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        match *harm {
            Harm::Set(n, b) => bytes[n % len] = b,
            Harm::Cut(n) => bytes.truncate(n % len),
            Harm::Remove(n, m) => drop(bytes.drain(n % len..(n % len + m).min(len))),
            Harm::Repeat(n, m) => {
                let piece = bytes[n % len..(n % len + m).min(len)].to_vec();
                bytes.splice(n % len..n % len, piece);
            }
            Harm::Insert(n, token) => drop(bytes.splice(n % len..n % len, token.bytes())),
        }
    }
    bytes
}

fn read_all(bytes: &[u8]) {
    let limits = Limits::default();
    let _ = Hello::from_json(bytes, &limits);
    let _ = Pull::from_json(bytes, &limits);
    let _ = PushAck::from_json(bytes, &limits);
    let _ = Digests::from_json(bytes, &limits);
    let _ = DigestsReply::from_json(bytes, &limits);
    let _ = Refusal::from_json(bytes, &limits);
    let _ = PartHead::from_json(bytes, &limits);
    let _ = PartRequest::from_json(bytes, &limits);
    let _ = PartAck::from_json(bytes, &limits);
    let _ = Ranges::from_json(bytes, &limits);
    let _ = RangesReply::from_json(bytes, &limits);
    let _ = Births::from_json(bytes, &limits);
    let _ = BirthsReply::from_json(bytes, &limits);
    let _ = Rows::from_json(bytes, &limits);
    // What is taken can be written again, and is then the same.
    if let Ok(reply) = RowsReply::from_json(bytes, &limits) {
        assert_eq!(RowsReply::from_json(&reply.to_json(), &limits).unwrap(), reply);
        reply.rows.into_iter().for_each(|row| drop(row.row()));
    }
    if let Ok((head, bytes)) = read_part(bytes, &limits) {
        let _ = Parts::new().add(&head, bytes, &limits);
    }
    // What is taken can be written again, and is then the same.
    if let Ok(request) = Request::decode(bytes, &limits) {
        assert_eq!(Request::decode(&request.encode(&limits).unwrap(), &limits).unwrap(), request);
    }
    if let Ok(reply) = Reply::decode(bytes, &limits) {
        assert_eq!(Reply::decode(&reply.encode(&limits).unwrap(), &limits).unwrap(), reply);
    }
    if let Ok(batch) = decode_batch(bytes, &limits) {
        assert!((0..batch.items.len()).all(|n| change_hash(&batch, n) != [0; 32]));
    }
}

/// The sum of a harmed batch is made right again, so that more than the sum is tried.
fn summed(lines: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let mut all: Vec<&[u8]> = lines.split(|b| *b == b'\n').collect();
    if all.last() == Some(&&b""[..]) {
        all.pop();
    }
    let Some((head, items)) = all.split_first() else {
        return Vec::new();
    };
    let mut head = head.to_vec();
    let tail = br#","sha256":""}"#.len() + 64;
    if head.len() > tail {
        let start = head.len() - tail;
        let mut sum = Sha256::new();
        items.iter().for_each(|i| sum.update([*i, b"\n"].concat()));
        sum.update(&head[..start]);
        let sum = lockstep_wire::Hex::<32>(sum.finalize().into()).to_string();
        head.splice(start.., format!(",\"sha256\":\"{sum}\"}}").bytes());
    }
    let mut bytes = head;
    bytes.push(b'\n');
    items.iter().for_each(|i| bytes.extend([*i, b"\n"].concat()));
    zstd::encode_all(bytes.as_slice(), 1).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn harmed_messages(file in prop::sample::select(golden::MESSAGES.to_vec()), harm in any_harm()) {
        read_all(&harmed(&golden::read(file), &harm));
    }

    #[test]
    fn harmed_lines_of_a_batch(harm in any_harm()) {
        let lines = golden::read("batch.jsonl");
        read_all(&summed(&harmed(&lines, &harm)));
    }

    #[test]
    fn harmed_bytes_of_a_batch(harm in any_harm()) {
        let encoded = encode_batch(&golden::batch(), &Limits::default()).unwrap();
        read_all(&harmed(&encoded.bytes, &harm));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
        read_all(&zstd::encode_all(bytes.as_slice(), 1).unwrap());
    }
}

/// The harm does get past the sum: some harmed batches are taken, so what follows on it is tried.
#[test]
fn some_harm_goes_unnoticed_when_the_sum_is_right() {
    let lines = golden::read("batch.jsonl");
    let taken = (0..lines.len()).filter(|n| {
        let harm = [Harm::Set(*n, b'3')];
        decode_batch(&summed(&harmed(&lines, &harm)), &Limits::default()).is_ok()
    });
    assert!(taken.count() > 100);
    let mut all = Vec::new();
    let packed = summed(&lines);
    zstd::Decoder::new(packed.as_slice()).unwrap().read_to_end(&mut all).unwrap();
    assert_eq!(all.trim_ascii_end(), lines);
}

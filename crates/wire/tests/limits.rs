//! What is refused: messages of another form, batches that don't check out, and whatever is too large.
mod support;

use lockstep_engine::change::*;
use lockstep_engine::id::*;
use lockstep_engine::value::Value;
use lockstep_wire::compare::*;
use lockstep_wire::message::*;
use lockstep_wire::parts::*;
use lockstep_wire::{Error, Hex, Limits, decode_batch, encode_batch};
use sha2::{Digest, Sha256};
use support::*;

/// Packs lines as a batch; the header gets the count and the sum that these items have.
fn packed(header: &str, items: &[&str]) -> Vec<u8> {
    let mut sum = Sha256::new();
    items.iter().for_each(|i| sum.update(format!("{i}\n")));
    let header = header.replace("COUNT", &items.len().to_string());
    sum.update(header.strip_suffix(",\"sha256\":\"SUM\"}").unwrap_or(""));
    let header = header.replace("SUM", &Hex::<32>(sum.finalize().into()).to_string());
    let lines: String = [header.as_str()].iter().chain(items).map(|l| format!("{l}\n")).collect();
    zstd::encode_all(lines.as_bytes(), 1).unwrap()
}

const HEADER: &str = concat!(
    r#"{"v":1,"type":"batch","database":"d","tables":[{"name":"t","columns":["a","b"]}],"#,
    r#""replicas":["01010101010101010101010101010101"],"contexts":[[]],"start":{},"end":{"t":[[0,9]]},"#,
    r#""clock":9,"last":true,"count":COUNT,"sha256":"SUM"}"#
);

fn decode(header: &str, items: &[&str]) -> Result<Batch, Error> {
    decode_batch(&packed(header, items), &Limits::default())
}

/// A value of column `a` of the only item.
fn decode_value(value: &str) -> Result<Cell, Error> {
    let item = format!(r#"["c",0,[0,1],5,0,0,true,{{"0":{value}}}]"#);
    decode(HEADER, &[&item]).map(|b| match &b.items[0] {
        Item::Change(c) => c.columns[0].1.clone(),
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_batch_made_by_hand_is_read() {
    let batch = decode(HEADER, &[r#" [ "c" , 0,[0,1],5,0,0,true,["x",1] , {"rank":0} ] "#]).unwrap();
    let Item::Change(c) = &batch.items[0] else { panic!("a change") };
    assert_eq!((c.dot, c.rank), (dot(1, 1), Some(Stamp(0))));
    assert_eq!(c.columns[1].1, Cell::Value(Value::Integer(1)));
}

#[test]
fn values_have_one_meaning() {
    let check = |json: &str, value: Value| assert_eq!(decode_value(json).unwrap(), Cell::Value(value), "{json}");
    check("9223372036854775807", Value::Integer(i64::MAX));
    check("-9223372036854775808", Value::Integer(i64::MIN));
    check("9223372036854775807.0", Value::Real(i64::MAX as f64));
    check("1e3", Value::Real(1000.0));
    check("-0.0", Value::Real(-0.0));
    check("2.2250738585072011e-308", Value::Real(f64::from_bits(0x000f_ffff_ffff_ffff)));
    check("1e-400", Value::Real(0.0));
    check(r#""\ud83d\ude00""#, Value::text("😀"));
    let refused = |json: &str, reason: &str| match decode_value(json) {
        Err(Error::Item { item: 0, reason: found, .. }) => assert_eq!(found, reason, "{json}"),
        other => panic!("{json}: {other:?}"),
    };
    refused("9223372036854775808", "an integer does not fit 64 bits");
    refused("-9223372036854775809", "an integer does not fit 64 bits");
    refused("18446744073709551616", "an integer does not fit 64 bits");
    refused("-0", "an integer does not fit 64 bits");
    refused("1e400", "it is no JSON");
    refused("NaN", "it is no JSON");
    refused("true", "it has not the form of an item");
    refused(r#""a\u0000b""#, "text with NUL has to be tagged");
    refused(r#""\ud83d""#, "it is no JSON");
    refused(r#"{"real":"nan"}"#, "a tagged real is inf or -inf");
    refused(r#"{"blob":"AB"}"#, "it has broken base64");
    refused(r#"{"blob":"AB==","text":""}"#, "it has broken base64");
    refused(r#"{"blob":"","text":""}"#, "a tagged value has two tags");
    refused(r#"{"blob":0}"#, "it names a long value that was not there");
    refused("{}", "a tagged value has no tag");
    refused(r#"{"date":"x"}"#, "the tag of a value is not known here");
    refused(r#"{"raw":{"raw":1}}"#, "the tag of a value is not known here");
    refused(r#"{"raw":[0,1]}"#, "a raw value is not a row");
    refused("[1,1]", "it names a replica that the header does not");
    refused("[0]", "it is too short");
    refused("[0,1,2]", "it is no JSON");
    refused("[[0,1]]", "it has not the form of an item");
}

#[test]
fn items_of_another_form_are_refused() {
    let refused = |items: &[&str], reason: &str| match decode(HEADER, items) {
        Err(Error::Item { reason: found, .. } | Error::Form { reason: found, .. }) => {
            assert_eq!(found, reason, "{items:?}");
        }
        other => panic!("{items:?}: {other:?}"),
    };
    refused(&["{}"], "it has not the form of an item");
    refused(&[""], "it is no JSON");
    refused(&["[]"], "it is too short");
    refused(&[r#"["z"]"#], "it is of a kind that is not known here");
    refused(&[r#"["c",1,[0,1],5,0,0,true,{}]"#], "it names a table that the header does not");
    refused(&[r#"["c",0,[1,1],5,0,0,true,{}]"#], "it names a replica that the header does not");
    refused(&[r#"["c",0,[0,1],5,1,0,true,{}]"#], "it names a context that the header does not");
    refused(&[r#"["c",0,[0,1],5,0,0,true,{"2":1}]"#], "its columns don't ascend, or the header does not name them");
    refused(
        &[r#"["c",0,[0,1],5,0,0,true,{"1":1,"0":1}]"#],
        "its columns don't ascend, or the header does not name them",
    );
    refused(
        &[r#"["c",0,[0,1],5,0,0,true,{"0":1,"0":1}]"#],
        "its columns don't ascend, or the header does not name them",
    );
    refused(&[r#"["c",0,[0,1],5,0,0,true,[1,2,3]]"#], "it has more columns than the header names");
    refused(&[r#"["c",0,[0,1],5,0,0,true,[1]]"#], "it has fewer columns than the header names");
    refused(&[r#"["c",0,[0,1],5,0,0,false,{}]"#], "existence is null, true or a list");
    refused(&[r#"["c",0,[0,1],5,0,1,true,{}]"#], "a birth is 0 or a dot");
    refused(&[r#"["c",0,[0,1],5,0,0,true,{},{"colour":1}]"#], "it has not the form of an item");
    refused(&[r#"["c",0,[0,1],5,0,0,true,{},{"rank":0,"rank":0}]"#], "it has not the form of an item");
    refused(&[r#"["c",0,[0,1],5,0,0,true,{},{},1]"#], "it is no JSON");
    refused(&[r#"["c",0,[0,0],5,0,0,true,{}]"#], "the number of a write is from 1 to 2^63 - 1");
    refused(&[r#"["c",0,[0,-1],5,0,0,true,{}]"#], "the number of a write is from 1 to 2^63 - 1");
    refused(&[r#"["c",0,[0,1],-1,0,0,true,{}]"#], "a stamp is not negative");
    refused(&[r#"["c",0,[0,1],5,0,[0,2],true,{},{"origin":{}}]"#], "only an insert has an origin");
    refused(
        &[r#"["c",0,[0,1],5,0,0,true,{},{"origin":{"awaits":[2]}}]"#],
        "it awaits a column that the header does not name",
    );
    refused(&[r#"["c",0,[0,1],5,0,0,true,{},{"unseen":[[2,[0,1]]]}]"#], "it names a column that the header does not");
    refused(&[r#"["a",0,[0,1],5,"key",[0,2],[0,1]]"#], "the two births of an alias must differ, the smaller first");
    refused(&[r#"["a",0,[0,1],5,"like",[0,1],[0,2]]"#], "its kind of alias is not known here");
    refused(&[r#"["x",0,[0,1],5,[0,1],2,[[0,1],1],[[0,2],1],"unique"]"#], "it names a column that the header does not");
    refused(&[r#"["x",0,[0,1],5,[0,1],null,[[0,1],1],[[0,2],1],"odd"]"#], "its kind of conflict is not known here");
    refused(&[r#"["text",1,"x"]"#], "a piece of a long value is out of its order");
    refused(&[r#"["bytes",0,"?"]"#], "it has broken base64");
    let item = r#"["c",0,[0,1],5,0,0,true,{}]"#;
    refused(&[r#"["text",0,"x"]"#, item], "it does not use all of its long values");
    let twice = r#"["c",0,[0,1],5,0,0,true,{"0":{"blob":0},"1":{"blob":0}}]"#;
    refused(&[r#"["text",0,"x"]"#, twice], "it names a long value that was not there");
}

#[test]
fn a_header_that_is_not_in_order_is_refused() {
    let check = |from: &str, to: &str, code: &str| {
        assert!(HEADER.contains(from), "{from}");
        let error = decode(&HEADER.replace(from, to), &[]).unwrap_err();
        assert_eq!(error.code(), code, "{to}: {error}");
        assert!(!error.hint().is_empty());
    };
    check(r#""v":1"#, r#""v":2"#, "message_version");
    check(r#""v":1"#, r#""v":2,"new":true"#, "message_version");
    check(r#""type":"batch""#, r#""type":"hello""#, "message_type");
    check(r#""clock":9"#, r#""clock":9,"colour":1"#, "message_malformed");
    check(r#""clock":9"#, r#""clock":-9"#, "message_malformed");
    check(r#""clock":9,"#, "", "message_malformed");
    check(r#"[[0,9]]"#, r#"[[1,9]]"#, "message_malformed");
    check(r#"[[0,9]]"#, r#"[[0,9],[0,8]]"#, "message_malformed");
    check(r#"[[0,9]]"#, r#"[[0,9223372036854775808]]"#, "message_malformed");
    check(r#""end":{"#, r#""end":{"t":[],"#, "message_malformed");
    check(r#""contexts":[[]]"#, r#""contexts":[[[0,1],[0,1]]]"#, "message_malformed");
    check(r#"["a","b"]"#, r#"["a","a"]"#, "message_malformed");
    let twice = r#"["01010101010101010101010101010101","01010101010101010101010101010101"]"#;
    check(r#"["01010101010101010101010101010101"]"#, twice, "message_malformed");
    check(r#""count":COUNT"#, r#""count":1"#, "batch_count");
    check(r#""count":COUNT"#, r#""count":18446744073709551615"#, "message_too_large");
    check(r#""database":"d""#, &format!(r#""database":"{}""#, "d".repeat(1025)), "message_too_large");
    check("SUM", &"0".repeat(64), "checksum");
    let item = r#"["c",0,[0,1],5,0,0,true,{}]"#;
    let few = HEADER.replace("COUNT", "0");
    assert_eq!(decode(&few, &[item]).unwrap_err().code(), "batch_count");
}

#[test]
fn no_error_quotes_a_value() {
    let canary = "$2b$12$canary";
    for item in [
        format!(r#"["c","{canary}",[0,1],5,0,0,true,{{}}]"#),
        format!(r#"["c",0,[0,1],5,0,0,true,["{canary}"]]"#),
        format!(r#"["c",0,[0,1],5,0,0,true,{{"{canary}":1}}]"#),
        format!(r#"["c",0,[0,1],5,0,0,"{canary}",{{}}]"#),
        format!(r#"["c",0,[0,1],5,0,0,true,{{}},{{"{canary}":1}}]"#),
        format!(r#"["c",0,[0,1],5,0,0,true,["{canary}",{{"real":"{canary}"}}]]"#),
        format!(r#"["{canary}"]"#),
        format!(r#"["c",0,[0,1],5,0,0,true,["{canary}]"#),
    ] {
        let error = decode(HEADER, &[&item]).unwrap_err();
        assert!(!format!("{error} {error:?} {}", error.hint()).contains("canary"), "{error:?}");
    }
}

#[test]
fn every_byte_of_a_batch_is_covered() {
    let encoded = encode_batch(&golden::batch(), &Limits::default()).unwrap();
    let mut lines = Vec::new();
    std::io::Read::read_to_end(&mut zstd::Decoder::new(encoded.bytes.as_slice()).unwrap(), &mut lines).unwrap();
    for n in 0..lines.len() {
        let mut other = lines.clone();
        other[n] ^= 1;
        let packed = zstd::encode_all(other.as_slice(), 1).unwrap();
        assert!(decode_batch(&packed, &Limits::default()).is_err(), "byte {n}");
    }
    for n in 0..encoded.bytes.len() {
        assert!(decode_batch(&encoded.bytes[..n], &Limits::default()).is_err(), "cut at {n}");
    }
}

#[test]
fn bounds_hold_at_both_ends() {
    let small = Limits { items: 21, ..Limits::default() };
    let batch = golden::batch();
    assert_eq!(batch.items.len(), 22);
    let encoded = encode_batch(&batch, &Limits::default()).unwrap();
    let both = |limits: Limits| {
        assert_eq!(encode_batch(&batch, &limits).unwrap_err().code(), "message_too_large", "{limits:?}");
        assert_eq!(decode_batch(&encoded.bytes, &limits).unwrap_err().code(), "message_too_large", "{limits:?}");
    };
    both(small);
    both(Limits { batch: 2_000, large: 2_000, ..Limits::default() });
    both(Limits { batch: 2_000, ..Limits::default() });
    both(Limits { line: 250, ..Limits::default() });
    both(Limits { tables: 1, ..Limits::default() });
    both(Limits { columns: 16, ..Limits::default() });
    both(Limits { replicas: 1, ..Limits::default() });
    both(Limits { contexts: 1, ..Limits::default() });
    both(Limits { name: 7, ..Limits::default() });
}

#[test]
fn the_sender_notices_a_batch_that_is_not_in_order() {
    let check = |edit: &dyn Fn(&mut Change), reason: &str| {
        let mut batch = rows(2);
        let Item::Change(c) = &mut batch.items[1] else { panic!("a change") };
        edit(c);
        match encode_batch(&batch, &Limits::default()) {
            Err(Error::Form { item: 1, reason: found }) => assert_eq!(found, reason),
            other => panic!("{other:?}"),
        }
    };
    check(&|c| c.table = 1, "it names a table that the header does not");
    check(&|c| c.context = 1, "it names a context that the header does not");
    check(&|c| c.columns[0].0 = 1, "its columns don't ascend");
    check(&|c| c.columns[8].0 = 9, "it names a column that the header does not");
    check(&|c| c.columns[0].1 = Cell::Value(Value::Real(f64::NAN)), "SQLite has no NaN");
    check(&|c| c.birth = dot(1, 7), "only an insert has an origin");
    check(&|c| c.dot = dot(1, 0), "the number of a write is from 1 to 2^63 - 1");
}

/// A value that packs to almost nothing is filled up, so that little never unpacks to much.
#[test]
fn a_large_value_travels_and_a_bomb_does_not() {
    let limits = Limits { batch: 1 << 20, ..Limits::default() };
    let mut batch = golden::long_batch();
    let Item::Change(c) = &mut batch.items[0] else { panic!("a change") };
    c.columns[1].1 = Cell::Value(Value::Blob(vec![0; 30_000_000].into()));
    let encoded = encode_batch(&batch, &limits).unwrap();
    assert!(encoded.unpacked > 40_000_000);
    assert!(encoded.bytes.len() as u64 * 20 >= encoded.unpacked);
    assert!(encoded.bytes.len() < 3_000_000);
    assert_eq!(decode_batch(&encoded.bytes, &limits).unwrap(), batch);
    let mut lines = Vec::new();
    std::io::Read::read_to_end(&mut zstd::Decoder::new(encoded.bytes.as_slice()).unwrap(), &mut lines).unwrap();
    let bomb = zstd::encode_all(lines.as_slice(), 3).unwrap();
    assert!(bomb.len() < 100_000);
    assert_eq!(decode_batch(&bomb, &limits).unwrap_err().code(), "message_too_large");
    // Two writes can be cut, so they have to be.
    let mut second = c_of(&batch);
    second.dot.seq = Seq(2);
    second.birth = second.dot;
    second.columns.clear();
    batch.items.push(Item::Change(second));
    assert_eq!(encode_batch(&batch, &limits).unwrap_err().code(), "message_too_large");
    let wide = encode_batch(&batch, &Limits::default()).unwrap();
    assert_eq!(decode_batch(&wide.bytes, &limits).unwrap_err().code(), "message_too_large");
}

fn c_of(batch: &Batch) -> Change {
    match &batch.items[0] {
        Item::Change(c) => c.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_with_anything_unknown_missing_or_doubled_are_refused() {
    fn check<M: Message + std::fmt::Debug>(file: &str) {
        let text = String::from_utf8(golden::read(file)).unwrap();
        let limits = Limits::default();
        let code = |text: &str| M::from_json(text.as_bytes(), &limits).unwrap_err().code();
        assert_eq!(code(&text.replacen("\"v\":1", "\"v\":2", 1)), "message_version");
        assert_eq!(code(&text.replacen("\"v\":1", "\"v\":1,\"x\":0", 1)), "message_malformed");
        assert_eq!(code(&text.replacen("\"v\":1", "\"v\":1,\"v\":1", 1)), "message_malformed");
        assert_eq!(code(&text.replacen("\"v\":1,", "", 1)), "message_malformed");
        let other = text.replacen(&format!("\"type\":\"{}\"", M::KIND), "\"type\":\"other\"", 1);
        assert_eq!(code(&other), "message_type");
        assert_eq!(code(&format!("{text} {text}")), "message_malformed");
        assert_eq!(code(""), "message_malformed");
        for n in 0..text.len() {
            assert!(M::from_json(&text.as_bytes()[..n], &limits).is_err());
        }
        let tight = Limits { message: text.len() - 1, ..limits };
        assert_eq!(M::from_json(text.as_bytes(), &tight).unwrap_err().code(), "message_too_large");
    }
    check::<Hello>("hello.json");
    check::<Pull>("pull.json");
    check::<PushAck>("push_ack.json");
    check::<Digests>("digests.json");
    check::<DigestsReply>("digests_reply.json");
    check::<Refusal>("error.json");
    check::<PartHead>("part.json");
    check::<PartRequest>("part_request.json");
    check::<PartAck>("part_ack.json");
    check::<Ranges>("ranges.json");
    check::<RangesReply>("ranges_reply.json");
    check::<Births>("births.json");
    check::<BirthsReply>("births_reply.json");
    check::<Rows>("rows.json");
    check::<RowsReply>("rows_reply.json");
}

#[test]
fn nothing_in_a_message_is_unbounded() {
    let check = |limits: Limits| {
        let error = Hello::from_json(&golden::hello().to_json(), &limits).unwrap_err();
        assert_eq!(error.code(), "message_too_large", "{limits:?}");
    };
    check(Limits { name: 8, ..Limits::default() });
    check(Limits { tables: 1, ..Limits::default() });
    check(Limits { columns: 1, ..Limits::default() });
    check(Limits { replicas: 1, ..Limits::default() });
    check(Limits { sentence: 10, ..Limits::default() });
    let mut hello = golden::hello();
    hello.databases[0].tables[1].name = "match".into();
    assert_eq!(Hello::from_json(&hello.to_json(), &Limits::default()).unwrap_err().code(), "message_malformed");
    let deep = format!("{{\"v\":1,\"type\":\"hello\",\"databases\":{}", "[".repeat(1_000_000));
    assert_eq!(Hello::from_json(deep.as_bytes(), &Limits::default()).unwrap_err().code(), "message_malformed");
    let deep = format!("[\"c\",{}", "[".repeat(1_000_000));
    assert_eq!(decode(HEADER, &[&deep]).unwrap_err().code(), "batch_malformed");
}

#[test]
fn a_body_goes_in_parts_and_is_put_together() {
    let limits = Limits { message: 1_000, ..Limits::default() };
    let body: Vec<u8> = (0..10_000_u32).map(|n| ((n * n) >> 5) as u8).collect();
    let cut = Cut::new(&body, &limits);
    let parts: Vec<Vec<u8>> = (0..cut.of()).map(|n| cut.part(n).unwrap()).collect();
    assert!(cut.part(cut.of()).is_none());
    assert!(parts.iter().all(|p| is_part(p) && p.len() <= 1_000));
    let mut together = Parts::new();
    let mut add = |n: usize| {
        let (head, bytes) = read_part(&parts[n], &limits)?;
        together.add(&head, bytes, &limits)
    };
    assert_eq!(add(1).unwrap_err().code(), "part");
    for n in 0..parts.len() - 1 {
        assert_eq!(add(n).unwrap(), Progress::Next(n as u32 + 1));
        // The answer was lost, and it comes again.
        assert_eq!(add(n).unwrap(), Progress::Next(n as u32 + 1));
    }
    assert_eq!(add(parts.len() - 1).unwrap(), Progress::Whole(body.clone()));

    let mut together = Parts::new();
    let (head, bytes) = read_part(&parts[0], &limits).unwrap();
    together.add(&head, bytes, &limits).unwrap();
    for n in 1..parts.len() {
        let (head, bytes) = read_part(&parts[n], &limits).unwrap();
        let mut bytes = bytes.to_vec();
        bytes[0] ^= 1;
        match together.add(&head, &bytes, &limits) {
            Ok(progress) => assert_eq!(progress, Progress::Next(n as u32 + 1)),
            Err(error) => assert_eq!((n, error.code()), (parts.len() - 1, "checksum")),
        }
    }
    let tight = Limits { batch: 5_000, large: 5_000, ..limits };
    assert_eq!(Parts::new().add(&head, bytes, &tight).unwrap_err().code(), "message_too_large");
    let long = PartHead { length: 500, ..head };
    assert_eq!(Parts::new().add(&long, bytes, &limits).unwrap_err().code(), "part");
}

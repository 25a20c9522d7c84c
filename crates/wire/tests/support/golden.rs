//! What the golden messages say, and where they lie.
use super::{dot, replica};
use lockstep_engine::change::*;
use lockstep_engine::compare::{Cell as Told, ColumnState, Part, RangeSum, RowState};
use lockstep_engine::id::*;
use lockstep_engine::value::Value;
use lockstep_wire::Hex;
use lockstep_wire::compare::*;
use lockstep_wire::message::*;
use lockstep_wire::parts::{PartAck, PartHead, PartRequest};
use std::path::PathBuf;

/// Every message but the batch, by file.
pub const MESSAGES: [&str; 17] = [
    "hello.json",
    "hello_part.json",
    "hello_marks.json",
    "pull.json",
    "push_ack.json",
    "digests.json",
    "digests_reply.json",
    "error.json",
    "part.json",
    "part_request.json",
    "part_ack.json",
    "ranges.json",
    "ranges_reply.json",
    "births.json",
    "births_reply.json",
    "rows.json",
    "rows_reply.json",
];

pub fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/v1").join(file)
}

/// The bytes of a golden file, without the newline at its end.
pub fn read(file: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(path(file)).unwrap();
    assert_eq!(bytes.pop(), Some(b'\n'), "{file} ends with a newline");
    bytes
}

fn vector() -> Vector {
    [(replica(0x11), Seq(41)), (replica(0x22), Seq(9_007_199_254_740_993))].into()
}

fn states() -> Vec<TableState> {
    let state = |name: &str, vector, rows| TableState {
        name: name.into(),
        vector,
        rows,
        digest: Hex([0xd1; 16]),
        under_way: false,
    };
    vec![state("match", Vector::new(), 0), state("team", vector(), 3)]
}

pub fn hello() -> Hello {
    let table = |name: &str, columns: &[&str], vector, rows| TableHello {
        name: name.into(),
        columns: columns.iter().map(|c| (*c).into()).collect(),
        fingerprint: Hex([0xf1; 32]),
        vector,
        rows,
        digest: Hex([0xd1; 16]),
        under_way: false,
        way: Way::Both,
        withheld: Vec::new(),
        without: Vec::new(),
    };
    Hello {
        node: Hex([0xa0; 32]),
        name: "pit server".into(),
        now_ms: Millis(1_760_000_000_123),
        word: Word::First,
        databases: vec![DatabaseHello {
            closed: Vec::new(),
            name: "scouting".into(),
            replica: replica(0x11),
            mark: Hex([0x3c; 16]),
            mark_seq: 0,
            heard: None,
            clock: Stamp(115_343_360_000_000_001),
            digest_key: Hex([0x5e; 16]),
            held: 2,
            conflicts_unreviewed: 1,
            capture: vec!["table `match` has lost its triggers".into()],
            tables: vec![
                table("match", &["id", "match_number"], Vector::new(), 0),
                table("team", &["id", "größe \"x\""], vector(), 3),
            ],
        }],
    }
}

/// A hello of a node that does not let everything pass.
pub fn hello_part() -> Hello {
    let mut hello = hello();
    hello.databases[0].closed = vec!["api token".into()];
    let table = &mut hello.databases[0].tables[1];
    table.way = Way::Receive;
    table.withheld = vec!["größe \"x\"".into()];
    table.without = vec!["größe \"x\"".into(), "note".into()];
    hello
}

/// The same, from a node that says which mark it is at and what it has heard of the other.
pub fn hello_marks() -> Hello {
    let mut hello = hello();
    hello.databases[0].mark_seq = 4_711;
    hello.databases[0].heard =
        Some(HeardMark { replica: replica(0x22), mark_seq: 9_007_199_254_740_993, mark: Hex([0x3d; 16]) });
    hello
}

pub fn pull() -> Pull {
    Pull {
        database: "scouting".into(),
        have: [("match".to_owned(), Vector::new()), ("team".to_owned(), vector())].into(),
        except: vec!["event".into()],
        limit: PullLimit { items: 4_000, bytes: 4_194_304 },
    }
}

pub fn push_ack() -> PushAck {
    let applied = Counts { inserts: 1, updates: 2, deletes: 3, conflicts: 4, id_moves: 5, held: 6, writes: 7 };
    PushAck { database: "scouting".into(), applied, tables: states() }
}

pub fn digests() -> Digests {
    Digests { database: "scouting".into(), tables: vec!["team".into()] }
}

pub fn digests_reply() -> DigestsReply {
    DigestsReply { database: "scouting".into(), tables: states() }
}

pub fn refusal() -> Refusal {
    Refusal {
        code: Refusal::START_NOT_REACHED.into(),
        message: "table `team` is not where the batch starts".into(),
        hint: "The next session goes on from where it stands.".into(),
    }
}

pub fn part() -> PartHead {
    PartHead { whole: Hex([0x77; 32]), length: 20_000_000, index: 1, of: 3 }
}

pub fn part_request() -> PartRequest {
    PartRequest { whole: Hex([0x77; 32]), index: 2 }
}

pub fn part_ack() -> PartAck {
    PartAck { whole: Hex([0x77; 32]), next: 2 }
}

fn change(table: usize, write: Dot, stamp: i64, columns: Vec<(usize, Cell)>) -> Change {
    Change {
        table,
        birth: write,
        dot: write,
        stamp: Stamp(stamp),
        rank: None,
        context: 0,
        unseen: Vec::new(),
        existence: None,
        columns,
        origin: None,
    }
}

/// Every kind of item and of value, and every field.
pub fn batch() -> Batch {
    let value = Cell::Value;
    let all: Vec<Value> = vec![
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Real(1.0),
        Value::Real(-0.0),
        Value::Real(5e-324),
        Value::Real(1e300),
        Value::Real(0.1),
        Value::Real(1e16),
        Value::Real(f64::INFINITY),
        Value::Real(f64::NEG_INFINITY),
        Value::text(""),
        Value::text("größe \"\\\n\u{1}\u{7f}\u{2028}😀"),
        Value::Text(b"a\0b".as_slice().into()),
        Value::Text([0xff, 0xfe].as_slice().into()),
        Value::Blob([].as_slice().into()),
        Value::Blob([0, 1, 2, 255].as_slice().into()),
    ];
    let values = (0..all.len()).map(|n| format!("v{n}")).collect();
    let mut items = vec![
        Item::Change(Change {
            existence: Some(Existence::Lives),
            origin: Some(Origin { id: Some(5), alone: true, awaits: vec![1] }),
            rank: Some(Stamp(0)),
            ..change(0, dot(0x11, 7), 1_000, vec![(0, value(Value::Integer(5))), (2, Cell::Row(dot(0x22, 3)))])
        }),
        Item::Change(Change {
            existence: Some(Existence::Lives),
            origin: Some(Origin { id: None, alone: false, awaits: Vec::new() }),
            ..change(1, dot(0x11, 1), 1_001, all.into_iter().map(value).enumerate().collect())
        }),
        Item::Change(Change {
            birth: dot(0x11, 7),
            context: 1,
            unseen: vec![(None, dot(0x22, 8)), (Some(1), dot(0x22, 9))],
            ..change(0, dot(0x22, 40), 66_537, vec![(1, value(Value::text("x"))), (2, Cell::Raw(Value::Integer(99)))])
        }),
        Item::Change(Change {
            birth: dot(0x11, 3),
            existence: Some(Existence::Deleted {
                dangling: [("match", "team_id", 4), ("match", "team_id", 5), ("pick", "team_id", 6)]
                    .map(|(table, column, seq)| ReferenceWrite {
                        table: table.into(),
                        column: column.into(),
                        dot: dot(0x11, seq),
                    })
                    .into(),
            }),
            ..change(0, dot(0x22, 41), 66_538, Vec::new())
        }),
        Item::Change(Change {
            birth: dot(0x11, 4),
            existence: Some(Existence::Deleted { dangling: Vec::new() }),
            ..change(0, dot(0x22, 41), 66_538, Vec::new())
        }),
    ];
    for (n, kind) in [AliasKind::Key, AliasKind::Fall, AliasKind::Hand, AliasKind::Apart].into_iter().enumerate() {
        let n = n as u64;
        let births = [dot(0x11, 7), dot(0x22, 2 + n)];
        items.push(Item::Alias(Alias {
            table: 0,
            dot: dot(0x22, 42 + n),
            stamp: Stamp(66_539 + n as i64),
            kind,
            births,
        }));
    }
    for (n, kind) in ConflictKind::ALL.into_iter().take(13).enumerate() {
        let on_value = n % 2 == 0;
        items.push(Item::Conflict(ConflictRecord {
            table: 0,
            dot: dot(0x22, 46 + n as u64),
            stamp: Stamp(66_543 + n as i64),
            birth: dot(0x11, 7),
            register: on_value.then_some(1),
            loser: dot(0x11, 9),
            loser_stamp: Stamp(1_500),
            value: on_value.then(|| value(Value::text("mine"))),
            winner: dot(0x22, 40),
            winner_stamp: Stamp(66_537),
            winner_value: on_value.then(|| value(Value::text("theirs"))),
            kind,
        }));
    }
    Batch {
        database: "scouting".into(),
        tables: vec![
            TableHead { name: "team".into(), columns: vec!["id".into(), "name".into(), "event \"id\"".into()] },
            TableHead { name: "values".into(), columns: values },
        ],
        contexts: vec![Context::default(), Context { seen: vec![(replica(0x11), Seq(7))] }],
        start: [("team".to_owned(), [(replica(0x11), Seq(6)), (replica(0x22), Seq(39))].into())].into(),
        end: [
            ("team".to_owned(), [(replica(0x11), Seq(9)), (replica(0x22), Seq(58))].into()),
            ("values".to_owned(), [(replica(0x11), Seq(1))].into()),
        ]
        .into(),
        clock: Stamp(70_000),
        last: true,
        until: Vectors::new(),
        hosts: [].into(),
        items,
    }
}

/// What a person said about conflicts.
pub fn decisions() -> Batch {
    let mut batch = super::empty("team", &["name"]);
    for (n, kept) in Kept::ALL.into_iter().enumerate() {
        let (dot_, loser) = (dot(0x22, 5 + n as u64), dot(0x11, 9 + n as u64));
        let stamp = Stamp(66_600 + n as i64);
        batch.items.push(Item::Decision(Decision { table: 0, dot: dot_, stamp, birth: dot(0x11, 7), loser, kept }));
    }
    batch
}

/// What somebody wrote of whom the receiver may not have heard.
pub fn hosts() -> Batch {
    let mut batch = super::empty("team", &["name"]);
    let host = |n: u8, name: &str| (replica(n), Host { node: [n; 32], name: name.into() });
    batch.hosts = [host(0x11, "pit"), host(0x22, "home é")].into();
    batch
}

/// One value that is too long for a line.
pub fn long_batch() -> Batch {
    let mut batch = super::empty("values", &["a", "b", "c"]);
    let long = |n: usize| "0123456789abcdé".repeat(n);
    let columns = vec![
        (0, Cell::Value(Value::text(&long(14_000)))),
        (1, Cell::Raw(Value::Blob(long(4_500).into_bytes().into()))),
        (2, Cell::Value(Value::Text([long(4_400).as_bytes(), b"\0"].concat().into()))),
    ];
    batch.items.push(Item::Change(change(0, dot(0x11, 1), 5, columns)));
    batch
}

fn range(name: &str) -> RangeName {
    RangeName(name.parse().unwrap())
}

pub fn ranges() -> Ranges {
    Ranges { database: "scouting".into(), table: "team".into(), ranges: vec![range(""), range("0f")] }
}

pub fn ranges_reply() -> RangesReply {
    let parts = std::array::from_fn(|n| RangeSum { births: n as u64, hash: 0xd1 << n });
    RangesReply {
        database: "scouting".into(),
        table: "team".into(),
        without: vec!["secret".into()],
        vector: vector(),
        ranges: vec![RangeParts::new(range("0f").0, &parts)],
    }
}

pub fn births() -> Births {
    Births { database: "scouting".into(), table: "team".into(), ranges: vec![range("0f"), range("beef")] }
}

pub fn births_reply() -> BirthsReply {
    BirthsReply {
        database: "scouting".into(),
        table: "team".into(),
        without: Vec::new(),
        vector: vector(),
        births: vec![
            Part { birth: dot(0x11, 7), hash: u128::MAX }.into(),
            Part { birth: dot(0x22, 1), hash: 1 }.into(),
        ],
    }
}

pub fn rows() -> Rows {
    Rows { database: "scouting".into(), table: "team".into(), births: vec![dot(0x11, 7).into(), dot(0x22, 1).into()] }
}

/// A value of every kind.
pub fn row() -> RowState {
    let cells = [
        Told::Value(Value::Null),
        Told::Value(Value::Integer(i64::MIN)),
        Told::Value(Value::Real(1.0)),
        Told::Value(Value::Real(-0.0)),
        Told::Value(Value::Real(f64::NEG_INFINITY)),
        Told::Value(Value::text("é\"")),
        Told::Value(Value::Text(b"a\0\xff".as_slice().into())),
        Told::Value(Value::Blob([0, 255].as_slice().into())),
        Told::Raw(Value::Integer(99)),
        Told::Raw(Value::Blob([1].as_slice().into())),
        Told::Row(dot(0x22, 5)),
        Told::Large { bytes: 1 << 40, sha256: [0x77; 32] },
    ];
    let mut columns: Vec<ColumnState> =
        cells.into_iter().enumerate().map(|(n, c)| ColumnState { name: format!("c{n}"), cells: vec![c] }).collect();
    columns[0].cells.push(Told::Value(Value::Integer(2)));
    RowState {
        birth: dot(0x11, 7),
        key: Some("[\"x\",1]".into()),
        lives: true,
        dots: vec![dot(0x11, 7), dot(0x22, 4)],
        columns,
        aliases: vec![(dot(0x22, 1), AliasKind::Key), (dot(0x22, 9), AliasKind::Apart)],
    }
}

pub fn rows_reply() -> RowsReply {
    let dead = RowState {
        birth: dot(0x22, 1),
        key: None,
        lives: false,
        dots: vec![dot(0x22, 3)],
        columns: Vec::new(),
        aliases: Vec::new(),
    };
    RowsReply {
        database: "scouting".into(),
        table: "team".into(),
        without: Vec::new(),
        vector: vector(),
        looked: 3,
        rows: vec![RowTold::new(row(), 1000), RowTold::new(dead, 1000)],
    }
}

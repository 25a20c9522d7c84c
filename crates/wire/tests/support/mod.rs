//! Batches for tests: any that are in order, and large ones of the kind that an application makes.
#![allow(dead_code, reason = "each test file uses some of it")]
pub mod fake;
pub mod golden;

use lockstep_engine::change::*;
use lockstep_engine::id::*;
use lockstep_engine::value::Value;
use proptest::collection::vec;
use proptest::prelude::*;

pub fn replica(n: u8) -> ReplicaId {
    ReplicaId([n; 16])
}

pub fn dot(r: u8, seq: u64) -> Dot {
    Dot { replica: replica(r), seq: Seq(seq) }
}

fn any_dot() -> impl Strategy<Value = Dot> {
    (0..4u8, prop_oneof![1..100u64, 1..=i64::MAX as u64]).prop_map(|(r, s)| dot(r, s))
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    prop_oneof![0..1000i64, 0..=i64::MAX].prop_map(Stamp)
}

fn any_bytes() -> impl Strategy<Value = std::sync::Arc<[u8]>> {
    vec(any::<u8>(), 0..12).prop_map(Into::into)
}

pub fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        (-3..3i64).prop_map(Value::Integer),
        any::<u64>().prop_map(|b| Value::Real(f64::from_bits(b))).prop_filter("SQLite has no NaN", |v| match v {
            Value::Real(f) => !f.is_nan(),
            _ => true,
        }),
        prop::sample::select(vec![0.0, -0.0, 1.0, 1e16, 1e300, 5e-324, f64::MAX, 9.3e18, -9.3e18, 1e15])
            .prop_map(Value::Real),
        prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY]).prop_map(Value::Real),
        any::<String>().prop_map(|s| Value::text(&s)),
        any_bytes().prop_map(Value::Text),
        any_bytes().prop_map(Value::Blob),
        "[\\x00-\\x1f\"\\\\a-c]{0,8}".prop_map(|s| Value::text(&s)),
    ]
}

fn any_cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        4 => any_value().prop_map(Cell::Value),
        1 => any_dot().prop_map(Cell::Row),
        1 => any_value().prop_map(Cell::Raw),
    ]
}

fn any_register(columns: usize) -> impl Strategy<Value = Option<usize>> {
    prop::option::of(0..columns)
}

fn any_existence() -> impl Strategy<Value = Option<Existence>> {
    let reference = (prop::sample::select(vec!["match", "te\"am"]), "[a-c]{1}", any_dot())
        .prop_map(|(table, column, dot)| ReferenceWrite { table: table.into(), column, dot });
    prop_oneof![
        Just(None),
        Just(Some(Existence::Lives)),
        vec(reference, 0..5).prop_map(|dangling| Some(Existence::Deleted { dangling })),
    ]
}

fn any_change(table: usize, columns: usize, contexts: usize) -> impl Strategy<Value = Change> {
    (
        (any_dot(), any_dot(), any::<bool>(), any_stamp(), prop::option::of(any_stamp())),
        (0..contexts, vec((any_register(columns), any_dot()), 0..3), any_existence()),
        vec(prop::option::of(any_cell()), columns),
        (prop::option::of(any::<i64>()), any::<bool>(), vec(any::<bool>(), columns), any::<bool>()),
    )
        .prop_map(move |((birth, dot, insert, stamp, rank), (context, unseen, existence), cells, origin)| {
            let (id, alone, awaits, has_origin) = origin;
            let awaits = awaits.iter().enumerate().filter(|(_, a)| **a).map(|(n, _)| n).collect();
            Change {
                table,
                birth: if insert { dot } else { birth },
                dot,
                stamp,
                rank,
                context,
                unseen,
                existence,
                columns: cells.into_iter().enumerate().filter_map(|(n, c)| Some((n, c?))).collect(),
                origin: (has_origin && (insert || birth == dot)).then_some(Origin { id, alone, awaits }),
            }
        })
}

fn any_alias(table: usize) -> impl Strategy<Value = Alias> {
    let kind = prop::sample::select(vec![AliasKind::Hand, AliasKind::Apart, AliasKind::Fall, AliasKind::Key]);
    (any_dot(), any_stamp(), kind, any_dot(), any_dot()).prop_filter_map(
        "two births",
        move |(dot, stamp, kind, a, b)| {
            (a != b).then(|| Alias { table, dot, stamp, kind, births: [a.min(b), a.max(b)] })
        },
    )
}

fn any_conflict(table: usize, columns: usize) -> impl Strategy<Value = ConflictRecord> {
    (
        (any_dot(), any_stamp(), any_dot(), any_register(columns)),
        (any_dot(), any_stamp(), prop::option::of(any_cell())),
        (any_dot(), any_stamp(), prop::option::of(any_cell())),
        prop::sample::select(ConflictKind::ALL.to_vec()),
    )
        .prop_map(move |((dot, stamp, birth, register), l, w, kind)| ConflictRecord {
            table,
            dot,
            stamp,
            birth,
            register,
            loser: l.0,
            loser_stamp: l.1,
            value: l.2,
            winner: w.0,
            winner_stamp: w.1,
            winner_value: w.2,
            kind,
        })
}

fn any_decision(table: usize) -> impl Strategy<Value = Decision> {
    (any_dot(), any_stamp(), any_dot(), any_dot(), prop::sample::select(Kept::ALL.to_vec()))
        .prop_map(move |(dot, stamp, birth, loser, kept)| Decision { table, dot, stamp, birth, loser, kept })
}

fn any_vectors() -> impl Strategy<Value = Vectors> {
    let vector = prop::collection::btree_map((0..4u8).prop_map(replica), (0..=i64::MAX as u64).prop_map(Seq), 0..3);
    prop::collection::btree_map("[a-z]{1,3}", vector, 0..3)
}

/// Any batch that is in order.
pub fn any_batch() -> impl Strategy<Value = Batch> {
    let tables = vec![
        TableHead { name: "team".into(), columns: vec!["id".into(), "na\"me".into(), "größe".into()] },
        TableHead { name: "odd one".into(), columns: vec!["x".into()] },
    ];
    let contexts =
        vec![Context::default(), Context { seen: vec![(replica(1), Seq(4)), (replica(3), Seq(i64::MAX as u64))] }];
    let item = prop_oneof![
        6 => any_change(0, 3, 2).prop_map(Item::Change),
        2 => any_change(1, 1, 2).prop_map(Item::Change),
        1 => any_alias(1).prop_map(Item::Alias),
        1 => any_conflict(0, 3).prop_map(Item::Conflict),
        1 => any_decision(1).prop_map(Item::Decision),
    ];
    let host = (any::<[u8; 32]>(), "[a-zé ]{1,9}").prop_map(|(node, name)| Host { node, name });
    let hosts = prop::collection::btree_map((0..4u8).prop_map(replica), host, 0..3);
    (vec(item, 0..8), any_vectors(), any_vectors(), any_stamp(), any::<bool>(), hosts).prop_map(
        move |(items, start, end, clock, last, hosts)| Batch {
            database: "scouting".into(),
            tables: tables.clone(),
            contexts: contexts.clone(),
            start,
            until: if last { Vectors::new() } else { end.clone() },
            end,
            hosts,
            clock,
            last,
            items,
        },
    )
}

/// A small generator of numbers, so that large batches are the same every time.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A batch of one table without items.
pub fn empty(table: &str, columns: &[&str]) -> Batch {
    Batch {
        database: "scouting".into(),
        tables: vec![TableHead { name: table.into(), columns: columns.iter().map(|c| (*c).into()).collect() }],
        contexts: vec![Context::default()],
        start: Vectors::new(),
        end: Vectors::new(),
        clock: Stamp::at(Millis(1_760_000_000_000)),
        last: true,
        until: Vectors::new(),
        hosts: [].into(),
        items: Vec::new(),
    }
}

/// `n` rows of about 400 bytes, as a first sync carries them.
pub fn rows(n: u64) -> Batch {
    let columns = [
        "id",
        "match_id",
        "team_id",
        "scout_id",
        "scouting_station",
        "timestamp",
        "alliance",
        "data_json",
        "is_active",
    ];
    let mut batch = empty("scouting_data", &columns);
    let mut numbers = Numbers(7);
    let words = ["auto", "teleop", "climb", "defense", "fouls", "cycles", "broke down", "notes", "speaker", "amp"];
    for seq in 1..=n {
        let mut json = String::from("{");
        while json.len() < 250 {
            let word = words[numbers.below(10) as usize];
            json.push_str(&format!("\"{word}_{}\": {}, ", numbers.below(30), numbers.below(200)));
        }
        json.push('}');
        let values = [
            Cell::Value(Value::Integer(seq as i64)),
            Cell::Row(dot(1, 1 + numbers.below(500))),
            Cell::Row(dot(1, 1 + numbers.below(60))),
            Cell::Row(dot(2, 1 + numbers.below(40))),
            Cell::Value(Value::Integer(numbers.below(6) as i64)),
            Cell::Value(Value::text(&format!(
                "2025-03-{:02} {:02}:{:02}:{:02}.{:06}",
                1 + numbers.below(28),
                numbers.below(24),
                numbers.below(60),
                numbers.below(60),
                numbers.below(1_000_000)
            ))),
            Cell::Value(Value::text(if numbers.below(2) == 0 { "red" } else { "blue" })),
            Cell::Value(Value::text(&json)),
            Cell::Value(Value::Integer(1)),
        ];
        batch.items.push(Item::Change(Change {
            table: 0,
            birth: dot(1, seq),
            dot: dot(1, seq),
            stamp: Stamp(seq as i64),
            rank: None,
            context: 0,
            unseen: Vec::new(),
            existence: Some(Existence::Lives),
            columns: values.into_iter().enumerate().collect(),
            origin: Some(Origin { id: Some(seq as i64), alone: true, awaits: Vec::new() }),
        }));
    }
    batch
}

/// `n` updates of one column each, by one application, over some minutes, of rows all over a table of 100,000.
pub fn updates(n: u64) -> Batch {
    let columns =
        ["id", "match_number", "match_type", "event_id", "red_alliance", "blue_alliance", "red_score", "winner"];
    let mut batch = empty("match", &columns);
    let mut numbers = Numbers(7);
    let mut stamp = Stamp::at(Millis(1_760_000_000_000));
    for seq in 1..=n {
        stamp = if numbers.below(3) == 0 {
            Stamp::at(Millis(stamp.millis().0 + numbers.below(90) as i64 + 1))
        } else {
            stamp.next(Millis(0))
        };
        let (column, value) = match numbers.below(3) {
            0 => (6, Value::Integer(numbers.below(200) as i64)),
            1 => (7, Value::text(["red", "blue", "tie"][numbers.below(3) as usize])),
            _ => {
                (4, Value::text(&format!("{}, {}, {}", numbers.below(9999), numbers.below(9999), numbers.below(9999))))
            }
        };
        batch.items.push(Item::Change(Change {
            table: 0,
            birth: dot(1 + numbers.below(2) as u8, 1 + numbers.below(100_000)),
            dot: dot(1, 200_000 + seq),
            stamp,
            rank: None,
            context: 0,
            unseen: Vec::new(),
            existence: None,
            columns: vec![(column, Cell::Value(value))],
            origin: None,
        }));
    }
    batch
}

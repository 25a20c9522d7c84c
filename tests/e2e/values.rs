//! Every value, every column, any number of rows: loss cases 11, 18, 19.

use serde_json::{Value, json};

use crate::server::{Schema, all_read, sync, two, two_begun};

const SHELF: Schema<'static> = Schema {
    databases: &[(
        "shelf",
        "CREATE TABLE thing (id INTEGER NOT NULL, tag TEXT NOT NULL, free, whole INTEGER, words TEXT, part REAL,
             raw BLOB, yes BOOLEAN, at DATETIME, exact NUMERIC, PRIMARY KEY (id));
         CREATE TABLE other (id INTEGER NOT NULL, tag TEXT, PRIMARY KEY (id));",
    )],
    config: "",
};

/// Values that text formats, floats and careless conversions lose.
const VALUES: &[&str] = &[
    "NULL",
    "''",
    "x''",
    "x'00'",
    "x'00ff10'",
    "zeroblob(1000)",
    "randomblob(70000)",
    "0",
    "-1",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "0.1",
    "1.0",
    "-2.5e-310",
    "5e-324",
    "1.7976931348623157e308",
    "9e999",
    "-9e999",
    "123456789012345678",
    "'1'",
    "'1.0'",
    "'0x10'",
    "'nan'",
    "'a' || char(0) || 'b'",
    "char(0)",
    "CAST(x'ff41' AS TEXT)",
    "CAST(x'c3' AS TEXT)",
    "'größe 🤖 e' || char(769)",
    "char(65533)",
    "'line' || char(10) || char(13)",
    "'{\"json\": [1, 2.0]}'",
    "'\"quoted\" ''twice'' \\'",
    "'2025-01-01 00:00:00.000000'",
    "'infinity'",
    "hex(randomblob(40000))",
];

/// The row with every column's storage class and bytes.
const BITS: &str = "SELECT tag, typeof(free), free, typeof(whole), whole, typeof(words), words, typeof(part), part,
    typeof(raw), raw, typeof(yes), yes, typeof(at), at, typeof(exact), exact FROM thing";

#[test]
fn case_11_every_value_arrives_bit_for_bit_and_stops_nothing() {
    let insert = |n: usize, value: &str| {
        format!(
            "INSERT INTO thing (tag, free, whole, words, part, raw, yes, at, exact)
             SELECT 'v{n}', v, v, v, v, v, v, v, v FROM (SELECT {value} AS v);
             INSERT INTO other (tag) VALUES ('after {n}')"
        )
    };
    let (half, rest) = VALUES.split_at(VALUES.len() / 2);
    let (a, b) = two_begun(SHELF, |a, b| {
        half.iter().enumerate().for_each(|(n, value)| a.sql("shelf", &insert(n, value)));
        b.sql("shelf", "INSERT INTO thing (tag, raw) VALUES ('large', randomblob(3000000))");
    });
    rest.iter().enumerate().for_each(|(n, value)| b.sql("shelf", &insert(1000 + n, value)));
    sync(&b, &a);
    let written = a.lines("shelf", BITS);
    assert_eq!(written.len(), VALUES.len() + 1);
    assert!(written == b.lines("shelf", BITS), "values differ");

    // A change of nothing but the storage class, and of nothing but the case, is a change.
    a.sql("shelf", "UPDATE thing SET free = 0.0 WHERE tag = 'v7'; UPDATE thing SET free = x'' WHERE tag = 'v1'");
    b.sql("shelf", "UPDATE other SET tag = 'AFTER 2' WHERE tag = 'after 2'");
    sync(&b, &a);
    assert!(a.lines("shelf", BITS) == b.lines("shelf", BITS), "values differ");
    all_read(&[&a, &b], "shelf", "SELECT typeof(free) FROM thing WHERE tag IN ('v1', 'v7')", &["blob", "real"]);
    all_read(&[&a, &b], "shelf", "SELECT count(*) FROM other WHERE tag = 'AFTER 2'", &["1"]);
}

#[test]
fn case_18_any_number_of_rows_is_sent_in_one_sync() {
    let (a, b) = two(SHELF);
    let rows = |letter: &str, count: usize| -> Value { (0..count).map(|n| json!([format!("{letter}{n}")])).collect() };
    // More than a batch on each side, and more than one table.
    a.many("shelf", "INSERT INTO other (tag) VALUES (?)", rows("a", 6000));
    a.many("shelf", "INSERT INTO thing (tag) VALUES (?)", rows("a", 50));
    b.many("shelf", "INSERT INTO other (tag) VALUES (?)", rows("b", 2500));
    let run = sync(&b, &a);
    assert!(run.count("received") >= 6050 && run.count("sent") >= 2500, "{run:?}");
    let distinct = "SELECT count(*), count(DISTINCT tag), sum(tag LIKE 'a%') FROM other";
    all_read(&[&a, &b], "shelf", distinct, &["8500 | 8500 | 6000"]);
    // The next one has nothing left to do, and then only what is new.
    assert_eq!(sync(&b, &a).count("received"), 0);
    a.sql("shelf", "UPDATE other SET tag = tag || '!' WHERE tag LIKE 'a59__'");
    let run = sync(&b, &a);
    assert!((100..200).contains(&run.count("received")), "{run:?}");
    all_read(&[&a, &b], "shelf", "SELECT count(*) FROM other WHERE tag LIKE '%!'", &["100"]);
}

#[test]
fn case_19_a_change_is_whole() {
    // More columns than a 64-bit mask has, and text that differs in each.
    let columns: Vec<String> = (0..80).map(|n| format!("c{n}")).collect();
    let script =
        format!("CREATE TABLE wide (id INTEGER NOT NULL, {} TEXT, PRIMARY KEY (id));", columns.join(" TEXT, "));
    let (a, b) = two(Schema { databases: &[("wide", &script)], config: "" });
    let row = |tag: &str| -> Value { (0..80).map(|n| json!(format!("{tag}.{n}"))).collect() };
    let sql = format!("INSERT INTO wide ({}) VALUES ({})", columns.join(", "), vec!["?"; 80].join(", "));
    a.many("wide", &sql, json!([row("a1"), row("a2"), row("a3")]));
    b.many("wide", &sql, json!([row("b1"), row("b2")]));
    sync(&b, &a);
    // Then single columns, far apart, on both sides of one row.
    a.sql("wide", "UPDATE wide SET c0 = 'first', c63 = NULL WHERE c1 = 'b1.1'");
    b.sql("wide", "UPDATE wide SET c64 = 'late', c79 = 'last' WHERE c1 = 'b1.1'");
    a.sql("wide", "UPDATE wide SET c70 = NULL WHERE c1 = 'a2.1'");
    sync(&b, &a);
    let sql = format!("SELECT {} FROM wide", columns.join(", "));
    let read = a.rows("wide", &sql);
    let sorted = |mut rows: Vec<Vec<Value>>| {
        rows.sort_by_key(|row| row[1].to_string());
        rows
    };
    assert_eq!(sorted(read.clone()), sorted(b.rows("wide", &sql)));
    for line in read {
        let tag = line[1].as_str().and_then(|t| t.split('.').next()).expect("a tag").to_owned();
        for (n, value) in line.iter().enumerate() {
            let expected = match (tag.as_str(), n) {
                ("b1", 0) => json!("first"),
                ("b1", 63) | ("a2", 70) => Value::Null,
                ("b1", 64) => json!("late"),
                ("b1", 79) => json!("last"),
                _ => json!(format!("{tag}.{n}")),
            };
            assert_eq!(value, &expected, "{tag}, column {n}");
        }
    }
}

//! Text for people: tables of at most 100 columns, times, sizes, and what must not be shown.
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lockstep_node::share::looks_secret;
use serde_json::Value;
use std::io::IsTerminal;

/// The widest a table may be.
const WIDTH: u16 = 100;

/// Colours only on a terminal, and not where `NO_COLOR` asks for none.
pub fn coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A table. Columns named in `numbers` stand at the right.
pub fn table(head: &[&str], numbers: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(head.iter().map(|h| (*h).to_owned()));
    for row in rows {
        table.add_row(row.into_iter().map(|cell| plain(&cell)));
    }
    for (i, name) in head.iter().enumerate() {
        if let (true, Some(column)) = (numbers.contains(name), table.column_mut(i)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|l| l.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Names come from databases and peers: nothing in them may move the cursor.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A number of things.
pub fn count(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// Local time, to the minute.
pub fn time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// `just now`, `5 min ago`. A moment in the future is now: clocks differ.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    match now.as_second().saturating_sub(at.as_second()) {
        i64::MIN..=59 => "just now".to_owned(),
        s @ 60..=3_599 => format!("{} min ago", s / 60),
        s @ 3_600..=86_399 => format!("{} h ago", s / 3_600),
        s => format!("{} d ago", s / 86_400),
    }
}

/// `820 ms`, `3.4 s`, `2 min`
pub fn span(ms: i64) -> String {
    match ms {
        i64::MIN..=999 => format!("{ms} ms"),
        1_000..=99_999 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min", ms / 60_000),
    }
}

/// `812 B`, `3.4 kB`, `12 MB`
pub fn size(bytes: u64) -> String {
    match bytes {
        0..=999 => format!("{bytes} B"),
        1_000..=99_999 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        100_000..=999_999 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// Puts dots in the place of values of columns that look secret.
pub fn masked(column: &str, value: Value, reveal: bool) -> Value {
    if reveal || value.is_null() || !looks_secret(column) {
        value
    } else {
        Value::String("••••••".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_fit_and_names_can_t_move_the_cursor() {
        let row = vec!["x".repeat(300), "\u{1b}[2J".to_owned(), "7".to_owned()];
        let text = table(&["name", "what", "rows"], &["rows"], [row]);
        assert!(text.lines().all(|l| l.chars().count() <= usize::from(WIDTH)), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn secrets_are_masked_unless_asked_for() {
        let value = || Value::String("pbkdf2:…".to_owned());
        assert_eq!(masked("password_hash", value(), false), Value::String("••••••".into()));
        assert_eq!(masked("Reset_Token", value(), true), value());
        assert_eq!(masked("username", value(), false), value());
        assert_eq!(masked("password", Value::Null, false), Value::Null);
    }

    #[test]
    fn spans_and_sizes_are_short() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |s: i64| Timestamp::from_second(1_000_000 - s).unwrap();
        assert_eq!([ago(at(-50), now), ago(at(61), now), ago(at(90_000), now)], ["just now", "1 min ago", "1 d ago"]);
        assert_eq!([span(12), span(3_456), span(600_000)], ["12 ms", "3.4 s", "10 min"]);
        assert_eq!([size(9), size(1_234), size(345_678), size(12_345_678)], ["9 B", "1.2 kB", "345 kB", "12.3 MB"]);
    }
}

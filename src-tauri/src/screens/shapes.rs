//! What several screens share: values as text, names of rows, pages and filters.

use crate::view::{Count, Millis};
use lockstep_node::share::looks_secret;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest text of a value that is shown.
const SHOWN: usize = 4000;
/// The most entries of a page.
const PAGE: usize = 200;

/// SQLite's storage classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub(crate) enum StorageClass {
    Null,
    Integer,
    Real,
    Text,
    Blob,
}

/// One value of a row, for showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Cell {
    /// How SQLite stores it.
    pub r#type: StorageClass,
    /// As text: at most 4,000 characters; empty when masked or null.
    pub text: String,
    /// The column looks secret, and revealing was not asked for.
    pub masked: bool,
    /// The whole value's length in bytes.
    pub bytes: Count,
    /// `text` is only the beginning.
    pub cut: bool,
}

impl Cell {
    /// Of a column's value, as the node shows values.
    pub(crate) fn of(column: &str, value: &Value, reveal: bool) -> Cell {
        let (r#type, text, bytes) = match value {
            Value::Null => (StorageClass::Null, String::new(), None),
            Value::Number(n) if n.is_i64() || n.is_u64() => (StorageClass::Integer, n.to_string(), Some(8)),
            Value::Number(n) => (StorageClass::Real, n.to_string(), Some(8)),
            Value::String(text) => (StorageClass::Text, text.clone(), None),
            Value::Bool(_) | Value::Array(_) => (StorageClass::Text, value.to_string(), None),
            Value::Object(told) => {
                let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
                let bytes = told.get("bytes").and_then(Value::as_u64);
                match (text("real"), text("blob_hex"), text("text_hex")) {
                    (Some(real), ..) => (StorageClass::Real, real, Some(8)),
                    (_, Some(hex), _) => (StorageClass::Blob, hex, bytes),
                    (.., Some(hex)) => (StorageClass::Text, hex, bytes),
                    (None, None, None) => (StorageClass::Text, value.to_string(), None),
                }
            }
        };
        let bytes = Count(bytes.unwrap_or(text.len() as u64));
        if looks_secret(column) && !reveal && r#type != StorageClass::Null {
            return Cell { r#type, text: String::new(), masked: true, bytes, cut: false };
        }
        let shown: String = text.chars().take(SHOWN).collect();
        // A blob is told as hex, two digits for a byte.
        let told = if r#type == StorageClass::Blob { shown.len() as u64 / 2 } else { bytes.0 };
        let cut = shown.len() < text.len() || told < bytes.0;
        Cell { r#type, text: shown, masked: false, bytes, cut }
    }
}

/// One column of a row, before and after. A side that has no such row or column is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct ColumnDiff {
    /// Its name.
    pub column: String,
    /// As it is.
    pub before: Option<Cell>,
    /// As it would be.
    pub after: Option<Cell>,
    /// Do the two differ?
    pub changed: bool,
}

/// Names one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct RowName {
    /// Logical name.
    pub database: String,
    /// Its table.
    pub table: String,
    /// As the command's KEY, a JSON array where the key is composite. Null: the row has none here.
    pub key: Option<String>,
}

impl RowName {
    /// With the key as the node shows it.
    pub(crate) fn of(database: &str, table: &str, key: &Value) -> RowName {
        let key = match key {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        RowName { database: database.to_owned(), table: table.to_owned(), key }
    }

    /// `DB.TABLE`
    pub(crate) fn table(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }
}

/// What a filter box holds: matches names of tables, keys and columns, never values.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(Serialize, ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// Empty: everything.
    pub text: String,
    /// `DB` or `DB.TABLE`; null: all.
    pub table: Option<String>,
}

impl Filter {
    /// Does it let this row through?
    pub(crate) fn takes(&self, row: &RowName, columns: &[String]) -> bool {
        let table = self.table.as_ref().is_none_or(|t| *t == row.database || *t == row.table());
        let text = self.text.trim().to_lowercase();
        let has = |t: &str| t.to_lowercase().contains(&text);
        table
            && (text.is_empty()
                || has(&row.table())
                || row.key.as_deref().is_some_and(has)
                || columns.iter().any(|c| has(c)))
    }
}

/// A part of a list, in the node's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Page<T> {
    /// At most 200.
    pub items: Vec<T>,
    /// How many there are in all, as filtered.
    pub total: Count,
}

impl<T> Page<T> {
    /// The part of a list that begins there.
    pub(crate) fn of(all: Vec<T>, offset: usize, limit: usize) -> Page<T> {
        let total = Count(all.len() as u64);
        Page { items: all.into_iter().skip(offset).take(limit.min(PAGE)).collect(), total }
    }
}

/// A moment of the node's.
pub(crate) fn moment(at: jiff::Timestamp) -> Millis {
    Millis(at.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_come_as_text_and_secrets_do_not_come() {
        let cell = |column: &str, value: Value| Cell::of(column, &value, false);
        assert_eq!(cell("n", json!(i64::MAX)).text, "9223372036854775807");
        assert_eq!(cell("n", json!({ "real": "inf" })).r#type, StorageClass::Real);
        let blob = cell("b", json!({ "blob_hex": "00ff", "bytes": 5000 }));
        assert_eq!((blob.text.as_str(), blob.bytes, blob.cut), ("00ff", Count(5000), true));
        let long = cell("t", json!("é".repeat(5000)));
        assert_eq!((long.text.chars().count(), long.bytes, long.cut), (4000, Count(10_000), true));
        let secret = cell("password_hash", json!("scrypt:1"));
        assert_eq!((secret.text.as_str(), secret.masked), ("", true));
        assert_eq!(Cell::of("password_hash", &json!("scrypt:1"), true).text, "scrypt:1");
    }

    #[test]
    fn a_page_is_bounded_and_says_how_many_there_are() {
        let page = Page::of((0..1000).collect(), 900, 5000);
        assert_eq!((page.items.len(), page.items[0], page.total), (100, 900, Count(1000)));
        assert_eq!(Page::of((0..1000).collect::<Vec<_>>(), 0, 5000).items.len(), 200);
    }

    #[test]
    fn a_filter_finds_names_and_keys() {
        let row = RowName { database: "scouting".into(), table: "team".into(), key: Some("254".into()) };
        let takes = |text: &str, table: Option<&str>| {
            Filter { text: text.into(), table: table.map(str::to_owned) }.takes(&row, &["nickname".to_owned()])
        };
        assert!(takes("", None) && takes("25", None) && takes("TEAM", None) && takes("nick", Some("scouting")));
        assert!(!takes("255", None) && !takes("", Some("users")) && !takes("", Some("scouting.match")));
    }
}

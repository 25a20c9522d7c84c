//! What a superadmin says about the tables of one database. Read from `lockstep.toml`, settled at pairing.
//!
//! Always true here: it is part of the schema fingerprint, except `exclude`, `modified`, `history` and `guard`, which
//! concern one node alone.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[databases.NAME]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// Tables that belong to one server only; `*` matches any run of characters.
    pub exclude: Vec<String>,
    /// By table name.
    pub tables: BTreeMap<String, TableConfig>,
}

/// `[databases.NAME.tables.TABLE]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableConfig {
    /// The columns by which people know a row. None: the UNIQUE constraints without NULLs, else a natural primary key.
    pub identity: Option<Vec<String>>,
    /// Column to `database.table`, for references that the schema does not declare.
    pub references: BTreeMap<String, String>,
    /// How a conflict is settled.
    pub policy: Policy,
    /// The same for single columns.
    pub columns: BTreeMap<String, Policy>,
    /// Column by column, or the row as a whole.
    pub merge: MergeUnit,
    /// Keep the old values of updates?
    pub history: bool,
    /// The column that says when a row was last changed, for rows older than Lockstep.
    pub modified: Option<String>,
    /// When a run's deletes wait for a person. None: as the node says for all tables.
    pub guard: Option<Guard>,
}

impl Default for TableConfig {
    fn default() -> Self {
        TableConfig {
            identity: None,
            references: BTreeMap::new(),
            policy: Policy::Newest,
            columns: BTreeMap::new(),
            merge: MergeUnit::Column,
            history: true,
            modified: None,
            guard: None,
        }
    }
}

/// How a conflict between two concurrent values is settled: `newest`, `review` or `prefer:<node>`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Policy {
    /// The latest stamp wins.
    #[default]
    Newest,
    /// The incoming side is held for a person.
    Review,
    /// That node's write wins, else the newest. The text is the node's name.
    Prefer(String),
}

impl TryFrom<String> for Policy {
    type Error = String;
    fn try_from(s: String) -> Result<Policy, String> {
        match s.as_str() {
            "newest" => Ok(Policy::Newest),
            "review" => Ok(Policy::Review),
            _ => match s.strip_prefix("prefer:") {
                Some(node) if !node.is_empty() => Ok(Policy::Prefer(node.to_owned())),
                _ => Err(format!("`{s}` is no policy: say newest, review or prefer:<node>")),
            },
        }
    }
}

impl From<Policy> for String {
    fn from(p: Policy) -> String {
        match p {
            Policy::Newest => "newest".into(),
            Policy::Review => "review".into(),
            Policy::Prefer(node) => format!("prefer:{node}"),
        }
    }
}

/// What is judged alone in a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeUnit {
    /// Each column.
    #[default]
    Column,
    /// The row as a whole.
    Row,
}

/// A run that would delete more than `rows` rows and more than `share` of the table holds these deletes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// Rows.
    pub rows: u64,
    /// Of the table, 0 to 1.
    pub share: f64,
}

impl Default for Guard {
    fn default() -> Self {
        Guard { rows: 100, share: 0.2 }
    }
}

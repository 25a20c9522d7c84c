//! What a superadmin should be asked about a database: looked up in names and data, never acted upon.
//!
//! Always true here: nothing is written; no table is read beyond [`SAMPLE`] rows. Evidence is counted and shown, since
//! a name proves nothing: a person confirms each suggestion by writing it into the configuration, and each says how.
//! Not here: what the schema itself declares, which [`crate::catalog`] reads and follows without asking.
mod accept;
mod both;
mod identity;
mod names;
mod references;

use crate::catalog::{Catalog, Key, Table};
use crate::change::Batch;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fmt;

pub use both::There;

/// Rows of a table that are looked at.
const SAMPLE: usize = 20_000;

/// Why nothing could be suggested.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused.
    #[error("looking through table `{table}` for suggestions: {source}")]
    Sqlite {
        /// Table.
        table: String,
        /// SQLite's words.
        source: rusqlite::Error,
    },
}

/// A database to look at: this one, or one beside it to which it may refer.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its logical name.
    pub name: &'a str,
    /// Its file.
    pub conn: &'a Connection,
    /// Its schema.
    pub catalog: &'a Catalog,
}

/// One thing that a superadmin may want to say in the configuration, or should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suggestion {
    /// The key means nothing on other servers: ids are mapped. Nothing to do.
    Surrogate {
        /// Table.
        table: String,
        /// Its id.
        column: String,
    },
    /// These columns tell which row is the same on another server.
    Identity {
        /// Table.
        table: String,
        /// Columns.
        columns: Vec<String>,
        /// In force already: by a UNIQUE constraint, a primary key or the configuration.
        declared: bool,
        /// Rows looked at; no two of them are alike in these columns.
        rows: u64,
    },
    /// The table has a surrogate id, and no columns were found that tell its rows apart.
    NoIdentity {
        /// Table.
        table: String,
    },
    /// A column seems to name a row of another table.
    Reference {
        /// Table.
        table: String,
        /// Column.
        column: String,
        /// Logical name of the database of the table referred to, this one or another.
        database: String,
        /// The table referred to.
        target: String,
        /// Rows looked at whose value is there.
        matching: u64,
        /// Rows looked at whose value is not there.
        missing: u64,
    },
    /// The table seems to concern one server alone.
    Local {
        /// Table.
        table: String,
        /// What its name speaks of.
        why: &'static str,
    },
    /// A column seems to hold a secret or a right: a conflict should wait for a person.
    Delicate {
        /// Table.
        table: String,
        /// Column.
        column: String,
    },
    /// A column seems to say when a row was last changed.
    Modified {
        /// Table.
        table: String,
        /// Column.
        column: String,
    },
    /// Migrations made by Alembic's autogenerate would drop our tables.
    Alembic,
}

/// What to add to Alembic's `env.py`, so that autogenerate does not propose to drop our tables.
pub const ALEMBIC: &str = "\
def include_object(object, name, type_, reflected, compare_to):
    return not (type_ == \"table\" and name.startswith(\"_lockstep_\"))

# and in both calls: context.configure(..., include_object=include_object)";

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Suggestion::Surrogate { table, column } => {
                write!(f, "{table}: `{column}` is given out by each server for itself, and mapped")
            }
            Suggestion::Identity { table, columns, declared: true, rows: _ } => {
                write!(f, "{table}: rows with the same {} are the same row on every server", listed(columns))
            }
            Suggestion::Identity { table, columns, declared: false, rows } => write!(
                f,
                "{table}: no two of {rows} rows have the same {}; if that tells which row is the same elsewhere, say {}",
                listed(columns),
                identity_line(columns)
            ),
            Suggestion::NoIdentity { table } => {
                write!(
                    f,
                    "{table}: nothing tells which row is the same elsewhere, so every row made on a server is one of its own"
                )
            }
            Suggestion::Reference { table, column, database, target, matching, missing } => write!(
                f,
                "{table}: `{column}` seems to refer to {database}.{target} ({matching} rows fit, {missing} do not); if so, \
                 say {}",
                references_line(column, database, target)
            ),
            Suggestion::Local { table, why } => {
                write!(
                    f,
                    "{table}: it looks like {why}, of this server alone; if so, say exclude = {}",
                    array(&[table])
                )
            }
            Suggestion::Delicate { table, column } => write!(
                f,
                "{table}: `{column}` looks delicate; to have a person decide its conflicts, say columns = {{ {} = \"review\" }}",
                bare(column)
            ),
            Suggestion::Modified { table, column } => write!(
                f,
                "{table}: `{column}` looks like the time of the last change; to date the rows there are by it, say modified = {}",
                text(column)
            ),
            Suggestion::Alembic => {
                write!(f, "Alembic's autogenerate would drop Lockstep's tables; in env.py say\n{ALEMBIC}")
            }
        }
    }
}

impl Suggestion {
    /// The line of TOML that confirms it, if it is one of those that rows of another side can be held against.
    pub fn line(&self) -> Option<String> {
        match self {
            Suggestion::Identity { columns, declared: false, .. } => Some(identity_line(columns)),
            Suggestion::Reference { column, database, target, .. } => Some(references_line(column, database, target)),
            Suggestion::Identity { declared: true, .. }
            | Suggestion::Surrogate { .. }
            | Suggestion::NoIdentity { .. }
            | Suggestion::Local { .. }
            | Suggestion::Delicate { .. }
            | Suggestion::Modified { .. }
            | Suggestion::Alembic => None,
        }
    }
}

fn identity_line(columns: &[String]) -> String {
    format!("identity = {}", array(columns))
}

fn references_line(column: &str, database: &str, target: &str) -> String {
    format!("references = {{ {} = {} }}", bare(column), text(&format!("{database}.{target}")))
}

fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<_> = names.iter().map(|n| format!("`{}`", n.as_ref())).collect();
    quoted.join(", ")
}

/// As TOML.
fn array<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<_> = names.iter().map(|n| text(n.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

/// As TOML.
fn text(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// As a key of TOML.
fn bare(name: &str) -> String {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if plain { name.to_owned() } else { text(name) }
}

/// Everything that is to be said of a database, table by table. `others` are the databases that it may refer to.
///
/// # Errors
/// SQLite's.
pub fn suggest(subject: Subject<'_>, others: &[Subject<'_>]) -> Result<Vec<Suggestion>, Error> {
    let mut out = Vec::new();
    for table in &subject.catalog.tables {
        let name = || table.name.clone();
        if let Some(why) = names::local(&table.name) {
            out.push(Suggestion::Local { table: name(), why });
            continue;
        }
        if let Some(id) = table.surrogate() {
            out.push(Suggestion::Surrogate { table: name(), column: table.columns[id].name.clone() });
        }
        let failed = |source| Error::Sqlite { table: name(), source };
        out.extend(identity::of(subject, table).map_err(failed)?);
        out.extend(references::of(subject, others, table).map_err(failed)?);
        out.extend(modified(table));
        let delicate = table.columns.iter().filter(|c| names::delicate(&c.name, &c.declared_type));
        let undecided = delicate.filter(|c| !table.config.columns.keys().any(|k| k.eq_ignore_ascii_case(&c.name)));
        out.extend(undecided.map(|c| Suggestion::Delicate { table: name(), column: c.name.clone() }));
    }
    let left_out = subject.catalog.left_out.iter().map(|l| &l.name);
    if subject.catalog.tables.iter().map(|t| &t.name).chain(left_out).any(|n| n.eq_ignore_ascii_case("alembic_version"))
    {
        out.push(Suggestion::Alembic);
    }
    Ok(out)
}

/// Those suggestions of identity keys and references that rows of another side can be held against, with what they say.
/// `theirs`: by database, all that the other side has. Empty for a database of which nothing is known.
///
/// # Errors
/// SQLite's.
pub fn hold_against(
    subject: Subject<'_>,
    others: &[Subject<'_>],
    theirs: &BTreeMap<String, Vec<Batch>>,
) -> Result<Vec<(Suggestion, There)>, Error> {
    both::of(subject, others, theirs).map_err(|source| Error::Sqlite { table: subject.name.to_owned(), source })
}

fn modified(table: &Table) -> Option<Suggestion> {
    if table.config.modified.is_some() || table.key == Key::Content {
        return None;
    }
    if table.column("updated_at").is_some() {
        return None; // Is taken for it without a word.
    }
    let column = names::MODIFIED.iter().find_map(|name| table.column(name))?;
    Some(Suggestion::Modified { table: table.name.clone(), column: table.columns[column].name.clone() })
}

#[cfg(test)]
mod tests;

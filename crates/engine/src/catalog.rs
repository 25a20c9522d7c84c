//! What the application's schema says, as values: tables, columns, keys, references.
//!
//! Filled by reading `sqlite_master` and the table pragmas of an open connection. Nothing here writes.
mod composite;
mod fingerprint;
mod read;
pub(crate) mod sql;

use crate::config::TableConfig;
pub use fingerprint::{fingerprint, rules};
pub use read::{Catalog, Error, Warning, excluding, read};

/// One table of the application.
#[derive(Clone, Debug)]
pub struct Table {
    /// As the schema spells it.
    pub name: String,
    /// In the order of the table; generated and hidden ones left out.
    pub columns: Vec<Column>,
    /// Names of the generated columns, which SQLite works out from the others.
    pub generated: Vec<String>,
    /// How its rows are told apart here.
    pub key: Key,
    /// UNIQUE constraints and unique indexes, and the primary key where it is not `Key::Id`; expressions and partial ones included.
    pub uniques: Vec<Unique>,
    /// Declared foreign keys and references of the configuration, to a single column each.
    pub references: Vec<Reference>,
    /// Foreign keys of several columns of which none names the row itself.
    pub composites: Vec<Composite>,
    /// Places in `columns` of the identity key, one list per key; empty: none. `Key::None` tables have none.
    pub identity: Vec<Vec<usize>>,
    /// Has CHECK or NOT NULL beyond the key: a merged row has to be tried before it is written.
    pub checked: bool,
    /// WITHOUT ROWID.
    pub without_rowid: bool,
    /// What the configuration says of it.
    pub config: TableConfig,
    /// The CREATE TABLE statement, for trying merged rows on a temporary copy.
    pub sql: String,
}

/// One column that can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// As the schema spells it.
    pub name: String,
    /// Declared NOT NULL (or part of a key that forbids NULL).
    pub not_null: bool,
    /// Declared type, as spelled.
    pub declared_type: String,
    /// Collation by which the column compares: BINARY, NOCASE, RTRIM.
    pub collation: String,
    /// Has a default (other than NULL).
    pub has_default: bool,
}

/// What a declared type does to values that are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// Text that reads as a number becomes one, and a real that is whole becomes an integer.
    Integer,
    /// Numbers become text.
    Text,
    /// Nothing.
    Blob,
    /// Numbers become reals.
    Real,
    /// As integers.
    Numeric,
}

impl Column {
    /// By the rules of <https://www.sqlite.org/datatype3.html>, 3.1, in their order.
    pub fn affinity(&self) -> Affinity {
        let declared = self.declared_type.to_ascii_uppercase();
        let has = |words: &[&str]| words.iter().any(|w| declared.contains(w));
        match () {
            // ANY leaves values alone in a STRICT table; elsewhere it is numeric, and taken for less than it is.
            () if declared == "ANY" => Affinity::Blob,
            () if has(&["INT"]) => Affinity::Integer,
            () if has(&["CHAR", "CLOB", "TEXT"]) => Affinity::Text,
            () if has(&["BLOB"]) || declared.is_empty() => Affinity::Blob,
            () if has(&["REAL", "FLOA", "DOUB"]) => Affinity::Real,
            () => Affinity::Numeric,
        }
    }
}

/// How rows are told apart on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A single INTEGER PRIMARY KEY. Surrogate unless it is itself a foreign key.
    Id {
        /// Place in `columns`.
        column: usize,
        /// Given out by the application, means nothing elsewhere.
        surrogate: bool,
    },
    /// Primary key of one or more columns, none of them ever NULL in the rows seen by the key; places in `columns`.
    Columns(Vec<usize>),
    /// No primary key: a row is its content.
    Content,
}

/// A unique key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// Name of the index; None for a rowid primary key.
    pub index: Option<String>,
    /// Its terms.
    pub terms: Vec<UniqueTerm>,
    /// WHERE of a partial index, as SQL over the bare column names.
    pub condition: Option<String>,
    /// It is the primary key.
    pub primary: bool,
}

impl Unique {
    /// Places in `columns`, if every term is a column and there is no condition.
    pub fn plain_columns(&self) -> Option<Vec<usize>> {
        if self.condition.is_some() {
            return None;
        }
        self.terms.iter().map(|t| t.column).collect()
    }
}

/// One term of a unique key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueTerm {
    /// Place in `columns`; None for an expression (or a generated column).
    pub column: Option<usize>,
    /// SQL over the bare column names: a quoted column or an expression.
    pub sql: String,
    /// Collation of the index term.
    pub collation: String,
}

/// A column that names a row of another table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Place in `columns`.
    pub column: usize,
    /// Logical name of the other database; None: the same.
    pub database: Option<String>,
    /// Table.
    pub table: String,
    /// The column there that is named (the key, or a UNIQUE column).
    pub target_column: String,
    /// By FOREIGN KEY (true) or by configuration (false).
    pub declared: bool,
}

/// A foreign key of several columns of which none names the row itself: only all of them together do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composite {
    /// The table that it names rows of.
    pub parent: String,
    /// (place of its column, place of that of the parent).
    pub columns: Vec<(usize, usize)>,
}

impl Table {
    /// The place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))
    }

    /// The reference of a column, if it is one.
    pub fn reference(&self, column: usize) -> Option<&Reference> {
        self.references.iter().find(|r| r.column == column)
    }

    /// The places of the columns of its key; none if that is the content.
    pub fn key_places(&self) -> &[usize] {
        match &self.key {
            Key::Id { column, .. } => std::slice::from_ref(column),
            Key::Columns(places) => places,
            Key::Content => &[],
        }
    }

    /// Is its key a surrogate id?
    pub fn surrogate(&self) -> Option<usize> {
        match self.key {
            Key::Id { column, surrogate: true } => Some(column),
            _ => None,
        }
    }
}

/// A table that is not synced, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Table name.
    pub name: String,
    /// A sentence.
    pub reason: String,
    /// The configuration says so: it could be synced otherwise.
    pub excluded: bool,
    /// Of one that the configuration leaves out, the columns that can be written.
    pub columns: Vec<String>,
}

/// Quotes an identifier. The only place where a name becomes SQL.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests;

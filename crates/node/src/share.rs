//! What is shared with a peer: changing it, and showing it to the person who decides.
//!
//! Always true here: a line that makes no sense (a column by which rows are known, a name that is not there) is refused
//! and changes nothing. Not here: what follows from the lines for one table (`access`).
use crate::Result;
use crate::node::Node;
use crate::pair::Joining;
use crate::status::{Direction, Share};
use lockstep_engine::withhold::Withholding;
use serde::Serialize;
use std::collections::BTreeSet;

/// Why what is shared can't be changed like that.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// No synced table of that name, here or at a peer.
    #[error("there is no synced table `{what}`, so nothing would be shared by that name")]
    UnknownTable {
        /// `DB.TABLE`
        what: String,
    },
    /// Not `DB.TABLE.COLUMN`.
    #[error("`{what}` is not a column of the form DB.TABLE.COLUMN")]
    NotAColumn {
        /// What was given.
        what: String,
    },
    /// There is no such table or column.
    #[error("there is no column `{column}` in a synced table `{what}`")]
    UnknownColumn {
        /// `DB.TABLE`
        what: String,
        /// The column.
        column: String,
    },
    /// Both nodes know rows by it.
    #[error("`{column}` of `{what}` is part of a key by which rows are known, so it has to travel")]
    Identifies {
        /// `DB.TABLE`
        what: String,
        /// The column.
        column: String,
    },
    /// The peer keeps columns of the same table back.
    #[error("`{peer}` withholds columns of `{what}` already, and only one of two sides can")]
    WithheldThere {
        /// What this node calls it.
        peer: String,
        /// `DB.TABLE`
        what: String,
    },
    /// A column that was withheld is to pass.
    #[error("`{column}` of `{what}` was withheld from `{peer}`, which has the rows without it")]
    Given {
        /// What this node calls it.
        peer: String,
        /// `DB.TABLE`
        what: String,
        /// The column.
        column: String,
    },
}

impl ShareError {
    /// Stable, for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            ShareError::UnknownTable { .. } => "unknown_table",
            ShareError::NotAColumn { .. } => "bad_column",
            ShareError::UnknownColumn { .. } => "unknown_column",
            ShareError::Identifies { .. } => "column_identifies",
            ShareError::WithheldThere { .. } => "withheld_there",
            ShareError::Given { .. } => "column_withheld",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            ShareError::NotAColumn { .. } => "for example: users.user.password_hash",
            ShareError::UnknownTable { .. } | ShareError::UnknownColumn { .. } => {
                "`lockstep tables` lists what is synced"
            }
            ShareError::Identifies { .. } => "withhold the whole table (`none`), or name another identity key",
            ShareError::WithheldThere { .. } => "name all columns that shall not pass on that node",
            ShareError::Given { .. } => "retire that node, and pair it anew with an empty file",
        }
    }
}

/// One table that would be shared, for the person who decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedTable {
    /// `DB.TABLE`
    pub name: String,
    /// Which way.
    pub direction: Direction,
    /// Columns that go neither way.
    pub without: Vec<String>,
    /// Columns that pass, and whose names look as if they held secrets.
    pub sensitive: Vec<String>,
}

/// Does a column of that name look as if it held a secret?
pub fn looks_secret(column: &str) -> bool {
    let name = column.to_ascii_lowercase();
    ["password", "passwd", "hash", "token", "secret", "salt", "api_key", "apikey", "private_key", "otp"]
        .iter()
        .any(|word| name.contains(word))
}

/// The database of a line, and its table if it names one.
fn split(what: &str) -> (&str, Option<&str>) {
    what.split_once('.').map_or((what, None), |(name, table)| (name, Some(table)))
}

impl Node {
    /// Refuses a line, `DB` or `DB.TABLE`, that names nothing: a mistyped name would share nothing, or keep nothing back.
    /// A table that only peers have counts.
    pub(crate) fn check_named(&self, what: &str) -> Result<()> {
        let (name, table) = split(what);
        let database = self.state().database(name)?;
        let Some(table) = table else { return Ok(()) };
        let summary = self.with_database(&database, crate::engine::Database::summary)?;
        if summary.tables.iter().any(|t| t.name == table) {
            return Ok(());
        }
        Err(ShareError::UnknownTable { what: what.to_owned() }.into())
    }

    /// Adds columns, named `DB.TABLE.COLUMN`, that go neither way. Each has to be of a table that a line covers.
    pub(crate) fn withhold(&self, shares: &mut Vec<Share>, columns: &[String]) -> Result<()> {
        for what in columns {
            let bad = || ShareError::NotAColumn { what: what.clone() };
            let (database, rest) = what.split_once('.').ok_or_else(bad)?;
            let (table, column) = rest.rsplit_once('.').ok_or_else(bad)?;
            let line = format!("{database}.{table}");
            self.check_columns(&line, &[column.to_owned()])?;
            match shares.iter_mut().find(|s| s.what == line) {
                Some(share) => share.without.push(column.to_owned()),
                None => shares.push(Share { without: vec![column.to_owned()], ..Share::whole(line) }),
            }
        }
        Ok(())
    }

    /// Which of these columns rows from elsewhere can't do without.
    fn check_columns(&self, what: &str, columns: &[String]) -> Result<Vec<String>> {
        let Some((name, table)) = what.split_once('.') else {
            return match columns.first() {
                Some(column) => Err(ShareError::NotAColumn { what: format!("{what}.{column}") }.into()),
                None => Ok(Vec::new()),
            };
        };
        let database = self.state().database(name)?;
        let mut required = Vec::new();
        for column in columns {
            let (what, column) = (what.to_owned(), column.clone());
            match self.with_database(&database, |db| Ok(db.withholding(table, &column)))? {
                Withholding::Unknown => return Err(ShareError::UnknownColumn { what, column }.into()),
                Withholding::Identifies => return Err(ShareError::Identifies { what, column }.into()),
                Withholding::Required => required.push(column),
                Withholding::Optional => {}
            }
        }
        Ok(required)
    }

    /// Changes what is shared with a peer: one line, whose columns in `without` go neither way. Gives all lines, and
    /// warnings.
    pub fn share(
        &self,
        peer: &str,
        what: &str,
        direction: Direction,
        without: &[String],
    ) -> Result<(Vec<Share>, Vec<String>)> {
        let peer = self.state().peer(peer)?;
        let before = self.state().shares(peer.node)?.into_iter().find(|s| s.what == what);
        // A line whose table went since can still be changed.
        if before.is_none() {
            self.check_named(what)?;
        }
        let required = self.check_columns(what, without)?;
        let given = before.iter().flat_map(|s| &s.without).find(|c| !without.contains(c));
        if let (Some(column), true) = (given, direction.passes()) {
            let (what, column) = (what.to_owned(), column.clone());
            return Err(ShareError::Given { peer: peer.name, what, column }.into());
        }
        let there = self.state().restrictions(peer.node)?;
        let withholds =
            |r: &crate::access::Restriction| format!("{}.{}", r.database, r.table) == what && !r.withheld.is_empty();
        if !without.is_empty() && there.iter().any(withholds) {
            return Err(ShareError::WithheldThere { peer: peer.name, what: what.to_owned() }.into());
        }
        self.state().set_share(peer.node, &Share { what: what.to_owned(), direction, without: without.to_vec() })?;
        if !direction.receives() {
            let (name, table) = split(what);
            self.expect_no_more(&self.state().database(name)?, table);
        }
        tracing::info!(peer = %peer.name, what, direction = direction.name(), ?without, "what is shared was changed");
        let warn = |column: &String| {
            format!(
                "{what}.{column} must not be NULL and has no default: rows that begin on one side will wait on the other"
            )
        };
        Ok((self.state().shares(peer.node)?, required.iter().map(warn).collect()))
    }

    /// What would be shared with a node that was joined, table by table.
    pub fn sharing(&self, joining: &Joining) -> Result<Vec<SharedTable>> {
        self.shared_tables(&joining.shares)
    }

    /// What these lines share of the tables that are here.
    pub fn shared_tables(&self, shares: &[Share]) -> Result<Vec<SharedTable>> {
        let access = crate::access::Access::new(shares);
        let mut tables = Vec::new();
        for database in self.state().databases()?.into_iter().filter(|d| access.names(&d.name)) {
            let summary = self.with_database(&database, crate::engine::Database::summary)?;
            for table in summary.tables.into_iter().filter(|t| t.synced) {
                let direction = access.of(&database.name, &table.name);
                if !direction.passes() {
                    continue;
                }
                let without: BTreeSet<String> = access.withheld(&database.name, &table.name);
                let sensitive = table.columns.into_iter().filter(|c| looks_secret(c) && !without.contains(c));
                tables.push(SharedTable {
                    name: format!("{}.{}", database.name, table.name),
                    direction,
                    sensitive: sensitive.collect(),
                    without: without.into_iter().collect(),
                });
            }
        }
        Ok(tables)
    }
}

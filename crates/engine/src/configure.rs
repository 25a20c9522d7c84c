//! Saying anew how a table is synced, while it is attached.
//!
//! Always true here: what decides which row is which (the identity key, references, whether it is synced at all) stands
//! as long as the file is attached, since every row was entered by it; anything else takes effect with the next write.
//! What was captured before is read as it was captured. Not here: what follows from a policy (`merge`).
use crate::catalog::{self, LeftOut, excluding};
use crate::config::{DatabaseConfig, Guard, TableConfig};
use crate::database::{Database, stored_config};
use crate::error::Error as EngineError;
use crate::id::Millis;
use crate::store::{damaged, set_meta};
use std::rc::Rc;

/// Why a table is not synced in another way from now on. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such synced table.
    #[error("there is no synced table `{table}`")]
    NoTable {
        /// As it was asked for.
        table: String,
    },
    /// Every row was entered by it.
    #[error("`{what}` of `{table}` stands as long as the database is attached")]
    Settled {
        /// Table.
        table: String,
        /// `identity`, `references`, `exclude`.
        what: &'static str,
    },
    /// Not a number of rows and a share.
    #[error("the guard of `{table}` needs a share of 0 to 1")]
    BadShare {
        /// Table.
        table: String,
    },
}

impl Error {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Error::NoTable { .. } => "unknown_table",
            Error::Settled { .. } => "settled",
            Error::BadShare { .. } => "bad_setting",
        }
    }

    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::NoTable { .. } => "`lockstep tables` lists what is synced",
            Error::Settled { .. } => "detach the database, and attach it with the other configuration",
            Error::BadShare { .. } => "0.2 is a fifth of the table",
        }
    }
}

impl Database {
    /// Says how one table is synced from now on. Gives the whole configuration as it is then.
    ///
    /// # Errors
    ///
    /// [`Error`], or [`catalog::Error`] where the table has no such column.
    pub fn configure(&mut self, table: &str, config: TableConfig, now: Millis) -> Result<DatabaseConfig, EngineError> {
        let found = self.catalog.tables.iter().find(|t| t.name.eq_ignore_ascii_case(table));
        let name = found.ok_or_else(|| Error::NoTable { table: table.to_owned() })?.name.clone();
        let mut all = stored_config(&self.c)?;
        let known = all.tables.keys().find(|k| k.eq_ignore_ascii_case(&name)).cloned().unwrap_or(name.clone());
        let before = all.tables.get(&known).cloned().unwrap_or_default();
        for (what, differs) in
            [("identity", before.identity != config.identity), ("references", before.references != config.references)]
        {
            if differs {
                return Err(Error::Settled { table: name, what }.into());
            }
        }
        if config.guard.is_some_and(|g| !(0.0..=1.0).contains(&g.share)) {
            return Err(Error::BadShare { table: name }.into());
        }
        all.tables.insert(known, config);
        catalog::read(&self.c, self.name(), &all)?;
        let text = serde_json::to_string(&all).map_err(|e| damaged(e.to_string()))?;
        // What was captured so far is read as it was captured.
        self.harvest(now)?;
        self.write_unchecked(now, |txn| {
            set_meta(txn.c, "config", &text)?;
            txn.store()
        })?;
        // Triggers that the new configuration wants otherwise are no finding.
        self.audit(now)?;
        Ok(all)
    }

    /// Syncs tables from now on that were left out so far, and that `wanted` leaves out no longer: with what it says of them,
    /// and with the rows that they have. Gives the whole configuration as it is then.
    ///
    /// # Errors
    ///
    /// [`Error::Settled`] where it leaves a table out that is synced, or where a table that is synced refers to one that
    /// comes: its rows were entered without that reference.
    pub fn include(&mut self, wanted: &DatabaseConfig, now: Millis) -> Result<DatabaseConfig, EngineError> {
        let mut all = stored_config(&self.c)?;
        if all.exclude == wanted.exclude {
            return Ok(all);
        }
        let settled = |table: &str, what| EngineError::from(Error::Settled { table: table.to_owned(), what });
        if let Some(out) = self.catalog.tables.iter().find(|t| excluding(wanted, &t.name).is_some()) {
            return Err(settled(&out.name, "exclude"));
        }
        let come: Vec<&String> = (self.catalog.left_out.iter())
            .filter(|out| out.excluded && excluding(wanted, &out.name).is_none())
            .map(|out| &out.name)
            .collect();
        for table in &self.catalog.tables {
            let to_one = |name: &String| come.iter().any(|c| c.eq_ignore_ascii_case(name));
            if table.references.iter().any(|r| r.database.is_none() && to_one(&r.table)) {
                return Err(settled(&table.name, "references"));
            }
        }
        for name in come {
            let is_it = |other: &String| other.eq_ignore_ascii_case(name);
            all.tables.retain(|other, _| !is_it(other));
            all.tables
                .extend(wanted.tables.iter().find(|(other, _)| is_it(other)).map(|(n, c)| (n.clone(), c.clone())));
        }
        all.exclude.clone_from(&wanted.exclude);
        catalog::read(&self.c, self.name(), &all)?;
        let text = serde_json::to_string(&all).map_err(|e| damaged(e.to_string()))?;
        self.harvest(now)?;
        self.write_unchecked(now, |txn| {
            set_meta(txn.c, "config", &text)?;
            txn.store()
        })?;
        // A table that is new to capture is what a migration leaves, too.
        self.audit(now)?;
        Ok(all)
    }

    /// Tables that are not synced, and why.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.catalog.left_out
    }

    /// From how many deletes on those of a run wait for a person, in tables of which the configuration doesn't say it.
    pub fn guard_by(&mut self, guard: Guard) {
        self.guard = guard;
        self.fill_in_guard();
    }

    pub(crate) fn fill_in_guard(&mut self) {
        for table in &mut Rc::make_mut(&mut self.catalog).tables {
            table.config.guard.get_or_insert(self.guard);
        }
    }
}

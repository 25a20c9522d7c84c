//! Saying anew how a table is synced, and from how many deletes on a run's wait for a person.
//!
//! Always true here: the file's configuration is what holds; what this node remembers of it follows. Not here: what can
//! be said while a file is attached (the engine).
use crate::Result;
use crate::engine::{self, Database};
use crate::node::Node;
use crate::state::AttachedDatabase;
use lockstep_engine::config::{DatabaseConfig, Guard, TableConfig};
use lockstep_engine::id::Millis;

impl Node {
    /// How a table of `DB.TABLE` is synced: what a person has said of it.
    pub fn configuration(&self, table: &str) -> Result<TableConfig> {
        let (database, table) = self.table_named(table)?;
        let config = self.with_database(&database, |db| db.config())?;
        Ok(of_table(&config, &table))
    }

    /// Says how a table of `DB.TABLE` is synced from now on.
    pub fn configure(&self, table: &str, config: &TableConfig) -> Result<()> {
        let (database, table) = self.table_named(table)?;
        let config = self.decide_in(&database.name, |db, now| db.configure(&table, config.clone(), now))?;
        self.state().add_database(&AttachedDatabase { config, ..database }, self.now())?;
        Ok(())
    }

    /// Syncs a table of `DB.TABLE` from now on that was left out so far, with what is said of it. Other tables that a
    /// pattern left out together with it stay left out.
    pub fn include(&self, table: &str, config: &TableConfig) -> Result<()> {
        let (database, table) = self.table_named(table)?;
        let is_it = |name: &str| name.eq_ignore_ascii_case(&table);
        let left_out =
            self.with_database(&database, |db| Ok(db.left_out().iter().any(|o| o.excluded && is_it(&o.name))))?;
        if !left_out {
            let name = format!("{}.{table}", database.name);
            return Err(crate::state::Error::Unknown { what: "table that is left out", name }.into());
        }
        let config = self.decide_in(&database.name, |db, now| {
            let mut wanted = db.config()?;
            let excluded =
                |name: &str, config: &DatabaseConfig| lockstep_engine::catalog::excluding(config, name).is_some();
            wanted.exclude.retain(|pattern| {
                let alone = DatabaseConfig { exclude: vec![pattern.clone()], ..DatabaseConfig::default() };
                !excluded(&table, &alone)
            });
            let others = db.left_out().iter().filter(|out| out.excluded && !is_it(&out.name));
            let others: Vec<String> = others.map(|out| out.name.clone()).filter(|n| !excluded(n, &wanted)).collect();
            wanted.exclude.extend(others);
            wanted.tables.insert(table.clone(), config.clone());
            db.include(&wanted, now)
        })?;
        self.state().add_database(&AttachedDatabase { config, ..database }, self.now())?;
        Ok(())
    }

    /// The delete guard for tables of which nothing else is said.
    pub(crate) fn guard(&self) -> Result<Guard> {
        let usual = Guard::default();
        let said = |key: &str| self.state().setting(key);
        Ok(Guard {
            rows: said("guard.rows")?.parse().unwrap_or(usual.rows),
            share: said("guard.share")?.parse().unwrap_or(usual.share),
        })
    }
}

/// What a configuration says of a table, in any case of its letters.
pub fn of_table(config: &DatabaseConfig, table: &str) -> TableConfig {
    let found = config.tables.iter().find(|(name, _)| name.eq_ignore_ascii_case(table));
    found.map(|(_, config)| config.clone()).unwrap_or_default()
}

/// A file that is attached again takes up what its configuration says otherwise by now.
pub(crate) fn take_up(db: &mut Database, wanted: &DatabaseConfig, now: Millis) -> Result<(), engine::Error> {
    let stands = db.include(wanted, now)?;
    for table in db.tables()? {
        let config = of_table(wanted, &table.name);
        if of_table(&stands, &table.name) != config {
            db.configure(&table.name, config, now)?;
        }
    }
    Ok(())
}

//! What a suggestion says in the configuration, once a person has accepted it.
use super::Suggestion;
use crate::config::{DatabaseConfig, Policy, TableConfig};

impl Suggestion {
    /// Says it in a configuration. False: there is nothing to say.
    pub fn accept(&self, config: &mut DatabaseConfig) -> bool {
        fn of<'c>(config: &'c mut DatabaseConfig, table: &str) -> &'c mut TableConfig {
            config.tables.entry(table.to_owned()).or_default()
        }
        match self {
            Suggestion::Identity { table, columns, declared: false, rows: _ } => {
                of(config, table).identity = Some(columns.clone());
            }
            Suggestion::Reference { table, column, database, target, matching: _, missing: _ } => {
                of(config, table).references.insert(column.clone(), format!("{database}.{target}"));
            }
            Suggestion::Local { table, why: _ } => config.exclude.push(table.clone()),
            Suggestion::Delicate { table, column } => {
                of(config, table).columns.insert(column.clone(), Policy::Review);
            }
            Suggestion::Modified { table, column } => of(config, table).modified = Some(column.clone()),
            Suggestion::Identity { declared: true, .. }
            | Suggestion::Surrogate { .. }
            | Suggestion::NoIdentity { .. }
            | Suggestion::Alembic => return false,
        }
        true
    }
}

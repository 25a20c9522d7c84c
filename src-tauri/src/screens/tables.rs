//! How each table is synced, before a file is attached and after.

use super::words::{Merge, SuggestionKind};
use crate::error::Failure;
use crate::shell;
use crate::view::Count;
use lockstep_node::attachment::{DatabaseReport, TableReport};
use lockstep_node::configure::of_table;
use lockstep_node::engine::{self, DatabaseConfig, MergeUnit, Policy, Suggestion as Suggested};
use serde::{Deserialize, Serialize};
use tauri::AppHandle;

/// One table, and how it is synced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct TableView {
    /// Logical name.
    pub database: String,
    /// Its name.
    pub table: String,
    /// Its rows; of a table that is not synced they are not counted.
    pub rows: Count,
    /// Is it synced?
    pub synced: bool,
    /// Why it can't be synced at all; null: it can.
    pub unsyncable: Option<String>,
    /// Its columns.
    pub columns: Vec<String>,
    /// The column whose numbers mean something on one node only.
    pub surrogate: Option<String>,
    /// By which columns its rows are known: one list for each key.
    pub known_by: Vec<Vec<String>>,
    /// What was said of it.
    pub config: TableConfig,
    /// What to look at.
    pub warnings: Vec<String>,
}

/// What a person may say about a table; as in `lockstep.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub(crate) struct TableConfig {
    pub exclude: bool,
    /// Empty: the UNIQUE constraints, else the natural key.
    pub identity: Vec<String>,
    pub references: Vec<Reference>,
    /// `newest`, `review`, `prefer:<node>`.
    pub policy: String,
    pub columns: Vec<ColumnPolicy>,
    pub merge: Merge,
    pub history: bool,
    pub modified: Option<String>,
    /// Null: as the settings say for all tables.
    pub guard: Option<TableGuard>,
}

/// A reference that no constraint declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct Reference {
    /// The referring column.
    pub column: String,
    /// `database.table`
    pub target: String,
}

/// A policy of one column's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub(crate) struct ColumnPolicy {
    pub column: String,
    pub policy: String,
}

/// From how many deletes on a run's wait for a person, as text: a number of rows, and a share of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub(crate) struct TableGuard {
    pub rows: String,
    pub share: String,
}

/// A thing that a table's configuration might say, with what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Suggestion {
    /// Its id.
    pub id: String,
    /// Logical name.
    pub database: String,
    /// Its table.
    pub table: String,
    /// What it is about.
    pub kind: SuggestionKind,
    /// What would be said: `team_number, scouting_team_number`, `scout_id = users.user`.
    pub what: String,
    /// One sentence with counts: how many rows speak for it and how many against.
    pub evidence: String,
    /// Every row speaks for it.
    pub advised: bool,
}

impl TableConfig {
    fn of(config: &DatabaseConfig, table: &str, exclude: bool) -> TableConfig {
        let said = of_table(config, table);
        let policy = |policy: Policy| String::from(policy);
        TableConfig {
            exclude,
            identity: said.identity.unwrap_or_default(),
            references: said.references.into_iter().map(|(column, target)| Reference { column, target }).collect(),
            policy: policy(said.policy),
            columns: said.columns.into_iter().map(|(column, p)| ColumnPolicy { column, policy: policy(p) }).collect(),
            merge: match said.merge {
                MergeUnit::Column => Merge::Column,
                MergeUnit::Row => Merge::Row,
            },
            history: said.history,
            modified: said.modified,
            guard: said.guard.map(|g| TableGuard { rows: g.rows.to_string(), share: g.share.to_string() }),
        }
    }

    /// As the node takes it.
    pub(crate) fn said(self) -> Result<engine::TableConfig, Failure> {
        let bad = |message: String| Failure { code: "bad_setting".to_owned(), message, hint: None };
        let policy = |text: String| Policy::try_from(text).map_err(&bad);
        let guard = self.guard.map(|g| {
            let read =
                || Some(engine::Guard { rows: g.rows.trim().parse().ok()?, share: g.share.trim().parse().ok()? });
            read().ok_or_else(|| bad("A guard needs a number of rows and a share, for example 100 and 0.2.".to_owned()))
        });
        Ok(engine::TableConfig {
            identity: (!self.identity.is_empty()).then_some(self.identity),
            references: self.references.into_iter().map(|r| (r.column, r.target)).collect(),
            policy: policy(self.policy)?,
            columns: self
                .columns
                .into_iter()
                .map(|c| Ok((c.column, policy(c.policy)?)))
                .collect::<Result<_, Failure>>()?,
            merge: match self.merge {
                Merge::Column => MergeUnit::Column,
                Merge::Row => MergeUnit::Row,
            },
            history: self.history,
            modified: self.modified,
            guard: guard.transpose()?,
        })
    }
}

/// The tables of a report, those that can't be synced too.
pub(crate) fn of(report: DatabaseReport) -> Vec<TableView> {
    let DatabaseReport { name: database, tables, left_out, config, .. } = report;
    let table = |t: TableReport| TableView {
        database: database.clone(),
        rows: Count(t.rows),
        synced: t.synced,
        unsyncable: None,
        columns: t.columns,
        surrogate: t.surrogate,
        known_by: t.identity,
        config: TableConfig::of(&config, &t.name, !t.synced),
        warnings: t.warnings,
        table: t.name,
    };
    let out = |t: lockstep_node::attachment::LeftOut| TableView {
        database: database.clone(),
        rows: Count(0),
        synced: false,
        unsyncable: (!t.excluded).then_some(t.reason),
        columns: t.columns,
        surrogate: None,
        known_by: Vec::new(),
        config: TableConfig::of(&config, &t.name, true),
        warnings: Vec::new(),
        table: t.name,
    };
    tables.into_iter().map(table).chain(left_out.into_iter().map(out)).collect()
}

/// What could be accepted by a click; null: there is nothing to say.
pub(crate) fn suggestion(database: &str, s: &Suggested) -> Option<Suggestion> {
    let rows = |n: u64| if n == 1 { "1 row".to_owned() } else { format!("{n} rows") };
    let (table, kind, what, evidence, advised) = match s {
        Suggested::Identity { table, columns, declared: false, rows: n } => {
            let what = columns.join(", ");
            let evidence = format!("No two of {} have the same there", rows(*n));
            (table, SuggestionKind::Identity, what, evidence, false)
        }
        Suggested::Reference { table, column, database, target, matching, missing } => {
            let what = format!("{column} = {database}.{target}");
            let evidence = format!("{} fit, {missing} do not", rows(*matching));
            (table, SuggestionKind::Reference, what, evidence, *missing == 0 && *matching > 0)
        }
        Suggested::Local { table, why } => {
            let evidence = format!("It looks like {why}, of this server alone");
            (table, SuggestionKind::Exclude, table.clone(), evidence, false)
        }
        Suggested::Delicate { table, column } => {
            let evidence = "It looks delicate: a person would decide its conflicts".to_owned();
            (table, SuggestionKind::Review, column.clone(), evidence, false)
        }
        Suggested::Modified { table, column } => {
            let evidence =
                "It looks like the time of the last change, by which the rows there are would be dated".to_owned();
            (table, SuggestionKind::Modified, column.clone(), evidence, false)
        }
        Suggested::Identity { declared: true, .. }
        | Suggested::Surrogate { .. }
        | Suggested::NoIdentity { .. }
        | Suggested::Alembic => return None,
    };
    let id = format!("{database}.{table}: {} {what}", kind.word());
    let (database, table) = (database.to_owned(), table.clone());
    Some(Suggestion { id, database, table, kind, what, evidence, advised })
}

/// The tables of the attached databases, those too that are not synced, as `lockstep tables`.
#[tauri::command]
pub(crate) async fn tables(app: AppHandle) -> Result<Vec<TableView>, Failure> {
    let reports = shell::of(&app).home.ask(|node| node.tables(None)).await?;
    Ok(reports.into_iter().flat_map(of).collect())
}

/// A table, and what is said of it.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigureAsk {
    database: String,
    table: String,
    config: TableConfig,
}

impl ConfigureAsk {
    /// Database, table, and what is said of it.
    pub(crate) fn said(self) -> Result<(String, String, engine::TableConfig), Failure> {
        Ok((self.database, self.table, self.config.said()?))
    }
}

/// Says how one table is synced from now on, as `lockstep configure`.
#[tauri::command]
pub(crate) async fn configure(app: AppHandle, ask: ConfigureAsk) -> Result<(), Failure> {
    let config = ask.config.said()?;
    let table = format!("{}.{}", ask.database, ask.table);
    let shell = shell::of(&app);
    shell.home.ask(move |node| node.configure(&table, &config)).await?;
    shell.changed(&app);
    Ok(())
}

/// Syncs a table from now on that was left out, with what is said of it.
#[tauri::command]
pub(crate) async fn include(app: AppHandle, ask: ConfigureAsk) -> Result<(), Failure> {
    let config = ask.config.said()?;
    let table = format!("{}.{}", ask.database, ask.table);
    let shell = shell::of(&app);
    shell.home.ask(move |node| node.include(&table, &config)).await?;
    shell.changed(&app);
    Ok(())
}

//! Set-up: files become databases.

use super::tables::{self, ConfigureAsk, Suggestion, TableView};
use crate::dialogs;
use crate::error::Failure;
use crate::events::{Event, Progress, Task};
use crate::shell;
use crate::view::Count;
use lockstep_node::attachment::{Attach, TableReport};
use lockstep_node::engine::Suggestion as Suggested;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tauri::AppHandle;

/// A file that becomes a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ChosenFile {
    /// Logical name, the same on all nodes.
    pub name: String,
    /// Where it lies.
    pub file: String,
}

/// The desktop's own dialog; empty if nothing was chosen. Names are suggested from the files.
#[tauri::command]
pub(crate) async fn choose_files(app: AppHandle) -> Result<Vec<ChosenFile>, Failure> {
    let files = dialogs::databases(&app, "Choose the application's databases").await.into_iter();
    Ok(files.map(|file| ChosenFile { name: suggested(&file), file: file.display().to_string() }).collect())
}

/// A name that a database may have, from that of its file.
fn suggested(file: &std::path::Path) -> String {
    let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(64).collect();
    if name.is_empty() { "database".to_owned() } else { name }
}

/// Which files to look at.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct InspectAsk {
    files: Vec<ChosenFile>,
}

/// What is in the chosen files; nothing was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Inspection {
    /// Their tables.
    pub tables: Vec<TableView>,
    /// What could be accepted by a click.
    pub suggestions: Vec<Suggestion>,
    /// Files that are not in write-ahead logging, by name.
    pub not_wal: Vec<String>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// What is in the files, found on copies of them. Changes nothing.
#[tauri::command]
pub(crate) async fn inspect(app: AppHandle, ask: InspectAsk) -> Result<Inspection, Failure> {
    let databases = ask.files.into_iter().map(|f| (f.name, PathBuf::from(f.file))).collect();
    let attach = Attach { databases, ..Attach::default() };
    let reports = shell::of(&app).home.ask(move |node| node.inspect(&attach)).await?;
    let mut found = Inspection::default();
    for report in reports {
        let database = report.name.clone();
        let (clicked, told): (Vec<_>, Vec<_>) =
            report.suggestions.iter().map(|s| (tables::suggestion(&database, s), s)).partition(|(s, _)| s.is_some());
        found.suggestions.extend(clicked.into_iter().filter_map(|(s, _)| s));
        let of_a_table = |w: &&String| report.tables.iter().any(|t| w.starts_with(&format!("{}: ", t.name)));
        let warnings = report.warnings.iter().filter(|w| !of_a_table(w)).cloned();
        let told = told.into_iter().filter(|(_, s)| matches!(s, Suggested::Alembic)).map(|(_, s)| s.to_string());
        found.warnings.extend(warnings.chain(told).map(|text| format!("{database}: {text}")));
        if !report.wal {
            found.not_wal.push(database);
        }
        found.tables.extend(tables::of(report));
    }
    Ok(found)
}

/// Which files, and how.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct AttachAsk {
    files: Vec<ChosenFile>,
    /// Suggestions, by their ids.
    accepted: Vec<String>,
    /// What a person says of single tables that are synced.
    tables: Vec<ConfigureAsk>,
    /// Tables that a person leaves out, suggested or not.
    left_out: Vec<TableName>,
    wal: bool,
    backup: bool,
}

/// A table.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct TableName {
    /// Logical name.
    database: String,
    /// Its name.
    table: String,
}

/// What attaching did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Attached {
    /// One for each file.
    pub databases: Vec<AttachedDatabase>,
}

/// A file that is a database now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AttachedDatabase {
    /// Logical name.
    pub name: String,
    /// Where it lies.
    pub file: String,
    /// The backup that was written first.
    pub backup: Option<String>,
    /// How many tables are synced.
    pub tables: Count,
    /// Their rows.
    pub rows: Count,
}

/// Writes a backup, installs capture, enters the rows, as `lockstep attach`; tells of its progress.
#[tauri::command]
pub(crate) async fn attach(app: AppHandle, ask: AttachAsk) -> Result<Attached, Failure> {
    let shell = shell::of(&app);
    let session = shell.begin()?;
    let databases = ask.files.into_iter().map(|f| (f.name, PathBuf::from(f.file))).collect();
    let said = ask.tables.into_iter().map(ConfigureAsk::said).collect::<Result<_, _>>()?;
    let left_out = ask.left_out.into_iter().map(|t| (t.database, t.table)).collect();
    let mut attach = Attach { databases, said, left_out, wal: ask.wal, backup: ask.backup, ..Attach::default() };
    if !ask.accepted.is_empty() {
        attach.accepted = accepted(&app, &attach, &ask.accepted).await?;
    }
    let teller = app.clone();
    let attached = shell.home.work(async move |node| {
        let mut tell = |database: &str, done: u64, all: u64| {
            let (done, total) = (Count(done), Some(Count(all)));
            let progress = Progress { task: Task::Attach, what: database.to_owned(), done, total, left_ms: None };
            Event::Progress { progress }.tell(&teller);
        };
        node.attach(&attach, &mut tell).await
    });
    let reports = attached.await?;
    drop(session);
    shell.changed(&app);
    let synced = |tables: &[TableReport]| tables.iter().filter(|t| t.synced).count() as u64;
    let attached = reports.into_iter().map(|r| AttachedDatabase {
        tables: Count(synced(&r.tables)),
        rows: Count(r.tables.iter().filter(|t| t.synced).map(|t| t.rows).sum()),
        name: r.name,
        file: r.file,
        backup: r.backup,
    });
    Ok(Attached { databases: attached.collect() })
}

/// The suggestions of these ids, looked up once more: what is accepted is what is suggested, and nothing of the page's.
async fn accepted(app: &AppHandle, attach: &Attach, ids: &[String]) -> Result<Vec<(String, Suggested)>, Failure> {
    let look = Attach { accepted: Vec::new(), ..attach.clone() };
    let reports = shell::of(app).home.ask(move |node| node.inspect(&look)).await?;
    let all = reports.into_iter().flat_map(|r| r.suggestions.into_iter().map(move |s| (r.name.clone(), s)));
    let mut known: Vec<(String, String, Suggested)> =
        all.filter_map(|(database, s)| Some((tables::suggestion(&database, &s)?.id, database, s))).collect();
    let mut found = Vec::new();
    for id in ids {
        let Some(place) = known.iter().position(|(known, ..)| known == id) else {
            return Err(Failure {
                code: "unknown_suggestion".to_owned(),
                message: format!("There is no suggestion `{id}` any more."),
                hint: Some("Look into the files again.".to_owned()),
            });
        };
        let (_, database, suggestion) = known.remove(place);
        found.push((database, suggestion));
    }
    Ok(found)
}

/// Which database.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct DetachAsk {
    name: String,
}

/// Removes every trace of Lockstep from the file, as `lockstep detach`.
#[tauri::command]
pub(crate) async fn detach(app: AppHandle, ask: DetachAsk) -> Result<(), Failure> {
    let shell = shell::of(&app);
    shell.home.work(async move |node| node.detach(&ask.name).await).await?;
    shell.changed(&app);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_suggested_that_a_database_may_have() {
        for (file, name) in [
            ("/srv/app/scouting.db", "scouting"),
            ("/srv/Meine Daten (2).sqlite", "Meine_Daten__2_"),
            ("/srv/.db", "_db"),
        ] {
            assert_eq!(suggested(std::path::Path::new(file)), name);
        }
    }
}

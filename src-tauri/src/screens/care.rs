//! Care for one database: looking it over, copying it, its application's migration, and what a restored file is to mean.

use crate::dialogs;
use crate::error::Failure;
use crate::node::peer_run_view;
use crate::shell;
use crate::view::{Count, RunView};
use lockstep_node::lineage::{Meaning, RestoredReport};
use lockstep_node::platform;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::Stdio;
use tauri::AppHandle;

/// So much of what a migration printed is shown: its end.
const PRINTED: u64 = 8000;

/// Which database; null: all.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct DoctorAsk {
    database: Option<String>,
}

/// What was found in one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct DoctorView {
    /// Logical name.
    pub database: String,
    /// What was not as it should be, in sentences without values.
    pub findings: Vec<String>,
    /// It was put right; true also where nothing was found.
    pub repaired: bool,
}

/// Looks databases over and puts right what is wrong, as `lockstep doctor`.
#[tauri::command]
pub(crate) async fn doctor(app: AppHandle, ask: DoctorAsk) -> Result<Vec<DoctorView>, Failure> {
    let shell = shell::of(&app);
    let reports = shell.home.work(async move |node| node.doctor(ask.database.as_deref()).await).await;
    shell.changed(&app);
    let view = |r: lockstep_node::care::CareReport| DoctorView {
        database: r.name,
        findings: r.findings,
        repaired: r.repaired,
    };
    Ok(reports?.into_iter().map(view).collect())
}

/// Which database, and whether without Lockstep's tables.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupAsk {
    database: String,
    clean: bool,
}

/// A copy that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct BackupView {
    /// Where it is.
    pub file: String,
    /// Of the whole file, hex.
    pub sha256: String,
}

/// A consistent copy of a live database, where a person wants it, as `lockstep backup`; null: cancelled.
#[tauri::command]
pub(crate) async fn backup(app: AppHandle, ask: BackupAsk) -> Result<Option<BackupView>, Failure> {
    let BackupAsk { database, clean } = ask;
    let title = format!("Save a copy of {database}");
    let Some(file) = dialogs::save(&app, &title, &format!("{database}-copy.db")).await else { return Ok(None) };
    let copy = shell::of(&app).home.ask(move |node| node.backup(&database, &file, clean)).await?;
    Ok(Some(BackupView { file: copy.file, sha256: copy.sha256 }))
}

/// The desktop's own dialog for a folder; null: cancelled.
#[tauri::command]
pub(crate) async fn choose_folder(app: AppHandle) -> Result<Option<String>, Failure> {
    let folder = dialogs::folder(&app, "Choose the application's folder").await;
    Ok(folder.map(|f| f.display().to_string()))
}

/// What to run, and where.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct MigrateAsk {
    database: String,
    /// As it is typed at a prompt.
    command: String,
    /// Where it runs; null: the person's own folder.
    folder: Option<String>,
}

/// How a migration went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct MigrationView {
    /// The command's exit status; 0: it says that it went well.
    pub exit: i32,
    /// What it did to the schema, and to rows while nothing was captured.
    pub findings: Vec<String>,
    /// The copy that was made before.
    pub backup: String,
    /// The end of what the command printed. It is kept nowhere.
    pub printed: String,
}

/// Runs the application's migration, as `lockstep migrate`; null: cancelled. The page can't run anything by itself: a
/// person agrees to the very command in a dialog of the desktop.
#[tauri::command]
pub(crate) async fn migrate(app: AppHandle, ask: MigrateAsk) -> Result<Option<MigrationView>, Failure> {
    let shell = shell::of(&app);
    let MigrateAsk { database, command, folder } = ask;
    let place = folder.as_ref().map(|f| format!("\n\nin {f}")).unwrap_or_default();
    let says = format!("{command}{place}\n\nA copy of {database} is made first. The command runs as you.");
    if !dialogs::agrees(&app, "Run this command?", &says, "Run it").await {
        return Ok(None);
    }
    let session = shell.begin()?;
    let failed = |source: std::io::Error| Failure {
        code: "command".to_owned(),
        message: format!("The command can't be run: {source}."),
        hint: None,
    };
    let mut printed = tempfile::tempfile().map_err(failed)?;
    let mut run = platform::typed(&command);
    let words = || printed.try_clone().map(Stdio::from).map_err(failed);
    run.stdin(Stdio::null()).stdout(words()?).stderr(words()?);
    if let Some(folder) = folder {
        run.current_dir(folder);
    }
    let report = shell.home.work(async move |node| node.migrate(&database, &mut run).await).await;
    drop(session);
    shell.changed(&app);
    let report = report?;
    Ok(Some(MigrationView {
        exit: report.exit,
        findings: report.findings,
        backup: report.backup,
        printed: end_of(&mut printed).map_err(failed)?,
    }))
}

/// The last of a file, as text.
fn end_of(file: &mut File) -> std::io::Result<String> {
    let from = file.metadata()?.len().saturating_sub(PRINTED);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(PRINTED).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a restored file is to mean.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub(crate) enum RestoredMeaning {
    /// Servers bring back what it lacks.
    Rejoin,
    /// It wins over what servers have had since.
    Authoritative,
}

/// Which database, and what its file is to mean.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoredAsk {
    database: String,
    meaning: RestoredMeaning,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct RestoredView {
    /// The file as it was found, set aside.
    pub copy: Option<String>,
    /// Rows that were brought back so that the restored state wins.
    pub inserts: Count,
    /// Rows that were changed for that.
    pub updates: Count,
    /// Rows that were deleted for that.
    pub deletes: Count,
    /// The last session with each server.
    pub run: RunView,
}

/// Says what a restored file is to mean, and syncs, as `lockstep restored`.
#[tauri::command]
pub(crate) async fn restored(app: AppHandle, ask: RestoredAsk) -> Result<RestoredView, Failure> {
    let shell = shell::of(&app);
    let session = shell.begin()?;
    let meaning = match ask.meaning {
        RestoredMeaning::Rejoin => Meaning::Rejoin,
        RestoredMeaning::Authoritative => Meaning::Authoritative,
    };
    let report = shell.home.work(async move |node| node.restored(&ask.database, meaning).await).await;
    drop(session);
    shell.changed(&app);
    let RestoredReport { copy, imposed, run, .. } = report?;
    let imposed = imposed.unwrap_or_default();
    Ok(RestoredView {
        copy,
        inserts: Count(imposed.inserts),
        updates: Count(imposed.updates),
        deletes: Count(imposed.deletes),
        run: RunView { peers: run.into_iter().map(peer_run_view).collect() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn of_what_was_printed_the_end_is_shown() {
        let mut file = tempfile::tempfile().unwrap();
        for n in 0..3000 {
            writeln!(file, "line {n}").unwrap();
        }
        let end = end_of(&mut file).unwrap();
        assert!(end.len() as u64 == PRINTED && end.ends_with("line 2999\n"), "{}", end.len());
    }
}

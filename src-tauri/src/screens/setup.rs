//! Set-up: files become databases, two nodes become a pair.
//!
//! Always true here: an invite is a secret. One that was made here goes into a file that only its owner can read, never
//! into the page; one that was pasted goes from the page to the node, and never back.

use super::plan::{Mismatch, mismatch};
use super::shapes::moment;
use super::tables::{self, ConfigureAsk, Suggestion, TableView};
use super::words::{Began, PreferSide, ShareDirection};
use crate::error::{self, Failure};
use crate::events::{Event, Progress, Task};
use crate::node::peer_run_view;
use crate::shell;
use crate::view::{Count, Millis, RunView};
use lockstep_node::attachment::{Attach, TableReport};
use lockstep_node::contact::{Evidence, Origin, Prefer, SuggestionLine};
use lockstep_node::engine::Suggestion as Suggested;
use lockstep_node::invite::Invite;
use lockstep_node::pair::Wanted;
use lockstep_node::platform;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tauri::AppHandle;
use tauri_plugin_dialog::DialogExt;

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
    let (chosen, choice) = tokio::sync::oneshot::channel();
    let dialog = app.dialog().file().set_title("Choose the application's databases");
    let dialog =
        dialog.add_filter("SQLite databases", &["db", "sqlite", "sqlite3", "db3"]).add_filter("All files", &["*"]);
    // Nobody waits any more when the console ends.
    dialog.pick_files(move |files| drop(chosen.send(files)));
    let files = choice.await.ok().flatten().unwrap_or_default();
    let files = files.into_iter().filter_map(|file| file.into_path().ok());
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
    /// What a person says of single tables.
    tables: Vec<ConfigureAsk>,
    wal: bool,
    backup: bool,
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
    let mut attach = Attach { databases, said, wal: ask.wal, backup: ask.backup, ..Attach::default() };
    if !ask.accepted.is_empty() {
        attach.accepted = accepted(&app, &attach, &ask.accepted).await?;
    }
    let (node, teller) = (shell.home.node()?, app.clone());
    let done = tauri::async_runtime::spawn(async move {
        let mut tell = |database: &str, done: u64, all: u64| {
            let (done, total) = (Count(done), Some(Count(all)));
            let progress = Progress { task: Task::Attach, what: database.to_owned(), done, total, left_ms: None };
            Event::Progress { progress }.tell(&teller);
        };
        tokio::task::block_in_place(|| tauri::async_runtime::block_on(node.attach(&attach, &mut tell)))
    });
    let reports = done.await.map_err(error::broken_off)?.map_err(|e| error::failure(e.problem()))?;
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
    let node = shell.home.node()?;
    node.detach(&ask.name).await.map_err(|e| error::failure(e.problem()))?;
    shell.changed(&app);
    Ok(())
}

/// One line of what is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    /// `DB` or `DB.TABLE`.
    pub what: String,
    /// Which way.
    pub direction: ShareDirection,
}

fn named(share: Vec<Share>) -> Vec<String> {
    share.into_iter().filter(|s| s.direction != ShareDirection::None).map(|s| s.what).collect()
}

/// For how long, for what, and where to.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteAsk {
    expires_ms: String,
    share: Vec<Share>,
    to: Carrier,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Carrier {
    File,
    Picture,
}

/// An invite that was made; its secret is where it was put, and not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Invited {
    /// Until when it is good.
    pub expires_at: Millis,
    /// Where the other node will look for this one.
    pub address: String,
    /// Where it was saved.
    pub file: String,
}

/// Makes an invite, as `lockstep invite`, and puts it, as a line of text or as a QR code, into a file that only its owner
/// can read; null: cancelled. Not on the clipboard, which every program can read.
#[tauri::command]
pub(crate) async fn invite(app: AppHandle, ask: InviteAsk) -> Result<Option<Invited>, Failure> {
    let lasts = ask.expires_ms.parse().map(Duration::from_millis).map_err(|_| Failure {
        code: "bad_duration".to_owned(),
        message: "For how long the invite is good has to be a number of milliseconds.".to_owned(),
        hint: None,
    })?;
    let name = if ask.to == Carrier::Picture { "invite.svg" } else { "invite.lockstep" };
    let Some(file) = save_as(&app, name).await else { return Ok(None) };
    let share = named(ask.share);
    let made = shell::of(&app).home.ask(move |node| node.invite(lasts, &share, &[])).await?;
    let line = made.invite.to_string();
    let text = if ask.to == Carrier::Picture { picture(&line)? } else { line };
    let written = platform::private_file(&file).and_then(|mut f| writeln!(f, "{text}"));
    written.map_err(|e| Failure {
        code: "file_io".to_owned(),
        message: format!("{} can't be written: {e}.", file.display()),
        hint: Some("Choose a file that is not there yet.".to_owned()),
    })?;
    Ok(Some(Invited {
        expires_at: moment(made.expires_at),
        address: made.invite.address,
        file: file.display().to_string(),
    }))
}

async fn save_as(app: &AppHandle, name: &str) -> Option<PathBuf> {
    let (chosen, choice) = tokio::sync::oneshot::channel();
    let dialog = app.dialog().file().set_title("Save the invite").set_file_name(name);
    dialog.save_file(move |file| drop(chosen.send(file)));
    choice.await.ok().flatten().and_then(|file| file.into_path().ok())
}

/// The line as a QR code, for a camera.
fn picture(line: &str) -> Result<String, Failure> {
    let code = qrcode::QrCode::with_error_correction_level(line, qrcode::EcLevel::L).map_err(|e| Failure {
        code: "no_picture".to_owned(),
        message: format!("The invite does not fit into a QR code: {e}."),
        hint: Some("Save it as a file.".to_owned()),
    })?;
    Ok(code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(320, 320).build())
}

/// A pasted invite.
#[derive(Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadInviteAsk {
    invite: String,
}

/// What a pasted invite says of who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct InviteView {
    /// The id of the node that made it.
    pub node: String,
    /// Where it is.
    pub address: String,
    /// An invite does not say until when it is good.
    pub expires_at: Option<Millis>,
}

fn parsed(invite: &str) -> Result<Invite, Failure> {
    invite.parse().map_err(|e: lockstep_node::invite::Error| error::failure(lockstep_node::Error::from(e).problem()))
}

/// Reads a pasted invite, without asking anyone.
#[tauri::command]
pub(crate) async fn read_invite(ask: ReadInviteAsk) -> Result<InviteView, Failure> {
    let Invite { address, node, secret: _ } = parsed(&ask.invite)?;
    Ok(InviteView { node: node.to_string(), address, expires_at: None })
}

/// With whom and how to pair. No `Debug`: it holds the invite.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize, ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct PairAsk {
    invite: String,
    r#as: String,
    share: Vec<Share>,
    origin: Option<Began>,
    prefer: Option<PreferSide>,
}

impl PairAsk {
    fn wanted(&self) -> Wanted {
        let origin = self.origin.map(|began| match began {
            Began::Copies => Origin::Copies,
            Began::Separate => Origin::Separate,
        });
        let name = Some(self.r#as.trim()).filter(|name| !name.is_empty()).map(str::to_owned);
        Wanted { name, share: named(self.share.clone()), without: Vec::new(), origin }
    }

    fn prefer(&self) -> Option<Prefer> {
        self.prefer.map(|side| match side {
            PreferSide::Here => Prefer::Here,
            PreferSide::There => Prefer::There,
            PreferSide::Review => Prefer::Review,
        })
    }
}

/// First contact of two filled databases, per table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[allow(missing_docs)]
pub(crate) struct PairTable {
    pub database: String,
    pub table: String,
    pub same: Count,
    pub differing: Count,
    pub only_here: Count,
    pub only_there: Count,
    pub id_taken: Count,
    /// Differing rows of which neither has a time.
    pub undatable: Count,
}

/// What could be said of a table, and how many rows of both sides speak for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PairSuggestion {
    /// `DB.TABLE`
    pub table: String,
    /// As `lockstep.toml` says it.
    pub what: String,
    /// One sentence with counts.
    pub evidence: String,
}

/// What pairing would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PairPreview {
    /// What this node will call it.
    pub peer: String,
    /// What both have.
    pub tables: Vec<PairTable>,
    /// Tables that the two have differently.
    pub mismatches: Vec<Mismatch>,
    /// What could be said of tables in the configuration, held against both sides' rows.
    pub suggestions: Vec<PairSuggestion>,
    /// Columns that look secret and would be shared: `users.user.password_hash`.
    pub sensitive: Vec<String>,
}

fn held_against(line: &SuggestionLine) -> PairSuggestion {
    let evidence = match &line.evidence {
        Evidence::Identity { matching, only_here, only_there, doubled_there } => format!(
            "{matching} rows would be one, {only_here} are only here, {only_there} only there; {doubled_there} there are \
             like another there"
        ),
        Evidence::Reference { here, there } => format!(
            "here {} rows fit and {} do not, there {} and {}",
            here.matching, here.missing, there.matching, there.missing
        ),
    };
    PairSuggestion { table: line.name.clone(), what: line.say.clone(), evidence }
}

/// What pairing would mean, table by table. Asks the peer; exchanges nothing.
#[tauri::command]
pub(crate) async fn preview_pair(app: AppHandle, ask: PairAsk) -> Result<PairPreview, Failure> {
    let node = shell::of(&app).home.node()?;
    let told = |e: lockstep_node::Error| error::failure(e.problem());
    let joining = node.join(&parsed(&ask.invite)?, &ask.wanted()).await.map_err(told)?;
    let preview = node.preview_with(&joining.peer, &joining.shares, joining.origin).await;
    // Whoever only looks is no peer, and its invite is as good as before.
    node.only_looked(&joining).await.map_err(told)?;
    let preview = preview.map_err(told)?;
    let sharing = node.sharing(&joining).map_err(told)?;
    let table = |line: lockstep_node::contact::ContactLine| {
        let (database, table) = line.name.split_once('.').unwrap_or((&line.name, ""));
        PairTable {
            database: database.to_owned(),
            table: table.to_owned(),
            same: Count(line.same),
            differing: Count(line.differing),
            only_here: Count(line.only_here),
            only_there: Count(line.only_there),
            id_taken: Count(line.id_taken),
            undatable: Count(line.undatable),
        }
    };
    Ok(PairPreview {
        peer: joining.peer.name,
        tables: preview.contact.into_iter().map(table).collect(),
        mismatches: preview.mismatches.into_iter().map(mismatch).collect(),
        suggestions: preview.suggestions.iter().map(held_against).collect(),
        sensitive: sharing.iter().flat_map(|t| t.sensitive.iter().map(|c| format!("{}.{c}", t.name))).collect(),
    })
}

/// Pairs and runs the first sync, as `lockstep pair`; tells of its progress. Safe to repeat after an interruption.
#[tauri::command]
pub(crate) async fn pair(app: AppHandle, ask: PairAsk) -> Result<RunView, Failure> {
    let shell = shell::of(&app);
    let session = shell.begin()?;
    let node = shell.home.node()?;
    let told = |e: lockstep_node::Error| error::failure(e.problem());
    let joining = node.join(&parsed(&ask.invite)?, &ask.wanted()).await.map_err(told)?;
    let peer = node.confirm(&joining).map_err(told)?;
    let watcher = session.watcher(&app, Task::Pair, &peer.name);
    let run = node.first_sync(&peer, ask.prefer(), &watcher).await.map_err(told);
    drop(session);
    shell.changed(&app);
    Ok(RunView { peers: vec![peer_run_view(run?)] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_is_a_picture_for_a_camera() {
        let svg = picture("lockstep:pit.example:7467/abc").unwrap();
        assert!(svg.contains("<svg") && !svg.contains("abc"), "the line itself is not in it");
    }

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

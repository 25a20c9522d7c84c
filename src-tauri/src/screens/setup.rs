//! Set-up: files become databases, two nodes become a pair.
//!
//! Always true here: an invite is a secret. One that was made here goes into a file that only its owner can read, never
//! into the page; one that was pasted goes from the page to the node, and never back.

use super::shapes::moment;
use crate::error::{self, Failure};
use crate::events::{Event, Progress, Task};
use crate::node::peer_run_view;
use crate::shell;
use crate::view::{Count, Millis, RunView};
use lockstep_node::attachment::{Attach, TableReport};
use lockstep_node::contact::{Origin, Prefer};
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
#[serde(deny_unknown_fields)]
pub(crate) struct InspectAsk {
    files: Vec<ChosenFile>,
}

/// What is in the chosen files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Inspection {
    /// Their tables.
    pub tables: Vec<InspectedTable>,
    /// What could be accepted by a click. What a file suggests comes as text among the warnings, since it is
    /// written into `lockstep.toml`.
    pub suggestions: [(); 0],
    /// Files for which another journal mode is advised.
    pub not_wal: [(); 0],
    /// What a person should look at, and what the configuration might say, with the evidence.
    pub warnings: Vec<String>,
}

/// A table, and how it would be synced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct InspectedTable {
    /// Logical name.
    pub database: String,
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: Count,
    /// Would it be synced?
    pub synced: bool,
    /// Why it can't be synced at all; null: it can.
    pub unsyncable: Option<String>,
    /// The columns by which people know a row.
    pub columns: Vec<String>,
    /// The column whose numbers mean something on one node only.
    pub surrogate: Option<String>,
    /// What the configuration says of it, with what was found where it says nothing.
    pub config: InspectedConfig,
    /// What to look at.
    pub warnings: Vec<String>,
}

/// How a table would be synced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub(crate) struct InspectedConfig {
    pub exclude: bool,
    pub identity: Vec<String>,
    pub references: Vec<InspectedReference>,
    pub policy: String,
    pub columns: [(); 0],
    pub merge: &'static str,
    pub history: bool,
    pub modified: Option<String>,
    pub guard: InspectedGuard,
}

/// A reference that no constraint need declare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub(crate) struct InspectedReference {
    pub column: String,
    pub target: String,
}

/// When deletes wait for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub(crate) struct InspectedGuard {
    pub rows: Count,
    pub share: String,
}

impl InspectedTable {
    fn of(database: &str, t: TableReport) -> InspectedTable {
        let reference = |text: &String| {
            let (column, target) = text.split_once(" -> ").unwrap_or((text, ""));
            InspectedReference { column: column.to_owned(), target: target.to_owned() }
        };
        InspectedTable {
            database: database.to_owned(),
            rows: Count(t.rows),
            synced: t.synced,
            unsyncable: None,
            columns: t.identity.concat(),
            surrogate: t.surrogate,
            config: InspectedConfig {
                exclude: !t.synced,
                identity: t.identity.into_iter().next().unwrap_or_default(),
                references: t.references.iter().map(reference).collect(),
                ..InspectedConfig::usual()
            },
            warnings: t.warnings,
            table: t.name,
        }
    }

    fn left_out(database: &str, table: String, reason: String) -> InspectedTable {
        InspectedTable {
            database: database.to_owned(),
            table,
            rows: Count(0),
            synced: false,
            unsyncable: Some(reason),
            columns: Vec::new(),
            surrogate: None,
            config: InspectedConfig { exclude: true, ..InspectedConfig::usual() },
            warnings: Vec::new(),
        }
    }
}

impl InspectedConfig {
    fn usual() -> InspectedConfig {
        InspectedConfig {
            exclude: false,
            identity: Vec::new(),
            references: Vec::new(),
            policy: "newest".to_owned(),
            columns: [],
            merge: "column",
            history: true,
            modified: None,
            guard: InspectedGuard { rows: Count(100), share: "0.2".to_owned() },
        }
    }
}

/// What is in the files, found on copies of them. Changes nothing.
#[tauri::command]
pub(crate) async fn inspect(app: AppHandle, ask: InspectAsk) -> Result<Inspection, Failure> {
    let databases = ask.files.into_iter().map(|f| (f.name, PathBuf::from(f.file))).collect();
    let attach = Attach { databases, ..Attach::default() };
    let reports = shell::of(&app).home.ask(move |node| node.inspect(&attach)).await?;
    let mut found = Inspection::default();
    for report in reports {
        let database = report.name;
        found.tables.extend(report.tables.into_iter().map(|t| InspectedTable::of(&database, t)));
        let left_out = report.left_out.into_iter();
        found.tables.extend(left_out.map(|t| InspectedTable::left_out(&database, t.name, t.reason)));
        let named = |text: String| format!("{database}: {text}");
        found
            .warnings
            .extend(report.warnings.into_iter().chain(report.suggestions.iter().map(ToString::to_string)).map(named));
    }
    Ok(found)
}

/// Which files, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttachAsk {
    files: Vec<ChosenFile>,
    accepted: Vec<String>,
    wal: bool,
    backup: bool,
}

/// What attaching did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Attached {
    /// One for each file.
    pub databases: Vec<AttachedDatabase>,
}

/// A file that is a database now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    if let Some(unknown) = ask.accepted.first() {
        return Err(Failure {
            code: "unknown_suggestion".to_owned(),
            message: format!("There is no suggestion `{unknown}`."),
            hint: Some("Look at the files again.".to_owned()),
        });
    }
    let shell = shell::of(&app);
    let session = shell.begin()?;
    let databases = ask.files.into_iter().map(|f| (f.name, PathBuf::from(f.file))).collect();
    let attach = Attach { databases, wal: ask.wal, backup: ask.backup, ..Attach::default() };
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

/// Which database.
#[derive(Debug, Deserialize)]
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
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    /// `DB` or `DB.TABLE`.
    pub what: String,
    /// Which way.
    pub direction: String,
}

fn named(share: Vec<Share>) -> Vec<String> {
    share.into_iter().filter(|s| s.direction != "none").map(|s| s.what).collect()
}

/// For how long, for what, and where to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteAsk {
    expires_ms: String,
    share: Vec<Share>,
    to: Carrier,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Carrier {
    Clipboard,
    File,
}

/// An invite that was made; its secret is where it was put, and not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Invited {
    /// Until when it is good.
    pub expires_at: Millis,
    /// Where the other node will look for this one.
    pub address: String,
    /// Where it was saved.
    pub file: Option<String>,
}

/// Makes an invite, as `lockstep invite`, and puts it into a file that only its owner can read; null: cancelled.
#[tauri::command]
pub(crate) async fn invite(app: AppHandle, ask: InviteAsk) -> Result<Option<Invited>, Failure> {
    let lasts = ask.expires_ms.parse().map(Duration::from_millis).map_err(|_| Failure {
        code: "bad_duration".to_owned(),
        message: "For how long the invite is good has to be a number of milliseconds.".to_owned(),
        hint: None,
    })?;
    if ask.to == Carrier::Clipboard {
        return Err(Failure {
            code: "no_clipboard".to_owned(),
            message: "The clipboard can be read by every program, so an invite is not put there.".to_owned(),
            hint: Some("Save it as a file, and carry that.".to_owned()),
        });
    }
    let (chosen, choice) = tokio::sync::oneshot::channel();
    let dialog = app.dialog().file().set_title("Save the invite").set_file_name("invite.lockstep");
    dialog.save_file(move |file| drop(chosen.send(file)));
    let Some(file) = choice.await.ok().flatten().and_then(|file| file.into_path().ok()) else { return Ok(None) };
    let share = named(ask.share);
    let made = shell::of(&app).home.ask(move |node| node.invite(lasts, &share, &[])).await?;
    let written = platform::private_file(&file).and_then(|mut f| writeln!(f, "{}", made.invite));
    written.map_err(|e| Failure {
        code: "file_io".to_owned(),
        message: format!("{} can't be written: {e}.", file.display()),
        hint: Some("Choose a file that is not there yet.".to_owned()),
    })?;
    Ok(Some(Invited {
        expires_at: moment(made.expires_at),
        address: made.invite.address,
        file: Some(file.display().to_string()),
    }))
}

/// A pasted invite.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadInviteAsk {
    invite: String,
}

/// What a pasted invite says of who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[serde(deny_unknown_fields)]
pub(crate) struct PairAsk {
    invite: String,
    r#as: String,
    share: Vec<Share>,
    origin: Option<String>,
    prefer: Option<String>,
}

impl PairAsk {
    fn wanted(&self) -> Wanted {
        let origin = match self.origin.as_deref() {
            Some("copies") => Some(Origin::Copies),
            Some("separate") => Some(Origin::Separate),
            _ => None,
        };
        let name = Some(self.r#as.trim()).filter(|name| !name.is_empty()).map(str::to_owned);
        Wanted { name, share: named(self.share.clone()), without: Vec::new(), origin }
    }

    fn prefer(&self) -> Option<Prefer> {
        match self.prefer.as_deref() {
            Some("here") => Some(Prefer::Here),
            Some("there") => Some(Prefer::There),
            Some("review") => Some(Prefer::Review),
            _ => None,
        }
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

/// What pairing would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PairPreview {
    /// What this node will call it.
    pub peer: String,
    /// What both have.
    pub tables: Vec<PairTable>,
    /// Tables that differ in more than rows are held, and said so after the first sync.
    pub mismatches: [(); 0],
    /// What could be accepted by a click; see [`Inspection`].
    pub suggestions: [(); 0],
    /// Columns that look secret and would be shared: `users.user.password_hash`.
    pub sensitive: Vec<String>,
}

/// What pairing would mean, table by table. Asks the peer; exchanges nothing.
#[tauri::command]
pub(crate) async fn preview_pair(app: AppHandle, ask: PairAsk) -> Result<PairPreview, Failure> {
    let node = shell::of(&app).home.node()?;
    let told = |e: lockstep_node::Error| error::failure(e.problem());
    let joining = node.join(&parsed(&ask.invite)?, &ask.wanted()).await.map_err(told)?;
    let preview = node.preview_with(&joining.peer, &joining.shares, joining.origin).await.map_err(told)?;
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
        mismatches: [],
        suggestions: [],
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

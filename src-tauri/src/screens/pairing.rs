//! Two nodes become a pair.
//!
//! Always true here: an invite is a secret. One that was made here goes into a file that only its owner can read, never
//! into the page; one that was pasted goes from the page to the node, and never back.

use super::plan::{Mismatch, mismatch};
use super::shapes::moment;
use super::words::{Began, PreferSide, ShareDirection};
use crate::dialogs;
use crate::error::{self, Failure};
use crate::events::Task;
use crate::node::peer_run_view;
use crate::shell;
use crate::view::{Count, Millis, RunView};
use lockstep_node::contact::{Evidence, Origin, Prefer, SuggestionLine};
use lockstep_node::invite::Invite;
use lockstep_node::pair::Wanted;
use lockstep_node::platform;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::time::Duration;
use tauri::AppHandle;

/// One line of what is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    /// `DB` or `DB.TABLE`.
    pub what: String,
    /// Which way.
    pub direction: ShareDirection,
    /// Columns of the table that go neither way.
    pub without: Vec<String>,
}

/// What is shared by these lines, and the columns, named `DB.TABLE.COLUMN`, that are not.
fn named(share: &[Share]) -> (Vec<String>, Vec<String>) {
    let passes = || share.iter().filter(|s| s.direction != ShareDirection::None);
    let without = passes().flat_map(|s| s.without.iter().map(|column| format!("{}.{column}", s.what)));
    (passes().map(|s| s.what.clone()).collect(), without.collect())
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
    let Some(file) = dialogs::save(&app, "Save the invite", name).await else { return Ok(None) };
    let (share, without) = named(&ask.share);
    let made = shell::of(&app).home.ask(move |node| node.invite(lasts, &share, &without)).await?;
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
        let (share, without) = named(&self.share);
        Wanted { name, share, without, origin }
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
}

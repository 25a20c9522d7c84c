//! Peers, and everything that `lockstep settings` can set.

use super::setup::Share;
use super::words::{SettingKind, ShareDirection};
use crate::error::Failure;
use crate::shell;
use crate::view::{Count, Millis};
use lockstep_node::state::{Kind, SETTINGS};
use lockstep_node::status::Direction;
use serde::{Deserialize, Serialize};
use tauri::AppHandle;

/// A peer, and what is shared with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct PeerSettings {
    /// What this node calls it.
    pub name: String,
    /// Its id.
    pub node: String,
    /// Where it can be reached; nowhere: it comes by itself.
    pub address: Option<String>,
    /// Since when it is paired.
    pub paired_at: Millis,
    /// Background runs only fetch; a person applies.
    pub review: bool,
    /// What is shared with it.
    pub shares: Vec<Share>,
}

/// The paired nodes, as `lockstep peers`.
#[tauri::command]
pub(crate) async fn peers(app: AppHandle) -> Result<Vec<PeerSettings>, Failure> {
    let shell = shell::of(&app);
    let asked = shell.home.ask(|node| {
        let peers = node.state().peers()?.into_iter();
        peers
            .map(|peer| Ok((node.state().shares(peer.node)?, node.under_review(peer.node)?, peer)))
            .collect::<lockstep_node::Result<Vec<_>>>()
    });
    let settings = asked.await?.into_iter().map(|(shares, review, peer)| PeerSettings {
        name: peer.name,
        node: peer.node.to_string(),
        address: peer.address,
        paired_at: Millis(peer.paired_at.0),
        review,
        shares: shares
            .into_iter()
            .map(|s| Share { what: s.what, direction: ShareDirection::named(s.direction.name()) })
            .collect(),
    });
    Ok(settings.collect())
}

/// One line of what is shared with a peer.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ShareAsk {
    peer: String,
    share: Share,
}

/// Changes what is shared with a peer, as `lockstep peers share`. What is withheld stays withheld.
#[tauri::command]
pub(crate) async fn set_share(app: AppHandle, ask: ShareAsk) -> Result<(), Failure> {
    let Share { what, direction } = ask.share;
    let direction = Direction::from_name(direction.word()).ok_or_else(|| Failure {
        code: "bad_direction".to_owned(),
        message: format!("`{}` is no direction.", direction.word()),
        hint: Some("Say send, receive, both or none.".to_owned()),
    })?;
    let shell = shell::of(&app);
    let asked = shell.home.ask(move |node| {
        let peer = node.state().peer(&ask.peer)?;
        let before = node.state().shares(peer.node)?.into_iter().find(|s| s.what == what);
        node.share(&ask.peer, &what, direction, &before.map(|s| s.without).unwrap_or_default())
    });
    asked.await?;
    shell.changed(&app);
    Ok(())
}

/// Which peer.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct RetireAsk {
    peer: String,
}

/// Cuts a peer off at once, for good, as `lockstep peers retire`.
#[tauri::command]
pub(crate) async fn retire_peer(app: AppHandle, ask: RetireAsk) -> Result<(), Failure> {
    let shell = shell::of(&app);
    shell.home.ask(move |node| node.retire(&ask.peer)).await?;
    shell.changed(&app);
    Ok(())
}

/// One thing that `lockstep settings` can set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Setting {
    /// `group.name`
    pub key: String,
    /// Where it stands on the screen.
    pub group: String,
    /// In plain words.
    pub title: String,
    /// What it does, in one sentence.
    pub says: String,
    /// What it may be.
    pub kind: SettingKind,
    /// As the command takes and prints it.
    pub value: String,
    /// Where nobody has set it.
    pub usual: String,
    /// The words that it may be.
    pub choices: Vec<String>,
}

/// Every setting with its value.
#[tauri::command]
pub(crate) async fn settings(app: AppHandle) -> Result<Vec<Setting>, Failure> {
    let values = shell::of(&app).home.ask(|node| Ok(node.state().settings()?)).await?;
    let setting = |s: &lockstep_node::state::Setting| {
        let (group, name) = s.key.split_once('.').unwrap_or(("agent", s.key));
        let (kind, choices) = match s.kind {
            Kind::Text => (SettingKind::Text, &[][..]),
            Kind::Boolean => (SettingKind::Boolean, &[][..]),
            Kind::Duration(..) => (SettingKind::Duration, &[][..]),
            Kind::Count => (SettingKind::Count, &[][..]),
            Kind::Share => (SettingKind::Share, &[][..]),
            Kind::Choice(words) => (SettingKind::Choice, words),
        };
        Setting {
            key: s.key.to_owned(),
            group: if group == "notify" { "notifications" } else { group }.to_owned(),
            title: title(name),
            says: s.says.to_owned(),
            kind,
            value: values.get(s.key).cloned().unwrap_or_else(|| s.default.to_owned()),
            usual: s.default.to_owned(),
            choices: choices.iter().map(|&word| word.to_owned()).collect(),
        }
    };
    Ok(SETTINGS.iter().map(setting).collect())
}

/// `background` becomes `Background`.
fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A setting and its value.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingAsk {
    key: String,
    value: String,
}

/// Changes a setting, if it is one and may be that.
#[tauri::command]
pub(crate) async fn set_setting(app: AppHandle, ask: SettingAsk) -> Result<(), Failure> {
    let shell = shell::of(&app);
    shell.home.ask(move |node| Ok(node.state().change_setting(&ask.key, &ask.value)?)).await?;
    shell.changed(&app);
    Ok(())
}

/// A peer, and whether it is reviewed.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewAsk {
    peer: String,
    review: bool,
}

/// Says whether everything of a peer waits for a person, as `lockstep peers review`.
#[tauri::command]
pub(crate) async fn set_peer_review(app: AppHandle, ask: ReviewAsk) -> Result<(), Failure> {
    let shell = shell::of(&app);
    shell.home.ask(move |node| node.set_review(&node.state().peer(&ask.peer)?, ask.review)).await?;
    shell.changed(&app);
    Ok(())
}

/// What retention removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct CleanupView {
    /// One line for each kind.
    pub removed: Vec<Removed>,
}

/// One kind of what goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct Removed {
    /// In plain words.
    pub kind: String,
    /// How many.
    pub rows: Count,
}

/// Only looking, or doing it.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct CleanupAsk {
    dry_run: bool,
}

/// What retention would remove, or removes, as `lockstep cleanup`.
#[tauri::command]
pub(crate) async fn cleanup(app: AppHandle, ask: CleanupAsk) -> Result<CleanupView, Failure> {
    let shell = shell::of(&app);
    let gone = shell.home.ask(move |node| node.cleanup(None, ask.dry_run)).await?;
    if !ask.dry_run {
        shell.changed(&app);
    }
    let kinds = [
        ("Traces of deleted rows", gone.tombstones),
        ("Conflicts that were looked at", gone.conflicts),
        ("Replaced values", gone.archived),
        ("Past runs", gone.runs),
    ];
    let removed = kinds.map(|(kind, rows)| Removed { kind: kind.to_owned(), rows: Count(rows) });
    Ok(CleanupView { removed: removed.into() })
}

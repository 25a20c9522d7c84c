//! Peers, and everything that `lockstep settings` can set.

use super::pairing::Share;
use super::words::{SettingKind, ShareDirection};
use crate::error::Failure;
use crate::shell;
use crate::view::{Count, Millis};
use lockstep_node::state::{Kind, SETTINGS};
use lockstep_node::status::Direction;
use serde::{Deserialize, Serialize};
use std::time::Duration;
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
            .map(|s| Share { direction: ShareDirection::named(s.direction.name()), what: s.what, without: s.without })
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

/// Changes one line of what is shared with a peer, as `lockstep peers share`. Gives what to look at. Nothing was changed
/// where a column that was withheld would pass: `column_withheld`.
#[tauri::command]
pub(crate) async fn set_share(app: AppHandle, ask: ShareAsk) -> Result<Vec<String>, Failure> {
    let Share { what, direction, without } = ask.share;
    let direction = match direction {
        ShareDirection::Send => Direction::Send,
        ShareDirection::Receive => Direction::Receive,
        ShareDirection::Both => Direction::Both,
        ShareDirection::None => Direction::None,
    };
    let shell = shell::of(&app);
    let (_, warnings) = shell.home.ask(move |node| node.share(&ask.peer, &what, direction, &without)).await?;
    shell.changed(&app);
    Ok(warnings)
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
            title: title(s.key).unwrap_or_else(|| capital(name)),
            says: s.says.to_owned(),
            kind,
            value: values.get(s.key).cloned().unwrap_or_else(|| s.default.to_owned()),
            usual: s.default.to_owned(),
            choices: choices.iter().map(|&word| word.to_owned()).collect(),
        }
    };
    Ok(SETTINGS.iter().map(setting).collect())
}

/// What a person calls it.
fn title(key: &str) -> Option<String> {
    let title = match key {
        "name" => "Name of this server",
        "schedule.background" => "Sync in the background",
        "schedule.interval" => "Look for changes at least every",
        "schedule.gather" => "Gather local writes for",
        "guard.rows" => "Ask when more rows than this would be deleted",
        "guard.share" => "… and more than this share of the table",
        "retention.tombstones" => "Keep traces of deleted rows for",
        "retention.conflicts" => "Keep settled conflicts for",
        "retention.archive" => "Keep replaced values for",
        "retention.runs" => "Keep past runs for",
        "notify.failures" => "Notify when a server fails",
        _ => return None,
    };
    Some(title.to_owned())
}

/// `background` becomes `Background`.
fn capital(name: &str) -> String {
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
    /// Of all kinds what is older than so many days; null: as the settings say.
    days: Option<u32>,
}

/// What retention would remove, or removes, as `lockstep cleanup`.
#[tauri::command]
pub(crate) async fn cleanup(app: AppHandle, ask: CleanupAsk) -> Result<CleanupView, Failure> {
    let shell = shell::of(&app);
    let older_than = ask.days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    let gone = shell.home.ask(move |node| node.cleanup(older_than, ask.dry_run)).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_title_that_a_person_understands() {
        for setting in &SETTINGS {
            assert!(title(setting.key).is_some(), "{}", setting.key);
        }
        assert_eq!(capital("background"), "Background");
    }
}

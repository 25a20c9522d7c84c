//! Settings, and where the agent is.
use super::{Error, Result, State};
use lockstep_engine::id::Millis;
use rusqlite::OptionalExtension;
use std::collections::BTreeMap;

/// One setting that a person may change.
struct Setting {
    key: &'static str,
    default: &'static str,
    /// What it may be; None: anything.
    number: Option<(i64, i64)>,
}

const SETTINGS: [Setting; 6] = [
    Setting { key: "name", default: "", number: None },
    Setting { key: "schedule.look_s", default: "30", number: Some((1, 3600)) },
    Setting { key: "schedule.gather_ms", default: "200", number: Some((0, 60_000)) },
    Setting { key: "schedule.background", default: "1", number: Some((0, 1)) },
    Setting { key: "retention.days", default: "90", number: Some((1, 36_500)) },
    Setting { key: "clock.guard_ms", default: "600000", number: Some((1_000, 86_400_000)) },
];

/// Where the agent of a home is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentPlace {
    /// The address it listens on.
    pub listening: String,
    /// The address it tells others.
    pub advertised: String,
    /// Since when.
    pub since: Millis,
}

impl State {
    /// Every setting with its value.
    pub fn settings(&self) -> Result<BTreeMap<String, String>> {
        let mut all: BTreeMap<_, _> = SETTINGS.iter().map(|s| (s.key.to_owned(), s.default.to_owned())).collect();
        all.extend(self.raw_settings()?.into_iter().filter(|(k, _)| SETTINGS.iter().any(|s| s.key == k)));
        Ok(all)
    }

    pub(super) fn raw_settings(&self) -> Result<Vec<(String, String)>> {
        let db = self.db();
        let mut st = db.prepare_cached("SELECT key, value FROM setting")?;
        Ok(st.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<rusqlite::Result<_>>()?)
    }

    /// One setting.
    pub fn setting(&self, key: &str) -> Result<String> {
        let unknown = || Error::Unknown { what: "setting", name: key.to_owned() };
        let default = SETTINGS.iter().find(|s| s.key == key).ok_or_else(unknown)?.default;
        Ok(self.note(key)?.unwrap_or_else(|| default.to_owned()))
    }

    /// A setting that is a number.
    pub fn number(&self, key: &str) -> Result<i64> {
        let value = self.setting(key)?;
        value.parse().map_err(|_| Error::Damaged { what: format!("the setting {key} is no number") })
    }

    /// Changes a setting, if it is one and may be that.
    pub fn change_setting(&self, key: &str, value: &str) -> Result<()> {
        let unknown = || Error::Unknown { what: "setting", name: key.to_owned() };
        let setting = SETTINGS.iter().find(|s| s.key == key).ok_or_else(unknown)?;
        let bad = |why| Error::BadSetting { key: key.to_owned(), value: value.to_owned(), why };
        match setting.number {
            Some((low, high)) => match value.parse::<i64>() {
                Ok(n) if (low..=high).contains(&n) => {}
                Ok(_) => return Err(bad("the number is out of range")),
                Err(_) => return Err(bad("it has to be a number")),
            },
            None if value.trim().is_empty() || value.chars().any(char::is_control) => {
                return Err(bad("it has to be a text of one line"));
            }
            None => {}
        }
        self.set_setting(key, value)
    }

    pub(crate) fn set_setting(&self, key: &str, value: &str) -> Result<()> {
        self.db().execute("INSERT OR REPLACE INTO setting(key, value) VALUES(?1, ?2)", [key, value])?;
        Ok(())
    }

    /// A value that the node keeps for itself beside the settings.
    pub(crate) fn note(&self, key: &str) -> Result<Option<String>> {
        let db = self.db();
        Ok(db.query_row("SELECT value FROM setting WHERE key = ?1", [key], |r| r.get(0)).optional()?)
    }

    pub(crate) fn forget_note(&self, key: &str) -> Result<()> {
        self.db().execute("DELETE FROM setting WHERE key = ?1", [key])?;
        Ok(())
    }

    /// Where the agent is, or was.
    pub fn agent(&self) -> Result<Option<AgentPlace>> {
        let db = self.db();
        let row = |r: &rusqlite::Row<'_>| {
            Ok(AgentPlace { listening: r.get(0)?, advertised: r.get(1)?, since: Millis(r.get(2)?) })
        };
        Ok(db.query_row("SELECT listening, advertised, since FROM agent", [], row).optional()?)
    }

    /// Remembers where the agent is.
    pub fn set_agent(&self, place: &AgentPlace) -> Result<()> {
        self.db().execute(
            "INSERT OR REPLACE INTO agent(one, listening, advertised, since) VALUES(1, ?1, ?2, ?3)",
            (&place.listening, &place.advertised, place.since.0),
        )?;
        Ok(())
    }
}

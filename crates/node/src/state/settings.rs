//! Settings, and where the agent is.
//!
//! Always true here: a setting that is stored is one that it may have.
use super::{Error, Result, State};
use lockstep_engine::id::Millis;
use rusqlite::OptionalExtension;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// One line.
    Text,
    /// `true` or `false`.
    Boolean,
    /// `200ms`, `30s`, `10m`, `12h`, `90d`, within bounds.
    Duration(Duration, Duration),
    /// A whole number.
    Count,
    /// A share: 0 to 1.
    Share,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// One setting that a person may change.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// `group.name`
    pub key: &'static str,
    /// Its value where nobody has set one.
    pub default: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it does, in a sentence.
    pub says: &'static str,
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

const DAY: u64 = 86_400;
/// A time of retention.
const RETENTION: Kind = Kind::Duration(seconds(DAY), seconds(36_500 * DAY));

/// All settings, by group.
pub const SETTINGS: [Setting; 11] = [
    Setting {
        key: "name",
        default: "",
        kind: Kind::Text,
        says: "What this node calls itself towards others. `prefer:` knows it by the name that it had when a database was attached.",
    },
    Setting {
        key: "schedule.background",
        default: "true",
        kind: Kind::Boolean,
        says: "The agent syncs by itself; otherwise it only answers.",
    },
    Setting {
        key: "schedule.interval",
        default: "30s",
        kind: Kind::Duration(seconds(1), seconds(3_600)),
        says: "How often the files are looked at, should the watch on their folders be deaf.",
    },
    Setting {
        key: "schedule.gather",
        default: "200ms",
        kind: Kind::Duration(Duration::ZERO, seconds(60)),
        says: "For how long local writes are gathered, so that a burst travels together.",
    },
    Setting {
        key: "guard.rows",
        default: "100",
        kind: Kind::Count,
        says: "A run that deletes more rows of a table than this, and more than that share, waits for a person.",
    },
    Setting {
        key: "guard.share",
        default: "0.2",
        kind: Kind::Share,
        says: "The share of a table; a table can have a guard of its own.",
    },
    Setting {
        key: "retention.tombstones",
        default: "90d",
        kind: RETENTION,
        says: "How long the traces of deleted rows are kept; longer where a paired node has not got the delete.",
    },
    Setting {
        key: "retention.conflicts",
        default: "90d",
        kind: RETENTION,
        says: "How long conflicts are kept that somebody has looked at; others stay.",
    },
    Setting {
        key: "retention.archive",
        default: "90d",
        kind: RETENTION,
        says: "How long values are kept that were replaced or lost; longer where their conflict is unread.",
    },
    Setting {
        key: "retention.runs",
        default: "90d",
        kind: RETENTION,
        says: "How long past sessions are kept, from which the success rates are drawn.",
    },
    Setting {
        key: "notify.failures",
        default: "third",
        kind: Kind::Choice(&["first", "third", "never"]),
        says: "At which failure in a row a node that can't be synced with is an alarm.",
    },
];

impl Setting {
    /// The one of that name.
    pub fn named(key: &str) -> Result<&'static Setting> {
        let unknown = || Error::Unknown { what: "setting", name: key.to_owned() };
        SETTINGS.iter().find(|s| s.key == key).ok_or_else(unknown)
    }

    /// Why it can't have that value.
    fn fault(&self, value: &str) -> Option<String> {
        let fault = match self.kind {
            Kind::Text if value.trim().is_empty() || value.chars().any(char::is_control) => {
                Some("it has to be a text of one line")
            }
            Kind::Text => None,
            Kind::Boolean => (!["true", "false"].contains(&value)).then_some("say true or false"),
            Kind::Duration(least, most) => match read_duration(value) {
                Some(d) if (least..=most).contains(&d) => None,
                Some(_) => Some("that is out of range"),
                None => Some("say a number and ms, s, m, h or d, for example 90d"),
            },
            Kind::Count => value.parse::<u64>().is_err().then_some("say a whole number"),
            Kind::Share => {
                let fits = value.parse::<f64>().is_ok_and(|share| (0.0..=1.0).contains(&share));
                (!fits).then_some("say a share of 0 to 1, for example 0.2")
            }
            Kind::Choice(words) if !words.contains(&value) => {
                return Some(format!("say one of {}", words.join(", ")));
            }
            Kind::Choice(_) => None,
        };
        fault.map(str::to_owned)
    }
}

/// `200ms`, `30s`, `10m`, `12h`, `90d`
pub fn read_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY * 1_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

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
        let setting = Setting::named(key)?;
        Ok(self.note(key)?.unwrap_or_else(|| setting.default.to_owned()))
    }

    /// A setting that is a time.
    pub fn duration(&self, key: &str) -> Result<Duration> {
        let value = self.setting(key)?;
        read_duration(&value).ok_or_else(|| Error::Damaged { what: format!("the setting {key} is no time") })
    }

    /// A setting that is on or off.
    pub fn is_on(&self, key: &str) -> Result<bool> {
        Ok(self.setting(key)? == "true")
    }

    /// At which failure in a row a peer is an alarm; None: never.
    pub fn alarm_after(&self) -> Result<Option<u32>> {
        Ok(match self.setting("notify.failures")?.as_str() {
            "first" => Some(1),
            "never" => None,
            _ => Some(crate::courier::ALARM),
        })
    }

    /// Changes a setting, if it is one and may be that.
    pub fn change_setting(&self, key: &str, value: &str) -> Result<()> {
        if let Some(why) = Setting::named(key)?.fault(value) {
            return Err(Error::BadSetting { key: key.to_owned(), value: value.to_owned(), why });
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

#[cfg(test)]
mod tests {
    use super::super::tests::fresh;
    use super::*;

    #[test]
    fn a_setting_is_what_it_may_be_or_nothing() {
        let (_dir, _home, state) = fresh();
        for (key, value) in [
            ("schedule.interval", "0s"),
            ("schedule.interval", "30"),
            ("schedule.gather", "2h"),
            ("schedule.background", "yes"),
            ("retention.archive", "1h"),
            ("notify.failures", "second"),
            ("guard.rows", "-1"),
            ("guard.rows", "many"),
            ("guard.share", "1.5"),
            ("guard.share", "NaN"),
            ("name", " "),
        ] {
            assert!(matches!(state.change_setting(key, value), Err(Error::BadSetting { .. })), "{key} {value}");
        }
        assert!(matches!(state.change_setting("agent.advertise", "x"), Err(Error::Unknown { .. })));
        state.change_setting("retention.archive", "30d").unwrap();
        assert_eq!(state.duration("retention.archive").unwrap(), Duration::from_secs(30 * DAY));
        state.change_setting("notify.failures", "never").unwrap();
        assert_eq!(state.alarm_after().unwrap(), None);
    }

    #[test]
    fn every_default_is_a_value_that_it_may_have() {
        for setting in SETTINGS.iter().filter(|s| s.key != "name") {
            assert_eq!(setting.fault(setting.default), None, "{}", setting.key);
        }
    }
}

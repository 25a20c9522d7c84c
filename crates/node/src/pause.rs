//! Background sync that rests because a person said so.
//!
//! Always true here: a pause stops what this node begins by itself. Writes are still captured, a person can still
//! sync, and a peer that comes by itself is answered, so that nothing fails there.
use crate::node::{Node, timestamp};
use crate::{Error, Result};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use lockstep_engine::id::Millis;
use std::sync::Arc;
use std::time::Duration;

/// The state's note of it.
const UNTIL: &str = "pause.until";
/// How often what rests looks whether it may go on.
const LOOK: Duration = Duration::from_secs(1);

/// For how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// For so long.
    For(Duration),
    /// Until midnight, by this computer's clock.
    Tomorrow,
    /// Until a person says otherwise.
    UntilResumed,
}

impl Pause {
    /// When it ends, if it begins now. `UntilResumed` ends at the end of time.
    pub fn ends(self, now: Millis, zone: &TimeZone) -> Millis {
        let tomorrow = || {
            let here = Timestamp::from_millisecond(now.0).ok()?.to_zoned(zone.clone());
            let midnight = here.checked_add(1.day()).ok()?.start_of_day().ok()?;
            Some(Millis(midnight.timestamp().as_millisecond()))
        };
        match self {
            Pause::For(long) => Millis(now.0.saturating_add(i64::try_from(long.as_millis()).unwrap_or(i64::MAX))),
            Pause::Tomorrow => tomorrow().unwrap_or(Millis(i64::MAX)),
            Pause::UntilResumed => Millis(i64::MAX),
        }
    }
}

impl Node {
    /// Lets background sync rest. Gives until when; year 9999: until resumed.
    pub fn pause(&self, pause: Pause) -> Result<Timestamp> {
        let until = pause.ends(self.now(), &TimeZone::system());
        self.state().set_setting(UNTIL, &until.0.to_string())?;
        tracing::info!(until = %timestamp(until), "background sync rests");
        Ok(timestamp(until))
    }

    /// Lets background sync go on.
    pub fn resume(&self) -> Result<()> {
        self.state().forget_note(UNTIL)?;
        tracing::info!("background sync goes on");
        Ok(())
    }

    /// Until when background sync rests, if it does.
    pub fn paused_until(&self) -> Result<Option<Timestamp>> {
        let damaged =
            |_| Error::from(crate::state::Error::Damaged { what: "the end of the pause is no number".into() });
        let until = self.state().note(UNTIL)?.map(|text| text.parse().map_err(damaged)).transpose()?;
        Ok(until.filter(|until| *until > self.now().0).map(|until| timestamp(Millis(until))))
    }
}

/// Resolves when background sync may go on.
pub(crate) async fn unpaused(node: &Arc<Node>) -> Result<()> {
    loop {
        let asked = node.clone();
        if crate::routes::blocking(move || asked.paused_until()).await?.is_none() {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tomorrow_begins_at_midnight_here() {
        let zone = TimeZone::get("America/New_York").unwrap_or(TimeZone::fixed(jiff::tz::offset(-5)));
        let at = |text: &str| Millis(text.parse::<Timestamp>().unwrap().as_millisecond());
        // 20:00 in New York.
        let now = at("2026-03-03T01:00:00Z");
        assert_eq!(Pause::Tomorrow.ends(now, &zone), at("2026-03-03T05:00:00Z"));
        assert_eq!(Pause::For(Duration::from_secs(1800)).ends(now, &zone), at("2026-03-03T01:30:00Z"));
        assert_eq!(Pause::UntilResumed.ends(now, &zone), Millis(i64::MAX));
    }
}

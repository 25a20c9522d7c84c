//! When background sync tries again: the pauses after failures, waking up, and the daily comparison.
//!
//! Always true here: nothing waits and nothing reads a clock, so the agent (`courier`) and the simulation, whose time is
//! virtual, go by the same rules. Not here: what an attempt does.
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use lockstep_engine::id::Millis;
use std::time::Duration;

/// The longest pause, but for the chance in it.
pub const LONGEST: Duration = Duration::from_secs(300);
/// How often a pause looks whether the computer has slept.
pub const DOZE: Duration = Duration::from_secs(2);
/// For so long both sides may stand uncompared: somewhat less than a day, so that no day passes without a comparison.
pub const DAILY: Duration = Duration::from_secs(23 * 3_600);
/// The wall clock has gone on by so much more than the time awake, in milliseconds: the computer has slept.
const SLEPT: i64 = 30_000;

/// One pause after the other, without end.
pub type Pauses = ExponentialBackoff;

fn growing() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        // Chance adds as much again at most.
        .with_max_delay(LONGEST / 2)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
}

/// The pauses after one vain attempt and the next: they double, with chance in them, up to [`LONGEST`].
pub fn pauses() -> Pauses {
    growing().build()
}

/// The same, with chance that follows from a seed.
pub fn pauses_of(seed: u64) -> Pauses {
    growing().with_jitter_seed(seed).build()
}

/// Did the computer sleep? `wall` went by on the wall clock, in milliseconds, and `awake` on one that stands still in
/// sleep. A wall clock that was put forward looks the same, and makes one attempt more; put back, none.
pub fn has_slept(wall: i64, awake: Duration) -> bool {
    let awake = i64::try_from(awake.as_millis()).unwrap_or(i64::MAX);
    wall.saturating_sub(awake) > SLEPT
}

/// Has a day passed since both sides were compared? A clock that was set back does not put it off.
pub fn is_over(last: Millis, now: Millis) -> bool {
    u128::from(last.0.abs_diff(now.0)) >= DAILY.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_chance_in_them_up_to_a_cap() {
        let those: Vec<Duration> = pauses().take(20).collect();
        assert!(those[0] >= Duration::from_millis(500) && those[0] <= Duration::from_secs(1));
        assert!(those.iter().all(|p| *p <= LONGEST) && those[19] >= LONGEST / 2);
        let others: Vec<Duration> = pauses().take(20).collect();
        assert_ne!(those, others, "two nodes don't call in step");
        assert_eq!(pauses_of(7).take(20).collect::<Vec<_>>(), pauses_of(7).take(20).collect::<Vec<_>>());
    }
}

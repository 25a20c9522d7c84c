//! `pause`, `resume`
use crate::Context;
use crate::outcome::{Failure, Outcome};
use crate::text;
use lockstep_node::pause::Pause;
use serde_json::json;

/// Lets background sync rest.
pub fn pause(context: &Context, pause: Pause) -> Result<Outcome, Failure> {
    let until = context.node()?.pause(pause)?;
    let text = match pause {
        Pause::UntilResumed => "Background sync rests until `lockstep resume`.".to_owned(),
        Pause::For(_) | Pause::Tomorrow => format!("Background sync rests until {}.", text::time(until)),
    };
    Ok(Outcome::new(json!({ "paused_until": until }), text))
}

/// Lets it go on.
pub fn resume(context: &Context) -> Result<Outcome, Failure> {
    context.node()?.resume()?;
    Ok(Outcome::new(json!({ "paused_until": null }), "Background sync goes on.".to_owned()))
}

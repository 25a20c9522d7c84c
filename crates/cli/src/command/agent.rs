//! `agent`
use crate::Context;
use crate::outcome::{Failure, Outcome};
use lockstep_node::agent::{Agent, AgentOptions};
use lockstep_node::platform;
use serde_json::json;
use std::io::Write;
use tokio::sync::watch;

/// Serves and syncs until it is asked to end.
pub async fn agent(context: &Context, options: &AgentOptions, metrics: Option<&str>) -> Result<Outcome, Failure> {
    let node = context.node()?;
    let agent = Agent::bind_monitored(node, options, metrics).await?;
    if let Some(at) = agent.monitored_at() {
        tracing::info!(%at, "monitoring is answered");
    }
    let listening = format!("https://{}", agent.listening());
    let mut out = std::io::stdout();
    let line =
        if context.json { json!({ "listening": listening }).to_string() } else { format!("listening on {listening}") };
    // Whoever started it waits for this line; without a reader there is nobody to tell.
    if let Err(e) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        tracing::warn!(error = %e, "nobody reads where the agent listens");
    }
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        if let Err(e) = platform::asked_to_end().await {
            tracing::error!(error = %e, "signals can't be heard; end the agent by other means");
            std::future::pending::<()>().await;
        }
        tracing::info!("asked to end");
        stop.send_replace(true);
    });
    agent.run(stopping).await?;
    Ok(Outcome::silent())
}

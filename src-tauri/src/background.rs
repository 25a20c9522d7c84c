//! The agent in the console's own process: it serves peers and syncs in the background.
//!
//! Always true here: one agent runs per home. Where a process of its own is the agent, that one keeps the work, and
//! the console shows and decides through the same state database; when it has been gone for a while, the
//! console takes its place.

use crate::shell::{self, Shell};
use lockstep_node::agent::{Agent, AgentOptions};
use lockstep_node::server::{Stop, stopped};
use lockstep_node::{Error, Node};
use std::sync::Arc;
use std::time::Duration;
use tauri::AppHandle;
use tokio::sync::watch;

/// How often it is seen whether there is a node, and whether it has an agent.
const LOOK: Duration = Duration::from_secs(15);
/// A service that is restarted gets its place back: so many looks in a row have to find it empty.
const EMPTY: u32 = 2;

/// Is the agent whenever there is none, until the console ends.
pub(crate) async fn serve(app: AppHandle) {
    let shell = shell::of(&app);
    let mut stop = shell.stop();
    // At the start the place is taken at once.
    let mut empty = EMPTY;
    while !*stop.borrow() {
        match shell.home.without_agent().await {
            Ok(Some(node)) if empty >= EMPTY => match begin(node).await {
                Ok(agent) => {
                    shell.set_agent(true);
                    shell.look_again();
                    let anew = run(agent, &shell, &mut stop).await;
                    shell.set_agent(false);
                    if anew {
                        continue;
                    }
                }
                Err(Error::AgentRuns) => empty = 0,
                Err(error) => tracing::error!(%error, "the background sync could not begin"),
            },
            Ok(Some(_)) => empty += 1,
            Ok(None) => empty = 0,
            // Set-up makes the node; until then there is nothing to do.
            Err(failure) if failure.code == "no_node" => empty = EMPTY,
            Err(failure) => tracing::error!(code = %failure.code, message = %failure.message, "no node to run"),
        }
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = shell.made() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Runs until the console ends, or until it is to listen elsewhere: true.
async fn run(agent: Agent, shell: &Shell, stop: &mut Stop) -> bool {
    let (end, ending) = watch::channel(false);
    let running = agent.run(ending);
    tokio::pin!(running);
    let mut anew = false;
    loop {
        tokio::select! {
            ended = &mut running => {
                if let Err(error) = ended {
                    tracing::error!(%error, "the background sync ended");
                }
                return anew;
            }
            () = stopped(stop), if !*end.borrow() => drop(end.send_replace(true)),
            () = shell.anew(), if !*end.borrow() => {
                anew = true;
                end.send_replace(true);
            }
        }
    }
}

/// Listens where it did before, or wherever there is room: a console mostly calls others.
async fn begin(node: Arc<Node>) -> Result<Agent, Error> {
    match Agent::bind(node.clone(), &AgentOptions::default()).await {
        Err(Error::Listen { address, source }) => {
            tracing::warn!(address, %source, "the address is taken; any other is listened on");
            let anywhere = AgentOptions { listen: Some("127.0.0.1:0".to_owned()), advertise: None };
            Agent::bind(node, &anywhere).await
        }
        bound => bound,
    }
}

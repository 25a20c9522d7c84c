//! Where this node can be reached.

use crate::error::Failure;
use crate::shell;
use lockstep_node::agent::NOWHERE;
use serde::{Deserialize, Serialize};
use tauri::AppHandle;

/// Where this node listens, and where others look for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub(crate) struct AddressView {
    /// `host:port` of this computer.
    pub listens: String,
    /// `host:port` that is told to others; null: nobody can call this node, and it asks others for news.
    pub told: Option<String>,
    /// Only programs on this computer reach what is told.
    pub here_only: bool,
    /// This console is the agent; otherwise what is changed holds when the agent of this home is started again.
    pub own: bool,
}

/// Where this node can be reached; null: it has never listened.
#[tauri::command]
pub(crate) async fn address(app: AppHandle) -> Result<Option<AddressView>, Failure> {
    let shell = shell::of(&app);
    let own = shell.is_agent();
    let place = shell.home.ask(|node| node.place()).await?;
    Ok(place.map(|place| AddressView {
        here_only: here_only(&place.advertised),
        told: (place.advertised != NOWHERE).then_some(place.advertised),
        listens: place.listening,
        own,
    }))
}

/// Is it an address that only this computer reaches?
fn here_only(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Where to listen, and what to tell.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressAsk {
    listen: String,
    tell: Told,
}

/// What others are told.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub(crate) enum Told {
    /// Where it listens, as far as this computer knows its own address.
    Found,
    /// This.
    Address {
        /// `host:port`
        address: String,
    },
    /// That nobody can call it.
    Nowhere,
}

/// Changes both, as `lockstep agent --listen --advertise`. Where this console is the agent, it begins to listen there.
#[tauri::command]
pub(crate) async fn set_address(app: AppHandle, ask: AddressAsk) -> Result<(), Failure> {
    let shell = shell::of(&app);
    let listen = ask.listen.trim().to_owned();
    let moved = shell.home.ask(move |node| {
        let tell = match &ask.tell {
            Told::Found => None,
            Told::Address { address } => Some(address.trim()),
            Told::Nowhere => Some(NOWHERE),
        };
        node.move_to(&listen, tell)
    });
    moved.await?;
    shell.begin_agent_anew();
    shell.changed(&app);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_computer_alone_is_known() {
        for address in ["127.0.0.1:7467", "localhost:1", "[::1]:7467"] {
            assert!(here_only(address), "{address}");
        }
        for address in ["10.0.0.4:7467", "hq.example:7467", "[2001:db8::1]:7467", "none"] {
            assert!(!here_only(address), "{address}");
        }
    }
}

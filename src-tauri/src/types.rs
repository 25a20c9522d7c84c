//! Writes `ui/src/host/types.ts` from the Rust types, and notices when it is out of date.

use crate::commands::PauseFor;
use crate::error::Failure;
use crate::events::{Event, Progress, Screen, Task};
use crate::overview::State;
use crate::screens::conflicts::{ConflictColumn, ConflictSide, ConflictState, Decided, Refused, Side};
use crate::screens::held::{Guarded, Retried};
use crate::screens::pending::{Operation, PendingRow};
use crate::screens::runs::Rate;
use crate::screens::setup::{ChosenFile, PairTable};
use crate::screens::shapes::{Cell, RowName, StorageClass};
use crate::view::{AgentView, Capture, Count, DatabaseView, Millis, PeerRunView, PeerView, RunView, StatusView};
use std::path::Path;
use ts_rs::{Config, TS};

const HEAD: &str =
    "// Written by `make types` from src-tauri/src; a test fails when it is out of date. Not edited by hand.\n";

fn declaration<T: TS + 'static>(config: &Config) -> String {
    let docs = T::docs().unwrap_or_default();
    format!("\n{docs}export {}\n", T::decl(config))
}

fn page_types() -> String {
    let config = Config::default();
    let declarations = [
        declaration::<Count>(&config),
        declaration::<Millis>(&config),
        declaration::<State>(&config),
        declaration::<StatusView>(&config),
        declaration::<AgentView>(&config),
        declaration::<Capture>(&config),
        declaration::<DatabaseView>(&config),
        declaration::<PeerView>(&config),
        declaration::<RunView>(&config),
        declaration::<PeerRunView>(&config),
        declaration::<PauseFor>(&config),
        declaration::<Event>(&config),
        declaration::<Progress>(&config),
        declaration::<Task>(&config),
        declaration::<Screen>(&config),
        declaration::<StorageClass>(&config),
        declaration::<Cell>(&config),
        declaration::<RowName>(&config),
        declaration::<ConflictColumn>(&config),
        declaration::<ConflictSide>(&config),
        declaration::<ConflictState>(&config),
        declaration::<Decided>(&config),
        declaration::<Refused>(&config),
        declaration::<Side>(&config),
        declaration::<Guarded>(&config),
        declaration::<Retried>(&config),
        declaration::<Operation>(&config),
        declaration::<PendingRow>(&config),
        declaration::<Rate>(&config),
        declaration::<ChosenFile>(&config),
        declaration::<PairTable>(&config),
        declaration::<Failure>(&config),
    ];
    HEAD.to_owned() + &declarations.concat()
}

#[test]
fn the_pages_types_are_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/src/host/types.ts");
    let wanted = page_types();
    if std::env::var_os("LOCKSTEP_BLESS").is_some() {
        std::fs::write(&path, &wanted).expect("ui/src/host can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "ui/src/host/types.ts is out of date: run `make types`");
}

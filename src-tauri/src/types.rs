//! Writes `ui/src/host/types.ts` from the Rust types, and notices when it is out of date.

use crate::commands::{InitAsk, LoginAsk, PauseAsk, PauseFor, SyncAsk};
use crate::error::Failure;
use crate::events::{Event, Progress, Screen, Task};
use crate::overview::State;
use crate::screens::address::{AddressAsk, AddressView, Told};
use crate::screens::alike::{AlikeAsk, AlikeRow, AlikeView, DecideAlikeAsk};
use crate::screens::care::{
    BackupAsk, BackupView, DoctorAsk, DoctorView, MigrateAsk, MigrationView, RestoredAsk, RestoredMeaning, RestoredView,
};
use crate::screens::compare::{
    Balance, BalanceView, CompareAsk, CompareRowsAsk, CompareView, ComparedRow, ComparedRowAsk, ComparedState,
    ComparedTable, DatabaseBalance, Differs, TableDigest, VerifiedPeer, VerifyAsk, VerifyView,
};
use crate::screens::conflicts::{
    ColumnChoice, ConflictAsk, ConflictColumn, ConflictPage, ConflictRow, ConflictSide, ConflictState, ConflictView,
    ConflictsAsk, DecideAsk, Decided, Decision, Keep, Refused, ReviewedAsk, Side, Tabs, UndoAsk,
};
use crate::screens::held::{
    AllowAsk, Allowed, DeletesAsk, Guarded, GuardedRowsAsk, HeldRow, HeldRowAsk, QuarantineAsk, Retried, RetryAsk,
};
use crate::screens::history::{
    BroughtBack, ColumnValue, FindAsk, FoundRow, HistoryAsk, HistoryView, RestoreAsk, Version,
};
use crate::screens::identity::{ApartAsk, Joined, Parted, SameAsk};
use crate::screens::pairing::{
    Carrier, InviteAsk, InviteView, Invited, PairAsk, PairPreview, PairSuggestion, PairTable, ReadInviteAsk, Share,
};
use crate::screens::pending::{Operation, PendingAsk, PendingRow};
use crate::screens::plan::{
    ApplyAsk, Changes, Choice, Mismatch, PlanAsk, PlanRow, PlanRowAsk, PlanRowsAsk, PlanView, TableChanges,
};
use crate::screens::run::{RunAsk, RunDetails, RunIssue, TableEnded};
use crate::screens::runs::{ExportAsk, Format, Rate, RatesAsk, RunRow, RunsAsk};
use crate::screens::settings::{
    CleanupAsk, CleanupView, PeerSettings, Removed, RetireAsk, ReviewAsk, Setting, SettingAsk, ShareAsk,
};
use crate::screens::setup::{
    AttachAsk, Attached, AttachedDatabase, ChosenFile, DetachAsk, InspectAsk, Inspection, TableName,
};
use crate::screens::shapes::{Cell, ColumnDiff, Filter, Page, RowName, StorageClass};
use crate::screens::tables::{ColumnPolicy, ConfigureAsk, Reference, Suggestion, TableConfig, TableGuard, TableView};
use crate::screens::words::{
    Began, ConflictKind, Difference, Direction, HoldReason, Merge, MismatchKind, PreferSide, RunEnd, RunTrigger,
    SettingKind, ShareDirection, SuggestionKind, TableEnd, Unverified, VersionEnd,
};
use crate::view::{
    AgentView, BreakKind, BreakView, Capture, Count, DatabaseView, Millis, PeerRunView, PeerView, RunView, StatusView,
};
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
        declaration::<BreakKind>(&config),
        declaration::<BreakView>(&config),
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
        declaration::<Allowed>(&config),
        declaration::<Operation>(&config),
        declaration::<PendingRow>(&config),
        declaration::<Rate>(&config),
        declaration::<ChosenFile>(&config),
        declaration::<PairTable>(&config),
        declaration::<AlikeRow>(&config),
        declaration::<AlikeView>(&config),
        declaration::<ColumnChoice>(&config),
        declaration::<ConflictPage>(&config),
        declaration::<ConflictRow>(&config),
        declaration::<ConflictView>(&config),
        declaration::<Decision>(&config),
        declaration::<Keep>(&config),
        declaration::<Tabs>(&config),
        declaration::<HeldRow>(&config),
        declaration::<ColumnValue>(&config),
        declaration::<FoundRow>(&config),
        declaration::<HistoryView>(&config),
        declaration::<BroughtBack>(&config),
        declaration::<Joined>(&config),
        declaration::<Parted>(&config),
        declaration::<DoctorView>(&config),
        declaration::<BackupView>(&config),
        declaration::<MigrationView>(&config),
        declaration::<RestoredMeaning>(&config),
        declaration::<RestoredView>(&config),
        declaration::<AddressView>(&config),
        declaration::<Told>(&config),
        declaration::<Version>(&config),
        declaration::<Changes>(&config),
        declaration::<Choice>(&config),
        declaration::<Mismatch>(&config),
        declaration::<PlanRow>(&config),
        declaration::<PlanView>(&config),
        declaration::<TableChanges>(&config),
        declaration::<RunDetails>(&config),
        declaration::<RunIssue>(&config),
        declaration::<TableEnded>(&config),
        declaration::<RunRow>(&config),
        declaration::<CleanupView>(&config),
        declaration::<PeerSettings>(&config),
        declaration::<Removed>(&config),
        declaration::<Setting>(&config),
        declaration::<Attached>(&config),
        declaration::<AttachedDatabase>(&config),
        declaration::<Inspection>(&config),
        declaration::<InviteView>(&config),
        declaration::<Invited>(&config),
        declaration::<PairAsk>(&config),
        declaration::<PairPreview>(&config),
        declaration::<PairSuggestion>(&config),
        declaration::<Share>(&config),
        declaration::<Balance>(&config),
        declaration::<BalanceView>(&config),
        declaration::<CompareView>(&config),
        declaration::<ComparedRow>(&config),
        declaration::<ComparedState>(&config),
        declaration::<ComparedTable>(&config),
        declaration::<DatabaseBalance>(&config),
        declaration::<Differs>(&config),
        declaration::<TableDigest>(&config),
        declaration::<VerifiedPeer>(&config),
        declaration::<VerifyView>(&config),
        declaration::<ColumnDiff>(&config),
        declaration::<Filter>(&config),
        declaration::<ColumnPolicy>(&config),
        declaration::<Reference>(&config),
        declaration::<Suggestion>(&config),
        declaration::<TableConfig>(&config),
        declaration::<TableGuard>(&config),
        declaration::<TableView>(&config),
        declaration::<Began>(&config),
        declaration::<ConflictKind>(&config),
        declaration::<Difference>(&config),
        declaration::<Direction>(&config),
        declaration::<HoldReason>(&config),
        declaration::<Merge>(&config),
        declaration::<MismatchKind>(&config),
        declaration::<PreferSide>(&config),
        declaration::<RunEnd>(&config),
        declaration::<RunTrigger>(&config),
        declaration::<SettingKind>(&config),
        declaration::<ShareDirection>(&config),
        declaration::<SuggestionKind>(&config),
        declaration::<TableEnd>(&config),
        declaration::<Unverified>(&config),
        declaration::<VersionEnd>(&config),
        declaration::<AlikeAsk>(&config),
        declaration::<DecideAlikeAsk>(&config),
        declaration::<CompareAsk>(&config),
        declaration::<CompareRowsAsk>(&config),
        declaration::<ComparedRowAsk>(&config),
        declaration::<VerifyAsk>(&config),
        declaration::<ConflictsAsk>(&config),
        declaration::<ConflictAsk>(&config),
        declaration::<DecideAsk>(&config),
        declaration::<UndoAsk>(&config),
        declaration::<ReviewedAsk>(&config),
        declaration::<QuarantineAsk>(&config),
        declaration::<RetryAsk>(&config),
        declaration::<AllowAsk>(&config),
        declaration::<DeletesAsk>(&config),
        declaration::<HeldRowAsk>(&config),
        declaration::<GuardedRowsAsk>(&config),
        declaration::<HistoryAsk>(&config),
        declaration::<RestoreAsk>(&config),
        declaration::<SameAsk>(&config),
        declaration::<ApartAsk>(&config),
        declaration::<DoctorAsk>(&config),
        declaration::<BackupAsk>(&config),
        declaration::<MigrateAsk>(&config),
        declaration::<RestoredAsk>(&config),
        declaration::<AddressAsk>(&config),
        declaration::<FindAsk>(&config),
        declaration::<PendingAsk>(&config),
        declaration::<PlanAsk>(&config),
        declaration::<PlanRowsAsk>(&config),
        declaration::<PlanRowAsk>(&config),
        declaration::<ApplyAsk>(&config),
        declaration::<RunAsk>(&config),
        declaration::<RunsAsk>(&config),
        declaration::<RatesAsk>(&config),
        declaration::<ExportAsk>(&config),
        declaration::<Format>(&config),
        declaration::<ShareAsk>(&config),
        declaration::<RetireAsk>(&config),
        declaration::<SettingAsk>(&config),
        declaration::<ReviewAsk>(&config),
        declaration::<CleanupAsk>(&config),
        declaration::<InspectAsk>(&config),
        declaration::<AttachAsk>(&config),
        declaration::<TableName>(&config),
        declaration::<DetachAsk>(&config),
        declaration::<InviteAsk>(&config),
        declaration::<Carrier>(&config),
        declaration::<ReadInviteAsk>(&config),
        declaration::<ConfigureAsk>(&config),
        declaration::<SyncAsk>(&config),
        declaration::<PauseAsk>(&config),
        declaration::<InitAsk>(&config),
        declaration::<LoginAsk>(&config),
        declaration::<Page<RowName>>(&config),
        declaration::<Failure>(&config),
    ];
    HEAD.to_owned() + &short(&declarations.concat())
}

/// A comment of one line stands on one line.
fn short(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < lines.len() {
        match lines[at..] {
            ["/**", says, " */", ..] => {
                out.push_str(&format!("/** {} */", says.trim_start_matches(" * ")));
                at += 3;
            }
            _ => {
                out.push_str(lines[at]);
                at += 1;
            }
        }
        out.push('\n');
    }
    out
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

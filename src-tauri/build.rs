//! Prepares the console's build: the permissions of its own commands, the configuration, the icon.

/// What the page may call, each by name; `capabilities/main.json` grants them to the window. A command
/// that is missing here can't be called from the page at all.
const COMMANDS: &[&str] = &[
    "status",
    "sync_now",
    "stop_sync",
    "pause",
    "resume",
    "starts_at_login",
    "set_start_at_login",
    "desktop_is_dark",
    "init",
    "quit",
    "pending",
    "conflicts",
    "conflict",
    "decide",
    "undo",
    "mark_reviewed",
    "quarantine",
    "retry_held",
    "allow_held",
    "guarded",
    "decide_deletes",
    "runs",
    "rates",
    "export_runs",
    "history",
    "restore",
    "choose_files",
    "inspect",
    "attach",
    "detach",
    "invite",
    "read_invite",
    "preview_pair",
    "pair",
    "peers",
    "set_share",
    "retire_peer",
    "settings",
    "set_setting",
    "plan",
    "plan_rows",
    "plan_row",
    "apply_plan",
    "alike",
    "decide_alike",
    "guarded_rows",
    "held_row",
    "run",
    "diagnostics",
    "find_rows",
    "tables",
    "configure",
    "include",
    "same",
    "apart",
    "doctor",
    "backup",
    "choose_folder",
    "migrate",
    "restored",
    "address",
    "set_address",
    "set_peer_review",
    "cleanup",
    "compare",
    "compare_rows",
    "compared_row",
    "verify",
    "balance",
    "stop_look",
];

fn main() {
    println!("cargo:rerun-if-changed=src-tauri/capabilities");
    let attributes = tauri_build::Attributes::new()
        .capabilities_path_pattern("./src-tauri/capabilities/**/*")
        .app_manifest(tauri_build::AppManifest::new().commands(COMMANDS));
    if let Err(error) = tauri_build::try_build(attributes) {
        println!("cargo:warning={error:#}");
        std::process::exit(1);
    }
}

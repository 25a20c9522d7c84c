// The desktop shell. Nothing else in the page imports @tauri-apps.
import { invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";
import type { Host, HostEvent } from "./host";

/** The event that the shell sends everything by. */
const EVENT = "lockstep";

export function realHost(): Host {
  return {
    listen(heard) {
      const listening = listen<HostEvent>(EVENT, (event) => heard(event.payload));
      return () => void listening.then((end) => end());
    },
    status: () => invoke("status"),
    syncNow: (ask) => invoke("sync_now", { ask }),
    stopSync: () => invoke("stop_sync"),
    balance: () => invoke("balance"),
    verify: (ask) => invoke("verify", { ask }),
    stopLook: () => invoke("stop_look"),
    rates: (ask) => invoke("rates", { ask }),
    pause: (ask) => invoke("pause", { ask }),
    resume: () => invoke("resume"),
    plan: (ask) => invoke("plan", { ask }),
    planRows: (ask) => invoke("plan_rows", { ask }),
    planRow: (ask) => invoke("plan_row", { ask }),
    applyPlan: (ask) => invoke("apply_plan", { ask }),
    pending: (ask) => invoke("pending", { ask }),
    guarded: () => invoke("guarded"),
    guardedRows: (ask) => invoke("guarded_rows", { ask }),
    allowDeletes: (ask) => invoke("allow_deletes", { ask }),
    conflicts: (ask) => invoke("conflicts", { ask }),
    conflict: (ask) => invoke("conflict", { ask }),
    decide: (ask) => invoke("decide", { ask }),
    alike: (ask) => invoke("alike", { ask }),
    decideAlike: (ask) => invoke("decide_alike", { ask }),
    undo: (ask) => invoke("undo", { ask }),
    markReviewed: (ask) => invoke("mark_reviewed", { ask }),
    quarantine: (ask) => invoke("quarantine", { ask }),
    heldRow: (ask) => invoke("held_row", { ask }),
    retryHeld: (ask) => invoke("retry_held", { ask }),
    allowHeld: (ask) => invoke("allow_held", { ask }),
    runs: (ask) => invoke("runs", { ask }),
    run: (ask) => invoke("run", { ask }),
    diagnostics: (ask) => invoke("diagnostics", { ask }),
    exportRuns: (ask) => invoke("export_runs", { ask }),
    compare: (ask) => invoke("compare", { ask }),
    compareRows: (ask) => invoke("compare_rows", { ask }),
    comparedRow: (ask) => invoke("compared_row", { ask }),
    findRows: (ask) => invoke("find_rows", { ask }),
    history: (ask) => invoke("history", { ask }),
    restore: (ask) => invoke("restore", { ask }),
    init: (ask) => invoke("init", { ask }),
    chooseFiles: () => invoke("choose_files"),
    inspect: (ask) => invoke("inspect", { ask }),
    attach: (ask) => invoke("attach", { ask }),
    detach: (ask) => invoke("detach", { ask }),
    invite: (ask) => invoke("invite", { ask }),
    readInvite: (ask) => invoke("read_invite", { ask }),
    previewPair: (ask) => invoke("preview_pair", { ask }),
    pair: (ask) => invoke("pair", { ask }),
    tables: () => invoke("tables"),
    configure: (ask) => invoke("configure", { ask }),
    peers: () => invoke("peers"),
    setShare: (ask) => invoke("set_share", { ask }),
    setPeerReview: (ask) => invoke("set_peer_review", { ask }),
    retirePeer: (ask) => invoke("retire_peer", { ask }),
    settings: () => invoke("settings"),
    setSetting: (ask) => invoke("set_setting", { ask }),
    cleanup: (ask) => invoke("cleanup", { ask }),
    startsAtLogin: () => invoke("starts_at_login"),
    setStartAtLogin: (ask) => invoke("set_start_at_login", { ask }),
    desktopIsDark: () => invoke("desktop_is_dark"),
  };
}

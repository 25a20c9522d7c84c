// The desktop shell. Nothing else in the page imports @tauri-apps.
import { invoke } from "@tauri-apps/api/core";
import type { Host } from "./host";
import type { RunView, StatusView } from "./types";

export function realHost(): Host {
  return {
    status: () => invoke<StatusView>("status"),
    syncNow: () => invoke<RunView>("sync_now"),
  };
}

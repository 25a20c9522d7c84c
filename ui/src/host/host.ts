// All that the page knows of the world outside. It has two makes: `real`, the only importer of the desktop
// shell's library, and `scripted`, for tests and for designing.
import type { Failure, RunView, StatusView } from "./types";

export interface Host {
  /** Everything at a glance. Rejects with a Failure. */
  status(): Promise<StatusView>;
  /** One session with every peer. Rejects with a Failure; a peer that failed is an entry with an error. */
  syncNow(): Promise<RunView>;
}

/** What a rejected promise of a host holds, whatever was thrown. */
export function asFailure(thrown: unknown): Failure {
  if (typeof thrown === "object" && thrown !== null && "code" in thrown && "message" in thrown) {
    const hint = "hint" in thrown && typeof thrown.hint === "string" ? thrown.hint : null;
    return { code: String(thrown.code), message: String(thrown.message), hint };
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "console", message, hint: null };
}

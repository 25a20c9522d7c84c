// How a run is said: who started it, how it ended.
import type { RunDetails, RunEnd, RunRow, RunTrigger } from "../host/host";
import type { Badge } from "../overview/headline";
import { isNone } from "../text/count";

export const TRIGGERS: Record<RunTrigger, string> = {
  person: "a person",
  pair: "the pairing",
  change: "a local write",
  news: "news from there",
  retry: "a retry",
  start: "the start",
  daily: "the daily check",
  peer: "the other server",
};

export const RESULTS: Record<RunEnd, string> = {
  verified: "Verified",
  partial: "Partial",
  failed: "Failed",
};

export function resultBadge(run: RunRow): Badge {
  if (run.result === "failed") return { tone: "trouble", word: RESULTS.failed };
  if (run.result === "partial") return { tone: "stale", word: RESULTS.partial };
  if (!isNone(run.held) || !isNone(run.conflicts)) return { tone: "waiting", word: "Verified, waits" };
  return { tone: "fine", word: RESULTS.verified };
}

export const TABLE_STATES: Record<RunDetails["tables"][number]["state"], string> = {
  equal: "equal",
  differs: "differs",
  moving: "written to meanwhile",
  not_compared: "not compared",
};

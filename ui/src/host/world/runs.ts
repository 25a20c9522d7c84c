// Past sessions, a month of them.
import type { RunDetails, RunRow, RunTrigger } from "../host";
import { before, chance, count, MINUTE, row, unreachable } from "./make";

const TRIGGERS: RunTrigger[] = ["change", "news", "change", "peer", "person", "retry", "start"];

export function runs(some = 640): RunRow[] {
  const next = chance(99);
  let ago = 4 * MINUTE;
  return Array.from({ length: some }, (_, n): RunRow => {
    const peer = next() < 0.6 ? "venue-server" : "pit-laptop";
    const fails = n === 3 || next() < 0.06;
    const partial = n === 6 || (!fails && next() < 0.03);
    const moved = Math.floor(next() ** 4 * 2400);
    const at = before(ago);
    ago += Math.floor(next() * 90 * MINUTE);
    return {
      id: String(4810 - n),
      peer,
      trigger: TRIGGERS[Math.floor(next() * TRIGGERS.length)] ?? "change",
      started_at: at,
      duration_ms: count(fails ? 30_004 : 120 + Math.floor(next() * 1400)),
      sent: count(fails ? 0 : Math.floor(moved * 0.3)),
      received: count(fails ? 0 : moved),
      applied: count(fails ? 0 : moved),
      conflicts: count(n === 1 ? 2 : 0),
      held: count(n === 1 ? 1 : 0),
      id_moves: count(Math.floor(moved / 9)),
      rounds: count(partial ? 8 : 2),
      bytes_sent: count(900 + moved * 24),
      bytes_received: count(1200 + moved * 71),
      result: fails ? "failed" : partial ? "partial" : "verified",
      error: fails ? unreachable(peer) : null,
    };
  });
}

export function runDetails(run: RunRow): RunDetails {
  const moving = run.result === "partial";
  const tables = ["match", "scouting_data", "team", "event"];
  return {
    run,
    tables:
      run.result === "failed"
        ? []
        : [
            ...tables.map((table) => ({
              database: "scouting",
              table,
              state: moving && table === "scouting_data" ? ("moving" as const) : ("equal" as const),
            })),
            { database: "users", table: "user", state: "equal" },
          ],
    issues: [
      ...(run.conflicts === "0"
        ? []
        : [
            {
              row: row("match", "27"),
              reason: "Both sides changed red_score and winner.",
              todo: "Keep a side under Conflicts.",
            },
            {
              row: row("user", "14", "users"),
              reason: "Both sides changed password_hash, which is under review.",
              todo: "Keep a side under Conflicts.",
            },
          ]),
      ...(moving
        ? [
            {
              row: null,
              reason: "scouting.scouting_data was written to during all eight rounds.",
              todo: "Nothing: the next run compares it again.",
            },
          ]
        : []),
    ],
  };
}

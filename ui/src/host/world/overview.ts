// This node at a glance: its databases, its peers, its balance, how reliable it has been.
import type {
  BalanceView,
  DatabaseView,
  PeerRunView,
  PeerView,
  Rate,
  RunView,
  State,
  StatusView,
  VerifyView,
} from "../host";
import { before, chance, count, DAY, MINUTE } from "./make";

export function database(name: string, rows: string, over: Partial<DatabaseView> = {}): DatabaseView {
  return {
    name,
    file: `/srv/scouting/instance/${name}.db`,
    rows,
    pending: "0",
    held: "0",
    capture: { kind: "ok" },
    history: null,
    ...over,
  };
}

export function peer(name: string, over: Partial<PeerView> = {}): PeerView {
  return {
    name,
    address: `https://${name}.example:7467`,
    reachable: true,
    clock_offset_ms: "140",
    last_verified_at: before(4 * MINUTE),
    lag_ms: null,
    pending: "0",
    coming: "0",
    held: "0",
    capture: { kind: "ok" },
    last_run_at: before(4 * MINUTE),
    error: null,
    unlike: [],
    ...over,
  };
}

export function status(state: State, over: Partial<StatusView> = {}): StatusView {
  return {
    node: "school-server",
    at: String(Date.now()),
    state,
    agent: { listening: "https://10.4.1.20:7467", since: before(5 * DAY) },
    paused_until: null,
    databases: [database("scouting", "48210"), database("users", "214")],
    peers: [peer("pit-laptop"), peer("venue-server", { clock_offset_ms: "-95000" })],
    conflicts_unreviewed: "0",
    values_lost: "0",
    values_lost_because: null,
    ...over,
  };
}

export function peerRun(name: string, over: Partial<PeerRunView> = {}): PeerRunView {
  return {
    name,
    sent: "12",
    received: "1840",
    applied: "1840",
    conflicts: "0",
    held: "0",
    id_moves: "31",
    verified: true,
    duration_ms: "840",
    error: null,
    ...over,
  };
}

export const syncRun = (): RunView => ({
  peers: [peerRun("pit-laptop"), peerRun("venue-server", { received: "0", applied: "0", id_moves: "0" })],
});

export const balance = (over: Partial<BalanceView> = {}): BalanceView => ({
  at: String(Date.now()),
  databases: [
    {
      database: "scouting",
      balance: {
        visible: "482117",
        superseded: "61204",
        archived: "61198",
        deleted: "1306",
        held: "4",
        cleaned: "0",
        total: "605829",
      },
    },
    {
      database: "users",
      balance: {
        visible: "2354",
        superseded: "410",
        archived: "410",
        deleted: "22",
        held: "0",
        cleaned: "0",
        total: "3196",
      },
    },
  ],
  lost: "0",
  because: null,
  ...over,
});

export const verified = (over: Partial<VerifyView> = {}): VerifyView => ({
  at: String(Date.now()),
  equal: true,
  findings: [],
  differs: [],
  peers: [
    { peer: "pit-laptop", equal: true, as_of: before(0), error: null },
    { peer: "venue-server", equal: true, as_of: before(0), error: null },
  ],
  balance: {
    visible: "484471",
    superseded: "61614",
    archived: "61608",
    deleted: "1328",
    held: "4",
    cleaned: "0",
    total: "609025",
  },
  lost: "0",
  held: "0",
  ...over,
});

/** The day of a moment, as a rate names it. */
export function dayOf(at: number): string {
  const then = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())}`;
}

export function rates(days: number, peers = ["pit-laptop", "venue-server"]): Rate[] {
  const found: Rate[] = [];
  for (const [which, name] of peers.entries()) {
    const next = chance(41 + which * 7);
    for (let ago = days - 1; ago >= 0; ago--) {
      const away = next() < (which === 0 ? 0.2 : 0.04);
      const runs = Math.floor(40 + next() * 120);
      const bad = next() < 0.25 ? Math.ceil(next() * runs * (which === 0 ? 0.3 : 0.08)) : 0;
      const moved = Math.floor(next() * 4000);
      if (away) continue;
      found.push({
        peer: name,
        day: dayOf(Date.now() - ago * DAY),
        runs: count(runs),
        verified: count(runs - bad),
        failed: count(Math.floor(bad * 0.8)),
        rows: count(moved),
        duration_ms: count(180 + Math.floor(next() * 900)),
      });
    }
  }
  return found;
}

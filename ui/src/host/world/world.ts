// The scripted world as a host: three servers of a scouting application, everything well. What is decided in it stays
// decided, so that whole ways through the screens can be walked.
import type { AddressView, ConflictState, Decided, Host } from "../host";
import * as compare from "./compare";
import * as conflicts from "./conflicts";
import * as history from "./history";
import { count, HOUR, matches, part, row, unreachable } from "./make";
import * as overview from "./overview";
import * as plan from "./plan";
import * as runs from "./runs";
import * as settings from "./settings";

export function world(): Host {
  let clashes = conflicts.conflicts();
  let held = conflicts.quarantine();
  let guarded = plan.guarded();
  let configured = settings.tables();
  let values = settings.settings();
  let peers = settings.peers();
  let atLogin = false;
  let place: AddressView = { listens: "0.0.0.0:7467", told: "10.4.1.20:7467", here_only: false, own: true };
  const past = runs.runs();
  const heldReasons = (reason: string | null) => held.filter((h) => reason === null || h.reason === reason);
  const find = <T extends { id: string }>(all: T[], id: string): T => {
    const found = all.find((one) => one.id === id);
    if (!found) throw { code: "not_found", message: `There is nothing with the id ${id}.`, hint: null };
    return found;
  };
  const settle = (ids: string[], state: ConflictState): Decided => {
    clashes = clashes.map((c) => (ids.includes(c.id) ? { ...c, state, undoable: state === "reviewed" } : c));
    return { decided: ids, written: count(ids.length), refused: [] };
  };
  const alike = (id: string) => {
    const one = find(clashes, id);
    return clashes.filter(
      (c) =>
        c.kind === one.kind &&
        c.state === one.state &&
        c.row.table === one.row.table &&
        String(c.columns) === String(one.columns),
    );
  };

  return {
    listen: () => () => {},
    status: async () => {
      const open = clashes.filter((c) => c.state !== "reviewed").length;
      const waits = open > 0 || held.length > 0;
      return overview.status(waits ? "conflict" : "fine", {
        conflicts_unreviewed: count(open),
        databases: [
          overview.database("scouting", "48210", { held: count(held.length), pending: "13" }),
          overview.database("users", "214"),
        ],
      });
    },
    syncNow: async () => overview.syncRun(),
    stopSync: async () => {},
    balance: async () => overview.balance(),
    verify: async () => overview.verified(),
    stopLook: async () => {},
    rates: async ({ days }) => overview.rates(days),
    pause: async () => {},
    resume: async () => {},

    plan: async ({ peer }) => plan.plan(peer),
    planRows: async (ask) => plan.planRows(plan.plan(ask.peer), ask),
    planRow: async ({ id, reveal }) => plan.diff(id, reveal),
    applyPlan: async ({ peer }) => ({ peers: [overview.peerRun(peer)] }),
    pending: async (ask) =>
      part(
        plan.pendingRows(["pit-laptop", "venue-server"]).filter((p) => matches(ask.filter, p.row, p.columns)),
        ask,
      ),
    guarded: async () => guarded,
    guardedRows: async (ask) =>
      part(
        Array.from({ length: 412 }, (_, n) => row("team_list_entry", String(n + 200))),
        ask,
      ),
    decideDeletes: async ({ id }) => {
      guarded = guarded.filter((g) => g.id !== id);
    },

    conflicts: async (ask) => {
      const some = (state: ConflictState) => clashes.filter((c) => c.state === state);
      const shown = some(ask.state).filter((c) =>
        matches(ask.filter, c.row, [c.kind, ...c.columns, c.a, c.b]),
      );
      const counts = {
        held: count(some("held").length),
        auto: count(some("auto").length),
        reviewed: count(some("reviewed").length),
      };
      return { ...part(shown, ask), counts };
    },
    conflict: async ({ id, reveal }) => conflicts.conflictView(find(clashes, id), reveal, alike(id).length),
    decide: async ({ decisions }) =>
      settle(
        decisions.map((d) => d.id),
        "reviewed",
      ),
    alike: async ({ id, side, reveal }) => conflicts.alikeView(alike(id), side, reveal),
    decideAlike: async ({ id }) =>
      settle(
        alike(id).map((c) => c.id),
        "reviewed",
      ),
    undo: async ({ id }) => settle([id], "held"),
    markReviewed: async ({ ids }) => {
      const seen = ids ?? clashes.filter((c) => c.state === "auto").map((c) => c.id);
      return settle(seen, "reviewed").written;
    },
    quarantine: async (ask) =>
      part(
        heldReasons(ask.reason).filter((h) => matches(ask.filter, h.row, [h.reason, ...h.columns])),
        ask,
      ),
    heldRow: async ({ id, reveal }) => conflicts.heldDiff(find(held, id).row, reveal),
    retryHeld: async () => ({ applied: "0", held: count(held.length) }),
    allowHeld: async ({ ids }) => {
      held = held.filter((h) => !ids.includes(h.id));
      return { allowed: count(ids.length), held: count(held.length), refused: [] };
    },

    runs: async (ask) =>
      part(
        past.filter(
          (run) =>
            (ask.peer === null || run.peer === ask.peer) &&
            (ask.result === null || run.result === ask.result) &&
            (ask.day === null || overview.dayOf(Number(run.started_at)) === ask.day),
        ),
        ask,
      ),
    run: async ({ id }) => runs.runDetails(find(past, id)),
    diagnostics: async ({ id }) => `lockstep 0.1.0\nrun ${id}\n`,
    exportRuns: async ({ format }) => `/home/mentor/lockstep-runs.${format}`,

    compare: async ({ peer }) => compare.equalCompare(peer),
    compareRows: async (ask) => part(compare.comparedRows(ask.difference), ask),
    comparedRow: async ({ difference }) => compare.comparedRow(difference),

    findRows: async (ask) => {
      const wanted = ask.filter.text.trim();
      const all = history.foundRows(ask.filter.table ?? "scouting.match");
      return part(
        all.filter((one) => wanted === "" || one.row.key === wanted),
        ask,
      );
    },
    history: async (ask) => ({
      ...part(history.versions(ask.row, ask.reveal), ask),
      row: ask.row,
      lives: ask.row.key !== "18",
    }),
    restore: async ({ row, children }) => ({ key: row.key, children: children ? "2" : "0" }),
    same: async ({ row, other }) => ({ kept: row, archived: other }),
    apart: async ({ row }) => ({ rows: [row, { ...row, key: "1043" }], waiting: "0" }),

    doctor: async ({ database }) => [
      {
        database: database ?? "scouting",
        findings: [
          "the trigger for updates of `match` was missing",
          "in the table `match` 3 writes were not captured; they are known now",
        ],
        repaired: true,
      },
    ],
    backup: async ({ database }) => ({
      file: `/home/mentor/${database}-copy.db`,
      sha256: "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
    }),
    chooseFolder: async () => "/srv/scouting",
    migrate: async ({ database }) => ({
      exit: 0,
      findings: ["the table `pit_scouting_data` was rebuilt with the new column drivetrain_v2"],
      backup: `/home/mentor/.local/share/lockstep/backups/${database}-before-migration.db`,
      printed: "INFO  [alembic.runtime.migration] Running upgrade 4f1c -> 9ad2, drivetrain\n",
    }),
    restored: async ({ meaning }) => ({
      copy: "/home/mentor/.local/share/lockstep/backups/scouting-restored.db",
      inserts: meaning === "rejoin" ? "0" : "14",
      updates: meaning === "rejoin" ? "0" : "203",
      deletes: meaning === "rejoin" ? "0" : "61",
      run: overview.syncRun(),
    }),

    init: async () => {},
    chooseFiles: async () => [
      { name: "scouting", file: "/srv/scouting/instance/scouting.db" },
      { name: "users", file: "/srv/scouting/instance/users.db" },
    ],
    inspect: async () => settings.inspection(),
    attach: async ({ files }) => ({
      databases: files.map((f) => ({
        ...f,
        backup: `/home/mentor/.local/share/lockstep/backups/${f.name}.db`,
        tables: f.name === "users" ? "3" : "24",
        rows: f.name === "users" ? "214" : "48210",
      })),
    }),
    detach: async () => {},
    invite: async ({ to }) => ({
      expires_at: count(Date.now() + HOUR / 6),
      address: "https://10.4.1.20:7467",
      file: to === "file" ? "/home/mentor/venue.invite" : "/home/mentor/venue.svg",
    }),
    readInvite: async () => ({
      node: "venue-server",
      address: "https://venue-server.example:7467",
      expires_at: count(Date.now() + HOUR / 7),
    }),
    previewPair: async () => settings.pairPreview(),
    pair: async ({ as }) => ({ peers: [overview.peerRun(as)] }),

    tables: async () => configured,
    include: async ({ database, table, config }) => {
      configured = configured.map((t) =>
        t.database === database && t.table === table ? { ...t, config, synced: true } : t,
      );
    },
    configure: async ({ database, table, config }) => {
      configured = configured.map((t) =>
        t.database === database && t.table === table ? { ...t, config, synced: !config.exclude } : t,
      );
    },
    peers: async () => peers,
    setShare: async ({ peer, share }) => {
      peers = peers.map((p) =>
        p.name === peer ? { ...p, shares: [...p.shares.filter((s) => s.what !== share.what), share] } : p,
      );
      return share.without.includes("email")
        ? [
            "users.user.email must not be NULL and has no default: rows that begin on one side will wait on the other",
          ]
        : [];
    },
    setPeerReview: async ({ peer, review }) => {
      peers = peers.map((p) => (p.name === peer ? { ...p, review } : p));
    },
    retirePeer: async ({ peer }) => {
      if (!peers.some((p) => p.name === peer)) throw unreachable(peer);
      peers = peers.filter((p) => p.name !== peer);
    },
    settings: async () => values,
    setSetting: async ({ key, value }) => {
      if (value.trim() === "") throw { code: "bad_setting", message: `${key} needs a value.`, hint: null };
      values = values.map((s) => (s.key === key ? { ...s, value } : s));
    },
    cleanup: async () => ({
      removed: [
        { kind: "Traces of deleted rows", rows: "88" },
        { kind: "Conflicts that were looked at", rows: "12" },
        { kind: "Replaced values", rows: "4120" },
        { kind: "Past runs", rows: "0" },
      ],
    }),
    address: async () => place,
    setAddress: async ({ listen, tell }) => {
      const told = { found: listen, nowhere: null, address: "address" in tell ? tell.address : listen };
      place = { ...place, listens: listen, told: told[tell.kind], here_only: listen.startsWith("127.") };
    },
    startsAtLogin: async () => atLogin,
    setStartAtLogin: async ({ on }) => {
      atLogin = on;
    },
    desktopIsDark: async () => null,
    quit: async () => {},
  };
}

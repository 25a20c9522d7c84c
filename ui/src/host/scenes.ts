// Every state of every screen, for the tests and for designing. Names and files are invented.
import type { Host, HostEvent, Screen, Task } from "./host";
import { fails, inTurn, type Scene, silent } from "./scripted";
import { crowded } from "./world/crowded";
import { hostile } from "./world/hostile";
import {
  before,
  count,
  failure,
  HOUR,
  locked,
  MINUTE,
  planMoved,
  SECOND,
  DAY,
  unreachable,
} from "./world/make";
import { database, peer, peerRun, status, syncRun } from "./world/overview";
import * as compare from "./world/compare";
import * as conflicts from "./world/conflicts";
import * as plan from "./world/plan";
import * as settings from "./world/settings";
import { world } from "./world/world";

const noNode = failure(
  "no_node",
  "there is no node in /home/mentor/.local/share/lockstep",
  "make one with `lockstep init`, or name its folder with --home",
);

const on = (screen: Screen, calls: Partial<Host> = {}): Scene => ({ screen, calls });
const overview = (calls: Partial<Host>): Scene => on("overview", calls);
const page = <T>(items: T[] = []) => ({ items, total: count(items.length) });
const noConflicts = { ...page<never>(), counts: { held: "0", auto: "0", reviewed: "0" } };

/** Tells again and again how far something is. */
const tells =
  (task: Task, what: string, done: string, total: string) => (heard: (event: HostEvent) => void) => {
    const progress = { task, what, done, total, left_ms: "14000" };
    const tell = setInterval(() => heard({ kind: "progress", progress }), 200);
    return () => clearInterval(tell);
  };
/** A server that was last reached hours ago. */
const awayPeer = () =>
  peer("venue-server", {
    reachable: false,
    pending: "12",
    last_run_at: before(3 * HOUR),
    last_verified_at: before(3 * HOUR),
    error: unreachable("venue-server"),
  });
/** A server is away: what is known of it has an age. */
const away = (screen: Screen, calls: Partial<Host> = {}) =>
  on(screen, {
    ...calls,
    status: inTurn(
      status("offline", {
        peers: [awayPeer(), peer("pit-laptop")],
      }),
    ),
  });
/** Two tables are not alike on both servers: one that this server lacks a column of, and one of the other. */
const unlike = (screen: Screen) =>
  on(screen, {
    status: inTurn(
      status("conflict", {
        databases: [database("scouting", "48210", { held: "2" }), database("users", "214")],
        peers: [peer("pit-laptop"), peer("venue-server", { unlike: conflicts.mismatches("venue-server") })],
      }),
    ),
    quarantine: async () => page(conflicts.unlike()),
  });
/** A file was put back from a backup, and nobody has said what that is to mean. */
const restored = (screen: Screen) =>
  on(screen, {
    status: inTurn(
      status("conflict", {
        databases: [
          database("scouting", "48210", {
            history: {
              kind: "restored",
              at: before(20 * MINUTE),
              copy: "/home/mentor/.local/share/lockstep/backups/scouting-restored-20260314T101500Z.db",
            },
          }),
          database("users", "214"),
        ],
      }),
    ),
  });
/** The node's state can't be read any more. */
const unread = (screen: Screen) =>
  on(screen, {
    status: inTurn<object>(status("fine", { at: before(2 * MINUTE) }), locked) as Host["status"],
  });

/** Each makes its scene anew, since ages count from now. */
const overviewScenes = {
  fine: () => overview({ status: inTurn(status("fine")), syncNow: inTurn(syncRun()) }),
  pending: () =>
    overview({
      status: inTurn(
        status("pending", {
          databases: [database("scouting", "48222", { pending: "12" }), database("users", "214")],
          peers: [peer("pit-laptop", { pending: "12", lag_ms: String(40 * SECOND) }), peer("venue-server")],
        }),
      ),
      syncNow: silent,
    }),
  conflict: () =>
    overview({
      status: inTurn(
        status("conflict", {
          conflicts_unreviewed: "3",
          databases: [database("scouting", "48210", { held: "2" }), database("users", "214")],
        }),
      ),
      syncNow: inTurn({
        peers: [
          peerRun("pit-laptop", { conflicts: "3", held: "2" }),
          peerRun("venue-server", { error: unreachable("venue-server"), verified: false }),
        ],
      }),
    }),
  offline: () =>
    overview({
      status: inTurn(
        status("offline", {
          databases: [database("scouting", "48222", { pending: "12" }), database("users", "214")],
          peers: [
            peer("pit-laptop", {
              reachable: false,
              pending: "12",
              lag_ms: String(3 * HOUR),
              last_verified_at: before(3 * HOUR + 12 * MINUTE),
              error: unreachable("pit-laptop"),
            }),
            peer("venue-server"),
          ],
        }),
      ),
    }),
  paused: () =>
    overview({
      status: inTurn(status("paused", { paused_until: count(Date.now() + 25 * MINUTE) })),
    }),
  syncing: () =>
    overview({
      status: inTurn(status("syncing")),
      listen: (heard: (event: HostEvent) => void) => {
        heard({
          kind: "progress",
          progress: { task: "sync", what: "venue-server", done: "3100", total: "12004", left_ms: "9000" },
        });
        return () => {};
      },
    }),
  stale: () =>
    overview({
      status: inTurn(
        status("stale", { peers: [peer("pit-laptop", { last_verified_at: before(3 * DAY) })], agent: null }),
      ),
    }),
  first: () =>
    overview({
      status: inTurn(
        status("stale", {
          peers: [
            peer("pit-laptop", {
              last_verified_at: null,
              last_run_at: null,
              clock_offset_ms: null,
              capture: { kind: "unknown" },
            }),
          ],
        }),
      ),
      rates: async () => [],
    }),
  capture: () =>
    overview({
      status: inTurn(
        status("error", {
          databases: [
            database("scouting", "48210", {
              capture: {
                kind: "problem",
                what: "The table match was rebuilt by a migration and lost its triggers.",
              },
            }),
            database("users", "214"),
          ],
        }),
      ),
    }),
  lost: () =>
    overview({
      status: inTurn(
        status("error", {
          values_lost: "2",
          values_lost_because: "2 registers of scouting.team are in no account.",
        }),
      ),
    }),
  uncounted: () =>
    overview({
      status: inTurn(
        status("error", {
          values_lost_because: "The file of users could not be opened: it is not a database.",
        }),
      ),
    }),
  nothing: () => overview({ status: inTurn(status("setup", { databases: [], peers: [], agent: null })) }),
  alone: () => overview({ status: inTurn(status("setup", { peers: [], agent: null })) }),
  loading: () => overview({ status: silent, rates: silent }),
  nonode: () => overview({ status: fails(noNode) }),
  unreadable: () => overview({ status: fails(locked) }),
  broken: () =>
    overview({
      status: inTurn<object>(status("fine", { at: before(2 * MINUTE) }), locked) as Host["status"],
      syncNow: fails(locked),
    }),
  hostile: () =>
    overview({
      status: inTurn(
        status("conflict", {
          node: "<img src=x onerror=alert(1)>",
          conflicts_unreviewed: "9007199254740993",
          databases: [database("<b>scouting</b>", "9223372036854775807")],
          peers: [peer("<script>alert(1)</script>".repeat(4), { address: null })],
        }),
      ),
    }),
  overviewMismatch: () => unlike("overview"),
  overviewRestored: () => restored("overview"),
  /** All is well but for one table; whole ways through the screens begin here. */
  walk: () => overview({ compare: async ({ peer }) => compare.differingCompare(peer) }),
  ratesFail: () => overview({ rates: fails(locked) }),
};

const million = () => plan.largePlan("venue-server", 1_000_000);

const screenScenes = {
  pendingRows: () => on("pending"),
  pendingLoading: () => on("pending", { plan: silent }),
  pendingEmpty: () =>
    on("pending", {
      plan: async ({ peer }) => plan.plan(peer, { incoming: plan.noChanges, outgoing: plan.noChanges }),
    }),
  pendingOffline: () =>
    on("pending", {
      status: inTurn(
        status("offline", {
          at: before(12 * SECOND),
          peers: [awayPeer()],
        }),
      ),
      plan: fails(unreachable("venue-server")),
    }),
  pendingError: () => on("pending", { plan: fails(locked) }),
  pendingRowError: () => on("pending", { planRow: fails(locked) }),
  pendingDeletes: () =>
    on("pending", {
      plan: async ({ peer }) => plan.deletingPlan(peer),
      planRows: async (ask) => plan.planRows(plan.deletingPlan(ask.peer), ask),
    }),
  pendingMismatch: () =>
    on("pending", {
      plan: async ({ peer }) =>
        plan.plan(peer, {
          mismatches: [
            {
              database: "scouting",
              table: "pit_scouting_data",
              kind: "column_missing",
              says: `${peer} has the column drivetrain_v2; this server has not. What it holds is kept until the migration has run here.`,
              here: true,
            },
          ],
        }),
    }),
  pendingUnread: () => unread("pending"),
  pendingMoved: () => on("pending", { applyPlan: fails(planMoved) }),
  pendingMillion: () =>
    on("pending", {
      plan: async () => million(),
      planRows: async (ask) => plan.planRows(million(), ask),
    }),
  pendingHostile: () => on("pending", hostile(world())),

  conflictsRows: () => on("conflicts"),
  conflictsLoading: () => on("conflicts", { conflicts: silent, quarantine: silent }),
  conflictsEmpty: () =>
    on("conflicts", { conflicts: async () => noConflicts, quarantine: async () => page() }),
  conflictsError: () => on("conflicts", { conflicts: fails(locked), quarantine: fails(locked) }),
  conflictsOffline: () => away("conflicts"),
  conflictsMismatch: () => unlike("conflicts"),
  conflictsUnread: () => unread("conflicts"),
  conflictsPutAside: () => {
    let waits = conflicts.putAside();
    return on("conflicts", {
      quarantine: async () => page(waits),
      heldRow: async ({ id, reveal }) => conflicts.heldDiff(waits.find((one) => one.id === id)!.row, reveal),
      allowHeld: async ({ ids }) => {
        waits = waits.filter((one) => !ids.includes(one.id));
        return { allowed: count(ids.length), held: count(waits.length), refused: [] };
      },
    });
  },
  conflictsChanged: () =>
    on("conflicts", {
      decide: async ({ decisions, anyway }) =>
        anyway
          ? { decided: decisions.map((d) => d.id), written: "1", refused: [] }
          : {
              decided: [],
              written: "0",
              refused: decisions.map((d) => ({
                id: d.id,
                failure: failure(
                  "row_changed",
                  "the row has been written since the conflict was found",
                  "look at it again",
                ),
              })),
            },
    }),
  conflictsHostile: () => on("conflicts", hostile(world())),

  runsRows: () => on("runs"),
  runsLoading: () => on("runs", { runs: silent }),
  runsEmpty: () => on("runs", { runs: async () => page() }),
  runsError: () => on("runs", { runs: fails(locked) }),
  runsOffline: () => away("runs"),
  runsMismatch: () => unlike("runs"),
  runsUnread: () => unread("runs"),
  runsNoNode: () => on("runs", { status: fails(noNode), runs: fails(noNode) }),
  runsFiltered: () => {
    const { runs } = world();
    return on("runs", { runs: async (ask) => (ask.result === null ? runs(ask) : page()) });
  },
  runsOld: () => {
    let asked = 0;
    const { runs } = world();
    return on("runs", {
      runs: (ask) => (asked++ === 0 ? runs(ask) : Promise.reject(locked)),
      // Something has changed, and what is shown is read again.
      listen: (heard: (event: HostEvent) => void) => {
        const tell = setTimeout(() => heard({ kind: "changed" }), 300);
        return () => clearTimeout(tell);
      },
    });
  },
  runsHostile: () => on("runs", hostile(world())),

  compareEqual: () => on("compare"),
  compareDiffers: () => on("compare", { compare: async ({ peer }) => compare.differingCompare(peer) }),
  compareLoading: () => on("compare", { compare: silent }),
  compareOffline: () => away("compare", { compare: fails(unreachable("venue-server")) }),
  compareProgress: () =>
    on("compare", { compare: silent, listen: tells("compare", "scouting.scouting_data", "31200", "48210") }),
  compareUnread: () => unread("compare"),
  compareError: () => on("compare", { compare: fails(locked) }),
  compareHostile: () =>
    on("compare", hostile({ ...world(), compare: async ({ peer }) => compare.differingCompare(peer) })),

  historyRows: () => on("history"),
  historyLoading: () => on("history", { findRows: silent }),
  historyEmpty: () => on("history", { findRows: async () => page() }),
  historyOffline: () => away("history"),
  historyMismatch: () => unlike("history"),
  historyUnread: () => unread("history"),
  historyError: () => on("history", { findRows: fails(locked) }),
  historyHostile: () => on("history", hostile(world())),

  settingsAll: () => on("settings"),
  settingsLoading: () => on("settings", { tables: silent, peers: silent, settings: silent }),
  settingsEmpty: () => on("settings", { tables: async () => [], peers: async () => [] }),
  settingsOffline: () => away("settings"),
  settingsMismatch: () => unlike("settings"),
  settingsUnread: () => unread("settings"),
  settingsError: () =>
    on("settings", { tables: fails(locked), peers: fails(locked), settings: fails(locked) }),
  settingsHostile: () => on("settings", hostile(world())),

  /** A computer on which nothing is set up; what a person does there stays done. */
  newcomer: () => {
    const one = world();
    let [named, attached, paired] = [false, false, false];
    return on("setup", {
      status: async () => {
        if (!named) throw noNode;
        if (paired) return status("fine", { peers: [peer("venue-server")] });
        return status("setup", { peers: [], agent: null, ...(attached ? {} : { databases: [] }) });
      },
      init: async () => void (named = true),
      attach: async (ask) => ((attached = true), one.attach(ask)),
      pair: async (ask) => ((paired = true), one.pair(ask)),
    });
  },
  setupStart: () => on("setup", { status: fails(noNode) }),
  setupAttach: () =>
    on("setup", { status: inTurn(status("setup", { databases: [], peers: [], agent: null })) }),
  setupPair: () => on("setup", { status: inTurn(status("setup", { peers: [] })) }),
  setupMore: () => on("setup"),
  setupOffline: () => away("setup"),
  setupUnlike: () => unlike("setup"),
  setupUnread: () => unread("setup"),
  setupError: () =>
    on("setup", {
      status: inTurn(status("setup", { databases: [], peers: [], agent: null })),
      inspect: fails(
        failure(
          "not_a_database",
          "/srv/scouting/instance/users.db is not a database",
          "choose the application's .db file",
        ),
      ),
    }),
  setupMismatch: () =>
    on("setup", {
      status: inTurn(status("setup", { peers: [] })),
      previewPair: async () => ({
        ...settings.pairPreview(),
        mismatches: [
          {
            database: "scouting",
            table: "team",
            kind: "config_differs" as const,
            here: false,
            says: "venue-server recognises team by team_number alone, this server by team_number and scouting_team_number. The table is held until both say the same.",
          },
        ],
      }),
    }),
  setupProgress: () =>
    on("setup", {
      status: inTurn(status("setup", { peers: [] })),
      pair: silent,
      listen: tells("pair", "scouting.scouting_data", "31200", "48210"),
    }),
  setupHostile: () => on("setup", hostile(world())),
};

/** Much of everything, on every screen. */
const crowdedScenes = {
  overviewCrowded: () => on("overview", crowded(world())),
  pendingCrowded: () => on("pending", crowded(world())),
  conflictsCrowded: () => on("conflicts", crowded(world())),
  compareCrowded: () => on("compare", crowded(world())),
  historyCrowded: () => on("history", crowded(world())),
  settingsCrowded: () => on("settings", crowded(world())),
};

export const scenes = { ...overviewScenes, ...screenScenes, ...crowdedScenes } satisfies Record<
  string,
  () => Scene
>;

export type SceneName = keyof typeof scenes;

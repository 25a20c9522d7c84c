// Believable answers for every state, for the tests and for designing. Names and files are invented.
import type { Scene } from "./scripted";
import type { DatabaseView, Failure, PeerView, State, StatusView } from "./types";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const before = (ms: number): string => String(Date.now() - ms);

function database(name: string, rows: string, over: Partial<DatabaseView> = {}): DatabaseView {
  return {
    name,
    file: `/srv/scouting/instance/${name}.db`,
    rows,
    pending: "0",
    held: "0",
    capture: { kind: "ok" },
    ...over,
  };
}

function peer(name: string, over: Partial<PeerView> = {}): PeerView {
  return {
    name,
    address: `https://${name}.example:7467`,
    reachable: true,
    clockOffsetMs: "140",
    lastVerifiedAt: before(4 * MINUTE),
    lagMs: null,
    pending: "0",
    held: "0",
    capture: { kind: "ok" },
    lastRunAt: before(4 * MINUTE),
    error: null,
    ...over,
  };
}

function status(state: State, over: Partial<StatusView> = {}): StatusView {
  return {
    node: "school-server",
    at: String(Date.now()),
    state,
    agent: { listening: "https://10.4.1.20:7467", since: before(5 * DAY) },
    pausedUntil: null,
    databases: [database("scouting", "48210"), database("users", "214")],
    peers: [peer("pit-laptop"), peer("venue-server", { clockOffsetMs: "-95000" })],
    conflictsUnreviewed: "0",
    valuesLost: "0",
    valuesLostBecause: null,
    ...over,
  };
}

const noNode: Failure = {
  code: "no_node",
  message: "there is no node in /home/mentor/.local/share/lockstep",
  hint: "make one with `lockstep init`, or name its folder with --home",
};

const locked: Failure = {
  code: "database_busy",
  message: "The file of scouting is locked by another program.",
  hint: "This passes by itself once its transaction ends.",
};

const run = (name: string) => ({
  name,
  sent: "12",
  received: "1840",
  applied: "1840",
  conflicts: "0",
  held: "0",
  idMoves: "31",
  verified: true,
  durationMs: "840",
  error: null,
});

/** Each makes its scene anew, since ages count from now. */
export const scenes = {
  fine: (): Scene => ({
    status: [status("fine")],
    run: {
      peers: [run("pit-laptop"), { ...run("venue-server"), received: "0", applied: "0", idMoves: "0" }],
    },
  }),
  pending: (): Scene => ({
    status: [
      status("pending", {
        databases: [database("scouting", "48222", { pending: "12" }), database("users", "214")],
        peers: [peer("pit-laptop", { pending: "12", lagMs: String(40 * SECOND) }), peer("venue-server")],
      }),
    ],
    run: "never",
  }),
  conflict: (): Scene => ({
    status: [
      status("conflict", {
        conflictsUnreviewed: "3",
        databases: [database("scouting", "48210", { held: "2" }), database("users", "214")],
      }),
    ],
    run: {
      peers: [
        { ...run("pit-laptop"), conflicts: "3", held: "2" },
        { ...run("venue-server"), error: unreachable("venue-server"), verified: false },
      ],
    },
  }),
  offline: (): Scene => ({
    status: [
      status("offline", {
        databases: [database("scouting", "48222", { pending: "12" }), database("users", "214")],
        peers: [
          peer("pit-laptop", {
            reachable: false,
            pending: "12",
            lagMs: String(3 * HOUR),
            lastVerifiedAt: before(3 * HOUR + 12 * MINUTE),
            error: unreachable("pit-laptop"),
          }),
          peer("venue-server"),
        ],
      }),
    ],
  }),
  paused: (): Scene => ({
    status: [status("paused", { pausedUntil: String(Date.now() + 25 * MINUTE) })],
  }),
  stale: (): Scene => ({
    status: [
      status("stale", { peers: [peer("pit-laptop", { lastVerifiedAt: before(3 * DAY) })], agent: null }),
    ],
  }),
  first: (): Scene => ({
    status: [
      status("stale", {
        peers: [
          peer("pit-laptop", {
            lastVerifiedAt: null,
            lastRunAt: null,
            clockOffsetMs: null,
            capture: { kind: "unknown" },
          }),
        ],
      }),
    ],
  }),
  capture: (): Scene => ({
    status: [
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
    ],
  }),
  lost: (): Scene => ({
    status: [
      status("error", {
        valuesLost: "2",
        valuesLostBecause: "2 registers of scouting.team are in no account.",
      }),
    ],
  }),
  uncounted: (): Scene => ({
    status: [
      status("error", { valuesLostBecause: "The file of users could not be opened: it is not a database." }),
    ],
  }),
  nothing: (): Scene => ({ status: [status("setup", { databases: [], peers: [], agent: null })] }),
  alone: (): Scene => ({ status: [status("setup", { peers: [], agent: null })] }),
  loading: (): Scene => ({ status: ["never"] }),
  nonode: (): Scene => ({ status: [noNode] }),
  unreadable: (): Scene => ({ status: [locked] }),
  broken: (): Scene => ({ status: [status("fine", { at: before(2 * MINUTE) }), locked], run: locked }),
  hostile: (): Scene => ({
    status: [
      status("conflict", {
        node: "<img src=x onerror=alert(1)>",
        conflictsUnreviewed: "9007199254740993",
        databases: [database("<b>scouting</b>", "9223372036854775807")],
        peers: [peer("<script>alert(1)</script>".repeat(4), { address: null })],
      }),
    ],
  }),
} satisfies Record<string, () => Scene>;

export type SceneName = keyof typeof scenes;

function unreachable(name: string): Failure {
  return {
    code: "unreachable",
    message: `${name} did not answer.`,
    hint: "It is tried again in the background; check that it is on and in the same network.",
  };
}

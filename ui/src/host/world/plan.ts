// What a sync would do: two tables full of it, row by row.
import type {
  Changes,
  ColumnDiff,
  Direction,
  Guarded,
  Operation,
  PendingRow,
  PlanRow,
  PlanView,
  TableChanges,
} from "../host";
import { before, blob, chance, integer, MINUTE, nothing, real, row, secret, SECOND, text } from "./make";

const PLAN = "9f3c1a77d20b";

function table(name: string, figures: [number, number, number, number, number]): TableChanges {
  const [inserts, updates, deletes, conflicts, id_moves] = figures.map(String) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const [database, table] = name.split(".") as [string, string];
  return { database, table, inserts, updates, deletes, conflicts, held: conflicts, id_moves };
}

function changes(tables: TableChanges[], estimated = false): Changes {
  const total = (of: keyof TableChanges) =>
    String(tables.reduce((sum, one) => sum + BigInt(one[of] as string), 0n));
  return {
    inserts: total("inserts"),
    updates: total("updates"),
    deletes: total("deletes"),
    conflicts: total("conflicts"),
    held: total("held"),
    id_moves: total("id_moves"),
    estimated,
    tables,
  };
}

export const noChanges = changes([]);

export function plan(peer: string, over: Partial<PlanView> = {}): PlanView {
  return {
    peer,
    plan: PLAN,
    at: String(Date.now()),
    incoming: changes([
      table("scouting.match", [3, 14, 0, 0, 3]),
      table("scouting.scouting_data", [61, 4, 0, 2, 61]),
      table("scouting.team", [0, 2, 1, 0, 0]),
      table("users.user", [1, 1, 0, 1, 1]),
    ]),
    outgoing: changes([
      table("scouting.scouting_data", [12, 0, 0, 0, 0]),
      table("scouting.strategy_drawing", [1, 0, 0, 0, 0]),
    ]),
    many_deletes: false,
    mismatches: [],
    ...over,
  };
}

/** A plan with a single table of so many rows. */
export function largePlan(peer: string, rows: number): PlanView {
  return plan(peer, {
    incoming: changes([table("scouting.scouting_data", [rows, 0, 0, 0, 0])]),
    outgoing: noChanges,
  });
}

export function deletingPlan(peer: string): PlanView {
  return plan(peer, {
    incoming: changes([
      table("scouting.team_list_entry", [0, 0, 412, 0, 0]),
      table("scouting.match", [0, 6, 0, 0, 0]),
    ]),
    many_deletes: true,
  });
}

const COLUMNS: Record<string, string[]> = {
  match: ["red_score", "blue_score", "winner"],
  scouting_data: ["data_json", "scout_name"],
  team: ["team_name", "location"],
  user: ["password_hash", "last_login"],
  strategy_drawing: ["data_json"],
  team_list_entry: ["reason"],
};

/** The row at that place of the plan, whatever its number. */
function planRow(
  of: TableChanges,
  place: number,
  operation: Operation,
  peer: string,
  direction: Direction,
): PlanRow {
  const key = String(1000 + place * 3 + ["update", "insert", "delete"].indexOf(operation));
  const columns = COLUMNS[of.table] ?? [];
  const [from, to] = direction === "incoming" ? [peer, "school-server"] : ["school-server", peer];
  return {
    id: `${of.database}.${of.table}:${operation}:${place}`,
    row: row(of.table, key, of.database),
    operation,
    from,
    to,
    columns: operation === "update" ? columns.slice(0, 1 + (place % columns.length)) : [],
    at: before((place % 180) * MINUTE + 20 * SECOND),
    conflict: operation === "update" && BigInt(of.conflicts) > BigInt(place),
    held: null,
    moves_to: operation === "insert" && BigInt(of.id_moves) > BigInt(place) ? String(4000 + place) : null,
  };
}

const OPERATIONS = { insert: "inserts", update: "updates", delete: "deletes" } as const;

/** A part of the plan's rows, each made when it is asked for: a million of them cost nothing. */
export function planRows(
  of: PlanView,
  ask: {
    direction: Direction;
    operation: Operation | null;
    filter: { text: string; table: string | null };
    offset: number;
    limit: number;
  },
): { items: PlanRow[]; total: string } {
  const items: PlanRow[] = [];
  let passed = 0;
  for (const one of of[ask.direction].tables) {
    const name = `${one.database}.${one.table}`;
    if (ask.filter.table !== null && ask.filter.table !== name && ask.filter.table !== one.database) continue;
    if (!name.includes(ask.filter.text.trim().toLowerCase())) continue;
    for (const operation of ["update", "insert", "delete"] as const) {
      if (ask.operation !== null && ask.operation !== operation) continue;
      const some = Number(one[OPERATIONS[operation]]);
      const first = Math.max(0, ask.offset - passed);
      const last = Math.min(some, ask.offset + ask.limit - passed);
      for (let place = first; place < last; place++) {
        items.push(planRow(one, place, operation, of.peer, ask.direction));
      }
      passed += some;
    }
  }
  return { items, total: String(passed) };
}

/** One row of the plan, column by column. */
export function diff(id: string, reveal: boolean): ColumnDiff[] {
  const [name, operation] = id.split(":");
  const was = operation !== "insert";
  const is = operation !== "delete";
  const column = (column: string, old: ColumnDiff["before"], now: ColumnDiff["after"], changed: boolean) => ({
    column,
    before: was ? old : null,
    after: is ? (operation === "insert" ? now : changed ? now : old) : null,
    changed: changed || operation !== "update",
  });
  if (name === "users.user") {
    return [
      column(
        "password_hash",
        secret("scrypt:32768:8:1$old", reveal),
        secret("scrypt:32768:8:1$new", reveal),
        true,
      ),
      column("username", text("anna"), text("anna"), false),
      column("email", text("anna@school.example"), text("anna@school.example"), false),
      column("is_active", integer(1), integer(1), false),
      column("last_login", text("2026-03-13 08:01:12.000000"), nothing, false),
      column("profile_picture", nothing, nothing, false),
    ];
  }
  if (name === "scouting.match") {
    return [
      column("red_score", integer(88), integer(94), true),
      column("winner", text("blue"), text("red"), true),
      column("match_number", integer(27), integer(27), false),
      column("match_type", text("Qualification"), text("Qualification"), false),
      column("event_id", integer(3), integer(3), false),
      column("red_alliance", text("5454,1678,254"), text("5454,1678,254"), false),
      column("blue_alliance", text("971,604,4414"), text("971,604,4414"), false),
      column("blue_score", integer(91), integer(91), false),
      column("timestamp", text("2026-03-14 09:12:44.120000"), text("2026-03-14 09:12:44.120000"), false),
      column("scouting_team_number", integer(5454), integer(5454), false),
    ];
  }
  return [
    column(
      "data_json",
      text('{"auto_points": 12, "teleop": {"cones": 4, "cubes": 7}, "climb": "none", "notes": "tips over"}'),
      text('{"auto_points": 12, "teleop": {"cones": 5, "cubes": 7}, "climb": "high", "notes": "fast"}'),
      true,
    ),
    column("scout_name", text("Jonas"), text("Jonas"), false),
    column("match_id", integer(27), integer(27), false),
    column("team_id", integer(9), integer(9), false),
    column("rating", real("4.5"), real("4.5"), false),
    column(
      "thumbnail",
      blob("89504e470d0a1a0a0000000d", 2048),
      blob("89504e470d0a1a0a0000000d", 2048),
      false,
    ),
  ];
}

export function pendingRows(peers: string[]): PendingRow[] {
  const next = chance(7);
  return Array.from({ length: 12 }, (_, n) => ({
    row: row(n % 4 === 0 ? "match" : "scouting_data", String(4071 + n)),
    operation: n % 4 === 0 ? ("update" as const) : ("insert" as const),
    columns: n % 4 === 0 ? ["red_score"] : [],
    at: before(Math.floor(next() * 40 * MINUTE)),
    peers: n % 3 === 0 ? peers : peers.slice(0, 1),
  }));
}

export const guarded = (): Guarded[] => [
  {
    id: "5f0c2b",
    database: "scouting",
    table: "team_list_entry",
    rows: "412",
    of: "1630",
    from: "venue-server",
    at: before(12 * MINUTE),
  },
];

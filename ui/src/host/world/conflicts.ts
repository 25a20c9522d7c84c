// What clashed: conflicts of every kind with both sides, and what waits in quarantine.
import type {
  AlikeView,
  ColumnDiff,
  ConflictColumn,
  ConflictKind,
  ConflictRow,
  ConflictState,
  ConflictView,
  HeldRow,
  HoldReason,
  Mismatch,
  RowName,
} from "../host";
import { before, HOUR, integer, MINUTE, nothing, row, secret, text } from "./make";

const HERE = "school-server";
const VENUE = "venue-server";
const LAPTOP = "pit-laptop";

function conflict(
  id: string,
  kind: ConflictKind,
  of: RowName,
  columns: string[],
  state: ConflictState,
  ago: number,
  [a, b]: [string, string] = [HERE, VENUE],
): ConflictRow {
  return { id, kind, row: of, a, b, columns, state, at: before(ago), undoable: state === "reviewed" };
}

export const conflicts = (): ConflictRow[] => [
  conflict("c01", "update_update", row("match", "27"), ["red_score", "winner"], "held", 9 * MINUTE),
  conflict("c02", "update_update", row("user", "14", "users"), ["password_hash"], "held", 31 * MINUTE),
  conflict("c03", "update_delete", row("team", "88"), [], "held", 2 * HOUR, [HERE, LAPTOP]),
  conflict("c04", "unique", row("strategy_drawing", "5"), ["match_id"], "held", 3 * HOUR),
  conflict("c05", "update_update", row("scouting_data", "4071"), ["data_json"], "auto", 14 * MINUTE),
  conflict("c06", "update_update", row("scouting_data", "4080"), ["data_json"], "auto", 16 * MINUTE),
  conflict("c07", "insert_insert", row("team", "61"), ["location"], "auto", 3 * HOUR, [VENUE, HERE]),
  conflict("c08", "parent_deleted", row("event", "4"), [], "auto", 5 * HOUR, [LAPTOP, HERE]),
  conflict("c09", "id_collision", row("scouting_data", "4102"), [], "auto", 5 * HOUR),
  conflict("c10", "update_update", row("match", "19"), ["blue_score"], "reviewed", 26 * HOUR),
  conflict("c11", "update_delete", row("team_list_entry", "301"), [], "reviewed", 30 * HOUR, [VENUE, HERE]),
];

const SAYS: Record<ConflictKind, string> = {
  update_update: "changed the same columns, and neither had seen the other's change",
  update_delete: "changed the row while the other deleted it",
  delete_update: "deleted the row while the other changed it",
  insert_insert: "made the same row, by its identity key, with different values",
  unique: "use the same unique key in two rows that both lived before",
  missing_parent: "refer to a row that has not come yet",
  parent_deleted: "deleted a row that the other had begun to refer to",
  constraint: "made changes that together break a CHECK of the table",
  table_missing: "have this table on one side only",
  column_missing: "have these columns on one side only",
  config_differs: "are told to sync this table differently",
  clock: "wrote with a clock that is far ahead",
  id_collision: "gave the same id to two different rows; both live, one under another id there",
  difference: "have received the same writes, yet show different rows",
  delete_guard: "deleted very many rows at once",
  review: "wrote what a person has put aside",
};

function columnsOf(of: ConflictRow, reveal: boolean): ConflictColumn[] {
  const column = (
    name: string,
    base: ConflictColumn["base"],
    a: ConflictColumn["a"],
    b: ConflictColumn["b"],
  ): ConflictColumn => ({ column: name, differs: of.columns.includes(name), base, a, b, now: a });
  const same = (name: string, value: ConflictColumn["a"]) => column(name, value, value, value);
  switch (of.row.table) {
    case "user":
      return [
        column(
          "password_hash",
          secret("scrypt:32768:8:1$first", reveal),
          secret("scrypt:32768:8:1$school", reveal),
          secret("scrypt:32768:8:1$venue", reveal),
        ),
        same("username", text("anna")),
        same("email", text("anna@school.example")),
        same("is_active", integer(1)),
        same("profile_picture", nothing),
      ];
    case "team":
      return [
        ...(of.kind === "insert_insert"
          ? [column("location", null, text("San José, CA"), text("San Jose, California, USA"))]
          : []),
        same("team_number", integer(1678)),
        same("team_name", text("Citrus Circuits")),
        same("scouting_team_number", integer(5454)),
      ].map((one) => (of.kind === "update_delete" ? { ...one, b: null } : one));
    case "scouting_data":
      return [
        column(
          "data_json",
          text('{"auto_points": 12, "teleop": {"cones": 4}, "climb": "none"}'),
          text('{"auto_points": 12, "teleop": {"cones": 5}, "climb": "high"}'),
          text('{"auto_points": 15, "teleop": {"cones": 4}, "climb": "none"}'),
        ),
        same("scout_name", text("Jonas")),
        same("match_id", integer(27)),
        same("team_id", integer(9)),
        same("timestamp", text("2026-03-14 09:12:44.120000")),
      ];
    default:
      return [
        column("red_score", integer(88), integer(94), integer(90)),
        column("winner", nothing, text("red"), text("blue")),
        same("match_number", integer(27)),
        same("match_type", text("Qualification")),
        same("event_id", integer(3)),
        same("red_alliance", text("5454,1678,254")),
        same("blue_alliance", text("971,604,4414")),
        same("blue_score", integer(91)),
        same("timestamp", text("2026-03-14 09:12:44.120000")),
        same("scouting_team_number", integer(5454)),
      ];
  }
}

export function conflictView(of: ConflictRow, reveal: boolean, alike: number): ConflictView {
  const stands =
    of.state === "held"
      ? "Nothing was replaced: it waits for you."
      : of.state === "auto"
        ? `${of.a} wrote later, so its values are shown; ${of.b}'s are kept.`
        : `${of.a}'s values were kept by a decision.`;
  return {
    conflict: of,
    why: `${of.a} and ${of.b} ${SAYS[of.kind]}. ${stands}`,
    a: { node: of.a, at: before(8 * MINUTE), deleted: of.kind === "delete_update" },
    b: { node: of.b, at: before(21 * MINUTE), deleted: of.kind === "update_delete" },
    columns: columnsOf(of, reveal),
    changed_since: of.id === "c11",
    alike: String(alike),
  };
}

export function alikeView(of: ConflictRow[], side: "a" | "b", reveal: boolean): AlikeView {
  return {
    plan: "77ab01",
    conflicts: String(of.length),
    rows: of.map((one) => ({
      id: one.id,
      row: one.row,
      columns: columnsOf(one, reveal)
        .filter((c) => c.differs)
        .map((c) => ({ column: c.column, before: c.now, after: c[side], changed: c.now !== c[side] })),
    })),
  };
}

function held(
  id: string,
  reason: HoldReason,
  of: RowName,
  says: string,
  over: Partial<HeldRow> = {},
): HeldRow {
  return {
    id,
    reason,
    row: of,
    columns: [],
    from: VENUE,
    at: before(40 * MINUTE),
    says,
    dependents: "0",
    allowable: true,
    ...over,
  };
}

/** What is held because the two sides have a table differently. */
/** The same tables, as each side says it after a session. */
export const mismatches = (peer: string): Mismatch[] => [
  {
    database: "scouting",
    table: "pit_scouting_data",
    kind: "column_missing",
    says: "this server has no column drivetrain_v2; what it holds is kept until it has",
    here: true,
  },
  {
    database: "scouting",
    table: "alliance_note",
    kind: "table_missing",
    says: `${peer} has no such table, or does not sync it; its rows are held there`,
    here: false,
  },
];

export const unlike = (): HeldRow[] => [
  held(
    "h11",
    "column_missing",
    row("pit_scouting_data", "712"),
    "This server has no column drivetrain_v2 yet; it is applied when its migration has run.",
    { columns: ["drivetrain_v2"], allowable: false },
  ),
  held(
    "h12",
    "table_missing",
    row("alliance_note", null),
    "This server has no such table yet; it is applied by itself after the application's migration.",
    { allowable: false },
  ),
];

/** Put aside by a person who had chosen others of a plan. */
export const putAside = (): HeldRow[] =>
  ["61", "88", "254"].map((key, n) =>
    held(`h2${n}`, "review", row("team", key), "A person put it aside: let it through, or decide it.", {
      columns: ["location"],
    }),
  );

export const quarantine = (): HeldRow[] => [
  held("h01", "review", row("match", "27"), "The table is under review: keep a side under Conflicts.", {
    columns: ["red_score", "winner"],
    allowable: false,
  }),
  held(
    "h02",
    "missing_parent",
    row("scouting_data", null),
    "Its match has not come yet; it is applied by itself when it does.",
    { allowable: false, dependents: "2" },
  ),
  held(
    "h03",
    "unique",
    row("pit_scouting_data", "712"),
    "Another row here has the same team_id and event_id: change one of the two, or decide the conflict.",
    { columns: ["team_id", "event_id"], allowable: false },
  ),
  held(
    "h04",
    "constraint",
    row("alliance_selection", "6"),
    "The row would break the table's CHECK alliance_number BETWEEN 1 AND 8.",
    { from: LAPTOP },
  ),
  held(
    "h05",
    "clock",
    row("event", "4"),
    "pit-laptop's clock was 3 days ahead when it wrote this; let it through with today's time, or wait.",
    { from: LAPTOP, columns: ["location"] },
  ),
];

/** What a held change would do to its row. */
export function heldDiff(of: RowName, reveal: boolean): ColumnDiff[] {
  const one = (column: string, before: ColumnDiff["before"], after: ColumnDiff["after"]): ColumnDiff => ({
    column,
    before,
    after,
    changed: JSON.stringify(before) !== JSON.stringify(after),
  });
  switch (of.table) {
    case "match":
      return [
        one("red_score", integer(94), integer(90)),
        one("winner", text("red"), text("blue")),
        one("match_number", integer(27), integer(27)),
        one("match_type", text("Qualification"), text("Qualification")),
        one("red_alliance", text("5454,1678,254"), text("5454,1678,254")),
      ];
    case "scouting_data":
      return [
        one("data_json", null, text('{"auto_points": 15, "climb": "high"}')),
        one("scout_name", null, text("Mira")),
        one("match_id", null, integer(1207)),
      ];
    case "pit_scouting_data":
      return [
        one("drivetrain_v2", null, text("swerve")),
        one("scout_name", text("Jonas"), text("Jonas")),
        one("team_id", integer(9), integer(9)),
      ];
    case "alliance_selection":
      return [
        one("alliance_number", integer(8), integer(9)),
        one("captain", integer(61), integer(61)),
        one("event_id", integer(4), integer(4)),
      ];
    default:
      return [
        one("location", text("Davis"), text("Davis, CA")),
        one("wifi_token", nothing, secret("t0k3n-9921", reveal)),
        one("name", text("Central Valley"), text("Central Valley")),
        one("code", text("2026cave"), text("2026cave")),
        one("year", integer(2026), integer(2026)),
      ];
  }
}

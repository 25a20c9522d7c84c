// Digests of every table on both sides, and the rows that differ.
import type { ColumnDiff, ComparedRow, ComparedTable, CompareView, Difference } from "../host";
import { before, count, integer, MINUTE, row, text } from "./make";

function table(name: string, rows: number, over: Partial<ComparedTable> = {}): ComparedTable {
  const [database, table] = name.split(".") as [string, string];
  const digest = [...name].reduce((sum, c) => (Math.imul(sum, 31) + c.charCodeAt(0)) >>> 0, 7);
  const hex = digest.toString(16).padStart(8, "0").repeat(4);
  return {
    database,
    table,
    here: { rows: count(rows), digest: hex },
    there: { rows: count(rows), digest: hex },
    state: "equal",
    because: null,
    only_here: "0",
    only_there: "0",
    different: "0",
    ...over,
  };
}

export const equalCompare = (peer: string): CompareView => ({
  peer,
  at: before(0),
  equal: true,
  tables: [
    table("scouting.event", 14),
    table("scouting.match", 1204),
    table("scouting.pit_scouting_data", 902),
    table("scouting.scouting_data", 43310),
    table("scouting.team", 2613),
    table("scouting.team_event", 167),
    table("users.role", 4),
    table("users.user", 210),
  ],
});

export function differingCompare(peer: string): CompareView {
  const all = equalCompare(peer);
  const change: Record<string, Partial<ComparedTable>> = {
    match: {
      state: "different",
      there: { rows: "1206", digest: "b1946ac92492d2347c6235b4d2611184" },
      because: "5 rows differ though both servers have the same writes; they are held for you to decide.",
      only_here: "1",
      only_there: "3",
      different: "1",
    },
    scouting_data: { state: "moving", because: "It was written to while it was compared." },
    pit_scouting_data: {
      state: "mismatch",
      because: `${peer} has the column drivetrain_v2; this server has not.`,
    },
    team_event: { state: "not_shared", there: null, because: `Not shared with ${peer}.` },
  };
  return {
    ...all,
    at: before(2 * MINUTE),
    equal: false,
    tables: all.tables.map((one) => ({ ...one, ...change[one.table] })),
  };
}

export function comparedRows(difference: Difference): ComparedRow[] {
  const keys = { only_here: ["77"], only_there: ["1201", "1202", "1203"], different: ["27"] }[difference];
  return keys.map((key) => ({
    row: row("match", key),
    key_there: difference === "different" ? "31" : null,
    columns: difference === "different" ? ["red_score"] : [],
  }));
}

export function comparedRow(difference: Difference): ColumnDiff[] {
  const columns: [string, ColumnDiff["before"], ColumnDiff["after"]][] = [
    ["red_score", integer(94), integer(90)],
    ["match_number", integer(27), integer(27)],
    ["match_type", text("Qualification"), text("Qualification")],
    ["red_alliance", text("5454,1678,254"), text("5454,1678,254")],
  ];
  return columns.map(([column, here, there]) => ({
    column,
    before: difference === "only_there" ? null : here,
    after: difference === "only_here" ? null : there,
    changed: difference !== "different" || here?.text !== there?.text,
  }));
}

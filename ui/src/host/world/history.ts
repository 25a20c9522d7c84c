// A row's life, and the rows that can be looked for.
import type { FoundRow, RowName, Version } from "../host";
import { before, DAY, HOUR, integer, MINUTE, nothing, row, secret, text } from "./make";

export function foundRows(table: string): FoundRow[] {
  const [database = "scouting", name = "match"] = table.split(".");
  return Array.from({ length: 1204 }, (_, n) => ({
    row: row(name, String(n + 1), database),
    identity: [
      { column: "match_type", value: text(n < 900 ? "Qualification" : "Playoff") },
      { column: "match_number", value: integer((n % 90) + 1) },
      { column: "event_id", value: integer(1 + Math.floor(n / 90)) },
    ],
    lives: n % 41 !== 17,
  }));
}

export function versions(of: RowName, reveal: boolean): Version[] {
  const one = (
    id: string,
    ago: number,
    node: string,
    operation: Version["operation"],
    state: Version["state"],
    columns: Version["columns"],
    ended: [string, number] | null,
  ): Version => ({
    id,
    at: before(ago),
    node,
    operation,
    state,
    columns,
    ended_by: ended?.[0] ?? null,
    ended_at: ended === null ? null : before(ended[1]),
    restorable: state !== "visible",
  });
  const all = [
    one(
      "v5",
      9 * MINUTE,
      "school-server",
      "update",
      "visible",
      [
        { column: "red_score", value: integer(94) },
        { column: "winner", value: text("red") },
      ],
      null,
    ),
    one(
      "v4",
      21 * MINUTE,
      "venue-server",
      "update",
      "lost",
      [
        { column: "red_score", value: integer(90) },
        { column: "winner", value: text("blue") },
      ],
      ["school-server", 9 * MINUTE],
    ),
    one(
      "v3",
      5 * HOUR,
      "pit-laptop",
      "update",
      "superseded",
      [{ column: "red_score", value: integer(88) }],
      ["school-server", 9 * MINUTE],
    ),
    one("v2", 2 * DAY, "pit-laptop", "delete", "superseded", [], ["venue-server", 2 * DAY - HOUR]),
    one(
      "v1",
      6 * DAY,
      "venue-server",
      "insert",
      "superseded",
      [
        { column: "match_number", value: integer(27) },
        { column: "match_type", value: text("Qualification") },
        { column: "red_score", value: nothing },
        { column: "blue_score", value: nothing },
        { column: "winner", value: nothing },
        { column: "access_token", value: secret("7fd1-11", reveal) },
        { column: "red_alliance", value: text("5454,1678,254") },
        { column: "blue_alliance", value: text("971,604,4414") },
      ],
      ["pit-laptop", 5 * HOUR],
    ),
  ];
  return of.key === "18" ? all.slice(3) : all;
}

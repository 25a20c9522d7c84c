// The scripted world, crowded: ten servers with long names, sixty tables, rows of forty columns with texts of 10,000
// characters.
import type { Cell, ColumnDiff, Host } from "../host";
import * as compare from "./compare";
import { count, text } from "./make";
import * as overview from "./overview";
import * as settings from "./settings";

/** As the shell sends it: the first 4,000 characters. */
const LONG = "All four robots broke down in the last match, so nobody knows who would have won. ".repeat(50);
const long = (): Cell => ({ ...text(LONG.slice(0, 4000)), bytes: "10000", cut: true });
const SERVERS = Array.from(
  { length: 10 },
  (_, n) => `${n % 2 === 0 ? "regional-championship-scouting-server" : "pit"}-${n + 1}`,
);
const more = <T>(one: (n: number) => T): T[] => Array.from({ length: 36 }, (_, n) => one(n));
const columns = (): ColumnDiff[] =>
  more((n) => ({
    column: `endgame_climb_attempt_seconds_${n + 1}`,
    before: n === 3 ? long() : text(String(n)),
    after: n === 3 ? long() : text(String(n + (n % 3))),
    changed: n % 3 > 0,
  }));

/** That host, with more of everything. */
export function crowded(host: Host): Host {
  const tables = () =>
    settings.tables().concat(
      Array.from({ length: 51 }, (_, n) => ({
        ...settings.tables()[n % 4 === 0 ? 3 : 4]!,
        table: `qualification_match_observation_of_the_season_${2000 + n}`,
      })),
    );
  return {
    ...host,
    status: async () => {
      const status = await host.status();
      const peers = SERVERS.map((name, n) =>
        overview.peer(name, n % 4 === 1 ? { reachable: false } : n % 4 === 2 ? { pending: "120031" } : {}),
      );
      return { ...status, node: "the-school-server-in-the-basement-of-building-4", peers };
    },
    rates: async ({ days }) => overview.rates(days, SERVERS),
    tables: async () => tables(),
    peers: async () => SERVERS.map((name) => ({ ...settings.peers()[1]!, name })),
    compare: async ({ peer }) => {
      const view = compare.differingCompare(peer);
      const all = tables().map(({ database, table, rows }, n) => ({
        ...view.tables[n % view.tables.length]!,
        database,
        table,
        here: { ...view.tables[0]!.here, rows },
      }));
      return { ...view, tables: all };
    },
    planRow: async (ask) => [...(await host.planRow(ask)), ...columns()],
    heldRow: async (ask) => [...(await host.heldRow(ask)), ...columns()],
    conflict: async (ask) => {
      const view = await host.conflict(ask);
      const one = view.columns[0]!;
      const wide = more((n) => ({
        ...one,
        column: `endgame_climb_attempt_seconds_${n + 1}`,
        differs: n % 5 === 0,
        ...(n === 5 ? { a: long(), b: long(), now: long() } : {}),
      }));
      return { ...view, columns: [...view.columns, ...wide] };
    },
    history: async (ask) => {
      const view = await host.history(ask);
      const wide = columns().map(({ column, after }) => ({ column, value: after! }));
      const items = view.items.map((one) => ({ ...one, columns: [...one.columns, ...wide] }));
      return { ...view, items };
    },
    findRows: async (ask) => {
      const page = await host.findRows(ask);
      const items = page.items.map((one, n) => ({
        ...one,
        identity: [{ column: "notes", value: n % 2 === 0 ? long() : text("short") }, ...one.identity],
      }));
      return { items, total: count(Number(page.total)) };
    },
  };
}

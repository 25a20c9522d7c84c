// How a table is synced, and with whom, in a line.
import type { PeerSettings, ShareDirection, TableConfig, TableView } from "../host/host";

export function saysPolicy(policy: string): string {
  if (policy === "newest") return "the newest wins";
  if (policy === "review") return "conflicts wait for review";
  return policy.startsWith("prefer:") ? `${policy.slice("prefer:".length)} wins` : policy;
}

/** By which columns its rows are known; null: by none. */
export function saysKeys({ known_by }: TableView): string | null {
  return known_by.length === 0 ? null : known_by.map((key) => key.join(" + ")).join(" or ");
}

/** What is said of a table, or would be. */
export function saysConfig(table: TableView, config: TableConfig = table.config): string {
  if (table.unsyncable !== null) return `can't be synced: ${table.unsyncable}`;
  if (config.exclude) return "left out";
  const keys = config.identity.length > 0 ? config.identity.join(" + ") : saysKeys(table);
  const parts = [
    keys === null ? null : `same if ${keys} agree`,
    saysPolicy(config.policy),
    ...config.columns.map((one) => `${one.column}: ${saysPolicy(one.policy)}`),
    ...config.references.map((one) => `${one.column} → ${one.target}`),
    config.merge === "row" ? "judged as a whole row" : null,
    config.modified === null ? null : `dated by ${config.modified}`,
    config.guard === null ? null : `asks before deleting ${config.guard.rows} rows`,
    config.history ? null : "keeps no old values of updates",
  ];
  return parts.filter((one) => one !== null).join("; ");
}

export const DIRECTIONS: [ShareDirection, string][] = [
  ["both", "both ways"],
  ["send", "only send"],
  ["receive", "only receive"],
  ["none", "not shared"],
];

export function saysDirection(direction: ShareDirection): string {
  return DIRECTIONS.find(([one]) => one === direction)?.[1] ?? direction;
}

/** Which way a table goes with a peer: what is said of the table itself, else of its database. */
export function shareOf(peer: PeerSettings, { database, table }: TableView): ShareDirection {
  const said = (what: string) => peer.shares.find((one) => one.what === what)?.direction;
  return said(`${database}.${table}`) ?? said(database) ?? "none";
}

/** The columns of `DB.TABLE` that don't pass between here and a server. */
export function keptBack(peer: PeerSettings, what: string): string[] {
  return peer.shares.find((one) => one.what === what)?.without ?? [];
}

/** The columns of a table that need not pass: those by which no row is known. */
export function mayStay({ columns, known_by, surrogate }: TableView): string[] {
  return columns.filter((one) => one !== surrogate && !known_by.some((key) => key.includes(one)));
}

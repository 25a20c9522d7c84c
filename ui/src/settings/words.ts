// How a table is synced, in a line.
import type { TableView } from "../host/host";

export function saysPolicy(policy: string): string {
  if (policy === "newest") return "the newest wins";
  if (policy === "review") return "conflicts wait for review";
  return policy.startsWith("prefer:") ? `${policy.slice("prefer:".length)} wins` : policy;
}

export function saysConfig(table: TableView): string {
  if (table.unsyncable !== null) return `can't be synced: ${table.unsyncable}`;
  if (table.config.exclude) return "left out";
  const { references, policy, columns, merge } = table.config;
  const keys = table.known_by.map((key) => key.join(" + "));
  const parts = [
    keys.length > 0 ? `same if ${keys.join(" or ")} agree` : null,
    saysPolicy(policy),
    ...columns.map((one) => `${one.column}: ${saysPolicy(one.policy)}`),
    ...references.map((one) => `${one.column} → ${one.target}`),
    merge === "row" ? "judged as a whole row" : null,
  ];
  return parts.filter((one) => one !== null).join("; ");
}

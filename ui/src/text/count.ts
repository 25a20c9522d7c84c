// Counts come as text, since they may be larger than a JavaScript number can hold exactly.
import type { Count } from "../host/host";

const grouped = new Intl.NumberFormat("en");

/** `1234567` as `1,234,567`. */
export function count(of: Count): string {
  return grouped.format(BigInt(of));
}

export function isNone(of: Count): boolean {
  return BigInt(of) === 0n;
}

export function sum(counts: Count[]): Count {
  return counts.reduce((total, one) => total + BigInt(one), 0n).toString();
}

/** `1 row`, `12 rows`. */
export function counted(of: Count, one: string, many = `${one}s`): string {
  return `${count(of)} ${BigInt(of) === 1n ? one : many}`;
}

/** As a sentence: the node's messages start small and end without a point. A name (`pit-laptop`) stays as it is. */
export function sentence(text: string): string {
  const start = /^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(start) ? start : `${start}.`;
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(names: string[]): string {
  return new Intl.ListFormat("en-GB").format(names);
}

/** `900 bytes`, `12 kB`, `3.4 MB`. */
export function bytes(of: Count): string {
  const some = Number(of);
  if (some < 1000) return counted(of, "byte");
  if (some < 1_000_000) return `${Math.round(some / 1000)} kB`;
  return `${(some / 1_000_000).toFixed(1)} MB`;
}

// Counts come as text, since they may be larger than a JavaScript number can hold exactly.
import type { Count } from "../host/types";

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

/** `a`, `a and b`, `a, b and c`. */
export function listed(names: string[]): string {
  return new Intl.ListFormat("en-GB").format(names);
}

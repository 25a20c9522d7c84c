// What every part of the scripted world is made of: moments, cells, chance that is always the same, lists by parts.
import type { Cell, Count, Failure, Filter, Millis, Page, RowName, Span, StorageClass } from "../host";

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const before = (ms: number): Millis => String(Date.now() - ms);
export const count = (of: number | bigint): Count => String(of);

function cell(type: StorageClass, text: string, over: Partial<Cell> = {}): Cell {
  return { type, text, masked: false, bytes: count(text.length), cut: false, ...over };
}
export const text = (value: string): Cell => cell("text", value);
export const integer = (value: number | string): Cell => cell("integer", String(value), { bytes: "8" });
export const real = (value: string): Cell => cell("real", value, { bytes: "8" });
export const nothing: Cell = cell("null", "", { bytes: "0" });
export const blob = (hex: string, bytes: number): Cell =>
  cell("blob", hex, { bytes: count(bytes), cut: bytes * 2 > hex.length });
/** A secret: shown when it was asked for. */
export const secret = (value: string, reveal: boolean): Cell =>
  reveal ? text(value) : cell("text", "", { masked: true, bytes: count(value.length) });

export const row = (table: string, key: string | null, database = "scouting"): RowName => ({
  database,
  table,
  key,
});

/** Numbers in [0, 1) that are the same on every run. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The part of a list that was asked for. */
export function part<T>(all: T[], span: Span): Page<T> {
  return { items: all.slice(span.offset, span.offset + span.limit), total: count(all.length) };
}

/** Does a row stay under that filter? */
export function matches(filter: Filter, of: RowName, more: string[] = []): boolean {
  const table = `${of.database}.${of.table}`;
  if (filter.table !== null && filter.table !== table && filter.table !== of.database) return false;
  const words = [table, of.key ?? "", ...more].join(" ").toLowerCase();
  return words.includes(filter.text.trim().toLowerCase());
}

export const failure = (code: string, message: string, hint: string | null = null): Failure => ({
  code,
  message,
  hint,
});
export const unreachable = (name: string): Failure =>
  failure(
    "unreachable",
    `${name} did not answer.`,
    "It is tried again in the background; check that it is on and in the same network.",
  );
export const locked = failure(
  "database_busy",
  "The file of scouting is locked by another program.",
  "This passes by itself once its transaction ends.",
);
export const planMoved = failure(
  "plan_moved",
  "scouting.match was written to after the plan was made.",
  "Make the plan anew and look at it again.",
);

// Decisions that a person has made but not applied yet. Nothing is written by making one.
import { SvelteMap } from "svelte/reactivity";
import type { ConflictRow, ConflictView, Decision, Side } from "../host/host";

export interface Draft {
  conflict: ConflictRow;
  decision: Decision;
}

export class Drafts {
  readonly #of = new SvelteMap<string, Draft>();

  get all(): Draft[] {
    return [...this.#of.values()];
  }

  get count(): number {
    return this.#of.size;
  }

  get(id: string): Decision["keep"] | null {
    return this.#of.get(id)?.decision.keep ?? null;
  }

  /** One side for the whole row. */
  keep(conflict: ConflictRow, side: Side): void {
    this.#of.set(conflict.id, { conflict, decision: { id: conflict.id, keep: { kind: "side", side } } });
  }

  /** That side for one column; the other columns stay as they were decided, else as A. */
  pick(view: ConflictView, column: string, side: Side): void {
    const { conflict } = view;
    const columns = view.columns
      .filter((one) => one.differs)
      .map((one) => ({
        column: one.column,
        side: one.column === column ? side : (this.side(conflict.id, one.column) ?? "a"),
      }));
    this.#of.set(conflict.id, {
      conflict,
      decision: { id: conflict.id, keep: { kind: "columns", columns } },
    });
  }

  /** The side that a column would take; null: nothing is decided. */
  side(id: string, column: string): Side | null {
    const keep = this.get(id);
    if (keep === null) return null;
    if (keep.kind === "side") return keep.side;
    return keep.columns.find((one) => one.column === column)?.side ?? null;
  }

  drop(id: string): void {
    this.#of.delete(id);
  }

  clear(): void {
    this.#of.clear();
  }
}

/** `Keep school-server's`, `merge: red_score of A, winner of B`. */
export function saysDecision({ conflict, decision }: Draft): string {
  const name = (side: Side) => (side === "a" ? conflict.a : conflict.b);
  if (decision.keep.kind === "side") return `keep ${name(decision.keep.side)}'s`;
  return `merge: ${decision.keep.columns.map((one) => `${one.column} of ${name(one.side)}`).join(", ")}`;
}

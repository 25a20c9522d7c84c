// Which changes of a plan a person has chosen. All are, at first; of a million rows only the exceptions are kept.
import { SvelteSet } from "svelte/reactivity";
import type { Choice } from "../host/host";

export class Chosen {
  /** What is true of a row that is not named. */
  all = $state(true);
  readonly exceptions = new SvelteSet<string>();

  has(id: string): boolean {
    return this.all !== this.exceptions.has(id);
  }

  toggle(id: string): void {
    if (!this.exceptions.delete(id)) this.exceptions.add(id);
  }

  /** All of them, or none. */
  reset(all: boolean): void {
    this.all = all;
    this.exceptions.clear();
  }

  /** How many of so many. */
  count(of: number): number {
    return this.all ? of - this.exceptions.size : this.exceptions.size;
  }

  get choice(): Choice {
    const ids = [...this.exceptions];
    if (!this.all) return { kind: "only", ids };
    return ids.length === 0 ? { kind: "all" } : { kind: "all_but", ids };
  }
}

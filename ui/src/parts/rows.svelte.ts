// A list that may be a million rows long: it is read in parts, as they come into view, and only a few parts are kept.
import { asFailure, type Failure, type Page, type Span } from "../host/host";

const PART = 100;
const PARTS_KEPT = 24;

export class Rows<T> {
  /** How many there are; null before the first answer. */
  total = $state<number | null>(null);
  failure = $state.raw<Failure | null>(null);
  loading = $state(false);
  /** When the first part was last read, by this computer's clock. */
  readAt = $state(0);
  /** The place of the row that is looked at. */
  at = $state(0);

  #parts = $state.raw<ReadonlyMap<number, T[]>>(new Map());
  #asked = new Set<number>();
  #turn = 0;
  readonly #read: (span: Span) => Promise<Page<T>>;

  constructor(read: (span: Span) => Promise<Page<T>>) {
    this.#read = read;
  }

  /** The row at that place, if its part is here. */
  row(place: number): T | undefined {
    return this.#parts.get(Math.floor(place / PART))?.[place % PART];
  }

  get current(): T | undefined {
    return this.row(this.at);
  }

  /** Reads from the start. What is shown stays until the answer is there. */
  async reload(): Promise<void> {
    this.#turn += 1;
    this.#asked.clear();
    this.loading = true;
    await this.#fetch(0, true);
  }

  /** Those places are in view: their parts are read where they are missing. */
  need(first: number, last: number): void {
    if (this.total === null || this.failure !== null) return;
    for (let part = Math.floor(first / PART); part <= Math.floor(last / PART); part++) {
      if (part * PART < this.total && !this.#parts.has(part)) void this.#fetch(part, false);
    }
  }

  move(step: number): void {
    if (this.total === null) return;
    this.at = Math.max(0, Math.min(this.total - 1, this.at + step));
  }

  async #fetch(part: number, anew: boolean): Promise<void> {
    if (this.#asked.has(part)) return;
    this.#asked.add(part);
    const turn = this.#turn;
    try {
      const page = await this.#read({ offset: part * PART, limit: PART });
      if (turn !== this.#turn) return;
      if (anew) this.readAt = Date.now();
      this.total = Number(page.total);
      this.at = Math.max(0, Math.min(this.total - 1, this.at));
      this.#keep(part, page.items, anew);
      this.failure = null;
    } catch (thrown) {
      if (turn === this.#turn) this.failure = asFailure(thrown);
    } finally {
      this.#asked.delete(part);
      if (turn === this.#turn) this.loading = false;
    }
  }

  #keep(part: number, items: T[], anew: boolean): void {
    const parts = new Map(anew ? [] : this.#parts);
    parts.set(part, items);
    // The oldest go, but never the one of the row that is looked at.
    for (const old of parts.keys()) {
      if (parts.size <= PARTS_KEPT) break;
      if (old !== part && old !== Math.floor(this.at / PART)) parts.delete(old);
    }
    this.#parts = parts;
  }
}

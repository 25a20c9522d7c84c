// Something that is read from the host: what was read last stays while it is read again, and when that fails.
import { asFailure, type Failure } from "../host/host";

export class Loaded<T> {
  value = $state.raw<T | null>(null);
  failure = $state.raw<Failure | null>(null);
  loading = $state(false);
  /** When `value` was read, by this computer's clock. */
  at = $state(0);

  #turn = 0;
  readonly #read: () => Promise<T>;

  constructor(read: () => Promise<T>) {
    this.#read = read;
  }

  /** Reads anew. An answer that was overtaken by a later question is not shown. */
  async load(): Promise<void> {
    const turn = ++this.#turn;
    this.loading = true;
    try {
      const value = await this.#read();
      if (turn !== this.#turn) return;
      this.value = value;
      this.failure = null;
      this.at = Date.now();
    } catch (thrown) {
      if (turn === this.#turn) this.failure = asFailure(thrown);
    } finally {
      if (turn === this.#turn) this.loading = false;
    }
  }

  /** Forgets what was read: it is about something else now. */
  clear(): void {
    this.#turn += 1;
    this.value = null;
    this.failure = null;
    this.loading = false;
  }
}

/** Something that is done once at a time, and how it went. */
export class Doing {
  busy = $state(false);
  failure = $state.raw<Failure | null>(null);

  /** Does it; returns whether it was done. */
  async run(act: () => Promise<unknown>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.failure = null;
    try {
      await act();
      return true;
    } catch (thrown) {
      this.failure = asFailure(thrown);
      return false;
    } finally {
      this.busy = false;
    }
  }
}

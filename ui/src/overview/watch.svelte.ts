// What the page knows of the node, kept fresh while it is looked at.
import { asFailure, type Host } from "../host/host";
import type { Failure, RunView, StatusView } from "../host/types";

const READ_EVERY = 10_000;
const CLOCK_EVERY = 1_000;

export class Watch {
  /** The last status that could be read; it stays when reading fails, with its age. */
  status = $state.raw<StatusView | null>(null);
  /** Why the last reading failed. */
  failure = $state.raw<Failure | null>(null);
  /** What the last "Sync now" did. */
  run = $state.raw<RunView | null>(null);
  runFailure = $state.raw<Failure | null>(null);
  syncing = $state(false);
  reading = $state(false);
  /** This computer's clock, for ages. */
  now = $state(Date.now());

  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Reads at once, and then every few seconds while the window is shown. Returns what ends it. */
  start(): () => void {
    void this.read();
    const clock = setInterval(() => (this.now = Date.now()), CLOCK_EVERY);
    const reads = setInterval(() => {
      if (document.visibilityState === "visible" && !this.syncing) void this.read();
    }, READ_EVERY);
    const shown = () => {
      if (document.visibilityState === "visible") void this.read();
    };
    document.addEventListener("visibilitychange", shown);
    return () => {
      clearInterval(clock);
      clearInterval(reads);
      document.removeEventListener("visibilitychange", shown);
    };
  }

  async read(): Promise<void> {
    if (this.reading) return;
    this.reading = true;
    try {
      this.status = await this.#host.status();
      this.failure = null;
    } catch (thrown) {
      this.failure = asFailure(thrown);
    } finally {
      this.now = Date.now();
      this.reading = false;
    }
  }

  async sync(): Promise<void> {
    if (this.syncing) return;
    this.syncing = true;
    this.run = null;
    this.runFailure = null;
    try {
      this.run = await this.#host.syncNow({ peer: null });
    } catch (thrown) {
      this.runFailure = asFailure(thrown);
    } finally {
      this.syncing = false;
      await this.read();
    }
  }

  /** Puts away what the last run said. */
  dismissRun(): void {
    this.run = null;
    this.runFailure = null;
  }
}

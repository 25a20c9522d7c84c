// What the page knows of the node, kept fresh while it is looked at.
import {
  asFailure,
  type Failure,
  type Host,
  type Progress,
  type RunView,
  type StatusView,
} from "../host/host";

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
  /** What the node is at, if it says so. */
  progress = $state.raw<Progress | null>(null);
  /** Moves whenever something has changed in the node. */
  changes = $state(0);
  /** This computer's clock, for ages. */
  now = $state(Date.now());

  /** There is somebody to sync with, and no sync runs. */
  get canSync(): boolean {
    return this.status !== null && this.status.state !== "setup" && !this.syncing;
  }

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
    const deaf = this.#host.listen((event) => {
      if (event.kind === "changed" || event.kind === "ran") this.changed();
      if (event.kind === "progress") this.progress = event.progress;
      if (event.kind === "ran") this.progress = null;
    });
    return () => {
      clearInterval(clock);
      clearInterval(reads);
      document.removeEventListener("visibilitychange", shown);
      deaf();
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

  /** Something was done: what is shown is read again. */
  changed(): void {
    this.changes += 1;
    void this.read();
  }

  async sync(peer: string | null = null): Promise<void> {
    if (this.syncing) return;
    this.syncing = true;
    this.run = null;
    this.runFailure = null;
    try {
      this.run = await this.#host.syncNow({ peer });
    } catch (thrown) {
      this.runFailure = asFailure(thrown);
    } finally {
      this.syncing = false;
      this.progress = null;
      this.changes += 1;
      await this.read();
    }
  }

  async stop(): Promise<void> {
    try {
      await this.#host.stopSync();
    } catch (thrown) {
      this.runFailure = asFailure(thrown);
    }
  }

  /** Puts away what the last run said. */
  dismissRun(): void {
    this.run = null;
    this.runFailure = null;
  }
}

// What the screens share: the host, what is known of the node, which screen is open and why.
import { getContext, setContext } from "svelte";
import { Drafts } from "../conflicts/drafts.svelte";
import type { Host, RowName, RunEnd, Screen } from "../host/host";
import { Watch } from "./watch.svelte";

/** What a screen is opened for. Each takes what concerns it. */
export interface Visit {
  peer?: string;
  /** `2026-03-14` */
  day?: string;
  result?: RunEnd;
  row?: RowName;
  /** `held`, `auto`, `reviewed`, `quarantine` under Conflicts; a section under Settings. */
  tab?: string;
  /** The screen does at once what it is for: compares, makes the plan anew. */
  now?: boolean;
}

/** What can be done for a whole database. */
export type Care = "doctor" | "backup" | "migrate" | "restored" | "detach";

export class Console {
  readonly host: Host;
  readonly watch: Watch;
  /** Decisions that are not applied yet: a look at another screen loses none. */
  readonly drafts = new Drafts();
  screen = $state<Screen>("overview");
  visit = $state.raw<Visit>({});
  /** What is being done for a database, over the screen. */
  caring = $state.raw<{ database: string; what: Care } | null>(null);
  /** What is being said of a row, over the screen: the row may go from it meanwhile. */
  saying = $state.raw<{ row: RowName; what: "same" | "apart" } | null>(null);
  /** Counts the visits: a screen that is opened again starts anew. */
  visits = $state(0);

  constructor(host: Host) {
    this.host = host;
    this.watch = new Watch(host);
  }

  /** Opens the dialog for it. */
  care(what: Care, database: string): void {
    this.caring = { database, what };
  }

  /** Opens the dialog in which a person says which rows are one. */
  say(what: "same" | "apart", row: RowName): void {
    this.saying = { row, what };
  }

  open(screen: Screen, visit: Visit = {}): void {
    this.screen = screen;
    this.visit = visit;
    this.visits += 1;
  }
}

const KEY = Symbol("console");

export function provideConsole(console: Console): Console {
  return setContext(KEY, console);
}

export function useConsole(): Console {
  return getContext<Console>(KEY);
}

// All that the page knows of the world outside. It has two makes: `real`, the only importer of the desktop
// shell's library, and `scripted`, for tests and for designing.
//
// Every call is one command of the shell, of the same name in snake_case, which takes what is asked as one argument
// named `ask`. Every call rejects with a Failure. A call that decides or writes names what it means by a plan, an id,
// a column and a side, never by a value of a row.
import type {
  AlikeView,
  Attached,
  BalanceView,
  Choice,
  ChosenFile,
  CleanupView,
  ColumnDiff,
  ComparedRow,
  CompareView,
  ConflictPage,
  ConflictState,
  ConflictView,
  Decided,
  Decision,
  Difference,
  Direction,
  Failure,
  Filter,
  FoundRow,
  Guarded,
  HeldRow,
  HistoryView,
  HoldReason,
  HostEvent,
  Inspection,
  Invited,
  InviteView,
  Operation,
  Page,
  PairAsk,
  PairPreview,
  PauseFor,
  PeerSettings,
  PendingRow,
  PlanRow,
  PlanView,
  Rate,
  Retried,
  RowName,
  RunDetails,
  RunEnd,
  RunRow,
  RunView,
  Setting,
  Share,
  Side,
  StatusView,
  TableConfig,
  TableView,
  VerifyView,
} from "./types";

export * from "./types";

/** Which part of a list; `limit` is at most 200. */
export interface Span {
  offset: number;
  limit: number;
}

/** Whether values of columns that look secret come too. Only when a person asked for it. */
export interface CellReveal {
  reveal: boolean;
}

/** Which runs; null: any. */
export interface RunFilter {
  peer: string | null;
  /** `2026-03-14`, local to this computer. */
  day: string | null;
  result: RunEnd | null;
}

export interface Host {
  /** Tells of what happens without being asked. Returns what ends it. */
  listen(heard: (event: HostEvent) => void): () => void;

  // Overview
  /** Everything at a glance. */
  status(): Promise<StatusView>;
  /** One session with that peer, or with every peer. A peer that failed is an entry with an error. */
  syncNow(ask: { peer: string | null }): Promise<RunView>;
  /** The session that runs ends after the batch it is in; what is committed stays. */
  stopSync(): Promise<void>;
  /** Where every value is: the evidence of "Values lost". Counts as kept, without reading the tables again. */
  balance(): Promise<BalanceView>;
  /**
   * As `lockstep verify`: reads the rows again, counts the balance anew, and compares with that peer, or with all. A peer
   * that can't be asked is an entry with an error.
   */
  verify(ask: { peer: string | null }): Promise<VerifyView>;
  /** Success per peer and day of the last days, oldest first; days without a run are left out. */
  rates(ask: { days: number }): Promise<Rate[]>;
  /** Background sync rests. */
  pause(ask: { for: PauseFor }): Promise<void>;
  resume(): Promise<void>;

  // Pending
  /** What a sync with that peer would do now. Asks the peer; `unreachable` when it is away. Changes nothing. */
  plan(ask: { peer: string }): Promise<PlanView>;
  /** The plan's rows. `plan_moved` when the node no longer has that plan. */
  planRows(
    ask: {
      peer: string;
      plan: string;
      direction: Direction;
      operation: Operation | null;
      filter: Filter;
    } & Span,
  ): Promise<Page<PlanRow>>;
  /** One change of the plan, column by column, changed ones first. */
  planRow(ask: { peer: string; plan: string; id: string } & CellReveal): Promise<ColumnDiff[]>;
  /** Applies exactly that plan or nothing (`plan_moved`). What is not chosen is held as under `review`. */
  applyPlan(ask: { peer: string; plan: string; choice: Choice }): Promise<RunView>;
  /** What peers lack, as known here; for when they can't be asked. */
  pending(ask: { peer: string | null; filter: Filter } & Span): Promise<Page<PendingRow>>;
  /** What the delete guard holds. */
  guarded(): Promise<Guarded[]>;
  /** The rows of one of these sets. */
  guardedRows(ask: { id: string } & Span): Promise<Page<RowName>>;
  /** Lets exactly these deletes through. */
  allowDeletes(ask: { id: string }): Promise<void>;

  // Conflicts and quarantine
  conflicts(ask: { state: ConflictState; filter: Filter } & Span): Promise<ConflictPage>;
  conflict(ask: { id: string } & CellReveal): Promise<ConflictView>;
  /** Settles these, each as a new write. `anyway`: also where the row has changed since. */
  decide(ask: { decisions: Decision[]; anyway: boolean }): Promise<Decided>;
  /** What keeping that side in all conflicts like this one would do. Changes nothing. */
  alike(ask: { id: string; side: Side } & CellReveal): Promise<AlikeView>;
  /** Does it, to exactly that set (`plan_moved`). */
  decideAlike(ask: { id: string; side: Side; plan: string }): Promise<Decided>;
  /** Takes a decision back, as a new write of what was shown before it. `row_changed` unless `anyway`. */
  undo(ask: { id: string; anyway: boolean }): Promise<Decided>;
  /** Marks as looked at; null: all that were decided automatically. Returns how many. */
  markReviewed(ask: { ids: string[] | null }): Promise<string>;
  quarantine(ask: { reason: HoldReason | null; filter: Filter } & Span): Promise<Page<HeldRow>>;
  /** What a held change would do, column by column. */
  heldRow(ask: { id: string } & CellReveal): Promise<ColumnDiff[]>;
  /** Tries one again, or all. */
  retryHeld(ask: { id: string | null }): Promise<Retried>;
  /** Lets one through. */
  allowHeld(ask: { id: string }): Promise<Retried>;

  // Runs
  runs(ask: RunFilter & Span): Promise<Page<RunRow>>;
  run(ask: { id: string }): Promise<RunDetails>;
  /** The run and the node's state as text for whoever is asked for help. No value of a row, no secret. */
  diagnostics(ask: { id: string }): Promise<string>;
  /** Asks where to save, and writes the runs there. Resolves to the file's name, or null if nothing was chosen. */
  exportRuns(ask: RunFilter & { format: "csv" | "jsonl" }): Promise<string | null>;

  // Compare
  /**
   * Holds every table against the peer's, reads the rows of both sides again, and holds those that differ for a person.
   * Asks the peer.
   */
  compare(ask: { peer: string }): Promise<CompareView>;
  /** The rows of a table that the last comparison found to differ in that way; the filter's text looks at keys. */
  compareRows(
    ask: { peer: string; database: string; table: string; difference: Difference; filter: Filter } & Span,
  ): Promise<Page<ComparedRow>>;
  /** One differing row: `before` is what is here, `after` what is there. */
  comparedRow(
    ask: { peer: string; row: RowName; difference: Difference } & CellReveal,
  ): Promise<ColumnDiff[]>;

  // Row history
  /** Rows of a table by key or identity, deleted ones too. `table` of the filter is `DB.TABLE`. */
  findRows(ask: { filter: Filter } & Span & CellReveal): Promise<Page<FoundRow>>;
  /** Every known version of a row, the newest first. */
  history(ask: { row: RowName } & Span & CellReveal): Promise<HistoryView>;
  /**
   * Brings a version back as a new write. `seen`: the latest version that is shown; `row_changed` where there is a later
   * one by now, unless `anyway`.
   */
  restore(ask: { row: RowName; version: string; seen: string | null; anyway: boolean }): Promise<void>;

  // Set-up
  /** Makes this computer's node. */
  init(ask: { name: string }): Promise<void>;
  /** The desktop's own dialog; empty if nothing was chosen. Names are suggested from the files. */
  chooseFiles(): Promise<ChosenFile[]>;
  /** What is in the files. Changes nothing. */
  inspect(ask: { files: ChosenFile[] }): Promise<Inspection>;
  /** Writes a backup, installs capture, enters the rows; tells of its progress. `accepted`: suggestions by id. */
  attach(ask: {
    files: ChosenFile[];
    accepted: string[];
    /** What a person says of single tables, in place of what the configuration says. */
    tables: { database: string; table: string; config: TableConfig }[];
    wal: boolean;
    backup: boolean;
  }): Promise<Attached>;
  /** Removes every trace of Lockstep from the file. */
  detach(ask: { name: string }): Promise<void>;
  /** Makes an invite and, after the desktop's dialog, puts it into a file, as text or as a QR code; null: cancelled. */
  invite(ask: { expires_ms: string; share: Share[]; to: "file" | "picture" }): Promise<Invited | null>;
  /** Reads a pasted invite, without asking anyone. */
  readInvite(ask: { invite: string }): Promise<InviteView>;
  /** What pairing would mean, table by table. Asks the peer; exchanges nothing, uses nothing up. */
  previewPair(ask: PairAsk): Promise<PairPreview>;
  /** Pairs and runs the first sync; tells of its progress. Safe to repeat after an interruption. */
  pair(ask: PairAsk): Promise<RunView>;

  // Settings
  tables(): Promise<TableView[]>;
  /** Says how one table is synced from now on. */
  configure(ask: { database: string; table: string; config: TableConfig }): Promise<void>;
  peers(): Promise<PeerSettings[]>;
  setShare(ask: { peer: string; share: Share }): Promise<void>;
  setPeerReview(ask: { peer: string; review: boolean }): Promise<void>;
  /** Cuts the peer off at once, for good. */
  retirePeer(ask: { peer: string }): Promise<void>;
  settings(): Promise<Setting[]>;
  /** `bad_setting` names what is wrong with the value. */
  setSetting(ask: { key: string; value: string }): Promise<void>;
  /** What retention would remove (`dry_run`), or removes. */
  cleanup(ask: { dry_run: boolean }): Promise<CleanupView>;
  startsAtLogin(): Promise<boolean>;
  setStartAtLogin(ask: { on: boolean }): Promise<void>;
  /** Whether the desktop is dark; null: it doesn't say. */
  desktopIsDark(): Promise<boolean | null>;
}

/** What a rejected promise of a host holds, whatever was thrown. */
export function asFailure(thrown: unknown): Failure {
  if (typeof thrown === "object" && thrown !== null && "code" in thrown && "message" in thrown) {
    const hint = "hint" in thrown && typeof thrown.hint === "string" ? thrown.hint : null;
    return { code: String(thrown.code), message: String(thrown.message), hint };
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "console", message, hint: null };
}

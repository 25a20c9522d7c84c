// All that the page knows of the world outside. It has two makes: `real`, the only importer of the desktop
// shell's library, and `scripted`, for tests and for designing.
//
// Every call is one command of the shell, of the same name in snake_case, which takes what is asked as one argument
// named `ask`. Every call rejects with a Failure. A call that decides or writes names what it means by a plan, an id,
// a column and a side, never by a value of a row.
import type {
  AddressAsk,
  AddressView,
  AlikeAsk,
  AlikeView,
  AllowAsk,
  Allowed,
  ApartAsk,
  ApplyAsk,
  AttachAsk,
  Attached,
  BackupAsk,
  BackupView,
  BalanceView,
  BroughtBack,
  Changes,
  ChosenFile,
  CleanupAsk,
  CleanupView,
  ColumnDiff,
  CompareAsk,
  ComparedRow,
  ComparedRowAsk,
  CompareRowsAsk,
  CompareView,
  ConfigureAsk,
  ConflictAsk,
  ConflictPage,
  ConflictsAsk,
  ConflictView,
  DecideAlikeAsk,
  DecideAsk,
  Decided,
  DeletesAsk,
  DetachAsk,
  DoctorAsk,
  DoctorView,
  ExportAsk,
  Failure,
  FindAsk,
  FoundRow,
  Guarded,
  GuardedRowsAsk,
  HeldRow,
  HeldRowAsk,
  HistoryAsk,
  HistoryView,
  HostEvent,
  InitAsk,
  InspectAsk,
  Inspection,
  InviteAsk,
  Invited,
  InviteView,
  Joined,
  LoginAsk,
  MigrateAsk,
  MigrationView,
  Page,
  PairAsk,
  PairPreview,
  Parted,
  PauseAsk,
  PeerSettings,
  PendingAsk,
  PendingRow,
  PlanAsk,
  PlanRow,
  PlanRowAsk,
  PlanRowsAsk,
  PlanView,
  QuarantineAsk,
  Rate,
  RatesAsk,
  ReadInviteAsk,
  RestoreAsk,
  RestoredAsk,
  RestoredView,
  RetireAsk,
  Retried,
  RetryAsk,
  ReviewAsk,
  ReviewedAsk,
  RowName,
  RunAsk,
  RunDetails,
  RunRow,
  RunsAsk,
  RunView,
  SameAsk,
  Setting,
  SettingAsk,
  ShareAsk,
  StatusView,
  SyncAsk,
  TableView,
  UndoAsk,
  VerifyAsk,
  VerifyView,
} from "./types";

export * from "./types";

/** Which part of a list; `limit` is at most 200. */
export type Span = Pick<RunsAsk, "offset" | "limit">;

/** Which runs; null: any. */
export type RunFilter = Omit<RunsAsk, keyof Span>;

export interface Host {
  /** Tells of what happens without being asked. Returns what ends it. */
  listen(heard: (event: HostEvent) => void): () => void;

  // Overview
  /** Everything at a glance. */
  status(): Promise<StatusView>;
  /** One session with that peer, or with every peer. A peer that failed is an entry with an error. */
  syncNow(ask: SyncAsk): Promise<RunView>;
  /** The session that runs ends after the batch it is in; what is committed stays. */
  stopSync(): Promise<void>;
  /** Where every value is: the evidence of "Values lost". Counts as kept, without reading the tables again. */
  balance(): Promise<BalanceView>;
  /**
   * As `lockstep verify`: reads the rows again, counts the balance anew, and compares with that peer, or with all. A peer
   * that can't be asked is an entry with an error. Tells of its progress.
   */
  verify(ask: VerifyAsk): Promise<VerifyView>;
  /** The comparing or verifying that is under way ends (`stopped`); what it found to differ is held. */
  stopLook(): Promise<void>;
  /** Success per peer and day of the last days, oldest first; days without a run are left out. */
  rates(ask: RatesAsk): Promise<Rate[]>;
  /** Background sync rests. */
  pause(ask: PauseAsk): Promise<void>;
  resume(): Promise<void>;

  // Pending
  /** What a sync with that peer would do now. Asks the peer; `unreachable` when it is away. Changes nothing. */
  plan(ask: PlanAsk): Promise<PlanView>;
  /** The plan's rows. `plan_moved` when the node no longer has that plan. */
  planRows(ask: PlanRowsAsk): Promise<Page<PlanRow>>;
  /** One change of the plan, column by column, changed ones first. */
  planRow(ask: PlanRowAsk): Promise<ColumnDiff[]>;
  /** Applies exactly that plan or nothing (`plan_moved`). What is not chosen is held as under `review`. */
  applyPlan(ask: ApplyAsk): Promise<RunView>;
  /** What peers lack, as known here; for when they can't be asked. */
  pending(ask: PendingAsk): Promise<Page<PendingRow>>;
  /** What the delete guard holds. */
  guarded(): Promise<Guarded[]>;
  /** The rows of one of these sets. */
  guardedRows(ask: GuardedRowsAsk): Promise<Page<RowName>>;
  /** Lets exactly these deletes through, or, with `keep`, has their rows live on every server. */
  decideDeletes(ask: DeletesAsk): Promise<void>;

  // Conflicts and quarantine
  conflicts(ask: ConflictsAsk): Promise<ConflictPage>;
  conflict(ask: ConflictAsk): Promise<ConflictView>;
  /** Settles these, each as a new write. `anyway`: also where the row has changed since. */
  decide(ask: DecideAsk): Promise<Decided>;
  /** What keeping that side in all conflicts like this one would do. Changes nothing. */
  alike(ask: AlikeAsk): Promise<AlikeView>;
  /** Does it, to exactly that set (`plan_moved`). */
  decideAlike(ask: DecideAlikeAsk): Promise<Decided>;
  /** Takes a decision back, as a new write of what was shown before it. `row_changed` unless `anyway`. */
  undo(ask: UndoAsk): Promise<Decided>;
  /** Marks as looked at; null: all that were decided automatically. Returns how many. */
  markReviewed(ask: ReviewedAsk): Promise<string>;
  quarantine(ask: QuarantineAsk): Promise<Page<HeldRow>>;
  /** What a held change would do, column by column. */
  heldRow(ask: HeldRowAsk): Promise<ColumnDiff[]>;
  /** Tries one again, or all. */
  retryHeld(ask: RetryAsk): Promise<Retried>;
  /** Lets these through. What can't pass is told, and keeps back none of the others. */
  allowHeld(ask: AllowAsk): Promise<Allowed>;

  // Runs
  runs(ask: RunsAsk): Promise<Page<RunRow>>;
  run(ask: RunAsk): Promise<RunDetails>;
  /** The run and the node's state as text for whoever is asked for help. No value of a row, no secret. */
  diagnostics(ask: RunAsk): Promise<string>;
  /** Asks where to save, and writes the runs there. Resolves to the file's name, or null if nothing was chosen. */
  exportRuns(ask: ExportAsk): Promise<string | null>;

  // Compare
  /**
   * Holds every table against the peer's, reads the rows of both sides again, and holds those that differ for a person.
   * Asks the peer; tells of its progress.
   */
  compare(ask: CompareAsk): Promise<CompareView>;
  /** The rows of a table that the last comparison found to differ in that way; the filter's text looks at keys. */
  compareRows(ask: CompareRowsAsk): Promise<Page<ComparedRow>>;
  /** One differing row: `before` is what is here, `after` what is there. */
  comparedRow(ask: ComparedRowAsk): Promise<ColumnDiff[]>;

  // Row history
  /** Rows of a table by key or identity, deleted ones too. `table` of the filter is `DB.TABLE`. */
  findRows(ask: FindAsk): Promise<Page<FoundRow>>;
  /** Every known version of a row, the newest first. */
  history(ask: HistoryAsk): Promise<HistoryView>;
  /**
   * Brings a version back as a new write. `seen`: the latest version that is shown; `row_changed` where there is a later
   * one by now, unless `anyway`. `children`: with the rows that were deleted with it.
   */
  restore(ask: RestoreAsk): Promise<BroughtBack>;
  /** Says that two rows are one, on every server. */
  same(ask: SameAsk): Promise<Joined>;
  /** Takes a row apart that was made one of several, on every server. */
  apart(ask: ApartAsk): Promise<Parted>;

  // Set-up
  /** Makes this computer's node. */
  init(ask: InitAsk): Promise<void>;
  /** The desktop's own dialog; empty if nothing was chosen. Names are suggested from the files. */
  chooseFiles(): Promise<ChosenFile[]>;
  /** What is in the files. Changes nothing. */
  inspect(ask: InspectAsk): Promise<Inspection>;
  /** Writes a backup, installs capture, enters the rows; tells of its progress. `accepted`: suggestions by id. */
  attach(ask: AttachAsk): Promise<Attached>;
  /** Removes every trace of Lockstep from the file. */
  detach(ask: DetachAsk): Promise<void>;
  /** Makes an invite and, after the desktop's dialog, puts it into a file, as text or as a QR code; null: cancelled. */
  invite(ask: InviteAsk): Promise<Invited | null>;
  /** Reads a pasted invite, without asking anyone. */
  readInvite(ask: ReadInviteAsk): Promise<InviteView>;
  /** What pairing would mean, table by table. Asks the peer; exchanges nothing, uses nothing up. */
  previewPair(ask: PairAsk): Promise<PairPreview>;
  /** Pairs and runs the first sync; tells of its progress. Safe to repeat after an interruption. */
  pair(ask: PairAsk): Promise<RunView>;

  // Care for whole databases
  /** Looks databases over, row by row, and puts right what is wrong. */
  doctor(ask: DoctorAsk): Promise<DoctorView[]>;
  /** A consistent copy, after the desktop's dialog; null: cancelled. */
  backup(ask: BackupAsk): Promise<BackupView | null>;
  /** The desktop's own dialog for a folder; null: cancelled. */
  chooseFolder(): Promise<string | null>;
  /** Runs the application's migration, after a person agreed to it in the desktop's dialog; null: cancelled. */
  migrate(ask: MigrateAsk): Promise<MigrationView | null>;
  /** Says what a restored or copied file is to mean, and syncs. */
  restored(ask: RestoredAsk): Promise<RestoredView>;

  // Settings
  /** All tables of the attached databases, those too that are not synced. */
  tables(): Promise<TableView[]>;
  /** Says how one table is synced from now on. */
  configure(ask: ConfigureAsk): Promise<void>;
  /** Syncs a table from now on that was left out. */
  include(ask: ConfigureAsk): Promise<void>;
  peers(): Promise<PeerSettings[]>;
  /** Changes one line of what is shared. Resolves to what to look at. */
  setShare(ask: ShareAsk): Promise<string[]>;
  setPeerReview(ask: ReviewAsk): Promise<void>;
  /** Cuts the peer off at once, for good. */
  retirePeer(ask: RetireAsk): Promise<void>;
  settings(): Promise<Setting[]>;
  /** `bad_setting` names what is wrong with the value. */
  setSetting(ask: SettingAsk): Promise<void>;
  /** What retention would remove (`dry_run`), or removes. */
  cleanup(ask: CleanupAsk): Promise<CleanupView>;
  /** Where this node can be reached; null: it has never listened. */
  address(): Promise<AddressView | null>;
  setAddress(ask: AddressAsk): Promise<void>;
  startsAtLogin(): Promise<boolean>;
  setStartAtLogin(ask: LoginAsk): Promise<void>;
  /** Whether the desktop is dark; null: it doesn't say. */
  desktopIsDark(): Promise<boolean | null>;
  /** Ends the console. What is under way is finished first. */
  quit(): Promise<void>;
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

// The shapes that cross between the page and the node, screen by screen, in the field names of the command's JSON.
//
// What always holds: a Count and a Millis are text, since JavaScript loses digits past 2^53; a value of a row comes
// as a Cell, already text, and never goes back; a row is named by database, table and key; a list comes in pages of
// at most 200 with the whole count. Types that Rust writes already are in types.ts.
import type {
  Cell,
  ConflictColumn,
  ConflictSide,
  ConflictState,
  Count,
  Failure,
  Millis,
  Operation,
  PairTable,
  RowName,
  Side,
} from "./types";

// ---- Values, rows, pages -------------------------------------------------------------------------------------

/** Which part of a list; `limit` is at most 200. */
export interface Span {
  offset: number;
  limit: number;
}

/** A part of a list, in the node's order. */
export interface Page<T> {
  items: T[];
  /** How many there are in all, as filtered. */
  total: Count;
}

/** Whether values of columns that look secret come too. Only when a person asked for it. */
export interface CellReveal {
  reveal: boolean;
}

/** What a filter box holds: matches names of tables, keys and columns, never values. Empty: everything. */
export interface Filter {
  text: string;
  /** `DB` or `DB.TABLE`; null: all. */
  table: string | null;
}

/** One column of a row, before and after. A side that has no such row or column is null. */
export interface ColumnDiff {
  column: string;
  before: Cell | null;
  after: Cell | null;
  changed: boolean;
}

// ---- Overview ------------------------------------------------------------------------------------------------

/** Where every value is that was ever written or received. */
export interface Balance {
  visible: Count;
  superseded: Count;
  archived: Count;
  deleted: Count;
  held: Count;
  /** All that was written or received, counted apart from the accounts. */
  total: Count;
}

export interface DatabaseBalance {
  database: string;
  balance: Balance;
}

/** The evidence behind "Values lost". */
export interface BalanceView {
  at: Millis;
  databases: DatabaseBalance[];
  lost: Count;
  /** Why `lost` is not zero, or why it could not be counted. */
  because: string | null;
}

// ---- Pending -------------------------------------------------------------------------------------------------

export type Direction = "incoming" | "outgoing";

export interface TableChanges {
  database: string;
  table: string;
  inserts: Count;
  updates: Count;
  deletes: Count;
  conflicts: Count;
  id_moves: Count;
}

export interface Changes {
  inserts: Count;
  updates: Count;
  deletes: Count;
  conflicts: Count;
  id_moves: Count;
  /** So many changes that they were counted, not looked at one by one. */
  estimated: boolean;
  tables: TableChanges[];
}

/** What a sync with one peer would do now. */
export interface PlanView {
  peer: string;
  /** The plan's hash: what is applied is this or nothing. */
  plan: string;
  at: Millis;
  incoming: Changes;
  outgoing: Changes;
  /** The plan deletes so much that a person has to see it again. */
  many_deletes: boolean;
  /** Tables that are held because the two sides' schemas or settings differ, each with a sentence. */
  mismatches: Mismatch[];
}

/** A table that two nodes have differently. */
export interface Mismatch {
  database: string;
  table: string;
  kind: "table_missing" | "column_missing" | "config_differs";
  /** What differs and where, with the names of the servers. */
  says: string;
}

export interface PlanRow {
  /** Names the change inside its plan. */
  id: string;
  row: RowName;
  operation: Operation;
  /** Who wrote it last, by server name; null: not known here. */
  from: string | null;
  /** Who gets it. */
  to: string;
  columns: string[];
  /** When it was written; null: not known here. */
  at: Millis | null;
  conflict: boolean;
  /** It would wait, for this reason. */
  held: HoldReason | null;
  /** The local id it gets instead of the one of its birthplace. */
  moves_to: string | null;
}

/** Which changes of a plan are applied; the others are held as under `review`. */
export type Choice = { kind: "all" } | { kind: "all_but"; ids: string[] } | { kind: "only"; ids: string[] };

// ---- Conflicts and quarantine --------------------------------------------------------------------------------

export type ConflictKind =
  | "update_update"
  | "update_delete"
  | "delete_update"
  | "insert_insert"
  | "unique"
  | "missing_parent"
  | "parent_deleted"
  | "constraint"
  | "table_missing"
  | "column_missing"
  | "config_differs"
  | "clock"
  | "id_collision"
  | "difference";

export interface ConflictRow {
  id: string;
  kind: ConflictKind;
  row: RowName;
  /** The servers that wrote A and B. */
  a: string;
  b: string;
  columns: string[];
  state: ConflictState;
  /** When it was found. */
  at: Millis;
  /** A decision can be taken back. */
  undoable: boolean;
}

export interface ConflictPage extends Page<ConflictRow> {
  /** How many each tab has, unfiltered. */
  counts: Record<ConflictState, Count>;
}

export interface ConflictView {
  conflict: ConflictRow;
  /** One sentence: why it is a conflict, and why A stands, with the servers' names. */
  why: string;
  a: ConflictSide;
  b: ConflictSide;
  /** All columns of the row, the differing first. */
  columns: ConflictColumn[];
  /** The row has been written since the conflict was found or decided: deciding would replace that. */
  changed_since: boolean;
  /** Undecided conflicts of the same kind, table and columns, this one included. */
  alike: Count;
}

/** A decision: a side for the whole row, or for each differing column. It names sides, never values. */
export interface Decision {
  id: string;
  keep: { kind: "side"; side: Side } | { kind: "columns"; columns: { column: string; side: Side }[] };
}

/** What one decision for all conflicts of a kind would do. */
export interface AlikeView {
  /** Names this very set: it is decided as shown, or nothing is. */
  plan: string;
  conflicts: Count;
  /** The first 200 of them: what is shown now, and what would be. */
  rows: { id: string; row: RowName; columns: ColumnDiff[] }[];
}

export type HoldReason =
  | "review"
  | "guard"
  | "unique"
  | "identity"
  | "missing_parent"
  | "parent_deleted"
  | "constraint"
  | "table_missing"
  | "column_missing"
  | "config_differs"
  | "clock"
  | "difference"
  | "poisoned";

export interface HeldRow {
  id: string;
  reason: HoldReason;
  row: RowName;
  columns: string[];
  /** The server that wrote it. */
  from: string;
  at: Millis;
  /** One sentence: what it waits for and what a person can do. */
  says: string;
  /** How many other held changes wait for this one. */
  dependents: Count;
  /** A person may let it through as it is. */
  allowable: boolean;
}

// ---- Runs ----------------------------------------------------------------------------------------------------

export type RunTrigger = "person" | "pair" | "change" | "news" | "retry" | "start" | "daily" | "peer";
export type RunResult = "verified" | "partial" | "failed";

export interface RunRow {
  id: string;
  peer: string;
  trigger: RunTrigger;
  started_at: Millis;
  duration_ms: Millis;
  sent: Count;
  received: Count;
  applied: Count;
  conflicts: Count;
  held: Count;
  id_moves: Count;
  rounds: Count;
  bytes_sent: Count;
  bytes_received: Count;
  result: RunResult;
  error: Failure | null;
}

/** What went otherwise than it should: which row or table, why, and what to do. Never a value. */
export interface RunIssue {
  row: RowName | null;
  reason: string;
  todo: string;
}

export interface RunDetails {
  run: RunRow;
  /** How each table ended: `equal`, `differs`, `moving`, `not_compared`. */
  tables: { database: string; table: string; state: "equal" | "differs" | "moving" | "not_compared" }[];
  issues: RunIssue[];
}

export interface RunFilter {
  peer: string | null;
  /** `2026-03-14`, local to this computer. */
  day: string | null;
  result: RunResult | null;
}

// ---- Compare -------------------------------------------------------------------------------------------------

export interface TableDigest {
  rows: Count;
  digest: string;
}

export interface ComparedTable {
  database: string;
  table: string;
  here: TableDigest | null;
  there: TableDigest | null;
  /** `moving`: written to while it was compared. `mismatch`: the schemas differ. `not_shared`: nothing to compare. */
  state: "equal" | "different" | "moving" | "mismatch" | "not_shared";
  /** One sentence, for all but `equal`. */
  because: string | null;
  only_here: Count;
  only_there: Count;
  different: Count;
}

export interface CompareView {
  peer: string;
  at: Millis;
  equal: boolean;
  tables: ComparedTable[];
}

export type Difference = "only_here" | "only_there" | "different";

export interface ComparedRow {
  /** The row's name here; where it is only there, by its key there. */
  row: RowName;
  /** Its key there, where it has another. */
  key_there: string | null;
  columns: string[];
}

// ---- Row history ---------------------------------------------------------------------------------------------

export interface FoundRow {
  row: RowName;
  /** What the row's identity columns hold, to recognise it by. */
  identity: { column: string; value: Cell }[];
  lives: boolean;
}

/** How a version ended: it shows, a later write knew and replaced it, it lost a conflict, was deleted, is held. */
export type VersionState = "visible" | "superseded" | "lost" | "deleted" | "held";

export interface Version {
  id: string;
  at: Millis;
  /** The server that wrote it. */
  node: string;
  operation: Operation;
  state: VersionState;
  /** Who ended it, and when. */
  ended_by: string | null;
  ended_at: Millis | null;
  /** What this write set. */
  columns: { column: string; value: Cell }[];
  /** Bringing it back would change what is shown. */
  restorable: boolean;
}

export interface HistoryView extends Page<Version> {
  row: RowName;
  lives: boolean;
}

// ---- Set-up and settings -------------------------------------------------------------------------------------

/** A thing that a table's configuration might say, with what speaks for it. */
export interface Suggestion {
  id: string;
  database: string;
  table: string;
  kind: "identity" | "reference" | "exclude" | "review" | "modified";
  /** What would be written: `team_number, scouting_team_number`, `scout_id = users.user`. */
  what: string;
  /** One sentence with counts: how many rows speak for it and how many against. */
  evidence: string;
  /** Lockstep would do it unless told otherwise. */
  advised: boolean;
}

/** One table, and how it is synced. */
export interface TableView {
  database: string;
  table: string;
  rows: Count;
  synced: boolean;
  /** Why it can't be synced at all; null: it can. */
  unsyncable: string | null;
  columns: string[];
  surrogate: string | null;
  config: TableConfig;
  warnings: string[];
}

/** What a person may say about a table; as in `lockstep.toml`. */
export interface TableConfig {
  exclude: boolean;
  /** Empty: the UNIQUE constraints, else the natural key. */
  identity: string[];
  references: { column: string; target: string }[];
  /** `newest`, `review`, `prefer:<node>`. */
  policy: string;
  columns: { column: string; policy: string }[];
  merge: "column" | "row";
  history: boolean;
  modified: string | null;
  guard: { rows: Count; share: string };
}

/** What is in the chosen files; nothing was changed. */
export interface Inspection {
  tables: TableView[];
  suggestions: Suggestion[];
  /** `wal` is advised: the files that are not, by name. */
  not_wal: string[];
  warnings: string[];
}

/** What attaching did. */
export interface Attached {
  databases: { name: string; file: string; backup: string | null; tables: Count; rows: Count }[];
}

/** What a table is shared for, with one peer. */
export type ShareDirection = "send" | "receive" | "both" | "none";
export interface Share {
  /** `DB` or `DB.TABLE`. */
  what: string;
  direction: ShareDirection;
}

/** An invite is a secret: it goes to the clipboard or into a file (0600), not into the page. */
export interface Invited {
  expires_at: Millis;
  address: string;
  /** Where it was saved, if it was. */
  file: string | null;
}

/** What a pasted invite says of who made it. */
export interface InviteView {
  node: string;
  address: string;
  /** Null: the invite does not say. */
  expires_at: Millis | null;
}

export interface PairAsk {
  /** As pasted. It goes one way. */
  invite: string;
  /** What this node shall call the peer. */
  as: string;
  share: Share[];
  /** The files began as copies of each other, or apart; null: as found. */
  origin: "copies" | "separate" | null;
  /** For rows that differ and of which nobody knows which is right. */
  prefer: "here" | "there" | "review" | null;
}

export interface PairPreview {
  peer: string;
  tables: PairTable[];
  mismatches: Mismatch[];
  suggestions: Suggestion[];
  /** Columns that look secret and would be shared: `users.user.password_hash`. */
  sensitive: string[];
}

export interface PeerSettings {
  name: string;
  node: string;
  address: string | null;
  paired_at: Millis;
  /** Background runs only fetch; a person applies. */
  review: boolean;
  shares: Share[];
}

/** One thing that `lockstep settings` can set. */
export interface Setting {
  key: string;
  /** Where it stands on the screen: `schedule`, `guard`, `retention`, `notifications`, `agent`. */
  group: string;
  /** In plain words, and what it does in one sentence. */
  title: string;
  says: string;
  kind: "boolean" | "count" | "duration" | "share" | "choice" | "text";
  /** As the command takes and prints it. */
  value: string;
  usual: string;
  choices: string[];
}

export interface CleanupView {
  removed: { kind: string; rows: Count; bytes: Count }[];
}

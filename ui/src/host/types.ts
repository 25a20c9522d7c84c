// Written by `make types` from src-tauri/src; a test fails when it is out of date. Not edited by hand.

/**
 * How many of something.
 */
export type Count = string;

/**
 * A moment, or a length of time: milliseconds.
 */
export type Millis = string;

/**
 * The states, worst first.
 */
export type State = "setup" | "error" | "conflict" | "offline" | "paused" | "syncing" | "pending" | "stale" | "fine";

/**
 * This node at a glance.
 */
export type StatusView = { 
/**
 * What this node calls itself.
 */
node: string, 
/**
 * When this was read.
 */
at: Millis, 
/**
 * What it amounts to; the tray shows the same.
 */
state: State, 
/**
 * The process that syncs in the background, if one runs.
 */
agent: AgentView | null, 
/**
 * Background sync rests until then.
 */
paused_until: Millis | null, 
/**
 * The files of this node.
 */
databases: Array<DatabaseView>, 
/**
 * The nodes it is paired with.
 */
peers: Array<PeerView>, 
/**
 * Conflicts that nobody has looked at yet.
 */
conflicts_unreviewed: Count, 
/**
 * Values that are in no account. Zero, or something is badly wrong.
 */
values_lost: Count, 
/**
 * Why `values_lost` is not zero, or why it could not be counted.
 */
values_lost_because: string | null, };

/**
 * The process that serves peers and syncs in the background.
 */
export type AgentView = { 
/**
 * The address that peers reach it at.
 */
listening: string, 
/**
 * Since when it runs.
 */
since: Millis, };

/**
 * How the capture of an application's writes is.
 */
export type Capture = { "kind": "ok" } | { "kind": "unknown" } | { "kind": "problem", 
/**
 * What is wrong.
 */
what: string, };

/**
 * One database of this node.
 */
export type DatabaseView = { 
/**
 * The name that paired nodes share.
 */
name: string, 
/**
 * Where it lies on this computer.
 */
file: string, 
/**
 * Living rows of synced tables.
 */
rows: Count, 
/**
 * Rows with a write that some peer lacks.
 */
pending: Count, 
/**
 * Changes received but not applied.
 */
held: Count, 
/**
 * How its capture is.
 */
capture: Capture, };

/**
 * One paired node.
 */
export type PeerView = { 
/**
 * What this node calls it.
 */
name: string, 
/**
 * Where it can be reached; nowhere: it comes by itself.
 */
address: string | null, 
/**
 * Whether it answered the last time.
 */
reachable: boolean, 
/**
 * Its clock less ours.
 */
clock_offset_ms: Millis | null, 
/**
 * When both sides' digests were last found equal.
 */
last_verified_at: Millis | null, 
/**
 * For how long the oldest write that it lacks has been waiting.
 */
lag_ms: Millis | null, 
/**
 * Rows with a write that it lacks.
 */
pending: Count, 
/**
 * Changes that wait there for a person.
 */
held: Count, 
/**
 * How its capture is, as it said itself.
 */
capture: Capture, 
/**
 * When the last session with it ended, whatever the result.
 */
last_run_at: Millis | null, 
/**
 * Why the last session was not verified.
 */
error: Failure | null, };

/**
 * What "Sync now" did.
 */
export type RunView = { 
/**
 * One entry for each peer.
 */
peers: Array<PeerRunView>, };

/**
 * The session with one peer.
 */
export type PeerRunView = { 
/**
 * What this node calls it.
 */
name: string, 
/**
 * Changes that went there.
 */
sent: Count, 
/**
 * Changes that came from there.
 */
received: Count, 
/**
 * Rows that were written here.
 */
applied: Count, 
/**
 * Conflicts found on the way.
 */
conflicts: Count, 
/**
 * Changes that are held now, on either side.
 */
held: Count, 
/**
 * Rows that got another id than at their birthplace, on either side.
 */
id_moves: Count, 
/**
 * Whether both sides' digests are equal.
 */
verified: boolean, 
/**
 * How long it took.
 */
duration_ms: Millis, 
/**
 * Why it did not come to its end.
 */
error: Failure | null, };

/**
 * As `lockstep pause`.
 */
export type PauseFor = "30m" | "1h" | "tomorrow" | "resumed";

/**
 * What happened.
 */
export type HostEvent = { "kind": "changed" } | { "kind": "progress", 
/**
 * How far.
 */
progress: Progress, } | { "kind": "ran", 
/**
 * What came of it.
 */
run: PeerRunView, } | { "kind": "theme", 
/**
 * Is it dark now?
 */
dark: boolean, } | { "kind": "open", 
/**
 * Which.
 */
screen: Screen, };

/**
 * How far something has come.
 */
export type Progress = { 
/**
 * What is done.
 */
task: Task, 
/**
 * What is worked on now: a table, a server.
 */
what: string, 
/**
 * Rows or writes so far.
 */
done: Count, 
/**
 * Of so many; not known yet: null.
 */
total: Count | null, 
/**
 * For so much longer, as far as can be told.
 */
left_ms: Millis | null, };

/**
 * What takes a while.
 */
export type Task = "attach" | "pair" | "sync" | "verify" | "compare";

/**
 * The screens.
 */
export type Screen = "overview" | "pending" | "conflicts" | "runs" | "compare" | "history" | "settings" | "setup";

/**
 * SQLite's storage classes.
 */
export type StorageClass = "null" | "integer" | "real" | "text" | "blob";

/**
 * One value of a row, for showing.
 */
export type Cell = { 
/**
 * How SQLite stores it.
 */
type: StorageClass, 
/**
 * As text: at most 4,000 characters; empty when masked or null.
 */
text: string, 
/**
 * The column looks secret, and revealing was not asked for.
 */
masked: boolean, 
/**
 * The whole value's length in bytes.
 */
bytes: Count, 
/**
 * `text` is only the beginning.
 */
cut: boolean, };

/**
 * Names one row.
 */
export type RowName = { 
/**
 * Logical name.
 */
database: string, 
/**
 * Its table.
 */
table: string, 
/**
 * As the command's KEY, a JSON array where the key is composite. Null: the row has none here.
 */
key: string | null, };

/**
 * One column of the row in conflict.
 */
export type ConflictColumn = { 
/**
 * Its name.
 */
column: string, 
/**
 * The sides differ here.
 */
differs: boolean, 
/**
 * What both had in common.
 */
base: Cell | null, 
/**
 * What A wrote.
 */
a: Cell | null, 
/**
 * What B wrote.
 */
b: Cell | null, 
/**
 * What the row shows now.
 */
now: Cell | null, };

/**
 * A side of a conflict: who wrote it, and when.
 */
export type ConflictSide = { 
/**
 * The server.
 */
node: string, 
/**
 * When it wrote it.
 */
at: Millis | null, 
/**
 * That side deleted the row.
 */
deleted: boolean, };

/**
 * `held`: needs a decision. `auto`: decided by rule, nobody has looked. `reviewed`: looked at, or decided.
 */
export type ConflictState = "held" | "auto" | "reviewed";

/**
 * What came of decisions.
 */
export type Decided = { 
/**
 * The conflicts that are settled now.
 */
decided: Array<string>, 
/**
 * How many rows and columns were written.
 */
written: Count, 
/**
 * Those that were not settled.
 */
refused: Array<Refused>, };

/**
 * A conflict that was not settled, and why. `row_changed` can be decided again with `anyway`.
 */
export type Refused = { 
/**
 * Which.
 */
id: string, 
/**
 * Why.
 */
failure: Failure, };

/**
 * A side.
 */
export type Side = "a" | "b";

/**
 * A set of deletes that the guard holds.
 */
export type Guarded = { 
/**
 * Its id.
 */
id: string, 
/**
 * Logical name.
 */
database: string, 
/**
 * Its table.
 */
table: string, 
/**
 * How many rows would go.
 */
rows: Count, 
/**
 * Of so many.
 */
of: Count, 
/**
 * The servers that deleted them.
 */
from: string, 
/**
 * Since when they wait.
 */
at: Millis, };

/**
 * What trying again did.
 */
export type Retried = { 
/**
 * So many are applied now.
 */
applied: Count, 
/**
 * So many wait still.
 */
held: Count, };

/**
 * What was done to a row.
 */
export type Operation = "insert" | "update" | "delete";

/**
 * A row that some peers lack, as known here without asking them.
 */
export type PendingRow = { 
/**
 * Which row.
 */
row: RowName, 
/**
 * What was done to it.
 */
operation: Operation, 
/**
 * The columns that were written.
 */
columns: Array<string>, 
/**
 * When it was last written.
 */
at: Millis, 
/**
 * The peers that lack it.
 */
peers: Array<string>, };

/**
 * One peer's day. Only verified runs are a success.
 */
export type Rate = { 
/**
 * What this node calls it.
 */
peer: string, 
/**
 * `2026-03-14`, local to this computer.
 */
day: string, 
/**
 * All runs.
 */
runs: Count, 
/**
 * Those that were verified.
 */
verified: Count, 
/**
 * Those that broke off.
 */
failed: Count, 
/**
 * Rows that went and came.
 */
rows: Count, 
/**
 * The runs' mean duration.
 */
duration_ms: Millis, };

/**
 * A file that becomes a database.
 */
export type ChosenFile = { 
/**
 * Logical name, the same on all nodes.
 */
name: string, 
/**
 * Where it lies.
 */
file: string, };

/**
 * First contact of two filled databases, per table.
 */
export type PairTable = { database: string, table: string, same: Count, differing: Count, only_here: Count, only_there: Count, id_taken: Count, 
/**
 * Differing rows of which neither has a time.
 */
undatable: Count, };

/**
 * A failure as a person and the page can use it. Never holds a value of a row.
 */
export type Failure = { 
/**
 * Stable; the page decides by it what to show.
 */
code: string, 
/**
 * One sentence for a person.
 */
message: string, 
/**
 * What to do about it, if anything is known.
 */
hint: string | null, };

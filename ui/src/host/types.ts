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

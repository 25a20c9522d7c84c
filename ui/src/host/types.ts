// Written by `make types` from src-tauri/src; a test fails when it is out of date. Not edited by hand.

/** How many of something. */
export type Count = string;

/** A moment, or a length of time: milliseconds. */
export type Millis = string;

/** The states, worst first. */
export type State = "setup" | "error" | "conflict" | "offline" | "paused" | "syncing" | "pending" | "stale" | "fine";

/** This node at a glance. */
export type StatusView = { 
/** What this node calls itself. */
node: string, 
/** When this was read. */
at: Millis, 
/** What it amounts to; the tray shows the same. */
state: State, 
/** The process that syncs in the background, if one runs. */
agent: AgentView | null, 
/** Background sync rests until then. */
paused_until: Millis | null, 
/** The files of this node. */
databases: Array<DatabaseView>, 
/** The nodes it is paired with. */
peers: Array<PeerView>, 
/** Conflicts that nobody has looked at yet. */
conflicts_unreviewed: Count, 
/** Values that are in no account. Zero, or something is badly wrong. */
values_lost: Count, 
/** Why `values_lost` is not zero, or why it could not be counted. */
values_lost_because: string | null, };

/** The process that serves peers and syncs in the background. */
export type AgentView = { 
/** The address that peers reach it at. */
listening: string, 
/** Since when it runs. */
since: Millis, };

/** How the capture of an application's writes is. */
export type Capture = { "kind": "ok" } | { "kind": "unknown" } | { "kind": "problem", 
/** What is wrong. */
what: string, };

/** One database of this node. */
export type DatabaseView = { 
/** The name that paired nodes share. */
name: string, 
/** Where it lies on this computer. */
file: string, 
/** Living rows of synced tables. */
rows: Count, 
/** Rows with a write that some peer lacks. */
pending: Count, 
/** Changes received but not applied. */
held: Count, 
/** How its capture is. */
capture: Capture, 
/** The file was restored or copied, and nobody has said yet what that is to mean. */
history: BreakView | null, };

/** What breaks a file's history. */
export type BreakKind = "restored" | "copied";

/** A break in the history of a file. */
export type BreakView = { 
/** What happened to it. */
kind: BreakKind, 
/** When that was noticed. */
at: Millis, 
/** The file as it was found, set aside. */
copy: string | null, };

/** One paired node. */
export type PeerView = { 
/** What this node calls it. */
name: string, 
/** Where it can be reached; nowhere: it comes by itself. */
address: string | null, 
/** Whether it answered the last time. */
reachable: boolean, 
/** Its clock less ours. */
clock_offset_ms: Millis | null, 
/** When both sides' digests were last found equal. */
last_verified_at: Millis | null, 
/** For how long the oldest write that it lacks has been waiting. */
lag_ms: Millis | null, 
/** Rows with a write that it lacks. */
pending: Count, 
/** Writes that it had and this node lacked, when it last said where it stands. */
coming: Count, 
/** Changes that wait there for a person. */
held: Count, 
/** How its capture is, as it said itself. */
capture: Capture, 
/** When the last session with it ended, whatever the result. */
last_run_at: Millis | null, 
/** Why the last session was not verified. */
error: Failure | null, 
/** Tables that it has differently, as of the last session. */
unlike: Array<Mismatch>, };

/** What "Sync now" did. */
export type RunView = { 
/** One entry for each peer. */
peers: Array<PeerRunView>, };

/** The session with one peer. */
export type PeerRunView = { 
/** What this node calls it. */
name: string, 
/** Changes that went there. */
sent: Count, 
/** Changes that came from there. */
received: Count, 
/** Rows that were written here. */
applied: Count, 
/** Conflicts found on the way. */
conflicts: Count, 
/** Changes that are held now, on either side. */
held: Count, 
/** Rows that got another id than at their birthplace, on either side. */
id_moves: Count, 
/** Whether both sides' digests are equal. */
verified: boolean, 
/** How long it took. */
duration_ms: Millis, 
/** Why it did not come to its end. */
error: Failure | null, };

/** As `lockstep pause`. */
export type PauseFor = "30m" | "1h" | "tomorrow" | "resumed";

/** What happened. */
export type HostEvent = { "kind": "changed" } | { "kind": "progress", 
/** How far. */
progress: Progress, } | { "kind": "ran", 
/** What came of it. */
run: PeerRunView, } | { "kind": "theme", 
/** Is it dark now? */
dark: boolean, } | { "kind": "open", 
/** Which. */
screen: Screen, };

/** How far something has come. */
export type Progress = { 
/** What is done. */
task: Task, 
/** What is worked on now: a table, a server. */
what: string, 
/** Rows or writes so far. */
done: Count, 
/** Of so many; not known yet: null. */
total: Count | null, 
/** For so much longer, as far as can be told. */
left_ms: Millis | null, };

/** What takes a while. */
export type Task = "attach" | "pair" | "sync" | "verify" | "compare";

/** The screens. */
export type Screen = "overview" | "pending" | "conflicts" | "runs" | "compare" | "history" | "settings" | "setup";

/** SQLite's storage classes. */
export type StorageClass = "null" | "integer" | "real" | "text" | "blob";

/** One value of a row, for showing. */
export type Cell = { 
/** How SQLite stores it. */
type: StorageClass, 
/** As text: at most 4,000 characters; empty when masked or null. */
text: string, 
/** The column looks secret, and revealing was not asked for. */
masked: boolean, 
/** The whole value's length in bytes. */
bytes: Count, 
/** `text` is only the beginning. */
cut: boolean, };

/** Names one row. */
export type RowName = { 
/** Logical name. */
database: string, 
/** Its table. */
table: string, 
/** As the command's KEY, a JSON array where the key is composite. Null: the row has none here. */
key: string | null, };

/** One column of the row in conflict. */
export type ConflictColumn = { 
/** Its name. */
column: string, 
/** The sides differ here. */
differs: boolean, 
/** What both had in common. */
base: Cell | null, 
/** What A wrote. */
a: Cell | null, 
/** What B wrote. */
b: Cell | null, 
/** What the row shows now. */
now: Cell | null, };

/** A side of a conflict: who wrote it, and when. */
export type ConflictSide = { 
/** The server. */
node: string, 
/** When it wrote it. */
at: Millis | null, 
/** That side deleted the row. */
deleted: boolean, };

/** `held`: needs a decision. `auto`: decided by rule, nobody has looked. `reviewed`: looked at, or decided. */
export type ConflictState = "held" | "auto" | "reviewed";

/** What came of decisions. */
export type Decided = { 
/** The conflicts that are settled now. */
decided: Array<string>, 
/** How many rows and columns were written. */
written: Count, 
/** Those that were not settled. */
refused: Array<Refused>, };

/** A conflict that was not settled, and why. `row_changed` can be decided again with `anyway`. */
export type Refused = { 
/** Which. */
id: string, 
/** Why. */
failure: Failure, };

/** A side. */
export type Side = "a" | "b";

/** A set of deletes that the guard holds. */
export type Guarded = { 
/** Its id. */
id: string, 
/** Logical name. */
database: string, 
/** Its table. */
table: string, 
/** How many rows would go. */
rows: Count, 
/** Of so many. */
of: Count, 
/** The servers that deleted them. */
from: string, 
/** Since when they wait. */
at: Millis, };

/** What trying again did. */
export type Retried = { 
/** So many are applied now. */
applied: Count, 
/** So many wait still. */
held: Count, };

/** What letting through did. */
export type Allowed = { 
/** So many passed. */
allowed: Count, 
/** So many wait still, of all that is held. */
held: Count, 
/** What can't pass, and why. */
refused: Array<Refused>, };

/** What was done to a row. */
export type Operation = "insert" | "update" | "delete";

/** A row that some peers lack, as known here without asking them. */
export type PendingRow = { 
/** Which row. */
row: RowName, 
/** What was done to it. */
operation: Operation, 
/** The columns that were written. */
columns: Array<string>, 
/** When it was last written. */
at: Millis, 
/** The peers that lack it. */
peers: Array<string>, };

/** One peer's day. Only verified runs are a success. */
export type Rate = { 
/** What this node calls it. */
peer: string, 
/** `2026-03-14`, local to this computer. */
day: string, 
/** All runs. */
runs: Count, 
/** Those that were verified. */
verified: Count, 
/** Those that broke off. */
failed: Count, 
/** Rows that went and came. */
rows: Count, 
/** The runs' mean duration. */
duration_ms: Millis, };

/** A file that becomes a database. */
export type ChosenFile = { 
/** Logical name, the same on all nodes. */
name: string, 
/** Where it lies. */
file: string, };

/** First contact of two filled databases, per table. */
export type PairTable = { database: string, table: string, same: Count, differing: Count, only_here: Count, only_there: Count, id_taken: Count, 
/** Differing rows of which neither has a time. */
undatable: Count, };

/** One of them: what is shown now, and what would be. */
export type AlikeRow = { 
/** The conflict. */
id: string, 
/** Its row. */
row: RowName, 
/** Its columns. */
columns: Array<ColumnDiff>, };

/** What keeping a side in all conflicts like one would do. */
export type AlikeView = { 
/** Names this very set: it is decided as shown, or nothing is. */
plan: string, 
/** How many there are. */
conflicts: Count, 
/** The first 200 of them. */
rows: Array<AlikeRow>, };

/** A side for one column. */
export type ColumnChoice = { column: string, side: Side, };

/** Some of them, and how many each tab has. */
export type ConflictPage = { 
/** At most 200. */
items: Array<ConflictRow>, 
/** How many there are in all, as filtered. */
total: Count, 
/** How many each tab has, unfiltered. */
counts: Tabs, };

/** One conflict in the list. A is what stands, or under `review` the later write; B is the other. */
export type ConflictRow = { 
/** Its id. */
id: string, 
/** `update_update`, … */
kind: ConflictKind, 
/** Which row. */
row: RowName, 
/** The server that wrote A. */
a: string, 
/** The server that wrote B. */
b: string, 
/** The columns in conflict; empty: the row itself. */
columns: Array<string>, 
/** Where it stands. */
state: ConflictState, 
/** When it was found. */
at: Millis, 
/** A decision can be taken back. */
undoable: boolean, };

/** A conflict with both its sides. */
export type ConflictView = { 
/** As in the list. */
conflict: ConflictRow, 
/** One sentence: why it is one, and what was done. */
why: string, 
/** What stands. */
a: ConflictSide, 
/** The other. */
b: ConflictSide, 
/** All columns of the row, the differing first. */
columns: Array<ConflictColumn>, 
/** The row shows neither side any more: deciding would replace a later write. */
changed_since: boolean, 
/** Undecided conflicts of the same kind, table and columns, this one included. */
alike: Count, };

/** A decision: a side for the whole row, or for each differing column. */
export type Decision = { id: string, keep: Keep, };

/** What is kept of a conflict. */
export type Keep = { "kind": "side", 
/** Which. */
side: Side, } | { "kind": "columns", 
/** Those that differ. */
columns: Array<ColumnChoice>, };

/** How many each tab has. */
export type Tabs = { held: Count, auto: Count, reviewed: Count, };

/** A change that waits. */
export type HeldRow = { 
/** Its id. */
id: string, 
/** Why it waits, in a word. */
reason: HoldReason, 
/** Which row. */
row: RowName, 
/** The columns that wait; empty: the whole row. */
columns: Array<string>, 
/** The server that wrote it. */
from: string, 
/** Since when. */
at: Millis, 
/** One sentence: what it waits for. */
says: string, 
/** How many other held changes wait for this one. */
dependents: Count, 
/** A person may let it through as it is. */
allowable: boolean, };

/** A column and its value. */
export type ColumnValue = { 
/** Its name. */
column: string, 
/** Its value. */
value: Cell, };

/** A row, and what it is recognised by. */
export type FoundRow = { 
/** Which row. */
row: RowName, 
/** What its identity columns hold. */
identity: Array<ColumnValue>, 
/** Is it shown? */
lives: boolean, };

/** A row with its versions, the newest first. */
export type HistoryView = { 
/** Which row. */
row: RowName, 
/** Does it live? */
lives: boolean, 
/** At most 200. */
items: Array<Version>, 
/** How many there are in all. */
total: Count, };

/** What was brought back. */
export type BroughtBack = { 
/** Its key here; null: it can't be shown yet, and waits in the quarantine. */
key: string | null, 
/** Rows that refer to it and came back with it. */
children: Count, };

/** Two rows that are one now. */
export type Joined = { 
/** The row as it goes on. */
kept: RowName, 
/** The key of the row that went; null: they were one already. */
archived: string | null, };

/** A row that was taken apart. */
export type Parted = { 
/** Its parts that are shown here. */
rows: Array<RowName>, 
/** How many of them wait in the quarantine. */
waiting: Count, };

/** What was found in one database. */
export type DoctorView = { 
/** Logical name. */
database: string, 
/** What was not as it should be, in sentences without values. */
findings: Array<string>, 
/** It was put right; true also where nothing was found. */
repaired: boolean, };

/** A copy that was written. */
export type BackupView = { 
/** Where it is. */
file: string, 
/** Of the whole file, hex. */
sha256: string, };

/** How a migration went. */
export type MigrationView = { 
/** The command's exit status; 0: it says that it went well. */
exit: number, 
/** What it did to the schema, and to rows while nothing was captured. */
findings: Array<string>, 
/** The copy that was made before. */
backup: string, 
/** The end of what the command printed. It is kept nowhere. */
printed: string, };

/** What a restored file is to mean. */
export type RestoredMeaning = "rejoin" | "authoritative";

/** What came of it. */
export type RestoredView = { 
/** The file as it was found, set aside. */
copy: string | null, 
/** Rows that were brought back so that the restored state wins. */
inserts: Count, 
/** Rows that were changed for that. */
updates: Count, 
/** Rows that were deleted for that. */
deletes: Count, 
/** The last session with each server. */
run: RunView, };

/** Where this node listens, and where others look for it. */
export type AddressView = { 
/** `host:port` of this computer. */
listens: string, 
/** `host:port` that is told to others; null: nobody can call this node, and it asks others for news. */
told: string | null, 
/** Only programs on this computer reach what is told. */
here_only: boolean, 
/** This console is the agent; otherwise what is changed holds when the agent of this home is started again. */
own: boolean, };

/** What others are told. */
export type Told = { "kind": "found" } | { "kind": "address", 
/** `host:port` */
address: string, } | { "kind": "nowhere" };

/** One write to a row. */
export type Version = { 
/** Its id. */
id: string, 
/** When it was written. */
at: Millis, 
/** The server that wrote it. */
node: string, 
/** What it did. */
operation: Operation, 
/** How it ended. */
state: VersionEnd, 
/** Who ended it. */
ended_by: string | null, 
/** When this node learned of that. */
ended_at: Millis | null, 
/** What it set, as far as that is kept. */
columns: Array<ColumnValue>, 
/** Bringing it back would change what is shown. */
restorable: boolean, };

/** What would change on one side. */
export type Changes = { inserts: Count, updates: Count, deletes: Count, conflicts: Count, held: Count, id_moves: Count, 
/** So many changes that they were counted, not looked at one by one. */
estimated: boolean, tables: Array<TableChanges>, };

/** Which changes of a plan are applied; the others are held as under `review`. */
export type Choice = { "kind": "all" } | { "kind": "all_but", 
/** The changes that are put aside. */
ids: Array<string>, } | { "kind": "only", 
/** The changes that are applied. */
ids: Array<string>, };

/** A table that two nodes have differently. */
export type Mismatch = { 
/** Logical name. */
database: string, 
/** Its table. */
table: string, 
/** In which way. */
kind: MismatchKind, 
/** What differs and where, with the names of the servers. */
says: string, 
/** This node is the one that lacks it: its application's migration has to run. */
here: boolean, };

/** One change of a plan. */
export type PlanRow = { 
/** Names the change inside its plan. */
id: string, 
/** Which row. */
row: RowName, 
/** What happens to it. */
operation: Operation, 
/** Who wrote it last, by server name; null: not known here. */
from: string | null, 
/** Who gets it. */
to: string, 
/** The columns that change. */
columns: Array<string>, 
/** When it was written; null: not known here. */
at: Millis | null, 
/** A conflict would be recorded. */
conflict: boolean, 
/** It would wait, for this reason. */
held: HoldReason | null, 
/** The local id it gets instead of the one of its birthplace. */
moves_to: string | null, };

/** What a sync with one peer would do now. */
export type PlanView = { 
/** What this node calls it. */
peer: string, 
/** The plan's hash: what is applied is this or nothing. */
plan: string, 
/** When it was made. */
at: Millis, 
/** What would change here. */
incoming: Changes, 
/** What would change there. */
outgoing: Changes, 
/** The plan deletes so much that a person has to see it again. */
many_deletes: boolean, 
/** Tables that the two sides have differently. */
mismatches: Array<Mismatch>, };

/** What would change in a table. */
export type TableChanges = { database: string, table: string, inserts: Count, updates: Count, deletes: Count, conflicts: Count, held: Count, id_moves: Count, };

/** One run, in detail. */
export type RunDetails = { 
/** As in the list. */
run: RunRow, 
/** How each table that is shared with that peer ended. */
tables: Array<TableEnded>, 
/** What went otherwise than it should. */
issues: Array<RunIssue>, };

/** What went otherwise than it should: which row or table, why, and what to do. Never a value. */
export type RunIssue = { 
/** Which row; null: a whole table. */
row: RowName | null, 
/** Why. */
reason: string, 
/** What to do. */
todo: string, };

/** How a table ended. */
export type TableEnded = { 
/** Logical name. */
database: string, 
/** Its table. */
table: string, 
/** How. */
state: TableEnd, };

/** One past session. */
export type RunRow = { 
/** Its number here. */
id: string, 
/** What this node calls the peer. */
peer: string, 
/** Who started it. */
trigger: RunTrigger, started_at: Millis, duration_ms: Millis, sent: Count, received: Count, applied: Count, conflicts: Count, held: Count, id_moves: Count, rounds: Count, bytes_sent: Count, bytes_received: Count, 
/** How it ended. */
result: RunEnd, 
/** Why it was not verified. */
error: Failure | null, };

/** What retention removes. */
export type CleanupView = { 
/** One line for each kind. */
removed: Array<Removed>, };

/** A peer, and what is shared with it. */
export type PeerSettings = { 
/** What this node calls it. */
name: string, 
/** Its id. */
node: string, 
/** Where it can be reached; nowhere: it comes by itself. */
address: string | null, 
/** Since when it is paired. */
paired_at: Millis, 
/** Background runs only fetch; a person applies. */
review: boolean, 
/** What is shared with it. */
shares: Array<Share>, };

/** One kind of what goes. */
export type Removed = { 
/** In plain words. */
kind: string, 
/** How many. */
rows: Count, };

/** One thing that `lockstep settings` can set. */
export type Setting = { 
/** `group.name` */
key: string, 
/** Where it stands on the screen. */
group: string, 
/** In plain words. */
title: string, 
/** What it does, in one sentence. */
says: string, 
/** What it may be. */
kind: SettingKind, 
/** As the command takes and prints it. */
value: string, 
/** Where nobody has set it. */
usual: string, 
/** The words that it may be. */
choices: Array<string>, };

/** What attaching did. */
export type Attached = { 
/** One for each file. */
databases: Array<AttachedDatabase>, };

/** A file that is a database now. */
export type AttachedDatabase = { 
/** Logical name. */
name: string, 
/** Where it lies. */
file: string, 
/** The backup that was written first. */
backup: string | null, 
/** How many tables are synced. */
tables: Count, 
/** Their rows. */
rows: Count, };

/** What is in the chosen files; nothing was changed. */
export type Inspection = { 
/** Their tables. */
tables: Array<TableView>, 
/** What could be accepted by a click. */
suggestions: Array<Suggestion>, 
/** Files that are not in write-ahead logging, by name. */
not_wal: Array<string>, 
/** What a person should look at. */
warnings: Array<string>, };

/** What a pasted invite says of who made it. */
export type InviteView = { 
/** The id of the node that made it. */
node: string, 
/** Where it is. */
address: string, 
/** An invite does not say until when it is good. */
expires_at: Millis | null, };

/** An invite that was made; its secret is where it was put, and not here. */
export type Invited = { 
/** Until when it is good. */
expires_at: Millis, 
/** Where the other node will look for this one. */
address: string, 
/** Where it was saved. */
file: string, };

/** With whom and how to pair. No `Debug`: it holds the invite. */
export type PairAsk = { invite: string, as: string, share: Array<Share>, origin: Began | null, prefer: PreferSide | null, };

/** What pairing would mean. */
export type PairPreview = { 
/** What this node will call it. */
peer: string, 
/** What both have. */
tables: Array<PairTable>, 
/** Tables that the two have differently. */
mismatches: Array<Mismatch>, 
/** What could be said of tables in the configuration, held against both sides' rows. */
suggestions: Array<PairSuggestion>, 
/** Columns that look secret and would be shared: `users.user.password_hash`. */
sensitive: Array<string>, };

/** What could be said of a table, and how many rows of both sides speak for it. */
export type PairSuggestion = { 
/** `DB.TABLE` */
table: string, 
/** As `lockstep.toml` says it. */
what: string, 
/** One sentence with counts. */
evidence: string, };

/** One line of what is shared. */
export type Share = { 
/** `DB` or `DB.TABLE`. */
what: string, 
/** Which way. */
direction: ShareDirection, 
/** Columns of the table that go neither way. */
without: Array<string>, };

/** Where every value is that was ever written or received. */
export type Balance = { visible: Count, superseded: Count, archived: Count, deleted: Count, held: Count, 
/** Was in another account until its time of retention was over. */
cleaned: Count, 
/** All that was written or received, counted apart from the accounts. */
total: Count, };

/** The evidence behind "Values lost". */
export type BalanceView = { 
/** When it was counted. */
at: Millis, 
/** Each database. */
databases: Array<DatabaseBalance>, 
/** Values that are in no account. */
lost: Count, 
/** Why `lost` is not zero. */
because: string | null, };

/** How every table stands on this side and on a peer's. */
export type CompareView = { 
/** What this node calls the peer. */
peer: string, 
/** When they were compared. */
at: Millis, 
/** Was every table that both share found equal? */
equal: boolean, 
/** This node's tables. */
tables: Array<ComparedTable>, };

/** A row that differs. */
export type ComparedRow = { 
/** The row's name here; where it is only there, by its key there. */
row: RowName, 
/** Its key there, where it has another. */
key_there: string | null, 
/** The columns that differ; empty: the row is on one side only. */
columns: Array<string>, };

/**
 * `moving`: writes to it are under way. `mismatch`: the two sides are configured differently. `not_shared`: nothing
 * to compare.
 */
export type ComparedState = "equal" | "different" | "moving" | "mismatch" | "not_shared";

/** One table on two sides. */
export type ComparedTable = { 
/** Logical name. */
database: string, 
/** Its table. */
table: string, 
/** This side. */
here: TableDigest, 
/** The other side; null: it does not share the table. */
there: TableDigest | null, 
/** How it stands. */
state: ComparedState, 
/** One sentence, for all but `equal`. */
because: string | null, 
/** Rows that live here only. */
only_here: Count, 
/** Rows that live there only. */
only_there: Count, 
/** Rows that say something else. */
different: Count, };

/** A database's accounts. */
export type DatabaseBalance = { 
/** Logical name. */
database: string, 
/** Its accounts. */
balance: Balance, };

/** A table that was not found equal at a peer. */
export type Differs = { 
/** Logical name. */
database: string, 
/** Its table. */
table: string, 
/** What this node calls the peer. */
peer: string, 
/** How. */
state: Unverified, 
/** One sentence; null: the peer could not be asked, and this is by what it said last. */
because: string | null, };

/** A table's rows and digest on one side. */
export type TableDigest = { 
/** Living rows. */
rows: Count, 
/** 32 hex digits. */
digest: string, };

/** A peer that everything was held against. */
export type VerifiedPeer = { 
/** What this node calls it. */
peer: string, 
/** Was every table that both share found equal? */
equal: boolean, 
/** When it said where it stands; null: never. */
as_of: Millis | null, 
/** Why it was not asked now. */
error: Failure | null, };

/** What reading every row again and asking the peers gave. */
export type VerifyView = { 
/** When. */
at: Millis, 
/** Was every shared table found equal at every peer, and every value where its account says? */
equal: boolean, 
/** What this node's files say that its accounts don't, or the other way round: sentences. Empty: they agree. */
findings: Array<string>, 
/** Tables that were not found equal at a peer. */
differs: Array<Differs>, 
/** The peers. */
peers: Array<VerifiedPeer>, 
/** All databases' accounts. */
balance: Balance, 
/** Values that are in no account. */
lost: Count, 
/** Changes that wait for a person here. */
held: Count, };

/** One column of a row, before and after. A side that has no such row or column is null. */
export type ColumnDiff = { 
/** Its name. */
column: string, 
/** As it is. */
before: Cell | null, 
/** As it would be. */
after: Cell | null, 
/** Do the two differ? */
changed: boolean, };

/** What a filter box holds: matches names of tables, keys and columns, never values. */
export type Filter = { 
/** Empty: everything. */
text: string, 
/** `DB` or `DB.TABLE`; null: all. */
table: string | null, };

/** A policy of one column's own. */
export type ColumnPolicy = { column: string, policy: string, };

/** A reference that no constraint declares. */
export type Reference = { 
/** The referring column. */
column: string, 
/** `database.table` */
target: string, };

/** A thing that a table's configuration might say, with what speaks for it. */
export type Suggestion = { 
/** Its id. */
id: string, 
/** Logical name. */
database: string, 
/** Its table. */
table: string, 
/** What it is about. */
kind: SuggestionKind, 
/** What would be said: `team_number, scouting_team_number`, `scout_id = users.user`. */
what: string, 
/** One sentence with counts: how many rows speak for it and how many against. */
evidence: string, 
/** Every row speaks for it. */
advised: boolean, };

/** What a person may say about a table; as in `lockstep.toml`. */
export type TableConfig = { exclude: boolean, 
/** Empty: the UNIQUE constraints, else the natural key. */
identity: Array<string>, references: Array<Reference>, 
/** `newest`, `review`, `prefer:<node>`. */
policy: string, columns: Array<ColumnPolicy>, merge: Merge, history: boolean, modified: string | null, 
/** Null: as the settings say for all tables. */
guard: TableGuard | null, };

/** From how many deletes on a run's wait for a person, as text: a number of rows, and a share of the table. */
export type TableGuard = { rows: string, share: string, };

/** One table, and how it is synced. */
export type TableView = { 
/** Logical name. */
database: string, 
/** Its name. */
table: string, 
/** Its rows; of a table that is not synced they are not counted. */
rows: Count, 
/** Is it synced? */
synced: boolean, 
/** Why it can't be synced at all; null: it can. */
unsyncable: string | null, 
/** Its columns. */
columns: Array<string>, 
/** The column whose numbers mean something on one node only. */
surrogate: string | null, 
/** By which columns its rows are known: one list for each key. */
known_by: Array<Array<string>>, 
/** What was said of it. */
config: TableConfig, 
/** What to look at. */
warnings: Array<string>, };

/** How the files of two nodes began. */
export type Began = "copies" | "separate";

/** What kind of conflict it is. */
export type ConflictKind = "update_update" | "update_delete" | "delete_update" | "insert_insert" | "unique" | "missing_parent" | "parent_deleted" | "table_missing" | "column_missing" | "config_differs" | "clock" | "id_collision" | "difference" | "delete_guard" | "review" | "constraint";

/** How a row differs. */
export type Difference = "only_here" | "only_there" | "different";

/** Which way a change goes, as seen from this node. */
export type Direction = "incoming" | "outgoing";

/** Why something waits. */
export type HoldReason = "guard" | "unique" | "identity" | "missing_parent" | "parent_deleted" | "constraint" | "table_missing" | "column_missing" | "config_differs" | "clock" | "difference" | "review";

/** What is judged alone in a merge. */
export type Merge = "column" | "row";

/** How two nodes have a table differently. */
export type MismatchKind = "table_missing" | "column_missing" | "config_differs";

/** Which side stands where nobody knows. */
export type PreferSide = "here" | "there" | "review";

/** How a run ended. Only verified is a success. */
export type RunEnd = "verified" | "partial" | "failed";

/** Who started a run. */
export type RunTrigger = "person" | "pair" | "change" | "news" | "retry" | "start" | "daily" | "peer";

/** What a setting may be. */
export type SettingKind = "boolean" | "count" | "duration" | "share" | "choice" | "text";

/** What is shared goes so. */
export type ShareDirection = "send" | "receive" | "both" | "none";

/** What a suggestion is about. */
export type SuggestionKind = "identity" | "reference" | "exclude" | "review" | "modified";

/** How a table stood at the end of a run. `moving`: it was written to all the while. */
export type TableEnd = "equal" | "differs" | "moving" | "not_compared";

/** Why a table was not found equal. `behind`: writes to it are under way. */
export type Unverified = "differs" | "behind" | "config_differs";

/** How a version ended: it shows, a later write knew and replaced it, it lost a conflict, was deleted, is held. */
export type VersionEnd = "visible" | "lost" | "deleted" | "held" | "superseded";

/** Which one, and which side. */
export type AlikeAsk = { id: string, side: Side, reveal: boolean, };

/** Which set, and which side. */
export type DecideAlikeAsk = { id: string, side: Side, plan: string, };

/** With whom. */
export type CompareAsk = { peer: string, };

/** Which rows of the last comparison, and which part of them. */
export type CompareRowsAsk = { peer: string, database: string, table: string, difference: Difference, filter: Filter, offset: number, limit: number, };

/** Which row of the last comparison. */
export type ComparedRowAsk = { peer: string, row: RowName, difference: Difference, reveal: boolean, };

/** With whom; null: with every peer. */
export type VerifyAsk = { peer: string | null, };

/** Which conflicts are asked for. */
export type ConflictsAsk = { state: ConflictState, filter: Filter, offset: number, limit: number, };

/** Which one. */
export type ConflictAsk = { id: string, reveal: boolean, };

/** What was decided. */
export type DecideAsk = { decisions: Array<Decision>, anyway: boolean, };

/** Which one, and whether also where the row has changed since. */
export type UndoAsk = { id: string, anyway: boolean, };

/** Which ones; null: all that were decided automatically. */
export type ReviewedAsk = { ids: Array<string> | null, };

/** Which part of the quarantine. */
export type QuarantineAsk = { reason: HoldReason | null, filter: Filter, offset: number, limit: number, };

/** Which one; null: all. */
export type RetryAsk = { id: string | null, };

/** Which ones, by their whole ids. */
export type AllowAsk = { ids: Array<string>, };

/** Which set, and what is to become of it. */
export type DeletesAsk = { id: string, 
/** Their rows live, on every server; otherwise they are deleted here. */
keep: boolean, };

/** Which one. */
export type HeldRowAsk = { id: string, reveal: boolean, };

/** Which part of a set. */
export type GuardedRowsAsk = { id: string, offset: number, limit: number, };

/** Which row, and which part. */
export type HistoryAsk = { row: RowName, offset: number, limit: number, reveal: boolean, };

/** A row and its version. */
export type RestoreAsk = { row: RowName, version: string, 
/** The latest version that the person was shown: `row_changed` if there is a later one by now. */
seen: string | null, 
/** Whatever was written since. */
anyway: boolean, 
/** With the rows that refer to it and were deleted with it. */
children: boolean, };

/** Two rows of one table. */
export type SameAsk = { row: RowName, 
/** The key of the other. */
other: string, };

/** Which row. */
export type ApartAsk = { row: RowName, };

/** Which database; null: all. */
export type DoctorAsk = { database: string | null, };

/** Which database, and whether without Lockstep's tables. */
export type BackupAsk = { database: string, clean: boolean, };

/** What to run, and where. */
export type MigrateAsk = { database: string, 
/** As it is typed at a prompt. */
command: string, 
/** Where it runs; null: the person's own folder. */
folder: string | null, };

/** Which database, and what its file is to mean. */
export type RestoredAsk = { database: string, meaning: RestoredMeaning, };

/** Where to listen, and what to tell. */
export type AddressAsk = { listen: string, tell: Told, };

/** Which rows, and which part. */
export type FindAsk = { filter: Filter, offset: number, limit: number, reveal: boolean, };

/** Which part of the list. */
export type PendingAsk = { peer: string | null, filter: Filter, offset: number, limit: number, };

/** With whom. */
export type PlanAsk = { peer: string, };

/** Which rows of a plan. */
export type PlanRowsAsk = { peer: string, plan: string, direction: Direction, operation: Operation | null, filter: Filter, offset: number, limit: number, };

/** One change of a plan. */
export type PlanRowAsk = { peer: string, plan: string, id: string, reveal: boolean, };

/** A plan, and which changes of it. */
export type ApplyAsk = { peer: string, plan: string, choice: Choice, };

/** Which run. */
export type RunAsk = { id: string, };

/** Which runs. */
export type RunsAsk = { peer: string | null, 
/** `2026-03-14`, local to this computer. */
day: string | null, result: RunEnd | null, offset: number, limit: number, };

/** For how many days. */
export type RatesAsk = { days: number, };

/** Which runs, and as what. */
export type ExportAsk = { peer: string | null, 
/** `2026-03-14`, local to this computer. */
day: string | null, result: RunEnd | null, format: Format, };

export type Format = "csv" | "jsonl";

/** One line of what is shared with a peer. */
export type ShareAsk = { peer: string, share: Share, };

/** Which peer. */
export type RetireAsk = { peer: string, };

/** A setting and its value. */
export type SettingAsk = { key: string, value: string, };

/** A peer, and whether it is reviewed. */
export type ReviewAsk = { peer: string, review: boolean, };

/** Only looking, or doing it. */
export type CleanupAsk = { dry_run: boolean, 
/** Of all kinds what is older than so many days; null: as the settings say. */
days: number | null, };

/** Which files to look at. */
export type InspectAsk = { files: Array<ChosenFile>, };

/** Which files, and how. */
export type AttachAsk = { files: Array<ChosenFile>, 
/** Suggestions, by their ids. */
accepted: Array<string>, 
/** What a person says of single tables that are synced. */
tables: Array<ConfigureAsk>, 
/** Tables that a person leaves out, suggested or not. */
left_out: Array<TableName>, wal: boolean, backup: boolean, };

/** A table. */
export type TableName = { 
/** Logical name. */
database: string, 
/** Its name. */
table: string, };

/** Which database. */
export type DetachAsk = { name: string, };

/** For how long, for what, and where to. */
export type InviteAsk = { expires_ms: string, share: Array<Share>, to: Carrier, };

export type Carrier = "file" | "picture";

/** A pasted invite. */
export type ReadInviteAsk = { invite: string, };

/** A table, and what is said of it. */
export type ConfigureAsk = { database: string, table: string, config: TableConfig, };

/** With whom. */
export type SyncAsk = { 
/** With that peer; null: with every peer. */
peer: string | null, };

/** For how long. */
export type PauseAsk = { for: PauseFor, };

/** What this computer's node shall be called. */
export type InitAsk = { name: string, };

/** From the next login on. */
export type LoginAsk = { on: boolean, };

/** A part of a list, in the node's order. */
export type Page<T> = { 
/** At most 200. */
items: Array<T>, 
/** How many there are in all, as filtered. */
total: Count, };

/** A failure as a person and the page can use it. Never holds a value of a row. */
export type Failure = { 
/** Stable; the page decides by it what to show. */
code: string, 
/** One sentence for a person. */
message: string, 
/** What to do about it, if anything is known. */
hint: string | null, };

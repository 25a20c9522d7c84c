// What can be set, and what a person meets when setting up.
import type {
  Inspection,
  PairPreview,
  PeerSettings,
  Setting,
  Suggestion,
  TableConfig,
  TableView,
} from "../host";
import { before, DAY } from "./make";

const plain: TableConfig = {
  exclude: false,
  identity: [],
  references: [],
  policy: "newest",
  columns: [],
  merge: "column",
  history: true,
  modified: null,
  guard: null,
};

function table(name: string, rows: string, columns: string, over: Partial<TableView> = {}): TableView {
  const [database, table] = name.split(".") as [string, string];
  return {
    database,
    table,
    rows,
    synced: true,
    unsyncable: null,
    columns: columns.split(" "),
    surrogate: "id",
    known_by: over.config?.identity.length ? [over.config.identity] : [],
    config: plain,
    warnings: [],
    ...over,
  };
}

export const tables = (): TableView[] => [
  table("scouting.event", "14", "id name code location start_date end_date year scouting_team_number", {
    config: { ...plain, identity: ["code", "scouting_team_number"] },
  }),
  table("scouting.login_attempts", "8120", "id ip_address username attempt_time success", {
    synced: false,
    config: { ...plain, exclude: true },
  }),
  table("scouting.match", "1204", "id match_number match_type event_id red_score blue_score winner", {
    config: { ...plain, identity: ["event_id", "match_type", "match_number"], policy: "review" },
  }),
  table("scouting.scouting_data", "43310", "id match_id team_id scout_name scout_id timestamp data_json", {
    config: {
      ...plain,
      references: [{ column: "scout_id", target: "users.user" }],
      policy: "review",
      modified: "timestamp",
    },
  }),
  table("scouting.team", "2613", "id team_number team_name location scouting_team_number", {
    config: { ...plain, identity: ["team_number", "scouting_team_number"] },
  }),
  table("scouting.team_event", "167", "team_id event_id", { surrogate: null }),
  table("scouting.team_search", "0", "team_name location", {
    synced: false,
    surrogate: null,
    unsyncable: "It is a virtual table (FTS5); the application builds it from team.",
  }),
  table("users.role", "4", "id name description"),
  table("users.user", "210", "id username email password_hash is_active last_login", {
    config: {
      ...plain,
      identity: ["username"],
      columns: [{ column: "password_hash", policy: "review" }],
    },
  }),
];

export const suggestions = (): Suggestion[] => [
  {
    id: "s1",
    database: "scouting",
    table: "team",
    kind: "identity",
    what: "team_number, scouting_team_number",
    evidence: "All 2,613 rows differ in it; none has a NULL.",
    advised: true,
  },
  {
    id: "s2",
    database: "scouting",
    table: "scouting_data",
    kind: "reference",
    what: "scout_id = users.user",
    evidence: "43,102 of 43,310 values are ids of users.user; 208 are NULL.",
    advised: true,
  },
  {
    id: "s3",
    database: "scouting",
    table: "login_attempts",
    kind: "exclude",
    what: "leave out",
    evidence: "It looks like a log of this server alone: nothing refers to it.",
    advised: true,
  },
  {
    id: "s4",
    database: "users",
    table: "user",
    kind: "review",
    what: "password_hash = review",
    evidence: "The column looks secret: a clash should wait for a person.",
    advised: true,
  },
  {
    id: "s5",
    database: "scouting",
    table: "match",
    kind: "modified",
    what: "timestamp",
    evidence: "1,190 of 1,204 rows hold a time in it; 14 are NULL.",
    advised: false,
  },
];

export const inspection = (): Inspection => ({
  tables: tables().map((one) => ({
    ...one,
    synced: one.unsyncable === null,
    config: { ...plain, exclude: one.unsyncable !== null },
    known_by:
      one.table === "team_event" ? [["team_id", "event_id"]] : one.table === "user" ? [["username"]] : [],
  })),
  suggestions: suggestions(),
  not_wal: ["users"],
  warnings: ["Migrations that rebuild a table should be run with lockstep migrate."],
});

export const pairPreview = (): PairPreview => ({
  peer: "venue-server",
  tables: [
    pairTable("scouting.event", [14, 0, 0, 2, 0, 0]),
    pairTable("scouting.match", [1188, 9, 7, 41, 36, 4]),
    pairTable("scouting.scouting_data", [0, 0, 43310, 12004, 11982, 0]),
    pairTable("scouting.team", [2601, 8, 4, 11, 9, 8]),
    pairTable("users.role", [4, 0, 0, 0, 0, 0]),
    pairTable("users.user", [31, 2, 177, 12, 12, 2]),
  ],
  mismatches: [],
  suggestions: [
    {
      table: "scouting.team",
      what: 'identity = ["team_number", "scouting_team_number"]',
      evidence: "2609 rows would be one, 11 are only here, 9 only there; 0 there are like another there",
    },
  ],
  sensitive: ["users.user.password_hash"],
});

function pairTable(name: string, figures: [number, number, number, number, number, number]) {
  const [database, table] = name.split(".") as [string, string];
  const [same, differing, only_here, only_there, id_taken, undatable] = figures.map(String) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  return { database, table, same, differing, only_here, only_there, id_taken, undatable };
}

export const peers = (): PeerSettings[] => [
  {
    name: "pit-laptop",
    node: "b4c19d0e55a2",
    address: null,
    paired_at: before(40 * DAY),
    review: false,
    shares: [
      { what: "scouting", direction: "both", without: [] },
      { what: "users", direction: "send", without: [] },
      { what: "users.user", direction: "send", without: ["password_hash"] },
    ],
  },
  {
    name: "venue-server",
    node: "0c77aa41f9e3",
    address: "https://venue-server.example:7467",
    paired_at: before(61 * DAY),
    review: true,
    shares: [
      { what: "scouting", direction: "both", without: [] },
      { what: "users", direction: "both", without: [] },
    ],
  },
];

export const settings = (): Setting[] => [
  setting(
    "name",
    "agent",
    "Name of this server",
    "text",
    "school-server",
    "",
    "What this node calls itself towards others.",
  ),
  setting(
    "schedule.background",
    "schedule",
    "Sync in the background",
    "boolean",
    "true",
    "true",
    "The agent syncs by itself; otherwise it only answers.",
  ),
  setting(
    "schedule.interval",
    "schedule",
    "Look for changes at least every",
    "duration",
    "30s",
    "30s",
    "How often the files are looked at, should the watch on their folders be deaf.",
  ),
  setting(
    "schedule.gather",
    "schedule",
    "Gather local writes for",
    "duration",
    "200ms",
    "200ms",
    "For how long local writes are gathered, so that a burst travels together.",
  ),
  setting(
    "guard.rows",
    "guard",
    "Ask when more rows than this would be deleted",
    "count",
    "100",
    "100",
    "A run that deletes more rows of a table than this, and more than that share, waits for a person.",
  ),
  setting(
    "guard.share",
    "guard",
    "… and more than this share of the table",
    "share",
    "0.2",
    "0.2",
    "The share of a table; a table can have a guard of its own.",
  ),
  setting(
    "retention.tombstones",
    "retention",
    "Keep traces of deleted rows for",
    "duration",
    "90d",
    "90d",
    "How long the traces of deleted rows are kept; longer where a paired node has not got the delete.",
  ),
  setting(
    "retention.conflicts",
    "retention",
    "Keep settled conflicts for",
    "duration",
    "90d",
    "90d",
    "How long conflicts are kept that somebody has looked at; others stay.",
  ),
  setting(
    "retention.archive",
    "retention",
    "Keep replaced values for",
    "duration",
    "90d",
    "90d",
    "How long values are kept that were replaced or lost; longer where their conflict is unread.",
  ),
  setting(
    "retention.runs",
    "retention",
    "Keep past runs for",
    "duration",
    "365d",
    "90d",
    "How long past sessions are kept, from which the success rates are drawn.",
  ),
  setting(
    "notify.failures",
    "notifications",
    "Notify when a server fails",
    "choice",
    "third",
    "third",
    "At which failure in a row a node that can't be synced with is an alarm.",
    ["first", "third", "never"],
  ),
];

function setting(
  key: string,
  group: string,
  title: string,
  kind: Setting["kind"],
  value: string,
  usual: string,
  says: string,
  choices: string[] = [],
): Setting {
  return { key, group, title, says, kind, value, usual, choices };
}

CREATE TABLE setting(
  key TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE attached(
  name TEXT PRIMARY KEY NOT NULL,
  file TEXT NOT NULL UNIQUE,
  config TEXT NOT NULL,        -- JSON, as lockstep.toml says it
  attached_at INTEGER NOT NULL,
  replica BLOB,                -- what the file said at the last harvest: its history breaks are noticed by these
  mark BLOB
) WITHOUT ROWID;

CREATE TABLE peer(
  node BLOB PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  address TEXT,                -- NULL: it can't be reached, it comes by itself
  paired_at INTEGER NOT NULL,
  retired_at INTEGER,
  met_at INTEGER,              -- when it was last in contact
  reachable INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0, -- in a row
  clock_offset INTEGER,
  held INTEGER NOT NULL DEFAULT 0,
  capture TEXT NOT NULL DEFAULT 'unknown',
  verified_at INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX peer_name ON peer(name) WHERE retired_at IS NULL;

CREATE TABLE share(
  node BLOB NOT NULL REFERENCES peer(node),
  name TEXT NOT NULL,          -- database
  "table" TEXT NOT NULL,       -- '' : all that no other line names
  direction TEXT NOT NULL,
  PRIMARY KEY(node, name, "table")
) WITHOUT ROWID;

-- What a peer is known to have: written after it said so, and never before.
CREATE TABLE acknowledged(
  node BLOB NOT NULL REFERENCES peer(node),
  name TEXT NOT NULL,
  "table" TEXT NOT NULL,
  replica BLOB NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY(node, name, "table", replica)
) WITHOUT ROWID;

-- Where a peer's tables stood when it last said so.
CREATE TABLE told(
  node BLOB NOT NULL REFERENCES peer(node),
  name TEXT NOT NULL,
  "table" TEXT NOT NULL,
  vector TEXT NOT NULL,        -- JSON
  digest BLOB NOT NULL,
  rows INTEGER NOT NULL,
  told_at INTEGER NOT NULL,
  PRIMARY KEY(node, name, "table")
) WITHOUT ROWID;

-- Whose replica is whose, as far as anybody said.
CREATE TABLE replica(
  replica BLOB PRIMARY KEY NOT NULL,
  node BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE invite(
  id INTEGER PRIMARY KEY,
  secret BLOB NOT NULL,
  made_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  share TEXT NOT NULL,         -- JSON
  used_at INTEGER,
  used_by BLOB
);

CREATE TABLE run(
  id INTEGER PRIMARY KEY,
  node BLOB NOT NULL,
  cause TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  duration INTEGER NOT NULL,
  rounds INTEGER NOT NULL,
  sent INTEGER NOT NULL,
  received INTEGER NOT NULL,
  applied INTEGER NOT NULL,
  conflicts INTEGER NOT NULL,
  held INTEGER NOT NULL,
  id_moves INTEGER NOT NULL,
  bytes_sent INTEGER NOT NULL,
  bytes_received INTEGER NOT NULL,
  result TEXT NOT NULL,
  code TEXT,
  message TEXT,
  hint TEXT
);
CREATE INDEX run_by_peer ON run(node, started_at);

-- The process that serves and syncs in the background; it counts while it holds its lock.
CREATE TABLE agent(
  one INTEGER PRIMARY KEY CHECK(one = 1),
  listening TEXT NOT NULL,
  advertised TEXT NOT NULL,
  since INTEGER NOT NULL
);

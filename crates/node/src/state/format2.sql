ALTER TABLE share ADD COLUMN without TEXT NOT NULL DEFAULT '[]'; -- JSON: columns of the table that go neither way

-- What a peer lets go one way only, or without some columns, as it last said.
CREATE TABLE restriction(
  node BLOB NOT NULL REFERENCES peer(node),
  name TEXT NOT NULL,
  "table" TEXT NOT NULL,
  way TEXT NOT NULL,
  withheld TEXT NOT NULL,      -- JSON
  PRIMARY KEY(node, name, "table")
) WITHOUT ROWID;

-- Columns that a peer ever withheld: what was received without them stays a part.
CREATE TABLE missing(
  node BLOB NOT NULL REFERENCES peer(node),
  name TEXT NOT NULL,
  "table" TEXT NOT NULL,
  "column" TEXT NOT NULL,
  PRIMARY KEY(node, name, "table", "column")
) WITHOUT ROWID;

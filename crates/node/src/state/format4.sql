-- The history of each attached file, as this node remembers it.
ALTER TABLE attached ADD COLUMN mark_seq INTEGER;
ALTER TABLE attached ADD COLUMN broke TEXT;      -- 'restored' or 'copied', until a person has said what it means
ALTER TABLE attached ADD COLUMN broke_at INTEGER;
ALTER TABLE attached ADD COLUMN broke_copy TEXT; -- the file as it was then

-- What a peer last said of the history of its file.
CREATE TABLE heard(
  node BLOB NOT NULL REFERENCES peer(node),
  name TEXT NOT NULL,
  replica BLOB NOT NULL,
  mark_seq INTEGER NOT NULL,
  mark BLOB NOT NULL,
  PRIMARY KEY(node, name)
) WITHOUT ROWID;

-- How tables ended that a session did not find equal: [{"name": "DB.TABLE", "state": "moved"}, ...]
ALTER TABLE run ADD COLUMN tables TEXT NOT NULL DEFAULT '[]';

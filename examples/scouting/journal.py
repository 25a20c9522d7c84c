"""The journal of one server: every row that was written there and committed, by tag, so that a
checker knows what has to be where. It lies beside the databases as `journal.jsonl`.

One line is one write::

    {"at": 0, "server": "a", "table": "match", "op": "insert", "tag": "m:casj:qm12:5454", "id": 17,
     "refs": {"event_id": "e:casj:5454"}, "values": {"red_score": 55}}

`at` is 0 for what was there from the start, else a reading of the machine's monotonic clock taken
while the write lock of the file was held: for one row its order is the order of the commits.
Password hashes are never written down.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Dict, Iterable, List, Optional

import shape

SECRET = {"password_hash"}


def entry(server: str, table: str, op: str, tag: str, id: Optional[int] = None,
          refs: Optional[Dict[str, Optional[str]]] = None, values: Optional[Dict[str, object]] = None,
          at: int = 0) -> dict:
    """One write. `op` is insert, update or delete; `values` are only those that were written."""
    assert op in ("insert", "update", "delete"), op
    assert table in shape.TABLES, table
    kept = {c: v for c, v in (values or {}).items() if c not in SECRET and c not in shape.TABLES[table].refs}
    return {"at": at, "server": server, "table": table, "op": op, "tag": tag, "id": id,
            "refs": refs or {}, "values": kept}


class Journal:
    """Appends to the journal of one server; safe from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        # One write() call per line in append mode: lines of two processes don't mix.
        self._file = open(str(Path(folder) / "journal.jsonl"), "ab", buffering=0)

    def write(self, entries: Iterable[dict]) -> None:
        with self._lock:
            for e in entries:
                self._file.write(json.dumps(e).encode() + b"\n")

    def close(self) -> None:
        self._file.close()


def initial(server: str, folder: Path) -> List[dict]:
    """What stands in the databases of a server before anyone writes them again."""
    tables, problems = shape.read(folder)
    assert not problems, problems
    return [
        entry(server, name, "insert", row.tag, row.id, row.refs, {c: v for c, (_, v) in row.values.items()})
        for name, rows in tables.items()
        for row in rows.values()
    ]


def load(folder: Path) -> List[dict]:
    """The journal of one server in the order of its commits."""
    with open(str(Path(folder) / "journal.jsonl"), encoding="utf-8") as lines:
        return sorted((json.loads(line) for line in lines), key=lambda e: e["at"])

"""What the example's databases are made of, and how a row of them is known again.

Every row carries a *tag* that no other row has, and a copy of the tags of the rows it refers to.
Ids differ from server to server and say nothing; by the tags anyone can see, with SQLite alone,
whether a row is missing, doubled or attached to the wrong parent. Lockstep is never asked.

A tag is written in one of these forms:

  text   at the end of a text column: ``Lift is slow {tl:a0:17<t:254:5454<e:casj:5454}``: the tag,
         then after each ``<`` the tag of a parent, in the order of the table's references
  json   in a JSON column: ``{"tag": "sd:a0:3", "parents": {"match_id": "m:casj:qm12:5454", …}, …}``
  key    a column that is unique anyway is the tag (a user name); no copy of parents fits in
  pair   association rows are known by what they join

What both servers import from the public source has a tag made of its natural key, so that the two
rows of one real team have one tag. All other tags name the worker that wrote the row:
``sd:a0:3`` is the third scouting entry that worker 0 of server ``a`` made.

Not in here: making content (`make.py`), writing while the application runs (`writer.py`).
"""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

HERE = Path(__file__).resolve().parent
DATABASES = ("scouting", "users")


class Table(NamedTuple):
    """One table: where its tag is, what it refers to, and whether it belongs to one server."""

    database: str
    form: str  # text | json | key | pair
    column: str = ""  # the column with the tag
    prefix: str = ""
    refs: Dict[str, str] = {}  # column -> table, declared and undeclared alike
    local: bool = False  # one server's own: never travels


def _alliance(column: str, prefix: str) -> Table:
    return Table("scouting", "text", column, prefix, {"alliance_id": "scouting_alliance"})


TABLES: Dict[str, Table] = {
    "role": Table("users", "key", "name", "r"),
    "user": Table("users", "key", "username", "u"),
    "user_roles": Table("users", "pair", prefix="ur", refs={"user_id": "user", "role_id": "role"}),
    "event": Table("scouting", "text", "name", "e"),
    "team": Table("scouting", "text", "team_name", "t"),
    "team_event": Table("scouting", "pair", prefix="te", refs={"team_id": "team", "event_id": "event"}),
    "match": Table("scouting", "text", "red_alliance", "m", {"event_id": "event"}),
    "scouting_data": Table("scouting", "json", "data_json", "sd",
                           {"match_id": "match", "team_id": "team", "scout_id": "user"}),
    "pit_scouting_data": Table("scouting", "json", "data_json", "pd",
                               {"team_id": "team", "event_id": "event", "scout_id": "user"}),
    "alliance_selection": Table("scouting", "key", "timestamp", "as",
                                {"captain": "team", "first_pick": "team", "second_pick": "team",
                                 "third_pick": "team", "event_id": "event"}),
    "team_list_entry": Table("scouting", "text", "reason", "tl", {"team_id": "team", "event_id": "event"}),
    "strategy_drawing": Table("scouting", "json", "data_json", "dr", {"match_id": "match"}),
    "strategy_share": Table("scouting", "text", "token", "ss", {"match_id": "match", "created_by": "user"}),
    "shared_graph": Table("scouting", "text", "description", "sg", {"event_id": "event"}),
    "shared_team_ranks": Table("scouting", "text", "description", "sr", {"event_id": "event"}),
    "scouting_alliance": Table("scouting", "text", "description", "sa"),
    "scouting_alliance_member": _alliance("team_name", "sm"),
    "scouting_alliance_event": _alliance("event_name", "se"),
    "scouting_alliance_invitation": _alliance("message", "si"),
    "scouting_alliance_chat": _alliance("message", "sc"),
    "scouting_alliance_sync": _alliance("data_type", "sy"),
    "scouting_team_settings": Table("scouting", "key", "scouting_team_number", "ts",
                                    {"locked_by_user_id": "user"}),
    "team_alliance_status": Table("scouting", "key", "team_number", "ta",
                                  {"active_alliance_id": "scouting_alliance"}),
    "login_attempts": Table("scouting", "text", "user_agent", "la", local=True),
    "file_checksums": Table("scouting", "text", "file_path", "fc", local=True),
    "database_changes": Table("scouting", "text", "change_data", "dc", local=True),
    "sync_servers": Table("scouting", "text", "name", "sv", {"created_by": "user"}, local=True),
    "sync_config": Table("scouting", "text", "value", "cf", {"updated_by": "user"}, local=True),
    "sync_logs": Table("scouting", "text", "sync_details", "lg", {"server_id": "sync_servers"}, local=True),
}

SYNCED = [name for name, table in TABLES.items() if not table.local]

_BRACES = re.compile(r"\{([^{}]*)\}$")


class Row(NamedTuple):
    """One stored row, read back: its id here, its parents by tag, its other columns bit for bit."""

    tag: str
    id: Optional[int]  # None for association rows
    refs: Dict[str, Optional[str]]  # column -> tag of the row that is referred to here
    claims: Optional[Dict[str, Optional[str]]]  # column -> tag that the row itself says it refers to
    values: Dict[str, Tuple[str, object]]  # column -> (storage class, value)


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def key_tag(table: str, value: object) -> str:
    """The tag of a row that is known by a unique column."""
    return "%s:%s" % (TABLES[table].prefix, value)


def pair_tag(table: str, *parents: Optional[str]) -> str:
    """The tag of an association row."""
    return TABLES[table].prefix + ":" + "|".join(str(p) for p in parents)


def with_tag(text: str, tag: str, *parents: Optional[str]) -> str:
    """A text with its tag and its parents' tags at the end."""
    return "%s {%s}" % (text, "<".join([tag] + [p or "-" for p in parents]))


def json_with_tag(tag: str, parents: Dict[str, Optional[str]], **data: object) -> str:
    """A JSON document with its tag and its parents' tags."""
    return json.dumps(dict({"tag": tag, "parents": parents}, **data))


def owner(tag: str, workers: int) -> Tuple[str, int]:
    """Which server and worker may change a row, so that two never write one row unless they mean to.

    Rows that one server made are its own. What both imported is shared out by a checksum of the tag.
    """
    made_by = re.match(r"[a-z]+:([a-z])\d+:", tag)
    number = zlib.crc32(tag.encode())
    return (made_by.group(1) if made_by else "ab"[number % 2]), number // 2 % workers


def parse(table: str, row: Dict[str, object]) -> Tuple[str, Optional[Dict[str, Optional[str]]]]:
    """The tag of a stored row and what it claims about its parents (None where no copy fits in)."""
    shape = TABLES[table]
    carrier = row[shape.column]
    if shape.form == "key":
        return key_tag(table, carrier), None
    if shape.form == "json":
        document = json.loads(str(carrier))
        return document["tag"], document["parents"]
    found = _BRACES.search(str(carrier))
    if not found:
        raise ValueError("%s: no tag in %r" % (table, carrier))
    tag, *parents = found.group(1).split("<")
    if len(parents) != len(shape.refs):
        raise ValueError("%s: %d parents in %r" % (table, len(parents), carrier))
    return tag, {column: None if p == "-" else p for column, p in zip(shape.refs, parents)}


def paths(folder: Path) -> Dict[str, Path]:
    """The two files of one server."""
    return {name: Path(folder) / (name + ".db") for name in DATABASES}


def connect(path: Path, timeout: float = 20.0) -> sqlite3.Connection:
    """A connection with the settings of the application: WAL, foreign keys on."""
    connection = sqlite3.connect(str(path), timeout=timeout)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def read(folder: Path, tables: Optional[List[str]] = None) -> Tuple[Dict[str, Dict[str, Row]], List[str]]:
    """All rows of one server by table and tag, and what is wrong with them by themselves.

    A table named for its parents' sake is read too. Each file is read in one transaction.
    """
    raw: Dict[str, List[Dict[str, object]]] = {}
    problems: List[str] = []
    # users.db last: what an entry refers to there was written before the entry itself.
    for database in DATABASES:
        connection = connect(paths(folder)[database])
        connection.text_factory = lambda b: b.decode("utf-8", "surrogateescape")
        connection.execute("BEGIN")
        for name, shape in TABLES.items():
            if shape.database == database:
                cursor = connection.execute("SELECT * FROM " + quoted(name))
                columns = [c[0] for c in cursor.description]
                raw[name] = [dict(zip(columns, values)) for values in cursor]
        connection.rollback()
        connection.close()

    ids: Dict[str, Dict[object, str]] = {}
    out: Dict[str, Dict[str, Row]] = {}

    def parent(table: str, key: object) -> Optional[str]:
        return None if key is None else ids[table].get(key, "nothing (id %s)" % key)

    def parse_table(name: str) -> None:
        shape = TABLES[name]
        if name in out:
            return
        for referred in shape.refs.values():
            parse_table(referred)
        out[name], ids[name] = {}, {}
        for stored in raw[name]:
            refs = {c: parent(t, stored[c]) for c, t in shape.refs.items()}
            try:
                tag, claims = (pair_tag(name, *refs.values()), None) if shape.form == "pair" else parse(name, stored)
            except (ValueError, KeyError) as error:
                problems.append("unreadable row: %s" % error)
                continue
            if tag in out[name]:
                problems.append("%s: %s is there twice" % (name, tag))
            key = None if shape.form == "pair" else int(str(stored["id"]))
            values = {c: (type(v).__name__, v) for c, v in stored.items() if c != "id" and c not in shape.refs}
            out[name][tag] = Row(tag, key, refs, claims, values)
            ids[name][key] = tag
            for column, claim in (claims if claims is not None else {}).items():
                if refs[column] != claim:
                    problems.append("%s: %s is at %s %s, belongs to %s" % (name, tag, column, refs[column], claim))
            for column, found in refs.items():
                if found is not None and found.startswith("nothing"):
                    problems.append("%s: %s refers by %s to %s" % (name, tag, column, found))

    for name in tables or TABLES:
        parse_table(name)
    return out, problems

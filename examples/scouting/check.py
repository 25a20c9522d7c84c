#!/usr/bin/env python3
"""Checks by tags that the servers hold the same, and everything that was written. Asks SQLite only.

    python3 check.py FOLDER_A FOLDER_B [FOLDER_C …]

Both files of each server are read, and the journals of what was written where. What has to be so:

* each row is there once on every server, under one tag, with the same content, bit for bit;
* each child is attached to the parent whose tag it carries, or that the journal names;
* what was inserted is there, what was deleted is not, a value is the one written last;
* a row that a server knew has the id there that it had;
* tables that belong to one server hold only its own rows;
* SQLite finds nothing wrong with the files, and no foreign key is violated.

Where two servers wrote one value without having seen each other's, either may stand, but the same
everywhere: unless a person has to decide (`REVIEW`), then each server goes on showing its own.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

import journal
import shape

# Columns of which a person decides a conflict, as lockstep.toml says. None: all columns of the table.
REVIEW: Dict[str, Optional[Set[str]]] = {"scouting_data": None, "user": {"password_hash"}}


class Server(NamedTuple):
    letter: str
    folder: Path
    tables: Dict[str, Dict[str, shape.Row]]
    problems: List[str]
    journal: List[dict]


class Findings(NamedTuple):
    """What a check found. `problems` is empty if all is well."""

    problems: List[str]
    rows: Dict[str, List[int]]  # table -> rows on each server
    moved: Dict[str, int]  # table -> rows that have different ids on different servers
    taken: Dict[str, int]  # table -> ids that mean one row here and another there
    undecided: Dict[str, int]  # table -> values that differ, each side keeping its own for a person
    contested: int  # values that several servers wrote unseen by each other, now the same everywhere


def load(folder: Path) -> Server:
    """Everything known about one server. Its letter is the one its journal bears."""
    tables, problems = shape.read(folder)
    book = journal.load(folder)
    return Server(book[0]["server"], Path(folder), tables, problems, book)


class Known(NamedTuple):
    """What the journals say about one row."""

    writers: Set[str]  # servers that wrote it after the start
    alive: Optional[bool]  # None: one deleted it, another wrote it, and neither need have seen that
    values: Dict[str, List[object]]  # column -> what may stand there
    refs: Dict[str, List[Optional[str]]]
    rivals: Set[str]  # columns that more than one server wrote, with different values
    origins: Set[str]  # servers that inserted it


def _last(writes: List[Tuple[int, str, object]]) -> Tuple[List[object], bool]:
    """Of (at, server, value): the last of each server, and whether they differ. What was there from
    the start counts only where nobody wrote later."""
    later = [w for w in writes if w[0] > 0] or writes
    each = {server: value for _, server, value in sorted(later, key=lambda w: w[0])}
    values: List[object] = []
    for value in each.values():
        if not any(type(value) is type(v) and value == v for v in values):
            values.append(value)
    return values, len(values) > 1


def known(servers: List[Server]) -> Dict[str, Dict[str, Known]]:
    """What all journals together say, by table and tag."""
    writes: Dict[str, Dict[str, List[dict]]] = {name: {} for name in shape.TABLES}
    for server in servers:
        for e in server.journal:
            writes[e["table"]].setdefault(e["tag"], []).append(e)
    out: Dict[str, Dict[str, Known]] = {}
    for table, tags in writes.items():
        out[table] = {}
        for tag, entries in tags.items():
            entries.sort(key=lambda e: e["at"])
            writers = {e["server"] for e in entries if e["at"]}
            # One that inserts what another had from the start has not seen it, nor perhaps when it deletes its own.
            first = {e["server"]: e for e in reversed(entries)}.values()
            unseen = any(e["at"] and e["op"] == "insert" for e in first) and any(not e["at"] for e in first)
            last = {e["server"]: e["op"] != "delete" for e in entries if e["at"] or not writers or unseen}
            alive = last.popitem()[1] if len(set(last.values())) == 1 else None
            values, refs, rivals = {}, {}, set()
            for kind, into in (("values", values), ("refs", refs)):
                for column in {c for e in entries for c in e[kind]}:
                    into[column], differ = _last([(e["at"], e["server"], e[kind][column])
                                                  for e in entries if column in e[kind]])
                    if differ:
                        rivals.add(column)
            out[table][tag] = Known(writers, alive, values, refs, rivals,
                                    {e["server"] for e in entries if e["op"] == "insert"})
    return out


def file_problems(server: Server) -> List[str]:
    """What SQLite itself finds wrong."""
    found: List[str] = []
    for name, path in shape.paths(server.folder).items():
        connection = shape.connect(path)
        for (line,) in connection.execute("PRAGMA integrity_check"):
            if line != "ok":
                found.append("%s %s: %s" % (server.letter, name, line))
        for row in connection.execute("PRAGMA foreign_key_check"):
            found.append("%s %s: foreign key of %s row %s to %s is violated" % ((server.letter, name) + tuple(row[:3])))
        connection.close()
    return found


def id_problems(server: Server) -> List[str]:
    """Rows that this server's application knew by one id and that now have another, or whose id now
    means another row. A REPLACE by the application itself gives a new id: the journal says so."""
    found: List[str] = []
    last: Dict[Tuple[str, str], Optional[int]] = {}
    for e in server.journal:
        last[e["table"], e["tag"]] = None if e["op"] == "delete" else e["id"]
    for (table, tag), id in last.items():
        row = server.tables[table].get(tag)
        if id is not None and row is not None and row.id != id:
            found.append("%s: %s %s had id %s, has %s" % (server.letter, table, tag, id, row.id))
    return found


def _may_differ(table: str, column: str, facts: Known) -> bool:
    """Whether the servers may each show their own value, because a person decides."""
    if table not in REVIEW:
        return False
    columns = REVIEW[table]
    if columns is not None and column not in columns:
        return False
    # Secrets are not in the journals: two servers that both made the row made two.
    return column in facts.rivals or (column in journal.SECRET and len(facts.origins) > 1)


def check(folders: List[Path]) -> Findings:
    """Everything at the head of this file."""
    servers = [load(folder) for folder in folders]
    facts = known(servers)
    problems = ["%s: %s" % (s.letter, p) for s in servers for p in s.problems]
    for server in servers:
        problems += file_problems(server) + id_problems(server)
    moved, taken, undecided, contested = {}, {}, {}, 0

    for table, shaped in shape.TABLES.items():
        if shaped.local:
            for server in servers:
                problems += ["%s: %s %s of another server" % (server.letter, table, tag) for tag in server.tables[table]
                             if facts[table].get(tag) is None or facts[table][tag].origins != {server.letter}]
                problems += ["%s: %s %s is missing" % (server.letter, table, tag)
                             for tag, fact in facts[table].items()
                             if fact.origins == {server.letter} and fact.alive and tag not in server.tables[table]]
            continue
        here = [server.tables[table] for server in servers]
        everywhere = set().union(*here)
        for tag in sorted(everywhere):
            if tag not in facts[table]:
                problems.append("%s: nobody wrote %s" % (table, tag))
        for tag, fact in facts[table].items():
            there = [tag in rows for rows in here]
            if fact.alive is None and len(set(there)) > 1 or fact.alive is not None and there != [fact.alive] * len(here):
                problems.append("%s: %s is %s on %s" % (
                    table, tag, "there" if fact.alive is False else "missing",
                    ", ".join(s.letter for s, t in zip(servers, there) if t is (fact.alive is False))))
                continue
            if not all(there):
                continue
            rows = [r[tag] for r in here]
            if len({r.id for r in rows}) > 1:
                moved[table] = moved.get(table, 0) + 1
            for column in rows[0].values:
                shown = [r.values[column] for r in rows]
                allowed = fact.values.get(column)
                same = all(v == shown[0] for v in shown)
                if not same and _may_differ(table, column, fact):
                    undecided[table] = undecided.get(table, 0) + 1
                elif not same:
                    problems.append("%s: %s has %s %s" % (table, tag, column, _list(table, column, servers, shown)))
                elif column in fact.rivals:
                    contested += 1
                if allowed is not None and any(not _among(v, allowed) for v in shown):
                    problems.append("%s: %s has %s %s, written was %s" % (
                        table, tag, column, _list(table, column, servers, shown), " or ".join(map(repr, allowed))))
            for column in rows[0].refs:
                shown = [r.refs[column] for r in rows]
                if any(v != shown[0] for v in shown) and not _may_differ(table, column, fact):
                    problems.append("%s: %s is attached by %s to %s" % (table, tag, column, shown))
                elif column in fact.refs and any(v not in fact.refs[column] for v in shown):
                    problems.append("%s: %s is attached by %s to %s, belongs to %s" % (
                        table, tag, column, shown, fact.refs[column]))
        meanings: Dict[int, Set[str]] = {}
        for rows in here:
            for tag, row in rows.items():
                if row.id is not None:
                    meanings.setdefault(row.id, set()).add(tag)
        count = sum(1 for tags in meanings.values() if len(tags) > 1)
        if count:
            taken[table] = count

    rows = {name: [len(s.tables[name]) for s in servers] for name in shape.TABLES}
    return Findings(problems, rows, moved, taken, undecided, contested)


def _among(shown: Tuple[str, object], allowed: List[object]) -> bool:
    kind, value = shown
    return any(kind == type(a).__name__ and value == a for a in allowed)


def _list(table: str, column: str, servers: List[Server], shown: List[Tuple[str, object]]) -> str:
    if column in journal.SECRET:
        return "that differs"
    return ", ".join("%s: %r" % (s.letter, v) for s, (_, v) in zip(servers, shown))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    args = parser.parse_args()
    found = check(args.folders)
    for line in found.problems[:50]:
        print(line)
    total = [sum(counts) for counts in zip(*(found.rows[t] for t in shape.SYNCED))]
    print("%d problems; rows %s; %d values wait for a person" % (
        len(found.problems), " / ".join(map(str, total)), sum(found.undecided.values())))
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())

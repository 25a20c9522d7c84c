#!/usr/bin/env python3
"""Writes the databases of one server as the application does while it runs.

    python3 writer.py FOLDER --server a [--threads 2] [--processes 1] [--ops 500 | --until-eof]

Several threads, each with its own connections, insert, update, delete, REPLACE, upsert, change
roles, import matches and run bulk statements, and keep using the ids that they have once seen, as a
browser with an open form does. Every committed write is entered in the server's journal by tag.

Each thread changes only rows that are its own (see `shape.owner`), so that what has to be there in
the end is known exactly. `contest` below breaks this on purpose: the same rows on both servers.

Prints one JSON document: writes by kind, failed ones, the longest wait.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random
from typing import Callable, Dict, List, Optional, Tuple

import content
import make
import shape
from journal import Journal, entry
from shape import json_with_tag, quoted, with_tag


class Transaction:
    """One transaction of the application: statements, and what they mean by tags.

    With `immediate` it begins as such; else the first write begins it, as Python's SQLite does. The
    journal's clock is read after the first write, when the write lock is held.
    """

    def __init__(self, worker: "Worker", database: str, immediate: bool) -> None:
        self.worker, self.connection = worker, worker.connections[database]
        self.notes: List[dict] = []
        self.at = 0
        self.immediate = immediate

    def __enter__(self) -> "Transaction":
        if self.immediate:
            self.connection.execute("BEGIN IMMEDIATE")
        return self

    def write(self, sql: str, *values: object) -> int:
        """Runs a writing statement. Returns the number of rows changed, or the new row's id for an INSERT."""
        cursor = self.connection.execute(sql, values)
        self.at = self.at or time.monotonic_ns()
        return cursor.lastrowid if sql.startswith(("INSERT", "REPLACE")) else cursor.rowcount

    def insert(self, table: str, tag: str, refs: Dict[str, Tuple[Optional[int], Optional[str]]],
               verb: str = "INSERT", **values: object) -> int:
        """An insert of one row. `refs` gives for each reference the id here and the tag."""
        row = dict({c: id for c, (id, _) in refs.items()}, **values)
        number = self.write("%s INTO %s (%s) VALUES (%s)" % (
            verb, quoted(table), ", ".join(map(quoted, row)), ", ".join("?" * len(row))), *row.values())
        self.note(table, "insert", tag, None if shape.TABLES[table].form == "pair" else number,
                  {c: t for c, (_, t) in refs.items()}, values)
        return number

    def update(self, table: str, tag: str, id: int, refs: Optional[Dict[str, Tuple[int, str]]] = None,
               **values: object) -> None:
        """An update by an id that this thread has known for a while."""
        row = dict({c: number for c, (number, _) in (refs or {}).items()}, **values)
        changed = self.write("UPDATE %s SET %s WHERE id = ?" % (
            quoted(table), ", ".join("%s = ?" % quoted(c) for c in row)), *row.values(), id)
        if changed != 1:
            self.worker.surprises.append("%s: %s had id %d, now %d rows have" % (table, tag, id, changed))
        self.note(table, "update", tag, id, {c: t for c, (_, t) in (refs or {}).items()}, values)

    def delete(self, table: str, tag: str, id: int) -> None:
        """A delete by an id that this thread has known for a while."""
        changed = self.write("DELETE FROM %s WHERE id = ?" % quoted(table), id)
        if changed != 1:
            self.worker.surprises.append("%s: %s had id %d, %d rows deleted" % (table, tag, id, changed))
        self.note(table, "delete", tag, id)

    def note(self, table: str, op: str, tag: str, id: Optional[int] = None,
             refs: Optional[dict] = None, values: Optional[dict] = None) -> None:
        self.notes.append(entry(self.worker.server, table, op, tag, id, refs, values))

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            self.connection.rollback()
            return
        self.connection.commit()
        for note in self.notes:
            note["at"] = self.at
        self.worker.journal.write(self.notes)


def made_by_writer(tag: str) -> bool:
    """Is it an account that `Worker.sign_up` made?"""
    return tag.startswith("u:") and tag.count(".") == 3


class Worker:
    """One thread of the application."""

    def __init__(self, folder: Path, server: str, number: int, workers: int, seed: int, journal: Journal) -> None:
        self.folder, self.server, self.number, self.workers = folder, server, number, workers
        self.rng = Random("writer %s %d %d" % (server, number, seed))
        self.journal = journal
        self.surprises: List[str] = []
        self.done: Dict[str, int] = {}
        self.failed: List[str] = []
        self.longest = 0.0
        # What is written now must not be taken for what an earlier run of this program wrote.
        self.run = "%x" % (time.time_ns() // 1_000_000)
        self.made = 0
        self.connections = {name: shape.connect(path) for name, path in shape.paths(folder).items()}
        self.own: Dict[str, Dict[str, int]] = {}
        tables, _ = shape.read(folder)
        for name, rows in tables.items():
            self.own[name] = {tag: row.id for tag, row in rows.items()
                              if row.id is not None and shape.owner(tag, workers) == (server, number)}
        # Accounts that another thread has just made may go, and their ids mean another then.
        self.open_forms = {name: [(row.id, tag) for tag, row in tables[name].items() if not made_by_writer(tag)]
                           for name in ("match", "team", "event", "scouting_alliance", "user", "role")}
        self.granted = {tag: row.refs for tag, row in tables["user_roles"].items()}
        self.joined: List[Tuple[str, int, int]] = []

    def transaction(self, database: str = "scouting", immediate: bool = False) -> Transaction:
        return Transaction(self, database, immediate)

    def tag(self, prefix: str) -> str:
        self.made += 1
        return "%s:%s%d:%s.%d" % (prefix, self.server, self.number, self.run, self.made)

    def some(self, table: str) -> Tuple[int, str]:
        """A row that may be referred to, by an id seen long ago."""
        return self.rng.choice(self.open_forms[table])

    def mine(self, table: str) -> Optional[Tuple[str, int]]:
        """A row that only this thread changes."""
        rows = self.own[table]
        if not rows:
            return None
        tag = self.rng.choice(list(rows))
        return tag, rows[tag]

    # What the application does. Each returns the kind of what it did, or None if it had nothing to do.

    def scout(self) -> None:
        match, team, person = self.some("match"), self.some("team"), self.some("user")
        tag = self.tag("sd")
        with self.transaction() as t:
            self.own["scouting_data"][tag] = t.insert(
                "scouting_data", tag, {"match_id": match, "team_id": team, "scout_id": person},
                scouting_team_number=make.TENANTS[0], scout_name=person[1][2:], timestamp=content.now(),
                scouting_station=self.rng.randrange(1, 7), alliance=self.rng.choice(["red", "blue"]),
                data_json=json_with_tag(tag, {"match_id": match[1], "team_id": team[1], "scout_id": person[1]},
                                        **content.entry(self.rng)))

    def correct(self) -> None:
        """The same entry again with another remark, under the same references."""
        found = self.mine("scouting_data")
        if not found:
            return
        tag, id = found
        with self.transaction(immediate=True) as t:
            row = t.connection.execute("SELECT data_json FROM scouting_data WHERE id = ?", (id,)).fetchone()
            if row is None:
                self.surprises.append("scouting_data: %s had id %d and is gone" % (tag, id))
                return
            document = json.loads(row[0])
            if document["tag"] != tag:
                self.surprises.append("scouting_data: id %d was %s, is %s" % (id, tag, document["tag"]))
                return
            document["remark"] = "%s (corrected)" % self.rng.choice(content.REMARKS)
            t.update("scouting_data", tag, id, data_json=json.dumps(document), timestamp=content.now())

    def wrong_match(self) -> None:
        """The entry was made for another match: it moves, with the copy of its parents' tags."""
        found = self.mine("scouting_data")
        if not found:
            return
        tag, id = found
        match, team, person = self.some("match"), self.some("team"), self.some("user")
        with self.transaction() as t:
            t.update("scouting_data", tag, id, {"match_id": match, "team_id": team, "scout_id": person},
                     data_json=json_with_tag(tag, {"match_id": match[1], "team_id": team[1], "scout_id": person[1]},
                                             **content.entry(self.rng)))

    def retract(self) -> None:
        table = self.rng.choice(["scouting_data", "team_list_entry", "pit_scouting_data", "strategy_share"])
        found = self.mine(table)
        if not found:
            return
        del self.own[table][found[0]]
        with self.transaction() as t:
            t.delete(table, *found)

    def reuse(self) -> None:
        """Deletes the newest entry and makes another: SQLite gives it the same id."""
        table, tag = "team_list_entry", self.tag("tl")
        team, event = self.some("team"), self.some("event")
        with self.transaction(immediate=True) as t:
            newest, reason = t.connection.execute(
                "SELECT id, reason FROM team_list_entry ORDER BY id DESC LIMIT 1").fetchone()
            old = shape.parse(table, {"reason": reason})[0]
            if self.own[table].pop(old, None) is not None:
                t.delete(table, old, newest)
            self.own[table][tag] = t.insert(
                table, tag, {"team_id": team, "event_id": event}, type="avoid", timestamp=content.now(),
                reason=with_tag(self.rng.choice(content.REMARKS), tag, team[1], event[1]),
                scouting_team_number=make.TENANTS[1])

    def pit(self) -> None:
        team, event, person = self.some("team"), self.some("event"), self.some("user")
        tag = self.tag("pd")
        with self.transaction() as t:
            self.own["pit_scouting_data"][tag] = t.insert(
                "pit_scouting_data", tag, {"team_id": team, "event_id": event, "scout_id": person},
                scout_name=person[1][2:], timestamp=content.now(), local_id=content.share_id(self.rng),
                data_json=json_with_tag(tag, {"team_id": team[1], "event_id": event[1], "scout_id": person[1]},
                                        **content.pit(self.rng)), is_uploaded=0)

    def share(self) -> None:
        match, person, tag = self.some("match"), self.some("user"), self.tag("ss")
        with self.transaction() as t:
            self.own["strategy_share"][tag] = t.insert(
                "strategy_share", tag, {"match_id": match, "created_by": person}, revoked=0, created_at=content.now(),
                token=with_tag("%032x" % self.rng.getrandbits(128), tag, match[1], person[1]))

    def score(self) -> None:
        """A result comes in, by the id of a form that was opened at the start."""
        found = self.mine("match")
        if not found:
            return
        red, blue = self.rng.randrange(20, 180), self.rng.randrange(20, 180)
        with self.transaction() as t:
            t.update("match", *found, red_score=red, blue_score=blue, winner="red" if red > blue else "blue")

    def chat(self) -> None:
        alliance, tag = self.some("scouting_alliance"), self.tag("sc")
        with self.transaction() as t:
            self.own["scouting_alliance_chat"][tag] = t.insert(
                "scouting_alliance_chat", tag, {"alliance_id": alliance}, from_team_number=make.TENANTS[0],
                from_username="admin", message_type="text", is_read=0, created_at=content.now(),
                message=with_tag(self.rng.choice(content.CHAT), tag, alliance[1]))

    def read_all(self) -> None:
        """One statement that touches many rows."""
        own = self.own["scouting_alliance_chat"]
        mark = "%%{sc:%s%d:%s.%%" % (self.server, self.number, self.run)
        with self.transaction(immediate=True) as t:
            changed = t.connection.execute(
                "SELECT id, message FROM scouting_alliance_chat WHERE message LIKE ? AND is_read = 0", (mark,)).fetchall()
            t.write("UPDATE scouting_alliance_chat SET is_read = 1 WHERE message LIKE ? AND is_read = 0", mark)
            for id, message in changed:
                tag = shape.parse("scouting_alliance_chat", {"message": message})[0]
                if own.get(tag) != id:
                    self.surprises.append("scouting_alliance_chat: %s had id %s, has %d" % (tag, own.get(tag), id))
                t.note("scouting_alliance_chat", "update", tag, id, None, {"is_read": 1})

    def draw(self) -> None:
        """INSERT OR REPLACE: evicts the old drawing of the match, which so gets a new id."""
        match = self.mine("match")
        if not match:
            return
        tag = "dr:" + match[0]
        with self.transaction() as t:
            t.insert("strategy_drawing", tag, {"match_id": (match[1], match[0])}, "INSERT OR REPLACE",
                     data_json=json_with_tag(tag, {"match_id": match[0]}, lines=content.lines(self.rng),
                                             drawn_on=self.server),
                     scouting_team_number=make.TENANTS[0], last_updated=content.now(), created_at=content.now())

    def settings(self) -> None:
        """The same on a table with a number for its unique key."""
        number = self.rng.choice([n for n in range(9100, 9140)
                                  if shape.owner("ts:%d" % n, self.workers) == (self.server, self.number)] or [0])
        person = self.some("user")
        if not number:
            return
        with self.transaction() as t:
            t.insert("scouting_team_settings", "ts:%d" % number, {"locked_by_user_id": person}, "REPLACE",
                     scouting_team_number=number, account_creation_locked=self.rng.randrange(2),
                     locked_at=content.now(), created_at=content.now(), updated_at=content.now())

    def join(self) -> None:
        """An upsert: the row is new the first time only."""
        number = self.rng.choice([n for n in range(9200, 9240)
                                  if shape.owner("ta:%d" % n, self.workers) == (self.server, self.number)] or [0])
        alliance = self.some("scouting_alliance")
        if not number:
            return
        with self.transaction(immediate=True) as t:
            there = t.connection.execute("SELECT id FROM team_alliance_status WHERE team_number = ?",
                                         (number,)).fetchone()
            moment, active = content.now(), self.rng.randrange(2)
            t.write("INSERT INTO team_alliance_status (team_number, active_alliance_id, is_alliance_mode_active,"
                    " activated_at) VALUES (?, ?, ?, ?) ON CONFLICT (team_number) DO UPDATE SET active_alliance_id ="
                    " excluded.active_alliance_id, is_alliance_mode_active = excluded.is_alliance_mode_active,"
                    " activated_at = excluded.activated_at", number, alliance[0], active, moment)
            id = t.connection.execute("SELECT id FROM team_alliance_status WHERE team_number = ?",
                                      (number,)).fetchone()[0]
            values = {"is_alliance_mode_active": active, "activated_at": moment}
            if not there:
                values["team_number"] = number
            t.note("team_alliance_status", "update" if there else "insert", "ta:%d" % number, id,
                   {"active_alliance_id": alliance[1]}, values)

    def sign_up(self) -> None:
        self.made += 1
        name = "%s.%s%d.%s.%d" % (self.rng.choice(content.FIRST).lower(), self.server, self.number, self.run, self.made)
        tag = "u:" + name  # as `made_by_writer` knows it
        with self.transaction("users") as t:
            id = t.insert("user", tag, {}, username=name, email=name + "@example.org", is_active=1,
                          password_hash=content.password_hash(self.rng), scouting_team_number=make.TENANTS[0],
                          created_at=content.now(), updated_at=content.now(), must_change_password=0)
            self._grant(t, (id, tag), "r:scout")
        self.own["user"][tag] = id

    def promote(self) -> None:
        """Takes the role of a scout and gives another, in one transaction."""
        found = self._own_account()
        if not found:
            return
        tag, id = found
        held = [pair for pair, refs in self.granted.items() if refs["user_id"] == tag]
        with self.transaction("users") as t:
            for pair in held:
                self._revoke(t, id, pair)
            old = {p.rsplit("|", 1)[1] for p in held}
            self._grant(t, (id, tag), "r:analytics" if "r:scout" in old else "r:scout")

    def leave(self) -> None:
        """Deletes an account that was just made, with its roles. Nothing refers to those."""
        found = self._own_account()
        if not found or self.run not in found[0]:
            return
        tag, id = found
        with self.transaction("users") as t:
            for pair in [p for p, refs in self.granted.items() if refs["user_id"] == tag]:
                self._revoke(t, id, pair)
            t.delete("user", tag, id)
        del self.own["user"][tag]

    def _own_account(self) -> Optional[Tuple[str, int]]:
        """An account of this server, and not one of the two that are on every server."""
        names = [tag for tag in self.own["user"] if tag.count(".") >= 2]
        if not names:
            return None
        tag = self.rng.choice(names)
        return tag, self.own["user"][tag]

    def _grant(self, t: Transaction, person: Tuple[int, str], role: str) -> None:
        number = next(id for id, tag in self.open_forms["role"] if tag == role)
        pair = shape.pair_tag("user_roles", person[1], role)
        t.insert("user_roles", pair, {"user_id": person, "role_id": (number, role)})
        self.granted[pair] = {"user_id": person[1], "role_id": role}

    def _revoke(self, t: Transaction, id: int, pair: str) -> None:
        role = self.granted.pop(pair)["role_id"]
        number = next(i for i, tag in self.open_forms["role"] if tag == role)
        if t.write("DELETE FROM user_roles WHERE user_id = ? AND role_id = ?", id, number) != 1:
            self.surprises.append("user_roles: %s was gone" % pair)
        t.note("user_roles", "delete", pair)

    def attend(self) -> None:
        """Association rows in one statement: INSERT … SELECT."""
        event = self.some("event")
        pairs = [(id, tag) for id, tag in self.open_forms["team"]
                 if shape.owner(shape.pair_tag("team_event", tag, event[1]), self.workers) == (self.server, self.number)]
        chosen = self.rng.sample(pairs, min(3, len(pairs)))
        if not chosen:
            return
        with self.transaction(immediate=True) as t:
            there = {r[0] for r in t.connection.execute("SELECT team_id FROM team_event WHERE event_id = ?", (event[0],))}
            new = [(id, tag) for id, tag in chosen if id not in there]
            t.write("INSERT INTO team_event (team_id, event_id) SELECT id, ? FROM team WHERE id IN (%s)"
                    % ", ".join("?" * len(new)), event[0], *[id for id, _ in new])
            for id, tag in new:
                t.note("team_event", "insert", shape.pair_tag("team_event", tag, event[1]), None,
                       {"team_id": tag, "event_id": event[1]})
        self.joined += [(shape.pair_tag("team_event", tag, event[1]), id, event[0]) for id, tag in new]

    def withdraw(self) -> None:
        if not self.joined:
            return
        pair, team, event = self.joined.pop(self.rng.randrange(len(self.joined)))
        with self.transaction() as t:
            if t.write("DELETE FROM team_event WHERE team_id = ? AND event_id = ?", team, event) != 1:
                self.surprises.append("team_event: %s was gone" % pair)
            t.note("team_event", "delete", pair)

    def import_match(self) -> None:
        """The next match of the public source, which the other server imports too, and an entry for it."""
        id, tag = self.some("event")
        code, tenant = tag.split(":")[1], int(tag.split(":")[2])
        numbers = [101 + 7 * n for n in range(6)]
        number = 900 + self.rng.randrange(20)
        row = make.match_row(code, "Qualification", number, tenant, numbers)
        name = make.match_tag(code, "Qualification", number, tenant)
        with self.transaction(immediate=True) as t:
            found = t.connection.execute(
                "SELECT id FROM match WHERE event_id = ? AND match_type = ? AND match_number = ?"
                " AND scouting_team_number = ?", (id, "Qualification", number, tenant)).fetchone()
            if found:
                return
            match = t.insert("match", name, {"event_id": (id, tag)}, timestamp="2025-05-30 10:00:00.000000", **row)
            entry_tag, team = self.tag("sd"), self.some("team")
            t.insert("scouting_data", entry_tag,
                     {"match_id": (match, name), "team_id": team, "scout_id": (None, None)}, scout_name="import",
                     timestamp=content.now(), data_json=json_with_tag(
                         entry_tag, {"match_id": name, "team_id": team[1], "scout_id": None}, **content.entry(self.rng)))

    def own_affairs(self) -> None:
        """What must stay on this server."""
        login, change = self.tag("la"), self.tag("dc")
        with self.transaction() as t:
            t.insert("login_attempts", login, {}, ip_address="192.0.2.7", attempt_time=content.now(), success=1,
                     user_agent=with_tag("Mozilla/5.0", login))
            t.insert("database_changes", change, {}, table_name="match", record_id="1", operation="update",
                     change_data=with_tag("{}", change), timestamp=content.now())

    def choose(self) -> Callable[[], None]:
        often = [self.scout] * 8 + [self.correct] * 4 + [self.score] * 4
        once = [self.wrong_match, self.retract, self.reuse, self.pit, self.share, self.chat, self.read_all, self.draw,
                self.settings, self.join, self.sign_up, self.promote, self.leave, self.attend, self.withdraw,
                self.import_match, self.own_affairs]
        return self.rng.choice(often + once)

    def step(self) -> None:
        """One thing that the application does. A failed write is the worst that can happen to it."""
        action = self.choose()
        began = time.monotonic()
        try:
            action()
            self.done[action.__name__] = self.done.get(action.__name__, 0) + 1
        except Exception as error:  # noqa: BLE001 - counted and reported: none is expected
            self.failed.append("%s: %s: %s" % (action.__name__, type(error).__name__, error))
        self.longest = max(self.longest, time.monotonic() - began)

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()


def contest(folders: List[Path], count: int = 3) -> Dict[str, int]:
    """Writes the same rows on both servers while they can't hear each other, so that each side has a
    value the other has not seen. Returns how many conflicts of each sort a person has to find.

    Call it between two syncs, with both servers in agreement about the rows.
    """
    sides = []
    for place, folder in enumerate(folders):
        journal = Journal(folder)
        sides.append((Worker(folder, "ab"[place], 9, 10, 0, journal), shape.read(folder)[0]))
    first, second = (tables for _, tables in sides)

    def both(table: str, origin: str = "") -> List[str]:
        return [tag for tag in sorted(first[table])
                if tag in second[table] and (not origin or tag.split(":")[1].startswith(origin))]

    results = both("match")[-count:]  # another result on each side: the later one wins
    entries = both("scouting_data", "a0")[-count:]  # policy "review": a person decides
    deleted = both("team_list_entry", "a0")[:1]  # deleted here, edited there
    for place, (worker, tables) in enumerate(sides):
        for tag in results:
            with worker.transaction() as t:
                t.update("match", tag, tables["match"][tag].id, red_score=200 + place, blue_score=100 + place)
        for tag in entries:
            with worker.transaction() as t:
                t.update("scouting_data", tag, tables["scouting_data"][tag].id, scouting_station=11 + place)
        for tag in deleted:
            with worker.transaction() as t:
                if place == 0:
                    t.delete("team_list_entry", tag, tables["team_list_entry"][tag].id)
                else:
                    t.update("team_list_entry", tag, tables["team_list_entry"][tag].id, type="edited elsewhere")
        # One person signs up on both servers; another number means another person.
        with worker.transaction("users") as t:
            t.insert("user", "u:new.volunteer", {}, username="new.volunteer", email="new.volunteer@example.org",
                     password_hash=content.password_hash(worker.rng), is_active=1, must_change_password=place,
                     created_at=content.now(), updated_at=content.now())
        worker.close()
        worker.journal.close()
    return {"newest": len(results), "review": len(entries), "deleted": len(deleted), "password": 1}


def run(folder: Path, server: str, threads: int, base: int, workers: int, ops: int, pause: float, seed: int,
        stop: threading.Event) -> dict:
    """Runs the threads of one process and sums up what they did."""
    journal = Journal(folder)
    crew = [Worker(folder, server, base + n, workers, seed, journal) for n in range(threads)]
    for worker in crew:  # SQLite's connections belong to the thread that made them
        worker.close()

    def work(worker: Worker) -> None:
        worker.connections = {name: shape.connect(path) for name, path in shape.paths(folder).items()}
        count = 0
        while not stop.is_set() and (not ops or count < ops):
            worker.step()
            count += 1
            time.sleep(pause)
        worker.close()

    running = [threading.Thread(target=work, args=(worker,)) for worker in crew]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    journal.close()
    return summed([{"done": w.done, "failed": w.failed, "surprises": w.surprises,
                    "longest_ms": round(w.longest * 1000, 1)} for w in crew])


def summed(parts: List[dict]) -> dict:
    """The summaries of several threads or processes as one."""
    done: Dict[str, int] = {}
    for part in parts:
        for kind, count in part["done"].items():
            done[kind] = done.get(kind, 0) + count
    return {"done": done, "failed": [f for p in parts for f in p["failed"]],
            "surprises": [s for p in parts for s in p["surprises"]],
            "longest_ms": max([p["longest_ms"] for p in parts] or [0.0])}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--server", choices=["a", "b"], required=True)
    parser.add_argument("--threads", type=int, default=2, help="in each process")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--ops", type=int, default=0, help="in each thread; 0 = until told to stop")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input is closed")
    parser.add_argument("--seconds", type=float, default=600, help="stop after that at the latest")
    parser.add_argument("--pause", type=float, default=0.005, help="seconds between two actions of a thread")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--process", type=int, default=None, help=argparse.SUPPRESS)
    args = parser.parse_args()

    if args.process is None and args.processes > 1:
        command = [sys.executable, __file__] + sys.argv[1:]
        children = [subprocess.Popen(command + ["--process", str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                    for n in range(args.processes)]
        if args.until_eof:
            sys.stdin.read()
        summary = summed([json.loads(child.communicate()[0]) for child in children])
    else:
        stop = threading.Event()
        timer = threading.Timer(args.seconds, stop.set)
        timer.daemon = True
        timer.start()
        if args.until_eof:
            threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
        elif not args.ops:
            parser.error("--ops or --until-eof")
        process = args.process or 0
        summary = run(args.folder, args.server, args.threads, process * args.threads, args.threads * args.processes,
                      args.ops, args.pause, args.seed, stop)
    print(json.dumps(summary))
    return 1 if summary["failed"] or summary["surprises"] else 0


if __name__ == "__main__":
    sys.exit(main())

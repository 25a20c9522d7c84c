"""Tests of the example itself: what is generated, what the writer does, and that the checker sees
every kind of damage. `python3 -m unittest` in this folder; Lockstep is not needed.

A merge by tags, which knows nothing of ids, plays Lockstep's part here.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import check
import demo
import journal
import make
import shape
import writer

SMALL = {"teams": 24, "matches": 40, "rows": 120}


def open_file(folder: Path, database: str) -> contextlib.closing:
    return contextlib.closing(sqlite3.connect(str(shape.paths(folder)[database]), isolation_level=None))


def merge_by_tag(folders: List[Path]) -> None:
    """Makes the servers hold the same, by tags: each row that is missing is copied from where it is, each
    deleted one goes, of two values one of those stands that the journals allow."""
    servers = [check.load(f) for f in folders]
    facts = check.known(servers)
    for server in servers:
        others = [s for s in servers if s is not server]
        ids: Dict[str, Dict[str, object]] = {t: {tag: r.id for tag, r in rows.items()}
                                             for t, rows in server.tables.items()}
        with contextlib.ExitStack() as stack:
            files = {d: stack.enter_context(open_file(server.folder, d)) for d in shape.DATABASES}
            for table in shape.SYNCED:
                run, shaped = files[shape.TABLES[table].database].execute, shape.TABLES[table]
                for tag, row in server.tables[table].items():
                    dead = facts[table][tag].alive is False or (
                        facts[table][tag].alive is None and not all(tag in s.tables[table] for s in servers))
                    if dead and row.id is not None:
                        run("DELETE FROM %s WHERE id = ?" % shape.quoted(table), (row.id,))
                    elif dead:
                        keys = [ids[t].get(str(row.refs[c])) for c, t in shaped.refs.items()]
                        run("DELETE FROM %s WHERE %s" % (table, " AND ".join(c + " = ?" for c in shaped.refs)), keys)
                for tag, fact in facts[table].items():
                    found = [s.tables[table][tag] for s in servers if tag in s.tables[table]]
                    if fact.alive is False or not found or (fact.alive is None and len(found) < len(servers)):
                        continue
                    values = {c: v for c, (_, v) in found[0].values.items()}
                    values.update({c: v[0] for c, v in fact.values.items() if v})
                    refs = dict(found[0].refs, **{c: v[0] for c, v in fact.refs.items() if v})
                    values.update({c: None if refs[c] is None else ids[t][str(refs[c])]
                                   for c, t in shaped.refs.items()})
                    names, here = list(values), server.tables[table].get(tag)
                    if here is None:
                        ids[table][tag] = run("INSERT INTO %s (%s) VALUES (%s)" % (
                            shape.quoted(table), ", ".join(map(shape.quoted, names)), ", ".join("?" * len(names))),
                            list(values.values())).lastrowid
                    elif here.id is not None:
                        run("UPDATE %s SET %s WHERE id = ?" % (
                            shape.quoted(table), ", ".join("%s = ?" % shape.quoted(n) for n in names)),
                            list(values.values()) + [here.id])
        assert others or len(servers) == 1


class Generated(unittest.TestCase):
    """What `make.py` makes."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp())
        make.make(cls.folder, **SMALL)
        cls.tables = {s: shape.read(cls.folder / s) for s in "ab"}

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(str(cls.folder))

    def test_each_server_is_sound_by_itself(self) -> None:
        for server in "ab":
            self.assertEqual(check.check([self.folder / server]).problems, [])

    def test_every_table_has_rows(self) -> None:
        for server in "ab":
            self.assertEqual([t for t, rows in self.tables[server][0].items() if not rows], [])

    def test_the_same_seed_makes_the_same_content(self) -> None:
        with tempfile.TemporaryDirectory() as again:
            make.make(Path(again), **SMALL)
            self.assertEqual(shape.read(Path(again) / "b"), self.tables["b"])

    def test_both_imported_the_same_under_other_ids(self) -> None:
        (first, _), (second, _) = self.tables["a"], self.tables["b"]
        for table in ("team", "match", "role", "user"):
            common = set(first[table]) & set(second[table])
            self.assertTrue(common)
            self.assertTrue([t for t in common if first[table][t].id != second[table][t].id], table)
            self.assertTrue(set(first[table]) - common or table == "role", table)

    def test_the_default_accounts_have_different_passwords(self) -> None:
        (first, _), (second, _) = self.tables["a"], self.tables["b"]
        for name in ("u:admin", "u:superadmin"):
            self.assertNotEqual(first["user"][name].values["password_hash"],
                                second["user"][name].values["password_hash"])

    def test_no_password_hash_is_in_a_journal(self) -> None:
        for server in "ab":
            self.assertNotIn("pbkdf2", (self.folder / server / "journal.jsonl").read_text())

    def test_wal_and_foreign_keys(self) -> None:
        for server in "ab":
            for path in shape.paths(self.folder / server).values():
                with contextlib.closing(sqlite3.connect(str(path))) as connection:
                    self.assertEqual(connection.execute("PRAGMA journal_mode").fetchone(), ("wal",))
        with contextlib.closing(shape.connect(shape.paths(self.folder / "a")["users"])) as connection:
            self.assertEqual(connection.execute("PRAGMA foreign_keys").fetchone(), (1,))

    def test_existing_databases_are_not_overwritten(self) -> None:
        with self.assertRaises(SystemExit):
            make.make(self.folder, **SMALL)

    def test_the_shape_names_every_table_and_every_declared_reference(self) -> None:
        seen = set()
        for database in shape.DATABASES:
            with open_file(self.folder / "a", database) as connection:
                for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
                    seen.add(table)
                    self.assertEqual(shape.TABLES[table].database, database)
                    for key in connection.execute("PRAGMA foreign_key_list(%s)" % shape.quoted(table)):
                        self.assertEqual(shape.TABLES[table].refs[key[3]], key[2])
        self.assertEqual(seen, set(shape.TABLES))


class Written(unittest.TestCase):
    """What `writer.py` does, and what `check.py` sees of it."""

    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, str(self.root))
        make.make(self.root, **SMALL)
        self.folders = [self.root / s for s in "ab"]

    def write(self, ops: int = 120) -> None:
        for server, folder in zip("ab", self.folders):
            done = writer.run(folder, server, 2, 0, 2, ops, 0, 5, threading.Event())
            self.assertEqual((done["failed"], done["surprises"]), ([], []))
            self.assertGreaterEqual(sum(done["done"].values()), ops)

    def problems(self) -> List[str]:
        return check.check(self.folders).problems

    def test_a_server_alone_agrees_with_its_journal(self) -> None:
        self.write()
        for folder in self.folders:
            self.assertEqual(check.check([folder]).problems, [])

    def test_processes_and_threads_agree_with_the_journal(self) -> None:
        done = subprocess.run([sys.executable, str(shape.HERE / "writer.py"), str(self.folders[0]), "--server", "a",
                               "--processes", "2", "--threads", "2", "--ops", "30", "--pause", "0"],
                              stdout=subprocess.PIPE, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(check.check([self.folders[0]]).problems, [])

    def test_an_account_that_may_go_is_referred_to_by_nobody(self) -> None:
        self.write()
        for server, folder in zip("ab", self.folders):
            made = {tag for tag in shape.read(folder)[0]["user"] if writer.made_by_writer(tag)}
            seen = {tag for _, tag in writer.Worker(folder, server, 0, 2, 0, None).open_forms["user"]}
            self.assertTrue(made and seen)
            self.assertFalse(made & seen)

    def test_before_a_merge_the_servers_differ(self) -> None:
        self.assertTrue(self.problems())

    def test_a_merge_by_tags_passes_and_a_contest_is_seen(self) -> None:
        self.write()
        merge_by_tag(self.folders)
        merge_by_tag(self.folders)
        self.assertEqual(self.problems(), [])
        expected = writer.contest(self.folders)
        self.assertTrue(self.problems())
        merge_by_tag(self.folders)
        self.assertEqual(self.problems(), [])
        self.assertGreaterEqual(check.check(self.folders).contested, expected["newest"])

    def test_a_delete_takes_along_what_its_server_had_seen(self) -> None:
        def alive(*writes: Tuple[str, int, str]) -> Optional[bool]:
            entries = [{"table": "team_event", "tag": "t", "server": server, "at": at, "op": op, "values": {}, "refs": {}}
                       for server, at, op in writes]
            servers = [check.Server(letter, Path(), {}, [], [e for e in entries if e["server"] == letter])
                       for letter in "ab"]
            return check.known(servers)["team_event"]["t"].alive

        self.assertIs(alive(("a", 0, "insert")), True)
        self.assertIs(alive(("a", 0, "insert"), ("a", 1, "delete")), False)
        self.assertIs(alive(("a", 0, "insert"), ("b", 1, "delete")), False)
        self.assertIs(alive(("a", 0, "insert"), ("b", 0, "insert"), ("b", 1, "delete")), False)
        self.assertIs(alive(("a", 0, "insert"), ("b", 1, "insert"), ("b", 2, "delete")), None)
        self.assertIs(alive(("a", 0, "insert"), ("b", 1, "insert")), True)
        self.assertIs(alive(("a", 0, "insert"), ("b", 1, "delete"), ("b", 2, "insert"), ("b", 3, "delete")), False)

    def test_every_kind_of_damage_is_seen(self) -> None:
        merge_by_tag(self.folders)
        self.assertEqual(self.problems(), [])
        b = self.folders[1]
        cases = [
            ("a lost row", "scouting", "DELETE FROM scouting_data WHERE id = (SELECT max(id) FROM scouting_data)",
             "is missing on b"),
            ("a misplaced child", "scouting",
             "UPDATE team_list_entry SET team_id = (SELECT min(id) FROM team WHERE id <> team_id)"
             " WHERE id = (SELECT max(id) FROM team_list_entry)", "belongs to"),
            ("a misplaced child without a copy of its parent's tag", "scouting",
             "UPDATE team_alliance_status SET active_alliance_id ="
             " (SELECT min(id) FROM scouting_alliance WHERE id <> active_alliance_id)", "team_alliance_status"),
            ("another person", "scouting", "UPDATE scouting_data SET scout_id = scout_id % 4 + 1"
             " WHERE id = (SELECT min(id) FROM scouting_data WHERE scout_id IS NOT NULL)", "scout_id"),
            ("a scout became superadmin", "users", "INSERT INTO user_roles SELECT u.id, r.id FROM user u, role r"
             " WHERE u.username = 'kai.weber' AND r.name = 'superadmin'", "nobody wrote"),
            ("a changed value", "scouting", "UPDATE match SET red_score = 7777 WHERE id = 3", "7777"),
            ("another storage class", "scouting", "UPDATE team SET location = CAST(location AS BLOB) WHERE id = 2",
             "team"),
            ("a row twice", "scouting", "INSERT INTO team_list_entry (team_id, event_id, reason)"
             " SELECT team_id, event_id, reason FROM team_list_entry LIMIT 1", "twice"),
            ("an id that means something else", "scouting",
             "UPDATE team_list_entry SET id = id + 100000 WHERE id = 1", "had id"),
            ("a row of the other server's own", "scouting", "INSERT INTO sync_config (key, value)"
             " VALUES ('x', 'server-a {cf:a0:99<u:superadmin}')", "sync_config"),
            ("a violated foreign key", "scouting", "UPDATE strategy_drawing SET match_id = 999999"
             " WHERE id = (SELECT min(id) FROM strategy_drawing)", "is violated"),
            ("a lost association", "users", "DELETE FROM user_roles WHERE rowid = (SELECT max(rowid) FROM user_roles)",
             "user_roles"),
            ("a password that was lost", "users", "UPDATE user SET password_hash = NULL WHERE username LIKE '%.a%'",
             "password_hash"),
        ]
        for name, database, sql, sign in cases:
            with self.subTest(name):
                kept = {p: p.read_bytes() for p in shape.paths(b).values()}
                with open_file(b, database) as connection:
                    connection.execute(sql)
                    self.assertEqual(connection.execute("SELECT changes() > 0").fetchone(), (1,))
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                found = self.problems()
                self.assertTrue([p for p in found if sign in p], found[:5])
                for path, content in kept.items():
                    path.write_bytes(content)

    def test_a_password_is_never_printed(self) -> None:
        merge_by_tag(self.folders)
        with open_file(self.folders[1], "users") as connection:
            connection.execute("UPDATE user SET password_hash = 'pbkdf2:other'")
        self.assertFalse([p for p in self.problems() if "pbkdf2" in p])


class Told(unittest.TestCase):
    """What the demo says."""

    def test_the_table_fits_a_terminal(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            make.make(Path(folder), **SMALL)
            merge_by_tag([Path(folder) / s for s in "ab"])
            lines = demo.table(check.check([Path(folder) / s for s in "ab"]))
        self.assertLessEqual(max(map(len, lines)), 100)
        self.assertIn("scouting.scouting_data", "\n".join(lines))

    def test_a_folder_that_is_not_the_demos_is_left_alone(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "thesis.txt").write_text("mine")
            with self.assertRaises(demo.Failed):
                demo.clear(Path(folder))
            self.assertTrue((Path(folder) / "thesis.txt").exists())


class Journalled(unittest.TestCase):
    """The journal."""

    def test_the_order_is_that_of_the_commits(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            book = journal.Journal(Path(folder))
            book.write([journal.entry("a", "team", "insert", "t:1:1", 1, at=at) for at in (3, 1, 2)])
            book.close()
            self.assertEqual([e["at"] for e in journal.load(Path(folder))], [1, 2, 3])


if __name__ == "__main__":
    unittest.main()

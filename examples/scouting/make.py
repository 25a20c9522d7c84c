#!/usr/bin/env python3
"""Makes the databases of two servers of a scouting application that began separately.

    python3 make.py FOLDER [--teams 120] [--matches 240] [--rows 3000] [--seed 1]

makes FOLDER/a and FOLDER/b, each with scouting.db, users.db, lockstep.toml and journal.jsonl.
Both servers imported the same events, teams and matches from a public source, in another order and
so under other ids; both have the default users and roles, under other ids and with other password
hashes; both have rows that only they have. Most ids mean one thing here and another there.

Content is written through Python's own SQLite, as the application does.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from random import Random
from typing import Dict, List, NamedTuple, Optional

import content
import journal
from shape import HERE, connect, json_with_tag, paths, quoted, with_tag

TENANTS = [5454, 7001]  # scouting teams: each sees only its own import
ROLES = ["admin", "analytics", "scout", "superadmin"]
KINDS = {"Qualification": "qm", "Playoff": "sf"}
PER_TEAM = ["scouting_data"] * 62 + ["pit_scouting_data"] * 8 + ["team_list_entry"] * 8 + [
    "scouting_alliance_chat"] * 8 + ["strategy_drawing"] * 3 + ["strategy_share"] * 3 + [
    "shared_graph"] * 2 + ["shared_team_ranks"] * 2 + ["alliance_selection"] * 4


def team_tag(number: int, tenant: int) -> str:
    return "t:%d:%d" % (number, tenant)


def event_tag(code: str, tenant: int) -> str:
    return "e:%s:%d" % (code, tenant)


def match_tag(code: str, kind: str, number: int, tenant: int) -> str:
    return "m:%s:%s%d:%d" % (code, KINDS[kind], number, tenant)


def match_row(code: str, kind: str, number: int, tenant: int, numbers: List[int]) -> dict:
    """A match as the public source has it, without the id of its event."""
    red, blue = numbers[:3], numbers[3:6]
    tag = match_tag(code, kind, number, tenant)
    return {
        "match_number": number, "match_type": kind, "scouting_team_number": tenant,
        "red_alliance": with_tag(",".join(map(str, red)), tag, event_tag(code, tenant)),
        "blue_alliance": ",".join(map(str, blue)),
    }


class World(NamedTuple):
    """The public source. Rows are what a server stores, but for ids; `side` says who imported them."""

    events: List[dict]
    teams: List[dict]
    matches: List[dict]  # with the key "event": the tag of the event


def world(teams: int, matches: int, seed: int) -> World:
    """The same for every server of one seed."""
    rng = Random("world %d" % seed)

    def side(index: int) -> str:
        return "both" if index < 8 else rng.choice(["both"] * 18 + ["a", "b"])

    events: List[dict] = []
    for number in range(max(3, teams // 40)):
        again, base = divmod(number, len(content.CODES))
        code = content.CODES[base] + (str(again) if again else "")
        for place, tenant in enumerate(TENANTS):
            # The last event of each tenant was imported on one server only.
            last = number == max(3, teams // 40) - 1
            day = rng.randrange(60)
            events.append({
                "tag": event_tag(code, tenant), "side": "ab"[place] if last else "both", "code": code,
                "name": with_tag(content.EVENTS[base], event_tag(code, tenant)),
                "location": content.TOWNS[base], "start_date": "2025-03-%02d" % (day % 28 + 1),
                "end_date": "2025-03-%02d" % (min(day % 28 + 3, 31)), "year": 2025, "scouting_team_number": tenant,
            })

    rows: List[dict] = []
    for index in range(max(teams, 16)):
        number, tenant = 101 + index // 2 * 7, TENANTS[index % 2]
        name = "%s %s" % (content.HALF[index // 2 % 25], content.OTHER[index // 50 % 26])
        rows.append({
            "tag": team_tag(number, tenant), "side": side(index), "team_number": number,
            "team_name": with_tag(name, team_tag(number, tenant)),
            "location": content.TOWNS[index // 2 % len(content.TOWNS)], "scouting_team_number": tenant,
        })

    played: List[dict] = []
    counts: Dict[str, int] = {}
    numbers = sorted({r["team_number"] for r in rows})
    for index in range(matches):
        event = events[index % len(events)]
        counts[event["tag"]] = number = counts.get(event["tag"], 0) + 1
        kind = "Playoff" if number % 12 == 0 else "Qualification"
        row = match_row(event["code"], kind, number, event["scouting_team_number"],
                        rng.sample(numbers, 6))
        scores = rng.randrange(20, 180), rng.randrange(20, 180)
        row.update(
            tag=match_tag(event["code"], kind, number, event["scouting_team_number"]), event=event["tag"],
            side=event["side"] if event["side"] != "both" else side(index),
            red_score=scores[0], blue_score=scores[1],
            winner="red" if scores[0] > scores[1] else "blue" if scores[1] > scores[0] else "tie",
            timestamp=content.moment(rng),
            # Imported before it was over: that server has no result yet.
            unfinished=rng.choice(["", "", "", "", "", "", "", "", "", "a", "b"]),
        )
        played.append(row)
    return World(events, rows, played)


class Server:
    """Makes the content of one server and stores it."""

    def __init__(self, letter: str, source: World, rows: int, seed: int) -> None:
        self.letter, self.source, self.rows = letter, source, rows
        self.rng = Random("server %s %d" % (letter, seed))
        self.stored: Dict[str, List[dict]] = {}
        self.ids: Dict[str, int] = {}  # tag -> id; tags are unique over all tables
        self.next: Dict[str, int] = {}
        self.made: Dict[str, int] = {}

    def tag(self, prefix: str) -> str:
        """A new tag of this server's own."""
        self.made[prefix] = self.made.get(prefix, 0) + 1
        return "%s:%s0:%d" % (prefix, self.letter, self.made[prefix])

    def put(self, table: str, row: dict, tag: Optional[str] = None) -> None:
        """A row with the next id; a few ids are left out, as rows that were deleted leave them."""
        if tag is not None:
            number = self.next.get(table, 1)
            self.next[table] = number + self.rng.choice([1] * 30 + [2])
            self.ids[tag] = number
            row = dict({"id": number}, **row)
        self.stored.setdefault(table, []).append(row)

    def mine(self, items: List[dict]) -> List[dict]:
        """What this server imported, in its own order."""
        chosen = [i for i in items if i["side"] in ("both", self.letter)]
        self.rng.shuffle(chosen)
        return chosen

    def accounts(self) -> None:
        rng = self.rng
        order = ROLES[:] if self.letter == "a" else [ROLES[3], ROLES[2], ROLES[0], ROLES[1]]
        for name in order:
            self.put("role", {"name": name, "description": "May do what %s may do" % name}, "r:" + name)
        names = ["admin", "superadmin"] if self.letter == "a" else ["superadmin", "admin"]
        # Two people worked at both events and have an account on both servers.
        names += ["ada.garcia", "kai.weber"][:: 1 if self.letter == "a" else -1]
        while len(names) < max(6, min(200, self.rows // 100)):
            first, last = rng.choice(content.FIRST).lower(), rng.choice(content.LAST).lower()
            name = "%s.%s.%s%d" % (first, last, self.letter, len(names))
            names.insert(rng.randrange(1, len(names) + 1), name)
        self.people = names
        for name in names:
            made = content.moment(rng, 0, 10)
            self.put("user", {
                "username": name, "email": name + "@example.org", "password_hash": content.password_hash(rng),
                "scouting_team_number": rng.choice(TENANTS), "is_active": 1, "created_at": made,
                "updated_at": content.moment(rng, 11, 40), "last_login": content.moment(rng, 11, 40),
                "profile_picture": "img/avatars/default.png", "must_change_password": int(name in ROLES),
            }, "u:" + name)
            role = name if name in ROLES else "analytics" if rng.random() < 0.1 else "scout"
            self.put("user_roles", {"user_id": self.ids["u:" + name], "role_id": self.ids["r:" + role]})

    def imports(self) -> None:
        self.events, self.teams, self.matches = (self.mine(part) for part in self.source)
        drop = ("tag", "side", "event", "unfinished")
        for table, rows in (("event", self.events), ("team", self.teams)):
            for row in rows:
                self.put(table, {k: v for k, v in row.items() if k not in drop}, row["tag"])
        for row in self.matches:
            kept = {k: v for k, v in row.items() if k not in drop}
            if row["unfinished"] == self.letter:
                kept.update(red_score=None, blue_score=None, winner=None)
            self.put("match", dict(kept, event_id=self.ids[row["event"]]), row["tag"])
        for team in self.teams:
            for event in self.events:
                if event["scouting_team_number"] == team["scouting_team_number"] and (
                        team["team_number"] % len(self.events) == 0 or event is self.events[0]):
                    self.put("team_event", {"team_id": self.ids[team["tag"]], "event_id": self.ids[event["tag"]]})

    def alliances(self) -> None:
        rng = self.rng
        self.alliance_tags: List[str] = []
        for _ in range(max(2, self.rows // 300)):
            tag = self.tag("sa")
            self.alliance_tags.append(tag)
            self.put("scouting_alliance", {
                "alliance_name": "%s Alliance" % rng.choice(content.HALF), "description": with_tag("We share data", tag),
                "created_at": content.moment(rng, 0, 10), "updated_at": content.moment(rng, 11, 40), "is_active": 1,
                "config_status": "active",
            }, tag)
            at = {"alliance_id": self.ids[tag]}

            def text(prefix: str, words: str) -> tuple:
                own = self.tag(prefix)
                return with_tag(words, own, tag), own

            for number in TENANTS:
                words, own = text("sm", "Team %d" % number)
                self.put("scouting_alliance_member", dict(
                    at, team_number=number, team_name=words, role="member", status="accepted",
                    joined_at=content.moment(rng), invited_by=TENANTS[0]), own)
            event = rng.choice(self.events)
            words, own = text("se", event["location"])
            self.put("scouting_alliance_event", dict(at, event_code=event["code"], event_name=words, is_active=1,
                                                     added_at=content.moment(rng)), own)
            words, own = text("si", "Join us")
            self.put("scouting_alliance_invitation", dict(
                at, from_team_number=TENANTS[0], to_team_number=TENANTS[1], message=words, status="pending",
                created_at=content.moment(rng)), own)
            words, own = text("sy", "scouting")
            self.put("scouting_alliance_sync", dict(
                at, from_team_number=TENANTS[0], to_team_number=TENANTS[1], data_type=words,
                data_count=rng.randrange(90), last_sync=content.moment(rng), sync_status="synced"), own)
        for number in TENANTS + [9000 + ord(self.letter)]:
            self.put("team_alliance_status", {
                "team_number": number, "active_alliance_id": self.ids[rng.choice(self.alliance_tags)],
                "is_alliance_mode_active": rng.randrange(2), "activated_at": content.moment(rng)}, "ta:%d" % number)
            self.put("scouting_team_settings", {
                "scouting_team_number": number, "account_creation_locked": rng.randrange(2),
                "locked_by_user_id": self.ids["u:" + rng.choice(self.people)], "locked_at": content.moment(rng, 11, 40),
                "created_at": content.moment(rng, 0, 10), "updated_at": content.moment(rng, 11, 40)}, "ts:%d" % number)

    def children(self) -> None:
        rng = self.rng
        undrawn = self.matches[:]
        rng.shuffle(undrawn)
        kinds = sorted(set(PER_TEAM)) * 2 + [rng.choice(PER_TEAM) for _ in range(self.rows)]
        for kind in kinds[: max(self.rows, 18)]:
            if kind == "strategy_drawing" and not undrawn:
                kind = "scouting_data"
            getattr(self, kind)(undrawn.pop() if kind == "strategy_drawing" else rng.choice(self.matches))

    def scouting_data(self, match: dict) -> None:
        tag, team = self.tag("sd"), self.rng.choice(self.teams)
        person = self.rng.choice(self.people)
        self.put("scouting_data", {
            "match_id": self.ids[match["tag"]], "team_id": self.ids[team["tag"]],
            "scouting_team_number": match["scouting_team_number"], "scout_name": person,
            "scout_id": self.ids["u:" + person], "scouting_station": self.rng.randrange(1, 7),
            "timestamp": content.moment(self.rng), "alliance": self.rng.choice(["red", "blue"]),
            "data_json": json_with_tag(tag, {"match_id": match["tag"], "team_id": team["tag"],
                                             "scout_id": "u:" + person}, **content.entry(self.rng)),
        }, tag)

    def pit_scouting_data(self, match: dict) -> None:
        tag, team, person = self.tag("pd"), self.rng.choice(self.teams), self.rng.choice(self.people)
        self.put("pit_scouting_data", {
            "team_id": self.ids[team["tag"]], "event_id": self.ids[match["event"]],
            "scouting_team_number": match["scouting_team_number"], "scout_name": person,
            "scout_id": self.ids["u:" + person], "timestamp": content.moment(self.rng),
            "data_json": json_with_tag(tag, {"team_id": team["tag"], "event_id": match["event"],
                                             "scout_id": "u:" + person}, **content.pit(self.rng)),
            "local_id": content.share_id(self.rng), "is_uploaded": 1, "device_id": "tablet-%d" % self.rng.randrange(9),
        }, tag)

    def team_list_entry(self, match: dict) -> None:
        tag, team = self.tag("tl"), self.rng.choice(self.teams)
        self.put("team_list_entry", {
            "team_id": self.ids[team["tag"]], "event_id": self.ids[match["event"]],
            "reason": with_tag(self.rng.choice(content.REMARKS), tag, team["tag"], match["event"]),
            "timestamp": content.moment(self.rng), "type": self.rng.choice(["do_not_pick", "avoid"]),
            "scouting_team_number": match["scouting_team_number"],
        }, tag)

    def scouting_alliance_chat(self, match: dict) -> None:
        tag, alliance = self.tag("sc"), self.rng.choice(self.alliance_tags)
        self.put("scouting_alliance_chat", {
            "alliance_id": self.ids[alliance], "from_team_number": match["scouting_team_number"],
            "from_username": self.rng.choice(self.people), "message_type": "text",
            "message": with_tag(self.rng.choice(content.CHAT), tag, alliance),
            "created_at": content.moment(self.rng), "is_read": self.rng.randrange(2),
        }, tag)

    def strategy_drawing(self, match: dict) -> None:
        # One per match, so two servers may have drawn for the same match: one drawing, two versions.
        tag = "dr:" + match["tag"]
        self.put("strategy_drawing", {
            "match_id": self.ids[match["tag"]], "scouting_team_number": match["scouting_team_number"],
            "data_json": json_with_tag(tag, {"match_id": match["tag"]}, lines=content.lines(self.rng),
                                       drawn_on=self.letter),
            "last_updated": content.moment(self.rng, 11, 40), "created_at": content.moment(self.rng, 0, 10),
        }, tag)

    def strategy_share(self, match: dict) -> None:
        tag, person = self.tag("ss"), self.rng.choice(self.people)
        self.put("strategy_share", {
            "match_id": self.ids[match["tag"]], "created_by": self.ids["u:" + person], "revoked": 0,
            "token": with_tag("%032x" % self.rng.getrandbits(128), tag, match["tag"], "u:" + person),
            "created_at": content.moment(self.rng),
        }, tag)

    def _shared(self, prefix: str, match: dict) -> tuple:
        tag = self.tag(prefix)
        return tag, {
            "share_id": content.share_id(self.rng), "title": "How we compare", "event_id": self.ids[match["event"]],
            "description": with_tag("Shared after the first day", tag, match["event"]), "metric": "total_points",
            "created_by_team": match["scouting_team_number"], "created_by_user": self.rng.choice(self.people),
            "created_at": content.moment(self.rng), "view_count": self.rng.randrange(50), "is_active": 1,
            "is_public": self.rng.randrange(2), "allow_comments": 1,
        }

    def shared_graph(self, match: dict) -> None:
        tag, row = self._shared("sg", match)
        numbers = [t["team_number"] for t in self.rng.sample(self.teams, 3)]
        self.put("shared_graph", dict(row, team_numbers=str(numbers), graph_types='["bar"]', data_view="averages"), tag)

    def shared_team_ranks(self, match: dict) -> None:
        tag, row = self._shared("sr", match)
        self.put("shared_team_ranks", row, tag)

    def alliance_selection(self, match: dict) -> None:
        picks = [self.ids[t["tag"]] for t in self.rng.sample(self.teams, 4)]
        self.made["as"] = count = self.made.get("as", 0) + 1
        # The time is the tag: its last digits are the server's.
        stamp = content.moment(self.rng)[:-6] + "%05d%d" % (count % 100_000, "ab".index(self.letter))
        self.put("alliance_selection", {
            "alliance_number": self.rng.randrange(1, 9), "captain": picks[0], "first_pick": picks[1],
            "second_pick": picks[2], "third_pick": picks[3] if self.rng.random() < 0.5 else None,
            "event_id": self.ids[match["event"]], "timestamp": stamp,
            "scouting_team_number": match["scouting_team_number"],
        }, "as:" + stamp)

    def own_affairs(self) -> None:
        """The tables that belong to this server and must never travel."""
        rng = self.rng
        for number in range(12):
            tag = self.tag("la")
            self.put("login_attempts", {
                "ip_address": "192.0.2.%d" % rng.randrange(1, 255), "username": rng.choice(self.people),
                "team_number": rng.choice(TENANTS), "attempt_time": content.moment(rng), "success": int(number % 4 > 0),
                "user_agent": with_tag("Mozilla/5.0", tag)}, tag)
        for name in ("app.py", "static/app.js", "config/game.json"):
            tag = self.tag("fc")
            self.put("file_checksums", {
                "file_path": with_tag(name, tag), "checksum": "%064x" % rng.getrandbits(256),
                "file_size": rng.randrange(90_000), "last_modified": content.moment(rng), "sync_status": "synced"}, tag)
        for number in range(5):
            tag = self.tag("dc")
            self.put("database_changes", {
                "table_name": "match", "record_id": str(number), "operation": "update",
                "change_data": with_tag("{}", tag), "timestamp": content.moment(rng), "sync_status": "pending",
                "created_by_server": "server-" + self.letter}, tag)
        server = self.tag("sv")
        self.put("sync_servers", {
            "name": with_tag("the other one", server, "u:admin"), "host": "scout-%s.example.org" % self.letter,
            "port": 8080, "protocol": "https", "is_active": 1, "is_primary": int(self.letter == "a"),
            "created_by": self.ids["u:admin"], "server_id": "server-" + self.letter}, server)
        tag = self.tag("cf")
        self.put("sync_config", {
            "key": "server_id", "value": with_tag("server-" + self.letter, tag, "u:superadmin"), "data_type": "string",
            "updated_by": self.ids["u:superadmin"], "last_updated": content.moment(rng)}, tag)
        for _ in range(4):
            tag = self.tag("lg")
            self.put("sync_logs", {
                "server_id": self.ids[server], "sync_type": "full", "direction": "pull", "status": "completed",
                "started_at": content.moment(rng), "items_synced": rng.randrange(2000),
                "sync_details": with_tag("1016 records", tag, server)}, tag)

    def store(self, folder: Path) -> None:
        """Writes the two files and the journal of what they hold."""
        folder.mkdir(parents=True, exist_ok=True)
        self.accounts()
        self.imports()
        self.alliances()
        self.children()
        self.own_affairs()
        for database, path in paths(folder).items():
            if path.exists():
                raise SystemExit("%s is there already; I don't write over a database" % path)
            connection = connect(path)
            script = (HERE / (database + ".sql")).read_text(encoding="utf-8")
            connection.executescript(script)
            names = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            # Parents first: sqlite_master lists the tables in the order of the script.
            for name in names:
                for row in self.stored.get(name, []):
                    connection.execute("INSERT INTO %s (%s) VALUES (%s)" % (
                        quoted(name), ", ".join(map(quoted, row)), ", ".join("?" * len(row))), list(row.values()))
            connection.commit()
            connection.close()
        shutil.copyfile(str(HERE / "lockstep.toml"), str(folder / "lockstep.toml"))
        book = journal.Journal(folder)
        book.write(journal.initial(self.letter, folder))
        book.close()


def make(folder: Path, teams: int = 120, matches: int = 240, rows: int = 3000, seed: int = 1) -> None:
    """Both servers."""
    for letter in "ab":
        Server(letter, world(teams, matches, seed), rows, seed).store(Path(folder) / letter)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--teams", type=int, default=120, help="rows of table team in the public source")
    parser.add_argument("--matches", type=int, default=240, help="rows of table match in the public source")
    parser.add_argument("--rows", type=int, default=3000, help="scouting entries and the like, on each server")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if min(args.teams, args.matches, args.rows) < 1:
        parser.error("at least one team, match and row")
    make(args.folder, args.teams, args.matches, args.rows, args.seed)
    for letter in "ab":
        print("%s: %s" % (letter, ", ".join(str(p) for p in paths(args.folder / letter).values())))
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Shows two servers of the scouting application becoming one while both are written to.

    python3 demo.py --lockstep PATH/TO/lockstep [--folder .demo] [--rows 3000]

Makes the databases of two servers that began separately, attaches Lockstep on both, pairs them,
lets the application write both during the sync, syncs until the two sides agree, then writes the
same rows differently on both and syncs again. In the end both SQLite files are checked by the tags
in their rows, without asking Lockstep. Ends with status 0 only if nothing is lost or misplaced.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Dict, List

import check
import make
import shape
import writer
from servers import DIFFER, DONE, WAITS, Failed, Node, clear, say


class Runs:
    """What the runs of the demo did, summed up from the joining side's reports."""

    def __init__(self) -> None:
        self.totals = {k: 0 for k in ("sent", "received", "applied", "conflicts", "id_moves", "rounds")}
        self.count = 0

    def add(self, entry: dict) -> dict:
        self.count += 1
        for key in self.totals:
            self.totals[key] += entry.get(key) or 0
        return entry


def until_verified(node: Node, runs: Runs, what: str) -> None:
    """Syncs until both sides' digests agree. Without writers the first run should do it."""
    for attempt in range(1, 9):
        entry = runs.add(node.run("sync", allowed=(DONE, WAITS, DIFFER))["peers"][0])
        if entry.get("error"):
            raise Failed("%s: %s" % (what, entry["error"]))
        if entry["verified"]:
            say("   %s: verified in run %d" % (what, attempt))
            return
    raise Failed("%s: the two sides did not agree after %d runs" % (what, attempt))


def table(found: check.Findings) -> List[str]:
    """The rows on each side, for a person."""
    line = "%-42s %8s %8s %10s %10s %8s"
    out = [line % ("table", "rows a", "rows b", "other id", "id taken", "waiting"), "-" * 92]
    for name in shape.SYNCED:
        counts = found.rows[name]
        marks = [found.moved.get(name, 0), found.taken.get(name, 0), found.undecided.get(name, 0)]
        out.append(line % ((shape.TABLES[name].database + "." + name,) + tuple(counts)
                           + tuple(m or "" for m in marks)))
    sums = [sum(found.rows[n][i] for n in shape.SYNCED) for i in (0, 1)]
    marks = [sum(d.values()) for d in (found.moved, found.taken, found.undecided)]
    out += ["-" * 92, line % (("all that is synced",) + tuple(sums) + tuple(marks))]
    out += ["", "other id: rows that have different ids on a and b",
            "id taken: ids that mean one row on a and another on b",
            "waiting:  values of which each server shows its own until a person decides"]
    return out


def play(a: Node, b: Node, args: argparse.Namespace) -> bool:
    """The whole demo. Returns whether everything was as it should be."""
    say("1. Two servers that began separately")
    make.make(args.folder, args.teams, args.matches, args.rows, args.seed)
    before = check.check([a.folder, b.folder])
    say("   %d rows on a, %d on b; %d ids mean one thing on a and another on b" % (
        *[sum(before.rows[t][i] for t in shape.SYNCED) for i in (0, 1)], sum(before.taken.values())))

    say("2. Lockstep is attached on both")
    for node in (a, b):
        node.run("init", "--name", "server-" + node.name)
        databases = node.attach()["databases"]
        say("   %s: %s" % (node.name, ", ".join("%s (%d tables synced)" % (
            d["name"], sum(1 for t in d["tables"] if t["synced"])) for d in databases)))
    say("   agent on a: " + a.serve())

    say("3. The application writes both, all the time")
    for node in (a, b):
        node.start_application(args.seed)
    time.sleep(1)

    say("4. They are paired; the first sync runs while both are written to")
    runs = Runs()
    invite = a.run("invite")["invite"]
    # Under constant writers a run may end without having stood still: not verified, not failed.
    paired = b.run("pair", "-", "--as", "server-a", "--yes", given=invite + "\n", allowed=(DONE, WAITS, DIFFER))
    runs.add(paired["run"])
    for _ in range(args.live_runs):
        runs.add(b.run("sync", allowed=(DONE, WAITS, DIFFER))["peers"][0])
    written = [node.stop_application() for node in (a, b)]
    for node, did in zip((a, b), written):
        say("   the application on %s: %d writes, %d failed, longest wait %.0f ms" % (
            node.name, sum(did["done"].values()), len(did["failed"]), did["longest_ms"]))
    until_verified(b, runs, "first sync")
    quiet = check.check([a.folder, b.folder])

    say("5. Apart from each other, both servers change the same rows")
    expected = writer.contest([a.folder, b.folder])
    until_verified(b, runs, "second sync")

    say("6. The proof")
    found = check.check([a.folder, b.folder])
    proofs = [node.run("verify", allowed=(DONE, WAITS, DIFFER)) for node in (b, a)]
    states = [node.run("status") for node in (a, b)]
    say("")
    for text in table(found):
        say(text)
    say("")
    say("runs %d: %d changes sent, %d received, %d applied, %d ids moved, %d conflicts" % (
        runs.count, runs.totals["sent"], runs.totals["received"], runs.totals["applied"],
        runs.totals["id_moves"], runs.totals["conflicts"]))
    say("conflicts to look at: a %d, b %d    held: a %d, b %d" % (
        states[0]["conflicts_unreviewed"], states[1]["conflicts_unreviewed"], *[_held(s) for s in states]))
    say("")

    undecided = sum(found.undecided.values())
    judged = [
        ("both files hold every row once, each child at its parent, nothing lost (by tags)",
         not quiet.problems and not found.problems),
        ("all digests equal, on both sides", all(p["equal"] for p in proofs)),
        ("values lost: 0", all(s["values_lost"] == 0 for s in states)),
        ("no write of the application failed or met an id that had changed its meaning",
         not any(d["failed"] or d["surprises"] for d in written)),
        ("%d values that differed on purpose wait for a person, the later of %d stands on both sides" % (
            undecided, found.contested),
         undecided >= expected["review"] + expected["password"] and found.contested >= expected["newest"]
         and all(_held(s) > 0 for s in states)),
        ("capture is well on both sides",
         all(d["capture"] == "ok" for s in states for d in s["databases"])),
    ]
    for text, good in judged:
        say("%s  %s" % ("ok  " if good else "FAIL", text))
    details = quiet.problems + found.problems + [t for d in written for t in d["failed"] + d["surprises"]]
    for text in details[:30]:
        say("      " + text)
    if len(details) > 30:
        say("      … and %d more" % (len(details) - 30))
    return all(good for _, good in judged)


def _held(state: Dict) -> int:
    return sum(d["held"] for d in state["databases"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lockstep", type=Path, required=True, help="the lockstep command")
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="work folder, made anew")
    parser.add_argument("--teams", type=int, default=120)
    parser.add_argument("--matches", type=int, default=240)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--live-runs", type=int, default=3, help="syncs while the application writes")
    args = parser.parse_args()
    args.folder = args.folder.resolve()
    if not os.access(str(args.lockstep), os.X_OK):
        say("%s is not there. Build it first: cargo build -p lockstep-cli" % args.lockstep)
        return 2
    binary = args.lockstep.resolve()
    began = time.monotonic()
    a, b = (Node(binary, args.folder / name, name) for name in "ab")
    good = False
    try:
        clear(args.folder)
        good = play(a, b, args)
    except Failed as error:
        say("FAIL  %s" % error)
    except KeyboardInterrupt:
        say("stopped")
    finally:
        for node in (b, a):
            node.end()
    say("")
    say("%s in %.0f s. Both servers are in %s; look around with" % (
        "Everything agrees" if good else "NOT everything agrees", time.monotonic() - began, args.folder))
    say("  %s --home %s status" % (args.lockstep, a.home))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

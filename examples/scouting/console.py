#!/usr/bin/env python3
"""Opens the console on one of two servers of the scouting application, so that there is something to see.

    python3 console.py --lockstep PATH/TO/lockstep --console PATH/TO/lockstep-console [--folder .console]

Makes two servers that began separately, attaches Lockstep on both, pairs them, and lets both change the same rows
while they can't hear each other. Then the console opens on the school's server; the venue's agent runs beside it. All of
it ends when the console is quit. The folder stays until the next time.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import make
import writer
from servers import DIFFER, DONE, WAITS, Failed, Node, clear, say

ENDED = {0, -signal.SIGINT, -signal.SIGTERM}


def meet(school: Node, venue: Node, folder: Path, rows: int) -> None:
    """Two servers that have met, with conflicts between them that were decided by rule and that wait for a person."""
    make.make(folder, 60, 120, rows, 1)
    for node in (school, venue):
        node.run("init", "--name", node.name)
        node.attach()
    venue.serve()
    invite = venue.run("invite")["invite"]
    school.run("pair", "-", "--as", venue.name, "--yes", given=invite + "\n", allowed=(DONE, WAITS, DIFFER))
    for node in (school, venue):
        node.run("pause")
    writer.contest([school.folder, venue.folder])
    for node in (school, venue):
        node.run("resume")
    school.run("sync", allowed=(DONE, WAITS, DIFFER))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lockstep", type=Path, required=True, help="the lockstep command")
    parser.add_argument("--console", type=Path, required=True, help="the console's program")
    parser.add_argument("--folder", type=Path, default=Path(".console"), help="work folder, made anew")
    parser.add_argument("--rows", type=int, default=1000, help="scouting entries and the like, on each server")
    args = parser.parse_args()
    args.folder = args.folder.resolve()
    for program in (args.lockstep, args.console):
        if not os.access(str(program), os.X_OK):
            say("%s is not there. Build it first: make console" % program)
            return 2
    school = Node(args.lockstep.resolve(), args.folder / "a", "school-server")
    venue = Node(args.lockstep.resolve(), args.folder / "b", "venue-server")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    window = None
    try:
        say("Two servers of the scouting application are made in %s" % args.folder)
        clear(args.folder)
        meet(school, venue, args.folder, args.rows)
        say("The console opens on %s. Let the application on %s write something:" % (school.name, venue.name))
        say("  %s %s %s --server b --ops 5 --pause 0.5" % (
            sys.executable, Path(writer.__file__).resolve(), venue.folder))
        window = subprocess.Popen([str(args.console.resolve())], env=dict(os.environ, LOCKSTEP_HOME=str(school.home)))
        return 0 if window.wait() in ENDED else 1
    except Failed as error:
        say("FAIL  %s" % error)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        if window is not None and window.poll() is None:
            window.terminate()
            window.wait()
        venue.end()


if __name__ == "__main__":
    sys.exit(main())

"""Puts the deliberate faults of list.toml, one after another, into a copy of the project, and runs the tests on it that
have to notice. Prints what noticed each, and ends with 1 if something did not.

    python3 tests/mutants/run.py [--only TEXT] [--target DIR]

Always true here: the project itself is not touched; the copy is made anew for each fault. A fault that does not compile
counts as not noticed: it shows nothing.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The soonest first.
TESTS = [
    ("random schedules", ["-p", "lockstep-engine", "--test", "properties"]),
    ("small worlds", ["-p", "lockstep-engine", "--test", "small_worlds"]),
    ("simulation", ["-p", "lockstep-tests", "--test", "simulation"]),
    ("power cuts", ["-p", "lockstep-tests", "--test", "power"]),
]
# Enough to notice.
FEW = {"LOCKSTEP_SEEDS": "40", "LOCKSTEP_WORLDS": "500"}


def copy_to(folder):
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def cargo(folder, target, arguments, more):
    environment = dict(os.environ, CARGO_TARGET_DIR=str(target), RUST_BACKTRACE="0", **more)
    return subprocess.run(["cargo", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=1800)


def judge(folder, target, first):
    """What noticed, and its first words."""
    for name, selection in sorted(TESTS, key=lambda test: test[0] != first):
        built = cargo(folder, target, ["test", "--locked", "-q", "--no-run", *selection], {})
        if built.returncode:
            return None, "it does not compile: " + built.stderr.strip()[-600:]
        ran = cargo(folder, target, ["test", "--locked", "-q", *selection], FEW)
        if ran.returncode:
            said = [line.strip() for line in (ran.stdout + ran.stderr).splitlines()]
            words = [line for line in said if line.startswith(("seed ", "after call", "a", "b")) and ": " in line and "`" not in line]
            return name, (words or said)[0][:160]
    return None, "nothing noticed"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="faults whose name holds this text")
    parser.add_argument("--target", default=str(ROOT / "target" / "mutants"), help="where to build")
    options = parser.parse_args()
    mutants = tomllib.loads((ROOT / "tests/mutants/list.toml").read_text())["mutant"]
    survivors = 0
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        copy_to(folder)
        for name, selection in TESTS:
            if cargo(folder, pathlib.Path(options.target), ["test", "--locked", "-q", *selection], FEW).returncode:
                sys.exit(f"{name}: fails without any fault")
        for mutant in (m for m in mutants if options.only in m["name"]):
            path = folder / mutant["file"]
            text = path.read_text()
            if text.count(mutant["old"]) != 1:
                sys.exit(f"`{mutant['name']}`: the text to replace is not there once")
            path.write_text(text.replace(mutant["old"], mutant["new"]))
            began = time.monotonic()
            noticed, said = judge(folder, pathlib.Path(options.target), mutant.get("first"))
            path.write_text(text)
            survivors += noticed is None
            print(f"{noticed or 'NOTHING':18} {mutant['name']}  ({time.monotonic() - began:.0f} s)\n    {said}", flush=True)
    print(f"{survivors} not noticed")
    sys.exit(1 if survivors else 0)


main()

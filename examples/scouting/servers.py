"""Two servers of the scouting application with Lockstep beside them: their folders, nodes and agents."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import List, Optional, Sequence

import shape

MARK = ".made-by-lockstep-demo"
DONE, WAITS, DIFFER = 0, 3, 4  # exit statuses of lockstep
PATIENCE = 300  # seconds that one command may take


class Failed(Exception):
    """What was begun can't go on, and why."""


def say(text: str) -> None:
    print(text, flush=True)


def clear(folder: Path) -> None:
    """An empty work folder. One that was not made here is left alone."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise Failed("%s is not empty and was not made by this example. Name another with --folder." % folder)
        shutil.rmtree(str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


class Node:
    """One server: its databases, its Lockstep home, and the processes started for it."""

    def __init__(self, binary: Path, folder: Path, name: str) -> None:
        self.binary, self.folder, self.name = binary, folder, name
        self.home = folder / "home"
        self.agent: Optional[subprocess.Popen] = None
        self.app: Optional[subprocess.Popen] = None

    def command(self, *args: str) -> List[str]:
        return [str(self.binary), "--home", str(self.home), *args]

    def run(self, *args: str, given: str = "", allowed: Sequence[int] = (DONE, WAITS)) -> dict:
        """Runs one command with --json and returns its document."""
        try:
            done = subprocess.run(self.command("--json", *args), input=given, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, universal_newlines=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed("%s: lockstep %s did not end within %d s" % (self.name, args[0], PATIENCE)) from None
        try:
            document = json.loads(done.stdout)
        except ValueError:
            raise Failed("%s: lockstep %s ended with %d and printed no JSON.\n%s" % (
                self.name, args[0], done.returncode, done.stderr.strip()[-2000:])) from None
        if done.returncode not in allowed:
            error = document.get("error", {})
            raise Failed("%s: lockstep %s ended with %d: %s %s" % (
                self.name, args[0], done.returncode, error.get("message", json.dumps(document)[:2000]),
                error.get("hint") or ""))
        return document

    def attach(self) -> dict:
        files = ["%s=%s" % item for item in shape.paths(self.folder).items()]
        return self.run("attach", *files, "--config", str(self.folder / "lockstep.toml"))

    def serve(self) -> str:
        """Starts the agent and returns its address. The rest of what it says is in agent.log."""
        log = open(str(self.folder / "agent.log"), "wb")
        self.agent = subprocess.Popen(self.command("agent", "--listen", "127.0.0.1:0"),
                                      stdout=subprocess.PIPE, stderr=log)
        log.close()
        first: "queue.Queue[bytes]" = queue.Queue()
        stdout = self.agent.stdout
        assert stdout is not None

        def drain() -> None:
            for line in stdout:
                first.put(line)

        threading.Thread(target=drain, daemon=True).start()
        try:
            line = first.get(timeout=60).decode().strip()
        except queue.Empty:
            raise Failed("%s: the agent did not say where it listens; see %s" % (
                self.name, self.folder / "agent.log")) from None
        if not line.startswith("listening on https://"):
            raise Failed("%s: the agent said %r" % (self.name, line))
        return line.split()[-1]

    def start_application(self, seed: int) -> None:
        self.app = subprocess.Popen(
            [sys.executable, str(shape.HERE / "writer.py"), str(self.folder), "--server", self.name,
             "--threads", "2", "--until-eof", "--seed", str(seed), "--pause", "0.02"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def stop_application(self) -> dict:
        assert self.app is not None
        try:
            out, _ = self.app.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            raise Failed("%s: the application did not stop" % self.name) from None
        self.app = None
        return json.loads(out)

    def end(self) -> None:
        """Ends what was started here, by its id."""
        for process in (self.app, self.agent):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.app = self.agent = None

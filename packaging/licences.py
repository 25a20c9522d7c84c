"""Writes whose work a package holds, under which licences, with their texts: `licences.py FILE`.

Looks at what Cargo links into the console and the command, and at what Vite puts into the page, in the folders where
both have unpacked it. A library without a licence file is named with what its manifest says.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("licen", "copying", "notice", "unlicense", "copyright")
OURS = {"lockstep-console", "lockstep-cli"}
# A library of the page that its manifest lists among the tools, since it is one, too: its runtime is in the page.
IN_THE_PAGE = {"node_modules/svelte"}


def texts(folder):
    """The licence files of one library."""
    files = sorted(f for f in folder.iterdir() if f.is_file() and f.name.lower().startswith(NAMES))
    return tuple(f.read_text(encoding="utf-8", errors="replace").strip() for f in files)


def crates():
    """Every crate that is linked: (name, version, what its manifest says, texts)."""
    target = next(line.split()[1] for line in run("rustc", "-vV").splitlines() if line.startswith("host:"))
    found = json.loads(run("cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", target))
    packages = {p["id"]: p for p in found["packages"]}
    nodes = {n["id"]: n for n in found["resolve"]["nodes"]}
    todo = [p["id"] for p in found["packages"] if p["name"] in OURS]
    seen = set()
    while todo:
        package = todo.pop()
        if package not in seen:
            seen.add(package)
            linked = [d["pkg"] for d in nodes[package]["deps"] if any(k["kind"] is None for k in d["dep_kinds"])]
            todo += linked
    for package in (packages[p] for p in seen):
        if package["source"] is not None:
            folder = Path(package["manifest_path"]).parent
            yield package["name"], package["version"], package["license"] or "see its text", texts(folder)


def page():
    """Every library whose code is in the page."""
    lock = json.loads((ROOT / "ui/package-lock.json").read_text())
    for path, package in lock["packages"].items():
        folder = ROOT / "ui" / path
        if path and (path in IN_THE_PAGE or not package.get("dev")) and folder.is_dir():
            yield path.split("node_modules/")[-1], package["version"], package.get("license", "see its text"), texts(folder)


def run(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    texts_of = {}  # by its words: the text, and whose it is; what is the same but for its line breaks is said once
    silent = []
    libraries = sorted({*crates(), *page()})
    for name, version, licence, found in libraries:
        library = f"{name} {version} ({licence})"
        for text in found:
            texts_of.setdefault(" ".join(text.split()), (text, []))[1].append(library)
        if not found:
            silent.append(library)
    rule = "\n\n" + "-" * 78 + "\n"
    parts = ["Lockstep is licensed as MIT OR Apache-2.0, at your choice. It holds the work of others, named below."]
    parts += [(ROOT / name).read_text().strip() for name in ("LICENSE-MIT", "LICENSE-APACHE")]
    parts += ["\n".join([*whose, "", text]) for text, whose in texts_of.values()]
    parts += ["\n".join(["Without a text of their own:", *silent])]
    Path(sys.argv[1]).write_text(rule.join(parts) + "\n", encoding="utf-8")
    print(f"licences: {len(libraries)} libraries, {len(texts_of)} texts")


if __name__ == "__main__":
    main()

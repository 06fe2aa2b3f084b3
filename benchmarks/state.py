"""What a figure comes from: the state of the code, and the command line."""

import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import jemstone
from jemstone.files import read_json

ROOT = Path(__file__).parent.parent.resolve()


@cache
def commit():
    """Name the state of the code when this is first asked: before anything is measured.

    A state with changes of its own is not measured, nor a library from elsewhere.
    """
    if not Path(jemstone.__file__).resolve().is_relative_to(ROOT):
        sys.exit(f"jemstone is that of {Path(jemstone.__file__).parent}, not of {ROOT}")
    git = ["git", "-C", str(ROOT)]
    changes = subprocess.check_output([*git, "status", "--porcelain", "src", "tests", "benchmarks"])
    if changes.strip():
        sys.exit("commit the changes in src, tests and benchmarks before you measure")
    return subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()


def command():
    """Return the command line of this process, as a shell takes it."""
    return shlex.join(["python", *sys.argv])


def begun(out, head):
    """Return what a file holds, or the head of a new one; refuse rows that do not compare."""
    found = read_json(out) if out.is_file() else {"rows": {}}
    differ = [name for name in head if found["rows"] and found.get(name) != head[name]]
    if differ:
        told = ", ".join(f"{name} {found.get(name)!r}, not {head[name]!r}" for name in differ)
        sys.exit(f"{out} holds rows of {told}: choose another --out")
    return found | head

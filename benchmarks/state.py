"""The state of the code that a figure comes from."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commit():
    """Name the state of the code; a state with changes of its own is not measured."""
    git = ["git", "-C", str(ROOT)]
    changes = subprocess.check_output([*git, "status", "--porcelain", "src", "tests", "benchmarks"])
    if changes.strip():
        sys.exit("commit the changes in src, tests and benchmarks before you measure")
    return subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()

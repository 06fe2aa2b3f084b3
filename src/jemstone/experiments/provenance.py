"""Where figures come from: the state of the code that made them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["source_commit"]


def source_commit() -> str | None:
    """Return the commit of this code, ``-dirty`` behind it where files were changed since.

    Returns:
        None where the code is not that of a repository, as where it was installed.
    """
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    readonly = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        # A package installed somewhere below a repository of another kind is not tracked by it.
        tracked = [*git, "ls-files", "--error-unmatch", here.name]
        subprocess.run(tracked, capture_output=True, check=True, env=readonly)
        named = [*git, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        done = subprocess.run(named, capture_output=True, check=True, env=readonly)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode().strip() or None

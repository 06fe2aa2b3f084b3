"""Who speaks: of many processes that ``torchrun`` started, the first."""

from __future__ import annotations

import os

__all__ = ["restarted", "speaks"]


def speaks() -> bool:
    """Tell whether this process is the one that people hear."""
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"


def restarted() -> bool:
    """Tell whether ``torchrun`` gave the same command again, since a process had died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0

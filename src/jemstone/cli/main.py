"""The command ``jemstone``: find the command, run it, turn what went wrong into an exit code."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Sequence

from jemstone._version import __version__
from jemstone.cli.voice import speaks
from jemstone.errors import Mistake, of_the_environment, unknown
from jemstone.memory import keep_freed_memory

__all__ = ["main"]

_COMMANDS = {
    "quickstart": "train, sample and judge a Robust JEM on real digits, in minutes",
    "recipes": "list the recipes, or show one as a card with the source of each constant",
    "train": "train a recipe, or resume a run",
    "sample": "draw images from a run",
    "evaluate": "judge a run",
    "reproduce": "train and judge every row of the paper's table, and weigh its claims",
    "gradients": "compare the input gradients of runs, as a picture and in numbers",
    "landscape": "draw what runs on moons or spirals believe, with exact figures",
    "status": "tell how far a run is",
    "bench": "measure speed beside a plain baseline",
    "doctor": "tell what is wrong with a run, and which knob to turn",
}
_MISTAKE, _DIVERGED, _ENVIRONMENT = 2, 3, 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; by default the process's.

    Returns:
        0 done; 2 the user's mistake; 3 diverged; 4 the environment failed; 128 + the signal's
        number where the run was interrupted, saved and can be resumed. Of many processes, the
        first says what went wrong in all of them, and any what went wrong around it alone.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path may hold bytes that are no text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _run(argv)
    except Mistake as mistake:
        return _fail(str(mistake), _MISTAKE)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except Exception as error:
        if of_the_environment(error):
            told = str(error) or "out of memory"
            return _fail(f"the environment failed: {told}", _ENVIRONMENT)
        if isinstance(error, RuntimeError):
            from jemstone.training import Diverged

            if isinstance(error, Diverged):
                return _fail(str(error), _DIVERGED)
        raise


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if argv[0] == "--version":
        print(__version__)
        return 0
    if argv[0] not in _COMMANDS:
        raise unknown("command", argv[0], _COMMANDS)
    from jemstone.cli.parser import underscored

    keep_freed_memory()
    command = importlib.import_module(f"jemstone.cli.{argv[0]}")
    code: int = command.run(underscored(argv[1:]))
    return code


def _overview() -> str:
    lines = [f"  {name:<11} {summary}" for name, summary in _COMMANDS.items()]
    return "\n".join(
        [
            "Joint energy-based models: one network that classifies, resists and generates.",
            "",
            "usage: jemstone COMMAND [options]      (each command has --help with an example)",
            "",
            *lines,
        ]
    )


def _fail(line: str, code: int) -> int:
    if speaks() or code == _ENVIRONMENT:
        print(f"jemstone: {' '.join(line.split())}", file=sys.stderr)
    return code

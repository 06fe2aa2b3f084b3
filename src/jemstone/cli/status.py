"""``jemstone status``: how far a run is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jemstone.cli.parser import Parser
from jemstone.experiments import Run
from jemstone.training import RunFolder

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Print a run's progress and newest numbers."""
    parser = Parser("status", "Tell how far a run is.", "jemstone status runs/a")
    parser.add_argument("run", help="folder of the run")
    opened = Run.open(Path(parser.read(argv).run))
    folder = RunFolder(opened.path)
    lines, events = list(folder.metrics()), list(folder.events())
    step = max(opened.steps_done, lines[-1]["step"] if lines else 0)
    state = "finished" if opened.steps_done >= opened.steps else "unfinished"
    print(f"{opened.path}: {opened.recipe.name} ({opened.recipe.budget}), {state}")
    print(f"  step {step} of {opened.steps}, newest checkpoint at {opened.steps_done}")
    if lines:
        newest = {k: v for k, v in lines[-1].items() if k != "step" and v is not None}
        print("  " + "  ".join(f"{name} {value:.4g}" for name, value in newest.items()))
    for event in events:
        back = f", back to step {event['to']}" if "to" in event else ""
        print(f"  {event['event']} at step {event['step']}{back}: {event['reason']}")
    if events:
        print(f"  what is wrong, and which knob to turn: jemstone doctor {opened.path}")
    if state == "unfinished":
        print(f"  go on with: jemstone train --resume {opened.path}")
    return 0

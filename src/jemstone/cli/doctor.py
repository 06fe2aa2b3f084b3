"""``jemstone doctor``: what is wrong with a run, and which knob to turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jemstone.cli.parser import Parser
from jemstone.experiments import Run, examine, judged_from
from jemstone.training import RunFolder

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Print what is wrong with a run; see ``jemstone doctor --help``."""
    parser = Parser(
        "doctor",
        "Read a run's metrics, name what is wrong, and say which knob to turn.",
        "jemstone doctor runs/a",
    )
    parser.add_argument("run", help="folder of the run")
    opened = Run.open(Path(parser.read(argv).run))
    folder = RunFolder(opened.path)
    metrics, events = list(folder.metrics()), list(folder.events())
    findings = examine(metrics, events, opened.recipe, opened.environment, opened.classes)
    step = metrics[-1]["step"] if metrics else 0
    print(f"{opened.path}: {opened.recipe.name} ({opened.recipe.budget}), step {step}")
    for event in events:
        if "to" in event:
            print(f"  step {event['step']}: {event['reason']}; went back to step {event['to']}")
    for finding in findings:
        print(f"  {finding.name}: {finding.evidence}")
        print(f"    turn {finding.knob}")
    soonest = judged_from(opened.recipe)
    if not metrics and not events:
        print("  no metrics yet: ask again after the first 20 steps")
    elif step < soonest:
        more = "ask again then" if opened.steps >= soonest else f"this run has {opened.steps}"
        print(f"  too short to judge: most sicknesses show from step {soonest} on; {more}")
    elif not findings:
        print("  nothing found")
    return 0

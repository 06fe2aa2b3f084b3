"""What a terminal shows: a bar where somebody watches, plain lines where a file listens."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from jemstone.cli.voice import speaks
from jemstone.model import JointEnergyModel
from jemstone.training import TrainingState

__all__ = ["Watcher", "counted", "results", "say", "watched"]

_SHOWN = ("loss", "accuracy", "robust_accuracy", "energy_data", "energy_samples")
_SHOWN_ON_BAR = _SHOWN[:3]  # a terminal of 80 columns has room for these


def say(line: str) -> None:
    """Print a line for people, on stderr; results go to stdout."""
    if speaks():
        print(line, file=sys.stderr, flush=True)


def results(width: int) -> Console:
    """Return what tables are printed to: stdout, ``width`` columns wide where nobody watches."""
    console = Console()
    return console if console.is_terminal else Console(width=width)


def _numbers(metrics: dict[str, float], names: tuple[str, ...] = _SHOWN) -> str:
    return "  ".join(f"{name} {metrics[name]:.3f}" for name in names if name in metrics)


class Watcher:
    """Listen to a run: show its progress, and stop it when a signal asks.

    Args:
        what: is trained.
        steps: of the whole run.
        plain_every: steps between plain lines.
    """

    def __init__(self, what: str, steps: int, plain_every: int) -> None:
        self.steps = steps
        self.plain_every = plain_every
        self.signal: int | None = None
        self.bar: Progress | None = None
        if sys.stderr.isatty() and speaks():
            self.bar = Progress(
                TextColumn(f"[bold]{what}"),
                BarColumn(bar_width=12),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[numbers]}"),
                console=Console(stderr=True),
            )
            self.task = self.bar.add_task(what, total=steps, numbers="")

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Show where the run is."""
        if self.bar is not None:
            self.bar.update(self.task, completed=step, numbers=_numbers(metrics, _SHOWN_ON_BAR))
            return
        if step % self.plain_every == 0 or step == self.steps:
            left = (self.steps - step) * metrics["seconds_per_step"]
            say(f"step {step}/{self.steps}  {_numbers(metrics)}  {left / 60:.1f} min left")

    def on_event(self, event: dict[str, Any]) -> None:
        """Say what happened."""
        if "to" in event:
            say(
                f"step {event['step']}: {event['reason']}; back to step {event['to']} with the "
                f"learning rate x {event['learning_rate_factor']:.3g}"
            )

    def on_checkpoint(self, state: TrainingState, model: JointEnergyModel) -> None:
        """Say nothing: the folder keeps it."""

    def wants_stop(self) -> bool:
        """Tell whether a signal came."""
        return self.signal is not None

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Ask the run to stop at the end of its step; a second time, leave at once."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        say("stopping: saving after this step (again to leave at once)")


@contextmanager
def counted(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of ``total`` things are done: a bar on a terminal, else one line."""
    if not (sys.stderr.isatty() and speaks()):
        say(what)
        yield lambda done: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def watched(what: str, steps: int, plain_every: int) -> Iterator[Watcher]:
    """Show a run's progress, and let SIGINT and SIGTERM save it."""
    watcher = Watcher(what, steps, plain_every)
    former: dict[int, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        former[int(number)] = signal.signal(number, watcher.on_signal)
    try:
        if watcher.bar is not None:
            with watcher.bar:
                yield watcher
        else:
            yield watcher
    finally:
        for code, handler in former.items():
            signal.signal(code, handler)

"""Where a reproduction is worked on: the plan, the data, the folder, the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jemstone.data import DataSet
from jemstone.experiments.judge import Judge
from jemstone.experiments.reproduction.plan import Plan
from jemstone.metrics import Inception
from jemstone.training import Device, Listener, Quiet

__all__ = ["Watched", "Work"]

Watched = Callable[[str, int], AbstractContextManager[Listener]]
"""Of what is trained and for how many steps: who hears of it, and may stop it."""


@contextmanager
def _unwatched(what: str, steps: int) -> Iterator[Listener]:
    yield Quiet()


@dataclass(frozen=True)
class Work:
    """What every part of a reproduction shares.

    Args:
        plan: joined with what its folder was asked for before.
        data: of the plan.
        out: the folder.
        root: where the data lies.
        weights: folder of weights to adopt for seed 0, ``DATA-RECIPE`` each.
        training: where to train.
        judging: where to draw and to judge.
        cache: where judges are kept, and what they have seen.
        watched: hears of each training.
        progress: hears what is done next.
    """

    plan: Plan
    data: DataSet
    out: Path
    root: str | Path | None = None
    weights: Path | None = None
    training: Device = field(default_factory=Device)
    judging: Device = field(default_factory=Device)
    cache: Path | None = None
    watched: Watched = _unwatched
    progress: Callable[[str], None] = lambda line: None

    def key(self, judge: Judge | Inception, device: Device) -> str:
        """Return a digest of all that figures depend on, beside the weights, sampler and seed."""
        return self.plan.key(self.data, judge.name, judge.sha256, str(device))

    def run(self, network: str, seed: int) -> Path:
        """Return the folder of a network's run."""
        return self.out / "runs" / f"{network}-{seed}"

    @property
    def cells(self) -> Path:
        """The folder of what has been measured."""
        return self.out / "cells"

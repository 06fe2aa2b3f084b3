"""Flows trained in folders of their own: a placeholder for the interface."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from jemstone.data import DataSet, Images
from jemstone.errors import Mistake
from jemstone.types import Generator

__all__ = ["FLOWS", "FlowRun"]

FLOWS = ("residual-flow", "glow")


class FlowRun:
    """A flow's folder."""

    path: Path
    name: str
    seed: int

    @classmethod
    def open(cls, path: Path) -> FlowRun:
        """Open a folder."""
        raise Mistake(f"{path} is not a flow's")

    @classmethod
    def begin(cls, path: Path, name: str, data: DataSet, budget: str, seed: int) -> FlowRun:
        """Begin a folder, or take it up."""
        if find_spec("normflows") is None:
            raise Mistake("flows need normflows: pip install 'jemstone[flows]'")
        raise Mistake("flows are not here yet")

    def train(self, data: DataSet, progress: Callable[[str], None] = lambda line: None) -> None:
        """Train to the end."""

    @property
    def done(self) -> bool:
        """Tell whether it is trained."""
        return False

    @property
    def steps(self) -> int:
        """Of training."""
        return 0

    @property
    def train_seconds(self) -> float:
        """Of training."""
        return 0.0

    def sample(self, y: Tensor, generator: Generator) -> Tensor:
        """Draw images."""
        raise NotImplementedError

    def bits_per_dim(self, images: Images, generator: Generator) -> float:
        """Measure the likelihood."""
        raise NotImplementedError

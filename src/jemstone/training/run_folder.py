"""The files of a run: metrics, checkpoints, pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from jemstone.checkpoints import older_checkpoints
from jemstone.errors import Mistake
from jemstone.files import finite, parse_json, read_lines, write_whole
from jemstone.model import JointEnergyModel
from jemstone.training.state import TrainingState

__all__ = ["RunFolder", "write_grid"]

_KEPT = 2


def write_grid(path: Path, x: Tensor, columns: int = 10) -> None:
    """Write images as one PNG, small ones enlarged without smoothing.

    Args:
        path: of the PNG.
        x: images (B, C, H, W) in [0, 1].
        columns: images in a row.
    """
    from torchvision.utils import make_grid, save_image

    enlarge = max(1, 32 // x.shape[-1])
    x = x.repeat_interleave(enlarge, dim=-1).repeat_interleave(enlarge, dim=-2)
    grid = make_grid(x, nrow=columns, padding=enlarge, pad_value=0.5)
    write_whole(path, lambda beside: save_image(grid, beside))


class RunFolder:
    """Listen to a run and keep what it says.

    Args:
        path: the run's folder, which exists.
        picture: draws a few images of the run as it stands, for ``samples/``; None for none.
    """

    def __init__(
        self, path: Path, picture: Callable[[JointEnergyModel], Tensor] | None = None
    ) -> None:
        self.path = path
        self.picture = picture

    @property
    def metrics_file(self) -> Path:
        """One JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The newest complete one."""
        return self.path / "checkpoint"

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Append a line to ``metrics.jsonl``."""
        with open(self.metrics_file, "a", encoding="utf-8") as file:
            file.write(json.dumps(finite({"step": step, **metrics})) + "\n")

    def on_checkpoint(self, state: TrainingState, model: JointEnergyModel) -> None:
        """Write ``checkpoint/``, keep the last few before it, draw a picture."""
        state.save(self.checkpoint, model)
        for folder in older_checkpoints(self.path)[:-_KEPT]:
            # A link may lead out of the run: only what lies in its folder is its own.
            if folder.resolve().is_relative_to(self.path.resolve()):
                shutil.rmtree(folder)
        if self.picture is not None:
            write_grid(self.path / "samples" / f"{state.step:06d}.png", self.picture(model))

    def wants_stop(self) -> bool:
        """Return False: a folder never wants to."""
        return False

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of ``metrics.jsonl``; a last line cut short by a crash is left out."""
        if not self.metrics_file.is_file():
            return
        lines = [line for line in read_lines(self.metrics_file) if line]
        for number, line in enumerate(lines):
            where = f"{self.metrics_file}, line {number + 1}"
            try:
                yield _metrics(line, where)
            except Mistake:
                if number + 1 < len(lines):
                    raise

    def cut_back(self, step: int) -> None:
        """Drop the metrics after ``step``, which a resumed run will write again."""
        if not self.metrics_file.is_file():
            return
        kept = [json.dumps(line) for line in self.metrics() if line["step"] <= step]
        text = "".join(f"{line}\n" for line in kept)
        write_whole(self.metrics_file, lambda beside: beside.write_text(text, encoding="utf-8"))


def _metrics(line: str, where: str) -> dict[str, Any]:
    """Read a line of metrics: its step, and numbers or null by name."""
    metrics = parse_json(line, where)
    plain = isinstance(metrics, dict) and all(
        value is None or type(value) is float or (type(value) is int and abs(value) < 2**63)
        for value in metrics.values()
    )
    if not plain or type(metrics.get("step")) is not int:
        raise Mistake(f"{where}: not the metrics of a step")
    return dict(metrics)

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
from jemstone.training.gallery import Gallery
from jemstone.training.state import TrainingState

__all__ = ["RunFolder"]

_KEPT = 2


class RunFolder:
    """Listen to a run and keep what it says.

    Args:
        path: the run's folder, which exists.
        picture: draws a few images of the run as it stands, one class a row; None for none.
        gallery: where pictures go; by default ``samples/``.
    """

    def __init__(
        self,
        path: Path,
        picture: Callable[[JointEnergyModel], Tensor] | None = None,
        gallery: Gallery | None = None,
    ) -> None:
        self.path = path
        self.picture = picture
        self.gallery = gallery or Gallery(path / "samples")

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
        self._append({"step": step, **metrics})

    def on_event(self, event: dict[str, Any]) -> None:
        """Append a line to ``metrics.jsonl``, which other than metrics has a key ``event``."""
        self._append(event)

    def on_checkpoint(self, state: TrainingState, model: JointEnergyModel) -> None:
        """Write ``checkpoint/``, keep the last few before it and the trail, draw a picture."""
        state.save(self.checkpoint, model)
        if not state.processes.leads:
            return
        trail = {snapshot.step for snapshot in state.trail}
        older = older_checkpoints(self.path)
        for folder in older:
            step = int(folder.name)
            lost = step > state.step  # of a way the run has left
            kept = folder in older[-_KEPT:] or step in trail
            # A link may lead out of the run: only what lies in its folder is its own.
            if (lost or not kept) and folder.resolve().is_relative_to(self.path.resolve()):
                shutil.rmtree(folder)
        if self.picture is not None:
            self.gallery.hang(state.step, self.picture(model))

    def wants_stop(self) -> bool:
        """Return False: a folder never wants to."""
        return False

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Yield the metrics of the way the run took: no events, nor what it went back over."""
        way: list[dict[str, Any]] = []
        for line in self._lines():
            if "event" not in line:
                way.append(line)
            elif "to" in line:
                way = [former for former in way if former["step"] <= line["to"]]
        yield from way

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield how the run was rolled back, and whether it diverged, in order."""
        return (line for line in self._lines() if "event" in line)

    def cut_back(self, step: int, retries: int = 0) -> None:
        """Drop what a resumed run will write again.

        Args:
            step: of the checkpoint that the run goes on from.
            retries: how often the run had gone back by then.
        """
        if not self.metrics_file.is_file():
            return
        lines = list(self._lines())
        seen = [number for number, line in enumerate(lines) if line.get("retry") == retries]
        settled = seen[-1] + 1 if retries and seen else 0
        kept = lines[:settled]
        for line in lines[settled:]:
            if "event" in line and "to" in line:
                break
            if "event" not in line and line["step"] <= step:
                kept.append(line)
        text = "".join(f"{json.dumps(line)}\n" for line in kept)
        write_whole(self.metrics_file, lambda beside: beside.write_text(text, encoding="utf-8"))

    def _append(self, line: dict[str, Any]) -> None:
        with open(self.metrics_file, "a", encoding="utf-8") as file:
            file.write(json.dumps(finite(line)) + "\n")

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of ``metrics.jsonl``; a last line cut short by a crash is left out."""
        if not self.metrics_file.is_file():
            return
        lines = [line for line in read_lines(self.metrics_file) if line]
        for number, line in enumerate(lines):
            where = f"{self.metrics_file}, line {number + 1}"
            try:
                yield _line(line, where)
            except Mistake:
                if number + 1 < len(lines):
                    raise


def _line(line: str, where: str) -> dict[str, Any]:
    """Read a line: a step's numbers or nulls by name, or an event, which has words too."""
    read = parse_json(line, where)
    words = (str,) if isinstance(read, dict) and "event" in read else ()
    plain = isinstance(read, dict) and all(
        value is None
        or type(value) in (float, *words)
        or (type(value) is int and abs(value) < 2**63)
        for value in read.values()
    )
    if not plain or type(read.get("step")) is not int:
        raise Mistake(f"{where}: not the metrics of a step")
    if "to" in read and type(read["to"]) is not int:
        raise Mistake(f"{where}: not the event of a run")
    return dict(read)

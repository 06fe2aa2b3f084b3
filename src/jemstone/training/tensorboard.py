"""What ``metrics.jsonl`` and ``samples/`` hold, for TensorBoard: the extra ``tensorboard``."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from jemstone.errors import Mistake
from jemstone.model import JointEnergyModel
from jemstone.training.gallery import COLUMNS, grid
from jemstone.training.state import TrainingState

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import FileWriter, SummaryWriter

__all__ = ["TensorBoard", "check_tensorboard"]


def check_tensorboard() -> type[SummaryWriter]:
    """Return what writes for TensorBoard.

    Raises:
        Mistake: where it is not installed.
    """
    try:
        import tensorboard  # noqa: F401, torch keeps its own import of it from an earlier try
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as error:
        raise Mistake(
            "TensorBoard is not installed: pip install 'jemstone[tensorboard]', or leave out "
            "--tensorboard"
        ) from error
    return SummaryWriter


class TensorBoard:
    """Listen to a run and write its metrics, events and pictures where TensorBoard reads them.

    A resumed run appends. What it had written beyond the checkpoint that it goes on from, and what
    a rolled back run leaves behind, TensorBoard then no longer shows.

    Args:
        folder: of the event files.
        step: that the run goes on from.

    Raises:
        Mistake: where TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        # TensorBoard then forgets what the files before say of later steps.
        self.writer = check_tensorboard()(str(folder), purge_step=step + 1)

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.writer.close()

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Write each number under its name in ``metrics.jsonl``."""
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)

    def on_event(self, event: dict[str, Any]) -> None:
        """Write what happened, and where the run goes on from."""
        self.writer.add_text("events", f"{event['event']}: {event['reason']}", event["step"])
        if "to" in event:
            self._forget(event["to"])

    def on_checkpoint(self, state: TrainingState, model: JointEnergyModel) -> None:
        """Let the disk have what was written so far."""
        self.writer.flush()

    def wants_stop(self) -> bool:
        """Return False: a board never wants to."""
        return False

    def show(self, step: int, x: Tensor) -> None:
        """Write a picture.

        Args:
            step: of the run.
            x: images (B, C, H, W) in [0, 1], one class a row.
        """
        self.writer.add_image("samples", grid(x, COLUMNS), step)

    def _forget(self, step: int) -> None:
        # As a resumed run does by `purge_step`, but in the same file: TensorBoard reads files in
        # the order of their names, and those of one second are named by a count, 10 before 9.
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        start = SessionLog(status=SessionLog.START)
        file = cast("FileWriter", self.writer.file_writer)  # None only once it is closed
        file.add_event(Event(step=step + 1, session_log=start))

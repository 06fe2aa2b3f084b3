"""TensorBoard hears what metrics.jsonl holds, and a run that is heard is the same run."""

import sys
from itertools import count, pairwise
from types import SimpleNamespace

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.training import RunFolder, TensorBoard, check_tensorboard

pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")


@pytest.fixture
def seconds_apart(monkeypatch):
    """Let each file of events be of a later second, as those of processes one after another are."""
    from tensorboard.summary.writer import event_file_writer

    clock = SimpleNamespace(time=count(1_700_000_000).__next__)
    monkeypatch.setattr(event_file_writer, "time", clock)


@pytest.fixture
def counted_from_nine(monkeypatch):
    """Let files of events be counted from 9, where the order of their names breaks."""
    from tensorboard.summary.writer import event_file_writer

    monkeypatch.setattr(event_file_writer, "_global_uid", SimpleNamespace(get=count(9).__next__))


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    accumulator.Reload()
    return accumulator


def scalars(folder):
    """Return step -> name -> value."""
    found = {}
    accumulator = read(folder)
    for name in accumulator.Tags()["scalars"]:
        for event in accumulator.Scalars(name):
            found.setdefault(event.step, []).append((name, event.value))
    for named in found.values():
        assert len(named) == len(dict(named)), "a number stands twice"
    return {step: dict(named) for step, named in found.items()}


def test_the_board_has_the_metrics_of_the_folder(robust_jem, remembered, tmp_path):
    heard, plain = robust_jem("batch"), robust_jem("batch")
    folder = RunFolder(tmp_path, lambda model: torch.rand(8, 1, 8, 8))
    with TensorBoard(tmp_path / "tensorboard") as board:
        folder.gallery.viewers = (board.show,)
        heard.train(folder, board)
    plain.train()
    before, after = remembered(plain.state), remembered(heard.state)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    written = {line.pop("step"): line for line in folder.metrics()}
    found = scalars(tmp_path / "tensorboard")
    assert found.keys() == written.keys() == set(range(1, 7))
    for step, line in written.items():
        assert found[step] == pytest.approx(line, rel=1e-6)
    pictures = read(tmp_path / "tensorboard").Images("samples")
    assert [picture.step for picture in pictures] == [3, 6]


def test_a_resumed_run_appends_and_says_nothing_twice(seconds_apart, tmp_path):
    for resumed_from, to in ((0, 5), (3, 7), (0, 4)):
        with TensorBoard(tmp_path, resumed_from) as board:
            for step in range(resumed_from + 1, to + 1):
                board.on_metrics(step, {"loss": resumed_from + step / 10})
        found = scalars(tmp_path)
        assert sorted(found) == list(range(1, to + 1))
        for step in range(resumed_from + 1, to + 1):
            assert found[step]["loss"] == pytest.approx(resumed_from + step / 10)


@pytest.mark.parametrize("to", [0, 2])
def test_what_a_run_went_back_over_is_forgotten(counted_from_nine, to, tmp_path):
    with TensorBoard(tmp_path) as board:
        for step in range(1, 5):
            board.on_metrics(step, {"loss": 100.0})
        board.on_event({"step": 4, "event": "rolled back", "reason": "too far", "to": to})
        for step in range(to + 1, 4):
            board.on_metrics(step, {"loss": 1.0})
        board.on_event({"step": 3, "event": "diverged", "reason": "lost"})
    losses = [named["loss"] for _, named in sorted(scalars(tmp_path).items())]
    assert losses == [100.0] * to + [1.0] * (3 - to)
    assert all(a >= b for a, b in pairwise(losses))


def test_without_the_extra_it_is_a_mistake_that_names_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(Mistake, match=r"jemstone\[tensorboard\]"):
        check_tensorboard()
    with pytest.raises(Mistake, match="not installed"):
        TensorBoard(tmp_path / "board")
    assert not (tmp_path / "board").exists()

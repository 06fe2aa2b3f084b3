import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from jemstone import JointEnergyModel
from jemstone.checkpoints import newest_checkpoint
from jemstone.errors import Mistake
from jemstone.nn import ConvNet
from jemstone.samplers import ReplayBuffer, Uniform
from jemstone.training import Optimisation, TrainingState

FILES = [
    "model.safetensors",
    "config.json",
    "training.safetensors",
    "training.json",
    "chains-0.safetensors",
]


def new_state(width=4, optimiser="sgd", chains=30, seed=0, generator=None):
    torch.manual_seed(seed)
    model = JointEnergyModel(ConvNet(1, 3, width=width), 0.5, 0.5)
    buffer = ReplayBuffer(Uniform((1, 4, 4)), chains, 3, 0.1, generator.fold(seed))
    return TrainingState(model, Optimisation(optimiser=optimiser).build(model), buffer)


def take_steps(state, count, ema=0.9):
    for _ in range(count):
        state.optimiser.zero_grad()
        state.model.energy(torch.rand(4, 1, 4, 4)).square().sum().backward()
        state.optimiser.step()
        state.step += 1
        state.update_average(ema)


@pytest.fixture
def state(generator):
    state = new_state(generator=generator)
    take_steps(state, 2)
    return state


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_state_comes_back(optimiser, ema, layout, generator, remembered, tmp_path):
    state = new_state(optimiser=optimiser, generator=generator)
    state.model.to(memory_format=layout)
    take_steps(state, 2, ema)
    state.metrics = {"loss": 0.5}
    state.save(tmp_path / "checkpoint", state.weights_to_use)
    other = new_state(optimiser=optimiser, seed=1, generator=generator)
    other.model.to(memory_format=layout)
    other.load(tmp_path / "checkpoint")
    assert (other.step, other.metrics) == (2, {"loss": 0.5})
    expected, found = remembered(state), remembered(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
        assert name == "chains" or found[name].stride() == value.stride(), name


def test_a_checkpoint_is_tensors_and_json_and_loads_as_a_model(state, tmp_path):
    state.save(tmp_path / "checkpoint", state.weights_to_use)
    assert sorted(p.name for p in (tmp_path / "checkpoint").iterdir()) == sorted(FILES)
    model = JointEnergyModel.from_pretrained(tmp_path)
    for name, value in state.average.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize("numbers", [[0, 3], [3, 6, 9], [5, 5]])
def test_older_checkpoints_lie_under_their_step(numbers, state, tmp_path):
    for number in numbers:
        state.step = number
        state.save(tmp_path / "checkpoint", state.model)
    older = tmp_path / "checkpoints"
    assert sorted(p.name for p in older.iterdir()) == sorted({f"{n:06d}" for n in numbers[:-1]})
    for folder in [tmp_path / "checkpoint", *older.iterdir()]:
        assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint", "checkpoints"]
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint"


def test_the_rest_of_an_interrupted_save_does_no_harm(state, tmp_path):
    beside = tmp_path / ".checkpoint.new"
    beside.mkdir()
    (beside / "half").write_text("a file")
    state.save(tmp_path / "checkpoint", state.model)
    assert sorted(p.name for p in (tmp_path / "checkpoint").iterdir()) == sorted(FILES)
    assert not beside.exists()


class Killed(BaseException):
    """As by SIGKILL: nothing is tidied up."""


class Disk:
    """Let the n-th call that touches the disk be the last; n = 0 lets all of them be."""

    def __init__(self):
        self.last = self.calls = 0

    @property
    def dead(self):
        return 0 < self.last <= self.calls

    def kill_at(self, last):
        self.last, self.calls = last, 0

    def deadly(self, function):
        def call(*args, **options):
            self.calls += 1
            if self.dead:
                raise Killed
            return function(*args, **options)

        return call


@pytest.fixture
def disk(monkeypatch):
    disk, unlink = Disk(), Path.unlink
    for module, names in ((os, ["fsync", "replace"]), (Path, ["rename", "write_text"])):
        for name in names:
            monkeypatch.setattr(module, name, disk.deadly(getattr(module, name)))
    monkeypatch.setattr(Path, "unlink", lambda *a, **o: None if disk.dead else unlink(*a, **o))
    return disk


@pytest.mark.parametrize("last", range(1, 40))
def test_a_save_killed_anywhere_loses_no_checkpoint(last, state, disk, generator, tmp_path):
    """The newest complete checkpoint is the one before, or the new one; then saving goes on."""
    state.save(tmp_path / "checkpoint", state.model)
    take_steps(state, 1)
    disk.kill_at(last)
    try:
        state.save(tmp_path / "checkpoint", state.model)
        survived = True
    except Killed:
        survived = False
    disk.kill_at(0)
    other = new_state(seed=1, generator=generator)
    other.load(newest_checkpoint(tmp_path))
    assert other.step in ((3,) if survived else (2, 3))
    JointEnergyModel.from_pretrained(tmp_path)
    other.step = 9
    other.save(tmp_path / "checkpoint", other.model)
    assert json.loads((tmp_path / "checkpoint/training.json").read_text())["step"] == 9


def test_the_table_of_kills_is_long_enough(state, disk, tmp_path):
    state.save(tmp_path / "checkpoint", state.model)
    disk.kill_at(0)
    state.save(tmp_path / "checkpoint", state.model)
    assert 10 < disk.calls < 40


@pytest.mark.parametrize(
    ("numbers", "newest"), [([3], 3), ([3, 6], 6), ([9, 10], 10), ([999_999, 1_000_000], 1_000_000)]
)
def test_without_a_checkpoint_the_newest_older_one_counts(numbers, newest, state, tmp_path):
    """As between the two renames of a save."""
    for number in [*numbers, newest + 1]:
        state.step = number
        state.save(tmp_path / "checkpoint", state.model)
    shutil.rmtree(tmp_path / "checkpoint")
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / f"{newest:06d}"


@pytest.mark.parametrize("folders", [[], ["checkpoints"], [".checkpoint.new"]])
def test_a_run_without_a_checkpoint_is_a_mistake(folders, tmp_path):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(Mistake, match="no checkpoint"):
        newest_checkpoint(tmp_path)


@pytest.mark.parametrize("file", FILES[2:])
@pytest.mark.parametrize("kept", [None, 0, 20])
def test_a_missing_or_truncated_file_is_a_mistake_of_one_line(
    file, kept, state, generator, tmp_path
):
    state.save(tmp_path / "checkpoint", state.model)
    path = tmp_path / "checkpoint" / file
    content = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(content[:kept])
    with pytest.raises(Mistake, match=file) as told:
        new_state(generator=generator).load(tmp_path / "checkpoint")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "other", [{"width": 5}, {"chains": 60}, {"chains": 3}], ids=["width", "more", "fewer"]
)
def test_a_checkpoint_of_another_shape_is_a_mistake_of_one_line(other, state, generator, tmp_path):
    state.save(tmp_path / "checkpoint", state.model)
    with pytest.raises(Mistake, match=r"shape|fit") as told:
        new_state(**other, generator=generator).load(tmp_path / "checkpoint")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("record", ["[]", "{}", "3", '{"step": 3}'])
def test_a_record_without_its_step_is_a_mistake(record, state, generator, tmp_path):
    state.save(tmp_path / "checkpoint", state.model)
    (tmp_path / "checkpoint" / "training.json").write_text(record)
    with pytest.raises(Mistake, match="does not fit"):
        new_state(generator=generator).load(tmp_path / "checkpoint")


def test_what_is_not_finite_is_saved_as_null(state, tmp_path):
    state.metrics = {"loss": float("nan")}
    state.save(tmp_path / "checkpoint", state.model)
    record = json.loads((tmp_path / "checkpoint" / "training.json").read_text())
    assert record == {"step": 2, "metrics": {"loss": None}}


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_average_follows_the_weights(decay, generator):
    """From the first weights on, a <- d a + (1 - d) w, with d = min(decay, (1 + t) / (10 + t))."""
    state = new_state(generator=generator)
    expected = None
    for t in range(1, 6):
        take_steps(state, 1, decay)
        weight = state.model.classifier.linear.weight.detach().clone()
        d = min(decay, (1 + t) / (10 + t))
        expected = weight if expected is None else d * expected + (1 - d) * weight
        torch.testing.assert_close(state.average.classifier.linear.weight.detach(), expected)
    assert state.weights_to_use is state.average


def test_without_decay_there_is_no_average(generator):
    state = new_state(generator=generator)
    take_steps(state, 2, ema=0.0)
    assert state.average is None
    assert state.weights_to_use is state.model

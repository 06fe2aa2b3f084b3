"""``jemstone gradients``, and pictures and TensorBoard in training, end to end on real digits."""

import json
import shutil
import sys

import pytest
from PIL import Image

from jemstone.cli import main

SMALL = ["--network.width", "1", "--walk.steps", "1", "--attack.steps", "1", "--chains.size", "20"]
WATCHED = ["--grid_every", "1", "--tensorboard"]
TRAINED = ["train", "robust-jem", "--steps", "4", "--checkpoint_every", "2", *SMALL]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Train the same run twice, watched at every step and left alone."""
    folder = tmp_path_factory.mktemp("runs")
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    assert main([*TRAINED, "--out", str(folder / "watched"), *WATCHED]) == 0
    assert main([*TRAINED, "--out", str(folder / "alone")]) == 0
    return folder


def checkpoint(run):
    return {file.name: file.read_bytes() for file in (run / "checkpoint").iterdir()}


def metrics(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line | {"seconds_per_step": 0} for line in lines]


def test_a_watched_run_is_the_run_left_alone(runs):
    watched, alone = runs / "watched", runs / "alone"
    for name, content in checkpoint(alone).items():
        if name.endswith(".safetensors"):
            assert checkpoint(watched)[name] == content, name
    assert metrics(watched) == metrics(alone)
    pictures = [sorted(p.name for p in (run / "samples").iterdir()) for run in (watched, alone)]
    assert pictures[0] == [f"{step:06d}.png" for step in (1, 2, 3, 4)]
    assert pictures[1] == ["000002.png", "000004.png"]
    for name in pictures[1]:
        assert (watched / "samples" / name).read_bytes() == (alone / "samples" / name).read_bytes()
    assert not (alone / "tensorboard").exists()


def test_a_resumed_run_is_watched_as_before(runs, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    killed = tmp_path / "killed"
    shutil.copytree(runs / "watched", killed)
    shutil.rmtree(killed / "checkpoint")
    shutil.rmtree(killed / "samples")
    (killed / "checkpoints/000002").rename(killed / "checkpoint")
    assert main(["train", "--resume", str(killed)]) == 0
    assert sorted(p.name for p in (killed / "samples").iterdir()) == ["000003.png", "000004.png"]
    accumulator = EventAccumulator(str(killed / "tensorboard"), size_guidance={"images": 0})
    accumulator.Reload()
    (line,) = metrics(killed)
    for name in line.keys() - {"step", "seconds_per_step"}:
        (event,) = accumulator.Scalars(name)
        assert (event.step, event.value) == (4, pytest.approx(line[name], rel=1e-6))
    assert [image.step for image in accumulator.Images("samples")] == [1, 2, 3, 4]


def test_a_resumed_run_without_the_extra_is_one_line(runs, tmp_path, monkeypatch, capfd):
    killed = tmp_path / "killed"
    shutil.copytree(runs / "watched", killed)
    shutil.rmtree(killed / "checkpoint")
    (killed / "checkpoints/000002").rename(killed / "checkpoint")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    capfd.readouterr()
    assert main(["train", "--resume", str(killed)]) == 2
    told = capfd.readouterr().err
    assert told.count("\n") == 1, told
    assert "jemstone[tensorboard]" in told


def test_gradients_are_a_picture_and_numbers(runs, tmp_path, capsys):
    out = tmp_path / "new" / "gradients.png"
    argv = ["gradients", str(runs / "watched"), str(runs / "alone"), "--n", "20"]
    assert main([*argv, "--out", str(out), "--seed", "5"]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[-1] == str(out)
    with Image.open(out) as picture:
        assert picture.size[0] > picture.size[1] > 100
    found = json.loads(out.with_suffix(".json").read_text())
    assert found["command"].startswith(f"jemstone gradients {runs / 'watched'}")
    assert (found["n"], found["seed"], found["data"]) == (20, 5, "digits")
    watched, alone = found["runs"]
    for name in found["measures"]:
        assert watched[name] == alone[name]
        assert name.replace("_", " ").split()[0] in told


def test_another_data_set_and_another_file_of_numbers(runs, tmp_path):
    numbers = tmp_path / "numbers.json"
    argv = ["gradients", str(runs / "alone"), "--data", "digits", "--n", "2"]
    assert main([*argv, "--out", str(tmp_path / "a.png"), "--json", str(numbers)]) == 0
    assert numbers.is_file()
    assert not (tmp_path / "a.json").exists()

"""``jemstone reproduce``: what it writes, what it refuses, and how it stops."""

import json
import signal

import numpy as np
import pytest
import torch
import yaml

from jemstone.cli import main
from jemstone.experiments import Run, suites
from jemstone.files import write_tensors
from jemstone.model import JointEnergyModel
from jemstone.nn import ConvNet

ROW = ["--rows", "robust-classifier", "--steps", "2", "--n", "20", "--budget", "quick"]
WRITTEN = {"plan.json", "table1.json", "table1.md", "report.html", "figure1.png", "gradients.png"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Tiny images, and the weights of a judge of them."""
    folder = tmp_path_factory.mktemp("inputs")
    generator, arrays = np.random.default_rng(0), {}
    for split, count in (("train", 40), ("test", 24)):
        labels = np.arange(count) % 2
        pixels = generator.integers(0, 128, (count, 6, 6)) + 96 * labels[:, None, None]
        arrays |= {f"{split}_images": pixels.astype(np.uint8), f"{split}_labels": labels}
    np.savez(folder / "tiny.npz", **arrays)
    torch.manual_seed(0)
    model = JointEnergyModel(ConvNet(1, 2, 4), mean=0.5, std=0.5)
    write_tensors(folder / "judge.safetensors", model.state_dict())
    return folder


@pytest.fixture
def argv(inputs, tmp_path):
    command = ["reproduce", "--data", str(inputs / "tiny.npz"), "--out", str(tmp_path / "out")]
    return [*command, "--judge", str(inputs / "judge.safetensors"), "--device", "cpu"]


def test_a_table_is_written_and_more_may_be_added(argv, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(suites, "_PGD_STEPS", 2)
    out = tmp_path / "out"
    assert main([*argv, *ROW]) == 0
    assert {path.name for path in out.iterdir() if path.is_file()} == WRITTEN
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    first = json.loads((out / "table1.json").read_text())
    assert [row["status"] for row in first["rows"]] == ["done"]
    assert str(tmp_path) not in first["command"]
    kept = {p: p.read_bytes() for p in out.rglob("*.safetensors")}
    assert main([*argv, *ROW, "--seeds", "5"]) == 0
    second = json.loads((out / "table1.json").read_text())
    assert second["seeds"] == [0, 5]
    assert second["rows"][0]["fid"]["values"][0] == first["rows"][0]["fid"]["mean"]
    assert {p: p.read_bytes() for p in kept} == kept
    capsys.readouterr()
    for other in (["--n", "30"], ["--budget", "small"], ["--steps", "3"]):
        assert main([*argv, *ROW, *other]) == 2
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 1
        assert "another plan" in told[0]


def test_images_are_fitted_into_the_size_that_is_asked_for(argv, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(suites, "_PGD_STEPS", 2)
    out = tmp_path / "out"
    assert main([*argv, *ROW, "--resize", "8"]) == 0
    assert "--resize 8" in json.loads((out / "table1.json").read_text())["command"]
    for run in (out / "runs").iterdir():  # opened again, a run finds the very same images
        opened = Run.open(run)
        assert opened.data().shape == opened.gaussian.shape == (1, 8, 8)
    capsys.readouterr()
    assert main([*argv, *ROW]) == 2
    assert "another plan" in capsys.readouterr().err


MISTAKES = {
    "an unknown row": (["--rows", "glou"], "did you mean 'glow'"),
    "an unknown budget": (["--budget", "smal"], "did you mean 'small'"),
    "a seed twice": (["--seeds", "1", "2", "1"], "seed 1 is given twice"),
    "a seed below zero": (["--seeds", "-1"], "0 or more"),
    "too few samples": (["--n", "19"], "at least 20"),
    "no samples": (["--n", "0"], "--n"),
    "no such data": (["--data", "digit"], "digits"),
    "points of the plane": (["--data", "moons"], "landscape"),
    "no such features": (["--features", "inceptoin"], "inception"),
    "two judges": (["--features", "inception"], "leave --judge away"),
    "no such judge": (["--judge", "nowhere"], "nowhere"),
    "no weights": (["--weights", "nowhere"], "tiny-classifier"),
    "no size": (["--resize", "0"], "resize"),
    "no steps": (["--steps", "0"], "--steps"),
    "no such device": (["--device", "gpu"], "cpu"),
    "a word for a seed": (["--seeds", "one"], "integer"),
    "no such option": (["--sed", "1"], "--seeds"),
    "no folder": (["--out", "FILE/below"], "FILE"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_written(name, argv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    options, told = MISTAKES[name]
    assert main([*argv, *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert told in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]


def test_recipes_are_printed_as_they_would_be_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    argv = ["reproduce", "--data", "cifar10", "--budget", "paper", "--rows", "jempp"]
    assert main([*argv, "--print_config"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert (printed["samples"], printed["features"]) == (50_000, "inception")
    assert list(printed["recipes"]) == ["classifier", "jempp"]
    network = printed["recipes"]["jempp"]["network"]
    assert (network["depth"], network["width"]) == (28, 10)
    assert printed["recipes"]["jempp"]["optimisation"]["epochs"] == 150
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_same_command_goes_on(number, argv, tmp_path, interrupted):
    steps = [*ROW, "--steps", "100000"]
    metrics = tmp_path / "out/runs/classifier-0/metrics.jsonl"
    code, told = interrupted([*argv, *steps], metrics, number)
    assert code == 128 + number, told
    assert "the same command goes on" in told
    saved = json.loads((tmp_path / "out/runs/classifier-0/checkpoint/training.json").read_text())
    assert saved["step"] > 0

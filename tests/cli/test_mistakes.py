"""A mistake is told in one line, with exit code 2, and nothing is written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from jemstone.cli import main
from jemstone.errors import Mistake
from jemstone.experiments import Run
from jemstone.files import write_tensors


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Train a run of two steps."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    steps = ["--steps", "2", "--network.width", "1", "--walk.steps", "1", "--chains.size", "20"]
    assert main(["train", "robust-jem", "--out", str(folder), *steps]) == 0
    return folder


def everything_below(folder):
    return sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("*"))


def npz(path, **changes):
    arrays = {
        "train_images": np.zeros((4, 8, 8), np.uint8),
        "train_labels": np.array([0, 1, 0, 1]),
        "test_images": np.zeros((2, 8, 8), np.uint8),
        "test_labels": np.array([0, 1]),
    }
    arrays |= changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


ARGUMENTS = {
    "no such command": (["trian"], "train"),
    "no such recipe": (["train", "robust-jam", "--out", "OUT"], "robust-jem"),
    "no recipe": (["train", "--out", "OUT"], "recipe"),
    "no such data set": (["train", "jem", "--data", "digit", "--out", "OUT"], "digits"),
    "no such budget": (["train", "jem", "--budget", "smal", "--out", "OUT"], "small"),
    "no such key": (["train", "jem", "--attack.esp", "1", "--out", "OUT"], "attack.eps"),
    "no such key, dashed": (["train", "jem", "--attack.step-sise=1", "--out", "OUT"], "step_size"),
    "a word for a number": (["train", "jem", "--attack.eps", "big", "--out", "OUT"], "attack.eps"),
    "no such norm": (["train", "jem", "--network.norm", "layer", "--out", "OUT"], "network.norm"),
    "a depth that is none": (["train", "jem", "--network.depth", "12", "--out", "OUT"], "6 n + 4"),
    "an empty batch": (
        ["train", "jem", "--optimisation.batch_size", "0", "--out", "OUT"],
        "batch_size",
    ),
    "not a number": (["train", "jem", "--attack.eps", "nan", "--out", "OUT"], "attack.eps"),
    "no step": (["train", "jem", "--steps", "0", "--out", "OUT"], "steps"),
    "a stride that leaves pixels unseen": (
        ["train", "jem", "--network.stride", "5", "--out", "OUT"],
        "divides both sides",
    ),
    "a stride that leaves no image": (
        ["train", "jem", "--network.stride", "16", "--out", "OUT"],
        "8 x 8",
    ),
    "a network for larger images": (
        ["train", "jem", "--network.architecture", "plainnet", "--out", "OUT"],
        "8 x 8",
    ),
    "no direction": (["train", "jem", "--chains.rank", "0", "--out", "OUT"], "chains.rank"),
    "as many directions as pixels": (
        ["train", "jem", "--chains.rank", "64", "--out", "OUT"],
        "at most 63",
    ),
    "no objective": (
        ["train", "classifier", "--weights.cross_entropy", "0", "--out", "OUT"],
        "weight",
    ),
    "a crop larger than the image": (
        ["train", "jem", "--augmentation.padding", "8", "--out", "OUT"],
        "padding",
    ),
    "fewer chains than classes": (["train", "jem", "--chains.size", "5", "--out", "OUT"], "chains"),
    "no folder": (["train", "jem"], "--out"),
    "an abbreviation": (["train", "jem", "--bud", "quick", "--out", "OUT"], "--bud"),
    "no steps at all": (
        ["train", "jem", "--optimisation.steps=null", "--optimisation.epochs=0", "--out", "OUT"],
        "epochs",
    ),
    "no checkpoint ever": (["train", "jem", "--checkpoint_every", "-3", "--out", "OUT"], "-3"),
    "a temperature with a noise": (
        ["train", "jem", "--walk.temperature", "1", "--out", "OUT"],
        "walk.temperature",
    ),
    "a folder below a file": (["train", "jem", "--out", "RUN/recipe.yaml/run"], "is a file"),
    "a sample below a file": (["sample", "RUN", "--out", "RUN/recipe.yaml/x.png"], "is a file"),
    "a ramp beyond the end": (
        ["train", "robust-jem", "--ramp", "50", "--optimisation.steps", "40", "--out", "OUT"],
        "the run has 40 steps",
    ),
    "a walk that stays": (["train", "jem", "--walk.step_size", "0", "--out", "OUT"], "has to move"),
    "resume without a folder": (["train", "--resume"], "--resume"),
    "too few samples to judge": (["evaluate", "RUN", "--n", "3", "--out", "x.json"], "10 a class"),
    "samples below zero": (["evaluate", "RUN", "--n", "-5", "--out", "x.json"], "10 a class"),
    "a folder that is a run": (["train", "jem", "--out", "RUN"], "--resume"),
    "no such config": (["train", "jem", "--config", "none.yaml", "--out", "OUT"], "none.yaml"),
    "no data root": (
        ["train", "jem", "--data", "mnist", "--data-root", "nowhere", "--out", "OUT"],
        "nowhere",
    ),
    "a data root without the set": (
        ["train", "jem", "--data", "cifar10", "--data-root", ".", "--out", "OUT"],
        "cifar10.npz",
    ),
    "no data file": (["train", "jem", "--data", "none.npz", "--out", "OUT"], "none.npz"),
    "no data folder": (["train", "jem", "--data", "no/where", "--out", "OUT"], "no/where"),
    "a folder of no classes": (["train", "jem", "--data", "RUN/samples", "--out", "OUT"], "class"),
    "a size that is none": (["train", "jem", "--resize", "0", "--out", "OUT"], "--resize"),
    "a size that is a word": (["train", "jem", "--resize", "big", "--out", "OUT"], "--resize"),
    "another size for a run": (["evaluate", "RUN", "--resize", "9", "--out", "x.json"], "--data"),
    "another size for a run's gradients": (
        ["gradients", "RUN", "--resize", "9", "--out", "x.png"],
        "--data",
    ),
    "no such device": (["train", "jem", "--device", "gpu", "--out", "OUT"], "cpu"),
    "no such precision": (["train", "jem", "--precision", "fp23", "--out", "OUT"], "fp32"),
    "resume nothing": (["train", "--resume", "nowhere"], "nowhere"),
    "status of nothing": (["status", "nowhere"], "nowhere"),
    "doctor of nothing": (["doctor", "nowhere"], "nowhere"),
    "a guard that raises the rate": (
        ["train", "jem", "--guard.lower", "2", "--out", "OUT"],
        "guard.lower",
    ),
    "no such sampler": (["sample", "RUN", "--sampler", "combine", "--out", "x.png"], "combined"),
    "no such label": (["sample", "RUN", "--label", "10", "--out", "x.png"], "0 to 9"),
    "no samples": (["sample", "RUN", "--n", "0", "--out", "x.png"], "--n"),
    "no such format": (["sample", "RUN", "--out", "x.gif"], ".png"),
    "sample nothing": (["sample", "nowhere", "--out", "x.png"], "nowhere"),
    "no such suite": (["evaluate", "RUN", "--suite", "quik", "--out", "x.json"], "quick"),
    "attacks in no such norm": (
        ["evaluate", "RUN", "--suite", "full", "--norm", "l3", "--out", "x.json"],
        "linf, l2",
    ),
    "attacks in a point": (["evaluate", "RUN", "--eps", "0", "--out", "x.json"], "--eps"),
    "attacks in no ball": (
        ["evaluate", "RUN", "--suite", "full", "--eps", "nan", "--out", "x.json"],
        "--eps",
    ),
    "attacks everywhere": (["evaluate", "RUN", "--eps", "inf", "--out", "x.json"], "--eps"),
    "attacks on nothing": (["evaluate", "RUN", "--attacked", "0", "--out", "x.json"], "--attacked"),
    "attacks below zero": (
        ["evaluate", "RUN", "--suite", "full", "--attacked", "-5", "--out", "x.json"],
        "--attacked",
    ),
    "unknown images in the quick suite": (
        ["evaluate", "RUN", "--unknown", "constant", "--out", "x.json"],
        "--suite full",
    ),
    "a baseline in the quick suite": (
        ["evaluate", "RUN", "--baseline", "RUN", "--out", "x.json"],
        "--suite full",
    ),
    "evaluate into text": (["evaluate", "RUN", "--out", "x.txt"], ".json"),
    "a page that is none": (
        ["evaluate", "RUN", "--html", "x.txt", "--out", "x.json"],
        ".html",
    ),
    "nothing to judge": (["evaluate", "--out", "x.json"], "--model"),
    "a model without weights": (
        ["evaluate", "--model", "a:b", "--data", "digits", "--out", "x.json"],
        "--weights",
    ),
    "a judge of nothing that is drawn": (
        [
            *("evaluate", "--model", "a:b", "--weights", "c", "--data", "digits"),
            *("--features", "inception", "--out", "x.json"),
        ],
        "go with a run",
    ),
    "weights without a model": (
        ["evaluate", "RUN", "--weights", "x.safetensors", "--out", "x.json"],
        "--model",
    ),
    "a model of no module": (
        ["evaluate", "--model", "a", "--weights", "b", "--data", "digits", "--out", "x.json"],
        "pkg.module",
    ),
    "no such unknown set": (
        ["evaluate", "RUN", "--suite", "full", "--unknown", "nise", "--out", "x.json"],
        "uniform-noise",
    ),
    "two unknown sets of one name": (
        [
            "evaluate",
            "RUN",
            "--suite",
            "full",
            "--unknown",
            "a/x.npz",
            "b/x.npz",
            "--out",
            "x.json",
        ],
        "two sets of unknown images are called x",
    ),
    "a baseline that is none": (
        ["evaluate", "RUN", "--suite", "full", "--baseline", "RUN", "--out", "x.json"],
        "classifier",
    ),
    "gradients of nothing": (["gradients", "nowhere", "--out", "x.png"], "nowhere"),
    "gradients of no run": (["gradients", "--out", "x.png"], "runs"),
    "gradients of a run twice": (["gradients", "RUN", "RUN", "--out", "x.png"], "given twice"),
    "gradients into text": (["gradients", "RUN", "--out", "x.txt"], ".png"),
    "gradients' numbers into text": (
        ["gradients", "RUN", "--out", "x.png", "--json", "x.txt"],
        ".json",
    ),
    "gradients on one image": (["gradients", "RUN", "--n", "1", "--out", "x.png"], "2 to 360"),
    "gradients on no data": (["gradients", "RUN", "--data", "digit", "--out", "x.png"], "digits"),
    "no picture ever": (["train", "jem", "--grid_every", "0", "--out", "OUT"], "grid_every"),
    "no such features": (
        ["evaluate", "RUN", "--features", "inceptio", "--out", "x.json"],
        "'inception'",
    ),
    "no such judge": (
        ["evaluate", "RUN", "--judge", "none.safetensors", "--out", "x.json"],
        "none",
    ),
    "a judge that is none": (
        ["evaluate", "RUN", "--judge", "RUN/init.safetensors", "--out", "x.json"],
        "no judge's weights",
    ),
    "two judges": (
        ["evaluate", "RUN", "--features=inception", "--judge=a.safetensors", "--out", "x.json"],
        "leave --judge away",
    ),
    "no Inception weights": (
        ["evaluate", "RUN", "--features=inception", "--inception-weights=a", "--out=x.json"],
        "weights-inception-2015-12-05-6726825d.pth",
    ),
    "weights of other features": (
        ["evaluate", "RUN", "--inception-weights", "a", "--out", "x.json"],
        "--features inception",
    ),
    "a landscape of images": (["landscape", "RUN", "--out", "x.png"], "moons or spirals"),
    "a landscape of nothing": (["landscape", "--out", "x.png"], "runs"),
    "no such recipe's card": (["recipes", "jem+"], "jem"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_mistake_is_one_line_and_writes_nothing(name, finished, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    argv, expected = ARGUMENTS[name]
    places = {"RUN": str(finished), "OUT": str(tmp_path / "out")}
    before = everything_below(finished)
    capfd.readouterr()
    for place, path in places.items():
        argv = [word.replace(place, path) if word.startswith(place) else word for word in argv]
    assert main(argv) == 2
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1, told.err
    assert expected in told.err
    assert not any(tmp_path.iterdir())
    assert everything_below(finished) == before


DATA = {
    "a float image": ({"train_images": np.zeros((4, 8, 8))}, "uint8"),
    "a missing array": ({"test_labels": None}, "test_labels"),
    "lengths that differ": ({"train_labels": np.array([0, 1])}, "4 images"),
    "a negative label": ({"train_labels": np.array([0, 1, -1, 1])}, "-1"),
    "a label outside the classes": ({"test_labels": np.array([0, 7])}, "7"),
    "sizes that differ": ({"test_images": np.zeros((2, 9, 9), np.uint8)}, "same"),
    "images without pixels": (
        {
            "train_images": np.zeros((4, 0, 8), np.uint8),
            "test_images": np.zeros((2, 0, 8), np.uint8),
        },
        "no pixels",
    ),
    "a class of a billion": ({"train_labels": np.array([0, 0, 0, 10**9])}, "classes"),
    "pickled arrays": ({"train_images": np.array([None] * 4)}, "readable"),
}


@pytest.mark.parametrize("name", DATA)
def test_broken_data_is_one_line_and_writes_nothing(name, tmp_path, capfd):
    changes, expected = DATA[name]
    npz(tmp_path / "data.npz", **changes)
    out = tmp_path / "out"
    argv = ["train", "robust-jem", "--data", str(tmp_path / "data.npz"), "--out", str(out)]
    assert main([*argv, "--chains.size", "10", "--steps", "1"]) == 2
    told = capfd.readouterr()
    assert told.err.count("\n") == 1, told.err
    assert expected in told.err
    assert not out.exists()


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN = {
    "weights cut short": ("checkpoint/model.safetensors", truncated),
    "weights of a pickle": (
        "checkpoint/model.safetensors",
        lambda path: path.write_bytes(b"\x80\x04."),
    ),
    "no weights": ("checkpoint/model.safetensors", lambda path: path.unlink()),
    "configuration cut short": ("checkpoint/config.json", truncated),
    "configuration that names code": (
        "checkpoint/config.json",
        lambda path: path.write_text(
            json.dumps({"architecture": "os.system", "arguments": {}, "mean": None, "std": None})
        ),
    ),
    "statistics cut short": ("init.safetensors", truncated),
    "a recipe that is none": ("recipe.yaml", lambda path: path.write_text("- a\n- b\n")),
    "a recipe with a stranger": ("recipe.yaml", lambda path: path.write_text("atack: {eps: 1}\n")),
    "a recipe that cannot run": (
        "recipe.yaml",
        lambda path: path.write_text(path.read_text().replace("batch_size: 64", "batch_size: 0")),
    ),
    "an environment that is none": ("environment.json", lambda path: path.write_text("[]")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_run_is_one_line_and_writes_nothing(name, finished, tmp_path, capfd):
    file, damage = BROKEN[name]
    run, out = tmp_path / "run", tmp_path / "samples.png"
    shutil.copytree(finished, run)
    damage(run / file)
    before = everything_below(run)
    capfd.readouterr()
    assert main(["sample", str(run), "--n", "10", "--out", str(out)]) == 2
    told = capfd.readouterr()
    assert told.err.count("\n") == 1, told.err
    assert not out.exists()
    assert everything_below(run) == before


@pytest.mark.parametrize("damage", [truncated, lambda path: path.write_text("{}"), Path.unlink])
@pytest.mark.parametrize("command", [["status"], ["train", "--resume"]])
def test_a_checkpoint_without_its_step_is_not_begun_again(
    command, damage, finished, tmp_path, capfd
):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    damage(run / "checkpoint/training.json")
    before = everything_below(run)
    capfd.readouterr()
    assert main([*command, str(run)]) == 2
    told = capfd.readouterr().err
    assert told.count("\n") == 1, told
    assert "training.json" in told
    assert everything_below(run) == before


def test_training_state_cut_short_is_one_line(finished, tmp_path, capfd):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    truncated(run / "checkpoint/training.safetensors")
    recipe = (run / "recipe.yaml").read_text().replace("steps: 2\n  warmup", "steps: 3\n  warmup")
    (run / "recipe.yaml").write_text(recipe)
    capfd.readouterr()
    assert main(["train", "--resume", str(run)]) == 2
    told = capfd.readouterr().err
    assert told.count("\n") == 1, told
    assert "training.safetensors" in told


@pytest.mark.parametrize("tensors", [{"other": torch.zeros(2)}, {"images": torch.zeros(50, 3, 4)}])
def test_chains_of_another_run_are_a_mistake(tensors, finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    write_tensors(run / "checkpoint/chains-0.safetensors", tensors)
    with pytest.raises(Mistake, match="does not hold the chains"):
        Run.open(run).chains()


@pytest.mark.parametrize("command", [["sample", "--n", "10"], ["evaluate", "--n", "100"]])
def test_samples_that_explode_are_one_line(command, finished, tmp_path, monkeypatch, capfd):
    def exploding(run, name):
        return lambda model, y, generator: torch.full((len(y), 1, 8, 8), torch.inf)

    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("jemstone.experiments.judge._STEPS", 2)
    monkeypatch.setattr("jemstone.experiments.runs.Run.sampler", exploding)
    out = tmp_path / "out"
    name, *options = command
    suffix = ".png" if name == "sample" else ".json"
    assert main([name, str(finished), *options, "--out", str(out.with_suffix(suffix))]) == 2
    assert "energy has exploded" in capfd.readouterr().err.splitlines()[-1]
    assert not out.with_suffix(suffix).exists()

"""A landscape's figures are those of its density; other runs than on points have none."""

import json
import math

import pytest
import torch
from PIL import Image

from jemstone.cli import main
from jemstone.data import DataSet, Images, load
from jemstone.errors import Mistake
from jemstone.experiments import begin, data_landscape, landscape
from jemstone.recipes import changed, recipe_for
from jemstone.report import draw_landscapes

SAMPLES = 300


@pytest.fixture(scope="module")
def moons():
    return load("moons")


@pytest.fixture(scope="module")
def run(moons, tmp_path_factory):
    """Train a small run, in a folder of its own."""
    fields = {
        "optimisation.steps": 60,
        "network.width": 16,
        "walk.steps": 2,
        "chains.size": 256,
        "attack.steps": 2,
        "sampling.energy.steps": 5,
        "sampling.combined.steps": 5,
        "sampling.unconditional.steps": 5,
    }
    recipe = changed(recipe_for("robust-jem", "moons", "quick"), fields)
    opened = begin(tmp_path_factory.mktemp("runs") / "run", recipe, moons)
    opened.train(moons)
    return opened


@pytest.fixture(scope="module")
def seen(run, moons):
    return landscape(run, moons, count=SAMPLES)


def test_the_density_is_normalised_and_of_the_models_energy(run, moons, seen):
    assert float(seen.log_density.exp().mean()) == pytest.approx(1)
    centre = torch.full((1, 2, 1, 1), 128.5 / 256)
    expected = -float(run.model().energy(centre).detach()) - seen.figures["log_z"]
    assert float(seen.log_density[128, 128]) == pytest.approx(expected, abs=1e-4)
    assert seen.figures["log_z_error"] < 1e-3


def test_the_first_axis_is_the_first_number(run, seen):
    point = torch.tensor([200.5 / 256, 30.5 / 256]).reshape(1, 2, 1, 1)
    expected = -float(run.model().energy(point).detach()) - seen.figures["log_z"]
    assert float(seen.log_density[200, 30]) == pytest.approx(expected, abs=1e-4)
    assert int(seen.predicted[200, 30]) == int(run.model().logits(point).argmax())


def test_the_held_out_likelihood_tells_the_divergence_from_the_data(moons, seen):
    """-log p(x) of model less that of data is, on average over the data, the divergence."""
    truth = data_landscape(moons).figures
    difference = seen.figures["nll"] - truth["nll"]
    assert difference == pytest.approx(seen.figures["kl_data_model"], abs=0.15)
    assert seen.figures["kl_data_model"] > 0.05
    assert seen.figures["kl_model_data"] > 0.05
    assert 0 < seen.figures["total_variation"] < 1


def test_no_classifier_beats_bayes(moons, seen):
    truth = data_landscape(moons)
    assert 0.97 < truth.figures["accuracy"] < 1
    assert seen.figures["accuracy"] <= truth.figures["accuracy"] + 0.01
    for row in seen.figures["robust_accuracy"]:
        assert row["value"] <= seen.figures["accuracy"]


def test_every_sampler_is_held_to_its_target(seen):
    rows = {row["sampler"]: row for row in seen.figures["samplers"]}
    assert rows.keys() == {"init", "combined", "energy", "attack", "unconditional"}
    assert rows["unconditional"]["target"] == "p(x)"
    assert rows["energy"]["target"] != "p(x)"
    for row in rows.values():
        assert row["n"] == SAMPLES
        assert 0 < row["kl_exact"] < 3
        assert row["kl"] > 0
        assert 0 < row["total_variation_exact"] < 1
    # The init is of another shape than the density, and is told from exact draws of it.
    assert rows["init"]["kl"] > 1.1 * rows["init"]["kl_exact"]
    assert seen.points.shape == (SAMPLES, 2)


def test_it_is_the_same_again(run, moons, seen):
    again = landscape(run, moons, count=SAMPLES)
    assert again.figures == seen.figures
    assert torch.equal(again.points, seen.points)


def test_points_of_unknown_origin_have_the_figures_that_need_no_density(moons, run, tmp_path):
    """A file named as a toy is not the toy: its points rest as bytes."""
    parts = [Images(split.bytes, split.y) for split in (moons.train, moons.test)]
    file = DataSet("moons", *parts, moons.classes, flip=False)
    truth = data_landscape(file)
    assert truth.log_density is None
    assert truth.figures["nll"] is None
    panel = landscape(run, file, count=20)
    assert panel.figures["kl_data_model"] is None
    assert math.isfinite(panel.figures["nll"])
    draw_landscapes(tmp_path / "unknown.png", [[truth], [truth, panel]])
    assert (tmp_path / "unknown.png").is_file()


def test_images_have_no_landscape():
    with pytest.raises(Mistake, match="train on moons or spirals"):
        data_landscape(load("digits"))


def test_the_command_leaves_a_picture_and_its_figures(run, tmp_path, capsys):
    out = tmp_path / "new" / "landscape.png"
    argv = ["landscape", str(run.path), str(run.path), "--samples", "50", "--out", str(out)]
    assert main(argv) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    with Image.open(out) as picture:
        assert picture.size[0] > 2 * picture.size[1] > 200
    told = json.loads(out.with_suffix(".json").read_text())
    assert [row["recipe"] for row in told["landscapes"]] == ["robust-jem"] * 2
    assert told["data"][0]["data"] == "moons"
    assert math.isfinite(told["landscapes"][0]["log_z"])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--out", "x.jpg"], ".png"),
        (["--out", "taken.png"], "taken.json exists"),
        (["--out", "x.png", "--samples", "0"], "1 or more"),
        (["--out", "x.png", "--sampler", "unconditonal"], "unconditional"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_writes_nothing(
    options, reason, run, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.json").touch()
    assert main(["landscape", str(run.path), *options]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert reason in told
    assert [path.name for path in tmp_path.iterdir()] == ["taken.json"]

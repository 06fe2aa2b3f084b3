"""Weights that were trained before become a finished run, if they are of what is asked for."""

import json
import os

import pytest
import torch

from jemstone.data import DataSet, Images
from jemstone.errors import Mistake
from jemstone.experiments import Run, adopt, begin
from jemstone.random import Generator
from jemstone.recipes import changed, recipe_for, write_recipe
from jemstone.training import Device

FIELDS = {"network.width": 1, "chains.size": 6, "optimisation.steps": 5}
RECIPE = changed(recipe_for("robust-jem", "tiny", "quick"), FIELDS)


def data_set(classes=2, size=6, channels=1):
    def split(n, at):
        words = Generator(0).fold(at).integers(n * channels * size * size, 256)
        pixels = words.reshape(n, channels, size, size).to(torch.uint8)
        return Images(pixels, torch.arange(n) % classes)

    names = tuple("abc"[:classes])
    return DataSet("tiny", split(12, 0), split(9, 1), names, flip=False)


@pytest.fixture
def weights(tmp_path):
    """A folder as docs/results/weights has them."""
    run = begin(tmp_path / "trained", RECIPE, data_set(), device=Device())
    folder = tmp_path / "weights"
    run.state(data_set()).model.save_pretrained(folder)
    write_recipe(folder / "recipe.yaml", run.recipe)
    return folder


def test_an_adopted_run_is_a_finished_one(weights, tmp_path):
    path = tmp_path / "adopted"
    adopt(path, weights, RECIPE, data_set(), seed=3, device=Device())
    run, trained = Run.open(path), Run.open(tmp_path / "trained")
    assert (run.seed, run.recipe, run.steps_done) == (3, trained.recipe, 5)
    assert torch.equal(run.gaussian.factors, trained.gaussian.factors)
    assert run.environment["adopted"]["weights"] == "weights"
    assert run.chains() is None
    mine, theirs = run.model().state_dict(), trained.state(data_set()).model.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    y = torch.tensor([0, 1])
    assert run.sampler("combined")(run.model(), y, Generator(0)).shape == (2, 1, 6, 6)


def test_an_adopted_run_is_sampled_as_asked(weights, tmp_path):
    asked = changed(RECIPE, {"sampling.energy.steps": 17, "attack.eps": 0.01})
    adopt(tmp_path / "adopted", weights, asked, data_set(), device=Device())
    run, trained = Run.open(tmp_path / "adopted"), Run.open(tmp_path / "trained")
    assert run.recipe == changed(trained.recipe, {"sampling.energy.steps": 17})


def test_statistics_that_are_there_take_no_room_again(weights, tmp_path):
    there = tmp_path / "trained/init.safetensors"
    for number, make in enumerate((begin, adopt)):
        source = () if make is begin else (weights,)
        path = tmp_path / f"run-{number}"
        make(path, *source, RECIPE, data_set(), device=Device(), statistics=there)
        assert os.path.samefile(path / "init.safetensors", there)


@pytest.mark.parametrize(
    ("recipe", "data", "told"),
    [
        (recipe_for("jempp", "tiny", "quick"), data_set(), "holds robust-jem quick, not jempp"),
        (recipe_for("robust-jem", "tiny", "small"), data_set(), "not robust-jem small"),
        (RECIPE, data_set(channels=3), "cannot read"),
        (RECIPE, data_set(classes=3), "tells 2 classes apart, tiny has 3"),
    ],
)
def test_weights_of_something_else_are_refused(recipe, data, told, weights, tmp_path):
    with pytest.raises(Mistake, match=told):
        adopt(tmp_path / "adopted", weights, recipe, data, device=Device())
    assert not (tmp_path / "adopted").exists()


def test_broken_weights_are_refused(weights, tmp_path):
    (weights / "config.json").write_text(json.dumps({"architecture": "convnet"}))
    with pytest.raises(Mistake):
        adopt(tmp_path / "adopted", weights, RECIPE, data_set(), device=Device())
    assert not (tmp_path / "adopted").exists()

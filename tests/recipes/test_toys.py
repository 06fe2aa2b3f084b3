"""In the plane every recipe walks by true Langevin dynamics, and trains as it is."""

import pytest
import torch

from jemstone.data import TOYS, load
from jemstone.experiments import begin
from jemstone.recipes import (
    PAPERS,
    build_sampler,
    changed,
    check_data,
    checked,
    flattened,
    recipe_for,
    resizing,
)
from jemstone.recipes.check import walks
from jemstone.training import Device
from jemstone.types import Generator

every = pytest.mark.parametrize("name", PAPERS)


@every
@pytest.mark.parametrize("data", TOYS)
@pytest.mark.parametrize("budget", ["quick", "small"])
def test_a_toy_recipe_makes_sense_and_says_why(name, data, budget):
    recipe = checked(recipe_for(name, data, budget))
    check_data(recipe, load(data))
    assert recipe.network.architecture == "mlp"
    reasons = {constant.field: constant.source for constant in resizing(name, data, budget)}
    assert all(reasons.values())
    paper = dict(flattened(PAPERS[name]().recipe()))
    moved = {field for field, value in flattened(recipe) if paper[field] != value}
    assert moved - reasons.keys() == {"budget"}


@every
def test_every_walk_has_temperature_1_and_the_method_is_the_papers(name):
    toy, paper = recipe_for(name, "moons"), PAPERS[name]().recipe()
    assert {walk.temperature for walk in walks(toy).values()} == {1.0}
    assert toy.weights == paper.weights
    assert toy.chains.init == paper.chains.init
    assert toy.attack.norm == paper.attack.norm


@every
def test_every_recipe_takes_two_steps_on_points(name, tmp_path):
    fields = {
        "optimisation.steps": 2,
        "network.width": 8,
        "walk.steps": 2,
        "chains.size": 8,
        "sampling.energy.steps": 2,
        "sampling.combined.steps": 2,
        "sampling.unconditional.steps": 2,
    }
    data = load("spirals")
    run = begin(tmp_path / "run", changed(recipe_for(name, "spirals"), fields), data)
    state = run.train(data)
    assert state.step == 2
    assert all(torch.isfinite(value).all() for value in state.model.state_dict().values())
    for sampler in ("combined", "energy", "attack", "unconditional"):
        x = build_sampler(run.recipe, sampler, run.gaussian)(
            run.model(), torch.tensor([0, 1, 1]), Generator(0)
        )
        assert x.shape == (3, 2, 1, 1)
        assert 0 <= x.min() <= x.max() <= 1
    assert run.device == Device()

"""How long a run will take is told before it starts, and changes nothing."""

from itertools import count

import pytest
import torch

from jemstone.data import load
from jemstone.experiments.pace import passes_per_step, seconds_per_step
from jemstone.recipes import PAPERS, build_model, changed, recipe_for
from jemstone.training import Device, TrainingState

PASSES = {
    "classifier": 1.5,
    "robust-classifier": 7 + 1.5,
    "jem": 9 + 3 * 1.5,
    "jempp": 9 + 3 * 1.5,
    "robust-jem": 9 + 7 + 4 * 1.5,
}


@pytest.mark.parametrize("name", PASSES)
def test_a_step_takes_its_passes_times_one(name, traces, monkeypatch):
    fields = {"walk.steps": 9, "attack.steps": 7, "network.width": 1}
    recipe = changed(recipe_for(name), fields)
    if name == "robust-jem":  # as JEAT it attacks what it raises, too
        jeat = changed(recipe, {"positives": "adversarial"})
        assert passes_per_step(jeat) == passes_per_step(recipe) + 7
    if name == "robust-jem":  # which learns from attacked images alone
        recipe = changed(recipe, {"weights.cross_entropy": 1.0})
    assert passes_per_step(recipe) == pytest.approx(PASSES[name])
    data = load("digits")
    model = build_model(recipe, data, seed=0)
    before, clock = traces(model), count(step=3.0)
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    state = TrainingState(model, torch.optim.SGD(model.parameters()))
    taken = seconds_per_step(state, recipe, data.train, Device())
    assert taken == pytest.approx(3.0 * PASSES[name])
    assert traces(model) == before


@pytest.mark.parametrize("budget", ["quick", "small"])
@pytest.mark.parametrize("data", ["cifar10", "cifar100", "svhn"])
@pytest.mark.parametrize("name", PAPERS)
def test_on_photographs_no_recipe_takes_longer_than_robust_jem(name, data, budget):
    recipes = (recipe_for(each, data, budget) for each in (name, "robust-jem"))
    own, longest = (r.optimisation.steps * passes_per_step(r) for r in recipes)
    assert own <= longest

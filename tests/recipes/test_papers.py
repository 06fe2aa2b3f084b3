"""Recipes carry the papers' constants, in our units, at every size."""

import dataclasses

import pytest
import torch

from jemstone.data import DataSet, Images
from jemstone.experiments import begin
from jemstone.functional.energies import away_from_label, energy, marginal, towards_label
from jemstone.recipes import (
    BUDGETS,
    PAPERS,
    SAMPLERS,
    build_buffer,
    build_model,
    build_objective,
    build_sampler,
    changed,
    checked,
    flattened,
    read_recipe,
    recipe_for,
    resizing,
    write_recipe,
)
from jemstone.report import card
from jemstone.samplers import Clamp, ClassGaussian, ReduceContrast, Uniform, Walk
from jemstone.training import Device
from jemstone.types import Generator

_SAMPLED = {
    f"sampling.{walk}.{field}": value
    for walk in ("energy", "combined", "unconditional")
    for field, value in {"inner": 5, "step_size": 0.05, "clip": 2.0, "noise": 0.0}.items()
} | {"sampling.energy.steps": 50, "sampling.energy.clamp": True}
EXACT = {
    # FACTS of the papers' code, in [0, 1]: a slip in a conversion shows here
    "jem": {
        "network.norm": "none",
        "optimisation.learning_rate": 1e-4,
        "optimisation.milestones": (160.0, 180.0),
        "noise": 0.015,
        "walk.steps": 20,
        "walk.inner": 1,
        "walk.step_size": 0.25,
        "walk.noise": 0.005,
        "walk.clip": None,
        "walk.clamp": False,
        "chains.init": "uniform",
        "chains.size": 10_000,
        "chains.reinit": 0.05,
    },
    "jempp": {
        "network.norm": "batch",
        "optimisation.learning_rate": 0.1,
        "optimisation.weight_decay": 4e-4,
        "optimisation.milestones": (50.0, 100.0, 125.0),
        "optimisation.decay": 0.2,
        "walk.steps": 10,
        "walk.inner": 5,
        "walk.step_size": 0.05,
        "walk.clip": 2.0,
        "walk.noise": 0.0,
        "walk.clamp": True,
        "walk.mode": "batch",
        "chains.jitter": 2.5e-5,
        "weights.cross_entropy": 1.0,
        "conditional": False,
        **_SAMPLED,
    },
    "robust-jem": {
        "attack.norm": "linf",
        "attack.eps": 0.05,
        "attack.steps": 15,
        "attack.step_size": 2.5 * 0.05 / 15,
        "attack.random_start": True,
        "weights.cross_entropy": 0.0,
        "weights.adversarial": 1.0,
        "weights.likelihood": 1.0,
        "sampling.attack.eps": 0.25,
        "sampling.attack.random_start": False,
        "sampling.combined.steps": 50,
        "sampling.combined.clamp": False,
        "sampling.unconditional.steps": 300,
        "sampling.contrast.pivot": 0.5,
        "sampling.attack.steps": 15,
        "sampling.attack.step_size": 2.5 * 0.25 / 15,
        "conditional": False,
        **_SAMPLED,
    },
    "robust-classifier": {"weights.likelihood": 0.0, "attack.eps": 0.05},
    "robust-classifier-l2": {
        "attack.norm": "l2",
        "attack.eps": 0.5,
        "sampling.attack.eps": 30.0,
        "sampling.attack.steps": 60,
        "sampling.attack.step_size": 0.5,
    },
    "classifier": {"weights.cross_entropy": 1.0, "weights.likelihood": 0.0, "noise": 0.0},
}


@pytest.fixture(scope="module")
def toy():
    """Make eight tiny colour images of two classes, as large as the paper budget's crop allows."""
    draws = (255 * Generator(0).uniform((12, 3, 8, 8))).to(torch.uint8)
    images = Images(draws, torch.arange(12) % 2)
    return DataSet("toy", images, images.first(4), ("dark", "light"), flip=True)


@pytest.mark.parametrize("name", PAPERS)
def test_the_paper_budget_has_the_exact_constants(name, toy):
    fields = dict(flattened(recipe_for(name, "cifar10", "paper")))
    for path, value in EXACT.get(name, {}).items():
        assert fields[path] == (pytest.approx(value) if isinstance(value, float) else value), path


@pytest.mark.parametrize("name", PAPERS)
def test_every_constant_has_a_source_and_stands_on_the_card(name, toy):
    paper = PAPERS[name]()
    fields = [constant.field for constant in paper.constants]
    assert len(set(fields)) == len(fields)
    assert all(constant.source for constant in paper.constants)
    table = card(paper, recipe_for(name), resizing(name, "digits", "small"), "digits")
    shown = list(table.columns[0].cells)
    assert set(fields) <= set(shown)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", PAPERS)
def test_a_recipe_makes_sense_and_survives_yaml(name, budget, toy, tmp_path):
    recipe = checked(recipe_for(name, "cifar10", budget))
    write_recipe(tmp_path / "recipe.yaml", recipe)
    assert read_recipe(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize("name", PAPERS)
def test_a_budget_resizes_and_keeps_the_method(name, toy):
    small, paper = (recipe_for(name, "cifar10", budget) for budget in ("small", "paper"))
    assert small.weights == paper.weights
    assert small.attack.norm == paper.attack.norm
    assert small.chains.init == paper.chains.init
    assert small.sampling.combined.clamp == paper.sampling.combined.clamp


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("name", PAPERS)
def test_every_recipe_survives_two_steps(name, norm, toy, tmp_path):
    """Train two steps of the paper's own method, the network and the walks shortened."""
    fields = {
        "network.depth": 10,
        "network.width": 1,
        "network.norm": norm,
        "optimisation.steps": 2,
        "attack.steps": 2,
        "walk.steps": 2,
        "chains.size": 8,
        "sampling.energy.steps": 2,
        "sampling.combined.steps": 2,
        "sampling.unconditional.steps": 2,
        "sampling.attack.steps": 2,
    }
    recipe = changed(recipe_for(name, "cifar10", "paper"), fields)
    run = begin(tmp_path / "run", recipe, toy, device=Device())
    state = run.train(toy)
    assert state.step == 2
    assert all(torch.isfinite(value).all() for value in state.model.state_dict().values())
    for sampler in ("combined", "energy", "attack", "unconditional"):
        x = build_sampler(recipe, sampler, run.gaussian)(
            run.model(), torch.tensor([0, 1, 1]), Generator(0)
        )
        assert x.shape == (3, 3, 8, 8)
        assert 0 <= x.min() <= x.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jempp", "robust-jem"])
def test_a_step_of_the_papers_own_network_runs(name, tmp_path):
    """WRN-28-10 with batch norm on 32x32 colour images, at two images and short walks."""
    draws = (255 * Generator(0).uniform((8, 3, 32, 32))).to(torch.uint8)
    images = Images(draws, torch.arange(8) % 2)
    data = DataSet("noise", images, images.first(4), ("even", "odd"), flip=True)
    fields = {
        "optimisation.batch_size": 2,
        "optimisation.steps": 1,
        "walk.steps": 1,
        "attack.steps": 2,
        "chains.size": 4,
    }
    paper = recipe_for(name, "cifar10", "paper")
    run = begin(tmp_path / "run", changed(paper, fields), data, device=Device())
    before = build_model(run.recipe, data, run.seed).state_dict()
    state = run.train(data)
    after = state.model.state_dict()
    assert (paper.network.depth, paper.network.width, paper.network.norm) == (28, 10, "batch")
    assert sum(p.numel() for p in state.model.parameters()) > 36_000_000
    still = [key for key in before if torch.equal(before[key], after[key])]
    assert still == ["normalise.mean", "normalise.std"]
    assert all(value.isfinite().all() for value in after.values())


WRONG = {
    "network.width": 0,
    "optimisation.batch_size": 0,
    "optimisation.learning_rate": float("nan"),
    "optimisation.ema": 1.5,
    "attack.eps": -0.1,
    "attack.step_size": float("inf"),
    "walk.inner": 0,
    "walk.clip": -1.0,
    "chains.reinit": 2.0,
    "noise": -1.0,
    "positives": "dirty",
}


@pytest.mark.parametrize("path", WRONG)
def test_a_number_that_makes_no_sense_is_named(path, toy):
    with pytest.raises(ValueError, match=path):
        checked(changed(recipe_for("robust-jem"), {path: WRONG[path]}))


@pytest.mark.parametrize("name", PAPERS)
def test_no_paper_of_ours_attacks_the_data_that_it_contrasts(name):
    """Unless it is asked to: then the objective has the attack of training."""
    recipe, gaussian = changed(recipe_for(name), {"weights.likelihood": 1.0}), Uniform((1, 2, 2))
    for positives in ("clean", "adversarial"):
        asked = changed(recipe, {"positives": positives})
        buffer = build_buffer(asked, gaussian, 2, Generator(0))
        (_, likelihood), *_ = build_objective(asked, buffer, 2).parts
        assert (likelihood.attack is None) == (positives == "clean")
        assert likelihood.ramp == recipe.ramp
    assert recipe_for(name).positives == "clean"


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("budget", ["small", "paper"])
def test_samplers_walk_on_what_the_paper_says(name, budget, toy):
    """Attacks paint towards the label, walks descend E(x, y), and E(x) where there is no label."""
    recipe = recipe_for(name, "cifar10", budget)
    gaussian = ClassGaussian.fit(toy.train.pixels, toy.train.y, 2, jitter=1e-3)
    walks = {
        sampler: [
            stage.potential if isinstance(stage, Walk) else type(stage)
            for stage in build_sampler(recipe, sampler, gaussian).stages.stages
        ]
        for sampler in SAMPLERS
    }
    assert walks == {
        "attack": [towards_label],
        "energy": [energy, Clamp],
        "combined": [towards_label, ReduceContrast, energy, Clamp],
        "unconditional": [marginal, Clamp],
    }


@pytest.mark.parametrize("conditional", [False, True])
def test_training_attacks_away_from_the_label_and_walks_on_what_it_raises(conditional):
    recipe = changed(recipe_for("robust-jem", "cifar10"), {"conditional": conditional})
    buffer = build_buffer(recipe, Uniform((1, 2, 2)), 2, Generator(0))
    (_, likelihood), (_, attacked) = build_objective(recipe, buffer, 2).parts
    assert attacked.attack.potential is away_from_label
    assert attacked.ramp == recipe.ramp > 0
    assert likelihood.sampler.walk.potential is (energy if conditional else marginal)
    assert likelihood.conditional == conditional


def test_a_recipe_is_frozen(toy):
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe_for("jem").noise = 1.0

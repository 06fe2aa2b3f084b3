"""What cells sample by."""

import pytest
import torch

from jemstone.experiments.reproduction.cells import sampler_of
from jemstone.experiments.reproduction.rows import CONTROLS, MATRIX
from jemstone.recipes import SAMPLERS, build_sampler, recipe_for
from jemstone.samplers import ClassGaussian

NETWORKS = [name for name, samplers in MATRIX.items() if "energy" in samplers]


@pytest.fixture(scope="module")
def gaussian():
    deviations = torch.ones(2, 4)
    return ClassGaussian(torch.zeros(2, 4), torch.zeros(2, 4, 1), (1, 2, 2), deviations)


def stages(sampler):
    return [(type(stage).__name__, vars(stage)) for stage in sampler.stages.stages]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("data", ["digits", "mnist", "cifar10"])
def test_controls_paint_as_the_paper_does(network, data, gaussian):
    recipe, paper = recipe_for(network, data, "quick"), recipe_for(network, data, "paper")
    _, contrast, *_ = sampler_of(recipe, "combined-paper", gaussian).stages.stages
    assert vars(contrast) == vars(build_sampler(paper, "combined", gaussian).stages.stages[1])
    assert vars(contrast) != vars(build_sampler(recipe, "combined", gaussian).stages.stages[1])
    for name in ("attack-paper", "combined-paper"):
        attack = sampler_of(recipe, name, gaussian).stages.stages[0]
        assert attack.ball.eps == pytest.approx(5 * recipe.attack.eps)
        assert attack.steps == recipe.sampling.attack.steps
        assert attack.step_size == pytest.approx(2.5 * attack.ball.eps / attack.steps)


@pytest.mark.parametrize("network", NETWORKS)
def test_at_the_papers_budget_its_painting_is_the_row_itself(network, gaussian):
    recipe = recipe_for(network, "cifar10", "paper")
    for name in ("attack", "combined"):
        own = sampler_of(recipe, name, gaussian)
        assert stages(sampler_of(recipe, f"{name}-paper", gaussian)) == stages(own)


def test_a_control_is_named_after_the_sampler_that_it_changes():
    assert all(name.partition("-")[0] in SAMPLERS for name in CONTROLS)

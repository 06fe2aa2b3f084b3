"""A run begins with the Gaussians that its recipe asks for."""

import pytest
import torch

from jemstone.data import DataSet, Images
from jemstone.errors import Mistake
from jemstone.experiments import Run, begin
from jemstone.recipes import changed, recipe_for
from jemstone.training import Device

SHAPE, COUNTS = (1, 4, 4), (9, 5, 1, 0)


@pytest.fixture
def uneven():
    """Classes of fewer and fewer images."""
    labels = torch.arange(len(COUNTS)).repeat_interleave(torch.tensor(COUNTS))
    images = Images((torch.rand(len(labels), *SHAPE) * 255).to(torch.uint8), labels)
    return DataSet("uneven", images, images, ("a", "b", "c", "d"), flip=False)


def recipe(rank):
    small = {"optimisation.steps": 1, "optimisation.warmup": 0, "chains.size": 8}
    return changed(recipe_for("jempp", "digits", "quick"), {**small, "chains.rank": rank})


@pytest.mark.parametrize("rank", [None, 1, 8])
def test_a_run_begins_and_opens_with_its_rank(rank, uneven, tmp_path, generator):
    begin(tmp_path / "run", recipe(rank), uneven, device=Device())
    gaussian = Run.open(tmp_path / "run").gaussian
    assert gaussian.factors.shape == (4, 16, rank or 16)
    assert (gaussian.deviations is None) == (rank is None)
    assert torch.isfinite(gaussian(torch.arange(4), generator)).all()


@pytest.mark.parametrize("rank", [9, 16])
def test_more_directions_than_the_largest_class_has_are_refused(rank, uneven, tmp_path):
    with pytest.raises(Mistake, match=r"chains.rank is .*at most 8$"):
        begin(tmp_path / "run", recipe(rank), uneven, device=Device())
    assert not list(tmp_path.iterdir())


def test_a_run_from_before_there_were_ranks_opens(uneven, tmp_path):
    path = tmp_path / "run"
    begin(path, recipe(None), uneven, device=Device())
    lines = (path / "recipe.yaml").read_text().splitlines(keepends=True)
    (path / "recipe.yaml").write_text("".join(line for line in lines if "rank:" not in line))
    run = Run.open(path)
    assert run.recipe.chains.rank is None
    assert run.state(uneven).buffer.images.shape == (8, *SHAPE)

"""What a recipe may say: names that exist, numbers that make sense, and fit the data."""

import pytest
import torch

from jemstone.data import DataSet, Images
from jemstone.errors import Mistake
from jemstone.random import Generator
from jemstone.recipes import changed, check_data, checked, of_length, recipe_for

NAMES = {
    "network.norm": "layer",
    "network.activation": "gelu",
    "optimisation.optimiser": "adamw",
    "optimisation.schedule": "linear",
    "attack.norm": "l1",
    "walk.mode": "train",
    "chains.init": "class_gaussian",
    "sampling.init": "noise",
    "positives": "both",
    "budget": "large",
}


@pytest.mark.parametrize("field", NAMES)
def test_a_name_that_does_not_exist_is_told_beside_those_that_do(field):
    recipe = checked(recipe_for("jempp"))
    with pytest.raises(Mistake, match=NAMES[field]) as told:
        checked(changed(recipe, {field: NAMES[field]}))
    assert field in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("side", "padding", "fits"),
    [
        ((8, 8), 1, True),
        ((8, 8), 7, True),
        ((8, 8), 8, False),
        ((1, 1), 1, True),  # a point of the plane
        ((1, 64), 0, True),
        ((1, 64), 1, False),
        ((64, 1), 1, False),
    ],
)
def test_a_border_is_reflected_within_the_image(side, padding, fits):
    images = Images(torch.zeros(8, 1, *side, dtype=torch.uint8), torch.arange(8) % 2)
    data = DataSet("thin", images, images, ("a", "b"), False)
    recipe = changed(recipe_for("classifier"), {"augmentation.padding": padding})
    if fits:
        check_data(recipe, data)
        assert recipe.augmentation(data.train.x, Generator(0)).shape == data.train.x.shape
    else:
        with pytest.raises(Mistake, match=f"smaller side of the images, {min(side)}"):
            check_data(recipe, data)


@pytest.mark.parametrize(("name", "data"), [("robust-jem", "cifar10"), ("jempp", "digits")])
@pytest.mark.parametrize("steps", [1, 600, 24_000])
def test_of_another_length_an_attack_grows_over_the_same_share(name, data, steps):
    recipe = recipe_for(name, data)
    sized = of_length(recipe, steps)
    assert sized.optimisation.steps == steps
    share = recipe.ramp / recipe.optimisation.steps
    assert sized.ramp == pytest.approx(share * steps, abs=0.5)

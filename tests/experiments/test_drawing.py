"""Samples are images: in the box, one for each label, or refused."""

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.experiments.ablations.figures import FIGURES, sampled_figures
from jemstone.experiments.drawing import Exploded, draw
from jemstone.random import Generator

WILD = {"nan": torch.nan, "infinity": torch.inf, "minus infinity": -torch.inf}


class Drawing:
    """Draw every image in one shade, but one of them with a pixel of a given value."""

    passes = 3

    def __init__(self, pixel):
        self.pixel = pixel

    def __call__(self, model, y, generator):
        x = torch.full((len(y), 1, 2, 2), 0.5)
        x[y == 7, 0, 1, 1] = self.pixel
        return x


@pytest.mark.parametrize(("pixel", "drawn"), [(0.25, 0.25), (1.5, 1.0), (-3e38, 0.0)])
def test_samples_are_put_into_the_box(pixel, drawn, quadratic):
    x = draw(quadratic(), Drawing(pixel), torch.arange(9), Generator(0), batch_size=4)
    assert x.shape == (9, 1, 2, 2)
    assert x[7, 0, 1, 1] == drawn
    assert (x == 0.5).sum() == 9 * 4 - 1


@pytest.mark.parametrize("name", WILD)
def test_what_is_not_finite_is_no_image(name, quadratic):
    with pytest.raises(Mistake, match="energy has exploded"):
        draw(quadratic(), Drawing(WILD[name]), torch.arange(9), Generator(0), batch_size=4)


def test_every_process_refuses_what_one_of_them_drew(quadratic):
    class Together:
        share = slice(0, None, 2)  # without the seventh

        def join_shares(self, mine, count):
            theirs = draw_share(slice(1, None, 2))
            return torch.stack([mine[:4], theirs], dim=1).flatten(0, 1)[:count]

    def draw_share(share):
        return Drawing(torch.inf)(None, torch.arange(8)[share], None)

    with pytest.raises(Exploded):
        draw(quadratic(), Drawing(torch.inf), torch.arange(8), Generator(0), processes=Together())


def test_a_setting_whose_samples_explode_has_no_figures(quadratic):
    found = sampled_figures(
        quadratic(),
        Drawing(torch.nan),
        None,
        count=20,
        classes=10,
        generator=Generator(0),
        device=None,
    )
    assert found == dict.fromkeys(FIGURES) | {"passes_per_image": 3}

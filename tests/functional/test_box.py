from __future__ import annotations

import math

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.functional.box import at_bounds, check_box, in_box


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("box", [(0.0, 1.0), (-1.0, 1.0)])
def test_a_box_is_closed(box: tuple[float, float], size: int) -> None:
    x = torch.linspace(*box, steps=size * 4).reshape(size, 1, 2, 2)
    assert in_box(x, *box)
    check_box(x, *box)


@pytest.mark.parametrize("pixel", [-0.01, 1.01, math.nan, math.inf, -math.inf])
def test_one_pixel_is_enough_to_leave_it(pixel: float) -> None:
    x = torch.full((2, 1, 2, 2), 0.5)
    x[1, 0, 0, 1] = pixel
    assert not in_box(x)
    with pytest.raises(Mistake, match=r"outside \[0, 1\]"):
        check_box(x)


@pytest.mark.parametrize(
    ("pixel", "share"),
    [(0.5, 0.0), (1e-6, 0.0), *((beyond, 0.25) for beyond in (0.0, 1.0, -0.1, 7.0, math.nan))],
)
def test_a_pixel_is_at_its_bounds_unless_it_is_inside(pixel: float, share: float) -> None:
    x = torch.full((2, 1, 2, 2), 0.5)
    x[:, :, 0, 0] = pixel
    assert at_bounds(x) == share

import pytest
import torch

from jemstone.random import Generator
from jemstone.samplers import Clamp, ReduceContrast

TRANSFORMS = [ReduceContrast(0.8), ReduceContrast(0.5, pivot=0.2), Clamp(), Clamp(0.3, 0.6)]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
def test_a_transform_never_asks_the_model(transform, images):
    end = transform(None, images, None, Generator(0))
    assert torch.equal(end, transform.apply(images))
    (only,) = transform.iterate(None, images, None, Generator(0))
    assert torch.equal(only, end)


@pytest.mark.parametrize("pivot", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("factor", [0.0, 0.8, 1.0])
def test_contrast_scales_distances_from_the_pivot(pivot, factor, images):
    x = ReduceContrast(factor, pivot).apply(images)
    torch.testing.assert_close(x - pivot, factor * (images - pivot))
    again = ReduceContrast(factor, pivot).apply(x)
    torch.testing.assert_close(again, ReduceContrast(factor**2, pivot).apply(images))


def test_clamp_moves_what_is_outside_and_nothing_else(images):
    x = 3 * images - 1
    end = Clamp().apply(x)
    assert torch.equal(end, torch.where(x < 0, 0.0, torch.where(x > 1, 1.0, x)))
    assert torch.equal(Clamp().apply(end), end)

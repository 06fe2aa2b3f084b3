"""Moments of chunks are those of all rows at once."""

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.functional.moments import Moments, moments
from jemstone.random import Generator


def rows(count, width=5, stream=0):
    return Generator(stream).normal((count, width), dtype=torch.float64)


@pytest.mark.parametrize("chunk", [1, 3, 40, 97, 1000])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1e6, 1e-2), (-3.0, 50.0)])
def test_chunks_tell_what_the_whole_tells(chunk, shift, scale):
    x = shift + scale * rows(97)
    found = moments(x.split(chunk))
    assert found.count == 97
    torch.testing.assert_close(found.mean, x.mean(dim=0), rtol=1e-12, atol=0)
    # Sums of squares minus squares of sums would be wrong in every digit at a shift of 1e6.
    torch.testing.assert_close(found.covariance, torch.cov(x.T), rtol=1e-6, atol=1e-12 * scale**2)


def test_joining_is_the_moments_of_both():
    x, y = rows(31), 2 + rows(8, stream=1)
    both, apart = moments([torch.cat([x, y])]), moments([x]) + moments([y])
    assert both.count == apart.count
    torch.testing.assert_close(both.mean, apart.mean)
    torch.testing.assert_close(both.scatter, apart.scatter)


@pytest.mark.parametrize("kind", [torch.uint8, torch.float16, torch.float32])
def test_rows_of_any_type_are_read_in_float64(kind):
    x = (10 * rows(50)).abs().to(kind)
    found = moments(x.split(7))
    assert found.mean.dtype == found.scatter.dtype == torch.float64
    torch.testing.assert_close(found.mean, x.double().mean(dim=0))


def test_empty_chunks_count_nothing():
    x = rows(6)
    torch.testing.assert_close(
        moments([x[:0], x[:2], x[:0], x[2:]]).covariance, moments([x]).covariance
    )


def test_too_few_rows_are_a_mistake():
    with pytest.raises(Mistake, match="at least one row"):
        moments([])
    with pytest.raises(Mistake, match="at least two rows, not 1"):
        _ = moments([rows(1)]).covariance


def test_one_row_has_a_mean_and_no_scatter():
    found = moments([rows(1)])
    assert isinstance(found, Moments)
    assert not found.scatter.any()

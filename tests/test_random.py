import math

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from scipy import stats

from jemstone.random import Generator, _mix, _mix_int

DRAWS = {
    "normal": lambda g, batch: g.normal((batch, 3, 5)),
    "uniform": lambda g, batch: g.uniform((batch, 3, 5)),
    "integers": lambda g, batch: g.integers(batch, 1000),
    "words": lambda g, batch: g.words(batch, 7),
}
# A large sample in three forms: one long row, one long column, and a table.
SHAPES = [(1, 99_999), (99_999, 1), (333, 301)]
ODD = [(1, 1), (3, 7), (2, 1, 3, 3), (5,), (0, 4), (4, 0)]


def test_the_mixing_function_is_that_of_splitmix64():
    """The first five numbers of seed 1234567: https://rosettacode.org/wiki/Pseudo-random_numbers."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    states = [(1234567 + k * 0x9E3779B97F4A7C15) % 2**64 for k in range(1, 6)]
    assert [_mix_int(state) for state in states] == expected
    words = _mix(torch.tensor([state - (state >> 63 << 64) for state in states]))
    assert [word % 2**64 for word in words.tolist()] == expected


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_an_image_gets_the_same_draw_in_every_batch_size(draw, batch):
    assert torch.equal(draw(Generator(3), batch), draw(Generator(3), 64)[:batch])


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@hypothesis.given(places=st.lists(st.integers(0, 40), min_size=1, max_size=9))
@hypothesis.settings(deadline=None, derandomize=True, max_examples=20)
def test_an_image_gets_the_same_draw_at_every_place_of_every_split(draw, places):
    whole = draw(Generator(3).fold("walk", 5), 41)
    part = draw(Generator(3).at(torch.tensor(places)).fold("walk", 5), len(places))
    assert torch.equal(part, whole[places])


def test_at_counts_within_the_batch_it_is_asked_of(generator):
    nested = generator.at(torch.tensor([4, 2, 9])).at(torch.tensor([2, 0]))
    assert torch.equal(nested.words(2, 3), generator.words(10, 3)[[9, 4]])


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_asked_twice_it_answers_the_same(draw, generator):
    assert torch.equal(draw(generator, 9), draw(generator, 9))


def test_a_generator_for_some_images_refuses_another_batch_size(generator):
    with pytest.raises(ValueError, match="2 images, not for 3"):
        generator.at(torch.tensor([0, 1])).normal((3, 4))


def test_no_two_paths_give_the_same_word():
    paths = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), ("init",), ("walk",), ("walk", 0), (0, "walk")]
    paths += [("epoch", i) for i in range(100)] + [(i,) for i in range(2, 100)]
    seeds = (0, 1, 2, -1, 2**63, 12345)
    words = [Generator(s).fold(*path).words(20, 8).flatten() for s in seeds for path in paths]
    words = torch.cat(words)
    assert len(words.unique()) == len(words)


@pytest.mark.parametrize(
    "rows",
    [
        lambda n: torch.stack([Generator(0).fold(i).normal((1, n))[0] for i in range(20)]),
        lambda n: torch.stack([Generator(i).normal((1, n))[0] for i in range(20)]),
        lambda n: Generator(0).normal((20, n)),  # image against image
        lambda n: Generator(0).normal((n, 20)).T,  # place against place, Box-Muller's pairs too
        lambda n: Generator(0).normal((n, 20)).T.square(),
        lambda n: torch.stack([Generator(0).fold(i).normal((n, 1))[:, 0] for i in range(20)]),
    ],
    ids=["paths", "seeds", "images", "places", "squares", "paths of images"],
)
def test_streams_are_uncorrelated(rows):
    n = 10_000
    correlations = torch.corrcoef(rows(n).double()) - torch.eye(20)
    assert correlations.abs().max() < 5 / math.sqrt(n)


@pytest.mark.parametrize("shape", SHAPES)
def test_normal_is_normal(shape, generator):
    draws = generator.normal(shape).double().flatten()
    assert stats.kstest(draws.numpy(), "norm").pvalue > 1e-3
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        tolerance = 5 * math.sqrt(variance / len(draws))
        assert abs(float((draws**power).mean()) - moment) < tolerance


@pytest.mark.parametrize("shape", SHAPES)
def test_uniform_is_uniform(shape, generator):
    draws = generator.uniform(shape).double().flatten()
    assert stats.kstest(draws.numpy(), "uniform").pvalue > 1e-3
    assert 0 <= draws.min() <= draws.max() < 1
    for power in (1, 2):
        tolerance = 5 / math.sqrt(len(draws))
        assert abs(float((draws**power).mean()) - 1 / (power + 1)) < tolerance


@pytest.mark.parametrize("high", [1, 2, 7, 10, 1000])
def test_integers_are_uniform(high, generator):
    counts = torch.bincount(generator.integers(50_000, high), minlength=high)
    assert len(counts) == high
    assert high == 1 or stats.chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("size", [0, 1, 2, 7, 1437])
def test_permutation_is_one(size, generator):
    assert torch.equal(generator.permutation(size).sort().values, torch.arange(size))


def test_every_order_is_as_likely():
    orders = [tuple(Generator(0).fold(i).permutation(3).tolist()) for i in range(3000)]
    assert stats.chisquare(np.unique(orders, axis=0, return_counts=True)[1]).pvalue > 1e-3
    assert len(set(orders)) == 6


@pytest.mark.parametrize("shape", ODD)
@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_shape_is_answered(shape, kind, dtype, generator):
    draws = getattr(generator, kind)(shape, dtype=dtype)
    assert draws.shape == shape
    assert draws.dtype == dtype
    assert draws.isfinite().all()
    assert torch.equal(draws, getattr(generator, kind)(shape).to(dtype))

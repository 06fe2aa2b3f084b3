from __future__ import annotations

import math

import pytest
import torch
from prdc import compute_prdc
from scipy import stats

from jemstone.errors import Mistake
from jemstone.functional.statistics import (
    at_bounds,
    checked,
    density_coverage,
    mean_interval,
    nearest_distances,
    newcombe_interval,
    standard_error,
    welch_interval,
    wilson_interval,
    within_class_spread,
)
from jemstone.random import Generator


def normal(rows: int, width: int, stream: int = 0) -> torch.Tensor:
    return Generator(stream).normal((rows, width))


@pytest.mark.parametrize("chunk", [1, 7, 64, 2048])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (40, 60), (60, 5)])
def test_nearest_distances_are_the_smallest_of_all(n: int, m: int, chunk: int) -> None:
    x, reference = normal(n, 5), normal(m, 5, stream=1)
    expected = (x[:, None] - reference).double().norm(dim=-1).amin(dim=1)
    found = nearest_distances(x, reference, chunk=chunk)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_a_copy_is_at_no_distance_and_no_neighbour_of_itself(scale: float) -> None:
    x = scale * (normal(50, 30) + 100)
    assert nearest_distances(x, x).eq(0).all()
    others = torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist")
    expected = others.fill_diagonal_(math.inf).amin(dim=1)
    for chunk in (1, 8, 64):
        found = nearest_distances(x, x, exclude_self=True, chunk=chunk)
        torch.testing.assert_close(found, expected)


def test_bytes_are_as_good_as_floats() -> None:
    x = Generator(0).integers(20 * 12, 256).reshape(20, 12)
    near = nearest_distances(x[:5].to(torch.uint8), x[5:].to(torch.uint8))
    torch.testing.assert_close(near / 255, nearest_distances(x[:5] / 255, x[5:] / 255))


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.0, 0.3), (0.0, 3.0)])
def test_density_and_coverage_are_those_of_prdc(k: int, shift: float, scale: float) -> None:
    real, fake = normal(150, 6), shift + scale * normal(90, 6, stream=1)
    expected = compute_prdc(real.double().numpy(), fake.double().numpy(), nearest_k=k)
    found = density_coverage(real, fake, k, chunk=64)
    assert found == pytest.approx((expected["density"], expected["coverage"]), abs=1e-12)


def test_density_and_coverage_at_the_extremes() -> None:
    real = normal(60, 4)
    assert density_coverage(real, real)[1] == 1
    assert density_coverage(real, real + 1000) == (0, 0)


@pytest.mark.parametrize(
    ("pixel", "share"),
    [(0.5, 0.0), (1e-6, 0.0), *((beyond, 0.25) for beyond in (0.0, 1.0, -0.1, 7.0, math.nan))],
)
def test_a_pixel_is_at_its_bounds_unless_it_is_inside(pixel: float, share: float) -> None:
    x = torch.full((2, 1, 2, 2), 0.5)
    x[:, :, 0, 0] = pixel
    assert at_bounds(x) == share


def test_spread_is_the_mean_over_classes() -> None:
    # Class 0 lies 1 from its mean, class 5 lies 3 from its own; class sizes do not matter.
    features = torch.tensor([[-1.0], [1.0], [-1.0], [1.0], [7.0], [13.0]])
    labels = torch.tensor([0, 0, 0, 0, 5, 5])
    assert within_class_spread(features, labels) == pytest.approx(2)
    assert within_class_spread(10 * features + 3, labels) == pytest.approx(20)


@pytest.mark.parametrize("values", [[1.0, 2.0], [0.1, 0.4, 0.2, 0.9, 0.5]])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_mean_interval_is_students(values: list[float], confidence: float) -> None:
    assert standard_error(torch.tensor(values)) == pytest.approx(stats.sem(values), rel=1e-6)
    expected = stats.t.interval(
        confidence, len(values) - 1, loc=sum(values) / len(values), scale=stats.sem(values)
    )
    assert mean_interval(torch.tensor(values), confidence) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("successes", "n"), [(0, 7), (7, 7), (1, 1), (50, 100), (999, 1000)])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_wilson_interval_is_scipys(successes: int, n: int, confidence: float) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    low, high = wilson_interval(successes, n, confidence)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= successes / n <= high <= 1


ROWS = torch.ones(3, 2)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: checked("a figure", 4, ROWS), "a figure needs at least 4 images, not 3"),
        (lambda: checked("a figure", 1, ROWS, ROWS[:, :1]), "of one width"),
        (lambda: checked("a figure", 1, ROWS * math.nan), "finite"),
        (lambda: checked("a figure", 1, ROWS[0]), "one row per image"),
        (lambda: nearest_distances(ROWS, ROWS[:0]), "no neighbour"),
        (lambda: nearest_distances(ROWS[:1], ROWS[:1], exclude_self=True), "no neighbour"),
        (lambda: nearest_distances(ROWS[:2], ROWS, exclude_self=True), "are not the 3"),
        (lambda: density_coverage(ROWS, ROWS, k=3), "at least 4 images"),
        (lambda: density_coverage(ROWS, ROWS[:0], k=1), "at least 1 images"),
        (lambda: density_coverage(ROWS, ROWS, k=0), "not number 0"),
        (lambda: density_coverage(ROWS, ROWS * math.inf, k=1), "finite"),
        (lambda: within_class_spread(ROWS, torch.tensor([0, 0, 1])), "class 1 has one image"),
        (lambda: within_class_spread(ROWS[:0], torch.tensor([])), "at least two images"),
        (lambda: standard_error(torch.ones(1)), "at least two values"),
        (lambda: mean_interval(torch.ones(2), 1.0), "between 0 and 1"),
        (lambda: wilson_interval(3, 2), "3 of 2 is not a share"),
        (lambda: wilson_interval(0, 0), "is not a share"),
        (lambda: wilson_interval(1, 2, 0.0), "between 0 and 1"),
    ],
)
def test_what_cannot_be_computed_is_refused(wrong, words: str) -> None:
    with pytest.raises(Mistake, match=words):
        wrong()


@pytest.mark.parametrize("confidence", [0.5, 0.95])
@pytest.mark.parametrize(("n", "m", "scale"), [(2, 2, 1.0), (3, 5, 10.0), (30, 3, 0.1)])
def test_an_interval_of_a_difference_is_welchs(
    n: int, m: int, scale: float, confidence: float
) -> None:
    a, b = normal(1, n)[0].double(), 1.0 + scale * normal(1, m, stream=1)[0].double()
    found = stats.ttest_ind(a.numpy(), b.numpy(), equal_var=False).confidence_interval(confidence)
    expected = (float(found.low), float(found.high))
    assert welch_interval(a, b, confidence) == pytest.approx(expected, rel=1e-9)


def test_measurements_that_do_not_vary_differ_by_one_number() -> None:
    assert welch_interval(torch.full((3,), 4.0), torch.full((2,), 1.0)) == (3.0, 3.0)
    with pytest.raises(Mistake, match="at least two"):
        welch_interval(torch.ones(3), torch.ones(1))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # Newcombe 1998, table II, method 10
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
    ],
)
def test_an_interval_of_a_difference_of_shares_is_newcombes(
    first: tuple[int, int], second: tuple[int, int], expected: tuple[float, float]
) -> None:
    assert newcombe_interval(first, second) == pytest.approx(expected, abs=6e-5)
    low, high = newcombe_interval(second, first)
    assert (-high, -low) == pytest.approx(expected, abs=6e-5)

from __future__ import annotations

import pytest
import torch
from scipy import stats

from jemstone.errors import Mistake
from jemstone.functional.confidence import (
    mean_interval,
    newcombe_interval,
    standard_error,
    welch_interval,
    wilson_interval,
)
from jemstone.random import Generator


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


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: standard_error(torch.ones(1)), "at least two values"),
        (lambda: mean_interval(torch.ones(2), 1.0), "between 0 and 1"),
        (lambda: wilson_interval(3, 2), "3 of 2 is not a share"),
        (lambda: wilson_interval(0, 0), "is not a share"),
        (lambda: wilson_interval(1, 2, 0.0), "between 0 and 1"),
    ],
)
def test_what_is_no_measurement_is_refused(wrong, words: str) -> None:
    with pytest.raises(Mistake, match=words):
        wrong()


@pytest.mark.parametrize("confidence", [0.5, 0.95])
@pytest.mark.parametrize(("n", "m", "scale"), [(2, 2, 1.0), (3, 5, 10.0), (30, 3, 0.1)])
def test_an_interval_of_a_difference_is_welchs(
    n: int, m: int, scale: float, confidence: float
) -> None:
    a, b = Generator(0).normal((n,)).double(), 1.0 + scale * Generator(1).normal((m,)).double()
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

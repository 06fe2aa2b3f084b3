from __future__ import annotations

import math

import pytest
import torch
from prdc import compute_prdc

from jemstone.errors import Mistake
from jemstone.functional.statistics import (
    checked,
    density_coverage,
    nearest_distances,
    rows_at_a_time,
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


def test_images_are_rows_whatever_their_shape() -> None:
    x, y = normal(7, 3 * 4 * 4), normal(9, 3 * 4 * 4, stream=1)
    tall, other = x.reshape(7, 4, 4, 3).movedim(-1, 1), y.reshape(9, 4, 4, 3).movedim(-1, 1)
    torch.testing.assert_close(nearest_distances(tall, other), nearest_distances(x, y))
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    assert within_class_spread(tall, labels) == pytest.approx(within_class_spread(x, labels))


@pytest.mark.parametrize("numbers", [0, 1, 4096, 4097, 150_528, 10**8])
def test_long_rows_are_compared_in_smaller_chunks(numbers: int) -> None:
    rows = torch.empty(1, 1).expand(3, numbers)
    chunk = rows_at_a_time(rows)
    assert 1 <= chunk <= 2048
    assert chunk == 1 or chunk * numbers <= 2**23
    assert chunk == 2048 or (chunk + 1) * numbers > 2**23


def test_a_spread_is_of_the_classes_that_count() -> None:
    features, labels = normal(6, 3), torch.tensor([0, 0, 1, 1, 1, 2])
    alone = within_class_spread(features[2:5], labels[2:5])
    assert within_class_spread(features, labels, [1]) == alone
    assert within_class_spread(features, labels, [0, 1]) != alone


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


def test_spread_is_the_mean_over_classes() -> None:
    # Class 0 lies 1 from its mean, class 5 lies 3 from its own; class sizes do not matter.
    features = torch.tensor([[-1.0], [1.0], [-1.0], [1.0], [7.0], [13.0]])
    labels = torch.tensor([0, 0, 0, 0, 5, 5])
    assert within_class_spread(features, labels) == pytest.approx(2)
    assert within_class_spread(10 * features + 3, labels) == pytest.approx(20)


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
    ],
)
def test_what_cannot_be_computed_is_refused(wrong, words: str) -> None:
    with pytest.raises(Mistake, match=words):
        wrong()

"""Distances from one reference are those of the library, and their bias is told."""

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.metrics import (
    FrechetReference,
    class_frechet_distance,
    frechet_curve,
    frechet_distance,
)
from jemstone.random import Generator


def normal(rows, width=5, stream=0):
    return Generator(stream).normal((rows, width), dtype=torch.float64)


@pytest.mark.parametrize("held_out", [2, 7, 30])
@pytest.mark.parametrize("rows", [3, 5, 40])
@pytest.mark.parametrize("width", [2, 5, 12])
def test_a_reference_measures_as_the_library_does(held_out, rows, width):
    real, fake = normal(held_out, width), 2 * normal(rows, width, stream=1) + 1
    found = FrechetReference(real).distance(fake)
    assert found == pytest.approx(frechet_distance(real, fake), rel=1e-5)


def test_the_distance_of_classes_is_their_mean():
    real, fake = normal(60), normal(40, stream=1)
    labels, others = torch.arange(60) % 3, torch.arange(40) % 4
    expected = [frechet_distance(real[labels == k], fake[others == k]) for k in range(3)]
    found = class_frechet_distance(real, labels, fake, others)
    assert found == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_samples_under_another_class_are_found_far():
    labels = torch.arange(80) % 2
    real = normal(80) + 10 * labels[:, None]
    fake = normal(80, stream=1) + 10 * labels[:, None]
    right = class_frechet_distance(real, labels, fake, labels)
    wrong = class_frechet_distance(real, labels, fake, 1 - labels)
    assert frechet_distance(real, fake) < 5
    assert wrong > 100 > right


def test_the_curve_falls_and_its_end_is_nearer_to_the_truth():
    """Of one Gaussian with itself the distance is 0, but for the bias of few samples."""
    reference = FrechetReference(normal(20_000, 8))
    curves = [
        frechet_curve(reference, normal(400, 8, stream=seed), Generator(seed))
        for seed in range(1, 9)
    ]
    biased = sum(curve["fid"][-1] for curve in curves) / 8
    limit = sum(curve["fid_infinity"] for curve in curves) / 8
    assert curves[0]["n"][0] == 80
    assert curves[0]["n"][-1] == 400
    assert all(curve["fid"][0] > curve["fid"][-1] for curve in curves)
    assert abs(limit) < biased / 3


def test_a_line_through_too_few_samples_is_not_drawn():
    reference = FrechetReference(normal(50, 12))
    assert frechet_curve(reference, normal(60, 12), Generator(0))["fid_infinity"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: FrechetReference(normal(1)),
        lambda: FrechetReference(normal(9)).distance(normal(1)),
        lambda: FrechetReference(normal(9)).distance(normal(9, 4)),
        lambda: frechet_curve(FrechetReference(normal(9)), normal(9), Generator(0)),
        lambda: class_frechet_distance(normal(4), torch.arange(4), normal(4), torch.arange(4)),
    ],
)
def test_too_little_is_refused(wrong):
    with pytest.raises(Mistake):
        wrong()

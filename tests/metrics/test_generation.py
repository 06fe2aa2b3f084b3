from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from prdc import compute_prdc
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.metrics import (
    Seen,
    compare,
    frechet_distance,
    inception_score,
    judge_samples,
    kernel_distance,
    look,
    nearest_neighbours,
    nearest_to,
    precision_recall,
    spread_ratio,
)
from jemstone.random import Generator

WIDTH = 6


def normal(rows: int, stream: int = 0, width: int = WIDTH) -> torch.Tensor:
    return Generator(stream).normal((rows, width), dtype=torch.float64)


def whitened(rows: int, stream: int) -> torch.Tensor:
    """Draw rows whose mean is exactly 0 and whose covariance is exactly the identity."""
    x = normal(rows, stream)
    x = x - x.mean(dim=0)
    return x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T


class Given(nn.Module):
    """What torchmetrics takes for a network: features that are there already."""

    num_features = WIDTH

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    ("shift", "real_scale", "fake_scale"),
    [(0.0, 1.0, 1.0), (2.0, 1.0, 1.0), (0.0, 1.0, 3.0), (0.5, 2.0, 0.1)],
)
def test_frechet_distance_of_gaussians(shift: float, real_scale: float, fake_scale: float) -> None:
    stretch = torch.arange(1, WIDTH + 1).double()
    real = real_scale * stretch * whitened(80, stream=0)
    fake = fake_scale * stretch * whitened(50, stream=1) + shift
    expected = WIDTH * shift**2 + float(((real_scale - fake_scale) * stretch).square().sum())
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9, abs=1e-8)


def test_nothing_is_at_a_distance_from_itself() -> None:
    x = normal(40)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert precision_recall(x, x) == (1, 1)
    # Fewer images than features: the covariances are singular.
    wide = normal(10, width=50)
    assert frechet_distance(wide, wide) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.0, 0.5)])
def test_distances_are_those_of_torchmetrics(shift: float, scale: float) -> None:
    real, fake = normal(60), shift + scale * normal(60, stream=1)
    frechet = FrechetInceptionDistance(feature=Given()).set_dtype(torch.float64)
    # A subset of all images is the same for every seed.
    kernel = KernelInceptionDistance(feature=Given(), subsets=2, subset_size=60)
    for metric in (frechet, kernel):
        metric.update(real, real=True)
        metric.update(fake, real=False)
    assert frechet_distance(real, fake) == pytest.approx(float(frechet.compute()), rel=1e-6)
    assert kernel_distance(real, fake) == pytest.approx(float(kernel.compute()[0]), rel=1e-5)


@pytest.mark.parametrize("chunk", [2, 7, 1000])
def test_a_frechet_distance_is_the_same_in_chunks(chunk: int, monkeypatch) -> None:
    real, fake = 3 + normal(60).float(), 0.5 * normal(45, stream=1).float()
    mine = [torch.cov(x.double().T) for x in (real, fake)]
    roots = torch.linalg.eigvals(mine[0] @ mine[1]).sqrt().real.sum()
    apart = real.double().mean(dim=0) - fake.double().mean(dim=0)
    whole = apart.square().sum() + mine[0].trace() + mine[1].trace() - 2 * roots
    monkeypatch.setattr("jemstone.metrics.fidelity._CHUNK", chunk)
    assert frechet_distance(real, fake) == pytest.approx(float(whole), rel=1e-9)


def test_kernel_distance_takes_subsets_it_has_images_for() -> None:
    real, fake = normal(50), normal(30, stream=1)
    assert kernel_distance(real, fake) == kernel_distance(real, fake)
    assert kernel_distance(real, fake) == kernel_distance(real, fake, subset_size=30)
    # Unbiased: subsets of another size tell the same, up to chance.
    assert kernel_distance(real, fake, subset_size=10) == pytest.approx(
        kernel_distance(real, fake), abs=0.2
    )
    assert kernel_distance(real, real + 3) > 10 * abs(kernel_distance(real, fake))


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        (torch.zeros(40, 4), 1.0),  # unsure of everything
        (50.0 * torch.eye(4)[:1].repeat(40, 1), 1.0),  # sure of one class only
        (50.0 * torch.eye(4).repeat(10, 1), 4.0),  # sure, and all classes
        (1e5 * torch.eye(4)[:2].repeat(20, 1), 2.0),  # so sure that probabilities round to 0
    ],
)
def test_inception_score_at_the_extremes(logits: torch.Tensor, expected: float) -> None:
    assert inception_score(logits, splits=1) == pytest.approx((expected, 0.0), rel=1e-6)


def test_inception_score_is_that_of_torchmetrics() -> None:
    logits = 2 * normal(100)
    oracle = InceptionScore(feature=Given(), splits=1)
    oracle.update(logits)
    assert inception_score(logits, splits=1)[0] == pytest.approx(float(oracle.compute()[0]))
    mean, std = inception_score(logits, splits=5)
    assert std > 0
    assert (mean, std) == inception_score(logits, splits=5)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.0, 0.3), (0.0, 3.0)])
def test_precision_and_recall_by_definition(k: int, shift: float, scale: float) -> None:
    real, fake = normal(70), shift + scale * normal(50, stream=1)

    def share(x: torch.Tensor, centers: torch.Tensor) -> float:
        radius = torch.cdist(centers, centers).sort(dim=1).values[:, k]
        return float((torch.cdist(x, centers) <= radius).any(dim=1).double().mean())

    expected = (share(fake, real), share(real, fake))
    oracle = compute_prdc(real.double().numpy(), fake.double().numpy(), nearest_k=k)
    assert expected == pytest.approx((oracle["precision"], oracle["recall"]))
    assert precision_recall(real, fake, k) == pytest.approx(expected, abs=1e-6)
    assert precision_recall(fake, real, k) == pytest.approx(expected[::-1], abs=1e-6)


class Judge:
    """Sees the pixels themselves; the brightest quarter of the image is the class."""

    name = "pixels"

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.flatten(1), 5 * nn.functional.avg_pool2d(x, 2).flatten(1)


def quarters(n: int, stream: int) -> Images:
    """Draw images, one quarter of each brighter than the rest: its class."""
    labels = torch.arange(n) % 4
    bright = nn.functional.one_hot(labels, 4).reshape(n, 1, 2, 2).float()
    bright = nn.functional.interpolate(bright, scale_factor=2)
    x = 0.4 * Generator(stream).uniform((n, 1, 4, 4)) + 0.5 * bright
    return Images((x * 255).round().to(torch.uint8), labels)


TRAIN, HELD_OUT = quarters(80, stream=1), quarters(40, stream=2)


def judged(samples: torch.Tensor, labels: torch.Tensor, **options: int) -> dict:
    return judge_samples(samples, labels, HELD_OUT, TRAIN, Judge(), **options)


def test_the_contract_of_the_figures() -> None:
    samples = quarters(24, stream=3)
    figures = judged(samples.x, samples.labels)
    assert figures.keys() == {
        *("n", "features", "is", "is_std", "fid", "kid", "precision", "recall", "density"),
        *("coverage", "agreement", "nearest_neighbour", "spread"),
    }
    assert figures["nearest_neighbour"].keys() == {
        *("pixel", "pixel_held_out", "feature", "feature_held_out"),
    }
    assert figures["spread"].keys() == {"feature", "pixel"}
    assert (figures["n"], figures["features"], figures["agreement"]) == (24, "pixels", 1.0)
    # This judge's features are pixels.
    near = figures["nearest_neighbour"]
    assert near["pixel"] == pytest.approx(near["feature"], rel=1e-6)
    assert figures["spread"]["pixel"] == pytest.approx(figures["spread"]["feature"], rel=1e-6)
    assert figures["spread"]["pixel"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("rounded_away", [0.3, -0.3])
def test_samples_are_judged_as_a_saved_file_would_be(rounded_away: float) -> None:
    samples = quarters(24, stream=3)
    between = (samples.x + rounded_away / 255).clamp(0, 1)
    expected = judged(samples.pixels, samples.labels)
    assert judged(between, samples.labels) == expected
    assert judged(between.double(), samples.labels) == expected


def test_figures_do_not_depend_on_the_batch_size() -> None:
    samples = quarters(24, stream=3)
    assert judged(samples.x, samples.labels, batch_size=5) == judged(samples.x, samples.labels)


def test_a_model_that_recites_is_found_out() -> None:
    near = judged(TRAIN.x[:24], TRAIN.labels[:24])["nearest_neighbour"]
    assert near["pixel"] == near["feature"] == 0
    assert near["pixel_held_out"] > 0.1


def test_a_model_that_repeats_itself_is_found_out() -> None:
    labels = torch.arange(24) % 4
    figures = judged(HELD_OUT.x[labels], labels)
    assert figures["spread"] == {"feature": 0, "pixel": 0}
    assert figures["coverage"] < 0.6
    assert judged(HELD_OUT.x, HELD_OUT.labels)["coverage"] == 1


def test_wrong_labels_show_in_the_agreement() -> None:
    samples = quarters(24, stream=3)
    labels = torch.where(torch.arange(24) < 6, (samples.labels + 1) % 4, samples.labels)
    assert judged(samples.x, labels)["agreement"] == 0.75


def test_a_class_drawn_once_does_not_count_for_the_spread() -> None:
    features = torch.tensor([[0.0], [2.0], [9.0]])
    labels = torch.tensor([0, 0, 1])
    real = torch.tensor([[0.0], [4.0], [0.0], [100.0]])
    assert spread_ratio(features, labels, real, torch.tensor([0, 0, 1, 1])) == 0.5


def test_nearest_neighbours_are_medians() -> None:
    def seen(values: list[int]) -> Seen:
        pixels = torch.tensor(values, dtype=torch.uint8).reshape(-1, 1, 1, 1)
        none = torch.zeros(len(values), dtype=torch.int64)
        features = pixels.flatten(1).float()
        return Seen(features, features, none, pixels, "pixels")

    found = nearest_neighbours(seen([10, 21, 33]), seen([50, 54]), seen([10, 20, 30]))
    assert found == pytest.approx(
        {
            "pixel": 1 / 255,
            "pixel_held_out": 22 / 255,
            "feature": 1,
            "feature_held_out": 22,
        }
    )


def test_a_known_yardstick_changes_nothing() -> None:
    train, seen = look(TRAIN, Judge()), look(quarters(24, stream=3), Judge())
    known = nearest_to(train, SEEN)
    assert compare(seen, SEEN, train, known) == compare(seen, SEEN, train)


def test_a_judge_of_other_classes_has_no_agreement() -> None:
    eye = type("Stranger", (Judge,), {"knows_classes": False})()
    seen = look(HELD_OUT, eye)
    assert compare(seen, seen, seen)["agreement"] is None
    assert compare(SEEN, SEEN, SEEN)["agreement"] == 1


def test_batches_are_heard_of() -> None:
    heard: list[int] = []
    look(HELD_OUT, Judge(), 15, heard.append)
    assert heard == [15, 30, 40]


def test_a_network_judges_in_eval_mode() -> None:
    class Network(nn.Module):
        name = "network"

        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features = self.weight * self.drop(x.flatten(1))
            return features, features[:, :4]

    network = Network()
    seen = look(HELD_OUT, network, batch_size=7)
    torch.testing.assert_close(seen.features, HELD_OUT.x.flatten(1))
    assert not seen.features.requires_grad
    assert network.training
    assert network.drop.training


X, Y = HELD_OUT.x, HELD_OUT.labels
FEW = torch.ones(1, 2)
SEEN = look(HELD_OUT, Judge())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: judged(X + 0.6, Y), "outside"),
        (lambda: judged(X - 0.6, Y), "outside"),
        (lambda: judged(X.where(X < 0.5, math.nan), Y), "outside"),
        (lambda: judged(X.long(), Y), "uint8"),
        (lambda: judged(X[:, 0], Y), "N, C, H, W"),
        (lambda: judged(X[..., 1:], Y), "all need the same"),
        (lambda: judged(X, Y[1:]), "one label for each image"),
        (lambda: judged(X, Y + 1), "labels go from 1 to 4"),
        (lambda: judged(X[:0], Y[:0]), "no images"),
        (lambda: judged(X[:19], Y[:19]), "at least 20 images, not 19"),
        (lambda: look(HELD_OUT, type("Odd", (Judge,), {"__call__": odd})()), "finite"),
        (lambda: compare(SEEN, SEEN, replace(SEEN, extractor="other")), "other, pixels"),
        (lambda: frechet_distance(FEW, FEW), "at least 2 images, not 1"),
        (lambda: frechet_distance(X.flatten(1), FEW), "of one width"),
        (lambda: kernel_distance(FEW, FEW), "at least 2 images, not 1"),
        (lambda: precision_recall(SEEN.features, SEEN.features[:3]), "at least 4 images, not 3"),
        (lambda: inception_score(SEEN.logits, splits=21), "at least 42 images, not 40"),
        (lambda: spread_ratio(FEW, Y[:1], FEW, Y[:1]), "at least two images"),
        (lambda: spread_ratio(X[:2], Y[[0, 0]], X[[0, 0]], Y[[0, 0]]), "all alike"),
    ],
)
def test_what_cannot_be_judged_is_refused(wrong, words: str) -> None:
    with pytest.raises(Mistake, match=words):
        wrong()


def odd(self: Judge, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x.flatten(1) / 0, x.flatten(1)


def test_figures_are_silent(capfd: pytest.CaptureFixture[str]) -> None:
    judged(X, Y)
    assert capfd.readouterr() == ("", "")

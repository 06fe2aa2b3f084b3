from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from jemstone.errors import Mistake
from jemstone.metrics.calibration import (
    brier_score,
    calibration,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)
from jemstone.random import Generator


def random_case(scale: float, n: int = 400, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    logits = scale * Generator(0).normal((n, classes))
    return logits, Generator(1).integers(n, classes)


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
def test_calibration_error_is_that_of_torchmetrics(scale: float, bins: int) -> None:
    logits, labels = random_case(scale)
    probabilities = logits.double().softmax(dim=1)
    expected = multiclass_calibration_error(probabilities, labels, num_classes=5, n_bins=bins)
    found = expected_calibration_error(probabilities, labels, bins)
    assert found == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
def test_likelihood_and_brier_score_are_those_of_scikit_learn(scale: float) -> None:
    logits, labels = random_case(scale)
    probabilities = logits.double().softmax(dim=1)
    classes = list(range(5))
    assert negative_log_likelihood(logits, labels) == pytest.approx(
        log_loss(labels, probabilities, labels=classes), rel=1e-6
    )
    assert brier_score(probabilities, labels) == pytest.approx(
        brier_score_loss(labels, probabilities.numpy(), labels=classes, scale_by_half=False)
    )


@pytest.mark.parametrize(("equal", "strategy"), [("width", "uniform"), ("mass", "quantile")])
def test_a_reliability_diagram_is_that_of_scikit_learn(equal: str, strategy: str) -> None:
    logits, labels = random_case(2.0)
    probabilities = logits.double().softmax(dim=1)
    confidence, prediction = probabilities.max(dim=1)
    accuracy, mean = calibration_curve(
        prediction == labels, confidence, n_bins=10, strategy=strategy
    )
    rows = reliability(probabilities, labels, 10, equal=equal)
    assert [row["accuracy"] for row in rows] == pytest.approx(list(accuracy))
    assert [row["confidence"] for row in rows] == pytest.approx(list(mean))
    assert sum(row["n"] for row in rows) == len(labels)
    gaps = sum(row["n"] * abs(row["accuracy"] - row["confidence"]) for row in rows) / len(labels)
    found = expected_calibration_error(probabilities, labels, 10, equal=equal)
    assert found == pytest.approx(gaps)


@pytest.mark.parametrize(("n", "bins"), [(400, 15), (10, 3), (2, 15)])
def test_bins_of_equal_mass_differ_by_one_at_most(n: int, bins: int) -> None:
    logits, labels = random_case(3.0, n)
    rows = reliability(logits.double().softmax(dim=1), labels, bins, equal="mass")
    counts = [row["n"] for row in rows]
    assert sum(counts) == n
    assert max(counts) - min(counts) <= 1
    assert len(rows) == min(n, bins)
    for before, after in pairwise(rows):
        assert before["highest"] <= after["lowest"]


@pytest.mark.parametrize(
    ("confidence", "right", "expected"),
    [
        (1.0, 4, 0.0),  # sure and right
        (1.0, 0, 1.0),  # sure and wrong
        (0.75, 3, 0.0),  # right as often as it says
        (0.75, 4, 0.25),
        (0.75, 0, 0.75),
    ],
)
def test_calibration_error_of_one_confidence(
    confidence: float, right: int, expected: float
) -> None:
    probabilities = torch.tensor([[confidence, 1 - confidence]]).repeat(4, 1)
    labels = (torch.arange(4) >= right).long()
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected)


@pytest.mark.parametrize(("upper", "lower"), [(1.0, 0.875), (0.75, 0.625)])
def test_a_bin_has_its_upper_edge(upper: float, lower: float) -> None:
    # Of four bins: the errors of two images in one bin cancel, in part.
    probabilities = torch.tensor([[upper, 1 - upper], [lower, 1 - lower]])
    found = expected_calibration_error(probabilities, torch.tensor([0, 1]), bins=4)
    assert found == pytest.approx(abs((1 - upper) - lower) / 2)


def test_uniform_predictions_have_closed_forms() -> None:
    figures = calibration(torch.zeros(8, 4), torch.arange(8) % 4)
    # The largest of equals is the first: right for a quarter, as confident as that.
    assert figures == pytest.approx({"ece": 0.0, "nll": math.log(4), "brier": 0.75})


def test_figures_are_those_of_the_parts() -> None:
    logits, labels = random_case(2.0)
    probabilities = logits.double().softmax(dim=1)
    ground = torch.nn.functional.one_hot(labels, 5)
    assert calibration(logits, labels) == pytest.approx(
        {
            "ece": expected_calibration_error(probabilities, labels),
            "nll": -float(probabilities[torch.arange(400), labels].log().mean()),
            "brier": float(((probabilities - ground) ** 2).sum(1).mean()),
        }
    )


def test_likelihood_of_an_impossible_label_is_finite() -> None:
    logits = torch.tensor([[0.0, 1e4]])
    assert negative_log_likelihood(logits, torch.tensor([0])) == pytest.approx(1e4)
    assert brier_score(logits.softmax(dim=1), torch.tensor([0])) == 2


HALVES = torch.full((2, 2), 0.5)
LABELS = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: expected_calibration_error(4 * HALVES, LABELS), "softmax first"),
        (lambda: brier_score(HALVES * math.nan, LABELS), "softmax first"),
        (lambda: brier_score(HALVES, LABELS + 1), "labels go from 1 to 2"),
        (lambda: expected_calibration_error(HALVES, LABELS, bins=0), "at least one bin"),
        (lambda: reliability(HALVES, LABELS, equal="size"), "no kind of bins 'size'"),
        (lambda: calibration(HALVES * math.inf, LABELS), "not finite"),
        (lambda: negative_log_likelihood(HALVES, LABELS - 1), "labels go from -1"),
        (lambda: negative_log_likelihood(HALVES, LABELS[:1]), "as many int64 labels"),
        (lambda: negative_log_likelihood(HALVES, LABELS.float()), "as many int64 labels"),
    ],
)
def test_what_is_no_prediction_is_refused(wrong, words: str) -> None:
    with pytest.raises(Mistake, match=words):
        wrong()

"""The temperature is the least likely loss's; its figures are of images it never saw."""

import json

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.metrics import (
    calibration,
    calibration_report,
    fit_temperature,
    negative_log_likelihood,
)
from jemstone.random import Generator


def honest(n=4000, classes=4):
    """Draw logits, and labels as often as their softmax says."""
    logits = 2 * Generator(0).normal((n, classes))
    cumulative = logits.softmax(dim=1).cumsum(dim=1)
    labels = (Generator(1).uniform((n, 1)) > cumulative).sum(dim=1).clamp_max(classes - 1)
    return logits, labels


@pytest.mark.parametrize("scale", [1e-2, 0.3, 1.0, 5.0, 1e4])
def test_the_temperature_undoes_a_scale(scale):
    logits, labels = honest()
    assert fit_temperature(scale * logits, labels) == pytest.approx(
        scale * fit_temperature(logits, labels), rel=1e-5
    )
    assert fit_temperature(logits, labels) == pytest.approx(1, abs=0.06)


def test_no_other_temperature_is_likelier():
    logits, labels = honest(300)
    best = fit_temperature(3 * logits, labels)
    least = negative_log_likelihood(3 * logits / best, labels)
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
        assert negative_log_likelihood(3 * logits / (factor * best), labels) > least


def test_the_temperature_of_two_classes_has_a_closed_form():
    # Right three times of four at a gap of g: p = 3/4 asks for g / T = log 3.
    logits = torch.tensor([[6.0, 0.0]]).repeat(4, 1)
    labels = torch.tensor([0, 0, 0, 1])
    assert fit_temperature(logits, labels) == pytest.approx(6 / torch.tensor(3.0).log().item())


@pytest.mark.parametrize(("label", "temperature"), [(0, 1e-6), (1, 1e6)])
def test_what_has_no_best_temperature_has_the_coldest_or_hottest(label, temperature):
    found = fit_temperature(torch.tensor([[2.0, 0.0]]), torch.tensor([label]))
    assert found == pytest.approx(temperature)


def test_a_report_judges_images_that_did_not_fit():
    logits, labels = honest()
    report = calibration_report(5 * logits, labels, generator=Generator(0))
    plain = calibration(5 * logits, labels)
    assert {name: report[name] for name in plain} == plain
    scaling = report["temperature_scaling"]
    assert scaling["temperature"] == pytest.approx(5, abs=0.5)
    assert (scaling["fitted_on"], scaling["after"]["n"], scaling["before"]["n"]) == (2000,) * 3
    assert scaling["before"]["ece"] > 0.1 > 0.05 > scaling["after"]["ece"]
    assert scaling["after"]["nll"] < scaling["before"]["nll"]
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    order = Generator(0).fold("temperature").permutation(4000)
    half = order[:2000]
    assert scaling["temperature"] == fit_temperature(5 * logits[half], labels[half])
    rest = order[2000:]
    assert calibration(5 * logits[rest], labels[rest])["ece"] == scaling["before"]["ece"]


def test_a_single_image_has_no_halves():
    with pytest.raises(Mistake, match="too few"):
        calibration_report(torch.zeros(1, 2), torch.tensor([0]), generator=Generator(0))


@pytest.mark.parametrize(
    ("logits", "words"),
    [(torch.full((2, 2), torch.nan), "not finite"), (torch.zeros(2, 1), "0..0")],
)
def test_what_is_no_prediction_is_refused(logits, words):
    with pytest.raises(Mistake, match=words):
        fit_temperature(logits, torch.tensor([0, 1]))

"""One number that makes a model's probabilities honest, and what it mends.

References:
    Guo et al., "On calibration of modern neural networks", 2017,
    https://arxiv.org/abs/1706.04599
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from jemstone.errors import Mistake
from jemstone.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)
from jemstone.metrics.classification import check_labels, check_logits
from jemstone.random import Generator

__all__ = ["calibration_report", "fit_temperature"]

_COLDEST, _HOTTEST = 1e-6, 1e6
_HALVINGS = 64  # of the logarithm's range: beyond float64's resolution


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    r"""Find the temperature :math:`T` at which :math:`-\log p(y|x)` of ``logits / T`` is least.

    In :math:`\beta = 1/T` the mean of :math:`\log\sum_k e^{\beta z_k} - \beta z_y` is convex, and
    its derivative

    .. math:: \frac1N \sum_i \Bigl( \sum_k p_\beta(k|x_i) z_{ik} - z_{i y_i} \Bigr)

    rises; where it crosses zero is found by halving. No class changes by a temperature.

    References:
        Guo et al., 2017, https://arxiv.org/abs/1706.04599

    Args:
        logits: :math:`z`, (N, K), of images that figures are not taken from.
        labels: int64 (N,).

    Returns:
        :math:`T > 0`; 1e-6 where every label has the largest logit, so that none is too cold, and
        1e6 where the logits say less than nothing.

    Raises:
        Mistake: where logits are not finite, or labels are not of the K classes.
    """
    check_labels(labels, check_logits(logits))
    # A shift of an image's logits changes nothing, and this one keeps the numbers small.
    z = logits.double() - logits.double().amax(dim=1, keepdim=True)
    at_label = z.gather(1, labels[:, None]).mean()
    coldest, hottest = math.log(_COLDEST), math.log(_HOTTEST)
    for _ in range(_HALVINGS):
        middle = (coldest + hottest) / 2
        probabilities = (z * math.exp(-middle)).softmax(dim=1)
        if float((probabilities * z).sum(dim=1).mean() - at_label) > 0:
            coldest = middle  # too sure of itself: hotter
        else:
            hottest = middle
    return math.exp((coldest + hottest) / 2)


def calibration_report(
    logits: Tensor, labels: Tensor, *, generator: Generator, bins: int = 15
) -> dict[str, Any]:
    """Judge a model's probabilities, before and after a temperature fitted on other images.

    Half of the images, drawn by the generator, fit the temperature; the figures before and after
    are those of the other half.

    References:
        Guo et al., 2017, https://arxiv.org/abs/1706.04599

    Args:
        logits: :math:`f(x)` of held-out images, (N, K).
        labels: int64 (N,).
        generator: draws the halves.
        bins: of both calibration errors and of the diagrams.

    Returns:
        ``ece``, ``ece_equal_mass``, ``nll``, ``brier``, ``n``, ``bins`` and the ``reliability``
        diagram of all images as the model answers; under ``temperature_scaling`` the
        ``temperature``, how many images it was ``fitted_on``, which (``fitted_on_half``), and the
        same figures of the other half ``before`` and ``after``.

    Raises:
        Mistake: where logits are not finite, labels are not of the K classes, or there are fewer
            than two images.
    """
    if len(logits) < 2:
        raise Mistake(f"a temperature is fitted on half of the images: {len(logits)} is too few")
    order = generator.fold("temperature").permutation(len(logits)).to(logits.device)
    fitting, judging = order[: len(order) // 2], order[len(order) // 2 :]
    temperature = fit_temperature(logits[fitting], labels[fitting])
    rest, answers = logits[judging].double(), labels[judging]
    return {
        **_figures(logits, labels, bins),
        "temperature_scaling": {
            "temperature": temperature,
            "fitted_on": len(fitting),
            "fitted_on_half": "half of the images, drawn at random; the figures are of the other",
            "before": _figures(rest, answers, bins),
            "after": _figures(rest / temperature, answers, bins),
        },
    }


def _figures(logits: Tensor, labels: Tensor, bins: int) -> dict[str, Any]:
    """Return every figure of calibration, and the diagram."""
    probabilities = check_logits(logits).double().softmax(dim=-1)
    return {
        "ece": expected_calibration_error(probabilities, labels, bins),
        "ece_equal_mass": expected_calibration_error(probabilities, labels, bins, equal="mass"),
        "nll": negative_log_likelihood(logits, labels),
        "brier": brier_score(probabilities, labels),
        "n": len(labels),
        "bins": bins,
        "reliability": reliability(probabilities, labels, bins),
    }

"""Whether a model's probabilities mean what they say.

References:
    Guo et al., "On calibration of modern neural networks", 2017,
    https://arxiv.org/abs/1706.04599
    Nixon et al., "Measuring calibration in deep learning", 2019, https://arxiv.org/abs/1904.01685
    Brier, "Verification of forecasts expressed in terms of probability", 1950
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from jemstone.errors import Mistake, unknown
from jemstone.metrics.classification import check_labels, check_logits

__all__ = [
    "BINNINGS",
    "brier_score",
    "calibration",
    "expected_calibration_error",
    "negative_log_likelihood",
    "reliability",
]

BINNINGS = ("width", "mass")


def calibration(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Return ``ece``, ``nll`` and ``brier`` of a model's logits.

    Args:
        logits: :math:`f(x)`, (N, K).
        labels: int64 (N,).

    Raises:
        Mistake: where logits are not finite, or labels are not of the K classes.
    """
    probabilities = check_logits(logits).double().softmax(dim=-1)
    return {
        "ece": expected_calibration_error(probabilities, labels),
        "nll": negative_log_likelihood(logits, labels),
        "brier": brier_score(probabilities, labels),
    }


def expected_calibration_error(
    probabilities: Tensor, labels: Tensor, bins: int = 15, *, equal: str = "width"
) -> float:
    r"""Compute how far confidence is from accuracy, over bins of confidence.

    .. math:: \sum_b \frac{|b|}{N} \left| \text{acc}(b) - \text{conf}(b) \right|

    With bins of equal width, bin :math:`b` holds the images whose largest probability lies in
    :math:`((b-1)/B, b/B]`; with bins of equal mass, as many images as any other, to within one.
    Most images of a good classifier share the last bin of equal width, which hides what goes on
    in it. Few images make either error positive even for a perfectly calibrated model.

    References:
        Guo et al., 2017, https://arxiv.org/abs/1706.04599
        Nixon et al., 2019, https://arxiv.org/abs/1904.01685

    Args:
        probabilities: :math:`p(y|x)`, (N, K).
        labels: int64 (N,).
        bins: :math:`B`.
        equal: ``width`` or ``mass``.

    Returns:
        The error, in [0, 1].

    Raises:
        Mistake: for rows that are not probabilities, labels that are not of the K classes,
            no bin, or another kind of bins.
    """
    confidence, right, place = _binned(probabilities, labels, bins, equal)
    gaps = confidence.new_zeros(bins).index_add(0, place, right - confidence)
    return float(gaps.abs().sum()) / len(labels)


def reliability(
    probabilities: Tensor, labels: Tensor, bins: int = 15, *, equal: str = "width"
) -> list[dict[str, Any]]:
    """Compute a reliability diagram: accuracy against confidence, bin by bin.

    References:
        Guo et al., 2017, https://arxiv.org/abs/1706.04599

    Args:
        probabilities: :math:`p(y|x)`, (N, K).
        labels: int64 (N,).
        bins: :math:`B`.
        equal: ``width`` or ``mass``, as for :func:`expected_calibration_error`.

    Returns:
        For each bin that holds an image, least confident first: ``lowest`` and ``highest``
        confidence in it, mean ``confidence``, ``accuracy`` and ``n``. The error is the sum of
        ``n / N * abs(accuracy - confidence)``.

    Raises:
        Mistake: as for :func:`expected_calibration_error`.
    """
    confidence, right, place = _binned(probabilities, labels, bins, equal)
    rows = []
    for b in range(bins):
        inside = place == b
        if bool(inside.any()):
            lowest, highest = confidence[inside].aminmax()
            rows.append(
                {
                    "lowest": float(lowest),
                    "highest": float(highest),
                    "confidence": float(confidence[inside].mean()),
                    "accuracy": float(right[inside].mean()),
                    "n": int(inside.sum()),
                }
            )
    return rows


def negative_log_likelihood(logits: Tensor, labels: Tensor) -> float:
    r"""Compute the mean of :math:`-\log p(y|x)`, in nats.

    Args:
        logits: :math:`f(x)`, (N, K).
        labels: int64 (N,).

    Raises:
        Mistake: where logits are not finite, or labels are not of the K classes.
    """
    check_labels(labels, check_logits(logits))
    return float(F.cross_entropy(logits.double(), labels))


def brier_score(probabilities: Tensor, labels: Tensor) -> float:
    r"""Compute the mean of :math:`\sum_k (p(k|x) - 1[k = y])^2`, between 0 and 2.

    References:
        Brier, 1950

    Args:
        probabilities: :math:`p(y|x)`, (N, K).
        labels: int64 (N,).

    Raises:
        Mistake: for rows that are not probabilities, or labels that are not of the K classes.
    """
    p = _checked(probabilities, labels)
    return float((p - F.one_hot(labels, p.shape[1])).square().sum(dim=-1).mean())


def _binned(
    probabilities: Tensor, labels: Tensor, bins: int, equal: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Return each image's confidence, whether it is right (1 or 0), and its bin, (N,) each."""
    if bins < 1:
        raise Mistake(f"confidences are sorted into at least one bin, not {bins}")
    if equal not in BINNINGS:
        raise unknown("kind of bins", equal, BINNINGS)
    confidence, prediction = _checked(probabilities, labels).max(dim=-1)
    if equal == "width":
        edges = torch.linspace(0, 1, bins + 1, dtype=confidence.dtype, device=confidence.device)
        place = torch.bucketize(confidence, edges[1:-1])
    else:
        rank = torch.argsort(torch.argsort(confidence, stable=True))
        place = rank * bins // len(rank)
    return confidence, (prediction == labels).to(confidence), place


def _checked(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the probabilities in float64, or refuse them."""
    p = probabilities.double()
    check_labels(labels, p)
    # A NaN compares false with everything, so it is refused too.
    if not ((p >= 0).all() and ((p.sum(dim=-1) - 1).abs() < 1e-3).all()):
        raise Mistake("probabilities are at least 0 and sum to 1 in each row: apply softmax first")
    return p

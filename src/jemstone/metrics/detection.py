r"""Whether a model tells what it has never seen, also when that is attacked to look known.

Every score is larger for images that look known. Known images are the positives, so an AUROC of 1
tells all known from all unknown images, 0.5 none, and less than 0.5 takes the unknown for known.

References:
    Hendrycks & Gimpel, "A baseline for detecting misclassified and out-of-distribution examples in
    neural networks", 2017, https://arxiv.org/abs/1610.02136
    DeLong et al., "Comparing the areas under two or more correlated receiver operating
    characteristic curves", 1988 (the interval)
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.functional.confidence import wilson_interval
from jemstone.metrics.batches import Deal, alone
from jemstone.metrics.laws import Verdict
from jemstone.metrics.scores import SCORES, scores, worst_scores
from jemstone.random import Generator
from jemstone.types import EnergyModel

__all__ = ["detect", "detection_figures"]


def detection_figures(known: Tensor, unknown: Tensor) -> dict[str, Any]:
    r"""Compute how well a score tells known from unknown images.

    References:
        Hendrycks & Gimpel, 2017, https://arxiv.org/abs/1610.02136
        DeLong et al., 1988

    Args:
        known: scores of known images, larger where they look known, (N,).
        unknown: scores of unknown images, (M,).

    Returns:
        All in [0, 1]:

        - ``auroc``: the chance that a known image scores above an unknown one, ties half;
        - ``auroc_interval``: its 95 % interval, by DeLong's variance; where that is 0, at 0, at
          1 and where all scores are tied, Wilson's interval of a share of as many images as
          there are of the rarer kind;
        - ``aupr``: the average precision with known images as positives, whose chance level is
          :math:`N / (N + M)`;
        - ``aupr_unknown``: the same with unknown images as positives;
        - ``fpr95``: the share of unknown images at or above the threshold that 95 % of the known
          images reach.

    Raises:
        Mistake: for fewer than two images of a kind, or scores that are not finite.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    if min(len(known), len(unknown)) < 2:
        raise Mistake("detection needs at least two known and two unknown images")
    known, unknown = known.double(), unknown.double()
    values = torch.cat([known, unknown])
    if not values.isfinite().all():
        raise Mistake("a score is not finite: the model has diverged, or has broken weights")
    truth = torch.arange(len(values)) < len(known)
    auroc = float(roc_auc_score(truth, values))
    # The largest threshold that at least 95 % of the known images reach.
    accepted = known.sort(descending=True).values[-(-95 * len(known) // 100) - 1]
    return {
        "auroc": auroc,
        "auroc_interval": list(_interval(auroc, known, unknown)),
        "aupr": float(average_precision_score(truth, values)),
        "aupr_unknown": float(average_precision_score(~truth, -values)),
        "fpr95": float((unknown >= accepted).double().mean()),
    }


def _interval(auroc: float, known: Tensor, unknown: Tensor) -> tuple[float, float]:
    """Return an AUROC's 95 % interval."""
    error = _delong(known, unknown)
    if not error:  # no pair varies, which is no proof that none will
        rarer = min(len(known), len(unknown))
        return wilson_interval(auroc * rarer, rarer)
    half = NormalDist().inv_cdf(0.975) * error
    return max(0.0, auroc - half), min(1.0, auroc + half)


def _delong(known: Tensor, unknown: Tensor) -> float:
    """Return the standard error of an AUROC."""

    def share_below(x: Tensor, others: Tensor) -> Tensor:
        ordered = others.sort().values
        below = torch.searchsorted(ordered, x) + torch.searchsorted(ordered, x, right=True)
        return below.double() / (2 * len(others))

    parts = (share_below(known, unknown), share_below(unknown, known))
    return math.sqrt(sum(float(part.var()) / len(part) for part in parts))


def detect(
    model: EnergyModel,
    known: Images,
    unknown: Mapping[str, Images],
    *,
    generator: Generator,
    eps_list: Sequence[float] = (),
    steps: int = 20,
    attacked: int | None = None,
    baseline: EnergyModel | None = None,
    progress: Callable[[str], None] = lambda line: None,
    batch_size: int = 256,
    deal: Deal = alone,
) -> list[dict[str, Any]]:
    """Judge how well each score tells known images from each set of unknown ones.

    Args:
        model: the classifier, read as an energy.
        known: held-out images of its data.
        unknown: sets of unknown images, by name.
        generator: the randomness of attacks.
        eps_list: radii of the Linf balls in which unknown images are attacked, in [0, 1] pixels.
        steps: of an attack.
        attacked: the most images of a set that are attacked; all by default.
        baseline: a plain classifier of the same architecture, attacked for itself.
        progress: hears which set is next.
        batch_size: images in a pass.
        deal: who takes which batch.

    Returns:
        One row for each set, attack (first none) and score: ``data``, ``score``, ``attack`` (None,
        or ``norm``, ``eps`` and ``steps``), ``n`` and ``n_unknown``, what
        :func:`detection_figures` returns, ``baseline_auroc`` (None without one), and ``laws``: an
        attack never helps the defender, and a larger ball never does.

    Raises:
        Mistake: for fewer than two images of a kind, radii that do not grow, no step, or scores
            that are not finite.
    """
    models = [model] if baseline is None else [model, baseline]
    passes: dict[str, Any] = {"batch_size": batch_size, "deal": deal}
    familiar = [scores(judged, known, **passes) for judged in models]
    attacks = [None, *({"norm": "linf", "eps": eps, "steps": steps} for eps in eps_list)]
    rows: list[dict[str, Any]] = []
    for name, images in unknown.items():
        progress(f"unknown inputs: {name}")
        some = images.first(attacked)
        strange = []
        for judged in models:
            clean = scores(judged, images, **passes)
            hard = worst_scores(judged, some, eps_list, generator=generator, steps=steps, **passes)
            strange.append([clean, *hard])
        for score in SCORES:
            softer = detection_figures(familiar[0][score], strange[0][0][score][: len(some)])
            for number, attack in enumerate(attacks):
                figures, *others = (
                    detection_figures(seen[score], levels[number][score])
                    for seen, levels in zip(familiar, strange, strict=True)
                )
                row = {
                    "data": name,
                    "score": score,
                    "attack": attack,
                    "n": len(known),
                    "n_unknown": len(images if attack is None else some),
                    **figures,
                    "baseline_auroc": others[0]["auroc"] if others else None,
                }
                if attack is not None:
                    row["laws"] = {"falls_with_eps": _falls(figures["auroc"], softer["auroc"])}
                    softer = figures
                rows.append(row)
    return rows


def _falls(auroc: float, softer: float) -> Verdict:
    return Verdict(
        law="a ball holds all smaller ones, and the image itself: AUROC never rises with eps",
        passed=auroc <= softer,
        values={"auroc": auroc, "auroc_of_smaller_eps": softer},
    )

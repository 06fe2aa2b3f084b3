"""The figures of samples that need a second look: by class, at the limit, and how sure.

References:
    Efron, "Bootstrap methods: another look at the jackknife", 1979
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from jemstone.functional.statistics import wilson_interval
from jemstone.metrics.diversity import class_vendi_score, matched, vendi_score
from jemstone.metrics.fidelity import inception_score
from jemstone.metrics.frechet import FrechetReference, class_frechet_distance, frechet_curve
from jemstone.metrics.generation import Seen
from jemstone.random import Generator

__all__ = ["sample_intervals", "scrutinise"]

_MANY_FEATURES, _RESAMPLES, _FEW = 256, 50, 10


def scrutinise(samples: Seen, reference: Seen, train: Seen, generator: Generator) -> dict[str, Any]:
    """Compute what :func:`jemstone.metrics.compare` leaves out, since it takes longer.

    Args:
        samples: the samples.
        reference: held-out images.
        train: the images the model has learnt from.
        generator: the randomness of subsets and resamples.

    Returns:
        - ``class_fid`` and ``class_fid_train``: the class-conditional Fréchet distance, and that of
          as many training images of each class, which is what its small-sample bias alone gives;
        - ``vendi`` and ``vendi_held_out``: the Vendi score of samples and of equally many
          held-out images of each class; ``class_vendi`` and ``class_vendi_held_out``: the same
          within classes;
        - ``fid_infinity`` and ``curve``: see :func:`jemstone.metrics.frechet_curve`;
        - ``intervals``: see :func:`sample_intervals`.

    Raises:
        Mistake: where there are too few images for a figure.
    """
    like, _ = matched(train.labels, samples.labels)
    mine, theirs = matched(samples.labels, reference.labels)
    root = FrechetReference(reference.features)
    curve = frechet_curve(root, samples.features, generator.fold("curve"))

    def by_class(features: Tensor, labels: Tensor) -> float:
        return class_frechet_distance(reference.features, reference.labels, features, labels)

    return {
        "class_fid": by_class(samples.features, samples.labels),
        "class_fid_train": by_class(train.features[like], train.labels[like]),
        "vendi": vendi_score(samples.features[mine]),
        "vendi_held_out": vendi_score(reference.features[theirs]),
        "class_vendi": class_vendi_score(samples.features[mine], samples.labels[mine]),
        "class_vendi_held_out": class_vendi_score(
            reference.features[theirs], reference.labels[theirs]
        ),
        "fid_infinity": curve.pop("fid_infinity"),
        "curve": curve,
        "intervals": sample_intervals(samples, root, generator.fold("resamples")),
    }


def sample_intervals(
    samples: Seen, reference: FrechetReference, generator: Generator
) -> dict[str, list[float]]:
    r"""Compute 95 % intervals: by the bootstrap for IS and FID, by Wilson for the agreement.

    A resample holds doubles, so its FID is biased upwards; the interval is therefore the value
    :math:`\pm 1.96` standard deviations over resamples, and not their quantiles. It covers the draw
    of samples, not that of the reference, nor another training.

    References:
        Efron, 1979

    Args:
        samples: the samples.
        reference: of held-out images.
        generator: the randomness of the resamples.

    Returns:
        Lowest and highest of ``is``, ``fid`` and, where the judge knows the classes, ``agreement``.

    Raises:
        Mistake: for fewer than 20 samples.
    """
    count = len(samples.labels)
    resamples = _FEW if samples.features.shape[1] > _MANY_FEATURES else _RESAMPLES
    drawn: dict[str, list[float]] = {"is": [], "fid": []}
    for number in range(resamples):
        places = generator.fold(number).integers(count, count)
        drawn["is"].append(inception_score(samples.logits[places])[0])
        drawn["fid"].append(reference.distance(samples.features[places]))
    values = {
        "is": inception_score(samples.logits)[0],
        "fid": reference.distance(samples.features),
    }
    z = NormalDist().inv_cdf(0.975)
    intervals = {}
    for name, value in values.items():
        half = z * float(torch.tensor(drawn[name], dtype=torch.float64).std())
        intervals[name] = [value - half, value + half]
    if not samples.knows_classes:
        return intervals
    shown = int((samples.logits.argmax(dim=1) == samples.labels).sum())
    return {**intervals, "agreement": list(wilson_interval(shown, count))}

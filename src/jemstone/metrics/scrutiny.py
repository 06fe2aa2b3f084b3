"""The figures of samples that need a second look: by class, at the limit, and how sure."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from jemstone.metrics.diversity import class_vendi_score, matched, vendi_score
from jemstone.metrics.frechet import FrechetReference, class_frechet_distance, frechet_curve
from jemstone.metrics.generation import Seen
from jemstone.metrics.intervals import sample_intervals
from jemstone.random import Generator

__all__ = ["scrutinise"]


def scrutinise(samples: Seen, reference: Seen, train: Seen, generator: Generator) -> dict[str, Any]:
    """Compute what :func:`jemstone.metrics.compare` leaves out, since it takes longer.

    Args:
        samples: the samples.
        reference: held-out images.
        train: the images the model has learnt from.
        generator: the randomness of subsets and resamples.

    Returns:
        ``class_fid`` and ``class_fid_train``, the class-conditional Fréchet distance, and that of
        as many training images of each class, which is what its small-sample bias alone gives;
        ``vendi`` and ``vendi_held_out``, the Vendi score of samples and of equally many held-out
        images of each class; ``class_vendi`` and ``class_vendi_held_out``, the same within classes;
        ``fid_infinity`` and ``curve``, see :func:`jemstone.metrics.frechet_curve`; and
        ``intervals``, see :func:`jemstone.metrics.sample_intervals`.

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
        "intervals": sample_intervals(samples, reference, generator.fold("resamples"), root),
    }

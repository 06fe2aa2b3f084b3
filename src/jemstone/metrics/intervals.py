r"""How sure the figures of samples are, had others been drawn.

An interval covers the draw of the samples: not that of the held-out images, nor another training.

References:
    Efron, "Bootstrap methods: another look at the jackknife", 1979
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927
"""

from __future__ import annotations

from statistics import NormalDist

import torch
from torch import Tensor

from jemstone.functional.confidence import mean_interval, standard_error, wilson_interval
from jemstone.metrics.fidelity import inception_score, kernel_distance
from jemstone.metrics.frechet import FrechetReference
from jemstone.metrics.generation import Seen
from jemstone.random import Generator

__all__ = ["sample_intervals"]

_MANY_FEATURES, _RESAMPLES, _FEW = 256, 50, 10
_PARTS = 10  # of the samples, for the kernel distance
_REALISM, _COVERING = 3, 5  # the neighbours that balls reach, as in the figures themselves
_CHUNK = 1024  # rows compared at a time
_Z = NormalDist().inv_cdf(0.975)


def sample_intervals(
    samples: Seen, reference: Seen, generator: Generator, root: FrechetReference | None = None
) -> dict[str, list[float]]:
    r"""Compute 95 % intervals of the figures of samples.

    A share of samples has Wilson's interval, a mean over samples :math:`\pm 1.96` standard errors.
    The rest has the bootstrap's: the figure :math:`\pm t` standard deviations over R resamples,
    and not their quantiles, since a resample holds doubles, which raise a FID and lower a recall;
    :math:`t` is Student's quantile of R - 1 degrees of freedom, as R is 50, or 10 of many features.
    KID is unbiased, so it is taken over ten parts of the samples, with Student's interval.

    References:
        Efron, 1979; Wilson, 1927

    Args:
        samples: the samples, as a judge sees them.
        reference: held-out images.
        generator: the randomness of the resamples.
        root: of the reference's features, where it is known.

    Returns:
        Lowest and highest of ``is``, ``fid``, ``kid``, ``precision``, ``recall``, ``density``,
        ``coverage`` and, where the judge knows the classes, ``agreement``.

    Raises:
        Mistake: for fewer than 20 samples, or 6 held-out images.
    """
    from scipy.special import stdtrit  # type: ignore[import-untyped,unused-ignore]

    real, fake = reference.features.double(), samples.features.double()
    count = len(fake)
    root = root or FrechetReference(real)
    whole = torch.arange(count)
    near_real = _within(real, fake, _REALISM, closed=True)
    near_fake = _within(fake, real, _REALISM, closed=True)
    covered = _within(real, fake, _COVERING, closed=False)

    def resampled(places: Tensor) -> dict[str, float]:
        return {
            "is": inception_score(samples.logits[places])[0],
            "fid": root.distance(fake[places]),
            "recall": float(near_fake[places].any(dim=0).double().mean()),
            "coverage": float(covered[:, places].any(dim=1).double().mean()),
        }

    resamples = _FEW if fake.shape[1] > _MANY_FEATURES else _RESAMPLES
    drawn = [
        resampled(generator.fold(number).integers(count, count)) for number in range(resamples)
    ]
    found = {}
    quantile = float(stdtrit(resamples - 1, 0.975))
    for name, value in resampled(whole).items():
        half = quantile * float(
            torch.tensor([row[name] for row in drawn], dtype=torch.float64).std()
        )
        found[name] = [value - half, value + half]
    parts = generator.fold("parts").permutation(count).tensor_split(_PARTS)
    distances = torch.tensor([kernel_distance(real, fake[part]) for part in parts])
    middle, (low, high) = kernel_distance(real, fake), mean_interval(distances)
    found["kid"] = [middle - (high - low) / 2, middle + (high - low) / 2]
    density = covered.sum(dim=0).double() / _COVERING
    half = _Z * standard_error(density)
    found["density"] = [float(density.mean()) - half, float(density.mean()) + half]
    found["precision"] = list(wilson_interval(int(near_real.any(dim=0).sum()), count))
    for name in ("recall", "coverage"):
        found[name] = [max(0.0, found[name][0]), min(1.0, found[name][1])]
    if samples.knows_classes:
        shown = int((samples.logits.argmax(dim=1) == samples.labels).sum())
        found["agreement"] = list(wilson_interval(shown, count))
    return found


def _within(centres: Tensor, points: Tensor, k: int, *, closed: bool) -> Tensor:
    """Tell which points lie in the balls that reach their centre's k-th neighbour, bool (C, P)."""
    rows = []
    for part in centres.split(_CHUNK):
        # The centre itself is the nearest of all, at distance 0: hence k + 1.
        radius = torch.cdist(part, centres).kthvalue(k + 1, dim=1, keepdim=True).values
        apart = torch.cdist(part, points)
        rows.append(apart <= radius if closed else apart < radius)
    return torch.cat(rows)

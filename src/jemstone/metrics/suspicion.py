r"""What a sceptic suspects of samples: recited, repeated, or no more than what they began as.

Each suspicion is a rule on one or two figures, whose yardstick is how real images fare. A flag that
is not raised proves nothing; one that is raised asks for a look at the images.

References:
    Carlini et al., "Extracting training data from diffusion models", 2023,
    https://arxiv.org/abs/2301.13188 (a copy is near one training image, and to no other)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.functional.confidence import wilson_interval
from jemstone.functional.statistics import checked, nearest_distances, rows_at_a_time
from jemstone.metrics.diversity import matched
from jemstone.metrics.fidelity import frechet_distance
from jemstone.metrics.generation import Seen, spread_ratio
from jemstone.random import Generator

__all__ = ["nearest_ratio", "permuted_distance", "suspicions"]

_NEIGHBOURS = 10
_QUANTILE, _RECITED = 0.01, 0.05
_ALIKE = 0.25
_INIT, _CHANCE, _DIVISIONS = 0.1, 0.05, 99
_YARDSTICK = 2000  # held-out images
_COMPARED = 5000  # rows of each set: their distances, 10,000 x 10,000, take 0.8 GB in float64


def nearest_ratio(
    x: Tensor, train: Tensor, k: int = _NEIGHBOURS, *, chunk: int | None = None
) -> Tensor:
    r"""Compute :math:`d_1 / \frac{1}{k - 1} \sum_{j=2}^k d_j` of the distances to k neighbours.

    It is near 0 for a copy of one training image, noisy or not, and near 1 for an image that is as
    near to many, as a blurred one or a class's mean is.

    References:
        Carlini et al., 2023, https://arxiv.org/abs/2301.13188

    Args:
        x: N rows of pixels or features, (N, ...); they are read in float64, a chunk at a time.
        train: those of training images, (M, ...).
        k: neighbours, at most M of them.
        chunk: rows compared at a time; None for as many as take 0.4 GB.

    Returns:
        The ratios, float64 (N,), between 0 and 1.

    Raises:
        Mistake: for fewer than two training images.
    """
    k = min(k, len(train))
    if k < 2:
        raise Mistake("a nearest training image has no rival among fewer than two: give more")
    chunk = chunk or rows_at_a_time(train)
    found = []
    for rows in x.split(chunk):
        part = rows.flatten(1).double()
        nearest = part.new_full((len(part), k), torch.inf)
        for others in train.split(chunk):
            distances = torch.cdist(part, others.flatten(1).double())
            nearest = torch.cat([nearest, distances], dim=1).topk(k, largest=False).values
        found.append(nearest)
    distances = torch.cat(found)
    # Where even the last neighbour is a copy there is nothing to tell apart.
    rivals = distances[:, 1:].mean(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
    return distances[:, 0] / rivals


def suspicions(
    samples: Seen, reference: Seen, train: Seen, init: Seen | None = None
) -> dict[str, dict[str, Any]]:
    """Hold samples to what honest ones fulfil.

    Args:
        samples: the samples.
        reference: held-out images.
        train: the images the model has learnt from.
        init: draws of what the sampler begins with, others than it began with.

    Returns:
        For each suspicion whether it is ``raised``, the ``rule`` in words, and its figures:

        - ``memorised``: the share of samples whose nearest training image (in pixels) is nearer,
          against the next nine, than that of 99 % of the held-out images that are no copies
          themselves; raised where Wilson's interval for that share, 1 % by right, lies above 5 %,
          and above that of all held-out images: where some of them are copies, so are some
          honest samples;
        - ``not_diverse``: the least of the spread within classes against real images' (features
          and pixels) and of the distance to the nearest other sample against real images' own, of
          equally many; raised below a quarter;
        - ``is_the_init``, where ``init`` is given: the kernel distance from the init, as a share of
          the real images', and the chance that it is none (see :func:`permuted_distance`); raised
          below a tenth, or where the chance is over 5 %;
        - ``no_better_than_the_init``, where ``init`` is given: the Fréchet distances of both;
          raised where the samples' is not the smaller.

    Raises:
        Mistake: where there are too few images of a kind.
    """
    found = {
        "memorised": _memorised(samples, reference, train),
        "not_diverse": _not_diverse(samples, reference),
    }
    if init is not None:
        found["is_the_init"] = _is_the_init(samples, reference, init)
        theirs = reference.features
        fid, fid_init = (frechet_distance(theirs, seen.features) for seen in (samples, init))
        found["no_better_than_the_init"] = {
            "raised": fid >= fid_init,
            "rule": "FID is not below that of the init's draws",
            "fid": fid,
            "fid_init": fid_init,
        }
    return found


def _is_the_init(samples: Seen, reference: Seen, init: Seen) -> dict[str, Any]:
    distance, chance = permuted_distance(samples.features, init.features, Generator(0))
    yardstick, _ = permuted_distance(reference.features, init.features, Generator(0))
    share = distance / yardstick if yardstick > 0 else None
    near = share is not None and share < _INIT
    return {
        "raised": chance > _CHANCE or near,
        "rule": f"a permutation test, of {_COMPARED:,} images of each kind at most, does not tell "
        f"samples from the init's draws (chance over {_CHANCE:.0%}), or their distance (KID) is "
        f"below {_INIT:g} of the real images'",
        "chance": chance,
        "share": share,
    }


def permuted_distance(x: Tensor, y: Tensor, generator: Generator) -> tuple[float, float]:
    r"""Compute the kernel distance of two sets, and the chance that halves of one are as far apart.

    The distance is the unbiased squared MMD with KID's kernel; the chance is the share of 99 random
    divisions of all rows, and the given one, that are at least as far apart. Of a set of more than
    5,000 rows as many are drawn, and stand for it.

    References:
        Gretton et al., "A kernel two-sample test", 2012,
        https://jmlr.org/papers/v13/gretton12a.html

    Args:
        x: features, (N, D).
        y: features, (M, D).
        generator: the randomness of the divisions, and of the rows that are drawn.

    Returns:
        The distance, and the chance, between 0.01 and 1.

    Raises:
        Mistake: for fewer than two rows of a kind, or features that are not finite.
    """
    x, y = checked("a kernel distance", 2, x, y)
    x, y = (_some(rows, generator.fold(name)) for rows, name in ((x, "x"), (y, "y")))
    n, m = len(x), len(y)
    rows = torch.cat([x, y])
    kernel = (rows @ rows.T).div_(rows.shape[1]).add_(1.0).pow_(3)
    kernel.fill_diagonal_(0.0)  # unbiased: no row is compared with itself
    orders = [torch.arange(n + m)]
    orders += [generator.fold(number).permutation(n + m) for number in range(_DIVISIONS)]
    first = torch.stack([(order < n).double() for order in orders], dim=1)
    second = 1.0 - first
    within = [(part * (kernel @ part)).sum(dim=0) for part in (first, second)]
    between = (first * (kernel @ second)).sum(dim=0)
    distances = within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2.0 * between / (n * m)
    return float(distances[0]), float((distances >= distances[0]).double().mean())


def _some(rows: Tensor, generator: Generator) -> Tensor:
    """Draw as many rows as are compared, without replacement; all of a small set, as they are."""
    if len(rows) <= _COMPARED:
        return rows
    return rows[generator.permutation(len(rows))[:_COMPARED]]


def _memorised(samples: Seen, reference: Seen, train: Seen) -> dict[str, Any]:
    usual = nearest_ratio(reference.pixels[:_YARDSTICK], train.pixels)
    originals = usual[usual > 0]
    bound = float(originals.quantile(_QUANTILE)) if len(originals) else 0.0
    recited = int((nearest_ratio(samples.pixels, train.pixels) <= bound).sum())
    by_right = int((usual <= bound).sum())
    low, high = wilson_interval(recited, len(samples.pixels))
    _, most = wilson_interval(by_right, len(usual))
    return {
        "raised": low > max(_RECITED, most),
        "rule": f"more than {_RECITED:.0%} of the samples, and more than of held-out images, are "
        f"nearer to one training image, against the next {_NEIGHBOURS - 1}, than "
        f"{1 - _QUANTILE:.0%} of the held-out images that are no copies",
        "share": recited / len(samples.pixels),
        "interval": [low, high],
        "share_held_out": by_right / len(usual),
        "bound": bound,
    }


def _not_diverse(samples: Seen, reference: Seen) -> dict[str, Any]:
    mine, theirs = samples.pixels, reference.pixels
    some, others = matched(samples.labels, reference.labels)
    apart = [
        float(nearest_distances(x, x, exclude_self=True).median())
        for x in (mine[some], theirs[others])
    ]
    shares = {
        "spread_pixel": spread_ratio(mine, samples.labels, theirs, reference.labels),
        "spread_feature": spread_ratio(
            samples.features, samples.labels, reference.features, reference.labels
        ),
        "apart": apart[0] / apart[1] if apart[1] > 0 else torch.nan,
    }
    return {
        "raised": min(shares.values()) < _ALIKE,
        "rule": f"spread within classes, or distance to the nearest other sample, below {_ALIKE:g} "
        "of real images'",
        **shares,
    }

"""Fréchet distances from one reference: by class, at their limit, and how sure they are.

References:
    Heusel et al., 2017, https://arxiv.org/abs/1706.08500
    Chong & Forsyth, "Effectively unbiased FID and Inception score and where to find them", 2020,
    https://arxiv.org/abs/1911.07023
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.functional.statistics import checked
from jemstone.random import Generator

__all__ = ["FrechetReference", "class_frechet_distance", "frechet_curve"]

_POINTS = 10  # of a curve
_SMALLEST = 5  # the curve begins at this part of the samples


class FrechetReference:
    r"""Measure Fréchet distances to one set of real images, its covariance factored once.

    With :math:`F^\top F = \Sigma` of the real features and :math:`G^\top G = \Sigma'` of the
    samples, :math:`\mathrm{tr} (\Sigma \Sigma')^{1/2}` is the sum of :math:`G F^\top`'s singular
    values. Of few images the centred features themselves are the factor, and no D x D matrix is
    taken apart. It is :func:`~jemstone.metrics.frechet_distance`, to rounding, in a fraction of
    the time.

    Args:
        real: features of real images, (N, D).

    Raises:
        Mistake: for fewer than two images, or features that are not finite.
    """

    def __init__(self, real: Tensor) -> None:
        (real,) = checked("a Fréchet distance", 2, real)
        self.mean = real.mean(dim=0)
        self.factor = (real - self.mean) / (len(real) - 1) ** 0.5
        self.trace = self.factor.square().sum()
        if len(real) > real.shape[1]:
            values, vectors = torch.linalg.eigh(self.factor.T @ self.factor)
            self.factor = (vectors * values.clamp_min(0.0).sqrt()).T

    def distance(self, fake: Tensor) -> float:
        """Return the distance of samples.

        Args:
            fake: features of samples, (M, D).

        Raises:
            Mistake: for fewer than two images, features that are not finite, or another width.
        """
        (fake,) = checked("a Fréchet distance", 2, fake)
        if fake.shape[1] != len(self.mean):
            raise Mistake(
                f"samples have {fake.shape[1]} features, the real images {len(self.mean)}: "
                "let one judge look at both"
            )
        mean = fake.mean(dim=0)
        factor = (fake - mean) / (len(fake) - 1) ** 0.5
        both = factor @ self.factor.T
        gram = both.T @ both if both.shape[0] > both.shape[1] else both @ both.T
        shared = torch.linalg.eigvalsh(gram).clamp_min(0.0).sqrt().sum()
        spread = self.trace + factor.square().sum() - 2.0 * shared
        return float((mean - self.mean).square().sum() + spread)


def class_frechet_distance(
    real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor
) -> float:
    r"""Compute the mean over classes of the Fréchet distance between images of the class.

    A class has a K-th of the images, so the bias of small samples is far larger than that of one
    distance over all; read it beside the same figure of equally many training images. A class
    counts where both kinds have two images of it.

    References:
        Heusel et al., 2017, https://arxiv.org/abs/1706.08500

    Args:
        real: features of real images, (N, D).
        real_labels: int64 (N,).
        fake: features of samples, (M, D).
        fake_labels: the classes they were meant to show, int64 (M,).

    Raises:
        Mistake: where no class counts, or features are not finite.
    """
    distances = []
    for k in real_labels.unique().tolist():
        theirs, mine = real[real_labels == k], fake[fake_labels == k]
        if min(len(theirs), len(mine)) >= 2:
            distances.append(FrechetReference(theirs).distance(mine))
    if not distances:
        raise Mistake("no class has two real images and two samples: give more of each")
    return sum(distances) / len(distances)


def frechet_curve(
    reference: FrechetReference, fake: Tensor, generator: Generator
) -> dict[str, Any]:
    r"""Measure how a Fréchet distance falls with the number of samples, and where it would end.

    The bias of :math:`M` samples is about :math:`c / M`, so the line through the distances over
    :math:`1 / M` meets :math:`1 / M = 0` at the distance of infinitely many. What the finite
    reference adds stays in it. The line is straight only where every set has more samples than
    there are features.

    References:
        Chong & Forsyth, 2020, https://arxiv.org/abs/1911.07023

    Args:
        reference: of the real images.
        fake: features of samples, (M, D).
        generator: the randomness of the subsets.

    Returns:
        ``n`` and ``fid`` of ten random subsets from a fifth of the samples to all of them, and
        ``fid_infinity``, None where the smallest subset has fewer samples than features.

    Raises:
        Mistake: for fewer than ten samples, or features that are not finite.
    """
    (fake,) = checked("a curve of Fréchet distances", 10, fake)
    count, width = fake.shape
    sizes = torch.linspace(count / _SMALLEST, count, _POINTS).round().long()
    distances = [
        reference.distance(fake[generator.fold(number).permutation(count)[:size]])
        for number, size in enumerate(sizes.tolist())
    ]
    limit = None
    if int(sizes[0]) > width:
        line = torch.stack([torch.ones(_POINTS), 1.0 / sizes], dim=1).double()
        fitted = torch.linalg.lstsq(line, torch.tensor(distances).double()[:, None]).solution
        limit = float(fitted[0])
    return {"n": sizes.tolist(), "fid": distances, "fid_infinity": limit}

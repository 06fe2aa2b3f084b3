r"""The class-conditional Gaussian: the cheapest generative model of labelled images.

Its covariances are full, or of low rank with a diagonal beside it: a full one takes :math:`D^2`
numbers for each class, which for 64x64 images in colour is 600 MB.

References:
    Santurkar et al., "Image synthesis with a single (robust) classifier", 2019,
    https://arxiv.org/abs/1906.09453
    Yang & Ji, "JEM++: improved techniques for training JEM", 2021,
    https://arxiv.org/abs/2109.09032
    Richardson & Weiss, "On GANs and GMMs", 2018, https://arxiv.org/abs/1805.12462 (low rank and
    a diagonal, for images)
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from jemstone.functional.principal import Rows, principal_directions

__all__ = [
    "count_numbers",
    "draw_gaussian",
    "fit_gaussian",
    "fit_low_rank",
    "lonely_classes",
]

_CHUNK = 2**22  # numbers that are read at once: 32 MiB in float64


def lonely_classes(labels: Tensor, classes: int, rank: int | None = None) -> dict[int, int]:
    """Return the classes with too few images for a covariance, each with how many it has.

    One image has none, and as many images as directions have one less; the fits give such classes
    the covariance of all.

    >>> lonely_classes(torch.tensor([0, 0, 1]), 3)
    {1: 1, 2: 0}
    >>> lonely_classes(torch.tensor([0, 0, 1]), 3, rank=2)
    {0: 2, 1: 1, 2: 0}

    Args:
        labels: int64 (N,).
        classes: K.
        rank: of the covariances; None for full ones, for which two images are enough.
    """
    counts = torch.bincount(labels, minlength=classes).tolist()
    return {k: count for k, count in enumerate(counts) if count < _enough(rank)}


def _enough(rank: int | None) -> int:
    return 2 if rank is None else max(2, rank + 1)


def count_numbers(size: int, classes: int, rank: int | None) -> int:
    """Return how many numbers the statistics are: means, factors, and deviations beside a rank.

    >>> count_numbers(64 * 64 * 3, 1000, rank=64) * 4 / 2**30  # GiB
    3.021240234375

    Args:
        size: D.
        classes: K.
        rank: of the covariances; None for full ones.
    """
    return classes * size * (1 + size if rank is None else 2 + rank)


def fit_gaussian(
    images: Tensor, labels: Tensor, classes: int, jitter: float
) -> tuple[Tensor, Tensor]:
    r"""Fit :math:`N(\mu_k, \Sigma_k + \text{jitter} \cdot I)` to each class, in float64.

    A class of one image has it as mean and the pooled covariance of all classes,
    :math:`\sum_k \sum_{i \in k} (x_i - \mu_k)(x_i - \mu_k)^T / (N - K)`, where K counts the
    classes that have images; one of none has the mean of all images too. Where every class has one
    image, the pooled covariance is that of all images; where there is but one image, zero.

    Args:
        images: (N, ...), D numbers each; float, or uint8 of which 255 stands for 1. They are read
            in chunks.
        labels: int64 (N,).
        classes: K.
        jitter: added to every variance, in squared pixel units.

    Returns:
        The means (K, D) and the Cholesky factors of the covariances (K, D, D), float32.
    """
    means = _fit_means(images, labels, classes)
    size = means.shape[1]
    factors = torch.empty(classes, size, size)
    for alike, rows, freedom in _groups(images, labels, means, _enough(None)):
        covariance = torch.zeros(size, size, dtype=torch.float64)
        for chunk in rows():
            covariance.addmm_(chunk.T, chunk)
        covariance /= freedom
        covariance.diagonal().add_(jitter)
        factors[alike] = torch.linalg.cholesky(covariance).float()
    return means.float(), factors


def fit_low_rank(
    images: Tensor, labels: Tensor, classes: int, jitter: float, rank: int
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Fit :math:`N(\mu_k, F_k F_k^T + \mathrm{diag}(d_k^2))` to each class, in float64.

    :math:`F_k = U_k \, \mathrm{diag}(s_k)` are the principal directions of the class with the
    deviations along them, and :math:`d_k^2 = \mathrm{diag}(\Sigma_k - F_k F_k^T) + \text{jitter}`,
    so means and pixels' variances are those of :func:`fit_gaussian` at every rank, and covariances
    too once the rank reaches that of :math:`\Sigma_k`. No D x D matrix is made.

    A class of no more images than ``rank`` has the pooled covariance, as a class of one image has
    in :func:`fit_gaussian`.

    Args:
        images: (N, ...), D numbers each; float, or uint8 of which 255 stands for 1. They are read
            in chunks.
        labels: int64 (N,).
        classes: K.
        jitter: added to every variance, in squared pixel units.
        rank: directions r, 0 to D.

    Returns:
        The means (K, D), the factors :math:`F` (K, D, r) and the deviations :math:`d` (K, D),
        float32.
    """
    means = _fit_means(images, labels, classes)
    size = means.shape[1]
    factors, deviations = torch.empty(classes, size, rank), torch.empty(classes, size)
    for alike, rows, freedom in _groups(images, labels, means, _enough(rank)):
        variances = torch.zeros(size, dtype=torch.float64)
        for chunk in rows():
            variances += chunk.square().sum(dim=0)
        scatter, directions = principal_directions(rows, size, rank)
        factor = directions * (scatter / freedom).sqrt()
        rest = variances / freedom - factor.square().sum(dim=1)
        factors[alike] = factor.float()
        # Below zero by rounding alone: the diagonal of what is left of a covariance is not.
        deviations[alike] = (rest.clamp_min(0.0) + jitter).sqrt().float()
    return means.float(), factors, deviations


def draw_gaussian(
    means: Tensor, factors: Tensor, y: Tensor, normal: Tensor, deviations: Tensor | None = None
) -> Tensor:
    r"""Compute :math:`\mu_y + F_y n + d_y n'`, one row per label.

    Args:
        means: :math:`\mu`, (K, D).
        factors: :math:`F`, (K, D, r), where r is D for Cholesky factors.
        y: labels, int64 (B,).
        normal: :math:`n` and then :math:`n'`, standard normal draws: (B, r), or (B, r + D) where
            there are deviations.
        deviations: :math:`d`, (K, D); by default none.
    """
    x, rank = means[y], factors.shape[2]
    for k in y.unique().tolist():
        members = y == k
        # A draw is in its own precision, in the midst of bf16 training too.
        with torch.autocast(x.device.type, enabled=False):
            x[members] += normal[members, :rank] @ factors[k].T
    return x if deviations is None else x + deviations[y] * normal[:, rank:]


def _read(images: Tensor, places: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield places, some at a time, with the images there: int64 (B,) and float64 (B, D)."""
    for part in places.split(max(1, _CHUNK // images[0].numel())):
        x = images[part].flatten(1).cpu()  # float64, which not every device has
        # In float32 first, as data sets hand bytes out: bytes and their floats fit alike.
        yield part, (x.float().div_(255.0) if x.dtype == torch.uint8 else x).double()


def _fit_means(images: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return the classes' means, that of all images for a class of none; float64 (K, D)."""
    sums = torch.zeros(classes, images[0].numel(), dtype=torch.float64)
    for part, x in _read(images, torch.arange(len(images))):
        sums.index_add_(0, labels[part], x)
    counts = torch.bincount(labels, minlength=classes)
    of_all = sums.sum(dim=0) / len(labels)
    return torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], of_all)


def _groups(
    images: Tensor, labels: Tensor, means: Tensor, enough: int
) -> Iterator[tuple[list[int], Rows, int]]:
    """Yield classes of one covariance, the rows whose scatter it is, and its degrees of freedom."""
    counts = torch.bincount(labels, minlength=len(means))

    for k, places in enumerate(labels.argsort(stable=True).split(counts.tolist())):
        if len(places) >= enough:
            yield [k], _about(means[k], images, places), len(places) - 1
    few = (counts < enough).nonzero()[:, 0].tolist()
    if not few:
        return
    everything, freedom = torch.arange(len(labels)), int((counts - 1).clamp_min(0).sum())
    if freedom:
        yield few, _about(means, images, everything, labels), freedom
    else:  # no class has two: what tells images apart is all that there is
        of_all = (counts.double() @ means) / len(labels)
        yield few, _about(of_all, images, everything), max(1, len(labels) - 1)


def _about(centres: Tensor, images: Tensor, places: Tensor, labels: Tensor | None = None) -> Rows:
    """Read images about one centre (D,), or each about that of its class (K, D)."""
    return lambda: (
        x.sub_(centres if labels is None else centres[labels[part]])
        for part, x in _read(images, places)
    )

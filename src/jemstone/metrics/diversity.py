"""How many different images there are among samples.

References:
    Friedman & Dieng, "The Vendi score: a diversity evaluation metric for machine learning", 2022,
    https://arxiv.org/abs/2210.02410
"""

from __future__ import annotations

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.functional.statistics import checked

__all__ = ["class_vendi_score", "matched", "vendi_score"]


def vendi_score(features: Tensor) -> float:
    r"""Compute :math:`\exp(-\sum_i \lambda_i \log \lambda_i)`, the effective number of images.

    :math:`\lambda` are the eigenvalues of :math:`K / N`, and :math:`K_{ij}` is the cosine of the
    angle between features i and j. It is 1 where all images are alike and N where they have nothing
    in common; it grows with N, so only figures of equal N compare.

    >>> round(vendi_score(torch.eye(4)), 6), round(vendi_score(torch.ones(4, 3)), 6)
    (4.0, 1.0)

    References:
        Friedman & Dieng, 2022, https://arxiv.org/abs/2210.02410

    Args:
        features: (N, D); a row of zeros is like no other, and not like itself.

    Returns:
        Between 1 and the lesser of N and D.

    Raises:
        Mistake: for no image, or features that are not finite or all zero.
    """
    (features,) = checked("a Vendi score", 1, features)
    lengths = features.norm(dim=1, keepdim=True)
    unit = features / lengths.clamp_min(torch.finfo(features.dtype).tiny)
    # Of N x N cosines and D x D products, whose eigenvalues are the same, the smaller.
    gram = unit @ unit.T if len(unit) < unit.shape[1] else unit.T @ unit
    shares = torch.linalg.eigvalsh(gram / len(unit)).clamp_min(0.0)
    if not shares.sum() > 0:
        raise Mistake("a Vendi score needs features that are not all zero")
    shares = shares / shares.sum()
    return float(torch.special.entr(shares).sum().exp())


def class_vendi_score(features: Tensor, labels: Tensor) -> float:
    """Compute the mean over classes of the Vendi score of the class's images.

    Args:
        features: (N, D).
        labels: int64 (N,).

    Raises:
        Mistake: as :func:`vendi_score` does.
    """
    found = [vendi_score(features[labels == k]) for k in labels.unique().tolist()]
    return sum(found) / max(1, len(found))


def matched(labels: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Choose the first images of each class, equally many of both kinds.

    >>> matched(torch.tensor([0, 0, 1]), torch.tensor([1, 1, 0, 2]))
    (tensor([0, 2]), tensor([2, 0]))

    Args:
        labels: int64 (N,).
        others: int64 (M,).

    Returns:
        Places among the first and among the second, of equal length, class by class.
    """
    places: tuple[list[Tensor], list[Tensor]] = ([], [])
    for k in labels.unique().tolist():
        both = [(kind == k).nonzero()[:, 0] for kind in (labels, others)]
        count = min(len(found) for found in both)
        for kept, found in zip(places, both, strict=True):
            kept.append(found[:count])
    none = torch.empty(0, dtype=torch.int64)
    return torch.cat([none, *places[0]]), torch.cat([none, *places[1]])

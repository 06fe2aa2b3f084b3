"""The class-conditional Gaussian: the cheapest generative model of labelled images.

References:
    Santurkar et al., "Image synthesis with a single (robust) classifier", 2019,
    https://arxiv.org/abs/1906.09453
    Yang & Ji, "JEM++: improved techniques for training JEM", 2021,
    https://arxiv.org/abs/2109.09032
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["draw_gaussian", "fit_gaussian", "lonely_classes"]


def lonely_classes(labels: Tensor, classes: int) -> dict[int, int]:
    """Return the classes with fewer than two images, each with how many it has.

    One image has no covariance, so :func:`fit_gaussian` gives them that of all classes.

    >>> lonely_classes(torch.tensor([0, 0, 1]), 3)
    {1: 1, 2: 0}

    Args:
        labels: int64 (N,).
        classes: K.
    """
    counts = torch.bincount(labels, minlength=classes).tolist()
    return {k: count for k, count in enumerate(counts) if count < 2}


def fit_gaussian(
    images: Tensor, labels: Tensor, classes: int, jitter: float
) -> tuple[Tensor, Tensor]:
    r"""Fit :math:`N(\mu_k, \Sigma_k + \text{jitter} \cdot I)` to each class, in float64.

    A class of one image has it as mean and the pooled covariance of all classes,
    :math:`\sum_k \sum_{i \in k} (x_i - \mu_k)(x_i - \mu_k)^T / (N - K)`; one of none has the mean
    of all images too. Where every class has one image, the pooled covariance is that of all
    images; where there is but one image, zero.

    Args:
        images: (N, ...), D numbers each.
        labels: int64 (N,).
        classes: K.
        jitter: added to every variance, in squared pixel units.

    Returns:
        The means (K, D) and the Cholesky factors of the covariances (K, D, D), float32.
    """
    flat = images.flatten(1)
    size = flat.shape[1]
    means = torch.empty(classes, size)
    factors = torch.empty(classes, size, size)
    lonely = lonely_classes(labels, classes)
    # The pooled ones take memory and time of their own, so only where they are needed.
    mean = flat.double().mean(dim=0) if lonely else None
    pooled = torch.linalg.cholesky(_pooled(flat, labels, jitter)) if lonely else None
    for k in range(classes):
        members = flat[labels == k].double()
        if mean is not None and pooled is not None and k in lonely:
            means[k] = members[0] if len(members) else mean
            factors[k] = pooled
            continue
        covariance = torch.cov(members.T) + jitter * torch.eye(size, dtype=members.dtype)
        means[k] = members.mean(dim=0)
        factors[k] = torch.linalg.cholesky(covariance)
    return means, factors


def _pooled(flat: Tensor, labels: Tensor, jitter: float) -> Tensor:
    """Return the covariance within classes, of all that have two images; float64 (D, D)."""
    size = flat.shape[1]
    scatter, freedom = torch.zeros(size, size, dtype=torch.float64), 0
    for k in labels.unique().tolist():
        members = flat[labels == k].double()
        centred = members - members.mean(dim=0)
        scatter += centred.T @ centred
        freedom += len(members) - 1
    if not freedom:  # no class has two: what tells images apart is all that there is
        centred = flat.double() - flat.double().mean(dim=0)
        scatter, freedom = centred.T @ centred, max(1, len(flat) - 1)
    return scatter / freedom + jitter * torch.eye(size, dtype=torch.float64)


def draw_gaussian(means: Tensor, factors: Tensor, y: Tensor, normal: Tensor) -> Tensor:
    r"""Compute :math:`\mu_y + L_y n`, one row per label.

    Args:
        means: :math:`\mu`, (K, D).
        factors: :math:`L`, (K, D, D).
        y: labels, int64 (B,).
        normal: :math:`n`, standard normal draws (B, D).
    """
    x = means[y]
    for k in y.unique().tolist():
        members = y == k
        x[members] += normal[members] @ factors[k].T
    return x

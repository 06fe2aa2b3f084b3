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

__all__ = ["draw_gaussian", "fit_gaussian"]


def fit_gaussian(
    images: Tensor, labels: Tensor, classes: int, jitter: float
) -> tuple[Tensor, Tensor]:
    r"""Fit :math:`N(\mu_k, \Sigma_k + \text{jitter} \cdot I)` to each class, in float64.

    Args:
        images: (N, ...), D numbers each.
        labels: int64 (N,).
        classes: K.
        jitter: added to every variance, in squared pixel units.

    Returns:
        The means (K, D) and the Cholesky factors of the covariances (K, D, D), float32.

    Raises:
        ValueError: where a class has fewer than two images.
    """
    flat = images.flatten(1)
    size = flat.shape[1]
    means = torch.empty(classes, size)
    factors = torch.empty(classes, size, size)
    for k in range(classes):
        members = flat[labels == k].double()
        if len(members) < 2:
            raise ValueError(f"class {k} has {len(members)} images: a Gaussian needs at least two")
        covariance = torch.cov(members.T) + jitter * torch.eye(size, dtype=members.dtype)
        means[k] = members.mean(dim=0)
        factors[k] = torch.linalg.cholesky(covariance)
    return means, factors


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

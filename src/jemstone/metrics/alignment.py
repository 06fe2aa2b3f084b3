r"""How far input gradients line up with what is seen in an image.

A gradient says in which direction a classifier becomes surer of a class. In robust classifiers that
direction resembles the image or the class; two published measures say how much. None of them
changes when a gradient is multiplied by a positive number, and a flat gradient, which points
nowhere, counts as zero.

References:
    Etmann et al., "On the connection between adversarial robustness and saliency map
    interpretability", 2019, https://arxiv.org/abs/1905.04172
    Ganz et al., "Do perceptually aligned gradients imply robustness?", 2022,
    https://arxiv.org/abs/2207.11378
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.functional.energies import energy, grad_x
from jemstone.functional.statistics import precise
from jemstone.metrics.classification import check_labels, check_logits, device_of
from jemstone.nn.modes import held
from jemstone.types import EnergyModel

__all__ = [
    "alignment",
    "cosine_alignment",
    "log_probability_gradients",
    "logit_gradients",
    "margin_gradient",
    "measure_alignment",
    "representative_alignment",
]

_AT_ONCE = 250  # images in a pass


def logit_gradients(model: EnergyModel, x: Tensor, classes: int) -> Tensor:
    r"""Compute :math:`\nabla_x f(x)[k] = -\nabla_x E(x, k)` for every class.

    Args:
        model: the classifier.
        x: images (B, C, H, W).
        classes: K.

    Returns:
        Gradients, (B, K, C, H, W).
    """
    y = torch.arange(classes, device=x.device).repeat(len(x))
    pairs = zip(x.repeat_interleave(classes, dim=0).split(_AT_ONCE), y.split(_AT_ONCE), strict=True)
    g = torch.cat([-grad_x(energy, model, images, labels) for images, labels in pairs])
    return g.reshape(len(x), classes, *x.shape[1:])


def log_probability_gradients(logits: Tensor, gradients: Tensor) -> Tensor:
    r"""Compute :math:`\nabla_x \log p(k|x) = \sum_j p(j|x) \, (\nabla f(x)[k] - \nabla f(x)[j])`.

    In this form nothing cancels, so it points somewhere also where the model is sure.

    Args:
        logits: :math:`f(x)`, (B, K).
        gradients: of the logits, (B, K, C, H, W).

    Returns:
        Gradients, float64 (B, K, C, H, W).
    """
    p = precise(logits).softmax(dim=-1)
    others = p[:, None, :] * (1.0 - torch.eye(p.shape[1], dtype=p.dtype, device=p.device))
    weights = others.sum(dim=-1).diag_embed() - others  # (B, K, K)
    return (weights @ precise(gradients).flatten(2)).reshape(gradients.shape)


def margin_gradient(logits: Tensor, gradients: Tensor) -> Tensor:
    r"""Compute the gradient of Etmann et al.'s binarised classifier.

    It is :math:`\nabla (f[i] - f[j])` at :math:`x`, with :math:`i` the predicted class and
    :math:`j` the rival whose linearised boundary is the nearest, the minimiser of
    :math:`(f[i] - f[j]) / \|\nabla f[i] - \nabla f[j]\|`.

    References:
        Etmann et al., 2019, https://arxiv.org/abs/1905.04172

    Args:
        logits: :math:`f(x)`, (B, K).
        gradients: of the logits, (B, K, C, H, W).

    Returns:
        Gradients, (B, C, H, W).

    Raises:
        Mistake: for a single class, which has no rival.
    """
    if logits.shape[1] < 2:
        raise Mistake("a margin is between two classes: the model knows only one")
    rows = torch.arange(len(logits), device=logits.device)
    i = logits.argmax(dim=-1)
    ahead = precise(logits[rows, i][:, None] - logits)
    slopes = precise(gradients[rows, i][:, None] - gradients).flatten(2).norm(dim=-1)
    # A rival that no slope leads to is infinitely far, also where it is level.
    distances = torch.where(slopes > 0, ahead / slopes, math.inf)
    distances[rows, i] = math.inf
    j = distances.argmin(dim=-1)
    return gradients[rows, i] - gradients[rows, j]


def alignment(x: Tensor, g: Tensor) -> Tensor:
    r"""Compute :math:`\alpha(x) = |\langle x, g \rangle| / \|g\|`, from 0 to :math:`\|x\|`.

    With the :func:`margin_gradient` of a classifier that is linear, and zero at zero, this is the
    distance to the decision boundary; then alignment *is* robustness.

    References:
        Etmann et al., 2019, https://arxiv.org/abs/1905.04172

    Args:
        x: images (B, C, H, W), counted from what the network reads as zero.
        g: gradients, of the same shape.

    Returns:
        In units of pixels, float64 (B,).
    """
    return (precise(x).flatten(1) * _directions(g)).sum(dim=-1).abs()


def cosine_alignment(x: Tensor, g: Tensor) -> Tensor:
    r"""Compute :math:`|\langle x, g \rangle| / (\|x\| \|g\|)`, from 0 to 1.

    Unlike :func:`alignment` it compares images of different contrast, or data sets.

    Args:
        x: images (B, C, H, W), counted from what the network reads as zero.
        g: gradients, of the same shape.

    Returns:
        float64 (B,).
    """
    return (_directions(x) * _directions(g)).sum(dim=-1).abs()


def representative_alignment(x: Tensor, gradients: Tensor, representatives: Tensor) -> Tensor:
    r"""Compute :math:`\frac1K \sum_k \cos(\nabla_k, r_k - x)`, from -1 to 1.

    This is what Ganz et al. train gradients for. Of the representatives they try, a training
    image, the nearest one and the mean of a class, the mean needs no choice.

    References:
        Ganz et al., 2022, https://arxiv.org/abs/2207.11378

    Args:
        x: images (B, C, H, W).
        gradients: towards each class, (B, K, C, H, W).
        representatives: :math:`r`, one image for each class, (K, C, H, W).

    Returns:
        float64 (B,).
    """
    towards = representatives.to(x)[None] - x[:, None]
    return (_directions(towards, 2) * _directions(gradients, 2)).sum(dim=-1).mean(dim=-1)


def measure_alignment(
    model: EnergyModel,
    images: Images,
    representatives: Tensor,
    *,
    zero: Tensor | float = 0.0,
) -> dict[str, Tensor]:
    r"""Measure the gradients of a model, in eval mode, on each image.

    Args:
        model: the classifier.
        images: N of them.
        representatives: one image for each class, (K, C, H, W) in [0, 1].
        zero: the image that the network reads as zero: what its normalisation subtracts.

    Returns:
        By name, float64 (N,) each, on the processor:

        - ``alignment``, ``alignment_cosine``: of the gradient of the predicted class's logit, the
          saliency map of Etmann et al.
        - ``margin_alignment``, ``margin_alignment_cosine``: of the :func:`margin_gradient`.
        - ``class_mean_alignment``: of the gradients of all logits, as Ganz et al. write it.
        - ``class_mean_alignment_log_p``: of the gradients of all :math:`\log p(k|x)`, as they
          train it: no function of the image that is added to all logits changes it.
        - ``correct``: 1 where the predicted class is the label's.
        - ``flat``: 1 where the gradient of the predicted class's logit is zero.

    Raises:
        Mistake: where there are no images, their labels are not of the model's classes, or a
            logit or gradient is not finite.
    """
    if not len(images):
        raise Mistake("there are no images to take gradients on: give at least one")
    device, classes = device_of(model), len(representatives)
    parts = []
    with held(model):
        for batch in images.batches(max(1, _AT_ONCE // classes)):
            x, y = batch.x.to(device), batch.y.to(device)
            with torch.no_grad():
                logits = check_logits(model.logits(x))
            check_labels(y, logits)
            gradients = logit_gradients(model, x, classes)
            if not gradients.isfinite().all():
                raise Mistake("a gradient is not finite: the model has diverged")
            parts.append(_measured(x - zero, y, logits, gradients, representatives.to(x) - zero))
    return {name: torch.cat([part[name].cpu().double() for part in parts]) for name in parts[0]}


def _measured(
    x: Tensor, y: Tensor, logits: Tensor, gradients: Tensor, representatives: Tensor
) -> dict[str, Tensor]:
    predicted = logits.argmax(dim=-1)
    logit = gradients[torch.arange(len(x), device=x.device), predicted]
    margin = margin_gradient(logits, gradients)
    log_p = log_probability_gradients(logits, gradients)
    return {
        "alignment": alignment(x, logit),
        "alignment_cosine": cosine_alignment(x, logit),
        "margin_alignment": alignment(x, margin),
        "margin_alignment_cosine": cosine_alignment(x, margin),
        "class_mean_alignment": representative_alignment(x, gradients, representatives),
        "class_mean_alignment_log_p": representative_alignment(x, log_p, representatives),
        "correct": (predicted == y).float(),
        "flat": (logit.flatten(1) == 0).all(dim=-1).float(),
    }


def _directions(v: Tensor, start: int = 1) -> Tensor:
    """Return vectors of length 1 in float64, flattened from ``start``; zero stays zero."""
    v = precise(v).flatten(start)
    largest = v.abs().amax(dim=-1, keepdim=True)
    v = v / torch.where(largest > 0, largest, 1.0)  # the squares of small numbers would vanish
    lengths: Tensor = v.norm(dim=-1, keepdim=True)
    return v / lengths.clamp(min=1.0)

"""Energies of a classifier's logits, the potentials walks descend, and the gradients on images.

References:
    Grathwohl et al., "Your classifier is secretly an energy based model and you should treat it
    like one", 2020, https://arxiv.org/abs/1912.03263
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jemstone.types import EnergyModel, Potential

__all__ = [
    "away_from_label",
    "energy",
    "grad_stem",
    "grad_x",
    "joint_energy",
    "marginal",
    "marginal_energy",
    "slope",
    "towards_label",
]


def joint_energy(logits: Tensor, y: Tensor) -> Tensor:
    r"""Compute :math:`E(x, y) = -f(x)[y]`.

    Args:
        logits: :math:`f(x)`, (B, K).
        y: labels, int64 (B,).
    """
    return -logits.gather(-1, y[:, None]).squeeze(-1)


def marginal_energy(logits: Tensor) -> Tensor:
    r"""Compute :math:`E(x) = -\log \sum_y \exp f(x)[y]`.

    Args:
        logits: :math:`f(x)`, (B, K).
    """
    return -torch.logsumexp(logits, dim=-1)


def energy(model: EnergyModel, x: Tensor, y: Tensor | None = None) -> Tensor:
    r"""Return :math:`E(x, y)`, or :math:`E(x)` where no label is given: Langevin descends it.

    Args:
        model: the energy.
        x: images (B, C, H, W).
        y: labels, int64 (B,).

    Returns:
        The potential of each image, (B,).
    """
    return model.energy(x, y)


def marginal(model: EnergyModel, x: Tensor, y: Tensor | None = None) -> Tensor:
    r"""Return :math:`E(x)` whatever the label: the unconditional walk's potential.

    Args:
        model: the energy.
        x: images (B, C, H, W).
        y: ignored.

    Returns:
        The potential of each image, (B,).
    """
    return model.energy(x)


def towards_label(model: EnergyModel, x: Tensor, y: Tensor | None) -> Tensor:
    r"""Return :math:`-\log p(y|x)`: the painter, or targeted attacker, descends it.

    Args:
        model: the classifier.
        x: images (B, C, H, W).
        y: labels to reach, int64 (B,).

    Returns:
        The potential of each image, (B,).

    Raises:
        ValueError: where there are no labels.
    """
    if y is None:
        raise ValueError("a walk towards a label needs the labels y")
    return F.cross_entropy(model.logits(x), y, reduction="none")


def away_from_label(model: EnergyModel, x: Tensor, y: Tensor | None) -> Tensor:
    r"""Return :math:`\log p(y|x)`: the untargeted attacker descends it.

    Args:
        model: the classifier.
        x: images (B, C, H, W).
        y: labels to leave, int64 (B,).

    Returns:
        The potential of each image, (B,).

    Raises:
        ValueError: where there are no labels.
    """
    return -towards_label(model, x, y)


def grad_x(potential: Potential, model: EnergyModel, x: Tensor, y: Tensor | None = None) -> Tensor:
    r"""Compute :math:`\nabla_x U(x | y)`, image by image; parameters gather no gradient.

    Args:
        potential: :math:`U`, (B,).
        model: the network :math:`U` reads.
        x: images (B, C, H, W), or whatever else the model reads.
        y: labels, int64 (B,), where the potential wants them.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(potential(model, x, y).sum(), x)
    return gradient


def slope(model: EnergyModel, x: Tensor) -> Tensor:
    r"""Compute :math:`\|\nabla_x E(x)\|_2`, which can itself be differentiated by the images.

    Args:
        model: the energy.
        x: images (B, C, H, W).

    Returns:
        The norms in nats per [0, 1] pixel, (B,).
    """
    watched = x.requires_grad
    with torch.enable_grad():
        x = x if watched else x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(model.energy(x).sum(), x, create_graph=watched)
    # The norm's own gradient at zero is not a number; that of this one is zero.
    return gradient.flatten(1).square().sum(dim=1).clamp_min(torch.finfo(x.dtype).tiny).sqrt()


def grad_stem(stem: nn.Module, x: Tensor, p: Tensor) -> Tensor:
    r"""Compute :math:`\nabla_x \langle s(x), p \rangle`: pull a gradient back through the stem.

    With :math:`p = \partial U / \partial h` at :math:`h = s(x)` this is :math:`\nabla_x U`; PYLD
    keeps :math:`p` while :math:`x` moves.

    Args:
        stem: :math:`s`, the network's first layer.
        x: images (B, C, H, W).
        p: the gradient at the stem's output, of its shape.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(stem(x), x, grad_outputs=p)
    return gradient

"""Energies of a classifier's logits, the potentials walks descend, and the gradients on images.

References:
    Grathwohl et al., "Your classifier is secretly an energy based model and you should treat it
    like one", 2020, https://arxiv.org/abs/1912.03263
    Carlini & Wagner, "Towards evaluating the robustness of neural networks", 2017,
    https://arxiv.org/abs/1608.04644
    Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", 2020, https://arxiv.org/abs/2003.01690
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jemstone.errors import Mistake
from jemstone.types import EnergyModel, Potential

__all__ = [
    "away_from_label",
    "energy",
    "grad_stem",
    "grad_x",
    "joint_energy",
    "label_margin",
    "logit_energy",
    "logit_ratio",
    "margin",
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


def logit_energy(logits: Tensor, y: Tensor | None = None) -> Tensor:
    r"""Compute :math:`E(x, y)`, or :math:`E(x)` where no label is given.

    Args:
        logits: :math:`f(x)`, (B, K).
        y: labels, int64 (B,).
    """
    return marginal_energy(logits) if y is None else joint_energy(logits, y)


def label_margin(logits: Tensor, y: Tensor) -> Tensor:
    r"""Compute :math:`f(x)[y] - \max_{k \ne y} f(x)[k]`: negative where the label is missed.

    Args:
        logits: :math:`f(x)`, (B, K).
        y: labels, int64 (B,).
    """
    others = logits.scatter(1, y[:, None], -math.inf).amax(dim=-1)
    return logits.gather(1, y[:, None])[:, 0] - others


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


def margin(model: EnergyModel, x: Tensor, y: Tensor | None) -> Tensor:
    r"""Return :math:`f(x)[y] - \max_{k \ne y} f(x)[k]`, an attacker's loss that never saturates.

    Cross-entropy falls silent where the model is sure: in float32 its gradient is 0 as soon as the
    label's logit leads by 104. That of the margin is not, however large the logits.

    References:
        Carlini & Wagner, 2017, https://arxiv.org/abs/1608.04644

    Args:
        model: the classifier.
        x: images (B, C, H, W).
        y: labels to leave, int64 (B,).

    Returns:
        The potential of each image, (B,).

    Raises:
        ValueError: where there are no labels.
    """
    if y is None:
        raise ValueError("a margin is the label's: give the labels y")
    return label_margin(model.logits(x), y)


def logit_ratio(model: EnergyModel, x: Tensor, y: Tensor | None) -> Tensor:
    r"""Return the margin over :math:`z_{(1)} - z_{(3)}`: AutoAttack's DLR loss, its sign turned.

    With the logits sorted, :math:`z_{(1)} \ge z_{(2)} \ge z_{(3)}`, this neither changes with
    the scale of the logits nor with a shift.

    References:
        Croce & Hein, 2020, https://arxiv.org/abs/2003.01690

    Args:
        model: the classifier.
        x: images (B, C, H, W).
        y: labels to leave, int64 (B,).

    Returns:
        The potential of each image, (B,).

    Raises:
        ValueError: where there are no labels.
        Mistake: for fewer than three classes.
    """
    if y is None:
        raise ValueError("a margin is the label's: give the labels y")
    logits = model.logits(x)
    if logits.shape[1] < 3:
        raise Mistake(f"a ratio of logits needs 3 classes, not {logits.shape[1]}: use the margin")
    highest = logits.topk(3, dim=1).values
    return label_margin(logits, y) / (highest[:, 0] - highest[:, 2]).clamp_min(1e-12)


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

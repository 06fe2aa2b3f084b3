r"""A layer of a residual flow: ``x + g(x)``, invertible as ``g`` contracts.

Its log-determinant is a power series of traces, each estimated with one probe ``v ~ N(0, I)``
(Skilling, Hutchinson):

.. math:: \log |\det (I + J)| = \sum_{k \ge 1} \frac{(-1)^{k+1}}{k} E_v\, v^T J^k v.

The library cuts the series at random, by NumPy's global state. Which cut is made is explicit here:
training plays Russian roulette, which is unbiased; figures take a fixed number of terms.

References:
    Chen et al., "Residual flows for invertible generative modeling", 2019,
    https://arxiv.org/abs/1906.02735
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from jemstone.baselines.image_flow import Shape, library
from jemstone.types import Generator

__all__ = ["TERMS", "ResidualBlock"]

TERMS = 40
"""Of the series, where figures are made."""

_LIPSCHITZ = 0.98  # of each convolution, as in the published code
_RATE, _EXACT = 2.0, 2  # of the roulette: terms beyond the exact ones are Poisson(2), as there
_MOST = 1000  # steps of the inversion
_ABSOLUTE, _RELATIVE = 1e-6, 1e-6  # change of a pixel in the inversion's last step


class ResidualBlock(nn.Module):
    """The map ``x + g(x)``, g being three convolutions (3x3, 1x1, 3x3) between LipSwishes.

    Args:
        shape: (C, H, W) of what it maps.
        hidden: channels inside.
    """

    def __init__(self, shape: Shape, hidden: int) -> None:
        super().__init__()
        channels = [shape[0], hidden, hidden, shape[0]]
        self.net = library().nets.LipschitzCNN(channels, [3, 1, 3], lipschitz_const=_LIPSCHITZ)
        with torch.no_grad():  # its singular vectors get their shapes from a first pass
            self.net(torch.zeros(1, *shape))

    def encode(self, x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return ``x + g(x)``, and an estimate of its log-determinant, (B,).

        Args:
            x: (B, C, H, W).
            generator: of the probes, and of the roulette in training mode.
        """
        residual = library().flows.residual
        probe = generator.fold("probe").normal(x.shape, dtype=x.dtype, device=x.device)
        if self.training:
            terms = _EXACT + _poisson(Generator(generator.fold("roulette").seed))

            def weight(k: int) -> float:
                return 1.0 / float(residual.poisson_1mcdf(_RATE, k, _EXACT))

            # Gradients are computed on the way, and the graphs of blocks are not kept.
            g, log_det = residual.mem_eff_wrapper(
                _roulette, self.net, x, terms, probe, weight, self.training
            )
        else:
            with torch.enable_grad():
                x = x.detach().contiguous().requires_grad_()
                g = self.net(x)
                log_det = residual.basic_logdet_estimator(g, x, TERMS, probe, lambda k: 1.0, False)
            x, g, log_det = x.detach(), g.detach(), log_det.detach()
        return x + g, log_det

    def decode(self, z: Tensor) -> Tensor:
        """Solve ``z = x + g(x)`` by Banach's iteration, each image until it stands still.

        An image that stands still is left alone, so it does not matter which others are there. One
        that never does, since g does not contract there, is no solution: it is NaN.

        Args:
            z: (B, C, H, W).
        """
        x = z
        for _ in range(_MOST):
            nearer = z - self.net(x)
            far = (nearer - x).abs() > _ABSOLUTE + _RELATIVE * nearer.abs()
            moving = far.flatten(1).any(1)[:, None, None, None]
            x = torch.where(moving, nearer, x)
            if not moving.any():
                return x
        return torch.where(moving, torch.nan, x)


def _roulette(
    g: Tensor,
    x: Tensor,
    terms: int,
    probe: Tensor,
    weight: Callable[[int], float],
    training: bool,
) -> Tensor:
    r"""Estimate the log-determinant without bias, its gradient by the Neumann series.

    The gradient of :math:`v^T \sum_k (-J)^k J v`, its sum held fixed, is that of the
    log-determinant (eq. 8 of the paper); its value is not, and is replaced by the power series.

    Args:
        g: of the block, (B, C, H, W).
        x: where, (B, C, H, W).
        terms: n, of both series.
        probe: v, (B, C, H, W).
        weight: of term k: one over the chance that n is at least k.
        training: keep the graph.

    Returns:
        The estimate, (B,).
    """
    product = total = probe
    value = g.new_zeros(len(g))
    with torch.no_grad():
        for k in range(1, terms + 1):
            (product,) = torch.autograd.grad(g, x, product, retain_graph=True)
            share = (-1) ** k * weight(k)
            total = total + share * product
            value = value - share / k * (product * probe).flatten(1).sum(1)
    (last,) = torch.autograd.grad(g, x, total, create_graph=training)
    surrogate = (last * probe).flatten(1).sum(1)
    return surrogate + (value - surrogate).detach()


def _poisson(generator: Generator) -> int:
    """Draw from Poisson's distribution of mean :data:`_RATE`, by inversion."""
    left = float(generator.uniform((1, 1)))
    count, chance = 0, math.exp(-_RATE)
    while left >= chance:
        left -= chance
        count += 1
        chance *= _RATE / count
        if chance == 0.0:  # rounding left a crumb
            break
    return count

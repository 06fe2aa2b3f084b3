"""Projected gradient descent: the attacker, and the painter.

References:
    Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018,
    https://arxiv.org/abs/1706.06083
    Goodfellow et al., "Explaining and harnessing adversarial examples", 2015,
    https://arxiv.org/abs/1412.6572
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Self

from torch import Tensor

from jemstone.functional.balls import Ball
from jemstone.functional.box import check_box
from jemstone.functional.energies import away_from_label, grad_x
from jemstone.samplers.walk import Bounds, Walk
from jemstone.types import EnergyModel, Generator, Potential

__all__ = ["FGSM", "PGD", "madry_step"]


class PGD(Walk):
    r"""Attack within a ball, or paint a class into it.

    .. math:: x \leftarrow \Pi_{\text{box}} \, \Pi_{\text{ball}}
              (x - \text{step\_size} \cdot \text{steepest}(\nabla_x U))

    Untargeted with ``potential=away_from_label``, targeted with ``towards_label``.

    References:
        Madry et al., 2018, https://arxiv.org/abs/1706.06083

    Args:
        ball: the threat model, radius in [0, 1] pixels.
        steps: how many.
        step_size: length of a step in the ball's norm, in [0, 1] pixels.
        potential: what the attacker descends.
        random_start: begin at a uniform draw from the ball.
        bounds: the box of valid pixels. The start must lie in it.
        mode: ``eval`` or ``batch``.
    """

    def __init__(
        self,
        ball: Ball,
        steps: int,
        step_size: float,
        *,
        potential: Potential = away_from_label,
        random_start: bool = False,
        bounds: Bounds = (0.0, 1.0),
        mode: str = "eval",
    ) -> None:
        super().__init__(steps, potential=potential, bounds=bounds, mode=mode)
        self.ball = ball
        self.step_size = step_size
        self.random_start = random_start

    def scaled(self, share: float) -> Self:
        """Return the same attack in a ball of ``share`` times the radius, its steps as short."""
        smaller = copy.copy(self)
        smaller.ball = dataclasses.replace(self.ball, eps=share * self.ball.eps)
        smaller.step_size = share * self.step_size
        return smaller

    def start(self, x: Tensor, generator: Generator) -> Tensor:
        """Return the images, or a draw from their balls.

        Raises:
            Mistake: where a pixel is outside the box: the radius would mean something else.
        """
        if self.bounds is not None:
            check_box(x, *self.bounds)
        return self.inside(x + self.ball.sample(x, generator)) if self.random_start else x

    def step(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, origin: Tensor, generator: Generator
    ) -> Tensor:
        g = self.gradient(model, x, y, generator)
        # Clamping after projecting stays in the ball: both sets are convex and hold the origin.
        return self.inside(self.ball.project(x - self.step_size * self.ball.steepest(g), origin))

    def gradient(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, generator: Generator
    ) -> Tensor:
        """Return the gradient that a step follows; an attack on a random model averages here."""
        return grad_x(self.potential, model, x, y)


def FGSM(ball: Ball, **options: Any) -> PGD:  # noqa: N802 - the field's name
    """Build the fast gradient sign method: PGD of one step as long as the ball's radius.

    >>> from jemstone.functional.balls import Linf
    >>> FGSM(Linf(0.1)).steps
    1

    Args:
        ball: the threat model.
        options: as for :class:`PGD`.
    """
    return PGD(ball, steps=1, step_size=ball.eps, **options)


def madry_step(eps: float, steps: int) -> float:
    r"""Return the usual length of a step, :math:`2.5 \epsilon / \text{steps}`.

    So a walk can cross the whole ball from any start, and a quarter more.

    References:
        Madry et al., 2018, https://arxiv.org/abs/1706.06083, section 5, and their code,
        https://github.com/MadryLab/robustness

    Args:
        eps: radius of the ball.
        steps: of the walk, at least 1.
    """
    return 2.5 * eps / steps

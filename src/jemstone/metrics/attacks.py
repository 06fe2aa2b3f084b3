"""Attacks on a batch: which images still stand, and how near each came to falling.

References:
    Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018,
    https://arxiv.org/abs/1706.06083
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.functional.balls import Ball
from jemstone.functional.box import check_box
from jemstone.functional.energies import away_from_label, label_margin
from jemstone.metrics.classification import check_labels, check_logits
from jemstone.model import still
from jemstone.random import Generator
from jemstone.samplers import PGD, madry_step
from jemstone.types import EnergyModel, Potential

__all__ = ["Siege", "check_allowed", "check_images", "pgd_survivors"]


class Siege:
    """A batch under attack: which images still stand, and the nearest miss of each.

    An image stands if its clean and every attacked version are right.

    Args:
        model: the classifier, in eval mode.
        x: the clean images (B, C, H, W).
        y: labels, int64 (B,).
        generator: the randomness of these images.
    """

    def __init__(self, model: EnergyModel, x: Tensor, y: Tensor, generator: Generator) -> None:
        self.model = model
        self.origin = x
        self.y = y
        self.generator = generator
        self.stands = torch.ones_like(y, dtype=torch.bool)
        self.nearest = x.clone()
        self.margin = torch.full_like(x[:, 0, 0, 0], math.inf)
        self.look(torch.arange(len(y), device=y.device), x)

    def by_pgd(self, attack: PGD, number: int, restarts: int) -> None:
        """Attack what stands: from the nearest miss, then from random starts.

        Args:
            attack: one walk; images are looked at after every step.
            number: of this attack among the siege's; names its randomness.
            restarts: random starts.
        """
        for restart in range(restarts + 1):
            (places,) = self.stands.nonzero(as_tuple=True)
            if restart == 0:
                start = self.nearest[places]
            else:
                stream = self.generator.fold(number, restart).at(places.cpu())
                start = attack.start(self.origin[places], stream)
            self.walk(attack, places, start)

    def walk(self, attack: PGD, places: Tensor, x: Tensor) -> None:
        """Walk, dropping an image as soon as it is broken.

        Args:
            attack: the walk; images are looked at before it and after every step.
            places: of the images in the batch, int64 (B',).
            x: where each begins (B', C, H, W).

        Raises:
            Mistake: where a logit is not finite.
        """
        standing = self.look(places, x, attack.ball)
        for t in range(attack.steps):
            places, x = places[standing], x[standing]
            if not len(places):
                break
            stream = self.generator.fold(t).at(places.cpu())
            x = attack.step(self.model, x, self.y[places], self.origin[places], stream)
            standing = self.look(places, x, attack.ball)

    def look(self, places: Tensor, x: Tensor, threat: Ball | None = None) -> Tensor:
        """Tell which versions ``x`` of the images at ``places`` (B',) are right, (B',).

        Args:
            places: in the batch, int64 (B',).
            x: one version of each of them (B', C, H, W).
            threat: the ball it must lie in; None for the clean images.

        Raises:
            Mistake: where a logit is not finite, or a label is not of the model's classes.
        """
        logits = check_logits(self.model.logits(x))
        y = self.y[places]
        if threat is None:
            check_labels(y, logits)
        else:
            check_allowed(x, self.origin[places], threat)
        standing = logits.argmax(dim=-1) == y
        margin = label_margin(logits, y)
        nearer = margin < self.margin[places]
        self.margin[places[nearer]] = margin[nearer]
        self.nearest[places[nearer]] = x[nearer]
        self.stands[places[~standing]] = False
        return standing


@torch.no_grad()
def pgd_survivors(
    model: EnergyModel,
    x: Tensor,
    y: Tensor,
    balls: Sequence[Ball],
    *,
    generator: Generator,
    steps: int,
    restarts: int,
    potential: Potential = away_from_label,
) -> Tensor:
    r"""Tell which images of a batch PGD leaves standing, clean and in balls of growing radius.

    Each radius begins with a walk from the image's nearest miss so far (of smaller radii; at first
    the image itself) and goes on with ``restarts`` walks from random starts. A walk's step is
    :math:`2.5 \epsilon / \text{steps}`. What is broken stays broken.

    References:
        Madry et al., 2018, https://arxiv.org/abs/1706.06083

    Args:
        model: the classifier, in eval mode.
        x: the clean images (B, C, H, W) in [0, 1].
        y: labels, int64 (B,).
        balls: R threat models, smallest first.
        generator: the randomness of these images.
        steps: of a walk.
        restarts: random starts for each radius.
        potential: the attacker's loss, which it descends.

    Returns:
        Whether an image stands, bool (1 + R, B); the first row is that of the clean images.

    Raises:
        Mistake: for pixels outside [0, 1], labels that are not of the model's classes, or logits
            that are not finite.
    """
    siege = Siege(still(model, "eval", x), x, y, generator)
    rows = [siege.stands.clone()]
    for number, threat in enumerate(balls):
        if threat.eps > 0:
            step = madry_step(threat.eps, steps)
            attack = PGD(threat, steps, step, potential=potential, random_start=True)
            siege.by_pgd(attack, number, restarts)
        rows.append(siege.stands.clone())
    return torch.stack(rows)


def check_allowed(x: Tensor, origin: Tensor, threat: Ball) -> None:
    """Hold an attack to its ball, up to rounding: outside it, the figure would lie.

    Args:
        x: attacked images (B, C, H, W).
        origin: the clean ones (B, C, H, W).
        threat: the ball.

    Raises:
        RuntimeError: where an image has left it, which is the attack's fault, not the user's.
    """
    norm = threat.norm(x - origin)
    if not bool((norm <= threat.eps * (1 + 1e-5) + 1e-6).all()):
        raise RuntimeError(f"an attack went {float(norm.max()):g} far in a ball of {threat.eps:g}")


def check_images(x: Tensor) -> None:
    """Refuse what is not a batch of images: a radius would mean something else.

    Args:
        x: float32 (N, C, H, W) in [0, 1], N at least 1.

    Raises:
        Mistake: for another type or shape, no image, or a pixel outside [0, 1].
    """
    if x.dtype != torch.float32 or x.dim() != 4 or not len(x):
        raise Mistake(
            "images are float32 (N, C, H, W), at least one, "
            f"not {x.dtype} of shape {tuple(x.shape)}: bytes are divided by 255 first"
        )
    check_box(x)

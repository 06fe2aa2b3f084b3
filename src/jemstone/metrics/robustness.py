"""How often a model stays right when an attacker may move every pixel a little.

References:
    Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018,
    https://arxiv.org/abs/1706.06083
    Carlini et al., "On evaluating adversarial robustness", 2019,
    https://arxiv.org/abs/1902.06705
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.functional.balls import Ball, ball
from jemstone.functional.energies import away_from_label
from jemstone.metrics.classification import check_labels, check_logits, device_of
from jemstone.nn.modes import held
from jemstone.random import Generator
from jemstone.samplers import PGD
from jemstone.types import EnergyModel

__all__ = ["robust_accuracy"]


def robust_accuracy(
    model: EnergyModel,
    images: Images,
    norm: str,
    eps_list: Sequence[float],
    *,
    generator: Generator,
    steps: int = 20,
    restarts: int = 2,
    batch_size: int = 256,
) -> list[dict[str, Any]]:
    r"""Measure the share of images that PGD does not break, for balls of growing radius.

    An image is robust only if its clean and every attacked version are right; attacked versions
    are looked at after every step. Each radius begins with a walk from the image's nearest miss
    so far (of smaller radii; at first the image itself) and goes on with ``restarts`` walks from
    random starts; a walk's step is :math:`2.5 \epsilon / \text{steps}`. What is broken stays
    broken. The draws of an image depend on the seed and its number alone.

    References:
        Madry et al., 2018, https://arxiv.org/abs/1706.06083

    Args:
        model: the classifier; it is held in eval mode.
        images: N of them; image i draws from ``generator.at(i)``.
        norm: ``linf`` or ``l2``.
        eps_list: radii in [0, 1] pixels; 0 gives the clean accuracy.
        generator: the randomness of the starts.
        steps: of a walk.
        restarts: random starts for each radius.
        batch_size: images in a pass.

    Returns:
        For each radius, smallest first: ``attack``, ``norm``, ``eps``, ``value`` (the robust
        accuracy), ``n`` and ``laws``, what any such number must fulfil. A number that breaks
        ``every_image_can_be_grey`` is too high: the model hides its gradients from the attack.

    Raises:
        Mistake: for an unknown norm, a negative radius, no step, no restart or no image, labels
            that are not of the model's classes, or logits that are not finite.
    """
    if min(steps, restarts, batch_size, len(images)) < 1:
        raise Mistake(
            "robust accuracy needs at least one step, one restart and one image in a batch"
        )
    if not all(0 <= eps < math.inf for eps in eps_list):
        raise Mistake(f"radii are finite and not negative, unlike some of {list(eps_list)}")
    balls = [ball(norm, float(eps)) for eps in sorted(set(eps_list))]
    device = device_of(model)
    clean, robust = 0, [0] * len(balls)
    for places in torch.split(torch.arange(len(images)), batch_size):
        x, y = images.take(places)
        with held(model), torch.no_grad():
            attacked = _Attacked(model, x.to(device), y.to(device), generator.at(places))
            clean += attacked.right
            for number, threat in enumerate(balls):
                attacked.siege(threat, number, steps, restarts)
                robust[number] += attacked.right
    largest_share = int(images.labels.bincount().max()) / len(images)
    rows: list[dict[str, Any]] = []
    for threat, right in zip(balls, robust, strict=True):
        value = right / len(images)
        laws = {
            "below_clean": value <= clean / len(images),
            "falls_with_eps": all(value <= row["value"] for row in rows),
        }
        if norm == "linf" and threat.eps >= 0.5:
            # Pixels lie in [0, 1], so every ball holds the image that is mid-grey all over.
            laws["every_image_can_be_grey"] = value <= largest_share
        rows.append(
            {
                "attack": f"PGD-{steps} x{restarts}",
                "norm": norm,
                "eps": threat.eps,
                "value": value,
                "n": len(images),
                "laws": laws,
            }
        )
    return rows


class _Attacked:
    """A batch under attack: which images still stand, and the nearest miss of each.

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

    @property
    def right(self) -> int:
        """How many images are right in every version seen."""
        return int(self.stands.sum())

    def siege(self, threat: Ball, number: int, steps: int, restarts: int) -> None:
        """Attack what stands: from the nearest miss, then from random starts."""
        attack = PGD(
            threat,
            steps,
            step_size=2.5 * threat.eps / steps,
            potential=away_from_label,
            random_start=True,
        )
        for restart in range(restarts + 1 if threat.eps > 0 else 0):
            (places,) = self.stands.nonzero(as_tuple=True)
            if restart == 0:
                start = self.nearest[places]
            else:
                stream = self.generator.fold(number, restart).at(places.cpu())
                start = attack.start(self.origin[places], stream)
            self.walk(attack, places, start)

    def walk(self, attack: PGD, places: Tensor, x: Tensor) -> None:
        """Walk from ``x`` (B', C, H, W), dropping an image as soon as it is broken."""
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
        """
        logits = check_logits(self.model.logits(x))
        y = self.y[places]
        if threat is None:
            check_labels(y, logits)
        else:
            _check_allowed(x, self.origin[places], threat)
        standing = logits.argmax(dim=-1) == y
        others = logits.scatter(1, y[:, None], -math.inf).amax(dim=-1)
        margin = logits.gather(1, y[:, None])[:, 0] - others
        nearer = margin < self.margin[places]
        self.margin[places[nearer]] = margin[nearer]
        self.nearest[places[nearer]] = x[nearer]
        self.stands[places[~standing]] = False
        return standing


def _check_allowed(x: Tensor, origin: Tensor, threat: Ball) -> None:
    """Raise where an attacked image has left its ball, up to rounding: the figure would lie."""
    norm = threat.norm(x - origin)
    if not bool((norm <= threat.eps * (1 + 1e-5) + 1e-6).all()):
        raise RuntimeError(f"an attack went {float(norm.max()):g} far in a ball of {threat.eps:g}")

r"""A classifier that walks an image to lower energy before it looks, and the attack it deserves.

Such a defence answers at random and hides its gradient behind the walk, so an attack that knows of
neither measures nothing. Here an attacker averages his gradient over the walk's draws (expectation
over transformation, EOT) and takes the walk's own gradient for the identity (backward pass
differentiable approximation, BPDA): the walk ends near where it began.

References:
    Athalye et al., "Obfuscated gradients give a false sense of security", 2018,
    https://arxiv.org/abs/1802.00420
    Hill et al., "Stochastic security: adversarial defense using long-run dynamics of energy-based
    models", 2021, https://arxiv.org/abs/2005.13525
    Tramer et al., "On adaptive attacks to adversarial example defenses", 2020,
    https://arxiv.org/abs/2002.08347
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.functional.balls import Ball
from jemstone.functional.energies import (
    away_from_label,
    grad_x,
    logit_energy,
    margin,
)
from jemstone.metrics.attacks import Siege, check_allowed, check_images
from jemstone.metrics.classification import check_labels, device_of
from jemstone.nn.modes import held
from jemstone.random import Generator
from jemstone.samplers import PGD, madry_step
from jemstone.types import EnergyModel, Potential, Stage

__all__ = ["LEAST_REPETITIONS", "ExpectedPGD", "Purified", "purified_survivors"]

LEAST_REPETITIONS = 15
"""Draws of the walk for each gradient; fewer leave more noise than gradient."""


class Purified:
    """Walk an image, then classify it: one draw of a defence that answers at random.

    An attack's gradient goes through :meth:`drawn` alone; :meth:`logits` refuses to give one, so
    an attack that does not know of the walk stops instead of failing silently.

    Args:
        model: the classifier, and the energy that the walk descends.
        walk: what moves images before they are classified, as ``SGLD``; it sees no label.
        generator: the randomness of the walk.
    """

    answers_at_random = True

    def __init__(self, model: EnergyModel, walk: Stage, generator: Generator) -> None:
        self.model = model
        self.walk = walk
        self.generator = generator

    def drawn(self, generator: Generator) -> Purified:
        """Return the same defence at another draw, that an attacker may look through (BPDA)."""
        return _Drawn(self.model, self.walk, generator)

    def purify(self, x: Tensor) -> Tensor:
        """Return where the walk ends, in [0, 1], (B, C, H, W)."""
        with torch.no_grad():
            return self.walk(self.model, x.detach(), None, self.generator).clamp(0.0, 1.0)

    def logits(self, x: Tensor) -> Tensor:
        """Return ``f`` of the purified images, (B, K).

        Raises:
            Mistake: where a gradient is asked for.
        """
        if x.requires_grad and torch.is_grad_enabled():
            raise Mistake(
                "a purified model answers at random, so one gradient says little of it: "
                "attack it with purified_survivors (EOT and BPDA)"
            )
        return self.model.logits(self.purify(x))

    def energy(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return ``E(x, y)``, or ``E(x)`` where no label is given, of the purified images, (B,)."""
        return logit_energy(self.logits(x), y)

    def predict(self, x: Tensor, repetitions: int) -> Tensor:
        r"""Return the mean of :math:`p(y|x)` over draws of the walk, (B, K): the decision.

        Args:
            x: images (B, C, H, W) in [0, 1].
            repetitions: draws.
        """
        with torch.no_grad():
            draws = (self.drawn(self.generator.fold(r)).logits(x) for r in range(repetitions))
            return torch.stack([logits.softmax(dim=-1) for logits in draws]).mean(dim=0)


class _Drawn(Purified):
    """A purified model at one draw: its gradient is taken where the walk ends (BPDA)."""

    def logits(self, x: Tensor) -> Tensor:
        return self.model.logits(x + (self.purify(x) - x).detach())


class ExpectedPGD(PGD):
    r"""PGD on a model that answers at random: :math:`g = \frac1R \sum_r \nabla_x U_r(x | y)`.

    References:
        Athalye et al., 2018, https://arxiv.org/abs/1802.00420

    Args:
        ball: the threat model.
        steps: how many.
        step_size: length of a step in the ball's norm, in [0, 1] pixels.
        repetitions: :math:`R`, draws for each gradient.
        options: as for :class:`PGD`.

    Raises:
        Mistake: for fewer repetitions than 15.
    """

    def __init__(
        self, ball: Ball, steps: int, step_size: float, *, repetitions: int, **options: Any
    ) -> None:
        super().__init__(ball, steps, step_size, **options)
        if repetitions < LEAST_REPETITIONS:
            raise Mistake(
                f"a model that answers at random is attacked with at least {LEAST_REPETITIONS} "
                f"draws for each gradient (EOT), not {repetitions}"
            )
        self.repetitions = repetitions

    def gradient(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, generator: Generator
    ) -> Tensor:
        assert isinstance(model, Purified)
        total = torch.zeros_like(x)
        for r in range(self.repetitions):
            total += grad_x(self.potential, model.drawn(generator.fold("draw", r)), x, y)
        return total / self.repetitions


@torch.no_grad()
def purified_survivors(
    model: Purified,
    x: Tensor,
    y: Tensor,
    threat: Ball,
    *,
    generator: Generator,
    steps: int = 20,
    repetitions: int = 16,
    potentials: Sequence[Potential] = (away_from_label, margin),
) -> Tensor:
    """Tell which images of a batch stand, with the walk and without, clean and attacked.

    The purified model decides by its mean answer over ``repetitions`` draws. First the images that
    were found for the plain model are shown to it; each potential's own attack (EOT and BPDA)
    begins at those and again at random. An image that looks broken counts as broken only if it is
    so again with fresh draws: the defence is not charged with bad luck.

    References:
        Athalye et al., 2018, https://arxiv.org/abs/1802.00420
        Hill et al., 2021, https://arxiv.org/abs/2005.13525

    Args:
        model: the defence.
        x: float32 (B, C, H, W) in [0, 1].
        y: labels, int64 (B,).
        threat: the ball.
        generator: the randomness of these images.
        steps: of each walk of the attacker.
        repetitions: draws for each gradient and for each decision, at least 15.
        potentials: the attacker's losses.

    Returns:
        Whether an image stands, bool (4, B): plain clean, plain attacked, purified clean, purified
        attacked.

    Raises:
        Mistake: for fewer repetitions, pixels outside [0, 1], or labels that are not of the
            model's classes.
    """
    check_images(x)
    device = device_of(model.model)
    x, y = x.to(device), y.to(device)
    size = madry_step(threat.eps, steps)
    attacks = [
        ExpectedPGD(
            threat, steps, size, repetitions=repetitions, potential=potential, random_start=True
        )
        for potential in potentials
    ]
    with held(model.model):
        plain = Siege(model.model, x, y, generator.fold("plain"))
        clean = plain.stands.clone()
        for number, potential in enumerate(potentials):
            attack = PGD(threat, steps, size, potential=potential, random_start=True)
            plain.by_pgd(attack, number, restarts=1)
        siege = _Siege(model, x, y, generator, repetitions)
        purified = siege.stands.clone()
        siege.look(siege.everyone, plain.nearest, threat, generator.fold("transfer"))
        for number, expected in enumerate(attacks):
            stream = generator.fold("attack", number)
            siege.walk(expected, plain.nearest, stream.fold("transfer"))
            siege.walk(expected, expected.start(x, stream), stream.fold("random"))
    return torch.stack([clean, plain.stands, purified, siege.stands])


class _Siege:
    """A purified batch under attack.

    Args:
        model: the defence.
        x: the clean images (B, C, H, W).
        y: labels, int64 (B,).
        generator: the randomness of the first look.
        repetitions: draws for each decision.
    """

    def __init__(
        self, model: Purified, x: Tensor, y: Tensor, generator: Generator, repetitions: int
    ) -> None:
        self.model = model
        self.origin = x
        self.y = y
        self.repetitions = repetitions
        self.everyone = torch.arange(len(y), device=y.device)
        self.stands = self.right(self.everyone, x, generator.fold("clean"))

    def right(self, places: Tensor, x: Tensor, stream: Generator) -> Tensor:
        """Tell which versions ``x`` of the images at ``places`` (B',) are decided right, (B',)."""
        model = self.model.drawn(stream.at(places.cpu()))
        probabilities = model.predict(x, self.repetitions)
        check_labels(self.y[places], probabilities)
        return probabilities.argmax(dim=-1) == self.y[places]

    def look(self, places: Tensor, x: Tensor, threat: Ball, stream: Generator) -> None:
        """Break the images at ``places`` (B',) whose versions ``x`` are wrong, and wrong again."""
        check_allowed(x, self.origin[places], threat)
        broken = ~self.right(places, x, stream.fold("look"))
        if bool(broken.any()):
            suspects = places[broken]
            again = self.right(suspects, x[broken], stream.fold("verify"))
            self.stands[suspects[~again]] = False

    def walk(self, attack: ExpectedPGD, x: Tensor, stream: Generator) -> None:
        """Walk what stands from ``x`` (B, C, H, W), looking after every step."""
        x = x.clone()
        for t in range(attack.steps):
            (places,) = self.stands.nonzero(as_tuple=True)
            if not len(places):
                return
            here = stream.fold(t)
            x[places] = attack.step(
                self.model, x[places], self.y[places], self.origin[places], here.at(places.cpu())
            )
            self.look(places, x[places], attack.ball, here)

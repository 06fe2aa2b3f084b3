"""Every attack on all images, batch by batch, and nothing of it done twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from jemstone.files import digest_of
from jemstone.functional.balls import Ball
from jemstone.functional.energies import away_from_label, grad_x, margin
from jemstone.metrics.attacks import pgd_survivors
from jemstone.metrics.autoattack import autoattack, parts_for
from jemstone.metrics.batches import Deal, alone
from jemstone.metrics.classification import check_labels
from jemstone.metrics.laws import Verdict, gradient_reaches_the_image
from jemstone.metrics.victim import Victim
from jemstone.random import Generator
from jemstone.types import Potential

__all__ = ["LOSSES", "AttackBench", "Standing", "digest_of_case"]

LOSSES: dict[str, Potential] = {"cross-entropy": away_from_label, "margin": margin}
"""What PGD descends."""

Standing = Mapping[float, Tensor]
"""By radius, which images stand, bool (N,)."""


class AttackBench:
    """A classifier under attack, with what is known of it.

    Args:
        victim: the classifier, in eval mode.
        images: float32 (N, C, H, W) in [0, 1].
        labels: int64 (N,).
        generator: the randomness.
        batch_size: images in a pass.
        steps: of APGD and FAB.
        queries: of Square.
        store: what is known, by name, in JSON's types; it grows. Names begin with a digest of
            images, labels and a module's weights.
        progress: hears what is done next.
        deal: who takes which batch.

    Raises:
        Mistake: for labels that are not of the classifier's classes.
    """

    def __init__(
        self,
        victim: Victim,
        images: Tensor,
        labels: Tensor,
        *,
        generator: Generator,
        batch_size: int,
        steps: int,
        queries: int,
        store: MutableMapping[str, Any],
        progress: Callable[[str], object],
        deal: Deal = alone,
    ) -> None:
        self.victim = victim
        self.images = images
        self.labels = labels
        self.generator = generator
        self.batch_size = batch_size
        self.steps = steps
        self.queries = queries
        self.store = store
        self.progress = progress
        self.deal = deal
        with torch.no_grad():
            logits = victim.logits(images[:1].to(victim.device))
        check_labels(labels, logits.expand(len(images), -1))
        self.parts = parts_for(logits.shape[1])
        self.about = digest_of_case(victim.module, images, labels)

    def clean(self) -> Tensor:
        """Return which images are right as they are, bool (N,)."""
        return self._all(lambda places: self.victim.right(*self._at(places)).cpu())

    def gradient(self, loss: str, clean: Tensor) -> Verdict:
        """Look for images that are right and have no gradient of a loss.

        Args:
            loss: of ``LOSSES``.
            clean: which images are right, bool (N,).
        """

        def silent(places: Tensor) -> Tensor:
            gradient = grad_x(LOSSES[loss], self.victim, *self._at(places))
            return (gradient.flatten(1).abs().amax(dim=1) == 0).cpu()

        return gradient_reaches_the_image(self._all(silent)[clean])

    def pgd(self, loss: str, threats: Sequence[Ball], steps: int, restarts: int) -> Standing:
        """Attack by PGD in growing balls.

        Args:
            loss: of ``LOSSES``.
            threats: smallest first.
            steps: of a walk.
            restarts: random starts at each radius.
        """
        attack = f"PGD-{steps} x{restarts} ({loss})"
        radii = " ".join(str(threat) for threat in threats)

        def attacked(places: Tensor) -> Tensor:
            first = int(places[0])
            self.progress(f"{attack}: {len(places)} images from number {first} on")
            run = partial(self._survivors, places, threats, steps, restarts, potential=LOSSES[loss])
            name = f"{attack} {radii} {self.generator.seed} {first} {len(places)}"
            return torch.tensor(self._remember(name, run)).T

        rows = self._all(attacked).T[1:]
        return {threat.eps: row for threat, row in zip(threats, rows, strict=True)}

    def square(self, threats: Sequence[Ball]) -> Standing:
        """Attack by Square alone in growing balls."""
        survivors: dict[float, Tensor] = {}
        standing: Tensor | None = None
        for threat in threats:
            standing = self._ensemble(threat, ("square",), standing)
            survivors[threat.eps] = standing
        return survivors

    def autoattack(self, threats: Sequence[Ball], black: Standing) -> tuple[Standing, Standing]:
        """Attack by AutoAttack in growing balls.

        Args:
            threats: smallest first.
            black: what Square alone left; where it is known, Square is not run again.

        Returns:
            What stands after the attacks with gradients, and after all.
        """
        white: dict[float, Tensor] = {}
        survivors: dict[float, Tensor] = {}
        standing: Tensor | None = None
        for threat in threats:
            left = self._ensemble(threat, self.parts[:-1], standing)
            if threat.eps in black:
                standing = left & black[threat.eps]
            else:
                standing = self._ensemble(threat, self.parts[-1:], left)
            white[threat.eps], survivors[threat.eps] = left, standing
        return white, survivors

    def _ensemble(self, threat: Ball, parts: Sequence[str], standing: Tensor | None) -> Tensor:
        """Return what stands after the last of the parts; what has fallen is not attacked."""
        return autoattack(
            self.victim.model,
            self.images,
            self.labels,
            threat,
            generator=self.generator,
            parts=parts,
            standing=standing,
            batch_size=self.batch_size,
            steps=self.steps,
            queries=self.queries,
            remember=self._remember,
            progress=self.progress,
            deal=self.deal,
        )[-1]

    def _survivors(
        self,
        places: Tensor,
        threats: Sequence[Ball],
        steps: int,
        restarts: int,
        potential: Potential,
    ) -> list[list[bool]]:
        survivors: list[list[bool]] = pgd_survivors(
            self.victim,
            *self._at(places),
            threats,
            generator=self.generator.fold("pgd").at(places),
            steps=steps,
            restarts=restarts,
            potential=potential,
        ).tolist()
        return survivors

    def _remember(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return what is known under the name, or compute and keep it."""
        name = f"{self.about} {name}"
        if name not in self.store:
            self.store[name] = compute()
        return self.store[name]

    def _all(self, work: Callable[[Tensor], Tensor]) -> Tensor:
        """Return what ``work`` makes of every image."""
        return self.deal(work, len(self.images), self.batch_size)

    def _at(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return images and labels, where the model is."""
        device = self.victim.device
        return self.images[places].to(device), self.labels[places].to(device)


def digest_of_case(module: nn.Module | None, images: Tensor, labels: Tensor) -> str:
    """Return 16 digits that tell weights, images and labels from any others.

    Args:
        module: the classifier; None where it is not a module, and stays unnamed.
        images: (N, C, H, W).
        labels: int64 (N,).
    """
    weights = {} if module is None else module.state_dict()
    tensors = {"images": images, "labels": labels}
    tensors |= {f"model.{name}": tensor for name, tensor in weights.items()}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return digest_of(plain)[:16]

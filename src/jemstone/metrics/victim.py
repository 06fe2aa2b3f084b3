"""A classifier as an attacker meets it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from jemstone.errors import Mistake
from jemstone.functional.energies import logit_energy
from jemstone.metrics.classification import check_logits, device_of
from jemstone.model import still
from jemstone.types import EnergyModel

__all__ = ["Classifier", "Victim"]

Classifier = EnergyModel | Callable[[Tensor], Tensor]
"""Whatever gives logits (B, K) of images (B, C, H, W) in [0, 1]."""


class Victim:
    """A classifier as an attacker meets it: finite logits, with a gradient, 0 where it has none.

    Args:
        model: an energy model, or any map from images (B, C, H, W) in [0, 1] to logits (B, K).

    Raises:
        Mistake: for a model that answers at random, as a purified one.
    """

    def __init__(self, model: Classifier) -> None:
        if getattr(model, "answers_at_random", False):
            raise Mistake(
                "this model answers at random, so one gradient says little of it: "
                "judge it with purified_survivors or judge_purification (EOT)"
            )
        self.model = model
        self.answer: Callable[[Tensor], Tensor] = getattr(model, "logits", model)  # type: ignore[arg-type]
        owner = model if isinstance(model, nn.Module) else getattr(model, "__self__", None)
        self.module = owner if isinstance(owner, nn.Module) else None
        self.device = device_of(self.module)

    def frozen(self, x: Tensor) -> Victim:
        """Return the classifier as a long attack reads it: its weights stand still meanwhile.

        Logits and their gradients at images are its own, up to rounding; what is not faster so is
        returned as it is.

        Args:
            x: images that the attack starts from (B, C, H, W).
        """
        model = still(self.model, "eval", x)
        if model is self.model:
            return self
        victim = Victim(model)
        victim.module = self.module  # whose weights name it
        return victim

    def logits(self, x: Tensor) -> Tensor:
        """Return ``f(x)``, (B, K).

        Args:
            x: images (B, C, H, W) in [0, 1].

        Raises:
            Mistake: where a logit is not finite.
        """
        logits = check_logits(self.answer(x))
        if x.requires_grad and torch.is_grad_enabled():
            # A model that rounds to integers cuts the graph; an attack must not die of that.
            logits = logits + 0.0 * x.flatten(1).sum(dim=1, keepdim=True)
        return logits

    def energy(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return ``E(x, y)``, or ``E(x)`` where no label is given, (B,).

        Args:
            x: images (B, C, H, W) in [0, 1].
            y: labels, int64 (B,).

        Raises:
            Mistake: where a logit is not finite.
        """
        return logit_energy(self.logits(x), y)

    def right(self, x: Tensor, y: Tensor) -> Tensor:
        """Tell which images are classified as labelled, bool (B,).

        Args:
            x: images (B, C, H, W) in [0, 1].
            y: labels, int64 (B,).

        Raises:
            Mistake: where a logit is not finite.
        """
        with torch.no_grad():
            return self.logits(x).argmax(dim=-1) == y

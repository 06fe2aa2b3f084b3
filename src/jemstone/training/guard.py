"""When a run is in trouble, when it is lost, and what to try next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from torch import Tensor

__all__ = ["Diverged", "Guard", "Guarding", "Watch"]

_LIMITED = ("loss", "likelihood")
_GAP, _CROSS_ENTROPIES = "likelihood", ("ce", "adversarial_ce")
_FLAT = 1e-7
_RECIPE_ADVICE = (
    "try a lower optimisation.learning_rate, more walk steps (walk.steps), or "
    "optimisation.clip_norm"
)


class Diverged(RuntimeError):
    """Training left the realm of finite or sane numbers.

    Args:
        step: at which.
        reason: which number, and how large.
        retries: how often the run went back before.
        advice: what to try next.
    """

    def __init__(
        self, step: int, reason: str, retries: int = 0, advice: str = _RECIPE_ADVICE
    ) -> None:
        spent = f" after going back {retries} times" if retries else ""
        super().__init__(f"diverged at step {step}{spent}: {reason}; {advice}")
        self.step = step
        self.reason = reason


@dataclass(frozen=True)
class Guarding:
    """Which signs of trouble send a run back to its last good checkpoint, and how often.

    A run that shows none of them is the same run, bit for bit, whatever stands here.

    Args:
        retries: how often it may go back; 0 stops it at once, and at optimisation.loss_limit alone.
        lower: what the learning rate is multiplied by each time.
        every: steps between two looks at chains and input gradient; medians are over as many.
        gap: largest sane median of the gap between the energies of data and samples.
        cross_entropy: largest sane median of a cross-entropy; that of guessing is 1.
        input_gradient: largest sane norm of the energy's gradient on an image.
        saturated: largest sane share of the chains' pixels not inside (0, 1): of as many as the
            data has inside, so that the black ground of digits does not count.
        dead: largest sane share of chains that are one grey all over.
    """

    retries: int = 0
    lower: float = 0.3
    every: int = 20
    gap: float = 10.0
    cross_entropy: float = 2.0
    input_gradient: float = 1000.0
    saturated: float = 0.5
    dead: float = 0.5


@dataclass
class Watch:
    """What the guard remembers of a run.

    Args:
        retries: how often the run went back.
        factor: what its learning rate is multiplied by.
        window: the newest values of the terms whose medians are watched.
    """

    retries: int = 0
    factor: float = 1.0
    window: dict[str, list[float]] = field(default_factory=dict)

    def remember(self, numbers: Mapping[str, float], length: int) -> None:
        """Take in the terms of a step, and forget those of ``length`` steps ago."""
        for name in (_GAP, *_CROSS_ENTROPIES):
            if name in numbers:
                self.window[name] = [*self.window.get(name, []), numbers[name]][-length:]

    def record(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, ready for JSON."""
        return {"retries": self.retries, "factor": self.factor, "window": self.window}


@dataclass(frozen=True)
class Guard:
    """Watch the loss terms of every step and, where a run may go back, more than them.

    Args:
        limit: the largest sane loss, or gap between the energies of data and samples. The energies
            themselves have no natural level, and a gradient's norm is clipped: those need only
            be finite. JEM and JEM++ stop at 1e8.
        rules: the signs of trouble that send a run back.
    """

    limit: float = 1e8
    rules: Guarding = field(default_factory=Guarding)

    def check(self, step: int, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the terms as numbers.

        Raises:
            Diverged: where one is not finite, or beyond the limit.
        """
        numbers = {name: float(term) for name, term in terms.items()}
        for name, number in numbers.items():
            too_large = name in _LIMITED and abs(number) > self.limit
            if not math.isfinite(number) or too_large:
                raise Diverged(step, f"{name} is {number:.4g}")
        return numbers

    def look(self, step: int, watch: Watch, probe: Mapping[str, float], classes: int) -> None:
        """Look for the signs of trouble that come before numbers explode.

        Args:
            step: of the run.
            watch: what is remembered of its terms.
            probe: of :func:`~jemstone.training.probe.probe`.
            classes: K.

        Raises:
            Diverged: naming the first sign.
        """
        for sign in self._signs(watch, probe, classes):
            raise Diverged(step, sign)

    def _signs(self, watch: Watch, probe: Mapping[str, float], classes: int) -> list[str]:
        rules, signs = self.rules, []
        medians = {
            name: median(values)
            for name, values in watch.window.items()
            if len(values) >= rules.every
        }
        if abs(medians.get(_GAP, 0.0)) > rules.gap:
            signs.append(
                f"the median gap between the energies of data and samples is {medians[_GAP]:.4g}"
            )
        guessing = math.log(classes) if classes > 1 else math.inf
        for name in _CROSS_ENTROPIES:
            if medians.get(name, 0.0) > rules.cross_entropy * guessing:
                times = medians[name] / guessing
                signs.append(f"the median {name} is {times:.3g} times that of guessing")
        gradient = probe["input_grad_norm"]
        if not gradient <= rules.input_gradient:
            signs.append(f"the gradient on images has norm {gradient:.4g}")
        if gradient < _FLAT:
            signs.append(f"the energy is flat: its gradient on images has norm {gradient:.4g}")
        inside = 1.0 - probe.get("saturated_data", 0.0)
        if 1.0 - probe.get("saturated_chains", 0.0) < (1.0 - rules.saturated) * inside:
            share = probe["saturated_chains"]
            signs.append(f"{share:.0%} of the chains' pixels are saturated")
        if probe.get("dead_chains", 0.0) > rules.dead:
            signs.append(f"{probe['dead_chains']:.0%} of the chains are dead")
        return signs

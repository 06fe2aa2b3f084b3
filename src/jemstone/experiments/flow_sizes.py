"""How large a flow is, and how long it learns: by budget, and by what the images are like."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from jemstone.baselines.flows import FLOWS, Architecture
from jemstone.data import DataSet
from jemstone.errors import unknown
from jemstone.recipes import BUDGETS
from jemstone.training import Optimisation

__all__ = ["FlowSize", "size_for"]

_LARGEST_DIGIT = 16  # pixels a side


@dataclass(frozen=True)
class FlowSize:
    """A flow, and how it is trained.

    Args:
        architecture: of the flow.
        optimisation: Adam, by steps or epochs.
    """

    architecture: Architecture
    optimisation: Optimisation

    def resolved(self, images: int) -> FlowSize:
        """Return the same with the number of its steps.

        Args:
            images: that there are to learn.
        """
        batches = images // min(self.optimisation.batch_size, images)
        steps = self.optimisation.steps_in_all(batches)
        optimisation = dataclasses.replace(self.optimisation, steps=steps)
        return dataclasses.replace(self, optimisation=optimisation)


def _minutes(
    levels: int, blocks: int, hidden: int, batch_size: int, rate: float, **steps: int
) -> dict[str, FlowSize]:
    """Size a flow for minutes on one core; a cosine stands for the published moving averages."""
    return {
        budget: FlowSize(
            Architecture(levels, blocks, hidden),
            Optimisation(
                optimiser="adam",
                learning_rate=rate,
                batch_size=batch_size,
                steps=count,
                warmup=50,
                schedule="cosine",
                clip_norm=1.0,
                loss_limit=1e4,
            ),
        )
        for budget, count in steps.items()
    }


# On one core: digits 1.5 and 3 minutes; small is 6 minutes for grey images, 10 for colour.
_SIZES = {
    ("residual-flow", "digits"): _minutes(2, 4, 64, 64, 1e-2, quick=600, small=1200),
    ("residual-flow", "grey"): _minutes(2, 3, 32, 32, 5e-3, quick=350, small=1500),
    ("residual-flow", "colour"): _minutes(2, 3, 32, 32, 5e-3, quick=250, small=1600),
    ("glow", "digits"): _minutes(2, 8, 64, 64, 3e-3, quick=1200, small=2400),
    ("glow", "grey"): _minutes(2, 8, 64, 64, 5e-3, quick=280, small=1100),
    ("glow", "colour"): _minutes(3, 8, 64, 64, 5e-3, quick=160, small=1050),
}

# Sizes, rates, batches and clips are those of the published codes; Glow's names no last epoch.
_PAPER = {
    "residual-flow": FlowSize(
        Architecture(levels=3, blocks=16, hidden=512, squeezed=False),
        Optimisation(
            optimiser="adam",
            learning_rate=1e-3,
            batch_size=64,
            epochs=1000,
            warmup=1000,
            schedule="constant",
            clip_norm=1.0,
        ),
    ),
    "glow": FlowSize(
        Architecture(levels=3, blocks=32, hidden=512),
        Optimisation(
            optimiser="adam",
            learning_rate=1e-3,
            batch_size=512,
            epochs=1000,
            warmup=1000,
            schedule="constant",
        ),
    ),
}


def size_for(name: str, data: DataSet, budget: str = "small") -> FlowSize:
    """Return the size of a flow.

    Args:
        name: of the flow.
        data: to learn.
        budget: ``quick``, ``small`` or ``paper``.

    Raises:
        Mistake: for an unknown name or budget.
    """
    if name not in FLOWS:
        raise unknown("flow", name, FLOWS)
    if budget not in BUDGETS:
        raise unknown("budget", budget, BUDGETS)
    if budget == "paper":
        return _PAPER[name]
    channels, *sides = data.shape
    like = "digits" if max(sides) < _LARGEST_DIGIT else "grey" if channels == 1 else "colour"
    return _SIZES[name, like][budget]

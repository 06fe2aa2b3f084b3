"""What came of judging, over the seeds: means, what they cost, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch

from jemstone.experiments.figures import FIGURES
from jemstone.experiments.reproduction.cells import Cells
from jemstone.experiments.reproduction.costs import COSTS
from jemstone.experiments.reproduction.networks import Trained
from jemstone.functional.confidence import standard_error

__all__ = ["Measured", "mean", "summary"]


@dataclass(frozen=True)
class Measured:
    """What has been trained, and what came of judging it.

    Args:
        trained: the networks.
        cells: their figures.
    """

    trained: Sequence[Trained]
    cells: Cells

    def of(self, network: str) -> list[Trained]:
        """Return a network's runs, by seed."""
        return sorted((t for t in self.trained if t.network == network), key=lambda t: t.seed)

    def by_seed(self, network: str, what: str, figure: str) -> dict[int, float]:
        """Return the values of a figure, where there are any.

        Robust accuracy has none where a law is broken, at whatever seed: the attack does not see
        what the network hides, so all of its numbers may be too high.
        """
        if figure == "robust_accuracy" and not all(self.laws(network).values()):
            return {}
        found = {
            seed: float(cell[figure])
            for (of, asked, seed), cell in self.cells.items()
            if (of, asked) == (network, what) and cell.get(figure) is not None
        }
        return dict(sorted(found.items()))

    def values(self, network: str, what: str, figure: str) -> list[float]:
        """Return the values of a figure in the order of the seeds, where there are any."""
        return list(self.by_seed(network, what, figure).values())

    def figures(self, network: str, what: str) -> dict[str, Any]:
        """Return every figure of some samples, over the seeds."""
        names = (*FIGURES, "n")
        found = {name: summary(self.values(network, what, name)) for name in names}
        count = found.pop("n")
        return {**found, "n": None if count is None else round(count["mean"])}

    def cost(self, network: str, what: str) -> dict[str, Any]:
        """Return what it costs to draw an image, in the mean over the seeds."""
        return {name: mean(self.values(network, what, name)) for name in COSTS}

    def laws(self, network: str) -> dict[str, bool]:
        """Return which laws of robust accuracy were asked, and whether every seed keeps them."""
        held: dict[str, bool] = {}
        for (of, _, _), cell in self.cells.items():
            for law, passed in cell.get("laws", {}).items() if of == network else ():
                held[law] = held.get(law, True) and passed
        return held

    @property
    def commits(self) -> list[str]:
        """The commits that cells were judged at: a folder may be gone on with for long."""
        return sorted({cell["commit"] for cell in self.cells.values() if cell.get("commit")})

    def errors(self, network: str, what: str) -> dict[str, str]:
        """Return why seeds that were trained could not be judged, by seed."""
        found = {
            seed: str(cell["error"])
            for (of, asked, seed), cell in self.cells.items()
            if (of, asked) == (network, what) and "error" in cell
        }
        return {str(seed): found[seed] for seed in sorted(found)}

    def failures(self, network: str, what: str) -> dict[int, str]:
        """Return why seeds have no figures, by seed."""
        found = {t.seed: t.error or t.status for t in self.of(network) if t.status != "done"}
        found |= {int(seed): error for seed, error in self.errors(network, what).items()}
        return dict(sorted(found.items()))

    def seeds(self, network: str, what: str) -> dict[str, Any]:
        """Return which seeds some figures are of, and why others have none, ready for JSON."""
        failures = self.failures(network, what)
        judged = {seed for of, asked, seed in self.cells if (of, asked) == (network, what)}
        return {
            "seeds": sorted(judged - failures.keys()),
            "failed_seeds": {str(seed): error for seed, error in failures.items()},
        }


def summary(values: Sequence[float]) -> dict[str, Any] | None:
    """Return mean, standard error and every value; None where there is none.

    >>> summary([1.0, 3.0])
    {'mean': 2.0, 'se': 1.0, 'values': [1.0, 3.0]}
    """
    if not values:
        return None
    error = standard_error(torch.tensor(values).double()) if len(values) > 1 else None
    return {"mean": fmean(values), "se": error, "values": list(values)}


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None

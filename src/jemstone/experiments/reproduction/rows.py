"""The paper's six rows, the networks they are of, and the matrix behind them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jemstone.experiments.flow_runs import FLOWS

__all__ = ["CONTROLS", "MATRIX", "NAMES", "NETWORKS", "ROWS", "UNCONDITIONAL", "Row", "networks_of"]

NAMES = {
    "jempp": "JEM++",
    "robust-classifier": "robust classifier",
    "robust-jem": "Robust JEM",
    "residual-flow": "Residual Flow",
    "glow": "Glow",
    "classifier": "classifier",
}
"""What people call each network."""

CONTROLS = {
    "combined-clamped": "combined, of full contrast and clamped",
    "attack-paper": "attack, in the paper's radius",
    "combined-paper": "combined, in the paper's radius and at its contrast",
}
"""Samplers beside the matrix: what each is.

The first is what the claim on reduced contrast is held to. The others paint as far as the paper
does, five times the training radius, where a budget paints nearer.
"""


@dataclass(frozen=True)
class Row:
    """A row of the paper's table.

    Args:
        id: as options and JSON call it.
        model: in words.
        network: that is trained for it.
        sampler: that draws its images, from scratch.
        paper: the paper's figures on CIFAR-10, Inception score and FID: *paper*, not ours.
    """

    id: str
    model: str
    network: str
    sampler: str
    paper: tuple[float, float]


ROWS = {
    row.id: row
    for row in (
        Row("residual-flow", "Residual Flow", "residual-flow", "flow", (3.69, 46.40)),
        Row("glow", "Glow", "glow", "flow", (3.92, 48.90)),
        Row("jempp", "JEM++", "jempp", "energy", (7.54, 48.25)),
        Row(
            "robust-classifier",
            "single robust classifier",
            "robust-classifier",
            "attack",
            (7.05, 85.12),
        ),
        Row("robust-jem-energy", "Robust JEM, energy", "robust-jem", "energy", (8.71, 41.17)),
        Row("robust-jem-combined", "Robust JEM, combined", "robust-jem", "combined", (9.28, 47.92)),
    )
}
"""By id, in the paper's order: arXiv 2207.08950, table 1."""

NETWORKS = ("classifier", "robust-classifier", *FLOWS[::-1], "jempp", "robust-jem")
"""What is trained, cheap first. The plain classifier has no row: it is the yardstick of claims."""

_CONDITIONAL = ("attack", "energy", "combined")

MATRIX = {
    "robust-classifier": (*_CONDITIONAL, "attack-paper"),
    "jempp": (*_CONDITIONAL, "unconditional", "buffer", "attack-paper", "combined-paper"),
    "robust-jem": (*_CONDITIONAL, "unconditional", "buffer", *CONTROLS),
    **dict.fromkeys(FLOWS, ("flow",)),
}
"""By network: what draws its images, each a cell; controls last."""

UNCONDITIONAL = ("jempp", "robust-jem-energy")
"""Rows with a second line: walks on E(x)."""


def networks_of(rows: Iterable[str]) -> tuple[str, ...]:
    """Return what has to be trained for some rows, cheap first.

    >>> networks_of(["glow"]), networks_of(["jempp"])
    (('glow',), ('classifier', 'jempp'))

    Args:
        rows: their ids.
    """
    wanted = {ROWS[row].network for row in rows}
    if wanted - set(FLOWS):
        wanted.add("classifier")
    return tuple(name for name in NETWORKS if name in wanted)

"""Every network under every sampler, as shaded tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jemstone.report.reproduction.table import is_done
from jemstone.report.reproduction.words import NAMES, SAMPLERS, mean_of, named, score

__all__ = [
    "PANELS",
    "PAPERS",
    "best_cell",
    "cell_told",
    "controls_told",
    "failures_told",
    "matrix_markdown",
    "panels",
]

PAPERS = {
    ("jempp", "energy"),
    ("robust-classifier", "attack"),
    ("robust-jem", "energy"),
    ("robust-jem", "combined"),
}
"""The cells that the paper's table has."""

PANELS = {
    "fid": ("FID", "lower is better", False),
    "is": ("IS", "higher is better", False),
    "agreement": ("Agreement, in %", "higher is better", True),
    "recall": ("Recall", "higher is more diverse", False),
    "coverage": ("Coverage", "higher is more diverse", False),
}
_DEEPEST = 0.5  # of the shade, so that ink stays readable on it


def panels(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lay the matrix out, a panel for each figure: networks down, samplers across.

    A cell is shaded by its place between the worst and the best of its panel (by the logarithm
    for FID); those that no sampler reached are None.

    Args:
        result: of a reproduction.
    """
    cells = {(cell["network"], cell["sampler"]): cell for cell in result.get("matrix") or ()}
    networks = list(dict.fromkeys(network for network, _ in cells))
    found = {sampler for _, sampler in cells}
    samplers = [name for name in SAMPLERS if name in found]
    samplers += [name for _, name in cells if name not in samplers]
    samplers = list(dict.fromkeys(samplers))
    return [
        {
            "name": name,
            "title": title,
            "better": better,
            "samplers": [named(SAMPLERS, sampler) for sampler in samplers],
            "rows": [
                (
                    named(NAMES, network),
                    [_shaded(cells, (network, sampler), name, percent) for sampler in samplers],
                )
                for network in networks
            ],
        }
        for name, (title, better, percent) in PANELS.items()
        if cells
    ]


def _shaded(
    cells: Mapping[tuple[str, str], Any], place: tuple[str, str], name: str, percent: bool
) -> dict[str, Any] | None:
    cell = cells.get(place)
    if cell is None:
        return None
    values = [_height(other, name) for other in cells.values()]
    known = [value for value in values if value is not None]
    own = _height(cell, name)
    shade = 0.0
    if own is not None and max(known) > min(known):
        shade = _DEEPEST * (own - min(known)) / (max(known) - min(known))
    text, _, error = score(cell.get(name), percent).removesuffix(" %").partition(" ± ")
    return {
        "text": text if is_done(cell) else cell["status"],
        "error": error,
        "shade": f"{shade:.3f}",
        "papers": place in PAPERS,
        "error_line": cell.get("error"),
    }


def _height(cell: Mapping[str, Any], name: str) -> float | None:
    """Return what is larger for a better cell."""
    value = mean_of(cell.get(name))
    if value is None or name != "fid":
        return value
    return -math.log(max(value, 1e-6))


def best_cell(result: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return the best cell of a figure among samples from scratch that are given their class.

    Args:
        result: of a reproduction.
        name: the figure's.
    """
    drawn = [
        (height, cell)
        for cell in result.get("matrix") or ()
        if cell.get("origin", "scratch") == "scratch"
        and cell["sampler"] in ("attack", "energy", "combined")
        and (height := _height(cell, name)) is not None
    ]
    return max(drawn, key=lambda pair: pair[0])[1] if drawn else None


def matrix_markdown(result: Mapping[str, Any]) -> str:
    """Write the matrix and its controls to paste: a line for each network under each sampler.

    The cells that are the paper's rows are in bold.

    Args:
        result: of a reproduction, as ``table1.json`` has it.
    """
    heads = " | ".join(("network", "sampler", *(title for title, _, _ in PANELS.values())))
    written = [f"| {heads} |", "|---|---|" + "---:|" * len(PANELS)]
    for cell in (*(result.get("matrix") or ()), *(result.get("controls") or ())):
        place = (cell["network"], cell["sampler"])
        names = [named(NAMES, place[0]), named(SAMPLERS, place[1])]
        if place in PAPERS:
            names = [f"**{name}**" for name in names]
        found = [score(cell.get(name), percent) for name, (_, _, percent) in PANELS.items()]
        if not is_done(cell):
            found[0] = cell["status"]
        cells = (figure.removesuffix(" %") for figure in found)
        written.append(f"| {' | '.join((*names, *cells))} |")
    return "\n".join(written)


def controls_told(result: Mapping[str, Any]) -> list[str]:
    """Say what came of the samplers beside the matrix, a line each.

    Args:
        result: of a reproduction.
    """
    return [
        f"{cell_told(cell)}: FID {score(cell.get('fid'))}, IS {score(cell.get('is'))}"
        for cell in result.get("controls") or ()
    ]


def failures_told(result: Mapping[str, Any]) -> list[str]:
    """Say why cells have no figures, or not those of every seed; a line for each reason.

    Args:
        result: of a reproduction.
    """
    told: dict[tuple[str, str], list[str]] = {}
    for cell in (*(result.get("matrix") or ()), *(result.get("controls") or ())):
        seeds = (cell.get("failed_seeds") or {}).items()
        why = "; ".join(f"seed {seed}, {error}" for seed, error in seeds) or cell.get("error")
        if why:
            samplers = told.setdefault((named(NAMES, cell["network"]), why), [])
            samplers.append(named(SAMPLERS, cell["sampler"]))
    return [f"{name} under {', '.join(of)}: {why}" for (name, why), of in told.items()]


def cell_told(cell: Mapping[str, Any]) -> str:
    """Name a cell."""
    return f"{named(NAMES, cell['network'])} under {named(SAMPLERS, cell['sampler'])}"

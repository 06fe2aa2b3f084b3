"""The plots of an evaluation, each as an SVG that stands alone, and how any page draws its own."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["COLOURS", "Plot", "drawn", "plots"]

Result = Mapping[str, Any]
Plot = Callable[[Any, Result], bool]
"""Draws on a figure; False where the result has nothing for it."""

# A hundredth of a point is finer than any screen; matplotlib's six decimals are half of a file.
_PATH, _FURTHER = re.compile(rb' d="[^"]*"'), re.compile(rb"(\.\d\d)\d+")

COLOURS = ("#0b5fa5", "#c2410c", "#15803d", "#7e22ce", "#525252", "#b91c1c")


def plots(result: Result) -> dict[str, str]:
    """Draw what a result has figures for.

    Args:
        result: of a suite.

    Returns:
        By title, data addresses of SVGs.
    """
    return drawn(PLOTS, result)


def drawn(
    plots: Mapping[str, Plot], result: Result, inches: tuple[float, float] = (5.2, 3.1)
) -> dict[str, str]:
    """Draw those of some plots that a result has figures for.

    Nothing is drawn behind them, so that a page in the dark can invert them.

    Args:
        plots: by title.
        result: what they draw.
        inches: width and height of each.

    Returns:
        By title, data addresses of SVGs.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    found = {}
    style: dict[Any, Any] = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "legend.facecolor": "white",
        "legend.edgecolor": "none",
        "svg.hashsalt": "jemstone",
    }
    with rc_context(style):
        for title, draw in plots.items():
            figure = Figure(figsize=inches, layout="constrained")
            FigureCanvasSVG(figure)
            if not draw(figure, result):
                continue
            file = io.BytesIO()
            figure.savefig(file, format="svg", metadata={"Date": None})
            svg = _PATH.sub(lambda path: _FURTHER.sub(rb"\1", path[0]), file.getvalue())
            found[title] = "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
    return found


def _robustness(norm: str) -> Plot:
    def draw(figure: Any, result: Result) -> bool:
        rows = [row for row in result.get("robust_accuracy", ()) if row["norm"] == norm]
        if not rows:
            return False
        axis = figure.subplots()
        for number, attack in enumerate(dict.fromkeys(row["attack"] for row in rows)):
            own = [row for row in rows if row["attack"] == attack]
            own.sort(key=lambda row: row["eps"])
            _line(
                axis,
                [row["eps"] for row in own],
                [row["value"] for row in own],
                attack,
                number,
                [row.get("interval") for row in own],
            )
        axis.axhline(result["accuracy"], color="black", linewidth=0.8, linestyle=":")
        label = "radius of the ball, in [0, 1] pixels (dotted: no attack)"
        axis.set(xlabel=label, ylabel="robust accuracy", ylim=(0, 1.02))
        axis.legend(fontsize=7)
        return True

    return draw


def _reliability(figure: Any, result: Result) -> bool:
    bins = result.get("calibration", {}).get("reliability")
    if not bins:
        return False
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":")
    diagrams = {"as it answers": bins}
    scaling = result["calibration"].get("temperature_scaling")
    if scaling:
        label = f"at temperature {scaling['temperature']:.2f} (the other half)"
        diagrams[label] = scaling["after"]["reliability"]
    for number, (label, own) in enumerate(diagrams.items()):
        places, values = [b["confidence"] for b in own], [b["accuracy"] for b in own]
        # A bin of two images says little: its mark is as small.
        sizes = [4 + 150 * b["n"] / sum(b["n"] for b in own) for b in own]
        axis.scatter(places, values, sizes, alpha=0.7, color=COLOURS[number], label=label)
    label = "confidence (marks as large as the share of images)"
    axis.set(xlabel=label, ylabel="accuracy", xlim=(0, 1.04), ylim=(-0.04, 1.04))
    for handle in axis.legend(fontsize=7).legend_handles:
        handle.set_sizes([20])
    return True


def _detection(figure: Any, result: Result) -> bool:
    rows = [row for row in result.get("ood", ()) if row["score"] == "log p(x)"]
    if not rows:
        return False
    axis = figure.subplots()
    names = list(dict.fromkeys(row["data"] for row in rows))
    kinds = [("clean", [r for r in rows if r["attack"] is None])]
    kinds.append(("attacked", [r for r in rows if r["attack"] is not None]))
    for number, (kind, own) in enumerate(kinds):
        for key, marker, label in (("auroc", "o", kind), ("baseline_auroc", "x", f"{kind}, plain")):
            points = [(names.index(r["data"]), r[key]) for r in own if r[key] is not None]
            if points:
                places, values = zip(*points, strict=True)
                axis.scatter(values, places, marker=marker, color=COLOURS[number], label=label)
    axis.axvline(0.5, color="black", linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="AUROC of log p(x)", xlim=(-0.03, 1.03))
    axis.legend(fontsize=7)
    return True


def _sample_count(figure: Any, result: Result) -> bool:
    rows = [row for row in result.get("generation", ()) if row.get("curve")]
    if not rows:
        return False
    axis = figure.subplots()
    for number, row in enumerate(rows):
        curve = row["curve"]
        label = f"{row['sampler']} ({row['origin']})"
        _line(axis, curve["n"], curve["fid"], label, number)
        if row["fid_infinity"] is not None:
            axis.axhline(
                row["fid_infinity"],
                color=COLOURS[number % len(COLOURS)],
                linewidth=0.8,
                linestyle=":",
            )
    axis.set(xlabel="samples (dotted: infinitely many)", ylabel="FID")
    _logarithmic(axis)
    axis.legend(fontsize=7)
    return True


def _walk(name: str, label: str) -> Plot:
    def draw(figure: Any, result: Result) -> bool:
        walks = result.get("walks", ())
        if not walks:
            return False
        axis = figure.subplots()
        for number, walk in enumerate(walks):
            # From where a walk explodes it has no figures.
            rows = [row for row in walk["rows"] if None not in (row[name], row["energy_high"])]
            band = None
            if name == "energy":
                band = [[row["energy_low"], row["energy_high"]] for row in rows]
            steps = [row["step"] for row in rows]
            _line(axis, steps, [row[name] for row in rows], walk["sampler"], number, band)
            colour = COLOURS[number]
            axis.axvline(walk["walk"]["steps"], color=colour, linewidth=0.8, linestyle=":")
            if walk["data"].get(name) is not None:
                axis.axhline(walk["data"][name], color=colour, linewidth=0.8, linestyle="--")
        own = sorted({walk["walk"]["steps"] for walk in walks})
        axis.set_xscale("symlog", linthresh=max(1, own[0]))
        ticks = sorted({0, *own, *(walk["rows"][-1]["step"] for walk in walks)})
        axis.set_xticks(ticks, [str(step) for step in ticks])
        axis.set_xticks([], minor=True)
        if name == "fid":
            _logarithmic(axis)
        axis.set(xlabel="steps (dotted: the sampler's own number)", ylabel=label)
        axis.legend(fontsize=7)
        return True

    return draw


def _logarithmic(axis: Any) -> None:
    """Make the upright axis logarithmic, its ticks plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _line(
    axis: Any,
    x: list[float],
    y: list[float],
    label: str,
    number: int,
    band: list[Any] | None = None,
) -> None:
    """Draw a line through points, and a band around it where every point has one."""
    colour = COLOURS[number % len(COLOURS)]
    axis.plot(x, y, marker="o", markersize=3, linewidth=1.2, color=colour, label=label)
    if band and all(edge is not None for edge in band):
        low, high = zip(*band, strict=True)
        axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


PLOTS: dict[str, Plot] = {
    "Robust accuracy in Linf balls": _robustness("linf"),
    "Robust accuracy in L2 balls": _robustness("l2"),
    "Reliability": _reliability,
    "Unknown inputs": _detection,
    "FID by the number of samples": _sample_count,
    "FID along the walk": _walk("fid", "FID"),
    "Energy along the walk (dashed: held-out images)": _walk("energy", "energy, in nats"),
    "Pixels at the bounds (dashed: held-out images)": _walk("at_bounds", "share of pixels"),
    "Distance from the walk's start": _walk("displacement", "RMS, in [0, 1] pixels"),
}
"""By title, in the page's order."""

"""What a reproduction's studies look like: training and ablations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from textwrap import fill
from typing import Any

from jemstone.report.plots import COLOURS, Plot, drawn
from jemstone.report.reproduction.words import NAMES, mean_of, named, setting

__all__ = ["ablation_plots", "known", "training_plots"]

_CURVES = {
    "Loss": (("loss", "-"),),
    "Accuracy on training batches (dashed: under attack)": (
        ("accuracy", "-"),
        ("robust_accuracy", "--"),
    ),
    "Energy of data (dashed: of samples)": (("energy_data", "-"), ("energy_samples", "--")),
    "Norm of the input gradient": (("input_grad_norm", "-"),),
}
_STUDIED = {
    "FID": ("fid",),
    "IS": ("is",),
    "Accuracy (x: under attack)": ("accuracy", "robust_accuracy"),
}
_SMALL = (3.7, 2.4)  # inches
_WORDS = 20  # letters of a line beside a plot


def training_plots(result: Mapping[str, Any]) -> dict[str, str]:
    """Draw how the networks trained, a colour for each and a line for each seed.

    Args:
        result: of a reproduction.

    Returns:
        By title, data addresses of SVGs.
    """
    return drawn({title: _training(curves) for title, curves in _CURVES.items()}, result)


def _training(curves: tuple[tuple[str, str], ...]) -> Plot:
    def draw(figure: Any, result: Mapping[str, Any]) -> bool:
        axis, told = figure.subplots(), set()
        runs = result.get("training") or ()
        networks = list(dict.fromkeys(run["network"] for run in runs))
        for run in runs:
            for name, style in curves:
                values = run["curves"].get(name)
                if not values or all(value is None for value in values):
                    continue
                network = run["network"]
                axis.plot(
                    run["curves"]["step"],
                    known(values),
                    style,
                    color=COLOURS[networks.index(network) % len(COLOURS)],
                    linewidth=1.1,
                    alpha=0.75,
                    label=None if network in told else named(NAMES, network),
                )
                told.add(network)
        axis.set(xlabel="steps")
        if curves[0][0] == "input_grad_norm":
            axis.set_yscale("log")
        if told:
            axis.legend(fontsize=7)
        return bool(told)

    return draw


def ablation_plots(ablation: Mapping[str, Any]) -> dict[str, str]:
    """Draw FID, IS and accuracy against a setting, a line for each sampler; dotted: the default.

    Args:
        ablation: one of a reproduction's.

    Returns:
        By title, data addresses of SVGs.
    """
    return drawn({title: _ablation(names) for title, names in _STUDIED.items()}, ablation, _SMALL)


def _ablation(names: tuple[str, ...]) -> Plot:
    def draw(figure: Any, ablation: Mapping[str, Any]) -> bool:
        rows = ablation["rows"]
        places = list(dict.fromkeys(setting(row["value"]) for row in rows))
        # Numbers are joined by lines; words stand in no order, and have more room at the left.
        ordered = all(type(row["value"]) in (int, float) for row in rows)
        samplers = list(dict.fromkeys(row.get("sampler") for row in rows))
        axis, any_point = figure.subplots(), False
        for sampler, name in product(samplers, names):
            points = [
                (places.index(setting(row["value"])), value)
                for row in rows
                if row.get("sampler") == sampler and (value := mean_of(row.get(name))) is not None
            ]
            if points:
                settings, values = zip(*points, strict=True)
                axis.plot(
                    *((settings, values) if ordered else (values, settings)),
                    linestyle="-" if ordered else "none",
                    marker="ox"[names.index(name)],
                    markersize=4,
                    linewidth=1.2,
                    color=COLOURS[samplers.index(sampler) % len(COLOURS)],
                    label=sampler if name == names[0] else None,
                )
                any_point = True
        if setting(ablation.get("default")) in places:
            default = places.index(setting(ablation.get("default")))
            line = axis.axvline if ordered else axis.axhline
            line(default, color="black", linewidth=0.8, linestyle=":")
        if ordered:
            axis.set_xticks(range(len(places)), places)
            axis.set_xlim(-0.4, len(places) - 0.6)
        else:
            told = [fill(place, _WORDS) for place in places]
            axis.set_yticks(range(len(places)), told, fontsize=8)
            axis.set_ylim(len(places) - 0.5, -0.5)
            axis.locator_params(axis="x", nbins=4)
        if any_point and any(samplers):
            axis.legend(fontsize=7)
        return any_point and len(places) > 1

    return draw


def known(values: Any) -> list[float]:
    """Leave a gap where a value is not known."""
    return [math.nan if value is None else float(value) for value in values]

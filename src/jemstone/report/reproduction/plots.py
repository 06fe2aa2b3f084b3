"""What a reproduction's studies look like: training, ablations, stability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

from jemstone.report.plots import COLOURS, Plot, drawn
from jemstone.report.reproduction.words import NETWORKS, mean_of, named, setting

__all__ = ["ablation_plots", "stability_plots", "training_plots"]

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
                    _known(values),
                    style,
                    color=COLOURS[networks.index(network) % len(COLOURS)],
                    linewidth=1.1,
                    alpha=0.75,
                    label=None if network in told else named(NETWORKS, network),
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
        # Numbers are joined by lines; words stand in no order.
        ordered = all(type(row["value"]) in (int, float) for row in rows)
        samplers = list(dict.fromkeys(row.get("sampler") for row in rows))
        axis, any_point = figure.subplots(), False
        for sampler, name in product(samplers, names):
            known = [
                (places.index(setting(row["value"])), value)
                for row in rows
                if row.get("sampler") == sampler and (value := mean_of(row.get(name))) is not None
            ]
            if known:
                axis.plot(
                    *zip(*known, strict=True),
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
            axis.axvline(default, color="black", linewidth=0.8, linestyle=":")
        axis.set_xticks(range(len(places)), places)
        axis.set_xlim(-0.4, len(places) - 0.6)
        if any_point and any(samplers):
            axis.legend(fontsize=7)
        return any_point and len(places) > 1

    return draw


def stability_plots(stability: Mapping[str, Any]) -> dict[str, str]:
    """Draw how often, when and how trainings failed, a colour for each recipe.

    Args:
        stability: a reproduction's.

    Returns:
        By title, data addresses of SVGs.
    """
    return drawn(STABILITY, stability)


def _rates(figure: Any, stability: Mapping[str, Any]) -> bool:
    axis, recipes = figure.subplots(), stability["recipes"]
    rates = list(dict.fromkeys(rate for r in recipes.values() for rate in r["by_learning_rate"]))
    rates.sort(key=float)
    for number, (name, recipe) in enumerate(recipes.items()):
        colour = COLOURS[number % len(COLOURS)]
        for rate, found in recipe["by_learning_rate"].items():
            x = rates.index(rate) + 0.16 * (number - (len(recipes) - 1) / 2)
            y = found["failed"] / max(1, found["n"])
            low, high = found["interval"]
            axis.plot([x, x], [low, high], color=colour, linewidth=2.5, alpha=0.35)
            first = rate == next(iter(recipe["by_learning_rate"]))
            label = named(NETWORKS, name) if first else None
            axis.plot([x], [y], "o", color=colour, markersize=5, label=label)
    axis.set_xticks(range(len(rates)), rates)
    axis.set_xlim(-0.5, len(rates) - 0.5)
    axis.set(xlabel="learning rate", ylabel="share of runs that fail", ylim=(-0.03, 1.03))
    if rates:
        axis.legend(fontsize=7)
    return bool(rates)


def _survival(figure: Any, stability: Mapping[str, Any]) -> bool:
    axis, any_run = figure.subplots(), False
    for number, (name, recipe) in enumerate(stability["recipes"].items()):
        runs = recipe.get("runs") or ()
        if not runs:
            continue
        any_run, curve = True, recipe["failure_curve"]
        axis.step(
            curve["step"],
            [1 - share for share in curve["share"]],
            where="post",
            color=COLOURS[number % len(COLOURS)],
            label=f"{named(NETWORKS, name)} ({len(runs)} runs)",
        )
    axis.set(xlabel="steps", ylabel="share of runs still training", ylim=(-0.03, 1.03))
    if any_run:
        axis.legend(fontsize=7)
    return any_run


def _courses(curve: str, unit: str, scale: str) -> Plot:
    def draw(figure: Any, stability: Mapping[str, Any]) -> bool:
        axis, any_run = figure.subplots(), False
        for number, (name, recipe) in enumerate(stability["recipes"].items()):
            colour = COLOURS[number % len(COLOURS)]
            told = False
            for run in recipe.get("runs") or ():
                values = (run.get("curves") or {}).get(curve)
                if not values:
                    continue
                steps, y = run["curves"]["step"], _known(values)
                label = None if told else named(NETWORKS, name)
                axis.plot(steps, y, color=colour, linewidth=0.8, alpha=0.6, label=label)
                known = [point for point in zip(steps, y, strict=True) if math.isfinite(point[1])]
                if run["failed"] and known:
                    axis.plot(*known[-1], "x", color=colour, markersize=5)
                any_run = told = True
        axis.set(xlabel="steps (x: where a run failed)", ylabel=unit)
        axis.set_yscale(scale)
        if any_run:
            axis.legend(fontsize=7)
        return any_run

    return draw


def _known(values: Any) -> list[float]:
    """Leave a gap where a value is not known."""
    return [math.nan if value is None else float(value) for value in values]


STABILITY: dict[str, Plot] = {
    "Failures by learning rate (bars: Wilson's 95 %)": _rates,
    "Runs still training": _survival,
    "Norm of the input gradient, run by run": _courses(
        "input_grad_norm", "norm of the input gradient", "log"
    ),
    "Energy gap between samples and data, run by run": _courses("energy_gap", "nats", "symlog"),
}
"""By title, in the page's order."""

"""What many short trainings look like: which failed, when, and how they came to it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jemstone.report.plots import COLOURS, Plot, drawn
from jemstone.report.reproduction.plots import known
from jemstone.report.reproduction.words import NAMES, named, setting

__all__ = ["stability_plots"]

_FARTHEST = 10.0  # nats: a gap beyond is one of a run that is lost
Course = tuple[bool, list[float], list[float]]
"""Of a run: whether it failed, its steps, and a curve at these."""
Panel = tuple[Any, dict[str, list[Course]]]
"""Axes, and what is drawn on them, by recipe."""


def stability_plots(stability: Mapping[str, Any]) -> dict[str, str]:
    """Draw how often, when and how trainings failed, a colour for each recipe.

    Args:
        stability: a reproduction's.

    Returns:
        By title, data addresses of SVGs.
    """
    return drawn(STABILITY, stability)


def _rates(figure: Any, stability: Mapping[str, Any]) -> bool:
    recipes = stability["recipes"]
    rates = list(dict.fromkeys(rate for r in recipes.values() for rate in r["by_learning_rate"]))
    if not rates:
        return False
    axis = figure.subplots()
    rates.sort(key=float)
    for number, (name, recipe) in enumerate(recipes.items()):
        colour = COLOURS[number % len(COLOURS)]
        for rate, found in recipe["by_learning_rate"].items():
            x = rates.index(rate) + 0.16 * (number - (len(recipes) - 1) / 2)
            y = found["failed"] / max(1, found["n"])
            low, high = found["interval"]
            axis.plot([x, x], [low, high], color=colour, linewidth=2.5, alpha=0.35)
            first = rate == next(iter(recipe["by_learning_rate"]))
            label = named(NAMES, name) if first else None
            axis.plot([x], [y], "o", color=colour, markersize=5, label=label)
    axis.set_xticks(range(len(rates)), rates)
    axis.set_xlim(-0.5, len(rates) - 0.5)
    axis.set(xlabel="learning rate", ylabel="share of runs that fail", ylim=(-0.03, 1.03))
    axis.legend(fontsize=7)
    return True


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
            label=f"{named(NAMES, name)} ({len(runs)} runs)",
        )
    axis.set(xlabel="steps", ylabel="share of runs still training", ylim=(-0.03, 1.03))
    if any_run:
        axis.legend(fontsize=7)
    return any_run


def _bands(curve: str, unit: str) -> Plot:
    """Draw the median of a curve over runs that still train, and where 90 % of them lie."""

    def draw(figure: Any, stability: Mapping[str, Any]) -> bool:
        panels, any_run = list(_by_rate(figure, stability, curve)), False
        for axis, courses in panels:
            for number, (name, runs) in enumerate(courses.items()):
                colour, at = COLOURS[number % len(COLOURS)], defaultdict(list)
                for _, steps, values in runs:
                    for step, value in zip(steps, values, strict=True):
                        if math.isfinite(value):
                            at[step].append(value)
                if not at:
                    continue
                steps = sorted(at)
                low, middle, high = zip(
                    *(np.quantile(at[step], (0.05, 0.5, 0.95)) for step in steps), strict=True
                )
                axis.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
                axis.plot(steps, middle, color=colour, linewidth=1.4, label=named(NAMES, name))
                any_run = True
            axis.set_yscale("log")
        if whole := _lasting(panels):
            figure.axes[0].set_ylim(top=10 * max(whole))  # a lost run's may have 14 digits
        return any_run and _told(figure, unit, "steps")

    return draw


def _courses(curve: str, unit: str) -> Plot:
    """Draw a curve of every run, as far as runs that last go: triangles say who leaves."""

    def draw(figure: Any, stability: Mapping[str, Any]) -> bool:
        panels = list(_by_rate(figure, stability, curve))
        whole = [abs(value) for value in _lasting(panels)]
        top = min(_FARTHEST, 1.5 * max(whole, default=0.0)) or _FARTHEST
        for axis, courses in panels:
            for number, (name, runs) in enumerate(courses.items()):
                colour = COLOURS[number % len(COLOURS)]
                for place, (failed, steps, values) in enumerate(runs):
                    label = None if place else named(NAMES, name)
                    axis.plot(steps, values, color=colour, linewidth=0.7, alpha=0.5, label=label)
                    end = _end(failed, steps, values, top)
                    if end is not None:
                        axis.plot(*end[:2], end[2], color=colour, markersize=4, clip_on=False)
            axis.set_ylim(-top, top)
        return bool(panels) and _told(figure, unit, "steps (x: failed; ▲▼: and out of the picture)")

    return draw


def _end(
    failed: bool, steps: list[float], values: list[float], top: float
) -> tuple[float, float, str] | None:
    """Return where a run leaves the picture or fails in it, and the mark that says so."""
    points = [point for point in zip(steps, values, strict=True) if math.isfinite(point[1])]
    for step, value in points:
        if abs(value) > top:
            return step, math.copysign(top, value), "^" if value > 0 else "v"
    return (*points[-1], "x") if failed and points else None


def _by_rate(figure: Any, stability: Mapping[str, Any], curve: str) -> Iterator[Panel]:
    """Yield a panel for each learning rate."""
    runs = [
        (run["learning_rate"], name, (run["failed"], run["curves"]["step"], known(values)))
        for name, recipe in stability["recipes"].items()
        for run in recipe.get("runs") or ()
        if (values := (run.get("curves") or {}).get(curve))
    ]
    rates = sorted({rate for rate, _, _ in runs})
    if not rates:
        return
    axes = figure.subplots(1, len(rates), sharex=True, sharey=True, squeeze=False)[0]
    for axis, rate in zip(axes, rates, strict=True):
        axis.set_title(f"rate {setting(rate)}", fontsize=8)
        courses: dict[str, list[Course]] = {name: [] for name in stability["recipes"]}
        for own, name, course in runs:
            if own == rate:
                courses[name].append(course)
        yield axis, courses


def _lasting(panels: Sequence[Panel]) -> list[float]:
    """Return all values of the runs that did not fail."""
    runs = [run for _, courses in panels for own in courses.values() for run in own]
    return [value for failed, _, y in runs for value in y if not failed and math.isfinite(value)]


def _told(figure: Any, unit: str, steps: str) -> bool:
    """Name the axes that all panels share, and their colours once."""
    figure.supxlabel(steps, fontsize=9)
    figure.axes[0].set_ylabel(unit)
    figure.axes[0].legend(fontsize=7)
    return True


STABILITY: dict[str, Plot] = {
    "Failures by learning rate (bars: Wilson's 95 %)": _rates,
    "Runs still training": _survival,
    "Norm of the input gradient: median, and 90 % of the runs that still train": _bands(
        "input_grad_norm", "norm of the input gradient"
    ),
    "Energy gap between samples and data, run by run": _courses("energy_gap", "nats"),
}
"""By title, in the page's order."""

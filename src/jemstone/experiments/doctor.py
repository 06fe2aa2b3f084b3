"""What is wrong with a run, by its metrics, and which knob to turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from jemstone.metrics import learnt_at
from jemstone.recipes import Recipe

__all__ = ["Finding", "examine", "judged_from"]

_GAP = 3.0
_EXCESS, _DEAD, _OUTLIERS = 0.3, 0.1, 0.1
_DRIFT = 0.15
_FLAT = 1e-3
_STEEP, _GROWTH = 100.0, 10.0
_SOON = 200


@dataclass(frozen=True)
class Finding:
    """One sickness of a run.

    Args:
        name: of the sickness.
        evidence: the figures that show it.
        knob: which field of the recipe to turn, and which way.
    """

    name: str
    evidence: str
    knob: str


@dataclass(frozen=True)
class _Chart:
    """A run's figures, as the examinations read them."""

    metrics: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    recipe: Recipe
    environment: Mapping[str, Any]
    classes: int

    @property
    def step(self) -> int:
        return int(self.metrics[-1]["step"]) if self.metrics else 0

    def values(self, name: str) -> list[float]:
        """Return a metric, line by line; what could not be written as a number is left out."""
        found = (line.get(name) for line in self.metrics)
        return [float(value) for value in found if value is not None]

    def late(self, name: str) -> float | None:
        """Return a metric's median over the last quarter of the run; None where it is absent."""
        values = self.values(name)
        return median(values[-max(1, len(values) // 4) :]) if values else None

    def early(self, name: str) -> float | None:
        """Return a metric's median over the second quarter of the run, the first being warm-up."""
        values = self.values(name)
        quarter = len(values) // 4
        return median(values[quarter : 2 * quarter]) if quarter else None


def examine(
    metrics: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    environment: Mapping[str, Any],
    classes: int,
) -> list[Finding]:
    """Name what is wrong with a run, the gravest first.

    Args:
        metrics: the lines of ``metrics.jsonl`` that are metrics.
        events: those that are events.
        recipe: of the run.
        environment: of the run, as ``environment.json``.
        classes: K.

    Returns:
        The findings; none where nothing is wrong.
    """
    chart = _Chart(metrics, events, recipe, environment, classes)
    found = (examination(chart) for examination in _EXAMINATIONS)
    return [finding for finding in found if finding is not None]


def judged_from(recipe: Recipe) -> int:
    """Return the step from which a run can be judged: before it, most sicknesses do not show.

    Args:
        recipe: of the run.
    """
    return max(_SOON, 2 * recipe.optimisation.warmup)


def _divergence(chart: _Chart) -> Finding | None:
    back = [event for event in chart.events if "to" in event]
    ends = [event for event in chart.events if event.get("event") == "diverged"]
    if not (back or ends):
        return None
    last = (ends or back)[-1]
    times = {0: "", 1: "went back once; "}.get(len(back), f"went back {len(back)} times; ")
    rate = chart.recipe.optimisation.learning_rate
    if back:
        rate *= back[-1]["learning_rate_factor"]
    name = "divergence" if ends else "divergence, mended by going back"
    knobs = [f"optimisation.learning_rate: {rate if not ends else rate / 3:.2g} or less"]
    if chart.recipe.optimisation.clip_norm is None:
        knobs.append("optimisation.clip_norm: 1")
    if ends and chart.recipe.guard.retries == 0:
        knobs.append("guard.retries: 4")
    if chart.environment.get("bf16"):
        knobs.append("--precision fp32")
    verb = "stopped" if ends else "last"
    return Finding(
        name, f"{times}{verb} at step {last['step']}: {last['reason']}", "; ".join(knobs)
    )


def _steep(chart: _Chart) -> Finding | None:
    late, early = chart.late("input_grad_norm"), chart.early("input_grad_norm")
    if late is None or early is None or late < _STEEP or late < _GROWTH * early:
        return None
    return Finding(
        "exploding input gradient",
        f"input_grad_norm rose from {early:.3g} to {late:.3g}",
        "optimisation.learning_rate down, or optimisation.weight_decay up",
    )


def _saturated(chart: _Chart) -> Finding | None:
    chains, data = chart.late("saturated_chains"), chart.late("saturated_data") or 0.0
    if chains is None or 1.0 - chains > (1.0 - _EXCESS) * (1.0 - data):
        return None
    clip = "" if chart.recipe.walk.clip is not None else ", or walk.clip on"
    return Finding(
        "saturated chains",
        f"{chains:.0%} of the chains' pixels are not inside (0, 1), {data:.0%} of the data's",
        f"walk.step_size or walk.steps down{clip}; chains.reinit up",
    )


def _dead(chart: _Chart) -> Finding | None:
    share = chart.late("dead_chains")
    if share is None or share < _DEAD:
        return None
    return Finding(
        "dead chains",
        f"{share:.0%} of the chains are one grey all over",
        f"chains.reinit up from {chart.recipe.chains.reinit:g}; walk.noise above 0",
    )


def _outliers(chart: _Chart) -> Finding | None:
    share = chart.late("outlier_chains")
    if share is None or share < _OUTLIERS:
        return None
    return Finding(
        "outlier chains",
        f"the energy of {share:.0%} of the chains is far from the others'",
        f"chains.reinit up from {chart.recipe.chains.reinit:g}; walk.clamp on, or walk.clip lower",
    )


def _gap(chart: _Chart) -> Finding | None:
    gap = chart.late("likelihood")
    if gap is None or abs(gap) < _GAP:
        return None
    if gap > 0:
        return Finding(
            "energy gap above zero",
            f"E(data) - E(samples) is {gap:.3g}: chains find lower energies than the data has",
            "optimisation.learning_rate or weights.likelihood down; "
            "walk.steps or walk.step_size down, if the samples are noise",
        )
    return Finding(
        "energy gap below zero",
        f"E(data) - E(samples) is {gap:.3g}: chains do not come down to the data's energies",
        "walk.steps or walk.step_size up; chains.reinit down",
    )


def _drift(chart: _Chart) -> Finding | None:
    if chart.recipe.network.norm != "batch":
        return None
    trained, judged = chart.late("accuracy"), chart.late("accuracy_eval")
    attacked = chart.late("robust_accuracy")
    if trained is None or judged is None:
        return None
    if chart.recipe.weights.cross_entropy and trained - judged > _DRIFT:
        shown = (
            f"accuracy {trained:.0%} by the batch's statistics, {judged:.0%} by the running ones"
        )
    elif attacked is not None and attacked - judged > _DRIFT:
        shown = f"accuracy {attacked:.0%} under attack by the batch's statistics, {judged:.0%} "
        shown += "without one by the running ones"
    elif _torn(chart):
        gap, seen = chart.late("likelihood"), chart.late("energy_gap")
        shown = f"energy gap {gap:.3g} by the batch's statistics, {seen:.3g} by the running ones"
    else:
        return None
    return Finding(
        "batch-norm drift", shown, "network.norm: group or none; or walk.mode, attack.mode: batch"
    )


def _torn(chart: _Chart) -> bool:
    """Tell whether batch and running statistics see two different gaps."""
    gap, seen = chart.late("likelihood"), chart.late("energy_gap")
    return gap is not None and seen is not None and abs(seen - gap) > max(_GAP, 3 * abs(gap))


def _masking(chart: _Chart) -> Finding | None:
    robust, accuracy = chart.late("robust_accuracy"), chart.late("accuracy_eval")
    gradient = chart.late("input_grad_norm")
    if accuracy is None or gradient is None or chart.step < _SOON:
        return None
    learnt = accuracy > learnt_at(chart.classes) and chart.recipe.weights.adversarial > 0
    if not learnt or robust is None or robust < accuracy - 0.01 or gradient > _FLAT:
        return None
    return Finding(
        "gradient masking",
        f"attacks do no harm (accuracy {accuracy:.0%} without, {robust:.0%} with) where the "
        f"gradient on images is {gradient:.2g}",
        "attack.random_start: true; attack.steps up; judge by `jemstone evaluate`, whose attacks "
        "begin anew",
    )


def _unlearnt(chart: _Chart) -> Finding | None:
    accuracy, gradient = chart.late("accuracy_eval"), chart.late("input_grad_norm")
    if accuracy is None or chart.step < judged_from(chart.recipe):
        return None
    if accuracy > learnt_at(chart.classes):
        return None
    flat = gradient is not None and gradient < _FLAT
    shown = f"; the gradient on images is {gradient:.2g}" if flat else ""
    return Finding(
        "a classifier that has not learnt",
        f"accuracy {accuracy:.0%} at step {chart.step}, where guessing gives "
        f"{1.0 / chart.classes:.0%}{shown}",
        "optimisation.learning_rate up, or optimisation.warmup down"
        if not chart.events and not flat
        else "optimisation.learning_rate down; weights.likelihood down",
    )


def _lost_number(chart: _Chart) -> Finding | None:
    if not chart.metrics:
        return None
    newest = chart.metrics[-1]
    lost = [name for name, value in newest.items() if value is None or value != value]
    lost += [n for n, v in newest.items() if isinstance(v, float) and math.isinf(v)]
    if not lost:
        return None
    return Finding(
        "numbers that are not finite",
        f"at step {chart.step}: {', '.join(lost)}",
        "optimisation.learning_rate down; optimisation.clip_norm: 1",
    )


_EXAMINATIONS: tuple[Callable[[_Chart], Finding | None], ...] = (
    _divergence,
    _lost_number,
    _steep,
    _gap,
    _saturated,
    _dead,
    _outliers,
    _drift,
    _masking,
    _unlearnt,
)

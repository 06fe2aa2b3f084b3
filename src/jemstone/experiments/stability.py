"""Does adversarial training make JEM training more stable? The same short runs, with and without.

Each recipe trains over the same seeds and learning rates and may not go back when it is in
trouble, so that a run that is lost counts as lost.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from jemstone._version import __version__
from jemstone.data import DataSet, fingerprint
from jemstone.errors import Mistake
from jemstone.experiments.begin import begin
from jemstone.experiments.runs import Run
from jemstone.experiments.store import Shelf
from jemstone.files import finite
from jemstone.functional.confidence import wilson_interval
from jemstone.metrics import agreement, learnt_at, predictions
from jemstone.recipes import Recipe, changed, of_length, recipe_for
from jemstone.training import Device, Diverged, RunFolder

__all__ = ["RECIPES", "short_recipe", "stability"]

RECIPES = ("jempp", "robust-jem")
_CURVES = ("input_grad_norm", "energy_gap", "loss")
_CHAINS = 500
_SHORT = {
    "network.width": 1,
    "optimisation.batch_size": 32,
    "optimisation.warmup": 20,
    "optimisation.schedule": "constant",  # the rate that is asked for, to the end
    "optimisation.clip_norm": None,  # JEM++ has none, and a clip hides what fails
    "chains.size": _CHAINS,
    "guard.retries": 0,
    "ramp": 0,
}


def short_recipe(
    name: str,
    data: str,
    *,
    learning_rate: float,
    steps: int,
    norm: str = "none",
    fields: Mapping[str, Any] | None = None,
) -> Recipe:
    """Return a recipe at the size of these runs: the quick budget, smaller, and not guarded.

    Args:
        name: of the recipe.
        data: name of the data set.
        learning_rate: after 20 steps of warm-up.
        steps: of training.
        norm: of the network; batch, the papers' own, walks on batch statistics as they do.
        fields: more of the recipe's, by dotted path; they go before what is said here.
    """
    sized = {
        **_SHORT,
        "network.norm": norm,
        "walk.mode": "batch" if norm == "batch" else "eval",
        "optimisation.learning_rate": learning_rate,
    }
    return changed(of_length(recipe_for(name, data, "quick"), steps), sized | dict(fields or {}))


def stability(
    data: DataSet,
    *,
    folder: Path,
    seeds: Sequence[int] = range(20),
    learning_rates: Sequence[float] = (0.05, 0.1, 0.15),
    steps: int = 300,
    norm: str = "none",
    fields: Mapping[str, Any] | None = None,
    least: float | None = None,
    recipes: Collection[str] = RECIPES,
    source: str | None = None,
    root: str | Path | None = None,
    resize: int | None = None,
    device: Device | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Count the runs that fail, over the same seeds and learning rates for every recipe.

    A run is kept as it is done, in a file of its own, so that a study goes on run by run.

    Args:
        data: to train on.
        folder: of the study.
        seeds: of each recipe at each rate.
        learning_rates: the papers' is 0.1.
        steps: of a run.
        norm: of the network.
        fields: more of the recipes, by dotted path, alike for all.
        least: accuracy on held-out images under which a run ended useless; by default
            :func:`jemstone.metrics.learnt_at`.
        recipes: to compare.
        source: what the data is loaded by; its name by default.
        root: where the data lies.
        resize: height and width that its images were fitted into, if they were.
        device: where to train; by default as a run chooses.
        progress: hears what is trained next.

    Returns:
        ``recipes``: for each ``runs`` (``seed``, ``learning_rate``, ``failed``, ``why``, ``step``,
        ``final_accuracy``, ``curves``), ``n``, ``failed``, ``failure_rate``, its 95 % ``interval``
        (Wilson), ``by_learning_rate``, and ``failure_curve``, the share of runs that had failed by
        each step. Beside them ``steps``, ``norm``, ``seeds``, ``learning_rates``, ``changed`` and
        ``failure_is``; ready for JSON.
    """
    if least is None:
        least = learnt_at(len(data.classes))
    # A chain of each class at least.
    fields = {"chains.size": max(_CHAINS, len(data.classes)), **(fields or {})}
    cells = [(name, rate, seed) for seed in seeds for rate in learning_rates for name in recipes]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in recipes}
    shelves = {name: _shelf(folder, name, data, steps, norm, fields, device) for name in recipes}
    for number, (name, rate, seed) in enumerate(cells):
        shelf, key = shelves[name], f"{rate:g} {seed}"
        if key not in shelf:
            progress(
                f"stability, run {number + 1} of {len(cells)}: {name}, learning rate {rate:g}, "
                f"seed {seed}"
            )
            recipe = short_recipe(
                name, data.name, learning_rate=rate, steps=steps, norm=norm, fields=fields
            )
            path = folder / "running" / f"{name}-{rate:g}-{seed}"
            # A run takes seconds: one that was interrupted begins again.
            shutil.rmtree(path, ignore_errors=True)
            run = begin(
                path,
                recipe,
                data,
                seed=seed,
                source=source,
                root=root,
                resize=resize,
                device=device,
            )
            shelf[key] = finite({"seed": seed, "learning_rate": rate, **_trained(run, data)})
            shutil.rmtree(path)
        found[name].append(_judged(shelf[key], least))
    return {
        "recipes": {name: _counted(runs, steps) for name, runs in found.items()},
        "steps": steps,
        "norm": norm,
        "seeds": list(seeds),
        "learning_rates": list(learning_rates),
        "changed": {**_SHORT, **fields},
        "failure_is": "a loss, or a gap between the energies of data and samples, that is not "
        "finite or beyond optimisation.loss_limit, with no going back; or, at the last step, an "
        f"accuracy on held-out images below {least:g}",
    }


def _shelf(
    folder: Path,
    name: str,
    data: DataSet,
    steps: int,
    norm: str,
    fields: Mapping[str, Any],
    device: Device | None,
) -> Shelf:
    """Return what is kept of a recipe's runs, under a digest of all that they depend on."""
    recipe = short_recipe(name, data.name, learning_rate=1, steps=steps, norm=norm, fields=fields)
    parts = [str(recipe), fingerprint(data), __version__, str(device)]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return Shelf(folder / "runs" / name, digest)


def _trained(run: Run, data: DataSet) -> dict[str, Any]:
    """Train a run, and tell how it ended and what it was like on the way."""
    ended: dict[str, Any] = {"diverged": None, "step": None, "final_accuracy": None}
    try:
        run.train(data)
        ended["final_accuracy"] = _accuracy(run, data)
    except Diverged as diverged:
        ended |= {"diverged": diverged.reason, "step": diverged.step}
    rows = list(RunFolder(run.path).metrics())
    curves = {name: [row.get(name) for row in rows] for name in _CURVES}
    return {**ended, "curves": {"step": [row["step"] for row in rows], **curves}}


def _accuracy(run: Run, data: DataSet) -> float:
    """Return the accuracy on held-out images.

    Raises:
        Diverged: where the last step of training broke the weights.
    """
    try:
        logits = predictions(run.model(), data.test)
    except Mistake as broken:
        raise Diverged(run.steps, str(broken)) from broken
    return agreement(logits, data.test.labels)


def _judged(run: Mapping[str, Any], least: float) -> dict[str, Any]:
    """Say whether a run failed, and why."""
    kept = {name: value for name, value in run.items() if name != "diverged"}
    accuracy, why = run["final_accuracy"], run["diverged"]
    if why is None and not accuracy >= least:
        why = f"held-out accuracy {accuracy:.3f}"
    return {**kept, "failed": why is not None, "why": why}


def _counted(runs: Sequence[Mapping[str, Any]], steps: int) -> dict[str, Any]:
    """Count the failures, in all and by learning rate, and when they came."""
    rates = sorted({run["learning_rate"] for run in runs})
    by_rate = {
        f"{rate:g}": _share([run for run in runs if run["learning_rate"] == rate]) for rate in rates
    }
    # What ended useless had failed when it was looked at: at its last step.
    ends = sorted(steps if run["step"] is None else run["step"] for run in runs if run["failed"])
    curve = {
        "step": [0, *ends, steps],
        "share": [number / len(runs) for number in (*range(len(ends) + 1), len(ends))],
    }
    return {"runs": runs, **_share(runs), "by_learning_rate": by_rate, "failure_curve": curve}


def _share(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    n, failed = len(runs), sum(run["failed"] for run in runs)
    interval = list(wilson_interval(failed, n))
    return {"n": n, "failed": failed, "failure_rate": failed / n, "interval": interval}

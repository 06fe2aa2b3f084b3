"""Put the table together, whole, from the cells."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from jemstone.errors import Mistake
from jemstone.experiments.provenance import source_commit, versions
from jemstone.experiments.reproduction.cells import REFERENCES
from jemstone.experiments.reproduction.claims import judge_claims
from jemstone.experiments.reproduction.measured import Measured, mean, summary
from jemstone.experiments.reproduction.networks import Trained
from jemstone.experiments.reproduction.rows import CONTROLS, MATRIX, ROWS, UNCONDITIONAL, Row
from jemstone.experiments.reproduction.work import Work
from jemstone.experiments.sight import Eyes
from jemstone.recipes import to_yaml
from jemstone.training import RunFolder

__all__ = ["table"]

_CURVES = ("loss", "accuracy", "robust_accuracy", "energy_data", "energy_samples")
_POINTS = 100
_GRADIENTS = ("class_mean_alignment_log_p", "margin_alignment", "flat")


def table(
    work: Work,
    measured: Measured,
    eyes: Eyes,
    ablations: Sequence[Mapping[str, Any]] | None = None,
    stability: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the contract's mapping, ready for JSON.

    Args:
        work: where it was measured.
        measured: the networks and their cells.
        eyes: the judge.
        ablations: what the alternatives to the recipe's settings gave; None where not asked for.
        stability: how many short runs failed; None where not asked for.
    """
    plan, told = work.plan, eyes.told
    asked = [(n, s) for n in plan.networks for s in MATRIX.get(n, ())]
    return {
        "command": plan.command,
        "commit": source_commit(),
        "judged_at": measured.commits,
        "data": work.data.name,
        "classes": list(work.data.classes),
        "budget": plan.budget,
        "seeds": list(plan.seeds),
        "samples": plan.count,
        "held_out": len(work.data.test),
        "features": told["name"],
        "judge": told,
        "reference_is": eyes.best_score,
        "environment": {
            **versions(),
            "device": work.training.name,
            "bf16": work.training.bf16,
            "judged": str(work.judging),
        },
        "rows": [_row(ROWS[row], measured) for row in plan.rows],
        "references": [
            {
                "id": id,
                "model": words,
                "failed_seeds": measured.errors("data", id),
                **measured.figures("data", id),
            }
            for id, words in REFERENCES.items()
        ],
        "matrix": _cells([of for of in asked if of[1] not in CONTROLS], measured),
        "controls": _cells([of for of in asked if of[1] in CONTROLS], measured),
        "claims": judge_claims(measured.by_seed, stability),
        "gradients": [
            {
                "network": network,
                "failed_seeds": measured.errors(network, "gradients"),
                **{
                    name: summary(measured.values(network, "gradients", name))
                    for name in _GRADIENTS
                },
            }
            for network in plan.networks
            if measured.values(network, "gradients", "flat")
            or measured.errors(network, "gradients")
        ],
        "networks": [_network(network, measured) for network in plan.networks],
        "ablations": ablations,
        "stability": stability,
        "training": [
            {
                "network": one.network,
                "seed": one.seed,
                "status": one.status,
                "curves": _curves(path),
            }
            for one in measured.trained
            if (path := work.run(one.network, one.seed)).is_dir()
        ],
        "recipes": {
            network: _recipe(done[0])
            for network in plan.networks
            if (done := [t for t in measured.of(network) if t.status == "done"])
        },
    }


def _row(row: Row, measured: Measured) -> dict[str, Any]:
    """Return a row of the paper's table."""
    runs, seeds = measured.of(row.network), measured.seeds(row.network, row.sampler)
    done = [t for t in runs if t.seed in seeds["seeds"]]
    status = "done" if done else _worst(runs)
    cost = measured.cost(row.network, row.sampler)
    peaks = [cost["peak_bytes"], mean(t.peak for t in done)]
    return {
        "id": row.id,
        "model": row.model,
        "network": row.network,
        "sampler": row.sampler,
        "status": status,
        "error": None if done else next(iter(seeds["failed_seeds"].values()), None),
        **seeds,
        **measured.figures(row.network, row.sampler),
        **_classified(row.network, measured),
        "bits_per_dim": summary(measured.values(row.network, row.sampler, "bits_per_dim")),
        "bits_estimator": next((t.flow.estimator for t in done if t.flow is not None), None),
        "cost": {
            "train_seconds": mean(t.seconds for t in done),
            "train_steps": mean(t.steps for t in done),
            **cost,
            "peak_bytes": max((peak for peak in peaks if peak is not None), default=None),
        },
        "unconditional": {
            **measured.figures(row.network, "unconditional"),
            "cost": measured.cost(row.network, "unconditional"),
        }
        if row.id in UNCONDITIONAL and measured.values(row.network, "unconditional", "fid")
        else None,
        "paper": dict(zip(("is", "fid"), row.paper, strict=True)),
    }


def _worst(runs: Sequence[Trained]) -> str:
    """Name what became of a row that has no seed."""
    found = {t.status for t in runs}
    return next((s for s in ("diverged", "failed", "skipped") if s in found), "failed")


def _classified(network: str, measured: Measured) -> dict[str, Any]:
    """Return how well a network classifies, clean and attacked."""
    attacks = {
        cell["attack"]
        for (of, asked, _), cell in measured.cells.items()
        if (of, asked) == (network, "classification") and "attack" in cell
    }
    return {
        "accuracy": summary(measured.values(network, "classification", "accuracy")),
        "robust_accuracy": summary(measured.values(network, "classification", "robust_accuracy")),
        "robust_attack": next(iter(attacks), None),
        "laws": measured.laws(network),
        "classification_failed": measured.errors(network, "classification"),
    }


def _cells(asked: Sequence[tuple[str, str]], measured: Measured) -> list[dict[str, Any]]:
    """Return cells of the matrix, or controls, by network and sampler."""
    return [cell for asking in asked if (cell := _cell(*asking, measured)) is not None]


def _cell(network: str, sampler: str, measured: Measured) -> dict[str, Any] | None:
    """Return a cell of the matrix; None where it was not asked for, as an adopted run's buffer."""
    figures = measured.figures(network, sampler)
    seeds = measured.seeds(network, sampler)
    if figures["n"] is None and not seeds["failed_seeds"]:
        return None
    return {
        "network": network,
        "sampler": sampler,
        "origin": "buffer" if sampler == "buffer" else "scratch",
        "status": "done" if figures["n"] is not None else _worst(measured.of(network)),
        "error": None if figures["n"] is not None else next(iter(seeds["failed_seeds"].values())),
        **seeds,
        **figures,
        "cost": measured.cost(network, sampler),
    }


def _network(network: str, measured: Measured) -> dict[str, Any]:
    """Return what became of a network, by seed."""
    runs = measured.of(network)
    return {
        "network": network,
        "status": "done" if any(t.status == "done" for t in runs) else _worst(runs),
        "runs": [
            {
                "seed": t.seed,
                "status": t.status,
                "error": t.error,
                "steps": t.steps,
                "seconds": t.seconds,
                "adopted": t.run.environment.get("adopted") if t.run is not None else None,
            }
            for t in runs
        ],
        **_classified(network, measured),
    }


def _recipe(one: Trained) -> str:
    """Return what a network was trained by, as YAML."""
    if one.run is not None:
        return to_yaml(one.run.recipe)
    import yaml

    assert one.flow is not None
    size = dataclasses.asdict(one.flow.size)
    return yaml.safe_dump(json.loads(json.dumps(size)), sort_keys=False)  # tuples as lists


def _curves(path: Path) -> dict[str, list[Any]]:
    """Return a run's metrics, thinned; those that it does not have are left out."""
    try:
        lines = list(RunFolder(path).metrics())
    except Mistake:  # a damaged file, which may be why the run has failed
        lines = []
    places = sorted({round(k) for k in torch.linspace(0, len(lines) - 1, _POINTS).tolist()})
    thinned = [lines[place] for place in places] if lines else []
    names = [
        name for name in (*_CURVES, "input_grad_norm") if any(name in line for line in thinned)
    ]
    return {name: [line.get(name) for line in thinned] for name in ("step", *names)}

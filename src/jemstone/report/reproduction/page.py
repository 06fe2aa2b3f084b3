"""A reproduction as one page that needs no other file, and no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from jemstone.report.figure import png_address, tiled
from jemstone.report.rendering import render
from jemstone.report.reproduction.headline import findings, headline
from jemstone.report.reproduction.matrix import controls_told, failures_told, panels
from jemstone.report.reproduction.pictures import CLASSES, FIGURES, in_rows
from jemstone.report.reproduction.plots import ablation_plots, training_plots
from jemstone.report.reproduction.reasons import reasons_told
from jemstone.report.reproduction.stability import stability_plots
from jemstone.report.reproduction.table import DONE, SHARES, footnotes, is_done, lines
from jemstone.report.reproduction.trajectory import trajectory_view
from jemstone.report.reproduction.words import (
    NAMES,
    SAMPLERS,
    amount,
    bytes_told,
    duration_told,
    mean_of,
    named,
    score,
    setting,
)

__all__ = ["report_page"]

Samples = Mapping[str, tuple[Tensor, Tensor]]

_FIGURES = {
    key: f"Figure {number}: {title}"
    for number, (key, title) in enumerate(FIGURES.values(), start=1)
}
_MANY, _FEW = 8, 4  # images of a class: in a figure, and in a cell that is none
_MOST_BYTES = 800_000  # of the pixels of all cells that are no figure
_MARKS = {"holds": "✓", "fails": "✕", "inconclusive": "?"}
_BEST = {"is": max, "fid": min}
_COLUMNS = ("is", "fid", "recall", "coverage", "agreement", "nearest")
_MORE = {
    "kid": "KID",
    "precision": "precision",
    "density": "density",
    "spread": "spread of pixels",
    "feature_spread": "spread of features",
    "bits_per_dim": "bits / dim",
}


def report_page(
    result: Mapping[str, Any],
    samples: Samples,
    trajectory: Mapping[str, Any] | None,
    gradients: bytes | None,
) -> str:
    """Write a reproduction as HTML: table, claims, figures, the walk under a slider, studies.

    Args:
        result: of a reproduction, as ``table1.json`` has it.
        samples: images uint8 (N, C, H, W) and labels int64 (N,), by ``network/sampler``.
        trajectory: the combined walk, see
            :func:`jemstone.report.reproduction.trajectory.trajectory_view`; None if there is none.
        gradients: a PNG of the input gradients.
    """
    figures, others = _pictures(samples)
    return render(
        "reproduction.html",
        filters={
            "amount": amount,
            "duration": duration_told,
            "bytes": bytes_told,
            "setting": setting,
        },
        result=result,
        headline=headline(result),
        findings=findings(result),
        lines=[_marked(line, result) for line in lines(result)],
        columns=_COLUMNS,
        more=_more(result),
        notes=footnotes(result),
        claims=[_claim(claim) for claim in result.get("claims") or ()],
        panels=panels(result),
        controls=controls_told(result),
        failures=failures_told(result),
        figures=figures,
        others=others,
        class_names=list(result.get("classes") or (trajectory or {}).get("class_names") or ()),
        walk=trajectory_view(trajectory) if trajectory is not None else None,
        gradients=base64.b64encode(gradients).decode() if gradients else None,
        alignments=_alignments(result),
        networks=[_network(row) for row in result.get("networks") or ()],
        training=training_plots(result),
        ablations=[_ablation(study) for study in result.get("ablations") or ()],
        stability=_stability(result.get("stability")),
        costs=[_cost(line) for line in lines(result) if line["figures"].get("cost")],
        recipes=_recipes(result),
    )


def _pictures(samples: Samples) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Draw the paper's figures, and a few images of each other cell."""
    drawn = {key: pair for key, pair in samples.items() if len(pair[0])}
    figures = [_picture(t, *drawn[key], _MANY) for key, t in _FIGURES.items() if key in drawn]
    others = {key: pair for key, pair in drawn.items() if key not in _FIGURES}
    weight = sum(CLASSES * images[0].numel() for images, _ in others.values())
    columns = max(2, min(_FEW, _MOST_BYTES // max(1, weight)))
    pictures = []
    for key, (images, labels) in others.items():
        network, _, sampler = key.partition("/")
        title = f"{named(NAMES, network)}, {named(SAMPLERS, sampler)}"
        pictures.append(_picture(title, images, labels, columns))
    return figures, pictures


def _picture(title: str, images: Tensor, labels: Tensor, columns: int) -> dict[str, Any]:
    x, found = in_rows(images, labels, columns)
    picture = (tiled(x.float() / 255.0, len(found)) * 255.0).round().to(torch.uint8)
    return {"title": title, "labels": found, "address": png_address(picture)}


def _marked(line: dict[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """Write a line's cells, and mark those that are the best of their column."""
    best, printed = {}, {}
    for name, choose in _BEST.items():
        measured = [mean_of(row.get(name)) for row in result["rows"] if is_done(row)]
        best[name] = choose([value for value in measured if value is not None], default=None)
        papers = [(row.get("paper") or {}).get(name) for row in result["rows"]]
        printed[name] = choose([value for value in papers if value is not None], default=None)
    figures, row = line["figures"], line["kind"] == "row"
    shown = (*_COLUMNS, "accuracy", "robust_accuracy", *_MORE)
    return line | {
        "failed": line["status"] != DONE,
        "cells": {
            name: score(figures.get(name), name in SHARES).removesuffix(" %") for name in shown
        },
        "best": {n for n in _BEST if row and mean_of(figures.get(n)) == best[n] is not None},
        "papers_best": {n for n in _BEST if row and line["paper"][n] == printed[n] is not None},
    }


def _more(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the further columns that any line has a figure for."""
    figures = [line["figures"] for line in lines(result)]
    return {
        name: title
        for name, title in _MORE.items()
        if any(mean_of(row.get(name)) is not None for row in figures)
    }


def _claim(claim: Mapping[str, Any]) -> dict[str, Any]:
    """Place a claim's interval on a line from 0 to 100, on which its zero is marked."""
    told = {
        "claim": claim["claim"],
        "paper": claim.get("paper"),
        "measured": claim.get("measured"),
        "better": claim.get("better"),
        "verdict": claim["verdict"],
        "mark": _MARKS.get(claim["verdict"], ""),
        "kind": claim["verdict"] if claim["verdict"] in _MARKS else "inconclusive",
        "leans": claim.get("leans") if claim["verdict"] == "inconclusive" else None,
        "interval": None,
    }
    low, high = (mean_of(edge) for edge in claim.get("interval") or (None, None))
    if low is None or high is None:
        return told
    left, right = min(low, 0.0), max(high, 0.0)
    width = (right - left) or 1.0
    zero, start, end = (8.0 + 84.0 * (edge - left) / width for edge in (0.0, low, high))
    place = {
        "zero": f"{zero:.2f}",
        "start": f"{start:.2f}",
        "width": f"{max(0.8, end - start):.2f}",
    }
    return told | {"interval": {"low": f"{low:.3g}", "high": f"{high:.3g}"} | place}


def _alignments(result: Mapping[str, Any]) -> dict[str, Any] | None:
    rows = result.get("gradients") or ()
    names = list(dict.fromkeys(n for row in rows for n, v in row.items() if mean_of(v) is not None))
    if not names:
        return None
    return {
        "names": [name.replace("_", " ") for name in names],
        "rows": [
            (named(NAMES, row.get("network")), [score(row.get(name)) for name in names])
            for row in rows
        ],
    }


def _network(row: Mapping[str, Any]) -> dict[str, Any]:
    runs = row.get("runs") or ()
    whys = dict.fromkeys(
        f"seed {run['seed']}: {run.get('error') or run['status']}"
        for run in runs
        if run["status"] != DONE
    )
    return {
        "name": named(NAMES, row["network"]),
        "trained": f"{sum(run['status'] == DONE for run in runs)} of {len(runs)}",
        "accuracy": score(row.get("accuracy"), percent=True),
        "robust_accuracy": score(row.get("robust_accuracy"), percent=True),
        "whys": "; ".join(whys),
    }


def _ablation(study: Mapping[str, Any]) -> dict[str, Any]:
    names = dict.fromkeys(name for row in study["rows"] for name in row)
    columns = [name for name in names if name not in ("value", "sampler", "se")]
    with_sampler = any(row.get("sampler") for row in study["rows"])
    chosen = setting(study.get("chosen"))
    return {
        "study": study,
        "plots": ablation_plots(study),
        "heads": [name.replace("_", " ") for name in columns],
        "with_sampler": with_sampler,
        "rows": [
            {
                "value": setting(row["value"]),
                "chosen": setting(row["value"]) == chosen,
                "sampler": row.get("sampler") or "",
                "cells": [_figure(_with_error(row, name), name) for name in columns],
            }
            for row in study["rows"]
        ],
    }


def _with_error(row: Mapping[str, Any], name: str) -> Any:
    """Return a figure, with its standard error where it is a mean over seeds."""
    error = (row.get("se") or {}).get(name)
    return row.get(name) if error is None else {"mean": row[name], "se": error}


def _figure(value: Any, name: str) -> str:
    if isinstance(value, Mapping):
        return score(value, name in SHARES)
    if isinstance(value, str):
        return value
    if name in SHARES and mean_of(value) is not None:
        return f"{value:.1%}"
    return amount(value)


def _stability(stability: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not stability:
        return None
    rows = []
    for name, recipe in stability["recipes"].items():
        runs = recipe.get("runs") or ()
        failed = [run for run in runs if run["failed"]]
        low, high = (mean_of(edge) for edge in recipe.get("interval") or (None, None))
        rows.append(
            {
                "name": named(NAMES, name),
                "runs": len(runs),
                "failed": len(failed),
                "rate": mean_of(recipe.get("failure_rate")),
                "interval": None if low is None or high is None else f"{low:.1%} to {high:.1%}",
                "whys": reasons_told(str(run["why"]) for run in failed if run.get("why")),
            }
        )
    return {
        "rows": rows,
        "plots": stability_plots(stability),
        "steps": stability.get("steps"),
        "failure_is": stability.get("failure_is"),
    }


def _cost(line: Mapping[str, Any]) -> dict[str, Any]:
    cost = line["figures"]["cost"]
    return {"label": line["label"]} | {
        name: cost.get(name)
        for name in (
            "train_seconds",
            "train_steps",
            "seconds_per_image",
            "passes_per_image",
            "peak_bytes",
        )
    }


def _recipes(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return each recipe's name, the rows that it serves, and its text."""
    return [
        (
            name,
            "; ".join(
                row.get("model") or row["id"]
                for row in result["rows"]
                if name in (row.get("network"), row["id"])
            ),
            text,
        )
        for name, text in (result.get("recipes") or {}).items()
    ]

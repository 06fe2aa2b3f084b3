"""An evaluation as one page that needs no other file, and no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jemstone.functional.confidence import newcombe_interval
from jemstone.report.plots import plots
from jemstone.report.rendering import render

__all__ = ["doubts", "page"]

_SUSPICIONS = {
    "memorised": "looks memorised",
    "not_diverse": "is not diverse",
    "is_the_init": "is hardly more than what its chains begin with",
    "no_better_than_the_init": "is no better, by FID, than what its chains begin with",
}
_UNSTEADY = ("explodes", "saturates", "decays")


def doubts(result: Mapping[str, Any]) -> list[str]:
    """List what a sceptic would ask about: broken laws, raised flags, walks that do not last.

    Args:
        result: of a suite.
    """
    return [doubt for part in _DOUBTS for doubt in part(result)]


def _of_robustness(result: Mapping[str, Any]) -> Iterator[str]:
    for row in result.get("robust_accuracy", ()):
        for law in _broken(row):
            yield (
                f"robust accuracy by {row['attack']}, {row['norm']} {row['eps']:.3g}: breaks "
                f"{law}, so the number is too high"
            )
    left_out = result.get("attacks_left_out")
    if left_out:
        yield f"without {' and '.join(left_out)}, robust accuracy may be lower than it looks"


def _of_purification(result: Mapping[str, Any]) -> Iterator[str]:
    for row in result.get("purification", ()):
        n = row["n"]
        walked, plain = ((round(of["value"] * n), n) for of in (row, row["plain"]))
        if newcombe_interval(walked, plain)[0] <= 0:
            yield (
                f"walking before classifying is not shown to defend better than the plain model: "
                f"{row['value']:.1%} against {row['plain']['value']:.1%} in {row['norm']} "
                f"{row['eps']:.3g}"
            )


def _of_unknown_inputs(result: Mapping[str, Any]) -> Iterator[str]:
    rows = result.get("ood", ())
    for row in rows:
        for law in _broken(row):
            yield f"unknown inputs, {row['data']} by {row['score']}: breaks {law}"
    beaten = [
        row
        for row in rows
        if row["attack"] is None
        and row["baseline_auroc"] is not None
        and row["baseline_auroc"] > row["auroc_interval"][1]
    ]
    for data in dict.fromkeys(row["data"] for row in beaten):
        scores = [
            f"{row['score']} ({row['auroc']:.3f} against {row['baseline_auroc']:.3f})"
            for row in beaten
            if row["data"] == data
        ]
        yield f"unknown inputs, {data}: a plain classifier's AUROC is higher by {', '.join(scores)}"
    yield from _overtaken(rows)


def _of_samples(result: Mapping[str, Any]) -> Iterator[str]:
    for row in result.get("generation", ()):
        if row["sampler"] == "init":
            continue
        raised = [_SUSPICIONS[n] for n, flag in row.get("flags", {}).items() if flag["raised"]]
        if raised:
            yield f"samples by {row['sampler']} ({row['origin']}): {'; '.join(raised)}"
    for name, error in result.get("generation_failed", {}).items():
        yield f"samples by {name} have no figures: {error}"


def _of_walks(result: Mapping[str, Any]) -> Iterator[str]:
    for walk in result.get("walks", ()):
        after = walk["after"]
        if after["verdict"] in _UNSTEADY:
            yield (
                f"the walk of {walk['sampler']} {after['verdict']} when it goes on to "
                f"{after['steps']} steps, ten times its own number"
            )


_DOUBTS = (_of_robustness, _of_purification, _of_unknown_inputs, _of_samples, _of_walks)


def _overtaken(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Compare the best scores of both, each its own, also under attack."""
    for line in _told(rows)["lines"]:
        if line["plain"] is not None and line["plain"] > line["best"]:
            attacked = "" if line["attack"] == "none" else f" attacked in {line['attack']}"
            yield (
                f"unknown inputs, {line['data']}{attacked}: the best score has AUROC "
                f"{line['best']:.3f}, that of a plain classifier {line['plain']:.3f}"
            )


def _broken(row: Mapping[str, Any]) -> list[str]:
    """Name the laws that a row breaks."""
    laws = row.get("laws", {})
    return [name.replace("_", " ") for name, law in laws.items() if not law["passed"]]


def _laws(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return what each law says that was checked on a row, by name."""
    return {name: law["law"] for row in rows for name, law in row.get("laws", {}).items()}


def _three(value: float | None) -> str:
    """Write a share of one with three digits."""
    return "-" if value is None else f"{value:.3f}"


def _radius(row: Mapping[str, Any]) -> str:
    """Say how a row's unknown images were attacked."""
    return f"{row['attack']['norm']} {row['attack']['eps']:.3g}" if row["attack"] else "none"


def _told(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Lay out AUROCs: a line for each set and attack, a column for each score."""
    lines: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        lines.setdefault((row["data"], _radius(row)), []).append(row)
    names = [row["score"] for row in next(iter(lines.values()), [])]
    return {
        "scores": names,
        "lines": [
            {
                "data": data,
                "attack": attack,
                "aurocs": [row["auroc"] for row in own],
                "best": max(row["auroc"] for row in own),
                "plain": max(
                    (r["baseline_auroc"] for r in own if r["baseline_auroc"] is not None),
                    default=None,
                ),
            }
            for (data, attack), own in lines.items()
        ],
    }


def page(result: Mapping[str, Any], pictures: Mapping[str, str] | None = None) -> str:
    """Write an evaluation as HTML, its plots and pictures inside.

    Args:
        result: of a suite.
        pictures: of samples, PNGs in base64, by title.
    """
    return render(
        "evaluation.html",
        result=result,
        doubts=doubts(result),
        plots=plots(result),
        told=_told(result.get("ood", ())),
        laws=_laws(result.get("robust_accuracy", ())),
        pictures=pictures or {},
        filters={"broken": _broken, "radius": _radius, "three": _three},
    )

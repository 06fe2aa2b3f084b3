"""An evaluation as one page that needs no other file, and no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jemstone.report.plots import plots
from jemstone.report.rendering import render

__all__ = ["doubts", "page"]

_SUSPICIONS = {
    "memorised": "looks memorised",
    "not_diverse": "is not diverse",
    "is_the_init": "is hardly more than what its chains begin with",
    "no_better_than_the_init": "is no better, by FID, than what its chains begin with",
}
_WALKS = {"saturates": "saturates", "decays": "decays"}


def doubts(result: Mapping[str, Any]) -> list[str]:
    """List what a sceptic would ask about: broken laws, raised flags, walks that do not last.

    Args:
        result: of a suite.
    """
    return list(_doubts(result))


def _doubts(result: Mapping[str, Any]) -> Iterator[str]:
    for row in result.get("robust_accuracy", ()):
        for law in _broken(row):
            yield (
                f"robust accuracy by {row['attack']}, {row['norm']} {row['eps']:.3g}: breaks "
                f"{law}, so the number is too high"
            )
    for name in result.get("attacks_left_out", ()):
        yield f"{name} was not run, so the robust accuracy may be lower than it looks"
    for row in result.get("purification", ()):
        if row["interval"][0] <= row["plain"]["interval"][1]:
            yield (
                f"walking before classifying ({row['walk']}) defends no better than the plain "
                f"model: {row['value']:.1%} against {row['plain']['value']:.1%}"
            )
    for row in result.get("ood", ()):
        for law in _broken(row):
            yield f"unknown inputs, {row['data']} by {row['score']}: breaks {law}"
    beaten = [
        row
        for row in result.get("ood", ())
        if row["attack"] is None
        and row["baseline_auroc"] is not None
        and row["baseline_auroc"] > row["auroc_interval"][1]
    ]
    for row in beaten:
        yield (
            f"unknown inputs, {row['data']} by {row['score']}: AUROC {row['auroc']:.3f}, where a "
            f"plain classifier has {row['baseline_auroc']:.3f}"
        )
    for row in result.get("generation", ()):
        if row["sampler"] == "init":
            continue
        for name, flag in row.get("flags", {}).items():
            if flag["raised"]:
                yield f"samples by {row['sampler']} ({row['origin']}): {_SUSPICIONS[name]}"
    for walk in result.get("walks", ()):
        after = walk["after"]
        if after["verdict"] in _WALKS:
            yield (
                f"the walk of {walk['sampler']} {after['verdict']} when it goes on to "
                f"{after['steps']} steps, ten times its own number"
            )


def _broken(row: Mapping[str, Any]) -> list[str]:
    """Name the laws that a row breaks."""

    def held(law: Any) -> bool:
        return bool(law["passed"] if isinstance(law, Mapping) else law)

    return [
        name.replace("_", " ") for name, law in (row.get("laws") or {}).items() if not held(law)
    ]


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
        pictures=pictures or {},
        filters={"broken": _broken},
    )

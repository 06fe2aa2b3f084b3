"""Suites: named parts, each from a case to a fragment of the contract's JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jemstone.experiments.case import Case
from jemstone.experiments.samples import judge_generation
from jemstone.experiments.store import Store
from jemstone.experiments.walking import judge_walks
from jemstone.files import finite
from jemstone.functional.statistics import wilson_interval
from jemstone.metrics import agreement, calibration, detect, predictions, robust_accuracy

__all__ = ["PARTS", "SUITES", "Judgement", "judge_case"]

Part = Callable[[Case], dict[str, Any]]

_PGD_STEPS, _RESTARTS = 20, 2
_RADII = {"quick": (0.5, 1.0), "full": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)}
_GREY = 0.5  # in this Linf ball every image may become the same grey
_DETECTION_STEPS, _ATTACKED_STRANGERS = 20, 100


def judge_classification(case: Case) -> dict[str, Any]:
    """Judge accuracy, with Wilson's 95 % interval, and calibration on all held-out images."""
    case.progress(f"accuracy and calibration, {case.device}")
    labels = case.data.test.labels
    logits = predictions(case.model, case.data.test)
    accuracy = agreement(logits, labels)
    return {
        "n": len(labels),
        "accuracy": accuracy,
        "accuracy_interval": list(wilson_interval(round(accuracy * len(labels)), len(labels))),
        "calibration": calibration(logits, labels),
    }


def judge_robustness(case: Case) -> dict[str, Any]:
    """Judge robust accuracy over radii around the one that the model was trained for."""
    norm, eps = case.threat
    case.progress(f"robust accuracy, {norm}")
    radii = [factor * eps for factor in _RADII[case.settings.suite]]
    if case.settings.suite == "full" and norm == "linf":
        radii.append(_GREY)
    rows = robust_accuracy(
        case.model,
        case.data.test.first(case.settings.attacked),
        norm,
        radii,
        generator=case.generator.fold("attack"),
        steps=_PGD_STEPS,
        restarts=_RESTARTS,
    )
    for row in rows:
        right = round(row["value"] * row["n"])
        row["interval"] = list(wilson_interval(right, row["n"]))
    return {"robust_accuracy": rows}


def judge_detection(case: Case) -> dict[str, Any]:
    """Judge how unknown inputs are told from known ones, clean and attacked."""
    rows = detect(
        case.model,
        case.known,
        case.unknown,
        generator=case.generator.fold("unknown attacks"),
        eps_list=[case.linf_eps],
        steps=_DETECTION_STEPS,
        attacked=_ATTACKED_STRANGERS,
        baseline=case.baseline,
        progress=case.progress,
    )
    return {"ood": rows}


PARTS: dict[str, Part] = {
    "classification": judge_classification,
    "robustness": judge_robustness,
    "detection": judge_detection,
    "generation": judge_generation,
    "walks": judge_walks,
}
"""By name; a part's keys are its own, and stand in the result."""

SUITES: dict[str, tuple[str, ...]] = {
    "quick": ("classification", "robustness", "generation"),
    "full": tuple(PARTS),
}


@dataclass(frozen=True)
class Judgement:
    """What came of a case.

    Args:
        figures: the contract's mapping, ready for JSON.
        pictures: PNGs in base64, by title.
    """

    figures: dict[str, Any]
    pictures: dict[str, str]


def judge_case(case: Case, store: Store | None = None) -> Judgement:
    """Run the parts of a case's suite that are not done yet.

    Args:
        case: what is judged, and how.
        store: keeps each part as it is done; none by default.

    Raises:
        Mistake: where a part cannot be judged.
    """
    done = case.processes.in_turn(store.read) if store is not None else {}
    case.processes.wait()  # no part is kept before every process has read which are there
    figures: dict[str, Any] = {**case.about, "suite": case.settings.suite, "ood": []}
    pictures: dict[str, str] = {}
    seconds: dict[str, float] = {}
    parts = SUITES[case.settings.suite]
    for number, name in enumerate(parts):
        part = done.get(name)
        if part is None:
            case.progress(f"part {number + 1} of {len(parts)}: {name}")
            began = time.perf_counter()
            part = finite({**PARTS[name](case), "seconds": time.perf_counter() - began})
            if store is not None and case.processes.leads:
                store.write(name, part)
        else:
            case.progress(f"part {number + 1} of {len(parts)}: {name}, kept from before")
        seconds[name] = part["seconds"]
        pictures |= part.get("pictures", {})
        figures |= {k: v for k, v in part.items() if k not in ("pictures", "seconds")}
    if case.settings.suite == "full":
        figures["seconds"] = seconds
    return Judgement(figures, pictures)

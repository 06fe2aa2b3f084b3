"""Suites: named parts, each from a case to a fragment of the contract's JSON."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from jemstone.experiments.case import Case
from jemstone.experiments.provenance import machine, source_commit
from jemstone.experiments.purification import judge_purification
from jemstone.experiments.robustness import ATTACKS, judge_robustness
from jemstone.experiments.samples import judge_generation
from jemstone.experiments.store import Store
from jemstone.experiments.threats import attacked_images, has_autoattack, radii
from jemstone.experiments.walking import judge_walks
from jemstone.files import finite
from jemstone.functional.confidence import wilson_interval
from jemstone.functional.energies import marginal
from jemstone.metrics import (
    agreement,
    calibration,
    calibration_report,
    detect,
    predictions,
    robust_accuracy,
)
from jemstone.recipes import build_walk

__all__ = ["PARTS", "SUITES", "Judgement", "judge_case"]

Kept = MutableMapping[str, Any]
Part = Callable[[Case, Kept], dict[str, Any]]

_PGD_STEPS, _RESTARTS = 20, 2
_CURVE, _OTHER_CURVE = (0.5, 1.5, 2.0, 4.0), (0.5, 2.0)
_ATTACK: dict[str, Any] = {"steps": 40, "restarts": 2}
_OTHER_NORM = 100  # images at most
_PURIFYING_WALK = 5
_PURIFIED, _PURIFYING = 40, {"steps": 10, "repetitions": 16, "batch_size": 20}
_DETECTION_STEPS, _ATTACKED_STRANGERS = 20, 100
_DETECTION_BATCH = 50  # so that many processes have their part


def judge_classification(case: Case, shelf: Kept) -> dict[str, Any]:
    """Judge accuracy, with Wilson's 95 % interval, and calibration on all held-out images."""
    case.progress(f"accuracy and calibration, {case.device}")
    labels = case.data.test.labels
    logits = predictions(case.model, case.data.test, deal=case.processes.deal)
    accuracy = agreement(logits, labels)
    calibrated: dict[str, Any] = dict(calibration(logits, labels))
    if case.settings.suite == "full":
        calibrated = calibration_report(logits, labels, generator=case.generator)
    return {
        "n": len(labels),
        "accuracy": accuracy,
        "accuracy_interval": list(wilson_interval(round(accuracy * len(labels)), len(labels))),
        "calibration": calibrated,
    }


def judge_by_pgd(case: Case, shelf: Kept) -> dict[str, Any]:
    """Judge robust accuracy at the trained radius, half of it, and the field's on colour images."""
    norm, eps = case.threat.norm, case.threat.eps
    case.progress(f"robust accuracy, {norm}")
    test, most = case.data.test, case.settings.attacked
    rows = robust_accuracy(
        case.model,
        test.first(most) if most is not None else attacked_images(test, case.generator),
        norm,
        radii(norm, eps, case.data),
        generator=case.generator.fold("attack"),
        steps=_PGD_STEPS,
        restarts=_RESTARTS,
        deal=case.processes.deal,
    )
    return {"robust_accuracy": rows}


def judge_attacks(case: Case, shelf: Kept) -> dict[str, Any]:
    """Judge robust accuracy by every attack that is installed.

    In balls of the norm that the model is attacked in: all images, and a curve over radii; in one
    ball of the other norm: the first 100.
    """
    left_out = [] if has_autoattack() else [name for name in ATTACKS if name != "pgd"]
    attacks = [name for name in ATTACKS if name not in left_out]
    if left_out:
        case.progress("left out: Square, AutoAttack; pip install 'jemstone[attack]' adds them")
    if not case.threat.knows_l2:
        case.progress("left out: attacks in L2, where Square needs larger images")
    images = case.data.test.first(case.settings.attacked)
    rows: list[dict[str, Any]] = []
    for number, (norm, strong) in enumerate(case.threat.balls):
        some, curve = (images.first(_OTHER_NORM), _OTHER_CURVE) if number else (images, _CURVE)
        rows += judge_robustness(
            case.model,
            some.x,
            some.labels,
            eps=strong,
            norm=norm,
            curve=[factor * strong[0] for factor in curve],
            attacks=attacks,
            generator=case.generator.fold("attack"),
            store=shelf,
            progress=case.progress,
            deal=case.processes.deal,
            **_ATTACK,
        )
    return {"robust_accuracy": rows, "attacks_left_out": left_out}


def judge_refinement(case: Case, shelf: Kept) -> dict[str, Any]:
    """Judge the run's walk on E(x) as a defence that moves images before they are classified.

    The walk is cut to five steps: BPDA does not follow where a longer one leads.
    """
    if case.run is None:
        return {"purification": []}
    norm, eps = case.threat.norm, case.threat.eps
    constants = case.run.recipe.sampling.energy
    short = dataclasses.replace(constants, steps=min(constants.steps, _PURIFYING_WALK))
    images = case.data.test.first(case.settings.attacked).first(_PURIFIED)
    rows = judge_purification(
        case.model,
        build_walk(short, marginal),
        images.x,
        images.labels,
        eps=[eps],
        norm=norm,
        generator=case.generator.fold("purification"),
        store=shelf,
        progress=case.progress,
        deal=case.processes.deal,
        **_PURIFYING,
    )
    return {"purification": rows}


def judge_detection(case: Case, shelf: Kept) -> dict[str, Any]:
    """Judge how unknown inputs are told from known ones, clean and attacked."""
    rows = detect(
        case.model,
        case.known,
        case.unknown,
        generator=case.generator.fold("unknown attacks"),
        eps_list=[case.threat.linf_eps],
        steps=_DETECTION_STEPS,
        attacked=_ATTACKED_STRANGERS,
        baseline=case.baseline,
        progress=case.progress,
        batch_size=_DETECTION_BATCH,
        deal=case.processes.deal,
    )
    return {"ood": rows}


PARTS: dict[str, Part] = {
    "classification": judge_classification,
    "pgd": judge_by_pgd,
    "attacks": judge_attacks,
    "purification": judge_refinement,
    "detection": judge_detection,
    "generation": lambda case, shelf: judge_generation(case),
    "walks": lambda case, shelf: judge_walks(case),
}
"""By name: of a case, and of what the part has kept of itself, the keys that it adds."""

SUITES: dict[str, tuple[str, ...]] = {
    "quick": ("classification", "pgd", "generation"),
    "full": tuple(name for name in PARTS if name != "pgd"),
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
        store: keeps each part as it is done, and each process's batches of a long one, in a
            folder that all processes see; none by default.

    Raises:
        Mistake: where a part cannot be judged.
    """
    done = case.processes.in_turn(store.read) if store is not None else {}
    case.processes.wait()  # no part is kept before every process has read which are there
    figures: dict[str, Any] = {
        "run": None,
        "data": case.data.name,
        **case.about,
        "suite": case.settings.suite,
        "settings": dataclasses.asdict(case.settings),
        "samples": case.settings.count if case.run is not None else None,
        "held_out": len(case.data.test),
        "commit": source_commit(),
        "machine": machine(case.device),
        "ood": [],
    }
    pictures: dict[str, str] = {}
    seconds: dict[str, float] = {}
    parts = SUITES[case.settings.suite]
    for number, name in enumerate(parts):
        part = done.get(name)
        if part is None:
            case.progress(f"part {number + 1} of {len(parts)}: {name}")
            began = time.perf_counter()
            shelf: Kept = store.shelf(name) if store is not None else {}
            part = finite({**PARTS[name](case, shelf), "seconds": time.perf_counter() - began})
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

"""What a flow's ``flow.json`` says: which flow, on what data, how large and how long."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from jemstone.baselines.flows import FLOWS, FORMS, Architecture
from jemstone.data import DataSet, fingerprint
from jemstone.errors import Mistake, brief
from jemstone.experiments.flow_sizes import FlowSize
from jemstone.files import is_file, read_json
from jemstone.recipes import checked, recipe_for, recipe_from

__all__ = ["flow_file", "read_flow"]

_LARGEST = 2**16  # of sides, channels and classes
_FIRST_FORM = 1  # of runs that were written before there was a second
_NEEDED = {
    "flow": str,
    "form": int,
    "data": str,
    "data_fingerprint": str,
    "shape": list,
    "classes": int,
    "budget": str,
    "seed": int,
    "architecture": dict,
    "optimisation": dict,
    "checkpoint_every": int,
    "device": str,
}


def flow_file(name: str, data: DataSet, budget: str, seed: int, size: FlowSize) -> dict[str, Any]:
    """Return what ``flow.json`` says of a run that is the same wherever it is trained.

    Args:
        name: of the flow.
        data: to learn.
        budget: ``quick``, ``small`` or ``paper``.
        seed: of everything random.
        size: of the flow and its training, resolved.
    """
    about = {
        "flow": name,
        "form": FORMS[name],
        "data": data.name,
        "data_fingerprint": fingerprint(data),
        "shape": data.shape,
        "classes": len(data.classes),
        "budget": budget,
        "seed": seed,
        **dataclasses.asdict(size),
    }
    return dict(json.loads(json.dumps(about)))  # as it will be read: tuples are lists


def read_flow(file: Path) -> tuple[dict[str, Any], FlowSize]:
    """Read what a run began with, and the size of its flow.

    Args:
        file: ``flow.json`` of the run.

    Raises:
        Mistake: where it is not there, not what a run writes, or of a flow whose layers have
            changed since.
    """
    if not is_file(file):
        raise Mistake(f"{file.parent} is not the run of a flow")
    about = read_json(file)
    try:
        about.setdefault("form", _FIRST_FORM)
        _check(about)
        # A recipe's optimisation is the very same thing, and is held to its types and bounds.
        plain = {"optimisation": about["optimisation"]}
        optimisation = checked(recipe_from(plain, recipe_for("classifier"))).optimisation
        if optimisation.steps is None:
            raise Mistake("optimisation.steps is not there")
        size = FlowSize(Architecture(**about["architecture"]), optimisation)
    except (AttributeError, KeyError, TypeError, Mistake) as error:
        raise Mistake(f"{file} is not that of a flow: {brief(error)}") from error
    if about["form"] != FORMS[about["flow"]]:
        raise Mistake(
            f"{file.parent}: the layers of {about['flow']} were other maps then: train anew"
        )
    return about, size


def _check(about: Any) -> None:
    """Refuse what lacks something, or says it in another type."""
    for name, kind in _NEEDED.items():
        if type(about[name]) is not kind:
            raise Mistake(f"{name} is not what a run writes there")
    shape = about["shape"]
    sound = len(shape) == 3 and all(type(n) is int and 0 < n < _LARGEST for n in shape)
    if not sound or not 0 < about["classes"] < _LARGEST:
        raise Mistake("shape and classes are not those of images")
    if about["flow"] not in FLOWS or about["checkpoint_every"] < 1:
        raise Mistake("no flow learns so")

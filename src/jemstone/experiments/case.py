"""What is judged, and how: a model, the data, and everything the parts of a suite share."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from jemstone._version import __version__
from jemstone.data import (
    UNKNOWN,
    DataSet,
    Images,
    data_root,
    fingerprint,
    set_name,
    unknown_like,
)
from jemstone.errors import Mistake, brief, unknown
from jemstone.experiments.judge import Judge, judge_for
from jemstone.experiments.provenance import source_commit
from jemstone.experiments.runs import Run
from jemstone.experiments.sight import Eyes, open_eyes
from jemstone.experiments.threats import ThreatModel, has_autoattack
from jemstone.files import digest_of, is_file, sha256_of
from jemstone.functional.balls import BALLS
from jemstone.metrics import Inception
from jemstone.metrics.classification import check_logits
from jemstone.model import JointEnergyModel
from jemstone.nn.modes import held
from jemstone.recipes import to_yaml
from jemstone.training import Device, Processes
from jemstone.types import Generator

__all__ = ["Case", "Settings", "check_fit"]

# Taken where the data root holds them.
_STRANGERS = {
    "mnist": ("fashion-mnist",),
    "fashion-mnist": ("mnist",),
    "cifar10": ("cifar100", "svhn"),
    "cifar100": ("cifar10", "svhn"),
    "svhn": ("cifar10",),
}


@dataclass(frozen=True)
class Settings:
    """What a suite is asked for.

    Args:
        suite: its name.
        count: samples of each sampler.
        seed: of attacks and samples.
        norm: of the threat model, linf or l2; by default the recipe's.
        eps: its radius in [0, 1] pixels; by default the recipe's.
        attacked: the most held-out images that are attacked, the first; by default all, or in the
            quick suite 1,000 drawn by the seed.
        unknown: sets of unknown images; by default those that are made from held-out ones, and
            those usual for the data that its root holds.
        strangers: the most images of such a set, and of known ones beside it.

    Raises:
        Mistake: for an unknown norm, a radius that is not above 0, no image to attack, or unknown
            images that the suite would not look at.
    """

    suite: str = "quick"
    count: int = 1000
    seed: int = 0
    norm: str | None = None
    eps: float | None = None
    attacked: int | None = None
    unknown: tuple[str, ...] | None = None
    strangers: int = 1000

    def __post_init__(self) -> None:
        if self.norm is not None and self.norm not in BALLS:
            raise unknown("norm", self.norm, BALLS)
        if self.eps is not None and not 0 < self.eps < math.inf:
            raise Mistake(f"--eps is finite and above 0, not {self.eps:g}")
        if self.attacked is not None and self.attacked < 1:
            raise Mistake(f"--attacked is 1 or more, not {self.attacked}")
        if self.unknown is not None and self.suite != "full":
            raise Mistake("--unknown goes with --suite full: no other looks at unknown images")


@dataclass(frozen=True)
class Case:
    """A model, the data it is judged on, and how.

    Args:
        model: the classifier, in eval mode.
        data: whose test images judge it.
        settings: what is asked for.
        about: what stands at the head of the result.
        run: that trained the model; None for somebody else's classifier.
        baseline: a plain classifier of the same architecture.
        root: the folder that holds data sets; of a run by default its own.
        device: where to judge.
        judge: the eye of the samples' figures; by default that of the data.
        cache: where judges are kept, and what they have seen.
        processes: that judge together.
        progress: hears what is done next.

    Raises:
        Mistake: where the model does not fit the data.
    """

    model: JointEnergyModel
    data: DataSet
    settings: Settings
    about: Mapping[str, Any] = field(default_factory=dict)
    run: Run | None = None
    baseline: JointEnergyModel | None = None
    root: str | Path | None = None
    device: Device = field(default_factory=Device)
    judge: Judge | Inception | None = None
    cache: Path | None = None
    processes: Processes = field(default_factory=Processes)
    progress: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        for name, model in (("the model", self.model), ("the baseline", self.baseline)):
            if model is not None:
                check_fit(model, self.data, name, self.device)

    @property
    def generator(self) -> Generator:
        """The randomness of everything."""
        return Generator(self.settings.seed)

    @property
    def threat(self) -> ThreatModel:
        """The balls within which the model is attacked."""
        trained = self.run.recipe.attack if self.run is not None else None
        return ThreatModel(self.data, trained, self.settings.norm, self.settings.eps)

    @cached_property
    def unknown(self) -> dict[str, Images]:
        """Sets of unknown images, by the name of each.

        Raises:
            Mistake: where one that was asked for is missing or broken, or two have one name.
        """
        names = self.settings.unknown
        if names is None:
            names = (*UNKNOWN, *self._at_hand())
        called = [set_name(name) for name in names]
        twice = next((name for name in called if called.count(name) > 1), None)
        if twice is not None:
            raise Mistake(f"two sets of unknown images are called {twice}: rename one of them")
        known, count = self.known, self.settings.strangers
        return {
            set_name(name): unknown_like(
                name,
                known,
                self.generator.fold("unknown", name),
                root=self.root,
                count=count,
                told=self.progress,
            )
            for name in names
        }

    @property
    def known(self) -> Images:
        """The held-out images that unknown ones are told from."""
        return self.data.test.first(self.settings.strangers)

    def _at_hand(self) -> list[str]:
        """Name the usual sets that the data root holds as archives; nothing is downloaded."""
        root = data_root(self.root)
        usual = _STRANGERS.get(self.data.name, ())
        found = [
            name
            for name in usual
            for file in (f"{name}.npz", f"{name}_test.npz")
            if root is not None and is_file(root / file)
        ]
        absent = [name for name in usual if name not in found]
        if absent:
            self.progress(f"no archive of {', '.join(absent)} is at hand: unknown inputs without")
        return list(dict.fromkeys(found))

    @cached_property
    def eyes(self) -> Eyes:
        """The judge of the data, and what it has seen of it."""
        self.progress("the judge")
        return self.processes.in_turn(self._open_eyes)

    def _open_eyes(self) -> Eyes:
        assert self.run is not None
        learnt = self.run.environment["data_fingerprint"]
        own = self.data if fingerprint(self.data) == learnt else self.run.data()
        judge = self.judge or judge_for(
            self.data, self.cache, device=self.device, progress=self.progress
        )
        return open_eyes(judge, self.data, own, self.cache, self.progress)

    @cached_property
    def key(self) -> str:
        """A digest of all that the figures depend on: weights, data, settings, code."""
        parts = {
            "weights": _digest(self.model),
            "baseline": None if self.baseline is None else _digest(self.baseline),
            "data": fingerprint(self.data),
            "unknown": [digest_of({"pixels": images.pixels}) for images in self.unknown.values()]
            if self.settings.suite == "full"
            else [],
            "judge": None if self.judge is None else [self.judge.name, self.judge.sha256],
            "run": None if self.run is None else _about(self.run),
            "settings": dataclasses.asdict(self.settings),
            "attacks": has_autoattack(),
            "device": str(self.device),
            "version": [__version__, source_commit()],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _about(run: Run) -> list[str | None]:
    """Return what samples of a run depend on beside its weights."""
    init = run.path / "init.safetensors"
    return [str(run.path), to_yaml(run.recipe), sha256_of(init) if is_file(init) else None]


def _digest(model: JointEnergyModel) -> str:
    state = model.state_dict()
    return digest_of({n: t.detach().cpu().contiguous() for n, t in state.items()})


def check_fit(model: JointEnergyModel, data: DataSet, name: str, device: Device) -> None:
    """Refuse a model that does not answer two of the data's images with K finite logits each.

    Args:
        model: on the device.
        data: that it shall be judged on.
        name: of the model, in words.
        device: where it is.

    Raises:
        Mistake: saying what it answers.
    """
    x = data.test.first(2).x.to(device.name)
    try:
        with held(model), torch.no_grad():
            logits = model.logits(x)
    except (Exception, SystemExit) as error:  # whatever somebody's network raises
        raise Mistake(
            f"{name} cannot read {data.name}'s images, {data.shape} in [0, 1]: {brief(error)}"
        ) from error
    if logits.shape != (len(x), len(data.classes)):
        raise Mistake(
            f"{name} answers {len(x)} images of {data.name} by {tuple(logits.shape)}, not by "
            f"logits ({len(x)}, {len(data.classes)}): judge it on data of its own classes"
        )
    check_logits(logits)

"""Judge a run: how well it classifies, resists, and generates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jemstone.data import DataSet, Images, fingerprint, to_bytes
from jemstone.errors import Mistake, unknown
from jemstone.experiments.judge import Judge, judge_for
from jemstone.experiments.runs import Run
from jemstone.experiments.sight import look_once
from jemstone.memory import refuse_beyond_memory
from jemstone.metrics import (
    Inception,
    Seen,
    agreement,
    calibration,
    compare,
    inception_score,
    look,
    nearest_to,
    predictions,
    robust_accuracy,
)
from jemstone.model import JointEnergyModel
from jemstone.recipes.schema import Attack
from jemstone.training import Device, Processes, RunFolder
from jemstone.types import EnergyModel, Generator, SampleFrom

__all__ = ["SUITES", "balanced_labels", "draw", "evaluate"]

SUITES = ("quick",)
_SAMPLERS = ("combined", "energy", "attack")
_PGD_STEPS, _RESTARTS = 20, 2
_LEAST_PER_CLASS = 10
_ATTACKED = 1000  # held-out images at most: every one costs hundreds of passes
_FIELD = 8 / 255  # the radius at which papers attack photographs
_LEAST_FOR_SCORE = 20  # images: two for each of its ten parts
_COPIES = 16  # bytes of a sample's pixel: drawn, joined, rounded and looked at


def balanced_labels(count: int, classes: int) -> Tensor:
    """Return ``0, 1, ..., K - 1, 0, 1, ...``: every class as often as any other, int64 (N,)."""
    return torch.arange(count) % classes


def attacked_images(images: Images, generator: Generator) -> Images:
    """Choose the held-out images that are attacked: all, or 1,000 drawn without replacement.

    Args:
        images: held out.
        generator: the seed of the choice.
    """
    if len(images) <= _ATTACKED:
        return images
    chosen = generator.fold("attacked").permutation(len(images))[:_ATTACKED].sort().values
    return Images(images.pixels[chosen], images.labels[chosen])


def radii(attack: Attack, data: DataSet) -> list[float]:
    """Return the radii to judge at: half the trained one, the whole, and the field's 8/255.

    Args:
        attack: of training.
        data: colour images are held to 8/255 in Linf too.
    """
    usual = [_FIELD] if attack.norm == "linf" and data.shape[0] == 3 else []
    return sorted({attack.eps / 2, attack.eps, *usual})


@torch.no_grad()
def draw(
    model: EnergyModel,
    sampler: SampleFrom,
    y: Tensor,
    generator: Generator,
    *,
    batch_size: int = 250,
    device: Device | None = None,
    on_batch: Callable[[int], object] = lambda drawn: None,
    processes: Processes | None = None,
) -> Tensor:
    """Draw one image for each label, batch by batch; image i depends on (seed, i) alone.

    Many processes draw their shares, and each returns all images.

    Args:
        model: the energy.
        sampler: from scratch.
        y: labels, int64 (N,).
        generator: the randomness.
        batch_size: images at a time.
        device: where to draw, and in which precision; the processor, in float32, by default.
        on_batch: hears how many images there are.
        processes: that draw together, no more than images; by default this one alone.

    Returns:
        Images (N, C, H, W) in [0, 1], on the processor.
    """
    device, processes = device or Device(), processes or Processes()
    parts = []
    for places in torch.arange(len(y))[processes.share].split(batch_size):
        with device.autocast():
            x = sampler(model, y[places].to(device.name), generator.at(places))
        parts.append(x.clamp(0.0, 1.0).cpu())
        on_batch(int(places[-1]) + 1)
    return processes.join_shares(torch.cat(parts), len(y))


def evaluate(
    run: Run,
    data: DataSet,
    *,
    suite: str = "quick",
    count: int = 1000,
    seed: int = 0,
    device: Device | None = None,
    cache: Path | None = None,
    judge: Judge | Inception | None = None,
    progress: Callable[[str], None] = lambda line: None,
    processes: Processes | None = None,
) -> dict[str, Any]:
    """Judge a run's newest checkpoint on held-out images.

    Args:
        run: to judge.
        data: whose test images it is judged on.
        suite: ``quick``.
        count: samples of each sampler.
        seed: of attacks and samples.
        device: where to judge; by default where the run was trained, in float32.
        cache: where judges are kept, and what they have seen.
        judge: the eye of the samples' figures; by default that of the data.
        progress: hears what is done next.
        processes: that draw the samples together; the rest each does for itself.

    Returns:
        The contract's mapping, ready for JSON.

    Raises:
        Mistake: for an unknown suite, too few samples, or data of another shape than the run's.
    """
    if suite not in SUITES:
        raise unknown("suite", suite, SUITES)
    if count < _LEAST_PER_CLASS * run.classes:
        raise Mistake(f"figures of {count} samples say little: ask for {_LEAST_PER_CLASS} a class")
    if (data.shape, len(data.classes)) != (run.gaussian.shape, run.classes):
        raise Mistake(
            f"{data.name} has {len(data.classes)} classes of {data.shape} images, the run "
            f"{run.classes} of {run.gaussian.shape}: judge it on data of its own shape"
        )
    refuse_beyond_memory(count * math.prod(data.shape) * _COPIES, f"--n {count}")
    generator, processes = Generator(seed), processes or Processes()
    device = device or Device(run.device.name)
    model = run.model().to(device.name)
    progress(f"accuracy and calibration, {device}")
    logits = predictions(model, data.test)
    result: dict[str, Any] = {
        "run": str(run.path),
        "recipe": run.recipe.name,
        "budget": run.recipe.budget,
        "seed": run.seed,
        "step": run.steps_done,
        "events": list(RunFolder(run.path).events()),
        "data": data.name,
        "suite": suite,
        "n": len(data.test),
        "accuracy": agreement(logits, data.test.labels),
        "calibration": calibration(logits, data.test.labels),
    }
    attack = run.recipe.attack
    progress(f"robust accuracy, {attack.norm}")
    result["robust_accuracy"] = robust_accuracy(
        model,
        attacked_images(data.test, generator),
        attack.norm,
        radii(attack, data),
        generator=generator.fold("attack"),
        steps=_PGD_STEPS,
        restarts=_RESTARTS,
    )
    result["ood"] = []
    progress("the judge")
    judged = processes.in_turn(
        lambda: _opened(judge, run, data, device=device, cache=cache, progress=progress)
    )
    result["judge"] = judged.told
    result["reference"] = {
        "data": data.name,
        "split": "test",
        "n": len(data.test),
        "is": judged.best_score,
    }

    def sample(name: str, y: Tensor) -> Tensor:
        # One stream for all: each sampler starts from the same draws of the init.
        stream = generator.fold("samples")
        return draw(model, run.sampler(name), y, stream, device=device, processes=processes)

    result["generation"] = _generation(run, model, judged, count, sample, progress)
    return result


@dataclass(frozen=True)
class _Judged:
    """A judge, and what it has seen to compare samples with.

    Args:
        judge: the eye.
        reference: held-out images.
        learnt: the images the model was trained on.
        yardstick: how near held-out images are to those.
    """

    judge: Judge | Inception
    reference: Seen
    learnt: Seen
    yardstick: dict[str, float]

    @property
    def told(self) -> dict[str, Any]:
        """Which judge it is, and how accurate on held-out images whose classes it knows."""
        seen = self.reference
        right = agreement(seen.logits, seen.labels) if seen.knows_classes else None
        return {"name": self.judge.name, "accuracy": right, "sha256": self.judge.sha256}

    @property
    def best_score(self) -> float | None:
        """The Inception score of real images, which is the scale of the samples'."""
        logits = self.reference.logits
        return inception_score(logits)[0] if len(logits) >= _LEAST_FOR_SCORE else None

    def row(self, sampler: str, images: Images, origin: str) -> dict[str, Any]:
        """Return every figure of these samples."""
        seen = look(images, self.judge)
        figures = compare(seen, self.reference, self.learnt, self.yardstick)
        return {"sampler": sampler, "origin": origin, **figures}


def _opened(
    judge: Judge | Inception | None,
    run: Run,
    data: DataSet,
    *,
    device: Device,
    cache: Path | None,
    progress: Callable[[str], None],
) -> _Judged:
    """Open the judge, and show it the images that samples are compared with."""
    judge = judge or judge_for(data, cache, device=device, progress=progress)
    judged, learnt = fingerprint(data), run.environment["data_fingerprint"]
    own = data if judged == learnt else run.data()
    reference = look_once(data.test, judge, f"{judged} test", cache, progress)
    trained = look_once(own.train, judge, f"{learnt} train", cache, progress)
    return _Judged(judge, reference, trained, nearest_to(trained, reference))


def _generation(
    run: Run,
    model: JointEnergyModel,
    judged: _Judged,
    count: int,
    sample: Callable[[str, Tensor], Tensor],
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Judge each sampler from scratch, beside its own init, and the buffer's chains."""
    y = balanced_labels(count, run.classes)
    rows = []
    for name in ("init", *_SAMPLERS):
        progress(f"{count} samples by {name}")
        began = time.perf_counter()
        x = sample(name, y)
        seconds = (time.perf_counter() - began) / count
        row = judged.row(name, Images(to_bytes(x), y), "scratch")
        rows.append({**row, "seconds_per_image": seconds})
    chains = run.chains()
    if chains is not None:
        progress("the replay buffer's chains")
        # A chain on E(x) may leave the class it began in, so it is labelled by what it shows.
        images = to_bytes(chains[:count])
        labels = predictions(model, Images(images, torch.zeros(len(images)).long())).argmax(dim=1)
        row = judged.row("chains", Images(images, labels), "buffer")
        rows.append({**row, "seconds_per_image": None})
    return rows

"""The way of combined inference, frame by frame: init, attack, contrast, walk."""

from __future__ import annotations

from typing import Any

import torch

from jemstone.data import to_bytes
from jemstone.experiments.reproduction.frames import frames_shown, steps_of
from jemstone.experiments.runs import Run
from jemstone.functional.energies import joint_energy
from jemstone.samplers import PGD, SGLD, Clamp, ReduceContrast
from jemstone.training import Device
from jemstone.types import Generator, Init, Stage

__all__ = ["trajectory"]

_STAGES = {PGD: "attack", ReduceContrast: "contrast", SGLD: "walk", Clamp: "clamp"}  # else: init
_FRAMES = 80
_CHAINS = 10


def _named(part: Init | Stage) -> str:
    return next((name for kind, name in _STAGES.items() if isinstance(part, kind)), "init")


@torch.no_grad()
def trajectory(run: Run, classes: tuple[str, ...], device: Device) -> dict[str, Any]:
    """Follow one chain of each class, up to ten, through combined inference.

    Args:
        run: a trained network.
        classes: their names.
        device: where to walk.

    Returns:
        ``labels``; for each frame its ``stages`` name, its number there in ``steps``, ``images``
        uint8 (T, B, C, H, W), ``energy`` :math:`E(x, y)` and ``probability`` :math:`p(y|x)`,
        (T, B); ``class_names``; and how many ``frames`` the way has. Of longer ways there are 80,
        the last of each stage among them.
    """
    model = run.model().to(device.name)
    y = torch.arange(min(len(classes), _CHAINS)).to(device.name)
    sampler = run.sampler("combined")
    stream = Generator(run.seed).fold("samples")
    way = [(_named(part), x) for part, x in sampler.trace(model, y, stream)]
    stages = [name for name, _ in way]
    kept, steps = frames_shown(stages, _FRAMES), steps_of(stages)
    energies, probabilities = [], []
    for place in kept:
        logits = model.logits(way[place][1])
        energies.append(joint_energy(logits, y).cpu())
        probabilities.append(logits.softmax(dim=1).gather(1, y[:, None])[:, 0].cpu())
    return {
        "labels": y.tolist(),
        "stages": [stages[place] for place in kept],
        "steps": [steps[place] for place in kept],
        "frames": len(way),
        "images": torch.stack([to_bytes(way[place][1].cpu()) for place in kept]),
        "energy": torch.stack(energies),
        "probability": torch.stack(probabilities),
        "class_names": [classes[k] for k in y.tolist()],
    }

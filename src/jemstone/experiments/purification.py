"""Judge a walk before classifying as a defence, beside the same classifier without it."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.experiments.attack_bench import digest_of_case
from jemstone.functional.balls import Ball, ball
from jemstone.functional.confidence import wilson_interval
from jemstone.metrics.attacks import check_images
from jemstone.metrics.batches import Deal, alone
from jemstone.metrics.laws import Verdict, below_clean, falls_with_eps
from jemstone.metrics.purification import Purified, purified_survivors
from jemstone.model import JointEnergyModel
from jemstone.random import Generator
from jemstone.samplers import Walk

__all__ = ["judge_purification"]


def judge_purification(
    model: JointEnergyModel,
    walk: Walk,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Sequence[float],
    norm: str = "linf",
    generator: Generator | None = None,
    steps: int = 20,
    repetitions: int = 16,
    batch_size: int = 100,
    store: MutableMapping[str, Any] | None = None,
    progress: Callable[[str], object] = lambda line: None,
    deal: Deal = alone,
) -> list[dict[str, Any]]:
    """Attack a purified model by EOT and BPDA, and the plain model by the same PGD.

    A walk that helps shows a ``value`` above that of ``plain``. It is an upper bound: BPDA follows
    the walk's gradient only as far as the walk stays near.

    References:
        Athalye et al., 2018, https://arxiv.org/abs/1802.00420
        Hill et al., 2021, https://arxiv.org/abs/2005.13525

    Args:
        model: the classifier, and the energy that the walk descends.
        walk: what moves images before they are classified, as ``SGLD``; it sees no label.
        images: float32 (N, C, H, W) in [0, 1]; image i draws from ``generator.at(i)``.
        labels: int64 (N,).
        eps: radii above 0, in [0, 1] pixels.
        norm: ``linf`` or ``l2``.
        generator: the randomness; seed 0 by default.
        steps: of each walk of the attacker.
        repetitions: draws for each gradient and each decision, at least 15.
        batch_size: images in a pass.
        store: what is known already, by name, in JSON's types; each batch is put there as soon as
            it is done.
        progress: hears what is done next.
        deal: who takes which batch.

    Returns:
        For each radius, smallest first: ``attack``, ``norm``, ``eps``, ``value``, ``n``,
        ``interval`` (Wilson's, 95 %) and ``laws`` of the purified model, its ``clean`` accuracy,
        the ``walk``, and ``clean``, ``value`` and ``interval`` of the ``plain`` model.

    Raises:
        Mistake: for fewer repetitions, pixels outside [0, 1], other labels than the model's, an
            unknown norm, or a radius that is not above 0.
    """
    check_images(images)
    if not eps or not all(0 < e < math.inf for e in eps) or min(steps, batch_size) < 1:
        raise Mistake(
            f"radii are finite and above 0, at least one, unlike {list(eps)}; steps and images in "
            "a batch are at least one"
        )
    generator, known = generator or Generator(0), {} if store is None else store
    about = f"{digest_of_case(model, images, labels)} {_describe(walk)}"
    attack = f"PGD-{steps} EOT-{repetitions} BPDA"

    def attacked(threat: Ball, places: Tensor) -> Tensor:
        first = int(places[0])
        progress(f"{attack}, {threat}: {len(places)} images from number {first} on")
        name = f"{about} {attack} {threat} {generator.seed} {first} {len(places)}"
        if name not in known:
            stream = generator.fold("purified").at(places)
            known[name] = purified_survivors(
                Purified(model, walk, stream.fold("walk")),
                images[places],
                labels[places],
                threat,
                generator=stream,
                steps=steps,
                repetitions=repetitions,
            ).tolist()
        return torch.tensor(known[name]).T

    rows: list[dict[str, Any]] = []
    before = torch.ones(4, len(images), dtype=torch.bool)
    for threat in (ball(norm, e) for e in sorted({float(e) for e in eps})):
        # What a smaller ball broke is broken in a larger one.
        before = before & deal(partial(attacked, threat), len(images), batch_size).T
        smaller = {row["eps"]: row["value"] for row in rows}
        rows.append(_row(attack, norm, threat, before, smaller) | {"walk": _describe(walk)})
    return rows


def _row(
    attack: str, norm: str, threat: Ball, standing: Tensor, smaller: dict[float, float]
) -> dict[str, Any]:
    """Return the contract's mapping; ``standing`` is bool (4, N), as of purified_survivors."""
    n = standing.shape[1]
    counts = [int(count) for count in standing.sum(dim=1)]
    plain_clean, plain, clean, value = (count / n for count in counts)
    laws: dict[str, Verdict] = {
        "below_clean": below_clean(value, clean),
        "falls_with_eps": falls_with_eps(value, smaller),
    }
    return {
        "attack": attack,
        "norm": norm,
        "eps": threat.eps,
        "value": value,
        "n": n,
        "interval": list(wilson_interval(counts[3], n)),
        "laws": laws,
        "clean": clean,
        "plain": {
            "clean": plain_clean,
            "value": plain,
            "interval": list(wilson_interval(counts[1], n)),
        },
    }


def _describe(walk: Walk) -> str:
    """Return a walk in one line: its class and its numbers."""
    plain = {
        name: getattr(value, "__name__", value)
        for name, value in sorted(vars(walk).items())
        if callable(value) or isinstance(value, int | float | str | tuple)
    }
    return f"{type(walk).__name__}({', '.join(f'{name}={value}' for name, value in plain.items())})"

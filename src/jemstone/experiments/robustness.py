"""Judge a classifier under attack as a sceptic would: strong attacks, and laws beside each number.

References:
    Carlini et al., "On evaluating adversarial robustness", 2019,
    https://arxiv.org/abs/1902.06705
    Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", 2020, https://arxiv.org/abs/2003.01690
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from jemstone.errors import Mistake, unknown
from jemstone.experiments.attack_bench import LOSSES, AttackBench, Standing
from jemstone.functional.balls import Ball, ball
from jemstone.functional.confidence import wilson_interval
from jemstone.metrics.attacks import check_images
from jemstone.metrics.batches import Deal, alone
from jemstone.metrics.laws import (
    Verdict,
    below_clean,
    every_image_can_be_grey,
    falls_with_eps,
    grey_radius,
    more_steps_never_help,
    no_weaker_than_black_box,
    no_weaker_than_pgd,
)
from jemstone.metrics.victim import Classifier, Victim
from jemstone.nn.modes import fixed
from jemstone.random import Generator

__all__ = ["ATTACKS", "judge_robustness"]

ATTACKS = ("pgd", "square", "autoattack")
_SHORTER = 4  # the walks that the law on steps compares with take a quarter of the steps
_STANDARD = (100, 5000)  # steps and queries of AutoAttack

Laws = dict[str, Verdict]


def judge_robustness(
    model: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Sequence[float],
    norm: str = "linf",
    curve: Sequence[float] = (),
    attacks: Sequence[str] = ATTACKS,
    generator: Generator | None = None,
    steps: int = 40,
    restarts: int = 2,
    batch_size: int = 100,
    autoattack_steps: int = 100,
    queries: int = 5000,
    store: MutableMapping[str, Any] | None = None,
    progress: Callable[[str], object] = lambda line: None,
    deal: Deal = alone,
) -> list[dict[str, Any]]:
    """Attack a classifier in every way that we know, and hold each number to its laws.

    PGD runs once on cross-entropy and once on the margin, at every radius of ``eps`` and
    ``curve``, and at the radius where every image can become mid-grey; Square alone and AutoAttack
    run at each ``eps``. Last comes the worst case, at all radii: an image counts as robust only if
    it is right clean and under every attack of that and smaller radii.

    References:
        Carlini et al., 2019, https://arxiv.org/abs/1902.06705
        Croce & Hein, 2020, https://arxiv.org/abs/2003.01690

    Args:
        model: an energy model, or any map from images (B, C, H, W) in [0, 1] to logits (B, K); a
            module is held in eval mode.
        images: float32 (N, C, H, W) in [0, 1]; image i draws from ``generator.at(i)``.
        labels: int64 (N,).
        eps: radii above 0, in [0, 1] pixels.
        norm: ``linf`` or ``l2``.
        curve: further radii, for PGD alone.
        attacks: of ``ATTACKS``.
        generator: the randomness; seed 0 by default.
        steps: of PGD.
        restarts: of PGD at each radius, beside the walk from the nearest miss.
        batch_size: images in a pass.
        autoattack_steps: of APGD and FAB; 100 in the standard version.
        queries: of Square; 5000 in the standard version.
        store: what is known already, by name, in JSON's types; each attack of each batch is put
            there as soon as it is done. Names tell images, settings and a module's weights; for a
            model that is not a module, keep one store for each.
        progress: hears what is done next.
        deal: who takes which batch.

    Returns:
        For each attack and radius ``attack``, ``norm``, ``eps``, ``value``, ``n``, ``interval``
        (Wilson's, 95 %) and ``laws``, by name: the ``law``, whether it ``passed``, and the
        ``values`` it compared. A number with a broken law is too high.

    Raises:
        Mistake: for pixels outside [0, 1], other labels than the model's, an unknown norm or
            attack, a radius that is not above 0, fewer than 4 steps or 1 restart, AutoAttack
            without its extra, or a model that answers at random.
    """
    _check(eps, curve, attacks, steps, restarts, batch_size)
    check_images(images)
    radii = sorted({float(e) for e in (*eps, *curve)})
    grey = grey_radius(ball(norm, radii[0]), images[0].numel())
    threats = [ball(norm, e) for e in sorted({*radii, max(radii[-1], grey)})]
    strong = [ball(norm, e) for e in sorted({float(e) for e in eps})]
    victim = Victim(model)
    bench = AttackBench(
        victim.frozen(images[:1].to(victim.device)),
        images,
        labels,
        generator=generator or Generator(0),
        batch_size=batch_size,
        steps=autoattack_steps,
        queries=queries,
        store={} if store is None else store,
        progress=progress,
        deal=deal,
    )
    with fixed(victim.module):
        clean = bench.clean()
        black = bench.square(strong) if "square" in attacks else {}
        columns = []
        if "pgd" in attacks:
            for loss in LOSSES:
                columns.append(_by_pgd(bench, loss, threats, steps, restarts, clean, black))
        if "autoattack" in attacks:
            columns.append(_by_autoattack(bench, strong, black, list(columns)))
        if black:
            columns.append(_Column(f"Square-{queries}", black))
    columns.append(_worst(columns, black))
    size = images[0].numel()
    return [row for column in columns for row in column.rows(norm, clean, labels, size)]


def _check(
    eps: Sequence[float],
    curve: Sequence[float],
    attacks: Sequence[str],
    steps: int,
    restarts: int,
    batch_size: int,
) -> None:
    """Refuse settings that measure nothing."""
    if not eps or not all(0 < e < math.inf for e in (*eps, *curve)):
        raise Mistake(f"radii are finite and above 0, at least one, unlike {[*eps, *curve]}")
    for attack in attacks:
        if attack not in ATTACKS:
            raise unknown("attack", attack, ATTACKS)
    if not attacks or steps < _SHORTER or min(restarts, batch_size) < 1:
        raise Mistake(
            f"a judgement takes an attack, {_SHORTER} steps, a restart and an image in a batch "
            "at least"
        )


@dataclass(frozen=True)
class _Column:
    """One attack at growing radii.

    Args:
        attack: its name.
        survivors: by radius, which images stand, bool (N,).
        laws: by radius, those that are not every attack's.
        white: by radius, what stands after its attacks by gradients.
        more: what else its rows say.
    """

    attack: str
    survivors: Standing
    laws: Mapping[float, Laws] = field(default_factory=dict)
    white: Standing = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def rows(self, norm: str, clean: Tensor, labels: Tensor, size: int) -> list[dict[str, Any]]:
        """Return the contract's mapping for each radius, smallest first."""
        rows: list[dict[str, Any]] = []
        for eps, standing in sorted(self.survivors.items()):
            value = _share(standing)
            laws: Laws = {
                "below_clean": below_clean(value, _share(clean)),
                "falls_with_eps": falls_with_eps(value, {row["eps"]: row["value"] for row in rows}),
            }
            grey = every_image_can_be_grey(value, ball(norm, eps), labels, size)
            if grey is not None:
                laws["every_image_can_be_grey"] = grey
            rows.append(
                {
                    "attack": self.attack,
                    "norm": norm,
                    "eps": eps,
                    "value": value,
                    "n": len(standing),
                    "interval": list(wilson_interval(int(standing.sum()), len(standing))),
                    "laws": {**laws, **self.laws.get(eps, {})},
                    **self.more,
                }
            )
        return rows


def _by_pgd(
    bench: AttackBench,
    loss: str,
    threats: Sequence[Ball],
    steps: int,
    restarts: int,
    clean: Tensor,
    black: Standing,
) -> _Column:
    """Attack by PGD on one loss, and by shorter walks to compare with."""
    survivors = bench.pgd(loss, threats, steps, restarts)
    shorter = bench.pgd(loss, threats, steps // _SHORTER, restarts)
    gradient = bench.gradient(loss, clean)
    laws: dict[float, Laws] = {}
    for eps, standing in survivors.items():
        value, n = _share(standing), len(standing)
        laws[eps] = {
            "more_steps_never_help": more_steps_never_help(value, _share(shorter[eps]), n),
            "gradient_reaches_the_image": gradient,
            **_against(black, eps, standing),
        }
    return _Column(f"PGD-{steps} x{restarts} ({loss})", survivors, laws, survivors, {"loss": loss})


def _by_autoattack(
    bench: AttackBench, threats: Sequence[Ball], black: Standing, by_pgd: Sequence[_Column]
) -> _Column:
    """Attack by the ensemble, its part with gradients first."""
    white, survivors = bench.autoattack(threats, black)
    laws: dict[float, Laws] = {}
    for eps, standing in survivors.items():
        laws[eps] = _against(black, eps, white[eps])
        if by_pgd:
            lowest = min(_share(column.survivors[eps]) for column in by_pgd)
            law = no_weaker_than_pgd(_share(standing), lowest, len(standing))
            laws[eps]["no_weaker_than_pgd"] = law
    name = "AutoAttack"
    if (bench.steps, bench.queries) != _STANDARD:
        name += ", shortened"
    more = {"parts": list(bench.parts), "steps": bench.steps, "queries": bench.queries}
    return _Column(name, survivors, laws, white, more)


def _against(black: Standing, eps: float, standing: Tensor) -> Laws:
    """Compare an attack by gradients with the black box, where that was run."""
    if eps not in black:
        return {}
    values = _share(standing), _share(black[eps])
    return {"no_weaker_than_black_box": no_weaker_than_black_box(*values, len(standing))}


def _worst(columns: Sequence[_Column], black: Standing) -> _Column:
    """Return the images that stand under every attack of every ball up to each.

    Its number is as good as the best attack by gradients: so are its laws.
    """
    survivors: dict[float, Tensor] = {}
    laws: dict[float, Laws] = {}
    gradients = [
        verdict
        for column in columns
        for of_radius in column.laws.values()
        for name, verdict in of_radius.items()
        if name == "gradient_reaches_the_image"
    ]
    for eps in sorted({eps for column in columns for eps in column.survivors}):
        survivors[eps] = _under(eps, [column.survivors for column in columns])
        white = [column.white for column in columns if column.white]
        laws[eps] = _against(black, eps, _under(eps, white)) if white else {}
        if gradients:
            laws[eps]["gradient_reaches_the_image"] = min(
                gradients, key=lambda verdict: verdict["values"]["without_gradient"]
            )
    more = {"of": [column.attack for column in columns]}
    return _Column("worst case", survivors, laws, more=more)


def _under(eps: float, attacks: Sequence[Standing]) -> Tensor:
    """Return which images stand under all attacks at all radii up to ``eps``, bool (N,)."""
    found = [flags for attack in attacks for radius, flags in attack.items() if radius <= eps]
    return torch.stack(found).all(dim=0)


def _share(standing: Tensor) -> float:
    return int(standing.sum()) / len(standing)

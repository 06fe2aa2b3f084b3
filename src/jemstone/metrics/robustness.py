"""How often a model stays right when an attacker may move every pixel a little.

References:
    Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018,
    https://arxiv.org/abs/1706.06083
    Carlini et al., "On evaluating adversarial robustness", 2019,
    https://arxiv.org/abs/1902.06705
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.functional.balls import ball
from jemstone.functional.confidence import wilson_interval
from jemstone.metrics.attacks import pgd_survivors
from jemstone.metrics.batches import Deal, alone
from jemstone.metrics.classification import device_of
from jemstone.metrics.laws import below_clean, every_image_can_be_grey, falls_with_eps
from jemstone.nn.modes import held
from jemstone.random import Generator
from jemstone.types import EnergyModel

__all__ = ["robust_accuracy"]


def robust_accuracy(
    model: EnergyModel,
    images: Images,
    norm: str,
    eps_list: Sequence[float],
    *,
    generator: Generator,
    steps: int = 20,
    restarts: int = 2,
    batch_size: int = 256,
    deal: Deal = alone,
) -> list[dict[str, Any]]:
    r"""Measure the share of images that PGD does not break, for balls of growing radius.

    An image is robust only if its clean and every attacked version are right; attacked versions
    are looked at after every step. Each radius begins with a walk from the image's nearest miss
    so far (of smaller radii; at first the image itself) and goes on with ``restarts`` walks from
    random starts; a walk's step is :math:`2.5 \epsilon / \text{steps}`. What is broken stays
    broken. The draws of an image depend on the seed and its number alone.

    References:
        Madry et al., 2018, https://arxiv.org/abs/1706.06083

    Args:
        model: the classifier; it is held in eval mode.
        images: N of them; image i draws from ``generator.at(i)``.
        norm: ``linf`` or ``l2``.
        eps_list: radii in [0, 1] pixels; 0 gives the clean accuracy.
        generator: the randomness of the starts.
        steps: of a walk.
        restarts: random starts for each radius.
        batch_size: images in a pass.
        deal: who takes which batch.

    Returns:
        For each radius, smallest first: ``attack``, ``norm``, ``eps``, ``value`` (the robust
        accuracy), ``n``, ``interval`` (Wilson's, 95 %) and ``laws``, by name: the ``law``, whether
        it ``passed``, and the ``values`` it compared. A number that breaks
        ``every_image_can_be_grey`` is too high: the model hides its gradients from the attack.

    Raises:
        Mistake: for an unknown norm, a negative radius, no step, no restart or no image, labels
            that are not of the model's classes, or logits that are not finite.
    """
    if min(steps, restarts, batch_size, len(images)) < 1:
        raise Mistake(
            "robust accuracy needs at least one step, one restart and one image in a batch"
        )
    if not all(0 <= eps < math.inf for eps in eps_list):
        raise Mistake(f"radii are finite and not negative, unlike some of {list(eps_list)}")
    balls = [ball(norm, float(eps)) for eps in sorted(set(eps_list))]
    device = device_of(model)

    def attacked(places: Tensor) -> Tensor:
        x, y = images.take(places)
        survivors = pgd_survivors(
            model,
            x.to(device),
            y.to(device),
            balls,
            generator=generator.at(places),
            steps=steps,
            restarts=restarts,
        )
        return survivors.T.cpu()

    with held(model):
        standing = deal(attacked, len(images), batch_size).sum(dim=0)
    clean, *left = (int(count) for count in standing)
    size = math.prod(images.shape)
    rows: list[dict[str, Any]] = []
    for threat, count in zip(balls, left, strict=True):
        value = count / len(images)
        laws = {
            "below_clean": below_clean(value, clean / len(images)),
            "falls_with_eps": falls_with_eps(value, {row["eps"]: row["value"] for row in rows}),
        }
        grey = every_image_can_be_grey(value, threat, images.labels, size)
        if grey is not None:
            laws["every_image_can_be_grey"] = grey
        rows.append(
            {
                "attack": f"PGD-{steps} x{restarts}",
                "norm": norm,
                "eps": threat.eps,
                "value": value,
                "n": len(images),
                "interval": list(wilson_interval(count, len(images))),
                "laws": laws,
            }
        )
    return rows

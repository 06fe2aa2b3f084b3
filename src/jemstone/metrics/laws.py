"""Laws that any honest robust accuracy fulfils; a number that breaks one is too high.

They are necessary, not sufficient: a number that fulfils them all may still be too high.

References:
    Athalye et al., "Obfuscated gradients give a false sense of security", 2018,
    https://arxiv.org/abs/1802.00420
    Carlini et al., "On evaluating adversarial robustness", 2019,
    https://arxiv.org/abs/1902.06705
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import torch
from torch import Tensor

from jemstone.functional.balls import Ball

__all__ = [
    "LAWS",
    "Verdict",
    "below_clean",
    "every_image_can_be_grey",
    "falls_with_eps",
    "gradient_reaches_the_image",
    "grey_radius",
    "more_steps_never_help",
    "no_weaker_than_black_box",
    "no_weaker_than_pgd",
]

LAWS = {
    "below_clean": "an attack rights no wrong: robust accuracy is at most clean accuracy",
    "falls_with_eps": "a ball holds all smaller ones: robust accuracy never rises with eps",
    "every_image_can_be_grey": (
        "in this ball every image can become mid-grey: accuracy is at most the largest class's"
    ),
    "no_weaker_than_black_box": (
        "an attacker who has the gradient breaks no fewer images than one who may only ask"
    ),
    "no_weaker_than_pgd": "AutoAttack breaks no fewer images than plain PGD",
    "more_steps_never_help": "a longer attack leaves no more images standing than a shorter",
    "gradient_reaches_the_image": "the attacker's loss has a gradient at (almost) every image",
}
"""What each law says."""


class Verdict(TypedDict):
    """What became of a law: its sentence, whether it held, and the numbers it compared."""

    law: str
    passed: bool
    values: dict[str, float]


def _verdict(name: str, passed: bool, values: Mapping[str, float]) -> Verdict:
    return {"law": LAWS[name], "passed": passed, "values": dict(values)}


def _no_higher(value: float, bound: float, n: int) -> bool:
    """Compare two measurements by random starts: one image in a hundred may differ by chance."""
    return round(value * n) <= round(bound * n) + n // 100


def below_clean(value: float, clean: float) -> Verdict:
    """Compare a robust accuracy with the clean one.

    >>> below_clean(0.5, 0.9)["passed"]
    True

    Args:
        value: robust accuracy, in [0, 1].
        clean: accuracy on the same images.
    """
    return _verdict("below_clean", value <= clean, {"robust": value, "clean": clean})


def falls_with_eps(value: float, smaller: Mapping[float, float]) -> Verdict:
    """Compare a robust accuracy with those of smaller radii.

    Args:
        value: robust accuracy, in [0, 1].
        smaller: by radius, what the same attack left in smaller balls.
    """
    lowest = min(smaller.values(), default=1.0)
    return _verdict(
        "falls_with_eps", value <= lowest, {"robust": value, "lowest_of_smaller_eps": lowest}
    )


def every_image_can_be_grey(
    value: float, threat: Ball, labels: Tensor, size: int
) -> Verdict | None:
    """Compare a robust accuracy with the largest class's share, where the ball reaches mid-grey.

    Args:
        value: robust accuracy, in [0, 1].
        threat: its ball.
        labels: of the attacked images, int64 (N,).
        size: pixels times channels of an image.

    Returns:
        None in a ball too small for the law.
    """
    if threat.eps < grey_radius(threat, size):
        return None
    largest = int(labels.bincount().max()) / len(labels)
    values = {"robust": value, "largest_class": largest}
    return _verdict("every_image_can_be_grey", value <= largest, values)


def grey_radius(threat: Ball, size: int) -> float:
    r"""Return the radius at which every image's ball holds mid-grey, that of black and white.

    It is 1/2 in Linf, and :math:`\sqrt{D}/2` in L2.

    >>> from jemstone.functional.balls import L2
    >>> grey_radius(L2(0.1), size=64)
    4.0

    Args:
        threat: any ball of the norm.
        size: :math:`D`, pixels times channels of an image.

    """
    return float(threat.norm(torch.full((1, size), 0.5, dtype=torch.float64)))


def no_weaker_than_black_box(value: float, black_box: float, n: int) -> Verdict:
    """Compare what an attack by gradients left standing with what Square left.

    Args:
        value: robust accuracy under the attack by gradients.
        black_box: robust accuracy under Square, of the same ball and images.
        n: images; one in a hundred may differ by chance.
    """
    values = {"white_box": value, "black_box": black_box}
    return _verdict("no_weaker_than_black_box", _no_higher(value, black_box, n), values)


def no_weaker_than_pgd(value: float, pgd: float, n: int) -> Verdict:
    """Compare what AutoAttack left standing with what PGD left.

    Args:
        value: robust accuracy under AutoAttack.
        pgd: the lowest under PGD, of the same ball and images.
        n: images; one in a hundred may differ by chance.
    """
    values = {"autoattack": value, "pgd": pgd}
    return _verdict("no_weaker_than_pgd", _no_higher(value, pgd, n), values)


def more_steps_never_help(value: float, fewer: float, n: int) -> Verdict:
    """Compare what a long attack left standing with what a short one of its own left.

    Args:
        value: robust accuracy under the long attack.
        fewer: robust accuracy under the short one.
        n: images; one in a hundred may differ by chance.
    """
    values = {"more_steps": value, "fewer_steps": fewer}
    return _verdict("more_steps_never_help", _no_higher(value, fewer, n), values)


def gradient_reaches_the_image(silent: Tensor) -> Verdict:
    """Look for images at which the attacker's loss has no gradient at all.

    Args:
        silent: whether the loss's gradient is zero in every pixel, bool (N,), of images that are
            classified right; no image at all breaks no law.
    """
    share = float(silent.double().mean()) if len(silent) else 0.0
    return _verdict("gradient_reaches_the_image", share <= 0.01, {"without_gradient": share})

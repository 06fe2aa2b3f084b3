"""A walk's frames: the stages they are of, their steps in it, and which of many are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["frames_shown", "stages_of", "steps_of"]


def stages_of(stages: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return the runs of equal stages, each with its first and its last frame.

    >>> stages_of(["init", "attack", "attack", "contrast"])
    [('init', 0, 0), ('attack', 1, 2), ('contrast', 3, 3)]
    """
    starts = [t for t, stage in enumerate(stages) if t == 0 or stage != stages[t - 1]]
    ends = [*(start - 1 for start in starts[1:]), len(stages) - 1]
    return [(stages[start], start, end) for start, end in zip(starts, ends, strict=True)]


def steps_of(stages: Sequence[str]) -> list[int]:
    """Return the number that each frame has in its stage, from 1.

    >>> steps_of(["init", "attack", "attack", "contrast"])
    [1, 1, 2, 1]
    """
    return [t - start + 1 for _, start, end in stages_of(stages) for t in range(start, end + 1)]


def frames_shown(stages: Sequence[str], most: int, steps: Sequence[int] | None = None) -> list[int]:
    r"""Choose frames: the first, the last of every stage, and others as densely as images change.

    An image changes most in the first steps of a stage, so frames stand evenly in
    :math:`\log(1 + t)` of the steps t of a stage, where step 0 is what the stage before left. A
    stage ten times as long has a few frames more, and not ten times as many.

    >>> frames_shown(["init"] + 4 * ["attack"] + ["contrast"] + 8 * ["walk"], 7)
    [0, 1, 4, 5, 7, 9, 13]

    Args:
        stages: of each frame.
        most: how many, unless there are more stages.
        steps: of each frame in its stage, where frames are missing; by default none is.
    """
    times = [math.log1p(step) for step in steps or steps_of(stages)]
    ends = {end for _, _, end in stages_of(stages)}
    chosen = sorted({0, *ends})
    while len(chosen) < min(most, len(stages)):
        gaps = [
            (times[after] - start, start, before, after)
            for before, after in pairwise(chosen)
            for start in (0.0 if before in ends else times[before],)
            if after - before > 1
        ]
        length, start, before, after = max(gaps)
        middle = start + length / 2
        nearest = min(range(before + 1, after), key=lambda t: abs(times[t] - middle))
        chosen = sorted({*chosen, nearest})
    return chosen

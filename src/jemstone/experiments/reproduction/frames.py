"""A walk's frames: the stages they are of, their steps in it, and which of many are kept."""

from __future__ import annotations

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


def frames_shown(stages: Sequence[str], most: int) -> list[int]:
    """Choose frames: the first, the last of every stage, and others evenly between them.

    >>> frames_shown(["init"] + 4 * ["attack"] + ["contrast"] + 8 * ["walk"], 6)
    [0, 2, 4, 5, 9, 13]

    Args:
        stages: of each frame.
        most: how many, unless there are more stages.
    """
    chosen = sorted({0, *(end for _, _, end in stages_of(stages))})
    while len(chosen) < min(most, len(stages)):
        before, after = max(pairwise(chosen), key=lambda pair: pair[1] - pair[0])
        chosen = sorted({*chosen, (before + after) // 2})
    return chosen

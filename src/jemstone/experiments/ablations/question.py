"""A setting that somebody has to choose, its alternatives, and what their figures say of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from jemstone.errors import Mistake
from jemstone.functional.confidence import standard_error

__all__ = ["Choice", "Question", "decide", "pooled"]

_MARGIN = 0.1  # of FID: within it, one run's samples do not tell two settings apart
_SURER = 1.02  # times the IS


@dataclass(frozen=True)
class Choice:
    """One answer to a question, under one sampler.

    Args:
        value: of the setting, a number or words.
        sampler: that it is judged by.
        fields: what it changes in the recipe, by dotted path; none for the recipe as it is.
    """

    value: Any
    sampler: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """A setting and its alternatives.

    Args:
        id: short name.
        what: is asked, in words.
        field: dotted path in the recipe, or words.
        default: the value that the recipe has.
        choices: the alternatives, the default among them. The first one's sampler decides.
        note: why there is nothing to choose, where there is not.
    """

    id: str
    what: str
    field: str
    default: Any
    choices: tuple[Choice, ...]
    note: str = ""

    def answered(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the question with its rows and what they would choose, ready for JSON.

        Args:
            rows: figures of each choice, with its ``value`` and ``sampler``, in their order.
        """
        chosen, why = (self.default, self.note) if self.note else decide(self.default, rows)
        return {
            "id": self.id,
            "what": self.what,
            "field": self.field,
            "default": self.default,
            "chosen": chosen,
            "why": why,
            "rows": [dict(row) for row in rows],
        }


def decide(default: Any, rows: Sequence[Mapping[str, Any]]) -> tuple[Any, str]:
    """Choose by FID: the default stays unless another's is over 10 % lower; then the lowest.

    An Inception score rises with images that merely look sure of their class, so it does not
    choose; where it would choose otherwise, that is told, and so is a cheaper setting that is as
    good.

    >>> told = {"sampler": "energy", "is": 9.0, "passes_per_image": 10}
    >>> decide(1, [{"value": 1, "fid": 2.0, **told}, {"value": 2, "fid": 1.0, **told}])
    (2, 'the lowest FID: 1, the default has 2')

    Args:
        default: the value that the recipe has.
        rows: ``value``, ``sampler``, ``fid``, ``is`` and ``passes_per_image``; those of the first
            row's sampler count, and of them those that have a FID.

    Returns:
        The value, and why.
    """
    rows = [row for row in rows if row["sampler"] == rows[0]["sampler"]]
    judged = [row for row in rows if row["fid"] is not None]
    if not judged:
        return default, "no setting has a FID: the default stays"
    best = min(judged, key=lambda row: row["fid"])
    held = next((row for row in judged if row["value"] == default), None)
    if held is None:
        chosen, why = best, f"the lowest FID: {best['fid']:.3g}; the default has none"
    elif best["fid"] < (1 - _MARGIN) * held["fid"]:
        chosen, why = best, f"the lowest FID: {best['fid']:.3g}, the default has {held['fid']:.3g}"
    else:
        chosen, why = held, f"no FID is over 10 % below the default's {held['fid']:.3g}"
    surest = max(judged, key=lambda row: row["is"])
    if surest["is"] > _SURER * chosen["is"]:
        why += f"; IS would choose {surest['value']}: {surest['is']:.3g}, not {chosen['is']:.3g}"
    as_good = [row for row in judged if row["fid"] <= chosen["fid"] / (1 - _MARGIN)]
    cheapest = min(as_good, key=lambda row: row["passes_per_image"])
    if cheapest["passes_per_image"] < chosen["passes_per_image"]:
        why += (
            f"; {cheapest['value']} has {cheapest['fid']:.3g} "
            f"at {cheapest['passes_per_image']:g} passes, not {chosen['passes_per_image']:g}"
        )
    if any(row.get("robust_accuracy") is not None for row in judged):
        accuracies = (
            f"{row['value']} {row['accuracy']:.3f} / {row['robust_accuracy']:.3f}" for row in judged
        )
        why += f"; accuracy clean / attacked: {', '.join(accuracies)}"
    return chosen["value"], why


def pooled(answers: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Answer the same questions once for many runs: by the means of their figures.

    A setting of which a run has no figure, because it diverged, has the mean of the others. Each
    row of several also has ``se``, the standard errors of its figures.

    Args:
        answers: of each run, as :func:`~jemstone.experiments.ablations.ablate` returns them.

    Raises:
        Mistake: where the runs were asked other questions.
    """
    together = []
    for same in zip(*answers, strict=True):
        rows = [_mean(found) for found in zip(*(answer["rows"] for answer in same), strict=True)]
        asked = {json.dumps([a["id"], [r["value"] for r in a["rows"]]]) for a in same}
        if len(asked) > 1:
            raise Mistake(f"runs of several recipes were asked of {same[0]['id']}: pool one's")
        answer = dict(same[0])
        answer["rows"] = rows
        if len({row["value"] for row in rows}) > 1:  # else nobody had to choose
            answer["chosen"], answer["why"] = decide(answer["default"], rows)
        together.append(answer)
    return together


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means of the figures of one setting; words, and the value, are the first's.

    ``se`` has their standard errors, by name, where there are several runs.
    """
    mean, errors = dict(rows[0]), {}
    for name in mean.keys() - {"value"}:
        numbers = [row[name] for row in rows if isinstance(row[name], int | float)]
        if numbers:
            mean[name] = statistics.fmean(numbers)
        if len(numbers) > 1:
            errors[name] = standard_error(torch.tensor(numbers).double())
    return {**mean, "se": errors} if errors else mean

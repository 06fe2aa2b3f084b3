"""The paper's claims, each with a verdict that measured seeds allow.

A claim wants a difference above zero. It ``holds`` or ``fails`` only where the 95 % interval of
that difference lies on one side, over three seeds or more of both; else it is ``inconclusive``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch

from jemstone.experiments.reproduction.rows import CONTROL, ROWS
from jemstone.functional.statistics import newcombe_interval, welch_interval

__all__ = ["CLAIMS", "Contrast", "Values", "judge_claims"]

Values = Callable[[str, str, str], Sequence[float]]
"""Of a network, a sampler (or what else was asked of it) and a figure: its values, by seed."""

_LEAST_SEEDS = 3
_SAMPLERS = {
    CONTROL: "combined with full contrast, clamped",
    "classification": "",
    "gradients": "",
    "flow": "",
}
_WORDS = {
    "is": "IS",
    "accuracy": "accuracy",
    "margin_alignment": "margin alignment",
    "feature_spread": "spread of features",
}


@dataclass(frozen=True)
class Contrast:
    """A claim that one figure of one thing lies above that of others.

    Args:
        id: of the claim.
        claim: in words.
        paper: what the paper says of it.
        figure: that is compared.
        first: network and sampler that the claim is about.
        others: what it is compared with; the claim is of each of them.
        above: whether the claim wants the first to be larger.
        words: of the figure.
        beside: another figure, told and not judged.
    """

    id: str
    claim: str
    paper: str
    figure: str
    first: tuple[str, str]
    others: tuple[tuple[str, str], ...]
    above: bool = True
    words: str = ""
    beside: str | None = None


def _rows_but(id: str) -> tuple[tuple[str, str], ...]:
    return tuple((row.network, row.sampler) for row in ROWS.values() if row.id != id)


_JEMPP, _ENERGY = ("jempp", "energy"), ("robust-jem", "energy")
_COMBINED = ("robust-jem", "combined")
_ATTACK = ("robust-classifier", "attack")
_DIVERSE = "samples are less diverse"

CLAIMS = (
    Contrast(
        "energy-beats-jempp-is",
        "Robust JEM's energy-only samples beat JEM++'s in Inception score",
        "8.71 against 7.54",
        "is",
        _ENERGY,
        (_JEMPP,),
        words="IS",
    ),
    Contrast(
        "energy-beats-jempp-fid",
        "Robust JEM's energy-only samples beat JEM++'s in FID",
        "41.17 against 48.25",
        "fid",
        _ENERGY,
        (_JEMPP,),
        above=False,
        words="FID",
    ),
    Contrast(
        "combined-highest-is",
        "combined inference has the highest Inception score of all rows",
        "9.28, the next 8.71",
        "is",
        _COMBINED,
        _rows_but("robust-jem-combined"),
        words="IS",
    ),
    Contrast(
        "classifier-worst-fid",
        "the robust classifier alone has the worst FID of all rows",
        "85.12, the next 48.90",
        "fid",
        _ATTACK,
        _rows_but("robust-classifier"),
        words="FID",
    ),
    Contrast(
        "contrast-helps",
        "reduced contrast without clamping helps combined inference",
        "says so, without a figure",
        "fid",
        _COMBINED,
        (("robust-jem", CONTROL),),
        above=False,
        words="FID",
        beside="is",
    ),
    Contrast(
        "more-robust-than-classifier",
        "the hybrid's classifier is adversarially robust: more than a plain one",
        "says so, without a figure",
        "robust_accuracy",
        ("robust-jem", "classification"),
        (("classifier", "classification"),),
        words="robust accuracy",
        beside="accuracy",
    ),
    Contrast(
        "more-robust-than-jempp",
        "the hybrid's classifier is adversarially robust: more than JEM++'s",
        "says so, without a figure",
        "robust_accuracy",
        ("robust-jem", "classification"),
        (("jempp", "classification"),),
        words="robust accuracy",
        beside="accuracy",
    ),
    Contrast(
        "gradients-interpretable",
        "the hybrid's input gradients are interpretable: nearer to the classes than a plain "
        "classifier's",
        "shows pictures, without a figure",
        "class_mean_alignment_log_p",
        ("robust-jem", "gradients"),
        (("classifier", "gradients"),),
        words="alignment of gradients with class means",
        beside="margin_alignment",
    ),
    *(
        Contrast(
            f"less-diverse-{figure}",
            f"{_DIVERSE}: {words} of combined inference lies below that of JEM++",
            "says so, without a figure",
            figure,
            _COMBINED,
            (_JEMPP,),
            above=False,
            words=words,
            beside="feature_spread" if figure == "spread" else None,
        )
        for figure, words in (
            ("recall", "recall"),
            ("coverage", "coverage"),
            ("spread", "spread within classes"),
        )
    ),
)
"""All but that of stability, which is about runs and not about figures."""


def judge_claims(
    values: Values, stability: Mapping[str, Any] | None, claims: Sequence[Contrast] = CLAIMS
) -> list[dict[str, Any]]:
    """Give each claim its verdict.

    Args:
        values: what was measured.
        stability: of :func:`jemstone.experiments.stability.stability`; None where it was not run.
        claims: to judge.

    Returns:
        For each ``id``, ``claim``, ``paper``, ``measured``, ``verdict``, ``interval`` (of the
        rival that it is the nearest to, or None) and ``better``, what the claim wants above zero.
    """
    judged = [_judged(claim, values) for claim in claims]
    return [*judged[:4], _stabilises(stability), *judged[4:]]


def _judged(claim: Contrast, values: Values) -> dict[str, Any]:
    mine = values(*claim.first, claim.figure)
    measured = {other: values(*other, claim.figure) for other in claim.others}
    absent = [_name(it) for it, found in {claim.first: mine, **measured}.items() if not found]
    rivals = {other: theirs for other, theirs in measured.items() if mine and theirs}
    sign = 1 if claim.above else -1
    # The rival that the claim beats by the least comes first.
    order = sorted(rivals, key=lambda rival: sign * (fmean(mine) - fmean(rivals[rival])))
    intervals = {rival: _interval(mine, rivals[rival], sign) for rival in order}
    name = f"{claim.words} of {_name(claim.first)}"
    alone = len(claim.others) == 1
    than = f"that of {_name(claim.others[0])}" if alone else "that of each other row"
    return {
        "id": claim.id,
        "claim": claim.claim,
        "paper": claim.paper,
        "measured": _told(claim, mine, rivals, intervals, absent, values),
        "verdict": _verdict(
            [
                interval if min(len(mine), len(rivals[rival])) >= _LEAST_SEEDS else None
                for rival, interval in intervals.items()
            ]
            + [None] * (len(claim.others) - len(rivals))
        ),
        "interval": next(iter(intervals.values()), None),
        "better": f"{name} minus {than}" if claim.above else f"{than} minus {name}",
    }


def _interval(mine: Sequence[float], theirs: Sequence[float], sign: int) -> list[float] | None:
    """Return Welch's interval of the difference that a claim wants above zero."""
    if min(len(mine), len(theirs)) < 2:
        return None
    low, high = welch_interval(torch.tensor(mine), torch.tensor(theirs))
    return [low, high] if sign > 0 else [-high, -low]


def _verdict(intervals: Sequence[list[float] | None]) -> str:
    """Judge a claim by an interval for each rival, None where there are too few seeds."""
    known = [interval for interval in intervals if interval is not None]
    if any(high < 0 for _, high in known):
        return "fails"
    if len(known) == len(intervals) and all(low > 0 for low, _ in known):
        return "holds"
    return "inconclusive"


def _told(
    claim: Contrast,
    mine: Sequence[float],
    rivals: Mapping[tuple[str, str], Sequence[float]],
    intervals: Mapping[tuple[str, str], list[float] | None],
    absent: Sequence[str],
    values: Values,
) -> str:
    """Say in one line what was measured, of the nearest rival."""
    missing = f"not measured: {', '.join(absent)}" if absent else ""
    if not intervals:
        return missing
    rival, interval = next(iter(intervals.items()))
    theirs = rivals[rival]
    difference = (1 if claim.above else -1) * (fmean(mine) - fmean(theirs))
    line = f"{fmean(mine):.3g} against {fmean(theirs):.3g} of {_name(rival)}: {difference:+.3g}"
    if interval is not None:
        line += f" [{interval[0]:+.3g}, {interval[1]:+.3g}]"
    seeds = sorted({len(mine), len(theirs)})
    line += f", {' and '.join(map(str, seeds))} seed{'s' if seeds != [1] else ''}"
    if claim.beside is not None:
        ours, other = (values(*it, claim.beside) for it in (claim.first, rival))
        if ours and other:
            line += f"; {_WORDS[claim.beside]} {fmean(ours):.3g} against {fmean(other):.3g}"
    return f"{line}; {missing}" if missing else line


def _name(thing: tuple[str, str]) -> str:
    network, sampler = thing
    words = _SAMPLERS.get(sampler, sampler)
    return f"{network}, {words}" if words else network


def _stabilises(stability: Mapping[str, Any] | None) -> dict[str, Any]:
    """Judge by the difference of failure rates, over the same seeds and learning rates."""
    row: dict[str, Any] = {
        "id": "adversarial-training-stabilises",
        "claim": "adversarial training makes the training of a JEM more stable",
        "paper": "says so, without a figure",
        "measured": "not run: --stability",
        "verdict": "inconclusive",
        "interval": None,
        "better": "failure rate of jempp minus that of robust-jem",
    }
    runs = {} if stability is None else stability["recipes"]
    if not all(runs.get(name, {}).get("runs") for name in ("jempp", "robust-jem")):
        return row
    mine, theirs = (
        [bool(run["failed"]) for run in runs[name]["runs"]] for name in ("robust-jem", "jempp")
    )
    interval = list(newcombe_interval((sum(theirs), len(theirs)), (sum(mine), len(mine))))
    seeds = {run["seed"] for run in runs["robust-jem"]["runs"]}
    return row | {
        "measured": f"{sum(mine)} of {len(mine)} runs failed, against {sum(theirs)} of "
        f"{len(theirs)} of jempp: {sum(theirs) / len(theirs) - sum(mine) / len(mine):+.3g} "
        f"[{interval[0]:+.3g}, {interval[1]:+.3g}], {len(seeds)} seeds",
        "verdict": _verdict([interval if len(seeds) >= _LEAST_SEEDS else None]),
        "interval": interval,
    }

"""Each of the paper's claims with the verdict that measured seeds allow.

A claim wants a difference above zero. It ``holds`` or ``fails`` only where the 95 % interval of
that difference lies on one side, over three seeds or more of both; else it is ``inconclusive``.
That interval, Welch's, takes the two for independent. Runs of one seed begin with the same draws,
so the interval of the differences seed by seed is told beside it; no verdict stands on it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import torch

from jemstone.experiments.reproduction.contrasts import CLAIMS, Contrast, Thing
from jemstone.experiments.reproduction.rows import CONTROLS, NAMES
from jemstone.functional.confidence import mean_interval, newcombe_interval, welch_interval

__all__ = ["Values", "judge_claims"]

Values = Callable[[str, str, str], Mapping[int, float]]
"""Of a network, a sampler (or what else was asked of it) and a figure: its values, by seed."""

Interval = list[float]

_LEAST_SEEDS = 3
_SAMPLERS = {
    **CONTROLS,
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


def judge_claims(
    values: Values, stability: Mapping[str, Any] | None, claims: Sequence[Contrast] = CLAIMS
) -> list[dict[str, Any]]:
    """Give each claim its verdict.

    Args:
        values: what was measured.
        stability: of :func:`jemstone.experiments.stability.stability`; None where it was not run.
        claims: to judge.

    Returns:
        For each ``id``, ``claim``, ``paper``, ``measured``, ``verdict``, ``interval`` and
        ``paired`` (of the rival that decides, or None), ``better``, what the claim wants above
        zero, and ``leans``, whether the means alone say so: against each rival, or, False, against
        one not (None where what was not measured may decide).
    """
    judged = [_judged(claim, values) for claim in claims]
    return [*judged[:4], _stabilises(stability), *judged[4:]]


def _judged(claim: Contrast, values: Values) -> dict[str, Any]:
    mine = values(*claim.first, claim.figure)
    measured = {other: values(*other, claim.figure) for other in claim.others}
    absent = [_name(it) for it, found in {claim.first: mine, **measured}.items() if not found]
    rivals = [other for other, theirs in measured.items() if mine and theirs]
    sign = 1 if claim.above else -1
    leads = {rival: sign * (_mean(mine) - _mean(measured[rival])) for rival in rivals}
    intervals = {rival: _interval(mine, measured[rival], sign) for rival in rivals}
    enough = {
        rival: interval if min(len(mine), len(measured[rival])) >= _LEAST_SEEDS else None
        for rival, interval in intervals.items()
    }
    rival = _decisive(enough, leads)
    first, than = _name(claim.first), "each other row"
    if len(claim.others) == 1:
        than = _name(claim.others[0])
    more, less = (first, than) if claim.above else (than, first)
    paired = _paired(mine, measured[rival], sign) if rival else None
    parts = [_told(claim, rival, leads[rival], intervals[rival], paired, values)] if rival else []
    parts += [f"not measured: {', '.join(absent)}"] if absent else []
    return {
        "id": claim.id,
        "claim": claim.claim,
        "paper": claim.paper,
        "measured": "; ".join(parts),
        "verdict": _verdict([*enough.values(), *[None] * (len(claim.others) - len(rivals))]),
        "interval": intervals[rival] if rival else None,
        "paired": paired,
        "better": f"{claim.words} of {more}{',' * (',' in more)} minus that of {less}",
        "leans": _leans(leads.values(), whole=not absent),
    }


def _leans(leads: Iterable[float], whole: bool) -> bool | None:
    """Tell whether all means lie the way a claim wants; None where some are missing."""
    if any(lead <= 0 for lead in leads):
        return False
    return True if whole else None


def _decisive(
    enough: Mapping[Thing, Interval | None], leads: Mapping[Thing, float]
) -> Thing | None:
    """Return the rival that a verdict stands on.

    Of those that make the claim fail, the one that does so the most surely; where there is none,
    the one that the claim is the least sure to beat.

    Args:
        enough: for each rival its interval, None where there are too few seeds for a verdict.
        leads: for each rival the difference of means that the claim wants above zero.
    """
    highs = {rival: known[1] for rival, known in enough.items() if known and known[1] < 0}
    if highs:
        return min(highs, key=lambda rival: highs[rival])
    lows = {rival: known[0] if known else -math.inf for rival, known in enough.items()}
    return min(lows, key=lambda rival: (lows[rival], leads[rival]), default=None)


def _mean(values: Mapping[int, float]) -> float:
    return fmean(values.values())


def _interval(mine: Mapping[int, float], theirs: Mapping[int, float], sign: int) -> Interval | None:
    """Return Welch's interval of the difference that a claim wants above zero."""
    if min(len(mine), len(theirs)) < 2:
        return None
    first, second = (torch.tensor(list(values.values())) for values in (mine, theirs))
    low, high = welch_interval(first, second)
    return [low, high] if sign > 0 else [-high, -low]


def _paired(mine: Mapping[int, float], theirs: Mapping[int, float], sign: int) -> Interval | None:
    """Return Student's interval of the differences seed by seed; None of too few."""
    differences = [sign * (mine[seed] - theirs[seed]) for seed in mine if seed in theirs]
    if len(differences) < _LEAST_SEEDS:
        return None
    return list(mean_interval(torch.tensor(differences, dtype=torch.float64)))


def _verdict(intervals: Sequence[Interval | None]) -> str:
    """Judge a claim by an interval for each rival, None where there are too few seeds."""
    known = [interval for interval in intervals if interval is not None]
    if any(high < 0 for _, high in known):
        return "fails"
    if len(known) == len(intervals) and all(low > 0 for low, _ in known):
        return "holds"
    return "inconclusive"


def _told(
    claim: Contrast,
    rival: Thing,
    lead: float,
    interval: Interval | None,
    paired: Interval | None,
    values: Values,
) -> str:
    """Say in one line what was measured, of the rival that decides."""
    mine, theirs = (values(*it, claim.figure) for it in (claim.first, rival))
    line = f"{_mean(mine):.3g} against {_mean(theirs):.3g} of {_name(rival)}: {lead:+.3g}"
    if interval is not None:
        line += f" [{interval[0]:+.3g}, {interval[1]:+.3g}]"
    if paired is not None:
        line += f", seed by seed [{paired[0]:+.3g}, {paired[1]:+.3g}]"
    seeds = sorted({len(mine), len(theirs)})
    line += f", {' and '.join(map(str, seeds))} seed{'s' if seeds != [1] else ''}"
    if claim.beside is not None:
        ours, other = (values(*it, claim.beside) for it in (claim.first, rival))
        if ours and other:
            line += f"; {_WORDS[claim.beside]} {_mean(ours):.3g} against {_mean(other):.3g}"
    if claim.control is not None and (held := values(*claim.control, claim.figure)):
        line += f"; {_mean(held):.3g} of {_name(claim.control)}"
    return line


def _name(thing: Thing) -> str:
    network, sampler = thing
    words, name = _SAMPLERS.get(sampler, sampler), NAMES.get(network, network)
    return f"{name}, {words}" if words else name


def _stabilises(stability: Mapping[str, Any] | None) -> dict[str, Any]:
    """Judge by the difference of failure rates, over the same seeds and learning rates."""
    row: dict[str, Any] = {
        "id": "adversarial-training-stabilises",
        "claim": "adversarial training makes the training of a JEM more stable",
        "paper": "says so, without a figure",
        "measured": "not run: --stability",
        "verdict": "inconclusive",
        "interval": None,
        "paired": None,
        "better": f"failure rate of {NAMES['jempp']} minus that of {NAMES['robust-jem']}",
        "leans": None,
    }
    runs = {} if stability is None else stability["recipes"]
    if not all(runs.get(name, {}).get("runs") for name in ("jempp", "robust-jem")):
        return row
    mine, theirs = (
        [bool(run["failed"]) for run in runs[name]["runs"]] for name in ("robust-jem", "jempp")
    )
    lead = sum(theirs) / len(theirs) - sum(mine) / len(mine)
    interval = list(newcombe_interval((sum(theirs), len(theirs)), (sum(mine), len(mine))))
    seeds = {run["seed"] for run in runs["robust-jem"]["runs"]}
    return row | {
        "measured": f"{sum(mine)} of {len(mine)} runs failed, against {sum(theirs)} of "
        f"{len(theirs)} of {NAMES['jempp']} ({_by_rate(runs['jempp']['runs'])}): {lead:+.3g} "
        f"[{interval[0]:+.3g}, {interval[1]:+.3g}], {len(seeds)} seeds",
        "verdict": _verdict([interval if len(seeds) >= _LEAST_SEEDS else None]),
        "interval": interval,
        "leans": lead > 0,
    }


def _by_rate(runs: Sequence[Mapping[str, Any]]) -> str:
    """Count the runs that failed at each learning rate."""
    rates = sorted({run["learning_rate"] for run in runs})
    failed = Counter(run["learning_rate"] for run in runs if run["failed"])
    return ", ".join(f"{failed[rate]} at a rate of {rate:g}" for rate in rates)

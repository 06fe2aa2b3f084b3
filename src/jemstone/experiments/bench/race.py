"""The race: all sides in turn, round after round, so that a slow minute hits them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch

from jemstone.errors import Mistake
from jemstone.experiments.bench.runner import Runner, TooLong
from jemstone.experiments.bench.shares import moonshot, reason
from jemstone.experiments.bench.work import Work
from jemstone.training import Device, processor

__all__ = ["bench"]

_PREPARING = 10  # times the patience for a call: weights, statistics, a first import
_SHORT = 2.0  # seconds: a shorter call shows that caches went cold while the others had a turn


def bench(
    works: Iterable[Work],
    device: Device,
    *,
    rounds: int = 5,
    budget: float = 120.0,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time the library beside the plain baseline, row by row.

    A figure is the median over interleaved rounds, after one that warms up. What is short in that
    one is called twice in all others, and the second call counts. Rows that differ in ours'
    precision alone are raced together, against one baseline. What would take longer than its
    budget has fewer rounds; a row of which a single call does not fit is skipped, and says so. A
    row that falls short of its moonshot says where its time goes, on a processor.

    Args:
        works: the rows.
        device: where to run; each row says its precision.
        rounds: of each row.
        budget: seconds for the rounds of a row, all sides together.
        seed: of random images, and of the baseline's weights.
        progress: hears a line for each row.

    Returns:
        ``device``, ``threads``, ``torch`` and the machine, and ``rows`` with ``work``,
        ``network``, ``batch``, ``precision``, ``baseline_s``, ``ours_s``, ``ratio``,
        ``roofline_share``, ``profile`` and ``reason``, null where there is none.
    """
    threads = torch.get_num_threads()
    runners = [Runner(side, device, threads, seed) for side in ("baseline", "ours", "ours")]
    alike: dict[Work, list[Work]] = {}
    for work in works:
        alike.setdefault(replace(work, bf16=False), []).append(work)
    rows = []
    try:
        for group in alike.values():
            # The profiler sees what an accelerator is told to do, not how long it takes.
            for row in _rows(group, runners, rounds, budget, profiled=device.name == "cpu"):
                rows.append(row)
                progress(_line(row))
    finally:
        for runner in runners:
            runner.stop()
    return {
        "device": device.name,
        "processor": processor(),
        "threads": threads,
        "torch": torch.__version__,
        "rounds": rounds,
        "rows": rows,
    }


def _blank(work: Work) -> dict[str, Any]:
    missing = ("baseline_s", "ours_s", "ratio", "roofline_share", "spread", "profile", "reason")
    return {
        "work": work.name,
        "network": f"wrn-{work.depth}-{work.width}",
        "norm": work.norm,
        "batch": work.batch,
        "size": work.size,
        "precision": "bf16" if work.bf16 else "fp32",
        "steps": work.steps if work.passes else None,
        **dict.fromkeys(missing),
    }


def _rows(
    works: Sequence[Work],
    runners: Sequence[Runner],
    rounds: int,
    budget: float,
    *,
    profiled: bool,
) -> list[dict[str, Any]]:
    """Race rows that have one baseline: the first runner's; each row has a runner of its own."""
    baseline, *ours = runners[: 1 + len(works)]
    calls = [(baseline, "work"), *((runner, "work") for runner in ours)]
    calls += [(runner, "matrix") for runner in ours if works[0].passes]
    seconds: dict[tuple[Runner, str], list[float]] = {call: [] for call in calls}
    rows = [_blank(work) for work in works]
    try:
        for runner, work in zip((baseline, *ours), (works[0], *works), strict=True):
            runner.ask("prepare", work, _PREPARING * budget)
        began = time.perf_counter()
        first = {call: call[0].ask(call[1], None, budget) for call in calls}
        # Once for all rounds: a call near the limit would be timed now warm, now cold.
        twice = {call: taken <= _SHORT for call, taken in first.items()}
        each = time.perf_counter() - began + sum(first[call] for call in calls if twice[call])
        for _ in range(max(1, min(rounds, int(budget / max(each, 1e-9))))):
            for call in calls:
                (runner, what), patience = call, (1 + twice[call]) * budget
                seconds[call].append(runner.ask(what, None, patience, twice=twice[call]))
        for row, work, runner in zip(rows, works, ours, strict=True):
            least = seconds.get((runner, "matrix"), [])
            row |= _figures(work, seconds[baseline, "work"], seconds[runner, "work"], least)
            hope = moonshot(work)
            if profiled and hope is not None and row[hope[0]] < hope[1]:
                row["profile"] = runner.ask("shares", None, _PREPARING * budget)
                row["reason"] = reason(hope, row)
    except TooLong:
        return _missed(rows, f"a call takes longer than the budget of {budget:g} s")
    except Mistake as mistake:
        return _missed(rows, str(mistake))
    return rows


def _missed(rows: Sequence[dict[str, Any]], why: str) -> list[dict[str, Any]]:
    """Say of the rows that have no figures why."""
    return [row if row["ratio"] else row | {"reason": why} for row in rows]


def _figures(
    work: Work, plain: list[float], house: list[float], least: list[float]
) -> dict[str, Any]:
    """Return medians and what follows from them; a ratio is that of one round, its median."""
    ratios = [a / b for a, b in zip(plain, house, strict=True)]
    times = {"baseline": statistics.median(plain), "ours": statistics.median(house)}
    figures: dict[str, Any] = {
        **{f"{side}_s": taken for side, taken in times.items()},
        "ratio": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
        "rounds": len(ratios),
    }
    if work.passes:
        shares = [work.passes * a / b for a, b in zip(least, house, strict=True)]
        figures["roofline_share"] = statistics.median(shares)
    if work.kind == "sampling":
        for side, seconds_timed in times.items():
            figures[f"{side}_images_per_s"] = work.batch / (seconds_timed * work.extrapolated)
    return figures


def _line(row: dict[str, Any]) -> str:
    where = f"{row['network']} {row['norm']} {row['batch']} {row['precision']}"
    head = f"{row['work']:<26} {where:<26}"
    if row["ratio"] is None:
        return f"{head} {row['reason']}"
    share = row["roofline_share"]
    tail = "" if share is None else f"  {100 * share:3.0f} % of the roofline"
    times = f"{1e3 * row['baseline_s']:9.1f} ms {1e3 * row['ours_s']:9.1f} ms"
    return f"{head} {times} {row['ratio']:6.2f}x{tail}"

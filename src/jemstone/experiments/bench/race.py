"""The race: both sides in turn, round after round, so that a slow minute hits both alike."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch

from jemstone.errors import Mistake
from jemstone.experiments.bench.runner import Runner, TooLong
from jemstone.experiments.bench.work import Work
from jemstone.training import Device

__all__ = ["bench"]

_PREPARING = 10  # times the patience for a call: weights, statistics, a first import


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

    A figure is the median over interleaved rounds, after one that warms up. A row that would take
    longer than its budget has fewer rounds; one of which a single round does not fit is skipped,
    and says so.

    Args:
        works: the rows.
        device: where to run; each row says its precision.
        rounds: of each row.
        budget: seconds for a row, both sides together.
        seed: of weights and images.
        progress: hears a line for each row.

    Returns:
        ``device``, ``threads``, ``torch`` and the machine, and ``rows`` with ``work``,
        ``network``, ``batch``, ``precision``, ``baseline_s``, ``ours_s``, ``ratio``,
        ``roofline_share`` and ``reason``, null where there is none.
    """
    threads = torch.get_num_threads()
    sides = {side: Runner(side, device, threads, seed) for side in ("baseline", "ours")}
    rows = []
    try:
        for work in works:
            rows.append(_row(work, sides, rounds, budget))
            progress(_line(rows[-1]))
    finally:
        for runner in sides.values():
            runner.stop()
    return {
        "device": device.name,
        "processor": platform.processor() or platform.machine(),
        "threads": threads,
        "torch": torch.__version__,
        "rounds": rounds,
        "rows": rows,
    }


def _row(work: Work, sides: dict[str, Runner], rounds: int, budget: float) -> dict[str, Any]:
    row: dict[str, Any] = {
        "work": work.name,
        "network": f"wrn-{work.depth}-{work.width}",
        "norm": work.norm,
        "batch": work.batch,
        "size": work.size,
        "precision": "bf16" if work.bf16 else "fp32",
        "steps": work.steps if work.passes else None,
        **dict.fromkeys(("baseline_s", "ours_s", "ratio", "roofline_share", "spread", "reason")),
    }
    calls = [("baseline", "work"), ("ours", "work")]
    if work.passes:
        calls.append(("ours", "matrix"))
    seconds: dict[tuple[str, str], list[float]] = {call: [] for call in calls}
    try:
        for runner in sides.values():
            runner.ask("prepare", work, _PREPARING * budget)
        began = time.perf_counter()
        for side, what in calls:
            sides[side].ask(what, None, budget)
        each = time.perf_counter() - began
        for _ in range(max(1, min(rounds, int(budget / max(each, 1e-9))))):
            for side, what in calls:
                seconds[side, what].append(sides[side].ask(what, None, budget))
    except TooLong:
        row["reason"] = f"a call takes longer than the budget of {budget:g} s"
        return row
    except Mistake as mistake:
        row["reason"] = str(mistake)
        return row
    return row | _figures(work, seconds)


def _figures(work: Work, seconds: dict[tuple[str, str], list[float]]) -> dict[str, Any]:
    """Return medians and what follows from them; a ratio is that of one round, its median."""
    plain, house = seconds["baseline", "work"], seconds["ours", "work"]
    ratios = [a / b for a, b in zip(plain, house, strict=True)]
    times = {"baseline": statistics.median(plain), "ours": statistics.median(house)}
    figures: dict[str, Any] = {
        **{f"{side}_s": taken for side, taken in times.items()},
        "ratio": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
        "rounds": len(ratios),
    }
    if work.passes:
        least = seconds["ours", "matrix"]
        shares = [work.passes * a / b for a, b in zip(least, house, strict=True)]
        figures["roofline_share"] = statistics.median(shares)
    if work.kind == "sampling":
        for side, seconds_timed in times.items():
            figures[f"{side}_images_per_s"] = work.batch / (seconds_timed * work.extrapolated)
    return figures


def _line(row: dict[str, Any]) -> str:
    where = f"{row['network']} {row['norm']} {row['batch']} {row['precision']}"
    head = f"{row['work']:<26} {where:<26}"
    if row["reason"]:
        return f"{head} {row['reason']}"
    share = row["roofline_share"]
    tail = "" if share is None else f"  {100 * share:3.0f} % of the roofline"
    times = f"{1e3 * row['baseline_s']:9.1f} ms {1e3 * row['ours_s']:9.1f} ms"
    return f"{head} {times} {row['ratio']:6.2f}x{tail}"

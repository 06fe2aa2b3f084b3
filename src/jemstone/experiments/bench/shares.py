"""Where the time of a call goes, and what a row that falls short of its moonshot says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.autograd.profiler import profile

from jemstone.experiments.bench.work import Work

__all__ = ["moonshot", "reason", "shares"]

# The first that an operation's name holds is its kind. Fused kernels run within a passage.
_KINDS = {
    "conv": "convolutions",
    "batch_norm": "norm",
    "NormBackward": "norm",
    "leaky_relu": "activation",
    "Passage": "fused kernels",
    "Lesson": "fused kernels",
    "Optimizer": "optimiser",
    "mm": "linear layers",
    "linear": "linear layers",
}
_NAMED = frozenset(_KINDS.values())
_LEAST = 0.01  # smaller shares are told together


def shares(call: Callable[[], object]) -> dict[str, float]:
    """Return the kinds of operations in a call, and the share of its time that each takes.

    Args:
        call: is done once.
    """
    with profile(use_kineto=False) as seen:
        call()
    times: dict[str, float] = {}
    for event in seen.key_averages():
        kind = next((kind for part, kind in _KINDS.items() if part in event.key), "the rest")
        times[kind] = times.get(kind, 0.0) + event.self_cpu_time_total
    whole = max(sum(times.values()), 1e-9)
    found = {kind: time / whole for kind, time in times.items() if time >= _LEAST * whole}
    found["the rest"] = max(0.0, 1.0 - sum(part for kind, part in found.items() if kind in _NAMED))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def moonshot(work: Work) -> tuple[str, float] | None:
    """Return which figure of a row is hoped to be how large; None where there is no such hope."""
    if (work.depth, work.width, work.batch) != (16, 4, 64):
        return None
    if work.name in ("iteration:jempp", "iteration:robust-jem"):
        return "ratio", 1.6 if not work.bf16 else 6.0 if work.norm == "batch" else 8.0
    if work.kind == "walk":
        return ("roofline_share", 0.8) if work.bf16 else None
    hopes = {"sampling:energy": 7.0, "sampling:combined": 7.0, "attack:foolbox": 5.0}
    return ("ratio", hopes[work.name]) if work.bf16 and work.name in hopes else None


def reason(hope: tuple[str, float], figures: dict[str, Any]) -> str:
    """Say in a line why a row falls short.

    Args:
        hope: the figure, and how large it was hoped to be.
        figures: the row's, with its ``profile``.
    """
    name, least = hope
    told = ", ".join(f"{part:.0%} {kind}" for kind, part in figures["profile"].items())
    line = f"{name.replace('_', ' ')} {figures[name]:.2f}, not {least:g}: of the time {told}"
    if figures["roofline_share"]:
        alone = figures["ratio"] / figures["roofline_share"]
        line += f"; convolutions and linear layers alone would give {alone:.1f}x"
    return line

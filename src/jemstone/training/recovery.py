"""Going back: from a run in trouble to its last good checkpoint, on another way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jemstone.training.guard import Diverged, Guarding
from jemstone.training.probe import chain_energies, outliers
from jemstone.training.state import TrainingState
from jemstone.types import Generator

__all__ = ["roll_back"]


def roll_back(
    state: TrainingState, rules: Guarding, diverged: Diverged, generator: Generator
) -> dict[str, Any]:
    """Take a run back to its last good checkpoint, its rate lowered, its outlier chains renewed.

    Good is the last checkpoint from which the run went on unharmed to the next one, since trouble
    begins before it shows.

    Args:
        state: of the run.
        rules: how often, and how much lower.
        diverged: what happened.
        generator: of the run.

    Returns:
        The event, for ``metrics.jsonl``.

    Raises:
        Diverged: where the run may not go back, or has gone back often enough.
    """
    watch, good = state.watch, state.trail[0] if state.trail else None
    if watch.retries >= rules.retries or good is None:
        raise Diverged(diverged.step, diverged.reason, watch.retries) from diverged
    retries, factor = watch.retries + 1, watch.factor * rules.lower
    state.restore(good)
    watch = state.watch = replace(state.watch, retries=retries, factor=factor)
    renewed = _renew_outliers(state, generator.fold("retry", watch.retries, "chains"))
    # What is gone back to next time has the new chains, as its checkpoint has.
    state.trail = [state.snapshot()]
    return {
        "step": diverged.step,
        "event": "rolled back",
        "reason": diverged.reason,
        "to": state.step,
        "retry": watch.retries,
        "learning_rate_factor": watch.factor,
        "renewed_chains": renewed,
    }


def _renew_outliers(state: TrainingState, generator: Generator) -> int:
    """Begin the chains anew whose energy is far from the others'; return how many, of all."""
    if state.buffer is None:
        return 0
    (slots,) = outliers(chain_energies(state.model, state.buffer.images)).nonzero(as_tuple=True)
    state.buffer.renew(slots, generator)
    return state.processes.total(len(slots))

"""What the paper leaves open, measured: a placeholder for the interface."""

from typing import Any

__all__ = ["ablate", "pooled", "train_ablations"]


def ablate(*things: Any, **options: Any) -> list[dict[str, Any]]:
    """Answer no question."""
    return []


def pooled(answers: Any) -> list[dict[str, Any]]:
    """Return the first."""
    return list(answers[0])


def train_ablations(*things: Any, **options: Any) -> list[dict[str, Any]]:
    """Answer no question."""
    return []

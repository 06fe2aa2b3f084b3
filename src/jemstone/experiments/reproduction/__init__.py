"""The paper's table, the matrix behind it and its claims, from one command."""

from jemstone.experiments.reproduction.plan import Plan
from jemstone.experiments.reproduction.reproduce import Outcome, check_work, reproduce
from jemstone.experiments.reproduction.rows import MATRIX, NETWORKS, ROWS
from jemstone.experiments.reproduction.work import Work

__all__ = [
    "MATRIX",
    "NETWORKS",
    "ROWS",
    "Outcome",
    "Plan",
    "Work",
    "check_work",
    "reproduce",
]

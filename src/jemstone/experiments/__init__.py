"""Runs, and how they are judged."""

from jemstone.experiments.begin import begin
from jemstone.experiments.doctor import Finding, examine
from jemstone.experiments.evaluation import SUITES, balanced_labels, draw, evaluate
from jemstone.experiments.judge import Judge, cache_folder, judge_for
from jemstone.experiments.purification import judge_purification
from jemstone.experiments.robustness import ATTACKS, judge_robustness
from jemstone.experiments.runs import Run

__all__ = [
    "ATTACKS",
    "SUITES",
    "Finding",
    "Judge",
    "Run",
    "balanced_labels",
    "begin",
    "cache_folder",
    "draw",
    "evaluate",
    "examine",
    "judge_for",
    "judge_purification",
    "judge_robustness",
]

"""Runs, and how they are judged."""

from jemstone.experiments.begin import begin, device_for
from jemstone.experiments.doctor import Finding, examine
from jemstone.experiments.evaluation import SUITES, balanced_labels, draw, evaluate
from jemstone.experiments.gradients import InputGradients, compare_gradients, data_of
from jemstone.experiments.judge import Judge, cache_folder, judge_for, judge_from
from jemstone.experiments.landscape import Landscape, data_landscape, landscape
from jemstone.experiments.provenance import source_commit
from jemstone.experiments.purification import judge_purification
from jemstone.experiments.robustness import ATTACKS, judge_robustness
from jemstone.experiments.runs import Run

__all__ = [
    "ATTACKS",
    "SUITES",
    "Finding",
    "InputGradients",
    "Judge",
    "Landscape",
    "Run",
    "balanced_labels",
    "begin",
    "cache_folder",
    "compare_gradients",
    "data_landscape",
    "data_of",
    "device_for",
    "draw",
    "evaluate",
    "examine",
    "judge_for",
    "judge_from",
    "judge_purification",
    "judge_robustness",
    "landscape",
    "source_commit",
]

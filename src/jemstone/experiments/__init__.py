"""Runs, and how they are judged."""

from jemstone.experiments.begin import begin, device_for
from jemstone.experiments.doctor import Finding, examine
from jemstone.experiments.evaluation import SUITES, balanced_labels, draw, evaluate
from jemstone.experiments.judge import Judge, cache_folder, judge_for
from jemstone.experiments.landscape import Landscape, data_landscape, landscape
from jemstone.experiments.runs import Run

__all__ = [
    "SUITES",
    "Finding",
    "Judge",
    "Landscape",
    "Run",
    "balanced_labels",
    "begin",
    "cache_folder",
    "data_landscape",
    "device_for",
    "draw",
    "evaluate",
    "examine",
    "judge_for",
    "landscape",
]

"""Runs, and how they are judged."""

from jemstone.experiments.begin import begin
from jemstone.experiments.case import Case, Settings
from jemstone.experiments.doctor import Finding, examine
from jemstone.experiments.drawing import balanced_labels, draw
from jemstone.experiments.evaluation import case_of, case_of_run, evaluate
from jemstone.experiments.foreign import load_classifier
from jemstone.experiments.judge import Judge, cache_folder, judge_for, judge_from
from jemstone.experiments.purification import judge_purification
from jemstone.experiments.robustness import ATTACKS, judge_robustness
from jemstone.experiments.runs import Run
from jemstone.experiments.store import Store
from jemstone.experiments.suites import PARTS, SUITES, Judgement, judge_case

__all__ = [
    "ATTACKS",
    "PARTS",
    "SUITES",
    "Case",
    "Finding",
    "Judge",
    "Judgement",
    "Run",
    "Settings",
    "Store",
    "balanced_labels",
    "begin",
    "cache_folder",
    "case_of",
    "case_of_run",
    "draw",
    "evaluate",
    "examine",
    "judge_case",
    "judge_for",
    "judge_from",
    "judge_purification",
    "judge_robustness",
    "load_classifier",
]

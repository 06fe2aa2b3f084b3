"""Runs, and how they are judged."""

from jemstone.experiments.ablations import ablate, pooled, train_ablations
from jemstone.experiments.adopt import adopt
from jemstone.experiments.begin import begin, device_for
from jemstone.experiments.case import Case, Settings
from jemstone.experiments.doctor import Finding, examine, judged_from
from jemstone.experiments.drawing import balanced_labels, draw, refuse_many
from jemstone.experiments.evaluation import case_of, case_of_run, evaluate
from jemstone.experiments.foreign import load_classifier
from jemstone.experiments.gradients import InputGradients, compare_gradients, data_of
from jemstone.experiments.judge import Judge, judge_for, judge_from
from jemstone.experiments.landscape import Landscape, data_landscape, landscape
from jemstone.experiments.pace import duration, seconds_per_step
from jemstone.experiments.provenance import drifted, source_commit
from jemstone.experiments.purification import judge_purification
from jemstone.experiments.robustness import ATTACKS, judge_robustness
from jemstone.experiments.runs import Run
from jemstone.experiments.shown import shown_classes
from jemstone.experiments.sight import FEATURES, Eyes
from jemstone.experiments.store import Store, refuse_strangers
from jemstone.experiments.suites import PARTS, SUITES, Judgement, judge_case

__all__ = [
    "ATTACKS",
    "FEATURES",
    "PARTS",
    "SUITES",
    "Case",
    "Eyes",
    "Finding",
    "InputGradients",
    "Judge",
    "Judgement",
    "Landscape",
    "Run",
    "Settings",
    "Store",
    "ablate",
    "adopt",
    "balanced_labels",
    "begin",
    "case_of",
    "case_of_run",
    "compare_gradients",
    "data_landscape",
    "data_of",
    "device_for",
    "draw",
    "drifted",
    "duration",
    "evaluate",
    "examine",
    "judge_case",
    "judge_for",
    "judge_from",
    "judge_purification",
    "judge_robustness",
    "judged_from",
    "landscape",
    "load_classifier",
    "pooled",
    "refuse_many",
    "refuse_strangers",
    "seconds_per_step",
    "shown_classes",
    "source_commit",
    "train_ablations",
]

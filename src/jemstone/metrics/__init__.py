"""Figures, each with what it refuses to be computed from."""

from jemstone.functional.statistics import density_coverage
from jemstone.metrics.alignment import (
    alignment,
    cosine_alignment,
    log_probability_gradients,
    logit_gradients,
    margin_gradient,
    measure_alignment,
    representative_alignment,
)
from jemstone.metrics.attacks import pgd_survivors
from jemstone.metrics.autoattack import autoattack
from jemstone.metrics.batches import Deal, alone
from jemstone.metrics.calibration import (
    brier_score,
    calibration,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)
from jemstone.metrics.classification import accuracy, agreement, learnt_at, predictions
from jemstone.metrics.detection import detect, detection_figures
from jemstone.metrics.diversity import class_vendi_score, vendi_score
from jemstone.metrics.fidelity import (
    frechet_distance,
    inception_score,
    kernel_distance,
    precision_recall,
)
from jemstone.metrics.frechet import FrechetReference, class_frechet_distance, frechet_curve
from jemstone.metrics.generation import (
    Seen,
    compare,
    judge_samples,
    look,
    nearest_neighbours,
    nearest_to,
    spread_ratio,
)
from jemstone.metrics.inception import Inception
from jemstone.metrics.intervals import sample_intervals
from jemstone.metrics.laws import LAWS, Verdict
from jemstone.metrics.purification import Purified, purified_survivors
from jemstone.metrics.robustness import robust_accuracy
from jemstone.metrics.scores import SCORES, scores, worst_scores
from jemstone.metrics.scrutiny import scrutinise
from jemstone.metrics.suspicion import nearest_ratio, suspicions
from jemstone.metrics.temperature import calibration_report, fit_temperature
from jemstone.metrics.walks import Moment, effective_temperature, follow, walk_figures

__all__ = [
    "LAWS",
    "SCORES",
    "Deal",
    "FrechetReference",
    "Inception",
    "Moment",
    "Purified",
    "Seen",
    "Verdict",
    "accuracy",
    "agreement",
    "alignment",
    "alone",
    "autoattack",
    "brier_score",
    "calibration",
    "calibration_report",
    "class_frechet_distance",
    "class_vendi_score",
    "compare",
    "cosine_alignment",
    "density_coverage",
    "detect",
    "detection_figures",
    "effective_temperature",
    "expected_calibration_error",
    "fit_temperature",
    "follow",
    "frechet_curve",
    "frechet_distance",
    "inception_score",
    "judge_samples",
    "kernel_distance",
    "learnt_at",
    "log_probability_gradients",
    "logit_gradients",
    "look",
    "margin_gradient",
    "measure_alignment",
    "nearest_neighbours",
    "nearest_ratio",
    "nearest_to",
    "negative_log_likelihood",
    "pgd_survivors",
    "precision_recall",
    "predictions",
    "purified_survivors",
    "reliability",
    "representative_alignment",
    "robust_accuracy",
    "sample_intervals",
    "scores",
    "scrutinise",
    "spread_ratio",
    "suspicions",
    "vendi_score",
    "walk_figures",
    "worst_scores",
]

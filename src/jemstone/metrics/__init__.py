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
from jemstone.metrics.calibration import (
    brier_score,
    calibration,
    expected_calibration_error,
    negative_log_likelihood,
)
from jemstone.metrics.classification import accuracy, agreement, predictions
from jemstone.metrics.fidelity import (
    frechet_distance,
    inception_score,
    kernel_distance,
    precision_recall,
)
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
from jemstone.metrics.robustness import robust_accuracy

__all__ = [
    "Inception",
    "Seen",
    "accuracy",
    "agreement",
    "alignment",
    "brier_score",
    "calibration",
    "compare",
    "cosine_alignment",
    "density_coverage",
    "expected_calibration_error",
    "frechet_distance",
    "inception_score",
    "judge_samples",
    "kernel_distance",
    "log_probability_gradients",
    "logit_gradients",
    "look",
    "margin_gradient",
    "measure_alignment",
    "nearest_neighbours",
    "nearest_to",
    "negative_log_likelihood",
    "precision_recall",
    "predictions",
    "representative_alignment",
    "robust_accuracy",
    "spread_ratio",
]

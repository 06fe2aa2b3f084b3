"""Each sickness is known by its figures, and a healthy run has none."""

import pytest

from jemstone.experiments import examine
from jemstone.recipes import changed, recipe_for

HEALTHY = {
    "loss": 0.3,
    "likelihood": 0.15,
    "energy_gap": 0.2,
    "accuracy": 0.95,
    "accuracy_eval": 0.94,
    "robust_accuracy": 0.8,
    "input_grad_norm": 1.0,
    "saturated_data": 0.45,
    "saturated_chains": 0.35,
    "dead_chains": 0.0,
    "outlier_chains": 0.01,
}
LINES = 40


def course(**late):
    """Write the metrics of a run of 800 steps, whose last half is as told."""
    healthy = [{"step": 20 * (n + 1), **HEALTHY} for n in range(LINES)]
    return healthy[: LINES // 2] + [line | late for line in healthy[LINES // 2 :]]


def back(retry, factor=0.3):
    return {
        "step": 100 * retry,
        "event": "rolled back",
        "reason": "loss is 1e+09",
        "to": 50,
        "retry": retry,
        "learning_rate_factor": factor,
    }


END = {"step": 300, "event": "diverged", "reason": "loss is nan"}
SICK = {
    "saturated chains": ({"saturated_chains": 0.9}, [], {}, "90%", "walk.step_size"),
    "dead chains": ({"dead_chains": 0.2}, [], {}, "20%", "chains.reinit"),
    "outlier chains": ({"outlier_chains": 0.3}, [], {}, "30%", "chains.reinit"),
    "energy gap above zero": ({"likelihood": 7.5}, [], {}, "7.5", "learning_rate"),
    "energy gap below zero": ({"likelihood": -7.5}, [], {}, "-7.5", "walk.steps"),
    "exploding input gradient": (
        {"input_grad_norm": 400.0},
        [],
        {},
        "from 1 to 400",
        "learning_rate",
    ),
    "batch-norm drift": (
        {"accuracy_eval": 0.5},
        [],
        {"network.norm": "batch"},
        "running",
        "network.norm",
    ),
    "gradient masking": (
        {"robust_accuracy": 0.94, "input_grad_norm": 1e-6},
        [],
        {"weights.adversarial": 1.0},
        "94%",
        "attack",
    ),
    "a classifier that has not learnt": (
        {"accuracy": 0.1, "accuracy_eval": 0.11},
        [],
        {},
        "11% at step 800",
        "learning_rate up",
    ),
    "numbers that are not finite": ({"energy_data": None}, [], {}, "energy_data", "clip_norm"),
    "divergence": ({}, [END], {}, "stopped at step 300: loss is nan", "0.017 or less"),
    "divergence, mended by going back": (
        {},
        [back(1), back(2, 0.09)],
        {},
        "went back 2 times; last at step 200: loss is 1e+09",
        "0.0045 or less",
    ),
}


def findings(metrics, events=(), fields=None, environment=None, classes=10):
    recipe = changed(recipe_for("jempp"), {"network.norm": "none", **(fields or {})})
    return examine(metrics, list(events), recipe, environment or {"bf16": False}, classes)


@pytest.mark.parametrize("name", SICK)
def test_a_sickness_is_named_with_its_evidence_and_its_knob(name):
    late, events, fields, evidence, knob = SICK[name]
    (found,) = findings(course(**late), events, fields)
    assert found.name == name
    assert evidence in found.evidence
    assert knob in found.knob


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("adversarial", [0.0, 1.0])
def test_a_healthy_run_has_none(norm, adversarial):
    fields = {"network.norm": norm, "weights.adversarial": adversarial}
    assert findings(course(), fields=fields) == []


@pytest.mark.parametrize(("accuracy", "healthy"), [(0.98, True), (0.8, True), (0.55, False)])
def test_of_two_classes_twice_guessing_is_more_than_all(accuracy, healthy):
    late = {"accuracy": accuracy, "accuracy_eval": accuracy, "robust_accuracy": accuracy / 2}
    names = [found.name for found in findings(course(**late), classes=2)]
    assert names == ([] if healthy else ["a classifier that has not learnt"])


def test_a_run_without_chains_or_metrics_has_none():
    plain = ("loss", "accuracy", "accuracy_eval", "input_grad_norm")
    lines = [{"step": line["step"], **{k: line[k] for k in plain}} for line in course()]
    assert findings(lines) == []
    assert findings([]) == []
    assert findings(course()[:1]) == []


def test_one_bad_line_is_not_a_sickness():
    lines = course()
    lines[-3] |= {"likelihood": 90.0, "saturated_chains": 1.0, "input_grad_norm": 1e5}
    assert findings(lines) == []


@pytest.mark.parametrize(
    ("late", "fields", "shown"),
    [
        ({"robust_accuracy": 0.9, "accuracy_eval": 0.3}, {"weights.cross_entropy": 0.0}, "attack"),
        ({"likelihood": 0.1, "energy_gap": 40.0}, {}, "energy gap 0.1 by the batch's"),
    ],
)
def test_batch_norm_drift_shows_in_other_figures_too(late, fields, shown):
    (found,) = findings(course(**late), fields={"network.norm": "batch", **fields})
    assert found.name == "batch-norm drift"
    assert shown in found.evidence
    assert findings(course(**late), fields=fields) == []


@pytest.mark.parametrize(
    ("fields", "environment", "knob"),
    [
        ({"optimisation.clip_norm": None}, {}, "optimisation.clip_norm: 1"),
        ({"guard.retries": 0}, {}, "guard.retries: 4"),
        ({}, {"bf16": True}, "--precision fp32"),
    ],
)
def test_the_knob_is_one_that_is_not_turned_yet(fields, environment, knob):
    (told,) = findings(course(), [END], fields, environment)
    assert knob in told.knob
    (other,) = findings(course(), [END])
    assert knob not in other.knob


def test_the_gravest_comes_first():
    found = findings(course(saturated_chains=1.0, likelihood=50.0), [END])
    assert [f.name for f in found] == ["divergence", "energy gap above zero", "saturated chains"]

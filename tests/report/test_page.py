"""The page of a judgement says first what a sceptic would ask about."""

import pytest
import torch

from jemstone.experiments.provenance import machine
from jemstone.functional.confidence import wilson_interval
from jemstone.report import doubts, page
from jemstone.training import Device, processor


def law(name, passed):
    return {name: {"law": f"the law of {name}", "passed": passed, "values": {}}}


def ood(data, score, auroc, plain, attack=None):
    return {
        "data": data,
        "score": score,
        "attack": attack,
        "auroc": auroc,
        "auroc_interval": [auroc - 0.02, auroc + 0.02],
        "baseline_auroc": plain,
        "aupr": 0.5,
        "fpr95": 0.25,
        "n_unknown": 40,
    }


def bins(ece):
    reliability = [
        {"confidence": 0.9, "accuracy": 0.8, "n": 10},
        {"confidence": 0.99, "accuracy": 1.0, "n": 30},
    ]
    return {
        "ece": ece,
        "ece_equal_mass": ece,
        "nll": 0.1,
        "brier": 0.2,
        "reliability": reliability,
    }


@pytest.fixture
def result():
    """A judgement without samples, in which much is doubtful."""
    attacked = {"norm": "linf", "eps": 0.1, "steps": 20}
    rows = [
        {"attack": "PGD-40 x2 (margin)", "norm": norm, "eps": eps, "value": value, "n": 40}
        | {"interval": [value - 0.1, value + 0.1], "laws": law("below_clean", value < 0.9)}
        for norm, eps, value in (("linf", 0.05, 0.95), ("linf", 0.1, 0.5), ("l2", 0.5, 0.6))
    ]
    scaling = {"temperature": 1.75, "fitted_on": 20, "before": bins(0.0625), "after": bins(0.03125)}
    return {
        "command": "jemstone evaluate --model 'a<b:net' --suite full",
        "model": "own:net",
        "weights": "w.safetensors",
        "data": "digits",
        "baseline": "runs/plain",
        "suite": "full",
        "n": 40,
        "accuracy": 0.925,
        "robust_accuracy": rows,
        "attacks_left_out": ["square", "autoattack"],
        "purification": [],
        "calibration": {**bins(0.07), "temperature_scaling": scaling},
        "ood": [
            ood("constant", "log p(x)", 0.7, 0.9),
            ood("constant", "entropy", 0.8, 0.85),
            ood("constant", "log p(x)", 0.3, 0.2, attacked),
            ood("constant", "entropy", 0.1, 0.25, attacked),
            ood("blurred", "log p(x)", 0.99, 0.98),
            ood("blurred", "entropy", 0.5, 0.51),
        ],
        "generation": [],
        "walks": [],
    }


def test_doubts_are_one_line_for_each_set(result):
    assert doubts(result) == [
        "robust accuracy by PGD-40 x2 (margin), linf 0.05: breaks below clean, so the number is "
        "too high",
        "without square and autoattack, robust accuracy may be lower than it looks",
        "unknown inputs, constant: a plain classifier's AUROC is higher by log p(x) (0.700 against "
        "0.900), entropy (0.800 against 0.850)",
        "unknown inputs, constant: the best score has AUROC 0.800, that of a plain classifier "
        "0.900",
    ]


def test_the_page_says_what_it_was_judged_on(result):
    result["machine"] = machine(Device())
    assert processor() in page(result)
    assert f"torch {torch.__version__}" in page(result)


def test_without_a_baseline_nothing_is_compared(result):
    for row in result["ood"]:
        row["baseline_auroc"] = None
    assert not [line for line in doubts(result) if "plain" in line]
    del result["baseline"]
    assert "give one with --baseline" in page(result)


@pytest.mark.parametrize(
    ("walked", "plain", "shown"), [(24, 12, True), (24, 14, True), (22, 14, False), (10, 20, False)]
)
def test_a_walk_defends_where_the_interval_of_the_difference_says_so(walked, plain, shown):
    """Of 24 and 14 of 40 Wilson's intervals overlap, and yet they differ."""
    row, alone = (
        {"value": count / 40, "interval": list(wilson_interval(count, 40))}
        for count in (walked, plain)
    )
    told = doubts({"purification": [row | {"plain": alone, "n": 40, "norm": "linf", "eps": 0.1}]})
    assert [line for line in told if "not shown to defend better" in line] == told
    assert bool(told) == (not shown)


def test_flags_of_a_sampler_are_one_line(result):
    flags = {"memorised": {"raised": True}, "not_diverse": {"raised": True}}
    rows = [
        {"sampler": "combined", "origin": "scratch", "flags": flags},
        {"sampler": "energy", "origin": "scratch", "flags": {"memorised": {"raised": False}}},
        {"sampler": "init", "origin": "scratch", "flags": flags},
    ]
    assert doubts({"generation": rows}) == [
        "samples by combined (scratch): looks memorised; is not diverse"
    ]


@pytest.mark.parametrize(
    ("accuracy", "said"), [(0.975, "Features of J (97.5% accurate);"), (None, "Features of J;")]
)
def test_a_judge_that_knows_no_classes_has_no_accuracy(accuracy, said, result):
    near = {"pixel": 0.5, "pixel_held_out": 0.0}
    figures = ("is", "fid", "kid", "precision", "recall", "density", "coverage", "agreement")
    row = dict.fromkeys(figures, 0.5) | {"nearest_neighbour": near, "spread": {"pixel": 1.0}}
    result["generation"] = [row | {"sampler": "energy", "origin": "scratch", "n": 100}]
    result["judge"] = {"name": "J", "accuracy": accuracy, "sha256": "0" * 64}
    assert said in page(result)


def test_the_page_says_how_it_was_made_and_what_a_temperature_mends(result):
    text = page(result)
    assert "jemstone evaluate --model &#39;a&lt;b:net&#39; --suite full" in text
    for figure in ("0.0625", "0.0312", "temperature 1.75", "below clean: the law of below_clean"):
        assert figure in text
    assert (
        "<td>constant</td><td>none</td><td>0.700</td><td>0.800</td><td>0.800 / 0.900</td>" in text
    )
    assert "Robust accuracy in Linf balls" in text
    assert "Robust accuracy in L2 balls" in text

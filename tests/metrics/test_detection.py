"""What is unknown is told from what is known, and an attacker makes that harder."""

import itertools
import math

import pytest
import torch
from sklearn.metrics import roc_curve

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.metrics import SCORES, detect, detection_figures, scores, worst_scores
from jemstone.random import Generator

# Known and unknown scores, and by hand: AUROC, FPR at 95 % of the known.
BY_HAND = {
    "all told": ([3.0, 4.0], [1.0, 2.0], 1.0, 0.0),
    "all mistaken": ([1.0, 2.0], [3.0, 4.0], 0.0, 1.0),
    "all alike": ([1.0, 1.0], [1.0, 1.0], 0.5, 1.0),
    "one of four pairs lost": ([1.0, 3.0], [0.0, 2.0], 0.75, 0.5),
    "a tie counts half": ([1.0, 2.0], [1.0, 0.0], 0.875, 0.5),
    "energies far below zero": ([-300.0, -301.0], [-302.0, -300.5], 0.75, 0.5),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_figures_by_hand(case):
    known, unknown, auroc, fpr95 = BY_HAND[case]
    found = detection_figures(torch.tensor(known), torch.tensor(unknown))
    assert found["auroc"] == pytest.approx(auroc)
    assert found["fpr95"] == pytest.approx(fpr95)
    low, high = found["auroc_interval"]
    assert 0 <= low <= auroc <= high <= 1


@pytest.mark.parametrize(("n", "m"), [(40, 60), (100, 7), (19, 21)])
def test_figures_against_their_definitions(n, m):
    known = Generator(0).normal((n, 1))[:, 0] + 0.7
    unknown = (3 * Generator(1).normal((m, 1))[:, 0]).round() / 2
    found = detection_figures(known, unknown)
    pairs = [(a > b) + 0.5 * (a == b) for a, b in itertools.product(known, unknown)]
    assert found["auroc"] == pytest.approx(float(sum(pairs)) / (n * m))
    truth = torch.arange(n + m) < n
    fpr, tpr, _ = roc_curve(truth, torch.cat([known, unknown]), drop_intermediate=False)
    assert found["fpr95"] == pytest.approx(float(fpr[tpr >= 0.95][0]))
    # Known and unknown change places, and scores their sign.
    turned = detection_figures(-unknown, -known)
    assert turned["auroc"] == pytest.approx(found["auroc"])
    assert turned["aupr"] == pytest.approx(found["aupr_unknown"])


@pytest.mark.parametrize(("n", "m", "lowest"), [(2, 3, 0.34), (10, 10, 0.72), (1000, 100, 0.96)])
def test_no_number_of_images_proves_that_all_are_told(n, m, lowest):
    known, unknown = torch.arange(n) + 1.0, -torch.arange(m) * 1.0
    low, high = detection_figures(known, unknown)["auroc_interval"]
    assert high == 1
    assert low == pytest.approx(lowest, abs=0.01)
    # Known and unknown change places.
    mistaken = detection_figures(unknown, known)["auroc_interval"]
    assert mistaken == pytest.approx([1 - high, 1 - low])


@pytest.mark.parametrize(("n", "widest"), [(2, 0.9), (10, 0.53), (1000, 0.07)])
def test_scores_that_are_all_tied_prove_nothing(n, widest):
    low, high = detection_figures(torch.zeros(n), torch.zeros(3 * n))["auroc_interval"]
    assert low + high == pytest.approx(1)
    assert 0.04 < high - low < widest


def test_the_interval_holds_the_truth_as_often_as_it_says():
    truth = 0.5 * (1 + math.erf(1 / 2))  # of N(1, 1) against N(0, 1)
    held = 0
    for seed in range(60):
        known, unknown = Generator(seed).normal((2, 60))
        low, high = detection_figures(known + 1, unknown)["auroc_interval"]
        held += low <= truth <= high
    assert 54 <= held <= 60


@pytest.mark.parametrize("wrong", [[1.0], [1.0, math.nan], [math.inf, 0.0]])
def test_scores_that_say_nothing_are_refused(wrong):
    for pair in (wrong, [0.0, 1.0]), ([0.0, 1.0], wrong):
        with pytest.raises(Mistake):
            detection_figures(*map(torch.tensor, pair))


def as_images(x):
    return Images((x * 255).round().to(torch.uint8), torch.zeros(len(x), dtype=torch.int64))


def test_scores_are_what_they_are_called(smooth, images):
    model, some = smooth().float(), as_images(images)
    found = scores(model, some, batch_size=3)
    logits = model.logits(some.x).double().detach()
    p = logits.softmax(dim=1)
    x = some.x.requires_grad_()
    (gradient,) = torch.autograd.grad(model.energy(x).sum(), x)
    expected = {
        "log p(x)": logits.logsumexp(dim=1),
        "max p(y|x)": p.amax(dim=1).log(),
        "class energy": logits.amax(dim=1),
        "approximate mass": -gradient.flatten(1).norm(dim=1).double(),
        "entropy": (p * p.log()).sum(dim=1),
    }
    assert found.keys() == expected.keys() == SCORES.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-4, atol=1e-5)


def test_an_attack_only_raises_scores_and_a_larger_ball_raises_them_more(smooth, images, traces):
    model, some = smooth().float(), as_images(images)
    before = traces(model)
    levels = [
        scores(model, some),
        *worst_scores(model, some, [0.0, 0.02, 0.1], generator=Generator(0), steps=5, restarts=1),
    ]
    assert traces(model) == before
    for name in SCORES:
        for softer, harder in itertools.pairwise(levels):
            assert (harder[name] >= softer[name]).all()
        assert levels[-1][name].mean() > levels[0][name].mean(), name


def test_the_worst_case_of_a_linear_energy_is_its_corner(linear, images):
    """Of one logit only, log p(x) = w x + b: the corner of the ball, cut by the box."""
    model, some = linear.float(), as_images(images)
    layer = model.classifier[1]
    with torch.no_grad():
        layer.weight.copy_(layer.weight[:1].expand_as(layer.weight))
    (found,) = worst_scores(model, some, [0.1], generator=Generator(0), steps=10)
    corner = (some.x + 0.1 * layer.weight[0].sign().reshape(1, 4, 4)).clamp(0, 1)
    expected = -model.energy(corner).double().detach()
    torch.testing.assert_close(found["log p(x)"], expected)


def test_rows_stand_beside_the_baseline(smooth, images):
    model, plain, some = smooth().float(), smooth("bent").float(), as_images(images)
    sets = {"noise": as_images(Generator(1).uniform((5, 1, 4, 4)))}
    options = {"generator": Generator(0), "eps_list": [0.05], "steps": 3, "attacked": 4}
    rows = detect(model, some, sets, baseline=plain, **options)
    assert len(rows) == 2 * len(SCORES)
    alone = detect(plain, some, sets, **options)
    for row, other in zip(rows, alone, strict=True):
        assert row["baseline_auroc"] == other["auroc"]
        assert other["baseline_auroc"] is None
        assert row["n_unknown"] == (5 if row["attack"] is None else 4)
        assert all(law["passed"] for law in row.get("laws", {}).values())


@pytest.mark.parametrize("eps_list", [[0.1, 0.05], [-0.1]])
def test_radii_grow(smooth, images, eps_list):
    with pytest.raises(Mistake, match="radii"):
        worst_scores(smooth(), as_images(images), eps_list, generator=Generator(0))


def test_a_broken_model_is_told(smooth, images):
    model = smooth().float()
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    with pytest.raises(Mistake, match="not finite"):
        scores(model, as_images(images))

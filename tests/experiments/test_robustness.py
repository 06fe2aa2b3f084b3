"""A judgement under attack: what it says of an honest classifier, and how it finds out others."""

import json

import pytest
import torch
from torch import nn

from jemstone.errors import Mistake
from jemstone.experiments import judge_purification, judge_robustness
from jemstone.functional.balls import L2
from jemstone.metrics import Purified, accuracy, robust_accuracy
from jemstone.metrics.laws import LAWS, grey_radius
from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.random import Generator
from jemstone.samplers import SGLD

pytest.importorskip("pyautoattack", reason="needs the extra attack")

FAST = {
    "eps": [0.05, 0.1],
    "steps": 8,
    "restarts": 1,
    "batch_size": 40,
    "autoattack_steps": 3,
    "queries": 120,
}


@pytest.fixture(scope="module")
def images(digits):
    """Sixty digits with their labels."""
    return digits.test.take(torch.arange(60))


@pytest.fixture(scope="module")
def honest(perceptron, images):
    """Judge a classifier that hides nothing."""
    return judge_robustness(perceptron, *images, curve=[0.02], **FAST)


def broken(rows):
    """Collect the laws that an attack's numbers break, by attack."""
    found = {}
    for row in rows:
        failed = {name for name, verdict in row["laws"].items() if not verdict["passed"]}
        found[row["attack"]] = found.get(row["attack"], set()) | failed
    return found


def by_radius(rows, attack):
    return {row["eps"]: row["value"] for row in rows if row["attack"] == attack}


def test_an_honest_number_fulfils_every_law(honest):
    assert set().union(*broken(honest).values()) == set()
    assert {name for row in honest for name in row["laws"]} == LAWS.keys()


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_network_whose_weights_stand_still_stands_as_often(norm, images):
    x = images[0][:30]
    model = JointEnergyModel(WideResNet(1, 10, depth=10, width=1, norm=norm)).eval()
    with torch.no_grad():
        y = model.logits(x).argmax(dim=1)
    asked = {"eps": [0.02], "steps": 4, "restarts": 1, "autoattack_steps": 3, "queries": 40}
    plain, still = (judge_robustness(f, x, y, **asked) for f in (model.logits, model))
    assert 0 < min(row["value"] for row in plain) < 1
    for row, other in zip(still, plain, strict=True):
        assert row["attack"] == other["attack"]
        assert row["value"] == pytest.approx(other["value"], abs=1.5 / len(x))


def test_rows_are_those_of_the_contract(honest, perceptron, images, digits):
    clean = accuracy(perceptron, digits.test.first(60))
    assert list(broken(honest)) == [
        "PGD-8 x1 (cross-entropy)",
        "PGD-8 x1 (margin)",
        "AutoAttack, shortened",
        "Square-120",
        "worst case",
    ]
    for row in honest:
        assert row["n"] == 60
        assert row["interval"][0] <= row["value"] <= row["interval"][1] <= 1
        assert row["laws"]["below_clean"]["values"]["clean"] == clean
        assert ("every_image_can_be_grey" in row["laws"]) == (row["eps"] >= 0.5)
    assert list(by_radius(honest, "worst case")) == [0.02, 0.05, 0.1, 0.5]
    assert list(by_radius(honest, "AutoAttack, shortened")) == [0.05, 0.1]
    assert json.loads(json.dumps(honest, allow_nan=False)) == honest


def test_the_worst_case_is_below_every_attack(honest):
    worst = by_radius(honest, "worst case")
    for row in honest:
        assert worst[row["eps"]] <= row["value"]
    assert 0.05 < worst[0.1] < worst[0.05] < 1


def test_pgd_is_that_of_the_quick_suite(honest, perceptron, digits):
    rows = robust_accuracy(
        perceptron,
        digits.test.first(60),
        "linf",
        [0.02, 0.05, 0.1, 0.5],
        generator=Generator(0).fold("pgd"),
        steps=8,
        restarts=1,
    )
    found = by_radius(honest, "PGD-8 x1 (cross-entropy)")
    assert {row["eps"]: row["value"] for row in rows} == found


def test_l2_has_its_own_grey_radius(perceptron, images):
    rows = judge_robustness(perceptron, *images, norm="l2", **{**FAST, "eps": [0.5]})
    assert set().union(*broken(rows).values()) == set()
    assert max(by_radius(rows, "worst case")) == grey_radius(L2(0.1), 64) == 4


class Loud(nn.Module):
    """Logits times 1e4: softmax saturates, and the gradient of cross-entropy is 0 in float32."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return 1e4 * self.model(x)


class Quantised(Loud):
    """Eight grey levels: the input's rounding has the gradient 0 everywhere."""

    def forward(self, x):
        return self.model((7 * x).round() / 7)


def test_loud_logits_are_found_out(perceptron, images, honest):
    rows = judge_robustness(Loud(perceptron), *images, **FAST)
    found = broken(rows)
    assert found["PGD-8 x1 (cross-entropy)"] == {
        "gradient_reaches_the_image",
        "no_weaker_than_black_box",
        "every_image_can_be_grey",
    }
    assert found["PGD-8 x1 (margin)"] == found["worst case"] == set()
    # What counts is not fooled: the margin's gradient is there, whatever the scale.
    for eps, value in by_radius(rows, "worst case").items():
        assert value == pytest.approx(by_radius(honest, "worst case")[eps], abs=0.02)


def test_a_quantised_input_is_found_out(perceptron, images):
    found = broken(judge_robustness(Quantised(perceptron), *images, **FAST))
    hidden = {"gradient_reaches_the_image", "no_weaker_than_black_box", "every_image_can_be_grey"}
    for attack in ("PGD-8 x1 (cross-entropy)", "PGD-8 x1 (margin)", "worst case"):
        assert found[attack] == hidden
    assert "no_weaker_than_black_box" in found["AutoAttack, shortened"]


def test_a_plain_function_is_judged_too(perceptron, images, honest):
    rows = judge_robustness(lambda x: perceptron(x), *images, curve=[0.02], **FAST)
    assert rows == honest


class Interrupted(Exception):
    """What stops a judgement halfway."""


@pytest.mark.parametrize("stop", [1, 9])
def test_an_interrupted_judgement_goes_on(stop, perceptron, images, honest):
    store, heard = {}, []

    def stopping(line):
        heard.append(line)
        if len(heard) > stop:
            raise Interrupted

    with pytest.raises(Interrupted):
        judge_robustness(perceptron, *images, curve=[0.02], store=store, progress=stopping, **FAST)
    assert len(store) == stop
    known = dict(store)
    store = json.loads(json.dumps(store))
    rows = judge_robustness(perceptron, *images, curve=[0.02], store=store, **FAST)
    assert rows == honest
    assert {name: store[name] for name in known} == known


def test_what_is_known_of_other_weights_or_images_is_not_used(perceptron, images):
    x, y = images
    store = {}
    options = {**FAST, "attacks": ["pgd"], "store": store}
    judge_robustness(perceptron, x, y, **options)
    first = len(store)
    judge_robustness(perceptron, x, y, **options)
    assert len(store) == first
    judge_robustness(perceptron, x.flip(0), y.flip(0), **options)
    judge_robustness(Loud(perceptron), x, y, **options)
    judge_robustness(perceptron, x, y, **options, generator=Generator(1))
    assert len(store) == 4 * first


def test_the_model_is_left_as_it_was(perceptron, images, traces):
    perceptron.train()
    before = traces(perceptron)
    judge_robustness(perceptron, *images, **{**FAST, "eps": [0.02], "queries": 5})
    assert traces(perceptron) == before
    perceptron.eval()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": lambda x: 2 * x - 1}, "outside"),
        ({"x": lambda x: 255 * x}, "outside"),
        ({"y": lambda y: y + 1}, "labels go from"),
        ({"y": lambda y: y[1:]}, "labels"),
        ({"norm": "l1"}, "no norm 'l1'"),
        ({"attacks": ["pdg"]}, "did you mean 'pgd'"),
        ({"attacks": []}, "an attack"),
        ({"eps": []}, "above 0"),
        ({"eps": [0.0]}, "above 0"),
        ({"curve": [-1]}, "above 0"),
        ({"eps": [float("nan")]}, "finite"),
        ({"steps": 3}, "4 steps"),
        ({"restarts": 0}, "a restart"),
        ({"model": lambda m: Purified(m, SGLD(1, 0.1, 0.1), Generator(0))}, "judge_purification"),
        ({"model": lambda m: lambda x: m(x) * torch.nan}, "not finite"),
    ],
)
def test_what_cannot_be_judged_is_refused(change, words, perceptron, images):
    x, y = images
    model = change.pop("model", lambda m: m)(perceptron)
    x, y = change.pop("x", lambda x: x)(x), change.pop("y", lambda y: y)(y)
    with pytest.raises(Mistake, match=words):
        judge_robustness(model, x, y, **{**FAST, **change})


def test_purification_stands_beside_the_plain_model(perceptron, images):
    x, y = (part[:8] for part in images)
    walk, store = SGLD(1, step_size=0.001, noise=0.01), {}
    options = {"eps": [0.1, 0.05], "steps": 1, "batch_size": 4, "store": store}
    rows = judge_purification(perceptron, walk, x, y, **options)
    assert [row["eps"] for row in rows] == [0.05, 0.1]
    for row in rows:
        assert row["attack"] == "PGD-1 EOT-16 BPDA"
        assert row["walk"].startswith("SGLD(")
        assert "step_size=0.001" in row["walk"]
        assert row["value"] <= row["clean"]
        assert row["plain"]["value"] <= row["plain"]["clean"]
        assert all(verdict["passed"] for verdict in row["laws"].values())
    assert len(store) == 4
    assert judge_purification(perceptron, walk, x, y, **options) == rows
    assert len(store) == 4
    other = SGLD(1, step_size=0.002, noise=0.01)
    judge_purification(perceptron, other, x, y, **options)
    assert len(store) == 8
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"repetitions": 14}, "at least 15"),
        ({"eps": []}, "above 0"),
        ({"steps": 0}, "at least one"),
        ({"norm": "l1"}, "no norm"),
    ],
)
def test_purification_without_many_draws_is_refused(change, words, perceptron, images):
    walk = SGLD(1, step_size=0.001, noise=0.01)
    with pytest.raises(Mistake, match=words):
        judge_purification(perceptron, walk, *images, **{"eps": [0.1], **change})

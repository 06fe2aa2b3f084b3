"""The adapter adds guards to the authors' attacks, and takes nothing from their strength."""

import logging
import sys
from itertools import pairwise

import pytest
import torch
from torch import nn

from jemstone.errors import Mistake
from jemstone.functional.balls import L2, Ball, Linf
from jemstone.metrics import Purified, autoattack
from jemstone.metrics.autoattack import parts_for
from jemstone.random import Generator
from jemstone.samplers import SGLD

pyautoattack = pytest.importorskip("pyautoattack", reason="needs the extra attack")

FAST = {"generator": Generator(0), "steps": 4, "queries": 10}


@pytest.fixture
def case(perceptron, digits):
    """A model, 30 images and their labels."""
    return (perceptron, *digits.test.take(torch.arange(30)))


@pytest.mark.parametrize(("norm", "threat"), [("Linf", Linf(0.1)), ("L2", L2(0.6))])
def test_it_breaks_what_the_authors_code_breaks(norm, threat, case):
    model, x, y = case
    parts = ["apgd-ce", "square"]
    theirs = pyautoattack.AutoAttack(model, norm=norm, eps=threat.eps, seed=0, version="standard")
    theirs.attacks_to_run, theirs.square.n_queries = parts, 200
    attacked, _ = theirs.run_standard_evaluation(x, y)
    expected = model(attacked).argmax(dim=1) == y
    found = autoattack(model, x, y, threat, generator=Generator(0), parts=parts, queries=200)
    assert 0.1 < float(expected.double().mean()) < 0.9
    assert int((found[-1] != expected).sum()) <= 1


@pytest.mark.parametrize("threat", [Linf(0.05), L2(0.4)])
def test_laws_of_an_ensemble(threat, case):
    model, x, y = case
    rows = autoattack(model, x, y, threat, **FAST)
    assert rows.shape == (1 + len(parts_for(10)), len(x))
    assert torch.equal(rows[0], model(x).argmax(dim=1) == y)
    for before, after in pairwise(rows):
        assert (after <= before).all()
    assert rows[-1].sum() < rows[0].sum()
    assert torch.equal(rows, autoattack(model, x, y, threat, **FAST))


@pytest.mark.parametrize("classes", [2, 3, 4, 6])
@pytest.mark.parametrize("threat", [Linf(0.2), L2(1.0)])
def test_few_classes_and_a_single_image_are_attacked(classes, threat, generator):
    model = nn.Sequential(nn.Flatten(), nn.Linear(25, classes))
    x = generator.uniform((1, 1, 5, 5))
    rows = autoattack(model, x, model(x).argmax(dim=1), threat, **FAST)
    assert len(rows) == 1 + len(parts_for(classes))
    assert rows[0].all()
    assert not rows[-1].any()


def test_nothing_of_the_model_or_the_machine_is_changed(case, traces):
    model, x, y = case
    model.train()
    before = traces(model)
    torch.manual_seed(7)
    state, log = torch.get_rng_state(), logging.getLogger("auto-attack")

    def trace(frame, event, argument):
        return None

    was = sys.gettrace()
    sys.settrace(trace)
    try:
        autoattack(model, x[:6], y[:6], Linf(0.001), **FAST)
        found = sys.gettrace()
    finally:
        sys.settrace(was)
    assert found is trace
    assert torch.equal(torch.get_rng_state(), state)
    assert not log.disabled
    assert traces(model) == before
    model.eval()


def test_what_is_remembered_is_not_computed_again(case):
    model, x, y = case
    memory, computed = {}, []

    def remember(name, compute):
        if name not in memory:
            computed.append(name)
            memory[name] = compute()
        return memory[name]

    first = autoattack(model, x, y, Linf(0.05), batch_size=12, remember=remember, **FAST)
    assert {name.split()[0] for name in computed} == set(parts_for(10))
    again = len(computed)
    second = autoattack(model, x, y, Linf(0.05), batch_size=12, remember=remember, **FAST)
    assert len(computed) == again
    assert torch.equal(first, second)


def test_only_what_stands_is_attacked(case):
    model, x, y = case
    standing = torch.arange(30) < 10
    rows = autoattack(model, x, y, Linf(0.05), standing=standing, **FAST)
    assert not rows[:, 10:].any()
    assert rows[0, :10].any()


def test_an_attack_that_leaves_its_ball_is_found_out(case, monkeypatch):
    model, x, y = case

    def cheat(self, x, y, batch_size):
        return (x + 0.2).clamp(0, 1), y

    monkeypatch.setattr(pyautoattack.AutoAttack, "run_standard_evaluation", cheat)
    with pytest.raises(RuntimeError, match="far in a ball"):
        autoattack(model, x, y, Linf(0.05), **FAST)


def test_without_the_extra_the_mistake_names_it(case, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    with pytest.raises(Mistake, match=r"jemstone\[attack\]"):
        autoattack(*case, Linf(0.05), **FAST)


class Other(Ball):
    norm = project = sample = steepest = None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": lambda x: 2 * x - 1}, "outside"),
        ({"threat": Linf(0.0)}, "above 0"),
        ({"threat": Other(0.1)}, "Linf and L2"),
        ({"x": lambda x: x[:, :, :4, :4], "threat": L2(0.1)}, "5 x 5"),
        ({"parts": ["apgd"]}, "did you mean 'apgd-"),
        ({"y": lambda y: y + 5}, "labels go from"),
        ({"model": lambda m: lambda x: m(x) + torch.randn(len(x), 10)}, "asked twice"),
        ({"model": lambda m: Purified(m, SGLD(1, 0.1, 0.1), Generator(0))}, "at random"),
        ({"model": lambda m: lambda x: m(x)[:, :1], "y": lambda y: 0 * y}, "at least 2 classes"),
    ],
)
def test_what_it_cannot_judge_is_refused(change, words, case):
    model, x, y = case
    threat = change.pop("threat", Linf(0.05))
    model = change.pop("model", lambda m: m)(model)
    x, y = change.pop("x", lambda x: x)(x), change.pop("y", lambda y: y)(y)
    with pytest.raises(Mistake, match=words):
        autoattack(model, x, y, threat, **FAST, **change)

"""A run in trouble goes back, a run in none is left alone."""

import dataclasses
import json
from itertools import pairwise

import pytest
import torch

from jemstone.checkpoints import newest_checkpoint
from jemstone.random import Generator
from jemstone.training import Diverged, Guard, Guarding, Interrupted, RunFolder
from jemstone.training.recovery import roll_back
from jemstone.types import Loss

WATCHFUL = Guarding(retries=3, every=2, cross_entropy=10.0)


class Breaks:
    """An objective that is lost at the given calls, counted over the whole life of the run."""

    def __init__(self, objective, at):
        self.objective, self.at, self.calls = objective, at, 0

    def __call__(self, model, batch, generator):
        self.calls += 1
        loss = self.objective(model, batch, generator)
        lost = float("nan") if self.calls in self.at else 1.0
        return Loss(lost * loss.value, loss.terms)


@pytest.fixture
def same():
    def check(expected, found):
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            assert torch.equal(found[name], value), name

    return check


def timeless(metrics):
    return {step: m | {"seconds_per_step": 0} for step, m in metrics.items()}


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_run_in_no_trouble_is_the_same_bit_for_bit(
    norm, optimiser, robust_jem, listener, remembered, same
):
    plain, watched = robust_jem(norm, optimiser), robust_jem(norm, optimiser)
    hears, hears_too = listener(), listener()
    plain.train(hears)
    watched.train(hears_too, guard=Guard(rules=WATCHFUL))
    same(remembered(plain.state), remembered(watched.state))
    same(hears.models[-1], hears_too.models[-1])
    assert timeless(hears.metrics) == timeless(hears_too.metrics)
    assert watched.state.watch.retries == 0
    assert hears_too.events == []


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_going_back_restores_all_that_moves(optimiser, robust_jem, remembered, same):
    """But for the outlier chains, which begin anew, and the guard's own memory."""
    run = robust_jem("batch", optimiser)
    run.train(guard=Guard(rules=WATCHFUL))
    state = run.state
    good, before = state.trail[0], remembered(state)
    assert [snapshot.step for snapshot in state.trail] == [3, 6]
    event = roll_back(state, WATCHFUL, Diverged(6, "loss is nan"), Generator(5))
    assert event | {"renewed_chains": 0} == {
        "step": 6,
        "event": "rolled back",
        "reason": "loss is nan",
        "to": 3,
        "retry": 1,
        "learning_rate_factor": 0.3,
        "renewed_chains": 0,
    }
    assert state.step == 3
    after = remembered(state)
    assert any(not torch.equal(before[name], value) for name, value in after.items())
    del after["chains"], before["chains"]
    again = robust_jem("batch", optimiser, weights_seed=1)
    again.state.restore(good)
    expected = remembered(again.state)
    del expected["chains"]
    same(expected, after)


def test_outlier_chains_begin_anew_and_no_others(robust_jem):
    run = robust_jem()
    run.train(guard=Guard(rules=WATCHFUL))
    state = run.state
    state.trail[0].chains[[4, 17]] = 1e4  # as a chain that left the box
    before = state.trail[0].chains.clone()
    event = roll_back(state, WATCHFUL, Diverged(6, "x"), Generator(5))
    moved = (state.buffer.images != before).flatten(1).any(dim=1)
    assert event["renewed_chains"] == 2
    assert moved.nonzero().flatten().tolist() == [4, 17]
    assert (state.buffer.images[moved] <= 1).all()


@pytest.mark.parametrize(
    ("at", "ways"),
    [({1}, [(0, 0)]), ({5}, [(4, 0)]), ({6, 7}, [(5, 0), (0, 0)]), ({9, 10}, [(8, 3), (3, 3)])],
    ids=str,
)
def test_a_run_in_trouble_goes_back_to_the_last_proved_checkpoint(at, ways, robust_jem, listener):
    """A checkpoint every 3 steps is proved by the next; before that the run begins anew."""
    run, hears = robust_jem(steps=12), listener()
    run.objective = Breaks(run.objective, at)
    run.train(hears, guard=Guard(rules=WATCHFUL), objective=run.objective)
    assert [(event["step"], event["to"]) for event in hears.events] == ways
    assert [event["retry"] for event in hears.events] == [1, 2][: len(ways)]
    factors = [event["learning_rate_factor"] for event in hears.events]
    assert factors == pytest.approx([0.3, 0.09][: len(ways)])
    assert run.state.step == 12
    assert all(value.isfinite().all() for value in run.state.model.state_dict().values())
    rate = hears.metrics[12]["learning_rate"]
    plain, hears_plain = robust_jem(steps=12), listener()
    plain.train(hears_plain)
    assert rate == pytest.approx(factors[-1] * hears_plain.metrics[12]["learning_rate"])


def test_the_number_of_retries_is_bounded(robust_jem, listener):
    run, hears = robust_jem(), listener()
    lost = Breaks(run.objective, range(1, 100))
    with pytest.raises(Diverged, match="after going back 3 times: loss is nan") as told:
        run.train(hears, guard=Guard(rules=WATCHFUL), objective=lost)
    assert lost.calls == 4
    assert "learning_rate" in str(told.value)
    names = [event["event"] for event in hears.events]
    assert names == ["rolled back"] * 3 + ["diverged"]


def test_an_early_sign_sends_a_run_back_before_numbers_explode(robust_jem, listener):
    """A gap between the energies of data and samples, finite and far below the limit."""
    run, hears = robust_jem(), listener()

    def parted(model, batch, generator):
        loss = run.objective(model, batch, generator)
        first = run.state.watch.retries == 0
        return Loss(loss.value, loss.terms | ({"likelihood": torch.tensor(100.0)} if first else {}))

    run.train(hears, guard=Guard(rules=WATCHFUL), objective=parted)
    (event,) = hears.events
    assert event["event"] == "rolled back"
    assert event["reason"] == "the median gap between the energies of data and samples is 100"


def test_another_way_has_other_draws(robust_jem, listener):
    """Else it might lead to the same end."""
    ways = []
    for at in ({1}, set()):
        run, hears = robust_jem(), listener()
        rules = dataclasses.replace(WATCHFUL, lower=1.0)
        run.train(hears, guard=Guard(rules=rules), objective=Breaks(run.objective, at))
        assert run.state.watch.retries == len(at)
        ways.append({k: v for k, v in hears.metrics[max(hears.metrics)].items() if k == "loss"})
    assert ways[0] != ways[1]


def test_without_retries_a_lost_run_stops_at_once_and_says_so(robust_jem, listener):
    run, hears = robust_jem(), listener()
    with pytest.raises(Diverged, match="step 2: loss is nan"):
        run.train(hears, objective=Breaks(run.objective, {3}))
    assert hears.events == [{"step": 2, "event": "diverged", "reason": "loss is nan"}]


class Moody:
    """An objective lost at a step of a way: a function of the run's state, so it can be resumed."""

    def __init__(self, run, at):
        self.run, self.at = run, at

    def __call__(self, model, batch, generator):
        loss = self.run.objective(model, batch, generator)
        here = (self.run.state.watch.retries, self.run.state.step)
        return Loss(float("nan") * loss.value if here in self.at else loss.value, loss.terms)


WAYS = [{(0, 8)}, {(0, 2), (1, 8)}, {(0, 11), (1, 9)}]
# Before, between and after each way's troubles; the rest of the table is a matter of `make stress`.
SOON = [(0, 8), (1, 5), (2, 13)]


@pytest.mark.parametrize(
    ("at", "stop"),
    [
        pytest.param(at, stop, marks=() if (way, stop) in SOON else pytest.mark.stress)
        for way, at in enumerate(WAYS)
        for stop in (1, 4, 5, 8, 9, 10, 13)
    ],
    ids=str,
)
def test_a_resumed_run_that_went_back_equals_the_uninterrupted_one(
    at, stop, robust_jem, listener, remembered, same, tmp_path
):
    """Stopped before, between and after going back: states, metrics and events are the same."""

    def go(run, folder, *others):
        rules = Guard(rules=WATCHFUL)
        run.train(RunFolder(folder), *others, guard=rules, objective=Moody(run, at))

    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = robust_jem("batch", "adam", steps=12)
    go(whole, tmp_path / "whole")
    assert whole.state.watch.retries == len(at)

    first = robust_jem("batch", "adam", steps=12)
    with pytest.raises(Interrupted):
        go(first, tmp_path / "parts", listener(stop=stop))
    second = robust_jem("batch", "adam", steps=12)
    second.state.load(newest_checkpoint(tmp_path / "parts"))
    folder = RunFolder(tmp_path / "parts")
    folder.cut_back(second.state.step, second.state.watch.retries)
    go(second, tmp_path / "parts")

    same(remembered(whole.state), remembered(second.state))
    assert whole.state.watch == second.state.watch
    lines = [
        [json.loads(line) | {"seconds_per_step": 0} for line in text.splitlines()]
        for text in ((tmp_path / n / "metrics.jsonl").read_text() for n in ("whole", "parts"))
    ]
    assert lines[0] == lines[1]
    steps = [line["step"] for line in folder.metrics()]
    assert steps == list(range(1, 13))
    assert len(list(folder.events())) == len(at)


def test_the_lost_ways_checkpoints_are_gone(robust_jem, tmp_path):
    run = robust_jem(steps=12)
    rules = Guard(rules=WATCHFUL)
    run.train(RunFolder(tmp_path), guard=rules, objective=Moody(run, {(0, 11)}))
    older = sorted(int(folder.name) for folder in (tmp_path / "checkpoints").iterdir())
    assert older == [6, 9]
    assert all(a < b for a, b in pairwise(older))

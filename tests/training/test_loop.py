import copy

import pytest
import torch
from torch import nn

from jemstone import JointEnergyModel
from jemstone.checkpoints import newest_checkpoint
from jemstone.data import Epochs
from jemstone.nn.modes import recalibrate
from jemstone.objectives import CrossEntropy
from jemstone.random import Generator
from jemstone.training import (
    Diverged,
    Guard,
    Interrupted,
    Optimisation,
    TrainingState,
    train,
)
from jemstone.types import Loss


@pytest.fixture
def plain(stripes):
    """Train a linear classifier by an objective."""

    def go(objective, listeners=(), guard=None, **options):
        torch.manual_seed(0)
        model = JointEnergyModel(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
        optimisation = Optimisation(**{"learning_rate": 0.1, "batch_size": 8, "steps": 6} | options)
        state = TrainingState(model, optimisation.build(model))
        go.state = state
        return train(
            state,
            objective,
            stripes,
            optimisation,
            listeners,
            Generator(5),
            guard=guard,
            log_every=1,
        )

    return go


def same(expected, found):
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    norm, optimiser, robust_jem, listener, remembered, tmp_path
):
    whole, hears = robust_jem(norm, optimiser), listener()
    whole.train(hears)

    first = robust_jem(norm, optimiser)
    with pytest.raises(Interrupted, match="after step 3 of 6"):
        first.train(listener(tmp_path, stop=3), checkpoint_every=100)
    second, hears_again = robust_jem(norm, optimiser, weights_seed=1), listener(tmp_path)
    second.state.load(newest_checkpoint(tmp_path))
    assert second.state.step == 3
    second.train(hears_again)

    same(remembered(whole.state), remembered(second.state))
    same(hears.models[-1], hears_again.models[-1])
    same(hears.models[-1], JointEnergyModel.from_pretrained(tmp_path).state_dict())
    for step in (4, 5, 6):
        timed = "seconds_per_step"
        assert hears_again.metrics[step] | {timed: 0} == hears.metrics[step] | {timed: 0}


def test_how_often_one_listens_changes_nothing(robust_jem, listener, remembered):
    often, seldom = robust_jem("batch"), robust_jem("batch")
    often.train(listener(), log_every=1, checkpoint_every=1)
    seldom.train(listener(), log_every=100, checkpoint_every=100)
    same(remembered(often.state), remembered(seldom.state))


@pytest.mark.parametrize(
    ("log_every", "checkpoint_every", "logged", "kept"),
    [(1, 3, [1, 2, 3, 4, 5, 6], [3, 6]), (4, 4, [4, 6], [4, 6]), (100, 100, [6], [6])],
)
def test_metrics_and_checkpoints_come_in_time_and_at_the_end(
    log_every, checkpoint_every, logged, kept, robust_jem, listener
):
    hears = listener()
    robust_jem().train(hears, log_every=log_every, checkpoint_every=checkpoint_every)
    assert list(hears.metrics) == logged
    assert hears.checkpoints == kept
    assert {"loss", "accuracy", "energy_data", "learning_rate"} <= hears.metrics[6].keys()


def test_a_finished_run_is_left_alone(robust_jem, listener, remembered):
    run = robust_jem()
    run.train()
    before, hears = remembered(run.state), listener()
    run.train(hears)
    same(before, remembered(run.state))
    assert not hears.metrics
    assert not hears.checkpoints


def test_a_stop_is_kept_and_told(robust_jem, listener):
    run, hears = robust_jem(), listener(stop=2)
    with pytest.raises(Interrupted, match="after step 2 of 6") as told:
        run.train(hears, checkpoint_every=100)
    assert told.value.step == run.state.step == 2
    assert hears.checkpoints == [2]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_released_weights_are_calibrated_on_clean_training_images(
    ema, robust_jem, listener, stripes
):
    run, hears = robust_jem("batch", ema=ema), listener()
    run.train(hears)
    expected = copy.deepcopy(run.state.average if ema else run.state.model)
    recalibrate(expected, [batch.x for batch in Epochs(stripes, 8, Generator(5)).some(50)])
    found = hears.models[-1]
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(found[name], value, msg=name)
    own = run.state.weights_to_use.state_dict()
    assert any(not torch.equal(own[n], v) for n, v in found.items() if "running_mean" in n)


def test_training_learns(plain, listener):
    hears = listener()
    state = plain(CrossEntropy(), [hears], steps=60)
    assert hears.metrics[60]["loss"] < 0.1 * hears.metrics[1]["loss"]
    assert hears.metrics[60]["accuracy"] == 1.0
    assert not state.model.training


def test_the_rate_is_that_of_the_schedule(plain, listener):
    hears = listener()
    plain(CrossEntropy(), [hears], warmup=3, schedule="step", milestones=(0.5,), decay=0.1)
    rates = [hears.metrics[step]["learning_rate"] for step in range(1, 7)]
    assert rates == pytest.approx([0.1 / 3, 0.2 / 3, 0.1, 0.01, 0.01, 0.01])


@pytest.mark.parametrize("largest", [0.01, 1.0])
def test_no_step_is_longer_than_the_clip_allows(largest, plain, listener):
    """One step of plain SGD has the length of rate times the gradient's norm, or of the clip."""
    plain(CrossEntropy(), steps=0)
    before = torch.nn.utils.parameters_to_vector(plain.state.model.parameters())
    hears = listener()
    plain(CrossEntropy(), [hears], steps=1, momentum=0.0, clip_norm=largest, schedule="constant")
    after = torch.nn.utils.parameters_to_vector(plain.state.model.parameters())
    length = 0.1 * min(largest, hears.metrics[1]["grad_norm"])
    assert float((after - before).detach().norm()) == pytest.approx(length, rel=1e-4)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
@pytest.mark.parametrize("step", [0, 4])
def test_a_lost_run_stops_before_its_weights_are_lost(value, step, plain, listener):
    calls = []

    def breaks(model, batch, generator):
        calls.append(1)
        loss = CrossEntropy()(model, batch, generator)
        factor = value if len(calls) == step + 1 else 1.0
        return Loss(factor * loss.value, loss.terms)

    hears = listener()
    with pytest.raises(Diverged, match=f"step {step}: loss is") as told:
        plain(breaks, [hears])
    assert told.value.step == plain.state.step == step
    assert all(p.isfinite().all() for p in plain.state.model.parameters())
    assert sorted(hears.metrics) == list(range(1, step + 1))
    assert not hears.checkpoints


def test_the_guards_limit_is_an_argument(plain):
    with pytest.raises(Diverged, match="step 0"):
        plain(CrossEntropy(), guard=Guard(limit=1e-3))

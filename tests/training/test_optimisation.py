import math

import pytest
import torch
from torch import nn

from jemstone.training import Optimisation

STEP = {"milestones": (0.5, 0.75), "decay": 0.1}


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"schedule": "constant"}, {0: 1, 50: 1, 99: 1}),
        ({"schedule": "step"}, {0: 1, 99: 1}),
        ({"schedule": "step", **STEP}, {0: 1, 49: 1, 50: 0.1, 74: 0.1, 75: 0.01, 99: 0.01}),
        ({"schedule": "cosine"}, {0: 1, 25: 0.5 + 0.5**1.5, 50: 0.5, 75: 0.5 - 0.5**1.5}),
        ({"schedule": "constant", "warmup": 4}, {0: 0.25, 1: 0.5, 3: 1, 4: 1, 99: 1}),
        ({"schedule": "step", "warmup": 60, **STEP}, {29: 0.5, 50: 0.1 * 51 / 60, 59: 0.1}),
        ({"schedule": "cosine", "warmup": 10}, {0: 0.1, 50: 0.5}),
        ({"schedule": "constant", "milestones": (0.5,), "decay": 0.1}, {99: 1}),
        ({"schedule": "constant", "learning_rate": 0.3}, {0: 0.3}),
    ],
    ids=str,
)
def test_the_schedule(options, rates):
    optimisation = Optimisation(**{"learning_rate": 1.0} | options)
    for step, rate in rates.items():
        assert optimisation.learning_rate_at(step, 100) == pytest.approx(rate), step


@pytest.mark.parametrize("schedule", ["step", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0, 5])
def test_after_warm_up_the_rate_never_rises_and_is_never_zero(schedule, warmup):
    optimisation = Optimisation(schedule=schedule, warmup=warmup, **STEP)
    rates = [optimisation.learning_rate_at(step, 40) for step in range(40)]
    assert all(a >= b for a, b in zip(rates[warmup:], rates[warmup + 1 :], strict=False))
    assert min(rates) > 0
    assert max(rates) <= optimisation.learning_rate


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"epochs": 2}, 20),
        ({"epochs": 0.25}, 3),
        ({"steps": 7, "epochs": 99}, 7),
        ({"steps": 0}, 0),
    ],
)
def test_steps_are_counted_or_given(options, steps):
    assert Optimisation(**options).steps_in_all(10) == steps


@pytest.mark.parametrize(
    ("options", "displacement"),
    [
        ({"optimiser": "sgd", "momentum": 0.0}, [-0.1, -0.2]),
        ({"optimiser": "sgd", "momentum": 0.9}, [-0.1, -0.1 - 0.19]),
        ({"optimiser": "adam", "momentum": 0.9}, [-0.1, -0.2]),
        ({"optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.5}, [-0.15, -0.15 - 0.1425]),
    ],
    ids=str,
)
def test_the_optimiser_is_the_one_that_was_named(options, displacement):
    """Two steps on f(w) = w from w = 1."""
    w = nn.Linear(1, 1, bias=False)
    nn.init.ones_(w.weight)
    optimiser = Optimisation(**{"learning_rate": 0.1} | options).build(w)
    for expected in displacement:
        optimiser.zero_grad()
        w(torch.ones(1, 1)).sum().backward()
        optimiser.step()
        assert math.isclose(w.weight.item() - 1, expected, abs_tol=1e-6)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_weight_decay_reaches_every_optimiser(optimiser):
    built = Optimisation(optimiser=optimiser, weight_decay=0.5).build(nn.Linear(1, 1))
    assert [group["weight_decay"] for group in built.param_groups] == [0.5]

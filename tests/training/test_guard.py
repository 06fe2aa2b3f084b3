import math
import re

import pytest
import torch

from jemstone.training import Diverged, Guard, Guarding
from jemstone.training.guard import Watch


@pytest.mark.parametrize("value", [0.0, -3.5, 1e4, -1e4])
def test_sane_terms_are_returned_as_numbers(value):
    terms = {"loss": torch.tensor(value), "energy": torch.tensor(1.5)}
    assert Guard().check(3, terms) == {"loss": value, "energy": 1.5}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("term", ["loss", "energy_samples", "grad_norm"])
def test_a_lost_run_is_stopped_with_its_step_and_term(value, term):
    terms = dict.fromkeys(["loss", "energy_samples", "grad_norm"], torch.tensor(0.0))
    with pytest.raises(Diverged, match=f"step 41: {term} is ") as told:
        Guard().check(41, terms | {term: torch.tensor(value)})
    assert told.value.step == 41
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("term", ["loss", "likelihood"])
@pytest.mark.parametrize("limit", [1.0, 1e8])
def test_the_limit_is_the_guards(limit, term, sign):
    Guard(limit).check(0, {term: torch.tensor(sign * 0.99 * limit)})
    with pytest.raises(Diverged):
        Guard(limit).check(0, {term: torch.tensor(sign * 1.01 * limit)})


@pytest.mark.parametrize("term", ["energy_data", "energy_samples", "grad_norm"])
def test_what_has_no_natural_level_need_only_be_finite(term):
    assert Guard(1.0).check(0, {term: torch.tensor(1e30)})[term] == pytest.approx(1e30)


SANE = {
    "input_grad_norm": 1.0,
    "saturated_data": 0.4,
    "saturated_chains": 0.5,
    "dead_chains": 0.0,
}
RULES = Guarding(retries=1, every=3)


@pytest.mark.parametrize(
    ("window", "probe", "sign"),
    [
        ({}, {}, None),
        ({"likelihood": [9.0, -20.0, 9.9]}, {}, None),
        ({"likelihood": [11.0, -20.0, 12.0]}, {}, "gap between the energies"),
        ({"likelihood": [-11.0, -20.0, 0.0]}, {}, "gap between the energies"),
        ({"likelihood": [-11.0, -20.0]}, {}, None),
        ({"ce": [9.0, 1.9 * math.log(10), 0.0]}, {}, None),
        ({"ce": [9.0, 2.1 * math.log(10), 0.0]}, {}, "ce is 2.1 times that of guessing"),
        ({"adversarial_ce": [9.0, 9.0, 0.0]}, {}, "adversarial_ce is"),
        ({}, {"input_grad_norm": 1001.0}, "norm 1001"),
        ({}, {"input_grad_norm": math.nan}, "norm nan"),
        ({}, {"input_grad_norm": 0.0}, "flat"),
        ({}, {"saturated_chains": 0.95}, "95% of the chains' pixels are saturated"),
        ({}, {"saturated_chains": 0.69}, None),
        ({}, {"saturated_chains": 0.71}, "71%"),
        ({}, {"saturated_data": 0.0}, None),
        ({}, {"saturated_data": 1.0, "saturated_chains": 1.0}, None),
        ({}, {"dead_chains": 0.6}, "60% of the chains are dead"),
    ],
    ids=str,
)
def test_each_sign_of_trouble_is_named(window, probe, sign):
    watch = Watch(window=window)
    if sign is None:
        Guard(rules=RULES).look(20, watch, SANE | probe, classes=10)
        return
    with pytest.raises(Diverged, match=re.escape(sign)) as told:
        Guard(rules=RULES).look(20, watch, SANE | probe, classes=10)
    assert told.value.step == 20


def test_a_run_without_chains_has_no_signs_of_them():
    Guard(rules=RULES).look(20, Watch(), {"input_grad_norm": 1.0}, classes=10)


def test_the_window_holds_the_newest_terms_that_are_watched():
    watch = Watch()
    for number in range(5):
        watch.remember({"likelihood": float(number), "loss": 7.0}, 3)
    assert watch.window == {"likelihood": [2.0, 3.0, 4.0]}

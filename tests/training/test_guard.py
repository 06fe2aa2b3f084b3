import math

import pytest
import torch

from jemstone.training import Diverged, Guard


@pytest.mark.parametrize("value", [0.0, -3.5, 1e4, -1e4])
def test_sane_terms_are_returned_as_numbers(value):
    terms = {"loss": torch.tensor(value), "energy": torch.tensor(1.5)}
    assert Guard().check(3, terms) == {"loss": value, "energy": 1.5}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.1e4, -1.1e4])
@pytest.mark.parametrize("term", ["loss", "energy_samples", "grad_norm"])
def test_a_lost_run_is_stopped_with_its_step_and_term(value, term):
    terms = dict.fromkeys(["loss", "energy_samples", "grad_norm"], torch.tensor(0.0))
    with pytest.raises(Diverged, match=f"step 41: {term} is ") as told:
        Guard().check(41, terms | {term: torch.tensor(value)})
    assert told.value.step == 41
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("limit", [1.0, 1e8])
def test_the_limit_is_the_guards(limit):
    Guard(limit).check(0, {"loss": torch.tensor(0.99 * limit)})
    with pytest.raises(Diverged):
        Guard(limit).check(0, {"loss": torch.tensor(1.01 * limit)})

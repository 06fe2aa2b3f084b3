import math

import pytest
import torch

from jemstone.training import Diverged, Guard


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

"""The Vendi score counts what is different."""

import math

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.metrics import class_vendi_score, vendi_score
from jemstone.random import Generator


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("width", [8, 40])
def test_closed_forms(n, width):
    alike = torch.ones(n, width) * torch.arange(1, n + 1)[:, None]  # lengths do not count
    assert vendi_score(alike) == pytest.approx(1)
    assert vendi_score(torch.eye(width)[:n]) == pytest.approx(n)
    twice = torch.eye(width)[:n].repeat(2, 1)
    assert vendi_score(twice) == pytest.approx(n)


def test_two_groups_count_as_their_shares_say():
    features = torch.eye(3)[[0, 0, 0, 1]]
    expected = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert vendi_score(features) == pytest.approx(expected)


@pytest.mark.parametrize("width", [4, 30])
def test_the_definition_by_the_kernel(width):
    x = Generator(0).normal((12, width), dtype=torch.float64)
    unit = x / x.norm(dim=1, keepdim=True)
    eigenvalues = torch.linalg.eigvalsh(unit @ unit.T / 12).clamp_min(1e-300)
    expected = float((-(eigenvalues * eigenvalues.log()).sum()).exp())
    assert vendi_score(x) == pytest.approx(expected)


def test_within_classes_it_is_their_mean():
    features = torch.eye(4)[[0, 0, 1, 2]]
    assert class_vendi_score(features, torch.tensor([0, 0, 1, 1])) == pytest.approx(1.5)


@pytest.mark.parametrize(
    "wrong", [torch.zeros(3, 2), torch.zeros(0, 2), torch.full((2, 2), math.nan)]
)
def test_nothing_is_refused(wrong):
    with pytest.raises(Mistake):
        vendi_score(wrong)

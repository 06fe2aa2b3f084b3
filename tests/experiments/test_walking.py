"""Walks followed for longer than they were made for: what they come to is said, not hidden."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from jemstone.experiments import Settings
from jemstone.experiments.sight import Eyes
from jemstone.experiments.walking import judge_walks
from jemstone.files import finite
from jemstone.metrics import look, nearest_to
from jemstone.model import JointEnergyModel
from jemstone.report import doubts, plots
from jemstone.samplers import PYLD, Sampler, Uniform
from jemstone.training import Device, Processes
from jemstone.types import Generator


class Precipice(nn.Module):
    """Ten logits, larger for darker images; below a mean of a fifth there are none."""

    def forward(self, x):
        return -torch.sqrt(x.mean(dim=(1, 2, 3)) - 0.2)[:, None].expand(-1, 10)


@pytest.fixture
def walked(digits, eye):
    """Follow walks of three steps of a size, downhill towards the precipice."""
    held_out, learnt = look(digits.test, eye), look(digits.train.first(100), eye)

    def follow(step_size):
        walk = PYLD(outer=3, inner=1, step_size=step_size, bounds=None)
        sampler = Sampler(Uniform((1, 8, 8)), walk)
        case = SimpleNamespace(
            run=SimpleNamespace(sampler=lambda name: sampler, classes=10),
            model=JointEnergyModel(Precipice()).eval(),
            data=digits,
            settings=Settings("full", count=40),
            generator=Generator(0),
            device=Device(),
            eyes=Eyes(eye, held_out, learnt, nearest_to(learnt, held_out)),
            processes=Processes(),
            progress=lambda line: None,
        )
        return finite(judge_walks(case) | {"pictures": None})

    return follow


def test_a_walk_that_explodes_has_no_figures_from_there(walked):
    result = walked(3.0)
    for walk in result["walks"]:
        fids = [row["fid"] for row in walk["rows"]]
        assert fids[0] is not None
        assert fids[-1] is None
        assert (walk["after"]["verdict"], walk["after"]["fid_ratio"]) == ("explodes", None)
    assert any("explodes" in doubt for doubt in doubts(result))
    assert "FID along the walk" in plots(result)


def test_a_walk_that_stays_has_them_all(walked):
    for walk in walked(0.001)["walks"]:
        assert all(row["fid"] is not None for row in walk["rows"])
        assert walk["after"]["verdict"] == "holds"

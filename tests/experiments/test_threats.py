"""What the quick suite attacks is drawn by the seed, and at radii that papers name."""

import pytest
import torch

from jemstone.data import DataSet, Images
from jemstone.errors import Mistake
from jemstone.experiments import PARTS, Settings, case_of
from jemstone.experiments.threats import attacked_images, radii
from jemstone.model import JointEnergyModel
from jemstone.nn import ConvNet
from jemstone.random import Generator


def images(count, channels=1):
    pixels = (torch.arange(count) % 256).to(torch.uint8)[:, None, None, None]
    return Images(pixels.expand(-1, channels, 2, 2), torch.arange(count))


def test_a_thousand_images_are_drawn_once_each_by_the_seed():
    assert len(attacked_images(images(1000), Generator(0))) == 1000
    drawn = attacked_images(images(1500), Generator(0))
    assert len(drawn.labels.unique()) == len(drawn) == 1000
    assert torch.equal(drawn.labels % 256, drawn.pixels[:, 0, 0, 0].long())
    assert int(drawn.labels.max()) > 1000
    assert torch.equal(drawn.labels, attacked_images(images(1500), Generator(0)).labels)
    assert not torch.equal(drawn.labels, attacked_images(images(1500), Generator(1)).labels)


@pytest.mark.parametrize(
    ("norm", "eps", "channels", "expected"),
    [
        ("linf", 0.1, 1, [0.05, 0.1]),
        ("linf", 0.05, 3, [0.025, 8 / 255, 0.05]),
        ("linf", 8 / 255, 3, [4 / 255, 8 / 255]),
        ("l2", 0.5, 3, [0.25, 0.5]),
    ],
)
def test_colour_images_are_held_to_the_fields_radius(norm, eps, channels, expected):
    few = Images(images(4, channels).pixels, torch.arange(4))
    assert radii(norm, eps, DataSet("own", few, few, tuple("abcd"), False)) == expected


@pytest.mark.parametrize(("attacked", "count"), [(None, 12), (5, 5)])
def test_a_row_says_how_many_images_were_attacked(attacked, count, monkeypatch):
    monkeypatch.setattr("jemstone.experiments.threats._ATTACKED", 12)
    monkeypatch.setattr("jemstone.experiments.suites._PGD_STEPS", 1)
    pixels = (Generator(0).uniform((20, 3, 8, 8)) * 255).to(torch.uint8)
    some = Images(pixels, torch.arange(20) % 3)
    data = DataSet("own", some, some, tuple("abc"), False)
    model = JointEnergyModel(ConvNet(3, 3, 2)).eval()
    case = case_of(model, data, Settings("quick", eps=0.1, attacked=attacked))
    rows = PARTS["pgd"](case, {})["robust_accuracy"]
    assert [(row["eps"], row["n"]) for row in rows] == [
        (eps, count) for eps in (8 / 255, 0.05, 0.1)
    ]


@pytest.mark.parametrize(
    ("channels", "side", "settings", "expected"),
    [
        (1, 8, Settings("full"), [("linf", [0.1]), ("l2", [0.5])]),
        (3, 8, Settings("full"), [("linf", [8 / 255, 8 / 255]), ("l2", [0.5])]),
        (1, 8, Settings("full", norm="l2"), [("l2", [0.5])]),
        (3, 8, Settings("full", eps=0.02), [("linf", [0.02])]),
        (1, 8, Settings("full", norm="l2", eps=1.0), [("l2", [1.0])]),
        (1, 4, Settings("full"), [("linf", [0.1])]),  # too small for Square in L2
        (1, 4, Settings("full", norm="l2"), None),
    ],
)
def test_the_full_suite_attacks_in_both_norms_unless_one_is_asked_for(
    channels, side, settings, expected
):
    name = "digits" if channels == 1 else "photographs"
    shown = Images(torch.zeros(8, channels, side, side, dtype=torch.uint8), torch.arange(8))
    data = DataSet(name, shown, shown, tuple("abcdefgh"), False)
    model = JointEnergyModel(ConvNet(channels, 8, 2)).eval()
    if expected is None:
        with pytest.raises(Mistake, match="--norm linf"):
            case_of(model, data, settings)
    else:
        assert case_of(model, data, settings).threat.balls == expected


@pytest.mark.parametrize(("asked", "eps"), [(None, 0.1), (0.3, 0.3)])
def test_unknown_images_are_attacked_in_the_ball_that_is_asked_for(asked, eps):
    shown = Images(torch.zeros(8, 1, 8, 8, dtype=torch.uint8), torch.arange(8))
    data = DataSet("digits", shown, shown, tuple("abcdefgh"), False)
    model = JointEnergyModel(ConvNet(1, 8, 2)).eval()
    assert case_of(model, data, Settings("full", eps=asked)).threat.linf_eps == eps

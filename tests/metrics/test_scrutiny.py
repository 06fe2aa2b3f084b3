"""What takes longer is of a known form too."""

import pytest
import torch

from jemstone.metrics import FrechetReference, Seen, sample_intervals, scrutinise
from jemstone.random import Generator

WIDTH = 4


def seen(count, stream, scale=1.0):
    features = scale * Generator(stream).normal((count, WIDTH)) + 2
    labels = torch.arange(count) % 2
    logits = 5.0 * torch.eye(2)[torch.where(torch.arange(count) < 10, 1 - labels, labels)]
    pixels = torch.zeros(count, 1, 2, 2, dtype=torch.uint8)
    return Seen(features, logits, labels, pixels, "given")


def test_every_figure_stands_beside_its_yardstick():
    samples, reference, train = seen(60, 1), seen(50, 2), seen(200, 3)
    found = scrutinise(samples, reference, train, Generator(0))
    assert found.keys() == {
        *("class_fid", "class_fid_train", "vendi", "vendi_held_out", "class_vendi"),
        *("class_vendi_held_out", "fid_infinity", "curve", "intervals"),
    }
    # All three are draws of one Gaussian: only the bias of few images is left.
    assert found["class_fid"] == pytest.approx(found["class_fid_train"], rel=1.0)
    assert found["vendi"] == pytest.approx(found["vendi_held_out"], rel=0.2)
    assert found["fid_infinity"] < found["curve"]["fid"][-1]


def test_collapse_shows_in_the_vendi_score():
    one = seen(60, 1)
    collapsed = Seen(
        one.features[one.labels], *(getattr(one, n) for n in vars(one) if n != "features")
    )
    found = scrutinise(collapsed, seen(50, 2), seen(200, 3), Generator(0))
    assert found["class_vendi"] == pytest.approx(1)
    assert found["class_vendi_held_out"] > 1.2


def test_intervals_hold_the_value_and_narrow_with_more_samples():
    root = FrechetReference(seen(400, 0).features)
    widths = []
    for count in (50, 800):
        samples = seen(count, 1, scale=2.0)
        found = sample_intervals(samples, root, Generator(0))
        low, high = found["fid"]
        assert low < root.distance(samples.features) < high
        widths.append(high - low)
        low, high = found["agreement"]
        assert low < 1 - 10 / count < high
    assert widths[1] < 0.5 * widths[0]

"""What takes longer is of a known form too."""

import pytest
import torch

from jemstone.metrics import Seen, compare, inception_score, sample_intervals, scrutinise
from jemstone.random import Generator

WIDTH = 4


def seen(count, stream, scale=1.0):
    features = scale * Generator(stream).normal((count, WIDTH)) + 2
    labels = torch.arange(count) % 2
    logits = 5.0 * torch.eye(2)[torch.where(torch.arange(count) < 10, 1 - labels, labels)]
    pixels = (features.abs() * 20).clamp(0, 255).to(torch.uint8).reshape(count, 1, 2, 2)
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
    reference, widths = seen(300, 0), {}
    for count in (50, 600):
        samples = seen(count, 1, scale=1.5)
        found = sample_intervals(samples, reference, Generator(0))
        figures = compare(samples, reference, seen(100, 3))
        figures["is"] = inception_score(samples.logits)[0]
        assert found.keys() == {
            *("is", "fid", "kid", "precision", "recall", "density", "coverage", "agreement")
        }
        for name, (low, high) in found.items():
            assert low < figures[name] < high, name
            widths.setdefault(name, []).append(high - low)
        # Of the bootstrap and of a standard error the figure is the middle.
        for name in ("fid", "density"):
            assert sum(found[name]) / 2 == pytest.approx(figures[name], rel=1e-6)
        assert 0 <= found["recall"][0] < found["recall"][1] <= 1
    for name, (few, many) in widths.items():
        assert many < 0.7 * few, name


def test_few_resamples_are_less_sure_of_their_own_spread(monkeypatch):
    samples, reference = seen(100, 1, scale=1.5), seen(200, 0)
    for resamples, quantile in ((10, 2.262), (50, 2.010)):
        monkeypatch.setattr("jemstone.metrics.intervals._RESAMPLES", resamples)
        found = sample_intervals(samples, reference, Generator(0))
        drawn = [
            inception_score(samples.logits[Generator(0).fold(number).integers(100, 100)])[0]
            for number in range(resamples)
        ]
        half = (found["is"][1] - found["is"][0]) / 2
        assert half == pytest.approx(quantile * float(torch.tensor(drawn).std()), rel=1e-3)


@pytest.mark.parametrize("name", ["fid", "kid", "precision", "density"])
def test_intervals_hold_what_other_draws_give(name):
    """The middle of many draws lies in most of their intervals."""
    reference = seen(200, 0)
    drawn = [seen(100, stream, scale=1.5) for stream in range(10, 22)]
    values = [compare(samples, reference, reference)[name] for samples in drawn]
    middle = sorted(values)[len(values) // 2]
    held = [
        low <= middle <= high
        for low, high in (
            sample_intervals(samples, reference, Generator(0))[name] for samples in drawn
        )
    ]
    assert sum(held) >= 9

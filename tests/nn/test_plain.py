"""The judge's network: its stem whitens, its shapes tell what it is."""

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.functional.moments import moments
from jemstone.nn import PlainNet, build
from jemstone.random import Generator


def network(channels=3, classes=5, widths=(4, 8)):
    return PlainNet(channels, classes, widths).eval()


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 17, 23), (1, 28, 28), (3, 32, 32)], ids=str)
def test_features_are_below_the_logits(shape):
    plain = PlainNet(shape[0], 5, (4, 6, 8)).eval()
    x = torch.rand(2, *shape)
    assert plain.features(x).shape == (2, 8)
    torch.testing.assert_close(plain(x), plain.linear(plain.features(x)))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_whitened_stem_sees_uncorrelated_directions_of_one_scale(channels):
    plain = network(channels)
    noise = Generator(0).normal((300, channels, 9, 9))
    x = 4 * torch.nn.functional.avg_pool2d(noise, 3, stride=1, padding=1)  # neighbours agree
    plain.whiten(x)
    half = 4 * channels
    seen = plain.stem(x)
    torch.testing.assert_close(seen[:, half:], -seen[:, :half])
    directions = seen[:, :half].movedim(1, 3).flatten(0, 2)
    covariance = moments([directions]).covariance
    torch.testing.assert_close(covariance, torch.eye(half).double(), atol=0.02, rtol=0)


def test_a_direction_without_variance_stays_finite():
    plain = network()
    plain.whiten(torch.full((4, 3, 8, 8), 0.5))
    assert plain.stem.weight.isfinite().all()


def test_the_stem_is_never_trained():
    plain = network().train()
    plain(torch.rand(4, 3, 16, 16)).square().sum().backward()
    assert plain.stem.weight.grad is None
    assert all(p.grad is not None for n, p in plain.named_parameters() if n != "stem.weight")


@pytest.mark.parametrize("widths", [(4,), (4, 8), (2, 3, 5, 7)])
def test_weights_tell_their_network(widths):
    plain = PlainNet(2, 6, widths)
    assert PlainNet.fitting(plain.state_dict()).config == plain.config
    assert build("plainnet", plain.config).config == plain.config


@pytest.mark.parametrize("widths", [[], [0], [4] * 9, [10**12], [4, -1]])
def test_widths_of_no_network_are_a_mistake(widths):
    with pytest.raises(Mistake, match="1 to 8 groups of 1 to 4096 channels"):
        PlainNet(3, 2, widths)

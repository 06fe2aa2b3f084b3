import pytest
import torch
from torch import nn

from jemstone.errors import Mistake
from jemstone.nn import ConvNet, WideResNet

SHAPES = [(1, 8, 8), (3, 9, 11), (1, 28, 28), (3, 32, 32)]
NORMS = {"batch": nn.BatchNorm2d, "group": nn.GroupNorm, "none": None}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("depth", "width"), [(10, 1), (10, 2), (16, 1)])
@pytest.mark.parametrize("norm", NORMS)
def test_every_image_has_one_finite_logit_per_class(shape, depth, width, norm):
    network = WideResNet(shape[0], 5, depth, width, norm).eval()
    logits = network(torch.rand(2, *shape))
    assert logits.shape == (2, 5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_the_judge_has_features_below_its_logits(shape):
    network = ConvNet(shape[0], 5, width=4).eval()
    x = torch.rand(2, *shape)
    assert network.features(x).shape == (2, 8)
    torch.testing.assert_close(network(x), network.linear(network.features(x)))


@pytest.mark.parametrize(("depth", "blocks"), [(10, 3), (16, 6), (28, 12)])
def test_the_depth_counts_the_blocks(depth, blocks):
    assert len(WideResNet(1, 2, depth, 1).trunk) == blocks


@pytest.mark.parametrize("width", [1, 2, 3])
def test_the_width_multiplies_the_channels(width):
    network = WideResNet(3, 2, 10, width, "none")
    assert [block.residual[2].out_channels for block in network.trunk] == [
        16 * width,
        32 * width,
        64 * width,
    ]


@pytest.mark.parametrize("norm", NORMS)
def test_the_norm_is_the_one_that_was_named(norm):
    kinds = {type(m) for m in WideResNet(1, 2, 10, 1, norm).modules()}
    assert kinds & {nn.BatchNorm2d, nn.GroupNorm} == ({NORMS[norm]} - {None})


@pytest.mark.parametrize("norm", NORMS)
def test_every_weight_reaches_the_logits(norm):
    network = WideResNet(1, 3, 10, 1, norm)
    network(torch.rand(4, 1, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("activation", ["leaky-relu", "silu"])
@pytest.mark.parametrize(("stride", "inside"), [(1, 32), (2, 16), (4, 8)])
def test_the_stem_then_the_rest_is_the_network(stride, inside, activation):
    network = WideResNet(3, 4, 10, 1, stride=stride, activation=activation).eval()
    stem, rest = network.split()
    x = torch.rand(2, 3, 32, 32)
    assert stem(x).shape[-2:] == (inside, inside)
    assert torch.equal(rest(stem(x)), network(x))
    assert type(stem) is nn.Conv2d


@pytest.mark.parametrize("norm", NORMS)
def test_the_configuration_builds_the_same_network(norm):
    network = WideResNet(3, 4, 16, 2, norm, 2, "silu")
    again = WideResNet(**network.config)
    assert {k: v.shape for k, v in again.state_dict().items()} == {
        k: v.shape for k, v in network.state_dict().items()
    }


@pytest.mark.parametrize("depth", [-2, 0, 4, 9, 11, 27])
def test_a_depth_that_is_not_6_n_plus_4_is_a_mistake(depth):
    with pytest.raises(Mistake, match=f"6 n \\+ 4.*not {depth}"):
        WideResNet(1, 2, depth)


def test_an_unknown_norm_is_a_mistake():
    with pytest.raises(Mistake, match="did you mean 'batch'"):
        WideResNet(1, 2, 10, norm="bach")


@pytest.mark.parametrize("stride", [0, 3, -2])
def test_an_odd_stride_is_a_mistake(stride):
    with pytest.raises(Mistake, match=f"1 or an even number, not {stride}"):
        WideResNet(1, 2, 10, stride=stride)


def test_an_unknown_activation_is_a_mistake():
    with pytest.raises(Mistake, match="did you mean 'silu'"):
        WideResNet(1, 2, 10, activation="sulu")


def test_an_unknown_init_is_a_mistake():
    with pytest.raises(Mistake, match="did you mean 'he'"):
        WideResNet(1, 2, 10, init="hee")


@pytest.mark.parametrize("depth", [10, 28])
def test_he_weights_carry_the_signal_through_a_network_without_norm(depth):
    """At PyTorch's own init the features all but vanish with depth."""
    torch.manual_seed(0)
    x = torch.randn(16, 3, 16, 16)
    spread = {}
    for init in ("default", "he"):
        stem, rest = WideResNet(3, 10, depth, 2, norm="none", init=init).split()
        spread[init] = rest[0](stem(x)).std().item()
    assert 0.5 < spread["he"] < 3
    assert spread["default"] < spread["he"] / 2

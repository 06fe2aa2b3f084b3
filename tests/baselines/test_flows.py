"""Flows are invertible, their densities are densities, and nothing global decides a number."""

import math
import sys

import numpy as np
import pytest
import torch

from jemstone.baselines.flows import (
    FLOWS,
    Architecture,
    bits,
    bits_per_dim,
    build_flow,
    dequantised,
)
from jemstone.baselines.residual_block import ResidualBlock
from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.random import Generator

SHAPE, CLASSES = (1, 4, 4), 3
SMALL = Architecture(levels=2, blocks=2, hidden=8)


def test_a_missing_library_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "normflows", None)
    with pytest.raises(Mistake, match=r"pip install 'jemstone\[flows\]'$"):
        build_flow("glow", SHAPE, CLASSES, SMALL, 0)


@pytest.fixture
def flows():
    """Skip where the library is not installed."""
    return pytest.importorskip("normflows", reason="needs the extra flows")


@pytest.fixture(params=FLOWS)
def flow(request, flows):
    """Build a flow whose layers are no identities."""
    return rough(build_flow(request.param, SHAPE, CLASSES, SMALL, 0))


def rough(flow):
    """Move every weight off its initial value, and settle on some images."""
    generator = Generator(5)
    with torch.no_grad():
        for number, weight in enumerate(flow.parameters()):
            noise = generator.fold(number).normal((1, *weight.shape))[0]
            weight += 0.2 * noise
    for _ in range(5):
        flow.moved()
    flow.settle(images(64), generator)
    return flow.eval()


def images(count):
    return Generator(9).uniform((count, *SHAPE)) * 0.9 + 0.05


@pytest.mark.parametrize("extreme", [-200.0, 200.0])
def test_no_coupling_of_glow_loses_an_image(flows, extreme):
    flow = build_flow("glow", SHAPE, CLASSES, SMALL, 0)
    couplings = [m for m in flow.modules() if isinstance(m, flows.flows.AffineCoupling)]
    assert couplings
    for coupling in couplings:
        last = list(coupling.param_map.parameters())[-1]
        with torch.no_grad():
            last[1::2] = extreme  # log scales
    y = torch.arange(9) % CLASSES
    flow.settle(images(9), Generator(1))
    assert flow.eval().sample(y, Generator(0)).isfinite().all()
    assert flow.log_prob(images(9), y, Generator(0)).isfinite().all()


def test_encoding_is_undone(flow):
    x = images(5)
    z, _ = flow.encode(x, Generator(0))
    assert sum(part[0].numel() for part in z) == math.prod(SHAPE)
    torch.testing.assert_close(flow.decode(z), x, atol=2e-5, rtol=0)


def exact_log_det(flow, x):
    def encoded(x):
        return torch.cat([part.flatten() for part in flow.encode(x, Generator(0))[0]])

    flow.double()
    for layer in flow.modules():
        if isinstance(layer, ResidualBlock):  # which keeps no graph in eval mode
            layer.encode = lambda x, generator, net=layer.net: (x + net(x), x.new_zeros(len(x)))
    jacobian = torch.autograd.functional.jacobian(encoded, x[None].double())
    return torch.linalg.slogdet(jacobian.reshape(math.prod(SHAPE), -1))[1]


def test_the_log_determinant_is_that_of_the_jacobian(flow):
    x, copies = images(1)[0], 400
    with torch.no_grad():
        _, estimates = flow.encode(x.expand(copies, *SHAPE), Generator(2))
    error = 4 * float(estimates.std()) / math.sqrt(copies) + 1e-4
    assert flow.estimator == "exact" or error > 2e-4
    assert float(estimates.mean()) == pytest.approx(float(exact_log_det(flow, x)), abs=error)


def test_the_roulette_is_right_on_average_and_so_is_its_gradient(flows):
    torch.manual_seed(0)
    block = ResidualBlock((1, 2, 2), 4)
    with torch.no_grad():
        for weight in block.net.parameters():
            weight += 0.5 * torch.randn_like(weight)
    for _ in range(20):
        flows.utils.update_lipschitz(block, 5)
    weight = block.net.net[1].weight
    x = Generator(1).normal((1, 1, 2, 2))

    jacobian = torch.autograd.functional.jacobian(
        lambda x: x + block.net(x), x, create_graph=True
    ).reshape(4, 4)
    exact = torch.linalg.slogdet(jacobian)[1]
    (gradient,) = torch.autograd.grad(exact, weight)

    values, gradients = [], []
    for round_ in range(100):
        _, estimate = block.encode(x.expand(64, 1, 2, 2), Generator(3).fold(round_))
        values.append(estimate.mean().detach())
        gradients.append(torch.autograd.grad(estimate.mean(), weight)[0])
    for truth, found in ((exact, values), (gradient, gradients)):
        found = torch.stack(found)
        error = found.std(0) / math.sqrt(len(found))
        assert ((found.mean(0) - truth).abs() < 4.5 * error + 1e-4).all()
        assert (error < 0.2 * truth.abs().max()).all()


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("squeezed", [True, False])
def test_bits_do_not_hang_on_how_bytes_lie(name, squeezed, flows, generator):
    bytes_ = (256 * generator.uniform((3, 8, 8, 3))).to(torch.uint8).permute(0, 3, 1, 2)
    architecture = Architecture(2, 1, 8, squeezed=squeezed)
    flow = build_flow(name, (3, 8, 8), 2, architecture, 0).eval()
    found = [
        bits_per_dim(flow, Images(pixels, torch.zeros(3, dtype=torch.int64)), generator)
        for pixels in (bytes_, bytes_.contiguous())
    ]
    assert found[0] == pytest.approx(found[1])
    assert math.isfinite(found[0])


class Backwards(torch.nn.Module):
    """No contraction: the iteration adds z for ever."""

    def forward(self, x):
        return -x


def test_what_does_not_converge_is_no_sample(flows, generator):
    block = ResidualBlock((1, 4, 4), 8)
    block.net = Backwards()
    z = torch.cat([generator.normal((1, 1, 4, 4)), torch.zeros(1, 1, 4, 4)])
    x = block.decode(z)
    assert x[0].isnan().all()
    assert torch.equal(x[1], z[1])


def test_bits_of_the_uniform_density_are_eight():
    assert bits(torch.zeros(3), 64).tolist() == [8.0] * 3


def test_bits_of_a_gaussian_have_their_closed_form(flows):
    """Without blocks, Glow is the standard normal density of the pixels themselves."""
    flow = build_flow("glow", SHAPE, CLASSES, Architecture(2, 0, 8), 0).eval()
    noise = Images((images(200) * 255).to(torch.uint8), torch.zeros(200, dtype=torch.int64))
    x = dequantised(noise.bytes, Generator(4).fold("spread")).double()
    nats = (x**2 / 2).mean() + math.log(2 * math.pi) / 2
    told = bits_per_dim(flow, noise, Generator(4), batch_size=70)
    assert told == pytest.approx(8 + float(nats) / math.log(2), abs=1e-4)


def test_spreading_keeps_a_byte_in_its_share():
    b = torch.arange(256, dtype=torch.uint8).reshape(16, 1, 4, 4)
    x = dequantised(b, Generator(0))
    assert torch.equal((256 * x).floor().to(torch.uint8), b)
    assert x.min() >= 0
    assert x.max() < 1


def test_without_a_label_classes_are_as_likely(flow):
    x, generator = images(4), Generator(1)
    with torch.no_grad():
        each = [
            flow.log_prob(x, torch.full((4,), k, dtype=torch.int64), generator)
            for k in range(CLASSES)
        ]
        told = flow.log_prob(x, None, generator)
    torch.testing.assert_close(told, torch.stack(each).logsumexp(0) - math.log(CLASSES))


def test_a_sample_depends_on_its_seed_and_number_alone(flow):
    y, places = torch.arange(30) % CLASSES, torch.tensor([17, 4])
    all_of_them, two = (
        flow.sample(y, Generator(6)),
        flow.sample(y[places], Generator(6).at(places)),
    )
    assert torch.equal(all_of_them, (all_of_them * 255).round() / 255)  # bytes
    torch.testing.assert_close(two, all_of_them[places], atol=1.01 / 255, rtol=0)
    assert not torch.equal(all_of_them, flow.sample(y, Generator(7)))


def test_a_sample_is_of_its_class(flow):
    y = torch.arange(6) % CLASSES
    before = flow.sample(y, Generator(0))
    with torch.no_grad():
        for base in flow.bases:
            base.loc[..., 1] += 1.0
    moved = (flow.sample(y, Generator(0)) != before).flatten(1).any(1)
    assert moved.tolist() == [False, True, False] * 2


def test_no_global_state_is_read_or_written(flow):
    held_out = Images((images(8) * 255).to(torch.uint8), torch.zeros(8, dtype=torch.int64))
    figures = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        before = torch.get_rng_state(), np.random.get_state()[1].copy()
        flow.train()
        value = flow.log_prob(images(8), torch.zeros(8, dtype=torch.int64), Generator(3))
        flow.eval()
        figures.append((bits_per_dim(flow, held_out, Generator(2)), value.tolist()))
        build_flow("glow", SHAPE, CLASSES, SMALL, 0)
        assert torch.equal(before[0], torch.get_rng_state())
        assert (before[1] == np.random.get_state()[1]).all()
    assert figures[0] == figures[1]


@pytest.mark.parametrize(
    ("shape", "levels", "halvings"), [((1, 28, 28), 3, 2), ((3, 32, 32), 3, 3), ((1, 8, 6), 2, 1)]
)
def test_levels_are_as_many_as_images_allow(shape, levels, halvings, flows):
    architecture = Architecture(levels, 1, 4)
    assert architecture.halvings(shape) == halvings
    for name in FLOWS:
        flow = build_flow(name, shape, 2, architecture, 0)
        flow.settle(Generator(0).uniform((4, *shape)), Generator(0))
        assert flow.sample(torch.tensor([1]), Generator(0)).shape == (1, *shape)


@pytest.mark.parametrize(
    ("name", "shape", "architecture", "told"),
    [
        ("glow", (2, 1, 1), {}, "even height"),
        ("residual-flow", (1, 7, 8), {}, "even height"),
        ("glob", SHAPE, {}, "did you mean 'glow'"),
        ("glow", SHAPE, {"hidden": 10**9}, "hidden is from"),
        ("glow", SHAPE, {"levels": 0}, "levels is from"),
        ("glow", SHAPE, {"blocks": 1.5}, "blocks is from"),
    ],
)
def test_what_is_no_flow_is_told(name, shape, architecture, told, flows):
    with pytest.raises(Mistake, match=told):
        build_flow(
            name,
            shape,
            2,
            Architecture(**{"levels": 2, "blocks": 1, "hidden": 4} | architecture),
            0,
        )

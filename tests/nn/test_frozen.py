"""What a walk reads is the network: the same logits, the same gradient at the images."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from jemstone.data import load
from jemstone.errors import Mistake
from jemstone.functional.balls import Linf
from jemstone.functional.energies import energy, grad_x, marginal, towards_label
from jemstone.metrics import frechet_distance
from jemstone.model import JointEnergyModel
from jemstone.nn import ConvNet, WideResNet
from jemstone.nn.modes import MODES
from jemstone.random import Generator
from jemstone.samplers import PGD, PYLD, ClassGaussian, Sampler

NETWORKS = {
    "batch": {"norm": "batch"},
    "none": {"norm": "none"},
    "strided": {"norm": "batch", "stride": 2},
    "wide": {"norm": "none", "width": 2, "init": "he"},
}


def cosine(a, b):
    return F.cosine_similarity(a.flatten(1).double(), b.flatten(1).double())


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("network", ["batch", "strided", "wide"])
@pytest.mark.parametrize(
    ("channels", "sides", "count"),
    [(3, (9, 9), 6), (1, (11, 7), 2), (2, (16, 16), 1), (3, (4, 5), 3)],
)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_odd_images_are_read_alike(network, mode, channels, sides, count, layout, settled):
    asked = NETWORKS[network] | {"channels": channels, "sides": sides, "count": count}
    model, x = settled(**asked)
    model, x = model.double(), x.double().contiguous(memory_format=layout)
    with MODES[mode](model):
        frozen = model.frozen(mode, x)
        found, expected = (grad_x(marginal, read, x, None) for read in (frozen, model))
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)], ids=str
)
def test_logits_and_gradients_are_the_networks_own(network, mode, dtype, tolerance, settled):
    model, x = settled(size=16, **NETWORKS[network])
    model, x, y = model.to(dtype), x.to(dtype), torch.arange(6) % 5
    with MODES[mode](model):
        frozen = model.frozen(mode, x)
        assert frozen is not model
        for potential in (marginal, energy, towards_label):
            found = grad_x(potential, frozen, x, y)
            expected = grad_x(potential, model, x, y)
            torch.testing.assert_close(
                found, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max())
            )
        scale = float(model.logits(x).detach().abs().max())
        torch.testing.assert_close(
            frozen.logits(x), model.logits(x), rtol=tolerance, atol=tolerance * scale
        )
        assert found.dtype == dtype


@pytest.mark.parametrize(
    ("network", "mode"), [("batch", "eval"), ("batch", "batch"), ("none", "eval")]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_in_bf16_gradients_point_where_those_of_float32_do(network, mode, channels, settled):
    alike, as_usual = [], []
    for _ in range(10):  # a single activation that rounding turns over may turn one image's
        model, x = settled(channels, 8, **NETWORKS[network])
        with MODES[mode](model):
            expected, energies = grad_x(marginal, model, x), model.energy(x).detach()
            with torch.autocast("cpu", torch.bfloat16):
                frozen = model.frozen(mode, x)
                found, seen = grad_x(marginal, frozen, x), frozen.energy(x).detach()
                usual = grad_x(marginal, model, x)
        assert seen.dtype == found.dtype == torch.float32
        alike.append(cosine(found, expected))
        as_usual.append(cosine(usual, expected))
        spread = float(energies.std()) + 1e-2 * float(energies.abs().max())
        assert (seen - energies).abs().max() < 0.1 * spread + 0.02 * float(energies.abs().max())
    alike, as_usual = torch.cat(alike), torch.cat(as_usual)
    # As near as the network itself is in bf16.
    assert alike.mean() > max(0.95, float(as_usual.mean()) - 0.005)
    assert alike.median() > 0.98


CHANGES = (
    *("group", "silu", "hook", "convnet", "empty", "subclass", "flag"),
    *("slope", "padding", "dilation", "no statistics", "no affine map"),
)


@pytest.mark.parametrize("change", CHANGES)
def test_what_cannot_be_frozen_is_walked_as_it_is(change, settled):
    config = {"group": {"norm": "group"}, "silu": {"activation": "silu"}}.get(change, {})
    model, x = settled(**config)
    if change == "hook":
        model.classifier.trunk[0].register_forward_hook(lambda layer, args, h: 2 * h)
    if change == "convnet":
        model = JointEnergyModel(ConvNet(3, 5, width=4))
    if change == "empty":
        x = x[:0]
    if change == "subclass":

        class Own(JointEnergyModel):
            pass

        model = Own(model.classifier)
    if change == "flag":
        model.classifier = ConvNet(3, 5, width=4)
        model.classifier.frozen = True
    block = None if change in ("convnet", "flag") else model.classifier.trunk[0].residual
    if change == "slope":
        block[1].negative_slope = 0.01
    if change == "padding":
        block[2].padding_mode = "circular"
    if change == "dilation":
        block[2].dilation = block[2].padding = (2, 2)
    if change == "no statistics":
        block[0].running_mean = block[0].running_var = None
    if change == "no affine map":
        block[0] = torch.nn.BatchNorm2d(16, affine=False)
    assert model.eval().frozen("eval", x) is model


def test_without_a_gradient_nothing_is_kept(settled):
    model, x = settled()
    frozen = model.eval().frozen("eval", x)
    watched = x.clone().requires_grad_()
    torch.testing.assert_close(frozen.logits(x), frozen.logits(watched))
    assert not frozen.logits(x).requires_grad
    assert frozen.classifier.run(x, keeps=False)[1] == []


def test_batch_norm_of_one_value_a_channel_is_refused(settled):
    model, x = settled()
    narrow = torch.nn.functional.avg_pool2d(x[:1], 2)  # the last blocks see one pixel
    with MODES["batch"](model), pytest.raises(Mistake, match="more than one value"):
        model.frozen("batch", narrow).logits(narrow)


@pytest.mark.parametrize("mode", MODES)
def test_walks_end_where_they_would_on_the_network_itself(mode, monkeypatch, traces, settled):
    model, x = settled()
    model, x, y = model.double().train(), x.double(), torch.arange(6) % 5
    before, ends = traces(model), []
    walk = PYLD(3, 5, 0.01, clip=2.0, mode=mode)
    for own in (False, True):
        if own:
            monkeypatch.setattr(JointEnergyModel, "frozen", lambda model, mode, x: model)
        ends.append(walk(model, x, y, Generator(0)))
        ends.append(PYLD(3, 5, 0.01, mode=mode, fold=False)(model, x, y, Generator(0)))
        assert traces(model) == before
    for found, expected in itertools.pairwise([ends[0], ends[2]]):
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(ends[1], ends[3])


@pytest.fixture(scope="module")
def learned():
    """A network and a judge that know something of digits, and the digits."""
    digits, generator = load("digits"), Generator(0)
    torch.manual_seed(0)
    model = JointEnergyModel(WideResNet(1, 10, 10, 1, "none", init="he"), 0.5, 0.5)
    judge = ConvNet(1, 10, width=8)
    for network in (model, judge):
        optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
        for step in range(40):
            x, y = digits.train.take(generator.fold(step).integers(64, len(digits.train)))
            optimiser.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimiser.step()
    return model.eval(), judge.eval(), digits


def test_an_attack_in_bf16_breaks_as_many_images_as_in_float32(learned, generator):
    model, _, digits = learned
    attack, (x, y) = PGD(Linf(0.05), 5, 0.025), digits.test.take(torch.arange(200))
    robust = []
    for bf16 in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            attacked = attack(model, x, y, generator)
        with torch.no_grad():
            robust.append(float((model.logits(attacked).argmax(1) == y).float().mean()))
    assert 0.2 < robust[0] < 1.0
    assert abs(robust[0] - robust[1]) <= 0.03


def test_samples_in_bf16_are_judged_as_those_of_float32(learned, generator):
    model, judge, digits = learned
    init = ClassGaussian.fit(*digits.train.take(torch.arange(len(digits.train))))
    painter = PGD(Linf(0.25), 8, 0.06, potential=towards_label)
    sampler, y = Sampler(init, painter, PYLD(4, 5, 0.05, clip=2.0)), torch.arange(300) % 10
    judged = []
    with torch.no_grad():
        real = judge.features(digits.test.take(torch.arange(len(digits.test))).x)
        for bf16 in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                x = sampler(model, y, generator)
            judged.append(frechet_distance(real.double(), judge.features(x).double()))
    assert judged[0] > 0
    assert abs(judged[1] - judged[0]) <= 0.05 * judged[0]

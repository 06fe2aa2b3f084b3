"""A lesson is the network: the same loss, the same gradients of weights, the same statistics."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.nn.lesson import Lesson
from jemstone.nn.modes import learning

NETWORKS = {
    "batch": {"norm": "batch"},
    "none": {"norm": "none"},
    "strided": {"norm": "batch", "stride": 2},
    "wide": {"norm": "none", "width": 2, "init": "he"},
}


@pytest.fixture
def lessons(monkeypatch):
    """Count the parts that learn by hand."""
    taken, real = [], Lesson.apply
    monkeypatch.setattr(Lesson, "apply", lambda *args: taken.append(1) or real(*args))
    return taken


def loss_of(model, x):
    y = torch.arange(len(x)) % 5
    return F.cross_entropy(model.logits(x), y) + model.energy(x.flip(3)).mean()


def gradient(model, x):
    loss_of(model, x).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("network", ["batch", "strided", "wide"])
@pytest.mark.parametrize(
    ("channels", "sides", "count"),
    [(3, (9, 9), 6), (1, (11, 7), 2), (2, (16, 16), 1), (3, (4, 5), 3)],
)
def test_odd_images_are_learnt_from_alike(network, channels, sides, count, settled):
    asked = NETWORKS[network] | {"channels": channels, "sides": sides, "count": count}
    model, x = settled(**asked)
    model, x = model.double().train(), x.double()
    taught = copy.deepcopy(model)
    expected = gradient(model, x)
    with learning(taught):
        found = gradient(taught, x)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


def test_weights_that_move_before_their_gradient_are_told(settled):
    model, x = settled(**NETWORKS["batch"])
    with learning(model.train()):
        loss = loss_of(model, x)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)], ids=str
)
def test_gradients_and_statistics_are_the_networks_own(network, dtype, tolerance, lessons, settled):
    model, x = settled(size=16, **NETWORKS[network])
    model, x = model.to(dtype).train(), x.to(dtype)
    taught = copy.deepcopy(model)
    expected = gradient(model, x)
    assert not lessons
    with learning(taught):
        found = gradient(taught, x)
    assert len(lessons) == 2 * (3 + 1)
    atol = tolerance * float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=atol)
    for mine, theirs in zip(taught.buffers(), model.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)
    for parameter in taught.parameters():
        assert parameter.grad.dtype == dtype


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("network", NETWORKS)
def test_in_bf16_gradients_are_as_near_to_float32_as_the_networks_own(network, settled):
    model, x = settled(size=16, **NETWORKS[network])
    exact, taught = copy.deepcopy(model.train()), copy.deepcopy(model)
    expected = gradient(exact, x)
    with torch.autocast("cpu", torch.bfloat16), learning(taught):
        usual, found = gradient(model, x), gradient(taught, x)
    near, usually = (F.cosine_similarity(g, expected, dim=0) for g in (found, usual))
    assert near > 0.99
    assert near > usually - 0.005
    assert all(parameter.grad.dtype == torch.float32 for parameter in taught.parameters())


CHANGES = (
    *("off", "eval", "no grad", "images", "group", "silu", "hook", "subclass", "momentum"),
    *("slope", "padding"),
)


@pytest.mark.parametrize("change", CHANGES)
def test_what_cannot_be_taught_is_passed_as_it_is(change, lessons, settled):
    config = {"group": {"norm": "group"}, "silu": {"activation": "silu"}}.get(change, {})
    model, x = settled(**config)
    model.train(change != "eval")
    if change == "images":
        x.requires_grad_()
    if change == "hook":
        model.classifier.trunk[0].residual[2].register_forward_hook(lambda layer, args, h: h)
    if change == "subclass":

        class Own(WideResNet):
            pass

        model = JointEnergyModel(Own(3, 5, 10, 1)).train()
    if change == "slope":
        model.classifier.trunk[0].residual[1].negative_slope = 0.01
    if change == "padding":
        model.classifier.trunk[0].residual[2].padding_mode = "circular"
    if change == "momentum":
        model.classifier.head.norm.momentum = None
    with learning(model), torch.set_grad_enabled(change != "no grad"):
        model.classifier.by_hand &= change != "off"
        model.logits(x)
    assert not lessons
    assert not model.classifier.by_hand


def test_gradients_are_known_once(lessons, settled):
    model, x = settled()
    with learning(model.train()):
        loss = loss_of(model, x)
    stem = model.classifier.stem.weight
    (first,) = torch.autograd.grad(loss, stem, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable"):
        first.sum().backward()
    assert lessons


def test_hooks_of_parameters_hear_their_gradients(lessons, settled):
    model, x = settled()
    heard = []
    for parameter in model.train().parameters():
        parameter.register_post_accumulate_grad_hook(heard.append)
    with learning(model):
        loss_of(model, x).backward()
    assert len(heard) == len(list(model.parameters()))
    assert lessons


def test_weights_that_stand_still_get_no_gradient(lessons, settled):
    model, x = settled()
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    norm.weight.requires_grad_(False)
    with learning(model.train()):
        loss_of(model, x).backward()
    assert norm.weight.grad is None
    assert lessons
    assert norm.bias.grad is not None

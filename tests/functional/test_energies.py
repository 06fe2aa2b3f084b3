import pytest
import torch
from torch import nn

from jemstone.functional.energies import (
    away_from_label,
    energy,
    grad_stem,
    grad_x,
    joint_energy,
    marginal,
    marginal_energy,
    towards_label,
)

POTENTIALS = {
    "energy": energy,
    "marginal": marginal,
    "towards": towards_label,
    "away": away_from_label,
}


def logits_of(scale=1.0):
    return scale * torch.randn(6, 5, dtype=torch.float64)


def conditional(logits):
    """Compute softmax(-E(x, .))."""
    joint = [joint_energy(logits, torch.full((len(logits),), k)) for k in range(logits.shape[1])]
    return torch.softmax(-torch.stack(joint, dim=1), dim=1)


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_softmax_of_minus_the_joint_energy_is_the_conditional(scale):
    logits = logits_of(scale)
    torch.testing.assert_close(conditional(logits), logits.softmax(dim=1))


def test_the_marginal_energy_sums_the_joint_one_over_labels():
    logits = logits_of()
    joint = torch.stack([joint_energy(logits, torch.full((6,), k)) for k in range(5)], dim=1)
    torch.testing.assert_close((-marginal_energy(logits)).exp(), (-joint).exp().sum(dim=1))


def test_a_shift_of_all_logits_moves_the_marginal_energy_and_not_the_conditional():
    logits, shift = logits_of(), torch.randn(6, dtype=torch.float64)
    shifted = logits + shift[:, None]
    torch.testing.assert_close(marginal_energy(shifted), marginal_energy(logits) - shift)
    torch.testing.assert_close(conditional(shifted), conditional(logits))


def test_huge_logits_have_a_finite_energy():
    assert marginal_energy(torch.tensor([[1e4, -1e4], [-1e4, -1e4]])).isfinite().all()


@pytest.mark.parametrize("y", [None, 1])
def test_the_label_chooses_the_energy(y, smooth, images):
    model, label = smooth(), None if y is None else torch.full((8,), y)
    torch.testing.assert_close(energy(model, images, label), model.energy(images, label))
    torch.testing.assert_close(marginal(model, images, label), model.energy(images))


@pytest.mark.parametrize("potential", [towards_label, away_from_label])
def test_a_walk_by_label_needs_labels(potential, smooth, images):
    with pytest.raises(ValueError, match="labels"):
        potential(smooth(), images, None)


@pytest.mark.parametrize("potential", POTENTIALS.values(), ids=POTENTIALS)
@pytest.mark.parametrize("stem", ["conv", "bent", "none"])
def test_grad_x_is_the_finite_difference(potential, stem, smooth, images, labels):
    model, x, y, h = smooth(stem), images[:1], labels[:1], 1e-5
    step = h * torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape[1:])
    y_each = y.expand(x.numel())
    difference = potential(model, x + step, y_each) - potential(model, x - step, y_each)
    gradient = grad_x(potential, model, x, y).flatten()
    torch.testing.assert_close(gradient, difference / (2 * h), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("potential", POTENTIALS.values(), ids=POTENTIALS)
@torch.no_grad()
def test_grad_x_is_taken_image_by_image_and_leaves_no_trace(
    potential, smooth, images, labels, traces
):
    model = smooth()
    for number, p in enumerate(model.parameters()):
        p.grad = torch.full_like(p, 7.0) if number % 2 else None
        p.requires_grad_(number % 3 != 0)
    before = traces(model)
    whole = grad_x(potential, model, images, labels)
    alone = [grad_x(potential, model, images[[i]], labels[[i]]) for i in range(8)]
    torch.testing.assert_close(whole, torch.cat(alone))
    assert traces(model) == before
    assert not whole.requires_grad
    assert not images.requires_grad


@pytest.mark.parametrize("potential", POTENTIALS.values(), ids=POTENTIALS)
@pytest.mark.parametrize("stem", ["conv", "bent", "none"])
def test_pulling_the_gradient_at_the_stem_back_gives_the_gradient_at_the_image(
    potential, stem, smooth, images, labels
):
    model = smooth(stem)
    first, rest = model.split()
    p = grad_x(potential, rest, first(images), labels)
    expected = grad_x(potential, model, images, labels)
    torch.testing.assert_close(grad_stem(first, images, p), expected)


def test_grad_stem_keeps_the_gradient_while_the_image_moves(images):
    """Of <s(x), p> with s(x) = x^2 the gradient is 2 x p."""

    class Square(nn.Module):
        def forward(self, x):
            return x.square()

    p = torch.randn_like(images)
    for x in (images, images + 1):
        torch.testing.assert_close(grad_stem(Square(), x, p), 2 * x * p)

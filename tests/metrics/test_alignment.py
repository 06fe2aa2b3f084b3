"""Alignment measures: closed forms on linear models, ranges, and what must not change them."""

import pytest
import torch
from torch import nn

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.functional.energies import away_from_label, grad_x
from jemstone.metrics import (
    alignment,
    cosine_alignment,
    log_probability_gradients,
    logit_gradients,
    margin_gradient,
    measure_alignment,
    representative_alignment,
)
from jemstone.model import JointEnergyModel
from jemstone.random import Generator

CLASSES, SHAPE = 3, (1, 4, 4)


@pytest.fixture
def homogeneous():
    """A linear classifier that is zero at grey."""
    layers = nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES, bias=False))
    return JointEnergyModel(layers, mean=0.5, std=0.5).double().eval()


def held_out(n=6):
    pixels = Generator(1).integers(n * 16, 256).reshape(n, *SHAPE).to(torch.uint8)
    return Images(pixels, torch.arange(n) % CLASSES)


MEASURES = {
    "alignment": lambda x, g: alignment(x, g[:, 0]),
    "cosine": lambda x, g: cosine_alignment(x, g[:, 0]),
    "representative": lambda x, g: representative_alignment(x, g, x[:CLASSES].flip(-1)),
}
RANGES = {"alignment": (0.0, 4.0), "cosine": (0.0, 1.0), "representative": (-1.0, 1.0)}


@pytest.fixture
def random_gradients(generator):
    return generator.fold("g").normal((8, CLASSES, *SHAPE), dtype=torch.float64)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("scale", [1e-200, 1e-3, 7.0, 1e200])
def test_the_length_of_a_gradient_does_not_count(name, scale, images, random_gradients):
    measure = MEASURES[name]
    scales = scale * torch.arange(1, CLASSES + 1).double()[:, None, None, None]
    torch.testing.assert_close(
        measure(images, scales * random_gradients), measure(images, random_gradients)
    )


@pytest.mark.parametrize("name", MEASURES)
def test_measures_stay_in_their_range_and_reach_its_end(name, images, random_gradients):
    measure, (low, high) = MEASURES[name], RANGES[name]
    found = measure(images, random_gradients)
    assert ((found >= low) & (found <= high)).all()
    ends = {"alignment": images.flatten(1).norm(dim=1), "cosine": torch.ones(8).double()}
    if name in ends:
        along = -images[:, None].expand(-1, CLASSES, -1, -1, -1)
        torch.testing.assert_close(measure(images, along), ends[name])
    else:
        towards = images[:CLASSES].flip(-1)[None] - images[:, None]
        torch.testing.assert_close(measure(images, towards), torch.ones(8).double())
        torch.testing.assert_close(measure(images, -towards), -torch.ones(8).double())


@pytest.mark.parametrize("name", MEASURES)
def test_a_gradient_across_or_flat_is_not_aligned(name, images):
    measure = MEASURES[name]
    flat = torch.zeros(8, CLASSES, *SHAPE, dtype=torch.float64)
    assert (measure(images, flat) == 0).all()
    assert (measure(torch.zeros_like(images), flat) == 0).all()
    if name != "representative":
        across = flat.clone()
        across[:, :, 0, 0, 0] = images[:, :1, 0, 1]
        across[:, :, 0, 0, 1] = -images[:, :1, 0, 0]
        torch.testing.assert_close(measure(images, across), torch.zeros(8).double())


def test_gradients_of_a_linear_model_are_its_weights(homogeneous, images):
    weights = homogeneous.classifier[1].weight.detach().reshape(CLASSES, *SHAPE) / 0.5
    g = logit_gradients(homogeneous, images, CLASSES)
    torch.testing.assert_close(g, weights.expand(8, -1, -1, -1, -1))


def test_margin_alignment_of_a_linear_model_is_the_distance_to_the_boundary(homogeneous, images):
    """That far against the gradient two classes are level, and no nearer point is."""
    logits = homogeneous.logits(images).detach()
    g = margin_gradient(logits, logit_gradients(homogeneous, images, CLASSES))
    distance = alignment(images - 0.5, g)
    unit = g / g.flatten(1).norm(dim=1)[:, None, None, None]

    def lead(x):
        best = homogeneous.logits(x).detach().sort(dim=1, descending=True).values
        return best[:, 0] - best[:, 1]

    at = images - distance[:, None, None, None] * unit
    torch.testing.assert_close(lead(at), torch.zeros(8).double(), atol=1e-12, rtol=0)
    directions = Generator(3).normal((8, *SHAPE), dtype=torch.float64)
    directions = directions / directions.flatten(1).norm(dim=1)[:, None, None, None]
    for step in (unit, directions, -directions):
        nearer = images - 0.99 * distance[:, None, None, None] * step
        assert (homogeneous.logits(nearer).argmax(dim=1) == logits.argmax(dim=1)).all()


def test_gradients_of_log_probabilities_are_those_of_the_cross_entropy(smooth, images):
    model = smooth()
    logits = model.logits(images).detach()
    g = log_probability_gradients(logits, logit_gradients(model, images, CLASSES))
    for k in range(CLASSES):
        expected = grad_x(away_from_label, model, images, torch.full((8,), k))
        torch.testing.assert_close(g[:, k], expected)


def test_a_sure_model_has_log_probabilities_with_a_direction(random_gradients):
    logits = torch.tensor([[300.0, 0.0, -5.0]]).expand(8, -1)
    g = log_probability_gradients(logits, random_gradients.float())[:, 0]
    expected = (random_gradients[:, 0] - random_gradients[:, 1]).float().double()
    assert (cosine_alignment(expected, g) > 0.999).all()


def test_what_is_added_to_all_logits_counts_for_logits_alone(smooth):
    """Not for margins and log-probabilities."""
    model, images = smooth().float(), held_out()

    class Lifted:
        def logits(self, x):
            return model.logits(x) + 3 * x.flatten(1).square().sum(dim=1)[:, None]

        def energy(self, x, y):
            return -self.logits(x).gather(1, y[:, None])[:, 0]

    means = images.x[:CLASSES]
    plain, lifted = (measure_alignment(m, images, means) for m in (model, Lifted()))
    for name in ("margin_alignment", "margin_alignment_cosine", "class_mean_alignment_log_p"):
        torch.testing.assert_close(lifted[name], plain[name], rtol=1e-3, atol=1e-4)
    for name in ("alignment", "class_mean_alignment"):
        assert not torch.allclose(lifted[name], plain[name], rtol=1e-2)


def test_a_model_that_descends_to_class_means_is_aligned(images):
    """f(x)[k] = -|x - r_k|^2 has the gradients that Ganz et al. wish for, and no other zero."""
    means = Generator(2).uniform((CLASSES, *SHAPE))

    class ToMeans:
        def logits(self, x):
            return -(x[:, None] - means).square().flatten(2).sum(dim=2)

        def energy(self, x, y):
            return -self.logits(x).gather(1, y[:, None])[:, 0]

    found = measure_alignment(ToMeans(), held_out(), means)
    torch.testing.assert_close(found["class_mean_alignment"], torch.ones(6).double())


def test_a_measure_does_not_hang_on_the_batch_or_leave_traces(normed, traces):
    model, images = normed.train(), held_out(7)
    means, before = images.x[:CLASSES], traces(normed)
    together = measure_alignment(model, images, means, zero=0.5)
    assert traces(model) == before
    for i in range(7):
        one = Images(images.pixels[i : i + 1], images.labels[i : i + 1])
        for name, value in measure_alignment(model, one, means, zero=0.5).items():
            torch.testing.assert_close(value, together[name][i : i + 1], rtol=1e-4, atol=1e-6)


def test_a_flat_model_is_told_as_flat():
    layers = nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES))
    nn.init.zeros_(layers[1].weight)
    images = held_out()
    found = measure_alignment(JointEnergyModel(layers), images, images.x[:CLASSES])
    assert (found.pop("flat") == 1).all()
    found.pop("correct")
    assert all((value == 0).all() for value in found.values())


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda model, images: (model, held_out(0)), "at least one"),
        (lambda model, images: (model, Images(images.pixels, images.labels + 3)), "3 to 5"),
        (lambda model, images: (scaled(model, float("nan")), images), "not finite"),
    ],
)
def test_what_cannot_be_measured_is_refused(break_it, words, homogeneous):
    model, images = break_it(homogeneous.float(), held_out())
    with pytest.raises(Mistake, match=words):
        measure_alignment(model, images, torch.rand(CLASSES, *SHAPE))


def scaled(model, factor):
    model.classifier[1].weight.data *= factor
    return model


def test_one_class_has_no_margin():
    with pytest.raises(Mistake, match="only one"):
        margin_gradient(torch.zeros(2, 1), torch.zeros(2, 1, *SHAPE))

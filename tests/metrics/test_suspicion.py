"""Deliberately bad samplers are found out, and honest ones are left alone."""

import dataclasses

import pytest
import torch

from jemstone.data import Images, load, to_bytes
from jemstone.errors import Mistake
from jemstone.metrics import kernel_distance, look, nearest_ratio, suspicions
from jemstone.metrics.suspicion import permuted_distance
from jemstone.random import Generator
from jemstone.samplers import ClassGaussian

COUNT = 120
FLAGS = {"memorised", "not_diverse", "is_the_init", "no_better_than_the_init"}


class Edges:
    """A judge that sees edges by their strength, as no linear map of pixels does."""

    name = "edges"

    def __call__(self, x):
        x = torch.nn.functional.pad(x, (1, 1, 1, 1))
        edges = [(x[..., 1:, :] - x[..., :-1, :]), (x[..., 1:] - x[..., :-1])]
        edges = [torch.nn.functional.adaptive_avg_pool2d(e.abs(), 4).flatten(1) for e in edges]
        features = 4 * torch.cat(edges, dim=1)
        return features, features[:, :10]


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def seen(digits):
    """Held-out images but for `COUNT` honest samples, training images, draws of the init."""
    order = Generator(3).permutation(len(digits.test))
    honest, rest = order[:COUNT], order[COUNT:]
    gaussian = ClassGaussian.fit(digits.train.x, digits.train.y)
    y = torch.arange(COUNT) % 10

    def show(pixels, labels):
        return look(Images(pixels, labels), Edges())

    def drawn(stream):
        return to_bytes(gaussian(y, Generator(stream)))

    test, train = digits.test, digits.train
    first = torch.stack([(train.labels == k).nonzero()[0, 0] for k in range(10)])
    near = torch.stack([(test.labels[rest] == k).nonzero()[0, 0] for k in range(10)])
    several = torch.stack([(test.labels[rest] == k).nonzero()[:3, 0] for k in range(10)])
    noise = Generator(5).normal((COUNT, *digits.shape)).round().to(torch.int16)
    recited = train.pixels[:COUNT]
    noisy = (recited.to(torch.int16) + noise).clamp(0, 255).to(torch.uint8)
    means = torch.stack([train.x[train.labels == k].mean(dim=0) for k in range(10)])
    softened = 0.7 * test.x[honest] + 0.3 * means[test.labels[honest]]
    return {
        "reference": show(test.pixels[rest], test.labels[rest]),
        "train": look(train, Edges()),
        "init": show(drawn(1), y),
        "held-out images": show(test.pixels[honest], test.labels[honest]),
        "softened held-out images": show(to_bytes(softened), test.labels[honest]),
        "training images": show(recited, train.labels[:COUNT]),
        "training images and a grey level of noise": show(noisy, train.labels[:COUNT]),
        "one training image a class": show(train.pixels[first][y], y),
        "one held-out image a class": show(test.pixels[rest][near][y], y),
        "three held-out images a class": show(
            test.pixels[rest][several[y, torch.arange(COUNT) // 10 % 3]], y
        ),
        "the mean of each class": show(to_bytes(means)[y], y),
        "class-Gaussian draws": show(drawn(2), y),
    }


RAISED = {
    "held-out images": set(),
    "softened held-out images": set(),
    "training images": {"memorised"},
    "training images and a grey level of noise": {"memorised"},
    "one training image a class": {"memorised", "not_diverse", "no_better_than_the_init"},
    "one held-out image a class": {"not_diverse", "no_better_than_the_init"},
    "three held-out images a class": {"not_diverse", "no_better_than_the_init"},
    "the mean of each class": {"not_diverse", "no_better_than_the_init"},
    "class-Gaussian draws": {"is_the_init", "no_better_than_the_init"},
}
# Images that are drawn halfway to their class's mean have the edges of Gaussian draws.
LEFT_OPEN = {"softened held-out images": {"is_the_init", "no_better_than_the_init"}}


@pytest.mark.parametrize("sampler", RAISED)
def test_what_a_sampler_does_is_flagged(seen, sampler):
    found = suspicions(seen[sampler], seen["reference"], seen["train"], seen["init"])
    assert found.keys() == FLAGS
    raised = {name for name, flag in found.items() if flag["raised"]}
    assert raised - LEFT_OPEN.get(sampler, set()) == RAISED[sampler], found


@pytest.mark.parametrize("every", [10, 3, 1])
@pytest.mark.parametrize(
    "sampler", ["held-out images", "training images and a grey level of noise"]
)
def test_where_held_out_images_are_copies_honest_samples_may_be(seen, sampler, every):
    def copying(these, first):
        pixels = these.pixels.clone()
        places = torch.arange(0, len(pixels), every)
        pixels[places] = seen["train"].pixels[first + places]
        return dataclasses.replace(these, pixels=pixels)

    reference, samples = copying(seen["reference"], 200), copying(seen[sampler], 600)
    flag = suspicions(samples, reference, seen["train"])["memorised"]
    assert flag["share_held_out"] >= 1 / every
    # Where all that was held out was learnt, no yardstick is left.
    assert flag["raised"] == (sampler != "held-out images" and every > 1)


def test_the_inits_own_draws_are_no_better_than_the_init(seen):
    found = suspicions(seen["init"], seen["reference"], seen["train"], seen["init"])
    assert found["no_better_than_the_init"]["raised"]
    assert found["is_the_init"]["raised"]
    assert found["is_the_init"]["chance"] > 0.9


def test_without_an_init_nothing_is_said_of_it(seen):
    found = suspicions(seen["held-out images"], seen["reference"], seen["train"])
    assert found.keys() == {"memorised", "not_diverse"}


@pytest.mark.parametrize(("n", "m"), [(30, 30), (20, 45)])
def test_the_distance_is_kid_and_the_chance_that_of_a_permutation_test(n, m):
    x, y = Generator(3).normal((n, 3)).double(), Generator(4).normal((m, 3)).double()
    alike, chance = permuted_distance(x, y, Generator(0))
    apart, none = permuted_distance(x, y + 2, Generator(0))
    assert chance > 0.05
    assert none == 0.01
    assert apart > 10 * abs(alike)
    if n == m:
        assert apart == pytest.approx(kernel_distance(x, y + 2), rel=1e-6)


def test_of_many_rows_some_are_compared(monkeypatch):
    x, y = Generator(3).normal((60, 3)), Generator(4).normal((50, 3)) + 0.5

    def distances():
        return {permuted_distance(x, y, Generator(seed))[0] for seed in range(5)}

    assert len(distances()) == 1
    monkeypatch.setattr("jemstone.metrics.suspicion._COMPARED", 50)
    assert len(distances()) == 5  # of x as many as there are of y, others each time
    x = x[:1].expand_as(x)  # whose rows are all one
    assert len(distances()) == 1


def test_a_copy_is_near_one_and_a_mean_near_many():
    train = torch.eye(20)
    assert nearest_ratio(train[:3], train).tolist() == [0, 0, 0]
    assert nearest_ratio(torch.zeros(1, 20), train).tolist() == pytest.approx([1])
    between = (train[:1] + train[1:2]) / 2
    (ratio,) = nearest_ratio(between, train, k=3, chunk=4).tolist()
    assert ratio == pytest.approx(2 * 0.5**0.5 / (0.5**0.5 + 1.5**0.5))
    with pytest.raises(Mistake, match="rival"):
        nearest_ratio(train, train[:1])

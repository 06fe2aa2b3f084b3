import itertools

import pytest
import torch

from jemstone.functional.balls import L2, Linf
from jemstone.random import Generator
from jemstone.samplers import (
    PGD,
    PYLD,
    SGLD,
    Clamp,
    ClassGaussian,
    Compose,
    ReduceContrast,
    Sampler,
    Uniform,
    towards_label,
)

STAGES = {
    "paint": PGD(Linf(0.1), 2, 0.05, potential=towards_label, random_start=True),
    "attack": PGD(L2(0.3), 2, 0.2, random_start=True),
    "contrast": ReduceContrast(0.8),
    "clamp": Clamp(),
    "langevin": SGLD(2, 0.25, 0.05),
    "nothing": Compose(),
    "two": Compose(SGLD(1, 0.25, 0.05), ReduceContrast(0.9)),
}
TRIPLES = list(itertools.permutations(["paint", "contrast", "langevin", "nothing", "two"], 3))


@pytest.fixture
def model(smooth):
    return smooth()


@pytest.fixture(params=["uniform", "class-gaussian"])
def init(request):
    if request.param == "uniform":
        return Uniform((1, 4, 4))
    return ClassGaussian.fit(torch.rand(30, 1, 4, 4), torch.arange(30) % 3, jitter=1e-4)


@pytest.mark.parametrize("names", TRIPLES, ids="-".join)
def test_composition_is_associative(names, model, images, labels):
    a, b, c = (STAGES[name] for name in names)
    brackets = [Compose(a, b, c), Compose(Compose(a, b), c), Compose(a, Compose(b, c))]
    ends = [stages(model, images, labels, Generator(0)) for stages in brackets]
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


@pytest.mark.parametrize("name", STAGES)
def test_the_empty_composition_is_the_identity(name, model, images, labels):
    assert Compose()(model, images, labels, Generator(0)) is images
    ends = [
        stages(model, images, labels, Generator(0))
        for stages in (
            Compose(STAGES[name]),
            Compose(Compose(), STAGES[name]),
            Compose(STAGES[name], Compose()),
        )
    ]
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


def test_stages_run_in_order_each_on_noise_of_its_own(model, images, labels, generator):
    a, b = STAGES["langevin"], STAGES["paint"]
    by_hand = a(model, images, labels, generator.fold(0))
    by_hand = b(model, by_hand, labels, generator.fold(1))
    assert torch.equal(Compose(a, b)(model, images, labels, generator), by_hand)
    grey = torch.full_like(images, 0.5)
    twice = [grey, *Compose(a, a).iterate(model, grey, labels, generator)]
    assert len(twice) == 1 + 2 * a.steps
    assert not torch.allclose(twice[1] - twice[0], twice[3] - twice[2], atol=1e-3)


@pytest.mark.parametrize("names", [[], ["contrast"], ["langevin"], ["paint", "contrast", "two"]])
def test_iteration_begins_at_the_init_and_ends_with_the_sample(names, init, model, labels):
    sampler = Sampler(init, *(STAGES[name] for name in names))
    model.float()
    states = list(sampler.iterate(model, labels, Generator(5)))
    assert torch.equal(states[0], init(labels, Generator(5).fold("init")))
    assert torch.equal(states[-1], sampler(model, labels, Generator(5)))
    assert (len(states) == 1) == (not names)


def test_brackets_do_not_matter_to_a_sampler(init, model, labels):
    a, b = STAGES["paint"], STAGES["langevin"]
    model.float()
    samples = [
        Sampler(init, *stages)(model, labels, Generator(5)) for stages in ([a, b], [Compose(a, b)])
    ]
    assert torch.equal(samples[0], samples[1])


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_samples_agree_across_batch_sizes(norm, init, wide, labels):
    """Of combined inference, in eval mode: eight at once, or twice four."""
    sampler = Sampler(
        init,
        PGD(Linf(0.25), 3, 0.1, potential=towards_label, random_start=True),
        ReduceContrast(0.8),
        PYLD(3, 5, 0.05, 0.01, clip=2.0, bounds=None),
        Clamp(),
    )
    model = wide(norm).float()
    whole = sampler(model, labels, Generator(5))
    halves = [
        sampler(model, labels[places], Generator(5).at(places))
        for places in torch.arange(8).split(4)
    ]
    torch.testing.assert_close(torch.cat(halves), whole, rtol=0, atol=1e-5)
    assert len(whole.flatten(1).unique(dim=0)) == 8


def test_a_sample_carries_no_graph(init, model, labels):
    assert not Sampler(init, Clamp())(model.float(), labels, Generator(5)).requires_grad

"""Laws that hold for every walk in every mode."""

import itertools

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.functional.balls import L2, Linf
from jemstone.random import Generator
from jemstone.samplers import (
    FGSM,
    PGD,
    PYLD,
    SGLD,
    Clamp,
    Compose,
    ReduceContrast,
    energy,
    towards_label,
)


def combined(**options):
    """Combined inference, with an unbounded walk after the painter."""
    return Compose(
        PGD(Linf(0.1), 2, 0.05, **{"potential": towards_label} | options),
        ReduceContrast(0.8),
        PYLD(2, 2, 0.05, 0.005, bounds=None, **options),
        Clamp(),
    )


WALKS = {
    "pgd-linf": lambda **o: PGD(Linf(0.1), 3, 0.05, random_start=True, **o),
    "pgd-l2": lambda **o: PGD(L2(0.5), 3, 0.2, **{"potential": towards_label} | o),
    "fgsm": lambda **o: FGSM(Linf(0.1), **o),
    "sgld": lambda **o: SGLD(3, 0.25, 0.005, **o),
    "temperature": lambda **o: SGLD(3, 0.25, temperature=1e-3, **o),
    "pyld": lambda **o: PYLD(3, 2, 0.05, 0.005, clip=2.0, **o),
    "pyld-loop": lambda **o: PYLD(3, 2, 0.05, 0.005, clip=2.0, fold=False, **o),
    "combined": combined,
}
DETERMINISTIC = ("pgd-l2", "fgsm")
FLAGS = {"train": lambda number: True, "mixed": lambda number: number % 3 == 0}

walks = pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
modes = pytest.mark.parametrize("mode", ["eval", "batch"])


@pytest.fixture
def x(images):
    return images.float()


@pytest.fixture(params=FLAGS)
def model(request, normed):
    """A network in use: some modules in train mode, some weights frozen, some gradients there."""
    for number, module in enumerate(normed.modules()):
        module.training = FLAGS[request.param](number)
    for number, p in enumerate(normed.parameters()):
        p.grad = torch.full_like(p, 7.0) if number % 2 else None
        p.requires_grad_(number % 3 != 0)
    return normed


@walks
@modes
def test_a_walk_leaves_the_model_as_it_found_it(walk, mode, model, x, labels, traces):
    before = traces(model)
    end = walk(mode=mode)(model, x, labels, Generator(0))
    assert traces(model) == before
    assert not torch.equal(end, x)
    assert not end.requires_grad


@walks
@modes
@pytest.mark.parametrize("passes", [0, 1])
def test_a_walk_that_raises_leaves_the_model_as_it_found_it(
    walk, mode, passes, model, x, labels, traces
):
    seen = []

    def breaks(model, x, y):
        seen.append(model)
        if len(seen) > passes:
            raise KeyError("broken")
        return energy(model, x, y)

    before = traces(model)
    broken = walk(mode=mode, potential=breaks)
    twice = Compose(broken, broken)  # a walk of one step has one pass
    with pytest.raises(KeyError):
        twice(model, x, labels, Generator(0))
    assert traces(model) == before


@walks
@modes
@pytest.mark.parametrize("kept", [True, False])
def test_an_abandoned_walk_leaves_the_model_as_it_found_it(
    walk, mode, kept, model, x, labels, traces
):
    before = traces(model)
    steps = walk(mode=mode).iterate(model, x, labels, Generator(0))
    for _ in itertools.islice(steps, 2):
        assert traces(model) == before
        assert torch.is_grad_enabled()
    if not kept:
        steps.close()
    assert traces(model) == before


@walks
@modes
def test_iteration_ends_where_the_walk_ends(walk, mode, model, x, labels):
    walk = walk(mode=mode)
    states = list(walk.iterate(model, x, labels, Generator(0)))
    assert torch.equal(states[-1], walk(model, x, labels, Generator(0)))
    if not isinstance(walk, Compose):
        # A start that is a draw of its own is a state too; the images given are not.
        assert len(states) == walk.steps + getattr(walk, "random_start", False)


@walks
@modes
def test_a_walk_does_not_write_on_its_start(walk, mode, model, x, labels):
    x.requires_grad_()
    kept = x.detach().clone()
    end = walk(mode=mode)(model, x, labels, Generator(0))
    assert torch.equal(x, kept)
    assert x.grad is None
    assert not end.requires_grad


@walks
def test_images_agree_across_batch_sizes(walk, model, x, labels):
    whole = walk()(model, x, labels, Generator(0))
    for places in torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7], [7, 2, 5, 0]]):
        part = walk()(model, x[places], labels[places], Generator(0).at(places))
        torch.testing.assert_close(part, whole[places], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WALKS)
def test_the_seed_decides_the_walk(name, model, x, labels):
    ends = [WALKS[name]()(model, x, labels, Generator(seed)) for seed in (0, 0, 1)]
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2]) == (name in DETERMINISTIC)


@walks
@modes
def test_a_batch_without_images_stays_one(walk, mode, linear, x, labels):
    end = walk(mode=mode)(linear.float(), x[:0], labels[:0], Generator(0))
    assert end.shape == (0, *x.shape[1:])


@modes
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 2.0)])
@pytest.mark.parametrize(
    "walk",
    [
        lambda **o: PGD(Linf(9.0), 3, 2.0, random_start=True, **o),
        lambda **o: PGD(L2(9.0), 3, 9.0, random_start=True, **o),
        lambda **o: SGLD(3, 50.0, 3.0, **o),
        lambda **o: PYLD(3, 2, 50.0, 3.0, **o),
        lambda **o: PYLD(3, 2, 50.0, 3.0, fold=False, **o),
    ],
    ids=["linf", "l2", "sgld", "pyld", "pyld-loop"],
)
def test_a_bounded_walk_never_leaves_the_box(walk, mode, bounds, model, x, labels):
    for state in walk(mode=mode, bounds=bounds).iterate(model, x, labels, Generator(0)):
        assert bounds[0] <= state.min() <= state.max() <= bounds[1]
    assert state.min() == bounds[0]
    assert state.max() == bounds[1]


def test_batch_mode_walks_on_batch_statistics(normed, x, labels):
    """In train mode, but with dropout off, the reference tracks; the walk does not."""
    reference = normed.eval()
    end = SGLD(3, 0.25, 0.0, mode="batch")(reference, x, labels, Generator(0))
    assert not torch.allclose(end, SGLD(3, 0.25, 0.0)(reference, x, labels, Generator(0)))
    for module in reference.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()
    for _ in range(3):
        x = x.detach().requires_grad_()
        reference.energy(x, labels).sum().backward()
        x = (x - 0.25 * x.grad).clamp(0, 1)
    assert torch.equal(end, x)


@modes
@pytest.mark.parametrize(
    "walk",
    [
        lambda **o: PGD(Linf(0.1), 0, 0.1, **o),
        lambda **o: SGLD(0, 0.1, 0.1, **o),
        lambda **o: PYLD(0, 5, 0.1, 0.1, **o),
    ],
    ids=["pgd", "sgld", "pyld"],
)
def test_a_walk_of_no_steps_stays_where_it_starts(walk, mode, model, x, labels):
    assert torch.equal(walk(mode=mode)(model, x, labels, Generator(0)), x)


@pytest.mark.parametrize("walk", [WALKS["pgd-linf"], WALKS["sgld"], WALKS["pyld"]])
def test_an_unknown_mode_is_a_mistake(walk):
    with pytest.raises(Mistake, match=r"no mode 'train'.*eval, batch"):
        walk(mode="train")

import math

import pytest
import torch
from torch import nn

from jemstone import JointEnergyModel
from jemstone.errors import Mistake
from jemstone.functional.energies import energy, grad_x, marginal, towards_label
from jemstone.random import Generator
from jemstone.samplers import PYLD, SGLD
from jemstone.samplers.langevin import is_affine

INNER, OUTER = 3, 2


def scaled(model, x, y):
    """Return a step and a clip that matter for this model: steps meet the walls, clips bite."""
    typical = float(grad_x(energy, model, x, y).abs().median())
    return 0.2 / typical, typical


def loop(model, stem, rest, x, y, *, step, clip, noise, bounds, inner, outer, draws):
    """Write JEM++'s loop plainly: autograd through the stem at every inner step."""
    for t in range(outer):
        h = stem(x).detach().requires_grad_()
        (p,) = torch.autograd.grad(rest.energy(h, y).sum(), h)
        for k in range(inner):
            x = x.detach().requires_grad_()
            (g,) = torch.autograd.grad((stem(x) * p).sum(), x)
            if clip is not None:
                g = torch.where(g.abs() > clip, clip * g.sign(), g)
            x = x.detach() - step * g
            if k == inner - 1 and noise:
                x = x + noise * draws.fold(t).normal(x.shape, dtype=x.dtype)
            if bounds is not None:
                x = x.clamp(*bounds)
    return x.detach()


def both_ways(model, x, y, draws, *, bounds, noise, clips, mode="eval"):
    """Walk folded, looped, and by the plain reference."""
    step, clip = scaled(model, x, y)
    clip = clip if clips else None
    options = {"clip": clip, "bounds": bounds, "mode": mode}
    folded = PYLD(OUTER, INNER, step, noise, **options)(model, x, y, draws)
    looped = PYLD(OUTER, INNER, step, noise, fold=False, **options)(model, x, y, draws)
    stem, rest = model.split()
    for module in rest.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(mode == "batch")
    plain = loop(
        model,
        stem,
        rest,
        x,
        y,
        step=step,
        clip=clip,
        noise=noise,
        bounds=bounds,
        inner=INNER,
        outer=OUTER,
        draws=draws,
    )
    naive = SGLD(OUTER, INNER * step, noise, clip=clip, bounds=bounds)(model, x, y, draws)
    return folded, looped, plain, naive


def agree(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


# ---------------------------------------------------------------------------------------- SGLD


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.2, 0.8), None])
@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("potential", [energy, marginal, towards_label])
def test_without_noise_it_is_gradient_descent(bounds, clips, potential, smooth, images, labels):
    model, x = smooth(), images
    step, clip = scaled(model, images, labels)
    clip = clip if clips else None
    walk = SGLD(4, step, 0.0, clip=clip, potential=potential, bounds=bounds)
    end = walk(model, images, labels, Generator(0))
    for _ in range(4):
        x = x.detach().requires_grad_()
        (g,) = torch.autograd.grad(potential(model, x, labels).sum(), x)
        g = g if clip is None else g.clamp(-clip, clip)
        x = x - step * g
        x = x if bounds is None else x.clamp(*bounds)
    agree(end, x.detach())


@pytest.mark.parametrize("theta", [0.5, 1.0])
@pytest.mark.parametrize("alpha", [0.1, 1.0, 1.9])
def test_gradient_descent_on_a_quadratic_is_a_power(theta, alpha, quadratic, images):
    end = SGLD(7, alpha, 0.0, bounds=None)(quadratic(theta), images, None, Generator(0))
    torch.testing.assert_close(end, (1 - alpha * theta) ** 7 * images)


def test_step_noise_box_in_this_order(smooth, images, labels, generator):
    model = smooth()
    walk = SGLD(1, 0.25, 0.3, clip=0.01)
    g = grad_x(energy, model, images, labels).clamp(-0.01, 0.01)
    noise = 0.3 * generator.fold(0).normal(images.shape, dtype=images.dtype)
    end = walk(model, images, labels, generator)
    agree(end, (images - 0.25 * g + noise).clamp(0, 1))
    assert (end == 0).any()
    assert (end == 1).any()


@pytest.mark.parametrize("alpha", [0.05, 0.3, 1.0, 1.5, 1.9])
@pytest.mark.parametrize("T", [0.01, 1.0])
def test_the_stationary_variance_on_a_quadratic(alpha, T, quadratic, generator):
    """On x^2 / 2 it is T / (1 - alpha / 2); an empirical variance of n has error sqrt(2 / n)."""
    n = 20_000
    steps = math.ceil(math.log(1e-4) / math.log((1 - alpha) ** 2 + 1e-30))
    walk = SGLD(steps, alpha, temperature=T, bounds=None)
    chains = walk(quadratic(), torch.zeros(n, 1, dtype=torch.float64), None, generator)
    variance = T / (1 - alpha / 2)
    assert float(chains.var()) == pytest.approx(variance, rel=5 * math.sqrt(2 / n) + 1e-4)
    assert abs(float(chains.mean())) < 5 * math.sqrt(variance / n)


@pytest.mark.parametrize("alpha", [0.25, 1.0])
@pytest.mark.parametrize("T", [0.0, 1e-4, 1.0])
def test_a_temperature_is_a_noise(alpha, T):
    walk = SGLD(1, alpha, temperature=T)
    assert walk.noise == pytest.approx(math.sqrt(2 * alpha * T))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"temperature": 1.0, "clip": 0.1}, "no temperature"),
        ({"temperature": 1.0, "noise": 0.1}, "either its noise or its temperature"),
        ({"temperature": 0.0, "noise": 0.0}, "either its noise or its temperature"),
        ({}, "either its noise or its temperature"),
        ({"clip": 0.1}, "either its noise or its temperature"),
    ],
)
def test_noise_and_temperature_exclude_each_other_and_a_clip_the_latter(options, reason):
    with pytest.raises(Mistake, match=reason):
        SGLD(1, 0.1, **options)


# ---------------------------------------------------------------------------------------- PYLD


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("clip", [None, 1e-3])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("stem", ["conv", "bent", "none"])
def test_with_one_inner_step_it_is_sgld(noise, clip, bounds, fold, stem, smooth, images, labels):
    model, options = smooth(stem), {"clip": clip, "bounds": bounds}
    pyld = PYLD(3, 1, 0.25, noise, fold=fold, **options)(model, images, labels, Generator(0))
    assert torch.equal(pyld, SGLD(3, 0.25, noise, **options)(model, images, labels, Generator(0)))


@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize(
    ("network", "mode"),
    [("none", "eval"), ("group", "eval"), ("batch", "eval"), ("batch", "batch"), ("plain", "eval")],
)
def test_at_an_affine_stem_folding_is_the_loop(
    bounds, noise, clips, network, mode, wide, smooth, images, labels
):
    """Network `plain` has no split of its own: its stem is its normalisation."""
    model = smooth("none") if network == "plain" else wide(network)
    options = {"bounds": bounds, "noise": noise, "clips": clips, "mode": mode}
    folded, looped, plain, _ = both_ways(model, images, labels, Generator(0), **options)
    agree(folded, looped)
    agree(folded, plain)
    assert not torch.allclose(folded, images, atol=0.05)
    assert bounds is None or (folded == 0).any()


@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("stem", ["bent", "hooked"])
def test_at_a_bent_stem_it_loops(bounds, noise, clips, stem, smooth, images, labels):
    options = {"bounds": bounds, "noise": noise, "clips": clips}
    model = smooth(stem)
    folded, looped, plain, naive = both_ways(model, images, labels, Generator(0), **options)
    agree(folded, plain)
    agree(looped, plain)
    assert (naive - plain).abs().max() > 1e-4


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("place", [(0, 1.7), (5, -0.8)])
def test_outside_the_box_it_loops(noise, clips, place, wide, images, labels):
    images[place[0]] = place[1]
    options = {"bounds": (0.0, 1.0), "noise": noise, "clips": clips}
    model = wide()
    folded, looped, plain, naive = both_ways(model, images, labels, Generator(0), **options)
    agree(folded, plain)
    agree(looped, plain)
    assert (naive - plain).abs().max() > 1e-2


@pytest.mark.parametrize("inner", [1, 2, 5])
def test_an_outer_step_has_one_draw_of_noise(inner, wide, images, labels, generator):
    still = PYLD(1, inner, 0.0, 0.1, bounds=None)(wide(), images, labels, generator)
    noise = 0.1 * generator.fold(0).normal(images.shape, dtype=images.dtype)
    agree(still, images + noise)


@pytest.mark.parametrize("fold", [True, False])
def test_a_potential_is_in_the_images_precision_in_bf16_training_too(fold, wide, images, labels):
    seen = []

    def potential(model, x, y):
        seen.append(model.energy(x, y))
        return seen[-1]

    walk = PYLD(2, 3, 0.05, fold=fold, potential=potential)
    with torch.autocast("cpu", torch.bfloat16):
        walk(wide().float(), images.float(), labels, Generator(0))
    assert {e.dtype for e in seen} == {torch.float32}


@pytest.mark.parametrize("fold", [True, False])
def test_an_outer_step_is_one_pass_through_the_rest(fold, wide, images, labels):
    model, passes = wide(), []
    model.classifier.head.register_forward_hook(lambda *_: passes.append(1))
    PYLD(4, 5, 0.05, fold=fold)(model, images, labels, Generator(0))
    assert len(passes) == 4


@pytest.mark.parametrize(
    ("stem", "affine"),
    [
        (nn.Identity(), True),
        (nn.Conv2d(1, 2, 3), True),
        (nn.Sequential(nn.Identity(), nn.Sequential(nn.Flatten(), nn.Linear(4, 2))), True),
        (JointEnergyModel(nn.Flatten(), 0.5, 0.5).split()[0], True),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout()), False),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2)), False),
        (nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3)), False),
        (nn.MaxPool2d(2), False),
        (type("Odd", (nn.Conv2d,), {})(1, 2, 3), False),
    ],
    ids=str,
)
def test_a_stem_is_affine_by_its_make(stem, affine):
    assert is_affine(stem) == affine


@pytest.mark.parametrize("container", [False, True])
def test_a_stem_with_a_hook_may_do_anything(container):
    stem = nn.Sequential(nn.Conv2d(1, 2, 3))
    (stem if container else stem[0]).register_forward_hook(lambda layer, args, h: h.tanh())
    assert not is_affine(stem)


@pytest.mark.parametrize("inner", [0, -1])
def test_less_than_one_inner_step_is_a_mistake(inner):
    with pytest.raises(Mistake, match="at least one inner step"):
        PYLD(1, inner, 0.1)


def test_a_model_without_split_is_a_mistake(quadratic, images):
    with pytest.raises(Mistake, match="JointEnergyModel"):
        PYLD(1, 2, 0.1)(quadratic(), images, None, Generator(0))

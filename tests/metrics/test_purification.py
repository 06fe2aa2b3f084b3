"""A purified model is attacked through its walk, with many draws, or not at all."""

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.functional.balls import Linf
from jemstone.functional.energies import away_from_label, grad_x, margin
from jemstone.metrics import Purified, purified_survivors
from jemstone.metrics.purification import LEAST_REPETITIONS, ExpectedPGD
from jemstone.random import Generator
from jemstone.samplers import PGD, SGLD

STILL = SGLD(1, step_size=0.0, noise=0.0)
NOISY = SGLD(1, step_size=0.0, noise=0.05)


@pytest.fixture
def case(perceptron, digits):
    """A model, 12 images and their labels."""
    return (perceptron, *digits.test.take(torch.arange(12)))


def test_a_walk_that_stays_is_no_defence(case, generator):
    model, x, y = case
    still = Purified(model, STILL, generator)
    assert torch.equal(still.logits(x), model(x))
    plain_clean, plain, clean, attacked = purified_survivors(
        still, x, y, Linf(0.05), generator=generator, steps=3, repetitions=LEAST_REPETITIONS
    )
    assert torch.equal(plain_clean, clean)
    assert (attacked <= plain).all()
    assert plain.sum() < plain_clean.sum()


def test_the_gradient_is_taken_where_the_walk_ends(case, generator):
    model, x, y = case
    drawn = Purified(model, NOISY, generator).drawn(generator.fold(1))
    there = drawn.purify(x)
    assert not torch.allclose(there, x)
    through = grad_x(away_from_label, drawn, x, y)
    assert torch.allclose(through, grad_x(away_from_label, model, there, y), atol=1e-6)


def test_an_expected_gradient_is_the_mean_over_draws(case, generator):
    model, x, y = case
    purified = Purified(model, NOISY, generator)
    attack = ExpectedPGD(Linf(0.1), 1, 0.1, repetitions=20, potential=margin)
    mean = torch.stack(
        [grad_x(margin, purified.drawn(generator.fold("draw", r)), x, y) for r in range(20)]
    ).mean(dim=0)
    assert torch.allclose(attack.gradient(purified, x, y, generator), mean, atol=1e-6)


def test_the_decision_is_the_mean_answer(case, generator):
    model, x, _ = case
    purified = Purified(model, NOISY, generator)
    answers = [purified.drawn(generator.fold(r)).logits(x).softmax(dim=1) for r in range(4)]
    assert torch.allclose(purified.predict(x, 4), torch.stack(answers).mean(dim=0))


@pytest.mark.parametrize(("answers", "broken"), [("wrong right", False), ("wrong wrong", True)])
def test_only_what_is_wrong_twice_is_broken(answers, broken, case, generator, monkeypatch):
    model, x, y = case
    script = iter(["right", *answers.split()])  # clean, a look, and again with fresh draws

    def predict(self, x, repetitions):
        shift = next(script, "right") == "wrong"
        return torch.nn.functional.one_hot((y + shift) % 10, 10).double()

    monkeypatch.setattr(Purified, "predict", predict)
    _, _, clean, attacked = purified_survivors(
        Purified(model, STILL, generator), x, y, Linf(0.01), generator=generator, steps=1
    )
    assert clean.all()
    assert attacked.any() != broken


def test_answers_do_not_depend_on_the_batch(case, generator):
    model, x, y = case
    purified = Purified(model, NOISY, generator)

    def survivors(places):
        return purified_survivors(
            purified,
            x[places],
            y[places],
            Linf(0.04),
            generator=generator.at(places),
            steps=2,
            repetitions=LEAST_REPETITIONS,
        )

    halves = [survivors(places) for places in torch.arange(12).split(6)]
    assert torch.equal(survivors(torch.arange(12)), torch.cat(halves, dim=1))


@pytest.mark.parametrize(
    "attack",
    [
        lambda model, x, y: grad_x(away_from_label, model, x, y),
        lambda model, x, y: PGD(Linf(0.1), 1, 0.1)(model, x, y, Generator(0)),
        lambda model, x, y: purified_survivors(
            model, x, y, Linf(0.1), generator=Generator(0), repetitions=LEAST_REPETITIONS - 1
        ),
        lambda model, x, y: purified_survivors(
            model, 2 * x - 1, y, Linf(0.1), generator=Generator(0)
        ),
        lambda model, x, y: purified_survivors(
            model, x, y + 9, Linf(0.1), generator=Generator(0), steps=1
        ),
    ],
)
def test_an_attack_without_many_draws_is_refused(attack, case, generator):
    model, x, y = case
    with pytest.raises(Mistake, match=r"EOT|outside|labels go from"):
        attack(Purified(model, NOISY, generator), x, y)


def test_the_model_is_left_as_it_was(case, generator, traces):
    model, x, y = case
    before = traces(model)
    purified = Purified(model, NOISY, generator)
    purified_survivors(purified, x[:3], y[:3], Linf(0.01), generator=generator, steps=1)
    assert traces(model) == before

import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from jemstone.errors import Mistake
from jemstone.functional.balls import L2, Linf
from jemstone.objectives import AdversarialCrossEntropy, CrossEntropy, MaximumLikelihood, Sum
from jemstone.random import Generator
from jemstone.samplers import FGSM, PGD, SGLD, Persistent, ReplayBuffer, Sampler, Uniform
from jemstone.types import Batch


class OneParameter(nn.Module):
    """f(x)[k] = -theta k' |x|^2 / 2 with k' = 1, 2, 3: so E(x, y) = theta (y + 1) |x|^2 / 2."""

    def __init__(self, theta):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta, dtype=torch.float64))

    def logits(self, x):
        half = x.flatten(1).square().sum(dim=1, keepdim=True) / 2
        return -self.theta * half * torch.arange(1, 4, dtype=x.dtype)

    def energy(self, x, y=None):
        if y is None:
            return -self.logits(x)[:, 0]
        return -self.logits(x).gather(1, y[:, None])[:, 0]


@pytest.fixture
def batch(images, labels):
    return Batch(images, labels)


def refuses(*args):
    raise AssertionError("called")


@pytest.mark.parametrize("theta", [0.5, 2.0])
@pytest.mark.parametrize("conditional", [False, True])
def test_the_likelihood_gradient_is_the_data_term_minus_the_model_term(
    theta, conditional, batch, generator
):
    """On E = theta |x|^2 / 2 it is the difference of two halved second moments."""
    model, samples = OneParameter(theta), 2 * torch.rand_like(batch.x)
    objective = MaximumLikelihood(lambda *_: samples, 3, conditional=conditional)
    loss = objective(model, batch, generator)
    loss.value.backward()

    def halved(x):
        scale = batch.y + 1 if conditional else 1
        return (scale * x.flatten(1).square().sum(dim=1) / 2).mean()

    difference = halved(batch.x) - halved(samples)
    torch.testing.assert_close(model.theta.grad, difference)
    torch.testing.assert_close(loss.value.detach(), theta * difference)
    torch.testing.assert_close(loss.terms["energy_data"], theta * halved(batch.x))
    torch.testing.assert_close(loss.terms["energy_samples"], theta * halved(samples))


@pytest.mark.parametrize("persistent", [False, True])
def test_the_walk_of_the_samples_carries_no_gradient(persistent, batch, generator):
    """Samples depend on theta, but the likelihood's gradient takes them as they are."""
    model, walk = OneParameter(1.0), SGLD(3, 0.2, 0.1)
    init = Uniform((1, 4, 4))
    sampler = Sampler(init, walk)
    if persistent:
        sampler = Persistent(ReplayBuffer(init, 30, 3, 0.1, generator), walk)
    drawn = []

    def keeps(*args):
        drawn.append(sampler(*args))
        return drawn[0]

    MaximumLikelihood(keeps, 3)(model, batch, generator).value.backward()
    assert not drawn[0].requires_grad
    moments = [x.double().flatten(1).square().sum(dim=1).mean() / 2 for x in (batch.x, drawn[0])]
    torch.testing.assert_close(model.theta.grad, moments[0] - moments[1])


@pytest.mark.parametrize("conditional", [False, True])
def test_chains_have_the_batchs_labels_or_uniform_ones(conditional, batch, generator):
    seen = []

    def sampler(model, y, generator):
        seen.append(y)
        return torch.zeros(len(y), 1, 4, 4)

    large = Batch(batch.x.repeat(300, 1, 1, 1), torch.zeros(2400, dtype=torch.int64))
    MaximumLikelihood(sampler, 3, conditional=conditional)(OneParameter(1.0), large, generator)
    if conditional:
        assert torch.equal(seen[0], large.y)
    else:
        assert stats.chisquare(torch.bincount(seen[0], minlength=3).numpy()).pvalue > 1e-3


@pytest.mark.parametrize("conditional", [False, True])
def test_adversarial_data_is_contrasted_where_the_attack_leaves_it(
    conditional, batch, smooth, generator
):
    model, samples = smooth(), torch.rand_like(batch.x)
    attack = PGD(Linf(0.1), 3, 0.05, random_start=True)
    likelihood = MaximumLikelihood(lambda *_: samples, 3, 0.0, conditional, attack)
    loss = likelihood(model, batch, generator)
    attacked = attack(model, batch.x, batch.y, generator.fold("attack"))
    assert not torch.equal(attacked, batch.x)
    y = batch.y if conditional else None
    expected = model.energy(attacked, y).mean() - model.energy(samples, y).mean()
    torch.testing.assert_close(loss.value, expected)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_an_attack_of_no_radius_leaves_the_likelihood_bit_for_bit(noise, batch, smooth, generator):
    """So the option takes nothing from the streams of labels, noise and chains."""
    model, init = smooth(), Uniform((1, 4, 4))
    nowhere = PGD(Linf(0.0), 1, 0.1, random_start=True)
    losses = [
        MaximumLikelihood(Sampler(init, SGLD(2, 0.1, 0.1)), 3, noise, attack=attack)(
            model, batch, generator
        )
        for attack in (None, nowhere)
    ]
    assert torch.equal(losses[0].value, losses[1].value)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_cross_entropy_is_that_of_the_noisy_images(noise, batch, smooth, generator):
    model = smooth()
    loss = CrossEntropy(noise)(model, batch, generator)
    x = batch.x + noise * generator.normal(batch.x.shape, dtype=batch.x.dtype)
    torch.testing.assert_close(loss.value, F.cross_entropy(model.logits(x), batch.y))
    right = (model.logits(x).argmax(dim=1) == batch.y).float().mean()
    assert loss.terms["accuracy"] == right


def test_smoothing_gives_every_class_its_part(batch, smooth, generator):
    model = smooth()
    logs = model.logits(batch.x).log_softmax(dim=1)
    label = logs.gather(1, batch.y[:, None])[:, 0]
    expected = -(0.8 * label + 0.2 * logs.mean(dim=1)).mean()
    found = CrossEntropy(smoothing=0.2)(model, batch, generator).value
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "attack",
    [FGSM(Linf(0.02)), PGD(Linf(0.1), 5, 0.02), PGD(L2(0.5), 5, 0.1), PGD(Linf(0.0), 1, 0.1)],
    ids=["fgsm", "linf", "l2", "eps 0"],
)
@pytest.mark.parametrize("network", ["linear", "smooth"])
def test_an_attack_never_lowers_the_cross_entropy(attack, network, batch, generator, request):
    model = request.getfixturevalue(network)
    model = model if network == "linear" else model()
    clean = CrossEntropy()(model, batch, generator)
    attacked = AdversarialCrossEntropy(attack)(model, batch, generator)
    if attack.ball.eps == 0:
        assert torch.equal(attacked.value, clean.value)
    else:
        assert attacked.value > clean.value
    assert attacked.terms["robust_accuracy"] <= clean.terms["accuracy"]


def test_only_the_loss_carries_a_gradient(batch, smooth, generator):
    parts = [
        CrossEntropy(0.1),
        AdversarialCrossEntropy(FGSM(Linf(0.1))),
        MaximumLikelihood(lambda m, y, g: batch.x, 3),
    ]
    for part in [*parts, Sum(*((1.0, part) for part in parts))]:
        loss = part(smooth(), batch, generator)
        assert loss.value.requires_grad
        assert loss.value.dim() == 0
        assert not any(term.requires_grad for term in loss.terms.values())


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.3, 2.0), (-1.0, 0.5)])
def test_a_sum_adds_values_and_gradients_with_their_weights(weights, batch, smooth, generator):
    model = smooth()
    parts = [CrossEntropy(0.1), AdversarialCrossEntropy(PGD(Linf(0.1), 2, 0.1, random_start=True))]
    losses = [part(model, batch, generator.fold(n)) for n, part in enumerate(parts)]
    by_hand = weights[0] * losses[0].value + weights[1] * losses[1].value
    loss = Sum(*zip(weights, parts, strict=True))(model, batch, generator)
    torch.testing.assert_close(loss.value, by_hand)
    assert loss.terms == losses[0].terms | losses[1].terms
    for mine, hand in zip(
        torch.autograd.grad(loss.value, model.parameters()),
        torch.autograd.grad(by_hand, model.parameters()),
        strict=True,
    ):
        torch.testing.assert_close(mine, hand)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_part_of_weight_zero_is_not_computed(place, batch, smooth):
    parts = [(1.0, CrossEntropy(0.1)), (2.0, AdversarialCrossEntropy(FGSM(Linf(0.1))))]
    model = smooth()
    without = Sum(*parts)(model, batch, Generator(0))
    parts.insert(place, (0.0, refuses))
    assert torch.equal(Sum(*parts)(model, batch, Generator(0)).value, without.value)


@pytest.mark.parametrize("parts", [(), ((0.0, refuses),), ((0.0, refuses), (0.0, refuses))])
def test_a_sum_of_nothing_is_refused(parts):
    with pytest.raises(Mistake, match="non-zero weight"):
        Sum(*parts)


@pytest.mark.parametrize(
    ("ramp", "step", "share"), [(0, 0, 1), (4, 0, 0.25), (4, 2, 0.75), (4, 9, 1)]
)
def test_a_ramp_shrinks_the_attack_of_a_young_network(ramp, step, share, batch, smooth, generator):
    """Ball and steps alike: the attack at a share is the whole attack in a ball of that share."""
    model, whole = smooth(), PGD(Linf(0.2), 3, 0.1, random_start=True)
    here = batch._replace(step=step)
    ramped = AdversarialCrossEntropy(whole, ramp)(model, here, generator)
    smaller = PGD(Linf(0.2 * share), 3, 0.1 * share, random_start=True)
    expected = AdversarialCrossEntropy(smaller)(model, here, generator)
    torch.testing.assert_close(ramped.value, expected.value)
    contrasted = [
        MaximumLikelihood(lambda m, y, g: batch.x, 3, attack=attack, ramp=ramping)
        for attack, ramping in ((whole, ramp), (smaller, 0))
    ]
    ramped, expected = (part(model, here, generator).value for part in contrasted)
    torch.testing.assert_close(ramped, expected)
    assert whole.ball == Linf(0.2)

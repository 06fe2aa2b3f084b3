r"""What training descends: :math:`-\log p(y|x)`, clean or attacked, and :math:`-\log p(x)`.

References:
    Grathwohl et al., 2020, https://arxiv.org/abs/1912.03263
    Madry et al., 2018, https://arxiv.org/abs/1706.06083
    Korst & Asadulaev, 2022, https://arxiv.org/abs/2207.08950
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.types import (
    Adversary,
    Batch,
    EnergyModel,
    Generator,
    Loss,
    Objective,
    SampleFrom,
    Stage,
)

__all__ = ["AdversarialCrossEntropy", "CrossEntropy", "MaximumLikelihood", "Sum"]


def _accuracy(logits: Tensor, y: Tensor) -> Tensor:
    return (logits.detach().argmax(dim=-1) == y).float().mean()


def _perturbed(x: Tensor, noise: float, generator: Generator) -> Tensor:
    if noise == 0:
        return x
    return x + noise * generator.normal(x.shape, dtype=x.dtype, device=x.device)


def _at_step(attack: Adversary, ramp: int, step: int) -> Stage:
    """Return the attack at its strength of a step: the ramp's share, then the whole."""
    return attack.scaled((step + 1) / ramp) if step + 1 < ramp else attack


class CrossEntropy:
    r"""Fit :math:`p(y|x)`: :math:`-\log p(y | x + \sigma n)`, mean over the batch.

    Args:
        noise: :math:`\sigma` of the data noise, in [0, 1] pixels.
        smoothing: share of the label's weight that all classes get in equal parts.
    """

    def __init__(self, noise: float = 0.0, smoothing: float = 0.0) -> None:
        self.noise = noise
        self.smoothing = smoothing

    def __call__(self, model: EnergyModel, batch: Batch, generator: Generator) -> Loss:
        logits = model.logits(_perturbed(batch.x, self.noise, generator))
        value = F.cross_entropy(logits, batch.y, label_smoothing=self.smoothing)
        return Loss(value, {"ce": value.detach(), "accuracy": _accuracy(logits, batch.y)})


class AdversarialCrossEntropy:
    r"""Fit :math:`p(y|x)` where an attacker pushes: :math:`-\log p(y | \text{attack}(x, y))`.

    At step t of training the attack's radius is :math:`\epsilon \min(1, (t + 1) / \text{ramp})`:
    a young network learns from a weak attacker what a strong one would hide from it.

    References:
        Madry et al., 2018, https://arxiv.org/abs/1706.06083
        Cai et al., "Curriculum adversarial training", 2018, https://arxiv.org/abs/1805.04807

    Args:
        attack: the adversary at its full strength, as :class:`~jemstone.samplers.PGD`.
        ramp: steps of training until it has it; 0 for at once.
    """

    def __init__(self, attack: Adversary, ramp: int = 0) -> None:
        self.attack = attack
        self.ramp = ramp

    def __call__(self, model: EnergyModel, batch: Batch, generator: Generator) -> Loss:
        attack = _at_step(self.attack, self.ramp, batch.step)
        x = attack(model, batch.x, batch.y, generator)
        logits = model.logits(x)
        value = F.cross_entropy(logits, batch.y)
        terms = {"adversarial_ce": value.detach(), "robust_accuracy": _accuracy(logits, batch.y)}
        return Loss(value, terms)


class MaximumLikelihood:
    r"""Lower the energy of data and raise that of the model's own samples.

    .. math:: \nabla_\theta (-\log p(x^+)) =
              \nabla_\theta E(x^+) - \mathbb{E}_{x^- \sim p} \nabla_\theta E(x^-)

    With an attack, :math:`x^+ = \text{attack}(x, y)`: the density of adversarial data, as in JEAT.

    References:
        Grathwohl et al., 2020, https://arxiv.org/abs/1912.03263
        Zhu et al., "Towards understanding the generative capability of adversarially robust
        classifiers", 2021, https://arxiv.org/abs/2108.09093

    Args:
        sampler: draws :math:`x^-`, as :class:`~jemstone.samplers.Persistent`.
        classes: K; chains get labels drawn uniformly.
        noise: of the data :math:`x^+`, in [0, 1] pixels.
        conditional: contrast :math:`E(x, y)` instead of :math:`E(x)`, the chains' labels being
            the batch's.
        attack: moves the data before it is contrasted; None for clean images.
        ramp: steps of training until the attack has its full radius; 0 for at once.
    """

    def __init__(
        self,
        sampler: SampleFrom,
        classes: int,
        noise: float = 0.0,
        conditional: bool = False,
        attack: Adversary | None = None,
        ramp: int = 0,
    ) -> None:
        self.sampler = sampler
        self.classes = classes
        self.noise = noise
        self.conditional = conditional
        self.attack = attack
        self.ramp = ramp

    def __call__(self, model: EnergyModel, batch: Batch, generator: Generator) -> Loss:
        y = batch.y
        if not self.conditional:
            y = generator.fold("labels").integers(len(y), self.classes, y.device)
        label = y if self.conditional else None
        x = batch.x
        if self.attack is not None:
            attack = _at_step(self.attack, self.ramp, batch.step)
            x = attack(model, x, batch.y, generator.fold("attack"))
        # JEM++'s order: the data pass, the walk, the pass over its samples.
        data = model.energy(_perturbed(x, self.noise, generator.fold("noise")), label)
        samples = self.sampler(model, y, generator.fold("sampler"))
        sampled = model.energy(samples, label)
        value = data.mean() - sampled.mean()
        terms = {
            "likelihood": value.detach(),
            "energy_data": data.detach().mean(),
            "energy_samples": sampled.detach().mean(),
        }
        return Loss(value, terms)


class Sum:
    """Add objectives, each with its weight; an objective of weight zero is not computed.

    Args:
        parts: pairs of weight and objective.

    Raises:
        Mistake: where no objective has a weight.
    """

    def __init__(self, *parts: tuple[float, Objective]) -> None:
        self.parts = tuple((weight, part) for weight, part in parts if weight != 0)
        if not self.parts:
            raise Mistake("a sum of objectives needs at least one of non-zero weight")

    def __call__(self, model: EnergyModel, batch: Batch, generator: Generator) -> Loss:
        terms: dict[str, Tensor] = {}
        value = batch.x.new_zeros(())
        for number, (weight, part) in enumerate(self.parts):
            loss = part(model, batch, generator.fold(number))
            value = value + weight * loss.value
            terms.update(loss.terms)
        return Loss(value, terms)

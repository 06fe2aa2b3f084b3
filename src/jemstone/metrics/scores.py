r"""How known an image looks to a model, by five scores, each larger where it looks known.

References:
    Hendrycks & Gimpel, "A baseline for detecting misclassified and out-of-distribution examples in
    neural networks", 2017, https://arxiv.org/abs/1610.02136
    Grathwohl et al., 2020, https://arxiv.org/abs/1912.03263
    Meinke & Hein, "Towards neural networks that provably know when they don't know", 2020,
    https://arxiv.org/abs/1909.12180 (the worst case within a ball)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.functional.balls import Linf
from jemstone.functional.energies import slope
from jemstone.functional.statistics import precise
from jemstone.metrics.batches import Deal, alone
from jemstone.metrics.classification import device_of
from jemstone.nn.modes import held
from jemstone.random import Generator
from jemstone.samplers import PGD, madry_step
from jemstone.types import EnergyModel

__all__ = [
    "SCORES",
    "approximate_mass",
    "class_energy",
    "log_density",
    "max_probability",
    "negative_entropy",
    "scores",
    "worst_scores",
]

Score = Callable[[EnergyModel, Tensor], Tensor]


def log_density(model: EnergyModel, x: Tensor) -> Tensor:
    r"""Return :math:`\log p(x) + \log Z = -E(x)`, (B,), in nats.

    Args:
        model: the classifier, read as an energy.
        x: images (B, C, H, W) in [0, 1].
    """
    return -model.energy(x)


def max_probability(model: EnergyModel, x: Tensor) -> Tensor:
    r"""Return :math:`\log \max_y p(y|x)`, (B,), which does not round to 1 where the model is sure.

    References:
        Hendrycks & Gimpel, 2017, https://arxiv.org/abs/1610.02136

    Args:
        model: the classifier, read as an energy.
        x: images (B, C, H, W) in [0, 1].
    """
    return precise(model.logits(x)).log_softmax(dim=-1).amax(dim=-1)


def class_energy(model: EnergyModel, x: Tensor) -> Tensor:
    r"""Return :math:`-E(x, \hat y) = \max_y f(x)[y]`, (B,), in nats.

    Args:
        model: the classifier, read as an energy.
        x: images (B, C, H, W) in [0, 1].
    """
    return model.logits(x).amax(dim=-1)


def approximate_mass(model: EnergyModel, x: Tensor) -> Tensor:
    r"""Return :math:`-\|\nabla_x \log p(x)\|_2`, (B,): flat where much probability lies.

    References:
        Grathwohl et al., 2020, https://arxiv.org/abs/1912.03263, section 5.3

    Args:
        model: the classifier, read as an energy.
        x: images (B, C, H, W) in [0, 1].
    """
    return -slope(model, x)


def negative_entropy(model: EnergyModel, x: Tensor) -> Tensor:
    r"""Return :math:`\sum_y p(y|x) \log p(y|x)`, (B,), between :math:`-\log K` and 0.

    Args:
        model: the classifier, read as an energy.
        x: images (B, C, H, W) in [0, 1].
    """
    log_p = precise(model.logits(x)).log_softmax(dim=-1)
    return (log_p.exp() * log_p).sum(dim=-1)


SCORES: dict[str, Score] = {
    "log p(x)": log_density,
    "max p(y|x)": max_probability,
    "class energy": class_energy,
    "approximate mass": approximate_mass,
    "entropy": negative_entropy,
}
"""By the names that stand beside their figures."""


def scores(
    model: EnergyModel, images: Images, batch_size: int = 256, deal: Deal = alone
) -> dict[str, Tensor]:
    """Compute every score of all images, with the model in eval mode.

    Args:
        model: the classifier, read as an energy.
        images: N of them.
        batch_size: images in a pass.
        deal: who takes which batch.

    Returns:
        By name, float64 (N,), on the CPU.

    Raises:
        Mistake: where there are no images, or a score is not finite.
    """
    if not len(images):
        raise Mistake("there are no images to score: give at least one")
    device = device_of(model)

    def scored(places: Tensor) -> Tensor:
        return _columns(_scored(model, images.take(places).x.to(device)))

    with held(model), torch.no_grad():
        return _named(deal(scored, len(images), batch_size))


def worst_scores(
    model: EnergyModel,
    images: Images,
    eps_list: Sequence[float],
    *,
    generator: Generator,
    steps: int = 20,
    restarts: int = 0,
    batch_size: int = 256,
    deal: Deal = alone,
) -> list[dict[str, Tensor]]:
    r"""Find the largest scores that unknown images reach within Linf balls around them.

    Each score is climbed by PGD from where the smaller ball's climb was highest (at first the image
    itself) and from random starts, with steps of :math:`2.5 \epsilon / \text{steps}`. Every score
    is read where each climb is highest, so none is safer than its weakest neighbour, and the
    largest counts.

    References:
        Meinke & Hein, 2020, https://arxiv.org/abs/1909.12180

    Args:
        model: the classifier, read as an energy; it is held in eval mode.
        images: N unknown ones; image i draws from ``generator.at(i)``.
        eps_list: radii in [0, 1] pixels, from smallest to largest.
        generator: the randomness of the starts.
        steps: of a climb.
        restarts: random starts for each radius.
        batch_size: images in a pass.
        deal: who takes which batch.

    Returns:
        For each radius, by the score's name, float64 (N,), on the CPU.

    Raises:
        Mistake: for radii that do not grow, no step or no image, or a score that is not finite.
    """
    if steps < 1 or not len(images):
        raise Mistake("an attack on unknown images needs at least one step and one image")
    if list(eps_list) != sorted(eps_list) or min(eps_list, default=0.0) < 0:
        raise Mistake(f"radii grow, from 0 or more, unlike {list(eps_list)}")
    device = device_of(model)

    def climbed(places: Tensor) -> Tensor:
        origin, found = images.take(places).x.to(device), []
        worst = _scored(model, origin)
        summits = dict.fromkeys(SCORES, origin)
        for number, eps in enumerate(eps_list):
            for name, score in SCORES.items():
                stream = generator.at(places).fold(name, number)
                attack = _climber(score, eps, steps)
                starts = [summits[name]]
                for restart in range(restarts):
                    starts.append(attack.start(origin, stream.fold(restart)))
                summits[name] = _climb(attack, model, origin, starts, stream)
                seen = _scored(model, summits[name])
                worst = {key: torch.maximum(worst[key], seen[key]) for key in SCORES}
            found.append(_columns(worst))
        return torch.stack(found, dim=1)

    if not eps_list:
        return []
    with held(model), torch.no_grad():
        rows = deal(climbed, len(images), batch_size)
    return [_named(rows[:, number]) for number in range(len(eps_list))]


def _climber(score: Score, eps: float, steps: int) -> PGD:
    """Build the walk that climbs a score."""

    def depth(model: EnergyModel, x: Tensor, y: Tensor | None) -> Tensor:
        return -score(model, x)

    return PGD(Linf(eps), steps, madry_step(eps, steps), potential=depth, random_start=True)


def _climb(
    attack: PGD, model: EnergyModel, origin: Tensor, starts: Sequence[Tensor], generator: Generator
) -> Tensor:
    """Return the highest version of each image that the walks from ``starts`` see."""
    best, lowest = starts[0], attack.potential(model, starts[0], None)
    for x in starts:
        for t in range(attack.steps):
            x = attack.step(model, x, None, origin, generator.fold(t))
            reached = attack.potential(model, x, None)
            best = torch.where((reached < lowest)[:, None, None, None], x, best)
            lowest = torch.minimum(reached, lowest)
    return best


def _columns(found: Mapping[str, Tensor]) -> Tensor:
    """Put scores side by side, (B, 5)."""
    return torch.stack([found[name] for name in SCORES], dim=1)


def _named(rows: Tensor) -> dict[str, Tensor]:
    """Take scores (N, 5) apart."""
    return dict(zip(SCORES, rows.T.contiguous(), strict=True))


def _scored(model: EnergyModel, x: Tensor) -> dict[str, Tensor]:
    """Return every score of a batch, or refuse them."""
    found = {name: score(model, x).cpu().double() for name, score in SCORES.items()}
    for name, values in found.items():
        if not values.isfinite().all():
            raise Mistake(f"{name} is not finite: the model has diverged, or has broken weights")
    return found

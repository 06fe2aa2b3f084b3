r"""Whether a model tells what it has never seen, also when that is attacked to look known.

Every score is larger for images that look known. Known images are the positives, so an AUROC of 1
tells all known from all unknown images, 0.5 none, and less than 0.5 takes the unknown for known.

References:
    Hendrycks & Gimpel, "A baseline for detecting misclassified and out-of-distribution examples in
    neural networks", 2017, https://arxiv.org/abs/1610.02136
    Grathwohl et al., 2020, https://arxiv.org/abs/1912.03263
    Meinke & Hein, "Towards neural networks that provably know when they don't know", 2020,
    https://arxiv.org/abs/1909.12180 (the worst case within a ball)
    DeLong et al., "Comparing the areas under two or more correlated receiver operating
    characteristic curves", 1988 (the interval)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.functional.balls import Linf
from jemstone.functional.energies import slope
from jemstone.metrics.classification import device_of
from jemstone.metrics.laws import Verdict
from jemstone.nn.modes import held
from jemstone.random import Generator
from jemstone.samplers import PGD
from jemstone.types import EnergyModel

__all__ = [
    "SCORES",
    "approximate_mass",
    "class_energy",
    "detect",
    "detection_figures",
    "log_density",
    "max_probability",
    "negative_entropy",
    "scores",
    "worst_scores",
]

Score = Callable[[EnergyModel, Tensor], Tensor]


def log_density(model: EnergyModel, x: Tensor) -> Tensor:
    r"""Return :math:`\log p(x) + \log Z = -E(x)`, (B,), in nats."""
    return -model.energy(x)


def max_probability(model: EnergyModel, x: Tensor) -> Tensor:
    r"""Return :math:`\log \max_y p(y|x)`, (B,), which does not round to 1 where the model is sure.

    References:
        Hendrycks & Gimpel, 2017, https://arxiv.org/abs/1610.02136
    """
    return model.logits(x).double().log_softmax(dim=-1).amax(dim=-1)


def class_energy(model: EnergyModel, x: Tensor) -> Tensor:
    r"""Return :math:`-E(x, \hat y) = \max_y f(x)[y]`, (B,), in nats."""
    return model.logits(x).amax(dim=-1)


def approximate_mass(model: EnergyModel, x: Tensor) -> Tensor:
    r"""Return :math:`-\|\nabla_x \log p(x)\|_2`, (B,): flat where much probability lies.

    References:
        Grathwohl et al., 2020, https://arxiv.org/abs/1912.03263, section 5.3
    """
    return -slope(model, x)


def negative_entropy(model: EnergyModel, x: Tensor) -> Tensor:
    r"""Return :math:`\sum_y p(y|x) \log p(y|x)`, (B,), between :math:`-\log K` and 0."""
    log_p = model.logits(x).double().log_softmax(dim=-1)
    return (log_p.exp() * log_p).sum(dim=-1)


SCORES: dict[str, Score] = {
    "log p(x)": log_density,
    "max p(y|x)": max_probability,
    "class energy": class_energy,
    "approximate mass": approximate_mass,
    "entropy": negative_entropy,
}
"""By the names that stand beside their figures."""


def scores(model: EnergyModel, images: Images, batch_size: int = 256) -> dict[str, Tensor]:
    """Compute every score of all images, with the model in eval mode.

    Args:
        model: the classifier, read as an energy.
        images: N of them.
        batch_size: images in a pass.

    Returns:
        By name, float64 (N,), on the CPU.

    Raises:
        Mistake: where there are no images, or a score is not finite.
    """
    if not len(images):
        raise Mistake("there are no images to score: give at least one")
    device = device_of(model)
    with held(model), torch.no_grad():
        parts = [_scored(model, x.to(device)) for x, _ in images.batches(batch_size)]
    return {name: torch.cat([part[name] for part in parts]) for name in SCORES}


def worst_scores(
    model: EnergyModel,
    images: Images,
    eps_list: Sequence[float],
    *,
    generator: Generator,
    steps: int = 20,
    restarts: int = 0,
    batch_size: int = 256,
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
    found: list[list[dict[str, Tensor]]] = [[] for _ in eps_list]
    for places in torch.arange(len(images)).split(batch_size):
        origin = images.take(places).x.to(device)
        with held(model), torch.no_grad():
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
                found[number].append(worst)
    return [{name: torch.cat([p[name] for p in parts]) for name in SCORES} for parts in found]


def _climber(score: Score, eps: float, steps: int) -> PGD:
    """Build the walk that climbs a score."""

    def depth(model: EnergyModel, x: Tensor, y: Tensor | None) -> Tensor:
        return -score(model, x)

    return PGD(Linf(eps), steps, 2.5 * eps / steps, potential=depth, random_start=True)


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


def _scored(model: EnergyModel, x: Tensor) -> dict[str, Tensor]:
    """Return every score of a batch, or refuse them."""
    found = {name: score(model, x).double().cpu() for name, score in SCORES.items()}
    for name, values in found.items():
        if not values.isfinite().all():
            raise Mistake(f"{name} is not finite: the model has diverged, or has broken weights")
    return found


def detection_figures(known: Tensor, unknown: Tensor) -> dict[str, Any]:
    r"""Compute how well a score tells known from unknown images.

    References:
        Hendrycks & Gimpel, 2017, https://arxiv.org/abs/1610.02136
        DeLong et al., 1988

    Args:
        known: scores of known images, larger where they look known, (N,).
        unknown: scores of unknown images, (M,).

    Returns:
        All in [0, 1]:

        - ``auroc``: the chance that a known image scores above an unknown one, ties half;
        - ``auroc_interval``: its 95 % interval, by DeLong's variance;
        - ``aupr``: the average precision with known images as positives, whose chance level is
          :math:`N / (N + M)`;
        - ``aupr_unknown``: the same with unknown images as positives;
        - ``fpr95``: the share of unknown images at or above the threshold that 95 % of the known
          images reach.

    Raises:
        Mistake: for fewer than two images of a kind, or scores that are not finite.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    if min(len(known), len(unknown)) < 2:
        raise Mistake("detection needs at least two known and two unknown images")
    known, unknown = known.double(), unknown.double()
    values = torch.cat([known, unknown])
    if not values.isfinite().all():
        raise Mistake("a score is not finite: the model has diverged, or has broken weights")
    truth = torch.arange(len(values)) < len(known)
    auroc = float(roc_auc_score(truth, values))
    half = NormalDist().inv_cdf(0.975) * _delong(known, unknown)
    # The largest threshold that at least 95 % of the known images reach.
    accepted = known.sort(descending=True).values[-(-95 * len(known) // 100) - 1]
    return {
        "auroc": auroc,
        "auroc_interval": [max(0.0, auroc - half), min(1.0, auroc + half)],
        "aupr": float(average_precision_score(truth, values)),
        "aupr_unknown": float(average_precision_score(~truth, -values)),
        "fpr95": float((unknown >= accepted).double().mean()),
    }


def _delong(known: Tensor, unknown: Tensor) -> float:
    """Return the standard error of an AUROC."""

    def share_below(x: Tensor, others: Tensor) -> Tensor:
        ordered = others.sort().values
        below = torch.searchsorted(ordered, x) + torch.searchsorted(ordered, x, right=True)
        return below.double() / (2 * len(others))

    parts = (share_below(known, unknown), share_below(unknown, known))
    return float(sum(part.var() / len(part) for part in parts)) ** 0.5


def detect(
    model: EnergyModel,
    known: Images,
    unknown: Mapping[str, Images],
    *,
    generator: Generator,
    eps_list: Sequence[float] = (),
    steps: int = 20,
    attacked: int | None = None,
    baseline: EnergyModel | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Judge how well each score tells known images from each set of unknown ones.

    Args:
        model: the classifier, read as an energy.
        known: held-out images of its data.
        unknown: sets of unknown images, by name.
        generator: the randomness of attacks.
        eps_list: radii of the Linf balls in which unknown images are attacked, in [0, 1] pixels.
        steps: of an attack.
        attacked: the most images of a set that are attacked; all by default.
        baseline: a plain classifier of the same architecture, attacked for itself.
        progress: hears which set is next.

    Returns:
        One row for each set, attack (first none) and score: ``data``, ``score``, ``attack`` (None,
        or ``norm``, ``eps`` and ``steps``), ``n`` and ``n_unknown``, what
        :func:`detection_figures` returns, ``baseline_auroc`` (None without one), and ``laws``: an
        attack never helps the defender, and a larger ball never does.

    Raises:
        Mistake: for fewer than two images of a kind, or scores that are not finite.
    """
    models = [model] if baseline is None else [model, baseline]
    familiar = [scores(judged, known) for judged in models]
    attacks = [None, *({"norm": "linf", "eps": eps, "steps": steps} for eps in eps_list)]
    rows: list[dict[str, Any]] = []
    for name, images in unknown.items():
        progress(f"unknown inputs: {name}")
        some = images.first(attacked)
        strange = []
        for judged in models:
            clean = scores(judged, images)
            hard = worst_scores(judged, some, eps_list, generator=generator, steps=steps)
            strange.append([clean, *hard])
        for score in SCORES:
            softer = detection_figures(familiar[0][score], strange[0][0][score][: len(some)])
            for number, attack in enumerate(attacks):
                figures, *others = (
                    detection_figures(seen[score], levels[number][score])
                    for seen, levels in zip(familiar, strange, strict=True)
                )
                row = {
                    "data": name,
                    "score": score,
                    "attack": attack,
                    "n": len(known),
                    "n_unknown": len(images if attack is None else some),
                    **figures,
                    "baseline_auroc": others[0]["auroc"] if others else None,
                }
                if attack is not None:
                    row["laws"] = {"falls_with_eps": _falls(figures["auroc"], softer["auroc"])}
                    softer = figures
                rows.append(row)
    return rows


def _falls(auroc: float, softer: float) -> Verdict:
    return Verdict(
        law="a ball holds all smaller ones, and the image itself: AUROC never rises with eps",
        passed=auroc <= softer,
        values={"auroc": auroc, "auroc_of_smaller_eps": softer},
    )

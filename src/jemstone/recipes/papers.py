"""One function per paper: its constants as it quotes them, and the figures it reports.

A recipe's constants are those of CIFAR-10 (budget ``paper``); ``budgets.py`` resizes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from jemstone.recipes.schema import Recipe, changed
from jemstone.recipes.units import Constant, clip, jitter, length, pivot, raw_step
from jemstone.samplers import madry_step

__all__ = ["PAPERS", "Figure", "Paper"]

_JEM_CODE = "JEM's code"
_JEMPP_CODE = "JEM++'s code"
_PAPER = "arXiv 2207.08950"
_DAT = "quoted by DAT, arXiv 2510.13872"
_EBJDAT = "quoted by EB-JDAT, CVPR 2026"
_MADRYLAB = "MadryLab's rule, 2.5 eps / steps"


@dataclass(frozen=True)
class Figure:
    """A figure that somebody reports on CIFAR-10: *paper*, not ours.

    Args:
        name: what was measured, and from where samples came.
        value: as printed.
        source: where it is printed.
    """

    name: str
    value: float
    source: str


@dataclass(frozen=True)
class Paper:
    """A method as its authors publish it.

    Args:
        name: of the recipe.
        summary: what it trains, in one line.
        references: papers, with links.
        constants: what a recipe is made of. A later constant replaces an earlier one's value.
        figures: what is reported on CIFAR-10.
    """

    name: str
    summary: str
    references: tuple[str, ...]
    constants: tuple[Constant, ...]
    figures: tuple[Figure, ...] = ()

    def recipe(self) -> Recipe:
        """Return the recipe with the paper's constants, in our units."""
        values: dict[str, Any] = {c.field: c.value for c in self.constants}
        return changed(Recipe(name=self.name, budget="paper"), values)

    def but(
        self,
        name: str,
        summary: str,
        references: tuple[str, ...],
        *constants: Constant,
        figures: tuple[Figure, ...] = (),
    ) -> Paper:
        """Return the method that differs by these constants."""
        replaced = {c.field for c in constants}
        kept = tuple(c for c in self.constants if c.field not in replaced)
        return replace(
            self,
            name=name,
            summary=summary,
            references=references,
            constants=kept + constants,
            figures=figures,
        )


def jem() -> Paper:
    """Grathwohl et al. 2020, https://arxiv.org/abs/1912.03263."""
    ours = "our choice"
    return Paper(
        "jem",
        "classifier and energy model in one: cross-entropy + maximum likelihood by SGLD",
        ("Grathwohl et al. 2020, https://arxiv.org/abs/1912.03263",),
        (
            Constant("network.depth", 28, _JEM_CODE),
            Constant("network.width", 10, _JEM_CODE),
            Constant("network.norm", "none", _JEM_CODE),
            Constant("optimisation.optimiser", "adam", _JEM_CODE),
            Constant("optimisation.learning_rate", 1e-4, _JEM_CODE),
            Constant("optimisation.batch_size", 64, _JEM_CODE),
            Constant("optimisation.epochs", 200.0, _JEM_CODE),
            Constant("optimisation.warmup", 1000, _JEM_CODE),
            Constant("optimisation.milestones", (160.0, 180.0), _JEM_CODE),
            Constant("optimisation.decay", 0.3, _JEM_CODE),
            Constant("optimisation.loss_limit", 1e8, _JEM_CODE),
            Constant("augmentation.padding", 4, _JEM_CODE),
            Constant("augmentation.flip", True, _JEM_CODE),
            Constant("noise", 0.03, _JEM_CODE, length),
            Constant("weights.cross_entropy", 1.0, _JEM_CODE),
            Constant("weights.likelihood", 1.0, _JEM_CODE),
            Constant("walk.steps", 20, _JEM_CODE),
            Constant("walk.step_size", 1.0, _JEM_CODE, raw_step),
            Constant("walk.noise", 0.01, _JEM_CODE, length),
            Constant("walk.clamp", False, _JEM_CODE),
            Constant("walk.mode", "eval", _JEM_CODE),
            Constant("chains.init", "uniform", _JEM_CODE),
            Constant("chains.size", 10_000, _JEM_CODE),
            Constant("chains.reinit", 0.05, _JEM_CODE),
            Constant("sampling.init", "uniform", _JEM_CODE),
            *_walks("sampling.energy", 50, 1, 1.0, 0.01, None, False, ours),
            *_walks("sampling.combined", 50, 1, 1.0, 0.01, None, False, ours),
            *_walks("sampling.unconditional", 300, 1, 1.0, 0.01, None, False, ours),
            *_painting(ours),
        ),
        (
            Figure("IS, buffer", 8.76, _DAT),
            Figure("FID, buffer", 38.4, _DAT),
            Figure("accuracy", 92.9, _DAT),
        ),
    )


def jempp() -> Paper:
    """Yang & Ji 2021, https://arxiv.org/abs/2109.09032."""
    return jem().but(
        "jempp",
        "JEM with PYLD chains from class Gaussians, batch norm and SGD",
        ("Yang & Ji 2021, https://arxiv.org/abs/2109.09032",),
        Constant("network.norm", "batch", _JEMPP_CODE),
        Constant("optimisation.optimiser", "sgd", _JEMPP_CODE),
        Constant("optimisation.learning_rate", 0.1, _JEMPP_CODE),
        Constant("optimisation.momentum", 0.9, _JEMPP_CODE),
        Constant("optimisation.weight_decay", 4e-4, _JEMPP_CODE),
        Constant("optimisation.epochs", 150.0, _JEMPP_CODE),
        Constant("optimisation.milestones", (50.0, 100.0, 125.0), _JEMPP_CODE),
        Constant("optimisation.decay", 0.2, _JEMPP_CODE),
        *_walks("walk", 10, 5, 0.2, 0.0, 1.0, True, _JEMPP_CODE),
        Constant("walk.mode", "batch", f"{_JEMPP_CODE}; there running statistics move, here not"),
        Constant("chains.init", "class-gaussian", _JEMPP_CODE),
        Constant("chains.jitter", 1e-4, _JEMPP_CODE, jitter),
        Constant("chains.rank", None, f"{_JEMPP_CODE}: full covariances"),
        Constant("sampling.init", "class-gaussian", _JEMPP_CODE),
        *_walks("sampling.energy", 50, 5, 0.2, 0.0, 1.0, True, f"{_PAPER}; step of training"),
        *_walks("sampling.combined", 50, 5, 0.2, 0.0, 1.0, False, f"{_PAPER}; step of training"),
        *_walks("sampling.unconditional", 300, 5, 0.2, 0.0, 1.0, True, f"{_PAPER}; as trained"),
        *_painting(_PAPER),
        figures=(
            Figure("IS, scratch", 7.54, _PAPER),
            Figure("FID, scratch", 48.25, _PAPER),
            Figure("IS, buffer", 8.29, _EBJDAT),
            Figure("FID, buffer", 37.12, _EBJDAT),
        ),
    )


def robust_jem() -> Paper:
    """Korst & Asadulaev 2022, https://arxiv.org/abs/2207.08950."""
    return jempp().but(
        "robust-jem",
        "JEM++ whose classifier sees PGD-adversarial images",
        ("Korst & Asadulaev 2022, https://arxiv.org/abs/2207.08950",),
        *_adversary("linf", 0.1, length, 15, _PAPER),
        Constant("weights.cross_entropy", 0.0, "our choice: adversarial images alone"),
        Constant("weights.adversarial", 1.0, _PAPER),
        Constant("positives", "clean", "our choice: JEM++'s; JEAT contrasts adversarial images"),
        figures=(
            Figure("IS energy", 8.71, _PAPER),
            Figure("FID energy", 41.17, _PAPER),
            Figure("IS combined", 9.28, _PAPER),
            Figure("FID combined", 47.92, _PAPER),
        ),
    )


def classifier() -> Paper:
    """The same network and optimiser, cross-entropy alone: the yardstick."""
    return jempp().but(
        "classifier",
        "cross-entropy alone",
        ("Zagoruyko & Komodakis 2016, https://arxiv.org/abs/1605.07146",),
        Constant("noise", 0.0, "our choice"),
        Constant("weights.likelihood", 0.0, "definition"),
    )


def robust_classifier() -> Paper:
    """Madry et al. 2018, https://arxiv.org/abs/1706.06083, at the radius of Robust JEM."""
    return robust_jem().but(
        "robust-classifier",
        "adversarial training in an Linf ball",
        (
            "Madry et al. 2018, https://arxiv.org/abs/1706.06083",
            "Korst & Asadulaev 2022, https://arxiv.org/abs/2207.08950",
        ),
        Constant("weights.likelihood", 0.0, "definition"),
        figures=(
            Figure("IS attack", 7.05, _PAPER),
            Figure("FID attack", 85.12, _PAPER),
        ),
    )


def robust_classifier_l2() -> Paper:
    """Santurkar et al. 2019, https://arxiv.org/abs/1906.09453."""
    code = "Santurkar et al.'s code, in [0, 1]"
    return robust_classifier().but(
        "robust-classifier-l2",
        "adversarial training in an L2 ball, the painter of Santurkar et al.",
        ("Santurkar et al. 2019, https://arxiv.org/abs/1906.09453",),
        Constant("attack.norm", "l2", code),
        Constant("attack.eps", 0.5, code),
        Constant("attack.steps", 7, "our choice"),
        Constant("attack.step_size", madry_step(0.5, 7), _MADRYLAB),
        Constant("sampling.attack.norm", "l2", code),
        Constant("sampling.attack.eps", 30.0, code),
        Constant("sampling.attack.steps", 60, code),
        Constant("sampling.attack.step_size", 0.5, f"{code}; the last image, theirs is the best"),
    )


PAPERS: dict[str, Callable[[], Paper]] = {
    "classifier": classifier,
    "robust-classifier": robust_classifier,
    "robust-classifier-l2": robust_classifier_l2,
    "jem": jem,
    "jempp": jempp,
    "robust-jem": robust_jem,
}


def _walks(
    where: str,
    steps: int,
    inner: int,
    step_size: float,
    noise: float,
    largest: float | None,
    clamp: bool,
    source: str,
) -> tuple[Constant, ...]:
    """Quote a Langevin walk on [-1, 1]."""
    return (
        Constant(f"{where}.steps", steps, source),
        Constant(f"{where}.inner", inner, source),
        Constant(f"{where}.step_size", step_size, source, raw_step),
        Constant(f"{where}.noise", noise, source, length),
        Constant(f"{where}.clip", largest, source, clip),
        Constant(f"{where}.clamp", clamp, source),
    )


def _adversary(
    norm: str, eps: float, unit: Callable[[Any], Any], steps: int, source: str
) -> tuple[Constant, ...]:
    """Quote the attack of training."""
    return (
        Constant("attack.norm", norm, source),
        Constant("attack.eps", eps, f"{source}, read in [-1, 1]", unit),
        Constant("attack.steps", steps, source),
        Constant("attack.step_size", madry_step(eps, steps), _MADRYLAB, unit),
        Constant("attack.random_start", True, "Madry et al. 2018"),
        Constant(
            "attack.mode", "eval", "MadryLab's code; batch norm then has the last pass's statistics"
        ),
    )


def _painting(source: str) -> tuple[Constant, ...]:
    """Quote the targeted attack of combined inference, and the contrast after it."""
    return (
        Constant("sampling.attack.norm", "linf", source),
        Constant("sampling.attack.eps", 0.5, f"{source}, read in [-1, 1]", length),
        Constant("sampling.attack.steps", 15, f"{source}, as in training"),
        Constant("sampling.attack.step_size", madry_step(0.5, 15), _MADRYLAB, length),
        Constant("sampling.attack.random_start", False, "Santurkar et al. 2019"),
        Constant("sampling.contrast.factor", 0.8, "our choice: no source"),
        Constant("sampling.contrast.pivot", 0.0, "our choice: mid-grey", pivot),
    )

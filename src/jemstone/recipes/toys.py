"""The size of the toys: points of the plane, where true Langevin dynamics can be afforded.

The papers' walks have a temperature near zero, so what they leave behind is no sample of
exp(-E), and the energy they teach is no log-density. In the plane a walk of temperature 1 mixes in
a minute. There, training *is* maximum likelihood, and the density it ends at can be integrated.
"""

from __future__ import annotations

from jemstone.recipes.units import Constant
from jemstone.samplers import madry_step

__all__ = ["toy_sizes"]

_PLANE = "two numbers, not an image"
_TRUE = "true Langevin: p(x) is what is learned"
_ADAM = "an MLP"
_STEPS = {"quick": 500, "small": 1500}
_STEP_SIZE = 5e-5  # a twelfth of the variance of the finer toy's noise
_EPS = 0.03  # less than half of the way from a curve to the border of the classes
_WALKS = {"walk": 20, "sampling.energy": 500, "sampling.combined": 500}
_LONGEST = {"sampling.unconditional": 1000}


def toy_sizes(budget: str) -> tuple[Constant, ...]:
    """Return what a budget changes in any recipe on a toy, each with its reason.

    Args:
        budget: ``quick`` or ``small``.
    """
    fields = [
        Constant("network.architecture", "mlp", _PLANE),
        Constant("network.depth", 3, _PLANE),
        Constant("network.width", 128, _PLANE),
        Constant("network.norm", "none", _PLANE),
        Constant("network.activation", "silu", "a smooth energy"),
        Constant("optimisation.optimiser", "adam", _ADAM),
        Constant("optimisation.learning_rate", 2e-3, _ADAM),
        Constant("optimisation.weight_decay", 0.0, _ADAM),
        Constant("optimisation.batch_size", 256, _PLANE),
        Constant("optimisation.steps", _STEPS[budget], "a minute on one core"),
        Constant("optimisation.warmup", 50, _ADAM),
        Constant("optimisation.schedule", "cosine", "our choice: no milestones to tune"),
        Constant("optimisation.milestones", (), "as above"),
        Constant("optimisation.clip_norm", 10.0, "our choice: stability"),
        Constant("optimisation.loss_limit", 1e4, "our choice: lost long before 1e8"),
        Constant("optimisation.ema", 0.99, "our choice: smoother energies"),
        Constant("guard.retries", 4, "our choice: the papers stop at once"),
        Constant("augmentation.padding", 0, _PLANE),
        Constant("augmentation.flip", False, _PLANE),
        Constant("noise", 0.0, "the data has a density of its own"),
        Constant("chains.size", 4000, "as many as points"),
        Constant("chains.reinit", 0.01, "chains that live longer mix better"),
        *_attack("attack", _EPS, 5),
        *_attack("sampling.attack", _EPS, 15),
        Constant("sampling.contrast.factor", 0.95, "as on digits"),
    ]
    for where, steps in (_WALKS | _LONGEST).items():
        fields += _langevin(where, steps)
    return tuple(fields)


def _attack(where: str, eps: float, steps: int) -> tuple[Constant, ...]:
    return (
        Constant(f"{where}.eps", eps, "half of the way to the other class"),
        Constant(f"{where}.steps", steps, "two cores"),
        Constant(f"{where}.step_size", madry_step(eps, steps), "2.5 eps / steps"),
    )


def _langevin(where: str, steps: int) -> tuple[Constant, ...]:
    return (
        Constant(f"{where}.steps", steps, "as long as mixing takes"),
        Constant(f"{where}.inner", 1, _TRUE),
        Constant(f"{where}.step_size", _STEP_SIZE, "a twelfth of the data noise, squared"),
        Constant(f"{where}.noise", 0.0, _TRUE),
        Constant(f"{where}.temperature", 1.0, _TRUE),
        Constant(f"{where}.clip", None, _TRUE),
        Constant(f"{where}.clamp", True, "the density is on the box"),
        Constant(f"{where}.mode", "eval", "without batch norm both modes are one"),
    )

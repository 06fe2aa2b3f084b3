r"""Langevin dynamics on an energy: SGLD of JEM, PYLD of JEM++.

A step :math:`\alpha` with noise :math:`\sigma` has temperature :math:`T = \sigma^2 / 2\alpha`.
What the field calls SGLD is far from :math:`T = 1`: JEM's is 5e-5 (in [-1, 1]: step 1, noise
0.01), JEM++'s is 0. True Langevin dynamics is asked for by ``temperature``.

References:
    Welling & Teh, "Bayesian learning via stochastic gradient Langevin dynamics", 2011
    Grathwohl et al., 2020, https://arxiv.org/abs/1912.03263
    Yang & Ji, "JEM++: improved techniques for training JEM", 2021,
    https://arxiv.org/abs/2109.09032
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from jemstone.errors import Mistake
from jemstone.functional.box import in_box
from jemstone.functional.energies import energy, grad_stem, grad_x
from jemstone.model import JointEnergyModel, Normalise
from jemstone.samplers.walk import Bounds, Walk
from jemstone.types import EnergyModel, Generator, Potential

__all__ = ["PYLD", "SGLD"]


class SGLD(Walk):
    r"""Stochastic gradient Langevin dynamics.

    .. math:: x \leftarrow \Pi_\text{box}(x - \alpha \, \text{clip}(\nabla_x U) + \sigma n),
              \quad n \sim N(0, I)

    References:
        Grathwohl et al., 2020, https://arxiv.org/abs/1912.03263

    Args:
        steps: how many.
        step_size: :math:`\alpha`, times the raw gradient; [0, 1] pixels.
        noise: :math:`\sigma`, in [0, 1] pixels.
        temperature: instead of ``noise``: :math:`\sigma = \sqrt{2 \alpha T}`, the dynamics that
            samples :math:`\exp(-U / T)` as the step goes to zero.
        clip: largest absolute entry of the gradient; None for no clip.
        potential: :math:`U`.
        bounds: the box :math:`\Pi` projects to; None for none.
        mode: ``eval`` or ``batch``.

    Raises:
        Mistake: for a temperature with a clip or a noise, a negative one, or neither of the two.
    """

    def __init__(
        self,
        steps: int,
        step_size: float,
        noise: float | None = None,
        *,
        temperature: float | None = None,
        clip: float | None = None,
        potential: Potential = energy,
        bounds: Bounds = (0.0, 1.0),
        mode: str = "eval",
    ) -> None:
        super().__init__(steps, potential=potential, bounds=bounds, mode=mode)
        if (noise is None) == (temperature is None):
            raise Mistake("a Langevin walk takes either its noise or its temperature")
        if temperature is not None:
            if not temperature >= 0:
                raise Mistake(f"a temperature is 0 or more, not {temperature:g}")
            if clip is not None:
                raise Mistake("a clipped gradient has no temperature: leave out one of the two")
            noise = math.sqrt(2.0 * step_size * temperature)
        assert noise is not None
        self.step_size = step_size
        self.noise = noise
        self.clip = clip

    def step(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, origin: Tensor, generator: Generator
    ) -> Tensor:
        g = self.clipped(grad_x(self.potential, model, x, y))
        return self.inside(x - self.step_size * g + self.perturbation(x, generator))

    def clipped(self, gradient: Tensor) -> Tensor:
        """Return the gradient with its entries limited to ``clip``."""
        return gradient if self.clip is None else gradient.clamp(-self.clip, self.clip)

    def perturbation(self, x: Tensor, generator: Generator) -> Tensor | float:
        r"""Draw :math:`\sigma n`, or nothing where there is no noise."""
        if self.noise == 0:
            return 0.0
        return self.noise * generator.normal(x.shape, dtype=x.dtype, device=x.device)


class PYLD(SGLD):
    r"""Langevin dynamics with ``inner`` cheap steps for each pass through the network.

    One pass gives :math:`p = \partial U / \partial s(x)` at the output of the stem :math:`s`; the
    inner steps keep it and walk on :math:`\langle s(x), p \rangle`:

    .. math::
        x \leftarrow \Pi_\text{box}(x - \alpha \, \text{clip}(\nabla_x \langle s(x), p \rangle))

    with the noise in the last of them. An affine stem, as JEM++'s single convolution, has the same
    gradient :math:`g = \nabla_x U` at every inner step. So JEM++'s sampler *is* clipped gradient
    descent with step :math:`n \alpha`, here done at once: from inside the box a pixel goes one
    way until it meets the wall, so :math:`n - 1` steps end at
    :math:`\Pi(x - (n - 1) \alpha \, \text{clip}(g))`, as the loop does.

    References:
        Yang & Ji, 2021, https://arxiv.org/abs/2109.09032

    Args:
        outer: :math:`m`, passes through the network.
        inner: :math:`n`, steps for each.
        step_size: :math:`\alpha` of an inner step.
        noise: :math:`\sigma`, once for each pass.
        clip: largest absolute entry of the gradient; None for no clip.
        potential: :math:`U`; it reads the images through the model alone.
        bounds: the box :math:`\Pi` projects to; None for none.
        mode: ``eval`` or ``batch``.
        fold: take the inner steps at once where that is exact; False always loops.

    Raises:
        Mistake: for no inner step.
    """

    def __init__(
        self,
        outer: int,
        inner: int,
        step_size: float,
        noise: float = 0.0,
        *,
        clip: float | None = None,
        potential: Potential = energy,
        bounds: Bounds = (0.0, 1.0),
        mode: str = "eval",
        fold: bool = True,
    ) -> None:
        super().__init__(
            outer, step_size, noise, clip=clip, potential=potential, bounds=bounds, mode=mode
        )
        if inner < 1:
            raise Mistake(f"a walk takes at least one inner step, not {inner}")
        self.inner = inner
        self.fold = fold

    def step(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, origin: Tensor, generator: Generator
    ) -> Tensor:
        if self.inner == 1:
            return super().step(model, x, y, origin, generator)
        if not isinstance(model, JointEnergyModel):
            raise Mistake("PYLD needs the network's stem: wrap the network in JointEnergyModel")
        stem, rest = model.split()
        if self.fold and is_affine(stem) and self.holds(x):
            g = self.clipped(grad_x(self.potential, model, x, y))
            x = self.inside(x - (self.inner - 1) * self.step_size * g)
        else:
            # As the folded form does, in the image's precision: a stem may answer in bfloat16.
            p = grad_x(self.potential, rest, stem(x).to(x.dtype), y)
            for _ in range(self.inner - 1):
                x = self.inside(x - self.step_size * self.clipped(grad_stem(stem, x, p)))
            g = self.clipped(grad_stem(stem, x, p))
        return self.inside(x - self.step_size * g + self.perturbation(x, generator))

    def holds(self, x: Tensor) -> bool:
        """Tell whether the images lie in the box, or there is none."""
        return self.bounds is None or in_box(x, *self.bounds)


_AFFINE = (Normalise, nn.Identity, nn.Flatten, nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def is_affine(stem: nn.Module) -> bool:
    """Tell whether a stem is affine by its make: no dropout, norm or activation in it.

    >>> is_affine(nn.Sequential(nn.Identity(), nn.Conv2d(3, 16, 3)))
    True
    >>> is_affine(nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU()))
    False
    """
    if stem._forward_hooks or stem._forward_pre_hooks:
        return False
    if type(stem) is nn.Sequential:
        return all(is_affine(layer) for layer in stem)
    # Exact types: a subclass may do anything. A convolution's padding must not depend on values.
    return type(stem) in _AFFINE

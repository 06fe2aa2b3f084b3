"""A look at a run from outside: what its network and its chains are like just now."""

from __future__ import annotations

import torch
from torch import Tensor

from jemstone.functional.box import at_bounds
from jemstone.functional.energies import grad_x, marginal, marginal_energy
from jemstone.functional.statistics import robust_scores
from jemstone.model import JointEnergyModel
from jemstone.nn.modes import evaluating
from jemstone.samplers import ReplayBuffer
from jemstone.types import Batch

__all__ = ["chain_energies", "outliers", "probe"]

_CHAINS = 256
_AT_ONCE = 500
_SINGLE_GREY = 0.01
_FAR = 8.0


def probe(model: JointEnergyModel, batch: Batch, buffer: ReplayBuffer | None) -> dict[str, float]:
    r"""Look at the clean batch, and at some of the chains, in eval mode.

    - ``accuracy``, ``accuracy_eval``: of the clean batch; the second keeps its name where an
      objective logs its own accuracy, which batch norm makes another.
    - ``energy_data``, ``input_grad_norm``: means of :math:`E(x)` and :math:`\|\nabla_x E(x)\|`.
    - ``energy_gap``: mean :math:`E(x)` of the batch less that of the chains.
    - ``saturated_data``, ``saturated_chains``: shares of pixels not inside (0, 1)
      (:func:`~jemstone.functional.box.at_bounds`).
    - ``dead_chains``: share of chains that are one grey all over.
    - ``outlier_chains``: share of chains whose energy is far from the others'.

    Args:
        model: the energy.
        batch: clean images and labels.
        buffer: the chains, where there are any.
    """
    with evaluating(model):
        with torch.no_grad():
            logits = model.logits(batch.x)
        g = grad_x(marginal, model, batch.x)
    energy = float(marginal_energy(logits).mean())
    accuracy = float((logits.argmax(dim=-1) == batch.y).float().mean())
    numbers = {
        "accuracy": accuracy,
        "accuracy_eval": accuracy,
        "energy_data": energy,
        "input_grad_norm": float(g.flatten(1).norm(dim=1).mean()),
    }
    if buffer is None:
        return numbers
    x = buffer.images[:: max(1, len(buffer) // _CHAINS)][:_CHAINS]
    energies = chain_energies(model, x)
    spread = x.float().flatten(1).std(dim=1)
    return numbers | {
        "energy_gap": energy - float(energies.mean()),
        "saturated_data": at_bounds(batch.x),
        "saturated_chains": at_bounds(x),
        "dead_chains": float((~(spread > _SINGLE_GREY)).float().mean()),
        "outlier_chains": float(outliers(energies).float().mean()),
    }


@torch.no_grad()
def chain_energies(model: JointEnergyModel, x: Tensor) -> Tensor:
    """Compute the energy of chains in eval mode, some at once, on the processor.

    Args:
        model: the energy.
        x: images (N, C, H, W), wherever they lie.
    """
    device = next(model.parameters()).device
    with evaluating(model):
        return torch.cat([model.energy(part.to(device)).cpu() for part in x.split(_AT_ONCE)])


def outliers(energies: Tensor) -> Tensor:
    """Tell which energies (N,) are far from the others, or not finite."""
    return ~(robust_scores(energies).abs() <= _FAR)
